//! Accuracy of the elementary functions.
#![allow(unsafe_code, reason = "calling generated code")]
#![allow(clippy::print_stdout, reason = "the measured errors are worth seeing")]

mod common;

use common::{Arg, run_everywhere};
use orogen_codegen::jit_memory::Jit;
use orogen_codegen::vector::math::Emit;
use orogen_codegen::vector::{Builder, Isa, Program, Size, VReg, Width, math};
use orogen_ir::scalar::{UnaryMeaning, UnaryOp};

/// The vector code of a function that has some.
fn code(function: UnaryOp) -> Emit {
    math::code(function, Width::W32).expect("vector code")
}

struct Function {
    name: &'static str,
    emit: Emit,
    /// What the reference interpreter computes, in `f64`.
    exact: UnaryMeaning,
    ulp: f64,
}

/// Every function with vector code that is not rounded correctly, with the bound of its row.
fn functions() -> Vec<Function> {
    let approximate = UnaryOp::ALL.iter().filter(|it| it.row().ulp > 0.5);
    approximate
        .filter_map(|it| {
            let row = it.row();
            Some(Function {
                name: row.name,
                emit: math::code(*it, Width::W32)?,
                exact: row.meaning,
                ulp: row.ulp,
            })
        })
        .collect()
}

fn program(name: &str, emit: impl Fn(&mut Builder, VReg) -> VReg) -> Program {
    let mut b = Builder::new(name);
    let [x, y, n] = b.params();
    b.for_lanes(n, &[(x, Size::vectors(1)), (y, Size::vectors(1))], |b, mask| {
        let v = b.load(x, mask);
        let v = emit(b, v);
        b.store(v, y, mask);
    });
    b.finish()
}

/// The distance of `found` from `exact` in units of the last place of `exact`.
fn ulps(found: f32, exact: f64) -> f64 {
    if exact.is_nan() || found.is_nan() {
        return if exact.is_nan() && found.is_nan() { 0.0 } else { f64::INFINITY };
    }
    let nearest = exact as f32;
    if nearest == found {
        return if nearest == 0.0 && nearest.to_bits() != found.to_bits() && exact == 0.0 {
            9e9
        } else {
            0.0
        };
    }
    if nearest.is_infinite() || found.is_infinite() {
        // Rounding to the largest number instead of ∞ is one step.
        let largest = nearest.abs().min(found.abs()) == f32::MAX;
        return if largest { 1.0 } else { f64::INFINITY };
    }
    let exponent = exact.abs().log2().floor().max(-126.0);
    (f64::from(found) - exact).abs() / (exponent - 23.0).exp2()
}

fn worst(f: &Function, isa: Isa, patterns: impl Iterator<Item = u32>) -> (f64, f32) {
    let mut jit = Jit::new().unwrap();
    let id = jit.define(&program(f.name, f.emit), isa).unwrap_or_else(|e| panic!("{e}"));
    let code = jit.finish().unwrap();
    let (mut worst, mut patterns) = ((0.0, 0.0), patterns);
    loop {
        let x: Vec<f32> = patterns.by_ref().take(4096).map(f32::from_bits).collect();
        if x.is_empty() {
            return worst;
        }
        let mut y = vec![0.0f32; x.len()];
        // SAFETY: both buffers hold as many elements as the third argument says.
        unsafe { code.call(id, &[x.as_ptr() as i64, y.as_mut_ptr() as i64, x.len() as i64]) };
        for (&x, &y) in x.iter().zip(&y) {
            let error = ulps(y, f.exact.float(f64::from(x)));
            if error > worst.0 {
                worst = (error, x);
            }
        }
    }
}

#[test]
fn accuracy_on_a_stride_over_all_bit_patterns() {
    for f in &functions() {
        for isa in Isa::available() {
            // An odd stride reaches all low bits.
            let patterns = (0..1u64 << 32).step_by(7919).map(|bits| bits as u32);
            let (error, at) = worst(f, isa, patterns);
            println!("{} {isa:?}: {error:.3} ulp at {at:?}", f.name);
            assert!(error <= f.ulp, "{} {isa:?}: {error} ulp at {at:?}", f.name);
        }
    }
}

#[test]
#[ignore = "all 2^32 bit patterns take minutes"]
fn accuracy_on_every_bit_pattern() {
    let isa = Isa::host();
    for f in &functions() {
        let (error, at) = worst(f, isa, 0..=u32::MAX);
        println!("{} {isa:?}: {error:.3} ulp at {at:?}", f.name);
        assert!(error <= f.ulp, "{} {isa:?}: {error} ulp at {at:?}", f.name);
    }
}

#[test]
fn special_values_agree_with_the_interpreter() {
    let values = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        1e-45,
        -1e-45,
        1e-38,
        88.7,
        88.73,
        -87.4,
        -103.9,
        -104.1,
        0.9375,
        4.0,
        9.99,
        0.5,
        3.0,
        7.0,
    ];
    for f in &functions() {
        let args = [Arg::floats(&values), Arg::floats(&[0.0; 21]), Arg::Int(21)];
        let found = common::as_floats(&run_everywhere(&program(f.name, f.emit), &args)[1]);
        assert!(found[6].is_nan(), "{}: NaN must stay NaN", f.name);
        for (x, y) in values.iter().zip(&found) {
            let exact = f.exact.float(f64::from(*x)) as f32;
            assert_eq!(y.is_nan(), exact.is_nan(), "{}({x})", f.name);
            if exact == 0.0 {
                assert_eq!(y.to_bits(), exact.to_bits(), "{}({x})", f.name);
            }
        }
    }
}

/// Functions that are exact, on what is special to one of them.
#[test]
fn exact_functions() {
    let values = [
        0.0,
        -0.0,
        0.5,
        -0.5,
        1.5,
        2.5,
        -2.5,
        3.25,
        -7.75,
        1e9,
        2_147_483_648.0,
        -2_147_483_648.0,
        1e20,
        -1e20,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
    ];
    let sign = |x: f32| {
        if x > 0.0 {
            1.0
        } else if x < 0.0 {
            -1.0
        } else {
            x
        }
    };
    let functions: [(&str, Emit, &dyn Fn(f32) -> f32); 10] = [
        ("neg", code(UnaryOp::Neg), &|x| -x),
        ("abs", code(UnaryOp::Abs), &f32::abs),
        ("sqrt", code(UnaryOp::Sqrt), &f32::sqrt),
        ("reciprocal", code(UnaryOp::Reciprocal), &f32::recip),
        ("floor", code(UnaryOp::Floor), &f32::floor),
        ("ceil", code(UnaryOp::Ceil), &f32::ceil),
        ("round", code(UnaryOp::Round), &f32::round_ties_even),
        ("trunc", code(UnaryOp::Trunc), &f32::trunc),
        ("sign", code(UnaryOp::Sign), &sign),
        ("to_int", math::to_int, &|x| f32::from_bits(x as i32 as u32)),
    ];
    for (name, emit, exact) in functions {
        let program = program("exact", emit);
        let args =
            [Arg::floats(&values), Arg::floats(&vec![0.0; values.len()]), Arg::Int(values.len() as i64)];
        for (x, y) in values.iter().zip(common::as_floats(&run_everywhere(&program, &args)[1])) {
            let exact = exact(*x);
            assert!(
                y.to_bits() == exact.to_bits() || y.is_nan() && exact.is_nan(),
                "{name}({x}): {y:?} but expected {exact:?}"
            );
        }
    }
}

/// Functions of `f64` in vector code, on every machine, against the reference, which is within a unit in the last place.
#[test]
fn doubles_are_accurate_in_lanes() {
    let limits = [
        (UnaryOp::Exp, 1.5),
        (UnaryOp::Log, 1.5),
        (UnaryOp::Expm1, 2.0),
        (UnaryOp::Log1p, 1.5),
        (UnaryOp::Tanh, 2.0),
        (UnaryOp::Sigmoid, 1.5),
        (UnaryOp::Erf, 2.0),
        (UnaryOp::Sinh, 2.5),
        (UnaryOp::Cosh, 2.0),
        (UnaryOp::Asinh, 2.0),
        (UnaryOp::Acosh, 2.0),
        (UnaryOp::Atanh, 2.5),
        (UnaryOp::Atan, 2.0),
        (UnaryOp::Asin, 2.0),
        (UnaryOp::Acos, 2.5),
    ];
    let mut values =
        vec![0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1.0, -1.0, 5e-324, 1e-310, 0.5];
    let mut random = common::Random(5);
    for exponent in -60..12 {
        for _ in 0..30 {
            let fraction = 1.0 + random.below(1 << 40) as f64 / 2f64.powi(40);
            let value = fraction * 2f64.powi(exponent);
            values.extend([value, -value]);
        }
    }
    for (function, limit) in limits {
        let emit = math::code(function, Width::W64).expect("vector code of f64");
        let mut b = Builder::of_width(function.name(), Width::W64);
        let [x, y, n] = b.params();
        let step = Width::W64.storage().vectors(1);
        b.for_lanes(n, &[(x, step), (y, step)], |b, mask| {
            let v = b.load(x, mask);
            let v = emit(b, v);
            b.store(v, y, mask);
        });
        let program = b.finish();
        for isa in Isa::available() {
            let mut jit = Jit::new().unwrap();
            let id = jit.define(&program, isa).unwrap_or_else(|e| panic!("{e}"));
            let code = jit.finish().unwrap();
            let mut found = vec![0.0f64; values.len()];
            // SAFETY: both buffers hold as many elements as the third argument says.
            unsafe {
                code.call(id, &[values.as_ptr() as i64, found.as_mut_ptr() as i64, values.len() as i64])
            };
            let mut worst = (0.0, 0.0);
            for (x, y) in values.iter().zip(&found) {
                let want = function.row().meaning.float(*x);
                let error = if want == *y || (want.is_nan() && y.is_nan()) {
                    f64::from(u8::from(want == 0.0 && want.is_sign_negative() != y.is_sign_negative())) * 9e9
                } else {
                    (want - y).abs() / (want.abs().max(f64::MIN_POSITIVE) * f64::EPSILON)
                };
                if error > worst.0 || error.is_nan() {
                    worst = (error, *x);
                }
            }
            println!("{function:?} {isa:?}: {:.2} of the relative spacing at {:e}", worst.0, worst.1);
            assert!(worst.0 <= limit, "{function:?} {isa:?}: {} at {:e}", worst.0, worst.1);
        }
    }
}
