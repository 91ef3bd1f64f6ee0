//! Generators of kernels, as vector programs and as Cranelift functions around them.

pub mod conv;
pub mod elementwise;
pub mod epilogue;
mod flow;
pub mod gemm;
pub mod rows;
