//! Lowers a legalised flow function to a call plan: steps in program order, buffers in arenas.
//!
//! Every tensor value gets storage: an input, a constant, an output, or a slot. Views share the storage of their
//! operand; other values that lie at one place have a slot each there, so that the plan's verifier sees a read of what
//! is no more. Slots whose size is known on entry share one arena; symbols bound later (`match_cast`, `If` results,
//! carried sizes of a `While`) open further arenas at the point where their size is known. Peak memory is the sum of
//! the arenas, a formula.
//!
//! `in_place` decides which values lie at one place, `values` says what
//! shares storage and how large it is, `buffers` gets memory and tracks how long it is in use,
//! `symbols` binds sizes, `objects` holds what is no tensor, `steps` and `control` walk the function, `versions` chooses among versions of a kernel.

mod buffers;
mod control;
mod in_place;
mod invoke;
mod module;
mod objects;
mod steps;
mod symbols;
mod turns;
mod values;
mod versions;

use crate::rules::state::{self, State};
use buffers::{Home, Life, Open};
use in_place::InPlace;
use indexmap::{IndexMap, IndexSet};
use la_arena::ArenaMap;
use objects::{made_as_items, place_type};
use orogen_ir::choices::Choices;
use orogen_ir::diag::Diagnostic;
use orogen_ir::flow::{Function, Module, ValueId};
use orogen_ir::kernel::Kernel;
use orogen_ir::ops::OpRegistry;
use orogen_ir::plan::{
    BufferRef, CallPlan, InputKind, ObjectId, OutputKind, PlanInput, PlanOutput, SizeBinding, Step,
    TensorOutput,
};
use orogen_ir::shape::{Constraint, Dim, Sym};
use orogen_ir::text::type_text;
use orogen_ir::types::{ConstPool, Dims, Source, Type};
use std::sync::Arc;
use turns::Growing;
use values::{Storage, known_dims};

pub use module::{plan_memory, plan_memory_with};

/// What all functions of a module share.
#[derive(Default)]
struct Shared<'a> {
    constants: Arc<ConstPool>,
    /// By a name of its own; the place is the id.
    kernels: IndexMap<String, Kernel>,
    /// Functions that may be invoked, in the order of their ids.
    functions: IndexSet<&'a str>,
    choices: Choices,
}

impl Shared<'_> {
    fn into_kernels(self) -> Arc<Vec<Kernel>> {
        Arc::new(self.kernels.into_values().collect())
    }
}

struct Lowering<'a> {
    ops: &'a OpRegistry,
    module: &'a Module,
    function: &'a Function,
    plan: CallPlan,
    shared: Shared<'a>,
    storage: ArenaMap<ValueId, Storage>,
    places: InPlace,
    /// Where the values of a place lie, from the first of them on.
    homes: IndexMap<usize, Home>,
    /// For each result of the function, the input that it renews.
    renewed: Vec<Option<usize>>,
    /// The inputs among them, with their outputs.
    renewals: IndexMap<u32, u32>,
    /// Places of next values of loops that are made where they wait for their turn.
    growing: IndexMap<usize, Growing>,
    /// The object place of the values of a place.
    object_homes: IndexMap<usize, ObjectId>,
    /// Values that are made as items.
    items: IndexSet<ValueId>,
    /// The output that would be made at a place.
    direct: IndexMap<usize, u32>,
    /// Outputs that exist.
    allocated: IndexSet<u32>,
    /// Memory that slots have.
    lives: Vec<Life>,
    /// Which of them each slot has.
    slot_lives: Vec<usize>,
    /// The positions where loops begin and end.
    loops: Vec<(u32, u32)>,
    /// The loops around, outermost first.
    inside: Vec<usize>,
    /// Arenas that may be used here, outermost first.
    open: Vec<Open>,
    /// Symbols that have a value here, in the order in which they got it; leaving a path forgets the last ones.
    bound: IndexSet<Sym>,
    /// The checks on entry, with their places in the plan.
    checked: IndexMap<(Constraint, String), usize>,
    /// Number of the next step, counted through branches and loops.
    position: u32,
    /// How many branches and loops are around.
    depth: u32,
    /// What the present binding comes from, for messages.
    source: Source,
}

impl<'a> Lowering<'a> {
    fn new(
        ops: &'a OpRegistry,
        module: &'a Module,
        (name, function): (&str, &'a Function),
        states: &[State],
        mut shared: Shared<'a>,
    ) -> Result<Self, Diagnostic> {
        let inputs: Vec<&str> = function.params().iter().map(|it| it.name.as_str()).collect();
        let outputs: Vec<&str> = function.outputs().iter().map(|it| it.name.as_str()).collect();
        let renewed = state::resolve(states, &inputs, &outputs)?;
        let results = function[function.body()].results.iter();
        let states: Vec<(ValueId, ValueId)> = results
            .zip(&renewed)
            .filter_map(|(new, input)| Some((function.params().get((*input)?)?.value, *new)))
            .collect();
        let plan = CallPlan {
            name: name.to_string(),
            private: function.is_private(),
            shapes: module.shapes.clone(),
            constants: Arc::clone(&shared.constants),
            ..CallPlan::default()
        };
        let places = InPlace::of(ops, module, function, &states, &mut shared.choices);
        Ok(Lowering {
            ops,
            module,
            function,
            plan,
            shared,
            storage: ArenaMap::default(),
            places,
            homes: IndexMap::new(),
            growing: IndexMap::new(),
            renewed,
            renewals: IndexMap::new(),
            object_homes: IndexMap::new(),
            items: made_as_items(ops, module, function),
            direct: IndexMap::new(),
            allocated: IndexSet::new(),
            lives: Vec::new(),
            slot_lives: Vec::new(),
            loops: Vec::new(),
            inside: Vec::new(),
            open: Vec::new(),
            bound: IndexSet::new(),
            checked: IndexMap::new(),
            position: 0,
            depth: 0,
            source: Source::default(),
        })
    }

    fn run(&mut self) -> Result<(), Diagnostic> {
        self.params()?;
        self.outputs()?;
        self.renewals = self.plan.renewals();
        // What a check establishes later must not shape memory that is used before it.
        let bound = &self.bound;
        self.plan.shapes.keep_facts(|shapes, fact| {
            fact.dims().all(|dim| shapes.free_symbols(dim).iter().all(|it| bound.contains(it)))
        });
        let mut steps = Vec::new();
        let entry = self.new_arena();
        self.open.push(Open { arena: entry, bound: self.bound.len(), changing: Vec::new() });
        steps.push(Step::AllocArena(entry));
        for i in 0..self.renewed.len() {
            if self.renewed[i].is_some() {
                self.alloc_output(i as u32, &mut steps)?;
            }
        }
        self.region(self.function.body(), &mut steps)?;
        self.write_outputs(&mut steps)?;
        self.plan.steps = steps;
        self.pack_arenas()
    }

    fn params(&mut self) -> Result<(), Diagnostic> {
        for (i, param) in self.function.params().iter().enumerate() {
            let what = || format!("input `{}`", param.name);
            if self.is_object(param.value) {
                let id = self.object_place(param.value);
                self.plan.inputs.push(PlanInput { name: param.name.clone(), kind: InputKind::Object(id) });
                continue;
            }
            let ty = self.tensor(param.value).map_err(|it| it.at(what()))?;
            let dims = known_dims(ty).map_err(|it| it.at(what()))?;
            let input = u32::try_from(i).expect("fewer than 2^32 inputs");
            for (axis, dim) in dims.iter().enumerate() {
                if let Some(symbol) = self.plan.shapes.as_sym(*dim)
                    && self.bound.insert(symbol)
                {
                    self.plan.bindings.push(SizeBinding { symbol, input, axis: axis as u32 });
                }
            }
            let (name, default) = (param.name.clone(), param.default);
            if default.is_some() && self.renewed.contains(&Some(i)) {
                return Err(state::constant(&name));
            }
            self.plan.inputs.push(PlanInput::new(name, ty.dtype, dims).with_default(default));
            self.storage.insert(param.value, Storage::Buffer(BufferRef::Input(input)));
        }
        self.plan.inputs.iter().try_for_each(|input| {
            let bound = input.dims().iter().try_for_each(|it| self.require_bound(*it));
            bound.map_err(|it| it.at(format!("input `{}`", input.name)))
        })
    }

    /// Declares outputs and decides which of them are made at the place of a value.
    fn outputs(&mut self) -> Result<(), Diagnostic> {
        let function = self.function;
        let results = &function[function.body()].results;
        for (i, (output, value)) in function.outputs().iter().zip(results).enumerate() {
            if output.gives_rank {
                continue;
            }
            if self.is_object(*value) && self.renewed[i].is_none() {
                let ty = self.function[*value].ty.clone();
                let kind = OutputKind::Object(self.new_object(place_type(&self.plan.shapes, &ty)));
                self.plan.outputs.push(PlanOutput { name: output.name.clone(), kind });
                continue;
            }
            let what = || format!("output `{}`", output.name);
            let ty = self.tensor(*value).map_err(|it| it.at(what()))?;
            let dims = known_dims(ty).map_err(|it| it.at(what()))?;
            let over = self.renewed[i].map(|it| it as u32);
            // What it is renewed with has its size at the latest when it is written.
            let dims = match self.renewed[i] {
                Some(input) => self.renews(input, i, *value)?,
                None => dims,
            };
            let number = self.plan.outputs.len() as u32;
            let rank = self.rank_of(i).map(|_| self.plan.shapes.fresh(&format!("rank of {}", output.name)));
            let ranked = rank.is_some();
            let kind = OutputKind::Tensor(TensorOutput { dtype: ty.dtype, dims, over, rank });
            self.plan.outputs.push(PlanOutput { name: output.name.clone(), kind });
            // The rank is read from data at the end, so the output is made then.
            if ranked {
                continue;
            }
            let Some(place) = self.places.place(function, *value) else { continue };
            match self.renewed[i].map(|it| self.places.place(function, function.params()[it].value)) {
                None => {
                    self.direct.entry(place).or_insert(number);
                }
                Some(state) if state == Some(place) => {
                    self.homes.insert(place, Home::Output(number));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// What says the rank of a result, when that is known only at run time.
    fn rank_of(&self, result: usize) -> Option<ValueId> {
        let gives = self.function.outputs().get(result + 1).is_some_and(|it| it.gives_rank);
        gives.then(|| self.function[self.function.body()].results[result + 1])
    }

    /// The dimensions of a state, if its new value may have them.
    fn renews(&self, input: usize, output: usize, value: ValueId) -> Result<Dims, Diagnostic> {
        let param = &self.function.params()[input];
        let (old, new) = (self.tensor(param.value)?, self.tensor(value)?);
        let (from, to) = (known_dims(old)?, known_dims(new)?);
        let shapes = &self.plan.shapes;
        let apart = |(a, b): (&Dim, &Dim)| shapes.prove_eq(*a, *b).is_never();
        if old.dtype == new.dtype && from.len() == to.len() && !from.iter().zip(&to).any(apart) {
            return Ok(from);
        }
        let state = State { input: param.name.clone(), output: self.function.outputs()[output].name.clone() };
        let text = |ty: &Type| type_text(shapes, ty);
        let [old, new] = [param.value, value].map(|it| text(&self.function[it].ty));
        Err(state::misfit(&state, &old, &new))
    }
}
