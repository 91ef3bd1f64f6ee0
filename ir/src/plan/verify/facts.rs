//! Questions about sizes that the prover may leave open: those are tried at sample values.

use super::super::text::dims_of;
use crate::shape::{Constraint, Dim, Env, ShapeCx, Sym, Truth};
use indexmap::{IndexMap, IndexSet};

/// Values of symbols that satisfy the facts, to try what the prover left open.
#[derive(Clone, Debug)]
pub(super) struct Samples {
    envs: Vec<Env>,
}

/// Values that sizes take in samples: edges, odd numbers, tile sizes and their neighbours.
const VALUES: [i64; 16] = [1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 64, 100, 257, 1000, 4096];
/// How many samples are kept, and how many are tried for them.
const KEPT: usize = 24;
const TRIED: u64 = 4000;

impl Samples {
    /// Samples of all of `symbols` that satisfy every fact of `shapes` about them.
    ///
    /// `lets` are symbols that one `Let` step alone defines: they have its value.
    pub(super) fn new(shapes: &ShapeCx, symbols: &IndexSet<Sym>, lets: &IndexMap<Sym, Dim>) -> Self {
        let facts: Vec<Constraint> = shapes
            .facts()
            .copied()
            .filter(|it| {
                dims_of(it).iter().all(|d| shapes.free_symbols(*d).iter().all(|s| symbols.contains(s)))
            })
            .collect();
        let mut envs = Vec::new();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for round in 0..TRIED {
            if envs.len() == KEPT {
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
            if facts.iter().all(|it| holds(shapes, &env, it) != Some(false)) {
                envs.push(env);
            }
        }
        Samples { envs }
    }

    /// Whether `a ≤ b`: proved, or not refuted by any sample.
    pub(super) fn le(&self, shapes: &ShapeCx, a: Dim, b: Dim) -> bool {
        self.decide(shapes.prove_le(a, b), |env| Some(shapes.eval(a, env)? <= shapes.eval(b, env)?))
    }

    /// Whether `a = b`: proved, or not refuted by any sample.
    pub(super) fn eq(&self, shapes: &ShapeCx, a: Dim, b: Dim) -> bool {
        self.decide(shapes.prove_eq(a, b), |env| Some(shapes.eval(a, env)? == shapes.eval(b, env)?))
    }

    /// Whether `k` divides `d`: proved, or not refuted by any sample.
    pub(super) fn divides(&self, shapes: &ShapeCx, k: i64, d: Dim) -> bool {
        self.decide(shapes.divides(k, d), |env| Some(shapes.eval(d, env)? % k == 0))
    }

    /// Whether the byte ranges `a..a_end` and `b..b_end` never meet: proved, or they meet at no sample.
    pub(super) fn apart(&self, shapes: &ShapeCx, a: (Dim, Dim), b: (Dim, Dim)) -> bool {
        if shapes.prove_le(a.1, b.0).is_always() || shapes.prove_le(b.1, a.0).is_always() {
            return true;
        }
        if shapes.prove_lt(b.0, a.1).is_always() && shapes.prove_lt(a.0, b.1).is_always() {
            return false;
        }
        self.decide(Truth::Unknown, |env| {
            let value = |d: Dim| shapes.eval(d, env);
            let (a, b) = ((value(a.0)?, value(a.1)?), (value(b.0)?, value(b.1)?));
            Some(a.0 == a.1 || b.0 == b.1 || a.1 <= b.0 || b.1 <= a.0)
        })
    }

    fn decide(&self, truth: Truth, test: impl Fn(&Env) -> Option<bool>) -> bool {
        match truth {
            Truth::Always => true,
            Truth::Never => false,
            Truth::Unknown => !self.envs.iter().any(|env| test(env) == Some(false)),
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
