//! Errors of the elementary functions, of every element type on every encoder.
//!
//! `docs/accuracy.md` is the table of what they are at most. Each run measures a part of all arguments, spread over all
//! exponents, and demands that no error is larger than the table says. A long run measures more, and writes the table
//! where `BLESS` is set: `BLESS=1 cargo test -p orogen-codegen --test accuracy -- --ignored`.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::print_stdout, reason = "the measured errors are worth seeing")]

mod exact;
mod harness;

use exact::{Exact, Turn};
use harness::{call, compiled_with, in_memory, plan_of};
use orogen_codegen::vector::Isa;
use orogen_codegen::{CodegenOptions, Cpu};
use orogen_ir::loops::{BinaryOp, CompareOp, ProgramBuilder, TensorProgram, UnaryOp};
use orogen_ir::types::{DType, TensorData};
use std::path::PathBuf;

/// A function to a hundred bits, at finite arguments.
type ToManyBits = fn(&Turn, f64) -> Exact;

/// The functions with an error, in the order of their table. Of types narrower than `f64`, what the row means is near
/// enough.
const FUNCTIONS: [(UnaryOp, ToManyBits); 21] = [
    (UnaryOp::Exp, |_, x| exact::exp(x)),
    (UnaryOp::Log, |_, x| exact::log(x)),
    (UnaryOp::Sqrt, |_, x| exact::sqrt(x)),
    (UnaryOp::Reciprocal, |_, x| exact::reciprocal(x)),
    (UnaryOp::Sin, exact::sin),
    (UnaryOp::Cos, exact::cos),
    (UnaryOp::Tan, exact::tan),
    (UnaryOp::Asin, |_, x| exact::asin(x)),
    (UnaryOp::Acos, |_, x| exact::acos(x)),
    (UnaryOp::Atan, |_, x| exact::atan(x)),
    (UnaryOp::Sinh, |_, x| exact::sinh(x)),
    (UnaryOp::Cosh, |_, x| exact::cosh(x)),
    (UnaryOp::Asinh, |_, x| exact::asinh(x)),
    (UnaryOp::Acosh, |_, x| exact::acosh(x)),
    (UnaryOp::Atanh, |_, x| exact::atanh(x)),
    (UnaryOp::Tanh, |_, x| exact::tanh(x)),
    (UnaryOp::Sigmoid, |_, x| exact::sigmoid(x)),
    (UnaryOp::Erf, |_, x| exact::erf(x)),
    (UnaryOp::Expm1, |_, x| exact::expm1(x)),
    (UnaryOp::Log1p, |_, x| exact::log1p(x)),
    (UnaryOp::Softplus, |_, x| exact::softplus(x)),
];

/// What a column of the table is about.
#[derive(Clone, Copy, Debug)]
struct Column {
    title: &'static str,
    dtype: DType,
    /// `None`: the worst of all.
    isa: Option<Isa>,
    /// Whether vector code is kept away.
    scalar: bool,
}

const COLUMNS: [Column; 9] = [
    Column { title: "f32, scalar", dtype: DType::F32, isa: None, scalar: true },
    Column { title: "f32, 128 bits", dtype: DType::F32, isa: Some(Isa::Clif128), scalar: false },
    Column { title: "f32, AVX2", dtype: DType::F32, isa: Some(Isa::Avx2), scalar: false },
    Column { title: "f32, AVX-512", dtype: DType::F32, isa: Some(Isa::Avx512), scalar: false },
    Column { title: "f64, 128 bits", dtype: DType::F64, isa: Some(Isa::Clif128), scalar: false },
    Column { title: "f64, AVX2", dtype: DType::F64, isa: Some(Isa::Avx2), scalar: false },
    Column { title: "f64, AVX-512", dtype: DType::F64, isa: Some(Isa::Avx512), scalar: false },
    Column { title: "f16", dtype: DType::F16, isa: None, scalar: false },
    Column { title: "bf16", dtype: DType::BF16, isa: None, scalar: false },
];

impl Column {
    /// VNNI is for integers alone.
    fn isas(self) -> Vec<Isa> {
        let all = Isa::available().into_iter().filter(|it| *it != Isa::Avx512Vnni);
        all.filter(|it| self.isa.is_none_or(|isa| isa == *it)).collect()
    }

    /// Bits of the significand and the least exponent of a normal number.
    fn format(self) -> (i32, i32) {
        match self.dtype {
            DType::F16 => (11, -14),
            DType::BF16 => (8, -126),
            DType::F32 => (24, -126),
            _ => (53, -1022),
        }
    }

    /// The nearest number of the type, but for a second rounding.
    fn rounded(self, value: f64) -> f64 {
        match self.dtype {
            DType::F32 => f64::from(value as f32),
            DType::F64 => value,
            other => TensorData::from_f64(other, &[1], [value]).get_f64(0),
        }
    }
}

/// `y[i] = f(x[i])`; of two operands, `x[i]^z[i]`. A remainder of `f64` keeps vector code away.
fn program(op: Option<UnaryOp>, dtype: DType, scalar: bool) -> TensorProgram {
    let mut b = ProgramBuilder::new("function");
    let n = b.size("n");
    let x = b.input("x", dtype, &[n]);
    let z = op.is_none().then(|| b.input("z", dtype, &[n]));
    let y = b.output("y", dtype, &[n]);
    b.fill(y, |b, at| {
        let x = b.load(x, [at[0]])?;
        let value = match (op, z) {
            (Some(op), _) => b.unary(op, x)?,
            (None, Some(z)) => {
                let z = b.load(z, [at[0]])?;
                b.binary(BinaryOp::Pow, x, z)?
            }
            (None, None) => x,
        };
        if !scalar {
            return Ok(value);
        }
        let i = b.dim(at[0], DType::I64)?;
        let (i, zero, one) = (b.cast(DType::F64, i), b.float(0.0, DType::F64)?, b.float(1.0, DType::F64)?);
        let divisor = b.binary(BinaryOp::Add, i, one)?;
        let rest = b.binary(BinaryOp::Fmod, zero, divisor)?;
        let always = b.compare(CompareOp::Eq, rest, zero)?;
        b.select(always, value, x)
    })
    .unwrap();
    b.into_program()
}

/// The results of a program on an encoder.
fn results(program: &TensorProgram, isa: Isa, scalar: bool, inputs: &[TensorData]) -> TensorData {
    let cpu = match isa {
        Isa::Clif128 => Cpu::Baseline,
        Isa::Avx2 => Cpu::Avx2,
        Isa::Avx512 => Cpu::Avx512,
        Isa::Avx512Vnni => Cpu::Avx512Vnni,
    };
    let compiled =
        compiled_with(&plan_of(program, &[0]), &CodegenOptions { cpu, ..CodegenOptions::default() });
    let strategy = &compiled.kernels()[0].strategy;
    assert!(!scalar || strategy.iter().any(|it| it.starts_with("scalar")), "{strategy:?}");
    call(&in_memory(&compiled, true), inputs).unwrap().swap_remove(0)
}

/// How many arguments are tried.
#[derive(Clone, Copy)]
struct Part {
    /// Of the bit patterns of `f32`, one in so many,
    stride: usize,
    /// and of those in 2^-6..2^8.
    inner: usize,
    /// Every so many-th exponent of `f64`,
    exponents: usize,
    /// so many numbers of each, more in 2^-6..2^8.
    each: u64,
    /// Of the bit patterns of 16-bit types, one in so many.
    narrow: usize,
}

const SHORT: Part = Part { stride: 65_537, inner: 8191, exponents: 9, each: 2, narrow: 13 };
const LONG: Part = Part { stride: 1031, inner: 61, exponents: 1, each: 24, narrow: 1 };

impl Part {
    fn arguments(self, dtype: DType) -> Vec<f64> {
        let mut values = vec![];
        for value in [0.0, 1.0, 0.5, 2.0, std::f64::consts::FRAC_PI_2, f64::INFINITY, f64::NAN] {
            values.extend([value, -value]);
        }
        match dtype {
            DType::F32 => {
                let all = (0..1u64 << 32).step_by(self.stride).map(|it| it as u32);
                let inner = (121u32 << 23..135 << 23).step_by(self.inner).flat_map(|it| [it, it | 1 << 31]);
                values.extend(all.chain(inner).map(|it| f64::from(f32::from_bits(it))));
            }
            DType::F64 => {
                let mut random = harness::Random(7);
                let mut add = |exponent: u64, count: u64| {
                    for _ in 0..count {
                        let bits = random.next();
                        values.push(f64::from_bits(exponent << 52 | bits >> 12 | bits << 63));
                    }
                };
                (0..2047).step_by(self.exponents).for_each(|it| add(it, self.each));
                (1017..1031).for_each(|it| add(it, 30 * self.each));
                // Next to 1 and to multiples of π/2.
                for i in 1..60 {
                    let odd = f64::from(i) * std::f64::consts::FRAC_PI_2;
                    values.extend([odd, -odd, 1.0 + 2f64.powi(-i), 1.0 - 2f64.powi(-i)]);
                }
            }
            _ => {
                let bytes = (0..=u16::MAX).step_by(self.narrow).flat_map(u16::to_le_bytes);
                let bytes: Vec<u8> = bytes.collect();
                let data = TensorData::new(dtype, vec![bytes.len() as u64 / 2], bytes.into()).unwrap();
                values.extend((0..data.len()).map(|i| data.get_f64(i)));
            }
        }
        values
    }
}

/// The largest error of a function, and where. Half a unit and less is not looked at closely.
fn worst(column: Column, found: &TensorData, exact: impl Fn(usize) -> Exact) -> (f64, usize) {
    let (digits, least) = column.format();
    let mut worst = (0.5, 0);
    for i in 0..found.len() {
        let (y, exact) = (found.get_f64(i), exact(i));
        let nearest = column.rounded(exact.nearest());
        if nearest == y && (y != 0.0 || y.is_sign_negative() == nearest.is_sign_negative()) {
            continue;
        }
        let error = exact.ulps(y, digits, least);
        if error > worst.0 {
            worst = (error, i);
        }
    }
    worst
}

/// A row of the table: the largest error for each column; `None` for encoders that this machine does not run.
type Row = (&'static str, [Option<f64>; COLUMNS.len()]);

fn measured(part: Part, columns: std::ops::Range<usize>) -> Vec<Row> {
    let turn = Turn::new();
    let mut rows: Vec<Row> = FUNCTIONS.iter().map(|it| (it.0.name(), [None; COLUMNS.len()])).collect();
    rows.push(("pow", [None; COLUMNS.len()]));
    let mut of_f64: Vec<Vec<Exact>> = Vec::new();
    for at in columns {
        let column = COLUMNS[at];
        let values = part.arguments(column.dtype);
        let count = values.len() as u64;
        let x = TensorData::from_f64(column.dtype, &[count], values);
        let is_wide = column.dtype == DType::F64;
        for (row, (op, to_many_bits)) in FUNCTIONS.iter().enumerate() {
            let near = |x: f64| Exact::from(op.row().meaning.float(x));
            let program = program(Some(*op), column.dtype, column.scalar);
            if is_wide && of_f64.len() == row {
                let exact = |x: f64| if x.is_finite() { to_many_bits(&turn, x) } else { near(x) };
                of_f64.push((0..x.len()).map(|i| exact(x.get_f64(i))).collect());
            }
            for isa in column.isas() {
                let found = results(&program, isa, column.scalar, std::slice::from_ref(&x));
                let (error, i) = if is_wide {
                    worst(column, &found, |i| of_f64[row][i])
                } else {
                    worst(column, &found, |i| near(x.get_f64(i)))
                };
                println!("{} {} {isa:?}: {error:.3} at {:e}", op.name(), column.title, x.get_f64(i));
                let cell = &mut rows[row].1[at];
                *cell = Some(cell.unwrap_or(0.0).max(error));
            }
        }
        let (x, z) = powers(part, column.dtype);
        let program = program(None, column.dtype, column.scalar);
        for isa in column.isas() {
            let found = results(&program, isa, column.scalar, &[x.clone(), z.clone()]);
            let (error, i) = worst(column, &found, |i| {
                let (x, z) = (x.get_f64(i), z.get_f64(i));
                if is_wide { exact::pow(x, z) } else { x.powf(z).into() }
            });
            println!("pow {} {isa:?}: {error:.3} at {:e} {:e}", column.title, x.get_f64(i), z.get_f64(i));
            let cell = &mut rows[FUNCTIONS.len()].1[at];
            *cell = Some(cell.unwrap_or(0.0).max(error));
        }
    }
    rows
}

/// Positive bases and exponents whose powers are numbers of the type, mostly.
fn powers(part: Part, dtype: DType) -> (TensorData, TensorData) {
    let mut random = harness::Random(11);
    let (mut xs, mut zs) = (Vec::new(), Vec::new());
    // Logarithms to base 2 of the largest numbers.
    let most = match dtype {
        DType::F64 => 1023.0,
        DType::F16 => 15.0,
        _ => 127.0,
    };
    for i in 0..800 * part.each {
        let spread = [1e-3, 0.5, 4.0, most][i as usize % 4];
        let x = (random.float() / 2.0 * spread).exp2();
        let z = random.float() / 2.0 * most / x.log2().abs().max(1e-9);
        xs.push(x);
        zs.push(if i % 3 == 0 { z.round() } else { z });
    }
    let count = [xs.len() as u64];
    (TensorData::from_f64(dtype, &count, xs), TensorData::from_f64(dtype, &count, zs))
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/accuracy.md")
}

/// The numbers of the table that is kept.
fn kept() -> Vec<(String, Vec<f64>)> {
    let text = std::fs::read_to_string(path()).unwrap();
    let rows = text.lines().filter(|it| it.starts_with("| `"));
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let name = cells.next().unwrap().trim_matches('`').to_owned();
        (name, cells.map(|it| it.parse().unwrap()).collect())
    })
    .collect()
}

fn check(rows: &[Row]) {
    let kept = kept();
    assert_eq!(kept.len(), rows.len(), "the table has a row for each function");
    let mut worse = Vec::new();
    for ((name, errors), (kept_name, bounds)) in rows.iter().zip(&kept) {
        assert_eq!(name, kept_name);
        assert_eq!(bounds.len(), COLUMNS.len(), "{name}");
        for ((error, bound), column) in errors.iter().zip(bounds).zip(&COLUMNS) {
            if let Some(error) = error.filter(|it| it > bound) {
                worse.push(format!("{name} {}: {error:.3}, not {bound}", column.title));
            }
        }
    }
    assert!(worse.is_empty(), "errors beyond the table:\n{}", worse.join("\n"));
}

/// The table of functions promises no less than what is measured, and every function with an error is measured.
#[test]
fn functions_promise_what_the_table_says() {
    let with_errors = UnaryOp::ALL.iter().filter(|it| it.row().ulp > 0.0);
    assert!(with_errors.eq(FUNCTIONS.iter().map(|it| &it.0)));
    for ((op, _), (name, bounds)) in FUNCTIONS.iter().zip(kept()) {
        let worst = bounds.iter().zip(&COLUMNS).filter(|it| it.1.dtype == DType::F32);
        let worst = worst.map(|it| *it.0).fold(0.0, f64::max);
        assert!(worst <= op.row().ulp, "{name}: {worst}, not {}", op.row().ulp);
    }
}

#[test]
fn scalar_f32_is_within_the_table() {
    check(&measured(SHORT, 0..1));
}

#[test]
fn vectors_of_f32_are_within_the_table() {
    check(&measured(SHORT, 1..4));
}

#[test]
fn f64_is_within_the_table() {
    check(&measured(SHORT, 4..7));
}

#[test]
fn floats_of_16_bits_are_within_the_table() {
    check(&measured(SHORT, 7..9));
}

#[test]
#[ignore = "millions of arguments for each function take minutes"]
fn many_arguments_are_within_the_table() {
    let rows = measured(LONG, 0..COLUMNS.len());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path(), render(&rows)).unwrap();
    }
    check(&rows);
}

const CASTS: &str = "
## Conversions

A cast gives the same on every path, instruction set and size, and where it is computed at compile time. ONNX leaves values out \
of range open, and other programs give there what the machine does.

* A float becomes an integer by truncation. What is out of range becomes the nearest integer of the type, NaN becomes 0.
* An integer becomes a narrower one by its low bits.
* A number becomes a boolean by `x != 0`, so NaN is true.
* What becomes a float is rounded once, to the nearest, ties to even; what is beyond the largest becomes ∞. NaN stays NaN.
";

fn render(rows: &[Row]) -> String {
    let mut text = String::from(
        "# Accuracy\n\n\
         The largest errors of elementary functions in generated code, in units in the last place of the exact result. \
         0.50 is correctly rounded, at every argument that was tried.\n\n\
         They hold for all finite arguments, however large, and for results that are subnormal; infinities, zeros with their sign \
         and NaN are those of IEEE 754. Columns are the ways that code is made: scalar code, vectors of 128 bits without fused \
         multiply-add (`--cpu baseline`), AVX2 with it, AVX-512. Functions without vector code of a type are scalar there. Floats \
         of 16 bits are computed as `f32` and rounded once, where they are stored; their columns are the worst of all ways.\n\n\
         The table is generated: `BLESS=1 cargo test -p orogen-codegen --test accuracy -- --ignored` tries 8 million arguments of \
         `f32` for each function and way, 60 thousand of `f64` against results of 100 bits, and all of 16-bit types. \
         `cargo test` tries some of each every time, and fails where an error is larger than it says here.\n\n",
    );
    let titles: Vec<&str> = COLUMNS.iter().map(|it| it.title).collect();
    text += &format!("| function | {} |\n|---|{}\n", titles.join(" | "), "---|".repeat(COLUMNS.len()));
    for (name, errors) in rows {
        let cells: Vec<String> = errors
            .iter()
            .map(|it| it.map_or_else(String::new, |it| format!("{:.2}", (it * 100.0).ceil() / 100.0)))
            .collect();
        text += &format!("| `{name}` | {} |\n", cells.join(" | "));
    }
    text + CASTS
}
