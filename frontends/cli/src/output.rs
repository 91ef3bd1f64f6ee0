//! Standard output.

use std::borrow::Cow;
use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

/// Prints a line. A reader that has gone away (`orogen print … | head`) ends the program quietly; any other failure
/// ends it with the status of a file that cannot be written.
pub(crate) fn line(text: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = writeln!(out, "{text}") {
        let quiet = error.kind() == ErrorKind::BrokenPipe;
        if !quiet {
            let _ = writeln!(std::io::stderr(), "error: cannot write to standard output: {error}");
        }
        std::process::exit(if quiet { 0 } else { 4 });
    }
}

/// Prints a formatted line to standard output.
macro_rules! say {
    ($($arg:tt)*) => {
        $crate::output::line(format_args!($($arg)*))
    };
}

pub(crate) use say;

/// A name from a model or a file on one line: control characters, which could move the cursor of a terminal or
/// change its colours, are escaped.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// As [`plain`] for a text of several lines.
pub(crate) fn plain_lines(text: &str) -> Cow<'_, str> {
    escape(text, |it| it == '\n')
}

fn escape(text: &str, kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    let harmless = |it: char| !it.is_control() || kept(it);
    if text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::new();
    for it in text.chars() {
        if harmless(it) { escaped.push(it) } else { escaped.extend(it.escape_default()) }
    }
    Cow::Owned(escaped)
}

/// A word as a shell reads it.
pub(crate) fn shell_word(word: &str) -> Cow<'_, str> {
    let is_plain = |it: char| it.is_alphanumeric() || "-_./:=,+@%".contains(it);
    if !word.is_empty() && word.chars().all(is_plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', "'\\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_speak_to_the_terminal() {
        assert_eq!(plain("выход \"α\" 🎉"), "выход \"α\" 🎉");
        assert_eq!(plain("a\u{1b}[31m\nb\u{9b}"), "a\\u{1b}[31m\\nb\\u{9b}");
        assert_eq!(plain_lines("a\n\u{7}b"), "a\n\\u{7}b");
    }
}
