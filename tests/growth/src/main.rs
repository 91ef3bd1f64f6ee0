//! Prints how compilation grows: processor seconds and peak memory for each form, size and path.
//!
//! Each cell is a process of its own, so that its peak memory is its own.
#![allow(clippy::print_stdout, reason = "a command line tool prints")]

use anyhow::{Context, Result, bail};
use clap::Parser;
use orogen_growth::{Form, PATHS, compile, model};
use std::process::Command;

/// How compilation grows with the number of nodes.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask growth")]
struct Args {
    /// Forms, all without a choice.
    forms: Vec<String>,
    /// Numbers of nodes.
    #[arg(long, value_delimiter = ',', default_values_t = [1000, 10_000, 100_000])]
    sizes: Vec<usize>,
    /// Compile one form at one size on this path and print what it took.
    #[arg(long, hide = true)]
    measure: Option<String>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let forms: Vec<Form> = match args.forms.as_slice() {
        [] => Form::ALL.to_vec(),
        names => names
            .iter()
            .map(|it| Form::from_name(it).with_context(|| format!("there is no form `{it}`")))
            .collect::<Result<_>>()?,
    };
    if let Some(path) = args.measure {
        return measure(forms[0], args.sizes[0], &path);
    }
    let sizes: Vec<String> = args.sizes.iter().map(usize::to_string).collect();
    println!("| form | path | {} |", sizes.join(" | "));
    println!("|---|---|{}", "---|".repeat(sizes.len()));
    for form in forms {
        for (path, _) in PATHS.iter().filter(|it| it.0 == "dataflow" || form.is_static()) {
            let cells: Vec<String> =
                sizes.iter().map(|size| cell(form, size, path)).collect::<Result<_>>()?;
            println!("| {} | {path} | {} |", form.name(), cells.join(" | "));
        }
    }
    Ok(())
}

/// What a process of its own measured.
fn cell(form: Form, size: &str, path: &str) -> Result<String> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([form.name(), "--sizes", size, "--measure", path]);
    let output = command.output().context("running the measurement")?;
    let text = String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr });
    Ok(match output.status.code() {
        Some(0) => text.trim().to_owned(),
        Some(_) => text.lines().next().unwrap_or("failed").to_owned(),
        None => "killed".to_owned(),
    })
}

fn measure(form: Form, size: usize, path: &str) -> Result<()> {
    let Some((_, opt_in)) = PATHS.iter().find(|it| it.0 == path) else { bail!("there is no path `{path}`") };
    let model = model(form, size)?;
    let before = user_seconds()?;
    compile(&model, *opt_in)?;
    println!("{:.2} s, {} MB", user_seconds()? - before, peak_kilobytes()? / 1024);
    Ok(())
}

/// Processor seconds of this process outside the system, to a hundredth.
fn user_seconds() -> Result<f64> {
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").context("reading /proc/self/stat")?;
    // The name in parentheses may hold spaces; user time is the twelfth number behind it.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().nth(11).context("/proc/self/stat ends early")?;
    Ok(ticks.parse::<f64>()? / TICKS)
}

fn peak_kilobytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("reading /proc/self/status")?;
    let line =
        status.lines().find_map(|it| it.strip_prefix("VmHWM:")).context("no peak in /proc/self/status")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
