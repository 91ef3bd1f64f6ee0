//! Which samples come to a point of a plan, and what sizes are there.
//!
//! A sample is a run: what is read from data is what the sample says, and a definition has the value that it has with
//! the sizes before it. A run that fails a check ends.

use super::samples::Samples;
use crate::shape::{Constraint, Dim, ShapeCx, Sym};
use indexmap::IndexMap;

/// The runs that come to a point, as bits by their place among the samples.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    /// Those that ended before.
    ended: u64,
    /// Symbols that are not what their samples say, in all samples.
    values: IndexMap<Sym, Vec<i64>>,
}

impl Runs {
    /// The samples that come here.
    pub(super) fn here(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        let ended = self.ended;
        (0..count).filter(move |it| ended & (1 << it) == 0)
    }

    /// What a symbol is here in a sample.
    pub(super) fn value(&self, samples: &Samples, run: usize, sym: Sym) -> Option<i64> {
        match self.values.get(&sym) {
            Some(values) => values.get(run).copied(),
            None => samples.value(run, sym),
        }
    }

    pub(super) fn check(&mut self, shapes: &ShapeCx, samples: &Samples, constraint: &Constraint) {
        for run in self.here(samples.count()) {
            let holds = shapes.holds_with(constraint, &|sym| self.value(samples, run, sym));
            if holds == Some(false) {
                self.ended |= 1 << run;
            }
        }
    }

    /// A symbol got a value, or one from data.
    pub(super) fn define(&mut self, shapes: &ShapeCx, samples: &Samples, symbol: Sym, value: Option<Dim>) {
        let Some(value) = value else {
            self.values.swap_remove(&symbol);
            return;
        };
        let mut values = Vec::with_capacity(samples.count());
        for run in 0..samples.count() {
            let found = shapes.eval_with(value, &|sym| self.value(samples, run, sym));
            if found.is_none() {
                self.ended |= 1 << run;
            }
            values.push(found.unwrap_or_default());
        }
        let same = |(run, value): (usize, &i64)| samples.value(run, symbol) == Some(*value);
        match values.iter().enumerate().all(same) {
            true => self.values.swap_remove(&symbol),
            false => self.values.insert(symbol, values),
        };
    }

    /// Runs that come by this path, and those by another one whose sizes are the same here.
    pub(super) fn meet(&mut self, other: &Runs) {
        if self.values == other.values {
            self.ended &= other.ended;
        }
    }
}
