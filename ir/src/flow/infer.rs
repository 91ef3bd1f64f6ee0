//! Result types and effects of right-hand sides.

use super::{Definition, Function, Module, RegionId, Rhs, ValueId};
use crate::diag::Diagnostic;
use crate::kernel::{Kernel, ParamTypeRef};
use crate::ops::{InferCx, OpRegistry, Requirement};
use crate::shape::{Constraint, Dim, ShapeCx, Sym};
use crate::text::type_text;
use crate::types::{ConstPool, Effects, FunctionType, TensorType, Type, implies, map_dims, match_type};
use indexmap::IndexMap;
use smallvec::{SmallVec, smallvec};
use std::convert::Infallible;

/// What inference finds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inferred {
    /// Result types.
    pub results: SmallVec<[Type; 1]>,
    /// What must be checked at run time for them to hold.
    pub requirements: Vec<Requirement>,
    /// What holds of the result types' fresh symbols.
    pub facts: Vec<Constraint>,
}

/// What inference reads besides the function.
#[derive(Clone, Copy)]
pub struct InferEnv<'a> {
    /// The operators.
    pub ops: &'a OpRegistry,
    /// The constants.
    pub constants: &'a ConstPool,
    /// What calls may name.
    pub signatures: &'a dyn Signatures,
}

/// Types of what a call may name.
pub trait Signatures {
    /// The type of the function.
    fn function(&self, name: &str) -> Option<FunctionType>;
    /// The kernel.
    fn kernel(&self, name: &str) -> Option<&Kernel>;
}

impl Signatures for IndexMap<String, Definition> {
    fn function(&self, name: &str) -> Option<FunctionType> {
        match self.get(name)? {
            Definition::Function(it) => Some(it.signature()),
            Definition::Kernel(_) => None,
        }
    }

    fn kernel(&self, name: &str) -> Option<&Kernel> {
        match self.get(name)? {
            Definition::Kernel(it) => Some(it),
            Definition::Function(_) => None,
        }
    }
}

impl Function {
    /// The type of the function.
    pub fn signature(&self) -> FunctionType {
        FunctionType {
            params: self.params.iter().map(|it| self.values[it.value].ty.clone()).collect(),
            results: self.regions[self.body].results.iter().map(|it| self.values[*it].ty.clone()).collect(),
            effects: self.effects,
        }
    }
}

/// Infers the results of a right-hand side that is no control flow.
///
/// `If` and `While` have the types that their binding records (law F11), so there is nothing to infer: `None`.
/// Symbols of a callee that its parameters do not bind appear in the results as they are; sizes that only data decide
/// are fresh symbols.
pub fn infer(
    env: InferEnv<'_>,
    shapes: &mut ShapeCx,
    rhs: &Rhs,
    type_of: &dyn Fn(ValueId) -> Type,
) -> Result<Option<Inferred>, Diagnostic> {
    let types = |args: &[ValueId]| args.iter().map(|it| type_of(*it)).collect::<Vec<_>>();
    let results: SmallVec<[Type; 1]> = match rhs {
        Rhs::If { .. } | Rhs::While { .. } => return Ok(None),
        Rhs::Op { op, attrs, args } => {
            let args = types(args);
            let mut cx = InferCx::new(shapes, attrs, &args);
            let results = env.ops.infer(*op, &mut cx)?;
            return Ok(Some(Inferred { results, requirements: cx.requirements, facts: cx.facts }));
        }
        Rhs::Constant(id) if env.constants.contains(*id) => {
            smallvec![Type::Tensor(TensorType::of_constant(shapes, env.constants.data(*id)))]
        }
        Rhs::Constant(id) => return Err(Diagnostic::error("B020", format!("there is no constant {id}"))),
        Rhs::Call { callee, args, sizes } => match env.signatures.kernel(callee) {
            Some(kernel) => kernel_results(shapes, kernel, callee, &types(args), sizes)?,
            None => {
                let ty = env.signatures.function(callee).ok_or_else(|| {
                    Diagnostic::error("B023", format!("the module defines no function or kernel `{callee}`"))
                })?;
                if !sizes.is_empty() {
                    let message = format!("`@{callee}` is a function and takes no sizes");
                    return Err(Diagnostic::error("B026", message));
                }
                call_results(shapes, &ty, callee, &types(args))?
            }
        },
        Rhs::MatchCast { ty, .. } | Rhs::View { ty, .. } => smallvec![ty.clone()],
        Rhs::Check { .. } => SmallVec::new(),
        Rhs::Tuple(items) => smallvec![Type::Tuple(types(items))],
        Rhs::Get { tuple, index } => match type_of(*tuple) {
            Type::Tuple(mut items) if (*index as usize) < items.len() => {
                smallvec![items.swap_remove(*index as usize)]
            }
            Type::Tuple(items) => {
                let message = format!("element {index} of a tuple of {}", items.len());
                return Err(Diagnostic::error("B021", message));
            }
            _ => return Err(Diagnostic::error("B022", "the operand of `get` is no tuple")),
        },
    };
    Ok(Some(Inferred { results, requirements: Vec::new(), facts: Vec::new() }))
}

fn call_results(
    shapes: &mut ShapeCx,
    ty: &FunctionType,
    callee: &str,
    args: &[Type],
) -> Result<SmallVec<[Type; 1]>, Diagnostic> {
    if args.len() != ty.params.len() {
        let message = format!("`@{callee}` takes {} arguments but has {}", ty.params.len(), args.len());
        return Err(Diagnostic::error("B024", message));
    }
    let mut map = IndexMap::new();
    for (i, (formal, actual)) in ty.params.iter().zip(args).enumerate() {
        if !match_type(shapes, formal, actual, &mut map) {
            let (formal, actual) = (type_text(shapes, formal), type_text(shapes, actual));
            let message = format!("argument {i} of `@{callee}` is `{actual}` but must be `{formal}`");
            return Err(Diagnostic::error("B025", message).help("assert the type with `match_cast` before"));
        }
    }
    substitute_all(shapes, &ty.results, &map)
}

fn substitute_all(
    shapes: &mut ShapeCx,
    types: &[Type],
    map: &IndexMap<Sym, Dim>,
) -> Result<SmallVec<[Type; 1]>, Diagnostic> {
    types
        .iter()
        .map(|ty| map_dims(ty, &mut |dim| shapes.substitute(dim, map)))
        .collect::<Result<_, _>>()
        .map_err(|_| Diagnostic::error("S002", "the size of a dimension overflows 64-bit integers"))
}

/// Checks the arguments of a kernel against its buffers and returns the types of those that it writes (law F9).
fn kernel_results(
    shapes: &mut ShapeCx,
    kernel: &Kernel,
    callee: &str,
    args: &[Type],
    sizes: &[Dim],
) -> Result<SmallVec<[Type; 1]>, Diagnostic> {
    if sizes.len() != kernel.sizes().len() {
        let message = format!("`@{callee}` takes {} sizes but has {}", kernel.sizes().len(), sizes.len());
        return Err(Diagnostic::error("B026", message));
    }
    let inputs = kernel.params().filter(|it| it.access.reads()).count();
    if args.len() != inputs {
        let message = format!("`@{callee}` takes {inputs} buffers but has {}", args.len());
        return Err(Diagnostic::error("B024", message));
    }
    let mut results = SmallVec::new();
    let mut args = args.iter().enumerate();
    for (i, param) in kernel.params().enumerate() {
        let dims = kernel
            .dims_at(i, sizes, shapes)
            .map_err(|_| Diagnostic::error("S002", "the size of a dimension overflows 64-bit integers"))?;
        let ty = match param.ty {
            ParamTypeRef::Buffer(dtype, _) => Type::tensor(dtype, dims),
            // Its dimensions are numbers.
            ParamTypeRef::Object(ty) => {
                map_dims(ty, &mut |dim| Ok::<Dim, Infallible>(shapes.import(kernel.shapes(), dim)))
                    .unwrap_or_else(|never| match never {})
            }
        };
        if param.access.reads()
            && let Some((i, actual)) = args.next()
            && !implies(shapes, actual, &ty)
        {
            let (formal, actual) = (type_text(shapes, &ty), type_text(shapes, actual));
            let message = format!("buffer {i} of `@{callee}` is `{actual}` but must be `{formal}`");
            return Err(Diagnostic::error("B025", message));
        }
        if param.access.writes() {
            results.push(ty);
        }
    }
    Ok(results)
}

impl Module {
    /// What a right-hand side of `function` may do besides computing, nested regions included.
    pub fn effects_of(&self, ops: &OpRegistry, function: &Function, rhs: &Rhs) -> Effects {
        effects_of(ops, &self.definitions, function, rhs)
    }
}

impl Definition {
    /// What a call of it may do besides computing.
    pub fn effects(&self) -> Effects {
        match self {
            Definition::Function(it) => it.effects,
            Definition::Kernel(it) => it.effects(),
        }
    }
}

/// Whether a right-hand side calls a function, whose results may have symbols that nothing before binds. The sizes of
/// what a kernel writes are all given by the caller.
pub(super) fn calls_function(definitions: &IndexMap<String, Definition>, rhs: &Rhs) -> bool {
    matches!(rhs, Rhs::Call { callee, .. } if matches!(definitions.get(callee), Some(Definition::Function(_))))
}

/// As [`Module::effects_of`], for a function that is not in the module (yet).
pub fn effects_of(
    ops: &OpRegistry,
    definitions: &IndexMap<String, Definition>,
    function: &Function,
    rhs: &Rhs,
) -> Effects {
    let region = |id: RegionId| region_effects(ops, definitions, function, id);
    match rhs {
        Rhs::Op { op, .. } => ops.def(*op).effects,
        Rhs::Call { callee, .. } => definitions.get(callee).map_or(Effects::PURE, Definition::effects),
        Rhs::MatchCast { .. } | Rhs::Check { .. } => Effects::ABORT,
        Rhs::Constant(_) | Rhs::View { .. } | Rhs::Tuple(_) | Rhs::Get { .. } => Effects::PURE,
        Rhs::If { then_region, else_region, .. } => region(*then_region) | region(*else_region),
        Rhs::While { cond, body, .. } => region(*cond) | region(*body),
    }
}

/// What the ordered bindings of a region may do.
pub fn region_effects(
    ops: &OpRegistry,
    definitions: &IndexMap<String, Definition>,
    function: &Function,
    region: RegionId,
) -> Effects {
    let blocks = function.regions[region].blocks.iter();
    let bindings = blocks.flat_map(|block| &function.blocks[*block].order);
    bindings.fold(Effects::PURE, |effects, binding| {
        effects | effects_of(ops, definitions, function, &function.bindings[*binding].rhs)
    })
}
