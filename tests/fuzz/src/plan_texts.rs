//! Plans of generated programs as texts, changed: what the verifier lets pass runs as [`crate::plans`] says.

use crate::compare::is_smooth;
use crate::outcome::Outcome;
use crate::setup::Setup;
use crate::{plans, programs};
use orogen_ir::generate::Random;
use orogen_ir::plan;
use orogen_ir::types::ConstPool;

/// The text of the plan of a generated program, with changes of numbers, operands and lines.
pub(crate) fn changed(setup: &Setup, random: &mut Random) -> Vec<u8> {
    let seed = random.number() % 8192;
    let text =
        if random.coin() { programs::graph_plan(setup, seed) } else { programs::module_plan(setup, seed) };
    let mut lines: Vec<String> = text.unwrap_or_default().lines().map(str::to_string).collect();
    for _ in 0..random.below(4) {
        // Kernels are left alone: their laws do not say yet that accesses are in range.
        let open: Vec<usize> = outside_kernels(&lines);
        if open.is_empty() {
            break;
        }
        let at = random.pick(&open);
        match random.below(8) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[at].clone()),
            2 => {
                let other = random.pick(&open);
                lines.swap(at, other);
            }
            3 => lines[at] = swapped(random, &lines[at]),
            _ => lines[at] = renumbered(random, &lines[at]),
        }
    }
    lines.join("\n").into_bytes()
}

/// The lines of a plan that are not those of a kernel.
fn outside_kernels(lines: &[String]) -> Vec<usize> {
    let mut end: Option<String> = None;
    let mut open = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let indent = &line[..line.len() - line.trim_start().len()];
        match &end {
            Some(closing) if line == closing => end = None,
            Some(_) => {}
            None if line.trim_start().starts_with("kernel ") => end = Some(format!("{indent}}}")),
            None => open.push(i),
        }
    }
    open
}

/// A line with another number.
fn renumbered(random: &mut Random, line: &str) -> String {
    let is_digit = |i: usize| line.as_bytes()[i].is_ascii_digit();
    let starts: Vec<usize> =
        (0..line.len()).filter(|i| is_digit(*i) && (*i == 0 || !is_digit(i - 1))).collect();
    if starts.is_empty() {
        return line.to_string();
    }
    let start = random.pick(&starts);
    let end = (start..line.len()).find(|i| !is_digit(*i)).unwrap_or(line.len());
    let number: i64 = line[start..end].parse().unwrap_or(0);
    let other = match random.below(8) {
        0 => 0,
        1 => number.saturating_mul(2),
        2 => number.saturating_sub(1),
        3 => number.saturating_add(64),
        4 => number.saturating_sub(64).max(0),
        5 => 1 << 40,
        _ => number.saturating_add(1),
    };
    format!("{}{other}{}", &line[..start], &line[end..])
}

/// A line in which two operands have changed places.
fn swapped(random: &mut Random, line: &str) -> String {
    let words: Vec<&str> = line.split_inclusive([' ', ',', '(', ')', '[', ']']).collect();
    let operands: Vec<usize> = (0..words.len()).filter(|i| words[*i].starts_with(['%', '#'])).collect();
    if operands.len() < 2 {
        return line.to_string();
    }
    let (a, b) = (random.pick(&operands), random.pick(&operands));
    let trim = |it: &str| it.trim_end_matches([' ', ',', '(', ')', '[', ']']).to_string();
    let (first, second) = (trim(words[a]), trim(words[b]));
    let mut words: Vec<String> = words.into_iter().map(str::to_string).collect();
    words[a] = words[a].replacen(&first, &second, 1);
    if a != b {
        words[b] = words[b].replacen(&second, &first, 1);
    }
    words.concat()
}

/// Reads a plan, and runs it where it is lawful.
pub(crate) fn run(input: &[u8]) -> Outcome {
    let Ok(text) = std::str::from_utf8(input) else { return Outcome::Refused };
    let Ok(mut module) = plan::parse_plans(text, &ConstPool::default()) else { return Outcome::Refused };
    if plan::prove_module(&mut module).is_err() {
        return Outcome::Refused;
    }
    let library = match plans::library(&module) {
        Ok(library) => library,
        Err(found) if found.to_string().contains("defect of the compiler") => {
            return Outcome::Broken(format!("the code of a lawful plan: {found}"));
        }
        Err(_) => None,
    };
    let Some(entry) = module.entry() else { return Outcome::Refused };
    let mut random = Random::new(input.len() as u64);
    let smooth = is_smooth(text);
    for _ in 0..3 {
        let Some(inputs) = plans::inputs(entry, &mut random) else { return Outcome::Refused };
        if let Err(what) = plans::check(&module, library.as_ref(), &inputs, None, smooth) {
            return Outcome::Broken(what);
        }
    }
    Outcome::Held
}
