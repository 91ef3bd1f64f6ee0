//! `orogen print`

use crate::args::PrintArgs;
use crate::config;
use crate::failure::Failure;
use crate::kernels;
use crate::output::say;
use orogen::Step;
use std::process::ExitCode;

pub(crate) fn run(args: &PrintArgs) -> Result<ExitCode, Failure> {
    let options = args.options.options(config::opt_in(&args.model)?)?;
    let compiler = args.options.plugins.compiler()?;
    let model = compiler.open(&args.model)?;
    if args.stage == Step::Codegen {
        kernels::list(&compiler.compile(&model, &options)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (lowered, _) = compiler.lower(&model, &options, args.stage)?;
    say!("{}", lowered.print(compiler.ops()).trim_end());
    Ok(ExitCode::SUCCESS)
}
