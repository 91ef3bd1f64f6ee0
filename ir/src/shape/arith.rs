//! Sums, products, minima and maxima.

use smallvec::SmallVec;

use super::bounds::Known;
use super::poly::{Atom, Poly};
use super::{Dim, Overflow, ShapeCx};

/// The most operands of one minimum, maximum or broadcast; beyond it arithmetic reports [`Overflow`].
pub const MAX_OPERANDS: usize = 32;

impl ShapeCx {
    /// `a + b`.
    pub fn add(&mut self, a: Dim, b: Dim) -> Result<Dim, Overflow> {
        let sum = self.poly(a).add(self.poly(b))?;
        self.intern(sum)
    }

    /// `a − b`.
    pub fn sub(&mut self, a: Dim, b: Dim) -> Result<Dim, Overflow> {
        let difference = self.poly(a).sub(self.poly(b))?;
        self.intern(difference)
    }

    /// `a · b`, expanded into a sum of products.
    pub fn mul(&mut self, a: Dim, b: Dim) -> Result<Dim, Overflow> {
        let product = self.poly(a).mul(self.poly(b))?;
        self.intern(product)
    }

    /// `−a`.
    pub fn neg(&mut self, a: Dim) -> Result<Dim, Overflow> {
        self.scale(a, -1)
    }

    /// `a · k`.
    pub fn scale(&mut self, a: Dim, k: i64) -> Result<Dim, Overflow> {
        let product = self.poly(a).scale(k)?;
        self.intern(product)
    }

    /// `a + k`.
    pub fn add_int(&mut self, a: Dim, k: i64) -> Result<Dim, Overflow> {
        let sum = self.poly(a).add(&Poly::int(k))?;
        self.intern(sum)
    }

    /// The sum of all operands, 0 if there are none.
    pub fn sum(&mut self, operands: &[Dim]) -> Result<Dim, Overflow> {
        let mut sum = Poly::int(0);
        for &d in operands {
            sum = sum.add(self.poly(d))?;
        }
        self.intern(sum)
    }

    /// The product of all operands, 1 if there are none: the number of elements of a shape.
    ///
    /// A zero among the operands makes the product zero, even where a partial product would overflow.
    pub fn product(&mut self, operands: &[Dim]) -> Result<Dim, Overflow> {
        if operands.iter().any(|&d| self.as_int(d) == Some(0)) {
            return Ok(self.int(0));
        }
        let mut product = Poly::int(1);
        for &d in operands {
            product = product.mul(self.poly(d))?;
        }
        self.intern(product)
    }

    /// The least of the operands.
    ///
    /// Drops operands that are never less than another one, as far as the kinds of the symbols tell;
    /// facts are used by [`simplify`](ShapeCx::simplify) only (law S6).
    /// An empty list has no least element and is reported as [`Overflow`].
    pub fn min(&mut self, operands: &[Dim]) -> Result<Dim, Overflow> {
        self.extremum(operands, Extremum::Min, Known::Kinds)
    }

    /// The greatest of the operands; see [`min`](ShapeCx::min).
    pub fn max(&mut self, operands: &[Dim]) -> Result<Dim, Overflow> {
        self.extremum(operands, Extremum::Max, Known::Kinds)
    }

    /// An operation on a list with other operands.
    pub(super) fn rebuild_list(
        &mut self,
        atom: &Atom,
        operands: &[Dim],
        known: Known,
    ) -> Result<Dim, Overflow> {
        match atom {
            Atom::Min(_) => self.extremum(operands, Extremum::Min, known),
            Atom::Max(_) => self.extremum(operands, Extremum::Max, known),
            _ => self.broadcast_known(operands, known),
        }
    }

    fn extremum(&mut self, operands: &[Dim], which: Extremum, known: Known) -> Result<Dim, Overflow> {
        let mut list: SmallVec<[Dim; 2]> = SmallVec::new();
        for &d in operands {
            let nested = self.poly(d).as_atom().map(|id| self.atom(id));
            match (which, nested) {
                (Extremum::Min, Some(Atom::Min(inner))) | (Extremum::Max, Some(Atom::Max(inner))) => {
                    list.extend_from_slice(inner);
                }
                _ => list.push(d),
            }
        }
        list.sort_unstable();
        list.dedup();
        if list.len() > MAX_OPERANDS {
            return Err(Overflow);
        }
        self.drop_redundant(&mut list, which, known);
        match list[..] {
            [] => Err(Overflow),
            [only] => Ok(only),
            _ => self.atom_dim(match which {
                Extremum::Min => Atom::Min(list),
                Extremum::Max => Atom::Max(list),
            }),
        }
    }

    /// Removes operands that another one makes superfluous.
    fn drop_redundant(&self, list: &mut SmallVec<[Dim; 2]>, which: Extremum, known: Known) {
        let beats = |winner: Dim, loser: Dim| match which {
            Extremum::Min => winner != loser && self.known_le(winner, loser, known),
            Extremum::Max => winner != loser && self.known_le(loser, winner, known),
        };
        let redundant = |list: &[Dim], d: Dim| list.iter().any(|&other| beats(other, d));
        if !list.iter().any(|&d| redundant(list, d)) {
            return;
        }
        // One operand at a time, because of two equal ones one must stay;
        // by text, so that the order of interning does not choose which.
        let mut by_text: Vec<(String, Dim)> =
            list.iter().map(|&d| (self.display(d).to_string(), d)).collect();
        by_text.sort_unstable();
        for (_, d) in by_text.into_iter().rev() {
            if redundant(list, d) {
                list.retain(|other| *other != d);
            }
        }
    }
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Extremum {
    Min,
    Max,
}
