//! Questions about sizes that the prover may leave open: those are tried at sample values.

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
        self.checks.iter().all(|it| holds(shapes, &env, it) != Some(false)).then_some(env)
    }
}

/// Values of symbols that satisfy the facts, to try what the prover left open.
///
/// What holds on entry is known everywhere. What a check on the way establishes is known behind it only: before it,
/// memory must hold for sizes that the check will refuse.
#[derive(Clone, Debug)]
pub(super) struct Samples {
    envs: Vec<Env>,
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
            if facts.iter().any(|it| holds(shapes, &env, it) == Some(false)) {
                continue;
            }
            if envs.len() < KEPT {
                envs.push(env);
            } else if strict.len() < KEPT
                && on_the_way.iter().all(|it| holds(shapes, &env, it) != Some(false))
            {
                strict.push(env);
            }
        }
        envs.append(&mut strict);
        Samples { envs }
    }

    /// Whether `a ≤ b`: proved, or not refuted by any sample.
    pub(super) fn le(&self, shapes: &ShapeCx, known: &Established, a: Dim, b: Dim) -> bool {
        let test = |env: &Env| Some(shapes.eval(a, env)? <= shapes.eval(b, env)?);
        self.decide(shapes, known, shapes.prove_le(a, b), test)
    }

    /// Whether `a = b`: proved, or not refuted by any sample.
    pub(super) fn eq(&self, shapes: &ShapeCx, known: &Established, a: Dim, b: Dim) -> bool {
        let test = |env: &Env| Some(shapes.eval(a, env)? == shapes.eval(b, env)?);
        self.decide(shapes, known, shapes.prove_eq(a, b), test)
    }

    /// Whether `k` divides `d`: proved, or not refuted by any sample.
    pub(super) fn divides(&self, shapes: &ShapeCx, k: i64, d: Dim) -> bool {
        let test = |env: &Env| Some(shapes.eval(d, env)? % k == 0);
        self.decide(shapes, &Established::default(), shapes.divides(k, d), test)
    }

    /// Whether the byte ranges `a..a_end` and `b..b_end` never meet: proved, or they meet at no sample.
    pub(super) fn apart(&self, shapes: &ShapeCx, a: (Dim, Dim), b: (Dim, Dim)) -> bool {
        if shapes.prove_le(a.1, b.0).is_always() || shapes.prove_le(b.1, a.0).is_always() {
            return true;
        }
        if shapes.prove_lt(b.0, a.1).is_always() && shapes.prove_lt(a.0, b.1).is_always() {
            return false;
        }
        self.decide(shapes, &Established::default(), Truth::Unknown, |env| {
            let value = |d: Dim| shapes.eval(d, env);
            let (a, b) = ((value(a.0)?, value(a.1)?), (value(b.0)?, value(b.1)?));
            Some(a.0 == a.1 || b.0 == b.1 || a.1 <= b.0 || b.1 <= a.0)
        })
    }

    fn decide(
        &self,
        shapes: &ShapeCx,
        known: &Established,
        truth: Truth,
        test: impl Fn(&Env) -> Option<bool>,
    ) -> bool {
        let mut reached = self.envs.iter().filter_map(|env| known.here(shapes, env));
        match truth {
            Truth::Always => true,
            // Behind checks that no sizes pass, nothing is ever done.
            Truth::Never => !known.checks.is_empty() && reached.next().is_none(),
            Truth::Unknown => !reached.any(|env| test(&env) == Some(false)),
        }
    }
}

fn holds(shapes: &ShapeCx, env: &Env, fact: &Constraint) -> Option<bool> {
    Some(match *fact {
        Constraint::AtLeast(d, k) => shapes.eval(d, env)? >= k,
        Constraint::AtMost(d, k) => shapes.eval(d, env)? <= k,
        Constraint::Eq(a, b) => shapes.eval(a, env)? == shapes.eval(b, env)?,
        Constraint::Multiple(d, k) => shapes.eval(d, env)?.checked_rem(k)? == 0,
    })
}
