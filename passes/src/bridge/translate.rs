//! Graph → flow: a walk, because both IRs share operators, attributes, kernels and constants.

use indexmap::IndexMap;
use la_arena::Arena;
use orogen_ir::diag::Diagnostic;
use orogen_ir::flow::{
    Binding, Block, BlockKind, Definition, Function, Module, Output, Parameter, Region, Rhs, Scope, Value,
    ValueDef, ValueId, region_effects,
};
use orogen_ir::graph::{Edge, Graph, NodeKind, StaticType};
use orogen_ir::ops::{InferCx, OpRegistry};
use orogen_ir::shape::ShapeCx;
use orogen_ir::types::{Effects, TensorType, Type};
use smallvec::SmallVec;

/// The flow module that computes what `graph` computes, at whatever step the graph is: operators stay operators,
/// kernels stay kernels. The function is named `main`.
///
/// # Errors
/// When the graph breaks its laws: an edge that nothing defines, or an operator whose types cannot be inferred.
pub fn translate(graph: &Graph, ops: &OpRegistry) -> Result<Module, Diagnostic> {
    let mut module =
        Module { name: graph.name.clone(), constants: graph.constants.clone(), ..Module::default() };
    let mut regions = Arena::new();
    let mut function = Function {
        params: Vec::new(),
        outputs: graph.outputs.iter().map(|(name, _)| Output { name: name.clone() }).collect(),
        effects: Effects::PURE,
        private: false,
        body: regions.alloc(Region::default()),
        values: Arena::new(),
        bindings: Arena::new(),
        blocks: Arena::new(),
        regions,
    };
    let mut values: IndexMap<Edge, ValueId> = IndexMap::new();
    for (i, id) in graph.inputs.iter().enumerate() {
        let node = &graph.nodes[*id];
        let NodeKind::Input { name } = &node.kind else {
            return Err(Diagnostic::error("M020", "an entry of the input list is not an input"));
        };
        let value = function.values.alloc(Value {
            ty: flow_type(&mut module.shapes, &node.outputs[0])?,
            def: ValueDef::Param(i as u32),
            scope: Scope::Region,
            name: Some(name.clone()),
        });
        function.params.push(Parameter { name: name.clone(), value });
        values.insert(Edge { node: *id, output: 0 }, value);
    }
    let mut order = Vec::new();
    for id in &graph.order {
        let node = &graph.nodes[*id];
        let args: SmallVec<[ValueId; 3]> = node
            .inputs
            .iter()
            .map(|edge| values.get(edge).copied().ok_or_else(|| undefined(&node.source)))
            .collect::<Result<_, _>>()?;
        let mut types: SmallVec<[Type; 1]> =
            node.outputs.iter().map(|it| flow_type(&mut module.shapes, it)).collect::<Result<_, _>>()?;
        let rhs = match &node.kind {
            NodeKind::Input { .. } => continue,
            NodeKind::Constant(constant) => {
                let data = module.constants.data(*constant);
                types[0] = Type::Tensor(TensorType::of_constant(&mut module.shapes, data));
                Rhs::Constant(*constant)
            }
            NodeKind::Op { op, attrs } => {
                let arg_types: Vec<Type> = args.iter().map(|it| function.values[*it].ty.clone()).collect();
                let mut cx = InferCx::new(&mut module.shapes, attrs, &arg_types);
                types = ops.infer(*op, &mut cx).map_err(|it| it.at(node.source.clone()))?;
                Rhs::Op { op: *op, attrs: attrs.clone(), args }
            }
            NodeKind::View => Rhs::View { value: args[0], ty: types[0].clone() },
            NodeKind::Kernel { kernel } => Rhs::Call { callee: kernel.clone(), args, sizes: SmallVec::new() },
        };
        let binding =
            function.bindings.alloc(Binding { results: SmallVec::new(), rhs, source: node.source.clone() });
        for (output, ty) in types.into_iter().enumerate() {
            let value = function.values.alloc(Value {
                ty,
                def: ValueDef::Result(binding, output as u32),
                scope: Scope::Region,
                name: None,
            });
            function.bindings[binding].results.push(value);
            values.insert(Edge { node: *id, output: output as u32 }, value);
        }
        order.push(binding);
    }
    let block = function.blocks.alloc(Block { kind: BlockKind::Dataflow, order });
    let results = graph
        .outputs
        .iter()
        .map(|(name, edge)| values.get(edge).copied().ok_or_else(|| undefined(&format!("output `{name}`"))))
        .collect::<Result<Vec<_>, _>>()?;
    let body = &mut function.regions[function.body];
    body.blocks.push(block);
    body.results = results;
    for (name, kernel) in &graph.kernels {
        module.definitions.insert(name.clone(), Definition::Kernel(kernel.clone()));
    }
    function.effects = region_effects(ops, &module.definitions, &function, function.body);
    module.definitions.insert("main".to_string(), Definition::Function(function));
    Ok(module)
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
