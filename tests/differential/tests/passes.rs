//! Passes that are off by default: what code computes with each of them, against the interpreter of the program as it was
//! read.

use orogen::compare::{Limits, difference};
use orogen::{Accuracy, CompileOptions, Compiler, Lowered, OptIn, Step};
use orogen_differential::tensors;
use orogen_ir::shape::ShapeCx;
use orogen_ir::types::{DType, TensorData, Type};
use orogen_reference::{Value, eval_function};
use std::path::Path;

/// The program of a text test.
fn program(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../filetests/passes").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|it| panic!("{}: {it}", path.display()));
    let end = text.find("// -----").unwrap_or(text.len());
    text[..end].to_owned()
}

/// Data of a type, of five for each size that is a symbol.
fn data(shapes: &ShapeCx, ty: &Type) -> TensorData {
    let ty = ty.as_tensor().expect("a tensor");
    let size = |dim: &_| shapes.as_int(*dim).map_or(5, |it| u64::try_from(it).expect("a size"));
    let dims: Vec<u64> = ty.dims().expect("a shape").iter().map(size).collect();
    let count = dims.iter().product::<u64>();
    let value = |i: u64| match ty.dtype {
        DType::Bool => (i % 3 % 2) as f64,
        _ => ((i * 5 + 3) % 7) as f64 / 4.0 - 0.5,
    };
    TensorData::from_f64(ty.dtype, &dims, (0..count).map(value))
}

/// Runs a program with passes that a list adds, and compares with the interpreter.
fn agree(name: &str, passes: &str, accuracy: Accuracy, tol: f64) {
    let what = format!("{name} with {passes}");
    let options = CompileOptions {
        opt_in: OptIn::DataflowIr,
        threads: 2,
        verify: true,
        accuracy,
        ..CompileOptions::default()
    };
    let plain = Compiler::standard();
    let model = plain.decode(name, program(name).into_bytes()).unwrap_or_else(|it| panic!("{it}"));
    let (lowered, _) =
        plain.lower(&model, &options, Step::Import).unwrap_or_else(|it| panic!("{what}: {it}"));
    let Lowered::Flow(module) = lowered else { panic!("{what}: a module") };
    let (entry, function) = module.entry().expect("a function");
    let inputs: Vec<TensorData> =
        function.params().iter().map(|it| data(&module.shapes, &function[it.value].ty)).collect();
    let args: Vec<Value> = inputs.iter().cloned().map(Value::from).collect();
    let expected =
        eval_function(plain.ops(), &module, entry, &args).unwrap_or_else(|it| panic!("{what}: {it}"));

    let compiler = Compiler::builder().passes(passes).build().unwrap_or_else(|it| panic!("{what}: {it}"));
    let artifact = compiler.compile(&model, &options).unwrap_or_else(|it| panic!("{what}: {it}"));
    let inputs: Vec<_> = inputs.iter().map(|it| tensors::to_runtime(it).expect("a tensor")).collect();
    let library = artifact.load().unwrap_or_else(|it| panic!("{what}: {it}"));
    let found = library.call(entry, &inputs).unwrap_or_else(|it| panic!("{what}: {it}"));
    assert_eq!(found.len(), expected.len(), "{what}");
    let limits = Limits { tol: Some(tol), atol: None, rtol: None, ulp: None };
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let found = tensors::from_runtime(found).expect("a tensor");
        let difference = difference(&found, expected.as_tensor().expect("a tensor"), &limits);
        assert!(difference.passes(), "{what}: output {i}: {difference}");
    }
}

#[test]
fn products_of_one_value_are_merged() {
    agree("merge_products.flow", "+merge-products", Accuracy::Default, 1e-6);
    agree("merge_products_some.flow", "+merge-products", Accuracy::Strict, 1e-6);
    agree("merge_steps.flow", "+merge-products", Accuracy::Strict, 1e-6);
}

#[test]
fn chains_have_another_order() {
    agree("order_products.flow", "+order-products", Accuracy::Default, 1e-5);
}

#[test]
fn attention_is_what_its_parts_are() {
    agree("name_attention.flow", "+name-attention", Accuracy::Default, 1e-5);
    agree("name_attention.flow", "+name-attention,+mixed-precision", Accuracy::Fast, 3e-2);
}

#[test]
fn attention_is_one_kernel() {
    agree(
        "fuse_attention.flow",
        "+fuse-attention{queries=1,scores=1,ratio=1,open=fuse}",
        Accuracy::Default,
        2e-3,
    );
    let passes = "+fuse-attention{queries=1,scores=1,ratio=1,open=fuse}";
    agree("name_attention.flow", passes, Accuracy::Default, 1e-5);
    // Large enough for it to be so by default, with rows beside each other and rows that would share a set of the cache.
    agree("fuse_attention.graph", "default", Accuracy::Default, 1e-5);
    agree("fuse_attention_lines.graph", "default", Accuracy::Default, 1e-5);
}

#[test]
fn operators_compute_in_narrow_types() {
    for to in ["bf16", "f16"] {
        let passes = format!("+mixed-precision{{to={to}}}");
        agree("mixed_precision.flow", &passes, Accuracy::Fast, 1e-2);
        agree("merge_products.flow", &passes, Accuracy::Fast, 1e-2);
    }
}

#[test]
fn rows_are_quantised_when_they_are_there() {
    agree("quantize_rows.flow", "+quantize-rows", Accuracy::Fast, 1e-2);
}

#[test]
fn functions_go_or_become_smaller() {
    for name in ["remove_unused.flow", "remove_unused_sizes.flow", "inline_sizes.flow", "infer_effects.flow"]
    {
        agree(name, "+remove-unused", Accuracy::Default, 1e-6);
        agree(name, "+infer-effects,+inline", Accuracy::Default, 1e-6);
    }
}

#[test]
fn sizes_are_bound() {
    agree("merge_products.flow", "+bind-sizes{sizes=n:5}", Accuracy::Default, 1e-6);
}

/// What is lifted runs first, and its result takes the place of the parameters.
#[test]
fn parameters_are_lifted() {
    let name = "lift_parameters.flow";
    let options = CompileOptions { opt_in: OptIn::DataflowIr, verify: true, ..CompileOptions::default() };
    let run = |passes: &str, calls: &dyn Fn(&orogen_runtime::Library) -> TensorData| {
        let compiler = Compiler::builder().passes(passes).build().unwrap_or_else(|it| panic!("{it}"));
        let model = compiler.decode(name, program(name).into_bytes()).unwrap_or_else(|it| panic!("{it}"));
        let artifact = compiler.compile(&model, &options).unwrap_or_else(|it| panic!("{it}"));
        calls(&artifact.load().unwrap_or_else(|it| panic!("{it}")))
    };
    let tensor = |dims: &[u64]| {
        let count = dims.iter().product::<u64>();
        TensorData::from_f64(DType::F32, dims, (0..count).map(|i| (i % 7) as f64 - 2.5))
    };
    let [x, w, s] =
        [&[5, 2][..], &[3, 2], &[3, 1]].map(|it| tensors::to_runtime(&tensor(it)).expect("a tensor"));
    let whole = run("+canonicalize", &|library| {
        let y = library.call("main", &[x.clone(), w.clone(), s.clone()]).expect("a result");
        tensors::from_runtime(&y[0]).expect("a tensor")
    });
    let lifted = run("+lift-parameters{of=w:s}", &|library| {
        let made = library.call("main_parameters", &[w.clone(), s.clone()]).expect("a result");
        let y = library.call("main", &[x.clone(), made[0].clone()]).expect("a result");
        tensors::from_runtime(&y[0]).expect("a tensor")
    });
    assert_eq!(lifted, whole);
}

#[test]
fn composites_are_called() {
    let passes = "+fuse-by-pattern{name=gate,pattern=\"mul(x, sigmoid(x))\"}";
    agree("fuse_by_pattern.flow", passes, Accuracy::Default, 1e-6);
}
