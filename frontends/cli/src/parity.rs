//! The parity report of RFC 0002: a model on both paths, side by side.

use crate::failure::Failure;
use crate::inputs;
use orogen::{Artifact, CompileOptions, Compiler, Entry, Lowered, OptIn, Step};
use orogen_ir::plan::{PlanModule, print_plan};
use orogen_ir::shape::Env;
use serde::Deserialize;
use std::path::Path;
use std::time::{Duration, Instant};

/// A call may take this many times as long, in the model where it takes longest.
pub(crate) const WORST_TIME: f64 = 1.05;
/// The same in the middle of the models.
pub(crate) const MEDIAN_TIME: f64 = 1.0;
const MEMORY: f64 = 1.0;
const SIZE: f64 = 1.05;
const COMPILE_TIME: f64 = 1.25;
/// Timed calls on each path, by turns.
const CALLS: usize = 21;

/// One number of a model on both paths.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What is measured, with its unit.
    pub(crate) what: &'static str,
    pub(crate) legacy: f64,
    pub(crate) dataflow: f64,
    /// The largest ratio that is no regression.
    pub(crate) limit: f64,
    /// How it is known.
    pub(crate) how: &'static str,
}

impl Row {
    /// The dataflow path by the legacy path; 1 where both are nothing.
    pub(crate) fn ratio(&self) -> f64 {
        if self.dataflow == self.legacy { 1.0 } else { self.dataflow / self.legacy }
    }

    pub(crate) fn is_red(&self) -> bool {
        self.ratio() > self.limit
    }
}

/// What is said of a model.
#[derive(Clone, Debug)]
pub(crate) struct Parity {
    pub(crate) model: String,
    /// Operators of the file with their counts.
    pub(crate) operators: Vec<(String, usize)>,
    /// Why there is nothing to compare: the legacy path refuses it.
    pub(crate) not_legacy: Option<String>,
    /// What is red and no number.
    pub(crate) red: Vec<(&'static str, String)>,
    pub(crate) rows: Vec<Row>,
}

impl Parity {
    /// What is red: the name of the row, and why.
    pub(crate) fn red_rows(&self) -> Vec<(&'static str, String)> {
        let numbers = self.rows.iter().filter(|it| it.is_red());
        let numbers = numbers.map(|it| (it.what, format!("{:.3} of {:.2}", it.ratio(), it.limit)));
        self.red.iter().cloned().chain(numbers).collect()
    }
}

/// A difference that is accepted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Accepted {
    /// The model file.
    pub(crate) model: String,
    /// The row.
    pub(crate) row: String,
    /// Why, and whom it affects.
    pub(crate) reason: String,
}

/// The file of accepted differences.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptedFile {
    #[serde(default)]
    pub(crate) accepted: Vec<Accepted>,
}

/// Compiles a model both ways and compares. Dynamic dimensions are bound: to the sizes that are given, else to 1.
pub(crate) fn compare(compiler: &Compiler, path: &Path, base: &CompileOptions) -> Result<Parity, Failure> {
    let model = compiler.open(path)?;
    let flow = CompileOptions { opt_in: OptIn::DataflowIr, entry: Entry::Ledger, ..base.clone() };
    let mut parity = Parity {
        model: path.display().to_string(),
        operators: Vec::new(),
        not_legacy: None,
        red: Vec::new(),
        rows: Vec::new(),
    };
    let open = CompileOptions { dims: Vec::new(), ..flow.clone() };
    let mut dims = Vec::new();
    if let Ok((_, report)) = compiler.lower(&model, &open, Step::Import) {
        parity.operators = report.import.operators.into_iter().collect();
        let size = |name: &String| base.dims.iter().find(|it| it.0 == *name).map_or(1, |it| it.1);
        dims.extend(report.import.dims.iter().map(|it| (it.clone(), size(it))));
    }
    let flow = CompileOptions { dims, ..flow };
    let legacy = CompileOptions { opt_in: OptIn::Legacy, ..flow.clone() };
    let start = Instant::now();
    let old = match compiler.compile(&model, &legacy) {
        Ok(it) => it,
        Err(found) => {
            let first = found.iter().next();
            parity.not_legacy =
                Some(first.map_or_else(String::new, |it| format!("{}: {}", it.code, it.message)));
            return Ok(parity);
        }
    };
    let old_time = start.elapsed();
    let start = Instant::now();
    let new = match compiler.compile(&model, &flow) {
        Ok(it) => it,
        Err(found) => {
            parity.red.push(("refused", found.to_string()));
            return Ok(parity);
        }
    };
    let new_time = start.elapsed();
    let plan = |options: &CompileOptions| match compiler.lower(&model, options, Step::PlanMemory)?.0 {
        Lowered::Plan(plans) => Ok::<_, Failure>(plans),
        _ => Err(Failure::Usage("lowering ended before the plan".to_string())),
    };
    let (old_plan, new_plan) = (plan(&legacy)?, plan(&flow)?);
    let text = steps(&new_plan);
    for line in orogen::passes::bridge::admissible(orogen::passes::bridge::LEDGER) {
        let options = CompileOptions { entry: Entry::Above(line), ..flow.clone() };
        if line <= Step::PlanMemory && steps(&plan(&options)?) != text {
            parity.red.push(("waterline", format!("at `{line}` the plan is another one")));
        }
    }
    let same = steps(&old_plan) == text;
    let (old_ms, new_ms) = calls(&old, &new, same, &mut parity)?;
    let how = if same { "the same plan" } else { "measured" };
    let row = |what, legacy, dataflow, limit, how| Row { what, legacy, dataflow, limit, how };
    parity.rows.push(row("time, ms", old_ms, new_ms, WORST_TIME, how));
    parity.rows.push(row("memory, bytes", bytes(&old_plan), bytes(&new_plan), MEMORY, "of the plan"));
    parity.rows.push(row("size, bytes", size(&old)?, size(&new)?, SIZE, "of the library"));
    let seconds = |it: Duration| it.as_secs_f64();
    parity.rows.push(row(
        "compile time, s",
        seconds(old_time),
        seconds(new_time),
        COMPILE_TIME,
        "measured once",
    ));
    Ok(parity)
}

/// The steps of plans, up to when outputs are allocated: from equal ones equal code is generated.
fn steps(plans: &PlanModule) -> String {
    let allocation = |it: &&str| it.trim_start().starts_with("alloc %out");
    let lines = |text: &str| text.lines().filter(|it| !allocation(it)).collect::<Vec<_>>().join("\n");
    plans.functions.iter().map(|it| lines(&print_plan(it).text)).collect::<Vec<_>>().join("\n")
}

/// Memory beside inputs, outputs and constants.
fn bytes(plans: &PlanModule) -> f64 {
    let sizes = plans.functions.iter().flat_map(|plan| {
        plan.arenas.iter().map(|it| plan.shapes.eval(it.bytes, &Env::default()).unwrap_or_default())
    });
    sizes.sum::<i64>() as f64
}

/// Bytes of the library.
fn size(artifact: &Artifact) -> Result<f64, Failure> {
    let folder = std::env::temp_dir().join(format!("orogen-parity-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|it| Failure::file(&folder, "write", it))?;
    let path = folder.join("model.so");
    let written = artifact.write_library(&path).map_err(Failure::from);
    let length = std::fs::metadata(&path).map_err(|it| Failure::file(&path, "read", it));
    let _ = std::fs::remove_dir_all(&folder);
    written?;
    Ok(length?.len() as f64)
}

/// Runs both on the same random inputs: the medians of their times in milliseconds. What differs is red.
fn calls(old: &Artifact, new: &Artifact, same: bool, parity: &mut Parity) -> Result<(f64, f64), Failure> {
    let (old, new) = (old.load()?, new.load()?);
    let function = inputs::function(&old, None)?.clone();
    let given = inputs::inputs(&function, None, 0, &[])?;
    let run = |library| {
        let mut given = given.clone();
        let start = Instant::now();
        let outputs = inputs::call(library, &function, &mut given)?;
        Ok::<_, Failure>((outputs, start.elapsed().as_secs_f64() * 1e3))
    };
    let (expected, _) = run(&old)?;
    let (got, _) = run(&new)?;
    for ((name, expected), (_, got)) in expected.iter().zip(&got) {
        let difference = crate::compare::difference(got, expected, &orogen::compare::Limits::default());
        if !difference.passes() {
            parity.red.push(("numerics", format!("output `{}` differs: {difference:?}", name.name)));
        }
    }
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..CALLS {
        times[0].push(run(&old)?.1);
        if !same {
            times[1].push(run(&new)?.1);
        }
    }
    let median = |mut it: Vec<f64>| {
        it.sort_by(f64::total_cmp);
        it[it.len() / 2]
    };
    let [old, new] = times;
    let old = median(old);
    Ok((old, if same { old } else { median(new) }))
}
