//! Between numbers and the integers that they are quantised to: one stage; and products of what is quantised on the way.

use super::elementwise::elementwise;
use super::{LegalizeFn, Legalizer};
use orogen_ir::loops::{
    BinaryOp, BufferId, BuildResult, Combine, CompareOp, Expr, ExprId, ProgramBuilder, UnaryOp,
};
use orogen_ir::shape::Dim;
use orogen_ir::types::DType;

pub(super) const ROWS: &[(&str, LegalizeFn)] = &[
    ("quantize", |cx| {
        let to = cx.result(0)?.dtype;
        elementwise(cx, |b, x| quantize(b, x, to))
    }),
    ("dequantize", |cx| elementwise(cx, dequantize)),
];

/// Where a scalar is read.
const NONE: [Dim; 0] = [];

/// Conversion to an integer saturates.
fn quantize(b: &mut ProgramBuilder, x: &[ExprId], to: DType) -> BuildResult<ExprId> {
    let dtype = b.dtype_of(x[0]).compute();
    let mut value = b.cast(dtype, x[0]);
    if !matches!(b.program().exprs[x[1]], Expr::Float(1.0, _)) {
        let scale = b.cast(dtype, x[1]);
        value = b.binary(BinaryOp::Div, value, scale)?;
    }
    let mut value = b.unary(UnaryOp::Round, value)?;
    if let Some(zero) = x.get(2) {
        let zero = b.cast(dtype, *zero);
        value = b.binary(BinaryOp::Add, value, zero)?;
    }
    Ok(b.cast(to, value))
}

fn dequantize(b: &mut ProgramBuilder, x: &[ExprId]) -> BuildResult<ExprId> {
    let to = b.dtype_of(x[1]);
    let dtype = to.compute();
    let value = if b.dtype_of(x[0]).is_float() { x[0] } else { centred(b, x[0], x.get(2).copied())? };
    let (value, scale) = (b.cast(dtype, value), b.cast(dtype, x[1]));
    let value = b.binary(BinaryOp::Mul, value, scale)?;
    Ok(b.cast(to, value))
}

/// How integer weights `[directions, rows, depth]` are quantised: `[directions, 1]` or `[directions, rows]` each.
pub(super) struct Scales {
    scale: BufferId,
    /// None where it is known to be 0.
    zero: Option<BufferId>,
}

impl Scales {
    /// The scales of operand `i`, the zero points of operand `i + 2`.
    pub(super) fn new(cx: &mut Legalizer<'_>, i: usize) -> BuildResult<Self> {
        let zero = if cx.has(i + 2) && !cx.is_zero(i + 2) { Some(cx.input(i + 2)?) } else { None };
        Ok(Scales { scale: cx.input(i)?, zero })
    }

    /// `out[…, j] = Σ x[…, k] · w[direction, j, k]`, of numbers `x` that are quantised to u8 by the range of all of them
    /// and 0: an exact sum of integers, then scaled.
    pub(super) fn product(
        &self,
        b: &mut ProgramBuilder,
        x: BufferId,
        w: BufferId,
        out: BufferId,
        direction: Dim,
    ) -> BuildResult<()> {
        let Dynamic { integers, scale, zero } = Dynamic::new(b, x)?;
        let dims = b.buffer_dims(out);
        let sum = b.local("integer_sum", DType::I32, &dims);
        let axes = b.axes("i", &dims);
        let at = b.vars(&axes);
        let (rows, column) = (&at[..at.len() - 1], at[at.len() - 1]);
        let depth = b.buffer_dims(integers)[at.len() - 1];
        let term = b.axis("k", depth);
        let k = b.var(term);
        let value = b.load(integers, rows.iter().copied().chain([k]))?;
        let shift = b.load(zero, NONE)?;
        let first = centred(b, value, Some(shift))?;
        let value = b.load(w, [direction, column, k])?;
        let shift = self.zero.map(|it| along(b, it, direction, column)).transpose()?;
        let second = centred(b, value, shift)?;
        let value = b.binary(BinaryOp::Mul, first, second)?;
        b.reduce_stage(&axes, &[term], Combine::Sum, sum, at, value)?;
        b.fill(out, |b, at| {
            let value = b.load(sum, at.iter().copied())?;
            let value = b.cast(DType::F32, value);
            let (factor, own) = (b.load(scale, NONE)?, along(b, self.scale, direction, at[at.len() - 1])?);
            let factor = b.binary(BinaryOp::Mul, factor, own)?;
            b.binary(BinaryOp::Mul, value, factor)
        })
    }
}

/// The scale or zero point of a column.
fn along(b: &mut ProgramBuilder, of: BufferId, direction: Dim, column: Dim) -> BuildResult<ExprId> {
    let dims = b.buffer_dims(of);
    let at = b.broadcast_at(&dims, &[direction, column])?;
    b.load(of, at)
}

/// An integer less its zero point, where there is one, as i32.
pub(super) fn centred(b: &mut ProgramBuilder, value: ExprId, zero: Option<ExprId>) -> BuildResult<ExprId> {
    let value = b.cast(DType::I32, value);
    let Some(zero) = zero else { return Ok(value) };
    let zero = b.cast(DType::I32, zero);
    b.binary(BinaryOp::Sub, value, zero)
}

/// What numbers of f32 are quantised to in the call, as `DynamicQuantizeLinear` of ONNX has it.
struct Dynamic {
    integers: BufferId,
    scale: BufferId,
    zero: BufferId,
}

impl Dynamic {
    fn new(b: &mut ProgramBuilder, x: BufferId) -> BuildResult<Self> {
        let dims = b.buffer_dims(x);
        let [low, high, scale] = ["low", "high", "scale"].map(|name| b.local(name, DType::F32, &[]));
        let (zero, integers) = (b.local("zero", DType::U8, &[]), b.local("integers", DType::U8, &dims));
        for (combine, bound) in [(Combine::Min, low), (Combine::Max, high)] {
            let axes = b.axes("i", &dims);
            let at = b.vars(&axes);
            let value = b.load(x, at)?;
            b.reduce_stage(&[], &axes, combine, bound, NONE, value)?;
        }
        b.fill(scale, |b, _| {
            let nothing = b.number(0.0, DType::F32);
            let (low, high) = (b.load(low, NONE)?, b.load(high, NONE)?);
            let low = b.binary(BinaryOp::Min, low, nothing)?;
            let high = b.binary(BinaryOp::Max, high, nothing)?;
            let span = b.binary(BinaryOp::Sub, high, low)?;
            let steps = b.number(255.0, DType::F32);
            let scale = b.binary(BinaryOp::Div, span, steps)?;
            // All zeros: any scale will do.
            let flat = b.compare(CompareOp::Eq, span, nothing)?;
            let one = b.number(1.0, DType::F32);
            b.select(flat, one, scale)
        })?;
        b.fill(zero, |b, _| {
            let nothing = b.number(0.0, DType::F32);
            let (low, scale) = (b.load(low, NONE)?, b.load(scale, NONE)?);
            let low = b.binary(BinaryOp::Min, low, nothing)?;
            let low = b.unary(UnaryOp::Neg, low)?;
            let zero = b.binary(BinaryOp::Div, low, scale)?;
            let zero = b.unary(UnaryOp::Round, zero)?;
            Ok(b.cast(DType::U8, zero))
        })?;
        b.fill(integers, |b, at| {
            let operands = [b.load(x, at.iter().copied())?, b.load(scale, NONE)?, b.load(zero, NONE)?];
            quantize(b, &operands, DType::U8)
        })?;
        Ok(Dynamic { integers, scale, zero })
    }
}
