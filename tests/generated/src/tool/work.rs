//! A process that runs models, and says so line by line.

use crate::Cli;
use anyhow::{Context, Result};
use orogen_generated::{Column, Drawn, Setup, draw, reduce, run, text_of, write};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// Seconds of a processor that each may take: to draw a model, to compile and run it on one executor, to make it small.
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

/// Says lines of text.
fn tell(text: &str) -> Result<()> {
    text.lines().try_for_each(|it| say(&format!("{} {it}", said::TEXT)))
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

/// Runs the models of the seeds while there is time; what is wrong is written, and again when it was made small.
pub(crate) fn work(cli: &Cli, columns: &[Column]) -> Result<()> {
    // A panic is a finding, which says what it was.
    std::panic::set_hook(Box::new(|_| {}));
    let mut setup = Setup::default();
    if let Some(python) = &cli.python {
        setup = setup.with_peer(python);
    }
    let start = Instant::now();
    for seed in cli.seeds.0..cli.seeds.1 {
        if cli.seconds.is_some_and(|most| start.elapsed().as_secs() >= most) {
            return Ok(());
        }
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
            let part = drawn.parts().nth(*at).with_context(|| format!("the model has no part {at}"))?;
            drawn = part;
        }
        if cli.print {
            tell(&drawn.to_string())?;
        }
        if drawn.settings.is_empty() {
            continue;
        }
        let chosen = match (cli.some, cli.code) {
            (Some(n), Some(every)) => Column::some_with_code(columns, seed, n, every),
            (Some(n), None) => Column::some(columns, seed, n),
            (None, _) => columns.to_vec(),
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
    // What is found stays so where making it small takes too long: small models are quick, but there are many.
    let folder = write(&cli.out, drawn, drawn, &found)?;
    tell(&format!("{found}\n  written to {}", folder.display()))?;
    if !cli.part.is_empty() {
        return Ok(());
    }
    limit_time()?;
    let (small, why) = reduce(setup, drawn, &found);
    write(&cli.out, &small, drawn, &why)?;
    tell(&format!("made small: {why}\n{small}"))
}
