//! The search for a counterexample: both functions are evaluated on small tensors, special values included.

use super::{Class, Difference, Known};
use orogen_ir::flow::{Function, Module};
use orogen_ir::shape::{Env, ShapeCx, Sym};
use orogen_ir::types::{DType, TensorData};

/// Evaluates a function of a module: the reference interpreter, which comes from outside. An error is what a run ends
/// with.
pub type Evaluate<'a> = &'a dyn Fn(&Module, &str, &[TensorData]) -> Result<Vec<TensorData>, String>;

/// Sizes that are tried.
const EXTENTS: [i64; 5] = [2, 3, 1, 5, 0];
/// Choices of sizes that are looked at, and of those that fit that are evaluated.
const MAX_CHOICES: u64 = 400;
const MAX_RUNS: usize = 60;
/// Elements of one parameter.
const MAX_ELEMENTS: u64 = 4096;

const PLAIN: [f64; 11] = [1.5, -2.0, 0.5, 3.0, -0.75, 2.25, -1.25, 4.0, 0.25, -3.5, 1.0];
const SPECIAL: [f64; 13] =
    [-0.0, 1.5, 0.0, f64::NAN, -2.0, f64::INFINITY, 3.0, f64::NEG_INFINITY, 1e-40, -1e30, 65504.0, 0.1, -7.0];
/// Finite, with signed zeros and sums that round.
const ROUNDED: [f64; 9] = [-0.0, 0.0, 1.0, -1.0, 1e8, 0.1, 3.0, -1e8, 1e-8];
const INTEGERS: [i64; 9] = [1, 0, 2, -1, 3, -2, 5, 1, 4];
const EXTREMES: [i64; 8] = [i64::MAX, -1, i64::MIN, 7, 100, -128, 255, 0];

/// What tensors are filled with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Filling {
    /// Numbers that small sums and products of are exact.
    Plain,
    /// Numbers that sums of are rounded, and zeros of both signs.
    Rounded,
    /// NaN and infinities too.
    Special,
}

const FILLINGS: [Filling; 3] = [Filling::Plain, Filling::Rounded, Filling::Special];

/// The first difference that is found between two functions of one signature.
pub(super) fn search(
    sides: [(&Module, &str, &Function); 2],
    symbols: &[Sym],
    class: Class,
    known: &Known,
    evaluate: Evaluate<'_>,
) -> Option<Difference> {
    let shapes = &sides[0].0.shapes;
    let mut runs = 0;
    for choice in 0..MAX_CHOICES {
        let mut rest = choice;
        let mut env = Env::new();
        for (i, sym) in symbols.iter().enumerate() {
            // All choices of few sizes; of many, ones that are spread.
            let digit = if symbols.len() <= 3 { rest % 5 } else { (choice * (2 * i as u64 + 3) + rest) % 5 };
            env.set(*sym, EXTENTS[digit as usize]);
            rest /= 5;
        }
        if rest > 0 && symbols.len() <= 3 {
            break;
        }
        if !shapes.facts().all(|it| shapes.holds(it, &env) == Some(true)) {
            continue;
        }
        // Over the reals, sums that round, and what is beyond the type, say nothing.
        let fillings = if class == Class::Bitwise { &FILLINGS[..] } else { &FILLINGS[..1] };
        for filling in fillings.iter().copied() {
            let Some(args) = arguments(shapes, sides[0].2, &env, filling, choice, known) else { break };
            runs += 1;
            if runs > MAX_RUNS {
                return None;
            }
            let [left, right] = sides.map(|(module, name, _)| evaluate(module, name, &args));
            let sizes = || {
                let one = |it: &Sym| Some(format!("{} = {}", shapes.name(*it), env.get(*it)?));
                symbols.iter().filter_map(one).collect::<Vec<_>>().join(", ")
            };
            match (left, right) {
                // What ends with an error before need not be kept.
                (Err(_), _) => {}
                (Ok(_), Err(reason)) => {
                    let reason = format!("the second ends with an error: {reason}");
                    return Some(Difference { result: 0, index: Vec::new(), sizes: sizes(), reason });
                }
                (Ok(left), Ok(right)) => {
                    if let Some((result, index, reason)) = differ(&left, &right, class) {
                        return Some(Difference { result, index, sizes: sizes(), reason });
                    }
                }
            }
        }
    }
    None
}

fn arguments(
    shapes: &ShapeCx,
    function: &Function,
    env: &Env,
    filling: Filling,
    seed: u64,
    known: &Known,
) -> Option<Vec<TensorData>> {
    let one = |(at, param): (usize, &orogen_ir::flow::Parameter)| {
        let ty = function[param.value].ty.as_tensor()?;
        let dims: Vec<u64> =
            ty.dims()?.iter().map(|it| u64::try_from(shapes.eval(*it, env)?).ok()).collect::<Option<_>>()?;
        let count = dims.iter().try_fold(1u64, |all, it| all.checked_mul(*it))?;
        if count > MAX_ELEMENTS {
            return None;
        }
        if let Some(elements) = &ty.elements {
            let values: Vec<f64> =
                elements.iter().map(|it| shapes.eval(*it, env).map(|it| it as f64)).collect::<Option<_>>()?;
            return Some(TensorData::from_f64(ty.dtype, &dims, values));
        }
        let (range, is_positive) = (known.ranges.get(&at), known.positive.contains(&at));
        let at = seed.wrapping_mul(31).wrapping_add(at as u64);
        if let Some(range) = range {
            // All over the range, by exponents where both ends have one sign.
            let value = |i: u64| between(*range, (mixed(at << 32 | i) % 17) as f64 / 16.0);
            return Some(TensorData::from_f64(ty.dtype, &dims, (0..count).map(value)));
        }
        if is_positive {
            let value = |i: u64| PLAIN[(mixed(at << 32 | i) % PLAIN.len() as u64) as usize].abs();
            return Some(TensorData::from_f64(ty.dtype, &dims, (0..count).map(value)));
        }
        Some(fill(ty.dtype, &dims, count, filling, at))
    };
    function.params().iter().enumerate().map(one).collect()
}

fn fill(dtype: DType, dims: &[u64], count: u64, filling: Filling, seed: u64) -> TensorData {
    let pick = |i: u64, of: usize| (mixed(seed << 32 | i) % of as u64) as usize;
    let from =
        |table: &[f64]| TensorData::from_f64(dtype, dims, (0..count).map(|i| table[pick(i, table.len())]));
    match filling {
        _ if dtype == DType::Bool => from(&[0.0, 1.0]),
        Filling::Plain if dtype.is_float() => from(&PLAIN),
        Filling::Rounded if dtype.is_float() => from(&ROUNDED),
        Filling::Special if dtype.is_float() => from(&SPECIAL),
        _ => {
            let table: &[i64] = if filling == Filling::Special { &EXTREMES } else { &INTEGERS };
            let value = |i: u64| dtype.wrap(table[pick(i, table.len())]) as f64;
            TensorData::from_f64(dtype, dims, (0..count).map(value))
        }
    }
}

/// A number of a range: its ends at 0 and 1.
fn between([low, high]: [f64; 2], part: f64) -> f64 {
    match low > 0.0 {
        true => (low.ln() + (high.ln() - low.ln()) * part).exp().clamp(low, high),
        false => low + (high - low) * part,
    }
}

/// A number that looks random, always the same for the same one.
fn mixed(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

type Found = (usize, Vec<u64>, String);

fn differ(left: &[TensorData], right: &[TensorData], class: Class) -> Option<Found> {
    for (result, (a, b)) in left.iter().zip(right).enumerate() {
        if a.dims() != b.dims() || a.dtype() != b.dtype() {
            let reason =
                format!("the results are {}{:?} and {}{:?}", a.dtype(), a.dims(), b.dtype(), b.dims());
            return Some((result, Vec::new(), reason));
        }
        for i in 0..a.len() {
            if same(a, b, i, class) {
                continue;
            }
            let reason = match a.dtype().is_float() {
                true => format!("{:?} is not {:?}", a.get_f64(i), b.get_f64(i)),
                false => format!("{} is not {}", a.get_i64(i), b.get_i64(i)),
            };
            let mut rest = i as u64;
            let mut index = vec![0; a.dims().len()];
            for (slot, extent) in index.iter_mut().zip(a.dims()).rev() {
                *slot = rest % extent;
                rest /= extent;
            }
            return Some((result, index, reason));
        }
    }
    None
}

fn same(a: &TensorData, b: &TensorData, i: usize, class: Class) -> bool {
    if !a.dtype().is_float() {
        return a.bits(i) == b.bits(i);
    }
    let (x, y) = (a.get_f64(i), b.get_f64(i));
    match class {
        Class::Bitwise => a.bits(i) == b.bits(i) || (x.is_nan() && y.is_nan()),
        // Over the reals a value that is none, or beyond the type, stands for nothing.
        Class::Reassociates | Class::Approximates => {
            // What is computed on the way is larger than small results, and rounded.
            let (tolerance, least) = match a.dtype() {
                DType::F64 => (1e-6, 1.0),
                DType::F32 => (1e-3, 1.0),
                _ => (5e-2, 16.0),
            };
            let scale = x.abs().max(least);
            !x.is_finite() || x.abs() > 1e4 || (x - y).abs() <= tolerance * scale
        }
    }
}
