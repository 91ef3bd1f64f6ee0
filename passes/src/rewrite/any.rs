//! A rule, whether it is data or code.

use super::ast::Rewrite;
use super::class::RuleClass;
use super::rewriter::{OpCall, Rewriter, Rule, Value};
use std::sync::Arc;

/// A rule of a set.
#[derive(Clone, Debug)]
pub enum AnyRule {
    /// Data.
    Text(Arc<Rewrite>),
    /// Code.
    Code(Rule),
}

impl AnyRule {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            AnyRule::Text(it) => &it.name,
            AnyRule::Code(it) => it.name,
        }
    }

    /// How exact it is.
    pub fn class(&self) -> RuleClass {
        match self {
            AnyRule::Text(it) => it.class,
            AnyRule::Code(it) => it.class,
        }
    }

    /// Why no machine has proven it; `None` when it is data that a machine proves.
    pub fn unproven(&self) -> Option<&str> {
        match self {
            AnyRule::Text(it) => it.unproven.as_deref(),
            AnyRule::Code(it) => Some(it.reason),
        }
    }

    pub(crate) fn apply(&self, rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
        match self {
            AnyRule::Text(it) => it.apply(rewriter, call),
            AnyRule::Code(it) => (it.apply)(rewriter, call),
        }
    }
}
