//! The table of passes as a page.

use super::definition::{PassDef, When};
use super::named::NAMED;
use super::passes::{PassTable, Passes, TURNS};
use crate::manager::{Fact, Facts};
use crate::rules::apply::ApplyRules;
use crate::rules::explored::ExploredRules;
use crate::rules::legalize::LegalizeTable;
use orogen_ir::ops::OpRegistry;
use std::fmt::Write as _;

/// The content of `docs/passes.md`: the passes that ship.
///
/// # Panics
/// When these do not fit together; tests hold that they do.
pub fn standard_page() -> String {
    let ops = OpRegistry::standard();
    let (simplify, layout) = (ApplyRules::simplify(&ops), ApplyRules::layout(&ops));
    let passes = PassTable::standard().build(
        &ops,
        LegalizeTable::standard(&ops),
        simplify,
        layout,
        ExploredRules::default(),
    );
    render(&passes.unwrap_or_else(|found| panic!("what ships fits together: {found}")))
}

fn render(passes: &Passes) -> String {
    let mut text = String::from(
        "# Passes\n\n\
         Generated from the table in `passes/src/registry` by `cargo xtask bless`; do not edit.\n\n\
         A compilation imports a model, runs passes on it, plans memory and generates code.\n\
         The passes are a table, and a user says which of them run:\n\n\
         ```sh\n\
         orogen passes # lists them, those of plug-ins too\n\
         orogen compile model.onnx -o model.so --passes canonicalize,legalize,fuse\n\
         orogen compile model.onnx -o model.so --passes=-layout,+explore{nodes=8000} --opt-in dataflow-ir\n\
         ```\n\n\
         `NAME` runs a pass, or the passes of a pipeline of that name, after those before it; `+NAME` puts a pass at its own \
         place among them, in the order of the table; `-NAME` takes one out.\n\
         A list that begins with `+` or `-` changes what would run without it.\n\
         Options stand in braces; a shell takes several in quotes: `'+explore{nodes=8000,region=64}'`.\n\
         `NAME@TARGET` counts only where code is made for that target or one that has more, which is `avx2`, `avx512` or `avx512vnni`: \
         `+quantize-rows@avx512vnni`.\n\
         A model has such a list in `orogen.toml` (`passes = [\"quick\"]`), a program in `Builder::passes`.\n\
         `orogen opt --passes` runs exactly what it is given, on a model or on the text of an IR.\n\n\
         What `--accuracy` does not admit does not run.\n\
         Passes that stand in an order in which one lacks what it requires, or finds nothing left to do, are an error that \
         names both.\n\n\
         ## Pipelines\n\n\
         | name | passes | for |\n|---|---|---|\n",
    );
    let written = |text: &mut String, line: std::fmt::Arguments<'_>| {
        text.write_fmt(line).expect("writing to a string");
        text.push('\n');
    };
    let rows = passes.rows();
    for it in NAMED {
        let list = it.passes.map(|list| format!("`{list}`")).unwrap_or_else(|| {
            let on = rows.iter().filter(|it| it.when == When::Admitted).map(|it| it.name);
            format!("`{}`", on.collect::<Vec<_>>().join(","))
        });
        written(&mut text, format_args!("| `{}` | {list} | {} |", it.name, it.about));
    }
    text.push_str(
        "\n## Facts\n\n\
         What holds of a program between passes, besides the laws of its IR.\n\
         A pass says which facts it requires, establishes and destroys; it keeps the others.\n\
         With `--verify` each is checked after each pass, by looking at the program, and a pass that says what is not so is \
         named.\n\n\
         | fact | says | established by |\n|---|---|---|\n",
    );
    for fact in Fact::ALL {
        let makers = rows.iter().filter(|it| it.facts.establishes.contains(&fact));
        let makers: Vec<String> = makers.map(|it| format!("`{}`", it.name)).collect();
        written(&mut text, format_args!("| `{fact}` | {} | {} |", fact.about(), makers.join(", ")));
    }
    text.push_str("\n## Passes, in order\n");
    for row in &rows {
        let Some(def) = passes.def(row.name) else { continue };
        text.push_str(&section(def, &row.facts, (row.on_graph, row.on_flow)));
    }
    text.push_str("\n## What is no pass\n\nTwo more names stand in `orogen opt --passes`, and in texts that `--dump-after all` writes.\n\n");
    for it in TURNS {
        written(&mut text, format_args!("- `{}` {}; {}", it.name, it.about, facts(&it.facts)));
    }
    text
}

fn section(def: &PassDef, said: &Facts, on: (bool, bool)) -> String {
    let mut text = format!("\n### {}\n\nIt {}.\n", def.name, def.about);
    if !def.details.is_empty() {
        writeln!(text, "{}", def.details).expect("writing to a string");
    }
    text.push('\n');
    let path = match on {
        (true, true) => "both paths",
        (true, false) => "the legacy path",
        _ => "the dataflow path",
    };
    let mut item =
        |name: &str, value: &str| writeln!(text, "- {name}: {value}").expect("writing to a string");
    item("step", &format!("`{}`, on {path}", def.step));
    item(
        "default",
        match def.when {
            When::Admitted => "on",
            When::Asked => "off, `+NAME` puts it in",
        },
    );
    item("exact", &def.class.to_string());
    item("facts", &facts(said));
    for law in def.laws {
        item("law", law);
    }
    for it in def.options {
        item("option", &format!("`{}={}`: {}", it.name, it.default, it.about));
    }
    text
}

/// What a pass says of facts, as a clause.
fn facts(said: &Facts) -> String {
    let list = |facts: &[Fact]| facts.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ");
    let mut parts = Vec::new();
    for (word, facts) in [
        ("requires", said.requires),
        ("establishes", said.establishes),
        ("destroys", said.destroys.unwrap_or_default()),
        ("runs before anything establishes", said.before),
    ] {
        if !facts.is_empty() {
            parts.push(format!("{word} {}", list(facts)));
        }
    }
    match (parts.is_empty(), said.destroys) {
        (_, None) => {
            parts.push("does not say what it keeps: that is looked at".to_owned());
            parts.join("; ")
        }
        (true, Some(_)) => "keeps all".to_owned(),
        (false, Some(_)) => parts.join("; "),
    }
}
