//! Normalisations.

use super::tensor::{AlongAxis, along, dims_of, floats, from_floats};
use super::{FamilyResult, OpCx};
use crate::error::{EvalError, EvalResult};
use orogen_ir::types::TensorData;

pub(super) fn eval(cx: &OpCx<'_>) -> FamilyResult {
    match cx.name {
        "batch_norm" => Some(batch_norm(cx)),
        "layer_norm" => Some(layer_norm(cx)),
        "softmax" => Some(softmax(cx, false)),
        "log_softmax" => Some(softmax(cx, true)),
        _ => None,
    }
}

fn epsilon(cx: &OpCx<'_>) -> f64 {
    cx.attrs.float("epsilon").unwrap_or(1e-5)
}

/// `(x − mean) / √(variance + ε) · scale + bias`, with one number of each for a channel (dimension 1).
fn batch_norm(cx: &OpCx<'_>) -> EvalResult<Vec<TensorData>> {
    let dtype = cx.same_dtype(0..5)?;
    let dims = dims_of(cx.float_arg(0)?);
    if dims.len() < 2 {
        return Err(EvalError::invalid("there is no channel dimension"));
    }
    let AlongAxis { outer, n, inner } = along(&dims, 1);
    let mut params = Vec::new();
    for i in 1..5 {
        if cx.ranked(i, 1)? != [n] {
            return Err(EvalError::invalid(format!("operand {i} does not have one number a channel")));
        }
        params.push(floats(cx.arg(i)?));
    }
    let mut x = floats(cx.arg(0)?);
    for block in 0..outer {
        let numbers = params[0].iter().zip(&params[1]).zip(params[2].iter().zip(&params[3]));
        for (channel, ((scale, bias), (mean, variance))) in numbers.enumerate() {
            let deviation = (variance + epsilon(cx)).sqrt();
            let start = (block * n + channel) * inner;
            for it in &mut x[start..start + inner] {
                *it = (*it - mean) / deviation * scale + bias;
            }
        }
    }
    Ok(vec![from_floats(dtype, &dims, &x)?])
}

/// `(x − mean) / √(variance + ε) · scale + bias`, over dimensions `axis…` together.
fn layer_norm(cx: &OpCx<'_>) -> EvalResult<Vec<TensorData>> {
    let dtype = cx.same_dtype(0..cx.args.len())?;
    let dims = dims_of(cx.float_arg(0)?);
    let axis = cx.axis("axis", dims.len())?;
    for i in 1..cx.args.len() {
        if dims_of(cx.arg(i)?) != dims[axis..] {
            return Err(EvalError::invalid(format!(
                "operand {i} has another shape than the normalised part"
            )));
        }
    }
    let (scale, bias) = (cx.args.get(1).map(floats), cx.args.get(2).map(floats));
    let size: usize = dims[axis..].iter().product();
    let mut x = floats(cx.arg(0)?);
    if size > 0 {
        for row in x.chunks_exact_mut(size) {
            let n = row.len() as f64;
            let mean = row.iter().sum::<f64>() / n;
            let variance = row.iter().map(|it| (it - mean) * (it - mean)).sum::<f64>() / n;
            let deviation = (variance + epsilon(cx)).sqrt();
            for (i, it) in row.iter_mut().enumerate() {
                let scale = scale.as_ref().map_or(1.0, |scale| scale[i]);
                *it = (*it - mean) / deviation * scale + bias.as_ref().map_or(0.0, |bias| bias[i]);
            }
        }
    }
    Ok(vec![from_floats(dtype, &dims, &x)?])
}

fn softmax(cx: &OpCx<'_>, log: bool) -> EvalResult<Vec<TensorData>> {
    let operand = cx.float_arg(0)?;
    let dims = dims_of(operand);
    let AlongAxis { outer, n, inner } = along(&dims, cx.axis("axis", dims.len())?);
    let mut x = floats(operand);
    for block in 0..outer {
        for column in 0..inner {
            let at = |k: usize| (block * n + k) * inner + column;
            let max = (0..n).map(|k| x[at(k)]).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = (0..n).map(|k| libm::exp(x[at(k)] - max)).sum();
            for k in 0..n {
                let shifted = x[at(k)] - max;
                x[at(k)] = if log { shifted - libm::log(sum) } else { libm::exp(shifted) / sum };
            }
        }
    }
    Ok(vec![from_floats(operand.dtype(), &dims, &x)?])
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, eval, f32s, none, run};

    #[test]
    fn batch_norm_by_hand() {
        let x = f32s(&[1, 2, 2], &[1.0, 3.0, 5.0, 7.0]);
        let p = |a: f32, b: f32| f32s(&[2], &[a, b]);
        let args = [x, p(2.0, 1.0), p(0.5, -1.0), p(1.0, 5.0), p(4.0, 1.0)];
        assert_eq!(run("batch_norm", none().with("epsilon", 0.0), &args).1, [0.5, 2.5, -1.0, 1.0]);
        assert!(eval("batch_norm", none(), &args[..4]).is_err());
    }

    #[test]
    fn layer_norm_by_hand() {
        let x = f32s(&[2, 2], &[1.0, 3.0, -2.0, 2.0]);
        let attrs = none().with("axis", 1).with("epsilon", 0.0);
        let (scale, bias) = (f32s(&[2], &[2.0, 1.0]), f32s(&[2], &[0.0, 10.0]));
        assert_eq!(run("layer_norm", attrs.clone(), &[x.clone(), scale.clone()]).1, [-2.0, 1.0, -2.0, 1.0]);
        assert_eq!(run("layer_norm", attrs.clone(), &[x.clone(), scale, bias]).1, [-2.0, 11.0, -2.0, 11.0]);
        assert_eq!(run("layer_norm", attrs, &[x]).1, [-1.0, 1.0, -1.0, 1.0]);
    }

    #[test]
    fn softmax_is_stable() {
        let x = f32s(&[2, 2], &[1000.0, 1000.0, 0.0, f32::NEG_INFINITY]);
        let x = std::slice::from_ref(&x);
        assert_eq!(run("softmax", none().with("axis", 1), x).1, [0.5, 0.5, 1.0, 0.0]);
        assert_close(&run("softmax", none().with("axis", 0), x).1, &[1.0, 1.0, 0.0, 0.0], 0.0);
        let half = f64::from(0.5_f32.ln());
        assert_close(
            &run("log_softmax", none().with("axis", 1), x).1,
            &[half, half, 0.0, f64::NEG_INFINITY],
            1e-7,
        );
        let dead = f32s(&[2], &[f32::NEG_INFINITY; 2]);
        assert!(run("softmax", none().with("axis", 0), &[dead]).1[0].is_nan());
        assert_eq!(run("softmax", none().with("axis", 1), &[f32s(&[2, 0], &[])]).0, [2, 0]);
    }
}
