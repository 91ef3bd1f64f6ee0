//! What a command works on: a model file or a compiled library.

use crate::args::ModelArgs;
use crate::failure::{Failure, print_diagnostic};
use crate::files;
use crate::inputs::{function, open_dims};
use crate::npz::Archive;
use crate::npz::for_input;
use crate::progress::spin;
use orogen::OptIn;
use orogen::compare::Limits;
use orogen::shadow::Shadow;
use orogen_abi::signature::Function;
use orogen_runtime::Library;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

/// A callable model and what it took to get it.
pub(crate) struct Subject {
    pub(crate) library: Library,
    /// The function to call.
    pub(crate) function: Function,
    /// Compiling, for a model file.
    pub(crate) compile: Option<Duration>,
    /// Loading the library or the code.
    pub(crate) load: Duration,
}

/// Whether a file is a native library and not a model.
pub(crate) fn is_library(path: &Path) -> Result<bool, Failure> {
    let mut head = [0; 4];
    let mut file = files::open(path)?;
    let read = file.read(&mut head).map_err(|error| Failure::file(path, "read", error))?;
    let magics: [&[u8]; 3] = [b"\x7fELF", &[0xcf, 0xfa, 0xed, 0xfe], b"MZ"];
    Ok(magics.iter().any(|magic| head[..read].starts_with(magic)))
}

/// Loads a library, or compiles a model in memory. Inputs from a file leave no sizes open in a library.
pub(crate) fn open(
    path: &Path,
    args: &ModelArgs,
    name: Option<&str>,
    params: Option<&Path>,
    inputs: Option<&Path>,
) -> Result<Subject, Failure> {
    if is_library(path)? {
        args.for_library()?;
        args.plugins.register()?;
        let start = Instant::now();
        let library = Library::open(path).map_err(Failure::Load)?;
        set_parameters(&library, params)?;
        let load = start.elapsed();
        library.set_threads(args.threads());
        let function = function(&library, name)?.clone();
        check_dims(&function, args, inputs)?;
        return Ok(Subject { library, function, compile: None, load });
    }
    if params.is_some() {
        return Err(Failure::Usage(
            "`--params` is for a compiled library; a model has its weights".to_string(),
        ));
    }
    let settled = args.settled(path)?;
    let options = settled.options()?;
    let start = Instant::now();
    let artifact = settled.with_compiler(|compiler| {
        spin(format!("compiling {}", path.display()), || {
            let model = compiler.open(path)?;
            Ok::<_, Failure>(compiler.compile(&model, &options)?)
        })
    })?;
    artifact.report.remarks.iter().for_each(print_diagnostic);
    let compile = start.elapsed();
    let start = Instant::now();
    let library = artifact.load()?;
    let load = start.elapsed();
    library.set_threads(settled.threads());
    let function = function(&library, name)?.clone();
    Ok(Subject { library, function, compile: Some(compile), load })
}

/// Compiles a model in memory on both paths, for calls that are compared.
pub(crate) fn shadow(
    path: &Path,
    args: &ModelArgs,
    name: Option<&str>,
    limits: Limits,
) -> Result<(Shadow, Function, Duration), Failure> {
    if is_library(path)? {
        let message = "`--shadow` compiles a model on both paths, and this is a library".to_string();
        return Err(Failure::Usage(message));
    }
    orogen_ir::flow::available()?;
    // Options of either path are of use, and the legacy one is what counts.
    let both = ModelArgs { opt_in: Some(OptIn::DataflowIr), ..args.clone() };
    let settled = both.settled(path)?;
    let options = settled.options()?;
    let start = Instant::now();
    let shadow = settled.with_compiler(|compiler| {
        spin(format!("compiling {}", path.display()), || {
            let model = compiler.open(path)?;
            Ok::<_, Failure>(compiler.shadow(&model, &options, limits)?)
        })
    })?;
    shadow.artifact.report.remarks.iter().for_each(print_diagnostic);
    let compile = start.elapsed();
    shadow.set_threads(settled.threads());
    let function = function(shadow.library(), name)?.clone();
    Ok((shadow, function, compile))
}

/// Gives a library what it does not hold.
fn set_parameters(library: &Library, file: Option<&Path>) -> Result<(), Failure> {
    let wanted = &library.signature().parameters;
    let Some(path) = file else {
        return match wanted.is_empty() {
            true => Ok(()),
            false => {
                let message = "the library does not hold its weights: give them with `--params FILE.npz`";
                Err(Failure::Usage(message.to_string()))
            }
        };
    };
    if wanted.is_empty() {
        return Err(Failure::Usage(
            "`--params` means nothing here: the library holds its weights".to_string(),
        ));
    }
    let mut archive = Archive::open(path)?;
    let mut found = Vec::new();
    for outside in wanted {
        let name = &outside.parameter.name;
        if archive.keys().contains(name) {
            found.push((name.clone(), for_input(&outside.parameter, archive.read(name)?)));
        }
    }
    library.set_parameters(&found).map_err(|error| Failure::file(path, "use", error))
}

/// Sizes that a user gives for random inputs of a library must be of dimensions that it has.
fn check_dims(function: &Function, args: &ModelArgs, inputs: Option<&Path>) -> Result<(), Failure> {
    let Some((name, _)) = args.dims.first() else { return Ok(()) };
    if inputs.is_some() {
        let message =
            format!("`--dim {name}` means nothing here: the library is compiled, and the inputs have sizes");
        return Err(Failure::Usage(message));
    }
    let names = open_dims(function);
    match args.dims.iter().find(|it| !names.contains(&it.0)) {
        None => Ok(()),
        Some((name, _)) if names.is_empty() => Err(Failure::Usage(format!(
            "the library has no dynamic dimension `{name}`: all its sizes are fixed"
        ))),
        Some((name, _)) => {
            let known = names.join(", ");
            Err(Failure::Usage(format!("the library has no dynamic dimension `{name}`; it has: {known}")))
        }
    }
}
