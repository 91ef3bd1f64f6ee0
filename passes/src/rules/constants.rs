//! What rules ask of constants and of what moves them.

use crate::rewrite::{OpCall, Rewriter, Value};
use orogen_ir::types::{DType, TensorData};

/// Operators that move elements of their first operand, and how many of them are looked through.
const MOVES: [&str; 6] = ["transpose", "reshape", "squeeze", "unsqueeze", "slice", PAD];
/// The one that puts zeros beside them.
const PAD: &str = "pad";
const MOST_MOVES: usize = 8;

/// Whether a value is a constant, also one that nobody has seen, or one that is only moved.
pub(super) fn is_constant(rewriter: &dyn Rewriter, mut value: Value) -> bool {
    for _ in 0..MOST_MOVES {
        if rewriter.constant(value).is_some() || rewriter.is_made(value) == Some(true) {
            return true;
        }
        let Some(moved) = moved(rewriter, value) else { return false };
        value = moved.args[0];
    }
    false
}

/// A move of elements by constants.
fn moved(rewriter: &dyn Rewriter, value: Value) -> Option<OpCall> {
    let call = rewriter.definition(value)?;
    let by_constants = call.args[1..].iter().all(|it| rewriter.constant(*it).is_some());
    (by_constants && MOVES.contains(&rewriter.ops().def(call.op).name)).then_some(call)
}

/// Whether an operator keeps the numbers of its first operand, in another place or type.
fn is_view(name: &str) -> bool {
    name == "cast" || MOVES.contains(&name)
}

fn is_dequantize(name: &str) -> bool {
    matches!(name, "dequantize" | "dequantize_blocks")
}

/// Whether an operator moves, converts or scales numbers.
fn keeps_numbers(name: &str) -> bool {
    is_view(name) || name == "mul" || is_dequantize(name)
}

/// Whether a value follows from constants alone, by so many operations one after the other.
pub(super) fn is_made_of_constants(rewriter: &dyn Rewriter, value: Value, depth: usize) -> bool {
    if rewriter.constant(value).is_some() {
        return true;
    }
    let Some((call, depth)) = rewriter.definition(value).zip(depth.checked_sub(1)) else { return false };
    let name = rewriter.ops().def(call.op).name;
    keeps_numbers(name) && call.args.iter().all(|it| is_made_of_constants(rewriter, *it, depth))
}

/// The least and the largest magnitude of what a value made of constant floats holds, but for zeros; `None` if they are
/// not known to be finite.
pub(super) fn magnitudes(rewriter: &dyn Rewriter, value: Value, depth: usize) -> Option<[f64; 2]> {
    if let Some(data) = rewriter.constant(value).filter(|it| it.dtype().is_float()) {
        let numbers: Vec<f64> = data.to_f64().into_iter().map(f64::abs).filter(|it| *it != 0.0).collect();
        let range = numbers.iter().fold([f64::MAX, 0.0f64], |[low, high], it| [low.min(*it), high.max(*it)]);
        return numbers.iter().all(|it| it.is_finite()).then_some(range);
    }
    let call = rewriter.definition(value)?;
    let depth = depth.checked_sub(1)?;
    match rewriter.ops().def(call.op).name {
        "mul" => {
            let [x, y] = [0, 1].map(|it| magnitudes(rewriter, call.args[it], depth));
            let ([low, high], [least, most]) = (x?, y?);
            Some([low * least, high * most])
        }
        name if is_view(name) => magnitudes(rewriter, call.args[0], depth),
        _ => None,
    }
}

/// Whether all that a value holds is known to be finite: integers, a finite constant, or one that is moved, or converted or
/// scaled to what its type holds. A constant that nobody has seen is taken for one of numbers.
pub(super) fn is_known_finite(rewriter: &mut dyn Rewriter, value: Value, depth: usize) -> bool {
    bound(rewriter, value, depth).is_some()
}

/// What no magnitude in a value is above; `None` if it is not known to be finite.
fn bound(rewriter: &mut dyn Rewriter, value: Value, depth: usize) -> Option<f64> {
    let dtype = rewriter.ty(value).as_tensor()?.dtype;
    if let Some(data) = rewriter.constant(value).filter(|_| dtype.is_float() || dtype.is_int()) {
        let largest = |most: f64, it: f64| if it.is_finite() { Some(most.max(it.abs())) } else { None };
        return data.to_f64().into_iter().try_fold(0.0, largest);
    }
    if !dtype.is_float() {
        let (least, most) = dtype.int_range()?;
        return Some((least as f64).abs().max(most as f64));
    }
    if rewriter.is_made(value) == Some(true) {
        return Some(f64::MAX);
    }
    let (call, depth) = rewriter.definition(value).zip(depth.checked_sub(1))?;
    let name = rewriter.ops().def(call.op).name;
    if !keeps_numbers(name) {
        return None;
    }
    let bounds = call.args.iter().map(|it| bound(rewriter, *it, depth)).collect::<Option<Vec<f64>>>()?;
    let moved = match &bounds[..] {
        [integers, scale, zero @ ..] if is_dequantize(name) => {
            (integers + zero.first().unwrap_or(&0.0)) * scale
        }
        [x, y] if name == "mul" => x * y,
        [x, _, around] if name == PAD => return Some(x.max(*around)),
        [x, ..] if MOVES.contains(&name) => return Some(*x),
        [x, ..] => *x,
        [] => return None,
    };
    // Rounded as it is; 8 bits may have no infinity to tell what does not fit.
    let rounded = dtype.round(dtype.compute().round(moved));
    (rounded.is_finite() && (dtype.bits() > 8 || moved <= rounded)).then_some(rounded)
}

/// The signed integers of 8 bits or fewer that are as wide as a type.
fn signed(dtype: DType) -> Option<DType> {
    if dtype.is_int() && dtype.bits() == 8 { DType::int_of(dtype.width(), true) } else { None }
}

/// Integers of 8 bits or fewer less their zero points as signed ones of that width, where these hold them all.
pub(super) fn centred(rewriter: &mut dyn Rewriter, integers: Value, zero: Value) -> Option<Value> {
    let points = rewriter.constant(zero)?;
    let Some(data) = rewriter.constant(integers) else {
        // What has one zero point may be moved afterwards.
        let call = moved(rewriter, integers).filter(|_| points.len() == 1)?;
        if rewriter.ops().def(call.op).name == PAD {
            return None;
        }
        let inner = centred(rewriter, call.args[0], zero)?;
        let args: Vec<Value> = [inner].into_iter().chain(call.args[1..].iter().copied()).collect();
        let name = rewriter.ops().def(call.op).name;
        return rewriter.emit(name, call.attrs, &args);
    };
    let to = signed(data.dtype())?;
    let (least, most) = to.int_range()?;
    let number = |byte: u8| match data.dtype().is_signed_int() {
        true => i16::from(byte.cast_signed()),
        false => i16::from(byte),
    };
    let (values, zeros) = (data.unpacked(), points.unpacked());
    // From one element along each dimension to the next zero point.
    let (dims, own) = (data.dims(), points.dims());
    let skip = dims.len().checked_sub(own.len())?;
    let mut strides = vec![0usize; dims.len()];
    let mut stride = 1usize;
    for (axis, extent) in own.iter().enumerate().rev() {
        strides[skip + axis] = if *extent == 1 { 0 } else { stride };
        stride *= usize::try_from(*extent).ok()?;
    }
    let mut at = vec![0u64; dims.len()];
    let mut place = 0;
    let mut bytes = Vec::with_capacity(values.len());
    for byte in values.iter() {
        let difference = number(*byte) - number(*zeros.get(place)?);
        if !(least..=most).contains(&difference.into()) {
            return None;
        }
        bytes.push(difference as u8);
        for axis in (0..dims.len()).rev() {
            at[axis] += 1;
            place += strides[axis];
            if at[axis] < dims[axis] {
                break;
            }
            place -= strides[axis] * usize::try_from(at[axis]).ok()?;
            at[axis] = 0;
        }
    }
    let centred = TensorData::from_unpacked(to, dims.to_vec(), bytes.into()).ok()?;
    Some(rewriter.emit_constant(centred))
}
