//! The vector program that looks for elements that come before another one.
//!
//! A row is compared in groups of vectors: where no element of a group may be wanted, which is nearly everywhere, a group
//! costs its loads and comparisons. Elements that are not in order with others are found, too; who calls looks again.

use orogen_ir::types::DType;

use crate::kernels::element::Element;
use crate::vector::{
    BinaryOp, Builder, Compare, IReg, IntCompare, IntOp, IntUnaryOp, MReg, Program, Size, VReg, Width,
};

/// Vectors of a group.
const GROUP: i64 = 4;

/// How elements of a type are compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan {
    dtype: DType,
    smallest: bool,
    width: Width,
    element: Element,
    /// Whether numbers are unsigned and fill their lanes.
    flipped: bool,
}

/// Registers that the parts of the program share.
struct Registers {
    cursor: IReg,
    /// The element that others must come before.
    bound: VReg,
    /// Where the next place goes.
    out: IReg,
    /// The place of the first element of the vector.
    first: IReg,
    found: IReg,
}

impl Scan {
    /// `None` where lanes do not hold the type.
    pub(super) fn of(dtype: DType, smallest: bool) -> Option<Scan> {
        let lanes = |width: Width| Some((width, Element::in_lanes(dtype, width)?));
        let (width, element) = Width::FLOATS.into_iter().find_map(lanes)?;
        let flipped = dtype.is_int() && Element::ordered(dtype, width).is_none();
        Some(Scan { dtype, smallest, width, element, flipped })
    }

    /// A text that two programs share exactly when they are equal.
    pub(super) fn key(&self) -> String {
        format!("{} {}", self.dtype, self.smallest)
    }

    /// The program. Parameters: a pointer to the first of `n` elements; to the one that they must come before; the place of
    /// the first; where places go, one every 16 bytes; where their number goes; `n`.
    pub(super) fn program(&self) -> Program {
        let mut b = Builder::of_width("scan", self.width);
        let [row, bound, place, out, counter, n] = b.params();
        let bound = self.element.load_splat(&mut b, bound);
        let registers = Registers {
            cursor: b.int_move(row),
            bound: self.signed(&mut b, bound),
            out: b.int_move(out),
            first: b.int_move(place),
            found: b.int_const(0),
        };
        let r = &registers;
        let whole = b.div_lanes(n);
        let groups = b.int_op(IntOp::ShiftRight, whole, 2);
        b.repeat(groups, |b| {
            let hits: Vec<VReg> = (0..GROUP).map(|i| self.hits(b, r, i, None)).collect();
            let any = hits[1..].iter().fold(hits[0], |any, it| b.binary(BinaryOp::Or, any, *it));
            let any = b.sign_bits(any);
            b.when(IntCompare::Ne, any, 0, |b| {
                for (i, hits) in hits.iter().enumerate() {
                    take(b, r, *hits, i as i64);
                }
            });
            b.bump(r.first, Size::lanes(GROUP));
            b.bump(r.cursor, self.element.vectors(GROUP));
        });
        let single = b.int_op(IntOp::And, whole, GROUP - 1);
        b.repeat(single, |b| {
            let hits = self.hits(b, r, 0, None);
            take(b, r, hits, 0);
            b.bump(r.first, Size::lanes(1));
            b.bump(r.cursor, self.element.vectors(1));
        });
        let rest = b.int_op(IntOp::And, n, Size { fixed: -1, per_lane: 1 });
        b.when(IntCompare::Gt, rest, 0, |b| {
            let mask = b.first(rest);
            let (hits, active) = (self.hits(b, r, 0, Some(mask)), b.mask_lanes(mask));
            let hits = b.binary(BinaryOp::And, hits, active);
            take(b, r, hits, 0);
        });
        b.int_store(registers.found, counter);
        b.finish()
    }

    /// Whether elements of a vector may come before the bound: as they do not come behind it.
    fn hits(&self, b: &mut Builder, r: &Registers, vector: i64, mask: Option<MReg>) -> VReg {
        let at = crate::vector::Addr::new(r.cursor).offset(self.element.vectors(vector));
        let value = self.element.load(b, at, mask);
        let value = self.signed(b, value);
        match (self.dtype.is_float(), self.smallest) {
            (true, smallest) => {
                let op = if smallest { Compare::Ge } else { Compare::Le };
                let behind = b.compare(op, value, r.bound);
                let ones = b.constant_int(-1);
                b.binary(BinaryOp::AndNot, behind, ones)
            }
            (false, true) => b.binary(BinaryOp::IntGt, r.bound, value),
            (false, false) => b.binary(BinaryOp::IntGt, value, r.bound),
        }
    }

    /// Integers whose order as signed ones is that of the elements.
    fn signed(&self, b: &mut Builder, lanes: VReg) -> VReg {
        if !self.flipped {
            return lanes;
        }
        let sign = b.constant_lane(1 << (self.width.bits() - 1));
        b.binary(BinaryOp::Xor, lanes, sign)
    }
}

/// Stores the places of the lanes that are set, of a vector of the group.
fn take(b: &mut Builder, r: &Registers, hits: VReg, vector: i64) {
    let bits = b.sign_bits(hits);
    let count = b.int_unary(IntUnaryOp::CountOnes, bits);
    b.when(IntCompare::Gt, count, 0, |b| {
        let first = b.int_add(r.first, Size::lanes(vector));
        b.repeat(count, |b| {
            let lane = b.int_unary(IntUnaryOp::TrailingZeros, bits);
            let place = b.int_add(first, lane);
            b.int_store(place, r.out);
            b.bump(r.out, super::ENTRY);
            let below = b.int_add(bits, -1);
            let others = b.int_op(IntOp::And, bits, below);
            b.int_move_into(bits, others);
        });
        b.bump(r.found, count);
    });
}
