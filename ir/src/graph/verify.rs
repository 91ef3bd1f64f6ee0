//! The verifier: one function per law of [`crate::graph`]. Law G1 has code G011, and so on.
//!
//! It reports all violations, each drawn under its line of the printed graph.

use super::text::print_with_places;
use super::{Edge, Graph, Node, NodeId, NodeKind, StaticType};
use crate::diag::{Diagnostic, Diagnostics};
use crate::ops::{InferCx, OpRegistry};
use crate::shape::{Dim, ShapeCx};
use crate::text::{exists, static_dims_text};
use crate::types::{ConstId, TensorData, TensorType, Type};
use indexmap::{IndexMap, IndexSet};

/// Where a violation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Header,
    Node(NodeId),
    Outputs,
}

struct Check<'g> {
    graph: &'g Graph,
    ops: &'g OpRegistry,
    found: Vec<(At, Diagnostic)>,
}

impl Graph {
    /// Checks all laws.
    ///
    /// # Errors
    /// Every violation.
    pub fn verify(&self, ops: &OpRegistry) -> Result<(), Diagnostics> {
        let mut check = Check { graph: self, ops, found: Vec::new() };
        check.check_g1_order();
        check.check_g2_edges();
        // The other laws speak of operands; without those there is nothing to check them on.
        if check.found.is_empty() {
            check.check_g3_no_effects();
            check.check_g4_types();
            check.check_g5_kernels();
        }
        check.check_g6_names();
        check.check_g7_defaults();
        if check.found.is_empty() {
            return Ok(());
        }
        let printed = print_with_places(self, ops);
        let placed = check.found.into_iter().map(|(at, diagnostic)| {
            let span = match at {
                At::Header => &printed.header,
                At::Node(id) => printed.nodes.get(id).unwrap_or(&printed.header),
                At::Outputs => &printed.outputs,
            };
            diagnostic.at_place(printed.place(span))
        });
        Err(Diagnostics(placed.collect()))
    }
}

impl Check<'_> {
    fn report(&mut self, at: At, code: &'static str, message: String) {
        self.found.push((at, Diagnostic::error(code, message)));
    }

    fn ordered(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.graph.order.iter().filter_map(|id| Some((*id, exists(&self.graph.nodes, *id)?)))
    }

    /// G1: every node in the order comes after the nodes whose outputs it uses, and appears once.
    fn check_g1_order(&mut self) {
        let mut seen: IndexSet<NodeId> = IndexSet::new();
        for id in &self.graph.order {
            let Some(node) = exists(&self.graph.nodes, *id) else {
                self.report(At::Header, "G011", "the order names a node that does not exist".to_owned());
                continue;
            };
            let late =
                node.inputs.iter().any(|it| !seen.contains(&it.node) && self.graph.order.contains(&it.node));
            if late {
                self.report(At::Node(*id), "G011", "a node comes before one that it uses".to_owned());
            }
            if !seen.insert(*id) {
                self.report(At::Node(*id), "G011", "a node is ordered twice".to_owned());
            }
        }
        for input in &self.graph.inputs {
            if !seen.contains(input) {
                self.report(At::Header, "G011", "an input is not in the order".to_owned());
            }
        }
    }

    /// G2: every edge names an existing output of an ordered node; inputs are nodes of that kind, and the other way
    /// round.
    fn check_g2_edges(&mut self) {
        let order: IndexSet<NodeId> = self.graph.order.iter().copied().collect();
        let good = |graph: &Graph, edge: &Edge| {
            let outputs = exists(&graph.nodes, edge.node).map_or(0, |it| it.outputs.len());
            order.contains(&edge.node) && (edge.output as usize) < outputs
        };
        let mut bad = Vec::new();
        for (id, node) in self.ordered() {
            bad.extend(node.inputs.iter().filter(|it| !good(self.graph, it)).map(|it| (At::Node(id), *it)));
        }
        bad.extend(
            self.graph.outputs.iter().filter(|it| !good(self.graph, &it.1)).map(|it| (At::Outputs, it.1)),
        );
        for (at, edge) in bad {
            let id = edge.node.into_raw().into_u32();
            self.report(
                at,
                "G012",
                format!("an edge names output {} of node {id}, which is not there", edge.output),
            );
        }
        let is_input = |graph: &Graph, id: NodeId| {
            exists(&graph.nodes, id).is_some_and(|it| matches!(it.kind, NodeKind::Input { .. }))
        };
        for input in &self.graph.inputs {
            if !is_input(self.graph, *input) {
                self.report(At::Header, "G012", "an input of the graph is a node of another kind".to_owned());
            }
        }
        for id in &self.graph.order {
            if is_input(self.graph, *id) && !self.graph.inputs.contains(id) {
                self.report(
                    At::Node(*id),
                    "G012",
                    "a node of kind `Input` is no input of the graph".to_owned(),
                );
            }
        }
    }

    /// G3: operators have no effects but `ABORT`.
    fn check_g3_no_effects(&mut self) {
        for id in &self.graph.order {
            if let NodeKind::Op { op, .. } = self.graph.nodes[*id].kind {
                let def = self.ops.def(op);
                if !def.effects.allowed_in_dataflow() {
                    let message = format!("`{}` has effects: {}", def.name, def.effects);
                    self.report(At::Node(*id), "G013", message);
                }
            }
        }
    }

    /// G4: recorded output types equal the inferred ones; a view has as many bytes as its operand.
    fn check_g4_types(&mut self) {
        let graph = self.graph;
        let mut shapes = ShapeCx::new();
        let mut types: IndexMap<Edge, Type> = IndexMap::new();
        for id in &graph.order {
            let node = &graph.nodes[*id];
            let mut inferred: Option<Vec<Type>> = None;
            match &node.kind {
                NodeKind::Constant(constant) if graph.constants.contains(*constant) => {
                    let ty = TensorType::of_constant(&mut shapes, graph.constants.data(*constant));
                    inferred = Some(vec![Type::Tensor(ty)]);
                }
                NodeKind::Constant(constant) => {
                    self.report(At::Node(*id), "G014", format!("there is no constant {constant}"));
                }
                NodeKind::Op { op, attrs } => {
                    let args: Vec<Type> = node.inputs.iter().map(|it| types[it].clone()).collect();
                    let mut cx = InferCx::new(&mut shapes, attrs, &args);
                    match self.ops.infer(*op, &mut cx) {
                        Ok(list) => inferred = Some(list.into_vec()),
                        Err(it) => {
                            let note = format!("inference reports {}", it.code);
                            let mut diagnostic = Diagnostic::error("G014", it.message).note(note);
                            diagnostic.help = it.help;
                            self.found.push((At::Node(*id), diagnostic));
                        }
                    }
                }
                NodeKind::View => self.view(*id, node),
                NodeKind::Input { .. } | NodeKind::Kernel { .. } => {}
            }
            let fixed = |ty: &Type, shapes: &ShapeCx| {
                let ty = ty.as_tensor()?;
                Some(StaticType { dtype: ty.dtype, dims: ty.static_dims(shapes)? })
            };
            let agrees: Vec<bool> = match &inferred {
                Some(list) => list
                    .iter()
                    .enumerate()
                    .map(|(i, ty)| fixed(ty, &shapes).as_ref() == node.outputs.get(i))
                    .collect(),
                None => Vec::new(),
            };
            if let Some(list) = &inferred
                && (list.len() != node.outputs.len() || agrees.contains(&false))
            {
                let found = list.iter().map(|it| crate::text::type_text(&shapes, it)).collect::<Vec<_>>();
                let message =
                    format!("the recorded types differ from the inferred ones: {}", found.join(", "));
                self.report(At::Node(*id), "G014", message);
            }
            for (output, recorded) in (0..).zip(&node.outputs) {
                let known = inferred.as_ref().and_then(|it| it.get(output as usize));
                let ty = match known.filter(|_| agrees.get(output as usize) == Some(&true)) {
                    Some(ty) => ty.clone(),
                    None => {
                        let dims: Vec<Dim> = recorded
                            .dims
                            .iter()
                            .map(|it| shapes.int(i64::try_from(*it).unwrap_or(i64::MAX)))
                            .collect();
                        Type::tensor(recorded.dtype, dims)
                    }
                };
                types.insert(Edge { node: *id, output }, ty);
            }
        }
    }

    fn view(&mut self, id: NodeId, node: &Node) {
        let bytes = |ty: &StaticType| TensorData::unpacked_count(ty.dtype, &ty.dims);
        let fits = match (&node.inputs[..], &node.outputs[..]) {
            ([input], [output]) => {
                let input = self.graph.ty(*input);
                input.dtype == output.dtype && bytes(input).is_some() && bytes(input) == bytes(output)
            }
            _ => false,
        };
        if !fits {
            let message =
                "a view has one operand and one output, of one element type and as many bytes".to_owned();
            self.report(At::Node(id), "G014", message);
        }
    }

    /// G5: a kernel node matches its kernel: operand count, element types, dimensions, no sizes, no effects but `ABORT`.
    fn check_g5_kernels(&mut self) {
        let graph = self.graph;
        for id in &graph.order {
            let node = &graph.nodes[*id];
            let NodeKind::Kernel { kernel: name } = &node.kind else { continue };
            let Some(kernel) = graph.kernels.get(name) else {
                self.report(At::Node(*id), "G015", format!("the graph has no kernel `{name}`"));
                continue;
            };
            if !kernel.effects().allowed_in_dataflow() {
                let message =
                    format!("`@{name}` has effects, but a graph has no order: {}", kernel.effects());
                self.report(At::Node(*id), "G015", message);
            }
            if !kernel.sizes().is_empty() {
                let message = format!("`@{name}` takes sizes, but a static graph passes none");
                self.report(At::Node(*id), "G015", message);
            }
            let (mut reads, mut writes) = (Vec::new(), Vec::new());
            for param in kernel.params() {
                reads.extend(param.access.reads().then_some(param));
                writes.extend(param.access.writes().then_some(param));
            }
            if (node.inputs.len(), node.outputs.len()) != (reads.len(), writes.len()) {
                let message = format!(
                    "`@{name}` reads {} buffers and writes {}, but {} operands and {} results are given",
                    reads.len(),
                    writes.len(),
                    node.inputs.len(),
                    node.outputs.len()
                );
                self.report(At::Node(*id), "G015", message);
                continue;
            }
            let given = node.inputs.iter().map(|it| graph.ty(*it)).chain(&node.outputs);
            for (ty, param) in given.zip(reads.into_iter().chain(writes)) {
                let extent = |it: &Dim| kernel.shapes().as_int(*it).and_then(|it| u64::try_from(it).ok());
                let buffer = param.buffer();
                let dims = buffer.and_then(|it| it.1.iter().map(extent).collect::<Option<Vec<u64>>>());
                if buffer.map(|it| it.0) != Some(ty.dtype) || dims.as_deref() != Some(&ty.dims[..]) {
                    let given = format!("{}{}", ty.dtype, static_dims_text(&ty.dims));
                    let message = format!("buffer `%{}` of `@{name}` does not fit {given}", param.name);
                    self.report(At::Node(*id), "G015", message);
                }
            }
        }
    }

    /// G6: input and output names are unique.
    fn check_g6_names(&mut self) {
        let mut seen = IndexSet::new();
        for id in &self.graph.inputs {
            if let Some(Node { kind: NodeKind::Input { name, .. }, .. }) = exists(&self.graph.nodes, *id)
                && !seen.insert(name)
            {
                self.report(At::Header, "G016", format!("two inputs are called `{name}`"));
            }
        }
        let mut seen = IndexSet::new();
        for (name, _) in &self.graph.outputs {
            if !seen.insert(name) {
                self.report(At::Outputs, "G016", format!("two outputs are called `{name}`"));
            }
        }
    }

    /// G7: defaults of inputs are constants of their type, and come last.
    fn check_g7_defaults(&mut self) {
        let mut optional = false;
        for id in &self.graph.inputs {
            let Some(node) = exists(&self.graph.nodes, *id) else { continue };
            let NodeKind::Input { name, default } = &node.kind else { continue };
            let constants = &self.graph.constants;
            let fits = |id: ConstId| {
                constants.contains(id) && {
                    let data = constants.data(id);
                    node.outputs[..] == [StaticType { dtype: data.dtype(), dims: data.dims().into() }]
                }
            };
            match default {
                Some(id) if !fits(*id) => {
                    let message = format!("the default of input `{name}` is no constant of its type");
                    self.report(At::Header, "G017", message);
                }
                None if optional => {
                    let message = format!("input `{name}` has no default but comes after one that has");
                    self.report(At::Header, "G017", message);
                }
                _ => {}
            }
            optional |= default.is_some();
        }
    }
}
