//! Applying rules until none applies.

use super::{quantized, requantize, scales, simplify, transposed, weights};
use crate::manager::Changed;
use crate::rewrite::{Guard, Rule, RuleSet};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::ops::OpRegistry;

/// Rounds after which a pass stops although rules still apply.
const MAX_ROUNDS: usize = 8;

/// The rules of the step `simplify` that are data, in the order they are tried: before those that are code.
const SIMPLIFY: [&str; 2] =
    [include_str!("../../rules/simplify.rules"), include_str!("../../rules/quantized.rules")];
/// Those that are code.
const SIMPLIFY_BY_CODE: [&[Rule]; 6] =
    [simplify::RULES, quantized::RULES, requantize::RULES, scales::RULES, transposed::RULES, weights::RULES];
/// The rules of the step `layout`.
const LAYOUT: [&str; 1] = [include_str!("../../rules/layout.rules")];

/// Applies a set of rules until none applies. A pass over either IR; the driver of each holds its walk.
#[derive(Clone, Debug)]
pub struct ApplyRules {
    name: &'static str,
    rules: RuleSet,
    /// Rounds after which it stops although rules still apply.
    most: usize,
}

impl ApplyRules {
    /// A pass of that name.
    pub fn new(name: &'static str, rules: RuleSet) -> Self {
        ApplyRules { name, rules, most: MAX_ROUNDS }
    }

    /// The same, stopping after so many walks although rules still apply. In one walk a rule that undoes what it did shows
    /// what it does.
    #[must_use]
    pub fn with_rounds(self, most: usize) -> Self {
        ApplyRules { most, ..self }
    }

    /// The same, trying its rules only on operations for which the guard holds.
    #[must_use]
    pub fn guarded(self, guard: Guard) -> Self {
        ApplyRules { rules: self.rules.guarded(guard), ..self }
    }

    /// A pass of that name over the rules of a text.
    ///
    /// ```
    /// use orogen_ir::flow::text;
    /// use orogen_passes::manager::{Pass, PassCx};
    /// use orogen_passes::rules::apply::ApplyRules;
    ///
    /// let ops = orogen_ir::ops::OpRegistry::standard();
    /// let pass = ApplyRules::parse("mine", &ops, "rule root-of-square reassociates\n  sqrt(mul(x, x)) => abs(x)")?;
    /// let program = "module @m { sym n fn @f(%x: Tensor<f32, [n]>) -> (y) {
    ///   dataflow { %a = mul(%x, %x) %y = sqrt(%a) yield %y } return %y } }";
    /// let mut module = text::parse(program, &ops)?;
    /// pass.run(&mut module, &mut PassCx::new(&ops))?;
    /// assert!(text::print(&module, &ops).contains("abs("));
    /// # Ok::<(), orogen_ir::diag::Diagnostics>(())
    /// ```
    ///
    /// # Errors
    /// What is wrong with the text; see [`parse`](crate::rewrite::parse()).
    pub fn parse(name: &'static str, ops: &OpRegistry, text: &str) -> Result<Self, Diagnostics> {
        Ok(Self::new(name, RuleSet::parse(ops, text)?))
    }

    /// A pass of that name over rules that are code.
    ///
    /// # Errors
    /// What is wrong with the rules.
    pub fn of_code(name: &'static str, ops: &OpRegistry, rules: &[Rule]) -> Result<Self, Diagnostic> {
        Ok(Self::new(name, RuleSet::new(ops, rules.iter().copied())?))
    }

    /// Algebra that saves work, products of quantised values, and what follows from how sequences and optionals are put together.
    ///
    /// # Panics
    /// When `ops` lacks a standard operator.
    pub fn simplify(ops: &OpRegistry) -> Self {
        Self::new("simplify", standard(ops, &SIMPLIFY, &SIMPLIFY_BY_CODE))
    }

    /// Order of dimensions.
    ///
    /// # Panics
    /// When `ops` lacks a standard operator.
    pub fn layout(ops: &OpRegistry) -> Self {
        Self::new("layout", standard(ops, &LAYOUT, &[]))
    }

    pub(crate) fn pass_name(&self) -> &'static str {
        self.name
    }

    /// The rules, in the order they are tried.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// The rules, to add to them.
    pub fn rules_mut(&mut self) -> &mut RuleSet {
        &mut self.rules
    }

    /// Walks over the program until a walk changes nothing.
    pub(crate) fn rounds(
        &self,
        mut walk: impl FnMut() -> Result<bool, Diagnostics>,
    ) -> Result<Changed, Diagnostics> {
        for round in 0..self.most {
            if !walk()? {
                return Ok((round > 0).into());
            }
        }
        Ok(Changed::Yes)
    }
}

fn standard(ops: &OpRegistry, texts: &[&'static str], code: &[&[Rule]]) -> RuleSet {
    let mut set = RuleSet::default();
    for text in texts {
        set.insert_shipped(ops, text)
            .unwrap_or_else(|found| panic!("rules over standard operators: {found}"));
    }
    for rule in code.iter().copied().flatten() {
        set.insert(ops, *rule).unwrap_or_else(|found| panic!("rules over standard operators: {found}"));
    }
    set
}
