//! Applies shared rules to a flow module.

use crate::manager::{Changed, Facts, Pass, PassCx};
use crate::rewrite::{OpCall, Rewriter, RuleSet, Value, changes_type};
use crate::rules::apply::ApplyRules;
use la_arena::RawIdx;
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::{BindingId, BlockId, Editor, Module, Rhs, ValueDef, ValueId};
use orogen_ir::ops::OpRegistry;
use orogen_ir::shape::{ShapeCx, Truth};
use orogen_ir::text::type_text;
use orogen_ir::types::{Attrs, TensorData, Type, pair_dims};

impl Pass<Module> for ApplyRules {
    fn name(&self) -> &'static str {
        self.pass_name()
    }

    fn facts(&self) -> Facts {
        Facts::OVER_OPERATORS
    }

    fn run(&self, ir: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        self.rounds(|| walk(self.rules(), ir, cx))
    }
}

/// One walk over the program; whether any rule applied.
fn walk(rules: &RuleSet, module: &mut Module, cx: &PassCx<'_>) -> Result<bool, Diagnostics> {
    let (mut changed, mut emitted) = (false, false);
    module.edit(cx.ops, |editor| -> Result<(), Diagnostics> {
        for id in editor.bindings() {
            let Some(call) = call(editor, id) else { continue };
            // What replaces an operation comes from where it came from.
            editor.before(id);
            let block = editor.block_of(id);
            let mut rewriter = FlowRewriter::new(editor, block);
            let found = rules.apply(cx.accuracy, &mut rewriter, &call);
            emitted |= rewriter.emitted;
            let Some((new, rule)) = found else { continue };
            let (old, new) = (editor.binding(id).results[0], value_id(new));
            let (from, to) = (editor.type_of(old), editor.type_of(new));
            if differ(editor.shapes, from, to) {
                let text = |ty| type_text(editor.shapes, ty);
                return Err(changes_type(rule, &text(from), &text(to)).into());
            }
            let new = match editor.binds(id).is_empty() {
                true => new,
                // The sizes that the operation bound are in types further on.
                false => {
                    let ty = editor.type_of(old).clone();
                    editor.emit_as(Rhs::MatchCast { value: new, ty: ty.clone() }, [ty])?[0]
                }
            };
            editor.replace(old, new);
            editor.remove(id);
            changed = true;
        }
        Ok(())
    })?;
    if changed || emitted {
        module.remove_dead_code(cx.ops);
    }
    Ok(changed)
}

/// Whether values of the two types are known to be of different element type or shape.
fn differ(shapes: &ShapeCx, a: &Type, b: &Type) -> bool {
    let mut pairs = Vec::new();
    let fits = pair_dims(a, b, &mut pairs);
    !fits || pairs.into_iter().any(|(x, y)| shapes.prove_eq(x, y) == Truth::Never)
}

/// A value as rules see it.
fn value(id: ValueId) -> Value {
    Value::from_bits(u64::from(id.into_raw().into_u32()))
}

/// The value that rules see as that one.
pub(crate) fn value_id(value: Value) -> ValueId {
    ValueId::from_raw(RawIdx::from_u32(value.bits() as u32))
}

/// The operation of a binding, when it is one of one result.
pub(crate) fn call(editor: &Editor<'_>, id: BindingId) -> Option<OpCall> {
    let binding = editor.binding(id);
    match &binding.rhs {
        Rhs::Op { op, attrs, args } if binding.results.len() == 1 => {
            let args = args.iter().copied().map(value).collect();
            let result = value(binding.results[0]);
            Some(OpCall { op: *op, attrs: attrs.clone(), args, result })
        }
        _ => None,
    }
}

/// What rules see of a function.
pub(crate) struct FlowRewriter<'a, 'm> {
    editor: &'a mut Editor<'m>,
    /// That of the operation that is rewritten.
    block: Option<BlockId>,
    /// Whether something was added, perhaps for a rule that then did not apply.
    emitted: bool,
}

impl<'a, 'm> FlowRewriter<'a, 'm> {
    /// Around an operation of a block.
    pub(crate) fn new(editor: &'a mut Editor<'m>, block: Option<BlockId>) -> Self {
        FlowRewriter { editor, block, emitted: false }
    }

    /// What defines a value.
    pub(crate) fn definition_of(&self, value: Value) -> ValueDef {
        self.editor.value(value_id(value)).def
    }
}

impl Rewriter for FlowRewriter<'_, '_> {
    fn ops(&self) -> &OpRegistry {
        self.editor.ops()
    }

    fn definition(&self, value: Value) -> Option<OpCall> {
        match self.editor.value(value_id(value)).def {
            ValueDef::Result(binding, 0) => call(self.editor, binding),
            _ => None,
        }
    }

    fn is_local(&self, value: Value) -> bool {
        match self.editor.value(value_id(value)).def {
            ValueDef::Result(binding, _) => self.editor.block_of(binding) == self.block,
            _ => false,
        }
    }

    fn constant(&self, value: Value) -> Option<TensorData> {
        self.editor.constant_data(value_id(value)).cloned()
    }

    fn ty(&mut self, value: Value) -> Type {
        self.editor.type_of(value_id(value)).clone()
    }

    fn shapes(&self) -> &ShapeCx {
        self.editor.shapes
    }

    fn shapes_mut(&mut self) -> &mut ShapeCx {
        self.editor.shapes
    }

    fn uses(&self, value: Value) -> usize {
        self.editor.uses(value_id(value))
    }

    fn emit(&mut self, op: &str, attrs: Attrs, args: &[Value]) -> Option<Value> {
        let op = self.editor.ops().find(op)?;
        let args: Vec<ValueId> = args.iter().copied().map(value_id).collect();
        // A rule must not need checks that the program before it did not.
        let made = self.editor.op_without_checks(op, attrs, &args).map(value);
        self.emitted |= made.is_some();
        made
    }

    fn emit_constant(&mut self, data: TensorData) -> Value {
        self.emitted = true;
        value(self.editor.constant("", data))
    }
}
