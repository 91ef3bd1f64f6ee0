//! Rewrite rules, written once for both graph IRs.
//!
//! A [`Rule`] looks at the operations of one operator. It sees the program around them through [`Rewriter`] and returns
//! the value that replaces the result. A driver of either IR holds the walk; [`Value`] is what both call their values.
//!
//! # Laws
//! * **W1** What replaces a result has its element type, and a shape that is not known to be another one.
//! * **W2** A rule is tried on operations of its root alone, and these have one result.
//! * **W3** No two rules of a set have one name.

use super::table::OpTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::ops::{OpId, OpRegistry};
use orogen_ir::shape::ShapeCx;
use orogen_ir::types::{Attrs, TensorData, Type};

/// A value of the program. It means something during the application of a rule that it was given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Value(u64);

impl Value {
    pub(crate) const fn from_bits(bits: u64) -> Value {
        Value(bits)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }
}

/// An operation of one result.
#[derive(Clone, Debug, PartialEq)]
pub struct OpCall {
    /// Its operator.
    pub op: OpId,
    /// Attributes.
    pub attrs: Attrs,
    /// Operands.
    pub args: Vec<Value>,
}

/// The program around the operation that a rule looks at.
pub trait Rewriter {
    /// Operator table.
    fn ops(&self) -> &OpRegistry;

    /// The operation that defines a value, when it is one of one result.
    fn definition(&self, value: Value) -> Option<OpCall>;

    /// The data of a value that is a constant.
    fn constant(&self, value: Value) -> Option<TensorData>;

    /// The type of a value; its dimensions are of [`shapes`](Self::shapes).
    fn ty(&mut self, value: Value) -> Type;

    /// The context of dimensions.
    fn shapes(&self) -> &ShapeCx;

    /// How often a value is used.
    fn uses(&self, value: Value) -> usize;

    /// Adds an operation of one result before the one that is rewritten; `None` when there is no such operator, or when
    /// its types cannot be inferred without a check at run time that the program did not have.
    fn emit(&mut self, op: &str, attrs: Attrs, args: &[Value]) -> Option<Value>;

    /// Adds a constant before the operation that is rewritten.
    fn emit_constant(&mut self, data: TensorData) -> Value;
}

impl dyn Rewriter + '_ {
    /// The operation that defines a value, when it is one of this operator.
    pub fn definition_by(&self, value: Value, op: &str) -> Option<OpCall> {
        self.definition(value).filter(|it| self.ops().def(it.op).name == op)
    }
}

/// The value that replaces the result of an operation, when the rule applies.
pub type RuleFn = fn(&mut dyn Rewriter, &OpCall) -> Option<Value>;

/// A rewrite rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name, in errors.
    pub name: &'static str,
    /// Name of the operator whose operations it is tried on.
    pub root: &'static str,
    /// Looks at one operation. What it emitted before it found that it does not apply is dead and goes away.
    pub apply: RuleFn,
}

/// Rules by the operator of their root.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    rows: OpTable<Vec<Rule>>,
    names: Vec<&'static str>,
}

impl RuleSet {
    /// A set of these rules, tried in this order.
    ///
    /// # Errors
    /// See [`insert`](Self::insert).
    pub fn new(ops: &OpRegistry, rules: impl IntoIterator<Item = Rule>) -> Result<RuleSet, Diagnostic> {
        let mut set = RuleSet::default();
        rules.into_iter().try_for_each(|it| set.insert(ops, it))?;
        Ok(set)
    }

    /// Adds a rule, tried after those that are there.
    ///
    /// # Errors
    /// `N003`: an operator that is not registered. `N004`: a name that is taken (law W3).
    pub fn insert(&mut self, ops: &OpRegistry, rule: Rule) -> Result<(), Diagnostic> {
        let Some(root) = ops.find(rule.root) else {
            let message =
                format!("rule `{}` looks at operator `{}`, which is not registered", rule.name, rule.root);
            return Err(Diagnostic::error("N003", message).help("register the operator, or correct `root`"));
        };
        if self.names.contains(&rule.name) {
            return Err(Diagnostic::error("N004", format!("there are two rules `{}`", rule.name))
                .help("give one of them another name"));
        }
        self.names.push(rule.name);
        self.rows.entry(root).push(rule);
        Ok(())
    }

    /// Names of the rules, in the order they were added.
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// The value that replaces the result of `call`, and the rule that said so: the first that applies.
    pub(crate) fn apply(&self, rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<(Value, Rule)> {
        let rules = self.rows.get(call.op)?;
        rules.iter().find_map(|rule| Some(((rule.apply)(rewriter, call)?, *rule)))
    }
}

/// The error of a rule that breaks law W1.
pub(crate) fn changes_type(rule: Rule, from: &str, to: &str) -> Diagnostic {
    let message = format!("rule `{}` replaces a value of type `{from}` by one of type `{to}`", rule.name);
    Diagnostic::error("N005", message).note("this is a defect of the rule, not of the model")
}
