//! The squares.

use crate::results::{meant, of_module, same};
use crate::subject::Subject;
use orogen::{Compiler, Step};
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::{Module, Rhs, difference};
use orogen_ir::graph::Graph;
use orogen_ir::ops::OpRegistry;
use orogen_ir::plan::{CallPlan, PlanModule, print_plan, prove_module};
use orogen_ir::shape::Env;
use orogen_ir::types::TensorData;
use orogen_passes::manager::Ir;
use orogen_passes::{bridge, flow, graph};
use orogen_reference::eval_plan;

/// The function that a graph becomes.
const MAIN: &str = "main";

/// In which sense both ways around agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// They give the same program, binding by binding.
    Structural,
    /// The new way may do better, and this is how.
    Refining(&'static str),
}

/// A step on both IRs, compared.
#[derive(Clone, Copy, Debug)]
pub struct Square {
    /// The step.
    pub step: Step,
    /// Name in the ledger.
    pub name: &'static str,
    /// In which sense both agree.
    pub agreement: Agreement,
}

/// Every square, top to bottom.
pub const SQUARES: &[Square] = &[
    Square {
        step: Step::Import,
        name: "import",
        agreement: Agreement::Refining("loops stay loops, which the static graph unrolls"),
    },
    Square { step: Step::Canonicalize, name: "canonicalize", agreement: Agreement::Structural },
    Square { step: Step::FoldConstants, name: "fold_constants", agreement: Agreement::Structural },
    Square { step: Step::Simplify, name: "simplify", agreement: Agreement::Structural },
    Square { step: Step::Layout, name: "layout", agreement: Agreement::Structural },
    Square { step: Step::Legalize, name: "legalize", agreement: Agreement::Structural },
    Square { step: Step::Fuse, name: "fuse", agreement: Agreement::Structural },
    Square {
        step: Step::PlanMemory,
        name: "plan_memory",
        agreement: Agreement::Refining("outputs are allocated where they are first written"),
    },
];

/// The planner of the dataflow IR.
pub type PlanFn = fn(&OpRegistry, &Module) -> Result<PlanModule, Diagnostics>;

/// What is compared.
#[derive(Debug)]
pub struct Harness {
    /// Its passes are the steps.
    pub compiler: Compiler,
    /// The last step of the dataflow IR.
    pub plan: PlanFn,
}

impl Default for Harness {
    /// What users run.
    fn default() -> Self {
        Harness { compiler: Compiler::standard(), plan: |ops, module| flow::plan_memory(ops, module, &[]) }
    }
}

/// A square that does not commute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which square.
    pub square: &'static str,
    /// What differs.
    pub what: String,
}

/// Checks every square on a subject, from the top down.
///
/// # Errors
/// The squares that do not commute.
pub fn check(harness: &Harness, subject: &Subject) -> Result<(), Vec<Finding>> {
    let mut found = Vec::new();
    let meaning = match meant(harness.compiler.ops(), subject) {
        Some(Ok(meaning)) if subject.is_tame => Some(meaning),
        _ => None,
    };
    let mut meaning = meaning.as_deref();
    let mut graph = subject.graph.clone();
    for square in SQUARES {
        let run = Run { harness, subject, square, meaning };
        match run.check(&graph) {
            Ok(Some(below)) => graph = below,
            // Both ways refuse the program, for the same reasons.
            Ok(None) => break,
            Err(what) => {
                found.push(Finding { square: square.name, what });
                // The squares below start from what the legacy path gives, which may be what is wrong.
                meaning = None;
                match run.legacy(&graph) {
                    Ok(below) => graph = below,
                    Err(_) => break,
                }
            }
        }
    }
    if found.is_empty() { Ok(()) } else { Err(found) }
}

/// One square on one subject.
struct Run<'a> {
    harness: &'a Harness,
    subject: &'a Subject,
    square: &'a Square,
    /// What the program computes, when rounding does not show in it.
    meaning: Option<&'a [TensorData]>,
}

impl Run<'_> {
    fn ops(&self) -> &OpRegistry {
        self.harness.compiler.ops()
    }

    /// The graph below the step, given the one above it.
    fn legacy(&self, above: &Graph) -> Result<Graph, Diagnostics> {
        let mut below = above.clone();
        self.harness.compiler.graph_step(&mut below, self.square.step)?;
        Ok(below)
    }

    /// The graph below the step when the square commutes; `None` when both ways refuse the program.
    fn check(&self, above: &Graph) -> Result<Option<Graph>, String> {
        match self.square.step {
            Step::Import => self.import(above).map(|()| Some(above.clone())),
            Step::PlanMemory => self.plan_memory(above).map(|()| None),
            _ => self.step(above),
        }
    }

    fn step(&self, above: &Graph) -> Result<Option<Graph>, String> {
        let mut new = self.translated(above)?;
        let old = self.legacy(above);
        let outcome = self.harness.compiler.flow_step(&mut new, self.square.step);
        let below = match (old, outcome) {
            (Ok(below), Ok(_)) => below,
            (Err(old), Err(new)) => {
                let codes = |it: &Diagnostics| it.iter().map(|it| it.code).collect::<Vec<_>>();
                let (old, new) = (codes(&old), codes(&new));
                return if old == new { Ok(None) } else { Err(format!("refused with {old:?} and {new:?}")) };
            }
            (Err(old), Ok(_)) => return Err(format!("the legacy step alone refuses it: {old}")),
            (Ok(_), Err(new)) => return Err(format!("the flow step alone refuses it: {new}")),
        };
        Ir::verify(&below, self.ops()).map_err(|it| format!("the legacy step: {it}"))?;
        Ir::verify(&new, self.ops()).map_err(|it| format!("the flow step: {it}"))?;
        let old = self.translated(&below)?;
        if let Some(difference) = difference(&old, &new) {
            return Err(difference);
        }
        self.means("the flow step", || of_module(self.ops(), &new, self.inputs()))?;
        Ok(Some(below))
    }

    /// The importers: one program, and one answer to each part of it.
    fn import(&self, graph: &Graph) -> Result<(), String> {
        if let Some(said) = &self.subject.said {
            return Err(said.clone());
        }
        let old = self.translated(graph)?;
        let mut new = self.subject.module.clone();
        let ran = self.harness.compiler.flow_step(&mut new, Step::Import);
        ran.map_err(|it| it.to_string())?;
        Ir::verify(&new, self.ops()).map_err(|it| format!("the importer: {it}"))?;
        let is_loop = |it: &Rhs| matches!(it, Rhs::While { .. });
        let loops = new.functions().any(|(_, it)| it.live_bindings().iter().any(|id| is_loop(&it[*id].rhs)));
        match (loops, difference(&old, &new)) {
            (false, Some(difference)) => return Err(difference),
            (true, None) => return Err("a loop is no loop".to_string()),
            _ => {}
        }
        self.means("the importer", || of_module(self.ops(), &new, self.inputs()))
    }

    /// The planners: one plan, up to when outputs are allocated.
    fn plan_memory(&self, graph: &Graph) -> Result<(), String> {
        let text = |it: Diagnostics| it.to_string();
        let old = graph::plan_memory(graph, MAIN, &[]).map_err(text)?;
        let mut plans = (self.harness.plan)(self.ops(), &self.translated(graph)?).map_err(text)?;
        prove_module(&mut plans).map_err(|it| format!("the plan of the module breaks a law: {it}"))?;
        let new = plans.entry().ok_or("the plans have no entry")?;
        if let Some(line) = first_difference(&old, new) {
            return Err(line);
        }
        let (before, after) = (bytes(&old)?, bytes(new)?);
        if after > before {
            return Err(format!("{after} bytes on the flow side, {before} on the legacy side"));
        }
        self.means("the plan", || eval_plan(new, self.inputs()).map_err(|it| it.to_string()))
    }

    fn translated(&self, graph: &Graph) -> Result<Module, String> {
        let module = bridge::translate(graph, self.ops()).map_err(|it| format!("the translation: {it}"))?;
        Ir::verify(&module, self.ops()).map_err(|it| format!("the translation: {it}"))?;
        Ok(module)
    }

    fn inputs(&self) -> &[TensorData] {
        self.subject.inputs.as_deref().unwrap_or_default()
    }

    /// Compares what is computed with what the program means, where that can be said.
    fn means(&self, what: &str, compute: impl Fn() -> Result<Vec<TensorData>, String>) -> Result<(), String> {
        let Some(meaning) = self.meaning else { return Ok(()) };
        let result = compute().and_then(|it| same(&it, meaning));
        result.map_err(|it| format!("{what} computes something else: {it}"))
    }
}

/// The first line in which two plans differ, up to when outputs are allocated.
fn first_difference(old: &CallPlan, new: &CallPlan) -> Option<String> {
    let (old, new) = (print_plan(old).text, print_plan(new).text);
    let steps = |text: &'_ str| -> Vec<String> {
        let allocation = |it: &&str| it.trim_start().starts_with("alloc %out");
        text.lines().filter(|it| !allocation(it)).map(str::to_owned).collect()
    };
    let (old, new) = (steps(&old), steps(&new));
    let differs = old.iter().zip(&new).find(|(old, new)| old != new);
    match differs {
        Some((old, new)) => Some(format!("`{old}` of the graph's plan is `{new}`")),
        None if old.len() != new.len() => Some(format!("{} lines of plan and {}", old.len(), new.len())),
        None => None,
    }
}

/// Memory beside inputs, outputs and constants.
fn bytes(plan: &CallPlan) -> Result<i64, String> {
    let sizes = plan.arenas.iter().map(|it| plan.shapes.eval(it.bytes, &Env::default()));
    sizes.sum::<Option<i64>>().ok_or_else(|| "the size of an arena is not constant".to_string())
}
