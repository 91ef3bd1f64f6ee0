//! Kernels inside larger texts.

use super::print_kernel;
use crate::loops::TensorProgram;
use crate::text::Span;
use crate::text::TextWriter;

/// Writes a kernel under the name of its definition; returns the place of its first line.
pub(crate) fn write_kernel(out: &mut TextWriter, name: &str, program: &TensorProgram) -> Span {
    let start = out.text().len();
    match program.name == name {
        true => drop(print_kernel(program, out)),
        false => drop(print_kernel(&TensorProgram { name: name.to_owned(), ..program.clone() }, out)),
    }
    let written = &out.text()[start..];
    let begin = start + (written.len() - written.trim_start().len());
    let end = start + written.find('\n').unwrap_or(written.len());
    begin..end.max(begin)
}
