//! `orogen diff`

use crate::args::DiffArgs;
use crate::failure::Failure;
use crate::output::{plain_lines, say};
use orogen::Step;
use similar::TextDiff;
use std::process::ExitCode;

pub(crate) fn run(args: &DiffArgs) -> Result<ExitCode, Failure> {
    if args.from.max(args.to) == Step::Codegen {
        let message = "code is no text to compare: the last step is `plan-memory`";
        return Err(Failure::Usage(message.to_string()));
    }
    let settled = args.options.settled(&args.model)?;
    let options = settled.options()?;
    let [old, new] = settled.with_compiler(|compiler| {
        let model = compiler.open(&args.model)?;
        let text = |step| {
            let (lowered, _) = compiler.lower(&model, &options, step)?;
            Ok::<_, Failure>(lowered.print_stable(compiler.ops()))
        };
        Ok([text(args.from)?, text(args.to)?])
    })?;
    if old == new {
        say!("no change from {} to {}", args.from, args.to);
        return Ok(ExitCode::SUCCESS);
    }
    let difference = TextDiff::from_lines(&old, &new);
    let mut difference = difference.unified_diff();
    difference.context_radius(args.context).header(args.from.name(), args.to.name());
    say!("{}", plain_lines(difference.to_string().trim_end()));
    Ok(ExitCode::SUCCESS)
}
