//! Rules of differentiation, an operator of the IR each.
//!
//! A rule may leave an operand wider than it is: what was broadcast is summed by who asks. At places where a function
//! has no derivative, one of those around it is taken: 0 for `relu` and `abs` at 0; equal maxima share what
//! arrives, but that of a pool goes to the first of them.

mod elementwise;
mod movement;
mod products;
mod reduce;
mod windows;

use super::tape::{SAME, Step};
use crate::node::{NodeCx, not_supported};
use crate::sink::Value;
use orogen_ir::diag::Diagnostic;

type One = Result<Value, Diagnostic>;
/// For each operand what is handed on to it.
type Passed = Result<Vec<Option<Value>>, Diagnostic>;

/// A step, and the derivatives of its results as far as some arrived.
pub(super) struct Arrived<'t> {
    pub(super) step: &'t Step,
    pub(super) at: &'t [Option<Value>],
}

pub(super) type Rule = fn(&mut NodeCx<'_, '_>, &Arrived<'_>) -> Passed;

impl Arrived<'_> {
    fn arg(&self, i: usize) -> One {
        self.step.args.get(i).copied().ok_or_else(|| not_supported("an operation has too few operands"))
    }

    /// The first result.
    fn result(&self) -> One {
        self.step.results.first().copied().ok_or_else(|| not_supported("an operation has no result"))
    }

    /// The derivative of the first result, which is the only one that has any.
    fn derivative(&self) -> One {
        match self.at {
            [Some(first), rest @ ..] if rest.iter().all(Option::is_none) => Ok(*first),
            _ => Err(not_supported("the derivative of a later result of an operation is not known")),
        }
    }

    fn axes(&self) -> Result<&[i64], Diagnostic> {
        self.step.attrs.ints("axes").ok_or_else(|| not_supported("an operation has no axes"))
    }

    fn axis(&self) -> Result<usize, Diagnostic> {
        let axis = self.step.attrs.int("axis").and_then(|it| usize::try_from(it).ok());
        axis.ok_or_else(|| not_supported("an operation has no axis"))
    }
}

/// The rule of an operator.
pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        SAME => |_, to| Ok(vec![Some(to.derivative()?)]),
        "add" => |_, to| Ok(vec![Some(to.derivative()?); 2]),
        "sub" => |cx, to| {
            let d = to.derivative()?;
            Ok(vec![Some(d), Some(cx.unary("neg", d)?)])
        },
        "mul" => |cx, to| {
            let (d, x, y) = (to.derivative()?, to.arg(0)?, to.arg(1)?);
            Ok(vec![Some(cx.binary("mul", d, y)?), Some(cx.binary("mul", d, x)?)])
        },
        "div" => elementwise::quotient,
        "mod" => elementwise::remainder,
        "pow" => elementwise::power,
        "max" | "min" => elementwise::extreme_of_two,
        "where" => elementwise::choice,
        "neg" | "abs" | "exp" | "log" | "sqrt" | "reciprocal" | "sin" | "cos" | "tan" | "asin" | "acos"
        | "atan" | "sinh" | "cosh" | "asinh" | "acosh" | "atanh" | "tanh" | "sigmoid" | "erf" | "expm1"
        | "log1p" | "softplus" | "relu" => elementwise::function,
        "sign" | "floor" | "ceil" | "round" | "trunc" => |_, _| Ok(vec![None]),
        "cast" => |cx, to| {
            let (d, x) = (to.derivative()?, to.arg(0)?);
            let from = cx.dtype(x)?;
            Ok(vec![if from.is_float() { Some(cx.cast(d, from)?) } else { None }])
        },
        "dequantize" => elementwise::dequantized,
        "reduce_sum" | "reduce_mean" => reduce::sum,
        "reduce_max" | "reduce_min" => reduce::extreme,
        "reduce_prod" => reduce::product,
        "cum_sum" => |cx, to| Ok(vec![Some(reduce::summed_back(cx, to, to.derivative()?)?)]),
        "cum_prod" => reduce::running_product,
        "softmax" => reduce::softmax,
        "log_softmax" => reduce::log_softmax,
        "layer_norm" => reduce::normalized,
        "batch_norm" => reduce::normalized_by_statistics,
        "matmul" => products::product,
        "attention" => products::attention,
        "conv" => windows::convolution,
        "conv_transpose" => windows::transposed_convolution,
        "max_pool" => windows::largest,
        "avg_pool" => windows::mean,
        "resize" => windows::resized,
        "reshape" | "squeeze" | "unsqueeze" => |cx, to| {
            let shape = cx.shape_of(to.arg(0)?)?;
            let passed = cx.reshape(to.derivative()?, shape)?;
            Ok(alone(to, passed))
        },
        // What it is broadcast to is summed.
        "expand" => |_, to| Ok(alone(to, to.derivative()?)),
        "tile" => movement::tiled,
        "transpose" => |cx, to| {
            let perm = to.step.attrs.ints("perm").unwrap_or_default();
            let mut back = vec![0; perm.len()];
            perm.iter().enumerate().for_each(|(i, axis)| back[*axis as usize] = i);
            Ok(vec![Some(cx.transpose(to.derivative()?, &back)?)])
        },
        "concat" => movement::parts,
        "slice" => movement::slice,
        "pad" => movement::unpadded,
        "trilu" => |cx, to| {
            let operands: Vec<Value> =
                [to.derivative()?].into_iter().chain(to.step.args[1..].iter().copied()).collect();
            let kept = cx.emit("trilu", to.step.attrs.clone(), &operands)?;
            Ok(alone(to, kept))
        },
        "full" => movement::repeated,
        "range" => movement::range,
        "one_hot" => movement::one_hot,
        "gather" => movement::gather,
        "gather_elements" | "gather_nd" => movement::gather_elements,
        "scatter_elements" | "scatter_nd" => movement::scatter,
        "update_slice" => movement::updated,
        "compress" => movement::compressed,
        "top_k" => movement::top_k,
        _ => return None,
    })
}

/// Why an operator has no rule, when it has none.
pub(crate) fn without_rule(op: &str) -> Option<&'static str> {
    Some(match op {
        _ if rule(op).is_some() => return None,
        "and" | "or" | "xor" | "not" | "bit_not" | "shift_left" | "shift_right" | "equal" | "less"
        | "less_equal" | "greater" | "greater_equal" | "is_nan" | "is_inf" | "arg_max" | "arg_min"
        | "shape_of" | "size" | "non_zero" | "quantize" | "matmul_integer" | "conv_integer"
        | "mersenne_twister" => "its results are no floats",
        "bit_cast" => "bits are no numbers",
        "tree_ensemble" => "it is constant between its thresholds",
        "lstm" | "gru" | "rnn" => "a rule for a whole recurrence is not written yet",
        "lstm_integer" | "matmul_mixed" | "matmul_blocks" | "conv_mixed" | "dequantize_blocks" => {
            "it computes with weights that are rounded, which nothing trains"
        }
        _ if ["sequence_", "map_", "optional_"].iter().any(|it| op.starts_with(it)) => {
            "a derivative of a sequence, a map or an optional is no tensor"
        }
        _ => "it is an operator of a plug-in",
    })
}

/// Only the first operand is handed anything.
fn alone(to: &Arrived<'_>, passed: Value) -> Vec<Option<Value>> {
    let mut list = vec![None; to.step.args.len()];
    list[0] = Some(passed);
    list
}
