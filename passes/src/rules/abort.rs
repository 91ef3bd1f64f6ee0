//! What the error of a kernel that aborts names.

use orogen_ir::kernel::Kernel;
use orogen_ir::loops::TensorProgram;
use orogen_ir::types::Effects;

/// The source of a call of `kernel` that its error names; nothing where it cannot fail.
pub fn source_of(kernel: &Kernel, source: &str) -> String {
    if kernel.effects().contains(Effects::ABORT) { source.to_owned() } else { String::new() }
}

/// The source of a call into which its producer was merged: both, when the producer may abort.
pub fn merged_source(producer_aborts: bool, producer_source: &str, source: &str) -> String {
    match (producer_aborts, producer_source.is_empty(), source.is_empty()) {
        (false, ..) | (_, true, _) => source.to_owned(),
        (_, _, true) => producer_source.to_owned(),
        _ => format!("{producer_source}, {source}"),
    }
}

/// Whether a run of the program may abort.
pub(crate) fn aborts(program: &TensorProgram) -> bool {
    program.effects().contains(Effects::ABORT)
}
