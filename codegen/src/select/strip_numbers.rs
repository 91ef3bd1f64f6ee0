//! Whole numbers that sizes and axes make, as lanes of [`super::strips`].
//!
//! What is linear in the row is a start and a step. Minima, maxima and divisions of such are computed in lanes. Sums and
//! products may leave lanes and come back, as they wrap; the operands of all else fit in lanes.

use orogen_ir::loops::{CompareOp, ExprId};
use orogen_ir::shape::{Atom, AtomId, Dim, SymbolKind};
use orogen_ir::types::DType;

use super::expression::{Node, Operation, VectorExpr};
use super::stages;
use super::strip_loads::{FURTHEST, Guard, Load, Parts, Range, integer};
use super::strip_program::Source;
use crate::vector::{BinaryOp, UnaryOp, Width};

/// What sizes and places may be (law S4).
const LARGEST: i64 = 1 << 40;

/// The comparison with its operands exchanged.
fn mirrored(op: CompareOp) -> CompareOp {
    match op {
        CompareOp::Eq | CompareOp::Ne => op,
        CompareOp::Lt => CompareOp::Gt,
        CompareOp::Le => CompareOp::Ge,
        CompareOp::Gt => CompareOp::Lt,
        CompareOp::Ge => CompareOp::Le,
    }
}

impl Parts<'_, '_> {
    /// A number as an integer in each lane; `None` where lanes do not hold it.
    pub(super) fn number(&mut self, expr: &mut VectorExpr, number: Dim) -> Option<Node> {
        let number = self.s.shapes.substitute(number, &self.values).ok()?;
        self.whole_number(expr, number)
    }

    /// A comparison of numbers that do not depend on data, as a mask.
    pub(super) fn comparison(
        &mut self,
        expr: &mut VectorExpr,
        op: CompareOp,
        x: ExprId,
        y: ExprId,
    ) -> Option<Node> {
        let x = integer(self.s, &self.values, x)?;
        let y = integer(self.s, &self.values, y)?;
        let difference = self.s.shapes.sub(x, y).ok()?;
        if let Some((range, _)) = self.range_where(op, difference) {
            return self.inside(expr, range, [None; 2], op == CompareOp::Ne);
        }
        let difference = self.whole_number(expr, difference)?;
        let zero = expr.bits(0);
        Some(expr.compare_ints(op, difference, zero))
    }

    /// A comparison of a number with an integer that data give for the whole row, as a mask.
    pub(super) fn comparison_with_data(
        &mut self,
        expr: &mut VectorExpr,
        op: CompareOp,
        x: ExprId,
        y: ExprId,
    ) -> Option<Node> {
        let (op, number, data) = match integer(self.s, &self.values, x) {
            Some(number) => (op, number, y),
            None => (mirrored(op), integer(self.s, &self.values, y)?, x),
        };
        let names = stages::symbols_below(self.s.program, data);
        // Of axes, it may name those around the rows.
        let known = names.iter().any(|it| self.values.contains_key(it));
        let reduced = self.stage.reduce.iter().any(|it| names.contains(&it.var));
        if self.s.program.dtype_of(data) != DType::I64 || self.varies(data) || known || reduced {
            return None;
        }
        let (slope, _) = self.s.shapes.affine_in(number, self.row)?;
        if self.s.shapes.as_int(slope) != Some(1) {
            return None;
        }
        let (range, ends) = self.range_where(op, number)?;
        self.inside(expr, range, ends.map(|it| it.then_some(data)), op == CompareOp::Ne)
    }

    /// The range of the row in which a number compares with 0 as it is said, or does not differ from it; and which of its
    /// ends are where the number is 0, or one more.
    fn range_where(&mut self, op: CompareOp, number: Dim) -> Option<(Range, [bool; 2])> {
        if self.numbers || self.packed {
            return None;
        }
        let (slope, rest) = self.s.shapes.affine_in(number, self.row)?;
        let shapes = &mut self.s.shapes;
        let (op, at) = match shapes.as_int(slope)? {
            1 => (op, shapes.neg(rest).ok()?),
            -1 => (mirrored(op), rest),
            _ => return None,
        };
        let (begin, end, after) = (shapes.int(0), self.n, shapes.add_int(at, 1).ok()?);
        let (low, high, ends) = match op {
            CompareOp::Lt => (begin, at, [false, true]),
            CompareOp::Le => (begin, after, [false, true]),
            CompareOp::Gt => (after, end, [true, false]),
            CompareOp::Ge => (at, end, [true, false]),
            CompareOp::Eq | CompareOp::Ne => (at, after, [true; 2]),
        };
        Some((Range { low, high }, ends))
    }

    /// The mask of a range, or of what is outside. Where there are several, comparing numbers is no more work.
    fn inside(
        &mut self,
        expr: &mut VectorExpr,
        range: Range,
        by: [Option<ExprId>; 2],
        outside: bool,
    ) -> Option<Node> {
        let guard = Guard { otherwise: 0, inner: range, outer: Vec::new(), by };
        let load = Load {
            buffer: None,
            offset: self.s.shapes.int(0),
            step: 0,
            part: 0,
            guard: Some(guard),
            element: None,
            gather: None,
            indexes: false,
        };
        let place = self.place(load, Source::Within);
        if self.sources.iter().filter(|it| **it == Source::Within).count() > 1 {
            return None;
        }
        let mask = expr.leaf(place);
        Some(if outside { expr.not(mask) } else { mask })
    }

    /// The same where axes have their values already.
    pub(super) fn whole_number(&mut self, expr: &mut VectorExpr, number: Dim) -> Option<Node> {
        if !self.numbers || self.packed || !self.width.has_floats() || !self.fits(number) {
            return None;
        }
        if let Some(value) = self.s.shapes.as_int(number) {
            return Some(expr.bits(value));
        }
        if let Some((step, first)) = self.s.shapes.affine_in(number, self.row) {
            return self.count(expr, first, step);
        }
        // What does not change along the row is one number.
        let mut fixed = self.s.shapes.int(self.s.shapes.poly(number).constant());
        let terms: Vec<(Vec<(AtomId, u32)>, i64)> =
            self.s.shapes.poly(number).terms().map(|(it, factor)| (it.to_vec(), factor)).collect();
        let monomials = self.s.shapes.monomials(number);
        let mut sum = None;
        for ((factors, factor), (monomial, _)) in terms.into_iter().zip(monomials) {
            if !self.s.shapes.mentions(monomial, self.row) {
                let part = self.s.shapes.scale(monomial, factor).ok()?;
                fixed = self.s.shapes.add(fixed, part).ok()?;
                continue;
            }
            let [(atom, 1)] = factors[..] else { return None };
            let value = self.atom(expr, atom)?;
            let factor = expr.bits(factor);
            let part = expr.combine(BinaryOp::IntMul, value, factor);
            sum = Some(match sum {
                Some(sum) => expr.combine(BinaryOp::IntAdd, sum, part),
                None => part,
            });
        }
        let zero = self.s.shapes.int(0);
        let fixed = self.count(expr, fixed, zero)?;
        Some(match sum {
            Some(sum) => expr.combine(BinaryOp::IntAdd, sum, fixed),
            None => fixed,
        })
    }

    fn atom(&mut self, expr: &mut VectorExpr, atom: AtomId) -> Option<Node> {
        match self.s.shapes.atom(atom).clone() {
            Atom::Sym(sym) => {
                let (number, one, zero) =
                    (self.s.shapes.sym_dim(sym), self.s.shapes.int(1), self.s.shapes.int(0));
                if sym == self.row { self.count(expr, zero, one) } else { self.count(expr, number, zero) }
            }
            Atom::Min(operands) => self.extremum(expr, BinaryOp::IntMin, &operands),
            Atom::Max(operands) => self.extremum(expr, BinaryOp::IntMax, &operands),
            Atom::FloorDiv(number, by) => {
                let by = self.s.shapes.int(by);
                self.quotient(expr, number, by)
            }
            Atom::FloorDivSym(number, by) => self.quotient(expr, number, by),
            Atom::Broadcast(_) => None,
        }
    }

    fn extremum(&mut self, expr: &mut VectorExpr, op: BinaryOp, operands: &[Dim]) -> Option<Node> {
        let mut lanes = Vec::new();
        for operand in operands {
            lanes.push(self.whole_number(expr, *operand)?);
        }
        lanes.into_iter().reduce(|x, y| expr.combine(op, x, y))
    }

    /// A quotient, rounded down: that of floats, rounded down, is it where numbers have a bit less than the digits of
    /// floats, because the quotient is at least `1/by` away from the next whole number.
    fn quotient(&mut self, expr: &mut VectorExpr, number: Dim, by: Dim) -> Option<Node> {
        let most = if self.width == Width::W64 { 1 << 51 } else { 1 << 22 };
        if !self.within(number, most) || !self.within(by, most) {
            return None;
        }
        let operands = [self.whole_number(expr, number)?, self.whole_number(expr, by)?];
        let [number, by] = operands.map(|it| expr.push(Operation::FromInt(it)));
        let quotient = expr.combine(BinaryOp::Div, number, by);
        let whole = expr.push(Operation::Unary(UnaryOp::Floor, quotient));
        Some(expr.push(Operation::Unary(UnaryOp::ToInt, whole)))
    }

    /// Numbers that start somewhere, from lane to lane so much apart.
    fn count(&mut self, expr: &mut VectorExpr, first: Dim, step: Dim) -> Option<Node> {
        if let (Some(value), Some(0)) = (self.s.shapes.as_int(first), self.s.shapes.as_int(step)) {
            return Some(expr.bits(value));
        }
        let Some(step) = self.s.shapes.as_int(step) else {
            let (zero, one) = (self.s.shapes.int(0), self.s.shapes.int(1));
            let lane = self.count(expr, zero, one)?;
            let [step, first] = [self.count(expr, step, zero)?, self.count(expr, first, zero)?];
            let distance = expr.combine(BinaryOp::IntMul, lane, step);
            return Some(expr.combine(BinaryOp::IntAdd, distance, first));
        };
        if step.abs() >= FURTHEST {
            return None;
        }
        let load = Load {
            buffer: None,
            offset: first,
            step,
            part: 0,
            guard: None,
            element: None,
            gather: None,
            indexes: false,
        };
        let place = self.place(load, Source::Count(step));
        Some(expr.leaf(place))
    }

    /// Whether lanes hold a number: of 64 bits whatever sizes make, as scalar code does.
    fn fits(&self, number: Dim) -> bool {
        self.width == Width::W64 || self.within(number, i64::from(i32::MAX))
    }

    /// Whether a number is at most so large, with either sign.
    fn within(&self, number: Dim, most: i64) -> bool {
        let bounds = self.s.shapes.bounds(number);
        bounds.lo.is_some_and(|it| it >= -most) && bounds.hi.is_some_and(|it| it <= most)
            || self.largest(number).is_some_and(|it| it <= most)
    }

    /// What a number of a few sizes and axes is not beyond, with either sign.
    fn largest(&self, number: Dim) -> Option<i64> {
        let poly = self.s.shapes.poly(number);
        let mut sum = poly.constant().checked_abs()?;
        for (factors, factor) in poly.terms() {
            let [(atom, 1)] = factors[..] else { return None };
            let term = self.largest_of_atom(atom)?.checked_mul(factor.checked_abs()?)?;
            sum = sum.checked_add(term)?;
        }
        Some(sum)
    }

    fn largest_of_atom(&self, atom: AtomId) -> Option<i64> {
        match self.s.shapes.atom(atom) {
            Atom::Sym(sym) if self.s.shapes.kind(*sym) == SymbolKind::Integer => None,
            Atom::Sym(_) => Some(LARGEST),
            Atom::FloorDiv(number, _) | Atom::FloorDivSym(number, _) => self.largest(*number),
            Atom::Min(operands) | Atom::Max(operands) | Atom::Broadcast(operands) => {
                operands.iter().map(|it| self.largest(*it)).try_fold(0, |most, it| Some(most.max(it?)))
            }
        }
    }
}
