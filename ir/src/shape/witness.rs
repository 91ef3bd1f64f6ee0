//! Values of symbols with which all facts hold.
//!
//! What is negative for one of them is not at least zero, so no proof of that is searched for: a search that finds
//! nothing is the expensive one.

use super::poly::Poly;
use super::symbol::SymbolKind;
use super::{Constraint, ShapeCx, Sym};

/// Which of the tried values satisfy the facts, a bit for each that does not. Values follow from the number of a symbol,
/// so that nothing is stored for it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Witnesses {
    failed: u32,
}

/// Values that all symbols have: most facts that relate symbols hold when these are equal.
const EQUAL: [i64; 6] = [1, 2, 7, 64, 1000, 4096];
/// Values that symbols have in turn, from a first one on.
const IN_TURN: [i64; 7] = [3, 64, 1, 17, 1000, 2, 129];
const COUNT: u32 = (EQUAL.len() + IN_TURN.len()) as u32;

impl ShapeCx {
    /// The value of a symbol in a witness; indices are in their first iteration.
    fn witness_value(&self, witness: u32, sym: Sym) -> i64 {
        let at = witness as usize;
        match self.kind(sym) {
            SymbolKind::Index { .. } => 0,
            SymbolKind::Size | SymbolKind::Integer => match EQUAL.get(at) {
                Some(value) => *value,
                None => IN_TURN[(at - EQUAL.len() + sym.0 as usize) % IN_TURN.len()],
            },
        }
    }

    /// Behind a new fact.
    pub(super) fn keep_witnesses(&mut self, fact: &Constraint) {
        for witness in
            (0..COUNT).filter(|it| self.facts.witnesses.failed & (1 << it) == 0).collect::<Vec<_>>()
        {
            if self.holds_with(fact, &|sym| Some(self.witness_value(witness, sym))) != Some(true) {
                self.facts.witnesses.failed |= 1 << witness;
            }
        }
    }

    /// Whether a polynomial is below zero for values with which all facts hold.
    pub(super) fn is_negative_at_witness(&self, p: &Poly) -> bool {
        let negative = |witness: u32| {
            self.facts.witnesses.failed & (1 << witness) == 0
                && self.eval_poly(p, &|sym| Some(self.witness_value(witness, sym))).is_some_and(|it| it < 0)
                && self.has_iterations(p, witness)
        };
        (0..COUNT).any(negative)
    }

    /// Whether the loops run whose indices a polynomial mentions: what is asked of an index is asked inside its loop.
    fn has_iterations(&self, p: &Poly, witness: u32) -> bool {
        self.poly_symbols(p).into_iter().all(|sym| match self.kind(sym) {
            SymbolKind::Index { extent } => {
                let runs = self.eval_with(extent, &|sym| Some(self.witness_value(witness, sym)));
                runs.is_some_and(|it| it > 0) && self.has_iterations(self.poly(extent), witness)
            }
            SymbolKind::Size | SymbolKind::Integer => true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Constraint, ShapeCx, Truth};

    #[test]
    fn facts_decide_which_values_refute() {
        let mut cx = ShapeCx::new();
        let (n, m) = (cx.sym("n"), cx.sym("m"));
        let difference = cx.sub(n, m).expect("small");
        assert!(cx.is_negative_at_witness(cx.poly(difference)));
        cx.assume(Constraint::AtLeast(difference, 0)).expect("possible");
        assert!(!cx.is_negative_at_witness(cx.poly(difference)));
        assert_eq!(cx.prove_le(m, n), Truth::Always);
        // No value that is tried is that large, so nothing is refuted any more.
        cx.assume(Constraint::AtLeast(m, 100_000)).expect("possible");
        let small = cx.parse("m - 100").expect("an expression");
        assert!(!cx.is_negative_at_witness(cx.poly(small)));
        assert_eq!(cx.prove_ge(n, m), Truth::Always);
    }

    #[test]
    fn a_loop_that_does_not_run_refutes_nothing() {
        let mut cx = ShapeCx::new();
        let extent = cx.parse("n - 5000").expect("an expression");
        let index = cx.fresh_index("i", extent);
        let rest = cx.sub(extent, index).expect("small");
        assert!(!cx.is_negative_at_witness(cx.poly(rest)));
        let (one, five) = (cx.int(1), cx.int(5000));
        assert_eq!(cx.prove_ge(rest, one), Truth::Always);
        let n = cx.sym("n");
        assert_eq!(cx.prove_ge(n, five), Truth::Unknown);
    }
}
