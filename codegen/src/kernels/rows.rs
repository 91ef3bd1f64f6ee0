//! Kernels over rows: softmax, normalisation, reductions.
//!
//! All take `rows` rows with a stride in bytes for each operand, of `n` contiguous `f32` elements.

use crate::kernels::epilogue::Map;
use crate::vector::{
    Addr, BinaryOp, Builder, Compare, IReg, IntOp, MReg, Program, ReduceOp, Size, UnaryOp, VReg, math,
};

/// Accumulators of a reduction: enough to hide the latency of an addition.
const UNROLL: usize = 4;

/// `value` in active lanes, `other` in the rest.
fn keep_active(b: &mut Builder, mask: Option<MReg>, value: VReg, other: VReg) -> VReg {
    match mask {
        None => value,
        Some(mask) => {
            let lanes = b.mask_lanes(mask);
            b.blend(lanes, value, other)
        }
    }
}

/// Reduces `map(x)` over `n` elements from `x` on; the result is in every lane.
///
/// The order of a sum is fixed by the width: four partial vectors, then the halves of the vector.
fn reduce_elements(
    b: &mut Builder,
    op: ReduceOp,
    x: IReg,
    n: IReg,
    mut map: impl FnMut(&mut Builder, VReg, Option<MReg>, Size) -> VReg,
) -> VReg {
    let neutral = match op {
        ReduceOp::Sum => 0.0,
        ReduceOp::Max => f32::NEG_INFINITY,
        ReduceOp::Min => f32::INFINITY,
    };
    let acc: [VReg; UNROLL] = std::array::from_fn(|_| b.splat(neutral));
    let other = b.constant(neutral);
    let combine = |b: &mut Builder, a: VReg, v: VReg| match op {
        ReduceOp::Sum => b.add(a, v),
        ReduceOp::Max => b.max(a, v),
        ReduceOp::Min => b.min(a, v),
    };
    let cursor = b.int_move(x);
    b.for_lanes_unrolled(UNROLL, n, &[(cursor, Size::vectors(1))], |b, u, offset, mask| {
        let v = b.load(Addr::new(cursor).offset(offset), mask);
        let v = map(b, v, mask, offset);
        let v = keep_active(b, mask, v, other);
        let next = combine(b, acc[u], v);
        b.assign(acc[u], next);
    });
    let low = combine(b, acc[0], acc[1]);
    let high = combine(b, acc[2], acc[3]);
    let all = combine(b, low, high);
    let result = b.reduce(op, all);
    if op == ReduceOp::Sum {
        return result;
    }
    // The horizontal step may lose a NaN: put it back if any lane has one.
    let nan = b.compare(Compare::Unordered, all, all);
    let nan = b.unary(UnaryOp::FromInt, nan);
    let any = b.reduce(ReduceOp::Min, nan);
    let (zero, not_a_number) = (b.constant(0.0), b.constant(f32::NAN));
    b.select(Compare::Lt, any, zero, not_a_number, result)
}

/// The number of elements as a float in every lane.
fn count(b: &mut Builder, n: IReg) -> VReg {
    let n = b.splat_int(n);
    b.unary(UnaryOp::FromInt, n)
}

/// Softmax of each row, or its logarithm. Parameters: `x`, `y`, `n`, `rows`, `x_stride`, `y_stride`. `y` may be `x`.
pub fn softmax(logarithm: bool) -> Program {
    let mut b = Builder::new(if logarithm { "log_softmax" } else { "softmax" });
    let [x, y, n, rows, x_stride, y_stride] = b.params();
    b.repeat(rows, |b| {
        let max = reduce_elements(b, ReduceOp::Max, x, n, |_, v, _, _| v);
        let to = b.int_move(y);
        let distance = b.int_op(IntOp::Sub, y, x);
        let from = b.int_move(x);
        if logarithm {
            let sum = reduce_elements(b, ReduceOp::Sum, x, n, |b, v, _, _| {
                let v = b.sub(v, max);
                math::exp(b, v)
            });
            let log = math::log(b, sum);
            let step = Size::vectors(1);
            b.for_lanes(n, &[(from, step), (to, step)], |b, mask| {
                let v = b.load(from, mask);
                let v = b.sub(v, max);
                let v = b.sub(v, log);
                b.store(v, to, mask);
            });
        } else {
            // The cursor of the reduction walks over x; y is at a fixed distance from it.
            let sum = {
                let acc = [b.splat(0.0), b.splat(0.0)];
                let zero = b.constant(0.0);
                b.for_lanes_unrolled(2, n, &[(from, Size::vectors(1))], |b, u, offset, mask| {
                    let v = b.load(Addr::new(from).offset(offset), mask);
                    let v = b.sub(v, max);
                    let v = math::exp(b, v);
                    b.store(v, Addr::new(from).indexed(distance, 1).offset(offset), mask);
                    let v = keep_active(b, mask, v, zero);
                    b.binary_into(BinaryOp::Add, acc[u], acc[u], v);
                });
                let all = b.add(acc[0], acc[1]);
                b.reduce(ReduceOp::Sum, all)
            };
            let one = b.constant(1.0);
            let scale = b.div(one, sum);
            b.for_lanes(n, &[(to, Size::vectors(1))], |b, mask| {
                let v = b.load(to, mask);
                let v = b.mul(v, scale);
                b.store(v, to, mask);
            });
        }
        b.bump(x, x_stride);
        b.bump(y, y_stride);
    });
    b.finish()
}

/// A normalisation of each row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalization {
    /// Subtract the mean (layer normalisation), or not (root mean square normalisation).
    pub center: bool,
    /// Multiply by a vector.
    pub scale: bool,
    /// Add a vector.
    pub bias: bool,
    /// Added to the variance.
    pub epsilon: f32,
}

impl Normalization {
    /// The program. Parameters: `x`, `y`, `n`, `rows`, `x_stride`, `y_stride`, then `scale` and `bias` (each `n`
    /// elements) as far as they are there. `y` may be `x`.
    pub fn program(&self) -> Program {
        let mut b = Builder::new("normalization");
        let [x, y, n, rows, x_stride, y_stride] = b.params();
        let scale = self.scale.then(|| b.param());
        let bias = self.bias.then(|| b.param());
        let one = b.constant(1.0);
        let elements = count(&mut b, n);
        let inverse = b.div(one, elements);
        b.repeat(rows, |b| {
            let mean = self.center.then(|| {
                let sum = reduce_elements(b, ReduceOp::Sum, x, n, |_, v, _, _| v);
                b.mul(sum, inverse)
            });
            let centred = |b: &mut Builder, v: VReg| match mean {
                Some(mean) => b.sub(v, mean),
                None => v,
            };
            let squares = reduce_elements(b, ReduceOp::Sum, x, n, |b, v, _, _| {
                let v = centred(b, v);
                b.mul(v, v)
            });
            let variance = b.mul(squares, inverse);
            let epsilon = b.constant(self.epsilon);
            let variance = b.add(variance, epsilon);
            let deviation = b.unary(UnaryOp::Sqrt, variance);
            let factor = b.div(one, deviation);
            let (from, to) = (b.int_move(x), b.int_move(y));
            let vectors = [scale, bias].map(|p| p.map(|p| b.int_move(p)));
            let mut cursors = vec![(from, Size::vectors(1)), (to, Size::vectors(1))];
            cursors.extend(vectors.iter().flatten().map(|&p| (p, Size::vectors(1))));
            b.for_lanes(n, &cursors, |b, mask| {
                let v = b.load(from, mask);
                let v = centred(b, v);
                let mut v = b.mul(v, factor);
                if let Some(p) = vectors[0] {
                    let s = b.load(p, mask);
                    v = b.mul(v, s);
                }
                if let Some(p) = vectors[1] {
                    let s = b.load(p, mask);
                    v = b.add(v, s);
                }
                b.store(v, to, mask);
            });
            b.bump(x, x_stride);
            b.bump(y, y_stride);
        });
        b.finish()
    }
}

/// A reduction: `finish(op(map(x)))`, divided by the count before `finish` if it is a mean.
#[derive(Clone)]
pub struct Reduction {
    /// How elements are combined. Maximum and minimum are NaN if any element is.
    pub op: ReduceOp,
    /// Divide a sum by the number of elements.
    pub mean: bool,
    /// Applied to each element.
    pub map: Option<Map>,
    /// Applied to the result.
    pub finish: Option<Map>,
}

impl std::fmt::Debug for Reduction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reduction").field("op", &self.op).field("mean", &self.mean).finish_non_exhaustive()
    }
}

impl Reduction {
    /// A reduction without maps.
    pub fn new(op: ReduceOp) -> Reduction {
        Reduction { op, mean: false, map: None, finish: None }
    }

    fn result(&self, b: &mut Builder, mut value: VReg, n: IReg) -> VReg {
        if self.mean {
            let n = count(b, n);
            value = b.div(value, n);
        }
        match &self.finish {
            Some(finish) => finish(b, value),
            None => value,
        }
    }

    /// Reduces each row to one element. Parameters: `x`, `y`, `n`, `rows`, `x_stride`, `y_stride`.
    pub fn rows(&self) -> Program {
        let mut b = Builder::new("reduce_rows");
        let [x, y, n, rows, x_stride, y_stride] = b.params();
        b.repeat(rows, |b| {
            let value = reduce_elements(b, self.op, x, n, |b, v, _, _| match &self.map {
                Some(map) => map(b, v),
                None => v,
            });
            let value = self.result(b, value, n);
            b.store_lane(value, y);
            b.bump(x, x_stride);
            b.bump(y, y_stride);
        });
        b.finish()
    }

    /// Reduces a matrix along its columns: `y[j] = op over i of x[i][j]`. Parameters: `x`, `y`, `n` (columns), `rows` (at
    /// least 1), `x_stride`.
    pub fn columns(&self) -> Program {
        let mut b = Builder::new("reduce_columns");
        let [x, y, n, rows, x_stride] = b.params();
        b.for_lanes(n, &[(x, Size::vectors(1)), (y, Size::vectors(1))], |b, mask| {
            let neutral = match self.op {
                ReduceOp::Sum => 0.0,
                ReduceOp::Max => f32::NEG_INFINITY,
                ReduceOp::Min => f32::INFINITY,
            };
            let acc = b.splat(neutral);
            let cursor = b.int_move(x);
            b.repeat(rows, |b| {
                let v = b.load(cursor, mask);
                let v = match &self.map {
                    Some(map) => map(b, v),
                    None => v,
                };
                let next = match self.op {
                    ReduceOp::Sum => b.add(acc, v),
                    ReduceOp::Max => b.max(acc, v),
                    ReduceOp::Min => b.min(acc, v),
                };
                b.assign(acc, next);
                b.bump(cursor, x_stride);
            });
            let value = self.result(b, acc, rows);
            b.store(value, y, mask);
        });
        b.finish()
    }
}
