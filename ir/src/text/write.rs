//! Printing helpers.

use super::lexer::{LineIndex, Span};
use crate::diag::Place;
use indexmap::IndexSet;

/// Whether `name` can stand without quotes.
pub fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
}

/// A string in quotes, with escapes; it never spans lines.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            // Also what a terminal or an editor takes for an end of line or a change of direction.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}') => {
                out.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A name: itself when it is an identifier, else in quotes.
pub fn name_text(name: &str) -> String {
    if is_identifier(name) { name.to_owned() } else { quote(name) }
}

/// Hands out the names of values: the wished one when it is an identifier and still free, else the next number.
#[derive(Clone, Debug, Default)]
pub struct NameAllocator {
    taken: IndexSet<String>,
    next: u32,
}

impl NameAllocator {
    /// Nothing is taken.
    pub fn new() -> Self {
        Self::default()
    }

    /// A name that was not handed out before, without the sigil.
    pub fn allocate(&mut self, wish: Option<&str>) -> String {
        if let Some(wish) = self.wished(wish) {
            return wish;
        }
        let name = self.next.to_string();
        self.next += 1;
        name
    }
}

impl NameAllocator {
    /// The wished name, else `v` with the number of what is named, which stays the same when others come and go.
    pub(crate) fn allocate_stable(&mut self, wish: Option<&str>, number: u32) -> String {
        let named = self.wished(wish).or_else(|| self.wished(Some(&format!("v{number}"))));
        named.unwrap_or_else(|| self.allocate(Some(&format!("v{number}.{}", self.taken.len()))))
    }

    fn wished(&mut self, wish: Option<&str>) -> Option<String> {
        let wish = wish.filter(|it| is_identifier(it))?;
        self.taken.insert(wish.to_owned()).then(|| wish.to_owned())
    }
}

/// How values are named that have no name of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Numbering {
    /// In the order of the text, as text that is kept has it.
    #[default]
    InOrder,
    /// By what they are in memory: a pass that leaves a value alone leaves its name alone, so texts before and after it
    /// can be compared line by line.
    Stable,
}

impl Numbering {
    /// A name for what has this number in memory.
    pub(crate) fn name(self, allocator: &mut NameAllocator, wish: Option<&str>, number: u32) -> String {
        match self {
            Numbering::InOrder => allocator.allocate(wish),
            Numbering::Stable => allocator.allocate_stable(wish, number),
        }
    }
}

/// Collects lines with indentation and knows where it is.
#[derive(Clone, Debug, Default)]
pub struct TextWriter {
    text: String,
    indent: usize,
}

impl TextWriter {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes one line at the present indentation; returns the span of its text.
    pub fn line(&mut self, text: &str) -> Span {
        if !text.is_empty() {
            self.text.extend(std::iter::repeat_n(' ', 2 * self.indent));
        }
        let start = self.text.len();
        self.text.push_str(text);
        let span = start..self.text.len();
        self.text.push('\n');
        span
    }

    /// Writes a line that ends in an opening bracket, and indents what follows.
    pub fn open(&mut self, text: &str) -> Span {
        let span = self.line(text);
        self.indent += 1;
        span
    }

    /// Goes back by one level and writes a line that starts with a closing bracket.
    pub fn close(&mut self, text: &str) -> Span {
        self.indent = self.indent.saturating_sub(1);
        self.line(text)
    }

    /// Writes a closing line that opens again: `} else {`.
    pub fn reopen(&mut self, text: &str) -> Span {
        let span = self.close(text);
        self.indent += 1;
        span
    }

    /// The text so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The place of a span of the text so far.
    pub fn place(&self, span: Span) -> Place {
        LineIndex::new(&self.text).place(span)
    }

    /// The whole text.
    pub fn finish(self) -> String {
        self.text
    }
}

/// The entry when there is one: the printer also prints what breaks the laws.
pub(crate) fn exists<T>(arena: &la_arena::Arena<T>, id: la_arena::Idx<T>) -> Option<&T> {
    ((id.into_raw().into_u32() as usize) < arena.len()).then(|| &arena[id])
}
