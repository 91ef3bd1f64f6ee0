//! `orogen print`

use crate::args::PrintArgs;
use crate::config;
use crate::failure::Failure;
use crate::output::say;
use orogen::{Model, Step, lower};
use orogen_ir::ops::OpRegistry;
use std::process::ExitCode;

pub(crate) fn run(args: &PrintArgs) -> Result<ExitCode, Failure> {
    let options = args.options.options(config::opt_in(&args.model)?)?;
    let model = Model::open(&args.model)?;
    if args.stage == Step::Codegen {
        for kernel in orogen::compile(&model, &options)?.kernels() {
            say!("{} (parallel over {}, scratch {} bytes)", kernel.name, kernel.extent, kernel.scratch);
            kernel.strategy.iter().for_each(|line| say!("  {line}"));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let ops = OpRegistry::standard();
    let (lowered, _) = lower(&model, &options, &ops, args.stage)?;
    say!("{}", lowered.print(&ops).trim_end());
    Ok(ExitCode::SUCCESS)
}
