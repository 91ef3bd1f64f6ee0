//! The checker of canonical forms.

use super::context::operands;
use super::poly::{Atom, Mono, Poly, gcd};
use super::{Dim, MAX_DEGREE, MAX_DEPTH, MAX_OPERANDS, MAX_SIZE, MAX_TERMS, ShapeCx};

impl ShapeCx {
    /// Checks laws S1 and S4 for everything the context holds; reports all violations.
    ///
    /// No public function can break them; this is for tests and fuzzers of this module.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let mut errors = Vec::new();
        for at in 0..self.dims.len() {
            let d = Dim(u32::try_from(at).unwrap_or(u32::MAX));
            let mut report = |law: &str| errors.push(format!("`{}`: {law}", self.display(d)));
            self.check_s4_sum(d, &mut report);
            for &(id, power) in self.poly(d).terms.iter().flat_map(|(mono, _)| &mono.0) {
                if power == 0 {
                    report("S4: a factor to the power zero");
                }
                if operands(self.atom(id)).any(|operand| operand >= d) {
                    report("S1: an operand made after the expression that holds it");
                }
                self.check_s4_atom(self.atom(id), &mut report);
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn check_s4_sum(&self, d: Dim, report: &mut dyn FnMut(&str)) {
        let Poly { terms, .. } = self.poly(d);
        if !terms.is_sorted_by(|a, b| a.0 < b.0) {
            report("S4: terms out of order or repeated");
        }
        if terms.iter().any(|(mono, c)| *c == 0 || mono.is_one()) {
            report("S4: a coefficient zero, or a constant among the terms");
        }
        if terms.iter().any(|(Mono(factors), _)| !factors.is_sorted_by(|a, b| a.0 < b.0)) {
            report("S4: factors out of order or repeated");
        }
        let measure = self.measure(d);
        if terms.len() > MAX_TERMS
            || terms.iter().any(|(mono, _)| mono.degree() > MAX_DEGREE)
            || measure.size > MAX_SIZE
            || measure.depth > MAX_DEPTH
        {
            report("S4: beyond a limit");
        }
    }

    fn check_s4_atom(&self, atom: &Atom, report: &mut dyn FnMut(&str)) {
        match atom {
            Atom::Sym(sym) => {
                if sym.0 as usize >= self.symbols.len() {
                    report("S4: a symbol of another context");
                }
            }
            Atom::FloorDiv(a, k) => {
                let p = self.poly(*a);
                if *k < 2 || p.as_int().is_some() {
                    report("S4: a division of or by a constant that should have been computed");
                } else if p.map(|c| c.rem_euclid(*k)) != *p {
                    report("S4: a multiple of the divisor left in the numerator");
                } else if gcd(p.content(), k.unsigned_abs()) != 1 {
                    report("S4: a common divisor left in a division");
                }
            }
            Atom::FloorDivSym(_, b) => {
                if self.as_int(*b).is_some() {
                    report("S4: a symbolic division by a constant");
                }
            }
            Atom::Min(list) | Atom::Max(list) | Atom::Broadcast(list) => {
                if list.len() < 2 || list.len() > MAX_OPERANDS || !list.is_sorted_by(|a, b| a < b) {
                    report("S4: operands out of order, repeated, or of a wrong number");
                }
                let same = |d: &Dim| {
                    let nested = self.poly(*d).as_atom().map(|id| self.atom(id));
                    nested
                        .is_some_and(|nested| std::mem::discriminant(nested) == std::mem::discriminant(atom))
                };
                if list.iter().any(same) {
                    report("S4: an operand of the operation that it is an operand of");
                }
            }
        }
    }
}
