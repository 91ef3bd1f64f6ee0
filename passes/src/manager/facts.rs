//! What holds of a program between passes, besides the laws of its IR.
//!
//! A pass says what it requires, what it establishes and what it destroys ([`Facts`]); the rest it keeps. A fact is none
//! that a verifier proves of every lawful program (types, definition before use), and none that the IR says (a module has
//! no memory planned): those hold always. Each fact is checked by looking at the program, not by asking the pass.

use super::IrRef;
use orogen_ir::diag::Diagnostic;
use orogen_ir::ops::OpRegistry;
use std::fmt;

/// Something that holds of a program, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fact {
    /// Something needs every operation: an output, an effect, or a size.
    Live,
    /// No two operators without effects have the same operands and attributes, and no two names one constant.
    NoDuplicates,
    /// Every operator is lowered: kernels, views, control flow and what a plan runs as it is are left.
    Legalized,
}

impl Fact {
    /// All of them.
    pub const ALL: [Fact; 3] = [Fact::Live, Fact::NoDuplicates, Fact::Legalized];

    /// The name in messages and documents.
    pub const fn name(self) -> &'static str {
        match self {
            Fact::Live => "live",
            Fact::NoDuplicates => "no-duplicates",
            Fact::Legalized => "legalized",
        }
    }

    /// What it says, as a clause.
    pub const fn about(self) -> &'static str {
        match self {
            Fact::Live => "something needs every operation: an output, an effect, or a size",
            Fact::NoDuplicates => "no operator without effects, and no constant, is there twice",
            Fact::Legalized => {
                "every operator is lowered to kernels, or is one that a plan runs as it is (sequences, optionals)"
            }
        }
    }

    /// Whether it holds of a program.
    ///
    /// # Errors
    /// What is in its way, as a clause.
    pub fn check(self, ir: IrRef<'_>, ops: &OpRegistry) -> Result<(), String> {
        match self {
            Fact::Live => super::holds::live(ir, ops),
            Fact::NoDuplicates => super::holds::no_duplicates(ir, ops),
            Fact::Legalized => super::holds::legalized(ir, ops),
        }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a pass says of facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What must hold before it runs.
    pub requires: &'static [Fact],
    /// What must not be made to hold before it runs: afterwards it finds nothing to do.
    pub before: &'static [Fact],
    /// What holds after it ran.
    pub establishes: &'static [Fact],
    /// What may not hold after it ran although it did before, unless the pass establishes it. `None` where that is not
    /// said: what holds is then looked at after each run.
    pub destroys: Option<&'static [Fact]>,
}

impl Facts {
    /// Of a pass that says nothing: it requires nothing and promises nothing, and what it leaves is looked at.
    pub const UNSAID: Facts = Facts { requires: &[], before: &[], establishes: &[], destroys: None };

    /// Of a pass that replaces operators by others, and removes what nobody needs any more: it runs before they are
    /// lowered, and what it makes may be there already.
    pub const OVER_OPERATORS: Facts =
        Facts { before: &[Fact::Legalized], destroys: Some(&[Fact::NoDuplicates]), ..Facts::UNSAID };

    /// Of a pass that requires nothing and keeps everything.
    pub const KEEPS_ALL: Facts = Facts { destroys: Some(&[]), ..Facts::UNSAID };
}

/// What a user can do about a pass that says what is not so.
pub(super) fn lie(pass: &str, says: &str, fact: Fact, what: &str) -> Diagnostic {
    Diagnostic::error(
        "N026",
        format!("pass `{pass}` says that it {says} `{fact}`, which does not hold: {what}"),
    )
    .note(format!("`{fact}`: {}", fact.about()))
    .note("this is a defect of the pass, not of the model")
    .help("mend the pass, or what its `facts` say")
}
