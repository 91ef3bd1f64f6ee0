//! Floor division and what is made of it.

use super::bounds::Known;
use super::poly::{Atom, Mono, Poly, gcd};
use super::{Dim, Overflow, ShapeCx};

impl ShapeCx {
    /// `⌊a / k⌋`, rounding down for negative numerators too; [`Overflow`] if `k` is zero.
    ///
    /// ```
    /// use orogen_ir::shape::ShapeCx;
    ///
    /// let mut cx = ShapeCx::new();
    /// let n = cx.parse("(7*n + 3) // 4 + 1").unwrap();
    /// assert_eq!(n, cx.parse("7*(n + 1) // 4").unwrap());
    /// assert_eq!(cx.parse("(n // 2) // 3"), cx.parse("n // 6"));
    /// ```
    pub fn floor_div(&mut self, a: Dim, k: i64) -> Result<Dim, Overflow> {
        if k == 0 {
            return Err(Overflow);
        }
        if k < 0 {
            let (a, k) = (self.neg(a)?, k.checked_neg().ok_or(Overflow)?);
            return self.floor_div(a, k);
        }
        if let Some(quotient) = self.constant_quotient(self.poly(a), k, Known::Kinds) {
            return Ok(self.int(quotient));
        }
        let p = self.poly(a);
        let quotient = p.map(|c| c.div_euclid(k));
        let remainder = p.map(|c| c.rem_euclid(k));
        // Every coefficient is below k, so the common divisor is too, and k/g is at least 2.
        let g = i64::try_from(gcd(remainder.content(), k.unsigned_abs())).map_err(|_| Overflow)?;
        let floor = if remainder.terms.is_empty() {
            self.int(0)
        } else {
            self.reduced_floor_div(remainder.map(|c| c.div_euclid(g)), k / g)?
        };
        let sum = quotient.add(self.poly(floor))?;
        self.intern(sum)
    }

    /// `⌊p/k⌋` for coefficients in `0..k` that have no divisor in common with `k`.
    fn reduced_floor_div(&mut self, p: Poly, k: i64) -> Result<Dim, Overflow> {
        if let Some(quotient) = self.constant_quotient(&p, k, Known::Kinds) {
            return Ok(self.int(quotient));
        }
        if let Some((numerator, divisor)) = self.nested_floor(&p)
            && let Some(divisor) = divisor.checked_mul(k)
        {
            let numerator = self.intern(numerator)?;
            return self.floor_div(numerator, divisor);
        }
        let numerator = self.intern(p)?;
        self.atom_dim(Atom::FloorDiv(numerator, k))
    }

    /// For `⌊x/j⌋ + c`: the numerator `x + j·c` and the divisor `j`.
    fn nested_floor(&self, p: &Poly) -> Option<(Poly, i64)> {
        let [(mono, 1)] = &p.terms[..] else { return None };
        let [(id, 1)] = mono.0[..] else { return None };
        let Atom::FloorDiv(x, j) = *self.atom(id) else { return None };
        let numerator = self.poly(x).add(&Poly::int(p.constant.checked_mul(j)?)).ok()?;
        Some((numerator, j))
    }

    /// The quotient, if bounds alone decide it.
    pub(super) fn constant_quotient(&self, p: &Poly, k: i64, known: Known) -> Option<i64> {
        let range = self.range(p, known).to_interval();
        let (lo, hi) = (range.lo?.div_euclid(k), range.hi?.div_euclid(k));
        (lo == hi).then_some(lo)
    }

    /// `⌈a / k⌉`; [`Overflow`] if `k` is zero.
    pub fn ceil_div(&mut self, a: Dim, k: i64) -> Result<Dim, Overflow> {
        if k < 0 {
            let (a, k) = (self.neg(a)?, k.checked_neg().ok_or(Overflow)?);
            return self.ceil_div(a, k);
        }
        // k = 0 is left to the division.
        let raised = self.add_int(a, k.saturating_sub(1))?;
        self.floor_div(raised, k)
    }

    /// `a − k·⌊a/k⌋`: it has the sign of `k` (Python's `%`); [`Overflow`] if `k` is zero.
    pub fn modulo(&mut self, a: Dim, k: i64) -> Result<Dim, Overflow> {
        let quotient = self.floor_div(a, k)?;
        let multiple = self.scale(quotient, k)?;
        self.sub(a, multiple)
    }

    /// `a` rounded up to a multiple of `k`.
    pub fn round_up(&mut self, a: Dim, k: i64) -> Result<Dim, Overflow> {
        let quotient = self.ceil_div(a, k)?;
        self.scale(quotient, k)
    }

    /// `⌊a / b⌋` for a symbolic divisor.
    ///
    /// Exact polynomial quotients and common factors cancel: `(b·s·64) / (s·64) = b`.
    /// The division has no value where `b` is zero, and cancelling may give it one there (law S2).
    /// [`Overflow`] if `b` is the constant zero.
    pub fn floor_div_dim(&mut self, a: Dim, b: Dim) -> Result<Dim, Overflow> {
        if let Some(k) = self.as_int(b) {
            return self.floor_div(a, k);
        }
        if self.as_int(a) == Some(0) || a == b {
            return Ok(self.int(i64::from(a == b)));
        }
        if let Some(quotient) = self.poly(a).div_exact(self.poly(b)) {
            return self.intern(quotient);
        }
        let (a, b) = self.cancel_common(a, b)?;
        if let Some(k) = self.as_int(b) {
            return self.floor_div(a, k);
        }
        let (quotient, rest) = split_multiples(self.poly(a), self.poly(b))?;
        let floor = match rest.as_int() {
            Some(0) => self.int(0),
            _ => {
                let rest = self.intern(rest)?;
                self.atom_dim(Atom::FloorDivSym(rest, b))?
            }
        };
        let sum = quotient.add(self.poly(floor))?;
        self.intern(sum)
    }

    /// `a − b·⌊a/b⌋` for a symbolic divisor.
    pub fn modulo_dim(&mut self, a: Dim, b: Dim) -> Result<Dim, Overflow> {
        let quotient = self.floor_div_dim(a, b)?;
        let multiple = self.mul(quotient, b)?;
        self.sub(a, multiple)
    }

    /// `⌈a / b⌉ = −⌊−a / b⌋` for a symbolic divisor.
    pub fn ceil_div_dim(&mut self, a: Dim, b: Dim) -> Result<Dim, Overflow> {
        if let Some(k) = self.as_int(b) {
            return self.ceil_div(a, k);
        }
        let minus = self.neg(a)?;
        let quotient = self.floor_div_dim(minus, b)?;
        self.neg(quotient)
    }

    /// Divides both by their common number and monomial, and makes a one-term divisor positive.
    fn cancel_common(&mut self, a: Dim, b: Dim) -> Result<(Dim, Dim), Overflow> {
        let (p, q) = (self.poly(a), self.poly(b));
        let content = [p, q].iter().fold(0, |g, p| gcd(gcd(g, p.content()), p.constant.unsigned_abs()));
        let monos = || p.terms.iter().chain(&q.terms).map(|term| &term.0);
        let common = match p.constant == 0 && q.constant == 0 {
            true => monos().skip(1).fold(monos().next().cloned().unwrap_or_default(), |g, m| g.gcd(m)),
            false => Mono::default(),
        };
        let sign = match &q.terms[..] {
            [(_, c)] if q.constant == 0 => c.signum(),
            _ => 1,
        };
        let reduce = |p: &Poly| -> Result<Poly, Overflow> {
            let mut out = Poly::int(0);
            for (mono, c) in p.terms.iter().chain(&[(Mono::default(), p.constant)]) {
                let mono = mono.div(&common).unwrap_or_default();
                // In 128 bits: the content is 2^63 when every coefficient is i64::MIN.
                let c = i64::try_from(i128::from(*c) / i128::from(content)).map_err(|_| Overflow)?;
                out = out.add(&Poly::monomial(mono, c))?;
            }
            out.scale(sign)
        };
        let (p, q) = (reduce(p)?, reduce(q)?);
        Ok((self.intern(p)?, self.intern(q)?))
    }
}

/// `a = q·b + r`, moving into `q` whatever contains all of `b`.
///
/// For a divisor of one term every multiple of it moves. For a longer one, a multiple moves only if
/// all its terms stand in `a`, and no two candidates share a term: the result does not depend on the
/// order in which symbols were created.
fn split_multiples(a: &Poly, b: &Poly) -> Result<(Poly, Poly), Overflow> {
    let mut quotient = Poly::int(0);
    if let ([(mono, c)], 0) = (&b.terms[..], b.constant) {
        for (m, x) in &a.terms {
            if let Some(rest) = m.div(mono) {
                quotient = quotient.add(&Poly::monomial(rest, x.div_euclid(*c)))?;
            }
        }
        let rest = a.sub(&quotient.mul(b)?)?;
        return Ok((quotient, rest));
    }
    let Some((first, c)) = b.terms.first() else { return Ok((quotient, a.clone())) };
    let mut candidates: Vec<(Poly, Poly)> = Vec::new();
    for (m, x) in &a.terms {
        let (Some(rest), Some(0)) = (m.div(first), x.checked_rem(*c)) else { continue };
        let step = Poly::monomial(rest, x / c);
        let multiple = step.mul(b)?;
        let contained = multiple.terms.iter().all(|(m, x)| a.coefficient(m) == *x)
            && (multiple.constant == 0 || multiple.constant == a.constant);
        if contained {
            candidates.push((step, multiple));
        }
    }
    let clash = |p: &Poly, q: &Poly| {
        (p.constant != 0 && q.constant != 0) || p.terms.iter().any(|(m, _)| q.coefficient(m) != 0)
    };
    let mut rest = a.clone();
    for (at, (step, multiple)) in candidates.iter().enumerate() {
        let mut others = candidates.iter().enumerate().filter(|(other, _)| *other != at);
        if others.all(|(_, (_, other))| !clash(multiple, other)) {
            quotient = quotient.add(step)?;
            rest = rest.sub(multiple)?;
        }
    }
    Ok((quotient, rest))
}
