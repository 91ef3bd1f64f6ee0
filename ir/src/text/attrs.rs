//! Attributes: `{axis = 1, keepdims = true, to = f32, mode = "linear", pads = [0, 1], scales = [1.0, 2.0]}`.

use super::cursor::Cursor;
use super::lexer::TokenKind;
use super::numbers::{float_text, is_float, parse_float, parse_int};
use super::types::dtype_of_word;
use super::write::{name_text, quote};
use crate::diag::Diagnostic;
use crate::types::{Attr, Attrs};
use std::fmt::Display;

/// One attribute value as text. An empty list of floats is `floats[]`, so that its kind is not lost.
pub fn attr_text(attr: &Attr) -> String {
    match attr {
        Attr::Int(it) => it.to_string(),
        Attr::Float(it) => float_text(*it),
        Attr::Bool(it) => it.to_string(),
        Attr::Str(it) => quote(it),
        Attr::Ints(it) => list_text(it.iter()),
        Attr::Floats(it) if it.is_empty() => "floats[]".to_owned(),
        Attr::Floats(it) => list_text(it.iter().map(|it| float_text(*it))),
        Attr::DType(it) => it.to_string(),
    }
}

fn list_text(items: impl Iterator<Item = impl Display>) -> String {
    let items: Vec<String> = items.map(|it| it.to_string()).collect();
    format!("[{}]", items.join(", "))
}

/// All attributes in braces, in name order; nothing when there is none.
pub fn attrs_text(attrs: &Attrs) -> String {
    if attrs.is_empty() {
        return String::new();
    }
    let items: Vec<String> =
        attrs.iter().map(|(name, attr)| format!("{} = {}", name_text(name), attr_text(attr))).collect();
    format!("{{{}}}", items.join(", "))
}

/// Reads attributes when the next token is `{`.
pub fn parse_attrs(cursor: &mut Cursor<'_>) -> Result<Attrs, Diagnostic> {
    if !cursor.eat_punct("{") {
        return Ok(Attrs::none());
    }
    let mut attrs = Attrs::none();
    cursor.list("}", |cursor| {
        let span = cursor.span();
        let name = cursor.expect_name("the name of an attribute")?;
        if attrs.get(&name).is_some() {
            return Err(cursor.error_at(span, "T030", format!("attribute `{name}` is given twice")));
        }
        cursor.expect_punct("=")?;
        let value = parse_attr(cursor)?;
        attrs = std::mem::take(&mut attrs).with(&name, value);
        Ok(())
    })?;
    Ok(attrs)
}

fn parse_attr(cursor: &mut Cursor<'_>) -> Result<Attr, Diagnostic> {
    match cursor.peek().clone() {
        TokenKind::Str(it) => {
            cursor.bump();
            Ok(Attr::Str(it.into()))
        }
        TokenKind::Ident(word) if word == "true" || word == "false" => {
            cursor.bump();
            Ok(Attr::Bool(word == "true"))
        }
        TokenKind::Ident(word) if word == "floats" => {
            cursor.bump();
            cursor.expect_punct("[")?;
            Ok(Attr::Floats(cursor.list("]", parse_float)?.into()))
        }
        TokenKind::Ident(word) if dtype_of_word(&word).is_some() => {
            cursor.bump();
            dtype_of_word(&word).map(Attr::DType).ok_or_else(|| cursor.expected("an element type"))
        }
        TokenKind::Punct("[") => {
            cursor.bump();
            let mark = cursor.mark();
            let mut float = false;
            cursor.list("]", |cursor| {
                float |= next_is_float(cursor);
                parse_float(cursor)
            })?;
            cursor.back(mark);
            if float {
                Ok(Attr::Floats(cursor.list("]", parse_float)?.into()))
            } else {
                Ok(Attr::Ints(cursor.list("]", parse_int)?.into()))
            }
        }
        _ if next_is_float(cursor) => Ok(Attr::Float(parse_float(cursor)?)),
        TokenKind::Number(_) | TokenKind::Punct("-") => Ok(Attr::Int(parse_int(cursor)?)),
        _ => Err(cursor.expected("the value of an attribute")),
    }
}

/// Whether a float follows that could not be an integer.
fn next_is_float(cursor: &Cursor<'_>) -> bool {
    let token = if cursor.at_punct("-") { cursor.peek_nth(1) } else { cursor.peek() };
    match token {
        TokenKind::Number(text) => is_float(text),
        TokenKind::Ident(word) => word == "inf" || word == "nan",
        _ => false,
    }
}
