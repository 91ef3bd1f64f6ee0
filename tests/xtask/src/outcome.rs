//! How a step of continuous integration ended.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed,
    /// For a reason that was printed.
    Skipped,
}
