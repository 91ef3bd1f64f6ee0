//! Gathers and generators: one stage each.

use super::movement::moved;
use super::{LegalizeFn, Legalizer, Lowering};
use orogen_ir::diag::Diagnostic;
use orogen_ir::loops::{BinaryOp, BuildResult, CompareOp, ExprId, Index};
use orogen_ir::shape::Dim;
use orogen_ir::types::DType;

pub(super) const ROWS: &[(&str, LegalizeFn)] = &[
    ("gather", gather),
    ("gather_elements", gather_elements),
    ("gather_nd", gather_nd),
    ("one_hot", one_hot),
    ("range", range),
    ("full", full),
    ("trilu", trilu),
];

fn gather(cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let axis = cx.axis_attr();
    let index_rank = cx.arg_dims(1)?.len();
    moved(cx, |cx, vars, dims| {
        let index = match fixed_index(cx, dims[axis])? {
            Some(fixed) => fixed,
            None => {
                let indices = cx.input(1)?;
                Index::Checked(cx.b.load(indices, vars[axis..axis + index_rank].iter().copied())?)
            }
        };
        let mut at: Vec<Index> = vars[..axis].iter().map(|it| (*it).into()).collect();
        at.push(index);
        at.extend(vars[axis + index_rank..].iter().map(|it| Index::from(*it)));
        Ok(at)
    })
}

/// A single index that inference knows and that is in range.
fn fixed_index(cx: &mut Legalizer<'_>, extent: Dim) -> BuildResult<Option<Index>> {
    let Some([element]) = cx.elements(1) else { return Ok(None) };
    let index = cx.import(*element)?;
    let zero = cx.b.shapes().int(0);
    let from_end = cx.add(index, extent)?;
    let shapes = cx.b.shapes();
    let position = if shapes.prove_ge(index, zero).is_always() {
        index
    } else if shapes.prove_lt(index, zero).is_always() && shapes.prove_ge(from_end, zero).is_always() {
        from_end
    } else {
        return Ok(None);
    };
    Ok(shapes.prove_lt(position, extent).is_always().then_some(position.into()))
}

fn gather_elements(cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let axis = cx.axis_attr();
    moved(cx, |cx, vars, _| {
        let indices = cx.input(1)?;
        let mut at: Vec<Index> = vars.iter().map(|it| (*it).into()).collect();
        at[axis] = Index::Checked(cx.b.load(indices, vars.iter().copied())?);
        Ok(at)
    })
}

fn gather_nd(cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let batch = cx.attrs.int("batch_dims").and_then(|it| usize::try_from(it).ok()).unwrap_or(0);
    moved(cx, |cx, vars, _| {
        let (indices, index_dims) = cx.operand(1)?;
        let (outer, depth) = (index_dims.len() - 1, index_depth(cx, &index_dims)?);
        let mut at: Vec<Index> = vars[..batch].iter().map(|it| (*it).into()).collect();
        for j in 0..depth {
            let coordinate = cx.b.shapes().int(j as i64);
            let point = vars[..outer].iter().copied().chain([coordinate]);
            at.push(Index::Checked(cx.b.load(indices, point)?));
        }
        at.extend(vars[outer..].iter().map(|it| Index::from(*it)));
        Ok(at)
    })
}

/// How many coordinates an index of operand 1 has.
pub(super) fn index_depth(cx: &Legalizer<'_>, index_dims: &[Dim]) -> BuildResult<usize> {
    let depth = index_dims.last().and_then(|it| cx.as_int(*it)).and_then(|it| usize::try_from(it).ok());
    depth
        .ok_or_else(|| Diagnostic::error("K003", "the last dimension of operand 1 (indices) is not constant"))
}

fn one_hot(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let axis = cx.axis_attr();
    let (indices, values) = (cx.input(0)?, cx.input(2)?);
    let out = cx.output(0)?;
    let out_dims = cx.b.buffer_dims(out);
    let axes = cx.b.axes("i", &out_dims);
    let vars = cx.b.vars(&axes);
    let mut at = vars.clone();
    at.remove(axis);
    let index = cx.b.load(indices, at)?;
    let index = cx.b.cast(DType::I64, index);
    let (zero, depth) = (cx.b.int(0, DType::I64)?, cx.dim_as(out_dims[axis], DType::I64)?);
    let from_end = cx.b.binary(BinaryOp::Add, index, depth)?;
    let negative = cx.b.compare(CompareOp::Lt, index, zero)?;
    let index = cx.b.select(negative, from_end, index)?;
    let here = cx.b.dim(vars[axis], DType::I64)?;
    let hit = cx.b.compare(CompareOp::Eq, index, here)?;
    let (first, second) = (cx.b.shapes().int(0), cx.b.shapes().int(1));
    let (off, on) = (cx.b.load(values, [first])?, cx.b.load(values, [second])?);
    let value = cx.b.select(hit, on, off)?;
    cx.b.stage(&axes, out, vars, value)?;
    cx.finish()
}

fn range(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let (start, delta) = (cx.scalar(0)?, cx.scalar(2)?);
    let out = cx.output(0)?;
    let dtype = cx.b.buffer_dtype(out);
    let dims = cx.b.buffer_dims(out);
    let axis = cx.b.axis("i", dims[0]);
    let at = cx.b.var(axis);
    let steps = cx.dim_as(at, dtype)?;
    let distance = cx.b.binary(BinaryOp::Mul, steps, delta)?;
    let value = cx.b.binary(BinaryOp::Add, start, distance)?;
    cx.b.stage(&[axis], out, [at], value)?;
    cx.finish()
}

fn full(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let value = cx.scalar(1)?;
    let out = cx.output(0)?;
    cx.b.fill(out, |_, _| Ok(value))?;
    cx.finish()
}

fn trilu(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let x = cx.input(0)?;
    let offset = if cx.has(1) { Some(cx.scalar(1)?) } else { None };
    let upper = cx.flag("upper");
    let out = cx.output(0)?;
    let dims = cx.b.buffer_dims(out);
    let axes = cx.b.axes("i", &dims);
    let vars = cx.b.vars(&axes);
    let (row, column) = (vars[vars.len() - 2], vars[vars.len() - 1]);
    let distance = cx.sub(column, row)?;
    let distance = cx.b.dim(distance, DType::I64)?;
    let bound: ExprId = match offset {
        Some(offset) => cx.b.cast(DType::I64, offset),
        None => cx.b.int(0, DType::I64)?,
    };
    let op = if upper { CompareOp::Ge } else { CompareOp::Le };
    let kept = cx.b.compare(op, distance, bound)?;
    let (value, nothing) = (cx.b.load(x, vars.iter().copied())?, cx.b.number(0.0, cx.b.buffer_dtype(x)));
    let value = cx.b.select(kept, value, nothing)?;
    cx.b.stage(&axes, out, vars, value)?;
    cx.finish()
}
