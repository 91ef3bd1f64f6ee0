//! Tokens of strings: what a pattern finds in them, or what is between the finds of several.
//!
//! `Tokenizer` of `com.microsoft`, as ONNX Runtime computes it: patterns that divide are applied one after the other, each to
//! what the one before it left; no token is empty.

use crate::array::{Array, Call, Elements, Outcome};
use crate::pattern::{Form, known};
use regex::bytes::Regex;

/// What begins and ends the tokens of a string, where they are marked.
const MARKS: [&str; 2] = ["\u{2}", "\u{3}"];

/// Attributes: whether patterns divide, the fewest characters of a token, whether there are marks, what fills rows up.
struct Tokens<'c> {
    patterns: Vec<Regex>,
    divide: bool,
    fewest: i64,
    marked: bool,
    fill: &'c str,
}

impl<'c> Tokens<'c> {
    fn of(call: &'c Call) -> Result<Self, String> {
        Ok(Tokens {
            divide: call.int(0)? != 0,
            fewest: call.int(1)?,
            marked: call.int(2)? != 0,
            fill: call.text(3)?,
            patterns: call.texts(1)?.iter().map(|it| known(it, Form::Part)).collect::<Result<_, _>>()?,
        })
    }

    fn in_text<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let mut pieces = vec![text.as_bytes()];
        for pattern in &self.patterns {
            pieces = match self.divide {
                true => pieces.into_iter().flat_map(|it| pattern.split(it)).collect(),
                false => {
                    pieces.into_iter().flat_map(|it| pattern.find_iter(it)).map(|it| it.as_bytes()).collect()
                }
            };
        }
        // Patterns that look at single bytes may find a part of a character, which is no text.
        let texts = pieces.into_iter().filter_map(|it| std::str::from_utf8(it).ok());
        let is_long =
            |it: &&str| !it.is_empty() && (self.fewest <= 1 || it.chars().count() as i64 >= self.fewest);
        texts.filter(is_long).collect()
    }

    /// The tokens of all strings, and how many places each has.
    fn all<'t>(&self, texts: &'t [String]) -> (Vec<Vec<&'t str>>, usize) {
        let all: Vec<Vec<&str>> = texts.iter().map(|it| self.in_text(it)).collect();
        let most = all.iter().map(Vec::len).max().unwrap_or(0);
        // Where no string has a token there are no marks either.
        let width = if self.marked && most > 0 { most + MARKS.len() } else { most };
        (all, width)
    }
}

/// How many places the tokens of each string need.
pub(crate) fn count(call: &Call) -> Outcome {
    let width = Tokens::of(call)?.all(call.texts(0)?).1;
    Ok(vec![Array::ints(vec![width as i64])])
}

/// The tokens along a last dimension.
pub(crate) fn fill(call: &Call) -> Outcome {
    let tokens = Tokens::of(call)?;
    let (all, width) = tokens.all(call.texts(0)?);
    let mut dims = call.input(0)?.dims.clone();
    dims.push(width);
    let marks = |i: usize| MARKS[i..=i].iter().copied().filter(|_| tokens.marked);
    let mut filled: Vec<String> = Vec::with_capacity(all.len() * width);
    for found in &all {
        let row = marks(0).chain(found.iter().copied()).chain(marks(1)).chain(std::iter::repeat(tokens.fill));
        filled.extend(row.take(width).map(str::to_owned));
    }
    Ok(vec![Array::new(&dims, Elements::Texts(filled))])
}
