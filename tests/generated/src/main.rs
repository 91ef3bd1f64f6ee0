//! Models drawn without end on every executor: `cargo xtask generated` until it is stopped, `--seeds A..B` for some of them.
#![allow(clippy::print_stdout, reason = "a command line tool prints")]

use anyhow::{Result, anyhow, bail, ensure};
use clap::Parser;
use orogen_generated::{Column, Drawn, Finding, Setup, draw, reduce, run, text_of, write};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Models between two lines of progress.
const PROGRESS: u64 = 500;

/// Draws valid ONNX models of nearly all operators, and compares what every executor computes of them with the reference interpreter.
/// What fails is made small and written to a folder.
#[derive(Debug, Parser)]
struct Cli {
    /// The first seed, and where to end: `A..B`, or `A..` for no end.
    #[arg(long, default_value = "2000..", value_parser = seeds)]
    seeds: (u64, u64),
    /// So many executors for each model, chosen by its seed, where sizes are fixed with one setting of them; all without it.
    #[arg(long)]
    some: Option<usize>,
    /// These executors only; `--list` says which there are.
    #[arg(long)]
    executor: Vec<String>,
    /// Print the executors.
    #[arg(long)]
    list: bool,
    /// Stop after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// Where models that fail are written.
    #[arg(long, default_value = "target/generated")]
    out: PathBuf,
    /// Print every model.
    #[arg(long)]
    print: bool,
}

fn seeds(text: &str) -> Result<(u64, u64), String> {
    let (first, end) = text.split_once("..").ok_or("this is no `A..B`")?;
    let number = |it: &str| it.parse::<u64>().map_err(|error| format!("`{it}`: {error}"));
    let end = if end.is_empty() { u64::MAX } else { number(end)? };
    Ok((number(first)?, end))
}

/// What was done.
#[derive(Default)]
struct Tally {
    models: u64,
    runs: u64,
    refused: u64,
    failed: u64,
    drawing: Duration,
    times: BTreeMap<String, Duration>,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let mut columns = Column::all();
    if cli.list {
        columns.iter().for_each(|it| println!("{it}"));
        return Ok(());
    }
    if !cli.executor.is_empty() {
        for name in &cli.executor {
            ensure!(columns.iter().any(|it| it.to_string() == *name), "there is no executor `{name}`");
        }
        columns.retain(|it| cli.executor.contains(&it.to_string()));
    }
    // A panic is a finding, which says what it was.
    std::panic::set_hook(Box::new(|_| {}));
    let setup = Setup::default();
    let start = Instant::now();
    let mut tally = Tally::default();
    for seed in cli.seeds.0..cli.seeds.1 {
        let begin = Instant::now();
        let drawn = catch_unwind(AssertUnwindSafe(|| draw(&setup, seed)));
        let drawn = drawn.map_err(|it| anyhow!("seed {seed}: drawing panics: {}", text_of(&*it)))?;
        tally.drawing += begin.elapsed();
        if cli.print {
            println!("seed {seed}\n{drawn}");
        }
        let chosen = match cli.some {
            Some(n) => Column::some(&columns, seed, n),
            None => columns.clone(),
        };
        tally.models += u64::from(!drawn.settings.is_empty());
        for column in chosen.into_iter().filter(|_| !drawn.settings.is_empty()) {
            one(&cli, &setup, &drawn, column, &mut tally)?;
        }
        if (seed - cli.seeds.0 + 1).is_multiple_of(PROGRESS) {
            println!("{}", tally.line(start));
        }
        if cli.seconds.is_some_and(|it| start.elapsed().as_secs() >= it) {
            break;
        }
    }
    println!("{}", tally.line(start));
    for (name, time) in &tally.times {
        println!("  {name}: {:.2} ms", time.as_secs_f64() * 1e3 / tally.models.max(1) as f64);
    }
    match tally.failed {
        0 => Ok(()),
        failed => bail!("{failed} runs fail"),
    }
}

fn one(cli: &Cli, setup: &Setup, drawn: &Drawn, column: Column, tally: &mut Tally) -> Result<()> {
    let settings: Vec<usize> = match cli.some {
        Some(_) => drawn.some_settings(column),
        None => (0..drawn.settings.len()).collect(),
    };
    let begin = Instant::now();
    let result = run(setup, drawn, column, &settings);
    *tally.times.entry(column.to_string()).or_default() += begin.elapsed();
    match result {
        Ok(0) => tally.refused += 1,
        Ok(_) => tally.runs += 1,
        Err(found) => {
            tally.failed += 1;
            report(cli, setup, drawn, &found)?;
        }
    }
    Ok(())
}

fn report(cli: &Cli, setup: &Setup, drawn: &Drawn, found: &Finding) -> Result<()> {
    let (small, found) = reduce(setup, drawn, found);
    let folder = write(&cli.out, &small, drawn, &found)?;
    println!("seed {}: {found}\n{small}  written to {}", drawn.seed, folder.display());
    Ok(())
}

impl Tally {
    fn line(&self, start: Instant) -> String {
        let seconds = start.elapsed().as_secs_f64();
        format!(
            "{} models, {} runs, {} the legacy graph cannot hold, {} failed; {:.1} models/s, drawing {:.1} ms each",
            self.models,
            self.runs,
            self.refused,
            self.failed,
            self.models as f64 / seconds,
            self.drawing.as_secs_f64() * 1e3 / self.models.max(1) as f64
        )
    }
}
