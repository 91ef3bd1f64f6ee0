//! Which values of a function lie at one place.
//!
//! A kernel's result may lie where an operand did, the result of a branch where that of the `If` will be, the next value
//! of a loop where the present one is, new state where the old one is: then nothing is copied. [`Places`] refuses what
//! is still in use. Constants and inputs belong to others; state is the call's from when its new value is made.

use crate::rules::donation::{Donation, donations};
use crate::rules::places::Places;
use indexmap::{IndexMap, IndexSet};
use la_arena::ArenaMap;
use orogen_ir::choices::Choices;
use orogen_ir::flow::{BindingId, Definition, Function, Module, Region, Rhs, ValueDef, ValueId};
use orogen_ir::ops::{OpId, OpRegistry, StructureOp};
use orogen_ir::shape::{Dim, ShapeCx, Sym};
use orogen_ir::types::DType;
use std::collections::BTreeSet;

/// The value whose bytes `value` has by its definition: views, casts and elements of tuples are none of their own.
pub(super) fn viewed(function: &Function, mut value: ValueId) -> ValueId {
    loop {
        let ValueDef::Result(binding, _) = function[value].def else { return value };
        match &function[binding].rhs {
            Rhs::View { value: inner, .. } | Rhs::MatchCast { value: inner, .. } => value = *inner,
            Rhs::Get { tuple, index } => match function.defining_rhs(*tuple) {
                Some(Rhs::Tuple(elements)) => value = elements[*index as usize],
                _ => return value,
            },
            _ => return value,
        }
    }
}

/// The places of a function's values.
#[derive(Debug, Default)]
pub(super) struct InPlace {
    numbers: ArenaMap<ValueId, usize>,
    places: Places,
}

impl InPlace {
    /// Finds the places. `states` are inputs with the results that renew them.
    pub(super) fn of(
        ops: &OpRegistry,
        module: &Module,
        function: &Function,
        states: &[(ValueId, ValueId)],
        choices: &mut Choices,
    ) -> InPlace {
        let mut walk = Walk {
            ops,
            module,
            function,
            tick: 0,
            scopes: Vec::new(),
            values: ArenaMap::default(),
            order: Vec::new(),
            wishes: Wishes::default(),
            kernels: IndexMap::new(),
        };
        walk.function();
        let Walk { mut values, order, wishes, .. } = walk;
        let mut shapes = module.shapes.clone();
        let mut found = InPlace::default();
        for value in order {
            let spans = values.get_mut(value).map(|it| std::mem::take(&mut it.spans));
            found.numbers.insert(value, found.places.add(spans.unwrap_or_default()));
        }
        let meetings = wishes.kernels.iter().filter(|it| same_bytes(&mut shapes, function, it.1, it.2));
        for (tick, operand, result) in meetings {
            if let (Some(operand), Some(result)) =
                (found.number(function, *operand), found.number(function, *result))
            {
                found.places.may_meet(*tick, operand, result);
            }
        }
        // The parameters and the result of a loop are one variable.
        wishes.loops.iter().for_each(|(a, b)| {
            found.join(function, *a, *b);
        });
        let mut foreign: IndexSet<ValueId> = function.params().iter().map(|it| it.value).collect();
        let states = states.iter().map(|(state, new)| (*state, viewed(function, *new)));
        for (state, new) in states.filter(|it| !is_constant(function, it.1)) {
            let mine = state == new || !function.params().iter().any(|it| it.value == new);
            if mine && same_bytes(&mut shapes, function, state, new) && found.join(function, state, new) {
                foreign.swap_remove(&state);
            }
        }
        // What is copied in every turn first.
        let kernels = wishes.kernels.iter().map(|(_, operand, result)| (*operand, *result));
        let pairs = wishes.turns.iter().chain(&wishes.branches).chain(&wishes.entries).copied();
        for (a, b) in pairs.chain(kernels) {
            let [a, b] = [a, b].map(|it| viewed(function, it));
            let own = |it: ValueId| !foreign.contains(&it) && !is_constant(function, it);
            let apart = || format!("value {} lies apart from value {}", b.into_raw(), a.into_raw());
            if own(a) && own(b) && same_bytes(&mut shapes, function, a, b) && !choices.differs(apart) {
                found.join(function, a, b);
            }
        }
        found
    }

    /// The number of the place where a value lies.
    pub(super) fn place(&self, function: &Function, value: ValueId) -> Option<usize> {
        self.number(function, value).map(|it| self.places.of(it))
    }

    fn number(&self, function: &Function, value: ValueId) -> Option<usize> {
        self.numbers.get(viewed(function, value)).copied()
    }

    fn join(&mut self, function: &Function, a: ValueId, b: ValueId) -> bool {
        match (self.number(function, a), self.number(function, b)) {
            (Some(a), Some(b)) => self.places.join(a, b),
            _ => false,
        }
    }
}

fn is_constant(function: &Function, value: ValueId) -> bool {
    matches!(function.defining_rhs(value), Some(Rhs::Constant(_)))
}

/// Whether values are objects of one kind, or have as many bytes and are of sizes that the same symbols say: what is known where one of them is made
/// is then known where the other one is.
fn same_bytes(shapes: &mut ShapeCx, function: &Function, a: ValueId, b: ValueId) -> bool {
    let types = [a, b].map(|it| &function[it].ty);
    if types.iter().any(|it| it.is_object()) {
        return std::mem::discriminant(types[0]) == std::mem::discriminant(types[1]);
    }
    let mut size = |value: ValueId| -> Option<(DType, Dim, BTreeSet<Sym>)> {
        let ty = function[value].ty.as_tensor()?;
        let dims = ty.dims()?;
        let symbols = dims.iter().flat_map(|it| shapes.free_symbols(*it)).collect();
        Some((ty.dtype, shapes.product(dims).ok()?, symbols))
    };
    size(a).is_some_and(|it| Some(it) == size(b))
}

/// Pairs of values that would lie at one place.
#[derive(Debug, Default)]
struct Wishes {
    /// Parameters and result of a loop.
    loops: Vec<(ValueId, ValueId)>,
    /// The next value of a loop and the present one.
    turns: Vec<(ValueId, ValueId)>,
    /// What a branch returns and the result.
    branches: Vec<(ValueId, ValueId)>,
    /// The initial value of a loop and the parameter.
    entries: Vec<(ValueId, ValueId)>,
    /// An operand of a kernel and a result that may be written over it, with the tick of the call.
    kernels: Vec<(u32, ValueId, ValueId)>,
}

/// What is known of a value.
#[derive(Debug)]
struct Known {
    /// The scope in which it is made, and when.
    scope: u32,
    made: u32,
    /// When it is in use.
    spans: Vec<(u32, u32)>,
}

/// A branch, or the condition and the body of a loop, or the function, that is being walked.
#[derive(Debug)]
struct Scope {
    id: u32,
    start: u32,
    /// When the `If` or the loop begins.
    entered: u32,
    /// For a loop, what it uses that is made before it: it is in use in every turn.
    outer: Option<IndexSet<ValueId>>,
}

/// Finds when values are in use, and wishes.
struct Walk<'m> {
    ops: &'m OpRegistry,
    module: &'m Module,
    function: &'m Function,
    tick: u32,
    scopes: Vec<Scope>,
    values: ArenaMap<ValueId, Known>,
    order: Vec<ValueId>,
    wishes: Wishes,
    kernels: IndexMap<&'m str, Vec<Donation>>,
}

impl<'m> Walk<'m> {
    fn next(&mut self) -> u32 {
        self.tick += 2;
        self.tick
    }

    fn enter(&mut self, entered: u32, is_loop: bool) {
        let start = self.next();
        self.scopes.push(Scope { id: start, start, entered, outer: is_loop.then(IndexSet::new) });
    }

    fn function(&mut self) {
        self.enter(0, false);
        self.function.params().iter().for_each(|it| self.made(it.value));
        self.region(&self.function[self.function.body()]);
    }

    /// The blocks of a region, and the use of its results at its end.
    fn region(&mut self, region: &Region) {
        for block in &region.blocks {
            self.function[*block].order.iter().for_each(|it| self.binding(*it));
        }
        let end = self.next();
        region.results.iter().for_each(|it| self.used(*it, end));
    }

    fn binding(&mut self, id: BindingId) {
        let function = self.function;
        let binding = &function[id];
        let tick = self.next();
        binding.rhs.visit_operands(&mut |it| self.used(it, tick));
        match &binding.rhs {
            Rhs::Call { callee, args, .. } => self.call(tick, callee, args, &binding.results),
            Rhs::Op { op, args, .. } => self.structure(tick, *op, args, &binding.results),
            Rhs::If { then_region, else_region, .. } => {
                for region in [then_region, else_region].map(|it| &function[*it]) {
                    self.enter(tick, false);
                    self.region(region);
                    self.scopes.pop();
                    let returned = region.results.iter().copied();
                    self.wishes.branches.extend(returned.zip(binding.results.iter().copied()));
                }
                self.next();
            }
            Rhs::While { init, cond, body } => {
                self.enter(tick, true);
                let (cond, body) = (&function[*cond], &function[*body]);
                cond.params.iter().for_each(|it| self.made(*it));
                let begun = self.tick;
                self.region(cond);
                // The body gets what the condition saw.
                let seen = self.tick;
                cond.params.iter().for_each(|it| self.in_use(*it, begun, seen));
                self.next();
                body.params.iter().for_each(|it| self.made(*it));
                self.region(body);
                self.leave_loop();
                self.next();
                let params = body.params.iter().copied();
                self.wishes.loops.extend(params.clone().zip(cond.params.iter().copied()));
                self.wishes.loops.extend(params.clone().zip(binding.results.iter().copied()));
                self.wishes.turns.extend(body.results.iter().copied().zip(params.clone()));
                self.wishes.entries.extend(init.iter().copied().zip(params));
            }
            _ => {}
        }
        binding.results.iter().for_each(|it| self.made(*it));
    }

    /// Operands that results may be written over. One that the kernel reads as another operand too is not.
    fn call(&mut self, tick: u32, callee: &'m str, args: &[ValueId], results: &[ValueId]) {
        let (module, function) = (self.module, self.function);
        let wanted = self.kernels.entry(callee).or_insert_with(|| match module.definitions().get(callee) {
            Some(Definition::Kernel(kernel)) => donations(kernel),
            _ => Vec::new(),
        });
        for Donation { operand, result } in wanted.iter() {
            let (Some(arg), Some(result)) = (args.get(*operand), results.get(*result)) else { continue };
            let own = viewed(function, *arg);
            if args.iter().filter(|it| viewed(function, **it) == own).count() == 1 {
                self.wishes.kernels.push((tick, own, *result));
            }
        }
    }

    /// A sequence with one more or one less item lies where the one before it did.
    fn structure(&mut self, tick: u32, op: OpId, args: &[ValueId], results: &[ValueId]) {
        let Some(StructureOp::Insert | StructureOp::Erase) = StructureOp::of(self.ops.def(op)) else {
            return;
        };
        let (Some(arg), Some(result)) = (args.first(), results.first()) else { return };
        let own = viewed(self.function, *arg);
        if args.iter().filter(|it| viewed(self.function, **it) == own).count() == 1 {
            self.wishes.kernels.push((tick, own, *result));
        }
    }

    fn leave_loop(&mut self) {
        let end = self.next();
        let Some(Scope { start, entered, outer, .. }) = self.scopes.pop() else { return };
        for value in outer.into_iter().flatten() {
            self.in_use(value, start, end);
            self.used(value, entered);
        }
    }

    fn made(&mut self, value: ValueId) {
        let (scope, made) = (self.scopes.last().map_or(0, |it| it.id), self.tick);
        // Also what nothing uses is written.
        self.values.insert(value, Known { scope, made, spans: vec![(made, made + 1)] });
        self.order.push(value);
    }

    fn in_use(&mut self, value: ValueId, first: u32, last: u32) {
        if let Some(known) = self.values.get_mut(value) {
            known.in_use(first, last);
        }
    }

    fn used(&mut self, value: ValueId, mut tick: u32) {
        let value = viewed(self.function, value);
        let Some(known) = self.values.get_mut(value) else { return };
        for scope in self.scopes.iter_mut().rev() {
            if scope.id == known.scope {
                known.in_use(known.made, tick);
                return;
            }
            if let Some(outer) = &mut scope.outer {
                outer.insert(value);
                return;
            }
            known.in_use(scope.start, tick);
            tick = scope.entered;
        }
    }
}

impl Known {
    fn in_use(&mut self, first: u32, last: u32) {
        match self.spans.last_mut() {
            Some(span) if span.0 == first => span.1 = span.1.max(last),
            _ => self.spans.push((first, last)),
        }
    }
}
