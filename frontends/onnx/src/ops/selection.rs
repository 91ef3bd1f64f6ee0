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
