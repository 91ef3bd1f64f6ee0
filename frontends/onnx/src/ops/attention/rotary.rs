//! Rotary embeddings: pairs of elements of each head are rotated by the angles of their positions.

use super::heads::{heads, joined};
use crate::emit::{Size, attrs};
use crate::node::{NodeCx, bad, not_supported};
use crate::ops::index::{count_up, extent};
use crate::ops::single;
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;

type Single = Result<Value, Diagnostic>;

pub(super) fn register(table: &mut OpTable) {
    table.register("", "RotaryEmbedding", .., single(rotary_embedding));
    table.register("com.microsoft", "RotaryEmbedding", .., single(of_microsoft));
}

/// Operands: states, cosines, sines, and perhaps positions, by which these are looked up.
fn rotary_embedding(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let flat = cx.rank(x)? == 3;
    let states = heads(cx, x, cx.int("num_heads").unwrap_or(0))?;
    let size = cx.static_dim(states, 3).ok_or_else(|| not_supported("the size of its heads is dynamic"))?;
    let rotated = cx.int("rotary_embedding_dim").filter(|it| *it > 0).unwrap_or(size);
    let mut tables = [cx.input(1)?, cx.input(2)?];
    for table in &mut tables {
        if let Some(positions) = cx.optional(3) {
            *table = looked_up(cx, *table, positions)?;
        }
    }
    let result = rotate(cx, states, tables, rotated, cx.flag("interleaved"))?;
    if flat { joined(cx, result) } else { Ok(result) }
}

/// Operands: states, positions or that of the first, cosines and sines. Heads are as large as the tables are wide where
/// nothing is said.
fn of_microsoft(cx: &mut NodeCx<'_, '_>) -> Single {
    if cx.flag("is_packed_batching") {
        return Err(not_supported("rows of several sequences (`is_packed_batching`)"));
    }
    let (x, positions) = (cx.input(0)?, cx.input(1)?);
    let flat = cx.rank(x)? == 3;
    let half = cx.static_dim(cx.input(2)?, 1);
    let half =
        half.filter(|it| *it > 0).ok_or_else(|| not_supported("a table whose width is dynamic or 0"))?;
    let count = match cx.int("num_heads").unwrap_or(0) {
        0 => cx.static_dim(x, 2).map_or(0, |it| it / (2 * half)),
        count => count,
    };
    let states = heads(cx, x, count)?;
    let rotated = cx.int("rotary_embedding_dim").filter(|it| *it > 0).unwrap_or(2 * half);
    let positions = match cx.rank(positions)? {
        2 => positions,
        _ => {
            let length = extent(cx, states, 2)?;
            let places = count_up(cx, length)?;
            let places = cx.binary("add", places, positions)?;
            cx.unsqueeze(places, &[0])?
        }
    };
    let tables = [looked_up(cx, cx.input(2)?, positions)?, looked_up(cx, cx.input(3)?, positions)?];
    let result = rotate(cx, states, tables, rotated, cx.flag("interleaved"))?;
    if flat { joined(cx, result) } else { Ok(result) }
}

/// Rows of a table.
pub(super) fn looked_up(cx: &mut NodeCx<'_, '_>, table: Value, positions: Value) -> Single {
    cx.emit("gather", attrs([("axis", 0.into())]), &[table, positions])
}

/// The first `rotated` elements of each head, rotated by angles whose cosines and sines are `[batch, sequence, rotated/2]`.
pub(super) fn rotate(
    cx: &mut NodeCx<'_, '_>,
    states: Value,
    tables: [Value; 2],
    rotated: i64,
    interleaved: bool,
) -> Single {
    let size = cx.static_dim(states, 3).ok_or_else(|| not_supported("the size of its heads is dynamic"))?;
    if rotated > size || rotated % 2 == 1 {
        return Err(bad(format!("it rotates {rotated} of {size} elements")));
    }
    let tables = [cx.unsqueeze(tables[0], &[1])?, cx.unsqueeze(tables[1], &[1])?];
    let part = cx.slice(states, 3, 0, rotated)?;
    let (first, second) = if interleaved {
        let mut sizes: Vec<Size> = (0..3).map(|i| Size::Of(part, i)).collect();
        sizes.extend([Size::Const(rotated / 2), Size::Const(2)]);
        let pairs = cx.reshape_to(part, &sizes)?;
        let (first, second) = (cx.slice(pairs, 4, 0, 1)?, cx.slice(pairs, 4, 1, 2)?);
        (cx.squeeze(first, &[4])?, cx.squeeze(second, &[4])?)
    } else {
        (cx.slice(part, 3, 0, rotated / 2)?, cx.slice(part, 3, rotated / 2, rotated)?)
    };
    let product = |cx: &mut NodeCx<'_, '_>, table: usize, x: Value| cx.binary("mul", tables[table], x);
    let (cos_first, sin_second) = (product(cx, 0, first)?, product(cx, 1, second)?);
    let (sin_first, cos_second) = (product(cx, 1, first)?, product(cx, 0, second)?);
    let real = cx.binary("sub", cos_first, sin_second)?;
    let imaginary = cx.binary("add", sin_first, cos_second)?;
    let mut result = if interleaved {
        let (real, imaginary) = (cx.unsqueeze(real, &[4])?, cx.unsqueeze(imaginary, &[4])?);
        let pairs = cx.concat(&[real, imaginary], 4)?;
        let mut sizes: Vec<Size> = (0..3).map(|i| Size::Of(part, i)).collect();
        sizes.push(Size::Const(rotated));
        cx.reshape_to(pairs, &sizes)?
    } else {
        cx.concat(&[real, imaginary], 3)?
    };
    if rotated < size {
        let rest = cx.slice(states, 3, rotated, size)?;
        result = cx.concat(&[result, rest], 3)?;
    }
    Ok(result)
}
