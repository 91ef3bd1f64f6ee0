//! Inputs with a default: what a caller may leave out.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(unsafe_code, reason = "calls generated code")]

mod harness;

use harness::{compiled_module, options};
use orogen_codegen::{CodegenOptions, OUTSIDE};
use orogen_ir::plan::{PlanModule, parse_plans, verify_module};
use orogen_ir::types::{ConstPool, DType, TensorData};
use orogen_reference::eval_plans;
use orogen_runtime::{Library, RunOptions, Tensor, Value};

/// `y = x + k` and `z = w`; the version for the defaults says of itself by a `y` that is one more.
const MODULE: &str = "module {
  constant f32[2] [10, 20]
  constant f32[1] [7]
  kernel @sum {
    size n
    in %x: f32[n]
    in %k: f32[n]
    out %y: f32[n]
    for i < n { %y[i] = %x[i] + %k[i] }
  }
  kernel @more {
    in %x: f32[2]
    in %k: f32[2]
    out %y: f32[2]
    for i < 2 { %y[i] = %x[i] + %k[i] + f32(1) }
  }
  plan @main {
    size n
    size m
    in x: f32[n]
    in k: f32[n] = #0
    in w: f32[m] = #1
    defaults 1 @main.defaults
    out y: f32[n]
    out z: f32[m]
    from n = %in0[0]
    from m = %in2[0]
    steps {
      alloc %out0
      alloc %out1
      call 0 @sum(%in0, %in1, %out0) [n]
      copy %in2 to %out1; 4*m
    }
  }
  private plan @main.defaults {
    in x: f32[2]
    out y: f32[2]
    out z: f32[1]
    steps {
      alloc %out0
      alloc %out1
      call 1 @more(%in0, #0, %out0)
      copy #1 to %out1; 4
    }
  }
}
";

fn library(text: &str, options: &CodegenOptions) -> (PlanModule, Library) {
    let module = parse_plans(text, &ConstPool::default()).unwrap_or_else(|it| panic!("{it}"));
    verify_module(&module).unwrap_or_else(|it| panic!("{it}"));
    let library = harness::library(&compiled_module(&module, options));
    (module, library)
}

fn tensor(values: &[f32]) -> Tensor {
    Tensor::from_slice(&[values.len() as i64], values).unwrap()
}

fn run(library: &Library, given: &[Option<&[f32]>]) -> Result<Vec<Vec<f32>>, String> {
    let value = |it: &Option<&[f32]>| it.map_or(Value::None, |it| tensor(it).into());
    let mut given: Vec<Value> = given.iter().map(value).collect();
    let outputs = library.call_values("main", &mut given, RunOptions::default());
    let outputs = outputs.map_err(|it| it.to_string())?.into_iter().map(|it| it.into_tensor().unwrap());
    Ok(outputs.map(|it| it.as_slice::<f32>().unwrap().to_vec()).collect())
}

#[test]
fn what_is_left_out_has_its_default() {
    let (module, library) = library(MODULE, &options());
    let function = library.signature().function("main").unwrap();
    assert_eq!(library.signature().functions.len(), 1, "the version is private");
    assert_eq!((function.required(), function.inputs.len()), (1, 3));
    let x: Option<&[f32]> = Some(&[1.0, 2.0]);
    let k: Option<&[f32]> = Some(&[3.0, 4.0]);
    let w: Option<&[f32]> = Some(&[5.0, 6.0]);
    let at_defaults = Ok(vec![vec![12.0, 23.0], vec![7.0]]);
    assert_eq!(run(&library, &[x]), at_defaults);
    assert_eq!(run(&library, &[x, None]), at_defaults);
    assert_eq!(run(&library, &[x, None, None]), at_defaults);
    assert_eq!(run(&library, &[x, k]), Ok(vec![vec![4.0, 6.0], vec![7.0]]));
    assert_eq!(run(&library, &[x, k, None]), Ok(vec![vec![4.0, 6.0], vec![7.0]]));
    assert_eq!(run(&library, &[x, None, w]), Ok(vec![vec![11.0, 22.0], vec![5.0, 6.0]]));
    assert_eq!(run(&library, &[x, k, w]), Ok(vec![vec![4.0, 6.0], vec![5.0, 6.0]]));

    // The interpreter knows no other versions: leaving out is all the same to it.
    let data = |values: [f64; 2]| TensorData::from_f64(DType::F32, &[2], values);
    let outputs = eval_plans(&module, "main", &[data([1.0, 2.0]), data([3.0, 4.0])]).unwrap();
    assert_eq!([outputs[0].to_f64(), outputs[1].to_f64()], [vec![4.0, 6.0], vec![7.0]]);
    let outputs = eval_plans(&module, "main", &[data([1.0, 2.0])]).unwrap();
    assert_eq!(outputs[0].to_f64(), [11.0, 22.0]);
}

#[test]
fn hosts_leave_out_and_give_nothing() {
    let (_, library) = library(MODULE, &options());
    let function = library.function("main").unwrap();
    let first = |values: &[Value]| -> Result<Vec<f32>, String> {
        match function.call(values).map_err(|it| it.to_string())? {
            Value::Array(items) => match &items[0] {
                Value::Tensor(tensor) => Ok(tensor.as_slice::<f32>().unwrap().to_vec()),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    };
    let x = || Value::from(tensor(&[1.0, 2.0]));
    assert_eq!(first(&[x()]), Ok(vec![12.0, 23.0]));
    assert_eq!(first(&[x(), Value::None, Value::None]), Ok(vec![12.0, 23.0]));
    assert_eq!(first(&[x(), Value::None, tensor(&[1.0]).into()]), Ok(vec![11.0, 22.0]));
    let refused: [(&[Value], &str); 5] = [
        (&[], "wrong number of arguments (inputs: x, k, w): expected at least 1, got 0"),
        (&[x(), x(), x(), x()], "wrong number of arguments (inputs: x, k, w): expected at most 3, got 4"),
        (&[Value::None], "input `x` (argument 0) is not a tensor, but nothing"),
        (&[x(), Value::Int(1)], "input `k` (argument 1) is not a tensor, but an integer"),
        (
            &[tensor(&[1.0, 2.0, 3.0]).into(), Value::None, x()],
            "input `k`: dimension 0 (`n`): expected 3, got 2",
        ),
    ];
    for (given, message) in refused {
        let error = first(given).expect_err(message);
        assert!(error.contains(message), "{error}");
    }
    // The version for the defaults speaks for the function.
    let error = first(&[tensor(&[1.0, 2.0, 3.0]).into()]).expect_err("three elements");
    assert!(
        error.contains("input `x`: dimension 0: expected 2, got 3") && !error.contains("main.defaults"),
        "{error}"
    );
}

#[test]
fn an_input_without_a_default_is_missed() {
    let (_, library) = library(MODULE, &options());
    let error = run(&library, &[None, None]).expect_err("`x` has no default");
    assert!(error.contains("input `x` of `main`: expected a tensor, got nothing"), "{error}");
    assert!(run(&library, &[]).expect_err("nothing").contains("takes 3 inputs, got 0"));
}

/// Without a version for it, the function itself takes all defaults.
#[test]
fn a_version_is_not_needed() {
    let text = MODULE.replace("    defaults 1 @main.defaults\n", "");
    let (_, library) = library(&text, &options());
    assert_eq!(run(&library, &[Some(&[1.0, 2.0])]), Ok(vec![vec![11.0, 22.0], vec![7.0]]));
}

/// A default may lie outside of the library, as any constant.
#[test]
fn defaults_may_lie_outside() {
    let many: Vec<String> = (0..300).map(|it| it.to_string()).collect();
    let text = MODULE
        .replace("constant f32[2] [10, 20]", &format!("constant \"k\" f32[300] [{}]", many.join(", ")))
        .replace("f32[2]", "f32[300]")
        .replace("i < 2", "i < 300");
    let (_, library) = library(&text, &CodegenOptions { separate: Some(OUTSIDE), ..options() });
    let x = vec![0.5f32; 300];
    let missing = run(&library, &[Some(&x), None, Some(&[1.0])]).expect_err("not given");
    assert!(missing.contains("parameters"), "{missing}");
    let k: Vec<f32> = (0..300).map(|it| it as f32).collect();
    library.set_parameters(&[("k".to_owned(), tensor(&k))]).unwrap();
    let outputs = run(&library, &[Some(&x), None, Some(&[1.0])]).unwrap();
    assert_eq!((outputs[0][0], outputs[0][299]), (0.5, 299.5));
}
