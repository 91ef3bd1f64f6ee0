//! Inputs and expected outputs of a model that is not compiled yet, as the compiler holds them.

use crate::failure::Failure;
use crate::inputs::random_tensor;
use crate::npz::{Archive, for_input};
use indexmap::IndexMap;
use orogen::tensors::to_data;
use orogen::{CompileOptions, Compiler, LowerReport, Lowered, Model, Step};
use orogen_abi::signature::{Dim, Parameter};
use orogen_ir::shape::ShapeCx;
use orogen_ir::text::type_text;
use orogen_ir::types::{TensorData, Type};
use orogen_runtime::DLDataType;
use std::path::Path;

/// What a model takes and returns.
pub(crate) struct Ports {
    pub(crate) inputs: Vec<Parameter>,
    pub(crate) outputs: Vec<Parameter>,
}

impl Ports {
    /// Imports a model to see what it takes and returns.
    pub(crate) fn of(compiler: &Compiler, model: &Model, options: &CompileOptions) -> Result<Ports, Failure> {
        let (lowered, report) = compiler.lower(model, options, Step::Import)?;
        let ports = Ports::of_import(&lowered, &report);
        if let Some(it) = ports.inputs.iter().chain(&ports.outputs).find(|it| it.object.is_some()) {
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
        Ports { inputs: inputs.collect(), outputs: outputs.collect() }
    }

    /// Inputs in order, from a file or random.
    pub(crate) fn inputs(
        &self,
        file: Option<&Path>,
        seed: u64,
        dims: &[(String, u64)],
    ) -> Result<Vec<TensorData>, Failure> {
        let Some(path) = file else {
            let mut state = crate::inputs::seeded(seed);
            let sizes: IndexMap<&str, u64> = dims.iter().map(|(name, size)| (name.as_str(), *size)).collect();
            let made = self.inputs.iter().map(|it| {
                let tensor = random_tensor(it, &sizes, &mut state)?;
                to_data(&tensor).ok_or_else(|| no_data(&it.name))
            });
            return made.collect();
        };
        let mut archive = Archive::open(path)?;
        let found = self.inputs.iter().map(|it| match array(&mut archive, "in:", it)? {
            Some(data) => Ok(data),
            None => {
                let message = format!(
                    "there is no `{}` or `in:{0}` in it; it has: {}",
                    it.name,
                    archive.keys().join(", ")
                );
                Err(Failure::file(path, "use", message))
            }
        });
        found.collect()
    }

    /// Expected outputs, those that are in the file.
    pub(crate) fn expected(&self, path: &Path) -> Result<Vec<(String, TensorData)>, Failure> {
        let mut archive = Archive::open(path)?;
        let mut found = Vec::new();
        for output in &self.outputs {
            if let Some(data) = array(&mut archive, "out:", output)? {
                found.push((output.name.clone(), data));
            }
        }
        if found.is_empty() {
            let names: Vec<&str> = self.outputs.iter().map(|it| it.name.as_str()).collect();
            let message = format!("none of the model's outputs is in it: {}", names.join(", "));
            return Err(Failure::file(path, "use", message));
        }
        Ok(found)
    }
}

fn array(archive: &mut Archive<'_>, prefix: &str, of: &Parameter) -> Result<Option<TensorData>, Failure> {
    let Some(key) = archive.key(prefix, &of.name)? else { return Ok(None) };
    let tensor = for_input(of, archive.read(&key)?);
    to_data(&tensor).map(Some).ok_or_else(|| no_data(&of.name))
}

fn no_data(name: &str) -> Failure {
    Failure::Usage(format!("`{name}` has elements that the compiler does not hold"))
}
