//! The differential suite with other choices than the usual ones, seed after seed.
//!
//! What fails is narrowed to one choice by halves: with the fuel for one choice less the test passes.
//! Test programs are built once, as `cargo test --workspace` builds them, and run where they lie: what is written beside
//! changes no seed, and no seed waits for cargo.

use crate::workspace;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
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

/// Test programs by name, in the order in which they run.
type Built = Vec<(String, PathBuf)>;

pub(crate) fn run(args: &Args) -> Result<()> {
    let suites = build(args)?;
    // A suite that fails without other choices says nothing about them.
    for suite in &suites {
        let plain = test(suite, None, None)?;
        let name = &suite.0;
        ensure!(plain.failed.is_empty(), "{name} fails with the usual choices: {}", plain.failed.join(", "));
    }
    println!("{} suites pass with the usual choices", suites.len());
    let seeds = args.from..args.seeds.map_or(u64::MAX, |it| args.from.saturating_add(it));
    let (begun, most) = (Instant::now(), args.hours.map(|it| Duration::from_secs(u64::from(it) * 3600)));
    for seed in seeds {
        if most.is_some_and(|it| begun.elapsed() >= it) {
            println!("{} seeds pass; go on with --from {seed}", seed - args.from);
            return Ok(());
        }
        let start = Instant::now();
        for suite in &suites {
            let Some(name) = test(suite, None, Some((seed, MOST_FUEL)))?.failed.into_iter().next() else {
                continue;
            };
            let (fuel, choice) = narrow(suite, &name, seed)?;
            bail!("OROGEN_CHAOS={seed}:{fuel}: {}: {name}: {choice}", suite.0);
        }
        println!("seed {seed}: {} suites pass, {:.0} s", suites.len(), start.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Builds the test programs.
fn build(args: &Args) -> Result<Built> {
    let names: Vec<&str> = match args.suites.is_empty() {
        true => SUITES.to_vec(),
        false => args.suites.iter().map(String::as_str).collect(),
    };
    let mut command = Command::new("cargo");
    command.args(["test", "--quiet", "--workspace", "--no-run", "--message-format", "json"]);
    command.args(args.release.then_some("--release"));
    command.args(names.iter().flat_map(|it| ["--test", it]));
    let built = command.current_dir(workspace::root()).stderr(Stdio::inherit()).output();
    let built = built.context("running cargo")?;
    ensure!(built.status.success(), "the test programs cannot be built");
    let mut found = programs(&String::from_utf8_lossy(&built.stdout));
    let program = |name: &&str| match found.remove(*name) {
        Some(path) => Ok((name.to_string(), path)),
        None => bail!("there is no test program `{name}` in tests/differential"),
    };
    names.iter().map(program).collect()
}

/// The test programs of the differential suite that cargo says it built.
fn programs(messages: &str) -> BTreeMap<String, PathBuf> {
    let messages = messages.lines().filter_map(|it| serde_json::from_str::<Value>(it).ok());
    let program = |it: Value| {
        let target = &it["target"];
        let source = target["src_path"].as_str()?.replace('\\', "/");
        let is_one = target["kind"][0] == "test" && source.contains("tests/differential/tests/");
        let (name, path) = (target["name"].as_str()?, it["executable"].as_str()?);
        is_one.then(|| (name.to_owned(), PathBuf::from(path)))
    };
    messages.filter_map(program).collect()
}

/// The least fuel with which a test fails, and what the last choice is.
fn narrow(suite: &(String, PathBuf), name: &str, seed: u64) -> Result<(u64, String)> {
    let mut choice = String::new();
    let mut fails = |fuel: u64| -> Result<bool> {
        let found = test(suite, Some(name), Some((seed, fuel)))?;
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

/// Runs a test program, or one test of it, with the choices of a seed and fuel, where cargo runs it.
fn test((suite, path): &(String, PathBuf), name: Option<&str>, chaos: Option<(u64, u64)>) -> Result<Found> {
    let mut command = Command::new(path);
    command.arg("--quiet").args(name.into_iter().flat_map(|it| ["--exact", it]));
    match chaos {
        Some((seed, fuel)) => command.env("OROGEN_CHAOS", format!("{seed}:{fuel}")),
        None => command.env_remove("OROGEN_CHAOS"),
    };
    let folder = workspace::root().join("tests/differential");
    let output = command.current_dir(folder).output().with_context(|| format!("running {suite}"))?;
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

    #[test]
    fn test_programs_of_the_suite_are_told_from_others_of_their_name() {
        let message = |name: &str, source: &str, kind: &str| {
            let target =
                serde_json::json!({ "name": name, "kind": [kind], "src_path": format!("/r/{source}") });
            serde_json::json!({ "target": target, "executable": format!("/t/{}", source.len()) }).to_string()
        };
        let all = [
            message("casts", "codegen/tests/casts.rs", "test"),
            message("casts", "tests/differential/tests/casts.rs", "test"),
            message("differential", "tests/differential/src/lib.rs", "lib"),
            "no JSON".to_owned(),
        ];
        let found = programs(&all.join("\n"));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [("casts".to_owned(), PathBuf::from("/t/33"))]);
    }
}
