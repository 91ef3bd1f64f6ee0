//! Symbolic integers: sizes, index expressions, and what is known about them.

mod arith;
mod bounds;
mod check;
mod context;
mod dim_param;
mod display;
mod divide;
mod eval;
mod facts;
mod lexer;
mod parse;
mod poly;
mod prove;
mod scope;
mod simplify;
pub mod testing;
#[cfg(test)]
mod tests;
mod transfer;

pub use arith::MAX_OPERANDS;
pub use bounds::Interval;
pub use context::{MAX_DEPTH, MAX_SIZE, ShapeCx, SymbolKind};
pub use display::DisplayDim;
pub use eval::Env;
pub use facts::{Constraint, Contradiction};
pub use lexer::ParseDimError;
pub use poly::{Atom, AtomId, Factor, MAX_DEGREE, MAX_TERMS, Poly};
pub use scope::SavedFacts;

/// Handle of an interned symbolic integer.
///
/// Equal handles of one context are equal expressions; see the laws of this module.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dim(u32);

/// Handle of a symbol.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sym(u32);

/// The answer to a symbolic question.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Truth {
    /// It holds for all values that satisfy the facts.
    Always,
    /// It fails for all values that satisfy the facts.
    Never,
    /// Not decided: it depends on the values, or the prover gave up. Check at run time.
    Unknown,
}

impl Truth {
    /// Whether the answer is [`Truth::Always`].
    pub fn is_always(self) -> bool {
        self == Truth::Always
    }

    /// Whether the answer is [`Truth::Never`].
    pub fn is_never(self) -> bool {
        self == Truth::Never
    }

    /// Holds when both hold.
    pub fn and(self, other: Truth) -> Truth {
        match (self, other) {
            (Truth::Never, _) | (_, Truth::Never) => Truth::Never,
            (Truth::Always, Truth::Always) => Truth::Always,
            _ => Truth::Unknown,
        }
    }
}

impl std::ops::Not for Truth {
    type Output = Truth;

    fn not(self) -> Truth {
        match self {
            Truth::Always => Truth::Never,
            Truth::Never => Truth::Always,
            Truth::Unknown => Truth::Unknown,
        }
    }
}

/// A symbolic integer cannot be represented: a coefficient beyond 64 bits, a division by zero,
/// an empty minimum or maximum, or an expression beyond the limits on terms, degree, size or depth.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Overflow;

impl std::fmt::Display for Overflow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "symbolic integer out of range: beyond 64 bits, divided by zero, or too large an expression",
        )
    }
}

impl std::error::Error for Overflow {}
