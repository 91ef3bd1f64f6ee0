//! The nouns of a vector program: registers, addresses, instructions, statements.

use std::fmt;

/// How wide the lanes of a program are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Width {
    /// Lanes are `f32` or `i32`.
    #[default]
    W32,
    /// Lanes are `f64` or `i64`.
    W64,
}

impl Width {
    /// Every one.
    pub const ALL: [Width; 2] = [Width::W32, Width::W64];

    /// Bits of a lane.
    pub const fn bits(self) -> u32 {
        match self {
            Width::W32 => 32,
            Width::W64 => 64,
        }
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

    /// The bits of a float lane; a number that an `f32` lane does not hold is rounded.
    pub const fn float(self, value: f64) -> u64 {
        match self {
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
            Width::W32 => Storage::Bits32,
            Width::W64 => Storage::Bits64,
        }
    }
}

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
    /// Integer to the nearest float, ties to even.
    FromInt,
    /// Float rounded to the nearest that binary16 holds, ties to even; an `f64` is rounded to an `f32` before.
    ToHalf,
    /// `f64` rounded to the nearest that an `f32` holds, ties to even.
    ToSingle,
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
    /// All bits one where `a == b` as integers, else zero.
    IntEq,
    /// All bits one where `a > b` as signed integers, else zero.
    IntGt,
    /// Differences of the 16-bit halves of lanes of 32 bits, wrapping.
    PairSub,
}

impl BinaryOp {
    /// Whether lanes can be reduced by it (law V8): the order of the operands does not matter, but for rounding and NaN.
    pub const fn reduces(self) -> bool {
        use BinaryOp::*;
        matches!(self, Add | Mul | Min | Max | And | Or | Xor | IntAdd | IntMul | IntMin | IntMax)
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

/// Interleaving of two vectors inside each block of 128 bits, in units of 32 or of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interleave {
    /// `a0 b0 a1 b1` of the four parts of a block.
    Low32,
    /// `a2 b2 a3 b3`.
    High32,
    /// `a0 a1 b0 b1`: the lower halves of blocks.
    Low64,
    /// `a2 a3 b2 b3`: the upper halves of blocks.
    High64,
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

/// How lanes are kept in memory: loads and stores convert. A width has storages of its own ([`Storage::all`], law V8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Storage {
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
            Width::W32 => &[Bits32, I8, U8, I16, U16, F16, I8Pair, U8Pair],
            Width::W64 => &[Bits64, I8, U8, I16, U16, I32, U32, F16, F32],
        }
    }

    /// Bytes of an element.
    pub const fn bytes(self) -> u32 {
        match self {
            Storage::I8 | Storage::U8 => 1,
            Storage::I16 | Storage::U16 | Storage::F16 | Storage::I8Pair | Storage::U8Pair => 2,
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

/// A place in the stack frame, made by the register allocator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

/// One instruction. Every instruction reads all its sources before it writes its destination, but see
/// [`Inst::late_use`].
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
    /// A horizontal reduction; the result is in every lane. Lane `i` is combined with lane `i + n/2`, then `n` is halved,
    /// until one lane is left.
    Reduce { op: BinaryOp, dst: VReg, a: VReg },
    /// The mask of the first `n` lanes, `n` clamped to 0..=VL. `n` must not be below `i32::MIN`.
    First { dst: MReg, n: IReg },
    /// The mask of the lanes `low <= i < high`. Neither bound may be below `i32::MIN`.
    Between { dst: MReg, low: IReg, high: IReg },
    /// All bits one in active lanes, else zero.
    MaskLanes { dst: VReg, mask: MReg },
    /// For each active lane the lane of memory at `base + bytes * index[lane]`, `index` being integers and `bytes` those
    /// of a lane; zero in the others.
    Gather { dst: VReg, base: IReg, index: VReg, mask: MReg },
    /// A 64-bit constant.
    IntConst { dst: IReg, value: Size },
    /// A copy.
    IntMove { dst: IReg, src: IReg },
    /// A 64-bit operation.
    Int { op: IntOp, dst: IReg, a: IReg, b: IntSource },
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
    /// Number of integer registers.
    pub ints: u32,
    /// Number of mask registers.
    pub masks: u32,
    /// The statements, in order.
    pub body: Vec<Stmt>,
}
