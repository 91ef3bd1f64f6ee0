//! What holds at a point of a plan.

use crate::shape::{Constraint, Dim, Env, ShapeCx, Sym};
use indexmap::{IndexMap, IndexSet};

/// How far a check may be from a question: it shares a symbol with it, with a check that does, and so on.
const ROUNDS: usize = 3;
/// Checks considered for one question.
const MAX_FACTS: usize = 64;

/// What holds at a point of the plan, beyond what holds on entry.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Established {
    /// Symbols whose last definition was a `Let`, in order.
    lets: IndexMap<Sym, Dim>,
    /// What checks established.
    checks: IndexSet<Constraint>,
}

impl Established {
    /// Behind a check.
    pub(super) fn check(&mut self, constraint: Constraint) {
        self.checks.insert(constraint);
    }

    /// Behind a definition of a symbol: what was known about its old value is not known about the new one.
    pub(super) fn define(&mut self, shapes: &ShapeCx, symbol: Sym, value: Option<Dim>) {
        let other = |dim: Dim| !shapes.free_symbols(dim).contains(&symbol);
        self.checks.retain(|it| it.dims().all(other));
        self.lets.shift_remove(&symbol);
        self.lets.retain(|_, it| other(*it));
        if let Some(value) = value.filter(|it| other(*it)) {
            self.lets.insert(symbol, value);
        }
    }

    /// What is known here and no longer known in `later`.
    pub(super) fn forgotten(&self, later: &Established) -> Forgotten {
        let lets = self.lets.iter().filter(|(sym, value)| later.lets.get(*sym) != Some(*value));
        Forgotten {
            lets: lets.map(|(sym, _)| *sym).collect(),
            checks: self.checks.iter().filter(|it| !later.checks.contains(*it)).copied().collect(),
        }
    }

    /// Without what was forgotten elsewhere.
    pub(super) fn forget(&mut self, forgotten: &Forgotten) {
        if !forgotten.lets.is_empty() {
            self.lets.retain(|sym, _| !forgotten.lets.contains(sym));
        }
        if !forgotten.checks.is_empty() {
            self.checks.retain(|it| !forgotten.checks.contains(it));
        }
    }

    /// What holds here and on another path.
    pub(super) fn meet(&mut self, other: &Established) {
        self.lets.retain(|sym, value| other.lets.get(sym) == Some(value));
        self.checks.retain(|it| other.checks.contains(it));
    }

    /// The sample as it is here, `None` when a run with these sizes does not come here.
    pub(super) fn here(&self, shapes: &ShapeCx, env: &Env) -> Option<Env> {
        let mut env = env.clone();
        for (sym, value) in &self.lets {
            env.set(*sym, shapes.eval(*value, &env)?);
        }
        self.checks.iter().all(|it| shapes.holds(it, &env) != Some(false)).then_some(env)
    }

    /// An expression without the symbols whose definition is known; `None` when it does not fit.
    pub(super) fn resolve(&self, shapes: &mut ShapeCx, dim: Dim) -> Option<Dim> {
        let mut map: IndexMap<Sym, Dim> = IndexMap::new();
        let mut waiting: Vec<Sym> = shapes.free_symbols(dim).into_vec();
        let mut at = 0;
        while let Some(sym) = waiting.get(at).copied() {
            at += 1;
            for inner in self.lets.get(&sym).into_iter().flat_map(|it| shapes.free_symbols(*it)) {
                if !waiting.contains(&inner) {
                    waiting.push(inner);
                }
            }
        }
        // A definition speaks of symbols that were defined before it.
        for (sym, value) in self.lets.iter().filter(|(sym, _)| waiting.contains(sym)) {
            let value = shapes.substitute(*value, &map).ok()?;
            map.insert(*sym, value);
        }
        if map.is_empty() { Some(dim) } else { shapes.substitute(dim, &map).ok() }
    }

    /// The checks that have to do with some expressions, without the symbols whose definition is known.
    pub(super) fn about(&self, shapes: &mut ShapeCx, dims: impl Iterator<Item = Dim>) -> Vec<Constraint> {
        let mut symbols: IndexSet<Sym> = dims.flat_map(|it| shapes.free_symbols(it)).collect();
        let mut found = IndexSet::new();
        for _ in 0..ROUNDS {
            let before = symbols.len();
            for check in &self.checks {
                let Ok(check) = check.map(&mut |it| self.resolve(shapes, it).ok_or(())) else { continue };
                let free: Vec<Sym> = check.dims().flat_map(|it| shapes.free_symbols(it)).collect();
                // With numbers alone it says whether a run comes here at all.
                let relevant = free.is_empty() || free.iter().any(|it| symbols.contains(it));
                if found.len() < MAX_FACTS && relevant && found.insert(check) {
                    symbols.extend(free);
                }
            }
            if symbols.len() == before {
                break;
            }
        }
        found.into_iter().collect()
    }
}

/// What is no longer known.
#[derive(Clone, Debug, Default)]
pub(super) struct Forgotten {
    lets: IndexSet<Sym>,
    checks: IndexSet<Constraint>,
}
