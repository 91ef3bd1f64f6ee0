//! Merges kernel calls inside one dataflow block.
//!
//! Walks a block in order; each call tries to absorb the calls that produce its operands, latest first. A producer
//! whose result anything else uses is left alone, so nothing is computed twice.

use crate::manager::{Changed, Pass, PassCx};
use crate::rules::abort::merged_source;
use crate::rules::fusion::{KernelCall, absorb};
use indexmap::{IndexMap, IndexSet};
use la_arena::ArenaMap;
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::{BindingId, BlockKind, Definition, Function, Module, Rhs, ValueDef, ValueId};
use orogen_ir::kernel::Kernel;

/// Merges kernels.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fuse;

impl Pass<Module> for Fuse {
    fn name(&self) -> &'static str {
        "fuse"
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let mut kernels: IndexMap<String, Kernel> = IndexMap::new();
        for (name, definition) in &module.definitions {
            if let Definition::Kernel(kernel) = definition {
                kernels.insert(name.clone(), kernel.clone());
            }
        }
        let mut changed = false;
        for definition in module.definitions.values_mut() {
            let Definition::Function(function) = definition else { continue };
            let mut uses = function.uses();
            for (_, block) in function.live_blocks() {
                if function.blocks[block].kind != BlockKind::Dataflow {
                    continue;
                }
                let order = function.blocks[block].order.clone();
                let in_block: IndexSet<BindingId> = order.iter().copied().collect();
                for id in order {
                    while absorb_one(function, id, &in_block, &mut uses, &mut kernels) {
                        changed = true;
                    }
                }
            }
        }
        if changed {
            module.remove_dead_code(cx.ops);
            replace_kernels(module, kernels);
        }
        Ok(changed.into())
    }
}

/// Merges one producer into the call `id`; the producer becomes dead.
fn absorb_one(
    function: &mut Function,
    id: BindingId,
    in_block: &IndexSet<BindingId>,
    uses: &mut ArenaMap<ValueId, usize>,
    kernels: &mut IndexMap<String, Kernel>,
) -> bool {
    let Rhs::Call { callee, args, sizes } = &function.bindings[id].rhs else { return false };
    let Some(second) = kernels.get(callee).and_then(Kernel::program) else { return false };
    for arg in args.iter().rev() {
        let ValueDef::Result(producer, 0) = function.values[*arg].def else { continue };
        let single = function.bindings[producer].results.len() == 1
            && uses.get(*arg).copied().unwrap_or(0) == args.iter().filter(|it| *it == arg).count();
        if !single || !in_block.contains(&producer) {
            continue;
        }
        let Rhs::Call { callee: first, args: first_args, sizes: first_sizes } =
            &function.bindings[producer].rhs
        else {
            continue;
        };
        let Some(first) = kernels.get(first).and_then(Kernel::program) else { continue };
        let maker_source = &function.bindings[producer].source;
        let producer = KernelCall { program: first, sizes: first_sizes, args: first_args };
        let consumer = KernelCall { program: second, sizes, args };
        let Some((composed, inputs)) = absorb(producer, consumer, *arg) else { continue };
        // Merging may leave one use where there were several: what read a value in turn now reads it once.
        for value in first_args.iter().chain(args) {
            uses[*value] -= 1;
        }
        for value in &inputs {
            uses[*value] += 1;
        }
        let source = merged_source(producer.program, maker_source, &function.bindings[id].source);
        let name = crate::rules::kernels::intern(kernels, composed.program);
        function.bindings[id].source = source;
        function.bindings[id].rhs = Rhs::Call {
            callee: name,
            args: inputs.into_iter().collect(),
            sizes: composed.sizes.into_iter().collect(),
        };
        return true;
    }
    false
}

/// Keeps the kernels that a function calls, in order of first call.
fn replace_kernels(module: &mut Module, kernels: IndexMap<String, Kernel>) {
    let mut called: IndexSet<String> = IndexSet::new();
    for (_, function) in module.functions() {
        for id in function.live_bindings() {
            if let Rhs::Call { callee, .. } = &function.bindings[id].rhs {
                called.insert(callee.clone());
            }
        }
    }
    module.definitions.retain(|_, it| !matches!(it, Definition::Kernel(_)));
    let functions = std::mem::take(&mut module.definitions);
    for (name, mut kernel) in kernels {
        if called.contains(&name) {
            kernel.set_name(&name);
            module.definitions.insert(name, Definition::Kernel(kernel));
        }
    }
    module.definitions.extend(functions);
}
