//! The models kept in `tests/models`, imported and evaluated against their references.

use orogen_ir::flow::FlowBuilder;
use orogen_ir::graph::GraphBuilder;
use orogen_ir::ops::OpRegistry;
use orogen_ir::types::{DType, TensorData};
use orogen_npz::Archive;
use orogen_onnx::{ImportReport, Model, Options, import};
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models")
}

fn read(path: &Path) -> Vec<(String, TensorData)> {
    let file = std::io::BufReader::new(std::fs::File::open(path).expect("a reference file"));
    let mut archive = Archive::new(file).expect("an archive");
    let names = archive.keys().to_vec();
    names
        .into_iter()
        .map(|name| {
            let array = archive.read(&name).expect("readable");
            let dtype = DType::from_npy(&array.kind.to_string()).expect("a known type");
            (name, TensorData::new(dtype, array.shape, array.bytes.into()).expect("a whole array"))
        })
        .collect()
}

fn find(list: &[(String, TensorData)], name: &str) -> TensorData {
    let found = list.iter().find(|(it, _)| it == name);
    found.unwrap_or_else(|| panic!("`{name}` is not in the reference")).1.clone()
}

fn close(report: &ImportReport, reference: &[(String, TensorData)], results: &[TensorData]) {
    for ((name, _), result) in report.outputs.iter().zip(results) {
        let expected = find(reference, &format!("out:{name}"));
        assert_eq!(result.dims(), expected.dims(), "`{name}`");
        let (found, expected) = (result.to_f64(), expected.to_f64());
        let largest = expected.iter().fold(0f64, |a, b| a.max(b.abs()));
        let error = found.iter().zip(&expected).fold(0f64, |a, (x, y)| a.max((x - y).abs()));
        assert!(error <= 1e-5 * largest, "`{name}` is off by {error}, largest {largest}");
    }
}

fn flow(model: &str, references: &[&str]) {
    let ops = OpRegistry::standard();
    let mut sink = FlowBuilder::new(&ops, "model");
    let file = Model::open(folder().join(model).join("model.onnx")).unwrap();
    let report = import(&file, &Options::default(), &mut sink).unwrap();
    let module = sink.finish().unwrap();
    for reference in references {
        let reference = read(&folder().join(model).join(reference));
        let args: Vec<_> = report
            .inputs
            .iter()
            .map(|(name, _)| orogen_reference::Value::from(find(&reference, &format!("in:{name}"))))
            .collect();
        let results = orogen_reference::eval_function(&ops, &module, "main", &args).unwrap();
        let results: Vec<TensorData> = results.iter().filter_map(|it| it.as_tensor().cloned()).collect();
        close(&report, &reference, &results);
    }
}

fn graph(model: &str, dims: &[(&str, u64)], reference: &str) {
    let ops = OpRegistry::standard();
    let mut sink = GraphBuilder::new(&ops, "model");
    let file = Model::open(folder().join(model).join("model.onnx")).unwrap();
    let options = dims.iter().fold(Options::default(), |options, (name, size)| options.with_dim(name, *size));
    let report = import(&file, &options, &mut sink).unwrap();
    let graph = sink.finish().unwrap();
    let reference = read(&folder().join(model).join(reference));
    let args: Vec<TensorData> =
        report.inputs.iter().map(|(name, _)| find(&reference, &format!("in:{name}"))).collect();
    let results = orogen_reference::eval_graph(&ops, &graph, &args).unwrap();
    close(&report, &reference, &results);
}

#[test]
fn speech_detection_runs_at_every_length() {
    flow("silero_vad_16k_sequence", &["reference_short.npz", "reference.npz"]);
}

#[test]
fn control_flow_runs() {
    flow("control_flow", &["reference.npz"]);
}

#[test]
fn text_orientation_runs_on_both_paths() {
    flow("ppocr_cls_mobile_v2", &["reference.npz"]);
    let dims = [("x_dim0", 1), ("x_dim2", 48), ("x_dim3", 192)];
    graph("ppocr_cls_mobile_v2", &dims, "reference.npz");
}

/// Weights of a file of megabytes are slices of the mapping: none of them is owned memory.
#[test]
fn weights_are_not_copied() {
    let ops = OpRegistry::standard();
    let path = folder().join("silero_vad_16k_sequence").join("model.onnx");
    let length = std::fs::metadata(&path).unwrap().len() as usize;
    let model = Model::open(&path).unwrap();
    let mut sink = FlowBuilder::new(&ops, "model");
    import(&model, &Options::default(), &mut sink).unwrap();
    let module = sink.finish().unwrap();
    let large: Vec<usize> = module
        .constants
        .ids()
        .map(|id| module.constants.data(id).bytes())
        .filter(|it| it.len() > 4096)
        .map(|it| it.as_ptr() as usize)
        .collect();
    assert!(large.len() > 4);
    let (low, high) = (large.iter().min().unwrap(), large.iter().max().unwrap());
    assert!(high - low < length, "the constants lie in one mapping of {length} bytes");
}
