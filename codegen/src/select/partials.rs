//! Reductions to few results in two stages: one result of very many elements leaves nothing for threads to divide, so the
//! outermost axis that is reduced becomes one of partial results, which a second stage combines.
//!
//! # Laws
//! * **P1** Whether and how a reduction is taken apart follows from its extents alone, not from the number of threads or
//!   from the instruction set: its results have the same bits for every number of threads.
//! * **P2** A partial result is rounded as a result is. Sums of 16-bit floats, which are rounded at every step, stay whole.

use indexmap::IndexMap;
use orogen_ir::loops::{Axis, Buffer, BufferRole, Combine, Expr, Index, Stage, Stmt, TensorProgram};
use orogen_ir::shape::{Dim, Sym};
use orogen_ir::types::Dims;

/// Results up to which a reduction has few.
const FEW: i64 = 8;
/// Elements from which on a reduction of known extents is taken apart.
const LEAST: i64 = 1 << 17;
/// Least elements of a partial result.
const LEAST_PART: i64 = 1 << 10;

/// The program with its reductions to few results taken apart, if there are any.
pub(crate) fn in_partials(program: &TensorProgram) -> Option<TensorProgram> {
    let mut divided = None;
    let mut body = Vec::new();
    for statement in &program.body {
        let parts = match statement {
            Stmt::Stage(stage) if is_large(program, stage) => {
                apart(divided.get_or_insert_with(|| program.clone()), stage)
            }
            _ => None,
        };
        match parts {
            Some(parts) => body.extend(parts.map(Stmt::Stage)),
            None => body.push(statement.clone()),
        }
    }
    Some(TensorProgram { body, ..divided? })
}

/// The product of extents that are known.
fn product(program: &TensorProgram, axes: &[Axis]) -> Option<i64> {
    let extents = axes.iter().map(|it| program.shapes.as_int(it.extent));
    extents.into_iter().try_fold(1i64, |product, extent| product.checked_mul(extent?))
}

/// The place of the outermost axis that is reduced.
fn outermost(program: &TensorProgram, stage: &Stage) -> Option<usize> {
    stage.reduce.iter().position(|it| program.shapes.as_int(it.extent) != Some(1))
}

/// Whether a stage has few results of very many elements, of which each partial result has many.
fn is_large(program: &TensorProgram, stage: &Stage) -> bool {
    let dtype = program.buffers[stage.buffer].dtype;
    let rounds = dtype.is_float() && dtype.size() < 4;
    let sums = matches!(stage.combine, Some(Combine::Sum | Combine::Product));
    let extents = || {
        let results = product(program, &stage.axes)?;
        let (_, inner) = stage.reduce.split_at_checked(outermost(program, stage)?)?;
        let (outer, inner) = inner.split_first()?;
        Some((results, program.shapes.as_int(outer.extent), product(program, inner)?))
    };
    let Some((results, outer, inner)) = extents() else { return false };
    let elements = outer.map(|it| inner.saturating_mul(it).saturating_mul(results));
    !(rounds && sums)
        && (1..=FEW).contains(&results)
        && inner >= LEAST_PART
        && elements.is_none_or(|it| it >= LEAST)
}

/// The partial results of a stage, and what combines them.
fn apart(program: &mut TensorProgram, stage: &Stage) -> Option<[Stage; 2]> {
    let mut reduce = stage.reduce.clone();
    let outer = reduce.remove(outermost(program, stage)?);
    let axes = [outer].into_iter().chain(stage.axes.iter().copied());
    let dims: Dims = axes.clone().map(|it| it.extent).collect();
    let dtype = program.buffers[stage.buffer].dtype;
    let names = |name: &str| program.buffers.values().any(|it| it.name == name);
    let name = (1..).map(|it| format!("partial{it}")).find(|it| !names(it))?;
    let partial = program.buffers.alloc(Buffer { name, dtype, dims, role: BufferRole::Local });
    let place = |program: &mut TensorProgram, sym: Sym| Index::Dim(program.shapes.sym_dim(sym));
    let at = axes.clone().map(|it| place(program, it.var)).collect();
    let first = Stage { axes: axes.clone().collect(), reduce, buffer: partial, at, ..stage.clone() };
    // Axes of the second stage have names of their own.
    let mut values: IndexMap<Sym, Dim> = IndexMap::new();
    let fresh = |program: &mut TensorProgram, axis: Axis| {
        let dim = program.shapes.fresh_index("part", axis.extent);
        Some((Axis { var: program.shapes.as_sym(dim)?, ..axis }, dim))
    };
    let (over, first_index) = fresh(program, outer)?;
    let (mut own, mut at) = (Vec::new(), vec![Index::Dim(first_index)]);
    for axis in &stage.axes {
        let (new, dim) = fresh(program, *axis)?;
        values.insert(axis.var, dim);
        own.push(new);
        at.push(Index::Dim(dim));
    }
    let value = program.exprs.alloc(Expr::Load { buffer: partial, at: at.into(), otherwise: None });
    let target: Option<Vec<Index>> = stage
        .at
        .iter()
        .map(|it| Some(Index::Dim(program.shapes.substitute(it.dim()?, &values).ok()?)))
        .collect();
    let second = Stage {
        axes: own.into(),
        reduce: [over].into_iter().collect(),
        at: target?.into(),
        value,
        ..stage.clone()
    };
    Some([first, second])
}
