//! What goes wrong, how it is shown, and the exit status it leads to.

use crate::output::plain_lines;
use anstyle::{AnsiColor, Style};
use orogen::{Diagnostic, Diagnostics};
use orogen_ir::diag::Severity;
use orogen_runtime::RuntimeError;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// A failed command.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Exit status 2.
    Usage(String),
    /// Exit status 3.
    Model(Diagnostics),
    /// Exit status 3.
    Load(RuntimeError),
    /// Exit status 4.
    File(String),
    /// Exit status 4.
    Config(Diagnostics),
    /// Exit status 5.
    Run(RuntimeError),
    /// Exit status 5: the reference interpreter finds no value.
    Evaluate(Diagnostic),
}

impl Failure {
    /// A file that cannot be read or written.
    pub(crate) fn file(path: &Path, what: &str, error: impl std::fmt::Display) -> Failure {
        Failure::File(format!("cannot {what} `{}`: {error}", path.display()))
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Usage(_) => 2,
            Failure::Model(found) if found.iter().any(orogen::concerns_file) => 4,
            Failure::Model(_) | Failure::Load(_) => 3,
            Failure::File(_) | Failure::Config(_) => 4,
            Failure::Run(_) | Failure::Evaluate(_) => 5,
        })
    }

    /// What it says, on one line.
    pub(crate) fn message(&self) -> String {
        match self {
            Failure::Usage(message) | Failure::File(message) => message.clone(),
            Failure::Load(error) | Failure::Run(error) => error.to_string(),
            Failure::Evaluate(found) => found.message.clone(),
            Failure::Model(found) | Failure::Config(found) => {
                found.iter().next().map_or_else(String::new, |it| it.message.clone())
            }
        }
    }

    /// Prints to standard error, coloured on a terminal only.
    pub(crate) fn print(&self) {
        match self {
            Failure::Usage(message) | Failure::File(message) => print_error(message),
            Failure::Load(error) | Failure::Run(error) => print_error(&error.to_string()),
            Failure::Model(found) | Failure::Config(found) => found.iter().for_each(print_diagnostic),
            Failure::Evaluate(found) => print_diagnostic(found),
        }
    }
}

impl From<Diagnostic> for Failure {
    fn from(found: Diagnostic) -> Self {
        Failure::Model(found.into())
    }
}

impl From<Diagnostics> for Failure {
    fn from(found: Diagnostics) -> Self {
        Failure::Model(found)
    }
}

fn print_error(message: &str) {
    let style = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
    let _ = writeln!(anstream::stderr(), "{style}error{style:#}: {}", plain_lines(message));
}

/// Prints one diagnostic to standard error.
pub(crate) fn print_diagnostic(diagnostic: &Diagnostic) {
    let color = match diagnostic.severity {
        Severity::Error => AnsiColor::Red,
        Severity::Warning => AnsiColor::Yellow,
        Severity::Remark => AnsiColor::Cyan,
    };
    let style = Style::new().bold().fg_color(Some(color.into()));
    let text = diagnostic.to_string();
    let text = plain_lines(&text);
    let head = diagnostic.severity.to_string();
    let rest = text.strip_prefix(&head).unwrap_or(&text);
    let _ = writeln!(anstream::stderr(), "{style}{head}{style:#}{rest}");
}
