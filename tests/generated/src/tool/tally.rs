//! What was done.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

/// Runs on an executor.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Runs {
    /// Those that compared something, or found something wrong.
    pub(crate) made: u64,
    /// Of models that the executor cannot hold, which says nothing.
    pub(crate) refused: u64,
    /// Those of `made` that found something.
    pub(crate) failed: u64,
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Tally {
    start: Instant,
    /// Models that were run on an executor at least.
    pub(crate) models: u64,
    /// Models whose drawing fails.
    pub(crate) broken: u64,
    /// By executor.
    pub(crate) runs: BTreeMap<String, Runs>,
}

impl Default for Tally {
    fn default() -> Self {
        Tally { start: Instant::now(), models: 0, broken: 0, runs: BTreeMap::new() }
    }
}

impl Tally {
    /// Seconds since it began.
    pub(crate) fn seconds(&self) -> u64 {
        self.start.elapsed().as_secs()
    }

    /// How many runs fail, and models that are not drawn.
    pub(crate) fn failed(&self) -> u64 {
        self.broken + self.runs.values().map(|it| it.failed).sum::<u64>()
    }

    /// Counts a run on this executor that found something.
    pub(crate) fn fail(&mut self, executor: &str) {
        let runs = self.runs.entry(executor.to_owned()).or_default();
        (runs.made, runs.failed) = (runs.made + 1, runs.failed + 1);
    }

    /// A line for each executor.
    pub(crate) fn table(&self) -> String {
        let line = |(name, it): (&String, &Runs)| {
            format!("  {name}: {} runs, {} cannot be held, {} failed\n", it.made, it.refused, it.failed)
        };
        self.runs.iter().map(line).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |count: fn(&Runs) -> u64| self.runs.values().map(count).sum::<u64>();
        let rate = self.models as f64 / self.start.elapsed().as_secs_f64();
        write!(
            f,
            "{} models, {} runs, {} of models that an executor cannot hold, {} failed; {rate:.1} models/s",
            self.models,
            sum(|it| it.made),
            sum(|it| it.refused),
            self.failed()
        )
    }
}
