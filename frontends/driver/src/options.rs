//! What a user chooses for one compilation.

use orogen_codegen::Cpu;
use orogen_ir::ops::Limits;
pub use orogen_passes::manager::Accuracy;
use orogen_passes::manager::Step;
pub use orogen_passes::rules::state::State;

/// The function that a model becomes.
pub(crate) const MAIN: &str = "main";

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

/// Where an opted-in model enters the dataflow IR.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Entry {
    /// Where the ledger says: at the waterline, or at the top where the legacy graph cannot hold the model above it.
    #[default]
    Ledger,
    /// Above this step, which the ledger must admit. The steps above it run on the legacy graph; above
    /// [`Step::Import`] there are none.
    Above(Step),
}

/// Options of a compilation.
#[derive(Clone, Debug, Default)]
pub struct CompileOptions {
    /// Which path the model takes.
    pub opt_in: OptIn,
    /// Sizes for dynamic dimensions by name.
    pub dims: Vec<(String, u64)>,
    /// Inputs to which the file gives a value, by name, that a caller may override whatever that costs. Of the others, those
    /// may be overridden that the format means to be, that no part of the model is built on, and that are not large.
    pub overridden: Vec<String>,
    /// Values inside of the model that come out beside its outputs, by the names that the file gives them or their nodes, in
    /// the order of the file. What has no such name, and what is no tensor, stays inside.
    pub values: Vec<String>,
    /// Whether constants of a kilobyte and more stay outside of the library: [`Artifact::parameters`](crate::Artifact::parameters)
    /// has them, and a library gets them when it is loaded ([`Library::set_parameters`](crate::Library::set_parameters)).
    pub separate: bool,
    /// Threads that one call may use; 0 leaves the choice to the host that runs it.
    pub threads: usize,
    /// Instructions that the code may use.
    pub cpu: Cpu,
    /// Where an opted-in model enters the dataflow IR; means nothing on the legacy path.
    pub entry: Entry,
    /// Which rewrites of arithmetic are admitted.
    pub accuracy: Accuracy,
    /// Inputs that a call updates in the caller's memory, each with the output that is its new value.
    pub states: Vec<State>,
    /// Verify the IR after import, after every pass and after translation. The call plan and its kernels are verified
    /// always.
    pub verify: bool,
    /// What may be spent on computing constants and on building nodes again: functions, unrolled loops, tried branches.
    /// Constants that do not fit are left to run time with a remark; nodes that do not fit are an error.
    pub budget: Limits,
}
