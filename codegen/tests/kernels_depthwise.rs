//! Depthwise convolutions of bytes against five nested loops.
#![allow(unsafe_code, reason = "calling generated code")]

mod common;

use common::Random;
use orogen_codegen::jit_memory::Jit;
use orogen_codegen::kernels::conv::{Depthwise, Slide};
use orogen_codegen::kernels::element::Element;
use orogen_codegen::kernels::epilogue::{Operand, Step};
use orogen_codegen::kernels::gemm::{Factor, Layout, Packing, Zero};
use orogen_codegen::vector::{BinaryOp, Isa, Storage};
use orogen_ir::shape::ShapeCx;

const I8: Element = Element::Stored(Storage::I8);
const U8: Element = Element::Stored(Storage::U8);

/// Values of bytes, often at the ends of their range.
fn values(random: &mut Random, element: Element, n: usize) -> Vec<i32> {
    let low = if element == I8 { -128 } else { 0 };
    (0..n)
        .map(|_| match random.below(4) {
            0 => low,
            1 => low + 255,
            _ => low + random.below(256) as i32,
        })
        .collect()
}

fn bytes(values: &[i32]) -> Vec<u8> {
    values.iter().map(|it| it.to_le_bytes()[0]).collect()
}

fn out_size(n: i64, slide: Slide, end: i64) -> i64 {
    (n + slide.padding + end - slide.dilation * (slide.kernel - 1) - 1) / slide.stride + 1
}

/// Sums are divided by 2⁷ and saturated after the bias of the channel was added.
fn check(
    isa: Isa,
    [x, weights, y]: [Element; 3],
    zeros: [Option<Zero>; 2],
    [h, w]: [i64; 2],
    slides: [Slide; 2],
) {
    let random = &mut Random(11);
    let (batch, channels) = (2, 3);
    let (low, high) = if y == I8 { (-128, 127) } else { (0, 255) };
    let saturate = Step::map(move |b, sum| {
        let sum = b.shift(orogen_codegen::vector::ShiftOp::RightArithmetic, sum, 7);
        let (low, high) = (b.constant_int(low), b.constant_int(high));
        let sum = b.binary(BinaryOp::IntMax, sum, low);
        b.binary(BinaryOp::IntMin, sum, high)
    });
    let kernel = Depthwise {
        isa,
        slides,
        x: Factor { layout: Layout::RowMajor, element: x, zero: zeros[0], packing: Packing::NONE },
        weights: Factor {
            layout: Layout::RowMajor,
            element: weights,
            zero: zeros[1],
            packing: Packing::NONE,
        },
        y,
        epilogue: vec![Step::combine(BinaryOp::IntAdd, Operand::Row), saturate],
    };
    assert!(kernel.fits());
    let [oh, ow] = [out_size(h, slides[0], 1), out_size(w, slides[1], 2)];
    let [kh, kw] = slides.map(|it| it.kernel);
    let images = values(random, x, (batch * channels * h * w) as usize);
    let taps = values(random, weights, (channels * kh * kw) as usize);
    let bias: Vec<i32> = (0..channels).map(|_| random.below(20_000) as i32 - 10_000).collect();
    let x_zero = values(random, x, 1);
    let w_zeros = values(random, weights, channels as usize);
    let x_less = zeros[0].map_or(0, |_| x_zero[0]);
    let w_less = |channel: i64| match zeros[1] {
        None => 0,
        Some(Zero::One) => w_zeros[0],
        Some(Zero::Each) => w_zeros[channel as usize],
    };
    let mut expected = Vec::new();
    for plane in 0..batch * channels {
        let channel = plane % channels;
        for (oy, ox) in (0..oh).flat_map(|oy| (0..ow).map(move |ox| (oy, ox))) {
            let mut sum = bias[channel as usize];
            for (ky, kx) in (0..kh).flat_map(|ky| (0..kw).map(move |kx| (ky, kx))) {
                let at = |slide: Slide, o: i64, k: i64| o * slide.stride + k * slide.dilation - slide.padding;
                let (iy, ix) = (at(slides[0], oy, ky), at(slides[1], ox, kx));
                if (0..h).contains(&iy) && (0..w).contains(&ix) {
                    let tap = taps[((channel * kh + ky) * kw + kx) as usize] - w_less(channel);
                    sum += (images[((plane * h + iy) * w + ix) as usize] - x_less) * tap;
                }
            }
            expected.push((sum >> 7).clamp(low, high).to_le_bytes()[0]);
        }
    }

    let what = format!("{isa:?} {x:?} {weights:?} {y:?} {zeros:?} {h}x{w} {slides:?}");
    let mut shapes = ShapeCx::new();
    let row = shapes.int(ow);
    let room = kernel.workspace(&mut shapes, row).unwrap();
    let room = shapes.as_int(room).unwrap() as usize;
    let mut workspace = vec![0xA5u8; room + 64];
    let mut out = vec![0x55u8; expected.len() + 64];
    let (images, taps) = (bytes(&images), bytes(&taps));
    let (x_zero, w_zeros) = (bytes(&x_zero), bytes(&w_zeros));
    let mut jit = Jit::new().unwrap();
    let id = kernel.emit(jit.module(), "depthwise").unwrap_or_else(|e| panic!("{what}: {e}"));
    let code = jit.finish().unwrap();
    let planes = batch * channels;
    for (first, last) in [(0, 1), (1, planes)] {
        let mut args = vec![images.as_ptr() as i64, taps.as_ptr() as i64, out.as_mut_ptr() as i64];
        args.extend([batch, channels, h, w, oh, ow, workspace.as_mut_ptr() as i64, first, last]);
        args.extend(zeros[0].map(|_| x_zero.as_ptr() as i64));
        args.extend(zeros[1].map(|_| w_zeros.as_ptr() as i64));
        args.push(bias.as_ptr() as i64);
        assert_eq!(args.len(), kernel.params());
        // SAFETY: buffers of the sizes that the function documents.
        unsafe { code.call(id, &args) };
    }
    assert_eq!(out[..expected.len()], expected, "{what}");
    assert!(out[expected.len()..].iter().all(|it| *it == 0x55), "{what}: behind the result");
    assert!(workspace[room..].iter().all(|it| *it == 0xA5), "{what}: behind the workspace");
}

fn slides(kernel: [i64; 2], stride: [i64; 2], down: i64, padding: [i64; 2]) -> [Slide; 2] {
    let slide =
        |i: usize, dilation| Slide { kernel: kernel[i], stride: stride[i], dilation, padding: padding[i] };
    [slide(0, down), slide(1, 1)]
}

#[test]
fn every_kind_of_bytes() {
    let g = slides([3, 3], [1, 1], 1, [1, 1]);
    for isa in Isa::available() {
        for (x, weights, y) in [(U8, I8, U8), (I8, I8, I8), (U8, U8, I8), (I8, U8, U8)] {
            for zeros in [
                [None, None],
                [Some(Zero::One), None],
                [None, Some(Zero::One)],
                [Some(Zero::One), Some(Zero::Each)],
            ] {
                check(isa, [x, weights, y], zeros, [9, 14], g);
            }
        }
    }
}

#[test]
fn every_slides() {
    for isa in Isa::available() {
        for (sizes, g) in [
            // One pixel, rows shorter than a vector, and rows of several.
            ([1, 1], slides([3, 3], [1, 1], 1, [1, 1])),
            ([7, 7], slides([5, 5], [1, 1], 1, [2, 2])),
            ([5, 150], slides([3, 3], [1, 1], 1, [1, 1])),
            // Bands.
            ([140, 130], slides([3, 3], [1, 1], 1, [1, 1])),
            ([300, 61], slides([3, 3], [2, 2], 1, [1, 1])),
            ([3, 9000], slides([3, 4], [1, 1], 1, [1, 3])),
            // Strides, dilation, padding that is wider than a vector or the window.
            ([14, 15], slides([3, 3], [2, 2], 1, [1, 1])),
            ([13, 31], slides([2, 7], [3, 1], 2, [0, 6])),
            ([13, 31], slides([3, 3], [1, 2], 3, [3, 1])),
            ([4, 3], slides([1, 9], [1, 1], 1, [0, 40])),
            ([4, 3], slides([9, 1], [2, 2], 1, [20, 0])),
            // A part of the image that no window reaches.
            ([6, 90], slides([1, 1], [1, 2], 1, [0, 0])),
        ] {
            check(isa, [U8, I8, U8], [Some(Zero::One), None], sizes, g);
            check(isa, [I8, U8, I8], [Some(Zero::One), Some(Zero::One)], sizes, g);
        }
    }
}
