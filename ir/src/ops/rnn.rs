//! Recurrent networks in the ONNX layouts and gate orders, with default activations.
//!
//! `T` time steps, `B` batch, `I` input features, `H` hidden features, `D` directions (1 or 2).

use super::support::{Class, plain};
use super::{Arity, AttrDef, AttrKind, InferCx, InferResult, OpDef, OpRegistry, ResultCount};
use crate::diag::Diagnostic;
use crate::types::{Effects, ShapeInfo, Type};
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
        infer: |cx| recurrent(cx, 4, 2),
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
        infer: |cx| recurrent(cx, 3, 1),
        reads: &[],
        elementwise: false,
        function: None,
    });
}

/// Operands `x[T, B, I] w[D, gates·H, I] r[D, gates·H, H] b[D, 2·gates·H]`, then `states` × `[D, B, H]`.
fn recurrent(cx: &mut InferCx<'_>, gates: i64, states: usize) -> InferResult {
    let dtype = cx.tensor_of(0, Class::Float)?.dtype;
    cx.all_same_dtype(0..4 + states)?;
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
