//! Rules of the step `simplify` that are code, written once for both graph IRs; those that are data are in
//! `passes/rules/simplify.rules`.

use super::structure::decide;
use crate::rewrite::{OpCall, Rewriter, Rule, RuleClass, Value};

/// The rules, in the order they are tried.
pub const RULES: &[Rule] = &[
    Rule {
        name: "split-concat",
        root: "concat",
        class: RuleClass::Bitwise,
        reason: "how many concatenations there are depends on the number of operands",
        apply: split_concat,
    },
    structure("decide-sequence-length", "sequence_length"),
    structure("decide-sequence-at", "sequence_at"),
    structure("decide-sequence-insert", "sequence_insert"),
    structure("decide-sequence-erase", "sequence_erase"),
    structure("decide-optional-has", "optional_has"),
    structure("decide-optional-get", "optional_get"),
];

/// A rule on how sequences and optionals are put together.
const fn structure(name: &'static str, root: &'static str) -> Rule {
    let reason = "it follows how a sequence was put together, by the definition that builders share";
    Rule { name, root, class: RuleClass::Bitwise, reason, apply: decide }
}

/// Operands that one concatenation keeps: its kernel has a parameter and a stage for each.
const MAX_CONCAT: usize = 32;

/// A concatenation of many operands is one of concatenations, so that no kernel grows with the program.
fn split_concat(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    if call.args.len() <= MAX_CONCAT {
        return None;
    }
    let mut parts = call.args.clone();
    while parts.len() > 1 {
        let joined = parts.chunks(MAX_CONCAT).map(|chunk| match chunk {
            [one] => Some(*one),
            _ => rewriter.emit("concat", call.attrs.clone(), chunk),
        });
        parts = joined.collect::<Option<_>>()?;
    }
    parts.first().copied()
}
