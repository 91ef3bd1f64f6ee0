//! Kernels inside modules.

use crate::diag::Diagnostic;
use crate::loops::{BufferRole, TensorProgram};
use crate::text::{Cursor, Span, TextWriter, dims_text, name_text};

/// Writes a kernel; returns the place of its first line.
pub(super) fn write_kernel(out: &mut TextWriter, name: &str, program: &TensorProgram) -> Span {
    let params = program.params.iter().map(|it| {
        let buffer = &program.buffers[*it];
        let role = match buffer.role {
            BufferRole::Input => "in",
            BufferRole::Output => "out",
            BufferRole::Local => "local",
        };
        format!("{role} %{}: {}{}", buffer.name, buffer.dtype, dims_text(&program.shapes, &buffer.dims))
    });
    out.line(&format!("kernel @{}({})", name_text(name), params.collect::<Vec<_>>().join(", ")))
}

/// A kernel as text.
pub(crate) fn kernel_text(name: &str, program: &TensorProgram) -> String {
    let mut out = TextWriter::new();
    write_kernel(&mut out, name, program);
    out.finish()
}

/// Reads a kernel, after the keyword.
pub(super) fn parse_kernel(cursor: &mut Cursor<'_>) -> Result<(String, TensorProgram), Diagnostic> {
    Err(cursor.error("T120", "kernels are not read here"))
}
