//! Pipelines as text: passes in order, with options.
//!
//! ```text
//! list   = item ("," item)*
//! item   = ["+" | "-"] name ["{" option ("," option)* "}"] ["@" target]
//! option = key "=" value | key "=" '"' text without quotes '"'
//! ```
//!
//! `NAME` runs a pass, or the passes of a pipeline of that name, after those before it. `+NAME` puts a pass at the place
//! that is its own among those before it, `-NAME` takes one out. A list that begins with `+` or `-` changes the pipeline
//! that would run without it. `NAME@TARGET` counts only where code is made for that target, or for one that has more; which
//! targets there are, this crate does not know.

use orogen_ir::diag::{Diagnostic, Place};
use std::fmt;

/// What an item of a list does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListEdit {
    /// `NAME`: after what is there.
    Append,
    /// `+NAME`: at its own place.
    Put,
    /// `-NAME`: not at all.
    Drop,
}

/// A pass or a pipeline by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassCall {
    /// What is done with it.
    pub edit: ListEdit,
    /// Name of the pass or of the pipeline.
    pub name: String,
    /// Options as they are written.
    pub options: Vec<(String, String)>,
    /// For which target alone it counts.
    pub target: Option<String>,
}

/// Passes in order, as a user writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassList(pub Vec<PassCall>);

impl PassList {
    /// Reads a list; an empty text is an empty one.
    ///
    /// # Errors
    /// `N025`: what is no list, with the place.
    pub fn parse(text: &str) -> Result<PassList, Diagnostic> {
        let mut reader = Reader { text, at: 0 };
        let mut calls = Vec::new();
        reader.space();
        if reader.rest().is_empty() {
            return Ok(PassList(calls));
        }
        loop {
            calls.push(reader.call()?);
            reader.space();
            match reader.take(',') {
                true => {}
                false if reader.rest().is_empty() => return Ok(PassList(calls)),
                false => return Err(reader.error("a comma stands between passes")),
            }
        }
    }

    /// The list of these names, without options.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> PassList {
        let call = |name: &str| PassCall {
            edit: ListEdit::Append,
            name: name.to_owned(),
            options: Vec::new(),
            target: None,
        };
        PassList(names.into_iter().map(call).collect())
    }

    /// Whether the list changes another one: it begins with `+` or `-`.
    pub fn is_change(&self) -> bool {
        self.0.first().is_some_and(|it| it.edit != ListEdit::Append)
    }

    /// The targets that it names.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|it| it.target.as_deref())
    }

    /// What counts of it for a target, of which `holds` says whether it is one with this name.
    #[must_use]
    pub fn for_target(&self, holds: impl Fn(&str) -> bool) -> PassList {
        // What is changed stays what runs by default, though the first change does not count.
        let base = if self.is_change() { PassList::of(["default"]).0 } else { Vec::new() };
        let counts = self.0.iter().filter(|it| it.target.as_deref().is_none_or(&holds));
        PassList(base.into_iter().chain(counts.map(|it| PassCall { target: None, ..it.clone() })).collect())
    }
}

impl fmt::Display for PassCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.edit {
            ListEdit::Append => "",
            ListEdit::Put => "+",
            ListEdit::Drop => "-",
        })?;
        f.write_str(&self.name)?;
        if !self.options.is_empty() {
            let value = |it: &str| match it.is_empty() || it.contains(ends_word) {
                true => format!("\"{it}\""),
                false => it.to_owned(),
            };
            let options: Vec<String> =
                self.options.iter().map(|(key, it)| format!("{key}={}", value(it))).collect();
            write!(f, "{{{}}}", options.join(","))?;
        }
        self.target.iter().try_for_each(|it| write!(f, "@{it}"))
    }
}

impl fmt::Display for PassList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&calls.join(","))
    }
}

/// Whether a character is none of a word.
fn ends_word(it: char) -> bool {
    it.is_whitespace() || ",{}=+\"@".contains(it)
}

struct Reader<'a> {
    text: &'a str,
    /// Bytes that were read.
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.rest().starts_with(wanted);
        self.at += if found { wanted.len_utf8() } else { 0 };
        found
    }

    fn call(&mut self) -> Result<PassCall, Diagnostic> {
        self.space();
        let edit = match (self.take('+'), self.rest().starts_with('-')) {
            (true, _) => ListEdit::Put,
            (false, true) => {
                self.at += 1;
                ListEdit::Drop
            }
            (false, false) => ListEdit::Append,
        };
        let name = self.word("the name of a pass")?;
        let mut options = Vec::new();
        self.space();
        if self.take('{') {
            loop {
                self.space();
                if options.is_empty() && self.take('}') {
                    break;
                }
                let key = self.word("the name of an option")?;
                self.space();
                if !self.take('=') {
                    return Err(self.error("an option is written NAME=VALUE"));
                }
                self.space();
                let value = match self.take('"') {
                    true => self.quoted()?,
                    false => self.word("the value of the option")?,
                };
                options.push((key, value));
                self.space();
                if self.take('}') {
                    break;
                }
                if !self.take(',') {
                    return Err(self.error("a comma or `}` follows an option"));
                }
            }
        }
        self.space();
        let target = match self.take('@') {
            true => {
                self.space();
                Some(self.word("the name of a target")?)
            }
            false => None,
        };
        Ok(PassCall { edit, name, options, target })
    }

    fn word(&mut self, what: &str) -> Result<String, Diagnostic> {
        let rest = self.rest();
        let end = rest.find(ends_word).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.error(&format!("{what} is missing")));
        }
        self.at += end;
        Ok(rest[..end].to_owned())
    }

    /// The rest of a text in quotes.
    fn quoted(&mut self) -> Result<String, Diagnostic> {
        let rest = self.rest();
        let end = rest.find('"').ok_or_else(|| self.error("a text in quotes has no end"))?;
        self.at += end + 1;
        Ok(rest[..end].to_owned())
    }

    fn error(&self, message: &str) -> Diagnostic {
        let before = &self.text[..self.at];
        let start = before.rfind('\n').map_or(0, |it| it + 1);
        let count = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
        let place = Place::Text {
            line: count(before.matches('\n').count() + 1),
            column: count(before[start..].chars().count() + 1),
            length: 1,
            source: self.text[start..].lines().next().unwrap_or_default().to_owned(),
        };
        Diagnostic::error("N025", message.to_owned())
            .at_place(place)
            .help("write names with commas between them, such as `canonicalize,explore{nodes=8000},legalize`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_prints_as_it_is_read() {
        for text in [
            "",
            "a",
            "a,b-c,d",
            "+explore{nodes=8000,region=16},-fuse",
            "default,acme.swish{a=1.5}",
            "a{b=\"mul(x, y)\",c=d:e}",
            "+a@avx2,b{c=1}@avx512",
        ] {
            assert_eq!(PassList::parse(text).expect("a list").to_string(), text);
        }
        let spaced = PassList::parse(" a , b { x = 1 , y = 64KiB } ,\n+c{}").expect("a list");
        assert_eq!(spaced.to_string(), "a,b{x=1,y=64KiB},+c");
        assert!(!spaced.is_change() && PassList::parse("-a").expect("a list").is_change());
        let list = PassList::parse("+a@old,-b,+c{d=1} @ new").expect("a list");
        assert_eq!(list.targets().collect::<Vec<_>>(), ["old", "new"]);
        assert_eq!(list.for_target(|it| it == "new").to_string(), "default,-b,+c{d=1}");
        assert_eq!(PassList::parse("a,b@new").expect("a list").for_target(|_| false).to_string(), "a");
        assert_eq!(PassList::of(["a", "b"]), PassList::parse("a,b").expect("a list"));
    }

    #[test]
    fn what_is_no_list_has_a_place() {
        for (text, column, what) in [
            ("a,,b", 3, "the name of a pass is missing"),
            ("a,", 3, "the name of a pass is missing"),
            ("a b", 3, "a comma stands between passes"),
            ("a{x}", 4, "an option is written NAME=VALUE"),
            ("a{x=}", 5, "the value of the option is missing"),
            ("a{x=1", 6, "a comma or `}` follows an option"),
            ("a{", 3, "the name of an option is missing"),
            ("a{b=\"c", 6, "a text in quotes has no end"),
            ("a}", 2, "a comma stands between passes"),
            ("++a", 2, "the name of a pass is missing"),
        ] {
            let found = PassList::parse(text).expect_err(text);
            assert_eq!((found.code, found.message.as_str()), ("N025", what), "{text}");
            assert!(
                matches!(found.place, Some(Place::Text { column: it, .. }) if it == column),
                "{text}: {found}"
            );
        }
    }
}
