//! Rows of numbers, changed number by number or by their norm.

use super::{DOMAIN, Single, floats, list};
use crate::emit::i64_data;
use crate::node::{NodeCx, bad};
use crate::ops::{reduce, single};
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::shape::Constraint;
use orogen_ir::types::DType;

pub(super) fn register(table: &mut OpTable) {
    table.register(DOMAIN, "Scaler", .., single(scaler));
    table.register(DOMAIN, "Normalizer", .., single(normalizer));
    table.register(DOMAIN, "Binarizer", .., single(binarizer));
    table.register(DOMAIN, "Imputer", .., single(imputer));
}

/// The length of a list that has a number for each column, or one for all.
fn per_column(cx: &mut NodeCx<'_, '_>, x: Value, name: &str, length: usize) -> Result<(), Diagnostic> {
    let rank = cx.rank(x)?;
    let columns = if rank == 0 { Some(1) } else { cx.static_dim(x, rank - 1) };
    match columns {
        _ if length == 0 => Err(bad(format!("`{name}` has no numbers"))),
        Some(columns) if length != 1 && length as i64 != columns => {
            Err(bad(format!("`{name}` has {length} numbers, for {columns} columns")))
        }
        None if length != 1 => {
            let Some(columns) = cx.dims(x).and_then(|it| it.last().copied()) else { return Ok(()) };
            let count = cx.sink.shapes().int(length as i64);
            let what = format!("how many columns operand 0 has, for each of which `{name}` has a number");
            cx.sink.check(Constraint::Eq(columns, count), &what)
        }
        _ => Ok(()),
    }
}

fn scaler(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let mut y = cx.cast(x, DType::F32)?;
    for (name, op) in [("offset", "sub"), ("scale", "mul")] {
        let numbers = list(cx, name);
        per_column(cx, x, name, numbers.len())?;
        let numbers = floats(cx, &[numbers.len() as u64], numbers)?;
        y = cx.binary(op, y, numbers)?;
    }
    Ok(y)
}

/// A row whose norm is 0 stays as it is.
fn normalizer(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let axis = match cx.rank(x)? {
        rank @ 1..=2 => rank as i64 - 1,
        rank => {
            return Err(bad(format!("its operand has {rank} dimensions, but rows and columns are wanted")));
        }
    };
    let x = cx.cast(x, DType::F32)?;
    let norm = match cx.text("norm").unwrap_or("MAX") {
        "MAX" => cx.reduce("reduce_max", x, &[axis], true)?,
        "L1" => {
            let magnitude = cx.unary("abs", x)?;
            cx.reduce("reduce_sum", magnitude, &[axis], true)?
        }
        "L2" => reduce::l2(cx, x, &[axis], true)?,
        other => return Err(bad(format!("`norm` is no `{other}`"))),
    };
    let none = cx.with_number("equal", norm, 0.0)?;
    let one = cx.number_like(x, 1.0)?;
    let norm = cx.select(none, one, norm)?;
    cx.binary("div", x, norm)
}

fn binarizer(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let dtype = cx.dtype(x)?;
    // Integers are compared as floats: the threshold may lie between two.
    let wide = if dtype.is_float() { x } else { cx.cast(x, DType::F32)? };
    let above = cx.with_number("greater", wide, cx.float("threshold").unwrap_or(0.0))?;
    cx.cast(above, dtype)
}

/// A number that stands for what is missing, or NaN, is replaced by one for its column.
fn imputer(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    if cx.dtype(x)?.is_float() {
        let numbers = list(cx, "imputed_value_floats");
        per_column(cx, x, "imputed_value_floats", numbers.len())?;
        let replaced = cx.float("replaced_value_float").unwrap_or(0.0);
        let missing = match replaced.is_nan() {
            true => cx.unary("is_nan", x)?,
            false => cx.with_number("equal", x, replaced)?,
        };
        let numbers = floats(cx, &[numbers.len() as u64], numbers)?;
        let numbers = cx.cast(numbers, cx.dtype(x)?)?;
        return cx.select(missing, numbers, x);
    }
    let numbers = cx.ints("imputed_value_int64s").unwrap_or_default();
    per_column(cx, x, "imputed_value_int64s", numbers.len())?;
    let dtype = cx.dtype(x)?;
    let wide = cx.as_i64(x)?;
    let replaced = cx.int_scalar(cx.int("replaced_value_int64").unwrap_or(0));
    let missing = cx.binary("equal", wide, replaced)?;
    let numbers = cx.constant(i64_data(vec![numbers.len() as u64], numbers));
    let y = cx.select(missing, numbers, wide)?;
    cx.cast(y, dtype)
}
