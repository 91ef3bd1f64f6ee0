//! Initializers that the file lists as inputs too: constants, or inputs that a caller may leave out.
//!
//! Before version 4 of the format every initializer had to be listed, so the list means nothing there. From then on it
//! means that a caller may give another value. Where nothing was chosen, that is taken at its word up to
//! [`MAX_DEFAULTS`] bytes in all: exporters keep the old habit too, and a library holds overridable weights twice.

use super::Importer;
use crate::decode::Model;
use crate::graph::printable;
use crate::options::{BoundDims, Options, bound_dims, input_type};
use crate::proto::ValueInfoProto;
use crate::sink::{Sink, Undecided, Value};
use crate::sparse::Initializer;
use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::Diagnostic;
use orogen_ir::ops::Defaulted;
use orogen_ir::shape::ShapeCx;
use orogen_ir::types::{TensorData, Type};

/// The most bytes that defaults which nobody asked for may have in all.
pub(super) const MAX_DEFAULTS: u64 = 1 << 20;

/// What becomes of listed initializers.
#[derive(Debug, Default)]
pub(super) struct Defaults<'m> {
    /// Those that are constants.
    pub(super) constant: IndexSet<&'m str>,
    /// Those that are inputs, with the data of those that may be left out.
    pub(super) open: IndexMap<&'m str, Option<TensorData>>,
}

impl<'m> Defaults<'m> {
    pub(super) fn of(model: &'m Model, options: &Options) -> Result<Self, Diagnostic> {
        let graph = model.graph();
        let initializers: IndexMap<&str, Initializer<'_>> =
            graph.initializers().map(|it| (it.name(), it)).collect();
        let listed: IndexSet<&str> = graph
            .input
            .iter()
            .map(|it| it.name.as_str())
            .filter(|it| initializers.contains_key(it))
            .collect();
        let chosen = &options.defaults.chosen;
        if let Some(name) = options.defaults.names(Defaulted::Optional).find(|it| !listed.contains(it)) {
            return Err(no_default(name, &listed));
        }
        let rest = || listed.iter().filter(|it| !chosen.contains_key(**it));
        let bytes = |it: &&str| initializers[it].byte_count();
        let others_optional = options.defaults.others_optional
            && model.proto.ir_version >= 4
            && rest().map(bytes).fold(0, u64::saturating_add) <= MAX_DEFAULTS;
        let mut defaults = Defaults::default();
        for name in &listed {
            let choice = match chosen.get(*name) {
                Some(choice) => *choice,
                None if others_optional => Defaulted::Optional,
                None => Defaulted::Constant,
            };
            let data = match choice {
                Defaulted::Constant => {
                    defaults.constant.insert(name);
                    continue;
                }
                Defaulted::Required => None,
                Defaulted::Optional => {
                    let data = initializers[name].load(&model.loader, &options.budget);
                    let place = || format!("initializer `{}`", printable(name));
                    Some(data.map_err(|reason| Diagnostic::error("X006", reason).at(place()))?)
                }
            };
            defaults.open.insert(name, data);
        }
        Ok(defaults)
    }
}

fn no_default(name: &str, listed: &IndexSet<&str>) -> Diagnostic {
    let message = format!("`{name}` is no initializer that the model lists as an input too");
    let names: Vec<String> = listed.iter().map(|it| format!("`{}`", printable(it))).collect();
    Diagnostic::error("X013", message).help(match names.is_empty() {
        true => "the model has none".to_string(),
        false => format!("those are: {}", names.join(", ")),
    })
}

/// Inputs with a default about which nothing was chosen.
pub(super) fn undecided(defaults: &Defaults<'_>, options: &Options) -> Undecided {
    let undecided = defaults.open.iter().filter(|it| !options.defaults.chosen.contains_key(*it.0));
    let list = undecided.filter_map(|(name, data)| Some(((*name).to_owned(), data.clone()?)));
    Undecided::new(list.collect(), options.defaults.decided.clone())
}

impl<'m> Importer<'m> {
    /// Declares all inputs, those with a default at the end, and returns them by name.
    pub(super) fn inputs(
        &mut self,
        options: &Options,
        undecided: &Undecided,
        sink: &mut dyn Sink,
    ) -> Result<Vec<(&'m str, Value)>, Diagnostic> {
        let graph = self.model.graph();
        let open = |it: &ValueInfoProto| self.defaults.open.get(it.name.as_str());
        let inputs = graph.input.iter().filter(|it| !self.defaults.constant.contains(it.name.as_str()));
        let (optional, mut inputs): (Vec<_>, Vec<_>) =
            inputs.partition(|it| matches!(open(it), Some(Some(_))));
        inputs.extend(optional);
        let bound = bound_dims(&inputs, &options.dims)?;
        let mut values = Vec::with_capacity(inputs.len());
        for input in inputs {
            let place = format!("input `{}`", printable(&input.name));
            let value = self.input(input, &bound, sink).map_err(|it| it.at(&*place))?;
            undecided.meet(&input.name, value);
            values.push((input.name.as_str(), value));
        }
        self.report.dims = bound.free_names();
        Ok(values)
    }

    fn input(
        &mut self,
        input: &'m ValueInfoProto,
        bound: &BoundDims,
        sink: &mut dyn Sink,
    ) -> Result<Value, Diagnostic> {
        let mut ty = input_type(input, bound, sink.shapes())?;
        sink.set_source(&format!("input `{}`", printable(&input.name)));
        let default = self.defaults.open.get(input.name.as_str()).cloned().flatten();
        if let (Type::Optional(inner), Some(data)) = (&ty, &default)
            && let Some(dtype) = inner.as_tensor().map(|it| it.dtype)
        {
            // What has no shape but a default has as many dimensions as that, of any sizes.
            let hint = printable(&input.name);
            let dims = (0..data.dims().len()).map(|axis| sink.shapes().fresh(&format!("{hint}_dim{axis}")));
            ty = Type::tensor(dtype, dims.collect::<Vec<_>>());
        }
        let value = match default {
            Some(data) if fits(sink.shapes(), &ty, &data) => {
                self.report.optional.push(input.name.clone());
                sink.optional_input(&input.name, ty.clone(), data)?
            }
            Some(_) => {
                return Err(Diagnostic::error("X015", "its initializer has another type than it declares"));
            }
            None => sink.input(&input.name, ty.clone())?,
        };
        self.report.inputs.push((input.name.clone(), ty));
        Ok(value)
    }
}

/// Whether data may be a value of a type.
fn fits(shapes: &ShapeCx, ty: &Type, data: &TensorData) -> bool {
    let Some(ty) = ty.as_tensor() else { return false };
    let dims = ty.dims().unwrap_or_default();
    let same = |(dim, size): (_, &u64)| shapes.as_int(dim).is_none_or(|it| u64::try_from(it) == Ok(*size));
    ty.dtype == data.dtype()
        && dims.len() == data.dims().len()
        && dims.iter().copied().zip(data.dims()).all(same)
}
