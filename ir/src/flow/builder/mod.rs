//! Building functions: types are inferred at once, blocks open by themselves.
//!
//! * A pure operation goes into a dataflow block, anything else into an effect block; blocks open and close as
//!   needed. A value becomes region-scoped when something outside its block uses it.
//! * What inference asks of sizes and cannot decide becomes a `check` before the operation, and a fact afterwards. Facts
//!   from inside a branch or a loop end with it.
//! * A result whose elements are all known constants becomes a constant; the operation is not emitted. With an evaluator
//!   so does every small result of an operation on constants.
//! * Elements that inference reads and that are not known (sizes, bounds) are bound to symbols before the operation, once
//!   for each value.
//! * Branches and loops nest at most [`MAX_NESTING`](crate::text::MAX_NESTING) deep, as text does: what walks regions may
//!   recurse.
//! * A branch whose condition is a known constant is not built; only the taken side is.
//! * Branches that return different dimensions return fresh symbols, bound by the `if`. Branches that return
//!   different ranks return an unknown shape, which is an error only where a consumer needs the shape.

mod constants;
mod control;
mod elements;
mod sink;
#[cfg(test)]
mod tests;

use super::infer::{InferEnv, Inferred, calls_function, infer, region_effects};
use super::{
    Binding, BindingId, Block, BlockId, BlockKind, Definition, Function, Module, Output, Parameter, RegionId,
    Rhs, Scope, Value, ValueDef, ValueId,
};
use crate::diag::{Diagnostic, Diagnostics};
use crate::kernel::Kernel;
use crate::ops::{Folding, OnConstants, OpRegistry, OpSink, Outline, Requirement, SettledLoops};
use crate::shape::{Constraint, Dim, ShapeCx, Sym};
use crate::types::{ConstId, ConstInterner, Source, Type, bound_symbols, forget_items, map_dims, visit_dims};
use indexmap::{IndexMap, IndexSet};
use la_arena::ArenaMap;
use smallvec::SmallVec;

/// Builds a [`Module`] with one function.
///
/// ```
/// use orogen_ir::flow::FlowBuilder;
/// use orogen_ir::ops::{OpRegistry, OpSink};
/// use orogen_ir::types::{Attrs, DType, Type};
///
/// let ops = OpRegistry::standard();
/// let mut builder = FlowBuilder::new(&ops, "double");
/// let n = builder.shapes().sym("n");
/// let x = builder.input("x", Type::tensor(DType::F32, [n]))?;
/// let y = builder.emit(ops.get("add"), Attrs::none(), &[x, x])?;
/// builder.output("y", y[0])?;
/// let module = builder.finish()?;
/// assert_eq!(module.definitions().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FlowBuilder<'o> {
    ops: &'o OpRegistry,
    module: Module,
    function_name: String,
    function: Function,
    frames: Vec<Frame>,
    /// Symbols that are bound here; a prefix belongs to each enclosing region.
    bound: IndexSet<Sym>,
    home: ArenaMap<BindingId, BlockId>,
    pool: ConstInterner,
    loops: SettledLoops,
    source: Source,
    folding: Folding<'o>,
    /// Names of inputs and of outputs so far.
    inputs: IndexSet<String>,
    outputs: IndexSet<String>,
}

/// A region under construction.
#[derive(Debug)]
struct Frame {
    region: RegionId,
    block: Option<BlockId>,
    constants: IndexMap<ConstId, ValueId>,
    /// Values with the same with known elements.
    elements: IndexMap<ValueId, ValueId>,
}

impl Frame {
    fn new(region: RegionId) -> Self {
        Frame { region, block: None, constants: IndexMap::new(), elements: IndexMap::new() }
    }
}

impl Module {
    /// Builds a module with one function, `main`, into which `write` writes.
    ///
    /// # Errors
    /// What `write` says, and see [`FlowBuilder::finish`].
    pub fn build(
        ops: &OpRegistry,
        name: &str,
        folding: Folding<'_>,
        write: impl FnOnce(&mut FlowBuilder<'_>) -> Result<(), Diagnostics>,
    ) -> Result<Module, Diagnostics> {
        let mut builder = FlowBuilder::new(ops, name).with_folding(folding);
        write(&mut builder)?;
        builder.finish()
    }
}

impl<'o> FlowBuilder<'o> {
    /// A builder of a module of that name, whose function is called `main`.
    pub fn new(ops: &'o OpRegistry, name: &str) -> Self {
        Self::with_module(ops, Module { name: name.to_owned(), ..Module::default() }, "main")
    }

    /// A builder that adds a function to a module, behind those that it may call. Others may call it too, unless it is
    /// [`private`](Self::private).
    ///
    /// Symbols are those of the module: what is known of one is known in every function that has it. Sizes that have
    /// nothing to do with each other have names of their own.
    pub fn with_module(ops: &'o OpRegistry, module: Module, function_name: &str) -> Self {
        let function = Function::empty();
        let body = function.body;
        FlowBuilder {
            ops,
            module,
            function_name: function_name.to_owned(),
            function,
            frames: vec![Frame::new(body)],
            bound: IndexSet::new(),
            home: ArenaMap::default(),
            pool: ConstInterner::default(),
            loops: SettledLoops::default(),
            source: Source::default(),
            folding: Folding::default(),
            inputs: IndexSet::new(),
            outputs: IndexSet::new(),
        }
    }

    /// The same builder with an evaluator of what is known, and the budget it spends.
    #[must_use]
    pub fn with_folding(mut self, folding: Folding<'o>) -> Self {
        self.folding = folding;
        self
    }

    /// The same builder of a function that only functions of its module may call.
    #[must_use]
    pub fn private(mut self) -> Self {
        self.function.private = true;
        self
    }

    /// The operator table.
    pub fn registry(&self) -> &'o OpRegistry {
        self.ops
    }

    /// The function so far.
    pub fn function(&self) -> &Function {
        &self.function
    }

    /// Gives a value the name it had in its source.
    pub fn set_name(&mut self, value: ValueId, name: &str) {
        self.function.values[value].name = Some(name.to_owned());
    }

    /// Defines a kernel under its name, which [`call`](Self::call) and [`call_kernel`](Self::call_kernel) can use.
    pub fn define_kernel(&mut self, kernel: impl Into<Kernel>) {
        let kernel = kernel.into();
        self.module.definitions.insert(kernel.name().to_owned(), Definition::Kernel(kernel));
    }

    /// Calls a function of the module, or a kernel whose sizes are all dimensions of its operands.
    ///
    /// # Errors
    /// A callee or arguments that do not fit, and a kernel with a size that no operand has.
    pub fn call(&mut self, callee: &str, args: &[ValueId]) -> Result<Vec<ValueId>, Diagnostic> {
        let sizes = match self.module.definitions.get(callee) {
            Some(Definition::Kernel(kernel)) => {
                let dims = |it: &ValueId| self.type_at(*it).as_tensor()?.dims();
                let operands: Option<Vec<&[Dim]>> = args.iter().map(dims).collect();
                operands.and_then(|it| kernel.sizes_for(&it)).ok_or_else(|| {
                    let message = format!("the sizes of `@{callee}` do not follow from its operands");
                    self.located(Diagnostic::error("B028", message).help("give them: `call_kernel`"))
                })?
            }
            _ => Vec::new(),
        };
        self.call_kernel(callee, args, &sizes)
    }

    /// Calls a kernel of the module with these sizes.
    ///
    /// # Errors
    /// A callee, arguments or sizes that do not fit.
    pub fn call_kernel(
        &mut self,
        callee: &str,
        args: &[ValueId],
        sizes: &[Dim],
    ) -> Result<Vec<ValueId>, Diagnostic> {
        self.push(Rhs::Call { callee: callee.to_owned(), args: args.into(), sizes: sizes.into() })
    }

    /// Makes a tuple.
    pub fn tuple(&mut self, items: &[ValueId]) -> Result<ValueId, Diagnostic> {
        self.push_one(Rhs::Tuple(items.into()))
    }

    /// Takes an element of a tuple.
    pub fn get(&mut self, tuple: ValueId, index: u32) -> Result<ValueId, Diagnostic> {
        self.push_one(Rhs::Get { tuple, index })
    }

    /// Requires a relation at run time; from here on it is a fact. Nothing is emitted when it holds anyway.
    pub fn check(&mut self, constraint: Constraint, message: &str) -> Result<(), Diagnostic> {
        self.require(Requirement { constraint, message: message.to_owned() })
    }

    /// The module with the finished function.
    ///
    /// # Errors
    /// When the function has no output, or two parameters or two outputs of one name.
    pub fn finish(mut self) -> Result<Module, Diagnostics> {
        let mut problems = Diagnostics::new();
        if self.function.outputs.is_empty() {
            problems.push(Diagnostic::error("B001", "the model has no output"));
        }
        let body = self.function.body;
        self.function.effects = region_effects(self.ops, &self.module.definitions, &self.function, body);
        if self.module.definitions.contains_key(&self.function_name) {
            let message = format!("the module defines `@{}` twice", self.function_name);
            problems.push(Diagnostic::error("B003", message));
        } else {
            self.module.definitions.insert(self.function_name, Definition::Function(self.function));
        }
        problems.into_result(self.module)
    }

    fn located(&self, diagnostic: Diagnostic) -> Diagnostic {
        if self.source.is_empty() { diagnostic } else { diagnostic.at(self.source.clone()) }
    }

    fn frame(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("the function's body is a frame until the end")
    }

    fn type_at(&self, value: ValueId) -> &Type {
        &self.function.values[value].ty
    }

    fn is_bound(&self, dim: Dim) -> bool {
        self.module.shapes.free_symbols(dim).iter().all(|it| self.bound.contains(it))
    }

    fn bind_symbols(&mut self, ty: &Type) {
        let bound = &mut self.bound;
        bound_symbols(&self.module.shapes, ty, &mut |sym| {
            bound.insert(sym);
        });
    }

    /// The open block of that kind; opens one when another kind is open.
    fn block(&mut self, kind: BlockKind) -> BlockId {
        if let Some(open) = self.frame().block
            && self.function.blocks[open].kind == kind
        {
            return open;
        }
        let block = self.function.blocks.alloc(Block { kind, order: Vec::new() });
        let frame = self.frame();
        frame.block = Some(block);
        let region = frame.region;
        self.function.regions[region].blocks.push(block);
        block
    }

    /// Notes that `value` is used in `block` (`None`: outside of any block).
    fn touch(&mut self, value: ValueId, block: Option<BlockId>) {
        if let ValueDef::Result(binding, _) = self.function.values[value].def
            && self.home.get(binding).copied() != block
        {
            self.function.values[value].scope = Scope::Region;
        }
    }

    /// Appends a binding with these result types to the open block that fits it.
    fn append(&mut self, rhs: Rhs, types: impl IntoIterator<Item = Type>) -> SmallVec<[ValueId; 1]> {
        let effects = super::effects_of(self.ops, &self.module.definitions, &self.function, &rhs);
        let control = matches!(rhs, Rhs::If { .. } | Rhs::While { .. });
        let kind = match effects.allowed_in_dataflow() && !control {
            true => BlockKind::Dataflow,
            false => BlockKind::Effect,
        };
        let block = self.block(kind);
        rhs.visit_operands(&mut |it| self.touch(it, Some(block)));
        let source = self.source.clone();
        let binding = self.function.bindings.alloc(Binding { results: SmallVec::new(), rhs, source });
        self.home.insert(binding, block);
        let results: SmallVec<[ValueId; 1]> = types
            .into_iter()
            .enumerate()
            .map(|(i, ty)| {
                let scope = if kind == BlockKind::Dataflow { Scope::BlockLocal } else { Scope::Region };
                let def = ValueDef::Result(binding, i as u32);
                self.function.values.alloc(Value { ty, def, scope, name: None })
            })
            .collect();
        self.function.bindings[binding].results.clone_from(&results);
        self.function.blocks[block].order.push(binding);
        results
    }

    fn infer(&mut self, rhs: &Rhs) -> Result<Inferred, Diagnostic> {
        let env = InferEnv {
            ops: self.ops,
            constants: &self.module.constants,
            signatures: &self.module.definitions,
        };
        let values = &self.function.values;
        let inferred = infer(env, &mut self.module.shapes, rhs, &|it| values[it].ty.clone());
        inferred.map(Option::unwrap_or_default).map_err(|it| self.located(it))
    }

    /// Infers, emits the checks that inference asks for, and appends; constants replace known results.
    fn push(&mut self, rhs: Rhs) -> Result<Vec<ValueId>, Diagnostic> {
        let Inferred { mut results, requirements, facts } = self.infer(&rhs)?;
        if let Rhs::Op { op, attrs, args } = &rhs
            && let Some(known) = args.iter().map(|it| self.data_of(*it).cloned()).collect::<Option<Vec<_>>>()
            && let Some(outlines) = Outline::all(&self.module.shapes, &results)
            && let Some(data) = self.fold(&OnConstants { op: *op, attrs, args: &known, results: &outlines })
        {
            return Ok(data.into_iter().map(|it| self.add_constant("", it)).collect());
        }
        for requirement in requirements {
            self.require(requirement)?;
        }
        if calls_function(&self.module.definitions, &rhs) {
            self.rename_unbound(&mut results)?;
        }
        let foldable = matches!(&rhs, Rhs::Op { op, .. } if self.ops.def(*op).effects.allowed_in_dataflow());
        let constants: Vec<_> = match foldable {
            true => results.iter().map(|ty| ty.as_tensor()?.constant_data(&self.module.shapes)).collect(),
            false => vec![None; results.len()],
        };
        if !constants.is_empty() && constants.iter().all(Option::is_some) {
            return Ok(constants.into_iter().flatten().map(|data| self.add_constant("", data)).collect());
        }
        results.iter().for_each(|ty| self.bind_symbols(ty));
        let values = self.append(rhs, results);
        for fact in facts {
            // It follows from what the operator means: nothing that is known contradicts it.
            let _ = self.module.shapes.assume(fact);
        }
        let replaced = values.into_iter().zip(constants).map(|(value, data)| match data {
            Some(data) => self.add_constant("", data),
            None => value,
        });
        Ok(replaced.collect())
    }

    /// Symbols of a callee's results that its parameters do not bind are fresh for every call.
    fn rename_unbound(&mut self, results: &mut [Type]) -> Result<(), Diagnostic> {
        let mut map = IndexMap::new();
        // Items bind no symbol: what the callee knows of theirs is not known here.
        let shapes = &self.module.shapes;
        let mut news: IndexSet<Sym> = IndexSet::new();
        results.iter().for_each(|ty| {
            bound_symbols(shapes, ty, &mut |it| {
                news.insert(it);
            });
        });
        let kept = |shapes: &ShapeCx, dim| {
            shapes.free_symbols(dim).iter().all(|it| self.bound.contains(it) || news.contains(it))
        };
        for ty in results.iter_mut() {
            *ty = forget_items(shapes, ty, &kept);
        }
        for ty in results {
            let mut unbound = Vec::new();
            visit_dims(ty, &mut |dim| unbound.extend(self.module.shapes.free_symbols(dim)));
            for sym in unbound {
                if !self.bound.contains(&sym) && !map.contains_key(&sym) {
                    let hint = self.module.shapes.name(sym).to_owned();
                    map.insert(sym, self.module.shapes.fresh(&hint));
                }
            }
            let shapes = &mut self.module.shapes;
            *ty = map_dims(ty, &mut |dim| shapes.substitute(dim, &map)).map_err(|_| {
                Diagnostic::error("S002", "the size of a dimension overflows 64-bit integers")
            })?;
        }
        Ok(())
    }

    fn push_one(&mut self, rhs: Rhs) -> Result<ValueId, Diagnostic> {
        let results = self.push(rhs)?;
        Ok(*results.first().expect("a right-hand side that has one result"))
    }

    fn require(&mut self, requirement: Requirement) -> Result<(), Diagnostic> {
        let Requirement { constraint, message } = requirement;
        if self.module.shapes.prove(constraint).is_always() {
            return Ok(());
        }
        if let Err(contradiction) = self.module.shapes.assume(constraint) {
            let diagnostic = Diagnostic::error("S001", message).note(contradiction.to_string());
            return Err(self.located(diagnostic));
        }
        self.append(Rhs::Check { constraint, message }, []);
        Ok(())
    }
}
