//! Commuting squares: a ported step against its legacy form, on generated graphs.
//!
//! ```text
//!  graph ──legacy pass──▶ graph
//!    │ translate            │ translate
//!    ▼                      ▼
//!  flow  ──flow pass────▶ flow
//! ```
//!
//! Both ways around must compute the same, by the reference interpreter; what more each square asks stands with it.
//! The ledger names its squares; [`SQUARES`] is what there is.
//!
//! Modules in reading order: `random`, `generate`, `square`.

mod generate;
mod random;
mod square;

pub use generate::{Sample, sample};
pub use random::Random;
pub use square::{SQUARES, Square};
