//! The kernels of a compiled model: what they come from, how they are computed, how large they are.

use crate::output::{plain, say};
use orogen::{Artifact, Diagnostics};

pub(crate) fn list(artifact: &Artifact) -> Result<(), Diagnostics> {
    for (kernel, code) in artifact.kernels().iter().zip(artifact.kernel_code()?) {
        let routines = match code.routines {
            0 => String::new(),
            bytes => format!(" and {bytes} of routines"),
        };
        say!("{}: {} bytes of code{routines}", plain(&kernel.symbol), code.own);
        if !kernel.sources.is_empty() {
            say!("  from {}", plain(&kernel.sources.join(", ")));
        }
        say!("  parallel over {}, scratch {} bytes", plain(&kernel.extent), plain(&kernel.scratch));
        kernel.strategy.iter().for_each(|line| say!("  {}", plain(line)));
    }
    Ok(())
}
