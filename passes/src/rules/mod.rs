//! What is known per operator or per kernel, shared by both drivers.

pub mod fold;
pub mod identity;
pub mod memory;
