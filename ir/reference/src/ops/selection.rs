//! Selection by data.

use super::tensor::{along, dims_of, from_ints, pick, strides};
use super::{FamilyResult, OpCx};
use crate::error::{EvalError, EvalResult};
use crate::scalar;
use orogen_ir::types::{DType, TensorData};

pub(super) fn eval(cx: &OpCx<'_>) -> FamilyResult {
    let result = match cx.name {
        "non_zero" => non_zero(cx),
        "compress" => compress(cx),
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

#[cfg(test)]
mod tests {
    use crate::ops::testing::{eval, f32s, i64s, iota, none, run};
    use orogen_ir::types::{DType, TensorData};

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
