//! The vector program behind [`super::compactions`].
//!
//! # Laws
//! What selection proves before it calls ([`CompactionProgram::laws`]):
//!
//! * **C1** `n` is at least 0.
//! * **C2** Neighbours in the row are neighbours in every source that is a row; a source of one element does not move.
//!
//! What holds by construction: it stores at places below `n` alone, since there are no more hits than elements so far.

use super::expression::{Node, VectorExpr};
use super::row_program::Target;
use crate::kernels::laws::Law;
use crate::vector::{
    BinaryOp, Builder, IReg, IntCompare, IntOp, IntUnaryOp, MReg, Program, Size, VReg, Width,
};
use orogen_ir::shape::{Dim, ShapeCx};

/// The extents of a call.
#[derive(Clone, Debug)]
pub(crate) struct CompactionCall {
    /// Elements of the row.
    pub(crate) n: Dim,
    /// For each source, the elements in memory from one element of the row to the next.
    pub(crate) along: Vec<Dim>,
}

/// The numbers of the elements of a row that are selected.
#[derive(Clone, Debug)]
pub(crate) struct CompactionProgram {
    /// The width of lanes.
    pub(crate) width: Width,
    /// What is read.
    pub(crate) targets: Vec<Target>,
    /// The mask of those that are selected, over the sources.
    pub(crate) selects: (VectorExpr, Node),
}

/// Registers that the parts of a program share.
struct Registers {
    cursors: Vec<IReg>,
    /// Of sources that are one element its value.
    scalars: Vec<Option<VReg>>,
    /// Where the next number goes.
    out: IReg,
    /// How many there are.
    found: IReg,
    /// The number of the first element of the vector.
    first: IReg,
}

impl CompactionProgram {
    /// A text that two programs share exactly when they are equal.
    pub(crate) fn key(&self) -> String {
        format!("{:?} {:?} {}@{}", self.width, self.targets, self.selects.0.key(), self.selects.1)
    }

    /// The laws of a call.
    pub(crate) fn laws(&self, shapes: &mut ShapeCx, call: &CompactionCall) -> Vec<Law> {
        let mut laws = vec![Law::at_least("C1", call.n, 0)];
        for (target, along) in self.targets.iter().zip(&call.along) {
            laws.push(Law::equal("C2", *along, shapes.int(i64::from(target.contiguous))));
        }
        laws
    }

    /// The program. Parameters: a pointer to each source; to `n` 64-bit numbers that come out; to the 64-bit counter, which
    /// is 0 and becomes the number of elements that are selected; `n`.
    pub(crate) fn build(&self) -> Program {
        let mut b = Builder::of_width("compaction", self.width);
        let sources: Vec<IReg> = self.targets.iter().map(|_| b.param()).collect();
        let [places, counter, n] = b.params();
        let load = |b: &mut Builder, (target, pointer): (&Target, &IReg)| {
            (!target.contiguous).then(|| target.element.load_splat(b, *pointer))
        };
        let (found, first) = (b.int_const(0), b.int_const(0));
        let registers = Registers {
            cursors: sources.iter().map(|it| b.int_move(*it)).collect(),
            scalars: Vec::new(),
            out: b.int_move(places),
            found,
            first,
        };
        b.when(IntCompare::Gt, n, 0, |b| {
            let scalars = self.targets.iter().zip(&sources).map(|it| load(b, it)).collect();
            let registers = Registers { scalars, ..registers };
            let whole = b.div_lanes(n);
            b.repeat(whole, |b| {
                self.step(b, &registers, None);
                b.bump(registers.first, Size::lanes(1));
                for (target, cursor) in self.targets.iter().zip(&registers.cursors) {
                    if target.contiguous {
                        b.bump(*cursor, target.element.vectors(1));
                    }
                }
            });
            let rest = b.int_op(IntOp::And, n, Size { fixed: -1, per_lane: 1 });
            b.when(IntCompare::Gt, rest, 0, |b| {
                let mask = b.first(rest);
                self.step(b, &registers, Some(mask));
            });
            // Each step stores its number; those that are not selected leave that of the last one behind the others.
            let (last, before) = (b.int_add(n, -1), b.int_const(-1));
            b.when(IntCompare::Gt, registers.found, 0, |b| {
                let back = b.int_add(registers.out, -8);
                let number = b.int_load(back);
                b.int_move_into(before, number);
            });
            b.when(IntCompare::Ne, before, last, |b| b.int_store(last, registers.out));
        });
        b.int_store(found, counter);
        b.finish()
    }

    /// A vector of elements, or the active ones.
    fn step(&self, b: &mut Builder, r: &Registers, mask: Option<MReg>) {
        let mut leaves = Vec::new();
        for (i, target) in self.targets.iter().enumerate() {
            leaves.push(match r.scalars[i] {
                Some(scalar) => scalar,
                None => target.element.load(b, r.cursors[i], mask),
            });
        }
        let mut hits = self.selects.0.emit(b, &leaves, &[self.selects.1])[0];
        if let Some(mask) = mask {
            let active = b.mask_lanes(mask);
            hits = b.binary(BinaryOp::And, hits, active);
        }
        let bits = b.sign_bits(hits);
        let hits = b.int_unary(IntUnaryOp::CountOnes, bits);
        b.repeat(hits, |b| {
            let lane = b.int_unary(IntUnaryOp::TrailingZeros, bits);
            let number = b.int_add(r.first, lane);
            b.int_store(number, r.out);
            b.bump(r.out, 8);
            let below = b.int_add(bits, -1);
            let others = b.int_op(IntOp::And, bits, below);
            b.int_move_into(bits, others);
        });
        b.bump(r.found, hits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::element::Element;
    use crate::kernels::laws::unproven;

    #[test]
    fn laws_c1_c2_are_asked() {
        let mut shapes = ShapeCx::new();
        let n = shapes.sym("n");
        let [zero, one] = [0, 1].map(|it| shapes.int(it));
        let less = shapes.add_int(n, -1).unwrap();
        let target = |contiguous| Target { contiguous, element: Element::LANE };
        let program = CompactionProgram {
            width: Width::W32,
            targets: [true, false].map(target).to_vec(),
            selects: (VectorExpr::default(), 0),
        };
        for (n, along, wanted) in [
            (n, [one, zero], None),
            (less, [one, zero], Some("C1")),
            (n, [zero, zero], Some("C2")),
            (n, [one, one], Some("C2")),
        ] {
            let laws = program.laws(&mut shapes, &CompactionCall { n, along: along.to_vec() });
            assert_eq!(unproven(&shapes, &laws), wanted);
        }
    }
}
