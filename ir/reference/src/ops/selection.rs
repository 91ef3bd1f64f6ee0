//! Selection by data.

use super::tensor::{Elements, along, dims_of, elements, from_ints, pick, strides};
use super::{FamilyResult, OpCx};
use crate::error::{EvalError, EvalResult};
use crate::scalar;
use orogen_ir::scalar::CompareOp;
use orogen_ir::types::{DType, TensorData};
use std::cmp::Ordering;

pub(super) fn eval(cx: &OpCx<'_>) -> FamilyResult {
    let result = match cx.name {
        "non_zero" => non_zero(cx),
        "compress" => compress(cx),
        "top_k" => return Some(top_k_of(cx)),
        _ => return None,
    };
    Some(result.map(|it| vec![it]))
}

fn non_zero(cx: &OpCx<'_>) -> EvalResult<TensorData> {
    let x = cx.arg(0)?;
    let (dims, hits) = (dims_of(x), scalar::hits(x));
    let rows = strides(&dims).into_iter().zip(&dims);
    let coordinates: Vec<i64> =
        rows.flat_map(|(step, n)| hits.iter().map(move |it| (it / step % n) as i64)).collect();
    from_ints(DType::I64, &[dims.len(), hits.len()], &coordinates)
}

fn compress(cx: &OpCx<'_>) -> EvalResult<TensorData> {
    let x = cx.arg(0)?;
    let mut dims = dims_of(x);
    let axis = cx.axis("axis", dims.len())?;
    let condition = cx.ranked(1, 1)?;
    if condition[0] > dims[axis] {
        return Err(EvalError::invalid(format!("a condition of {} for {} slices", condition[0], dims[axis])));
    }
    let (split, kept) = (along(&dims, axis), scalar::hits(cx.arg(1)?));
    dims[axis] = kept.len();
    let kept = &kept;
    let positions = (0..split.outer).flat_map(|outer| {
        kept.iter()
            .flat_map(move |at| (0..split.inner).map(move |i| (outer * split.n + at) * split.inner + i))
    });
    pick(x, &dims, positions.map(Some), &[])
}

fn top_k_of(cx: &OpCx<'_>) -> EvalResult<Vec<TensorData>> {
    let x = cx.arg(0)?;
    let axis = cx.axis("axis", x.dims().len())?;
    let &[wanted] = &cx.arg(1)?.to_i64()[..] else {
        return Err(EvalError::invalid("how many are wanted is one number"));
    };
    let most = dims_of(x)[axis];
    let wanted = usize::try_from(wanted).ok().filter(|it| *it <= most);
    let wanted =
        wanted.ok_or_else(|| EvalError::invalid(format!("so many of {most} elements are not there")))?;
    top_k(x, axis, wanted, cx.flag("smallest"))
}

/// The extreme elements along an axis, and where they are; of equal ones the first, and NaN is larger than every number.
pub(crate) fn top_k(
    x: &TensorData,
    axis: usize,
    wanted: usize,
    smallest: bool,
) -> EvalResult<Vec<TensorData>> {
    let (mut dims, values, dtype) = (dims_of(x), elements(x), x.dtype());
    let split = along(&dims, axis);
    let order = |a: usize, b: usize| match &values {
        Elements::Float(list) => match (list[a].is_nan(), list[b].is_nan()) {
            (false, false) => list[a].partial_cmp(&list[b]).unwrap_or(Ordering::Equal),
            (a, b) => a.cmp(&b),
        },
        Elements::Int(list) => CompareOp::order(list[a], list[b], dtype),
    };
    dims[axis] = wanted;
    let mut places = vec![0; dims.iter().product()];
    for (outer, inner) in (0..split.outer).flat_map(|outer| (0..split.inner).map(move |i| (outer, i))) {
        let at = |place: usize| (outer * split.n + place) * split.inner + inner;
        let mut sorted: Vec<usize> = (0..split.n).collect();
        // Stable: equal ones stay as they are.
        sorted.sort_by(|a, b| if smallest { order(at(*a), at(*b)) } else { order(at(*b), at(*a)) });
        for (rank, place) in sorted.into_iter().take(wanted).enumerate() {
            places[(outer * wanted + rank) * split.inner + inner] = place;
        }
    }
    let found = |(i, place): (usize, &usize)| {
        let (row, inner) = (i / split.inner, i % split.inner);
        (row / wanted * split.n + place) * split.inner + inner
    };
    let values = pick(x, &dims, places.iter().enumerate().map(found).map(Some), &[])?;
    let places: Vec<i64> = places.iter().map(|it| *it as i64).collect();
    Ok(vec![values, from_ints(DType::I64, &dims, &places)?])
}

#[cfg(test)]
mod tests {
    use crate::ops::eval_named;
    use crate::ops::testing::{eval, f32s, i64s, iota, none, run};
    use orogen_ir::types::{Attrs, DType, TensorData};

    #[test]
    fn non_zero_lists_coordinates_by_axis() {
        let x = i64s(&[2, 3], &[0, 5, 0, -1, 0, 2]);
        assert_eq!(run("non_zero", none(), &[x]), (vec![2, 3], vec![0.0, 1.0, 1.0, 1.0, 0.0, 2.0]));
        let x = f32s(&[3], &[f32::NAN, 0.0, -0.0]);
        assert_eq!(run("non_zero", none(), &[x]), (vec![1, 1], vec![0.0]));
        assert_eq!(run("non_zero", none(), &[f32s(&[], &[2.0])]).0, [0, 1]);
        assert_eq!(run("non_zero", none(), &[f32s(&[0, 2], &[])]).0, [2, 0]);
    }

    #[test]
    fn top_k_is_in_order_and_the_first_of_equals() {
        let x = f32s(&[2, 3], &[1.0, f32::NAN, 1.0, -0.0, 3.0, 0.0]);
        let all = |attrs: &Attrs, args: &[TensorData]| eval_named("top_k", attrs, args);
        let attrs = none().with("axis", 1);
        let found = all(&attrs, &[x.clone(), i64s(&[1], &[2])]).expect("two");
        assert_eq!(found[1].to_i64(), [1, 0, 1, 0]);
        assert!(found[0].get_f64(0).is_nan() && found[0].get_f64(2) == 3.0);
        let attrs = attrs.with("smallest", true);
        let found = all(&attrs, &[x.clone(), i64s(&[1], &[3])]).expect("all");
        assert_eq!(found[1].to_i64(), [0, 2, 1, 0, 2, 1]);
        let columns = none().with("axis", 0);
        let found = all(&columns, &[x.clone(), i64s(&[1], &[1])]).expect("one");
        assert_eq!(found[1].to_i64(), [0, 0, 0]);
        assert_eq!(all(&attrs, &[x.clone(), i64s(&[1], &[0])]).expect("none")[0].dims(), [2, 0]);
        for wanted in [-1, 4] {
            assert!(all(&attrs, &[x.clone(), i64s(&[1], &[wanted])]).is_err());
        }
    }

    #[test]
    fn compress_keeps_slices() {
        let mask =
            |list: &[f64]| TensorData::from_f64(DType::Bool, &[list.len() as u64], list.iter().copied());
        let x = iota(&[2, 3]);
        let columns = run("compress", none().with("axis", 1), &[x.clone(), mask(&[1.0, 0.0, 1.0])]);
        assert_eq!(columns, (vec![2, 2], vec![0.0, 2.0, 3.0, 5.0]));
        let first = run("compress", none().with("axis", 0), &[x.clone(), mask(&[1.0])]);
        assert_eq!(first, (vec![1, 3], vec![0.0, 1.0, 2.0]));
        assert_eq!(run("compress", none().with("axis", 0), &[x.clone(), mask(&[0.0, 0.0])]).0, [0, 3]);
        assert!(eval("compress", none().with("axis", 0), &[x, mask(&[1.0; 3])]).is_err());
    }
}
