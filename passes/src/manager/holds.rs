//! Whether facts hold of a program.

use super::IrRef;
use indexmap::{IndexMap, IndexSet};
use orogen_ir::flow::{Function, Module, RegionId, Rhs, ValueId};
use orogen_ir::graph::{Edge, Graph, NodeId, NodeKind};
use orogen_ir::ops::{OpId, OpRegistry, StructureOp};
use orogen_ir::types::{Attrs, ConstId, Effects, Source};

/// Where something is, as a clause.
fn place(source: &Source) -> String {
    match source.to_string() {
        text if text.is_empty() => String::new(),
        text => format!(" of {text}"),
    }
}

/// Whether nothing is dead.
pub(super) fn live(ir: IrRef<'_>, ops: &OpRegistry) -> Result<(), String> {
    match ir {
        IrRef::Graph(graph) => {
            let mut needed: IndexSet<NodeId> = graph.inputs().iter().copied().collect();
            needed.extend(graph.outputs().iter().map(|(_, edge)| edge.node));
            // A node stands before what uses it, so that those who use it have been seen.
            for id in graph.order().iter().rev() {
                if !needed.contains(id) {
                    return Err(format!("nothing needs a node{}", place(&graph[*id].source)));
                }
                needed.extend(graph[*id].inputs.iter().map(|it| it.node));
            }
            Ok(())
        }
        // Which bindings may go is a matter of effects and of sizes, which the IR itself decides.
        IrRef::Flow(module) => match module.clone().remove_dead_code(ops) {
            0 => Ok(()),
            1 => Err("nothing needs one binding".to_owned()),
            n => Err(format!("nothing needs {n} bindings")),
        },
    }
}

/// What makes two operations the same.
#[derive(PartialEq, Eq, Hash)]
enum Key<V> {
    Op(OpId, Attrs, Vec<V>),
    Constant(ConstId),
}

/// Whether no operation is there twice.
pub(super) fn no_duplicates(ir: IrRef<'_>, ops: &OpRegistry) -> Result<(), String> {
    match ir {
        IrRef::Graph(graph) => in_graph(graph, ops),
        IrRef::Flow(module) => {
            let mut seen = Seen { ops, module, scopes: Vec::new() };
            module.functions().try_for_each(|(_, it)| seen.region(it, it.body()))
        }
    }
}

fn twice<V>(key: &Key<V>, ops: &OpRegistry, source: &Source) -> String {
    match key {
        Key::Op(op, ..) => format!("`{}`{} is there twice", ops.def(*op).name, place(source)),
        Key::Constant(_) => format!("a constant{} is there twice", place(source)),
    }
}

fn in_graph(graph: &Graph, ops: &OpRegistry) -> Result<(), String> {
    let mut seen: IndexSet<Key<Edge>> = IndexSet::new();
    for id in graph.order() {
        let node = &graph[*id];
        let key = match &node.kind {
            NodeKind::Op { op, attrs } => Key::Op(*op, attrs.clone(), node.inputs.to_vec()),
            NodeKind::Constant(constant) => Key::Constant(*constant),
            NodeKind::Input { .. } | NodeKind::View | NodeKind::Kernel { .. } => continue,
        };
        if seen.contains(&key) {
            return Err(twice(&key, ops, &node.source));
        }
        seen.insert(key);
    }
    Ok(())
}

/// A walk over regions; what an enclosing one has is there in those inside.
struct Seen<'a> {
    ops: &'a OpRegistry,
    module: &'a Module,
    scopes: Vec<IndexMap<Key<ValueId>, ()>>,
}

impl Seen<'_> {
    fn region(&mut self, function: &Function, region: RegionId) -> Result<(), String> {
        self.scopes.push(IndexMap::new());
        for block in &function[region].blocks {
            for id in &function[*block].order {
                let binding = &function[*id];
                binding.rhs.regions().into_iter().try_for_each(|it| self.region(function, it))?;
                let key = match &binding.rhs {
                    Rhs::Op { op, attrs, args } => {
                        let effects = self.ops.def(*op).effects;
                        if effects != Effects::PURE && effects != Effects::ABORT {
                            continue;
                        }
                        Key::Op(*op, attrs.clone(), args.to_vec())
                    }
                    Rhs::Constant(constant) => Key::Constant(*constant),
                    _ => continue,
                };
                // One that binds sizes is itself: its names for them are in types further on.
                let known = self.scopes.iter().any(|it| it.contains_key(&key));
                if known && function.binds(&self.module.shapes, *id).is_empty() {
                    return Err(twice(&key, self.ops, &binding.source));
                }
                if let Some(scope) = self.scopes.last_mut() {
                    scope.insert(key, ());
                }
            }
        }
        self.scopes.pop();
        Ok(())
    }
}

/// Whether no operator is left but those of structure.
pub(super) fn legalized(ir: IrRef<'_>, ops: &OpRegistry) -> Result<(), String> {
    let operator = |op: OpId, source: &Source| {
        let def = ops.def(op);
        format!("`{}`{} is an operator", def.name, place(source))
    };
    match ir {
        IrRef::Graph(graph) => {
            for id in graph.order() {
                if let NodeKind::Op { op, .. } = &graph[*id].kind {
                    return Err(operator(*op, &graph[*id].source));
                }
            }
        }
        IrRef::Flow(module) => {
            for (_, function) in module.functions() {
                for id in function.live_bindings() {
                    let binding = &function[id];
                    if let Rhs::Op { op, .. } = &binding.rhs
                        && StructureOp::of(ops.def(*op)).is_none()
                    {
                        return Err(operator(*op, &binding.source));
                    }
                }
            }
        }
    }
    Ok(())
}
