//! Questions about sizes, tried at sample values.

use crate::shape::{Constraint, Dim, Env, ShapeCx, Sym, Truth};
use indexmap::{IndexMap, IndexSet};

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
    fn here(&self, shapes: &ShapeCx, env: &Env) -> Option<Env> {
        let mut env = env.clone();
        for (sym, value) in &self.lets {
            env.set(*sym, shapes.eval(*value, &env)?);
        }
        self.checks.iter().all(|it| shapes.holds(it, &env) != Some(false)).then_some(env)
    }
}

/// What is no longer known.
#[derive(Clone, Debug, Default)]
pub(super) struct Forgotten {
    lets: IndexSet<Sym>,
    checks: IndexSet<Constraint>,
}

/// Values of symbols that satisfy the facts.
///
/// What holds on entry is known everywhere. What a check on the way establishes is known behind it only: before it,
/// memory must hold for sizes that the check will refuse.
#[derive(Clone, Debug)]
pub(super) struct Samples {
    envs: Vec<Env>,
}

/// Bytes from `start` to before `end`.
#[derive(Clone, Debug)]
pub(super) struct Range {
    start: Dim,
    end: Dim,
    /// Both at each sample.
    values: Vec<Option<(i64, i64)>>,
}

/// Values that sizes take in samples: edges, odd numbers, tile sizes and their neighbours.
const VALUES: [i64; 17] = [1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 64, 100, 257, 1000, 4096, 0];
/// How many samples are kept of each sort, and how many are tried for them.
const KEPT: usize = 24;
const TRIED: u64 = 4000;

impl Samples {
    /// Samples of all of `symbols` that satisfy what holds on entry, the facts of `shapes`; one half of them also what
    /// the checks on the way establish.
    ///
    /// `lets` are symbols that one `Let` step alone defines: they have its value.
    pub(super) fn new(
        shapes: &ShapeCx,
        symbols: &IndexSet<Sym>,
        lets: &IndexMap<Sym, Dim>,
        on_the_way: &[Constraint],
    ) -> Self {
        let about =
            |it: &Constraint| it.dims().all(|d| shapes.free_symbols(d).iter().all(|s| symbols.contains(s)));
        let facts: Vec<Constraint> = shapes.facts().copied().filter(about).collect();
        let (mut envs, mut strict) = (Vec::new(), Vec::new());
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for round in 0..TRIED {
            if envs.len() == KEPT && (strict.len() == KEPT || on_the_way.is_empty()) {
                break;
            }
            let mut env = Env::new();
            for sym in symbols {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                // The first rounds give all symbols one value, which satisfies most equalities.
                let pick =
                    if round < VALUES.len() as u64 { round } else { (state >> 33) % VALUES.len() as u64 };
                env.set(*sym, VALUES[pick as usize]);
            }
            for (sym, value) in lets {
                if let Some(value) = shapes.eval(*value, &env) {
                    env.set(*sym, value);
                }
            }
            if facts.iter().any(|it| shapes.holds(it, &env) == Some(false)) {
                continue;
            }
            if envs.len() < KEPT {
                envs.push(env);
            } else if strict.len() < KEPT && on_the_way.iter().all(|it| shapes.holds(it, &env) != Some(false))
            {
                strict.push(env);
            }
        }
        envs.append(&mut strict);
        Samples { envs }
    }

    /// Whether `a ≤ b` as far as can be seen.
    pub(super) fn le(&self, shapes: &ShapeCx, known: &Established, a: Dim, b: Dim) -> bool {
        if let (Some(a), Some(b)) = (shapes.as_int(a), shapes.as_int(b)) {
            return a <= b;
        }
        let test = |env: &Env| Some(shapes.eval(a, env)? <= shapes.eval(b, env)?);
        self.decide(shapes, known, test, || shapes.prove_le(a, b))
    }

    /// Whether `a = b` as far as can be seen.
    pub(super) fn eq(&self, shapes: &ShapeCx, known: &Established, a: Dim, b: Dim) -> bool {
        if let (Some(a), Some(b)) = (shapes.as_int(a), shapes.as_int(b)) {
            return a == b;
        }
        let test = |env: &Env| Some(shapes.eval(a, env)? == shapes.eval(b, env)?);
        self.decide(shapes, known, test, || shapes.prove_eq(a, b))
    }

    /// Whether `k` divides `d` as far as can be seen.
    pub(super) fn divides(&self, shapes: &ShapeCx, k: i64, d: Dim) -> bool {
        if let Some(d) = shapes.as_int(d) {
            return d % k == 0;
        }
        let test = |env: &Env| Some(shapes.eval(d, env)? % k == 0);
        self.decide(shapes, &Established::default(), test, || shapes.divides(k, d))
    }

    /// A range of bytes and what it is at each sample.
    pub(super) fn range(&self, shapes: &ShapeCx, start: Dim, end: Dim) -> Range {
        let values =
            self.envs.iter().map(|env| Some((shapes.eval(start, env)?, shapes.eval(end, env)?))).collect();
        Range { start, end, values }
    }

    /// Whether two ranges never meet: they do at no sample, or where there is no sample they do not provably.
    pub(super) fn apart(&self, shapes: &ShapeCx, a: &Range, b: &Range) -> bool {
        let mut tried = false;
        for (a, b) in a.values.iter().zip(&b.values) {
            let (Some(a), Some(b)) = (a, b) else { continue };
            if a.0 < a.1 && b.0 < b.1 && a.0 < b.1 && b.0 < a.1 {
                return false;
            }
            tried = true;
        }
        tried || !shapes.prove_lt(b.start, a.end).is_always() || !shapes.prove_lt(a.start, b.end).is_always()
    }

    /// No sample refutes it; where there is no sample, it is not provably false. Samples come first because they cost
    /// little: a proof would add nothing to them.
    fn decide(
        &self,
        shapes: &ShapeCx,
        known: &Established,
        test: impl Fn(&Env) -> Option<bool>,
        prove: impl FnOnce() -> Truth,
    ) -> bool {
        let mut tried = false;
        for env in &self.envs {
            let outcome = known.here(shapes, env).and_then(|env| test(&env));
            if outcome == Some(false) {
                return false;
            }
            tried |= outcome.is_some();
        }
        // Behind checks that no sizes pass, nothing is ever done.
        tried || !known.checks.is_empty() || prove() != Truth::Never
    }
}
