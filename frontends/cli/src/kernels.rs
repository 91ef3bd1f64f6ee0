//! The kernels of a compiled model: what they come from, how they are computed, how large they are.

use crate::output::{plain, say};
use orogen::{Artifact, Diagnostics, PhaseInfo};

/// `threads` is what the code is for.
pub(crate) fn list(artifact: &Artifact, threads: usize) -> Result<(), Diagnostics> {
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
        // Code for one thread divides nothing.
        let extent = |it: &PhaseInfo| match threads {
            1 => String::new(),
            _ => format!("parallel over {}, ", it.extent),
        };
        let phase = |it: &PhaseInfo| format!("{}scratch {} bytes", extent(it), it.scratch);
        let phases: Vec<String> = kernel.phases.iter().map(phase).collect();
        if !phases.is_empty() {
            let shared = match &kernel.shared[..] {
                "0" => String::new(),
                bytes => format!("; {bytes} bytes between them"),
            };
            say!("  {}{}", plain(&phases.join(", then ")), plain(&shared));
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
