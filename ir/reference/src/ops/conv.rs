//! Convolutions over any number of spatial dimensions.
//!
//! Padding of a convolution is zeros, which weights are multiplied by: where one that is no number or infinite meets
//! padding, the result is no number.

use super::tensor::{
    Elements, Number, add_scaled, count, dims_of, elements, from_elements, positions, strides,
};
use super::{FamilyResult, OpCx};
use crate::error::{EvalError, EvalResult};
use crate::scalar;
use orogen_ir::types::TensorData;

pub(super) fn eval(cx: &OpCx<'_>) -> FamilyResult {
    match cx.name {
        "conv" => Some(convolve(cx, false)),
        "conv_transpose" => Some(convolve(cx, true)),
        _ => None,
    }
}

/// The sliding-window attributes over `n` spatial dimensions.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) strides: Vec<i64>,
    pub(super) begins: Vec<i64>,
    pub(super) ends: Vec<i64>,
    pub(super) dilations: Vec<i64>,
}

impl Window {
    pub(super) fn read(cx: &OpCx<'_>, n: usize) -> EvalResult<Window> {
        let mut begins = cx.ints("pads", 2 * n, 0)?;
        let ends = begins.split_off(n);
        let (strides, dilations) = (cx.ints("strides", n, 1)?, cx.ints("dilations", n, 1)?);
        if strides.iter().chain(&dilations).any(|it| *it < 1) {
            return Err(EvalError::invalid("strides and dilations are at least 1"));
        }
        let bound = 1_i64 << 31;
        let all = strides.iter().chain(&dilations).chain(&begins).chain(&ends);
        if all.into_iter().any(|it| it.abs() > bound) {
            return Err(EvalError::invalid("a stride, dilation or padding is absurdly large"));
        }
        Ok(Window { strides, begins, ends, dilations })
    }

    /// How far a window of `k` taps can move over dimension `i` of `x` elements; negative when it does not fit.
    pub(super) fn free(&self, i: usize, x: usize, k: usize) -> i64 {
        x as i64 + self.begins[i] + self.ends[i] - self.dilations[i] * (k as i64 - 1) - 1
    }
}

/// The contribution of one kernel tap: point `j` of the coarse grid meets point `j · stride + offset` of the fine
/// grid. The coarse grid is the output of a convolution and the input of a transposed one.
struct Tap {
    /// Starts of the rows (runs along the last dimension) that meet: coarse, fine.
    rows: Vec<(usize, usize)>,
    /// Points of the last coarse dimension that meet the fine grid.
    first: usize,
    end: usize,
    /// Fine position within its row, in phase order, of coarse point `first`.
    start: usize,
}

/// Rows of a fine grid in phase order: of a row, first the elements 0, s, 2s, …, then 1, s + 1, …, so that the
/// elements one tap meets lie side by side. Rows are padded to a multiple of `s`.
#[derive(Clone, Copy)]
struct Phases {
    row: usize,
    stride: usize,
}

impl Phases {
    fn padded(self) -> usize {
        self.row.next_multiple_of(self.stride)
    }

    fn position(self, i: usize) -> usize {
        i % self.stride * (self.padded() / self.stride) + i / self.stride
    }

    fn apply<T: Number + Default>(self, x: Vec<T>) -> Vec<T> {
        if self.stride == 1 || self.row == 0 {
            return x;
        }
        let mut y = vec![T::default(); x.len() / self.row * self.padded()];
        for (x, y) in x.chunks_exact(self.row).zip(y.chunks_exact_mut(self.padded())) {
            x.iter().enumerate().for_each(|(i, it)| y[self.position(i)] = *it);
        }
        y
    }

    fn undo<T: Number>(self, y: Vec<T>) -> Vec<T> {
        if self.stride == 1 || self.row == 0 {
            return y;
        }
        let rows = y.chunks_exact(self.padded());
        rows.flat_map(|y| (0..self.row).map(|i| y[self.position(i)])).collect()
    }
}

fn taps(window: &Window, kernel: &[usize], coarse: &[usize], fine: &[usize], phases: Phases) -> Vec<Tap> {
    let n = kernel.len();
    // For each dimension and kernel position, the pairs (coarse, fine) that meet.
    let meeting = |i: usize, k: usize| -> Vec<(usize, usize)> {
        let offset = k as i64 * window.dilations[i] - window.begins[i];
        let pairs = (0..coarse[i]).filter_map(|j| {
            let at = usize::try_from(j as i64 * window.strides[i] + offset).ok()?;
            (at < fine[i]).then_some((j, at))
        });
        pairs.collect()
    };
    let mut padded = fine.to_vec();
    padded[n - 1] = phases.padded();
    let (steps_coarse, steps_fine) = (strides(coarse), strides(&padded));
    let mut all = Vec::new();
    let kernel_points = positions(kernel, &strides(kernel));
    for point in kernel_points {
        let mut rest = point;
        let mut index = vec![0; n];
        for i in (0..n).rev() {
            index[i] = rest % kernel[i];
            rest /= kernel[i];
        }
        let mut rows = vec![(0, 0)];
        for i in 0..n - 1 {
            let (pairs, step_coarse, step_fine) = (meeting(i, index[i]), steps_coarse[i], steps_fine[i]);
            let next = rows.iter().flat_map(|(c, f)| {
                pairs.iter().map(move |(j, at)| (c + j * step_coarse, f + at * step_fine))
            });
            rows = next.collect();
        }
        let last = meeting(n - 1, index[n - 1]);
        let (first, start) = last.first().copied().unwrap_or((0, 0));
        let end = last.last().map_or(first, |it| it.0 + 1);
        all.push(Tap { rows, first, end, start: phases.position(start) });
    }
    all
}

impl Tap {
    /// `coarse += weight · fine`.
    fn gather<T: Number>(&self, coarse: &mut [T], weight: T, fine: &[T]) {
        for (c, f) in &self.rows {
            add_scaled(&mut coarse[c + self.first..c + self.end], weight, &fine[f + self.start..]);
        }
    }

    /// `coarse += product` for the coarse points that meet padding: what a weight times zero is.
    fn pad<T: Number>(&self, coarse: &mut [T], product: T) {
        let mut meets = vec![false; coarse.len()];
        for (c, _) in &self.rows {
            meets[c + self.first..c + self.end].fill(true);
        }
        for (c, _) in coarse.iter_mut().zip(meets).filter(|it| !it.1) {
            *c = c.add(product);
        }
    }

    /// `fine += weight · coarse`.
    fn scatter<T: Number>(&self, fine: &mut [T], weight: T, coarse: &[T]) {
        for (c, f) in &self.rows {
            add_scaled(&mut fine[f + self.start..], weight, &coarse[c + self.first..c + self.end]);
        }
    }
}

/// Sizes of one convolution.
struct Layout {
    batch: usize,
    group: usize,
    /// Channels of one group: input and output.
    inputs: usize,
    outputs: usize,
    /// Elements of one channel: input and output.
    input_len: usize,
    output_len: usize,
    transposed: bool,
}

pub(super) fn convolve(cx: &OpCx<'_>, transposed: bool) -> EvalResult<Vec<TensorData>> {
    let dtype = cx.same_dtype(0..cx.args.len())?;
    let (x, w) = (cx.arg(0)?, cx.arg(1)?);
    let dims_x = dims_of(x);
    let rank = dims_x.len();
    if rank < 3 {
        return Err(EvalError::invalid("a convolution needs a spatial dimension"));
    }
    let (n, dims_w) = (rank - 2, cx.ranked(1, rank)?);
    let window = Window::read(cx, n)?;
    let extra = cx.ints("output_padding", n, 0)?;
    let group = cx.attrs.int("group").unwrap_or(1);
    let group = usize::try_from(group).ok().filter(|it| *it > 0);
    let group = group.ok_or_else(|| EvalError::invalid("attribute `group` is below 1"))?;
    let (spatial, kernel) = (&dims_x[2..], &dims_w[2..]);
    // Weights are [outputs · group, inputs, …] or, transposed, [inputs · group, outputs, …].
    if !dims_w[0].is_multiple_of(group) {
        return Err(EvalError::invalid(format!("{} channels do not divide into {group} groups", dims_w[0])));
    }
    let (per_group, other) = (dims_w[0] / group, dims_w[1]);
    let (inputs, outputs) = if transposed { (per_group, other) } else { (other, per_group) };
    if dims_x[1] != inputs * group {
        return Err(EvalError::invalid(format!(
            "{} channels meet weights for {}",
            dims_x[1],
            inputs * group
        )));
    }
    let mut result = vec![dims_x[0], outputs * group];
    for i in 0..n {
        let size = if transposed {
            let reach = window.dilations[i] * (kernel[i] as i64 - 1);
            let moved = window.strides[i] * (spatial[i] as i64 - 1);
            moved + reach + extra[i] + 1 - window.begins[i] - window.ends[i]
        } else {
            window.free(i, spatial[i], kernel[i]).div_euclid(window.strides[i]) + 1
        };
        result.push(super::tensor::size_from(size)?);
    }
    let (coarse, fine) = if transposed { (spatial, &result[2..]) } else { (&result[2..], spatial) };
    // Steps beyond the row have phases of one element each, as steps of a row have.
    let row = fine[n - 1];
    let phases = Phases { row, stride: (window.strides[n - 1] as usize).min(row.max(1)) };
    let mut padded = fine.to_vec();
    padded[n - 1] = phases.padded();
    let (coarse_len, fine_len) = (count(coarse)?, count(&padded)?);
    let (input_len, output_len) = if transposed { (coarse_len, fine_len) } else { (fine_len, coarse_len) };
    let layout = Layout { batch: dims_x[0], group, inputs, outputs, input_len, output_len, transposed };
    let taps = taps(&window, kernel, coarse, fine, phases);
    count(&result)?;
    let total = count(&[dims_x[0], outputs * group, output_len])?;
    let bias = if cx.args.len() > 2 { Some(cx.ranked(2, 1)?) } else { None };
    if bias.is_some_and(|it| it[0] != result[1]) {
        return Err(EvalError::invalid("the bias has another number of channels"));
    }
    let bias = cx.args.get(2).map(elements);
    let values = match (elements(x), elements(w)) {
        (Elements::Float(x), Elements::Float(w)) => {
            let x = if transposed { x } else { phases.apply(x) };
            let mut y = vec![0.0; total];
            channels(&layout, &taps, &x, &w, &mut y, |it| (!it.is_finite()).then_some(f64::NAN));
            if let Some(Elements::Float(bias)) = bias {
                add_bias(&layout, &bias, &mut y);
            }
            let y = if transposed { phases.undo(y) } else { y };
            Elements::Float(y)
        }
        (Elements::Int(x), Elements::Int(w)) => {
            let x = if transposed { x } else { phases.apply(x) };
            let mut y = vec![0; total];
            channels(&layout, &taps, &x, &w, &mut y, |_| None);
            if let Some(Elements::Int(bias)) = bias {
                add_bias(&layout, &bias, &mut y);
            }
            let mut y = if transposed { phases.undo(y) } else { y };
            y.iter_mut().for_each(|it| *it = scalar::wrap(*it, dtype));
            Elements::Int(y)
        }
        _ => return Err(EvalError::invalid("operands of different types")),
    };
    Ok(vec![from_elements(dtype, &result, &values)?])
}

/// `outside` is what a weight times zero is, where that is not zero.
fn channels<T: Number>(
    layout: &Layout,
    taps: &[Tap],
    x: &[T],
    w: &[T],
    y: &mut [T],
    outside: impl Fn(T) -> Option<T>,
) {
    let Layout { inputs, outputs, input_len, output_len, .. } = *layout;
    for batch in 0..layout.batch {
        for group in 0..layout.group {
            for output in 0..outputs {
                let to = (batch * layout.group + group) * outputs + output;
                let y = &mut y[to * output_len..][..output_len];
                for input in 0..inputs {
                    let from = (batch * layout.group + group) * inputs + input;
                    let x = &x[from * input_len..][..input_len];
                    let row = match layout.transposed {
                        true => (group * inputs + input) * outputs + output,
                        false => (group * outputs + output) * inputs + input,
                    };
                    for (tap, weight) in taps.iter().zip(&w[row * taps.len()..]) {
                        match layout.transposed {
                            true => tap.scatter(y, *weight, x),
                            false => {
                                tap.gather(y, *weight, x);
                                outside(*weight).into_iter().for_each(|it| tap.pad(y, it));
                            }
                        }
                    }
                }
            }
        }
    }
}

fn add_bias<T: Number>(layout: &Layout, bias: &[T], y: &mut [T]) {
    if layout.output_len == 0 {
        return;
    }
    for (channel, y) in y.chunks_exact_mut(layout.output_len).enumerate() {
        let bias = bias[channel % bias.len()];
        y.iter_mut().for_each(|it| *it = it.add(bias));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{eval, f32s, iota, none, run};
    use orogen_ir::types::{Attrs, TensorData};

    /// The definition, point by point.
    fn slow_conv2d(
        x: &TensorData,
        w: &TensorData,
        [sh, sw]: [i64; 2],
        pads: [i64; 4],
        d: i64,
        group: u64,
    ) -> Vec<f64> {
        let (xd, wd) = (x.dims(), w.dims());
        let out = |i: usize, s: i64| {
            (xd[i] as i64 + pads[i - 2] + pads[i] - d * (wd[i] as i64 - 1) - 1).div_euclid(s) + 1
        };
        let mut y = Vec::new();
        for n in 0..xd[0] {
            for m in 0..wd[0] {
                for oh in 0..out(2, sh) {
                    for ow in 0..out(3, sw) {
                        let mut sum = 0.0;
                        for c in 0..wd[1] {
                            for kh in 0..wd[2] {
                                for kw in 0..wd[3] {
                                    let ih = oh * sh + kh as i64 * d - pads[0];
                                    let iw = ow * sw + kw as i64 * d - pads[1];
                                    if (0..xd[2] as i64).contains(&ih) && (0..xd[3] as i64).contains(&iw) {
                                        let channel = m / (wd[0] / group) * wd[1] + c;
                                        let at = ((n * xd[1] + channel) * xd[2] + ih as u64) * xd[3];
                                        let weight = ((m * wd[1] + c) * wd[2] + kh) * wd[3] + kw;
                                        sum +=
                                            x.get_f64((at + iw as u64) as usize) * w.get_f64(weight as usize);
                                    }
                                }
                            }
                        }
                        y.push(sum);
                    }
                }
            }
        }
        y
    }

    #[test]
    fn convolutions_follow_the_definition() {
        let cases: [([u64; 4], [u64; 4], [i64; 2], [i64; 4], i64, u64); 5] = [
            ([2, 3, 5, 6], [4, 3, 3, 3], [1, 1], [1, 1, 1, 1], 1, 1),
            ([1, 4, 7, 5], [6, 2, 3, 2], [2, 1], [0, 1, 2, 0], 1, 2),
            ([1, 3, 6, 7], [3, 1, 2, 3], [1, 2], [2, 0, 0, 3], 2, 3),
            ([1, 1, 4, 4], [1, 1, 1, 1], [3, 3], [0, 0, 0, 0], 1, 1),
            ([1, 1, 4, 4], [1, 1, 2, 2], [1, 1], [-1, 0, 0, -1], 1, 1),
        ];
        for (xd, wd, s, pads, d, group) in cases {
            let (x, w) = (iota(&xd), iota(&wd));
            let attrs = none()
                .with("strides", s.to_vec())
                .with("pads", pads.to_vec())
                .with("dilations", vec![d, d])
                .with("group", group as i64);
            let y = run("conv", attrs, &[x.clone(), w.clone()]).1;
            assert_eq!(y, slow_conv2d(&x, &w, s, pads, d, group));
        }
    }

    #[test]
    fn bias_one_dimension_and_empty_batches() {
        let (x, w) = (iota(&[1, 1, 4]), f32s(&[2, 1, 2], &[1.0, -1.0, 2.0, 0.0]));
        let bias = f32s(&[2], &[10.0, 20.0]);
        let y = run("conv", none(), &[x, w.clone(), bias.clone()]);
        assert_eq!(y, (vec![1, 2, 3], vec![9.0, 9.0, 9.0, 20.0, 22.0, 24.0]));
        assert_eq!(run("conv", none(), &[iota(&[0, 1, 4]), w.clone(), bias]).0, [0, 2, 3]);
        assert!(eval("conv", none(), &[iota(&[1, 2, 4]), w.clone()]).is_err());
        assert_eq!(run("conv", none(), &[iota(&[1, 1, 1]), w.clone()]).0, [1, 2, 0]);
        assert!(eval("conv", none(), &[iota(&[1, 1, 0]), w]).is_err());
    }

    #[test]
    fn transposed_convolution_is_the_adjoint() {
        // <conv(x, w), y> = <x, conv_transpose(y, w)> for every x and y.
        let attrs: Attrs = none()
            .with("strides", vec![2, 1])
            .with("pads", vec![1, 0, 0, 1])
            .with("dilations", vec![1, 2])
            .with("group", 2);
        let (x, w) = (iota(&[1, 4, 6, 5]), iota(&[6, 2, 3, 2]));
        let forward = eval("conv", attrs.clone(), &[x.clone(), w.clone()]).unwrap();
        let y = iota(forward.dims());
        let size = |n: u64, k: i64| 2 * (n as i64 - 1) + k - 1;
        let extra = vec![6 - size(forward.dims()[2], 3), 0];
        let back = eval("conv_transpose", attrs.with("output_padding", extra), &[y.clone(), w]).unwrap();
        assert_eq!(back.dims(), x.dims());
        let dot = |a: &TensorData, b: &TensorData| -> f64 {
            a.to_f64().iter().zip(b.to_f64()).map(|(a, b)| a * b).sum()
        };
        assert_eq!(dot(&forward, &y), dot(&x, &back));
        let small =
            run("conv_transpose", none().with("strides", vec![2]), &[iota(&[1, 1, 2]), iota(&[1, 1, 3])]);
        assert_eq!(small, (vec![1, 1, 5], vec![0.0, 0.0, 0.0, 1.0, 2.0]));
    }
}
