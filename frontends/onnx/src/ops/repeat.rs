//! Loops that converters write.

use crate::node::{NodeCx, bad};
use crate::sink::{LoopPart, Sink, Value};
use orogen_ir::diag::Diagnostic;

/// Whether a loop goes on, from the carried values.
type More<'f, 'm> = dyn FnMut(&mut NodeCx<'_, 'm>, &[Value]) -> Result<Value, Diagnostic> + 'f;
/// The carried values to the next ones.
type Step<'f, 'm> = dyn FnMut(&mut NodeCx<'_, 'm>, &[Value]) -> Result<Vec<Value>, Diagnostic> + 'f;
/// The body of a counted loop: the number of the turn and the carried values to the next ones.
pub(super) type Turn<'f, 'm> =
    dyn FnMut(&mut NodeCx<'_, 'm>, Value, &[Value]) -> Result<Vec<Value>, Diagnostic> + 'f;

/// A loop over values while something holds of them.
pub(super) fn repeated<'m>(
    cx: &mut NodeCx<'_, 'm>,
    initial: &[Value],
    more: &mut More<'_, 'm>,
    step: &mut Step<'_, 'm>,
) -> Result<Vec<Value>, Diagnostic> {
    let (node, source) = (cx.bare(), cx.describe());
    let around = &mut *cx.around;
    let mut part = |sink: &mut dyn Sink, part: LoopPart, values: &[Value]| {
        sink.set_source(&source);
        let mut cx = NodeCx::new(node.clone(), Vec::new(), sink, &mut *around);
        match part {
            LoopPart::Condition => Ok(vec![more(&mut cx, values)?]),
            LoopPart::Body => step(&mut cx, values),
        }
    };
    cx.sink.while_loop(initial, &mut part)
}

/// A loop of `limit` turns, an integer of rank 0.
pub(super) fn counted<'m>(
    cx: &mut NodeCx<'_, 'm>,
    limit: Value,
    initial: &[Value],
    turn: &mut Turn<'_, 'm>,
) -> Result<Vec<Value>, Diagnostic> {
    let mut init = vec![cx.int_scalar(0)];
    init.extend_from_slice(initial);
    let source = cx.describe();
    let few = || bad("the loop carries too few values");
    let more = &mut |cx: &mut NodeCx<'_, 'm>, values: &[Value]| {
        cx.binary("less", *values.first().ok_or_else(few)?, limit)
    };
    let results = repeated(cx, &init, more, &mut |cx, values| {
        let [count, carried @ ..] = values else { return Err(few()) };
        let results = turn(cx, *count, carried)?;
        cx.sink.set_source(&source);
        let one = cx.int_scalar(1);
        let mut next = vec![cx.binary("add", *count, one)?];
        next.extend(results);
        Ok(next)
    })?;
    Ok(results.into_iter().skip(1).collect())
}
