//! Fourier transforms: products with matrices of sines and cosines.
//!
//! A transform of length `N` is the product with the matrix of `exp(∓2πi·nk/N)`, whose angles are reduced exactly (`nk`
//! modulo `N`) before they are rounded. It takes `N` operations for each result, so lengths are limited by the size of
//! that matrix. Sums are `f64`, because frequencies that a signal does not have are sums that cancel. A short-time
//! transform is a convolution with the columns of this matrix, times the window, in the type of the signal.
//!
//! Where `N = P·Q`, element `Q·p + q` of a signal and number `k + P·l` of its spectrum turn by `kp/P + kq/N + lq/Q`: for
//! each `q` a transform over `p` whose matrix turns by `kq/N` as well, then one over `q`, which is taken apart in turn
//! (Cooley and Tukey). That takes `P + Q` operations for each result, in `f64` too, and rounds no more often.
//!
//! A large part that has no divisor is a convolution (Bluestein): as `2nk = n² + k² − (k − n)²`, a signal that is turned by
//! `n²/2N` is convolved with the opposite turns, and the result is turned by `k²/2N`. The convolution is a product of
//! spectra of a length that has divisors; what elements are multiplied by before a transform is in its first matrices.

use super::axes::{along_axis, none_true};
use super::index::{count_up, extent};
use super::single;
use crate::emit::{Size, attrs};
use crate::node::{NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::{DType, TensorData};
use std::f64::consts::TAU;

type Single = Result<Value, Diagnostic>;

/// The most elements of a matrix, 64 MiB of `f64`.
const MAX_ELEMENTS: usize = 1 << 23;

/// The longest transform.
const MAX_LENGTH: f64 = 0x7fff_ffff as f64;

const COMPLEX_SIDE: &str = "one side is asked of a complex signal";

pub(super) fn register(table: &mut OpTable) {
    table.register("", "DFT", 17.., single(dft));
    table.register("", "STFT", 17.., single(stft));
}

/// A transform between vectors of numbers that have one part or two, real and imaginary.
#[derive(Clone, Copy, Debug)]
struct Transform {
    /// `N`: the angle of a step is `2π/N`.
    length: usize,
    /// From frequencies to a signal.
    inverse: bool,
    /// Frequencies above the middle are those below it, conjugated, and left out.
    onesided: bool,
    /// Parts of what comes in.
    parts: usize,
}

impl Transform {
    /// Parts of a result: what is transformed back from one side is real.
    fn result_parts(&self) -> usize {
        if self.inverse && self.onesided { 1 } else { 2 }
    }

    /// Numbers of a result.
    fn results(&self) -> usize {
        if self.onesided && !self.inverse { self.length / 2 + 1 } else { self.length }
    }

    /// Numbers that count of what comes in.
    fn operands(&self) -> usize {
        if self.onesided && self.inverse { self.length / 2 + 1 } else { self.length }
    }

    /// Real and imaginary part of the factor by which number `n` of the operand enters number `k` of the result.
    fn factor(&self, n: usize, k: usize) -> (f64, f64) {
        let step = (n as u128 * k as u128 % self.length as u128) as f64;
        let (sin, cos) = quarter_exact(step, self.length as f64);
        if !self.inverse {
            return (cos, -sin);
        }
        // What is left out on the other side has the same real part.
        let middle = n == 0 || 2 * n == self.length;
        let weight = if self.onesided && !middle { 2.0 } else { 1.0 } / self.length as f64;
        (cos * weight, sin * weight)
    }

    /// How much part `from` of number `n` counts in part `to` of number `k`.
    fn element(&self, (n, from): (usize, usize), (k, to): (usize, usize)) -> f64 {
        let (re, im) = self.factor(n, k);
        match (from, to) {
            (0, 0) | (1, 1) => re,
            (0, _) => im,
            (_, _) => -im,
        }
    }

    /// The size of the matrix for `count` numbers that come in.
    fn check(&self, count: usize) -> Result<(), Diagnostic> {
        let size = count
            .checked_mul(self.parts)
            .and_then(|it| it.checked_mul(self.results())?.checked_mul(self.result_parts()));
        match size {
            Some(..=MAX_ELEMENTS) => Ok(()),
            _ => Err(not_supported(format!(
                "a transform of {count} numbers to {} is larger than matrices of {MAX_ELEMENTS} elements allow",
                self.results()
            ))),
        }
    }
}

/// Sine and cosine of `2π·step/length`; multiples of a quarter turn are exact.
fn quarter_exact(step: f64, length: f64) -> (f64, f64) {
    match 4.0 * step / length {
        0.0 => (0.0, 1.0),
        1.0 => (1.0, 0.0),
        2.0 => (0.0, -1.0),
        3.0 => (-1.0, 0.0),
        _ => (TAU * (step / length)).sin_cos(),
    }
}

/// The float type and the number of parts of what is transformed.
fn parts_of(cx: &mut NodeCx<'_, '_>, x: Value) -> Result<(DType, usize), Diagnostic> {
    let dtype = cx.dtype(x)?;
    if !dtype.is_float() {
        return Err(bad(format!("its signal has elements of type {dtype}")));
    }
    let last = cx.rank(x)?.checked_sub(1).ok_or_else(|| bad("its signal has no dimensions"))?;
    match cx.static_dim(x, last) {
        Some(parts @ 1..=2) => Ok((dtype, parts as usize)),
        Some(size) => Err(bad(format!("numbers of its signal have {size} parts, which is neither 1 nor 2"))),
        None => Err(not_supported("whether its signal is complex is not known")),
    }
}

/// A positive number, if it is known.
fn positive(cx: &mut NodeCx<'_, '_>, value: Value, what: &str) -> Result<Option<usize>, Diagnostic> {
    let Some(list) = cx.const_ints(value) else { return Ok(None) };
    match list[..] {
        [length @ 1..=0x7fff_ffff] => Ok(Some(length as usize)),
        _ => Err(bad(format!("its {what} is {list:?}, not one positive number"))),
    }
}

fn dft(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    if cx.opset() < 20 {
        let axis = cx.axis(x, cx.int("axis").unwrap_or(1))?;
        return dft_along(cx, axis);
    }
    along_axis(cx, 2, x, Some(-2), &|cx, axis| dft_along(cx, axis))
}

fn dft_along(cx: &mut NodeCx<'_, '_>, axis: usize) -> Single {
    let x = cx.input(0)?;
    let (dtype, parts) = parts_of(cx, x)?;
    if axis + 1 == cx.rank(x)? {
        return Err(bad("its axis is the one of real and imaginary parts"));
    }
    let (inverse, onesided) = (cx.flag("inverse"), cx.flag("onesided"));
    if onesided && parts != if inverse { 2 } else { 1 } {
        return Err(bad("one side is for real signals and for spectra of them"));
    }
    let given = cx.static_dim(x, axis).and_then(|it| usize::try_from(it).ok());
    let length = cx.optional(1).map(|it| positive(cx, it, "dft_length")).transpose()?;
    let (Some(given), None | Some(Some(_))) = (given, length) else {
        return dft_open(cx, axis, Transform { length: 0, inverse, onesided, parts });
    };
    let default = if onesided && inverse { 2 * given.saturating_sub(1) } else { given };
    let length = length.flatten().unwrap_or(default);
    if length == 0 {
        return Err(bad("it transforms a signal of length 0"));
    }
    let transform = Transform { length, inverse, onesided, parts };
    // What is missing is 0; what is beyond does not count.
    let count = given.min(transform.operands());
    if transform.is_parted(count) {
        return parted(cx, x, (axis, given), &transform);
    }
    transform.check(count)?;
    let x = if count < given { cx.slice(x, axis, 0, count as i64)? } else { x };

    let rank = cx.rank(x)?;
    let (others, order) = others_first(rank, axis);
    let vectors = cx.transpose(x, &order)?;
    let sizes = |last: [i64; 2], joined: bool| -> Vec<Size> {
        let last = if joined { vec![last[0] * last[1]] } else { last.to_vec() };
        others.iter().map(|it| Size::Of(x, *it)).chain(last.into_iter().map(Size::Const)).collect()
    };
    let vectors = cx.reshape_to(vectors, &sizes([count as i64, parts as i64], true))?;
    let vectors = cx.cast(vectors, DType::F64)?;
    let (results, result_parts) = (transform.results(), transform.result_parts());
    let rows = (0..count).flat_map(|n| (0..parts).map(move |part| (n, part)));
    let elements = rows.flat_map(|row| {
        let columns = (0..results).flat_map(move |k| (0..result_parts).map(move |part| (k, part)));
        columns.map(move |column| transform.element(row, column))
    });
    let dims = [(count * parts) as u64, (results * result_parts) as u64];
    let matrix = cx.constant(TensorData::from_f64(DType::F64, &dims, elements));
    let product = cx.binary("matmul", vectors, matrix)?;
    let product = cx.cast(product, dtype)?;
    let product = cx.reshape_to(product, &sizes([results as i64, result_parts as i64], false))?;
    back_in_order(cx, product, &order)
}

/// A transform whose length, or that of its signal, is known only at run time: the matrix is computed in the call.
fn dft_open(cx: &mut NodeCx<'_, '_>, axis: usize, how: Transform) -> Single {
    let Transform { inverse, onesided, parts, .. } = how;
    let x = cx.input(0)?;
    let dtype = cx.dtype(x)?;
    let given = extent(cx, x, axis)?;
    let half = |cx: &mut NodeCx<'_, '_>, length: Value| {
        let half = cx.with_number("div", length, 2.0)?;
        cx.with_number("add", half, 1.0)
    };
    let length = match cx.optional(1) {
        Some(length) => length,
        None if onesided && inverse => cx.affine(given, 2.0, -2.0)?,
        None => given,
    };
    let length = checked(cx, length, MAX_LENGTH, "its length, which is positive and below 2^31")?;
    let full = if onesided { half(cx, length)? } else { length };
    let (operands, results) = if inverse { (full, length) } else { (length, full) };
    // What is missing is 0; what is beyond does not count.
    let count = cx.binary("min", given, operands)?;
    let elements = cx.binary("mul", count, results)?;
    let wrong = cx.with_number("greater", elements, MAX_ELEMENTS as f64)?;
    let wrong = cx.unsqueeze(wrong, &[0])?;
    none_true(cx, wrong, &format!("the size of its matrix, which has at most {MAX_ELEMENTS} elements"))?;
    let count = cx.known_sizes(count)?;
    let (start, end) = (cx.int_vector(&[0]), cx.unsqueeze(count, &[0])?);
    let x = cx.slice_between(x, axis, start, end)?;

    let rank = cx.rank(x)?;
    let (_, order) = others_first(rank, axis);
    let vectors = cx.transpose(x, &order)?;
    let vectors = cx.cast(vectors, DType::F64)?;
    let numbers: Vec<Value> = (0..parts as i64)
        .map(|part| {
            let part = cx.slice(vectors, rank - 1, part, part + 1)?;
            cx.squeeze(part, &[rank as i64 - 1])
        })
        .collect::<Result<_, Diagnostic>>()?;
    let (rows, columns) = (count_up(cx, count)?, count_up(cx, results)?);
    let rows = cx.unsqueeze(rows, &[1])?;
    let (mut re, mut im) = waves(cx, rows, columns, length)?;
    if inverse {
        let whole = cx.cast(length, DType::F64)?;
        let one = cx.number(DType::F64, 1.0);
        let mut weight = cx.binary("div", one, whole)?;
        if onesided {
            // What is left out on the other side has the same real part.
            let doubled = cx.with_number("mul", rows, 2.0)?;
            let (first, middle) = (cx.with_number("equal", rows, 0.0)?, cx.binary("equal", doubled, length)?);
            let single = cx.binary("or", first, middle)?;
            let twice = cx.with_number("mul", weight, 2.0)?;
            weight = cx.select(single, weight, twice)?;
        }
        (re, im) = (cx.binary("mul", re, weight)?, cx.binary("mul", im, weight)?);
    } else {
        im = cx.unary("neg", im)?;
    }
    let mut found = vec![cx.binary("matmul", numbers[0], re)?];
    if how.result_parts() == 2 {
        found.push(cx.binary("matmul", numbers[0], im)?);
    }
    if let Some(other) = numbers.get(1) {
        let taken = cx.binary("matmul", *other, im)?;
        found[0] = cx.binary("sub", found[0], taken)?;
        if let Some(imaginary) = found.get_mut(1) {
            let added = cx.binary("matmul", *other, re)?;
            *imaginary = cx.binary("add", *imaginary, added)?;
        }
    }
    for part in &mut found {
        *part = cx.unsqueeze(*part, &[rank as i64 - 1])?;
    }
    let product = cx.concat(&found, rank as i64 - 1)?;
    let product = cx.cast(product, dtype)?;
    back_in_order(cx, product, &order)
}

/// A value whose dimensions were put in this order, with those where they were.
fn back_in_order(cx: &mut NodeCx<'_, '_>, value: Value, order: &[usize]) -> Single {
    let place = |i: usize| order.iter().position(|it| *it == i).expect("an order has every axis");
    let back: Vec<usize> = (0..order.len()).map(place).collect();
    cx.transpose(value, &back)
}

/// Cosine and sine of `2π·row·column/length`, whose angles are reduced exactly.
fn waves(
    cx: &mut NodeCx<'_, '_>,
    rows: Value,
    columns: Value,
    length: Value,
) -> Result<(Value, Value), Diagnostic> {
    let turns = cx.binary("mul", rows, columns)?;
    let turns = cx.binary("mod", turns, length)?;
    let (turns, whole) = (cx.cast(turns, DType::F64)?, cx.cast(length, DType::F64)?);
    let share = cx.binary("div", turns, whole)?;
    let angle = cx.affine(share, TAU, 0.0)?;
    Ok((cx.unary("cos", angle)?, cx.unary("sin", angle)?))
}

/// A number as one of rank 0, which is checked to be from 1 to `most`.
fn checked(cx: &mut NodeCx<'_, '_>, value: Value, most: f64, what: &str) -> Single {
    let value = cx.as_i64(value)?;
    let value = cx.reshape_to(value, &[Size::Const(1)])?;
    let (low, high) = (cx.with_number("less", value, 1.0)?, cx.with_number("greater", value, most)?);
    let wrong = cx.binary("or", low, high)?;
    none_true(cx, wrong, what)?;
    let value = cx.clamp(value, 1.0, most)?;
    cx.squeeze(value, &[0])
}

/// The axes other than the one that is transformed and that of parts, and an order in which these two come last.
fn others_first(rank: usize, axis: usize) -> (Vec<usize>, Vec<usize>) {
    let others: Vec<usize> = (0..rank - 1).filter(|it| *it != axis).collect();
    let order = others.iter().copied().chain([axis, rank - 1]).collect();
    (others, order)
}

/// How many times as many operations as parts take one matrix may take: parts are moved between their products.
const WORTH: usize = 4;
/// The same of convolutions, beside matrices that lie in no cache.
const WORTH_CONVOLVED: usize = 2;
/// The longest part.
const LONGEST: usize = 64;

impl Transform {
    /// Whether parts take less time than the whole, or the whole is too large, for `count` numbers that come in.
    fn is_parted(&self, count: usize) -> bool {
        // What is transformed back from one side is put together from both.
        if self.onesided && self.inverse || self.length <= LONGEST {
            return false;
        }
        let Some(effort) = effort(self.length, self.parts) else { return false };
        let worth = if first_part(self.length).is_some() { WORTH } else { WORTH_CONVOLVED };
        self.check(count).is_err() || self.parts.saturating_mul(self.results()) > worth.saturating_mul(effort)
    }
}

/// Operations for each number of a spectrum of numbers in parts, and each of its two; `None` if matrices are too large.
fn effort(length: usize, parts: usize) -> Option<usize> {
    if let Some(first) = first_part(length) {
        return Some(parts * first + effort(length / first, 2)?);
    }
    let whole = length.checked_mul(4 * length).filter(|it| *it <= MAX_ELEMENTS).map(|_| parts * length);
    match (whole, convolved_effort(length)) {
        (Some(whole), Some(apart)) => Some(whole.min(apart)),
        (whole, apart) => whole.or(apart),
    }
}

/// The same where the transform is a convolution.
fn convolved_effort(length: usize) -> Option<usize> {
    let around = around(length)?;
    first_part(around)?;
    Some((2 * around).div_ceil(length) * effort(around, 2)?)
}

/// Whether a transform of a length that is not taken apart is a convolution.
fn is_convolved(length: usize, parts: usize) -> bool {
    let whole = length.checked_mul(4 * length).filter(|it| *it <= MAX_ELEMENTS);
    let worth = |it: usize| whole.is_none() || WORTH_CONVOLVED * it < parts * length;
    length > LONGEST && convolved_effort(length).is_some_and(worth)
}

/// The least length with small divisors of spectra whose product is a convolution of two signals of a length.
fn around(length: usize) -> Option<usize> {
    let least = length.checked_mul(2)?.checked_sub(1)?;
    let of = |odd: usize| {
        let mut found = odd;
        while found < least {
            found = found.checked_mul(2)?;
        }
        Some(found)
    };
    [1, 3, 5, 7].into_iter().filter_map(of).min()
}

/// A divisor of a length, none if a transform of it is one matrix: the one that makes two parts most alike, if their matrices
/// are not too large.
fn first_part(length: usize) -> Option<usize> {
    if length <= LONGEST {
        return None;
    }
    let fits = |it: &usize| {
        length.is_multiple_of(*it) && length.checked_mul(4 * it).is_some_and(|it| it <= MAX_ELEMENTS)
    };
    (2..=LONGEST).filter(fits).min_by_key(|it| it + length / it)
}

/// A transform along an axis of so many numbers in parts.
fn parted(cx: &mut NodeCx<'_, '_>, x: Value, (axis, given): (usize, usize), of: &Transform) -> Single {
    let (dtype, rank) = (cx.dtype(x)?, cx.rank(x)?);
    let (others, order) = others_first(rank, axis);
    let mut vectors = cx.transpose(x, &order)?;
    if given > of.length {
        vectors = cx.slice(vectors, rank - 2, 0, of.length as i64)?;
    } else if given < of.length {
        let mut around = vec![0; 2 * rank];
        around[2 * rank - 2] = (of.length - given) as i64;
        let (around, zero) = (cx.int_vector(&around), cx.number_like(vectors, 0.0)?);
        vectors = cx.emit("pad", attrs([("mode", "constant".into())]), &[vectors, around, zero])?;
    }
    let last = [Size::Const(of.length as i64), Size::Const(of.parts as i64)];
    let rows = Size::Product(x, others.clone());
    let vectors = cx.reshape_to(vectors, &[&[rows][..], &last].concat())?;
    let vectors = cx.cast(vectors, DType::F64)?;
    let mut spectrum = spectrum_of(cx, vectors, of)?;
    if of.inverse {
        spectrum = cx.affine(spectrum, 1.0 / of.length as f64, 0.0)?;
    }
    if of.results() < of.length {
        spectrum = cx.slice(spectrum, 1, 0, of.results() as i64)?;
    }
    let spectrum = cx.cast(spectrum, dtype)?;
    let sizes: Vec<Size> = others.iter().map(|it| Size::Of(x, *it)).collect();
    let last = [Size::Const(of.results() as i64), Size::Const(2)];
    let spectrum = cx.reshape_to(spectrum, &[&sizes[..], &last].concat())?;
    back_in_order(cx, spectrum, &order)
}

/// What a number of a signal is multiplied by before it is transformed.
type Before<'a> = &'a dyn Fn(usize) -> (f64, f64);

/// The spectra `[rows, length, 2]` of signals `[rows, length, parts]`, not divided by the length.
fn spectrum_of(cx: &mut NodeCx<'_, '_>, x: Value, of: &Transform) -> Single {
    if let Some(first) = first_part(of.length) {
        return in_parts(cx, x, of, first, &|_| (1.0, 0.0));
    }
    if is_convolved(of.length, of.parts) {
        return convolved(cx, x, of);
    }
    let rows = cx.reshape_to(x, &[Size::Of(x, 0), Size::Const((of.length * of.parts) as i64)])?;
    let matrix = matrices(of.length, of.parts, 1, |n, _, k| of.turn(n as u128 * k as u128, of.length));
    let matrix = cx.constant(matrix);
    let matrix = cx.squeeze(matrix, &[0])?;
    let product = cx.binary("matmul", rows, matrix)?;
    cx.reshape_to(product, &[Size::Of(x, 0), Size::Const(of.length as i64), Size::Const(2)])
}

impl Transform {
    /// The factor of so many steps of which `whole` are a turn.
    fn turn(&self, steps: u128, whole: usize) -> (f64, f64) {
        let (sin, cos) = quarter_exact((steps % whole as u128) as f64, whole as f64);
        (cos, if self.inverse { sin } else { -sin })
    }
}

/// The spectra of signals of which each number is multiplied first. `first` is the length of the first part.
fn in_parts(cx: &mut NodeCx<'_, '_>, x: Value, of: &Transform, first: usize, before: Before<'_>) -> Single {
    let (length, parts) = (of.length, of.parts);
    let second = length / first;
    let const_size = |it: usize| Size::Const(it as i64);
    // Elements `second` apart are beside each other: `[second, rows, first · parts]`.
    let sizes = [Size::Of(x, 0), const_size(first), const_size(second), const_size(parts)];
    let apart = cx.reshape_to(x, &sizes)?;
    let apart = cx.transpose(apart, &[2, 0, 1, 3])?;
    let apart = cx.reshape_to(apart, &[const_size(second), Size::Of(x, 0), const_size(first * parts)])?;
    let turned_too = matrices(first, parts, second, |p, q, k| {
        let steps = p as u128 * k as u128 * second as u128 + q as u128 * k as u128;
        times(of.turn(steps, length), before(p * second + q))
    });
    let turned_too = cx.constant(turned_too);
    let product = cx.binary("matmul", apart, turned_too)?;
    // A transform over `second` for each row and each number of the first part.
    let sizes = [const_size(second), Size::Of(x, 0), const_size(first), const_size(2)];
    let product = cx.reshape_to(product, &sizes)?;
    let turned = cx.transpose(product, &[1, 2, 0, 3])?;
    let sizes = [Size::Product(turned, vec![0, 1]), const_size(second), const_size(2)];
    let rows = cx.reshape_to(turned, &sizes)?;
    let rest = Transform { length: second, onesided: false, parts: 2, ..*of };
    let spectrum = spectrum_of(cx, rows, &rest)?;
    // Number `k + first · l` is number `l` of those of `k`.
    let sizes = [Size::Of(x, 0), const_size(first), const_size(second), const_size(2)];
    let spectrum = cx.reshape_to(spectrum, &sizes)?;
    let spectrum = cx.transpose(spectrum, &[0, 2, 1, 3])?;
    cx.reshape_to(spectrum, &[Size::Of(x, 0), const_size(length), const_size(2)])
}

/// The spectra of signals as convolutions.
fn convolved(cx: &mut NodeCx<'_, '_>, x: Value, of: &Transform) -> Single {
    let length = of.length;
    let around = around(length).ok_or_else(|| not_supported("a transform of such a length"))?;
    let first = first_part(around).ok_or_else(|| not_supported("a transform of such a length"))?;
    // Half a turn for each length.
    let chirp = |n: usize| of.turn(n as u128 * n as u128, 2 * length);
    let mut opposite = vec![(0.0, 0.0); around];
    for n in 0..length {
        let (re, im) = chirp(n);
        opposite[n] = (re, -im);
        opposite[(around - n) % around] = (re, -im);
    }
    let opposite = spectrum_known(&opposite);
    let mut pads = vec![0; 6];
    pads[4] = (around - length) as i64;
    let (pads, zero) = (cx.int_vector(&pads), cx.number_like(x, 0.0)?);
    let padded = cx.emit("pad", attrs([("mode", "constant".into())]), &[x, pads, zero])?;
    let there = Transform { length: around, inverse: false, onesided: false, parts: of.parts };
    let spectrum = in_parts(cx, padded, &there, first, &|n| if n < length { chirp(n) } else { (0.0, 0.0) })?;
    let back = Transform { inverse: true, parts: 2, ..there };
    let share = 1.0 / around as f64;
    let found = in_parts(cx, spectrum, &back, first, &|n| (opposite[n].0 * share, opposite[n].1 * share))?;
    let found = cx.slice(found, 1, 0, length as i64)?;
    let [re, im] = [0, 1].map(|part| cx.slice(found, 2, part, part + 1));
    let (re, im) = (re?, im?);
    let chirps: Vec<(f64, f64)> = (0..length).map(chirp).collect();
    let column = |cx: &mut NodeCx<'_, '_>, part: fn(&(f64, f64)) -> f64| {
        cx.constant(TensorData::from_f64(DType::F64, &[length as u64, 1], chirps.iter().map(part)))
    };
    let (cos, sin) = (column(cx, |it| it.0), column(cx, |it| it.1));
    let product = |cx: &mut NodeCx<'_, '_>, op: &str, [a, b]: [Value; 2], [c, d]: [Value; 2]| {
        let (ac, bd) = (cx.binary("mul", a, c)?, cx.binary("mul", b, d)?);
        cx.binary(op, ac, bd)
    };
    let parts = [product(cx, "sub", [re, im], [cos, sin])?, product(cx, "add", [re, im], [sin, cos])?];
    cx.concat(&parts, 2)
}

/// The product of two numbers in two parts.
fn times(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

/// The spectrum of a signal that is known, whose length has small divisors.
fn spectrum_known(signal: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let length = signal.len();
    let of = Transform { length, inverse: false, onesided: false, parts: 2 };
    if !length.is_multiple_of(2) {
        let sum = |k: usize| {
            signal.iter().enumerate().fold((0.0, 0.0), |sum, (n, it)| {
                let term = times(*it, of.turn(n as u128 * k as u128, length));
                (sum.0 + term.0, sum.1 + term.1)
            })
        };
        return (0..length).map(sum).collect();
    }
    let half = |odd: usize| spectrum_known(&signal.iter().skip(odd).step_by(2).copied().collect::<Vec<_>>());
    let (even, odd) = (half(0), half(1));
    let turned: Vec<(f64, f64)> =
        odd.iter().enumerate().map(|(k, it)| times(*it, of.turn(k as u128, length))).collect();
    let sum = even.iter().zip(&turned).map(|(a, b)| (a.0 + b.0, a.1 + b.1));
    let difference = even.iter().zip(&turned).map(|(a, b)| (a.0 - b.0, a.1 - b.1));
    sum.chain(difference).collect()
}

/// `count` matrices `[length · parts, length · 2]`: element `n` enters number `k` of matrix `q` times `factor(n, q, k)`.
fn matrices(
    length: usize,
    parts: usize,
    count: usize,
    factor: impl Fn(usize, usize, usize) -> (f64, f64),
) -> TensorData {
    let mut elements = Vec::with_capacity(count * length * parts * length * 2);
    for q in 0..count {
        for (n, from) in (0..length).flat_map(|n| (0..parts).map(move |from| (n, from))) {
            for k in 0..length {
                let (re, im) = factor(n, q, k);
                elements.extend(if from == 0 { [re, im] } else { [-im, re] });
            }
        }
    }
    let dims = [count, length * parts, length * 2].map(|it| it as u64);
    TensorData::from_f64(DType::F64, &dims, elements)
}

/// Operands: signal `[batch, length, parts]`, the step between frames, and, both optional, the window and the length of a
/// frame. The result is `[batch, frames, frequencies, 2]`.
fn stft(cx: &mut NodeCx<'_, '_>) -> Single {
    let mut x = cx.input(0)?;
    if cx.rank(x)? == 2 {
        x = cx.unsqueeze(x, &[2])?;
    }
    if cx.rank(x)? != 3 {
        return Err(bad(format!("its signal has {} dimensions", cx.rank(x)?)));
    }
    let (dtype, parts) = parts_of(cx, x)?;
    let step = cx.input(1)?;
    let window = cx.optional(2);
    let length = match (cx.optional(3), window) {
        (Some(length), _) => length,
        (None, Some(window)) => extent(cx, window, 0)?,
        (None, None) => extent(cx, x, 1)?,
    };
    let (Some(step), Some(length)) = (positive(cx, step, "step")?, positive(cx, length, "length")?) else {
        return picked_frames(cx, x, step, length);
    };
    let onesided = cx.int("onesided").unwrap_or(1) != 0;
    if onesided && parts == 2 {
        return Err(bad(COMPLEX_SIDE));
    }
    let transform = Transform { length, inverse: false, onesided, parts };
    transform.check(length)?;
    let results = transform.results();
    let filters = (0..results).flat_map(|k| (0..2).map(move |part| (k, part)));
    let elements = filters.flat_map(|filter| {
        let taps = (0..parts).flat_map(move |part| (0..length).map(move |n| (n, part)));
        taps.map(move |tap| transform.element(tap, filter))
    });
    let dims = [2 * results as u64, parts as u64, length as u64];
    let mut filters = cx.constant(TensorData::from_f64(dtype, &dims, elements));
    if let Some(window) = window {
        let window = cx.cast(window, dtype)?;
        filters = cx.binary("mul", filters, window)?;
    }
    let signal = cx.transpose(x, &[0, 2, 1])?;
    let attrs = attrs([
        ("strides", vec![step as i64].into()),
        ("dilations", vec![1].into()),
        ("pads", vec![0, 0].into()),
        ("group", 1.into()),
    ]);
    let frames = cx.emit("conv", attrs, &[signal, filters])?;
    let frames = cx.transpose(frames, &[0, 2, 1])?;
    let sizes = [Size::Of(frames, 0), Size::Of(frames, 1), Size::Const(results as i64), Size::Const(2)];
    cx.reshape_to(frames, &sizes)
}

/// Frames whose step or length is known only at run time: their elements are picked, and the matrix of sines and cosines is
/// computed in the call. The signal is `[batch, length, parts]`.
fn picked_frames(cx: &mut NodeCx<'_, '_>, x: Value, step: Value, length: Value) -> Single {
    let (dtype, parts) = parts_of(cx, x)?;
    let onesided = cx.int("onesided").unwrap_or(1) != 0;
    if onesided && parts == 2 {
        return Err(bad(COMPLEX_SIDE));
    }
    let step = checked(cx, step, MAX_LENGTH, "its step, which is positive and below 2^31")?;
    let length =
        checked(cx, length, MAX_LENGTH, "the length of its frames, which is positive and below 2^31")?;
    // As many frames as lie in the signal.
    let size = extent(cx, x, 1)?;
    let room = cx.binary("sub", size, length)?;
    let room = cx.binary("add", room, step)?;
    let room = cx.with_number("max", room, 0.0)?;
    let count = cx.binary("div", room, step)?;
    let turns = count_up(cx, count)?;
    let starts = cx.binary("mul", turns, step)?;
    let starts = cx.unsqueeze(starts, &[1])?;
    let offsets = count_up(cx, length)?;
    let places = cx.binary("add", starts, offsets)?;
    let mut frames = cx.emit("gather", attrs([("axis", 1.into())]), &[x, places])?;
    if let Some(window) = cx.optional(2) {
        let window = cx.cast(window, dtype)?;
        let window = cx.unsqueeze(window, &[1])?;
        frames = cx.binary("mul", frames, window)?;
    }
    // Rows are elements of a frame, columns frequencies.
    let frequencies = if onesided {
        let half = cx.int_scalar(2);
        let half = cx.binary("div", length, half)?;
        cx.with_number("add", half, 1.0)?
    } else {
        length
    };
    let columns = count_up(cx, frequencies)?;
    let rows = cx.unsqueeze(offsets, &[1])?;
    let (cos, sin) = waves(cx, rows, columns, length)?;
    let mut results = Vec::new();
    let part = |cx: &mut NodeCx<'_, '_>, of: i64| {
        let part = cx.slice(frames, 3, of, of + 1)?;
        let part = cx.squeeze(part, &[3])?;
        cx.cast(part, DType::F64)
    };
    let real = part(cx, 0)?;
    let (along, across) = (cx.binary("matmul", real, cos)?, cx.binary("matmul", real, sin)?);
    if parts == 1 {
        results.extend([along, cx.unary("neg", across)?]);
    } else {
        let other = part(cx, 1)?;
        let (cos, sin) = (cx.binary("matmul", other, cos)?, cx.binary("matmul", other, sin)?);
        results.extend([cx.binary("add", along, sin)?, cx.binary("sub", cos, across)?]);
    }
    for result in &mut results {
        *result = cx.unsqueeze(*result, &[3])?;
    }
    let result = cx.concat(&results, 3)?;
    cx.cast(result, dtype)
}
