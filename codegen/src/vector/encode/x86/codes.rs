//! Opcodes of lane-wise operations, for `ymm` (VEX) and `zmm` (EVEX).

use iced_x86::Code;

use crate::vector::ir::{BinaryOp, Compare, FmaOp, Interleave, Storage, UnaryOp, Width};

/// The pair of opcodes of an operation.
pub(super) struct Codes {
    pub(super) y: Code,
    pub(super) z: Code,
}

const fn pair(y: Code, z: Code) -> Codes {
    Codes { y, z }
}

/// Opcodes of `dst = a op b`; those of [`BinaryOp::IntEq`] and [`BinaryOp::IntGt`] write a `k` register on AVX-512.
/// What there is no instruction for is `INVALID`; it is composed.
pub(super) fn binary(op: BinaryOp, width: Width) -> Codes {
    use Code::*;
    use Width::{W8, W16, W32, W64};
    match (op, width) {
        // Law V8 keeps floats out.
        _ if op.is_float() && !width.has_floats() => pair(INVALID, INVALID),
        (BinaryOp::Add, W32) => pair(VEX_Vaddps_ymm_ymm_ymmm256, EVEX_Vaddps_zmm_k1z_zmm_zmmm512b32_er),
        (BinaryOp::Add, _) => pair(VEX_Vaddpd_ymm_ymm_ymmm256, EVEX_Vaddpd_zmm_k1z_zmm_zmmm512b64_er),
        (BinaryOp::Sub, W32) => pair(VEX_Vsubps_ymm_ymm_ymmm256, EVEX_Vsubps_zmm_k1z_zmm_zmmm512b32_er),
        (BinaryOp::Sub, _) => pair(VEX_Vsubpd_ymm_ymm_ymmm256, EVEX_Vsubpd_zmm_k1z_zmm_zmmm512b64_er),
        (BinaryOp::Mul, W32) => pair(VEX_Vmulps_ymm_ymm_ymmm256, EVEX_Vmulps_zmm_k1z_zmm_zmmm512b32_er),
        (BinaryOp::Mul, _) => pair(VEX_Vmulpd_ymm_ymm_ymmm256, EVEX_Vmulpd_zmm_k1z_zmm_zmmm512b64_er),
        (BinaryOp::Div, W32) => pair(VEX_Vdivps_ymm_ymm_ymmm256, EVEX_Vdivps_zmm_k1z_zmm_zmmm512b32_er),
        (BinaryOp::Div, _) => pair(VEX_Vdivpd_ymm_ymm_ymmm256, EVEX_Vdivpd_zmm_k1z_zmm_zmmm512b64_er),
        (BinaryOp::Min, W32) => pair(VEX_Vminps_ymm_ymm_ymmm256, EVEX_Vminps_zmm_k1z_zmm_zmmm512b32_sae),
        (BinaryOp::Min, _) => pair(VEX_Vminpd_ymm_ymm_ymmm256, EVEX_Vminpd_zmm_k1z_zmm_zmmm512b64_sae),
        (BinaryOp::Max, W32) => pair(VEX_Vmaxps_ymm_ymm_ymmm256, EVEX_Vmaxps_zmm_k1z_zmm_zmmm512b32_sae),
        (BinaryOp::Max, _) => pair(VEX_Vmaxpd_ymm_ymm_ymmm256, EVEX_Vmaxpd_zmm_k1z_zmm_zmmm512b64_sae),
        (BinaryOp::And, W64) => pair(VEX_Vandpd_ymm_ymm_ymmm256, EVEX_Vandpd_zmm_k1z_zmm_zmmm512b64),
        (BinaryOp::And, _) => pair(VEX_Vandps_ymm_ymm_ymmm256, EVEX_Vandps_zmm_k1z_zmm_zmmm512b32),
        (BinaryOp::Or, W64) => pair(VEX_Vorpd_ymm_ymm_ymmm256, EVEX_Vorpd_zmm_k1z_zmm_zmmm512b64),
        (BinaryOp::Or, _) => pair(VEX_Vorps_ymm_ymm_ymmm256, EVEX_Vorps_zmm_k1z_zmm_zmmm512b32),
        (BinaryOp::Xor, W64) => pair(VEX_Vxorpd_ymm_ymm_ymmm256, EVEX_Vxorpd_zmm_k1z_zmm_zmmm512b64),
        (BinaryOp::Xor, _) => pair(VEX_Vxorps_ymm_ymm_ymmm256, EVEX_Vxorps_zmm_k1z_zmm_zmmm512b32),
        (BinaryOp::AndNot, W64) => pair(VEX_Vandnpd_ymm_ymm_ymmm256, EVEX_Vandnpd_zmm_k1z_zmm_zmmm512b64),
        (BinaryOp::AndNot, _) => pair(VEX_Vandnps_ymm_ymm_ymmm256, EVEX_Vandnps_zmm_k1z_zmm_zmmm512b32),
        (BinaryOp::IntAdd, W8) => pair(VEX_Vpaddb_ymm_ymm_ymmm256, EVEX_Vpaddb_zmm_k1z_zmm_zmmm512),
        (BinaryOp::IntAdd, W16) => pair(VEX_Vpaddw_ymm_ymm_ymmm256, EVEX_Vpaddw_zmm_k1z_zmm_zmmm512),
        (BinaryOp::IntAdd, W32) => pair(VEX_Vpaddd_ymm_ymm_ymmm256, EVEX_Vpaddd_zmm_k1z_zmm_zmmm512b32),
        (BinaryOp::IntAdd, W64) => pair(VEX_Vpaddq_ymm_ymm_ymmm256, EVEX_Vpaddq_zmm_k1z_zmm_zmmm512b64),
        (BinaryOp::IntSub, W8) => pair(VEX_Vpsubb_ymm_ymm_ymmm256, EVEX_Vpsubb_zmm_k1z_zmm_zmmm512),
        (BinaryOp::IntSub, W16) => pair(VEX_Vpsubw_ymm_ymm_ymmm256, EVEX_Vpsubw_zmm_k1z_zmm_zmmm512),
        (BinaryOp::IntSub, W32) => pair(VEX_Vpsubd_ymm_ymm_ymmm256, EVEX_Vpsubd_zmm_k1z_zmm_zmmm512b32),
        (BinaryOp::IntSub, W64) => pair(VEX_Vpsubq_ymm_ymm_ymmm256, EVEX_Vpsubq_zmm_k1z_zmm_zmmm512b64),
        (BinaryOp::IntMul, W8) => pair(INVALID, INVALID),
        (BinaryOp::IntMul, W16) => pair(VEX_Vpmullw_ymm_ymm_ymmm256, EVEX_Vpmullw_zmm_k1z_zmm_zmmm512),
        (BinaryOp::IntMul, W32) => pair(VEX_Vpmulld_ymm_ymm_ymmm256, EVEX_Vpmulld_zmm_k1z_zmm_zmmm512b32),
        (BinaryOp::IntMul, W64) => pair(INVALID, EVEX_Vpmullq_zmm_k1z_zmm_zmmm512b64),
        (BinaryOp::IntMin, W8) => pair(VEX_Vpminsb_ymm_ymm_ymmm256, EVEX_Vpminsb_zmm_k1z_zmm_zmmm512),
        (BinaryOp::IntMin, W16) => pair(VEX_Vpminsw_ymm_ymm_ymmm256, EVEX_Vpminsw_zmm_k1z_zmm_zmmm512),
        (BinaryOp::IntMin, W32) => pair(VEX_Vpminsd_ymm_ymm_ymmm256, EVEX_Vpminsd_zmm_k1z_zmm_zmmm512b32),
        (BinaryOp::IntMin, W64) => pair(INVALID, EVEX_Vpminsq_zmm_k1z_zmm_zmmm512b64),
        (BinaryOp::IntMax, W8) => pair(VEX_Vpmaxsb_ymm_ymm_ymmm256, EVEX_Vpmaxsb_zmm_k1z_zmm_zmmm512),
        (BinaryOp::IntMax, W16) => pair(VEX_Vpmaxsw_ymm_ymm_ymmm256, EVEX_Vpmaxsw_zmm_k1z_zmm_zmmm512),
        (BinaryOp::IntMax, W32) => pair(VEX_Vpmaxsd_ymm_ymm_ymmm256, EVEX_Vpmaxsd_zmm_k1z_zmm_zmmm512b32),
        (BinaryOp::IntMax, W64) => pair(INVALID, EVEX_Vpmaxsq_zmm_k1z_zmm_zmmm512b64),
        (BinaryOp::UintMin, W8) => pair(VEX_Vpminub_ymm_ymm_ymmm256, EVEX_Vpminub_zmm_k1z_zmm_zmmm512),
        (BinaryOp::UintMin, W16) => pair(VEX_Vpminuw_ymm_ymm_ymmm256, EVEX_Vpminuw_zmm_k1z_zmm_zmmm512),
        (BinaryOp::UintMin, W32) => pair(VEX_Vpminud_ymm_ymm_ymmm256, EVEX_Vpminud_zmm_k1z_zmm_zmmm512b32),
        (BinaryOp::UintMin, W64) => pair(INVALID, EVEX_Vpminuq_zmm_k1z_zmm_zmmm512b64),
        (BinaryOp::UintMax, W8) => pair(VEX_Vpmaxub_ymm_ymm_ymmm256, EVEX_Vpmaxub_zmm_k1z_zmm_zmmm512),
        (BinaryOp::UintMax, W16) => pair(VEX_Vpmaxuw_ymm_ymm_ymmm256, EVEX_Vpmaxuw_zmm_k1z_zmm_zmmm512),
        (BinaryOp::UintMax, W32) => pair(VEX_Vpmaxud_ymm_ymm_ymmm256, EVEX_Vpmaxud_zmm_k1z_zmm_zmmm512b32),
        (BinaryOp::UintMax, W64) => pair(INVALID, EVEX_Vpmaxuq_zmm_k1z_zmm_zmmm512b64),
        (BinaryOp::IntEq, W8) => pair(VEX_Vpcmpeqb_ymm_ymm_ymmm256, EVEX_Vpcmpeqb_kr_k1_zmm_zmmm512),
        (BinaryOp::IntEq, W16) => pair(VEX_Vpcmpeqw_ymm_ymm_ymmm256, EVEX_Vpcmpeqw_kr_k1_zmm_zmmm512),
        (BinaryOp::IntEq, W32) => pair(VEX_Vpcmpeqd_ymm_ymm_ymmm256, EVEX_Vpcmpeqd_kr_k1_zmm_zmmm512b32),
        (BinaryOp::IntEq, W64) => pair(VEX_Vpcmpeqq_ymm_ymm_ymmm256, EVEX_Vpcmpeqq_kr_k1_zmm_zmmm512b64),
        (BinaryOp::IntGt, W8) => pair(VEX_Vpcmpgtb_ymm_ymm_ymmm256, EVEX_Vpcmpgtb_kr_k1_zmm_zmmm512),
        (BinaryOp::IntGt, W16) => pair(VEX_Vpcmpgtw_ymm_ymm_ymmm256, EVEX_Vpcmpgtw_kr_k1_zmm_zmmm512),
        (BinaryOp::IntGt, W32) => pair(VEX_Vpcmpgtd_ymm_ymm_ymmm256, EVEX_Vpcmpgtd_kr_k1_zmm_zmmm512b32),
        // Law V8.
        (BinaryOp::ShiftLeft | BinaryOp::ShiftRight, W8 | W16) => pair(INVALID, INVALID),
        (BinaryOp::ShiftLeft, W32) => pair(VEX_Vpsllvd_ymm_ymm_ymmm256, EVEX_Vpsllvd_zmm_k1z_zmm_zmmm512b32),
        (BinaryOp::ShiftLeft, W64) => pair(VEX_Vpsllvq_ymm_ymm_ymmm256, EVEX_Vpsllvq_zmm_k1z_zmm_zmmm512b64),
        (BinaryOp::ShiftRight, W32) => pair(VEX_Vpsrlvd_ymm_ymm_ymmm256, EVEX_Vpsrlvd_zmm_k1z_zmm_zmmm512b32),
        (BinaryOp::ShiftRight, W64) => pair(VEX_Vpsrlvq_ymm_ymm_ymmm256, EVEX_Vpsrlvq_zmm_k1z_zmm_zmmm512b64),
        (BinaryOp::PairSub, _) => pair(VEX_Vpsubw_ymm_ymm_ymmm256, EVEX_Vpsubw_zmm_k1z_zmm_zmmm512),
        (BinaryOp::UintQuot, _) => pair(INVALID, INVALID),
        (BinaryOp::LowMul, _) => pair(VEX_Vpmuludq_ymm_ymm_ymmm256, EVEX_Vpmuludq_zmm_k1z_zmm_zmmm512b64),
        (BinaryOp::HalfMul, _) => pair(VEX_Vpmulld_ymm_ymm_ymmm256, EVEX_Vpmulld_zmm_k1z_zmm_zmmm512b32),
        (BinaryOp::HalfAdd, _) => pair(VEX_Vpaddd_ymm_ymm_ymmm256, EVEX_Vpaddd_zmm_k1z_zmm_zmmm512b32),
        (BinaryOp::IntGt, W64) => pair(VEX_Vpcmpgtq_ymm_ymm_ymmm256, EVEX_Vpcmpgtq_kr_k1_zmm_zmmm512b64),
    }
}

/// Opcodes of a reduction step on 128 and 256 bits: `(VEX xmm, EVEX xmm, EVEX ymm)`.
pub(super) fn narrow(op: BinaryOp) -> (Code, Code, Code) {
    use Code::*;
    match op {
        BinaryOp::Max => (
            VEX_Vmaxps_xmm_xmm_xmmm128,
            EVEX_Vmaxps_xmm_k1z_xmm_xmmm128b32,
            EVEX_Vmaxps_ymm_k1z_ymm_ymmm256b32,
        ),
        BinaryOp::Min => (
            VEX_Vminps_xmm_xmm_xmmm128,
            EVEX_Vminps_xmm_k1z_xmm_xmmm128b32,
            EVEX_Vminps_ymm_k1z_ymm_ymmm256b32,
        ),
        _ => (
            VEX_Vaddps_xmm_xmm_xmmm128,
            EVEX_Vaddps_xmm_k1z_xmm_xmmm128b32,
            EVEX_Vaddps_ymm_k1z_ymm_ymmm256b32,
        ),
    }
}

/// Opcodes of the `132`, `213` and `231` forms.
pub(super) fn fma(op: FmaOp, width: Width) -> [Codes; 3] {
    use Code::*;
    use Width::{W32, W64};
    match (op, width) {
        // Law V8.
        (_, Width::W8 | Width::W16) => [(); 3].map(|()| pair(INVALID, INVALID)),
        (FmaOp::MulAdd, W32) => [
            pair(VEX_Vfmadd132ps_ymm_ymm_ymmm256, EVEX_Vfmadd132ps_zmm_k1z_zmm_zmmm512b32_er),
            pair(VEX_Vfmadd213ps_ymm_ymm_ymmm256, EVEX_Vfmadd213ps_zmm_k1z_zmm_zmmm512b32_er),
            pair(VEX_Vfmadd231ps_ymm_ymm_ymmm256, EVEX_Vfmadd231ps_zmm_k1z_zmm_zmmm512b32_er),
        ],
        (FmaOp::MulAdd, W64) => [
            pair(VEX_Vfmadd132pd_ymm_ymm_ymmm256, EVEX_Vfmadd132pd_zmm_k1z_zmm_zmmm512b64_er),
            pair(VEX_Vfmadd213pd_ymm_ymm_ymmm256, EVEX_Vfmadd213pd_zmm_k1z_zmm_zmmm512b64_er),
            pair(VEX_Vfmadd231pd_ymm_ymm_ymmm256, EVEX_Vfmadd231pd_zmm_k1z_zmm_zmmm512b64_er),
        ],
        (FmaOp::MulSub | FmaOp::LostProduct, W32) => [
            pair(VEX_Vfmsub132ps_ymm_ymm_ymmm256, EVEX_Vfmsub132ps_zmm_k1z_zmm_zmmm512b32_er),
            pair(VEX_Vfmsub213ps_ymm_ymm_ymmm256, EVEX_Vfmsub213ps_zmm_k1z_zmm_zmmm512b32_er),
            pair(VEX_Vfmsub231ps_ymm_ymm_ymmm256, EVEX_Vfmsub231ps_zmm_k1z_zmm_zmmm512b32_er),
        ],
        (FmaOp::MulSub | FmaOp::LostProduct, W64) => [
            pair(VEX_Vfmsub132pd_ymm_ymm_ymmm256, EVEX_Vfmsub132pd_zmm_k1z_zmm_zmmm512b64_er),
            pair(VEX_Vfmsub213pd_ymm_ymm_ymmm256, EVEX_Vfmsub213pd_zmm_k1z_zmm_zmmm512b64_er),
            pair(VEX_Vfmsub231pd_ymm_ymm_ymmm256, EVEX_Vfmsub231pd_zmm_k1z_zmm_zmmm512b64_er),
        ],
        (FmaOp::NegMulAdd | FmaOp::NegMulAddFused, W32) => [
            pair(VEX_Vfnmadd132ps_ymm_ymm_ymmm256, EVEX_Vfnmadd132ps_zmm_k1z_zmm_zmmm512b32_er),
            pair(VEX_Vfnmadd213ps_ymm_ymm_ymmm256, EVEX_Vfnmadd213ps_zmm_k1z_zmm_zmmm512b32_er),
            pair(VEX_Vfnmadd231ps_ymm_ymm_ymmm256, EVEX_Vfnmadd231ps_zmm_k1z_zmm_zmmm512b32_er),
        ],
        (FmaOp::NegMulAdd | FmaOp::NegMulAddFused, W64) => [
            pair(VEX_Vfnmadd132pd_ymm_ymm_ymmm256, EVEX_Vfnmadd132pd_zmm_k1z_zmm_zmmm512b64_er),
            pair(VEX_Vfnmadd213pd_ymm_ymm_ymmm256, EVEX_Vfnmadd213pd_zmm_k1z_zmm_zmmm512b64_er),
            pair(VEX_Vfnmadd231pd_ymm_ymm_ymmm256, EVEX_Vfnmadd231pd_zmm_k1z_zmm_zmmm512b64_er),
        ],
    }
}

/// Opcodes of an interleaving.
pub(super) fn interleave(op: Interleave) -> Codes {
    use Code::*;
    match op {
        Interleave::Low8 => pair(VEX_Vpunpcklbw_ymm_ymm_ymmm256, EVEX_Vpunpcklbw_zmm_k1z_zmm_zmmm512),
        Interleave::High8 => pair(VEX_Vpunpckhbw_ymm_ymm_ymmm256, EVEX_Vpunpckhbw_zmm_k1z_zmm_zmmm512),
        Interleave::Low16 => pair(VEX_Vpunpcklwd_ymm_ymm_ymmm256, EVEX_Vpunpcklwd_zmm_k1z_zmm_zmmm512),
        Interleave::High16 => pair(VEX_Vpunpckhwd_ymm_ymm_ymmm256, EVEX_Vpunpckhwd_zmm_k1z_zmm_zmmm512),
        Interleave::Low32 => pair(VEX_Vunpcklps_ymm_ymm_ymmm256, EVEX_Vunpcklps_zmm_k1z_zmm_zmmm512b32),
        Interleave::High32 => pair(VEX_Vunpckhps_ymm_ymm_ymmm256, EVEX_Vunpckhps_zmm_k1z_zmm_zmmm512b32),
        Interleave::Low64 => pair(VEX_Vunpcklpd_ymm_ymm_ymmm256, EVEX_Vunpcklpd_zmm_k1z_zmm_zmmm512b64),
        Interleave::High64 => pair(VEX_Vunpckhpd_ymm_ymm_ymmm256, EVEX_Vunpckhpd_zmm_k1z_zmm_zmmm512b64),
    }
}

/// Opcodes of a rounding to integers, or a square root, or a move.
pub(super) fn unary(op: UnaryOp, width: Width) -> Codes {
    use Code::*;
    use Width::{W32, W64};
    match (op, width) {
        // The others are of floats (law V8).
        (UnaryOp::Move, _) => pair(VEX_Vmovaps_ymm_ymmm256, EVEX_Vmovaps_zmm_k1z_zmmm512),
        (UnaryOp::Sqrt, W32) => pair(VEX_Vsqrtps_ymm_ymmm256, EVEX_Vsqrtps_zmm_k1z_zmmm512b32_er),
        (UnaryOp::Sqrt, W64) => pair(VEX_Vsqrtpd_ymm_ymmm256, EVEX_Vsqrtpd_zmm_k1z_zmmm512b64_er),
        (_, Width::W8 | Width::W16) => pair(INVALID, INVALID),
        (_, W32) => pair(VEX_Vroundps_ymm_ymmm256_imm8, EVEX_Vrndscaleps_zmm_k1z_zmmm512b32_imm8_sae),
        (_, W64) => pair(VEX_Vroundpd_ymm_ymmm256_imm8, EVEX_Vrndscalepd_zmm_k1z_zmmm512b64_imm8_sae),
    }
}

/// Opcodes of a load of a vector that also converts; for [`Width::W64`], halves are converted by two instructions, of
/// which this is the first.
pub(super) fn load(from: Storage, width: Width) -> Codes {
    use Code::*;
    use Width::{W16, W32, W64};
    match (from, width) {
        (Storage::Bits8, _) => pair(VEX_Vmovups_ymm_ymmm256, EVEX_Vmovdqu8_zmm_k1z_zmmm512),
        (Storage::Bits16, _) => pair(VEX_Vmovups_ymm_ymmm256, EVEX_Vmovdqu16_zmm_k1z_zmmm512),
        (Storage::I8 | Storage::I8Pair, W16) => {
            pair(VEX_Vpmovsxbw_ymm_xmmm128, EVEX_Vpmovsxbw_zmm_k1z_ymmm256)
        }
        (Storage::U8 | Storage::U8Pair, W16) => {
            pair(VEX_Vpmovzxbw_ymm_xmmm128, EVEX_Vpmovzxbw_zmm_k1z_ymmm256)
        }
        // Law V8.
        (Storage::I8 | Storage::U8, Width::W8)
        | (Storage::I16 | Storage::U16 | Storage::F16, Width::W8 | W16) => pair(INVALID, INVALID),
        (Storage::Bits32, _) => pair(VEX_Vmovups_ymm_ymmm256, EVEX_Vmovups_zmm_k1z_zmmm512),
        (Storage::Bits64, _) => pair(VEX_Vmovupd_ymm_ymmm256, EVEX_Vmovupd_zmm_k1z_zmmm512),
        (Storage::I8, W32) => pair(VEX_Vpmovsxbd_ymm_xmmm64, EVEX_Vpmovsxbd_zmm_k1z_xmmm128),
        (Storage::U8, W32) => pair(VEX_Vpmovzxbd_ymm_xmmm64, EVEX_Vpmovzxbd_zmm_k1z_xmmm128),
        (Storage::I16, W32) => pair(VEX_Vpmovsxwd_ymm_xmmm128, EVEX_Vpmovsxwd_zmm_k1z_ymmm256),
        (Storage::U16, W32) => pair(VEX_Vpmovzxwd_ymm_xmmm128, EVEX_Vpmovzxwd_zmm_k1z_ymmm256),
        (Storage::F16, W32) => pair(VEX_Vcvtph2ps_ymm_xmmm128, EVEX_Vcvtph2ps_zmm_k1z_ymmm256_sae),
        (Storage::I8, W64) => pair(VEX_Vpmovsxbq_ymm_xmmm32, EVEX_Vpmovsxbq_zmm_k1z_xmmm64),
        (Storage::U8, W64) => pair(VEX_Vpmovzxbq_ymm_xmmm32, EVEX_Vpmovzxbq_zmm_k1z_xmmm64),
        (Storage::I16, W64) => pair(VEX_Vpmovsxwq_ymm_xmmm64, EVEX_Vpmovsxwq_zmm_k1z_xmmm128),
        (Storage::U16, W64) => pair(VEX_Vpmovzxwq_ymm_xmmm64, EVEX_Vpmovzxwq_zmm_k1z_xmmm128),
        (Storage::F16, W64) => pair(VEX_Vcvtph2ps_xmm_xmmm64, EVEX_Vcvtph2ps_ymm_k1z_xmmm128),
        (Storage::I8Pair, _) => pair(VEX_Vpmovsxbw_ymm_xmmm128, EVEX_Vpmovsxbw_zmm_k1z_ymmm256),
        (Storage::U8Pair, _) => pair(VEX_Vpmovzxbw_ymm_xmmm128, EVEX_Vpmovzxbw_zmm_k1z_ymmm256),
        (Storage::I32, _) => pair(VEX_Vpmovsxdq_ymm_xmmm128, EVEX_Vpmovsxdq_zmm_k1z_ymmm256),
        (Storage::U32, _) => pair(VEX_Vpmovzxdq_ymm_xmmm128, EVEX_Vpmovzxdq_zmm_k1z_ymmm256),
        (Storage::F32, _) => pair(VEX_Vcvtps2pd_ymm_xmmm128, EVEX_Vcvtps2pd_zmm_k1z_ymmm256b32_sae),
    }
}

/// The predicate of `vcmpps` and `vcmppd`; the quiet forms, which raise no exception flag on a quiet NaN.
pub(super) fn predicate(op: Compare) -> u32 {
    match op {
        Compare::Eq => 0x00,
        Compare::Ne => 0x04,
        Compare::Lt => 0x11,
        Compare::Le => 0x12,
        Compare::Gt => 0x1E,
        Compare::Ge => 0x1D,
        Compare::Unordered => 0x03,
    }
}
