//! Diagnostics: a code, a primary place, notes and a way out.
//!
//! Every error that a user can cause travels as a [`Diagnostic`]; checks that can find several problems
//! collect them in [`Diagnostics`] and report all of them.

use std::fmt;

/// How serious a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something the user may want to know; the result is as asked.
    Remark,
    /// The result is usable but probably not what was wanted.
    Warning,
    /// No result.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Remark => "remark",
            Severity::Warning => "warning",
            Severity::Error => "error",
        })
    }
}

/// Where a diagnostic points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A span of a text: 1-based line and column, length in characters, and the line itself.
    Text {
        /// 1-based line.
        line: u32,
        /// 1-based column, in characters.
        column: u32,
        /// Length in characters, at least 1.
        length: u32,
        /// The whole line, without its end.
        source: String,
    },
    /// A named thing of a model, for example ``node `conv1` (Conv)``.
    Entity(String),
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How serious it is.
    pub severity: Severity,
    /// Stable code, for example `S012`; listed in the error index.
    pub code: &'static str,
    /// One sentence, lower case, no full stop.
    pub message: String,
    /// The primary place.
    pub place: Option<Place>,
    /// Further facts, one sentence each.
    pub notes: Vec<String>,
    /// What the user can do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error with a code and a message.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message)
    }

    /// A warning with a code and a message.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message)
    }

    /// A remark with a code and a message.
    pub fn remark(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Remark, code, message)
    }

    fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic { severity, code, message: message.into(), place: None, notes: Vec::new(), help: None }
    }

    /// Points at a named thing, unless a place is already set: the innermost place wins.
    #[must_use]
    pub fn at(mut self, entity: impl Into<String>) -> Self {
        self.place.get_or_insert_with(|| Place::Entity(entity.into()));
        self
    }

    /// Points at a place, replacing an earlier one.
    #[must_use]
    pub fn at_place(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Adds a note.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Sets the way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]: {}", self.severity, self.code, self.message)?;
        match &self.place {
            Some(Place::Entity(entity)) => write!(f, "\n  --> {entity}")?,
            Some(Place::Text { line, column, length, source }) => {
                let gutter = line.to_string().len();
                write!(f, "\n{:gutter$}--> {line}:{column}", "")?;
                write!(f, "\n{:gutter$} |\n{line} | {source}\n{:gutter$} | ", "", "")?;
                let indent = column.saturating_sub(1) as usize;
                write!(f, "{:indent$}{}", "", "^".repeat((*length).max(1) as usize))?;
            }
            None => {}
        }
        for note in &self.notes {
            write!(f, "\n  = note: {note}")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  = help: {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}

/// Several findings, in the order they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// No findings yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Iterates in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// `Ok(value)` when no finding is an error.
    pub fn into_result<T>(self, value: T) -> Result<T, Diagnostics> {
        if self.0.iter().any(|it| it.severity == Severity::Error) { Err(self) } else { Ok(value) }
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Diagnostics(vec![diagnostic])
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
