//! Checking many seeds.

use orogen_generated::{Column, Finding, Setup, draw, run};
use std::ops::Range;

/// Runs models on all processors, each on these executors: on a static path in one setting, which its seed chooses. What is
/// wrong, by seed.
pub(crate) fn findings(
    setup: impl Fn() -> Setup + Sync,
    seeds: Range<u64>,
    columns: impl Fn(u64) -> Vec<Column> + Sync,
) -> Vec<(u64, Finding)> {
    let threads = std::thread::available_parallelism().map_or(2, |it| it.get() as u64);
    let (start, end) = (seeds.start, seeds.end);
    let check_from = |first: u64| {
        let setup = setup();
        let mut found = Vec::new();
        for seed in (first..end).step_by(threads as usize) {
            let drawn = draw(&setup, seed);
            let count = drawn.settings.len();
            for column in columns(seed).into_iter().filter(|_| count > 0) {
                let settings: Vec<usize> = match column.is_static() {
                    true => vec![(seed / threads) as usize % count],
                    false => (0..count).collect(),
                };
                found.extend(run(&setup, &drawn, column, &settings).err().map(|it| (seed, it)));
            }
        }
        found
    };
    let mut found: Vec<(u64, Finding)> = std::thread::scope(|scope| {
        let check_from = &check_from;
        let running: Vec<_> = (0..threads).map(|it| scope.spawn(move || check_from(start + it))).collect();
        running.into_iter().flat_map(|it| it.join().expect("panics are findings")).collect()
    });
    found.sort_by_key(|it| it.0);
    found
}
