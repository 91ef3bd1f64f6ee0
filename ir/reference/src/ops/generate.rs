//! Tensors made from parameters.

use super::tensor::{along, count, dims_of, from_bytes, from_floats, from_ints, pick, size_from};
use super::{FamilyResult, OpCx};
use crate::error::{EvalError, EvalResult};
use crate::scalar;
use orogen_ir::types::{DType, TensorData};

pub(super) fn eval(cx: &OpCx<'_>) -> FamilyResult {
    let result = match cx.name {
        "one_hot" => one_hot(cx),
        "range" => range(cx),
        "full" => full(cx),
        "mersenne_twister" => mersenne_twister(cx),
        "trilu" => trilu(cx),
        _ => return None,
    };
    Some(result.map(|it| vec![it]))
}

/// `values[1]` where the new axis is at the index, `values[0]` elsewhere; indices out of range match nothing.
fn one_hot(cx: &OpCx<'_>) -> EvalResult<TensorData> {
    let indices = cx.list(0)?;
    let depth = size_from(cx.single(1)?.get_i64(0))?;
    let values = cx.arg(2)?;
    if cx.ranked(2, 1)? != [2] {
        return Err(EvalError::invalid("`values` has an off and an on value"));
    }
    let mut dims = dims_of(cx.arg(0)?);
    let axis = cx.axis("axis", dims.len() + 1)?;
    dims.insert(axis, depth);
    count(&dims)?;
    let split = along(&dims, axis);
    let mut positions = Vec::new();
    for outer in 0..split.outer {
        for k in 0..depth as i64 {
            for inner in 0..split.inner {
                let index = indices[outer * split.inner + inner];
                let index = if index < 0 { index.saturating_add(depth as i64) } else { index };
                positions.push(Some(usize::from(index == k)));
            }
        }
    }
    pick(values, &dims, positions, &[])
}

/// `start, start + delta, …` before `limit`.
fn range(cx: &OpCx<'_>) -> EvalResult<TensorData> {
    let dtype = cx.same_dtype(0..3)?;
    let operands = [cx.single(0)?, cx.single(1)?, cx.single(2)?];
    if dtype.is_float() {
        let [start, limit, delta] = operands.map(|it| it.get_f64(0));
        let n = ((limit - start) / delta).ceil();
        if !n.is_finite() {
            return Err(EvalError::invalid("the range has no end"));
        }
        let n = count(&[n.max(0.0) as usize])?;
        let values: Vec<f64> = (0..n).map(|i| start + i as f64 * delta).collect();
        return from_floats(dtype, &[n], &values);
    }
    let wide = |it: &TensorData| match dtype {
        DType::U64 => i128::from(it.get_i64(0) as u64),
        _ => i128::from(it.get_i64(0)),
    };
    let [start, limit, delta] = operands.map(wide);
    if delta == 0 || dtype == DType::Bool {
        return Err(EvalError::invalid("the range has no step"));
    }
    let distance = (limit - start) * delta.signum();
    let n = (distance.max(0) + delta.abs() - 1) / delta.abs();
    let n = count(&[usize::try_from(n).map_err(|_| EvalError::too_large())?])?;
    let values: Vec<i64> = (0..n).map(|i| scalar::wrap((start + i as i128 * delta) as i64, dtype)).collect();
    from_ints(dtype, &[n], &values)
}

fn full(cx: &OpCx<'_>) -> EvalResult<TensorData> {
    let dims: Vec<usize> = cx.list(0)?.iter().map(|it| size_from(*it)).collect::<EvalResult<_>>()?;
    let value = cx.single(1)?;
    let n = count(&dims)?;
    from_bytes(value.dtype(), &dims, value.unpacked().repeat(n))
}

/// As its authors write it (`mt19937ar.c`): states are made 624 at a time, and tempered where they are given out.
fn mersenne_twister(cx: &OpCx<'_>) -> EvalResult<TensorData> {
    const N: usize = 624;
    const M: usize = 397;
    let n = count(&[size_from(cx.single(0)?.get_i64(0))?])?;
    let mut state = [0u32; N];
    state[0] = cx.attrs.int("seed").unwrap_or(0) as u32;
    for i in 1..N {
        let before = state[i - 1];
        state[i] = 1_812_433_253u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(i as u32);
    }
    let mut bytes = Vec::with_capacity(4 * n);
    for at in 0..n {
        if at % N == 0 {
            for i in 0..N {
                let joined = (state[i] & 0x8000_0000) | (state[(i + 1) % N] & 0x7fff_ffff);
                let factor = if joined % 2 == 1 { 0x9908_b0df } else { 0 };
                state[i] = state[(i + M) % N] ^ (joined >> 1) ^ factor;
            }
        }
        let mut number = state[at % N];
        number ^= number >> 11;
        number ^= (number << 7) & 0x9d2c_5680;
        number ^= (number << 15) & 0xefc6_0000;
        number ^= number >> 18;
        bytes.extend(number.to_le_bytes());
    }
    from_bytes(DType::U32, &[n], bytes)
}

/// Keeps one triangle of the last two dimensions, 0 elsewhere; `k` shifts the diagonal to the right.
fn trilu(cx: &OpCx<'_>) -> EvalResult<TensorData> {
    let x = cx.arg(0)?;
    let dims = dims_of(x);
    let Some([rows, columns]) = dims.last_chunk().copied() else {
        return Err(EvalError::invalid("a triangle needs two dimensions"));
    };
    let k = if cx.args.len() > 1 { cx.single(1)?.get_i64(0) } else { 0 };
    let upper = cx.flag("upper");
    let positions = (0..x.len()).map(|at| {
        let (row, column) = (at / columns % rows, at % columns);
        let distance = column as i64 - row as i64;
        (if upper { distance >= k } else { distance <= k }).then_some(at)
    });
    pick(x, &dims, positions, &vec![0; x.dtype().size()])
}

#[cfg(test)]
mod tests {
    use super::super::testing::{eval, f32s, i64s, iota, none, run};
    use orogen_ir::types::{DType, TensorData};

    #[test]
    fn the_twister_is_the_one_of_its_authors() {
        let numbers =
            |seed: i64, n| run("mersenne_twister", none().with("seed", seed), &[i64s(&[1], &[n])]).1;
        // As `std::mt19937` of C++ says: its number 10000 from its default seed.
        assert_eq!(numbers(5489, 10_000)[9999], 4_123_659_995.0);
        // The first of numpy's legacy generator.
        assert_eq!(numbers(0, 3), [2_357_136_044.0, 2_546_248_239.0, 3_071_714_933.0]);
        assert_eq!(numbers(0, 0), [0.0; 0]);
    }

    #[test]
    fn one_hot_on_either_side() {
        let args = [i64s(&[2], &[-1, 5]), i64s(&[1], &[3]), f32s(&[2], &[0.5, 1.0])];
        let last = run("one_hot", none().with("axis", 1), &args);
        assert_eq!(last, (vec![2, 3], vec![0.5, 0.5, 1.0, 0.5, 0.5, 0.5]));
        let first = run("one_hot", none().with("axis", 0), &args);
        assert_eq!(first, (vec![3, 2], vec![0.5, 0.5, 0.5, 0.5, 1.0, 0.5]));
        assert!(eval("one_hot", none().with("axis", 2), &args).is_err());
    }

    #[test]
    fn ranges() {
        let ints = |a: i64, b: i64, c: i64| [i64s(&[], &[a]), i64s(&[], &[b]), i64s(&[], &[c])];
        assert_eq!(run("range", none(), &ints(1, 8, 3)).1, [1.0, 4.0, 7.0]);
        assert_eq!(run("range", none(), &ints(3, -1, -2)).1, [3.0, 1.0]);
        assert_eq!(run("range", none(), &ints(3, 3, 1)).0, [0]);
        assert!(eval("range", none(), &ints(0, 3, 0)).is_err());
        assert!(eval("range", none(), &ints(i64::MIN, i64::MAX, 1)).is_err());
        let f = |v: f32| f32s(&[], &[v]);
        assert_eq!(run("range", none(), &[f(0.0), f(1.0), f(0.25)]).1, [0.0, 0.25, 0.5, 0.75]);
        assert!(eval("range", none(), &[f(0.0), f(1.0), f(0.0)]).is_err());
    }

    #[test]
    fn fills_and_triangles() {
        let value = TensorData::from_slice(DType::I16, &[1], &[7_i16]);
        assert_eq!(
            run("full", none(), &[TensorData::ints(&[2, 1]), value.clone()]),
            (vec![2, 1], vec![7.0; 2])
        );
        assert_eq!(run("full", none(), &[TensorData::ints(&[]), value.clone()]).0, [0_u64; 0]);
        assert!(eval("full", none(), &[TensorData::ints(&[-1]), value]).is_err());
        let x = f32s(&[2, 3], &[1.0; 6]);
        let x = std::slice::from_ref(&x);
        assert_eq!(run("trilu", none().with("upper", true), x).1, [1.0, 1.0, 1.0, 0.0, 1.0, 1.0]);
        assert_eq!(run("trilu", none().with("upper", false), x).1, [1.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
        let shifted = [iota(&[1, 2, 2]), i64s(&[], &[-1])];
        assert_eq!(run("trilu", none(), &shifted).1, [0.0, 0.0, 2.0, 0.0]);
        assert_eq!(run("trilu", none(), &[f32s(&[2, 0], &[])]).0, [2, 0]);
    }
}
