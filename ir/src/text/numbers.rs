//! Numbers: integers in decimal and hexadecimal, floats in shortest decimal, hexadecimal, `inf` and `nan`.

use super::cursor::Cursor;
use super::lexer::TokenKind;
use crate::diag::Diagnostic;

/// A float as text that reads back to the same bits: `1.5`, `1e-7`, `inf`, `nan`, `nan(0x7ff8000000000001)`.
///
/// There is always a `.`, an exponent or a word, so a float never looks like an integer.
pub fn float_text(value: f64) -> String {
    if value.is_nan() {
        return match value.to_bits() {
            bits if bits == f64::NAN.to_bits() => "nan".to_owned(),
            bits => format!("nan({bits:#x})"),
        };
    }
    format!("{value:?}")
}

/// Reads a signed integer.
pub fn parse_int(cursor: &mut Cursor<'_>) -> Result<i64, Diagnostic> {
    let start = cursor.span();
    let negative = cursor.eat_punct("-");
    let TokenKind::Number(text) = cursor.peek().clone() else {
        return Err(cursor.expected("an integer"));
    };
    cursor.bump();
    let magnitude = match text.strip_prefix("0x") {
        Some(hex) => i128::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    magnitude
        .map(|it: i128| if negative { -it } else { it })
        .and_then(|it| i64::try_from(it).ok())
        .ok_or_else(|| cursor.error_at(cursor.span_since(&start), "T020", "not an integer of 64 bits"))
}

/// Whether the text of a number is a float.
pub(super) fn is_float(text: &str) -> bool {
    match text.strip_prefix("0x") {
        Some(hex) => hex.contains(['.', 'p', 'P']),
        None => text.contains(['.', 'e', 'E']),
    }
}

/// Reads a signed float: decimal, hexadecimal, `inf`, `nan` or `nan(bits)`. An integer is a float too.
pub fn parse_float(cursor: &mut Cursor<'_>) -> Result<f64, Diagnostic> {
    let start = cursor.span();
    let negative = cursor.eat_punct("-");
    let magnitude = match cursor.peek().clone() {
        TokenKind::Number(text) => {
            cursor.bump();
            number_to_f64(&text)
        }
        TokenKind::Ident(word) if word == "inf" => {
            cursor.bump();
            Some(f64::INFINITY)
        }
        TokenKind::Ident(word) if word == "nan" => {
            cursor.bump();
            Some(match parse_nan_bits(cursor)? {
                Some(bits) => f64::from_bits(bits),
                None => f64::NAN,
            })
        }
        _ => return Err(cursor.expected("a number")),
    };
    match magnitude {
        Some(it) => Ok(if negative { -it } else { it }),
        None => Err(cursor.error_at(cursor.span_since(&start), "T021", "not a number")),
    }
}

/// The bits of `nan(0x…)`, after `nan`.
pub(super) fn parse_nan_bits(cursor: &mut Cursor<'_>) -> Result<Option<u64>, Diagnostic> {
    if !cursor.eat_punct("(") {
        return Ok(None);
    }
    let bits = match cursor.peek() {
        TokenKind::Number(text) => text.strip_prefix("0x").and_then(|it| u64::from_str_radix(it, 16).ok()),
        _ => None,
    };
    let Some(bits) = bits else {
        return Err(cursor.expected("the bits of a NaN in hexadecimal"));
    };
    cursor.bump();
    cursor.expect_punct(")")?;
    Ok(Some(bits))
}

/// The value of an unsigned number, rounded to nearest; `None` when it is malformed.
pub fn number_to_f64(text: &str) -> Option<f64> {
    match text.strip_prefix("0x") {
        Some(hex) => hex_to_f64(hex),
        None => text.parse().ok(),
    }
}

/// `1.8p-3`: hexadecimal digits with an optional point and an optional binary exponent, exact or `None`.
fn hex_to_f64(text: &str) -> Option<f64> {
    let (digits, exponent) = match text.split_once(['p', 'P']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.len() + fraction.len() == 0 {
        return None;
    }
    let mantissa = u64::from_str_radix(&format!("{whole}{fraction}"), 16).ok()?;
    let scale = exponent.checked_sub(i32::try_from(fraction.len()).ok()?.checked_mul(4)?)?;
    let value = mantissa as f64;
    (value as u64 == mantissa).then_some(())?;
    Some(scale_by_power_of_two(value, scale))
}

/// `value · 2^power`, in steps that overflow or underflow only when the result does.
fn scale_by_power_of_two(mut value: f64, mut power: i32) -> f64 {
    while power != 0 && value != 0.0 && value.is_finite() {
        let step = power.clamp(-1000, 1000);
        value *= 2f64.powi(step);
        power -= step;
    }
    value
}
