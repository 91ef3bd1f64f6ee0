//! Maps: rows of scores become maps from labels to scores, and maps become rows.
//!
//! Keys of a map that is made here rise, and each is there once, as in ONNX Runtime; of labels that are equal the last counts.
//! Maps from outside have their keys in any order.

use super::{DOMAIN, Labels, Single, matrix};
use crate::emit::{attrs, i64_data};
use crate::node::{Node, NodeCx, bad};
use crate::ops::{elementwise, repeat, single};
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::shape::Constraint;
use orogen_ir::types::{Attrs, DType, TensorData};

pub(super) fn register(table: &mut OpTable) {
    table.register(DOMAIN, "ZipMap", .., single(zip_map));
    table.register_checked(DOMAIN, "CastMap", .., |node| form(node).map(drop), single(cast_map));
}

/// A map for each row.
fn zip_map(cx: &mut NodeCx<'_, '_>) -> Single {
    let rows = matrix(cx)?;
    let labels = Labels::of(cx, "classlabels_int64s")?;
    require_columns(cx, rows, labels.len())?;
    let order = labels.rising();
    let places: Vec<i64> = order.iter().map(|it| *it as i64).collect();
    let places = i64_data(vec![order.len() as u64], &places);
    let keys = labels.table()?;
    let key_type = keys.dtype();
    let mut keys = cx.constant(keys);
    let mut rows = rows;
    if !order.iter().copied().eq(0..labels.len()) {
        let places = cx.constant(places);
        keys = cx.emit("gather", attrs([("axis", 0.into())]), &[keys, places])?;
        rows = cx.emit("gather", attrs([("axis", 1.into())]), &[rows, places])?;
    }
    if cx.static_dim(rows, 0) == Some(1) {
        let row = cx.squeeze(rows, &[0])?;
        let map = cx.binary("map_construct", keys, row)?;
        return cx.emit("sequence_construct", Attrs::none(), &[map]);
    }
    let count = cx.shape_part(rows, 0, 1)?;
    let count = cx.squeeze(count, &[0])?;
    let none = attrs([("dtype", cx.dtype(rows)?.into()), ("keys", key_type.into())]);
    let none = cx.emit("sequence_empty", none, &[])?;
    let results = repeat::counted(cx, count, &[none], &mut |cx, turn, carried| {
        let row = cx.emit("gather", attrs([("axis", 0.into())]), &[rows, turn])?;
        let map = cx.binary("map_construct", keys, row)?;
        Ok(vec![cx.binary("sequence_insert", carried[0], map)?])
    })?;
    Ok(results[0])
}

/// Checks that a matrix has a column for each label.
fn require_columns(cx: &mut NodeCx<'_, '_>, rows: Value, labels: usize) -> Result<(), Diagnostic> {
    match cx.static_dim(rows, 1) {
        Some(columns) if columns == labels as i64 => Ok(()),
        Some(columns) => Err(bad(format!("there are {labels} labels for {columns} columns"))),
        None => {
            let Some(columns) = cx.dims(rows).and_then(|it| it.get(1).copied()) else { return Ok(()) };
            let labels = cx.sink.shapes().int(labels as i64);
            cx.sink.check(Constraint::Eq(columns, labels), "the columns, of which each has a label")
        }
    }
}

/// What `CastMap` makes: the type of its elements, and their number where each key is a place.
fn form(node: &Node<'_>) -> Result<(DType, Option<i64>), String> {
    let to = match node.text("cast_to").unwrap_or("TO_FLOAT") {
        "TO_FLOAT" => DType::F32,
        "TO_STRING" => DType::Str,
        "TO_INT64" => DType::I64,
        other => return Err(format!("`cast_to` is no `{other}`")),
    };
    let places = match node.text("map_form").unwrap_or("DENSE") {
        "DENSE" => None,
        "SPARSE" => Some(node.int("max_map").unwrap_or(1)),
        other => return Err(format!("`map_form` is no `{other}`")),
    };
    match places {
        Some(count) if !(0..i64::from(u32::MAX)).contains(&count) => {
            Err(format!("`max_map` is {count}, which is no number of places"))
        }
        _ => Ok((to, places)),
    }
}

/// The values as a row: in the order of their keys, or each at the place that its key is.
fn cast_map(cx: &mut NodeCx<'_, '_>) -> Single {
    let (to, places) = form(cx).map_err(bad)?;
    let map = cx.input(0)?;
    let (keys, values) = (cx.unary("map_keys", map)?, cx.unary("map_values", map)?);
    if cx.dtype(keys)? == DType::Str {
        return Err(bad("the keys of its map are strings, and there is no order of them"));
    }
    if let (Some([keys]), Some([values])) = (cx.dims(keys).as_deref(), cx.dims(values).as_deref()) {
        cx.sink.check(Constraint::Eq(*keys, *values), "the keys and values of a map")?;
    }
    let keys = cx.as_i64(keys)?;
    let values = elementwise::convert(cx, values, to)?;
    let row = match places {
        None => {
            let count = cx.shape_of(keys)?;
            let rising = attrs([("axis", 0.into()), ("smallest", true.into())]);
            let order = cx.emit_all("top_k", rising, &[keys, count])?[1];
            cx.emit("gather", attrs([("axis", 0.into())]), &[values, order])?
        }
        Some(count) => {
            // Behind the last place lies what has none.
            let size = cx.int_vector(&[count + 1]);
            let nothing = match to {
                DType::Str => {
                    cx.constant(TensorData::strings(&[], ["0.f"]).map_err(|it| bad(it.to_string()))?)
                }
                to => cx.number(to, 0.0),
            };
            let all = cx.full(size, nothing)?;
            let none = cx.with_number("less", keys, 0.0)?;
            let last = cx.int_scalar(count);
            let keys = cx.binary("min", keys, last)?;
            let keys = cx.select(none, last, keys)?;
            let all = cx.emit("scatter_elements", attrs([("axis", 0.into())]), &[all, keys, values])?;
            cx.slice(all, 0, 0, count)?
        }
    };
    cx.unsqueeze(row, &[0])
}
