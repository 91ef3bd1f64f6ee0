//! `orogen run`

use crate::args::RunArgs;
use crate::compare::{difference, values};
use crate::failure::Failure;
use crate::output::say;
use crate::{inputs, npz, subject};
use orogen_abi::signature::Function;
use orogen_runtime::Tensor;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Instant;

/// Elements of an output that are printed.
const SHOWN: usize = 8;
/// Classes of an output that are printed.
const TOP: usize = 3;

pub(crate) fn run(args: &RunArgs) -> Result<ExitCode, Failure> {
    let subject = subject::open(&args.model, &args.options)?;
    let tensors = inputs::inputs(&subject.library, args.inputs.as_deref(), args.seed, &args.options.dims)?;
    let start = Instant::now();
    let outputs = subject.library.run(&tensors).map_err(Failure::Run)?;
    let seconds = start.elapsed().as_secs_f64();
    let function = inputs::main_function(&subject.library)?;
    let labels = match &args.labels {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, "read", error))?;
            Some(text.lines().map(str::to_string).collect::<Vec<_>>())
        }
        None => None,
    };
    let errors = match &args.expect {
        Some(path) => Some(compare(function, &outputs, path)?),
        None => None,
    };
    if let Some(path) = &args.save {
        let named: Vec<(String, &Tensor)> =
            function.outputs.iter().map(|it| it.name.clone()).zip(&outputs).collect();
        npz::write(path, &named)?;
    }
    let worst = errors.iter().flatten().map(|it| it.1).fold(0.0f64, f64::max);
    let passed = worst <= args.tol;
    if args.json {
        let list: Vec<Value> = function
            .outputs
            .iter()
            .zip(&outputs)
            .map(|(it, tensor)| {
                let error = errors.iter().flatten().find(|(name, ..)| *name == it.name);
                json!({
                    "name": it.name,
                    "dtype": tensor.dtype().to_string(),
                    "shape": tensor.shape(),
                    // Infinity is no JSON number.
                    "error": error.map(|it| if it.1.is_finite() { json!(it.1) } else { json!("inf") }),
                    "note": error.and_then(|it| it.2.clone()),
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
        for (output, tensor) in function.outputs.iter().zip(&outputs) {
            say!(
                "{} {} {:?}: {}",
                output.name,
                tensor.dtype(),
                tensor.shape(),
                summary(tensor, labels.as_deref())
            );
        }
        for (name, error, note) in errors.iter().flatten() {
            let note = note.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
            say!("{name}: max error {error:.2e}{note} {}", if *error <= args.tol { "ok" } else { "OVER" });
        }
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Name, relative error and note of each expected output.
fn compare(
    function: &Function,
    outputs: &[Tensor],
    path: &std::path::Path,
) -> Result<Vec<(String, f64, Option<String>)>, Failure> {
    let expected = npz::read(path)?;
    let mut found = Vec::new();
    for (output, tensor) in function.outputs.iter().zip(outputs) {
        let key = [format!("out:{}", output.name), output.name.clone()];
        if let Some(expected) = key.iter().find_map(|it| expected.get(it)) {
            let difference = difference(tensor, expected);
            found.push((output.name.clone(), difference.relative, difference.note));
        }
    }
    if found.is_empty() {
        let names: Vec<&str> = function.outputs.iter().map(|it| it.name.as_str()).collect();
        let message = format!("none of the model's outputs is in it: {}", names.join(", "));
        return Err(Failure::file(path, "use", message));
    }
    Ok(found)
}

/// The first elements, or the likeliest classes along the last dimension of the first row.
fn summary(tensor: &Tensor, labels: Option<&[String]>) -> String {
    let Some(values) = values(tensor) else { return "…".to_string() };
    if let Some(labels) = labels
        && tensor.shape().last() == Some(&(labels.len() as i64))
        && !values.is_empty()
    {
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
        let top: Vec<String> = order
            .into_iter()
            .take(TOP)
            .map(|i| format!("{} {:.1} %", labels[i], values[i] * 100.0))
            .collect();
        return top.join(", ");
    }
    let shown: Vec<String> = values.iter().take(SHOWN).map(|it| format!("{it:.6}")).collect();
    let more = if values.len() > SHOWN { " …" } else { "" };
    format!("{}{more}", shown.join(" "))
}
