//! Operators on sequences, maps and optionals whose results follow from how their operands are put together.
//!
//! A builder decides them where it can; here are those that only other passes made so.

use crate::rewrite::{OpCall, Rewriter, Value};
use orogen_ir::ops::{Decided, StructureOp, empty_attrs};
use orogen_ir::types::{Attrs, DType, TensorData};

/// The result of an operation of this family, when it is decided.
pub(super) fn decide(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let structure = StructureOp::of(rewriter.ops().def(call.op))?;
    let ints: Vec<Option<i64>> = call.args.iter().map(|it| integer(rewriter, *it)).collect();
    let made = |value: Value| {
        let call = rewriter.definition(value)?;
        Some((StructureOp::of(rewriter.ops().def(call.op))?, call.args))
    };
    match structure.decide(&call.args, &made, &ints)? {
        Decided::Value(value) => Some(value),
        Decided::Length(count) => {
            Some(rewriter.emit_constant(TensorData::from_slice(DType::I64, &[], &[count as i64])))
        }
        Decided::Truth(truth) => {
            let truth = f64::from(u8::from(truth));
            Some(rewriter.emit_constant(TensorData::from_f64(DType::Bool, &[], [truth])))
        }
        Decided::Items(items) if items.is_empty() => {
            let attrs = empty_attrs(&rewriter.ty(call.args[0]))?;
            rewriter.emit("sequence_empty", attrs, &[])
        }
        Decided::Items(items) => rewriter.emit("sequence_construct", Attrs::none(), &items),
    }
}

fn integer(rewriter: &mut dyn Rewriter, value: Value) -> Option<i64> {
    let data = rewriter.constant(value)?;
    (data.len() == 1 && data.dtype().is_int()).then(|| data.get_i64(0))
}
