//! The process that watches those that run models.

use super::tally::Tally;
use super::work::said;
use crate::Cli;
use anyhow::{Context, Result, anyhow};
use orogen_generated::{Column, Finding, Outcome, Setup, draw, smallest, write};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

/// Seeds that a process runs before another one takes its place.
const TURN: u64 = 500;
/// `SIGXCPU`.
const OUT_OF_TIME: i32 = 24;
/// Parts of a model that crashes which are tried.
const TRIES: usize = 200;

/// Runs all seeds in processes; what was done.
pub(crate) fn watch(cli: &Cli) -> Result<Tally> {
    let (tally, next) = (Mutex::new(Tally::default()), AtomicU64::new(cli.seeds.0));
    let turns = || -> Result<()> {
        loop {
            let over = |it: &Tally| cli.seconds.is_some_and(|most| it.seconds() >= most);
            let first = next.fetch_add(TURN, Ordering::Relaxed);
            if first >= cli.seeds.1 || over(&*locked(&tally)?) {
                return Ok(());
            }
            let end = first.saturating_add(TURN).min(cli.seeds.1);
            let mut at = first;
            while at < end {
                at = turn(cli, at, end, &tally)?;
            }
            println!("{}", locked(&tally)?);
        }
    };
    std::thread::scope(|scope| {
        let turns = &turns;
        let running: Vec<_> = (0..cli.workers.max(1)).map(|_| scope.spawn(turns)).collect();
        running.into_iter().try_for_each(|it| it.join().map_err(|_| anyhow!("a thread panicked"))?)
    })?;
    tally.into_inner().map_err(|_| anyhow!("a thread panicked"))
}

fn locked(tally: &Mutex<Tally>) -> Result<MutexGuard<'_, Tally>> {
    tally.lock().map_err(|_| anyhow!("a thread panicked"))
}

/// A process of these seeds.
fn process(cli: &Cli, seeds: (u64, u64)) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("where this runs")?);
    command.arg("--watched").args(["--seeds", &format!("{}..{}", seeds.0, seeds.1)]);
    command.arg("--out").arg(&cli.out).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Some(python) = &cli.python {
        command.arg("--python").arg(python);
    }
    Ok(command)
}

/// Where a process is.
#[derive(Default)]
struct Place {
    seed: u64,
    column: Option<String>,
    /// Whether it tells what it found.
    tells: bool,
}

/// Runs seeds in one process; the seed to go on with.
fn turn(cli: &Cli, first: u64, end: u64, tally: &Mutex<Tally>) -> Result<u64> {
    let mut command = process(cli, (first, end))?;
    command.args(cli.some.iter().flat_map(|it| ["--some".to_owned(), it.to_string()]));
    command.args(cli.executor.iter().flat_map(|it| ["--executor", it.as_str()]));
    command.args(cli.print.then_some("--print"));
    let mut child = command.spawn().context("starting a process")?;
    let lines = BufReader::new(child.stdout.take().context("a process has a pipe")?).lines();
    let mut place = Place { seed: first, ..Place::default() };
    for line in lines {
        let mut tally = locked(tally)?;
        follow(&line?, &mut place, &mut tally);
    }
    let status = child.wait()?;
    if status.success() {
        return Ok(end);
    }
    let what = how(status);
    match place.column.filter(|_| !place.tells) {
        Some(column) => crash(cli, place.seed, &column, &what, tally)?,
        None => {
            println!("seed {}: drawing or making small: {what}", place.seed);
            locked(tally)?.broken += 1;
        }
    }
    Ok(place.seed + 1)
}

/// Takes in a line of a process.
fn follow(line: &str, place: &mut Place, tally: &mut Tally) {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let first = place.column.is_none();
    let runs = |tally: &mut Tally, place: &Place, add: fn(&mut super::tally::Runs)| {
        let name = place.column.clone().unwrap_or_default();
        add(tally.runs.entry(name).or_default());
    };
    match word {
        said::DRAW => *place = Place { seed: rest.parse().unwrap_or(place.seed), ..Place::default() },
        said::RUN => {
            tally.models += u64::from(first);
            (place.column, place.tells) = (Some(rest.to_owned()), false);
        }
        said::HELD => runs(tally, place, |it| it.made += 1),
        said::REFUSED => runs(tally, place, |it| it.refused += 1),
        said::FOUND if place.column.is_none() => (tally.broken, place.tells) = (tally.broken + 1, true),
        said::FOUND => {
            place.tells = true;
            runs(tally, place, |it| (it.made, it.failed) = (it.made + 1, it.failed + 1));
        }
        said::TEXT => println!("seed {}: {rest}", place.seed),
        _ => println!("seed {}: {line}", place.seed),
    }
}

fn how(status: ExitStatus) -> String {
    match status.signal() {
        Some(OUT_OF_TIME) => "it does not end".to_owned(),
        Some(signal) => format!("the process ends by signal {signal}"),
        None => format!("the process ends: {status}"),
    }
}

/// Makes a model small that ends the process it runs in, by trying its parts in others.
fn crash(cli: &Cli, seed: u64, column: &str, what: &str, tally: &Mutex<Tally>) -> Result<()> {
    let columns = Column::all().into_iter().chain([Column::peer()]);
    let column = columns.into_iter().find(|it| it.to_string() == column).context("an executor")?;
    let whole = draw(&Setup::default(), seed);
    let mut tries = 0;
    let shows = |way: &[usize]| -> Result<bool> {
        let mut command = process(cli, (seed, seed + 1))?;
        let way: Vec<String> = way.iter().map(ToString::to_string).collect();
        command
            .arg("--executor")
            .arg(column.to_string())
            .arg("--part")
            .arg(way.join(","))
            .stdout(Stdio::null());
        Ok(command.status().context("starting a process")?.signal().is_some())
    };
    let (small, _) = smallest(&whole, |_, way| {
        tries += 1;
        tries <= TRIES && shows(way).unwrap_or(false)
    });
    let finding = Finding { column, setting: 0, outcome: Outcome::Crashes, what: what.to_owned() };
    let folder = write(&cli.out, &small, &whole, &finding)?;
    println!("seed {seed}: {finding}\n{small}  written to {}", folder.display());
    let mut tally = locked(tally)?;
    let runs = tally.runs.entry(column.to_string()).or_default();
    (runs.made, runs.failed) = (runs.made + 1, runs.failed + 1);
    Ok(())
}
