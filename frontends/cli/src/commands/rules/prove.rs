//! `orogen rules --prove`

use crate::args::RulesArgs;
use crate::failure::Failure;
use crate::files;
use crate::output::say;
use orogen::Compiler;
use orogen::rules::{AnyRule, Rewrite, RuleProof, parse};
use std::process::ExitCode;
use std::time::Instant;

/// A table of proofs, a line for each rule, and in whole what is not proven.
pub(super) fn run(compiler: &Compiler, args: &RulesArgs) -> Result<ExitCode, Failure> {
    let rules: Vec<Rewrite> = match &args.file {
        Some(path) => parse(&files::read_text(path)?, compiler.ops())?,
        None => {
            let text = compiler.rules().filter_map(|(_, it)| match it {
                AnyRule::Text(rule) => Some(rule.as_ref().clone()),
                AnyRule::Code(_) => None,
            });
            text.collect()
        }
    };
    let start = Instant::now();
    let (mut proven, mut reasons, mut wrong) = (0, 0, 0);
    for rule in &rules {
        let begin = Instant::now();
        let proof = compiler.prove(rule);
        let outcome = match (proof.is_proven(), &proof.unproven) {
            (true, _) => {
                proven += 1;
                "proven".to_owned()
            }
            (false, Some(reason)) if !proof.is_refuted() => {
                reasons += 1;
                format!("unproven: {reason}")
            }
            (false, _) => {
                wrong += 1;
                failure(&proof)
            }
        };
        let class = proof.class.to_string();
        let count = format!("{}/{}", proof.proven, proof.instances);
        say!("{:44} {class:14} {count:>9} {:>7.2} s  {outcome}", proof.name, begin.elapsed().as_secs_f64());
    }
    let noun = if rules.len() == 1 { "rule" } else { "rules" };
    say!(
        "// {} {noun}: {proven} proven, {reasons} unproven with a reason, {wrong} neither; {:.1} s",
        rules.len(),
        start.elapsed().as_secs_f64()
    );
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

/// Why a rule is not proven.
fn failure(proof: &RuleProof) -> String {
    match &proof.failure {
        None => "no instance of it is known".to_owned(),
        Some(it) => format!("{}\nbefore:\n{}after:\n{}", it.0, it.1[0], it.1[1]),
    }
}
