//! Text to rules, before names and operators mean anything.

mod expression;

use super::ast::{
    Callee, Condition, DTypePattern, DimPattern, Expr, Item, Let, Name, OpPattern, Ops, Pattern, PatternKind,
    Rewrite, Term, TermKind, TypePattern,
};
use super::class::RuleClass;
use super::function::Function;
use orogen_ir::diag::{Diagnostic, Place};
use orogen_ir::scalar::Class;
use orogen_ir::text::{Cursor, Span, TokenKind, number_to_f64, parse_float};
use orogen_ir::types::DType;
use std::sync::Arc;

/// Names, operations and expressions that one rule may have: matching may take time in these.
const MOST_NAMES: usize = 64;
const MOST_PARTS: usize = 512;

/// Words that are no names.
const RESERVED: [&str; 5] = ["rule", "let", "where", "not", "or"];

/// A rule as it is written, with the places of its parts.
pub(super) struct Parsed {
    pub(super) rewrite: Rewrite,
    /// Where each name is written first.
    pub(super) names: Vec<Span>,
    /// Where each condition is written.
    pub(super) conditions: Vec<Span>,
    /// Where the name of the rule is written.
    pub(super) title: Span,
}

/// Reads all rules of a text; what is wrong is among the findings of the cursor.
pub(super) fn parse_rules(cursor: &mut Cursor<'_>) -> Vec<Parsed> {
    let mut rules = Vec::new();
    while !cursor.at_end() {
        let start = cursor.mark();
        let parser = Parser::new(cursor);
        match parser.rule() {
            Ok(rule) => rules.push(rule),
            Err(found) => {
                cursor.report(found);
                cursor.back(cursor.mark().max(start + 1));
                while !cursor.at_end() && !cursor.at_word("rule") {
                    cursor.bump();
                }
            }
        }
    }
    rules
}

/// Reads one pattern that is the whole text.
pub(super) fn parse_pattern(cursor: &mut Cursor<'_>) -> Result<Parsed, Diagnostic> {
    let place = cursor.place(cursor.span());
    let mut parser = Parser::new(cursor);
    let title = parser.cursor.span();
    let left = parser.pattern()?;
    let conditions = parser.conditions_after()?;
    if !parser.cursor.at_end() {
        return Err(parser.cursor.expected("the end of the pattern"));
    }
    let right =
        Term { kind: TermKind::Number(0.0, None), repeated: false, optional: false, span: left.span.clone() };
    Ok(parser.parsed(
        "pattern".into(),
        RuleClass::Bitwise,
        Marks::default(),
        (left, right, Vec::new(), conditions),
        place,
        title,
    ))
}

/// What stands behind the class of a rule.
#[derive(Default)]
struct Marks {
    explored: bool,
    unproven: Option<Arc<str>>,
}

type Body = (Pattern, Term, Vec<Let>, Vec<(Condition, Span)>);

struct Parser<'c, 't> {
    cursor: &'c mut Cursor<'t>,
    names: Vec<(Arc<str>, Span)>,
    /// Names of operators.
    captures: Vec<Name>,
    /// Whether the name that was read last ends in `..`.
    spread: bool,
    parts: usize,
}

impl<'c, 't> Parser<'c, 't> {
    fn new(cursor: &'c mut Cursor<'t>) -> Self {
        Parser { cursor, names: Vec::new(), captures: Vec::new(), spread: false, parts: 0 }
    }

    fn parsed(
        self,
        name: Arc<str>,
        class: RuleClass,
        Marks { explored, unproven }: Marks,
        (left, right, lets, conditions): Body,
        place: Place,
        title: Span,
    ) -> Parsed {
        let (names, spans) = self.names.into_iter().unzip();
        let (conditions, places) = conditions.into_iter().unzip();
        let rewrite = Rewrite {
            name,
            class,
            explored,
            unproven,
            names,
            left,
            right,
            others: Vec::new(),
            lets,
            conditions,
            place,
        };
        Parsed { rewrite, names: spans, conditions: places, title }
    }

    fn rule(mut self: Parser<'c, 't>) -> Result<Parsed, Diagnostic> {
        self.cursor.expect_word("rule")?;
        let start = self.cursor.span();
        let name = self.rule_name()?;
        let title = self.cursor.span_since(&start);
        let class = self.class()?;
        let explored = self.cursor.eat_word("explored");
        let unproven = match self.cursor.eat_word("unproven") {
            true => Some(self.cursor.expect_string("the reason why it is not proven")?.into()),
            false => None,
        };
        let left = self.pattern()?;
        let mut roots = Vec::new();
        while self.cursor.eat_punct(",") {
            roots.push(self.pattern()?);
        }
        self.cursor.expect_punct("=>")?;
        let right = self.term()?;
        let mut results = Vec::new();
        while self.cursor.eat_punct(",") {
            results.push(self.term()?);
        }
        if roots.len() != results.len() {
            let message = format!(
                "the rule has {} on the left and {} on the right",
                roots.len() + 1,
                results.len() + 1
            );
            let found = self.cursor.error_at(title, "N008", message);
            return Err(found.help("write a result for each operation that is replaced, in the same order"));
        }
        let mut lets = Vec::new();
        let mut conditions = Vec::new();
        loop {
            if self.cursor.eat_word("let") {
                let span = self.cursor.span();
                let word = self.word("a name")?;
                let name = self.name(&word, span)?;
                self.cursor.expect_punct("=")?;
                lets.push(Let { name, term: self.term()? });
            } else if self.cursor.at_word("where") {
                conditions.extend(self.conditions_after()?);
            } else {
                break;
            }
        }
        if !self.cursor.at_end() && !self.cursor.at_word("rule") {
            return Err(self.cursor.expected("`let`, `where` or the next `rule`"));
        }
        let place = self.cursor.place(title.clone());
        let mut parsed = self.parsed(
            name,
            class,
            Marks { explored, unproven },
            (left, right, lets, conditions),
            place,
            title,
        );
        parsed.rewrite.others = roots.into_iter().zip(results).collect();
        Ok(parsed)
    }

    /// Words and numbers with `-` between them.
    fn rule_name(&mut self) -> Result<Arc<str>, Diagnostic> {
        let mut name = self.cursor.expect_ident("the name of the rule")?;
        while self.cursor.eat_punct("-") {
            let part = match self.cursor.peek().clone() {
                TokenKind::Ident(it) | TokenKind::Number(it) => it,
                _ => return Err(self.cursor.expected("more of the name of the rule")),
            };
            self.cursor.bump();
            name.push('-');
            name.push_str(&part);
        }
        Ok(name.into())
    }

    fn class(&mut self) -> Result<RuleClass, Diagnostic> {
        const HELP: &str = "write `bitwise`, `reassociates` or `approximates N ulp` after the name";
        let bad = |parser: &Self, what: &str| parser.cursor.error("N011", what).help(HELP);
        match self.cursor.peek().clone() {
            TokenKind::Ident(word) if word == "bitwise" => {
                self.cursor.bump();
                Ok(RuleClass::Bitwise)
            }
            TokenKind::Ident(word) if word == "reassociates" => {
                self.cursor.bump();
                Ok(RuleClass::Reassociates)
            }
            TokenKind::Ident(word) if word == "approximates" => {
                self.cursor.bump();
                let ulp = match self.cursor.peek() {
                    TokenKind::Number(text) => number_to_f64(text).filter(|it| it.is_finite() && *it > 0.0),
                    _ => None,
                };
                let Some(ulp) = ulp else {
                    return Err(bad(self, "`approximates` states no error in units in the last place"));
                };
                self.cursor.bump();
                if !self.cursor.eat_word("ulp") {
                    return Err(bad(self, "the error of `approximates` is in `ulp`"));
                }
                Ok(RuleClass::Approximates(ulp))
            }
            TokenKind::Ident(word) => Err(bad(self, &format!("there is no class `{word}` of rules"))),
            _ => Err(bad(self, "the rule has no class")),
        }
    }

    /// Counts what a rule is made of.
    fn part(&mut self) -> Result<(), Diagnostic> {
        self.parts += 1;
        match self.parts > MOST_PARTS {
            true => Err(self
                .cursor
                .error("N014", format!("a rule has at most {MOST_PARTS} parts"))
                .help("write several rules")),
            false => Ok(()),
        }
    }

    /// A word, without the `..` at its end, which is noted.
    fn word(&mut self, what: &str) -> Result<String, Diagnostic> {
        if let TokenKind::Ident(word) = self.cursor.peek()
            && RESERVED.contains(&word.as_str())
        {
            return Err(self.cursor.expected(what));
        }
        let word = self.cursor.expect_ident(what)?;
        let stripped = word.strip_suffix("..");
        self.spread = stripped.is_some();
        Ok(stripped.unwrap_or(&word).to_owned())
    }

    fn name(&mut self, word: &str, span: Span) -> Result<Name, Diagnostic> {
        if let Some(i) = self.names.iter().position(|it| *it.0 == *word) {
            return Ok(Name(i as u16));
        }
        if self.names.len() == MOST_NAMES {
            let message = format!("a rule has at most {MOST_NAMES} names");
            return Err(self.cursor.error_at(span, "N014", message).help("write several rules"));
        }
        self.names.push((word.into(), span));
        Ok(Name((self.names.len() - 1) as u16))
    }

    /// `..` after something, or at the end of the name that was read last.
    fn dots(&mut self) -> bool {
        let dots = self.cursor.at_punct(".") && *self.cursor.peek_nth(1) == TokenKind::Punct(".");
        if dots {
            self.cursor.bump();
            self.cursor.bump();
        }
        std::mem::take(&mut self.spread) || dots
    }

    fn next_is(&self, n: usize, punct: &'static str) -> bool {
        *self.cursor.peek_nth(n) == TokenKind::Punct(punct)
    }

    fn pattern(&mut self) -> Result<Pattern, Diagnostic> {
        self.part()?;
        self.cursor.enter_nested()?;
        let pattern = self.pattern_inside();
        self.cursor.leave_nested();
        pattern
    }

    fn pattern_inside(&mut self) -> Result<Pattern, Diagnostic> {
        let span = self.cursor.span();
        let mut capture = None;
        self.spread = false;
        if matches!(self.cursor.peek(), TokenKind::Ident(_)) && self.next_is(1, "=") {
            let word = self.word("a name")?;
            capture = Some(self.name(&word, span.clone())?);
            self.cursor.bump();
        }
        let kind = match self.cursor.peek().clone() {
            TokenKind::Punct("[") => {
                self.cursor.bump();
                PatternKind::List(self.items()?)
            }
            TokenKind::Punct("{") => PatternKind::Op(self.op(None)?),
            TokenKind::Ident(word) if word == "inf" => PatternKind::Number(self.number()?),
            TokenKind::Number(_) | TokenKind::Punct("-") => PatternKind::Number(self.number()?),
            TokenKind::Ident(_) if self.next_is(1, "(") => PatternKind::Op(self.op(None)?),
            TokenKind::Ident(_)
                if self.next_is(1, ":")
                    && (self.next_is(2, "{")
                        || matches!(self.cursor.peek_nth(2), TokenKind::Ident(_))
                            && self.next_is(3, "(")) =>
            {
                let span = self.cursor.span();
                let word = self.word("a name")?;
                let name = self.name(&word, span)?;
                self.cursor.bump();
                self.captures.push(name);
                PatternKind::Op(self.op(Some(name))?)
            }
            TokenKind::Ident(_) => {
                let span = self.cursor.span();
                match self.word("a name")?.as_str() {
                    "_" => PatternKind::Any(None),
                    word => PatternKind::Any(Some(self.name(word, span)?)),
                }
            }
            _ => return Err(self.cursor.expected("a pattern: a name, an operation, a number or a list")),
        };
        let mut pattern = Pattern {
            kind,
            capture,
            ty: None,
            once: false,
            optional: false,
            repeated: false,
            span: span.clone(),
        };
        loop {
            if let PatternKind::Op(op) = &mut pattern.kind
                && self.next_is(0, "{")
                && op.attrs.is_empty()
                && op.rest.is_none()
            {
                (op.attrs, op.rest) = self.attrs()?;
            } else if self.dots() {
                pattern.repeated = true;
            } else if self.cursor.eat_punct("!") {
                pattern.once = true;
            } else if self.cursor.eat_punct("?") {
                pattern.optional = true;
            } else if pattern.ty.is_none() && self.cursor.eat_punct(":") {
                pattern.ty = Some(self.type_pattern()?);
            } else {
                break;
            }
        }
        pattern.span = self.cursor.span_since(&span);
        Ok(pattern)
    }

    /// An operation from its operator to its operands.
    fn op(&mut self, capture: Option<Name>) -> Result<OpPattern, Diagnostic> {
        let ops = if self.cursor.eat_punct("{") {
            let mut names = vec![self.cursor.expect_ident("an operator")?.into_boxed_str()];
            while self.cursor.eat_punct("|") {
                self.part()?;
                names.push(self.cursor.expect_ident("an operator")?.into_boxed_str());
            }
            self.cursor.expect_punct("}")?;
            Ops::Named(names)
        } else {
            match self.cursor.expect_ident("an operator")? {
                word if word == "elementwise" => Ops::Elementwise,
                word => Ops::Named(vec![word.into_boxed_str()]),
            }
        };
        self.cursor.expect_punct("(")?;
        let mut args = Vec::new();
        while !self.cursor.eat_punct(")") {
            if !args.is_empty() && !self.cursor.eat_punct(",") {
                return Err(self.cursor.expected("`,` or `)`"));
            }
            args.push(self.pattern()?);
        }
        Ok(OpPattern { ops, capture, args, attrs: Vec::new(), rest: None })
    }

    /// `{name = expression, ..rest}`, when there is one.
    #[allow(clippy::type_complexity, reason = "the two parts of one thing")]
    fn attrs(&mut self) -> Result<(Vec<(Box<str>, Expr)>, Option<Name>), Diagnostic> {
        let (mut attrs, mut rest) = (Vec::new(), None);
        if !self.cursor.eat_punct("{") {
            return Ok((attrs, rest));
        }
        let mut first = true;
        while !self.cursor.eat_punct("}") {
            if !std::mem::take(&mut first) && !self.cursor.eat_punct(",") {
                return Err(self.cursor.expected("`,` or `}`"));
            }
            if self.dots() {
                let span = self.cursor.span();
                let word = self.word("a name for the other attributes")?;
                rest = Some(self.name(&word, span)?);
                continue;
            }
            let span = self.cursor.span();
            let name = self.cursor.expect_ident("the name of an attribute")?.into_boxed_str();
            if attrs.iter().any(|it: &(Box<str>, Expr)| it.0 == name) {
                return Err(self.cursor.error_at(span, "N008", format!("attribute `{name}` is given twice")));
            }
            self.cursor.expect_punct("=")?;
            attrs.push((name, self.whole_expr()?));
        }
        Ok((attrs, rest))
    }

    fn type_pattern(&mut self) -> Result<TypePattern, Diagnostic> {
        let dtype = if self.next_is(0, "[") { None } else { Some(self.dtype()?) };
        let mut dims = None;
        if self.cursor.eat_punct("[") {
            let items = self.items()?;
            let mut list = Vec::new();
            for item in items {
                list.push(match item {
                    Item { expr: Expr::Name(name), spread: true } => DimPattern::Rest(name),
                    Item { spread: true, .. } => {
                        return Err(self.cursor.error("N008", "only a name stands for several dimensions"));
                    }
                    Item { expr, .. } => DimPattern::One(expr),
                });
            }
            dims = Some(list);
        }
        Ok(TypePattern { dtype, dims })
    }

    fn dtype(&mut self) -> Result<DTypePattern, Diagnostic> {
        let span = self.cursor.span();
        let word = self.cursor.expect_ident("an element type, a class of them or a name")?;
        if let Some(dtype) = dtype_named(&word) {
            return Ok(DTypePattern::Exact(dtype));
        }
        if let Some((_, class)) = CLASSES.iter().find(|it| it.0 == word) {
            return Ok(DTypePattern::Class(*class));
        }
        Ok(DTypePattern::Name(self.name(&word, span)?))
    }

    fn term(&mut self) -> Result<Term, Diagnostic> {
        self.part()?;
        self.cursor.enter_nested()?;
        let term = self.term_inside();
        self.cursor.leave_nested();
        term
    }

    fn term_inside(&mut self) -> Result<Term, Diagnostic> {
        let span = self.cursor.span();
        self.spread = false;
        let kind = match self.cursor.peek().clone() {
            TokenKind::Ident(word) if self.next_is(1, "(") && Function::from_name(&word).is_none() => {
                self.cursor.bump();
                let captured = self.captures.iter().find(|it| *self.names[it.index()].0 == *word);
                let callee = match captured {
                    Some(name) => Callee::Captured(*name),
                    None => Callee::Op(word.into_boxed_str()),
                };
                self.cursor.bump();
                let mut args = Vec::new();
                while !self.cursor.eat_punct(")") {
                    if !args.is_empty() && !self.cursor.eat_punct(",") {
                        return Err(self.cursor.expected("`,` or `)`"));
                    }
                    args.push(self.term()?);
                }
                TermKind::Op { callee, args, attrs: Vec::new(), rest: None }
            }
            // A sign belongs to the number: zeros have one.
            TokenKind::Number(_) | TokenKind::Punct("-") if self.is_plain_number() => {
                let number = self.number()?;
                let dtype = match self.cursor.eat_punct(":") {
                    true => Some(self.dtype()?),
                    false => None,
                };
                TermKind::Number(number, dtype)
            }
            TokenKind::Ident(word) if word == "inf" => TermKind::Number(self.number()?, None),
            _ => match self.expr()? {
                Expr::Name(name) => TermKind::Name(name),
                expr => TermKind::Expr(expr),
            },
        };
        let (mut kind, mut repeated, mut optional) = (kind, false, false);
        loop {
            if let TermKind::Op { attrs, rest, .. } = &mut kind
                && self.next_is(0, "{")
                && attrs.is_empty()
                && rest.is_none()
            {
                (*attrs, *rest) = self.attrs()?;
            } else if self.dots() {
                repeated = true;
            } else if self.cursor.eat_punct("?") {
                optional = true;
            } else {
                break;
            }
        }
        Ok(Term { kind, repeated, optional, span: self.cursor.span_since(&span) })
    }

    /// Whether a number follows that is not part of an expression.
    fn is_plain_number(&self) -> bool {
        let after = if self.next_is(0, "-") { 2 } else { 1 };
        let number = match self.cursor.peek_nth(after - 1) {
            TokenKind::Number(_) => true,
            TokenKind::Ident(word) => word == "inf",
            _ => false,
        };
        number && !["+", "-", "*", "/"].into_iter().any(|it| self.next_is(after, it))
    }

    fn number(&mut self) -> Result<f64, Diagnostic> {
        parse_float(self.cursor)
    }
}

fn dtype_named(word: &str) -> Option<DType> {
    DType::ALL.into_iter().find(|it| it.name() == word)
}

/// Classes of element types by their names; `bool` is a type.
pub(super) const CLASSES: [(&str, Class); 7] = [
    ("float", Class::Float),
    ("int", Class::Int),
    ("number", Class::Number),
    ("bits", Class::Bits),
    ("ordered", Class::Ordered),
    ("distinct", Class::Distinct),
    ("any", Class::Any),
];
