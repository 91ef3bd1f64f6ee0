//! What `orogen print` prints of real models reads back, at every stage of both paths.

use orogen::{CompileOptions, Compiler, Lowered, OptIn, Step};
use orogen_ir::ops::OpRegistry;
use orogen_ir::{flow, graph, plan};
use std::path::Path;

/// Prints, reads with the constants beside the text, and compares.
fn read_back(lowered: &Lowered, ops: &OpRegistry) -> Result<(), String> {
    let text = lowered.print(ops);
    let (again, difference) = match lowered {
        Lowered::Graph(it) => {
            let back =
                graph::text::parse_with_constants(&text, ops, &it.constants).map_err(|it| it.to_string())?;
            let difference = graph::difference(it, &back);
            (Lowered::Graph(back), difference)
        }
        Lowered::Flow(it) => {
            let back =
                flow::text::parse_with_constants(&text, ops, &it.constants).map_err(|it| it.to_string())?;
            let difference = flow::difference(it, &back);
            (Lowered::Flow(back), difference)
        }
        Lowered::Plan(it) => (
            Lowered::Plan(
                plan::parse_plans(&text, it.constants().expect("a function")).map_err(|it| it.to_string())?,
            ),
            None,
        ),
    };
    if let Some(difference) = difference {
        return Err(difference);
    }
    let same = again.print(ops) == text;
    if same { Ok(()) } else { Err("the text printed again differs".to_string()) }
}

/// Writes a text with its constants, and reads it as another process would.
fn written_and_read(compiler: &Compiler, lowered: &Lowered, options: &CompileOptions) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model").with_extension(lowered.suffix());
    let said = |it: orogen::Diagnostics| it.to_string();
    lowered.write_text(compiler.ops(), &path).map_err(|it| it.to_string())?;
    let model = compiler.open(&path).map_err(said)?;
    // Sizes that were bound are numbers in the text.
    let options = CompileOptions { dims: Vec::new(), ..options.clone() };
    let (again, _) = compiler.run_passes(&model, &options, &[""; 0]).map_err(said)?;
    again.write_text(compiler.ops(), &path).map_err(|it| it.to_string())?;
    let text = std::fs::read_to_string(&path).expect("written");
    let mut sealed = orogen::constants::Constants::default();
    let same = lowered.print_sealed(compiler.ops(), &mut sealed) == text;
    if same { Ok(()) } else { Err("the text written again differs".to_string()) }
}

#[test]
fn printed_models_read_back_at_every_stage() {
    let compiler = Compiler::standard();
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models");
    let dataflow = CompileOptions { opt_in: OptIn::DataflowIr, ..CompileOptions::default() };
    let legacy = |dims: &[(&str, u64)]| CompileOptions {
        dims: dims.iter().map(|(name, size)| (name.to_string(), *size)).collect(),
        ..CompileOptions::default()
    };
    let cases = [
        ("magika_v3_3", legacy(&[("unk__214", 1)])),
        ("magika_v3_3", dataflow.clone()),
        ("ppocr_cls_mobile_v2", dataflow.clone()),
        ("control_flow", dataflow.clone()),
        ("silero_vad_16k_sequence", dataflow),
    ];
    for (name, options) in cases {
        let model = compiler.open(models.join(name).join("model.onnx")).expect("a model of the repository");
        for step in Step::ALL.into_iter().filter(|it| *it != Step::Codegen) {
            let (lowered, _) = compiler.lower(&model, &options, step).expect("it lowers");
            let path = options.opt_in.name();
            let read = read_back(&lowered, compiler.ops());
            if let Err(error) = read.and_then(|()| written_and_read(&compiler, &lowered, &options)) {
                panic!("{name}, {path}, {}: {error}", step.name());
            }
        }
    }
}
