//! From tensor programs and call plans to native code.

pub mod jit_memory;
pub mod link;
pub mod vector;
