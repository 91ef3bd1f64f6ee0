//! The differential suite with other choices than the usual ones, seed after seed.
//!
//! What fails is narrowed to one choice by halves: with the fuel for one choice less the test passes.

use crate::workspace;
use anyhow::{Context, Result, bail, ensure};
use std::process::Command;
use std::time::{Duration, Instant};

/// Test programs that compare what code computes with something else.
const SUITES: [&str; 14] = [
    "casts",
    "convolutions",
    "degenerate",
    "drawn",
    "functions",
    "half",
    "images",
    "models",
    "moved",
    "narrow",
    "objects",
    "places",
    "rows",
    "top_k",
];
/// More choices than any program has.
const MOST_FUEL: u64 = 1 << 24;

/// Which seeds, and which tests.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// So many seeds; without it, until a test fails, the time is over or it is stopped.
    #[arg(long)]
    seeds: Option<u64>,
    /// Begin no seed after so many hours, and say which is the next.
    #[arg(long, value_name = "N")]
    hours: Option<u32>,
    /// Build optimised: slower to begin, faster for many seeds.
    #[arg(long)]
    release: bool,
    /// Test programs of the differential suite [default: those that compare values].
    suites: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let suites: Vec<&str> = match args.suites.is_empty() {
        true => SUITES.to_vec(),
        false => args.suites.iter().map(String::as_str).collect(),
    };
    // A suite that fails without other choices says nothing about them.
    for suite in &suites {
        let plain = test(args, suite, None, None)?;
        ensure!(plain.failed.is_empty(), "{suite} fails with the usual choices: {}", plain.failed.join(", "));
    }
    let seeds = args.from..args.seeds.map_or(u64::MAX, |it| args.from.saturating_add(it));
    let (begun, most) = (Instant::now(), args.hours.map(|it| Duration::from_secs(u64::from(it) * 3600)));
    for seed in seeds {
        if most.is_some_and(|it| begun.elapsed() >= it) {
            println!("{} seeds pass; go on with --from {seed}", seed - args.from);
            return Ok(());
        }
        let start = Instant::now();
        for suite in &suites {
            let Some(name) = test(args, suite, None, Some((seed, MOST_FUEL)))?.failed.into_iter().next()
            else {
                continue;
            };
            let (fuel, choice) = narrow(args, suite, &name, seed)?;
            bail!("OROGEN_CHAOS={seed}:{fuel}: {suite}: {name}: {choice}");
        }
        println!("seed {seed}: {} suites pass, {:.0} s", suites.len(), start.elapsed().as_secs_f64());
    }
    Ok(())
}

/// The least fuel with which a test fails, and what the last choice is.
fn narrow(args: &Args, suite: &str, name: &str, seed: u64) -> Result<(u64, String)> {
    let mut choice = String::new();
    let mut fails = |fuel: u64| -> Result<bool> {
        let found = test(args, suite, Some(name), Some((seed, fuel)))?;
        if !found.failed.is_empty() {
            choice = found.choice;
        }
        Ok(!found.failed.is_empty())
    };
    let mut high = 1;
    while high < MOST_FUEL && !fails(high)? {
        high *= 2;
    }
    let mut low = high / 2;
    while low + 1 < high {
        let fuel = low + (high - low) / 2;
        if fails(fuel)? { high = fuel } else { low = fuel }
    }
    fails(high)?;
    Ok((high, choice))
}

/// What a run of a test program says.
struct Found {
    failed: Vec<String>,
    /// The last choice that was printed.
    choice: String,
}

/// Runs a test program, or one test of it, with the choices of a seed and fuel.
fn test(args: &Args, suite: &str, name: Option<&str>, chaos: Option<(u64, u64)>) -> Result<Found> {
    let mut command = Command::new("cargo");
    command.args(["test", "--quiet", "--package", "orogen-differential", "--test", suite]);
    command.args(args.release.then_some("--release"));
    command.arg("--");
    command.args(name.into_iter().flat_map(|it| ["--exact", it]));
    match chaos {
        Some((seed, fuel)) => command.env("OROGEN_CHAOS", format!("{seed}:{fuel}")),
        None => command.env_remove("OROGEN_CHAOS"),
    };
    let output = command.current_dir(workspace::root()).output().context("running cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let failed = failures(&text);
    if failed.is_empty() && !output.status.success() {
        bail!("{suite} does not run:\n{text}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let last = text.lines().rev().find_map(|it| it.strip_prefix("last choice: "));
    Ok(Found { failed, choice: last.unwrap_or("which choice it is, the test does not print").to_owned() })
}

/// The names of tests under the last `failures:` of what a test program prints.
fn failures(text: &str) -> Vec<String> {
    let Some((_, list)) = text.rsplit_once("\nfailures:\n") else { return Vec::new() };
    let names = list.lines().take_while(|it| it.starts_with("    "));
    names.map(|it| it.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tests_that_fail_are_read() {
        let text = "\nrunning 3 tests\nF.F\nfailures:\n\n---- a stdout ----\nlast choice: x\n\nfailures:\n    a\n    b::c\n\ntest result: FAILED.";
        assert_eq!(failures(text), ["a", "b::c"]);
        assert!(failures("\nrunning 1 test\n.\ntest result: ok.").is_empty());
    }
}
