//! Einsum as transposes, reductions, and one matrix product for each pair of operands.

use super::index::{count_up, extent};
use crate::emit::{Size, attrs};
use crate::node::{Node, NodeCx, bad};
use crate::sink::Value;
use indexmap::IndexMap;
use orogen_ir::diag::Diagnostic;
use orogen_ir::shape::Constraint;

/// A label of a dimension; the dimensions of an ellipsis are numbered from the last one.
type Label = u32;

/// First label of the dimensions of an ellipsis.
const ELLIPSIS: Label = 0x11_0000;

/// A parsed equation: labels of each operand and of the result. An ellipsis is one entry [`ELLIPSIS`].
struct Equation {
    operands: Vec<Vec<Label>>,
    result: Option<Vec<Label>>,
}

/// An operand with the labels of its dimensions, each once.
#[derive(Clone)]
struct Term {
    value: Value,
    labels: Vec<Label>,
}

pub(super) fn check(node: &Node<'_>) -> Result<(), String> {
    let equation = parse(node.text("equation").unwrap_or(""))?;
    match equation.operands.len() == node.input_count() {
        true => Ok(()),
        false => Err("its equation has another number of operands".into()),
    }
}

fn parse(text: &str) -> Result<Equation, String> {
    let text: String = text.chars().filter(|it| !it.is_whitespace()).collect();
    let (operands, result) = match text.split_once("->") {
        Some((operands, result)) => (operands, Some(result)),
        None => (text.as_str(), None),
    };
    let labels = |text: &str| {
        let mut labels = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("...") {
                if labels.contains(&ELLIPSIS) {
                    return Err(format!("its equation has two ellipses in `{text}`"));
                }
                labels.push(ELLIPSIS);
                rest = after;
            } else if first.is_alphabetic() {
                labels.push(first as Label);
                rest = &rest[first.len_utf8()..];
            } else {
                return Err(format!("its equation has an unknown sign `{first}`"));
            }
        }
        Ok(labels)
    };
    let operands = operands.split(',').map(labels).collect::<Result<Vec<_>, _>>()?;
    let result = result.map(labels).transpose()?;
    if let Some(result) = &result {
        for (i, label) in result.iter().enumerate() {
            let known = *label == ELLIPSIS || operands.iter().any(|it| it.contains(label));
            if !known || result[..i].contains(label) {
                return Err("its equation has a result dimension that is unknown or repeated".into());
            }
        }
    }
    Ok(Equation { operands, result })
}

pub(super) fn einsum(cx: &mut NodeCx<'_, '_>) -> Result<Value, Diagnostic> {
    let equation = parse(cx.text("equation").unwrap_or("")).map_err(bad)?;
    let values = cx.all_inputs()?;
    let mut terms = Vec::new();
    let mut widest = 0;
    for (value, labels) in values.iter().zip(&equation.operands) {
        let rank = cx.rank(*value)?;
        let (labels, extra) = spell_out(labels, rank)?;
        widest = widest.max(extra);
        terms.push(diagonal(cx, *value, labels)?);
    }
    let result = match &equation.result {
        Some(labels) => {
            let length = labels.len() + if labels.contains(&ELLIPSIS) { widest } else { 0 };
            spell_out(labels, length.saturating_sub(usize::from(labels.contains(&ELLIPSIS))))?.0
        }
        None => implicit_result(&equation.operands, widest),
    };
    let mut pending = terms.into_iter();
    let mut term = pending.next().ok_or_else(|| bad("it has no operands"))?;
    let mut rest: Vec<Term> = pending.collect();
    while !rest.is_empty() {
        let next = rest.remove(0);
        let wanted =
            |label: &Label| result.contains(label) || rest.iter().any(|it| it.labels.contains(label));
        term = contract(cx, term, next, &wanted)?;
    }
    let term = sum_out(cx, term, &|label| result.contains(label))?;
    // A dimension of the result that only an ellipsis of fewer dimensions would have does not exist here: the
    // widest ellipsis has them all.
    let perm: Vec<usize> = result
        .iter()
        .map(|label| position(&term.labels, *label).ok_or_else(|| bad("its result has an unknown dimension")))
        .collect::<Result<_, _>>()?;
    cx.transpose(term.value, &perm)
}

/// Replaces the ellipsis by the labels of its dimensions; also says how many these are.
fn spell_out(labels: &[Label], rank: usize) -> Result<(Vec<Label>, usize), Diagnostic> {
    let Some(at) = position(labels, ELLIPSIS) else {
        return match labels.len() == rank {
            true => Ok((labels.to_vec(), 0)),
            false => Err(bad(format!("its equation names {} dimensions of {rank}", labels.len()))),
        };
    };
    let extra = (rank + 1)
        .checked_sub(labels.len())
        .ok_or_else(|| bad(format!("its equation names more than {rank} dimensions")))?;
    let dims = (0..extra).rev().map(|i| ELLIPSIS + i as Label);
    let list = labels[..at].iter().copied().chain(dims).chain(labels[at + 1..].iter().copied());
    Ok((list.collect(), extra))
}

/// Without a written result: the ellipsis, then every label that occurs once, sorted.
fn implicit_result(operands: &[Vec<Label>], widest: usize) -> Vec<Label> {
    let mut counts: IndexMap<Label, usize> = IndexMap::new();
    for label in operands.iter().flatten().filter(|it| **it != ELLIPSIS) {
        *counts.entry(*label).or_default() += 1;
    }
    let mut single: Vec<Label> = counts.into_iter().filter(|(_, n)| *n == 1).map(|(it, _)| it).collect();
    single.sort_unstable();
    (0..widest).rev().map(|i| ELLIPSIS + i as Label).chain(single).collect()
}

fn position(labels: &[Label], label: Label) -> Option<usize> {
    labels.iter().position(|it| *it == label)
}

/// Keeps only the diagonal of dimensions that share a label. With those between them they are one, of which places are
/// taken that are so far apart as both dimensions together move.
fn diagonal(cx: &mut NodeCx<'_, '_>, value: Value, labels: Vec<Label>) -> Result<Term, Diagnostic> {
    let mut term = Term { value, labels };
    while let Some((first, second)) = repeated(&term.labels) {
        let x = term.value;
        let dims = cx.dims(x).ok_or_else(|| bad("the shape of an operand is not known"))?;
        let (a, b) = (dims[first], dims[second]);
        cx.sink.check(Constraint::Eq(a, b), "dimensions of an operand that share a label are equal")?;
        let rank = term.labels.len();
        let between: Vec<usize> = (first + 1..second).collect();
        let mut sizes: Vec<Size> = (0..first).map(|it| Size::Of(x, it)).collect();
        sizes.push(Size::Product(x, (first..=second).collect()));
        sizes.extend((second + 1..rank).map(|it| Size::Of(x, it)));
        let rows = cx.reshape_to(x, &sizes)?;
        let n = extent(cx, x, first)?;
        let mut inner = cx.int_scalar(1);
        for axis in &between {
            let size = extent(cx, x, *axis)?;
            inner = cx.binary("mul", inner, size)?;
        }
        let step = cx.binary("mul", inner, n)?;
        let step = cx.with_number("add", step, 1.0)?;
        let places = count_up(cx, n)?;
        let mut places = cx.binary("mul", places, step)?;
        if !between.is_empty() {
            let others = count_up(cx, inner)?;
            let others = cx.binary("mul", others, n)?;
            let column = cx.unsqueeze(places, &[1])?;
            places = cx.binary("add", column, others)?;
        }
        let axis = [("axis", (first as i64).into())];
        term.value = cx.emit("gather", attrs(axis), &[rows, places])?;
        if between.len() > 1 {
            let mut sizes: Vec<Size> = (0..second).map(|it| Size::Of(x, it)).collect();
            sizes.extend((second + 1..rank).map(|it| Size::Of(x, it)));
            term.value = cx.reshape_to(term.value, &sizes)?;
        }
        term.labels.remove(second);
    }
    Ok(term)
}

fn repeated(labels: &[Label]) -> Option<(usize, usize)> {
    (0..labels.len()).find_map(|j| labels[..j].iter().position(|it| *it == labels[j]).map(|i| (i, j)))
}

/// Sums over the dimensions that are not wanted.
fn sum_out(cx: &mut NodeCx<'_, '_>, term: Term, wanted: &dyn Fn(&Label) -> bool) -> Result<Term, Diagnostic> {
    let axes: Vec<i64> =
        (0..term.labels.len()).filter(|i| !wanted(&term.labels[*i])).map(|i| i as i64).collect();
    let value = cx.reduce("reduce_sum", term.value, &axes, false)?;
    Ok(Term { value, labels: term.labels.into_iter().filter(|it| wanted(it)).collect() })
}

/// The product of two terms, summed over shared dimensions that nothing else wants.
fn contract(
    cx: &mut NodeCx<'_, '_>,
    a: Term,
    b: Term,
    wanted: &dyn Fn(&Label) -> bool,
) -> Result<Term, Diagnostic> {
    let a = sum_out(cx, a, &|label| wanted(label) || b.labels.contains(label))?;
    let b = sum_out(cx, b, &|label| wanted(label) || a.labels.contains(label))?;
    let shared: Vec<Label> = a.labels.iter().copied().filter(|it| b.labels.contains(it)).collect();
    let (batch, summed): (Vec<Label>, Vec<Label>) = shared.into_iter().partition(|it| wanted(it));
    let only = |term: &Term, other: &Term| -> Vec<Label> {
        term.labels.iter().copied().filter(|it| !other.labels.contains(it)).collect()
    };
    let (rows, columns) = (only(&a, &b), only(&b, &a));
    let order = |term: &Term, groups: [&[Label]; 3]| -> Vec<usize> {
        let labels = groups.into_iter().flatten();
        labels.filter_map(|label| position(&term.labels, *label)).collect()
    };
    let labels: Vec<Label> = batch.iter().chain(&rows).chain(&columns).copied().collect();
    if summed.is_empty() {
        // An outer product: broadcast.
        let left = cx.transpose(a.value, &order(&a, [&batch, &rows, &[]]))?;
        let right = cx.transpose(b.value, &order(&b, [&batch, &[], &columns]))?;
        let new: Vec<i64> = (0..columns.len()).map(|i| (batch.len() + rows.len() + i) as i64).collect();
        let left = cx.unsqueeze(left, &new)?;
        let new: Vec<i64> = (0..rows.len()).map(|i| (batch.len() + i) as i64).collect();
        let right = cx.unsqueeze(right, &new)?;
        return Ok(Term { value: cx.binary("mul", left, right)?, labels });
    }
    let left = cx.transpose(a.value, &order(&a, [&batch, &rows, &summed]))?;
    let right = cx.transpose(b.value, &order(&b, [&batch, &summed, &columns]))?;
    let merged_left = merge(cx, left, batch.len(), rows.len(), summed.len())?;
    let merged_right = merge(cx, right, batch.len(), summed.len(), columns.len())?;
    let product = cx.binary("matmul", merged_left, merged_right)?;
    let value = if rows.len() == 1 && columns.len() == 1 {
        product
    } else {
        let mut sizes: Vec<Size> = (0..batch.len()).map(|i| Size::Of(product, i)).collect();
        sizes.extend((0..rows.len()).map(|i| Size::Of(left, batch.len() + i)));
        sizes.extend((0..columns.len()).map(|i| Size::Of(right, batch.len() + summed.len() + i)));
        cx.reshape_to(product, &sizes)?
    };
    Ok(Term { value, labels })
}

/// The batch dimensions as they are, then two groups of dimensions as one each.
fn merge(
    cx: &mut NodeCx<'_, '_>,
    value: Value,
    batch: usize,
    first: usize,
    second: usize,
) -> Result<Value, Diagnostic> {
    if first == 1 && second == 1 {
        return Ok(value);
    }
    let mut sizes: Vec<Size> = (0..batch).map(|i| Size::Of(value, i)).collect();
    sizes.push(Size::Product(value, (batch..batch + first).collect()));
    sizes.push(Size::Product(value, (batch + first..batch + first + second).collect()));
    cx.reshape_to(value, &sizes)
}
