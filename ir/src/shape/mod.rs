//! Symbolic integers: sizes, index expressions, and what is known about them.
//!
//! A [`Dim`] is a handle to an integer expression over symbols, owned by a [`ShapeCx`].
//! Shapes of tensors, extents of loops, offsets into buffers and the memory plan all use it:
//! there is one arithmetic in the whole compiler.
//!
//! ```
//! use orogen_ir::shape::{Constraint, Env, ShapeCx, Truth};
//!
//! let mut cx = ShapeCx::new();
//! let n = cx.sym("n");
//!
//! // Arithmetic is canonical: equal expressions are equal handles.
//! let padded = cx.parse("ceildiv(n, 8)*8").unwrap();
//! let same = cx.round_up(n, 8).unwrap();
//! assert_eq!(padded, same);
//! assert_eq!(cx.display(padded).to_string(), "8*floordiv(n + 7, 8)");
//!
//! // Questions have three answers, and facts turn `Unknown` into something better.
//! assert_eq!(cx.prove_eq(padded, n), Truth::Unknown);
//! cx.assume(Constraint::Multiple(n, 8)).unwrap();
//! assert_eq!(cx.prove_eq(padded, n), Truth::Always);
//!
//! // Values.
//! let env = Env::from_iter([(cx.as_sym(n).unwrap(), 24)]);
//! assert_eq!(cx.eval(padded, &env), Some(24));
//! ```
//!
//! # Canonical form
//!
//! An expression is a polynomial with 64-bit integer coefficients over [`Atom`]s: symbols, and operations that
//! do not distribute over sums (floor division, minimum, maximum, broadcast).
//! Subtraction, ceiling division and modulo are no nodes: `a mod b` is `a − b·⌊a/b⌋`,
//! so `4·⌊s/4⌋ + s mod 4 = s` holds without a rule.
//! Division rounds down, also for negative numerators; with it these rules need no sign conditions:
//!
//! 1. products are expanded, equal monomials collected;
//! 2. `⌊(k·p + r)/k⌋ = p + ⌊r/k⌋`, every coefficient of `r` in `0..k`;
//! 3. `⌊(g·p + c)/(g·k)⌋ = ⌊(p + ⌊c/g⌋)/k⌋`;
//! 4. `⌊(⌊x/a⌋ + c)/b⌋ = ⌊(x + a·c)/(a·b)⌋`;
//! 5. by a symbolic divisor: exact quotients, common factors, and contained multiples cancel;
//! 6. minimum, maximum and broadcast are flat, sorted, and without operands that another one makes superfluous;
//! 7. a division whose value the kinds of symbols decide is that number.
//!
//! The form decides linear questions over symbols and floor divisions most of the time.
//! It is not complete (nothing is, with products and divisions together): `n − ⌊n/2⌋` and `⌊(n+1)/2⌋`
//! are equal and two handles. [`prove_eq`](ShapeCx::prove_eq) knows more than `==`.
//!
//! # Laws
//!
//! - **S1** Within a context, equal polynomials over the same atoms are one handle;
//!   operands of an atom are made before it. A handle means something in its context and its clones only.
//! - **S2** The value of a result is the value of the operation on mathematical integers,
//!   wherever the operation has one and it fits. Where it has none (a divisor is zero, extents do not broadcast), the
//!   result may have any.
//! - **S3** Canonical forms are fixed points: rebuilding an expression from its parts gives the same handle.
//! - **S4** Form: terms and factors sorted and without repetition, no coefficient zero, rules 2, 3 and 6 exhausted,
//!   everything within the limits [`MAX_TERMS`], [`MAX_DEGREE`], [`MAX_SIZE`], [`MAX_DEPTH`], [`MAX_OPERANDS`].
//! - **S5** `parse(display(d)) = d`, and the text does not depend on the order in which symbols were made.
//! - **S6** Facts never change a handle. Simplification with facts happens on request:
//!   [`simplify`](ShapeCx::simplify).
//! - **S7** [`Truth::Always`], [`Truth::Never`] and [`bounds`](ShapeCx::bounds) hold for all values that satisfy
//!   the facts. [`Truth::Unknown`] is always allowed, and becomes a check at run time.
//! - **S8** Nothing here panics on any text or number. What does not fit is an [`Overflow`].
//! - **S9** Simplification keeps the value wherever the facts hold and it fits, never grows an expression,
//!   and is idempotent.
//! - **S10** What follows from `0 ≤ i < extent` is used only in questions that mention the index `i`:
//!   where a loop does not run, its extent may be zero.
//!
//! [`ShapeCx::check`] verifies S1 and S4; [`testing`] states the others as properties of random expressions.
//!
//! # Facts
//!
//! A symbol has a kind from its creation ([`SymbolKind`]): a size is at least 0, an index lies below its extent,
//! an integer may be anything. Kinds never change, so canonical forms may use them.
//! Facts ([`Constraint`]) come later, from the model, the user, and checks that ran.
//! Proofs try, in this order: equal handles, reduction by assumed equations, congruences,
//! interval arithmetic that cancels floor divisions, and a bounded search for a combination of facts.
//! All limits are counts, so an answer never depends on the speed of a machine.

mod arith;
mod bounds;
mod broadcast;
mod check;
mod congruence;
mod context;
mod display;
mod divide;
mod eval;
mod extremes;
mod facts;
mod lexer;
mod parse;
mod poly;
mod prove;
mod scope;
mod search;
mod simplify;
mod symbol;
pub mod testing;
#[cfg(test)]
mod tests;
mod transfer;
mod witness;

pub use arith::MAX_OPERANDS;
pub use bounds::Interval;
pub use context::{MAX_DEPTH, MAX_SIZE, ShapeCx};
pub use display::DisplayDim;
pub use eval::{Env, broadcast_extents};
pub use extremes::End;
pub use facts::{Constraint, Contradiction};
pub use lexer::ParseDimError;
pub use poly::{Atom, AtomId, Factor, MAX_DEGREE, MAX_TERMS, Poly, gcd};
pub use scope::SavedFacts;
pub use symbol::{MAX_INTEGER, SymbolKind};

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

impl From<bool> for Truth {
    fn from(holds: bool) -> Truth {
        if holds { Truth::Always } else { Truth::Never }
    }
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
