//! Each file is a test.

use libtest_mimic::{Arguments, Trial};
use orogen::Compiler;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let compiler = Arc::new(Compiler::standard());
    let bless = std::env::var_os("BLESS").is_some();
    let files = orogen_filetests::files(folder).expect("the folder can be read");
    assert!(files.len() > 10, "the files are there");
    let trial = |path: &std::path::PathBuf| {
        let name = path.strip_prefix(folder).unwrap_or(path).display().to_string();
        let (path, compiler) = (path.clone(), compiler.clone());
        Trial::test(name, move || {
            orogen_filetests::run(&compiler, &path, bless).map_err(|it| format!("{it:#}").into())
        })
    };
    libtest_mimic::run(&arguments, files.iter().map(trial).collect()).exit_code()
}
