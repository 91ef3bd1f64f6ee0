//! The tile kernels over a block of the result, as part of a function that is being built.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{FuncRef, Function, InstBuilder as _, Value};
use cranelift_module::{FuncId, Module};

use super::numbers::outside;
use super::pack::widen_panel;
use super::{Gemm, Layout, Micro, Source};
use crate::kernels::epilogue::{self, Operand, Step};
use crate::kernels::flow::{self, Choice, Flow};
use crate::vector::encode::{self, DefineError, clif};
use crate::vector::{IReg, Program};

/// The tile kernels of a multiplication.
pub(crate) struct Tiles<'a> {
    gemm: &'a Gemm,
    choice: Choice,
    /// Makes whole lanes of a constant panel of A.
    widen: Option<FuncRef>,
    /// What the last parameter of the kernels points to, if there is anything.
    pub(crate) numbers: Option<Value>,
}

/// The functions of a block, of which [`Tiles`] are made.
pub(crate) struct Kernels {
    /// For numbers of rows.
    tiles: Vec<(u32, FuncId)>,
    widen: Option<FuncId>,
    numbers: Vec<u64>,
}

impl Kernels {
    /// Defines a driver of these kernels as a function of so many parameters: the driver itself, which is told where the
    /// kernels are and what numbers they read, and what tells it. So drivers whose kernels alone differ, by what follows a
    /// sum, are the same code, of which a library has one.
    pub(crate) fn driven<T>(
        &self,
        gemm: &Gemm,
        (module, name): (&mut dyn Module, &str),
        params: usize,
        import: impl FnOnce(&mut dyn Module, &mut Function) -> T,
        body: impl FnOnce(&mut Flow<'_, '_>, &[Value], &Tiles<'_>, T),
    ) -> Result<FuncId, DefineError> {
        let told = 1 + usize::from(!self.numbers.is_empty());
        let driver = flow::define(
            module,
            &format!("{name}.driver"),
            params + told,
            |module, func| {
                let widen = self.widen.map(|id| module.declare_func_in_func(id, func));
                let signature = clif::signature(self.params(gemm), encode::call_conv(module));
                (func.import_signature(signature), widen, import(module, func))
            },
            |flow, args, (signature, widen, imported)| {
                let (own, told) = args.split_at(params);
                let choice = Choice { signature, table: told[0] };
                let tiles = Tiles { gemm, choice, widen, numbers: told.get(1).copied() };
                body(flow, own, &tiles, imported);
            },
        )?;
        flow::define(
            module,
            name,
            params,
            |module, func| {
                let mut import = |id: FuncId| module.declare_func_in_func(id, func);
                let tiles: Vec<_> = self.tiles.iter().map(|(rows, id)| (*rows, import(*id))).collect();
                (tiles, import(driver))
            },
            |flow, args, (tiles, driver)| {
                let mut values = args.to_vec();
                values.push(flow.table(&tiles, gemm.tile.rows));
                if !self.numbers.is_empty() {
                    values.push(flow.frame(&self.numbers, gemm.arithmetic.width().bytes()));
                }
                flow.call(driver, &values);
            },
        )
    }

    /// How many parameters a tile kernel has.
    fn params(&self, gemm: &Gemm) -> usize {
        gemm.micro(gemm.tile.rows).params()
            + usize::from(gemm.reads_single_rows())
            + usize::from(!self.numbers.is_empty())
    }
}

/// A block of C, and what is multiplied for it: rows of A and columns of B over a part of the depth.
///
/// Pointers are to the first row, column and step of the sum; distances are in bytes.
pub(crate) struct Block {
    pub(crate) a: Value,
    /// Rows of A where they lie, and from one to the next, where [`Gemm::reads_single_rows`].
    pub(crate) single: Option<[Value; 2]>,
    /// From one row of A to the next; in panels, from one panel to the next by the rows of one.
    pub(crate) a_row: Value,
    pub(crate) b: Value,
    /// From one column of B to the next; in panels, from one panel to the next by the columns of one.
    pub(crate) b_column: Value,
    /// From one row of B to the next, where B is not in panels.
    pub(crate) b_row: Value,
    pub(crate) c: Value,
    pub(crate) c_row: Value,
    pub(crate) rows: Value,
    pub(crate) columns: Value,
    /// Steps of the sum.
    pub(crate) depth: Value,
    /// Not 0: add to what C holds.
    pub(crate) accumulate: Value,
    /// Not 0: apply the epilogue.
    pub(crate) last: Value,
    /// What later blocks and tiles read, for the first tile, and how far it moves from one row and column to the next.
    pub(crate) ahead: [Value; 3],
    /// Room for a panel of A of this depth, where [`Gemm::widens`].
    pub(crate) panel: Value,
    /// The first zero point of A that is still to be subtracted, and that of B.
    pub(crate) zeros: [Option<Value>; 2],
    /// The scales of B in blocks, and their zero points, each with how far it is from one column to the next.
    pub(crate) scales: Vec<[Value; 2]>,
    /// The operands of the epilogue.
    pub(crate) operands: Vec<Value>,
    /// [`Tiles::numbers`].
    pub(crate) numbers: Option<Value>,
}

impl Tiles<'_> {
    /// Computes a block: a row of tiles after the other, so that a panel of A stays near while B passes by.
    pub(crate) fn compute(&self, flow: &mut Flow<'_, '_>, block: &Block) {
        let tile = self.gemm.tile;
        let (rows, columns) = (i64::from(tile.rows), self.gemm.columns());
        let zero = flow.int(0);
        let depth = match self.gemm.b.block() {
            length if !self.gemm.widens_columns() => flow.scaled_div(block.depth, 1, length),
            _ => block.depth,
        };
        flow.range(zero, block.rows, rows, |flow, i| {
            let left = flow.sub(block.rows, i);
            let full = flow.int(rows);
            let here = flow.min(left, full);
            let kernel = self.choice.address(flow, here);
            let mut a = flow.at(block.a, i, block.a_row);
            if let Some(widen) = self.widen {
                let steps = flow.scale(block.depth, rows);
                let mut values = vec![a, block.panel, steps];
                values.extend(block.zeros[0]);
                flow.call(widen, &values);
                a = block.panel;
            }
            if let Some([rows, step]) = block.single {
                let row = flow.at(rows, i, step);
                let one = flow.int(1);
                let is_single = flow.flag(IntCC::Equal, here, one);
                a = flow.b.ins().select(is_single, row, a);
            }
            let [ahead, ahead_row, ahead_column] = block.ahead;
            let ahead = flow.at(ahead, i, ahead_row);
            flow.range(zero, block.columns, columns, |flow, j| {
                let b = flow.at(block.b, j, block.b_column);
                let c = flow.at(block.c, i, block.c_row);
                let c = flow.at_scaled(c, j, self.gemm.c.bytes());
                let left = flow.sub(block.columns, j);
                let full = flow.int(columns);
                let valid = flow.min(left, full);
                let Block { c_row, accumulate, last, .. } = *block;
                let ahead = flow.at(ahead, j, ahead_column);
                let mut values = vec![a, b, c, depth, c_row, valid, accumulate, last, ahead];
                if self.gemm.a.layout == Layout::Direct {
                    values.push(block.a_row);
                }
                values.extend(block.single.map(|it| it[1]));
                if self.gemm.b.layout == Layout::Direct {
                    values.push(block.b_row);
                }
                if let Some(zero) = block.zeros[1] {
                    values.push(flow.at_scaled(zero, j, self.gemm.b.zero_step()));
                }
                values.extend(block.scales.iter().map(|[at, column]| flow.at(*at, j, *column)));
                values.extend(operands_at(flow, &self.gemm.epilogue, &block.operands, [i, i], j));
                values.extend(block.numbers);
                self.choice.call(flow, kernel, &values);
            });
        });
    }
}

/// Where tiles take the distance of rows of A, if they do.
const ROW_PARAM: usize = 9;

impl Gemm {
    /// Whether the tile of one row reads it where it lies: packing it would take a good part of the time of that product.
    /// Where `m` is known to be 1, A is [`Layout::Direct`].
    pub(crate) fn reads_single_rows(&self) -> bool {
        self.m.is_none()
            && self.a.layout == Layout::RowMajor
            && self.a.element == self.arithmetic.lane()
            && self.a.zero.is_none()
            && self.arithmetic.terms() == 1
    }

    /// The tile kernel for a number of rows, with the parameters of all.
    fn tile_program(&self, rows: u32) -> Program {
        let micro = self.micro(rows);
        if !self.reads_single_rows() {
            return micro.program();
        }
        if rows == 1 {
            return Micro { a: Source::Direct, a_step: self.a.element, ..micro }.program();
        }
        let mut program = micro.program();
        program.params.insert(ROW_PARAM, IReg(program.ints));
        program.ints += 1;
        program
    }

    /// Defines the tile kernels for 1 to `tile.rows` rows, but for those that cannot occur where `m` is known.
    pub(crate) fn kernels(&self, module: &mut dyn Module, name: &str) -> Result<Kernels, DefineError> {
        let full = self.tile.rows;
        let define = |module: &mut dyn Module, rows: u32, program: &Program| -> Result<FuncId, DefineError> {
            let id = encode::declare(module, &format!("{name}.tile{rows}"), program.params.len())?;
            encode::define(module, id, program, self.isa)?;
            Ok(id)
        };
        let only = |m: i64| -> Vec<u32> {
            let rest = m % i64::from(full);
            let whole = (m >= i64::from(full)).then_some(full);
            whole.into_iter().chain((rest > 0).then_some(rest as u32)).collect()
        };
        let needed = match self.m {
            Some(m) if m > 0 => only(m),
            _ if self.few == Some(true) => (1..=full.min(self.few_rows() as u32)).collect(),
            _ => (1..=full).collect(),
        };
        let mut made = Vec::new();
        let mut programs: Vec<Program> = needed.iter().map(|rows| self.tile_program(*rows)).collect();
        let numbers = outside(&mut programs);
        for (&rows, program) in needed.iter().zip(&programs) {
            made.push((rows, define(module, rows, program)?));
        }
        let mut widen = None;
        if self.widens() {
            let program = widen_panel(
                self.a.unit(self.arithmetic),
                self.arithmetic,
                &self.a,
                i64::from(self.tile.rows),
            );
            let id = encode::declare(module, &format!("{name}.widen"), program.params.len())?;
            encode::define(module, id, &program, self.isa)?;
            widen = Some(id);
        }
        Ok(Kernels { tiles: made, widen, numbers })
    }
}

/// The operands of an epilogue moved to a column and a row: the first one for operands by row, the second for full ones.
/// They differ where several images share the elements by row.
pub(crate) fn operands_at(
    flow: &mut Flow<'_, '_>,
    epilogue: &[Step],
    operands: &[Value],
    [row, full_row]: [Value; 2],
    column: Value,
) -> Vec<Value> {
    let mut given = operands.iter().copied();
    let mut next = || given.next().expect("the function is declared with a parameter for each operand");
    let mut values = Vec::new();
    for (operand, element) in epilogue::operands(epilogue) {
        let p = next();
        match operand {
            Operand::Scalar => values.push(p),
            Operand::Row => values.push(flow.at_scaled(p, row, element.bytes())),
            Operand::Column => values.push(flow.at_scaled(p, column, element.bytes())),
            Operand::Full => {
                let stride = next();
                let row = flow.at(p, full_row, stride);
                values.push(flow.at_scaled(row, column, element.bytes()));
                values.push(stride);
            }
        }
    }
    values
}
