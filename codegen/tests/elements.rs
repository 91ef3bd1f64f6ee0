//! Elements of 8 to 64 bits in vector code: arithmetic, comparisons, conversions, reductions, against the reference on
//! every instruction set. Integers are exact and wrap, booleans are exact, floats of 16 bits are computed as `f32` and
//! rounded once, operations on `f64` have the bits of the reference.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod harness;

use harness::{Random, all_cpus, assert_close, call, compiled_with, in_memory, plan_of};
use orogen_ir::loops::{parse_program, verify};
use orogen_ir::types::{DType, TensorData};
use orogen_reference::eval_program;

fn ints() -> impl Iterator<Item = DType> {
    DType::computed().filter(|it| it.is_int())
}

/// Those that are computed as `f32`.
fn floats() -> impl Iterator<Item = DType> {
    DType::computed().filter(|it| it.compute() == DType::F32)
}

/// Every bit pattern of small integers, halves without NaN in pairs, noise of the others.
fn operand(dtype: DType, dims: &[u64], random: &mut Random) -> TensorData {
    let count = dims.iter().product::<u64>() as usize;
    if dtype.is_float() || dtype == DType::Bool {
        return random.tensor(dtype, dims);
    }
    let bytes: Vec<u8> =
        (0..count).flat_map(|_| random.next().to_le_bytes()[..dtype.size()].to_vec()).collect();
    TensorData::from_unpacked(dtype, dims.to_vec(), bytes.into()).unwrap()
}

/// Runs a program over `n` elements a row, 3 rows, on inputs `x`, `y` (a row), and `b` of booleans; all of it must be
/// vector code, in lanes as narrow as its values are.
fn check(body: &str, dtype: DType, out: DType, n: i64) {
    check_in(body, dtype, out, n, &lanes(&[dtype, out]));
}

/// The same, in lanes that a report says something of.
fn check_in(body: &str, dtype: DType, out: DType, n: i64, lanes: &str) {
    let text = format!(
        "kernel @elements {{
  size n
  in %x: {dtype}[3, n]
  in %y: {dtype}[n]
  in %b: bool[3, n]
  out %z: {out}[3, n]
  for i < 3, j < n {{ %z[i, j] = {} }}
}}
",
        body.replace("{t}", dtype.name())
            .replace("{x}", "%x[i, j]")
            .replace("{y}", "%y[j]")
            .replace("{b}", "%b[i, j]")
    );
    let program = parse_program(&text).unwrap_or_else(|it| panic!("{it}\n{text}"));
    verify(&program).unwrap_or_else(|it| panic!("{it}\n{text}"));
    let mut random = Random(n as u64 + 1);
    let rows = n as u64;
    let inputs = [
        operand(dtype, &[3, rows], &mut random),
        operand(dtype, &[rows], &mut random),
        operand(DType::Bool, &[3, rows], &mut random),
    ];
    let expected = eval_program(&program, &[n], &inputs).unwrap();
    for options in all_cpus() {
        let compiled = compiled_with(&plan_of(&program, &[n]), &options);
        let strategy = compiled.kernels()[0].strategy.clone();
        assert!(!strategy.iter().any(|it| it.contains("scalar")), "{strategy:?}\n{text}");
        assert!(strategy.iter().all(|it| it.contains(lanes)), "{lanes} {strategy:?}\n{text}");
        let got = call(&in_memory(&compiled, true), &inputs).unwrap();
        assert_close(&format!("{} {n}\n{text}", options.cpu), &got[0], &expected[0]);
    }
}

const ROWS: [i64; 5] = [0, 5, 16, 67, 203];

/// What a report says of the lanes of a kernel of integers and booleans: as narrow as its widest value.
fn lanes(dtypes: &[DType]) -> String {
    let bytes = dtypes.iter().map(|it| it.size()).max().unwrap_or(0);
    let narrow = bytes < 4 && dtypes.iter().all(|it| it.is_int() || *it == DType::Bool);
    if narrow { format!("lanes of {} bits", 8 * bytes) } else { String::new() }
}

#[test]
fn integers_wrap() {
    for dtype in ints() {
        for body in
            ["{x} + {y}", "{x} - {y}", "{x} * {y}", "min({x}, {y})", "max({x} + {y}, {x})", "{x} + {x} * {y}"]
        {
            for n in ROWS {
                check(body, dtype, dtype, n);
            }
        }
        check("select({b}, {x}, {y})", dtype, dtype, 37);
        for op in ["==", "!=", "<", "<=", ">", ">="] {
            check(&format!("{{x}} {op} {{y}}"), dtype, DType::Bool, 37);
            check(&format!("and({{x}} + {{y}} {op} {{y}}, {{b}})"), dtype, DType::Bool, 37);
        }
    }
    for dtype in ints() {
        check("bit_not({x})", dtype, dtype, 37);
        check("sign({x})", dtype, dtype, 37);
        check("abs({x})", dtype, dtype, 37);
        if dtype.is_signed_int() {
            check("neg({x})", dtype, dtype, 37);
        }
    }
}

#[test]
fn doubles() {
    let dtype = DType::F64;
    for body in [
        "{x} + {y}",
        "{x} * {y} - {x}",
        "{x} / {y}",
        "max({x}, {y})",
        "min({x}, neg({y}))",
        "sqrt(abs({x}))",
        "floor({x}) + ceil({y}) * trunc({x}) - round({y})",
        "sign({x}) * reciprocal({y})",
        "exp({x}) + tanh({y})",
        "log(abs({x})) * sigmoid({y})",
        "select({x} < {y}, {x}, neg({y}))",
        "select({b}, {x}, {t}(0.1))",
    ] {
        for n in ROWS {
            check(body, dtype, dtype, n);
        }
    }
    for body in ["{x} <= {y}", "is_nan({x} / {x})", "is_inf({x} / f64(0.0))", "and({x} == {x}, {b})"] {
        check(body, dtype, DType::Bool, 37);
    }
}

/// Values of several widths in one stage are what they are alone: those of `f32` are rounded after each operation.
#[test]
fn widths_mix() {
    for (body, dtype, out) in [
        ("cast<f64>({x}) * f64(0.1)", DType::F32, DType::F64),
        ("cast<f32>({x}) / f32(3.0) * cast<f32>({y})", DType::F64, DType::F32),
        ("cast<f32>({x}) * f32(0.1) + f32(1.0)", DType::I64, DType::F32),
        ("cast<i64>({x}) * i64(1000003)", DType::I32, DType::I64),
        ("cast<i32>({x} + {y}) + cast<i32>({y})", DType::I64, DType::I32),
        ("cast<u8>({x}) + cast<u8>({y})", DType::U64, DType::U8),
        ("cast<f16>({x} * {y})", DType::F64, DType::F16),
        ("cast<f64>({x}) - f64(0.5)", DType::U8, DType::F64),
        ("cast<i64>({x} < {y}) + cast<i64>({b})", DType::F32, DType::I64),
        ("select({x} == {y}, f32(0.0), f32(-1.5))", DType::I64, DType::F32),
    ] {
        for n in ROWS {
            check(body, dtype, out, n);
        }
    }
}

#[test]
fn booleans() {
    for body in
        ["and({x}, {b})", "or({x}, {b})", "xor({x}, {b})", "not({x})", "{x} == {b}", "{x} != {y}", "{b}"]
    {
        for n in ROWS {
            check(body, DType::Bool, DType::Bool, n);
        }
    }
}

#[test]
fn floats_of_sixteen_bits() {
    for dtype in floats() {
        for body in [
            "{x} + {y}",
            "{x} * {y} - {x}",
            "max({x}, {y})",
            "exp({x})",
            "tanh({x} * {y})",
            "sqrt(abs({x}))",
            "select({x} < {y}, {x}, neg({y}))",
            "select({b}, {x}, {t}(0.5))",
        ] {
            for n in ROWS {
                check(body, dtype, dtype, n);
            }
        }
        check("{x} <= {y}", dtype, DType::Bool, 37);
        check("cast<f32>({x}) * f32(3.0)", dtype, DType::F32, 37);
        check("cast<f16>(cast<f32>({x}) * f32(3.0))", dtype, DType::F16, 37);
        check("cast<bf16>(cast<f32>({x}) * f32(3.0))", dtype, DType::BF16, 37);
        check("cast<u8>({x} * {t}(100.0))", dtype, DType::U8, 37);
    }
}

/// Elements that lie apart, forwards and backwards.
#[test]
fn strided_rows() {
    for dtype in [DType::F32, DType::I32, DType::U32, DType::F64, DType::I64, DType::I8] {
        for (width, index) in
            [("2 * n", "2 * j"), ("3 * n", "3 * j + 2"), ("n", "n - j - 1"), ("2 * n", "2 * n - 2 * j - 1")]
        {
            let text = format!(
                "kernel @strided {{\n  size n\n  in %s: bool[n]\n  in %x: {dtype}[3, {width}]\n  out %z: {dtype}[3, n]
  for i < 3, j < n {{ %z[i, j] = %x[i, {index}] + %x[i, {index}] }}\n}}\n"
            );
            let program = parse_program(&text).unwrap_or_else(|it| panic!("{it}\n{text}"));
            verify(&program).unwrap_or_else(|it| panic!("{it}\n{text}"));
            for n in ROWS {
                let columns = width.split_whitespace().next().unwrap().parse().unwrap_or(1) * n;
                let inputs = [
                    operand(DType::Bool, &[n as u64], &mut Random(1)),
                    operand(dtype, &[3, columns as u64], &mut Random(n as u64)),
                ];
                let expected = eval_program(&program, &[n], &inputs).unwrap();
                for options in all_cpus() {
                    let compiled = compiled_with(&plan_of(&program, &[n]), &options);
                    let strategy = compiled.kernels()[0].strategy.clone();
                    assert!(strategy[0].contains("strips of"), "{strategy:?}\n{text}");
                    let got = call(&in_memory(&compiled, true), &inputs).unwrap();
                    assert_close(&format!("{} {n}\n{text}", options.cpu), &got[0], &expected[0]);
                }
            }
        }
    }
}

/// Reductions along rows, along columns, and of a matrix whole: exact for integers, which wrap, and for booleans.
#[test]
fn reductions_of_every_type() {
    for dtype in ints().chain([DType::Bool, DType::F64, DType::F32]) {
        for op in ["sum", "product", "max", "min"] {
            for (text, what) in [
                ("out %z: {t}[3]\n  for i < 3 { %z[i] = {op} j < n { %x[i, j] } }", "rows of"),
                ("out %z: {t}[n]\n  for j < n { %z[j] = {op} i < 3 { %x[i, j] } }", "columns of"),
                ("out %z: {t}[]\n  %z[] = {op} i < 3, j < n { %x[i, j] }", "rows of"),
            ] {
                let body = text.replace("{t}", dtype.name()).replace("{op}", op);
                let text = format!("kernel @reduce {{\n  size n\n  in %x: {dtype}[3, n]\n  {body}\n}}\n");
                let program = parse_program(&text).unwrap_or_else(|it| panic!("{it}\n{text}"));
                for n in [5, 16, 67, 203] {
                    let inputs = [operand(dtype, &[3, n as u64], &mut Random(n as u64))];
                    let expected = eval_program(&program, &[n], &inputs).unwrap();
                    for options in all_cpus() {
                        let compiled = compiled_with(&plan_of(&program, &[n]), &options);
                        let strategy = compiled.kernels()[0].strategy.clone();
                        assert!(strategy.iter().all(|it| it.contains(what)), "{strategy:?}\n{text}");
                        let lanes = lanes(&[dtype]);
                        assert!(
                            strategy.iter().all(|it| it.contains(&lanes)),
                            "{lanes} {strategy:?}\n{text}"
                        );
                        let got = call(&in_memory(&compiled, true), &inputs).unwrap();
                        assert_close(&format!("{} {n}\n{text}", options.cpu), &got[0], &expected[0]);
                    }
                }
            }
        }
    }
}

#[test]
fn reductions_and_rows() {
    // As half precision is normalised: sums in f32 over elements of 16 bits, and a row that is stored as such.
    for dtype in floats() {
        let text = format!(
            "kernel @softmax {{
  size n
  in %x: {dtype}[3, n]
  out %y: {dtype}[3, n]
  local %high: f32[3]
  local %sum: f32[3]
  local %power: f32[3, n]
  for i < 3 {{ %high[i] = max j < n {{ cast<f32>(%x[i, j]) }} }}
  for i1 < 3, j1 < n {{ %power[i1, j1] = exp(cast<f32>(%x[i1, j1]) - %high[i1]) }}
  for i2 < 3 {{ %sum[i2] = sum j2 < n {{ %power[i2, j2] }} }}
  for i3 < 3, j3 < n {{ %y[i3, j3] = cast<{dtype}>(%power[i3, j3] / %sum[i3]) }}
}}
"
        );
        let program = parse_program(&text).unwrap_or_else(|it| panic!("{it}\n{text}"));
        for n in [1, 5, 16, 67] {
            let inputs = [operand(dtype, &[3, n as u64], &mut Random(9))];
            let expected = eval_program(&program, &[n], &inputs).unwrap();
            for options in all_cpus() {
                let compiled = compiled_with(&plan_of(&program, &[n]), &options);
                let strategy = compiled.kernels()[0].strategy.clone();
                assert!(strategy.len() == 1 && strategy[0].contains("rows of"), "{strategy:?}");
                let got = call(&in_memory(&compiled, true), &inputs).unwrap();
                assert_close(&format!("{} {n} {dtype}", options.cpu), &got[0], &expected[0]);
            }
        }
    }
}

/// Elements of one row and of another one beside it have the same places, whatever their types are.
#[test]
fn rows_of_several_types() {
    for (dtype, other) in floats().flat_map(|dtype| ints().map(move |other| (dtype, other))) {
        let text = format!(
            "kernel @scaled {{
  size n
  in %x: {dtype}[3, n]
  in %w: {other}[3, n]
  out %y: {dtype}[3, n]
  out %z: {other}[3, n]
  local %high: f32[3]
  for i < 3 {{ %high[i] = max j < n {{ cast<f32>(%x[i, j]) * cast<f32>(%w[i, j]) }} }}
  for i1 < 3, j1 < n {{ %y[i1, j1] = cast<{dtype}>(cast<f32>(%x[i1, j1]) - %high[i1] + cast<f32>(%w[i1, j1])) }}
  for i2 < 3, j2 < n {{ %z[i2, j2] = cast<{other}>(min(abs(%high[i2]), f32(9.0))) + %w[i2, j2] }}
}}
"
        );
        let program = parse_program(&text).unwrap_or_else(|it| panic!("{it}\n{text}"));
        verify(&program).unwrap_or_else(|it| panic!("{it}\n{text}"));
        for n in [5, 16, 67] {
            let mut random = Random(9);
            let small: Vec<f64> = (0..3 * n).map(|_| random.below(9) as f64).collect();
            let dims = [3, n as u64];
            let inputs = [operand(dtype, &dims, &mut random), TensorData::from_f64(other, &dims, small)];
            let expected = eval_program(&program, &[n], &inputs).unwrap();
            for options in all_cpus() {
                let compiled = compiled_with(&plan_of(&program, &[n]), &options);
                let got = call(&in_memory(&compiled, true), &inputs).unwrap();
                for (got, expected) in got.iter().zip(&expected) {
                    assert_close(&format!("{} {n} {dtype} {other}", options.cpu), got, expected);
                }
            }
        }
    }
}

/// Every pair of special and of ordinary numbers, against the reference; signs of zeros count.
#[test]
fn powers_of_special_numbers() {
    let specials = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        -0.5,
        2.0,
        -2.0,
        3.0,
        -3.0,
        1e-4,
        -2.5,
        0.99,
        1.01,
        100.0,
        -1e4,
        6e4,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
    ];
    let n = (specials.len() * specials.len()) as u64;
    for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16] {
        let text = format!(
            "kernel @powers {{
  size n
  in %x: {dtype}[n]
  in %y: {dtype}[n]
  out %z: {dtype}[n]
  for i < n {{ %z[i] = pow(%x[i], %y[i]) }}
}}
"
        );
        let program = parse_program(&text).unwrap();
        let x = specials.iter().flat_map(|x| specials.map(|_| *x));
        let y = specials.iter().flat_map(|_| specials);
        let inputs = [TensorData::from_f64(dtype, &[n], x), TensorData::from_f64(dtype, &[n], y)];
        let expected = &eval_program(&program, &[n as i64], &inputs).unwrap()[0];
        for options in all_cpus() {
            let compiled = compiled_with(&plan_of(&program, &[n as i64]), &options);
            let strategy = compiled.kernels()[0].strategy.clone();
            assert!(!strategy.iter().any(|it| it.contains("scalar")), "{strategy:?}");
            let got = &call(&in_memory(&compiled, true), &inputs).unwrap()[0];
            assert_close(&format!("{} {dtype}", options.cpu), got, expected);
            for i in (0..got.len()).filter(|it| expected.get_f64(*it) == 0.0) {
                let [got, expected] = [got, expected].map(|it| it.get_f64(i).is_sign_negative());
                assert_eq!(got, expected, "{dtype} {} {}", inputs[0].get_f64(i), inputs[1].get_f64(i));
            }
        }
    }
}

/// Functions that lanes of 64 bits alone have are vector code for shorter floats too; arguments are of every size.
#[test]
fn functions_of_the_widest_lanes() {
    for dtype in [DType::F64, DType::F32, DType::F16, DType::BF16] {
        for body in
            ["tan({x}) + sin({x} * {t}(300.0))", "atan({x}) * cosh({y})", "sinh({y}) - asin({x} * {t}(0.4))"]
        {
            check(body, dtype, dtype, 37);
        }
    }
    for factor in ["1e7", "1e300", "3e-300"] {
        check(
            &format!("sin({{x}} * {{t}}({factor})) + cos({{y}} * {{t}}({factor}))"),
            DType::F64,
            DType::F64,
            67,
        );
    }
}

/// Quotients and remainders of all signs, by 0 and by −1 too; operands are of the whole range.
#[test]
fn integers_are_divided() {
    for dtype in [DType::I8, DType::U8, DType::I16, DType::U16, DType::I32, DType::U32] {
        let by_few = "{y} - {y} / {t}(5) * {t}(5) - {t}(2)";
        for body in ["{x} / {y}", "mod({x}, {y})", "fmod({x}, {y})", "{x} / ({FEW})", "mod({x}, {FEW})"] {
            check_in(&body.replace("{FEW}", by_few), dtype, dtype, 67, "");
        }
    }
}

/// Laws D1 and D2: ends of the range, neighbours of powers of two, and noise of every magnitude, by each other.
#[test]
fn wide_integers_are_divided() {
    let powers =
        (0..64).flat_map(|bit| [1u64 << bit, (1 << bit) - 1, (1 << bit) + 1, !(1 << bit), !0 << bit]);
    let mut random = Random(64);
    let noise = (0..1500).map(|i| random.next() >> (i % 64));
    let numbers: Vec<u64> = powers.chain([0, u64::MAX, 3, 10, 1_000_000_007]).chain(noise).collect();
    let count = numbers.len();
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for by in [0, 1, 2, 5, 64, 200, 333, 700, 1234] {
        left.extend_from_slice(&numbers);
        right.extend((0..count).map(|i| numbers[(i + by) % count]));
    }
    // Quotients that are whole, or almost.
    for i in 0..count {
        let (x, y) = (numbers[i], numbers[(7 * i + 3) % count] >> (i % 60));
        left.push((x / y.max(1)).wrapping_mul(y).wrapping_add((i % 3) as u64).wrapping_sub(1));
        right.push(y);
    }
    // Law W1 of `wide`: whole vectors of small ones, up to the bound and just beyond it.
    let edge = 1i64 << 51;
    let near = (-3..=3).flat_map(|it| [edge + it, -edge + it, it, (1 << 26) + it]);
    let near: Vec<u64> = near.map(i64::cast_unsigned).collect();
    for by in 0..near.len() {
        left.extend_from_slice(&near);
        right.extend((0..near.len()).map(|i| near[(i + by) % near.len()]));
    }
    for i in 0..4096u64 {
        let magnitude = |it: u64| it >> (13 + i / 64 % 50);
        let (x, y) = (magnitude(random.next() << 1), magnitude(random.next() << 1));
        // Quotients that are whole, or almost, too.
        let whole = (x / y.max(1)).wrapping_mul(y).wrapping_add(i % 3).wrapping_sub(1);
        left.push(if i % 2 == 0 { x } else { whole });
        right.push(if i % 5 == 0 { y.wrapping_neg() } else { y });
    }
    for dtype in [DType::I64, DType::U64] {
        let n = left.len() as u64;
        let inputs = [&left, &right].map(|it| {
            let bytes: Vec<u8> = it.iter().flat_map(|it| it.to_le_bytes()).collect();
            TensorData::new(dtype, vec![n], bytes.into()).unwrap()
        });
        for body in ["%x[i] / %y[i]", "mod(%x[i], %y[i])", "fmod(%x[i], %y[i])"] {
            let text = format!(
                "kernel @divide {{\n  size n\n  in %x: {dtype}[n]\n  in %y: {dtype}[n]\n  out %z: {dtype}[n]
  for i < n {{ %z[i] = {body} }}\n}}\n"
            );
            let program = parse_program(&text).unwrap_or_else(|it| panic!("{it}\n{text}"));
            let expected = &eval_program(&program, &[n as i64], &inputs).unwrap()[0];
            for options in all_cpus() {
                let compiled = compiled_with(&plan_of(&program, &[n as i64]), &options);
                let strategy = &compiled.kernels()[0].strategy;
                assert!(!strategy.iter().any(|it| it.contains("scalar")), "{strategy:?}");
                let got = &call(&in_memory(&compiled, true), &inputs).unwrap()[0];
                let wrong = (0..n as usize).find(|i| got.get_i64(*i) != expected.get_i64(*i));
                let show = wrong.map(|i| (left[i], right[i], got.get_i64(i), expected.get_i64(i)));
                assert_eq!(show, None, "{} {dtype} {body}", options.cpu);
            }
        }
    }
}

/// The place of the largest element, along rows and along columns.
#[test]
fn places_of_extrema() {
    for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16, DType::I64, DType::I32, DType::U8] {
        for (dims, at, point) in [("[3, n]", "i, k", 3), ("[n, 21]", "k, i", 21)] {
            let second = at.replace('i', "i2").replace('k', "k2");
            let text = format!(
                "kernel @place {{
  size n
  in %x: {dtype}{dims}
  out %y: i64[{point}]
  local %best: {dtype}[{point}]
  for i < {point} {{ %best[i] = max k < n {{ %x[{at}] }} }}
  for i2 < {point} {{ %y[i2] = min k2 < n {{ select(%x[{second}] == %best[i2], dim<i64>(k2), dim<i64>(n)) }} }}
}}
"
            );
            let program = parse_program(&text).unwrap_or_else(|it| panic!("{it}\n{text}"));
            verify(&program).unwrap_or_else(|it| panic!("{it}\n{text}"));
            for n in [1, 5, 67] {
                let shape = if point == 3 { [3, n as u64] } else { [n as u64, 21] };
                let inputs = [operand(dtype, &shape, &mut Random(n as u64))];
                let expected = eval_program(&program, &[n], &inputs).unwrap();
                for options in all_cpus() {
                    let compiled = compiled_with(&plan_of(&program, &[n]), &options);
                    let strategy = compiled.kernels()[0].strategy.clone();
                    assert!(!strategy.iter().any(|it| it.contains("scalar")), "{strategy:?}\n{text}");
                    let got = call(&in_memory(&compiled, true), &inputs).unwrap();
                    assert_close(&format!("{} {n}\n{text}", options.cpu), &got[0], &expected[0]);
                }
            }
        }
    }
}
