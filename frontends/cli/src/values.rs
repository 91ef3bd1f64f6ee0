//! Inputs and expected outputs of a model that is not compiled yet, as the compiler holds them.

use crate::failure::Failure;
use crate::npz::{Archive, for_input};
use orogen::tensors::to_data;
use orogen::{CompileOptions, Compiler, LowerReport, Lowered, Model, Step, entry_default};
use orogen_abi::signature::{Dim, Function, Parameter};
use orogen_ir::shape::ShapeCx;
use orogen_ir::text::type_text;
use orogen_ir::types::{TensorData, Type};
use orogen_runtime::{DLDataType, Value};
use std::path::Path;

/// What a model takes and returns.
pub(crate) struct Ports {
    pub(crate) function: Function,
    /// What inputs are that are left out.
    defaults: Vec<Option<TensorData>>,
}

impl Ports {
    /// Imports a model to see what it takes and returns.
    pub(crate) fn of(compiler: &Compiler, model: &Model, options: &CompileOptions) -> Result<Ports, Failure> {
        let (lowered, report) = compiler.lower(model, options, Step::Import)?;
        let ports = Ports::of_import(&lowered, &report);
        let function = &ports.function;
        if let Some(it) = function.inputs.iter().chain(&function.outputs).find(|it| it.object.is_some()) {
            let message =
                format!("`{}` is no tensor, and only tensors can be compared step by step", it.name);
            return Err(Failure::Usage(message));
        }
        Ok(ports)
    }

    /// What an imported model takes and returns.
    pub(crate) fn of_import(lowered: &Lowered, report: &LowerReport) -> Ports {
        let none = ShapeCx::new();
        let shapes = match lowered {
            Lowered::Flow(module) => &module.shapes,
            Lowered::Graph(_) | Lowered::Plan(_) => &none,
        };
        // Types of a report are over the symbols of a module; a graph has numbers, which are not of `shapes`.
        let numbers = match lowered {
            Lowered::Graph(graph) => {
                graph.inputs().iter().map(|it| graph[*it].outputs[0].dims.to_vec()).collect()
            }
            _ => Vec::new(),
        };
        let parameter = |i: usize, (name, ty): &(String, Type)| {
            let Type::Tensor(tensor) = ty else {
                let object = Some(type_text(shapes, ty));
                return Parameter { object, ..Parameter::new(name, DLDataType::HANDLE) };
            };
            let (code, bits) = tensor.dtype.row().dlpack;
            let dims = match (numbers.get(i), tensor.dims()) {
                (Some(dims), _) => dims.iter().map(|it| Dim::Fixed(it.cast_signed())).collect(),
                (None, Some(dims)) if matches!(lowered, Lowered::Flow(_)) => {
                    let dim = |it: &orogen_ir::shape::Dim| match shapes.as_int(*it) {
                        Some(size) => Dim::Fixed(size),
                        None => Dim::Symbolic(shapes.display(*it).to_string()),
                    };
                    dims.iter().map(dim).collect()
                }
                _ => Vec::new(),
            };
            Parameter { dims, ..Parameter::new(name, DLDataType::new(code, bits)) }
        };
        let inputs = report.import.inputs.iter().enumerate().map(|(i, it)| {
            let optional = report.import.optional.contains(&it.0);
            Parameter { optional, ..parameter(i, it) }
        });
        let outputs = report.import.outputs.iter().map(|it| parameter(usize::MAX, it));
        let inputs: Vec<Parameter> = inputs.collect();
        let default = |i: usize| match lowered {
            Lowered::Flow(module) => entry_default(module, i).cloned(),
            Lowered::Graph(_) | Lowered::Plan(_) => None,
        };
        let defaults = (0..inputs.len()).map(default).collect();
        Ports {
            function: Function { name: "main".to_string(), inputs, outputs: outputs.collect() },
            defaults,
        }
    }

    /// Inputs in order, from a file or random.
    pub(crate) fn inputs(
        &self,
        file: Option<&Path>,
        seed: u64,
        dims: &[(String, u64)],
    ) -> Result<Vec<TensorData>, Failure> {
        let values = crate::inputs::inputs(&self.function, file, seed, dims)?;
        // Random values are given to what has no default.
        let is_whole = values.len() == self.function.inputs.len();
        let mut values = values.into_iter();
        let value = |(input, default): (&Parameter, &Option<TensorData>)| {
            let given = if is_whole || !input.optional { values.next() } else { None };
            match (given, default) {
                (Some(Value::Tensor(it)), _) => to_data(&it).ok_or_else(|| no_data(&input.name)),
                (_, Some(data)) => Ok(data.clone()),
                _ => Err(Failure::Usage(format!(
                    "give a value for input `{}`: `--inputs FILE.npz`",
                    input.name
                ))),
            }
        };
        self.function.inputs.iter().zip(&self.defaults).map(value).collect()
    }

    /// Expected outputs, those that are in the file.
    pub(crate) fn expected(&self, path: &Path) -> Result<Vec<(String, TensorData)>, Failure> {
        let mut archive = Archive::open(path)?;
        let names = names(&self.function.outputs);
        archive.check_outputs(&names)?;
        let mut found = Vec::new();
        for output in &self.function.outputs {
            if let Some(data) = array(&mut archive, "out:", output)? {
                found.push((output.name.clone(), data));
            }
        }
        if found.is_empty() {
            let message = format!("none of the model's outputs is in it: {}", names.join(", "));
            return Err(Failure::file(path, "use", message));
        }
        Ok(found)
    }
}

/// Names of what a function takes or returns.
pub(crate) fn names(of: &[Parameter]) -> Vec<&str> {
    of.iter().map(|it| it.name.as_str()).collect()
}

fn array(archive: &mut Archive<'_>, prefix: &str, of: &Parameter) -> Result<Option<TensorData>, Failure> {
    let Some(key) = archive.key(prefix, &of.name)? else { return Ok(None) };
    let tensor = for_input(of, archive.read(&key)?);
    to_data(&tensor).map(Some).ok_or_else(|| no_data(&of.name))
}

fn no_data(name: &str) -> Failure {
    Failure::Usage(format!("`{name}` has elements that the compiler does not hold"))
}
