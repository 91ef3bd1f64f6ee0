//! The squares.

use crate::Sample;
use orogen_ir::flow::{Module, Rhs};
use orogen_ir::graph::{Graph, NodeKind};
use orogen_ir::ops::OpRegistry;
use orogen_ir::plan::CallPlan;
use orogen_ir::shape::Env;
use orogen_ir::types::TensorData;
use orogen_passes::manager::{Ir, Pass, PassCx};
use orogen_passes::rules::legalize::LegalizeTable;
use orogen_passes::{bridge, flow, graph};
use orogen_reference::{Value, eval_function, eval_graph, eval_plan};
use std::fmt::{Debug, Display};

/// The function that a graph becomes.
const MAIN: &str = "main";

/// A step on both IRs, compared.
#[derive(Clone, Copy, Debug)]
pub struct Square {
    /// Name in the ledger.
    pub name: &'static str,
    /// In which sense both agree beyond what they compute.
    pub agreement: &'static str,
    /// Compares both ways around on one graph.
    pub check: fn(&OpRegistry, &Sample) -> Result<(), String>,
}

/// Every square.
pub const SQUARES: &[Square] = &[
    Square { name: "fuse", agreement: "the flow pass leaves no more kernel calls", check: fuse },
    Square { name: "plan_memory", agreement: "the flow pass needs no more memory", check: plan_memory },
];

/// Before fusion, after fusion on either side: one result, and no more kernel calls on the new side.
fn fuse(ops: &OpRegistry, sample: &Sample) -> Result<(), String> {
    let legal = legalized(ops, &sample.graph)?;
    let expected = eval_graph(ops, &sample.graph, &sample.inputs).map_err(text)?;

    let mut fused = legal.clone();
    graph::Fuse.run(&mut fused, &mut PassCx::new(ops)).map_err(text)?;
    Ir::verify(&fused, ops).map_err(text)?;
    let old = translated(ops, &fused)?;

    let mut new = translated(ops, &legal)?;
    flow::Fuse.run(&mut new, &mut PassCx::new(ops)).map_err(text)?;
    Ir::verify(&new, ops).map_err(text)?;

    same("legacy pass, then translation", &run(ops, &old, sample)?, &expected)?;
    same("translation, then flow pass", &run(ops, &new, sample)?, &expected)?;
    let (before, after) = (calls(&old), calls(&new));
    if after > before {
        return Err(format!("{after} kernel calls on the flow side, {before} on the legacy side"));
    }
    Ok(())
}

/// The plans of both sides: one result, and no more memory on the new side.
fn plan_memory(ops: &OpRegistry, sample: &Sample) -> Result<(), String> {
    let mut legal = legalized(ops, &sample.graph)?;
    graph::Fuse.run(&mut legal, &mut PassCx::new(ops)).map_err(text)?;
    let expected = eval_graph(ops, &sample.graph, &sample.inputs).map_err(text)?;

    let old = graph::plan_memory(&legal, MAIN, &[]).map_err(text)?;
    let module = translated(ops, &legal)?;
    let plans = flow::plan_memory(ops, &module, &[]).map_err(text)?;
    let new = plans.entry().ok_or("the plans have no entry")?;

    same("plan of the graph", &eval_plan(&old, &sample.inputs).map_err(text)?, &expected)?;
    same("plan of the module", &eval_plan(new, &sample.inputs).map_err(text)?, &expected)?;
    let (before, after) = (bytes(&old)?, bytes(new)?);
    if after > before {
        return Err(format!("{after} bytes on the flow side, {before} on the legacy side"));
    }
    Ok(())
}

fn legalized(ops: &OpRegistry, graph: &Graph) -> Result<Graph, String> {
    let mut legal = graph.clone();
    let mut cx = PassCx::new(ops);
    graph::Legalize::new(LegalizeTable::standard(ops)).run(&mut legal, &mut cx).map_err(text)?;
    Ir::verify(&legal, ops).map_err(text)?;
    match legal.order().iter().find(|id| matches!(legal[**id].kind, NodeKind::Op { .. })) {
        Some(id) => Err(format!("an operator is left: {:?}", legal[*id].kind)),
        None => Ok(legal),
    }
}

fn translated(ops: &OpRegistry, graph: &Graph) -> Result<Module, String> {
    let module = bridge::translate(graph, ops).map_err(text)?;
    Ir::verify(&module, ops).map_err(text)?;
    Ok(module)
}

fn entry(module: &Module) -> Result<&str, String> {
    Ok(module.entry().ok_or("the module has no function")?.0)
}

fn run(ops: &OpRegistry, module: &Module, sample: &Sample) -> Result<Vec<TensorData>, String> {
    let args: Vec<Value> = sample.inputs.iter().cloned().map(Value::from).collect();
    let outputs = eval_function(ops, module, entry(module)?, &args).map_err(text)?;
    let tensor = |it: &Value| it.as_tensor().cloned().ok_or_else(|| "an output is no tensor".to_string());
    outputs.iter().map(tensor).collect()
}

/// Kernel calls that the program holds.
fn calls(module: &Module) -> usize {
    let bindings = module
        .functions()
        .flat_map(|(_, function)| function.live_bindings().into_iter().map(|it| &function[it].rhs));
    bindings.filter(|it| matches!(it, Rhs::Call { .. })).count()
}

/// Memory beside inputs, outputs and constants.
fn bytes(plan: &CallPlan) -> Result<i64, String> {
    let sizes = plan.arenas.iter().map(|it| plan.shapes.eval(it.bytes, &Env::default()));
    sizes.sum::<Option<i64>>().ok_or_else(|| "the size of an arena is not constant".to_string())
}

/// Fusion keeps intermediate values that were rounded to f32 before, so results may differ in the last bits.
fn same(what: &str, got: &[TensorData], expected: &[TensorData]) -> Result<(), String> {
    const TOLERANCE: f64 = 1e-5;
    if got.len() != expected.len() {
        return Err(format!("{what}: {} outputs instead of {}", got.len(), expected.len()));
    }
    for (i, (a, b)) in got.iter().zip(expected).enumerate() {
        if a.dims() != b.dims() {
            return Err(format!("{what}: output {i} is {:?} instead of {:?}", a.dims(), b.dims()));
        }
        let magnitude =
            b.to_f64().into_iter().filter(|it| it.is_finite()).fold(1.0f64, |m, it| m.max(it.abs()));
        for (j, (x, y)) in a.to_f64().into_iter().zip(b.to_f64()).enumerate() {
            let equal = x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= TOLERANCE * magnitude;
            if !equal {
                return Err(format!("{what}: element {j} of output {i} is {x} instead of {y}"));
            }
        }
    }
    Ok(())
}

fn text(error: impl Display + Debug) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn generated_graphs_give_fusion_and_planning_something_to_do() {
        let ops = OpRegistry::standard();
        let (mut merged, mut planned) = (0, 0);
        for seed in 0..200 {
            let sample = sample(seed, &ops).expect("a legal graph");
            let legal = legalized(&ops, &sample.graph).expect("every operator here has a kernel");
            let mut fused = legal.clone();
            graph::Fuse.run(&mut fused, &mut PassCx::new(&ops)).expect("fusion cannot fail");
            let count = |graph: &Graph| calls(&translated(&ops, graph).expect("a legal graph"));
            merged += usize::from(count(&fused) < count(&legal));
            planned += usize::from(
                bytes(&graph::plan_memory(&fused, MAIN, &[]).expect("a plan")).expect("static") > 0,
            );
        }
        assert!(merged >= 50, "fusion merged something in {merged} graphs only");
        assert!(planned >= 30, "{planned} graphs only need memory");
    }

    #[test]
    fn a_wrong_number_a_wrong_shape_and_a_missing_output_are_noticed() {
        use orogen_ir::types::DType;
        let of =
            |dims: &[u64], values: &[f64]| TensorData::from_f64(DType::F32, dims, values.iter().copied());
        let right = [of(&[2], &[1.0, 2.0])];
        assert_eq!(same("", &right, &right), Ok(()));
        assert!(same("", &[of(&[2], &[1.0, 2.1])], &right).is_err());
        assert!(same("", &[of(&[2, 1], &[1.0, 2.0])], &right).is_err());
        assert!(same("", &[of(&[2], &[1.0, f64::NAN])], &right).is_err());
        assert!(same("", &[], &right).is_err());
    }
}
