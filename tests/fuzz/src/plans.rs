//! Call plans: what the verifier lets pass is run by the interpreter of plans, which checks every access for itself, and
//! as code between pages that cannot be touched (laws Z3, Z4 and Z6).

use crate::compare::{data, differ, input};
use crate::guard;
use orogen::Library;
use orogen_abi::DLDataType;
use orogen_codegen::{CodegenOptions, Metadata};
use orogen_ir::diag::Diagnostics;
use orogen_ir::generate::Random;
use orogen_ir::kernel::Kernel;
use orogen_ir::plan::{CallPlan, PlanInput, PlanModule};
use orogen_ir::shape::Env;
use orogen_ir::types::{DType, TensorData};
use orogen_reference::{EvalErrorKind, Host, eval_plans_with};
use orogen_runtime::Tensor;

/// Most steps of one evaluation.
pub(crate) const STEPS: u64 = 1 << 22;

/// What the interpreter says of an access that no index of data is to blame for: laws of kernels exclude it.
const UNCHECKED: [&str; 2] = ["is loaded out of range", "is stored to out of range"];

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
            _ if UNCHECKED.iter().any(|it| error.to_string().contains(it)) => {
                Answer::Unlawful(error.to_string())
            }
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
pub(crate) fn inputs(plan: &CallPlan, random: &mut Random) -> Option<Vec<Tensor>> {
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
    input(dtype, dims, at_start, random)
}
