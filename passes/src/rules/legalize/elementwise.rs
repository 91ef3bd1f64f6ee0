//! Elementwise operators: one stage.

use super::{LegalizeFn, Legalizer, Lowering};
use orogen_ir::diag::Diagnostic;
use orogen_ir::loops::{BinaryOp, BuildResult, CompareOp, ExprId, ProgramBuilder, UnaryOp};

macro_rules! unary {
    ($op:ident) => {
        |cx| elementwise(cx, |b, x| b.unary(UnaryOp::$op, x[0]))
    };
}

macro_rules! binary {
    ($op:ident) => {
        |cx| elementwise(cx, |b, x| b.binary(BinaryOp::$op, x[0], x[1]))
    };
}

macro_rules! compare {
    ($op:ident) => {
        |cx| elementwise(cx, |b, x| b.compare(CompareOp::$op, x[0], x[1]))
    };
}

pub(super) const ROWS: &[(&str, LegalizeFn)] = &[
    ("abs", unary!(Abs)),
    ("neg", unary!(Neg)),
    ("sign", unary!(Sign)),
    ("exp", unary!(Exp)),
    ("log", unary!(Log)),
    ("sqrt", unary!(Sqrt)),
    ("reciprocal", unary!(Reciprocal)),
    ("sin", unary!(Sin)),
    ("cos", unary!(Cos)),
    ("tan", unary!(Tan)),
    ("asin", unary!(Asin)),
    ("acos", unary!(Acos)),
    ("atan", unary!(Atan)),
    ("sinh", unary!(Sinh)),
    ("cosh", unary!(Cosh)),
    ("asinh", unary!(Asinh)),
    ("acosh", unary!(Acosh)),
    ("atanh", unary!(Atanh)),
    ("tanh", unary!(Tanh)),
    ("sigmoid", unary!(Sigmoid)),
    ("erf", unary!(Erf)),
    ("expm1", unary!(Expm1)),
    ("log1p", unary!(Log1p)),
    ("floor", unary!(Floor)),
    ("ceil", unary!(Ceil)),
    ("round", unary!(Round)),
    ("not", unary!(Not)),
    ("bit_not", unary!(BitNot)),
    ("is_nan", unary!(IsNan)),
    ("is_inf", unary!(IsInf)),
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
    ("add", binary!(Add)),
    ("sub", binary!(Sub)),
    ("mul", binary!(Mul)),
    ("div", binary!(Div)),
    ("mod", |cx| {
        let op = if cx.flag("fmod") { BinaryOp::Fmod } else { BinaryOp::Mod };
        elementwise(cx, |b, x| b.binary(op, x[0], x[1]))
    }),
    ("pow", binary!(Pow)),
    ("max", binary!(Max)),
    ("min", binary!(Min)),
    ("and", binary!(And)),
    ("or", binary!(Or)),
    ("xor", binary!(Xor)),
    ("shift_left", binary!(Shl)),
    ("shift_right", binary!(Shr)),
    ("equal", compare!(Eq)),
    ("less", compare!(Lt)),
    ("less_equal", compare!(Le)),
    ("greater", compare!(Gt)),
    ("greater_equal", compare!(Ge)),
    ("where", |cx| elementwise(cx, |b, x| b.select(x[0], x[1], x[2]))),
];

/// `out[i] = value(operands at i)`, operands broadcast. An operand of one known element is that number.
fn elementwise(
    mut cx: Legalizer<'_>,
    value: impl FnOnce(&mut ProgramBuilder, &[ExprId]) -> BuildResult<ExprId>,
) -> Result<Lowering, Diagnostic> {
    let out = cx.output(0)?;
    let dims = cx.b.buffer_dims(out);
    let axes = cx.b.axes("i", &dims);
    let at = cx.b.vars(&axes);
    let mut operands = Vec::with_capacity(cx.operand_count());
    for i in 0..cx.operand_count() {
        operands.push(match cx.known_scalar(i)? {
            Some(known) => known,
            None => {
                let buffer = cx.input(i)?;
                cx.b.load_broadcast(buffer, &at)?
            }
        });
    }
    let value = value(&mut cx.b, &operands)?;
    cx.b.stage(&axes, out, at, value)?;
    cx.finish()
}
