//! Windows that slide over single planes: depthwise convolution and pooling.
//!
//! Blocks of outputs are computed at a time, several rows of one vector or of two: a row of the image is loaded once for
//! all windows that it lies in, a weight once for both vectors, and there are as many sums as multiplications wait for
//! each other. The elements of one window are taken in in the same order, whatever the block is.

use cranelift_module::{FuncId, Module};

use super::line::Line;
use super::{Geometry, Slide, Source, inside, strides};
use crate::kernels::element::Element;
use crate::kernels::epilogue::{self, Operand, Step};
use crate::kernels::flow;
use crate::kernels::gemm::{Arithmetic, Factor, Layout, Zero};
use crate::vector::encode::{self, DefineError};
use crate::vector::{
    Addr, BinaryOp, Builder, IReg, IntCompare, IntOp, Isa, MReg, Program, Size, UnaryOp, VReg,
};

/// What a window computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    /// The sum of elements times weights: depthwise convolution.
    Weights,
    /// The sum of elements; an average with a step of the epilogue that scales.
    Sum,
    /// The largest element, NaN if there is one; what lies outside the image does not count.
    Max,
}

/// A depthwise convolution or a pooling to be generated.
///
/// The function takes, all 64-bit: `x`, `weights` (`[channels][taps]`; ignored unless the window is
/// [`Window::Weights`]), `y` (pointers), `batch`, `channels`, the extents of an image in and of one out, `first`, `last`
/// (the range of planes `image · channels + channel` to compute), the zero point of `x` and the first one of the weights where they have some,
/// then the operands of the epilogue: by row for an element of each channel,
/// full for a tensor like `y` with the stride of a plane, by column for one plane that all share.
#[derive(Debug, Clone)]
pub struct SlidingWindow {
    /// The instruction set of the kernel.
    pub isa: Isa,
    /// What is computed.
    pub window: Window,
    /// The constants.
    pub geometry: Geometry,
    /// The images. What has a zero point is multiplied by weights.
    pub x: Source,
    /// The weights, in rows.
    pub weights: Factor,
    /// Elements of the result.
    pub y: Element,
    /// What happens to the result.
    pub epilogue: Vec<Step>,
}

impl SlidingWindow {
    /// The most elements of a kernel.
    pub const MOST_TAPS: i64 = 1024;
    /// The most elements of the kernels of all outputs of a lane that are computed at a time, each of which is code.
    const MOST_AT_A_TIME: i64 = 512;
    /// The least elements of a kernel for which two vectors of a row are worth the masks for both.
    const WIDE_TAPS: i64 = 36;

    /// A window over `f32`, without an epilogue.
    pub fn floats(isa: Isa, window: Window, geometry: Geometry) -> SlidingWindow {
        SlidingWindow {
            isa,
            window,
            geometry,
            x: Source::floats(),
            weights: Factor::floats(Layout::RowMajor),
            y: Element::LANE,
            epilogue: Vec::new(),
        }
    }

    /// Parameters before the zero points.
    fn fixed_params(&self) -> usize {
        7 + 2 * self.geometry.rank()
    }

    /// The number of parameters of the function.
    pub fn params(&self) -> usize {
        self.fixed_params()
            + usize::from(self.x.zero)
            + usize::from(self.weights.zero.is_some())
            + epilogue::params(&self.epilogue)
    }

    /// How many rows of outputs are computed at a time, and how many vectors of each, both powers of 2. Operands of the
    /// epilogue that have rows of their own are read row by row.
    fn at_a_time(&self) -> [i64; 2] {
        let by_row = |it: (Operand, Element)| !matches!(it.0, Operand::Full | Operand::Column);
        let taps = self.geometry.taps();
        let weighs = matches!(self.window, Window::Weights);
        // Weights take registers, too, and products that no one instruction adds take more.
        let fused = self.x.arithmetic.is_float() && self.isa != Isa::Clif128;
        let rows = match self.geometry.rank() {
            2.. if !epilogue::operands(&self.epilogue).all(by_row) => 1,
            2.. if weighs && !fused && !self.isa.is_avx512() => 2,
            2.. => 4,
            _ => 1,
        };
        let wide = weighs
            && fused
            && taps >= Self::WIDE_TAPS
            && self.geometry.columns().stride <= 2
            && epilogue::is_light(&self.epilogue, self.x.arithmetic.width());
        let fits = |[rows, vectors]: &[i64; 2]| rows * vectors * taps <= Self::MOST_AT_A_TIME;
        let vectors = if wide { 2 } else { 1 };
        [[rows, vectors], [rows, 1], [rows.min(2), 1]].into_iter().find(fits).unwrap_or([1, 1])
    }

    /// The program for one plane. Parameters: `x`, `weights`, `y`, the extents in and out, the zero points, then one pointer
    /// for each operand of the epilogue (full ones have no stride here).
    pub fn program(&self) -> Program {
        let mut b = Builder::of_width("depthwise", self.x.arithmetic.width());
        let [x, weights, y] = b.params();
        let [input, output] =
            [(); 2].map(|()| (0..self.geometry.rank()).map(|_| b.param()).collect::<Vec<_>>());
        let zero = self.x.zero.then(|| self.x.element.load_param(&mut b));
        let weight_zero = self.weights.zero.map(|_| self.weights.element.load_param(&mut b));
        let bound = epilogue::bind_planes(&mut b, &self.epilogue);
        let geometry = &self.geometry;
        let (rows, columns) = geometry.split();
        let (w, ow) = (input[rows.len()], output[rows.len()]);

        let taps: Vec<VReg> = match self.window {
            Window::Weights => {
                let of = self.weights.element;
                let tap = |i: i64| {
                    let tap = of.load_splat(&mut b, Addr::new(weights).offset(of.bytes() * i));
                    let tap = match weight_zero {
                        Some(zero) => b.binary(BinaryOp::IntSub, tap, zero),
                        None => tap,
                    };
                    self.x.arithmetic.converted(&mut b, of, tap)
                };
                (0..geometry.taps()).map(tap).collect()
            }
            Window::Sum | Window::Max => Vec::new(),
        };
        let exact = self.is_exact_as_floats();
        let taps = if exact { taps.iter().map(|it| b.unary(UnaryOp::FromInt, *it)).collect() } else { taps };
        // What the rows of the window are too large by, where zero points are not subtracted from elements.
        let excess = zero.filter(|_| exact).map(|zero| {
            let zero = b.unary(UnaryOp::FromInt, zero);
            let row = |taps: &[VReg]| {
                let sum = taps[1..].iter().fold(taps[0], |sum, it| b.add(sum, *it));
                b.mul(sum, zero)
            };
            taps.chunks(columns.kernel as usize).map(row).collect::<Vec<VReg>>()
        });
        let start = excess.as_ref().map(|rows| {
            let all = rows[1..].iter().fold(rows[0], |sum, it| b.add(sum, *it));
            b.unary(UnaryOp::Neg, all)
        });
        let size = i64::from(self.x.element.bytes().trailing_zeros());
        let (strides, _) = strides(&mut b, &input, size);
        let [most_rows, most_vectors] = self.at_a_time();
        // Wholly inside are the blocks that start in 0..=limit.
        let limit = |b: &mut Builder, vectors: i64| b.int_op(IntOp::Sub, w, Line::reach(columns, vectors));
        let one = limit(&mut b, 1);
        let limits = [one, if most_vectors > 1 { limit(&mut b, most_vectors) } else { one }];
        let axes = rows.iter().zip(&input).zip(strides);
        let row = Row {
            window: self.window,
            columns,
            rows: axes
                .map(|((slide, extent), bytes)| Rows { slide: *slide, extent: *extent, bytes })
                .collect(),
            source: &self.x,
            zero,
            taps: &taps,
            exact,
            excess,
            w,
        };
        let blocks = b.int_add(ow, Size { fixed: -1, per_lane: 1 });
        let blocks = b.div_lanes(blocks);
        let outputs: Vec<(Slide, IReg)> = rows.iter().copied().zip(output.iter().copied()).collect();
        let out_row = b.int_op(IntOp::ShiftLeft, ow, i64::from(self.y.bytes().trailing_zeros()));
        each_band(&mut b, &outputs, most_rows, &mut Vec::new(), &|b, tops, band| {
            let targets: Vec<IReg> = (0..band)
                .scan(y, |at, i| {
                    *at = if i == 0 { y } else { b.int_add(*at, out_row) };
                    Some(*at)
                })
                .collect();
            let left = b.int_move(ow);
            let ix = b.int_const(-columns.padding);
            let block = |b: &mut Builder, vectors: i64| {
                let start = |_| match start {
                    Some(start) => b.unary(UnaryOp::Move, start),
                    None => b.splat_lane(self.least().unwrap_or(0)),
                };
                let accs: Vec<VReg> = (0..band * vectors).map(start).collect();
                let fast = b.int_const(0);
                b.when(IntCompare::Ge, left, Size::lanes(vectors), |b| {
                    b.when(IntCompare::Ge, ix, 0, |b| {
                        b.when(IntCompare::Le, ix, limits[usize::from(vectors > 1)], |b| b.bump(fast, 1));
                    });
                });
                b.when_else(
                    IntCompare::Ne,
                    fast,
                    0,
                    |b| row.accumulate(b, &accs, vectors, x, tops, ix, None),
                    |b| row.accumulate(b, &accs, vectors, x, tops, ix, Some(left)),
                );
                let store = |b: &mut Builder, masks: Option<&[MReg]>| {
                    for (i, acc) in accs.iter().enumerate() {
                        let (target, column) = (targets[i / vectors as usize], i as i64 % vectors);
                        let mask = masks.map(|it| it[column as usize]);
                        let sum = if exact { b.unary(UnaryOp::ToInt, *acc) } else { *acc };
                        let value = epilogue::apply(b, &self.epilogue, &bound, sum, column, mask);
                        self.y.store(b, value, Addr::new(target).offset(self.y.vectors(column)), mask);
                    }
                };
                let masked = |b: &mut Builder| {
                    let mask = |i| {
                        let left = if i == 0 { left } else { b.int_op(IntOp::Sub, left, Size::lanes(i)) };
                        b.first(left)
                    };
                    let masks: Vec<MReg> = (0..vectors).map(mask).collect();
                    store(b, Some(&masks));
                };
                if self.isa.is_avx512() {
                    masked(b);
                } else {
                    // There stores under a mask take long.
                    b.when_else(IntCompare::Ge, left, Size::lanes(vectors), |b| store(b, None), masked);
                }
                let done = b.int_op(IntOp::Min, left, Size::lanes(vectors));
                let bytes = b.int_op(IntOp::ShiftLeft, done, i64::from(self.y.bytes().trailing_zeros()));
                targets.iter().for_each(|it| b.bump(*it, bytes));
                epilogue::next_columns(b, &bound, done);
                b.bump(left, Size::lanes(-vectors));
                b.bump(ix, Size::lanes(columns.stride * vectors));
            };
            in_powers(b, blocks, most_vectors, &block);
            if let [_, .., last] = targets[..] {
                b.int_move_into(y, last);
            }
        });
        b.finish()
    }

    /// Whether sums of products of integers are below 2²⁴, so that `f32` holds each of them: products of integers take
    /// longer.
    fn is_exact_as_floats(&self) -> bool {
        let bytes = self.x.element.bytes() == 1 && self.weights.element.bytes() == 1;
        let taps = self.geometry.taps();
        let weighs = self.window == Window::Weights && self.x.arithmetic == Arithmetic::Int;
        weighs && bytes && taps * 255 * 255 * 2 < 1 << 24
    }

    /// What the largest element starts from: the least there is, by its bits.
    fn least(&self) -> Option<u64> {
        let width = self.x.arithmetic.width();
        (self.window == Window::Max).then(|| match self.x.arithmetic.is_float() {
            true => width.float(f64::NEG_INFINITY),
            false => width.int(self.x.element.least()),
        })
    }

    /// Defines the kernel and a driver over planes as local functions; their names start with `name`.
    pub fn emit(&self, module: &mut dyn Module, name: &str) -> Result<FuncId, DefineError> {
        let program = self.program();
        let kernel = encode::declare(module, &format!("{name}.plane"), program.params.len())?;
        encode::define(module, kernel, &program, self.isa)?;
        flow::define(
            module,
            name,
            self.params(),
            |module, func| module.declare_func_in_func(kernel, func),
            |flow, args, kernel| {
                let (fixed, given) = args.split_at(self.fixed_params());
                let &[x, weights, y, _batch, channels, ref extents @ .., first, last] = fixed else {
                    unreachable!("the function is declared with these parameters and more")
                };
                let (input, output) = extents.split_at(self.geometry.rank());
                let in_plane = flow.product(input);
                let in_plane = flow.scale(in_plane, self.x.element.bytes());
                let out_plane = flow.product(output);
                let out_plane = flow.scale(out_plane, self.y.bytes());
                flow.range(first, last, 1, |flow, plane| {
                    let channel = flow.rem(plane, channels);
                    let x = flow.at(x, plane, in_plane);
                    let y = flow.at(y, plane, out_plane);
                    let weights =
                        flow.at_scaled(weights, channel, self.weights.element.bytes() * self.geometry.taps());
                    let mut values = vec![x, weights, y];
                    values.extend(extents);
                    let mut operands = given.iter();
                    let mut next = || *operands.next().expect("declared for each operand");
                    if self.x.zero {
                        values.push(next());
                    }
                    if let Some(each) = self.weights.zero {
                        let p = next();
                        let step = self.weights.zero_step();
                        values.push(if each == Zero::Each { flow.at_scaled(p, channel, step) } else { p });
                    }
                    for (operand, element) in epilogue::operands(&self.epilogue) {
                        let p = next();
                        values.push(match operand {
                            Operand::Row => flow.at_scaled(p, channel, element.bytes()),
                            Operand::Scalar | Operand::Column => p,
                            Operand::Full => {
                                let stride = next();
                                flow.at(p, plane, stride)
                            }
                        });
                    }
                    flow.call(kernel, &values);
                });
            },
        )
    }
}

/// Runs `body` for `count` things, so many at a time: `most`, a power of 2, as long as there are so many, then smaller ones.
fn in_powers(b: &mut Builder, count: IReg, most: i64, body: &dyn Fn(&mut Builder, i64)) {
    let times = if most == 1 { count } else { b.int_op(IntOp::ShiftRight, count, i64::from(most.ilog2())) };
    b.repeat(times, |b| body(b, most));
    let mut rest = most;
    while rest > 1 {
        rest /= 2;
        let bit = b.int_op(IntOp::And, count, rest);
        b.when(IntCompare::Ne, bit, 0, |b| body(b, rest));
    }
}

/// Runs `body` for every row of outputs, with the positions that its windows start from on each axis of rows, and with how
/// many rows of the last axis it is to compute.
fn each_band(
    b: &mut Builder,
    axes: &[(Slide, IReg)],
    most: i64,
    tops: &mut Vec<IReg>,
    body: &dyn Fn(&mut Builder, &[IReg], i64),
) {
    let Some((&(slide, count), inner)) = axes.split_first() else { return body(b, tops, 1) };
    let top = b.int_const(-slide.padding);
    tops.push(top);
    if inner.is_empty() {
        in_powers(b, count, most, &|b, rows| {
            body(b, tops, rows);
            b.bump(top, rows * slide.stride);
        });
    } else {
        b.repeat(count, |b| {
            each_band(b, inner, most, tops, body);
            b.bump(top, slide.stride);
        });
    }
    tops.pop();
}

/// An axis of rows.
struct Rows {
    slide: Slide,
    extent: IReg,
    /// From one element to the next.
    bytes: IReg,
}

/// What one block of outputs reads.
struct Row<'a> {
    window: Window,
    columns: Slide,
    rows: Vec<Rows>,
    source: &'a Source,
    /// The zero point in every lane.
    zero: Option<VReg>,
    taps: &'a [VReg],
    /// Integers are multiplied as floats.
    exact: bool,
    /// What each row of the window is too large by.
    excess: Option<Vec<VReg>>,
    w: IReg,
}

impl Row<'_> {
    /// Takes in the windows of the block, of so many vectors, whose first output reads from these positions on the axes of
    /// rows, from column `ix` on, and of those in the rows after it. With `left`, the number of outputs still to do, loads
    /// are masked to what lies in the image.
    fn accumulate(
        &self,
        b: &mut Builder,
        accs: &[VReg],
        vectors: i64,
        x: IReg,
        tops: &[IReg],
        ix: IReg,
        left: Option<IReg>,
    ) {
        let Source { element, arithmetic, .. } = *self.source;
        let line = Line::new(b, self.columns, element, vectors, ix, left.map(|left| (self.w, left)));
        let other = match self.window {
            Window::Max if arithmetic.is_float() => Some(b.constant(f32::NEG_INFINITY)),
            Window::Max => Some(b.constant_int(element.least())),
            Window::Weights | Window::Sum => self.zero,
        };
        let columns = b.int_op(IntOp::ShiftLeft, ix, i64::from(element.bytes().trailing_zeros()));
        let from = b.int_add(x, columns);
        let block = Block { line: &line, accs, vectors: vectors as usize, other };
        self.take_in(b, &block, &self.rows, tops, from, None, 0);
    }

    /// Takes in the rows of the windows along some axes, which start at `tops`. `from` is where the first one is read
    /// without these axes, `before` whether the position on the axes before them is in the image, and `number` how many
    /// rows the axes before them have passed.
    fn take_in(
        &self,
        b: &mut Builder,
        block: &Block<'_>,
        axes: &[Rows],
        tops: &[IReg],
        from: IReg,
        before: Option<IReg>,
        number: usize,
    ) {
        let (Some((axis, inner)), Some((top, tops))) = (axes.split_first(), tops.split_first()) else {
            return self.take_in_row(b, block, from, &[(0, number)]);
        };
        let start = b.int_mul(*top, axis.bytes);
        let from = b.int_add(start, from);
        let current = b.int_move(*top);
        let Slide { kernel, stride, dilation, .. } = axis.slide;
        // Windows of the last axis are beside each other, those of other axes are one.
        let count = if inner.is_empty() { (block.accs.len() / block.vectors) as i64 } else { 1 };
        let reach = (count - 1) * stride + (kernel - 1) * dilation;
        let mut at = 0;
        for row in 0..=reach {
            // Which row of which window this is.
            let met: Vec<(usize, usize)> = (0..count)
                .filter_map(|i| {
                    let k = row - i * stride;
                    let is_row = k >= 0 && k % dilation == 0 && k / dilation < kernel;
                    is_row.then(|| (i as usize, number * kernel as usize + (k / dilation) as usize))
                })
                .collect();
            if met.is_empty() {
                continue;
            }
            if row > at {
                let step = if row == at + 1 { axis.bytes } else { b.int_mul(axis.bytes, row - at) };
                b.bump(from, step);
                b.bump(current, row - at);
                at = row;
            }
            let flag = inside(b, current, axis.extent, before);
            if let [(_, number)] = met[..]
                && !inner.is_empty()
            {
                self.take_in(b, block, inner, tops, from, Some(flag), number);
                continue;
            }
            b.when_else(
                IntCompare::Ne,
                flag,
                0,
                |b| self.take_in_row(b, block, from, &met),
                |b| met.iter().for_each(|it| self.skip(b, block.of_row(it.0), it.1)),
            );
        }
    }

    /// A row of a window that lies outside of the image.
    fn skip(&self, b: &mut Builder, accs: &[VReg], number: usize) {
        if let Some(excess) = &self.excess {
            accs.iter().for_each(|acc| b.binary_into(BinaryOp::Add, *acc, *acc, excess[number]));
        } else if matches!(self.window, Window::Weights) && self.source.arithmetic.is_float() {
            // Zeros, like those beside the image: times an infinite weight they are no numbers.
            let (zero, row) = (b.constant(0.0), self.columns.kernel as usize);
            for tap in &self.taps[number * row..][..row] {
                accs.iter().for_each(|acc| self.source.arithmetic.multiply(b, *acc, zero, *tap));
            }
        }
    }

    /// Takes in a row of the image, which is a row of some windows each.
    fn take_in_row(&self, b: &mut Builder, block: &Block<'_>, row: IReg, met: &[(usize, usize)]) {
        let kw = self.columns.kernel;
        // As many columns at a time as are read together.
        let step = if self.columns.stride == 2 && self.columns.dilation == 1 { 2 } else { 1 };
        for from in (0..kw).step_by(step) {
            let some = from..kw.min(from + step as i64);
            for (kx, loaded) in some.clone().zip(block.line.load(b, row, some, block.other)) {
                let value = |v| match self.window {
                    Window::Weights if self.exact => b.unary(UnaryOp::FromInt, v),
                    Window::Weights => self.source.centred(b, v, self.zero),
                    Window::Sum | Window::Max => v,
                };
                let values: Vec<VReg> = loaded.into_iter().map(value).collect();
                for (i, number) in met {
                    let tap = number * kw as usize + kx as usize;
                    for (acc, v) in block.of_row(*i).iter().zip(&values) {
                        self.take_in_one(b, *acc, *v, tap);
                    }
                }
            }
        }
    }

    /// Takes in an element of each of some windows, under element `tap` of the kernel.
    fn take_in_one(&self, b: &mut Builder, acc: VReg, v: VReg, tap: usize) {
        let Source { arithmetic, .. } = *self.source;
        match self.window {
            Window::Weights if self.exact => b.fma_into(acc, v, self.taps[tap]),
            Window::Weights => arithmetic.multiply(b, acc, v, self.taps[tap]),
            Window::Sum => b.binary_into(arithmetic.sum(), acc, acc, v),
            Window::Max if !arithmetic.is_float() => b.binary_into(BinaryOp::IntMax, acc, acc, v),
            Window::Max => {
                let larger = b.max(acc, v);
                b.assign(acc, larger);
            }
        }
    }
}

/// A block of outputs.
struct Block<'a> {
    line: &'a Line,
    /// A sum for each vector of each row of outputs.
    accs: &'a [VReg],
    /// Vectors of a row.
    vectors: usize,
    /// What stands outside of the image.
    other: Option<VReg>,
}

impl Block<'_> {
    /// The sums of a row of outputs.
    fn of_row(&self, row: usize) -> &[VReg] {
        &self.accs[row * self.vectors..][..self.vectors]
    }
}
