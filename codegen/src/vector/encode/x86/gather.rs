//! Gathers. There are instructions for elements of 32 and of 64 bits; narrower ones are loaded one by one.

use iced_x86::{Code, Instruction, MemoryOperand, Register};

use super::vector::K_SCRATCH;
use super::{Done, Emitter, SCRATCH, codes, gpr, xmm};
use crate::vector::ir::{IReg, Inst, MReg, Stmt, Storage, VReg, Width};

/// The low half of [`SCRATCH`].
const SCRATCH32: Register = Register::EAX;

/// Whether some elements are gathered one by one.
pub(super) fn one_by_one(stmts: &[Stmt]) -> bool {
    stmts.iter().any(|stmt| match stmt {
        Stmt::Inst(Inst::Gather { from, .. }) => from.bytes() < 4,
        Stmt::Inst(_) => false,
        Stmt::Loop(l) => one_by_one(&l.body),
        Stmt::If(i) => one_by_one(&i.then) || one_by_one(&i.otherwise),
    })
}

impl Emitter {
    pub(super) fn gather(
        &mut self,
        dst: VReg,
        base: IReg,
        index: VReg,
        from: Storage,
        mask: Option<MReg>,
    ) -> Done {
        if from == self.width.storage() {
            return self.gather_lanes(dst, base, index, mask);
        }
        if from.bytes() == 4 {
            return self.gather_halves(dst, base, index, from, mask);
        }
        self.gather_elements(dst, base, index, from, mask)
    }

    /// Whole lanes. Gathers clear their mask, so it is copied first.
    fn gather_lanes(&mut self, dst: VReg, base: IReg, index: VReg, mask: Option<MReg>) -> Done {
        use Code::*;
        let size = self.width.bytes();
        let place = MemoryOperand::new(gpr(base.0), self.full(index), size, 0, 0, false, Register::None);
        if self.wide() {
            self.copy_mask(mask)?;
            self.splat(dst, 0)?;
            let code = self.by_width(EVEX_Vgatherdps_zmm_k1_vm32z, EVEX_Vgatherqpd_zmm_k1_vm64z);
            self.push(Instruction::with2(code, self.full(dst), place))?;
            self.masked(K_SCRATCH, false);
            return Ok(());
        }
        // The mask may end here and share the register of the destination.
        let s = self.full(self.scratch());
        match mask {
            Some(mask) => self.push(Instruction::with2(VEX_Vmovaps_ymm_ymmm256, s, self.mask(mask)))?,
            None => self.push(Instruction::with3(VEX_Vpcmpeqd_ymm_ymm_ymmm256, s, s, s))?,
        }
        self.splat(dst, 0)?;
        let code = self.by_width(VEX_Vgatherdps_ymm_vm32y_ymm, VEX_Vgatherqpd_ymm_vm64y_ymm);
        self.push(Instruction::with3(code, self.full(dst), place, s))
    }

    /// AVX-512: a mask, or that of all lanes, in the scratch mask register.
    fn copy_mask(&mut self, mask: Option<MReg>) -> Done {
        use Code::*;
        match mask {
            Some(mask) => self.push(Instruction::with2(VEX_Kmovw_kr_km16, K_SCRATCH, self.mask(mask))),
            None => self.push(Instruction::with3(VEX_Kxnorw_kr_kr_kr, K_SCRATCH, K_SCRATCH, K_SCRATCH)),
        }
    }

    /// Elements of 32 bits in lanes of 64.
    fn gather_halves(
        &mut self,
        dst: VReg,
        base: IReg,
        index: VReg,
        from: Storage,
        mask: Option<MReg>,
    ) -> Done {
        use Code::*;
        let place = MemoryOperand::new(gpr(base.0), self.full(index), 4, 0, 0, false, Register::None);
        if self.wide() {
            self.copy_mask(mask)?;
            self.splat(dst, 0)?;
            self.push(Instruction::with2(EVEX_Vpgatherqd_ymm_k1_vm64z, self.half(dst), place))?;
            self.masked(K_SCRATCH, false);
        } else {
            let s = xmm(self.scratch());
            match mask {
                Some(mask) => self.halve_mask(s, self.mask(mask))?,
                None => self.push(Instruction::with3(VEX_Vpcmpeqd_xmm_xmm_xmmm128, s, s, s))?,
            }
            self.splat(dst, 0)?;
            self.push(Instruction::with3(VEX_Vpgatherqd_xmm_vm64y_xmm, xmm(dst), place, s))?;
        }
        let convert = self.pick(codes::load(from, self.width));
        self.push(Instruction::with2(convert, self.full(dst), self.half(dst)))
    }

    /// Elements of 8 and 16 bits, side by side in the scratch register before they become lanes.
    fn gather_elements(
        &mut self,
        dst: VReg,
        base: IReg,
        index: VReg,
        from: Storage,
        mask: Option<MReg>,
    ) -> Done {
        use Code::*;
        let indices = self.stack(self.indices);
        if self.wide() {
            // Halves, because what was stored across two lines of the cache is read late.
            let upper = self.stack(self.indices + 32);
            self.push(Instruction::with2(EVEX_Vmovups_ymmm256_k1z_ymm, indices, self.half(index)))?;
            let store = EVEX_Vextractf64x4_ymmm256_k1z_zmm_imm8;
            self.push(Instruction::with3(store, upper, self.full(index), 1u32))?;
        } else {
            self.push(Instruction::with2(VEX_Vmovups_ymmm256_ymm, indices, self.full(index)))?;
        }
        self.insert_elements(dst, base, from, mask)?;
        let s = xmm(self.scratch());
        let convert = self.pick(codes::load(from, self.width));
        if self.by_singles(from) {
            self.push(Instruction::with2(convert, self.half(self.scratch()), s))?;
            return self.singles_to_doubles(dst, self.scratch());
        }
        let packed = if self.parts(from) == 1 { s } else { self.half(dst) };
        self.push(Instruction::with2(convert, self.full(dst), packed))
    }

    /// How many registers of 128 bits the elements of a vector fill.
    fn parts(&self, from: Storage) -> u32 {
        (self.lanes() * from.bytes()).div_ceil(16)
    }

    /// The bits of a mask in the scratch integer register.
    fn mask_bits(&mut self, mask: MReg) -> Done {
        use Code::*;
        let code = match self.wide() {
            true => VEX_Kmovw_r32_kr,
            false => self.by_width(VEX_Vmovmskps_r32_ymm, VEX_Vmovmskpd_r32_ymm),
        };
        self.push(Instruction::with2(code, SCRATCH32, self.mask(mask)))
    }

    /// The elements in the scratch register; those of two registers are put together in the destination, which AVX-512
    /// alone needs, whose masks are no vectors.
    fn insert_elements(&mut self, dst: VReg, base: IReg, from: Storage, mask: Option<MReg>) -> Done {
        use Code::*;
        let s = xmm(self.scratch());
        let insert = match from.bytes() {
            1 => self.code(VEX_Vpinsrb_xmm_xmm_r32m8_imm8, EVEX_Vpinsrb_xmm_xmm_r32m8_imm8),
            _ => self.code(VEX_Vpinsrw_xmm_xmm_r32m16_imm8, EVEX_Vpinsrw_xmm_xmm_r32m16_imm8),
        };
        let parts = self.parts(from);
        let lanes = self.lanes() / parts;
        for part in 0..parts {
            // A number from an integer register depends on no older value of the vector register.
            self.push(Instruction::with2(Xor_r32_rm32, SCRATCH32, SCRATCH32))?;
            let start = self.code(VEX_Vmovd_xmm_rm32, EVEX_Vmovd_xmm_rm32);
            self.push(Instruction::with2(start, s, SCRATCH32))?;
            for lane in 0..lanes {
                let next = self.new_label();
                let at = part * lanes + lane;
                if let Some(mask) = mask {
                    self.mask_bits(mask)?;
                    self.push(Instruction::with2(Test_rm32_imm32, SCRATCH32, 1u32 << at))?;
                    self.jump(Je_rel32_64, next)?;
                }
                let index = self.stack(self.indices + i64::from(at * self.width.bytes()));
                let load = if self.width == Width::W32 { Movsxd_r64_rm32 } else { Mov_r64_rm64 };
                self.push(Instruction::with2(load, SCRATCH, index))?;
                let size = from.bytes();
                let place = MemoryOperand::new(gpr(base.0), SCRATCH, size, 0, 0, false, Register::None);
                self.push(Instruction::with4(insert, s, s, place, lane))?;
                self.bind(next);
            }
            if parts > 1 && part == 0 {
                self.push(Instruction::with2(EVEX_Vmovaps_xmm_k1z_xmmm128, xmm(dst), s))?;
            } else if parts > 1 {
                let (half, code) = (self.half(dst), EVEX_Vinserti32x4_ymm_k1z_ymm_xmmm128_imm8);
                self.push(Instruction::with4(code, half, half, s, part))?;
            }
        }
        Ok(())
    }
}
