//! Applies shared rules to a flow module.

use crate::manager::{Changed, Pass, PassCx};
use crate::rules::apply::ApplyRules;
use crate::rules::rewrite::{OpCall, Rewriter, RuleSet, Value, changes_type};
use la_arena::{ArenaMap, RawIdx};
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::{
    self, Binding, BindingId, Definition, Function, Module, Replacements, Rhs, Scope, ValueDef, ValueId,
};
use orogen_ir::ops::{InferCx, OpRegistry};
use orogen_ir::shape::{ShapeCx, Truth};
use orogen_ir::text::type_text;
use orogen_ir::types::{Attrs, ConstPool, TensorData, TensorType, Type};
use smallvec::smallvec;

impl Pass<Module> for ApplyRules {
    fn name(&self) -> &'static str {
        self.pass_name()
    }

    fn run(&self, ir: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        self.rounds(|| walk(self.rules(), ir, cx))
    }
}

/// One walk over the program; whether any rule applied.
fn walk(rules: &RuleSet, module: &mut Module, cx: &PassCx<'_>) -> Result<bool, Diagnostics> {
    let Module { definitions, constants, shapes, .. } = module;
    let mut changed = false;
    for definition in definitions.values_mut() {
        let Definition::Function(function) = definition else { continue };
        let uses = function.uses();
        let mut replaced = Replacements::default();
        for (_, block) in function.live_blocks() {
            let source = String::new();
            let mut rewriter = FlowRewriter {
                ops: cx.ops,
                function,
                constants,
                shapes,
                uses: &uses,
                order: Vec::new(),
                source,
            };
            for id in std::mem::take(&mut rewriter.function.blocks[block].order) {
                rewriter.function.bindings[id].rhs.map_operands(&mut |it| replaced.get(it));
                if let Some(call) = rewriter.call(id) {
                    rewriter.source.clone_from(&rewriter.function.bindings[id].source);
                    if let Some((new, rule)) = rules.apply(&mut rewriter, &call) {
                        let (old, new) = (rewriter.function.bindings[id].results[0], value_id(new));
                        let (from, to) =
                            (&rewriter.function.values[old].ty, &rewriter.function.values[new].ty);
                        if differ(rewriter.shapes, from, to) {
                            let text = |ty| type_text(rewriter.shapes, ty);
                            return Err(changes_type(rule, &text(from), &text(to)).into());
                        }
                        replaced.insert(old, new);
                        continue;
                    }
                }
                rewriter.order.push(id);
            }
            let order = rewriter.order;
            function.blocks[block].order = order;
        }
        if !replaced.is_empty() {
            changed = true;
            replaced.apply(function);
        }
    }
    if changed {
        module.remove_dead_code(cx.ops);
    }
    Ok(changed)
}

/// Whether values of the two types are known to be of different element type or shape.
fn differ(shapes: &ShapeCx, a: &Type, b: &Type) -> bool {
    let (Some(a), Some(b)) = (a.as_tensor(), b.as_tensor()) else { return true };
    if a.dtype != b.dtype {
        return true;
    }
    match (a.shape.rank(), b.shape.rank()) {
        (Some(x), Some(y)) if x != y => true,
        _ => {
            let pairs = a.dims().unwrap_or_default().iter().zip(b.dims().unwrap_or_default());
            pairs.into_iter().any(|(x, y)| shapes.prove_eq(*x, *y) == Truth::Never)
        }
    }
}

/// A value as rules see it.
fn value(id: ValueId) -> Value {
    Value::from_bits(u64::from(id.into_raw().into_u32()))
}

/// The value that rules see as that one.
fn value_id(value: Value) -> ValueId {
    ValueId::from_raw(RawIdx::from_u32(value.bits() as u32))
}

struct FlowRewriter<'a> {
    ops: &'a OpRegistry,
    function: &'a mut Function,
    constants: &'a mut ConstPool,
    shapes: &'a mut ShapeCx,
    uses: &'a ArenaMap<ValueId, usize>,
    order: Vec<BindingId>,
    /// Where the operation that is rewritten came from: what replaces it comes from there too.
    source: String,
}

impl FlowRewriter<'_> {
    /// The operation of a binding, when it is one of one result.
    fn call(&self, id: BindingId) -> Option<OpCall> {
        let binding = &self.function.bindings[id];
        match &binding.rhs {
            Rhs::Op { op, attrs, args } if binding.results.len() == 1 => {
                let args = args.iter().copied().map(value).collect();
                Some(OpCall { op: *op, attrs: attrs.clone(), args })
            }
            _ => None,
        }
    }

    fn define(&mut self, rhs: Rhs, ty: Type) -> Value {
        let source = self.source.clone();
        let binding = self.function.bindings.alloc(Binding { results: smallvec![], rhs, source });
        let id = self.function.values.alloc(flow::Value {
            ty,
            def: ValueDef::Result(binding, 0),
            scope: Scope::Region,
            name: None,
        });
        self.function.bindings[binding].results.push(id);
        self.order.push(binding);
        value(id)
    }
}

impl Rewriter for FlowRewriter<'_> {
    fn ops(&self) -> &OpRegistry {
        self.ops
    }

    fn definition(&self, value: Value) -> Option<OpCall> {
        match self.function.values[value_id(value)].def {
            ValueDef::Result(binding, 0) => self.call(binding),
            _ => None,
        }
    }

    fn constant(&self, value: Value) -> Option<TensorData> {
        match self.function.defining_rhs(value_id(value)) {
            Some(Rhs::Constant(constant)) => Some(self.constants.data(*constant).clone()),
            _ => None,
        }
    }

    fn ty(&mut self, value: Value) -> Type {
        self.function.values[value_id(value)].ty.clone()
    }

    fn shapes(&self) -> &ShapeCx {
        self.shapes
    }

    fn uses(&self, value: Value) -> usize {
        self.uses.get(value_id(value)).copied().unwrap_or(0)
    }

    fn emit(&mut self, op: &str, attrs: Attrs, args: &[Value]) -> Option<Value> {
        let op = self.ops.find(op)?;
        let types: Vec<Type> = args.iter().map(|it| self.ty(*it)).collect();
        let mut cx = InferCx::new(self.shapes, &attrs, &types);
        let mut results = self.ops.infer(op, &mut cx).ok()?;
        // A rule must not need checks that the program before it did not.
        if !cx.requirements.is_empty() || results.len() != 1 {
            return None;
        }
        let args = args.iter().copied().map(value_id).collect();
        Some(self.define(Rhs::Op { op, attrs, args }, results.remove(0)))
    }

    fn emit_constant(&mut self, data: TensorData) -> Value {
        let ty = Type::Tensor(TensorType::of_constant(self.shapes, &data));
        let constant = self.constants.add(String::new(), data);
        self.define(Rhs::Constant(constant), ty)
    }
}
