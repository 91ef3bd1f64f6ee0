//! How one kernel is computed, where several ways are right.

use orogen_ir::choices::Choices;

use super::kinds::KINDS;
use super::routine::Routines;
use crate::kernels::gemm::{Blocking, Tile};
use crate::vector::Isa;

/// Instruction sets of vector programs, each with those before it.
const ISAS: [Isa; 4] = [Isa::Clif128, Isa::Avx2, Isa::Avx512, Isa::Avx512Vnni];
/// Numbers of vector registers that make programs spill.
const FEW: [u32; 3] = [10, 8, 6];
/// Depths, tiles in a block of rows, and bytes of a block of columns, so small that small products have several blocks.
const DEPTHS: [i64; 3] = [4, 12, 64];
const ROW_TILES: [i64; 3] = [1, 2, 3];
const COLUMN_BYTES: [i64; 2] = [1, 4096];

/// A way to compute a kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// Instructions of its routines.
    pub(crate) isa: Isa,
    /// Whether its parts may be divided among threads.
    pub(crate) divide: bool,
    /// A kind of routine that is not tried, by its place in [`KINDS`].
    pub(crate) without: Option<usize>,
    /// Vector registers that its programs should do with.
    pub(crate) registers: Option<u32>,
    /// The register tile of products.
    pub(crate) tile: Option<Tile>,
    /// Sizes of blocks of products.
    pub(crate) blocking: Option<Blocking>,
}

impl Way {
    /// The usual way.
    pub(crate) fn usual(isa: Isa, divide: bool) -> Way {
        Way { isa, divide, without: None, registers: None, tile: None, blocking: None }
    }

    /// Chooses for the kernel `name`.
    pub(crate) fn choose(name: &str, isa: Isa, divide: bool, choices: &mut Choices) -> Way {
        let mut way = Way::usual(isa, divide);
        if choices.is_usual() {
            return way;
        }
        let own = ISAS.iter().position(|it| *it == isa).unwrap_or(0);
        let lower = choices.pick(own + 1, |it| format!("`{name}` is for {:?}", ISAS[own - it]));
        way.isa = ISAS[own - lower];
        let kind =
            choices.pick(KINDS.len() + 1, |it| format!("`{name}` is computed without {}", KINDS[it - 1].0));
        way.without = kind.checked_sub(1);
        let few = choices.pick(FEW.len() + 1, |it| format!("`{name}` has {} vector registers", FEW[it - 1]));
        way.registers = few.checked_sub(1).map(|it| FEW[it]);
        way.tile = tile(name, way.isa, choices);
        way.blocking = blocking(name, way.isa, choices);
        way.divide &= !choices.differs(|| format!("`{name}` is not divided among threads"));
        way
    }

    /// Tells routines how they are made, so that they are not taken for those of kernels that are made in another way.
    pub(crate) fn mark(&self, usual: Isa, routines: &mut Routines) {
        let Way { isa, registers, tile, blocking, .. } = self;
        if *isa != usual || registers.is_some() || tile.is_some() || blocking.is_some() {
            routines.limit(&format!("{isa:?}, {registers:?}, {tile:?}, {blocking:?}"), *registers);
        }
    }
}

/// A tile that is smaller than the usual one, which leaves registers free.
fn tile(name: &str, isa: Isa, choices: &mut Choices) -> Option<Tile> {
    let usual = Tile::of(isa);
    let rows =
        choices.pick(usual.rows as usize, |it| format!("products of `{name}` have tiles of {it} rows"));
    let vectors =
        choices.pick(usual.vectors as usize, |it| format!("products of `{name}` have tiles of {it} vectors"));
    let or = |chosen: usize, usual: u32| u32::try_from(chosen).ok().filter(|it| *it > 0).unwrap_or(usual);
    (rows + vectors > 0).then(|| Tile { rows: or(rows, usual.rows), vectors: or(vectors, usual.vectors) })
}

/// Blocks that are smaller than the usual ones.
fn blocking(name: &str, isa: Isa, choices: &mut Choices) -> Option<Blocking> {
    let usual = Blocking::of(isa);
    let mut one = |sizes: &[i64], usual: i64, what: &str| {
        let chosen = choices.pick(sizes.len() + 1, |it| {
            format!("products of `{name}` have blocks of {} {what}", sizes[it - 1])
        });
        chosen.checked_sub(1).map_or(usual, |it| sizes[it])
    };
    let found = Blocking {
        depth: one(&DEPTHS, usual.depth, "steps"),
        row_tiles: one(&ROW_TILES, usual.row_tiles, "tiles"),
        b_bytes: one(&COLUMN_BYTES, usual.b_bytes, "bytes of columns"),
    };
    (found != usual).then_some(found)
}
