//! Patterns for passes that are code.

use super::ast::{Name, Pattern, PatternKind, Rewrite};
use super::check::check_pattern;
use super::env::{Bound, Env};
use super::matching::find;
use super::parse::parse_pattern;
use super::rewriter::{OpCall, Rewriter, Value};
use orogen_ir::diag::Diagnostics;
use orogen_ir::ops::OpRegistry;
use orogen_ir::text::{Cursor, LineIndex};

/// The left side of a rule without a right one: code says what becomes of a match.
///
/// ```
/// use orogen_ir::flow::text;
/// use orogen_ir::ops::OpRegistry;
/// use orogen_ir::types::Attrs;
/// use orogen_passes::manager::{Pass, PassCx};
/// use orogen_passes::rewrite::{Matcher, OpCall, Rewriter, Rule, RuleClass, Value};
/// use orogen_passes::rules::apply::ApplyRules;
///
/// fn root_of_square(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
///     let matcher = Matcher::parse(rewriter.ops(), "sqrt(mul(x, x)) where rank(x) = 2").ok()?;
///     let x = matcher.find(rewriter, call)?.value("x")?;
///     rewriter.emit("abs", Attrs::none(), &[x])
/// }
///
/// let ops = OpRegistry::standard();
/// let (class, reason) = (RuleClass::Reassociates, "an example");
/// let rule = Rule { name: "root-of-square", root: "sqrt", class, reason, apply: root_of_square };
/// let pass = ApplyRules::of_code("mine", &ops, &[rule])?;
/// // The second is a root of a vector.
/// let program = "module @m { sym n fn @f(%x: Tensor<f32, [n, 3]>, %v: Tensor<f32, [n]>) -> (y, w) {
///   dataflow { %a = mul(%x, %x) %y = sqrt(%a) %b = mul(%v, %v) %w = sqrt(%b) yield %y, %w } return %y, %w } }";
/// let mut module = text::parse(program, &ops)?;
/// pass.run(&mut module, &mut PassCx::new(&ops))?;
/// let after = text::print(&module, &ops);
/// assert_eq!((after.matches("abs(").count(), after.matches("sqrt(").count()), (1, 1));
/// assert!(Matcher::parse(&ops, "square_root(x)").is_err());
/// # Ok::<(), orogen_ir::diag::Diagnostics>(())
/// ```
#[derive(Clone, Debug)]
pub struct Matcher(Rewrite);

impl Matcher {
    /// A pattern, perhaps with `where` and conditions.
    ///
    /// # Errors
    /// As [`parse`](super::parse()).
    pub fn parse(ops: &OpRegistry, text: &str) -> Result<Matcher, Diagnostics> {
        let mut cursor = Cursor::new(text);
        let parsed = parse_pattern(&mut cursor);
        let found = cursor.finish();
        let parsed = parsed.map_err(|it| Diagnostics([it].into_iter().chain(found.0.clone()).collect()))?;
        found.into_result(())?;
        check_pattern(parsed, ops, &LineIndex::new(text)).map(Matcher)
    }

    /// Whether an operand is `_`: anything, without a name.
    pub fn has_unnamed(&self) -> bool {
        let mut unnamed = false;
        visit(&self.0.left, &mut |it| unnamed |= matches!(it.kind, PatternKind::Any(None)));
        unnamed
    }

    /// What the names of the pattern stand for, if it matches an operation.
    pub fn find(&self, rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Match<'_>> {
        find(rewriter, &self.0, call).map(|env| Match { rule: &self.0, env })
    }
}

/// What the names of a pattern stand for.
#[derive(Clone, Debug)]
pub struct Match<'m> {
    rule: &'m Rewrite,
    env: Env,
}

impl Match<'_> {
    /// What a name stands for.
    pub fn get(&self, name: &str) -> Option<&Bound> {
        let i = self.rule.names.iter().position(|it| **it == *name)?;
        self.env.get(Name(i as u16))
    }

    /// The values that the pattern has names for without saying what defines them, in the order of its text, each once.
    pub fn leaves(&self) -> Vec<Value> {
        let mut leaves = Vec::new();
        visit(&self.rule.left, &mut |it| {
            let PatternKind::Any(Some(name)) = it.kind else { return };
            let values: &[Value] = match self.env.get(name) {
                Some(Bound::Value(value)) => std::slice::from_ref(value),
                Some(Bound::Values(list)) => list,
                _ => &[],
            };
            for value in values {
                if !leaves.contains(value) {
                    leaves.push(*value);
                }
            }
        });
        leaves
    }

    /// The value that a name stands for.
    pub fn value(&self, name: &str) -> Option<Value> {
        match self.get(name)? {
            Bound::Value(it) => Some(*it),
            _ => None,
        }
    }
}

/// Calls `visit` with a pattern and those inside of it.
fn visit(pattern: &Pattern, look: &mut dyn FnMut(&Pattern)) {
    look(pattern);
    if let PatternKind::Op(op) = &pattern.kind {
        op.args.iter().for_each(|it| visit(it, look));
    }
}
