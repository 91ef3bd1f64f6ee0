//! Code for registers of 128 bits through Cranelift, for every target that it supports.
//!
//! Registers become variables of the function builder, which makes SSA form of them. Where the target has no fused
//! multiply-add, [`Inst::Fma`] becomes a multiplication and an addition; all else means the same on every target.
//! A mask is an integer with a bit for each lane; masked accesses are conditional scalar accesses, unless all lanes are
//! active.

mod arithmetic;
pub(crate) mod exact;
mod halves;
mod memory;
mod wide;

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::types::{F32X4, F64X2, I8X16, I16, I16X8, I32, I32X4, I64, I64X2};
use cranelift_codegen::ir::{
    AbiParam, Block, BlockArg, ConstantData, Endianness, Function, InstBuilder, MemFlagsData, Signature,
    StackSlot, Type, Value,
};
use cranelift_codegen::isa::{CallConv, TargetIsa};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Variable};
use target_lexicon::Architecture;

use crate::vector::Isa;
use crate::vector::ir::{
    Addr, Compare, IReg, If, Inst, IntCompare, IntOp, IntSource, IntUnaryOp, Interleave, Loop, MReg, Program,
    Stmt, VReg, Width,
};
/// What the encoder must know of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// The target has a fused multiply-add instruction.
    pub fused: bool,
    /// The target is x86, whose conversion to integers gives `i32::MIN` where it cannot represent the result.
    pub x86: bool,
    /// The target picks lanes by the sign bits of a mask.
    pub blends: bool,
}

impl Features {
    /// The features of a Cranelift target.
    pub fn of(isa: &dyn TargetIsa) -> Features {
        let x86 = isa.triple().architecture == Architecture::X86_64;
        let flags = isa.isa_flags();
        let has = |name: &str| flags.iter().any(|flag| flag.name == name && flag.as_bool().unwrap_or(false));
        Features { fused: !x86 || has("has_fma"), x86, blends: x86 && has("has_sse41") }
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
    let (float, int) = match program.width {
        Width::W8 => (I8X16, I8X16),
        Width::W16 => (I16X8, I16X8),
        Width::W32 => (F32X4, I32X4),
        Width::W64 => (F64X2, I64X2),
    };
    let vectors = (0..program.vectors).map(|_| builder.declare_var(float)).collect();
    let ints: Vec<Variable> = (0..program.ints).map(|_| builder.declare_var(I64)).collect();
    let masks = (0..program.masks).map(|_| builder.declare_var(I64)).collect();
    for (p, &arg) in program.params.iter().zip(args) {
        builder.def_var(ints[p.0 as usize], arg);
    }
    let width = program.width;
    let mut e = Emitter { b: builder, width, float, int, vectors, ints, masks, features, buffer: None };
    e.block(&program.body);
}

struct Emitter<'a, 'f> {
    b: &'a mut FunctionBuilder<'f>,
    width: Width,
    /// The type of a register of floats, if lanes hold any; variables are of it.
    float: Type,
    /// The type of a register of integers.
    int: Type,
    vectors: Vec<Variable>,
    ints: Vec<Variable>,
    masks: Vec<Variable>,
    features: Features,
    /// Room for a vector, once something needs it.
    buffer: Option<StackSlot>,
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

    /// The register as integer lanes.
    fn vi(&mut self, r: VReg) -> Value {
        let v = self.v(r);
        self.cast(self.int, v)
    }

    fn lanes(&self) -> u32 {
        Isa::Clif128.lanes_of(self.width)
    }

    fn x(&mut self, r: IReg) -> Value {
        self.b.use_var(self.ints[r.0 as usize])
    }

    /// The mask of the lanes below the value of a register.
    fn bits_below(&mut self, n: IReg) -> Value {
        let n = self.x(n);
        let (zero, one, all) = (self.iconst(0), self.iconst(1), self.iconst(i64::from(self.lanes())));
        let n = self.clamp(IntCC::SignedGreaterThan, n, zero);
        let n = self.clamp(IntCC::SignedLessThan, n, all);
        let power = self.b.ins().ishl(one, n);
        self.b.ins().iadd_imm_s(power, -1)
    }

    fn bits(&mut self, m: MReg) -> Value {
        self.b.use_var(self.masks[m.0 as usize])
    }

    fn cast(&mut self, ty: Type, v: Value) -> Value {
        if self.b.func.dfg.value_type(v) == ty {
            return v;
        }
        let flags = MemFlagsData::new().with_endianness(Endianness::Little);
        self.b.ins().bitcast(ty, flags, v)
    }

    /// Writes a vector register with a value of any lane type.
    fn set(&mut self, r: VReg, v: Value) {
        let v = if self.b.func.dfg.value_type(v) == self.float { v } else { self.cast(self.float, v) };
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
            IntSource::Const(c) => self.iconst(c.at(self.lanes())),
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
        (p, a.disp.at(self.lanes()) as i32) // law V4: it fits
    }

    /// The bits in every lane, as floats.
    fn splat(&mut self, bits: u64) -> Value {
        let scalar = match self.width {
            Width::W8 | Width::W16 => self.b.ins().iconst(self.int.lane_type(), bits.cast_signed()),
            Width::W32 => self.b.ins().f32const(Ieee32::with_bits(bits as u32)),
            Width::W64 => self.b.ins().f64const(Ieee64::with_bits(bits)),
        };
        self.b.ins().splat(self.float, scalar)
    }

    /// An integer in every lane.
    fn int_splat(&mut self, n: i64) -> Value {
        let scalar = self.b.ins().iconst(self.int.lane_type(), n);
        self.b.ins().splat(self.int, scalar)
    }

    /// A constant of integer lanes.
    fn int_lanes(&mut self, lanes: impl Iterator<Item = u64>) -> Value {
        let size = self.width.bytes() as usize;
        let bytes: Vec<u8> = lanes.flat_map(|it| it.to_le_bytes().into_iter().take(size)).collect();
        let constant = self.b.func.dfg.constants.insert(ConstantData::from(bytes.as_slice()));
        self.b.ins().vconst(self.int, constant)
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
            // A register has 128 bits.
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
                let v = self.b.ins().splat(self.float, scalar);
                let v = self.converted(v, from);
                self.set(dst, v);
            }
            Inst::StoreLane { src, addr, to } => {
                let (v, place) = (self.v(src), self.addr(addr));
                let v = self.convert(v, to);
                self.store_element(v, 0, place, to);
            }
            Inst::Splat { dst, bits } => {
                let v = self.splat(bits);
                self.set(dst, v);
            }
            Inst::SplatInt { dst, src } => {
                let x = self.x(src);
                let lane = self.int.lane_type();
                let low = if lane == I64 { x } else { self.b.ins().ireduce(lane, x) };
                let v = self.b.ins().splat(self.int, low);
                self.set(dst, v);
            }
            Inst::Iota { dst } => {
                let v = self.int_lanes(0..u64::from(self.lanes()));
                self.set(dst, v);
            }
            Inst::Unary { op, dst, a } => self.unary(op, dst, a),
            Inst::Binary { op, dst, a, b } => self.binary(op, dst, a, b),
            Inst::Fma { op, dst, a, b, c } => self.fma(op, dst, a, b, c),
            Inst::ByteDot { dst, a, b, c } => self.byte_dot(dst, a, b, c),
            Inst::PairDot { dst, a, b, c } => self.pair_dot(dst, a, b, c),
            Inst::Compare { op, dst, a, b } => {
                let (a, b) = (self.v(a), self.v(b));
                let mask = self.b.ins().fcmp(float_condition(op), a, b);
                self.set(dst, mask);
            }
            Inst::Blend { dst, mask, yes, no } => {
                let (mask, yes, no) = (self.vi(mask), self.vi(yes), self.vi(no));
                if self.features.blends && self.width != Width::W16 {
                    let v = self.b.ins().blendv(mask, yes, no);
                    return self.set(dst, v);
                }
                if self.width != Width::W32 {
                    let zero = self.int_splat(0);
                    let mask = self.b.ins().icmp(IntCC::SignedLessThan, mask, zero);
                    let v = self.b.ins().bitselect(mask, yes, no);
                    return self.set(dst, v);
                }
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
                let v = self.shift(op, a, i64::from(by));
                self.set(dst, v);
            }
            Inst::Interleave { op, dst, a, b } => self.interleave(op, dst, a, b),
            Inst::Deinterleave { dst, a, b, odd } => {
                let order: Vec<u8> = (0..self.lanes() as u8).map(|lane| 2 * lane + u8::from(odd)).collect();
                self.shuffle(&order, self.width.bytes() as u8, dst, a, b);
            }
            Inst::Slide { dst, low, high, by } => {
                let first = by.lane_at(self.lanes(), self.lanes()) as u8;
                let order: Vec<u8> = (0..self.lanes() as u8).map(|lane| lane + first).collect();
                self.shuffle(&order, self.width.bytes() as u8, dst, low, high);
            }
            Inst::SplatLane { dst, a, lane } => {
                let lane = lane.lane_at(self.lanes(), self.lanes() - 1) as u8;
                let order = vec![lane; self.lanes() as usize];
                self.shuffle(&order, self.width.bytes() as u8, dst, a, a);
            }
            Inst::FromHalves { dst, a, high } => {
                let a = self.v(a);
                let both = self.halves_to_floats(a);
                self.set(dst, both[usize::from(high)]);
            }
            Inst::ToHalves { dst, low, high } => {
                let floats = [self.v(low), self.v(high)];
                let v = self.floats_to_halves(floats);
                self.set(dst, v);
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
                let bits = match self.width {
                    // A byte of the mask for each half.
                    Width::W8 => {
                        let low = self.b.ins().ireduce(I16, bits);
                        let both = self.b.ins().splat(I16X8, low);
                        let order: Vec<u8> = (0..16).map(|lane| lane / 8).collect();
                        self.bytes(both, both, &order)
                    }
                    Width::W64 => self.b.ins().splat(self.int, bits),
                    _ => {
                        let low = self.b.ins().ireduce(self.int.lane_type(), bits);
                        self.b.ins().splat(self.int, low)
                    }
                };
                let width = self.width.bits();
                let own = self.int_lanes((0..self.lanes()).map(|i| 1 << (i % width)));
                let kept = self.b.ins().band(bits, own);
                let v = self.b.ins().icmp(IntCC::Equal, kept, own);
                self.set(dst, v);
            }
            Inst::Gather { dst, base, index, from, mask } => self.gather(dst, base, index, from, mask),
            Inst::IntConst { dst, value } => {
                let v = self.iconst(value.at(self.lanes()));
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
            Inst::IntUnary { op, dst, a } => {
                let a = self.x(a);
                let v = match op {
                    IntUnaryOp::CountOnes => self.b.ins().popcnt(a),
                    IntUnaryOp::TrailingZeros => self.b.ins().ctz(a),
                };
                self.set_int(dst, v);
            }
            Inst::DivLanes { dst, n } => {
                let (n, by) = (self.x(n), self.iconst(i64::from(self.lanes().ilog2())));
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

    fn interleave(&mut self, op: Interleave, dst: VReg, a: VReg, b: VReg) {
        let size = op.bytes() as u8;
        let parts = 16 / size;
        let half = if op.is_high() { parts / 2 } else { 0 };
        // The parts of `b` follow those of `a`.
        let order: Vec<u8> = (0..parts / 2).flat_map(|i| [half + i, parts + half + i]).collect();
        self.shuffle(&order, size, dst, a, b);
    }

    /// Picks parts of so many bytes, of `a` and then of `b`.
    fn shuffle(&mut self, order: &[u8], size: u8, dst: VReg, a: VReg, b: VReg) {
        let bytes: Vec<u8> =
            order.iter().flat_map(|part| (0..size).map(move |byte| size * part + byte)).collect();
        let (a, b) = (self.v(a), self.v(b));
        let v = self.bytes(a, b, &bytes);
        self.set(dst, v);
    }

    /// Bytes of `a` (from 0 on) and `b` (from 16 on).
    fn bytes(&mut self, a: Value, b: Value, order: &[u8]) -> Value {
        let (a, b) = (self.cast(I8X16, a), self.cast(I8X16, b));
        let mask = self.b.func.dfg.immediates.push(ConstantData::from(order));
        let v = self.b.ins().shuffle(a, b, mask);
        self.cast(self.float, v)
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
        for lane in 0..self.lanes() as u8 {
            let bit = self.iconst(1 << lane);
            let active = self.b.ins().band(bits, bit);
            let (run, next) = (self.b.create_block(), self.b.create_block());
            let after = self.b.append_block_param(next, self.float);
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
        let every = (1 << self.lanes()) - 1;
        let all = self.b.ins().icmp_imm_s(IntCC::Equal, bits, every);
        let [fast, slow, done]: [Block; 3] = std::array::from_fn(|_| self.b.create_block());
        let result = self.b.append_block_param(done, self.float);
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
