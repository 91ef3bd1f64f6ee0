//! Recurrent networks in the ONNX layouts and gate orders, with default activations.
//!
//! `T` time steps, `B` batch, `I` input features, `H` hidden features, `D` directions (1 or 2).

use super::quantized::{check_type, is_byte};
use super::support::{Class, plain};
use super::{Arity, AttrDef, AttrKind, InferCx, InferResult, OpDef, OpRegistry, ResultCount};
use crate::diag::Diagnostic;
use crate::types::{DType, Effects, ShapeInfo, Type};
use smallvec::smallvec;

const LSTM: &[AttrDef] = &[AttrDef::optional("direction", AttrKind::Str)];
const GRU: &[AttrDef] = &[
    AttrDef::optional("direction", AttrKind::Str),
    AttrDef::optional("linear_before_reset", AttrKind::Bool),
];
/// Values of the attribute `direction`.
pub const DIRECTIONS: &[&str] = &["forward", "reverse", "bidirectional"];

pub(crate) fn register(ops: &mut OpRegistry) {
    ops.register(OpDef {
        name: "lstm",
        arity: Arity::exactly(6),
        results: ResultCount::Fixed(3),
        attrs: LSTM,
        effects: Effects::PURE,
        infer: |cx| {
            cx.all_same_dtype(0..6)?;
            recurrent(cx, 4, 2)
        },
        reads: &[],
        elementwise: false,
        function: None,
    });
    ops.register(OpDef {
        name: "lstm_integer",
        arity: Arity::between(8, 10),
        results: ResultCount::Fixed(3),
        attrs: LSTM,
        effects: Effects::PURE,
        infer: lstm_integer,
        reads: &[],
        elementwise: false,
        function: None,
    });
    ops.register(OpDef {
        name: "gru",
        arity: Arity::exactly(5),
        results: ResultCount::Fixed(2),
        attrs: GRU,
        effects: Effects::PURE,
        infer: |cx| {
            cx.all_same_dtype(0..5)?;
            recurrent(cx, 3, 1)
        },
        reads: &[],
        elementwise: false,
        function: None,
    });
}

/// Operands `x[T, B, I] w[D, gates·H, I] r[D, gates·H, H] b[D, 2·gates·H]`, then `states` × `[D, B, H]`.
fn recurrent(cx: &mut InferCx<'_>, gates: i64, states: usize) -> InferResult {
    let dtype = cx.tensor_of(0, Class::Float)?.dtype;
    let direction = cx.choice("direction", DIRECTIONS)?;
    for (i, rank) in [3, 3, 3, 2, 3, 3].into_iter().enumerate().take(4 + states) {
        cx.expect_rank(i, rank)?;
    }
    let all: Option<Vec<_>> =
        (0..4 + states).map(|i| cx.dims(i)).collect::<Result<Vec<_>, Diagnostic>>()?.into_iter().collect();
    let Some(all) = all else {
        let state = Type::Tensor(plain(dtype, ShapeInfo::Rank(3)));
        let mut types = smallvec![Type::Tensor(plain(dtype, ShapeInfo::Rank(4)))];
        types.extend(std::iter::repeat_n(state, states));
        return Ok(types);
    };
    let (time, batch, input, hidden) = (all[0][0], all[0][1], all[0][2], all[2][2]);
    let directions = cx.shapes.int(if direction == "bidirectional" { 2 } else { 1 });
    let rows = cx.shapes.scale(hidden, gates);
    let rows = cx.no_overflow(rows)?;
    let biases = cx.shapes.scale(rows, 2);
    let biases = cx.no_overflow(biases)?;
    let state = [directions, batch, hidden];
    let expected: [&[_]; 6] = [
        &[time, batch, input],
        &[directions, rows, input],
        &[directions, rows, hidden],
        &[directions, biases],
        &state,
        &state,
    ];
    for (i, dims) in all.iter().enumerate() {
        for (axis, (found, wanted)) in dims.iter().zip(expected[i]).enumerate() {
            cx.require_eq(*found, *wanted, &format!("dimension {axis} of operand {i}"))?;
        }
    }
    let mut types = smallvec![Type::tensor(dtype, [time, directions, batch, hidden])];
    types.extend(std::iter::repeat_n(Type::tensor(dtype, state), states));
    Ok(types)
}

/// As `lstm`, with integers of 8 bits for the weights; then their scales and zero points, `[D, 1]` or `[D, gates·H]`.
fn lstm_integer(cx: &mut InferCx<'_>) -> InferResult {
    for i in [0, 3, 4, 5, 6, 7] {
        check_type(cx.tensor(i)?.dtype, |it| it == DType::F32, &format!("operand {i}"))?;
    }
    for i in [1, 2] {
        check_type(cx.tensor(i)?.dtype, is_byte, &format!("operand {i}"))?;
    }
    let results = recurrent(cx, 4, 2)?;
    for i in 6..cx.args.len() {
        let weights = if i % 2 == 0 { 1 } else { 2 };
        if i > 7 {
            cx.same_dtype(weights, i)?;
        }
        cx.expect_rank(i, 2)?;
        let (Some(found), Some(wanted)) = (cx.dims(i)?, cx.dims(weights)?) else { continue };
        let what = |axis: usize| format!("dimension {axis} of operand {i}");
        cx.require_eq(found[0], wanted[0], &what(0))?;
        if cx.shapes.as_int(found[1]) != Some(1) {
            cx.require_eq(found[1], wanted[1], &what(1))?;
        }
    }
    Ok(results)
}
