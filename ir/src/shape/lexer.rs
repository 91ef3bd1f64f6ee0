//! Tokens of expression text.

use std::fmt;

/// Text that is not an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseDimError {
    /// Where, in bytes from the start of the text.
    pub offset: usize,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for ParseDimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.offset, self.message)
    }
}

impl std::error::Error for ParseDimError {}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Number(u64),
    Word(String),
    Quoted(String),
    Sign(&'static str),
    End,
}

/// Longest first, so that `//` is not read as two `/`.
const SIGNS: [&str; 20] = [
    "//", "**", ">=", "<=", "==", "!=", "+", "-", "*", "/", "%", "(", ")", ",", "^", "<", ">", "=", "|", "~",
];

/// A cursor over text with one token of lookahead.
pub(super) struct Lexer<'t> {
    text: &'t str,
    /// Where the lookahead starts and ends.
    start: usize,
    end: usize,
    pub(super) token: Token,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Result<Lexer<'t>, ParseDimError> {
        let mut lexer = Lexer { text, start: 0, end: 0, token: Token::End };
        lexer.scan()?;
        Ok(lexer)
    }

    pub(super) fn error(&self, message: impl Into<String>) -> ParseDimError {
        ParseDimError { offset: self.start, message: message.into() }
    }

    /// Takes the lookahead and reads the next token.
    pub(super) fn bump(&mut self) -> Result<Token, ParseDimError> {
        let token = std::mem::replace(&mut self.token, Token::End);
        self.scan()?;
        Ok(token)
    }

    pub(super) fn eat(&mut self, sign: &str) -> Result<bool, ParseDimError> {
        let found = matches!(self.token, Token::Sign(s) if s == sign);
        if found {
            self.bump()?;
        }
        Ok(found)
    }

    pub(super) fn expect(&mut self, sign: &str) -> Result<(), ParseDimError> {
        if self.eat(sign)? { Ok(()) } else { Err(self.error(format!("expected `{sign}`"))) }
    }

    fn scan(&mut self) -> Result<(), ParseDimError> {
        let rest = &self.text[self.end..];
        let trimmed = rest.trim_start();
        self.start = self.end + (rest.len() - trimmed.len());
        let length_while = |test: fn(char) -> bool| trimmed.find(|c| !test(c)).unwrap_or(trimmed.len());
        let first = trimmed.chars().next();
        let (token, length) = match first {
            Some(c) if c.is_ascii_digit() => {
                let length = length_while(|c| c.is_ascii_digit());
                let value = trimmed[..length].parse().map_err(|_| self.error("number beyond 64 bits"))?;
                (Token::Number(value), length)
            }
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                let length = length_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
                (Token::Word(trimmed[..length].to_owned()), length)
            }
            Some('"') => self.quoted(trimmed)?,
            _ => match SIGNS.iter().find(|sign| trimmed.starts_with(**sign)) {
                Some(sign) => (Token::Sign(sign), sign.len()),
                // What is no token ends the expression; [`Lexer::finish`] refuses it.
                None => (Token::End, 0),
            },
        };
        self.token = token;
        self.end = self.start + length;
        Ok(())
    }

    fn quoted(&self, text: &str) -> Result<(Token, usize), ParseDimError> {
        let at = |offset: usize, message: &str| ParseDimError {
            offset: self.start + offset,
            message: message.to_owned(),
        };
        let mut name = String::new();
        let mut chars = text.char_indices().skip(1);
        while let Some((offset, c)) = chars.next() {
            match c {
                '"' => return Ok((Token::Quoted(name), offset + 1)),
                '\\' => match chars.next() {
                    Some((_, c @ ('"' | '\\'))) => name.push(c),
                    Some((_, 'u')) => {
                        let rest = &text[offset + 2..];
                        let body = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
                        let code = body.and_then(|(digits, _)| u32::from_str_radix(digits, 16).ok());
                        let c = code.and_then(char::from_u32).ok_or_else(|| at(offset, "bad escape"))?;
                        name.push(c);
                        // The braces and what is between them.
                        chars.find(|(_, c)| *c == '}');
                    }
                    _ => return Err(at(offset, "bad escape")),
                },
                c => name.push(c),
            }
        }
        Err(at(0, "quote without an end"))
    }

    /// Fails unless the whole text was read.
    pub(super) fn finish(&self) -> Result<(), ParseDimError> {
        if self.text[self.start..].is_empty() { Ok(()) } else { Err(self.error("unexpected text")) }
    }
}
