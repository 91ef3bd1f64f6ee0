//! `orogen operators`

use crate::args::OperatorsArgs;
use crate::failure::Failure;
use crate::output::say;
use std::process::ExitCode;

pub(crate) fn run(args: &OperatorsArgs) -> Result<ExitCode, Failure> {
    say!("{}", args.plugins.compiler()?.operators_page().trim_end());
    Ok(ExitCode::SUCCESS)
}
