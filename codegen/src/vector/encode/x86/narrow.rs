//! Lanes of 8 and of 16 bits: what is no single instruction, and the masked accesses of AVX2.
//!
//! AVX2 has masks for whole parts of 32 bits alone. Parts of which all bytes are active are moved by them; the bytes of
//! the others, which are six at most because active lanes are neighbours, one by one through a buffer in the frame.

use iced_x86::{Code, Instruction, MemoryOperand, Register};

use super::{Done, Emitter, EncodeError, SCRATCH, codes, xmm};
use crate::vector::Isa;
use crate::vector::ir::{Addr, BinaryOp, ShiftOp, Storage, VReg, Width};

/// The place of a byte among 64 bits, and its address.
const PLACE: Register = Register::R10;
const ADDRESS: Register = Register::R11;

/// What quotients of bytes are reached by.
const OFFSET: u8 = 204;
const SCALE: f32 = 65460.0;

/// Whether masked accesses go through memory.
pub(super) fn needs_buffer(isa: Isa, width: Width) -> bool {
    !isa.is_avx512() && !width.has_floats()
}

impl Emitter {
    /// The same two bytes again and again, as an operand of an operation on bits.
    fn pattern(&mut self, bytes: [u8; 2]) -> MemoryOperand {
        let wide = self.wide();
        self.constant(bytes.repeat(if wide { 2 } else { 16 }), wide)
    }

    fn with_pattern(&mut self, op: BinaryOp, dst: VReg, a: VReg, bytes: [u8; 2]) -> Done {
        let code = self.pick(codes::binary(op, Width::W32));
        let operand = self.pattern(bytes);
        self.push(Instruction::with3(code, self.full(dst), self.full(a), operand))
    }

    /// Products of bytes: those at even places are the low halves of 16-bit products, those at odd places sums of such
    /// with zero.
    pub(super) fn multiply_bytes(&mut self, dst: VReg, a: VReg, b: VReg) -> Done {
        use Code::*;
        let s = self.scratch();
        self.with_pattern(BinaryOp::And, s, a, [0, 0xFF])?;
        // One product of an unsigned and a signed byte does not saturate.
        let odd = self.code(VEX_Vpmaddubsw_ymm_ymm_ymmm256, EVEX_Vpmaddubsw_zmm_k1z_zmm_zmmm512);
        self.op3(odd, s, s, b)?;
        let shift = self.shift_words(ShiftOp::Left);
        self.push(Instruction::with3(shift, self.full(s), self.full(s), 8u32))?;
        let even = self.code(VEX_Vpmullw_ymm_ymm_ymmm256, EVEX_Vpmullw_zmm_k1z_zmm_zmmm512);
        self.op3(even, dst, a, b)?;
        self.with_pattern(BinaryOp::And, dst, dst, [0xFF, 0])?;
        self.binary(BinaryOp::Or, dst, dst, s)
    }

    /// Quotients of bytes: `⌊(256 x + o) · r / 2²⁴⌋`, where `r` is the integer nearest to `c / y` by an approximate reciprocal.
    ///
    /// `o` and `c` were found by trying all: with these every quotient is right, for whatever reciprocals that are at most
    /// 1.5 · 2⁻¹² off, as instructions promise. That of 0 is infinite, which as an integer is the least, and packed 0.
    pub(super) fn quotients_of_bytes(&mut self, dst: VReg, a: VReg, b: VReg) -> Done {
        use Code::*;
        // Operands are read until the end (`Inst::late_uses`).
        let [s, t] = [self.scratch(), self.spare()];
        let bytes = [
            self.code(VEX_Vpunpcklbw_ymm_ymm_ymmm256, EVEX_Vpunpcklbw_zmm_k1z_zmm_zmmm512),
            self.code(VEX_Vpunpckhbw_ymm_ymm_ymmm256, EVEX_Vpunpckhbw_zmm_k1z_zmm_zmmm512),
        ];
        let words = [
            self.code(VEX_Vpunpcklwd_ymm_ymm_ymmm256, EVEX_Vpunpcklwd_zmm_k1z_zmm_zmmm512),
            self.code(VEX_Vpunpckhwd_ymm_ymm_ymmm256, EVEX_Vpunpckhwd_zmm_k1z_zmm_zmmm512),
        ];
        let to_float = self.code(VEX_Vcvtdq2ps_ymm_ymmm256, EVEX_Vcvtdq2ps_zmm_k1z_zmmm512b32_er);
        let reciprocal = self.code(VEX_Vrcpps_ymm_ymmm256, EVEX_Vrcp14ps_zmm_k1z_zmmm512b32);
        let multiply = self.pick(codes::binary(BinaryOp::Mul, Width::W32));
        let to_int = self.code(VEX_Vcvtps2dq_ymm_ymmm256, EVEX_Vcvtps2dq_zmm_k1z_zmmm512b32_er);
        let join_words = self.code(VEX_Vpackusdw_ymm_ymm_ymmm256, EVEX_Vpackusdw_zmm_k1z_zmm_zmmm512b32);
        let join_bytes = self.code(VEX_Vpackuswb_ymm_ymm_ymmm256, EVEX_Vpackuswb_zmm_k1z_zmm_zmmm512);
        let move_vector = self.code(VEX_Vmovdqa_ymm_ymmm256, EVEX_Vmovdqu8_zmm_k1z_zmmm512);
        let product = self.code(VEX_Vpmulhuw_ymm_ymm_ymmm256, EVEX_Vpmulhuw_zmm_k1z_zmm_zmmm512);
        let all = self.isa.bytes() as usize;
        let shift = self.shift_words(ShiftOp::RightLogical);
        let [zero, offset] = [0, OFFSET].map(|byte| self.constant(vec![byte; all], false));
        let scale = self.constant_of_floats(SCALE);
        for unpack in bytes {
            self.push(Instruction::with3(unpack, self.full(t), self.full(b), zero))?;
            self.push(Instruction::with3(words[0], self.full(s), self.full(t), zero))?;
            self.push(Instruction::with3(words[1], self.full(t), self.full(t), zero))?;
            for part in [s, t] {
                self.op2(to_float, part, part)?;
                self.op2(reciprocal, part, part)?;
                self.push(Instruction::with3(multiply, self.full(part), self.full(part), scale))?;
                self.op2(to_int, part, part)?;
            }
            self.op3(join_words, s, s, t)?;
            // Below each byte, the offset.
            self.push(Instruction::with2(move_vector, self.full(t), offset))?;
            self.op3(unpack, t, t, a)?;
            self.op3(product, t, t, s)?;
            let quotients = if unpack == bytes[0] { dst } else { t };
            self.push(Instruction::with3(shift, self.full(quotients), self.full(t), 8u32))?;
        }
        self.op3(join_bytes, dst, dst, t)
    }

    /// A float in every 32 bits, as an operand.
    fn constant_of_floats(&mut self, value: f32) -> MemoryOperand {
        let wide = self.wide();
        self.constant(value.to_le_bytes().repeat(if wide { 1 } else { 8 }), wide)
    }

    /// A shift of 16-bit lanes by a constant.
    pub(super) fn shift_words(&self, op: ShiftOp) -> Code {
        use Code::*;
        match op {
            ShiftOp::Left => self.code(VEX_Vpsllw_ymm_ymm_imm8, EVEX_Vpsllw_zmm_k1z_zmmm512_imm8),
            ShiftOp::RightLogical => self.code(VEX_Vpsrlw_ymm_ymm_imm8, EVEX_Vpsrlw_zmm_k1z_zmmm512_imm8),
            ShiftOp::RightArithmetic => self.code(VEX_Vpsraw_ymm_ymm_imm8, EVEX_Vpsraw_zmm_k1z_zmmm512_imm8),
        }
    }

    /// A shift of bytes: one of 16 bits, without what comes from the neighbour.
    pub(super) fn shift_bytes(&mut self, op: ShiftOp, dst: VReg, a: VReg, by: u8) -> Done {
        let (shift, kept) = match op {
            ShiftOp::Left => (ShiftOp::Left, 0xFFu8 << by),
            ShiftOp::RightLogical | ShiftOp::RightArithmetic => (ShiftOp::RightLogical, 0xFF >> by),
        };
        let code = self.shift_words(shift);
        self.push(Instruction::with3(code, self.full(dst), self.full(a), u32::from(by)))?;
        self.with_pattern(BinaryOp::And, dst, dst, [kept; 2])?;
        if op != ShiftOp::RightArithmetic {
            return Ok(());
        }
        // The sign comes down with the others; what it then stands for is taken away twice.
        let sign = 0x80u8 >> by;
        self.with_pattern(BinaryOp::Xor, dst, dst, [sign; 2])?;
        let whole = self.constant(vec![sign; self.isa.bytes() as usize], false);
        let code = self.pick(codes::binary(BinaryOp::IntSub, Width::W8));
        self.push(Instruction::with3(code, self.full(dst), self.full(dst), whole))
    }

    /// AVX2: picks lanes by the sign bits of a mask.
    pub(super) fn blend_bytes(&mut self, dst: VReg, mask: VReg, yes: VReg, no: VReg) -> Done {
        let mut signs = mask;
        if self.width == Width::W16 {
            signs = self.scratch();
            let code = self.shift_words(ShiftOp::RightArithmetic);
            self.push(Instruction::with3(code, self.full(signs), self.full(mask), 15u32))?;
        }
        let [d, n, y, m] = [dst, no, yes, signs].map(|it| self.full(it));
        self.push(Instruction::with4(Code::VEX_Vpblendvb_ymm_ymm_ymmm256_ymm, d, n, y, m))
    }

    /// AVX-512: from byte `by` on of two registers. Blocks of 128 bits come into place first, then bytes inside them.
    pub(super) fn slide_bytes(&mut self, dst: VReg, low: VReg, high: VReg, by: u32) -> Done {
        let (block, rest) = (by / 16, by % 16);
        let first = self.blocks(self.scratch(), low, high, block)?;
        let second = self.blocks(self.spare(), low, high, block + 1)?;
        let code = Code::EVEX_Vpalignr_zmm_k1z_zmm_zmmm512_imm8;
        self.push(Instruction::with4(code, self.full(dst), self.full(second), self.full(first), rest))
    }

    /// AVX-512: from a block of 128 bits on of two registers.
    fn blocks(&mut self, target: VReg, low: VReg, high: VReg, block: u32) -> Result<VReg, EncodeError> {
        if block == 0 || block == 4 {
            return Ok(if block == 0 { low } else { high });
        }
        let code = Code::EVEX_Valignq_zmm_k1z_zmm_zmmm512b64_imm8;
        let [t, h, l] = [target, high, low].map(|it| self.full(it));
        self.push(Instruction::with4(code, t, h, l, 2 * block))?;
        Ok(target)
    }

    /// The lane that starts at a byte in every lane.
    pub(super) fn splat_byte(&mut self, dst: VReg, a: VReg, at: u32) -> Done {
        use Code::*;
        let (block, rest) = (at / 16, at % 16);
        let (s, mut from) = (xmm(self.scratch()), xmm(a));
        if block > 0 {
            let code = self.code(VEX_Vextracti128_xmmm128_ymm_imm8, EVEX_Vextracti32x4_xmmm128_k1z_zmm_imm8);
            self.push(Instruction::with3(code, s, self.full(a), block))?;
            from = s;
        }
        if rest > 0 {
            let code = self.code(VEX_Vpsrldq_xmm_xmm_imm8, EVEX_Vpsrldq_xmm_xmmm128_imm8);
            self.push(Instruction::with3(code, s, from, rest))?;
            from = s;
        }
        let splat = self.broadcast();
        self.push(Instruction::with2(splat, self.full(dst), from))
    }

    pub(super) fn load_active_bytes(&mut self, dst: VReg, addr: Addr, from: Storage, mask: Register) -> Done {
        self.active_bytes(addr, from, mask, true)?;
        let code = if from == self.width.storage() {
            Code::VEX_Vmovaps_ymm_ymmm256
        } else {
            self.pick(codes::load(from, self.width))
        };
        self.push(Instruction::with2(code, self.full(dst), self.stored(from)))
    }

    pub(super) fn store_active_bytes(&mut self, src: VReg, addr: Addr, to: Storage, mask: Register) -> Done {
        if to == self.width.storage() {
            self.op2(Code::VEX_Vmovaps_ymm_ymmm256, self.scratch(), src)?;
        } else {
            self.narrow(src, to)?;
        }
        self.active_bytes(addr, to, mask, false)
    }

    /// The part of the scratch register that holds a vector of elements.
    fn stored(&self, storage: Storage) -> Register {
        if storage == self.width.storage() { self.full(self.scratch()) } else { xmm(self.scratch()) }
    }

    /// The active elements of a vector between memory and the scratch register; a load leaves zeros in the others.
    fn active_bytes(&mut self, addr: Addr, storage: Storage, mask: Register, load: bool) -> Done {
        use Code::*;
        let whole = storage == self.width.storage();
        let (place, value) = (self.memory(addr), self.stored(storage));
        let t = if whole { self.full(self.spare()) } else { xmm(self.spare()) };
        let mut bytes = mask;
        if !whole {
            // Of 16-bit lanes and bytes: the halves of the mask side by side.
            let low = Register::XMM0 + (mask as u32 - Register::YMM0 as u32);
            self.push(Instruction::with3(VEX_Vextracti128_xmmm128_ymm_imm8, t, mask, 1u32))?;
            self.push(Instruction::with3(VEX_Vpacksswb_xmm_xmm_xmmm128, t, low, t))?;
            bytes = t;
        }
        let pick = |y: Code, x: Code| if whole { y } else { x };
        let signs = pick(VEX_Vpmovmskb_r32_ymm, VEX_Vpmovmskb_r32_xmm);
        let equal = pick(VEX_Vpcmpeqd_ymm_ymm_ymmm256, VEX_Vpcmpeqd_xmm_xmm_xmmm128);
        self.push(Instruction::with2(signs, Register::EAX, bytes))?;
        let ones = self.constant(vec![0xFF; 32], false);
        self.push(Instruction::with3(equal, t, bytes, ones))?;
        self.push(Instruction::with2(signs, Register::R10D, t))?;
        self.push(Instruction::with2(Xor_r32_rm32, Register::EAX, Register::R10D))?;
        self.push(match load {
            true => Instruction::with3(
                pick(VEX_Vmaskmovps_ymm_ymm_m256, VEX_Vmaskmovps_xmm_xmm_m128),
                value,
                t,
                place,
            ),
            false => Instruction::with3(
                pick(VEX_Vmaskmovps_m256_ymm_ymm, VEX_Vmaskmovps_m128_xmm_xmm),
                place,
                t,
                value,
            ),
        })?;
        let (top, done, end) = (self.new_label(), self.new_label(), self.new_label());
        self.jump(Je_rel32_64, end)?;
        self.push(Instruction::with2(Lea_r64_m, ADDRESS, place))?;
        let buffer = self.stack(self.buffer);
        let to_buffer = pick(VEX_Vmovups_ymmm256_ymm, VEX_Vmovups_xmmm128_xmm);
        self.push(Instruction::with2(to_buffer, buffer, value))?;
        // A bit for each byte that is left, above the lower half, which is free to move them.
        self.push(Instruction::with2(Shl_rm64_imm8, SCRATCH, 32u32))?;
        let none = Register::None;
        let memory = MemoryOperand::new(ADDRESS, PLACE, 1, -32, 1, false, none);
        let kept = MemoryOperand::new(Register::RSP, PLACE, 1, self.buffer - 32, 1, false, none);
        let (from, to) = if load { (memory, kept) } else { (kept, memory) };
        self.bind(top);
        self.push(Instruction::with2(Bsf_r64_rm64, PLACE, SCRATCH))?;
        self.jump(Je_rel32_64, done)?;
        self.push(Instruction::with2(Btr_rm64_r64, SCRATCH, PLACE))?;
        self.push(Instruction::with2(Mov_r8_rm8, Register::AL, from))?;
        self.push(Instruction::with2(Mov_rm8_r8, to, Register::AL))?;
        self.push(Instruction::with2(Mov_r8_imm8, Register::AL, 0u32))?;
        self.jump(Jmp_rel32_64, top)?;
        self.bind(done);
        if load {
            let from_buffer = pick(VEX_Vmovups_ymm_ymmm256, VEX_Vmovups_xmm_xmmm128);
            self.push(Instruction::with2(from_buffer, value, buffer))?;
        }
        self.bind(end);
        Ok(())
    }
}
