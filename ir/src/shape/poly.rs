//! Polynomials over atoms: the canonical form of a symbolic integer.
//!
//! Everything here is plain arithmetic on values; interning lives in [`super::context`].

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::{Dim, Overflow, Sym};

/// The most terms a polynomial may have; beyond it arithmetic reports [`Overflow`].
pub const MAX_TERMS: usize = 128;
/// The largest total degree of a monomial; beyond it arithmetic reports [`Overflow`].
pub const MAX_DEGREE: u32 = 64;

/// Handle of an [`Atom`] inside one [`ShapeCx`](super::ShapeCx).
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AtomId(pub(super) u32);

/// What a polynomial is built from: a symbol, or an operation that does not distribute over sums.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Atom {
    /// A symbol.
    Sym(Sym),
    /// `⌊numerator / divisor⌋` with a divisor of at least 2.
    FloorDiv(Dim, i64),
    /// `⌊numerator / denominator⌋`, the denominator not a constant.
    /// It has no value where the denominator is zero.
    FloorDivSym(Dim, Dim),
    /// The least of two or more operands, sorted by handle, without duplicates.
    Min(SmallVec<[Dim; 2]>),
    /// The greatest of two or more operands, sorted by handle, without duplicates.
    Max(SmallVec<[Dim; 2]>),
    /// What two or more operands broadcast to, sorted by handle, without duplicates: the one that is not 1.
    /// It has no value where operands other than 1 differ.
    Broadcast(SmallVec<[Dim; 2]>),
}

/// An atom and its power, at least 1.
pub type Factor = (AtomId, u32);

/// A product of atom powers, sorted by atom.
/// The empty product (one) never occurs in a polynomial: the constant is kept apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Mono(pub(super) SmallVec<[Factor; 2]>);

impl Mono {
    pub(super) fn atom(id: AtomId) -> Mono {
        Mono(SmallVec::from_slice(&[(id, 1)]))
    }

    pub(super) fn is_one(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn degree(&self) -> u32 {
        self.0.iter().map(|f| f.1).sum()
    }

    pub(super) fn power_of(&self, id: AtomId) -> u32 {
        self.0.iter().find(|f| f.0 == id).map_or(0, |f| f.1)
    }

    pub(super) fn mul(&self, other: &Mono) -> Result<Mono, Overflow> {
        let (mut out, mut a, mut b) = (SmallVec::new(), &self.0[..], &other.0[..]);
        while let (Some(x), Some(y)) = (a.first(), b.first()) {
            let order = x.0.cmp(&y.0);
            match order {
                Ordering::Less => out.push(*x),
                Ordering::Greater => out.push(*y),
                Ordering::Equal => out.push((x.0, x.1 + y.1)),
            }
            a = &a[usize::from(order.is_le())..];
            b = &b[usize::from(order.is_ge())..];
        }
        out.extend_from_slice(a);
        out.extend_from_slice(b);
        let product = Mono(out);
        if product.degree() > MAX_DEGREE { Err(Overflow) } else { Ok(product) }
    }

    /// `self / other`, if it is a product of atoms.
    pub(super) fn div(&self, other: &Mono) -> Option<Mono> {
        if other.0.iter().any(|&(id, power)| self.power_of(id) < power) {
            return None;
        }
        let rest = self.0.iter().map(|&(id, power)| (id, power - other.power_of(id)));
        Some(Mono(rest.filter(|f| f.1 > 0).collect()))
    }

    /// The greatest product of atoms that divides both.
    pub(super) fn gcd(&self, other: &Mono) -> Mono {
        let common = self.0.iter().map(|&(id, power)| (id, power.min(other.power_of(id))));
        Mono(common.filter(|f| f.1 > 0).collect())
    }

    /// Graded lexicographic order: total degree first.
    /// It respects multiplication, as polynomial division needs.
    pub(super) fn graded_cmp(&self, other: &Mono) -> Ordering {
        let lexicographic = || {
            let (mut a, mut b) = (self.0.iter(), other.0.iter());
            loop {
                return match (a.next(), b.next()) {
                    (Some(x), Some(y)) if x == y => continue,
                    // The smaller atom is the more significant variable.
                    (Some(x), Some(y)) => y.0.cmp(&x.0).then(x.1.cmp(&y.1)),
                    (x, y) => x.is_some().cmp(&y.is_some()),
                };
            }
        };
        self.degree().cmp(&other.degree()).then_with(lexicographic)
    }
}

/// A polynomial with integer coefficients: a constant and sorted terms, no coefficient zero.
///
/// Two equal polynomials over the same atoms are equal values; interning makes them one [`Dim`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Poly {
    pub(super) constant: i64,
    pub(super) terms: SmallVec<[(Mono, i64); 2]>,
}

impl Poly {
    /// The constant term.
    pub fn constant(&self) -> i64 {
        self.constant
    }

    /// The other terms: the factors of the monomial, each an atom and its power, and the coefficient.
    ///
    /// The order follows interning and is stable within a context; use
    /// [`ShapeCx::display`](super::ShapeCx::display) for an order that depends on names alone.
    pub fn terms(&self) -> impl ExactSizeIterator<Item = (&[Factor], i64)> {
        self.terms.iter().map(|(mono, coefficient)| (&mono.0[..], *coefficient))
    }

    /// The value, if there are no terms.
    pub fn as_int(&self) -> Option<i64> {
        self.terms.is_empty().then_some(self.constant)
    }

    /// The atom, if the polynomial is nothing but one atom.
    pub fn as_atom(&self) -> Option<AtomId> {
        match (&self.terms[..], self.constant) {
            ([(mono, 1)], 0) => match mono.0[..] {
                [(id, 1)] => Some(id),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn int(constant: i64) -> Poly {
        Poly { constant, terms: SmallVec::new() }
    }

    pub(super) fn of_atom(id: AtomId) -> Poly {
        Poly::monomial(Mono::atom(id), 1)
    }

    pub(super) fn monomial(mono: Mono, coefficient: i64) -> Poly {
        match coefficient {
            0 => Poly::int(0),
            c if mono.is_one() => Poly::int(c),
            c => Poly { constant: 0, terms: SmallVec::from_iter([(mono, c)]) },
        }
    }

    pub(super) fn coefficient(&self, mono: &Mono) -> i64 {
        match self.terms.binary_search_by(|term| term.0.cmp(mono)) {
            Ok(at) => self.terms[at].1,
            Err(_) => 0,
        }
    }

    pub(super) fn add(&self, other: &Poly) -> Result<Poly, Overflow> {
        self.add_scaled(other, 1)
    }

    pub(super) fn sub(&self, other: &Poly) -> Result<Poly, Overflow> {
        self.add_scaled(other, -1)
    }

    pub(super) fn scale(&self, k: i64) -> Result<Poly, Overflow> {
        Poly::int(0).add_scaled(self, k)
    }

    /// `self + k·other`: one merge of two sorted lists.
    pub(super) fn add_scaled(&self, other: &Poly, k: i64) -> Result<Poly, Overflow> {
        let combine = |a: i64, b: i64| {
            i64::try_from(i128::from(a) + i128::from(b) * i128::from(k)).map_err(|_| Overflow)
        };
        let mut out = Poly::int(combine(self.constant, other.constant)?);
        let (mut a, mut b) = (&self.terms[..], &other.terms[..]);
        loop {
            let order = match (a.first(), b.first()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(x), Some(y)) => x.0.cmp(&y.0),
            };
            let (mono, coefficient) = match order {
                Ordering::Less => (&a[0].0, a[0].1),
                Ordering::Greater => (&b[0].0, combine(0, b[0].1)?),
                Ordering::Equal => (&a[0].0, combine(a[0].1, b[0].1)?),
            };
            if coefficient != 0 {
                out.terms.push((mono.clone(), coefficient));
            }
            a = &a[usize::from(order.is_le())..];
            b = &b[usize::from(order.is_ge())..];
        }
        if out.terms.len() > MAX_TERMS { Err(Overflow) } else { Ok(out) }
    }

    /// `self · coefficient · mono`.
    pub(super) fn mul_term(&self, mono: &Mono, coefficient: i64) -> Result<Poly, Overflow> {
        self.mul(&Poly::monomial(mono.clone(), coefficient))
    }

    pub(super) fn mul(&self, other: &Poly) -> Result<Poly, Overflow> {
        if let Some(k) = self.as_int() {
            return other.scale(k);
        }
        if let Some(k) = other.as_int() {
            return self.scale(k);
        }
        let one = Mono::default();
        let all = |p: &Poly| {
            let mut terms: Vec<(Mono, i64)> = p.terms.to_vec();
            if p.constant != 0 {
                terms.push((one.clone(), p.constant));
            }
            terms
        };
        let mut products: Vec<(Mono, i128)> = Vec::new();
        let right = all(other);
        for (a, x) in all(self) {
            for (b, y) in &right {
                products.push((a.mul(b)?, i128::from(x) * i128::from(*y)));
            }
        }
        products.sort_by(|a, b| a.0.cmp(&b.0));
        let mut out = Poly::int(0);
        for group in products.chunk_by(|a, b| a.0 == b.0) {
            // At most 2^14 products of two 63-bit numbers: the sum can pass 127 bits.
            let sum = group.iter().try_fold(0_i128, |sum, term| sum.checked_add(term.1)).ok_or(Overflow)?;
            let sum = i64::try_from(sum).map_err(|_| Overflow)?;
            if group[0].0.is_one() {
                out.constant = sum;
            } else if sum != 0 {
                out.terms.push((group[0].0.clone(), sum));
            }
        }
        if out.terms.len() > MAX_TERMS { Err(Overflow) } else { Ok(out) }
    }

    /// The greatest common divisor of the coefficients of the terms, without the constant; 0 if there are none.
    pub(super) fn content(&self) -> u64 {
        self.terms.iter().fold(0, |g, term| gcd(g, term.1.unsigned_abs()))
    }

    /// Applies `f` to the constant and to every coefficient.
    pub(super) fn map(&self, mut f: impl FnMut(i64) -> i64) -> Poly {
        let constant = f(self.constant);
        let terms = self.terms.iter().map(|(mono, c)| (mono.clone(), f(*c)));
        Poly { constant, terms: terms.filter(|term| term.1 != 0).collect() }
    }

    /// The term that is greatest in graded order, the constant last; `None` for zero.
    pub(super) fn leading(&self) -> Option<(Mono, i64)> {
        match self.terms.iter().max_by(|a, b| a.0.graded_cmp(&b.0)) {
            Some(term) => Some(term.clone()),
            None if self.constant != 0 => Some((Mono::default(), self.constant)),
            None => None,
        }
    }

    /// The polynomial `q` with `self = q·other`, if there is one with integer coefficients.
    pub(super) fn div_exact(&self, other: &Poly) -> Option<Poly> {
        let (lead, lead_coefficient) = other.leading()?;
        let (mut rest, mut quotient) = (self.clone(), Poly::int(0));
        // Each step removes the leading term of the rest and the quotient gains one term.
        for _ in 0..=MAX_TERMS {
            let Some((mono, coefficient)) = rest.leading() else {
                return Some(quotient);
            };
            if coefficient.checked_rem(lead_coefficient)? != 0 {
                return None;
            }
            let step = Poly::monomial(mono.div(&lead)?, coefficient / lead_coefficient);
            rest = rest.sub(&other.mul(&step).ok()?).ok()?;
            quotient = quotient.add(&step).ok()?;
        }
        None
    }
}

/// The greatest common divisor of two numbers, of which one may be 0.
pub fn gcd(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
