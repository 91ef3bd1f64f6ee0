//! The kernels of a compiled model: what they come from, how they are computed, how large they are.

use crate::output::{plain, say};
use orogen::{Artifact, Diagnostics, PhaseInfo};

pub(crate) fn list(artifact: &Artifact) -> Result<(), Diagnostics> {
    let code = artifact.code()?;
    for (kernel, code) in artifact.kernels().iter().zip(&code.kernels) {
        let routines = match code.routines {
            0 => String::new(),
            bytes => format!(" and {bytes} of routines"),
        };
        say!("{}: {} bytes of code{routines}", plain(&kernel.symbol), code.own);
        if !kernel.sources.is_empty() {
            say!("  from {}", plain(&kernel.sources.join(", ")));
        }
        let phase = |it: &PhaseInfo| format!("over {}, scratch {} bytes", it.extent, it.scratch);
        let phases: Vec<String> = kernel.phases.iter().map(phase).collect();
        if !phases.is_empty() {
            let shared = match &kernel.shared[..] {
                "0" => String::new(),
                bytes => format!("; {bytes} bytes between them"),
            };
            say!("  parallel {}{}", plain(&phases.join(", then ")), plain(&shared));
        }
        kernel.strategy.iter().for_each(|line| say!("  {}", plain(line)));
    }
    let own: u64 = code.kernels.iter().map(|it| it.own).sum();
    say!(
        "code: {} bytes, {own} of kernels, {} of the routines that they call, {} of all else",
        own + code.routines + code.rest,
        code.routines,
        code.rest
    );
    Ok(())
}
