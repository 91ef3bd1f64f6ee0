//! What a command works on: a model file or a compiled library.

use crate::args::ModelArgs;
use crate::config;
use crate::failure::{Failure, print_diagnostic};
use crate::progress::spin;
use orogen::Model;
use orogen_runtime::Library;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

/// A callable model and what it took to get it.
pub(crate) struct Subject {
    pub(crate) library: Library,
    /// Compiling, for a model file.
    pub(crate) compile: Option<Duration>,
    /// Loading the library or the code.
    pub(crate) load: Duration,
}

/// Whether a file is a native library and not a model.
pub(crate) fn is_library(path: &Path) -> Result<bool, Failure> {
    let mut head = [0; 4];
    let mut file = std::fs::File::open(path).map_err(|error| Failure::file(path, "open", error))?;
    let read = file.read(&mut head).map_err(|error| Failure::file(path, "read", error))?;
    let magics: [&[u8]; 3] = [b"\x7fELF", &[0xcf, 0xfa, 0xed, 0xfe], b"MZ"];
    Ok(magics.iter().any(|magic| head[..read].starts_with(magic)))
}

/// Loads a library, or compiles a model in memory.
pub(crate) fn open(path: &Path, args: &ModelArgs) -> Result<Subject, Failure> {
    if is_library(path)? {
        let start = Instant::now();
        let library = Library::open(path).map_err(Failure::Load)?;
        library.set_threads(args.threads.max(1));
        return Ok(Subject { library, compile: None, load: start.elapsed() });
    }
    let options = args.options(config::opt_in(path)?);
    let start = Instant::now();
    let artifact = spin(format!("compiling {}", path.display()), || {
        let model = Model::open(path)?;
        orogen::compile(&model, &options)
    })?;
    artifact.report.remarks.iter().for_each(print_diagnostic);
    let compile = start.elapsed();
    let start = Instant::now();
    let library = artifact.load()?;
    library.set_threads(args.threads.max(1));
    Ok(Subject { library, compile: Some(compile), load: start.elapsed() })
}
