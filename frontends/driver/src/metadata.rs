//! What a library says of itself, as JSON for tools.

use crate::{CompileOptions, LowerReport, Model};
use indexmap::IndexSet;
use orogen_codegen::Metadata;
use orogen_ir::kernel::Kernel;
use orogen_ir::plan::PlanModule;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The metadata of a library. What another version of the compiler did not write is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MetadataView {
    /// Name of the model file without its suffix.
    pub model: String,
    /// Compiler and version.
    pub compiler: String,
    /// Opt-ins that the model was compiled with; empty on the legacy path.
    pub opt_in: Vec<String>,
    /// The step above which the model entered the dataflow IR; absent for one that did not.
    pub waterline: Option<String>,
    /// Which rewrites of arithmetic were admitted: `strict`, `default` or `fast`.
    pub accuracy: String,
    /// Which instructions were asked for, such as `host`.
    pub cpu: String,
    /// Those that the code may use, in the spelling of Rust's target features; the runtime refuses a machine without
    /// them.
    pub instructions: Vec<String>,
    /// Dynamic dimensions.
    pub symbols: Vec<String>,
    /// Dimensions that were bound at compile time.
    pub bound: BTreeMap<String, u64>,
    /// Source operators with their counts.
    pub operators: BTreeMap<String, usize>,
    /// Number of kernels.
    pub kernels: usize,
    /// Bytes of weights before packing.
    pub weight_bytes: u64,
    /// Bytes of memory that a call needs beside inputs, outputs and weights, one formula for each arena of each function.
    pub workspace: Vec<String>,
    /// Names of the functions of the host that it calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<String>,
}

/// Bytes of memory that a call needs beside inputs, outputs and weights, one formula for each arena of each function.
pub(crate) fn workspace(plans: &PlanModule) -> impl Iterator<Item = String> {
    let arenas = plans.functions.iter().flat_map(|plan| plan.arenas.iter().map(move |it| (plan, it)));
    arenas.map(|(plan, it)| plan.shapes.display(it.bytes).to_string())
}

pub(crate) fn metadata(
    model: &Model,
    options: &CompileOptions,
    report: &LowerReport,
    plans: &PlanModule,
    instructions: Vec<String>,
) -> Metadata {
    let symbols: IndexSet<String> = plans
        .functions
        .iter()
        .flat_map(|plan| plan.bindings.iter().map(|it| plan.shapes.name(it.symbol).to_string()))
        .collect();
    let weights =
        plans.constants().into_iter().flat_map(|pool| pool.ids().map(|it| pool.data(it).bytes().len()));
    let calls: IndexSet<&str> = plans
        .kernels()
        .iter()
        .filter_map(|it| match it {
            Kernel::Extern(it) => Some(it.symbol.as_str()),
            _ => None,
        })
        .collect();
    let view = MetadataView {
        model: model.name.clone(),
        compiler: concat!("orogen ", env!("CARGO_PKG_VERSION")).to_string(),
        opt_in: match options.opt_in {
            crate::OptIn::Legacy => Vec::new(),
            it @ crate::OptIn::DataflowIr => vec![it.name().to_string()],
        },
        waterline: report.entered.map(|it| it.name().to_string()),
        accuracy: options.accuracy.name().to_string(),
        cpu: options.cpu.to_string(),
        instructions,
        symbols: symbols.into_iter().collect(),
        bound: options.dims.iter().cloned().collect(),
        operators: report.import.operators.iter().map(|(name, count)| (name.clone(), *count)).collect(),
        kernels: plans.kernels().len(),
        weight_bytes: weights.map(|it| it as u64).sum(),
        workspace: workspace(plans).collect(),
        calls: calls.into_iter().map(str::to_string).collect(),
    };
    let json = serde_json::to_string(&view).expect("maps with text keys and numbers are JSON");
    Metadata { json }
}
