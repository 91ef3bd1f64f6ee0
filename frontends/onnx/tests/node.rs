//! One small model for each case in `tests/node`, imported into both IRs and evaluated by the reference
//! interpreter. A file holds its operands and expected results as initializers `in:NAME` and `out:NAME`.

use orogen_ir::flow::FlowBuilder;
use orogen_ir::graph::GraphBuilder;
use orogen_ir::ops::OpRegistry;
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::{ModelProto, TensorProto};
use orogen_onnx::{ImportReport, Model, Options, dtype_of, import};
use prost::Message;
use std::path::Path;

fn data(tensor: &TensorProto) -> TensorData {
    let dtype = dtype_of(tensor.data_type).expect("an element type");
    let dims = tensor.dims.iter().map(|it| *it as u64).collect();
    let bytes = tensor.raw_data.clone().unwrap_or_default().to_vec();
    TensorData::new(dtype, dims, bytes.into()).expect("a whole tensor")
}

fn find(proto: &ModelProto, prefix: &str, name: &str) -> Option<TensorData> {
    let wanted = format!("{prefix}:{name}");
    proto.graph.as_ref()?.initializer.iter().find(|it| it.name == wanted).map(data)
}

fn inputs(proto: &ModelProto, report: &ImportReport) -> Vec<TensorData> {
    report.inputs.iter().map(|(name, _)| find(proto, "in", name).expect("an operand")).collect()
}

fn compare(proto: &ModelProto, report: &ImportReport, results: &[TensorData]) -> Result<(), String> {
    for ((name, _), result) in report.outputs.iter().zip(results) {
        let Some(expected) = find(proto, "out", name) else { return Err(format!("no expected `{name}`")) };
        if (result.dtype(), result.dims()) != (expected.dtype(), expected.dims()) {
            return Err(format!(
                "`{name}` is {}{:?}, expected {}{:?}",
                result.dtype(),
                result.dims(),
                expected.dtype(),
                expected.dims()
            ));
        }
        let relative = if expected.dtype() == DType::F16 { 2e-3 } else { 1e-4 };
        for (i, (found, expected)) in result.to_f64().into_iter().zip(expected.to_f64()).enumerate() {
            let close = (found - expected).abs() <= 1e-6 + relative * expected.abs();
            if !(found == expected || close || (found.is_nan() && expected.is_nan())) {
                return Err(format!("`{name}`[{i}] is {found}, expected {expected}"));
            }
        }
    }
    Ok(())
}

fn run_flow(ops: &OpRegistry, model: &Model, proto: &ModelProto) -> Result<(), String> {
    let mut sink = FlowBuilder::new(ops, "case");
    let report = import(model, &Options::default(), &mut sink).map_err(|it| it.to_string())?;
    let module = sink.finish().map_err(|it| it.to_string())?;
    let args: Vec<_> = inputs(proto, &report).into_iter().map(orogen_reference::Value::from).collect();
    let results =
        orogen_reference::eval_function(ops, &module, "main", &args).map_err(|it| it.to_string())?;
    let results: Vec<TensorData> = results.iter().filter_map(|it| it.as_tensor().cloned()).collect();
    compare(proto, &report, &results)
}

/// `None` when the legacy graph cannot hold the model.
fn run_graph(ops: &OpRegistry, model: &Model, proto: &ModelProto) -> Option<Result<(), String>> {
    let mut sink = GraphBuilder::new(ops, "case");
    let report = import(model, &Options::default(), &mut sink).ok()?;
    let graph = sink.finish().ok()?;
    let args = inputs(proto, &report);
    let results = orogen_reference::eval_graph(ops, &graph, &args).map_err(|it| it.to_string());
    Some(results.and_then(|it| compare(proto, &report, &it)))
}

#[test]
fn every_case_computes_what_the_onnx_suite_expects() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder of cases")
        .map(|it| it.expect("an entry").path())
        .filter(|it| it.extension().is_some_and(|it| it == "onnx"))
        .collect();
    files.sort();
    assert!(files.len() > 200, "{} cases", files.len());
    let ops = OpRegistry::standard();
    let (mut failures, mut legacy) = (Vec::new(), 0);
    for file in &files {
        let name = file.file_stem().and_then(|it| it.to_str()).expect("a name");
        let proto = ModelProto::decode(&*std::fs::read(file).expect("a file")).expect("a model");
        let model = Model::open(file).unwrap_or_else(|it| panic!("{name}: {it}"));
        if let Err(error) = run_flow(&ops, &model, &proto) {
            failures.push(format!("{name}, flow: {error}"));
        }
        match run_graph(&ops, &model, &proto) {
            Some(Err(error)) => failures.push(format!("{name}, graph: {error}")),
            Some(Ok(())) => legacy += 1,
            None => {}
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(legacy * 10 > files.len() * 9, "only {legacy} of {} cases run on the legacy graph", files.len());
}
