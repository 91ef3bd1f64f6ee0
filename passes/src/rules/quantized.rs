//! Quantised values, written once for both graph IRs: products of what was integers are products of the integers, and what
//! only moves numbers moves the integers.
//!
//! Rules that take a scale out of a product, which is a factor of every sum then, reassociate: the result is within the
//! rounding of f32 of what it was, and the sum itself is exact. All others keep every bit.

use super::constants::{centred, is_constant};
use crate::rewrite::{OpCall, Rewriter, Rule, RuleClass, Value};
use orogen_ir::types::{Attrs, DType, TensorData};

/// The rules, in the order they are tried.
pub const RULES: &[Rule] = &[
    Rule {
        name: "name-dequantize",
        root: "mul",
        class: RuleClass::Bitwise,
        reason: "whether a zero point is a whole number of the type is seen in its data",
        apply: name_dequantize,
    },
    Rule {
        name: "multiply-integers",
        root: "matmul",
        class: RuleClass::Reassociates,
        reason: "which operands are shifted to signed bytes is seen in their data",
        apply: multiply_integers,
    },
    Rule {
        name: "convolve-integers",
        root: "conv",
        class: RuleClass::Reassociates,
        reason: "which operands are shifted to signed bytes is seen in their data",
        apply: convolve_integers,
    },
    Rule {
        name: "dequantize-after-transpose",
        root: "transpose",
        class: RuleClass::Bitwise,
        reason: "scales and zero points have ranks of their own",
        apply: dequantize_after_transpose,
    },
    Rule {
        name: "dequantize-after-reshape",
        root: "reshape",
        class: RuleClass::Bitwise,
        reason: "which dimensions scales and zero points have is seen in their types",
        apply: dequantize_after_reshape,
    },
    Rule {
        name: "dequantize-after-gather",
        root: "gather",
        class: RuleClass::Bitwise,
        reason: "scales and zero points have ranks of their own",
        apply: dequantize_after_gather,
    },
];

/// A value that is dequantised integers of its own shape.
pub(super) struct Quantized {
    pub(super) integers: Value,
    pub(super) dtype: DType,
    pub(super) rank: usize,
    pub(super) scale: Value,
    pub(super) zero: Option<Value>,
}

impl Quantized {
    pub(super) fn of(rewriter: &mut dyn Rewriter, value: Value) -> Option<Quantized> {
        let call = rewriter.definition_by(value, "dequantize")?;
        let (integers, result) = (rewriter.ty(call.args[0]), rewriter.ty(value));
        let (integers, result) = (integers.as_tensor()?, result.as_tensor()?);
        let (dims, found) = (integers.dims()?, result.dims()?);
        (dims == found).then_some(Quantized {
            integers: call.args[0],
            dtype: integers.dtype,
            rank: dims.len(),
            scale: call.args[1],
            zero: call.args.get(2).copied(),
        })
    }

    /// The scale, then the zero point.
    fn parameters(&self) -> impl Iterator<Item = Value> {
        [self.scale].into_iter().chain(self.zero)
    }

    /// Whether the integers can be those of a product of integers.
    fn is_factor(&self, rewriter: &mut dyn Rewriter, summed: impl Fn(usize) -> bool) -> bool {
        self.dtype.is_int() && self.dtype.bits() == 8 && self.is_same_along(rewriter, summed)
    }

    /// Whether scale and zero point are the same along these dimensions.
    pub(super) fn is_same_along(&self, rewriter: &mut dyn Rewriter, summed: impl Fn(usize) -> bool) -> bool {
        self.parameters().all(|it| {
            extents(rewriter, it).is_some_and(|extents| {
                let skip = self.rank - extents.len();
                extents.iter().enumerate().all(|(i, it)| !summed(skip + i) || *it == Some(1))
            })
        })
    }

    /// Whether scale and zero point are scalars.
    pub(super) fn is_uniform(&self, rewriter: &mut dyn Rewriter) -> bool {
        self.parameters().all(|it| extents(rewriter, it).is_some_and(|it| it.is_empty()))
    }
}

/// The dimensions of a value, those that are constant as numbers.
pub(super) fn extents(rewriter: &mut dyn Rewriter, value: Value) -> Option<Vec<Option<i64>>> {
    let ty = rewriter.ty(value);
    let dims = ty.as_tensor()?.dims()?;
    Some(dims.iter().map(|it| rewriter.shapes().as_int(*it)).collect())
}

pub(super) fn dtype_of(rewriter: &mut dyn Rewriter, value: Value) -> Option<DType> {
    Some(rewriter.ty(value).as_tensor()?.dtype)
}

pub(super) fn cast(rewriter: &mut dyn Rewriter, value: Value, to: DType) -> Option<Value> {
    match dtype_of(rewriter, value)? {
        dtype if dtype == to => Some(value),
        _ => rewriter.emit("cast", Attrs::none().with("to", to), &[value]),
    }
}

/// `(cast(x) − zero) · scale = dequantize(x, scale, zero)`, where scale and zero point are constants.
fn name_dequantize(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let (numbers, scale) = match rewriter.constant(call.args[1]) {
        Some(_) => (call.args[0], call.args[1]),
        None => (call.args[1], call.args[0]),
    };
    let is_number = rewriter.constant(scale)?.dtype() == DType::F32;
    let difference = rewriter.definition_by(numbers, "sub");
    let widened = difference.as_ref().map_or(numbers, |it| it.args[0]);
    let x = rewriter.definition_by(widened, "cast")?.args[0];
    let dtype = dtype_of(rewriter, x)?;
    if !is_number || !dtype.is_int_of(&[8, 16]) {
        return None;
    }
    let mut args = vec![x, scale];
    if let Some(difference) = difference {
        let zero = rewriter.constant(difference.args[1])?;
        let integers = TensorData::from_f64(dtype, zero.dims(), zero.to_f64());
        if integers.to_f64() != zero.to_f64() {
            return None;
        }
        args.push(rewriter.emit_constant(integers));
    }
    let value = rewriter.emit("dequantize", Attrs::none(), &args)?;
    let (x, found) = (rewriter.ty(x), rewriter.ty(value));
    (x.as_tensor()?.dims()? == found.as_tensor()?.dims()?).then_some(value)
}

/// Whether a scale is constant, and dividing by it what was multiplied by it gives the integer again.
pub(super) fn is_regular(rewriter: &dyn Rewriter, scale: Value) -> Option<TensorData> {
    let data = rewriter.constant(scale).filter(|it| it.dtype() == DType::F32)?;
    // Products with 16-bit integers stay finite and normal.
    let fits = |it: f64| (1e-30..1e30).contains(&it);
    data.to_f64().into_iter().all(fits).then_some(data)
}

/// `integers · (scale of a · scale of b)` of a type.
fn scaled(
    rewriter: &mut dyn Rewriter,
    integers: Value,
    scales: [Value; 2],
    to: DType,
    bias: Option<Value>,
) -> Option<Value> {
    let [a, b] = [cast(rewriter, scales[0], DType::F32)?, cast(rewriter, scales[1], DType::F32)?];
    let factor = rewriter.emit("mul", Attrs::none(), &[a, b])?;
    let sums = cast(rewriter, integers, DType::F32)?;
    let mut value = rewriter.emit("mul", Attrs::none(), &[sums, factor])?;
    if let Some(bias) = bias {
        let bias = cast(rewriter, bias, DType::F32)?;
        value = rewriter.emit("add", Attrs::none(), &[value, bias])?;
    }
    cast(rewriter, value, to)
}

/// Whether there is a zero point for each row or column.
pub(super) fn is_each(rewriter: &mut dyn Rewriter, zero: Option<Value>) -> bool {
    zero.is_some_and(|it| extents(rewriter, it).is_none_or(|it| !it.is_empty()))
}

/// Operands of a product of integers; constant bytes around a zero point are signed ones, where these hold them. Constants
/// narrower than a byte stay so where products read them: where there is one zero point, unless they are columns, and not in
/// convolutions of single channels, which `narrow` says of the second operand. All else is bytes.
fn factors(
    rewriter: &mut dyn Rewriter,
    a: &Quantized,
    b: &Quantized,
    narrow: impl Fn(bool) -> bool,
) -> Vec<Value> {
    let mut parts = |it: &Quantized| match it.zero.and_then(|zero| centred(rewriter, it.integers, zero)) {
        Some(integers) => (integers, None),
        None => (it.integers, it.zero),
    };
    let ((first, first_zero), (second, second_zero)) = (parts(a), parts(b));
    let each = [first_zero, second_zero].map(|it| is_each(rewriter, it));
    let kept = [is_constant(rewriter, first) && !each[0], is_constant(rewriter, second) && narrow(each[1])];
    let mut bytes = |it: Value, zero: Option<Value>| {
        let mut byte = |it: Value| match dtype_of(rewriter, it) {
            Some(dtype) => cast(rewriter, it, dtype.compute()).unwrap_or(it),
            None => it,
        };
        (byte(it), zero.map(byte))
    };
    let (first, first_zero) = if kept[0] { (first, first_zero) } else { bytes(first, first_zero) };
    let (second, second_zero) = if kept[1] { (second, second_zero) } else { bytes(second, second_zero) };
    let mut args = vec![first, second];
    match (first_zero, second_zero) {
        (None, None) => {}
        (Some(zero), None) => args.push(zero),
        (None, Some(zero)) => {
            let dtype = dtype_of(rewriter, first).unwrap_or(a.dtype);
            args.push(rewriter.emit_constant(TensorData::from_f64(dtype, &[], [0.0])));
            args.push(zero);
        }
        (Some(first), Some(second)) => args.extend([first, second]),
    }
    args
}

/// The type of products that are scaled in f32.
pub(super) fn result_type(rewriter: &mut dyn Rewriter, value: Value) -> Option<DType> {
    dtype_of(rewriter, value).filter(|it| it.is_float_of(&[16, 32]))
}

/// Products of bytes around zero points that `i32` holds the sum of, whatever they are.
const MOST_TERMS: i64 = i32::MAX as i64 / (255 * 255);

/// Whether `i32` holds every sum of so many products.
fn fits(terms: impl IntoIterator<Item = Option<i64>>) -> bool {
    let terms = terms.into_iter().try_fold(1i64, |all, it| all.checked_mul(it?));
    terms.is_some_and(|it| it <= MOST_TERMS)
}

/// The most elements along a dimension of a value, where that is known.
fn most(rewriter: &mut dyn Rewriter, value: Value, axis: usize) -> Option<i64> {
    let ty = rewriter.ty(value);
    let dim = ty.as_tensor()?.dims()?.get(axis).copied()?;
    rewriter.shapes().bounds(dim).hi
}

/// `matmul(dequantize(a), dequantize(b)) = matmul_integer(a, b) · (scale of a · scale of b)`. Sums that `i32` may not hold, as
/// those of a size that a call decides, are floats, as they were.
fn multiply_integers(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let to = result_type(rewriter, call.args[0])?;
    let (a, b) = (Quantized::of(rewriter, call.args[0])?, Quantized::of(rewriter, call.args[1])?);
    // What is one for each row or column has a dimension of 1 that a product with a vector does not have.
    let vector = a.rank.min(b.rank) < 2;
    if vector && !(a.is_uniform(rewriter) && b.is_uniform(rewriter)) {
        return None;
    }
    let (last, inner) = (a.rank - 1, b.rank.saturating_sub(2));
    if !a.is_factor(rewriter, |axis| axis == last) || !b.is_factor(rewriter, |axis| axis == inner) {
        return None;
    }
    // Either of them may say how many terms there are.
    let terms = [most(rewriter, a.integers, last), most(rewriter, b.integers, inner)];
    let attrs = match terms.into_iter().any(|it| fits([it])) {
        true => Attrs::none(),
        false => Attrs::none().with("to", DType::F32),
    };
    let args = factors(rewriter, &a, &b, |_| true);
    let product = rewriter.emit("matmul_integer", attrs, &args)?;
    scaled(rewriter, product, [a.scale, b.scale], to, None)
}

/// `conv(dequantize(x), dequantize(w), bias) = conv_integer(x, w) · (scale of x · scale of w) + bias`.
fn convolve_integers(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let to = result_type(rewriter, call.args[0])?;
    let (x, w) = (Quantized::of(rewriter, call.args[0])?, Quantized::of(rewriter, call.args[1])?);
    if !x.is_uniform(rewriter) || !w.is_factor(rewriter, |axis| axis > 0) {
        return None;
    }
    if !x.is_factor(rewriter, |_| true) {
        return None;
    }
    let terms: Vec<_> = (1..w.rank).map(|axis| most(rewriter, w.integers, axis)).collect();
    if !fits(terms) {
        return None;
    }
    // One for each channel: the channels of weights come first, those of the result second.
    let mut scale = w.scale;
    if extents(rewriter, scale)?.len() == w.rank {
        scale = rewriter.emit("squeeze", Attrs::none().with("axes", vec![1]), &[scale])?;
    }
    let bias = match call.args.get(2) {
        Some(bias) => {
            let trailing: Vec<i64> = (1..w.rank as i64 - 1).collect();
            Some(rewriter.emit("unsqueeze", Attrs::none().with("axes", trailing), &[*bias])?)
        }
        None => None,
    };
    let single = extents(rewriter, w.integers)?.get(1) == Some(&Some(1));
    let args = factors(rewriter, &x, &w, |each| !single && !each);
    let product = rewriter.emit("conv_integer", call.attrs.clone(), &args)?;
    scaled(rewriter, product, [x.scale, scale], to, bias)
}

/// The same for rows of a table; what is one for each of them is taken with them. Constants lose a zero point that
/// is the same for all, as those of transposed weights do, so that a table which is weights too is one constant.
fn dequantize_after_gather(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let mut x = Quantized::of(rewriter, call.args[0])?;
    let zero = x.zero.filter(|it| rewriter.constant(*it).is_some_and(|it| it.len() == 1));
    if let Some(integers) = zero.and_then(|zero| centred(rewriter, x.integers, zero)) {
        (x.integers, x.zero) = (integers, None);
    }
    let axis = usize::try_from(call.attrs.int("axis")?).ok()?;
    let mut args = vec![rewriter.emit("gather", call.attrs.clone(), &[x.integers, call.args[1]])?];
    for parameter in x.parameters() {
        let extents = extents(rewriter, parameter)?;
        // What has no such dimension belongs to those after it.
        let Some(own) = axis.checked_sub(x.rank - extents.len()).filter(|_| !extents.is_empty()) else {
            args.push(parameter);
            continue;
        };
        if extents[own].is_none_or(|it| it == 1) {
            return None;
        }
        let attrs = Attrs::none().with("axis", own as i64);
        args.push(rewriter.emit("gather", attrs, &[parameter, call.args[1]])?);
    }
    rewriter.emit("dequantize", Attrs::none(), &args)
}

/// The same for a reshape of constants that keeps the last dimensions, where scales and zero points are the same along all
/// others.
fn dequantize_after_reshape(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let x = Quantized::of(rewriter, call.args[0])?;
    let (from, to) = (extents(rewriter, call.args[0])?, extents(rewriter, call.result)?);
    if !is_constant(rewriter, x.integers) || x.is_uniform(rewriter) {
        return None;
    }
    let mut args = vec![rewriter.emit("reshape", call.attrs.clone(), &[x.integers, call.args[1]])?];
    for parameter in x.parameters() {
        let own = extents(rewriter, parameter)?;
        let same = own.iter().take_while(|it| **it == Some(1)).count();
        let kept = &own[same..];
        let is_kept = from.ends_with(&to[to.len().checked_sub(kept.len())?..]);
        if !is_kept {
            return None;
        }
        let shape: Vec<i64> = kept.iter().copied().collect::<Option<_>>()?;
        let shape = rewriter.emit_constant(TensorData::ints(&shape));
        args.push(rewriter.emit("reshape", Attrs::none(), &[parameter, shape])?);
    }
    rewriter.emit("dequantize", Attrs::none(), &args)
}

/// The same for a transpose; what is one for each index of a dimension is transposed with it.
fn dequantize_after_transpose(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let x = Quantized::of(rewriter, call.args[0])?;
    let mut args = vec![rewriter.emit("transpose", call.attrs.clone(), &[x.integers])?];
    for parameter in x.parameters() {
        let rank = extents(rewriter, parameter)?.len();
        args.push(match rank {
            0 => parameter,
            _ => {
                let leading: Vec<i64> = (0..(x.rank - rank) as i64).collect();
                let whole = match leading.is_empty() {
                    true => parameter,
                    false => rewriter.emit("unsqueeze", Attrs::none().with("axes", leading), &[parameter])?,
                };
                rewriter.emit("transpose", call.attrs.clone(), &[whole])?
            }
        });
    }
    rewriter.emit("dequantize", Attrs::none(), &args)
}
