//! Determinants, by elimination with the largest pivot of each column.

use super::index::count_up;
use super::single;
use crate::emit::{Size, attrs};
use crate::node::{NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::DType;

type Single = Result<Value, Diagnostic>;

/// The most columns: each takes a step of its own.
const MAX_COLUMNS: i64 = 64;

pub(super) fn register(table: &mut OpTable) {
    table.register("", "Det", .., single(determinant));
}

/// Of the last two dimensions.
fn determinant(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let rank = cx.rank(x)?;
    if rank < 2 {
        return Err(bad(format!("its operand has {rank} dimensions")));
    }
    let (rows, columns) = (rank - 2, rank - 1);
    let own = cx.dtype(x)?;
    let count = match (cx.static_dim(x, rows), cx.static_dim(x, columns)) {
        (Some(m), Some(n)) if m != n => return Err(bad(format!("matrices of {m} rows and {n} columns"))),
        (Some(m @ 0..=MAX_COLUMNS), Some(_)) => m,
        _ => {
            return Err(not_supported(format!(
                "matrices of more than {MAX_COLUMNS} or of dynamically many rows"
            )));
        }
    };
    let mut rest = cx.cast(x, if own == DType::F64 { DType::F64 } else { DType::F32 })?;
    let outer: Vec<Size> = (0..rows).map(|i| Size::Of(x, i)).collect();
    let zero = cx.number_like(rest, 0.0)?;
    let (one, minus) = (cx.number_like(rest, 1.0)?, cx.number_like(rest, -1.0)?);
    let unit: Vec<Size> = outer.iter().cloned().chain([Size::Const(1), Size::Const(1)]).collect();
    let unit = cx.shape_vector(&unit)?;
    let mut product = cx.full(unit, one)?;
    for size in (1..=count).rev() {
        let column = cx.slice(rest, columns, 0, 1)?;
        let column = cx.unary("abs", column)?;
        let place = attrs([("axis", (rows as i64).into()), ("keepdims", true.into())]);
        let place = cx.emit("arg_max", place, &[column])?;
        let shape: Vec<Size> = outer.iter().cloned().chain([Size::Const(1), Size::Const(size)]).collect();
        let shape = cx.shape_vector(&shape)?;
        let index = cx.emit("expand", attrs([]), &[place, shape])?;
        let row = cx.emit("gather_elements", attrs([("axis", (rows as i64).into())]), &[rest, index])?;
        let pivot = cx.slice(row, columns, 0, 1)?;
        // Exchanging two rows changes the sign.
        let first = cx.with_number("equal", place, 0.0)?;
        let sign = cx.select(first, one, minus)?;
        product = cx.binary("mul", product, pivot)?;
        product = cx.binary("mul", product, sign)?;
        if size == 1 {
            break;
        }
        let numbers = cx.int_scalar(size);
        let numbers = count_up(cx, numbers)?;
        let numbers = cx.unsqueeze(numbers, &[1])?;
        let exchanged = cx.binary("equal", numbers, place)?;
        let top = cx.slice(rest, rows, 0, 1)?;
        let swapped = cx.select(exchanged, top, rest)?;
        let below = cx.slice(swapped, rows, 1, size)?;
        let heads = cx.slice(below, columns, 0, 1)?;
        let factors = cx.binary("div", heads, pivot)?;
        // A column of zeros leaves nothing to eliminate.
        let none = cx.binary("equal", pivot, zero)?;
        let factors = cx.select(none, zero, factors)?;
        let (tails, others) = (cx.slice(below, columns, 1, size)?, cx.slice(row, columns, 1, size)?);
        let parts = cx.binary("mul", factors, others)?;
        rest = cx.binary("sub", tails, parts)?;
    }
    let product = cx.squeeze(product, &[rows as i64, columns as i64])?;
    cx.cast(product, own)
}
