//! What a user chooses for one compilation.

use orogen_codegen::Cpu;
use orogen_passes::manager::Step;

/// Which path a model takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OptIn {
    /// The legacy graph, the default.
    #[default]
    Legacy,
    /// The dataflow-block IR.
    DataflowIr,
}

impl OptIn {
    /// The name of the opt-in on the command line and in `orogen.toml`.
    pub const DATAFLOW_IR: &'static str = "dataflow-ir";

    /// Name in reports and metadata.
    pub const fn name(self) -> &'static str {
        match self {
            OptIn::Legacy => "legacy",
            OptIn::DataflowIr => Self::DATAFLOW_IR,
        }
    }
}

/// Options of a compilation.
#[derive(Clone, Debug, Default)]
pub struct CompileOptions {
    /// Which path the model takes.
    pub opt_in: OptIn,
    /// Sizes for dynamic dimensions by name.
    pub dims: Vec<(String, u64)>,
    /// Threads that one call may use; 0 leaves the choice to the host that runs it.
    pub threads: usize,
    /// Instructions that the code may use.
    pub cpu: Cpu,
    /// For an opted-in model that the legacy IR can hold: import it as a legacy graph, run the steps above this one
    /// there, translate, and run the rest on the dataflow IR. Without it the model enters the dataflow IR at the
    /// top.
    pub waterline: Option<Step>,
    /// Verify the IR after import, after every pass and after translation. The call plan and its kernels are verified
    /// always.
    pub verify: bool,
}
