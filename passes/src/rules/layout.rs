//! Order of dimensions: transposes that meet are merged or cancelled.
//!
//! A rule sees the program through [`Rewriter`] and returns the value that replaces the result of an operation. Every
//! rule here leaves fewer transposes than it found, so applying them to a fixed point ends.

use super::simplify::Rewriter;
use orogen_ir::ops::OpId;
use orogen_ir::types::Attrs;

/// The value that replaces the single result of `op(args)`, when a rule applies.
pub fn layout<R: Rewriter>(rewriter: &mut R, op: OpId, attrs: &Attrs, args: &[R::Value]) -> Option<R::Value> {
    if rewriter.ops().def(op).name != "transpose" {
        return None;
    }
    compose(rewriter, attrs, args).or_else(|| compose_around(rewriter, attrs, args))
}

/// `transpose(transpose(x, p), q) = transpose(x, p∘q)`.
fn compose<R: Rewriter>(rewriter: &mut R, attrs: &Attrs, args: &[R::Value]) -> Option<R::Value> {
    let (inner, inner_attrs, inner_args) = rewriter.definition(args[0])?;
    if rewriter.ops().def(inner).name != "transpose" {
        return None;
    }
    transpose(rewriter, inner_args[0], &inner_attrs, attrs)
}

/// `transpose(f(transpose(x, p)), q) = f(transpose(x, p∘q))` for elementwise `f` of one operand, when nothing else
/// uses what is in between.
fn compose_around<R: Rewriter>(rewriter: &mut R, attrs: &Attrs, args: &[R::Value]) -> Option<R::Value> {
    let (middle, middle_attrs, middle_args) = rewriter.definition(args[0])?;
    if !is_elementwise(rewriter.ops().def(middle).name) || rewriter.uses(args[0]) != 1 {
        return None;
    }
    let [operand] = middle_args.as_slice() else { return None };
    let (inner, inner_attrs, inner_args) = rewriter.definition(*operand)?;
    if rewriter.ops().def(inner).name != "transpose" || rewriter.uses(*operand) != 1 {
        return None;
    }
    let name = rewriter.ops().def(middle).name;
    let moved = transpose(rewriter, inner_args[0], &inner_attrs, attrs)?;
    rewriter.emit(name, middle_attrs, &[moved])
}

/// `x` transposed by `first`, then by `second`, in one step or none.
fn transpose<R: Rewriter>(rewriter: &mut R, x: R::Value, first: &Attrs, second: &Attrs) -> Option<R::Value> {
    let (first, second) = (first.ints("perm")?, second.ints("perm")?);
    let perm: Vec<i64> =
        second.iter().map(|axis| first.get(usize::try_from(*axis).ok()?).copied()).collect::<Option<_>>()?;
    if perm.iter().enumerate().all(|(i, axis)| *axis == i as i64) {
        return Some(x);
    }
    rewriter.emit("transpose", Attrs::none().with("perm", perm), &[x])
}

/// Operators of one operand that compute each element from the element at the same place.
fn is_elementwise(name: &str) -> bool {
    matches!(
        name,
        "abs"
            | "neg"
            | "sign"
            | "exp"
            | "log"
            | "sqrt"
            | "reciprocal"
            | "sin"
            | "cos"
            | "tan"
            | "asin"
            | "acos"
            | "atan"
            | "sinh"
            | "cosh"
            | "asinh"
            | "acosh"
            | "atanh"
            | "tanh"
            | "sigmoid"
            | "erf"
            | "relu"
            | "floor"
            | "ceil"
            | "round"
            | "not"
            | "bit_not"
            | "is_nan"
            | "is_inf"
            | "cast"
    )
}
