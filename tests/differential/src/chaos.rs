//! The compiler of the suite: the standard one, or one that makes other choices where each is legal.
//!
//! `OROGEN_CHAOS=SEED[:FUEL]` says which: the first FUEL other choices of a seed, in every program that is compiled. So the
//! whole suite runs with other choices, `cargo xtask chaos` runs it for one seed after the other, and what a test prints
//! when it fails names the last choice.

use anyhow::{Context, Result};
use orogen::{Artifact, CompileOptions, Compiler, Model};
use orogen_ir::choices::Choices;

/// The variable of the environment.
const VARIABLE: &str = "OROGEN_CHAOS";

/// The choices that the environment asks for.
///
/// # Errors
/// What is no `SEED[:FUEL]`.
pub fn asked() -> Result<Choices> {
    match std::env::var(VARIABLE) {
        Ok(text) => read(&text).with_context(|| format!("{VARIABLE}={text} is no SEED[:FUEL]")),
        Err(_) => Ok(Choices::usual()),
    }
}

fn read(text: &str) -> Option<Choices> {
    let (seed, fuel) = text.split_once(':').unwrap_or((text, ""));
    let fuel = if fuel.is_empty() && !text.ends_with(':') { u64::MAX } else { fuel.parse().ok()? };
    Some(Choices::random(seed.parse().ok()?, fuel))
}

/// The compiler that tests use.
///
/// # Errors
/// What [`asked`] says.
pub fn compiler() -> Result<Compiler> {
    Ok(Compiler::builder().chaos(asked()?).build()?)
}

/// Compiles, and prints the last choice where it is not one of all.
///
/// # Errors
/// What compiling says.
pub fn compile(model: &Model, options: &CompileOptions) -> Result<Artifact> {
    let artifact = compiler()?.compile(model, options)?;
    note(&artifact);
    Ok(artifact)
}

/// Prints the last choice of those that fuel was there for.
#[allow(clippy::print_stdout, reason = "a test shows what it printed when it fails")]
pub fn note(artifact: &Artifact) {
    let choices = &artifact.report.choices;
    if choices.is_usual()
        && let Some(last) = choices.taken().last()
    {
        println!("last choice: {last}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_fuel_are_read() {
        assert!(read("7").is_some_and(|it| !it.is_usual()));
        assert!(read("7:0").is_some_and(|it| it.is_usual()));
        assert!(["", "x", "7:", "7:x", ":3", "7:3:1"].iter().all(|it| read(it).is_none()));
    }
}
