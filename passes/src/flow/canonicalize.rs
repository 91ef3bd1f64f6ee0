//! One form for one meaning: duplicates are merged, identities and dead bindings removed.

use crate::manager::{Changed, Fact, Facts, Pass, PassCx};
use crate::rules::identity::identity;
use indexmap::IndexMap;
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::{BindingId, Editor, Module, RegionId, Rhs, ValueId};
use orogen_ir::ops::{OpId, OpRegistry};
use orogen_ir::types::{Attrs, ConstId, Effects};
use smallvec::SmallVec;

/// Merges duplicates and removes identities and dead bindings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Canonicalize;

impl Pass<Module> for Canonicalize {
    fn name(&self) -> &'static str {
        "canonicalize"
    }

    fn facts(&self) -> Facts {
        Facts { establishes: &[Fact::Live, Fact::NoDuplicates], ..Facts::KEEPS_ALL }
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let mut changed = false;
        module.edit(cx.ops, |editor| -> Result<(), Diagnostics> {
            let mut merge = Merge { ops: cx.ops, seen: vec![IndexMap::new()], changed: false };
            merge.region(editor, editor.body());
            changed |= merge.changed;
            Ok(())
        })?;
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
    /// Bindings seen in the enclosing regions, innermost last.
    seen: Vec<IndexMap<Key, (BindingId, SmallVec<[ValueId; 1]>)>>,
    changed: bool,
}

impl Merge<'_> {
    fn region(&mut self, editor: &mut Editor<'_>, region: RegionId) {
        for block in editor.region(region).blocks.clone() {
            for id in editor.order(block) {
                for nested in editor.binding(id).rhs.regions() {
                    self.seen.push(IndexMap::new());
                    self.region(editor, nested);
                    self.seen.pop();
                }
                let binding = editor.binding(id);
                let results = binding.results.clone();
                if let Rhs::Op { op, attrs, args } = &binding.rhs
                    && let Some(operand) = identity(self.ops, *op, attrs, args, |it| editor.type_of(it))
                {
                    editor.replace(results[0], operand);
                    self.changed = true;
                    continue;
                }
                let Some(key) = self.key(&binding.rhs) else { continue };
                match self.seen.iter().rev().find_map(|it| it.get(&key)) {
                    // Its own names of sizes are in types further on.
                    Some(_) if !editor.binds(id).is_empty() => {}
                    Some((earlier, values)) => {
                        for (result, value) in results.iter().zip(values) {
                            editor.replace(*result, *value);
                        }
                        editor.add_source(*earlier, id);
                        self.changed = true;
                    }
                    None => {
                        self.seen.last_mut().expect("one scope a region").insert(key, (id, results));
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
