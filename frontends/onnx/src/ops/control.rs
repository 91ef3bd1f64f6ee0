//! Branches and loops.

use super::repeat::counted;
use crate::emit::Size;
use crate::graph::printable;
use crate::node::{Node, NodeCx, bad, not_supported};
use crate::probe::Probe;
use crate::proto::GraphProto;
use crate::sink::{LoopPart, MAX_RANK, Ranked, Sink, Value};
use crate::table::{Converted, OpTable};
use orogen_ir::diag::Diagnostic;
use orogen_ir::shape::Constraint;
use orogen_ir::types::{Attrs, DType, Dims, TensorData, Type};

/// A loop that collects results is unrolled when it is known to make at most this many turns.
const MAX_TURNS: i64 = 64;

pub(super) fn register(table: &mut OpTable) {
    table.register_checked("", "If", .., check_branches, if_else);
    table.register_checked("", "Loop", .., |node| graphs(node, &["body"]), loop_);
}

fn check_branches(node: &Node<'_>) -> Result<(), String> {
    graphs(node, &["then_branch", "else_branch"])?;
    let count = |name: &str| node.graph(name).map_or(0, |it| it.output.len());
    match count("then_branch") == count("else_branch") {
        true => Ok(()),
        false => Err("its branches return different numbers of values".into()),
    }
}

fn graphs(node: &Node<'_>, names: &[&str]) -> Result<(), String> {
    match names.iter().find(|it| node.graph(it).is_err()) {
        Some(missing) => Err(format!("its subgraph `{missing}` is missing")),
        None => Ok(()),
    }
}

/// A condition as a boolean of rank 0.
fn condition(cx: &mut NodeCx<'_, '_>, value: Value) -> Result<Value, Diagnostic> {
    let value = cx.cast(value, DType::Bool)?;
    scalar(cx, value)
}

/// A value of one element with rank 0.
fn scalar(cx: &mut NodeCx<'_, '_>, value: Value) -> Result<Value, Diagnostic> {
    match cx.rank(value)? {
        0 => Ok(value),
        rank => cx.squeeze(value, &(0..rank as i64).collect::<Vec<_>>()),
    }
}

fn if_else(cx: &mut NodeCx<'_, '_>) -> Converted {
    let cond = condition(cx, cx.input(0)?)?;
    let branches = (cx.graph("then_branch")?, cx.graph("else_branch")?);
    if let Some([known]) = cx.known_ints(cond).as_deref() {
        let graph = if *known != 0 { branches.0 } else { branches.1 };
        return cx.around.subgraph(cx.sink, graph, &[]);
    }
    let source = cx.describe();
    let around = &mut *cx.around;
    cx.sink.if_else(cond, &mut |sink, taken| {
        let graph = if taken { branches.0 } else { branches.1 };
        let results = around.subgraph(sink, graph, &[])?;
        sink.set_source(&source);
        if results.iter().any(|it| around.ranked(*it).is_some()) {
            return Err(bad("a branch gives a value of a rank that is known only at run time"));
        }
        Ok(results)
    })
}

fn loop_(cx: &mut NodeCx<'_, '_>) -> Converted {
    let body = cx.graph("body")?;
    let carried = cx.input_count().saturating_sub(2);
    let initial: Vec<Value> = (0..carried).map(|i| cx.input(2 + i)).collect::<Result<_, _>>()?;
    if body.input.len() != 2 + carried || body.output.len() < 1 + carried {
        return Err(bad(format!(
            "it carries {carried} values but its body takes {} and returns {}",
            body.input.len(),
            body.output.len()
        )));
    }
    let limit = match cx.optional(0) {
        Some(limit) => {
            let limit = cx.as_i64(limit)?;
            Some(scalar(cx, limit)?)
        }
        None => None,
    };
    let start = match cx.optional(1) {
        Some(cond) => condition(cx, cond)?,
        None => truth(cx, true),
    };
    if !(1 + carried..body.output.len()).any(|i| cx.wants_output(i - 1)) {
        return while_loop(cx, limit, start, &initial, &[]);
    }
    match few_turns(cx, limit, start, &initial)? {
        Some(turns) => unrolled(cx, turns, &initial),
        None => collecting(cx, limit, start, &initial),
    }
}

fn truth(cx: &mut NodeCx<'_, '_>, value: bool) -> Value {
    cx.constant(TensorData::from_f64(DType::Bool, &[], [f64::from(u8::from(value))]))
}

/// What the values that a loop collects become. Meanwhile they are items of a sequence, so that a turn costs what it adds.
pub(super) struct Collected {
    /// None of them, of the right element type and number of dimensions.
    pub(super) empty: Value,
    /// Whether the first value says how large its dimensions are.
    pub(super) first_decides: bool,
}

impl Collected {
    /// A sequence without items.
    pub(super) fn no_items(&self, cx: &mut NodeCx<'_, '_>) -> Result<Value, Diagnostic> {
        let dtype = cx.dtype(self.empty)?;
        super::sequence::no_items(cx, dtype)
    }

    /// The items along a new first axis, in order or the last one first.
    pub(super) fn stacked(
        &self,
        cx: &mut NodeCx<'_, '_>,
        list: Value,
        backwards: bool,
    ) -> Result<Value, Diagnostic> {
        let length = cx.unary("sequence_length", list)?;
        let rank = cx.rank(self.empty)?;
        if !self.first_decides {
            let own = cx.shape_part(self.empty, 1, rank)?;
            return stack(cx, list, length, own, backwards);
        }
        let none = cx.with_number("equal", length, 0.0)?;
        let (node, source) = (cx.bare(), cx.describe());
        let around = &mut *cx.around;
        let results = cx.sink.if_else(none, &mut |sink, none| {
            sink.set_source(&source);
            if none {
                return Ok(vec![self.empty]);
            }
            let mut cx = NodeCx::new(node.clone(), Vec::new(), sink, &mut *around);
            let zero = cx.int_scalar(0);
            let first = cx.binary("sequence_at", list, zero)?;
            let own = cx.shape_of(first)?;
            Ok(vec![stack(&mut cx, list, length, own, backwards)?])
        })?;
        results.first().copied().ok_or_else(|| bad("a branch has no result"))
    }
}

/// So many items of a sequence, of sizes that a vector says, along a new first axis.
fn stack(
    cx: &mut NodeCx<'_, '_>,
    list: Value,
    length: Value,
    own: Value,
    backwards: bool,
) -> Result<Value, Diagnostic> {
    let count = cx.unsqueeze(length, &[0])?;
    let shape = cx.concat(&[count, own], 0)?;
    let zero = cx.int_scalar(0);
    let last = cx.with_number("sub", length, 1.0)?;
    let ty = cx.sink.type_of(list).as_sequence().and_then(|it| it.as_tensor().map(|it| it.dtype));
    let dtype = ty.ok_or_else(|| bad("it collects what is no tensor"))?;
    let nothing = cx.number(dtype, 0.0);
    let whole = cx.full(shape, nothing)?;
    let rank = cx.rank(whole)?;
    let results = counted(cx, length, &[whole], &mut |cx, turn, carried| {
        let &[whole] = carried else { return Err(bad("the loop carries one value")) };
        let item = cx.binary("sequence_at", list, turn)?;
        let item = cx.unsqueeze(item, &[0])?;
        let (own, wanted) = (cx.dims(item), cx.dims(whole));
        for (axis, (own, wanted)) in own.iter().flatten().zip(wanted.iter().flatten()).enumerate().skip(1) {
            let message = format!("dimension {} of what a loop collects", axis - 1);
            cx.sink.check(Constraint::Eq(*own, *wanted), &message)?;
        }
        let place = if backwards { cx.binary("sub", last, turn)? } else { turn };
        let starts: Vec<Value> = (0..rank).map(|axis| if axis == 0 { place } else { zero }).collect();
        let starts = starts.into_iter().map(|it| cx.unsqueeze(it, &[0])).collect::<Result<Vec<_>, _>>()?;
        let starts = cx.concat(&starts, 0)?;
        Ok(vec![cx.emit("update_slice", Attrs::none(), &[whole, item, starts])?])
    })?;
    Ok(results[0])
}

/// Whether a body gives a value that it carries as it got it.
fn keeps(body: &GraphProto, carried: usize) -> bool {
    let mut name = &body.output[1 + carried].name;
    // Each step is a node, and a name has one.
    for _ in 0..=body.node.len() {
        if *name == body.input[2 + carried].name {
            return true;
        }
        let from = body
            .node
            .iter()
            .find(|it| it.output.first() == Some(name) && it.op_type == "Identity" && it.domain.is_empty());
        let Some(from) = from.and_then(|it| it.input.first()) else { return false };
        name = from;
    }
    false
}

/// A loop whose results are the last carried values, and what was collected. What every turn leaves as it is is read where
/// it is and not carried: exporters pass weights through.
fn while_loop(
    cx: &mut NodeCx<'_, '_>,
    limit: Option<Value>,
    start: Value,
    whole: &[Value],
    collected: &[Collected],
) -> Converted {
    let body = cx.graph("body")?;
    let ranks = carried_ranks(cx, whole)?;
    let is_kept = |cx: &NodeCx<'_, '_>, i: usize| {
        let value = whole[i];
        keeps(body, i) && cx.around.ranked(value).is_none() && !is_optional(&*cx.sink, value)
    };
    let moving: Vec<usize> = (0..whole.len()).filter(|i| !is_kept(cx, *i)).collect();
    let initial: Vec<Value> = moving.iter().map(|i| whole[*i]).collect();
    let ranks: Vec<Vec<usize>> = moving.iter().map(|i| ranks[*i].clone()).collect();
    // All that the body knows of, where these are those that are carried.
    let all = |carried: &[Value]| {
        let mut all = whole.to_vec();
        moving.iter().zip(carried).for_each(|(i, it)| all[*i] = *it);
        all
    };
    let varying: Vec<usize> = (0..initial.len()).filter(|i| ranks[*i].len() > 1).collect();
    let zero = cx.int_scalar(0);
    let mut init = vec![zero, start];
    init.extend_from_slice(&initial);
    // A carried value whose rank changes has the most dimensions that it may have, and its rank beside it.
    for i in &varying {
        let [value, rank] = cx.of_ranks(initial[*i], None, &ranks[*i])?;
        init[2 + i] = value;
        init.push(rank);
    }
    for it in collected {
        init.push(it.no_items(cx)?);
    }
    // A loop may begin with an optional and go on with what one holds.
    let optional: Vec<bool> = initial.iter().map(|it| is_optional(&*cx.sink, *it)).collect();
    let mut opened = vec![false; initial.len()];
    let node = cx.bare();
    let source = cx.describe();
    let around = &mut *cx.around;
    let mut part = |sink: &mut dyn Sink, part: LoopPart, values: &[Value]| {
        let [turn, go_on, rest @ ..] = values else { return Err(bad("the loop carries too few values")) };
        let (carried, rest) = rest.split_at(initial.len());
        let (own_ranks, lists) = rest.split_at(varying.len());
        sink.set_source(&source);
        match part {
            LoopPart::Condition => {
                let Some(limit) = limit else { return Ok(vec![*go_on]) };
                let mut cx = NodeCx::new(node.clone(), Vec::new(), sink, around);
                let below = cx.binary("less", *turn, limit)?;
                Ok(vec![cx.binary("and", below, *go_on)?])
            }
            LoopPart::Body => {
                let mut inputs = vec![*turn, *go_on];
                inputs.extend(all(carried));
                for (i, rank) in varying.iter().zip(own_ranks) {
                    around.note_ranked(carried[*i], Ranked { rank: *rank, ranks: ranks[*i].clone() });
                }
                let results = around.subgraph(sink, body, &inputs)?;
                sink.set_source(&source);
                let mut cx = NodeCx::new(node.clone(), Vec::new(), sink, around);
                let one = cx.int_scalar(1);
                let mut next = vec![cx.binary("add", *turn, one)?, condition(&mut cx, results[0])?];
                let (carried, values) = results[1..].split_at(whole.len());
                let carried: Vec<Value> = moving.iter().map(|i| carried[*i]).collect();
                for (i, value) in carried.iter().enumerate() {
                    opened[i] = optional[i] && !is_optional(&*cx.sink, *value);
                    next.push(if opened[i] { cx.unary("optional_some", *value)? } else { *value });
                }
                let fixed = (0..carried.len()).filter(|i| !varying.contains(i)).map(|i| carried[i]);
                if fixed.chain(values.iter().copied()).any(|it| cx.around.ranked(it).is_some()) {
                    return Err(cx.unforeseen_rank());
                }
                for i in &varying {
                    let ranked = cx.around.ranked(carried[*i]);
                    let [value, rank] = cx.of_ranks(carried[*i], ranked, &ranks[*i])?;
                    next[2 + i] = value;
                    next.push(rank);
                }
                for (list, value) in lists.iter().zip(values) {
                    next.push(cx.binary("sequence_insert", *list, *value)?);
                }
                Ok(next)
            }
        }
    };
    let results = cx.sink.while_loop(&init, &mut part)?;
    let mut results: Vec<Value> = results.into_iter().skip(2).collect();
    let lists = results.len() - collected.len();
    for (list, collected) in results[lists..].iter_mut().zip(collected) {
        *list = collected.stacked(cx, *list, false)?;
    }
    let own_ranks: Vec<Value> = results.drain(initial.len()..initial.len() + varying.len()).collect();
    for i in (0..initial.len()).filter(|i| opened[*i]) {
        results[i] = cx.unary("optional_get", results[i])?;
    }
    for (i, rank) in varying.into_iter().zip(own_ranks) {
        cx.around.note_ranked(results[i], Ranked { rank, ranks: ranks[i].clone() });
    }
    let lists = results.split_off(initial.len());
    let mut results = all(&results);
    results.extend(lists);
    Ok(results)
}

fn is_optional(sink: &dyn Sink, value: Value) -> bool {
    matches!(sink.type_of(value), Type::Optional(_))
}

/// The ranks that each carried value takes in some turn, in increasing order: what the body makes of those that it had
/// before, until there are no others.
fn carried_ranks(cx: &mut NodeCx<'_, '_>, initial: &[Value]) -> Result<Vec<Vec<usize>>, Diagnostic> {
    // What is no tensor has no rank; that of a tensor must be known.
    let own = |value: &Value| match cx.sink.type_of(*value) {
        Type::Tensor(ty) => ty.shape.rank().map(|it| vec![it]),
        _ => Some(Vec::new()),
    };
    let own: Option<Vec<Vec<usize>>> = initial.iter().map(own).collect();
    let Some(own) = own else { return Ok(vec![Vec::new(); initial.len()]) };
    let node = cx.proto();
    if let Some(known) = cx.around.loop_ranks(&*cx.sink, node) {
        return Ok(known);
    }
    let mut ranks = own;
    let mut grown = true;
    while grown {
        // A body that cannot be built is refused when it is.
        let Ok(found) = ranks_after_turn(cx, initial, &ranks) else { break };
        grown = false;
        for (i, (ranks, found)) in ranks.iter_mut().zip(found).enumerate() {
            for rank in found {
                if let Err(place) = ranks.binary_search(&rank) {
                    ranks.insert(place, rank);
                    grown = true;
                }
            }
            if ranks.len() > 1 && ranks.last().is_some_and(|it| *it > MAX_RANK) {
                let name = node.input.get(i + 2).map_or("", String::as_str);
                let message = format!(
                    "what it carries from `{}` on may get more than {MAX_RANK} dimensions, one or more each turn",
                    printable(name)
                );
                return Err(not_supported(message));
            }
        }
    }
    cx.around.note_loop_ranks(&*cx.sink, node, ranks.clone());
    Ok(ranks)
}

/// The ranks that carried values of these ranks have after a turn, found with a probe.
fn ranks_after_turn(
    cx: &mut NodeCx<'_, '_>,
    initial: &[Value],
    ranks: &[Vec<usize>],
) -> Result<Vec<Vec<usize>>, Diagnostic> {
    let body = cx.graph("body")?;
    let types: Vec<Type> = initial.iter().map(|it| cx.sink.type_of(*it).clone()).collect();
    let mut probe = Probe::over(cx.sink);
    let mut inputs =
        vec![probe.value(Type::tensor(DType::I64, [])), probe.value(Type::tensor(DType::Bool, []))];
    let mut ranked = Vec::new();
    for ((value, ty), ranks) in initial.iter().zip(types).zip(ranks) {
        let Some(tensor) = ty.as_tensor().filter(|_| ranks.len() > 1) else {
            inputs.push(*value);
            continue;
        };
        let most = ranks.last().copied().unwrap_or_default();
        let dims: Dims = (0..most).map(|_| probe.shapes().fresh("size")).collect();
        let value = probe.value(Type::tensor(tensor.dtype, dims));
        let rank = probe.value(Type::tensor(DType::I64, []));
        ranked.push((value, Ranked { rank, ranks: ranks.clone() }));
        inputs.push(value);
    }
    let results = cx.around.try_subgraph(&mut probe, body, &inputs, &ranked)?;
    let carried = results.into_iter().skip(1).take(initial.len()).map(|(value, ranked)| match ranked {
        Some(ranked) => ranked.ranks,
        None => probe.type_of(value).as_tensor().and_then(|it| it.shape.rank()).into_iter().collect(),
    });
    Ok(carried.collect())
}

/// A loop that collects a value of every turn, for any number of turns.
fn collecting(cx: &mut NodeCx<'_, '_>, limit: Option<Value>, start: Value, initial: &[Value]) -> Converted {
    let integer = |dtype| Type::tensor(dtype, []);
    let (turn, go_on) = (integer(DType::I64), integer(DType::Bool));
    let found = probed(cx, initial, |probe| [probe.value(turn), probe.value(go_on)])?.1;
    let mut collected = Vec::new();
    for found in found.into_iter().skip(initial.len()) {
        collected.push(nothing(cx, &found, initial)?);
    }
    while_loop(cx, limit, start, initial, &collected)
}

/// What a probe finds out about a result.
pub(super) struct Found {
    ty: Type,
    /// The dimensions that are numbers. What a dimension of the probe is otherwise, nobody else can ask.
    numbers: Vec<Option<i64>>,
}

/// What the body returns for such a turn and condition, without building it: whether it is known to go on, and what the
/// other results are.
fn probed(
    cx: &mut NodeCx<'_, '_>,
    initial: &[Value],
    head: impl FnOnce(&mut Probe<'_>) -> [Value; 2],
) -> Result<(Option<bool>, Vec<Found>), Diagnostic> {
    let body = cx.graph("body")?;
    let mut probe = Probe::over(cx.sink);
    let mut inputs = head(&mut probe).to_vec();
    inputs.extend_from_slice(initial);
    let results = cx.around.try_subgraph(&mut probe, body, &inputs, &[])?;
    let results: Vec<Value> = results.into_iter().map(|it| it.0).collect();
    let found = results[1..].iter().map(|it| found_of(&mut probe, *it));
    let found = found.collect();
    Ok((probe.decided(results[0]), found))
}

pub(super) fn found_of(probe: &mut Probe<'_>, value: Value) -> Found {
    let ty = probe.type_of(value).clone();
    let dims = ty.as_tensor().and_then(|it| it.dims()).unwrap_or_default();
    let numbers = dims.iter().map(|it| probe.shapes().as_int(*it)).collect();
    Found { ty, numbers }
}

/// An empty list of values of a type. Dimensions that are no numbers are those of a carried value, else 0 until the first
/// turn.
pub(super) fn nothing(
    cx: &mut NodeCx<'_, '_>,
    found: &Found,
    initial: &[Value],
) -> Result<Collected, Diagnostic> {
    let tensor = found.ty.as_tensor().ok_or_else(|| bad("it collects what is no tensor"))?;
    let rank = tensor.shape.rank();
    let rank =
        rank.ok_or_else(|| not_supported("it collects values whose number of dimensions is not known"))?;
    let mut sizes = vec![Size::Const(0)];
    let mut first_decides = false;
    for axis in 0..rank {
        let dim = tensor.dims().map(|it| it[axis]);
        let number = found.numbers.get(axis).copied().flatten();
        let like = |value: &Value| {
            let at = cx.dims(*value)?.iter().position(|it| Some(*it) == dim)?;
            Some(Size::Of(*value, at))
        };
        sizes.push(match number {
            Some(number) => Size::Const(number),
            None => initial.iter().find_map(like).unwrap_or_else(|| {
                first_decides = true;
                Size::Const(0)
            }),
        });
    }
    let shape = cx.shape_vector(&sizes)?;
    let zero = cx.number(tensor.dtype, 0.0);
    Ok(Collected { empty: cx.full(shape, zero)?, first_decides })
}

fn known(cx: &mut NodeCx<'_, '_>, value: Value) -> Option<i64> {
    match cx.known_ints(value).as_deref() {
        Some([it]) => Some(*it),
        _ => None,
    }
}

/// How many turns a loop makes when that is known, small, and not for its body to decide.
fn few_turns(
    cx: &mut NodeCx<'_, '_>,
    limit: Option<Value>,
    start: Value,
    initial: &[Value],
) -> Result<Option<i64>, Diagnostic> {
    let Some(turns) = limit.and_then(|it| known(cx, it)).filter(|it| (1..=MAX_TURNS).contains(it)) else {
        return Ok(None);
    };
    if known(cx, start) != Some(1) {
        return Ok(None);
    }
    let number = |dtype, number| TensorData::from_f64(dtype, &[], [number]);
    let (turn, go_on) = (number(DType::I64, 0.0), number(DType::Bool, 1.0));
    let first = probed(cx, initial, |probe| [probe.constant("", turn), probe.constant("", go_on)])?;
    Ok((first.0 == Some(true)).then_some(turns))
}

/// A loop that collects a value of every turn, turn by turn.
fn unrolled(cx: &mut NodeCx<'_, '_>, turns: i64, initial: &[Value]) -> Converted {
    let body = cx.graph("body")?;
    let mut carried = initial.to_vec();
    let mut collected: Vec<Vec<Value>> = vec![Vec::new(); body.output.len() - 1 - carried.len()];
    let go_on = truth(cx, true);
    for turn in 0..turns {
        let mut inputs = vec![cx.int_scalar(turn), go_on];
        inputs.extend_from_slice(&carried);
        let results = cx.around.subgraph(cx.sink, body, &inputs)?;
        for (list, value) in collected.iter_mut().zip(&results[1 + carried.len()..]) {
            list.push(cx.unsqueeze(*value, &[0])?);
        }
        carried = results[1..1 + carried.len()].to_vec();
        match known(cx, results[0]) {
            Some(0) => break,
            Some(_) => {}
            None => {
                return Err(not_supported(
                    "a short loop decides by itself when to end, but not in its first turn",
                ));
            }
        }
    }
    for list in collected {
        carried.push(cx.concat(&list, 0)?);
    }
    Ok(carried)
}
