//! Laws on random expressions, and the cases that shaped the rules.

use indexmap::IndexMap;

use super::testing::{Config, Decided, Expr, Rng, property_canonical, property_sound};
use super::*;

const SMALL: Config = Config { depth: 4, constants: 9, extreme: false, symbolic_divisors: false };
const SYMBOLIC: Config = Config { symbolic_divisors: true, depth: 3, ..SMALL };
const EXTREME: Config = Config { extreme: true, ..SYMBOLIC };

#[test]
fn s2_s3_s5_canonical_forms_of_random_expressions() {
    for (config, seeds) in [(SMALL, 40_000), (SYMBOLIC, 15_000), (EXTREME, 10_000)] {
        let mut compared = 0;
        for seed in 0..seeds {
            compared += property_canonical(seed, &config).unwrap_or_else(|error| panic!("{error}"));
        }
        assert!(compared > seeds as u32, "only {compared} values compared with {config:?}");
    }
}

#[test]
fn s6_s7_s9_proofs_bounds_and_simplification_are_sound() {
    for (config, seeds) in [(Config { depth: 2, ..SMALL }, 2_000), (SYMBOLIC, 1_000), (EXTREME, 500)] {
        let mut total = Decided::default();
        for seed in 0..seeds {
            let decided = property_sound(seed, &config).unwrap_or_else(|error| panic!("{error}"));
            total.always += decided.always;
            total.never += decided.never;
            total.unknown += decided.unknown;
        }
        assert!(total.always > seeds as u32 && total.never > seeds as u32, "{total:?} with {config:?}");
    }
}
