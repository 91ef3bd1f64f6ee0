//! Whole models: import, both paths, a run between guard pages, the interpreter.

use crate::compare::{data, input};
use crate::outcome::Outcome;
use crate::setup::Setup;
use crate::{mutate, plans};
use orogen::{CompileOptions, Library, Lowered, Model, OptIn, Step};
use orogen_abi::signature::{Dim, Function};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::generate::Random;
use orogen_ir::plan::PlanModule;
use orogen_ir::types::TensorData;
use orogen_onnx::proto::ModelProto;
use orogen_reference::{EvalErrorKind, Value, eval_function_with};
use orogen_runtime::Tensor;

/// Most elements of inputs that the interpreters are asked about.
const MOST_INTERPRETED: usize = 1 << 14;

/// Operators where a difference in the last bit is a difference in the result.
const JUMPS: [&str; 22] = [
    "Cast",
    "CastLike",
    "Floor",
    "Ceil",
    "Round",
    "Sign",
    "ArgMax",
    "ArgMin",
    "TopK",
    "Equal",
    "Less",
    "Greater",
    "LessOrEqual",
    "GreaterOrEqual",
    "Mod",
    "QuantizeLinear",
    "DynamicQuantizeLinear",
    "Tan",
    "Div",
    "Hardmax",
    "Not",
    "Pow",
];

/// A model of the corpus with other bytes.
pub(crate) fn changed_bytes(setup: &Setup, random: &mut Random) -> Vec<u8> {
    let mut bytes = setup.models[random.below(setup.models.len())].clone();
    mutate::bytes(random, &mut bytes);
    bytes
}

/// A model of the corpus with another structure.
pub(crate) fn changed_model(setup: &Setup, random: &mut Random) -> Vec<u8> {
    let bytes = &setup.models[random.below(setup.models.len())];
    let Some(mut proto) = ModelProto::from_bytes(bytes) else { return bytes.clone() };
    mutate::model(random, &mut proto);
    proto.to_bytes()
}

/// Law Z2.
fn refused(found: &Diagnostics, what: &str) -> Outcome {
    let text = found.to_string();
    match text.contains("defect of the compiler") {
        true => Outcome::Broken(format!("{what}: {text}")),
        false => Outcome::Refused,
    }
}

/// Everything that can be done with a file.
pub(crate) fn run(setup: &Setup, bytes: &[u8]) -> Outcome {
    let model = match setup.compiler.decode("model.onnx", bytes.to_vec()) {
        Ok(model) => model,
        Err(found) => return refused(&found, "decoding"),
    };
    let exact = ModelProto::from_bytes(bytes).is_some_and(|it| {
        let nodes = it.graph.map(|it| it.node).unwrap_or_default();
        nodes.iter().all(|it| !JUMPS.contains(&it.op_type.as_str()))
    });
    let flow =
        CompileOptions { opt_in: OptIn::DataflowIr, verify: true, threads: 1, ..CompileOptions::default() };
    let legacy = CompileOptions { opt_in: OptIn::Legacy, ..flow.clone() };
    let module = match setup.compiler.lower(&model, &flow, Step::Import) {
        Ok((Lowered::Flow(module), _)) => module,
        Ok(_) => return Outcome::Broken("the dataflow path gives no module".to_string()),
        Err(found) => return refused(&found, "import"),
    };
    let (plans, first) = match planned(setup, &model, &flow) {
        Ok(it) => it,
        Err(found) => return refused(&found, "the dataflow path"),
    };
    let second = match planned(setup, &model, &legacy) {
        Ok(it) => Some(it),
        Err(found) => match refused(&found, "the legacy path") {
            Outcome::Broken(what) => return Outcome::Broken(what),
            _ => None,
        },
    };
    let Some(function) = first.signature().functions.first() else { return Outcome::Refused };
    // Convolutions may leave the zeros of padding out of their sums or multiply them by weights, which differs where
    // weights are no finite numbers.
    let text = orogen_ir::flow::text::print(&module, setup.compiler.ops());
    let exact = exact && !(text.contains("conv") && (text.contains("nan") || text.contains("inf")));
    let mut random = Random::new(bytes.len() as u64);
    for turn in 0..3 {
        let Some(inputs) = inputs(function, &mut random, turn % 2 == 0) else { return Outcome::Refused };
        let Some(args) = inputs.iter().map(data).collect::<Option<Vec<TensorData>>>() else { continue };
        if args.iter().map(TensorData::len).sum::<usize>() > MOST_INTERPRETED {
            continue;
        }
        let values: Vec<Value> = args.into_iter().map(Value::from).collect();
        let host = plans::host(plans::STEPS);
        let wanted = match eval_function_with(&host, setup.compiler.ops(), &module, "main", &values) {
            Ok(wanted) => Some(wanted.iter().filter_map(|it| it.as_tensor().cloned()).collect::<Vec<_>>()),
            // Code has no limit of its own.
            Err(error) if error.kind == EvalErrorKind::LimitReached => continue,
            Err(_) => None,
        };
        for (path, made) in
            [("dataflow", Some((&plans, &first))), ("legacy", second.as_ref().map(|it| (&it.0, &it.1)))]
        {
            let Some((plans, library)) = made else { continue };
            if let Err(what) = plans::check(plans, Some(library), &inputs, wanted.as_deref(), exact) {
                return Outcome::Broken(format!("the {path} path: {what}"));
            }
        }
    }
    Outcome::Held
}

/// The plans of a model and their code.
fn planned(
    setup: &Setup,
    model: &Model,
    options: &CompileOptions,
) -> Result<(PlanModule, Library), Diagnostics> {
    let Lowered::Plan(plans) = setup.compiler.lower(model, options, Step::PlanMemory)?.0 else {
        return Err(Diagnostic::error("D001", "this is a defect of the compiler: no plan").into());
    };
    match plans::library(&plans)? {
        Some(library) => Ok((plans, library)),
        None => Err(Diagnostic::error("D001", "functions of a host").into()),
    }
}

/// Inputs between guard pages; `None` when they would be large, or are objects: those are compiled, and not called.
fn inputs(function: &Function, random: &mut Random, at_start: bool) -> Option<Vec<Tensor>> {
    let mut sizes: Vec<(String, i64)> = Vec::new();
    let mut tensors = Vec::new();
    for given in &function.inputs {
        if given.object.is_some() {
            return None;
        }
        let mut shape = Vec::new();
        for dim in &given.dims {
            shape.push(match dim {
                Dim::Fixed(extent) => *extent,
                Dim::Symbolic(name) => match sizes.iter().find(|it| it.0 == *name) {
                    Some((_, size)) => *size,
                    None => {
                        let size = random.pick(&[1, 2, 3, 5, 0, 17]);
                        sizes.push((name.clone(), size));
                        size
                    }
                },
            });
        }
        tensors.push(input(given.dtype, &shape, at_start, random)?);
    }
    Some(tensors)
}
