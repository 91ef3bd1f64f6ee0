//! Vector instructions.

use iced_x86::{Code, Instruction, MemoryOperand, Register};

use super::codes::{self, Codes};
use super::{Done, Emitter, EncodeError, SCRATCH, gpr, xmm};
use crate::vector::allocate::File;
use crate::vector::ir::{
    BinaryOp, CacheLevel, Compare, IReg, Inst, IntUnaryOp, MReg, Reg, UnaryOp, VReg, Width,
};

/// The scratch mask register of AVX-512.
pub(super) const K_SCRATCH: Register = Register::K1;

impl Emitter {
    /// The register at the full width.
    pub(super) fn full(&self, r: VReg) -> Register {
        if self.wide() { Register::ZMM0 + r.0 } else { Register::YMM0 + r.0 }
    }

    pub(super) fn scratch(&self) -> VReg {
        VReg(if self.wide() { 31 } else { 15 })
    }

    /// The second scratch register, where there is one: in programs of 64-bit lanes on AVX2, and of 8 and 16 bits.
    pub(super) fn spare(&self) -> VReg {
        let second = if self.width.has_floats() { !self.wide() && self.width == Width::W64 } else { true };
        if second { VReg(self.scratch().0 - 1) } else { self.scratch() }
    }

    /// The register at half of the full width.
    pub(super) fn half(&self, r: VReg) -> Register {
        if self.wide() { Register::YMM0 + r.0 } else { xmm(r) }
    }

    pub(super) fn mask(&self, m: MReg) -> Register {
        if self.wide() { Register::K0 + m.0 } else { Register::YMM0 + m.0 }
    }

    pub(super) fn pick(&self, codes: Codes) -> Code {
        if self.wide() { codes.z } else { codes.y }
    }

    pub(super) fn code(&self, y: Code, z: Code) -> Code {
        if self.wide() { z } else { y }
    }

    /// For lanes that hold floats.
    pub(super) fn by_width(&self, w32: Code, w64: Code) -> Code {
        if self.width == Width::W64 { w64 } else { w32 }
    }

    /// For lanes of 8, 16, 32 and 64 bits.
    pub(super) fn of_width(&self, codes: [Code; 4]) -> Code {
        codes[self.width.bytes().ilog2() as usize]
    }

    /// The code for `ymm` and `zmm` of 32-bit lanes, then of 64-bit lanes.
    pub(super) fn code_of(&self, w32: [Code; 2], w64: [Code; 2]) -> Code {
        let [y, z] = if self.width == Width::W64 { w64 } else { w32 };
        self.code(y, z)
    }

    /// The lowest lane of a register in every lane.
    pub(super) fn broadcast(&self) -> Code {
        use Code::*;
        self.code(
            self.of_width([
                VEX_Vpbroadcastb_ymm_xmmm8,
                VEX_Vpbroadcastw_ymm_xmmm16,
                VEX_Vbroadcastss_ymm_xmm,
                VEX_Vbroadcastsd_ymm_xmm,
            ]),
            self.broadcast_wide(),
        )
    }

    /// A lane of memory in every lane.
    pub(super) fn broadcast_memory(&self) -> Code {
        use Code::*;
        self.code(
            self.of_width([
                VEX_Vpbroadcastb_ymm_xmmm8,
                VEX_Vpbroadcastw_ymm_xmmm16,
                VEX_Vbroadcastss_ymm_m32,
                VEX_Vbroadcastsd_ymm_m64,
            ]),
            self.broadcast_wide(),
        )
    }

    fn broadcast_wide(&self) -> Code {
        use Code::*;
        self.of_width([
            EVEX_Vpbroadcastb_zmm_k1z_xmmm8,
            EVEX_Vpbroadcastw_zmm_k1z_xmmm16,
            EVEX_Vbroadcastss_zmm_k1z_xmmm32,
            EVEX_Vbroadcastsd_zmm_k1z_xmmm64,
        ])
    }

    /// AVX-512: all bits one in the lanes of a mask, else zero.
    pub(super) fn spread(&mut self, dst: VReg, mask: Register) -> Done {
        use Code::*;
        // Processors wait for the register's old value, as if it were read.
        self.splat(dst, 0)?;
        let code = self.of_width([
            EVEX_Vpmovm2b_zmm_kr,
            EVEX_Vpmovm2w_zmm_kr,
            EVEX_Vpmovm2d_zmm_kr,
            EVEX_Vpmovm2q_zmm_kr,
        ]);
        self.push(Instruction::with2(code, self.full(dst), mask))
    }

    /// AVX-512: the scratch mask of the lanes whose sign bit is set.
    fn signs(&mut self, a: VReg) -> Done {
        use Code::*;
        let code = self.of_width([
            EVEX_Vpmovb2m_kr_zmm,
            EVEX_Vpmovw2m_kr_zmm,
            EVEX_Vpmovd2m_kr_zmm,
            EVEX_Vpmovq2m_kr_zmm,
        ]);
        self.push(Instruction::with2(code, K_SCRATCH, self.full(a)))
    }

    pub(super) fn op2(&mut self, code: Code, dst: VReg, a: VReg) -> Done {
        self.push(Instruction::with2(code, self.full(dst), self.full(a)))
    }

    pub(super) fn op3(&mut self, code: Code, dst: VReg, a: VReg, b: VReg) -> Done {
        self.push(Instruction::with3(code, self.full(dst), self.full(a), self.full(b)))
    }

    /// The bytes of lanes.
    fn lane_bytes(&self, lanes: impl Iterator<Item = u64>) -> Vec<u8> {
        let size = self.width.bytes() as usize;
        lanes.flat_map(|it| it.to_le_bytes().into_iter().take(size)).collect()
    }

    /// The same bits in every lane, as an operand of a full-width instruction.
    pub(super) fn splat_operand(&mut self, bits: u64) -> MemoryOperand {
        let wide = self.wide();
        // Broadcast parts have 32 bits at least.
        let count = if wide { 4u32.div_ceil(self.width.bytes()) } else { self.lanes() };
        let bytes = self.lane_bytes(std::iter::repeat_n(bits, count as usize));
        self.constant(bytes, wide)
    }

    /// The numbers of the lanes, as an operand.
    fn lane_numbers(&mut self) -> MemoryOperand {
        let bytes = self.lane_bytes(0..u64::from(self.lanes()));
        self.constant(bytes, false)
    }

    /// Marks the last instruction with a write mask.
    pub(super) fn masked(&mut self, mask: Register, zeroing: bool) {
        if let Some(last) = self.out.last_mut() {
            last.set_op_mask(mask);
            last.set_zeroing_masking(zeroing);
        }
    }

    pub(super) fn inst(&mut self, inst: &Inst) -> Done {
        use Code::*;
        match *inst {
            Inst::Load { dst, addr, from } => self.load(dst, addr, from),
            Inst::LoadMasked { dst, addr, from, mask } => self.load_masked(dst, addr, from, mask),
            Inst::LoadSplat { dst, addr, from } => self.load_splat(dst, addr, from),
            Inst::Store { src, addr, to } => self.store(src, addr, to),
            Inst::StoreMasked { src, addr, to, mask } => self.store_masked(src, addr, to, mask),
            Inst::StoreLane { src, addr, to } => self.store_lane(src, addr, to),
            Inst::LoadQuad { dst, addr, from } => self.load_quad(dst, addr, from),
            Inst::StoreQuad { src, addr, to } => self.store_quad(src, addr, to),
            Inst::Splat { dst, bits } => self.splat(dst, bits),
            Inst::SplatInt { dst, src } => self.splat_int(dst, gpr(src.0)),
            Inst::Iota { dst } => {
                let operand = self.lane_numbers();
                let code = self.code(VEX_Vmovups_ymm_ymmm256, EVEX_Vmovups_zmm_k1z_zmmm512);
                self.push(Instruction::with2(code, self.full(dst), operand))
            }
            Inst::Unary { op, dst, a } => self.unary(op, dst, a),
            Inst::Binary { op, dst, a, b } => self.binary(op, dst, a, b),
            Inst::Fma { op, dst, a, b, c } => self.fma(op, dst, a, b, c),
            Inst::ByteDot { dst, a, b, c } if self.isa.has_byte_dot() => {
                self.accumulate(EVEX_Vpdpbusd_zmm_k1z_zmm_zmmm512b32, dst, a, b, c)
            }
            Inst::ByteDot { .. } => {
                Err(EncodeError::Invalid(format!("{:?} has no products of bytes", self.isa)))
            }
            Inst::PairDot { dst, a, b, c } if self.isa.has_byte_dot() => {
                self.accumulate(EVEX_Vpdpwssd_zmm_k1z_zmm_zmmm512b32, dst, a, b, c)
            }
            Inst::PairDot { dst, a, b, c } => self.pair_dot(dst, a, b, c),
            Inst::Compare { op, dst, a, b } => {
                if !self.wide() {
                    return self.compare(op, self.full(dst), a, b);
                }
                self.compare(op, K_SCRATCH, a, b)?;
                self.spread(dst, K_SCRATCH)
            }
            Inst::Blend { dst, mask, yes, no } => {
                if self.wide() {
                    self.signs(mask)?;
                }
                self.blend(dst, mask, yes, no)
            }
            Inst::Select { op, dst, a, b, yes, no } => {
                let mask = self.scratch();
                let target = if self.wide() { K_SCRATCH } else { self.full(mask) };
                self.compare(op, target, a, b)?;
                self.blend(dst, mask, yes, no)
            }
            Inst::Shift { op, dst, a, by } => self.shift(op, dst, a, by),
            Inst::Interleave { op, dst, a, b } => {
                let code = self.pick(codes::interleave(op));
                self.op3(code, dst, a, b)
            }
            Inst::Deinterleave { dst, a, b, odd } => self.deinterleave(dst, a, b, odd),
            Inst::Slide { dst, low, high, by } => {
                self.slide(dst, low, high, by.lane_at(self.lanes(), self.lanes()))
            }
            Inst::SplatLane { dst, a, lane } => {
                self.splat_lane(dst, a, lane.lane_at(self.lanes(), self.lanes() - 1))
            }
            Inst::FromHalves { dst, a, high } => self.widen_halves(dst, a, high),
            Inst::ToHalves { dst, low, high } => self.join_halves(dst, low, high),
            Inst::Reduce { op, dst, a } => self.reduce(op, dst, a),
            Inst::First { dst, n } => self.first(dst, n),
            Inst::Between { dst, low, high } => self.between(dst, low, high),
            Inst::MaskLanes { dst, mask } if self.wide() => self.spread(dst, self.mask(mask)),
            Inst::MaskLanes { dst, mask } => {
                self.push(Instruction::with2(VEX_Vmovaps_ymm_ymmm256, self.full(dst), self.mask(mask)))
            }
            Inst::Gather { dst, base, index, from, mask } => self.gather(dst, base, index, from, mask),
            Inst::IntConst { dst, value } => self.load_const(gpr(dst.0), value.at(self.lanes())),
            Inst::IntMove { dst, src } => self.move_int(gpr(dst.0), gpr(src.0)),
            Inst::Int { op, dst, a, b } => self.int_op(op, dst, a, b),
            Inst::IntUnary { op, dst, a } => {
                let code = match op {
                    IntUnaryOp::CountOnes => Popcnt_r64_rm64,
                    IntUnaryOp::TrailingZeros => Tzcnt_r64_rm64,
                };
                self.push(Instruction::with2(code, gpr(dst.0), gpr(a.0)))
            }
            Inst::DivLanes { dst, n } => {
                self.move_int(gpr(dst.0), gpr(n.0))?;
                self.push(Instruction::with2(Sar_rm64_imm8, gpr(dst.0), self.lanes().ilog2()))
            }
            Inst::SignBits { dst, a } => {
                let dst = Register::EAX + dst.0;
                if self.wide() {
                    self.signs(a)?;
                    return self.push(Instruction::with2(VEX_Kmovw_r32_kr, dst, K_SCRATCH));
                }
                let code = self.by_width(VEX_Vmovmskps_r32_ymm, VEX_Vmovmskpd_r32_ymm);
                self.push(Instruction::with2(code, dst, self.full(a)))
            }
            Inst::IntLoad { dst, addr } => {
                self.push(Instruction::with2(Mov_r64_rm64, gpr(dst.0), self.memory(addr)))
            }
            Inst::IntStore { src, addr } => {
                self.push(Instruction::with2(Mov_rm64_r64, self.memory(addr), gpr(src.0)))
            }
            Inst::Prefetch { level, addr } => {
                let code = match level {
                    CacheLevel::First => Prefetcht0_m8,
                    CacheLevel::Second => Prefetcht1_m8,
                };
                self.push(Instruction::with1(code, self.memory(addr)))
            }
            Inst::Reload { dst, slot } => self.frame_move(dst, self.slot(slot), true),
            Inst::Spill { src, slot } => self.frame_move(src, self.slot(slot), false),
            Inst::StackParam { dst, index } => {
                // Above the frame: the saved registers, the return address, then the parameters from the seventh on.
                let above = self.frame + 8 * (self.saved.len() as i64 + 1 + i64::from(index) - 6);
                self.push(Instruction::with2(Mov_r64_rm64, gpr(dst.0), self.stack(above)))
            }
        }
    }

    /// A register from or to the stack frame.
    fn frame_move(&mut self, reg: Reg, place: MemoryOperand, load: bool) -> Done {
        use Code::*;
        let (file, register) = match reg {
            Reg::Int(r) => (File::Int, gpr(r.0)),
            Reg::Vector(r) => (File::Vector, self.full(r)),
            Reg::Mask(m) if self.wide() => (File::Mask, self.mask(m)),
            Reg::Mask(m) => (File::Vector, self.mask(m)),
        };
        let (from, to) = match file {
            File::Int => (Mov_r64_rm64, Mov_rm64_r64),
            File::Mask if self.width.has_floats() => (VEX_Kmovw_kr_km16, VEX_Kmovw_m16_kr),
            File::Mask => (VEX_Kmovq_kr_km64, VEX_Kmovq_m64_kr),
            File::Vector => (
                self.code(VEX_Vmovups_ymm_ymmm256, EVEX_Vmovups_zmm_k1z_zmmm512),
                self.code(VEX_Vmovups_ymmm256_ymm, EVEX_Vmovups_zmmm512_k1z_zmm),
            ),
        };
        if load {
            self.push(Instruction::with2(from, register, place))
        } else {
            self.push(Instruction::with2(to, place, register))
        }
    }

    pub(super) fn splat(&mut self, dst: VReg, bits: u64) -> Done {
        use Code::*;
        match bits {
            0 => {
                let code = self.pick(codes::binary(BinaryOp::Xor, Width::W32));
                self.op3(code, dst, dst, dst)
            }
            _ if bits == self.width.ones() && !self.wide() => {
                self.op3(VEX_Vpcmpeqd_ymm_ymm_ymmm256, dst, dst, dst)
            }
            _ => {
                let bytes = self.lane_bytes(std::iter::once(bits));
                let operand = self.constant(bytes, false);
                let code = self.broadcast_memory();
                self.push(Instruction::with2(code, self.full(dst), operand))
            }
        }
    }

    /// The low bits of a 64-bit register in every lane.
    pub(super) fn splat_int(&mut self, dst: VReg, src: Register) -> Done {
        use Code::*;
        let half = Register::EAX + (src as u32 - Register::RAX as u32);
        let src = if self.width == Width::W64 { src } else { half };
        if self.wide() {
            let code = self.of_width([
                EVEX_Vpbroadcastb_zmm_k1z_r32,
                EVEX_Vpbroadcastw_zmm_k1z_r32,
                EVEX_Vpbroadcastd_zmm_k1z_r32,
                EVEX_Vpbroadcastq_zmm_k1z_r64,
            ]);
            return self.push(Instruction::with2(code, self.full(dst), src));
        }
        let code = self.by_width(VEX_Vmovd_xmm_rm32, VEX_Vmovq_xmm_rm64);
        self.push(Instruction::with2(code, xmm(dst), src))?;
        let code = self.of_width([
            VEX_Vpbroadcastb_ymm_xmmm8,
            VEX_Vpbroadcastw_ymm_xmmm16,
            VEX_Vpbroadcastd_ymm_xmmm32,
            VEX_Vpbroadcastq_ymm_xmmm64,
        ]);
        self.push(Instruction::with2(code, self.full(dst), xmm(dst)))
    }

    /// Compares into a vector register (AVX2) or a mask register (AVX-512).
    fn compare(&mut self, op: Compare, target: Register, a: VReg, b: VReg) -> Done {
        use Code::*;
        let code = self.code_of(
            [VEX_Vcmpps_ymm_ymm_ymmm256_imm8, EVEX_Vcmpps_kr_k1_zmm_zmmm512b32_imm8_sae],
            [VEX_Vcmppd_ymm_ymm_ymmm256_imm8, EVEX_Vcmppd_kr_k1_zmm_zmmm512b64_imm8_sae],
        );
        self.push(Instruction::with4(code, target, self.full(a), self.full(b), codes::predicate(op)))
    }

    /// Picks lanes by `mask` on AVX2 and by the scratch mask register on AVX-512.
    pub(super) fn blend(&mut self, dst: VReg, mask: VReg, yes: VReg, no: VReg) -> Done {
        use Code::*;
        let (d, y, n) = (self.full(dst), self.full(yes), self.full(no));
        if self.wide() {
            let code = self.of_width([
                EVEX_Vpblendmb_zmm_k1z_zmm_zmmm512,
                EVEX_Vpblendmw_zmm_k1z_zmm_zmmm512,
                EVEX_Vblendmps_zmm_k1z_zmm_zmmm512b32,
                EVEX_Vblendmpd_zmm_k1z_zmm_zmmm512b64,
            ]);
            self.push(Instruction::with3(code, d, n, y))?;
            self.masked(K_SCRATCH, false);
            return Ok(());
        }
        if !self.width.has_floats() {
            return self.blend_bytes(dst, mask, yes, no);
        }
        let code = self.by_width(VEX_Vblendvps_ymm_ymm_ymmm256_ymm, VEX_Vblendvpd_ymm_ymm_ymmm256_ymm);
        self.push(Instruction::with4(code, d, n, y, self.full(mask)))
    }

    fn deinterleave(&mut self, dst: VReg, a: VReg, b: VReg, odd: bool) -> Done {
        use Code::*;
        let s = self.scratch();
        if self.wide() {
            // The scratch register holds the lane numbers, then the result.
            let lanes = self.lane_bytes((0..u64::from(self.lanes())).map(|i| 2 * i + u64::from(odd)));
            let lanes = self.constant(lanes, false);
            self.push(Instruction::with2(EVEX_Vmovups_zmm_k1z_zmmm512, self.full(s), lanes))?;
            let code =
                self.by_width(EVEX_Vpermi2ps_zmm_k1z_zmm_zmmm512b32, EVEX_Vpermi2pd_zmm_k1z_zmm_zmmm512b64);
            self.op3(code, s, a, b)?;
            return self.unary(UnaryOp::Move, dst, s);
        }
        // Inside the 128-bit halves first: a0 a2 b0 b2, a4 a6 b4 b6, or a0 b0, a2 b2; then the middle quarters change places.
        let lanes: u32 = match (self.width, odd) {
            (Width::W64, true) => 0b1111,
            (Width::W64, false) => 0,
            (_, true) => 0b11_01_11_01,
            (_, false) => 0b10_00_10_00,
        };
        let code = self.by_width(VEX_Vshufps_ymm_ymm_ymmm256_imm8, VEX_Vshufpd_ymm_ymm_ymmm256_imm8);
        self.push(Instruction::with4(code, self.full(s), self.full(a), self.full(b), lanes))?;
        let quarters: u32 = 0b11_01_10_00;
        self.push(Instruction::with3(VEX_Vpermpd_ymm_ymmm256_imm8, self.full(dst), self.full(s), quarters))
    }

    /// Lanes from lane `by` on of two registers; `by` is at most the number of lanes.
    fn slide(&mut self, dst: VReg, low: VReg, high: VReg, by: u32) -> Done {
        use Code::*;
        if by == self.lanes() {
            return self.unary(UnaryOp::Move, dst, high);
        }
        if self.wide() && !self.width.has_floats() {
            return self.slide_bytes(dst, low, high, by * self.width.bytes());
        }
        if self.wide() {
            let code = self
                .by_width(EVEX_Valignd_zmm_k1z_zmm_zmmm512b32_imm8, EVEX_Valignq_zmm_k1z_zmm_zmmm512b64_imm8);
            return self.push(Instruction::with4(code, self.full(dst), self.full(high), self.full(low), by));
        }
        // The upper half of the one and the lower half of the other, then bytes inside the halves.
        let s = self.scratch();
        let (bytes, middle) = (by * self.width.bytes(), self.full(s));
        let code = VEX_Vperm2i128_ymm_ymm_ymmm256_imm8;
        self.push(Instruction::with4(code, middle, self.full(low), self.full(high), 0x21u32))?;
        let (upper, lower, bytes) = if bytes < 16 { (s, low, bytes) } else { (high, s, bytes - 16) };
        let code = VEX_Vpalignr_ymm_ymm_ymmm256_imm8;
        self.push(Instruction::with4(code, self.full(dst), self.full(upper), self.full(lower), bytes))
    }

    /// One lane in every lane.
    fn splat_lane(&mut self, dst: VReg, a: VReg, lane: u32) -> Done {
        use Code::*;
        if lane == 0 {
            let code = self.broadcast();
            return self.push(Instruction::with2(code, self.full(dst), xmm(a)));
        }
        if !self.width.has_floats() {
            return self.splat_byte(dst, a, lane * self.width.bytes());
        }
        if !self.wide() && self.width == Width::W64 {
            let code = VEX_Vpermpd_ymm_ymmm256_imm8;
            return self.push(Instruction::with3(code, self.full(dst), self.full(a), lane * 0b01_01_01_01));
        }
        // The scratch register holds the number of the lane.
        let s = self.scratch();
        self.splat(s, u64::from(lane))?;
        let code = self.code_of(
            [VEX_Vpermps_ymm_ymm_ymmm256, EVEX_Vpermps_zmm_k1z_zmm_zmmm512b32],
            [INVALID, EVEX_Vpermpd_zmm_k1z_zmm_zmmm512b64],
        );
        self.op3(code, dst, s, a)
    }

    /// `scratch = clamp(n, …, VL)` in every lane of the scratch register: no less than 0, where lanes do not hold any `n`.
    fn splat_count(&mut self, n: IReg) -> Done {
        use Code::*;
        self.load_const(SCRATCH, i64::from(self.lanes()))?;
        self.push(Instruction::with2(Cmp_r64_rm64, gpr(n.0), SCRATCH))?;
        self.push(Instruction::with2(Cmovl_r64_rm64, SCRATCH, gpr(n.0)))?;
        if !self.width.has_floats() {
            let zero = self.constant(vec![0; 8], false);
            self.push(Instruction::with2(Test_rm64_r64, SCRATCH, SCRATCH))?;
            self.push(Instruction::with2(Cmovs_r64_rm64, SCRATCH, zero))?;
        }
        self.splat_int(self.scratch(), SCRATCH)
    }

    /// Compares the count in the scratch register with the lane numbers: the lanes below it.
    fn lanes_below(&mut self, target: Register) -> Done {
        let iota = self.lane_numbers();
        let code = self.pick(codes::binary(BinaryOp::IntGt, self.width));
        self.push(Instruction::with3(code, target, self.full(self.scratch()), iota))
    }

    fn first(&mut self, dst: MReg, n: IReg) -> Done {
        self.splat_count(n)?;
        self.lanes_below(self.mask(dst))
    }

    fn between(&mut self, dst: MReg, low: IReg, high: IReg) -> Done {
        use Code::*;
        self.first(dst, high)?;
        self.splat_count(low)?;
        let (dst, s) = (self.mask(dst), self.full(self.scratch()));
        if self.wide() {
            self.lanes_below(K_SCRATCH)?;
            let code = if self.width.has_floats() { VEX_Kandnw_kr_kr_kr } else { VEX_Kandnq_kr_kr_kr };
            return self.push(Instruction::with3(code, dst, K_SCRATCH, dst));
        }
        self.lanes_below(s)?;
        self.push(Instruction::with3(VEX_Vpandn_ymm_ymm_ymmm256, dst, s, dst))
    }
}
