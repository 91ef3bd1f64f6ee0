//! Loops over the elements of sequences: Scan, and attention by a state.

use super::control::{Collected, Found, found_of, nothing};
use super::repeat::counted;
use crate::emit::{Size, attrs};
use crate::node::{Node, NodeCx, bad, not_supported};
use crate::probe::Probe;
use crate::sink::Value;
use crate::table::{Converted, OpTable};
use orogen_ir::diag::Diagnostic;
use orogen_ir::shape::Constraint;
use orogen_ir::types::{DType, Dims, Type};

type Single = Result<Value, Diagnostic>;

/// Loops over a known number of elements are written out up to this many.
const MAX_TURNS: i64 = 64;

pub(super) fn register(table: &mut OpTable) {
    table.register_checked("", "Scan", ..=8, check_scan, batched_scan);
    table.register_checked("", "Scan", 9.., check_scan, scan);
    table.register_checked("", "LinearAttention", 27.., check_linear, linear_attention);
    table.register_checked("", "CausalConvWithState", 27.., check_causal, causal_conv);
    table.register_checked(
        "com.microsoft",
        "LinearAttention",
        ..,
        check_linear_of_microsoft,
        linear_attention,
    );
    table.register_checked(
        "com.microsoft",
        "CausalConvWithState",
        ..,
        check_causal_of_microsoft,
        causal_conv,
    );
}

/// A value of which each turn sees one element along an axis.
#[derive(Clone, Copy)]
struct Sequence {
    value: Value,
    axis: usize,
    /// From the last element on.
    backwards: bool,
}

impl Sequence {
    fn element(self, cx: &mut NodeCx<'_, '_>, turn: Value) -> Single {
        let mut place = turn;
        if self.backwards {
            let length = cx.shape_vector(&[Size::Of(self.value, self.axis)])?;
            let length = cx.squeeze(length, &[0])?;
            let last = cx.with_number("sub", length, 1.0)?;
            place = cx.binary("sub", last, turn)?;
        }
        cx.emit("gather", attrs([("axis", (self.axis as i64).into())]), &[self.value, place])
    }
}

/// One turn: of states and elements, the next states and what is collected.
type Step<'s, 'm> =
    dyn FnMut(&mut NodeCx<'_, 'm>, &[Value], &[Value]) -> Result<(Vec<Value>, Vec<Value>), Diagnostic> + 's;

/// The last states, and what was collected along axis 0: in order, or those of later turns first where `backwards` says so.
fn over<'m>(
    cx: &mut NodeCx<'_, 'm>,
    states: &[Value],
    sequences: &[Sequence],
    backwards: &[bool],
    empty: impl FnOnce(&mut NodeCx<'_, 'm>) -> Result<Vec<Collected>, Diagnostic>,
    step: &mut Step<'_, 'm>,
) -> Converted {
    let first = sequences.first().ok_or_else(|| bad("it has no sequence"))?;
    same_lengths(cx, sequences)?;
    let turns = cx.static_dim(first.value, first.axis);
    if let Some(turns) = turns.filter(|it| (1..=MAX_TURNS).contains(it)) {
        let mut states = states.to_vec();
        let mut lists: Vec<Vec<Value>> = vec![Vec::new(); backwards.len()];
        for turn in 0..turns {
            let turn = cx.int_scalar(turn);
            let elements: Vec<Value> =
                sequences.iter().map(|it| it.element(cx, turn)).collect::<Result<_, _>>()?;
            let (next, values) = step(cx, &states, &elements)?;
            states = next;
            for (list, value) in lists.iter_mut().zip(values) {
                list.push(cx.unsqueeze(value, &[0])?);
            }
        }
        for (mut list, backwards) in lists.into_iter().zip(backwards) {
            if *backwards {
                list.reverse();
            }
            states.push(cx.concat(&list, 0)?);
        }
        return Ok(states);
    }
    let collected = empty(cx)?;
    let length = cx.shape_vector(&[Size::Of(first.value, first.axis)])?;
    let length = cx.squeeze(length, &[0])?;
    let mut init = states.to_vec();
    for it in &collected {
        init.push(it.no_items(cx)?);
    }
    let source = cx.describe();
    let mut results = counted(cx, length, &init, &mut |cx, turn, values| {
        let (states, lists) = values.split_at(states.len());
        let elements: Vec<Value> =
            sequences.iter().map(|it| it.element(cx, turn)).collect::<Result<_, _>>()?;
        let (mut results, values) = step(cx, states, &elements)?;
        cx.sink.set_source(&source);
        for (list, value) in lists.iter().zip(values) {
            results.push(cx.binary("sequence_insert", *list, value)?);
        }
        Ok(results)
    })?;
    // A list has as many entries as there were turns.
    let turns = cx.dims(first.value).map(|it| it[first.axis]);
    for ((list, collected), backwards) in results[states.len()..].iter_mut().zip(&collected).zip(backwards) {
        *list = collected.stacked(cx, *list, *backwards)?;
        let (Some(turns), Some(mut dims)) = (turns, cx.dims(*list)) else { continue };
        dims[0] = turns;
        let dtype = cx.dtype(*list)?;
        *list = cx.sink.match_cast(*list, Type::tensor(dtype, dims))?;
    }
    Ok(results)
}

fn same_lengths(cx: &mut NodeCx<'_, '_>, sequences: &[Sequence]) -> Result<(), Diagnostic> {
    let length = |cx: &NodeCx<'_, '_>, it: &Sequence| cx.dims(it.value)?.get(it.axis).copied();
    let Some(wanted) = sequences.first().and_then(|it| length(cx, it)) else { return Ok(()) };
    for it in &sequences[1..] {
        if let Some(found) = length(cx, it).filter(|it| *it != wanted) {
            let message = "the sequences of a loop over their elements differ in length";
            cx.sink.check(Constraint::Eq(found, wanted), message)?;
        }
    }
    Ok(())
}

fn check_scan(node: &Node<'_>) -> Result<(), String> {
    let body = node.graph("body").map_err(|_| "its subgraph `body` is missing".to_string())?;
    let operands = node.input_count() - usize::from(node.opset() < 9).min(node.input_count());
    let sequences = node.int("num_scan_inputs").and_then(|it| usize::try_from(it).ok());
    let Some(states) = sequences.filter(|it| *it > 0).and_then(|it| operands.checked_sub(it)) else {
        return Err("`num_scan_inputs` does not fit its operands".into());
    };
    match body.input.len() == operands && body.output.len() >= states {
        true => Ok(()),
        false => Err("its body takes or returns other numbers of values than it carries".into()),
    }
}

/// A list of numbers for each of `n`; 0 where nothing is said.
fn each(cx: &NodeCx<'_, '_>, name: &str, n: usize) -> Result<Vec<i64>, Diagnostic> {
    match cx.ints(name) {
        None | Some([]) => Ok(vec![0; n]),
        Some(list) if list.len() == n => Ok(list.to_vec()),
        Some(list) => Err(bad(format!("attribute `{name}` has {} numbers, not {n}", list.len()))),
    }
}

fn directions(cx: &NodeCx<'_, '_>, name: &str, n: usize) -> Result<Vec<bool>, Diagnostic> {
    let list = each(cx, name, n)?;
    match list.iter().find(|it| !matches!(it, 0 | 1)) {
        Some(wrong) => Err(bad(format!("attribute `{name}` holds {wrong}, which is neither 0 nor 1"))),
        None => Ok(list.into_iter().map(|it| it == 1).collect()),
    }
}

fn scan(cx: &mut NodeCx<'_, '_>) -> Converted {
    let operands = cx.all_inputs()?;
    let count = cx.int("num_scan_inputs").unwrap_or(0) as usize;
    let (states, values) = operands.split_at(operands.len() - count);
    let axes = each(cx, "scan_input_axes", count)?;
    let backwards = directions(cx, "scan_input_directions", count)?;
    let mut sequences = Vec::new();
    for ((value, axis), backwards) in values.iter().zip(axes).zip(backwards) {
        sequences.push(Sequence { value: *value, axis: cx.axis(*value, axis)?, backwards });
    }
    let outputs = cx.graph("body")?.output.len() - states.len();
    let backwards = directions(cx, "scan_output_directions", outputs)?;
    let mut results = scan_of(cx, states, &sequences, &backwards)?;
    for (list, axis) in results[states.len()..].iter_mut().zip(each(cx, "scan_output_axes", outputs)?) {
        let axis = cx.axis(*list, axis)?;
        let mut perm: Vec<usize> = (1..cx.rank(*list)?).collect();
        perm.insert(axis, 0);
        *list = cx.transpose(*list, &perm)?;
    }
    Ok(results)
}

fn scan_of(
    cx: &mut NodeCx<'_, '_>,
    states: &[Value],
    sequences: &[Sequence],
    backwards: &[bool],
) -> Converted {
    let body = cx.graph("body")?;
    let count = states.len();
    let empty = |cx: &mut NodeCx<'_, '_>| {
        let types: Vec<Type> = sequences
            .iter()
            .map(|it| {
                let ty = cx.tensor_type(it.value)?;
                let dims = ty.dims().ok_or_else(|| not_supported("the shape of a sequence is not known"))?;
                let mut dims = Dims::from(dims);
                dims.remove(it.axis);
                Ok(Type::tensor(ty.dtype, dims))
            })
            .collect::<Result<_, Diagnostic>>()?;
        let found: Vec<Found> = {
            let body = cx.graph("body")?;
            let mut probe = Probe::over(cx.sink);
            let mut inputs = states.to_vec();
            inputs.extend(types.into_iter().map(|it| probe.value(it)));
            let results = cx.around.try_subgraph(&mut probe, body, &inputs, &[])?;
            results[count..].iter().map(|it| found_of(&mut probe, it.0)).collect()
        };
        let mut like = states.to_vec();
        like.extend(sequences.iter().map(|it| it.value));
        found.iter().map(|it| nothing(cx, it, &like)).collect()
    };
    over(cx, states, sequences, backwards, empty, &mut |cx, states, elements| {
        let results = cx.around.subgraph(cx.sink, body, &[states, elements].concat())?;
        let (states, values) = results.split_at(count);
        Ok((states.to_vec(), values.to_vec()))
    })
}

/// Operator set 8: everything has a batch in front, and rows of it have nothing to do with each other.
fn batched_scan(cx: &mut NodeCx<'_, '_>) -> Converted {
    let operands: Vec<Value> = (1..cx.input_count()).map(|i| cx.input(i)).collect::<Result<_, _>>()?;
    if cx.optional(0).is_some() {
        return Err(not_supported("lengths of the sequences of a batch in Scan of operator set 8"));
    }
    let count = cx.int("num_scan_inputs").unwrap_or(0) as usize;
    let backwards = directions(cx, "directions", count)?;
    let batch = cx.static_dim(operands[0], 0).filter(|it| (1..=MAX_TURNS).contains(it));
    let batch =
        batch.ok_or_else(|| not_supported("Scan of operator set 8 with a batch that is dynamic or large"))?;
    let outputs = cx.graph("body")?.output.len() - (operands.len() - count);
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for row in 0..batch {
        let mut parts = Vec::new();
        for value in &operands {
            let part = cx.slice(*value, 0, row, row + 1)?;
            parts.push(cx.squeeze(part, &[0])?);
        }
        for value in &parts[parts.len() - count..] {
            if cx.rank(*value)? == 0 {
                return Err(bad("a sequence has no dimension behind that of the batch"));
            }
        }
        let (states, values) = parts.split_at(parts.len() - count);
        let sequences: Vec<Sequence> = values
            .iter()
            .zip(&backwards)
            .map(|(value, backwards)| Sequence { value: *value, axis: 0, backwards: *backwards })
            .collect();
        rows.push(scan_of(cx, states, &sequences, &vec![false; outputs])?);
    }
    let mut results = Vec::new();
    for i in 0..rows[0].len() {
        let parts: Vec<Value> = rows.iter().map(|it| cx.unsqueeze(it[i], &[0])).collect::<Result<_, _>>()?;
        results.push(cx.concat(&parts, 0)?);
    }
    Ok(results)
}

fn check_linear(node: &Node<'_>) -> Result<(), String> {
    let rule = node.text("update_rule").unwrap_or("gated_delta");
    let (gated, delta) = match rule {
        "linear" => (false, false),
        "gated" => (true, false),
        "delta" => (false, true),
        "gated_delta" => (true, true),
        other => return Err(format!("the update rule `{other}` is not known")),
    };
    for (i, wanted, name) in [(4, gated, "decay"), (5, delta, "beta")] {
        if node.has_input(i) != wanted {
            let verb = if wanted { "needs" } else { "has no" };
            return Err(format!("the update rule `{rule}` {verb} `{name}`"));
        }
    }
    match (node.int("q_num_heads"), node.int("kv_num_heads")) {
        (Some(q), Some(k)) if q > 0 && k > 0 && q % k == 0 => Ok(()),
        _ => Err("`q_num_heads` is no multiple of `kv_num_heads`".into()),
    }
}

/// A state of each head, `[batch, heads, keys, values]`, that every position decays, corrects, adds an outer product to,
/// and reads.
fn linear_attention(cx: &mut NodeCx<'_, '_>) -> Converted {
    let [q, k, v] = [cx.input(0)?, cx.input(1)?, cx.input(2)?];
    for value in [q, k, v] {
        if cx.rank(value)? != 3 {
            return Err(bad("its queries, keys and values must have 3 dimensions"));
        }
    }
    let dtype = cx.dtype(q)?;
    let wide = if dtype == DType::F64 { dtype } else { DType::F32 };
    let heads = cx.int("kv_num_heads").unwrap_or(1);
    let groups = cx.int("q_num_heads").unwrap_or(1) / heads;
    let size = |cx: &mut NodeCx<'_, '_>, value: Value, heads: i64| match cx.static_dim(value, 2) {
        Some(hidden) if hidden % heads == 0 => Ok(hidden / heads),
        Some(hidden) => Err(bad(format!("{hidden} elements are not those of {heads} heads"))),
        None => Err(not_supported("the size of its heads is dynamic")),
    };
    let (keys, values) = (size(cx, k, heads)?, size(cx, v, heads)?);
    if size(cx, q, heads * groups)? != keys {
        return Err(bad("the heads of its queries and of its keys differ in size"));
    }
    // Elements are `[batch, heads, …]`.
    let mut sequences = Vec::new();
    let mut sequence = |cx: &mut NodeCx<'_, '_>, value: Value, dims: &[i64]| {
        let value = cx.cast(value, wide)?;
        let sizes = [Size::Of(value, 0), Size::Of(value, 1)].into_iter();
        let sizes: Vec<Size> = sizes.chain(dims.iter().map(|it| Size::Const(*it))).collect();
        let value = cx.reshape_to(value, &sizes)?;
        sequences.push(Sequence { value, axis: 1, backwards: false });
        Ok::<(), Diagnostic>(())
    };
    sequence(cx, q, &[heads, groups, keys])?;
    sequence(cx, k, &[heads, keys, 1])?;
    sequence(cx, v, &[heads, 1, values])?;
    let (decay, beta) = (cx.optional(4), cx.optional(5));
    if let Some(decay) = decay {
        let each = size(cx, decay, heads)?;
        if each != 1 && each != keys {
            return Err(bad(format!("its decay has {each} numbers for heads of {keys} keys")));
        }
        sequence(cx, decay, &[heads, each, 1])?;
    }
    if let Some(beta) = beta {
        let found = cx.static_dim(beta, 2).filter(|it| [1, heads].contains(it));
        let found = found.ok_or_else(|| bad("its beta has neither one number nor one for each head"))?;
        sequence(cx, beta, &[found, 1, 1])?;
    }
    let past = cx.optional(3);
    let state = match past {
        Some(past) if cx.rank(past)? != 4 => return Err(bad("its past state must have 4 dimensions")),
        Some(past) => cx.cast(past, wide)?,
        None => {
            let sizes = [Size::Of(q, 0), Size::Const(heads), Size::Const(keys), Size::Const(values)];
            let shape = cx.shape_vector(&sizes)?;
            let zero = cx.number(wide, 0.0);
            cx.full(shape, zero)?
        }
    };
    let scale = match cx.float("scale").unwrap_or(0.0) {
        0.0 => 1.0 / (keys as f64).sqrt(),
        scale => scale,
    };
    let empty = |cx: &mut NodeCx<'_, '_>| {
        let sizes =
            [Size::Const(0), Size::Of(q, 0), Size::Const(heads), Size::Const(groups), Size::Const(values)];
        let shape = cx.shape_vector(&sizes)?;
        let zero = cx.number(wide, 0.0);
        Ok(vec![Collected { empty: cx.full(shape, zero)?, first_decides: false }])
    };
    let results = over(cx, &[state], &sequences, &[false], empty, &mut |cx, states, elements| {
        let (mut state, [q, k, mut v]) = (states[0], [elements[0], elements[1], elements[2]]);
        if decay.is_some() {
            let factor = cx.unary("exp", elements[3])?;
            state = cx.binary("mul", state, factor)?;
        }
        if beta.is_some() {
            let key = cx.transpose(k, &[0, 1, 3, 2])?;
            let known = cx.binary("matmul", key, state)?;
            let wrong = cx.binary("sub", v, known)?;
            v = cx.binary("mul", elements[elements.len() - 1], wrong)?;
        }
        let added = cx.binary("mul", k, v)?;
        let state = cx.binary("add", state, added)?;
        let read = cx.binary("matmul", q, state)?;
        Ok((vec![state], vec![cx.affine(read, scale, 0.0)?]))
    })?;
    let (state, list) = (results[0], results[1]);
    let list = cx.cast(list, dtype)?;
    let list = cx.transpose(list, &[1, 0, 2, 3, 4])?;
    let list =
        cx.reshape_to(list, &[Size::Of(q, 0), Size::Of(q, 1), Size::Const(heads * groups * values)])?;
    let stored = past.map_or(Ok(dtype), |it| cx.dtype(it))?;
    Ok(vec![list, cx.cast(state, stored)?])
}

fn check_causal(node: &Node<'_>) -> Result<(), String> {
    match node.text("activation").unwrap_or("none") {
        "none" | "silu" | "swish" => Ok(()),
        other => Err(format!("the activation `{other}` is not known")),
    }
}

/// What the operators of `com.microsoft` have beyond those of the standard is not supported.
fn check_usual(node: &Node<'_>, usual: &[(&str, i64)]) -> Result<(), String> {
    match usual.iter().find(|(name, value)| node.int(name).is_some_and(|it| it != *value)) {
        Some((name, value)) => Err(format!("a `{name}` other than {value} is not supported")),
        None => Ok(()),
    }
}

fn check_linear_of_microsoft(node: &Node<'_>) -> Result<(), String> {
    check_usual(node, &[("state_window", 0)])?;
    check_linear(node)
}

fn check_causal_of_microsoft(node: &Node<'_>) -> Result<(), String> {
    let usual = [
        ("ndim", 1),
        ("dilation", 1),
        ("state_window", 0),
        ("state_length", 0),
        ("channels_last", 0),
        ("input_channels", 0),
        ("state_update_capacity", 0),
    ];
    check_usual(node, &usual)?;
    check_causal(node)
}

/// A convolution of each channel that sees what came before, which is the state between calls.
fn causal_conv(cx: &mut NodeCx<'_, '_>) -> Converted {
    let (x, w) = (cx.input(0)?, cx.input(1)?);
    if cx.rank(x)? != 3 || cx.rank(w)? != 3 {
        return Err(bad("its data and weights must have 3 dimensions"));
    }
    let (Some(channels), Some(kernel)) = (cx.static_dim(w, 0), cx.static_dim(w, 2)) else {
        return Err(not_supported("the size of its weights is dynamic"));
    };
    if kernel < 1 {
        return Err(bad("its kernel is empty"));
    }
    let dtype = cx.dtype(x)?;
    let before = match cx.optional(3) {
        Some(past) => past,
        None => {
            let shape = cx.shape_vector(&[Size::Of(x, 0), Size::Of(x, 1), Size::Const(kernel - 1)])?;
            let zero = cx.number(dtype, 0.0);
            cx.full(shape, zero)?
        }
    };
    let whole = cx.concat(&[before, x], 2)?;
    let mut operands = vec![whole, w];
    operands.extend(cx.optional(2));
    let mut y = cx.emit("conv", attrs([("group", channels.into())]), &operands)?;
    if cx.text("activation").unwrap_or("none") != "none" {
        let wide = if dtype == DType::F64 { y } else { cx.cast(y, DType::F32)? };
        let gate = cx.unary("sigmoid", wide)?;
        let product = cx.binary("mul", wide, gate)?;
        y = cx.cast(product, dtype)?;
    }
    let start = cx.shape_vector(&[Size::Of(x, 2)])?;
    let end = cx.int_vector(&[i64::MAX]);
    Ok(vec![y, cx.slice_between(whole, 2, start, end)?])
}
