//! `orogen run`

use crate::args::RunArgs;
use crate::compare::{difference, json as measures, number, values};
use crate::failure::{Failure, print_diagnostic};
use crate::interpret::{self, Interpreted};
use crate::npz::Archive;
use crate::objects::name_of;
use crate::output::{plain, say};
use crate::subject::Subject;
use crate::values::names;
use crate::{files, inputs, npz, subject};
use orogen::compare::{Difference, Limits};
use orogen::runtime;
use orogen::shadow::{Shadow, ShadowDifference};
use orogen_abi::signature::{Function, Parameter};
use orogen_ir::types::DType;
use orogen_runtime::{Library, Tensor};
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Elements of an output that are printed.
const SHOWN: usize = 8;
/// Classes of an output that are printed.
const TOP: usize = 3;

/// How an output compares with the expected one.
struct Comparison {
    name: String,
    /// `None` when nothing is expected of this output.
    difference: Option<Difference>,
    note: Option<String>,
}

pub(crate) fn run(args: &RunArgs) -> Result<ExitCode, Failure> {
    if args.compare_stages {
        return super::find::compare_stages(args);
    }
    // Small files first: a mistake in them should not wait for a compilation.
    let labels = args.labels.as_deref().map(read_labels).transpose()?;
    let expected = args.expect.as_deref().map(Archive::open).transpose()?;
    let (name, params) = (args.function.as_deref(), args.params.as_deref());
    let callee = match (args.reference, args.shadow) {
        (true, _) => {
            let (program, function) = interpret::open(&args.model, &args.options)?;
            let on = On::Reference(Box::new(program));
            Callee { on, function, compile: None, load: Duration::ZERO }
        }
        (false, true) => {
            let limits = args.limits.limits();
            let (shadow, function, compile) = subject::shadow(&args.model, &args.options, name, limits)?;
            Callee { on: On::Both(Box::new(shadow)), function, compile: Some(compile), load: Duration::ZERO }
        }
        (false, false) => {
            let subject = subject::open(&args.model, &args.options, name, params, args.inputs.as_deref())?;
            let Subject { library, function, compile, load } = subject;
            Callee { on: On::One(library), function, compile, load }
        }
    };
    let is_given = args.inputs.is_some() || callee.function.inputs.iter().all(|it| it.optional);
    if expected.is_some() && !is_given {
        return Err(Failure::Usage(inputs::WITHOUT_INPUTS.to_string()));
    }
    let mut values = inputs::inputs(&callee.function, args.inputs.as_deref(), args.seed, &args.options.dims)?;
    let start = Instant::now();
    let (results, differences) = callee.call(&mut values)?;
    let seconds = start.elapsed().as_secs_f64();
    differences.iter().for_each(|it| print_diagnostic(&it.diagnostic()));
    let (results, outputs): (Vec<Parameter>, Vec<Tensor>) = results.into_iter().unzip();
    if let (Some(labels), Some(path)) = (&labels, &args.labels) {
        check_labels(labels, &outputs, path)?;
    }
    let limits = args.limits.limits();
    let compared = match expected {
        Some(archive) => compare(&results, &outputs, archive, &limits)?,
        None => Vec::new(),
    };
    if let Some(path) = &args.save {
        let named: Vec<(String, &Tensor)> = results.iter().map(|it| it.name.clone()).zip(&outputs).collect();
        npz::write(path, &named)?;
    }
    let expected_passed = compared.iter().filter_map(|it| it.difference.as_ref()).all(Difference::passes);
    let passed = expected_passed && differences.is_empty();
    if args.json {
        let list: Vec<Value> = results
            .iter()
            .zip(&outputs)
            .map(|(it, tensor)| {
                let found = |name: &str| compared.iter().find(|it| it.name == name);
                let compared = found(&it.name).or_else(|| found(name_of(&it.name)));
                let difference = compared.and_then(|it| it.difference.as_ref());
                json!({
                    "name": it.name,
                    "dtype": tensor.dtype().to_string(),
                    "shape": tensor.shape(),
                    "error": difference.map(|it| number(it.error())),
                    "passed": difference.map(Difference::passes),
                    "difference": difference.map(measures),
                    "note": compared.and_then(|it| it.note.clone()),
                })
            })
            .collect();
        let compile = callee.compile.map(|it| it.as_secs_f64());
        let load = callee.load.as_secs_f64();
        let shadow: Option<Vec<String>> =
            args.shadow.then(|| differences.iter().map(ToString::to_string).collect());
        say!(
            "{}",
            json!({
                "outputs": list, "passed": passed, "seconds": seconds, "compile_seconds": compile,
                "load_seconds": load, "shadow": shadow,
            })
        );
    } else {
        for (output, tensor) in results.iter().zip(&outputs) {
            let (name, dtype, shape) = (plain(&output.name), tensor.dtype(), tensor.shape());
            say!("{name} {dtype} {shape:?}: {}", summary(tensor, labels.as_deref()));
        }
        for Comparison { name, difference, note } in &compared {
            let note = note.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
            match difference {
                Some(difference) => {
                    let verdict = if difference.passes() { "ok" } else { "OVER" };
                    say!("{}: {}{} {verdict}", plain(name), plain(&difference.to_string()), plain(&note));
                }
                None => say!("{}: not compared{note}", plain(name)),
            }
        }
    }
    if args.shadow && !args.json && differences.is_empty() {
        say!("shadow comparison: the dataflow path gives the same");
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// What is called: one library, both paths, or the reference interpreter.
struct Callee {
    on: On,
    function: Function,
    compile: Option<Duration>,
    load: Duration,
}

enum On {
    One(Library),
    Both(Box<Shadow>),
    Reference(Box<Interpreted>),
}

impl Callee {
    fn call(
        &self,
        values: &mut [runtime::Value],
    ) -> Result<(Vec<(Parameter, Tensor)>, Vec<ShadowDifference>), Failure> {
        match &self.on {
            On::One(library) => Ok((inputs::call(library, &self.function, values)?, Vec::new())),
            On::Reference(program) => {
                Ok((inputs::named(&self.function, values, program.call(values)?)?, Vec::new()))
            }
            On::Both(shadow) => {
                let seen = shadow.call(&self.function.name, values, runtime::RunOptions::default());
                if seen.result.is_err() {
                    seen.differences.iter().for_each(|it| print_diagnostic(&it.diagnostic()));
                }
                let outputs = seen.result.map_err(Failure::Run)?;
                Ok((inputs::named(&self.function, values, outputs)?, seen.differences))
            }
        }
    }
}

/// Compares each output; at least one must be expected, and what is expected must be an output.
fn compare(
    results: &[Parameter],
    outputs: &[Tensor],
    mut archive: Archive<'_>,
    limits: &Limits,
) -> Result<Vec<Comparison>, Failure> {
    let path = archive.path();
    let names = names(results);
    archive.check_outputs(&names)?;
    let mut found = Vec::new();
    for (output, tensor) in results.iter().zip(outputs) {
        let name = output.name.clone();
        found.push(match archive.key("out:", &name)? {
            Some(key) => {
                let expected = archive.read(&key)?;
                // An empty sequence is no array, so the one that says so may be of any type.
                let is_empty = name.ends_with("[]") && expected.is_empty();
                let difference = difference(tensor, if is_empty { tensor } else { &expected }, limits);
                Comparison { name, difference: Some(difference), note: None }
            }
            None => {
                let missing = format!("not in `{}`", path.display());
                // A sequence that is longer than expected is another one.
                let list = name_of(&name);
                let expected = list != name && archive.keys().iter().any(|it| is_of(it, list));
                match expected {
                    true => Comparison { name, difference: Some(Difference::Kind(missing)), note: None },
                    // Of a whole object that is said once.
                    false if found.last().is_some_and(|it: &Comparison| it.name == list) => continue,
                    false => Comparison { name: list.to_owned(), difference: None, note: Some(missing) },
                }
            }
        });
    }
    if found.iter().all(|it| it.difference.is_none()) {
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
