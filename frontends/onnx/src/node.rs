//! One node as converters see it: attributes, operands, and the operations they emit.

use crate::graph::{Opsets, describe, normal_domain};
use crate::proto::{AttributeProto, GraphProto, NodeProto, TypeProto, attribute_type};
use crate::sink::{Ranked, Sink, Value};
use crate::sparse;
use crate::tensor::TensorLoader;
use indexmap::IndexMap;
use orogen_ir::diag::Diagnostic;
use orogen_ir::ops::Budget;
use orogen_ir::types::TensorData;
use std::ops::Deref;

/// Attributes by name.
pub(crate) type Attributes<'m> = IndexMap<&'m str, &'m AttributeProto>;

/// A node without its surroundings.
#[derive(Clone, Debug)]
pub struct Node<'m> {
    proto: &'m NodeProto,
    attributes: Attributes<'m>,
    opset: i64,
}

impl<'m> Node<'m> {
    /// A node inside a function whose attributes have the values `outer`.
    pub(crate) fn new(proto: &'m NodeProto, outer: &Attributes<'m>, opsets: &Opsets) -> Self {
        let mut attributes = Attributes::new();
        for attribute in &proto.attribute {
            if attribute.ref_attr_name.is_empty() {
                attributes.insert(&attribute.name, attribute);
            } else if let Some(value) = outer.get(attribute.ref_attr_name.as_str()) {
                attributes.insert(&attribute.name, value);
            }
        }
        let opset = opsets.get(normal_domain(&proto.domain)).copied().unwrap_or(1);
        Node { proto, attributes, opset }
    }

    /// Version of the operator set of the node's domain.
    pub fn opset(&self) -> i64 {
        self.opset
    }

    /// The node in messages.
    pub fn describe(&self) -> String {
        describe(self.proto)
    }

    /// Operator name.
    pub fn op_type(&self) -> &'m str {
        &self.proto.op_type
    }

    /// Whether it is an operator of the standard domain.
    pub(crate) fn is_standard(&self) -> bool {
        normal_domain(&self.proto.domain).is_empty()
    }

    /// The node as one of another version.
    pub(crate) fn set_opset(&mut self, opset: i64) {
        self.opset = opset;
    }

    /// Gives an attribute another name; one that already has it is replaced.
    pub(crate) fn rename(&mut self, from: &str, to: &'static str) {
        if let Some(attribute) = self.attributes.shift_remove(from) {
            self.attributes.insert(to, attribute);
        }
    }

    pub(crate) fn proto(&self) -> &'m NodeProto {
        self.proto
    }

    pub(crate) fn attributes(&self) -> &Attributes<'m> {
        &self.attributes
    }

    /// Number of operands, those that are left out in the middle included.
    pub fn input_count(&self) -> usize {
        self.proto.input.len()
    }

    /// Whether operand `i` is given.
    pub fn has_input(&self, i: usize) -> bool {
        self.proto.input.get(i).is_some_and(|it| !it.is_empty())
    }

    /// Number of results, unwanted ones included.
    pub fn output_count(&self) -> usize {
        self.proto.output.len()
    }

    /// Whether result `i` is given a name.
    pub fn wants_output(&self, i: usize) -> bool {
        self.proto.output.get(i).is_some_and(|it| !it.is_empty())
    }

    /// Whether the attribute is given.
    pub fn has(&self, name: &str) -> bool {
        self.attributes.contains_key(name)
    }

    /// The integer attribute.
    pub fn int(&self, name: &str) -> Option<i64> {
        self.attributes.get(name).map(|it| it.i)
    }

    /// The integer attribute as a truth value, false when it is not given.
    pub fn flag(&self, name: &str) -> bool {
        self.int(name).unwrap_or(0) != 0
    }

    /// The float attribute.
    pub fn float(&self, name: &str) -> Option<f64> {
        self.attributes.get(name).map(|it| f64::from(it.f))
    }

    /// The text attribute; empty when it is no UTF-8.
    pub fn text(&self, name: &str) -> Option<&'m str> {
        self.attributes.get(name).map(|it| std::str::from_utf8(&it.s).unwrap_or(""))
    }

    /// The list of integers.
    pub fn ints(&self, name: &str) -> Option<&'m [i64]> {
        self.attributes.get(name).map(|it| it.ints.as_slice())
    }

    /// The list of floats.
    pub fn floats(&self, name: &str) -> Option<&'m [f32]> {
        self.attributes.get(name).map(|it| it.floats.as_slice())
    }

    /// The list of texts; those that are no UTF-8 become empty.
    pub fn texts(&self, name: &str) -> Option<Vec<&'m str>> {
        let list = &self.attributes.get(name)?.strings;
        Some(list.iter().map(|it| std::str::from_utf8(it).unwrap_or("")).collect())
    }

    /// The text, or list of texts.
    ///
    /// # Errors
    /// Bytes that are no UTF-8.
    pub(crate) fn utf8(&self, name: &str) -> Result<Option<Vec<&'m str>>, Diagnostic> {
        let Some(attribute) = self.attributes.get(name) else { return Ok(None) };
        let list = match attribute.kind {
            attribute_type::STRINGS => &attribute.strings[..],
            _ => std::slice::from_ref(&attribute.s),
        };
        let text = |it: &'m prost::bytes::Bytes| {
            std::str::from_utf8(it)
                .map_err(|_| bad(format!("attribute `{name}` holds bytes that are no UTF-8")))
        };
        list.iter().map(text).collect::<Result<_, _>>().map(Some)
    }

    /// The subgraph.
    pub(crate) fn graph(&self, name: &str) -> Result<&'m GraphProto, Diagnostic> {
        self.attributes
            .get(name)
            .and_then(|it| it.g.as_deref())
            .ok_or_else(|| bad(format!("attribute `{name}` is missing or no graph")))
    }

    /// The type attribute.
    pub(crate) fn type_of(&self, name: &str) -> Option<&'m TypeProto> {
        self.attributes.get(name)?.tp.as_ref()
    }

    /// The element type of a tensor attribute.
    pub(crate) fn tensor_type(&self, name: &str) -> Option<i32> {
        Some(self.attributes.get(name)?.t.as_ref()?.data_type)
    }
}

/// What is around a node: the importer at the scope that the node stands in.
pub(crate) trait Surroundings<'m> {
    /// What reads tensors of the model.
    fn loader(&self) -> &'m TensorLoader;
    /// What the compilation may spend.
    fn budget(&self) -> &Budget;
    /// Builds a subgraph of the node, whose inputs are given, and returns its outputs.
    fn subgraph(
        &mut self,
        sink: &mut dyn Sink,
        graph: &'m GraphProto,
        inputs: &[Value],
    ) -> Result<Vec<Value>, Diagnostic>;
    /// The same in a sink that keeps nothing: nodes that are only tried are not reported. Some inputs and outputs have a
    /// rank that is known only at run time.
    fn try_subgraph(
        &mut self,
        probe: &mut dyn Sink,
        graph: &'m GraphProto,
        inputs: &[Value],
        ranked: &[(Value, Ranked)],
    ) -> Result<Vec<(Value, Option<Ranked>)>, Diagnostic>;
    /// Builds again what computes `y`, a value of the graph of the node, from values that take the place of those of these
    /// names, in a sink around the one of the node.
    fn recomputed(
        &mut self,
        sink: &mut dyn Sink,
        given: &[(&'m str, Value)],
        y: &'m str,
    ) -> Result<Value, Diagnostic>;
    /// The ranks that values carried by a loop take, if it was asked before with the same ranks around.
    fn loop_ranks(&self, sink: &dyn Sink, node: &'m NodeProto) -> Option<Vec<Vec<usize>>>;
    /// Notes them.
    fn note_loop_ranks(&mut self, sink: &dyn Sink, node: &'m NodeProto, ranks: Vec<Vec<usize>>);
    /// What is known of the rank of a value, if it is known only at run time.
    fn ranked(&self, value: Value) -> Option<Ranked>;
    /// Notes that the rank of a value is known only at run time.
    fn note_ranked(&self, value: Value, ranked: Ranked);
    /// Whether a shape is put together from parts: what is known of them is in its place.
    fn is_concat(&self, value: Value) -> bool;
    /// A shape is put together from parts.
    fn note_concat(&self, value: Value);
}

/// A node while it is imported, with what its operands are and how to emit operations.
///
/// Emitting methods are in a file of their own, by what they are for.
pub struct NodeCx<'a, 'm> {
    node: Node<'m>,
    inputs: Vec<Option<Value>>,
    pub(crate) sink: &'a mut dyn Sink,
    pub(crate) around: &'a mut dyn Surroundings<'m>,
}

impl<'m> Deref for NodeCx<'_, 'm> {
    type Target = Node<'m>;

    fn deref(&self) -> &Node<'m> {
        &self.node
    }
}

impl<'a, 'm> NodeCx<'a, 'm> {
    pub(crate) fn new(
        node: Node<'m>,
        inputs: Vec<Option<Value>>,
        sink: &'a mut dyn Sink,
        around: &'a mut dyn Surroundings<'m>,
    ) -> Self {
        NodeCx { node, inputs, sink, around }
    }

    /// The node alone, to go on with in a subgraph.
    pub(crate) fn bare(&self) -> Node<'m> {
        self.node.clone()
    }

    /// The node, to be given another form.
    pub(crate) fn node_mut(&mut self) -> &mut Node<'m> {
        &mut self.node
    }

    /// Puts a value into the place of operand `i`.
    pub(crate) fn set_input(&mut self, i: usize, value: Value) {
        if self.inputs.len() <= i {
            self.inputs.resize(i + 1, None);
        }
        self.inputs[i] = Some(value);
    }

    /// All operands, also those that are left out.
    pub(crate) fn operands(&self) -> &[Option<Value>] {
        &self.inputs
    }

    /// Operand `i`.
    pub fn input(&self, i: usize) -> Result<Value, Diagnostic> {
        self.optional(i).ok_or_else(|| bad(format!("operand {i} is missing")))
    }

    /// Operand `i`, when it is given.
    pub fn optional(&self, i: usize) -> Option<Value> {
        self.inputs.get(i).copied().flatten()
    }

    /// All operands, none of which may be left out.
    pub fn all_inputs(&self) -> Result<Vec<Value>, Diagnostic> {
        (0..self.inputs.len()).map(|i| self.input(i)).collect()
    }

    /// The tensor attribute.
    pub fn tensor(&self, name: &str) -> Result<Option<TensorData>, Diagnostic> {
        let Some(tensor) = self.node.attributes.get(name).and_then(|it| it.t.as_ref()) else {
            return Ok(None);
        };
        let data = self.around.loader().load(tensor).map_err(|reason| {
            Diagnostic::error("X006", format!("the tensor of attribute `{name}`: {reason}"))
        })?;
        Ok(Some(data))
    }

    /// The sparse tensor attribute, as a dense tensor.
    pub(crate) fn sparse_tensor(&self, name: &str) -> Result<Option<TensorData>, Diagnostic> {
        let Some(tensor) = self.node.attributes.get(name).and_then(|it| it.sparse_tensor.as_ref()) else {
            return Ok(None);
        };
        let data = sparse::dense(tensor, self.around.loader(), self.around.budget()).map_err(|reason| {
            Diagnostic::error("X006", format!("the tensor of attribute `{name}`: {reason}"))
        })?;
        Ok(Some(data))
    }
}

/// A node that does not follow the specification of its operator.
pub(crate) fn bad(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error("X010", message)
}

/// A node that cannot be imported for a reason that only its operands' types or values show.
pub(crate) fn not_supported(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error("X009", message)
}

/// Whether the model would also run into an error: it is not one of this importer's own limits.
pub(crate) fn impossible(error: &Diagnostic) -> bool {
    !matches!(error.code, "X009" | "X012" | Budget::SPENT)
}
