//! Graph → flow: a walk, because both IRs share operators, attributes, kernels and constants.

use indexmap::IndexMap;
use orogen_ir::diag::Diagnostic;
use orogen_ir::flow::{Editor, Module, Rhs, ValueId};
use orogen_ir::graph::{Edge, Graph, NodeKind, StaticType};
use orogen_ir::ops::OpRegistry;
use orogen_ir::shape::ShapeCx;
use orogen_ir::types::{TensorType, Type};
use smallvec::{SmallVec, smallvec};

/// The flow module that computes what `graph` computes, at whatever step the graph is: operators stay operators,
/// kernels stay kernels. The function is named `main`.
///
/// # Errors
/// When the graph breaks its laws: an edge that nothing defines, or an operator whose types cannot be inferred.
pub fn translate(graph: &Graph, ops: &OpRegistry) -> Result<Module, Diagnostic> {
    let mut module = Module::default();
    module.name.clone_from(&graph.name);
    module.constants.clone_from(&graph.constants);
    graph.kernels().values().try_for_each(|it| module.define(it.clone()))?;
    let inputs = graph.inputs().iter().map(|id| {
        let node = &graph[*id];
        match &node.kind {
            NodeKind::Input { name, default } => {
                Ok((name.clone(), flow_type(&mut module.shapes, &node.outputs[0])?, *default))
            }
            _ => Err(Diagnostic::error("M020", "an entry of the input list is not an input")),
        }
    });
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    module.declare("main", inputs)?;
    module.edit(ops, |editor| body(graph, editor))?;
    Ok(module)
}

/// Translates all nodes in order.
fn body(graph: &Graph, editor: &mut Editor<'_>) -> Result<(), Diagnostic> {
    let inputs = graph.inputs().iter().map(|node| Edge { node: *node, output: 0 });
    let mut values: IndexMap<Edge, ValueId> =
        inputs.zip(editor.params().iter().map(|it| it.value).collect::<Vec<_>>()).collect();
    for id in graph.order() {
        let node = &graph[*id];
        let args: SmallVec<[ValueId; 3]> = node
            .inputs
            .iter()
            .map(|edge| values.get(edge).copied().ok_or_else(|| undefined(&node.source.to_string())))
            .collect::<Result<_, _>>()?;
        let mut types: SmallVec<[Type; 1]> =
            node.outputs.iter().map(|it| flow_type(editor.shapes, it)).collect::<Result<_, _>>()?;
        editor.at_end(&node.source);
        let rhs = match &node.kind {
            NodeKind::Input { .. } => continue,
            NodeKind::Constant(constant) => {
                let data = graph.constants.data(*constant);
                types = smallvec![Type::Tensor(TensorType::of_constant(editor.shapes, data))];
                Rhs::Constant(*constant)
            }
            NodeKind::Op { op, attrs } => Rhs::Op { op: *op, attrs: attrs.clone(), args },
            NodeKind::View => Rhs::View { value: args[0], ty: types[0].clone() },
            NodeKind::Kernel { kernel } => Rhs::Call { callee: kernel.clone(), args, sizes: SmallVec::new() },
        };
        let results = match rhs {
            Rhs::Op { .. } => editor.emit(rhs),
            rhs => editor.emit_as(rhs, types),
        };
        let results = results.map_err(|it| it.at(node.source.clone()))?;
        values.extend((0..).zip(results).map(|(output, value)| (Edge { node: *id, output }, value)));
    }
    for (name, edge) in graph.outputs() {
        let value = values.get(edge).copied().ok_or_else(|| undefined(&format!("output `{name}`")))?;
        editor.add_output(name, value);
    }
    Ok(())
}

fn undefined(place: &str) -> Diagnostic {
    Diagnostic::error("M030", "an edge that no earlier node defines (law G1)").at(place)
}

fn flow_type(shapes: &mut ShapeCx, ty: &StaticType) -> Result<Type, Diagnostic> {
    let dims: Result<Vec<_>, _> =
        ty.dims.iter().map(|it| i64::try_from(*it).map(|it| shapes.int(it))).collect();
    let dims = dims.map_err(|_| Diagnostic::error("S002", "a dimension overflows 64-bit integers"))?;
    Ok(Type::tensor(ty.dtype, dims))
}
