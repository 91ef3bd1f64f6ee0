//! Tensors of strings in generated code: elements are handles of string objects, null for the empty string.
//!
//! Handles are borrowed in a call, and nothing is counted where elements are moved.
//!
//! # Laws
//! * **S1** What a call may borrow lives until it ends: strings of inputs are the caller's, those of constants are made at
//!   its start, a tensor that was in an object place is kept, and so is the old value of state.
//! * **S2** What leaves a call has a reference to each of its strings: results, elements of objects, the new value of
//!   state. State of a call that fails has its old value.
//! * **S3** A function of the host that fills or changes a tensor of strings finds references in it and leaves references,
//!   which the call gives back at its end.

use indexmap::IndexSet;
use orogen_ir::kernel::{Kernel, ParamType};
use orogen_ir::plan::{BufferRef, CallPlan, PlanModule, Step, for_each_kernel};
use orogen_ir::types::{ConstId, DType, TensorType};

use super::plain_constants;

/// What a function has to do with strings.
#[derive(Debug, Default)]
pub(crate) struct Strings {
    /// Whether there are any.
    pub(crate) any: bool,
    /// The constants that it reads, which it makes at the start of a call.
    pub(crate) constants: IndexSet<ConstId>,
    /// The inputs that are state.
    pub(crate) states: Vec<u32>,
    /// Whether it borrows from objects, or of what functions of the host write.
    pub(crate) keeps: bool,
}

impl Strings {
    /// What each function of a module does.
    pub(crate) fn of(module: &PlanModule) -> Vec<Strings> {
        let known: IndexSet<ConstId> = match module.constants() {
            Some(pool) => pool.ids().filter(|it| pool.data(*it).dtype() == DType::Str).collect(),
            None => IndexSet::new(),
        };
        let written: Vec<bool> = module.kernels().iter().map(writes_strings).collect();
        module.functions.iter().map(|it| Strings::of_plan(it, &known, &written)).collect()
    }

    fn of_plan(plan: &CallPlan, known: &IndexSet<ConstId>, written: &[bool]) -> Strings {
        let constants = if known.is_empty() { IndexSet::new() } else { constants(plan, known) };
        let is_text = |i: &u32| plan.inputs[*i as usize].tensor().is_some_and(|it| it.dtype == DType::Str);
        let states: Vec<u32> = plan.renewals().into_keys().filter(is_text).collect();
        let mut keeps = plan.objects.iter().any(|it| it.tensor().is_some_and(are_strings));
        for_each_step(&plan.steps, &mut |step| {
            keeps |= matches!(step, Step::Kernel { kernel, .. } if written[kernel.0 as usize]);
        });
        let takes = (0..plan.inputs.len() as u32).any(|i| is_text(&i));
        let returns = plan.outputs.iter().any(|it| it.tensor().is_some_and(|it| it.dtype == DType::Str));
        Strings { any: keeps || takes || returns || !constants.is_empty(), constants, states, keeps }
    }

    /// Places behind those of objects: constants, then two for each state, then what is kept.
    pub(crate) fn places(&self) -> usize {
        self.constants.len() + 2 * self.states.len() + usize::from(self.keeps)
    }
}

/// Whether a tensor is one of strings.
pub(crate) fn are_strings(tensor: &TensorType) -> bool {
    tensor.dtype == DType::Str
}

fn writes_strings(kernel: &Kernel) -> bool {
    let Kernel::Extern(external) = kernel else { return false };
    let params = &external.signature.params;
    params.iter().any(|it| {
        it.access.writes() && matches!(it.ty, ParamType::Buffer { dtype, .. } if dtype == DType::Str)
    })
}

fn for_each_step(steps: &[Step], visit: &mut impl FnMut(&Step)) {
    for step in steps {
        visit(step);
        match step {
            Step::If { then_steps: first, else_steps: second, .. }
            | Step::While { cond_steps: first, body: second, .. } => {
                for_each_step(first, visit);
                for_each_step(second, visit);
            }
            _ => {}
        }
    }
}

fn constants(plan: &CallPlan, known: &IndexSet<ConstId>) -> IndexSet<ConstId> {
    let mut found = IndexSet::new();
    plain_constants(&plan.steps, &mut found);
    for_each_kernel(&plan.steps, &mut |_, args, _| {
        found.extend(args.iter().filter_map(|it| match it {
            BufferRef::Constant(id) => Some(*id),
            _ => None,
        }));
    });
    found.extend(plan.inputs.iter().filter_map(|it| it.tensor()?.default));
    found.into_iter().filter(|it| known.contains(it)).collect()
}
