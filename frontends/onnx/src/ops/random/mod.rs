//! Distributions of random numbers, which one of two generators makes ([`generator`]).
//!
//! A node with a seed gives what the reference implementation of ONNX gives, so that results can be compared across
//! implementations: numbers, and what is made of them, are those of numpy's `RandomState`. One without a seed has no
//! numbers to be compared with, and takes those that are made fastest. Either way they are the same on every machine, for
//! every number of threads, and in every call.

mod generator;

use super::axes::none_true;
use super::single;
use crate::emit::{Size, attrs};
use crate::node::{NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::{Converted, OpTable};
use crate::tensor::dtype_of;
use generator::{counted, doubles, seed_of};
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::DType;
use std::f64::consts::TAU;

type Single = Result<Value, Diagnostic>;

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

/// Numbers of a uniform distribution from 0 to 1, of the type of floats that is asked for, or of f64 from a seed.
fn uniform(cx: &mut NodeCx<'_, '_>, shape: Value, dtype: DType) -> Single {
    let Some(seed) = seed_of(cx) else { return counted(cx, shape, dtype, 0) };
    let count = number_of(cx, shape)?;
    let numbers = doubles(cx, count, seed)?;
    cx.reshape(numbers, shape)
}

/// How many elements a shape has, `[1]`.
fn number_of(cx: &mut NodeCx<'_, '_>, shape: Value) -> Single {
    let rank =
        cx.static_dim(shape, 0).ok_or_else(|| not_supported("a number of dimensions that is dynamic"))?;
    let mut count = cx.int_vector(&[1]);
    for i in 0..rank {
        let size = cx.slice(shape, 0, i, i + 1)?;
        count = cx.binary("mul", count, size)?;
    }
    Ok(count)
}

fn uniform_between(cx: &mut NodeCx<'_, '_>, shape: Value, dtype: DType) -> Single {
    let (low, high) = (cx.float("low").unwrap_or(0.0), cx.float("high").unwrap_or(1.0));
    if !dtype.is_float() {
        return Err(bad(format!("random numbers of type {dtype}")));
    }
    let numbers = uniform(cx, shape, dtype)?;
    let numbers = cx.cast(numbers, dtype)?;
    cx.affine(numbers, high - low, low)
}

fn normal(cx: &mut NodeCx<'_, '_>, shape: Value, dtype: DType) -> Single {
    let (mean, scale) = (cx.float("mean").unwrap_or(0.0), cx.float("scale").unwrap_or(1.0));
    if !dtype.is_float() {
        return Err(bad(format!("random numbers of type {dtype}")));
    }
    if let Some(seed) = seed_of(cx) {
        let numbers = polar(cx, shape, seed)?;
        let numbers = cx.cast(numbers, dtype)?;
        return cx.affine(numbers, scale, mean);
    }
    let wide = if dtype == DType::F64 { DType::F64 } else { DType::F32 };
    let numbers = box_muller(cx, shape, wide)?;
    let numbers = cx.affine(numbers, scale, mean)?;
    cx.cast(numbers, dtype)
}

/// Normal numbers by the method of Box and Muller, from two uniform ones each.
fn box_muller(cx: &mut NodeCx<'_, '_>, shape: Value, dtype: DType) -> Single {
    let (radius, angle) = (counted(cx, shape, dtype, 0)?, counted(cx, shape, dtype, 1)?);
    // Not 0, which has no logarithm.
    let radius = cx.affine(radius, -1.0, 1.0)?;
    let radius = cx.unary("log", radius)?;
    let radius = cx.affine(radius, -2.0, 0.0)?;
    let radius = cx.unary("sqrt", radius)?;
    let angle = cx.affine(angle, TAU, 0.0)?;
    let cosine = cx.unary("cos", angle)?;
    cx.binary("mul", radius, cosine)
}

/// Normal numbers of f64 by the polar method of Marsaglia, as numpy's legacy generator: a point of the square is taken if it
/// lies in the circle, and gives two numbers.
///
/// Of every ten points nearly eight do. Here so many are made before that fewer than are needed lie in it with a
/// probability below 1e-25.
fn polar(cx: &mut NodeCx<'_, '_>, shape: Value, seed: u32) -> Single {
    let count = number_of(cx, shape)?;
    let (three, four, some) = (cx.int_vector(&[3]), cx.int_vector(&[4]), cx.int_vector(&[64]));
    let points = cx.binary("mul", count, three)?;
    let points = cx.binary("div", points, four)?;
    let points = cx.binary("add", points, some)?;
    let (two, one) = (cx.int_vector(&[2]), cx.int_vector(&[1]));
    let numbers = cx.binary("mul", points, two)?;
    let numbers = doubles(cx, numbers, seed)?;
    let pairs = cx.concat(&[points, two], 0)?;
    let at = cx.reshape(numbers, pairs)?;
    let at = cx.affine(at, 2.0, -1.0)?;
    let square = cx.square(at)?;
    let square = cx.reduce("reduce_sum", square, &[1], true)?;
    let inside = cx.with_number("less", square, 1.0)?;
    let off_centre = cx.with_number("greater", square, 0.0)?;
    let inside = cx.binary("and", inside, off_centre)?;
    let log = cx.unary("log", square)?;
    let factor = cx.affine(log, -2.0, 0.0)?;
    let factor = cx.binary("div", factor, square)?;
    let factor = cx.unary("sqrt", factor)?;
    let (first, second) = (cx.slice(at, 1, 0, 1)?, cx.slice(at, 1, 1, 2)?);
    let swapped = cx.concat(&[second, first], 1)?;
    let numbers = cx.binary("mul", swapped, factor)?;
    // Those inside go to the front, the others to a row behind all.
    let taken = cx.as_i64(inside)?;
    let place = cx.emit("cum_sum", attrs([("axis", 0.into()), ("exclusive", true.into())]), &[taken])?;
    let place = cx.select(inside, place, points)?;
    let rows = cx.binary("add", points, one)?;
    let room = cx.concat(&[rows, two], 0)?;
    let zero = cx.number(DType::F64, 0.0);
    let room = cx.full(room, zero)?;
    let numbers = cx.emit("scatter_nd", attrs([("reduction", "none".into())]), &[room, place, numbers])?;
    let flat = cx.binary("mul", rows, two)?;
    let numbers = cx.reshape(numbers, flat)?;
    let start = cx.int_vector(&[0]);
    let numbers = cx.slice_between(numbers, 0, start, count)?;
    cx.reshape(numbers, shape)
}

/// 1 with the probability that the operand gives, else 0.
fn bernoulli(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let own = cx.dtype(x)?;
    let dtype = wanted_type(cx, own)?;
    let sizes: Vec<Size> = (0..cx.rank(x)?).map(|i| Size::Of(x, i)).collect();
    let shape = sizes_of(cx, &sizes)?;
    let taken = if seed_of(cx).is_some() {
        binomial(cx, x, shape)?
    } else {
        let numbers = counted(cx, shape, own, 0)?;
        cx.binary("less", numbers, x)?
    };
    cx.cast(taken, dtype)
}

/// Truth values as numpy's binomial numbers of one trial: the likelier one is taken from the bottom.
fn binomial(cx: &mut NodeCx<'_, '_>, x: Value, shape: Value) -> Single {
    let numbers = uniform(cx, shape, DType::F64)?;
    let share = cx.cast(x, DType::F64)?;
    let likely = cx.with_number("greater", share, 0.5)?;
    let low = cx.binary("less_equal", numbers, share)?;
    let rest = cx.affine(share, -1.0, 1.0)?;
    let high = cx.binary("greater", numbers, rest)?;
    cx.select(likely, low, high)
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
    let wide = if cx.dtype(x)? == DType::F64 || seed_of(cx).is_some() { DType::F64 } else { DType::F32 };
    let x = cx.cast(x, wide)?;
    let shares = cx.emit("softmax", attrs([("axis", 1.into())]), &[x])?;
    let ends = cx.emit("cum_sum", attrs([("axis", 1.into())]), &[shares])?;
    let total = cx.reduce("reduce_max", ends, &[1], true)?;
    let shape = sizes_of(cx, &[Size::Of(x, 0), Size::Const(samples)])?;
    let numbers = uniform(cx, shape, wide)?;
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
    let numbers = uniform(cx, shape, wide)?;
    let least = cx.cast(ratio, cx.dtype(numbers)?)?;
    let mut kept = cx.binary("greater_equal", numbers, least)?;
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
