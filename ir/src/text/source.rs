//! `loc("node `g`" aborts, "node `r`", ...)`: where a part of a program comes from.

use super::{Cursor, quote};
use crate::diag::Diagnostic;
use crate::types::Source;

/// A source behind what comes from it, with a space before; nothing for one that names nothing.
pub fn source_text(source: &Source) -> String {
    if source.is_empty() {
        return String::new();
    }
    let names = source.marked_names();
    let names = names.map(|(name, aborts)| format!("{}{}", quote(name), if aborts { " aborts" } else { "" }));
    let more = source.is_cut().then(|| "...".to_owned());
    format!(" loc({})", names.chain(more).collect::<Vec<_>>().join(", "))
}

/// Reads a source where there is one.
///
/// # Errors
/// Anything else in the parentheses behind `loc`.
pub fn parse_source(cursor: &mut Cursor<'_>) -> Result<Source, Diagnostic> {
    let mut source = Source::default();
    if !cursor.eat_word("loc") {
        return Ok(source);
    }
    cursor.expect_punct("(")?;
    loop {
        let name = cursor.expect_string("a source in quotes")?;
        source.push(&name, cursor.eat_word("aborts"));
        if !cursor.eat_punct(",") {
            break;
        }
        if cursor.eat_punct(".") {
            cursor.expect_punct(".")?;
            cursor.expect_punct(".")?;
            source.cut();
            break;
        }
    }
    cursor.expect_punct(")")?;
    Ok(source)
}
