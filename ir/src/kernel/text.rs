//! The text form of kernels. A tensor program has [its own](crate::loops); the others are signatures:
//!
//! ```text
//! kernel    = program
//!           | ( "extern" | "routine" ) SYMBOL "=" STRING [ "with" attrs ] effects "{" item* "}"
//! item      = "size" NAME | "integer" NAME
//!           | ( "in" | "inout" | "out" ) VALUE ":" ( dtype "[" dims "]" | type )
//! ```

use super::{Access, Extern, Kernel, Param, ParamType, Routine, Signature};
use crate::diag::{Diagnostic, Diagnostics};
use crate::shape::SymbolKind;
use crate::text::{
    Cursor, Span, SymbolPolicy, TextWriter, TokenKind, attrs_text, dims_text, name_text, parse_attrs,
    parse_dims, parse_dtype, parse_effects, parse_type, quote, type_text,
};
use crate::types::Attrs;

/// Whether the next word begins a kernel.
pub fn starts_kernel(cursor: &Cursor<'_>) -> bool {
    ["kernel", "extern", "routine"].iter().any(|it| cursor.at_word(it))
}

/// Reads a text that holds one kernel.
///
/// # Errors
/// Everything that could not be read, each with its place in `text`.
pub fn parse_kernel_text(text: &str) -> Result<Kernel, Diagnostics> {
    let mut cursor = Cursor::new(text);
    let kernel = parse_kernel(&mut cursor);
    if kernel.is_ok() && !cursor.at_end() {
        let problem = cursor.expected("the end of the text");
        cursor.report(problem);
    }
    match kernel {
        Ok(kernel) => cursor.finish().into_result(kernel),
        Err(problem) => {
            cursor.report(problem);
            Err(cursor.finish())
        }
    }
}

/// Reads a kernel from its first word to its closing brace. Problems inside are reported to the cursor, which goes on
/// after them.
///
/// # Errors
/// When the kernel does not begin or end as one.
pub fn parse_kernel(cursor: &mut Cursor<'_>) -> Result<Kernel, Diagnostic> {
    if cursor.at_word("kernel") {
        return crate::loops::parse_kernel(cursor).map(Kernel::Program);
    }
    let word = cursor.expect_ident("`kernel`, `routine` or `extern`")?;
    let (name, _) = cursor.expect_symbol()?;
    cursor.expect_punct("=")?;
    let found_by = cursor.expect_string("the name of a function")?;
    let attrs = if cursor.eat_word("with") { parse_attrs(cursor)? } else { Attrs::none() };
    let mut signature = Signature { effects: parse_effects(cursor)?, ..Signature::default() };
    cursor.expect_punct("{")?;
    while !cursor.at_punct("}") && !cursor.at_end() {
        if let Err(problem) = item(cursor, &mut signature) {
            cursor.report(problem);
            cursor.recover();
        }
    }
    cursor.expect_punct("}")?;
    Ok(match word.as_str() {
        "extern" => Kernel::Extern(Extern { name, symbol: found_by, attrs, signature }),
        _ => Kernel::Routine(Routine { name, routine: found_by, attrs, signature }),
    })
}

fn item(cursor: &mut Cursor<'_>, signature: &mut Signature) -> Result<(), Diagnostic> {
    let span = cursor.span();
    let access = match cursor.expect_ident("a size or a parameter")?.as_str() {
        word @ ("size" | "integer") => {
            let span = cursor.span();
            let name = cursor.expect_name("the name of a size")?;
            if signature.shapes.find_sym(&name).is_some() {
                cursor.report(cursor.error_at(span, "T080", format!("symbol `{name}` is declared twice")));
                return Ok(());
            }
            let shapes = &mut signature.shapes;
            let dim = if word == "size" { shapes.sym(&name) } else { shapes.integer(&name) };
            signature.sizes.extend(shapes.as_sym(dim));
            return Ok(());
        }
        "in" => Access::In,
        "inout" => Access::InOut,
        "out" => Access::Out,
        word => {
            return Err(cursor.error_at(span, "T085", format!("`{word}` declares nothing in a signature")));
        }
    };
    let (name, _) = cursor.expect_value()?;
    cursor.expect_punct(":")?;
    let shapes = &mut signature.shapes;
    let ty = match cursor.peek() {
        // Types in words begin with a capital letter, element types do not.
        TokenKind::Ident(word) if word.starts_with(char::is_uppercase) => {
            ParamType::Object(parse_type(cursor, shapes, SymbolPolicy::Declared)?)
        }
        _ => {
            let dtype = parse_dtype(cursor)?;
            ParamType::Buffer { dtype, dims: parse_dims(cursor, shapes, SymbolPolicy::Declared)? }
        }
    };
    signature.params.push(Param { name, access, ty });
    Ok(())
}

/// A kernel as text.
pub fn print_kernel_text(kernel: &Kernel) -> String {
    kernel_text(kernel.name(), kernel)
}

/// A kernel as text under another name.
pub fn kernel_text(name: &str, kernel: &Kernel) -> String {
    let mut out = TextWriter::new();
    write_kernel(&mut out, name, kernel);
    out.finish()
}

/// Writes a kernel under the name of its definition; returns the place of its first line.
pub(crate) fn write_kernel(out: &mut TextWriter, name: &str, kernel: &Kernel) -> Span {
    let (word, found_by, attrs, signature) = match kernel {
        Kernel::Program(program) => return crate::loops::write_kernel(out, name, program),
        Kernel::Routine(it) => ("routine", &it.routine, &it.attrs, &it.signature),
        Kernel::Extern(it) => ("extern", &it.symbol, &it.attrs, &it.signature),
    };
    let attrs = match attrs.is_empty() {
        true => String::new(),
        false => format!(" with {}", attrs_text(attrs)),
    };
    let effects = match signature.effects.to_string() {
        none if none.is_empty() => none,
        effects => format!(" {effects}"),
    };
    let first = format!("{word} @{} = {}{attrs}{effects} {{", name_text(name), quote(found_by));
    let span = out.open(&first);
    for size in &signature.sizes {
        let kind = if signature.shapes.kind(*size) == SymbolKind::Size { "size" } else { "integer" };
        out.line(&format!("{kind} {}", signature.shapes.display_sym(*size)));
    }
    for Param { name, access, ty } in &signature.params {
        let ty = match ty {
            ParamType::Buffer { dtype, dims } => format!("{dtype}{}", dims_text(&signature.shapes, dims)),
            ParamType::Object(ty) => type_text(&signature.shapes, ty),
        };
        out.line(&format!("{} %{}: {ty}", access.word(), name_text(name)));
    }
    out.close("}");
    span
}
