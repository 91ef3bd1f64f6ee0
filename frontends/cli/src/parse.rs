//! Values of arguments and of `orogen.toml`, and what is said of those that are none.

use clap::ValueEnum;
use orogen::{Accuracy, Cpu, Entry, KernelView, OptIn, State, Step};

/// More than any machine has; each costs a stack.
const MAX_THREADS: usize = 1024;

/// Known opt-ins.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Feature {
    DataflowIr,
    Legacy,
}

pub(crate) fn parse_opt_in(text: &str) -> Result<OptIn, String> {
    match Feature::from_str(text, false) {
        Ok(Feature::DataflowIr) => Ok(OptIn::DataflowIr),
        Ok(Feature::Legacy) => Ok(OptIn::Legacy),
        Err(_) => Err(format!("choose `{}`, or `legacy` to take an opt-in back", OptIn::DATAFLOW_IR)),
    }
}

pub(crate) fn parse_dim(text: &str) -> Result<(String, u64), String> {
    // A name may itself hold `=`.
    let (name, value) = text.rsplit_once('=').ok_or("write NAME=VALUE, for example batch=1")?;
    let value = value.parse().map_err(|_| format!("`{value}` is no size"))?;
    Ok((name.to_string(), value))
}

pub(crate) fn parse_chaos(text: &str) -> Result<(u64, u64), String> {
    let (seed, fuel) = text.split_once(':').unwrap_or((text, ""));
    let number =
        |it: &str| it.parse::<u64>().map_err(|_| format!("`{it}` is no number: write SEED or SEED:FUEL"));
    Ok((number(seed)?, if fuel.is_empty() { u64::MAX } else { number(fuel)? }))
}

pub(crate) fn parse_state(text: &str) -> Result<State, String> {
    let (input, output) = text.split_once('=').ok_or("write INPUT=OUTPUT, for example past=present")?;
    Ok(State { input: input.to_string(), output: output.to_string() })
}

pub(crate) fn parse_threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(threads @ 1..=MAX_THREADS) => Ok(threads),
        _ => Err(format!("choose a number from 1 to {MAX_THREADS}")),
    }
}

pub(crate) fn parse_amount(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(amount) if amount.is_finite() && amount >= 0.0 => Ok(amount),
        _ => Err("choose a finite number that is not negative".to_string()),
    }
}

pub(crate) fn parse_cpu(text: &str) -> Result<Cpu, String> {
    text.parse().map_err(|()| "choose host, baseline, avx2, avx512 or avx512vnni".to_string())
}

pub(crate) fn parse_accuracy(text: &str) -> Result<Accuracy, String> {
    Accuracy::from_name(text).ok_or_else(|| "choose strict, default or fast".to_string())
}

pub(crate) fn parse_entry(text: &str) -> Result<Entry, String> {
    parse_step(text).map(Entry::Above)
}

pub(crate) fn parse_view(text: &str) -> Result<KernelView, String> {
    text.parse().map_err(|()| "choose one of loops, vector, clif, asm".to_string())
}

pub(crate) fn parse_step(text: &str) -> Result<Step, String> {
    Step::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = Step::ALL.into_iter().map(Step::name).collect();
        format!("choose one of {}", names.join(", "))
    })
}
