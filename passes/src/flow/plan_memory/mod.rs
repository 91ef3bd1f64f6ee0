//! Lowers a legalised flow function to a call plan: steps in program order, buffers in arenas.
//!
//! Every tensor value gets storage: an input, a constant, an output, or a slot. Views share the storage of their
//! operand. Slots whose size is known on entry share one arena; symbols bound later (`match_cast`, `If` results,
//! carried sizes of a `While`) open further arenas at the point where their size is known. Peak memory is the sum of
//! the arenas, a formula.
//!
//! `in_place` decides which results take over the place of an operand that is not used afterwards, `values` says what
//! shares storage and how large it is, `buffers` gets memory and tracks how long it is in use,
//! `symbols` binds sizes, `steps` and `control` walk the function, `versions` chooses among versions of a kernel.

mod buffers;
mod control;
mod in_place;
mod invoke;
mod module;
mod steps;
mod symbols;
mod values;
mod versions;

use crate::rules::state::{self, State};
use buffers::{Life, Open};
use in_place::Places;
use indexmap::{IndexMap, IndexSet};
use la_arena::ArenaMap;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::{BindingId, Function, Module, Rhs, ValueId};
use orogen_ir::kernel::Kernel;
use orogen_ir::plan::{BufferRef, CallPlan, PlanInput, PlanOutput, SizeBinding, Step};
use orogen_ir::shape::{Constraint, Dim, Sym};
use orogen_ir::text::type_text;
use orogen_ir::types::{ConstPool, Type};
use std::sync::Arc;
use values::{Storage, known_dims};

pub use module::plan_module;

/// Lowers the function `name` of a module whose operators are all legalised, one that calls no other function:
/// [`plan_module`] lowers several. What `states` name as outputs are none of the plan: they are left where the inputs are.
/// What is not made there is copied there at the end.
///
/// # Errors
/// When a value needs memory but its shape is not known, when the function holds something that has no plan form
/// (a sequence, an operator without a kernel), and when a state and its new value differ in type.
pub fn plan_memory(module: &Module, name: &str, states: &[State]) -> Result<CallPlan, Diagnostics> {
    let Some(function) = module.function(name) else {
        return Err(Diagnostic::error("M001", format!("the module has no function `@{name}`")).into());
    };
    let shared = Shared { constants: Arc::new(module.constants.clone()), ..Shared::default() };
    let mut lowering = Lowering::new(module, (name, function), states, shared)?;
    lowering.run().map_err(Diagnostics::from)?;
    let Lowering { mut plan, shared, .. } = lowering;
    plan.kernels = shared.into_kernels();
    Ok(plan)
}

/// What all functions of a module share.
#[derive(Default)]
struct Shared<'a> {
    constants: Arc<ConstPool>,
    /// By a name of its own; the place is the id.
    kernels: IndexMap<String, Kernel>,
    /// Functions that may be invoked, in the order of their ids.
    functions: IndexSet<&'a str>,
}

impl Shared<'_> {
    fn into_kernels(self) -> Arc<Vec<Kernel>> {
        Arc::new(self.kernels.into_values().collect())
    }
}

struct Lowering<'a> {
    module: &'a Module,
    function: &'a Function,
    plan: CallPlan,
    shared: Shared<'a>,
    storage: ArenaMap<ValueId, Storage>,
    places: Places,
    /// Next values of loops that are made where the present ones are.
    next: ArenaMap<ValueId, BufferRef>,
    /// For each result of the function, the input that it renews.
    renewed: Vec<Option<usize>>,
    /// Outputs whose memory a root value writes directly.
    direct: IndexMap<ValueId, u32>,
    /// Outputs that exist.
    allocated: IndexSet<u32>,
    /// One for each slot.
    lives: Vec<Life>,
    /// The positions where loops begin and end.
    loops: Vec<(u32, u32)>,
    /// The loops around, outermost first.
    inside: Vec<usize>,
    /// Arenas that may be used here, outermost first.
    open: Vec<Open>,
    /// Symbols that have a value here, in the order in which they got it; leaving a path forgets the last ones.
    bound: IndexSet<Sym>,
    /// The checks on entry.
    checked: IndexSet<(Constraint, String)>,
    /// Number of the next step, counted through branches and loops.
    position: u32,
    /// How many branches and loops are around.
    depth: u32,
    /// What the present binding comes from, for messages.
    source: String,
}

impl<'a> Lowering<'a> {
    fn new(
        module: &'a Module,
        (name, function): (&str, &'a Function),
        states: &[State],
        shared: Shared<'a>,
    ) -> Result<Self, Diagnostic> {
        let inputs: Vec<&str> = function.params.iter().map(|it| it.name.as_str()).collect();
        let outputs: Vec<&str> = function.outputs.iter().map(|it| it.name.as_str()).collect();
        let renewed = state::resolve(states, &inputs, &outputs)?;
        let states: Vec<ValueId> =
            renewed.iter().flatten().filter_map(|it| Some(function.params.get(*it)?.value)).collect();
        let plan = CallPlan {
            name: name.to_string(),
            private: function.private,
            shapes: module.shapes.clone(),
            constants: Arc::clone(&shared.constants),
            ..CallPlan::default()
        };
        Ok(Lowering {
            module,
            function,
            plan,
            shared,
            storage: ArenaMap::default(),
            places: Places::of(module, function, &states),
            next: ArenaMap::default(),
            renewed,
            direct: IndexMap::new(),
            allocated: IndexSet::new(),
            lives: Vec::new(),
            loops: Vec::new(),
            inside: Vec::new(),
            open: Vec::new(),
            bound: IndexSet::new(),
            checked: IndexSet::new(),
            position: 0,
            depth: 0,
            source: String::new(),
        })
    }

    fn run(&mut self) -> Result<(), Diagnostic> {
        self.params()?;
        self.outputs()?;
        // What a check establishes later must not shape memory that is used before it.
        let bound = &self.bound;
        self.plan.shapes.keep_facts(|shapes, fact| {
            fact.dims().all(|dim| shapes.free_symbols(dim).iter().all(|it| bound.contains(it)))
        });
        let mut steps = Vec::new();
        let entry = self.new_arena();
        self.open.push(Open { arena: entry, bound: self.bound.len(), changing: Vec::new() });
        steps.push(Step::AllocArena(entry));
        self.region(self.function.body, &mut steps)?;
        self.write_outputs(&mut steps)?;
        self.plan.steps = steps;
        self.pack_arenas()
    }

    fn params(&mut self) -> Result<(), Diagnostic> {
        for (i, param) in self.function.params.iter().enumerate() {
            let what = || format!("input `{}`", param.name);
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
            let becomes = self.renewed.iter().position(|it| *it == Some(i));
            let state = becomes.map(|it| self.function.outputs[it].name.clone());
            self.plan.inputs.push(PlanInput { name: param.name.clone(), dtype: ty.dtype, dims, state });
            self.storage.insert(param.value, Storage::Buffer(BufferRef::Input(input)));
        }
        self.plan.inputs.iter().try_for_each(|input| {
            let bound = input.dims.iter().try_for_each(|it| self.require_bound(*it));
            bound.map_err(|it| it.at(format!("input `{}`", input.name)))
        })
    }

    /// Declares outputs and decides which root values write to them directly.
    fn outputs(&mut self) -> Result<(), Diagnostic> {
        let body = &self.function.regions[self.function.body];
        let results = &body.results;
        let order = body.blocks.iter().flat_map(|it| &self.function.blocks[*it].order);
        let at_top: IndexSet<BindingId> = order.copied().collect();
        for (i, (output, value)) in self.function.outputs.iter().zip(results).enumerate() {
            let what = || format!("output `{}`", output.name);
            let ty = self.tensor(*value).map_err(|it| it.at(what()))?;
            let dims = known_dims(ty).map_err(|it| it.at(what()))?;
            let root = self.root(*value);
            if let Some(input) = self.renewed[i] {
                self.renews(input, *value, root, &at_top)?;
                continue;
            }
            let number = self.plan.outputs.len() as u32;
            self.plan.outputs.push(PlanOutput { name: output.name.clone(), dtype: ty.dtype, dims });
            if self.maker(root).is_some_and(|it| at_top.contains(&it)) {
                self.direct.entry(root).or_insert(number);
            }
        }
        Ok(())
    }

    /// A new value of a state is made in the caller's memory where the old one is out of use by then.
    fn renews(
        &mut self,
        input: usize,
        value: ValueId,
        root: ValueId,
        at_top: &IndexSet<BindingId>,
    ) -> Result<(), Diagnostic> {
        let param = &self.function.params[input];
        let (old, new) = (self.tensor(param.value)?, self.tensor(value)?);
        let (from, to) = (known_dims(old)?, known_dims(new)?);
        let shapes = &self.plan.shapes;
        let apart = |(a, b): (&Dim, &Dim)| shapes.prove_eq(*a, *b).is_never();
        if old.dtype != new.dtype || from.len() != to.len() || from.iter().zip(&to).any(apart) {
            let output = self.renewed.iter().position(|it| *it == Some(input)).unwrap_or_default();
            let state =
                State { input: param.name.clone(), output: self.function.outputs[output].name.clone() };
            let text = |ty: &Type| type_text(shapes, ty);
            let [old, new] = [param.value, value].map(|it| text(&self.function.values[it].ty));
            return Err(state::misfit(&state, &old, &new));
        }
        let kernel = matches!(self.function.defining_rhs(root), Some(Rhs::Call { .. }));
        if kernel
            && self.maker(root).is_some_and(|it| at_top.contains(&it))
            && self.same_size(root, param.value)?
            && self.places.ends_before(param.value, root)
        {
            self.next.insert(root, BufferRef::Input(input as u32));
        }
        Ok(())
    }
}
