//! Proofs of rules, which are made in the dataflow IR.

use crate::Compiler;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::Module;
use orogen_ir::types::TensorData;
use orogen_passes::proof::{Prover, RuleProof, Verdict};
use orogen_passes::rewrite::Rewrite;
use orogen_reference::{Value, eval_function};
use std::sync::{Arc, OnceLock};

impl Compiler {
    /// What a machine can show of a rule, for all sizes: with the operators of this compiler and how it lowers them. Where
    /// no proof is found, the reference looks for a difference.
    pub fn prove(&self, rule: &Rewrite) -> RuleProof {
        let evaluate = |module: &Module, name: &str, args: &[TensorData]| {
            let args: Vec<Value> = args.iter().cloned().map(Value::from).collect();
            let results = eval_function(&self.ops, module, name, &args).map_err(|it| it.to_string())?;
            let tensor =
                |it: Value| it.as_tensor().cloned().ok_or_else(|| "a result is no tensor".to_owned());
            results.into_iter().map(tensor).collect()
        };
        Prover::new(&self.ops)
            .with_table(self.passes.table().clone())
            .with_evaluator(&evaluate)
            .prove_rule(rule)
    }
}

/// Rules that are text and not of ours.
pub(crate) struct AddedRules {
    /// Each with the file that it comes from.
    rules: Vec<(Option<String>, Arc<Rewrite>)>,
    /// What is wrong with them, once somebody asked.
    found: OnceLock<Diagnostics>,
}

impl AddedRules {
    pub(crate) fn new(rules: Vec<(Option<String>, Arc<Rewrite>)>) -> AddedRules {
        AddedRules { rules, found: OnceLock::new() }
    }

    /// Refuses rules for which a machine finds values that they change. One that is neither proven nor refuted is admitted:
    /// whoever adds it answers for it.
    pub(crate) fn check(&self, compiler: &Compiler) -> Result<(), Diagnostics> {
        let refuted = |(file, rule): &(Option<String>, Arc<Rewrite>)| {
            let proof = compiler.prove(rule);
            let (Verdict::Refuted { .. }, _) = proof.failure.as_deref()? else { return None };
            let (how, [before, after]) = *proof.failure?;
            // The expressions that no proof was found for say less than the programs.
            let how = how.to_string();
            let how = how.lines().next().unwrap_or_default().trim_start_matches("refuted: ");
            let message = format!("rule `{}` is wrong: {how}", rule.name);
            let mut found = Diagnostic::error("N015", message).at_place(rule.place.clone());
            found.notes.extend(file.as_ref().map(|it| format!("in `{it}`")));
            let programs = format!("it makes of this program\n{before}this one\n{after}");
            Some(
                found
                    .note(programs.trim_end())
                    .help("correct it; `orogen rules --prove FILE` tries it alone"),
            )
        };
        let found = self.found.get_or_init(|| Diagnostics(self.rules.iter().filter_map(refuted).collect()));
        if found.is_empty() { Ok(()) } else { Err(found.clone()) }
    }
}
