//! Measures benchmarks and keeps what they give.
#![allow(clippy::print_stdout, reason = "a command line tool prints")]

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use orogen::Cpu;
use orogen_bench::{CLASSES, Cell, Class, Column, Effort, TYPES};
use orogen_bench::{cell, cpus, machine, overhead, render, summary, today};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Benchmarks.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Time kernels of every class, element type and instruction set on one thread: ns for each element or
    /// multiply-add, the share of what bytes and lanes allow by the time of f32, and what is scalar code.
    Kernels(Kernels),
}

#[derive(Debug, clap::Args)]
struct Kernels {
    /// Classes whose name contains this, all without; may be given several times.
    #[arg(long, value_name = "CLASS")]
    only: Vec<String>,
    /// Instruction sets, all that this machine runs without: baseline, avx2, avx512.
    #[arg(long, value_parser = known)]
    cpu: Vec<Cpu>,
    /// Element types beside f32, all without.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Print the names of the classes.
    #[arg(long)]
    list: bool,
    /// Write the table to this file, tests/bench/kernels.md for the one that is kept.
    #[arg(long, value_name = "FILE.md")]
    write: Option<PathBuf>,
    /// Small models, one call each: shows that everything runs, and times nothing.
    #[arg(long)]
    smoke: bool,
}

fn known(name: &str) -> Result<Cpu, String> {
    let cpus = cpus();
    let names: Vec<String> = cpus.iter().map(Cpu::to_string).collect();
    cpus.into_iter()
        .find(|it| it.to_string() == name)
        .ok_or_else(|| format!("this machine runs {}", names.join(", ")))
}

fn main() -> Result<()> {
    let What::Kernels(args) = Args::parse().what;
    let wanted = |it: &&Class| args.only.is_empty() || args.only.iter().any(|name| it.name.contains(name));
    let classes: Vec<Class> = CLASSES.iter().filter(wanted).copied().collect();
    ensure!(!classes.is_empty(), "no class has such a name; `--list` prints them");
    if args.list {
        classes.iter().for_each(|it| println!("{}", it.name));
        return Ok(());
    }
    let cpus = if args.cpu.is_empty() { cpus() } else { args.cpu };
    let unknown = args.types.iter().find(|name| !TYPES.iter().any(|it| it.name() == **name));
    ensure!(unknown.is_none(), "the table has no type {}", unknown.map_or("", |it| it));
    let types: Vec<_> = TYPES
        .into_iter()
        .enumerate()
        .filter(|(i, it)| *i == 0 || args.types.is_empty() || args.types.iter().any(|name| name == it.name()))
        .map(|it| it.1)
        .collect();
    let effort = if args.smoke { Effort::SMOKE } else { Effort::FULL };
    let mut text = head(effort);
    for cpu in cpus {
        let overhead = if args.smoke { 0.0 } else { overhead(cpu, effort)? };
        // What classes go by, each once.
        let mut by: Vec<(&str, Cell)> = Vec::new();
        let mut cells: Column = Vec::new();
        for class in &classes {
            let measured = match by.iter().find(|it| it.0 == class.by) {
                Some(it) => it.1,
                None => {
                    let class = CLASSES.iter().find(|it| it.name == class.by).unwrap_or(class);
                    let measured = cell(class, TYPES[0], cpu, effort, overhead)?;
                    by.push((class.name, measured));
                    measured
                }
            };
            for dtype in types.iter().copied().filter(|it| (class.types)(*it)) {
                let own = dtype == TYPES[0] && class.by == class.name;
                let found = if own { measured } else { cell(class, dtype, cpu, effort, overhead)? };
                cells.push((*class, dtype, found, measured.time));
            }
        }
        let (table, summary) = (render(&cells, &types), summary(&cells));
        write!(text, "\n## {cpu}\n\nA call of one element takes {overhead:.0} ns.\n\n{table}\n{summary}")?;
    }
    print!("{text}");
    if let Some(path) = args.write {
        std::fs::write(&path, text)?;
    }
    Ok(())
}

/// What instructions allow where that is little: four vector instructions in a cycle, two of them of 512 bits.
const CEILINGS: &str = "\
Where a share is small, these are the instructions that it takes: counted by hand in what is generated, so bounds of this code more \
than of the machine. In cycles of a core that takes four vector instructions (two of 512 bits) and six in all, of which an \
element of f32 takes 0.5, as memory gives it, and a quotient 0.75 without AVX:

- f16, baseline: eight halves are `f32` after 11 instructions, and halves again after 20. A sum has 44, and 26 that copy, move \
and count: 2 cycles an element, 0.26; with one operand it is 0.33. What rounds nothing (signs, extrema, comparisons, selections, \
reductions by extrema) converts nothing, in any of the sets.
- Quotients of i8 and u8: without AVX `divps` gives four in three cycles, bytes as f32, so that 0.25 is all there is; beside it \
37 other vector instructions for sixteen of u8, 45 of i8: 0.25 and 0.22. Of i32: `vdivpd` takes 2 cycles an element: 0.30.
- Running sums of f16 without AVX and of bf16 on AVX2 along a row: every vector is rounded alone, 31 instructions for four \
and 12 for eight beside those of the sum: 0.17 and 0.21.
- Quotients of i64, and i64 to and from f32, are short where a vector holds numbers below 2⁵¹ alone, as here; others take 57 \
instructions, and 24 and 28, for two without AVX: 0.16 to 0.19.
- Places that are not linear, of elements of 16 bits and fewer: an insertion into a vector for each, one cycle where 0.27 are \
allowed: 0.27.
- Products of i64: `vpmullq` and a sum are four for eight on AVX-512 where the machine makes three of the first: 0.25 cycles \
where 0.06 are allowed, 0.25. On AVX2 five for four, and a third of the exchange of halves, 0.5 where 0.125 are allowed: 0.25.
";

fn head(effort: Effort) -> String {
    format!(
        "# Kernels by class and element type\n\n\
         {}, {}; one thread, the least of calls in {} ms. Written by `cargo xtask bench kernels --write tests/bench/kernels.md`.\n\n\
         A cell: ns for each element or multiply-add; the share of what bytes and lanes allow, which is the time of f32 scaled \
         by the bytes of the type (of its lanes where it computes: 16-bit floats as f32, narrow products in pairs; with those \
         of the index where one is read for each element), by the time taken; `scalar` where a part is scalar loops. What f32 itself reaches is 1, but where a class goes by that of another.\n\n{CEILINGS}",
        machine(),
        today(),
        effort.time.as_millis(),
    )
}
