//! Rewrite rules: a language for them, and what applies them to either graph IR.
//!
//! A rule is a line or two of text ([the guide](../../../docs/write-a-rule.md), RFC 0009):
//!
//! ```
//! use orogen_ir::ops::OpRegistry;
//! use orogen_passes::rewrite::{RuleSet, parse, print};
//!
//! let ops = OpRegistry::standard();
//! let text = "\
//! rule compose-transposes bitwise
//!   transpose(transpose(x) {perm = p}) {perm = q} => transpose(x) {perm = p[q]}
//! ";
//! assert_eq!(print(&parse(text, &ops)?[0]), text);
//! let set = RuleSet::parse(&ops, text)?;
//! assert!(set.rules().all(|it| it.name() == "compose-transposes"));
//! # Ok::<(), orogen_ir::diag::Diagnostics>(())
//! ```
//!
//! What the language does not say is code ([`Rule`]). Both see the program through [`Rewriter`] and never an IR: a driver of
//! each holds the walk, and [`Value`] is what both call their values. [`Rewrite`] is the rule as data; what else reads it
//! (proofs, equality saturation) needs nothing of this module but `ast`.
//!
//! # Laws
//! * **R1** What replaces a result has its type: of a rule that is data provably, or it does not apply; of code the element
//!   type, and a shape that is not known to be another one, or it is an error.
//! * **R2** A rule is tried on operations of its root alone, and these have one result.
//! * **R3** No two rules of a set have one name.
//! * **R4** A match holds no operation with effects, and no operation of another block than the root's.
//! * **R5** What a condition asks is known when a rule applies: where it is not, the rule does not.
//! * **R6** Reading a rule takes time in its text, a match in its rule; no text makes either panic.
//! * **R8** A rule of several roots replaces all of them or none; each further one stands behind those before it and reads a
//!   value of theirs.
//! * **R7** `print(parse(t)) = t` for text that [`print()`] wrote.

mod any;
mod ast;
mod build;
mod check;
mod circle;
mod class;
mod defaults;
mod env;
mod eval;
mod function;
mod matching;
mod parse;
mod pattern;
mod print;
mod rewriter;
mod set;
mod shipped;
mod sizes;
#[cfg(test)]
mod tests;

pub use any::AnyRule;
pub use ast::{
    Arithmetic, Callee, Compare, Condition, DTypePattern, DimPattern, Expr, Item, Let, Name, OpPattern, Ops,
    Pattern, PatternKind, Rewrite, Term, TermKind, TypePattern,
};
pub use class::RuleClass;
pub use env::Bound;
pub use function::{Function, Predicate};
pub use pattern::{Match, Matcher};
pub use print::print;
pub use rewriter::{Guard, OpCall, Rewriter, Rule, RuleFn, Value};
pub(crate) use set::changes_type;
pub use set::{RuleSet, taken};
pub(crate) use shipped::names as shipped_names;

use orogen_ir::diag::Diagnostics;
use orogen_ir::ops::OpRegistry;
use orogen_ir::text::{Cursor, LineIndex};
use orogen_ir::types::implies;

/// The rules of a text, for passes that apply them until none applies.
///
/// # Errors
/// Everything that is wrong with it: what is no rule (`T…`), unknown operators and functions (`N006`), attributes that an
/// operator does not have or lacks (`N007`), names with two meanings, and what stands where it means nothing (`N008`),
/// names that the left side does not bind (`N009`), wrong numbers of operands (`N010`), classes (`N011`), rules that apply
/// to what they make (`N012`), rules that are too large (`N014`), and two rules of one name (`N004`).
pub fn parse(text: &str, ops: &OpRegistry) -> Result<Vec<Rewrite>, Diagnostics> {
    parse_for(text, ops, false)
}

/// The rules of a text for equality saturation, which may go in circles, as those may that are marked `explored`.
///
/// # Errors
/// As [`parse`], but for `N012`.
pub fn parse_explored(text: &str, ops: &OpRegistry) -> Result<Vec<Rewrite>, Diagnostics> {
    parse_for(text, ops, true)
}

fn parse_for(text: &str, ops: &OpRegistry, explore: bool) -> Result<Vec<Rewrite>, Diagnostics> {
    let mut cursor = Cursor::new(text);
    let lines = LineIndex::new(text);
    let mut rules: Vec<Rewrite> = Vec::new();
    for parsed in parse::parse_rules(&mut cursor) {
        match check::check(parsed, ops, &lines, explore) {
            Ok(rule) if rules.iter().any(|it| it.name == rule.name) => {
                let message = format!("there are two rules `{}`", rule.name);
                let found = orogen_ir::diag::Diagnostic::error("N004", message);
                cursor.report(found.at_place(rule.place).help("give one of them another name"));
            }
            Ok(rule) => rules.push(rule),
            Err(found) => found.0.into_iter().for_each(|it| cursor.report(it)),
        }
    }
    cursor.finish().into_result(rules)
}

impl Rewrite {
    /// The value that replaces the result of an operation, if the rule applies to it and has no further roots.
    pub fn apply(&self, rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
        self.others.is_empty().then_some(())?;
        self.apply_all(rewriter, call)?.first().map(|it| it.1)
    }

    /// The results of all roots with what replaces each, if the rule applies to this operation as its first root.
    pub fn apply_all(&self, rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Vec<(Value, Value)>> {
        let env = matching::find(rewriter, self, call)?;
        let roots = env.roots.clone();
        let mut types = Vec::new();
        for root in &roots {
            let old = rewriter.ty(*root);
            // Where a shape is not known, nothing proves that two are one.
            old.as_tensor()?.dims()?;
            types.push(old);
        }
        let results = build::build(rewriter, self, env)?;
        for (new, old) in results.iter().zip(&types) {
            let found = rewriter.ty(*new);
            implies(rewriter.shapes(), &found, old).then_some(())?;
        }
        Some(roots.into_iter().zip(results).collect())
    }
}
