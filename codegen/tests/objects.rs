//! Objects in plans: sequences and optionals go in and out, are made and changed, and every reference is given back.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(unsafe_code, reason = "calls generated code")]

mod harness;

use harness::{compiled_module, dlpack, in_memory, options};
use orogen_abi::{Any, ArrayObject, DLDataType, DLDevice, DLTensor, Object, TensorObject, TypeIndex};
use orogen_ir::plan::{PlanModule, parse_plans, print_plans, verify_module};
use orogen_ir::types::{ConstPool, DType, TensorData};
use orogen_reference::{Host, Value as Expected, eval_plan_values};
use orogen_runtime::{HostCall, HostFunction, PackedFunc, RuntimeError, Tensor, Value, register_extern};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

fn module(text: &str) -> PlanModule {
    let module = parse_plans(text, &ConstPool::default()).unwrap_or_else(|it| panic!("{it}"));
    verify_module(&module).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(print_plans(&module), text);
    module
}

fn given(value: &Expected) -> Value {
    match value {
        Expected::Tensor(it) => {
            let dims: Vec<i64> = it.dims().iter().map(|it| *it as i64).collect();
            Value::Tensor(Tensor::from_bytes(dlpack(it.dtype()), &dims, &it.unpacked()).unwrap())
        }
        Expected::Sequence(items) => Value::Array(items.iter().map(given).collect()),
        Expected::None => Value::None,
        Expected::Str(it) => Value::Str(it.clone()),
        Expected::Tuple(_) => unreachable!("plans hold no tuples"),
    }
}

fn same(got: &Value, expected: &Expected) {
    match (got, expected) {
        (Value::Tensor(got), Expected::Tensor(expected)) => {
            assert!(got.shape().iter().map(|it| *it as u64).eq(expected.dims().iter().copied()));
            assert_eq!(got.as_bytes().unwrap(), &expected.bytes()[..]);
        }
        (Value::Array(got), Expected::Sequence(expected)) => {
            assert_eq!(got.len(), expected.len());
            got.iter().zip(expected).for_each(|(got, expected)| same(got, expected));
        }
        (Value::None, Expected::None) => {}
        (Value::Str(got), Expected::Str(expected)) => assert_eq!(got, expected),
        _ => panic!("{got:?} is not {expected:?}"),
    }
}

/// Runs with a host and without: each gives what the reference does, or an error as that does; afterwards nobody else
/// holds the inputs, and with a host, whose memory is counted, nothing else is left either.
fn check(text: &str, inputs: &[Expected]) -> Result<Value, RuntimeError> {
    check_with(&Host::new(), &[true, false], text, inputs)
}

/// The same with functions of the host, which code without a host finds nowhere.
fn check_with(
    host: &Host<'_>,
    with_host: &[bool],
    text: &str,
    inputs: &[Expected],
) -> Result<Value, RuntimeError> {
    let module = module(text);
    let expected = eval_plan_values(host, &module, &module.entry().unwrap().name, inputs);
    let compiled = compiled_module(&module, &options());
    let functions: Vec<PackedFunc> = with_host.iter().map(|it| in_memory(&compiled, *it)).collect();
    for function in &functions {
        let args: Vec<Value> = inputs.iter().map(given).collect();
        let mut held: Vec<Tensor> = args.iter().flat_map(tensors).cloned().collect();
        let got = function.call(&args);
        match (&got, &expected) {
            (Ok(Value::Array(got)), Ok(expected)) if expected.len() != 1 => {
                assert_eq!(got.len(), expected.len());
                got.iter().zip(expected).for_each(|(got, expected)| same(got, expected));
            }
            (Ok(got), Ok(expected)) => same(got, &expected[0]),
            (Err(_), Err(_)) => {}
            _ => panic!("{got:?} but the reference says {expected:?}"),
        }
        drop((got, args));
        assert!(held.iter_mut().all(|it| it.as_mut_bytes().is_ok()), "somebody still holds an input");
    }
    let args: Vec<Value> = inputs.iter().map(given).collect();
    let before = LIVE.get();
    drop(functions[0].call(&args));
    assert_eq!(LIVE.get(), before, "bytes that are not given back");
    functions[0].call(&args)
}

thread_local! {
    /// Bytes that this thread has in use.
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is the system's; the count is beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.set(LIVE.get() + layout.size() as i64);
        // SAFETY: as asked.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - layout.size() as i64);
        // SAFETY: as asked.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn tensors(value: &Value) -> Vec<&Tensor> {
    match value {
        Value::Tensor(it) => vec![it],
        Value::Array(items) => items.iter().flat_map(tensors).collect(),
        _ => Vec::new(),
    }
}

fn floats(dims: &[u64], first: f64) -> Expected {
    let count: u64 = dims.iter().product();
    Expected::Tensor(TensorData::from_f64(DType::F32, dims, (0..count).map(|it| first + it as f64)))
}

fn ints(values: &[i64]) -> Expected {
    Expected::Tensor(TensorData::ints(values))
}

/// A plan of all steps on sequences; that each of its laws is held is a test of `orogen-ir`.
const CHANGE: &str = include_str!("../../ir/src/plan/verify/objects.plan");

#[test]
fn sequences_are_read_and_changed_at_any_position() {
    for items in [0_u64, 1, 2, 5] {
        let sequence = Expected::Sequence((0..items).map(|it| floats(&[it + 1], it as f64)).collect());
        for at in -6..=6 {
            let got = check(CHANGE, &[sequence.clone(), floats(&[2], 9.0), ints(&[at])]);
            assert_eq!(got.is_ok(), (-(items as i64)..items as i64).contains(&at), "{items} {at}");
        }
    }
    let sequence = Expected::Sequence(vec![floats(&[3], 0.0), floats(&[0], 0.0)]);
    let error = check(CHANGE, &[sequence, floats(&[2], 9.0), ints(&[-3])]).unwrap_err().to_string();
    assert!(error.contains("node `put`: index -3 is out of range for the sequence, which has 2"), "{error}");
}

#[test]
fn what_is_in_a_sequence_is_checked_where_it_is_read() {
    let change =
        |item: Expected| check(CHANGE, &[Expected::Sequence(vec![item]), floats(&[2], 9.0), ints(&[0])]);
    let wrong = change(floats(&[2, 2], 0.0)).unwrap_err().to_string();
    assert!(wrong.contains("number of dimensions: expected 1, got 2"), "{wrong}");
    let wrong = change(ints(&[1])).unwrap_err().to_string();
    assert!(wrong.contains("element type: expected f32, got i64"), "{wrong}");
    let wrong = change(Expected::None).unwrap_err().to_string();
    assert!(wrong.contains("node `get`: an element of a sequence is not a tensor, but nothing"), "{wrong}");
    let wrong = check(CHANGE, &[floats(&[1], 0.0), floats(&[2], 9.0), ints(&[0])]).unwrap_err().to_string();
    assert!(wrong.contains("input `s` is not an array, but a tensor"), "{wrong}");
}

/// Collects the turns of a loop, in place, and shares what it has on the way.
const COLLECT: &str = "plan @main {
  size n
  in turns: i64[1]
  out all: %o1
  out half: %o2
  arena 256
  slot %s0: i64[1] = ^0[0]
  slot %s1: i64[1] = ^0[64]
  slot %s2: bool[1] = ^0[128]
  slot %s3: bool[1] = ^0[192]
  object %o0: i64[1]
  object %o1: Sequence<Tensor<i64, [1]>>
  object %o2: Sequence<Tensor<i64, [1]>>
  kernel @zero {
    out %j: i64[1]
    %j[0] = i64(0)
  }
  kernel @next {
    in %i: i64[1]
    out %j: i64[1]
    %j[0] = %i[0] + i64(1)
  }
  kernel @below {
    in %i: i64[1]
    in %n: i64[1]
    out %c: bool[1]
    %c[0] = %i[0] < %n[0]
  }
  kernel @half {
    in %i: i64[1]
    in %n: i64[1]
    out %c: bool[1]
    %c[0] = %i[0] + %i[0] == %n[0]
  }
  steps {
    alloc ^0
    sequence %o1 = ()
    sequence %o2 = ()
    call 0 @zero(%s0)
    while {
      call 2 @below(%s0, %in0, %s2)
    } %s2 {
      tensor %o0
      copy %s0 to %o0; 8
      insert %o1 = %o1, %o0
      call 1 @next(%s0, %s1)
      copy %s1 to %s0; 8
      call 3 @half(%s0, %in0, %s3)
      if %s3 {
        share %o2 = %o1
      }
    }
    length n = %o1
    check n >= 0 \"a length\"
  }
}
";

#[test]
fn a_loop_collects_in_place_what_nobody_else_holds() {
    for turns in [0, 1, 2, 3, 8, 300] {
        let Value::Array(outputs) = check(COLLECT, &[ints(&[turns])]).unwrap() else { panic!("two outputs") };
        let lengths = outputs.iter().map(|it| match it {
            Value::Array(items) => items.len() as i64,
            _ => panic!("two sequences"),
        });
        let half = if turns % 2 == 0 { turns / 2 } else { 0 };
        assert_eq!(lengths.collect::<Vec<_>>(), [turns, half]);
    }
}

const OPTIONAL: &str = "module {
  kernel @twice {
    size k
    in %x: f32[k]
    out %y: f32[k]
    for i < k { %y[i] = %x[i] + %x[i] }
  }
  private plan @value {
    size n
    size p
    in x: %o0
    in list: %o1
    out y: %o2
    out list: %o3
    object %o0: Optional<Tensor<f32, rank 1>>
    object %o1: Sequence<Tensor<f32>>
    object %o2: Optional<Tensor<f32, rank 1>>
    object %o3: Sequence<Tensor<f32>>
    object %o4: f32[n]
    object %o5: f32[n]
    steps {
      some p = %o0
      if p == 1 {
        share %o4 = %o0 from n = 0
        tensor %o5
        call 0 @twice(%o4, %o5) [n]
        share %o2 = %o5
        insert %o3 = %o1[0], %o4
        drop %o5
      } else {
        none %o2
        share %o3 = %o1
      }
    }
  }
  plan @main {
    in x: %o0
    out y: %o2
    out list: %o3
    object %o0: Optional<Tensor<f32, rank 1>>
    object %o1: Sequence<Tensor<f32>>
    object %o2: Optional<Tensor<f32, rank 1>>
    object %o3: Sequence<Tensor<f32>>
    steps {
      sequence %o1 = ()
      invoke 0 @value(%o0, %o1) to (%o2, %o3)
    }
  }
}
";

#[test]
fn optionals_pass_through_calls_of_functions() {
    let Value::Array(outputs) = check(OPTIONAL, &[Expected::None]).unwrap() else { panic!("two outputs") };
    assert!(matches!(&outputs[..], [Value::None, Value::Array(items)] if items.is_empty()));
    let Value::Array(outputs) = check(OPTIONAL, &[floats(&[3], 1.0)]).unwrap() else { panic!("two outputs") };
    assert!(matches!(&outputs[..], [Value::Tensor(_), Value::Array(items)] if items.len() == 1));
    let wrong = check(OPTIONAL, &[Expected::Sequence(vec![])]).unwrap_err().to_string();
    assert!(wrong.contains("input `x` is not a tensor or nothing, but an array"), "{wrong}");
}

/// Strings and maps, which have no steps but those of every object.
const TEXTS: &str = "plan @main {
  in name: %o0
  in names: %o1
  in table: %o2
  out name: %o0
  out first: %o3
  out table: %o2
  object %o0: String
  object %o1: Sequence<String>
  object %o2: Optional<Map<String, Tensor<f32>>>
  object %o3: String
  steps {
    item %o3 = %o1[0] loc(\"node `first`\")
  }
}
";

#[test]
fn strings_and_maps_pass_through_and_other_kinds_are_named() {
    let text = |it: &str| Expected::Str(it.to_owned());
    let names = Expected::Sequence(vec![text("a string that is not small"), text("b")]);
    let run = |name: Expected, names: Expected, table: Expected| {
        check(TEXTS, &[name, names, table]).map_err(|it| it.to_string())
    };
    let Value::Array(outputs) = run(text("x"), names.clone(), Expected::None).unwrap() else {
        panic!("three outputs")
    };
    same(&outputs[1], &text("a string that is not small"));
    let wrong = run(floats(&[1], 0.0), names.clone(), Expected::None).unwrap_err();
    assert!(wrong.contains("input `name` is not a string that can be kept, but a tensor"), "{wrong}");
    let wrong = run(text("x"), Expected::Sequence(vec![floats(&[1], 0.0)]), Expected::None).unwrap_err();
    assert!(
        wrong.contains(
            "node `first`: an element of a sequence is not a string that can be kept, but a tensor"
        ),
        "{wrong}"
    );
    let wrong = run(text("x"), names, text("no map")).unwrap_err();
    assert!(
        wrong.contains(
            "input `table` is not the array of keys and values that is a map or nothing, but a string"
        ),
        "{wrong}"
    );
}

/// A function of the host takes the last item from a sequence, and doubles a tensor.
const HOST: &str = "plan @main {
  in s: %o0
  in x: f32[2]
  out y: f32[2]
  out rest: %o1
  out last: %o2
  object %o0: Sequence<Tensor<f32, rank 1>>
  object %o1: Sequence<Tensor<f32>>
  object %o2: Optional<Tensor<f32, rank 1>>
  extern @f = \"SYMBOL\" with {by = 2.0} {
    in %s: Sequence<Tensor<f32, rank 1>>
    in %x: f32[2]
    out %y: f32[2]
    out %rest: Sequence<Tensor<f32>>
    out %last: Optional<Tensor<f32, rank 1>>
  }
  steps {
    alloc %out0
    call 0 @f(%o0, %in1, %out0, %o1, %o2) loc(\"node `pop`\")
  }
}
";

fn pop(call: &mut HostCall<'_>) -> Result<(), RuntimeError> {
    let [Value::Array(items)] = &call.objects[..] else { panic!("{:?}", call.objects) };
    let [Value::Float(by)] = call.attributes[..] else { panic!("{:?}", call.attributes) };
    let x = call.inputs[0].as_slice::<f32>()?;
    call.outputs[0].as_mut_slice::<f32>()?.iter_mut().zip(x).for_each(|(y, x)| *y = by as f32 * x);
    let mut items = items.clone();
    let last = items.pop().unwrap_or_default();
    call.made = vec![Value::Array(items), last];
    Ok(())
}

#[test]
fn functions_of_the_host_take_objects_and_return_them() {
    let host = || {
        Host::new().with_values("test.pop", |args, attrs| {
            let [Expected::Sequence(items), Expected::Tensor(x)] = args else { panic!("{args:?}") };
            let by = attrs.float("by").unwrap_or_default();
            let y = TensorData::from_f64(DType::F32, x.dims(), x.to_f64().into_iter().map(|x| by * x));
            let mut items = items.clone();
            let last = items.pop().unwrap_or(Expected::None);
            Ok(vec![Expected::Tensor(y), Expected::Sequence(items), last])
        })
    };
    let run = |items: u64| {
        let sequence = Expected::Sequence((0..items).map(|it| floats(&[it + 1], it as f64)).collect());
        let text = HOST.replace("SYMBOL", "test.pop");
        let got = check_with(&host(), &[true], &text, &[sequence, floats(&[2], 9.0)]).unwrap();
        let Value::Array(outputs) = got else { panic!("three outputs") };
        let Value::Array(rest) = &outputs[1] else { panic!("a sequence") };
        assert_eq!(rest.len() as u64, items.saturating_sub(1));
    };
    register_extern("test.pop", HostFunction::in_place(pop));
    [0, 1, 3].into_iter().for_each(run);
    // One of values gets them where they stand among the parameters, and returns objects behind tensors.
    let values = PackedFunc::new("values", |args| {
        let [Value::Array(items), Value::Tensor(x), Value::Float(by)] = args else { panic!("{args:?}") };
        let y: Vec<f32> = x.as_slice::<f32>()?.iter().map(|x| *by as f32 * x).collect();
        let mut items = items.clone();
        let last = items.pop().unwrap_or_default();
        Ok(Value::Array(vec![Tensor::from_slice(&[2], &y)?.into(), Value::Array(items), last]))
    });
    register_extern("test.pop", values);
    [0, 1, 3].into_iter().for_each(run);
}

#[test]
fn what_a_function_returns_is_checked_and_given_back_in_any_case() {
    let refused = |symbol: &str, made: fn() -> Vec<Value>| {
        let function = HostFunction::in_place(move |call| {
            pop(call)?;
            call.made = made();
            Ok(())
        });
        register_extern(symbol, function);
        let host = Host::new().with_values(symbol, |_, _| Err("it is refused".to_owned()));
        let inputs = [Expected::Sequence(vec![floats(&[1], 0.0)]), floats(&[2], 9.0)];
        check_with(&host, &[true], &HOST.replace("SYMBOL", symbol), &inputs).unwrap_err().to_string()
    };
    let none = refused("test.none", Vec::new);
    assert!(none.contains("node `pop`: the function `test.none` must return 2 objects"), "{none}");
    let wrong = refused("test.wrong", || vec![Value::Array(vec![]), Value::Array(vec![])]);
    let expected =
        "node `pop`: the result `last` of the function `test.wrong` is not a tensor or nothing, but an array";
    assert!(wrong.contains(expected), "{wrong}");
    let wrong = refused("test.string", || vec![Value::Str("a text that is not small".into()), Value::None]);
    assert!(wrong.contains("`rest` of the function `test.string` is not an array, but a string"), "{wrong}");
    let missing = HOST.replace("SYMBOL", "test.missing");
    let inputs = [Expected::Sequence(vec![]), floats(&[2], 9.0)];
    let missing = check_with(&Host::new(), &[true], &missing, &inputs).unwrap_err().to_string();
    assert!(missing.contains("node `pop`: ") && missing.contains("test.missing"), "{missing}");
}

#[test]
fn a_borrowed_tensor_is_copied_where_an_object_is_expected() {
    let compiled = compiled_module(&module(OPTIONAL), &options());
    for host in [true, false] {
        let loaded = compiled.jit().unwrap_or_else(|it| panic!("{it}"));
        loaded.set_host(host.then(orogen_runtime::host_table));
        let mut data = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0];
        for (extent, stride, offset, good) in
            [(3, 1, 4, true), (3, 2, 0, false), (1, 9, 20, true), (-1, 1, 0, false)]
        {
            let (mut shape, mut strides) = ([extent], [stride]);
            let mut view = DLTensor {
                data: data.as_mut_ptr().cast(),
                device: DLDevice::CPU,
                ndim: 1,
                dtype: DLDataType::F32,
                shape: shape.as_mut_ptr(),
                strides: strides.as_mut_ptr(),
                byte_offset: offset,
            };
            let mut result = Any::NONE;
            let args = [Any::dl_tensor(&raw mut view)];
            // SAFETY: the parameters of a packed function; the view and its data live until after the call.
            let status = unsafe { (loaded.entry())(std::ptr::null_mut(), args.as_ptr(), 1, &raw mut result) };
            assert_eq!(status == 0, good, "{extent} {stride}");
            if !good {
                continue;
            }
            assert_eq!(result.type_index, TypeIndex::ARRAY);
            // SAFETY: on success the result is an array of two outputs, the second a sequence of one tensor.
            unsafe {
                let outputs = &*result.payload.object.cast::<ArrayObject>();
                let list = &*(*outputs.data.add(1)).payload.object.cast::<ArrayObject>();
                let kept = &(*(*list.data).payload.object.cast::<TensorObject>()).dl_tensor;
                let values = std::slice::from_raw_parts(kept.data.cast::<f32>(), extent as usize);
                let first = offset as usize / 4;
                assert_eq!(values, &data[first..first + extent as usize]);
                assert_ne!(kept.data, data.as_mut_ptr().cast());
                // The array gives back what it holds.
                let header = &*result.payload.object;
                (header.deleter.unwrap())(result.payload.object.cast(), Object::DELETE_BOTH);
            }
        }
    }
}

#[test]
fn wide_sequences_are_made_whole() {
    let items: Vec<String> = (0..150).map(|it| format!("%o{it}")).collect();
    let objects: String = (0..150).map(|it| format!("  object %o{it}: f32[1]\n")).collect();
    let makes: String =
        (0..150).map(|it| format!("    tensor %o{it}\n    copy %in0 to %o{it}; 4\n")).collect();
    let text = format!(
        "plan @main {{\n  in x: f32[1]\n  out s: %o150\n{objects}  object %o150: Sequence<Tensor<f32, [1]>>\n  \
         steps {{\n{makes}    sequence %o150 = ({})\n  }}\n}}\n",
        items.join(", ")
    );
    let Value::Array(items) = check(&text, &[floats(&[1], 4.0)]).unwrap() else { panic!("a sequence") };
    assert_eq!(items.len(), 150);
}
