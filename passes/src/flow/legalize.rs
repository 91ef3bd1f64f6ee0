//! Replaces operators by what the shared table lowers them to.

use crate::manager::{Changed, Fact, Facts, Pass, PassCx};
use crate::rules::kernels::KernelInterner;
use crate::rules::legalize::{LegalizeTable, LowerStep, Lowering, Operation, Value as Lowered};
use indexmap::IndexSet;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::{BindingId, Editor, Function, Module, Rhs, ValueId};
use orogen_ir::ops::StructureOp;
use orogen_ir::types::{TensorData, TensorType, Type};

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

    fn facts(&self) -> Facts {
        Facts {
            establishes: &[Fact::Live, Fact::Legalized],
            destroys: Some(&[Fact::NoDuplicates]),
            ..Facts::UNSAID
        }
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        // Kernels of the module keep their names.
        let mut interner = KernelInterner::of(module.kernels());
        let mut found = Diagnostics::new();
        let mut changed = false;
        let mut compared = compared_values(module).into_iter();
        let edited = module.edit(cx.ops, |editor| -> Result<(), Diagnostics> {
            let compared = compared.next().unwrap_or_default();
            // Walking backwards, what is used is known: operators that only named shapes are not lowered at all,
            // because types say the same.
            for block in editor.blocks().into_iter().rev() {
                for id in editor.order(block).into_iter().rev() {
                    let Rhs::Op { op, .. } = &editor.binding(id).rhs else { continue };
                    let structural = StructureOp::of(cx.ops.def(*op)).is_some();
                    let results = &editor.binding(id).results;
                    let unused = results.iter().all(|it| editor.uses(*it) == 0);
                    if unused && editor.binds(id).is_empty() {
                        editor.remove(id);
                        continue;
                    }
                    // They are steps of a plan as they are. A number that one finds is stored by a kernel.
                    if structural {
                        if unused {
                            continue;
                        }
                        let ty = editor.type_of(editor.binding(id).results[0]).clone();
                        if ty.as_tensor().is_none_or(|it| it.elements.is_none()) {
                            continue;
                        }
                        let rhs = editor.binding(id).rhs.clone();
                        editor.before(id);
                        editor.emit_as(rhs, [ty])?;
                    }
                    let lowered = self.lower(editor, id).and_then(|lowering| {
                        Run { interner: &mut interner, compared: &compared, operation: id }
                            .lowering(editor, lowering)
                    });
                    match lowered {
                        Ok(()) => changed = true,
                        Err(it) => found.push(it.at(editor.binding(id).source.clone())),
                    }
                }
            }
            Ok(())
        });
        module.kernels_first();
        module.remove_dead_code(cx.ops);
        edited?;
        found.into_result(changed.into())
    }
}

impl Legalize {
    /// What the table lowers an operation to.
    fn lower(&self, editor: &mut Editor<'_>, id: BindingId) -> Result<Lowering, Diagnostic> {
        let binding = editor.binding(id).clone();
        let args = binding.rhs.operands();
        let types = |values: &[ValueId]| -> Vec<Type> {
            values.iter().map(|it| editor.type_of(*it).clone()).collect()
        };
        let constants: Vec<Option<TensorData>> =
            args.iter().map(|it| editor.constant_data(*it).cloned()).collect();
        let (args, results) = (types(&args), types(&binding.results));
        let Rhs::Op { op, attrs, .. } = &binding.rhs else { unreachable!("operators alone are lowered") };
        let operation = Operation { op: *op, attrs, args: &args, results: &results, constants: &constants };
        self.table.legalize(editor.ops(), editor.shapes, operation)
    }
}

/// For each function, values whose types, known elements included, are compared with those of others: what branches and
/// loops return and start with, what calls are given, and what functions that are called return.
fn compared_values(module: &Module) -> Vec<IndexSet<ValueId>> {
    let entry = module.entry().map(|(name, _)| name);
    module.functions().map(|(name, it)| compared_in(it, Some(name) != entry)).collect()
}

fn compared_in(function: &Function, is_called: bool) -> IndexSet<ValueId> {
    let mut compared = IndexSet::new();
    function.visit_regions(&mut |region| {
        if region != function.body() || is_called {
            compared.extend(function[region].results.iter().copied());
        }
    });
    for id in function.live_bindings() {
        let rhs = &function[id].rhs;
        if let Rhs::While { .. } | Rhs::Call { .. } = rhs {
            compared.extend(rhs.operands());
        }
    }
    compared
}

/// Runs the lowering of one operation.
///
/// What inference knows of elements does not follow from a kernel's signature (law F9). Operators that asked for them
/// are lowered by now, so results of kernels forget them; where types are compared, a cast asserts them.
struct Run<'a> {
    interner: &'a mut KernelInterner,
    compared: &'a IndexSet<ValueId>,
    operation: BindingId,
}

impl Run<'_> {
    /// Puts what computes the operation's results in its place.
    fn lowering(self, editor: &mut Editor<'_>, lowering: Lowering) -> Result<(), Diagnostic> {
        let operation = editor.binding(self.operation).clone();
        let operands = operation.rhs.operands();
        let mut made: Vec<ValueId> = Vec::new();
        editor.before(self.operation);
        for step in lowering.steps {
            let given = |it: &Lowered| match it {
                Lowered::Operand(i) => operands[*i],
                Lowered::Made(i) => made[*i],
            };
            // A made value that is a result has the type that is known of the result.
            let result_of = |i: usize| {
                let at = lowering.results.iter().position(|it| *it == Lowered::Made(i))?;
                operation.results.get(at).copied()
            };
            let results: Vec<Option<ValueId>> =
                (made.len()..).take(step.types().len()).map(result_of).collect();
            let types: Vec<Type> = step
                .types()
                .iter()
                .zip(&results)
                .map(|(ty, result)| result.map_or(ty, |it| editor.type_of(it)).clone())
                .collect();
            match step {
                LowerStep::Kernel { kernel, args, sizes, .. } => {
                    let args = args.iter().map(given).collect();
                    let callee = self.interner.add(editor, *kernel);
                    let rhs = Rhs::Call { callee, args, sizes: sizes.into_iter().collect() };
                    let plain = editor.emit_as(rhs, types.iter().map(forget_elements))?;
                    for ((value, ty), result) in plain.into_iter().zip(types).zip(results) {
                        let elements = ty.as_tensor().is_some_and(|it| it.elements.is_some());
                        let compared = elements && result.is_some_and(|it| self.compared.contains(&it));
                        made.push(match compared {
                            true => editor.emit_as(Rhs::MatchCast { value, ty: ty.clone() }, [ty])?[0],
                            false => value,
                        });
                    }
                }
                LowerStep::View { value, ty } => {
                    made.extend(editor.emit_as(Rhs::View { value: given(&value), ty }, types)?);
                }
                LowerStep::MatchCast { value, ty } => {
                    made.extend(editor.emit_as(Rhs::MatchCast { value: given(&value), ty }, types)?);
                }
                LowerStep::Check(it) => {
                    editor.emit_as(Rhs::Check { constraint: it.constraint, message: it.message }, [])?;
                }
            }
        }
        for (from, result) in lowering.results.iter().zip(&operation.results) {
            let to = match from {
                Lowered::Made(i) => made[*i],
                Lowered::Operand(i) => operands[*i],
            };
            let first = lowering.results.iter().position(|it| it == from);
            let own = matches!(from, Lowered::Made(_))
                && first.and_then(|it| operation.results.get(it)) == Some(result);
            let to = match own {
                true => to,
                false => {
                    let ty = editor.type_of(*result).clone();
                    editor.emit_as(Rhs::View { value: to, ty: ty.clone() }, [ty])?[0]
                }
            };
            editor.replace(*result, to);
        }
        editor.remove(self.operation);
        Ok(())
    }
}

/// A type without what is known of elements.
fn forget_elements(ty: &Type) -> Type {
    match ty {
        Type::Tensor(ty) => Type::Tensor(TensorType { elements: None, ..ty.clone() }),
        ty => ty.clone(),
    }
}
