//! What is known per operator or per kernel, shared by both drivers.

pub mod activations;
pub mod apply;
pub mod attention;
pub mod chains;
mod constants;
pub mod donation;
pub mod explored;
pub mod fold;
pub mod fusion;
pub mod identity;
pub mod kernels;
pub mod legalize;
pub mod memory;
pub mod moves;
pub mod order;
pub mod places;
pub mod precision;
pub mod quantized;
pub mod requantize;
pub mod scales;
pub mod simplify;
pub mod state;
mod structure;
pub mod table;
pub mod transposed;
pub mod weights;
