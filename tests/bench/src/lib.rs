//! How fast kernels are: every class of kernel, every element type, every encoder.
//!
//! A [`Class`] is a small model of one kernel. It is built with the dataflow IR's builder, compiled through the public
//! driver, and run on one thread; the time of a call is the least of many, less that of a call that computes one
//! element. The table (`cargo xtask bench kernels`) is kept in `tests/bench/kernels.md`.
//!
//! # Model
//! What `f32` takes is what the machine gives for that kind of kernel. A type is allowed the same time, scaled by its
//! [`Scale`]: by the bytes of its elements, and where more than moving is done by the bytes of the lanes that compute it.
//! The share of a cell is the allowed time by the measured one.
//!
//! Modules in reading order: `model` (builds one), `classes` (the table of them), `irregular` (some of
//! its kernels), `measure`, `table`.

mod classes;
mod irregular;
mod measure;
mod model;
mod table;

pub use classes::{CLASSES, Class, Scale};
pub use measure::{Cell, Effort, cell, overhead};
pub use table::{Column, machine, render, summary, today};

use orogen::{Cpu, ir::types::DType};

/// The element types of the table.
pub const TYPES: [DType; 10] = [
    DType::F32,
    DType::F64,
    DType::F16,
    DType::BF16,
    DType::I64,
    DType::I32,
    DType::I16,
    DType::I8,
    DType::U8,
    DType::Bool,
];

/// The instructions that this machine runs.
pub fn cpus() -> Vec<Cpu> {
    use orogen_codegen::vector::Isa;
    Isa::available()
        .into_iter()
        .map(|isa| match isa {
            Isa::Clif128 => Cpu::Baseline,
            Isa::Avx2 => Cpu::Avx2,
            Isa::Avx512 => Cpu::Avx512,
            Isa::Avx512Vnni => Cpu::Avx512Vnni,
        })
        .collect()
}
