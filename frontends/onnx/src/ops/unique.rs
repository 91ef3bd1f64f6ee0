//! `Unique`: elements, or slices along an axis, each of them once.
//!
//! A sort that keeps equal ones in order brings them beside each other, so that the first of each is the first in the
//! operand. All results have the size of the one that counts these. NaN is equal to nothing.

use super::index::{count_up, extent};
use super::repeat::counted;
use crate::emit::{Size, attrs};
use crate::node::{NodeCx, bad};
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::DType;

type Single = Result<Value, Diagnostic>;

pub(super) fn register(table: &mut OpTable) {
    table.register("", "Unique", .., |cx| {
        let sorted = cx.int("sorted").unwrap_or(1) != 0;
        let mut results = unique(cx, sorted)?;
        results.truncate(cx.output_count().max(1));
        Ok(results)
    });
    // In order of the first ones, without the places of these.
    table.register("com.microsoft", "Unique", .., |cx| {
        let mut results = unique(cx, false)?;
        results.remove(1);
        Ok(results)
    });
}

/// Each once, the place of the first of it, which of these each element is, and how often there is each.
fn unique(cx: &mut NodeCx<'_, '_>, in_order: bool) -> Result<Vec<Value>, Diagnostic> {
    let x = cx.input(0)?;
    let (x, axis) = match cx.int("axis") {
        Some(axis) => (x, cx.axis(x, axis)?),
        None => (cx.reshape_to(x, &[Size::Product(x, (0..cx.rank(x)?).collect())])?, 0),
    };
    let rows = slices(cx, x, axis)?;
    let n = extent(cx, rows, 0)?;
    let all = count_up(cx, n)?;
    let order = sorted(cx, rows, all)?;
    let first = firsts(cx, rows, order, all)?;
    let starts = cx.unary("non_zero", first)?;
    let starts = cx.squeeze(starts, &[0])?;
    let mut places = gather(cx, order, starts)?;

    // Which of them each one is: the number of firsts up to it.
    let ones = cx.cast(first, DType::I64)?;
    let turns = cx.emit("cum_sum", attrs([("axis", 0.into())]), &[ones])?;
    let turns = cx.with_number("sub", turns, 1.0)?;
    let mut inverse = scatter(cx, order, turns, all)?;
    // From one to the next, or to the end.
    let size = cx.shape_vector(&[Size::Of(rows, 0)])?;
    let ends = cx.concat(&[starts, size], 0)?;
    let count = extent(cx, starts, 0)?;
    let numbers = count_up(cx, count)?;
    let next = cx.with_number("add", numbers, 1.0)?;
    let next = gather(cx, ends, next)?;
    let mut counts = cx.binary("sub", next, starts)?;

    if !in_order {
        let wanted = cx.shape_vector(&[Size::Of(places, 0)])?;
        let by_place = cx.emit_all("top_k", ascending(), &[places, wanted])?;
        places = by_place[0];
        let turn = by_place[1];
        counts = gather(cx, counts, turn)?;
        let new = scatter(cx, turn, numbers, numbers)?;
        inverse = gather(cx, new, inverse)?;
    }
    let values = cx.emit("gather", attrs([("axis", (axis as i64).into())]), &[x, places])?;
    Ok(vec![values, places, inverse, counts])
}

/// What is compared, as rows of numbers.
fn slices(cx: &mut NodeCx<'_, '_>, x: Value, axis: usize) -> Single {
    let rank = cx.rank(x)?;
    let perm: Vec<usize> = [axis].into_iter().chain((0..rank).filter(|it| *it != axis)).collect();
    let turned = cx.transpose(x, &perm)?;
    let others: Vec<usize> = (1..rank).collect();
    let rows = cx.reshape_to(turned, &[Size::Of(turned, 0), Size::Product(turned, others)])?;
    match cx.dtype(rows)? {
        DType::Bool => cx.cast(rows, DType::U8),
        // Their order is that of their bytes.
        DType::Str => cx.unary("text.rank", rows),
        _ => Ok(rows),
    }
}

/// The numbers of rows in order: sorted by their columns from the last one on.
fn sorted(cx: &mut NodeCx<'_, '_>, rows: Value, all: Value) -> Single {
    let wanted = cx.shape_vector(&[Size::Of(rows, 0)])?;
    let columns = extent(cx, rows, 1)?;
    let last = cx.with_number("sub", columns, 1.0)?;
    let results = counted(cx, columns, &[all], &mut |cx, turn, values| {
        let &[order] = values else { return Err(bad("the loop carries one value")) };
        let column = cx.binary("sub", last, turn)?;
        let keys = cx.emit("gather", attrs([("axis", 1.into())]), &[rows, column])?;
        let keys = gather(cx, keys, order)?;
        let turn = cx.emit_all("top_k", ascending(), &[keys, wanted])?[1];
        Ok(vec![gather(cx, order, turn)?])
    })?;
    Ok(results[0])
}

/// Which rows of the sorted ones differ from the one before.
fn firsts(cx: &mut NodeCx<'_, '_>, rows: Value, order: Value, all: Value) -> Single {
    let before = cx.with_number("sub", all, 1.0)?;
    let before = cx.with_number("max", before, 0.0)?;
    let before = gather(cx, order, before)?;
    let (these, those) = (gather(cx, rows, order)?, gather(cx, rows, before)?);
    let same = cx.binary("equal", these, those)?;
    let same = cx.cast(same, DType::U8)?;
    let same = cx.reduce("reduce_min", same, &[1], false)?;
    let differs = cx.with_number("equal", same, 0.0)?;
    let begins = cx.with_number("equal", all, 0.0)?;
    cx.binary("or", differs, begins)
}

fn ascending() -> orogen_ir::types::Attrs {
    attrs([("axis", 0.into()), ("smallest", true.into())])
}

fn gather(cx: &mut NodeCx<'_, '_>, x: Value, places: Value) -> Single {
    cx.emit("gather", attrs([("axis", 0.into())]), &[x, places])
}

/// Numbers at places, all of which occur, in a vector as long as `like`.
fn scatter(cx: &mut NodeCx<'_, '_>, places: Value, numbers: Value, like: Value) -> Single {
    let attrs = attrs([("axis", 0.into()), ("reduction", "none".into())]);
    cx.emit("scatter_elements", attrs, &[like, places, numbers])
}
