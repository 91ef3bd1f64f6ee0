//! Building legacy graphs.
//!
//! The graph is static: an operation whose result has a dimension that is not a constant is an error that names
//! what is needed. Small integer tensors know their elements, so shape arithmetic costs no nodes; with an evaluator the
//! same holds for small tensors of any type whose operands are constants. A branch is accepted when its condition is
//! a known constant, and a loop when every one of its conditions is: it is unrolled, within the budget. Sequences and
//! optionals are no nodes: they are there while the graph is built, and what is taken out of one is what was put in.

use super::{Edge, Graph, Node, NodeKind, StaticType};
use crate::diag::{Diagnostic, Diagnostics};
use crate::ops::{
    Folding, InferCx, OnConstants, OpId, OpRegistry, OpSink, Outline, SinkResult, StructureOp, emit_decided,
};
use crate::shape::{Constraint, Dim, ShapeCx, Sym, Truth};
use crate::text::{quote, type_text};
use crate::types::{
    Attrs, ConstId, ConstInterner, DType, Source, TensorData, TensorType, Type, implies, map_dims,
    match_type, visit_dims,
};
use indexmap::{IndexMap, IndexSet};
use smallvec::SmallVec;

/// The line that opts a model in to the dataflow-block IR.
pub const OPT_IN_HELP: &str = "compile with `--opt-in dataflow-ir`, or write `opt-in = [\"dataflow-ir\"]` under \
                               `[models.\"NAME\"]` in `orogen.toml`";

/// Builds a [`Graph`].
///
/// ```
/// use orogen_ir::graph::GraphBuilder;
/// use orogen_ir::ops::{OpRegistry, OpSink};
/// use orogen_ir::types::{Attrs, DType, Type};
///
/// let ops = OpRegistry::standard();
/// let mut builder = GraphBuilder::new(&ops, "double");
/// let four = builder.shapes().int(4);
/// let x = builder.input("x", Type::tensor(DType::F32, [four]))?;
/// let y = builder.emit(ops.get("add"), Attrs::none(), &[x, x])?;
/// builder.output("y", y[0])?;
/// let graph = builder.finish()?;
/// assert_eq!(graph.order().len(), 2);
///
/// let mut builder = GraphBuilder::new(&ops, "dynamic");
/// let batch = builder.shapes().sym("batch");
/// let error = builder.input("x", Type::tensor(DType::F32, [batch])).unwrap_err();
/// assert_eq!(error.code, "G001");
/// assert!(error.help.unwrap().contains("--dim batch=1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct GraphBuilder<'o> {
    ops: &'o OpRegistry,
    graph: Graph,
    shapes: ShapeCx,
    types: IndexMap<Edge, Type>,
    /// Values of symbols: those that the user fixed, and those that a `match_cast` bound.
    known: IndexMap<Sym, Dim>,
    constants: IndexMap<ConstId, Edge>,
    pool: ConstInterner,
    source: Source,
    folding: Folding<'o>,
    unroll: bool,
    /// Names of inputs and of outputs so far.
    inputs: IndexSet<String>,
    outputs: IndexSet<String>,
}

/// What one turn of an unrolled loop costs beyond its nodes: of loops with many turns the code would be too long.
const TURN_NODES: u64 = 64;

impl<'o> GraphBuilder<'o> {
    /// A builder of a graph of that name.
    pub fn new(ops: &'o OpRegistry, name: &str) -> Self {
        GraphBuilder {
            ops,
            graph: Graph { name: name.to_owned(), ..Graph::default() },
            shapes: ShapeCx::new(),
            types: IndexMap::new(),
            known: IndexMap::new(),
            constants: IndexMap::new(),
            pool: ConstInterner::default(),
            source: Source::default(),
            folding: Folding::default(),
            unroll: true,
            inputs: IndexSet::new(),
            outputs: IndexSet::new(),
        }
    }

    /// The same builder with an evaluator of what is known, and the budget it spends.
    #[must_use]
    pub fn with_folding(mut self, folding: Folding<'o>) -> Self {
        self.folding = folding;
        self
    }

    /// The same builder, which refuses loops even when all their turns are known.
    #[must_use]
    pub fn without_unrolling(mut self) -> Self {
        self.unroll = false;
        self
    }

    /// The operator table.
    pub fn registry(&self) -> &'o OpRegistry {
        self.ops
    }

    /// Fixes a symbol for all types that are given to this builder: what `--dim name=value` asks for.
    pub fn fix_dim(&mut self, name: &str, value: i64) {
        let sym = self.shapes.symbol(name);
        let value = self.shapes.int(value);
        self.known.insert(sym, value);
    }

    /// The finished graph.
    ///
    /// # Errors
    /// When it has no output.
    pub fn finish(self) -> Result<Graph, Diagnostics> {
        if self.graph.outputs.is_empty() {
            return Err(Diagnostic::error("G006", "the model has no output").into());
        }
        Ok(self.graph)
    }

    fn located(&self, diagnostic: Diagnostic) -> Diagnostic {
        if self.source.is_empty() { diagnostic } else { diagnostic.at(self.source.clone()) }
    }

    /// The type with known symbols replaced by their values.
    fn resolve(&mut self, ty: &Type) -> Result<Type, Diagnostic> {
        let (shapes, known) = (&mut self.shapes, &self.known);
        map_dims(ty, &mut |dim| shapes.substitute(dim, known))
            .map_err(|_| self.located(Diagnostic::error("S002", "the size of a dimension overflows")))
    }

    fn static_type(&self, ty: &Type) -> Option<StaticType> {
        let ty = ty.as_tensor()?;
        Some(StaticType { dtype: ty.dtype, dims: ty.static_dims(&self.shapes)? })
    }

    fn push(&mut self, kind: NodeKind, inputs: &[Edge], types: Vec<(StaticType, Type)>) -> Vec<Edge> {
        let outputs = types.iter().map(|(ty, _)| ty.clone()).collect();
        // Inputs are their own source, and stand in the header of the text, which has no place for one.
        let source =
            if matches!(kind, NodeKind::Input { .. }) { Source::default() } else { self.source.clone() };
        let node = Node { kind, inputs: inputs.into(), outputs, source };
        let node = self.graph.nodes.alloc(node);
        self.graph.order.push(node);
        let edges: Vec<Edge> = (0..types.len() as u32).map(|output| Edge { node, output }).collect();
        self.types.extend(edges.iter().copied().zip(types.into_iter().map(|(_, ty)| ty)));
        edges
    }

    fn add_constant(&mut self, name: &str, data: TensorData) -> Edge {
        let fixed = StaticType { dtype: data.dtype(), dims: data.dims().into() };
        let id = self.pool.add(&mut self.graph.constants, name, data);
        if let Some(edge) = self.constants.get(&id) {
            return *edge;
        }
        let ty = Type::Tensor(TensorType::of_constant(&mut self.shapes, self.graph.constants.data(id)));
        let edge = self.push(NodeKind::Constant(id), &[], vec![(fixed, ty)])[0];
        self.constants.insert(id, edge);
        edge
    }

    fn data_of(&self, value: Edge) -> Option<&TensorData> {
        match self.graph.nodes[value.node].kind {
            NodeKind::Constant(id) => Some(self.graph.constants.data(id)),
            _ => None,
        }
    }

    fn condition(&self, cond: Edge, of: &str) -> Result<Option<bool>, Diagnostic> {
        let ty = self.type_of(cond);
        match ty.as_tensor() {
            Some(tensor) if tensor.dtype == DType::Bool => {
                let element = tensor.elements.as_ref().and_then(|it| it.first());
                Ok(element.and_then(|it| self.shapes.as_int(*it)).map(|it| it != 0))
            }
            _ => {
                let ty = type_text(&self.shapes, ty);
                let message =
                    format!("the condition of `{of}` is `{ty}`, not a boolean tensor of one element");
                Err(self.located(Diagnostic::error("B011", message)))
            }
        }
    }

    fn control_flow(&self, what: &str) -> Diagnostic {
        let place = if self.source.is_empty() { "the model".to_owned() } else { self.source.to_string() };
        let message = format!(
            "the static graph holds no control flow, but {place} is {what} whose condition is known only at run \
             time"
        );
        self.located(Diagnostic::error("G003", message).help(OPT_IN_HELP))
    }

    fn only_at_run_time(&self, check: &str) -> Diagnostic {
        let message = format!("{} can be checked only at run time", quote(check));
        self.located(Diagnostic::error("G002", message).help(OPT_IN_HELP))
    }

    fn at_run_time(&self, what: &str, ty: &Type) -> Diagnostic {
        let message = format!("the shape of {what} is known only at run time");
        self.located(
            Diagnostic::error("G002", message)
                .note(format!("all that is known is `{}`", type_text(&self.shapes, ty)))
                .help(OPT_IN_HELP),
        )
    }
}

impl OpSink for GraphBuilder<'_> {
    type Value = Edge;

    fn ops(&self) -> &OpRegistry {
        self.ops
    }

    fn shapes(&mut self) -> &mut ShapeCx {
        &mut self.shapes
    }

    fn set_source(&mut self, source: &str) {
        self.source = source.into();
    }

    fn input(&mut self, name: &str, ty: Type) -> Result<Edge, Diagnostic> {
        if self.inputs.contains(name) {
            return Err(self.located(Diagnostic::error("G007", format!("two inputs are called `{name}`"))));
        }
        let ty = self.resolve(&ty)?;
        if ty.as_tensor().is_none() {
            return Err(self.no_tensor(&format!("input `{name}`"), &ty));
        }
        let Some(fixed) = self.static_type(&ty) else {
            return Err(self.dynamic_input(name, &ty));
        };
        let kind = NodeKind::Input { name: name.to_owned(), default: None };
        let edge = self.push(kind, &[], vec![(fixed, ty)])[0];
        self.graph.inputs.push(edge.node);
        self.inputs.insert(name.to_owned());
        Ok(edge)
    }

    fn optional_input(&mut self, name: &str, ty: Type, default: TensorData) -> Result<Edge, Diagnostic> {
        let edge = self.input(name, ty)?;
        let id = self.graph.constants.add(name, default);
        if let NodeKind::Input { default, .. } = &mut self.graph.nodes[edge.node].kind {
            *default = Some(id);
        }
        Ok(edge)
    }

    fn constant(&mut self, name: &str, data: TensorData) -> Edge {
        self.add_constant(name, data)
    }

    fn emit(&mut self, op: OpId, attrs: Attrs, args: &[Edge]) -> SinkResult<Edge> {
        let def = self.ops.def(op);
        if !def.effects.allowed_in_dataflow() {
            let message =
                format!("the static graph holds no effects, but `{}` has {}", def.name, def.effects);
            return Err(self.located(Diagnostic::error("G004", message).help(OPT_IN_HELP)));
        }
        if let Some(decided) = emit_decided(self, op, args, &Self::structure_of) {
            return decided;
        }
        let types: Vec<Type> = args.iter().map(|it| self.types[it].clone()).collect();
        let mut cx = InferCx::new(&mut self.shapes, &attrs, &types);
        let results = match self.ops.infer(op, &mut cx) {
            Ok(results) => results,
            Err(diagnostic) => return Err(self.located(diagnostic)),
        };
        let requirements = cx.requirements;
        let known: Option<Vec<TensorData>> = args.iter().map(|it| self.data_of(*it).cloned()).collect();
        if let (Some(known), Some(outlines)) = (known, Outline::all(&self.shapes, &results))
            && let Some(data) =
                self.fold(&OnConstants { op, attrs: &attrs, args: &known, results: &outlines })
        {
            return Ok(data.into_iter().map(|it| self.add_constant("", it)).collect());
        }
        if let Some(requirement) = requirements.into_iter().next() {
            return Err(self.only_at_run_time(&requirement.message));
        }
        if let Some(made) = self.structure(op, &attrs, args, &results) {
            return made;
        }
        let mut typed = Vec::with_capacity(results.len());
        for ty in results {
            match self.static_type(&ty) {
                Some(fixed) => typed.push((fixed, ty)),
                None => return Err(self.at_run_time(&format!("a result of `{}`", def.name), &ty)),
            }
        }
        let constants: Vec<_> = match def.effects.allowed_in_dataflow() {
            true => typed.iter().map(|(_, ty)| ty.as_tensor()?.constant_data(&self.shapes)).collect(),
            false => vec![None; typed.len()],
        };
        if !constants.is_empty() && constants.iter().all(Option::is_some) {
            return Ok(constants.into_iter().flatten().map(|data| self.add_constant("", data)).collect());
        }
        let edges = self.push(NodeKind::Op { op, attrs }, args, typed);
        let replaced = edges.into_iter().zip(constants).map(|(edge, data)| match data {
            Some(data) => self.add_constant("", data),
            None => edge,
        });
        Ok(replaced.collect())
    }

    fn fold(&self, call: &OnConstants<'_>) -> Option<Vec<TensorData>> {
        self.folding.fold_small(self.ops, call, &self.source)
    }

    fn type_of(&self, value: Edge) -> &Type {
        &self.types[&value]
    }

    fn constant_data(&self, value: Edge) -> Option<&TensorData> {
        self.data_of(value)
    }

    fn check(&mut self, fact: Constraint, message: &str) -> Result<(), Diagnostic> {
        match self.shapes.prove(fact) {
            Truth::Always => Ok(()),
            Truth::Never => {
                Err(self.located(Diagnostic::error("S001", format!("it never holds: {message}"))))
            }
            Truth::Unknown => Err(self.only_at_run_time(message)),
        }
    }

    /// In a static graph the assertion is decided here: symbols get constant values, and there is nothing left to
    /// check at run time.
    fn match_cast(&mut self, value: Edge, ty: Type) -> Result<Edge, Diagnostic> {
        let from = self.types[&value].clone();
        let unknown_elements = |it: &Type| it.as_tensor().is_some_and(|it| it.elements.is_none());
        if unknown_elements(&from) && !unknown_elements(&ty) {
            let mut diagnostic = Diagnostic::error(
                "G002",
                "the static graph needs the elements of a tensor, which are known only at run time",
            );
            if let NodeKind::Input { name, .. } = &self.graph.nodes[value.node].kind {
                diagnostic = diagnostic.note(format!("the tensor is input `{name}`"));
            }
            return Err(self.located(diagnostic.help(OPT_IN_HELP)));
        }
        let mut known = self.known.clone();
        if match_type(&mut self.shapes, &ty, &from, &mut known) {
            self.known = known;
            return Ok(value);
        }
        let resolved = self.resolve(&ty)?;
        let (from, to) = (type_text(&self.shapes, &from), type_text(&self.shapes, &resolved));
        Err(self.located(Diagnostic::error("G005", format!("a value of type `{from}` is no `{to}`"))))
    }

    fn if_else(
        &mut self,
        cond: Edge,
        then_branch: &mut dyn FnMut(&mut Self) -> SinkResult<Edge>,
        else_branch: &mut dyn FnMut(&mut Self) -> SinkResult<Edge>,
    ) -> SinkResult<Edge> {
        match self.condition(cond, "if")? {
            Some(true) => then_branch(self),
            Some(false) => else_branch(self),
            None => Err(self.control_flow("an `If`")),
        }
    }

    fn while_loop(
        &mut self,
        init: &[Edge],
        cond: &mut dyn FnMut(&mut Self, &[Edge]) -> Result<Edge, Diagnostic>,
        body: &mut dyn FnMut(&mut Self, &[Edge]) -> SinkResult<Edge>,
    ) -> SinkResult<Edge> {
        let source = self.source.clone();
        let mut carried = init.to_vec();
        loop {
            let decision = cond(self, &carried)?;
            match self.condition(decision, "while")? {
                Some(false) => return Ok(carried),
                Some(true) if self.unroll => {
                    let what =
                        if source.is_empty() { "turns of a loop".to_owned() } else { source.to_string() };
                    self.folding.budget.build(TURN_NODES, &what).map_err(|it| {
                        let help = format!("{OPT_IN_HELP}; {}", it.help.as_deref().unwrap_or_default());
                        let note = "the static graph holds no loops: every turn is built";
                        self.located(it.note(note)).help(help)
                    })?;
                    carried = body(self, &carried)?;
                    self.source.clone_from(&source);
                }
                _ => return Err(self.control_flow("a `While`")),
            }
        }
    }

    fn output(&mut self, name: &str, value: Edge) -> Result<(), Diagnostic> {
        if !self.outputs.insert(name.to_owned()) {
            return Err(self.located(Diagnostic::error("G007", format!("two outputs are called `{name}`"))));
        }
        if self.types[&value].as_tensor().is_none() {
            return Err(self.no_tensor(&format!("output `{name}`"), &self.types[&value]));
        }
        self.graph.outputs.push((name.to_owned(), value));
        Ok(())
    }
}

impl GraphBuilder<'_> {
    /// The operation on sequences or optionals that makes a value.
    fn structure_of(&self, value: Edge) -> Option<(StructureOp, Vec<Edge>)> {
        let node = &self.graph.nodes[value.node];
        match &node.kind {
            NodeKind::Op { op, .. } => Some((StructureOp::of(self.ops.def(*op))?, node.inputs.to_vec())),
            _ => None,
        }
    }

    /// Makes a sequence or an optional: a node that is in no order, so that it is not part of the program.
    ///
    /// An operation on one that is not decided here is one of run time.
    fn structure(
        &mut self,
        op: OpId,
        attrs: &Attrs,
        args: &[Edge],
        results: &[Type],
    ) -> Option<SinkResult<Edge>> {
        StructureOp::of(self.ops.def(op))?;
        let object = args.iter().map(|it| &self.types[it]).find(|it| it.as_tensor().is_none());
        match results {
            [ty] if ty.as_tensor().is_none() => {
                let kind = NodeKind::Op { op, attrs: attrs.clone() };
                let source = self.source.clone();
                let outputs = SmallVec::new();
                let node = self.graph.nodes.alloc(Node { kind, inputs: args.into(), outputs, source });
                let edge = Edge { node, output: 0 };
                self.types.insert(edge, ty.clone());
                Some(Ok(vec![edge]))
            }
            _ => Some(Err(self.no_tensor(&format!("an operand of `{}`", self.ops.def(op).name), object?))),
        }
    }

    fn no_tensor(&self, what: &str, ty: &Type) -> Diagnostic {
        let ty = type_text(&self.shapes, ty);
        let message = format!("the static graph holds tensors alone, but {what} is `{ty}` when it runs");
        self.located(Diagnostic::error("G008", message).help(OPT_IN_HELP))
    }

    fn dynamic_input(&self, name: &str, ty: &Type) -> Diagnostic {
        let mut symbols = IndexSet::new();
        visit_dims(ty, &mut |dim: Dim| symbols.extend(self.shapes.free_symbols(dim)));
        let names: SmallVec<[&str; 4]> = symbols.iter().map(|it| self.shapes.name(*it)).collect();
        let at = |it: Diagnostic| it.at(format!("input `{name}`"));
        if names.is_empty() {
            let message = format!("the static graph needs the shape of input `{name}`");
            let known = format!("all that is known is `{}`", type_text(&self.shapes, ty));
            return at(Diagnostic::error("G001", message).note(known).help(OPT_IN_HELP));
        }
        let list: Vec<String> = names.iter().map(|it| format!("`{it}`")).collect();
        let plural = if list.len() == 1 { "dimension" } else { "dimensions" };
        let flags: Vec<String> = names
            .iter()
            .map(|it| match it.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)) {
                true => format!("--dim {it}=1"),
                false => format!("--dim '{it}=1'"),
            })
            .collect();
        let message = format!("dynamic {plural} {} of input `{name}`", list.join(", "));
        at(Diagnostic::error("G001", message)
            .note(format!(
                "its type is `{}`; the static graph holds constant dimensions only",
                type_text(&self.shapes, ty)
            ))
            .help(format!("fix the {plural}, for example `{}`, or {OPT_IN_HELP}", flags.join(" "))))
    }

    /// Whether a value provably has this type.
    pub fn has_type(&self, value: Edge, ty: &Type) -> bool {
        implies(&self.shapes, &self.types[&value], ty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(b: &mut GraphBuilder<'_>, name: &str, dtype: DType, dims: &[i64]) -> Edge {
        let dims: Vec<Dim> = dims.iter().map(|it| b.shapes().int(*it)).collect();
        b.input(name, Type::tensor(dtype, dims)).expect("an input")
    }

    fn emit(b: &mut GraphBuilder<'_>, op: &str, args: &[Edge]) -> Result<Edge, Diagnostic> {
        let op = b.registry().get(op);
        Ok(b.emit(op, Attrs::none(), args)?[0])
    }

    #[test]
    fn dynamic_dimensions_name_themselves_and_the_way_out() {
        let ops = OpRegistry::standard();
        let mut b = GraphBuilder::new(&ops, "g");
        let (batch, odd) = (b.shapes().sym("batch"), b.shapes().sym("seq len"));
        let error = b.input("x", Type::tensor(DType::F32, [batch, odd])).expect_err("dynamic");
        let text = error.to_string();
        assert_eq!(error.code, "G001");
        for part in
            ["`batch`", "`seq len`", "input `x`", "--dim batch=1 --dim 'seq len=1'", "--opt-in dataflow-ir"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
        b.fix_dim("batch", 2);
        b.fix_dim("seq len", 3);
        let x = b.input("x", Type::tensor(DType::F32, [batch, odd])).expect("fixed");
        assert_eq!(b.graph.ty(x).dims[..], [2, 3]);
        assert_eq!(b.input("x", Type::tensor(DType::F32, [])).expect_err("twice").code, "G007");
    }

    #[test]
    fn shape_arithmetic_costs_no_nodes() {
        let ops = OpRegistry::standard();
        let mut b = GraphBuilder::new(&ops, "g");
        let x = input(&mut b, "x", DType::F32, &[2, 3]);
        let shape = emit(&mut b, "shape_of", &[x]).expect("a shape");
        assert_eq!(b.constant_data(shape).map(TensorData::to_i64), Some(vec![2, 3]));
        let doubled = emit(&mut b, "add", &[shape, shape]).expect("added");
        assert_eq!(b.constant_data(doubled).map(TensorData::to_i64), Some(vec![4, 6]));
        let cond = emit(&mut b, "less", &[shape, doubled]).expect("compared");
        assert_eq!(b.constant_data(cond).map(TensorData::to_i64), Some(vec![1, 1]));
    }

    #[test]
    fn control_flow_is_folded_or_refused() {
        let ops = OpRegistry::standard();
        let mut b = GraphBuilder::new(&ops, "g");
        let x = input(&mut b, "x", DType::F32, &[2]);
        let c = input(&mut b, "c", DType::Bool, &[]);
        let yes = b.constant("", TensorData::from_f64(DType::Bool, &[], [1.0]));
        let taken = b.if_else(yes, &mut |_| Ok(vec![x]), &mut |_| panic!("not taken")).expect("folded");
        assert_eq!(taken, [x]);
        b.set_source("node `n` (If)");
        let error = b.if_else(c, &mut |_| Ok(vec![x]), &mut |_| Ok(vec![x])).expect_err("not known");
        assert_eq!(error.code, "G003");
        let text = error.to_string();
        assert!(text.contains("node `n` (If)") && text.contains("--opt-in dataflow-ir"), "{text}");
        let error = b.while_loop(&[x], &mut |_, _| Ok(c), &mut |_, _| Ok(vec![x])).expect_err("not known");
        assert_eq!(error.code, "G003");
    }

    #[test]
    fn data_dependent_shapes_are_refused() {
        let ops = OpRegistry::standard();
        let mut b = GraphBuilder::new(&ops, "g");
        let x = input(&mut b, "x", DType::F32, &[2, 3]);
        let target = input(&mut b, "target", DType::I64, &[1]);
        let error = emit(&mut b, "reshape", &[x, target]).expect_err("unknown shape");
        assert_eq!(error.code, "G002", "{error}");
        let (k, one) = (b.shapes().fresh("k"), b.shapes().int(1));
        let refined = Type::Tensor(TensorType::new(DType::I64, [one]).with_elements([k]));
        let error = b.match_cast(target, refined.clone()).expect_err("unknown elements");
        assert_eq!(error.code, "G002");
        assert!(error.to_string().contains("input `target`"), "{error}");
        let six = b.constant("", TensorData::ints(&[6]));
        assert_eq!(b.match_cast(six, refined).expect("known elements"), six);
        let out = b.shapes().sym("k");
        assert_eq!(
            b.resolve(&Type::tensor(DType::F32, [out])).map(|it| b.static_type(&it)).ok().flatten(),
            Some(StaticType { dtype: DType::F32, dims: SmallVec::from_slice(&[6]) })
        );
        let seven = b.constant("", TensorData::ints(&[7]));
        let six = b.shapes().int(6);
        let wrong = Type::Tensor(TensorType::new(DType::I64, [one]).with_elements([six]));
        assert_eq!(b.match_cast(seven, wrong).expect_err("7 is not 6").code, "G005");
    }
}
