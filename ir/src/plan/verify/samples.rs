//! Sample sizes, which refute.

use crate::shape::{Constraint, Dim, Env, ShapeCx, Sym};
use indexmap::{IndexMap, IndexSet};

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
    pub(super) start: Dim,
    pub(super) end: Dim,
    /// Both at each sample.
    values: Vec<Option<(i64, i64)>>,
}

/// Values that sizes take in samples: edges, odd numbers, tile sizes and their neighbours.
const VALUES: [i64; 17] = [1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 64, 100, 257, 1000, 4096, 0];
/// How many samples are kept of each sort, and how many are tried for them.
const KEPT: usize = 24;
// Runs are bits.
const _: () = assert!(2 * KEPT <= 64);
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

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.envs.len()
    }

    /// The value of a symbol in one.
    pub(super) fn value(&self, sample: usize, sym: Sym) -> Option<i64> {
        self.envs[sample].get(sym)
    }

    /// A range of bytes and what it is at each sample.
    pub(super) fn range(&self, shapes: &ShapeCx, start: Dim, end: Dim) -> Range {
        let values =
            self.envs.iter().map(|env| Some((shapes.eval(start, env)?, shapes.eval(end, env)?))).collect();
        Range { start, end, values }
    }

    /// At how many samples one range ends before another begins.
    pub(super) fn before(a: &Range, b: &Range) -> usize {
        a.values
            .iter()
            .zip(&b.values)
            .filter(|(a, b)| matches!((a, b), (Some(a), Some(b)) if a.1 <= b.0))
            .count()
    }

    /// Whether two ranges meet at a sample.
    pub(super) fn meet(a: &Range, b: &Range) -> bool {
        let both = a.values.iter().zip(&b.values).filter_map(|(a, b)| a.zip(*b));
        both.into_iter().any(|(a, b)| a.0 < a.1 && b.0 < b.1 && a.0 < b.1 && b.0 < a.1)
    }
}
