//! Convolution as multiplication of packed weights with panels of the unfolded image.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{FuncRef, Value};
use cranelift_module::{FuncId, Module};

use super::{Form, Geometry, Slide, Source, pack_pointwise, unfold_segment};
use crate::kernels::element::Element;
use crate::kernels::epilogue::{self, Step};
use crate::kernels::flow::Flow;
use crate::kernels::gemm::{
    Arithmetic, Block, Blocking, Factor, Gemm, Layout, Micro, Side, Tile, Tiles, Zero, operands_at,
    pack_transposed,
};
use crate::vector::encode::{self, DefineError};
use crate::vector::{Isa, Program, Size};

/// Bytes of the workspace that hold panels of the unfolded image: a good part of the second-level cache.
const BLOCK_BYTES: i64 = 768 * 1024;

/// A convolution to be generated.
///
/// The function takes, all 64-bit: `x`, `weights`, `y` (pointers), `batch`, `groups`, `c`, `m` (input and output channels
/// of one group), the extents of an image in and of one out, `workspace` (a pointer to [`Convolution::workspace`] bytes,
/// 64-byte aligned for speed), `first`, `last` (the outputs of each plane to compute, as a range of their numbers in
/// memory, so that threads can share a plane), the zero point of `x` and the first one of the weights where they have some, then the operands of the
/// epilogue. An operand by row has an element for each output channel; a full one is laid out like `y`, and its stride is
/// that of a plane.
///
/// Packed weights hold for each group `[⌈m / rows⌉][⌈c / terms⌉ · taps][rows][terms]`, the panels of
/// [`crate::kernels::gemm`], with `rows` of the [`Tile`]; terms are neighbouring channels. Others are row-major,
/// `[groups · m][c · taps]`, and packed on the way; they are not multiplied as bytes.
#[derive(Debug, Clone)]
pub struct Convolution {
    /// The instruction set of the kernels.
    pub isa: Isa,
    /// The constants.
    pub geometry: Geometry,
    /// The images.
    pub x: Source,
    /// The weights: panels, or row-major. They have one zero point, or, in rows, one for each output channel.
    pub weights: Factor,
    /// Elements of the result: whole lanes, or what they are rounded to when the sum is complete.
    pub y: Element,
    /// Where panels come from; [`Geometry::form`] for the extents of all calls.
    pub form: Form,
    /// Output channels of a group, if known: fewer kernels are made then.
    pub m: Option<i64>,
    /// What happens to the result.
    pub epilogue: Vec<Step>,
    /// The register tile; [`Tile::of`] the instruction set.
    pub tile: Tile,
    /// Sizes of blocks; [`Blocking::of`] the instruction set.
    pub blocking: Blocking,
}

impl Convolution {
    /// A convolution of `f32` with packed weights, without an epilogue.
    pub fn floats(isa: Isa, geometry: Geometry, form: Form) -> Convolution {
        Convolution {
            isa,
            geometry,
            x: Source::floats(),
            weights: Factor::floats(Layout::Packed),
            y: Element::LANE,
            form,
            m: None,
            epilogue: Vec::new(),
            tile: Tile::of(isa),
            blocking: Blocking::of(isa),
        }
    }

    /// Parameters before the zero points.
    fn fixed_params(&self) -> usize {
        10 + 2 * self.geometry.rank()
    }

    /// The number of parameters of the function.
    pub fn params(&self) -> usize {
        self.fixed_params()
            + usize::from(self.x.zero)
            + usize::from(self.weights.zero.is_some())
            + epilogue::params(&self.epilogue)
    }

    /// The multiplication of weights with panels.
    fn gemm(&self) -> Gemm {
        Gemm {
            arithmetic: self.x.arithmetic,
            a: self.weights,
            b: match self.x.arithmetic {
                // What bytes were moved by is made good after the sum; all else is done while they are unfolded.
                Arithmetic::Quads(_) => Factor { layout: Layout::Packed, ..self.x.factor() },
                _ => Factor::lanes(Layout::Packed, self.x.arithmetic),
            },
            c: self.y,
            m: self.m,
            epilogue: self.epilogue.clone(),
            tile: self.tile,
            blocking: self.blocking,
            ..Gemm::new(self.isa, Layout::Packed, Layout::Packed)
        }
    }

    /// Elements of the kernel.
    fn taps(&self) -> i64 {
        self.geometry.taps()
    }

    /// The most input channels that are unfolded at a time: all, where the sum is to be rounded once.
    fn most_channels(&self) -> i64 {
        if self.y != self.x.arithmetic.lane() {
            return i64::from(i32::MAX);
        }
        let unit = self.channel_unit();
        (self.blocking.depth / self.taps() / unit).max(1) * unit * self.x.arithmetic.terms()
    }

    /// What blocks of channels are a multiple of, so that each begins with a whole byte.
    fn channel_unit(&self) -> i64 {
        self.weights.packing.in_a_byte
    }

    /// Steps of the sum over so many channels.
    fn steps(&self, channels: i64) -> i64 {
        let terms = self.x.arithmetic.terms();
        (channels + terms - 1) / terms * self.taps()
    }

    /// Columns of a panel.
    fn columns(&self) -> i64 {
        i64::from(self.tile.columns_of(self.isa, self.x.arithmetic.width()))
    }

    /// Bytes of the workspace before what is made of the weights, for `c` input channels of a group.
    fn image_bytes(&self, c: i64) -> i64 {
        let (columns, lane) = (self.columns(), self.x.arithmetic.lane().bytes());
        (lane * self.steps(c.min(self.most_channels())) * columns).max(BLOCK_BYTES)
    }

    /// Whether the weights are packed on the way.
    fn packs(&self) -> bool {
        self.weights.layout == Layout::RowMajor
    }

    /// Elements of a row of weights from one term of a step to the next: terms are channels.
    fn apart(&self) -> i64 {
        if self.x.arithmetic.terms() == 1 { 1 } else { self.taps() }
    }

    /// The size of the workspace in bytes, for `c` input and `m` output channels of a group.
    pub fn workspace(&self, c: i64, m: i64) -> i64 {
        let rows = i64::from(self.tile.rows);
        let lane = self.x.arithmetic.lane().bytes();
        let weights = if self.packs() {
            (m + rows - 1) / rows * rows * self.steps(c) * lane + 64
        } else if self.gemm().widens() {
            rows * self.steps(c.min(self.most_channels())) * lane + 64
        } else {
            0
        };
        self.image_bytes(c) + weights
    }

    /// The size of the packed weights of one group, in elements.
    pub fn packed_weights(&self, c: i64, m: i64) -> i64 {
        let rows = i64::from(self.tile.rows);
        let own = self.steps(c) * self.x.arithmetic.terms();
        let sums = self.x.arithmetic.sum_bytes(Side::A) / self.weights.element.bytes();
        (m + rows - 1) / rows * rows * (own + sums)
    }

    /// Defines the kernels and the driver as local functions; their names start with `name`.
    pub fn emit(&self, module: &mut dyn Module, name: &str) -> Result<FuncId, DefineError> {
        let gemm = self.gemm();
        let kernels = gemm.kernels(module, name)?;
        let vectors = gemm.tile.vectors;
        let program: Program = match self.form {
            Form::Pointwise => pack_pointwise(vectors, self.isa, &self.x),
            Form::Unfolded => unfold_segment(&self.geometry, vectors, &self.x),
        };
        let unfold = encode::declare(module, &format!("{name}.unfold"), program.params.len())?;
        encode::define(module, unfold, &program, self.isa)?;
        let mut pack = None;
        if self.packs() {
            let rows = Size::fixed(i64::from(gemm.tile.rows));
            let program = pack_transposed(rows, &self.weights, self.x.arithmetic, self.apart());
            let id = encode::declare(module, &format!("{name}.pack"), program.params.len())?;
            encode::define(module, id, &program, self.isa)?;
            pack = Some(id);
        }
        kernels.driven(
            &gemm,
            (module, name),
            self.params(),
            |module, func| {
                let mut import = |id: FuncId| module.declare_func_in_func(id, func);
                (import(unfold), pack.map(&mut import))
            },
            |flow, args, tiles, (unfold, pack)| self.body(flow, args, tiles, unfold, pack),
        )
    }

    /// Blocks of outputs, and for each of them blocks of input channels: a block is unfolded once, and all weights of
    /// its channels pass by.
    fn body(
        &self,
        flow: &mut Flow<'_, '_>,
        args: &[Value],
        tiles: &Tiles<'_>,
        unfold: FuncRef,
        pack: Option<FuncRef>,
    ) {
        let rank = self.geometry.rank();
        let (fixed, mut rest) = args.split_at(self.fixed_params());
        let &[x, weights, y, batch, groups, c, m, ref extents @ .., workspace, first, last] = fixed else {
            unreachable!("the function is declared with these parameters and more")
        };
        let (input, output) = extents.split_at(rank);
        let (rows, columns) = (i64::from(self.tile.rows), self.columns());
        let lane = self.x.arithmetic.lane().bytes();
        let numbers = tiles.numbers;
        let (zero, one) = (flow.int(0), flow.int(1));
        let mut zero_point = |there: bool| {
            let (first, others) = rest.split_first().filter(|_| there)?;
            rest = others;
            Some(*first)
        };
        let (x_zero, w_zero) = (zero_point(self.x.zero), zero_point(self.weights.zero.is_some()));
        let given = rest;
        let terms = self.x.arithmetic.terms();
        let steps_of = |flow: &mut Flow<'_, '_>, channels: Value| match terms {
            1 => flow.scale(channels, self.taps()),
            _ => {
                let whole = flow.round_up(channels, terms);
                let groups = flow.scaled_div(whole, 1, terms);
                flow.scale(groups, self.taps())
            }
        };
        let (x_size, y_size) = (self.x.element.bytes(), self.y.bytes());
        let channels = flow.balanced(c, self.most_channels(), terms * self.channel_unit());
        let channel_steps = steps_of(flow, channels);
        let channel_bytes = flow.scale(channel_steps, lane);
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
        let in_plane = flow.product(input);
        let in_plane = flow.scale(in_plane, x_size);
        let group_bytes = flow.mul(in_plane, c);
        let out_plane = flow.product(output);
        let out_plane = flow.scale(out_plane, y_size);
        // Weights as they are given, and as tiles read them.
        let unit = if self.packs() { lane } else { self.weights.unit(self.x.arithmetic).bytes() };
        let all_steps = steps_of(flow, c);
        let in_a_byte = self.weights.packing.in_a_byte;
        let weight_row = flow.shared(all_steps, in_a_byte);
        let weight_row = flow.scale(weight_row, unit);
        let weight_row = flow.offset(weight_row, self.x.arithmetic.sum_bytes(Side::A));
        let given_row = flow.scale(c, self.weights.element.bytes() * self.taps());
        let weight_bytes = if self.packs() {
            flow.mul(m, given_row)
        } else {
            let weight_rows = flow.round_up(m, rows);
            flow.mul(weight_rows, weight_row)
        };
        let image_bytes = {
            let bytes = flow.scale(channel_bytes, columns);
            let least = flow.int(BLOCK_BYTES);
            flow.max(bytes, least)
        };
        let made = flow.add(workspace, image_bytes);
        let total = flow.mul(batch, groups);

        flow.range(zero, total, 1, |flow, image| {
            let group = flow.rem(image, groups);
            let x = flow.at(x, image, group_bytes);
            let weights = flow.at(weights, group, weight_bytes);
            let channel = flow.mul(group, m);
            let each = self.weights.zero == Some(Zero::Each);
            let w_zero =
                w_zero.map(|p| if each { flow.at_scaled(p, channel, self.weights.zero_step()) } else { p });
            let weights = match pack {
                None => weights,
                Some(pack) => {
                    flow.range(zero, m, rows, |flow, i| {
                        let from = flow.at(weights, i, given_row);
                        let to = flow.at(made, i, weight_row);
                        let left = flow.sub(m, i);
                        let full = flow.int(rows);
                        let valid = flow.min(left, full);
                        let depth = flow.scale(c, self.taps() / self.apart());
                        let mut values = vec![from, to, depth, given_row, valid];
                        values.extend(w_zero.map(|p| flow.at_scaled(p, i, self.weights.zero_step())));
                        flow.call(pack, &values);
                    });
                    made
                }
            };
            let plane = flow.mul(image, m);
            let y = flow.at(y, plane, out_plane);
            flow.range_by(first, last, width, |flow, j| {
                let end = flow.add(j, width);
                let end = flow.min(end, last);
                let operands = operands_at(flow, &self.epilogue, given, [channel, plane], j);
                flow.range_once(zero, c, channels, |flow, pc| {
                    let left = flow.sub(c, pc);
                    let here = flow.min(left, channels);
                    let x = flow.at(x, pc, in_plane);
                    let depth = steps_of(flow, here);
                    flow.range(j, end, columns, |flow, p| {
                        let done = flow.sub(p, j);
                        let to = flow.mul(done, depth);
                        let to = flow.at_scaled(workspace, to, lane);
                        let stop = flow.offset(p, columns);
                        let stop = flow.min(stop, end);
                        if self.form == Form::Pointwise {
                            let from = flow.at_scaled(x, p, x_size);
                            let valid = flow.sub(stop, p);
                            let mut values = vec![from, to, here, in_plane, valid];
                            values.extend(x_zero.filter(|_| !self.x.arithmetic.is_quads()));
                            flow.call(unfold, &values);
                        } else {
                            self.unfold_panel(flow, unfold, [x, here], [input, output], x_zero, to, p, stop);
                        }
                    });
                    let done = flow.add(pc, here);
                    // Weights come from far away, a panel for each row of tiles: each tile fetches a part of the next.
                    let before = steps_of(flow, pc);
                    let a = match in_a_byte {
                        1 => flow.at_scaled(weights, before, unit * rows),
                        _ => {
                            let bytes = flow.scaled_div(before, unit * rows, in_a_byte);
                            flow.add(weights, bytes)
                        }
                    };
                    let ahead = [
                        flow.at_scaled(a, weight_row, rows),
                        weight_row,
                        flow.scaled_div(depth, Micro::AHEAD_PER_STEP, columns),
                    ];
                    let block = Block {
                        a,
                        single: None,
                        a_row: weight_row,
                        b: workspace,
                        b_column: flow.scale(depth, lane),
                        b_row: zero,
                        c: flow.at_scaled(y, j, y_size),
                        c_row: out_plane,
                        rows: m,
                        columns: flow.sub(end, j),
                        depth,
                        accumulate: flow.flag(IntCC::SignedGreaterThan, pc, zero),
                        last: flow.flag(IntCC::SignedGreaterThanOrEqual, done, c),
                        ahead,
                        panel: made,
                        zeros: [
                            w_zero.filter(|_| pack.is_none()),
                            x_zero.filter(|_| self.x.arithmetic.is_quads()),
                        ],
                        scales: Vec::new(),
                        operands: operands.clone(),
                        numbers,
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
        [x, c]: [Value; 2],
        [input, output]: [&[Value]; 2],
        zero: Option<Value>,
        panel: Value,
        p: Value,
        stop: Value,
    ) {
        let (rows, columns) = self.geometry.split();
        let (out_rows, ow) = (&output[..rows.len()], output[rows.len()]);
        let top_row = flow.div(p, ow);
        let last = flow.offset(stop, -1);
        let bottom = flow.div(last, ow);
        let bottom = flow.offset(bottom, 1);
        flow.range(top_row, bottom, 1, |flow, number| {
            let row = flow.mul(number, ow);
            let next = flow.add(row, ow);
            let from = flow.max(p, row);
            let to = flow.min(stop, next);
            let ox = flow.sub(from, row);
            let start = |flow: &mut Flow<'_, '_>, at: Value, slide: &Slide| {
                let at = flow.scale(at, slide.stride);
                flow.offset(at, -slide.padding)
            };
            let mut starts = vec![start(flow, ox, &columns)];
            // The position on each axis of rows, from the number of the row.
            let mut left = number;
            for (axis, slide) in rows.iter().enumerate().rev() {
                let at = if axis == 0 {
                    left
                } else {
                    let whole = flow.div(left, out_rows[axis]);
                    let before = flow.mul(whole, out_rows[axis]);
                    let at = flow.sub(left, before);
                    left = whole;
                    at
                };
                starts.push(start(flow, at, slide));
            }
            let done = flow.sub(from, p);
            let target = flow.at_scaled(panel, done, self.x.arithmetic.lane().bytes());
            let count = flow.sub(to, from);
            let mut values = vec![x, target, c];
            values.extend(input);
            values.extend(starts.into_iter().rev());
            values.push(count);
            values.extend(zero);
            flow.call(unfold, &values);
        });
    }
}
