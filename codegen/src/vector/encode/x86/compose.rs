//! Operations that there is no instruction for: of AVX2 on 64-bit lanes.

use iced_x86::{Code, Instruction};

use super::{Done, Emitter};
use crate::vector::SMALL;
use crate::vector::ir::{BinaryOp, VReg};

impl Emitter {
    pub(super) fn composed(&mut self, op: BinaryOp, dst: VReg, a: VReg, b: VReg) -> Done {
        use Code::*;
        let s = self.scratch();
        match op {
            BinaryOp::IntMin | BinaryOp::IntMax => {
                self.op3(VEX_Vpcmpgtq_ymm_ymm_ymmm256, s, a, b)?;
                let (greater, other) = if op == BinaryOp::IntMax { (a, b) } else { (b, a) };
                self.blend(dst, s, greater, other)
            }
            // Where signs differ, unsigned integers are ordered the other way: the sign of the mask is what counts.
            BinaryOp::UintMin | BinaryOp::UintMax => {
                self.op3(VEX_Vpcmpgtq_ymm_ymm_ymmm256, s, a, b)?;
                self.op3(VEX_Vxorpd_ymm_ymm_ymmm256, s, s, a)?;
                self.op3(VEX_Vxorpd_ymm_ymm_ymmm256, s, s, b)?;
                let (greater, other) = if op == BinaryOp::UintMax { (a, b) } else { (b, a) };
                self.blend(dst, s, greater, other)
            }
            // The product of the low halves, and the sum of the mixed ones above it.
            _ => {
                let full = self.full(s);
                self.push(Instruction::with3(
                    VEX_Vpshufd_ymm_ymmm256_imm8,
                    full,
                    self.full(b),
                    0b10_11_00_01,
                ))?;
                self.op3(VEX_Vpmulld_ymm_ymm_ymmm256, s, s, a)?;
                self.op3(VEX_Vpmuludq_ymm_ymm_ymmm256, dst, a, b)?;
                // An operand may be here, which is needed no more.
                let t = self.full(self.spare());
                self.push(Instruction::with3(VEX_Vpsrlq_ymm_ymm_imm8, t, full, 32))?;
                self.push(Instruction::with3(VEX_Vpaddd_ymm_ymm_ymmm256, full, full, t))?;
                self.push(Instruction::with3(VEX_Vpsllq_ymm_ymm_imm8, full, full, 32))?;
                self.op3(VEX_Vpaddq_ymm_ymm_ymmm256, dst, dst, s)
            }
        }
    }

    pub(super) fn shift_wide_signed(&mut self, dst: VReg, a: VReg, by: u8) -> Done {
        use Code::*;
        if by == 0 {
            return self.op2(VEX_Vmovaps_ymm_ymmm256, dst, a);
        }
        // Unsigned, less what the sign bit was taken for.
        let target = self.full(dst);
        let sign = self.splat_operand(1 << (63 - by));
        self.push(Instruction::with3(VEX_Vpsrlq_ymm_ymm_imm8, target, self.full(a), u32::from(by)))?;
        self.push(Instruction::with3(VEX_Vpxor_ymm_ymm_ymmm256, target, target, sign))?;
        self.push(Instruction::with3(VEX_Vpsubq_ymm_ymm_ymmm256, target, target, sign))
    }

    /// `i64` to the nearest `f64`: the halves become the low bits of numbers that are known otherwise, and all but the
    /// last sum is exact.
    pub(super) fn ints_to_doubles(&mut self, dst: VReg, a: VReg) -> Done {
        use Code::*;
        let s = self.scratch();
        let (full, target) = (self.full(s), self.full(dst));
        // 2⁵² + low half.
        let low = self.splat_operand(2f64.powi(52).to_bits());
        self.push(Instruction::with4(
            VEX_Vpblendd_ymm_ymm_ymmm256_imm8,
            full,
            self.full(a),
            low,
            0b1010_1010,
        ))?;
        // 2⁸⁴ + 2⁶³ + 2³² · high half, by the sign bit taken as one of 2³¹.
        self.push(Instruction::with3(VEX_Vpsrlq_ymm_ymm_imm8, target, self.full(a), 32))?;
        let high = self.splat_operand(2f64.powi(84).to_bits() ^ (1 << 31));
        self.push(Instruction::with3(VEX_Vpxor_ymm_ymm_ymmm256, target, target, high))?;
        let known = self.splat_operand((2f64.powi(84) + 2f64.powi(63) + 2f64.powi(52)).to_bits());
        self.push(Instruction::with3(VEX_Vsubpd_ymm_ymm_ymmm256, target, target, known))?;
        self.op3(VEX_Vaddpd_ymm_ymm_ymmm256, dst, dst, s)
    }

    /// `f64` to `i64` by truncation, in halves; what is out of range is replaced before.
    pub(super) fn doubles_to_ints(&mut self, dst: VReg, a: VReg) -> Done {
        use Code::*;
        let (s, t) = (self.scratch(), self.spare());
        let [full, other] = [s, t].map(|it| self.full(it));
        let magnitude = self.splat_operand(self.width.sign() - 1);
        self.push(Instruction::with3(VEX_Vandpd_ymm_ymm_ymmm256, other, self.full(a), magnitude))?;
        let limit = self.splat_operand(2f64.powi(63).to_bits());
        let not_less = 0x15u32; // also NaN; quiet
        self.push(Instruction::with4(VEX_Vcmppd_ymm_ymm_ymmm256_imm8, other, other, limit, not_less))?;
        let least = self.splat_operand((-2f64.powi(63)).to_bits());
        self.push(Instruction::with4(VEX_Vblendvpd_ymm_ymm_ymmm256_ymm, full, self.full(a), least, other))?;
        self.wholes_to_ints(dst, s, t)
    }

    /// The `i64` of what `number` holds, `f64` in `-2⁶³..=2⁶³`, truncated; 2⁶³ becomes the least integer. Leaves in `high` the
    /// number by 2³², rounded down, and spoils `number`.
    fn wholes_to_ints(&mut self, dst: VReg, number: VReg, high: VReg) -> Done {
        use Code::*;
        let [full, other, target] = [number, high, dst].map(|it| self.full(it));
        let (down, toward_zero) = (9u32, 11u32);
        self.push(Instruction::with3(VEX_Vroundpd_ymm_ymmm256_imm8, full, full, toward_zero))?;
        // The high half, a whole number of 2³².
        let scale = self.splat_operand(2f64.powi(-32).to_bits());
        self.push(Instruction::with3(VEX_Vmulpd_ymm_ymm_ymmm256, other, full, scale))?;
        self.push(Instruction::with3(VEX_Vroundpd_ymm_ymmm256_imm8, other, other, down))?;
        // The low half, at least 0, becomes the low bits of a sum.
        let back = self.splat_operand(2f64.powi(32).to_bits());
        self.push(Instruction::with3(VEX_Vfnmadd231pd_ymm_ymm_ymmm256, full, other, back))?;
        let bits = self.splat_operand(2f64.powi(52).to_bits());
        self.push(Instruction::with3(VEX_Vaddpd_ymm_ymm_ymmm256, full, full, bits))?;
        // So does the high half, of either sign.
        let bits = self.splat_operand(SMALL.to_bits());
        self.push(Instruction::with3(VEX_Vaddpd_ymm_ymm_ymmm256, target, other, bits))?;
        self.push(Instruction::with3(VEX_Vpsllq_ymm_ymm_imm8, target, target, 32))?;
        let (code, low) = (VEX_Vpblendd_ymm_ymm_ymmm256_imm8, 0b0101_0101u32);
        self.push(Instruction::with4(code, target, target, full, low))
    }

    /// As [`Emitter::doubles_to_ints`], saturated, NaN as 0.
    pub(super) fn doubles_to_ints_saturated(&mut self, dst: VReg, a: VReg) -> Done {
        use Code::*;
        let (s, t) = (self.scratch(), self.spare());
        let [full, other] = [s, t].map(|it| self.full(it));
        let (ordered, equal) = (7u32, 0u32);
        let compare = VEX_Vcmppd_ymm_ymm_ymmm256_imm8;
        self.push(Instruction::with4(compare, full, self.full(a), self.full(a), ordered))?;
        self.push(Instruction::with3(VEX_Vandpd_ymm_ymm_ymmm256, full, full, self.full(a)))?;
        let least = self.splat_operand((-2f64.powi(63)).to_bits());
        self.push(Instruction::with3(VEX_Vmaxpd_ymm_ymm_ymmm256, full, full, least))?;
        let limit = self.splat_operand(2f64.powi(63).to_bits());
        self.push(Instruction::with3(VEX_Vminpd_ymm_ymm_ymmm256, full, full, limit))?;
        self.wholes_to_ints(dst, s, t)?;
        // 2⁶³ became the least integer, which is one more than the most.
        let half = self.splat_operand(2f64.powi(31).to_bits());
        self.push(Instruction::with4(compare, other, other, half, equal))?;
        self.op3(VEX_Vpaddq_ymm_ymm_ymmm256, dst, dst, t)
    }

    /// Small integers become the low bits of a number that is known otherwise.
    pub(super) fn small_ints_to_doubles(&mut self, dst: VReg, a: VReg) -> Done {
        use Code::*;
        let target = self.full(dst);
        let bits = self.splat_operand(SMALL.to_bits());
        self.push(Instruction::with3(VEX_Vpaddq_ymm_ymm_ymmm256, target, self.full(a), bits))?;
        self.push(Instruction::with3(VEX_Vsubpd_ymm_ymm_ymmm256, target, target, bits))
    }

    /// The reverse.
    pub(super) fn doubles_to_small_ints(&mut self, dst: VReg, a: VReg) -> Done {
        use Code::*;
        let target = self.full(dst);
        let bits = self.splat_operand(SMALL.to_bits());
        let toward_zero = 11u32;
        self.push(Instruction::with3(VEX_Vroundpd_ymm_ymmm256_imm8, target, self.full(a), toward_zero))?;
        self.push(Instruction::with3(VEX_Vaddpd_ymm_ymm_ymmm256, target, target, bits))?;
        self.push(Instruction::with3(VEX_Vpsubq_ymm_ymm_ymmm256, target, target, bits))
    }
}
