//! From tensor programs and call plans to native code.

pub mod jit_memory;
pub mod kernels;
pub mod link;
pub mod vector;
