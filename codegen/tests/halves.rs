//! Floats of 16 bits that are not rounded, by their bits: every pattern there is, with patterns of every kind, on every
//! instruction set.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod harness;

use harness::{all_cpus, call, compiled_with, in_memory, plan_of};
use orogen_ir::loops::{parse_program, verify};
use orogen_ir::types::{DType, TensorData};

/// Zeros, subnormal and normal numbers, the largest, infinity and NaN, of both signs.
fn kinds(dtype: DType) -> Vec<u16> {
    let infinity = dtype.float_bits(f64::INFINITY) as u16;
    let one = dtype.float_bits(1.0) as u16;
    let below = [0, 0x7F, one, infinity, infinity + 1].map(|it: u16| it | 0x8000);
    [0, 1, one + 1, infinity - 1, infinity, 0x7FFF].into_iter().chain(below).collect()
}

fn tensor(dtype: DType, patterns: &[u16]) -> TensorData {
    let bytes: Vec<u8> = patterns.iter().flat_map(|it| it.to_le_bytes()).collect();
    TensorData::from_unpacked(dtype, vec![patterns.len() as u64], bytes.into()).unwrap()
}

/// The bits without what is not said of them: of zeros the sign, of NaN all but that they are.
fn plain(dtype: DType, bits: u16) -> u16 {
    match bits & 0x7FFF {
        0 => 0,
        it if it > dtype.float_bits(f64::INFINITY) as u16 => 0x7FFF,
        _ => bits,
    }
}

/// Checks `body` of all patterns `{x}` and of those of every kind `{y}`.
fn check(body: &str, dtype: DType, out: DType, value: impl Fn(f64, f64) -> f64) {
    check_with(&kinds(dtype), body, dtype, out, value);
}

fn check_with(others: &[u16], body: &str, dtype: DType, out: DType, value: impl Fn(f64, f64) -> f64) {
    let text = format!(
        "kernel @halves {{
  in %x: {dtype}[65536]
  in %y: {dtype}[{rows}]
  out %z: {out}[{rows}, 65536]
  for i < {rows}, j < 65536 {{ %z[i, j] = {} }}
}}
",
        body.replace("{t}", dtype.name()).replace("{x}", "%x[j]").replace("{y}", "%y[i]"),
        rows = others.len(),
    );
    let program = parse_program(&text).unwrap_or_else(|it| panic!("{it}\n{text}"));
    verify(&program).unwrap_or_else(|it| panic!("{it}\n{text}"));
    let all: Vec<u16> = (0..=u16::MAX).collect();
    let numbers: Vec<f64> = all.iter().map(|it| dtype.float_value((*it).into())).collect();
    let mut expected = Vec::new();
    for y in others {
        let y = dtype.float_value((*y).into());
        for x in &numbers {
            let value = value(*x, y);
            match out {
                DType::Bool => expected.push(value as u8),
                _ => expected.extend(plain(dtype, dtype.float_bits(value) as u16).to_le_bytes()),
            }
        }
    }
    let inputs = [tensor(dtype, &all), tensor(dtype, others)];
    for options in all_cpus() {
        let compiled = compiled_with(&plan_of(&program, &[]), &options);
        let strategy = compiled.kernels()[0].strategy.clone();
        assert!(strategy.iter().all(|it| it.contains("lanes of 16 bits")), "{strategy:?}\n{text}");
        let got = call(&in_memory(&compiled, true), &inputs).unwrap();
        let mut bytes = got[0].unpacked().to_vec();
        if out == dtype {
            for pair in bytes.chunks_exact_mut(2) {
                let bits = plain(dtype, u16::from_le_bytes([pair[0], pair[1]]));
                pair.copy_from_slice(&bits.to_le_bytes());
            }
        }
        if bytes != expected {
            let at = (0..bytes.len()).find(|it| bytes[*it] != expected[*it]).unwrap();
            let place = at / out.size();
            let (x, y) = (place % (1 << 16), others[place >> 16]);
            panic!("{} {x:#x} {y:#x}: byte {:#x}, not {:#x}\n{text}", options.cpu, bytes[at], expected[at]);
        }
    }
}

fn truth(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

fn larger(x: f64, y: f64) -> f64 {
    if x.is_nan() || y.is_nan() { f64::NAN } else { x.max(y) }
}

fn smaller(x: f64, y: f64) -> f64 {
    -larger(-x, -y)
}

const TYPES: [DType; 2] = [DType::F16, DType::BF16];

#[test]
fn extrema_and_signs() {
    for dtype in TYPES {
        check("max({x}, {y})", dtype, dtype, larger);
        check("min({x}, {y})", dtype, dtype, smaller);
        check("min(max(abs({x}), {y}), neg({y}))", dtype, dtype, |x, y| smaller(larger(x.abs(), y), -y));
        check("max({x}, {t}(0.0))", dtype, dtype, |x, _| larger(x, 0.0));
        check("min(max({x}, {t}(-1.5)), {t}(6.0))", dtype, dtype, |x, _| smaller(larger(x, -1.5), 6.0));
    }
}

#[test]
fn comparisons() {
    for dtype in TYPES {
        let check = |body: &str, holds: fn(f64, f64) -> bool| {
            check(body, dtype, DType::Bool, |x, y| truth(holds(x, y)));
            for number in ["0.0", "-2.0"] {
                let of: f64 = number.parse().unwrap();
                let number = format!("{{t}}({number})");
                check_one(&body.replace("{y}", &number), dtype, |x| holds(x, of));
                check_one(&body.replace("{x}", &number).replace("{y}", "{x}"), dtype, |x| holds(of, x));
            }
        };
        check("{x} == {y}", |x, y| x == y);
        check("{x} != {y}", |x, y| x != y);
        check("{x} < {y}", |x, y| x < y);
        check("{x} <= {y}", |x, y| x <= y);
        check("{x} > {y}", |x, y| x > y);
        check("{x} >= {y}", |x, y| x >= y);
        check("is_nan({x})", |x, _| x.is_nan());
        check("is_inf({x})", |x, _| x.is_infinite());
        check("cast<bool>({x})", |x, _| x != 0.0);
    }
}

/// As [`check`], of one operand.
fn check_one(body: &str, dtype: DType, holds: impl Fn(f64) -> bool) {
    check_with(&[0], body, dtype, DType::Bool, |x, _| truth(holds(x)));
}

#[test]
fn selections() {
    for dtype in TYPES {
        check("select({x} < {y}, {x}, neg({y}))", dtype, dtype, |x, y| if x < y { x } else { -y });
        check("cast<{t}>({x} >= {y})", dtype, dtype, |x, y| truth(x >= y));
    }
}
