//! Replaces operators by what the shared table lowers them to.

use crate::manager::{Changed, Pass, PassCx};
use crate::rules::kernels::KernelInterner;
use crate::rules::legalize::{LegalizeTable, LowerStep, Lowering, Operation, Value as Lowered};
use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::{
    Binding, BindingId, BlockKind, Definition, Function, Module, Rhs, Scope, Value, ValueDef, ValueId,
    region_effects,
};
use orogen_ir::kernel::Kernel;
use orogen_ir::ops::OpRegistry;
use orogen_ir::types::{TensorData, TensorType, Type};
use smallvec::SmallVec;

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

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let Module { definitions, shapes, constants, .. } = module;
        // Those of the module keep their names.
        let mut kernels: IndexMap<String, Kernel> = IndexMap::new();
        let given = definitions.iter().filter_map(|(name, it)| match it {
            Definition::Kernel(kernel) => Some((name.clone(), kernel.clone())),
            Definition::Function(_) => None,
        });
        kernels.extend(given);
        let mut interner = KernelInterner::of(&kernels);
        let mut found = Diagnostics::new();
        let mut changed = false;
        let entry = definitions.values().rposition(|it| matches!(it, Definition::Function(_)));
        for (at, definition) in definitions.values_mut().enumerate() {
            let Definition::Function(function) = definition else { continue };
            // Walking backwards, what is used is known: operators that only named shapes are not lowered at all,
            // because types say the same.
            let mut live = function.returned_values();
            let compared = compared_values(function, Some(at) != entry);
            for (_, block) in function.live_blocks().into_iter().rev() {
                let mut order = Vec::new();
                for id in std::mem::take(&mut function.blocks[block].order).into_iter().rev() {
                    let binding = &function.bindings[id];
                    let Rhs::Op { op, attrs, args } = &binding.rhs else {
                        live.extend(binding.rhs.operands());
                        order.push(id);
                        continue;
                    };
                    if !binding.results.iter().any(|it| live.contains(it)) {
                        order.push(id);
                        continue;
                    }
                    let types = |values: &[ValueId]| -> Vec<Type> {
                        values.iter().map(|it| function.values[*it].ty.clone()).collect()
                    };
                    let data: Vec<Option<TensorData>> = args
                        .iter()
                        .map(|it| match function.defining_rhs(*it) {
                            Some(Rhs::Constant(id)) => Some(constants.data(*id).clone()),
                            _ => None,
                        })
                        .collect();
                    let (arg_types, results) = (types(args), types(&binding.results));
                    let operation =
                        Operation { op: *op, attrs, args: &arg_types, results: &results, constants: &data };
                    match self.table.legalize(cx.ops, shapes, operation) {
                        Ok(lowering) => {
                            changed = true;
                            let kind = function.blocks[block].kind;
                            let mut run = Run {
                                function,
                                kernels: &mut kernels,
                                interner: &mut interner,
                                compared: &compared,
                                kind,
                                operation: id,
                            };
                            let new = run.lowering(lowering);
                            for id in &new {
                                live.extend(function.bindings[*id].rhs.operands());
                            }
                            order.extend(new.into_iter().rev());
                        }
                        Err(diagnostic) => {
                            found.push(diagnostic.at(binding.source.clone()));
                            order.push(id);
                        }
                    }
                }
                order.reverse();
                function.blocks[block].order = order;
            }
        }
        let found = found.into_result(());
        let functions = std::mem::take(definitions);
        for (name, kernel) in kernels {
            definitions.insert(name, Definition::Kernel(kernel));
        }
        definitions.extend(functions);
        if changed {
            declare_effects(definitions, cx.ops);
        }
        module.remove_dead_code(cx.ops);
        found.map(|()| changed.into())
    }
}

/// Functions declare what their bodies may do: casts and checks of lowerings may abort.
fn declare_effects(definitions: &mut IndexMap<String, Definition>, ops: &OpRegistry) {
    for at in 0..definitions.len() {
        let Definition::Function(function) = &definitions[at] else { continue };
        let found = region_effects(ops, definitions, function, function.body);
        if let Definition::Function(function) = &mut definitions[at] {
            function.effects = function.effects | found;
        }
    }
}

/// Values whose types, known elements included, are compared with those of others: what branches and loops return and
/// start with, what calls are given, and what functions that are called return.
fn compared_values(function: &Function, is_called: bool) -> IndexSet<ValueId> {
    let mut compared = IndexSet::new();
    function.visit_regions(&mut |region| {
        if region != function.body || is_called {
            compared.extend(function.regions[region].results.iter().copied());
        }
    });
    for id in function.live_bindings() {
        let rhs = &function.bindings[id].rhs;
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
    function: &'a mut Function,
    kernels: &'a mut IndexMap<String, Kernel>,
    interner: &'a mut KernelInterner,
    compared: &'a IndexSet<ValueId>,
    kind: BlockKind,
    operation: BindingId,
}

impl Run<'_> {
    /// Bindings that compute the operation's results, in order.
    fn lowering(&mut self, lowering: Lowering) -> Vec<BindingId> {
        let operation = self.function.bindings[self.operation].clone();
        let operands = operation.rhs.operands();
        // A made value that is a result is the value of that result.
        let mut given: IndexMap<Lowered, ValueId> =
            operands.iter().enumerate().map(|(i, it)| (Lowered::Operand(i), *it)).collect();
        let mut copies = Vec::new();
        for (from, result) in lowering.results.iter().zip(&operation.results) {
            match given.contains_key(from) {
                true => copies.push((*from, *result)),
                false => {
                    given.insert(*from, *result);
                }
            }
        }
        let mut made = 0;
        let mut new = Vec::new();
        for step in lowering.steps {
            let types = step.types().to_vec();
            let rhs = match step {
                LowerStep::Kernel { kernel, args, sizes, .. } => Rhs::Call {
                    callee: self.interner.add(self.kernels, *kernel),
                    args: args.iter().map(|it| given[it]).collect(),
                    sizes: sizes.into_iter().collect(),
                },
                LowerStep::View { value, ty } => Rhs::View { value: given[&value], ty },
                LowerStep::MatchCast { value, ty } => Rhs::MatchCast { value: given[&value], ty },
                LowerStep::Check(it) => Rhs::Check { constraint: it.constraint, message: it.message },
            };
            let results = (made..).map(Lowered::Made).zip(types);
            let results = results.map(|(it, ty)| *given.entry(it).or_insert_with(|| self.value(ty)));
            let mut results: Vec<ValueId> = results.collect();
            made += results.len();
            let casts = match rhs {
                Rhs::Call { .. } => self.forget_elements(&mut results),
                _ => Vec::new(),
            };
            new.push(self.bind(rhs, &results, &operation.source));
            for (value, result) in casts {
                let ty = self.function.values[result].ty.clone();
                new.push(self.bind(Rhs::MatchCast { value, ty }, &[result], &operation.source));
            }
        }
        for (from, result) in copies {
            let rhs = Rhs::View { value: given[&from], ty: self.function.values[result].ty.clone() };
            new.push(self.bind(rhs, &[result], &operation.source));
        }
        new
    }

    /// Takes known elements out of the types of a kernel's results. Returns the values without and with elements for
    /// those that must keep them.
    fn forget_elements(&mut self, results: &mut [ValueId]) -> Vec<(ValueId, ValueId)> {
        let mut casts = Vec::new();
        for result in results {
            let Type::Tensor(ty) = &mut self.function.values[*result].ty else { continue };
            if ty.elements.is_none() {
                continue;
            }
            if self.compared.contains(result) {
                let plain = Type::Tensor(TensorType { elements: None, ..ty.clone() });
                let plain = self.value(plain);
                casts.push((plain, *result));
                *result = plain;
            } else {
                ty.elements = None;
            }
        }
        casts
    }

    fn value(&mut self, ty: Type) -> ValueId {
        let scope = match self.kind {
            BlockKind::Dataflow => Scope::BlockLocal,
            BlockKind::Effect => Scope::Region,
        };
        // The binding says where it comes from, once it is there.
        let def = ValueDef::Result(self.operation, 0);
        self.function.values.alloc(Value { ty, def, scope, name: None })
    }

    fn bind(&mut self, rhs: Rhs, results: &[ValueId], source: &str) -> BindingId {
        let source = source.to_owned();
        let binding =
            self.function.bindings.alloc(Binding { results: SmallVec::from_slice(results), rhs, source });
        for (i, result) in (0..).zip(results) {
            self.function.values[*result].def = ValueDef::Result(binding, i);
        }
        binding
    }
}
