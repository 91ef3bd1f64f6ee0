//! The parity report of RFC 0002: a model on both paths, side by side.
//!
//! What is measured is noisy, so it is measured in pairs: both paths right after each other, now one first and now the other,
//! and the ratio of each pair is taken. A row says the median of the ratios and, as its noise, how far below it the lower
//! quartile is. It is red where that quartile is beyond the limit: a slower path is slower in three of four pairs, a
//! disturbed machine is not.

use crate::failure::Failure;
use crate::inputs;
use orogen::{Artifact, CompileOptions, Compiler, Diagnostics, Entry, Lowered, Model, OptIn, Step};
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
/// Of lines of plans and of machine code, which are the same each time.
const PLAN: f64 = 1.0;
const COMPILE_TIME: f64 = 1.25;
/// Pairs of timed bursts, of so many calls as take this long at least.
const BURSTS: usize = 21;
const BURST: Duration = Duration::from_millis(2);
/// Pairs of compilations, at least and at most; more than the first while all took less than this.
const COMPILATIONS: (usize, usize) = (3, 9);
const COMPILING: Duration = Duration::from_secs(10);
/// Sizes that dynamic dimensions get which have none, until the legacy path takes the model.
const OPEN: [u64; 5] = [1, 16, 64, 320, 640];

/// One number of a model on both paths.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What is measured, with its unit.
    pub(crate) what: &'static str,
    pub(crate) legacy: f64,
    pub(crate) dataflow: f64,
    /// The largest ratio that is no regression.
    pub(crate) limit: f64,
    /// The dataflow path by the legacy path; 1 where both are nothing.
    pub(crate) ratio: f64,
    /// How much of that may be noise.
    pub(crate) noise: f64,
    /// How it is known.
    pub(crate) how: &'static str,
}

impl Row {
    /// Two numbers that are no measurements.
    fn counted(what: &'static str, legacy: f64, dataflow: f64, limit: f64, how: &'static str) -> Row {
        let ratio = if dataflow == legacy { 1.0 } else { dataflow / legacy };
        Row { what, legacy, dataflow, limit, ratio, noise: 0.0, how }
    }

    /// Pairs of measurements, legacy first.
    fn measured(what: &'static str, pairs: &[(f64, f64)], limit: f64, how: &'static str) -> Row {
        let sorted = |of: &dyn Fn(&(f64, f64)) -> f64| {
            let mut all: Vec<f64> = pairs.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            all
        };
        let at = |all: &[f64], part: usize| all.get(all.len() * part / 4).copied().unwrap_or(f64::NAN);
        let ratios = sorted(&|it| it.1 / it.0);
        Row {
            what,
            legacy: at(&sorted(&|it| it.0), 2),
            dataflow: at(&sorted(&|it| it.1), 2),
            limit,
            ratio: at(&ratios, 2),
            noise: at(&ratios, 2) - at(&ratios, 1),
            how,
        }
    }

    pub(crate) fn is_red(&self) -> bool {
        self.ratio - self.noise > self.limit
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
    /// Why it was not run: both paths refuse what it is given at random.
    pub(crate) not_run: Option<String>,
    /// Sizes of its dynamic dimensions.
    pub(crate) dims: Vec<(String, u64)>,
    /// What is red and no number.
    pub(crate) red: Vec<(&'static str, String)>,
    pub(crate) rows: Vec<Row>,
}

impl Parity {
    /// What is red: the name of the row, why, and the ratio of a number.
    pub(crate) fn red_rows(&self) -> Vec<(&'static str, String, Option<f64>)> {
        let numbers = self.rows.iter().filter(|it| it.is_red());
        let numbers = numbers.map(|it| {
            let why = format!("{:.3} ± {:.3}, at most {:.2}", it.ratio, it.noise, it.limit);
            (it.what, why, Some(it.ratio))
        });
        self.red.iter().map(|it| (it.0, it.1.clone(), None)).chain(numbers).collect()
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
    /// Of a number: the largest ratio that is accepted.
    pub(crate) most: Option<f64>,
}

impl Accepted {
    /// Whether it speaks of this model.
    pub(crate) fn is_of(&self, model: &str) -> bool {
        Path::new(model).ends_with(&self.model)
    }

    /// Whether it accepts what is red: a row with the ratio, where it is a number.
    pub(crate) fn accepts(&self, model: &str, row: &str, ratio: Option<f64>) -> bool {
        let within = match (self.most, ratio) {
            (Some(most), Some(ratio)) => ratio <= most,
            _ => true,
        };
        self.is_of(model) && row.starts_with(&self.row) && within
    }
}

/// The file of accepted differences.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptedFile {
    #[serde(default)]
    pub(crate) accepted: Vec<Accepted>,
}

/// Compiles a model both ways and compares. Dynamic dimensions are bound: to the sizes that are given, else to the first of
/// [`OPEN`] with which the legacy path takes it. With `counted` nothing is timed.
pub(crate) fn compare(
    compiler: &Compiler,
    path: &Path,
    base: &CompileOptions,
    counted: bool,
) -> Result<Parity, Failure> {
    let model = compiler.open(path)?;
    let flow = CompileOptions { opt_in: OptIn::DataflowIr, entry: Entry::Ledger, ..base.clone() };
    let mut parity = Parity {
        model: path.display().to_string(),
        operators: Vec::new(),
        not_legacy: None,
        not_run: None,
        dims: Vec::new(),
        red: Vec::new(),
        rows: Vec::new(),
    };
    let lower = |options: &CompileOptions| {
        Ok::<_, Diagnostics>(planned(compiler.lower(&model, options, Step::PlanMemory)?.0))
    };
    let open = CompileOptions { dims: Vec::new(), ..flow.clone() };
    let mut names = Vec::new();
    if let Ok((_, report)) = compiler.lower(&model, &open, Step::Import) {
        parity.operators = report.import.operators.into_iter().collect();
        names = report.import.dims;
    }
    let mut old_plan = None;
    for size in if names.is_empty() { &OPEN[..1] } else { &OPEN[..] } {
        let chosen = |name: &String| base.dims.iter().find(|it| it.0 == *name).map_or(*size, |it| it.1);
        let dims: Vec<(String, u64)> = names.iter().map(|it| (it.clone(), chosen(it))).collect();
        let legacy = CompileOptions { opt_in: OptIn::Legacy, dims: dims.clone(), ..flow.clone() };
        match lower(&legacy) {
            Ok(plan) => {
                (old_plan, parity.dims) = (Some(plan), dims);
                break;
            }
            // What refuses small sizes may be a window that does not fit; the last refusal is of what the model is.
            Err(found) => {
                let first = found.iter().next();
                let said = first.map_or_else(String::new, |it| format!("{}: {}", it.code, it.message));
                parity.not_legacy = Some(said);
            }
        }
    }
    let Some(old_plan) = old_plan else { return Ok(parity) };
    parity.not_legacy = None;
    let flow = CompileOptions { dims: parity.dims.clone(), ..flow };
    let legacy = CompileOptions { opt_in: OptIn::Legacy, ..flow.clone() };
    let new_plan = match lower(&flow) {
        Ok(it) => it,
        Err(found) => {
            parity.red.push(("refused", found.to_string()));
            return Ok(parity);
        }
    };
    let text = steps(&new_plan);
    for line in orogen::passes::bridge::admissible(orogen::passes::bridge::LEDGER) {
        let options = CompileOptions { entry: Entry::Above(line), ..flow.clone() };
        if line > Step::PlanMemory {
            continue;
        }
        match lower(&options) {
            Ok(plan) if steps(&plan) == text => {}
            Ok(_) => parity.red.push(("waterline", format!("at `{line}` the plan is another one"))),
            Err(found) => parity.red.push(("waterline", format!("at `{line}` it is refused: {found}"))),
        }
    }
    let (old, new, compile_time) = match counted {
        true => (compiler.compile(&model, &legacy)?, compiler.compile(&model, &flow)?, None),
        false => compiled(compiler, &model, &legacy, &flow).map(|it| (it.0, it.1, Some(it.2)))?,
    };
    let old_text = steps(&old_plan);
    let timed = if counted { None } else { Some(old_text == text) };
    if let Some(row) = calls(&old, &new, timed, &mut parity)? {
        parity.rows.push(row);
    }
    let lines = |it: &str| it.lines().count() as f64;
    if counted {
        parity.rows.push(Row::counted("plan, lines", lines(&old_text), lines(&text), PLAN, "of the plan"));
        parity.rows.push(Row::counted("code, bytes", code(&old)?, code(&new)?, PLAN, "of kernels"));
    }
    let (of_plan, of_library) = ("of the plan", "of the library");
    parity.rows.push(Row::counted("memory, bytes", bytes(&old_plan), bytes(&new_plan), MEMORY, of_plan));
    parity.rows.push(Row::counted("size, bytes", size(&old)?, size(&new)?, SIZE, of_library));
    parity.rows.extend(compile_time);
    Ok(parity)
}

/// The plans of a model that was lowered to them.
fn planned(lowered: Lowered) -> PlanModule {
    match lowered {
        Lowered::Plan(plans) => plans,
        Lowered::Graph(_) | Lowered::Flow(_) => PlanModule::default(),
    }
}

/// Both compiled, several times, and how long that took.
fn compiled(
    compiler: &Compiler,
    model: &Model,
    legacy: &CompileOptions,
    flow: &CompileOptions,
) -> Result<(Artifact, Artifact, Row), Failure> {
    let timed = |options| {
        let start = Instant::now();
        let made = compiler.compile(model, options)?;
        Ok::<_, Failure>((made, start.elapsed().as_secs_f64()))
    };
    // What is done once in a process is done.
    let (mut old, mut new) = (timed(legacy)?.0, timed(flow)?.0);
    let (mut pairs, start) = (Vec::new(), Instant::now());
    while pairs.len() < COMPILATIONS.0 || (pairs.len() < COMPILATIONS.1 && start.elapsed() < COMPILING) {
        let ahead = (pairs.len() % 2 == 1).then(|| timed(flow)).transpose()?;
        let (made, old_time) = timed(legacy)?;
        old = made;
        let new_time;
        (new, new_time) = ahead.map_or_else(|| timed(flow), Ok)?;
        pairs.push((old_time, new_time));
    }
    Ok((old, new, Row::measured("compile time, s", &pairs, COMPILE_TIME, "pairs of compilations")))
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

/// Bytes of the machine code of kernels: what is around them depends on where outputs are allocated.
fn code(artifact: &Artifact) -> Result<f64, Failure> {
    let code = artifact.code()?;
    Ok((code.kernels.iter().map(|it| it.own).sum::<u64>() + code.routines) as f64)
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

/// Runs both on the same random inputs, and says how long that takes, if it is wanted: `timed` says whether the plans are
/// the same. What differs is red.
fn calls(
    old: &Artifact,
    new: &Artifact,
    timed: Option<bool>,
    parity: &mut Parity,
) -> Result<Option<Row>, Failure> {
    let (old, new) = (old.load()?, new.load()?);
    let function = inputs::function(&old, None)?.clone();
    let given = inputs::inputs(&function, None, 0, &[])?;
    let run = |library, calls: usize| {
        let mut given = given.clone();
        let start = Instant::now();
        let mut outputs = inputs::call(library, &function, &mut given)?;
        for _ in 1..calls {
            outputs = inputs::call(library, &function, &mut given)?;
        }
        Ok::<_, Failure>((outputs, start.elapsed().as_secs_f64() * 1e3 / calls as f64))
    };
    let (expected, got) = match (run(&old, 1), run(&new, 1)) {
        (Ok(expected), Ok(got)) => (expected.0, got.0),
        (Err(why), Err(_)) => {
            parity.not_run = Some(why.message());
            return Ok(None);
        }
        (old, new) => {
            let which = if old.is_ok() { "dataflow" } else { "legacy" };
            let why = old.err().or(new.err()).map_or_else(String::new, |it| it.message());
            parity.red.push(("numerics", format!("the {which} path alone fails: {why}")));
            return Ok(None);
        }
    };
    for ((name, expected), (_, got)) in expected.iter().zip(&got) {
        let difference = crate::compare::difference(got, expected, &orogen::compare::Limits::default());
        if !difference.passes() {
            parity.red.push(("numerics", format!("output `{}` differs: {difference}", name.name)));
        }
    }
    let Some(same) = timed else { return Ok(None) };
    if same {
        let time = run(&old, 1)?.1;
        return Ok(Some(Row::counted("time, ms", time, time, WORST_TIME, "the same plan")));
    }
    let once = run(&old, 1)?.1.max(1e-4);
    let burst = ((BURST.as_secs_f64() * 1e3 / once) as usize).clamp(1, 1000);
    let mut pairs = Vec::new();
    for i in 0..BURSTS {
        let first = if i % 2 == 0 { None } else { Some(run(&new, burst)?.1) };
        let legacy = run(&old, burst)?.1;
        let dataflow = first.map_or_else(|| run(&new, burst).map(|it| it.1), Ok)?;
        pairs.push((legacy, dataflow));
    }
    Ok(Some(Row::measured("time, ms", &pairs, WORST_TIME, "pairs of bursts")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_not_red_and_what_is_slower_is() {
        // Every fifth pair is disturbed, on one side or the other.
        let disturbed = |slower: f64| -> Vec<(f64, f64)> {
            (0..20)
                .map(|i| (if i % 10 == 0 { 3.0 } else { 1.0 }, if i % 10 == 5 { 4.0 } else { slower }))
                .collect()
        };
        let row = |slower: f64| Row::measured("time, ms", &disturbed(slower), 1.05, "");
        assert!(!row(1.0).is_red() && !row(1.04).is_red(), "{:?}", row(1.0));
        assert!(row(1.07).is_red() && (row(1.07).ratio - 1.07).abs() < 1e-9, "{:?}", row(1.07));
        // A machine that does something else all the time says nothing.
        let wild: Vec<(f64, f64)> = (0..20).map(|i| (1.0, if i % 2 == 0 { 0.8 } else { 1.5 })).collect();
        assert!(!Row::measured("time, ms", &wild, 1.05, "").is_red());
    }

    #[test]
    fn what_is_counted_has_no_noise() {
        assert!(!Row::counted("memory, bytes", 0.0, 0.0, MEMORY, "").is_red());
        assert!(Row::counted("memory, bytes", 64.0, 128.0, MEMORY, "").is_red());
        assert!(Row::counted("memory, bytes", 0.0, 64.0, MEMORY, "").is_red());
    }
}
