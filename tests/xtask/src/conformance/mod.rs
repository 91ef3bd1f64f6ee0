//! The official ONNX backend suite through the tool: `cargo xtask conformance`.
//!
//! What does not pass is listed, in a file for each executor under `tests/conformance`; all else must pass. A lost pass
//! fails, and so does a pass that nobody expected, until the list says so.
//!
//! Modules in reading order: `end` (how a case ends), `suite` (the cases, and their comparison), `worker` (a case in a
//! process of its own), `list` (what is known not to pass), `reasons` (why), `peer` (other implementations), `report`.

mod end;
mod list;
mod peer;
mod reasons;
mod report;
mod suite;
mod worker;

use crate::{tool, workspace};
use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use end::End;
use list::List;
pub(crate) use peer::Peer;
use reasons::Reasons;
use regex_automata::meta::Regex;
use regex_automata::util::syntax;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use suite::{Case, Suite};
use worker::Worker;

/// The table of what the lists say.
const PAGE: &str = "tests/conformance/report.md";

/// What one command may take of a processor.
const LIMIT: Duration = Duration::from_secs(100);

#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Cases in whose names a regular expression matches: all of them, not the part.
    #[arg(long, value_name = "REGEX")]
    filter: Option<String>,
    /// What computes: all without a choice.
    #[arg(long = "executor", value_enum)]
    executors: Vec<Executor>,
    /// Every case, and not the part that continuous integration runs.
    #[arg(long)]
    all: bool,
    /// Instructions that the code may use, as the tool takes them.
    #[arg(long, value_name = "CPU")]
    cpu: Option<String>,
    /// Verify the IR after every pass.
    #[arg(long)]
    verify: bool,
    /// Print what passes by group and what stops the others, and write the table of what the lists say.
    #[arg(long)]
    report: bool,
    /// Write what was found to the lists, of the cases that were run, and the table.
    #[arg(long)]
    bless: bool,
    /// Run all cases on another implementation instead, and write its list and the table.
    #[arg(long, value_enum, conflicts_with_all = ["filter", "executors", "all", "cpu", "verify", "bless", "tool"])]
    peer: Option<Peer>,
    /// A tool that is built already.
    #[arg(long, value_name = "PATH")]
    tool: Option<PathBuf>,
}

/// What computes the outputs of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Executor {
    /// A library that was compiled on the dataflow path.
    Flow,
    /// A library that was compiled on the legacy path.
    Legacy,
    /// The reference interpreter.
    Reference,
}

impl Executor {
    fn name(self) -> &'static str {
        match self {
            Executor::Flow => "flow",
            Executor::Legacy => "legacy",
            Executor::Reference => "reference",
        }
    }
}

/// Runs the cases and compares what comes out with the lists.
///
/// # Errors
/// A case that ends otherwise than its list says; a suite that cannot be had.
pub(crate) fn run(args: &Args) -> Result<()> {
    let (suite, reasons) = (Suite::open()?, Reasons::read()?);
    if let Some(peer) = args.peer {
        peer.measure()?;
        return write_page(&suite, &lists()?, &reasons, true).map(|_| ());
    }
    let tool = match &args.tool {
        Some(it) => it.canonicalize().with_context(|| format!("finding {}", it.display()))?,
        None => tool::orogen()?.context("the tool cannot be built")?,
    };
    let cases: Vec<&Case> = match &args.filter {
        Some(pattern) => {
            // Names are ASCII; tables of other letters are left out.
            let bytes = syntax::Config::new().unicode(false).utf8(false);
            let regex = Regex::builder().syntax(bytes).build(pattern).context("reading `--filter`")?;
            suite.cases().iter().filter(|it| regex.is_match(it.name.as_bytes())).collect()
        }
        None if args.all => suite.cases().iter().collect(),
        None => suite::part(suite.cases()),
    };
    ensure!(!cases.is_empty(), "no case has such a name");
    let all = Executor::value_variants();
    let executors: &[Executor] = if args.executors.is_empty() { all } else { &args.executors };
    let mut lists = lists()?;
    let worker = Worker::new(&suite, tool, args.cpu.clone(), args.verify, LIMIT);
    let mut off = Vec::new();
    for (executor, list) in all.iter().zip(&mut lists).filter(|it| executors.contains(it.0)) {
        let start = Instant::now();
        // What is known to take too long says nothing in the part, and takes all the time that it may.
        let is_whole = args.all || args.filter.is_some();
        let cases: Vec<&Case> =
            cases.iter().filter(|it| is_whole || !list.hangs(&it.name)).copied().collect();
        let mut ends = run_all(&worker, *executor, &cases)?;
        suite.compare(&mut ends)?;
        let passed = ends.iter().filter(|it| matches!(it.1, End::Pass)).count();
        let seconds = start.elapsed().as_secs_f64();
        println!("{}: {passed} of {} cases pass, {seconds:.0} s", executor.name(), ends.len());
        if args.report {
            report::print(&ends);
        }
        if args.bless {
            list.bless(&ends, &suite)?;
        }
        let objections = ends.iter().filter_map(|(case, end)| Some((case, list.objection(&case.name, end)?)));
        off.extend(objections.map(|(case, it)| format!("{} on {}: {it}", case.name, executor.name())));
        let unknown = list.names().filter(|it| !suite.cases().iter().any(|case| case.name == *it));
        off.extend(unknown.map(|it| format!("{it} on {}: the suite has no such case", executor.name())));
    }
    off.extend(reasons.objections(&lists));
    if !write_page(&suite, &lists, &reasons, args.report || args.bless)? {
        off.push(format!("{PAGE} is not what the lists say; `--report` writes it"));
    }
    off.iter().for_each(|it| println!("  {it}"));
    match off.len() {
        0 => Ok(()),
        n => bail!("{n} objections; `--bless` takes how cases end into tests/conformance"),
    }
}

/// What is known of each executor.
fn lists() -> Result<Vec<List>> {
    Executor::value_variants().iter().map(|it| List::read(&workspace::root(), *it)).collect()
}

/// Whether the page is what the lists say, when it is written if that is wanted.
fn write_page(suite: &Suite, lists: &[List], reasons: &Reasons, wanted: bool) -> Result<bool> {
    let page = report::page(suite::SUITE, suite.cases(), lists, &Peer::lists()?, reasons);
    let path = workspace::root().join(PAGE);
    let is_written = fs::read_to_string(&path).is_ok_and(|it| it == page);
    if !is_written && wanted {
        fs::write(&path, page).with_context(|| format!("writing {PAGE}"))?;
        println!("wrote {PAGE}");
    }
    Ok(is_written || wanted)
}

/// Runs cases on all processors; in their order.
fn run_all<'a>(worker: &Worker<'_>, executor: Executor, cases: &[&'a Case]) -> Result<Vec<(&'a Case, End)>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let take = || -> Result<Vec<(usize, End)>> {
        let mut found = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(at) else { return Ok(found) };
            let end = worker.run(executor, case).with_context(|| format!("running {}", case.name))?;
            found.push((at, end));
        }
    };
    let mut found = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(take)).collect();
        let joined = running.into_iter().map(|it| it.join().expect("a worker does not panic"));
        joined.collect::<Result<Vec<_>>>()
    })?
    .concat();
    found.sort_by_key(|it| it.0);
    Ok(found.into_iter().map(|(at, end)| (cases[at], end)).collect())
}
