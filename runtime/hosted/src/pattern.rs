//! Regular expressions: whether strings match one as a whole, and what others find in them.
//!
//! ONNX asks for the syntax of RE2. That of the crate `regex` is nearly the same; [`translated`] says the rest in it: `\d`,
//! `\w`, `\s` and `\b` know ASCII alone, `\Q…\E` quotes, and brackets hold no brackets and no operators of sets.

use crate::array::{Array, Call, Elements, Outcome};
use regex::bytes::Regex;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Patterns that were compiled lately. A model has a few, which every call uses.
static KNOWN: Mutex<VecDeque<(String, Form, Regex)>> = Mutex::new(VecDeque::new());
const MOST_KNOWN: usize = 32;

/// What a pattern is to meet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A whole string.
    Whole,
    /// A part of one.
    Part,
}

/// Attribute: the pattern.
pub(crate) fn matches(call: &Call) -> Outcome {
    let (x, pattern) = (call.texts(0)?, call.text(0)?);
    let regex = known(pattern, Form::Whole)?;
    let found = x.iter().map(|it| regex.is_match(it.as_bytes())).collect();
    Ok(vec![Array::new(&call.input(0)?.dims, Elements::Flags(found))])
}

/// The pattern, kept for the next calls.
pub(crate) fn known(pattern: &str, form: Form) -> Result<Regex, String> {
    let mut list = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, _, regex)) = list.iter().find(|it| it.0 == pattern && it.1 == form) {
        return Ok(regex.clone());
    }
    let regex = compiled(pattern, form)?;
    list.truncate(MOST_KNOWN - 1);
    list.push_front((pattern.to_owned(), form, regex.clone()));
    Ok(regex)
}

/// The pattern, compiled.
///
/// # Errors
/// What is no pattern, and what would take more than 10 MiB.
pub(crate) fn compiled(pattern: &str, form: Form) -> Result<Regex, String> {
    let translated = translated(pattern)?;
    // Alone first: what closes more groups than it opens is no pattern, whatever is put around it.
    let found = Regex::new(&translated).and_then(|part| match form {
        Form::Whole => Regex::new(&format!(r"\A(?:{translated})\z")),
        Form::Part => Ok(part),
    });
    found.map_err(|error| {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        format!("{pattern:?} is no regular expression: {reason}")
    })
}

/// A pattern of RE2 in the syntax of the crate.
fn translated(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix(r"\Q") {
            let (text, tail) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
            out.push_str(&regex::escape(text));
            rest = tail;
        } else if first == '\\' {
            rest = escape(rest, false, &mut out)?;
        } else if first == '[' {
            rest = class(rest, &mut out)?;
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(out)
}

/// An escape, which the text begins with; gives what follows.
fn escape<'p>(text: &'p str, in_class: bool, out: &mut String) -> Result<&'p str, String> {
    let Some(letter) = text[1..].chars().next() else { return Err("a pattern ends with `\\`".to_owned()) };
    let ascii = match letter {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        's' => r"[\t\n\x0C\r ]",
        'S' => r"[^\t\n\x0C\r ]",
        'b' if !in_class => r"(?-u:\b)",
        'B' if !in_class => r"(?-u:\B)",
        'C' => return Err(r"single bytes (`\C`) of a pattern are not supported".to_owned()),
        _ => "",
    };
    if ascii.is_empty() {
        out.push('\\');
        out.push(letter);
    } else {
        out.push_str(ascii);
    }
    Ok(&text[1 + letter.len_utf8()..])
}

/// A class in brackets, which the text begins with; gives what follows.
fn class<'p>(text: &'p str, out: &mut String) -> Result<&'p str, String> {
    let mut rest = &text[1..];
    out.push('[');
    if let Some(tail) = rest.strip_prefix('^') {
        out.push('^');
        rest = tail;
    }
    // Whether a dash is an element: at the beginning, and as the end of a range.
    let mut element = true;
    // A bracket that comes first is one too.
    if let Some(tail) = rest.strip_prefix(']') {
        out.push_str(r"\]");
        rest = tail;
        element = false;
    }
    while let Some(first) = rest.chars().next() {
        let named = rest.starts_with("[:").then(|| rest.find(":]")).flatten();
        if let Some(end) = named {
            out.push_str(&rest[..end + 2]);
            rest = &rest[end + 2..];
            element = false;
            continue;
        }
        match first {
            ']' => {
                out.push(']');
                return Ok(&rest[1..]);
            }
            '\\' => {
                rest = escape(rest, true, out)?;
                element = false;
                continue;
            }
            '[' | '&' | '~' => out.extend(['\\', first]),
            '-' if element => out.push_str(r"\-"),
            _ => out.push(first),
        }
        element = first == '-' && !element;
        rest = &rest[first.len_utf8()..];
    }
    Err("a bracket of a pattern is not closed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_re2() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            (r"www\.[\w.-]+\.\bcom\b", &["www.google.com"], &["www.google.co", "xwww.google.com"]),
            (r"a|ab", &["a", "ab"], &["abc", ""]),
            (r"\d+", &["12"], &["١٢", ""]),
            (r"\w\W", &["aä"], &["ä!"]),
            (r"[^\W_]+", &["aB1"], &["a_", "ä"]),
            (r"\Qa.b\E+", &["a.b", "a.bb"], &["axb"]),
            (r"[[a&&b]+", &["[", "a&b"], &["c"]),
            (r"[]a]+", &["]a"], &["b"]),
            (r"[+--]+", &["+,-"], &["."]),
            (r"[a^-b]+", &["^_`ab"], &["-"]),
            (r"[-a]+", &["-a"], &["b"]),
            (r"[\[-b]+", &["[a"], &["-"]),
            (r"[[:alpha:]]+", &["ab"], &["1"]),
            (r"(?i)straße", &["STRAßE"], &[]),
            (r".", &["ü"], &["\n", "ab"]),
            (r"(?s).*$", &["a\nb"], &[]),
            (r"", &[""], &["a"]),
            (r"\pL{2}", &["äö"], &["a1"]),
        ];
        for (pattern, yes, no) in cases {
            let regex = compiled(pattern, Form::Whole).unwrap_or_else(|it| panic!("{it}"));
            let met = |it: &&&str| regex.is_match(it.as_bytes());
            assert_eq!(yes.iter().find(|it| !met(it)), None, "{pattern} is to match");
            assert_eq!(no.iter().find(met), None, "{pattern} is not to match");
        }
        for pattern in
            ["(", ")", "a)(b", "[", "*", r"\", r"\1", r"(?=a)", "a{1000}{1000}{1000}", "[b-a]", r"\C"]
        {
            let error = compiled(pattern, Form::Whole).expect_err(pattern);
            assert!(!error.is_empty() && !error.contains('\n'), "{error}");
        }
    }
}
