//! The nouns of a vector program: registers, addresses, instructions, statements.

use std::fmt;

pub use super::lanes::{Size, Storage, Width};

/// A virtual vector register: `VL` lanes of the width of the program, read as floats or as integers by each instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VReg(pub u32);

/// A virtual 64-bit register: an integer or a pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IReg(pub u32);

/// A virtual mask register: some lanes are active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MReg(pub u32);

/// A register of any class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reg {
    /// A vector register.
    Vector(VReg),
    /// An integer register.
    Int(IReg),
    /// A mask register.
    Mask(MReg),
}

impl Reg {
    /// The number of the register inside its class.
    pub fn number(self) -> u32 {
        match self {
            Reg::Vector(VReg(n)) | Reg::Int(IReg(n)) | Reg::Mask(MReg(n)) => n,
        }
    }

    /// The register of the same class with another number.
    pub fn with_number(self, n: u32) -> Reg {
        match self {
            Reg::Vector(_) => Reg::Vector(VReg(n)),
            Reg::Int(_) => Reg::Int(IReg(n)),
            Reg::Mask(_) => Reg::Mask(MReg(n)),
        }
    }
}

impl From<VReg> for Reg {
    fn from(r: VReg) -> Reg {
        Reg::Vector(r)
    }
}
impl From<IReg> for Reg {
    fn from(r: IReg) -> Reg {
        Reg::Int(r)
    }
}
impl From<MReg> for Reg {
    fn from(r: MReg) -> Reg {
        Reg::Mask(r)
    }
}

impl fmt::Display for VReg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}
impl fmt::Display for IReg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "x{}", self.0)
    }
}
impl fmt::Display for MReg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}", self.0)
    }
}
impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reg::Vector(r) => r.fmt(f),
            Reg::Int(r) => r.fmt(f),
            Reg::Mask(r) => r.fmt(f),
        }
    }
}

/// An integer operand: a register or a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntSource {
    /// The value of a register.
    Reg(IReg),
    /// A constant; it must fit in a signed 32-bit number at every width (law V4).
    Const(Size),
}

impl From<IReg> for IntSource {
    fn from(r: IReg) -> IntSource {
        IntSource::Reg(r)
    }
}
impl From<i64> for IntSource {
    fn from(n: i64) -> IntSource {
        IntSource::Const(Size::fixed(n))
    }
}
impl From<Size> for IntSource {
    fn from(n: Size) -> IntSource {
        IntSource::Const(n)
    }
}

/// The address `base + index * scale + disp`, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addr {
    /// The pointer.
    pub base: IReg,
    /// A second register and its factor: 1, 2, 4 or 8.
    pub index: Option<(IReg, u8)>,
    /// A constant displacement; it must fit in 32 bits.
    pub disp: Size,
}

impl Addr {
    /// The address held by `base`.
    pub fn new(base: IReg) -> Addr {
        Addr { base, index: None, disp: Size::default() }
    }

    /// The same address plus `reg * scale` (1, 2, 4 or 8). Replaces an earlier index.
    pub fn indexed(self, reg: IReg, scale: u8) -> Addr {
        Addr { index: Some((reg, scale)), ..self }
    }

    /// The same address, `by` bytes further.
    pub fn offset(self, by: impl Into<Size>) -> Addr {
        let by = by.into();
        let disp = Size { fixed: self.disp.fixed + by.fixed, per_lane: self.disp.per_lane + by.per_lane };
        Addr { disp, ..self }
    }
}

impl From<IReg> for Addr {
    fn from(base: IReg) -> Addr {
        Addr::new(base)
    }
}

/// Lane-wise operation of one operand. Floats and integers are those of the width of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// A copy of the bits.
    Move,
    /// Float square root, correctly rounded; negative operands give NaN.
    Sqrt,
    /// Float sign bit flipped (also of NaN).
    Neg,
    /// Float sign bit cleared (also of NaN).
    Abs,
    /// Float rounding toward −∞.
    Floor,
    /// Float rounding toward +∞.
    Ceil,
    /// Float rounding to the nearest integer, ties to even.
    Nearest,
    /// Float rounding toward zero.
    Trunc,
    /// Float to integer by truncation; NaN and values out of range give the least integer.
    ToInt,
    /// `f64` to `i64` by truncation, saturated; NaN gives 0.
    ToIntSaturated,
    /// `f64` to `i64` by truncation, of magnitudes below 2⁵¹. What infinity and NaN become has zeros in its lower half.
    ToSmallInt,
    /// Integer to the nearest float, ties to even.
    FromInt,
    /// `i64` to `f64`, of magnitudes below 2⁵¹: exact.
    FromSmallInt,
    /// Float rounded to the nearest that binary16 holds, ties to even; an `f64` is rounded to an `f32` before.
    ToHalf,
    /// `f64` rounded to the nearest that an `f32` holds, ties to even.
    ToSingle,
}

impl UnaryOp {
    /// Whether lanes of 64 bits alone have it (law V8).
    pub const fn is_of_doubles(self) -> bool {
        use UnaryOp::*;
        matches!(self, ToSingle | ToIntSaturated | ToSmallInt | FromSmallInt)
    }
}

/// Lane-wise operation of two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// Float sum.
    Add,
    /// Float difference.
    Sub,
    /// Float product.
    Mul,
    /// Float quotient.
    Div,
    /// `if a < b { a } else { b }`: gives `b` when either is NaN, and when the operands are equal zeros.
    Min,
    /// `if a > b { a } else { b }`: gives `b` when either is NaN, and when the operands are equal zeros.
    Max,
    /// Bitwise and.
    And,
    /// Bitwise or.
    Or,
    /// Bitwise exclusive or.
    Xor,
    /// `!a & b`, bitwise.
    AndNot,
    /// Integer sum, wrapping.
    IntAdd,
    /// Integer difference, wrapping.
    IntSub,
    /// Integer product, wrapping.
    IntMul,
    /// Integer minimum.
    IntMin,
    /// Integer maximum.
    IntMax,
    /// Minimum of unsigned integers.
    UintMin,
    /// Maximum of unsigned integers.
    UintMax,
    /// All bits one where `a == b` as integers, else zero.
    IntEq,
    /// All bits one where `a > b` as signed integers, else zero.
    IntGt,
    /// Differences of the 16-bit halves of lanes of 32 bits, wrapping.
    PairSub,
    /// `a` shifted left by so many bits as `b` says, modulo those of a lane.
    ShiftLeft,
    /// `a` shifted right by so many bits as `b` says, modulo those of a lane, filling with zeros.
    ShiftRight,
    /// Quotients of unsigned integers in lanes of 8 bits, truncated; by 0 it is 0.
    UintQuot,
    /// Products of the lower halves of lanes of 64 bits, unsigned.
    LowMul,
    /// Products of the 32-bit halves of lanes of 64 bits, wrapping.
    HalfMul,
    /// Sums of the 32-bit halves of lanes of 64 bits, wrapping.
    HalfAdd,
}

impl BinaryOp {
    /// Whether operands are floats.
    pub const fn is_float(self) -> bool {
        use BinaryOp::*;
        matches!(self, Add | Sub | Mul | Div | Min | Max)
    }

    /// Whether lanes can be reduced by it (law V8): the order of the operands does not matter, but for rounding and NaN.
    pub const fn reduces(self) -> bool {
        use BinaryOp::*;
        matches!(
            self,
            Add | Mul | Min | Max | And | Or | Xor | IntAdd | IntMul | IntMin | IntMax | UintMin | UintMax
        )
    }
}

/// Fused multiply-add forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FmaOp {
    /// `a * b + c`.
    MulAdd,
    /// `a * b - c`.
    MulSub,
    /// `c - a * b`.
    NegMulAdd,
    /// `c - a * b` of `f32`, rounded once where the instruction is missing too, but for ties of the rounding from `f64`.
    NegMulAddFused,
    /// `a * b - c` of `f64`, where `c` is the rounded product, exact where the instruction is missing too: what rounding
    /// lost. Factors are below 2^996.
    LostProduct,
}

/// Float comparison. All but `Ne` and `Unordered` are false when an operand is NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compare {
    /// Equal.
    Eq,
    /// Different or unordered.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// At least one operand is NaN.
    Unordered,
}

/// Shift of integer lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShiftOp {
    /// Left.
    Left,
    /// Right, filling with zeros.
    RightLogical,
    /// Right, filling with the sign.
    RightArithmetic,
}

/// Interleaving of two vectors inside each block of 128 bits, in units of so many bits: `a0 b0 a1 b1 …` of the lower or
/// of the upper halves of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "half and unit are the name")]
pub enum Interleave {
    Low8,
    High8,
    Low16,
    High16,
    Low32,
    High32,
    Low64,
    High64,
}

impl Interleave {
    /// Those of the lower and of the upper halves, of units of 1, 2, 4 or 8 bytes.
    pub const fn halves(bytes: u32) -> [Interleave; 2] {
        match bytes {
            1 => [Interleave::Low8, Interleave::High8],
            2 => [Interleave::Low16, Interleave::High16],
            4 => [Interleave::Low32, Interleave::High32],
            _ => [Interleave::Low64, Interleave::High64],
        }
    }

    /// Bytes of a unit.
    pub const fn bytes(self) -> u32 {
        match self {
            Interleave::Low8 | Interleave::High8 => 1,
            Interleave::Low16 | Interleave::High16 => 2,
            Interleave::Low32 | Interleave::High32 => 4,
            Interleave::Low64 | Interleave::High64 => 8,
        }
    }

    /// Whether the upper halves are meant.
    pub const fn is_high(self) -> bool {
        use Interleave::*;
        matches!(self, High8 | High16 | High32 | High64)
    }
}

/// A level of the processor's caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheLevel {
    /// The nearest: for what is needed within a few hundred cycles.
    First,
    /// The next: for what is needed later, and would drive other data from the first level.
    Second,
}

/// 64-bit integer operation, wrapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntOp {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Bitwise and.
    And,
    /// Bitwise or.
    Or,
    /// Signed minimum.
    Min,
    /// Signed maximum.
    Max,
    /// Shift left by a constant 0..64.
    ShiftLeft,
    /// Arithmetic shift right by a constant 0..64.
    ShiftRight,
}

/// 64-bit integer operation of one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntUnaryOp {
    /// How many bits are 1.
    CountOnes,
    /// How many bits below the lowest one that is 1; 64 where none is.
    TrailingZeros,
}

/// Signed 64-bit comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntCompare {
    /// Equal.
    Eq,
    /// Different.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
}

/// A place in the stack frame, made by the register allocator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

/// One instruction. Every instruction reads all its sources before it writes its destination, but see
/// [`Inst::late_uses`].
#[allow(missing_docs, reason = "the operands are named in the line above each instruction")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inst {
    /// `VL` elements from unaligned memory.
    Load { dst: VReg, addr: Addr, from: Storage },
    /// Active lanes from memory, zero in the others, whose memory is not touched.
    LoadMasked { dst: VReg, addr: Addr, from: Storage, mask: MReg },
    /// One element in every lane.
    LoadSplat { dst: VReg, addr: Addr, from: Storage },
    /// The elements of the first 128 bits of lanes, zero in the other lanes.
    LoadQuad { dst: VReg, addr: Addr, from: Storage },
    /// `VL` elements to unaligned memory.
    Store { src: VReg, addr: Addr, to: Storage },
    /// Active lanes to memory; the memory of the others is not touched.
    StoreMasked { src: VReg, addr: Addr, to: Storage, mask: MReg },
    /// Lane 0 to memory.
    StoreLane { src: VReg, addr: Addr, to: Storage },
    /// The lanes of the first 128 bits to memory.
    StoreQuad { src: VReg, addr: Addr, to: Storage },
    /// The same bits in every lane.
    Splat { dst: VReg, bits: u64 },
    /// The low bits of an integer register in every lane.
    SplatInt { dst: VReg, src: IReg },
    /// Lane `i` holds the integer `i`.
    Iota { dst: VReg },
    /// A lane-wise operation of one operand.
    Unary { op: UnaryOp, dst: VReg, a: VReg },
    /// A lane-wise operation of two operands.
    Binary { op: BinaryOp, dst: VReg, a: VReg, b: VReg },
    /// A lane-wise fused multiply-add.
    Fma { op: FmaOp, dst: VReg, a: VReg, b: VReg, c: VReg },
    /// `c + a₀ · b₀ + a₁ · b₁` as `i32`, wrapping, over the low and high halves as signed 16-bit integers.
    PairDot { dst: VReg, a: VReg, b: VReg, c: VReg },
    /// `c + Σ aᵢ · bᵢ` as `i32`, wrapping, over the four bytes of lanes of 32 bits: unsigned ones of `a`, signed ones of
    /// `b`. Not every instruction set has it ([`Isa::has_byte_dot`](super::Isa::has_byte_dot)).
    ByteDot { dst: VReg, a: VReg, b: VReg, c: VReg },
    /// All bits one in the lanes where the comparison holds, else zero.
    Compare { op: Compare, dst: VReg, a: VReg, b: VReg },
    /// `yes` in the lanes whose sign bit of `mask` is set, else `no`.
    Blend { dst: VReg, mask: VReg, yes: VReg, no: VReg },
    /// `yes` in the lanes where the comparison of `a` and `b` holds, else `no`.
    Select { op: Compare, dst: VReg, a: VReg, b: VReg, yes: VReg, no: VReg },
    /// A shift of integer lanes by less than their width.
    Shift { op: ShiftOp, dst: VReg, a: VReg, by: u8 },
    /// An interleaving inside each block of 128 bits.
    Interleave { op: Interleave, dst: VReg, a: VReg, b: VReg },
    /// Lane `i` is lane `2i`, or `2i + 1` if `odd`, of `a` followed by `b`.
    Deinterleave { dst: VReg, a: VReg, b: VReg, odd: bool },
    /// Lane `i` is lane `i + by` of `low` followed by `high`, `by` clamped to 0..=VL.
    Slide { dst: VReg, low: VReg, high: VReg, by: Size },
    /// One lane in every lane, its number clamped to 0..VL.
    SplatLane { dst: VReg, a: VReg, lane: Size },
    /// `VL` of the `2·VL` binary16 elements that a register of 32-bit lanes has room for, as lanes: the lower half of them, or
    /// the upper one.
    FromHalves { dst: VReg, a: VReg, high: bool },
    /// Lanes of 32 bits as binary16 elements side by side, rounded as stores do: those of `low`, then those of `high`.
    ToHalves { dst: VReg, low: VReg, high: VReg },
    /// A horizontal reduction; the result is in every lane. Lane `i` is combined with lane `i + n/2`, then `n` is halved,
    /// until one lane is left.
    Reduce { op: BinaryOp, dst: VReg, a: VReg },
    /// The mask of the first `n` lanes, `n` clamped to 0..=VL. `n` must not be below `i32::MIN`.
    First { dst: MReg, n: IReg },
    /// The mask of the lanes `low <= i < high`. Neither bound may be below `i32::MIN`.
    Between { dst: MReg, low: IReg, high: IReg },
    /// All bits one in active lanes, else zero.
    MaskLanes { dst: VReg, mask: MReg },
    /// For each active lane, all without a mask, the element of memory at `base + bytes * index[lane]`, `index` being
    /// integers and `bytes` those of an element; zero in the others, whose memory is not touched.
    Gather { dst: VReg, base: IReg, index: VReg, from: Storage, mask: Option<MReg> },
    /// A 64-bit constant.
    IntConst { dst: IReg, value: Size },
    /// A copy.
    IntMove { dst: IReg, src: IReg },
    /// A 64-bit operation.
    Int { op: IntOp, dst: IReg, a: IReg, b: IntSource },
    /// A 64-bit operation of one operand.
    IntUnary { op: IntUnaryOp, dst: IReg, a: IReg },
    /// `⌊n / VL⌋`.
    DivLanes { dst: IReg, n: IReg },
    /// Bit `i` is the sign bit of lane `i`; the others are 0.
    SignBits { dst: IReg, a: VReg },
    /// A 64-bit load.
    IntLoad { dst: IReg, addr: Addr },
    /// A 64-bit store.
    IntStore { src: IReg, addr: Addr },
    /// A hint that the cache line at the address will be read, and where it shall wait. Never faults.
    Prefetch { level: CacheLevel, addr: Addr },
    /// Allocated programs only: a register from its stack slot.
    Reload { dst: Reg, slot: Slot },
    /// Allocated programs only: a register to its stack slot.
    Spill { src: Reg, slot: Slot },
    /// Allocated programs only: parameter `index`, passed on the stack.
    StackParam { dst: IReg, index: u32 },
}

/// A statement of a structured program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stmt {
    /// An instruction.
    Inst(Inst),
    /// A counted loop.
    Loop(Loop),
    /// A conditional.
    If(If),
}

/// A loop whose body runs `count` times (never, if `count <= 0`).
///
/// The counter goes `count, count-1, …, 1`; the body may read it but not write it (law V5), and it is dead after the loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loop {
    /// Holds the number of iterations left, this one included.
    pub counter: IReg,
    /// Allocated programs only: the counter lives in this slot, and `counter` is meaningless.
    pub counter_slot: Option<Slot>,
    /// How many times the body runs.
    pub count: IntSource,
    /// What is repeated.
    pub body: Vec<Stmt>,
}

/// A conditional on a comparison of integers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct If {
    /// The comparison.
    pub op: IntCompare,
    /// Its left side.
    pub a: IReg,
    /// Its right side.
    pub b: IntSource,
    /// Runs when the comparison holds.
    pub then: Vec<Stmt>,
    /// Runs when it does not.
    pub otherwise: Vec<Stmt>,
}

/// A vector program: a leaf function of 64-bit parameters without a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// A name for listings.
    pub name: String,
    /// The width of its lanes.
    pub width: Width,
    /// The registers that hold the parameters at entry.
    pub params: Vec<IReg>,
    /// Number of vector registers; all numbers in use are below it.
    pub vectors: u32,
    /// How many hardware registers they should do with, where there is another choice than all.
    pub at_most: Option<u32>,
    /// Number of integer registers.
    pub ints: u32,
    /// Number of mask registers.
    pub masks: u32,
    /// The statements, in order.
    pub body: Vec<Stmt>,
}
