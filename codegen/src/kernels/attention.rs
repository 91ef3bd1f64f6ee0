//! What happens to rows of scores between the two products of attention.
//!
//! Keys are taken in blocks. A row remembers the largest score so far and the sum of the exponentials below it; when a
//! block has a larger one, the sum and the row of the result are scaled by what that changes (Milakov and Gimelshein,
//! "Online normalizer calculation for softmax", 2018). So no more than a block of scores is ever held.
//!
//! A row that sees nothing has a largest score of −∞, from which nothing is subtracted: its sum stays 0, and its result is
//! 0 / 0 in the end, as that of softmax. NaN among the scores reaches the sum, and so the whole row.

use crate::kernels::element::Element;
use crate::vector::{BinaryOp, Builder, Compare, IReg, MReg, Program, Size, VReg, math};

/// What is done to a product before it is a score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scores {
    /// A factor.
    pub(crate) scale: f32,
    /// What a mask does, if there is one.
    pub(crate) mask: Option<Mask>,
}

/// A mask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mask {
    /// It is added.
    Added(Element),
    /// Scores are hidden, and become that number, where it is 0: bytes.
    Hides(f32),
}

impl Mask {
    /// What its elements are.
    pub(crate) fn element(self) -> Element {
        match self {
            Mask::Added(element) => element,
            Mask::Hides(_) => Element::Stored(crate::vector::Storage::U8),
        }
    }
}

/// Bytes of a number that a row remembers, and of a score.
const LANE: i64 = 4;

/// Rows before the first block. Parameters: the largest scores, the sums, the rows of the result and their stride in
/// bytes, how many rows and columns, the bits of what sums begin with.
pub(crate) fn begin() -> Program {
    let mut b = Builder::new("attention.begin");
    let [most, sums, result, row, rows, columns, first] = b.params();
    let (least, zero, first) = (b.constant(f64::NEG_INFINITY), b.constant(0.0), b.splat_int(first));
    b.repeat(rows, |b| {
        b.store_lane(least, most);
        b.store_lane(first, sums);
        let to = b.int_move(result);
        b.for_lanes(columns, &[(to, Size::vectors(1))], |b, mask| b.store(zero, to, mask));
        b.bump(most, LANE);
        b.bump(sums, LANE);
        b.bump(result, row);
    });
    b.finish()
}

/// The weights of a block of keys, in the place of their products. Parameters: products and their stride in bytes, how
/// many rows and keys, the largest scores, the sums, the rows of the result, their stride in bytes and how many columns,
/// then the mask and its stride in bytes if there is one.
pub(crate) fn weigh(scores: Scores) -> Program {
    let mut b = Builder::new("attention.weigh");
    let [products, row, rows, keys, most, sums, result, result_row, columns] = b.params();
    let mask = scores.mask.map(|it| (it, b.param(), b.param()));
    b.repeat(rows, |b| {
        let least = b.constant(f64::NEG_INFINITY);
        let largest = b.vector();
        b.assign(largest, least);
        each(b, scores, products, mask.map(|it| it.1), keys, |b, score, _, tail| {
            let score = match tail {
                None => score,
                Some(inside) => b.blend(inside, score, least),
            };
            // NaN is no larger: it reaches the sum.
            b.binary_into(BinaryOp::Max, largest, score, largest);
        });
        let largest = b.reduce(BinaryOp::Max, largest);
        let before = b.load_splat(most);
        let largest = b.binary(BinaryOp::Max, largest, before);
        b.store_lane(largest, most);
        let zero = b.constant(0.0);
        let base = b.select(Compare::Eq, largest, least, zero, largest);
        let total = b.vector();
        b.assign(total, zero);
        each(b, scores, products, mask.map(|it| it.1), keys, |b, score, (at, active), tail| {
            let below = b.sub(score, base);
            let weight = math::exp(b, below);
            b.store(weight, at, active);
            let weight = match tail {
                None => weight,
                Some(inside) => b.binary(BinaryOp::And, weight, inside),
            };
            b.binary_into(BinaryOp::Add, total, total, weight);
        });
        let total = b.reduce(BinaryOp::Add, total);
        let grown = b.sub(before, base);
        let kept = math::exp(b, grown);
        let sum = b.load_splat(sums);
        let sum = b.fma(sum, kept, total);
        b.store_lane(sum, sums);
        let to = b.int_move(result);
        b.for_lanes(columns, &[(to, Size::vectors(1))], |b, active| {
            let value = b.load(to, active);
            let value = b.mul(value, kept);
            b.store(value, to, active);
        });
        b.bump(products, row);
        b.bump(most, LANE);
        b.bump(sums, LANE);
        b.bump(result, result_row);
        if let Some((_, at, row)) = mask {
            b.bump(at, row);
        }
    });
    b.finish()
}

/// Runs `body` on all scores of a row: with where they are, the lanes that are active, and the same as lanes.
fn each(
    b: &mut Builder,
    scores: Scores,
    products: IReg,
    mask: Option<IReg>,
    keys: IReg,
    mut body: impl FnMut(&mut Builder, VReg, (IReg, Option<MReg>), Option<VReg>),
) {
    let at = b.int_move(products);
    let mask = scores.mask.zip(mask).map(|(kind, from)| (kind, b.int_move(from)));
    let mut pointers = vec![(at, Size::vectors(1))];
    pointers.extend(mask.map(|(kind, from)| (from, kind.element().vectors(1))));
    b.for_lanes(keys, &pointers, |b, active| {
        let tail = active.map(|it| b.mask_lanes(it));
        let (product, scale) = (b.load(at, active), b.constant(scores.scale));
        let score = match mask {
            None => b.mul(product, scale),
            Some((kind @ Mask::Added(_), from)) => {
                let added = kind.element().load(b, from, active);
                b.fma(product, scale, added)
            }
            Some((kind @ Mask::Hides(number), from)) => {
                let score = b.mul(product, scale);
                let shown = kind.element().load(b, from, active);
                let (zero, number) = (b.constant_int(0), b.constant(number));
                let hidden = b.binary(BinaryOp::IntEq, shown, zero);
                b.blend(hidden, number, score)
            }
        };
        body(b, score, (at, active), tail);
    });
}

/// The result, from its rows and their sums. Parameters: rows and their stride in bytes, sums, the result and its stride
/// in bytes, how many rows and columns. Rows of which nothing is a number become 0 where that is wanted.
pub(crate) fn end(to: Element, safe: bool) -> Program {
    let mut b = Builder::new("attention.end");
    let [from, row, sums, result, result_row, rows, columns] = b.params();
    b.repeat(rows, |b| {
        let sum = b.load_splat(sums);
        let (source, target) = (b.int_move(from), b.int_move(result));
        b.for_lanes(columns, &[(source, Size::vectors(1)), (target, to.vectors(1))], |b, active| {
            let value = b.load(source, active);
            let mut value = b.div(value, sum);
            if safe {
                let zero = b.constant(0.0);
                value = b.select(Compare::Gt, sum, zero, value, zero);
            }
            to.store(b, value, target, active);
        });
        b.bump(from, row);
        b.bump(sums, LANE);
        b.bump(result, result_row);
    });
    b.finish()
}
