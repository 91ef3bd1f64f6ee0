//! Applies shared rules to a flow module.

use crate::manager::{Changed, Pass, PassCx, Step};
use crate::rules::apply::ApplyRules;
use crate::rules::simplify::Rewriter;
use la_arena::ArenaMap;
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::{
    Binding, BindingId, Definition, Function, Module, Replacements, Rhs, Scope, Value, ValueDef, ValueId,
};
use orogen_ir::ops::{InferCx, OpId, OpRegistry};
use orogen_ir::shape::ShapeCx;
use orogen_ir::types::{Attrs, ConstPool, TensorData, TensorType, Type};
use smallvec::smallvec;

impl Pass<Module> for ApplyRules {
    fn name(&self) -> &'static str {
        self.of_step().name()
    }

    fn step(&self) -> Step {
        self.of_step()
    }

    fn run(&self, ir: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        Ok(self.rounds(|| walk(*self, ir, cx)))
    }
}

/// One walk over the program; whether any rule applied.
fn walk(rules: ApplyRules, module: &mut Module, cx: &PassCx<'_>) -> bool {
    let Module { definitions, constants, shapes, .. } = module;
    let mut changed = false;
    for definition in definitions.values_mut() {
        let Definition::Function(function) = definition else { continue };
        let uses = function.uses();
        let mut replaced = Replacements::default();
        for (_, block) in function.live_blocks() {
            let mut rewriter =
                FlowRewriter { ops: cx.ops, function, constants, shapes, uses: &uses, order: Vec::new() };
            for id in std::mem::take(&mut rewriter.function.blocks[block].order) {
                rewriter.function.bindings[id].rhs.map_operands(&mut |it| replaced.get(it));
                if let Rhs::Op { op, attrs, args } = rewriter.function.bindings[id].rhs.clone()
                    && let Some(value) = rules.apply(&mut rewriter, op, &attrs, &args)
                {
                    replaced.insert(rewriter.function.bindings[id].results[0], value);
                    continue;
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
    changed
}

struct FlowRewriter<'a> {
    ops: &'a OpRegistry,
    function: &'a mut Function,
    constants: &'a mut ConstPool,
    shapes: &'a mut ShapeCx,
    uses: &'a ArenaMap<ValueId, usize>,
    order: Vec<BindingId>,
}

impl FlowRewriter<'_> {
    fn define(&mut self, rhs: Rhs, ty: Type) -> ValueId {
        let binding =
            self.function.bindings.alloc(Binding { results: smallvec![], rhs, source: String::new() });
        let value = self.function.values.alloc(Value {
            ty,
            def: ValueDef::Result(binding, 0),
            scope: Scope::Region,
            name: None,
        });
        self.function.bindings[binding].results.push(value);
        self.order.push(binding);
        value
    }
}

impl Rewriter for FlowRewriter<'_> {
    type Value = ValueId;

    fn ops(&self) -> &OpRegistry {
        self.ops
    }

    fn definition(&self, value: ValueId) -> Option<(OpId, Attrs, Vec<ValueId>)> {
        let ValueDef::Result(binding, 0) = self.function.values[value].def else { return None };
        let binding = &self.function.bindings[binding];
        match &binding.rhs {
            Rhs::Op { op, attrs, args } if binding.results.len() == 1 => {
                Some((*op, attrs.clone(), args.to_vec()))
            }
            _ => None,
        }
    }

    fn constant(&self, value: ValueId) -> Option<TensorData> {
        let ValueDef::Result(binding, 0) = self.function.values[value].def else { return None };
        match self.function.bindings[binding].rhs {
            Rhs::Constant(constant) => Some(self.constants.data(constant).clone()),
            _ => None,
        }
    }

    fn ty(&self, value: ValueId) -> Type {
        self.function.values[value].ty.clone()
    }

    fn uses(&self, value: ValueId) -> usize {
        self.uses.get(value).copied().unwrap_or(0)
    }

    fn emit(&mut self, op: &str, attrs: Attrs, args: &[ValueId]) -> Option<ValueId> {
        let op = self.ops.find(op)?;
        let types: Vec<Type> = args.iter().map(|it| self.ty(*it)).collect();
        let mut cx = InferCx::new(self.shapes, &attrs, &types);
        let ty = self.ops.infer(op, &mut cx).ok()?.into_iter().next()?;
        // A rule must not need checks that the program before it did not.
        if !cx.requirements.is_empty() {
            return None;
        }
        Some(self.define(Rhs::Op { op, attrs, args: args.iter().copied().collect() }, ty))
    }

    fn emit_constant(&mut self, data: TensorData) -> ValueId {
        let ty = Type::Tensor(TensorType::of_constant(self.shapes, &data));
        let constant = self.constants.add(String::new(), data);
        self.define(Rhs::Constant(constant), ty)
    }
}
