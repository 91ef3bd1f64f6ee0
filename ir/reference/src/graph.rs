//! Evaluation of the legacy graph.

use crate::error::{EvalError, EvalResult};
use crate::eval_op;
use crate::kernel::{Host, eval_kernel};
use indexmap::IndexMap;
use orogen_ir::graph::{Edge, Graph, NodeKind};
use orogen_ir::ops::OpRegistry;
use orogen_ir::types::TensorData;

/// Evaluates a graph: one tensor for each of its inputs, in order; the result is one for each output.
///
/// Operators and kernels may be mixed. A result that does not have its recorded type is an error.
pub fn eval_graph(
    ops: &OpRegistry,
    graph: &Graph,
    inputs: &[TensorData],
) -> Result<Vec<TensorData>, EvalError> {
    eval_graph_traced(ops, graph, inputs, &mut |_, _| {})
}

/// [`eval_graph`] that also shows every value when it is computed.
pub fn eval_graph_traced(
    ops: &OpRegistry,
    graph: &Graph,
    inputs: &[TensorData],
    observe: &mut dyn FnMut(Edge, &TensorData),
) -> Result<Vec<TensorData>, EvalError> {
    // What is left out at the end takes its default.
    let left_out = graph.inputs().iter().skip(inputs.len());
    let defaults = left_out.filter_map(|it| match &graph[*it].kind {
        NodeKind::Input { default: Some(id), .. } if graph.constants.contains(*id) => {
            Some(graph.constants.data(*id).clone())
        }
        _ => None,
    });
    let inputs: Vec<TensorData> = inputs.iter().cloned().chain(defaults).collect();
    if inputs.len() != graph.inputs().len() {
        return Err(EvalError::invalid(format!(
            "the graph has {} inputs but {} are given",
            graph.inputs().len(),
            inputs.len()
        )));
    }
    let mut uses = graph.uses();
    let mut values: IndexMap<Edge, TensorData> = IndexMap::new();
    for id in graph.order() {
        let node = &graph[*id];
        let place = || match node.source.is_empty() {
            true => format!("node {}", id.into_raw().into_u32()),
            false => node.source.to_string(),
        };
        let mut args = Vec::with_capacity(node.inputs.len());
        for edge in &node.inputs {
            let value = values.get(edge).cloned();
            args.push(
                value
                    .ok_or_else(|| EvalError::invalid("a value is used before it exists").within(place()))?,
            );
        }
        let results = match &node.kind {
            NodeKind::Input { name, .. } => {
                let at = graph.inputs().iter().position(|it| it == id);
                at.map(|at| vec![inputs[at].clone()])
                    .ok_or_else(|| EvalError::invalid(format!("input `{name}` is not listed")))
            }
            NodeKind::Constant(id) if graph.constants.contains(*id) => {
                Ok(vec![graph.constants.data(*id).clone()])
            }
            NodeKind::Constant(id) => Err(EvalError::invalid(format!("constant {id} does not exist"))),
            NodeKind::Op { op, attrs } => eval_op(ops, *op, attrs, &args),
            NodeKind::View => view(&args, node),
            NodeKind::Kernel { kernel } => match graph.kernels().get(kernel) {
                Some(kernel) => eval_kernel(&Host::new(), kernel, &[], &args),
                None => Err(EvalError::invalid(format!("kernel `{kernel}` does not exist"))),
            },
        };
        let results =
            results.and_then(|it| check(&it, node).map(|()| it)).map_err(|it| it.within(place()))?;
        for (i, value) in results.into_iter().enumerate() {
            let edge = Edge { node: *id, output: i as u32 };
            observe(edge, &value);
            if uses.get(&edge).is_some_and(|n| *n > 0) {
                values.insert(edge, value);
            }
        }
        for edge in &node.inputs {
            if let Some(n) = uses.get_mut(edge) {
                *n -= 1;
                if *n == 0 {
                    values.swap_remove(edge);
                }
            }
        }
    }
    let result = graph.outputs().iter().map(|(name, edge)| {
        values.get(edge).cloned().ok_or_else(|| EvalError::invalid(format!("output `{name}` has no value")))
    });
    result.collect()
}

fn view(args: &[TensorData], node: &orogen_ir::graph::Node) -> EvalResult<Vec<TensorData>> {
    let ([x], [ty]) = (args, &node.outputs[..]) else {
        return Err(EvalError::invalid("a view has one operand and one result"));
    };
    let viewed = x.reshaped(ty.dims.to_vec()).map_err(|it| EvalError::invalid(it.to_string()))?;
    Ok(vec![viewed])
}

fn check(results: &[TensorData], node: &orogen_ir::graph::Node) -> EvalResult<()> {
    if results.len() != node.outputs.len() {
        return Err(EvalError::invalid(format!(
            "{} results where {} are recorded",
            results.len(),
            node.outputs.len()
        )));
    }
    for (value, ty) in results.iter().zip(&node.outputs) {
        if value.dtype() != ty.dtype || value.dims() != &ty.dims[..] {
            return Err(EvalError::invalid(format!(
                "a value is {}{:?} but recorded as {}{:?}",
                value.dtype(),
                value.dims(),
                ty.dtype,
                &ty.dims[..]
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use orogen_ir::graph::text::parse;
    use orogen_ir::types::DType;

    const TEXT: &str = "graph @g(%x: f32[3, 2]) {
      %c = const f32[2] [-1.0, 2.0]
      %sum = add(%x, %c)
      %y = relu(%sum)
      return y = %y
    }";

    #[test]
    fn a_graph_runs_in_order() {
        let ops = OpRegistry::standard();
        let graph = parse(TEXT, &ops).unwrap_or_else(|it| panic!("{it}"));
        let x = TensorData::from_f64(DType::F32, &[3, 2], [0.0, 1.0, 2.0, -3.0, 1.0, -2.0]);
        let y = eval_graph(&ops, &graph, std::slice::from_ref(&x)).unwrap();
        assert_eq!(y[0].to_f64(), [0.0, 3.0, 1.0, 0.0, 0.0, 0.0]);
        assert!(eval_graph(&ops, &graph, &[]).is_err());
        let wrong = TensorData::from_f64(DType::F32, &[2], [0.0, 1.0]);
        assert!(eval_graph(&ops, &graph, &[wrong]).is_err());
    }
}
