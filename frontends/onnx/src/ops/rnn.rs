//! Recurrent layers.

use super::index::sequence_lengths;
use crate::emit::{Size, attrs};
use crate::graph::printable;
use crate::node::{Node, NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::{Converted, OpTable};
use orogen_ir::diag::Diagnostic;
use orogen_ir::ops::{Activation, GRU_ACTIVATIONS, LSTM_ACTIVATIONS, RNN_ACTIVATIONS};
use orogen_ir::types::Attrs;

type Single = Result<Value, Diagnostic>;

pub(super) fn register(table: &mut OpTable) {
    table.register_checked("", "LSTM", .., |node| check(node, Kind::Lstm), |cx| weighted(cx, Kind::Lstm));
    table.register_checked("", "GRU", .., |node| check(node, Kind::Gru), |cx| weighted(cx, Kind::Gru));
    table.register_checked("", "RNN", .., |node| check(node, Kind::Rnn), |cx| weighted(cx, Kind::Rnn));
    table.register_checked("com.microsoft", "DynamicQuantizeLSTM", .., check_quantized, quantized);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind<'a> {
    Lstm,
    /// With the scales of the integers of both weights, and their zero points.
    LstmInteger(&'a [Value]),
    Gru,
    Rnn,
}

impl Kind<'_> {
    /// Gates, and functions of gates and states.
    fn parts(self) -> (i64, &'static [Activation]) {
        match self {
            Kind::Lstm | Kind::LstmInteger(_) => (4, LSTM_ACTIVATIONS),
            Kind::Gru => (3, GRU_ACTIVATIONS),
            Kind::Rnn => (1, RNN_ACTIVATIONS),
        }
    }
}

fn check(node: &Node<'_>, kind: Kind<'_>) -> Result<(), String> {
    if !matches!(node.int("layout").unwrap_or(0), 0 | 1) {
        return Err("`layout` is neither 0 nor 1".into());
    }
    functions(node, kind).map(|_| ())
}

/// How many directions there are, and attributes that say more of the functions between sums and states than what is usual.
fn functions(node: &Node<'_>, kind: Kind<'_>) -> Result<(i64, Attrs), String> {
    let direction = node.text("direction").unwrap_or("forward");
    let directions = match direction {
        "forward" | "reverse" => 1,
        "bidirectional" => 2,
        other => return Err(format!("direction `{other}` is not known")),
    };
    let mut attrs = attrs([("direction", direction.into())]);
    match node.float("clip") {
        Some(clip) if clip.is_nan() || clip < 0.0 => return Err(format!("`clip` is {clip}")),
        Some(clip) if clip > 0.0 => attrs = attrs.with("clip", clip),
        _ => {}
    }
    if node.flag("input_forget") {
        attrs = attrs.with("input_forget", true);
    }
    let usual = kind.parts().1;
    let wanted = usual.len() * directions as usize;
    let names = node.texts("activations").filter(|it| !it.is_empty());
    let Some(mut names) = names else { return Ok((directions, attrs)) };
    if names.len() == usual.len() {
        // Those of both directions.
        names = names.iter().copied().cycle().take(wanted).collect();
    }
    if names.len() != wanted {
        return Err(format!("there are {} activations, not {wanted}", names.len()));
    }
    let mut rows = Vec::new();
    for name in &names {
        let row = Activation::named(name);
        rows.push(row.ok_or_else(|| format!("the activation `{}` is not known", printable(name)))?);
    }
    if rows.iter().enumerate().all(|(i, row)| row.0 == usual[i % usual.len()]) {
        return Ok((directions, attrs));
    }
    let list: Vec<&str> = rows.iter().map(|it| it.1).collect();
    attrs = attrs.with("activations", list.join(", ").as_str());
    // Numbers are for those functions that ask for one, in order.
    for (i, (from, to)) in
        [("activation_alpha", "alphas"), ("activation_beta", "betas")].into_iter().enumerate()
    {
        let mut given = node.floats(from).unwrap_or_default().iter();
        let numbers = rows.iter().map(|row| match row.2[i] {
            Some(usual) => given.next().map_or(usual, |it| f64::from(*it)),
            None => 0.0,
        });
        let numbers: Vec<f64> = numbers.collect();
        attrs = attrs.with(to, numbers);
    }
    Ok((directions, attrs))
}

fn check_quantized(node: &Node<'_>) -> Result<(), String> {
    check(node, Kind::LstmInteger(&[]))
}

fn weighted(cx: &mut NodeCx<'_, '_>, kind: Kind<'_>) -> Converted {
    recurrent(cx, kind, cx.input(1)?, cx.input(2)?)
}

/// An LSTM with integer weights, stored with gates last.
fn quantized(cx: &mut NodeCx<'_, '_>) -> Converted {
    let (w, r) = (cx.transpose(cx.input(1)?, &[0, 2, 1])?, cx.transpose(cx.input(2)?, &[0, 2, 1])?);
    let mut scales = vec![per_direction(cx, cx.input(8)?)?, per_direction(cx, cx.input(10)?)?];
    let zeros = [(w, cx.optional(9)), (r, cx.optional(11))];
    // What comes after them says where they would be.
    let more = cx.optional(4).is_some() || cx.optional(7).is_some();
    if more || zeros.iter().any(|it| it.1.is_some()) {
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
    let (directions, attrs) = functions(cx, kind).map_err(bad)?;
    let mut x = cx.input(0)?;
    if cx.rank(x)? != 3 || cx.rank(w)? != 3 || cx.rank(r)? != 3 {
        return Err(bad("its data and weights must have 3 dimensions"));
    }
    if batch_first {
        x = cx.transpose(x, &[1, 0, 2])?;
    }
    let hidden = match (cx.int("hidden_size"), cx.static_dim(r, 2)) {
        (Some(said), Some(size)) if said != size => {
            return Err(bad(format!("attribute `hidden_size` is {said} but its weights are of {size}")));
        }
        (_, Some(size)) | (Some(size), None) => size,
        (None, None) => return Err(not_supported("its hidden size is not known")),
    };
    let gates = kind.parts().0;
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
    let lengths = lengths(cx, x)?;
    let h = initial(cx, 5)?;
    let mut operands = vec![x, w, r, bias, h];
    let name = match kind {
        Kind::Lstm | Kind::LstmInteger(_) => {
            operands.push(initial(cx, 6)?);
            if let Kind::LstmInteger(scales) = kind {
                operands.extend(scales);
            }
            match cx.optional(7) {
                Some(peepholes) => operands.push(peepholes),
                None if lengths.is_some() => {
                    let size = hidden.checked_mul(3).ok_or_else(|| bad("its hidden size is out of range"))?;
                    operands.push(zeros(cx, x, &[Size::Const(directions), Size::Const(size)])?);
                }
                None => {}
            }
            if matches!(kind, Kind::Lstm) { "lstm" } else { "lstm_integer" }
        }
        Kind::Gru => "gru",
        Kind::Rnn => "rnn",
    };
    operands.extend(lengths);
    let attrs = match kind {
        Kind::Gru => attrs.with("linear_before_reset", cx.flag("linear_before_reset")),
        _ => attrs,
    };
    let mut results = cx.emit_all(name, attrs, &operands)?;
    if batch_first {
        for (i, result) in results.iter_mut().enumerate() {
            let perm: &[usize] = if i == 0 { &[2, 0, 1, 3] } else { &[1, 0, 2] };
            *result = cx.transpose(*result, perm)?;
        }
    }
    Ok(results)
}

/// Lengths of sequences, when some may be shorter than the data. They are checked here or when the model runs.
fn lengths(cx: &mut NodeCx<'_, '_>, x: Value) -> Result<Option<Value>, Diagnostic> {
    let Some(lengths) = cx.optional(4) else { return Ok(None) };
    let lengths = sequence_lengths(cx, lengths, x, 0)?;
    let all_whole = match (cx.known_ints(lengths), cx.static_dim(x, 0)) {
        (Some(list), Some(size)) => list.iter().all(|it| *it == size),
        _ => false,
    };
    Ok((!all_whole).then_some(lengths))
}

fn zeros(cx: &mut NodeCx<'_, '_>, like: Value, sizes: &[Size]) -> Single {
    let shape = cx.shape_vector(sizes)?;
    let zero = cx.number_like(like, 0.0)?;
    cx.full(shape, zero)
}
