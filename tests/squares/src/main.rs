//! Checks every square on one seed after the other, without end: `cargo run --release -p orogen-squares`.
#![allow(clippy::print_stdout, reason = "a command line tool prints")]

use anyhow::{Result, bail};
use clap::Parser;
use orogen_squares::{Harness, Subject, check};

/// Programs between two lines of progress.
const PROGRESS: u64 = 1000;

/// Checks that every step of the dataflow IR agrees with its legacy form, on generated programs.
#[derive(Debug, Parser)]
struct Cli {
    /// The first seed.
    #[arg(long, default_value_t = 1000)]
    from: u64,
    /// How many seeds; without it there is no end.
    #[arg(long)]
    count: Option<u64>,
}

fn main() -> Result<()> {
    let Cli { from, count } = Cli::parse();
    let harness = Harness::default();
    let mut failed = 0;
    let seeds = (from..).take(count.map_or(usize::MAX, |it| usize::try_from(it).unwrap_or(usize::MAX)));
    for seed in seeds {
        let subject = Subject::generated(&harness.compiler, seed)?;
        for found in check(&harness, &subject).err().unwrap_or_default() {
            failed += 1;
            println!("square `{}`, seed {seed}: {}", found.square, found.what);
        }
        if (seed - from + 1).is_multiple_of(PROGRESS) {
            println!("{} programs, {failed} squares do not commute", seed - from + 1);
        }
    }
    match failed {
        0 => Ok(()),
        failed => bail!("{failed} squares do not commute"),
    }
}
