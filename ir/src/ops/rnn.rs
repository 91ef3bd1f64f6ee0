//! Recurrent networks in the ONNX layouts and gate orders.
//!
//! `T` time steps, `B` batch, `I` input features, `H` hidden features, `D` directions (1 or 2).
//! A sequence that is shorter than `T` leaves states as they are from its end on, and its results there are 0; in reverse
//! it begins at its own end. The last states of one without a step are 0.

use super::quantized::{check_type, is_byte};
use super::support::{Class, plain};
use super::{Arity, AttrDef, AttrKind, InferCx, InferFn, InferResult, OpDef, OpRegistry};
use crate::diag::Diagnostic;
use crate::types::{Attrs, DType, ShapeInfo, Type};
use smallvec::smallvec;

const DIRECTION: AttrDef = AttrDef::optional("direction", AttrKind::Str);
/// Names from [`Activation`], separated by commas: those of each gate function, direction by direction.
const ACTIVATIONS: AttrDef = AttrDef::optional("activations", AttrKind::Str);
/// One number for each activation.
const ALPHAS: AttrDef = AttrDef::optional("alphas", AttrKind::Floats);
const BETAS: AttrDef = AttrDef::optional("betas", AttrKind::Floats);
/// What activations of gates see lies between −clip and clip.
const CLIP: AttrDef = AttrDef::optional("clip", AttrKind::Float);
const LSTM: &[AttrDef] = &[
    DIRECTION,
    ACTIVATIONS,
    ALPHAS,
    BETAS,
    CLIP,
    // The forget gate is 1 less the input gate.
    AttrDef::optional("input_forget", AttrKind::Bool),
];
const GRU: &[AttrDef] =
    &[DIRECTION, ACTIVATIONS, ALPHAS, BETAS, CLIP, AttrDef::optional("linear_before_reset", AttrKind::Bool)];
const RNN: &[AttrDef] = &[DIRECTION, ACTIVATIONS, ALPHAS, BETAS, CLIP];
/// Values of the attribute `direction`.
pub const DIRECTIONS: &[&str] = &["forward", "reverse", "bidirectional"];

/// The functions of gates and states that are used when nothing is said.
pub const LSTM_ACTIVATIONS: &[Activation] = &[Activation::Sigmoid, Activation::Tanh, Activation::Tanh];
/// As [`LSTM_ACTIVATIONS`], of a GRU.
pub const GRU_ACTIVATIONS: &[Activation] = &[Activation::Sigmoid, Activation::Tanh];
/// As [`LSTM_ACTIVATIONS`], of a plain network.
pub const RNN_ACTIVATIONS: &[Activation] = &[Activation::Tanh];

/// A function of gates or states, of two numbers α and β that most do not ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// The hyperbolic tangent.
    Tanh,
    /// `1 / (1 + e^−x)`.
    Sigmoid,
    /// `α·x + β`.
    Affine,
    /// `x`, and `α·x` below 0.
    LeakyRelu,
    /// `x` above α, else 0.
    ThresholdedRelu,
    /// `α·tanh(β·x)`.
    ScaledTanh,
    /// `α·x + β` between 0 and 1.
    HardSigmoid,
    /// `x`, and `α·(eˣ − 1)` below 0.
    Elu,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `log(1 + eˣ)`.
    Softplus,
}

impl Activation {
    /// Each with its name, and the values of α and β when nothing is said; `None` where it has none.
    pub const ALL: &[(Activation, &str, [Option<f64>; 2])] = &[
        (Activation::Relu, "relu", [None, None]),
        (Activation::Tanh, "tanh", [None, None]),
        (Activation::Sigmoid, "sigmoid", [None, None]),
        (Activation::Affine, "affine", [Some(1.0), Some(0.0)]),
        (Activation::LeakyRelu, "leakyrelu", [Some(0.01f32 as f64), None]),
        (Activation::ThresholdedRelu, "thresholdedrelu", [Some(1.0), None]),
        (Activation::ScaledTanh, "scaledtanh", [Some(1.0), Some(1.0)]),
        (Activation::HardSigmoid, "hardsigmoid", [Some(0.2f32 as f64), Some(0.5)]),
        (Activation::Elu, "elu", [Some(1.0), None]),
        (Activation::Softsign, "softsign", [None, None]),
        (Activation::Softplus, "softplus", [None, None]),
    ];

    /// The function of a name, in letters of any case, with the usual α and β.
    pub fn named(name: &str) -> Option<&'static (Activation, &'static str, [Option<f64>; 2])> {
        Activation::ALL.iter().find(|it| it.1.eq_ignore_ascii_case(name))
    }
}

/// An activation with its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaledActivation {
    /// The function.
    pub function: Activation,
    /// α.
    pub alpha: f64,
    /// β.
    pub beta: f64,
}

/// The activations of a recurrent operator, direction by direction; `default` are those of one direction.
///
/// # Errors
/// A name that is not known, or lists of other lengths.
pub fn activations(
    attrs: &Attrs,
    default: &[Activation],
    directions: usize,
) -> Result<Vec<ScaledActivation>, Diagnostic> {
    let count = default.len() * directions;
    let plain = |function: Activation| {
        let row = Activation::ALL.iter().find(|it| it.0 == function);
        let [alpha, beta] = row.map_or([None; 2], |it| it.2);
        ScaledActivation { function, alpha: alpha.unwrap_or(0.0), beta: beta.unwrap_or(0.0) }
    };
    let mut list: Vec<ScaledActivation> = match attrs.str("activations") {
        None => (0..count).map(|i| plain(default[i % default.len()])).collect(),
        Some(text) => text
            .split(',')
            .map(|name| match Activation::named(name.trim()) {
                Some(row) => Ok(plain(row.0)),
                None => Err(Diagnostic::error("O024", format!("activation `{}` is not known", name.trim()))
                    .help("it is one of those in the table of operators")),
            })
            .collect::<Result<_, _>>()?,
    };
    let wrong = |what: &str, found: usize| {
        Diagnostic::error("O022", format!("attribute `{what}` has {found} entries but must have {count}"))
    };
    if list.len() != count {
        return Err(wrong("activations", list.len()));
    }
    for name in ["alphas", "betas"] {
        let Some(numbers) = attrs.floats(name) else { continue };
        if numbers.len() != count {
            return Err(wrong(name, numbers.len()));
        }
        for (it, number) in list.iter_mut().zip(numbers) {
            let place = if name == "alphas" { &mut it.alpha } else { &mut it.beta };
            *place = *number;
        }
    }
    Ok(list)
}

pub(crate) fn register(ops: &mut OpRegistry) {
    let lstm: InferFn = |cx| {
        cx.all_same_dtype(0..cx.args.len().min(7))?;
        let results = recurrent(cx, 4, 2, LSTM_ACTIVATIONS)?;
        if cx.has(6) {
            peepholes(cx, 6)?;
        }
        lengths(cx, 7)?;
        Ok(results)
    };
    ops.register(OpDef::pure("lstm", Arity::between(6, 8), LSTM, lstm).with_results(3));
    ops.register(OpDef::pure("lstm_integer", Arity::between(8, 12), LSTM, lstm_integer).with_results(3));
    let gru: InferFn = |cx| {
        cx.all_same_dtype(0..5)?;
        let results = recurrent(cx, 3, 1, GRU_ACTIVATIONS)?;
        lengths(cx, 5)?;
        Ok(results)
    };
    ops.register(OpDef::pure("gru", Arity::between(5, 6), GRU, gru).with_results(2));
    let rnn: InferFn = |cx| {
        cx.all_same_dtype(0..5)?;
        let results = recurrent(cx, 1, 1, RNN_ACTIVATIONS)?;
        lengths(cx, 5)?;
        Ok(results)
    };
    ops.register(OpDef::pure("rnn", Arity::between(5, 6), RNN, rnn).with_results(2));
}

/// The lengths of sequences, `[B]`, when they are given.
fn lengths(cx: &mut InferCx<'_>, i: usize) -> Result<(), Diagnostic> {
    if !cx.has(i) {
        return Ok(());
    }
    cx.tensor_of(i, Class::Int)?;
    cx.expect_rank(i, 1)?;
    if let (Some(lengths), Some(x)) = (cx.dims(i)?, cx.dims(0)?) {
        cx.require_eq(lengths[0], x[1], &format!("dimension 0 of operand {i}"))?;
    }
    Ok(())
}

/// What gates see of the cell: `[D, 3·H]`, of the gates input, output, forget.
fn peepholes(cx: &mut InferCx<'_>, i: usize) -> Result<(), Diagnostic> {
    cx.expect_rank(i, 2)?;
    if let (Some(found), Some(r)) = (cx.dims(i)?, cx.dims(2)?) {
        let wanted = cx.shapes.scale(r[2], 3);
        let wanted = [r[0], cx.no_overflow(wanted)?];
        for axis in 0..2 {
            cx.require_eq(found[axis], wanted[axis], &format!("dimension {axis} of operand {i}"))?;
        }
    }
    Ok(())
}

/// Operands `x[T, B, I] w[D, gates·H, I] r[D, gates·H, H] b[D, 2·gates·H]`, then `states` × `[D, B, H]`.
fn recurrent(cx: &mut InferCx<'_>, gates: i64, states: usize, default: &[Activation]) -> InferResult {
    let dtype = cx.tensor_of(0, Class::Float)?.dtype;
    let direction = cx.choice("direction", DIRECTIONS)?;
    activations(cx.attrs, default, if direction == "bidirectional" { 2 } else { 1 })?;
    if let Some(clip) = cx.attrs.float("clip").filter(|it| it.is_nan() || *it <= 0.0) {
        return Err(Diagnostic::error("O023", format!("attribute `clip` is {clip} but must be above 0")));
    }
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

/// As `lstm`, with integers of 8 bits for the weights; after the states their scales and zero points, `[D, 1]` or
/// `[D, gates·H]`.
fn lstm_integer(cx: &mut InferCx<'_>) -> InferResult {
    for i in [0, 3, 4, 5, 6, 7] {
        check_type(cx.tensor(i)?.dtype, |it| it == DType::F32, &format!("operand {i}"))?;
    }
    for i in [1, 2] {
        check_type(cx.tensor(i)?.dtype, is_byte, &format!("operand {i}"))?;
    }
    let results = recurrent(cx, 4, 2, LSTM_ACTIVATIONS)?;
    for i in 6..cx.args.len().min(10) {
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
    if cx.has(10) {
        check_type(cx.tensor(10)?.dtype, |it| it == DType::F32, "operand 10")?;
        peepholes(cx, 10)?;
    }
    lengths(cx, 11)?;
    Ok(results)
}
