//! Products of 64-bit integers where no instruction has them: sums of products of halves.

use super::{Arithmetic, Micro, Source};
use crate::vector::{Addr, BinaryOp, Builder, IReg, IntOp, Isa, ShiftOp, VReg};

/// Steps of `k` that are read again from the nearest cache, in products that take several passes.
const CROSSED: i64 = 64;

impl Micro {
    /// Whether products of 64 bits are sums of parts: there is no instruction for them, and panels are read again.
    pub(super) fn crosses(&self) -> bool {
        let packed = self.a == Source::Packed && self.b == Source::Packed;
        self.arithmetic == Arithmetic::Long && self.isa == Isa::Avx2 && packed
    }

    /// All steps of products of 64 bits, block by block, so that what is read again is near.
    pub(super) fn crossed(&self, b: &mut Builder, [pa, pb, k]: [IReg; 3], width: usize, acc: &[Vec<VReg>]) {
        let (a, column, left) = (b.int_move(pa), b.int_move(pb), b.int_move(k));
        let blocks = b.int_add(k, CROSSED - 1);
        let blocks = b.int_op(IntOp::ShiftRight, blocks, CROSSED.ilog2() as i64);
        b.repeat(blocks, |b| {
            let steps = b.int_op(IntOp::Min, left, CROSSED);
            self.crossed_block(b, [a, column, steps], width, acc);
            b.bump(a, self.lane() * i64::from(self.tile.rows) * CROSSED);
            b.bump(column, self.b_step.vectors(i64::from(self.tile.vectors) * CROSSED));
            b.bump(left, -CROSSED);
        });
    }

    /// A block of [`Micro::crossed`]. Products of the lower halves are added up as they are. Of the mixed ones only the
    /// lower 32 bits count: both are one product of halves with the halves of a column exchanged, and their sums stay side
    /// by side until the end. For that many registers, a few rows by one vector are done at a time.
    fn crossed_block(&self, b: &mut Builder, [pa, pb, k]: [IReg; 3], width: usize, acc: &[Vec<VReg>]) {
        let tile = self.tile;
        let few = acc.len().div_ceil(acc.len().div_ceil(4));
        for j in 0..width {
            for (chunk, rows) in acc.chunks(few).enumerate() {
                let (a, column) = (b.int_move(pa), b.int_move(pb));
                let sums: Vec<[VReg; 2]> = rows.iter().map(|_| [(); 2].map(|()| b.splat(0.0))).collect();
                b.repeat(k, |b| {
                    let at = self.b_step.vectors(j as i64);
                    let columns = self.b_step.load(b, Addr::new(column).offset(at), None);
                    let [low, high] =
                        [ShiftOp::RightLogical, ShiftOp::Left].map(|op| b.shift(op, columns, 32));
                    let turned = b.binary(BinaryOp::Or, low, high);
                    for (r, [low, mixed]) in sums.iter().enumerate() {
                        let at = Addr::new(a).offset(self.lane() * (chunk * few + r) as i64);
                        let row = self.a_step.load_splat(b, at);
                        let product = b.binary(BinaryOp::LowMul, row, columns);
                        b.binary_into(BinaryOp::IntAdd, *low, *low, product);
                        let product = b.binary(BinaryOp::HalfMul, row, turned);
                        b.binary_into(BinaryOp::HalfAdd, *mixed, *mixed, product);
                    }
                    b.bump(a, self.lane() * i64::from(tile.rows));
                    b.bump(column, self.b_step.vectors(i64::from(tile.vectors)));
                });
                for (row, [low, mixed]) in rows.iter().zip(sums) {
                    let upper = b.shift(ShiftOp::Left, mixed, 32);
                    let sum = b.binary(BinaryOp::HalfAdd, mixed, upper);
                    let by = b.shift(ShiftOp::RightLogical, sum, 32);
                    let mixed = b.shift(ShiftOp::Left, by, 32);
                    b.binary_into(BinaryOp::IntAdd, low, low, mixed);
                    b.binary_into(BinaryOp::IntAdd, row[j], row[j], low);
                }
            }
        }
    }
}
