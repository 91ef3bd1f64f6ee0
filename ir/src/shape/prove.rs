//! Questions and the order of the means that answer them.

use super::bounds::Known;
use super::congruence::REWRITES;
use super::poly::Poly;
use super::search::Search;
use super::{Dim, Overflow, ShapeCx, Truth};

impl ShapeCx {
    /// Whether `a = b`.
    ///
    /// ```
    /// use orogen_ir::shape::{Constraint, ShapeCx, Truth};
    ///
    /// let mut cx = ShapeCx::new();
    /// let (n, m) = (cx.sym("n"), cx.sym("m"));
    /// assert_eq!(cx.prove_eq(n, m), Truth::Unknown);
    /// cx.assume(Constraint::Eq(n, m)).unwrap();
    /// assert_eq!(cx.prove_eq(n, m), Truth::Always);
    /// let even = cx.parse("2*n").unwrap();
    /// let odd = cx.parse("2*m + 1").unwrap();
    /// assert_eq!(cx.prove_eq(even, odd), Truth::Never);
    /// ```
    pub fn prove_eq(&self, a: Dim, b: Dim) -> Truth {
        if a == b {
            return Truth::Always;
        }
        let Ok(d) = self.poly(a).sub(self.poly(b)) else { return Truth::Unknown };
        self.is_zero(&d)
    }

    /// Whether `a ≤ b`.
    pub fn prove_le(&self, a: Dim, b: Dim) -> Truth {
        // The difference of numbers may be none.
        match (self.as_int(a), self.as_int(b)) {
            (Some(a), Some(b)) => Truth::from(a <= b),
            _ => self.sign(self.poly(b).sub(self.poly(a))),
        }
    }

    /// Whether `a ≤ b` is proven; it is not asked whether it never holds, which takes as long again.
    pub fn is_le(&self, a: Dim, b: Dim) -> bool {
        let difference = self.poly(b).sub(self.poly(a));
        difference.is_ok_and(|it| self.at_least_zero(&self.without_exact_quotients(&it)))
    }

    /// Whether `a < b`.
    pub fn prove_lt(&self, a: Dim, b: Dim) -> Truth {
        !self.prove_le(b, a)
    }

    /// Whether `a ≥ b`.
    pub fn prove_ge(&self, a: Dim, b: Dim) -> Truth {
        self.prove_le(b, a)
    }

    /// Whether `a > b`.
    pub fn prove_gt(&self, a: Dim, b: Dim) -> Truth {
        self.prove_lt(b, a)
    }

    /// Whether `k` divides `d`; for `k = 0`, whether `d = 0`.
    pub fn divides(&self, k: i64, d: Dim) -> Truth {
        match k.unsigned_abs() {
            0 => self.is_zero(self.poly(d)),
            k => self.poly_divides(k, self.poly(d), REWRITES),
        }
    }

    pub(super) fn known_le(&self, a: Dim, b: Dim, known: Known) -> bool {
        let Ok(d) = self.poly(b).sub(self.poly(a)) else { return false };
        match known {
            Known::Kinds => self.range(&d, known).lo >= 0,
            Known::Facts => self.at_least_zero(&d),
        }
    }

    pub(super) fn is_zero(&self, d: &Poly) -> Truth {
        if let Some(value) = d.as_int() {
            return if value == 0 { Truth::Always } else { Truth::Never };
        }
        let reduced = self.reduce_by_equations(&self.without_exact_quotients(d));
        if let Some(value) = reduced.as_int() {
            return if value == 0 { Truth::Always } else { Truth::Never };
        }
        for d in [d, &reduced] {
            // A sum of multiples of m that is not a multiple of m itself is not zero.
            let modulus = self.modulus(d);
            if modulus > 1 && !d.constant.unsigned_abs().is_multiple_of(modulus) {
                return Truth::Never;
            }
        }
        let Ok(minus) = d.scale(-1) else { return Truth::Unknown };
        let mut search = Search::new(self, d);
        let mut above = |p: &Poly, k: i64| p.add(&Poly::int(-k)).is_ok_and(|p| search.at_least_zero(&p));
        // What is not proven to reach 0 is not proven to reach 1.
        match above(d, 0) {
            true if above(&minus, 0) => Truth::Always,
            true if above(d, 1) => Truth::Never,
            false if above(&minus, 1) => Truth::Never,
            _ => Truth::Unknown,
        }
    }

    /// Whether the polynomial is at least zero.
    pub(super) fn sign(&self, d: Result<Poly, Overflow>) -> Truth {
        let Ok(d) = d else { return Truth::Unknown };
        let d = self.without_exact_quotients(&d);
        let mut search = Search::new(self, &d);
        if search.at_least_zero(&d) {
            return Truth::Always;
        }
        let below = d.scale(-1).and_then(|minus| minus.add(&Poly::int(-1)));
        if below.is_ok_and(|below| search.at_least_zero(&below)) { Truth::Never } else { Truth::Unknown }
    }

    /// Whether a proof of `d ≥ 0` was found.
    pub(super) fn at_least_zero(&self, d: &Poly) -> bool {
        Search::new(self, d).at_least_zero(d)
    }
}
