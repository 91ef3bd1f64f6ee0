//! Rules on an e-graph: a rule sees a program, and each program that the classes hold is shown to it in turn.
//!
//! A rule asks what defines a value. Here a value is a class, which has several definitions; a run of the rule gets
//! one for each class it asks about, and the rule runs again until it has seen every combination. A combination that a
//! rule rejects early is never extended, so this is the backtracking of a matcher over classes, with the matcher that the
//! other drivers have.

use super::analysis::{Graph, Typed};
use super::language::Node;
use crate::rewrite::{AnyRule, OpCall, Rewriter, Value};
use egg::{Id, Language};
use indexmap::IndexSet;
use orogen_ir::ops::{Folding, OnConstants, OpId, OpRegistry, Outline};
use orogen_ir::shape::ShapeCx;
use orogen_ir::types::{Attrs, Effects, Source, TensorData, TensorType, Type};
use smallvec::SmallVec;
use std::cell::RefCell;

/// Values above this are built, those below are classes.
const BUILT: u64 = 1 << 32;

/// What a rule found.
pub(super) struct Found {
    /// The class that was matched.
    pub(super) root: Id,
    /// What is the same.
    pub(super) result: Value,
    /// What has to be added for it, operands first.
    pub(super) built: Vec<Built>,
}

/// A node that is to be added.
pub(super) struct Built {
    what: What,
    ty: Type,
}

enum What {
    Op { op: OpId, attrs: Attrs, args: SmallVec<[Value; 3]> },
    Constant(u32),
}

/// What a class was taken to be defined by, and by how many it could have been.
#[derive(Clone, Copy)]
struct Choice {
    class: Id,
    chosen: usize,
    of: usize,
}

/// The program that a run of a rule sees.
struct View<'v, 'a> {
    graph: &'v mut Graph<'a>,
    folding: &'v Folding<'a>,
    /// Choices in the order in which they were first made; the last run has made those at the front.
    choices: RefCell<Vec<Choice>>,
    /// How many choices this run has made.
    made: RefCell<usize>,
    /// Classes that runs asked about.
    asked: RefCell<IndexSet<Id>>,
    /// Operators that may abort and were seen by this run.
    aborting: RefCell<SmallVec<[OpId; 2]>>,
    built: Vec<Built>,
}

/// Runs a rule on one node of a class with every combination of definitions below it, at most `limit` times; takes runs
/// from `limit` and notes the classes that were asked about.
pub(super) fn search<'a>(
    graph: &mut Graph<'a>,
    folding: &Folding<'a>,
    rule: &AnyRule,
    (root, node): (Id, &Node),
    limit: &mut usize,
    asked: &mut IndexSet<Id>,
) -> Vec<Found> {
    let Node::Op { op, attrs, args } = node else { return Vec::new() };
    let args = args.iter().map(|it| class(graph.find(*it))).collect();
    let call = OpCall { op: *op, attrs: attrs.clone(), args, result: class(root) };
    let mut found = Vec::new();
    let mut view = View {
        graph,
        folding,
        choices: RefCell::default(),
        made: RefCell::new(0),
        asked: RefCell::new(std::mem::take(asked)),
        aborting: RefCell::default(),
        built: Vec::new(),
    };
    while *limit > 0 {
        *limit -= 1;
        view.begin(*op);
        if let Some(result) = rule.apply(&mut view, &call) {
            found.push(Found { root, result, built: std::mem::take(&mut view.built) });
        }
        if !view.next() {
            break;
        }
    }
    *asked = view.asked.into_inner();
    found
}

impl View<'_, '_> {
    fn begin(&mut self, root: OpId) {
        self.built.clear();
        self.made.replace(0);
        self.aborting.borrow_mut().clear();
        self.note_abort(root);
    }

    /// Goes on to the next combination of choices; whether there is one.
    fn next(&mut self) -> bool {
        let made = *self.made.borrow();
        let choices = self.choices.get_mut();
        choices.truncate(made);
        while let Some(last) = choices.last_mut() {
            if last.chosen + 1 < last.of {
                last.chosen += 1;
                return true;
            }
            choices.pop();
        }
        false
    }

    fn note_abort(&self, op: OpId) {
        if self.graph.analysis.ops.def(op).effects.contains(Effects::ABORT) {
            self.aborting.borrow_mut().push(op);
        }
    }

    /// The class of a value, or what is built.
    fn id(&self, value: Value) -> Result<Id, usize> {
        match value.bits() {
            it if it >= BUILT => Err((it - BUILT) as usize),
            it => Ok(Id::from(it as usize)),
        }
    }

    fn add(&mut self, what: What, ty: Type) -> Value {
        self.built.push(Built { what, ty });
        Value::from_bits(BUILT + (self.built.len() - 1) as u64)
    }

    /// The place of the constant that a value is.
    fn constant_at(&self, value: Value) -> Option<u32> {
        match self.id(value) {
            Ok(id) => {
                self.asked.borrow_mut().insert(id);
                self.graph[id].data.constant
            }
            Err(at) => match self.built[at].what {
                What::Constant(it) => Some(it),
                What::Op { .. } => None,
            },
        }
    }

    fn constant_value(&mut self, data: TensorData) -> Value {
        let at = self.graph.analysis.intern(data);
        if let Some(id) = self.graph.lookup(Node::Constant(at)) {
            return class(self.graph.find(id));
        }
        let Typed { shapes, constants, .. } = &mut self.graph.analysis;
        let ty = Type::Tensor(TensorType::of_constant(shapes, &constants[at as usize]));
        self.add(What::Constant(at), ty)
    }

    /// The result of an operation on small constants.
    fn folded(&mut self, op: OpId, attrs: &Attrs, args: &[Value], ty: &Type) -> Option<Value> {
        let places = args.iter().map(|it| self.constant_at(*it)).collect::<Option<Vec<_>>>()?;
        let typed = &self.graph.analysis;
        let data: Vec<TensorData> = places.iter().map(|it| typed.constants[*it as usize].clone()).collect();
        let results = [Outline::of(&typed.shapes, ty)?];
        let call = OnConstants { op, attrs, args: &data, results: &results };
        let mut folded = self.folding.fold_small(typed.ops, &call, &Source::default())?;
        Some(self.constant_value(folded.pop()?))
    }
}

impl Rewriter for View<'_, '_> {
    fn ops(&self) -> &OpRegistry {
        self.graph.analysis.ops
    }

    fn definition(&self, value: Value) -> Option<OpCall> {
        let id = match self.id(value) {
            Ok(id) => id,
            Err(at) => {
                let What::Op { op, attrs, args } = &self.built[at].what else { return None };
                return Some(OpCall { op: *op, attrs: attrs.clone(), args: args.to_vec(), result: value });
            }
        };
        self.asked.borrow_mut().insert(id);
        let operations = || self.graph[id].nodes.iter().filter(|it| matches!(it, Node::Op { .. }));
        let (mut choices, mut made) = (self.choices.borrow_mut(), self.made.borrow_mut());
        let chosen = match choices[..*made].iter().find(|it| it.class == id) {
            Some(earlier) => earlier.chosen,
            None => {
                // Rules are functions, so a run asks what the last one did until a choice is another one.
                if choices.get(*made).is_none_or(|it| it.class != id) {
                    let of = operations().count();
                    if of == 0 {
                        return None;
                    }
                    choices.truncate(*made);
                    choices.push(Choice { class: id, chosen: 0, of });
                }
                *made += 1;
                choices[*made - 1].chosen
            }
        };
        let Node::Op { op, attrs, args } = operations().nth(chosen)? else { return None };
        self.note_abort(*op);
        let args = args.iter().map(|it| class(self.graph.find(*it))).collect();
        Some(OpCall { op: *op, attrs: attrs.clone(), args, result: value })
    }

    fn is_local(&self, _: Value) -> bool {
        // A region is a part of one block.
        true
    }

    fn constant(&self, value: Value) -> Option<TensorData> {
        let at = self.constant_at(value)?;
        Some(self.graph.analysis.constants[at as usize].clone())
    }

    fn is_made(&self, value: Value) -> Option<bool> {
        match self.id(value) {
            Ok(id) => {
                self.asked.borrow_mut().insert(id);
                Some(self.graph[id].data.known)
            }
            Err(_) => None,
        }
    }

    fn ty(&mut self, value: Value) -> Type {
        match self.id(value) {
            Ok(id) => self.graph[id].data.ty.clone(),
            Err(at) => self.built[at].ty.clone(),
        }
    }

    fn shapes(&self) -> &ShapeCx {
        &self.graph.analysis.shapes
    }

    fn shapes_mut(&mut self) -> &mut ShapeCx {
        &mut self.graph.analysis.shapes
    }

    fn uses(&self, _: Value) -> usize {
        // What else uses a value decides the cost, not whether the equation holds.
        1
    }

    fn emit(&mut self, op: &str, attrs: Attrs, args: &[Value]) -> Option<Value> {
        let op = self.ops().find(op)?;
        let effects = self.ops().def(op).effects;
        let may_abort = effects.contains(Effects::ABORT) && !self.aborting.borrow().contains(&op);
        if !effects.allowed_in_dataflow() || may_abort {
            return None;
        }
        let classes: Option<SmallVec<[Id; 3]>> = args.iter().map(|it| self.id(*it).ok()).collect();
        if let Some(args) = classes
            && let Some(id) = self.graph.lookup(Node::Op { op, attrs: attrs.clone(), args })
        {
            return Some(class(self.graph.find(id)));
        }
        let types: Vec<Type> = args.iter().map(|it| self.ty(*it)).collect();
        let ty = self.graph.analysis.infer(op, &attrs, &types)?;
        if let Some(folded) = self.folded(op, &attrs, args, &ty) {
            return Some(folded);
        }
        Some(self.add(What::Op { op, attrs, args: args.into() }, ty))
    }

    fn emit_constant(&mut self, data: TensorData) -> Value {
        self.constant_value(data)
    }
}

/// Adds what was built; the class of the result.
pub(super) fn add(graph: &mut Graph<'_>, found: Found) -> (Id, Id) {
    let mut ids: Vec<Id> = Vec::with_capacity(found.built.len());
    let id = |ids: &[Id], value: Value| match value.bits() {
        it if it >= BUILT => ids[(it - BUILT) as usize],
        it => Id::from(it as usize),
    };
    for Built { what, ty } in found.built {
        let node = match what {
            What::Constant(at) => Node::Constant(at),
            What::Op { op, attrs, args } => {
                Node::Op { op, attrs, args: args.iter().map(|it| graph.find(id(&ids, *it))).collect() }
            }
        };
        graph.analysis.next = (!node.is_leaf()).then_some(ty);
        ids.push(graph.add(node));
        graph.analysis.next = None;
    }
    (graph.find(found.root), graph.find(id(&ids, found.result)))
}

fn class(id: Id) -> Value {
    Value::from_bits(usize::from(id) as u64)
}
