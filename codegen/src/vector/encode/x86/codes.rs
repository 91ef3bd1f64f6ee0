//! Opcodes of lane-wise operations, for `ymm` (VEX) and `zmm` (EVEX).

use iced_x86::Code;

use crate::vector::ir::{BinaryOp, Compare, FmaOp, Interleave};

/// The pair of opcodes of an operation.
pub(super) struct Codes {
    pub(super) y: Code,
    pub(super) z: Code,
}

const fn pair(y: Code, z: Code) -> Codes {
    Codes { y, z }
}

/// Opcodes of `dst = a op b`; those of [`BinaryOp::IntEq`] and [`BinaryOp::IntGt`] write a `k` register on AVX-512.
pub(super) fn binary(op: BinaryOp) -> Codes {
    use Code::*;
    match op {
        BinaryOp::Add => pair(VEX_Vaddps_ymm_ymm_ymmm256, EVEX_Vaddps_zmm_k1z_zmm_zmmm512b32_er),
        BinaryOp::Sub => pair(VEX_Vsubps_ymm_ymm_ymmm256, EVEX_Vsubps_zmm_k1z_zmm_zmmm512b32_er),
        BinaryOp::Mul => pair(VEX_Vmulps_ymm_ymm_ymmm256, EVEX_Vmulps_zmm_k1z_zmm_zmmm512b32_er),
        BinaryOp::Div => pair(VEX_Vdivps_ymm_ymm_ymmm256, EVEX_Vdivps_zmm_k1z_zmm_zmmm512b32_er),
        BinaryOp::Min => pair(VEX_Vminps_ymm_ymm_ymmm256, EVEX_Vminps_zmm_k1z_zmm_zmmm512b32_sae),
        BinaryOp::Max => pair(VEX_Vmaxps_ymm_ymm_ymmm256, EVEX_Vmaxps_zmm_k1z_zmm_zmmm512b32_sae),
        BinaryOp::And => pair(VEX_Vandps_ymm_ymm_ymmm256, EVEX_Vandps_zmm_k1z_zmm_zmmm512b32),
        BinaryOp::Or => pair(VEX_Vorps_ymm_ymm_ymmm256, EVEX_Vorps_zmm_k1z_zmm_zmmm512b32),
        BinaryOp::Xor => pair(VEX_Vxorps_ymm_ymm_ymmm256, EVEX_Vxorps_zmm_k1z_zmm_zmmm512b32),
        BinaryOp::AndNot => pair(VEX_Vandnps_ymm_ymm_ymmm256, EVEX_Vandnps_zmm_k1z_zmm_zmmm512b32),
        BinaryOp::IntAdd => pair(VEX_Vpaddd_ymm_ymm_ymmm256, EVEX_Vpaddd_zmm_k1z_zmm_zmmm512b32),
        BinaryOp::IntSub => pair(VEX_Vpsubd_ymm_ymm_ymmm256, EVEX_Vpsubd_zmm_k1z_zmm_zmmm512b32),
        BinaryOp::IntMul => pair(VEX_Vpmulld_ymm_ymm_ymmm256, EVEX_Vpmulld_zmm_k1z_zmm_zmmm512b32),
        BinaryOp::IntMin => pair(VEX_Vpminsd_ymm_ymm_ymmm256, EVEX_Vpminsd_zmm_k1z_zmm_zmmm512b32),
        BinaryOp::IntMax => pair(VEX_Vpmaxsd_ymm_ymm_ymmm256, EVEX_Vpmaxsd_zmm_k1z_zmm_zmmm512b32),
        BinaryOp::IntEq => pair(VEX_Vpcmpeqd_ymm_ymm_ymmm256, EVEX_Vpcmpeqd_kr_k1_zmm_zmmm512b32),
        BinaryOp::PairSub => pair(VEX_Vpsubw_ymm_ymm_ymmm256, EVEX_Vpsubw_zmm_k1z_zmm_zmmm512),
        BinaryOp::IntGt => pair(VEX_Vpcmpgtd_ymm_ymm_ymmm256, EVEX_Vpcmpgtd_kr_k1_zmm_zmmm512b32),
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
pub(super) fn fma(op: FmaOp) -> [Codes; 3] {
    use Code::*;
    match op {
        FmaOp::MulAdd => [
            pair(VEX_Vfmadd132ps_ymm_ymm_ymmm256, EVEX_Vfmadd132ps_zmm_k1z_zmm_zmmm512b32_er),
            pair(VEX_Vfmadd213ps_ymm_ymm_ymmm256, EVEX_Vfmadd213ps_zmm_k1z_zmm_zmmm512b32_er),
            pair(VEX_Vfmadd231ps_ymm_ymm_ymmm256, EVEX_Vfmadd231ps_zmm_k1z_zmm_zmmm512b32_er),
        ],
        FmaOp::MulSub => [
            pair(VEX_Vfmsub132ps_ymm_ymm_ymmm256, EVEX_Vfmsub132ps_zmm_k1z_zmm_zmmm512b32_er),
            pair(VEX_Vfmsub213ps_ymm_ymm_ymmm256, EVEX_Vfmsub213ps_zmm_k1z_zmm_zmmm512b32_er),
            pair(VEX_Vfmsub231ps_ymm_ymm_ymmm256, EVEX_Vfmsub231ps_zmm_k1z_zmm_zmmm512b32_er),
        ],
        FmaOp::NegMulAdd | FmaOp::NegMulAddFused => [
            pair(VEX_Vfnmadd132ps_ymm_ymm_ymmm256, EVEX_Vfnmadd132ps_zmm_k1z_zmm_zmmm512b32_er),
            pair(VEX_Vfnmadd213ps_ymm_ymm_ymmm256, EVEX_Vfnmadd213ps_zmm_k1z_zmm_zmmm512b32_er),
            pair(VEX_Vfnmadd231ps_ymm_ymm_ymmm256, EVEX_Vfnmadd231ps_zmm_k1z_zmm_zmmm512b32_er),
        ],
    }
}

/// Opcodes of an interleaving.
pub(super) fn interleave(op: Interleave) -> Codes {
    use Code::*;
    match op {
        Interleave::Low32 => pair(VEX_Vunpcklps_ymm_ymm_ymmm256, EVEX_Vunpcklps_zmm_k1z_zmm_zmmm512b32),
        Interleave::High32 => pair(VEX_Vunpckhps_ymm_ymm_ymmm256, EVEX_Vunpckhps_zmm_k1z_zmm_zmmm512b32),
        Interleave::Low64 => pair(VEX_Vunpcklpd_ymm_ymm_ymmm256, EVEX_Vunpcklpd_zmm_k1z_zmm_zmmm512b64),
        Interleave::High64 => pair(VEX_Vunpckhpd_ymm_ymm_ymmm256, EVEX_Vunpckhpd_zmm_k1z_zmm_zmmm512b64),
    }
}

/// The predicate of `vcmpps`; the quiet forms, which raise no exception flag on a quiet NaN.
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
