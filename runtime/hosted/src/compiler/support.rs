//! What converters share.

use orogen::onnx::{Size, Value};
use orogen::prelude::*;

pub(super) type Single = Result<Value, Diagnostic>;

/// A node that does not follow the specification of its operator.
pub(super) fn bad(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error("X010", message.into())
}

/// A node whose operands or attributes are beyond what is computed here.
pub(super) fn unsupported(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error("X009", message.into())
}

/// A vector of strings.
pub(super) fn text_data<S: AsRef<str>>(list: &[S]) -> Result<TensorData, Diagnostic> {
    TensorData::strings(&[list.len() as u64], list).map_err(|it| bad(it.to_string()))
}

/// The value as a matrix: one of fewer dimensions is a row.
pub(super) fn as_rows(cx: &mut NodeCx<'_, '_>, x: Value) -> Single {
    match cx.rank(x)? {
        0 => cx.reshape_to(x, &[Size::Const(1), Size::Const(1)]),
        1 => cx.unsqueeze(x, &[0]),
        2 => Ok(x),
        rank => Err(bad(format!("operand 0 has rank {rank} but must have 1 or 2"))),
    }
}
