//! Evaluation of operators on sequences, maps and optionals, straight from their definitions.

use super::Value;
use crate::error::{EvalError, EvalErrorKind, EvalResult};
use orogen_ir::ops::StructureOp;
use orogen_ir::types::{DType, TensorData};

/// The result of an operator on values of any type.
///
/// # Errors
/// `OutOfRange` for a position that is none, `CheckFailed` for the content of an optional that holds nothing, `Invalid`
/// for operands of another type.
pub(super) fn eval_structure(op: StructureOp, args: &[Value]) -> Result<Value, EvalError> {
    let arg = |i: usize| args.get(i).ok_or_else(|| EvalError::invalid(format!("operand {i} is missing")));
    Ok(match op {
        StructureOp::Empty => Value::Sequence(Vec::new()),
        StructureOp::Construct | StructureOp::Map => Value::Sequence(args.to_vec()),
        StructureOp::Length => {
            let count = sequence(arg(0)?)?.len() as i64;
            Value::Tensor(TensorData::from_slice(DType::I64, &[], &[count]))
        }
        StructureOp::At | StructureOp::Item => {
            let items = sequence(arg(0)?)?;
            items[position(arg(1)?, items.len(), items.len())?].clone()
        }
        StructureOp::Insert => {
            let mut items = sequence(arg(0)?)?.to_vec();
            let count = items.len();
            let at = args.get(2).map_or(Ok(count), |at| position(at, count, count + 1))?;
            items.insert(at, arg(1)?.clone());
            Value::Sequence(items)
        }
        StructureOp::Erase => {
            let mut items = sequence(arg(0)?)?.to_vec();
            let count = items.len();
            let last = || count.checked_sub(1).ok_or_else(|| out_of_range(-1, count));
            let at = args.get(1).map_or_else(last, |at| position(at, count, count))?;
            items.remove(at);
            Value::Sequence(items)
        }
        StructureOp::Keys => part(arg(0)?, 0)?,
        StructureOp::Values => part(arg(0)?, 1)?,
        StructureOp::Some => arg(0)?.clone(),
        StructureOp::None => Value::None,
        StructureOp::Has => {
            let has = *arg(0)? != Value::None;
            Value::Tensor(TensorData::from_f64(DType::Bool, &[], [f64::from(u8::from(has))]))
        }
        StructureOp::Rank => match arg(0)? {
            Value::Tensor(tensor) => {
                let rank = tensor.dims().len() as i64;
                Value::Tensor(TensorData::from_slice(DType::I64, &[], &[rank]))
            }
            _ => {
                return Err(EvalError::new(EvalErrorKind::CheckFailed, "the optional holds no tensor"));
            }
        },
        StructureOp::Get => match arg(0)? {
            Value::None => {
                return Err(EvalError::new(EvalErrorKind::CheckFailed, "the optional holds nothing"));
            }
            content => content.clone(),
        },
    })
}

fn sequence(value: &Value) -> EvalResult<&[Value]> {
    match value {
        Value::Sequence(items) => Ok(items),
        _ => Err(EvalError::invalid("an operand is no sequence")),
    }
}

/// One of the two vectors of a map.
fn part(value: &Value, i: usize) -> EvalResult<Value> {
    sequence(value)?.get(i).cloned().ok_or_else(|| EvalError::invalid("an operand is no map"))
}

/// A position counted from the start; `count` items are there, and `places` positions allowed.
fn position(at: &Value, count: usize, places: usize) -> EvalResult<usize> {
    let at = match at.as_tensor() {
        Some(it) if it.len() == 1 && it.dtype().is_int() => it.get_i64(0),
        _ => return Err(EvalError::invalid("a position is no single integer")),
    };
    let counted = if at < 0 { at.checked_add(count as i64) } else { Some(at) };
    let found = counted.and_then(|it| usize::try_from(it).ok()).filter(|it| *it < places);
    found.ok_or_else(|| out_of_range(at, count))
}

fn out_of_range(at: i64, count: usize) -> EvalError {
    EvalError::out_of_range(format!("position {at} of a sequence of {count}"))
}
