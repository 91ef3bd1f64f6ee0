//! Elements of memory as lanes of vector programs.
//!
//! A lane holds a float or an integer of its width, an integer or the bits of a float where it has 16 bits, an integer alone
//! where it has 8. Narrower floats are computed as wider ones and rounded, where they are stored at the latest; narrower integers are held by their value, so that what goes
//! beyond their range has to be wrapped; booleans are 0 or 1 in memory, and masks in expressions.

use orogen_ir::types::{DType, Kind};

use super::{bf16, narrow};
use crate::vector::{Addr, BinaryOp, Builder, IReg, MReg, ShiftOp, Size, Storage, VReg, Width};

/// How an element lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// As vector programs store it.
    Stored(Storage),
    /// The upper half of an `f32`.
    BF16,
    /// A float of at most 8 bits or an integer narrower than a byte, in lanes of 32 bits.
    Narrow(DType),
    /// So many neighbours of an integer type narrower than a byte, side by side in bytes and then in a lane of 32 bits: two
    /// of 16 bits, or four bytes.
    Nibbles(DType, u8),
}

impl Element {
    /// Whole lanes of 32 bits.
    pub const LANE: Element = Element::Stored(Storage::Bits32);

    /// Whole lanes.
    pub(crate) const fn lane(width: Width) -> Element {
        Element::Stored(width.storage())
    }

    /// The elements of a type in lanes of a width, whose order is that of floats or of signed integers; `None` if these
    /// do not hold them.
    pub(crate) fn ordered(dtype: DType, width: Width) -> Option<Element> {
        let unsigned = dtype.is_int() && !dtype.is_signed_int();
        let element = Element::in_lanes(dtype, width)?;
        (!unsigned || element != Element::lane(width)).then_some(element)
    }

    /// The elements of a type in lanes of a width; `None` if these do not hold them.
    pub(crate) fn in_lanes(dtype: DType, width: Width) -> Option<Element> {
        let (kind, bits, lane) = (dtype.row().kind, dtype.bits(), width.bits());
        if dtype.is_only_stored() || dtype.is_float() && bits == 8 {
            return (width == Width::W32).then_some(Element::Narrow(dtype));
        }
        if bits > lane {
            return None;
        }
        if bits == lane {
            return Some(Element::lane(width));
        }
        Some(Element::Stored(match (kind, bits) {
            (Kind::Signed, 8) => Storage::I8,
            (Kind::Signed, 16) => Storage::I16,
            (Kind::Signed, 32) => Storage::I32,
            (Kind::Unsigned | Kind::Bool, 8) => Storage::U8,
            (Kind::Unsigned | Kind::Bool, 16) => Storage::U16,
            (Kind::Unsigned | Kind::Bool, 32) => Storage::U32,
            (Kind::Float(format), 16) if format.exponent == 5 => Storage::F16,
            // With the exponent of `f32` it is its upper half.
            (Kind::Float(_), 16) => return Some(Element::BF16),
            (Kind::Float(_), 32) => Storage::F32,
            _ => return None,
        }))
    }

    /// The elements of a type that are only moved, bit by bit; `None` if lanes are too narrow for them.
    pub(crate) fn moved(dtype: DType, width: Width) -> Option<Element> {
        Some(Element::Stored(match (dtype.size(), width) {
            (size, _) if size == width.bytes() as usize => width.storage(),
            (size, _) if size > width.bytes() as usize => return None,
            (1, _) => Storage::U8,
            (2, _) => Storage::U16,
            (4, _) => Storage::U32,
            _ => return None,
        }))
    }

    fn storage(self) -> Storage {
        match self {
            Element::Stored(storage) => storage,
            Element::BF16 => Storage::U16,
            Element::Nibbles(dtype, terms) if u32::from(terms) * dtype.width() > 8 => Storage::U16,
            Element::Narrow(_) | Element::Nibbles(..) => Storage::U8,
        }
    }

    /// Bytes of an element.
    pub fn bytes(self) -> i64 {
        i64::from(self.storage().bytes())
    }

    /// Whether it is an integer that is narrower than a lane.
    pub(crate) fn is_narrow_int(self) -> bool {
        match self {
            Element::Stored(Storage::I8 | Storage::U8 | Storage::I16 | Storage::U16) => true,
            Element::Narrow(dtype) => dtype.is_int(),
            _ => false,
        }
    }

    /// Whether it is an integer that is a byte.
    pub(crate) fn is_byte(self) -> bool {
        matches!(self, Element::Stored(Storage::I8 | Storage::U8))
    }

    /// Whether two factors can be multiplied and added in a lane of 32 bits: integers that 16 signed bits hold, less their
    /// zero points if they have any.
    pub(crate) fn is_paired(self, has_zero: bool) -> bool {
        match self {
            Element::Narrow(dtype) => dtype.is_int(),
            Element::Stored(Storage::I16) => !has_zero,
            it => it.is_byte(),
        }
    }

    /// Whether memory has the low bits of an integer that a lane holds.
    pub(crate) fn is_integer(self) -> bool {
        use Storage::{I8, I16, I32, U8, U16, U32};
        matches!(self, Element::Stored(I8 | U8 | I16 | U16 | I32 | U32))
    }

    /// The least integer that an element holds.
    pub(crate) fn least(self) -> i64 {
        match self {
            Element::Stored(Storage::U8 | Storage::U16 | Storage::U32 | Storage::U8Pair) => 0,
            Element::Stored(Storage::I8 | Storage::I8Pair) => i64::from(i8::MIN),
            Element::Stored(Storage::I16) => i64::from(i16::MIN),
            Element::Stored(Storage::Bits64) => i64::MIN,
            _ => i64::from(i32::MIN),
        }
    }

    /// `n` vectors of elements, in bytes.
    pub(crate) fn vectors(self, n: i64) -> Size {
        self.storage().vectors(n)
    }

    /// A whole vector, or its active lanes.
    pub(crate) fn load(self, b: &mut Builder, addr: impl Into<Addr>, mask: Option<MReg>) -> VReg {
        let lanes = b.load_from(self.storage(), addr, mask);
        self.widened(b, lanes)
    }

    /// So many vectors of elements: an even number of them, one behind the other, or four of bytes, which are the parts
    /// of lanes. Of two the order is the same for every element, since rows of different ones are taken in together.
    pub(crate) fn load_many(self, b: &mut Builder, addr: impl Into<Addr>, count: usize) -> Vec<VReg> {
        let addr = addr.into();
        if count == 2 || !self.divides_lanes(b.width(), count) {
            let pairs = (0..count as i64).step_by(2);
            return pairs.flat_map(|it| self.load_two(b, addr.offset(self.vectors(it)))).collect();
        }
        let lanes = b.load(addr, None);
        (0..count as i64).map(|part| self.part_of_lanes(b, lanes, count as i64, part)).collect()
    }

    /// Stores what [`Element::load_many`] would load.
    pub(crate) fn store_many(self, b: &mut Builder, values: &[VReg], addr: impl Into<Addr>) {
        match *values {
            [first, second] => self.store_two(b, [first, second], addr),
            _ => {
                let parts: Vec<(VReg, bool)> = values.iter().map(|it| (*it, false)).collect();
                let lanes = self.lanes_of_parts(b, &parts);
                b.store(lanes, addr, None);
            }
        }
    }

    /// Two vectors of elements, one behind the other.
    pub(crate) fn load_two(self, b: &mut Builder, addr: impl Into<Addr>) -> [VReg; 2] {
        let addr = addr.into();
        if self.is_in_pairs(b.width()) {
            let both = b.load(addr, None);
            return [false, true].map(|high| b.from_halves(both, high));
        }
        [0, 1].map(|i| self.load(b, addr.offset(self.vectors(i)), None))
    }

    /// Stores two vectors of elements, one behind the other.
    pub(crate) fn store_two(self, b: &mut Builder, values: [VReg; 2], addr: impl Into<Addr>) {
        let addr = addr.into();
        if self.is_in_pairs(b.width()) {
            let both = b.to_halves(values[0], values[1]);
            return b.store(both, addr, None);
        }
        for (i, value) in (0..).zip(values) {
            self.store(b, value, addr.offset(self.vectors(i)), None);
        }
    }

    /// Whether two vectors of elements are converted at once.
    pub(crate) fn is_in_pairs(self, width: Width) -> bool {
        self == Element::Stored(Storage::F16) && width == Width::W32
    }

    /// One element in every lane.
    pub(crate) fn load_splat(self, b: &mut Builder, addr: impl Into<Addr>) -> VReg {
        let lanes = b.load_splat_from(self.storage(), addr);
        self.widened(b, lanes)
    }

    /// One element in every lane, to which a new parameter of the program points.
    pub(crate) fn load_param(self, b: &mut Builder) -> VReg {
        let p = b.param();
        self.load_splat(b, p)
    }

    /// The elements of the first 128 bits of lanes.
    pub(crate) fn load_quad(self, b: &mut Builder, addr: impl Into<Addr>) -> VReg {
        let lanes = b.load_quad_from(self.storage(), addr);
        self.widened(b, lanes)
    }

    /// For each active lane the element at `base + bytes * index[lane]`.
    pub(crate) fn gather(self, b: &mut Builder, base: IReg, index: VReg, mask: Option<MReg>) -> VReg {
        let lanes = b.gather_from(self.storage(), base, index, mask);
        self.widened(b, lanes)
    }

    /// How units of so many elements are loaded as lanes; `None` if lanes do not hold them.
    fn units(self, width: Width, step: i64) -> Option<Storage> {
        if !self.is_integer() {
            return None;
        }
        match self.bytes() * step {
            unit if unit == i64::from(width.bytes()) => Some(width.storage()),
            2 => Some(Storage::U16),
            4 if width == Width::W64 => Some(Storage::U32),
            _ => None,
        }
    }

    /// Whether elements that are `step` apart are loaded as parts of units of so many.
    pub(crate) fn is_in_units(self, width: Width, step: i64) -> bool {
        self.units(width, step).is_some()
    }

    /// A vector of elements that are `step` apart, all in one load of units of so many elements, of which each is at a
    /// place; the first unit is at the address. `None` if lanes are no such units.
    pub(crate) fn load_every(
        self,
        b: &mut Builder,
        (step, place): (i64, i64),
        addr: impl Into<Addr>,
        mask: Option<MReg>,
    ) -> Option<VReg> {
        let units = b.load_from(self.units(b.width(), step)?, addr, mask);
        Some(self.part_of_lanes(b, units, step, place))
    }

    /// Whether so many neighbours, integers or bits that are moved, fill a lane.
    pub(crate) fn divides_lanes(self, width: Width, group: usize) -> bool {
        self.is_integer() && self.bytes() * group as i64 == i64::from(width.bytes())
    }

    /// Whether lanes have zeros above an element.
    pub(crate) fn has_no_sign(self) -> bool {
        matches!(self, Element::Stored(Storage::U8 | Storage::U16 | Storage::U32))
    }

    /// Element `part` of the `group` in the low bits of each lane; there are zeros above them.
    pub(crate) fn part_of_lanes(self, b: &mut Builder, lanes: VReg, group: i64, part: i64) -> VReg {
        let (lane, bits) = (b.width().bits(), 8 * self.bytes() as u32);
        let place = bits * part as u32;
        let shift = |b: &mut Builder, op, lanes, by: u32| match by {
            0 => lanes,
            by => b.shift(op, lanes, by as u8),
        };
        if !self.has_no_sign() {
            let upper = shift(b, ShiftOp::Left, lanes, lane - bits - place);
            return b.shift(ShiftOp::RightArithmetic, upper, (lane - bits) as u8);
        }
        let lower = shift(b, ShiftOp::RightLogical, lanes, place);
        if part + 1 == group {
            return lower;
        }
        let low = b.constant_lane((1 << bits) - 1);
        b.binary(BinaryOp::And, lower, low)
    }

    /// Lanes of elements that divide them, the first in the low bits; of each, whether lanes have zeros above it.
    pub(crate) fn lanes_of_parts(self, b: &mut Builder, parts: &[(VReg, bool)]) -> VReg {
        let bits = 8 * self.bytes() as u32;
        let mut lanes = None;
        for (part, (value, zeros)) in parts.iter().enumerate() {
            let last = part + 1 == parts.len();
            let mut value = *value;
            if !zeros && !last {
                let low = b.constant_lane((1 << bits) - 1);
                value = b.binary(BinaryOp::And, value, low);
            }
            if part > 0 {
                value = b.shift(ShiftOp::Left, value, (bits * part as u32) as u8);
            }
            lanes = Some(match lanes {
                Some(lanes) => b.binary(BinaryOp::Or, lanes, value),
                None => value,
            });
        }
        lanes.expect("groups have elements")
    }

    /// Stores a whole vector, or its active lanes.
    pub(crate) fn store(self, b: &mut Builder, value: VReg, addr: impl Into<Addr>, mask: Option<MReg>) {
        let value = self.narrowed(b, value);
        b.store_to(self.storage(), value, addr, mask);
    }

    /// Stores lane 0.
    pub(crate) fn store_lane(self, b: &mut Builder, value: VReg, addr: impl Into<Addr>) {
        let value = self.narrowed(b, value);
        b.store_lane_to(self.storage(), value, addr);
    }

    /// Stores the lanes of the first 128 bits.
    pub(crate) fn store_quad(self, b: &mut Builder, value: VReg, addr: impl Into<Addr>) {
        let value = self.narrowed(b, value);
        b.store_quad_to(self.storage(), value, addr);
    }

    /// Lanes of what lies in memory, as it is loaded.
    pub(crate) fn widened(self, b: &mut Builder, lanes: VReg) -> VReg {
        match self {
            Element::BF16 if b.width() == Width::W64 => bf16::widened(b, lanes),
            Element::BF16 => b.shift(ShiftOp::Left, lanes, 16),
            Element::Narrow(dtype) => narrow::widened(b, dtype, lanes),
            Element::Nibbles(dtype, terms) => narrow::apart(b, dtype, terms, lanes),
            Element::Stored(_) => lanes,
        }
    }

    fn narrowed(self, b: &mut Builder, value: VReg) -> VReg {
        match self {
            Element::BF16 if b.width() == Width::W64 => bf16::narrowed(b, value),
            Element::BF16 => {
                let bits = bf16::upper(b, value);
                b.shift(ShiftOp::RightLogical, bits, 16)
            }
            Element::Narrow(dtype) => narrow::narrowed(b, dtype, value),
            // Constants alone are so narrow.
            Element::Nibbles(..) | Element::Stored(_) => value,
        }
    }
}

/// A float rounded to the nearest that a float type of fewer bits holds: an `f32`, or an `f64` to a bfloat16.
pub(crate) fn rounded(b: &mut Builder, dtype: DType, value: VReg) -> VReg {
    if dtype == DType::BF16 {
        return bf16::rounded(b, value);
    }
    let bits = narrow::narrowed(b, dtype, value);
    narrow::widened(b, dtype, bits)
}
