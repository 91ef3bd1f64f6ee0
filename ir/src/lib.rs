//! The intermediate representations of Orogen and what they share.

pub mod shape;
