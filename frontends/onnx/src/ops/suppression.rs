//! `NonMaxSuppression`: of the boxes of each class the best one, then the best one that does not overlap with it, and so on.
//!
//! All classes of all images take a turn at once, in a loop that ends when nothing is left or as many were taken as are
//! wanted: a turn finds the best box of each class and drops what overlaps with it. Of equal scores the first box is better.

use super::index::{count_up, extent};
use super::repeat::repeated;
use crate::emit::{Size, attrs};
use crate::node::{NodeCx, bad};
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::DType;

type Single = Result<Value, Diagnostic>;

pub(super) fn register(table: &mut OpTable) {
    table.register("", "NonMaxSuppression", .., super::single(select));
}

/// Edges of boxes, lower before upper, along both axes; numbers of one shape.
struct Boxes {
    edges: [[Value; 2]; 2],
}

fn select(cx: &mut NodeCx<'_, '_>) -> Single {
    let (boxes, scores) = (cx.input(0)?, cx.input(1)?);
    if [boxes, scores].map(|it| cx.rank(it)) != [Ok(3), Ok(3)] {
        return Err(bad("boxes and scores must have 3 dimensions"));
    }
    let all = Boxes::of(cx, boxes)?;
    let limit = limit(cx, boxes)?;
    let overlap = scalar(cx, 3, 0.0)?;
    let alive = match cx.optional(4) {
        Some(_) => {
            let least = scalar(cx, 4, 0.0)?;
            cx.binary("greater", scores, least)?
        }
        None => cx.binary("equal", scores, scores)?,
    };
    // The box that a class takes in each turn, −1 where it takes none.
    let classes = cx.shape_vector(&[Size::Product(scores, vec![0, 1])])?;
    // One more turn than there are, so that a loop of none has a row, too.
    let rows = cx.with_number("add", limit, 1.0)?;
    let shape = cx.concat(&[rows, classes], 0)?;
    let none = cx.int_scalar(-1);
    let table = cx.full(shape, none)?;
    let most = cx.squeeze(limit, &[0])?;
    let n = extent(cx, scores, 2)?;
    let numbers = count_up(cx, n)?;
    let zero = cx.int_scalar(0);
    let results = repeated(
        cx,
        &[zero, table, alive],
        &mut |cx, values| {
            let &[turn, _, alive] = values else { return Err(bad("the loop carries three values")) };
            let alive = cx.cast(alive, DType::U8)?;
            let any = cx.reduce("reduce_max", alive, &[0, 1, 2], false)?;
            let any = cx.cast(any, DType::Bool)?;
            let more = cx.binary("less", turn, most)?;
            cx.binary("and", any, more)
        },
        &mut |cx, values| {
            let &[turn, table, alive] = values else { return Err(bad("the loop carries three values")) };
            let worst = cx.number_like(scores, f64::NEG_INFINITY)?;
            let ranked = cx.select(alive, scores, worst)?;
            let best =
                cx.emit("arg_max", attrs([("axis", 2.into()), ("keepdims", false.into())]), &[ranked])?;
            let at = cx.unsqueeze(best, &[2])?;
            let takes = cx.emit("gather_elements", attrs([("axis", 2.into())]), &[alive, at])?;
            let overlaps = all.overlap(cx, best, overlap)?;
            let itself = cx.binary("equal", numbers, at)?;
            let dropped = cx.binary("or", overlaps, itself)?;
            let dropped = cx.binary("and", dropped, takes)?;
            let kept = cx.unary("not", dropped)?;
            let alive = cx.binary("and", alive, kept)?;
            let none = cx.int_scalar(-1);
            let taken = cx.select(takes, at, none)?;
            let one = cx.int_vector(&[1]);
            let shape = cx.concat(&[one, classes], 0)?;
            let taken = cx.reshape(taken, shape)?;
            let start = cx.unsqueeze(turn, &[0])?;
            let column = cx.int_vector(&[0]);
            let start = cx.concat(&[start, column], 0)?;
            let table = cx.emit("update_slice", attrs([]), &[table, taken, start])?;
            let turn = cx.with_number("add", turn, 1.0)?;
            Ok(vec![turn, table, alive])
        },
    )?;
    listed(cx, results[1], scores)
}

/// Image, class and box of what was taken, by class and then by turn.
fn listed(cx: &mut NodeCx<'_, '_>, table: Value, scores: Value) -> Single {
    let by_class = cx.transpose(table, &[1, 0])?;
    let zero = cx.int_scalar(0);
    let is_taken = cx.binary("greater_equal", by_class, zero)?;
    let places = cx.unary("non_zero", is_taken)?;
    let class = cx.slice(places, 0, 0, 1)?;
    let class = cx.squeeze(class, &[0])?;
    let pairs = cx.transpose(places, &[1, 0])?;
    let taken = cx.emit("gather_nd", attrs([("batch_dims", 0.into())]), &[by_class, pairs])?;
    let count = extent(cx, scores, 1)?;
    let image = cx.binary("div", class, count)?;
    let before = cx.binary("mul", image, count)?;
    let class = cx.binary("sub", class, before)?;
    let columns = [image, class, taken].map(|it| cx.unsqueeze(it, &[1]));
    let columns: Vec<Value> = columns.into_iter().collect::<Result<_, _>>()?;
    cx.concat(&columns, 1)
}

/// How many are taken of a class at most, as a vector of one size.
fn limit(cx: &mut NodeCx<'_, '_>, boxes: Value) -> Single {
    if cx.optional(2).is_none() {
        return Ok(cx.int_vector(&[0]));
    }
    let (wanted, one) = (cx.as_i64(cx.input(2)?)?, cx.int_vector(&[1]));
    let wanted = cx.reshape(wanted, one)?;
    let wanted = cx.with_number("max", wanted, 0.0)?;
    let there = cx.shape_vector(&[Size::Of(boxes, 1)])?;
    let limit = cx.binary("min", wanted, there)?;
    cx.known_sizes(limit)
}

/// Operand `i`, of one number, without dimensions.
fn scalar(cx: &mut NodeCx<'_, '_>, i: usize, default: f64) -> Single {
    match cx.optional(i) {
        Some(value) => cx.reshape_to(value, &[]),
        None => Ok(cx.number(DType::F32, default)),
    }
}

impl Boxes {
    /// Corners in any order, or centres with sizes; numbers of shape `[images, boxes]`.
    fn of(cx: &mut NodeCx<'_, '_>, boxes: Value) -> Result<Boxes, Diagnostic> {
        let mut part = |i: i64| {
            let part = cx.slice(boxes, 2, i, i + 1)?;
            cx.squeeze(part, &[2])
        };
        let [a, b, c, d] = [part(0)?, part(1)?, part(2)?, part(3)?];
        let centred = cx.int("center_point_box") == Some(1);
        let mut edges = |a: Value, b: Value| -> Result<[Value; 2], Diagnostic> {
            if !centred {
                return Ok([cx.binary("min", a, b)?, cx.binary("max", a, b)?]);
            }
            let half = cx.with_number("div", b, 2.0)?;
            Ok([cx.binary("sub", a, half)?, cx.binary("add", a, half)?])
        };
        Ok(Boxes { edges: [edges(a, c)?, edges(b, d)?] })
    }

    /// Which boxes overlap with the one of each class by more than a part of what both cover: `[images, classes, boxes]`.
    fn overlap(&self, cx: &mut NodeCx<'_, '_>, best: Value, most: Value) -> Single {
        let mut common = None;
        let mut areas: [Option<Value>; 2] = [None, None];
        for [low, high] in self.edges {
            let mut of_best = |it: Value| {
                let it = cx.emit("gather_elements", attrs([("axis", 1.into())]), &[it, best])?;
                cx.unsqueeze(it, &[2])
            };
            let (best_low, best_high) = (of_best(low)?, of_best(high)?);
            let (low, high) = (cx.unsqueeze(low, &[1])?, cx.unsqueeze(high, &[1])?);
            let (begin, end) = (cx.binary("max", low, best_low)?, cx.binary("min", high, best_high)?);
            let length = cx.binary("sub", end, begin)?;
            let length = cx.with_number("max", length, 0.0)?;
            common = Some(product(cx, common, length)?);
            for (area, [low, high]) in areas.iter_mut().zip([[best_low, best_high], [low, high]]) {
                let side = cx.binary("sub", high, low)?;
                *area = Some(product(cx, *area, side)?);
            }
        }
        let ([Some(one), Some(other)], Some(common)) = (areas, common) else {
            return Err(bad("boxes have two axes"));
        };
        let both = cx.binary("add", one, other)?;
        let both = cx.binary("sub", both, common)?;
        let part = cx.binary("div", common, both)?;
        let beyond = cx.binary("greater", part, most)?;
        // What has no area covers nothing.
        let any = cx.with_number("greater", common, 0.0)?;
        cx.binary("and", beyond, any)
    }
}

fn product(cx: &mut NodeCx<'_, '_>, before: Option<Value>, factor: Value) -> Single {
    match before {
        Some(before) => cx.binary("mul", before, factor),
        None => Ok(factor),
    }
}
