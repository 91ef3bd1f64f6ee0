//! Normalisation and softmax: chains of stages over locals.

use super::context::wide;
use super::reduce::reciprocal;
use super::{LegalizeFn, Legalizer, Lowering};
use orogen_ir::diag::Diagnostic;
use orogen_ir::loops::{Axis, BinaryOp, BufferId, BuildResult, Combine, ExprId, UnaryOp};
use orogen_ir::shape::Dim;
use orogen_ir::types::Dims;

pub(super) const ROWS: &[(&str, LegalizeFn)] = &[
    ("softmax", softmax),
    ("log_softmax", log_softmax),
    ("layer_norm", layer_norm),
    ("batch_norm", batch_norm),
];

/// Rows along `axis` of operand 0.
struct Rows {
    dims: Dims,
    axis: usize,
}

impl Rows {
    /// Dimensions without the row axis.
    fn outer(&self) -> Dims {
        self.skip(&self.dims)
    }

    fn skip(&self, list: &[Dim]) -> Dims {
        list.iter().enumerate().filter(|(i, _)| *i != self.axis).map(|(_, it)| *it).collect()
    }

    /// `target[outer] = combine over the row of value(point)`.
    fn reduce(
        &self,
        cx: &mut Legalizer<'_>,
        combine: Combine,
        target: BufferId,
        value: impl FnOnce(&mut Legalizer<'_>, &[Dim]) -> BuildResult<ExprId>,
    ) -> BuildResult<()> {
        let mut axes: Vec<Axis> = cx.b.axes("i", &self.dims).to_vec();
        let at = cx.b.vars(&axes);
        let row = axes.remove(self.axis);
        let value = value(cx, &at)?;
        cx.b.reduce_stage(&axes, &[row], combine, target, self.skip(&at), value)
    }

    /// `target[point] = value(point)`.
    fn map(
        &self,
        cx: &mut Legalizer<'_>,
        target: BufferId,
        value: impl FnOnce(&mut Legalizer<'_>, &[Dim]) -> BuildResult<ExprId>,
    ) -> BuildResult<()> {
        let axes = cx.b.axes("i", &self.dims);
        let at = cx.b.vars(&axes);
        let value = value(cx, &at)?;
        let value = cx.b.cast(cx.b.buffer_dtype(target), value);
        cx.b.stage(&axes, target, at, value)
    }

    /// `x[point] − row[outer]`.
    fn minus(&self, cx: &mut Legalizer<'_>, x: BufferId, row: BufferId, at: &[Dim]) -> BuildResult<ExprId> {
        let x = cx.load_wide(x, at.iter().copied())?;
        let row = cx.b.load(row, self.skip(at))?;
        cx.b.binary(BinaryOp::Sub, x, row)
    }
}

fn rows(cx: &mut Legalizer<'_>) -> BuildResult<(BufferId, Rows)> {
    let (x, dims) = cx.operand(0)?;
    let axis = cx.axis_attr();
    Ok((x, Rows { dims, axis }))
}

fn softmax(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let (x, rows) = rows(&mut cx)?;
    let out = cx.output(0)?;
    softmax_of(&mut cx, x, rows.axis, out)?;
    cx.finish()
}

/// max, exp(x − max), sum, 1/sum, product: the sum is 1 at least, so that its reciprocal is a normal number.
pub(super) fn softmax_of(cx: &mut Legalizer<'_>, x: BufferId, axis: usize, out: BufferId) -> BuildResult<()> {
    let rows = Rows { dims: cx.b.buffer_dims(x), axis };
    let max = cx.local("max", &rows.outer())?;
    let exp = cx.local("exp", &rows.dims)?;
    let sum = cx.local("sum", &rows.outer())?;
    let inverse = cx.local("inverse", &rows.outer())?;
    rows.reduce(cx, Combine::Max, max, |cx, at| cx.load_wide(x, at.iter().copied()))?;
    rows.map(cx, exp, |cx, at| {
        let shifted = rows.minus(cx, x, max, at)?;
        cx.b.unary(UnaryOp::Exp, shifted)
    })?;
    rows.reduce(cx, Combine::Sum, sum, |cx, at| cx.b.load(exp, at.iter().copied()))?;
    cx.b.fill(inverse, |b, at| {
        let total = b.load(sum, at.iter().copied())?;
        b.unary(UnaryOp::Reciprocal, total)
    })?;
    rows.map(cx, out, |cx, at| {
        let (value, factor) = (cx.b.load(exp, at.iter().copied())?, cx.b.load(inverse, rows.skip(at))?);
        cx.b.binary(BinaryOp::Mul, value, factor)
    })
}

/// max, sum of exp(x − max), (x − max) − log(sum).
fn log_softmax(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let (x, rows) = rows(&mut cx)?;
    let out = cx.output(0)?;
    let max = cx.local("max", &rows.outer())?;
    let sum = cx.local("sum", &rows.outer())?;
    rows.reduce(&mut cx, Combine::Max, max, |cx, at| cx.load_wide(x, at.iter().copied()))?;
    rows.reduce(&mut cx, Combine::Sum, sum, |cx, at| {
        let shifted = rows.minus(cx, x, max, at)?;
        cx.b.unary(UnaryOp::Exp, shifted)
    })?;
    rows.map(&mut cx, out, |cx, at| {
        let shifted = rows.minus(cx, x, max, at)?;
        let total = cx.b.load(sum, rows.skip(at))?;
        let log = cx.b.unary(UnaryOp::Log, total)?;
        cx.b.binary(BinaryOp::Sub, shifted, log)
    })?;
    cx.finish()
}

/// sum, mean, sum of squared deviations, 1/√(variance + ε), scaled result.
fn layer_norm(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let (x, dims) = cx.operand(0)?;
    let axis = cx.axis_attr();
    let scale = if cx.has(1) { Some(cx.input(1)?) } else { None };
    let bias = if cx.has(2) { Some(cx.input(2)?) } else { None };
    let out = cx.output(0)?;
    let (outer, count) = (Dims::from(&dims[..axis]), cx.product(&dims[axis..])?);
    let dtype = wide(cx.b.buffer_dtype(x));
    let inverse = reciprocal(&mut cx, count, dtype)?;
    let epsilon = cx.b.float(cx.attrs.float("epsilon").unwrap_or(1e-5), dtype)?;
    let [sum, mean, squares, factor] = [
        cx.local("sum", &outer)?,
        cx.local("mean", &outer)?,
        cx.local("squares", &outer)?,
        cx.local("factor", &outer)?,
    ];

    let (axes, at) = point(&mut cx, &dims);
    let value = cx.load_wide(x, at.iter().copied())?;
    cx.b.reduce_stage(&axes[..axis], &axes[axis..], Combine::Sum, sum, at[..axis].iter().copied(), value)?;
    cx.b.fill(mean, |b, at| {
        let total = b.load(sum, at.iter().copied())?;
        b.binary(BinaryOp::Mul, total, inverse)
    })?;
    let (axes, at) = point(&mut cx, &dims);
    let deviation = deviation(&mut cx, x, mean, &at, axis)?;
    let square = cx.b.binary(BinaryOp::Mul, deviation, deviation)?;
    cx.b.reduce_stage(
        &axes[..axis],
        &axes[axis..],
        Combine::Sum,
        squares,
        at[..axis].iter().copied(),
        square,
    )?;
    cx.b.fill(factor, |b, at| {
        let total = b.load(squares, at.iter().copied())?;
        let variance = b.binary(BinaryOp::Mul, total, inverse)?;
        let raised = b.binary(BinaryOp::Add, variance, epsilon)?;
        let root = b.unary(UnaryOp::Sqrt, raised)?;
        b.unary(UnaryOp::Reciprocal, root)
    })?;
    let (axes, at) = point(&mut cx, &dims);
    let deviation = self::deviation(&mut cx, x, mean, &at, axis)?;
    let factor = cx.b.load(factor, at[..axis].iter().copied())?;
    let mut value = cx.b.binary(BinaryOp::Mul, deviation, factor)?;
    if let Some(scale) = scale {
        let scale = cx.load_wide(scale, at[axis..].iter().copied())?;
        value = cx.b.binary(BinaryOp::Mul, value, scale)?;
    }
    if let Some(bias) = bias {
        let bias = cx.load_wide(bias, at[axis..].iter().copied())?;
        value = cx.b.binary(BinaryOp::Add, value, bias)?;
    }
    let value = cx.b.cast(cx.b.buffer_dtype(out), value);
    cx.b.stage(&axes, out, at, value)?;
    cx.finish()
}

fn point(cx: &mut Legalizer<'_>, dims: &[Dim]) -> (Vec<Axis>, Dims) {
    let axes = cx.b.axes("i", dims).to_vec();
    let at = cx.b.vars(&axes);
    (axes, at)
}

fn deviation(
    cx: &mut Legalizer<'_>,
    x: BufferId,
    mean: BufferId,
    at: &[Dim],
    axis: usize,
) -> BuildResult<ExprId> {
    let value = cx.load_wide(x, at.iter().copied())?;
    let mean = cx.b.load(mean, at[..axis].iter().copied())?;
    cx.b.binary(BinaryOp::Sub, value, mean)
}

/// `(x − mean) · (scale / √(variance + ε)) + bias` as one stage; what depends on the channel alone does not change in
/// the inner loops.
fn batch_norm(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let x = cx.input(0)?;
    let params = [cx.input(1)?, cx.input(2)?, cx.input(3)?, cx.input(4)?];
    let out = cx.output(0)?;
    let dims = cx.b.buffer_dims(out);
    let dtype = wide(cx.b.buffer_dtype(x));
    let epsilon = cx.b.float(cx.attrs.float("epsilon").unwrap_or(1e-5), dtype)?;
    let (axes, at) = point(&mut cx, &dims);
    let x = cx.load_wide(x, at.iter().copied())?;
    let [scale, bias, mean, variance] = params;
    let (scale, bias) = (cx.load_wide(scale, [at[1]])?, cx.load_wide(bias, [at[1]])?);
    let (mean, variance) = (cx.load_wide(mean, [at[1]])?, cx.load_wide(variance, [at[1]])?);
    let raised = cx.b.binary(BinaryOp::Add, variance, epsilon)?;
    let root = cx.b.unary(UnaryOp::Sqrt, raised)?;
    let factor = cx.b.binary(BinaryOp::Div, scale, root)?;
    let deviation = cx.b.binary(BinaryOp::Sub, x, mean)?;
    let scaled = cx.b.binary(BinaryOp::Mul, deviation, factor)?;
    let value = cx.b.binary(BinaryOp::Add, scaled, bias)?;
    let value = cx.b.cast(cx.b.buffer_dtype(out), value);
    cx.b.stage(&axes, out, at, value)?;
    cx.finish()
}
