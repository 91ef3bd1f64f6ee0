//! Operators that select by data: a kernel that finds and counts, then kernels of the size that it found.

use super::context::overflow;
use super::{LegalizeFn, Legalizer, Lowering, Value};
use orogen_ir::diag::Diagnostic;
use orogen_ir::loops::{BinaryOp, BuildResult, Index};
use orogen_ir::shape::{Constraint, Dim};
use orogen_ir::types::{Attrs, DType, Type};

pub(super) const ROWS: &[(&str, LegalizeFn)] =
    &[("non_zero", non_zero), ("compress", compress), ("top_k", top_k), ("tree_ensemble", tree_ensemble)];

/// The positions of the elements of a vector that are not 0, in order, at the front of a vector of the same length,
/// and their number, which `size` is bound to.
fn positions(cx: &mut Legalizer<'_>, vector: Value, length: Dim, size: Dim) -> BuildResult<Value> {
    let x = cx.buffer(vector)?;
    let places = cx.between("places", DType::I64, &[length])?;
    let single = cx.caller.int(1);
    let count = cx.between("count", DType::I64, &[single])?;
    let (first, none) = (cx.b.shapes().int(0), cx.b.int(0, DType::I64)?);
    cx.b.stage(&[], count, [first], none)?;
    // What lies behind the hits is never read, but every element of an output has a value.
    cx.b.fill(places, |_, _| Ok(none))?;
    let axis = cx.b.axis("i", cx.b.buffer_dims(x)[0]);
    cx.b.for_loop(axis, |b| {
        // What is no hit is overwritten by the next that is one. There are never more hits than elements so far, which
        // the clamp says.
        let (i, found) = (b.var(axis), b.load(count, [first])?);
        let here = b.dim(i, DType::I64)?;
        let found = b.binary(BinaryOp::Max, found, none)?;
        let found = b.binary(BinaryOp::Min, found, here)?;
        b.stage(&[], places, [Index::Value(found)], here)?;
        let value = b.load(x, [i])?;
        let hit = b.is_nonzero(value);
        let (found, hit) = (b.load(count, [first])?, b.cast(DType::I64, hit));
        let next = b.binary(BinaryOp::Add, found, hit)?;
        b.stage(&[], count, [first], next)
    })?;
    let [places, count] = cx.emit()[..] else { unreachable!("the kernel has two outputs") };
    cx.bind(count, &[size])?;
    let rest = cx.caller.sub(length, size).map_err(overflow)?;
    cx.check(Constraint::AtLeast(rest, 0), "more elements are selected than there are");
    Ok(places)
}

fn non_zero(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let dims = cx.arg_dims(0)?;
    let total = cx.caller.product(dims).map_err(overflow)?;
    let flat = Type::tensor(cx.arg(0)?.dtype, [total]);
    let flat = cx.view(Value::Operand(0), flat);
    let size = cx.result_dims(0)?[1];
    let places = positions(&mut cx, flat, total, size)?;
    let places = cx.buffer(places)?;
    let out = cx.output(0)?;
    let size = cx.b.buffer_dims(out)[1];
    let dims = cx.b.import_dims(cx.caller, dims)?;
    if dims.is_empty() {
        cx.store_nothing(out)?;
    }
    for (row, extent) in dims.iter().enumerate() {
        let axis = cx.b.axis("i", size);
        let at = cx.b.var(axis);
        let inner = cx.product(&dims[row + 1..])?;
        let (inner, extent) = (cx.dim_as(inner, DType::I64)?, cx.dim_as(*extent, DType::I64)?);
        let mut value = cx.b.load(places, [at])?;
        if row + 1 < dims.len() {
            value = cx.b.binary(BinaryOp::Div, value, inner)?;
        }
        if row > 0 {
            value = cx.b.binary(BinaryOp::Mod, value, extent)?;
        }
        let row = cx.b.shapes().int(row as i64);
        cx.b.stage(&[axis], out, [row, at], value)?;
    }
    cx.finish()
}

fn compress(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let axis = cx.axis_attr();
    let (length, size) = (cx.arg_dims(1)?[0], cx.result_dims(0)?[axis]);
    let places = positions(&mut cx, Value::Operand(1), length, size)?;
    let (places, x) = (cx.buffer(places)?, cx.input(0)?);
    let out = cx.output(0)?;
    let dims = cx.b.buffer_dims(out);
    let axes = cx.b.axes("i", &dims);
    let vars = cx.b.vars(&axes);
    let mut from: Vec<Index> = vars.iter().map(|it| (*it).into()).collect();
    // All places are in range, but nothing in this kernel says so.
    let (zero, last) = (cx.b.int(0, DType::I64)?, cx.linear(cx.b.buffer_dims(x)[axis], 1, -1)?);
    let (place, last) = (cx.b.load(places, [vars[axis]])?, cx.dim_as(last, DType::I64)?);
    let place = cx.b.binary(BinaryOp::Max, place, zero)?;
    from[axis] = Index::Value(cx.b.binary(BinaryOp::Min, place, last)?);
    let value = cx.load_clamped(x, from)?;
    cx.b.stage(&axes, out, vars, value)?;
    cx.finish()
}

/// Sorting is no loop over places that are known before: code by hand.
fn top_k(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    cx.input(0)?;
    cx.output(0)?;
    cx.output(1)?;
    let smallest = cx.attrs.bool("smallest").unwrap_or(false);
    let attrs = Attrs::none().with("axis", cx.axis_attr() as i64).with("smallest", smallest);
    cx.emit_routine("top_k", attrs);
    cx.finish()
}

/// Walks through trees: where a step leads only data say.
fn tree_ensemble(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    for i in 0..4 {
        cx.input(i)?;
    }
    cx.output(0)?;
    let attrs = cx.attrs.clone();
    cx.emit_routine("tree_ensemble", attrs);
    cx.finish()
}
