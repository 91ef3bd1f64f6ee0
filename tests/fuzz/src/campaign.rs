//! Processes that run inputs, and the one that watches them.

use crate::outcome::Outcome;
use crate::setup::Setup;
use crate::target::Target;
use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Most address space of a process that runs inputs, in bytes.
pub(crate) const MEMORY: u64 = 6 << 30;
/// Longest that one input may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How long one target has its turn.
const TURN: Duration = Duration::from_secs(10);
/// How often the watcher looks.
const LOOK: Duration = Duration::from_millis(50);

/// Parts of findings that are known and not mended yet: they are printed and counted, but are no failure. An entry goes
/// with its fault.
const KNOWN: &[&str] = &[];

/// What a worker writes before each input: its seed, and how many were refused and held before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    seed: u64,
    refused: u64,
    held: u64,
}

impl Progress {
    fn write(self, file: &File) -> std::io::Result<()> {
        let bytes: Vec<u8> =
            [self.seed, self.refused, self.held].iter().flat_map(|it| it.to_le_bytes()).collect();
        file.write_all_at(&bytes, 0)
    }

    fn read(path: &Path) -> Option<Progress> {
        let bytes = fs::read(path).ok()?;
        let number = |i: usize| Some(u64::from_le_bytes(bytes.get(8 * i..8 * i + 8)?.try_into().ok()?));
        Some(Progress { seed: number(0)?, refused: number(1)?, held: number(2)? })
    }
}

/// Tries one input and says what is broken; a panic is.
fn attempt(target: Target, setup: &Setup, input: &[u8]) -> Outcome {
    let attempt = std::panic::AssertUnwindSafe(|| target.run(setup, input));
    std::panic::catch_unwind(attempt).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Outcome::Broken(format!("a panic: {}", text.unwrap_or_default()))
    })
}

/// Runs inputs from `seed` on, `count` or until it is ended; prints what is broken.
pub(crate) fn worker(target: Target, seed: u64, count: Option<u64>, progress: &Path) -> Result<()> {
    let limit = Rlimit { current: Some(MEMORY), maximum: getrlimit(Resource::As).maximum };
    setrlimit(Resource::As, limit).context("limiting memory")?;
    std::panic::set_hook(Box::new(|_| {}));
    let setup = Setup::new()?;
    let file = File::create(progress).with_context(|| format!("writing {}", progress.display()))?;
    let mut state = Progress { seed, ..Progress::default() };
    let end = count.map(|it| seed.saturating_add(it));
    while end != Some(state.seed) {
        state.write(&file)?;
        let input = target.input(&setup, state.seed);
        match attempt(target, &setup, &input) {
            Outcome::Refused => state.refused += 1,
            Outcome::Held => state.held += 1,
            Outcome::Broken(what) => {
                println!("{} {} {}", target.name(), state.seed, what.replace('\n', " | "))
            }
        }
        state.seed += 1;
    }
    Ok(state.write(&file)?)
}

/// Runs one input here; its bytes go to a file first.
pub(crate) fn repeat(target: Target, seed: u64, file: &Path) -> Result<usize> {
    let setup = Setup::new()?;
    let input = target.input(&setup, seed);
    fs::write(file, &input).with_context(|| format!("writing {}", file.display()))?;
    match target.run(&setup, &input) {
        Outcome::Refused => println!("refused, with a reason"),
        Outcome::Held => println!("held"),
        Outcome::Broken(what) => {
            println!("{what}");
            return Ok(1);
        }
    }
    Ok(0)
}

/// Gives the targets turns until the time is over; prints findings and counts, and returns the number of findings.
pub(crate) fn supervise(targets: &[Target], seed: u64, seconds: Option<u64>) -> Result<usize> {
    let start = Instant::now();
    let end = seconds.map(|it| start + Duration::from_secs(it));
    let left = |end: Option<Instant>| end.map(|it| it.saturating_duration_since(Instant::now()));
    let turn = match seconds {
        Some(it) => TURN.min(Duration::from_secs(it) / targets.len().max(1) as u32),
        None => TURN,
    };
    let mut tallies: Vec<Tally> = targets.iter().map(|it| Tally::new(*it, seed)).collect();
    'all: loop {
        for tally in &mut tallies {
            let until = Instant::now() + turn;
            while Instant::now() < until {
                if left(end).is_some_and(|it| it.is_zero()) {
                    break 'all;
                }
                tally.shift(None, Some(until))?;
            }
        }
    }
    Ok(tallies.iter().map(Tally::finish).sum())
}

/// Runs `rounds` times the share of each target; prints findings and counts, and returns the number of findings.
pub(crate) fn rounds(targets: &[Target], seed: u64, rounds: u64) -> Result<usize> {
    let mut all = 0;
    for target in targets {
        let end = seed.saturating_add(target.share().saturating_mul(rounds));
        let mut tally = Tally::new(*target, seed);
        while tally.next < end {
            tally.shift(Some(end - tally.next), None)?;
        }
        all += tally.finish();
    }
    Ok(all)
}

/// What a target came to so far.
struct Tally {
    target: Target,
    /// The next seed.
    next: u64,
    refused: u64,
    held: u64,
    known: usize,
    found: usize,
}

impl Tally {
    fn new(target: Target, seed: u64) -> Tally {
        Tally { target, next: seed, refused: 0, held: 0, known: 0, found: 0 }
    }

    /// One process, see [`shift`].
    fn shift(&mut self, count: Option<u64>, until: Option<Instant>) -> Result<()> {
        let folder = tempfile::tempdir()?;
        let shift = shift(self.target, self.next, count, &folder.path().join("progress"), until)?;
        for finding in &shift.findings {
            let known = KNOWN.iter().any(|it| finding.contains(it));
            println!("{} {finding}", if known { "KNOWN" } else { "FOUND" });
            if known {
                self.known += 1;
            } else {
                self.found += 1;
            }
        }
        // An input that ended its process is not tried again.
        self.next = shift.last.seed + u64::from(!shift.complete);
        self.refused += shift.last.refused;
        self.held += shift.last.held;
        Ok(())
    }

    fn finish(&self) -> usize {
        let Tally { target, refused, held, known, found, .. } = self;
        let inputs = refused + held + (known + found) as u64;
        println!(
            "{}: {inputs} inputs, {refused} refused, {held} held, {known} known, {found} findings",
            target.name()
        );
        self.found
    }
}

/// What one process did.
struct Shift {
    last: Progress,
    findings: Vec<String>,
    /// It ran all that it was to run.
    complete: bool,
}

/// One process: until it has run `count` inputs, until `until`, or until an input ends it.
fn shift(
    target: Target,
    seed: u64,
    count: Option<u64>,
    path: &Path,
    until: Option<Instant>,
) -> Result<Shift> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--target", &target.name(), "--seed", &seed.to_string(), "--worker"]).arg(path);
    if let Some(count) = count {
        command.args(["--count", &count.to_string()]);
    }
    let mut child = command.stdout(Stdio::piped()).spawn().context("starting a process")?;
    let mut out = child.stdout.take().context("the output of a process")?;
    // Read beside it, so that a full pipe does not stop it.
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = out.read_to_string(&mut text);
        text
    });
    let mut state = Progress { seed, ..Progress::default() };
    let mut since = Instant::now();
    let mut ended: Option<String> = None;
    let mut complete = false;
    loop {
        if let Some(status) = child.try_wait()? {
            complete = status.success();
            if complete {
                break;
            }
            ended = Some(reason(status));
            break;
        }
        let now = Progress::read(path).unwrap_or(state);
        if now != state {
            (state, since) = (now, Instant::now());
        }
        if since.elapsed() > PATIENCE {
            ended = Some(format!("no end after {} s", PATIENCE.as_secs()));
            break;
        }
        // An input that is running is given its time.
        if until.is_some_and(|it| Instant::now() >= it) && since.elapsed() < LOOK * 4 {
            break;
        }
        sleep(LOOK);
    }
    let _ = child.kill();
    let _ = child.wait();
    state = Progress::read(path).unwrap_or(state);
    let text = reader.join().unwrap_or_default();
    let mut findings: Vec<String> = text.lines().map(str::to_string).collect();
    findings.extend(ended.map(|it| format!("{} {} {it}", target.name(), state.seed)));
    Ok(Shift { last: state, findings, complete })
}

fn reason(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("ended by signal {signal}"),
        (_, code) => format!("ended with status {code:?}"),
    }
}
