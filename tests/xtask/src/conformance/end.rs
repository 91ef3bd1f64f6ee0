//! How a case ended.

use std::collections::BTreeSet;
use std::path::PathBuf;

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Outputs are what the suite wants.
    Pass,
    /// It ran; whether outputs are right is not known yet.
    Ran {
        /// The outputs.
        saved: PathBuf,
        /// What the tool said of them, as JSON.
        said: String,
    },
    /// Outputs are wrong, and how.
    Wrong(String),
    /// The model is refused; the message.
    Unsupported(String),
    /// It fails when it runs; the message.
    Failed(String),
    /// The tool crashes; what it said.
    Crash(String),
    /// It does not end in time.
    Hang,
    /// Anything else; what the tool said.
    Other(String),
}

impl End {
    /// The word of the lists.
    pub(super) fn class(&self) -> &'static str {
        match self {
            End::Pass => "pass",
            End::Ran { .. } => "ran",
            End::Wrong(_) => "wrong",
            End::Unsupported(_) => "unsupported",
            End::Failed(_) => "failed",
            End::Crash(_) => "crash",
            End::Hang => "hang",
            End::Other(_) => "other",
        }
    }

    /// What is said of it.
    pub(super) fn detail(&self) -> &str {
        match self {
            End::Pass | End::Ran { .. } | End::Hang => "",
            End::Wrong(it) | End::Unsupported(it) | End::Failed(it) | End::Crash(it) | End::Other(it) => it,
        }
    }

    /// Codes of the diagnostics, each once.
    pub(super) fn codes(&self) -> Vec<&str> {
        let found = self.detail().split("error[").skip(1).filter_map(|it| Some(it.split_once(']')?.0));
        found.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_errors() {
        let end = End::Unsupported("warning[D043]: w\nerror[X009]: a\nerror[S002]: b\nerror[X009]: c".into());
        assert_eq!(end.codes(), ["S002", "X009"]);
    }
}
