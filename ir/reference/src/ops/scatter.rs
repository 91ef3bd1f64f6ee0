//! Writing at computed positions. Later updates of one position come after earlier ones.

use super::index::{advance, block_positions, element_positions};
use super::tensor::{Elements, count, dims_of, elements, from_bytes, from_elements, strides};
use super::{FamilyResult, OpCx};
use crate::error::{EvalError, EvalResult};
use crate::scalar;
use orogen_ir::loops::BinaryOp;
use orogen_ir::types::TensorData;

pub(super) fn eval(cx: &OpCx<'_>) -> FamilyResult {
    let result = match cx.name {
        "scatter_nd" => scatter_nd(cx),
        "scatter_elements" => scatter_elements(cx),
        "update_slice" => update_slice(cx),
        _ => return None,
    };
    Some(result.map(|it| vec![it]))
}

/// `x` with `updates[i]` written or combined at `positions[i]`.
fn update(cx: &OpCx<'_>, positions: &[usize]) -> EvalResult<TensorData> {
    let dtype = cx.same_dtype([0, 2])?;
    let op = match cx.text("reduction", "none") {
        "none" => None,
        "add" => Some(BinaryOp::Add),
        "mul" => Some(BinaryOp::Mul),
        "max" => Some(BinaryOp::Max),
        "min" => Some(BinaryOp::Min),
        other => return Err(EvalError::invalid(format!("unknown reduction `{other}`"))),
    };
    if op.is_some_and(|it| !it.admits(dtype)) {
        return Err(EvalError::invalid(format!("the reduction has no meaning on {dtype}")));
    }
    let (x, updates) = (cx.arg(0)?, cx.arg(2)?);
    let Some(op) = op else {
        let size = dtype.size();
        let mut bytes = x.unpacked().to_vec();
        for (at, update) in positions.iter().zip(updates.unpacked().chunks_exact(size)) {
            bytes[at * size..][..size].copy_from_slice(update);
        }
        return from_bytes(dtype, &dims_of(x), bytes);
    };
    let mut values = elements(x);
    match (&mut values, elements(updates)) {
        (Elements::Float(x), Elements::Float(updates)) => {
            for (at, update) in positions.iter().zip(updates) {
                x[*at] = op.row().meaning.float(x[*at], update);
            }
        }
        (Elements::Int(x), Elements::Int(updates)) => {
            for (at, update) in positions.iter().zip(updates) {
                x[*at] = scalar::binary_int(op, x[*at], update, dtype);
            }
        }
        _ => return Err(EvalError::invalid("operands of different types")),
    }
    from_elements(dtype, &dims_of(x), &values)
}

fn update_slice(cx: &OpCx<'_>) -> EvalResult<TensorData> {
    let dtype = cx.same_dtype([0, 1])?;
    let (x, update, starts) = (cx.arg(0)?, cx.arg(1)?, cx.list(2)?);
    let (dims, inner) = (dims_of(x), dims_of(update));
    let fits = inner.len() == dims.len() && starts.len() == dims.len();
    if !fits || inner.iter().zip(&dims).any(|(inner, outer)| inner > outer) {
        return Err(EvalError::invalid(format!("a slice of shape {inner:?} does not fit {dims:?}")));
    }
    let rooms = dims.iter().zip(&inner).map(|(outer, inner)| (outer - inner) as i64);
    let starts: Vec<usize> =
        starts.iter().zip(rooms).map(|(it, room)| (*it).clamp(0, room) as usize).collect();
    let (size, steps) = (dtype.size(), strides(&dims));
    let mut bytes = x.unpacked().to_vec();
    let mut point = vec![0; inner.len()];
    for element in update.unpacked().chunks_exact(size) {
        let at: usize =
            point.iter().zip(&starts).zip(&steps).map(|((i, start), step)| (i + start) * step).sum();
        bytes[at * size..][..size].copy_from_slice(element);
        advance(&mut point, &inner);
    }
    from_bytes(dtype, &dims, bytes)
}

fn scatter_nd(cx: &OpCx<'_>) -> EvalResult<TensorData> {
    let (dims, at) = (dims_of(cx.arg(0)?), dims_of(cx.arg(1)?));
    let Some((depth, outer)) = at.split_last() else {
        return Err(EvalError::invalid("the index is a scalar"));
    };
    if *depth > dims.len() {
        return Err(EvalError::invalid(format!("an index of shape {at:?} does not fit {dims:?}")));
    }
    let wanted: Vec<usize> = outer.iter().chain(&dims[*depth..]).copied().collect();
    if dims_of(cx.arg(2)?) != wanted {
        return Err(EvalError::invalid(format!("the updates must be {wanted:?}")));
    }
    let block = count(&dims[*depth..])?;
    let indices = cx.list(1)?;
    let rows = if *depth == 0 { vec![0; count(outer)?] } else { block_positions(&dims, *depth, &indices)? };
    let positions: Vec<usize> =
        rows.iter().flat_map(|row| (0..block).map(move |i| row * block + i)).collect();
    update(cx, &positions)
}

fn scatter_elements(cx: &OpCx<'_>) -> EvalResult<TensorData> {
    let (dims, inner) = (dims_of(cx.arg(0)?), dims_of(cx.arg(1)?));
    if dims_of(cx.arg(2)?) != inner {
        return Err(EvalError::invalid("updates and indices have different shapes"));
    }
    let axis = cx.axis("axis", dims.len())?;
    update(cx, &element_positions(&dims, &inner, axis, &cx.list(1)?)?)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{eval, f32s, i64s, iota, none, run};

    #[test]
    fn scatters_blocks() {
        let x = iota(&[3, 2]);
        let (at, updates) = (i64s(&[2, 1], &[-1, 0]), f32s(&[2, 2], &[10.0, 20.0, 30.0, 40.0]));
        let args = [x.clone(), at, updates];
        assert_eq!(run("scatter_nd", none(), &args).1, [30.0, 40.0, 2.0, 3.0, 10.0, 20.0]);
        let added = run("scatter_nd", none().with("reduction", "add"), &args).1;
        assert_eq!(added, [30.0, 41.0, 2.0, 3.0, 14.0, 25.0]);
        let twice = [f32s(&[2], &[1.0, 1.0]), i64s(&[3, 1], &[1, 1, 1]), f32s(&[3], &[2.0, 3.0, 4.0])];
        assert_eq!(run("scatter_nd", none().with("reduction", "mul"), &twice).1, [1.0, 24.0]);
        assert_eq!(run("scatter_nd", none(), &twice).1, [1.0, 4.0]);
        assert!(eval("scatter_nd", none(), &[x, i64s(&[1, 1], &[3]), f32s(&[1, 2], &[0.0; 2])]).is_err());
    }

    #[test]
    fn scatters_elements() {
        let x = iota(&[2, 3]);
        let args = [x, i64s(&[1, 2], &[1, -2]), f32s(&[1, 2], &[7.0, 9.0])];
        let axis = |axis: i64| none().with("axis", axis);
        assert_eq!(run("scatter_elements", axis(0), &args).1, [0.0, 9.0, 2.0, 7.0, 4.0, 5.0]);
        let max = run("scatter_elements", axis(1).with("reduction", "max"), &args).1;
        assert_eq!(max, [0.0, 9.0, 2.0, 3.0, 4.0, 5.0]);
        assert!(eval("scatter_elements", axis(1).with("reduction", "magic"), &args).is_err());
    }
}
