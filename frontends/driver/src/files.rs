//! Files that cannot be read or written, and files that are written whole or not at all.

use crate::OutputFile;
use orogen_ir::diag::Diagnostic;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Code of the diagnostic for a file that cannot be read.
pub(crate) const CANNOT_READ: &str = "D004";

/// Code of the diagnostic for an output that cannot be written.
const CANNOT_WRITE: &str = "D002";

/// Whether a diagnostic is about a file that cannot be read or written, rather than about what is in it.
pub fn concerns_file(diagnostic: &Diagnostic) -> bool {
    [CANNOT_WRITE, CANNOT_READ, orogen_onnx::CANNOT_READ].contains(&diagnostic.code)
}

/// An output that cannot be written.
pub(crate) fn cannot_write(path: &Path, error: &str) -> Diagnostic {
    Diagnostic::error(CANNOT_WRITE, error).at(format!("output `{}`", path.display()))
}

/// Writes a file that appears complete or not at all.
pub(crate) fn write_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), Diagnostic> {
    let fail = |error: String| cannot_write(path, &error);
    let file = OutputFile::create(path, false).map_err(|it| fail(it.to_string()))?;
    let mut out = BufWriter::new(file.file());
    write(&mut out).and_then(|()| out.flush()).map_err(|it| fail(it.to_string()))?;
    drop(out);
    file.commit().map_err(|it| fail(it.to_string()))
}
