//! Convolution of images over any number of axes, of floats and of integers less their zero points.
//!
//! [`Convolution`] multiplies packed weights with panels of the unfolded image, which are made block by block in a
//! workspace and never as a whole; depthwise convolution and pooling
//! ([`SlidingWindow`], and [`Depthwise`] for bytes) have kernels of their own. Sizes of images are run-time values; the number of axes, kernel, stride,
//! dilation and padding are constants of the code.
//!
//! Images are `[batch][channels]` and their axes, whose last one is that of columns: neighbours in memory, which vectors
//! hold. All axes before it count rows, so that one more axis is one more loop over rows.
//!
//! # Laws
//! What selection proves before it calls ([`Geometry::laws`]), for images of the extents `[batch][channels][…]`:
//!
//! * **C1** Kernel, stride and dilation are in `1..=64`, padding is in `0..=1024`: displacements fit in an address. A
//!   kernel has at most 4096 elements, each of which is a step of a panel for every channel.
//! * **C2** There are at least as many images in as out.
//! * **C3** [`Form::Pointwise`] has a kernel of one element, unit strides and no padding, and images out have the extents
//!   of those in: columns of a panel are columns of the image, at the end of it too.
//! * **C4** [`SlidingWindow`] moves by at most two columns over elements that are narrower than a lane: whole lanes alone
//!   are gathered. Its kernel has at most 1024 elements, each of which is code.
//! * **C5** [`Depthwise`] takes bytes to bytes; elements of a row that meet neighbouring weights are neighbours, and two of
//!   them (four, where there is an instruction for it) are a multiple of the elements between outputs. Operands of its
//!   epilogue are the same for all elements of a channel ([`Depthwise::fits`]).
//!
//! [`Form::Unfolded`] and [`SlidingWindow`] need no relation between the extents in and out: what they read is masked to
//! the image, whatever padding there is at its ends, and however far they are apart.

mod depthwise;
mod driver;
mod line;
mod unfold;
mod window;

pub use depthwise::Depthwise;
pub use driver::Convolution;
pub use unfold::{pack_pointwise, unfold_segment};
pub use window::{SlidingWindow, Window};

use std::fmt;

use orogen_ir::shape::{Dim, Overflow, ShapeCx};

use super::element::Element;
use super::gemm::Arithmetic;
use super::laws::{Law, unproven};
use crate::vector::{Builder, IReg, IntCompare, IntOp, Size};

/// How a kernel moves along one axis of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slide {
    /// Elements of the kernel.
    pub kernel: i64,
    /// Steps between outputs.
    pub stride: i64,
    /// Steps between kernel elements.
    pub dilation: i64,
    /// Zeros before the image. Those behind it follow from the extent of the output.
    pub padding: i64,
}

impl Slide {
    /// A kernel of so many elements, that moves by one.
    pub fn new(kernel: i64) -> Slide {
        Slide { kernel, stride: 1, dilation: 1, padding: 0 }
    }
}

/// The constants of a convolution: a slide for each axis of an image, the outermost first. There is at least one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Geometry(pub Vec<Slide>);

/// What an image is made of, and how it is multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source {
    /// How an element lies in memory.
    pub element: Element,
    /// Whether there is a zero point: an element that is subtracted from all, and that stands outside of the image.
    pub zero: bool,
    /// How elements are multiplied.
    pub arithmetic: Arithmetic,
}

/// How the elements under the kernel get into panels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// The image is its own unfolding.
    Pointwise,
    /// Row by row, what lies outside the image as zeros.
    Unfolded,
}

/// The extents of the images of a call: batch, channels, and each axis.
#[derive(Debug, Clone)]
pub struct Images {
    /// What is read.
    pub input: Vec<Dim>,
    /// What is written.
    pub output: Vec<Dim>,
}

impl fmt::Display for Geometry {
    /// Extents of the kernel, then the strides.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |part: fn(&Slide) -> i64| {
            self.0.iter().map(|it| part(it).to_string()).collect::<Vec<_>>().join("x")
        };
        write!(f, "{}/{}", join(|it| it.kernel), join(|it| it.stride))
    }
}

impl Geometry {
    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Elements of the kernel.
    pub fn taps(&self) -> i64 {
        self.0.iter().map(|it| it.kernel).product()
    }

    /// The axes of rows, and that of columns.
    fn split(&self) -> (&[Slide], Slide) {
        let (columns, rows) = self.0.split_last().expect("an image has an axis");
        (rows, *columns)
    }

    /// That of columns.
    fn columns(&self) -> Slide {
        self.split().1
    }

    /// The laws of a form; [`SlidingWindow`] has those of [`Form::Unfolded`].
    ///
    /// # Errors
    /// [`Overflow`] if the extents are too large to be compared.
    pub fn laws(&self, form: Form, shapes: &mut ShapeCx, images: &Images) -> Result<Vec<Law>, Overflow> {
        let mut laws = Vec::new();
        for Slide { kernel, stride, dilation, padding } in &self.0 {
            for value in [kernel, stride, dilation] {
                laws.extend(Law::constant("C1", shapes, *value, 1..=64));
            }
            laws.extend(Law::constant("C1", shapes, *padding, 0..=1024));
        }
        let taps = self.0.iter().fold(1i64, |product, it| product.saturating_mul(it.kernel));
        laws.extend(Law::constant("C1", shapes, taps, 1..=4096));
        let Images { input, output } = images;
        laws.push(Law::no_more("C2", shapes, output[0], input[0])?);
        if form == Form::Pointwise {
            for slide in &self.0 {
                for value in [slide.kernel, slide.stride] {
                    laws.extend(Law::constant("C3", shapes, value, 1..=1));
                }
                laws.extend(Law::constant("C3", shapes, slide.padding, 0..=0));
            }
            laws.extend((2..2 + self.rank()).map(|it| Law::equal("C3", input[it], output[it])));
        }
        Ok(laws)
    }

    /// The law of a [`SlidingWindow`] over such images.
    pub(crate) fn reads(&self, shapes: &mut ShapeCx, source: &Source) -> [Law; 4] {
        let most = if source.element == source.arithmetic.lane() { 64 } else { 2 };
        let [least, most] = Law::constant("C4", shapes, self.columns().stride, 1..=most);
        let [some, few] = Law::constant("C4", shapes, self.taps(), 1..=SlidingWindow::MOST_TAPS);
        [least, most, some, few]
    }

    /// The first form whose laws are proven.
    pub fn form(&self, shapes: &mut ShapeCx, images: &Images) -> Option<Form> {
        [Form::Pointwise, Form::Unfolded]
            .into_iter()
            .find(|form| self.laws(*form, shapes, images).is_ok_and(|laws| unproven(shapes, &laws).is_none()))
    }
}

/// Bytes from one element to the next along each axis, the outermost first, and of a plane, for elements of
/// `2^size` bytes; that of columns is left out.
fn strides(b: &mut Builder, extents: &[IReg], size: i64) -> (Vec<IReg>, IReg) {
    let (columns, rows) = extents.split_last().expect("an image has an axis");
    let mut bytes = b.int_op(IntOp::ShiftLeft, *columns, size);
    let mut strides = Vec::new();
    for extent in rows.iter().rev() {
        strides.push(bytes);
        bytes = b.int_mul(bytes, *extent);
    }
    strides.reverse();
    (strides, bytes)
}

/// 1 if `0 <= y < h` and all else holds, else 0.
fn inside(b: &mut Builder, y: IReg, h: IReg, also: Option<IReg>) -> IReg {
    let flag = b.int_const(0);
    b.when(IntCompare::Ge, y, 0, |b| {
        b.when(IntCompare::Lt, y, h, |b| b.bump(flag, 1));
    });
    match also {
        Some(also) => b.int_op(IntOp::And, flag, also),
        None => flag,
    }
}

/// `⌈max(x, 0) / by⌉`, or any number from `most` on where that is more, by a reciprocal where a shift will not do.
fn ceil_div(b: &mut Builder, x: IReg, by: i64, most: Size) -> IReg {
    let x = b.int_op(IntOp::Max, x, 0);
    if by.count_ones() == 1 {
        let x = b.int_add(x, by - 1);
        return b.int_op(IntOp::ShiftRight, x, i64::from(by.trailing_zeros()));
    }
    let limit = b.int_const(Size { fixed: most.fixed * by, per_lane: most.per_lane * by });
    let x = b.int_op(IntOp::Min, x, limit);
    let x = b.int_add(x, by - 1);
    // Exact: the reciprocal is too large by less than 2⁻³² `by`, and `x · by < 2³²` for the few lanes that are asked for.
    let reciprocal = b.int_const((1i64 << 32) / by + 1);
    let product = b.int_op(IntOp::Mul, x, reciprocal);
    b.int_op(IntOp::ShiftRight, product, 32)
}
