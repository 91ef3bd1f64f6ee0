//! The command line tool `orogen`.

mod args;
mod commands;
mod compare;
mod config;
mod failure;
mod files;
mod inputs;
mod interpret;
mod kernels;
mod npz;
mod objects;
mod output;
mod parity;
mod parse;
mod progress;
mod subject;
mod values;

use args::{Cli, Command};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Adoption(args) => commands::adoption::run(args),
        Command::Compile(args) => commands::compile::run(args),
        Command::Run(args) => commands::run::run(args),
        Command::Bench(args) => commands::bench::run(args),
        Command::Print(args) => commands::print::run(args),
        Command::Rules(args) => commands::rules::run(args),
        Command::Passes(args) => commands::passes::run(args),
        Command::Operators(args) => commands::operators::run(args),
        Command::Opt(args) => commands::opt::run(args),
        Command::Diff(args) => commands::diff::run(args),
        Command::Bisect(args) => commands::find::bisect(args),
        Command::Reduce(args) => commands::find::reduce(args),
        Command::Inspect(args) => commands::inspect::run(args),
    };
    match result {
        Ok(code) => code,
        Err(failure) => {
            failure.print();
            failure.exit_code()
        }
    }
}
