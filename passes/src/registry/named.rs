//! Pipelines that have names.

/// Passes under a name, for lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedPipeline {
    /// Its name.
    pub name: &'static str,
    /// What it is for: a clause.
    pub about: &'static str,
    /// The passes; `None` for those that run by default with this accuracy.
    pub passes: Option<&'static str>,
}

/// The pipelines that have names. A name of a pass is none of a pipeline.
pub const NAMED: &[NamedPipeline] = &[
    NamedPipeline {
        name: "default",
        about: "what runs by default: every pass that is on and that the accuracy admits",
        passes: None,
    },
    NamedPipeline {
        name: "quick",
        about: "no more than code needs: compiles in the least time, to slower code",
        passes: Some("canonicalize,fold-constants,legalize,fuse"),
    },
    NamedPipeline {
        name: "bare",
        about: "operators are lowered one by one, for comparison",
        passes: Some("legalize"),
    },
];
