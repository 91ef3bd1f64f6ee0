//! What is known of a class: its type, its elements where it is a small constant, whether it follows from constants.

use super::language::Node;
use egg::{Analysis, DidMerge, EGraph, Id};
use indexmap::IndexMap;
use orogen_ir::ops::{InferCx, OpId, OpRegistry};
use orogen_ir::shape::{ShapeCx, Truth};
use orogen_ir::types::{Attrs, DType, ShapeInfo, TensorData, TensorType, Type, pair_dims};

/// An e-graph with types.
pub(super) type Graph<'a> = EGraph<Node, Typed<'a>>;

/// Constants of at most this many bytes are one when they are equal; larger ones when they share their memory.
const COMPARED_BYTES: usize = 1024;

/// What is known of a class.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// Its type.
    pub(super) ty: Type,
    /// Its data, as a place in [`Typed::constants`].
    pub(super) constant: Option<u32>,
    /// Whether it follows from constants alone, so that it is computed before any call.
    pub(super) known: bool,
    /// Whether its members have types that are one only by what facts say of sizes.
    pub(super) assumed: bool,
}

/// What classes are analysed with.
pub(super) struct Typed<'a> {
    pub(super) ops: &'a OpRegistry,
    pub(super) shapes: ShapeCx,
    /// Types of leaves.
    pub(super) leaves: Vec<Type>,
    /// Data of constants.
    pub(super) constants: Vec<TensorData>,
    interned: IndexMap<ConstantKey, u32>,
    /// The type of the operation that is added next, where it is known.
    pub(super) next: Option<Type>,
    /// Two types of one class that are known to differ, when congruence has merged such.
    pub(super) contradiction: Option<(Type, Type)>,
}

/// What makes two constants one: type, and content or address.
type ConstantKey = (DType, Vec<u64>, Vec<u8>, usize);

impl<'a> Typed<'a> {
    pub(super) fn new(ops: &'a OpRegistry, shapes: ShapeCx) -> Self {
        Typed {
            ops,
            shapes,
            leaves: Vec::new(),
            constants: Vec::new(),
            interned: IndexMap::new(),
            next: None,
            contradiction: None,
        }
    }

    /// The place of a constant; equal ones have one.
    pub(super) fn intern(&mut self, data: TensorData) -> u32 {
        let (content, address) = match data.bytes().len() {
            0..=COMPARED_BYTES => (data.content(), 0),
            // The table keeps the memory alive, so an address stands for one content.
            _ => (Vec::new(), data.bytes().as_ptr() as usize),
        };
        let key = (data.dtype(), data.dims().to_vec(), content, address);
        let next = self.constants.len() as u32;
        let at = *self.interned.entry(key).or_insert(next);
        if at == next {
            self.constants.push(data);
        }
        at
    }

    /// The type of an operation, unless it needs a check at run time, binds sizes or does not fit.
    pub(super) fn infer(&mut self, op: OpId, attrs: &Attrs, args: &[Type]) -> Option<Type> {
        infer(self.ops, &mut self.shapes, (op, attrs), args)
    }

    /// Whether values of the two types are of one element type and shape.
    pub(super) fn agree(&self, a: &Type, b: &Type) -> Truth {
        let mut pairs = Vec::new();
        if !pair_dims(a, b, &mut pairs) {
            return Truth::Never;
        }
        let known = pairs.into_iter().map(|(x, y)| self.shapes.prove_eq(x, y));
        let all = known.fold(Truth::Always, Truth::and);
        let open = shape(a).is_some_and(|it| it.known().is_none())
            != shape(b).is_some_and(|it| it.known().is_none());
        if open { all.and(Truth::Unknown) } else { all }
    }
}

/// As [`Typed::infer`], with what these shapes know.
pub(super) fn infer(
    ops: &OpRegistry,
    shapes: &mut ShapeCx,
    (op, attrs): (OpId, &Attrs),
    args: &[Type],
) -> Option<Type> {
    let mut cx = InferCx::new(shapes, attrs, args);
    let mut results = ops.infer(op, &mut cx).ok()?;
    let certain = cx.requirements.is_empty() && cx.facts.is_empty() && results.len() == 1;
    certain.then(|| results.remove(0))
}

/// Whether dimensions of two types are the same whatever facts say.
pub(super) fn is_same(a: &Type, b: &Type) -> bool {
    let mut pairs = Vec::new();
    pair_dims(a, b, &mut pairs) && pairs.iter().all(|(a, b)| a == b)
}

fn shape(ty: &Type) -> Option<&ShapeInfo> {
    Some(&ty.as_tensor()?.shape)
}

impl Analysis<Node> for Typed<'_> {
    type Data = Facts;

    fn make(graph: &mut EGraph<Node, Self>, node: &Node, _: Id) -> Facts {
        match node {
            Node::Leaf(it) => {
                let ty = graph.analysis.leaves[*it as usize].clone();
                Facts { ty, constant: None, known: false, assumed: false }
            }
            Node::Constant(it) => {
                let Typed { shapes, constants, .. } = &mut graph.analysis;
                let ty = Type::Tensor(TensorType::of_constant(shapes, &constants[*it as usize]));
                Facts { ty, constant: Some(*it), known: true, assumed: false }
            }
            Node::Op { op, attrs, args } => {
                let known = args.iter().all(|it| graph[*it].data.known);
                let ty = graph.analysis.next.take().or_else(|| {
                    let types: Vec<Type> = args.iter().map(|it| graph[*it].data.ty.clone()).collect();
                    graph.analysis.infer(*op, attrs, &types)
                });
                Facts { ty: ty.unwrap_or(Type::Object), constant: None, known, assumed: false }
            }
        }
    }

    fn remake(graph: &mut EGraph<Node, Self>, node: &Node, class: Id) -> Facts {
        // Types do not change; whether all operands are known may.
        let mut facts = graph[class].data.clone();
        if let Node::Op { args, .. } = node {
            facts.known = args.iter().all(|it| graph[*it].data.known);
            facts.constant = None;
        }
        facts
    }

    fn merge(&mut self, to: &mut Facts, from: Facts) -> DidMerge {
        if self.agree(&to.ty, &from.ty).is_never() {
            self.contradiction.get_or_insert_with(|| (to.ty.clone(), from.ty.clone()));
        }
        let (known, constant) = (to.known || from.known, to.constant.or(from.constant));
        let assumed = to.assumed || from.assumed || !is_same(&to.ty, &from.ty);
        let differs = |it: &Facts| {
            (it.known, it.constant.is_some(), it.assumed) != (known, constant.is_some(), assumed)
        };
        let merged = DidMerge(differs(to), differs(&from));
        if says_less(&to.ty, &from.ty) {
            to.ty = from.ty;
        }
        (to.known, to.constant, to.assumed) = (known, constant, assumed);
        merged
    }
}

/// Whether the other type says what this one leaves open.
fn says_less(a: &Type, b: &Type) -> bool {
    match (a.as_tensor(), b.as_tensor()) {
        (Some(a), Some(b)) => {
            a.shape.known().is_none() && b.shape.known().is_some()
                || a.elements.is_none() && b.elements.is_some()
        }
        _ => false,
    }
}
