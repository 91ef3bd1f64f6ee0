//! What a product multiplies: elements in memory, terms of the sum in panels.

use super::Layout;
use crate::kernels::element::Element;
use crate::kernels::flow::Flow;
use crate::kernels::narrow;
use cranelift_codegen::ir::Value;
use orogen_ir::types::DType;

use crate::vector::{
    Addr, BinaryOp, Builder, IReg, IntCompare, IntOp, MReg, ShiftOp, Size, Storage, UnaryOp, VReg, Width,
};

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

    /// Whether the terms of a step share bytes in panels of a constant.
    pub(crate) fn shares(self, dtype: DType) -> bool {
        self.terms() > 1 && dtype.is_int() && dtype.in_a_byte() > 1
    }

    /// How many elements of a constant share a byte of panels.
    pub(crate) fn in_a_byte(self, element: Element) -> i64 {
        match element {
            Element::Narrow(dtype) if self == Arithmetic::Float || self.shares(dtype) => {
                dtype.in_a_byte() as i64
            }
            _ => 1,
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
    /// How a constant is held in panels that are narrower than its elements, or scaled along the sum.
    pub packing: Packing,
}

/// Panels of a constant operand of a product of floats whose elements are not all there is to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Packing {
    /// Steps that share a byte, the first in the low bits: 1, or as many as fit. Those of B are neighbours along the sum,
    /// those of A in the panel.
    pub in_a_byte: i64,
    /// What elements of B are scaled by, block by block of the sum.
    pub blocks: Option<Blocks>,
}

impl Packing {
    /// Whole elements that are not scaled.
    pub const NONE: Packing = Packing { in_a_byte: 1, blocks: None };

    /// How panels of a constant are held that is not scaled.
    pub(crate) fn of(arithmetic: Arithmetic, element: Element) -> Packing {
        let in_a_byte = (arithmetic.in_a_byte(element) / arithmetic.terms()).max(1);
        Packing { in_a_byte, blocks: None }
    }

    /// Rows of bytes that hold so many steps of B: each block begins with a whole byte, unless they are joined.
    pub(super) fn rows(self, flow: &mut Flow<'_, '_>, steps: Value) -> Value {
        match self.blocks {
            Some(Blocks { length, joined: false, .. }) if length % self.in_a_byte != 0 => {
                flow.scaled_div(steps, self.rows_of(length), length)
            }
            _ => flow.shared(steps, self.in_a_byte),
        }
    }

    /// The same for a number of steps from the beginning of a block.
    pub(super) fn rows_of(self, steps: i64) -> i64 {
        (steps + self.in_a_byte - 1) / self.in_a_byte
    }
}

/// Scales, and perhaps zero points, for each column and each block of the sum. They lie in panels of their own, as those of
/// B with one step for each block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Blocks {
    /// Steps of a block; the sum is whole blocks.
    pub length: i64,
    /// Whether it is one block.
    pub single: bool,
    /// Whether a block begins where the one before it ends, in the middle of a byte perhaps: it is short, and bytes between
    /// would take a good part of the whole. Such columns are always made floats block by block of the sum.
    pub joined: bool,
    /// Blocks whose zero points share a byte: as many as fit, or 1.
    pub zeros_in_a_byte: i64,
    /// What scales are.
    pub scale: Scaling,
    /// What zero points are, if there are any.
    pub zero: Option<Scaling>,
}

/// Numbers that blocks are scaled by, or their zero points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scaling {
    /// One in memory for each block and column.
    Each(Element),
    /// One for all: the bits of an `f32`.
    All(u32),
}

impl Scaling {
    /// The elements in memory.
    fn element(self) -> Option<Element> {
        match self {
            Scaling::Each(element) => Some(element),
            Scaling::All(_) => None,
        }
    }
}

impl Blocks {
    /// Pointers that a kernel takes for them.
    pub(super) fn params(self) -> usize {
        self.elements().count()
    }

    /// The steps of a block, so many at a time and then those that are left.
    pub(super) fn each(self, b: &mut Builder, count: i64, body: impl Fn(&mut Builder, i64)) {
        match self.length / count {
            0 => {}
            1 => body(b, count),
            whole => b.repeat(whole, |b| body(b, count)),
        }
        if self.length % count > 0 {
            body(b, self.length % count);
        }
    }

    /// The elements of each pointer, and how many of them share a byte: those of neighbouring blocks.
    pub(super) fn elements(self) -> impl Iterator<Item = (Element, i64)> {
        let of = [(Some(self.scale), 1), (self.zero, self.zeros_in_a_byte)];
        of.into_iter().filter_map(|(it, in_a_byte)| Some((it?.element()?, in_a_byte)))
    }

    /// Blocks that a part of the sum has a multiple of: their zero points, and they themselves, are whole bytes.
    pub(super) fn unit(self) -> i64 {
        if self.joined || self.zeros_in_a_byte > 1 { 4 } else { 1 }
    }

    /// Where the zero point of the first block lies in its byte.
    pub(super) fn first_place(self, b: &mut Builder) -> Option<IReg> {
        (self.zeros_in_a_byte > 1).then(|| b.int_const(0))
    }
}

impl Factor {
    /// An operand of `f32`.
    pub fn floats(layout: Layout) -> Factor {
        Factor::lanes(layout, Arithmetic::Float)
    }

    /// An operand of whole lanes.
    pub const fn lanes(layout: Layout, arithmetic: Arithmetic) -> Factor {
        Factor { layout, element: arithmetic.lane(), zero: None, packing: Packing::NONE }
    }

    /// One step of the sum, as a panel that was made when the program was compiled holds it.
    pub fn unit(&self, arithmetic: Arithmetic) -> Element {
        match (self.layout, self.element) {
            (Layout::Packed, Element::Narrow(dtype)) if arithmetic.shares(dtype) => {
                Element::Nibbles(dtype, arithmetic.terms() as u8)
            }
            _ => unit(self.element, arithmetic),
        }
    }

    /// Steps of a block of scales, or 1.
    pub(super) fn block(&self) -> i64 {
        self.packing.blocks.map_or(1, |it| it.length)
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
        (Arithmetic::Pairs, Element::Narrow(dtype)) if dtype.is_signed_int() => {
            Element::Stored(Storage::I8Pair)
        }
        (Arithmetic::Pairs, Element::Narrow(_)) => Element::Stored(Storage::U8Pair),
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

impl Element {
    /// The type and the terms of steps of panels, where these share bytes.
    pub(super) fn shared(self, packing: Packing) -> Option<(DType, u8)> {
        match self {
            _ if packing.in_a_byte == 1 => None,
            Element::Narrow(dtype) => Some((dtype, 1)),
            Element::Nibbles(dtype, terms) => Some((dtype, terms)),
            Element::Stored(_) | Element::BF16 => None,
        }
    }
}

/// Columns of a constant panel of floats, or of what is converted to them, as they are loaded for some steps of the sum.
pub(super) struct Columns<'a> {
    pub(super) arithmetic: Arithmetic,
    /// A step of the panel.
    pub(super) unit: Element,
    pub(super) packing: Packing,
    /// What is subtracted from each vector of columns.
    pub(super) zeros: Option<&'a [VReg]>,
    /// Scales, and products of zero points with them, of each vector.
    pub(super) scales: Option<&'a [(VReg, Option<VReg>)]>,
}

impl Columns<'_> {
    /// Bytes of a vector of columns that are read at once: those of one step, or of as many as share them.
    pub(super) fn bytes(&self, vectors: i64) -> Size {
        self.unit.vectors(vectors)
    }

    /// What lies at an address, before it is taken apart.
    pub(super) fn load(&self, b: &mut Builder, at: Addr, mask: Option<MReg>) -> VReg {
        match self.unit.shared(self.packing) {
            Some((dtype, terms)) => b.load_from(narrow::storage_of_steps(dtype, terms), at, mask),
            None => self.unit.load(b, at, mask),
        }
    }

    /// Step `u` of what was loaded, in vector `j`.
    pub(super) fn step(&self, b: &mut Builder, loaded: VReg, u: i64, j: usize) -> VReg {
        let steps = match self.unit.shared(self.packing) {
            Some((dtype, terms)) => {
                narrow::step(b, dtype, terms, loaded, (u % self.packing.in_a_byte) as u32)
            }
            None => loaded,
        };
        let steps = self.arithmetic.converted(b, self.unit, steps);
        let steps = centred(b, self.arithmetic, steps, self.zeros.map(|it| it[j]));
        match self.scales.map(|it| it[j]) {
            None => steps,
            Some((scale, None)) => b.mul(steps, scale),
            Some((scale, Some(zero))) => b.mul_sub(steps, scale, zero),
        }
    }
}

/// The scales of a block, and the products of its zero points with them, of each vector of columns; the pointers are moved
/// to the next block, and so is the [place](Blocks::first_place) in the byte of zero points.
pub(super) fn scales(
    b: &mut Builder,
    blocks: Blocks,
    (at, place): (&[IReg], Option<IReg>),
    vectors: i64,
) -> Vec<(VReg, Option<VReg>)> {
    let mut left = at.iter();
    let places = [Some(blocks.scale), blocks.zero].map(|it| match it {
        Some(Scaling::Each(_)) => left.next().copied(),
        _ => None,
    });
    let read = |b: &mut Builder, of: Scaling, at: Option<(IReg, Option<IReg>)>, j: i64| match (of, at) {
        (Scaling::Each(element), Some((at, place))) => {
            let from = Addr::new(at).offset(element.vectors(j));
            let value = match place {
                None => element.load(b, from, None),
                Some(place) => {
                    let (bytes, by) = (b.load_from(Storage::U8, from, None), b.splat_int(place));
                    let shifted = b.binary(BinaryOp::ShiftRight, bytes, by);
                    element.widened(b, shifted)
                }
            };
            Arithmetic::Float.converted(b, element, value)
        }
        (Scaling::All(bits), _) => b.splat(f32::from_bits(bits)),
        (Scaling::Each(_), None) => unreachable!("there is a pointer for each"),
    };
    let scales = (0..vectors)
        .map(|j| {
            let scale = read(b, blocks.scale, places[0].map(|it| (it, None)), j);
            let zero = blocks.zero.map(|zero| {
                let zero = read(b, zero, places[1].map(|it| (it, place)), j);
                b.mul(zero, scale)
            });
            (scale, zero)
        })
        .collect();
    for (p, (element, in_a_byte)) in at.iter().zip(blocks.elements()) {
        match place.filter(|_| in_a_byte > 1) {
            None => b.bump(*p, element.vectors(vectors)),
            Some(place) => {
                let next = b.int_add(place, 8 / in_a_byte);
                let whole = b.int_op(IntOp::ShiftRight, next, 3);
                let bytes = b.int_mul(whole, element.vectors(vectors));
                let moved = b.int_add(*p, bytes);
                b.int_move_into(*p, moved);
                let left = b.int_op(IntOp::And, next, 7);
                b.int_move_into(place, left);
            }
        }
    }
    scales
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

/// The last step, where the depth is no multiple of its terms: `body` is given how many there are.
pub(in crate::kernels) fn remainder(b: &mut Builder, k: IReg, terms: i64, body: impl Fn(&mut Builder, i64)) {
    if terms == 1 {
        return;
    }
    let rest = b.int_op(IntOp::And, k, terms - 1);
    for n in 1..terms {
        b.when(IntCompare::Eq, rest, n, |b| body(b, n));
    }
}
