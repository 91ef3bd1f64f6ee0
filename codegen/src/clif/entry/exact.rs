//! Expressions that are known to be exact.

use indexmap::{IndexMap, IndexSet};
use orogen_ir::shape::{Dim, ShapeCx, Sym};

/// Expressions whose value was found to be a 64-bit number with the symbols as they are.
///
/// An assignment takes back what was known of all expressions with the symbol at once: what is older than it counts no
/// longer.
#[derive(Clone, Debug, Default)]
pub(super) struct Exact {
    /// When each was found.
    found: IndexMap<Dim, u64>,
    /// When each symbol was assigned last.
    assigned: IndexMap<Sym, u64>,
    /// What is older counts no longer.
    forgotten: u64,
    now: u64,
    /// Each insertion, with what was there before.
    log: Vec<(Dim, Option<u64>)>,
}

/// A point in the insertions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(usize);

impl Exact {
    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    pub(super) fn contains(&self, shapes: &ShapeCx, dim: Dim) -> bool {
        let Some(found) = self.found.get(&dim).filter(|it| **it > self.forgotten) else { return false };
        self.assigned.is_empty()
            || shapes.free_symbols(dim).iter().all(|it| self.assigned.get(it).is_none_or(|it| it < found))
    }

    pub(super) fn insert(&mut self, dim: Dim) {
        let now = self.tick();
        let before = self.found.insert(dim, now);
        self.log.push((dim, before));
    }

    pub(super) fn assigned(&mut self, symbol: Sym) {
        let now = self.tick();
        self.assigned.insert(symbol, now);
    }

    pub(super) fn clear(&mut self) {
        self.forgotten = self.tick();
    }

    pub(super) fn mark(&self) -> Mark {
        Mark(self.log.len())
    }

    /// Takes back what was inserted since; returns what of it still holds.
    pub(super) fn back_to(&mut self, mark: Mark, shapes: &ShapeCx) -> IndexSet<Dim> {
        let since = self.log[mark.0..].iter().map(|it| it.0);
        let holds = since.filter(|it| self.contains(shapes, *it)).collect();
        for (dim, before) in self.log.drain(mark.0..).rev() {
            match before {
                Some(before) => self.found.insert(dim, before),
                None => self.found.swap_remove(&dim),
            };
        }
        holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_take_back_what_mentions_the_symbol() {
        let mut shapes = ShapeCx::new();
        let (n, m) = (shapes.sym("n"), shapes.sym("m"));
        let sum = shapes.add(n, m).expect("small");
        let mut exact = Exact::default();
        [n, m, sum].iter().for_each(|it| exact.insert(*it));
        exact.assigned(shapes.symbol("n"));
        assert_eq!([n, m, sum].map(|it| exact.contains(&shapes, it)), [false, true, false]);
        exact.insert(sum);
        assert!(exact.contains(&shapes, sum));
        exact.clear();
        assert!(!exact.contains(&shapes, m));
    }

    #[test]
    fn what_a_branch_inserts_is_taken_back() {
        let mut shapes = ShapeCx::new();
        let (n, m) = (shapes.sym("n"), shapes.sym("m"));
        let mut exact = Exact::default();
        exact.insert(n);
        let mark = exact.mark();
        exact.insert(m);
        exact.insert(n);
        let inside = exact.back_to(mark, &shapes);
        assert!(inside.contains(&n) && inside.contains(&m));
        assert_eq!([n, m].map(|it| exact.contains(&shapes, it)), [true, false]);
    }
}
