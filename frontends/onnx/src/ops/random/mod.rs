//! Random numbers from a counter-based generator: number `i` of a node is a hash of `i` and of the seed, so that the same
//! seed gives the same numbers on every machine, for every number of threads, and in every call. A node without a seed has
//! one made of the name of its result.
//!
//! The hash is the one of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).

use super::arrange::single_of;
use super::axes::none_true;
use super::index::count_up;
use super::single;
use crate::emit::{Size, attrs};
use crate::node::{NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::{Converted, OpTable};
use crate::tensor::dtype_of;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::{DType, TensorData};
use std::f64::consts::TAU;

type Single = Result<Value, Diagnostic>;

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
const FACTORS: [(u64, u64); 2] = [(30, 0xbf58_476d_1ce4_e5b9), (27, 0x94d0_49bb_1331_11eb)];
const LAST_SHIFT: u64 = 31;

pub(super) fn register(table: &mut OpTable) {
    table.register("", "RandomUniform", .., single(|cx| by_attribute(cx, uniform_between)));
    table.register("", "RandomNormal", .., single(|cx| by_attribute(cx, normal)));
    table.register("", "RandomUniformLike", .., single(|cx| like(cx, uniform_between)));
    table.register("", "RandomNormalLike", .., single(|cx| like(cx, normal)));
    table.register("", "Bernoulli", .., single(bernoulli));
    table.register("", "Multinomial", .., single(multinomial));
    table.register("", "Dropout", .., dropout);
}

type Distribution = fn(&mut NodeCx<'_, '_>, Value, DType) -> Single;

/// The type that attribute `dtype` names.
fn wanted_type(cx: &NodeCx<'_, '_>, default: DType) -> Result<DType, Diagnostic> {
    match cx.int("dtype") {
        Some(number) => dtype_of(i32::try_from(number).unwrap_or(0)).map_err(not_supported),
        None => Ok(default),
    }
}

fn by_attribute(cx: &mut NodeCx<'_, '_>, numbers: Distribution) -> Single {
    let shape = cx.ints("shape").ok_or_else(|| bad("attribute `shape` is missing"))?;
    if shape.iter().any(|it| *it < 0) {
        return Err(bad(format!("attribute `shape` is {shape:?}")));
    }
    let shape = cx.int_vector(shape);
    let dtype = wanted_type(cx, DType::F32)?;
    numbers(cx, shape, dtype)
}

fn like(cx: &mut NodeCx<'_, '_>, numbers: Distribution) -> Single {
    let x = cx.input(0)?;
    let sizes: Vec<Size> = (0..cx.rank(x)?).map(|i| Size::Of(x, i)).collect();
    let shape = sizes_of(cx, &sizes)?;
    let dtype = wanted_type(cx, cx.dtype(x)?)?;
    numbers(cx, shape, dtype)
}

/// A shape; one without elements too.
fn sizes_of(cx: &mut NodeCx<'_, '_>, sizes: &[Size]) -> Single {
    if sizes.is_empty() { Ok(cx.int_vector(&[])) } else { cx.shape_vector(sizes) }
}

fn hash(value: u64) -> u64 {
    let mixed = FACTORS.iter().fold(value, |it, (shift, factor)| (it ^ (it >> shift)).wrapping_mul(*factor));
    mixed ^ (mixed >> LAST_SHIFT)
}

/// Where the numbers of a node begin.
fn seed(cx: &NodeCx<'_, '_>, stream: u64) -> u64 {
    let own = match (cx.float("seed"), cx.int("seed")) {
        // It is a float or, of some operators, an integer; what it is not is 0.
        (Some(float), int) => float.to_bits() ^ int.unwrap_or(0).cast_unsigned(),
        (None, _) => {
            let name = cx.proto().output.iter().find(|it| !it.is_empty()).map_or("", String::as_str);
            name.bytes().fold(1, |it, byte| hash(it ^ u64::from(byte)))
        }
    };
    hash(hash(own.wrapping_add(STEP)).wrapping_add(stream))
}

fn constant(cx: &mut NodeCx<'_, '_>, number: u64) -> Single {
    let bytes = number.to_le_bytes().to_vec();
    let data = TensorData::new(DType::U64, Vec::new(), bytes.into()).map_err(|it| bad(it.to_string()))?;
    Ok(cx.constant(data))
}

/// Numbers of a uniform distribution from 0 up to, and without, 1: multiples of the distance of numbers below 1.
fn uniform(cx: &mut NodeCx<'_, '_>, shape: Value, dtype: DType, stream: u64) -> Single {
    let digits: i32 = match dtype {
        DType::F64 => 53,
        DType::F32 => 24,
        DType::F16 => 11,
        DType::BF16 => 8,
        other => return Err(bad(format!("random numbers of type {other}"))),
    };
    let rank =
        cx.static_dim(shape, 0).ok_or_else(|| not_supported("a number of dimensions that is dynamic"))?;
    let mut count = cx.int_vector(&[1]);
    for i in 0..rank {
        let size = cx.slice(shape, 0, i, i + 1)?;
        count = cx.binary("mul", count, size)?;
    }
    let count = single_of(cx, count)?;
    let counters = count_up(cx, count)?;
    let counters = cx.cast(counters, DType::U64)?;
    let (step, start) = (constant(cx, STEP)?, constant(cx, seed(cx, stream))?);
    let scaled = cx.binary("mul", counters, step)?;
    let mut bits = cx.binary("add", scaled, start)?;
    let folded = |cx: &mut NodeCx<'_, '_>, bits: Value, shift: u64| {
        let shift = constant(cx, shift)?;
        let high = cx.binary("shift_right", bits, shift)?;
        cx.binary("xor", bits, high)
    };
    for (shift, factor) in FACTORS {
        let mixed = folded(cx, bits, shift)?;
        let factor = constant(cx, factor)?;
        bits = cx.binary("mul", mixed, factor)?;
    }
    let bits = folded(cx, bits, LAST_SHIFT)?;
    let drop = constant(cx, 64 - digits as u64)?;
    let whole = cx.binary("shift_right", bits, drop)?;
    let whole = cx.cast(whole, dtype)?;
    let numbers = cx.affine(whole, 2f64.powi(-digits), 0.0)?;
    cx.reshape(numbers, shape)
}

fn uniform_between(cx: &mut NodeCx<'_, '_>, shape: Value, dtype: DType) -> Single {
    let (low, high) = (cx.float("low").unwrap_or(0.0), cx.float("high").unwrap_or(1.0));
    let numbers = uniform(cx, shape, dtype, 0)?;
    cx.affine(numbers, high - low, low)
}

/// By the method of Box and Muller, from two uniform numbers.
fn normal(cx: &mut NodeCx<'_, '_>, shape: Value, dtype: DType) -> Single {
    let (mean, scale) = (cx.float("mean").unwrap_or(0.0), cx.float("scale").unwrap_or(1.0));
    let wide = if dtype == DType::F64 { DType::F64 } else { DType::F32 };
    if !dtype.is_float() {
        return Err(bad(format!("random numbers of type {dtype}")));
    }
    let (radius, angle) = (uniform(cx, shape, wide, 0)?, uniform(cx, shape, wide, 1)?);
    // Not 0, which has no logarithm.
    let radius = cx.affine(radius, -1.0, 1.0)?;
    let radius = cx.unary("log", radius)?;
    let radius = cx.affine(radius, -2.0, 0.0)?;
    let radius = cx.unary("sqrt", radius)?;
    let angle = cx.affine(angle, TAU, 0.0)?;
    let cosine = cx.unary("cos", angle)?;
    let numbers = cx.binary("mul", radius, cosine)?;
    let numbers = cx.affine(numbers, scale, mean)?;
    cx.cast(numbers, dtype)
}

/// 1 with the probability that the operand gives, else 0.
fn bernoulli(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let own = cx.dtype(x)?;
    let dtype = wanted_type(cx, own)?;
    let sizes: Vec<Size> = (0..cx.rank(x)?).map(|i| Size::Of(x, i)).collect();
    let shape = sizes_of(cx, &sizes)?;
    let numbers = uniform(cx, shape, own, 0)?;
    let taken = cx.binary("less", numbers, x)?;
    cx.cast(taken, dtype)
}

/// Operand: logarithms `[batch, classes]` that probabilities are proportional to. The result is `[batch, samples]`.
fn multinomial(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let samples = cx.int("sample_size").unwrap_or(1);
    if cx.rank(x)? != 2 || samples < 0 {
        return Err(bad(
            "its operand must have 2 dimensions, and its number of samples must not be negative",
        ));
    }
    let dtype = wanted_type(cx, DType::I32)?;
    let wide = if cx.dtype(x)? == DType::F64 { DType::F64 } else { DType::F32 };
    let x = cx.cast(x, wide)?;
    let shares = cx.emit("softmax", attrs([("axis", 1.into())]), &[x])?;
    let ends = cx.emit("cum_sum", attrs([("axis", 1.into())]), &[shares])?;
    let total = cx.reduce("reduce_max", ends, &[1], true)?;
    let shape = sizes_of(cx, &[Size::Of(x, 0), Size::Const(samples)])?;
    let numbers = uniform(cx, shape, wide, 0)?;
    let numbers = cx.binary("mul", numbers, total)?;
    // The first class that ends above the number: as many as end before it.
    let (ends, numbers) = (cx.unsqueeze(ends, &[1])?, cx.unsqueeze(numbers, &[2])?);
    let passed = cx.binary("less_equal", ends, numbers)?;
    let passed = cx.as_i64(passed)?;
    let class = cx.reduce("reduce_sum", passed, &[2], false)?;
    cx.cast(class, dtype)
}

fn dropout(cx: &mut NodeCx<'_, '_>) -> Converted {
    let x = cx.input(0)?;
    if let Some(training) = cx.optional(2).filter(|_| cx.opset() >= 12) {
        match cx.const_ints(training).as_deref() {
            Some([0]) => {}
            Some([_]) => return dropped(cx, x, None),
            Some(_) => return Err(bad("its mode is not one truth value")),
            None => return dropped(cx, x, Some(training)),
        }
    }
    let mut results = vec![x];
    if cx.wants_output(1) {
        // Before operator set 10 the mask had the type of the data.
        let dtype = if cx.opset() < 10 { cx.dtype(x)? } else { DType::Bool };
        let (shape, kept) = (cx.shape_of(x)?, cx.number(dtype, 1.0));
        results.push(cx.full(shape, kept)?);
    }
    Ok(results)
}

/// Elements that random numbers choose are 0, if `training` holds, and the others larger by what is missing.
fn dropped(cx: &mut NodeCx<'_, '_>, x: Value, training: Option<Value>) -> Converted {
    let dtype = cx.dtype(x)?;
    let wide = if dtype == DType::F64 { dtype } else { DType::F32 };
    let ratio = match cx.optional(1) {
        Some(ratio) => {
            let ratio = cx.reshape_to(ratio, &[])?;
            cx.cast(ratio, wide)?
        }
        None => cx.number(wide, 0.5),
    };
    let training = match training {
        Some(training) => Some(cx.reshape_to(training, &[])?),
        None => None,
    };
    let some = cx.with_number("greater_equal", ratio, 0.0)?;
    let not_all = cx.with_number("less", ratio, 1.0)?;
    let right = cx.binary("and", some, not_all)?;
    let mut wrong = cx.unary("not", right)?;
    let sizes: Vec<Size> = (0..cx.rank(x)?).map(|i| Size::Of(x, i)).collect();
    let shape = sizes_of(cx, &sizes)?;
    let numbers = uniform(cx, shape, wide, 0)?;
    let mut kept = cx.binary("greater_equal", numbers, ratio)?;
    let one = cx.number(wide, 1.0);
    let share = cx.binary("sub", one, ratio)?;
    let mut scale = cx.binary("div", one, share)?;
    if let Some(training) = training {
        let in_use = cx.unary("not", training)?;
        wrong = cx.binary("and", wrong, training)?;
        kept = cx.binary("or", kept, in_use)?;
        scale = cx.select(training, scale, one)?;
    }
    let wrong = cx.unsqueeze(wrong, &[0])?;
    none_true(cx, wrong, "its ratio, which is at least 0 and below 1")?;
    let scaled = cx.cast(x, wide)?;
    let scaled = cx.binary("mul", scaled, scale)?;
    let zero = cx.number(wide, 0.0);
    let result = cx.select(kept, scaled, zero)?;
    Ok(vec![cx.cast(result, dtype)?, kept])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_one_of_split_mix() {
        // The first numbers of its reference implementation from state 0.
        let numbers: Vec<u64> = (1..4u64).map(|i| hash(STEP.wrapping_mul(i))).collect();
        assert_eq!(numbers, [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]);
    }
}
