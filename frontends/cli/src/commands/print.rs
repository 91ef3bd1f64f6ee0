//! `orogen print`

use crate::args::PrintArgs;
use crate::failure::Failure;
use crate::kernels;
use crate::output::{plain_lines, say};
use orogen::{CompileOptions, Compiler, Lowered, Step};
use std::path::Path;
use std::process::ExitCode;

pub(crate) fn run(args: &PrintArgs) -> Result<ExitCode, Failure> {
    let settled = args.options.settled(&args.model)?;
    let options = settled.options()?;
    settled.with_compiler(|compiler| print(args, compiler, &options))?;
    Ok(ExitCode::SUCCESS)
}

fn print(args: &PrintArgs, compiler: &Compiler, options: &CompileOptions) -> Result<(), Failure> {
    let model = compiler.open(&args.model)?;
    if let Some(name) = &args.kernel {
        let artifact = compiler.compile(&model, options)?;
        say!("{}", plain_lines(artifact.listing(name, args.view)?.trim_end()));
        return Ok(());
    }
    if args.stage == Step::Codegen {
        if args.output.is_some() {
            let message =
                "`--stage codegen` is a list of kernels, which is no text to read back: leave `-o` out";
            return Err(Failure::Usage(message.to_string()));
        }
        return Ok(kernels::list(&compiler.compile(&model, options)?, options.threads)?);
    }
    let (lowered, _) = compiler.lower(&model, options, args.stage)?;
    write_or_say(&lowered, compiler, args.output.as_deref())
}

/// Writes a program to a file that any command reads back, or shows its text.
pub(crate) fn write_or_say(lowered: &Lowered, compiler: &Compiler, to: Option<&Path>) -> Result<(), Failure> {
    match to {
        Some(path) => lowered.write_text(compiler.ops(), path).map_err(|it| Failure::Model(it.into())),
        None => {
            say!("{}", lowered.print(compiler.ops()).trim_end());
            Ok(())
        }
    }
}
