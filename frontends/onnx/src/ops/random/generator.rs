//! Generators of random numbers.
//!
//! From a seed: MT19937, whose numbers follow one from another. Without: number `i` of a node is a hash of `i` and of the
//! name of its result, so that all can be made at once. The hash is the one of SplitMix64 (Steele, Lea and Flood, "Fast
//! splittable pseudorandom number generators", 2014).

use super::super::arrange::single_of;
use super::super::index::count_up;
use super::{Single, number_of};
use crate::emit::attrs;
use crate::node::{NodeCx, bad};
use crate::sink::Value;
use orogen_ir::types::{DType, TensorData};

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
const FACTORS: [(u64, u64); 2] = [(30, 0xbf58_476d_1ce4_e5b9), (27, 0x94d0_49bb_1331_11eb)];
const LAST_SHIFT: u64 = 31;

fn hash(value: u64) -> u64 {
    let mixed = FACTORS.iter().fold(value, |it, (shift, factor)| (it ^ (it >> shift)).wrapping_mul(*factor));
    mixed ^ (mixed >> LAST_SHIFT)
}

/// The seed of a node, which is a float or, of some operators, an integer; what is wider than 32 bits loses the rest.
pub(super) fn seed_of(cx: &NodeCx<'_, '_>) -> Option<u32> {
    // What it is not is 0.
    let (float, int) = (cx.float("seed")?, cx.int("seed").unwrap_or(0));
    let number = if int == 0 { float as i64 } else { int };
    (!float.is_nan()).then_some(number as u32)
}

/// Where the numbers of a node without a seed begin.
fn start(cx: &NodeCx<'_, '_>, stream: u64) -> u64 {
    let name = cx.proto().output.iter().find(|it| !it.is_empty()).map_or("", String::as_str);
    let own = name.bytes().fold(1, |it, byte| hash(it ^ u64::from(byte)));
    hash(hash(own.wrapping_add(STEP)).wrapping_add(stream))
}

fn constant(cx: &mut NodeCx<'_, '_>, number: u64) -> Single {
    let bytes = number.to_le_bytes().to_vec();
    let data = TensorData::new(DType::U64, Vec::new(), bytes.into()).map_err(|it| bad(it.to_string()))?;
    Ok(cx.constant(data))
}

/// Numbers of a uniform distribution from 0 up to, and without, 1: multiples of the distance of numbers below 1.
pub(super) fn counted(cx: &mut NodeCx<'_, '_>, shape: Value, dtype: DType, stream: u64) -> Single {
    let digits: i32 = match dtype {
        DType::F64 => 53,
        DType::F32 => 24,
        DType::F16 => 11,
        DType::BF16 => 8,
        other => return Err(bad(format!("random numbers of type {other}"))),
    };
    let count = number_of(cx, shape)?;
    let count = single_of(cx, count)?;
    let counters = count_up(cx, count)?;
    let counters = cx.cast(counters, DType::U64)?;
    let (step, start) = (constant(cx, STEP)?, constant(cx, start(cx, stream))?);
    let scaled = cx.binary("mul", counters, step)?;
    let mut bits = cx.binary("add", scaled, start)?;
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

fn folded(cx: &mut NodeCx<'_, '_>, bits: Value, shift: u64) -> Single {
    let shift = constant(cx, shift)?;
    let high = cx.binary("shift_right", bits, shift)?;
    cx.binary("xor", bits, high)
}

/// So many numbers of f64 from a seed, uniform from 0 up to, and without, 1: multiples of 2^-53, each of 27 bits of one
/// number of the twister and 26 bits of the next.
pub(super) fn doubles(cx: &mut NodeCx<'_, '_>, count: Value, seed: u32) -> Single {
    let two = cx.int_vector(&[2]);
    let words = cx.binary("mul", count, two)?;
    let words = cx.emit("mersenne_twister", attrs([("seed", i64::from(seed).into())]), &[words])?;
    let pairs = cx.concat(&[count, two], 0)?;
    let pairs = cx.reshape(words, pairs)?;
    let part = |cx: &mut NodeCx<'_, '_>, column: i64, without: f64| {
        let part = cx.slice(pairs, 1, column, column + 1)?;
        let part = cx.reshape(part, count)?;
        let part = cx.with_number("shift_right", part, without)?;
        cx.cast(part, DType::F64)
    };
    let (high, low) = (part(cx, 0, 5.0)?, part(cx, 1, 6.0)?);
    let high = cx.affine(high, 2f64.powi(26), 0.0)?;
    let whole = cx.binary("add", high, low)?;
    cx.affine(whole, 2f64.powi(-53), 0.0)
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
