//! Vector instructions.

use iced_x86::{Code, Instruction, MemoryOperand, Register};

use super::codes::{self, Codes};
use super::{Done, Emitter, NEAREST_EVEN, SCRATCH, gpr, xmm};
use crate::vector::allocate::File;
use crate::vector::ir::{
    BinaryOp, CacheLevel, Compare, FmaOp, IReg, Inst, MReg, ReduceOp, Reg, ShiftOp, UnaryOp, VReg,
};

/// The scratch mask register of AVX-512.
const K_SCRATCH: Register = Register::K1;

impl Emitter {
    /// The register at the full width.
    pub(super) fn full(&self, r: VReg) -> Register {
        if self.wide() { Register::ZMM0 + r.0 } else { Register::YMM0 + r.0 }
    }

    pub(super) fn scratch(&self) -> VReg {
        VReg(if self.wide() { 31 } else { 15 })
    }

    pub(super) fn mask(&self, m: MReg) -> Register {
        if self.wide() { Register::K0 + m.0 } else { Register::YMM0 + m.0 }
    }

    fn pick(&self, codes: Codes) -> Code {
        if self.wide() { codes.z } else { codes.y }
    }

    pub(super) fn code(&self, y: Code, z: Code) -> Code {
        if self.wide() { z } else { y }
    }

    fn op2(&mut self, code: Code, dst: VReg, a: VReg) -> Done {
        self.push(Instruction::with2(code, self.full(dst), self.full(a)))
    }

    fn op3(&mut self, code: Code, dst: VReg, a: VReg, b: VReg) -> Done {
        self.push(Instruction::with3(code, self.full(dst), self.full(a), self.full(b)))
    }

    /// The same 32 bits in every lane, as an operand of a full-width instruction.
    fn splat_operand(&mut self, bits: u32) -> MemoryOperand {
        let wide = self.wide();
        let bytes = bits.to_le_bytes();
        let bytes = if wide { bytes.to_vec() } else { bytes.repeat(8) };
        self.constant(bytes, wide)
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
            Inst::SplatInt { dst, src } => self.splat_int(dst, Register::EAX + src.0),
            Inst::Iota { dst } => {
                let lanes = self.isa.lanes();
                let bytes = (0..lanes).flat_map(u32::to_le_bytes).collect();
                let operand = self.constant(bytes, false);
                let code = self.code(VEX_Vmovups_ymm_ymmm256, EVEX_Vmovups_zmm_k1z_zmmm512);
                self.push(Instruction::with2(code, self.full(dst), operand))
            }
            Inst::Unary { op, dst, a } => self.unary(op, dst, a),
            Inst::Binary { op: op @ (BinaryOp::IntEq | BinaryOp::IntGt), dst, a, b } if self.wide() => {
                let code = codes::binary(op).z;
                self.push(Instruction::with3(code, K_SCRATCH, self.full(a), self.full(b)))?;
                self.push(Instruction::with2(EVEX_Vpmovm2d_zmm_kr, self.full(dst), K_SCRATCH))
            }
            Inst::Binary { op, dst, a, b } => {
                let code = self.pick(codes::binary(op));
                self.op3(code, dst, a, b)
            }
            Inst::Fma { op, dst, a, b, c } => self.fma(op, dst, a, b, c),
            Inst::PairDot { dst, a, b, c } => self.pair_dot(dst, a, b, c),
            Inst::Compare { op, dst, a, b } => {
                if !self.wide() {
                    return self.compare(op, self.full(dst), a, b);
                }
                self.compare(op, K_SCRATCH, a, b)?;
                self.push(Instruction::with2(EVEX_Vpmovm2d_zmm_kr, self.full(dst), K_SCRATCH))
            }
            Inst::Blend { dst, mask, yes, no } => {
                if self.wide() {
                    self.push(Instruction::with2(EVEX_Vpmovd2m_kr_zmm, K_SCRATCH, self.full(mask)))?;
                }
                self.blend(dst, mask, yes, no)
            }
            Inst::Select { op, dst, a, b, yes, no } => {
                let mask = self.scratch();
                let target = if self.wide() { K_SCRATCH } else { self.full(mask) };
                self.compare(op, target, a, b)?;
                self.blend(dst, mask, yes, no)
            }
            Inst::Shift { op, dst, a, by } => {
                let code = match op {
                    ShiftOp::Left => self.code(VEX_Vpslld_ymm_ymm_imm8, EVEX_Vpslld_zmm_k1z_zmmm512b32_imm8),
                    ShiftOp::RightLogical => {
                        self.code(VEX_Vpsrld_ymm_ymm_imm8, EVEX_Vpsrld_zmm_k1z_zmmm512b32_imm8)
                    }
                    ShiftOp::RightArithmetic => {
                        self.code(VEX_Vpsrad_ymm_ymm_imm8, EVEX_Vpsrad_zmm_k1z_zmmm512b32_imm8)
                    }
                };
                self.push(Instruction::with3(code, self.full(dst), self.full(a), u32::from(by)))
            }
            Inst::Interleave { op, dst, a, b } => {
                let code = self.pick(codes::interleave(op));
                self.op3(code, dst, a, b)
            }
            Inst::Deinterleave { dst, a, b, odd } => self.deinterleave(dst, a, b, odd),
            Inst::Reduce { op, dst, a } => self.reduce(op, dst, a),
            Inst::First { dst, n } => self.first(dst, n),
            Inst::Between { dst, low, high } => self.between(dst, low, high),
            Inst::MaskLanes { dst, mask } if self.wide() => {
                self.push(Instruction::with2(EVEX_Vpmovm2d_zmm_kr, self.full(dst), self.mask(mask)))
            }
            Inst::MaskLanes { dst, mask } => {
                self.push(Instruction::with2(VEX_Vmovaps_ymm_ymmm256, self.full(dst), self.mask(mask)))
            }
            Inst::Gather { dst, base, index, mask } => self.gather(dst, base, index, mask),
            Inst::IntConst { dst, value } => self.load_const(gpr(dst.0), value.at(self.isa.lanes())),
            Inst::IntMove { dst, src } => self.move_int(gpr(dst.0), gpr(src.0)),
            Inst::Int { op, dst, a, b } => self.int_op(op, dst, a, b),
            Inst::DivLanes { dst, n } => {
                self.move_int(gpr(dst.0), gpr(n.0))?;
                self.push(Instruction::with2(Sar_rm64_imm8, gpr(dst.0), self.isa.lanes().ilog2()))
            }
            Inst::SignBits { dst, a } => {
                let dst = Register::EAX + dst.0;
                if self.wide() {
                    self.push(Instruction::with2(EVEX_Vpmovd2m_kr_zmm, K_SCRATCH, self.full(a)))?;
                    return self.push(Instruction::with2(VEX_Kmovw_r32_kr, dst, K_SCRATCH));
                }
                self.push(Instruction::with2(VEX_Vmovmskps_r32_ymm, dst, self.full(a)))
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
            File::Mask => (VEX_Kmovw_kr_km16, VEX_Kmovw_m16_kr),
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

    fn splat(&mut self, dst: VReg, bits: u32) -> Done {
        use Code::*;
        match bits {
            0 => {
                let code = codes::binary(BinaryOp::Xor);
                let code = self.pick(code);
                self.op3(code, dst, dst, dst)
            }
            u32::MAX if !self.wide() => self.op3(VEX_Vpcmpeqd_ymm_ymm_ymmm256, dst, dst, dst),
            _ => {
                let operand = self.constant(bits.to_le_bytes().to_vec(), false);
                let code = self.code(VEX_Vbroadcastss_ymm_m32, EVEX_Vbroadcastss_zmm_k1z_xmmm32);
                self.push(Instruction::with2(code, self.full(dst), operand))
            }
        }
    }

    pub(super) fn splat_int(&mut self, dst: VReg, src: Register) -> Done {
        use Code::*;
        if self.wide() {
            return self.push(Instruction::with2(EVEX_Vpbroadcastd_zmm_k1z_r32, self.full(dst), src));
        }
        self.push(Instruction::with2(VEX_Vmovd_xmm_rm32, xmm(dst), src))?;
        self.push(Instruction::with2(VEX_Vpbroadcastd_ymm_xmmm32, self.full(dst), xmm(dst)))
    }

    fn unary(&mut self, op: UnaryOp, dst: VReg, a: VReg) -> Done {
        use Code::*;
        let round = self.code(VEX_Vroundps_ymm_ymmm256_imm8, EVEX_Vrndscaleps_zmm_k1z_zmmm512b32_imm8_sae);
        // Bit 3 suppresses the inexact exception.
        let mut rounded =
            |mode: u32| self.push(Instruction::with3(round, self.full(dst), self.full(a), 8 | mode));
        match op {
            UnaryOp::Nearest => rounded(0),
            UnaryOp::Floor => rounded(1),
            UnaryOp::Ceil => rounded(2),
            UnaryOp::Trunc => rounded(3),
            UnaryOp::Move if dst == a => Ok(()),
            UnaryOp::Move => {
                let code = self.code(VEX_Vmovaps_ymm_ymmm256, EVEX_Vmovaps_zmm_k1z_zmmm512);
                self.op2(code, dst, a)
            }
            UnaryOp::Sqrt => {
                let code = self.code(VEX_Vsqrtps_ymm_ymmm256, EVEX_Vsqrtps_zmm_k1z_zmmm512b32_er);
                self.op2(code, dst, a)
            }
            UnaryOp::ToInt => {
                let code = self.code(VEX_Vcvttps2dq_ymm_ymmm256, EVEX_Vcvttps2dq_zmm_k1z_zmmm512b32_sae);
                self.op2(code, dst, a)
            }
            UnaryOp::FromInt => {
                let code = self.code(VEX_Vcvtdq2ps_ymm_ymmm256, EVEX_Vcvtdq2ps_zmm_k1z_zmmm512b32_er);
                self.op2(code, dst, a)
            }
            UnaryOp::ToHalf => {
                // The scratch register is one of half the width.
                let s = self.scratch();
                let half = if self.wide() { Register::YMM0 + s.0 } else { xmm(s) };
                let narrow =
                    self.code(VEX_Vcvtps2ph_xmmm128_ymm_imm8, EVEX_Vcvtps2ph_ymmm256_k1z_zmm_imm8_sae);
                let widen = self.code(VEX_Vcvtph2ps_ymm_xmmm128, EVEX_Vcvtph2ps_zmm_k1z_ymmm256_sae);
                self.push(Instruction::with3(narrow, half, self.full(a), NEAREST_EVEN))?;
                self.push(Instruction::with2(widen, self.full(dst), half))
            }
            UnaryOp::Neg | UnaryOp::Abs => {
                let (op, bits) = if op == UnaryOp::Neg {
                    (BinaryOp::Xor, 1 << 31)
                } else {
                    (BinaryOp::And, u32::MAX >> 1)
                };
                let code = self.pick(codes::binary(op));
                let operand = self.splat_operand(bits);
                self.push(Instruction::with3(code, self.full(dst), self.full(a), operand))
            }
        }
    }

    /// The form whose destination is already in place; a copy only if the destination is none of the sources.
    fn fma(&mut self, op: FmaOp, dst: VReg, a: VReg, b: VReg, c: VReg) -> Done {
        let [f132, f213, f231] = codes::fma(op).map(|codes| self.pick(codes));
        if dst == c {
            self.op3(f231, dst, a, b)
        } else if dst == a {
            self.op3(f213, dst, b, c)
        } else if dst == b {
            // dst = dst * a + c
            self.op3(f132, dst, c, a)
        } else {
            self.unary(UnaryOp::Move, dst, c)?;
            self.op3(f231, dst, a, b)
        }
    }

    fn pair_dot(&mut self, dst: VReg, a: VReg, b: VReg, c: VReg) -> Done {
        use Code::*;
        let s = self.scratch();
        let dot = self.code(VEX_Vpmaddwd_ymm_ymm_ymmm256, EVEX_Vpmaddwd_zmm_k1z_zmm_zmmm512);
        self.op3(dot, s, a, b)?;
        let add = self.pick(codes::binary(BinaryOp::IntAdd));
        self.op3(add, dst, c, s)
    }

    /// Compares into a vector register (AVX2) or a mask register (AVX-512).
    fn compare(&mut self, op: Compare, target: Register, a: VReg, b: VReg) -> Done {
        use Code::*;
        let code = self.code(VEX_Vcmpps_ymm_ymm_ymmm256_imm8, EVEX_Vcmpps_kr_k1_zmm_zmmm512b32_imm8_sae);
        self.push(Instruction::with4(code, target, self.full(a), self.full(b), codes::predicate(op)))
    }

    /// Picks lanes by `mask` on AVX2 and by the scratch mask register on AVX-512.
    fn blend(&mut self, dst: VReg, mask: VReg, yes: VReg, no: VReg) -> Done {
        use Code::*;
        let (d, y, n) = (self.full(dst), self.full(yes), self.full(no));
        if self.wide() {
            self.push(Instruction::with3(EVEX_Vblendmps_zmm_k1z_zmm_zmmm512b32, d, n, y))?;
            self.masked(K_SCRATCH, false);
            return Ok(());
        }
        self.push(Instruction::with4(VEX_Vblendvps_ymm_ymm_ymmm256_ymm, d, n, y, self.full(mask)))
    }

    fn deinterleave(&mut self, dst: VReg, a: VReg, b: VReg, odd: bool) -> Done {
        use Code::*;
        let s = self.scratch();
        if self.wide() {
            // The scratch register holds the lane numbers, then the result.
            let lanes = (0..16u32).flat_map(|i| (2 * i + u32::from(odd)).to_le_bytes()).collect();
            let lanes = self.constant(lanes, false);
            self.push(Instruction::with2(EVEX_Vmovups_zmm_k1z_zmmm512, self.full(s), lanes))?;
            self.op3(EVEX_Vpermi2ps_zmm_k1z_zmm_zmmm512b32, s, a, b)?;
            return self.unary(UnaryOp::Move, dst, s);
        }
        // Inside the 128-bit halves first: a0 a2 b0 b2, a4 a6 b4 b6; then the middle quarters change places.
        let lanes: u32 = if odd { 0b11_01_11_01 } else { 0b10_00_10_00 };
        let code = VEX_Vshufps_ymm_ymm_ymmm256_imm8;
        self.push(Instruction::with4(code, self.full(s), self.full(a), self.full(b), lanes))?;
        let quarters: u32 = 0b11_01_10_00;
        self.push(Instruction::with3(VEX_Vpermpd_ymm_ymmm256_imm8, self.full(dst), self.full(s), quarters))
    }

    fn reduce(&mut self, op: ReduceOp, dst: VReg, a: VReg) -> Done {
        use Code::*;
        let (vex, evex, evex256) = codes::narrow(op.combine());
        let wide = self.wide();
        let step = if wide { evex } else { vex };
        let shuffle = self.code(VEX_Vpermilps_xmm_xmmm128_imm8, EVEX_Vpermilps_xmm_k1z_xmmm128b32_imm8);
        let s = self.scratch();
        let ymm = |r: VReg| Register::YMM0 + r.0;
        let mut low = a;
        if wide {
            let halves = EVEX_Vextractf64x4_ymmm256_k1z_zmm_imm8;
            self.push(Instruction::with3(halves, ymm(s), self.full(a), 1))?;
            self.push(Instruction::with3(evex256, ymm(dst), ymm(a), ymm(s)))?;
            low = dst;
        }
        let quarters = self.code(VEX_Vextractf128_xmmm128_ymm_imm8, EVEX_Vextractf32x4_xmmm128_k1z_ymm_imm8);
        self.push(Instruction::with3(quarters, xmm(s), ymm(low), 1))?;
        self.push(Instruction::with3(step, xmm(dst), xmm(low), xmm(s)))?;
        for lanes in [0b00_00_11_10, 0b00_00_00_01] {
            self.push(Instruction::with3(shuffle, xmm(s), xmm(dst), lanes))?;
            self.push(Instruction::with3(step, xmm(dst), xmm(dst), xmm(s)))?;
        }
        let splat = self.code(VEX_Vbroadcastss_ymm_xmm, EVEX_Vbroadcastss_zmm_k1z_xmmm32);
        self.push(Instruction::with2(splat, self.full(dst), xmm(dst)))
    }

    /// `scratch = clamp(n, …, VL)` in every lane of the scratch register.
    fn splat_count(&mut self, n: IReg) -> Done {
        use Code::*;
        self.load_const(SCRATCH, i64::from(self.isa.lanes()))?;
        self.push(Instruction::with2(Cmp_r64_rm64, gpr(n.0), SCRATCH))?;
        self.push(Instruction::with2(Cmovl_r64_rm64, SCRATCH, gpr(n.0)))?;
        self.splat_int(self.scratch(), Register::EAX)
    }

    /// Compares the count in the scratch register with the lane numbers: the lanes below it.
    fn lanes_below(&mut self, target: Register) -> Done {
        use Code::*;
        let lanes = self.isa.lanes();
        let iota = self.constant((0..lanes).flat_map(u32::to_le_bytes).collect(), false);
        let code = self.code(VEX_Vpcmpgtd_ymm_ymm_ymmm256, EVEX_Vpcmpgtd_kr_k1_zmm_zmmm512b32);
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
            return self.push(Instruction::with3(VEX_Kandnw_kr_kr_kr, dst, K_SCRATCH, dst));
        }
        self.lanes_below(s)?;
        self.push(Instruction::with3(VEX_Vpandn_ymm_ymm_ymmm256, dst, s, dst))
    }

    /// Gathers clear their mask, so it is copied first.
    fn gather(&mut self, dst: VReg, base: IReg, index: VReg, mask: MReg) -> Done {
        use Code::*;
        let place = MemoryOperand::new(gpr(base.0), self.full(index), 4, 0, 0, false, Register::None);
        if self.wide() {
            self.push(Instruction::with2(VEX_Kmovw_kr_km16, K_SCRATCH, self.mask(mask)))?;
            self.splat(dst, 0)?;
            self.push(Instruction::with2(EVEX_Vgatherdps_zmm_k1_vm32z, self.full(dst), place))?;
            self.masked(K_SCRATCH, false);
            return Ok(());
        }
        let s = self.full(self.scratch());
        // The mask may end here and share the register of the destination.
        self.push(Instruction::with2(VEX_Vmovaps_ymm_ymmm256, s, self.mask(mask)))?;
        self.splat(dst, 0)?;
        self.push(Instruction::with3(VEX_Vgatherdps_ymm_vm32y_ymm, self.full(dst), place, s))
    }
}
