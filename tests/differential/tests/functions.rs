//! Modules of several functions: every function of each module on every executor of the dataflow path, against the
//! interpreter of the module as it was read. Their kernels may be routines and functions of the host.

use orogen::{CompileOptions, Compiler, Entry, Library, Lowered, Model, OptIn, Step};
use orogen_differential::{chaos, tensors};
use orogen_ir::flow::Module;
use orogen_ir::types::{Attrs, DType, TensorData};
use orogen_reference::{Host, Value, eval_function_with, eval_plans_with};
use orogen_runtime::{HostFunction, register_extern};
use std::path::Path;

const OPTIONS: CompileOptions = CompileOptions {
    accuracy: orogen::Accuracy::Default,
    opt_in: OptIn::DataflowIr,
    dims: Vec::new(),
    overridden: Vec::new(),
    values: Vec::new(),
    separate: false,
    states: Vec::new(),
    threads: 2,
    cpu: orogen::Cpu::Host,
    entry: Entry::Ledger,
    verify: true,
    budget: orogen::Limits::USUAL,
};

fn model(name: &str) -> Model {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/functions");
    Model::open(folder.join(name)).unwrap_or_else(|it| panic!("{it}"))
}

fn floats(dims: &[u64]) -> TensorData {
    let count = dims.iter().product::<u64>();
    TensorData::from_f64(DType::F32, dims, (0..count).map(|it| ((it * 7) % 5) as f64 / 4.0 - 0.25))
}

fn interpreted(
    host: &Host<'_>,
    module: &Module,
    compiler: &Compiler,
    name: &str,
    inputs: &[TensorData],
) -> Vec<TensorData> {
    let args: Vec<Value> = inputs.iter().cloned().map(Value::from).collect();
    let outputs =
        eval_function_with(host, compiler.ops(), module, name, &args).unwrap_or_else(|it| panic!("{it}"));
    outputs.iter().map(|it| it.as_tensor().expect("a tensor").clone()).collect()
}

fn run(library: &Library, name: &str, inputs: &[TensorData]) -> Vec<TensorData> {
    let inputs: Vec<_> = inputs.iter().map(|it| tensors::to_runtime(it).expect("a tensor")).collect();
    let outputs = library.call(name, &inputs).unwrap_or_else(|it| panic!("{name}: {it}"));
    outputs.iter().map(|it| tensors::from_runtime(it).expect("a tensor")).collect()
}

fn same(what: &str, got: &[TensorData], expected: &[TensorData]) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert_eq!((got.dtype(), got.dims()), (expected.dtype(), expected.dims()), "{what}: output {i}");
        for (a, b) in got.to_f64().into_iter().zip(expected.to_f64()) {
            assert!(
                a == b || (a - b).abs() <= 1e-5 * b.abs().max(1.0),
                "{what}: output {i}: {a} instead of {b}"
            );
        }
    }
}

/// Every way to compute a function agrees; returns what it computes.
fn agree(name: &str, function: &str, inputs: &[TensorData]) -> Vec<TensorData> {
    agree_with(&Host::new(), name, function, inputs)
}

/// The same where the module calls functions of a host, which the runtime has as well.
fn agree_with(host: &Host<'_>, name: &str, function: &str, inputs: &[TensorData]) -> Vec<TensorData> {
    let compiler = chaos::compiler().unwrap_or_else(|it| panic!("{it}"));
    let model = model(name);
    let lower = |step| compiler.lower(&model, &OPTIONS, step).unwrap_or_else(|it| panic!("{it}")).0;
    let Lowered::Flow(module) = lower(Step::Import) else { panic!("a module") };
    let expected = interpreted(host, &module, &compiler, function, inputs);
    for step in [Step::Simplify, Step::Legalize, Step::Fuse, Step::PlanMemory] {
        let got = match lower(step) {
            Lowered::Flow(module) => interpreted(host, &module, &compiler, function, inputs),
            Lowered::Plan(plans) => {
                eval_plans_with(host, &plans, function, inputs).unwrap_or_else(|it| panic!("{step}: {it}"))
            }
            Lowered::Graph(_) => panic!("a module stays on the dataflow path"),
        };
        same(&format!("{name}/{function}/{step}"), &got, &expected);
    }
    let artifact = compiler.compile(&model, &OPTIONS).unwrap_or_else(|it| panic!("{it}"));
    chaos::note(&artifact);
    same("in memory", &run(&artifact.load().expect("it loads"), function, inputs), &expected);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.so");
    artifact.write_library(&path).expect("it can be written");
    same("library", &run(&Library::open(&path).expect("it loads"), function, inputs), &expected);
    expected
}

#[test]
fn exported_functions_call_each_other_and_private_ones() {
    let texts = floats(&[3, 3]);
    let vectors = agree("retrieval.flow", "encode", std::slice::from_ref(&texts));
    let scores = agree("retrieval.flow", "score", &[texts, vectors[0].clone()]);
    // A vector of length 1 has the product 1 with itself.
    assert_eq!(scores[0].dims(), [3, 3]);
    (0..3).for_each(|i| assert!((scores[0].get_f64(i * 4) - 1.0).abs() < 1e-5));
}

#[test]
fn results_whose_size_data_decide_bind_it_in_the_caller() {
    let x = TensorData::from_f64(DType::F32, &[5], [0.5, 0.0, 1.5, 0.0, 2.0]);
    for rounds in [0, 1, 4] {
        let outputs = agree(
            "places.flow",
            "main",
            &[x.clone(), TensorData::from_f64(DType::I64, &[], [rounds as f64])],
        );
        assert_eq!(outputs[0].to_f64(), [0.0, 2.0, 4.0]);
        assert_eq!(outputs[3].get_i64(0), rounds);
    }
    agree("places.flow", "places", &[TensorData::from_f64(DType::F32, &[0], [])]);
}

#[test]
fn views_are_arguments_and_calls_stand_in_branches() {
    for yes in [0.0, 1.0] {
        let outputs =
            agree("branches.flow", "main", &[floats(&[3, 4]), TensorData::from_f64(DType::Bool, &[], [yes])]);
        assert_eq!(outputs[0].dims(), [6, 2]);
    }
}

#[test]
fn functions_of_the_host_are_called_in_functions_and_loops() {
    let sorted = |args: &[TensorData], _: &Attrs| {
        let mut values = args[0].to_f64();
        values.chunks_mut(4).for_each(|row| row.sort_by(f64::total_cmp));
        Ok(vec![TensorData::from_f64(DType::F32, args[0].dims(), values)])
    };
    let native = HostFunction::in_place(|call| {
        let y = call.outputs[0].as_mut_slice::<f32>()?;
        y.copy_from_slice(call.inputs[0].as_slice::<f32>()?);
        y.chunks_mut(4).for_each(|row| row.sort_by(f32::total_cmp));
        Ok(())
    });
    register_extern("acme.sort_rows", native);
    let host = Host::new().with("acme.sort_rows", sorted);
    let x = floats(&[3, 4]);
    for rounds in [0.0, 2.0] {
        let outputs = agree_with(
            &host,
            "host.flow",
            "main",
            &[x.clone(), TensorData::from_f64(DType::I64, &[], [rounds])],
        );
        assert!(outputs[0].to_f64().chunks(4).all(<[f64]>::is_sorted));
    }
}

#[test]
fn functions_of_the_host_with_effects_update_their_operands_in_order() {
    let counted = |args: &[TensorData], attrs: &Attrs| {
        let by = attrs.int("level").unwrap_or(0) * args[0].len() as i64;
        Ok(vec![TensorData::ints(&[args[1].get_i64(0) * 10 + by])])
    };
    let native = HostFunction::in_place(|call| {
        let elements = call.inputs[0].as_slice::<f32>()?.len() as i64;
        let count = call.outputs[0].as_mut_slice::<i64>()?;
        count[0] = count[0] * 10 + 3 * elements;
        Ok(())
    });
    register_extern("acme.log", native);
    let host = Host::new().with("acme.log", counted);
    let outputs = agree_with(&host, "effects.flow", "main", &[floats(&[2]), TensorData::ints(&[1])]);
    // ((1 · 10 + 6) · 10 + 6), and the operand keeps its value.
    assert_eq!((outputs[0].get_i64(0), outputs[1].get_i64(0)), (166, 1));
}

#[test]
fn functions_of_the_host_take_and_give_objects() {
    let reversed = |args: &[Value], _: &Attrs| {
        let [Value::Sequence(items), Value::Tensor(x)] = args else { panic!("{args:?}") };
        let count = items.len() as f64;
        let sum = TensorData::from_f64(DType::F32, &[1], x.to_f64().into_iter().map(|x| x + count));
        Ok(vec![Value::Tensor(sum), Value::Sequence(items.iter().rev().cloned().collect())])
    };
    let native = HostFunction::in_place(|call| {
        let [orogen_runtime::Value::Array(items)] = &call.objects[..] else { panic!("{:?}", call.objects) };
        let x = call.inputs[0].as_slice::<f32>()?[0];
        call.outputs[0].as_mut_slice::<f32>()?[0] = x + items.len() as f32;
        call.made = vec![orogen_runtime::Value::Array(items.iter().rev().cloned().collect())];
        Ok(())
    });
    register_extern("acme.reverse", native);
    let host = Host::new().with_values("acme.reverse", reversed);
    let by = TensorData::from_f64(DType::F32, &[1], [2.0]);
    for turns in [0_u32, 1, 4] {
        let inputs = [floats(&[3]), by.clone(), TensorData::from_f64(DType::I64, &[], [f64::from(turns)])];
        let outputs = agree_with(&host, "objects.flow", "main", &inputs);
        assert_eq!(outputs[1].to_f64(), [2.0 + 3.0 * f64::from(turns)]);
        let same = outputs[0] == inputs[0];
        assert_eq!(same, turns % 2 == 0, "the first item is the last one after an odd number of turns");
    }
}

#[test]
fn routines_are_kernels_like_any_other() {
    let x = TensorData::from_f64(DType::F32, &[2, 3], [0.0, 2.0, 0.0, 1.0, 0.0, -1.0]);
    for count in [0, 2, 3, 5] {
        let outputs = agree("routine.flow", "main", &[x.clone(), TensorData::ints(&[count])]);
        assert_eq!(outputs[0].dims(), [2, count as u64]);
    }
    let outputs = agree("routine.flow", "main", &[x, TensorData::ints(&[3])]);
    assert_eq!(outputs[0].to_f64(), [0.0, 1.0, 1.0, 1.0, 0.0, 2.0]);
}
