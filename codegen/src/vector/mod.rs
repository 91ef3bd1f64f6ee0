//! Vector programs: hot leaf loops, written once, encoded for several machines.
//!
//! A [`Program`] is a leaf function of 64-bit parameters (pointers, sizes in elements, strides in bytes) without a
//! result. It works on virtual vector registers of `VL` lanes, 64-bit integers and masks, in structured loops and
//! conditionals. All lanes of a program have one [`Width`]; loads and stores convert from and to others ([`Storage`]).
//! `VL` is chosen when the program is encoded: registers have 128 bits through Cranelift, 256 for AVX2, 512 for AVX-512.
//!
//! ```
//! use orogen_codegen::vector::{Builder, Isa, Size, encode, interpret};
//!
//! // y[i] = max(x[i], 0)
//! let mut b = Builder::new("relu");
//! let [x, y, n] = b.params();
//! let zero = b.constant(0.0);
//! b.for_lanes(n, &[(x, Size::vectors(1)), (y, Size::vectors(1))], |b, mask| {
//!     let value = b.load(x, mask);
//!     let value = b.max(zero, value);
//!     b.store(value, y, mask);
//! });
//! let program = b.finish();
//!
//! let mut memory = interpret::Memory::default();
//! let x = memory.add_floats(&[-1.0, 2.0, -3.0, 4.0, f32::NAN]);
//! let y = memory.add_floats(&[9.0; 5]);
//! interpret::interpret(&program, 8, true, &[x, y, 5], &mut memory).unwrap();
//! assert_eq!(memory.floats(y)[..4], [0.0, 2.0, 0.0, 4.0]);
//! assert!(memory.floats(y)[4].is_nan());
//!
//! let code = encode::x86::encode(&program, Isa::Avx2).unwrap();
//! assert!(!code.is_empty());
//! ```
//!
//! Reading order: [`ir`] (the nouns), [`Builder`], [`verify`] (the laws), [`interpret`] (what a program means),
//! [`allocate`] and its checker, [`encode`], [`math`].

pub mod allocate;
mod build;
pub mod encode;
pub mod interpret;
pub mod ir;
mod lanes;
pub mod math;
mod operands;
mod print;
mod registers;
pub mod verify;

pub use build::Builder;
pub use ir::{
    Addr, BinaryOp, CacheLevel, Compare, FmaOp, IReg, Inst, IntCompare, IntOp, IntSource, IntUnaryOp,
    Interleave, MReg, Program, Reg, ShiftOp, Size, Storage, UnaryOp, VReg, Width,
};
pub use operands::Role;

/// What a program is encoded for: explicit data, never that of the machine that compiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// Registers of 128 bits, through Cranelift; every target.
    Clif128,
    /// Registers of 256 bits; x86-64 with AVX2, FMA, F16C, BMI1 and POPCNT.
    Avx2,
    /// Registers of 512 bits; x86-64 with AVX-512 F, VL, BW and DQ.
    Avx512,
    /// The same with VNNI, which adds up products of bytes and of 16-bit integers.
    Avx512Vnni,
}

/// 1.5 · 2⁵²: integers of magnitudes below 2⁵¹ can be added to its bits, which adds as much to the number.
pub(crate) const SMALL: f64 = 6_755_399_441_055_744.0;

impl Isa {
    /// Bytes of a vector register.
    pub const fn bytes(self) -> u32 {
        match self {
            Isa::Clif128 => 16,
            Isa::Avx2 => 32,
            Isa::Avx512 | Isa::Avx512Vnni => 64,
        }
    }

    /// The number of lanes of 32 bits in a vector register.
    pub const fn lanes(self) -> u32 {
        self.lanes_of(Width::W32)
    }

    /// The number of lanes of a width in a vector register.
    pub const fn lanes_of(self, width: Width) -> u32 {
        self.bytes() / width.bytes()
    }

    /// Whether it has masks of lanes, and 32 registers.
    pub const fn is_avx512(self) -> bool {
        matches!(self, Isa::Avx512 | Isa::Avx512Vnni)
    }

    /// Whether it has [`Inst::ByteDot`] in one instruction.
    pub const fn has_byte_dot(self) -> bool {
        matches!(self, Isa::Avx512Vnni)
    }

    /// The widest one that this machine runs.
    pub fn host() -> Isa {
        #[cfg(target_arch = "x86_64")]
        {
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq");
            if avx512 {
                let vnni = is_x86_feature_detected!("avx512vnni");
                return if vnni { Isa::Avx512Vnni } else { Isa::Avx512 };
            }
            if is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("popcnt")
            {
                return Isa::Avx2;
            }
        }
        Isa::Clif128
    }

    /// The ones that this machine runs, narrowest first.
    pub fn available() -> Vec<Isa> {
        let all = [Isa::Clif128, Isa::Avx2, Isa::Avx512, Isa::Avx512Vnni];
        all.into_iter().filter(|&isa| isa <= Isa::host()).collect()
    }
}
