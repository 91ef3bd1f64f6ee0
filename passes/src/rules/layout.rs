//! Order of dimensions: transposes that meet are merged or cancelled.
//!
//! Every rule here leaves fewer transposes than it found, so applying them to a fixed point ends.

use super::rewrite::{OpCall, Rewriter, Rule, Value};
use orogen_ir::types::Attrs;

/// The rules of the step, in the order they are tried.
pub const RULES: &[Rule] = &[
    Rule { name: "compose-transposes", root: "transpose", apply: compose },
    Rule { name: "compose-transposes-around", root: "transpose", apply: compose_around },
];

/// `transpose(transpose(x, p), q) = transpose(x, p∘q)`.
fn compose(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let inner = rewriter.definition_by(call.args[0], "transpose")?;
    transpose(rewriter, inner.args[0], &inner.attrs, &call.attrs)
}

/// `transpose(f(transpose(x, p)), q) = f(transpose(x, p∘q))` for elementwise `f` of one operand, when nothing else
/// uses what is in between.
fn compose_around(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let middle = rewriter.definition(call.args[0])?;
    let def = rewriter.ops().def(middle.op);
    let name = def.name;
    if !def.elementwise || rewriter.uses(call.args[0]) != 1 {
        return None;
    }
    let [operand] = middle.args.as_slice() else { return None };
    let inner = rewriter.definition_by(*operand, "transpose")?;
    if rewriter.uses(*operand) != 1 {
        return None;
    }
    let moved = transpose(rewriter, inner.args[0], &inner.attrs, &call.attrs)?;
    rewriter.emit(name, middle.attrs, &[moved])
}

/// `x` transposed by `first`, then by `second`, in one step or none.
fn transpose(rewriter: &mut dyn Rewriter, x: Value, first: &Attrs, second: &Attrs) -> Option<Value> {
    let (first, second) = (first.ints("perm")?, second.ints("perm")?);
    let perm: Vec<i64> =
        second.iter().map(|axis| first.get(usize::try_from(*axis).ok()?).copied()).collect::<Option<_>>()?;
    if perm.iter().enumerate().all(|(i, axis)| *axis == i as i64) {
        return Some(x);
    }
    rewriter.emit("transpose", Attrs::none().with("perm", perm), &[x])
}
