//! Normalisation.
//!
//! Statistics are computed in the type that `stash_type` names, f32 where nothing is said: squares of f16 values beyond
//! 255 are no f16 values. An operand that is wider than that keeps its own type.

use super::conv::per_channel;
use super::pool::channel_mean;
use super::{reduce, single};
use crate::emit::attrs;
use crate::node::{NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::{Converted, OpTable};
use crate::tensor::dtype_of;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::{Attrs, DType};

type Single = Result<Value, Diagnostic>;

pub(super) fn register(table: &mut OpTable) {
    table.register("", "BatchNormalization", .., batch_norm);
    table.register("", "LayerNormalization", .., layer_norm);
    table.register("", "RMSNormalization", .., rms_norm);
    table.register("", "InstanceNormalization", .., single(instance_norm));
    table.register("", "GroupNormalization", .., single(group_norm));
    table.register("", "MeanVarianceNormalization", .., single(mean_variance_norm));
    table.register("", "LpNormalization", .., single(lp_norm));
    table.register("", "LRN", .., single(local_response_norm));
}

fn epsilon(cx: &NodeCx<'_, '_>) -> f64 {
    cx.float("epsilon").unwrap_or(f64::from(1e-5f32))
}

/// Older operator sets say by the number of results that they train; then the statistics of the batch are results too.
fn batch_norm(cx: &mut NodeCx<'_, '_>) -> Converted {
    let x = cx.input(0)?;
    if cx.rank(x)? == 1 {
        // Elements of the only channel.
        let columns = cx.unsqueeze(x, &[1])?;
        let mut results = channel_norm(cx, columns)?;
        results[0] = cx.squeeze(results[0], &[1])?;
        return Ok(results);
    }
    channel_norm(cx, x)
}

fn channel_norm(cx: &mut NodeCx<'_, '_>, x: Value) -> Converted {
    let dtype = cx.dtype(x)?;
    let attrs = attrs([("epsilon", epsilon(cx).into())]);
    let given = [cx.input(3)?, cx.input(4)?];
    let mut args = vec![x, cx.cast(cx.input(1)?, dtype)?, cx.cast(cx.input(2)?, dtype)?];
    let trains = match cx.opset() {
        14.. => cx.flag("training_mode"),
        7.. => (1..5).any(|i| cx.wants_output(i)),
        _ => !cx.flag("is_test") && (1..5).any(|i| cx.wants_output(i)),
    };
    let by_place = cx.opset() < 9 && cx.int("spatial") == Some(0);
    if by_place && trains {
        return Err(not_supported("it trains statistics of each place (`spatial` is 0)"));
    }
    if !trains {
        for value in given {
            args.push(cx.cast(value, dtype)?);
        }
        return Ok(vec![if by_place {
            batch_norm_by_place(cx, &args)?
        } else {
            cx.emit("batch_norm", attrs, &args)?
        }]);
    }
    // Statistics of the batch, and the running ones after it.
    let momentum = cx.float("momentum").unwrap_or(f64::from(0.9f32));
    let axes: Vec<i64> = (0..cx.rank(x)? as i64).filter(|it| *it != 1).collect();
    let wide = if dtype.size() < 4 { cx.cast(x, DType::F32)? } else { x };
    let mean = cx.reduce("reduce_mean", wide, &axes, true)?;
    let centered = cx.binary("sub", wide, mean)?;
    let square = cx.square(centered)?;
    let variance = cx.reduce("reduce_mean", square, &axes, false)?;
    let mean = cx.squeeze(mean, &axes)?;
    let mut running = Vec::new();
    for (value, given) in [mean, variance].into_iter().zip(given) {
        args.push(cx.cast(value, dtype)?);
        let stored = cx.dtype(given)?;
        let new = cx.cast(value, stored)?;
        let (new, old) = (cx.affine(new, 1.0 - momentum, 0.0)?, cx.affine(given, momentum, 0.0)?);
        running.push(cx.binary("add", old, new)?);
    }
    let y = cx.emit("batch_norm", attrs, &args)?;
    // Behind the running ones, those of the batch.
    running.extend([args[3], args[4]]);
    Ok(std::iter::once(y).chain(running).collect())
}

/// The old form that has statistics for each place of each channel.
fn batch_norm_by_place(cx: &mut NodeCx<'_, '_>, args: &[Value]) -> Single {
    let [x, scale, bias, mean, variance] = args[..] else { return Err(bad("it takes 5 operands")) };
    let centered = cx.binary("sub", x, mean)?;
    let raised = cx.with_number("add", variance, epsilon(cx))?;
    let deviation = cx.unary("sqrt", raised)?;
    let normal = cx.binary("div", centered, deviation)?;
    let scaled = cx.binary("mul", normal, scale)?;
    cx.binary("add", scaled, bias)
}

/// The type that statistics are returned in.
fn stash_type(cx: &NodeCx<'_, '_>) -> Result<DType, Diagnostic> {
    let Some(number) = cx.int("stash_type") else { return Ok(DType::F32) };
    let dtype = i32::try_from(number).ok().and_then(|it| dtype_of(it).ok()).filter(|it| it.is_float());
    dtype.ok_or_else(|| bad(format!("`stash_type` {number} is no floating-point type")))
}

/// The operand in the type that its statistics are computed in.
fn stashed(cx: &mut NodeCx<'_, '_>, x: Value) -> Single {
    let stash = stash_type(cx)?;
    let wider = cx.dtype(x)?.size() > stash.size();
    if wider { Ok(x) } else { cx.cast(x, stash) }
}

/// Mean and the reciprocal of the standard deviation over axes, both with these axes kept.
pub(super) fn statistics(
    cx: &mut NodeCx<'_, '_>,
    x: Value,
    axes: &[i64],
    epsilon: f64,
) -> Result<(Value, Value), Diagnostic> {
    let mean = cx.reduce("reduce_mean", x, axes, true)?;
    let centered = cx.binary("sub", x, mean)?;
    let square = cx.square(centered)?;
    let variance = cx.reduce("reduce_mean", square, axes, true)?;
    let raised = cx.with_number("add", variance, epsilon)?;
    let deviation = cx.unary("sqrt", raised)?;
    Ok((mean, cx.unary("reciprocal", deviation)?))
}

/// `(x − mean) / deviation` over axes.
fn standardize(cx: &mut NodeCx<'_, '_>, x: Value, axes: &[i64], epsilon: f64) -> Single {
    let (mean, inverse) = statistics(cx, x, axes, epsilon)?;
    let centered = cx.binary("sub", x, mean)?;
    cx.binary("mul", centered, inverse)
}

fn layer_norm(cx: &mut NodeCx<'_, '_>) -> Converted {
    let x = cx.input(0)?;
    let axis = cx.axis(x, cx.int("axis").unwrap_or(-1))?;
    let rank = cx.rank(x)?;
    let mut args = vec![x, cx.input(1)?];
    args.extend(cx.optional(2));
    let attrs = attrs([("axis", (axis as i64).into()), ("epsilon", epsilon(cx).into())]);
    let dtype = cx.dtype(x)?;
    let wide = stashed(cx, x)?;
    let same_rank = args[1..].iter().all(|it| cx.rank(*it).is_ok_and(|it| it == rank - axis));
    let axes: Vec<i64> = (axis as i64..rank as i64).collect();
    let result = if same_rank {
        cx.emit("layer_norm", attrs, &args)?
    } else {
        // Scale and bias may be anything that broadcasts.
        let normal = standardize(cx, wide, &axes, epsilon(cx))?;
        let normal = cx.cast(normal, dtype)?;
        let scaled = cx.binary("mul", normal, args[1])?;
        args.get(2).map_or(Ok(scaled), |bias| cx.binary("add", scaled, *bias))?
    };
    let mut results = vec![result];
    if cx.wants_output(1) || cx.wants_output(2) {
        let stash = stash_type(cx)?;
        let (mean, inverse) = statistics(cx, wide, &axes, epsilon(cx))?;
        results.extend([cx.cast(mean, stash)?, cx.cast(inverse, stash)?]);
    }
    Ok(results)
}

/// The normalised operand, and the reciprocal of the root that it was divided by where that is wanted.
pub(super) fn rms_norm(cx: &mut NodeCx<'_, '_>) -> Converted {
    let (normal, root) = rms_norm_of(cx, cx.input(0)?, cx.input(1)?, epsilon(cx))?;
    match cx.wants_output(1) {
        true => Ok(vec![normal, cx.unary("reciprocal", root)?]),
        false => Ok(vec![normal]),
    }
}

/// `x` by the root of the mean of its squares from `axis` on, times `scale`, in whose type it is returned; and that root.
pub(super) fn rms_norm_of(
    cx: &mut NodeCx<'_, '_>,
    x: Value,
    scale: Value,
    epsilon: f64,
) -> Result<(Value, Value), Diagnostic> {
    let axis = cx.axis(x, cx.int("axis").unwrap_or(-1))? as i64;
    let axes: Vec<i64> = (axis..cx.rank(x)? as i64).collect();
    let wide = stashed(cx, x)?;
    let square = cx.square(wide)?;
    let mean = cx.reduce("reduce_mean", square, &axes, true)?;
    let raised = cx.with_number("add", mean, epsilon)?;
    let root = cx.unary("sqrt", raised)?;
    let normal = cx.binary("div", wide, root)?;
    let normal = cx.cast(normal, cx.dtype(scale)?)?;
    Ok((cx.binary("mul", normal, scale)?, root))
}

fn scale_and_shift(cx: &mut NodeCx<'_, '_>, x: Value, scale: Value, bias: Value) -> Single {
    let rank = cx.rank(x)?;
    let (scale, bias) = (per_channel(cx, scale, rank)?, per_channel(cx, bias, rank)?);
    let scaled = cx.binary("mul", x, scale)?;
    cx.binary("add", scaled, bias)
}

/// Over all dimensions from the third on, without scale and shift.
fn plain(cx: &NodeCx<'_, '_>) -> Attrs {
    attrs([("axis", 2.into()), ("epsilon", epsilon(cx).into())])
}

fn instance_norm(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let wide = stashed(cx, x)?;
    let normal = cx.emit("layer_norm", plain(cx), &[wide])?;
    let normal = cx.cast(normal, cx.dtype(x)?)?;
    scale_and_shift(cx, normal, cx.input(1)?, cx.input(2)?)
}

/// Scale and bias are per group before operator set 21, per channel from then on.
fn group_norm(cx: &mut NodeCx<'_, '_>) -> Single {
    let groups = cx.int("num_groups").filter(|it| *it > 0).ok_or_else(|| bad("`num_groups` is missing"))?;
    let by_channel = cx.opset() >= 21;
    group_norm_of(cx, cx.input(0)?, groups, by_channel)
}

/// Groups of channels with the mean 0 and the variance 1, scaled and shifted by operands 1 and 2: of channels or of groups.
pub(super) fn group_norm_of(cx: &mut NodeCx<'_, '_>, x: Value, groups: i64, by_channel: bool) -> Single {
    let rank = cx.rank(x)?;
    let shape = cx.shape_of(x)?;
    let size = cx.int_vector(&[groups]);
    let channels = cx.shape_part(x, 1, 2)?;
    let per_group = cx.binary("div", channels, size)?;
    let (batch, rest) = (cx.shape_part(x, 0, 1)?, cx.shape_part(x, 2, rank)?);
    let grouped = cx.concat(&[batch, size, per_group, rest], 0)?;
    let wide = stashed(cx, x)?;
    let grouped = cx.reshape(wide, grouped)?;
    let normal = cx.emit("layer_norm", plain(cx), &[grouped])?;
    let normal = cx.cast(normal, cx.dtype(x)?)?;
    if by_channel {
        let normal = cx.reshape(normal, shape)?;
        let (scale, shift) = (cx.input(1)?, cx.input(2)?);
        let dtype = cx.dtype(x)?;
        let (scale, shift) = (cx.cast(scale, dtype)?, cx.cast(shift, dtype)?);
        return scale_and_shift(cx, normal, scale, shift);
    }
    let scaled = scale_and_shift(cx, normal, cx.input(1)?, cx.input(2)?)?;
    cx.reshape(scaled, shape)
}

/// The sum of two operands and of the bias that is operand `i`, if it is given: one number for each channel, which come second
/// in a tensor of `rank` dimensions, or last without one.
pub(super) fn sum_of(cx: &mut NodeCx<'_, '_>, a: Value, b: Value, i: usize, rank: Option<usize>) -> Single {
    let sum = cx.binary("add", a, b)?;
    let Some(bias) = cx.optional(i) else { return Ok(sum) };
    let bias = rank.map_or(Ok(bias), |rank| per_channel(cx, bias, rank))?;
    cx.binary("add", sum, bias)
}

fn mean_variance_norm(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let dtype = cx.dtype(x)?;
    let axes = cx.axes(x, cx.ints("axes").unwrap_or(&[0, 2, 3]))?;
    let x = stashed(cx, x)?;
    let mean = cx.reduce("reduce_mean", x, &axes, true)?;
    let centered = cx.binary("sub", x, mean)?;
    let square = cx.square(centered)?;
    let variance = cx.reduce("reduce_mean", square, &axes, true)?;
    let deviation = cx.unary("sqrt", variance)?;
    let divisor = cx.with_number("add", deviation, 1e-9)?;
    let normal = cx.binary("div", centered, divisor)?;
    cx.cast(normal, dtype)
}

/// Zero where the norm is zero.
fn lp_norm(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let dtype = cx.dtype(x)?;
    let axis = cx.axis(x, cx.int("axis").unwrap_or(-1))? as i64;
    let x = stashed(cx, x)?;
    let norm = match cx.int("p").unwrap_or(2) {
        1 => {
            let magnitude = cx.unary("abs", x)?;
            cx.reduce("reduce_sum", magnitude, &[axis], true)?
        }
        2 => reduce::l2(cx, x, &[axis], true)?,
        p => return Err(bad(format!("norm {p} is neither 1 nor 2"))),
    };
    let empty = cx.with_number("equal", norm, 0.0)?;
    let one = cx.number_like(x, 1.0)?;
    let divisor = cx.select(empty, one, norm)?;
    let normal = cx.binary("div", x, divisor)?;
    cx.cast(normal, dtype)
}

/// `x / (bias + alpha/size · Σ x²)^beta` over windows of channels.
fn local_response_norm(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let size =
        cx.int("size").filter(|it| (1..1 << 20).contains(it)).ok_or_else(|| bad("`size` is missing"))?;
    let alpha = cx.float("alpha").unwrap_or(f64::from(1e-4f32));
    let (beta, bias) = (cx.float("beta").unwrap_or(0.75), cx.float("bias").unwrap_or(1.0));
    let dtype = cx.dtype(x)?;
    let x = stashed(cx, x)?;
    let square = cx.square(x)?;
    let mean = channel_mean(cx, square, size)?;
    let base = cx.affine(mean, alpha, bias)?;
    let divisor = cx.with_number("pow", base, beta)?;
    let normal = cx.binary("div", x, divisor)?;
    cx.cast(normal, dtype)
}
