//! The conditions, a function for each.

use super::tools::{Said, Tools, say};
use super::{BORDERS, REMOVED};
use crate::tidy;
use crate::workspace::Source;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A condition that holds.
pub(super) struct Checked {
    pub(super) condition: &'static str,
    pub(super) what: String,
}

fn holds(condition: &'static str, what: String) -> Result<Checked> {
    Ok(Checked { condition, what })
}

/// A model that the legacy path refuses, with the code and the words of it.
const NEEDED: (&str, &str, &str) =
    ("tests/models/control_flow", "G003", "compile with `--opt-in dataflow-ir`, or write `opt-in");
/// What a build without the dataflow IR says to who opts in.
const ABSENT: &str = "D040";

/// 1. What may be removed is named at its borders alone, and asks for its feature there.
pub(super) fn own_namespace(sources: &[Source]) -> Result<Checked> {
    let found = tidy::layers(sources);
    ensure!(found.is_empty(), "own namespace: {found:?}");
    let asks = |it: &&Source| {
        let lines = it.text.lines().map(str::trim_start);
        it.is_rust() && { lines }.any(|it| it.starts_with("#[cfg") && it.contains("\"dataflow-ir\""))
    };
    let mut lines = 0;
    for source in sources.iter().filter(|it| !it.path.starts_with("tests/")).filter(asks) {
        ensure!(
            BORDERS.contains(&source.path.as_str()),
            "own namespace: `{}` asks for the feature, which only {} may",
            source.path,
            BORDERS.join(", ")
        );
        lines += source.text.lines().filter(|it| it.contains("feature = \"dataflow-ir\"")).count();
    }
    holds(
        "own namespace",
        format!("layers hold, {lines} lines ask for the feature, at {} borders", BORDERS.len()),
    )
}

/// 4. It builds without what is removed, and without what that depends on.
pub(super) fn removable(tools: &Tools, took: Duration) -> Result<Checked> {
    let has = |name: &str| tools.crates.lines().any(|it| it.split(' ').next() == Some(name));
    ensure!(has("orogen-cli") && !has("egg"), "removable: the tool without the dataflow IR depends on `egg`");
    let listed = say(&tools.without, &tools.root, &["adoption"])?;
    ensure!(listed.code == Some(0), "removable: `orogen adoption` says {}", listed.errors);
    let seconds = took.as_secs_f64();
    holds("removable", format!("without {} the tool builds ({seconds:.0} s)", REMOVED.join(", ")))
}

/// 2. A model needs it: the legacy path refuses it, with the code and the way out; the dataflow path runs it.
pub(super) fn needed(tools: &Tools) -> Result<Checked> {
    let (folder, code, way_out) = NEEDED;
    let folder = tools.root.join(folder);
    let out = tools.folder("needed")?.join("model.so");
    let out = path(&out)?;
    for tool in [&tools.with, &tools.without] {
        let refused = say(tool, &folder, &["compile", "model.onnx", "--opt-in", "legacy", "-o", out])?;
        ensure!(
            refused.code == Some(3) && refused.errors.contains(code),
            "needed: the legacy path says {refused:?}, not {code}"
        );
        let told = tool == &tools.without || refused.errors.contains(way_out);
        ensure!(told, "needed: the refusal does not say how to opt in: {}", refused.errors);
    }
    let run = ["run", "model.onnx", "--opt-in", "dataflow-ir"];
    let values = ["--inputs", "reference.npz", "--expect", "reference.npz"];
    let ran = say(&tools.with, &folder, &[&run[..], &values].concat())?;
    ensure!(ran.code == Some(0), "needed: the dataflow path says {ran:?}");
    holds("needed", format!("`{}` is refused with {code}, and runs when it opts in", NEEDED.0))
}

/// 3. Libraries of the legacy path are the same bytes with the dataflow IR, without it, and where another model opts in.
pub(super) fn no_disruption(tools: &Tools) -> Result<Checked> {
    let (plain, without, beside) = (tools.folder("with")?, tools.folder("without")?, tools.folder("beside")?);
    fs::write(beside.join("orogen.toml"), "[models.\"other.onnx\"]\nopt-in = [\"dataflow-ir\"]\n")?;
    let (mut same, mut refused) = (0, 0);
    for (i, model) in models(&tools.root)?.into_iter().enumerate() {
        let sizes = sizes(tools, &model)?;
        let compiled = |tool: &Path, folder: &Path| -> Result<(Said, Vec<u8>)> {
            // The same names everywhere, for they are in the library.
            let folder = folder.join(i.to_string());
            fs::create_dir_all(&folder)?;
            fs::copy(&model, folder.join("model.onnx"))?;
            let mut args = vec!["compile", "model.onnx", "-o", "model.so", "--cpu", "baseline"];
            sizes.iter().for_each(|it| args.extend(["--dim", it.as_str()]));
            let said = say(tool, &folder, &args)?;
            Ok((said, fs::read(folder.join("model.so")).unwrap_or_default()))
        };
        let (said, bytes) = compiled(&tools.with, &plain)?;
        let others = [(&tools.without, &without), (&tools.with, &beside)];
        for (tool, folder) in others {
            let (other, found) = compiled(tool, folder)?;
            ensure!(
                other.code == said.code && found == bytes,
                "no disruption: {} differs in {}: {other:?}, not {said:?}",
                model.display(),
                folder.display()
            );
        }
        match said.code {
            Some(0) => same += 1,
            _ => refused += 1,
        }
    }
    ensure!(same > 5, "no disruption: the legacy path compiles {same} models only");
    holds(
        "no disruption",
        format!(
            "{same} libraries are the same bytes with, without and beside it, {refused} models are refused alike"
        ),
    )
}

/// 5. One line opts in and one line opts out again; what is built without the dataflow IR says so.
pub(super) fn toggle(tools: &Tools) -> Result<Checked> {
    let folder = tools.folder("toggle")?;
    fs::copy(tools.root.join("examples/models/gate.onnx"), folder.join("model.onnx"))?;
    let toml = folder.join("orogen.toml");
    let compiled = |extra: &[&str]| -> Result<Vec<u8>> {
        let args = ["compile", "model.onnx", "-o", "model.so", "--cpu", "baseline", "--dim", "n=1"];
        let said = say(&tools.with, &folder, &[&args[..], extra].concat())?;
        ensure!(said.code == Some(0), "toggle: {said:?}");
        Ok(fs::read(folder.join("model.so"))?)
    };
    let opted = || -> Result<bool> {
        let said = say(&tools.with, &folder, &["inspect", "model.so", "--json"])?;
        let view: Value = serde_json::from_str(&said.output).context("what inspect prints is JSON")?;
        Ok(view["metadata"]["opt_in"] == serde_json::json!(["dataflow-ir"]))
    };
    let legacy = compiled(&[])?;
    ensure!(!opted()?, "toggle: a model opted in by itself");
    fs::write(&toml, "[models.\"model.onnx\"]\nopt-in = [\"dataflow-ir\"]\n")?;
    let line = compiled(&[])?;
    ensure!(opted()? && line != legacy, "toggle: the line in orogen.toml does not opt in");
    ensure!(compiled(&["--opt-in", "legacy"])? == legacy, "toggle: `--opt-in legacy` is not the legacy path");
    let refused = say(&tools.without, &folder, &["compile", "model.onnx", "-o", "model.so"])?;
    ensure!(refused.code == Some(3) && refused.errors.contains(ABSENT), "toggle: the line says {refused:?}");
    fs::remove_file(&toml)?;
    ensure!(compiled(&[])? == legacy, "toggle: without the line it is not the legacy path");
    ensure!(compiled(&["--opt-in", "dataflow-ir"])? == line, "toggle: the option is not what the line is");
    let refused = say(
        &tools.without,
        &folder,
        &["compile", "model.onnx", "-o", "model.so", "--opt-in", "dataflow-ir"],
    )?;
    ensure!(
        refused.code == Some(3) && refused.errors.contains(ABSENT),
        "toggle: the option says {refused:?}"
    );
    holds("toggle", format!("a line or an option opts in and out; without the dataflow IR both are {ABSENT}"))
}

/// The models of the repository that are kept as files.
fn models(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join("tests/models"))? {
        found.push(entry?.path().join("model.onnx"));
    }
    for entry in fs::read_dir(root.join("examples/models"))? {
        found.push(entry?.path());
    }
    found.retain(|it| it.is_file() && it.extension().is_some_and(|it| it == "onnx"));
    found.sort();
    Ok(found)
}

/// Sizes for the dynamic dimensions of a model.
fn sizes(tools: &Tools, model: &Path) -> Result<Vec<String>> {
    let said = say(&tools.with, &tools.root, &["inspect", path(model)?, "--json"])?;
    let view: Value = serde_json::from_str(&said.output).unwrap_or_default();
    let symbols = view["symbols"].as_array().into_iter().flatten().filter_map(Value::as_str);
    Ok(symbols.map(|it| format!("{it}=1")).collect())
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path is UTF-8")
}
