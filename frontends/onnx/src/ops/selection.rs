//! Operators that select by data.

use super::single;
use crate::emit::attrs;
use crate::node::NodeCx;
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::DType;

pub(super) fn register(table: &mut OpTable) {
    table.register("", "NonZero", .., single(|cx| cx.unary("non_zero", cx.input(0)?)));
    table.register("", "Compress", .., single(compress));
    table.register("", "TopK", .., top_k);
}

fn compress(cx: &mut NodeCx<'_, '_>) -> Result<Value, Diagnostic> {
    let (x, condition) = (cx.input(0)?, cx.cast(cx.input(1)?, DType::Bool)?);
    let (x, axis) = match cx.int("axis") {
        Some(axis) => (x, cx.axis(x, axis)?),
        None => {
            let flat = cx.int_vector(&[-1]);
            (cx.reshape(x, flat)?, 0)
        }
    };
    cx.emit("compress", attrs([("axis", (axis as i64).into())]), &[x, condition])
}

/// How many are wanted is an attribute at first, then an operand. `sorted` is not looked at: in order they are in any case.
fn top_k(cx: &mut NodeCx<'_, '_>) -> Result<Vec<Value>, Diagnostic> {
    let x = cx.input(0)?;
    let axis = cx.axis(x, cx.int("axis").unwrap_or(-1))? as i64;
    let wanted = match cx.opset() {
        ..10 => cx.int_vector(&[cx.int("k").unwrap_or(0)]),
        _ => {
            let one = cx.int_vector(&[1]);
            let wanted = cx.as_i64(cx.input(1)?)?;
            cx.reshape(wanted, one)?
        }
    };
    let smallest = cx.int("largest") == Some(0);
    cx.emit_all("top_k", attrs([("axis", axis.into()), ("smallest", smallest.into())]), &[x, wanted])
}
