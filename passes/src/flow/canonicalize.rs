//! One form for one meaning: duplicates are merged, identities and dead bindings removed.

use crate::manager::{Changed, Pass, PassCx};
use crate::rules::identity::identity;
use indexmap::IndexMap;
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::{Definition, Function, Module, RegionId, Replacements, Rhs, ValueId};
use orogen_ir::ops::{OpId, OpRegistry};
use orogen_ir::shape::ShapeCx;
use orogen_ir::types::{Attrs, ConstId, Effects};
use smallvec::SmallVec;

/// Merges duplicates and removes identities and dead bindings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Canonicalize;

impl Pass<Module> for Canonicalize {
    fn name(&self) -> &'static str {
        "canonicalize"
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let mut changed = false;
        for definition in module.definitions.values_mut() {
            if let Definition::Function(function) = definition {
                let (shapes, replaced) = (&module.shapes, Replacements::default());
                let mut merge = Merge { ops: cx.ops, shapes, replaced, seen: vec![IndexMap::new()] };
                merge.region(function, function.body);
                changed |= !merge.replaced.is_empty();
                merge.replaced.apply(function);
            }
        }
        let removed = module.remove_dead_code(cx.ops);
        Ok((changed || removed > 0).into())
    }
}

/// What makes two pure bindings the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Op(OpId, Attrs, SmallVec<[ValueId; 3]>),
    Constant(ConstId),
}

struct Merge<'a> {
    ops: &'a OpRegistry,
    shapes: &'a ShapeCx,
    replaced: Replacements,
    /// Bindings seen in the enclosing regions, innermost last.
    seen: Vec<IndexMap<Key, SmallVec<[ValueId; 1]>>>,
}

impl Merge<'_> {
    fn region(&mut self, function: &mut Function, region: RegionId) {
        for block in function.regions[region].blocks.clone() {
            for id in function.blocks[block].order.clone() {
                let mut rhs = function.bindings[id].rhs.clone();
                rhs.map_operands(&mut |it| self.replaced.get(it));
                for nested in rhs.regions() {
                    self.seen.push(IndexMap::new());
                    self.region(function, nested);
                    self.seen.pop();
                }
                let results = function.bindings[id].results.clone();
                if let Rhs::Op { op, attrs, args } = &rhs
                    && let Some(operand) = identity(self.ops, *op, attrs, args, |it| &function.values[it].ty)
                {
                    self.replaced.insert(results[0], operand);
                    continue;
                }
                let Some(key) = self.key(&rhs) else { continue };
                match self.seen.iter().rev().find_map(|it| it.get(&key)) {
                    // Its own names of sizes are in types further on.
                    Some(_) if !function.binds(self.shapes, id).is_empty() => {}
                    Some(earlier) => {
                        for (result, earlier) in results.iter().zip(earlier.clone()) {
                            self.replaced.insert(*result, earlier);
                        }
                    }
                    None => {
                        self.seen.last_mut().expect("one scope a region").insert(key, results);
                    }
                }
            }
        }
    }

    fn key(&self, rhs: &Rhs) -> Option<Key> {
        match rhs {
            Rhs::Op { op, attrs, args } => {
                let effects = self.ops.def(*op).effects;
                (effects == Effects::PURE || effects == Effects::ABORT)
                    .then(|| Key::Op(*op, attrs.clone(), args.clone()))
            }
            Rhs::Constant(constant) => Some(Key::Constant(*constant)),
            _ => None,
        }
    }
}
