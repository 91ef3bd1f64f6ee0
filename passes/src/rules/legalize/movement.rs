//! Operators that move elements: views, and stages whose loads carry the index arithmetic.

use super::context::{overflow, with};
use super::{LegalizeFn, Legalizer, Lowering};
use orogen_ir::diag::Diagnostic;
use orogen_ir::loops::{BuildResult, ExprId, Index};
use orogen_ir::ops::slice_range;
use orogen_ir::shape::Dim;
use orogen_ir::types::Dims;

pub(super) const ROWS: &[(&str, LegalizeFn)] = &[
    ("reshape", view),
    ("squeeze", view),
    ("unsqueeze", view),
    ("transpose", transpose),
    ("expand", expand),
    ("tile", tile),
    ("concat", concat),
    ("slice", slice),
    ("pad", pad),
    ("shape_of", sizes_only),
    ("size", sizes_only),
];

fn view(cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    cx.arg_dims(0)?;
    cx.result_dims(0)?;
    cx.finish_view(0)
}

/// Sizes are elements that inference knows; this row is for those it could not know.
fn sizes_only(cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    cx.arg_dims(0)?;
    Err(Diagnostic::error("K003", "the result is too large a shape to track"))
}

/// `out[i] = x[at(i)]`, from the place in the result and the dimensions of the operand.
pub(super) fn moved<I: Into<Index>, S: IntoIterator<Item = I>>(
    mut cx: Legalizer<'_>,
    at: impl FnOnce(&mut Legalizer<'_>, &[Dim], &[Dim]) -> BuildResult<S>,
) -> Result<Lowering, Diagnostic> {
    let (x, dims) = cx.operand(0)?;
    let out = cx.output(0)?;
    let out_dims = cx.b.buffer_dims(out);
    let axes = cx.b.axes("i", &out_dims);
    let vars = cx.b.vars(&axes);
    let source = at(&mut cx, &vars, &dims)?;
    let value = cx.b.load(x, source)?;
    cx.b.stage(&axes, out, vars, value)?;
    cx.finish()
}

fn transpose(cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let perm = cx.axes_attr("perm");
    let dims = cx.arg_dims(0)?;
    let kept = perm.iter().filter(|axis| cx.caller.as_int(dims[**axis]) != Some(1));
    if kept.is_sorted() {
        return cx.finish_view(0);
    }
    moved(cx, |_, vars, _| {
        let mut at = Dims::from(vars);
        for (var, axis) in vars.iter().zip(&perm) {
            at[*axis] = *var;
        }
        Ok(at)
    })
}

fn expand(cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    moved(cx, |cx, vars, dims| cx.b.broadcast_at(dims, &vars[vars.len() - dims.len()..]))
}

fn tile(cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let once: Vec<bool> = cx.require_elements(1)?.iter().map(|it| cx.caller.as_int(*it) == Some(1)).collect();
    moved(cx, |cx, vars, dims| {
        let mut at = Dims::from(vars);
        for (i, slot) in at.iter_mut().enumerate().filter(|(i, _)| !once[*i]) {
            if cx.as_int(dims[i]) == Some(0) {
                continue; // nothing is read
            }
            *slot = cx.b.shapes().modulo_dim(*slot, dims[i]).map_err(overflow)?;
        }
        Ok(at)
    })
}

fn concat(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let axis = cx.axis_attr();
    let mut parts = Vec::with_capacity(cx.operand_count());
    for i in 0..cx.operand_count() {
        parts.push(cx.operand(i)?);
    }
    let out = cx.output(0)?;
    let out_dims = cx.b.buffer_dims(out);
    let mut offset = cx.b.shapes().int(0);
    let mut empty = true;
    for (part, dims) in parts {
        if cx.as_int(dims[axis]) == Some(0) {
            continue;
        }
        empty = false;
        // Off the axis all have the dimensions of the result, however these are spelled.
        let axes = cx.b.axes("i", &with(&out_dims, axis, dims[axis]));
        let vars = cx.b.vars(&axes);
        let value = cx.b.load(part, vars.iter().copied())?;
        let position = cx.add(offset, vars[axis])?;
        cx.b.stage(&axes, out, with(&vars, axis, position), value)?;
        offset = cx.add(offset, dims[axis])?;
    }
    if empty {
        cx.store_nothing(out)?;
    }
    cx.finish()
}

fn slice(cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let axes = cx.axes_attr("axes");
    let (starts, ends, steps) = (cx.require_elements(1)?, cx.require_elements(2)?, cx.require_elements(3)?);
    let dims = cx.arg_dims(0)?;
    let mut ranges = Vec::with_capacity(axes.len());
    for (i, axis) in axes.into_iter().enumerate() {
        let range = slice_range(cx.caller, dims[axis], starts[i], ends[i], steps[i]).ok_or_else(|| {
            Diagnostic::error("K003", format!("the bounds of the slice along axis {axis} cannot be resolved"))
                .help("their signs must be known at compile time")
        })?;
        ranges.push((axis, range));
    }
    moved(cx, |cx, vars, _| {
        let mut at = Dims::from(vars);
        for (axis, range) in ranges {
            let (start, offset) = (cx.import(range.start)?, cx.linear(at[axis], range.step, 0)?);
            at[axis] = cx.add(start, offset)?;
        }
        Ok(at)
    })
}

fn pad(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let pads = cx.require_elements(1)?;
    let mode = cx.attrs.str("mode").unwrap_or("constant");
    let (x, dims) = cx.operand(0)?;
    let otherwise = match mode {
        "constant" => Some(pad_value(&mut cx)?),
        _ => None,
    };
    let out = cx.output(0)?;
    let out_dims = cx.b.buffer_dims(out);
    let axes = cx.b.axes("i", &out_dims);
    let vars = cx.b.vars(&axes);
    let mut at = Dims::new();
    for (i, var) in vars.iter().enumerate() {
        let begin = cx.import(pads[i])?;
        let position = cx.sub(*var, begin)?;
        let untouched = [pads[i], pads[dims.len() + i]].iter().all(|it| cx.caller.as_int(*it) == Some(0));
        at.push(match mode {
            _ if untouched => *var,
            "reflect" => reflected(&mut cx, position, dims[i])?,
            "edge" => nearest(&mut cx, position, dims[i])?,
            _ => position,
        });
    }
    let value = match otherwise {
        Some(otherwise) => cx.b.load_or(x, at, otherwise)?,
        None => cx.b.load(x, at)?,
    };
    cx.b.stage(&axes, out, vars, value)?;
    cx.finish()
}

fn pad_value(cx: &mut Legalizer<'_>) -> BuildResult<ExprId> {
    if cx.has(2) { cx.scalar(2) } else { Ok(cx.b.number(0.0, cx.arg(0)?.dtype)) }
}

/// A position mirrored at the first and the last element: `(n − 1) − |(n − 1) − |p||`.
fn reflected(cx: &mut Legalizer<'_>, position: Dim, extent: Dim) -> BuildResult<Dim> {
    let last = cx.linear(extent, 1, -1)?;
    let first = magnitude(cx, position)?;
    let distance = cx.sub(last, first)?;
    let distance = magnitude(cx, distance)?;
    cx.sub(last, distance)
}

fn magnitude(cx: &mut Legalizer<'_>, a: Dim) -> BuildResult<Dim> {
    let minus = cx.linear(a, -1, 0)?;
    cx.b.shapes().max(&[a, minus]).map_err(overflow)
}

/// A position clamped into `0..extent`.
fn nearest(cx: &mut Legalizer<'_>, position: Dim, extent: Dim) -> BuildResult<Dim> {
    let (zero, last) = (cx.b.shapes().int(0), cx.linear(extent, 1, -1)?);
    let raised = cx.b.shapes().max(&[position, zero]).map_err(overflow)?;
    cx.b.shapes().min(&[raised, last]).map_err(overflow)
}
