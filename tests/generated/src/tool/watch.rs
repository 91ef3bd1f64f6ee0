//! The process that watches those that run models.

use super::tally::{Runs, Tally};
use super::work::said;
use crate::Cli;
use anyhow::{Context, Result, anyhow};
use orogen_generated::{Column, Finding, Outcome, Setup, draw, smallest, write};
use rustix::process::Signal;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

/// Most seeds that a process runs before another one takes its place.
const TURN: u64 = 500;
/// Parts of a model that crashes which are tried.
const TRIES: usize = 200;

/// Runs all seeds in processes, on these executors; what was done.
pub(crate) fn watch(cli: &Cli, columns: &[Column]) -> Result<Tally> {
    let (tally, next) = (Mutex::new(Tally::default()), AtomicU64::new(cli.seeds.0));
    let workers = cli.workers.max(1);
    // All workers have some.
    let length = TURN.min(cli.seeds.1.saturating_sub(cli.seeds.0).div_ceil(workers as u64));
    let turns = || -> Result<()> {
        loop {
            let mut at = next.fetch_add(length, Ordering::Relaxed);
            if at >= cli.seeds.1 {
                return Ok(());
            }
            let end = at.saturating_add(length).min(cli.seeds.1);
            while at < end {
                let left = match cli.seconds {
                    Some(most) => Some(most.saturating_sub(locked(&tally)?.seconds())),
                    None => None,
                };
                if left == Some(0) {
                    return Ok(());
                }
                at = turn(cli, columns, (at, end), left, &tally)?;
            }
            println!("{}", locked(&tally)?);
        }
    };
    std::thread::scope(|scope| {
        let turns = &turns;
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(turns)).collect();
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

/// Runs seeds in one process, begins none after so many seconds; the seed to go on with.
fn turn(
    cli: &Cli,
    columns: &[Column],
    (first, end): (u64, u64),
    seconds: Option<u64>,
    tally: &Mutex<Tally>,
) -> Result<u64> {
    let mut command = process(cli, (first, end))?;
    command.args(seconds.iter().flat_map(|it| ["--seconds".to_owned(), it.to_string()]));
    command.args(cli.some.iter().flat_map(|it| ["--some".to_owned(), it.to_string()]));
    command.args(cli.code.iter().flat_map(|it| ["--code".to_owned(), it.to_string()]));
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
    match place.column {
        // It is counted, and written.
        _ if place.tells => println!("seed {}: making small: {}", place.seed, how(status)),
        Some(column) => {
            let column = columns.iter().find(|it| it.to_string() == column).context("an executor")?;
            crash(cli, place.seed, *column, status, tally)?;
        }
        None => {
            println!("seed {}: drawing: {}", place.seed, how(status));
            locked(tally)?.broken += 1;
        }
    }
    Ok(place.seed + 1)
}

/// Takes in a line of a process.
fn follow(line: &str, place: &mut Place, tally: &mut Tally) {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let first = place.column.is_none();
    let runs = |tally: &mut Tally, place: &Place, add: fn(&mut Runs)| {
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
        said::FOUND => {
            place.tells = true;
            match &place.column {
                Some(column) => tally.fail(column),
                None => tally.broken += 1,
            }
        }
        said::TEXT => println!("seed {}: {rest}", place.seed),
        _ => println!("seed {}: {line}", place.seed),
    }
}

fn how(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) if signal == Signal::XCPU.as_raw() => "it does not end".to_owned(),
        Some(signal) => format!("the process ends by signal {signal}"),
        None => format!("the process ends: {status}"),
    }
}

/// Writes a model that ends the process it runs in: made small where a signal ends it, by trying which parts do so in others.
fn crash(cli: &Cli, seed: u64, column: Column, status: ExitStatus, tally: &Mutex<Tally>) -> Result<()> {
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
        Ok(command.status().context("starting a process")?.signal() == status.signal())
    };
    let mut small = whole.clone();
    if status.signal().is_some() {
        (small, _) = smallest(&whole, |_, way| {
            tries += 1;
            tries <= TRIES && shows(way).unwrap_or(false)
        });
    }
    let finding = Finding { column, setting: 0, outcome: Outcome::Crashes, what: how(status) };
    let folder = write(&cli.out, &small, &whole, &finding)?;
    println!("seed {seed}: {finding}\n{small}  written to {}", folder.display());
    locked(tally)?.fail(&column.to_string());
    Ok(())
}
