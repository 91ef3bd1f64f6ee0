//! Builds a legacy graph, one checked node at a time.

use super::{Edge, Graph, Node, NodeKind, StaticType};
use crate::diag::{Diagnostic, Diagnostics};
use crate::ops::{InferCx, OpId, OpRegistry, OpSink, SinkResult};
use crate::shape::ShapeCx;
use crate::types::{Attrs, TensorData, TensorType, Type};
use indexmap::IndexMap;
use smallvec::{SmallVec, smallvec};

/// The line that opts a model in to the dataflow-block IR.
pub const OPT_IN_HELP: &str = "compile with `--opt-in dataflow-ir`, or write `opt-in = [\"dataflow-ir\"]` under \
                               `[models.\"NAME\"]` in `orogen.toml`";

/// A graph under construction. As an [`OpSink`] it takes what the legacy IR can hold; everything else is an error
/// that says what the model needs and how to opt in.
///
/// ```
/// use orogen_ir::graph::GraphBuilder;
/// use orogen_ir::ops::{OpRegistry, OpSink};
/// use orogen_ir::types::{Attrs, DType, Type};
///
/// let ops = OpRegistry::standard();
/// let mut b = GraphBuilder::new("twice", &ops);
/// let three = b.shapes().int(3);
/// let x = b.input("x", Type::tensor(DType::F32, [three]))?;
/// let y = b.emit(ops.get("add"), Attrs::none(), &[x, x])?[0];
/// b.output("y", y)?;
/// let graph = b.finish()?;
/// assert_eq!(graph.order.len(), 2);
///
/// let mut b = GraphBuilder::new("dynamic", &ops);
/// let n = b.shapes().sym("batch");
/// let error = b.input("x", Type::tensor(DType::F32, [n])).unwrap_err();
/// assert!(error.to_string().contains("dynamic dimension `batch` of input `x`"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct GraphBuilder<'a> {
    ops: &'a OpRegistry,
    graph: Graph,
    shapes: ShapeCx,
    types: IndexMap<Edge, Type>,
    source: String,
    found: Diagnostics,
}

impl<'a> GraphBuilder<'a> {
    /// An empty graph.
    pub fn new(name: impl Into<String>, ops: &'a OpRegistry) -> Self {
        GraphBuilder {
            ops,
            graph: Graph { name: name.into(), ..Graph::default() },
            shapes: ShapeCx::new(),
            types: IndexMap::new(),
            source: String::new(),
            found: Diagnostics::new(),
        }
    }

    /// The finished graph.
    ///
    /// # Errors
    /// Names of inputs or outputs that are not unique (law G6).
    pub fn finish(mut self) -> Result<Graph, Diagnostics> {
        let names: Vec<&str> = self.graph.outputs.iter().map(|(name, _)| name.as_str()).collect();
        for (i, name) in names.iter().enumerate() {
            if names[..i].contains(name) {
                self.found.push(Diagnostic::error("G006", format!("two outputs are named `{name}`")));
            }
        }
        self.found.into_result(self.graph)
    }

    fn add(
        &mut self,
        kind: NodeKind,
        inputs: SmallVec<[Edge; 3]>,
        types: Vec<(StaticType, Type)>,
    ) -> Vec<Edge> {
        let outputs = types.iter().map(|(ty, _)| ty.clone()).collect();
        let node = self.graph.nodes.alloc(Node { kind, inputs, outputs, source: self.source.clone() });
        self.graph.order.push(node);
        types
            .into_iter()
            .enumerate()
            .map(|(output, (_, ty))| {
                let edge = Edge { node, output: output as u32 };
                self.types.insert(edge, ty);
                edge
            })
            .collect()
    }

    /// The constant type of a result, or what makes it dynamic.
    fn static_type(&self, ty: &Type, what: &str) -> Result<StaticType, Diagnostic> {
        let Type::Tensor(tensor) = ty else {
            return Err(needs(format!("{what} is not a tensor")));
        };
        let Some(dims) = tensor.dims() else {
            return Err(needs(format!("the shape of {what} depends on data")));
        };
        let mut fixed = SmallVec::new();
        for dim in dims {
            match self.shapes.as_int(*dim).map(u64::try_from) {
                Some(Ok(dim)) => fixed.push(dim),
                Some(Err(_)) => {
                    return Err(Diagnostic::error("G011", format!("{what} has a negative dimension")));
                }
                None => {
                    let name = self.shapes.display(*dim).to_string();
                    return Err(needs(format!("dynamic dimension `{name}` of {what}"))
                        .help(format!("bind it with `--dim {name}=1`, or {OPT_IN_HELP}")));
                }
            }
        }
        Ok(StaticType { dtype: tensor.dtype, dims: fixed })
    }

    /// The boolean that a value is known to be.
    fn known_bool(&self, value: Edge) -> Option<bool> {
        let elements = self.types[&value].as_tensor()?.elements.as_deref()?;
        let [element] = elements else { return None };
        self.shapes.as_int(*element).map(|it| it != 0)
    }

    fn at_source(&self, diagnostic: Diagnostic) -> Diagnostic {
        if self.source.is_empty() { diagnostic } else { diagnostic.at(self.source.clone()) }
    }
}

fn needs(what: String) -> Diagnostic {
    Diagnostic::error("G010", format!("the legacy graph IR cannot hold this model: {what}")).help(OPT_IN_HELP)
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
        source.clone_into(&mut self.source);
    }

    fn input(&mut self, name: &str, ty: Type) -> Result<Edge, Diagnostic> {
        let fixed = self.static_type(&ty, &format!("input `{name}`"))?;
        let taken = |id: &super::NodeId| matches!(&self.graph.nodes[*id].kind, NodeKind::Input { name: it } if it == name);
        if self.graph.inputs.iter().any(taken) {
            return Err(Diagnostic::error("G006", format!("two inputs are named `{name}`")));
        }
        let kind = NodeKind::Input { name: name.to_string() };
        let edge = self.add(kind, smallvec![], vec![(fixed, ty)])[0];
        self.graph.inputs.push(edge.node);
        Ok(edge)
    }

    fn constant(&mut self, name: &str, data: TensorData) -> Edge {
        let fixed = StaticType { dtype: data.dtype(), dims: data.dims().iter().copied().collect() };
        let ty = TensorType::of_constant(&mut self.shapes, &data);
        let constant = self.graph.constants.add(name, data);
        self.add(NodeKind::Constant(constant), smallvec![], vec![(fixed, Type::Tensor(ty))])[0]
    }

    fn emit(&mut self, op: OpId, attrs: Attrs, args: &[Edge]) -> SinkResult<Edge> {
        let def = self.ops.def(op);
        if !def.effects.allowed_in_dataflow() {
            let error = needs(format!("operator `{}` has effects ({})", def.name, def.effects));
            return Err(self.at_source(error));
        }
        let types: Vec<Type> = args.iter().map(|it| self.types[it].clone()).collect();
        let mut cx = InferCx::new(&mut self.shapes, &attrs, &types);
        let results = self.ops.infer(op, &mut cx);
        let requirements = cx.requirements;
        let results = results.map_err(|it| self.at_source(it))?;
        if let Some(requirement) = requirements.first() {
            return Err(self.at_source(needs(format!("it needs a run-time check ({})", requirement.message))));
        }
        if let [Type::Tensor(result)] = results.as_slice()
            && let Some(data) = result.constant_data(&self.shapes)
        {
            return Ok(vec![self.constant("", data)]);
        }
        let mut outputs = Vec::with_capacity(results.len());
        for ty in results {
            let what = format!("the result of `{}`", def.name);
            let fixed = self.static_type(&ty, &what).map_err(|it| self.at_source(it))?;
            outputs.push((fixed, ty));
        }
        Ok(self.add(NodeKind::Op { op, attrs }, args.iter().copied().collect(), outputs))
    }

    fn type_of(&self, value: Edge) -> &Type {
        &self.types[&value]
    }

    fn constant_data(&self, value: Edge) -> Option<&TensorData> {
        match self.graph.nodes[value.node].kind {
            NodeKind::Constant(constant) => Some(self.graph.constants.data(constant)),
            _ => None,
        }
    }

    fn match_cast(&mut self, _value: Edge, _ty: Type) -> Result<Edge, Diagnostic> {
        Err(self.at_source(needs("a shape depends on data".to_string())))
    }

    fn if_else(
        &mut self,
        cond: Edge,
        then_branch: &mut dyn FnMut(&mut Self) -> SinkResult<Edge>,
        else_branch: &mut dyn FnMut(&mut Self) -> SinkResult<Edge>,
    ) -> SinkResult<Edge> {
        match self.known_bool(cond) {
            Some(true) => then_branch(self),
            Some(false) => else_branch(self),
            None => Err(self.at_source(needs("control flow (`If`) that depends on data".to_string()))),
        }
    }

    fn while_loop(
        &mut self,
        _init: &[Edge],
        _cond: &mut dyn FnMut(&mut Self, &[Edge]) -> Result<Edge, Diagnostic>,
        _body: &mut dyn FnMut(&mut Self, &[Edge]) -> SinkResult<Edge>,
    ) -> SinkResult<Edge> {
        Err(self.at_source(needs("control flow (`Loop`)".to_string())))
    }

    fn output(&mut self, name: &str, value: Edge) -> Result<(), Diagnostic> {
        self.graph.outputs.push((name.to_string(), value));
        Ok(())
    }
}
