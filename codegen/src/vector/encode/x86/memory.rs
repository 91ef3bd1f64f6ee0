//! Loads and stores of vectors, with the conversion between a lane and what memory holds.
//!
//! AVX-512 converts and masks in one instruction. AVX2 has masks for whole lanes alone: masked accesses of narrower
//! elements go element by element, unless all lanes are active.

use iced_x86::{Code, Instruction, MemoryOperand, Register};

use super::{Done, Emitter, NEAREST_EVEN, SCRATCH, xmm};
use crate::vector::ir::{Addr, MReg, Storage, VReg};

/// The low half of [`SCRATCH`].
const SCRATCH32: Register = Register::EAX;

impl Emitter {
    pub(super) fn load(&mut self, dst: VReg, addr: Addr, from: Storage) -> Done {
        let place = self.memory(addr);
        self.push(Instruction::with2(self.load_code(from), self.full(dst), place))
    }

    pub(super) fn load_masked(&mut self, dst: VReg, addr: Addr, from: Storage, mask: MReg) -> Done {
        use Code::*;
        let mask = self.mask(mask);
        if self.wide() {
            if from.is_pair() {
                // Masks of an instruction that widens bytes are by halves: the pairs first, as they are.
                let (place, s) = (self.memory(addr), Register::YMM0 + self.scratch().0);
                self.push(Instruction::with2(EVEX_Vmovdqu16_ymm_k1z_ymmm256, s, place))?;
                self.masked(mask, true);
                return self.push(Instruction::with2(self.load_code(from), self.full(dst), s));
            }
            self.load(dst, addr, from)?;
            self.masked(mask, true);
            return Ok(());
        }
        let place = self.memory(addr);
        if from == Storage::Lane {
            return self.push(Instruction::with3(VEX_Vmaskmovps_ymm_ymm_m256, self.full(dst), mask, place));
        }
        let s = xmm(self.scratch());
        let insert = match from.bytes() {
            1 => VEX_Vpinsrb_xmm_xmm_r32m8_imm8,
            _ => VEX_Vpinsrw_xmm_xmm_r32m16_imm8,
        };
        let convert = self.load_code(from);
        // The mask may share the register of the destination: it is read before.
        self.active_elements(
            mask,
            place,
            from,
            |e| e.push(Instruction::with2(convert, e.full(dst), place)),
            |e| e.push(Instruction::with3(VEX_Vpxor_xmm_xmm_xmmm128, s, s, s)),
            |e, lane, place| e.push(Instruction::with4(insert, s, s, place, lane)),
            |e| e.push(Instruction::with2(convert, e.full(dst), s)),
        )
    }

    pub(super) fn load_splat(&mut self, dst: VReg, addr: Addr, from: Storage) -> Done {
        use Code::*;
        let place = self.memory(addr);
        let widen = match from {
            Storage::Lane => {
                let code = self.code(VEX_Vbroadcastss_ymm_m32, EVEX_Vbroadcastss_zmm_k1z_xmmm32);
                return self.push(Instruction::with2(code, self.full(dst), place));
            }
            Storage::I8 => Movsx_r32_rm8,
            Storage::U8 => Movzx_r32_rm8,
            Storage::I16 => Movsx_r32_rm16,
            _ => Movzx_r32_rm16,
        };
        self.push(Instruction::with2(widen, SCRATCH32, place))?;
        if from != Storage::F16 && !from.is_pair() {
            return self.splat_int(dst, SCRATCH32);
        }
        let (to_vector, convert, splat) = (
            self.code(VEX_Vmovd_xmm_rm32, EVEX_Vmovd_xmm_rm32),
            self.quad_code(from),
            self.code(VEX_Vbroadcastss_ymm_xmm, EVEX_Vbroadcastss_zmm_k1z_xmmm32),
        );
        self.push(Instruction::with2(to_vector, xmm(dst), SCRATCH32))?;
        self.push(Instruction::with2(convert, xmm(dst), xmm(dst)))?;
        self.push(Instruction::with2(splat, self.full(dst), xmm(dst)))
    }

    pub(super) fn store(&mut self, src: VReg, addr: Addr, to: Storage) -> Done {
        use Code::*;
        let place = self.memory(addr);
        if self.wide() {
            return match to {
                Storage::F16 => {
                    let code = EVEX_Vcvtps2ph_ymmm256_k1z_zmm_imm8_sae;
                    self.push(Instruction::with3(code, place, self.full(src), NEAREST_EVEN))
                }
                Storage::I8 | Storage::U8 => {
                    self.push(Instruction::with2(EVEX_Vpmovdb_xmmm128_k1z_zmm, place, self.full(src)))
                }
                Storage::I16 | Storage::U16 => {
                    self.push(Instruction::with2(EVEX_Vpmovdw_ymmm256_k1z_zmm, place, self.full(src)))
                }
                Storage::I8Pair | Storage::U8Pair => {
                    self.push(Instruction::with2(EVEX_Vpmovwb_ymmm256_k1z_zmm, place, self.full(src)))
                }
                Storage::Lane => {
                    self.push(Instruction::with2(EVEX_Vmovups_zmmm512_k1z_zmm, place, self.full(src)))
                }
            };
        }
        match to {
            Storage::Lane => self.push(Instruction::with2(VEX_Vmovups_ymmm256_ymm, place, self.full(src))),
            Storage::F16 => {
                let code = VEX_Vcvtps2ph_xmmm128_ymm_imm8;
                self.push(Instruction::with3(code, place, self.full(src), NEAREST_EVEN))
            }
            _ => {
                self.narrow(src, to)?;
                let code = if to.bytes() == 1 { VEX_Vmovq_xmmm64_xmm } else { VEX_Vmovups_xmmm128_xmm };
                self.push(Instruction::with2(code, place, xmm(self.scratch())))
            }
        }
    }

    pub(super) fn store_masked(&mut self, src: VReg, addr: Addr, to: Storage, mask: MReg) -> Done {
        use Code::*;
        let mask = self.mask(mask);
        if self.wide() {
            if to.is_pair() {
                let (place, s) = (self.memory(addr), Register::YMM0 + self.scratch().0);
                self.push(Instruction::with2(EVEX_Vpmovwb_ymmm256_k1z_zmm, s, self.full(src)))?;
                self.push(Instruction::with2(EVEX_Vmovdqu16_ymmm256_k1z_ymm, place, s))?;
            } else {
                self.store(src, addr, to)?;
            }
            self.masked(mask, false);
            return Ok(());
        }
        let place = self.memory(addr);
        if to == Storage::Lane {
            return self.push(Instruction::with3(VEX_Vmaskmovps_m256_ymm_ymm, place, mask, self.full(src)));
        }
        let s = xmm(self.scratch());
        let extract = match to.bytes() {
            1 => VEX_Vpextrb_r32m8_xmm_imm8,
            _ => VEX_Vpextrw_r32m16_xmm_imm8,
        };
        self.active_elements(
            mask,
            place,
            to,
            |e| e.store(src, addr, to),
            |e| e.narrow(src, to),
            |e, lane, place| e.push(Instruction::with3(extract, place, s, lane)),
            |_| Ok(()),
        )
    }

    pub(super) fn store_lane(&mut self, src: VReg, addr: Addr, to: Storage) -> Done {
        use Code::*;
        let place = self.memory(addr);
        let from_vector = self.code(VEX_Vmovd_rm32_xmm, EVEX_Vmovd_rm32_xmm);
        match to {
            Storage::Lane => {
                let code = self.code(VEX_Vmovss_m32_xmm, EVEX_Vmovss_m32_k1_xmm);
                return self.push(Instruction::with2(code, place, xmm(src)));
            }
            Storage::F16 => {
                let s = xmm(self.scratch());
                let code = self.code(VEX_Vcvtps2ph_xmmm64_xmm_imm8, EVEX_Vcvtps2ph_xmmm64_k1z_xmm_imm8);
                self.push(Instruction::with3(code, s, xmm(src), NEAREST_EVEN))?;
                self.push(Instruction::with2(from_vector, SCRATCH32, s))?;
            }
            Storage::I8Pair | Storage::U8Pair => {
                let (order, s) = (self.low_bytes(to), xmm(self.scratch()));
                let code = self.code(VEX_Vpshufb_xmm_xmm_xmmm128, EVEX_Vpshufb_xmm_k1z_xmm_xmmm128);
                self.push(Instruction::with3(code, s, xmm(src), order))?;
                self.push(Instruction::with2(from_vector, SCRATCH32, s))?;
            }
            _ => self.push(Instruction::with2(from_vector, SCRATCH32, xmm(src)))?,
        }
        match to.bytes() {
            1 => self.push(Instruction::with2(Mov_rm8_r8, place, Register::AL)),
            _ => self.push(Instruction::with2(Mov_rm16_r16, place, Register::AX)),
        }
    }

    pub(super) fn load_quad(&mut self, dst: VReg, addr: Addr, from: Storage) -> Done {
        let place = self.memory(addr);
        self.push(Instruction::with2(self.quad_code(from), xmm(dst), place))
    }

    /// The load of four elements that also converts.
    fn quad_code(&self, from: Storage) -> Code {
        use Code::*;
        match from {
            Storage::Lane => self.code(VEX_Vmovups_xmm_xmmm128, EVEX_Vmovups_xmm_k1z_xmmm128),
            Storage::I8 => self.code(VEX_Vpmovsxbd_xmm_xmmm32, EVEX_Vpmovsxbd_xmm_k1z_xmmm32),
            Storage::U8 => self.code(VEX_Vpmovzxbd_xmm_xmmm32, EVEX_Vpmovzxbd_xmm_k1z_xmmm32),
            Storage::I16 => self.code(VEX_Vpmovsxwd_xmm_xmmm64, EVEX_Vpmovsxwd_xmm_k1z_xmmm64),
            Storage::U16 => self.code(VEX_Vpmovzxwd_xmm_xmmm64, EVEX_Vpmovzxwd_xmm_k1z_xmmm64),
            Storage::F16 => self.code(VEX_Vcvtph2ps_xmm_xmmm64, EVEX_Vcvtph2ps_xmm_k1z_xmmm64),
            Storage::I8Pair => self.code(VEX_Vpmovsxbw_xmm_xmmm64, EVEX_Vpmovsxbw_xmm_k1z_xmmm64),
            Storage::U8Pair => self.code(VEX_Vpmovzxbw_xmm_xmmm64, EVEX_Vpmovzxbw_xmm_k1z_xmmm64),
        }
    }

    pub(super) fn store_quad(&mut self, src: VReg, addr: Addr, to: Storage) -> Done {
        use Code::*;
        let place = self.memory(addr);
        let code = match to {
            Storage::Lane => self.code(VEX_Vmovups_xmmm128_xmm, EVEX_Vmovups_xmmm128_k1z_xmm),
            Storage::F16 => {
                let code = self.code(VEX_Vcvtps2ph_xmmm64_xmm_imm8, EVEX_Vcvtps2ph_xmmm64_k1z_xmm_imm8);
                return self.push(Instruction::with3(code, place, xmm(src), NEAREST_EVEN));
            }
            _ if !self.wide() => {
                let order = self.low_bytes(to);
                let s = xmm(self.scratch());
                self.push(Instruction::with3(VEX_Vpshufb_xmm_xmm_xmmm128, s, xmm(src), order))?;
                let code = if to.bytes() == 1 { VEX_Vmovd_rm32_xmm } else { VEX_Vmovq_xmmm64_xmm };
                return self.push(Instruction::with2(code, place, s));
            }
            Storage::I8 | Storage::U8 => EVEX_Vpmovdb_xmmm32_k1z_xmm,
            Storage::I16 | Storage::U16 => EVEX_Vpmovdw_xmmm64_k1z_xmm,
            Storage::I8Pair | Storage::U8Pair => EVEX_Vpmovwb_xmmm64_k1z_xmm,
        };
        self.push(Instruction::with2(code, place, xmm(src)))
    }

    /// The load that also converts.
    fn load_code(&self, from: Storage) -> Code {
        use Code::*;
        match from {
            Storage::Lane => self.code(VEX_Vmovups_ymm_ymmm256, EVEX_Vmovups_zmm_k1z_zmmm512),
            Storage::I8 => self.code(VEX_Vpmovsxbd_ymm_xmmm64, EVEX_Vpmovsxbd_zmm_k1z_xmmm128),
            Storage::U8 => self.code(VEX_Vpmovzxbd_ymm_xmmm64, EVEX_Vpmovzxbd_zmm_k1z_xmmm128),
            Storage::I16 => self.code(VEX_Vpmovsxwd_ymm_xmmm128, EVEX_Vpmovsxwd_zmm_k1z_ymmm256),
            Storage::U16 => self.code(VEX_Vpmovzxwd_ymm_xmmm128, EVEX_Vpmovzxwd_zmm_k1z_ymmm256),
            Storage::F16 => self.code(VEX_Vcvtph2ps_ymm_xmmm128, EVEX_Vcvtph2ps_zmm_k1z_ymmm256_sae),
            Storage::I8Pair => self.code(VEX_Vpmovsxbw_ymm_xmmm128, EVEX_Vpmovsxbw_zmm_k1z_ymmm256),
            Storage::U8Pair => self.code(VEX_Vpmovzxbw_ymm_xmmm128, EVEX_Vpmovzxbw_zmm_k1z_ymmm256),
        }
    }

    /// AVX2: the elements of a vector, side by side in the scratch register.
    fn narrow(&mut self, src: VReg, to: Storage) -> Done {
        use Code::*;
        let s = self.scratch();
        if to == Storage::F16 {
            let code = VEX_Vcvtps2ph_xmmm128_ymm_imm8;
            return self.push(Instruction::with3(code, xmm(s), self.full(src), NEAREST_EVEN));
        }
        // The low bytes of each lane go to the start of their half, then the halves side by side.
        let order = self.low_bytes(to);
        self.push(Instruction::with3(VEX_Vpshufb_ymm_ymm_ymmm256, self.full(s), self.full(src), order))?;
        self.push(Instruction::with3(VEX_Vpermq_ymm_ymmm256_imm8, self.full(s), self.full(s), 0b1000))?;
        if to.bytes() == 1 {
            self.push(Instruction::with3(VEX_Vpshufd_xmm_xmmm128_imm8, xmm(s), xmm(s), 0b1000))?;
        }
        Ok(())
    }

    /// The order that brings the low bytes of each lane to the start of its half of a register.
    fn low_bytes(&mut self, to: Storage) -> MemoryOperand {
        let (size, step) = (to.bytes(), if to.is_pair() { 2 } else { 1 });
        let low = (0..4).flat_map(|lane| (0..size).map(move |byte| (4 * lane + step * byte) as u8));
        let half: Vec<u8> = low.chain(std::iter::repeat(0x80)).take(16).collect();
        self.constant(half.repeat(2), false)
    }

    /// AVX2: runs `whole` if all lanes of the mask are active, else `before`, `element` for each active lane, `after`.
    #[allow(clippy::too_many_arguments, reason = "the parts of one piece of code, in order")]
    fn active_elements(
        &mut self,
        mask: Register,
        place: MemoryOperand,
        storage: Storage,
        whole: impl FnOnce(&mut Self) -> Done,
        before: impl FnOnce(&mut Self) -> Done,
        element: impl Fn(&mut Self, u32, MemoryOperand) -> Done,
        after: impl FnOnce(&mut Self) -> Done,
    ) -> Done {
        use Code::*;
        let lanes = self.isa.lanes();
        let (some, end) = (self.new_label(), self.new_label());
        self.push(Instruction::with2(VEX_Vmovmskps_r32_ymm, SCRATCH32, mask))?;
        self.push(Instruction::with2(Cmp_rm32_imm32, SCRATCH32, (1u32 << lanes) - 1))?;
        self.jump(Jne_rel32_64, some)?;
        whole(self)?;
        self.jump(Jmp_rel32_64, end)?;
        self.bind(some);
        before(self)?;
        for lane in 0..lanes {
            let next = self.new_label();
            self.push(Instruction::with2(Test_rm8_imm8, Register::AL, 1u32 << lane))?;
            self.jump(Je_rel32_64, next)?;
            let mut place = place;
            place.displacement += i64::from(lane * storage.bytes());
            place.displ_size = 1;
            element(self, lane, place)?;
            self.bind(next);
        }
        after(self)?;
        self.bind(end);
        debug_assert_eq!(SCRATCH32 as u32 - Register::EAX as u32, SCRATCH as u32 - Register::RAX as u32);
        Ok(())
    }
}
