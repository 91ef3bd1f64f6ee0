//! Finding what the left side of a rule describes.
//!
//! A match is looked for from the root down, operands from left to right; where operands of a commutative operator do not
//! fit in one order, they are tried in the other one. How many orders are tried is bounded, so a match takes time in the
//! rule and not in the program.

use super::ast::{
    Condition, DimPattern, Expr, Item, Name, OpPattern, Ops, Pattern, PatternKind, Rewrite, TermKind,
    TypePattern,
};
use super::defaults::default_of;
use super::env::{Bound, Env, of_attr};
use super::eval::{admits, bind_dtype, eval, holds, related, same};
use super::rewriter::{OpCall, Rewriter, Value};
use super::{ast::Compare, ast::DTypePattern};
use orogen_ir::ops::OpDef;
use orogen_ir::shape::Dim;
use orogen_ir::types::{Attr, Attrs};

/// Operators that give every bit in either order of their operands. What is larger of two zeros is the second.
const COMMUTATIVE: [&str; 6] = ["add", "mul", "and", "or", "xor", "equal"];
/// Orders of operands that are tried for one operation.
const MOST_ORDERS: u32 = 32;

/// What the names of the rule stand for, if its left side matches an operation and its conditions hold.
pub(super) fn find(rewriter: &mut dyn Rewriter, rule: &Rewrite, root: &OpCall) -> Option<Env> {
    let mut matcher = Matcher { rewriter, rule, orders: MOST_ORDERS, whole: true };
    let PatternKind::Op(op) = &rule.left.kind else { return None };
    let mut env = Env::new(rule);
    env.roots.push(root.result);
    if let Some(name) = rule.left.capture {
        env.set(name, Bound::Value(root.result));
    }
    matcher.fits_type(rule.left.ty.as_ref(), root.result, &mut env)?;
    matcher.operation(op, root, env, Vec::new())
}

struct Matcher<'a> {
    rewriter: &'a mut dyn Rewriter,
    rule: &'a Rewrite,
    orders: u32,
    /// Whether the conditions are asked when nothing is left to match; in a repetition they are not.
    whole: bool,
}

type Goals<'p> = Vec<(&'p Pattern, Value)>;

impl<'a> Matcher<'a> {
    /// Matches what is left to match, the last goal first.
    fn solve(&mut self, mut goals: Goals<'a>, mut env: Env) -> Option<Env> {
        while let Some((pattern, value)) = goals.pop() {
            env.seen.push(value);
            if pattern.once {
                env.once.push(value);
            }
            if let Some(name) = pattern.capture {
                self.bind_value(&mut env, name, value)?;
            }
            self.fits_type(pattern.ty.as_ref(), value, &mut env)?;
            match &pattern.kind {
                PatternKind::Any(Some(name)) => self.bind_value(&mut env, *name, value)?,
                PatternKind::Any(None) => {}
                PatternKind::Number(number) => self.is_number(value, *number).then_some(())?,
                PatternKind::List(items) => {
                    let ty = self.rewriter.ty(value);
                    let elements = ty.as_tensor()?.elements.as_ref()?;
                    self.items(items, elements, &mut env)?;
                }
                PatternKind::Op(op) => {
                    let call = self.rewriter.definition(value)?;
                    let effects = self.rewriter.ops().def(call.op).effects;
                    if !self.rewriter.is_local(value) || !effects.allowed_in_dataflow() {
                        return None;
                    }
                    return self.operation(op, &call, env, goals);
                }
            }
        }
        if !self.whole {
            return Some(env);
        }
        if let Some((pattern, _)) = self.rule.others.get(env.roots.len() - 1) {
            return self.further(pattern, env);
        }
        self.conditions(&mut env)?;
        Some(env)
    }

    /// Matches a further root, and all after it.
    fn further(&mut self, pattern: &'a Pattern, mut env: Env) -> Option<Env> {
        let PatternKind::Op(op) = &pattern.kind else { return None };
        let value = pattern.operand_names().find_map(|it| match env.get(it) {
            Some(Bound::Value(value)) => Some(*value),
            _ => None,
        })?;
        let call = self.rewriter.reader(value, env.roots.len() - 1)?;
        if env.roots.contains(&call.result) {
            return None;
        }
        env.roots.push(call.result);
        if let Some(name) = pattern.capture {
            self.bind_value(&mut env, name, call.result)?;
        }
        self.fits_type(pattern.ty.as_ref(), call.result, &mut env)?;
        self.operation(op, &call, env, Vec::new())
    }

    /// Matches an operation, and then what is left to match.
    fn operation(&mut self, op: &'a OpPattern, call: &OpCall, mut env: Env, goals: Goals<'a>) -> Option<Env> {
        let def = self.rewriter.ops().def(call.op).clone();
        let admitted = match &op.ops {
            Ops::Elementwise => def.elementwise,
            Ops::Named(names) => names.iter().any(|it| **it == *def.name),
        };
        if !admitted {
            return None;
        }
        self.attrs(op, &def, call, &mut env)?;
        let args = &call.args;
        // In a repetition, `..` says that a name is a list.
        if let Some(many) = op.args.iter().position(|it| it.repeated && self.whole) {
            let behind = op.args.len() - many - 1;
            if args.len() < many + behind {
                return None;
            }
            let end = args.len() - behind;
            let env = self.repeated(&op.args[many], &args[many..end], env)?;
            let fixed = op.args[..many].iter().zip(&args[..many]);
            let fixed = fixed.chain(op.args[many + 1..].iter().zip(&args[end..]));
            return self.solve(with(goals, fixed), env);
        }
        let least = op.args.iter().filter(|it| !it.optional).count();
        if !(least..=op.args.len()).contains(&args.len()) {
            return None;
        }
        for absent in &op.args[args.len()..] {
            if let PatternKind::Any(Some(name)) = absent.kind {
                if !matches!(env.get(name), None | Some(Bound::Absent)) {
                    return None;
                }
                env.set(name, Bound::Absent);
            }
        }
        let swapped = args.len() == 2 && op.args.len() == 2 && COMMUTATIVE.contains(&def.name);
        if swapped && args[0] != args[1] && self.orders > 0 {
            let found = self.solve(with(goals.clone(), op.args.iter().zip(args)), env.clone());
            if found.is_some() || self.orders == 0 {
                return found;
            }
            self.orders -= 1;
            return self.solve(with(goals, op.args.iter().zip(args.iter().rev())), env);
        }
        self.solve(with(goals, op.args.iter().zip(args)), env)
    }

    /// Matches each of several operands with one pattern; its names for values are lists of them.
    fn repeated(&mut self, pattern: &'a Pattern, args: &[Value], mut env: Env) -> Option<Env> {
        let mut names = Vec::new();
        value_names(pattern, &mut names);
        let before: Vec<Option<Bound>> = names.iter().map(|it| env.take(*it)).collect();
        let mut lists = vec![Vec::new(); names.len()];
        let whole = std::mem::replace(&mut self.whole, false);
        for arg in args {
            let found = self.solve(vec![(pattern, *arg)], env);
            let Some(found) = found else {
                self.whole = whole;
                return None;
            };
            env = found;
            for (name, list) in names.iter().zip(&mut lists) {
                match env.take(*name) {
                    Some(Bound::Value(value)) => list.push(value),
                    _ => {
                        self.whole = whole;
                        return None;
                    }
                }
            }
        }
        self.whole = whole;
        for ((name, list), before) in names.into_iter().zip(lists).zip(before) {
            let list = Bound::Values(list);
            if before.is_some_and(|it| it != list) {
                return None;
            }
            env.set(name, list);
        }
        Some(env)
    }

    fn bind_value(&mut self, env: &mut Env, name: Name, value: Value) -> Option<()> {
        match env.get(name) {
            None => env.set(name, Bound::Value(value)),
            Some(Bound::Value(known)) if same(self.rewriter, *known, value) => {}
            Some(_) => return None,
        }
        Some(())
    }

    fn attrs(&mut self, op: &OpPattern, def: &OpDef, call: &OpCall, env: &mut Env) -> Option<()> {
        let rank = call.args.first().and_then(|it| self.rewriter.ty(*it).as_tensor()?.shape.rank());
        let value = |name: &str| -> Option<Attr> {
            let given = call.attrs.get(name).cloned();
            given.or_else(|| {
                default_of(def.name, def.attrs.iter().find(|it| it.name == name)?, &call.attrs, rank)
            })
        };
        for (name, expr) in &op.attrs {
            let attr = value(name)?;
            let shapes = self.rewriter.shapes_mut();
            let bound = of_attr(&attr, |it| shapes.int(it));
            self.bind_or_equal(expr, bound, env)?;
        }
        let mut others = Attrs::none();
        for (name, attr) in call.attrs.iter().filter(|(name, _)| !op.attrs.iter().any(|it| *it.0 == **name)) {
            if op.rest.is_none() && op.capture.is_none() {
                let schema = def.attrs.iter().find(|it| it.name == name)?;
                if default_of(def.name, schema, &call.attrs, rank).as_ref() != Some(attr) {
                    return None;
                }
            }
            others = others.with(name, attr.clone());
        }
        if let Some(rest) = op.rest {
            match env.get(rest) {
                None => env.set(rest, Bound::Attrs(others.clone())),
                Some(known) => (*known == Bound::Attrs(others.clone())).then_some(())?,
            }
        }
        if let Some(name) = op.capture {
            let bound = Bound::Op(call.op, others);
            match env.get(name) {
                None => env.set(name, bound),
                Some(known) => (*known == bound).then_some(())?,
            }
        }
        Some(())
    }

    /// A name that means nothing yet is bound; all else must be known to be equal.
    fn bind_or_equal(&mut self, expr: &Expr, found: Bound, env: &mut Env) -> Option<()> {
        match expr {
            Expr::Name(name) if self.rule.spelling(*name) == "_" => return Some(()),
            Expr::Name(name) if env.get(*name).is_none() => {
                env.set(*name, found);
                return Some(());
            }
            Expr::List(items) => {
                let Bound::List(found) = found else { return None };
                return self.items(items, &found, env);
            }
            _ => {}
        }
        let wanted = eval(self.rewriter, env, expr)?;
        related(self.rewriter, Compare::Eq, &wanted, &found).is_always().then_some(())
    }

    /// Matches elements with a list, of which one member may stand for several.
    fn items(&mut self, items: &[Item], found: &[Dim], env: &mut Env) -> Option<()> {
        let many = items.iter().position(|it| it.spread);
        let behind = many.map_or(0, |it| items.len() - it - 1);
        match many {
            None if items.len() != found.len() => return None,
            Some(_) if found.len() + 1 < items.len() => return None,
            _ => {}
        }
        for (i, item) in items.iter().enumerate() {
            let bound = match many {
                Some(many) if i == many => Bound::List(found[many..found.len() - behind].to_vec()),
                Some(many) if i > many => Bound::Number(found[found.len() - (items.len() - i)]),
                _ => Bound::Number(found[i]),
            };
            self.bind_or_equal(&item.expr, bound, env)?;
        }
        Some(())
    }

    fn fits_type(&mut self, pattern: Option<&TypePattern>, value: Value, env: &mut Env) -> Option<()> {
        let Some(pattern) = pattern else { return Some(()) };
        let ty = self.rewriter.ty(value);
        let tensor = ty.as_tensor()?;
        let fits = match &pattern.dtype {
            None => true,
            Some(DTypePattern::Name(name)) => bind_dtype(env, *name, tensor.dtype),
            Some(other) => admits(env, other, tensor.dtype),
        };
        fits.then_some(())?;
        let Some(wanted) = &pattern.dims else { return Some(()) };
        let items: Vec<Item> = wanted
            .iter()
            .map(|it| match it {
                DimPattern::One(expr) => Item { expr: expr.clone(), spread: false },
                DimPattern::Rest(name) => Item { expr: Expr::Name(*name), spread: true },
            })
            .collect();
        self.items(&items, tensor.dims()?, env)
    }

    /// Whether a value is a constant all of whose elements are a number.
    fn is_number(&mut self, value: Value, number: f64) -> bool {
        let is = |it: f64| it == number && it.is_sign_negative() == number.is_sign_negative();
        if let Some(data) = self.rewriter.constant(value) {
            let moved = data.dtype().is_only_moved();
            return !moved && (0..data.len()).all(|i| is(data.get_f64(i)));
        }
        let ty = self.rewriter.ty(value);
        let elements = ty.as_tensor().and_then(|it| it.elements.as_ref());
        let shapes = self.rewriter.shapes();
        elements.is_some_and(|list| list.iter().all(|it| shapes.as_int(*it).is_some_and(|it| is(it as f64))))
    }

    fn conditions(&mut self, env: &mut Env) -> Option<()> {
        for value in &env.once {
            let seen = env.seen.iter().filter(|it| *it == value).count();
            (self.rewriter.uses(*value) == seen).then_some(())?;
        }
        for it in &self.rule.lets {
            let bound = match &it.term.kind {
                TermKind::Expr(expr) => eval(self.rewriter, env, expr),
                TermKind::Name(name) => env.get(*name).cloned(),
                TermKind::Op { .. } | TermKind::Number(..) => continue,
            };
            // What has no value is no match where it is used.
            if let Some(bound) = bound {
                env.set(it.name, bound);
            }
        }
        let all = |it: &Condition| holds(self.rewriter, env, it).is_always();
        self.rule.conditions.iter().all(all).then_some(())
    }
}

/// Goals with further ones, of which the first is the next.
fn with<'p, 'v>(
    mut goals: Goals<'p>,
    more: impl DoubleEndedIterator<Item = (&'p Pattern, &'v Value)>,
) -> Goals<'p> {
    goals.extend(more.rev().map(|(pattern, value)| (pattern, *value)));
    goals
}

/// Names for lists of values in a pattern that is repeated.
fn value_names(pattern: &Pattern, names: &mut Vec<Name>) {
    let own = match pattern.kind {
        PatternKind::Any(name) if pattern.repeated => name,
        _ => None,
    };
    for name in own.into_iter().chain(pattern.capture) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if let PatternKind::Op(op) = &pattern.kind {
        op.args.iter().for_each(|it| value_names(it, names));
    }
}
