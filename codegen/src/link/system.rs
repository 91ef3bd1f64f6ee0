//! Linking through a callback: a system compiler, a cross toolchain, a signing service.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use cranelift_object::object::read::{Object as _, ObjectSymbol as _};
use cranelift_object::object::write::{Object, StandardSection, StreamingBuffer, Symbol, SymbolSection};
use cranelift_object::object::{self, SymbolFlags, SymbolKind, SymbolScope};

use super::output::{Staged, create, failure};
use super::{LinkError, LinkInput, Linker};

/// Makes a library from object files: the objects, then the output; the error is shown to the user.
pub type LinkCommand = dyn Fn(&[PathBuf], &Path) -> Result<(), String> + Send + Sync;

/// A [`Linker`] that writes object files and leaves the rest to a callback.
///
/// ```no_run
/// use orogen_codegen::link::SystemLinker;
///
/// // The system's compiler, or a cross toolchain followed by a signature.
/// let plain = SystemLinker::cc("cc", &[]);
/// let signed = SystemLinker::new(|objects, output| {
///     let status = std::process::Command::new("aarch64-linux-gnu-gcc")
///         .arg("-shared").arg("-o").arg(output).args(objects).status().map_err(|it| it.to_string())?;
///     if status.success() { Ok(()) } else { Err(format!("compiler: {status}")) }
/// });
/// ```
pub struct SystemLinker {
    command: Box<LinkCommand>,
}

impl std::fmt::Debug for SystemLinker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SystemLinker")
    }
}

impl SystemLinker {
    /// Links with `command`.
    pub fn new(command: impl Fn(&[PathBuf], &Path) -> Result<(), String> + Send + Sync + 'static) -> Self {
        SystemLinker { command: Box::new(command) }
    }

    /// Links with `compiler -shared` and further arguments.
    pub fn cc(compiler: &str, arguments: &[&str]) -> Self {
        let compiler = compiler.to_owned();
        let arguments: Vec<String> = arguments.iter().map(|&it| it.to_owned()).collect();
        Self::new(move |objects, output| {
            let mut command = Command::new(&compiler);
            command.arg("-shared").arg("-o").arg(output).args(objects).args(&arguments);
            let result = command.output().map_err(|error| format!("`{compiler}` does not start: {error}"))?;
            if result.status.success() {
                return Ok(());
            }
            Err(format!(
                "`{compiler}`: {}\n{}",
                result.status,
                String::from_utf8_lossy(&result.stderr).trim_end()
            ))
        })
    }
}

impl Linker for SystemLinker {
    fn link(&self, input: &LinkInput<'_>, output: &Path) -> Result<(), LinkError> {
        check_imports(input)?;
        let library = Staged::new(output)?;
        let mut objects = Vec::new();
        let mut staged = Vec::new();
        let mut stage = |suffix: &str, write: &mut dyn FnMut(&mut dyn Write) -> std::io::Result<()>| {
            let mut name = output.as_os_str().to_owned();
            name.push(suffix);
            let file = Staged::new(Path::new(&name))?;
            let fail = |error: std::io::Error| failure(file.path(), error);
            let mut out = std::io::BufWriter::new(create(file.path(), 0o666).map_err(fail)?);
            write(&mut out).and_then(|()| out.flush()).map_err(fail)?;
            objects.push(file.path().to_owned());
            staged.push(file);
            Ok::<(), LinkError>(())
        };
        stage(".o", &mut |out| out.write_all(input.object))?;
        if !input.blobs.is_empty() {
            let constants = constants(input)?;
            stage(".constants.o", &mut |out| {
                let mut buffer = StreamingBuffer::new(out);
                constants.emit(&mut buffer).map_err(std::io::Error::other)?;
                buffer.result()
            })?;
        }
        (self.command)(&objects, library.path()).map_err(|reason| LinkError::Tool { reason })?;
        if fs::metadata(library.path()).is_err() {
            return Err(LinkError::Tool { reason: "it reported success but wrote no library".to_owned() });
        }
        library.commit()
    }
}

fn check_imports(input: &LinkInput<'_>) -> Result<(), LinkError> {
    let Some(imports) = input.imports else { return Ok(()) };
    let file = parse(input.object)?;
    let known = |name: &str| {
        name.is_empty() || imports.contains(&name) || input.blobs.iter().any(|blob| blob.symbol == name)
    };
    let undefined = file.symbols().filter(|it| it.is_undefined() && !it.is_weak());
    let names = undefined.filter_map(|it| it.name().ok().map(str::to_owned));
    let symbols: Vec<String> = names.filter(|name| !known(name)).collect();
    if symbols.is_empty() { Ok(()) } else { Err(LinkError::Undefined { symbols }) }
}

fn parse(object: &[u8]) -> Result<object::File<'_>, LinkError> {
    object::File::parse(object).map_err(|error| LinkError::Object { reason: error.to_string() })
}

/// An object file that holds the blobs, for the machine of the main object.
fn constants<'a>(input: &LinkInput<'a>) -> Result<Object<'a>, LinkError> {
    let file = parse(input.object)?;
    let mut constants = Object::new(file.format(), file.architecture(), file.endianness());
    for blob in input.blobs {
        let section = constants.add_subsection(StandardSection::ReadOnlyData, blob.symbol.as_bytes());
        constants.set_section_data(section, blob.bytes, blob.alignment.max(1));
        constants.add_symbol(Symbol {
            name: blob.symbol.as_bytes().to_vec(),
            value: 0,
            size: blob.bytes.len() as u64, // widening
            kind: SymbolKind::Data,
            scope: SymbolScope::Linkage,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        });
    }
    Ok(constants)
}
