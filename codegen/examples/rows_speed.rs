//! Measures elementwise and row kernels on data in the first-level cache, in elements per nanosecond.
//!
//! `cargo run -p orogen-codegen --example rows_speed`
#![allow(unsafe_code, reason = "calling generated code")]
#![allow(clippy::print_stdout, reason = "a measurement prints")]

use orogen_codegen::jit_memory::Jit;
use orogen_codegen::kernels::elementwise::{Access, Elementwise, Function};
use orogen_codegen::kernels::rows::{Normalization, Reduction, softmax};
use orogen_codegen::vector::{BinaryOp, Isa, Program, ReduceOp};

const ROWS: i64 = 4;
const N: i64 = 1000;

/// Processor time of this thread: other processes on the machine do not count.
fn thread_nanoseconds() -> f64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure lives on this stack.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut now) };
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

fn function(f: Function) -> Program {
    let mut e = Elementwise::new();
    let x = e.input(Access::Contiguous);
    let y = e.function(f, x);
    e.output(y);
    e.program()
}

fn gelu() -> Program {
    let mut e = Elementwise::new();
    let x = e.input(Access::Contiguous);
    let (scale, half, one) = (e.constant(std::f32::consts::FRAC_1_SQRT_2), e.constant(0.5), e.constant(1.0));
    let t = e.binary(BinaryOp::Mul, x, scale);
    let t = e.function(Function::Erf, t);
    let t = e.binary(BinaryOp::Add, t, one);
    let t = e.binary(BinaryOp::Mul, t, x);
    let y = e.binary(BinaryOp::Mul, t, half);
    e.output(y);
    e.program()
}

fn main() {
    let norm = Normalization { center: true, scale: false, bias: false, epsilon: 1e-5 };
    // The elementwise programs take the number of elements and of rows, then strides, like the row kernels.
    let programs = [
        ("exp", function(Function::Exp)),
        ("log", function(Function::Log)),
        ("tanh", function(Function::Tanh)),
        ("sigmoid", function(Function::Sigmoid)),
        ("erf", function(Function::Erf)),
        ("gelu", gelu()),
        ("softmax", softmax(false)),
        ("log-softmax", softmax(true)),
        ("layer norm", norm.program()),
        ("sum", Reduction::new(ReduceOp::Sum).rows()),
        ("max", Reduction::new(ReduceOp::Max).rows()),
    ];
    let x: Vec<f32> = (0..ROWS * N).map(|i| (i % 97) as f32 * 0.1 - 4.0).collect();
    let mut y = vec![0.0f32; (ROWS * N) as usize];
    for isa in Isa::available() {
        println!("{isa:?}");
        for (name, program) in &programs {
            let mut jit = Jit::new().unwrap();
            let id = jit.define(program, isa).unwrap();
            let code = jit.finish().unwrap();
            let args = [x.as_ptr() as i64, y.as_mut_ptr() as i64, N, ROWS, 4 * N, 4 * N];
            let speed = (0..200)
                .map(|_| {
                    let start = thread_nanoseconds();
                    for _ in 0..20 {
                        // SAFETY: two buffers of ROWS rows of N elements, and the sizes and strides that say so.
                        unsafe { code.call(id, &args) };
                    }
                    (20 * ROWS * N) as f64 / (thread_nanoseconds() - start)
                })
                .fold(0.0, f64::max);
            println!("  {name:12} {speed:6.2} elements/ns");
        }
    }
}
