//! Forms that operators had before operator set 7, each turned into the later one, and operators that only early files
//! hold.
//!
//! An operator whose early form differs by a name or a default alone reads both where it is converted. What is here needs
//! other operands: shapes and scales that were attributes, and broadcasts that the file had to ask for and could place.
//! `consumed_inputs` told early backends which buffers they may overwrite: it says nothing about values.

use super::conv::per_channel;
use super::{resize, single};
use crate::emit::normal_axis;
use crate::node::{Node, NodeCx, bad};
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::TensorData;

type Single = Result<Value, Diagnostic>;
type Done = Result<(), Diagnostic>;

pub(super) fn register(table: &mut OpTable) {
    const BROADCAST: [&str; 11] =
        ["Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater", "Less"];
    for name in BROADCAST {
        table.older(name, 6, as_it_is, placed_operand);
    }
    table.older("PRelu", 6, as_it_is, slope_of_channels);
    table.older("Dropout", 6, in_use, |_| Ok(()));
    table.register("", "Upsample", ..=6, single(upsample_image));
    table.older("Tile", 5, as_it_is, repeats_of_axis);
    table.older("Reshape", 4, as_it_is, shape_operand);
    table.older("Pad", 1, renamed_pads, |_| Ok(()));
    register_early(table);
}

/// Operators of the first versions that were experiments. No file newer than operator set 9 may hold one.
fn register_early(table: &mut OpTable) {
    table.register("", "Affine", ..=9, single(|cx| cx.affine(cx.input(0)?, alpha(cx), beta(cx))));
    table.register(
        "",
        "Scale",
        ..=9,
        single(|cx| {
            let scale = cx.float("scale").unwrap_or(1.0);
            cx.affine(cx.input(0)?, scale, 0.0)
        }),
    );
    table.register("", "ScaledTanh", ..=9, single(|cx| curve(cx, "tanh")));
    table.register("", "ParametricSoftplus", ..=9, single(|cx| curve(cx, "softplus")));
    table.register("", "ImageScaler", ..=9, single(image_scaler));
    table.register("", "Crop", ..=9, single(crop));
}

fn as_it_is(_: &mut Node<'_>) -> Result<(), String> {
    Ok(())
}

/// The second operand lies along dimensions of the first from `axis` on, the last ones without it.
fn placed_operand(cx: &mut NodeCx<'_, '_>) -> Done {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    let (rank, own) = (cx.rank(a)?, cx.rank(b)?);
    if !cx.flag("broadcast") {
        return match rank == own {
            true => Ok(()),
            false => {
                Err(bad(format!("its operands have {rank} and {own} dimensions, but `broadcast` is not 1")))
            }
        };
    }
    let room = rank.checked_sub(own);
    let start = match cx.int("axis") {
        Some(axis) if own > 0 => Some(normal_axis(axis, rank)?),
        _ => room,
    };
    let trailing = room.zip(start).and_then(|(room, start)| room.checked_sub(start));
    let Some(trailing) = trailing else {
        let message = format!("its second operand of {own} dimensions does not fit into {rank}");
        return Err(bad(match cx.int("axis") {
            Some(axis) => format!("{message} from axis {axis} on"),
            None => message,
        }));
    };
    let axes: Vec<i64> = (own as i64..(own + trailing) as i64).collect();
    let placed = cx.unsqueeze(b, &axes)?;
    cx.set_input(1, placed);
    Ok(())
}

/// A vector of slopes is one for each channel.
fn slope_of_channels(cx: &mut NodeCx<'_, '_>) -> Done {
    let (x, slope) = (cx.input(0)?, cx.input(1)?);
    let rank = cx.rank(x)?;
    if cx.rank(slope)? == 1 && rank > 1 {
        let slope = per_channel(cx, slope, rank)?;
        cx.set_input(1, slope);
    }
    Ok(())
}

/// Nothing is dropped where the file says that the model is in use.
fn in_use(node: &mut Node<'_>) -> Result<(), String> {
    match node.flag("is_test") || node.float("ratio") == Some(0.0) {
        true => Ok(()),
        false => Err("it drops elements at random, as `is_test` is not 1".into()),
    }
}

/// One axis is repeated, by operands of one element each.
fn repeats_of_axis(cx: &mut NodeCx<'_, '_>) -> Done {
    let (x, tiles, axis) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let rank = cx.rank(x)?;
    let repeats = match (cx.const_number(tiles), cx.const_number(axis)) {
        (Some(tiles), Some(axis)) => {
            let mut all = vec![1; rank];
            all[normal_axis(axis as i64, rank)?] = tiles as i64;
            cx.int_vector(&all)
        }
        _ => {
            let one = cx.int_vector(&[1]);
            let mut vector = |value: Value| {
                let value = cx.as_i64(value)?;
                cx.reshape(value, one)
            };
            let (tiles, axis) = (vector(tiles)?, vector(axis)?);
            let at = cx.axis_mask(axis, rank)?;
            cx.select(at, tiles, one)?
        }
    };
    cx.set_input(1, repeats);
    Ok(())
}

fn shape_operand(cx: &mut NodeCx<'_, '_>) -> Done {
    let shape = cx.ints("shape").ok_or_else(|| bad("attribute `shape` is missing"))?;
    let shape = cx.int_vector(shape);
    cx.set_input(1, shape);
    Ok(())
}

fn renamed_pads(node: &mut Node<'_>) -> Result<(), String> {
    node.rename("paddings", "pads");
    Ok(())
}

fn alpha(cx: &NodeCx<'_, '_>) -> f64 {
    cx.float("alpha").unwrap_or(1.0)
}

fn beta(cx: &NodeCx<'_, '_>) -> f64 {
    cx.float("beta").unwrap_or(0.0)
}

/// `alpha·f(beta·x)`.
fn curve(cx: &mut NodeCx<'_, '_>, op: &str) -> Single {
    let inner = cx.affine(cx.input(0)?, cx.float("beta").unwrap_or(1.0), 0.0)?;
    let curve = cx.unary(op, inner)?;
    cx.affine(curve, alpha(cx), 0.0)
}

fn image(cx: &NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    if cx.rank(x)? == 4 { Ok(x) } else { Err(bad("its operand must have 4 dimensions")) }
}

fn upsample_image(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = image(cx)?;
    let scale = |name: &str| cx.float(name).ok_or_else(|| bad(format!("attribute `{name}` is missing")));
    let scales = [1.0, 1.0, scale("height_scale")? as f32, scale("width_scale")? as f32];
    resize::upsample(cx, x, &scales)
}

/// `scale·x`, and a bias for each channel.
fn image_scaler(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = image(cx)?;
    let bias = cx.floats("bias").ok_or_else(|| bad("attribute `bias` is missing"))?;
    let scaled = cx.affine(x, cx.float("scale").unwrap_or(1.0), 0.0)?;
    let bias = bias.iter().map(|it| f64::from(*it));
    let bias = TensorData::from_f64(cx.dtype(x)?, &[bias.len() as u64], bias);
    let bias = cx.constant(bias);
    let bias = per_channel(cx, bias, 4)?;
    cx.binary("add", scaled, bias)
}

/// An image without its border, or of some size from the corner inside its border on.
fn crop(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = image(cx)?;
    let Some([left, top, right, bottom]) = cx.ints("border") else {
        return Err(bad("attribute `border` must have 4 numbers"));
    };
    let ends = match cx.ints("scale") {
        None => [(2, *bottom), (3, *right)].map(|(axis, border)| (axis, border, None)),
        Some([height, width]) => {
            [(2, 0, Some(top.saturating_add(*height))), (3, 0, Some(left.saturating_add(*width)))]
        }
        Some(_) => return Err(bad("attribute `scale` must have 2 numbers")),
    };
    let mut x = x;
    for ((axis, border, end), start) in ends.into_iter().zip([*top, *left]) {
        if start < 0 || border < 0 || end.is_some_and(|it| it < start) {
            return Err(bad("its border and its size may not be negative"));
        }
        let end = end.unwrap_or(if border == 0 { i64::MAX } else { -border });
        x = cx.slice(x, axis, start, end)?;
    }
    Ok(x)
}
