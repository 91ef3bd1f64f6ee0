//! Dimensions and facts: `2*n + 1`, `floordiv(n, 2)`, `[n, 64]`, `n >= 1`, `8 | n`.

use super::cursor::Cursor;
use super::lexer::{Span, TokenKind};
use super::numbers::parse_int;
use crate::diag::Diagnostic;
use crate::shape::{Constraint, Dim, Overflow, ShapeCx};
use crate::types::Dims;

/// What to do with a symbol that the context does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolPolicy {
    /// Create it as a size (≥ 0).
    Create,
    /// Report it: symbols are declared before.
    Declared,
}

/// Dimensions in brackets.
pub fn dims_text(shapes: &ShapeCx, dims: &[Dim]) -> String {
    let items: Vec<String> = dims.iter().map(|it| shapes.display(*it).to_string()).collect();
    format!("[{}]", items.join(", "))
}

/// A fact.
pub fn constraint_text(shapes: &ShapeCx, constraint: &Constraint) -> String {
    shapes.display_fact(constraint)
}

/// Reads `[a, b, …]`.
pub fn parse_dims(
    cursor: &mut Cursor<'_>,
    shapes: &mut ShapeCx,
    policy: SymbolPolicy,
) -> Result<Dims, Diagnostic> {
    cursor.expect_punct("[")?;
    Ok(cursor.list("]", |cursor| parse_dim(cursor, shapes, policy))?.into())
}

/// Reads an expression: sums and differences of products.
pub fn parse_dim(
    cursor: &mut Cursor<'_>,
    shapes: &mut ShapeCx,
    policy: SymbolPolicy,
) -> Result<Dim, Diagnostic> {
    cursor.nested(|cursor| {
        let start = cursor.span();
        let mut sum = parse_signed_product(cursor, shapes, policy)?;
        loop {
            let minus = cursor.at_punct("-");
            if !minus && !cursor.at_punct("+") {
                return Ok(sum);
            }
            cursor.bump();
            let term = parse_product(cursor, shapes, policy)?;
            let result = if minus { shapes.sub(sum, term) } else { shapes.add(sum, term) };
            sum = checked(cursor, &start, result)?;
        }
    })
}

fn parse_signed_product(
    cursor: &mut Cursor<'_>,
    shapes: &mut ShapeCx,
    policy: SymbolPolicy,
) -> Result<Dim, Diagnostic> {
    let start = cursor.span();
    if !cursor.at_punct("-") {
        return parse_product(cursor, shapes, policy);
    }
    // The smallest integer has no positive counterpart, so a sign before digits belongs to them.
    let after = cursor.peek_nth(2);
    if matches!(cursor.peek_nth(1), TokenKind::Number(_)) && *after != TokenKind::Punct("*") {
        let value = parse_int(cursor)?;
        return Ok(shapes.int(value));
    }
    cursor.bump();
    let product = parse_product(cursor, shapes, policy)?;
    let result = shapes.neg(product);
    checked(cursor, &start, result)
}

fn parse_product(
    cursor: &mut Cursor<'_>,
    shapes: &mut ShapeCx,
    policy: SymbolPolicy,
) -> Result<Dim, Diagnostic> {
    let start = cursor.span();
    let mut product = parse_factor(cursor, shapes, policy)?;
    while cursor.eat_punct("*") {
        let factor = parse_factor(cursor, shapes, policy)?;
        let result = shapes.mul(product, factor);
        product = checked(cursor, &start, result)?;
    }
    Ok(product)
}

fn parse_factor(
    cursor: &mut Cursor<'_>,
    shapes: &mut ShapeCx,
    policy: SymbolPolicy,
) -> Result<Dim, Diagnostic> {
    match cursor.peek().clone() {
        TokenKind::Number(_) => {
            let value = parse_int(cursor)?;
            Ok(shapes.int(value))
        }
        TokenKind::Punct("(") => {
            cursor.bump();
            let inner = parse_dim(cursor, shapes, policy)?;
            cursor.expect_punct(")")?;
            Ok(inner)
        }
        TokenKind::Ident(name) if *cursor.peek_nth(1) == TokenKind::Punct("(") => {
            parse_operation(cursor, shapes, policy, &name)
        }
        TokenKind::Ident(name) | TokenKind::Str(name) => {
            if policy == SymbolPolicy::Declared && shapes.find_sym(&name).is_none() {
                return Err(cursor
                    .error("T040", format!("symbol `{name}` is not declared"))
                    .help(format!("declare it with `sym {name}`")));
            }
            cursor.bump();
            Ok(shapes.sym(&name))
        }
        _ => Err(cursor.expected("a dimension")),
    }
}

fn parse_operation(
    cursor: &mut Cursor<'_>,
    shapes: &mut ShapeCx,
    policy: SymbolPolicy,
    name: &str,
) -> Result<Dim, Diagnostic> {
    let start = cursor.span();
    if !matches!(name, "min" | "max" | "floordiv" | "ceildiv" | "mod" | "broadcast") {
        return Err(cursor
            .error("T041", format!("`{name}` is no operation on dimensions"))
            .help("the operations are: floordiv, ceildiv, mod, min, max, broadcast"));
    }
    cursor.bump();
    cursor.expect_punct("(")?;
    let operands = cursor.list(")", |cursor| parse_dim(cursor, shapes, policy))?;
    let result = match (name, operands.as_slice()) {
        ("min", _) => shapes.min(&operands),
        ("max", _) => shapes.max(&operands),
        ("broadcast", _) => shapes.broadcast(&operands),
        ("floordiv", [a, b]) => shapes.floor_div_dim(*a, *b),
        ("ceildiv", [a, b]) => shapes.ceil_div_dim(*a, *b),
        ("mod", [a, b]) => shapes.modulo_dim(*a, *b),
        _ => {
            let span = cursor.span_since(&start);
            return Err(cursor.error_at(span, "T042", format!("`{name}` takes 2 operands")));
        }
    };
    checked(cursor, &start, result)
}

fn checked(cursor: &Cursor<'_>, start: &Span, result: Result<Dim, Overflow>) -> Result<Dim, Diagnostic> {
    result.map_err(|it| cursor.error_at(cursor.span_since(start), "T043", it.to_string()))
}

/// Reads a fact: `a >= 1`, `a <= 64`, `a == b`, `8 | a`, `a != 1`, `a ~ b`.
pub fn parse_constraint(
    cursor: &mut Cursor<'_>,
    shapes: &mut ShapeCx,
    policy: SymbolPolicy,
) -> Result<Constraint, Diagnostic> {
    let divisor = if cursor.at_punct("-") { 2 } else { 1 };
    if *cursor.peek_nth(divisor) == TokenKind::Punct("|") {
        let span = cursor.span();
        let factor = parse_int(cursor)?;
        if factor == 0 {
            return Err(cursor.error_at(span, "T044", "only 0 is a multiple of 0"));
        }
        cursor.expect_punct("|")?;
        return Ok(Constraint::Multiple(parse_dim(cursor, shapes, policy)?, factor));
    }
    let left = parse_dim(cursor, shapes, policy)?;
    if cursor.eat_punct(">=") {
        return Ok(Constraint::AtLeast(left, parse_int(cursor)?));
    }
    if cursor.eat_punct("<=") {
        return Ok(Constraint::AtMost(left, parse_int(cursor)?));
    }
    if cursor.eat_punct("==") {
        return Ok(Constraint::Eq(left, parse_dim(cursor, shapes, policy)?));
    }
    if cursor.eat_punct("!=") {
        return Ok(Constraint::Differs(left, parse_int(cursor)?));
    }
    if cursor.eat_punct("~") {
        return Ok(Constraint::Broadcast(left, parse_dim(cursor, shapes, policy)?));
    }
    Err(cursor.expected("`==`, `!=`, `>=`, `<=` or `~`"))
}
