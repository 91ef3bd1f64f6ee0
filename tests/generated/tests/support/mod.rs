//! Checking many seeds.

use orogen_generated::{Column, Finding, Setup, draw, run};
use std::ops::Range;

/// What was found in many models.
pub(crate) struct Found {
    /// Runs that compared something.
    pub(crate) compared: usize,
    /// Runs of models that the legacy graph cannot hold.
    pub(crate) refused: usize,
    /// What is wrong, by seed.
    pub(crate) wrong: Vec<(u64, Finding)>,
}

/// Runs models on all processors, each on these executors.
pub(crate) fn findings(
    setup: impl Fn() -> Setup + Sync,
    seeds: Range<u64>,
    columns: impl Fn(u64) -> Vec<Column> + Sync,
) -> Found {
    let threads = std::thread::available_parallelism().map_or(2, |it| it.get() as u64);
    let (start, end) = (seeds.start, seeds.end);
    let check_from = |first: u64| {
        let setup = setup();
        let mut found = Found { compared: 0, refused: 0, wrong: Vec::new() };
        for seed in (first..end).step_by(threads as usize) {
            let drawn = draw(&setup, seed);
            for column in columns(seed).into_iter().filter(|_| !drawn.settings.is_empty()) {
                match run(&setup, &drawn, column, &drawn.some_settings(column)) {
                    Ok(0) => found.refused += 1,
                    Ok(_) => found.compared += 1,
                    Err(it) => found.wrong.push((seed, it)),
                }
            }
        }
        found
    };
    let parts: Vec<Found> = std::thread::scope(|scope| {
        let check_from = &check_from;
        let running: Vec<_> = (0..threads).map(|it| scope.spawn(move || check_from(start + it))).collect();
        running.into_iter().map(|it| it.join().expect("drawing does not panic")).collect()
    });
    let sum = |count: fn(&Found) -> usize| parts.iter().map(count).sum();
    let (compared, refused) = (sum(|it| it.compared), sum(|it| it.refused));
    let mut wrong: Vec<(u64, Finding)> = parts.into_iter().flat_map(|it| it.wrong).collect();
    wrong.sort_by_key(|it| it.0);
    Found { compared, refused, wrong }
}
