//! The blocked loops around the tile kernel, as a Cranelift function.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{FuncRef, InstBuilder as _, Value};
use cranelift_module::{FuncId, Module};
use orogen_ir::shape::{Dim, Overflow, ShapeCx};

use super::block::{Block, Tiles, operands_at};
use super::pack::widen_columns;
use super::panels::Panels;
use super::{
    Arithmetic, Blocks, Factor, Micro, Offset, Packing, Side, Source, Tile, pack_rows, pack_transposed,
};
use crate::kernels::element::Element;
use crate::kernels::epilogue::{self, Step};
use crate::kernels::flow::{self, Flow};
use crate::kernels::laws::Law;
use crate::vector::encode::{self, DefineError};
use crate::vector::{Isa, Size, Storage};

/// How a matrix operand lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Row-major with a row stride; packed by the driver.
    RowMajor,
    /// The transposed matrix is row-major with a row stride; packed by the driver.
    Transposed,
    /// In panels already; see [`super`].
    Packed,
    /// Row-major with a row stride; read in place. Best where packing does not pay: B if `m` is small, A if `n` is.
    Direct,
}

/// A matrix multiplication to be generated.
///
/// The function takes, all 64-bit: `a`, `b`, `c` (pointers), `m`, `n`, `k`, `lda`, `ldb`, `ldc` (row strides in bytes;
/// ignored for packed operands), `workspace` (a pointer, 64-byte aligned for speed), the first zero point of A and that
/// of B where they have some, the panels of those scales and zero points of blocks of B that are in memory, then the operands
/// of the epilogue.
/// The workspace holds [`Gemm::workspace`] bytes. Sizes may be zero.
#[derive(Debug, Clone)]
pub struct Gemm {
    /// The instruction set of the kernels.
    pub isa: Isa,
    /// How terms are multiplied.
    pub arithmetic: Arithmetic,
    /// Whether sums of products of integers are made floats block by block, each of which is exact, and added as floats.
    /// Where C is no whole lane, the whole sum is such a block.
    pub floats: bool,
    /// The left operand.
    pub a: Factor,
    /// The right operand.
    pub b: Factor,
    /// Elements of the result: whole lanes, or what they are rounded to when the sum is complete.
    pub c: Element,
    /// `m`, if it is known: fewer kernels are made then.
    pub m: Option<i64>,
    /// Whether there are few rows, if that is known: up to so many, tiles convert the columns that they load. Where it is
    /// not, there are two functions, and one that chooses by `m`.
    pub few: Option<bool>,
    /// Whether the products are added to what C holds: whole lanes.
    pub adds: bool,
    /// What happens to the result.
    pub epilogue: Vec<Step>,
    /// The register tile; [`Tile::of`] the instruction set.
    pub tile: Tile,
    /// Sizes of blocks; [`Blocking::of`] the instruction set.
    pub blocking: Blocking,
}

/// Sizes of the blocks that stay in caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Blocking {
    /// The most depth of a block: a panel of A of this depth stays in the first-level cache, or comes from the second
    /// level just ahead of its use.
    pub depth: i64,
    /// Tiles in a block of rows; together with the block of B it stays in the second-level cache.
    pub row_tiles: i64,
    /// Bytes of a block of B.
    pub b_bytes: i64,
}

impl Blocking {
    /// What was found best on machines at hand, for square and for transformer-sized problems.
    pub fn of(isa: Isa) -> Blocking {
        match isa {
            Isa::Avx512 | Isa::Avx512Vnni => Blocking { depth: 1024, row_tiles: 24, b_bytes: 512 * 1024 },
            Isa::Avx2 | Isa::Clif128 => Blocking { depth: 512, row_tiles: 24, b_bytes: 512 * 1024 },
        }
    }
}

/// Tiles of rows up to which columns are converted in each of them, and not once for all.
const FEW_TILES: i64 = 2;

/// Bytes of B that are packed at a time where one block has all rows, if a panel is no larger: they are in the second-level
/// cache when they are read.
const STRIP_BYTES: i64 = 256 * 1024;

impl Gemm {
    /// A multiplication of `f32` of any size, without an epilogue.
    pub fn new(isa: Isa, a: Layout, b: Layout) -> Gemm {
        Gemm {
            isa,
            arithmetic: Arithmetic::Float,
            floats: false,
            a: Factor::floats(a),
            b: Factor::floats(b),
            c: Element::LANE,
            m: None,
            few: None,
            adds: false,
            epilogue: Vec::new(),
            tile: Tile::of(isa),
            blocking: Blocking::of(isa),
        }
    }

    /// Whether constant panels of A are made whole lanes before they are read: what one lane is in every lane of a
    /// register takes too long to convert each time.
    pub(crate) fn widens(&self) -> bool {
        let narrow = self.a.unit(self.arithmetic) != self.arithmetic.lane() || self.a.zero.is_some();
        self.a.layout == Layout::Packed && narrow
    }

    /// Whether constant panels of B are made whole lanes for a block of rows: a tile that converts what it loads has more
    /// to do than one that does not. To widen bytes, and to take their zero points away, costs next to nothing beside a product
    /// of integers.
    pub(super) fn widens_columns(&self) -> bool {
        let unit = self.b.unit(self.arithmetic);
        let narrow = match self.arithmetic {
            Arithmetic::Float => unit != self.arithmetic.lane() || self.b.zero.is_some(),
            _ => matches!(unit, Element::Nibbles(..)),
        };
        let wide = self.b.layout != Layout::Packed || !narrow;
        if self.joins_blocks() {
            return true;
        }
        !wide && self.few.or(self.m.map(|m| m <= self.few_rows())) != Some(true)
    }

    /// Whether columns are in blocks that share bytes.
    fn joins_blocks(&self) -> bool {
        self.b.packing.blocks.is_some_and(|it| it.joined)
    }

    /// Rows up to which they are few. Scales of blocks take registers from a tile.
    pub(super) fn few_rows(&self) -> i64 {
        let rows = i64::from(self.tile.rows);
        if self.b.packing.blocks.is_some() { rows * 3 / 4 } else { FEW_TILES * rows }
    }

    /// Two functions, for few rows and for many, and one that calls either.
    fn emit_both(&self, module: &mut dyn Module, name: &str) -> Result<FuncId, DefineError> {
        let of = |few| Gemm { few: Some(few), ..self.clone() };
        let few = of(true).emit(module, &format!("{name}.few"))?;
        let many = of(false).emit(module, &format!("{name}.many"))?;
        flow::define(
            module,
            name,
            self.params(),
            |module, func| [few, many].map(|it| module.declare_func_in_func(it, func)),
            |flow, args, [few, many]| {
                let (zero, most) = (flow.int(0), flow.int(self.few_rows()));
                let conditions = [(IntCC::SignedLessThanOrEqual, few), (IntCC::SignedGreaterThan, many)];
                for (condition, function) in conditions {
                    let chosen = flow.flag(condition, args[3], most);
                    flow.range(zero, chosen, 1, |flow, _| flow.call(function, args));
                }
            },
        )
    }

    /// Columns of a block.
    fn block_columns(&self) -> i64 {
        let Blocking { depth, b_bytes, .. } = self.blocking;
        let columns = self.columns();
        (b_bytes / self.arithmetic.lane().bytes() / depth / columns).max(1) * columns
    }

    /// The most rows of a block.
    fn block_rows(&self) -> i64 {
        i64::from(self.tile.rows).saturating_mul(self.blocking.row_tiles)
    }

    /// The most steps of a block, before they are made whole units: what is rounded to C is the whole sum.
    fn block_depth(&self) -> i64 {
        if self.c == self.arithmetic.lane() { self.blocking.depth } else { i64::from(i32::MAX) }
    }

    /// What the steps of a block are a multiple of.
    fn depth_unit(&self) -> i64 {
        match self.b.packing.blocks {
            None => 4,
            // Steps of A that share bytes are four at most.
            Some(blocks) if self.a.packing.in_a_byte > 1 => blocks.length.saturating_mul(4),
            Some(blocks) => blocks.length.saturating_mul(blocks.unit()),
        }
    }

    /// The most steps that a block has.
    fn most_depth(&self) -> i64 {
        self.block_depth().max(self.depth_unit()) + self.depth_unit()
    }

    /// Columns of the tile.
    pub fn columns(&self) -> i64 {
        i64::from(self.tile.columns_of(self.isa, self.arithmetic.width()))
    }

    /// The number of parameters of the function.
    pub fn params(&self) -> usize {
        10 + usize::from(self.a.zero.is_some())
            + usize::from(self.b.zero.is_some())
            + self.b.packing.blocks.map_or(0, Blocks::params)
            + epilogue::params(&self.epilogue)
    }

    /// The size of the workspace in bytes, of a call with these or smaller extents: `lane·⌈k/terms⌉·(min(m, block) rounded up
    /// to tile rows)` if A is to be packed, plus `lane·⌈k/terms⌉·(n rounded up to tile columns)` if B is, or the most that a
    /// strip takes where it is known to be packed in strips, plus 64 for each. Where `m` is not known, it counts as a
    /// block. Panels of A that are widened take the room of one, panels of B that of a block.
    ///
    /// # Errors
    /// [`Overflow`] if that is no 64-bit number.
    pub fn workspace_over(&self, shapes: &mut ShapeCx, [m, n, k]: [Dim; 3]) -> Result<Dim, Overflow> {
        let rows = i64::from(self.tile.rows);
        let columns = self.columns();
        let lane = self.arithmetic.lane().bytes();
        let packs = |it: Factor| matches!(it.layout, Layout::RowMajor | Layout::Transposed);
        let k = shapes.ceil_div(k, self.arithmetic.terms())?;
        let panel = |shapes: &mut ShapeCx, width: Dim, unit: i64| {
            let width = shapes.round_up(width, unit)?;
            let elements = shapes.mul(width, k)?;
            let bytes = shapes.scale(elements, lane)?;
            shapes.add_int(bytes, 64)
        };
        let mut bytes = shapes.int(0);
        if packs(self.a) {
            let block = self.block_rows();
            let height = shapes.as_int(m).map_or(block, |m| m.min(block));
            let height = shapes.int(height);
            let part = panel(shapes, height, rows)?;
            bytes = shapes.add(bytes, part)?;
        }
        if self.widens() {
            let height = shapes.int(rows);
            let part = panel(shapes, height, rows)?;
            bytes = shapes.add(bytes, part)?;
        }
        if packs(self.b) {
            // Not what the strip of this depth takes: that of a smaller one may be larger.
            let most = match (shapes.as_int(m), shapes.as_int(k)) {
                (Some(m), Some(k)) if m <= self.block_rows() => {
                    Some(STRIP_BYTES.max(k.saturating_mul(lane * columns)).saturating_add(64))
                }
                _ => None,
            };
            let whole = panel(shapes, n, columns)?;
            let part = match (shapes.as_int(whole), most) {
                (_, None) => whole,
                (whole, Some(most)) => shapes.int(whole.map_or(most, |it| it.min(most))),
            };
            bytes = shapes.add(bytes, part)?;
        }
        if self.widens_columns() {
            let most = self.block_columns();
            let width = shapes.as_int(n).map_or(most, |n| n.min(most));
            let most = self.most_depth();
            let depth = match shapes.as_int(k) {
                Some(k) => shapes.int(k.min(most)),
                None => k,
            };
            let (width, depth) = (shapes.int(width), shapes.round_up(depth, 4)?);
            let width = shapes.round_up(width, columns)?;
            let column = shapes.scale(depth, lane)?;
            let column = shapes.add_int(column, self.arithmetic.sum_bytes(Side::B))?;
            let part = shapes.mul(width, column)?;
            bytes = shapes.add(bytes, part)?;
            bytes = shapes.add_int(bytes, 64)?;
        }
        Ok(bytes)
    }

    /// [`Gemm::workspace_over`] for numbers; `None` if it is no 64-bit number.
    pub fn workspace(&self, m: i64, n: i64, k: i64) -> Option<i64> {
        let mut shapes = ShapeCx::new();
        let sizes = [m, n, k].map(|it| shapes.int(it));
        let bytes = self.workspace_over(&mut shapes, sizes).ok()?;
        shapes.as_int(bytes)
    }

    /// The laws of a call with these extents.
    ///
    /// # Errors
    /// [`Overflow`] if the extents are too large to be compared.
    pub fn laws(&self, shapes: &mut ShapeCx, [m, n, k]: [Dim; 3]) -> Result<Vec<Law>, Overflow> {
        let mut laws: Vec<Law> = [m, n, k].map(|it| Law::at_least("G1", it, 0)).into();
        if let Some(fixed) = self.m {
            let fixed = shapes.int(fixed);
            laws.push(Law::equal("G2", m, fixed));
        }
        let length = self.b.block();
        if length > 1 {
            let whole = shapes.round_up(k, length)?;
            laws.push(Law::equal("G3", k, whole));
        }
        Ok(laws)
    }

    /// The tile kernel for a number of rows.
    pub fn micro(&self, rows: u32) -> Micro {
        let (a, b) = (&self.a, &self.b);
        let source = |it: &Factor| if it.layout == Layout::Direct { Source::Direct } else { Source::Packed };
        // What is packed or widened by the driver is whole lanes, without zero points.
        let packed = matches!(b.layout, Layout::RowMajor | Layout::Transposed);
        let ready = packed || self.widens_columns();
        let b_step = if ready { self.arithmetic.lane() } else { b.unit(self.arithmetic) };
        Micro {
            isa: self.isa,
            tile: self.tile,
            rows,
            arithmetic: self.arithmetic,
            floats: self.floats,
            a: source(a),
            a_step: if a.layout == Layout::Direct { a.element } else { self.arithmetic.lane() },
            b: source(b),
            b_step,
            b_packing: if ready { Packing::NONE } else { b.packing },
            b_zero: b.zero.filter(|_| !ready && !self.arithmetic.is_quads()).map(|each| (each, b.element)),
            offset: self.offset(),
            c: self.c,
            epilogue: self.epilogue.clone(),
        }
    }

    /// What the bytes of the operand that is not constant are too large by.
    fn offset(&self) -> Offset {
        let other = match self.arithmetic {
            Arithmetic::Quads(Side::A) => &self.b,
            Arithmetic::Quads(Side::B) => &self.a,
            _ => return Offset::default(),
        };
        let element = other.element;
        let constant = if element == Element::Stored(Storage::I8) { 128 } else { 0 };
        Offset { zero: other.zero.map(|_| element), constant }
    }

    /// Defines the kernels and the driver as local functions; their names start with `name`.
    pub fn emit(&self, module: &mut dyn Module, name: &str) -> Result<FuncId, DefineError> {
        if self.widens_columns() && !self.joins_blocks() && self.few.is_none() && self.m.is_none() {
            return self.emit_both(module, name);
        }
        let tile = self.tile;
        let kernels = self.kernels(module, name)?;
        let mut packer = |layout: Layout,
                          factor: &Factor,
                          width: Size,
                          what: &str|
         -> Result<Option<FuncId>, DefineError> {
            let program = match layout {
                Layout::Packed | Layout::Direct => return Ok(None),
                Layout::RowMajor => pack_rows(width, self.isa, factor, self.arithmetic),
                Layout::Transposed => pack_transposed(width, factor, self.arithmetic, 1),
            };
            let id = encode::declare(module, &format!("{name}.{what}"), program.params.len())?;
            encode::define(module, id, &program, self.isa)?;
            Ok(Some(id))
        };
        // Rows of A lie across its panels, rows of B along them.
        let a_layout = match self.a.layout {
            Layout::RowMajor => Layout::Transposed,
            Layout::Transposed => Layout::RowMajor,
            other => other,
        };
        let pack_a = packer(a_layout, &self.a, Size::fixed(i64::from(tile.rows)), "pack_a")?;
        let pack_b = packer(self.b.layout, &self.b, Size::lanes(i64::from(tile.vectors)), "pack_b")?;
        let mut widen = None;
        if self.widens_columns() {
            let program = widen_columns(tile.vectors, self.arithmetic, &self.b);
            let id = encode::declare(module, &format!("{name}.widen_b"), program.params.len())?;
            encode::define(module, id, &program, self.isa)?;
            widen = Some(id);
        }

        kernels.driven(
            self,
            (module, name),
            self.params(),
            |module, func| {
                let mut import = |id: FuncId| module.declare_func_in_func(id, func);
                (pack_a.map(&mut import), pack_b.map(&mut import), widen.map(&mut import))
            },
            |flow, args, tiles, (pack_a, pack_b, widen)| {
                Driver { gemm: self, args, tiles, pack_a, pack_b, widen }.emit(flow)
            },
        )
    }
}

struct Driver<'a> {
    gemm: &'a Gemm,
    args: &'a [Value],
    tiles: &'a Tiles<'a>,
    pack_a: Option<FuncRef>,
    pack_b: Option<FuncRef>,
    /// Makes whole lanes of constant panels of B.
    widen: Option<FuncRef>,
}

impl Driver<'_> {
    fn emit(&self, flow: &mut Flow<'_, '_>) {
        let &[a, b, c, m, n, k, lda, ldb, ldc, workspace, ..] = self.args else {
            unreachable!("the function is declared with ten parameters and more")
        };
        let Gemm { arithmetic, a: of_a, b: of_b, c: of_c, .. } = *self.gemm;
        let rows = i64::from(self.gemm.tile.rows);
        let columns = self.gemm.columns();
        let lane = arithmetic.lane().bytes();
        let numbers = self.tiles.numbers;
        let zero = flow.int(0);
        let mut rest = &self.args[10..];
        let mut zero_point = |factor: &Factor| {
            factor.zero?;
            let (first, others) = rest.split_first()?;
            rest = others;
            Some(*first)
        };
        let (zero_a, zero_b) = (zero_point(&of_a), zero_point(&of_b));
        let scales = of_b.packing.blocks.map_or(0, Blocks::params);
        let (scales, operands) = rest.split_at(scales);
        let steps = match arithmetic.terms() {
            1 => k,
            terms => {
                let whole = flow.round_up(k, terms);
                flow.scaled_div(whole, 1, terms)
            }
        };

        // B or a strip of it first, then the block or the panel of A. Where one block has all rows, a strip is packed and
        // used before the next one; else all of B is packed once.
        let mut a_block = workspace;
        let mut strip = n;
        if self.pack_b.is_some() {
            let one = flow.int(1);
            let bytes = flow.scale(steps, lane * columns);
            let bytes = flow.max(bytes, one);
            let most = flow.int(STRIP_BYTES);
            let most = flow.div(most, bytes);
            let most = flow.max(most, one);
            let most = flow.scale(most, columns);
            let part = flow.balanced_by(n, most, columns);
            let block_rows = flow.int(self.gemm.block_rows());
            strip = flow.select(IntCC::SignedLessThanOrEqual, [m, block_rows], [part, n]);
            let packed = flow.min(n, strip);
            let packed = flow.round_up(packed, columns);
            let bytes = flow.mul(packed, steps);
            let bytes = flow.scale(bytes, lane);
            let bytes = flow.offset(bytes, 64 + 63);
            let mask = flow.int(-64);
            let bytes = flow.b.ins().band(bytes, mask);
            a_block = flow.add(workspace, bytes);
        }
        let b_block = a_block;
        if self.widen.is_some() {
            let depth = flow.round_up(steps, 4);
            let most = flow.int(self.gemm.most_depth());
            let depth = flow.min(depth, most);
            let width = flow.round_up(n, columns);
            let most = flow.int(self.gemm.block_columns());
            let width = flow.min(width, most);
            let column = flow.scale(depth, lane);
            let column = flow.offset(column, arithmetic.sum_bytes(Side::B));
            let bytes = flow.mul(width, column);
            a_block = flow.add(b_block, bytes);
        }
        // From one step of the sum to the next, in a tile, and from one row or column to the next.
        let unit = |it: &Factor| match it.layout {
            Layout::RowMajor | Layout::Transposed => lane,
            Layout::Packed => it.unit(arithmetic).bytes(),
            Layout::Direct => it.element.bytes(),
        };
        let (a_unit, b_unit) = (unit(&of_a), unit(&of_b));
        let block = self.gemm.block_rows();
        let depth_step = flow.balanced(steps, self.gemm.block_depth(), self.gemm.depth_unit());
        let block = flow.balanced(m, block, rows);
        flow.range_by(zero, m, block, |flow, ic| {
            let left = flow.sub(m, ic);
            let height = flow.min(left, block);
            let zero_a = zero_a.map(|p| flow.at_scaled(p, ic, of_a.zero_step()));
            if let Some(pack) = self.pack_a {
                // A row-major is packed with transpositions.
                let across = of_a.layout == Layout::RowMajor;
                let step = if across { lda } else { flow.int(of_a.element.bytes()) };
                let from = flow.at(a, ic, step);
                let packed = if self.gemm.reads_single_rows() {
                    let one = flow.int(1);
                    let is_single = flow.flag(IntCC::Equal, height, one);
                    flow.sub(height, is_single)
                } else {
                    height
                };
                let panels = Panels {
                    factor: &of_a,
                    pack,
                    across,
                    panels: a_block,
                    stride: lda,
                    zero: zero_a,
                    width: rows,
                };
                panels.pack(flow, arithmetic, from, packed, [k, steps]);
            }
            let strips = |flow: &mut Flow<'_, '_>, js: Value, strip_columns: Value, b: Value| {
                flow.range_once(zero, steps, depth_step, |flow, pc| {
                    let left = flow.sub(steps, pc);
                    let depth = flow.min(left, depth_step);
                    let done = flow.add(pc, depth);
                    let accumulate = match self.gemm.adds {
                        true => flow.int(1),
                        false => flow.flag(IntCC::SignedGreaterThan, pc, zero),
                    };
                    let last = flow.flag(IntCC::SignedGreaterThanOrEqual, done, steps);
                    let width = self.gemm.block_columns();
                    let sum_bytes = [(&of_a, Side::A), (&of_b, Side::B)].map(|(it, side)| match it.layout {
                        Layout::Packed => arithmetic.sum_bytes(side),
                        _ => 0,
                    });
                    let single = self.gemm.reads_single_rows().then(|| {
                        let rows = flow.at(a, ic, lda);
                        [flow.at_scaled(rows, pc, of_a.element.bytes()), lda]
                    });
                    let a_row = match of_a.layout {
                        Layout::Direct => lda,
                        _ => {
                            let row = flow.shared(steps, of_a.packing.in_a_byte);
                            let row = flow.scale(row, a_unit);
                            flow.offset(row, sum_bytes[0])
                        }
                    };
                    let a = match of_a.layout {
                        Layout::Direct | Layout::Packed => flow.at(a, ic, a_row),
                        Layout::RowMajor | Layout::Transposed => a_block,
                    };
                    let a_step = if of_a.layout == Layout::Direct { a_unit } else { a_unit * rows };
                    // A block begins with a whole byte: its first step is a multiple of four.
                    let a = match of_a.packing.in_a_byte {
                        1 => flow.at_scaled(a, pc, a_step),
                        in_a_byte => {
                            let bytes = flow.scaled_div(pc, a_step, in_a_byte);
                            flow.add(a, bytes)
                        }
                    };
                    let (b_column, b_step) = if of_b.layout == Layout::Direct {
                        (flow.int(b_unit), ldb)
                    } else {
                        let rows = of_b.packing.rows(flow, steps);
                        let column = flow.scale(rows, b_unit);
                        (flow.offset(column, sum_bytes[1]), flow.int(b_unit * columns))
                    };
                    let row = of_b.packing.rows(flow, pc);
                    let b = flow.at(b, row, b_step);
                    let mut scales_at = Vec::new();
                    if let Some(blocks) = of_b.packing.blocks {
                        let (all, done) =
                            (flow.scaled_div(steps, 1, blocks.length), flow.scaled_div(pc, 1, blocks.length));
                        for (p, (element, in_a_byte)) in scales.iter().zip(blocks.elements()) {
                            let column = flow.shared(all, in_a_byte);
                            let column = flow.scale(column, element.bytes());
                            let done = flow.shared(done, in_a_byte);
                            scales_at.push([flow.at_scaled(*p, done, element.bytes() * columns), column]);
                        }
                    }
                    flow.range(zero, strip_columns, width, |flow, jc| {
                        let left = flow.sub(strip_columns, jc);
                        let width = flow.int(width);
                        let count = flow.min(left, width);
                        let c = flow.at(c, ic, ldc);
                        let column = flow.add(js, jc);
                        // Panels of B are new to the caches in the first row of tiles; each row fetches a part of them for
                        // the next block.
                        let b = flow.at(b, jc, b_column);
                        let ahead = [
                            flow.at(b, width, b_column),
                            flow.scaled_div(depth, Micro::AHEAD_PER_STEP, rows),
                            b_column,
                        ];
                        let waits_b = match arithmetic {
                            Arithmetic::Quads(_) => zero_a,
                            _ => zero_b.filter(|_| self.pack_b.is_none()),
                        };
                        let waits_b = waits_b.map(|p| flow.at_scaled(p, column, of_b.zero_step()));
                        let scales: Vec<[Value; 2]> = scales_at
                            .iter()
                            .map(|[at, column]| [flow.at(*at, jc, *column), *column])
                            .collect();
                        let (b, b_column, waits_b, scales) = match self.widen {
                            None => (b, b_column, waits_b, scales),
                            Some(widen) => {
                                let column = flow.scale(depth, lane);
                                let column = flow.offset(column, sum_bytes[1]);
                                // The zero point of bytes is that of A, which tiles make good.
                                let (own, others) =
                                    if arithmetic.is_quads() { (None, waits_b) } else { (waits_b, None) };
                                let units = match of_b.block() {
                                    1 => depth,
                                    length => flow.scaled_div(depth, 1, length),
                                };
                                flow.range(zero, count, columns, |flow, j| {
                                    let from = flow.at(b, j, b_column);
                                    let to = flow.at(b_block, j, column);
                                    let left = flow.sub(count, j);
                                    let mut values = vec![from, to, units, left];
                                    values.extend(own.map(|p| flow.at_scaled(p, j, of_b.zero_step())));
                                    values.extend(scales.iter().map(|[at, column]| flow.at(*at, j, *column)));
                                    flow.call(widen, &values);
                                });
                                (b_block, column, others, Vec::new())
                            }
                        };
                        let block = Block {
                            a,
                            single,
                            a_row,
                            b,
                            b_column,
                            b_row: ldb,
                            c: flow.at_scaled(c, column, of_c.bytes()),
                            c_row: ldc,
                            rows: height,
                            columns: count,
                            depth,
                            accumulate,
                            last,
                            ahead,
                            panel: a_block,
                            zeros: [zero_a, waits_b],
                            scales,
                            operands: operands_at(flow, &self.gemm.epilogue, operands, [ic, ic], column),
                            numbers,
                        };
                        self.tiles.compute(flow, &block);
                    });
                });
            };
            let Some(pack) = self.pack_b else {
                strips(flow, zero, n, b);
                return;
            };
            let across = of_b.layout == Layout::Transposed;
            let step = if across { ldb } else { flow.int(of_b.element.bytes()) };
            let first = flow.flag(IntCC::Equal, ic, zero);
            flow.range_by(zero, n, strip, |flow, js| {
                let left = flow.sub(n, js);
                let count = flow.min(left, strip);
                let panels = Panels {
                    factor: &of_b,
                    pack,
                    across,
                    panels: workspace,
                    stride: ldb,
                    zero: zero_b.map(|p| flow.at_scaled(p, js, of_b.zero_step())),
                    width: columns,
                };
                let from = flow.at(b, js, step);
                flow.range(zero, first, 1, |flow, _| panels.pack(flow, arithmetic, from, count, [k, steps]));
                strips(flow, js, count, workspace);
            });
        });
    }
}
