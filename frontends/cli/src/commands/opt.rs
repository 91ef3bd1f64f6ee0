//! `orogen opt`

use crate::args::OptArgs;
use crate::commands::print::write_or_say;
use crate::failure::{Failure, print_diagnostic};
use std::process::ExitCode;

pub(crate) fn run(args: &OptArgs) -> Result<ExitCode, Failure> {
    let settled = args.options.settled_for_named_passes(&args.model)?;
    let options = settled.options()?;
    settled.with_named_passes(|compiler, passes| {
        let model = compiler.open(&args.model)?;
        let (lowered, report) = compiler.run_passes(&model, &options, &[passes])?;
        report.remarks.iter().for_each(print_diagnostic);
        write_or_say(&lowered, compiler, args.output.as_deref())
    })?;
    Ok(ExitCode::SUCCESS)
}
