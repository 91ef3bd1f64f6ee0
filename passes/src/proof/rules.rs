//! Proofs of rewrite rules: of all instances of a rule, that what is before its application is what is after it.

use super::instances::{instances, without_constants};
use super::{Class, Prover, Verdict, code};
use crate::manager::{Changed, Pass, PassCx};
use crate::rewrite::{Rewrite, Rule, RuleClass, RuleSet};
use crate::rules::apply::ApplyRules;
use orogen_ir::flow::{Module, text};
use std::sync::Arc;

/// Instances of each rank that are proven.
const PER_RANK: usize = 24;
/// Of so many instances that are proven, one runs on generated tensors too.
const RUN_ONE_IN: usize = 24;

impl From<RuleClass> for Class {
    fn from(class: RuleClass) -> Class {
        match class {
            RuleClass::Bitwise => Class::Bitwise,
            RuleClass::Reassociates => Class::Reassociates,
            RuleClass::Approximates(_) => Class::Approximates,
        }
    }
}

/// What is known of a rule.
#[derive(Clone, Debug)]
pub struct RuleProof {
    /// Its name.
    pub name: String,
    /// Its class.
    pub class: RuleClass,
    /// Instances that were looked at.
    pub instances: usize,
    /// How many of them are proven.
    pub proven: usize,
    /// The first instance that is not, as text before and after, with what is known of it; one that is refuted comes
    /// before those that are unknown.
    pub failure: Option<Box<(Verdict, [String; 2])>>,
    /// Why the rule says that it has no proof.
    pub unproven: Option<String>,
}

impl RuleProof {
    /// Whether every instance is proven, and there is one.
    pub fn is_proven(&self) -> bool {
        self.instances > 0 && self.proven == self.instances
    }

    /// Whether an instance is refuted: the rule is wrong.
    pub fn is_refuted(&self) -> bool {
        matches!(self.failure.as_deref(), Some((Verdict::Refuted { .. }, _)))
    }
}

impl Prover<'_> {
    /// Proves a rule on instances of its left side: of ranks 0 to 4, all classes of element types, attributes, broadcasts
    /// and optional operands that it admits, sizes symbolic.
    pub fn prove_rule(&self, rule: &Rewrite) -> RuleProof {
        let proof = RuleProof {
            name: rule.name.to_string(),
            class: rule.class,
            instances: 0,
            proven: 0,
            failure: None,
            unproven: rule.unproven.as_deref().map(str::to_owned),
        };
        if !rule.others.is_empty() {
            let all = without_constants(rule);
            return self.prove_each(&|before| code::applied_to_all(self.ops, &all, before), rule, proof);
        }
        match self.pass_of(without_constants(rule)) {
            Some(pass) => self.prove_each(&|before| self.applied(&pass, before), rule, proof),
            None => proof,
        }
    }

    /// Proves what is made of instances of the left side of a rule.
    fn prove_each(
        &self,
        apply: &dyn Fn(&Module) -> Option<Module>,
        rule: &Rewrite,
        mut proof: RuleProof,
    ) -> RuleProof {
        let class = Class::from(proof.class);
        instances(self.ops, rule, &self.types, PER_RANK, &mut |before, known| {
            let Some(after) = apply(&before) else { return false };
            proof.instances += 1;
            let mut verdict = self.prove_knowing(&before, &after, class, known);
            // Beside the proofs, one in so many instances runs.
            if proof.instances % RUN_ONE_IN == 1
                && verdict.is_proven()
                && let Some(difference) = self.difference(&before, &after, class, known)
            {
                verdict = Verdict::Refuted { difference, expressions: None };
            }
            if verdict.is_proven() {
                proof.proven += 1;
            } else if proof.failure.is_none()
                || (!proof.is_refuted() && matches!(verdict, Verdict::Refuted { .. }))
            {
                let texts = [&before, &after].map(|it| text::print(it, self.ops));
                proof.failure = Some(Box::new((verdict, texts)));
            }
            true
        });
        proof
    }

    /// Proves a rule that is code on instances of a pattern: the left side of `shapes`, whose right side and conditions say
    /// which of them are meant. Parameters are taken for constants whose data is not seen.
    pub fn prove_code(&self, rule: Rule, shapes: &Rewrite) -> RuleProof {
        let proof = RuleProof {
            name: rule.name.to_owned(),
            class: rule.class,
            instances: 0,
            proven: 0,
            failure: None,
            unproven: Some(rule.reason.to_owned()),
        };
        self.prove_each(&|before| code::applied(self.ops, rule, before), shapes, proof)
    }

    fn pass_of(&self, rule: Rewrite) -> Option<ApplyRules> {
        let mut set = RuleSet::default();
        set.insert_rewrite(self.ops, Arc::new(rule)).ok()?;
        Some(ApplyRules::new("prove", set).with_rounds(1))
    }

    /// What a rule makes of a function, when it applies.
    fn applied(&self, pass: &ApplyRules, before: &Module) -> Option<Module> {
        let mut after = before.clone();
        let changed = Pass::<Module>::run(pass, &mut after, &mut PassCx::new(self.ops)).ok()?;
        (changed == Changed::Yes).then_some(after)
    }
}
