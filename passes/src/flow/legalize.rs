//! Replaces operators by kernel calls and views, from the shared table.

use crate::manager::{Changed, Pass, PassCx, Step};
use crate::rules::kernels::intern;
use crate::rules::legalize::{LegalizeTable, Lowering, Operation};
use indexmap::IndexMap;
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::{Definition, Module, Rhs};
use orogen_ir::loops::TensorProgram;
use orogen_ir::types::{TensorData, Type};

/// Replaces operators by kernels.
#[derive(Clone, Debug)]
pub struct Legalize {
    table: LegalizeTable,
}

impl Legalize {
    /// With this table.
    pub fn new(table: LegalizeTable) -> Self {
        Legalize { table }
    }
}

impl Pass<Module> for Legalize {
    fn name(&self) -> &'static str {
        "legalize"
    }

    fn step(&self) -> Step {
        Step::Legalize
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let Module { definitions, shapes, constants, .. } = module;
        let mut kernels: IndexMap<String, TensorProgram> = IndexMap::new();
        let mut found = Diagnostics::new();
        let mut changed = false;
        for definition in definitions.values_mut() {
            let Definition::Function(function) = definition else { continue };
            // Walking backwards, what is used is known: operators that only named shapes are not lowered at all,
            // because types say the same.
            let mut live = function.returned_values();
            for (_, block) in function.live_blocks().into_iter().rev() {
                for id in function.blocks[block].order.clone().into_iter().rev() {
                    let binding = &function.bindings[id];
                    let Rhs::Op { op, attrs, args } = &binding.rhs else {
                        live.extend(binding.rhs.operands());
                        continue;
                    };
                    if !binding.results.iter().any(|it| live.contains(it)) {
                        continue;
                    }
                    let arg_types: Vec<Type> =
                        args.iter().map(|it| function.values[*it].ty.clone()).collect();
                    let results: Vec<Type> =
                        binding.results.iter().map(|it| function.values[*it].ty.clone()).collect();
                    let data: Vec<Option<TensorData>> = args
                        .iter()
                        .map(|it| match function.defining_rhs(*it) {
                            Some(Rhs::Constant(id)) => Some(constants.data(*id).clone()),
                            _ => None,
                        })
                        .collect();
                    let operation =
                        Operation { op: *op, attrs, args: &arg_types, results: &results, constants: &data };
                    let rhs = match self.table.legalize(cx.ops, shapes, operation) {
                        Ok(Lowering::View { operand }) => {
                            Rhs::View { value: args[operand], ty: results[0].clone() }
                        }
                        Ok(Lowering::Kernel(kernel)) => Rhs::CallKernel {
                            args: kernel.operands.iter().map(|it| args[*it]).collect(),
                            callee: intern(&mut kernels, kernel.program),
                            sizes: kernel.sizes.into_iter().collect(),
                        },
                        Err(diagnostic) => {
                            found.push(diagnostic.at(binding.source.clone()));
                            continue;
                        }
                    };
                    changed = true;
                    live.extend(rhs.operands());
                    function.bindings[id].rhs = rhs;
                }
            }
        }
        let found = found.into_result(());
        let functions = std::mem::take(definitions);
        for (name, program) in kernels {
            definitions.insert(name, Definition::Kernel(program));
        }
        definitions.extend(functions);
        module.remove_dead_code(cx.ops);
        found.map(|()| changed.into())
    }
}
