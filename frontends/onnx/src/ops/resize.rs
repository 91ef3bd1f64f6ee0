//! Resize and Upsample in all their versions.

use super::arrange::single_of;
use super::axes::all_true;
use super::interpolate::{Interpolation, Stretch, interpolate};
use super::single;
use crate::emit::{attrs, normal_axis};
use crate::node::{Node, NodeCx, bad};
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::{Attrs, DType, TensorData};

type Single = Result<Value, Diagnostic>;

pub(super) fn register(table: &mut OpTable) {
    table.register("", "Upsample", ..=8, single(upsample_attribute));
    table.register("", "Upsample", 9.., single(scale_by_operand));
    table.register("", "Resize", ..=10, single(scale_by_operand));
    table.register_checked("", "Resize", 11.., check, single(resize));
}

fn check(node: &Node<'_>) -> Result<(), String> {
    if node.flag("antialias") && node.text("mode").unwrap_or("nearest") == "nearest" {
        return Err("`antialias` is for modes `linear` and `cubic`".into());
    }
    match node.text("keep_aspect_ratio_policy").unwrap_or("stretch") {
        "stretch" | "not_larger" | "not_smaller" => Ok(()),
        other => Err(format!("`keep_aspect_ratio_policy` = `{other}` is not known")),
    }
}

impl Interpolation<'_> {
    /// As attributes of the operator `resize`, if it says all of it.
    fn attrs(&self) -> Option<Attrs> {
        let known = !self.antialias && !self.coordinates.starts_with("tf_");
        known.then(|| {
            attrs([
                ("mode", self.mode.into()),
                ("coordinates", self.coordinates.into()),
                ("nearest", self.nearest.into()),
                ("cubic_a", self.cubic_a.into()),
                ("exclude_outside", self.exclude_outside.into()),
            ])
        })
    }
}

/// Before operator set 11 positions were simply divided by the scale.
fn old<'m>(cx: &NodeCx<'_, 'm>) -> Interpolation<'m> {
    let mode = match cx.text("mode").unwrap_or("nearest") {
        "bilinear" | "trilinear" => "linear",
        mode => mode,
    };
    Interpolation {
        mode,
        coordinates: "asymmetric",
        nearest: "floor",
        cubic_a: -0.75,
        exclude_outside: false,
        antialias: false,
        outside: 0.0,
    }
}

fn upsample_attribute(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let scales = cx.floats("scales").ok_or_else(|| bad("attribute `scales` is missing"))?.to_vec();
    upsample(cx, x, &scales)
}

/// An image enlarged by these scales, as the attribute `mode` says.
pub(super) fn upsample(cx: &mut NodeCx<'_, '_>, x: Value, scales: &[f32]) -> Single {
    if scales.iter().any(|it| *it < 1.0) {
        return Err(bad(format!("its scales are {scales:?} but must be 1 or more")));
    }
    of_all_axes(cx, x, old(cx))?.by_scales(cx, scales)
}

/// Nearest elements are those before a position along axes that grow and those after it along axes that shrink: so a step
/// that shrinks goes before one that enlarges, and along each axis one of them does nothing.
fn scale_by_operand(cx: &mut NodeCx<'_, '_>) -> Single {
    let (x, scales) = (cx.input(0)?, cx.input(1)?);
    let known = cx.constant_data(scales).map(|it| it.to_f64());
    let shrinks = known.is_none_or(|it| it.iter().any(|it| *it < 1.0));
    let nearest = cx.text("mode").unwrap_or("nearest") == "nearest";
    if cx.op_type() == "Upsample" || !nearest || !shrinks {
        return of_all_axes(cx, x, old(cx))?.by_scale_operand(cx, scales);
    }
    let (smaller, larger) = match cx.constant_data(scales).cloned() {
        Some(data) => {
            let part = |limit: fn(f64, f64) -> f64| {
                TensorData::from_f64(
                    data.dtype(),
                    data.dims(),
                    data.to_f64().into_iter().map(|it| limit(it, 1.0)),
                )
            };
            (cx.constant(part(f64::min)), cx.constant(part(f64::max)))
        }
        None => (cx.with_number("min", scales, 1.0)?, cx.with_number("max", scales, 1.0)?),
    };
    let shrunk = Interpolation { nearest: "ceil", ..old(cx) };
    let x = of_all_axes(cx, x, shrunk)?.by_scale_operand(cx, smaller)?;
    of_all_axes(cx, x, old(cx))?.by_scale_operand(cx, larger)
}

fn of_all_axes<'m>(
    cx: &NodeCx<'_, 'm>,
    x: Value,
    how: Interpolation<'m>,
) -> Result<Resizing<'m>, Diagnostic> {
    Ok(Resizing { x, how, axes: (0..cx.rank(x)?).collect(), region: None })
}

fn resize(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let how = Interpolation {
        mode: cx.text("mode").unwrap_or("nearest"),
        coordinates: cx.text("coordinate_transformation_mode").unwrap_or("half_pixel"),
        nearest: cx.text("nearest_mode").unwrap_or("round_prefer_floor"),
        cubic_a: cx.float("cubic_coeff_a").unwrap_or(-0.75),
        exclude_outside: cx.flag("exclude_outside"),
        antialias: cx.flag("antialias"),
        outside: cx.float("extrapolation_value").unwrap_or(0.0),
    };
    let rank = cx.rank(x)?;
    let axes: Vec<usize> = match cx.ints("axes") {
        Some(axes) => axes.iter().map(|it| normal_axis(*it, rank)).collect::<Result<_, _>>()?,
        None => (0..rank).collect(),
    };
    let region = match how.coordinates {
        "tf_crop_and_resize" => Some(present(cx, 1).ok_or_else(|| bad("its crop (operand 1) is missing"))?),
        _ => None,
    };
    let resizing = Resizing { x, how, axes, region };
    if let Some(sizes) = present(cx, 3) {
        return resizing.by_sizes(cx, sizes);
    }
    let scales = present(cx, 2).ok_or_else(|| bad("it has neither scales nor sizes"))?;
    resizing.by_scale_operand(cx, scales)
}

/// Operand `i`, unless it is left out or empty.
fn present(cx: &mut NodeCx<'_, '_>, i: usize) -> Option<Value> {
    let value = cx.optional(i)?;
    (cx.static_dims(value)?.iter().product::<i64>() > 0).then_some(value).or_else(|| {
        // A dynamic length is not empty.
        cx.static_dims(value).is_none().then_some(value)
    })
}

/// A tensor and the axes of it that operands speak of, in their order.
struct Resizing<'m> {
    x: Value,
    how: Interpolation<'m>,
    axes: Vec<usize>,
    /// Begins, then ends of a crop.
    region: Option<Value>,
}

/// The scale of an axis.
#[derive(Clone, Copy)]
enum Scale {
    Known(f64),
    /// A vector of one `f64`.
    Value(Value),
}

impl Resizing<'_> {
    /// Attributes of the operator `resize`, if it says all of this: it blends floats alone, and takes numbers alone.
    fn attrs(&self, cx: &NodeCx<'_, '_>) -> Result<Option<Attrs>, Diagnostic> {
        let dtype = cx.dtype(self.x)?;
        let numbers = dtype != DType::Bool && !dtype.is_only_moved();
        let taken = dtype.is_float() || self.how.mode == "nearest" && numbers;
        Ok(self.how.attrs().filter(|_| taken))
    }

    fn by_sizes(&self, cx: &mut NodeCx<'_, '_>, sizes: Value) -> Single {
        if cx.static_dim(sizes, 0).is_some_and(|it| it as usize != self.axes.len()) {
            return Err(bad("it has another number of sizes than of axes"));
        }
        let stretch = cx.text("keep_aspect_ratio_policy").unwrap_or("stretch") == "stretch";
        if let (true, Some(attrs)) = (stretch, self.attrs(cx)?) {
            let sizes = cx.as_i64(sizes)?;
            let sizes = self.all_axes(cx, |cx, i| cx.slice(sizes, 0, i as i64, i as i64 + 1), sizes)?;
            return cx.emit("resize", attrs, &[self.x, sizes]);
        }
        let sizes = cx.known_sizes(sizes)?;
        let mut list = Vec::new();
        for (i, axis) in self.axes.iter().enumerate() {
            let size = cx.slice(sizes, 0, i as i64, i as i64 + 1)?;
            let scale = match (cx.known_ints(size).as_deref(), cx.static_dim(self.x, *axis)) {
                (Some([size]), Some(given)) if given > 0 => Scale::Known(*size as f64 / given as f64),
                _ => {
                    let (to, from) = (cx.cast(size, DType::F64)?, cx.shape_part(self.x, *axis, axis + 1)?);
                    let from = cx.cast(from, DType::F64)?;
                    Scale::Value(cx.binary("div", to, from)?)
                }
            };
            list.push((size, scale));
        }
        if !stretch {
            list = self.of_one_scale(cx, &list)?;
        }
        self.by_parts(cx, &list)
    }

    /// The same scale for all axes, so that no size, or some size, is at most the wanted one.
    fn of_one_scale(
        &self,
        cx: &mut NodeCx<'_, '_>,
        list: &[(Value, Scale)],
    ) -> Result<Vec<(Value, Scale)>, Diagnostic> {
        let larger = cx.text("keep_aspect_ratio_policy") == Some("not_smaller");
        let known: Option<Vec<f64>> = list
            .iter()
            .map(|it| match it.1 {
                Scale::Known(scale) => Some(scale),
                Scale::Value(_) => None,
            })
            .collect();
        let scale = match known {
            Some(known) if larger => Scale::Known(known.into_iter().fold(0.0, f64::max)),
            Some(known) => Scale::Known(known.into_iter().fold(f64::INFINITY, f64::min)),
            None => {
                let mut parts = Vec::new();
                for (_, scale) in list {
                    parts.push(self.vector(cx, *scale));
                }
                let all = cx.concat(&parts, 0)?;
                let op = if larger { "reduce_max" } else { "reduce_min" };
                Scale::Value(cx.reduce(op, all, &[0], true)?)
            }
        };
        let mut result = Vec::new();
        for axis in &self.axes {
            let size = match (scale, cx.static_dim(self.x, *axis)) {
                (Scale::Known(scale), Some(given)) => {
                    cx.int_vector(&[(scale * given as f64 + 0.5).floor() as i64])
                }
                _ => {
                    let (given, scale) = (cx.shape_part(self.x, *axis, axis + 1)?, self.vector(cx, scale));
                    let given = cx.cast(given, DType::F64)?;
                    let scaled = cx.binary("mul", given, scale)?;
                    let raised = cx.with_number("add", scaled, 0.5)?;
                    let whole = cx.unary("floor", raised)?;
                    cx.known_sizes(whole)?
                }
            };
            result.push((size, scale));
        }
        Ok(result)
    }

    fn vector(&self, cx: &mut NodeCx<'_, '_>, scale: Scale) -> Value {
        match scale {
            Scale::Value(value) => value,
            Scale::Known(scale) => cx.constant(TensorData::from_f64(DType::F64, &[1], [scale])),
        }
    }

    /// A vector with an entry for each axis of the tensor: those of our axes are given, others are the dimensions.
    fn all_axes(
        &self,
        cx: &mut NodeCx<'_, '_>,
        part: impl Fn(&mut NodeCx<'_, '_>, usize) -> Single,
        whole: Value,
    ) -> Single {
        let rank = cx.rank(self.x)?;
        if self.axes.iter().copied().eq(0..rank) {
            return Ok(whole);
        }
        let mut all = Vec::new();
        for axis in 0..rank {
            all.push(match self.axes.iter().position(|it| *it == axis) {
                Some(i) => part(cx, i)?,
                None => cx.shape_part(self.x, axis, axis + 1)?,
            });
        }
        cx.concat(&all, 0)
    }

    fn by_scale_operand(&self, cx: &mut NodeCx<'_, '_>, scales: Value) -> Single {
        if let Some(data) = cx.constant_data(scales) {
            let given: Vec<f32> = data.to_f64().iter().map(|it| *it as f32).collect();
            return self.by_scales(cx, &given);
        }
        if cx.static_dim(scales, 0) != Some(self.axes.len() as i64) {
            return Err(bad("it has another number of scales than of axes"));
        }
        let positive = cx.with_number("greater", scales, 0.0)?;
        all_true(cx, positive, "its scales, which are numbers above 0")?;
        let mut list = Vec::new();
        for (i, axis) in self.axes.iter().enumerate() {
            let scale = cx.slice(scales, 0, i as i64, i as i64 + 1)?;
            let given = cx.shape_part(self.x, *axis, axis + 1)?;
            let given = cx.cast(given, DType::F32)?;
            let narrow = cx.cast(scale, DType::F32)?;
            let scaled = cx.binary("mul", given, narrow)?;
            let size = cx.unary("floor", scaled)?;
            let size = cx.known_sizes(size)?;
            list.push((size, Scale::Value(cx.cast(scale, DType::F64)?)));
        }
        self.by_parts(cx, &list)
    }

    fn by_scales(&self, cx: &mut NodeCx<'_, '_>, scales: &[f32]) -> Single {
        if scales.len() != self.axes.len() || scales.iter().any(|it| !it.is_finite() || *it <= 0.0) {
            return Err(bad(format!("its scales are {scales:?} for {} dimensions", self.axes.len())));
        }
        let mut exact = true;
        let mut list = Vec::new();
        for (axis, scale) in self.axes.iter().zip(scales) {
            exact &= match cx.static_dim(self.x, *axis) {
                Some(size) => (size as f64 * f64::from(*scale)).fract() == 0.0,
                None => scale.fract() == 0.0,
            };
            let size = scaled_size(cx, self.x, *axis, *scale)?;
            list.push((size, Scale::Known(f64::from(*scale))));
        }
        // Corners lie at the ends of the size before it is rounded, which the operator does not know.
        let corners = self.how.coordinates == "align_corners" && !exact;
        match self.attrs(cx)? {
            Some(attrs) if !corners => {
                let parts: Vec<Value> = list.iter().map(|it| it.0).collect();
                let known = parts.iter().map(|it| cx.const_ints(*it)).collect::<Option<Vec<_>>>();
                let whole = match known {
                    Some(list) => cx.int_vector(&list.concat()),
                    None => cx.concat(&parts, 0)?,
                };
                let sizes = self.all_axes(cx, |_, i| Ok(parts[i]), whole)?;
                let mut all = vec![1.0; cx.rank(self.x)?];
                self.axes.iter().zip(scales).for_each(|(axis, scale)| all[*axis] = f64::from(*scale));
                cx.emit("resize", attrs.with("scales", all), &[self.x, sizes])
            }
            _ => self.by_parts(cx, &list),
        }
    }

    /// Axis by axis, by new sizes, which are vectors of one element, and scales.
    fn by_parts(&self, cx: &mut NodeCx<'_, '_>, list: &[(Value, Scale)]) -> Single {
        let crops = match self.region {
            Some(region) if cx.static_dim(region, 0) != Some(2 * self.axes.len() as i64) => {
                return Err(bad("its crop must have a begin and an end for each axis"));
            }
            Some(region) => Some(cx.cast(region, DType::F64)?),
            None => None,
        };
        let mut stretches = Vec::new();
        for (i, (axis, (size, scale))) in self.axes.iter().zip(list).enumerate() {
            let same = cx.known_ints(*size).as_deref() == cx.static_dim(self.x, *axis).as_slice().get(..1);
            if same && crops.is_none() && matches!(scale, Scale::Known(1.0)) {
                continue;
            }
            let known = match scale {
                Scale::Known(scale) => Some(*scale),
                Scale::Value(_) => None,
            };
            let crop = match crops {
                Some(crops) => {
                    let mut end = |i: usize| {
                        let part = cx.slice(crops, 0, i as i64, i as i64 + 1)?;
                        cx.squeeze(part, &[0])
                    };
                    Some([end(i)?, end(i + self.axes.len())?])
                }
                None => None,
            };
            let scale = self.vector(cx, *scale);
            let (size, scale) = (single_of(cx, *size)?, cx.squeeze(scale, &[0])?);
            stretches.push(Stretch { axis: *axis, size, scale, known, crop });
        }
        interpolate(cx, self.x, &self.how, &stretches)
    }
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
