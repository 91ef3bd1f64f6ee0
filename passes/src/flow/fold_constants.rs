//! Evaluates operators whose operands are constants.

use crate::manager::{Changed, Pass, PassCx, Step};
use crate::rules::fold::fold;
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::{Binding, Definition, Module, Rhs, ValueDef};
use orogen_ir::types::{TensorData, TensorType, Type};
use smallvec::smallvec;

/// Evaluates operators on constants.
#[derive(Clone, Copy, Debug, Default)]
pub struct FoldConstants;

impl Pass<Module> for FoldConstants {
    fn name(&self) -> &'static str {
        "fold-constants"
    }

    fn step(&self) -> Step {
        Step::FoldConstants
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let Module { definitions, constants, shapes, .. } = module;
        let mut changed = false;
        for definition in definitions.values_mut() {
            let Definition::Function(function) = definition else { continue };
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
                            let bytes = binding.results.iter().map(|it| {
                                let tensor = function.values[*it].ty.as_tensor()?;
                                TensorData::byte_count(tensor.dtype, &tensor.static_dims(shapes)?)
                            });
                            match (data, bytes.sum::<Option<usize>>()) {
                                (Some(data), Some(bytes)) => fold(cx, *op, attrs, &data, bytes),
                                _ => None,
                            }
                        }
                        _ => None,
                    };
                    let Some(folded) = folded else {
                        order.push(id);
                        continue;
                    };
                    changed = true;
                    let (results, source) = (binding.results.clone(), binding.source.clone());
                    for (value, data) in results.into_iter().zip(folded) {
                        function.values[value].ty = Type::Tensor(TensorType::of_constant(shapes, &data));
                        let constant = constants.add(String::new(), data);
                        let rhs = Rhs::Constant(constant);
                        let binding = function.bindings.alloc(Binding {
                            results: smallvec![value],
                            rhs,
                            source: source.clone(),
                        });
                        function.values[value].def = ValueDef::Result(binding, 0);
                        order.push(binding);
                    }
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
