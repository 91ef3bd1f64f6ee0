//! Texts of all formats, rules among them: whatever is read, nothing panics, and what is read survives printing (law Z5).

use crate::outcome::Outcome;
use crate::setup::Setup;
use orogen::CompileOptions;
use orogen_ir::generate::Random;
use orogen_ir::types::ConstPool;
use orogen_ir::{flow, graph, loops, plan};
use orogen_passes::rewrite;

/// Characters and words of the formats.
const NOISE: [&str; 26] = [
    "%",
    "@",
    "^",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "-",
    "0",
    "9223372036854775807",
    "-1",
    "n",
    "f32",
    "\"",
    "\\",
    "\n",
    "->",
    "=",
    "//",
    "é",
    "sha256 \"",
    "splat",
];

/// A printed program with changes.
pub(crate) fn changed(setup: &Setup, random: &mut Random) -> Vec<u8> {
    let ops = setup.compiler.ops();
    let seed = random.number() % 4096;
    let mut text = match random.below(6) {
        0 => flow::text::print(&flow::random_module(ops, seed), ops),
        1 => graph::text::print(&graph::random_graph(ops, seed), ops),
        2 => legal(setup, seed).map_or_else(String::new, |it| graph::text::print(&it, ops)),
        3 => planned(setup, seed).unwrap_or_default(),
        4 => random.pick(&RULES).to_owned(),
        _ => FUNCTIONS.to_owned(),
    };
    for _ in 0..random.below(4) {
        let at =
            (0..=text.len()).cycle().skip(random.below(text.len() + 1)).find(|at| text.is_char_boundary(*at));
        let at = at.unwrap_or(0);
        match random.below(4) {
            0 => text.insert_str(at, random.pick(&NOISE)),
            1 => text.truncate(at),
            2 => {
                let end =
                    text[at..].char_indices().nth(1 + random.below(12)).map_or(text.len(), |it| at + it.0);
                text.replace_range(at..end, "");
            }
            _ => {
                let end =
                    text[at..].char_indices().nth(1 + random.below(40)).map_or(text.len(), |it| at + it.0);
                let piece = text[at..end].to_string();
                text.insert_str(at, &piece);
            }
        }
    }
    text.into_bytes()
}

/// Rules of every form.
const RULES: [&str; 3] = [
    include_str!("../../../passes/rules/simplify.rules"),
    include_str!("../../../passes/rules/quantized.rules"),
    include_str!("../../../passes/rules/explore.rules"),
];

/// Functions that call each other.
const FUNCTIONS: &str = include_str!("../../../examples/models/retrieval.flow");

/// The plan of a generated graph.
fn planned(setup: &Setup, seed: u64) -> Option<String> {
    let planned = orogen_passes::graph::plan_memory(&legal(setup, seed)?, "main", &[]);
    Some(plan::print_plan(&planned.ok()?).text)
}

/// A generated graph of kernels.
fn legal(setup: &Setup, seed: u64) -> Option<graph::Graph> {
    use orogen_passes::manager::{Pass, PassCx};
    use orogen_passes::rules::legalize::LegalizeTable;
    let ops = setup.compiler.ops();
    let mut found = graph::random_graph(ops, seed);
    let legalize = orogen_passes::graph::Legalize::new(LegalizeTable::standard(ops));
    legalize.run(&mut found, &mut PassCx::new(ops)).ok()?;
    Some(found)
}

/// Opens a text as a file of every format, and runs all passes on it one by one: errors are diagnostics.
fn opened(setup: &Setup, text: &str) -> bool {
    let options = CompileOptions { threads: 1, ..CompileOptions::default() };
    let passes = ["canonicalize", "fold-constants", "simplify", "layout", "legalize", "fuse", "plan-memory"];
    let mut any = false;
    for name in ["x.graph", "x.flow", "x.plan", "x.kernel"] {
        let Ok(model) = setup.compiler.decode(name, text.into()) else { continue };
        for passes in [&passes[..0], &passes] {
            let ran = setup.compiler.run_passes(&model, &options, passes);
            any |= ran.is_ok_and(|it| !it.0.print(setup.compiler.ops()).is_empty());
        }
    }
    any
}

/// Reads a text as every format.
pub(crate) fn run(setup: &Setup, input: &[u8]) -> Outcome {
    let Ok(text) = std::str::from_utf8(input) else { return Outcome::Refused };
    let ops = setup.compiler.ops();
    let again = |what: &str, first: &str, second: Result<String, String>| match second {
        Ok(second) if second == first => None,
        Ok(second) => {
            Some(Outcome::Broken(format!("{what} changes when it is read again:\n{first}\n{second}")))
        }
        Err(error) => Some(Outcome::Broken(format!("{what} is not read again: {error}\n{first}"))),
    };
    let mut outcome = Outcome::Refused;
    if let Ok(module) = flow::text::parse(text, ops) {
        outcome = Outcome::Held;
        let _ = module.verify(ops);
        let printed = flow::text::print(&module, ops);
        let second = flow::text::parse_with_constants(&printed, ops, &module.constants);
        let second = second.map(|it| flow::text::print(&it, ops)).map_err(|it| it.to_string());
        if let Some(broken) = again("a module", &printed, second) {
            return broken;
        }
    }
    if let Ok(found) = graph::text::parse(text, ops) {
        outcome = Outcome::Held;
        let _ = found.verify(ops);
        let printed = graph::text::print(&found, ops);
        let second = graph::text::parse_with_constants(&printed, ops, &found.constants);
        let second = second.map(|it| graph::text::print(&it, ops)).map_err(|it| it.to_string());
        if let Some(broken) = again("a graph", &printed, second) {
            return broken;
        }
    }
    if let Ok(program) = loops::parse_program(text) {
        outcome = Outcome::Held;
        let _ = loops::verify(&program);
    }
    if let Ok(plans) = plan::parse_plans(text, &ConstPool::default()) {
        outcome = Outcome::Held;
        let _ = plan::verify_module(&plans);
        let printed = plan::print_plans(&plans);
        let pool = plans.constants().cloned().unwrap_or_default();
        let second = plan::parse_plans(&printed, &pool).map(|it| plan::print_plans(&it));
        if let Some(broken) = again("a plan", &printed, second.map_err(|it| it.to_string())) {
            return broken;
        }
    }
    // Those of passes are asked more than those of equality saturation.
    let _ = rewrite::parse(text, ops);
    let _ = rewrite::Matcher::parse(ops, text);
    for rule in rewrite::parse_explored(text, ops).into_iter().flatten() {
        outcome = Outcome::Held;
        let printed = rewrite::print(&rule);
        let second = rewrite::parse_explored(&printed, ops).map(|it| it.iter().map(rewrite::print).collect());
        if let Some(broken) = again("a rule", &printed, second.map_err(|it| it.to_string())) {
            return broken;
        }
    }
    if opened(setup, text) {
        outcome = Outcome::Held;
    }
    outcome
}
