//! What a product multiplies: elements in memory, terms of the sum in panels.

use super::Layout;
use crate::kernels::element::Element;
use crate::vector::{BinaryOp, Builder, ShiftOp, Storage, UnaryOp, VReg, Width};

/// How the terms of a sum are multiplied and added.
///
/// Operands of a product of floats may be integers, which are converted when they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// `f32`.
    Float,
    /// `f64`.
    Double,
    /// `i32`, wrapping.
    Int,
    /// `i64`, wrapping.
    Long,
    /// Pairs of 16-bit integers into `i32`, wrapping: two terms at each step.
    Pairs,
    /// Bytes into `i32`, wrapping: four terms at each step, of which those of a constant operand are signed and have no
    /// zero point, and those of the other are made unsigned. What that one is moved by is made good by the sums of the
    /// constant, which follow each of its panels.
    Quads(Side),
}

/// Which operand of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The left one.
    A,
    /// The right one.
    B,
}

impl Arithmetic {
    /// Terms of the sum in one step.
    pub const fn terms(self) -> i64 {
        match self {
            Arithmetic::Float | Arithmetic::Double | Arithmetic::Int | Arithmetic::Long => 1,
            Arithmetic::Pairs => 2,
            Arithmetic::Quads(_) => 4,
        }
    }

    /// The width of the lanes that steps are multiplied in.
    pub const fn width(self) -> Width {
        if matches!(self, Arithmetic::Double | Arithmetic::Long) { Width::W64 } else { Width::W32 }
    }

    /// Steps in panels that are made on the way, and results that are not rounded: whole lanes.
    pub const fn lane(self) -> Element {
        Element::lane(self.width())
    }

    /// Whether lanes are floats.
    pub(crate) const fn is_float(self) -> bool {
        matches!(self, Arithmetic::Float | Arithmetic::Double)
    }

    /// Whether steps are of bytes.
    pub(in crate::kernels) const fn is_quads(self) -> bool {
        matches!(self, Arithmetic::Quads(_))
    }

    /// Bytes of the sum that follows a panel of a constant operand, for each of its rows (or columns).
    pub const fn sum_bytes(self, side: Side) -> i64 {
        match (self, side) {
            (Arithmetic::Quads(Side::A), Side::A) | (Arithmetic::Quads(Side::B), Side::B) => 4,
            _ => 0,
        }
    }

    /// Elements that were read into lanes, as terms.
    pub(in crate::kernels) fn converted(self, b: &mut Builder, element: Element, lanes: VReg) -> VReg {
        if self == Arithmetic::Float && element.is_narrow_int() {
            b.unary(UnaryOp::FromInt, lanes)
        } else {
            lanes
        }
    }

    /// `acc += x · y`.
    pub(in crate::kernels) fn multiply(self, b: &mut Builder, acc: VReg, x: VReg, y: VReg) {
        match self {
            Arithmetic::Float | Arithmetic::Double => b.fma_into(acc, x, y),
            Arithmetic::Pairs => b.pair_dot_into(acc, x, y),
            Arithmetic::Quads(Side::B) => b.byte_dot_into(acc, x, y),
            Arithmetic::Quads(Side::A) => b.byte_dot_into(acc, y, x),
            Arithmetic::Int | Arithmetic::Long => {
                let product = b.binary(BinaryOp::IntMul, x, y);
                b.binary_into(BinaryOp::IntAdd, acc, acc, product);
            }
        }
    }

    /// The sum of two results.
    pub(in crate::kernels) fn sum(self) -> BinaryOp {
        if self.is_float() { BinaryOp::Add } else { BinaryOp::IntAdd }
    }

    /// The difference of two steps.
    fn difference(self) -> BinaryOp {
        match self {
            Arithmetic::Float | Arithmetic::Double => BinaryOp::Sub,
            Arithmetic::Int | Arithmetic::Long | Arithmetic::Quads(_) => BinaryOp::IntSub,
            Arithmetic::Pairs => BinaryOp::PairSub,
        }
    }
}

/// How many zero points an operand has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Zero {
    /// One for all elements.
    One,
    /// One for each row of A, or column of B.
    Each,
}

/// An operand of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Factor {
    /// How its elements lie beside each other.
    pub layout: Layout,
    /// How each of them lies in memory.
    pub element: Element,
    /// What is subtracted from each of them before it is multiplied: elements of the same kind. Of integers only.
    pub zero: Option<Zero>,
}

impl Factor {
    /// An operand of `f32`.
    pub fn floats(layout: Layout) -> Factor {
        Factor::lanes(layout, Arithmetic::Float)
    }

    /// An operand of whole lanes.
    pub const fn lanes(layout: Layout, arithmetic: Arithmetic) -> Factor {
        Factor { layout, element: arithmetic.lane(), zero: None }
    }

    /// One step of the sum, as a panel that was made when the program was compiled holds it.
    pub fn unit(&self, arithmetic: Arithmetic) -> Element {
        unit(self.element, arithmetic)
    }

    /// Bytes from one zero point to the next.
    pub(in crate::kernels) fn zero_step(&self) -> i64 {
        if self.zero == Some(Zero::Each) { self.element.bytes() } else { 0 }
    }
}

/// As many elements as a step takes in, as they lie beside each other.
pub(super) fn unit(element: Element, arithmetic: Arithmetic) -> Element {
    match (arithmetic, element) {
        (Arithmetic::Pairs, Element::Stored(Storage::I8)) => Element::Stored(Storage::I8Pair),
        (Arithmetic::Pairs, Element::Stored(Storage::U8)) => Element::Stored(Storage::U8Pair),
        (Arithmetic::Pairs | Arithmetic::Quads(_), _) => Element::LANE,
        _ => element,
    }
}

impl Factor {
    /// The element that is read for one term, and whether zero points are subtracted from it.
    pub(in crate::kernels) fn term(&self, arithmetic: Arithmetic) -> (Element, bool) {
        match arithmetic {
            Arithmetic::Quads(_) => (Element::Stored(Storage::U8), false),
            _ => (self.element, self.zero.is_some()),
        }
    }

    /// Steps of the operand that is not constant: signed bytes are moved to unsigned ones.
    pub(in crate::kernels) fn unsigned(&self, b: &mut Builder, arithmetic: Arithmetic, steps: VReg) -> VReg {
        if !arithmetic.is_quads() || self.element == Element::Stored(Storage::U8) {
            return steps;
        }
        let flip = b.constant_bits(0x8080_8080);
        b.binary(BinaryOp::Xor, steps, flip)
    }
}

/// Steps whose terms are all the same element.
pub(in crate::kernels) fn repeated(b: &mut Builder, arithmetic: Arithmetic, value: VReg) -> VReg {
    step(b, arithmetic, &vec![value; arithmetic.terms() as usize])
}

/// Steps of terms, each in the low bits of a lane; missing ones are zero. Terms of a pair have any upper bits, those of
/// four have none.
pub(in crate::kernels) fn step(b: &mut Builder, arithmetic: Arithmetic, terms: &[VReg]) -> VReg {
    let bits = 32 / arithmetic.terms() as u8;
    let mut value = terms[0];
    if arithmetic == Arithmetic::Pairs {
        let low = b.constant_int(0xFFFF);
        value = b.binary(BinaryOp::And, value, low);
    }
    for (i, term) in terms.iter().enumerate().skip(1) {
        let upper = b.shift(ShiftOp::Left, *term, bits * i as u8);
        value = b.binary(BinaryOp::Or, value, upper);
    }
    value
}

/// Steps less their zero points, which stand in every term.
pub(super) fn centred(b: &mut Builder, arithmetic: Arithmetic, steps: VReg, zero: Option<VReg>) -> VReg {
    match zero {
        Some(zero) => b.binary(arithmetic.difference(), steps, zero),
        None => steps,
    }
}
