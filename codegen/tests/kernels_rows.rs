//! Row kernels against scalar code in double precision.

mod common;

use std::sync::Arc;

use common::{Arg, Random, as_floats, run_everywhere};
use orogen_codegen::kernels::rows::{Normalization, Reduction, softmax};
use orogen_codegen::vector::{Program, ReduceOp};

const SIZES: [usize; 12] = [1, 2, 3, 4, 7, 8, 16, 17, 31, 64, 100, 333];

fn data(rows: usize, n: usize) -> Vec<f32> {
    let mut random = Random(11);
    random.floats(rows * n).iter().map(|x| x * 9.0).collect()
}

/// Runs on rows of `n` elements; the output rows have `m` elements and a gap of two.
fn run(program: &Program, x: &[f32], n: usize, m: usize, more: &[Arg]) -> Vec<Vec<f32>> {
    let rows = x.len() / n;
    let mut args = vec![
        Arg::floats(x),
        Arg::floats(&vec![55.0; rows * (m + 2)]),
        Arg::Int(n as i64),
        Arg::Int(rows as i64),
        Arg::Int(4 * n as i64),
        Arg::Int(4 * (m as i64 + 2)),
    ];
    args.extend_from_slice(more);
    let y = as_floats(&run_everywhere(program, &args)[1]);
    y.chunks(m + 2)
        .map(|row| {
            assert_eq!(row[m..], [55.0; 2], "wrote into the gap");
            row[..m].to_vec()
        })
        .collect()
}

fn close(found: f32, exact: f64, tolerance: f64) -> bool {
    (f64::from(found) - exact).abs() <= tolerance * exact.abs() + 5e-7
}

#[test]
fn softmax_rows() {
    for n in SIZES {
        let x = data(3, n);
        for logarithm in [false, true] {
            for (row, y) in x.chunks(n).zip(run(&softmax(logarithm), &x, n, n, &[])) {
                let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let sum: f64 = row.iter().map(|x| f64::from(x - max).exp()).sum();
                for (x, y) in row.iter().zip(y) {
                    let shifted = f64::from(x - max);
                    let exact = if logarithm { shifted - sum.ln() } else { shifted.exp() / sum };
                    assert!(close(y, exact, 3e-6), "{n}: {y} {exact}");
                }
            }
        }
    }
}

#[test]
fn normalized_rows() {
    let mut random = Random(5);
    for n in SIZES {
        let x = data(2, n);
        let (scale, bias) = (random.floats(n), random.floats(n));
        for (center, with) in [(true, true), (true, false), (false, true), (false, false)] {
            let norm = Normalization { center, scale: with, bias: with, epsilon: 1e-3 };
            let more = if with { vec![Arg::floats(&scale), Arg::floats(&bias)] } else { Vec::new() };
            for (row, y) in x.chunks(n).zip(run(&norm.program(), &x, n, n, &more)) {
                let row: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
                let mean = if center { row.iter().sum::<f64>() / n as f64 } else { 0.0 };
                let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n as f64;
                for (i, y) in y.iter().enumerate() {
                    let mut exact = (row[i] - mean) / (variance + 1e-3).sqrt();
                    if with {
                        exact = exact * f64::from(scale[i]) + f64::from(bias[i]);
                    }
                    assert!((f64::from(*y) - exact).abs() < 2e-5, "{n} {center}: {y} {exact}");
                }
            }
        }
    }
}

#[test]
fn reductions() {
    for n in SIZES {
        let mut x = data(4, n);
        x[2 * n + n / 2] = f32::NAN;
        x[3 * n] = f32::INFINITY;
        for op in [ReduceOp::Sum, ReduceOp::Max, ReduceOp::Min] {
            let exact = |values: &mut dyn Iterator<Item = f32>| -> f32 {
                values
                    .reduce(|a, v| match op {
                        _ if a.is_nan() || v.is_nan() => f32::NAN,
                        ReduceOp::Sum => a + v,
                        ReduceOp::Max => a.max(v),
                        ReduceOp::Min => a.min(v),
                    })
                    .unwrap()
            };
            let same = |found: f32, exact: f32| {
                found == exact || found.is_nan() && exact.is_nan() || (found - exact).abs() < 1e-3
            };
            for (row, y) in x.chunks(n).zip(run(&Reduction::new(op).rows(), &x, n, 1, &[])) {
                let exact = exact(&mut row.iter().copied());
                assert!(same(y[0], exact), "{op:?} {n}: {} {exact}", y[0]);
            }
            let args = [
                Arg::floats(&x),
                Arg::floats(&vec![0.0; n]),
                Arg::Int(n as i64),
                Arg::Int(4),
                Arg::Int(4 * n as i64),
            ];
            let y = as_floats(&run_everywhere(&Reduction::new(op).columns(), &args)[1]);
            for (j, y) in y.iter().enumerate() {
                let exact = exact(&mut (0..4).map(|i| x[i * n + j]));
                assert!(same(*y, exact), "columns {op:?} {n}: {y} {exact}");
            }
        }
    }
}

#[test]
fn mean_of_squares() {
    let norm = Reduction {
        op: ReduceOp::Sum,
        mean: true,
        map: Some(Arc::new(|b, x| b.mul(x, x))),
        finish: Some(Arc::new(|b, x| b.unary(orogen_codegen::vector::UnaryOp::Sqrt, x))),
    };
    let found = run(&norm.rows(), &[3.0, 4.0, 3.0, 4.0, 0.0], 5, 1, &[]);
    assert!(close(found[0][0], 10f64.sqrt(), 1e-6), "{found:?}");
}
