//! Printing graphs.

use super::names::NodeNames;
use crate::diag::Place;
use crate::graph::{Graph, Node, NodeId, NodeKind, StaticType};
use crate::kernel::write_kernel;
use crate::ops::OpRegistry;
use crate::text::{
    LineIndex, Numbering, Span, TextWriter, attrs_text, constant_text, exists, is_identifier, name_text,
    quote, source_text, static_dims_text,
};
use crate::types::ConstId;
use indexmap::IndexSet;
use la_arena::ArenaMap;

/// Words that begin a node or a statement; operators of these names are quoted.
pub(super) const KEYWORDS: [&str; 4] = ["const", "kernel", "return", "view"];

/// A printed graph with the places of what was printed.
#[derive(Clone, Debug, Default)]
pub struct Printed {
    /// The text.
    pub text: String,
    /// The first line.
    pub header: Span,
    /// Lines of nodes; inputs are in the header.
    pub nodes: ArenaMap<NodeId, Span>,
    /// The `return` line.
    pub outputs: Span,
}

impl Printed {
    /// The place of a span.
    pub fn place(&self, span: &Span) -> Place {
        LineIndex::new(&self.text).place(span.clone())
    }
}

/// The graph as text.
pub fn print(graph: &Graph, ops: &OpRegistry) -> String {
    print_with_places(graph, ops).text
}

/// The graph as text, with names that passes keep.
pub fn print_numbered(graph: &Graph, ops: &OpRegistry, numbering: Numbering) -> String {
    printed(graph, ops, numbering).text
}

/// The graph as text, and where everything is in it. Prints unlawful graphs as well, for diagnostics.
pub fn print_with_places(graph: &Graph, ops: &OpRegistry) -> Printed {
    printed(graph, ops, Numbering::InOrder)
}

fn printed(graph: &Graph, ops: &OpRegistry, numbering: Numbering) -> Printed {
    let names = NodeNames::of(graph, numbering);
    let mut printed = Printed::default();
    let mut out = TextWriter::new();
    let params = graph.inputs.iter().filter_map(|id| {
        let node = exists(&graph.nodes, *id)?;
        let (value, ty) = (names.node(*id), types_text(&node.outputs));
        let default = |it: &Option<ConstId>| match it {
            Some(id) if graph.constants.contains(*id) => {
                format!(" = {}", constant_text(&graph.constants, *id))
            }
            Some(id) => format!(" = {id}"),
            None => String::new(),
        };
        match &node.kind {
            NodeKind::Input { name, default: it } if value[1..] == *name => {
                Some(format!("{value}: {ty}{}", default(it)))
            }
            NodeKind::Input { name, default: it } => {
                Some(format!("{value} as {}: {ty}{}", quote(name), default(it)))
            }
            _ => Some(format!("{value}: {ty}")),
        }
    });
    let params = params.collect::<Vec<_>>().join(", ");
    printed.header = out.open(&format!("graph @{}({params}) {{", name_text(&graph.name)));
    for (name, kernel) in &graph.kernels {
        write_kernel(&mut out, name, kernel);
    }
    let inputs: IndexSet<NodeId> = graph.inputs.iter().copied().collect();
    for id in &graph.order {
        match exists(&graph.nodes, *id) {
            Some(Node { kind: NodeKind::Input { .. }, .. }) if inputs.contains(id) => {}
            Some(node) => {
                let line = format!("{} = {}", names.node(*id), node_text(graph, ops, &names, node));
                let span = out.line(&line);
                printed.nodes.insert(*id, span);
            }
            None => drop(out.line("// a node that does not exist")),
        }
    }
    let outputs =
        graph.outputs.iter().map(|(name, edge)| format!("{} = {}", name_text(name), names.edge(*edge)));
    let line = format!("return {}", outputs.collect::<Vec<_>>().join(", "));
    printed.outputs = out.line(line.trim_end());
    out.close("}");
    printed.text = out.finish();
    printed
}

pub(super) fn type_text(ty: &StaticType) -> String {
    format!("{}{}", ty.dtype, static_dims_text(&ty.dims))
}

fn types_text(types: &[StaticType]) -> String {
    types.iter().map(type_text).collect::<Vec<_>>().join(", ")
}

fn node_text(graph: &Graph, ops: &OpRegistry, names: &NodeNames, node: &Node) -> String {
    let inputs = node.inputs.iter().map(|it| names.edge(*it)).collect::<Vec<_>>().join(", ");
    let types = format!(" : {}", types_text(&node.outputs));
    let (text, types) = match &node.kind {
        // Only in an unlawful graph, which does not list the node among its inputs.
        NodeKind::Input { name, .. } => (format!("input {}", quote(name)), types),
        NodeKind::Constant(id) if graph.constants.contains(*id) => {
            let data = graph.constants.data(*id);
            let literal = constant_text(&graph.constants, *id);
            let own = StaticType { dtype: data.dtype(), dims: data.dims().into() };
            let types = if node.outputs[..] == [own] { String::new() } else { types };
            (format!("const {literal}"), types)
        }
        NodeKind::Constant(id) => (format!("const {id}"), types),
        NodeKind::Op { op, attrs } => {
            let name = ops.def(*op).name;
            let name = match is_identifier(name) && !KEYWORDS.contains(&name) {
                true => name.to_owned(),
                false => quote(name),
            };
            let attrs = if attrs.is_empty() { String::new() } else { format!(" {}", attrs_text(attrs)) };
            (format!("{name}({inputs}){attrs}"), types)
        }
        NodeKind::View => (format!("view({inputs})"), types),
        NodeKind::Kernel { kernel } => (format!("kernel @{}({inputs})", name_text(kernel)), types),
    };
    let location = source_text(&node.source);
    format!("{text}{types}{location}")
}
