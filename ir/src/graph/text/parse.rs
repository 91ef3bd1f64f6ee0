//! Parsing graphs.

use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Edge, Graph, Node, NodeId, NodeKind, StaticType};
use crate::kernel::{parse_kernel, starts_kernel};
use crate::ops::{InferCx, OpRegistry};
use crate::shape::ShapeCx;
use crate::text::{
    Cursor, InlineConstants, Span, TokenKind, parse_attrs, parse_dtype, parse_source, parse_static_dims,
};
use crate::types::{ConstPool, Source, TensorType, Type};
use indexmap::{IndexMap, IndexSet};
use smallvec::SmallVec;

/// Code of a finding that only follows from one reported before; it is dropped.
const FOLLOWS: &str = "T000";

/// Reads a graph.
///
/// ```
/// use orogen_ir::graph::text::{parse, print};
/// use orogen_ir::ops::OpRegistry;
///
/// let ops = OpRegistry::standard();
/// let text = "\
/// graph @g(%x: f32[2, 3]) {
///   %bias = const \"bias\" f32[3] [1, 2, 3]
///   %0 = add(%x, %bias) : f32[2, 3]
///   return y = %0
/// }
/// ";
/// let graph = parse(text, &ops)?;
/// graph.verify(&ops)?;
/// assert_eq!(print(&graph, &ops), text);
/// # Ok::<(), orogen_ir::diag::Diagnostics>(())
/// ```
///
/// # Errors
/// Everything that is wrong with the text, in its order: after an error reading goes on at the next node.
pub fn parse(text: &str, ops: &OpRegistry) -> Result<Graph, Diagnostics> {
    parse_with_constants(text, ops, &ConstPool::default())
}

/// Reads a graph whose large constants (`const #3 : f32[64, 128]`) are in a pool beside the text.
///
/// # Errors
/// As [`parse`], and when the pool has no such constant or one of another type.
pub fn parse_with_constants(text: &str, ops: &OpRegistry, pool: &ConstPool) -> Result<Graph, Diagnostics> {
    let mut parser = Parser {
        cursor: Cursor::new(text),
        ops,
        graph: Graph { constants: pool.clone(), ..Graph::default() },
        constants: InlineConstants::of(pool),
        shapes: ShapeCx::new(),
        types: IndexMap::new(),
        names: IndexMap::new(),
        broken: IndexSet::new(),
    };
    if let Err(diagnostic) = parser.graph() {
        parser.report(diagnostic);
    }
    let Parser { cursor, graph, .. } = parser;
    cursor.finish().into_result(graph)
}

struct Parser<'t, 'o> {
    cursor: Cursor<'t>,
    ops: &'o OpRegistry,
    graph: Graph,
    constants: InlineConstants,
    shapes: ShapeCx,
    /// What inference knows of each edge, elements included.
    types: IndexMap<Edge, Type>,
    names: IndexMap<String, NodeId>,
    /// Names whose definition could not be read.
    broken: IndexSet<String>,
}

impl Parser<'_, '_> {
    fn report(&mut self, diagnostic: Diagnostic) {
        if diagnostic.code != FOLLOWS {
            self.cursor.report(diagnostic);
        }
    }

    fn graph(&mut self) -> Result<(), Diagnostic> {
        self.cursor.expect_word("graph")?;
        self.graph.name = self.cursor.expect_symbol()?.0;
        self.cursor.expect_punct("(")?;
        while !self.cursor.eat_punct(")") {
            if !self.graph.inputs.is_empty() {
                self.cursor.expect_punct(",")?;
            }
            self.input()?;
        }
        self.cursor.expect_punct("{")?;
        let mut returned = false;
        while !self.cursor.eat_punct("}") {
            if self.cursor.at_end() {
                return Err(self.cursor.expected("`}`"));
            }
            let start = self.cursor.mark();
            let done = if starts_kernel(&self.cursor) {
                self.kernel()
            } else if self.cursor.at_word("return") {
                returned = true;
                self.outputs()
            } else {
                self.node()
            };
            if let Err(diagnostic) = done {
                self.report(diagnostic);
                self.cursor.recover_since(start);
            }
        }
        if !returned {
            let span = self.cursor.previous_span();
            return Err(self.cursor.error_at(span, "T130", "the graph has no `return`"));
        }
        if self.cursor.at_end() { Ok(()) } else { Err(self.cursor.expected("the end of the text")) }
    }

    fn ty(&mut self) -> Result<StaticType, Diagnostic> {
        let dtype = parse_dtype(&mut self.cursor)?;
        Ok(StaticType { dtype, dims: parse_static_dims(&mut self.cursor)? })
    }

    fn input(&mut self) -> Result<(), Diagnostic> {
        let (name, span) = self.cursor.expect_value()?;
        let public = match self.cursor.eat_word("as") {
            true => self.cursor.expect_string("the name of the input in quotes")?,
            false => name.clone(),
        };
        self.cursor.expect_punct(":")?;
        let ty = self.ty()?;
        let default = match self.cursor.eat_punct("=") {
            true => Some(self.constants.read(&mut self.cursor, &mut self.graph.constants)?),
            false => None,
        };
        let kind = NodeKind::Input { name: public, default };
        let id =
            self.define(name, span, kind, SmallVec::new(), smallvec::smallvec![ty], Source::default())?;
        self.graph.inputs.push(id);
        Ok(())
    }

    fn define(
        &mut self,
        name: String,
        span: Span,
        kind: NodeKind,
        inputs: SmallVec<[Edge; 3]>,
        outputs: SmallVec<[StaticType; 1]>,
        source: Source,
    ) -> Result<NodeId, Diagnostic> {
        if self.names.contains_key(&name) {
            return Err(self.cursor.error_at(span, "T101", format!("`%{name}` is defined twice")));
        }
        let types: Vec<Type> = outputs.iter().map(|it| self.symbolic(it)).collect();
        let node = self.graph.nodes.alloc(Node { kind, inputs, outputs, source });
        self.graph.order.push(node);
        self.types.extend((0..).zip(types).map(|(output, ty)| (Edge { node, output }, ty)));
        self.names.insert(name, node);
        Ok(node)
    }

    fn symbolic(&mut self, ty: &StaticType) -> Type {
        let dims: Vec<_> =
            ty.dims.iter().map(|it| self.shapes.int(i64::try_from(*it).unwrap_or(i64::MAX))).collect();
        Type::tensor(ty.dtype, dims)
    }

    fn edge(&mut self) -> Result<Edge, Diagnostic> {
        let (name, span) = self.cursor.expect_value()?;
        let (node, output) = match self.names.get(&name) {
            Some(node) => (*node, 0),
            None => {
                // `%7.1` names an output, unless the name itself has a dot.
                let split =
                    name.rsplit_once('.').and_then(|(base, output)| Some((base, output.parse().ok()?)));
                let base = split.map_or(name.as_str(), |it| it.0);
                if self.broken.contains(base) {
                    return Err(self.cursor.error_at(span, FOLLOWS, "its definition is broken"));
                }
                match split.and_then(|(base, output)| Some((*self.names.get(base)?, output))) {
                    Some(found) => found,
                    None => {
                        let message = format!("`%{name}` is not defined before its use");
                        return Err(self.cursor.error_at(span, "T102", message));
                    }
                }
            }
        };
        if output as usize >= self.graph.nodes[node].outputs.len() {
            let message = format!("there is no output {output} of that node");
            return Err(self.cursor.error_at(span, "T131", message));
        }
        Ok(Edge { node, output })
    }

    fn edges(&mut self) -> Result<SmallVec<[Edge; 3]>, Diagnostic> {
        self.cursor.expect_punct("(")?;
        let mut list = SmallVec::new();
        while !self.cursor.eat_punct(")") {
            if !list.is_empty() {
                self.cursor.expect_punct(",")?;
            }
            list.push(self.edge()?);
        }
        Ok(list)
    }

    fn kernel(&mut self) -> Result<(), Diagnostic> {
        let span = self.cursor.span();
        let kernel = parse_kernel(&mut self.cursor)?;
        let name = kernel.name().to_owned();
        if self.graph.kernels.insert(name.clone(), kernel).is_some() {
            return Err(self.cursor.error_at(span, "T113", format!("`@{name}` is defined twice")));
        }
        Ok(())
    }

    fn outputs(&mut self) -> Result<(), Diagnostic> {
        self.cursor.bump();
        if self.cursor.at_punct("}") {
            return Ok(());
        }
        loop {
            let name = self.cursor.expect_name("the name of an output")?;
            self.cursor.expect_punct("=")?;
            let edge = self.edge()?;
            self.graph.outputs.push((name, edge));
            if !self.cursor.eat_punct(",") {
                return Ok(());
            }
        }
    }

    fn node(&mut self) -> Result<(), Diagnostic> {
        let (name, span) = self.cursor.expect_value()?;
        let done = self.node_of(&name, span);
        if done.is_err() && !self.names.contains_key(&name) {
            self.broken.insert(name);
        }
        done
    }

    fn node_of(&mut self, name: &str, span: Span) -> Result<(), Diagnostic> {
        self.cursor.expect_punct("=")?;
        let start = self.cursor.span();
        let (kind, inputs, mut inferred) = self.kind()?;
        let mut outputs: SmallVec<[StaticType; 1]> = SmallVec::new();
        if self.cursor.eat_punct(":") {
            outputs.push(self.ty()?);
            while self.cursor.eat_punct(",") {
                outputs.push(self.ty()?);
            }
        }
        let fixed = |ty: &Type, shapes: &ShapeCx| {
            let ty = ty.as_tensor()?;
            Some(StaticType { dtype: ty.dtype, dims: ty.static_dims(shapes)? })
        };
        if outputs.is_empty() {
            let list = match &inferred {
                Ok(types) => types.iter().map(|ty| fixed(ty, &self.shapes)).collect(),
                Err(diagnostic) => return Err(diagnostic.clone()),
            };
            outputs = match list {
                Some(list) => list,
                None => {
                    let message = "the output types are missing and cannot be inferred";
                    let span = self.cursor.span_since(&start);
                    return Err(self.cursor.error_at(span, "T108", message).help("write `: TYPE, …`"));
                }
            };
        }
        let source = parse_source(&mut self.cursor)?;
        let agrees: Vec<bool> = match &inferred {
            Ok(types) => types
                .iter()
                .zip(&outputs)
                .map(|(ty, out)| fixed(ty, &self.shapes).as_ref() == Some(out))
                .collect(),
            Err(_) => Vec::new(),
        };
        let node = self.define(name.to_owned(), span, kind, inputs, outputs, source)?;
        // What inference knows beyond the annotation: the elements of small integer tensors.
        for ((output, agrees), ty) in (0..).zip(agrees).zip(inferred.iter_mut().flatten()) {
            if agrees {
                self.types.insert(Edge { node, output }, ty.clone());
            }
        }
        Ok(())
    }

    /// What a node does, its operands, and what inference says of its outputs.
    fn kind(&mut self) -> Result<(NodeKind, SmallVec<[Edge; 3]>, Inferred), Diagnostic> {
        let start = self.cursor.span();
        let missing = |parser: &Self| {
            let message = "the output types are missing and cannot be inferred";
            Err(parser
                .cursor
                .error_at(parser.cursor.span_since(&start), "T108", message)
                .help("write `: TYPE, …`"))
        };
        let quoted = matches!(self.cursor.peek(), TokenKind::Str(_));
        let word = self.cursor.expect_name("an operator")?;
        match word.as_str() {
            "const" if !quoted => {
                let id = self.constants.read(&mut self.cursor, &mut self.graph.constants)?;
                let ty = TensorType::of_constant(&mut self.shapes, self.graph.constants.data(id));
                Ok((NodeKind::Constant(id), SmallVec::new(), Ok(vec![Type::Tensor(ty)])))
            }
            "view" if !quoted => {
                let inputs = self.edges()?;
                let inferred = missing(self);
                Ok((NodeKind::View, inputs, inferred))
            }
            "kernel" if !quoted => {
                let (kernel, _) = self.cursor.expect_symbol()?;
                let inputs = self.edges()?;
                let inferred = missing(self);
                Ok((NodeKind::Kernel { kernel }, inputs, inferred))
            }
            _ => {
                let Some(op) = self.ops.find(&word) else {
                    return Err(self.cursor.error_at(
                        start,
                        "T106",
                        format!("there is no operator `{word}`"),
                    ));
                };
                let inputs = self.edges()?;
                let attrs = parse_attrs(&mut self.cursor)?;
                let types: Vec<Type> = inputs.iter().map(|it| self.types[it].clone()).collect();
                let mut cx = InferCx::new(&mut self.shapes, &attrs, &types);
                let inferred = self.ops.infer(op, &mut cx).map(|it| it.into_vec());
                let span = self.cursor.span_since(&start);
                let inferred = inferred.map_err(|it| it.at_place(self.cursor.place(span)));
                Ok((NodeKind::Op { op, attrs }, inputs, inferred))
            }
        }
    }
}

type Inferred = Result<Vec<Type>, Diagnostic>;
