//! Routines chosen for stages: results against the reference, and that they are chosen at all.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod harness;

use harness::check_constants;
use harness::conv::{Convolution, Window};
use orogen_ir::diag::Diagnostic;
use orogen_ir::loops::{
    BinaryOp, BufferId, Combine, CompareOp, ExprId, ProgramBuilder, TensorProgram, UnaryOp,
};
use orogen_ir::shape::Dim;
use orogen_ir::types::DType;

const F: DType = DType::F32;

fn contains(strategy: &[String], part: &str) {
    assert!(strategy.iter().any(|it| it.contains(part)), "no `{part}` in {strategy:?}");
    assert!(!strategy.iter().any(|it| it.contains("scalar loops")), "{strategy:?}");
}

/// What follows a contraction.
#[derive(Clone, Copy, Debug, PartialEq)]
enum After {
    Nothing,
    BiasRelu,
    ResidualGelu,
    LeakyScale,
}

/// Appends stages that read `sum` and store to `out`, both of `dims`; a row vector runs along `axis`.
fn after(
    b: &mut ProgramBuilder,
    kind: After,
    sum: BufferId,
    out: BufferId,
    dims: &[Dim],
    axis: usize,
) -> Result<(), Diagnostic> {
    let bias = match kind {
        After::Nothing => return Ok(()),
        After::ResidualGelu => b.input("residual", F, dims),
        _ => b.input("bias", F, &[dims[axis]]),
    };
    let middle = b.local("middle", F, dims);
    b.fill(middle, |b, at| {
        // Stages that were composed read dimensions of one element at 0.
        let zero = b.shapes().int(0);
        let single = |b: &mut ProgramBuilder, dim: &Dim| b.shapes().as_int(*dim) == Some(1);
        let own: Vec<Dim> =
            at.iter().zip(dims).map(|(at, dim)| if single(b, dim) { zero } else { *at }).collect();
        let value = b.load(sum, own.iter().copied())?;
        match kind {
            After::ResidualGelu => {
                let residual = b.load(bias, own.iter().copied())?;
                b.binary(BinaryOp::Add, residual, value)
            }
            After::LeakyScale => {
                let scale = b.load(bias, [at[axis]])?;
                b.binary(BinaryOp::Mul, value, scale)
            }
            _ => {
                let bias = b.load(bias, [at[axis]])?;
                b.binary(BinaryOp::Add, value, bias)
            }
        }
    })?;
    b.fill(out, |b, at| {
        let x = b.load(middle, at.iter().copied())?;
        let zero = b.float(0.0, F)?;
        match kind {
            After::BiasRelu => b.binary(BinaryOp::Max, x, zero),
            After::LeakyScale => {
                let (small, positive) = (b.float(0.1, F)?, b.compare(CompareOp::Gt, x, zero)?);
                let scaled = b.binary(BinaryOp::Mul, x, small)?;
                b.select(positive, x, scaled)
            }
            _ => {
                let (half, one, root) = (b.float(0.5, F)?, b.float(1.0, F)?, b.float(0.5f64.sqrt(), F)?);
                let inner = b.binary(BinaryOp::Mul, x, root)?;
                let erf = b.unary(UnaryOp::Erf, inner)?;
                let sum = b.binary(BinaryOp::Add, erf, one)?;
                let halved = b.binary(BinaryOp::Mul, x, half)?;
                b.binary(BinaryOp::Mul, halved, sum)
            }
        }
    })
}

/// [b?, m, k] × [k, n] or its transpose; sizes of 0 are symbols.
fn matmul(
    batch: Option<i64>,
    [m, k, n]: [i64; 3],
    transposed: bool,
    kind: After,
) -> Result<TensorProgram, Diagnostic> {
    let mut b = ProgramBuilder::new(format!("matmul_{m}_{k}_{n}_{transposed}_{kind:?}"));
    let mut size = |name: &str, value: i64| if value == 0 { b.size(name) } else { b.shapes().int(value) };
    let [m, k, n] = [size("m", m), size("k", k), size("n", n)];
    let lead: Vec<Dim> = batch.map(|it| b.shapes().int(it)).into_iter().collect();
    let join = |tail: [Dim; 2]| lead.iter().copied().chain(tail).collect::<Vec<Dim>>();
    let x = b.input("x", F, &join([m, k]));
    let w = b.input("w", F, &if transposed { [n, k] } else { [k, n] });
    let dims = join([m, n]);
    let out = b.output("y", F, &dims);
    let sum = if kind == After::Nothing { out } else { b.local("sum", F, &dims) };
    let axes = b.axes("i", &dims);
    let at = b.vars(&axes);
    let reduce = b.axis("k", k);
    let (vk, last) = (b.var(reduce), at[at.len() - 1]);
    let a = b.load(x, at[..at.len() - 1].iter().copied().chain([vk]))?;
    let c = b.load(w, if transposed { [last, vk] } else { [vk, last] })?;
    let product = b.binary(BinaryOp::Mul, a, c)?;
    b.reduce_stage(&axes, &[reduce], Combine::Sum, sum, at.iter().copied(), product)?;
    let axis = dims.len() - 1;
    after(&mut b, kind, sum, out, &dims, axis)?;
    Ok(b.into_program())
}

#[test]
fn matrix_products_with_epilogues() {
    let kinds = [After::Nothing, After::BiasRelu, After::ResidualGelu, After::LeakyScale];
    for (i, kind) in kinds.into_iter().enumerate() {
        for transposed in [false, true] {
            for constants in [&["w"][..], &[]] {
                let sizes = [[7, 19, 33], [1, 64, 40], [70, 5, 17], [13, 600, 16]][i];
                let program = matmul(None, sizes, transposed, kind).unwrap();
                let strategy = check_constants(&program, &[], constants, 1);
                let by_rows = sizes[0] == 1 && transposed && constants.is_empty();
                contains(&strategy, if by_rows { "rows" } else { "gemm" });
                assert_eq!(strategy.len(), 1, "{strategy:?}");
                if !constants.is_empty() {
                    contains(&strategy, "B Packed");
                }
                let program = matmul(Some(3), sizes, transposed, kind).unwrap();
                contains(&check_constants(&program, &[], constants, 2), "gemm");
            }
            // Symbolic rows and everything.
            let program = matmul(None, [0, 24, 40], transposed, kind).unwrap();
            for m in [1, 5, 100] {
                contains(&check_constants(&program, &[m], &["w"], 3), "gemm");
            }
            let program = matmul(None, [0, 0, 0], transposed, kind).unwrap();
            for sizes in [[9, 8, 20], [1, 1, 1], [3, 0, 5], [0, 3, 5], [80, 520, 20]] {
                contains(&check_constants(&program, &sizes, &[], 4), "gemm");
            }
        }
    }
}

/// Extents that are not provably 0 or more are those of windows over an input of any length.
#[test]
fn matrix_products_of_windows() {
    let mut b = ProgramBuilder::new("windows");
    let n = b.size("n");
    let windows = b.shapes().floor_div(n, 8).and_then(|it| b.shapes().add_int(it, -2)).unwrap();
    let [k, columns] = [24, 40].map(|it| b.shapes().int(it));
    let x = b.input("x", F, &[n]);
    let w = b.input("w", F, &[k, columns]);
    let out = b.output("y", F, &[windows, columns]);
    let axes = b.axes("i", &[windows, columns]);
    let at = b.vars(&axes);
    let reduce = b.axis("k", k);
    let vk = b.var(reduce);
    let start = b.shapes().scale(at[0], 8).and_then(|it| b.shapes().add(it, vk)).unwrap();
    let value = b.load(x, [start]).unwrap();
    let weight = b.load(w, [vk, at[1]]).unwrap();
    let product = b.binary(BinaryOp::Mul, value, weight).unwrap();
    b.reduce_stage(&axes, &[reduce], Combine::Sum, out, at.iter().copied(), product).unwrap();
    let program = b.into_program();
    for n in [16, 31, 40, 100] {
        contains(&check_constants(&program, &[n], &["w"], 5), "gemm");
    }
}

/// Attention scores and values: [b, h, m, k] × [b, h, n, k]ᵀ, with heads inside rows as projections leave them.
#[test]
fn batched_products_with_strides() {
    let mut b = ProgramBuilder::new("scores");
    let [batch, heads, m, n, k] = [2, 3, 5, 7, 8].map(|it| b.shapes().int(it));
    let q = b.input("q", F, &[batch, m, heads, k]);
    let keys = b.input("keys", F, &[batch, n, heads, k]);
    let out = b.output("y", F, &[batch, heads, m, n]);
    let axes = b.axes("i", &[batch, heads, m, n]);
    let at = b.vars(&axes);
    let reduce = b.axis("k", k);
    let vk = b.var(reduce);
    let x = b.load(q, [at[0], at[2], at[1], vk]).unwrap();
    let y = b.load(keys, [at[0], at[3], at[1], vk]).unwrap();
    let product = b.binary(BinaryOp::Mul, x, y).unwrap();
    b.reduce_stage(&axes, &[reduce], Combine::Sum, out, at.iter().copied(), product).unwrap();
    contains(&check_constants(&b.into_program(), &[], &[], 5), "gemm");
}

#[derive(Clone, Copy)]
struct ConvCase {
    n: i64,
    c: i64,
    m: i64,
    groups: i64,
    size: [i64; 2],
    kernel: [i64; 2],
    stride: i64,
    dilation: i64,
    pad: i64,
}

/// A convolution with something behind it.
fn conv(case: ConvCase, kind: After) -> Result<TensorProgram, Diagnostic> {
    let ConvCase { n, c, m, groups, size, kernel, stride, dilation, pad } = case;
    let mut b = ProgramBuilder::new("conv");
    let batch = if n == 0 { b.size("n") } else { b.shapes().int(n) };
    let window =
        |i: usize| Window { size: size[i], kernel: kernel[i], stride, dilation, begin: pad, end: pad };
    let sizes = size.map(|it| b.shapes().int(it)).to_vec();
    let mut made = None;
    Convolution { batch, groups, c, m, windows: vec![window(0), window(1)], sizes }.build(
        &mut b,
        |b, dims| {
            let out = b.output("y", F, dims);
            let sum = if kind == After::Nothing { out } else { b.local("sum", F, dims) };
            made = Some((sum, out, dims.to_vec()));
            sum
        },
    )?;
    let (sum, out, dims) = made.expect("declared by then");
    after(&mut b, kind, sum, out, &dims, 1)?;
    Ok(b.into_program())
}

#[test]
fn convolutions_with_epilogues() {
    let plain = ConvCase {
        n: 1,
        c: 3,
        m: 8,
        groups: 1,
        size: [9, 11],
        kernel: [3, 3],
        stride: 1,
        dilation: 1,
        pad: 1,
    };
    let cases = [
        plain,
        ConvCase { stride: 2, m: 13, ..plain },
        ConvCase { kernel: [1, 1], pad: 0, c: 20, n: 2, ..plain },
        ConvCase { kernel: [1, 1], pad: 0, stride: 2, c: 5, ..plain },
        ConvCase { kernel: [7, 7], pad: 3, stride: 2, size: [20, 21], ..plain },
        ConvCase { dilation: 2, pad: 2, ..plain },
        ConvCase { kernel: [1, 5], pad: 0, ..plain },
        ConvCase { c: 1, ..plain },
        ConvCase { groups: 3, c: 2, m: 5, n: 2, ..plain },
        ConvCase { groups: 6, c: 1, m: 1, ..plain },
        ConvCase { groups: 6, c: 1, m: 1, stride: 2, n: 2, ..plain },
        ConvCase { groups: 4, c: 1, m: 2, ..plain },
    ];
    for (i, case) in cases.into_iter().enumerate() {
        let kinds = [After::Nothing, After::BiasRelu, After::ResidualGelu, After::LeakyScale];
        for kind in [kinds[i % 4], kinds[(i + 1) % 4]] {
            let program = conv(case, kind).unwrap();
            let strategy = check_constants(&program, &[], &["w"], 6);
            let depthwise = case.groups > 1 && case.c == 1 && case.m == 1;
            contains(&strategy, if depthwise { "depthwise" } else { "convolution" });
            assert_eq!(strategy.len(), 1, "{strategy:?}");
        }
    }
    let program = conv(ConvCase { n: 0, ..plain }, After::BiasRelu).unwrap();
    contains(&check_constants(&program, &[3], &["w"], 7), "convolution");
}

type Value = fn(&mut ProgramBuilder, &[BufferId], &[Dim]) -> Result<ExprId, Diagnostic>;

/// `y[at] = value` with inputs of the given dimensions.
fn elementwise(inputs: &[&[i64]], out: &[i64], value: Value) -> TensorProgram {
    let mut b = ProgramBuilder::new("elementwise");
    let dims =
        |b: &mut ProgramBuilder, list: &[i64]| list.iter().map(|it| b.shapes().int(*it)).collect::<Vec<_>>();
    let buffers: Vec<BufferId> = inputs
        .iter()
        .enumerate()
        .map(|(i, list)| {
            let dims = dims(&mut b, list);
            b.input(&format!("x{i}"), F, &dims)
        })
        .collect();
    let dims = dims(&mut b, out);
    let y = b.output("y", F, &dims);
    b.fill(y, |b, at| value(b, &buffers, at)).unwrap();
    b.into_program()
}

#[test]
fn elementwise_with_broadcasts() {
    let add: Value = |b, x, at| {
        let (x, z) = (b.load_broadcast(x[0], at)?, b.load_broadcast(x[1], at)?);
        b.binary(BinaryOp::Add, x, z)
    };
    let shapes: [(&[i64], &[i64], &[i64]); 7] = [
        (&[3, 4, 5], &[3, 4, 5], &[3, 4, 5]),
        (&[3, 4, 50], &[50], &[3, 4, 50]),
        (&[2, 3, 4, 5], &[3, 1, 1], &[2, 3, 4, 5]),
        (&[2, 3, 4, 5], &[2, 1, 4, 1], &[2, 3, 4, 5]),
        (&[7, 1], &[1, 9], &[7, 9]),
        (&[10000], &[1], &[10000]),
        (&[0, 4], &[4], &[0, 4]),
    ];
    for (x, z, y) in shapes {
        contains(&check_constants(&elementwise(&[x, z], y, add), &[], &[], 8), "rows");
    }
    let mixed: Value = |b, x, at| {
        let (x, z) = (b.load_broadcast(x[0], at)?, b.load_broadcast(x[1], at)?);
        let (tanh, zero) = (b.unary(UnaryOp::Tanh, x)?, b.float(0.0, F)?);
        let below = b.compare(CompareOp::Lt, z, zero)?;
        let above = b.compare(CompareOp::Le, tanh, z)?;
        let either = b.binary(BinaryOp::Or, below, above)?;
        let neither = b.unary(UnaryOp::Not, either)?;
        let two = b.float(2.0, F)?;
        let square = b.binary(BinaryOp::Pow, z, two)?;
        b.select(neither, tanh, square)
    };
    contains(&check_constants(&elementwise(&[&[5, 37], &[37]], &[5, 37], mixed), &[], &[], 9), "rows");
}

/// Mean and variance over the last axis, scale and shift.
fn layer_norm(n: i64, c: i64) -> Result<TensorProgram, Diagnostic> {
    let mut b = ProgramBuilder::new("layer_norm");
    let (n, extent) = (b.shapes().int(n), b.shapes().int(c));
    let x = b.input("x", F, &[n, extent]);
    let (scale, bias) = (b.input("scale", F, &[extent]), b.input("bias", F, &[extent]));
    let y = b.output("y", F, &[n, extent]);
    let [sum, mean, squares, factor] = ["sum", "mean", "squares", "factor"].map(|it| b.local(it, F, &[n]));
    let inverse = b.float(1.0 / c as f64, F)?;
    let (i, j) = (b.axis("i", n), b.axis("j", extent));
    let (vi, vj) = (b.var(i), b.var(j));
    let value = b.load(x, [vi, vj])?;
    b.reduce_stage(&[i], &[j], Combine::Sum, sum, [vi], value)?;
    b.fill(mean, |b, at| {
        let sum = b.load(sum, [at[0]])?;
        b.binary(BinaryOp::Mul, sum, inverse)
    })?;
    let (i, j) = (b.axis("i", n), b.axis("j", extent));
    let (vi, vj) = (b.var(i), b.var(j));
    let (value, middle) = (b.load(x, [vi, vj])?, b.load(mean, [vi])?);
    let deviation = b.binary(BinaryOp::Sub, value, middle)?;
    let square = b.binary(BinaryOp::Mul, deviation, deviation)?;
    b.reduce_stage(&[i], &[j], Combine::Sum, squares, [vi], square)?;
    b.fill(factor, |b, at| {
        let (squares, epsilon) = (b.load(squares, [at[0]])?, b.float(1e-5, F)?);
        let variance = b.binary(BinaryOp::Mul, squares, inverse)?;
        let raised = b.binary(BinaryOp::Add, variance, epsilon)?;
        let root = b.unary(UnaryOp::Sqrt, raised)?;
        b.unary(UnaryOp::Reciprocal, root)
    })?;
    b.fill(y, |b, at| {
        let (value, mean) = (b.load(x, [at[0], at[1]])?, b.load(mean, [at[0]])?);
        let deviation = b.binary(BinaryOp::Sub, value, mean)?;
        let factor = b.load(factor, [at[0]])?;
        let normal = b.binary(BinaryOp::Mul, deviation, factor)?;
        let (scale, bias) = (b.load(scale, [at[1]])?, b.load(bias, [at[1]])?);
        let scaled = b.binary(BinaryOp::Mul, normal, scale)?;
        b.binary(BinaryOp::Add, scaled, bias)
    })?;
    Ok(b.into_program())
}

#[test]
fn rows_of_several_stages() {
    for (n, c) in [(1, 1), (3, 7), (5, 64), (40, 100), (1, 1000)] {
        let strategy = check_constants(&layer_norm(n, c).unwrap(), &[], &[], 10);
        if c > 1 {
            contains(&strategy, "rows");
        }
    }
}

#[test]
fn reductions_over_the_innermost_axes() {
    for combine in [Combine::Sum, Combine::Max, Combine::Min] {
        for dims in [[2, 3, 5, 6], [1, 4, 1, 1], [2, 1, 7, 7], [2, 2, 0, 3]] {
            let mut b = ProgramBuilder::new(format!("{combine:?}"));
            let list = dims.map(|it| b.shapes().int(it));
            let x = b.input("x", F, &list);
            let y = b.output("y", F, &list[..2]);
            let axes = b.axes("i", &list);
            let at = b.vars(&axes);
            let value = b.load(x, at.iter().copied()).unwrap();
            b.reduce_stage(&axes[..2], &axes[2..], combine, y, at[..2].iter().copied(), value).unwrap();
            check_constants(&b.into_program(), &[], &[], 11);
        }
    }
}

#[test]
fn reductions_over_outer_axes() {
    for combine in [Combine::Sum, Combine::Max, Combine::Min, Combine::Product] {
        for dims in [[2, 3, 5, 6], [1, 4, 1, 9], [2, 3, 0, 7]] {
            let mut b = ProgramBuilder::new(format!("{combine:?}"));
            let list = dims.map(|it| b.shapes().int(it));
            let x = b.input("x", F, &list);
            let y = b.output("y", F, &[list[0], list[3]]);
            let axes = b.axes("i", &list);
            let at = b.vars(&axes);
            let value = b.load(x, at.iter().copied()).unwrap();
            b.reduce_stage(&[axes[0], axes[3]], &axes[1..3], combine, y, [at[0], at[3]], value).unwrap();
            contains(&check_constants(&b.into_program(), &[], &[], 12), "columns");
        }
    }
}

#[test]
fn quantisation_and_sizes_as_numbers() {
    let value: Value = |b, x, at| {
        let x = b.load_broadcast(x[0], at)?;
        let (scale, zero, low, high) =
            (b.float(0.02, F)?, b.float(128.0, F)?, b.float(0.0, F)?, b.float(255.0, F)?);
        let scaled = b.binary(BinaryOp::Div, x, scale)?;
        let rounded = b.unary(UnaryOp::Round, scaled)?;
        let moved = b.binary(BinaryOp::Add, rounded, zero)?;
        let capped = b.binary(BinaryOp::Max, moved, low)?;
        let capped = b.binary(BinaryOp::Min, capped, high)?;
        let byte = b.cast(DType::U8, capped);
        let wide = b.cast(DType::I32, byte);
        let back = b.cast(F, wide);
        let centred = b.binary(BinaryOp::Sub, back, zero)?;
        b.binary(BinaryOp::Mul, centred, scale)
    };
    contains(&check_constants(&elementwise(&[&[5, 37]], &[5, 37], value), &[], &[], 13), "rows");

    // The mean over a symbolic axis.
    let mut b = ProgramBuilder::new("mean");
    let (n, c) = (b.size("n"), b.size("c"));
    let x = b.input("x", F, &[n, c]);
    let (sum, y) = (b.local("sum", F, &[n]), b.output("y", F, &[n]));
    let (i, j) = (b.axis("i", n), b.axis("j", c));
    let (vi, vj) = (b.var(i), b.var(j));
    let value = b.load(x, [vi, vj]).unwrap();
    b.reduce_stage(&[i], &[j], Combine::Sum, sum, [vi], value).unwrap();
    b.fill(y, |b, at| {
        let (total, count) = (b.load(sum, [at[0]])?, b.dim(c, DType::I64)?);
        let count = b.cast(F, count);
        b.binary(BinaryOp::Div, total, count)
    })
    .unwrap();
    let program = b.into_program();
    for sizes in [[3, 7], [1, 100]] {
        contains(&check_constants(&program, &sizes, &[], 14), "rows");
    }
}

#[test]
fn vectors_times_rows() {
    for transposed in [false, true] {
        for kind in [After::Nothing, After::BiasRelu] {
            let program = matmul(None, [1, 300, 50], transposed, kind).unwrap();
            let strategy = check_constants(&program, &[], &[], 15);
            contains(&strategy, if transposed { "rows" } else { "gemm" });
        }
    }
}

/// A pooling as the legalisation writes it, with a factor after a sum.
fn pool(
    combine: Combine,
    [n, c, h, w]: [i64; 4],
    kernel: i64,
    stride: i64,
    pad: i64,
) -> Result<TensorProgram, Diagnostic> {
    let mut b = ProgramBuilder::new(format!("pool_{combine:?}"));
    let out = |size: i64| (size + 2 * pad - kernel) / stride + 1;
    let x_dims = [n, c, h, w].map(|it| b.shapes().int(it));
    let dims = [n, c, out(h), out(w)].map(|it| b.shapes().int(it));
    let (x, y) = (b.input("x", F, &x_dims), b.output("y", F, &dims));
    let sum = if combine == Combine::Sum { b.local("sum", F, &dims) } else { y };
    let axes = b.axes("o", &dims);
    let at = b.vars(&axes);
    let (mut taps, mut x_at) = (Vec::new(), at[..2].to_vec());
    for i in 0..2 {
        let extent = b.shapes().int(kernel);
        let tap = b.axis("k", extent);
        let k = b.var(tap);
        taps.push(tap);
        let start = b.shapes().scale(at[2 + i], stride).unwrap();
        let start = b.shapes().add_int(start, -pad).unwrap();
        x_at.push(b.shapes().add(start, k).unwrap());
    }
    let nothing = b.float(if combine == Combine::Sum { 0.0 } else { f64::NEG_INFINITY }, F)?;
    let value = if pad > 0 { b.load_or(x, x_at, nothing)? } else { b.load(x, x_at)? };
    b.reduce_stage(&axes, &taps, combine, sum, at.iter().copied(), value)?;
    if combine == Combine::Sum {
        b.fill(y, |b, at| {
            let (total, factor) =
                (b.load(sum, at.iter().copied())?, b.float(1.0 / (kernel * kernel) as f64, F)?);
            b.binary(BinaryOp::Mul, total, factor)
        })?;
    }
    Ok(b.into_program())
}

#[test]
fn pooling() {
    for combine in [Combine::Max, Combine::Sum] {
        for (kernel, stride, pad) in [(3, 2, 1), (2, 2, 0), (3, 1, 1), (5, 3, 2)] {
            for size in [[2, 3, 11, 13], [1, 1, 5, 40]] {
                let program = pool(combine, size, kernel, stride, pad).unwrap();
                contains(&check_constants(&program, &[], &[], 16), "pool");
            }
        }
    }
}

/// Work that is divided among threads: by rows and by columns of a product, by planes, rows and flat ranges, by the
/// loops around a product.
#[test]
fn parallel_ranges() {
    let wide = matmul(None, [150, 64, 40], false, After::ResidualGelu).unwrap();
    contains(&check_constants(&wide, &[], &["w"], 17), "gemm");
    contains(&check_constants(&wide, &[], &[], 18), "gemm");
    let few = matmul(None, [3, 64, 600], true, After::BiasRelu).unwrap();
    contains(&check_constants(&few, &[], &["w"], 19), "gemm");
    let batched = matmul(Some(5), [40, 30, 50], false, After::LeakyScale).unwrap();
    contains(&check_constants(&batched, &[], &[], 20), "gemm");
    let case = ConvCase {
        n: 2,
        c: 4,
        m: 20,
        groups: 1,
        size: [25, 30],
        kernel: [3, 3],
        stride: 1,
        dilation: 1,
        pad: 1,
    };
    contains(&check_constants(&conv(case, After::ResidualGelu).unwrap(), &[], &["w"], 21), "convolution");
    let case = ConvCase { groups: 50, c: 1, m: 1, ..case };
    contains(&check_constants(&conv(case, After::BiasRelu).unwrap(), &[], &["w"], 22), "depthwise");
    contains(&check_constants(&layer_norm(300, 400).unwrap(), &[], &[], 23), "rows");
    let add: Value = |b, x, at| {
        let (x, z) = (b.load_broadcast(x[0], at)?, b.load_broadcast(x[1], at)?);
        b.binary(BinaryOp::Add, x, z)
    };
    let flat = elementwise(&[&[70000], &[70000]], &[70000], add);
    contains(&check_constants(&flat, &[], &[], 24), "rows");
    let loops = elementwise(&[&[20, 70, 60], &[20, 1, 60]], &[20, 70, 60], add);
    contains(&check_constants(&loops, &[], &[], 25), "rows");
    contains(&check_constants(&pool(Combine::Max, [2, 40, 40, 40], 3, 2, 1).unwrap(), &[], &[], 26), "pool");
}
