//! The vector program behind [`super::scans`].
//!
//! A vector of terms becomes running values by steps of 1, 2, 4, … lanes (Hillis and Steele, "Data parallel
//! algorithms", 1986), and is combined with what is carried from the vectors before it. Only that one combination waits
//! for the vector before.
//!
//! # Laws
//! What selection proves before it calls ([`ScanProgram::laws`]):
//!
//! * **N1** `n` and the number of rows are at least 0.
//! * **N2** Neighbours in a row are neighbours in the target and in every source that is a row, all in one direction; a
//!   source of one element does not move along the row.

use super::expression::{Node, VectorExpr};
use super::reduction::Reduction;
use super::row_program::Target;
use crate::kernels::laws::Law;
use crate::vector::{Addr, Builder, IReg, IntCompare, IntOp, Isa, MReg, Program, Size, VReg, Width};
use orogen_ir::shape::{Dim, ShapeCx};

/// The extents of a call, all rows of it.
#[derive(Clone, Debug)]
pub(crate) struct ScanCall {
    /// Elements of a row.
    pub(crate) n: Dim,
    pub(crate) rows: Dim,
    /// For each source and the target, the elements in memory from one element of the row to the next.
    pub(crate) along: Vec<Dim>,
}

/// Running values of rows.
#[derive(Clone, Debug)]
pub(crate) struct ScanProgram {
    /// The width of lanes.
    pub(crate) width: Width,
    pub(crate) reduction: Reduction,
    /// The lane before the first element.
    pub(crate) start: u64,
    /// Whether rows run from the last element in memory to the first.
    pub(crate) reverse: bool,
    /// Whether an element gets what ran before it.
    pub(crate) exclusive: bool,
    /// What is read, then the target.
    pub(crate) targets: Vec<Target>,
    /// The term, over the sources.
    pub(crate) term: (VectorExpr, Node),
    /// What is stored, over the running value.
    pub(crate) result: (VectorExpr, Node),
}

/// Registers that the parts of a program share.
struct Registers {
    cursors: Vec<IReg>,
    /// Of sources that are one element its value.
    scalars: Vec<Option<VReg>>,
    /// What ran before, in every lane.
    carry: VReg,
}

impl ScanProgram {
    /// A text that two programs share exactly when they are equal.
    pub(crate) fn key(&self) -> String {
        let [term, result] = [&self.term, &self.result].map(|it| format!("{}@{}", it.0.key(), it.1));
        format!(
            "{:?} {:?} {} {} {} {:?} {term} {result}",
            self.width, self.reduction, self.start, self.reverse, self.exclusive, self.targets
        )
    }

    /// The laws of a call.
    pub(crate) fn laws(&self, shapes: &mut ShapeCx, call: &ScanCall) -> Vec<Law> {
        let mut laws = vec![Law::at_least("N1", call.n, 0), Law::at_least("N1", call.rows, 0)];
        for (target, along) in self.targets.iter().zip(&call.along) {
            let step = shapes.int(if target.contiguous { self.direction() } else { 0 });
            laws.push(Law::equal("N2", *along, step));
        }
        laws
    }

    fn direction(&self) -> i64 {
        if self.reverse { -1 } else { 1 }
    }

    /// The program. Parameters: pointers to what the first element of a row reads and to where it is stored; `n`
    /// (elements of a row), `rows`; a row stride in bytes for each pointer.
    pub(crate) fn build(&self, isa: Isa) -> Program {
        let mut b = Builder::of_width("scan", self.width);
        let pointers: Vec<IReg> = self.targets.iter().map(|_| b.param()).collect();
        let [n, rows] = b.params();
        let strides: Vec<IReg> = self.targets.iter().map(|_| b.param()).collect();
        b.repeat(rows, |b| {
            let carry = b.splat_lane(self.start);
            let cursors: Vec<IReg> = pointers.iter().map(|it| b.int_move(*it)).collect();
            let load = |b: &mut Builder, (target, pointer): (&Target, &IReg)| {
                (!target.contiguous).then(|| target.element.load_splat(b, *pointer))
            };
            let scalars = self.targets.iter().zip(&pointers).map(|it| load(b, it)).collect();
            let registers = Registers { cursors, scalars, carry };
            let whole = b.div_lanes(n);
            let mut single = whole;
            if self.takes_two(isa) {
                let pairs = b.int_op(IntOp::ShiftRight, whole, 1);
                b.repeat(pairs, |b| {
                    self.two_steps(b, isa, &registers);
                    self.advance(b, &registers, 2);
                });
                single = b.int_op(IntOp::And, whole, 1);
            }
            b.repeat(single, |b| {
                self.step(b, isa, &registers, None);
                self.advance(b, &registers, self.direction());
            });
            let rest = b.int_op(IntOp::And, n, Size { fixed: -1, per_lane: 1 });
            b.when(IntCompare::Gt, rest, 0, |b| {
                let mask = b.first(rest);
                self.step(b, isa, &registers, Some((rest, mask)));
            });
            for (pointer, stride) in pointers.iter().zip(&strides) {
                b.bump(*pointer, *stride);
            }
        });
        b.finish()
    }

    /// Whether two vectors are taken in at a time: to convert both costs little more than one.
    fn takes_two(&self, isa: Isa) -> bool {
        let in_pairs = |it: &Target| it.contiguous && it.element.is_in_pairs(self.width);
        isa == Isa::Clif128 && !self.reverse && self.targets.iter().any(in_pairs)
    }

    /// Moves the cursors by vectors.
    fn advance(&self, b: &mut Builder, r: &Registers, vectors: i64) {
        for (target, cursor) in self.targets.iter().zip(&r.cursors).filter(|it| it.0.contiguous) {
            b.bump(*cursor, target.element.vectors(vectors));
        }
    }

    /// Two vectors of elements that are not reversed.
    fn two_steps(&self, b: &mut Builder, isa: Isa, r: &Registers) {
        let target = self.targets.len() - 1;
        let leaves: Vec<[VReg; 2]> = (0..target)
            .map(|i| match r.scalars[i] {
                Some(scalar) => [scalar; 2],
                None => self.targets[i].element.load_two(b, r.cursors[i]),
            })
            .collect();
        let values = [0, 1].map(|i| {
            let leaves: Vec<VReg> = leaves.iter().map(|it| it[i]).collect();
            self.run(b, isa, r, &leaves, None)
        });
        self.targets[target].element.store_two(b, values, r.cursors[target]);
    }

    /// A vector of elements, or as many as are left.
    fn step(&self, b: &mut Builder, isa: Isa, r: &Registers, tail: Option<(IReg, MReg)>) {
        let mask = tail.map(|it| it.1);
        // Reversed rows lie before the cursor: their last lane is the first element.
        let place = |b: &mut Builder, i: usize| {
            let (cursor, element) = (r.cursors[i], self.targets[i].element);
            match tail {
                _ if !self.reverse => Addr::new(cursor),
                None => {
                    let back = Size { fixed: element.bytes(), per_lane: -element.bytes() };
                    Addr::new(cursor).offset(back)
                }
                Some((rest, _)) => {
                    let others = b.int_add(rest, -1);
                    let back = b.int_mul(others, -element.bytes());
                    Addr::new(cursor).indexed(back, 1)
                }
            }
        };
        let target = self.targets.len() - 1;
        let leaves: Vec<VReg> = (0..target)
            .map(|i| match r.scalars[i] {
                Some(scalar) => scalar,
                None => {
                    let addr = place(b, i);
                    self.targets[i].element.load(b, addr, mask)
                }
            })
            .collect();
        let value = self.run(b, isa, r, &leaves, mask);
        let addr = place(b, target);
        self.targets[target].element.store(b, value, addr, mask);
    }

    /// What is stored of a vector of elements; what ran before is carried on, unless these are the last ones of a row.
    fn run(&self, b: &mut Builder, isa: Isa, r: &Registers, leaves: &[VReg], mask: Option<MReg>) -> VReg {
        let mut running = self.term.0.emit(b, leaves, &[self.term.1])[0];
        let nothing = b.constant_lane(self.reduction.nothing(self.width));
        if let Some(mask) = mask.filter(|_| self.reverse) {
            let active = b.mask_lanes(mask);
            running = b.blend(active, running, nothing);
        }
        let lanes = i64::from(isa.lanes_of(self.width));
        for by in (0..lanes.ilog2()).map(|it| 1 << it) {
            let moved = self.before(b, nothing, running, by);
            running = self.reduction.step(b, running, moved);
        }
        let last = if self.reverse { Size::fixed(0) } else { Size { fixed: -1, per_lane: 1 } };
        let all = b.splat_lane_of(running, last);
        running = self.reduction.step(b, r.carry, running);
        let value = if self.exclusive { self.before(b, r.carry, running, 1) } else { running };
        let value = self.reduction.wrapped(b, value);
        let value = self.result.0.emit(b, &[value], &[self.result.1])[0];
        if mask.is_none() {
            let carry = self.reduction.step(b, r.carry, all);
            b.assign(r.carry, carry);
        }
        value
    }

    /// For each lane that so many lanes before it, along the row; the first ones are those of `start`.
    fn before(&self, b: &mut Builder, start: VReg, lanes: VReg, by: i64) -> VReg {
        match self.reverse {
            true => b.slide(lanes, start, by),
            false => b.slide(start, lanes, Size { fixed: -by, per_lane: 1 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::element::Element;
    use crate::kernels::laws::unproven;
    use orogen_ir::loops::Combine;
    use orogen_ir::types::DType;

    #[test]
    fn laws_n1_n2_are_asked() {
        let mut shapes = ShapeCx::new();
        let [n, rows] = ["n", "rows"].map(|it| shapes.sym(it));
        let [zero, one, back] = [0, 1, -1].map(|it| shapes.int(it));
        let windows = shapes.add_int(n, -1).unwrap();
        let target = |contiguous| Target { contiguous, element: Element::LANE };
        let program = |reverse| ScanProgram {
            width: Width::W32,
            reduction: Reduction::new(Combine::Sum, DType::F32, Width::W32).unwrap(),
            start: 0,
            reverse,
            exclusive: false,
            targets: [true, false, true].map(target).to_vec(),
            term: (VectorExpr::default(), 0),
            result: (VectorExpr::default(), 0),
        };
        for (reverse, n, rows, along, wanted) in [
            (false, n, rows, [one, zero, one], None),
            (true, n, rows, [back, zero, back], None),
            (false, windows, rows, [one, zero, one], Some("N1")),
            (false, n, windows, [one, zero, one], Some("N1")),
            (true, n, rows, [one, zero, back], Some("N2")),
            (false, n, rows, [one, one, one], Some("N2")),
            (false, n, rows, [one, zero, n], Some("N2")),
        ] {
            let call = ScanCall { n, rows, along: along.to_vec() };
            let laws = program(reverse).laws(&mut shapes, &call);
            assert_eq!(unproven(&shapes, &laws), wanted);
        }
    }
}
