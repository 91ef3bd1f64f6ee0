//! Checking many seeds.

use orogen_squares::{Harness, Subject, check};
use std::collections::BTreeMap;

/// Checks seeds on all processors; what was found of each square, the first seeds first.
pub(crate) fn findings(
    harness: impl Fn() -> Harness + Sync,
    seeds: u64,
) -> BTreeMap<&'static str, Vec<String>> {
    let threads = std::thread::available_parallelism().map_or(2, |it| it.get() as u64);
    let check_from = |first: u64| {
        let harness = harness();
        let mut found = Vec::new();
        for seed in (first..seeds).step_by(threads as usize) {
            let subject = Subject::generated(&harness.compiler, seed);
            let subject = subject.unwrap_or_else(|it| panic!("seed {seed}: {it:#}"));
            let problems = check(&harness, &subject).err().unwrap_or_default();
            found.extend(problems.into_iter().map(|it| (seed, it.square, it.what)));
        }
        found
    };
    let mut found: Vec<(u64, &'static str, String)> = std::thread::scope(|scope| {
        let check_from = &check_from;
        let running: Vec<_> = (0..threads).map(|first| scope.spawn(move || check_from(first))).collect();
        running.into_iter().flat_map(|it| it.join().expect("no check panics")).collect()
    });
    found.sort();
    let mut by_square: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (seed, square, what) in found {
        by_square.entry(square).or_default().push(format!("seed {seed}: {what}"));
    }
    by_square
}
