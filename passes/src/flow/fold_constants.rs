//! Evaluates operators whose operands are constants.

use crate::manager::{Changed, Pass, PassCx};
use crate::rules::fold::{Operation, fold, wanted};
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::{Binding, BindingId, Definition, Function, Module, Rhs, Value, ValueDef, ValueId};
use orogen_ir::ops::{OnConstants, Outline};
use orogen_ir::shape::ShapeCx;
use orogen_ir::types::{ConstPool, TensorData, TensorType, Type};
use smallvec::smallvec;

/// Evaluates operators on constants.
#[derive(Clone, Copy, Debug, Default)]
pub struct FoldConstants;

impl Pass<Module> for FoldConstants {
    fn name(&self) -> &'static str {
        "fold-constants"
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let Module { definitions, constants, shapes, .. } = module;
        let mut changed = false;
        for definition in definitions.values_mut() {
            let Definition::Function(function) = definition else { continue };
            let wanted = wanted(cx.ops, &operations(function));
            for (_, block) in function.live_blocks() {
                let mut order = Vec::new();
                for id in std::mem::take(&mut function.blocks[block].order) {
                    let binding = &function.bindings[id];
                    let folded = match &binding.rhs {
                        Rhs::Op { op, attrs, args } => {
                            let data: Option<Vec<TensorData>> = args
                                .iter()
                                .map(|it| match function.values[*it].def {
                                    ValueDef::Result(def, 0) => match function.bindings[def].rhs {
                                        Rhs::Constant(constant) => Some(constants.data(constant).clone()),
                                        _ => None,
                                    },
                                    _ => None,
                                })
                                .collect();
                            data.and_then(|data| {
                                let types = binding.results.iter().map(|it| &function.values[*it].ty);
                                let results: Option<Vec<Outline>> =
                                    types.map(|ty| Outline::of(shapes, ty)).collect();
                                let wanted = binding.results.iter().any(|it| wanted.contains(it));
                                let call = OnConstants { op: *op, attrs, args: &data, results: &results? };
                                fold(cx, &call, wanted, &binding.source)
                            })
                        }
                        _ => None,
                    };
                    let Some(folded) = folded else {
                        order.push(id);
                        continue;
                    };
                    changed = true;
                    let mut replace = Replace { function, shapes, constants, order: &mut order };
                    replace.results(id, folded);
                }
                function.blocks[block].order = order;
            }
        }
        if changed {
            module.remove_dead_code(cx.ops);
        }
        Ok(changed.into())
    }
}

/// Puts constants in the place of an operation.
struct Replace<'a> {
    function: &'a mut Function,
    shapes: &'a mut ShapeCx,
    constants: &'a mut ConstPool,
    order: &'a mut Vec<BindingId>,
}

impl Replace<'_> {
    fn results(&mut self, id: BindingId, folded: Vec<TensorData>) {
        let Binding { results, source, .. } = self.function.bindings[id].clone();
        let binds = !self.function.binds(self.shapes, id).is_empty();
        for (value, data) in results.into_iter().zip(folded) {
            let ty = Type::Tensor(TensorType::of_constant(self.shapes, &data));
            let rhs = Rhs::Constant(self.constants.add(String::new(), data));
            if binds {
                // The sizes that the operation bound are in types further on.
                let old = self.function.values[value].clone();
                let constant = self.function.values.alloc(Value { ty, name: None, ..old.clone() });
                self.bind(constant, rhs, &source);
                self.bind(value, Rhs::MatchCast { value: constant, ty: old.ty }, &source);
            } else {
                self.function.values[value].ty = ty;
                self.bind(value, rhs, &source);
            }
        }
    }

    fn bind(&mut self, value: ValueId, rhs: Rhs, source: &str) {
        let binding = Binding { results: smallvec![value], rhs, source: source.to_owned() };
        let binding = self.function.bindings.alloc(binding);
        self.function.values[value].def = ValueDef::Result(binding, 0);
        self.order.push(binding);
    }
}

fn operations(function: &Function) -> Vec<Operation<ValueId>> {
    let operation = |id: BindingId| {
        let binding = &function.bindings[id];
        let (op, args) = match &binding.rhs {
            Rhs::Op { op, args, .. } => (Some(*op), args.iter().copied().collect()),
            Rhs::Constant(_) => (None, smallvec![]),
            _ => return None,
        };
        Some(Operation { op, args, results: binding.results.iter().copied().collect() })
    };
    function.live_bindings().into_iter().filter_map(operation).collect()
}
