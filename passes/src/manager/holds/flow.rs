//! Whether facts hold of a module of the dataflow IR.

use crate::manager::holds::{Key, operator, twice};
use indexmap::IndexMap;
use orogen_ir::flow::{Function, Module, RegionId, Rhs, ValueId};
use orogen_ir::ops::{OpRegistry, StructureOp};
use orogen_ir::types::Effects;

/// Which bindings may go is a matter of effects and of sizes, which the IR itself decides.
pub(crate) fn live(module: &Module, ops: &OpRegistry) -> Result<(), String> {
    match module.clone().remove_dead_code(ops) {
        0 => Ok(()),
        1 => Err("nothing needs one binding".to_owned()),
        n => Err(format!("nothing needs {n} bindings")),
    }
}

pub(crate) fn no_duplicates(module: &Module, ops: &OpRegistry) -> Result<(), String> {
    let mut seen = Seen { ops, module, scopes: Vec::new() };
    module.functions().try_for_each(|(_, it)| seen.region(it, it.body()))
}

pub(crate) fn legalized(module: &Module, ops: &OpRegistry) -> Result<(), String> {
    for (_, function) in module.functions() {
        for id in function.live_bindings() {
            let binding = &function[id];
            if let Rhs::Op { op, .. } = &binding.rhs
                && StructureOp::of(ops.def(*op)).is_none()
            {
                return Err(operator(*op, &binding.source, ops));
            }
        }
    }
    Ok(())
}

/// A walk over regions; what an enclosing one has is there in those inside.
struct Seen<'a> {
    ops: &'a OpRegistry,
    module: &'a Module,
    scopes: Vec<IndexMap<Key<ValueId>, ()>>,
}

impl Seen<'_> {
    fn region(&mut self, function: &Function, region: RegionId) -> Result<(), String> {
        self.scopes.push(IndexMap::new());
        for block in &function[region].blocks {
            for id in &function[*block].order {
                let binding = &function[*id];
                binding.rhs.regions().into_iter().try_for_each(|it| self.region(function, it))?;
                let key = match &binding.rhs {
                    Rhs::Op { op, attrs, args } => {
                        let effects = self.ops.def(*op).effects;
                        if effects != Effects::PURE && effects != Effects::ABORT {
                            continue;
                        }
                        Key::Op(*op, attrs.clone(), args.to_vec())
                    }
                    Rhs::Constant(constant) => Key::Constant(*constant),
                    _ => continue,
                };
                // One that binds sizes is itself: its names for them are in types further on.
                let known = self.scopes.iter().any(|it| it.contains_key(&key));
                if known && function.binds(&self.module.shapes, *id).is_empty() {
                    return Err(twice(&key, self.ops, &binding.source));
                }
                if let Some(scope) = self.scopes.last_mut() {
                    scope.insert(key, ());
                }
            }
        }
        self.scopes.pop();
        Ok(())
    }
}
