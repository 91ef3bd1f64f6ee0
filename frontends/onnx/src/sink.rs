//! One view of every [`OpSink`], so that converters are compiled once and written without type parameters.

use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::Diagnostic;
use orogen_ir::ops::{OnConstants, OpId, OpRegistry, OpSink};
use orogen_ir::shape::{Constraint, Dim, SavedFacts, ShapeCx};
use orogen_ir::types::{Attrs, DType, TensorData, TensorType, Type};
use std::cell::RefCell;
use std::rc::Rc;

/// A value of the IR that is being built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Value(u32);

impl Value {
    pub(crate) fn from_index(index: u32) -> Self {
        Value(index)
    }

    pub(crate) fn index(self) -> u32 {
        self.0
    }
}

/// The most dimensions of a value whose rank is known only at run time.
pub(crate) const MAX_RANK: usize = 8;

/// What is known of a value whose rank is known only at run time. The value has as many dimensions as the greatest rank, or
/// it is an optional that holds the tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ranked {
    /// An integer of rank 0.
    pub(crate) rank: Value,
    /// The ranks that it may have, in increasing order.
    pub(crate) ranks: Vec<usize>,
}

impl Ranked {
    /// The rank of the tensor that an optional holds, checked to be one that there are versions for; `what` names it.
    pub(crate) fn held_by(sink: &mut dyn Sink, value: Value, what: &str) -> Result<Ranked, Diagnostic> {
        let no_operator = || Diagnostic::error("X009", "this build has no operator `optional_rank`");
        let op = sink.ops().find("optional_rank").ok_or_else(no_operator)?;
        let results = sink.emit(op, Attrs::none(), &[value])?;
        let rank = results.first().copied().ok_or_else(no_operator)?;
        if let Some(element) = first_element(sink, rank) {
            sink.check(Constraint::AtMost(element, MAX_RANK as i64), what)?;
        }
        Ok(Ranked { rank, ranks: (0..=MAX_RANK).collect() })
    }
}

/// Which part of a loop is being built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoopPart {
    /// Returns one value: whether to go on.
    Condition,
    /// Returns the next carried values.
    Body,
}

/// Builds one branch of an `If`: `true` for the one taken when the condition holds.
pub(crate) type BranchFn<'f> = dyn FnMut(&mut dyn Sink, bool) -> Result<Vec<Value>, Diagnostic> + 'f;

/// Builds one part of a loop from the carried values.
pub(crate) type LoopFn<'f> =
    dyn FnMut(&mut dyn Sink, LoopPart, &[Value]) -> Result<Vec<Value>, Diagnostic> + 'f;

/// [`OpSink`] without associated types.
pub(crate) trait Sink {
    /// This sink, when it is one that keeps nothing.
    fn as_probe(&mut self) -> Option<&mut dyn Probing> {
        None
    }
    /// Index of the value that would be made next.
    fn next_value(&self) -> u32;
    fn ops(&self) -> &OpRegistry;
    fn shapes(&mut self) -> &mut ShapeCx;
    fn set_source(&mut self, source: &str);
    fn input(&mut self, name: &str, ty: Type) -> Result<Value, Diagnostic>;
    /// As [`OpSink::optional_input`].
    fn optional_input(&mut self, name: &str, ty: Type, default: TensorData) -> Result<Value, Diagnostic>;
    fn constant(&mut self, name: &str, data: TensorData) -> Value;
    fn emit(&mut self, op: OpId, attrs: Attrs, args: &[Value]) -> Result<Vec<Value>, Diagnostic>;
    /// As [`OpSink::fold`].
    fn fold(&self, call: &OnConstants<'_>) -> Option<Vec<TensorData>>;
    fn type_of(&self, value: Value) -> &Type;
    fn constant_data(&self, value: Value) -> Option<&TensorData>;
    /// The data of a constant, or the default of an input, which is decided by that: for what must be known to build at all.
    fn needed_data(&self, value: Value) -> Option<&TensorData>;
    fn match_cast(&mut self, value: Value, ty: Type) -> Result<Value, Diagnostic>;
    fn known_sizes(&mut self, value: Value) -> Result<Value, Diagnostic>;
    fn check(&mut self, fact: Constraint, message: &str) -> Result<(), Diagnostic>;
    fn if_else(&mut self, cond: Value, branch: &mut BranchFn<'_>) -> Result<Vec<Value>, Diagnostic>;
    fn while_loop(&mut self, init: &[Value], part: &mut LoopFn<'_>) -> Result<Vec<Value>, Diagnostic>;
    /// Declares an output, of that rank if it is known only at run time.
    fn output(&mut self, name: &str, value: Value, rank: Option<Value>) -> Result<(), Diagnostic>;
}

/// A sink that can go back.
pub(crate) trait Probing: Sink {
    /// What there is now.
    fn mark(&mut self) -> Mark;
    /// Forgets what came after the mark.
    fn rewind(&mut self, mark: Mark);
    /// Values that are one of two, by a condition that is not known.
    fn join_values(&mut self, a: &[Value], b: &[Value]) -> Result<Vec<Value>, Diagnostic>;
}

/// A moment of a probe.
#[derive(Debug)]
pub(crate) struct Mark {
    pub(crate) values: usize,
    pub(crate) facts: SavedFacts,
}

/// What the first element of an integer tensor is, if its type says it.
pub(crate) fn first_element(sink: &dyn Sink, value: Value) -> Option<Dim> {
    sink.type_of(value).as_tensor().and_then(|it| it.elements.as_ref()?.first().copied())
}

/// The condition, which is checked to be `taken`.
pub(crate) fn assert_condition(sink: &mut dyn Sink, cond: Value, taken: bool) -> Result<(), Diagnostic> {
    let shapes = sink.shapes();
    let element = shapes.int(i64::from(taken));
    let dims = sink.type_of(cond).as_tensor().and_then(|it| it.dims().map(<[_]>::to_vec)).unwrap_or_default();
    let ty = TensorType::new(DType::Bool, dims).with_elements([element]);
    sink.match_cast(cond, Type::Tensor(ty)).map(|_| ())
}

/// Inputs with a default whose value nobody was told to leave open: when a converter must know it to build at all, it is
/// told, and the name is kept.
#[derive(Debug)]
pub(crate) struct Undecided {
    list: Vec<(String, TensorData)>,
    places: RefCell<IndexMap<Value, usize>>,
    decided: Rc<RefCell<IndexSet<String>>>,
}

impl Undecided {
    pub(crate) fn new(list: Vec<(String, TensorData)>, decided: Rc<RefCell<IndexSet<String>>>) -> Self {
        Undecided { list, places: RefCell::default(), decided }
    }

    /// An input has this value.
    pub(crate) fn meet(&self, name: &str, value: Value) {
        if let Some(place) = self.list.iter().position(|it| it.0 == name) {
            self.places.borrow_mut().insert(value, place);
        }
    }

    /// The data of an input, which is decided by that.
    fn decide(&self, value: Value) -> Option<&TensorData> {
        let place = self.places.borrow().get(&value).copied()?;
        let (name, data) = &self.list[place];
        self.decided.borrow_mut().insert(name.clone());
        Some(data)
    }
}

/// An [`OpSink`] seen as a [`Sink`].
pub(crate) struct Adapter<'a, S: OpSink> {
    sink: &'a mut S,
    values: &'a RefCell<Vec<S::Value>>,
    undecided: &'a Undecided,
}

impl<'a, S: OpSink> Adapter<'a, S> {
    /// `values` must outlive every [`Value`] that is used with this sink.
    pub(crate) fn new(sink: &'a mut S, values: &'a RefCell<Vec<S::Value>>, undecided: &'a Undecided) -> Self {
        Adapter { sink, values, undecided }
    }

    fn inner(&self, value: Value) -> S::Value {
        self.values.borrow()[value.0 as usize]
    }

    fn inner_all(&self, values: &[Value]) -> Vec<S::Value> {
        values.iter().map(|it| self.inner(*it)).collect()
    }

    fn outer(&self, value: S::Value) -> Value {
        outer(self.values, value)
    }

    fn outer_all(&self, values: Vec<S::Value>) -> Vec<Value> {
        values.into_iter().map(|it| self.outer(it)).collect()
    }
}

fn outer<V: Copy>(values: &RefCell<Vec<V>>, value: V) -> Value {
    let mut values = values.borrow_mut();
    values.push(value);
    Value(u32::try_from(values.len() - 1).expect("the node budget keeps values below 2^32"))
}

impl<S: OpSink> Sink for Adapter<'_, S> {
    fn next_value(&self) -> u32 {
        self.values.borrow().len() as u32
    }

    fn ops(&self) -> &OpRegistry {
        self.sink.ops()
    }

    fn shapes(&mut self) -> &mut ShapeCx {
        self.sink.shapes()
    }

    fn set_source(&mut self, source: &str) {
        self.sink.set_source(source);
    }

    fn input(&mut self, name: &str, ty: Type) -> Result<Value, Diagnostic> {
        let value = self.sink.input(name, ty)?;
        Ok(self.outer(value))
    }

    fn optional_input(&mut self, name: &str, ty: Type, default: TensorData) -> Result<Value, Diagnostic> {
        let value = self.sink.optional_input(name, ty, default)?;
        Ok(self.outer(value))
    }

    fn constant(&mut self, name: &str, data: TensorData) -> Value {
        let value = self.sink.constant(name, data);
        self.outer(value)
    }

    fn emit(&mut self, op: OpId, attrs: Attrs, args: &[Value]) -> Result<Vec<Value>, Diagnostic> {
        let args = self.inner_all(args);
        let results = self.sink.emit(op, attrs, &args)?;
        Ok(self.outer_all(results))
    }

    fn fold(&self, call: &OnConstants<'_>) -> Option<Vec<TensorData>> {
        self.sink.fold(call)
    }

    fn type_of(&self, value: Value) -> &Type {
        self.sink.type_of(self.inner(value))
    }

    fn constant_data(&self, value: Value) -> Option<&TensorData> {
        self.sink.constant_data(self.inner(value))
    }

    fn needed_data(&self, value: Value) -> Option<&TensorData> {
        self.constant_data(value).or_else(|| self.undecided.decide(value))
    }

    fn match_cast(&mut self, value: Value, ty: Type) -> Result<Value, Diagnostic> {
        let value = self.sink.match_cast(self.inner(value), ty)?;
        Ok(self.outer(value))
    }

    fn known_sizes(&mut self, value: Value) -> Result<Value, Diagnostic> {
        let known = self.sink.known_sizes(self.inner(value))?;
        Ok(self.outer(known))
    }

    fn check(&mut self, fact: Constraint, message: &str) -> Result<(), Diagnostic> {
        self.sink.check(fact, message)
    }

    fn if_else(&mut self, cond: Value, branch: &mut BranchFn<'_>) -> Result<Vec<Value>, Diagnostic> {
        let cond = self.inner(cond);
        let (values, undecided) = (self.values, self.undecided);
        let branch = RefCell::new(branch);
        let run = |sink: &mut S, taken: bool| -> Result<Vec<S::Value>, Diagnostic> {
            let mut adapter = Adapter { sink, values, undecided };
            let results = (branch.borrow_mut())(&mut adapter, taken)?;
            Ok(adapter.inner_all(&results))
        };
        let results = self.sink.if_else(cond, &mut |sink| run(sink, true), &mut |sink| run(sink, false))?;
        Ok(self.outer_all(results))
    }

    fn while_loop(&mut self, init: &[Value], part: &mut LoopFn<'_>) -> Result<Vec<Value>, Diagnostic> {
        let init = self.inner_all(init);
        let (values, undecided) = (self.values, self.undecided);
        let part = RefCell::new(part);
        let run = |sink: &mut S, which: LoopPart, carried: &[S::Value]| {
            let carried: Vec<Value> = carried.iter().map(|it| outer(values, *it)).collect();
            let mut adapter = Adapter { sink, values, undecided };
            let results = (part.borrow_mut())(&mut adapter, which, &carried)?;
            Ok::<_, Diagnostic>(adapter.inner_all(&results))
        };
        let results = self.sink.while_loop(
            &init,
            &mut |sink, carried| {
                let results = run(sink, LoopPart::Condition, carried)?;
                results
                    .first()
                    .copied()
                    .ok_or_else(|| Diagnostic::error("X010", "the loop condition has no result"))
            },
            &mut |sink, carried| run(sink, LoopPart::Body, carried),
        )?;
        Ok(self.outer_all(results))
    }

    fn output(&mut self, name: &str, value: Value, rank: Option<Value>) -> Result<(), Diagnostic> {
        let value = self.inner(value);
        match rank {
            Some(rank) => self.sink.output_of_rank(name, value, self.inner(rank)),
            None => self.sink.output(name, value),
        }
    }
}
