//! What an input comes to.

/// What an input came to.
pub(crate) enum Outcome {
    /// It was refused, with a reason that is one.
    Refused,
    /// All that was asked of it held.
    Held,
    /// A law is broken.
    Broken(String),
}
