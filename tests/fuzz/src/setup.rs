//! What all inputs of a process share: the compiler, the corpus, and a library to call.

use anyhow::{Context, Result};
use orogen::{CompileOptions, Compiler, Library};
use std::path::{Path, PathBuf};

/// See the module documentation.
pub(crate) struct Setup {
    pub(crate) compiler: Compiler,
    /// Small models that are kept, each of which once showed something or holds a family of operators.
    pub(crate) models: Vec<Vec<u8>>,
    /// A compiled model with inputs of several types.
    pub(crate) library: Library,
    /// The same as a file.
    pub(crate) file: Vec<u8>,
}

impl Setup {
    /// Reads the corpus and compiles the model to call.
    pub(crate) fn new() -> Result<Setup> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
        let entries = std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
        let mut paths: Vec<PathBuf> = entries.map(|it| Ok(it?.path())).collect::<Result<_>>()?;
        paths.retain(|it| it.extension().is_some_and(|it| it == "onnx"));
        paths.sort();
        let models = paths.iter().map(std::fs::read).collect::<std::io::Result<Vec<_>>>()?;
        let compiler = Compiler::standard();
        let model = compiler.open(folder.join("callee.onnx"))?;
        let artifact = compiler.compile(
            &model,
            &CompileOptions { opt_in: orogen::OptIn::DataflowIr, ..CompileOptions::default() },
        )?;
        let scratch = tempfile::tempdir()?;
        let path = scratch.path().join("callee.so");
        artifact.write_library(&path)?;
        Ok(Setup { compiler, models, library: artifact.load()?, file: std::fs::read(&path)? })
    }
}

/// The seed that an input of eight bytes is.
pub(crate) fn seed_of(input: &[u8]) -> u64 {
    input.try_into().map(u64::from_le_bytes).unwrap_or_default()
}
