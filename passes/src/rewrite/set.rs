//! Rules by the operators that they are tried on.

use super::any::AnyRule;
use super::ast::{Ops, PatternKind, Rewrite};
use super::rewriter::{Guard, OpCall, Rewriter, Rule, Value};
use super::shipped::{self, Entry};
use crate::manager::Accuracy;
use indexmap::IndexMap;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::ops::{OpId, OpRegistry};
use std::sync::Arc;

/// Rules in the order they are tried.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    rules: Vec<Entry>,
    rows: IndexMap<OpId, Vec<usize>>,
    guard: Option<Guard>,
}

impl RuleSet {
    /// A set of rules that are code.
    ///
    /// # Errors
    /// See [`insert`](Self::insert).
    pub fn new(ops: &OpRegistry, rules: impl IntoIterator<Item = Rule>) -> Result<RuleSet, Diagnostic> {
        let mut set = RuleSet::default();
        rules.into_iter().try_for_each(|it| set.insert(ops, it))?;
        Ok(set)
    }

    /// A set of the rules of a text.
    ///
    /// # Errors
    /// Those of [`insert_text`](Self::insert_text).
    pub fn parse(ops: &OpRegistry, text: &str) -> Result<RuleSet, Diagnostics> {
        let mut set = RuleSet::default();
        set.insert_text(ops, text)?;
        Ok(set)
    }

    /// The same, whose rules are tried only on operations for which the guard holds.
    #[must_use]
    pub fn guarded(self, guard: Guard) -> RuleSet {
        RuleSet { guard: Some(guard), ..self }
    }

    /// Adds a rule that is code, tried after those that are there.
    ///
    /// # Errors
    /// `N003`: an operator that is not registered. `N004`: a name that is taken (law R3).
    pub fn insert(&mut self, ops: &OpRegistry, rule: Rule) -> Result<(), Diagnostic> {
        let Some(root) = ops.find(rule.root) else {
            let message =
                format!("rule `{}` looks at operator `{}`, which is not registered", rule.name, rule.root);
            return Err(Diagnostic::error("N003", message).help("register the operator, or correct `root`"));
        };
        self.add(Entry::read(AnyRule::Code(rule)), [root])
    }

    /// Adds the rules of a text, tried after those that are there.
    ///
    /// # Errors
    /// What is wrong with the text, complete; see [`parse`](super::parse).
    pub fn insert_text(&mut self, ops: &OpRegistry, text: &str) -> Result<(), Diagnostics> {
        let mut found = Diagnostics::new();
        for rule in super::parse(text, ops)? {
            let place = rule.place.clone();
            let outcome = match rule.explored {
                true => Err(only_explored(&rule.name)),
                false => self.insert_rewrite(ops, Arc::new(rule)),
            };
            found.0.extend(outcome.err().map(|it| it.at_place(place)));
        }
        found.into_result(())
    }

    /// Adds the rules of a text that ships, each of which is read when it is first tried.
    ///
    /// # Errors
    /// `N003`: an operator that is not registered. `N004`: a name that is taken (law R3).
    pub(crate) fn insert_shipped(&mut self, ops: &OpRegistry, text: &'static str) -> Result<(), Diagnostic> {
        for text in shipped::split(text) {
            let mut roots = Vec::new();
            for name in shipped::roots(text) {
                match ops.find(name) {
                    Some(id) => roots.push(id),
                    None if name == "elementwise" => roots.extend(elementwise(ops)),
                    None => {
                        let message = format!("a rule that ships looks at `{name}`, which is not registered");
                        return Err(Diagnostic::error("N003", message));
                    }
                }
            }
            self.add(Entry::shipped(text), roots)?;
        }
        Ok(())
    }

    /// Adds a rule that is data, tried after those that are there.
    ///
    /// # Errors
    /// `N004`: a name that is taken (law R3).
    pub fn insert_rewrite(&mut self, ops: &OpRegistry, rule: Arc<Rewrite>) -> Result<(), Diagnostic> {
        let roots: Vec<OpId> = match &rule.left.kind {
            PatternKind::Op(op) => match &op.ops {
                Ops::Named(names) => names.iter().filter_map(|it| ops.find(it)).collect(),
                Ops::Elementwise => elementwise(ops).collect(),
            },
            _ => Vec::new(),
        };
        self.add(Entry::read(AnyRule::Text(rule)), roots)
    }

    fn add(&mut self, rule: Entry, roots: impl IntoIterator<Item = OpId>) -> Result<(), Diagnostic> {
        if self.contains(&rule.name) {
            return Err(taken(&rule.name));
        }
        for root in roots {
            self.rows.entry(root).or_default().push(self.rules.len());
        }
        self.rules.push(rule);
        Ok(())
    }

    /// Whether it has a rule of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.rules.iter().any(|it| *it.name == *name)
    }

    /// The rules, in the order they are tried.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &AnyRule> {
        self.rules.iter().map(Entry::rule)
    }

    /// The rules that are tried on operations of this operator, in order.
    pub(crate) fn rules_of(&self, op: OpId, accuracy: Accuracy) -> impl Iterator<Item = &AnyRule> {
        let rules = self.rows.get(&op).into_iter().flatten().map(|it| self.rules[*it].rule());
        rules.filter(move |it| it.class().is_admitted(accuracy))
    }

    /// The value that replaces the result of `call`, and the rule that said so: the first that applies.
    pub(crate) fn apply(
        &self,
        accuracy: Accuracy,
        rewriter: &mut dyn Rewriter,
        call: &OpCall,
    ) -> Option<(Value, &AnyRule)> {
        let effects = rewriter.ops().def(call.op).effects;
        if !effects.allowed_in_dataflow() {
            return None;
        }
        let mut rules = self.rules_of(call.op, accuracy).peekable();
        rules.peek()?;
        if self.guard.as_ref().is_some_and(|it| !it.holds(rewriter, call)) {
            return None;
        }
        rules.find_map(|rule| Some((rule.apply(rewriter, call)?, rule)))
    }
}

/// The error of a name that another rule has (law R3).
pub fn taken(name: &str) -> Diagnostic {
    Diagnostic::error("N004", format!("there are two rules `{name}`")).help("give one of them another name")
}

/// The error of a rule in a set that is applied until none applies.
fn only_explored(name: &str) -> Diagnostic {
    let message =
        format!("rule `{name}` is for exploration alone, and this set is applied until none applies");
    Diagnostic::error("N008", message).help("leave `explored` out, or give the rule to a compiler")
}

/// Operators that compute element by element.
fn elementwise(ops: &OpRegistry) -> impl Iterator<Item = OpId> {
    ops.iter().filter(|(_, def)| def.elementwise).map(|it| it.0)
}

/// The error of a rule that breaks law R1.
pub(crate) fn changes_type(rule: &AnyRule, from: &str, to: &str) -> Diagnostic {
    let message = format!("rule `{}` replaces a value of type `{from}` by one of type `{to}`", rule.name());
    Diagnostic::error("N005", message).note("this is a defect of the rule, not of the model")
}
