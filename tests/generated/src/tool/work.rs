//! A process that runs models, and says so line by line.

use crate::Cli;
use anyhow::{Context, Result};
use orogen_generated::{Column, Drawn, Setup, draw, reduce, run, text_of, write};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Seconds of a processor that drawing, compiling and running one model on one executor may take.
const PATIENCE: u64 = 60;

/// What is said before and after each step, the first word of a line.
pub(crate) mod said {
    /// A seed: it is drawn.
    pub(crate) const DRAW: &str = "draw";
    /// An executor: the model is run on it.
    pub(crate) const RUN: &str = "run";
    /// It computes what it should.
    pub(crate) const HELD: &str = "held";
    /// It cannot hold the model.
    pub(crate) const REFUSED: &str = "refused";
    /// It is wrong; lines of text follow.
    pub(crate) const FOUND: &str = "found";
    /// A line of text.
    pub(crate) const TEXT: &str = "|";
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("nobody listens")
}

/// Hundredths of a second of a processor that this process used; none where the system does not say so.
fn used() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in parentheses, may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(number(11)? + number(12)?)
}

/// Ends this process when the next step takes too long.
fn limit_time() -> Result<()> {
    let Some(used) = used() else { return Ok(()) };
    let maximum = getrlimit(Resource::Cpu).maximum;
    Ok(setrlimit(Resource::Cpu, Rlimit { current: Some(used / 100 + PATIENCE), maximum })?)
}

/// Runs the models of the seeds; what is wrong is made small and written.
pub(crate) fn work(cli: &Cli, columns: &[Column]) -> Result<()> {
    // A panic is a finding, which says what it was.
    std::panic::set_hook(Box::new(|_| {}));
    let mut setup = Setup::default();
    if let Some(python) = &cli.python {
        setup = setup.with_peer(python);
    }
    for seed in cli.seeds.0..cli.seeds.1 {
        limit_time()?;
        say(&format!("{} {seed}", said::DRAW))?;
        let drawn = catch_unwind(AssertUnwindSafe(|| draw(&setup, seed)));
        let mut drawn = match drawn {
            Ok(drawn) => drawn,
            Err(panic) => {
                say(said::FOUND)?;
                say(&format!("{} drawing panics: {}", said::TEXT, text_of(&*panic)))?;
                continue;
            }
        };
        for at in &cli.part {
            let mut parts = drawn.parts();
            anyhow::ensure!(*at < parts.len(), "the model has no part {at}");
            drawn = parts.swap_remove(*at);
        }
        if cli.print {
            let text = drawn.to_string();
            text.lines().try_for_each(|it| say(&format!("{} {it}", said::TEXT)))?;
        }
        if drawn.settings.is_empty() {
            continue;
        }
        let chosen = match cli.some {
            Some(n) => Column::some(columns, seed, n),
            None => columns.to_vec(),
        };
        for column in chosen {
            one(cli, &setup, &drawn, column)?;
        }
    }
    Ok(())
}

fn one(cli: &Cli, setup: &Setup, drawn: &Drawn, column: Column) -> Result<()> {
    let settings: Vec<usize> = match cli.some {
        Some(_) => drawn.some_settings(column),
        None => (0..drawn.settings.len()).collect(),
    };
    limit_time()?;
    say(&format!("{} {column}", said::RUN))?;
    let found = match run(setup, drawn, column, &settings) {
        Ok(0) => return say(said::REFUSED),
        Ok(_) => return say(said::HELD),
        Err(found) => found,
    };
    say(said::FOUND)?;
    // Small models are quick, but there are many.
    let (mut small, mut why) = (drawn.clone(), found.clone());
    if cli.part.is_empty() {
        (small, why) = reduce(setup, drawn, &found);
    }
    let folder = write(&cli.out, &small, drawn, &why)?;
    let text = format!("{why}\n{small}  written to {}", folder.display());
    text.lines().try_for_each(|it| say(&format!("{} {it}", said::TEXT)))
}
