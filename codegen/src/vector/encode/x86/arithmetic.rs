//! Lane-wise operations, and reductions of lanes.

use iced_x86::{Code, Instruction, Register};

use super::codes;
use super::vector::K_SCRATCH;
use super::{Done, Emitter, NEAREST_EVEN, xmm};
use crate::vector::ir::{BinaryOp, FmaOp, ShiftOp, UnaryOp, VReg, Width};

impl Emitter {
    pub(super) fn unary(&mut self, op: UnaryOp, dst: VReg, a: VReg) -> Done {
        use Code::*;
        let code = self.pick(codes::unary(op, self.width));
        // Bit 3 suppresses the inexact exception.
        let mut rounded =
            |mode: u32| self.push(Instruction::with3(code, self.full(dst), self.full(a), 8 | mode));
        match op {
            UnaryOp::Nearest => rounded(0),
            UnaryOp::Floor => rounded(1),
            UnaryOp::Ceil => rounded(2),
            UnaryOp::Trunc => rounded(3),
            UnaryOp::Move if dst == a => Ok(()),
            UnaryOp::Move | UnaryOp::Sqrt => self.op2(code, dst, a),
            UnaryOp::ToInt if self.width == Width::W64 && !self.wide() => self.doubles_to_ints(dst, a),
            UnaryOp::FromInt if self.width == Width::W64 && !self.wide() => self.ints_to_doubles(dst, a),
            UnaryOp::ToSmallInt if !self.wide() => self.doubles_to_small_ints(dst, a),
            UnaryOp::FromSmallInt if !self.wide() => self.small_ints_to_doubles(dst, a),
            UnaryOp::ToIntSaturated if !self.wide() => self.doubles_to_ints_saturated(dst, a),
            UnaryOp::ToIntSaturated => {
                let s = self.scratch();
                let (full, source) = (self.full(s), self.full(a));
                // Numbers alone are converted, and what is too large is replaced.
                let (ordered, not_less) = (7u32, 0xDu32);
                let compare = EVEX_Vcmppd_kr_k1_zmm_zmmm512b64_imm8_sae;
                self.push(Instruction::with4(compare, K_SCRATCH, source, source, ordered))?;
                self.push(Instruction::with2(EVEX_Vcvttpd2qq_zmm_k1z_zmmm512b64_sae, full, source))?;
                self.masked(K_SCRATCH, true);
                let limit = self.splat_operand(2f64.powi(63).to_bits());
                self.push(Instruction::with4(compare, K_SCRATCH, source, limit, not_less))?;
                let most = self.splat_operand(i64::MAX.cast_unsigned());
                let blend = EVEX_Vpblendmq_zmm_k1z_zmm_zmmm512b64;
                self.push(Instruction::with3(blend, self.full(dst), full, most))?;
                self.masked(K_SCRATCH, false);
                Ok(())
            }
            UnaryOp::ToInt | UnaryOp::ToSmallInt => {
                let wide = self
                    .by_width(EVEX_Vcvttps2dq_zmm_k1z_zmmm512b32_sae, EVEX_Vcvttpd2qq_zmm_k1z_zmmm512b64_sae);
                self.op2(self.code(VEX_Vcvttps2dq_ymm_ymmm256, wide), dst, a)
            }
            UnaryOp::FromInt | UnaryOp::FromSmallInt => {
                let wide =
                    self.by_width(EVEX_Vcvtdq2ps_zmm_k1z_zmmm512b32_er, EVEX_Vcvtqq2pd_zmm_k1z_zmmm512b64_er);
                self.op2(self.code(VEX_Vcvtdq2ps_ymm_ymmm256, wide), dst, a)
            }
            UnaryOp::ToHalf if self.width == Width::W64 => {
                let s = self.scratch();
                self.doubles_to_singles(s, a)?;
                let quarter = xmm(s);
                let narrow = self.code(VEX_Vcvtps2ph_xmmm64_xmm_imm8, EVEX_Vcvtps2ph_xmmm128_k1z_ymm_imm8);
                let widen = self.code(VEX_Vcvtph2ps_xmm_xmmm64, EVEX_Vcvtph2ps_ymm_k1z_xmmm128);
                self.push(Instruction::with3(narrow, quarter, self.half(s), NEAREST_EVEN))?;
                self.push(Instruction::with2(widen, self.half(s), quarter))?;
                self.singles_to_doubles(dst, s)
            }
            UnaryOp::ToHalf => {
                // The scratch register is one of half the width.
                let half = self.half(self.scratch());
                let narrow =
                    self.code(VEX_Vcvtps2ph_xmmm128_ymm_imm8, EVEX_Vcvtps2ph_ymmm256_k1z_zmm_imm8_sae);
                let widen = self.code(VEX_Vcvtph2ps_ymm_xmmm128, EVEX_Vcvtph2ps_zmm_k1z_ymmm256_sae);
                self.push(Instruction::with3(narrow, half, self.full(a), NEAREST_EVEN))?;
                self.push(Instruction::with2(widen, self.full(dst), half))
            }
            UnaryOp::ToSingle => {
                let s = self.scratch();
                self.doubles_to_singles(s, a)?;
                self.singles_to_doubles(dst, s)
            }
            UnaryOp::Neg | UnaryOp::Abs => {
                let sign = self.width.sign();
                let (op, bits) =
                    if op == UnaryOp::Neg { (BinaryOp::Xor, sign) } else { (BinaryOp::And, sign - 1) };
                let code = self.pick(codes::binary(op, self.width));
                let operand = self.splat_operand(bits);
                self.push(Instruction::with3(code, self.full(dst), self.full(a), operand))
            }
        }
    }

    /// The `f32` nearest to `f64` lanes, in half of a register.
    pub(super) fn doubles_to_singles(&mut self, dst: VReg, a: VReg) -> Done {
        let code = self.code(Code::VEX_Vcvtpd2ps_xmm_ymmm256, Code::EVEX_Vcvtpd2ps_ymm_k1z_zmmm512b64_er);
        self.push(Instruction::with2(code, self.half(dst), self.full(a)))
    }

    /// `f32` in half of a register as `f64` lanes.
    pub(super) fn singles_to_doubles(&mut self, dst: VReg, a: VReg) -> Done {
        let code = self.code(Code::VEX_Vcvtps2pd_ymm_xmmm128, Code::EVEX_Vcvtps2pd_zmm_k1z_ymmm256b32_sae);
        self.push(Instruction::with2(code, self.full(dst), self.half(a)))
    }

    pub(super) fn binary(&mut self, op: BinaryOp, dst: VReg, a: VReg, b: VReg) -> Done {
        let code = self.pick(codes::binary(op, self.width));
        if self.wide() && matches!(op, BinaryOp::IntEq | BinaryOp::IntGt) {
            self.push(Instruction::with3(code, K_SCRATCH, self.full(a), self.full(b)))?;
            return self.spread(dst, K_SCRATCH);
        }
        if matches!(op, BinaryOp::ShiftLeft | BinaryOp::ShiftRight) {
            return self.shift_by_lanes(code, dst, a, b);
        }
        if code == Code::INVALID {
            return match self.width {
                Width::W8 if op == BinaryOp::UintQuot => self.quotients_of_bytes(dst, a, b),
                Width::W8 => self.multiply_bytes(dst, a, b),
                _ => self.composed(op, dst, a, b),
            };
        }
        self.op3(code, dst, a, b)
    }

    /// Instructions give 0 for what is beyond a lane, so amounts are taken modulo its bits before.
    fn shift_by_lanes(&mut self, code: Code, dst: VReg, a: VReg, by: VReg) -> Done {
        let s = self.scratch();
        let bits = self.splat_operand(u64::from(self.width.bits()) - 1);
        let and = self.code(
            Code::VEX_Vandps_ymm_ymm_ymmm256,
            self.by_width(Code::EVEX_Vandps_zmm_k1z_zmm_zmmm512b32, Code::EVEX_Vandpd_zmm_k1z_zmm_zmmm512b64),
        );
        self.push(Instruction::with3(and, self.full(s), self.full(by), bits))?;
        self.op3(code, dst, a, s)
    }

    pub(super) fn shift(&mut self, op: ShiftOp, dst: VReg, a: VReg, by: u8) -> Done {
        use Code::*;
        if op == ShiftOp::RightArithmetic && self.width == Width::W64 && !self.wide() {
            return self.shift_wide_signed(dst, a, by);
        }
        if self.width == Width::W8 {
            return self.shift_bytes(op, dst, a, by);
        }
        if self.width == Width::W16 {
            let code = self.shift_words(op);
            return self.push(Instruction::with3(code, self.full(dst), self.full(a), u32::from(by)));
        }
        let code = match op {
            ShiftOp::Left => self.code_of(
                [VEX_Vpslld_ymm_ymm_imm8, EVEX_Vpslld_zmm_k1z_zmmm512b32_imm8],
                [VEX_Vpsllq_ymm_ymm_imm8, EVEX_Vpsllq_zmm_k1z_zmmm512b64_imm8],
            ),
            ShiftOp::RightLogical => self.code_of(
                [VEX_Vpsrld_ymm_ymm_imm8, EVEX_Vpsrld_zmm_k1z_zmmm512b32_imm8],
                [VEX_Vpsrlq_ymm_ymm_imm8, EVEX_Vpsrlq_zmm_k1z_zmmm512b64_imm8],
            ),
            ShiftOp::RightArithmetic => self.code_of(
                [VEX_Vpsrad_ymm_ymm_imm8, EVEX_Vpsrad_zmm_k1z_zmmm512b32_imm8],
                [INVALID, EVEX_Vpsraq_zmm_k1z_zmmm512b64_imm8],
            ),
        };
        self.push(Instruction::with3(code, self.full(dst), self.full(a), u32::from(by)))
    }

    /// The form whose destination is already in place; a copy only if the destination is none of the sources.
    pub(super) fn fma(&mut self, op: FmaOp, dst: VReg, a: VReg, b: VReg, c: VReg) -> Done {
        let [f132, f213, f231] = codes::fma(op, self.width).map(|codes| self.pick(codes));
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

    /// An instruction that adds to its destination.
    pub(super) fn accumulate(&mut self, code: Code, dst: VReg, a: VReg, b: VReg, c: VReg) -> Done {
        let target = if dst == c || (dst != a && dst != b) { dst } else { self.scratch() };
        self.unary(UnaryOp::Move, target, c)?;
        self.op3(code, target, a, b)?;
        self.unary(UnaryOp::Move, dst, target)
    }

    pub(super) fn pair_dot(&mut self, dst: VReg, a: VReg, b: VReg, c: VReg) -> Done {
        let s = self.scratch();
        let dot = self.code(Code::VEX_Vpmaddwd_ymm_ymm_ymmm256, Code::EVEX_Vpmaddwd_zmm_k1z_zmm_zmmm512);
        self.op3(dot, s, a, b)?;
        self.binary(BinaryOp::IntAdd, dst, c, s)
    }

    pub(super) fn reduce(&mut self, op: BinaryOp, dst: VReg, a: VReg) -> Done {
        use Code::*;
        if self.width == Width::W32 && matches!(op, BinaryOp::Add | BinaryOp::Max | BinaryOp::Min) {
            return self.reduce_floats(op, dst, a);
        }
        // Every half is combined with the other one, of which the lower is meant.
        let s = self.spare();
        let mut from = a;
        let mut step = |e: &mut Self, code: Code, order: u32| {
            let halves = matches!(
                code,
                EVEX_Vshuff64x2_zmm_k1z_zmm_zmmm512b64_imm8 | VEX_Vperm2f128_ymm_ymm_ymmm256_imm8
            );
            let [s_full, from_full] = [s, from].map(|it| e.full(it));
            e.push(match halves {
                true => Instruction::with4(code, s_full, from_full, from_full, order),
                false => Instruction::with3(code, s_full, from_full, order),
            })?;
            e.binary(op, dst, from, s)?;
            from = dst;
            Done::Ok(())
        };
        if self.wide() {
            step(self, EVEX_Vshuff64x2_zmm_k1z_zmm_zmmm512b64_imm8, 0b01_00_11_10)?;
            step(self, EVEX_Vshuff64x2_zmm_k1z_zmm_zmmm512b64_imm8, 0b10_11_00_01)?;
        } else {
            step(self, VEX_Vperm2f128_ymm_ymm_ymmm256_imm8, 1)?;
        }
        let shuffle = self.code(VEX_Vpshufd_ymm_ymmm256_imm8, EVEX_Vpshufd_zmm_k1z_zmmm512b32_imm8);
        step(self, shuffle, 0b01_00_11_10)?;
        if self.width.bits() <= 32 {
            step(self, shuffle, 0b10_11_00_01)?;
        }
        // Inside 32 bits, the upper half comes down.
        let shift = self.code(VEX_Vpsrld_ymm_ymm_imm8, EVEX_Vpsrld_zmm_k1z_zmmm512b32_imm8);
        let lane = self.width.bits();
        for by in [16, 8].into_iter().filter(|it| *it >= lane) {
            step(self, shift, by)?;
        }
        let splat = self.broadcast();
        self.push(Instruction::with2(splat, self.full(dst), xmm(dst)))
    }

    /// The reduction of `f32` lanes, on registers that become narrower.
    fn reduce_floats(&mut self, op: BinaryOp, dst: VReg, a: VReg) -> Done {
        use Code::*;
        let (vex, evex, evex256) = codes::narrow(op);
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

    /// Half of the binary16 elements of a register as lanes.
    pub(super) fn widen_halves(&mut self, dst: VReg, a: VReg, high: bool) -> Done {
        use Code::*;
        let mut from = self.half(a);
        if high {
            from = self.half(self.scratch());
            let code = self.code(VEX_Vextracti128_xmmm128_ymm_imm8, EVEX_Vextracti64x4_ymmm256_k1z_zmm_imm8);
            self.push(Instruction::with3(code, from, self.full(a), 1u32))?;
        }
        let code = self.code(VEX_Vcvtph2ps_ymm_xmmm128, EVEX_Vcvtph2ps_zmm_k1z_ymmm256_sae);
        self.push(Instruction::with2(code, self.full(dst), from))
    }

    /// The lanes of two registers as binary16 elements of one.
    pub(super) fn join_halves(&mut self, dst: VReg, low: VReg, high: VReg) -> Done {
        use Code::*;
        let code = self.code(VEX_Vcvtps2ph_xmmm128_ymm_imm8, EVEX_Vcvtps2ph_ymmm256_k1z_zmm_imm8_sae);
        // The destination may be `high`, too.
        let upper = self.half(self.scratch());
        self.push(Instruction::with3(code, upper, self.full(high), NEAREST_EVEN))?;
        self.push(Instruction::with3(code, self.half(dst), self.full(low), NEAREST_EVEN))?;
        let join =
            self.code(VEX_Vinserti128_ymm_ymm_xmmm128_imm8, EVEX_Vinserti64x4_zmm_k1z_zmm_ymmm256_imm8);
        self.push(Instruction::with4(join, self.full(dst), self.full(dst), upper, 1u32))
    }
}
