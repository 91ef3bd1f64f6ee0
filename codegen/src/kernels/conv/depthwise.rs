//! Depthwise convolution of bytes.
//!
//! Bytes lie side by side in a row, and so do the weights that they meet: a lane takes in two or four neighbours of a row
//! in one instruction, where a lane for each element would widen every one of them for every weight. So that no output
//! needs a mask, planes are copied into a workspace band by band, with what stands outside of the image around them.
//! Where outputs are as far apart as elements, a band is one long row: what the windows see that reach over the end of
//! one image row into the next one is thrown away when the outputs are copied.

use cranelift_codegen::ir::{FuncRef, Value};
use cranelift_module::{FuncId, Module};
use orogen_ir::shape::{Dim, Overflow, ShapeCx};

use super::{Geometry, Slide, inside};
use crate::kernels::element::Element;
use crate::kernels::epilogue::{self, Operand, Step};
use crate::kernels::flow::{self, Flow};
use crate::kernels::gemm::{Factor, Zero};
use crate::vector::encode::{self, DefineError};
use crate::vector::{
    Addr, BinaryOp, Builder, IReg, IntCompare, IntOp, Isa, MReg, Program, ShiftOp, Size, Storage, UnaryOp,
    VReg, Width,
};

/// Elements of a band: with their outputs they stay in the first-level cache.
const BAND: i64 = 8 * 1024;
/// The most rows of outputs in a band.
const MOST_ROWS: i64 = 128;
/// Bytes after each part of the workspace that whole vectors may reach.
const SLACK: i64 = 1024;

/// A depthwise convolution of bytes to be generated; the results are bytes too.
///
/// The function takes, all 64-bit: `x`, `weights` (`[channels][kh][kw]`), `y` (pointers), `batch`, `channels`, `h`, `w`,
/// `oh`, `ow`, `workspace` (a pointer to [`Depthwise::workspace`] bytes), `first`, `last` (the range of planes
/// `image · channels + channel` to compute), the zero point of `x` and the first one of the weights where they have some,
/// then the operands of the epilogue: scalars, and by row for an element of each channel.
#[derive(Debug, Clone)]
pub struct Depthwise {
    /// The instruction set of the kernels.
    pub isa: Isa,
    /// How the kernel moves from row to row, then along a row.
    pub slides: [Slide; 2],
    /// Elements of the images, less their zero point if they have one.
    pub x: Factor,
    /// The weights, in rows.
    pub weights: Factor,
    /// Elements of the result.
    pub y: Element,
    /// What happens to the result.
    pub epilogue: Vec<Step>,
}

impl Depthwise {
    /// The slides over planes of a convolution over one axis or two.
    pub fn planes(geometry: &Geometry) -> Option<[Slide; 2]> {
        match geometry.0[..] {
            [along] => Some([Slide::new(1), along]),
            [down, along] => Some([down, along]),
            _ => None,
        }
    }

    /// Whether the convolution can be computed like this (law C5).
    pub fn fits(&self) -> bool {
        let bytes = [self.x.element, self.weights.element, self.y];
        let along = self.slides[1];
        let by_channel = |operand| matches!(operand, Operand::Scalar | Operand::Row);
        bytes.into_iter().all(Element::is_byte)
            && along.dilation == 1
            && self.terms() % along.stride == 0
            && epilogue::operands(&self.epilogue).all(|(operand, _)| by_channel(operand))
    }

    /// Neighbours of a row that a lane takes in at a time: four unsigned bytes by signed ones, or two integers of 16 bits.
    fn terms(&self) -> i64 {
        let signed = self.weights.element == Element::Stored(Storage::I8) && self.weights.zero.is_none();
        if signed && self.isa.has_byte_dot() { 4 } else { 2 }
    }

    /// How elements lie in the workspace.
    fn copied(&self) -> Storage {
        if self.terms() == 4 { Storage::U8 } else { Storage::I16 }
    }

    /// The lanes in which rows of these elements are copied: as wide as the elements where there are masks for them.
    fn copied_in(&self, storage: Storage) -> Width {
        match storage {
            _ if !self.isa.is_avx512() => Width::W32,
            Storage::U8 => Width::W8,
            _ => Width::W16,
        }
    }

    /// Vectors that neighbouring outputs go to in turn: what a lane reads starts at one element in so many.
    fn phases(&self) -> i64 {
        self.terms() / self.slides[1].stride
    }

    /// Outputs of one step.
    fn block(&self) -> Size {
        Size::lanes(self.phases())
    }

    /// Whether a band is one row.
    fn is_flat(&self) -> bool {
        self.slides.iter().all(|it| it.stride == 1)
    }

    fn x_is_signed(&self) -> bool {
        self.x.element == Element::Stored(Storage::I8)
    }

    /// The number of parameters of the function.
    pub fn params(&self) -> usize {
        12 + usize::from(self.x.zero.is_some())
            + usize::from(self.weights.zero.is_some())
            + epilogue::params(&self.epilogue)
    }

    /// The size of the workspace in bytes, for rows of so many outputs.
    ///
    /// # Errors
    /// [`Overflow`] if it is too large to be expressed.
    pub fn workspace(&self, shapes: &mut ShapeCx, ow: Dim) -> Result<Dim, Overflow> {
        let [down, along] = self.slides;
        let size = i64::from(self.copied().bytes());
        // The elements of a row, which is at least one band where it is longer than one.
        let row = shapes.scale(ow, along.stride)?;
        let row = shapes.add_int(row, along.kernel)?;
        let read = shapes.scale(row, size * (down.stride + down.kernel * down.dilation))?;
        let all = shapes.add(read, row)?;
        let lanes = self.block().at(self.isa.lanes());
        let fixed = size * down.stride * BAND + BAND + MOST_ROWS * lanes + 2 * SLACK;
        shapes.add_int(all, fixed)
    }

    /// The program that copies rows of an image into the workspace, with what stands around them.
    ///
    /// Parameters: `x` (the plane), `to`, `rows`, `iy` (the first row, which may lie outside), `h`, `w`, `pitch` (elements
    /// of a row of the workspace), and the zero point if there is one.
    fn pad(&self) -> Program {
        let width = self.copied_in(self.copied());
        let mut b = Builder::of_width("depthwise.pad", width);
        // Bytes as lanes are those of either sign.
        let element = if width == Width::W8 { Element::lane(width) } else { self.x.element };
        let [x, to, rows, iy, h, w, pitch] = b.params();
        let quads = self.terms() == 4;
        let zero = self.x.zero.map(|_| element.load_param(&mut b));
        let flip = (quads && self.x_is_signed()).then(|| b.constant_int(0x80));
        let unsigned = |b: &mut Builder, v: VReg| match flip {
            Some(flip) => b.binary(BinaryOp::Xor, v, flip),
            None => v,
        };
        // What is subtracted later stands around the image; what was subtracted leaves 0.
        let around = match zero.filter(|_| quads) {
            Some(zero) => unsigned(&mut b, zero),
            None if quads => {
                let none = b.constant_int(0);
                unsigned(&mut b, none)
            }
            None => b.constant_int(0),
        };
        let to_storage = if width == Width::W32 { self.copied() } else { width.storage() };
        let size = i64::from(to_storage.bytes());
        let vector = to_storage.vectors(1);
        let fill = |b: &mut Builder, at: IReg, vectors: IReg| {
            let at = b.int_move(at);
            b.repeat(vectors, |b| {
                b.store_to(to_storage, around, at, None);
                b.bump(at, vector);
            });
        };
        let vectors_of = |b: &mut Builder, count: IReg| {
            let count = b.int_op(IntOp::Max, count, 0);
            let count = b.int_add(count, Size { fixed: -1, per_lane: 1 });
            b.div_lanes(count)
        };
        let left = b.int_op(IntOp::Min, pitch, self.slides[1].padding);
        let room = b.int_op(IntOp::Sub, pitch, left);
        let count = b.int_op(IntOp::Min, w, room);
        let right = b.int_op(IntOp::Sub, room, count);
        let (before, after, whole) =
            (vectors_of(&mut b, left), vectors_of(&mut b, right), vectors_of(&mut b, pitch));
        let span = Span::new(&mut b, count);
        let left_bytes = b.int_mul(left, size);
        let pitch_bytes = b.int_mul(pitch, size);
        let done = b.int_add(left, count);
        let done_bytes = b.int_mul(done, size);
        let start = b.int_mul(iy, w);
        let row = b.int_add(x, start);
        let y = b.int_move(iy);
        b.repeat(rows, |b| {
            let inside = inside(b, y, h, None);
            b.when_else(
                IntCompare::Ne,
                inside,
                0,
                |b| {
                    fill(b, to, before);
                    let into = b.int_add(to, left_bytes);
                    span.copy(b, (row, 1), (into, size), |b, from, to, mask| {
                        let v = element.load(b, from, mask);
                        let v = match (quads, zero) {
                            (false, Some(zero)) => b.binary(BinaryOp::IntSub, v, zero),
                            (false, None) => v,
                            (true, _) => unsigned(b, v),
                        };
                        b.store_to(to_storage, v, to, mask);
                    });
                    let end = b.int_add(to, done_bytes);
                    fill(b, end, after);
                },
                |b| fill(b, to, whole),
            );
            b.bump(to, pitch_bytes);
            b.bump(row, w);
            b.bump(y, 1);
        });
        b.finish()
    }

    /// The weights of a channel as lanes meet them, by rows of the kernel.
    fn taps(&self, b: &mut Builder, weights: IReg, zero: Option<VReg>) -> Vec<Vec<VReg>> {
        let [kh, kw] = self.slides.map(|it| it.kernel);
        let (of, terms) = (self.weights.element, self.terms());
        let bits = 32 / terms;
        let low = b.constant_int((1i64 << bits) - 1);
        let join = |b: &mut Builder, ky: i64, first: i64| {
            let mut all: Option<VReg> = None;
            for i in 0..terms.min(kw - first) {
                let mut tap = of.load_splat(b, Addr::new(weights).offset(ky * kw + first + i));
                if let Some(zero) = zero {
                    tap = b.binary(BinaryOp::IntSub, tap, zero);
                }
                if i + 1 < terms {
                    tap = b.binary(BinaryOp::And, tap, low);
                }
                if i > 0 {
                    tap = b.shift(ShiftOp::Left, tap, (bits * i) as u8);
                }
                all = Some(match all {
                    Some(all) => b.binary(BinaryOp::Or, all, tap),
                    None => tap,
                });
            }
            all.expect("a kernel has at least one column")
        };
        (0..kh).map(|ky| (0..kw).step_by(terms as usize).map(|kx| join(b, ky, kx)).collect()).collect()
    }

    /// The program that computes outputs in whole vectors.
    ///
    /// Parameters: `from`, `weights` (of the channel), `to`, `rows`, `blocks` (of each row), `pitch` (elements of a row of
    /// the workspace), `to_pitch` (bytes of a row of outputs), the zero points, then a pointer for each operand of the
    /// epilogue.
    fn program(&self) -> Program {
        let mut b = Builder::new("depthwise");
        let [from, weights, to, rows, blocks, pitch, to_pitch] = b.params();
        let zero = self.x.zero.map(|_| self.x.element.load_param(&mut b));
        let weight_zero = self.weights.zero.map(|_| self.weights.element.load_param(&mut b));
        let bound = epilogue::bind_planes(&mut b, &self.epilogue);
        let taps = self.taps(&mut b, weights, weight_zero);
        let terms = self.terms();
        let quads = terms == 4;
        let start = self.start(&mut b, zero.filter(|_| quads), &taps);
        let size = i64::from(self.copied().bytes());
        let [down, along] = self.slides;
        let row_bytes = b.int_mul(pitch, size);
        let apart = b.int_mul(row_bytes, down.dilation);
        let from_step = b.int_mul(row_bytes, down.stride);
        let phases = self.phases();
        let low = b.constant_int(0xFF);
        b.repeat(rows, |b| {
            let (at, out) = (b.int_move(from), b.int_move(to));
            b.repeat(blocks, |b| {
                let sums: Vec<VReg> = (0..phases).map(|_| b.unary(UnaryOp::Move, start)).collect();
                let row = b.int_move(at);
                for (ky, row_of) in taps.iter().enumerate() {
                    for (phase, sum) in (0..).zip(&sums) {
                        for (group, tap) in (0..).zip(row_of) {
                            let v = b.load(
                                Addr::new(row).offset((phase * along.stride + group * terms) * size),
                                None,
                            );
                            if quads {
                                b.byte_dot_into(*sum, v, *tap);
                            } else {
                                b.pair_dot_into(*sum, v, *tap);
                            }
                        }
                    }
                    if ky + 1 < taps.len() {
                        b.bump(row, apart);
                    }
                }
                let mut bytes: Option<VReg> = None;
                for (phase, sum) in (0..).zip(&sums) {
                    let mut value = epilogue::apply(b, &self.epilogue, &bound, *sum, 0, None);
                    if phase + 1 < phases {
                        value = b.binary(BinaryOp::And, value, low);
                    }
                    if phase > 0 {
                        value = b.shift(ShiftOp::Left, value, 8 * phase as u8);
                    }
                    bytes = Some(match bytes {
                        Some(bytes) => b.binary(BinaryOp::Or, bytes, value),
                        None => value,
                    });
                }
                let bytes = bytes.expect("there is a phase");
                let storage = match phases {
                    1 => Storage::U8,
                    2 => Storage::U16,
                    _ => Storage::Bits32,
                };
                b.store_to(storage, bytes, out, None);
                b.bump(at, Size::vectors(1));
                b.bump(out, self.block());
            });
            b.bump(from, from_step);
            b.bump(to, to_pitch);
        });
        b.finish()
    }

    /// What sums start from: what unsigned bytes are too large by.
    fn start(&self, b: &mut Builder, zero: Option<VReg>, taps: &[Vec<VReg>]) -> VReg {
        let none = b.constant_int(0);
        let flipped = self.terms() == 4 && self.x_is_signed();
        if zero.is_none() && !flipped {
            return none;
        }
        let mut excess = zero.unwrap_or(none);
        if flipped {
            let by = b.constant_int(0x80);
            excess = b.binary(BinaryOp::IntAdd, excess, by);
        }
        let ones = b.constant_bits(0x0101_0101);
        let sum = b.unary(UnaryOp::Move, none);
        taps.iter().flatten().for_each(|tap| b.byte_dot_into(sum, ones, *tap));
        let product = b.binary(BinaryOp::IntMul, sum, excess);
        b.binary(BinaryOp::IntSub, none, product)
    }

    /// The program that copies outputs from the workspace. Parameters: `from`, `y`, `rows`, `count` (of each row),
    /// `pitch` (bytes of a row of the workspace).
    fn crop(&self) -> Program {
        let width = self.copied_in(Storage::U8);
        let mut b = Builder::of_width("depthwise.crop", width);
        let storage = if width == Width::W32 { Storage::U8 } else { width.storage() };
        let [from, y, rows, count, pitch] = b.params();
        let span = Span::new(&mut b, count);
        b.repeat(rows, |b| {
            span.copy(b, (from, 1), (y, 1), |b, from, to, mask| {
                let v = b.load_from(storage, from, mask);
                b.store_to(storage, v, to, mask);
            });
            b.bump(from, pitch);
            b.bump(y, count);
        });
        b.finish()
    }

    /// Defines the programs and a driver over planes as local functions; their names start with `name`.
    pub fn emit(&self, module: &mut dyn Module, name: &str) -> Result<FuncId, DefineError> {
        let mut define = |part: &str, program: &Program| -> Result<FuncId, DefineError> {
            let id = encode::declare(module, &format!("{name}.{part}"), program.params.len())?;
            encode::define(module, id, program, self.isa)?;
            Ok(id)
        };
        let parts =
            [define("pad", &self.pad())?, define("plane", &self.program())?, define("crop", &self.crop())?];
        flow::define(
            module,
            name,
            self.params(),
            |module, func| parts.map(|it| module.declare_func_in_func(it, func)),
            |flow, args, parts| self.body(flow, args, parts),
        )
    }

    fn body(&self, flow: &mut Flow<'_, '_>, args: &[Value], [pad, plane_of, crop]: [FuncRef; 3]) {
        let &[x, weights, y, _batch, channels, h, w, oh, ow, workspace, first, last, ..] = args else {
            unreachable!("the function is declared with twelve parameters and more")
        };
        let mut rest = args[12..].iter().copied();
        let x_zero = self.x.zero.and_then(|_| rest.next());
        let w_zero = self.weights.zero.and_then(|_| rest.next());
        let operands: Vec<Value> = rest.collect();
        let [down, along] = self.slides;
        let size = i64::from(self.copied().bytes());
        let block = self.block().at(self.isa.lanes());
        let pitch = flow.offset(ow, -1);
        let pitch = flow.scale(pitch, along.stride);
        let pitch = flow.offset(pitch, along.kernel);
        let out_pitch = if self.is_flat() { pitch } else { flow.round_up(ow, block) };
        let (zero, one, most) = (flow.int(0), flow.int(1), flow.int(MOST_ROWS));
        let band = flow.int(BAND);
        let band = flow.div(band, pitch);
        let band = flow.min(band, most);
        let band = flow.max(band, one);
        // Rows of the image under the windows of so many rows of outputs.
        let rows_under = |flow: &mut Flow<'_, '_>, rows: Value| {
            let rows = flow.offset(rows, -1);
            let rows = flow.scale(rows, down.stride);
            flow.offset(rows, (down.kernel - 1) * down.dilation + 1)
        };
        let under = rows_under(flow, band);
        let image = flow.mul(under, pitch);
        let image = flow.scale(image, size);
        let image = flow.offset(image, SLACK);
        let image = flow.round_up(image, 64);
        let out = flow.add(workspace, image);
        let in_plane = flow.mul(h, w);
        let out_plane = flow.mul(oh, ow);
        flow.range(first, last, 1, |flow, plane| {
            let channel = flow.rem(plane, channels);
            let x = flow.at(x, plane, in_plane);
            let y = flow.at(y, plane, out_plane);
            let weights = flow.at_scaled(weights, channel, down.kernel * along.kernel);
            let mut values = Vec::new();
            values.extend(x_zero);
            values.extend(w_zero.map(|p| match self.weights.zero {
                Some(Zero::Each) => flow.at_scaled(p, channel, self.weights.zero_step()),
                _ => p,
            }));
            for ((operand, element), p) in epilogue::operands(&self.epilogue).zip(&operands) {
                values.push(match operand {
                    Operand::Row => flow.at_scaled(*p, channel, element.bytes()),
                    _ => *p,
                });
            }
            flow.range_by(zero, oh, band, |flow, oy| {
                let left = flow.sub(oh, oy);
                let rows = flow.min(left, band);
                let under = rows_under(flow, rows);
                let iy = flow.scale(oy, down.stride);
                let iy = flow.offset(iy, -down.padding);
                let mut padded = vec![x, workspace, under, iy, h, w, pitch];
                padded.extend(x_zero);
                flow.call(pad, &padded);
                let (lines, length) = if self.is_flat() { (one, flow.mul(rows, pitch)) } else { (rows, ow) };
                let length = flow.round_up(length, block);
                let blocks = flow.scaled_div(length, 1, block);
                let mut computed = vec![workspace, weights, out, lines, blocks, pitch, out_pitch];
                computed.extend(&values);
                flow.call(plane_of, &computed);
                let y = flow.at(y, oy, ow);
                flow.call(crop, &[out, y, rows, ow, out_pitch]);
            });
        });
    }
}

/// Elements of a row, in vectors.
struct Span {
    whole: IReg,
    /// Elements after the whole vectors, and what these are less than a vector.
    rest: IReg,
    back: IReg,
}

impl Span {
    fn new(b: &mut Builder, count: IReg) -> Span {
        let count = b.int_op(IntOp::Max, count, 0);
        let whole = b.div_lanes(count);
        let rest = b.int_op(IntOp::And, count, Size { fixed: -1, per_lane: 1 });
        let back = b.int_op(IntOp::Sub, rest, Size::lanes(1));
        Span { whole, rest, back }
    }

    /// Copies elements of so many bytes: in whole vectors, the last of which overlaps the one before it, or under a mask
    /// where there are fewer elements than lanes.
    fn copy(
        &self,
        b: &mut Builder,
        (from, from_size): (IReg, i64),
        (to, to_size): (IReg, i64),
        body: impl Fn(&mut Builder, IReg, IReg, Option<MReg>),
    ) {
        let (from, to) = (b.int_move(from), b.int_move(to));
        b.repeat(self.whole, |b| {
            body(b, from, to, None);
            b.bump(from, Size::lanes(from_size));
            b.bump(to, Size::lanes(to_size));
        });
        b.when(IntCompare::Gt, self.rest, 0, |b| {
            b.when_else(
                IntCompare::Gt,
                self.whole,
                0,
                |b| {
                    for (pointer, size) in [(from, from_size), (to, to_size)] {
                        let back = b.int_mul(self.back, size);
                        b.bump(pointer, back);
                    }
                    body(b, from, to, None);
                },
                |b| {
                    let mask = b.first(self.rest);
                    body(b, from, to, Some(mask));
                },
            );
        });
    }
}
