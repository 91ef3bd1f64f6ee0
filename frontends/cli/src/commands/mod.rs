//! The subcommands.

pub(crate) mod adoption;
pub(crate) mod bench;
pub(crate) mod compile;
pub(crate) mod diff;
pub(crate) mod find;
pub(crate) mod inspect;
pub(crate) mod operators;
pub(crate) mod opt;
pub(crate) mod passes;
pub(crate) mod print;
pub(crate) mod rules;
pub(crate) mod run;
