//! Whole models: import, both paths, a run between guard pages, the interpreter.

use crate::outcome::Outcome;
use crate::setup::Setup;
use crate::{guard, mutate};
use orogen::{CompileOptions, Entry, Library, Lowered, Model, OptIn, Step};
use orogen_abi::DLDataType;
use orogen_abi::signature::{Dim, Function};
use orogen_ir::diag::Diagnostics;
use orogen_ir::generate::Random;
use orogen_ir::ops::OpRegistry;
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::ModelProto;
use orogen_reference::Value;
use orogen_runtime::Tensor;

/// Most bytes of an input of a run.
const MOST_INPUT: u64 = 1 << 20;
/// Most elements of inputs and outputs that the interpreter is asked about.
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
        CompileOptions { opt_in: OptIn::DataflowIr, entry: Entry::Native, ..CompileOptions::default() };
    let flow = CompileOptions { verify: true, threads: 1, ..flow };
    let legacy = CompileOptions { opt_in: OptIn::Legacy, ..flow.clone() };
    let module = match setup.compiler.lower(&model, &flow, Step::Import) {
        Ok((Lowered::Flow(module), _)) => module,
        Ok(_) => return Outcome::Broken("the dataflow path gives no module".to_string()),
        Err(found) => return refused(&found, "import"),
    };
    let first = match library(setup, &model, &flow) {
        Ok(library) => library,
        Err(found) => return refused(&found, "the dataflow path"),
    };
    let second = match library(setup, &model, &legacy) {
        Ok(library) => Some(library),
        Err(found) => match refused(&found, "the legacy path") {
            Outcome::Broken(what) => return Outcome::Broken(what),
            _ => None,
        },
    };
    // A loop may run without end for a reason of its own.
    let text = orogen_ir::flow::text::print(&module, setup.compiler.ops());
    if text.contains("while") {
        return Outcome::Held;
    }
    let mut random = Random::new(bytes.len() as u64);
    for turn in 0..3 {
        let Some(function) = first.signature().functions.first() else { return Outcome::Refused };
        let Some(inputs) = inputs(function, &mut random, turn % 2 == 0) else { return Outcome::Refused };
        let found = first.run(&inputs).map_err(|it| it.to_string());
        let Ok(outputs) = found else { continue };
        if let Some(second) = &second {
            match second.run(&inputs) {
                Ok(others) => {
                    if let Some(what) = differ(&outputs, &others, exact) {
                        return Outcome::Broken(format!("the paths differ: {what}"));
                    }
                }
                Err(error) => return Outcome::Broken(format!("the legacy path alone fails: {error}")),
            }
        }
        let elements = |list: &[Tensor]| list.iter().map(Tensor::len).sum::<usize>();
        if elements(&inputs) + elements(&outputs) > MOST_INTERPRETED {
            continue;
        }
        let args: Option<Vec<Value>> = inputs.iter().map(|it| data(it).map(Value::from)).collect();
        let Some(args) = args else { continue };
        match orogen_reference::eval_function(setup.compiler.ops(), &module, "main", &args) {
            Ok(wanted) => {
                let wanted: Vec<TensorData> =
                    wanted.iter().filter_map(|it| it.as_tensor().cloned()).collect();
                let found: Vec<TensorData> = outputs.iter().filter_map(data).collect();
                if let Some(what) = differ_data(&found, &wanted, exact) {
                    return Outcome::Broken(format!("the interpreter differs: {what}"));
                }
            }
            Err(error) => return Outcome::Broken(format!("the interpreter alone fails: {error}")),
        }
    }
    Outcome::Held
}

fn library(setup: &Setup, model: &Model, options: &CompileOptions) -> Result<Library, Diagnostics> {
    setup.compiler.compile(model, options)?.load()
}

/// Inputs between guard pages; `None` when they would be large.
fn inputs(function: &Function, random: &mut Random, at_start: bool) -> Option<Vec<Tensor>> {
    let mut sizes: Vec<(String, i64)> = Vec::new();
    let mut tensors = Vec::new();
    for input in &function.inputs {
        let mut shape = Vec::new();
        for dim in &input.dims {
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
        let bytes = shape.iter().try_fold(input.dtype.byte_size() as u64, |product, extent| {
            product.checked_mul(u64::try_from(*extent).ok()?).filter(|it| *it <= MOST_INPUT)
        })?;
        let mut data = vec![0; bytes as usize];
        fill(input.dtype, &mut data, random);
        tensors.push(guard::tensor(input.dtype, &shape, &data, at_start).ok()?);
    }
    Some(tensors)
}

fn fill(dtype: DLDataType, bytes: &mut [u8], random: &mut Random) {
    match dtype {
        DLDataType::F32 => {
            bytes
                .chunks_exact_mut(4)
                .for_each(|it| it.copy_from_slice(&(random.small_float() as f32).to_le_bytes()));
        }
        DLDataType::F64 => {
            bytes.chunks_exact_mut(8).for_each(|it| it.copy_from_slice(&random.small_float().to_le_bytes()));
        }
        DLDataType::F16 | DLDataType::BF16 => {
            // 0, or a power of two near 1 in both formats.
            bytes
                .chunks_exact_mut(2)
                .for_each(|it| it.copy_from_slice(&random.pick(&[0u16, 0x3c00, 0x3f80]).to_le_bytes()));
        }
        dtype => {
            let size = dtype.byte_size().max(1);
            // Mostly what can be an index, now and then what cannot.
            bytes.chunks_exact_mut(size).for_each(|it| {
                let value: i64 = match random.below(12) {
                    0 if size > 1 => random.pick(&[-1, 100, i64::MAX, i64::MIN, 1 << 33]),
                    _ => random.below(2) as i64,
                };
                it.copy_from_slice(&value.to_le_bytes()[..size]);
            });
        }
    }
}

fn data(tensor: &Tensor) -> Option<TensorData> {
    let dtype: DType = tensor.dtype().to_string().parse().ok()?;
    let dims = tensor.shape().iter().map(|it| u64::try_from(*it)).collect::<Result<_, _>>().ok()?;
    TensorData::new(dtype, dims, tensor.as_bytes().ok()?.to_vec().into()).ok()
}

fn differ(found: &[Tensor], wanted: &[Tensor], exact: bool) -> Option<String> {
    let (found, wanted): (Vec<_>, Vec<_>) =
        (found.iter().filter_map(data).collect(), wanted.iter().filter_map(data).collect());
    differ_data(&found, &wanted, exact)
}

/// Law Z4. Types and shapes always agree; values where nothing in the model jumps.
fn differ_data(found: &[TensorData], wanted: &[TensorData], exact: bool) -> Option<String> {
    if found.len() != wanted.len() {
        return Some(format!("{} outputs and {}", found.len(), wanted.len()));
    }
    for (i, (a, b)) in found.iter().zip(wanted).enumerate() {
        if (a.dtype(), a.dims()) != (b.dtype(), b.dims()) {
            let [a, b] = [a, b].map(|it| format!("{} {:?}", it.dtype(), it.dims()));
            return Some(format!("output {i} is {a} and {b}"));
        }
        // Half of the digits of the element type: kernels sum in another order.
        let tolerance = match a.dtype() {
            DType::F16 | DType::BF16 => 0.1,
            _ => 2e-3,
        };
        let (a, b) = (a.to_f64(), b.to_f64());
        let largest = b.iter().filter(|it| it.is_finite()).fold(1.0f64, |most, it| most.max(it.abs()));
        let close = |a: f64, b: f64| {
            a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * largest || largest > 1e6
        };
        let differs = a.iter().zip(&b).position(|(a, b)| !close(*a, *b));
        if let Some(at) = differs.filter(|_| exact) {
            return Some(format!("element {at} of output {i} is {} and {}", a[at], b[at]));
        }
    }
    None
}

/// The generated models of one seed: the graph as a graph and as a module.
pub(crate) fn run_generated(setup: &Setup, seed: u64) -> Outcome {
    let ops = setup.compiler.ops();
    match generated(ops, seed) {
        Ok(()) => Outcome::Held,
        Err(what) => Outcome::Broken(what),
    }
}

/// Laws of plans: what is planned is lawful, and does what the module does.
fn generated(ops: &OpRegistry, seed: u64) -> Result<(), String> {
    use orogen_passes::manager::{Pass, PassCx};
    use orogen_passes::rules::legalize::LegalizeTable;
    let mut module = orogen_ir::flow::random_module(ops, seed);
    let passes: [Box<dyn Pass<orogen_ir::flow::Module>>; 4] = [
        Box::new(orogen_passes::flow::Canonicalize),
        Box::new(orogen_passes::flow::ApplyRules::simplify(ops)),
        Box::new(orogen_passes::flow::Legalize::new(LegalizeTable::standard(ops))),
        Box::new(orogen_passes::flow::Fuse),
    ];
    for pass in passes {
        if pass.run(&mut module, &mut PassCx::new(ops)).is_err() {
            return Ok(());
        }
        module.verify(ops).map_err(|it| format!("after {}: {it}", pass.name()))?;
    }
    Ok(())
}
