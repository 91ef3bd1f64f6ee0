//! Everything of a model that cannot be imported, in one list, before anything is built.

use crate::decode::Model;
use crate::graph::{self, Body, Opsets, describe, normal_domain, printable, subgraphs};
use crate::node::{Attributes, Node};
use crate::options::map_types;
use crate::proto::{AttributeProto, NodeProto, TypeProto};
use crate::sparse::Initializer;
use crate::table::OpTable;
use crate::tensor::dtype_of;
use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use std::fmt;

/// Subgraphs and function calls may nest this deep.
pub(crate) const MAX_NESTING: usize = 64;

/// Something that cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// Where: a node, for example ``node `topk` (TopK)``, or an input or initializer.
    pub place: String,
    /// Domain of the operator; empty for standard operators and for what is no node.
    pub domain: String,
    /// Operator; empty for what is no node.
    pub op: String,
    /// Operator set version of the domain in this model; 0 for what is no node.
    pub version: i64,
    /// Names of its operands; none for what is no node.
    pub operands: Vec<String>,
    /// Why: one clause without a full stop.
    pub reason: String,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.op.is_empty() {
            return write!(f, "{}: {}", self.place, self.reason);
        }
        let domain = if self.domain.is_empty() { "ai.onnx" } else { &self.domain };
        let operands: Vec<String> = self.operands.iter().map(|it| format!("`{it}`")).collect();
        let of = if operands.is_empty() { String::new() } else { format!(" of {}", operands.join(", ")) };
        write!(f, "{}{of}, {domain} version {}: {}", self.place, self.version, self.reason)
    }
}

/// Lists everything that `table` cannot import of a model, through subgraphs and functions.
///
/// # Errors
/// When the graph itself is broken: a cycle, an undefined or twice defined value.
pub fn unsupported(model: &Model, table: &OpTable) -> Result<Vec<Unsupported>, Diagnostics> {
    let mut walk = Walk { model, table, found: Vec::new(), visited: IndexSet::new() };
    let names = Scope { defined: IndexSet::new(), parent: None };
    walk.inputs();
    walk.body(model.graph().into(), &names, &model.opsets, &IndexMap::new(), 0)?;
    Ok(walk.found)
}

/// The list as one diagnostic, or `Ok` when it is empty.
pub(crate) fn report(found: &[Unsupported]) -> Result<(), Diagnostic> {
    if found.is_empty() {
        return Ok(());
    }
    let count = match found.len() {
        1 => "1 part of the model is".to_string(),
        n => format!("{n} parts of the model are"),
    };
    let mut diagnostic = Diagnostic::error("X009", format!("{count} not supported"));
    for item in found {
        diagnostic = diagnostic.note(item.to_string());
    }
    Err(diagnostic.help("write these parts with other operators, or register a converter for each"))
}

/// Files that hold dense initializers of a model's graphs and cannot be read, each with the reason.
pub fn missing_files(model: &Model) -> Vec<String> {
    let mut found = IndexSet::new();
    let mut graphs = vec![model.graph()];
    // Subgraphs are as many as the file has, whatever their depth.
    while let Some(graph) = graphs.pop() {
        found.extend(graph.initializer.iter().filter_map(|it| model.loader.missing_file(it)));
        graphs.extend(graph.node.iter().flat_map(subgraphs).map(|it| it.1));
    }
    found.into_iter().collect()
}

struct Walk<'m> {
    model: &'m Model,
    table: &'m OpTable,
    found: Vec<Unsupported>,
    /// Functions that have been looked into, by index.
    visited: IndexSet<usize>,
}

/// Why a type of an input is not supported.
fn why_not(ty: &TypeProto) -> Option<String> {
    if let Some(tensor) = &ty.tensor_type {
        return dtype_of(tensor.elem_type).err();
    }
    if let Some(of) = ty.sequence_type.as_ref().or(ty.optional_type.as_ref()) {
        return of.elem_type.as_deref().and_then(why_not);
    }
    if let Some(map) = &ty.map_type {
        return map_types(map).err();
    }
    ty.sparse_tensor_type.is_some().then(|| "sparse tensors are not supported".into())
}

/// Names that a graph's subgraphs may use.
struct Scope<'a> {
    defined: IndexSet<&'a str>,
    parent: Option<&'a Scope<'a>>,
}

impl Scope<'_> {
    fn defines(&self, name: &str) -> bool {
        self.defined.contains(name) || self.parent.is_some_and(|it| it.defines(name))
    }
}

impl<'m> Walk<'m> {
    fn other(&mut self, place: String, reason: String) {
        self.found.push(Unsupported {
            place,
            domain: String::new(),
            op: String::new(),
            version: 0,
            operands: Vec::new(),
            reason,
        });
    }

    /// Types of the model's inputs.
    fn inputs(&mut self) {
        let graph = self.model.graph();
        let constants: IndexSet<&str> = graph.initializers().map(Initializer::name).collect();
        for input in graph.input.iter().filter(|it| !constants.contains(it.name.as_str())) {
            let Some(ty) = &input.r#type else { continue };
            if let Some(reason) = why_not(ty) {
                self.other(format!("input `{}`", printable(&input.name)), reason);
            }
        }
    }

    fn body(
        &mut self,
        body: Body<'m>,
        outer: &Scope<'_>,
        opsets: &Opsets,
        attributes: &Attributes<'m>,
        depth: usize,
    ) -> Result<(), Diagnostic> {
        if depth > MAX_NESTING {
            return Err(Diagnostic::error(
                "X012",
                format!("subgraphs and functions nest deeper than {MAX_NESTING} levels"),
            ));
        }
        let schedule = body.schedule(&|name| outer.defines(name))?;
        let mut defined: IndexSet<&str> = body.inputs().collect();
        if let Some(graph) = body.graph {
            for initializer in graph.initializers() {
                let name = initializer.name();
                defined.insert(name);
                if let (true, Err(reason)) = (schedule.used.contains(name), initializer.dtype()) {
                    self.other(format!("initializer `{}`", printable(name)), reason);
                }
            }
        }
        defined.extend(schedule.order.iter().flat_map(|it| it.output.iter()).map(String::as_str));
        let scope = Scope { defined, parent: Some(outer) };
        for node in schedule.order {
            self.node(node, &scope, opsets, attributes, depth)?;
        }
        Ok(())
    }

    fn node(
        &mut self,
        proto: &'m NodeProto,
        scope: &Scope<'_>,
        opsets: &Opsets,
        attributes: &Attributes<'m>,
        depth: usize,
    ) -> Result<(), Diagnostic> {
        let node = Node::new(proto, attributes, opsets);
        let domain = normal_domain(&proto.domain);
        if let Some((index, callee)) = self.model.callee(proto, self.table) {
            if self.visited.insert(index) {
                let outside = Scope { defined: IndexSet::new(), parent: None };
                let bound = bind(&node, &callee.attribute_proto);
                let mut opsets = self.model.opsets.clone();
                opsets.extend(graph::opsets(&callee.opset_import));
                self.body(callee.into(), &outside, &opsets, &bound, depth + 1)?;
            }
            return Ok(());
        }
        let entry = self.table.find(domain, &proto.op_type, node.opset());
        if let Err(reason) = entry.and_then(|entry| entry.check(&node)) {
            self.found.push(Unsupported {
                place: describe(proto),
                domain: domain.to_string(),
                op: proto.op_type.clone(),
                version: node.opset(),
                operands: proto
                    .input
                    .iter()
                    .filter(|it| !it.is_empty())
                    .take(8)
                    .map(|it| printable(it))
                    .collect(),
                reason,
            });
        }
        for (_, graph) in subgraphs(proto) {
            self.body(graph.into(), scope, opsets, attributes, depth + 1)?;
        }
        Ok(())
    }
}

/// Attribute values inside a function: those of the call, else the defaults.
pub(crate) fn bind<'m>(call: &Node<'m>, defaults: &'m [AttributeProto]) -> Attributes<'m> {
    let mut bound: Attributes<'m> = defaults.iter().map(|it| (it.name.as_str(), it)).collect();
    bound.extend(call.attributes().iter().map(|(name, it)| (*name, *it)));
    bound
}
