//! The blocked loops around the tile kernel, as a Cranelift function.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{FuncRef, InstBuilder as _, Value};
use cranelift_module::{FuncId, Module};

use super::{Micro, Source, Tile, pack_rows, pack_transposed};
use crate::kernels::epilogue::{self, Operand, Step};
use crate::kernels::flow::{self, Choice, Flow};
use crate::vector::encode::{self, DefineError, clif};
use crate::vector::{Isa, Size};

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
/// ignored for packed operands), `workspace` (a pointer, 64-byte aligned for speed), then the operands of the epilogue.
/// The workspace holds [`Gemm::workspace`] bytes. Sizes may be zero.
#[derive(Debug, Clone)]
pub struct Gemm {
    /// The instruction set of the kernels.
    pub isa: Isa,
    /// Layout of A.
    pub a: Layout,
    /// Layout of B.
    pub b: Layout,
    /// `m`, if it is known: fewer kernels are made then.
    pub m: Option<i64>,
    /// What happens to the result.
    pub epilogue: Vec<Step>,
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
            Isa::Avx512 => Blocking { depth: 1024, row_tiles: 24, b_bytes: 1024 * 1024 },
            Isa::Avx2 | Isa::Clif128 => Blocking { depth: 512, row_tiles: 24, b_bytes: 512 * 1024 },
        }
    }
}

/// Rows of B packed at a time, so that the pages of a chunk stay in the first-level translation buffer.
const PACK_CHUNK: i64 = 64;

impl Gemm {
    /// A multiplication of any size, without an epilogue.
    pub fn new(isa: Isa, a: Layout, b: Layout) -> Gemm {
        Gemm { isa, a, b, m: None, epilogue: Vec::new(), blocking: Blocking::of(isa) }
    }

    /// The register tile.
    pub fn tile(&self) -> Tile {
        Tile::of(self.isa)
    }

    /// The number of parameters of the function.
    pub fn params(&self) -> usize {
        10 + epilogue::params(&self.epilogue)
    }

    /// The size of the workspace in bytes: `4·k·(min(m, block) rounded up to tile rows)` if A is to be packed, plus
    /// `4·k·(n rounded up to tile columns)` if B is, plus 64 for each.
    pub fn workspace(&self, m: i64, n: i64, k: i64) -> i64 {
        let round_up = |x: i64, by: i64| (x + by - 1) / by * by;
        let rows = i64::from(self.tile().rows);
        let columns = i64::from(self.tile().columns(self.isa));
        let packs = |layout| matches!(layout, Layout::RowMajor | Layout::Transposed);
        let mut bytes = 0;
        if packs(self.a) {
            bytes += 4 * k * round_up(m.min(rows * self.blocking.row_tiles), rows) + 64;
        }
        if packs(self.b) {
            bytes += 4 * k * round_up(n, columns) + 64;
        }
        bytes
    }

    /// The tile kernel for a number of rows.
    fn micro(&self, rows: u32) -> Micro {
        let source = |layout| if layout == Layout::Direct { Source::Direct } else { Source::Packed };
        Micro { isa: self.isa, rows, a: source(self.a), b: source(self.b), epilogue: self.epilogue.clone() }
    }

    /// Defines the kernels and the driver as local functions; their names start with `name`.
    pub fn emit(&self, module: &mut dyn Module, name: &str) -> Result<FuncId, DefineError> {
        let tile = self.tile();
        let kernels = self.kernels(module, name)?;
        let mut packer = |layout: Layout, width: Size, what: &str| -> Result<Option<FuncId>, DefineError> {
            let program = match layout {
                Layout::Packed | Layout::Direct => return Ok(None),
                Layout::RowMajor => pack_rows(width, self.isa),
                Layout::Transposed => pack_transposed(width),
            };
            let id = encode::declare(module, &format!("{name}.{what}"), program.params.len())?;
            encode::define(module, id, &program, self.isa)?;
            Ok(Some(id))
        };
        // Rows of A lie across its panels, rows of B along them.
        let a_layout = match self.a {
            Layout::RowMajor => Layout::Transposed,
            Layout::Transposed => Layout::RowMajor,
            other => other,
        };
        let pack_a = packer(a_layout, Size::fixed(i64::from(tile.rows)), "pack_a")?;
        let pack_b = packer(self.b, Size::lanes(i64::from(tile.vectors)), "pack_b")?;

        flow::define(
            module,
            name,
            self.params(),
            |module, func| {
                let mut import = |id: FuncId| module.declare_func_in_func(id, func);
                let functions = kernels.iter().map(|&id| import(id)).collect();
                let (pack_a, pack_b) = (pack_a.map(&mut import), pack_b.map(&mut import));
                let signature = clif::signature(self.micro(1).params(), encode::call_conv(module));
                (Choice { signature: func.import_signature(signature), functions }, pack_a, pack_b)
            },
            |flow, args, (choice, pack_a, pack_b)| {
                Driver { gemm: self, args, choice, pack_a, pack_b }.emit(flow)
            },
        )
    }

    /// The kernels for 1 to `tile.rows` rows. Where `m` is known, those that cannot occur are the full tile's.
    fn kernels(&self, module: &mut dyn Module, name: &str) -> Result<Vec<FuncId>, DefineError> {
        let full = self.tile().rows;
        let define = |module: &mut dyn Module, rows: u32| -> Result<FuncId, DefineError> {
            let program = self.micro(rows).program();
            let id = encode::declare(module, &format!("{name}.tile{rows}"), program.params.len())?;
            encode::define(module, id, &program, self.isa)?;
            Ok(id)
        };
        let only = |m: i64| -> Vec<u32> {
            let rest = m % i64::from(full);
            let whole = (m >= i64::from(full)).then_some(full);
            whole.into_iter().chain((rest > 0).then_some(rest as u32)).collect()
        };
        let needed = match self.m {
            Some(m) if m > 0 => only(m),
            _ => (1..=full).collect(),
        };
        let mut made = Vec::new();
        for &rows in &needed {
            made.push((rows, define(module, rows)?));
        }
        let any = made[0].1;
        let of = |rows| made.iter().find(|(r, _)| *r == rows).map_or(any, |(_, id)| *id);
        Ok((1..=full).map(of).collect())
    }
}

struct Driver<'a> {
    gemm: &'a Gemm,
    args: &'a [Value],
    choice: Choice,
    pack_a: Option<FuncRef>,
    pack_b: Option<FuncRef>,
}

/// The parameters by name.
#[derive(Clone, Copy)]
struct Args {
    b: Value,
    c: Value,
    n: Value,
    k: Value,
    lda: Value,
    ldb: Value,
    ldc: Value,
}

impl Driver<'_> {
    fn emit(&self, flow: &mut Flow<'_, '_>) {
        let &[a, b, c, m, n, k, lda, ldb, ldc, workspace, ..] = self.args else {
            unreachable!("the function is declared with ten parameters and more")
        };
        let args = Args { b, c, n, k, lda, ldb, ldc };
        let isa = self.gemm.isa;
        let rows = i64::from(self.gemm.tile().rows);
        let columns = i64::from(self.gemm.tile().columns(isa));
        let zero = flow.int(0);

        // B first, then the block of A.
        let mut a_block = workspace;
        let mut b_panels = b;
        if let Some(pack) = self.pack_b {
            b_panels = workspace;
            self.pack_panels(
                flow,
                pack,
                self.gemm.b == Layout::Transposed,
                b,
                b_panels,
                n,
                args.ldb,
                k,
                columns,
            );
            let packed = flow.round_up(n, columns);
            let bytes = flow.mul(packed, k);
            let bytes = flow.scale(bytes, 4);
            let bytes = flow.offset(bytes, 64 + 63);
            let mask = flow.int(-64);
            let bytes = flow.b.ins().band(bytes, mask);
            a_block = flow.add(workspace, bytes);
        }
        let block = rows * self.gemm.blocking.row_tiles;
        let depth_step = Self::balanced(flow, k, self.gemm.blocking.depth, 4);
        let block = Self::balanced(flow, m, block, rows);
        flow.range_by(zero, m, block, |flow, ic| {
            let left = flow.sub(m, ic);
            let height = flow.min(left, block);
            if let Some(pack) = self.pack_a {
                // A row-major is packed with transpositions.
                let across = self.gemm.a == Layout::RowMajor;
                let step = if across { lda } else { flow.int(4) };
                let from = flow.at(a, ic, step);
                self.pack_panels(flow, pack, across, from, a_block, height, lda, k, rows);
            }
            flow.range_once(zero, k, depth_step, |flow, pc| {
                let left = flow.sub(k, pc);
                let depth = flow.min(left, depth_step);
                let done = flow.add(pc, depth);
                let accumulate = flow.flag(IntCC::SignedGreaterThan, pc, zero);
                let last = flow.flag(IntCC::SignedGreaterThanOrEqual, done, k);
                let Blocking { depth: most, b_bytes, .. } = self.gemm.blocking;
                let width = (b_bytes / 4 / most / columns).max(1) * columns;
                flow.range(zero, n, width, |flow, jc| {
                    let end = flow.offset(jc, width);
                    let end = flow.min(end, n);
                    flow.range(zero, height, rows, |flow, ir| {
                        let i = flow.add(ic, ir);
                        let left = flow.sub(height, ir);
                        let full = flow.int(rows);
                        let here = flow.min(left, full);
                        let kernel = self.choice.address(flow, here);
                        let a_tile = match self.gemm.a {
                            Layout::Direct => {
                                let row = flow.at(a, i, lda);
                                flow.at_scaled(row, pc, 4)
                            }
                            layout => {
                                let (base, row) =
                                    if layout == Layout::Packed { (a, i) } else { (a_block, ir) };
                                let panel = flow.mul(row, k);
                                let panel = flow.at_scaled(base, panel, 4);
                                flow.at_scaled(panel, pc, 4 * rows)
                            }
                        };
                        flow.range(jc, end, columns, |flow, j| {
                            let tile = TileAt { kernel, a: a_tile, i, j, pc, depth, accumulate, last };
                            self.tile(flow, args, b_panels, columns, tile);
                        });
                    });
                });
            });
        });
    }

    /// The size of a block: `total` in equal parts of at most `most`, in multiples of `unit`; at least one unit.
    fn balanced(flow: &mut Flow<'_, '_>, total: Value, most: i64, unit: i64) -> Value {
        let limit = flow.int(most);
        let parts = flow.offset(total, most - 1);
        let parts = flow.div(parts, limit);
        let one = flow.int(1);
        let parts = flow.max(parts, one);
        let part = flow.add(total, parts);
        let part = flow.offset(part, -1);
        let part = flow.div(part, parts);
        let least = flow.int(unit);
        let part = flow.max(part, least);
        flow.round_up(part, unit)
    }

    /// Packs `count` rows or columns of an operand into panels of `width`.
    ///
    /// Across means that panels take rows of the source, which are read along. Otherwise they take columns: then a few
    /// rows are packed into all panels before the next ones, which reads memory in order.
    fn pack_panels(
        &self,
        flow: &mut Flow<'_, '_>,
        pack: FuncRef,
        across: bool,
        source: Value,
        panels: Value,
        count: Value,
        stride: Value,
        k: Value,
        width: i64,
    ) {
        let zero = flow.int(0);
        let step = if across { flow.int(1 << 40) } else { flow.int(PACK_CHUNK) };
        flow.range_by(zero, k, step, |flow, start| {
            let left = flow.sub(k, start);
            let depth = flow.min(left, step);
            let source = if across { source } else { flow.at(source, start, stride) };
            let panels = flow.at_scaled(panels, start, 4 * width);
            flow.range(zero, count, width, |flow, at| {
                let step = if across { stride } else { flow.int(4) };
                let from = flow.at(source, at, step);
                let to = flow.mul(at, k);
                let to = flow.at_scaled(panels, to, 4);
                let left = flow.sub(count, at);
                let full = flow.int(width);
                let valid = flow.min(left, full);
                flow.call(pack, &[from, to, depth, stride, valid]);
            });
        });
    }

    fn tile(&self, flow: &mut Flow<'_, '_>, args: Args, b_panels: Value, columns: i64, t: TileAt) {
        let b_tile = if self.gemm.b == Layout::Direct {
            let row = flow.at(args.b, t.pc, args.ldb);
            flow.at_scaled(row, t.j, 4)
        } else {
            let panel = flow.mul(t.j, args.k);
            let panel = flow.at_scaled(b_panels, panel, 4);
            flow.at_scaled(panel, t.pc, 4 * columns)
        };
        let row = flow.at(args.c, t.i, args.ldc);
        let c_tile = flow.at_scaled(row, t.j, 4);
        let left = flow.sub(args.n, t.j);
        let full = flow.int(columns);
        let valid = flow.min(left, full);
        let mut values = vec![t.a, b_tile, c_tile, t.depth, args.ldc, valid, t.accumulate, t.last];
        if self.gemm.a == Layout::Direct {
            values.push(args.lda);
        }
        if self.gemm.b == Layout::Direct {
            values.push(args.ldb);
        }
        values.extend(operands_at(flow, &self.gemm.epilogue, &self.args[10..], t.i, t.j));
        self.choice.call(flow, t.kernel, &values);
    }
}

/// The operands of an epilogue for the tile at row `i` and column `j`.
fn operands_at(
    flow: &mut Flow<'_, '_>,
    epilogue: &[Step],
    mut operands: &[Value],
    i: Value,
    j: Value,
) -> Vec<Value> {
    let mut values = Vec::new();
    for step in epilogue {
        let Step::Combine(_, operand) = step else { continue };
        match (operand, operands) {
            (Operand::Row, [p, rest @ ..]) => {
                values.push(flow.at_scaled(*p, i, 4));
                operands = rest;
            }
            (Operand::Column, [p, rest @ ..]) => {
                values.push(flow.at_scaled(*p, j, 4));
                operands = rest;
            }
            (Operand::Full, [p, stride, rest @ ..]) => {
                let row = flow.at(*p, i, *stride);
                values.push(flow.at_scaled(row, j, 4));
                values.push(*stride);
                operands = rest;
            }
            _ => unreachable!("the function is declared with a parameter for each operand"),
        }
    }
    values
}

/// One call of a tile kernel.
#[derive(Clone, Copy)]
struct TileAt {
    kernel: Value,
    a: Value,
    i: Value,
    j: Value,
    pc: Value,
    depth: Value,
    accumulate: Value,
    last: Value,
}
