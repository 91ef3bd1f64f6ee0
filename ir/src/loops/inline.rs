//! Substitution of elementwise stages into the loads that read them.

use super::broadcast::broadcast_axis;
use super::{BufferId, BufferRole, Expr, ExprId, Index, Stage, Stmt, TensorProgram, UnaryOp};
use crate::shape::{Dim, Overflow, Sym};
use indexmap::{IndexMap, IndexSet};

/// Substitutes local buffers that one elementwise stage fills into the load that reads them, where that does not
/// repeat costly work, and drops the stage. Returns whether anything changed.
pub fn inline(program: &mut TensorProgram) -> bool {
    let mut changed = false;
    let mut position = 0;
    while position < program.body.len() {
        if inline_at(program, position).is_some() {
            changed = true;
        } else {
            position += 1;
        }
    }
    changed
}

fn inline_at(program: &mut TensorProgram, position: usize) -> Option<()> {
    let Stmt::Stage(stage) = &program.body[position] else { return None };
    let stage = stage.clone();
    let buffer = &program.buffers[stage.buffer];
    if buffer.role != BufferRole::Local || stage.combine.is_some() || !fills(program, &stage) {
        return None;
    }
    let mut reader: Option<(usize, Vec<ExprId>)> = None;
    for (i, stmt) in program.body.iter().enumerate() {
        match stmt {
            Stmt::Stage(other) => {
                if i != position && other.buffer == stage.buffer {
                    return None;
                }
                let loads = loads_of(program, other, stage.buffer);
                if !loads.is_empty() {
                    if reader.is_some() || i < position {
                        return None;
                    }
                    reader = Some((i, loads));
                }
            }
            Stmt::For { body, .. } => {
                if mentions(program, body, stage.buffer) {
                    return None;
                }
            }
        }
    }
    let (reader, loads) = reader?;
    let Stmt::Stage(consumer) = &program.body[reader] else { return None };
    let consumer = consumer.clone();
    // What the inlined expression loads must not be overwritten in between.
    let inputs = loaded_buffers(program, stage.value);
    for stmt in &program.body[position + 1..=reader] {
        match stmt {
            Stmt::Stage(other) if inputs.contains(&other.buffer) => return None,
            Stmt::For { body, .. } if inputs.iter().any(|it| stores(body, *it)) => return None,
            _ => {}
        }
    }
    if loads.len() != 1 {
        return None;
    }
    if !reads_each_element_once(program, &consumer, loads[0]) && !is_cheap(program, stage.value) {
        return None;
    }
    let map = axis_of_dimension(program, &stage)?;
    let load = loads[0];
    let Expr::Load { at, otherwise: None, .. } = &program.exprs[load] else { return None };
    let map: IndexMap<Sym, Dim> = stage
        .axes
        .iter()
        .zip(map)
        .map(|(axis, dimension)| Some((axis.var, at[dimension].dim()?)))
        .collect::<Option<_>>()?;
    let copy = substitute(program, stage.value, &map).ok()?;
    let mut roots = vec![consumer.value];
    roots.extend(consumer.at.iter().filter_map(Index::value));
    let replaced = replace(program, &roots, load, copy);
    let value = replaced[&consumer.value];
    let at = consumer
        .at
        .iter()
        .map(|it| match it {
            Index::Dim(dim) => Index::Dim(*dim),
            Index::Value(value) => Index::Value(replaced[value]),
            Index::Checked(value) => Index::Checked(replaced[value]),
        })
        .collect();
    program.body[reader] = Stmt::Stage(Stage { value, at, ..consumer });
    program.body.remove(position);
    Some(())
}

/// Which dimension of the buffer each axis of a stage that [`fills`] it runs along.
pub(super) fn axis_of_dimension(program: &TensorProgram, stage: &Stage) -> Option<Vec<usize>> {
    stage
        .axes
        .iter()
        .map(|axis| {
            stage
                .at
                .iter()
                .position(|it| it.dim().is_some_and(|d| program.shapes.as_sym(d) == Some(axis.var)))
        })
        .collect()
}

/// Whether a stage stores every element of its buffer, each at the index of its own axes.
pub(super) fn fills(program: &TensorProgram, stage: &Stage) -> bool {
    let dims = &program.buffers[stage.buffer].dims;
    stage.at.iter().zip(dims).all(|(index, dim)| {
        let Some(index) = index.dim() else { return false };
        match program.shapes.as_sym(index) {
            Some(sym) => stage.axes.iter().any(|it| it.var == sym && it.extent == *dim),
            None => program.shapes.as_int(index) == Some(0) && program.shapes.as_int(*dim) == Some(1),
        }
    }) && axis_of_dimension(program, stage).is_some_and(|mut it| {
        it.sort_unstable();
        it.windows(2).all(|pair| pair[0] != pair[1])
    })
}

fn reads_each_element_once(program: &TensorProgram, consumer: &Stage, load: ExprId) -> bool {
    let Expr::Load { at, otherwise: None, .. } = &program.exprs[load] else { return false };
    let mut seen: Vec<Sym> = Vec::new();
    for index in at {
        let Some(dim) = index.dim() else { return false };
        // Sizes that broadcast are the exception, for which computing a value again is accepted.
        match broadcast_axis(&program.shapes, dim) {
            Some(sym) if !seen.contains(&sym) => seen.push(sym),
            _ if program.shapes.as_int(dim) == Some(0) => {}
            _ => return false,
        }
    }
    consumer.all_axes().all(|axis| seen.contains(&axis.var) || program.shapes.as_int(axis.extent) == Some(1))
}

/// Whether computing an expression again costs little more than loading its value.
fn is_cheap(program: &TensorProgram, value: ExprId) -> bool {
    fn count(program: &TensorProgram, id: ExprId, budget: &mut usize) -> bool {
        if *budget == 0 {
            return false;
        }
        *budget -= 1;
        let cheap = match &program.exprs[id] {
            Expr::Unary(op, _) => matches!(op, UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Not | UnaryOp::BitNot),
            Expr::Binary(op, ..) => {
                use super::BinaryOp::{Add, And, Max, Min, Mul, Or, Sub, Xor};
                matches!(op, Add | Sub | Mul | Max | Min | And | Or | Xor)
            }
            _ => true,
        };
        cheap && program.exprs[id].operands().into_iter().all(|it| count(program, it, budget))
    }
    const NODES: usize = 6;
    count(program, value, &mut { NODES })
}

/// Loads of `buffer` in a stage, each expression once.
pub(super) fn loads_of(program: &TensorProgram, stage: &Stage, buffer: BufferId) -> Vec<ExprId> {
    let roots = std::iter::once(stage.value).chain(stage.at.iter().filter_map(Index::value));
    let loads = |id: &ExprId| matches!(&program.exprs[*id], Expr::Load { buffer: it, .. } if *it == buffer);
    program.postorder(roots).into_iter().filter(loads).collect()
}

fn loaded_buffers(program: &TensorProgram, value: ExprId) -> IndexSet<BufferId> {
    let buffer = |id| match &program.exprs[id] {
        Expr::Load { buffer, .. } => Some(*buffer),
        _ => None,
    };
    program.postorder([value]).into_iter().filter_map(buffer).collect()
}

pub(super) fn mentions(program: &TensorProgram, body: &[Stmt], buffer: BufferId) -> bool {
    body.iter().any(|stmt| match stmt {
        Stmt::Stage(stage) => stage.buffer == buffer || !loads_of(program, stage, buffer).is_empty(),
        Stmt::For { body, .. } => mentions(program, body, buffer),
    })
}

fn stores(body: &[Stmt], buffer: BufferId) -> bool {
    body.iter().any(|stmt| match stmt {
        Stmt::Stage(stage) => stage.buffer == buffer,
        Stmt::For { body, .. } => stores(body, buffer),
    })
}

/// A copy of an expression with axes replaced by index expressions.
pub(super) fn substitute(
    program: &mut TensorProgram,
    root: ExprId,
    map: &IndexMap<Sym, Dim>,
) -> Result<ExprId, Overflow> {
    let mut copies: IndexMap<ExprId, ExprId> = IndexMap::new();
    for id in program.postorder([root]) {
        let mut expr = program.exprs[id].clone();
        match &mut expr {
            Expr::Dim(dim, _) => *dim = program.shapes.substitute(*dim, map)?,
            Expr::Load { at, .. } => {
                for index in at {
                    if let Index::Dim(dim) = index {
                        *dim = program.shapes.substitute(*dim, map)?;
                    }
                }
            }
            _ => {}
        }
        expr.for_each_operand_mut(&mut |it| *it = copies[&*it]);
        copies.insert(id, program.exprs.alloc(expr));
    }
    Ok(copies[&root])
}

/// What everything below `roots` becomes when `old` becomes `new`; expressions without `old` below them stay.
pub(super) fn replace(
    program: &mut TensorProgram,
    roots: &[ExprId],
    old: ExprId,
    new: ExprId,
) -> IndexMap<ExprId, ExprId> {
    let mut copies: IndexMap<ExprId, ExprId> = IndexMap::new();
    for id in program.postorder(roots.iter().copied()) {
        let mut changed = false;
        let mut expr = program.exprs[id].clone();
        expr.for_each_operand_mut(&mut |it| {
            changed |= copies[&*it] != *it;
            *it = copies[&*it];
        });
        let copy = match (id == old, changed) {
            (true, _) => new,
            (false, true) => program.exprs.alloc(expr),
            (false, false) => id,
        };
        copies.insert(id, copy);
    }
    copies
}
