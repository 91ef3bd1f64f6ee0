//! Rules that ship, read one by one when an operation of their root is met.
//!
//! What ships is right: tests read and check all of it. So a compilation takes from the text what it needs, the names of
//! the rules and the operators they begin with, which are at fixed places of it: the second word, and what the second
//! line begins with.

use super::any::AnyRule;
use super::ast::Rewrite;
use super::parse::parse_rules;
use orogen_ir::text::Cursor;
use std::sync::{Arc, OnceLock};

/// A rule of a set: read already, or text that ships. Clones of a set read it once.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: Arc<str>,
    text: &'static str,
    read: Arc<OnceLock<AnyRule>>,
}

impl Entry {
    pub(super) fn read(rule: AnyRule) -> Entry {
        let name = Arc::from(rule.name());
        Entry { name, text: "", read: Arc::new(OnceLock::from(rule)) }
    }

    pub(super) fn shipped(text: &'static str) -> Entry {
        Entry { name: name(text).into(), text, read: Arc::default() }
    }

    /// The rule.
    ///
    /// # Panics
    /// When text that ships holds none.
    pub(super) fn rule(&self) -> &AnyRule {
        self.read.get_or_init(|| {
            let rule = first(self.text).unwrap_or_else(|| panic!("what ships is a rule:\n{}", self.text));
            AnyRule::Text(Arc::new(rule))
        })
    }
}

fn name(text: &'static str) -> &'static str {
    text.split_whitespace().nth(1).unwrap_or_default()
}

/// The names of the rules of a file.
pub(crate) fn names(text: &'static str) -> impl Iterator<Item = &'static str> {
    split(text).map(name)
}

fn first(text: &str) -> Option<Rewrite> {
    let mut rules = parse_rules(&mut Cursor::new(text));
    rules.pop().map(|it| it.rewrite).filter(|_| rules.is_empty())
}

/// The texts of the rules of a file.
pub(super) fn split(text: &'static str) -> impl Iterator<Item = &'static str> {
    const START: &str = "rule ";
    let mut rest = text;
    std::iter::from_fn(move || {
        // The first line of the file may be the first of a rule.
        let start = if rest.starts_with(START) { 0 } else { rest.find("\nrule ")? + 1 };
        let end = rest[start..].find("\nrule ").map_or(rest.len(), |it| start + it + 1);
        let one = &rest[start..end];
        rest = &rest[end..];
        Some(one)
    })
}

/// The operators that a rule begins with, perhaps `elementwise`.
pub(super) fn roots(text: &'static str) -> impl Iterator<Item = &'static str> {
    let mut left = text.split_once('\n').map_or("", |it| it.1).trim_start();
    let word = |text: &'static str| -> (&'static str, &'static str) {
        let is_part = |it: char| it.is_ascii_alphanumeric() || it == '_';
        text.split_at(text.find(|it| !is_part(it)).unwrap_or(text.len()))
    };
    // Names of the result and of the operator stand before it.
    loop {
        let (_, rest) = word(left);
        match rest.trim_start().strip_prefix(['=', ':']) {
            Some(rest) if !left.starts_with('{') => left = rest.trim_start(),
            _ => break,
        }
    }
    let names = match left.strip_prefix('{') {
        Some(list) => list.split('}').next().unwrap_or_default(),
        None => word(left).0,
    };
    names.split('|').map(str::trim)
}
