//! Branches and loops.

use crate::node::{Node, NodeCx, bad, not_supported};
use crate::sink::{LoopPart, Sink, Value};
use crate::table::{Converted, OpTable};
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::{DType, TensorData};

/// A loop that collects results is unrolled when it makes at most this many turns.
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
    if let Some([known]) = cx.const_ints(cond).as_deref() {
        let graph = if *known != 0 { branches.0 } else { branches.1 };
        return cx.importer.subgraph(cx.sink, graph, &[], cx.scope);
    }
    let source = cx.describe();
    let (importer, scope) = (&mut *cx.importer, cx.scope);
    cx.sink.if_else(cond, &mut |sink, taken| {
        let graph = if taken { branches.0 } else { branches.1 };
        let results = importer.subgraph(sink, graph, &[], scope)?;
        sink.set_source(&source);
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
    if (1 + carried..body.output.len()).any(|i| cx.wants_output(i - 1)) {
        return unrolled(cx, limit, start, &initial);
    }
    while_loop(cx, limit, start, &initial)
}

fn truth(cx: &mut NodeCx<'_, '_>, value: bool) -> Value {
    cx.constant(TensorData::from_f64(DType::Bool, &[], [f64::from(u8::from(value))]))
}

/// A loop whose only results are the last carried values.
fn while_loop(cx: &mut NodeCx<'_, '_>, limit: Option<Value>, start: Value, initial: &[Value]) -> Converted {
    let body = cx.graph("body")?;
    let zero = cx.int_scalar(0);
    let mut init = vec![zero, start];
    init.extend_from_slice(initial);
    let node = cx.bare();
    let source = cx.describe();
    let (importer, scope) = (&mut *cx.importer, cx.scope);
    let mut part = |sink: &mut dyn Sink, part: LoopPart, values: &[Value]| {
        let [turn, go_on, carried @ ..] = values else { return Err(bad("the loop carries too few values")) };
        sink.set_source(&source);
        match part {
            LoopPart::Condition => {
                let Some(limit) = limit else { return Ok(vec![*go_on]) };
                let mut cx = NodeCx::new(node.clone(), Vec::new(), sink, importer, scope);
                let below = cx.binary("less", *turn, limit)?;
                Ok(vec![cx.binary("and", below, *go_on)?])
            }
            LoopPart::Body => {
                let mut inputs = vec![*turn, *go_on];
                inputs.extend_from_slice(carried);
                let results = importer.subgraph(sink, body, &inputs, scope)?;
                sink.set_source(&source);
                let mut cx = NodeCx::new(node.clone(), Vec::new(), sink, importer, scope);
                let one = cx.int_scalar(1);
                let mut next = vec![cx.binary("add", *turn, one)?, condition(&mut cx, results[0])?];
                next.extend_from_slice(&results[1..1 + carried.len()]);
                Ok(next)
            }
        }
    };
    let results = cx.sink.while_loop(&init, &mut part)?;
    Ok(results.into_iter().skip(2).collect())
}

/// A loop that collects a value of every turn: only with a known, small number of turns.
fn unrolled(cx: &mut NodeCx<'_, '_>, limit: Option<Value>, start: Value, initial: &[Value]) -> Converted {
    const REASON: &str = "a loop that collects a value of every turn needs a known, small number of turns";
    let known = |cx: &mut NodeCx<'_, '_>, value: Value| match cx.const_ints(value).as_deref() {
        Some([it]) => Some(*it),
        _ => None,
    };
    let turns = limit.and_then(|it| known(cx, it)).ok_or_else(|| not_supported(REASON))?;
    if known(cx, start) != Some(1) || turns > MAX_TURNS {
        return Err(not_supported(REASON));
    }
    let body = cx.graph("body")?;
    let mut carried = initial.to_vec();
    let mut collected: Vec<Vec<Value>> = vec![Vec::new(); body.output.len() - 1 - carried.len()];
    if turns <= 0 {
        return Err(not_supported("a loop that collects values makes no turn"));
    }
    let go_on = truth(cx, true);
    for turn in 0..turns {
        let mut inputs = vec![cx.int_scalar(turn), go_on];
        inputs.extend_from_slice(&carried);
        let results = cx.importer.subgraph(cx.sink, body, &inputs, cx.scope)?;
        if known(cx, results[0]) != Some(1) {
            return Err(not_supported("a loop that collects values decides by itself when to end"));
        }
        for (list, value) in collected.iter_mut().zip(&results[1 + carried.len()..]) {
            list.push(cx.unsqueeze(*value, &[0])?);
        }
        carried = results[1..1 + carried.len()].to_vec();
    }
    for list in collected {
        carried.push(cx.concat(&list, 0)?);
    }
    Ok(carried)
}
