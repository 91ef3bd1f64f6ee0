//! Windows that slide over single planes: depthwise convolution and pooling.

use cranelift_module::{FuncId, Module};

use super::line::Line;
use super::unfold::inside;
use super::{Geometry, Source};
use crate::kernels::element::Element;
use crate::kernels::epilogue::{self, Operand, Step};
use crate::kernels::flow;
use crate::kernels::gemm::{Arithmetic, Factor, Layout, Zero};
use crate::vector::encode::{self, DefineError};
use crate::vector::{Addr, BinaryOp, Builder, IReg, IntCompare, IntOp, Isa, Program, Size, UnaryOp, VReg};

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
/// The function takes, all 64-bit: `x`, `weights` (`[channels][kh][kw]`; ignored unless the window is
/// [`Window::Weights`]), `y` (pointers), `batch`, `channels`, `h`, `w`, `oh`, `ow`, `first`, `last` (the range of planes
/// `image · channels + channel` to compute), the zero point of `x` and the first one of the weights where they have some,
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

    /// The number of parameters of the function.
    pub fn params(&self) -> usize {
        11 + usize::from(self.x.zero)
            + usize::from(self.weights.zero.is_some())
            + epilogue::params(&self.epilogue)
    }

    /// The program for one plane. Parameters: `x`, `weights`, `y`, `h`, `w`, `oh`, `ow`, the zero points, then one pointer
    /// for each operand of the epilogue (full ones have no stride here).
    pub fn program(&self) -> Program {
        let mut b = Builder::of_width("depthwise", self.x.arithmetic.width());
        let [x, weights, y, h, w, oh, ow] = b.params();
        let zero = self.x.zero.then(|| {
            let p = b.param();
            self.x.element.load_splat(&mut b, p)
        });
        let weight_zero = self.weights.zero.map(|_| {
            let p = b.param();
            self.weights.element.load_splat(&mut b, p)
        });
        let bound = epilogue::bind_planes(&mut b, &self.epilogue);
        let geometry = &self.geometry;
        let [kh, kw] = geometry.kernel;
        let [sy, sx] = geometry.stride;

        let taps: Vec<VReg> = match self.window {
            Window::Weights => {
                let of = self.weights.element;
                let tap = |i: i64| {
                    let tap = of.load_splat(&mut b, Addr::new(weights).offset(of.bytes() * i));
                    match weight_zero {
                        Some(zero) => b.binary(BinaryOp::IntSub, tap, zero),
                        None => tap,
                    }
                };
                (0..kh * kw).map(tap).collect()
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
            taps.chunks(kw as usize).map(row).collect::<Vec<VReg>>()
        });
        let start = excess.as_ref().map(|rows| {
            let all = rows[1..].iter().fold(rows[0], |sum, it| b.add(sum, *it));
            b.unary(UnaryOp::Neg, all)
        });
        let size = i64::from(self.x.element.bytes().trailing_zeros());
        let row_bytes = b.int_op(IntOp::ShiftLeft, w, size);
        let y_top = b.int_const(-geometry.padding[0]);
        // Wholly inside are the blocks that start in 0..=limit.
        let limit = b.int_op(IntOp::Sub, w, Line::reach(geometry));
        let row = Row {
            window: self.window,
            geometry,
            source: &self.x,
            zero,
            taps: &taps,
            exact,
            excess,
            w,
            h,
            row_bytes,
        };
        let blocks = b.int_add(ow, Size { fixed: -1, per_lane: 1 });
        let blocks = b.div_lanes(blocks);
        b.repeat(oh, |b| {
            let left = b.int_move(ow);
            let ix = b.int_const(-geometry.padding[1]);
            b.repeat(blocks, |b| {
                let mask = b.first(left);
                let acc = match start {
                    Some(start) => b.unary(UnaryOp::Move, start),
                    None => b.splat_lane(self.least().unwrap_or(0)),
                };
                let fast = b.int_const(0);
                b.when(IntCompare::Ge, left, Size::lanes(1), |b| {
                    b.when(IntCompare::Ge, ix, 0, |b| {
                        b.when(IntCompare::Le, ix, limit, |b| b.bump(fast, 1));
                    });
                });
                b.when_else(
                    IntCompare::Ne,
                    fast,
                    0,
                    |b| row.accumulate(b, acc, x, y_top, ix, None),
                    |b| row.accumulate(b, acc, x, y_top, ix, Some(left)),
                );
                let sum = if exact { b.unary(UnaryOp::ToInt, acc) } else { acc };
                let value = epilogue::apply(b, &self.epilogue, &bound, sum, 0, Some(mask));
                self.y.store(b, value, y, Some(mask));
                let done = b.int_op(IntOp::Min, left, Size::lanes(1));
                let bytes = b.int_op(IntOp::ShiftLeft, done, i64::from(self.y.bytes().trailing_zeros()));
                b.bump(y, bytes);
                epilogue::next_columns(b, &bound, done);
                b.bump(left, Size::lanes(-1));
                b.bump(ix, Size::lanes(sx));
            });
            b.bump(y_top, sy);
        });
        b.finish()
    }

    /// Whether sums of products of integers are below 2²⁴, so that `f32` holds each of them: products of integers take
    /// longer.
    fn is_exact_as_floats(&self) -> bool {
        let bytes = self.x.element.bytes() == 1 && self.weights.element.bytes() == 1;
        let taps: i64 = self.geometry.kernel.iter().product();
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
                let &[x, weights, y, _batch, channels, h, w, oh, ow, first, last, ..] = args else {
                    unreachable!("the function is declared with eleven parameters and more")
                };
                let in_plane = flow.mul(h, w);
                let in_plane = flow.scale(in_plane, self.x.element.bytes());
                let out_plane = flow.mul(oh, ow);
                let out_plane = flow.scale(out_plane, self.y.bytes());
                flow.range(first, last, 1, |flow, plane| {
                    let image = flow.div(plane, channels);
                    let before = flow.mul(image, channels);
                    let channel = flow.sub(plane, before);
                    let x = flow.at(x, plane, in_plane);
                    let y = flow.at(y, plane, out_plane);
                    let weights = flow.at_scaled(
                        weights,
                        channel,
                        self.weights.element.bytes() * self.geometry.kernel[0] * self.geometry.kernel[1],
                    );
                    let mut values = vec![x, weights, y, h, w, oh, ow];
                    let mut operands = args[11..].iter();
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

/// What one block of outputs reads.
struct Row<'a> {
    window: Window,
    geometry: &'a Geometry,
    source: &'a Source,
    /// The zero point in every lane.
    zero: Option<VReg>,
    taps: &'a [VReg],
    /// Integers are multiplied as floats.
    exact: bool,
    /// What each row of the window is too large by.
    excess: Option<Vec<VReg>>,
    w: IReg,
    h: IReg,
    row_bytes: IReg,
}

impl Row<'_> {
    /// Takes in the window of the block whose first output reads from row `y`, column `ix` on. With `left`, the number
    /// of outputs still to do, loads are masked to what lies in the image.
    fn accumulate(&self, b: &mut Builder, acc: VReg, x: IReg, y: IReg, ix: IReg, left: Option<IReg>) {
        let [kh, kw] = self.geometry.kernel;
        let [down, _] = self.geometry.dilation;
        let Source { element, arithmetic, .. } = *self.source;
        let line = Line::new(b, self.geometry, element, 1, ix, left.map(|left| (self.w, left)));
        let floats = arithmetic.is_float();
        let other = match self.window {
            Window::Max if floats => Some(b.constant(f32::NEG_INFINITY)),
            Window::Max => Some(b.constant_int(element.least())),
            Window::Weights | Window::Sum => self.zero,
        };
        let start = b.int_mul(y, self.row_bytes);
        let start = b.int_add(start, x);
        let columns = b.int_op(IntOp::ShiftLeft, ix, i64::from(element.bytes().trailing_zeros()));
        let row = b.int_add(start, columns);
        let step = b.int_mul(self.row_bytes, down);
        let current = b.int_move(y);
        for ky in 0..kh {
            let inside = inside(b, current, self.h);
            let skipped = |b: &mut Builder| {
                if let Some(excess) = &self.excess {
                    b.binary_into(BinaryOp::Add, acc, acc, excess[ky as usize]);
                }
            };
            let taken = |b: &mut Builder| {
                for (kx, v) in line.load(b, row, 0..kw, other).into_iter().flatten().enumerate() {
                    match self.window {
                        Window::Weights if self.exact => {
                            let v = b.unary(UnaryOp::FromInt, v);
                            b.fma_into(acc, v, self.taps[ky as usize * kw as usize + kx]);
                        }
                        Window::Weights => {
                            let v = self.source.centred(b, v, self.zero);
                            arithmetic.multiply(b, acc, v, self.taps[ky as usize * kw as usize + kx]);
                        }
                        Window::Sum => b.binary_into(arithmetic.sum(), acc, acc, v),
                        Window::Max if !floats => b.binary_into(BinaryOp::IntMax, acc, acc, v),
                        Window::Max => {
                            let larger = b.max(acc, v);
                            b.assign(acc, larger);
                        }
                    }
                }
            };
            b.when_else(IntCompare::Ne, inside, 0, taken, skipped);
            if ky + 1 < kh {
                b.bump(row, step);
                b.bump(current, down);
            }
        }
    }
}
