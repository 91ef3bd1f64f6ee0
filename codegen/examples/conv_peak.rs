//! Measures convolutions of common networks against the FMA peak of this machine.
//!
//! `cargo run -p orogen-codegen --example conv_peak`
#![allow(unsafe_code, reason = "calling generated code")]
#![allow(clippy::print_stdout, reason = "a measurement prints")]

use orogen_codegen::jit_memory::{Jit, Loaded};
use orogen_codegen::kernels::conv::{Convolution, Geometry, Images, Slide, SlidingWindow, Window};
use orogen_codegen::kernels::epilogue::{Operand, Step};
use orogen_codegen::vector::{Builder, Isa};
use orogen_ir::shape::ShapeCx;

/// Input channels, output channels, image side, kernel side, stride. Depthwise if there is one output channel only.
const LAYERS: [[i64; 5]; 14] = [
    [3, 64, 224, 7, 2],
    [64, 64, 56, 1, 1],
    [64, 64, 56, 3, 1],
    [64, 256, 56, 1, 1],
    [256, 128, 56, 1, 1],
    [128, 128, 56, 3, 2],
    [128, 128, 28, 3, 1],
    [256, 512, 56, 1, 2],
    [256, 256, 14, 3, 1],
    [1024, 256, 14, 1, 1],
    [512, 512, 7, 3, 1],
    [512, 2048, 7, 1, 1],
    [32, 1, 112, 3, 1],
    [144, 1, 56, 3, 2],
];

/// Processor time of this thread: other processes on the machine do not count.
fn thread_nanoseconds() -> f64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure lives on this stack.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut now) };
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

/// The best of several timings, in operations per nanosecond.
fn best(code: &Loaded, id: cranelift_module::FuncId, args: &[i64], operations: f64) -> f64 {
    (0..30)
        .map(|_| {
            let start = thread_nanoseconds();
            // SAFETY: the caller passes the documented parameters, with buffers that live on.
            unsafe { code.call(id, args) };
            operations / (thread_nanoseconds() - start)
        })
        .fold(0.0, f64::max)
}

fn main() {
    let isa = Isa::host();
    let mut b = Builder::new("peak");
    let [n] = b.params();
    let (x, y) = (b.splat(1.0), b.splat(0.5));
    let acc: Vec<_> = (0..12).map(|_| b.splat(0.0)).collect();
    b.repeat(n, |b| acc.iter().for_each(|&a| b.fma_into(a, x, y)));
    let peak_program = b.finish();

    for [c, m, side, kernel, stride] in LAYERS {
        let depthwise = m == 1;
        let padding = kernel / 2;
        let geometry = Geometry(vec![Slide { kernel, stride, dilation: 1, padding }; 2]);
        let out = (side + 2 * padding - kernel) / stride + 1;
        let epilogue = vec![Step::add(Operand::Row), Step::relu()];
        let mut jit = Jit::new().unwrap();
        let peak_id = jit.define(&peak_program, isa).unwrap();
        let mut shapes = ShapeCx::new();
        let images = Images {
            input: [1, c, side, side].map(|it| shapes.int(it)).into(),
            output: [1, m, out, out].map(|it| shapes.int(it)).into(),
        };
        let form = geometry.form(&mut shapes, &images).expect("the laws hold");
        let conv = Convolution {
            m: Some(m),
            epilogue: epilogue.clone(),
            ..Convolution::floats(isa, geometry.clone(), form)
        };
        let channels = if depthwise { c } else { m };
        let id = if depthwise {
            let window = SlidingWindow::floats(isa, Window::Weights, geometry);
            SlidingWindow { epilogue, ..window }.emit(jit.module(), "conv").unwrap()
        } else {
            conv.emit(jit.module(), "conv").unwrap()
        };
        let code = jit.finish().unwrap();

        let x = vec![1.0f32; (c * side * side) as usize];
        let weights = vec![0.5f32; conv.packed_weights(c, m) as usize + 64];
        let bias = vec![0.1f32; channels as usize];
        let mut y = vec![0.0f32; (channels * out * out) as usize];
        let mut workspace = vec![0.0f32; conv.workspace(c, m) as usize / 4 + 16];
        let aligned = (workspace.as_mut_ptr() as i64 + 63) & !63;
        let (x, weights, y, bias) =
            (x.as_ptr() as i64, weights.as_ptr() as i64, y.as_mut_ptr() as i64, bias.as_ptr() as i64);
        let args = if depthwise {
            vec![x, weights, y, 1, c, side, side, out, out, 0, c, bias]
        } else {
            vec![x, weights, y, 1, 1, c, m, side, side, out, out, aligned, 0, out * out, bias]
        };
        let per_output = if depthwise { kernel * kernel } else { c * kernel * kernel };
        let operations = (2 * per_output * channels * out * out) as f64;
        let speed = best(&code, id, &args, operations);
        let n = 50_000;
        let peak = best(&code, peak_id, &[n], (n * 24 * i64::from(isa.lanes())) as f64);
        println!(
            "{c:5} -> {m:4} {side:3}x{side:<3} k{kernel} s{stride}: {speed:6.1} Gflop/s, {:5.1} % of {peak:.0}, {:.3} ms",
            100.0 * speed / peak,
            operations / speed * 1e-6
        );
    }
}
