//! Hostile input, made without end: `cargo run --release -p orogen-fuzz` until it is stopped, `--seconds N` for a while, `--rounds 1` for
//! the same inputs on every machine.
//!
//! Every input is a function of its target, the corpus and a seed, so a finding is a target and a seed. Inputs run in
//! processes of their own, with a limit on memory; the one that is running is known from outside, so that a crash, an
//! end without reason and a run without end are findings like any other.
//!
//! Laws, each an oracle:
//!
//! * Z1 No input crashes, panics, or takes more than [`MEMORY`](campaign::MEMORY) bytes or
//!   [`PATIENCE`](campaign::PATIENCE).
//! * Z2 What is refused is a diagnostic about the input, never a defect of the compiler.
//! * Z3 Compiled code reads and writes its own memory alone: inputs and constants lie between pages that cannot be
//!   touched.
//! * Z4 Both paths compute the same, and what the reference interpreter computes.
//! * Z5 What a text format prints, it parses, and prints the same.
//! * Z6 A plan that its verifier lets pass reads what was written and stays within its memory, whatever runs it: its
//!   kernels neither read nor write beyond their buffers, and leave no element of an output unwritten.
//!
//! Modules in reading order: `target` (what is fuzzed), `setup`, `compare` (values), `mutate`, `model` (whole models),
//! `programs` (of both IRs), `plans`, `plan_texts`, `text`, `calls`, `libraries`, `guard`, `campaign` (processes).
#![allow(clippy::print_stdout, reason = "a command line tool prints")]

mod calls;
mod campaign;
mod compare;
mod guard;
mod libraries;
mod model;
mod mutate;
mod outcome;
mod plan_texts;
mod plans;
mod programs;
mod setup;
mod target;
mod text;

use anyhow::Result;
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use target::Target;

/// Hostile input for the compiler and for what it makes.
#[derive(Debug, Parser)]
struct Cli {
    /// What is fuzzed; without it everything in turn.
    #[arg(long, value_enum)]
    target: Option<Target>,
    /// Stop after so many seconds; without it never.
    #[arg(long, conflicts_with = "rounds")]
    seconds: Option<u64>,
    /// Stop after so many times the share of inputs that each target has in a minute: the same inputs on every machine.
    #[arg(long)]
    rounds: Option<u64>,
    /// First seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Run one input in this process, and write it to a file.
    #[arg(long, value_name = "FILE", requires = "target")]
    repeat: Option<PathBuf>,
    /// A process that runs inputs: internal.
    #[arg(long, hide = true, requires = "target")]
    worker: Option<PathBuf>,
    /// How many inputs that process runs: internal.
    #[arg(long, hide = true)]
    count: Option<u64>,
}

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Number of findings.
fn run() -> Result<usize> {
    let cli = Cli::parse();
    match (cli.target, cli.worker, cli.repeat) {
        (Some(target), Some(progress), _) => {
            campaign::worker(target, cli.seed, cli.count, &progress).map(|()| 0)
        }
        (Some(target), _, Some(file)) => campaign::repeat(target, cli.seed, &file),
        (target, ..) => {
            let targets = target.map_or_else(|| Target::ALL.to_vec(), |it| vec![it]);
            match cli.rounds {
                Some(rounds) => campaign::rounds(&targets, cli.seed, rounds),
                None => campaign::supervise(&targets, cli.seed, cli.seconds),
            }
        }
    }
}
