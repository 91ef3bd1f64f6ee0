//! Scatters: loops over the updates in order, into the operand itself. Whether that is copied first is for the planner.

use super::index::index_depth;
use super::{LegalizeFn, Legalizer, Lowering};
use orogen_ir::diag::Diagnostic;
use orogen_ir::loops::{Axis, BinaryOp, BufferId, BuildResult, Index, ProgramBuilder};
use orogen_ir::types::{DType, Dims};

pub(super) const ROWS: &[(&str, LegalizeFn)] =
    &[("scatter_nd", scatter_nd), ("scatter_elements", scatter_elements), ("update_slice", update_slice)];

/// How an update joins the element before it; `None` replaces it.
fn reduction(cx: &Legalizer<'_>) -> Option<BinaryOp> {
    match cx.attrs.str("reduction").unwrap_or("none") {
        "add" => Some(BinaryOp::Add),
        "mul" => Some(BinaryOp::Mul),
        "max" => Some(BinaryOp::Max),
        "min" => Some(BinaryOp::Min),
        _ => None,
    }
}

/// Loops over `axes`, outermost first, around `body`.
fn nested(
    b: &mut ProgramBuilder,
    axes: &[Axis],
    body: &mut dyn FnMut(&mut ProgramBuilder) -> BuildResult<()>,
) -> BuildResult<()> {
    match axes {
        [] => body(b),
        [axis, rest @ ..] => b.for_loop(*axis, |b| nested(b, rest, body)),
    }
}

/// Stores `updates[from]` to `out[to]` for all points of `axes`.
struct Write {
    axes: Vec<Axis>,
    out: BufferId,
    to: Vec<Index>,
    updates: BufferId,
    from: Dims,
    reduction: Option<BinaryOp>,
}

impl Write {
    fn emit(&self, b: &mut ProgramBuilder) -> BuildResult<()> {
        let mut value = b.load(self.updates, self.from.iter().copied())?;
        if let Some(op) = self.reduction {
            let before = b.load(self.out, self.to.iter().cloned())?;
            value = b.binary(op, before, value)?;
        }
        b.stage(&self.axes, self.out, self.to.iter().cloned(), value)
    }
}

/// One update after the other; each is a slice of the result.
fn scatter_nd(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let out = cx.updated(0, 0)?;
    let dims = cx.b.buffer_dims(out);
    let reduction = reduction(&cx);
    let ((indices, index_dims), updates) = (cx.operand(1)?, cx.input(2)?);
    let (outer, depth) = (index_dims.len() - 1, index_depth(&cx, &index_dims)?);
    let loops = cx.b.axes("u", &index_dims[..outer]);
    let point = cx.b.vars(&loops);
    let mut to = Vec::new();
    for j in 0..depth {
        let coordinate = cx.b.shapes().int(j as i64);
        to.push(Index::Checked(cx.b.load(indices, point.iter().copied().chain([coordinate]))?));
    }
    let axes = cx.b.axes("i", &dims[depth..]).to_vec();
    let inner = cx.b.vars(&axes);
    to.extend(inner.iter().map(|it| Index::from(*it)));
    let from = point.iter().chain(&inner).copied().collect();
    let write = Write { axes, out, to, updates, from, reduction };
    nested(&mut cx.b, &loops, &mut |b| write.emit(b))?;
    cx.finish()
}

/// Updates that differ off the axis go to different places; along the axis they run in order, for each index of the
/// dimensions before it: what is stored lies together.
fn scatter_elements(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let axis = cx.axis_attr();
    let out = cx.updated(0, 0)?;
    let reduction = reduction(&cx);
    let ((indices, index_dims), updates) = (cx.operand(1)?, cx.input(2)?);
    let mut axes = cx.b.axes("i", &index_dims).to_vec();
    let from = cx.b.vars(&axes);
    let value = cx.b.load(indices, from.iter().copied())?;
    let mut to: Vec<Index> = from.iter().map(|it| (*it).into()).collect();
    to[axis] = Index::Checked(value);
    let inner = axes.split_off(axis + 1);
    let write = Write { axes: inner, out, to, updates, from, reduction };
    nested(&mut cx.b, &axes, &mut |b| write.emit(b))?;
    cx.finish()
}

/// One stage over the update, shifted.
fn update_slice(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let out = cx.updated(0, 0)?;
    let dims = cx.b.buffer_dims(out);
    let (update, inner) = cx.operand(1)?;
    let known = cx.elements(2).filter(|it| it.len() == dims.len());
    let axes = cx.b.axes("i", &inner);
    let from = cx.b.vars(&axes);
    let mut to = Vec::new();
    for (i, at) in from.iter().enumerate() {
        let room = cx.sub(dims[i], inner[i])?;
        if cx.as_int(room) == Some(0) {
            to.push(Index::Dim(*at));
            continue;
        }
        let start = match known {
            Some(starts) => {
                let start = cx.import(starts[i])?;
                cx.b.dim(start, DType::I64)?
            }
            None => {
                let place = cx.b.shapes().int(i as i64);
                let starts = cx.input(2)?;
                let start = cx.b.load(starts, [place])?;
                cx.b.cast(DType::I64, start)
            }
        };
        let (zero, room, at) =
            (cx.b.int(0, DType::I64)?, cx.dim_as(room, DType::I64)?, cx.b.dim(*at, DType::I64)?);
        let start = cx.b.binary(BinaryOp::Max, start, zero)?;
        let start = cx.b.binary(BinaryOp::Min, start, room)?;
        to.push(Index::Value(cx.b.binary(BinaryOp::Add, start, at)?));
    }
    let value = cx.b.load(update, from.iter().copied())?;
    cx.b.stage(&axes, out, to, value)?;
    cx.finish()
}
