//! Targets that lists of passes name: `+quantize-rows@avx512vnni` counts where code has these instructions.

use crate::Cpu;
use orogen_codegen::CodegenOptions;
use orogen_ir::diag::Diagnostic;
use orogen_passes::manager::PassList;

/// All of them, each with less than those after it.
const TARGETS: [Cpu; 4] = [Cpu::Baseline, Cpu::Avx2, Cpu::Avx512, Cpu::Avx512Vnni];

/// Refuses a list with a target that is none.
///
/// # Errors
/// `N029`.
pub(crate) fn check(list: &PassList) -> Result<(), Diagnostic> {
    match list.targets().find(|it| named(it).is_none()) {
        None => Ok(()),
        Some(name) => Err(Diagnostic::error("N029", format!("there is no target `{name}`"))
            .help("choose baseline, avx2, avx512 or avx512vnni")),
    }
}

fn named(name: &str) -> Option<Cpu> {
    name.parse().ok().filter(|it| TARGETS.contains(it))
}

/// What counts of a list where such code is made.
pub(crate) fn list_for(list: &PassList, codegen: &CodegenOptions) -> PassList {
    if list.targets().next().is_none() {
        return list.clone();
    }
    // What code cannot be made for is an error of code generation.
    let instructions = codegen.instructions().unwrap_or_default();
    let has = |name: &str| instructions.iter().any(|it| it == name);
    list.for_target(|it| match named(it) {
        Some(Cpu::Baseline) => true,
        Some(Cpu::Avx2) => has("avx2"),
        Some(Cpu::Avx512) => has("avx512f") && has("avx512bw"),
        Some(Cpu::Avx512Vnni) => has("avx512vnni"),
        Some(Cpu::Host) | None => false,
    })
}

/// What counts of a list for each of them, whatever the machine.
pub(crate) fn lists(list: &PassList) -> impl Iterator<Item = PassList> {
    let up_to =
        |count: usize| list.for_target(|it| named(it).is_some_and(|it| TARGETS[..count].contains(&it)));
    (1..=TARGETS.len()).map(up_to)
}
