//! What a program costs as it will run.
//!
//! Costs of single operators do not know what is fused, which moves of data become the indices of another kernel, and which
//! forms lowering has for what rules make. The steps that lower and fuse do: they run on a copy of the program, and
//! what is counted are the kernels that are left, by their loops.
//!
//! * A sum of products counts two operations for each point; every other expression of a stage its weight for each point.
//! * A load along whose last index the innermost axis does not run is [`STRIDED`] steps, a load from a place in data
//!   [`GATHERED`]; in a stage that only moves elements they are tiles and cost [`MOVED`]. A stage with such a load goes row
//!   by row, and each row is whole vectors of [`LANES`]: short ones cost what they would if they were longer.
//! * A kernel reads of a buffer at most what it loads, and writes its outputs.
//! * What follows from constants alone is computed before any call and costs nothing.

use super::cost::{FREE_BYTES, Size, Work, extent, representative, weight_of};
use crate::manager::{Pass, PassCx};
use indexmap::{IndexMap, IndexSet};
use orogen_ir::flow::{Definition, Function, Module, Rhs, ValueId};
use orogen_ir::loops::analysis::is_contraction;
use orogen_ir::loops::{BinaryOp, Expr, Index, Stage, Stmt, TensorProgram};
use orogen_ir::scalar::ScalarFn;
use orogen_ir::shape::{Dim, Env};
use std::fmt;
use std::sync::Arc;

/// Steps of a load that jumps from row to row. Measured: a transpose that is read within a product of elements takes 190 ps
/// for each of them.
const STRIDED: u64 = 14;
/// Steps of a load from a place in data.
const GATHERED: u64 = 6;
/// Steps of an element of a copy that transposes.
const MOVED: u64 = 3;
/// What costs less by a smaller part of the whole than this one is left as it is: that is less than the costs are off by.
const WORTH: u64 = 2000;
/// Elements of a vector on most machines.
const LANES: u64 = 8;

/// The steps that make kernels of operators, and fuse them.
#[derive(Clone)]
pub(super) struct Lowering(pub(super) Arc<[Arc<dyn Pass<Module>>]>);

impl fmt::Debug for Lowering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|it| it.name())).finish()
    }
}

/// Compares programs by what they cost once they are lowered.
pub(super) struct Judge {
    lowering: Lowering,
    /// Programs that may still be lowered.
    left: usize,
    /// Programs that were.
    pub(super) spent: usize,
    /// The least cost yet.
    pub(super) best: Work,
}

impl Judge {
    /// With the cost of the program that comes in; `None` when it cannot be lowered.
    pub(super) fn new(lowering: &Lowering, module: &Module, cx: &PassCx<'_>, budget: usize) -> Option<Self> {
        let best = work(module, lowering, cx)?;
        Some(Judge { lowering: lowering.clone(), left: budget, spent: 1, best })
    }

    /// Whether a program costs less than all before it, by what is [worth](WORTH) it; not when the budget is spent.
    pub(super) fn prefers(&mut self, module: &Module, cx: &PassCx<'_>) -> bool {
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        self.spent += 1;
        let Some(work) = work(module, &self.lowering, cx) else { return false };
        let better = work.cost() < self.best.cost() - self.best.cost() / WORTH;
        if better {
            self.best = work;
        }
        better
    }
}

/// What a program costs once it is lowered; `None` when it cannot be.
fn work(module: &Module, lowering: &Lowering, cx: &PassCx<'_>) -> Option<Work> {
    let mut lowered = module.clone();
    lowered.remove_dead_code(cx.ops);
    let mut inner = PassCx::new(cx.ops).with_accuracy(cx.accuracy);
    for pass in lowering.0.iter() {
        pass.run(&mut lowered, &mut inner).ok()?;
    }
    let env = representative(&lowered.shapes);
    Some(lowered.functions().map(|(_, it)| of_function(&lowered, it, &env)).sum())
}

fn of_function(module: &Module, function: &Function, env: &Env) -> Work {
    let mut known: IndexSet<ValueId> = IndexSet::new();
    let mut sum = Work::default();
    for id in function.live_bindings() {
        let binding = &function[id];
        let operands = binding.rhs.operands();
        let all_known = operands.iter().all(|it| known.contains(it));
        let bytes = |values: &[ValueId]| {
            let each = values.iter().map(|it| Size::of(&module.shapes, env, &function[*it].ty).bytes);
            each.fold(0, u64::saturating_add)
        };
        let work = match &binding.rhs {
            Rhs::Constant(_) => None,
            Rhs::View { .. } if all_known => None,
            Rhs::Call { .. } | Rhs::Op { .. }
                if all_known
                    && !operands.is_empty()
                    && bytes(&binding.results) <= bytes(&operands).max(FREE_BYTES) =>
            {
                None
            }
            Rhs::Call { callee, args, sizes } => {
                let program = match module.definitions().get(callee) {
                    Some(Definition::Kernel(kernel)) => kernel.program(),
                    _ => None,
                };
                let given = |it: &Dim| module.shapes.eval(*it, env);
                Some(match program {
                    Some(program) => of_program(program, &sizes.iter().map(given).collect::<Vec<_>>()),
                    None => Work {
                        nodes: 1,
                        launches: 1,
                        bytes: bytes(args).saturating_add(bytes(&binding.results)),
                        ..Work::default()
                    },
                })
            }
            _ => Some(Work::default()),
        };
        match work {
            Some(work) => sum = sum + work,
            None => known.extend(&binding.results),
        }
    }
    sum
}

/// What one call of a program does, for these sizes.
fn of_program(program: &TensorProgram, sizes: &[Option<i64>]) -> Work {
    let mut env = Env::new();
    for (sym, size) in program.sizes.iter().zip(sizes) {
        if let Some(size) = size {
            env.set(*sym, *size);
        }
    }
    let mut counter = Counter { program, env, loaded: IndexMap::new(), work: Work::default() };
    counter.body(&program.body, 1);
    let Counter { env, loaded, mut work, .. } = counter;
    for param in &program.params {
        let buffer = &program.buffers[*param];
        let extents = buffer.dims.iter().map(|it| extent(program.shapes.eval(*it, &env)));
        let whole = extents.fold(1, u64::saturating_mul);
        let read = whole.min(loaded.get(param).copied().unwrap_or(0));
        let elements = if buffer.role.is_result() { whole } else { read };
        let bits = elements.saturating_mul(u64::from(buffer.dtype.width()));
        work.bytes = work.bytes.saturating_add(bits.div_ceil(8));
    }
    Work { nodes: 1, launches: 1, ..work }
}

struct Counter<'p> {
    program: &'p TensorProgram,
    env: Env,
    /// How often elements of a buffer are loaded.
    loaded: IndexMap<orogen_ir::loops::BufferId, u64>,
    work: Work,
}

impl Counter<'_> {
    fn body(&mut self, body: &[Stmt], times: u64) {
        for stmt in body {
            match stmt {
                Stmt::Stage(stage) => self.stage(stage, times),
                Stmt::For { axis, body } => {
                    let rounds = extent(self.program.shapes.eval(axis.extent, &self.env));
                    self.body(body, times.saturating_mul(rounds));
                }
            }
        }
    }

    fn stage(&mut self, stage: &Stage, times: u64) {
        let program = self.program;
        let axes = || stage.axes.iter().chain(&stage.reduce);
        let extents: Vec<u64> = axes().map(|it| extent(program.shapes.eval(it.extent, &self.env))).collect();
        let points = extents.iter().fold(times, |all, it| all.saturating_mul(*it));
        let innermost = axes().next_back().map(|it| it.var);
        let only_moves = matches!(program.exprs[stage.value], Expr::Load { .. }) && stage.combine.is_none();
        let contracts = is_contraction(program, stage);
        let mut steps = u64::from(stage.combine.is_some());
        let mut by_rows = false;
        for id in program.postorder([stage.value]) {
            let expr = &program.exprs[id];
            if let Expr::Load { buffer, at, .. } = expr {
                let count = self.loaded.entry(*buffer).or_insert(0);
                *count = count.saturating_add(points);
                let jumps = |it: &Index| match (it, innermost) {
                    (Index::Dim(dim), Some(var)) => program.shapes.mentions(*dim, var),
                    _ => false,
                };
                let outer = at.len().saturating_sub(1);
                steps += match () {
                    () if at.iter().any(|it| !matches!(it, Index::Dim(_))) => GATHERED,
                    () if !at[..outer].iter().any(jumps) || at[outer..].iter().any(jumps) => 0,
                    () if only_moves => MOVED,
                    () => {
                        by_rows = true;
                        STRIDED
                    }
                };
            } else {
                steps += step_of(expr);
            }
        }
        // Code of products packs what it reads.
        if contracts {
            self.work.flops = self.work.flops.saturating_add(points.saturating_mul(2));
        } else {
            let row = extents.last().copied().unwrap_or(1).max(1);
            let points =
                if by_rows { (points / row).saturating_mul(row.next_multiple_of(LANES)) } else { points };
            self.work.elements = self.work.elements.saturating_add(points.saturating_mul(steps.max(1)));
        }
    }
}

/// What an expression weighs, in simple operations.
fn step_of(expr: &Expr) -> u64 {
    match expr {
        Expr::Dim(..) | Expr::Float(..) | Expr::Int(..) | Expr::Load { .. } => 0,
        Expr::Unary(op, _) => weight_of(ScalarFn::Unary(*op)),
        Expr::Binary(op @ (BinaryOp::Div | BinaryOp::Pow), ..) => weight_of(ScalarFn::Binary(*op)),
        Expr::Binary(..) | Expr::Compare(..) | Expr::Select(..) | Expr::Cast(..) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::of_program;
    use orogen_ir::loops::parse_program;

    /// Steps on elements of a kernel whose rows have as many elements, transposed or not.
    fn steps(columns: u64, at: &str) -> u64 {
        let text = format!(
            "kernel @k {{\n  in %x: f32[{columns}, 96]\n  in %y: f32[96, {columns}]\n  out %z: f32[96, {columns}]\n  \
             for i < 96, j < {columns} {{\n    %z[i, j] = {at} + tanh(%y[i, j])\n  }}\n}}\n"
        );
        let program = parse_program(&text).unwrap_or_else(|it| panic!("{text}\n{it}"));
        of_program(&program, &[]).elements
    }

    /// Ten columns take two vectors where rows do not follow each other in all operands.
    #[test]
    fn short_rows_are_whole_vectors() {
        assert_eq!(steps(10, "%x[j, i]"), steps(16, "%x[j, i]"));
        assert!(steps(10, "%y[i, j]") < steps(16, "%y[i, j]"));
    }
}
