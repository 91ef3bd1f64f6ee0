//! Four-lane code through Cranelift, for every target that it supports.
//!
//! Registers become variables of the function builder, which makes SSA form of them. Where the target has no fused
//! multiply-add, [`Inst::Fma`] becomes a multiplication and an addition; all else means the same on every target.
//! A mask is an integer with a bit for each lane; masked accesses are conditional scalar accesses, unless all lanes are
//! active.

mod memory;

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::immediates::Ieee32;
use cranelift_codegen::ir::types::{F32, F32X4, I8X16, I16X8, I32, I32X4, I64};
use cranelift_codegen::ir::{
    AbiParam, Block, BlockArg, ConstantData, Endianness, Function, InstBuilder, MemFlagsData, Signature,
    Type, Value,
};
use cranelift_codegen::isa::{CallConv, TargetIsa};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Variable};
use target_lexicon::Architecture;

use crate::vector::ir::{
    Addr, BinaryOp, Compare, FmaOp, IReg, If, Inst, IntCompare, IntOp, IntSource, Interleave, Loop, MReg,
    Program, ReduceOp, ShiftOp, Stmt, Storage, UnaryOp, VReg,
};

/// The width of this encoder.
const LANES: u32 = 4;

/// What the encoder must know of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// The target has a fused multiply-add instruction.
    pub fused: bool,
    /// The target is x86, whose conversion to integers gives `i32::MIN` where it cannot represent the result.
    pub x86: bool,
}

impl Features {
    /// The features of a Cranelift target.
    pub fn of(isa: &dyn TargetIsa) -> Features {
        let x86 = isa.triple().architecture == Architecture::X86_64;
        let has_fma =
            isa.isa_flags().iter().any(|flag| flag.name == "has_fma" && flag.as_bool().unwrap_or(false));
        Features { fused: !x86 || has_fma, x86 }
    }
}

/// The signature of every vector program: 64-bit parameters, no result, System V on every operating system of x86.
pub fn signature(params: usize, call_conv: CallConv) -> Signature {
    let mut signature = Signature::new(call_conv);
    signature.params.extend(std::iter::repeat_n(AbiParam::new(I64), params));
    signature
}

/// Writes the body of `function`, whose signature is [`signature`], from a verified program.
pub fn encode(
    program: &Program,
    function: &mut Function,
    context: &mut FunctionBuilderContext,
    isa: &dyn TargetIsa,
) {
    let mut builder = FunctionBuilder::new(function, context);
    let entry = builder.create_block();
    builder.append_block_params_for_function_params(entry);
    builder.switch_to_block(entry);
    let args = builder.block_params(entry).to_vec();
    inline(program, &mut builder, &args, Features::of(isa));
    builder.ins().return_(&[]);
    builder.seal_all_blocks();
    builder.finalize(isa.frontend_config());
}

/// Writes a program at the current place of a function that is being built; `args` are its parameters.
pub fn inline(program: &Program, builder: &mut FunctionBuilder<'_>, args: &[Value], features: Features) {
    let vectors = (0..program.vectors).map(|_| builder.declare_var(F32X4)).collect();
    let ints: Vec<Variable> = (0..program.ints).map(|_| builder.declare_var(I64)).collect();
    let masks = (0..program.masks).map(|_| builder.declare_var(I64)).collect();
    for (p, &arg) in program.params.iter().zip(args) {
        builder.def_var(ints[p.0 as usize], arg);
    }
    let mut e = Emitter { b: builder, vectors, ints, masks, features };
    e.block(&program.body);
}

struct Emitter<'a, 'f> {
    b: &'a mut FunctionBuilder<'f>,
    vectors: Vec<Variable>,
    ints: Vec<Variable>,
    masks: Vec<Variable>,
    features: Features,
}

fn memory() -> MemFlagsData {
    MemFlagsData::new().with_notrap().with_endianness(Endianness::Little)
}

fn int_condition(op: IntCompare) -> IntCC {
    match op {
        IntCompare::Eq => IntCC::Equal,
        IntCompare::Ne => IntCC::NotEqual,
        IntCompare::Lt => IntCC::SignedLessThan,
        IntCompare::Le => IntCC::SignedLessThanOrEqual,
        IntCompare::Gt => IntCC::SignedGreaterThan,
        IntCompare::Ge => IntCC::SignedGreaterThanOrEqual,
    }
}

fn float_condition(op: Compare) -> FloatCC {
    match op {
        Compare::Eq => FloatCC::Equal,
        Compare::Ne => FloatCC::NotEqual,
        Compare::Lt => FloatCC::LessThan,
        Compare::Le => FloatCC::LessThanOrEqual,
        Compare::Gt => FloatCC::GreaterThan,
        Compare::Ge => FloatCC::GreaterThanOrEqual,
        Compare::Unordered => FloatCC::Unordered,
    }
}

impl Emitter<'_, '_> {
    fn v(&mut self, r: VReg) -> Value {
        self.b.use_var(self.vectors[r.0 as usize])
    }

    /// The register as `i32` lanes.
    fn vi(&mut self, r: VReg) -> Value {
        let v = self.v(r);
        self.cast(I32X4, v)
    }

    fn x(&mut self, r: IReg) -> Value {
        self.b.use_var(self.ints[r.0 as usize])
    }

    /// The mask of the lanes below the value of a register.
    fn bits_below(&mut self, n: IReg) -> Value {
        let n = self.x(n);
        let (zero, one, all) = (self.iconst(0), self.iconst(1), self.iconst(i64::from(LANES)));
        let n = self.clamp(IntCC::SignedGreaterThan, n, zero);
        let n = self.clamp(IntCC::SignedLessThan, n, all);
        let power = self.b.ins().ishl(one, n);
        self.b.ins().iadd_imm_s(power, -1)
    }

    fn bits(&mut self, m: MReg) -> Value {
        self.b.use_var(self.masks[m.0 as usize])
    }

    fn cast(&mut self, ty: Type, v: Value) -> Value {
        let flags = MemFlagsData::new().with_endianness(Endianness::Little);
        self.b.ins().bitcast(ty, flags, v)
    }

    /// Writes a vector register with a value of any lane type.
    fn set(&mut self, r: VReg, v: Value) {
        let v = if self.b.func.dfg.value_type(v) == F32X4 { v } else { self.cast(F32X4, v) };
        self.b.def_var(self.vectors[r.0 as usize], v);
    }

    fn set_int(&mut self, r: IReg, v: Value) {
        self.b.def_var(self.ints[r.0 as usize], v);
    }

    fn iconst(&mut self, n: i64) -> Value {
        self.b.ins().iconst(I64, n)
    }

    fn source(&mut self, s: IntSource) -> Value {
        match s {
            IntSource::Reg(r) => self.x(r),
            IntSource::Const(c) => self.iconst(c.at(LANES)),
        }
    }

    /// Pointer and constant offset of an address.
    fn addr(&mut self, a: Addr) -> (Value, i32) {
        let mut p = self.x(a.base);
        if let Some((r, scale)) = a.index {
            let index = self.x(r);
            let by = self.iconst(i64::from(scale.trailing_zeros()));
            let scaled = self.b.ins().ishl(index, by);
            p = self.b.ins().iadd(p, scaled);
        }
        (p, a.disp.at(LANES) as i32) // law V4: it fits
    }

    fn splat(&mut self, bits: u32) -> Value {
        let scalar = self.b.ins().f32const(Ieee32::with_bits(bits));
        self.b.ins().splat(F32X4, scalar)
    }

    fn int_splat(&mut self, n: i32) -> Value {
        let scalar = self.b.ins().iconst(I32, i64::from(n));
        self.b.ins().splat(I32X4, scalar)
    }

    fn block(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            match stmt {
                Stmt::Inst(inst) => self.inst(inst),
                Stmt::Loop(l) => self.repeat(l),
                Stmt::If(i) => self.conditional(i),
            }
        }
    }

    fn repeat(&mut self, l: &Loop) {
        let count = self.source(l.count);
        let counter = self.ints[l.counter.0 as usize];
        let (body, done) = (self.b.create_block(), self.b.create_block());
        self.b.def_var(counter, count);
        let any = self.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, count, 0);
        self.b.ins().brif(any, body, &[], done, &[]);
        self.b.switch_to_block(body);
        self.block(&l.body);
        let left = self.b.use_var(counter);
        let left = self.b.ins().iadd_imm_s(left, -1);
        self.b.def_var(counter, left);
        self.b.ins().brif(left, body, &[], done, &[]);
        self.b.switch_to_block(done);
    }

    fn conditional(&mut self, i: &If) {
        let (a, b) = (self.x(i.a), self.source(i.b));
        let holds = self.b.ins().icmp(int_condition(i.op), a, b);
        let (then, otherwise, done) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        self.b.ins().brif(holds, then, &[], otherwise, &[]);
        for (block, stmts) in [(then, &i.then), (otherwise, &i.otherwise)] {
            self.b.switch_to_block(block);
            self.block(stmts);
            self.b.ins().jump(done, &[]);
        }
        self.b.switch_to_block(done);
    }

    fn inst(&mut self, inst: &Inst) {
        match *inst {
            Inst::Load { dst, addr, from } | Inst::LoadQuad { dst, addr, from } => {
                let place = self.addr(addr);
                let v = self.load(place, from);
                self.set(dst, v);
            }
            Inst::Store { src, addr, to } | Inst::StoreQuad { src, addr, to } => {
                let (v, place) = (self.v(src), self.addr(addr));
                self.store(v, place, to);
            }
            Inst::LoadMasked { dst, addr, from, mask } => self.load_masked(dst, addr, from, mask),
            Inst::StoreMasked { src, addr, to, mask } => self.store_masked(src, addr, to, mask),
            Inst::LoadSplat { dst, addr, from } => {
                let place = self.addr(addr);
                let scalar = self.load_element(place, from);
                let v = self.b.ins().splat(F32X4, scalar);
                let v = if from == Storage::F16 { self.half_to_float(v) } else { v };
                self.set(dst, v);
            }
            Inst::StoreLane { src, addr, to } => {
                let (v, place) = (self.v(src), self.addr(addr));
                let v = if to == Storage::F16 { self.float_to_half(v) } else { v };
                self.store_element(v, 0, place, to);
            }
            Inst::Splat { dst, bits } => {
                let v = self.splat(bits);
                self.set(dst, v);
            }
            Inst::SplatInt { dst, src } => {
                let x = self.x(src);
                let low = self.b.ins().ireduce(I32, x);
                let v = self.b.ins().splat(I32X4, low);
                self.set(dst, v);
            }
            Inst::Iota { dst } => {
                let bytes: Vec<u8> = (0..LANES).flat_map(u32::to_le_bytes).collect();
                let constant = self.b.func.dfg.constants.insert(ConstantData::from(bytes.as_slice()));
                let v = self.b.ins().vconst(I32X4, constant);
                self.set(dst, v);
            }
            Inst::Unary { op, dst, a } => self.unary(op, dst, a),
            Inst::Binary { op, dst, a, b } => self.binary(op, dst, a, b),
            Inst::Fma { op, dst, a, b, c } => self.fma(op, dst, a, b, c),
            Inst::PairDot { dst, a, b, c } => self.pair_dot(dst, a, b, c),
            Inst::Compare { op, dst, a, b } => {
                let (a, b) = (self.v(a), self.v(b));
                let mask = self.b.ins().fcmp(float_condition(op), a, b);
                self.set(dst, mask);
            }
            Inst::Blend { dst, mask, yes, no } => {
                let (mask, yes, no) = (self.vi(mask), self.vi(yes), self.vi(no));
                // Spread the sign bit over the lane.
                let by = self.b.ins().iconst(I32, 31);
                let mask = self.b.ins().sshr(mask, by);
                let v = self.b.ins().bitselect(mask, yes, no);
                self.set(dst, v);
            }
            Inst::Select { op, dst, a, b, yes, no } => {
                let (a, b) = (self.v(a), self.v(b));
                let mask = self.b.ins().fcmp(float_condition(op), a, b);
                let (yes, no) = (self.vi(yes), self.vi(no));
                let v = self.b.ins().bitselect(mask, yes, no);
                self.set(dst, v);
            }
            Inst::Shift { op, dst, a, by } => {
                let a = self.vi(a);
                let by = self.b.ins().iconst(I32, i64::from(by));
                let v = match op {
                    ShiftOp::Left => self.b.ins().ishl(a, by),
                    ShiftOp::RightLogical => self.b.ins().ushr(a, by),
                    ShiftOp::RightArithmetic => self.b.ins().sshr(a, by),
                };
                self.set(dst, v);
            }
            Inst::Interleave { op, dst, a, b } => self.interleave(op, dst, a, b),
            Inst::Deinterleave { dst, a, b, odd } => {
                let lanes = [0, 2, 4, 6].map(|lane| lane + u8::from(odd));
                self.shuffle(lanes, dst, a, b);
            }
            Inst::Reduce { op, dst, a } => self.reduce(op, dst, a),
            Inst::First { dst, n } => {
                let bits = self.bits_below(n);
                self.b.def_var(self.masks[dst.0 as usize], bits);
            }
            Inst::Between { dst, low, high } => {
                let (low, high) = (self.bits_below(low), self.bits_below(high));
                let bits = self.b.ins().band_not(high, low);
                self.b.def_var(self.masks[dst.0 as usize], bits);
            }
            Inst::MaskLanes { dst, mask } => {
                // Spread the mask, keep bit `i` in lane `i`, and compare with it.
                let bits = self.bits(mask);
                let bits = self.b.ins().ireduce(I32, bits);
                let bits = self.b.ins().splat(I32X4, bits);
                let bytes: Vec<u8> = (0..LANES).flat_map(|i| (1u32 << i).to_le_bytes()).collect();
                let constant = self.b.func.dfg.constants.insert(ConstantData::from(bytes.as_slice()));
                let own = self.b.ins().vconst(I32X4, constant);
                let kept = self.b.ins().band(bits, own);
                let v = self.b.ins().icmp(IntCC::Equal, kept, own);
                self.set(dst, v);
            }
            Inst::Gather { dst, base, index, mask } => {
                let (base, index) = (self.x(base), self.vi(index));
                let zero = self.splat(0);
                let v = self.active_lanes(mask, zero, |e, lane, vector| {
                    let at = e.b.ins().extractlane(index, lane);
                    let at = e.b.ins().sextend(I64, at);
                    let two = e.iconst(2);
                    let at = e.b.ins().ishl(at, two);
                    let p = e.b.ins().iadd(base, at);
                    let scalar = e.b.ins().load(F32, memory(), p, 0);
                    e.b.ins().insertlane(vector, scalar, lane)
                });
                self.set(dst, v);
            }
            Inst::IntConst { dst, value } => {
                let v = self.iconst(value.at(LANES));
                self.set_int(dst, v);
            }
            Inst::IntMove { dst, src } => {
                let v = self.x(src);
                self.set_int(dst, v);
            }
            Inst::Int { op, dst, a, b } => {
                let (a, b) = (self.x(a), self.source(b));
                let v = match op {
                    IntOp::Add => self.b.ins().iadd(a, b),
                    IntOp::Sub => self.b.ins().isub(a, b),
                    IntOp::Mul => self.b.ins().imul(a, b),
                    IntOp::And => self.b.ins().band(a, b),
                    IntOp::Or => self.b.ins().bor(a, b),
                    IntOp::Min => self.clamp(IntCC::SignedLessThan, a, b),
                    IntOp::Max => self.clamp(IntCC::SignedGreaterThan, a, b),
                    IntOp::ShiftLeft => self.b.ins().ishl(a, b),
                    IntOp::ShiftRight => self.b.ins().sshr(a, b),
                };
                self.set_int(dst, v);
            }
            Inst::DivLanes { dst, n } => {
                let (n, by) = (self.x(n), self.iconst(i64::from(LANES.ilog2())));
                let v = self.b.ins().sshr(n, by);
                self.set_int(dst, v);
            }
            Inst::SignBits { dst, a } => {
                let v = self.vi(a);
                let bits = self.b.ins().vhigh_bits(I32, v);
                let bits = self.b.ins().uextend(I64, bits);
                self.set_int(dst, bits);
            }
            Inst::IntLoad { dst, addr } => {
                let (p, at) = self.addr(addr);
                let v = self.b.ins().load(I64, memory(), p, at);
                self.set_int(dst, v);
            }
            Inst::IntStore { src, addr } => {
                let (v, (p, at)) = (self.x(src), self.addr(addr));
                self.b.ins().store(memory(), v, p, at);
            }
            // Cranelift has no prefetch, and law V7 keeps the others out.
            Inst::Prefetch { .. } | Inst::Reload { .. } | Inst::Spill { .. } | Inst::StackParam { .. } => {}
        }
    }

    /// `a` if the comparison with `b` holds, else `b`.
    fn clamp(&mut self, condition: IntCC, a: Value, b: Value) -> Value {
        let holds = self.b.ins().icmp(condition, a, b);
        self.b.ins().select(holds, a, b)
    }

    fn unary(&mut self, op: UnaryOp, dst: VReg, a: VReg) {
        let x = self.v(a);
        let v = match op {
            UnaryOp::Move => x,
            UnaryOp::Sqrt => self.b.ins().sqrt(x),
            UnaryOp::Neg => self.b.ins().fneg(x),
            UnaryOp::Abs => self.b.ins().fabs(x),
            UnaryOp::Floor => self.b.ins().floor(x),
            UnaryOp::Ceil => self.b.ins().ceil(x),
            UnaryOp::Nearest => self.b.ins().nearest(x),
            UnaryOp::Trunc => self.b.ins().trunc(x),
            UnaryOp::FromInt => {
                let i = self.vi(a);
                self.b.ins().fcvt_from_sint(F32X4, i)
            }
            UnaryOp::ToHalf => {
                let half = self.float_to_half(x);
                self.half_to_float(half)
            }
            UnaryOp::ToInt if self.features.x86 => self.b.ins().x86_cvtt2dq(I32X4, x),
            UnaryOp::ToInt => {
                // Saturating conversion maps NaN to zero and large values to the maximum: put the minimum there.
                let saturated = self.b.ins().fcvt_to_sint_sat(I32X4, x);
                let limit = self.splat(2_147_483_648f32.to_bits());
                let fits = self.b.ins().fcmp(FloatCC::LessThan, x, limit);
                let lowest = self.int_splat(i32::MIN);
                self.b.ins().bitselect(fits, saturated, lowest)
            }
        };
        self.set(dst, v);
    }

    fn binary(&mut self, op: BinaryOp, dst: VReg, ra: VReg, rb: VReg) {
        use BinaryOp::*;
        let (a, b) = match op {
            Add | Sub | Mul | Div => (self.v(ra), self.v(rb)),
            _ => (self.vi(ra), self.vi(rb)),
        };
        let v = match op {
            Add => self.b.ins().fadd(a, b),
            Sub => self.b.ins().fsub(a, b),
            Mul => self.b.ins().fmul(a, b),
            Div => self.b.ins().fdiv(a, b),
            Min | Max => {
                let condition = if op == Min { FloatCC::LessThan } else { FloatCC::GreaterThan };
                let (fa, fb) = (self.v(ra), self.v(rb));
                let mask = self.b.ins().fcmp(condition, fa, fb);
                self.b.ins().bitselect(mask, a, b)
            }
            And => self.b.ins().band(a, b),
            Or => self.b.ins().bor(a, b),
            Xor => self.b.ins().bxor(a, b),
            AndNot => self.b.ins().band_not(b, a),
            IntAdd => self.b.ins().iadd(a, b),
            IntSub => self.b.ins().isub(a, b),
            IntMul => self.b.ins().imul(a, b),
            IntMin => self.b.ins().smin(a, b),
            IntMax => self.b.ins().smax(a, b),
            IntEq => self.b.ins().icmp(IntCC::Equal, a, b),
            PairSub => {
                let [a, b] = [a, b].map(|it| self.cast(I16X8, it));
                self.b.ins().isub(a, b)
            }
            IntGt => self.b.ins().icmp(IntCC::SignedGreaterThan, a, b),
        };
        self.set(dst, v);
    }

    fn fma(&mut self, op: FmaOp, dst: VReg, a: VReg, b: VReg, c: VReg) {
        let (a, b, c) = (self.v(a), self.v(b), self.v(c));
        let v = if self.features.fused {
            let negated = matches!(op, FmaOp::NegMulAdd | FmaOp::NegMulAddFused);
            let a = if negated { self.b.ins().fneg(a) } else { a };
            let c = if op == FmaOp::MulSub { self.b.ins().fneg(c) } else { c };
            self.b.ins().fma(a, b, c)
        } else if op == FmaOp::NegMulAddFused {
            // Products of two f32 are exact as f64. Lanes 2 and 3, then lanes 0 and 1.
            let upper: Vec<u8> = (8..16).chain(0..8).collect();
            let halves = [true, false].map(|high| {
                let [a, b, c] = [a, b, c].map(|v| {
                    let v = if high { self.bytes(v, v, &upper) } else { v };
                    self.b.ins().fvpromote_low(v)
                });
                let product = self.b.ins().fmul(a, b);
                let value = self.b.ins().fsub(c, product);
                self.b.ins().fvdemote(value)
            });
            let lower: Vec<u8> = (0..8).chain(16..24).collect();
            self.bytes(halves[1], halves[0], &lower)
        } else {
            let product = self.b.ins().fmul(a, b);
            match op {
                FmaOp::MulAdd => self.b.ins().fadd(product, c),
                FmaOp::MulSub => self.b.ins().fsub(product, c),
                FmaOp::NegMulAdd | FmaOp::NegMulAddFused => self.b.ins().fsub(c, product),
            }
        };
        self.set(dst, v);
    }

    fn pair_dot(&mut self, dst: VReg, a: VReg, b: VReg, c: VReg) {
        let [a, b] = [a, b].map(|it| {
            let v = self.v(it);
            self.cast(I16X8, v)
        });
        let [low_a, low_b] = [a, b].map(|it| self.b.ins().swiden_low(it));
        let [high_a, high_b] = [a, b].map(|it| self.b.ins().swiden_high(it));
        let low = self.b.ins().imul(low_a, low_b);
        let high = self.b.ins().imul(high_a, high_b);
        let sums = self.b.ins().iadd_pairwise(low, high);
        let c = self.vi(c);
        let v = self.b.ins().iadd(c, sums);
        self.set(dst, v);
    }

    fn interleave(&mut self, op: Interleave, dst: VReg, a: VReg, b: VReg) {
        // Lanes 0 to 3 are those of `a`, 4 to 7 those of `b`.
        let lanes: [u8; 4] = match op {
            Interleave::Low32 => [0, 4, 1, 5],
            Interleave::High32 => [2, 6, 3, 7],
            Interleave::Low64 => [0, 1, 4, 5],
            Interleave::High64 => [2, 3, 6, 7],
        };
        self.shuffle(lanes, dst, a, b);
    }

    /// Picks lanes of `a` (0 to 3) and `b` (4 to 7).
    fn shuffle(&mut self, lanes: [u8; 4], dst: VReg, a: VReg, b: VReg) {
        let bytes: Vec<u8> = lanes.iter().flat_map(|lane| (0..4).map(move |byte| 4 * lane + byte)).collect();
        let (a, b) = (self.v(a), self.v(b));
        let v = self.bytes(a, b, &bytes);
        self.set(dst, v);
    }

    /// Bytes of `a` (from 0 on) and `b` (from 16 on).
    fn bytes(&mut self, a: Value, b: Value, order: &[u8]) -> Value {
        let (a, b) = (self.cast(I8X16, a), self.cast(I8X16, b));
        let mask = self.b.func.dfg.immediates.push(ConstantData::from(order));
        let v = self.b.ins().shuffle(a, b, mask);
        self.cast(F32X4, v)
    }

    fn reduce(&mut self, op: ReduceOp, dst: VReg, a: VReg) {
        let v = self.v(a);
        let lanes: [Value; 4] = std::array::from_fn(|i| self.b.ins().extractlane(v, i as u8));
        let mut combine = |a: Value, b: Value| match op {
            ReduceOp::Sum => self.b.ins().fadd(a, b),
            ReduceOp::Max | ReduceOp::Min => {
                let condition = if op == ReduceOp::Max { FloatCC::GreaterThan } else { FloatCC::LessThan };
                let first = self.b.ins().fcmp(condition, a, b);
                self.b.ins().select(first, a, b)
            }
        };
        let (even, odd) = (combine(lanes[0], lanes[2]), combine(lanes[1], lanes[3]));
        let all = combine(even, odd);
        let v = self.b.ins().splat(F32X4, all);
        self.set(dst, v);
    }

    /// Runs `access` for each active lane; it may change the vector, which is returned.
    fn active_lanes(
        &mut self,
        mask: MReg,
        start: Value,
        mut access: impl FnMut(&mut Self, u8, Value) -> Value,
    ) -> Value {
        let bits = self.bits(mask);
        let mut vector = start;
        for lane in 0..LANES as u8 {
            let bit = self.iconst(1 << lane);
            let active = self.b.ins().band(bits, bit);
            let (run, next) = (self.b.create_block(), self.b.create_block());
            let after = self.b.append_block_param(next, F32X4);
            self.b.ins().brif(active, run, &[], next, &[BlockArg::Value(vector)]);
            self.b.switch_to_block(run);
            let changed = access(self, lane, vector);
            self.b.ins().jump(next, &[BlockArg::Value(changed)]);
            self.b.switch_to_block(next);
            vector = after;
        }
        vector
    }

    /// `whole` if all lanes are active, else `lanes`; both return a vector.
    fn if_all_active(
        &mut self,
        mask: MReg,
        whole: impl FnOnce(&mut Self) -> Value,
        lanes: impl FnOnce(&mut Self) -> Value,
    ) -> Value {
        let bits = self.bits(mask);
        let all = self.b.ins().icmp_imm_s(IntCC::Equal, bits, (1 << LANES) - 1);
        let [fast, slow, done]: [Block; 3] = std::array::from_fn(|_| self.b.create_block());
        let result = self.b.append_block_param(done, F32X4);
        self.b.ins().brif(all, fast, &[], slow, &[]);
        self.b.switch_to_block(fast);
        let v = whole(self);
        self.b.ins().jump(done, &[BlockArg::Value(v)]);
        self.b.switch_to_block(slow);
        let v = lanes(self);
        self.b.ins().jump(done, &[BlockArg::Value(v)]);
        self.b.switch_to_block(done);
        result
    }
}
