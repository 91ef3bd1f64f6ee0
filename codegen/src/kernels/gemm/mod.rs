//! Matrix multiplication: tile kernels, packing, and the blocked driver around them.
//!
//! `C[m][n] = epilogue(Σ_k A[m][k] · B[k][n])`, row-major with any row stride. Elements of A, B and C are what a
//! [`Factor`] says: floats are computed as `f32`, integers as `i32`, less their zero points.
//!
//! Packed operands are panels over all of `k`:
//! A is `[⌈m / rows⌉][steps][rows]`, B is `[⌈n / columns⌉][steps][columns]`, with `rows` and `columns` of the [`Tile`].
//! A step holds one term of the sum, or two or four neighbours where terms are multiplied so ([`Arithmetic`]); after the
//! steps of a constant operand of bytes stand the sums of its elements, `[rows]` or `[columns]` of `i32`.
//! Panels know no blocking of `k`, so constant weights are packed at compile time and any driver can use them.
//!
//! # Laws
//! What selection proves before it calls ([`Gemm::laws`]):
//!
//! * **G1** `m, n, k` are at least 0.
//! * **G2** A number of rows that is a constant of the code is that of the call: tile kernels for other remainders are
//!   not there.
//! * **G3** Where B is scaled in blocks, the depth is whole blocks.
//!
//! What holds by construction: the workspace is that of [`Gemm::workspace_over`] of these or of larger extents, whose
//! arithmetic does not wrap; every operand has a stride of one element along one of its axes, or none (its [`Layout`]);
//! panels reach no further than the constant that they are packed from. Pairs are never read in place, and where the depth
//! is odd, one of the two operands is packed by the driver, which makes the missing term zero.

mod block;
mod crossed;
mod driver;
mod factor;
mod micro;
mod numbers;
mod pack;
mod panels;

pub(super) use block::{Block, Tiles, operands_at};
pub use driver::{Blocking, Gemm, Layout};
pub use factor::{Arithmetic, Blocks, Factor, Packing, Scaling, Side, Zero};
pub(super) use factor::{remainder, repeated, step};
pub use micro::{Micro, Offset};
pub use pack::{pack_rows, pack_transposed};

use crate::vector::{Isa, Width};

/// The register tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tile {
    /// Rows of A.
    pub rows: u32,
    /// Vectors of columns of B.
    pub vectors: u32,
}

impl Tile {
    /// The tile that leaves just enough registers for the operands: 28 accumulators of 32 on AVX-512, 12 of 16 on AVX2.
    /// Through Cranelift, 4 by 2 keeps the moves around its two-operand multiply-add in registers.
    pub fn of(isa: Isa) -> Tile {
        match isa {
            Isa::Clif128 => Tile { rows: 4, vectors: 2 },
            Isa::Avx2 => Tile { rows: 6, vectors: 2 },
            Isa::Avx512 | Isa::Avx512Vnni => Tile { rows: 14, vectors: 2 },
        }
    }

    /// Columns of the tile, in lanes of 32 bits.
    pub fn columns(self, isa: Isa) -> u32 {
        self.columns_of(isa, Width::W32)
    }

    /// Columns of the tile in lanes of a width.
    pub fn columns_of(self, isa: Isa, width: Width) -> u32 {
        self.vectors * isa.lanes_of(width)
    }
}

/// Where a tile kernel reads an operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// From a packed panel.
    Packed,
    /// From the row-major matrix.
    Direct,
}
