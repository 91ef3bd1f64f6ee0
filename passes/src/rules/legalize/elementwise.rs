//! Elementwise operators: one stage.

use super::{LegalizeFn, Legalizer, Lowering};
use orogen_ir::diag::Diagnostic;
use orogen_ir::loops::{BinaryOp, BuildResult, ExprId, ProgramBuilder};
use orogen_ir::scalar::ScalarFn;
use orogen_ir::types::Attrs;

pub(super) const ROWS: &[(&str, LegalizeFn)] = &[
    ("relu", |cx| {
        elementwise(cx, |b, x| {
            let zero = b.number(0.0, b.dtype_of(x[0]));
            b.binary(BinaryOp::Max, x[0], zero)
        })
    }),
    ("cast", |cx| {
        let to = cx.result(0)?.dtype;
        elementwise(cx, |b, x| Ok(b.cast(to, x[0])))
    }),
    ("bit_cast", bit_cast),
    ("mod", |cx| {
        let op = if cx.flag("fmod") { BinaryOp::Fmod } else { BinaryOp::Mod };
        elementwise(cx, |b, x| b.binary(op, x[0], x[1]))
    }),
    ("where", |cx| elementwise(cx, |b, x| b.select(x[0], x[1], x[2]))),
];

/// Between integers a cast keeps all bits. Others are read and written as they lie in memory: in lanes narrow floats are
/// held in another type.
fn bit_cast(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let (from, to) = (cx.arg(0)?.dtype, cx.result(0)?.dtype);
    if from == to {
        return cx.finish_view(0);
    }
    if from.is_integral() && to.is_integral() {
        return elementwise(cx, |b, x| Ok(b.cast(to, x[0])));
    }
    cx.input(0)?;
    cx.output(0)?;
    cx.emit_routine("bits", Attrs::none().with("to", to));
    cx.finish()
}

/// The lowering of an operator over one function.
pub(super) fn apply(cx: Legalizer<'_>, function: ScalarFn) -> Result<Lowering, Diagnostic> {
    elementwise(cx, |b, x| b.apply(function, x))
}

/// `out[i] = value(operands at i)`, operands broadcast. An operand of one known element is that number.
pub(super) fn elementwise(
    mut cx: Legalizer<'_>,
    value: impl FnOnce(&mut ProgramBuilder, &[ExprId]) -> BuildResult<ExprId>,
) -> Result<Lowering, Diagnostic> {
    let out = cx.output(0)?;
    let dims = cx.b.buffer_dims(out);
    let axes = cx.b.axes("i", &dims);
    let at = cx.b.vars(&axes);
    // That is what unpacking does.
    let to_bytes = cx.result(0)?.dtype.size() == 1;
    let mut operands = Vec::with_capacity(cx.operand_count());
    for i in 0..cx.operand_count() {
        operands.push(match cx.known_scalar(i)? {
            Some(known) => known,
            None => {
                let buffer = if to_bytes { cx.input(i)? } else { cx.input_in_bytes(i)? };
                cx.b.load_broadcast(buffer, &at)?
            }
        });
    }
    let value = value(&mut cx.b, &operands)?;
    cx.b.stage(&axes, out, at, value)?;
    cx.finish()
}
