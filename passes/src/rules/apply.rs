//! Applying rules until none applies.

use super::rewrite::{Rule, RuleSet};
use super::{layout, quantized, requantize, simplify, transposed, weights};
use crate::manager::Changed;
use orogen_ir::diag::Diagnostics;
use orogen_ir::ops::OpRegistry;

/// Rounds after which a pass stops although rules still apply.
const MAX_ROUNDS: usize = 8;

/// The rules of the step `simplify`, in the order they are tried.
pub const SIMPLIFY: &[&[Rule]] =
    &[simplify::RULES, quantized::RULES, requantize::RULES, transposed::RULES, weights::RULES];

/// Applies a set of rules until none applies. A pass over either IR; the driver of each holds its walk.
#[derive(Clone, Debug)]
pub struct ApplyRules {
    name: &'static str,
    rules: RuleSet,
}

impl ApplyRules {
    /// A pass of that name.
    pub fn new(name: &'static str, rules: RuleSet) -> Self {
        ApplyRules { name, rules }
    }

    /// Algebra that saves work, products of quantised values, and what follows from how sequences and optionals are put together.
    ///
    /// # Panics
    /// When `ops` lacks a standard operator.
    pub fn simplify(ops: &OpRegistry) -> Self {
        Self::standard("simplify", SIMPLIFY, ops)
    }

    /// Order of dimensions.
    ///
    /// # Panics
    /// When `ops` lacks a standard operator.
    pub fn layout(ops: &OpRegistry) -> Self {
        Self::standard("layout", &[layout::RULES], ops)
    }

    fn standard(name: &'static str, rules: &[&[Rule]], ops: &OpRegistry) -> Self {
        let rules = RuleSet::new(ops, rules.iter().copied().flatten().copied());
        Self::new(name, rules.unwrap_or_else(|found| panic!("rules over standard operators: {found}")))
    }

    pub(crate) fn pass_name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// Walks over the program until a walk changes nothing.
    pub(crate) fn rounds(
        &self,
        mut walk: impl FnMut() -> Result<bool, Diagnostics>,
    ) -> Result<Changed, Diagnostics> {
        for round in 0..MAX_ROUNDS {
            if !walk()? {
                return Ok((round > 0).into());
            }
        }
        Ok(Changed::Yes)
    }
}
