//! Models drawn without end on every executor: `cargo xtask generated` until it is stopped, `--seeds A..B` for some of them.
#![allow(clippy::print_stdout, reason = "a command line tool prints")]

mod tool;

use anyhow::{Result, bail, ensure};
use clap::Parser;
use orogen_generated::Column;
use std::path::PathBuf;

/// Draws valid ONNX models of nearly all operators, and compares what every executor computes of them with the reference interpreter.
/// What fails is made small and written to a folder; a model that crashes or does not end is one that fails.
#[derive(Debug, Parser)]
struct Cli {
    /// The first seed, and where to end: `A..B`, or `A..` for no end.
    #[arg(long, default_value = "2000..", value_parser = seeds)]
    seeds: (u64, u64),
    /// So many executors for each model, chosen by its seed, where sizes are fixed with one setting of them; all without it.
    #[arg(long)]
    some: Option<usize>,
    /// Executors that make code take one in so many of the models, those that interpret the others: more models in the same time.
    #[arg(long, requires = "some", value_name = "EVERY")]
    code: Option<u64>,
    /// These executors only; `--list` says which there are.
    #[arg(long)]
    executor: Vec<String>,
    /// A Python that has `onnxruntime`, which then is an executor too: what it refuses is not compared.
    #[arg(long)]
    python: Option<PathBuf>,
    /// Print the executors.
    #[arg(long)]
    list: bool,
    /// Begin no model after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// So many processes at once.
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// Where models that fail are written.
    #[arg(long, default_value = "target/generated")]
    out: PathBuf,
    /// Print every model.
    #[arg(long)]
    print: bool,
    /// Run models in this process, which another one watches.
    #[arg(long, hide = true)]
    watched: bool,
    /// Only this part of a part of each model.
    #[arg(long, hide = true, value_delimiter = ',')]
    part: Vec<usize>,
}

fn seeds(text: &str) -> Result<(u64, u64), String> {
    let (first, end) = text.split_once("..").ok_or("this is no `A..B`")?;
    let number = |it: &str| it.parse::<u64>().map_err(|error| format!("`{it}`: {error}"));
    let end = if end.is_empty() { u64::MAX } else { number(end)? };
    Ok((number(first)?, end))
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let mut columns = Column::all();
    columns.extend(cli.python.is_some().then(Column::peer));
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
    if cli.watched {
        return tool::work::work(&cli, &columns);
    }
    let tally = tool::watch::watch(&cli, &columns)?;
    print!("{tally}\n{}", tally.table());
    if let Some(runs) = tally.runs.get(&Column::peer().to_string()) {
        ensure!(runs.made > 0, "{} refuses all {} models: nothing is compared", Column::peer(), runs.refused);
    }
    match tally.failed() {
        0 => Ok(()),
        failed => bail!("{failed} fail"),
    }
}
