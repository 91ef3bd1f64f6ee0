//! Values of a program before and after passes (law J2).

use crate::file::Values;
use anyhow::{Context, Result, bail, ensure};
use indexmap::IndexMap;
use orogen::Lowered;
use orogen::compare::{Limits, difference};
use orogen::ir::graph::Edge;
use orogen::ir::ops::OpRegistry;
use orogen::ir::shape::{Dim, ShapeCx};
use orogen::ir::types::{DType, TensorData, Type};
use orogen::reference::{Value, eval_function, eval_graph, eval_plans};

/// How close floats are.
const CLOSE: Limits = Limits { tol: Some(1e-5), atol: None, rtol: None, ulp: None };

/// Evaluates both programs on the same data and compares what comes out.
///
/// # Errors
/// Values that differ, and programs that cannot be evaluated.
pub fn kept(ops: &OpRegistry, before: &Lowered, after: &Lowered, values: &Values) -> Result<()> {
    let limits = match values {
        Values::Close => CLOSE,
        Values::Equal => Limits::exactly(),
        Values::Unknown(_) => return Ok(()),
    };
    let inputs = inputs(before).context("give the reason in `// values: none, REASON`")?;
    let expected = evaluated(ops, before, &inputs).context("before the passes")?;
    let found = evaluated(ops, after, &inputs).context("after the passes")?;
    ensure!(expected.len() == found.len(), "{} outputs became {}", expected.len(), found.len());
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let difference = difference(found, expected, &limits);
        ensure!(difference.passes(), "passes change output {i} (law J2): {difference}");
    }
    Ok(())
}

fn evaluated(ops: &OpRegistry, program: &Lowered, inputs: &[TensorData]) -> Result<Vec<TensorData>> {
    let tensor = |it: Value| match it {
        Value::Tensor(it) => Ok(it),
        _ => bail!("an output is no tensor"),
    };
    match program {
        Lowered::Graph(it) => Ok(eval_graph(ops, it, inputs)?),
        Lowered::Flow(it) => {
            let name = it.entry().context("a module without a function")?.0;
            let inputs: Vec<Value> = inputs.iter().cloned().map(Value::Tensor).collect();
            eval_function(ops, it, name, &inputs)?.into_iter().map(tensor).collect()
        }
        Lowered::Plan(it) => {
            let name = &it.entry().context("a module without a function")?.name;
            Ok(eval_plans(it, name, inputs)?)
        }
    }
}

/// Data for the inputs of a program; each dynamic dimension has a size of its own.
fn inputs(program: &Lowered) -> Result<Vec<TensorData>> {
    match program {
        Lowered::Graph(graph) => {
            let types = graph.inputs().iter().map(|it| graph.ty(Edge { node: *it, output: 0 }));
            Ok(types.map(|it| data(it.dtype, &it.dims)).collect())
        }
        Lowered::Flow(module) => {
            let (_, function) = module.entry().context("a module without a function")?;
            let mut sizes = IndexMap::new();
            let types = function.params().iter().map(|it| &function[it.value].ty);
            types.map(|ty| input(&module.shapes, ty, &mut sizes)).collect()
        }
        Lowered::Plan(_) => bail!("a plan has passed all passes"),
    }
}

fn input(shapes: &ShapeCx, ty: &Type, sizes: &mut IndexMap<Dim, u64>) -> Result<TensorData> {
    let tensor = ty.as_tensor().context("an input is no tensor")?;
    let dims = tensor.dims().context("an input has no known rank")?;
    let size = |dim: &Dim| match (shapes.as_int(*dim), shapes.as_sym(*dim)) {
        (Some(size), _) => Ok(u64::try_from(size)?),
        (None, Some(_)) => {
            let next = sizes.len() as u64 + 3;
            Ok(*sizes.entry(*dim).or_insert(next))
        }
        (None, None) => bail!("the size of an input is an expression"),
    };
    let dims: Vec<u64> = dims.iter().map(size).collect::<Result<_>>()?;
    Ok(data(tensor.dtype, &dims))
}

/// Integers of a byte over the range of their type; what may be an index is 0 or 1; other numbers are small.
fn data(dtype: DType, dims: &[u64]) -> TensorData {
    let count = dims.iter().product::<u64>();
    let value = |i: u64| match dtype {
        DType::U8 => ((i * 89 + 3) % 256) as f64,
        DType::I8 => ((i * 89 + 3) % 256) as f64 - 128.0,
        DType::I64 | DType::I32 | DType::Bool => (i % 2) as f64,
        dtype if dtype.is_float() => ((i * 5 + 3) % 7) as f64 / 4.0 - 0.5,
        _ => ((i * 7 + 1) % 4) as f64,
    };
    TensorData::from_f64(dtype, dims, (0..count).map(value))
}
