//! Writing vector programs.

use indexmap::IndexMap;

use super::ir::{
    Addr, BinaryOp, CacheLevel, Compare, FmaOp, IReg, If, Inst, IntCompare, IntOp, IntSource, IntUnaryOp,
    Interleave, Loop, MReg, Program, ShiftOp, Size, Stmt, Storage, UnaryOp, VReg, Width,
};

/// Appends statements to a program.
///
/// Registers are mutable: a method that returns a register makes a fresh one, and the `…_into` methods write an
/// existing one, which is how loops carry values.
#[derive(Debug)]
pub struct Builder {
    name: String,
    width: Width,
    params: Vec<IReg>,
    vectors: u32,
    ints: u32,
    masks: u32,
    constants: IndexMap<u64, VReg>,
    blocks: Vec<Vec<Stmt>>,
}

impl Builder {
    /// An empty program of 32-bit lanes.
    pub fn new(name: impl Into<String>) -> Builder {
        Builder::of_width(name, Width::W32)
    }

    /// An empty program.
    pub fn of_width(name: impl Into<String>, width: Width) -> Builder {
        Builder {
            name: name.into(),
            width,
            params: Vec::new(),
            vectors: 0,
            ints: 0,
            masks: 0,
            constants: IndexMap::new(),
            blocks: vec![Vec::new()],
        }
    }

    /// The finished program.
    pub fn finish(mut self) -> Program {
        let rest = self.blocks.pop().unwrap_or_default();
        let mut body: Vec<Stmt> =
            self.constants.iter().map(|(&bits, &dst)| Stmt::Inst(Inst::Splat { dst, bits })).collect();
        body.extend(rest);
        Program {
            name: self.name,
            width: self.width,
            params: self.params,
            at_most: None,
            vectors: self.vectors,
            ints: self.ints,
            masks: self.masks,
            body,
        }
    }

    /// The width of the lanes.
    pub fn width(&self) -> Width {
        self.width
    }

    /// Adds a parameter.
    pub fn param(&mut self) -> IReg {
        let r = self.int();
        self.params.push(r);
        r
    }

    /// Adds `N` parameters.
    pub fn params<const N: usize>(&mut self) -> [IReg; N] {
        std::array::from_fn(|_| self.param())
    }

    /// A fresh vector register without a value.
    pub fn vector(&mut self) -> VReg {
        self.vectors += 1;
        VReg(self.vectors - 1)
    }

    /// A fresh integer register without a value.
    pub fn int(&mut self) -> IReg {
        self.ints += 1;
        IReg(self.ints - 1)
    }

    /// Appends an instruction.
    pub fn emit(&mut self, inst: Inst) {
        self.blocks.last_mut().expect("the outermost block stays until finish").push(Stmt::Inst(inst));
    }

    fn emit_vector(&mut self, make: impl FnOnce(VReg) -> Inst) -> VReg {
        let dst = self.vector();
        self.emit(make(dst));
        dst
    }

    fn emit_int(&mut self, make: impl FnOnce(IReg) -> Inst) -> IReg {
        let dst = self.int();
        self.emit(make(dst));
        dst
    }

    fn nested(&mut self, body: impl FnOnce(&mut Builder)) -> Vec<Stmt> {
        self.blocks.push(Vec::new());
        body(self);
        self.blocks.pop().expect("pushed above")
    }

    fn push(&mut self, stmt: Stmt) {
        self.blocks.last_mut().expect("the outermost block stays until finish").push(stmt);
    }

    // ---- control ----

    /// Repeats `body` `count` times.
    pub fn repeat(&mut self, count: impl Into<IntSource>, body: impl FnOnce(&mut Builder)) {
        self.repeat_counted(count, |b, _| body(b));
    }

    /// Repeats `body` `count` times; the body may read the number of iterations left, itself included.
    pub fn repeat_counted(&mut self, count: impl Into<IntSource>, body: impl FnOnce(&mut Builder, IReg)) {
        let counter = self.int();
        let body = self.nested(|b| body(b, counter));
        self.push(Stmt::Loop(Loop { counter, counter_slot: None, count: count.into(), body }));
    }

    /// Runs `then` if the comparison holds.
    pub fn when(
        &mut self,
        op: IntCompare,
        a: IReg,
        b: impl Into<IntSource>,
        then: impl FnOnce(&mut Builder),
    ) {
        self.when_else(op, a, b, then, |_| {});
    }

    /// Runs `then` if the comparison holds, else `otherwise`.
    pub fn when_else(
        &mut self,
        op: IntCompare,
        a: IReg,
        b: impl Into<IntSource>,
        then: impl FnOnce(&mut Builder),
        otherwise: impl FnOnce(&mut Builder),
    ) {
        let then = self.nested(then);
        let otherwise = self.nested(otherwise);
        self.push(Stmt::If(If { op, a, b: b.into(), then, otherwise }));
    }

    /// Covers `n` elements with vectors: `body` is written twice, for whole vectors and for the masked tail.
    ///
    /// After each whole vector every pointer advances by its step; after the loop they point at the tail.
    pub fn for_lanes(
        &mut self,
        n: IReg,
        pointers: &[(IReg, Size)],
        mut body: impl FnMut(&mut Builder, Option<MReg>),
    ) {
        let whole = self.div_lanes(n);
        self.repeat(whole, |b| {
            body(b, None);
            for &(pointer, step) in pointers {
                b.bump(pointer, step);
            }
        });
        let rest = self.int_op(IntOp::And, n, Size { fixed: -1, per_lane: 1 });
        self.when(IntCompare::Gt, rest, 0, |b| {
            let mask = b.first(rest);
            body(b, Some(mask));
        });
    }

    // ---- integers ----

    /// A 64-bit constant.
    pub fn int_const(&mut self, value: impl Into<Size>) -> IReg {
        let value = value.into();
        self.emit_int(|dst| Inst::IntConst { dst, value })
    }

    /// A copy.
    pub fn int_move(&mut self, src: IReg) -> IReg {
        self.emit_int(|dst| Inst::IntMove { dst, src })
    }

    /// A copy into an existing register.
    pub fn int_move_into(&mut self, dst: IReg, src: IReg) {
        self.emit(Inst::IntMove { dst, src });
    }

    /// A 64-bit operation.
    pub fn int_op(&mut self, op: IntOp, a: IReg, b: impl Into<IntSource>) -> IReg {
        let b = b.into();
        self.emit_int(|dst| Inst::Int { op, dst, a, b })
    }

    /// A 64-bit operation of one operand.
    pub fn int_unary(&mut self, op: IntUnaryOp, a: IReg) -> IReg {
        self.emit_int(|dst| Inst::IntUnary { op, dst, a })
    }

    /// A 64-bit store.
    pub fn int_store(&mut self, src: IReg, addr: impl Into<Addr>) {
        self.emit(Inst::IntStore { src, addr: addr.into() });
    }

    /// `a + b`.
    pub fn int_add(&mut self, a: IReg, b: impl Into<IntSource>) -> IReg {
        self.int_op(IntOp::Add, a, b)
    }

    /// `a * b`.
    pub fn int_mul(&mut self, a: IReg, b: impl Into<IntSource>) -> IReg {
        self.int_op(IntOp::Mul, a, b)
    }

    /// Adds to a register in place.
    pub fn bump(&mut self, pointer: IReg, by: impl Into<IntSource>) {
        let b = by.into();
        if b == IntSource::Const(Size::default()) {
            return;
        }
        self.emit(Inst::Int { op: IntOp::Add, dst: pointer, a: pointer, b });
    }

    /// `⌊n / VL⌋`.
    pub fn div_lanes(&mut self, n: IReg) -> IReg {
        self.emit_int(|dst| Inst::DivLanes { dst, n })
    }

    /// Bit `i` is the sign bit of lane `i`.
    pub fn sign_bits(&mut self, a: VReg) -> IReg {
        self.emit_int(|dst| Inst::SignBits { dst, a })
    }

    /// A 64-bit load.
    pub fn int_load(&mut self, addr: impl Into<Addr>) -> IReg {
        let addr = addr.into();
        self.emit_int(|dst| Inst::IntLoad { dst, addr })
    }

    /// The mask of the first `n` lanes.
    pub fn first(&mut self, n: IReg) -> MReg {
        self.masks += 1;
        let dst = MReg(self.masks - 1);
        self.emit(Inst::First { dst, n });
        dst
    }

    /// The mask of the lanes `low <= i < high`.
    pub fn between(&mut self, low: IReg, high: IReg) -> MReg {
        self.masks += 1;
        let dst = MReg(self.masks - 1);
        self.emit(Inst::Between { dst, low, high });
        dst
    }

    /// All bits one in active lanes, else zero.
    pub fn mask_lanes(&mut self, mask: MReg) -> VReg {
        self.emit_vector(|dst| Inst::MaskLanes { dst, mask })
    }

    // ---- memory ----

    /// A whole vector, or its active lanes.
    pub fn load(&mut self, addr: impl Into<Addr>, mask: Option<MReg>) -> VReg {
        self.load_from(self.width.storage(), addr, mask)
    }

    /// A whole vector, or its active lanes, converted from what memory holds.
    pub fn load_from(&mut self, from: Storage, addr: impl Into<Addr>, mask: Option<MReg>) -> VReg {
        let addr = addr.into();
        self.emit_vector(|dst| match mask {
            None => Inst::Load { dst, addr, from },
            Some(mask) => Inst::LoadMasked { dst, addr, from, mask },
        })
    }

    /// One element in every lane.
    pub fn load_splat(&mut self, addr: impl Into<Addr>) -> VReg {
        self.load_splat_from(self.width.storage(), addr)
    }

    /// One element in every lane, converted from what memory holds.
    pub fn load_splat_from(&mut self, from: Storage, addr: impl Into<Addr>) -> VReg {
        let addr = addr.into();
        self.emit_vector(|dst| Inst::LoadSplat { dst, addr, from })
    }

    /// The elements of the first 128 bits of lanes, zero in the others.
    pub fn load_quad(&mut self, addr: impl Into<Addr>) -> VReg {
        self.load_quad_from(self.width.storage(), addr)
    }

    /// The elements of the first 128 bits of lanes, converted from what memory holds, zero in the others.
    pub fn load_quad_from(&mut self, from: Storage, addr: impl Into<Addr>) -> VReg {
        let addr = addr.into();
        self.emit_vector(|dst| Inst::LoadQuad { dst, addr, from })
    }

    /// For each active lane the lane of memory at `base + bytes * index[lane]`; zero in the others.
    pub fn gather(&mut self, base: IReg, index: VReg, mask: impl Into<Option<MReg>>) -> VReg {
        self.gather_from(self.width.storage(), base, index, mask)
    }

    /// For each active lane the element at `base + bytes * index[lane]`, converted from what memory holds; zero in the
    /// others.
    pub fn gather_from(
        &mut self,
        from: Storage,
        base: IReg,
        index: VReg,
        mask: impl Into<Option<MReg>>,
    ) -> VReg {
        let mask = mask.into();
        self.emit_vector(|dst| Inst::Gather { dst, base, index, from, mask })
    }

    /// Stores a whole vector, or its active lanes.
    pub fn store(&mut self, src: VReg, addr: impl Into<Addr>, mask: Option<MReg>) {
        self.store_to(self.width.storage(), src, addr, mask);
    }

    /// Stores a whole vector, or its active lanes, converted to what memory holds.
    pub fn store_to(&mut self, to: Storage, src: VReg, addr: impl Into<Addr>, mask: Option<MReg>) {
        let addr = addr.into();
        self.emit(match mask {
            None => Inst::Store { src, addr, to },
            Some(mask) => Inst::StoreMasked { src, addr, to, mask },
        });
    }

    /// Stores lane 0.
    pub fn store_lane(&mut self, src: VReg, addr: impl Into<Addr>) {
        self.store_lane_to(self.width.storage(), src, addr);
    }

    /// Stores lane 0, converted to what memory holds.
    pub fn store_lane_to(&mut self, to: Storage, src: VReg, addr: impl Into<Addr>) {
        self.emit(Inst::StoreLane { src, addr: addr.into(), to });
    }

    /// Stores the lanes of the first 128 bits.
    pub fn store_quad(&mut self, src: VReg, addr: impl Into<Addr>) {
        self.store_quad_to(self.width.storage(), src, addr);
    }

    /// Stores the lanes of the first 128 bits, converted to what memory holds.
    pub fn store_quad_to(&mut self, to: Storage, src: VReg, addr: impl Into<Addr>) {
        self.emit(Inst::StoreQuad { src, addr: addr.into(), to });
    }

    // ---- vectors ----

    /// A float in every lane. It is made once, at the start of the program: do not write to the register.
    pub fn constant(&mut self, value: impl Into<f64>) -> VReg {
        let bits = self.width.float(value.into());
        self.constant_lane(bits)
    }

    /// An integer in every lane; see [`Builder::constant`].
    pub fn constant_int(&mut self, value: impl Into<i64>) -> VReg {
        let bits = self.width.int(value.into());
        self.constant_lane(bits)
    }

    /// A constant of 32 bits; see [`Builder::constant`]. Wider lanes are filled up with zeros.
    pub fn constant_bits(&mut self, bits: u32) -> VReg {
        self.constant_lane(bits.into())
    }

    /// A constant given by its bits; see [`Builder::constant`].
    pub fn constant_lane(&mut self, bits: u64) -> VReg {
        if let Some(&r) = self.constants.get(&bits) {
            return r;
        }
        let r = self.vector();
        self.constants.insert(bits, r);
        r
    }

    /// The bits of a register that is a constant.
    pub(crate) fn bits_of(&self, r: VReg) -> Option<u64> {
        self.constants.iter().find(|it| *it.1 == r).map(|it| *it.0)
    }

    /// A fresh register that starts with the same value in every lane and may be written later.
    pub fn splat(&mut self, value: impl Into<f64>) -> VReg {
        let bits = self.width.float(value.into());
        self.splat_lane(bits)
    }

    /// A fresh register that starts with the same bits in every lane and may be written later.
    pub fn splat_lane(&mut self, bits: u64) -> VReg {
        self.emit_vector(|dst| Inst::Splat { dst, bits })
    }

    /// Overwrites a register with a constant.
    pub fn splat_into(&mut self, dst: VReg, value: impl Into<f64>) {
        let bits = self.width.float(value.into());
        self.emit(Inst::Splat { dst, bits });
    }

    /// The low bits of an integer in every lane.
    pub fn splat_int(&mut self, src: IReg) -> VReg {
        self.emit_vector(|dst| Inst::SplatInt { dst, src })
    }

    /// The lane numbers `0, 1, …` as integers.
    pub fn iota(&mut self) -> VReg {
        self.emit_vector(|dst| Inst::Iota { dst })
    }

    /// A lane-wise operation of one operand.
    pub fn unary(&mut self, op: UnaryOp, a: VReg) -> VReg {
        self.emit_vector(|dst| Inst::Unary { op, dst, a })
    }

    /// A lane-wise operation of two operands.
    pub fn binary(&mut self, op: BinaryOp, a: VReg, b: VReg) -> VReg {
        self.emit_vector(|dst| Inst::Binary { op, dst, a, b })
    }

    /// A lane-wise operation into an existing register.
    pub fn binary_into(&mut self, op: BinaryOp, dst: VReg, a: VReg, b: VReg) {
        self.emit(Inst::Binary { op, dst, a, b });
    }

    /// Overwrites a register with a copy of another.
    pub fn assign(&mut self, dst: VReg, src: VReg) {
        self.emit(Inst::Unary { op: UnaryOp::Move, dst, a: src });
    }

    /// `a + b`.
    pub fn add(&mut self, a: VReg, b: VReg) -> VReg {
        self.binary(BinaryOp::Add, a, b)
    }

    /// `a - b`.
    pub fn sub(&mut self, a: VReg, b: VReg) -> VReg {
        self.binary(BinaryOp::Sub, a, b)
    }

    /// `a * b`.
    pub fn mul(&mut self, a: VReg, b: VReg) -> VReg {
        self.binary(BinaryOp::Mul, a, b)
    }

    /// `a / b`.
    pub fn div(&mut self, a: VReg, b: VReg) -> VReg {
        self.binary(BinaryOp::Div, a, b)
    }

    /// `a * b + c`, rounded once.
    pub fn fma(&mut self, a: VReg, b: VReg, c: VReg) -> VReg {
        self.emit_vector(|dst| Inst::Fma { op: FmaOp::MulAdd, dst, a, b, c })
    }

    /// `a * b - c`, rounded once.
    pub fn mul_sub(&mut self, a: VReg, b: VReg, c: VReg) -> VReg {
        self.emit_vector(|dst| Inst::Fma { op: FmaOp::MulSub, dst, a, b, c })
    }

    /// `acc += a * b`, rounded once.
    pub fn fma_into(&mut self, acc: VReg, a: VReg, b: VReg) {
        self.emit(Inst::Fma { op: FmaOp::MulAdd, dst: acc, a, b, c: acc });
    }

    /// `acc += Σ aᵢ · bᵢ` over unsigned bytes of `a` and signed ones of `b`; see [`Inst::ByteDot`].
    pub fn byte_dot_into(&mut self, acc: VReg, a: VReg, b: VReg) {
        self.emit(Inst::ByteDot { dst: acc, a, b, c: acc });
    }

    /// `acc += a₀ · b₀ + a₁ · b₁` over 16-bit halves; see [`Inst::PairDot`].
    pub fn pair_dot_into(&mut self, acc: VReg, a: VReg, b: VReg) {
        self.emit(Inst::PairDot { dst: acc, a, b, c: acc });
    }

    /// `c - a * b`, rounded once.
    pub fn neg_fma(&mut self, a: VReg, b: VReg, c: VReg) -> VReg {
        self.emit_vector(|dst| Inst::Fma { op: FmaOp::NegMulAdd, dst, a, b, c })
    }

    /// `c - a * b`, rounded once on targets without the instruction too, where it takes a few more.
    pub fn neg_fma_fused(&mut self, a: VReg, b: VReg, c: VReg) -> VReg {
        self.emit_vector(|dst| Inst::Fma { op: FmaOp::NegMulAddFused, dst, a, b, c })
    }

    /// What `product`, the rounded product of two `f64`, lost.
    pub fn lost_product(&mut self, a: VReg, b: VReg, product: VReg) -> VReg {
        self.emit_vector(|dst| Inst::Fma { op: FmaOp::LostProduct, dst, a, b, c: product })
    }

    /// The larger operand; NaN if either is NaN (the rule of ONNX `Max`, `Relu` and `Clip`).
    pub fn max(&mut self, a: VReg, b: VReg) -> VReg {
        self.propagating(BinaryOp::Max, a, b)
    }

    /// The smaller operand; NaN if either is NaN.
    pub fn min(&mut self, a: VReg, b: VReg) -> VReg {
        self.propagating(BinaryOp::Min, a, b)
    }

    /// [`BinaryOp::Min`] and [`BinaryOp::Max`] return their second operand when either is NaN, so one instruction is
    /// enough when the first is a number.
    fn propagating(&mut self, op: BinaryOp, a: VReg, b: VReg) -> VReg {
        if self.is_number(a) {
            return self.binary(op, a, b);
        }
        if self.is_number(b) {
            return self.binary(op, b, a);
        }
        let picked = self.binary(op, a, b);
        self.select(Compare::Unordered, a, a, a, picked)
    }

    fn is_number(&self, r: VReg) -> bool {
        let is_nan = |bits: u64| match self.width {
            Width::W8 | Width::W16 => true,
            Width::W32 => f32::from_bits(bits as u32).is_nan(),
            Width::W64 => f64::from_bits(bits).is_nan(),
        };
        self.constants.iter().any(|(&bits, &v)| v == r && !is_nan(bits))
    }

    /// All bits one where the comparison holds, else zero.
    pub fn compare(&mut self, op: Compare, a: VReg, b: VReg) -> VReg {
        self.emit_vector(|dst| Inst::Compare { op, dst, a, b })
    }

    /// `yes` where the comparison of `a` and `b` holds, else `no`.
    pub fn select(&mut self, op: Compare, a: VReg, b: VReg, yes: VReg, no: VReg) -> VReg {
        self.emit_vector(|dst| Inst::Select { op, dst, a, b, yes, no })
    }

    /// `yes` where the sign bit of `mask` is set, else `no`.
    pub fn blend(&mut self, mask: VReg, yes: VReg, no: VReg) -> VReg {
        self.emit_vector(|dst| Inst::Blend { dst, mask, yes, no })
    }

    /// A shift of integer lanes.
    pub fn shift(&mut self, op: ShiftOp, a: VReg, by: u8) -> VReg {
        self.emit_vector(|dst| Inst::Shift { op, dst, a, by })
    }

    /// An interleaving inside each block of 128 bits.
    pub fn interleave(&mut self, op: Interleave, a: VReg, b: VReg) -> VReg {
        self.emit_vector(|dst| Inst::Interleave { op, dst, a, b })
    }

    /// The even or odd lanes of `a` followed by `b`.
    pub fn deinterleave(&mut self, a: VReg, b: VReg, odd: bool) -> VReg {
        self.emit_vector(|dst| Inst::Deinterleave { dst, a, b, odd })
    }

    /// Lane `i` is lane `i + by` of `low` followed by `high`.
    pub fn slide(&mut self, low: VReg, high: VReg, by: impl Into<Size>) -> VReg {
        let by = by.into();
        self.emit_vector(|dst| Inst::Slide { dst, low, high, by })
    }

    /// One lane in every lane.
    pub fn splat_lane_of(&mut self, a: VReg, lane: impl Into<Size>) -> VReg {
        let lane = lane.into();
        self.emit_vector(|dst| Inst::SplatLane { dst, a, lane })
    }

    /// Lanes of the lower half of the binary16 elements that a register holds, or of the upper half.
    pub fn from_halves(&mut self, a: VReg, high: bool) -> VReg {
        self.emit_vector(|dst| Inst::FromHalves { dst, a, high })
    }

    /// Lanes of two registers as binary16 elements side by side.
    pub fn to_halves(&mut self, low: VReg, high: VReg) -> VReg {
        self.emit_vector(|dst| Inst::ToHalves { dst, low, high })
    }

    /// A horizontal reduction; the result is in every lane.
    pub fn reduce(&mut self, op: BinaryOp, a: VReg) -> VReg {
        self.emit_vector(|dst| Inst::Reduce { op, dst, a })
    }

    /// A hint that memory will be read.
    pub fn prefetch(&mut self, level: CacheLevel, addr: impl Into<Addr>) {
        self.emit(Inst::Prefetch { level, addr: addr.into() });
    }
}
