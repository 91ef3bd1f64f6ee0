//! Two-dimensional convolution of images in NCHW order, of floats and of integers less their zero points.
//!
//! [`Convolution`] multiplies packed weights with panels of the unfolded image, which are made block by block in a
//! workspace and never as a whole; depthwise convolution and pooling
//! ([`SlidingWindow`]) have a kernel of their own. Sizes of images are run-time values;
//! kernel, stride, dilation and padding are constants of the code.
//!
//! # Laws
//! What selection proves before it calls ([`Geometry::laws`]), for images `[batch][channels][h][w]` in and
//! `[batch][channels][oh][ow]` out:
//!
//! * **C1** Kernel, stride and dilation are in `1..=64`, padding is in `0..=1024`: displacements fit in an address.
//! * **C2** There are at least as many images in as out.
//! * **C3** [`Form::Pointwise`] has a kernel of one element, unit strides and no padding, and `oh = h`, `ow = w`:
//!   columns of a panel are columns of the image, at the end of it too.
//! * **C4** [`SlidingWindow`] moves by at most two columns over elements that are narrower than a lane: whole lanes alone
//!   are gathered.
//!
//! [`Form::Unfolded`] and [`SlidingWindow`] need no relation between `h, w` and `oh, ow`: what they read is masked to
//! the image, whatever padding there is at its ends, and however far they are apart.

mod driver;
mod line;
mod unfold;
mod window;

pub use driver::Convolution;
pub use unfold::{pack_pointwise, unfold_segment};
pub use window::{SlidingWindow, Window};

use orogen_ir::shape::{Dim, Overflow, ShapeCx};

use super::element::Element;
use super::gemm::Arithmetic;
use super::laws::{Law, unproven};
use crate::vector::{Builder, IReg, IntOp, Size};

/// The constants of a convolution. Pairs are vertical, horizontal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// Height and width of the kernel.
    pub kernel: [i64; 2],
    /// Steps between outputs.
    pub stride: [i64; 2],
    /// Steps between kernel elements.
    pub dilation: [i64; 2],
    /// Zeros above and to the left of the image. Those below and to the right follow from the output size.
    pub padding: [i64; 2],
}

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

/// The extents of the images of a call: batch, channels, height, width.
#[derive(Debug, Clone, Copy)]
pub struct Images {
    /// What is read.
    pub input: [Dim; 4],
    /// What is written.
    pub output: [Dim; 4],
}

impl Geometry {
    /// The laws of a form; [`SlidingWindow`] has those of [`Form::Unfolded`].
    ///
    /// # Errors
    /// [`Overflow`] if the extents are too large to be compared.
    pub fn laws(&self, form: Form, shapes: &mut ShapeCx, images: &Images) -> Result<Vec<Law>, Overflow> {
        let mut laws = Vec::new();
        for value in self.kernel.into_iter().chain(self.stride).chain(self.dilation) {
            laws.extend(Law::constant("C1", shapes, value, 1..=64));
        }
        for value in self.padding {
            laws.extend(Law::constant("C1", shapes, value, 0..=1024));
        }
        let Images { input, output } = images;
        laws.push(Law::no_more("C2", shapes, output[0], input[0])?);
        if form == Form::Pointwise {
            for value in self.kernel.into_iter().chain(self.stride) {
                laws.extend(Law::constant("C3", shapes, value, 1..=1));
            }
            for value in self.padding {
                laws.extend(Law::constant("C3", shapes, value, 0..=0));
            }
            laws.extend([2, 3].map(|it| Law::equal("C3", input[it], output[it])));
        }
        Ok(laws)
    }

    /// The law of a [`SlidingWindow`] over such images.
    pub(crate) fn reads(&self, shapes: &mut ShapeCx, source: &Source) -> [Law; 2] {
        let most = if source.element == source.arithmetic.lane() { 64 } else { 2 };
        Law::constant("C4", shapes, self.stride[1], 1..=most)
    }

    /// The first form whose laws are proven.
    pub fn form(&self, shapes: &mut ShapeCx, images: &Images) -> Option<Form> {
        [Form::Pointwise, Form::Unfolded]
            .into_iter()
            .find(|form| self.laws(*form, shapes, images).is_ok_and(|laws| unproven(shapes, &laws).is_none()))
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
