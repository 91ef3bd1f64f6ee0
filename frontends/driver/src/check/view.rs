//! A program of either IR as definitions of values.

use indexmap::IndexMap;
use orogen_ir::graph::{Edge, Graph, NodeKind};
use orogen_ir::kernel::{Kernel, print_kernel_text};
use orogen_ir::ops::OpId;
use orogen_ir::types::{Attrs, DType, TensorData};

/// A value: of which function, the number of what defines it or of itself, and which of its results.
pub(crate) type Value = (u32, u32, u32);

/// How a value comes about.
#[derive(Clone, Debug)]
pub(crate) enum How<'p> {
    /// By something that is not computed here.
    Given,
    Constant(&'p TensorData),
    Op {
        op: OpId,
        attrs: &'p Attrs,
        args: Vec<Value>,
    },
    Kernel {
        kernel: &'p Kernel,
        sizes: Vec<i64>,
        args: Vec<Value>,
    },
    /// The same elements in another shape.
    View(Value),
}

/// A tensor that a program defines.
#[derive(Clone, Debug)]
pub(crate) struct Definition<'p> {
    pub(crate) how: How<'p>,
    /// Which of the results it is.
    pub(crate) result: usize,
    pub(crate) dtype: DType,
    pub(crate) dims: Vec<u64>,
    pub(crate) source: String,
}

/// A program as what it defines.
#[derive(Debug, Default)]
pub(crate) struct View<'p> {
    pub(crate) definitions: IndexMap<Value, Definition<'p>>,
    /// What is read by what is not computed here, by a name that passes keep.
    pub(crate) readers: IndexMap<(u32, u32, &'static str), Vec<Value>>,
}

impl<'p> View<'p> {
    pub(crate) fn of_graph(graph: &'p Graph) -> View<'p> {
        let mut view = View::default();
        let value = |edge: &Edge| -> Value { (0, edge.node.into_raw().into_u32(), edge.output) };
        for id in graph.order() {
            let node = &graph[*id];
            let args = || node.inputs.iter().map(value).collect::<Vec<_>>();
            let how = match &node.kind {
                NodeKind::Input { .. } => How::Given,
                NodeKind::Constant(constant) => How::Constant(graph.constants.data(*constant)),
                NodeKind::Op { op, attrs } => How::Op { op: *op, attrs, args: args() },
                NodeKind::View => How::View(value(&node.inputs[0])),
                NodeKind::Kernel { kernel } => match graph.kernels().get(kernel) {
                    Some(kernel) => How::Kernel { kernel, sizes: Vec::new(), args: args() },
                    None => How::Given,
                },
            };
            for (output, ty) in node.outputs.iter().enumerate() {
                let edge = Edge { node: *id, output: output as u32 };
                let definition = Definition {
                    how: how.clone(),
                    result: output,
                    dtype: ty.dtype,
                    dims: ty.dims.to_vec(),
                    source: node.source.to_string(),
                };
                view.definitions.insert(value(&edge), definition);
            }
        }
        view.readers.insert((0, 0, "outputs"), graph.outputs().iter().map(|it| value(&it.1)).collect());
        view
    }

    /// Pairs that must be equal: values of both programs that are defined in another way, and what stands now where
    /// another value was read.
    pub(crate) fn obligations(&self, after: &View<'_>) -> Vec<(Value, Value)> {
        let mut found = Vec::new();
        for (value, new) in &after.definitions {
            if self.definitions.get(value).is_some_and(|old| !alike(&old.how, &new.how)) {
                found.push((*value, *value));
            }
        }
        for (reader, new) in &after.readers {
            let Some(old) = self.readers.get(reader).filter(|it| it.len() == new.len()) else { continue };
            found.extend(old.iter().zip(new).filter(|(a, b)| a != b).map(|(a, b)| (*a, *b)));
        }
        found
    }

    /// Where a value comes from.
    pub(crate) fn source(&self, value: Value) -> String {
        self.definitions.get(&value).map_or_else(String::new, |it| it.source.clone())
    }

    /// Whether both programs have a value, of one type.
    pub(crate) fn shares(&self, other: &View<'_>, value: Value) -> bool {
        let ty = |it: &Definition<'_>| (it.dtype, it.dims.clone());
        let types = (self.definitions.get(&value).map(ty), other.definitions.get(&value).map(ty));
        types.0.is_some() && types.0 == types.1
    }
}

/// Whether two definitions say the same.
fn alike(a: &How<'_>, b: &How<'_>) -> bool {
    match (a, b) {
        (How::Given, How::Given) => true,
        (How::Constant(a), How::Constant(b)) => std::ptr::eq(*a, *b) || a == b,
        (How::Op { op: a, attrs: x, args: s }, How::Op { op: b, attrs: y, args: t }) => {
            a == b && x == y && s == t
        }
        (How::Kernel { kernel: a, sizes: x, args: s }, How::Kernel { kernel: b, sizes: y, args: t }) => {
            x == y && s == t && print_kernel_text(a) == print_kernel_text(b)
        }
        (How::View(a), How::View(b)) => a == b,
        _ => false,
    }
}
