//! Merges kernel calls inside one dataflow block.
//!
//! Walks a block in order; each call tries to absorb the calls that produce its operands, latest first. A producer
//! whose result anything else uses is left alone, so nothing is computed twice.

use crate::manager::{Changed, Pass, PassCx};
use crate::rules::abort::merged_source;
use crate::rules::fusion::{KernelCall, Merging};
use crate::rules::kernels::KernelInterner;
use indexmap::{IndexMap, IndexSet};
use la_arena::ArenaMap;
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::{BindingId, BlockKind, Definition, Function, Module, Rhs, ValueDef, ValueId};
use orogen_ir::kernel::Kernel;
use orogen_ir::loops::TensorProgram;

/// Merges kernels.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fuse;

impl Pass<Module> for Fuse {
    fn name(&self) -> &'static str {
        "fuse"
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let order: Vec<String> = module.definitions.keys().cloned().collect();
        let mut kernels: IndexMap<String, Kernel> = IndexMap::new();
        for (name, definition) in std::mem::take(&mut module.definitions) {
            match definition {
                Definition::Kernel(program) => drop(kernels.insert(name, program)),
                other => drop(module.definitions.insert(name, other)),
            }
        }
        let mut merged: Vec<IndexMap<BindingId, TensorProgram>> = Vec::new();
        for definition in module.definitions.values_mut() {
            let mut merging = Merging::of(&kernels);
            if let Definition::Function(function) = definition {
                merge_calls(function, &mut merging);
            }
            merged.push(merging.finish());
        }
        if merged.iter().all(IndexMap::is_empty) {
            module.definitions.extend(kernels.into_iter().map(|(name, it)| (name, Definition::Kernel(it))));
            let position: IndexMap<String, usize> =
                order.into_iter().enumerate().map(|(i, it)| (it, i)).collect();
            module.definitions.sort_by_cached_key(|name, _| position.get(name).copied());
            return Ok(Changed::No);
        }
        name_merged(module, kernels, merged);
        module.remove_dead_code(cx.ops);
        keep_called(module);
        Ok(Changed::Yes)
    }
}

/// Merges what can be merged in every dataflow block. A merged call keeps its kernel's name until all is done.
fn merge_calls(function: &mut Function, merging: &mut Merging<'_, BindingId>) {
    let mut uses = function.uses();
    for (_, block) in function.live_blocks() {
        if function.blocks[block].kind != BlockKind::Dataflow {
            continue;
        }
        let order = function.blocks[block].order.clone();
        let in_block: IndexSet<BindingId> = order.iter().copied().collect();
        for id in order {
            while absorb_one(function, id, &in_block, &mut uses, merging) {}
        }
    }
}

/// Merges one producer into the call `id`; the producer becomes dead.
fn absorb_one(
    function: &mut Function,
    id: BindingId,
    in_block: &IndexSet<BindingId>,
    uses: &mut ArenaMap<ValueId, usize>,
    merging: &mut Merging<'_, BindingId>,
) -> bool {
    let Rhs::Call { callee, args, sizes } = &function.bindings[id].rhs else { return false };
    if !merging.may_grow(id, callee) {
        return false;
    }
    for arg in args.iter().rev() {
        let ValueDef::Result(producer, 0) = function.values[*arg].def else { continue };
        let Rhs::Call { callee: first, args: first_args, sizes: first_sizes } =
            &function.bindings[producer].rhs
        else {
            continue;
        };
        let single = function.bindings[producer].results.len() == 1
            && uses.get(*arg).copied().unwrap_or(0) == args.iter().filter(|it| *it == arg).count();
        if !single || !in_block.contains(&producer) {
            continue;
        }
        let maker = KernelCall { id: producer, kernel: first, sizes: first_sizes, args: first_args };
        let consumer = KernelCall { id, kernel: callee, sizes, args };
        let aborts = merging.aborts(producer, first);
        let Some((sizes, inputs)) = merging.absorb(maker, consumer, *arg) else { continue };
        // Merging may leave one use where there were several: what read a value in turn now reads it once.
        for value in first_args.iter().chain(args) {
            uses[*value] -= 1;
        }
        for value in &inputs {
            uses[*value] += 1;
        }
        let (made, read) = (&function.bindings[producer].source, &function.bindings[id].source);
        let (source, callee) = (merged_source(aborts, made, read), callee.clone());
        function.bindings[id].source = source;
        function.bindings[id].rhs =
            Rhs::Call { callee, args: inputs.into_iter().collect(), sizes: sizes.into_iter().collect() };
        return true;
    }
    false
}

/// Gives merged kernels names and puts all kernels before the functions.
fn name_merged(
    module: &mut Module,
    mut kernels: IndexMap<String, Kernel>,
    merged: Vec<IndexMap<BindingId, TensorProgram>>,
) {
    let mut interner = KernelInterner::of(&kernels);
    for (definition, mut merged) in module.definitions.values_mut().zip(merged) {
        let Definition::Function(function) = definition else { continue };
        for id in function.live_bindings() {
            if let Rhs::Call { callee, .. } = &mut function.bindings[id].rhs
                && let Some(program) = merged.swap_remove(&id)
            {
                *callee = interner.add(&mut kernels, program);
            }
        }
    }
    let functions = std::mem::take(&mut module.definitions);
    module.definitions.extend(kernels.into_iter().map(|(name, it)| (name, Definition::Kernel(it))));
    module.definitions.extend(functions);
}

/// Drops the kernels that no function calls.
fn keep_called(module: &mut Module) {
    let mut called: IndexSet<String> = IndexSet::new();
    for (_, function) in module.functions() {
        for id in function.live_bindings() {
            if let Rhs::Call { callee, .. } = &function.bindings[id].rhs {
                called.insert(callee.clone());
            }
        }
    }
    module.definitions.retain(|name, it| !matches!(it, Definition::Kernel(_)) || called.contains(name));
}
