//! Loads and stores of vectors, with the conversion between a lane and what memory holds.
//!
//! AVX-512 converts and masks in one instruction. AVX2 has masks for elements of 32 and 64 bits alone: masked accesses of
//! narrower elements go element by element, unless all lanes are active; in lanes of 8 and 16 bits as `narrow` says.
//! Halves become `f64` by way of `f32`.

use iced_x86::{Code, Instruction, MemoryOperand, Register};

use super::{Done, Emitter, NEAREST_EVEN, SCRATCH, codes, xmm};
use crate::vector::ir::{Addr, MReg, Storage, VReg, Width};

/// The low half of [`SCRATCH`].
const SCRATCH32: Register = Register::EAX;

impl Emitter {
    pub(super) fn load(&mut self, dst: VReg, addr: Addr, from: Storage) -> Done {
        self.load_if(dst, addr, from, None)
    }

    /// A load under a mask of AVX-512, if there is one.
    fn load_if(&mut self, dst: VReg, addr: Addr, from: Storage, mask: Option<Register>) -> Done {
        let place = self.memory(addr);
        let code = self.pick(codes::load(from, self.width));
        if let Some(mask) = mask.filter(|_| from.is_pair()) {
            // Masks of an instruction that widens bytes are by halves: the pairs first, as they are.
            let s = self.half(self.scratch());
            self.push(Instruction::with2(Code::EVEX_Vmovdqu16_ymm_k1z_ymmm256, s, place))?;
            self.masked(mask, true);
            return self.push(Instruction::with2(code, self.full(dst), s));
        }
        let twice = self.by_singles(from);
        let first = if twice { self.half(dst) } else { self.full(dst) };
        self.push(Instruction::with2(code, first, place))?;
        if let Some(mask) = mask {
            self.masked(mask, true);
        }
        if twice { self.singles_to_doubles(dst, dst) } else { Ok(()) }
    }

    /// Whether elements become lanes, and lanes elements, by way of `f32`.
    pub(super) fn by_singles(&self, storage: Storage) -> bool {
        storage == Storage::F16 && self.width == Width::W64
    }

    pub(super) fn load_masked(&mut self, dst: VReg, addr: Addr, from: Storage, mask: MReg) -> Done {
        use Code::*;
        let mask = self.mask(mask);
        if self.wide() {
            return self.load_if(dst, addr, from, Some(mask));
        }
        if !self.width.has_floats() {
            return self.load_active_bytes(dst, addr, from, mask);
        }
        let place = self.memory(addr);
        if from == self.width.storage() {
            let code = self.by_width(VEX_Vmaskmovps_ymm_ymm_m256, VEX_Vmaskmovpd_ymm_ymm_m256);
            return self.push(Instruction::with3(code, self.full(dst), mask, place));
        }
        let convert = self.pick(codes::load(from, self.width));
        let s = xmm(self.scratch());
        if from.bytes() == 4 {
            self.halve_mask(s, mask)?;
            self.push(Instruction::with3(VEX_Vmaskmovps_xmm_xmm_m128, xmm(dst), s, place))?;
            return self.push(Instruction::with2(convert, self.full(dst), xmm(dst)));
        }
        let insert = match from.bytes() {
            1 => VEX_Vpinsrb_xmm_xmm_r32m8_imm8,
            _ => VEX_Vpinsrw_xmm_xmm_r32m16_imm8,
        };
        // The mask may share the register of the destination: it is read before.
        self.active_elements(
            mask,
            place,
            from,
            |e| e.load(dst, addr, from),
            |e| e.push(Instruction::with3(VEX_Vpxor_xmm_xmm_xmmm128, s, s, s)),
            |e, lane, place| e.push(Instruction::with4(insert, s, s, place, lane)),
            |e| {
                if e.by_singles(from) {
                    e.push(Instruction::with2(convert, s, s))?;
                    return e.singles_to_doubles(dst, e.scratch());
                }
                e.push(Instruction::with2(convert, e.full(dst), s))
            },
        )
    }

    /// AVX2: a mask of 64-bit lanes as one of 32-bit lanes.
    pub(super) fn halve_mask(&mut self, target: Register, mask: Register) -> Done {
        use Code::*;
        let low = Register::XMM0 + (mask as u32 - Register::YMM0 as u32);
        self.push(Instruction::with3(VEX_Vextractf128_xmmm128_ymm_imm8, target, mask, 1))?;
        let code = VEX_Vshufps_xmm_xmm_xmmm128_imm8;
        self.push(Instruction::with4(code, target, low, target, 0b10_00_10_00u32))
    }

    pub(super) fn load_splat(&mut self, dst: VReg, addr: Addr, from: Storage) -> Done {
        use Code::*;
        let place = self.memory(addr);
        let widen = match (from, self.width) {
            (Storage::Bits8 | Storage::Bits16 | Storage::Bits32 | Storage::Bits64, _) => {
                let code = self.broadcast_memory();
                return self.push(Instruction::with2(code, self.full(dst), place));
            }
            (Storage::F32, _) => {
                let load = self.code(VEX_Vmovss_xmm_m32, EVEX_Vmovss_xmm_k1z_m32);
                self.push(Instruction::with2(load, xmm(dst), place))?;
                return self.splat_single(dst);
            }
            (Storage::I8, Width::W8 | Width::W16 | Width::W32) => Movsx_r32_rm8,
            (Storage::I16, Width::W8 | Width::W16 | Width::W32) => Movsx_r32_rm16,
            (Storage::I8, Width::W64) => Movsx_r64_rm8,
            (Storage::I16, Width::W64) => Movsx_r64_rm16,
            (Storage::I32, _) => Movsxd_r64_rm32,
            // The upper half of the register becomes zero.
            (Storage::U8, _) => Movzx_r32_rm8,
            (Storage::U16 | Storage::F16 | Storage::I8Pair | Storage::U8Pair, _) => Movzx_r32_rm16,
            (Storage::U32, _) => Mov_r32_rm32,
        };
        let target = if matches!(widen, Movsx_r64_rm8 | Movsx_r64_rm16 | Movsxd_r64_rm32) {
            SCRATCH
        } else {
            SCRATCH32
        };
        self.push(Instruction::with2(widen, target, place))?;
        let convert = match from {
            Storage::F16 => self.code(VEX_Vcvtph2ps_xmm_xmmm64, EVEX_Vcvtph2ps_xmm_k1z_xmmm64),
            Storage::I8Pair => self.code(VEX_Vpmovsxbw_xmm_xmmm64, EVEX_Vpmovsxbw_xmm_k1z_xmmm64),
            Storage::U8Pair => self.code(VEX_Vpmovzxbw_xmm_xmmm64, EVEX_Vpmovzxbw_xmm_k1z_xmmm64),
            _ => return self.splat_int(dst, SCRATCH),
        };
        let to_vector = self.code(VEX_Vmovd_xmm_rm32, EVEX_Vmovd_xmm_rm32);
        self.push(Instruction::with2(to_vector, xmm(dst), SCRATCH32))?;
        self.push(Instruction::with2(convert, xmm(dst), xmm(dst)))?;
        self.splat_single(dst)
    }

    /// The `f32` in the lowest part of a register in every lane.
    fn splat_single(&mut self, dst: VReg) -> Done {
        use Code::*;
        if self.width == Width::W64 {
            let code = self.code(VEX_Vcvtps2pd_xmm_xmmm64, EVEX_Vcvtps2pd_xmm_k1z_xmmm64b32);
            self.push(Instruction::with2(code, xmm(dst), xmm(dst)))?;
        }
        let splat = self.code_of(
            [VEX_Vbroadcastss_ymm_xmm, EVEX_Vbroadcastss_zmm_k1z_xmmm32],
            [VEX_Vbroadcastsd_ymm_xmm, EVEX_Vbroadcastsd_zmm_k1z_xmmm64],
        );
        self.push(Instruction::with2(splat, self.full(dst), xmm(dst)))
    }

    pub(super) fn store(&mut self, src: VReg, addr: Addr, to: Storage) -> Done {
        use Code::*;
        let place = self.memory(addr);
        let narrow = self.width == Width::W32;
        if self.wide() {
            let code = match to {
                Storage::F16 if narrow => {
                    let code = EVEX_Vcvtps2ph_ymmm256_k1z_zmm_imm8_sae;
                    return self.push(Instruction::with3(code, place, self.full(src), NEAREST_EVEN));
                }
                Storage::F16 | Storage::F32 => {
                    let s = self.scratch();
                    self.doubles_to_singles(s, src)?;
                    let s = self.half(s);
                    if to == Storage::F32 {
                        return self.push(Instruction::with2(EVEX_Vmovups_ymmm256_k1z_ymm, place, s));
                    }
                    let code = EVEX_Vcvtps2ph_xmmm128_k1z_ymm_imm8;
                    return self.push(Instruction::with3(code, place, s, NEAREST_EVEN));
                }
                Storage::I8 | Storage::U8 if self.width == Width::W16 => EVEX_Vpmovwb_ymmm256_k1z_zmm,
                Storage::I8 | Storage::U8 => {
                    self.by_width(EVEX_Vpmovdb_xmmm128_k1z_zmm, EVEX_Vpmovqb_xmmm64_k1z_zmm)
                }
                Storage::I16 | Storage::U16 => {
                    self.by_width(EVEX_Vpmovdw_ymmm256_k1z_zmm, EVEX_Vpmovqw_xmmm128_k1z_zmm)
                }
                Storage::I32 | Storage::U32 => EVEX_Vpmovqd_ymmm256_k1z_zmm,
                Storage::I8Pair | Storage::U8Pair => EVEX_Vpmovwb_ymmm256_k1z_zmm,
                Storage::Bits8 => EVEX_Vmovdqu8_zmmm512_k1z_zmm,
                Storage::Bits16 => EVEX_Vmovdqu16_zmmm512_k1z_zmm,
                Storage::Bits32 => EVEX_Vmovups_zmmm512_k1z_zmm,
                Storage::Bits64 => EVEX_Vmovupd_zmmm512_k1z_zmm,
            };
            return self.push(Instruction::with2(code, place, self.full(src)));
        }
        match to {
            Storage::Bits8 | Storage::Bits16 | Storage::Bits32 | Storage::Bits64 => {
                self.push(Instruction::with2(VEX_Vmovups_ymmm256_ymm, place, self.full(src)))
            }
            Storage::F16 if narrow => {
                let code = VEX_Vcvtps2ph_xmmm128_ymm_imm8;
                self.push(Instruction::with3(code, place, self.full(src), NEAREST_EVEN))
            }
            _ => {
                self.narrow(src, to)?;
                let s = xmm(self.scratch());
                let code = match to.bytes() * self.lanes() {
                    4 => VEX_Vmovd_rm32_xmm,
                    8 => VEX_Vmovq_xmmm64_xmm,
                    _ => VEX_Vmovups_xmmm128_xmm,
                };
                self.push(Instruction::with2(code, place, s))
            }
        }
    }

    pub(super) fn store_masked(&mut self, src: VReg, addr: Addr, to: Storage, mask: MReg) -> Done {
        use Code::*;
        let mask = self.mask(mask);
        if self.wide() {
            if to.is_pair() {
                let (place, s) = (self.memory(addr), self.half(self.scratch()));
                self.push(Instruction::with2(EVEX_Vpmovwb_ymmm256_k1z_zmm, s, self.full(src)))?;
                self.push(Instruction::with2(EVEX_Vmovdqu16_ymmm256_k1z_ymm, place, s))?;
            } else {
                self.store(src, addr, to)?;
            }
            self.masked(mask, false);
            return Ok(());
        }
        if !self.width.has_floats() {
            return self.store_active_bytes(src, addr, to, mask);
        }
        let place = self.memory(addr);
        if to == self.width.storage() {
            let code = self.by_width(VEX_Vmaskmovps_m256_ymm_ymm, VEX_Vmaskmovpd_m256_ymm_ymm);
            return self.push(Instruction::with3(code, place, mask, self.full(src)));
        }
        let s = xmm(self.scratch());
        if to.bytes() == 4 {
            let half = xmm(self.spare());
            self.halve_mask(half, mask)?;
            self.narrow(src, to)?;
            return self.push(Instruction::with3(VEX_Vmaskmovps_m128_xmm_xmm, place, half, s));
        }
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
            Storage::Bits32 | Storage::Bits64 => {
                let code = self.code_of(
                    [VEX_Vmovss_m32_xmm, EVEX_Vmovss_m32_k1_xmm],
                    [VEX_Vmovsd_m64_xmm, EVEX_Vmovsd_m64_k1_xmm],
                );
                return self.push(Instruction::with2(code, place, xmm(src)));
            }
            Storage::F16 | Storage::F32 => {
                let s = xmm(self.scratch());
                let mut single = xmm(src);
                if self.width == Width::W64 {
                    let code = self.code(VEX_Vcvtpd2ps_xmm_xmmm128, EVEX_Vcvtpd2ps_xmm_k1z_xmmm128b64);
                    self.push(Instruction::with2(code, s, single))?;
                    single = s;
                }
                if to == Storage::F16 {
                    let code = self.code(VEX_Vcvtps2ph_xmmm64_xmm_imm8, EVEX_Vcvtps2ph_xmmm64_k1z_xmm_imm8);
                    self.push(Instruction::with3(code, s, single, NEAREST_EVEN))?;
                }
                self.push(Instruction::with2(from_vector, SCRATCH32, s))?;
            }
            Storage::I8Pair | Storage::U8Pair => {
                let (order, s) = (self.low_bytes(to, 4), xmm(self.scratch()));
                let code = self.code(VEX_Vpshufb_xmm_xmm_xmmm128, EVEX_Vpshufb_xmm_k1z_xmm_xmmm128);
                self.push(Instruction::with3(code, s, xmm(src), order))?;
                self.push(Instruction::with2(from_vector, SCRATCH32, s))?;
            }
            _ => self.push(Instruction::with2(from_vector, SCRATCH32, xmm(src)))?,
        }
        match to.bytes() {
            1 => self.push(Instruction::with2(Mov_rm8_r8, place, Register::AL)),
            2 => self.push(Instruction::with2(Mov_rm16_r16, place, Register::AX)),
            _ => self.push(Instruction::with2(Mov_rm32_r32, place, SCRATCH32)),
        }
    }

    pub(super) fn load_quad(&mut self, dst: VReg, addr: Addr, from: Storage) -> Done {
        use Code::*;
        let pair = |y: Code, z: Code| self.code(y, z);
        let code = match (from, self.width) {
            (Storage::Bits8 | Storage::Bits16 | Storage::Bits32 | Storage::Bits64, _) => {
                pair(VEX_Vmovups_xmm_xmmm128, EVEX_Vmovups_xmm_k1z_xmmm128)
            }
            (Storage::I8 | Storage::I8Pair, Width::W8 | Width::W16) => {
                pair(VEX_Vpmovsxbw_xmm_xmmm64, EVEX_Vpmovsxbw_xmm_k1z_xmmm64)
            }
            (Storage::U8 | Storage::U8Pair, Width::W8 | Width::W16) => {
                pair(VEX_Vpmovzxbw_xmm_xmmm64, EVEX_Vpmovzxbw_xmm_k1z_xmmm64)
            }
            // Law V8.
            (Storage::I16 | Storage::U16 | Storage::F16, Width::W8 | Width::W16) => INVALID,
            (Storage::I8, Width::W32) => pair(VEX_Vpmovsxbd_xmm_xmmm32, EVEX_Vpmovsxbd_xmm_k1z_xmmm32),
            (Storage::U8, Width::W32) => pair(VEX_Vpmovzxbd_xmm_xmmm32, EVEX_Vpmovzxbd_xmm_k1z_xmmm32),
            (Storage::I16, Width::W32) => pair(VEX_Vpmovsxwd_xmm_xmmm64, EVEX_Vpmovsxwd_xmm_k1z_xmmm64),
            (Storage::U16, Width::W32) => pair(VEX_Vpmovzxwd_xmm_xmmm64, EVEX_Vpmovzxwd_xmm_k1z_xmmm64),
            (Storage::F16, Width::W32) => pair(VEX_Vcvtph2ps_xmm_xmmm64, EVEX_Vcvtph2ps_xmm_k1z_xmmm64),
            (Storage::I8, Width::W64) => pair(VEX_Vpmovsxbq_xmm_xmmm16, EVEX_Vpmovsxbq_xmm_k1z_xmmm16),
            (Storage::U8, Width::W64) => pair(VEX_Vpmovzxbq_xmm_xmmm16, EVEX_Vpmovzxbq_xmm_k1z_xmmm16),
            (Storage::I16, Width::W64) => pair(VEX_Vpmovsxwq_xmm_xmmm32, EVEX_Vpmovsxwq_xmm_k1z_xmmm32),
            (Storage::U16, Width::W64) => pair(VEX_Vpmovzxwq_xmm_xmmm32, EVEX_Vpmovzxwq_xmm_k1z_xmmm32),
            (Storage::I8Pair, _) => pair(VEX_Vpmovsxbw_xmm_xmmm64, EVEX_Vpmovsxbw_xmm_k1z_xmmm64),
            (Storage::U8Pair, _) => pair(VEX_Vpmovzxbw_xmm_xmmm64, EVEX_Vpmovzxbw_xmm_k1z_xmmm64),
            (Storage::I32, _) => pair(VEX_Vpmovsxdq_xmm_xmmm64, EVEX_Vpmovsxdq_xmm_k1z_xmmm64),
            (Storage::U32, _) => pair(VEX_Vpmovzxdq_xmm_xmmm64, EVEX_Vpmovzxdq_xmm_k1z_xmmm64),
            (Storage::F32, _) => pair(VEX_Vcvtps2pd_xmm_xmmm64, EVEX_Vcvtps2pd_xmm_k1z_xmmm64b32),
            // Two halves are less than the conversion would read.
            (Storage::F16, Width::W64) => pair(VEX_Vmovd_xmm_rm32, EVEX_Vmovd_xmm_rm32),
        };
        let place = self.memory(addr);
        let dst = xmm(dst);
        self.push(Instruction::with2(code, dst, place))?;
        if self.by_singles(from) {
            let singles = self.code(VEX_Vcvtph2ps_xmm_xmmm64, EVEX_Vcvtph2ps_xmm_k1z_xmmm64);
            self.push(Instruction::with2(singles, dst, dst))?;
            let doubles = self.code(VEX_Vcvtps2pd_xmm_xmmm64, EVEX_Vcvtps2pd_xmm_k1z_xmmm64b32);
            self.push(Instruction::with2(doubles, dst, dst))?;
        }
        Ok(())
    }

    pub(super) fn store_quad(&mut self, src: VReg, addr: Addr, to: Storage) -> Done {
        use Code::*;
        let place = self.memory(addr);
        let s = xmm(self.scratch());
        let halves = self.code(VEX_Vcvtps2ph_xmmm64_xmm_imm8, EVEX_Vcvtps2ph_xmmm64_k1z_xmm_imm8);
        let doubles_to_singles = self.code(VEX_Vcvtpd2ps_xmm_xmmm128, EVEX_Vcvtpd2ps_xmm_k1z_xmmm128b64);
        let code = match to {
            Storage::Bits8 | Storage::Bits16 | Storage::Bits32 | Storage::Bits64 => {
                self.code(VEX_Vmovups_xmmm128_xmm, EVEX_Vmovups_xmmm128_k1z_xmm)
            }
            Storage::F16 if self.width == Width::W32 => {
                return self.push(Instruction::with3(halves, place, xmm(src), NEAREST_EVEN));
            }
            Storage::F16 => {
                self.push(Instruction::with2(doubles_to_singles, s, xmm(src)))?;
                self.push(Instruction::with3(halves, s, s, NEAREST_EVEN))?;
                let code = self.code(VEX_Vmovd_rm32_xmm, EVEX_Vmovd_rm32_xmm);
                return self.push(Instruction::with2(code, place, s));
            }
            Storage::F32 => {
                self.push(Instruction::with2(doubles_to_singles, s, xmm(src)))?;
                let code = self.code(VEX_Vmovq_xmmm64_xmm, EVEX_Vmovq_xmmm64_xmm);
                return self.push(Instruction::with2(code, place, s));
            }
            _ if !self.wide() => {
                let order = self.low_bytes(to, self.width.bytes());
                self.push(Instruction::with3(VEX_Vpshufb_xmm_xmm_xmmm128, s, xmm(src), order))?;
                let code = match to.bytes() * 16 / self.width.bytes() {
                    2 => return self.push(Instruction::with3(VEX_Vpextrw_r32m16_xmm_imm8, place, s, 0)),
                    4 => VEX_Vmovd_rm32_xmm,
                    _ => VEX_Vmovq_xmmm64_xmm,
                };
                return self.push(Instruction::with2(code, place, s));
            }
            Storage::I8 | Storage::U8 if self.width == Width::W16 => EVEX_Vpmovwb_xmmm64_k1z_xmm,
            Storage::I8 | Storage::U8 => {
                self.by_width(EVEX_Vpmovdb_xmmm32_k1z_xmm, EVEX_Vpmovqb_xmmm16_k1z_xmm)
            }
            Storage::I16 | Storage::U16 => {
                self.by_width(EVEX_Vpmovdw_xmmm64_k1z_xmm, EVEX_Vpmovqw_xmmm32_k1z_xmm)
            }
            Storage::I32 | Storage::U32 => EVEX_Vpmovqd_xmmm64_k1z_xmm,
            Storage::I8Pair | Storage::U8Pair => EVEX_Vpmovwb_xmmm64_k1z_xmm,
        };
        self.push(Instruction::with2(code, place, xmm(src)))
    }

    /// AVX2: the elements of a vector, side by side in the scratch register.
    pub(super) fn narrow(&mut self, src: VReg, to: Storage) -> Done {
        use Code::*;
        let s = self.scratch();
        match (to, self.width) {
            (Storage::F16, Width::W32) => {
                let code = VEX_Vcvtps2ph_xmmm128_ymm_imm8;
                return self.push(Instruction::with3(code, xmm(s), self.full(src), NEAREST_EVEN));
            }
            (Storage::F16 | Storage::F32, _) => {
                self.doubles_to_singles(s, src)?;
                if to == Storage::F32 {
                    return Ok(());
                }
                let code = VEX_Vcvtps2ph_xmmm64_xmm_imm8;
                return self.push(Instruction::with3(code, xmm(s), xmm(s), NEAREST_EVEN));
            }
            (_, Width::W64) => {
                // The low halves of the lanes are lanes of 32 bits.
                self.push(Instruction::with3(VEX_Vextractf128_xmmm128_ymm_imm8, xmm(s), self.full(src), 1))?;
                let code = VEX_Vshufps_xmm_xmm_xmmm128_imm8;
                self.push(Instruction::with4(code, xmm(s), xmm(src), xmm(s), 0b10_00_10_00u32))?;
                if to.bytes() < 4 {
                    let order = self.low_bytes(to, 4);
                    self.push(Instruction::with3(VEX_Vpshufb_xmm_xmm_xmmm128, xmm(s), xmm(s), order))?;
                }
                return Ok(());
            }
            _ => {}
        }
        // The low bytes of each lane go to the start of their half, then the halves side by side.
        let order = self.low_bytes(to, self.width.bytes());
        self.push(Instruction::with3(VEX_Vpshufb_ymm_ymm_ymmm256, self.full(s), self.full(src), order))?;
        self.push(Instruction::with3(VEX_Vpermq_ymm_ymmm256_imm8, self.full(s), self.full(s), 0b1000))?;
        if to.bytes() == 1 && self.width == Width::W32 {
            self.push(Instruction::with3(VEX_Vpshufd_xmm_xmmm128_imm8, xmm(s), xmm(s), 0b1000))?;
        }
        Ok(())
    }

    /// The order that brings the low bytes of each lane of so many bytes to the start of its half of a register.
    fn low_bytes(&mut self, to: Storage, lane_bytes: u32) -> MemoryOperand {
        let (size, step) = (to.bytes(), if to.is_pair() { 2 } else { 1 });
        let lanes = 16 / lane_bytes;
        let low =
            (0..lanes).flat_map(|lane| (0..size).map(move |byte| (lane_bytes * lane + step * byte) as u8));
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
        let lanes = self.lanes();
        let signs = self.by_width(VEX_Vmovmskps_r32_ymm, VEX_Vmovmskpd_r32_ymm);
        let (some, end) = (self.new_label(), self.new_label());
        self.push(Instruction::with2(signs, SCRATCH32, mask))?;
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
