//! Pooling over any number of spatial dimensions.

use super::conv::Window;
use super::tensor::{Elements, count, dims_of, elements, from_elements, size_from, strides};
use super::{FamilyResult, OpCx};
use crate::error::{EvalError, EvalResult};
use crate::scalar;
use orogen_ir::loops::{BinaryOp, Combine};
use orogen_ir::types::{DType, TensorData};

pub(super) fn eval(cx: &OpCx<'_>) -> FamilyResult {
    match cx.name {
        "max_pool" => Some(pool(cx, false)),
        "avg_pool" => Some(pool(cx, true)),
        _ => None,
    }
}

/// One dimension of one window.
#[derive(Clone, Debug)]
struct Span {
    /// Positions of the input that it covers.
    inside: Vec<usize>,
    /// How many positions of the padded input it covers.
    padded: usize,
}

fn pool(cx: &OpCx<'_>, average: bool) -> EvalResult<Vec<TensorData>> {
    let x = cx.arg(0)?;
    let (dims, dtype) = (dims_of(x), x.dtype());
    let n = dims.len().checked_sub(2).filter(|it| *it > 0);
    let n = n.ok_or_else(|| EvalError::invalid("a pool needs a spatial dimension"))?;
    if dtype == DType::Bool || (average && !dtype.is_float()) {
        return Err(EvalError::invalid(format!("`{}` has no meaning on {dtype}", cx.name)));
    }
    let kernel = cx.ints("kernel", n, 1)?;
    let kernel: Vec<usize> = kernel.iter().map(|it| size_from(*it)).collect::<EvalResult<_>>()?;
    let window = Window::read(cx, n)?;
    let mut spans = Vec::new();
    for i in 0..n {
        spans.push(spans_of(cx, &window, i, dims[2 + i], kernel[i])?);
    }
    let shape: Vec<usize> = dims[..2].iter().copied().chain(spans.iter().map(Vec::len)).collect();
    let channels = dims[0] * dims[1];
    let (len, steps) = (count(&dims[2..])?, strides(&dims[2..]));
    let mut result = match elements(x) {
        Elements::Float(_) => Elements::Float(Vec::with_capacity(count(&shape)?)),
        Elements::Int(_) => Elements::Int(Vec::with_capacity(count(&shape)?)),
    };
    // All windows, as positions within a channel and the number of padded positions.
    let mut windows = vec![(vec![0], 1)];
    for (spans, step) in spans.iter().zip(&steps) {
        let next = windows.iter().flat_map(|(at, padded)| {
            spans.iter().map(move |span| {
                let cells = at.iter().flat_map(|base| span.inside.iter().map(move |it| base + it * step));
                (cells.collect::<Vec<usize>>(), padded * span.padded)
            })
        });
        windows = next.collect();
    }
    let include_pad = cx.flag("count_include_pad");
    let values = elements(x);
    for channel in 0..channels {
        for (cells, padded) in &windows {
            let at = |cell: &usize| channel * len + cell;
            match (&values, &mut result) {
                (Elements::Float(x), Elements::Float(y)) if average => {
                    let sum: f64 = cells.iter().map(|it| x[at(it)]).sum();
                    y.push(sum / if include_pad { *padded } else { cells.len() } as f64);
                }
                (Elements::Float(x), Elements::Float(y)) => {
                    let start = scalar::identity_float(Combine::Max);
                    let max = |best, it: &usize| BinaryOp::Max.row().meaning.float(best, x[at(it)]);
                    y.push(cells.iter().fold(start, max));
                }
                (Elements::Int(x), Elements::Int(y)) => {
                    let start = scalar::identity_int(Combine::Max, dtype);
                    let max = |best, it: &usize| scalar::binary_int(BinaryOp::Max, best, x[at(it)], dtype);
                    y.push(cells.iter().fold(start, max));
                }
                _ => return Err(EvalError::invalid("elements of one tensor have one kind")),
            }
        }
    }
    Ok(vec![from_elements(dtype, &shape, &result)?])
}

/// All windows along dimension `i` of `x` elements.
fn spans_of(cx: &OpCx<'_>, window: &Window, i: usize, x: usize, k: usize) -> EvalResult<Vec<Span>> {
    let (stride, begin, dilation) = (window.strides[i], window.begins[i], window.dilations[i]);
    let free = window.free(i, x, k);
    let ceil_div = |a: i64, b: i64| -(-a).div_euclid(b);
    let size = match cx.flag("ceil_mode") {
        // A window must start inside the input or its leading padding.
        true => (ceil_div(free, stride) + 1).min(ceil_div(x as i64 + begin, stride)),
        false => free.div_euclid(stride) + 1,
    };
    let spans = (0..size_from(size)? as i64).map(|o| {
        let taps = (0..k as i64).map(|j| o * stride + j * dilation - begin);
        let limit = x as i64 + window.ends[i];
        Span {
            inside: taps.clone().filter(|it| (0..x as i64).contains(it)).map(|it| it as usize).collect(),
            padded: taps.filter(|it| (-begin..limit).contains(it)).count(),
        }
    });
    Ok(spans.collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{eval, f32s, iota, none, run};
    use orogen_ir::types::{DType, TensorData};

    #[test]
    fn maximum_and_average() {
        let x = iota(&[1, 1, 3, 4]);
        let attrs = none().with("kernel", vec![2, 2]).with("strides", vec![1, 2]);
        let x = std::slice::from_ref(&x);
        assert_eq!(run("max_pool", attrs.clone(), x), (vec![1, 1, 2, 2], vec![5.0, 7.0, 9.0, 11.0]));
        assert_eq!(run("avg_pool", attrs, x).1, [2.5, 4.5, 6.5, 8.5]);
    }

    #[test]
    fn padding_counts_only_when_asked() {
        let x = f32s(&[1, 1, 3], &[3.0, 5.0, 7.0]);
        let attrs = none().with("kernel", vec![2]).with("pads", vec![1, 1]);
        let x = std::slice::from_ref(&x);
        assert_eq!(run("avg_pool", attrs.clone(), x).1, [3.0, 4.0, 6.0, 7.0]);
        assert_eq!(run("avg_pool", attrs.clone().with("count_include_pad", true), x).1, [1.5, 4.0, 6.0, 3.5]);
        assert_eq!(run("max_pool", attrs, x).1, [3.0, 5.0, 7.0, 7.0]);
    }

    #[test]
    fn ceil_mode_adds_partial_windows_that_start_inside() {
        let x = f32s(&[1, 1, 4], &[1.0, 2.0, 3.0, 4.0]);
        let attrs = none().with("kernel", vec![3]).with("strides", vec![2]).with("ceil_mode", true);
        let x = std::slice::from_ref(&x);
        assert_eq!(run("max_pool", attrs.clone(), x).1, [3.0, 4.0]);
        assert_eq!(run("avg_pool", attrs.clone().with("count_include_pad", true), x).1, [2.0, 3.5]);
        // The third window would start in the trailing padding.
        let attrs = none().with("kernel", vec![1]).with("strides", vec![2]).with("ceil_mode", true);
        assert_eq!(run("max_pool", attrs.with("pads", vec![0, 1]), x).1, [1.0, 3.0]);
    }

    #[test]
    fn dilation_integers_and_nan() {
        let x = TensorData::from_slice(DType::I8, &[1, 1, 4], &[-5_i8, -9, -7, -2]);
        let attrs = none().with("kernel", vec![2]).with("dilations", vec![2]);
        assert_eq!(run("max_pool", attrs, std::slice::from_ref(&x)).1, [-5.0, -2.0]);
        assert!(eval("avg_pool", none().with("kernel", vec![2]), &[x]).is_err());
        let x = f32s(&[1, 1, 2], &[f32::NAN, 1.0]);
        assert!(run("max_pool", none().with("kernel", vec![2]), &[x]).1[0].is_nan());
        assert!(eval("max_pool", none().with("kernel", vec![4]), &[iota(&[1, 1, 2])]).is_err());
    }
}
