//! Text to tokens.

use crate::diag::{Diagnostic, Place};
use std::ops::Range;

/// A byte range of the source.
pub type Span = Range<usize>;

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A word: `[A-Za-z_][A-Za-z0-9_.]*`.
    Ident(String),
    /// `%name`, without the sigil.
    Value(String),
    /// `@name` or `@"name"`, without the sigil and unquoted.
    Symbol(String),
    /// `^2`.
    Block(String),
    /// `#3`.
    Const(String),
    /// A number as it is written.
    Number(String),
    /// A string, unescaped.
    Str(String),
    /// Punctuation.
    Punct(&'static str),
    /// The end of the text.
    End,
}

impl TokenKind {
    /// The token as it is named in messages.
    pub fn describe(&self) -> String {
        match self {
            TokenKind::Ident(it) | TokenKind::Number(it) => format!("`{it}`"),
            TokenKind::Value(it) => format!("`%{it}`"),
            TokenKind::Symbol(it) => format!("`@{it}`"),
            TokenKind::Block(it) => format!("`^{it}`"),
            TokenKind::Const(it) => format!("`#{it}`"),
            TokenKind::Str(_) => "a string".to_owned(),
            TokenKind::Punct(it) => format!("`{it}`"),
            TokenKind::End => "the end of the text".to_owned(),
        }
    }
}

/// A token with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it is.
    pub span: Span,
    /// Whether it is the first token of its line.
    pub starts_line: bool,
}

/// Finds lines and columns.
#[derive(Clone, Debug)]
pub struct LineIndex<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> LineIndex<'t> {
    /// An index of `text`.
    pub fn new(text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        LineIndex { text, starts }
    }

    /// The place of a span; a span over several lines is cut at the end of its first line.
    pub fn place(&self, span: Span) -> Place {
        let start = span.start.min(self.text.len());
        let line = self.starts.partition_point(|it| *it <= start) - 1;
        let begin = self.starts[line];
        let end = self.starts.get(line + 1).map_or(self.text.len(), |next| next - 1);
        let source = self.text[begin..end].trim_end_matches('\r');
        let stop = span.end.clamp(start, begin + source.len().max(start - begin));
        let count = |range: Range<usize>| self.text.get(range).map_or(0, |it| it.chars().count()) as u32;
        Place::Text {
            line: line as u32 + 1,
            column: count(begin..start) + 1,
            length: count(start..stop).max(1),
            source: source.to_owned(),
        }
    }
}

/// Longest first.
const PUNCTUATION: [&str; 28] = [
    "->", "=>", "==", "!=", ">=", "<=", "(", ")", "[", "]", "{", "}", "<", ">", ",", ":", ";", "=", "+", "-",
    "*", "/", "!", "?", ".", "&", "|", "~",
];

/// All tokens of a text, the last one [`TokenKind::End`], and what could not be read.
pub(super) fn lex(text: &str) -> (Vec<Token>, Vec<Diagnostic>) {
    let mut lexer = Lexer { text, at: 0, starts_line: true, tokens: Vec::new(), problems: Vec::new() };
    lexer.run();
    let lines = LineIndex::new(text);
    let problems = lexer.problems.into_iter().map(|(span, it)| it.at_place(lines.place(span))).collect();
    (lexer.tokens, problems)
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    starts_line: bool,
    tokens: Vec<Token>,
    problems: Vec<(Span, Diagnostic)>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn problem(&mut self, span: Span, code: &'static str, message: String) {
        self.problems.push((span, Diagnostic::error(code, message)));
    }

    fn run(&mut self) {
        loop {
            self.skip_blank();
            let start = self.at;
            let kind = match self.peek() {
                None => break,
                Some(c) => self.token(c),
            };
            if let Some(kind) = kind {
                let starts_line = std::mem::take(&mut self.starts_line);
                self.tokens.push(Token { kind, span: start..self.at, starts_line });
            }
        }
        let end = self.text.len();
        self.tokens.push(Token { kind: TokenKind::End, span: end..end, starts_line: true });
    }

    fn skip_blank(&mut self) {
        while let Some(c) = self.peek() {
            if c == '\n' {
                self.starts_line = true;
            } else if self.rest().starts_with("//") {
                self.at += self.rest().find('\n').unwrap_or(self.rest().len());
                continue;
            } else if !c.is_whitespace() {
                break;
            }
            self.at += c.len_utf8();
        }
    }

    fn token(&mut self, c: char) -> Option<TokenKind> {
        match c {
            '"' => Some(TokenKind::Str(self.string())),
            '%' => self.sigil(c).map(TokenKind::Value),
            '@' => self.sigil(c).map(TokenKind::Symbol),
            '^' => self.sigil(c).map(TokenKind::Block),
            '#' => self.sigil(c).map(TokenKind::Const),
            c if c.is_ascii_digit() => Some(TokenKind::Number(self.number())),
            c if c.is_ascii_alphabetic() || c == '_' => Some(TokenKind::Ident(self.word())),
            _ => {
                if let Some(punct) = PUNCTUATION.into_iter().find(|it| self.rest().starts_with(it)) {
                    self.at += punct.len();
                    return Some(TokenKind::Punct(punct));
                }
                let start = self.at;
                self.at += c.len_utf8();
                self.problem(
                    start..self.at,
                    "T001",
                    format!("unexpected character `{}`", c.escape_default()),
                );
                None
            }
        }
    }

    /// Letters, digits, underscores and dots.
    fn word(&mut self) -> String {
        let rest = self.rest();
        let end =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
        let word = rest[..end].to_owned();
        self.at += word.len();
        word
    }

    fn sigil(&mut self, sigil: char) -> Option<String> {
        let start = self.at;
        self.at += sigil.len_utf8();
        match self.peek() {
            Some('"') => Some(self.string()),
            Some(c) if c.is_ascii_alphanumeric() || c == '_' => Some(self.word()),
            _ => {
                self.problem(start..self.at, "T002", format!("`{sigil}` is not followed by a name"));
                None
            }
        }
    }

    /// A maximal run of characters of a number; a sign only right after an exponent letter.
    fn number(&mut self) -> String {
        let bytes = self.rest().as_bytes();
        let hex = bytes.starts_with(b"0x") || bytes.starts_with(b"0X");
        let exponent = if hex { *b"pP" } else { *b"eE" };
        let mut end = 0;
        while let Some(&byte) = bytes.get(end) {
            let sign = matches!(byte, b'+' | b'-') && end > 0 && exponent.contains(&bytes[end - 1]);
            if !(sign || byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_') {
                break;
            }
            end += 1;
        }
        let number = self.rest()[..end].trim_end_matches('.').to_owned();
        self.at += number.len();
        number
    }

    fn string(&mut self) -> String {
        let start = self.at;
        self.at += 1;
        let mut out = String::new();
        while let Some(c) = self.peek() {
            match c {
                '"' => {
                    self.at += 1;
                    return out;
                }
                '\n' => break,
                '\\' => {
                    let from = self.at;
                    match self.escape() {
                        Some(c) => out.push(c),
                        None => self.problem(from..self.at, "T003", "unknown escape in a string".to_owned()),
                    }
                }
                c => {
                    out.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
        self.problem(start..self.at, "T004", "a string does not end on its line".to_owned());
        out
    }

    /// An escape from its backslash on; consumes at least the backslash.
    fn escape(&mut self) -> Option<char> {
        self.at += 1;
        let c = self.peek()?;
        if c == '\n' {
            return None;
        }
        self.at += c.len_utf8();
        match c {
            '"' | '\\' => Some(c),
            'n' => Some('\n'),
            't' => Some('\t'),
            'r' => Some('\r'),
            '0' => Some('\0'),
            'u' => {
                let digits = self.rest().strip_prefix('{')?;
                let digits = &digits[..digits.find('}')?];
                let code = u32::from_str_radix(digits, 16).ok()?;
                self.at += digits.len() + 2;
                char::from_u32(code)
            }
            _ => None,
        }
    }
}
