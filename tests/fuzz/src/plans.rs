//! Call plans: what the verifier lets pass is run by the interpreter of plans, which checks every access for itself, and
//! as code between pages that cannot be touched (laws Z3, Z4 and Z6).

use crate::compare::{data, differ, fill, is_smooth};
use crate::guard;
use crate::outcome::Outcome;
use crate::setup::Setup;
use orogen::Library;
use orogen_abi::DLDataType;
use orogen_codegen::{CodegenOptions, Metadata};
use orogen_ir::diag::Diagnostics;
use orogen_ir::generate::Random;
use orogen_ir::kernel::Kernel;
use orogen_ir::plan::{self, PlanInput, PlanModule};
use orogen_ir::shape::Env;
use orogen_ir::types::{ConstPool, DType, TensorData};
use orogen_reference::{EvalErrorKind, Host, eval_plans_with};
use orogen_runtime::Tensor;

/// Most steps of one evaluation.
pub(crate) const STEPS: u64 = 1 << 22;
/// Most bytes of an input.
pub(crate) const MOST_INPUT: u64 = 1 << 20;

/// What an evaluation came to.
pub(crate) enum Answer {
    /// Outputs.
    Values(Vec<TensorData>),
    /// The call is an error for a reason of the model or of its inputs.
    Refused(String),
    /// It takes more steps than it may.
    TooLong,
    /// The plan did what no lawful plan does.
    Unlawful(String),
}

/// A host whose functions give back what they get, as the externs of generated programs say.
pub(crate) fn host(steps: u64) -> Host<'static> {
    ["observe", "guess", "twice"].iter().fold(Host::new().with_limit(steps), |host, name| {
        host.with(&format!("test.{name}"), |args, _| Ok(args.to_vec()))
    })
}

/// What the interpreter of plans says.
pub(crate) fn evaluate(plans: &PlanModule, inputs: &[TensorData]) -> Answer {
    let Some(entry) = plans.entry() else { return Answer::Refused("there is no function".to_string()) };
    match eval_plans_with(&host(STEPS), plans, &entry.name, inputs) {
        Ok(values) => Answer::Values(values),
        Err(error) => match error.kind {
            EvalErrorKind::LimitReached => Answer::TooLong,
            EvalErrorKind::Invalid | EvalErrorKind::Uninitialised => Answer::Unlawful(error.to_string()),
            _ => Answer::Refused(error.to_string()),
        },
    }
}

/// The code of plans, whose constants lie between pages that cannot be touched; `None` where functions of a host are
/// called or state is written.
pub(crate) fn library(plans: &PlanModule) -> Result<Option<Library>, Diagnostics> {
    let calls = plans.kernels().iter().any(|it| matches!(it, Kernel::Extern(_)));
    let renews = plans.functions.iter().any(|it| it.outputs.iter().any(|it| it.over().is_some()));
    if calls || renews {
        return Ok(None);
    }
    let options = CodegenOptions { threads: 1, separate: Some(1), ..CodegenOptions::default() };
    let compiled = orogen_codegen::compile(plans, &Metadata::default(), &options)?;
    guard::load(&compiled).map(Some)
}

/// Law Z6: a plan that was let pass does nothing unlawful; law Z4: it and its code come to the same. `library` is the code,
/// `wanted` what the program computes that the plan was made of, where that is known.
pub(crate) fn check(
    plans: &PlanModule,
    library: Option<&Library>,
    inputs: &[Tensor],
    wanted: Option<&[TensorData]>,
    smooth: bool,
) -> Result<(), String> {
    let Some(args) = inputs.iter().map(data).collect::<Option<Vec<TensorData>>>() else { return Ok(()) };
    let answer = match evaluate(plans, &args) {
        Answer::Unlawful(what) => return Err(format!("the plan is unlawful: {what}")),
        Answer::TooLong => return Ok(()),
        Answer::Values(values) => Ok(values),
        Answer::Refused(why) => Err(why),
    };
    match (&answer, wanted) {
        (Ok(found), Some(wanted)) => {
            if let Some(what) = differ(found, wanted, smooth) {
                return Err(format!("the plan computes something else: {what}"));
            }
        }
        (Err(why), Some(_)) => return Err(format!("the plan alone fails: {why}")),
        (_, None) => {}
    }
    let Some(library) = library else { return Ok(()) };
    match (library.run(inputs), &answer) {
        (Ok(found), Ok(wanted)) => {
            let found: Vec<TensorData> = found.iter().filter_map(data).collect();
            differ(&found, wanted, smooth).map_or(Ok(()), |it| Err(format!("code and plan differ: {it}")))
        }
        (Ok(_), Err(why)) => Err(format!("the plan fails, but not its code: {why}")),
        (Err(error), Ok(_)) => Err(format!("the code fails, but not its plan: {error}")),
        (Err(error), Err(_)) if error.to_string().is_empty() => Err("an error without a text".to_string()),
        (Err(_), Err(_)) => Ok(()),
    }
}

/// Tensors of these types between guard pages, each symbol at a size that the seed chooses; `None` when they would be
/// large or no size.
pub(crate) fn inputs(plan: &plan::CallPlan, random: &mut Random) -> Option<Vec<Tensor>> {
    // Results that are objects have nothing to be compared with yet.
    plan.outputs.iter().all(|it| it.tensor().is_some()).then_some(())?;
    let env: Env = plan.shapes.symbols().map(|it| (it, random.pick(&[1, 2, 3, 5, 0, 17]))).collect();
    let at_start = random.coin();
    let tensor = |it: &PlanInput| {
        let it = it.tensor()?;
        let dims = it.dims.iter().map(|it| plan.shapes.eval(*it, &env).filter(|it| *it >= 0));
        tensor(it.dtype, &dims.collect::<Option<Vec<i64>>>()?, at_start, random)
    };
    plan.inputs.iter().map(tensor).collect()
}

/// A tensor between guard pages; `None` when it would be large.
pub(crate) fn tensor(dtype: DType, dims: &[i64], at_start: bool, random: &mut Random) -> Option<Tensor> {
    let dtype: DLDataType = DLDataType::from_name(&dtype.to_string())?;
    let bytes = dims.iter().try_fold(dtype.byte_size() as u64, |product, extent| {
        product.checked_mul(u64::try_from(*extent).ok()?).filter(|it| *it <= MOST_INPUT)
    })?;
    let mut data = vec![0; bytes as usize];
    fill(dtype, &mut data, random);
    guard::tensor(dtype, dims, &data, at_start).ok()
}

/// The text of the plan of a generated program, with changes of numbers, operands and lines.
pub(crate) fn changed(setup: &Setup, random: &mut Random) -> Vec<u8> {
    let seed = random.number() % 8192;
    let text = if random.coin() {
        crate::programs::graph_plan(setup, seed)
    } else {
        crate::programs::module_plan(setup, seed)
    };
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
    let Ok(mut plans) = plan::parse_plans(text, &ConstPool::default()) else { return Outcome::Refused };
    if plan::prove_module(&mut plans).is_err() {
        return Outcome::Refused;
    }
    let library = match library(&plans) {
        Ok(library) => library,
        Err(found) if found.to_string().contains("defect of the compiler") => {
            return Outcome::Broken(format!("the code of a lawful plan: {found}"));
        }
        Err(_) => None,
    };
    let Some(entry) = plans.entry() else { return Outcome::Refused };
    let mut random = Random::new(input.len() as u64);
    let smooth = is_smooth(text);
    for _ in 0..3 {
        let Some(inputs) = inputs(entry, &mut random) else { return Outcome::Refused };
        if let Err(what) = check(&plans, library.as_ref(), &inputs, None, smooth) {
            return Outcome::Broken(what);
        }
    }
    Outcome::Held
}
