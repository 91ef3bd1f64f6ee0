//! Two-dimensional convolution of `f32` images in NCHW order.
//!
//! [`Convolution`] multiplies packed weights with panels of the unfolded image, which are made block by block in a
//! workspace and never as a whole; [`Depthwise`] convolution and pooling
//! ([`SlidingWindow`]) have a kernel of their own. Sizes of images are run-time values;
//! kernel, stride, dilation and padding are constants of the code.

mod depthwise;
mod driver;
mod line;
mod unfold;

pub use depthwise::{Depthwise, SlidingWindow, Window};
pub use driver::Convolution;
pub use unfold::{pack_pointwise, unfold_segment};

use crate::vector::{Builder, IReg, IntOp};

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

impl Geometry {
    /// One kernel element, unit strides, no padding: the unfolded image is the image.
    pub fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0]
    }
}

/// `⌈max(x, 0) / by⌉` for `x < 2³¹`, by a reciprocal where a shift will not do.
fn ceil_div(b: &mut Builder, x: IReg, by: i64) -> IReg {
    let x = b.int_op(IntOp::Max, x, 0);
    let x = b.int_add(x, by - 1);
    if by.count_ones() == 1 {
        return b.int_op(IntOp::ShiftRight, x, i64::from(by.trailing_zeros()));
    }
    // Exact: the reciprocal is too large by less than 2⁻³² `by`, and `x · by < 2³²` for images of any sane width.
    let reciprocal = b.int_const((1i64 << 32) / by + 1);
    let product = b.int_op(IntOp::Mul, x, reciprocal);
    b.int_op(IntOp::ShiftRight, product, 32)
}
