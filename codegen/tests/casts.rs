//! Conversions are the same in scalar and vector code on every instruction set, and in the interpreter: floats to
//! integers saturate and NaN is 0, and whatever becomes a float is rounded once.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod harness;

use harness::{all_cpus, call, compiled_with, in_memory, plan_of};
use orogen_ir::loops::{ProgramBuilder, TensorProgram};
use orogen_ir::types::{DType, TensorData};
use orogen_reference::eval_program;

/// `y[i] = cast(…cast(x[i]))`.
fn casts(n: i64, from: DType, through: &[DType]) -> TensorProgram {
    let mut b = ProgramBuilder::new("casts");
    let n = b.shapes().int(n);
    let last = through[through.len() - 1];
    let (x, y) = (b.input("x", from, &[n]), b.output("y", last, &[n]));
    b.fill(y, |b, at| {
        let mut value = b.load(x, [at[0]])?;
        for to in through {
            value = b.cast(*to, value);
        }
        Ok(value)
    })
    .unwrap();
    b.into_program()
}

fn check(x: &TensorData, through: &[DType]) {
    let program = casts(x.len() as i64, x.dtype(), through);
    let expected = eval_program(&program, &[], std::slice::from_ref(x)).unwrap();
    for options in all_cpus() {
        let compiled = compiled_with(&plan_of(&program, &[]), &options);
        // No lanes hold floats of 8 bits or integers narrower than a byte beside wider types.
        let types = [&[x.dtype()], through].concat();
        let bytes = types.iter().any(|it| it.is_storage());
        let scalar = compiled.kernels()[0].strategy.iter().any(|it| it.contains("scalar"));
        assert!(!(!bytes && scalar && x.len() > 1), "{types:?} is scalar code");
        let got = call(&in_memory(&compiled, true), std::slice::from_ref(x)).unwrap();
        for i in 0..x.len() {
            let nan =
                got[0].dtype().is_float() && got[0].get_f64(i).is_nan() && expected[0].get_f64(i).is_nan();
            let what = (options.cpu, x.dtype(), through, x.get_f64(i));
            assert!(nan || got[0].bits(i) == expected[0].bits(i), "{what:?}: {}", got[0].get_f64(i));
        }
    }
}

fn ints() -> impl Iterator<Item = DType> {
    DType::computed().filter(|it| it.is_int())
}

#[test]
fn floats_saturate() {
    let mut values =
        vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, 0.9, -0.9, -1.0, 1e30, -1e30];
    for bits in [7, 8, 15, 16, 31, 32, 63, 64] {
        let end = 2f64.powi(bits);
        for near in [end - 1.0, end - 0.5, end, end + 1.0, end * 1.01] {
            values.extend([near, -near]);
        }
    }
    for from in DType::computed().filter(|it| it.is_float()) {
        // One element, less than a vector, and vectors with a rest.
        for some in [&values[..1], &values[..7], &values[..]] {
            let x = TensorData::from_f64(from, &[some.len() as u64], some.iter().copied());
            for to in ints() {
                check(&x, &[to]);
                check(&x, &[to, from]);
                check(&x, &[to, DType::I64, from]);
            }
            check(&x, &[DType::Bool]);
        }
    }
}

#[test]
fn everything_is_rounded_once() {
    // Ties of each type, and next to them by what a first rounding to something wider would lose.
    let mut values = Vec::new();
    for (digits, exponents) in
        [(11, [-24, -14, 0, 15]), (8, [-133, -126, 0, 127]), (24, [-149, -126, 0, 127])]
    {
        for exponent in exponents {
            let unit = 2f64.powi(exponent);
            for odd in [1.0, 3.0] {
                let tie = unit * (1.0 + odd * 2f64.powi(-digits));
                for nudge in [0.0, 2f64.powi(-30), 2f64.powi(-45), 2f64.powi(-52)] {
                    values.extend([tie * (1.0 + nudge), tie * (1.0 - nudge), -tie * (1.0 + nudge)]);
                }
            }
        }
    }
    values.extend([65_519.999_999_999, 65520.0, f64::MAX, f64::MIN_POSITIVE, f64::NAN, f64::INFINITY]);
    let x = TensorData::from_f64(DType::F64, &[values.len() as u64], values);
    for to in [DType::F16, DType::BF16, DType::F32] {
        check(&x, &[to]);
    }
    let mut bytes = Vec::new();
    for shift in [10, 24, 30, 40, 52, 53, 54, 60, 62, 63] {
        let one = 1u64 << shift;
        for low in [0, 1, one >> 8, (one >> 8) + 1, (one >> 8) - 1, (one >> 24) + 1, 3 * (one >> 8), 0x7ff] {
            bytes.extend(one.wrapping_add(low).to_le_bytes());
            bytes.extend(one.wrapping_add(low).wrapping_neg().to_le_bytes());
        }
    }
    for from in [DType::I64, DType::U64, DType::I32, DType::U32] {
        let x =
            TensorData::from_unpacked(from, vec![(bytes.len() / from.size()) as u64], bytes.clone().into())
                .unwrap();
        for to in DType::ALL.into_iter().filter(|it| it.is_float()) {
            check(&x, &[to]);
        }
    }
}

#[test]
fn integers_keep_their_low_bits() {
    let values = [0i64, 1, -1, 127, 128, 255, 256, 300, -129, 65_535, 1 << 31, (1 << 32) + 5, i64::MIN];
    let bytes: Vec<u8> = values.iter().flat_map(|it| it.to_le_bytes()).collect();
    let x = TensorData::new(DType::I64, vec![values.len() as u64], bytes.into()).unwrap();
    for to in ints() {
        check(&x, &[to]);
        check(&x, &[to, DType::I32]);
    }
}

/// Every number of 8 bits, what lies half-way between two of them, and what is next to that.
#[test]
fn floats_of_8_bits_are_the_nearest_and_saturate() {
    for narrow in DType::ALL.into_iter().filter(|it| it.is_float() && it.is_storage()) {
        let count = 1_u64 << narrow.width();
        let all: Vec<u8> = (0..count).map(|it| it as u8).collect();
        let all = TensorData::from_unpacked(narrow, vec![count], all.into()).unwrap();
        for to in [DType::F16, DType::BF16, DType::F32, DType::F64, DType::I8, DType::I32, DType::Bool] {
            check(&all, &[to]);
        }
        let mut values: Vec<f64> = all.to_f64().into_iter().filter(|it| it.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let middles: Vec<f64> = values.windows(2).map(|it| f64::midpoint(it[0], it[1])).collect();
        for middle in middles {
            values.extend([middle, middle * (1.0 + 2f64.powi(-20)), middle * (1.0 - 2f64.powi(-20))]);
            values.extend([middle * (1.0 + 2f64.powi(-45)), middle * (1.0 - 2f64.powi(-45))]);
        }
        values.extend([
            464.0,
            465.0,
            61439.0,
            61440.0,
            1e5,
            -1e5,
            1e30,
            f64::NAN,
            f64::INFINITY,
            -f64::INFINITY,
        ]);
        for from in [DType::F64, DType::F32, DType::F16] {
            let x = TensorData::from_f64(from, &[values.len() as u64], values.iter().copied());
            check(&x, &[narrow]);
            check(&x, &[narrow, from]);
        }
        let ints = [0, 1, -1, 15, 17, 19, 100, -127, 300, 449, 1 << 20, -(1 << 40), i64::MAX, i64::MIN];
        for from in [DType::I64, DType::I32, DType::U8] {
            let x = TensorData::from_f64(from, &[ints.len() as u64], ints.iter().map(|it| *it as f64));
            check(&x, &[narrow]);
        }
        for other in DType::ALL.into_iter().filter(|it| it.is_float() && it.is_storage()) {
            check(&all, &[other]);
        }
    }
}

/// Integers narrower than a byte: the low bits of what lies in memory count, casts from integers keep low bits, those from
/// floats saturate.
#[test]
fn integers_narrower_than_a_byte() {
    let only_stored: Vec<DType> = DType::ALL.into_iter().filter(|it| it.is_only_stored()).collect();
    assert_eq!(only_stored.len(), 4);
    let values: Vec<f64> = (-300..300).map(|it| f64::from(it) * 0.75).collect();
    for narrow in &only_stored {
        let all =
            TensorData::from_unpacked(*narrow, vec![256], (0..=255).collect::<Vec<u8>>().into()).unwrap();
        for to in DType::ALL.into_iter().filter(|it| it != narrow && !it.is_only_moved()) {
            check(&all, &[to]);
        }
        for from in
            [DType::F64, DType::F32, DType::F16, DType::I64, DType::I16, DType::I8, DType::U8, DType::Bool]
        {
            let x = TensorData::from_f64(from, &[values.len() as u64], values.iter().copied());
            check(&x, &[*narrow]);
            check(&x, &[*narrow, DType::I32]);
        }
    }
}
