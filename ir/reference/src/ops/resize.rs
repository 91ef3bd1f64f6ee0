//! Resampling. Interpolation is separable: each axis is resampled on its own.

use super::tensor::{
    AlongAxis, along, combined_positions, count, dims_of, floats, from_floats, pick, size_from, strides,
};
use super::{FamilyResult, OpCx};
use crate::error::{EvalError, EvalResult};
use orogen_ir::types::TensorData;

pub(super) fn eval(cx: &OpCx<'_>) -> FamilyResult {
    match cx.name {
        "resize" => Some(resize(cx)),
        _ => None,
    }
}

/// How one axis is resampled.
struct Axis<'a> {
    input: usize,
    output: usize,
    /// The model's scale; without it, output / input.
    scale: Option<f64>,
    coordinates: &'a str,
}

impl Axis<'_> {
    /// Where output position `o` lies on the input's axis.
    fn coordinate(&self, o: usize) -> EvalResult<f64> {
        let (o, input, output) = (o as f64, self.input as f64, self.output as f64);
        // Sizes give a fraction: one rounding, and none where the position is a whole number.
        let scaled_back = |position: f64| match self.scale {
            Some(scale) => position / scale,
            None => position * input / output,
        };
        let half_pixel = scaled_back(o + 0.5) - 0.5;
        Ok(match self.coordinates {
            "half_pixel" => half_pixel,
            "pytorch_half_pixel" if self.output > 1 => half_pixel,
            "pytorch_half_pixel" => 0.0,
            "asymmetric" => scaled_back(o),
            "align_corners" if self.output > 1 => o * (input - 1.0) / (output - 1.0),
            "align_corners" => 0.0,
            "half_pixel_symmetric" => {
                let adjustment = self.scale.map_or(1.0, |scale| output / (scale * input));
                input / 2.0 * (1.0 - adjustment) + half_pixel
            }
            other => return Err(EvalError::invalid(format!("unknown coordinates `{other}`"))),
        })
    }

    fn clamp(&self, position: f64) -> usize {
        position.max(0.0).min(self.input as f64 - 1.0) as usize
    }
}

fn resize(cx: &OpCx<'_>) -> EvalResult<Vec<TensorData>> {
    let x = cx.arg(0)?;
    let dims = dims_of(x);
    let sizes = cx.list(1)?;
    let sizes: Vec<usize> = sizes.iter().map(|it| size_from(*it)).collect::<EvalResult<_>>()?;
    let scales = cx.attrs.floats("scales");
    if sizes.len() != dims.len() || scales.is_some_and(|it| it.len() != dims.len()) {
        return Err(EvalError::invalid("sizes and scales have one entry an axis"));
    }
    count(&sizes)?;
    if dims.iter().zip(&sizes).any(|(input, output)| *input == 0 && *output > 0) {
        return Err(EvalError::out_of_range("an empty axis cannot grow"));
    }
    let coordinates = cx.text("coordinates", "half_pixel");
    let axis =
        |i: usize| Axis { input: dims[i], output: sizes[i], scale: scales.map(|it| it[i]), coordinates };
    match cx.text("mode", "nearest") {
        "nearest" => {
            let steps = strides(&dims);
            let mut lists = Vec::new();
            for i in 0..dims.len() {
                let axis = axis(i);
                let list = (0..sizes[i]).map(|o| Ok(Some(nearest(cx, &axis, o)? * steps[i])));
                lists.push(list.collect::<EvalResult<Vec<_>>>()?);
            }
            Ok(vec![pick(x, &sizes, combined_positions(&lists), &[])?])
        }
        mode @ ("linear" | "cubic") => {
            let mut values = floats(cx.float_arg(0)?);
            let mut shape = dims.clone();
            for i in 0..dims.len() {
                let axis = axis(i);
                let weights = (0..sizes[i]).map(|o| weights(cx, &axis, o, mode == "cubic"));
                values = resample(&values, along(&shape, i), &weights.collect::<EvalResult<Vec<_>>>()?);
                shape[i] = sizes[i];
            }
            Ok(vec![from_floats(x.dtype(), &sizes, &values)?])
        }
        other => Err(EvalError::invalid(format!("unknown mode `{other}`"))),
    }
}

fn nearest(cx: &OpCx<'_>, axis: &Axis<'_>, o: usize) -> EvalResult<usize> {
    let at = axis.coordinate(o)?;
    let rounded = match cx.text("nearest", "round_prefer_floor") {
        "round_prefer_floor" => (at - 0.5).ceil(),
        "round_prefer_ceil" => (at + 0.5).floor(),
        "floor" => at.floor(),
        "ceil" => at.ceil(),
        other => return Err(EvalError::invalid(format!("unknown rounding `{other}`"))),
    };
    Ok(axis.clamp(rounded))
}

/// Input positions and their weights for output position `o`.
fn weights(cx: &OpCx<'_>, axis: &Axis<'_>, o: usize, cubic: bool) -> EvalResult<Vec<(usize, f64)>> {
    let at = axis.coordinate(o)?;
    let (floor, t) = (at.floor(), at - at.floor());
    let mut taps: Vec<(f64, f64)> = if cubic {
        let a = cx.attrs.float("cubic_a").unwrap_or(-0.75);
        // Keys' kernel: near |s| ≤ 1, far 1 < |s| < 2.
        let near = |s: f64| ((a + 2.0) * s - (a + 3.0)) * s * s + 1.0;
        let far = |s: f64| ((a * s - 5.0 * a) * s + 8.0 * a) * s - 4.0 * a;
        vec![
            (floor - 1.0, far(1.0 + t)),
            (floor, near(t)),
            (floor + 1.0, near(1.0 - t)),
            (floor + 2.0, far(2.0 - t)),
        ]
    } else {
        vec![(floor, 1.0 - t), (floor + 1.0, t)]
    };
    if cx.flag("exclude_outside") {
        let inside = 0.0..axis.input as f64;
        taps.iter_mut().filter(|it| !inside.contains(&it.0)).for_each(|it| it.1 = 0.0);
        let total: f64 = taps.iter().map(|it| it.1).sum();
        taps.iter_mut().for_each(|it| it.1 /= total);
    }
    // A weight of 0 contributes nothing, not even NaN.
    let used = taps.into_iter().filter(|it| it.1 != 0.0);
    Ok(used.map(|(position, weight)| (axis.clamp(position), weight)).collect())
}

fn resample(x: &[f64], split: AlongAxis, weights: &[Vec<(usize, f64)>]) -> Vec<f64> {
    let AlongAxis { outer, n, inner } = split;
    let mut y = Vec::with_capacity(outer * weights.len() * inner);
    for block in 0..outer {
        for taps in weights {
            for column in 0..inner {
                y.push(taps.iter().map(|(k, weight)| weight * x[(block * n + k) * inner + column]).sum());
            }
        }
    }
    y
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, eval, f32s, i64s, none, run};
    use orogen_ir::types::{Attrs, TensorData};

    fn line(attrs: Attrs, values: &[f32], size: i64) -> Vec<f64> {
        let x = f32s(&[values.len() as u64], values);
        run("resize", attrs, &[x, i64s(&[1], &[size])]).1
    }

    #[test]
    fn nearest_modes() {
        let with = |c: &str, n: &str| none().with("coordinates", c).with("nearest", n);
        let x = [1.0, 2.0, 3.0];
        assert_eq!(line(with("asymmetric", "floor"), &x, 6), [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]);
        assert_eq!(line(with("half_pixel", "round_prefer_floor"), &x, 6), [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]);
        assert_eq!(line(with("asymmetric", "ceil"), &x, 6), [1.0, 2.0, 2.0, 3.0, 3.0, 3.0]);
        assert_eq!(line(with("align_corners", "round_prefer_ceil"), &x, 5), [1.0, 2.0, 2.0, 3.0, 3.0]);
        assert_eq!(line(with("align_corners", "round_prefer_floor"), &x, 5), [1.0, 1.0, 2.0, 2.0, 3.0]);
        assert_eq!(line(with("half_pixel", "floor"), &x, 1), [2.0]);
        // Position 10 of 14 is 10.5 · 10 / 14 − 0.5 = 7 of 10, no more.
        let ten: Vec<f32> = (0..10u8).map(f32::from).collect();
        assert_eq!(line(with("half_pixel", "ceil"), &ten, 14)[10], 7.0);
        assert!(line(none(), &x, 0).is_empty());
    }

    #[test]
    fn linear_modes() {
        let with = |c: &str| none().with("mode", "linear").with("coordinates", c);
        let x = [0.0, 4.0];
        assert_eq!(line(with("half_pixel"), &x, 4), [0.0, 1.0, 3.0, 4.0]);
        assert_eq!(line(with("asymmetric"), &x, 4), [0.0, 2.0, 4.0, 4.0]);
        assert_close(&line(with("align_corners"), &x, 5), &[0.0, 1.0, 2.0, 3.0, 4.0], 1e-12);
        assert_eq!(line(with("pytorch_half_pixel"), &x, 1), [0.0]);
        assert_eq!(line(with("half_pixel").with("scales", vec![2.5]), &x, 5)[2], 2.0);
        let grid = f32s(&[2, 2], &[0.0, 2.0, 4.0, 6.0]);
        let y = run("resize", with("half_pixel"), &[grid, i64s(&[2], &[2, 4])]);
        assert_eq!(y.1, [0.0, 0.5, 1.5, 2.0, 4.0, 4.5, 5.5, 6.0]);
    }

    #[test]
    fn cubic_reproduces_lines_inside_and_excludes_outside_on_demand() {
        let attrs = none().with("mode", "cubic").with("coordinates", "asymmetric");
        let x: Vec<f32> = (0..8).map(|it| it as f32).collect();
        let y = line(attrs.clone(), &x, 16);
        // Away from the borders a cubic kernel with any `a` keeps the mean of two neighbours.
        assert_close(&y[4..10], &[2.0, 2.5, 3.0, 3.5, 4.0, 4.5], 1e-6);
        let excluded = line(attrs.with("exclude_outside", true), &[7.0; 4], 8);
        assert_close(&excluded, &[7.0; 8], 1e-6);
    }

    #[test]
    fn wrong_operands_are_errors() {
        let x = f32s(&[1], &[1.0]);
        assert!(eval("resize", none(), &[x.clone(), i64s(&[1], &[-1])]).is_err());
        assert!(eval("resize", none(), &[x.clone(), i64s(&[2], &[1, 1])]).is_err());
        assert!(eval("resize", none(), &[f32s(&[0], &[]), i64s(&[1], &[1])]).is_err());
        assert!(eval("resize", none().with("mode", "magic"), &[x, TensorData::ints(&[1])]).is_err());
    }
}
