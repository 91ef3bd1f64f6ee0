//! `orogen inspect`

use crate::args::InspectArgs;
use crate::config;
use crate::failure::Failure;
use crate::inputs::main_function;
use crate::output::say;
use crate::subject::is_library;
use orogen::{CompileOptions, MetadataView, Model, OptIn, Step, lower};
use orogen_abi::signature::{Dim, Parameter};
use orogen_ir::ops::OpRegistry;
use orogen_runtime::Library;
use serde_json::json;
use std::process::ExitCode;

pub(crate) fn run(args: &InspectArgs) -> Result<ExitCode, Failure> {
    if is_library(&args.model)? { library(args) } else { model(args) }
}

fn library(args: &InspectArgs) -> Result<ExitCode, Failure> {
    let library = Library::open(&args.model).map_err(Failure::Load)?;
    let function = main_function(&library)?;
    let size =
        std::fs::metadata(&args.model).map_err(|error| Failure::file(&args.model, "read", error))?.len();
    let view: MetadataView = serde_json::from_str(library.metadata()).unwrap_or_default();
    if args.json {
        let list = |it: &[Parameter]| it.iter().map(describe).collect::<Vec<_>>();
        say!(
            "{}",
            json!({ "kind": "library", "bytes": size, "inputs": list(&function.inputs), "outputs": list(&function.outputs), "metadata": view })
        );
        return Ok(ExitCode::SUCCESS);
    }
    say!("library of model `{}`, {size} bytes, made by {}", view.model, view.compiler);
    function.inputs.iter().for_each(|it| say!("  input  {}", describe(it)));
    function.outputs.iter().for_each(|it| say!("  output {}", describe(it)));
    say!("  symbols: {}", list_or(&view.symbols, "none"));
    say!("  opt-ins: {}", list_or(&view.opt_in, "none (legacy path)"));
    say!("  cpu: {}, kernels: {}, weights: {} bytes", view.cpu, view.kernels, view.weight_bytes);
    say!("  workspace: {} bytes", list_or(&view.workspace, "0"));
    print_operators(view.operators.iter().map(|(name, count)| (name.as_str(), *count)));
    Ok(ExitCode::SUCCESS)
}

fn model(args: &InspectArgs) -> Result<ExitCode, Failure> {
    let opt_in = config::opt_in(&args.model)?;
    let size =
        std::fs::metadata(&args.model).map_err(|error| Failure::file(&args.model, "read", error))?.len();
    let model = Model::open(&args.model)?;
    let ops = OpRegistry::standard();
    // The dataflow IR holds every model, so it is the one to look at; what the model is compiled with is another
    // matter.
    let options = CompileOptions { opt_in: OptIn::DataflowIr, ..CompileOptions::default() };
    let (lowered, report) = lower(&model, &options, &ops, Step::Import)?;
    let orogen::Lowered::Flow(module) = &lowered else {
        return Err(Failure::Usage("the model did not enter the dataflow IR".to_string()));
    };
    let show = |(name, ty): &(String, orogen_ir::types::Type)| {
        format!("{name}: {}", orogen_ir::text::type_text(&module.shapes, ty))
    };
    let report = report.import;
    let opt_ins: Vec<String> = match opt_in {
        OptIn::Legacy => Vec::new(),
        OptIn::DataflowIr => vec![opt_in.name().to_string()],
    };
    if args.json {
        say!(
            "{}",
            json!({
                "kind": "model", "bytes": size, "producer": report.producer, "opsets": report.opsets,
                "inputs": report.inputs.iter().map(show).collect::<Vec<_>>(),
                "outputs": report.outputs.iter().map(show).collect::<Vec<_>>(),
                "symbols": report.dims, "opt_in": opt_ins,
                "operators": report.operators.iter().collect::<std::collections::BTreeMap<_, _>>(),
            })
        );
        return Ok(ExitCode::SUCCESS);
    }
    say!("ONNX model `{}`, {size} bytes, made by {}", model.name(), report.producer);
    report.inputs.iter().for_each(|it| say!("  input  {}", show(it)));
    report.outputs.iter().for_each(|it| say!("  output {}", show(it)));
    say!("  symbols: {}", list_or(&report.dims, "none"));
    say!("  opt-ins: {}", list_or(&opt_ins, "none (legacy path)"));
    print_operators(report.operators.iter().map(|(name, count)| (name.as_str(), *count)));
    Ok(ExitCode::SUCCESS)
}

fn describe(parameter: &Parameter) -> String {
    let dims: Vec<String> = parameter
        .dims
        .iter()
        .map(|dim| match dim {
            Dim::Fixed(size) => size.to_string(),
            Dim::Symbolic(text) => text.clone(),
        })
        .collect();
    format!("{}: {}[{}]", parameter.name, parameter.dtype, dims.join(", "))
}

fn list_or(list: &[String], none: &str) -> String {
    if list.is_empty() { none.to_string() } else { list.join(", ") }
}

fn print_operators<'a>(operators: impl Iterator<Item = (&'a str, usize)>) {
    let list: Vec<String> = operators.map(|(name, count)| format!("{name} ×{count}")).collect();
    say!("  operators: {}", list_or(&list, "none"));
}
