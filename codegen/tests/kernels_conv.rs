//! Convolutions of images of any rank against nested loops.
#![allow(unsafe_code, reason = "calling generated code")]

mod common;

use common::Random;
use orogen_codegen::jit_memory::Jit;
use orogen_codegen::kernels::conv::{Convolution, Geometry, Images, Slide, SlidingWindow, Window};
use orogen_codegen::kernels::epilogue::{Operand, Step};
use orogen_codegen::kernels::gemm::Tile;
use orogen_codegen::vector::Isa;
use orogen_ir::shape::{Dim, ShapeCx};

#[derive(Clone)]
struct Sizes {
    batch: usize,
    groups: usize,
    /// Input and output channels of a group.
    c: usize,
    m: usize,
    image: Vec<usize>,
    /// Zeros behind the image on each axis.
    end: Vec<usize>,
}

impl Sizes {
    fn outputs(&self, g: &Geometry) -> Vec<usize> {
        let axes = self.image.iter().zip(&self.end).zip(&g.0);
        axes.map(|((n, end), slide)| out_size(*n, slide, *end)).collect()
    }
}

/// Multiples of 1/16, so that all sums are exact.
fn values(random: &mut Random, n: usize) -> Vec<f32> {
    (0..n).map(|_| (random.below(33) as f32 - 16.0) / 16.0).collect()
}

fn out_size(n: usize, slide: &Slide, end: usize) -> usize {
    let span = slide.dilation as usize * (slide.kernel as usize - 1) + 1;
    (n + slide.padding as usize + end - span) / slide.stride as usize + 1
}

/// All positions in some extents, in order.
fn positions(extents: &[usize]) -> Vec<Vec<usize>> {
    let step = |found: Vec<Vec<usize>>, extent: &usize| {
        found.iter().flat_map(|it| (0..*extent).map(move |i| [&it[..], &[i]].concat())).collect()
    };
    extents.iter().fold(vec![Vec::new()], step)
}

/// The number of the element under a kernel element, if it lies in the image.
fn under(g: &Geometry, image: &[usize], output: &[usize], tap: &[usize]) -> Option<usize> {
    g.0.iter().enumerate().try_fold(0, |number, (i, slide)| {
        let at = output[i] as i64 * slide.stride + tap[i] as i64 * slide.dilation - slide.padding;
        (0..image[i] as i64).contains(&at).then(|| number * image[i] + at as usize)
    })
}

fn kernel(g: &Geometry) -> Vec<usize> {
    g.0.iter().map(|it| it.kernel as usize).collect()
}

fn oracle(x: &[f32], weights: &[f32], s: &Sizes, g: &Geometry) -> Vec<f32> {
    let (outputs, taps) = (positions(&s.outputs(g)), positions(&kernel(g)));
    let plane: usize = s.image.iter().product();
    let mut y = Vec::new();
    for image in 0..s.batch * s.groups {
        let group = image % s.groups;
        for m in 0..s.m {
            for output in &outputs {
                let mut sum = 0.0;
                for c in 0..s.c {
                    for (number, tap) in taps.iter().enumerate() {
                        if let Some(at) = under(g, &s.image, output, tap) {
                            let weight = ((group * s.m + m) * s.c + c) * taps.len() + number;
                            sum += x[(image * s.c + c) * plane + at] * weights[weight];
                        }
                    }
                }
                y.push(sum);
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

fn check(isa: Isa, s: &Sizes, g: &Geometry, split: bool, depthwise: bool) {
    check_with(isa, s, g, split, depthwise, true);
    // Without an operand that is read with the results, several rows are computed at a time.
    if depthwise {
        check_with(isa, s, g, split, depthwise, false);
    }
}

fn check_with(isa: Isa, s: &Sizes, g: &Geometry, split: bool, depthwise: bool, full: bool) {
    let mut random = Random(99);
    let k = s.c * g.taps() as usize;
    let x = values(&mut random, s.batch * s.groups * s.c * s.image.iter().product::<usize>());
    let weights = values(&mut random, s.groups * s.m * k);
    let bias = values(&mut random, s.groups * s.m);
    let outputs = s.outputs(g);
    let plane: usize = outputs.iter().product();
    let mut expected = oracle(&x, &weights, s, g);
    let residual = values(&mut random, expected.len());
    for (i, y) in expected.iter_mut().enumerate() {
        let residual = if full { residual[i] } else { 0.0 };
        *y = (*y + bias[i / plane % (s.groups * s.m)] + residual).max(0.0);
    }

    let mut epilogue = vec![Step::add(Operand::Row), Step::relu()];
    if full {
        epilogue.insert(1, Step::add(Operand::Full));
    }
    let mut y = vec![7.0f32; expected.len() + 32];
    let mut jit = Jit::new().unwrap();
    let int = |n: usize| n as i64;
    let mut shapes = ShapeCx::new();
    let extents = s.image.iter().chain(&outputs).map(|it| int(*it));
    let what = format!("{isa:?} {g:?} {}x{} {:?}", s.c, s.m, s.image);
    if depthwise {
        let conv = SlidingWindow { epilogue, ..SlidingWindow::floats(isa, Window::Weights, g.clone()) };
        let id = conv.emit(jit.module(), "conv").unwrap_or_else(|e| panic!("{what}: {e}"));
        let code = jit.finish().unwrap();
        let planes = s.batch * s.groups;
        for (first, last) in if split { vec![(0, 1), (1, planes)] } else { vec![(0, planes)] } {
            let mut args = vec![x.as_ptr() as i64, weights.as_ptr() as i64, y.as_mut_ptr() as i64];
            args.extend([int(s.batch), int(s.groups)]);
            args.extend(extents.clone());
            args.extend([int(first), int(last), bias.as_ptr() as i64]);
            if full {
                args.extend([residual.as_ptr() as i64, int(4 * plane)]);
            }
            assert_eq!(args.len(), conv.params());
            // SAFETY: buffers of the sizes that the function documents.
            unsafe { code.call(id, &args) };
        }
    } else {
        let rows = Tile::of(isa).rows as usize;
        let packed: Vec<f32> =
            weights.chunks((s.m * k).max(1)).flat_map(|group| panels(group, s.m, k, rows)).collect();
        let images = Images {
            input: dims(&mut shapes, [s.batch, s.groups * s.c], &s.image),
            output: dims(&mut shapes, [s.batch, s.groups * s.m], &outputs),
        };
        let form = g.form(&mut shapes, &images).unwrap();
        let conv = Convolution { epilogue, ..Convolution::floats(isa, g.clone(), form) };
        assert_eq!(conv.packed_weights(int(s.c), int(s.m)) as usize * s.groups, packed.len());
        let id = conv.emit(jit.module(), "conv").unwrap_or_else(|e| panic!("{what}: {e}"));
        let code = jit.finish().unwrap();
        let bytes = conv.workspace(int(s.c), int(s.m)) as usize;
        let mut workspace = vec![f32::NAN; bytes / 4 + 16];
        workspace[bytes / 4..].fill(3.0);
        let ranges = if split { vec![(0, plane / 3), (plane / 3, plane)] } else { vec![(0, plane)] };
        for (first, last) in ranges {
            let mut args = vec![x.as_ptr() as i64, packed.as_ptr() as i64, y.as_mut_ptr() as i64];
            args.extend([s.batch, s.groups, s.c, s.m].map(int));
            args.extend(extents.clone());
            args.extend([workspace.as_mut_ptr() as i64, int(first), int(last)]);
            args.extend([bias.as_ptr() as i64, residual.as_ptr() as i64, int(4 * plane)]);
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

fn dims(shapes: &mut ShapeCx, first: [usize; 2], extents: &[usize]) -> Vec<Dim> {
    first.iter().chain(extents).map(|it| shapes.int(*it as i64)).collect()
}

const PLAIN: Slide = Slide { kernel: 3, stride: 1, dilation: 1, padding: 1 };

/// Slides that are the same but for the kernel and the padding on each axis.
fn slides<const N: usize>(kernel: [i64; N], padding: [i64; N]) -> Geometry {
    Geometry(
        kernel.into_iter().zip(padding).map(|(kernel, padding)| Slide { kernel, padding, ..PLAIN }).collect(),
    )
}

/// The same with other constants on each axis.
fn by<const N: usize>(g: Geometry, stride: [i64; N], dilation: [i64; N]) -> Geometry {
    let slides = g.0.into_iter().zip(stride).zip(dilation);
    Geometry(slides.map(|((it, stride), dilation)| Slide { stride, dilation, ..it }).collect())
}

fn sizes<const N: usize>(image: [usize; N], end: [usize; N]) -> Sizes {
    Sizes { batch: 2, groups: 1, c: 3, m: 17, image: image.into(), end: end.into() }
}

#[test]
fn kernels_strides_dilations_and_paddings() {
    let geometries = [
        slides([3, 3], [1, 1]),
        slides([1, 1], [0, 0]),
        by(slides([1, 1], [0, 0]), [2, 2], [1, 1]),
        by(slides([7, 7], [3, 3]), [2, 2], [1, 1]),
        slides([1, 5], [0, 2]),
        by(slides([5, 2], [4, 0]), [1, 3], [1, 1]),
        by(slides([3, 3], [2, 3]), [1, 1], [2, 3]),
        by(slides([3, 3], [0, 5]), [3, 2], [1, 2]),
    ];
    for isa in Isa::available() {
        for g in &geometries {
            let end = if g.0.iter().all(|it| it.padding == 0) { [0, 0] } else { [1, 1] };
            check(isa, &sizes([13, 21], end), g, false, false);
            check(isa, &sizes([13, 21], [2, 5]), g, true, false);
        }
    }
}

/// Every axis before that of columns is one of rows.
#[test]
fn one_axis_and_more_than_two() {
    let one = slides([3], [1]);
    let three = [
        slides([3, 3, 3], [1, 1, 1]),
        slides([1, 1, 1], [0, 0, 0]),
        by(slides([2, 3, 2], [0, 1, 2]), [2, 1, 2], [1, 2, 1]),
        by(slides([3, 1, 4], [2, 0, 1]), [1, 2, 3], [2, 1, 1]),
    ];
    let four = by(slides([2, 1, 3, 3], [1, 0, 1, 1]), [1, 2, 1, 2], [1, 1, 2, 1]);
    for isa in Isa::available() {
        for depthwise in [false, true] {
            let of = |s: Sizes| if depthwise { Sizes { groups: 5, c: 1, m: 1, ..s } } else { s };
            check(isa, &of(sizes([61], [3])), &one, true, depthwise);
            for g in &three {
                check(isa, &of(sizes([5, 6, 21], [1, 0, 2])), g, true, depthwise);
                check(
                    isa,
                    &of(Sizes { groups: 2, c: 5, m: 3, ..sizes([4, 7, 5], [0; 3]) }),
                    g,
                    false,
                    depthwise,
                );
            }
            check(isa, &of(sizes([3, 4, 5, 9], [1, 0, 0, 1])), &four, true, depthwise);
        }
    }
}

#[test]
fn groups_small_images_and_ranges() {
    let plain = slides([3, 3], [1, 1]);
    for isa in Isa::available() {
        let s = Sizes { groups: 3, c: 2, m: 5, ..sizes([7, 7], [1, 1]) };
        check(isa, &s, &plain, true, false);
        check(isa, &Sizes { image: vec![1, 1], ..s.clone() }, &plain, false, false);
        check(isa, &Sizes { c: 600, m: 30, groups: 1, batch: 1, ..s.clone() }, &plain, false, false);
        check(isa, &Sizes { image: vec![40, 70], ..s }, &plain, true, false);
    }
}

#[test]
fn depthwise() {
    for isa in Isa::available() {
        for g in [
            slides([3, 3], [1, 1]),
            by(slides([3, 3], [1, 1]), [2, 2], [1, 1]),
            slides([5, 5], [2, 2]),
            by(slides([3, 2], [1, 0]), [1, 3], [2, 2]),
            slides([7, 7], [3, 3]),
            by(slides([7, 7], [3, 3]), [2, 2], [1, 1]),
            by(slides([6, 6], [4, 5]), [1, 1], [1, 2]),
            by(slides([6, 6], [4, 5]), [2, 2], [1, 2]),
        ] {
            for (image, end, split) in
                [([11, 40], [1, 1], false), ([7, 7], [3, 3], true), ([6, 113], [0, 2], false)]
            {
                check(isa, &Sizes { groups: 5, c: 1, m: 1, ..sizes(image, end) }, &g, split, true);
            }
        }
    }
}

#[test]
fn pooling() {
    let planes = 3usize;
    for isa in Isa::available() {
        for (g, image) in [
            (by(slides([3, 3], [1, 1]), [2, 2], [1, 1]), vec![9, 37]),
            (slides([3, 3], [1, 1]), vec![9, 37]),
            (by(slides([2, 2], [0, 0]), [2, 2], [1, 1]), vec![9, 37]),
            (by(slides([5, 3], [2, 0]), [1, 3], [1, 1]), vec![9, 37]),
            (by(slides([3], [1]), [2], [1]), vec![70]),
            (by(slides([2, 3, 3], [1, 1, 0]), [1, 2, 2], [2, 1, 1]), vec![5, 6, 19]),
            (slides([2, 1, 3, 2], [0, 0, 1, 1]), vec![3, 2, 5, 18]),
        ] {
            let mut x = values(&mut Random(4), planes * image.iter().product::<usize>());
            x[40] = f32::NAN;
            for window in [Window::Max, Window::Sum] {
                let end = g.0.iter().map(|it| it.padding as usize).collect();
                let s = Sizes { image: image.clone(), end, ..sizes([], []) };
                let outputs = s.outputs(&g);
                let count: usize = outputs.iter().product();
                let mut y = vec![7.0f32; planes * count + 32];
                let pool = SlidingWindow::floats(isa, window, g.clone());
                let mut jit = Jit::new().unwrap();
                let id = pool.emit(jit.module(), "pool").unwrap_or_else(|e| panic!("{e}"));
                let code = jit.finish().unwrap();
                let int = |n: usize| n as i64;
                let mut args = vec![x.as_ptr() as i64, 0, y.as_mut_ptr() as i64, 1, int(planes)];
                args.extend(image.iter().chain(&outputs).map(|it| int(*it)));
                args.extend([0, int(planes)]);
                // SAFETY: buffers of the sizes that the function documents; weights are not read.
                unsafe { code.call(id, &args) };
                assert_eq!(y[planes * count..], [7.0; 32], "wrote behind the output");
                let (places, taps) = (positions(&outputs), positions(&kernel(&g)));
                let plane: usize = image.iter().product();
                for (i, found) in y[..planes * count].iter().enumerate() {
                    let mut exact = if window == Window::Max { f32::NEG_INFINITY } else { 0.0 };
                    for at in taps.iter().filter_map(|tap| under(&g, &image, &places[i % count], tap)) {
                        let v = x[i / count * plane + at];
                        exact = match window {
                            _ if v.is_nan() || exact.is_nan() => f32::NAN,
                            Window::Max => exact.max(v),
                            _ => exact + v,
                        };
                    }
                    let same = *found == exact || found.is_nan() && exact.is_nan();
                    assert!(same, "{isa:?} {window:?} {g:?} at {i}: {found} {exact}");
                }
            }
        }
    }
}
