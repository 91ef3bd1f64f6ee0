//! Recurrent networks: ONNX layouts and gate orders.
//!
//! `T` time steps, `B` batch, `I` inputs, `H` hidden units, `D` directions.
//! Operands are `x[T, B, I]`, `w[D, gates·H, I]`, `r[D, gates·H, H]`, `b[D, 2·gates·H]` (of `w`, then of `r`), and
//! the initial states `[D, B, H]`; then, where they are given, peepholes `[D, 3·H]` of an LSTM and lengths `[B]`; results are all hidden states `[T, D, B, H]` and the last states.

use super::tensor::{dims_of, floats, from_floats, ints};
use super::{FamilyResult, OpCx};
use crate::error::{EvalError, EvalResult};
use orogen_ir::ops::{
    Activation, GRU_ACTIVATIONS, LSTM_ACTIVATIONS, RNN_ACTIVATIONS, ScaledActivation, activations,
};
use orogen_ir::types::TensorData;

pub(super) fn eval(cx: &OpCx<'_>) -> FamilyResult {
    match cx.name {
        "lstm" | "lstm_integer" => Some(recurrent(cx, 4, 2, LSTM_ACTIVATIONS, lstm_cell)),
        "gru" => Some(recurrent(cx, 3, 1, GRU_ACTIVATIONS, gru_cell)),
        "rnn" => Some(recurrent(cx, 1, 1, RNN_ACTIVATIONS, rnn_cell)),
        _ => None,
    }
}

/// The weights of one direction.
struct Weights<'a> {
    w: &'a [f64],
    r: &'a [f64],
    /// Biases of `w` and of `r`.
    bias: [&'a [f64]; 2],
    inputs: usize,
    hidden: usize,
    linear_before_reset: bool,
    /// The forget gate is what the input gate leaves.
    coupled: bool,
    /// What gates see of the cell: of the input, the output and the forget gate.
    peepholes: Option<&'a [f64]>,
    activations: &'a [ScaledActivation],
    clip: f64,
}

impl Weights<'_> {
    /// Activation `i` of a gate.
    fn gate(&self, i: usize, x: f64) -> f64 {
        // Not `clamp`: a NaN stays one.
        let x = if x > self.clip {
            self.clip
        } else if x < -self.clip {
            -self.clip
        } else {
            x
        };
        self.activate(i, x)
    }

    fn activate(&self, i: usize, x: f64) -> f64 {
        let ScaledActivation { function, alpha, beta } = self.activations[i];
        match function {
            Activation::Relu => {
                if x < 0.0 {
                    0.0
                } else {
                    x
                }
            }
            Activation::Tanh => libm::tanh(x),
            Activation::Sigmoid => sigmoid(x),
            Activation::Affine => alpha * x + beta,
            Activation::LeakyRelu => {
                if x < 0.0 {
                    alpha * x
                } else {
                    x
                }
            }
            Activation::ThresholdedRelu => {
                if x > alpha {
                    x
                } else {
                    0.0
                }
            }
            Activation::ScaledTanh => alpha * libm::tanh(beta * x),
            Activation::HardSigmoid => (alpha * x + beta).clamp(0.0, 1.0),
            Activation::Elu => {
                if x < 0.0 {
                    alpha * libm::expm1(x)
                } else {
                    x
                }
            }
            Activation::Softsign => x / (1.0 + x.abs()),
            Activation::Softplus => x.max(0.0) + libm::log1p(libm::exp(-x.abs())),
        }
    }

    /// What gate `i` sees of a cell.
    fn peephole(&self, i: usize, unit: usize, cell: f64) -> f64 {
        self.peepholes.map_or(0.0, |it| it[i * self.hidden + unit] * cell)
    }

    /// `w[row] · x + bias`.
    fn input(&self, row: usize, x: &[f64]) -> f64 {
        dot(&self.w[row * self.inputs..][..self.inputs], x) + self.bias[0][row]
    }

    /// `r[row] · h + bias`.
    fn recurrent(&self, row: usize, h: &[f64]) -> f64 {
        dot(&self.r[row * self.hidden..][..self.hidden], h) + self.bias[1][row]
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

/// One step of one batch row: updates the states, the hidden one first.
type Cell = fn(&Weights<'_>, &[f64], &mut [Vec<f64>]);

/// Gates in order: input, output, forget, cell.
fn lstm_cell(weights: &Weights<'_>, x: &[f64], states: &mut [Vec<f64>]) {
    let [h, c] = states else { return };
    let n = weights.hidden;
    let gate = |gate: usize, i: usize| weights.input(gate * n + i, x) + weights.recurrent(gate * n + i, h);
    let gates: Vec<[f64; 4]> = (0..n).map(|i| [gate(0, i), gate(1, i), gate(2, i), gate(3, i)]).collect();
    for (i, [input, output, forget, cell]) in gates.into_iter().enumerate() {
        let input = weights.gate(0, input + weights.peephole(0, i, c[i]));
        let forget = match weights.coupled {
            true => 1.0 - input,
            false => weights.gate(0, forget + weights.peephole(2, i, c[i])),
        };
        c[i] = forget * c[i] + input * weights.gate(1, cell);
        h[i] = weights.gate(0, output + weights.peephole(1, i, c[i])) * weights.activate(2, c[i]);
    }
}

/// `h = f(w · x + r · h + bias)`.
fn rnn_cell(weights: &Weights<'_>, x: &[f64], states: &mut [Vec<f64>]) {
    let [h] = states else { return };
    let next: Vec<f64> =
        (0..weights.hidden).map(|i| weights.gate(0, weights.input(i, x) + weights.recurrent(i, h))).collect();
    *h = next;
}

/// Gates in order: update, reset, hidden.
fn gru_cell(weights: &Weights<'_>, x: &[f64], states: &mut [Vec<f64>]) {
    let [h] = states else { return };
    let n = weights.hidden;
    let gate = |gate: usize, i: usize| {
        weights.gate(0, weights.input(gate * n + i, x) + weights.recurrent(gate * n + i, h))
    };
    let update: Vec<f64> = (0..n).map(|i| gate(0, i)).collect();
    let reset: Vec<f64> = (0..n).map(|i| gate(1, i)).collect();
    let recurrent: Vec<f64> = if weights.linear_before_reset {
        (0..n).map(|i| reset[i] * weights.recurrent(2 * n + i, h)).collect()
    } else {
        let kept: Vec<f64> = h.iter().zip(&reset).map(|(h, r)| h * r).collect();
        (0..n).map(|i| weights.recurrent(2 * n + i, &kept)).collect()
    };
    for i in 0..n {
        let candidate = weights.gate(1, weights.input(2 * n + i, x) + recurrent[i]);
        h[i] = (1.0 - update[i]) * candidate + update[i] * h[i];
    }
}

fn recurrent(
    cx: &OpCx<'_>,
    gates: usize,
    states: usize,
    default: &[Activation],
    cell: Cell,
) -> EvalResult<Vec<TensorData>> {
    let quantized = cx.name == "lstm_integer";
    let dtype = if quantized { cx.same_dtype([0, 3, 4, 5, 6, 7])? } else { cx.same_dtype(0..4 + states)? };
    cx.float_arg(0)?;
    let [time, batch, inputs] = cx.ranked(0, 3)?[..] else {
        return Err(EvalError::invalid("`x` has rank 3"));
    };
    let hidden = cx.ranked(2, 3)?[2];
    let reversed: &[bool] = match cx.text("direction", "forward") {
        "forward" => &[false],
        "reverse" => &[true],
        "bidirectional" => &[false, true],
        other => return Err(EvalError::invalid(format!("unknown direction `{other}`"))),
    };
    let (directions, rows) = (reversed.len(), gates * hidden);
    let functions =
        activations(cx.attrs, default, directions).map_err(|it| EvalError::invalid(it.message))?;
    let state_dims = vec![directions, batch, hidden];
    let mut expected = vec![
        vec![time, batch, inputs],
        vec![directions, rows, inputs],
        vec![directions, rows, hidden],
        vec![directions, 2 * rows],
    ];
    expected.extend(std::iter::repeat_n(state_dims.clone(), states));
    let place = match cx.name {
        "lstm" => Some(6),
        "lstm_integer" => Some(10),
        _ => None,
    };
    let peepholes = match place.filter(|it| cx.args.len() > *it) {
        Some(i) if dims_of(cx.arg(i)?) != [directions, 3 * hidden] => {
            return Err(EvalError::invalid(format!("operand {i} is no peepholes of {hidden} cells")));
        }
        Some(i) => Some(floats(cx.arg(i)?)),
        None => None,
    };
    let lengths = match cx.args.get(place.map_or(4 + states, |it| it + 1)) {
        Some(it) if dims_of(it) == [batch] => it.to_i64(),
        Some(it) => {
            return Err(EvalError::invalid(format!("{:?} are no lengths of {batch} rows", dims_of(it))));
        }
        None => vec![i64::MAX; batch],
    };
    for (i, wanted) in expected.iter().enumerate() {
        let found = dims_of(cx.arg(i)?);
        if found != *wanted {
            return Err(EvalError::invalid(format!("operand {i} is {found:?} but must be {wanted:?}")));
        }
    }
    let all: Vec<Vec<f64>> = match quantized {
        true => vec![
            rounded(&floats(cx.arg(0)?)),
            dequantized(cx, 1)?,
            dequantized(cx, 2)?,
            floats(cx.arg(3)?),
            floats(cx.arg(4)?),
            floats(cx.arg(5)?),
        ],
        false => cx.args.iter().take(expected.len()).map(floats).collect(),
    };
    let mut y = vec![0.0; time * directions * batch * hidden];
    let mut last = vec![vec![0.0; directions * batch * hidden]; states];
    for (d, reversed) in reversed.iter().enumerate() {
        let (bias_w, bias_r) = all[3][d * 2 * rows..][..2 * rows].split_at(rows);
        let weights = Weights {
            w: &all[1][d * rows * inputs..][..rows * inputs],
            r: &all[2][d * rows * hidden..][..rows * hidden],
            bias: [bias_w, bias_r],
            inputs,
            hidden,
            linear_before_reset: cx.flag("linear_before_reset"),
            coupled: cx.flag("input_forget"),
            peepholes: peepholes.as_ref().map(|it| &it[d * 3 * hidden..][..3 * hidden]),
            activations: &functions[d * default.len()..][..default.len()],
            clip: cx.attrs.float("clip").unwrap_or(f64::INFINITY),
        };
        let from = |b: usize| (d * batch + b) * hidden;
        let mut rows: Vec<Vec<Vec<f64>>> = (0..batch)
            .map(|b| all[4..4 + states].iter().map(|it| it[from(b)..from(b) + hidden].to_vec()).collect())
            .collect();
        for step in 0..time {
            let t = if *reversed { time - 1 - step } else { step };
            if quantized {
                // The step sees the state through its integers alone.
                let h = rounded(&rows.iter().flat_map(|it| it[0].iter().copied()).collect::<Vec<f64>>());
                for (b, h) in h.chunks(hidden.max(1)).enumerate().filter(|it| (t as i64) < lengths[it.0]) {
                    rows[b][0].copy_from_slice(h);
                }
            }
            for (b, row) in rows.iter_mut().enumerate().filter(|it| (t as i64) < lengths[it.0]) {
                cell(&weights, &all[0][(t * batch + b) * inputs..][..inputs], row);
                y[((t * directions + d) * batch + b) * hidden..][..hidden].copy_from_slice(&row[0]);
            }
        }
        for (b, row) in rows.iter().enumerate().filter(|it| time > 0 && lengths[it.0] > 0) {
            for (last, state) in last.iter_mut().zip(row) {
                last[from(b)..from(b) + hidden].copy_from_slice(state);
            }
        }
    }
    let mut results = vec![from_floats(dtype, &[time, directions, batch, hidden], &y)?];
    for last in &last {
        results.push(from_floats(dtype, &state_dims, last)?);
    }
    Ok(results)
}

/// Numbers as their integers of u8 say them: quantised by the range of all of them and 0, in f32.
fn rounded(x: &[f64]) -> Vec<f64> {
    let f32 = |it: f64| f64::from(it as f32);
    let low = x.iter().fold(0.0, |low, it| f64::min(low, f32(*it)));
    let high = x.iter().fold(0.0, |high, it| f64::max(high, f32(*it)));
    let span = f32(high - low);
    let scale = if span == 0.0 { 1.0 } else { f32(span / 255.0) };
    let zero = f32(-low / scale).round_ties_even().clamp(0.0, 255.0);
    x.iter()
        .map(|it| (f32(f32(*it) / scale).round_ties_even() + zero).clamp(0.0, 255.0))
        .map(|it| (it - zero) * scale)
        .collect()
}

/// The numbers of the integers `[D, rows, columns]` of operand `i`, with scales and zero points for each direction, or
/// each direction and row.
fn dequantized(cx: &OpCx<'_>, i: usize) -> EvalResult<Vec<f64>> {
    let dims = cx.ranked(i, 3)?;
    let each = |values: Vec<f64>, found: &[usize]| match found {
        [d, 1] if *d == dims[0] => Ok(values.iter().flat_map(|it| vec![*it; dims[1]]).collect::<Vec<f64>>()),
        [d, rows] if *d == dims[0] && *rows == dims[1] => Ok(values),
        _ => Err(EvalError::invalid(format!("{found:?} are no scales of {dims:?}"))),
    };
    let scale = cx.arg(i + 5)?;
    let scales = each(floats(scale), &dims_of(scale))?;
    let zeros = match cx.args.get(i + 7) {
        Some(zero) => each(zero.to_f64(), &dims_of(zero))?,
        None => vec![0.0; scales.len()],
    };
    let of_row = |at: usize| at / dims[2].max(1);
    let values = ints(cx.int_arg(i)?).into_iter().enumerate();
    Ok(values.map(|(at, it)| (it as f64 - zeros[of_row(at)]) * scales[of_row(at)]).collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, none};
    use crate::eval_named;
    use orogen_ir::types::{DType, TensorData};

    fn f64s(dims: &[u64], values: &[f64]) -> TensorData {
        TensorData::from_slice(DType::F64, dims, values)
    }

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    #[test]
    fn lstm_of_one_unit_by_hand() {
        // Gates i, o, f, c with weights 1, 2, 3, 4 of x; 0.1 … 0.4 of h; biases of w.
        let args = [
            f64s(&[2, 1, 1], &[0.5, -1.0]),
            f64s(&[1, 4, 1], &[1.0, 2.0, 3.0, 4.0]),
            f64s(&[1, 4, 1], &[0.1, 0.2, 0.3, 0.4]),
            f64s(&[1, 8], &[0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.5]),
            f64s(&[1, 1, 1], &[0.25]),
            f64s(&[1, 1, 1], &[-0.5]),
        ];
        let (mut h, mut c) = (0.25_f64, -0.5_f64);
        let mut y = Vec::new();
        for x in [0.5_f64, -1.0] {
            let (i, o) = (sigmoid(x + 0.1 * h), sigmoid(2.0 * x + 0.2 * h));
            let (f, g) = (sigmoid(3.0 * x + 0.3 * h + 1.0), (4.0 * x + 0.4 * h + 0.5).tanh());
            c = f * c + i * g;
            h = o * c.tanh();
            y.push(h);
        }
        let results = eval_named("lstm", &none(), &args).unwrap();
        assert_close(&results[0].to_f64(), &y, 1e-14);
        assert_close(&results[1].to_f64(), &[h], 1e-14);
        assert_close(&results[2].to_f64(), &[c], 1e-14);
    }

    #[test]
    fn gru_of_one_unit_by_hand_both_ways() {
        for linear in [false, true] {
            let args = [
                f64s(&[2, 1, 1], &[0.5, -1.0]),
                f64s(&[1, 3, 1], &[1.0, 2.0, 3.0]),
                f64s(&[1, 3, 1], &[0.1, 0.2, 0.3]),
                f64s(&[1, 6], &[0.0, 0.1, 0.2, 0.3, 0.0, 0.7]),
                f64s(&[1, 1, 1], &[0.25]),
            ];
            let mut h = 0.25_f64;
            for x in [0.5_f64, -1.0] {
                let (z, r) = (sigmoid(x + 0.1 * h + 0.3), sigmoid(2.0 * x + 0.1 + 0.2 * h));
                let hidden = if linear { r * (0.3 * h + 0.7) } else { 0.3 * (r * h) + 0.7 };
                let candidate = (3.0 * x + 0.2 + hidden).tanh();
                h = (1.0 - z) * candidate + z * h;
            }
            let results = eval_named("gru", &none().with("linear_before_reset", linear), &args).unwrap();
            assert_close(&results[1].to_f64(), &[h], 1e-14);
        }
    }

    #[test]
    fn both_directions_see_both_ends() {
        let both = |values: &[f64]| [values, values].concat();
        let args = [
            f64s(&[3, 1, 1], &[0.1, 0.2, 0.3]),
            f64s(&[2, 3, 1], &both(&[1.0, 2.0, 3.0])),
            f64s(&[2, 3, 1], &both(&[0.1, 0.2, 0.3])),
            f64s(&[2, 6], &[0.0; 12]),
            f64s(&[2, 1, 1], &[0.0; 2]),
        ];
        let y = eval_named("gru", &none().with("direction", "bidirectional"), &args).unwrap();
        let turned = [
            f64s(&[3, 1, 1], &[0.3, 0.2, 0.1]),
            f64s(&[1, 3, 1], &[1.0, 2.0, 3.0]),
            f64s(&[1, 3, 1], &[0.1, 0.2, 0.3]),
            f64s(&[1, 6], &[0.0; 6]),
            f64s(&[1, 1, 1], &[0.0]),
        ];
        let forward = eval_named("gru", &none(), &turned).unwrap()[0].to_f64();
        let backward: Vec<f64> = y[0].to_f64().chunks(2).map(|it| it[1]).rev().collect();
        assert_close(&backward, &forward, 0.0);
        let reverse = eval_named("gru", &none().with("direction", "reverse"), &turned).unwrap();
        assert_eq!(reverse[1].to_f64()[0], y[1].to_f64()[0]);
        assert!(eval_named("gru", &none(), &args).is_err());
    }
}
