//! Builds a model into a sink.
//!
//! `defaults` says what initializers are that the file lists as inputs too, `scope` holds values by name, `branch` decides `If`s whose branches differ in rank, `versions`
//! builds nodes once for each rank of what they read.

mod branch;
mod defaults;
mod scope;
mod versions;

use crate::decode::Model;
use crate::graph::{Body, count_nodes, describe, opsets, printable, reads};
use crate::node::{Attributes, Node, NodeCx, Surroundings, bad, not_supported};
use crate::ops::lengths;
use crate::options::Options;
use crate::proto::{FunctionProto, GraphProto, NodeProto, ValueInfoProto};
use crate::sink::{Adapter, Ranked, Sink, Undecided, Value, assert_condition};
use crate::table::OpTable;
use crate::tensor::TensorLoader;
use crate::unsupported::{self, MAX_NESTING, bind, unsupported};
use branch::{Lookahead, Way};
use defaults::Defaults;
use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::{Diagnostic, Diagnostics, Place};
use orogen_ir::ops::{Budget, Limits, OpSink};
use orogen_ir::text::type_text;
use orogen_ir::types::{ShapeInfo, Type};
use scope::{Frame, Scope};
use std::borrow::Cow;
use std::cell::RefCell;
use versions::Fork;

/// What was imported.
#[derive(Clone, Debug, Default)]
pub struct ImportReport {
    /// What wrote the file; may be empty.
    pub producer: String,
    /// Operator set versions by domain, as the model lists them.
    pub opsets: Vec<(String, i64)>,
    /// Inputs in order.
    pub inputs: Vec<(String, Type)>,
    /// Outputs in order.
    pub outputs: Vec<(String, Type)>,
    /// Names of the dynamic dimensions of the inputs, in order of first use.
    pub dims: Vec<String>,
    /// How many nodes of each operator were imported.
    pub operators: IndexMap<String, usize>,
    /// What the importer had to assume about the data, one sentence each; it is checked when the model runs.
    pub assumptions: Vec<String>,
    /// Inputs of the file that are none of the import, because an initializer gives their value. Before version 4 of the
    /// format every initializer is listed as an input, so there these are not told.
    pub defaults: Vec<String>,
    /// Inputs that a caller may leave out.
    pub optional: Vec<String>,
}

/// Imports a model into a sink.
///
/// # Errors
/// One list of everything unsupported, before anything is built; or what is wrong with the model, the options,
/// or between the model and the sink.
pub fn import<S: OpSink>(
    model: &Model,
    options: &Options,
    sink: &mut S,
) -> Result<ImportReport, Diagnostics> {
    let found = unsupported(model, &options.ops)?;
    unsupported::report(&found)?;
    let defaults = Defaults::of(model, options)?;
    let undecided = defaults::undecided(&defaults, options);
    options.budget.raise(in_proportion(model));
    let values = RefCell::new(Vec::new());
    let mut sink = Adapter::new(sink, &values, &undecided);
    let mut importer = Importer {
        model,
        table: &options.ops,
        defaults,
        budget: options.budget.clone(),
        lookahead: None,
        report: ImportReport {
            producer: model.producer(),
            opsets: model.opsets().map(|(domain, version)| (domain.to_string(), version)).collect(),
            ..ImportReport::default()
        },
        versions: 1,
        loop_ranks: IndexMap::new(),
    };
    importer.model(options, &undecided, &mut sink)?;
    Ok(importer.report)
}

/// Values of a graph that are asked for, in the order of its nodes: the name by which each is asked for, and its own.
fn inner_values<'m>(graph: &'m GraphProto, asked: &IndexSet<String>) -> Vec<(&'m str, &'m str)> {
    let results = graph.node.iter().flat_map(|node| {
        let first = node.output.first().map(|it| (node.name.as_str(), it.as_str()));
        node.output.iter().map(|it| (it.as_str(), it.as_str())).chain(first)
    });
    results.filter(|(name, value)| !value.is_empty() && asked.contains(*name)).collect()
}

/// Whether a value is a tensor, or holds one because its rank is not known.
fn is_tensor(ty: &Type, ranked: bool) -> bool {
    match ty {
        Type::Tensor(_) => true,
        Type::Optional(_) => ranked,
        _ => false,
    }
}

/// What a model may have tried and built again, beyond what any model may, because it is as large as it is.
fn in_proportion(model: &Model) -> Limits {
    Limits { bytes: 0, operations: 0, nodes: count_nodes(model.graph()).saturating_mul(16) }
}

/// What outlives a graph while a model is built.
struct Importer<'m> {
    model: &'m Model,
    table: &'m OpTable,
    defaults: Defaults<'m>,
    budget: Budget,
    /// While an `If` is decided, how much more is looked at.
    lookahead: Option<Lookahead>,
    report: ImportReport,
    /// How many versions are being built of what is built now.
    versions: usize,
    /// The ranks that values carried by loops take, by what they depend on.
    loop_ranks: IndexMap<LoopKey, Vec<Vec<usize>>>,
}

/// A loop, by its place in the model, and the ranks of what it reads.
type LoopKey = (*const NodeProto, Vec<Option<usize>>);

impl<'m> Importer<'m> {
    fn model(
        &mut self,
        options: &Options,
        undecided: &Undecided,
        sink: &mut dyn Sink,
    ) -> Result<(), Diagnostics> {
        let graph = self.model.graph();
        if self.model.proto.ir_version >= 4 {
            self.report.defaults = self.defaults.constant.iter().map(|it| (*it).to_string()).collect();
        }
        let frame = Frame { opsets: self.model.opsets.clone(), attributes: Attributes::new() };
        let mut scope = Scope::new(&frame, None, 0, None);
        for (name, value) in self.inputs(options, undecided, sink)? {
            if scope.values.insert(name, value).is_some() {
                return Err(Diagnostic::error("X008", format!("there are two inputs `{name}`")).into());
            }
            if graph.input.iter().any(|it| it.name == name && has_no_rank(it)) {
                let place = format!("input `{}`", printable(name));
                sink.set_source(&place);
                let ranked =
                    Ranked::held_by(sink, value, "its number of dimensions").map_err(|it| it.at(&*place))?;
                scope.note_ranked(value, ranked);
            }
        }
        let inner = inner_values(graph, &options.values);
        scope.want(inner.iter().map(|it| it.1).collect());
        let outputs = self.body(sink, graph.into(), &mut scope)?;
        let mut seen = IndexSet::new();
        for (output, value) in graph.output.iter().zip(outputs) {
            if !seen.insert(output.name.as_str()) {
                return Err(
                    Diagnostic::error("X008", format!("there are two outputs `{}`", output.name)).into()
                );
            }
            let ty = self.output(sink, &output.name, value, &scope)?;
            self.declared_rank(output, &ty);
        }
        for (name, value) in inner {
            let value =
                scope.find(value).filter(|it| is_tensor(sink.type_of(*it), scope.ranked(*it).is_some()));
            let Some(value) = value.filter(|_| seen.insert(name)) else { continue };
            self.output(sink, name, value, &scope)?;
        }
        Ok(())
    }

    /// Gives a value to the caller; returns its type.
    fn output(
        &mut self,
        sink: &mut dyn Sink,
        name: &str,
        value: Value,
        scope: &Scope<'_, 'm>,
    ) -> Result<Type, Diagnostic> {
        let place = format!("output `{}`", printable(name));
        sink.set_source(&place);
        let ranked = scope.ranked(value);
        let value = match &ranked {
            Some(ranked) if matches!(sink.type_of(value), Type::Optional(_)) => {
                self.taken_out(sink, self.model.graph(), value, ranked, scope).map_err(|it| it.at(&*place))?
            }
            _ => value,
        };
        let rank = ranked.map(|it| it.rank);
        sink.output(name, value, rank).map_err(|it| it.at(&*place))?;
        let mut ty = sink.type_of(value).clone();
        if let (Some(_), Type::Tensor(tensor)) = (rank, &mut ty) {
            tensor.shape = ShapeInfo::Unknown;
        }
        self.report.outputs.push((name.to_owned(), ty.clone()));
        Ok(ty)
    }

    /// Builds a subgraph whose inputs are given and returns its outputs.
    fn subgraph(
        &mut self,
        sink: &mut dyn Sink,
        graph: &'m GraphProto,
        inputs: &[Value],
        outer: &Scope<'_, 'm>,
    ) -> Result<Vec<Value>, Diagnostic> {
        let repeats = Some(format!("subgraph `{}`", printable(&graph.name)));
        let mut scope = Scope::new(outer.frame, Some(outer), outer.depth + 1, repeats);
        if graph.input.len() != inputs.len() {
            return Err(bad(format!(
                "its subgraph takes {} values but is given {}",
                graph.input.len(),
                inputs.len()
            )));
        }
        scope.values.extend(graph.input.iter().map(|it| it.name.as_str()).zip(inputs.iter().copied()));
        let results = self.body(sink, graph.into(), &mut scope)?;
        scope.hand_ranks(&results, outer);
        Ok(results)
    }

    fn call(
        &mut self,
        sink: &mut dyn Sink,
        call: &Node<'m>,
        callee: &'m FunctionProto,
        inputs: &[Option<Value>],
        caller: &Scope<'_, 'm>,
    ) -> Result<Vec<Value>, Diagnostic> {
        let mut versions = self.model.opsets.clone();
        versions.extend(opsets(&callee.opset_import));
        let frame = Frame { opsets: versions, attributes: bind(call, &callee.attribute_proto) };
        let repeats = Some(format!("function `{}`", printable(&callee.name)));
        let mut scope = Scope::new(&frame, None, caller.depth + 1, repeats);
        if inputs.len() > callee.input.len() {
            return Err(bad(format!(
                "function `{}` takes {} values but is given {}",
                callee.name,
                callee.input.len(),
                inputs.len()
            )));
        }
        for (name, value) in callee.input.iter().zip(inputs) {
            if let Some(value) = value {
                scope.values.insert(name, *value);
            }
        }
        let results = self.body(sink, callee.into(), &mut scope)?;
        scope.hand_ranks(&results, caller);
        Ok(results)
    }

    /// Builds the nodes of a graph whose inputs are in `scope`.
    fn body(
        &mut self,
        sink: &mut dyn Sink,
        body: Body<'m>,
        scope: &mut Scope<'_, 'm>,
    ) -> Result<Vec<Value>, Diagnostic> {
        if scope.depth > MAX_NESTING {
            return Err(Diagnostic::error(
                "X012",
                format!("subgraphs and functions nest deeper than {MAX_NESTING} levels"),
            ));
        }
        let schedule = body.schedule(&|name| scope.parent.is_some_and(|it| it.find(name).is_some()))?;
        for initializer in body.graph.iter().flat_map(|it| it.initializers()) {
            let name = initializer.name();
            let open = scope.depth == 0 && self.defaults.open.contains_key(name);
            if open || !schedule.used.contains(name) {
                continue;
            }
            let place = format!("initializer `{}`", printable(name));
            let data = initializer
                .load(&self.model.loader, &self.budget)
                .map_err(|reason| Diagnostic::error("X006", reason).at(&*place))?;
            sink.set_source(&place);
            let value = sink.constant(name, data);
            if scope.values.insert(name, value).is_some() && scope.parent.is_none() {
                return Err(Diagnostic::error("X008", "there is another value of that name").at(&*place));
            }
        }
        scope.stands_for(body);
        scope.want(body.outputs().collect());
        self.nodes(sink, &schedule.order, &schedule.used, scope)?;
        body.outputs()
            .map(|name| {
                scope.find(name).ok_or_else(|| {
                    Diagnostic::error("X008", format!("nothing defines the output `{}`", printable(name)))
                })
            })
            .collect()
    }

    /// Builds nodes of a graph in this order; names in `used` are read by some node or output.
    fn nodes(
        &mut self,
        sink: &mut dyn Sink,
        order: &[&'m NodeProto],
        used: &IndexSet<&'m str>,
        scope: &mut Scope<'_, 'm>,
    ) -> Result<(), Diagnostic> {
        let mut rest = Cow::Borrowed(order);
        while let Some((fork, following)) = self.nodes_to_fork(sink, &rest, used, scope)? {
            rest = Cow::Owned(self.versions(sink, fork, following, used, scope)?);
        }
        Ok(())
    }

    /// Builds nodes up to one that must be built more than once; returns why, and the nodes from that one on or, of an
    /// `If`, those after it.
    fn nodes_to_fork<'o>(
        &mut self,
        sink: &mut dyn Sink,
        order: &'o [&'m NodeProto],
        used: &IndexSet<&'m str>,
        scope: &mut Scope<'_, 'm>,
    ) -> Result<Option<(Fork<'m>, &'o [&'m NodeProto])>, Diagnostic> {
        for (at, node) in order.iter().enumerate() {
            if let Some(fork) = self.fork(sink, node, scope) {
                // What is built with the fork does not follow it.
                let own = usize::from(matches!(fork, Fork::Units(..)));
                return Ok(Some((fork, &order[at + own..])));
            }
            let results = match self.way(sink, &order[at..], used, scope) {
                Ok(Way::Build) => self.node(sink, node, scope),
                Ok(Way::Branch(taken)) => self.one_branch(sink, node, taken, scope),
                Ok(Way::Results(results)) => Ok(results),
                Ok(Way::Fork(fork)) => return Ok(Some((fork, &order[at + 1..]))),
                Ok(Way::Done) => return Ok(None),
                Err(error) => Err(error),
            };
            let results = results.map_err(|it| explained(it, sink, node, scope))?;
            scope.define(&node.output, &results);
            let missing = node.output.iter().skip(results.len());
            if let Some(name) = missing.into_iter().find(|it| !it.is_empty() && used.contains(it.as_str())) {
                let error = not_supported(format!("its result `{}` is not supported", printable(name)));
                return Err(explained(error, sink, node, scope));
            }
        }
        Ok(None)
    }

    /// Builds one branch of an `If` in place and asserts its condition.
    fn one_branch(
        &mut self,
        sink: &mut dyn Sink,
        proto: &'m NodeProto,
        taken: bool,
        scope: &Scope<'_, 'm>,
    ) -> Result<Vec<Value>, Diagnostic> {
        let node = Node::new(proto, &scope.frame.attributes, &scope.frame.opsets);
        let graph = node.graph(if taken { "then_branch" } else { "else_branch" })?;
        let cond = proto.input.first().and_then(|name| scope.find(name));
        let cond = cond.ok_or_else(|| bad("its condition is missing"))?;
        sink.set_source(&describe(proto));
        assert_condition(sink, cond, taken)?;
        self.subgraph(sink, graph, &[], scope)
    }

    /// Builds again what computes `y` from values that take the place of those of these names.
    fn recomputed(
        &mut self,
        sink: &mut dyn Sink,
        given: &[(&'m str, Value)],
        y: &'m str,
        scope: &Scope<'_, 'm>,
    ) -> Result<Value, Diagnostic> {
        let mut inner = scope.nested();
        for (name, value) in given {
            inner.define_one(name, *value);
        }
        let schedule = match scope.body() {
            Some(body) => body.schedule(&|_| true)?,
            None => return Err(bad("it stands in no graph")),
        };
        let mut changed: IndexSet<&str> = given.iter().map(|it| it.0).collect();
        let mut order = Vec::new();
        for node in schedule.order {
            let results = node.output.iter().map(String::as_str).filter(|it| !it.is_empty());
            // What is given is not computed.
            let results: Vec<&str> = results.filter(|it| given.iter().all(|(name, _)| name != it)).collect();
            if !results.is_empty() && reads(node).any(|it| changed.contains(it)) {
                changed.extend(results);
                order.push(node);
            }
        }
        let order = order_of(y, order);
        self.nodes(sink, &order, &schedule.used, &mut inner)?;
        inner.find(y).ok_or_else(|| bad(format!("nothing defines `{}`", printable(y))))
    }

    /// What counts nodes: those that are only tried do not count.
    fn save_counts(&self) -> IndexMap<String, usize> {
        self.report.operators.clone()
    }

    fn restore_counts(&mut self, counts: IndexMap<String, usize>) {
        self.report.operators = counts;
    }

    /// Notes where the rank that the file declares for an output is not the one that the nodes give: files are often wrong
    /// about it.
    fn declared_rank(&mut self, output: &ValueInfoProto, ty: &Type) {
        let declared =
            output.r#type.as_ref().and_then(|it| it.tensor_type.as_ref()).and_then(|it| it.shape.as_ref());
        let found = ty.as_tensor().and_then(|it| it.shape.rank());
        let (Some(declared), Some(found)) = (declared.map(|it| it.dim.len()), found) else { return };
        if declared != found {
            let name = printable(&output.name);
            self.note_assumption(format!(
                "output `{name}` is declared with {declared} dimensions, but its nodes give {found}"
            ));
        }
    }

    fn note_assumption(&mut self, note: String) {
        if !self.report.assumptions.contains(&note) {
            self.report.assumptions.push(note);
        }
    }

    fn node(
        &mut self,
        sink: &mut dyn Sink,
        proto: &'m NodeProto,
        scope: &Scope<'_, 'm>,
    ) -> Result<Vec<Value>, Diagnostic> {
        if let Some(what) = &scope.repeats {
            self.budget.build(1, what)?;
        }
        self.lookahead.as_mut().map_or(Ok(()), Lookahead::visit)?;
        let node = Node::new(proto, &scope.frame.attributes, &scope.frame.opsets);
        let inputs = proto
            .input
            .iter()
            .map(|name| match name.as_str() {
                "" => Ok(None),
                // A function's parameter may be left out by the caller: it is then no operand here either.
                name => Ok(scope.find(name)),
            })
            .collect::<Result<Vec<_>, Diagnostic>>()?;
        if let Some((_, callee)) = self.model.callee(proto, self.table) {
            return self.call(sink, &node, callee, &inputs, scope);
        }
        let table = self.table;
        let domain = crate::graph::normal_domain(&proto.domain);
        let entry = table
            .find(domain, &proto.op_type, node.opset())
            .map_err(|reason| Diagnostic::error("X009", reason))?;
        let name =
            if domain.is_empty() { proto.op_type.clone() } else { format!("{domain}.{}", proto.op_type) };
        *self.report.operators.entry(name).or_default() += 1;
        sink.set_source(&describe(proto));
        let mut at = At { importer: self, scope };
        let mut cx = NodeCx::new(node, inputs, sink, &mut at);
        lengths::settle(&mut cx)?;
        entry.convert(&mut cx)
    }
}

/// An error of a node, with what its operands are and a way out. One of a node inside it says that of itself already.
fn explained(error: Diagnostic, sink: &mut dyn Sink, node: &NodeProto, scope: &Scope<'_, '_>) -> Diagnostic {
    const SHOWN: usize = 8;
    let own = describe(node);
    if matches!(&error.place, Some(Place::Entity(it)) if *it != own) {
        return error;
    }
    let mut operands = Vec::new();
    for (i, name) in node.input.iter().enumerate().filter(|it| !it.1.is_empty()).take(SHOWN) {
        let ty = scope.find(name).map(|it| sink.type_of(it).clone());
        let ty = ty.map_or_else(String::new, |ty| format!(": {}", type_text(sink.shapes(), &ty)));
        operands.push(format!("operand {i} is `{}`{ty}", printable(name)));
    }
    let mut error = error.at(own);
    if !operands.is_empty() {
        let more = if node.input.len() > SHOWN { ", …" } else { "" };
        error = error.note(format!("{}{more}", operands.join(", ")));
    }
    match (&error.help, way_out(error.code)) {
        (None, Some(help)) => error.help(help),
        _ => error,
    }
}

/// What a user may do about an error of a node that does not say it itself.
fn way_out(code: &str) -> Option<&'static str> {
    Some(match code {
        "X009" => "write this part with other operators, or register a converter for it",
        "X010" | "X006" => {
            "the node is not as its operator is specified: export the model again, or see what `onnx.checker` says"
        }
        // Types and shapes that do not fit together.
        _ if code.starts_with(['S', 'O']) => {
            "what gives these operands, or the sizes that inputs declare, does not fit this node: `orogen print --stage import` \
             of the model before it, or `onnx.shape_inference`, shows where they part"
        }
        _ => return None,
    })
}

/// Whether an input is a tensor of which not even the number of dimensions is declared.
fn has_no_rank(input: &ValueInfoProto) -> bool {
    let tensor = input.r#type.as_ref().and_then(|it| it.tensor_type.as_ref());
    tensor.is_some_and(|it| it.shape.is_none())
}

/// Those of the nodes, in their order, that `y` needs.
fn order_of<'m>(y: &'m str, mut nodes: Vec<&'m NodeProto>) -> Vec<&'m NodeProto> {
    let mut needed: IndexSet<&str> = IndexSet::from([y]);
    nodes.reverse();
    nodes.retain(|node| {
        let some = node.output.iter().any(|it| needed.contains(it.as_str()));
        if some {
            needed.extend(reads(node));
        }
        some
    });
    nodes.reverse();
    nodes
}

/// The importer at a node.
struct At<'a, 'm> {
    importer: &'a mut Importer<'m>,
    scope: &'a Scope<'a, 'm>,
}

impl<'m> At<'_, 'm> {
    /// What the ranks that a loop carries depend on.
    fn loop_key(&self, sink: &dyn Sink, node: &'m NodeProto) -> LoopKey {
        let rank = |name| sink.type_of(self.scope.find(name)?).as_tensor()?.shape.rank();
        (std::ptr::from_ref(node), reads(node).map(rank).collect())
    }
}

impl<'m> Surroundings<'m> for At<'_, 'm> {
    fn loader(&self) -> &'m TensorLoader {
        &self.importer.model.loader
    }

    fn budget(&self) -> &Budget {
        &self.importer.budget
    }

    fn subgraph(
        &mut self,
        sink: &mut dyn Sink,
        graph: &'m GraphProto,
        inputs: &[Value],
    ) -> Result<Vec<Value>, Diagnostic> {
        self.importer.subgraph(sink, graph, inputs, self.scope)
    }

    fn try_subgraph(
        &mut self,
        probe: &mut dyn Sink,
        graph: &'m GraphProto,
        inputs: &[Value],
        ranked: &[(Value, Ranked)],
    ) -> Result<Vec<(Value, Option<Ranked>)>, Diagnostic> {
        let counts = self.importer.save_counts();
        // What is noted of values of a probe ends with it.
        let inner = self.scope.nested();
        ranked.iter().for_each(|(value, it)| inner.note_ranked(*value, it.clone()));
        let results = self.importer.subgraph(probe, graph, inputs, &inner);
        self.importer.restore_counts(counts);
        Ok(results?.into_iter().map(|it| (it, inner.ranked(it))).collect())
    }

    fn recomputed(
        &mut self,
        sink: &mut dyn Sink,
        given: &[(&'m str, Value)],
        y: &'m str,
    ) -> Result<Value, Diagnostic> {
        self.importer.recomputed(sink, given, y, self.scope)
    }

    fn loop_ranks(&self, sink: &dyn Sink, node: &'m NodeProto) -> Option<Vec<Vec<usize>>> {
        self.importer.loop_ranks.get(&self.loop_key(sink, node)).cloned()
    }

    fn note_loop_ranks(&mut self, sink: &dyn Sink, node: &'m NodeProto, ranks: Vec<Vec<usize>>) {
        let key = self.loop_key(sink, node);
        self.importer.loop_ranks.insert(key, ranks);
    }

    fn ranked(&self, value: Value) -> Option<Ranked> {
        self.scope.ranked(value)
    }

    fn note_ranked(&self, value: Value, ranked: Ranked) {
        self.scope.note_ranked(value, ranked);
    }

    fn is_concat(&self, value: Value) -> bool {
        self.scope.is_concat(value)
    }

    fn note_concat(&self, value: Value) {
        self.scope.note_concat(value);
    }
}
