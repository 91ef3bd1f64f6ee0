//! Conditions and expressions.

use super::{Parser, dtype_named};
use crate::rewrite::ast::{Arithmetic, Compare, Condition, Expr, Item};
use crate::rewrite::function::{Function, Predicate};
use orogen_ir::diag::Diagnostic;
use orogen_ir::text::{Span, TokenKind, parse_int};

impl Parser<'_, '_> {
    pub(super) fn conditions_after(&mut self) -> Result<Vec<(Condition, Span)>, Diagnostic> {
        let mut conditions = Vec::new();
        if self.cursor.eat_word("where") {
            loop {
                let span = self.cursor.span();
                let condition = self.alternatives()?;
                conditions.push((condition, self.cursor.span_since(&span)));
                if !self.cursor.eat_punct(",") {
                    break;
                }
            }
        }
        Ok(conditions)
    }

    fn alternatives(&mut self) -> Result<Condition, Diagnostic> {
        let mut list = vec![self.condition()?];
        while self.cursor.eat_word("or") {
            list.push(self.condition()?);
        }
        match <[Condition; 1]>::try_from(list) {
            Ok([one]) => Ok(one),
            Err(list) => Ok(Condition::Or(list)),
        }
    }

    fn condition(&mut self) -> Result<Condition, Diagnostic> {
        self.part()?;
        if self.cursor.eat_word("not") {
            self.cursor.enter_nested()?;
            let condition = self.condition();
            self.cursor.leave_nested();
            return Ok(Condition::Not(Box::new(condition?)));
        }
        if let TokenKind::Ident(word) = self.cursor.peek().clone() {
            if self.next_is(1, ":") {
                let span = self.cursor.span();
                let name = self.name(&word, span)?;
                self.cursor.bump();
                self.cursor.bump();
                let mut types = vec![self.dtype()?];
                while self.cursor.eat_punct("|") {
                    self.part()?;
                    types.push(self.dtype()?);
                }
                return Ok(Condition::Type(name, types));
            }
            if let Some(predicate) = Predicate::from_name(&word).filter(|_| self.next_is(1, "(")) {
                let span = self.cursor.span();
                self.cursor.bump();
                self.cursor.bump();
                let args = self.arguments()?;
                self.check_count(predicate.name(), predicate.arity(), args.len(), &span)?;
                return Ok(Condition::Is(predicate, args));
            }
        }
        let a = self.whole_expr()?;
        let Some(compare) = [Compare::Eq, Compare::Ne, Compare::Le, Compare::Lt, Compare::Ge, Compare::Gt]
            .into_iter()
            .find(|it| self.next_is(0, it.sign()))
        else {
            let names: Vec<&str> = Predicate::ALL.iter().map(|it| it.name()).collect();
            return Err(self
                .cursor
                .expected("a relation: `=`, `!=`, `<`, `<=`, `>` or `>=`")
                .help(format!("properties are: {}", names.join(", "))));
        };
        self.cursor.bump();
        Ok(Condition::Compare(compare, a, self.whole_expr()?))
    }

    fn check_count(&self, name: &str, wanted: usize, found: usize, span: &Span) -> Result<(), Diagnostic> {
        match wanted == found {
            true => Ok(()),
            false => {
                let noun = if wanted == 1 { "argument" } else { "arguments" };
                let message = format!("`{name}` takes {wanted} {noun} but has {found}");
                Err(self.cursor.error_at(span.clone(), "N010", message))
            }
        }
    }

    /// Expressions up to a closing parenthesis.
    fn arguments(&mut self) -> Result<Vec<Expr>, Diagnostic> {
        let mut args = Vec::new();
        while !self.cursor.eat_punct(")") {
            if !args.is_empty() && !self.cursor.eat_punct(",") {
                return Err(self.cursor.expected("`,` or `)`"));
            }
            args.push(self.whole_expr()?);
        }
        Ok(args)
    }

    /// Members of a list up to its bracket.
    pub(super) fn items(&mut self) -> Result<Vec<Item>, Diagnostic> {
        let mut items = Vec::new();
        while !self.cursor.eat_punct("]") {
            if !items.is_empty() && !self.cursor.eat_punct(",") {
                return Err(self.cursor.expected("`,` or `]`"));
            }
            let expr = self.expr()?;
            items.push(Item { expr, spread: self.dots() });
        }
        Ok(items)
    }

    /// An expression that is not spread.
    pub(super) fn whole_expr(&mut self) -> Result<Expr, Diagnostic> {
        let span = self.cursor.span();
        let expr = self.expr()?;
        match self.dots() {
            true => Err(self
                .cursor
                .error_at(self.cursor.span_since(&span), "N008", "`..` stands here for nothing")
                .help("`..` spreads a list in brackets or among operands")),
            false => Ok(expr),
        }
    }

    pub(super) fn expr(&mut self) -> Result<Expr, Diagnostic> {
        self.cursor.enter_nested()?;
        let expr = self.sum();
        self.cursor.leave_nested();
        expr
    }

    fn sum(&mut self) -> Result<Expr, Diagnostic> {
        let mut left = self.product()?;
        loop {
            let sign = match self.cursor.peek() {
                TokenKind::Punct("+") => Arithmetic::Add,
                TokenKind::Punct("-") => Arithmetic::Sub,
                _ => return Ok(left),
            };
            self.cursor.bump();
            left = Expr::Binary(sign, Box::new(left), Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Result<Expr, Diagnostic> {
        let mut left = self.indexed()?;
        loop {
            let sign = match self.cursor.peek() {
                TokenKind::Punct("*") => Arithmetic::Mul,
                TokenKind::Punct("/") => Arithmetic::Div,
                _ => return Ok(left),
            };
            self.cursor.bump();
            left = Expr::Binary(sign, Box::new(left), Box::new(self.indexed()?));
        }
    }

    fn indexed(&mut self) -> Result<Expr, Diagnostic> {
        self.part()?;
        if self.cursor.eat_punct("-") {
            self.cursor.enter_nested()?;
            let inner = self.indexed();
            self.cursor.leave_nested();
            return Ok(match inner? {
                Expr::Int(it) => Expr::Int(-it),
                Expr::Float(it) => Expr::Float(-it),
                inner => Expr::Neg(Box::new(inner)),
            });
        }
        let mut expr = self.primary()?;
        while !self.spread && self.cursor.eat_punct("[") {
            self.part()?;
            let index = self.whole_expr()?;
            self.cursor.expect_punct("]")?;
            expr = Expr::Index(Box::new(expr), Box::new(index));
        }
        Ok(expr)
    }

    fn primary(&mut self) -> Result<Expr, Diagnostic> {
        self.spread = false;
        match self.cursor.peek().clone() {
            TokenKind::Str(it) => {
                self.cursor.bump();
                Ok(Expr::Text(it.into()))
            }
            TokenKind::Number(text)
                if text.contains(['.', 'e', 'E', 'p', 'P']) && !text.starts_with("0x") =>
            {
                Ok(Expr::Float(self.number()?))
            }
            TokenKind::Number(_) => Ok(Expr::Int(parse_int(self.cursor)?)),
            TokenKind::Punct("[") => {
                self.cursor.bump();
                Ok(Expr::List(self.items()?))
            }
            TokenKind::Punct("(") => {
                self.cursor.bump();
                let expr = self.whole_expr()?;
                self.cursor.expect_punct(")")?;
                Ok(expr)
            }
            TokenKind::Ident(word) if word == "inf" => Ok(Expr::Float(self.number()?)),
            TokenKind::Ident(word) if word == "true" || word == "false" => {
                self.cursor.bump();
                Ok(Expr::Bool(word == "true"))
            }
            TokenKind::Ident(word) if self.next_is(1, "(") => {
                let span = self.cursor.span();
                let Some(function) = Function::from_name(&word) else {
                    let names: Vec<&str> = Function::ALL.iter().map(|it| it.name()).collect();
                    return Err(self
                        .cursor
                        .error("N006", format!("there is no function `{word}` in the rule language"))
                        .help(format!("functions are: {}", names.join(", "))));
                };
                self.cursor.bump();
                self.cursor.bump();
                let args = self.arguments()?;
                self.check_count(&word, function.arity(), args.len(), &span)?;
                Ok(Expr::Call(function, args))
            }
            TokenKind::Ident(word) => {
                if let Some(dtype) = dtype_named(&word) {
                    self.cursor.bump();
                    return Ok(Expr::DType(dtype));
                }
                let span = self.cursor.span();
                let word = self.word("a name")?;
                Ok(Expr::Name(self.name(&word, span)?))
            }
            _ => Err(self.cursor.expected("an expression")),
        }
    }
}
