//! Recurrent layers.

use crate::emit::{Size, attrs};
use crate::node::{Node, NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::{Converted, OpTable};
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::Attrs;

type Single = Result<Value, Diagnostic>;

pub(super) fn register(table: &mut OpTable) {
    table.register_checked("", "LSTM", .., check_lstm, |cx| weighted(cx, Kind::Lstm));
    table.register_checked("", "GRU", .., check_gru, |cx| weighted(cx, Kind::Gru));
    table.register_checked("", "RNN", .., check_rnn, |cx| weighted(cx, Kind::Rnn));
    table.register_checked("com.microsoft", "DynamicQuantizeLSTM", .., check_lstm, quantized);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind<'a> {
    Lstm,
    /// With the scales of the integers of both weights, and their zero points.
    LstmInteger(&'a [Value]),
    Gru,
    Rnn,
}

fn check_lstm(node: &Node<'_>) -> Result<(), String> {
    check(node, &["sigmoid", "tanh", "tanh"])?;
    if node.has_input(7) {
        return Err("peephole weights are not supported".into());
    }
    match node.flag("input_forget") {
        true => Err("coupled input and forget gates are not supported".into()),
        false => Ok(()),
    }
}

fn check_gru(node: &Node<'_>) -> Result<(), String> {
    check(node, &["sigmoid", "tanh"])
}

fn check_rnn(node: &Node<'_>) -> Result<(), String> {
    check(node, &["tanh"])
}

fn check(node: &Node<'_>, activations: &[&str]) -> Result<(), String> {
    if let Some(list) = node.texts("activations").filter(|it| !it.is_empty()) {
        let standard = list
            .iter()
            .enumerate()
            .all(|(i, it)| it.eq_ignore_ascii_case(activations[i % activations.len()]));
        if !standard {
            return Err(format!("activations {} are not supported", list.join(", ")));
        }
    }
    if node.float("clip").is_some_and(|it| it != 0.0) {
        return Err("`clip` is not supported".into());
    }
    match node.text("direction").unwrap_or("forward") {
        "forward" | "reverse" | "bidirectional" => Ok(()),
        other => Err(format!("direction `{other}` is not known")),
    }
}

fn weighted(cx: &mut NodeCx<'_, '_>, kind: Kind<'_>) -> Converted {
    recurrent(cx, kind, cx.input(1)?, cx.input(2)?)
}

/// An LSTM with integer weights, stored with gates last.
fn quantized(cx: &mut NodeCx<'_, '_>) -> Converted {
    let (w, r) = (cx.transpose(cx.input(1)?, &[0, 2, 1])?, cx.transpose(cx.input(2)?, &[0, 2, 1])?);
    let mut scales = vec![per_direction(cx, cx.input(8)?)?, per_direction(cx, cx.input(10)?)?];
    let zeros = [(w, cx.optional(9)), (r, cx.optional(11))];
    if zeros.iter().any(|it| it.1.is_some()) {
        for (weights, zero) in zeros {
            scales.push(match zero {
                Some(zero) => per_direction(cx, zero)?,
                None => {
                    let zero = cx.number_like(weights, 0.0)?;
                    let shape = cx.shape_vector(&[Size::Of(weights, 0), Size::Const(1)])?;
                    cx.full(shape, zero)?
                }
            });
        }
    }
    recurrent(cx, Kind::LstmInteger(&scales), w, r)
}

/// One number for each direction, or for each direction and gate: `[directions, 1]` or `[directions, gates]`.
fn per_direction(cx: &mut NodeCx<'_, '_>, value: Value) -> Single {
    match cx.rank(value)? {
        1 => cx.unsqueeze(value, &[1]),
        2 => Ok(value),
        rank => Err(bad(format!("its scales have {rank} dimensions"))),
    }
}

fn recurrent(cx: &mut NodeCx<'_, '_>, kind: Kind<'_>, w: Value, r: Value) -> Converted {
    let batch_first = cx.flag("layout");
    let direction = cx.text("direction").unwrap_or("forward");
    let directions = if direction == "bidirectional" { 2 } else { 1 };
    let mut x = cx.input(0)?;
    if cx.rank(x)? != 3 || cx.rank(w)? != 3 || cx.rank(r)? != 3 {
        return Err(bad("its data and weights must have 3 dimensions"));
    }
    if batch_first {
        x = cx.transpose(x, &[1, 0, 2])?;
    }
    full_length(cx, x)?;
    let hidden = match (cx.int("hidden_size"), cx.static_dim(r, 2)) {
        (_, Some(size)) | (Some(size), None) => size,
        (None, None) => return Err(not_supported("its hidden size is not known")),
    };
    let gates = match kind {
        Kind::Lstm | Kind::LstmInteger(_) => 4,
        Kind::Gru => 3,
        Kind::Rnn => 1,
    };
    let bias = match cx.optional(3) {
        Some(bias) => bias,
        None => {
            let size = hidden.checked_mul(2 * gates).ok_or_else(|| bad("its hidden size is out of range"))?;
            zeros(cx, x, &[Size::Const(directions), Size::Const(size)])?
        }
    };
    let state = [Size::Const(directions), Size::Of(x, 1), Size::Const(hidden)];
    let initial = |cx: &mut NodeCx<'_, '_>, i: usize| match cx.optional(i) {
        Some(value) if batch_first => cx.transpose(value, &[1, 0, 2]),
        Some(value) => Ok(value),
        None => zeros(cx, x, &state),
    };
    let attrs = attrs([("direction", direction.into())]);
    let mut results = match kind {
        Kind::Lstm => {
            let (h, c) = (initial(cx, 5)?, initial(cx, 6)?);
            cx.emit_all("lstm", attrs, &[x, w, r, bias, h, c])?
        }
        Kind::LstmInteger(scales) => {
            let (h, c) = (initial(cx, 5)?, initial(cx, 6)?);
            cx.emit_all("lstm_integer", attrs, &[&[x, w, r, bias, h, c], scales].concat())?
        }
        Kind::Gru => {
            let h = initial(cx, 5)?;
            let attrs = attrs.with("linear_before_reset", cx.flag("linear_before_reset"));
            cx.emit_all("gru", attrs, &[x, w, r, bias, h])?
        }
        Kind::Rnn => {
            let h = initial(cx, 5)?;
            plain(cx, attrs, [x, w, r, bias, h], hidden)?
        }
    };
    if batch_first {
        for (i, result) in results.iter_mut().enumerate() {
            let perm: &[usize] = if i == 0 { &[2, 0, 1, 3] } else { &[1, 0, 2] };
            *result = cx.transpose(*result, perm)?;
        }
    }
    Ok(results)
}

/// Sequence lengths may only be given when every sequence is as long as the data.
fn full_length(cx: &mut NodeCx<'_, '_>, x: Value) -> Result<(), Diagnostic> {
    let Some(lengths) = cx.optional(4) else { return Ok(()) };
    let size = cx.static_dim(x, 0);
    match cx.const_ints(lengths) {
        Some(list) if list.iter().all(|it| Some(*it) == size) => Ok(()),
        _ => Err(not_supported("sequence lengths that differ from the length of the data are not supported")),
    }
}

fn zeros(cx: &mut NodeCx<'_, '_>, like: Value, sizes: &[Size]) -> Single {
    let shape = cx.shape_vector(sizes)?;
    let zero = cx.number_like(like, 0.0)?;
    cx.full(shape, zero)
}

/// `h' = tanh(W·x + R·h + b)` as a GRU whose update gate is closed and whose reset gate is open: weights 0 and
/// biases so far from 0 that the sigmoid is exactly 0 and 1.
fn plain(
    cx: &mut NodeCx<'_, '_>,
    attrs: Attrs,
    [x, w, r, bias, h]: [Value; 5],
    hidden: i64,
) -> Result<Vec<Value>, Diagnostic> {
    const FAR: f64 = 1e4;
    let dtype = cx.dtype(x)?;
    if !dtype.is_float() {
        return Err(bad("its data must be floats"));
    }
    let gates = |cx: &mut NodeCx<'_, '_>, weights: Value| -> Single {
        let closed = cx.with_number("mul", weights, 0.0)?;
        cx.concat(&[closed, closed, weights], 1)
    };
    let (w, r) = (gates(cx, w)?, gates(cx, r)?);
    let (input_bias, state_bias) = (cx.slice(bias, 1, 0, hidden)?, cx.slice(bias, 1, hidden, 2 * hidden)?);
    let nothing = cx.with_number("mul", input_bias, 0.0)?;
    let (closed, open) = (cx.with_number("sub", nothing, FAR)?, cx.with_number("add", nothing, FAR)?);
    let bias = cx.concat(&[closed, open, input_bias, nothing, nothing, state_bias], 1)?;
    cx.emit_all("gru", attrs.with("linear_before_reset", true), &[x, w, r, bias, h])
}
