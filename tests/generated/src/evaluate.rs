//! What a node computes: the reference interpreter on a model of that node alone.

use crate::attributes::{declared, named, tensor_proto};
use crate::draw::{Draw, MOST_ELEMENTS, captured};
use crate::setup::Setup;
use crate::value::{Kind, Rounding, Sample, Val, is_stable, mirrored, shaken_value, unit};
use orogen::{CompileOptions, Entry, Lowered, OptIn, Step};
use orogen_ir::flow::Module;
use orogen_ir::types::{DType, TensorData, Type};
use orogen_onnx::proto::*;
use orogen_reference::{Host, Value, eval_function_with};

/// Steps of the interpreter for one node.
const STEPS: u64 = 400_000;

/// The results of a node in every setting; `None` where it cannot be imported or computed.
pub(crate) fn evaluate(draw: &mut Draw<'_>, node: &NodeProto, rounding: Rounding) -> Option<Vec<Val>> {
    let mut names: Vec<String> = node.input.iter().filter(|it| !it.is_empty()).cloned().collect();
    names.extend(captured(node));
    names.sort();
    names.dedup();
    let operands: Vec<Val> = names.iter().map(|it| draw.lookup(it).cloned()).collect::<Option<_>>()?;
    let module = alone(draw, node, &operands, 0.0)?;
    let (_, function) = module.entry()?;
    let kinds: Vec<Kind> = function
        .outputs()
        .iter()
        .zip(&function[function.body()].results)
        .filter(|it| !it.0.gives_rank)
        .map(|it| kind(&function[*it.1].ty))
        .collect::<Option<_>>()?;
    let given: Vec<&Val> = function
        .params()
        .iter()
        .map(|it| operands.iter().find(|operand| operand.name == it.name))
        .collect::<Option<_>>()?;
    // Integers turn on the last bit of the scales that they are made with, which are constants as a rule.
    let exact = |it: &Kind| matches!(it, Kind::Tensor(dtype) if !dtype.is_float());
    let scaled = rounding == Rounding::Function && kinds.iter().any(exact) && operands.iter().any(is_scale);
    let off = match scaled {
        true => Some([alone(draw, node, &operands, 1.0)?, alone(draw, node, &operands, -1.0)?]),
        false => None,
    };
    let modules = off.as_ref().map_or([&module; 2], |it| [&it[0], &it[1]]);
    let ops = draw.setup.compiler.ops();
    let all_settings = draw.settings();
    let random = &mut draw.random;
    let mut results: Vec<Vec<Sample>> = vec![Vec::new(); kinds.len()];
    let settings = operands.iter().map(|it| it.samples.len()).max().unwrap_or(all_settings);
    for setting in 0..settings {
        let host = Host::new().with_limit(STEPS);
        let operands: Vec<Value> = given.iter().map(|it| it.samples[setting].plain.clone()).collect();
        let shaken = given.iter().map(|it| match rounding {
            Rounding::Function => shaken_value(&it.samples[setting].shaken, rounding, 0.0, random),
            _ => it.samples[setting].shaken.clone(),
        });
        let shaken: Vec<Value> = shaken.collect();
        let compute = |module: &Module, operands: &[Value]| {
            let (name, _) = module.entry()?;
            let results = eval_function_with(&host, ops, module, name, operands).ok()?;
            (results.len() == kinds.len()).then_some(results)
        };
        let plain = compute(&module, &operands)?;
        let off = match shaken == operands && !scaled {
            true => plain.clone(),
            false => {
                // What is stable in one direction only says little, as where an element lies on the border between two results.
                let other: Vec<Value> = operands.iter().zip(&shaken).map(|it| mirrored(it.0, it.1)).collect();
                let (off, other) = (compute(modules[0], &shaken)?, compute(modules[1], &other)?);
                let both = plain.iter().zip(other).map(|it| Sample { plain: it.0.clone(), shaken: it.1 });
                if !both.into_iter().all(|it| is_stable(&it, draw.special, MOST_ELEMENTS)) {
                    return None;
                }
                off
            }
        };
        // Functions compute with numbers of the size of their operands, which may cancel out.
        let scale = match rounding {
            Rounding::Function => operands.iter().map(magnitude).fold(0.0, f64::max) / 8.0,
            Rounding::Exact | Rounding::Arithmetic => 0.0,
        };
        for (result, (plain, off)) in results.iter_mut().zip(plain.into_iter().zip(off)) {
            let shaken = shaken_value(&off, rounding, scale, random);
            result.push(Sample { plain, shaken });
        }
    }
    let all = kinds.into_iter().zip(results).zip(&node.output);
    let value = |((kind, samples), name): ((Kind, Vec<Sample>), &String)| Val {
        name: name.clone(),
        kind,
        samples,
        constant: false,
        visible: true,
        uses: 0,
    };
    Some(all.map(value).collect())
}

/// Whether it is a constant that may be off: of floats.
fn is_scale(operand: &Val) -> bool {
    operand.constant && operand.dtype().is_some_and(|it| unit(it) > 0.0)
}

/// A node as the importer gives it, with constants that are off by so many errors of their type, each by another number.
fn alone(draw: &Draw<'_>, node: &NodeProto, operands: &[Val], off: f64) -> Option<Module> {
    let mut graph = GraphProto { node: vec![node.clone()], name: "node".into(), ..GraphProto::default() };
    let mut errors = off;
    for operand in operands {
        match operand.constant {
            true if off != 0.0 && is_scale(operand) => {
                let data = operand.data()?;
                let by = 1.0 + errors * unit(data.dtype());
                let elements = data.to_f64().into_iter().map(|it| it * by);
                let data = TensorData::from_f64(data.dtype(), data.dims(), elements);
                graph.initializer.push(tensor_proto(&operand.name, &data));
                // Sums of such numbers, of either sign, are never 0.
                errors *= 2.0;
            }
            true => graph.initializer.push(tensor_proto(&operand.name, operand.data()?)),
            false => graph.input.push(declared(operand)),
        }
    }
    graph.output = node.output.iter().map(|it| named(it)).collect();
    imported(draw.setup, &model(draw.opset, graph))
}

/// A model of one graph.
pub(crate) fn model(opset: i64, graph: GraphProto) -> ModelProto {
    let version = |domain: &str, version| OperatorSetIdProto { domain: domain.into(), version };
    let opset_import = vec![
        version("", opset),
        version("ai.onnx.ml", if opset < 21 { 3 } else { 5 }),
        version("ai.onnx.preview", 1),
        version("ai.onnx.preview.training", 1),
        version("com.microsoft", 1),
    ];
    ModelProto { ir_version: 10, graph: Some(Box::new(graph)), opset_import, ..ModelProto::default() }
}

/// A model as the importer gives it.
pub(crate) fn imported(setup: &Setup, model: &ModelProto) -> Option<Module> {
    let options = CompileOptions {
        opt_in: OptIn::DataflowIr,
        entry: Entry::Above(Step::Import),
        ..CompileOptions::default()
    };
    let model = setup.compiler.decode("model.onnx", model.to_bytes()).ok()?;
    match setup.compiler.lower(&model, &options, Step::Import).ok()?.0 {
        Lowered::Flow(module) => Some(module),
        _ => None,
    }
}

/// The largest number of a value of floats.
fn magnitude(value: &Value) -> f64 {
    let Some(data) = value.as_tensor().filter(|it| it.dtype().is_float()) else { return 0.0 };
    data.to_f64().into_iter().filter(|it| it.is_finite()).fold(0.0, |most, it| most.max(it.abs()))
}

fn kind(ty: &Type) -> Option<Kind> {
    let dtype = |ty: &Type| -> Option<DType> {
        let dtype = ty.as_tensor()?.dtype;
        dtype.row().onnx.map(|_| dtype)
    };
    Some(match ty {
        Type::Sequence(item) => Kind::Sequence(dtype(item)?),
        Type::Optional(item) => Kind::Optional(dtype(item)?),
        ty => Kind::Tensor(dtype(ty)?),
    })
}
