//! Why an evaluation has no result.

use orogen_ir::diag::Diagnostic;
use std::fmt;

/// What kind of problem it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvalErrorKind {
    /// The operands or the program break a law of the IR.
    Invalid,
    /// An index, a shape or a size lies outside of what the operands allow.
    OutOfRange,
    /// Memory was read before anything was written to it.
    Uninitialised,
    /// A check of the model failed.
    CheckFailed,
    /// A function of the host reports an error.
    Host,
    /// It takes more steps than it may: see [`Host::with_limit`](crate::Host::with_limit).
    LimitReached,
    /// There is no evaluation for this, for example a function that the host does not have.
    Unsupported,
}

/// Why an evaluation has no result, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalError {
    /// What kind of problem it is.
    pub kind: EvalErrorKind,
    /// One clause.
    pub message: String,
    /// Where, innermost first.
    pub trace: Vec<String>,
}

/// A value or why there is none.
pub(crate) type EvalResult<T> = Result<T, EvalError>;

impl EvalError {
    pub(crate) fn new(kind: EvalErrorKind, message: impl Into<String>) -> Self {
        EvalError { kind, message: message.into(), trace: Vec::new() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(EvalErrorKind::Invalid, message)
    }

    pub(crate) fn out_of_range(message: impl Into<String>) -> Self {
        Self::new(EvalErrorKind::OutOfRange, message)
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(EvalErrorKind::Unsupported, message)
    }

    pub(crate) fn from_host(message: String) -> Self {
        Self::new(EvalErrorKind::Host, message)
    }

    pub(crate) fn too_large() -> Self {
        Self::out_of_range("a tensor is larger than the address space")
    }

    /// Adds where it happened.
    #[must_use]
    pub(crate) fn within(mut self, place: impl Into<String>) -> Self {
        self.trace.push(place.into());
        self
    }
}

impl From<EvalError> for Diagnostic {
    fn from(error: EvalError) -> Diagnostic {
        let EvalError { kind, message, trace } = error;
        let found = match kind {
            EvalErrorKind::Invalid => Diagnostic::error("E001", message),
            EvalErrorKind::OutOfRange => Diagnostic::error("E002", message),
            EvalErrorKind::Uninitialised => Diagnostic::error("E003", message),
            EvalErrorKind::CheckFailed => Diagnostic::error("E004", message),
            EvalErrorKind::Host => Diagnostic::error("E005", message),
            EvalErrorKind::Unsupported => Diagnostic::error("E006", message),
            EvalErrorKind::LimitReached => Diagnostic::error("E007", message)
                .help("allow more steps, or smaller inputs; a loop whose condition stays true never ends"),
        };
        trace.into_iter().fold(found, |it, place| it.note(format!("in {place}")))
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for place in &self.trace {
            write!(f, "\n  in {place}")?;
        }
        Ok(())
    }
}

impl std::error::Error for EvalError {}
