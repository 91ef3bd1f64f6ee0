//! Quantised values: a number is `(integer − zero point) · scale`.

use super::tensor::{along, broadcast, broadcast_positions, dims_of, floats, from_floats, from_ints, ints};
use super::{FamilyResult, OpCx, conv, linalg};
use crate::error::{EvalError, EvalResult};
use crate::scalar;
use orogen_ir::types::{DType, TensorData};

pub(super) fn eval(cx: &OpCx<'_>) -> FamilyResult {
    match cx.name {
        "quantize" => Some(quantize(cx)),
        "dequantize" => Some(dequantize(cx)),
        "dequantize_blocks" => Some(dequantize_blocks(cx)),
        "matmul_blocks" => Some(product_of_blocks(cx)),
        "matmul_integer" => Some(on_centred(cx, cx.attrs.dtype("to").unwrap_or(DType::I32), linalg::matmul)),
        "conv_integer" => Some(on_centred(cx, DType::I32, |cx| conv::convolve(cx, false))),
        "matmul_mixed" => Some(on_converted(cx, linalg::matmul)),
        "conv_mixed" => Some(on_converted(cx, |cx| conv::convolve(cx, false))),
        _ => None,
    }
}

/// Dimensions of the broadcast operands, and where each is read for every element.
fn places(cx: &OpCx<'_>) -> EvalResult<(Vec<usize>, Vec<Vec<usize>>)> {
    let shapes: Vec<Vec<usize>> = cx.args.iter().map(dims_of).collect();
    let dims = broadcast(&shapes.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
    let places = shapes.iter().map(|it| broadcast_positions(it, &dims)).collect();
    Ok((dims, places))
}

fn quantize(cx: &OpCx<'_>) -> EvalResult<Vec<TensorData>> {
    let (x, scale) = (cx.float_arg(0)?, cx.float_arg(1)?);
    let (dtype, to) = (cx.same_dtype(0..2)?.compute(), cx.attrs.dtype("to").unwrap_or(DType::U8));
    let zero = cx.args.get(2).map(ints);
    if cx.args.get(2).is_some_and(|it| it.dtype() != to) {
        return Err(EvalError::invalid("the zero point has another type than the result"));
    }
    let (x, scale) = (floats(x), floats(scale));
    let (dims, at) = places(cx)?;
    let values = (0..at[0].len()).map(|i| {
        let quotient = scalar::round_float(x[at[0][i]] / scale[at[1][i]], dtype);
        let zero = zero.as_ref().map_or(0, |it| it[at[2][i]]);
        let shifted = scalar::round_float(quotient.round_ties_even() + zero as f64, dtype);
        scalar::float_to_int(shifted, to)
    });
    Ok(vec![from_ints(to, &dims, &values.collect::<Vec<i64>>())?])
}

/// Operand `i`, scaled by operand `scale` in blocks along an axis, as numbers of a type.
fn in_blocks(cx: &OpCx<'_>, axis: usize, [i, scale]: [usize; 2], to: DType) -> EvalResult<TensorData> {
    let (x, scales) = (cx.arg(i)?, cx.float_arg(scale)?);
    let dims = dims_of(x);
    let block = cx.attrs.int("block").and_then(|it| usize::try_from(it).ok()).filter(|it| *it > 0);
    let block = block.ok_or_else(|| EvalError::invalid("attribute `block` is not positive"))?;
    let mut own = dims.clone();
    own[axis] = own[axis].div_ceil(block);
    let zeros = cx.args.get(scale + 1);
    if [Some(scales), zeros].into_iter().flatten().any(|it| dims_of(it) != own) {
        return Err(EvalError::invalid("scales or zero points are not one for each block"));
    }
    let (dtype, split) = (to.compute(), along(&dims, axis));
    let values = (0..x.len()).map(|at| {
        let (outer, n, inner) = (at / (split.n * split.inner), at / split.inner % split.n, at % split.inner);
        let from = (outer * own[axis] + n / block) * split.inner + inner;
        let zero = zeros.map_or(0.0, |it| it.get_f64(from));
        let difference = scalar::round_float(x.get_f64(at) - zero, dtype);
        scalar::round_float(difference * scales.get_f64(from), dtype)
    });
    from_floats(to, &dims, &values.collect::<Vec<f64>>())
}

fn dequantize_blocks(cx: &OpCx<'_>) -> EvalResult<Vec<TensorData>> {
    let axis = cx.axis("axis", cx.arg(0)?.dims().len())?;
    Ok(vec![in_blocks(cx, axis, [0, 1], cx.float_arg(1)?.dtype())?])
}

/// A product of floats with what is scaled in blocks, in f32.
fn product_of_blocks(cx: &OpCx<'_>) -> EvalResult<Vec<TensorData>> {
    let depth = cx.arg(1)?.dims().len().checked_sub(2);
    let depth = depth.ok_or_else(|| EvalError::invalid("operand 1 is no matrix"))?;
    let as_f32 = |it: &TensorData| from_floats(DType::F32, &dims_of(it), &it.to_f64());
    let args = [as_f32(cx.arg(0)?)?, as_f32(&in_blocks(cx, depth, [1, 2], DType::F32)?)?];
    linalg::matmul(&OpCx { args: &args, ..*cx })
}

fn dequantize(cx: &OpCx<'_>) -> EvalResult<Vec<TensorData>> {
    let scale = cx.float_arg(1)?;
    let to = scale.dtype();
    let dtype = to.compute();
    if cx.arg(0)?.dtype().is_float() {
        let (x, scale) = (floats(cx.arg(0)?), floats(scale));
        let (dims, at) = places(cx)?;
        let value =
            |i: usize| scalar::round_float(scalar::round_float(x[at[0][i]], dtype) * scale[at[1][i]], dtype);
        return Ok(vec![from_floats(to, &dims, &(0..at[0].len()).map(value).collect::<Vec<f64>>())?]);
    }
    let x = ints(cx.int_arg(0)?);
    let zero = cx.args.get(2).map(ints);
    if cx.args.get(2).is_some_and(|it| it.dtype() != cx.args[0].dtype()) {
        return Err(EvalError::invalid("the zero point has another type than the integers"));
    }
    let scale = floats(scale);
    let (dims, at) = places(cx)?;
    let values = (0..at[0].len()).map(|i| {
        let zero = zero.as_ref().map_or(0, |it| it[at[2][i]]);
        let difference = scalar::wrap(x[at[0][i]].wrapping_sub(zero), DType::I32);
        scalar::round_float(scalar::int_to_float(difference, DType::I32, dtype) * scale[at[1][i]], dtype)
    });
    Ok(vec![from_floats(to, &dims, &values.collect::<Vec<f64>>())?])
}

/// Evaluates an operator on the differences of two operands and their zero points, as numbers of a type.
fn on_centred(
    cx: &OpCx<'_>,
    to: DType,
    eval: impl Fn(&OpCx<'_>) -> EvalResult<Vec<TensorData>>,
) -> EvalResult<Vec<TensorData>> {
    let differences = [centred(cx, 0, 2)?, centred(cx, 1, 3)?];
    let args = match to {
        DType::I32 => differences,
        _ => {
            let [a, b] = differences.map(|it| from_floats(to, &dims_of(&it), &it.to_f64()));
            [a?, b?]
        }
    };
    eval(&OpCx { args: &args, ..*cx })
}

/// Evaluates an operator on two operands as f32, of which one may be integers less their zero points.
fn on_converted(
    cx: &OpCx<'_>,
    eval: impl Fn(&OpCx<'_>) -> EvalResult<Vec<TensorData>>,
) -> EvalResult<Vec<TensorData>> {
    let converted = |i: usize| -> EvalResult<TensorData> {
        let x = cx.arg(i)?;
        let values: Vec<f64> = match x.dtype().is_float() {
            true => floats(x),
            false => ints(&centred(cx, i, 2)?).into_iter().map(|it| it as f64).collect(),
        };
        from_floats(DType::F32, &dims_of(x), &values)
    };
    let args = [converted(0)?, converted(1)?];
    eval(&OpCx { args: &args, ..*cx })
}

/// Operand `i` less its zero points, which are operand `zero`, when it is there.
fn centred(cx: &OpCx<'_>, i: usize, zero: usize) -> EvalResult<TensorData> {
    let x = cx.arg(i)?;
    let dims = dims_of(x);
    let mut values = ints(x);
    if let Some(point) = cx.args.get(zero) {
        let own = dims_of(point);
        if point.dtype() != x.dtype() || own.len() > dims.len() || broadcast(&[&own, &dims])? != dims {
            return Err(EvalError::invalid(format!("operand {zero} is no zero point of operand {i}")));
        }
        let zero = ints(point);
        for (value, at) in values.iter_mut().zip(broadcast_positions(&own, &dims)) {
            *value -= zero[at];
        }
    }
    from_ints(DType::I32, &dims, &values)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{eval, f32s, none, run};
    use orogen_ir::types::{DType, TensorData};

    fn u8s(dims: &[u64], values: &[u8]) -> TensorData {
        TensorData::new(DType::U8, dims.into(), values.to_vec().into()).unwrap()
    }

    #[test]
    fn numbers_are_rounded_to_even_and_saturated() {
        let x = f32s(&[6], &[1.0, 3.0, -1.0, 1000.0, -1000.0, f32::NAN]);
        let attrs = none().with("to", DType::U8);
        let y = run("quantize", attrs, &[x.clone(), f32s(&[], &[2.0]), u8s(&[], &[3])]);
        assert_eq!(y.1, [3.0, 5.0, 3.0, 255.0, 0.0, 0.0]);
        let y = run("quantize", none().with("to", DType::I8), &[x, f32s(&[1], &[2.0])]);
        assert_eq!(y.1, [0.0, 2.0, 0.0, 127.0, -128.0, 0.0]);
    }

    #[test]
    fn integers_are_scaled_by_their_distance_from_the_zero_point() {
        let (x, zero) = (u8s(&[2, 2], &[0, 255, 7, 9]), u8s(&[2, 1], &[255, 8]));
        assert_eq!(
            run("dequantize", none(), &[x, f32s(&[1, 2], &[1.0, 0.5]), zero]).1,
            [-255.0, 0.0, -1.0, 0.5]
        );
    }

    #[test]
    fn products_are_of_what_is_left_of_the_zero_points() {
        let (a, b) = (u8s(&[2, 2], &[255, 0, 1, 2]), u8s(&[2, 2], &[1, 2, 3, 4]));
        let y = run("matmul_integer", none(), &[a.clone(), b.clone()]);
        assert_eq!(y.1, [255.0, 510.0, 7.0, 10.0]);
        let (rows, columns) = (u8s(&[2, 1], &[255, 1]), u8s(&[2], &[1, 3]));
        let y = run("matmul_integer", none(), &[a.clone(), b, rows, columns]);
        assert_eq!(y.1, [-510.0, -255.0, 2.0, 1.0]);
        assert!(eval("matmul_integer", none(), &[a.clone(), a.clone(), u8s(&[3], &[0; 3])]).is_err());
    }

    #[test]
    fn sums_in_floats_do_not_wrap() {
        let n = 40_000;
        let (row, column) = (u8s(&[1, n], &vec![255; n as usize]), u8s(&[n, 1], &vec![255; n as usize]));
        let args = [row, column];
        let y = run("matmul_integer", none(), &args);
        assert_eq!(y.1, [f64::from((n as u32).wrapping_mul(255 * 255) as i32)]);
        let y = run("matmul_integer", none().with("to", DType::F32), &args);
        assert_eq!(y.1, [f64::from((n * 255 * 255) as f32)]);
    }

    #[test]
    fn mixed_products_are_of_numbers() {
        let (a, b) = (f32s(&[1, 2], &[0.5, -2.0]), u8s(&[2, 2], &[1, 2, 3, 255]));
        assert_eq!(run("matmul_mixed", none(), &[a.clone(), b.clone()]).1, [-5.5, -509.0]);
        let zero = u8s(&[2], &[3, 0]);
        assert_eq!(run("matmul_mixed", none(), &[a.clone(), b.clone(), zero]).1, [-1.0, -509.0]);
        assert_eq!(
            run("matmul_mixed", none(), &[b, f32s(&[2], &[1.0, 0.5]), u8s(&[], &[1])]).1,
            [0.5, 129.0]
        );
        let (x, w) = (f32s(&[1, 1, 2], &[0.5, 1.0]), u8s(&[1, 1, 3], &[4, 5, 6]));
        let y = run("conv_mixed", none().with("pads", vec![1, 1]), &[x, w, u8s(&[1], &[5])]);
        assert_eq!(y.1, [1.0, -0.5]);
    }

    #[test]
    fn padding_of_a_convolution_is_the_zero_point() {
        let (x, w) = (u8s(&[1, 1, 2], &[5, 6]), u8s(&[1, 1, 3], &[1, 1, 1]));
        let y = run("conv_integer", none().with("pads", vec![1, 1]), &[x, w, u8s(&[], &[5])]);
        assert_eq!(y.1, [1.0, 1.0]);
    }
}
