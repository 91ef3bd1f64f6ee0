//! `NonMaxSuppression`: of the boxes of each class the best one, then the best one that does not overlap with it, and so on.
//!
//! All classes of all images take a turn at once, in a loop that ends when nothing is left or as many were taken as are
//! wanted. A turn takes the best [`BLOCK`] boxes of each class, drops those that overlap with what was taken before, and
//! then one after the other those that overlap with a better one of the same block. Of equal scores the first box is better.

use super::axes::all_true;
use super::index::{count_up, extent};
use super::repeat::{counted, repeated};
use crate::emit::{Size, attrs};
use crate::node::{NodeCx, bad};
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::{DType, TensorData};

type Single = Result<Value, Diagnostic>;

pub(super) fn register(table: &mut OpTable) {
    table.register("", "NonMaxSuppression", .., super::single(select));
}

/// How many boxes of a class take a turn together.
const BLOCK: f64 = 64.0;

/// Edges of boxes, lower before upper, along both axes; numbers of one shape.
#[derive(Clone, Copy)]
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
    if cx.sink.constant_data(overlap).is_none() {
        let (low, high) =
            (cx.with_number("greater_equal", overlap, 0.0)?, cx.with_number("less_equal", overlap, 1.0)?);
        let share = cx.binary("and", low, high)?;
        all_true(cx, share, "the overlap that it allows, from 0 to 1")?;
    }
    let alive = match cx.optional(4) {
        Some(_) => {
            let least = scalar(cx, 4, 0.0)?;
            cx.binary("greater", scores, least)?
        }
        None => cx.binary("equal", scores, scores)?,
    };
    // What takes no turn, or had it, has the least score, which nothing else has.
    let worst = cx.number_like(scores, f64::NEG_INFINITY)?;
    let ranked = cx.with_number("max", scores, f64::from(f32::MIN))?;
    let ranked = cx.select(alive, ranked, worst)?;
    let block = cx.shape_vector(&[Size::Of(scores, 2)])?;
    let block = cx.with_number("min", block, BLOCK)?;
    let block = cx.known_sizes(block)?;
    // The boxes that each class took, −1 where it took none, and a last column for those that are not taken.
    let classes = cx.shape_part(scores, 0, 2)?;
    let columns = cx.with_number("add", limit, 1.0)?;
    let shape = cx.concat(&[classes, columns], 0)?;
    let none = cx.int_scalar(-1);
    let table = cx.full(shape, none)?;
    let zero = cx.int_scalar(0);
    let taken = cx.full(classes, zero)?;
    let go = cx.constant(TensorData::from_f64(DType::Bool, &[], [1.0]));
    let few = || bad("the loop carries four values");
    let results = repeated(
        cx,
        &[go, ranked, table, taken],
        &mut |_, values| values.first().copied().ok_or_else(few),
        &mut |cx, values| {
            let &[_, ranked, table, taken] = values else { return Err(few()) };
            let best = cx.emit_all("top_k", attrs([("axis", 2.into())]), &[ranked, block])?;
            let valid = cx.binary("greater", best[0], worst)?;
            let along = attrs([("axis", 2.into()), ("reduction", "none".into())]);
            let shape = cx.shape_of(best[0])?;
            let had = cx.full(shape, worst)?;
            let ranked = cx.emit("scatter_elements", along.clone(), &[ranked, best[1], had])?;

            let boxes = all.at(cx, best[1])?;
            let before = overlapping_taken(cx, &all, boxes, (table, taken), overlap)?;
            let free = cx.unary("not", before)?;
            let free = cx.binary("and", valid, free)?;
            let kept = in_turn(cx, boxes, free, overlap)?;

            let number = cx.cast(kept, DType::I64)?;
            let counts = cx.emit("cum_sum", attrs([("axis", 2.into())]), &[number])?;
            let counts = cx.with_number("sub", counts, 1.0)?;
            let so_far = cx.unsqueeze(taken, &[2])?;
            let column = cx.binary("add", counts, so_far)?;
            let fits = cx.binary("less", column, limit)?;
            let kept = cx.binary("and", kept, fits)?;
            let column = cx.select(kept, column, limit)?;
            let table = cx.emit("scatter_elements", along, &[table, column, best[1]])?;
            let number = cx.cast(kept, DType::I64)?;
            let number = cx.reduce("reduce_sum", number, &[2], false)?;
            let taken = cx.binary("add", taken, number)?;

            let wanting = cx.binary("less", taken, limit)?;
            let wanting = cx.unsqueeze(wanting, &[2])?;
            let more = cx.binary("and", wanting, valid)?;
            let more = cx.cast(more, DType::U8)?;
            let more = cx.reduce("reduce_max", more, &[0, 1, 2], false)?;
            Ok(vec![cx.cast(more, DType::Bool)?, ranked, table, taken])
        },
    )?;
    let zero = cx.int_vector(&[0]);
    let table = cx.slice_between(results[2], 2, zero, limit)?;
    let table = cx.reshape_to(table, &[Size::Product(table, vec![0, 1]), Size::Of(table, 2)])?;
    listed(cx, table, scores)
}

/// Which boxes of a block overlap with some that their class took before; as many columns of the table are compared as the
/// class with the most has.
fn overlapping_taken(
    cx: &mut NodeCx<'_, '_>,
    all: &Boxes,
    boxes: Boxes,
    (table, taken): (Value, Value),
    most: Value,
) -> Single {
    let columns = cx.reduce("reduce_max", taken, &[0, 1], false)?;
    let columns = cx.unsqueeze(columns, &[0])?;
    let columns = cx.with_number("max", columns, 0.0)?;
    let columns = cx.known_sizes(columns)?;
    let zero = cx.int_vector(&[0]);
    let others = cx.slice_between(table, 2, zero, columns)?;
    let is_taken = cx.with_number("greater_equal", others, 0.0)?;
    let places = cx.with_number("max", others, 0.0)?;
    let others = all.at(cx, places)?;
    let (others, boxes) = (others.along(cx, 3)?, boxes.along(cx, 2)?);
    let overlaps = others.overlap(cx, boxes, most)?;
    let is_taken = cx.unsqueeze(is_taken, &[3])?;
    any(cx, overlaps, is_taken, 2)
}

/// Which boxes of a block are taken of those that are free: each that does not overlap with a better one that is.
fn in_turn(cx: &mut NodeCx<'_, '_>, boxes: Boxes, free: Value, most: Value) -> Single {
    let (better, worse) = (boxes.along(cx, 3)?, boxes.along(cx, 2)?);
    let overlaps = better.overlap(cx, worse, most)?;
    let n = extent(cx, free, 2)?;
    let numbers = count_up(cx, n)?;
    let rows = cx.unsqueeze(numbers, &[1])?;
    let worse = cx.binary("greater", numbers, rows)?;
    let drops = cx.binary("and", overlaps, worse)?;
    let results = counted(cx, n, &[free], &mut |cx, turn, values| {
        let &[kept] = values else { return Err(bad("the loop carries one value")) };
        let at = attrs([("axis", 2.into())]);
        let row = cx.emit("gather", at.clone(), &[drops, turn])?;
        let own = cx.emit("gather", at, &[kept, turn])?;
        let own = cx.unsqueeze(own, &[2])?;
        let dropped = cx.binary("and", row, own)?;
        let stays = cx.unary("not", dropped)?;
        Ok(vec![cx.binary("and", kept, stays)?])
    })?;
    Ok(results[0])
}

/// Whether there is one along an axis that is both.
fn any(cx: &mut NodeCx<'_, '_>, a: Value, b: Value, axis: i64) -> Single {
    let both = cx.binary("and", a, b)?;
    let both = cx.cast(both, DType::U8)?;
    let found = cx.reduce("reduce_max", both, &[axis], false)?;
    cx.cast(found, DType::Bool)
}

/// Image, class and box of what was taken, by class and then by turn.
fn listed(cx: &mut NodeCx<'_, '_>, table: Value, scores: Value) -> Single {
    let zero = cx.int_scalar(0);
    let is_taken = cx.binary("greater_equal", table, zero)?;
    let places = cx.unary("non_zero", is_taken)?;
    let class = cx.slice(places, 0, 0, 1)?;
    let class = cx.squeeze(class, &[0])?;
    let pairs = cx.transpose(places, &[1, 0])?;
    let taken = cx.emit("gather_nd", attrs([("batch_dims", 0.into())]), &[table, pairs])?;
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

    /// Those at places `[images, classes, …]`.
    fn at(&self, cx: &mut NodeCx<'_, '_>, places: Value) -> Result<Boxes, Diagnostic> {
        let flat = cx.reshape_to(places, &[Size::Of(places, 0), Size::Product(places, vec![1, 2])])?;
        let shape = cx.shape_of(places)?;
        self.map(cx, &mut |cx, edge| {
            let edge = cx.emit("gather_elements", attrs([("axis", 1.into())]), &[edge, flat])?;
            cx.reshape(edge, shape)
        })
    }

    /// With one more dimension, of one.
    fn along(&self, cx: &mut NodeCx<'_, '_>, axis: i64) -> Result<Boxes, Diagnostic> {
        self.map(cx, &mut |cx, edge| cx.unsqueeze(edge, &[axis]))
    }

    fn map<'m>(
        &self,
        cx: &mut NodeCx<'_, 'm>,
        f: &mut dyn FnMut(&mut NodeCx<'_, 'm>, Value) -> Single,
    ) -> Result<Boxes, Diagnostic> {
        let [[a, b], [c, d]] = self.edges;
        Ok(Boxes { edges: [[f(cx, a)?, f(cx, b)?], [f(cx, c)?, f(cx, d)?]] })
    }

    /// Which boxes overlap with others by more than a part of what both cover.
    fn overlap(&self, cx: &mut NodeCx<'_, '_>, others: Boxes, most: Value) -> Single {
        let mut common = None;
        let mut areas: [Option<Value>; 2] = [None, None];
        for (own, other) in self.edges.into_iter().zip(others.edges) {
            let (begin, end) = (cx.binary("max", own[0], other[0])?, cx.binary("min", own[1], other[1])?);
            let length = cx.binary("sub", end, begin)?;
            let length = cx.with_number("max", length, 0.0)?;
            common = Some(product(cx, common, length)?);
            for (area, [low, high]) in areas.iter_mut().zip([own, other]) {
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
