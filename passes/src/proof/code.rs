//! Proofs of rules that are code: of what they make of programs.
//!
//! What a rule asks of the data of constants a parameter does not say. Here every parameter is taken for a constant whose
//! data is not seen, so that rules apply that need no more of it.

use super::{Class, Prover, Verdict};
use crate::flow::{FlowRewriter, call, value_id};
use crate::rewrite::{OpCall, Rewrite, Rewriter, Rule, Value};
use orogen_ir::flow::{Module, ValueDef, ValueId};
use orogen_ir::ops::OpRegistry;
use orogen_ir::shape::ShapeCx;
use orogen_ir::types::{Attrs, TensorData, Type};

impl Prover<'_> {
    /// Proves what a rule that is code makes of a program; `None` where it does not apply.
    pub fn prove_on(&self, rule: Rule, before: &Module) -> Option<Verdict> {
        let after = applied(self.ops, rule, before)?;
        Some(self.prove(before, &after, Class::from(rule.class)))
    }
}

/// What a rule makes of a program in one walk, when it applies.
pub(super) fn applied(ops: &OpRegistry, rule: Rule, before: &Module) -> Option<Module> {
    let mut after = before.clone();
    let mut changed = false;
    let edited = after.edit(ops, |editor| -> Result<(), std::convert::Infallible> {
        for id in editor.bindings() {
            let Some(call) = call(editor, id).filter(|it| ops.def(it.op).name == rule.root) else { continue };
            editor.before(id);
            let block = editor.block_of(id);
            let Some(new) = (rule.apply)(&mut Unseen(FlowRewriter::new(editor, block), &[]), &call) else {
                continue;
            };
            let old = editor.binding(id).results[0];
            editor.replace(old, value_id(new));
            editor.remove(id);
            changed = true;
        }
        Ok(())
    });
    let Ok(()) = edited;
    after.remove_dead_code(ops);
    changed.then_some(after)
}

/// What a rule of several roots makes of a program whose results are these roots.
pub(super) fn applied_to_all(ops: &OpRegistry, rule: &Rewrite, before: &Module) -> Option<Module> {
    let mut after = before.clone();
    let (name, function) = before.entry()?;
    let roots: Vec<ValueId> = function.results().to_vec();
    let mut changed = false;
    let edited = after.edit_function(ops, name, |editor| -> Result<(), std::convert::Infallible> {
        let ids = roots.iter().map(|it| match editor.value(*it).def {
            ValueDef::Result(id, _) => Some(id),
            _ => None,
        });
        let Some(ids) = ids.collect::<Option<Vec<_>>>() else { return Ok(()) };
        let calls: Option<Vec<OpCall>> = ids.iter().map(|it| call(editor, *it)).collect();
        let (Some(calls), Some(last)) = (calls, ids.last()) else { return Ok(()) };
        editor.after(*last);
        let block = editor.block_of(*last);
        let mut rewriter = Unseen(FlowRewriter::new(editor, block), &calls[1..]);
        let Some(made) = rule.apply_all(&mut rewriter, &calls[0]) else { return Ok(()) };
        for (old, new) in made {
            editor.replace(value_id(old), value_id(new));
        }
        changed = true;
        Ok(())
    });
    let Ok(()) = edited;
    after.remove_dead_code(ops);
    changed.then_some(after)
}

/// A program whose parameters are constants that nobody has seen, and in which further roots are given.
struct Unseen<'a, 'm>(FlowRewriter<'a, 'm>, &'a [OpCall]);

impl Rewriter for Unseen<'_, '_> {
    fn reader(&self, _: Value, number: usize) -> Option<OpCall> {
        self.1.get(number).cloned()
    }

    fn is_made(&self, value: Value) -> Option<bool> {
        match self.0.definition_of(value) {
            ValueDef::Param(_) => Some(true),
            _ => self.0.is_made(value),
        }
    }

    fn ops(&self) -> &OpRegistry {
        self.0.ops()
    }

    fn definition(&self, value: Value) -> Option<OpCall> {
        self.0.definition(value)
    }

    fn is_local(&self, value: Value) -> bool {
        self.0.is_local(value)
    }

    fn constant(&self, value: Value) -> Option<TensorData> {
        self.0.constant(value)
    }

    fn ty(&mut self, value: Value) -> Type {
        self.0.ty(value)
    }

    fn shapes(&self) -> &ShapeCx {
        self.0.shapes()
    }

    fn shapes_mut(&mut self) -> &mut ShapeCx {
        self.0.shapes_mut()
    }

    fn uses(&self, value: Value) -> usize {
        self.0.uses(value)
    }

    fn emit(&mut self, op: &str, attrs: Attrs, args: &[Value]) -> Option<Value> {
        self.0.emit(op, attrs, args)
    }

    fn emit_constant(&mut self, data: TensorData) -> Value {
        self.0.emit_constant(data)
    }
}
