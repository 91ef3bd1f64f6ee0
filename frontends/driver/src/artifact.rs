//! From a model to code: an object, a library, or memory.

use crate::frontend::CANNOT_READ;
use crate::load;
use crate::metadata;
use crate::{CompileOptions, Compiler, LowerReport, Lowered, Model};
use orogen_codegen::link::{ElfLinker, LinkError, LinkInput, Linker, SystemLinker};
use orogen_codegen::{CodegenOptions, Compiled, KernelInfo, LibraryCode};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_passes::manager::Step;
use orogen_runtime::{Dim, Library, Parameter, Tensor};
use std::path::Path;

/// A compiled model.
#[derive(Debug)]
pub struct Artifact {
    name: String,
    compiled: Compiled,
    /// What lowering did.
    pub report: LowerReport,
    /// Peak memory of one call beside inputs, outputs and weights, as a formula in bytes.
    pub workspace: String,
}

/// Compiles a model with what ships: [`Compiler::standard`].
///
/// # Errors
/// See [`Compiler::compile`].
pub fn compile_standard(model: &Model, options: &CompileOptions) -> Result<Artifact, Diagnostics> {
    Compiler::standard().compile(model, options)
}

/// See [`Compiler::compile`].
pub(crate) fn compile(
    compiler: &Compiler,
    model: &Model,
    options: &CompileOptions,
) -> Result<Artifact, Diagnostics> {
    let (lowered, report) = compiler.lower(model, options, Step::PlanMemory)?;
    let Lowered::Plan(plans) = lowered else {
        return Err(Diagnostic::error("D001", "lowering ended before the call plan").into());
    };
    let (cpu, threads) = (options.cpu, options.threads);
    let separate = options.separate.then_some(orogen_codegen::OUTSIDE);
    let codegen = CodegenOptions { cpu, threads, separate, ..compiler.codegen.clone() };
    let metadata = metadata::metadata(model, options, &report, &plans, codegen.instructions()?);
    let workspace = metadata::workspace(&plans).filter(|it| it != "0").collect::<Vec<_>>();
    let compiled = orogen_codegen::compile(&plans, &metadata, &codegen)?;
    Ok(Artifact {
        name: model.name.clone(),
        compiled,
        report,
        workspace: if workspace.is_empty() { "0".to_string() } else { workspace.join(" + ") },
    })
}

impl Artifact {
    /// How each kernel is computed.
    pub fn kernels(&self) -> &[KernelInfo] {
        self.compiled.kernels()
    }

    /// How much machine code there is: of each kernel, in the order of [`kernels`](Self::kernels), and of all else.
    ///
    /// # Errors
    /// Code that the target cannot express.
    pub fn code(&self) -> Result<LibraryCode, Diagnostics> {
        self.compiled.code()
    }

    /// What the library does not hold (see [`CompileOptions::separate`]), under the names that it asks for: after
    /// optimisation, and packed where a kernel reads it packed.
    ///
    /// # Errors
    /// Memory that cannot be had.
    pub fn parameters(&self) -> Result<Vec<(String, Tensor)>, Diagnostics> {
        let mut tensors = Vec::new();
        for (outside, bytes) in self.compiled.parameters() {
            let Parameter { name, dtype, dims, .. } = &outside.parameter;
            // They are numbers, for they are those of constants.
            let dims = dims.iter().map(|it| if let Dim::Fixed(it) = it { *it } else { 0 });
            let tensor = Tensor::from_bytes(*dtype, &dims.collect::<Vec<_>>(), bytes);
            let tensor = tensor.map_err(|error| Diagnostic::error("D003", error.to_string()))?;
            tensors.push((name.clone(), tensor));
        }
        Ok(tensors)
    }

    /// Writes a shared library, with the weights inside unless they are [separate](CompileOptions::separate). The file appears complete or not at all.
    ///
    /// # Errors
    /// Outputs that cannot be written.
    pub fn write_library(&self, path: impl AsRef<Path>) -> Result<(), Diagnostics> {
        let path = path.as_ref();
        let object = self.compiled.object()?;
        let blobs: Vec<_> = object.blobs.iter().map(orogen_codegen::Blob::for_link).collect();
        let soname = path.file_name().map(|it| it.to_string_lossy().into_owned());
        let input = LinkInput {
            object: &object.bytes,
            blobs: &blobs,
            soname: soname.as_deref(),
            ..LinkInput::default()
        };
        let own = cfg!(all(target_arch = "x86_64", target_os = "linux"));
        let linked =
            if own { ElfLinker.link(&input, path) } else { SystemLinker::cc("cc", &[]).link(&input, path) };
        linked.map_err(|error| link_error(&error, path).into())
    }

    /// Makes the code callable in this process.
    ///
    /// # Errors
    /// Memory that cannot be had.
    pub fn load(&self) -> Result<Library, Diagnostics> {
        let library = load::load(&self.name, &self.compiled)?;
        if !self.compiled.parameters().is_empty() {
            let given = library.set_parameters(&self.parameters()?);
            given.map_err(|error| Diagnostic::error("D003", error.to_string()))?;
        }
        Ok(library)
    }
}

/// Code of the diagnostic for an output that cannot be written.
const CANNOT_WRITE: &str = "D002";

/// Whether a diagnostic is about a file that cannot be read or written, rather than about what is in it.
pub fn concerns_file(diagnostic: &Diagnostic) -> bool {
    [CANNOT_WRITE, CANNOT_READ, orogen_onnx::CANNOT_READ].contains(&diagnostic.code)
}

fn link_error(error: &LinkError, path: &Path) -> Diagnostic {
    Diagnostic::error(CANNOT_WRITE, error.to_string()).at(format!("output `{}`", path.display()))
}
