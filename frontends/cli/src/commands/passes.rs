//! `orogen passes`

use crate::args::PassesArgs;
use crate::failure::Failure;
use crate::output::say;
use orogen::passes::{Fact, NAMED, PassRow, TURNS, When};
use serde_json::{Value, json};
use std::process::ExitCode;

pub(crate) fn run(args: &PassesArgs) -> Result<ExitCode, Failure> {
    let compiler = args.plugins.compiler()?;
    let rows = compiler.pass_rows();
    if args.json {
        say!("{}", as_json(&rows));
        return Ok(ExitCode::SUCCESS);
    }
    for row in &rows {
        let class = row.class.map_or_else(|| "not said".to_string(), |it| it.to_string());
        say!(
            "{:16} {:14} {:8} {:3} {class:14} {}",
            row.name,
            row.step.name(),
            paths(row),
            row.when.name(),
            row.about
        );
        let facts = facts(row);
        if !facts.is_empty() {
            say!("{:16} {}", "", facts.join("; "));
        }
        for it in row.options {
            say!("{:16} {}={}: {}", "", it.name, it.default, it.about);
        }
    }
    for it in TURNS {
        say!("{:16} {:14} no pass of a pipeline: {}", it.name, it.step.name(), it.about);
    }
    say!("");
    for it in NAMED {
        let list = it.passes.map_or_else(|| on(&rows), ToString::to_string);
        say!("pipeline {:7} {list}: {}", it.name, it.about);
    }
    for fact in Fact::ALL {
        say!("fact {:14} {}", fact.name(), fact.about());
    }
    Ok(ExitCode::SUCCESS)
}

/// The passes that run by default, where all are admitted.
fn on(rows: &[PassRow]) -> String {
    let on = rows.iter().filter(|it| it.when == When::Admitted).map(|it| it.name);
    on.collect::<Vec<_>>().join(",")
}

/// The paths that it is on.
fn paths(row: &PassRow) -> &'static str {
    match (row.on_graph, row.on_flow) {
        (true, true) => "both",
        (true, false) => "legacy",
        _ => "dataflow",
    }
}

fn names(facts: &[Fact]) -> Vec<&'static str> {
    facts.iter().map(|it| it.name()).collect()
}

/// What it says of facts, a part for each relation.
fn facts(row: &PassRow) -> Vec<String> {
    let said = [
        ("requires", row.facts.requires),
        ("establishes", row.facts.establishes),
        ("destroys", row.facts.destroys.unwrap_or_default()),
        ("comes before", row.facts.before),
    ];
    let mut parts: Vec<String> = said
        .into_iter()
        .filter(|it| !it.1.is_empty())
        .map(|(word, facts)| format!("{word} {}", names(facts).join(", ")))
        .collect();
    if row.facts.destroys.is_none() && row.facts.establishes.is_empty() {
        parts.push("does not say what it destroys".to_string());
    }
    parts
}

fn as_json(rows: &[PassRow]) -> Value {
    let row = |it: &PassRow| {
        let options = it.options.iter().map(|it| {
            json!({ "name": it.name, "default": it.default, "values": it.kind.form(), "about": it.about })
        });
        json!({
            "name": it.name, "step": it.step.name(), "legacy": it.on_graph, "dataflow": it.on_flow,
            "default": it.when == When::Admitted, "class": it.class.map(|it| it.to_string()), "about": it.about,
            "requires": names(it.facts.requires), "establishes": names(it.facts.establishes),
            "destroys": it.facts.destroys.map(names), "before": names(it.facts.before),
            "options": options.collect::<Vec<_>>(),
        })
    };
    let pipelines = NAMED.iter().map(|it| {
        json!({ "name": it.name, "about": it.about, "passes": it.passes.map_or_else(|| on(rows), ToString::to_string) })
    });
    json!({
        "passes": rows.iter().map(row).collect::<Vec<_>>(), "pipelines": pipelines.collect::<Vec<_>>(),
    })
}
