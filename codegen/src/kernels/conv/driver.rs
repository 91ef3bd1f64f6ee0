//! Convolution as multiplication of packed weights with panels of the unfolded image.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{FuncRef, Value};
use cranelift_module::{FuncId, Module};

use super::{Form, Geometry, pack_pointwise, unfold_segment};
use crate::kernels::epilogue::{self, Step};
use crate::kernels::flow::{self, Flow};
use crate::kernels::gemm::{Block, Blocking, Gemm, Layout, Micro, Tile, Tiles, operands_at};
use crate::vector::encode::{self, DefineError};
use crate::vector::{Isa, Program};

/// Bytes of the workspace that hold panels of the unfolded image: a good part of the second-level cache.
const BLOCK_BYTES: i64 = 768 * 1024;

/// A convolution to be generated.
///
/// The function takes, all 64-bit: `x`, `weights`, `y` (pointers), `batch`, `groups`, `c`, `m` (input and output channels
/// of one group), `h`, `w`, `oh`, `ow`, `workspace` (a pointer to [`Convolution::workspace`] bytes, 64-byte aligned for
/// speed), `first`, `last` (the outputs of each plane to compute, as a range of `oy · ow + ox`, so that threads can
/// share a plane), then the operands of the epilogue. An operand by row has an element for each output channel; a full
/// one is laid out like `y`, and its stride is that of a plane.
///
/// `weights` holds for each group `[⌈m / rows⌉][c · kh · kw][rows]`, the panels of [`crate::kernels::gemm`] of the
/// row-major matrix `[m][c · kh · kw]`, with `rows` of [`Tile::of`].
#[derive(Debug, Clone)]
pub struct Convolution {
    /// The instruction set of the kernels.
    pub isa: Isa,
    /// The constants.
    pub geometry: Geometry,
    /// Where panels come from; [`Geometry::form`] for the extents of all calls.
    pub form: Form,
    /// Output channels of a group, if known: fewer kernels are made then.
    pub m: Option<i64>,
    /// What happens to the result.
    pub epilogue: Vec<Step>,
}

impl Convolution {
    /// The number of parameters of the function.
    pub fn params(&self) -> usize {
        14 + epilogue::params(&self.epilogue)
    }

    /// The multiplication of weights with panels.
    fn gemm(&self) -> Gemm {
        Gemm {
            m: self.m,
            epilogue: self.epilogue.clone(),
            ..Gemm::new(self.isa, Layout::Packed, Layout::Packed)
        }
    }

    /// Elements of the kernel.
    fn taps(&self) -> i64 {
        self.geometry.kernel[0] * self.geometry.kernel[1]
    }

    /// The most input channels that are unfolded at a time.
    fn most_channels(&self) -> i64 {
        (Blocking::of(self.isa).depth / self.taps()).max(1)
    }

    /// The size of the workspace in bytes, for `c` input channels of a group.
    pub fn workspace(&self, c: i64) -> i64 {
        let columns = i64::from(Tile::of(self.isa).columns(self.isa));
        let depth = c.min(self.most_channels()) * self.taps();
        (4 * depth * columns).max(BLOCK_BYTES)
    }

    /// The size of the packed weights of one group, in elements.
    pub fn packed_weights(&self, c: i64, m: i64) -> i64 {
        let rows = i64::from(Tile::of(self.isa).rows);
        (m + rows - 1) / rows * rows * c * self.taps()
    }

    /// Defines the kernels and the driver as local functions; their names start with `name`.
    pub fn emit(&self, module: &mut dyn Module, name: &str) -> Result<FuncId, DefineError> {
        let gemm = self.gemm();
        let kernels = gemm.kernels(module, name)?;
        let vectors = gemm.tile().vectors;
        let program: Program = match self.form {
            Form::Pointwise => pack_pointwise(vectors, self.isa),
            Form::Unfolded => unfold_segment(&self.geometry, vectors),
        };
        let unfold = encode::declare(module, &format!("{name}.unfold"), program.params.len())?;
        encode::define(module, unfold, &program, self.isa)?;
        flow::define(
            module,
            name,
            self.params(),
            |module, func| {
                (Tiles::import(&gemm, &kernels, module, func), module.declare_func_in_func(unfold, func))
            },
            |flow, args, (tiles, unfold)| self.body(flow, args, &tiles, unfold),
        )
    }

    /// Blocks of outputs, and for each of them blocks of input channels: a block is unfolded once, and all weights of
    /// its channels pass by.
    fn body(&self, flow: &mut Flow<'_, '_>, args: &[Value], tiles: &Tiles<'_>, unfold: FuncRef) {
        let &[x, weights, y, batch, groups, c, m, h, w, oh, ow, workspace, first, last, ..] = args else {
            unreachable!("the function is declared with fourteen parameters and more")
        };
        let tile = Tile::of(self.isa);
        let (rows, columns) = (i64::from(tile.rows), i64::from(tile.columns(self.isa)));
        let (zero, one) = (flow.int(0), flow.int(1));
        let channels = flow.balanced(c, self.most_channels(), 1);
        let channel_bytes = flow.scale(channels, 4 * self.taps());
        let budget = flow.int(BLOCK_BYTES);
        let width = flow.div(budget, channel_bytes);
        let least = flow.int(columns);
        let width = flow.max(width, least);
        let by = flow.int(columns);
        let panels = flow.div(width, by);
        let width = flow.scale(panels, columns);
        let count = flow.sub(last, first);
        let count = flow.max(count, one);
        let width = flow.balanced_by(count, width, columns);
        let in_plane = flow.mul(h, w);
        let in_plane = flow.scale(in_plane, 4);
        let group_bytes = flow.mul(in_plane, c);
        let out_plane = flow.mul(oh, ow);
        let out_plane = flow.scale(out_plane, 4);
        let weight_row = flow.scale(c, 4 * self.taps());
        let weight_rows = flow.round_up(m, rows);
        let weight_bytes = flow.mul(weight_rows, weight_row);
        let total = flow.mul(batch, groups);

        flow.range(zero, total, 1, |flow, image| {
            let whole = flow.div(image, groups);
            let before = flow.mul(whole, groups);
            let group = flow.sub(image, before);
            let x = flow.at(x, image, group_bytes);
            let weights = flow.at(weights, group, weight_bytes);
            let channel = flow.mul(group, m);
            let plane = flow.mul(image, m);
            let y = flow.at(y, plane, out_plane);
            flow.range_by(first, last, width, |flow, j| {
                let end = flow.add(j, width);
                let end = flow.min(end, last);
                let operands = operands_at(flow, &self.epilogue, &args[14..], [channel, plane], j);
                flow.range_once(zero, c, channels, |flow, pc| {
                    let left = flow.sub(c, pc);
                    let here = flow.min(left, channels);
                    let x = flow.at(x, pc, in_plane);
                    let depth = flow.scale(here, self.taps());
                    flow.range(j, end, columns, |flow, p| {
                        let done = flow.sub(p, j);
                        let to = flow.mul(done, depth);
                        let to = flow.at_scaled(workspace, to, 4);
                        let stop = flow.offset(p, columns);
                        let stop = flow.min(stop, end);
                        if self.form == Form::Pointwise {
                            let from = flow.at_scaled(x, p, 4);
                            let valid = flow.sub(stop, p);
                            flow.call(unfold, &[from, to, here, in_plane, valid]);
                        } else {
                            self.unfold_panel(flow, unfold, [x, here, h, w, ow], to, p, stop);
                        }
                    });
                    let done = flow.add(pc, here);
                    // Weights come from far away, a panel for each row of tiles: each tile fetches a part of the next.
                    let a = flow.at_scaled(weights, pc, 4 * self.taps() * rows);
                    let ahead = [
                        flow.at_scaled(a, weight_row, rows),
                        weight_row,
                        flow.scaled_div(depth, Micro::AHEAD_PER_STEP, columns),
                    ];
                    let block = Block {
                        a,
                        a_row: weight_row,
                        b: workspace,
                        b_column: flow.scale(depth, 4),
                        b_row: zero,
                        c: flow.at_scaled(y, j, 4),
                        c_row: out_plane,
                        rows: m,
                        columns: flow.sub(end, j),
                        depth,
                        accumulate: flow.flag(IntCC::SignedGreaterThan, pc, zero),
                        last: flow.flag(IntCC::SignedGreaterThanOrEqual, done, c),
                        ahead,
                        panel: workspace,
                        zeros: [None; 2],
                        operands: operands.clone(),
                    };
                    tiles.compute(flow, &block);
                });
            });
        });
    }

    /// Unfolds the outputs `p..stop` row by row.
    fn unfold_panel(
        &self,
        flow: &mut Flow<'_, '_>,
        unfold: FuncRef,
        [x, c, h, w, ow]: [Value; 5],
        panel: Value,
        p: Value,
        stop: Value,
    ) {
        let [sy, sx] = self.geometry.stride;
        let [top, left] = self.geometry.padding;
        let top_row = flow.div(p, ow);
        let last = flow.offset(stop, -1);
        let bottom = flow.div(last, ow);
        let bottom = flow.offset(bottom, 1);
        flow.range(top_row, bottom, 1, |flow, oy| {
            let row = flow.mul(oy, ow);
            let next = flow.add(row, ow);
            let from = flow.max(p, row);
            let to = flow.min(stop, next);
            let ox = flow.sub(from, row);
            let ix = flow.scale(ox, sx);
            let ix = flow.offset(ix, -left);
            let iy = flow.scale(oy, sy);
            let iy = flow.offset(iy, -top);
            let done = flow.sub(from, p);
            let target = flow.at_scaled(panel, done, 4);
            let count = flow.sub(to, from);
            flow.call(unfold, &[x, target, c, h, w, iy, ix, count]);
        });
    }
}
