//! Operators that return one of their operands unchanged.

use orogen_ir::ops::{OpId, OpRegistry};
use orogen_ir::types::{Attrs, Type};

/// The operand that the result equals, when the operator does nothing.
///
/// Only types and attributes are consulted, so the answer holds for every input.
pub fn identity<'t, V: Copy>(
    ops: &OpRegistry,
    op: OpId,
    attrs: &Attrs,
    args: &[V],
    ty: impl Fn(V) -> &'t Type,
) -> Option<V> {
    let first = *args.first()?;
    let tensor = ty(first).as_tensor()?;
    let rank = tensor.shape.rank();
    let does_nothing = match ops.def(op).name {
        "cast" | "bit_cast" => attrs.dtype("to") == Some(tensor.dtype),
        "transpose" => {
            let perm = attrs.ints("perm")?;
            Some(perm.len()) == rank && perm.iter().enumerate().all(|(i, axis)| *axis == i as i64)
        }
        "concat" => args.len() == 1,
        // The target's elements are the operand's own dimensions.
        "reshape" | "expand" => {
            let target = ty(*args.get(1)?).as_tensor()?.elements.as_deref()?;
            tensor.dims() == Some(target)
        }
        "squeeze" | "unsqueeze" => attrs.ints("axes").is_some_and(<[i64]>::is_empty),
        _ => false,
    };
    does_nothing.then_some(first)
}
