//! What code generation makes of a plan, before it takes the form of a file or of memory.

use cranelift_codegen::isa::OwnedTargetIsa;
use indexmap::{IndexMap, IndexSet};
use orogen_abi::signature::Outside;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::Bytes;

use crate::clif::unit::Unit;
use crate::link;
use crate::options::CodegenOptions;
use crate::select::routine::Routines;

/// What the library carries besides code.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// JSON for tools; the runtime hands it on as it is.
    pub json: String,
}

/// What was decided about a kernel.
#[derive(Clone, Debug)]
pub struct KernelInfo {
    /// Its symbol, with which those of its phases begin.
    pub symbol: String,
    /// The name of its program.
    pub name: String,
    /// Where its calls come from: source constructs such as nodes of the model, in order; `…` when there are more.
    pub sources: Vec<String>,
    /// What was chosen, a line for each part.
    pub strategy: Vec<String>,
    /// Its functions, in the order in which they run; none for a function of the host.
    pub phases: Vec<PhaseInfo>,
    /// Bytes of memory that the phases share, as text over the size parameters.
    pub shared: String,
}

/// A function of a kernel. All threads are done with it before the next one begins.
#[derive(Clone, Debug)]
pub struct PhaseInfo {
    /// Its symbol.
    pub symbol: String,
    /// Bytes of scratch memory of a thread, as text over the size parameters of the kernel.
    pub scratch: String,
    /// Iterations that may run in parallel, as text over the size parameters of the kernel.
    pub extent: String,
}

/// How much machine code a kernel is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelCode {
    /// Bytes of its own functions; none for a function of the host.
    pub own: u64,
    /// Bytes of the routines that it calls, which other kernels may call as well.
    pub routines: u64,
}

/// How much machine code a library is: each function counts once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LibraryCode {
    /// Each kernel, in the order of the plan.
    pub kernels: Vec<KernelCode>,
    /// Bytes of all routines that kernels call.
    pub routines: u64,
    /// Bytes of all else: entry points, checks, errors.
    pub rest: u64,
}

/// A compiled plan, before it takes the form of a file or of memory.
#[derive(Debug)]
pub struct Compiled {
    pub(crate) options: CodegenOptions,
    pub(crate) units: Vec<Unit>,
    pub(crate) routines: Routines,
    pub(crate) blobs: Vec<Blob>,
    pub(crate) signature: String,
    pub(crate) meta: String,
    /// Separated by spaces.
    pub(crate) instructions: String,
    pub(crate) entry: String,
    /// Constants that the library does not hold, in the order of its table.
    pub(crate) outside: Vec<(Outside, Bytes)>,
    /// Slots for functions of the host.
    pub(crate) slots: IndexSet<String>,
    pub(crate) kernels: Vec<KernelInfo>,
}

/// A constant that the code refers to by symbol.
#[derive(Clone, Debug)]
pub struct Blob {
    /// The symbol; it is not exported.
    pub symbol: String,
    /// The content.
    pub bytes: Bytes,
    /// Alignment in bytes, a power of two.
    pub alignment: u64,
}

impl Blob {
    /// The form that the linker takes.
    pub fn for_link(&self) -> link::Blob<'_> {
        link::Blob { symbol: &self.symbol, bytes: &self.bytes, alignment: self.alignment }
    }
}

impl Compiled {
    /// The choices that were made.
    pub fn choices(&self) -> &orogen_ir::choices::Choices {
        &self.options.choices
    }

    /// What was decided about each kernel, in the order of the plan.
    pub fn kernels(&self) -> &[KernelInfo] {
        &self.kernels
    }

    /// The data that the library does not hold, as the code reads it: packed where a kernel wants it packed.
    pub fn parameters(&self) -> &[(Outside, Bytes)] {
        &self.outside
    }

    pub(crate) fn isa(&self, position_independent: bool) -> Result<OwnedTargetIsa, Diagnostic> {
        self.options.isa(position_independent)
    }
}

/// Symbols of a library that have a fixed content.
pub(crate) fn library_data(compiled: &Compiled) -> IndexMap<&'static str, Vec<u8>> {
    let text = |text: &str| {
        let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(text.as_bytes());
        bytes
    };
    IndexMap::from([
        (orogen_abi::symbol::VERSION, orogen_abi::symbol::LIBRARY_VERSION.to_le_bytes().to_vec()),
        (orogen_abi::symbol::SIGNATURE, text(&compiled.signature)),
        (orogen_abi::symbol::META, text(&compiled.meta)),
        (orogen_abi::symbol::INSTRUCTIONS, text(&compiled.instructions)),
    ])
}
