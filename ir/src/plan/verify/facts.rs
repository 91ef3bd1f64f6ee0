//! What holds at a point of a plan.
//!
//! A question looks at what speaks of its symbols and at nothing else, so that it takes as long in a long plan as in a
//! short one. Points between which nothing changed share what is known.

use super::runs::Runs;
use super::samples::Samples;
use crate::shape::{Constraint, Dim, ShapeCx, Sym};
use indexmap::{IndexMap, IndexSet};
use std::rc::Rc;

/// How far a check may be from a question: it shares a symbol with it, with a check that does, and so on.
const ROUNDS: usize = 3;
/// Checks considered for one question, and symbols looked at for them.
const MAX_FACTS: usize = 64;
const MAX_SYMBOLS: usize = 256;

/// What holds at a point of the plan, beyond what holds on entry.
#[derive(Clone, Debug, Default)]
pub(super) struct Established {
    known: Rc<Known>,
    /// Which samples come here.
    pub(super) runs: Runs,
    /// Whether a check before can never hold.
    pub(super) unreachable: bool,
}

#[derive(Clone, Debug, Default)]
struct Known {
    /// Symbols whose last definition was a `Let`, in order.
    lets: IndexMap<Sym, Dim>,
    /// What checks established.
    checks: IndexSet<Constraint>,
    /// Which of them speak of a symbol.
    mentions: IndexMap<Sym, Mentions>,
}

#[derive(Clone, Debug, Default)]
struct Mentions {
    lets: IndexSet<Sym>,
    checks: IndexSet<Constraint>,
}

/// Which samples come here says nothing about what is known.
impl PartialEq for Established {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&self.known, &other.known);
        let same = Rc::ptr_eq(a, b) || (a.lets == b.lets && a.checks == b.checks);
        same && self.unreachable == other.unreachable
    }
}

impl Established {
    /// Behind a check.
    pub(super) fn check(&mut self, shapes: &mut ShapeCx, samples: &Samples, constraint: Constraint) {
        self.runs.check(shapes, samples, &constraint);
        // With numbers alone it says whether a run comes here at all.
        let resolved = constraint.map(&mut |it| self.resolve(shapes, it).ok_or(()));
        if resolved.is_ok_and(|it| shapes.holds_with(&it, &|_| None) == Some(false)) {
            self.unreachable = true;
        }
        if self.known.checks.contains(&constraint) {
            return;
        }
        let known = Rc::make_mut(&mut self.known);
        known.checks.insert(constraint);
        for sym in symbols(shapes, &constraint) {
            known.mentions.entry(sym).or_default().checks.insert(constraint);
        }
    }

    /// Behind a definition of a symbol: what was known about its old value is not known about the new one.
    pub(super) fn define(&mut self, shapes: &ShapeCx, samples: &Samples, symbol: Sym, value: Option<Dim>) {
        self.runs.define(shapes, samples, symbol, value);
        let value = value.filter(|it| !shapes.mentions(*it, symbol));
        let old = self.known.lets.contains_key(&symbol) || self.known.mentions.contains_key(&symbol);
        if !old && value.is_none() {
            return;
        }
        let known = Rc::make_mut(&mut self.known);
        let mentions = known.mentions.get(&symbol).cloned().unwrap_or_default();
        mentions.checks.iter().for_each(|it| known.drop_check(shapes, it));
        mentions.lets.iter().chain([&symbol]).for_each(|it| known.drop_let(shapes, *it));
        if let Some(value) = value {
            known.lets.insert(symbol, value);
            for sym in shapes.free_symbols(value) {
                known.mentions.entry(sym).or_default().lets.insert(symbol);
            }
        }
    }

    /// What is known here and no longer known in `later`.
    pub(super) fn forgotten(&self, later: &Established) -> Forgotten {
        if Rc::ptr_eq(&self.known, &later.known) {
            return Forgotten::default();
        }
        let (here, later) = (&self.known, &later.known);
        let lets = here.lets.iter().filter(|(sym, value)| later.lets.get(*sym) != Some(*value));
        Forgotten {
            lets: lets.map(|(sym, _)| *sym).collect(),
            checks: here.checks.iter().filter(|it| !later.checks.contains(*it)).copied().collect(),
        }
    }

    /// Without what was forgotten elsewhere.
    pub(super) fn forget(&mut self, shapes: &ShapeCx, forgotten: &Forgotten) {
        if forgotten.lets.is_empty() && forgotten.checks.is_empty() {
            return;
        }
        let known = Rc::make_mut(&mut self.known);
        forgotten.lets.iter().for_each(|it| known.drop_let(shapes, *it));
        forgotten.checks.iter().for_each(|it| known.drop_check(shapes, it));
    }

    /// What holds here and on another path.
    pub(super) fn meet(&mut self, shapes: &ShapeCx, other: &Established) {
        self.runs.meet(&other.runs);
        self.unreachable &= other.unreachable;
        let forgotten = self.forgotten(other);
        self.forget(shapes, &forgotten);
    }

    /// An expression without the symbols whose definition is known; `None` when it does not fit.
    pub(super) fn resolve(&self, shapes: &mut ShapeCx, dim: Dim) -> Option<Dim> {
        let lets = &self.known.lets;
        let mut waiting: IndexSet<Sym> = shapes.free_symbols(dim).into_iter().collect();
        let mut at = 0;
        while let Some(sym) = waiting.get_index(at).copied() {
            at += 1;
            waiting.extend(lets.get(&sym).into_iter().flat_map(|it| shapes.free_symbols(*it)));
        }
        // A definition speaks of symbols that were defined before it.
        let mut defined: Vec<usize> = waiting.iter().filter_map(|it| lets.get_index_of(it)).collect();
        defined.sort_unstable();
        let mut map: IndexMap<Sym, Dim> = IndexMap::new();
        for (sym, value) in defined.into_iter().filter_map(|it| lets.get_index(it)) {
            let value = shapes.substitute(*value, &map).ok()?;
            map.insert(*sym, value);
        }
        if map.is_empty() { Some(dim) } else { shapes.substitute(dim, &map).ok() }
    }

    /// The checks that have to do with some expressions, without the symbols whose definition is known.
    pub(super) fn about(&self, shapes: &mut ShapeCx, dims: impl Iterator<Item = Dim>) -> Vec<Constraint> {
        let known = &self.known;
        if known.checks.is_empty() {
            return Vec::new();
        }
        let mentions = |sym: &Sym| known.mentions.get(sym);
        let mut near: IndexSet<Sym> = dims.flat_map(|it| shapes.free_symbols(it)).collect();
        let mut found: IndexMap<usize, Constraint> = IndexMap::new();
        let mut first = 0;
        for _ in 0..ROUNDS {
            // What is defined by what is near is near.
            let mut end = first;
            while let Some(sym) = near.get_index(end).copied().filter(|_| end < MAX_SYMBOLS) {
                let room = MAX_SYMBOLS.saturating_sub(near.len());
                near.extend(mentions(&sym).iter().flat_map(|it| it.lets.iter().take(room)));
                end += 1;
            }
            let mut next: IndexSet<Sym> = IndexSet::new();
            let checks = near[first..end].iter().filter_map(mentions).flat_map(|it| &it.checks);
            for check in checks {
                if found.len() == MAX_FACTS {
                    break;
                }
                let place = known.checks.get_index_of(check).unwrap_or_default();
                if found.contains_key(&place) {
                    continue;
                }
                if let Ok(resolved) = check.map(&mut |it| self.resolve(shapes, it).ok_or(())) {
                    found.insert(place, resolved);
                    next.extend(symbols(shapes, check));
                    next.extend(symbols(shapes, &resolved));
                }
            }
            first = end;
            near.extend(next);
            if near.len() == first {
                break;
            }
        }
        found.sort_unstable_keys();
        let distinct: IndexSet<Constraint> = found.into_values().collect();
        distinct.into_iter().collect()
    }
}

impl Known {
    fn drop_check(&mut self, shapes: &ShapeCx, check: &Constraint) {
        self.checks.swap_remove(check);
        for sym in symbols(shapes, check) {
            if let Some(mentions) = self.mentions.get_mut(&sym) {
                mentions.checks.swap_remove(check);
            }
        }
    }

    fn drop_let(&mut self, shapes: &ShapeCx, symbol: Sym) {
        // The order of the others stays: a definition speaks of what was defined before it.
        let Some(value) = self.lets.shift_remove(&symbol) else { return };
        for sym in shapes.free_symbols(value) {
            if let Some(mentions) = self.mentions.get_mut(&sym) {
                mentions.lets.swap_remove(&symbol);
            }
        }
    }
}

fn symbols(shapes: &ShapeCx, constraint: &Constraint) -> IndexSet<Sym> {
    constraint.dims().flat_map(|it| shapes.free_symbols(it)).collect()
}

/// What is no longer known.
#[derive(Clone, Debug, Default)]
pub(super) struct Forgotten {
    lets: IndexSet<Sym>,
    checks: IndexSet<Constraint>,
}
