//! Rules on an e-graph: a rule sees a program, and each program that the classes hold is shown to it in turn.
//!
//! A rule asks what defines a value. Here a value is a class, which has several definitions; a run of the rule gets
//! one for each class it asks about, and the rule runs again until it has seen every combination. A combination that a
//! rule rejects early is never extended, so this is the backtracking of a matcher over classes, with the matcher that the
//! other drivers have.
//!
//! A rule of several roots finds the others among the operations of the program that came in, behind the root before them:
//! so each set of them is found once, and what it is merged to is not merged again.

use super::analysis::{Graph, Typed};
use super::language::Node;
use crate::rewrite::{AnyRule, OpCall, Rewriter, Value};
use egg::{Id, Language};
use indexmap::{IndexMap, IndexSet};
use orogen_ir::ops::{Folding, OnConstants, OpId, OpRegistry, Outline};
use orogen_ir::shape::ShapeCx;
use orogen_ir::types::{Attrs, Effects, Source, TensorData, TensorType, Type};
use smallvec::{SmallVec, smallvec};
use std::cell::RefCell;

/// Values above this are built, those below are classes.
const BUILT: u64 = 1 << 32;

/// What a rule found.
pub(super) struct Found {
    /// The classes that were matched, each with what is the same.
    pub(super) same: SmallVec<[(Id, Value); 1]>,
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

/// What a class was taken to be defined by, and by how many it could have been; or read by, as a further root of this number.
#[derive(Clone, Copy)]
struct Choice {
    class: Id,
    reader: Option<usize>,
    chosen: usize,
    of: usize,
}

/// The program that a run of a rule sees.
struct View<'v, 'a> {
    graph: &'v mut Graph<'a>,
    folding: &'v Folding<'a>,
    /// Operations of the program that came in: roots of rules that have several are among them.
    originals: &'v Originals,
    /// The places of the roots of this run, of which further ones stand behind the last.
    roots: RefCell<SmallVec<[usize; 4]>>,
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

/// Operations of the program that came in, with their classes as they are now, in its order.
pub(super) type Originals = IndexMap<Node, Id>;

/// Runs a rule on one node of a class with every combination of definitions below it, at most `limit` times; takes runs
/// from `limit` and notes the classes that were asked about.
pub(super) fn search<'a>(
    graph: &mut Graph<'a>,
    folding: &Folding<'a>,
    rule: &AnyRule,
    originals: &Originals,
    (root, node): (Id, &Node),
    limit: &mut usize,
    asked: &mut IndexSet<Id>,
) -> Vec<Found> {
    let Node::Op { op, attrs, args } = node else { return Vec::new() };
    let args = args.iter().map(|it| class(graph.find(*it))).collect();
    let call = OpCall { op: *op, attrs: attrs.clone(), args, result: class(root) };
    let mut found = Vec::new();
    let several = match rule {
        AnyRule::Text(it) if !it.others.is_empty() => Some(it),
        _ => None,
    };
    let place = originals.get_index_of(node);
    // What merged operations have in common with others has been merged with them too.
    if several.is_some() && place.is_none() {
        return found;
    }
    let mut view = View {
        graph,
        folding,
        originals,
        roots: RefCell::default(),
        choices: RefCell::default(),
        made: RefCell::new(0),
        asked: RefCell::new(std::mem::take(asked)),
        aborting: RefCell::default(),
        built: Vec::new(),
    };
    while *limit > 0 {
        *limit -= 1;
        view.begin(*op, place);
        let same: Option<SmallVec<[(Id, Value); 1]>> = match several {
            Some(rule) => rule.apply_all(&mut view, &call).map(|list| {
                list.into_iter().filter_map(|(root, new)| Some((view.id(root).ok()?, new))).collect()
            }),
            None => rule.apply(&mut view, &call).map(|new| smallvec![(root, new)]),
        };
        if let Some(same) = same {
            found.push(Found { same, built: std::mem::take(&mut view.built) });
        }
        if !view.next() {
            break;
        }
    }
    *asked = view.asked.into_inner();
    found
}

impl View<'_, '_> {
    fn begin(&mut self, root: OpId, place: Option<usize>) {
        self.roots.replace(place.into_iter().collect());
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

    /// Which of so many this run takes for a class; `None` of none.
    fn choose(&self, id: Id, reader: Option<usize>, of: impl FnOnce() -> usize) -> Option<usize> {
        let (mut choices, mut made) = (self.choices.borrow_mut(), self.made.borrow_mut());
        let is_it = |it: &Choice| it.class == id && it.reader == reader;
        if let Some(earlier) = choices[..*made].iter().find(|it| is_it(it)) {
            return Some(earlier.chosen);
        }
        // Rules are functions, so a run asks what the last one did until a choice is another one.
        if choices.get(*made).is_none_or(|it| !is_it(it)) {
            let of = of();
            if of == 0 {
                return None;
            }
            choices.truncate(*made);
            choices.push(Choice { class: id, reader, chosen: 0, of });
        }
        *made += 1;
        Some(choices[*made - 1].chosen)
    }

    /// A node of a class as an operation.
    fn call(&self, node: &Node, of: Id) -> Option<OpCall> {
        let Node::Op { op, attrs, args } = node else { return None };
        self.note_abort(*op);
        let args = args.iter().map(|it| class(self.graph.find(*it))).collect();
        Some(OpCall { op: *op, attrs: attrs.clone(), args, result: class(of) })
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
        let chosen = self.choose(id, None, || operations().count())?;
        self.call(operations().nth(chosen)?, id)
    }

    fn reader(&self, value: Value, number: usize) -> Option<OpCall> {
        let id = self.id(value).ok()?;
        self.asked.borrow_mut().insert(id);
        let last = *self.roots.borrow().last()?;
        let mut places: Vec<usize> = Vec::new();
        for parent in self.graph[id].parents() {
            let mut node = self.graph.id_to_node(parent).clone();
            node.update_children(|it| self.graph.find(it));
            places.extend(self.originals.get_index_of(&node).filter(|it| *it > last));
        }
        places.sort_unstable();
        places.dedup();
        let chosen = self.choose(id, Some(number), || places.len())?;
        let place = *places.get(chosen)?;
        self.roots.borrow_mut().push(place);
        let (node, class) = self.originals.get_index(place)?;
        self.call(node, *class)
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

/// Adds what was built; the classes that were matched with those of the results, and the operation that each is.
pub(super) fn add(graph: &mut Graph<'_>, found: Found) -> Vec<(Id, Id, Option<Node>)> {
    let mut ids: Vec<Id> = Vec::with_capacity(found.built.len());
    let mut nodes: Vec<Node> = Vec::with_capacity(found.built.len());
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
        nodes.push(node.clone());
        ids.push(graph.add(node));
        graph.analysis.next = None;
    }
    let node = |value: Value| nodes.get(value.bits().checked_sub(BUILT)? as usize).cloned();
    let same = found.same.into_iter();
    same.map(|(root, new)| (graph.find(root), graph.find(id(&ids, new)), node(new))).collect()
}

fn class(id: Id) -> Value {
    Value::from_bits(usize::from(id) as u64)
}
