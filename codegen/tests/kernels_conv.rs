//! Convolutions against seven nested loops.
#![allow(unsafe_code, reason = "calling generated code")]

mod common;

use common::Random;
use orogen_codegen::jit_memory::Jit;
use orogen_codegen::kernels::conv::{Convolution, Geometry, Images, SlidingWindow, Window};
use orogen_codegen::kernels::epilogue::{Operand, Step};
use orogen_codegen::kernels::gemm::Tile;
use orogen_codegen::vector::Isa;
use orogen_ir::shape::ShapeCx;

#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    groups: usize,
    /// Input and output channels of a group.
    c: usize,
    m: usize,
    h: usize,
    w: usize,
    /// Zeros below and to the right.
    end: [usize; 2],
}

/// Multiples of 1/16, so that all sums are exact.
fn values(random: &mut Random, n: usize) -> Vec<f32> {
    (0..n).map(|_| (random.below(33) as f32 - 16.0) / 16.0).collect()
}

fn out_size(n: usize, axis: usize, g: &Geometry, end: usize) -> usize {
    let span = g.dilation[axis] as usize * (g.kernel[axis] as usize - 1) + 1;
    (n + g.padding[axis] as usize + end - span) / g.stride[axis] as usize + 1
}

fn oracle(x: &[f32], weights: &[f32], s: &Sizes, g: &Geometry) -> Vec<f32> {
    let [oh, ow] = [out_size(s.h, 0, g, s.end[0]), out_size(s.w, 1, g, s.end[1])];
    let [kh, kw] = g.kernel.map(|k| k as usize);
    let mut y = Vec::new();
    for image in 0..s.batch * s.groups {
        let group = image % s.groups;
        for m in 0..s.m {
            for oy in 0..oh {
                for ox in 0..ow {
                    let mut sum = 0.0;
                    for c in 0..s.c {
                        for ky in 0..kh {
                            for kx in 0..kw {
                                let iy = oy as i64 * g.stride[0] + ky as i64 * g.dilation[0] - g.padding[0];
                                let ix = ox as i64 * g.stride[1] + kx as i64 * g.dilation[1] - g.padding[1];
                                if (0..s.h as i64).contains(&iy) && (0..s.w as i64).contains(&ix) {
                                    let at = ((image * s.c + c) * s.h + iy as usize) * s.w + ix as usize;
                                    let tap = (((group * s.m + m) * s.c + c) * kh + ky) * kw + kx;
                                    sum += x[at] * weights[tap];
                                }
                            }
                        }
                    }
                    y.push(sum);
                }
            }
        }
    }
    y
}

fn panels(weights: &[f32], m: usize, k: usize, rows: usize) -> Vec<f32> {
    let mut out = vec![0.0; m.div_ceil(rows) * rows * k];
    for r in 0..m {
        for i in 0..k {
            out[r / rows * rows * k + i * rows + r % rows] = weights[r * k + i];
        }
    }
    out
}

fn check(isa: Isa, s: Sizes, g: Geometry, split: bool, depthwise: bool) {
    let mut random = Random(99);
    let [kh, kw] = g.kernel.map(|k| k as usize);
    let k = s.c * kh * kw;
    let x = values(&mut random, s.batch * s.groups * s.c * s.h * s.w);
    let weights = values(&mut random, s.groups * s.m * k);
    let bias = values(&mut random, s.groups * s.m);
    let [oh, ow] = [out_size(s.h, 0, &g, s.end[0]), out_size(s.w, 1, &g, s.end[1])];
    let plane = oh * ow;
    let mut expected = oracle(&x, &weights, &s, &g);
    let residual = values(&mut random, expected.len());
    for (i, y) in expected.iter_mut().enumerate() {
        *y = (*y + bias[i / plane % (s.groups * s.m)] + residual[i]).max(0.0);
    }

    let epilogue = vec![Step::add(Operand::Row), Step::add(Operand::Full), Step::relu()];
    let mut y = vec![7.0f32; expected.len() + 32];
    let mut jit = Jit::new().unwrap();
    let int = |n: usize| n as i64;
    let mut shapes = ShapeCx::new();
    let what = format!("{isa:?} {g:?} {}x{} w{}", s.c, s.m, s.w);
    if depthwise {
        let conv = SlidingWindow { epilogue, ..SlidingWindow::floats(isa, Window::Weights, g) };
        let id = conv.emit(jit.module(), "conv").unwrap_or_else(|e| panic!("{what}: {e}"));
        let code = jit.finish().unwrap();
        let planes = s.batch * s.groups;
        for (first, last) in if split { vec![(0, 1), (1, planes)] } else { vec![(0, planes)] } {
            let args = [
                x.as_ptr() as i64,
                weights.as_ptr() as i64,
                y.as_mut_ptr() as i64,
                int(s.batch),
                int(s.groups),
                int(s.h),
                int(s.w),
                int(oh),
                int(ow),
                int(first),
                int(last),
                bias.as_ptr() as i64,
                residual.as_ptr() as i64,
                int(4 * plane),
            ];
            assert_eq!(args.len(), conv.params());
            // SAFETY: buffers of the sizes that the function documents.
            unsafe { code.call(id, &args) };
        }
    } else {
        let rows = Tile::of(isa).rows as usize;
        let packed: Vec<f32> =
            weights.chunks((s.m * k).max(1)).flat_map(|group| panels(group, s.m, k, rows)).collect();
        let images = Images {
            input: [s.batch, s.groups * s.c, s.h, s.w].map(|it| shapes.int(int(it))),
            output: [s.batch, s.groups * s.m, oh, ow].map(|it| shapes.int(int(it))),
        };
        let form = g.form(&mut shapes, &images).unwrap();
        let conv = Convolution { epilogue, ..Convolution::floats(isa, g, form) };
        assert_eq!(conv.packed_weights(int(s.c), int(s.m)) as usize * s.groups, packed.len());
        let id = conv.emit(jit.module(), "conv").unwrap_or_else(|e| panic!("{what}: {e}"));
        let code = jit.finish().unwrap();
        let bytes = conv.workspace(int(s.c), int(s.m)) as usize;
        let mut workspace = vec![f32::NAN; bytes / 4 + 16];
        workspace[bytes / 4..].fill(3.0);
        let ranges = if split { vec![(0, plane / 3), (plane / 3, plane)] } else { vec![(0, plane)] };
        for (first, last) in ranges {
            let args = [
                x.as_ptr() as i64,
                packed.as_ptr() as i64,
                y.as_mut_ptr() as i64,
                int(s.batch),
                int(s.groups),
                int(s.c),
                int(s.m),
                int(s.h),
                int(s.w),
                int(oh),
                int(ow),
                workspace.as_mut_ptr() as i64,
                int(first),
                int(last),
                bias.as_ptr() as i64,
                residual.as_ptr() as i64,
                int(4 * plane),
            ];
            assert_eq!(args.len(), conv.params());
            // SAFETY: buffers of the sizes that the function documents.
            unsafe { code.call(id, &args) };
        }
        assert_eq!(workspace[bytes / 4..], [3.0; 16], "{what}: wrote behind the workspace");
    }
    assert_eq!(y[expected.len()..], [7.0; 32], "{what}: wrote behind the output");
    for (i, (found, expected)) in y.iter().zip(&expected).enumerate() {
        assert_eq!(found, expected, "{what} at {i}");
    }
}

const PLAIN: Geometry = Geometry { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], padding: [1, 1] };

#[test]
fn kernels_strides_dilations_and_paddings() {
    let s = Sizes { batch: 2, groups: 1, c: 3, m: 17, h: 13, w: 21, end: [1, 1] };
    let geometries = [
        PLAIN,
        Geometry { kernel: [1, 1], padding: [0, 0], ..PLAIN },
        Geometry { kernel: [1, 1], padding: [0, 0], stride: [2, 2], ..PLAIN },
        Geometry { kernel: [7, 7], padding: [3, 3], stride: [2, 2], ..PLAIN },
        Geometry { kernel: [1, 5], padding: [0, 2], ..PLAIN },
        Geometry { kernel: [5, 2], padding: [4, 0], stride: [1, 3], ..PLAIN },
        Geometry { dilation: [2, 3], padding: [2, 3], ..PLAIN },
        Geometry { dilation: [1, 2], padding: [0, 5], stride: [3, 2], ..PLAIN },
    ];
    for isa in Isa::available() {
        for g in geometries {
            let end = if g.padding == [0, 0] { [0, 0] } else { s.end };
            check(isa, Sizes { end, ..s }, g, false, false);
            check(isa, Sizes { end: [2, 5], ..s }, g, true, false);
        }
    }
}

#[test]
fn groups_small_images_and_ranges() {
    for isa in Isa::available() {
        let s = Sizes { batch: 2, groups: 3, c: 2, m: 5, h: 7, w: 7, end: [1, 1] };
        check(isa, s, PLAIN, true, false);
        check(isa, Sizes { h: 1, w: 1, ..s }, PLAIN, false, false);
        check(isa, Sizes { c: 600, m: 30, groups: 1, batch: 1, ..s }, PLAIN, false, false);
        check(isa, Sizes { w: 70, h: 40, ..s }, PLAIN, true, false);
    }
}

#[test]
fn depthwise() {
    let s = Sizes { batch: 2, groups: 5, c: 1, m: 1, h: 11, w: 40, end: [1, 1] };
    for isa in Isa::available() {
        for g in [
            PLAIN,
            Geometry { stride: [2, 2], ..PLAIN },
            Geometry { kernel: [5, 5], padding: [2, 2], ..PLAIN },
            Geometry { kernel: [3, 2], padding: [1, 0], stride: [1, 3], dilation: [2, 2] },
            Geometry { kernel: [7, 7], padding: [3, 3], ..PLAIN },
        ] {
            check(isa, s, g, false, true);
            check(isa, Sizes { w: 7, h: 7, end: [3, 3], ..s }, g, true, true);
            check(isa, Sizes { w: 113, h: 6, end: [0, 2], ..s }, g, false, true);
        }
    }
}

#[test]
fn pooling() {
    let (planes, h, w) = (3usize, 9usize, 37usize);
    let mut x = values(&mut Random(4), planes * h * w);
    x[40] = f32::NAN;
    for isa in Isa::available() {
        for g in [
            Geometry { stride: [2, 2], ..PLAIN },
            PLAIN,
            Geometry { kernel: [2, 2], stride: [2, 2], padding: [0, 0], ..PLAIN },
            Geometry { kernel: [5, 3], stride: [1, 3], padding: [2, 0], ..PLAIN },
        ] {
            for window in [Window::Max, Window::Sum] {
                let end = g.padding.map(|p| p as usize);
                let [oh, ow] = [out_size(h, 0, &g, end[0]), out_size(w, 1, &g, end[1])];
                let mut y = vec![7.0f32; planes * oh * ow + 32];
                let pool = SlidingWindow::floats(isa, window, g);
                let mut jit = Jit::new().unwrap();
                let id = pool.emit(jit.module(), "pool").unwrap_or_else(|e| panic!("{e}"));
                let code = jit.finish().unwrap();
                let int = |n: usize| n as i64;
                let args = [
                    x.as_ptr() as i64,
                    0,
                    y.as_mut_ptr() as i64,
                    1,
                    int(planes),
                    int(h),
                    int(w),
                    int(oh),
                    int(ow),
                    0,
                    int(planes),
                ];
                // SAFETY: buffers of the sizes that the function documents; weights are not read.
                unsafe { code.call(id, &args) };
                assert_eq!(y[planes * oh * ow..], [7.0; 32], "wrote behind the output");
                for (i, found) in y[..planes * oh * ow].iter().enumerate() {
                    let (plane, oy, ox) = (i / (oh * ow), i / ow % oh, i % ow);
                    let mut exact = if window == Window::Max { f32::NEG_INFINITY } else { 0.0 };
                    for ky in 0..g.kernel[0] {
                        for kx in 0..g.kernel[1] {
                            let iy = oy as i64 * g.stride[0] + ky - g.padding[0];
                            let ix = ox as i64 * g.stride[1] + kx - g.padding[1];
                            if (0..h as i64).contains(&iy) && (0..w as i64).contains(&ix) {
                                let v = x[(plane * h + iy as usize) * w + ix as usize];
                                exact = match window {
                                    _ if v.is_nan() || exact.is_nan() => f32::NAN,
                                    Window::Max => exact.max(v),
                                    _ => exact + v,
                                };
                            }
                        }
                    }
                    let same = *found == exact || found.is_nan() && exact.is_nan();
                    assert!(same, "{isa:?} {window:?} {g:?} at {i}: {found} {exact}");
                }
            }
        }
    }
}
