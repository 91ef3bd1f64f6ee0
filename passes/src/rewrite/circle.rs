//! Whether a rule applies to what it makes.
//!
//! What names stand for is not looked into, and conditions are not asked: a rule is refused where its shape alone says
//! that it may go on for ever. Other rules end since what they leave is not their own left side; rules that undo each other
//! are bounded by the rounds of a pass.

use super::ast::{Callee, OpPattern, Ops, Pattern, PatternKind, Rewrite, Term, TermKind};

/// Whether a part of the right side matches the left one, and the right side is not smaller.
pub(super) fn goes_in_circles(rule: &Rewrite) -> bool {
    let lets: usize = rule.lets.iter().map(|it| size(&it.term)).sum();
    let terms = rule.lets.iter().map(|it| &it.term).chain([&rule.right]);
    operations(&rule.left) <= size(&rule.right) + lets && terms.into_iter().any(|it| meets(rule, it))
}

fn meets(rule: &Rewrite, term: &Term) -> bool {
    fits(rule, &rule.left, term)
        || matches!(&term.kind, TermKind::Op { args, .. } if args.iter().any(|it| meets(rule, it)))
}

/// Whether a term may be what a pattern matches.
fn fits(rule: &Rewrite, pattern: &Pattern, term: &Term) -> bool {
    match (&pattern.kind, &term.kind) {
        (PatternKind::Any(_), _) => true,
        (_, TermKind::Name(name)) => {
            rule.lets.iter().find(|it| it.name == *name).is_some_and(|it| fits(rule, pattern, &it.term))
        }
        (PatternKind::Number(x), TermKind::Number(y, _)) => x == y,
        (PatternKind::List(_), TermKind::Expr(_)) => true,
        (PatternKind::Op(op), TermKind::Op { callee, args, .. }) => {
            let operands = aligned(rule, &op.args, args)
                || args.len() == 2 && aligned(rule, &op.args, &[args[1].clone(), args[0].clone()]);
            operands && admits(rule, op, callee)
        }
        _ => false,
    }
}

/// Whether operands may be those of a pattern, of which one may stand for several.
fn aligned(rule: &Rewrite, patterns: &[Pattern], args: &[Term]) -> bool {
    let least = patterns.iter().filter(|it| !it.optional).count();
    match patterns.iter().position(|it| it.repeated) {
        Some(many) if args.len() >= least => {
            let after = args.len() - (patterns.len() - many - 1);
            let (before, rest) = args.split_at(many);
            let (middle, after) = rest.split_at(after - many);
            let fit = |(it, arg): (&Pattern, &Term)| fits(rule, it, arg);
            patterns.iter().zip(before).all(fit)
                && middle.iter().all(|arg| fits(rule, &patterns[many], arg))
                && patterns[many + 1..].iter().zip(after).all(fit)
        }
        Some(_) => false,
        None => {
            (least..=patterns.len()).contains(&args.len())
                && patterns.iter().zip(args).all(|(it, arg)| fits(rule, it, arg))
        }
    }
}

fn admits(rule: &Rewrite, op: &OpPattern, callee: &Callee) -> bool {
    match (&op.ops, callee) {
        (Ops::Elementwise, _) => true,
        (Ops::Named(names), Callee::Op(name)) => names.contains(name),
        (Ops::Named(names), Callee::Captured(name)) => {
            op.capture == Some(*name) || named(&rule.left, *name).iter().any(|it| names.contains(it))
        }
    }
}

fn named(pattern: &Pattern, name: super::ast::Name) -> Vec<Box<str>> {
    match &pattern.kind {
        PatternKind::Op(OpPattern { ops: Ops::Named(names), capture, .. }) if *capture == Some(name) => {
            names.clone()
        }
        PatternKind::Op(op) => op.args.iter().flat_map(|it| named(it, name)).collect(),
        _ => Vec::new(),
    }
}

/// Number of operations.
pub(super) fn operations(pattern: &Pattern) -> usize {
    match &pattern.kind {
        PatternKind::Op(op) => 1 + op.args.iter().map(operations).sum::<usize>(),
        _ => 0,
    }
}

fn size(term: &Term) -> usize {
    match &term.kind {
        TermKind::Op { args, .. } => 1 + args.iter().map(size).sum::<usize>(),
        _ => 0,
    }
}
