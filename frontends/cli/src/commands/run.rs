//! `orogen run`

use crate::args::RunArgs;
use crate::compare::{difference, values};
use crate::failure::Failure;
use crate::npz::Archive;
use crate::objects::name_of;
use crate::output::{plain, say};
use crate::{files, inputs, npz, subject};
use orogen_abi::signature::Parameter;
use orogen_ir::types::DType;
use orogen_runtime::Tensor;
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// Elements of an output that are printed.
const SHOWN: usize = 8;
/// Classes of an output that are printed.
const TOP: usize = 3;

/// How an output compares with the expected one.
struct Comparison {
    name: String,
    /// Relative error; `None` when nothing is expected of this output.
    error: Option<f64>,
    note: Option<String>,
}

pub(crate) fn run(args: &RunArgs) -> Result<ExitCode, Failure> {
    // Small files first: a mistake in them should not wait for a compilation.
    let labels = args.labels.as_deref().map(read_labels).transpose()?;
    let (name, params) = (args.function.as_deref(), args.params.as_deref());
    let subject = subject::open(&args.model, &args.options, name, params, args.inputs.as_deref())?;
    let mut values =
        inputs::inputs(&subject.function, args.inputs.as_deref(), args.seed, &args.options.dims)?;
    let start = Instant::now();
    let results = inputs::call(&subject.library, &subject.function, &mut values)?;
    let seconds = start.elapsed().as_secs_f64();
    let (results, outputs): (Vec<Parameter>, Vec<Tensor>) = results.into_iter().unzip();
    if let (Some(labels), Some(path)) = (&labels, &args.labels) {
        check_labels(labels, &outputs, path)?;
    }
    let compared = match &args.expect {
        Some(path) => compare(&results, &outputs, path)?,
        None => Vec::new(),
    };
    if let Some(path) = &args.save {
        let named: Vec<(String, &Tensor)> = results.iter().map(|it| it.name.clone()).zip(&outputs).collect();
        npz::write(path, &named)?;
    }
    let passed = compared.iter().filter_map(|it| it.error).all(|error| error <= args.tol);
    if args.json {
        let list: Vec<Value> = results
            .iter()
            .zip(&outputs)
            .map(|(it, tensor)| {
                let compared = compared.iter().find(|compared| compared.name == it.name);
                json!({
                    "name": it.name,
                    "dtype": tensor.dtype().to_string(),
                    "shape": tensor.shape(),
                    // Infinity is no JSON number.
                    "error": compared.and_then(|it| it.error).map(|it| if it.is_finite() { json!(it) } else { json!("inf") }),
                    "note": compared.and_then(|it| it.note.clone()),
                })
            })
            .collect();
        let compile = subject.compile.map(|it| it.as_secs_f64());
        let load = subject.load.as_secs_f64();
        say!(
            "{}",
            json!({ "outputs": list, "passed": passed, "seconds": seconds, "compile_seconds": compile, "load_seconds": load })
        );
    } else {
        for (output, tensor) in results.iter().zip(&outputs) {
            let (name, dtype, shape) = (plain(&output.name), tensor.dtype(), tensor.shape());
            say!("{name} {dtype} {shape:?}: {}", summary(tensor, labels.as_deref()));
        }
        for Comparison { name, error, note } in &compared {
            let note = note.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
            match error {
                Some(error) => {
                    let verdict = if *error <= args.tol { "ok" } else { "OVER" };
                    say!("{}: max error {error:.2e}{note} {verdict}", plain(name));
                }
                None => say!("{}: not compared{note}", plain(name)),
            }
        }
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Compares each output; at least one must be expected, and what is expected must be an output.
fn compare(results: &[Parameter], outputs: &[Tensor], path: &Path) -> Result<Vec<Comparison>, Failure> {
    let mut archive = Archive::open(path)?;
    let names: Vec<&str> = results.iter().map(|it| it.name.as_str()).collect();
    let unknown = |it: &&String| it.strip_prefix("out:").is_some_and(|name| !names.contains(&name));
    if let Some(unknown) = archive.keys().iter().find(unknown) {
        let message = format!("`{unknown}` is no output of the model; its outputs are: {}", names.join(", "));
        return Err(Failure::file(path, "use", message));
    }
    let mut found = Vec::new();
    for (output, tensor) in results.iter().zip(outputs) {
        let name = output.name.clone();
        found.push(match archive.key("out:", &name)? {
            Some(key) => {
                let difference = difference(tensor, &archive.read(&key)?);
                Comparison { name, error: Some(difference.relative), note: difference.note }
            }
            None => {
                let note = Some(format!("not in `{}`", path.display()));
                // A sequence that is longer than expected is another one.
                let list = name_of(&name);
                let expected = list != name && archive.keys().iter().any(|it| is_of(it, list));
                Comparison { name, error: expected.then_some(f64::INFINITY), note }
            }
        });
    }
    if found.iter().all(|it| it.error.is_none()) {
        let message = format!("none of the model's outputs is in it: {}", names.join(", "));
        return Err(Failure::file(path, "use", message));
    }
    Ok(found)
}

/// Whether an expected array is an element of this sequence.
fn is_of(key: &str, sequence: &str) -> bool {
    let key = key.strip_prefix("out:").unwrap_or(key);
    name_of(key) == sequence && key != sequence
}

fn read_labels(path: &Path) -> Result<Vec<String>, Failure> {
    Ok(files::read_text(path)?.lines().map(str::to_string).collect())
}

/// Labels that fit no output would be left out in silence.
fn check_labels(labels: &[String], outputs: &[Tensor], path: &Path) -> Result<(), Failure> {
    if outputs.iter().any(|it| are_classes(it, labels)) {
        return Ok(());
    }
    let message = format!("it has {} labels, and no output has as many classes", labels.len());
    Err(Failure::file(path, "use", message))
}

/// Whether the last dimension counts the classes.
fn are_classes(tensor: &Tensor, labels: &[String]) -> bool {
    tensor.shape().last() == Some(&(labels.len() as i64)) && !tensor.is_empty()
}

/// The first elements, or the likeliest classes along the last dimension of the first row.
fn summary(tensor: &Tensor, labels: Option<&[String]>) -> String {
    if let Ok(texts) = tensor.strings() {
        let shown: Vec<String> = texts.iter().take(SHOWN).map(|it| format!("{it:?}")).collect();
        return shown.join(" ") + if texts.len() > SHOWN { " …" } else { "" };
    }
    let Some(values) = values(tensor) else { return "…".to_string() };
    if let Some(labels) = labels
        && are_classes(tensor, labels)
    {
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
        let top: Vec<String> = order
            .into_iter()
            .take(TOP)
            .map(|i| format!("{} {:.1} %", plain(&labels[i]), values[i] * 100.0))
            .collect();
        return top.join(", ");
    }
    let dtype = npz::row(tensor.dtype());
    let decimals = if dtype.is_some_and(DType::is_integral) { 0 } else { 6 };
    let number = |it: &f64| format!("{it:.decimals$}");
    let shown: Vec<String> = match dtype.and_then(DType::component) {
        Some(_) => {
            let pairs = values.chunks_exact(2).take(SHOWN);
            pairs.map(|it| format!("({}, {})", number(&it[0]), number(&it[1]))).collect()
        }
        None => values.iter().take(SHOWN).map(number).collect(),
    };
    let more = if tensor.len() > SHOWN { " …" } else { "" };
    format!("{}{more}", shown.join(" "))
}
