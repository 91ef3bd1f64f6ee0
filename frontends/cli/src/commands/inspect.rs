//! `orogen inspect`

use crate::args::InspectArgs;
use crate::config;
use crate::failure::Failure;
use crate::files;
use crate::inputs::function;
use crate::output::{plain, say};
use crate::subject::is_library;
use orogen::{CompileOptions, Compiler, Entry, Lowered, MetadataView, Model, OptIn, Step};
use orogen_abi::signature::{self, Parameter};
use orogen_ir::graph::{NodeKind, StaticType};
use orogen_ir::shape::{Dim, ShapeCx};
use orogen_ir::types::Type;
use orogen_runtime::{Library, RuntimeError};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

pub(crate) fn run(args: &InspectArgs) -> Result<ExitCode, Failure> {
    if is_library(&args.model)? { library(args) } else { model(args) }
}

/// An input or an output, of a model and of a library alike.
#[derive(Debug, Serialize)]
struct Port {
    name: String,
    dtype: String,
    /// A number, the name of a symbol, or an expression over symbols; absent when not even their number is known.
    shape: Option<Vec<Value>>,
    /// For an input that is state, what the call makes of it in place.
    #[serde(skip_serializing_if = "Option::is_none")]
    becomes: Option<String>,
    /// Whether a caller may leave it out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    optional: bool,
    /// Whether it is no tensor.
    #[serde(skip)]
    is_object: bool,
}

/// A number, the name of a symbol, or an expression.
fn symbolic(dim: &signature::Dim) -> Value {
    match dim {
        signature::Dim::Fixed(size) => json!(size),
        dim => json!(dim.symbol().unwrap_or_else(|| dim.to_string())),
    }
}

impl Port {
    fn of_library(parameter: &Parameter) -> Port {
        Port {
            name: parameter.name.clone(),
            dtype: parameter.object.clone().unwrap_or_else(|| parameter.dtype.to_string()),
            shape: (!parameter.ranked).then(|| parameter.dims.iter().map(symbolic).collect()),
            becomes: parameter.becomes.clone(),
            optional: parameter.optional,
            is_object: parameter.object.is_some(),
        }
    }

    fn of_model(shapes: &ShapeCx, (name, ty): &(String, Type)) -> Port {
        let name = name.clone();
        let Type::Tensor(tensor) = ty else {
            let dtype = orogen_ir::text::type_text(shapes, ty);
            return Port { name, dtype, shape: None, becomes: None, optional: false, is_object: true };
        };
        let dim = |it: &Dim| match shapes.as_int(*it) {
            Some(size) => json!(size),
            // As a library writes it.
            None => symbolic(&signature::Dim::Symbolic(shapes.display(*it).to_string())),
        };
        let shape = tensor.dims().map(|dims| dims.iter().map(dim).collect());
        Port {
            name,
            dtype: tensor.dtype.to_string(),
            shape,
            becomes: None,
            optional: false,
            is_object: false,
        }
    }

    fn of_graph(name: &str, ty: &StaticType) -> Port {
        Port {
            name: name.to_owned(),
            dtype: ty.dtype.to_string(),
            shape: Some(ty.dims.iter().map(|it| json!(it)).collect()),
            becomes: None,
            optional: false,
            is_object: false,
        }
    }

    fn line(&self) -> String {
        let text = |dim: &Value| dim.as_str().map_or_else(|| dim.to_string(), |it| plain(it).into_owned());
        let shape = match &self.shape {
            Some(dims) => dims.iter().map(text).collect::<Vec<_>>().join(", "),
            None => "…".to_string(),
        };
        let becomes = self.becomes.as_ref().map(|it| format!(", becomes {} in place", plain(it)));
        let optional = if self.optional { ", optional" } else { "" };
        let shape = if self.is_object { String::new() } else { format!("[{shape}]") };
        format!("{}: {}{shape}{}{optional}", plain(&self.name), self.dtype, becomes.unwrap_or_default())
    }
}

fn size_of(path: &Path) -> Result<u64, Failure> {
    Ok(files::open(path)?.metadata().map_err(|error| Failure::file(path, "read", error))?.len())
}

fn library(args: &InspectArgs) -> Result<ExitCode, Failure> {
    let size = size_of(&args.model)?;
    let library = Library::open(&args.model).map_err(Failure::Load)?;
    let functions = &library.signature().functions;
    let view: MetadataView = serde_json::from_str(library.metadata()).map_err(|error| {
        let (library, reason) = (library.name().to_string(), format!("its metadata: {error}"));
        Failure::Load(RuntimeError::Signature { library, reason })
    })?;
    let outside = library.signature().parameters.iter();
    let outside: Vec<Port> = outside.map(|it| Port::of_library(&it.parameter)).collect();
    let ports = |list: &[Parameter]| -> Vec<Port> { list.iter().map(Port::of_library).collect() };
    if args.json {
        // Inputs and outputs of the function that runs when none is named stand by themselves as well.
        let main = function(&library, None).ok();
        let (inputs, outputs) =
            main.map_or_else(Default::default, |it| (ports(&it.inputs), ports(&it.outputs)));
        let list = functions
            .iter()
            .map(|it| json!({ "name": it.name, "inputs": ports(&it.inputs), "outputs": ports(&it.outputs) }));
        let list: Vec<Value> = list.collect();
        say!(
            "{}",
            json!({
                "kind": "library", "bytes": size, "inputs": inputs, "outputs": outputs, "functions": list,
                "parameters": outside,
                "metadata": view,
            })
        );
        return Ok(ExitCode::SUCCESS);
    }
    say!("library of model `{}`, {size} bytes, made by {}", plain(&view.model), plain(&view.compiler));
    outside.iter().for_each(|it| say!("  needs  {}", it.line()));
    for function in functions {
        if functions.len() > 1 {
            say!("  function {}", plain(&function.name));
        }
        ports(&function.inputs).iter().for_each(|it| say!("  input  {}", it.line()));
        ports(&function.outputs).iter().for_each(|it| say!("  output {}", it.line()));
    }
    say!("  symbols: {}", list_or(&view.symbols, "none"));
    if !view.bound.is_empty() {
        let bound: Vec<String> = view.bound.iter().map(|(name, size)| format!("{name}={size}")).collect();
        say!("  bound: {}", list_or(&bound, "none"));
    }
    say!("  opt-ins: {}", list_or(&view.opt_in, "none (legacy path)"));
    if let Some(step) = &view.waterline {
        say!("  waterline: {}", plain(step));
    }
    say!("  cpu: {}, kernels: {}, weights: {} bytes", plain(&view.cpu), view.kernels, view.weight_bytes);
    say!("  instructions: {}", list_or(&view.instructions, "those of every machine of the architecture"));
    say!("  workspace: {} bytes", list_or(&view.workspace, "0"));
    if !view.calls.is_empty() {
        say!("  calls of the host: {}", list_or(&view.calls, "none"));
    }
    print_operators(view.operators);
    Ok(ExitCode::SUCCESS)
}

fn model(args: &InspectArgs) -> Result<ExitCode, Failure> {
    let opt_in = config::entry(&args.model)?.opt_in.unwrap_or_default();
    let size = size_of(&args.model)?;
    let compiler = args.plugins.settled(&args.model)?.compiler()?;
    let model = compiler.open(&args.model)?;
    // The dataflow IR holds every model, so it is the one to look at; what the model is compiled with is another
    // matter.
    let widest = if orogen_ir::flow::available().is_ok() { OptIn::DataflowIr } else { OptIn::Legacy };
    let options =
        CompileOptions { opt_in: widest, entry: Entry::Above(Step::Import), ..CompileOptions::default() };
    let lowered = compiler.lower(&model, &options, Step::Import);
    if lowered.is_err() {
        needs(args, &compiler, &model, size)?;
    }
    let (mut lowered, report) = lowered?;
    let report = report.import;
    // A text takes in all constants of the file beside it, which may be that of other texts too.
    match &mut lowered {
        Lowered::Flow(it) => it.compact(),
        Lowered::Graph(it) => it.compact(),
        Lowered::Plan(_) => {}
    }
    let (inputs, outputs) = match &lowered {
        Lowered::Flow(module) => {
            let ports = |list: &[(String, Type)]| -> Vec<Port> {
                let port = |it: &(String, Type)| Port {
                    optional: report.optional.contains(&it.0),
                    ..Port::of_model(&module.shapes, it)
                };
                list.iter().map(port).collect()
            };
            (ports(&report.inputs), ports(&report.outputs))
        }
        Lowered::Graph(graph) => {
            let name = |it: &NodeKind| match it {
                NodeKind::Input { name, .. } => name.clone(),
                _ => String::new(),
            };
            let inputs = graph
                .inputs()
                .iter()
                .map(|it| Port::of_graph(&name(&graph[*it].kind), &graph[*it].outputs[0]));
            let outputs = graph.outputs().iter().map(|(name, edge)| Port::of_graph(name, graph.ty(*edge)));
            (inputs.collect(), outputs.collect())
        }
        Lowered::Plan(_) => {
            let message = "this is a call plan, whose text says what it takes: `orogen print` shows it";
            return Err(Failure::Usage(message.to_string()));
        }
    };
    let constants = lowered.constants().into_iter();
    let weights: u64 = constants.flat_map(|it| it.ids().map(|id| it.data(id).bytes().len() as u64)).sum();
    let operators: BTreeMap<String, usize> = report.operators.into_iter().collect();
    let opt_ins: Vec<String> = match opt_in {
        OptIn::Legacy => Vec::new(),
        OptIn::DataflowIr => vec![opt_in.name().to_string()],
    };
    if args.json {
        say!(
            "{}",
            json!({
                "kind": "model", "bytes": size, "producer": report.producer, "opsets": report.versions,
                "inputs": inputs, "outputs": outputs, "symbols": report.dims, "opt_in": opt_ins,
                "weight_bytes": weights, "operators": operators, "assumptions": report.assumptions,
            })
        );
        return Ok(ExitCode::SUCCESS);
    }
    let producer = if report.producer.is_empty() { "an unnamed tool" } else { &report.producer };
    let format = model.format();
    say!("{format} model `{}`, {size} bytes, made by {}", plain(model.name()), plain(producer));
    inputs.iter().for_each(|it| say!("  input  {}", it.line()));
    outputs.iter().for_each(|it| say!("  output {}", it.line()));
    say!("  symbols: {}", list_or(&report.dims, "none"));
    let none = match format {
        "flow" => "none (it compiles with `--opt-in dataflow-ir`)",
        _ => "none (legacy path)",
    };
    say!("  opt-ins: {}", list_or(&opt_ins, none));
    say!("  weights: {weights} bytes");
    report.assumptions.iter().for_each(|it| say!("  assumes: {}", plain(it)));
    print_operators(operators);
    Ok(ExitCode::SUCCESS)
}

/// What stands in the way of a model that cannot be imported, all of it: a line for each operator and reason.
fn needs(args: &InspectArgs, compiler: &Compiler, model: &Model, size: u64) -> Result<(), Failure> {
    let (parts, files) = (compiler.unsupported(model)?, compiler.missing_files(model));
    if args.json {
        let list =
            parts.iter().map(|it| json!({ "place": it.place, "operator": it.operator, "reason": it.reason }));
        let list: Vec<Value> = list.collect();
        say!("{}", json!({ "kind": "model", "bytes": size, "unsupported": list, "missing_files": files }));
        return Ok(());
    }
    say!("{} model `{}`, {size} bytes, which cannot be imported", model.format(), plain(model.name()));
    files.iter().for_each(|it| say!("  needs a file: {}", plain(it)));
    let mut counts: BTreeMap<(String, &str), (usize, &str)> = BTreeMap::new();
    for part in &parts {
        let what = match part.name.as_str() {
            "" => String::new(),
            name => format!("{name}, {}: ", part.operator),
        };
        counts.entry((what, &part.reason)).or_insert((0, &part.place)).0 += 1;
    }
    for ((what, reason), (count, first)) in counts {
        let others = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
        say!("  needs {}{} ({}{others})", plain(&what), plain(reason), plain(first));
    }
    Ok(())
}

fn list_or(list: &[String], none: &str) -> String {
    if list.is_empty() { none.to_string() } else { plain(&list.join(", ")).into_owned() }
}

fn print_operators(operators: BTreeMap<String, usize>) {
    let list: Vec<String> = operators.iter().map(|(name, count)| format!("{name} ×{count}")).collect();
    say!("  operators: {}", list_or(&list, "none"));
}
