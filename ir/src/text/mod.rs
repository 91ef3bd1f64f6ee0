//! What all grammars share: lexer, cursor and printing helpers.
//!
//! Every IR prints and parses; each has its own `text/` folder with `print.rs`, `parse.rs` and `grammar.md`, all
//! over the pieces of this module. The format is the serialisation: what is not in the text is not in the IR.
//!
//! # Laws
//! * **T1** `print(parse(t)) = t` for text that a printer wrote.
//! * **T2** `parse(print(m))` equals `m` up to arena numbering and the names of values.
//! * **T3** Every position in a diagnostic is valid in the text it speaks of.
//! * **T4** Printing depends on the IR alone: never on hash order, never on the order of interning.
//!
//! # Lexical structure
//! | token | examples |
//! |---|---|
//! | identifier | `matmul`, `layer.0`, `_x` |
//! | value | `%7`, `%x`, `%7.1` |
//! | symbol | `@main`, `@"a b"` |
//! | block, constant | `^2`, `#3` |
//! | number | `1`, `-3` (two tokens), `0x1f`, `1.5e-7`, `0x1.8p3` |
//! | string | `"a \"quoted\" \u{1f600} text\n"` |
//! | punctuation | `( ) [ ] { } < > , : ; = -> => == != >= <= + - * / ! ? . & \|` |
//! | comment | `// to the end of the line` |
//!
//! ```
//! use orogen_ir::shape::ShapeCx;
//! use orogen_ir::text::{Cursor, SymbolPolicy, parse_type, type_text};
//!
//! let mut shapes = ShapeCx::new();
//! let mut cursor = Cursor::new("Tensor<f32, [n, 2*n + 1]>");
//! let ty = parse_type(&mut cursor, &mut shapes, SymbolPolicy::Create)?;
//! assert_eq!(type_text(&shapes, &ty), "Tensor<f32, [n, 2*n + 1]>");
//! # Ok::<(), orogen_ir::diag::Diagnostic>(())
//! ```

mod attrs;
mod constants;
mod cursor;
mod dims;
mod lexer;
mod numbers;
mod source;
mod types;
mod write;

#[cfg(test)]
pub(crate) mod mutate;
#[cfg(test)]
mod tests;

pub use attrs::{attr_text, attrs_text, parse_attrs};
pub use constants::{InlineConstants, Literal, MAX_INLINE, constant_text, is_inline, parse_literal};
pub(crate) use constants::{fits, unknown};
pub use cursor::{Cursor, MAX_NESTING};
pub use dims::{SymbolPolicy, constraint_text, dims_text, parse_constraint, parse_dim, parse_dims};
pub use lexer::{LineIndex, Span, Token, TokenKind};
pub use numbers::{float_text, number_to_f64, parse_float, parse_int};
pub use source::{parse_source, source_text};
pub use types::{
    parse_dtype, parse_effects, parse_shape_info, parse_static_dims, parse_type, shape_info_text,
    static_dims_text, type_text,
};
pub(crate) use write::exists;
pub use write::{NameAllocator, Numbering, TextWriter, is_identifier, name_text, quote};
