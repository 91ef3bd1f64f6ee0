//! Reading tokens, with precise errors and recovery.

use super::lexer::{LineIndex, Span, Token, TokenKind, lex};
use crate::diag::{Diagnostic, Diagnostics, Place};

/// How deep types, expressions and regions may nest; deeper text is an error, not a stack overflow.
pub const MAX_NESTING: u32 = 64;

/// A position in a text.
///
/// Methods called `eat_…` try and leave the position alone when they fail; methods called `expect_…` return a
/// diagnostic that points at the offending token.
#[derive(Clone, Debug)]
pub struct Cursor<'t> {
    text: &'t str,
    lines: LineIndex<'t>,
    tokens: Vec<Token>,
    at: usize,
    depth: u32,
    diagnostics: Diagnostics,
}

impl<'t> Cursor<'t> {
    /// A cursor at the start of `text`. What the lexer could not read is already among the diagnostics.
    pub fn new(text: &'t str) -> Self {
        let (tokens, problems) = lex(text);
        let diagnostics = Diagnostics(problems);
        Cursor { text, lines: LineIndex::new(text), tokens, at: 0, depth: 0, diagnostics }
    }

    /// The whole text.
    pub fn text(&self) -> &'t str {
        self.text
    }

    /// The next token.
    pub fn peek(&self) -> &TokenKind {
        &self.tokens[self.at].kind
    }

    /// The token `n` after the next one.
    pub fn peek_nth(&self, n: usize) -> &TokenKind {
        &self.tokens[(self.at + n).min(self.tokens.len() - 1)].kind
    }

    /// Where the next token is.
    pub fn span(&self) -> Span {
        self.tokens[self.at].span.clone()
    }

    /// Where the token before is; the next one at the start.
    pub fn previous_span(&self) -> Span {
        self.tokens[self.at.saturating_sub(1)].span.clone()
    }

    /// From `start` to the end of the token before.
    pub fn span_since(&self, start: &Span) -> Span {
        start.start..self.previous_span().end.max(start.end)
    }

    /// Whether all is read.
    pub fn at_end(&self) -> bool {
        *self.peek() == TokenKind::End
    }

    /// A mark to go [`back`](Cursor::back) to.
    pub fn mark(&self) -> usize {
        self.at
    }

    /// Goes back to a mark.
    pub fn back(&mut self, mark: usize) {
        self.at = mark.min(self.tokens.len() - 1);
    }

    /// Takes the next token; stays at the end.
    pub fn bump(&mut self) -> Token {
        let token = self.tokens[self.at].clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    /// The place of a span.
    pub fn place(&self, span: Span) -> Place {
        self.lines.place(span)
    }

    /// An error at a span.
    pub fn error_at(&self, span: Span, code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, message).at_place(self.place(span))
    }

    /// An error at the next token.
    pub fn error(&self, code: &'static str, message: impl Into<String>) -> Diagnostic {
        self.error_at(self.span(), code, message)
    }

    /// The error that something else was expected here.
    pub fn expected(&self, what: &str) -> Diagnostic {
        self.error("T010", format!("expected {what}, found {}", self.peek().describe()))
    }

    /// Whether the next token is this punctuation.
    pub fn at_punct(&self, punct: &str) -> bool {
        matches!(self.peek(), TokenKind::Punct(it) if *it == punct)
    }

    /// Takes this punctuation.
    pub fn eat_punct(&mut self, punct: &str) -> bool {
        let found = self.at_punct(punct);
        if found {
            self.bump();
        }
        found
    }

    /// Takes this punctuation or reports.
    pub fn expect_punct(&mut self, punct: &str) -> Result<Span, Diagnostic> {
        let span = self.span();
        if self.eat_punct(punct) { Ok(span) } else { Err(self.expected(&format!("`{punct}`"))) }
    }

    /// Whether the next token is this word.
    pub fn at_word(&self, word: &str) -> bool {
        matches!(self.peek(), TokenKind::Ident(it) if it == word)
    }

    /// Takes this word.
    pub fn eat_word(&mut self, word: &str) -> bool {
        let found = self.at_word(word);
        if found {
            self.bump();
        }
        found
    }

    /// Takes this word or reports.
    pub fn expect_word(&mut self, word: &str) -> Result<Span, Diagnostic> {
        let span = self.span();
        if self.eat_word(word) { Ok(span) } else { Err(self.expected(&format!("`{word}`"))) }
    }

    /// Takes any identifier.
    pub fn expect_ident(&mut self, what: &str) -> Result<String, Diagnostic> {
        match self.peek() {
            TokenKind::Ident(_) => match self.bump().kind {
                TokenKind::Ident(it) => Ok(it),
                _ => Err(self.expected(what)),
            },
            _ => Err(self.expected(what)),
        }
    }

    /// Takes an identifier or a string: a name in its printed form.
    pub fn expect_name(&mut self, what: &str) -> Result<String, Diagnostic> {
        match self.peek().clone() {
            TokenKind::Ident(it) | TokenKind::Str(it) => {
                self.bump();
                Ok(it)
            }
            _ => Err(self.expected(what)),
        }
    }

    /// Takes a string.
    pub fn eat_string(&mut self) -> Option<String> {
        match self.peek().clone() {
            TokenKind::Str(it) => {
                self.bump();
                Some(it)
            }
            _ => None,
        }
    }

    /// Takes a string or reports.
    pub fn expect_string(&mut self, what: &str) -> Result<String, Diagnostic> {
        self.eat_string().ok_or_else(|| self.expected(what))
    }

    /// Takes `%name`.
    pub fn eat_value(&mut self) -> Option<(String, Span)> {
        match self.peek().clone() {
            TokenKind::Value(it) => Some((it, self.bump().span)),
            _ => None,
        }
    }

    /// Takes `%name` or reports.
    pub fn expect_value(&mut self) -> Result<(String, Span), Diagnostic> {
        self.eat_value().ok_or_else(|| self.expected("a value (`%name`)"))
    }

    /// Takes `@name` or reports.
    pub fn expect_symbol(&mut self) -> Result<(String, Span), Diagnostic> {
        match self.peek().clone() {
            TokenKind::Symbol(it) => Ok((it, self.bump().span)),
            _ => Err(self.expected("a symbol (`@name`)")),
        }
    }

    /// Reads `item` separated by commas until `close`, which is taken too; the opening is already taken.
    pub fn list<T>(
        &mut self,
        close: &str,
        mut item: impl FnMut(&mut Self) -> Result<T, Diagnostic>,
    ) -> Result<Vec<T>, Diagnostic> {
        let mut items = Vec::new();
        while !self.eat_punct(close) {
            if !items.is_empty() {
                if !self.eat_punct(",") {
                    return Err(self.expected(&format!("`,` or `{close}`")));
                }
                if self.eat_punct(close) {
                    break;
                }
            }
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Runs `inner` one nesting level deeper.
    pub fn nested<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, Diagnostic>,
    ) -> Result<T, Diagnostic> {
        self.enter_nested()?;
        let result = inner(self);
        self.leave_nested();
        result
    }

    /// Goes one nesting level deeper, for parsers that hold the cursor in a larger state.
    pub fn enter_nested(&mut self) -> Result<(), Diagnostic> {
        if self.depth >= MAX_NESTING {
            return Err(self.error("T011", format!("nested deeper than {MAX_NESTING} levels")));
        }
        self.depth += 1;
        Ok(())
    }

    /// Ends what [`enter_nested`](Self::enter_nested) began.
    pub fn leave_nested(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Notes a finding and goes on.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Whether something was reported so far.
    pub fn has_errors(&self) -> bool {
        !self.diagnostics.is_empty()
    }

    /// All findings, in text order where they have places.
    pub fn finish(self) -> Diagnostics {
        let mut list = self.diagnostics.0;
        list.sort_by_key(|it| match it.place {
            Some(Place::Text { line, column, .. }) => (line, column),
            _ => (u32::MAX, u32::MAX),
        });
        Diagnostics(list)
    }

    /// Skips a broken statement that begins here; see [`recover_since`](Self::recover_since).
    pub fn recover(&mut self) {
        self.recover_since(self.at);
    }

    /// Skips the rest of a broken statement that began at the mark `start`: to the first token of a later line, or
    /// to a `}`, at the nesting of here. Brackets that open on the way are skipped with what they hold.
    pub fn recover_since(&mut self, start: usize) {
        let mut depth = 0_u32;
        while !self.at_end() {
            let token = &self.tokens[self.at];
            if depth == 0 && self.at > start && token.starts_line {
                return;
            }
            match token.kind {
                TokenKind::Punct("{" | "(" | "[") => depth += 1,
                TokenKind::Punct("}") if depth == 0 => return,
                TokenKind::Punct("}" | ")" | "]") => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.bump();
        }
    }
}
