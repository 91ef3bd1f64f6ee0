//! Resize and Upsample in all their versions.

use super::single;
use crate::emit::{attrs, normal_axis};
use crate::node::{Node, NodeCx, bad, not_supported};
use crate::sink::{Value, assert_condition};
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::{Attrs, DType};

type Single = Result<Value, Diagnostic>;

pub(super) fn register(table: &mut OpTable) {
    table.register("", "Upsample", ..=8, single(upsample_attribute));
    table.register("", "Upsample", 9.., single(scale_by_operand));
    table.register("", "Resize", ..=10, single(scale_by_operand));
    table.register_checked("", "Resize", 11.., check, single(resize));
}

fn check(node: &Node<'_>) -> Result<(), String> {
    let coordinates = node.text("coordinate_transformation_mode").unwrap_or("half_pixel");
    if matches!(coordinates, "tf_crop_and_resize" | "tf_half_pixel_for_nn") {
        return Err(format!("coordinate transformation `{coordinates}` is not supported"));
    }
    if node.flag("antialias") {
        return Err("`antialias` is not supported".into());
    }
    match node.text("keep_aspect_ratio_policy").unwrap_or("stretch") {
        "stretch" => Ok(()),
        other => Err(format!("`keep_aspect_ratio_policy` = `{other}` is not supported")),
    }
}

/// Before operator set 11 positions were simply divided by the scale and rounded down.
fn old_attrs(cx: &NodeCx<'_, '_>) -> Attrs {
    let mode = match cx.text("mode").unwrap_or("nearest") {
        "bilinear" | "trilinear" => "linear",
        mode => mode,
    };
    attrs([("mode", mode.into()), ("coordinates", "asymmetric".into()), ("nearest", "floor".into())])
}

fn upsample_attribute(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let scales = cx.floats("scales").ok_or_else(|| bad("attribute `scales` is missing"))?.to_vec();
    let attrs = old_attrs(cx);
    by_scales(cx, x, &scales, attrs)
}

fn scale_by_operand(cx: &mut NodeCx<'_, '_>) -> Single {
    let (x, scales) = (cx.input(0)?, cx.input(1)?);
    let attrs = old_attrs(cx);
    by_scale_operand(cx, x, scales, None, attrs)
}

fn resize(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let attrs = attrs([
        ("mode", cx.text("mode").unwrap_or("nearest").into()),
        ("coordinates", cx.text("coordinate_transformation_mode").unwrap_or("half_pixel").into()),
        ("nearest", cx.text("nearest_mode").unwrap_or("round_prefer_floor").into()),
        ("cubic_a", cx.float("cubic_coeff_a").unwrap_or(-0.75).into()),
        ("exclude_outside", cx.flag("exclude_outside").into()),
    ]);
    let rank = cx.rank(x)?;
    let axes: Option<Vec<usize>> = match cx.ints("axes") {
        Some(axes) => Some(axes.iter().map(|it| normal_axis(*it, rank)).collect::<Result<_, _>>()?),
        None => None,
    };
    if let Some(sizes) = present(cx, 3) {
        let sizes = cx.as_i64(sizes)?;
        let sizes = match axes {
            None => sizes,
            Some(axes) => {
                let mut all = Vec::new();
                for axis in 0..rank {
                    all.push(match axes.iter().position(|it| *it == axis) {
                        Some(i) => cx.slice(sizes, 0, i as i64, i as i64 + 1)?,
                        None => cx.shape_part(x, axis, axis + 1)?,
                    });
                }
                cx.concat(&all, 0)?
            }
        };
        return cx.emit("resize", attrs, &[x, sizes]);
    }
    let scales = present(cx, 2).ok_or_else(|| bad("it has neither scales nor sizes"))?;
    by_scale_operand(cx, x, scales, axes.as_deref(), attrs)
}

/// Operand `i`, unless it is left out or empty.
fn present(cx: &mut NodeCx<'_, '_>, i: usize) -> Option<Value> {
    let value = cx.optional(i)?;
    (cx.static_dims(value)?.iter().product::<i64>() > 0).then_some(value).or_else(|| {
        // A dynamic length is not empty.
        cx.static_dims(value).is_none().then_some(value)
    })
}

fn by_scale_operand(
    cx: &mut NodeCx<'_, '_>,
    x: Value,
    scales: Value,
    axes: Option<&[usize]>,
    attrs: Attrs,
) -> Single {
    let rank = cx.rank(x)?;
    if let Some(data) = cx.constant_data(scales) {
        let given: Vec<f32> = data.to_f64().iter().map(|it| *it as f32).collect();
        let all = match axes {
            None => given,
            Some(axes) if axes.len() == given.len() => {
                let mut all = vec![1.0; rank];
                axes.iter().zip(given).for_each(|(axis, scale)| all[*axis] = scale);
                all
            }
            Some(_) => return Err(bad("it has another number of scales than of axes")),
        };
        return by_scales(cx, x, &all, attrs);
    }
    if axes.is_some_and(|it| it.len() != rank) {
        return Err(not_supported("scales that are computed at run time for some axes only"));
    }
    // The sizes follow at run time. Positions are then scaled by the ratio of the sizes, which is checked to be
    // the scale.
    let shape = cx.shape_of(x)?;
    let shape = cx.cast(shape, DType::F32)?;
    let scales = cx.cast(scales, DType::F32)?;
    let scaled = cx.binary("mul", shape, scales)?;
    let sizes = cx.unary("floor", scaled)?;
    let cut = cx.binary("sub", scaled, sizes)?;
    let allowed = cx.with_number("mul", scaled, 1e-3)?;
    let whole = cx.binary("less_equal", cut, allowed)?;
    let whole = cx.cast(whole, DType::I32)?;
    let whole = cx.reduce("reduce_min", whole, &[0], false)?;
    let whole = cx.cast(whole, DType::Bool)?;
    assert_condition(cx.sink, whole, true)?;
    let sizes = cx.as_i64(sizes)?;
    cx.emit("resize", attrs, &[x, sizes])
}

fn by_scales(cx: &mut NodeCx<'_, '_>, x: Value, scales: &[f32], attrs: Attrs) -> Single {
    if scales.len() != cx.rank(x)? || scales.iter().any(|it| !it.is_finite() || *it <= 0.0) {
        return Err(bad(format!("its scales are {scales:?} for {} dimensions", cx.rank(x)?)));
    }
    let mut sizes = Vec::new();
    for (axis, scale) in scales.iter().enumerate() {
        sizes.push(scaled_size(cx, x, axis, *scale)?);
    }
    let sizes = if let Some(list) = sizes.iter().map(|it| cx.const_ints(*it)).collect::<Option<Vec<_>>>() {
        cx.int_vector(&list.concat())
    } else {
        cx.concat(&sizes, 0)?
    };
    let scales: Vec<f64> = scales.iter().map(|it| f64::from(*it)).collect();
    cx.emit("resize", attrs.with("scales", scales), &[x, sizes])
}

/// `⌊size·scale⌋` of one dimension as a vector: symbolic when the scale is a simple fraction.
fn scaled_size(cx: &mut NodeCx<'_, '_>, x: Value, axis: usize, scale: f32) -> Single {
    if let Some(size) = cx.static_dim(x, axis) {
        return Ok(cx.int_vector(&[(size as f32 * scale) as i64]));
    }
    let size = cx.shape_part(x, axis, axis + 1)?;
    let fraction = (1..=64i64).find_map(|divisor| {
        let whole = f64::from(scale) * divisor as f64;
        (whole.fract() == 0.0 && whole < 1e6).then_some((whole as i64, divisor))
    });
    if let Some((factor, divisor)) = fraction {
        let scaled = cx.affine(size, factor as f64, 0.0)?;
        return if divisor == 1 { Ok(scaled) } else { cx.with_number("div", scaled, divisor as f64) };
    }
    let size = cx.cast(size, DType::F32)?;
    let scaled = cx.with_number("mul", size, f64::from(scale))?;
    let floor = cx.unary("floor", scaled)?;
    cx.as_i64(floor)
}
