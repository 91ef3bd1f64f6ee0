//! The structure of a graph: which names it takes from outside, and in which order its nodes run.

use crate::proto::{
    AttributeProto, FunctionProto, GraphProto, NodeProto, OperatorSetIdProto, attribute_type,
};
use crate::sparse::Initializer;
use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::Diagnostic;
use std::collections::BTreeSet;

/// Operator set versions by domain; the standard domain is the empty string.
pub(crate) type Opsets = IndexMap<String, i64>;

/// The versions that a model or function asks for.
pub(crate) fn opsets(imports: &[OperatorSetIdProto]) -> Opsets {
    let mut opsets = Opsets::new();
    for import in imports {
        let version = opsets.entry(normal_domain(&import.domain).to_string()).or_insert(import.version);
        *version = (*version).max(import.version);
    }
    opsets
}

/// The domain of training operators.
pub(crate) const TRAINING: &str = "ai.onnx.preview.training";

/// What graphs and function bodies have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body<'m> {
    pub(crate) nodes: &'m [NodeProto],
    /// Initializers; functions have none.
    pub(crate) graph: Option<&'m GraphProto>,
    /// Names defined on entry.
    inputs: Names<'m>,
    outputs: Names<'m>,
}

#[derive(Clone, Copy, Debug)]
enum Names<'m> {
    Values(&'m [crate::proto::ValueInfoProto]),
    Plain(&'m [String]),
}

impl<'m> Names<'m> {
    fn iter(self) -> impl Iterator<Item = &'m str> {
        let (values, plain): (&'m [crate::proto::ValueInfoProto], &'m [String]) = match self {
            Names::Values(it) => (it, &[]),
            Names::Plain(it) => (&[], it),
        };
        values.iter().map(|it| it.name.as_str()).chain(plain.iter().map(String::as_str))
    }
}

impl<'m> From<&'m GraphProto> for Body<'m> {
    fn from(graph: &'m GraphProto) -> Self {
        Body {
            nodes: &graph.node,
            graph: Some(graph),
            inputs: Names::Values(&graph.input),
            outputs: Names::Values(&graph.output),
        }
    }
}

impl<'m> From<&'m FunctionProto> for Body<'m> {
    fn from(function: &'m FunctionProto) -> Self {
        Body {
            nodes: &function.node,
            graph: None,
            inputs: Names::Plain(&function.input),
            outputs: Names::Plain(&function.output),
        }
    }
}

/// What will be built of a graph.
#[derive(Clone, Debug)]
pub(crate) struct Schedule<'m> {
    /// Nodes that an output needs, in an order of definition before use.
    pub(crate) order: Vec<&'m NodeProto>,
    /// Names that some scheduled node or output reads.
    pub(crate) used: IndexSet<&'m str>,
}

impl<'m> Body<'m> {
    pub(crate) fn inputs(self) -> impl Iterator<Item = &'m str> {
        self.inputs.iter()
    }

    pub(crate) fn outputs(self) -> impl Iterator<Item = &'m str> {
        self.outputs.iter()
    }

    /// Names that are used but not defined here, in order of use.
    fn free_names(self) -> IndexSet<&'m str> {
        let mut defined: IndexSet<&str> = self.inputs().collect();
        defined.extend(self.graph.iter().flat_map(|it| it.initializers()).map(Initializer::name));
        defined.extend(self.nodes.iter().flat_map(|it| it.output.iter()).map(String::as_str));
        let used = self.nodes.iter().flat_map(reads).chain(self.outputs());
        used.filter(|it| !it.is_empty() && !defined.contains(it)).collect()
    }

    /// Finds the nodes that outputs need and puts them into an order of definition before use: the order of
    /// the file wherever that is one. `outside` says whether a name is defined by an enclosing graph.
    pub(crate) fn schedule(self, outside: &dyn Fn(&str) -> bool) -> Result<Schedule<'m>, Diagnostic> {
        let mut producers: IndexMap<&str, usize> = IndexMap::new();
        let mut given: IndexSet<&str> = self.inputs().filter(|it| !it.is_empty()).collect();
        given.extend(self.graph.iter().flat_map(|it| it.initializers()).map(Initializer::name));
        for (i, node) in self.nodes.iter().enumerate() {
            for name in node.output.iter().filter(|it| !it.is_empty()) {
                let earlier = producers.insert(name, i).map(|it| describe(&self.nodes[it]));
                let earlier = earlier.or_else(|| {
                    given.contains(name.as_str()).then(|| "an input or initializer of the graph".to_string())
                });
                if let Some(earlier) = earlier {
                    return Err(structure(format!("the value `{name}` is defined twice"), node)
                        .note(format!("it is also defined by {earlier}")));
                }
            }
        }
        let reads: Vec<Vec<&str>> = self.nodes.iter().map(|node| reads(node).collect()).collect();

        // Liveness, backwards from the outputs.
        let mut used: IndexSet<&str> = IndexSet::new();
        let mut live = vec![false; self.nodes.len()];
        let mut pending: Vec<usize> = Vec::new();
        for name in self.outputs().filter(|it| !it.is_empty()) {
            used.insert(name);
            match producers.get(name) {
                Some(i) if !std::mem::replace(&mut live[*i], true) => pending.push(*i),
                Some(_) => {}
                None if given.contains(name) || outside(name) => {}
                None => {
                    return Err(Diagnostic::error("X008", format!("nothing defines the output `{name}`")));
                }
            }
        }
        while let Some(i) = pending.pop() {
            for name in &reads[i] {
                used.insert(name);
                match producers.get(name) {
                    Some(j) if !std::mem::replace(&mut live[*j], true) => pending.push(*j),
                    Some(_) => {}
                    None if given.contains(name) || outside(name) => {}
                    None => return Err(structure(format!("nothing defines `{name}`"), &self.nodes[i])),
                }
            }
        }

        // The live node of lowest index whose operands are ready comes next.
        let mut waiting = vec![0usize; self.nodes.len()];
        let mut users: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        for i in (0..self.nodes.len()).filter(|i| live[*i]) {
            let sources: BTreeSet<usize> =
                reads[i].iter().filter_map(|name| producers.get(name).copied()).collect();
            waiting[i] = sources.len();
            sources.into_iter().for_each(|source| users[source].push(i));
        }
        let mut ready: BTreeSet<usize> =
            (0..self.nodes.len()).filter(|i| live[*i] && waiting[*i] == 0).collect();
        let mut order = Vec::new();
        while let Some(i) = ready.pop_first() {
            order.push(&self.nodes[i]);
            for user in &users[i] {
                waiting[*user] -= 1;
                if waiting[*user] == 0 {
                    ready.insert(*user);
                }
            }
        }
        let stuck: Vec<usize> = (0..self.nodes.len()).filter(|i| live[*i] && waiting[*i] > 0).collect();
        if let Some(first) = stuck.first() {
            let cycle = cycle_through(*first, &stuck, &users);
            let names: Vec<String> = cycle.iter().map(|i| describe(&self.nodes[*i])).collect();
            return Err(Diagnostic::error("X008", "the graph has a cycle")
                .note(format!("each of these needs the one before: {}", names.join(", "))));
        }
        Ok(Schedule { order, used })
    }
}

/// A cycle among nodes of which each waits for another one.
fn cycle_through(start: usize, stuck: &[usize], users: &[Vec<usize>]) -> Vec<usize> {
    let mut sources: IndexMap<usize, usize> = IndexMap::new();
    for source in stuck {
        for user in &users[*source] {
            sources.entry(*user).or_insert(*source);
        }
    }
    let mut seen: IndexSet<usize> = IndexSet::new();
    let mut at = start;
    while seen.insert(at) {
        match sources.get(&at) {
            Some(source) => at = *source,
            None => return seen.into_iter().collect(),
        }
    }
    let first = seen.get_index_of(&at).unwrap_or(0);
    let mut cycle: Vec<usize> = seen.into_iter().skip(first).collect();
    cycle.reverse();
    cycle
}

/// Names that a node reads: its operands, what its subgraphs take from outside, and what it differentiates.
pub(crate) fn reads(node: &NodeProto) -> impl Iterator<Item = &str> {
    let captured = subgraphs(node).flat_map(|(_, graph)| Body::from(graph).free_names());
    let derives = (node.domain.as_str(), node.op_type.as_str()) == (TRAINING, "Gradient");
    let derived = node.attribute.iter().find(|it| derives && it.name == "y");
    let derived = derived.and_then(|it| std::str::from_utf8(&it.s).ok());
    node.input.iter().map(String::as_str).chain(derived).filter(|it| !it.is_empty()).chain(captured)
}

/// Nodes of a graph and of the graphs inside it.
pub(crate) fn count_nodes(graph: &GraphProto) -> u64 {
    let mut count = 0;
    let mut pending = vec![graph];
    while let Some(graph) = pending.pop() {
        count += graph.node.len() as u64;
        pending.extend(graph.node.iter().flat_map(subgraphs).map(|it| it.1));
    }
    count
}

/// The subgraphs of a node with the attributes that hold them.
pub(crate) fn subgraphs(node: &NodeProto) -> impl Iterator<Item = (&AttributeProto, &GraphProto)> {
    node.attribute.iter().filter_map(|it| {
        let graph = it.g.as_deref()?;
        matches!(it.kind, attribute_type::GRAPH | attribute_type::UNDEFINED).then_some((it, graph))
    })
}

/// The standard domain has two spellings.
pub(crate) fn normal_domain(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

/// Whether some node, also in subgraphs, is of that domain.
pub(crate) fn uses_domain(nodes: &[NodeProto], domain: &str) -> bool {
    nodes.iter().any(|node| {
        normal_domain(&node.domain) == domain
            || subgraphs(node).any(|(_, graph)| uses_domain(&graph.node, domain))
    })
}

/// A node in messages: ``node `conv1` (Conv)``; without a name, by its first result.
pub(crate) fn describe(node: &NodeProto) -> String {
    let domain = normal_domain(&node.domain);
    let op = if domain.is_empty() { node.op_type.clone() } else { format!("{domain}.{}", node.op_type) };
    match node.output.iter().find(|it| !it.is_empty()) {
        _ if !node.name.is_empty() => format!("node `{}` ({op})", printable(&node.name)),
        Some(output) => format!("the node of `{}` ({op})", printable(output)),
        None => format!("a node without name ({op})"),
    }
}

/// A name on one line.
pub(crate) fn printable(name: &str) -> String {
    if name.chars().any(char::is_control) { name.escape_debug().to_string() } else { name.to_string() }
}

fn structure(message: String, node: &NodeProto) -> Diagnostic {
    Diagnostic::error("X008", message).at(describe(node))
}
