//! Tensors of strings in generated code: elements are handles of string objects, null for the empty string.
//!
//! Strings of inputs and constants live as long as the call, so handles are borrowed in it, and nothing is counted; a tensor
//! that the call returns takes references to its strings at the end. What lives longer than that, or may end sooner, is
//! refused.

use indexmap::IndexSet;
use orogen_ir::diag::Diagnostic;
use orogen_ir::kernel::Kernel;
use orogen_ir::plan::{BufferRef, PlanInput, PlanModule, for_each_kernel};
use orogen_ir::types::{ConstId, DType, Type};

use crate::clif::entry::plain_constants;

/// What holds strings that are not borrowed for the whole call.
///
/// # Errors
/// The first object, state, default or function of the host with strings.
pub(crate) fn check(module: &PlanModule) -> Result<(), Diagnostic> {
    let fail = |what: &str, place: String| {
        let message = format!("tensors of strings cannot be {what}");
        Err(Diagnostic::error("C009", message).at(place))
    };
    for plan in &module.functions {
        let state = plan
            .outputs
            .iter()
            .find(|it| it.over().is_some() && it.tensor().is_some_and(|it| it.dtype == DType::Str));
        if let Some(it) = state {
            return fail("state", format!("output `{}`", it.name));
        }
        let has_default = |it: &&PlanInput| {
            it.default_value().is_some() && it.tensor().is_some_and(|it| it.dtype == DType::Str)
        };
        if let Some(it) = plan.inputs.iter().find(has_default) {
            return fail("defaults of inputs", format!("input `{}`", it.name));
        }
        if plan.objects.iter().any(|it| has_strings(&it.ty)) {
            return fail("items of objects or results of functions", format!("function `{}`", plan.name));
        }
    }
    let outside = |it: &&Kernel| {
        matches!(it, Kernel::Extern(_))
            && it.params().any(|it| it.buffer().is_some_and(|it| it.0 == DType::Str))
    };
    match module.kernels().iter().find(outside) {
        Some(it) => fail("given to functions of the host", format!("kernel `{}`", it.name())),
        None => Ok(()),
    }
}

fn has_strings(ty: &Type) -> bool {
    match ty {
        Type::Tensor(it) => it.dtype == DType::Str,
        Type::Sequence(it) | Type::Optional(it) => has_strings(it),
        Type::Map(key, value) => has_strings(key) || has_strings(value),
        _ => false,
    }
}

/// The constants of strings that each function reads, which it makes at the start of a call.
pub(crate) fn constants(module: &PlanModule) -> Vec<IndexSet<ConstId>> {
    let strings: IndexSet<ConstId> = match module.constants() {
        Some(pool) => pool.ids().filter(|it| pool.data(*it).dtype() == DType::Str).collect(),
        None => IndexSet::new(),
    };
    let used = |steps| {
        let mut found = IndexSet::new();
        if !strings.is_empty() {
            plain_constants(steps, &mut found);
            for_each_kernel(steps, &mut |_, args, _| {
                found.extend(args.iter().filter_map(|it| match it {
                    BufferRef::Constant(id) => Some(*id),
                    _ => None,
                }));
            });
        }
        found.into_iter().filter(|it| strings.contains(it)).collect()
    };
    module.functions.iter().map(|it| used(&it.steps[..])).collect()
}
