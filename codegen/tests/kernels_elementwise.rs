//! Elementwise graphs against scalar code.

mod common;

use common::{Arg, Random, as_floats, run_everywhere};
use orogen_codegen::kernels::elementwise::{Access, Elementwise, Function};
use orogen_codegen::vector::{BinaryOp, Compare};

/// Runs `rows` rows of `n` elements: `x` contiguous, `s` one scalar a row, one output with a padded row.
fn run(e: &Elementwise, x: &[f32], s: &[f32], n: usize) -> Vec<f32> {
    let (rows, stride) = (s.len(), n + 3);
    let args = [
        Arg::floats(x),
        Arg::floats(s),
        Arg::floats(&vec![77.0; rows * stride]),
        Arg::Int(n as i64),
        Arg::Int(rows as i64),
        Arg::Int(4 * n as i64),
        Arg::Int(4),
        Arg::Int(4 * stride as i64),
    ];
    let out = as_floats(&run_everywhere(&e.program(), &args)[2]);
    let mut found = Vec::new();
    for row in out.chunks(stride) {
        assert_eq!(row[n..], [77.0; 3], "the padding must not be touched");
        found.extend_from_slice(&row[..n]);
    }
    found
}

#[test]
fn rows_scalars_and_tails() {
    let mut e = Elementwise::new();
    let x = e.input(Access::Contiguous);
    let s = e.input(Access::Scalar);
    let t = e.function(Function::Tanh, x);
    let y = e.binary(BinaryOp::Mul, t, s);
    let half = e.constant(0.5);
    let y = e.fma(y, half, s);
    e.output(y);
    let mut random = Random(3);
    for n in [0, 1, 3, 4, 5, 8, 15, 16, 17, 31, 33, 100] {
        let (x, s) = (random.floats(n * 3), random.floats(3));
        let found = run(&e, &x, &s, n);
        for (i, y) in found.iter().enumerate() {
            let exact = (x[i].tanh() * s[i / n]).mul_add(0.5, s[i / n]);
            assert!((y - exact).abs() < 1e-6, "{n}: {y} {exact}");
        }
    }
}

#[test]
fn selection_extrema_and_sign() {
    let mut e = Elementwise::new();
    let x = e.input(Access::Contiguous);
    let s = e.input(Access::Scalar);
    let hi = e.max(x, s);
    let lo = e.min(x, s);
    let range = e.binary(BinaryOp::Sub, hi, lo);
    let sign = e.function(Function::Sign, x);
    let (one, zero) = (e.constant(1.0), e.constant(0.0));
    let small = e.compare(Compare::Lt, range, one);
    let positive = e.compare(Compare::Gt, x, zero);
    let both = e.binary(BinaryOp::And, small, positive);
    let y = e.blend(both, range, sign);
    let y = e.select(Compare::Eq, x, zero, s, y);
    e.output(y);
    let x = [0.0, -0.0, 0.25, -0.25, 3.0, f32::NAN, f32::INFINITY, -7.0, 1.5];
    let found = run(&e, &x, &[0.5], x.len());
    let expected = [0.5, 0.5, 0.25, -1.0, 1.0, f32::NAN, 1.0, -1.0, 1.0];
    for (f, e) in found.iter().zip(expected) {
        assert!(*f == e || f.is_nan() && e.is_nan(), "{found:?}");
    }
}

#[test]
fn a_graph_with_more_values_than_registers() {
    // Every value is used again at the end, in reverse.
    let mut e = Elementwise::new();
    let x = e.input(Access::Contiguous);
    let s = e.input(Access::Scalar);
    let mut values = vec![x];
    for i in 0..60 {
        let c = e.constant(i as f32);
        let v = e.binary(BinaryOp::Add, values[i], c);
        values.push(e.binary(BinaryOp::Mul, v, s));
    }
    let mut sum = s;
    for &v in values.iter().rev() {
        sum = e.binary(BinaryOp::Sub, v, sum);
    }
    e.output(sum);
    let x: Vec<f32> = (0..37).map(|i| i as f32).collect();
    let found = run(&e, &x, &[0.5], x.len());
    for (x, y) in x.iter().zip(&found) {
        let mut values = vec![*x];
        for i in 0..60 {
            values.push((values[i] + i as f32) * 0.5);
        }
        let exact = values.iter().rev().fold(0.5, |sum, v| v - sum);
        assert_eq!(*y, exact);
    }
}
