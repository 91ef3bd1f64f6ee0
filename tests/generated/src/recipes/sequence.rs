//! Sequences and optionals.

use super::Table;
use crate::attributes::{int, number};
use crate::draw::{Draft, Draw, Id};
use crate::value::{Kind, Rounding};
use orogen_reference::Value;

pub(super) const RECIPES: Table = &[
    ("SequenceConstruct", construct),
    ("SequenceEmpty", empty),
    ("SequenceInsert", insert),
    ("SequenceErase", at),
    ("SequenceAt", at),
    ("SequenceLength", length),
    ("SplitToSequence", split),
    ("ConcatFromSequence", concat),
    ("Optional", optional),
    ("OptionalHasElement", opened),
    ("OptionalGetElement", opened),
];

fn sequence(draw: &mut Draw<'_>) -> Option<Id> {
    let ids = draw.candidates(|it| matches!(it.kind, Kind::Sequence(_)));
    match draw.recent(&ids) {
        Some(id) if !draw.once_in(6) => Some(id),
        _ => {
            let draft = match draw.random.below(3) {
                0 => split(draw, "SplitToSequence")?,
                _ => construct(draw, "SequenceConstruct")?,
            };
            draw.add(draft).map(|it| it[0])
        }
    }
}

fn construct(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.numbers(0..=3);
    let dtype = draw.dtype_of(x);
    let mut ids = vec![x];
    for _ in 0..draw.random.below(3) {
        let rank = draw.values[x].rank();
        ids.push(draw.found(|it, of| of == dtype && it.rank() == rank).unwrap_or(x));
    }
    let names: Vec<&str> = ids.iter().map(|it| draw.name(*it)).collect();
    Some(Draft::new(op, &names, Rounding::Exact))
}

fn empty(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let dtype = draw.number_type();
    Some(Draft::new(op, &[], Rounding::Exact).with(int("dtype", i64::from(number(dtype)))))
}

/// The fewest items of a sequence.
fn least(draw: &Draw<'_>, id: Id) -> usize {
    let count = |it: &Value| if let Value::Sequence(items) = it { items.len() } else { 0 };
    draw.values[id].samples.iter().map(|it| count(&it.plain)).min().unwrap_or(0)
}

fn insert(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let list = sequence(draw)?;
    let Kind::Sequence(dtype) = draw.values[list].kind else { return None };
    let item = match draw.found(|_, of| of == dtype) {
        Some(found) => found,
        None => draw.new_tensor(dtype, 0..=2),
    };
    let mut names = vec![draw.name(list).to_owned(), draw.name(item).to_owned()];
    if draw.random.coin() {
        let at = draw.random.below(least(draw, list) + 1) as i64;
        names.push(draw.int(at));
    }
    Some(Draft::new(op, &names.iter().map(String::as_str).collect::<Vec<_>>(), Rounding::Exact))
}

fn at(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let list = sequence(draw)?;
    let n = least(draw, list);
    if n == 0 {
        return None;
    }
    let at = draw.random.below(n) as i64 - if draw.once_in(3) { n as i64 } else { 0 };
    let at = draw.int(at);
    Some(Draft::new(op, &[draw.name(list), &at], Rounding::Exact))
}

fn length(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let list = sequence(draw)?;
    Some(Draft::new(op, &[draw.name(list)], Rounding::Exact))
}

fn split(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.numbers(1..=3);
    let axis = draw.random.below(draw.values[x].rank()) as i64;
    let mut draft = Draft::new(op, &[draw.name(x)], Rounding::Exact).with(int("axis", axis));
    if draw.random.coin() {
        let each = draw.pick(&[1, 2, 3]);
        let each = draw.int(each);
        draft.node.input.push(each);
        return Some(draft);
    }
    let keep = draw.pick(&[0, 1]);
    Some(draft.with(int("keepdims", keep)))
}

fn concat(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let list = sequence(draw)?;
    let (axis, new) = (draw.pick(&[0, 0, 1, -1]), draw.pick(&[0, 0, 1]));
    Some(
        Draft::new(op, &[draw.name(list)], Rounding::Exact)
            .with(int("axis", axis))
            .with(int("new_axis", new)),
    )
}

fn optional(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.numbers(0..=3);
    Some(Draft::new(op, &[draw.name(x)], Rounding::Exact))
}

fn opened(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let ids = draw.candidates(|it| matches!(it.kind, Kind::Optional(_)));
    let x = match draw.recent(&ids) {
        Some(id) => id,
        None => {
            let draft = optional(draw, "Optional")?;
            draw.add(draft)?[0]
        }
    };
    Some(Draft::new(op, &[draw.name(x)], Rounding::Exact))
}
