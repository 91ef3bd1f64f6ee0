//! Lowers a legalised flow function to a call plan: steps in program order, buffers in arenas.
//!
//! Every tensor value gets storage: an input, a constant, an output, or a slot. Views share the storage of their
//! operand. Slots whose size is known on entry share one arena; symbols bound later (`match_cast`, `If` results,
//! carried sizes of a `While`) open further arenas at the point where their size is known. Peak memory is the sum of
//! the arenas, a formula.
//!
//! `values` says what shares storage and how large it is, `buffers` gets memory and tracks how long it is in use,
//! `symbols` binds sizes, `steps` and `control` walk the function, `versions` chooses among versions of a kernel.

mod buffers;
mod control;
mod steps;
mod symbols;
mod values;
mod versions;

use buffers::{Life, Open};
use indexmap::{IndexMap, IndexSet};
use la_arena::ArenaMap;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::{BindingId, Function, Module, ValueId};
use orogen_ir::plan::{BufferRef, CallPlan, KernelId, PlanInput, PlanOutput, SizeBinding, Step};
use orogen_ir::shape::{Constraint, Sym};
use values::{Storage, known_dims};

/// Lowers the function `name` of a module whose operators are all legalised.
///
/// # Errors
/// When a value needs memory but its shape is not known, or the function holds something that has no plan form
/// (a sequence, state, an operator without a kernel).
pub fn plan_memory(module: &Module, name: &str) -> Result<CallPlan, Diagnostics> {
    let Some(function) = module.function(name) else {
        return Err(Diagnostic::error("M001", format!("the module has no function `@{name}`")).into());
    };
    let mut lowering = Lowering::new(module, function, name);
    lowering.run().map_err(Diagnostics::from)?;
    Ok(lowering.plan)
}

struct Lowering<'a> {
    module: &'a Module,
    function: &'a Function,
    plan: CallPlan,
    kernels: IndexMap<String, KernelId>,
    storage: ArenaMap<ValueId, Storage>,
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
    fn new(module: &'a Module, function: &'a Function, name: &str) -> Self {
        let plan = CallPlan {
            name: name.to_string(),
            shapes: module.shapes.clone(),
            constants: module.constants.clone(),
            ..CallPlan::default()
        };
        Lowering {
            module,
            function,
            plan,
            kernels: IndexMap::new(),
            storage: ArenaMap::default(),
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
        }
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
            self.plan.inputs.push(PlanInput { name: param.name.clone(), dtype: ty.dtype, dims });
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
            self.plan.outputs.push(PlanOutput { name: output.name.clone(), dtype: ty.dtype, dims });
            let root = self.root(*value);
            if self.kernel_call(root).is_some_and(|it| at_top.contains(&it)) {
                self.direct.entry(root).or_insert(i as u32);
            }
        }
        Ok(())
    }
}
