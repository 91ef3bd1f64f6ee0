//! Questions about stages: which axes they share, what they touch, what they evaluate.

use indexmap::IndexSet;
use orogen_ir::loops::{
    Axis, BinaryOp, BufferId, BufferRole, Expr, ExprId, Index, Stage, Stmt, TensorProgram,
};
use orogen_ir::shape::{Dim, Sym};
use orogen_ir::types::DType;

use super::division::divides;
use crate::vector::{Width, math};

/// The widths of lanes to try for stages: the narrowest that may hold every value, and what is computed otherwise.
pub(super) fn widths(program: &TensorProgram, stages: &[&Stage]) -> &'static [Width] {
    widths_of(program, stages.iter().flat_map(|it| values_below(program, it.value)))
}

/// The widths of lanes to try for values.
pub(super) fn widths_of(
    program: &TensorProgram,
    values: impl IntoIterator<Item = ExprId>,
) -> &'static [Width] {
    let (mut most, mut wide) = (None, false);
    for id in values {
        most = most.max(Some(program.dtype_of(id).size()));
        wide |= is_wide(program, id);
    }
    match most {
        _ if wide => &Width::FLOATS,
        Some(1) => &[Width::W8, Width::W16, Width::W32],
        Some(2) => &[Width::W16, Width::W32],
        Some(8) => &[Width::W32, Width::W64],
        _ => &[Width::W32],
    }
}

/// The widths of lanes to try: narrow ones for values, others of indices that data gives too, whose positions may need the
/// widest.
pub(super) fn gathering_widths(program: &TensorProgram, stage: &Stage) -> Vec<Width> {
    let inner = stage.axes.iter().rev().find(|it| program.shapes.as_int(it.extent) != Some(1));
    let narrow = match inner {
        Some(axis) => widths_of(program, values_along(program, stage.value, axis.var)),
        None => &[],
    };
    let narrow = narrow.iter().filter(|it| !it.has_floats());
    let expressions = expressions(program, stage);
    let by_data = |id: &ExprId| match &program.exprs[*id] {
        Expr::Load { at, .. } => at.iter().any(|it| it.value().is_some()),
        _ => false,
    };
    let gathers = expressions.iter().any(by_data);
    let others = widths_of(program, expressions);
    let others = if gathers { &Width::FLOATS[..] } else { others };
    narrow.chain(others.iter().filter(|it| it.has_floats())).copied().collect()
}

/// Whether a value is a function that only the widest lanes have, whatever its type.
fn is_wide(program: &TensorProgram, id: ExprId) -> bool {
    match program.exprs[id] {
        Expr::Unary(op, _) => math::code(op, Width::W32).is_none() && math::code(op, Width::W64).is_some(),
        Expr::Binary(BinaryOp::Pow, ..) => program.dtype_of(id).is_float(),
        // `f32` does not hold the integer, which is to be rounded once.
        Expr::Cast(to, x) => {
            let from = program.dtype_of(x);
            from.is_int() && from.size() == 4 && to.is_rounded_twice(from, DType::F32.digits())
        }
        Expr::Binary(BinaryOp::Fmod, ..) if program.dtype_of(id).is_float() => true,
        Expr::Binary(BinaryOp::Div | BinaryOp::Mod | BinaryOp::Fmod, ..) => {
            let dtype = program.dtype_of(id);
            divides(dtype, Width::W64) && !divides(dtype, Width::W8)
        }
        _ => false,
    }
}

/// What reports say of the width of lanes: nothing where lanes hold floats.
pub(super) fn lanes(width: Width) -> String {
    if width.has_floats() { String::new() } else { format!(", lanes of {} bits", width.bits()) }
}

/// How many leading axes stages can share.
pub(super) fn shared_depth(program: &TensorProgram, run: &[&Stage]) -> Option<usize> {
    let mut depth = run.first()?.axes.len();
    for at in 1..run.len() {
        depth = depth.min(shared_axes(program, &run[..at], run[at]));
    }
    Some(depth)
}

/// How many times a program touches a buffer.
pub(super) fn total_accesses(program: &TensorProgram, buffer: BufferId) -> usize {
    program.body.iter().map(|it| count(program, it, buffer)).sum()
}

/// How many leading axes `next` can share with the stages before it.
pub(super) fn shared_axes(program: &TensorProgram, run: &[&Stage], next: &Stage) -> usize {
    let most = run.iter().map(|it| it.axes.len()).min().unwrap_or(0).min(next.axes.len());
    let equal = |level: usize| run.iter().all(|it| it.axes[level].extent == next.axes[level].extent);
    let most = (0..most).take_while(|level| equal(*level)).count();
    let mut stages = run.to_vec();
    stages.push(next);
    // What a stage of the group writes, every stage must touch in the same iteration only.
    let legal = |depth: &usize| {
        let written: IndexSet<BufferId> = stages.iter().map(|it| it.buffer).collect();
        written.iter().all(|buffer| {
            let mut uses = 0;
            stages.iter().for_each(|it| uses += usize::from(accesses(program, it, *buffer).next().is_some()));
            uses <= 1 || (0..*depth).all(|level| !own_dims(program, &stages, level, *buffer).is_empty())
        })
    };
    (0..=most).rev().find(legal).unwrap_or(0)
}

/// The dimensions of a buffer that every access of every stage indexes with just the axis at `level`.
pub(super) fn own_dims(
    program: &TensorProgram,
    stages: &[&Stage],
    level: usize,
    buffer: BufferId,
) -> Vec<usize> {
    let rank = program.buffers[buffer].dims.len();
    (0..rank)
        .filter(|dim| {
            stages.iter().all(|stage| {
                let var = stage.axes[level].var;
                let single = program.shapes.as_int(stage.axes[level].extent) == Some(1);
                accesses(program, stage, buffer).all(|at| match &at[*dim] {
                    Index::Dim(index) => {
                        let shapes = &program.shapes;
                        let fixed = single && shapes.as_int(program.buffers[buffer].dims[*dim]) == Some(1);
                        shapes.as_sym(*index) == Some(var) || (fixed && shapes.as_int(*index) == Some(0))
                    }
                    Index::Value(_) | Index::Checked(_) => false,
                })
            })
        })
        .collect()
}

/// Whether a stage changes memory that was there before, at places that are checked.
pub(super) fn changes_checked(program: &TensorProgram, stage: &Stage) -> bool {
    program.buffers[stage.buffer].role == BufferRole::InOut && stage.at.iter().any(Index::is_checked)
}

/// Whether the indices of stages that are checked stay what they are while the stages run.
pub(super) fn settled(program: &TensorProgram, stages: &[&Stage]) -> bool {
    stages.iter().flat_map(|it| checked_indices(program, it)).filter_map(|it| it.1.value()).all(|index| {
        expressions_below(program, vec![index]).iter().all(|id| match &program.exprs[*id] {
            Expr::Load { buffer, .. } => stages.iter().all(|it| it.buffer != *buffer),
            _ => true,
        })
    })
}

/// How many times a statement touches a buffer.
pub(super) fn count(program: &TensorProgram, statement: &Stmt, buffer: BufferId) -> usize {
    match statement {
        Stmt::Stage(stage) => accesses(program, stage, buffer).count(),
        Stmt::For { body, .. } => body.iter().map(|it| count(program, it, buffer)).sum(),
    }
}

/// The index lists with which a stage touches a buffer, its store included.
pub(super) fn accesses<'a>(
    program: &'a TensorProgram,
    stage: &'a Stage,
    buffer: BufferId,
) -> impl Iterator<Item = &'a [Index]> {
    let mut found: Vec<&'a [Index]> = Vec::new();
    if stage.buffer == buffer {
        found.push(&stage.at);
    }
    for id in expressions(program, stage) {
        if let Expr::Load { buffer: from, at, .. } = &program.exprs[id]
            && *from == buffer
        {
            found.push(at);
        }
    }
    found.into_iter()
}

/// The indices of a stage that are checked: of which dimension of which buffer each is.
pub(crate) fn checked_indices(program: &TensorProgram, stage: &Stage) -> Vec<((BufferId, usize), Index)> {
    let mut found = Vec::new();
    let mut add = |buffer: BufferId, at: &[Index]| {
        let checked = at.iter().enumerate().filter(|it| it.1.is_checked());
        found.extend(checked.map(|(place, index)| ((buffer, place), index.clone())));
    };
    add(stage.buffer, &stage.at);
    for id in expressions(program, stage) {
        if let Expr::Load { buffer, at, .. } = &program.exprs[id] {
            add(*buffer, at);
        }
    }
    found
}

/// Whether a window moves over what is read: an index is of an axis of the result and of one of the reduction.
pub(super) fn slides(program: &TensorProgram, stage: &Stage) -> bool {
    let over = |axes: &[Axis], dim: Dim| axes.iter().any(|it| program.shapes.mentions(dim, it.var));
    let moves = |it: &Index| it.dim().is_some_and(|dim| over(&stage.axes, dim) && over(&stage.reduce, dim));
    let reads = expressions(program, stage);
    reads.iter().any(|id| matches!(&program.exprs[*id], Expr::Load { at, .. } if at.iter().any(moves)))
}

/// All expressions that a stage evaluates, each once.
pub(super) fn expressions(program: &TensorProgram, stage: &Stage) -> IndexSet<ExprId> {
    let places = stage.at.iter().filter_map(Index::value);
    expressions_below(program, places.chain([stage.value]).collect())
}

/// The symbols that an expression names, those of indices included.
pub(crate) fn symbols_below(program: &TensorProgram, root: ExprId) -> IndexSet<Sym> {
    let mut dims = Vec::new();
    for id in expressions_below(program, vec![root]) {
        match &program.exprs[id] {
            Expr::Dim(dim, _) => dims.push(*dim),
            Expr::Load { at, .. } => dims.extend(at.iter().filter_map(Index::dim)),
            _ => {}
        }
    }
    dims.into_iter().flat_map(|it| program.shapes.free_symbols(it)).collect()
}

/// All expressions at or below some.
pub(super) fn expressions_below(program: &TensorProgram, stack: Vec<ExprId>) -> IndexSet<ExprId> {
    below(program, stack, true)
}

/// The expressions that a value is made of, but not the indices of what it reads.
pub(super) fn values_below(program: &TensorProgram, root: ExprId) -> IndexSet<ExprId> {
    below(program, vec![root], false)
}

/// The same without what is compared of sizes and axes, or of integers that data give for all of an axis: such a condition
/// may hold in a range of it.
pub(super) fn values_along(program: &TensorProgram, root: ExprId, axis: Sym) -> IndexSet<ExprId> {
    below_until(program, vec![root], false, |id| match program.exprs[id] {
        Expr::Compare(_, x, y) => is_range(program, axis, [x, y]),
        _ => false,
    })
}

/// Whether each of two operands is made of sizes and axes, or is an integer that data give for all of an axis.
pub(super) fn is_range(program: &TensorProgram, axis: Sym, operands: [ExprId; 2]) -> bool {
    operands.iter().all(|it| {
        is_fixed(program, *it)
            || program.dtype_of(*it) == DType::I64 && !symbols_below(program, *it).contains(&axis)
    })
}

/// Whether a value is made of sizes and axes alone.
pub(super) fn is_fixed(program: &TensorProgram, id: ExprId) -> bool {
    values_below(program, id).iter().all(|it| match program.exprs[*it] {
        Expr::Dim(..) | Expr::Float(..) | Expr::Int(..) => true,
        Expr::Binary(op, ..) => matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul),
        _ => false,
    })
}

fn below(program: &TensorProgram, stack: Vec<ExprId>, indices: bool) -> IndexSet<ExprId> {
    below_until(program, stack, indices, |_| false)
}

/// What is below an expression at which the search ends is left out.
fn below_until(
    program: &TensorProgram,
    mut stack: Vec<ExprId>,
    indices: bool,
    end: impl Fn(ExprId) -> bool,
) -> IndexSet<ExprId> {
    let mut seen = IndexSet::new();
    while let Some(id) = stack.pop() {
        if !seen.insert(id) || end(id) {
            continue;
        }
        match &program.exprs[id] {
            Expr::Dim(..) | Expr::Float(..) | Expr::Int(..) => {}
            Expr::Load { at, otherwise, .. } => {
                stack.extend(at.iter().filter_map(Index::value).filter(|_| indices));
                stack.extend(*otherwise);
            }
            Expr::Unary(_, a) | Expr::Cast(_, a) => stack.push(*a),
            Expr::Binary(_, a, b) | Expr::Compare(_, a, b) => stack.extend([*a, *b]),
            Expr::Select(a, b, c) => stack.extend([*a, *b, *c]),
        }
    }
    seen
}
