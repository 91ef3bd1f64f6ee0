//! What is known of a pass that can be named.

use super::settings::{OptionDef, Settings};
use crate::manager::{Accuracy, Pass, Step};
use crate::rewrite::RuleClass;
use crate::rules::apply::ApplyRules;
use crate::rules::explored::ExploredRules;
use crate::rules::legalize::LegalizeTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::flow::Module;
use orogen_ir::graph::Graph;
use orogen_ir::ops::OpRegistry;
use std::fmt;
use std::sync::Arc;

/// What passes are made of.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// Operators.
    pub ops: &'a OpRegistry,
    /// How operators are lowered.
    pub table: &'a LegalizeTable,
    /// The rules of step `simplify`.
    pub simplify: &'a ApplyRules,
    /// The rules of step `layout`.
    pub layout: &'a ApplyRules,
    /// Rules for equality saturation alone.
    pub explored: &'a ExploredRules,
}

/// Makes a pass with these settings.
pub type Make<I> = fn(&Parts<'_>, &Settings) -> Result<Arc<dyn Pass<I>>, Diagnostic>;

/// How exact the values are of what a pass makes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PassClass {
    /// As exact as this.
    Of(RuleClass),
    /// As exact as the rules that it applies, of which it applies those that are admitted.
    OfRules,
}

impl PassClass {
    /// Every bit is kept.
    pub const BITWISE: PassClass = PassClass::Of(RuleClass::Bitwise);

    /// Whether a user who asked for this accuracy may get it.
    pub fn is_admitted(self, accuracy: Accuracy) -> bool {
        match self {
            PassClass::Of(class) => class.is_admitted(accuracy),
            PassClass::OfRules => true,
        }
    }
}

impl fmt::Display for PassClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PassClass::Of(class) => class.fmt(f),
            PassClass::OfRules => f.write_str("as its rules"),
        }
    }
}

/// When a pass runs that no list names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Wherever its class is admitted.
    Admitted,
    /// Where it is asked for.
    Asked,
}

impl When {
    /// As documents say it.
    pub const fn name(self) -> &'static str {
        match self {
            When::Admitted => "on",
            When::Asked => "off",
        }
    }
}

/// A pass that can be named: what is said of it, where it stands, and how it is made.
///
/// The place of a definition among others is the place of the pass in a pipeline. What the pass requires, establishes and
/// destroys it says itself ([`Pass::facts`]).
#[derive(Clone, Copy)]
pub struct PassDef {
    /// Its name; what makes it gives passes of this name.
    pub name: &'static str,
    /// What it does: one sentence, without a full stop.
    pub about: &'static str,
    /// When that helps, and what else is to be known: sentences.
    pub details: &'static str,
    /// What always holds of it: one sentence each, without a full stop.
    pub laws: &'static [&'static str],
    /// Its step.
    pub step: Step,
    /// How exact it is.
    pub class: PassClass,
    /// When it runs.
    pub when: When,
    /// What can be set.
    pub options: &'static [OptionDef],
    /// Makes it for the legacy graph; absent where it does not run there.
    pub graph: Option<Make<Graph>>,
    /// Makes it for the dataflow IR; absent where it does not run there.
    pub flow: Option<Make<Module>>,
}

impl fmt::Debug for PassDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassDef").field("name", &self.name).field("step", &self.step).finish_non_exhaustive()
    }
}
