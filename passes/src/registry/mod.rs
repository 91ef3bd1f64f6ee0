//! The passes that can be named, and the pipelines that are made of them.
//!
//! One table ([`STANDARD`]) holds what ships, in the order in which it runs; a user adds to it at any place. The pipelines
//! that run by default are those of its rows whose class is admitted, and what a user lists is made of the same rows.
//!
//! # Laws
//! * **Y1** A name is one pass on either path.
//! * **Y2** The order of the table is one order for all pipelines: a pass of two of them stands between the same passes in
//!   both, unless a list says otherwise.
//! * **Y3** What `--accuracy` does not admit does not run, whether a list names it or not.
//!
//! Modules in reading order: `settings`, `definition`, `standard`, `named` (pipelines that have names), `passes`, `page`.

mod definition;
mod named;
mod page;
mod passes;
mod settings;
mod standard;
#[cfg(test)]
mod tests;

pub use definition::{Make, Parts, PassClass, PassDef, When};
pub use named::{NAMED, NamedPipeline};
pub use page::standard_page;
pub use passes::{OTHER_PATH, PLAN_MEMORY, PassRow, PassTable, Passes, Path, TRANSLATE, TURNS, Turn};
pub use settings::{OptionDef, OptionKind, Settings};
pub use standard::{STANDARD, fuse_attention};
