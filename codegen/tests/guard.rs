//! Every routine on random geometry, between guard pages, against the reference.
//!
//! The laws of `select` (S1 to S4) and of the generators (C1 to C3, G1, G2, R1, R2, T1 to T3, U1 to U5, N1 and N2) say when a routine
//! may be called; here the geometry is any, the bounds of laws are among it, and what does not fit a law must take another
//! form.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod harness;

use harness::conv::{Convolution, Window};
use harness::{Random, all_cpus, assert_close, compiled_with, guard, with_constants};
use orogen_codegen::CodegenOptions;
use orogen_ir::diag::Diagnostic;
use orogen_ir::loops::{BinaryOp, Combine, CompareOp, ProgramBuilder, TensorProgram, UnaryOp};
use orogen_ir::shape::Dim;
use orogen_ir::types::DType;
use orogen_reference::eval_program;

const F: DType = DType::F32;

/// A size that is written down or given at run time.
struct Sizes {
    values: Vec<i64>,
}

impl Sizes {
    fn new() -> Sizes {
        Sizes { values: Vec::new() }
    }

    fn of(&mut self, b: &mut ProgramBuilder, random: &mut Random, value: i64) -> Dim {
        if random.below(3) > 0 {
            return b.shapes().int(value);
        }
        self.values.push(value);
        b.size(&format!("s{}", self.values.len()))
    }
}

/// Compares with the reference, with memory at both ends of its pages; what was chosen.
fn check(
    program: &TensorProgram,
    sizes: &[i64],
    constants: &[&str],
    options: &CodegenOptions,
    seed: u64,
) -> String {
    let (plan, all, given) = with_constants(program, sizes, constants, seed);
    let expected = eval_program(program, sizes, &all).unwrap();
    let compiled = compiled_with(&plan, options);
    let strategy = compiled.kernels()[0].strategy.join(" ");
    let loaded = guard::load(&compiled);
    for at_end in [false, true] {
        let got = guard::call(&loaded, &plan, &given, at_end);
        let what = format!("seed {seed} {:?} at_end {at_end} {strategy} {sizes:?}", options.cpu);
        assert_close(&what, &got, &expected[0]);
    }
    strategy
}

/// Runs `cases` of what `make` gives, on the instruction sets in turn; every name in `wanted` must be chosen now and
/// then. `OROGEN_GUARD_CASES` multiplies the cases.
fn run(
    cases: u64,
    seed: u64,
    wanted: &[&str],
    constants: &[&str],
    make: impl Fn(&mut Random) -> Result<Option<(TensorProgram, Vec<i64>)>, Diagnostic>,
) {
    let mut seen = vec![0; wanted.len()];
    let cpus = all_cpus();
    let times = std::env::var("OROGEN_GUARD_CASES").ok().and_then(|it| it.parse().ok()).unwrap_or(1);
    for case in 0..cases * times {
        let seed = seed * 1_000_000 + case;
        let mut random = Random(seed);
        let Some((program, sizes)) = make(&mut random).unwrap() else { continue };
        let options = &cpus[case as usize % cpus.len()];
        let chosen = check(&program, &sizes, constants, options, seed);
        for (seen, wanted) in seen.iter_mut().zip(wanted) {
            *seen += u64::from(chosen.contains(wanted));
        }
    }
    for (seen, wanted) in seen.iter().zip(wanted) {
        assert!(*seen > 0, "{wanted} was never chosen");
    }
}

fn pick(random: &mut Random, from: &[i64]) -> i64 {
    from[random.below(from.len() as u64) as usize]
}

fn window(random: &mut Random) -> Window {
    let pad = [0, 0, 0, 1, 2, 5, -1, -2];
    Window {
        size: pick(random, &[0, 1, 2, 3, 7, 8, 16, 17, 33, 40]),
        kernel: pick(random, &[1, 1, 1, 2, 3, 5]),
        stride: pick(random, &[1, 1, 1, 2, 3]),
        dilation: pick(random, &[1, 1, 2]),
        begin: pick(random, &pad),
        end: pick(random, &[0, 0, 1, 3, 20, -1, -2]),
    }
}

/// A convolution with one to two spatial dimensions.
fn conv(random: &mut Random) -> Result<Option<(TensorProgram, Vec<i64>)>, Diagnostic> {
    let windows: Vec<Window> = (0..1 + random.below(2)).map(|_| window(random)).collect();
    if !windows.iter().all(Window::fits) {
        return Ok(None);
    }
    let (groups, c, m) = match random.below(4) {
        0 => (pick(random, &[2, 5]), 1, 1),
        1 => (pick(random, &[2, 3]), pick(random, &[1, 2]), pick(random, &[1, 4])),
        _ => (1, pick(random, &[1, 2, 7]), pick(random, &[1, 3, 15])),
    };
    let mut b = ProgramBuilder::new("conv");
    let mut sizes = Sizes::new();
    let n = pick(random, &[0, 1, 1, 2]);
    let batch = sizes.of(&mut b, random, n);
    let extents = windows.iter().map(|it| sizes.of(&mut b, random, it.size)).collect();
    with_bias(b, &Convolution { batch, groups, c, m, windows, sizes: extents })
        .map(|it| Some((it, sizes.values)))
}

/// A convolution and a bias behind it.
fn with_bias(mut b: ProgramBuilder, conv: &Convolution) -> Result<TensorProgram, Diagnostic> {
    let mut made = None;
    conv.build(&mut b, |b, dims| {
        let bias = b.input("bias", F, &dims[1..2]);
        let y = b.output("y", F, dims);
        let sum = b.local("sum", F, dims);
        made = Some((bias, y, sum));
        sum
    })?;
    let (bias, y, sum) = made.expect("declared by then");
    b.fill(y, |b, at| {
        let (sum, bias) = (b.load(sum, at.iter().copied())?, b.load(bias, [at[1]])?);
        b.binary(BinaryOp::Add, sum, bias)
    })?;
    Ok(b.into_program())
}

/// Each bound of C1 and C3: below it, at it, beyond it.
#[test]
fn convolutions_at_the_bounds_of_c1_c3() {
    let plain = Window { size: 5, kernel: 1, stride: 1, dilation: 1, begin: 0, end: 0 };
    let mut cases: Vec<(Window, &str)> = Vec::new();
    for at in [63, 64, 65] {
        let form = if at <= 64 { "convolution" } else { "" };
        cases.push((Window { size: 70, kernel: at, ..plain }, form));
        cases.push((Window { size: 140, stride: at, kernel: 2, ..plain }, form));
        cases.push((Window { size: 70, kernel: 2, dilation: at, ..plain }, form));
    }
    for at in [1023, 1024, 1025] {
        cases.push((Window { begin: at, kernel: 2, ..plain }, if at <= 1024 { "convolution" } else { "" }));
    }
    for begin in [-1, 0, 1] {
        // C3: the image is its own unfolding where nothing is around it and nothing is left out.
        cases.push((Window { begin, end: -begin, ..plain }, if begin < 0 { "" } else { "convolution" }));
        cases.push((Window { end: begin, ..plain }, "convolution"));
    }
    for (i, (window, form)) in cases.into_iter().enumerate() {
        for options in all_cpus() {
            let mut b = ProgramBuilder::new("conv");
            let [batch, size] = [1, window.size].map(|it| b.shapes().int(it));
            let windows = vec![window];
            let conv = Convolution { batch, groups: 1, c: 2, m: 3, windows, sizes: vec![size] };
            let program = with_bias(b, &conv).unwrap();
            let chosen = check(&program, &[], &["w"], &options, 30 + i as u64);
            let as_one = chosen.contains("convolution");
            assert_eq!(as_one, form == "convolution", "case {i}: {chosen}");
        }
    }
}

#[test]
fn convolutions_c1_c2_c3() {
    run(90, 1, &["convolution", "depthwise"], &["w"], conv);
}

/// Weights that are not known: other forms.
#[test]
fn convolutions_of_two_inputs() {
    run(24, 2, &[], &[], conv);
}

fn pool(random: &mut Random) -> Result<Option<(TensorProgram, Vec<i64>)>, Diagnostic> {
    let windows: Vec<Window> = (0..1 + random.below(2)).map(|_| window(random)).collect();
    if !windows.iter().all(Window::fits) {
        return Ok(None);
    }
    let mut b = ProgramBuilder::new("pool");
    let mut sizes = Sizes::new();
    let (n, c) = (pick(random, &[0, 1, 2]), pick(random, &[1, 3]));
    let mut x_dims = vec![sizes.of(&mut b, random, n), sizes.of(&mut b, random, c)];
    let mut dims = x_dims.clone();
    for window in &windows {
        let size = sizes.of(&mut b, random, window.size);
        x_dims.push(size);
        dims.push(window.out(&mut b, size));
    }
    let (x, y) = (b.input("x", F, &x_dims), b.output("y", F, &dims));
    let axes = b.axes("o", &dims);
    let at = b.vars(&axes);
    let (mut x_at, mut taps) = (at[..2].to_vec(), Vec::new());
    for (i, window) in windows.iter().enumerate() {
        let extent = b.shapes().int(window.kernel);
        taps.push(b.axis("k", extent));
        let k = b.var(taps[i]);
        x_at.push(window.at(&mut b, at[2 + i], k));
    }
    let max = random.below(2) == 0;
    let nothing = b.float(if max { f64::NEG_INFINITY } else { 0.0 }, F)?;
    let value = b.load_or(x, x_at, nothing)?;
    let combine = if max { Combine::Max } else { Combine::Sum };
    b.reduce_stage(&axes, &taps, combine, y, at.iter().copied(), value)?;
    Ok(Some((b.into_program(), sizes.values)))
}

#[test]
fn pools_c1_c2() {
    run(60, 3, &["pool Max", "pool Sum"], &[], pool);
}

fn product(random: &mut Random) -> Result<Option<(TensorProgram, Vec<i64>)>, Diagnostic> {
    let mut b = ProgramBuilder::new("product");
    let mut sizes = Sizes::new();
    let extents = [0, 1, 2, 5, 7, 16, 17, 33, 70];
    let [m, n, k] = [0; 3].map(|_| {
        let value = pick(random, &extents);
        sizes.of(&mut b, random, value)
    });
    let lead = if random.below(2) == 0 {
        let value = pick(random, &[0, 1, 3]);
        vec![sizes.of(&mut b, random, value)]
    } else {
        Vec::new()
    };
    let with = |tail: [Dim; 2]| lead.iter().copied().chain(tail).collect::<Vec<Dim>>();
    let (a_turned, b_turned) = (random.below(2) == 0, random.below(2) == 0);
    let x = b.input("x", F, &with(if a_turned { [k, m] } else { [m, k] }));
    let w = b.input("w", F, &if b_turned { [n, k] } else { [k, n] });
    let (dims, bias) = (with([m, n]), b.input("bias", F, &[n]));
    let (y, sum) = (b.output("y", F, &dims), b.local("sum", F, &dims));
    let axes = b.axes("i", &dims);
    let at = b.vars(&axes);
    let reduce = b.axis("k", k);
    let (vk, [vm, vn]) = (b.var(reduce), [at[at.len() - 2], at[at.len() - 1]]);
    let batch = at[..at.len() - 2].iter().copied();
    let left = b.load(x, batch.chain(if a_turned { [vk, vm] } else { [vm, vk] }))?;
    let right = b.load(w, if b_turned { [vn, vk] } else { [vk, vn] })?;
    let value = b.binary(BinaryOp::Mul, left, right)?;
    b.reduce_stage(&axes, &[reduce], Combine::Sum, sum, at.iter().copied(), value)?;
    b.fill(y, |b, at| {
        let (sum, bias) = (b.load(sum, at.iter().copied())?, b.load(bias, [at[at.len() - 1]])?);
        let sum = b.binary(BinaryOp::Add, sum, bias)?;
        b.unary(UnaryOp::Tanh, sum)
    })?;
    Ok(Some((b.into_program(), sizes.values)))
}

#[test]
fn products_g1_g2() {
    run(48, 4, &["gemm"], &[], product);
    run(36, 5, &["B Packed"], &["w"], product);
}

/// Softmax over the last axis, and a sum over the first ones.
fn reduction(random: &mut Random) -> Result<Option<(TensorProgram, Vec<i64>)>, Diagnostic> {
    let mut b = ProgramBuilder::new("reduction");
    let mut sizes = Sizes::new();
    let dims: Vec<Dim> = (0..2 + random.below(2))
        .map(|_| {
            let value = pick(random, &[0, 1, 2, 3, 8, 15, 16, 17, 40]);
            sizes.of(&mut b, random, value)
        })
        .collect();
    let x = b.input("x", F, &dims);
    let axes = b.axes("i", &dims);
    let at = b.vars(&axes);
    let inner = dims.len() - 1;
    if random.below(2) == 0 {
        // Over all but the last.
        let y = b.output("y", F, &dims[inner..]);
        let value = b.load(x, at.iter().copied())?;
        let combine = [Combine::Sum, Combine::Max, Combine::Min][random.below(3) as usize];
        b.reduce_stage(&axes[inner..], &axes[..inner], combine, y, [at[inner]], value)?;
        return Ok(Some((b.into_program(), sizes.values)));
    }
    let y = b.output("y", F, &dims);
    let [most, sum] = ["most", "sum"].map(|it| b.local(it, F, &dims[..inner]));
    let value = b.load(x, at.iter().copied())?;
    b.reduce_stage(&axes[..inner], &axes[inner..], Combine::Max, most, at[..inner].iter().copied(), value)?;
    let axes = b.axes("j", &dims);
    let at = b.vars(&axes);
    let (value, limit) = (b.load(x, at.iter().copied())?, b.load(most, at[..inner].iter().copied())?);
    let shifted = b.binary(BinaryOp::Sub, value, limit)?;
    let power = b.unary(UnaryOp::Exp, shifted)?;
    b.reduce_stage(&axes[..inner], &axes[inner..], Combine::Sum, sum, at[..inner].iter().copied(), power)?;
    b.fill(y, |b, at| {
        let (value, limit) = (b.load(x, at.iter().copied())?, b.load(most, at[..inner].iter().copied())?);
        let shifted = b.binary(BinaryOp::Sub, value, limit)?;
        let power = b.unary(UnaryOp::Exp, shifted)?;
        let total = b.load(sum, at[..inner].iter().copied())?;
        b.binary(BinaryOp::Div, power, total)
    })?;
    Ok(Some((b.into_program(), sizes.values)))
}

#[test]
fn rows_and_columns() {
    run(60, 6, &["rows", "columns"], &[], reduction);
}

/// Sums over windows of an input of any length: their number is less than 0, 0, or more (laws R1, T1, U1).
fn windows(random: &mut Random) -> Result<Option<(TensorProgram, Vec<i64>)>, Diagnostic> {
    let mut b = ProgramBuilder::new("windows");
    let n = b.size("n");
    let size = pick(random, &[0, 2, 3, 4, 5, 6, 11, 12, 13, 20, 21]);
    let windows = b.shapes().add_int(n, -4).unwrap();
    let value = pick(random, &[1, 3, 16]);
    let m = b.shapes().int(value);
    let first = random.below(2) == 0;
    let x = b.input("x", F, &if first { [n, m] } else { [m, n] });
    let y = b.output("y", F, &[m]);
    let (i, k) = (b.axis("i", m), b.axis("k", windows));
    let (at, along) = (b.var(i), b.var(k));
    let value = b.load(x, if first { [along, at] } else { [at, along] })?;
    let combine = [Combine::Sum, Combine::Max, Combine::Min][random.below(3) as usize];
    b.reduce_stage(&[i], &[k], combine, y, [at], value)?;
    Ok(Some((b.into_program(), vec![size])))
}

#[test]
fn rows_and_columns_of_windows() {
    run(60, 9, &["rows", "columns"], &[], windows);
}

/// Transpositions, slices with steps, pads, repeats.
fn movement(random: &mut Random) -> Result<Option<(TensorProgram, Vec<i64>)>, Diagnostic> {
    let mut b = ProgramBuilder::new("movement");
    let mut sizes = Sizes::new();
    let dtype = [F, F, DType::I32, DType::U8, DType::I64][random.below(5) as usize];
    let extents: Vec<i64> = (0..3).map(|_| pick(random, &[0, 1, 2, 5, 8, 16, 20])).collect();
    let dims: Vec<Dim> = extents.iter().map(|it| sizes.of(&mut b, random, *it)).collect();
    let x = b.input("x", dtype, &dims);
    match random.below(3) {
        0 => {
            let order = [[0, 2, 1], [2, 1, 0], [1, 0, 2], [2, 0, 1]][random.below(4) as usize];
            let y = b.output("y", dtype, &order.map(|it| dims[it]));
            b.fill(y, |b, at| {
                let mut from = [at[0]; 3];
                order.iter().zip(at).for_each(|(axis, at)| from[*axis] = *at);
                b.load(x, from)
            })?;
        }
        1 => {
            let pads: Vec<[i64; 2]> =
                (0..3).map(|_| [0, 1].map(|_| pick(random, &[0, 0, 1, 3, 17, -1]))).collect();
            if extents.iter().zip(&pads).any(|(size, [begin, end])| size + begin + end < 0) {
                return Ok(None);
            }
            let out: Vec<Dim> = dims
                .iter()
                .zip(&pads)
                .map(|(dim, [begin, end])| b.shapes().add_int(*dim, begin + end).unwrap())
                .collect();
            let (y, other) = (b.output("y", dtype, &out), b.number(3.0, dtype));
            b.fill(y, |b, at| {
                let from: Vec<Dim> = at
                    .iter()
                    .zip(&pads)
                    .map(|(at, [begin, _])| b.shapes().add_int(*at, -begin).unwrap())
                    .collect();
                b.load_or(x, from, other)
            })?;
        }
        _ => {
            let factors = [0; 3].map(|_| pick(random, &[1, 1, 2, 4, 3]));
            let out: Vec<Dim> =
                dims.iter().zip(factors).map(|(dim, by)| b.shapes().scale(*dim, by).unwrap()).collect();
            let y = b.output("y", dtype, &out);
            b.fill(y, |b, at| {
                let from: Vec<Dim> =
                    at.iter().zip(factors).map(|(at, by)| b.shapes().floor_div(*at, by).unwrap()).collect();
                b.load(x, from)
            })?;
        }
    }
    Ok(Some((b.into_program(), sizes.values)))
}

#[test]
fn tiles_and_strips() {
    run(100, 7, &["tiles", "strips", "rows"], &[], movement);
}

/// Elementwise over operands that are broadcast.
fn elementwise(random: &mut Random) -> Result<Option<(TensorProgram, Vec<i64>)>, Diagnostic> {
    let mut b = ProgramBuilder::new("elementwise");
    let mut sizes = Sizes::new();
    let dims: Vec<Dim> = (0..1 + random.below(3))
        .map(|_| {
            let value = pick(random, &[0, 1, 3, 16, 37]);
            sizes.of(&mut b, random, value)
        })
        .collect();
    let one = b.shapes().int(1);
    let some = |random: &mut Random| -> Vec<Dim> {
        dims.iter().map(|it| if random.below(3) == 0 { one } else { *it }).collect()
    };
    let (left, right) = (some(random), some(random));
    let (x, z) = (b.input("x", F, &left), b.input("z", F, &right));
    let y = b.output("y", F, &dims);
    b.fill(y, |b, at| {
        let (x, z) = (b.load_broadcast(x, at)?, b.load_broadcast(z, at)?);
        let (sum, below) = (b.binary(BinaryOp::Add, x, z)?, b.compare(CompareOp::Lt, x, z)?);
        let power = b.unary(UnaryOp::Exp, sum)?;
        b.select(below, power, x)
    })?;
    Ok(Some((b.into_program(), sizes.values)))
}

#[test]
fn elementwise_rows() {
    run(40, 8, &["rows"], &[], elementwise);
}
