//! Standard output.

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
