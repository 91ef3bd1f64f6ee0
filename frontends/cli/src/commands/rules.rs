//! `orogen rules`

use crate::args::RulesArgs;
use crate::failure::Failure;
use crate::files;
use crate::output::say;
use orogen::rules::{AnyRule, parse, print};
use std::process::ExitCode;

#[cfg(feature = "dataflow-ir")]
mod prove;
#[cfg(not(feature = "dataflow-ir"))]
mod prove {
    /// Proofs are made in the dataflow IR.
    pub(super) fn run(_: &orogen::Compiler, _: &super::RulesArgs) -> Result<super::ExitCode, super::Failure> {
        orogen::ir::flow::available()?;
        Ok(super::ExitCode::SUCCESS)
    }
}

pub(crate) fn run(args: &RulesArgs) -> Result<ExitCode, Failure> {
    let compiler = args.plugins.compiler()?;
    if args.prove {
        return prove::run(&compiler, args);
    }
    let Some(path) = &args.file else {
        for (pass, rule) in compiler.rules() {
            say!("// {pass}, {}", proven(rule.unproven()));
            match rule {
                AnyRule::Text(rule) => say!("{}", print(rule)),
                AnyRule::Code(rule) => say!("// rule {} {} is code\n", rule.name, rule.class),
            }
        }
        return Ok(ExitCode::SUCCESS);
    };
    let rules = parse(&files::read_text(path)?, compiler.ops())?;
    for rule in &rules {
        say!("// {}", proven(rule.unproven.as_deref()));
        say!("{}", print(rule));
    }
    let noun = if rules.len() == 1 { "rule" } else { "rules" };
    say!("// {} {noun}: names, operators, attributes and operands fit", rules.len());
    Ok(ExitCode::SUCCESS)
}

/// What is known of a rule.
fn proven(reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("unproven: {reason}"),
        None => "claimed for all sizes".to_string(),
    }
}
