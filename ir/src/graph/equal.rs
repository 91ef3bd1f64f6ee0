//! Equality of graphs up to arena numbering.

use super::{Edge, Graph, NodeId, NodeKind};
use crate::kernel::kernel_text;
use indexmap::IndexMap;

/// Whether two graphs are the same program: they may differ in arena numbering, in dead nodes, and in where inputs
/// stand in the order of nodes (not in the order of inputs).
pub fn same_structure(a: &Graph, b: &Graph) -> bool {
    difference(a, b).is_none()
}

/// The first difference that [`same_structure`] sees, in words.
pub fn difference(a: &Graph, b: &Graph) -> Option<String> {
    compare(a, b).err()
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, a: T, b: T) -> Result<(), String> {
    if a == b { Ok(()) } else { Err(format!("{what}: {a:?} and {b:?}")) }
}

fn compare(a: &Graph, b: &Graph) -> Result<(), String> {
    same("graph name", &a.name, &b.name)?;
    let kernels = |it: &Graph| it.kernels.iter().map(|(name, it)| kernel_text(name, it)).collect::<Vec<_>>();
    same("kernels", kernels(a), kernels(b))?;
    let nodes = |it: &Graph| -> Vec<NodeId> {
        let rest = it.order.iter().copied().filter(|id| !it.inputs.contains(id));
        it.inputs.iter().copied().chain(rest).collect()
    };
    let (list_a, list_b) = (nodes(a), nodes(b));
    same("number of nodes", list_a.len(), list_b.len())?;
    let map: IndexMap<NodeId, NodeId> = list_a.iter().copied().zip(list_b.iter().copied()).collect();
    let mapped = |it: &Edge| map.get(&it.node).map(|node| Edge { node: *node, output: it.output });
    let data = |it: &Graph, id| (it.constants.name(id).to_owned(), it.constants.data(id).clone());
    for (p, q) in list_a.iter().zip(&list_b) {
        let (x, y) = (&a.nodes[*p], &b.nodes[*q]);
        match (&x.kind, &y.kind) {
            (NodeKind::Constant(p), NodeKind::Constant(q)) => {
                same("constant", data(a, *p), data(b, *q))?;
            }
            (NodeKind::Input { name: p, default: x }, NodeKind::Input { name: q, default: y }) => {
                let default = |it: &Graph, id: Option<_>| id.map(|id| data(it, id));
                same("input", (p, default(a, *x)), (q, default(b, *y)))?;
            }
            (p, q) => same("kind of node", p, q)?,
        }
        let inputs: Vec<_> = x.inputs.iter().map(mapped).collect();
        same("operands", inputs, y.inputs.iter().map(|it| Some(*it)).collect())?;
        same("types", &x.outputs, &y.outputs)?;
        same("source", &x.source, &y.source)?;
    }
    let outputs_a: Vec<_> = a.outputs.iter().map(|(name, edge)| (name.as_str(), mapped(edge))).collect();
    same("outputs", outputs_a, b.outputs.iter().map(|(name, edge)| (name.as_str(), Some(*edge))).collect())
}
