//! From a model to code: an object, a library, or memory.

use crate::files::cannot_write;
use crate::load;
use crate::metadata;
use crate::{CompileOptions, Compiler, LowerReport, Lowered, Model};
use orogen_codegen::link::{ElfLinker, LinkError, LinkInput, Linker, SystemLinker};
use orogen_codegen::{CodegenOptions, Compiled, KernelInfo, LibraryCode, View};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::kernel::{Kernel, print_kernel_text};
use orogen_passes::manager::Step;
use orogen_runtime::{Dim, Library, Parameter, Tensor};
use std::path::Path;
use std::str::FromStr;
use std::time::Instant;

/// Kernels that an error lists.
const LISTED: usize = 20;

/// How a kernel is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelView {
    /// What it computes: loops.
    Loops,
    /// The vector programs that it calls.
    Vector,
    /// Its functions in Cranelift's IR.
    Clif,
    /// Machine code.
    Asm,
}

impl KernelView {
    /// All views, from what is computed to how.
    pub const ALL: [(&'static str, KernelView); 4] = [
        ("loops", KernelView::Loops),
        ("vector", KernelView::Vector),
        ("clif", KernelView::Clif),
        ("asm", KernelView::Asm),
    ];
}

impl FromStr for KernelView {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|it| it.0 == text).map(|it| it.1).ok_or(())
    }
}

/// A compiled model.
#[derive(Debug)]
pub struct Artifact {
    name: String,
    compiled: Compiled,
    /// What each kernel computes.
    computed: Vec<Kernel>,
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
    if options.verify {
        compiler.added.check(compiler)?;
    }
    let (lowered, mut report) = compiler.lower(model, options, Step::PlanMemory)?;
    let Lowered::Plan(plans) = lowered else {
        return Err(Diagnostic::error("D001", "lowering ended before the call plan").into());
    };
    let (cpu, threads) = (options.cpu, options.threads);
    let separate = options.separate.then_some(orogen_codegen::OUTSIDE);
    let choices = std::mem::take(&mut report.choices);
    let codegen = CodegenOptions { cpu, threads, separate, choices, ..compiler.codegen.clone() };
    let metadata = metadata::metadata(model, options, &report, &plans, codegen.instructions()?);
    let workspace = metadata::workspace(&plans).filter(|it| it != "0").collect::<Vec<_>>();
    let start = Instant::now();
    let compiled = orogen_codegen::compile(&plans, &metadata, &codegen)?;
    report.took("kernels and entry points", start);
    report.choices = compiled.choices().clone();
    if let Some(last) = report.choices.taken().last() {
        let count = report.choices.taken().len();
        let message = format!("{count} choices are not the usual ones; the last: {last}");
        report.remarks.push(Diagnostic::remark("D041", message));
    }
    Ok(Artifact {
        name: model.name.clone(),
        compiled,
        computed: plans.kernels().to_vec(),
        report,
        workspace: if workspace.is_empty() { "0".to_string() } else { workspace.join(" + ") },
    })
}

impl Artifact {
    /// How each kernel is computed.
    pub fn kernels(&self) -> &[KernelInfo] {
        self.compiled.kernels()
    }

    /// One kernel as text. `name` is its symbol, or the name of its program, or a part of the symbol that no other has.
    ///
    /// # Errors
    /// `D034`: no kernel, or several. Views that the target has not.
    pub fn listing(&self, name: &str, view: KernelView) -> Result<String, Diagnostics> {
        let kernel = self.kernel(name)?;
        let view = match view {
            KernelView::Loops => return Ok(print_kernel_text(&self.computed[kernel])),
            KernelView::Vector => View::Vector,
            KernelView::Clif => View::Clif,
            KernelView::Asm => View::Asm,
        };
        self.compiled.listing(kernel, view)
    }

    fn kernel(&self, name: &str) -> Result<usize, Diagnostic> {
        let by = |fits: &dyn Fn(&KernelInfo) -> bool| -> Vec<usize> {
            let all = self.kernels().iter().enumerate();
            all.filter(|it| fits(it.1)).map(|it| it.0).collect()
        };
        // `kernel3` of `orogen.kernel3.relu`.
        let number = |it: &KernelInfo| it.symbol.split('.').nth(1) == Some(name);
        let exact = [by(&|it| it.symbol == name), by(&|it| it.name == name), by(&number)];
        let found = exact.into_iter().find(|it| !it.is_empty());
        let found = found.unwrap_or_else(|| by(&|it| it.symbol.contains(name)));
        if let [only] = found[..] {
            return Ok(only);
        }
        let listed = if found.is_empty() { (0..self.kernels().len()).collect() } else { found.clone() };
        let symbols: Vec<&str> =
            listed.iter().take(LISTED).map(|it| self.kernels()[*it].symbol.as_str()).collect();
        let more = if listed.len() > LISTED { ", …" } else { "" };
        let message = match found.len() {
            0 => format!("there is no kernel `{name}`"),
            n => format!("there are {n} kernels `{name}`"),
        };
        Err(Diagnostic::error("D034", message).help(format!("choose one of: {}{more}", symbols.join(", "))))
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

fn link_error(error: &LinkError, path: &Path) -> Diagnostic {
    cannot_write(path, &error.to_string())
}
