//! Tensor programs and call plans as Cranelift functions.
//!
//! Modules in reading order: [`unit`] (a function and what it refers to), [`size`] (symbolic integers), [`scalar`]
//! (elements), [`math`] (elementary functions), [`nest`] (loops), [`kernel`] (tensor programs) with [`lowering`] (their phases), [`support`] (memory,
//! errors, tensors, with a host and without), [`entry`] (call plans).

pub(crate) mod entry;
pub(crate) mod kernel;
pub(crate) mod lowering;
pub(crate) mod math;
mod narrow;
mod nest;
pub(crate) mod scalar;
pub(crate) mod size;
pub(crate) mod support;
pub(crate) mod unit;
