//! What a product multiplies: elements in memory, terms of the sum in panels.

use super::Layout;
use crate::kernels::element::Element;
use crate::vector::{BinaryOp, Builder, ShiftOp, Storage, VReg};

/// How the terms of a sum are multiplied and added, in lanes of 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// `f32`.
    Float,
    /// `i32`, wrapping.
    Int,
    /// Pairs of 16-bit integers into `i32`, wrapping: two terms at each step.
    Pairs,
}

impl Arithmetic {
    /// Terms of the sum in one step.
    pub const fn terms(self) -> i64 {
        match self {
            Arithmetic::Float | Arithmetic::Int => 1,
            Arithmetic::Pairs => 2,
        }
    }

    /// `acc += x · y`.
    pub(in crate::kernels) fn multiply(self, b: &mut Builder, acc: VReg, x: VReg, y: VReg) {
        match self {
            Arithmetic::Float => b.fma_into(acc, x, y),
            Arithmetic::Pairs => b.pair_dot_into(acc, x, y),
            Arithmetic::Int => {
                let product = b.binary(BinaryOp::IntMul, x, y);
                b.binary_into(BinaryOp::IntAdd, acc, acc, product);
            }
        }
    }

    /// The sum of two results.
    pub(in crate::kernels) fn sum(self) -> BinaryOp {
        if self == Arithmetic::Float { BinaryOp::Add } else { BinaryOp::IntAdd }
    }

    /// The difference of two steps.
    fn difference(self) -> BinaryOp {
        match self {
            Arithmetic::Float => BinaryOp::Sub,
            Arithmetic::Int => BinaryOp::IntSub,
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
    /// What is subtracted from each of them before it is multiplied: elements of the same kind. Integers only.
    pub zero: Option<Zero>,
}

impl Factor {
    /// An operand of `f32`.
    pub fn floats(layout: Layout) -> Factor {
        Factor { layout, element: Element::LANE, zero: None }
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
        (Arithmetic::Pairs, _) => Element::LANE,
        _ => element,
    }
}

/// Steps whose terms are all the same element.
pub(super) fn repeated(b: &mut Builder, arithmetic: Arithmetic, value: VReg) -> VReg {
    match arithmetic {
        Arithmetic::Float | Arithmetic::Int => value,
        Arithmetic::Pairs => {
            let low = low_half(b, value);
            joined(b, low, value)
        }
    }
}

/// The low halves of lanes, and zeros.
pub(in crate::kernels) fn low_half(b: &mut Builder, value: VReg) -> VReg {
    let mask = b.constant_int(0xFFFF);
    b.binary(BinaryOp::And, value, mask)
}

/// Steps of two terms: a lane whose high half is zero, and one whose low half counts.
pub(in crate::kernels) fn joined(b: &mut Builder, low: VReg, high: VReg) -> VReg {
    let high = b.shift(ShiftOp::Left, high, 16);
    b.binary(BinaryOp::Or, low, high)
}

/// Steps less their zero points, which stand in every term.
pub(super) fn centred(b: &mut Builder, arithmetic: Arithmetic, steps: VReg, zero: Option<VReg>) -> VReg {
    match zero {
        Some(zero) => b.binary(arithmetic.difference(), steps, zero),
        None => steps,
    }
}
