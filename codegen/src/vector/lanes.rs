//! Lanes: how wide they are, how they lie in memory, and constants that depend on their number.

use std::fmt;

/// How wide the lanes of a program are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Width {
    /// Lanes are `i8`.
    W8,
    /// Lanes are `i16`.
    W16,
    /// Lanes are `f32` or `i32`.
    #[default]
    W32,
    /// Lanes are `f64` or `i64`.
    W64,
}

impl Width {
    /// Every one.
    pub const ALL: [Width; 4] = [Width::W8, Width::W16, Width::W32, Width::W64];

    /// Those whose lanes hold floats.
    pub const FLOATS: [Width; 2] = [Width::W32, Width::W64];

    /// Bits of a lane.
    pub const fn bits(self) -> u32 {
        match self {
            Width::W8 => 8,
            Width::W16 => 16,
            Width::W32 => 32,
            Width::W64 => 64,
        }
    }

    /// Whether lanes hold floats; else integers alone.
    pub const fn has_floats(self) -> bool {
        matches!(self, Width::W32 | Width::W64)
    }

    /// Bytes of a lane.
    pub const fn bytes(self) -> u32 {
        self.bits() / 8
    }

    /// A lane whose bits are all one.
    pub const fn ones(self) -> u64 {
        u64::MAX >> (64 - self.bits())
    }

    /// A lane of which the upper bit alone is one.
    pub const fn sign(self) -> u64 {
        1 << (self.bits() - 1)
    }

    /// The bits of a float lane; a number that an `f32` lane does not hold is rounded. Lanes without floats have but zero.
    pub const fn float(self, value: f64) -> u64 {
        match self {
            Width::W8 | Width::W16 => 0,
            Width::W32 => (value as f32).to_bits() as u64,
            Width::W64 => value.to_bits(),
        }
    }

    /// The bits of an integer lane.
    pub const fn int(self, value: i64) -> u64 {
        value.cast_unsigned() & self.ones()
    }

    /// How whole lanes lie in memory.
    pub const fn storage(self) -> Storage {
        match self {
            Width::W8 => Storage::Bits8,
            Width::W16 => Storage::Bits16,
            Width::W32 => Storage::Bits32,
            Width::W64 => Storage::Bits64,
        }
    }
}

/// How lanes are kept in memory: loads and stores convert. A width has storages of its own ([`Storage::all`], law V8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Storage {
    /// The bits of a lane of 8 bits.
    Bits8,
    /// The bits of a lane of 16 bits.
    Bits16,
    /// The bits of a lane of 32 bits.
    Bits32,
    /// The bits of a lane of 64 bits.
    Bits64,
    /// A signed byte of an integer. Stores keep the low bits, here and below.
    I8,
    /// An unsigned byte of an integer.
    U8,
    /// A signed 16-bit integer.
    I16,
    /// An unsigned 16-bit integer.
    U16,
    /// A signed 32-bit integer of an `i64`.
    I32,
    /// An unsigned 32-bit integer of an `i64`.
    U32,
    /// A binary16 of a float. Stores round to the nearest, ties to even; an `f64` is rounded to an `f32` before.
    F16,
    /// An `f32` of an `f64`. Stores round to the nearest, ties to even.
    F32,
    /// Two signed bytes, each one of the 16-bit halves of 32 bits. Stores keep the low bits of each.
    I8Pair,
    /// Two unsigned bytes, each one of the 16-bit halves of 32 bits. Stores keep the low bits of each.
    U8Pair,
}

impl Storage {
    /// Those of a width.
    pub const fn all(width: Width) -> &'static [Storage] {
        use Storage::*;
        match width {
            Width::W8 => &[Bits8],
            Width::W16 => &[Bits16, I8, U8],
            Width::W32 => &[Bits32, I8, U8, I16, U16, F16, I8Pair, U8Pair],
            Width::W64 => &[Bits64, I8, U8, I16, U16, I32, U32, F16, F32],
        }
    }

    /// Bytes of an element.
    pub const fn bytes(self) -> u32 {
        match self {
            Storage::Bits8 | Storage::I8 | Storage::U8 => 1,
            Storage::Bits16
            | Storage::I16
            | Storage::U16
            | Storage::F16
            | Storage::I8Pair
            | Storage::U8Pair => 2,
            Storage::Bits32 | Storage::I32 | Storage::U32 | Storage::F32 => 4,
            Storage::Bits64 => 8,
        }
    }

    /// Whether an element is the two halves of a lane.
    pub const fn is_pair(self) -> bool {
        matches!(self, Storage::I8Pair | Storage::U8Pair)
    }

    /// `n` vectors of such elements, in bytes: `bytes * n * VL`.
    pub const fn vectors(self, n: i64) -> Size {
        Size::lanes(self.bytes() as i64 * n)
    }
}

/// A constant that may depend on the vector width: `fixed + per_lane * VL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// The part that every width shares.
    pub fixed: i64,
    /// The part multiplied by the number of lanes.
    pub per_lane: i64,
}

impl Size {
    /// The same constant at every width.
    pub const fn fixed(fixed: i64) -> Size {
        Size { fixed, per_lane: 0 }
    }

    /// `n` whole vectors of 32-bit lanes, in bytes: `4 * n * VL`. See also [`Storage::vectors`].
    pub const fn vectors(n: i64) -> Size {
        Size { fixed: 0, per_lane: 4 * n }
    }

    /// `n` times the number of lanes.
    pub const fn lanes(n: i64) -> Size {
        Size { fixed: 0, per_lane: n }
    }

    /// The value at `lanes` lanes, clamped to 0..=`most`: what a number of lanes means.
    pub fn lane_at(self, lanes: u32, most: u32) -> u32 {
        self.at(lanes).clamp(0, i64::from(most)) as u32
    }

    /// The value at `lanes` lanes.
    pub fn at(self, lanes: u32) -> i64 {
        self.fixed.wrapping_add(self.per_lane.wrapping_mul(i64::from(lanes)))
    }
}

impl From<i64> for Size {
    fn from(fixed: i64) -> Size {
        Size::fixed(fixed)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.fixed, self.per_lane) {
            (fixed, 0) => write!(f, "{fixed}"),
            (0, lanes) => write!(f, "{lanes}*VL"),
            (fixed, lanes) => write!(f, "{fixed}+{lanes}*VL"),
        }
    }
}
