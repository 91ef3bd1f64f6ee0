//! Elementary functions as vector code: special values, functions that are exact, and the same bits as the interpreter.
//! How large errors are is measured in `accuracy.rs`.

mod common;

use common::{Arg, run_everywhere};
use orogen_codegen::vector::math::Emit;
use orogen_codegen::vector::{Builder, Program, Size, VReg, Width, math};
use orogen_ir::scalar::UnaryOp;

/// The vector code of a function that has some.
fn code(function: UnaryOp) -> Emit {
    math::code(function, Width::W32).expect("vector code")
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
    for function in UnaryOp::ALL {
        let Some(emit) = math::code(*function, Width::W32) else { continue };
        let name = function.name();
        let args = [Arg::floats(&values), Arg::floats(&[0.0; 21]), Arg::Int(21)];
        let found = common::as_floats(&run_everywhere(&program(name, emit), &args)[1]);
        assert!(found[6].is_nan(), "{name}: NaN must stay NaN");
        for (x, y) in values.iter().zip(&found) {
            let exact = function.row().meaning.float(f64::from(*x)) as f32;
            assert_eq!(y.is_nan(), exact.is_nan(), "{name}({x})");
            if exact == 0.0 {
                assert_eq!(y.to_bits(), exact.to_bits(), "{name}({x})");
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
