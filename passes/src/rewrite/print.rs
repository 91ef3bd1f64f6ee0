//! Rules as text.

use super::ast::{
    Callee, Condition, DTypePattern, DimPattern, Expr, Item, Name, Ops, Pattern, PatternKind, Rewrite, Term,
    TermKind, TypePattern,
};
use super::parse::CLASSES;
use orogen_ir::text::{float_text, quote};
use std::fmt::Write;

/// Characters of a rule that stay on one line.
const WIDTH: usize = 110;

/// A rule as text, which [`parse`](super::parse()) reads again.
pub fn print(rule: &Rewrite) -> String {
    let p = Printer { rule };
    let mut text = format!("rule {} {}", rule.name, rule.class);
    text.push_str(if rule.explored { " explored" } else { "" });
    if let Some(reason) = &rule.unproven {
        let _ = write!(text, " unproven {}", quote(reason));
    }
    let left: Vec<String> = rule.roots().map(|it| p.pattern(it)).collect();
    let right: Vec<String> = rule.results().map(|it| p.term(it)).collect();
    let (left, right) = (left.join(", "), right.join(", "));
    let apart = if left.len() + right.len() + 6 > WIDTH { "\n    " } else { " " };
    let _ = writeln!(text, "\n  {left}{apart}=> {right}");
    for it in &rule.lets {
        let _ = writeln!(text, "  let {} = {}", p.name(it.name), p.term(&it.term));
    }
    if !rule.conditions.is_empty() {
        let conditions: Vec<String> = rule.conditions.iter().map(|it| p.condition(it)).collect();
        let _ = writeln!(text, "  where {}", conditions.join(", "));
    }
    text
}

struct Printer<'a> {
    rule: &'a Rewrite,
}

impl Printer<'_> {
    fn name(&self, name: Name) -> &str {
        self.rule.spelling(name)
    }

    fn pattern(&self, pattern: &Pattern) -> String {
        let mut text = String::new();
        if let Some(name) = pattern.capture {
            let _ = write!(text, "{} = ", self.name(name));
        }
        match &pattern.kind {
            PatternKind::Any(name) => text.push_str(name.map_or("_", |it| self.name(it))),
            PatternKind::Number(it) => text.push_str(&number(*it)),
            PatternKind::List(items) => text.push_str(&self.items(items)),
            PatternKind::Op(op) => {
                if let Some(name) = op.capture {
                    let _ = write!(text, "{}: ", self.name(name));
                }
                match &op.ops {
                    Ops::Elementwise => text.push_str("elementwise"),
                    Ops::Named(names) if names.len() == 1 => text.push_str(&names[0]),
                    Ops::Named(names) => {
                        let _ = write!(text, "{{{}}}", names.join(" | "));
                    }
                }
                let args: Vec<String> = op.args.iter().map(|it| self.pattern(it)).collect();
                let _ = write!(text, "({}){}", args.join(", "), self.attrs(&op.attrs, op.rest));
            }
        }
        for (mark, given) in [("..", pattern.repeated), ("!", pattern.once), ("?", pattern.optional)] {
            text.push_str(if given { mark } else { "" });
        }
        if let Some(ty) = &pattern.ty {
            let _ = write!(text, ": {}", self.ty(ty));
        }
        text
    }

    fn ty(&self, ty: &TypePattern) -> String {
        let dtype = ty.dtype.as_ref().map_or(String::new(), |it| self.dtype(it));
        let Some(dims) = &ty.dims else { return dtype };
        let dims: Vec<String> = dims
            .iter()
            .map(|it| match it {
                DimPattern::One(expr) => self.expr(expr, 0),
                DimPattern::Rest(name) => format!("{}..", self.name(*name)),
            })
            .collect();
        format!("{dtype}[{}]", dims.join(", "))
    }

    fn dtype(&self, dtype: &DTypePattern) -> String {
        match dtype {
            DTypePattern::Exact(it) => it.to_string(),
            DTypePattern::Class(class) => {
                CLASSES.iter().find(|it| it.1 == *class).map_or("bool", |it| it.0).to_owned()
            }
            DTypePattern::Name(name) => self.name(*name).to_owned(),
        }
    }

    fn attrs(&self, attrs: &[(Box<str>, Expr)], rest: Option<Name>) -> String {
        let named = attrs.iter().map(|(name, expr)| format!("{name} = {}", self.expr(expr, 0)));
        let all: Vec<String> = named.chain(rest.map(|it| format!("..{}", self.name(it)))).collect();
        if all.is_empty() { String::new() } else { format!(" {{{}}}", all.join(", ")) }
    }

    fn term(&self, term: &Term) -> String {
        let mut text = match &term.kind {
            TermKind::Name(name) => self.name(*name).to_owned(),
            TermKind::Number(it, dtype) => match dtype {
                Some(dtype) => format!("{}: {}", number(*it), self.dtype(dtype)),
                None => number(*it),
            },
            TermKind::Expr(expr) => self.expr(expr, 0),
            TermKind::Op { callee, args, attrs, rest } => {
                let callee = match callee {
                    Callee::Op(name) => name,
                    Callee::Captured(name) => self.name(*name),
                };
                let args: Vec<String> = args.iter().map(|it| self.term(it)).collect();
                format!("{callee}({}){}", args.join(", "), self.attrs(attrs, *rest))
            }
        };
        for (mark, given) in [("..", term.repeated), ("?", term.optional)] {
            text.push_str(if given { mark } else { "" });
        }
        text
    }

    fn condition(&self, condition: &Condition) -> String {
        match condition {
            Condition::Compare(compare, a, b) => {
                format!("{} {} {}", self.expr(a, 0), compare.sign(), self.expr(b, 0))
            }
            Condition::Type(name, types) => {
                let types: Vec<String> = types.iter().map(|it| self.dtype(it)).collect();
                format!("{}: {}", self.name(*name), types.join(" | "))
            }
            Condition::Is(predicate, args) => format!("{}({})", predicate.name(), self.exprs(args)),
            Condition::Not(inner) => format!("not {}", self.condition(inner)),
            Condition::Or(list) => {
                let list: Vec<String> = list.iter().map(|it| self.condition(it)).collect();
                list.join(" or ")
            }
        }
    }

    fn exprs(&self, list: &[Expr]) -> String {
        let list: Vec<String> = list.iter().map(|it| self.expr(it, 0)).collect();
        list.join(", ")
    }

    fn items(&self, items: &[Item]) -> String {
        let item = |it: &Item| self.expr(&it.expr, 0) + if it.spread { ".." } else { "" };
        let items: Vec<String> = items.iter().map(item).collect();
        format!("[{}]", items.join(", "))
    }

    /// An expression in a place that binds so strongly.
    fn expr(&self, expr: &Expr, strength: u8) -> String {
        match expr {
            Expr::Name(name) => self.name(*name).to_owned(),
            Expr::Int(it) => it.to_string(),
            Expr::Float(it) => float_text(*it),
            Expr::Bool(it) => it.to_string(),
            Expr::Text(it) => quote(it),
            Expr::DType(it) => it.to_string(),
            Expr::List(items) => self.items(items),
            Expr::Neg(inner) if strength < 3 => format!("-{}", self.expr(inner, 3)),
            Expr::Neg(inner) => format!("(-{})", self.expr(inner, 3)),
            Expr::Binary(sign, a, b) => {
                use super::ast::Arithmetic::{Add, Sub};
                let own = if matches!(sign, Add | Sub) { 1 } else { 2 };
                let text = format!("{} {} {}", self.expr(a, own), sign.sign(), self.expr(b, own + 1));
                if own < strength { format!("({text})") } else { text }
            }
            Expr::Index(list, at) => format!("{}[{}]", self.expr(list, 3), self.expr(at, 0)),
            Expr::Call(function, args) => format!("{}({})", function.name(), self.exprs(args)),
        }
    }
}

/// A number without a fraction where it has none.
fn number(number: f64) -> String {
    let whole = number.fract() == 0.0 && number.abs() < 1e15;
    if whole { format!("{number:.0}") } else { float_text(number) }
}
