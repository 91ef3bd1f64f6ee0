//! Reductions and scans.

use super::tensor::{
    Elements, along, count, dims_of, elements, from_elements, from_ints, positions, strides,
};
use super::{FamilyResult, OpCx};
use crate::error::{EvalError, EvalResult};
use crate::scalar;
use orogen_ir::loops::Combine;
use orogen_ir::types::{DType, TensorData};
use std::cmp::Ordering;

pub(super) fn eval(cx: &OpCx<'_>) -> FamilyResult {
    Some(match cx.name {
        "reduce_sum" | "reduce_mean" => reduce(cx, Combine::Sum),
        "reduce_prod" => reduce(cx, Combine::Product),
        "reduce_max" => reduce(cx, Combine::Max),
        "reduce_min" => reduce(cx, Combine::Min),
        "arg_max" => arg(cx, Ordering::Greater),
        "arg_min" => arg(cx, Ordering::Less),
        "cum_sum" => cumulative(cx, Combine::Sum),
        "cum_prod" => cumulative(cx, Combine::Product),
        _ => return None,
    })
}

/// Result dimensions, and for every operand element the position of its result.
fn targets(dims: &[usize], axes: &[usize], keep: bool) -> (Vec<usize>, Vec<usize>) {
    let kept: Vec<usize> = (0..dims.len()).map(|i| if axes.contains(&i) { 1 } else { dims[i] }).collect();
    let own = strides(&kept);
    let steps: Vec<usize> = (0..dims.len()).map(|i| if axes.contains(&i) { 0 } else { own[i] }).collect();
    let shape = match keep {
        true => kept,
        false => (0..dims.len()).filter(|i| !axes.contains(i)).map(|i| dims[i]).collect(),
    };
    (shape, positions(dims, &steps))
}

fn reduce(cx: &OpCx<'_>, combine: Combine) -> EvalResult<Vec<TensorData>> {
    let x = cx.arg(0)?;
    let (dims, dtype) = (dims_of(x), x.dtype());
    if dtype == DType::Bool && matches!(combine, Combine::Sum | Combine::Product) {
        return Err(EvalError::invalid("booleans have no sum"));
    }
    let axes = cx.axes("axes", dims.len())?;
    let (shape, targets) = targets(&dims, &axes, cx.flag("keepdims"));
    let (n, op) = (count(&shape)?, scalar::combine_op(combine));
    let mean = cx.name == "reduce_mean";
    let terms: usize = axes.iter().map(|it| dims[*it]).product();
    let values = match elements(x) {
        Elements::Float(values) => {
            let mut totals = vec![scalar::identity_float(combine); n];
            for (value, at) in values.iter().zip(&targets) {
                totals[*at] = op.row().meaning.float(totals[*at], *value);
            }
            if mean {
                totals.iter_mut().for_each(|it| *it /= terms as f64);
            }
            Elements::Float(totals)
        }
        Elements::Int(values) => {
            let mut totals = vec![scalar::identity_int(combine, dtype); n];
            for (value, at) in values.iter().zip(&targets) {
                totals[*at] = scalar::binary_int(op, totals[*at], *value, dtype);
            }
            if mean {
                let divisor = scalar::wrap(terms as i64, dtype);
                for total in &mut totals {
                    *total = scalar::binary_int(orogen_ir::loops::BinaryOp::Div, *total, divisor, dtype);
                }
            }
            Elements::Int(totals)
        }
    };
    Ok(vec![from_elements(dtype, &shape, &values)?])
}

/// Position of the extreme element along an axis; of equals the first, or the last with `select_last`. NaN counts
/// as the extreme, like in numpy.
fn arg(cx: &OpCx<'_>, wanted: Ordering) -> EvalResult<Vec<TensorData>> {
    let x = cx.arg(0)?;
    let (dims, dtype) = (dims_of(x), x.dtype());
    let axis = cx.axis("axis", dims.len())?;
    let split = along(&dims, axis);
    let last = cx.flag("select_last");
    let values = elements(x);
    let better = |a: usize, b: usize| {
        let order = match &values {
            Elements::Float(list) => match (list[a].is_nan(), list[b].is_nan()) {
                (true, true) => Ordering::Equal,
                (true, false) => wanted,
                (false, true) => wanted.reverse(),
                _ => list[a].partial_cmp(&list[b]).unwrap_or(Ordering::Equal),
            },
            Elements::Int(list) => orogen_ir::scalar::CompareOp::order(list[a], list[b], dtype),
        };
        order == wanted || (last && order == Ordering::Equal)
    };
    let mut result = Vec::with_capacity(split.outer * split.inner);
    for outer in 0..split.outer {
        for inner in 0..split.inner {
            let at = |k: usize| (outer * split.n + k) * split.inner + inner;
            if split.n == 0 {
                return Err(EvalError::invalid("an empty axis has no extreme element"));
            }
            let best = (1..split.n).fold(0, |best, k| if better(at(k), at(best)) { k } else { best });
            result.push(best as i64);
        }
    }
    let (shape, _) = targets(&dims, &[axis], cx.flag("keepdims"));
    Ok(vec![from_ints(DType::I64, &shape, &result)?])
}

fn cumulative(cx: &OpCx<'_>, combine: Combine) -> EvalResult<Vec<TensorData>> {
    let (x, op) = (cx.arg(0)?, scalar::combine_op(combine));
    let dims = dims_of(x);
    let split = along(&dims, cx.axis("axis", dims.len())?);
    let (exclusive, reverse) = (cx.flag("exclusive"), cx.flag("reverse"));
    let mut values = elements(x);
    for outer in 0..split.outer {
        for inner in 0..split.inner {
            let mut float = scalar::identity_float(combine);
            let mut int = scalar::identity_int(combine, x.dtype());
            for step in 0..split.n {
                let k = if reverse { split.n - 1 - step } else { step };
                let at = (outer * split.n + k) * split.inner + inner;
                match &mut values {
                    Elements::Float(list) => {
                        let before = float;
                        float = op.row().meaning.float(float, list[at]);
                        list[at] = if exclusive { before } else { float };
                    }
                    Elements::Int(list) => {
                        let before = int;
                        int = scalar::binary_int(op, int, list[at], x.dtype());
                        list[at] = if exclusive { before } else { int };
                    }
                }
            }
        }
    }
    Ok(vec![from_elements(x.dtype(), &dims, &values)?])
}

#[cfg(test)]
mod tests {
    use super::super::testing::{eval, f32s, i64s, iota, none, run};

    #[test]
    fn reductions() {
        let x = iota(&[2, 3]);
        let over = |axes: &[i64]| none().with("axes", axes);
        let x = std::slice::from_ref(&x);
        assert_eq!(run("reduce_sum", over(&[1]), x), (vec![2], vec![3.0, 12.0]));
        assert_eq!(
            run("reduce_sum", over(&[0]).with("keepdims", true), x),
            (vec![1, 3], vec![3.0, 5.0, 7.0])
        );
        assert_eq!(run("reduce_mean", over(&[0, 1]), x), (vec![], vec![2.5]));
        assert_eq!(run("reduce_prod", over(&[1]), x).1, [0.0, 60.0]);
        assert_eq!(run("reduce_max", over(&[0]), x).1, [3.0, 4.0, 5.0]);
        assert_eq!(run("reduce_min", over(&[]), x).1, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(run("reduce_mean", over(&[0]), &[i64s(&[2], &[-3, 0])]).1, [-1.0]);
        assert!(eval("reduce_sum", over(&[2]), x).is_err());
        assert!(eval("reduce_sum", over(&[0, 0]), x).is_err());
    }

    #[test]
    fn empty_and_nan_reductions() {
        let empty = f32s(&[2, 0], &[]);
        let over = |axis: i64| none().with("axes", vec![axis]);
        assert_eq!(run("reduce_sum", over(1), std::slice::from_ref(&empty)).1, [0.0, 0.0]);
        assert_eq!(run("reduce_max", over(1), std::slice::from_ref(&empty)).1, [f64::NEG_INFINITY; 2]);
        assert!(run("reduce_mean", over(1), std::slice::from_ref(&empty)).1[0].is_nan());
        assert_eq!(run("reduce_max", over(0), &[i64s(&[0], &[])]).1, [i64::MIN as f64]);
        assert!(run("reduce_max", over(0), &[f32s(&[3], &[1.0, f32::NAN, 2.0])]).1[0].is_nan());
    }

    #[test]
    fn arg_and_cumulative() {
        let x = i64s(&[2, 3], &[5, 7, 7, 1, 1, 0]);
        let axis = none().with("axis", 1);
        assert_eq!(run("arg_max", axis.clone(), std::slice::from_ref(&x)), (vec![2], vec![1.0, 0.0]));
        let last = axis.clone().with("select_last", true).with("keepdims", true);
        assert_eq!(run("arg_max", last, std::slice::from_ref(&x)), (vec![2, 1], vec![2.0, 1.0]));
        assert_eq!(run("arg_min", axis.clone(), std::slice::from_ref(&x)).1, [0.0, 2.0]);
        assert!(eval("arg_min", axis.clone(), &[i64s(&[2, 0], &[])]).is_err());
        assert_eq!(
            run("cum_sum", axis.clone(), std::slice::from_ref(&x)).1,
            [5.0, 12.0, 19.0, 1.0, 2.0, 2.0]
        );
        let other = axis.with("exclusive", true).with("reverse", true);
        assert_eq!(
            run("cum_sum", other.clone(), std::slice::from_ref(&x)).1,
            [14.0, 7.0, 0.0, 1.0, 0.0, 0.0]
        );
        assert_eq!(run("cum_prod", other, &[x]).1, [49.0, 7.0, 1.0, 0.0, 0.0, 1.0]);
    }
}
