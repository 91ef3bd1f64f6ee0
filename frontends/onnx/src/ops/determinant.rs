//! Determinants and inverses, by elimination with the largest pivot of each column. Of few columns each takes a step of its
//! own; determinants of others take a loop.

use super::index::{count_up, extent};
use super::repeat::counted;
use super::single;
use crate::emit::{Size, attrs};
use crate::node::{NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::shape::Constraint;
use orogen_ir::types::DType;

type Single = Result<Value, Diagnostic>;

/// The most columns: each takes a step of its own.
const MAX_COLUMNS: i64 = 64;

pub(super) fn register(table: &mut OpTable) {
    table.register("", "Det", .., single(determinant));
    table.register("com.microsoft", "Inverse", .., single(inverse));
}

/// The number of rows of square matrices, which are the last two dimensions; `None` if it is large or not known.
fn order_of(cx: &mut NodeCx<'_, '_>, x: Value) -> Result<Option<i64>, Diagnostic> {
    let rank = cx.rank(x)?;
    if rank < 2 {
        return Err(bad(format!("its operand has {rank} dimensions")));
    }
    let (m, n) = (cx.static_dim(x, rank - 2), cx.static_dim(x, rank - 1));
    if let (Some(m), Some(n)) = (m, n)
        && m != n
    {
        return Err(bad(format!("matrices of {m} rows and {n} columns")));
    }
    if let Some(dims) = cx.dims(x).filter(|it| it[rank - 2] != it[rank - 1]) {
        let same = Constraint::Eq(dims[rank - 2], dims[rank - 1]);
        cx.sink.check(same, "the rows and columns of a matrix")?;
    }
    Ok(m.zip(n).map(|it| it.0).filter(|it| *it <= MAX_COLUMNS))
}

/// The row whose first element is the largest, and the others.
struct Pivot {
    place: Value,
    row: Value,
    /// In order, but that the first stands where the row was.
    others: Value,
}

/// Among the first `among` of `count` rows, of so many columns.
fn pivot(cx: &mut NodeCx<'_, '_>, x: Value, [among, count, width]: [i64; 3]) -> Result<Pivot, Diagnostic> {
    let rows = cx.rank(x)? - 2;
    let column = cx.slice(x, rows + 1, 0, 1)?;
    let column = cx.slice(column, rows, 0, among)?;
    let column = cx.unary("abs", column)?;
    let place = attrs([("axis", (rows as i64).into()), ("keepdims", true.into())]);
    let place = cx.emit("arg_max", place, &[column])?;
    let mut shape: Vec<Size> = (0..rows).map(|i| Size::Of(x, i)).collect();
    shape.extend([Size::Const(1), Size::Const(width)]);
    let shape = cx.shape_vector(&shape)?;
    let index = cx.emit("expand", attrs([]), &[place, shape])?;
    let row = cx.emit("gather_elements", attrs([("axis", (rows as i64).into())]), &[x, index])?;
    let numbers = cx.int_scalar(count);
    let numbers = count_up(cx, numbers)?;
    let numbers = cx.unsqueeze(numbers, &[1])?;
    let exchanged = cx.binary("equal", numbers, place)?;
    let top = cx.slice(x, rows, 0, 1)?;
    let swapped = cx.select(exchanged, top, x)?;
    let others = cx.slice(swapped, rows, 1, count)?;
    Ok(Pivot { place, row, others })
}

/// The type that elimination computes in.
fn widened(cx: &mut NodeCx<'_, '_>, x: Value) -> Single {
    let wide = if cx.dtype(x)? == DType::F64 { DType::F64 } else { DType::F32 };
    cx.cast(x, wide)
}

/// Of the last two dimensions.
fn determinant(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let count = order_of(cx, x)?;
    let (rows, columns) = (cx.rank(x)? - 2, cx.rank(x)? - 1);
    let mut rest = widened(cx, x)?;
    let zero = cx.number_like(rest, 0.0)?;
    let (one, minus) = (cx.number_like(rest, 1.0)?, cx.number_like(rest, -1.0)?);
    let mut unit: Vec<Size> = (0..rows).map(|i| Size::Of(x, i)).collect();
    unit.extend([Size::Const(1), Size::Const(1)]);
    let unit = cx.shape_vector(&unit)?;
    let mut product = cx.full(unit, one)?;
    let Some(count) = count else {
        let product = in_turns(cx, rest, product)?;
        let product = cx.squeeze(product, &[rows as i64, columns as i64])?;
        return cx.cast(product, cx.dtype(x)?);
    };
    for size in (1..=count).rev() {
        let Pivot { place, row, others } = pivot(cx, rest, [size; 3])?;
        let first = cx.slice(row, columns, 0, 1)?;
        // Exchanging two rows changes the sign.
        let stays = cx.with_number("equal", place, 0.0)?;
        let sign = cx.select(stays, one, minus)?;
        product = cx.binary("mul", product, first)?;
        product = cx.binary("mul", product, sign)?;
        if size == 1 {
            break;
        }
        let heads = cx.slice(others, columns, 0, 1)?;
        let factors = cx.binary("div", heads, first)?;
        // A column of zeros leaves nothing to eliminate.
        let none = cx.binary("equal", first, zero)?;
        let factors = cx.select(none, zero, factors)?;
        let (tails, row) = (cx.slice(others, columns, 1, size)?, cx.slice(row, columns, 1, size)?);
        let parts = cx.binary("mul", factors, row)?;
        rest = cx.binary("sub", tails, parts)?;
    }
    let product = cx.squeeze(product, &[rows as i64, columns as i64])?;
    cx.cast(product, cx.dtype(x)?)
}

/// The product of the pivots, with the sign of all exchanges. The matrix keeps its size; rows that had their turn are never
/// largest again.
fn in_turns(cx: &mut NodeCx<'_, '_>, x: Value, product: Value) -> Single {
    let (rows, columns) = (cx.rank(x)? as i64 - 2, cx.rank(x)? as i64 - 1);
    let n = extent(cx, x, rows as usize)?;
    let numbers = count_up(cx, n)?;
    let numbers = cx.unsqueeze(numbers, &[1])?;
    let [zero, one, minus] = [0.0, 1.0, -1.0].map(|it| cx.number_like(x, it));
    let (zero, one, minus) = (zero?, one?, minus?);
    let row_shape: Vec<Size> = (0..rows as usize).map(|i| Size::Of(x, i)).collect();
    let row_shape = [row_shape, vec![Size::Const(1), Size::Of(x, columns as usize)]].concat();
    let row_shape = cx.shape_vector(&row_shape)?;
    let results = counted(cx, n, &[x, product], &mut |cx, turn, values| {
        let &[rest, product] = values else { return Err(bad("the loop carries two values")) };
        let at = |cx: &mut NodeCx<'_, '_>, value: Value, axis: i64| {
            let part = cx.emit("gather", attrs([("axis", axis.into())]), &[value, turn])?;
            cx.unsqueeze(part, &[axis])
        };
        let column = at(cx, rest, columns)?;
        let column = cx.unary("abs", column)?;
        let had = cx.binary("less", numbers, turn)?;
        let column = cx.select(had, minus, column)?;
        let place = attrs([("axis", rows.into()), ("keepdims", true.into())]);
        let place = cx.emit("arg_max", place, &[column])?;
        let index = cx.emit("expand", attrs([]), &[place, row_shape])?;
        let row = cx.emit("gather_elements", attrs([("axis", rows.into())]), &[rest, index])?;
        let pivot = at(cx, row, columns)?;
        let stays = cx.binary("equal", place, turn)?;
        let sign = cx.select(stays, one, minus)?;
        let product = cx.binary("mul", product, pivot)?;
        let product = cx.binary("mul", product, sign)?;
        let top = at(cx, rest, rows)?;
        let exchanged = cx.binary("equal", numbers, place)?;
        let rest = cx.select(exchanged, top, rest)?;
        let heads = at(cx, rest, columns)?;
        let factors = cx.binary("div", heads, pivot)?;
        // A column of zeros leaves nothing to eliminate.
        let none = cx.binary("equal", pivot, zero)?;
        let factors = cx.select(none, zero, factors)?;
        let parts = cx.binary("mul", factors, row)?;
        Ok(vec![cx.binary("sub", rest, parts)?, product])
    })?;
    Ok(results[1])
}

/// Of the last two dimensions. Rows stand beside those of the unit matrix; each step makes one column a unit vector, drops it,
/// and puts its row behind the others, so that in the end the unit matrix has become the inverse.
fn inverse(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let count = order_of(cx, x)?.ok_or_else(|| {
        not_supported(format!("matrices of more than {MAX_COLUMNS} or of dynamically many rows"))
    })?;
    let (rows, columns) = (cx.rank(x)? - 2, cx.rank(x)? - 1);
    let wide = widened(cx, x)?;
    let numbers = cx.int_scalar(count);
    let numbers = count_up(cx, numbers)?;
    let down = cx.unsqueeze(numbers, &[1])?;
    let unit = cx.binary("equal", numbers, down)?;
    let unit = cx.cast(unit, cx.dtype(wide)?)?;
    let shape = cx.shape_of(wide)?;
    let unit = cx.emit("expand", attrs([]), &[unit, shape])?;
    let mut rest = cx.concat(&[wide, unit], columns as i64)?;
    for step in 0..count {
        let width = 2 * count - step;
        let Pivot { row, others, .. } = pivot(cx, rest, [count - step, count, width])?;
        let (first, tail) = (cx.slice(row, columns, 0, 1)?, cx.slice(row, columns, 1, width)?);
        let row = cx.binary("div", tail, first)?;
        let (heads, tails) = (cx.slice(others, columns, 0, 1)?, cx.slice(others, columns, 1, width)?);
        let parts = cx.binary("mul", heads, row)?;
        let others = cx.binary("sub", tails, parts)?;
        rest = cx.concat(&[others, row], rows as i64)?;
    }
    cx.cast(rest, cx.dtype(x)?)
}
