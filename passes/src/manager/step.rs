//! The fixed list of pipeline steps.

use std::fmt;

/// A step of the compile pipeline, top to bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// A frontend writes the IR.
    Import,
    /// One form for one meaning: dead code, duplicates, identities.
    Canonicalize,
    /// Operators on constants are evaluated.
    FoldConstants,
    /// Algebra that saves work.
    Simplify,
    /// Order of dimensions.
    Layout,
    /// Operators become tensor programs.
    Legalize,
    /// Tensor programs are merged.
    Fuse,
    /// Buffers get memory.
    PlanMemory,
    /// Machine code.
    Codegen,
}

impl Step {
    /// All steps, top to bottom.
    pub const ALL: [Step; 9] = [
        Step::Import,
        Step::Canonicalize,
        Step::FoldConstants,
        Step::Simplify,
        Step::Layout,
        Step::Legalize,
        Step::Fuse,
        Step::PlanMemory,
        Step::Codegen,
    ];

    /// Name on the command line and in the ledger.
    pub const fn name(self) -> &'static str {
        match self {
            Step::Import => "import",
            Step::Canonicalize => "canonicalize",
            Step::FoldConstants => "fold-constants",
            Step::Simplify => "simplify",
            Step::Layout => "layout",
            Step::Legalize => "legalize",
            Step::Fuse => "fuse",
            Step::PlanMemory => "plan-memory",
            Step::Codegen => "codegen",
        }
    }

    /// The step of that name.
    pub fn from_name(name: &str) -> Option<Step> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
