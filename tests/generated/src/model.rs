//! A whole model, and what it computes in every setting of the sizes that it leaves open.

use crate::draw::Draw;
use crate::evaluate::model;
use crate::executor::Column;
use crate::recipes::step;
use crate::setup::Setup;
use crate::value::{Sample, Val, is_fixed, symbol};
use orogen_differential::{Expected, Reference};
use orogen_ir::generate::Random;
use orogen_onnx::proto::{GraphProto, ModelProto};

/// Sizes, and the values of the model with them.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Sizes by the name of the dimension.
    pub sizes: Vec<(String, u64)>,
    /// Inputs by name.
    pub inputs: Reference,
    /// What is computed, by the name of the output.
    pub outputs: Vec<(String, Sample)>,
}

/// A model.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// What it was drawn from.
    pub seed: u64,
    /// As a file holds it.
    pub proto: ModelProto,
    /// At least one.
    pub settings: Vec<Setting>,
    /// Every value that the graph names.
    pub(crate) values: Vec<Val>,
}

impl Drawn {
    /// The graph of the model.
    pub fn graph(&self) -> &GraphProto {
        static NONE: std::sync::OnceLock<GraphProto> = std::sync::OnceLock::new();
        self.proto.graph.as_deref().unwrap_or_else(|| NONE.get_or_init(GraphProto::default))
    }

    /// The settings of a run that is one of many: on a static path one, which the seed chooses.
    pub fn some_settings(&self, column: Column) -> Vec<usize> {
        let count = self.settings.len();
        match column.is_static() && count > 0 {
            true => vec![Random::new(self.seed).below(count)],
            false => (0..count).collect(),
        }
    }

    /// Version of the standard operators.
    pub fn opset(&self) -> i64 {
        self.proto.opset_import.iter().find(|it| it.domain.is_empty()).map_or(0, |it| it.version)
    }

    /// The model of a graph that names some of these values.
    pub(crate) fn of(seed: u64, opset: i64, graph: GraphProto, values: Vec<Val>) -> Drawn {
        let find = |name: &str| values.iter().find(|it| it.name == name);
        let inputs: Vec<&Val> = graph.input.iter().filter_map(|it| find(&it.name)).collect();
        let outputs: Vec<&Val> = graph.output.iter().filter_map(|it| find(&it.name)).collect();
        let count = outputs.iter().map(|it| it.samples.len()).max().unwrap_or(0);
        let setting = |at: usize| {
            let mut sizes: Vec<(String, u64)> = Vec::new();
            for extent in inputs.iter().flat_map(|it| it.dims().unwrap_or_default()) {
                let name = symbol(&extent);
                if !is_fixed(&extent) && !sizes.iter().any(|it| it.0 == name) {
                    sizes.push((name, extent[at]));
                }
            }
            let tensors = inputs
                .iter()
                .filter_map(|it| Some((it.name.clone(), it.samples[at].plain.as_tensor()?.clone())));
            let inputs = Reference {
                name: format!("setting {at}"),
                inputs: tensors.collect(),
                outputs: Expected::new(),
            };
            let outputs = outputs.iter().map(|it| (it.name.clone(), it.samples[at].clone())).collect();
            Setting { sizes, inputs, outputs }
        };
        let settings = (0..count).map(setting).collect();
        Drawn { seed, proto: model(opset, graph), settings, values }
    }
}

impl std::fmt::Display for Drawn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        crate::reduce::print(&mut text, self.graph(), 1).map_err(|_| std::fmt::Error)?;
        f.write_str(&text)
    }
}

/// The model of a seed; one without outputs where nothing that was drawn is legal.
pub fn draw(setup: &Setup, seed: u64) -> Drawn {
    let mut draw = Draw::new(setup, seed);
    let wanted = 1 + draw.random.below(10);
    let mut nodes = 0;
    for _ in 0..3 * wanted {
        nodes += usize::from(step(&mut draw).is_some());
        if nodes >= wanted {
            break;
        }
    }
    let opset = draw.opset;
    let (graph, values) = draw.finish();
    Drawn::of(seed, opset, graph, values)
}
