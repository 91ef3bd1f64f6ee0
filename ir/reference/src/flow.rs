//! Evaluation of the dataflow-block IR.

use crate::checks::{check_constraint, from_data, of_rank};
use crate::error::{EvalError, EvalErrorKind, EvalResult};
use crate::kernel::{Host, eval_dim, eval_kernel_values};
use crate::value::Value;
use crate::{eval_cost, eval_op};
use la_arena::ArenaMap;
use orogen_ir::flow::{Binding, Definition, Function, Module, RegionId, Rhs, ValueId};
use orogen_ir::ops::{OpRegistry, Outline, StructureOp};
use orogen_ir::shape::{Dim, Env, ShapeCx};
use orogen_ir::types::{DType, ShapeInfo, TensorData, Type};
use structure::eval_structure;

/// The most iterations of one `While`, so that a loop that never ends is an error.
const MAX_ITERATIONS: u64 = 1 << 24;
/// The deepest chain of calls.
const MAX_CALLS: u32 = 64;

/// Evaluates a function of a module.
///
/// Symbols are bound by parameter types, `match_cast` and results of control flow; every recorded type is
/// checked against the value, its known elements included. There is no function of a host.
pub fn eval_function(
    ops: &OpRegistry,
    module: &Module,
    name: &str,
    args: &[Value],
) -> Result<Vec<Value>, EvalError> {
    eval_function_with(&Host::new(), ops, module, name, args)
}

/// [`eval_function`] with functions of a host.
///
/// # Errors
/// As [`eval_function`], and what the host reports.
pub fn eval_function_with(
    host: &Host<'_>,
    ops: &OpRegistry,
    module: &Module,
    name: &str,
    args: &[Value],
) -> Result<Vec<Value>, EvalError> {
    let results = call(World { ops, host, module }, name, args, 0)?;
    match module.function(name) {
        Some(function) => ranked(function, results),
        None => Ok(results),
    }
}

/// The results that a caller sees: outputs with as many dimensions as their ranks say.
fn ranked(function: &Function, results: Vec<Value>) -> EvalResult<Vec<Value>> {
    let mut seen: Vec<Value> = Vec::new();
    for (output, value) in function.outputs().iter().zip(results) {
        if !output.gives_rank {
            seen.push(value);
            continue;
        }
        let of = seen.pop().ok_or_else(|| EvalError::invalid("a rank of nothing"))?;
        let (of, rank) = (of.tensor()?, value.tensor()?);
        seen.push(Value::Tensor(of_rank(of, rank.get_i64(0))?));
    }
    Ok(seen)
}

/// What all calls of an evaluation see.
#[derive(Clone, Copy)]
struct World<'a> {
    ops: &'a OpRegistry,
    host: &'a Host<'a>,
    module: &'a Module,
}

fn call(world: World<'_>, name: &str, args: &[Value], depth: u32) -> EvalResult<Vec<Value>> {
    let World { ops, host, module } = world;
    let Some(function) = module.function(name) else {
        return Err(EvalError::invalid(format!("function `{name}` does not exist")));
    };
    if depth > MAX_CALLS {
        return Err(EvalError::invalid("functions call each other without end"));
    }
    let params = function.params();
    // What a caller from outside leaves out at the end takes its default.
    let left_out = params.iter().skip(args.len()).filter(|_| depth == 0).filter_map(|it| it.default);
    let defaults = left_out.filter(|it| module.constants.contains(*it));
    let defaults = defaults.map(|it| Value::Tensor(module.constants.data(it).clone()));
    let args: Vec<Value> = args.iter().cloned().chain(defaults).collect();
    if params.len() != args.len() {
        return Err(EvalError::invalid(format!("`{name}` has {} parameters", params.len())));
    }
    let mut frame =
        Frame { ops, host, module, function, values: ArenaMap::default(), env: Env::new(), depth };
    for (param, arg) in params.iter().zip(args) {
        let place = |it: EvalError| it.within(format!("parameter `{}`", param.name));
        frame.bind(param.value, arg).map_err(place)?;
    }
    frame.region(function.body()).map_err(|it| it.within(format!("function `{name}`")))
}

/// One call of one function.
struct Frame<'a> {
    ops: &'a OpRegistry,
    host: &'a Host<'a>,
    module: &'a Module,
    function: &'a Function,
    values: ArenaMap<ValueId, Value>,
    env: Env,
    depth: u32,
}

impl Frame<'_> {
    fn value(&self, id: ValueId) -> EvalResult<&Value> {
        self.values.get(id).ok_or_else(|| {
            EvalError::invalid(format!("value {} is used before it is defined", id.into_raw().into_u32()))
        })
    }

    fn values_of(&self, ids: &[ValueId]) -> EvalResult<Vec<Value>> {
        ids.iter().map(|it| self.value(*it).cloned()).collect()
    }

    fn tensors_of(&self, ids: &[ValueId]) -> EvalResult<Vec<TensorData>> {
        ids.iter().map(|it| self.value(*it)?.tensor().cloned()).collect()
    }

    /// Defines a value; its type must fit and binds symbols that are not bound yet.
    fn bind(&mut self, id: ValueId, value: Value) -> EvalResult<()> {
        let ty = &self.function[id].ty;
        match_type(&self.module.shapes, &mut self.env, &value, ty)?;
        self.values.insert(id, value);
        Ok(())
    }

    /// Runs a region whose parameters are defined. Symbols that it binds end with it.
    fn region(&mut self, id: RegionId) -> EvalResult<Vec<Value>> {
        let outside = self.env.clone();
        let region = &self.function[id];
        for block in &region.blocks {
            for binding in &self.function[*block].order {
                let binding = &self.function[*binding];
                self.binding(binding).map_err(|it| match binding.source.is_empty() {
                    true => it,
                    false => it.within(binding.source.to_string()),
                })?;
            }
        }
        self.env = outside;
        self.values_of(&region.results)
    }

    fn binding(&mut self, binding: &Binding) -> EvalResult<()> {
        self.spend(binding)?;
        let results = self.rhs(&binding.rhs)?;
        if results.len() != binding.results.len() {
            return Err(EvalError::invalid(format!(
                "{} results where {} are defined",
                results.len(),
                binding.results.len()
            )));
        }
        for (id, value) in binding.results.iter().zip(results) {
            self.bind(*id, value)?;
        }
        Ok(())
    }

    /// Takes what an operation costs, as far as the sizes of its results can be said before it runs.
    fn spend(&self, binding: &Binding) -> EvalResult<()> {
        let Rhs::Op { op, attrs, args } = &binding.rhs else { return self.host.fuel.take(1) };
        if StructureOp::of(self.ops.def(*op)).is_some() {
            // The reference copies what it changes.
            let items = |it: &ValueId| match self.values.get(*it) {
                Some(Value::Sequence(items)) => items.len() as u64,
                _ => 1,
            };
            return self.host.fuel.take(args.iter().map(items).sum::<u64>().max(1));
        }
        let extent = |dim: &Dim| u64::try_from(self.dim(*dim).ok()?).ok();
        let results: Option<Vec<Outline>> = binding
            .results
            .iter()
            .map(|it| {
                let ty = self.function[*it].ty.as_tensor()?;
                let dims = ty.dims().and_then(|it| it.iter().map(extent).collect());
                Some(Outline { dtype: ty.dtype, dims })
            })
            .collect();
        let args = self.tensors_of(args)?;
        let cost = results.and_then(|it| eval_cost(self.ops.def(*op).name, attrs, &args, &it));
        let operands = args.iter().fold(1, |sum: u64, it| sum.saturating_add(it.len() as u64));
        self.host.fuel.take(cost.map_or(operands, |it| it.operations.max(1)))
    }

    fn rhs(&mut self, rhs: &Rhs) -> EvalResult<Vec<Value>> {
        let tensors = |list: Vec<TensorData>| list.into_iter().map(Value::Tensor).collect();
        Ok(match rhs {
            Rhs::Op { op, attrs, args } => match StructureOp::of(self.ops.def(*op)) {
                Some(structure) => vec![eval_structure(structure, &self.values_of(args)?)?],
                None => tensors(eval_op(self.ops, *op, attrs, &self.tensors_of(args)?)?),
            },
            Rhs::Constant(id) if self.module.constants.contains(*id) => {
                vec![Value::Tensor(self.module.constants.data(*id).clone())]
            }
            Rhs::Constant(id) => return Err(EvalError::invalid(format!("constant {id} does not exist"))),
            Rhs::Call { callee, args, sizes } => match self.module.definitions().get(callee) {
                Some(Definition::Kernel(kernel)) => {
                    let sizes: Vec<i64> = sizes.iter().map(|it| self.dim(*it)).collect::<EvalResult<_>>()?;
                    eval_kernel_values(self.host, kernel, &sizes, &self.values_of(args)?)?
                }
                _ => {
                    let world = World { ops: self.ops, host: self.host, module: self.module };
                    call(world, callee, &self.values_of(args)?, self.depth + 1)?
                }
            },
            Rhs::View { value, ty } => {
                let dims = ty.as_tensor().and_then(|it| it.dims());
                let dims = dims.ok_or_else(|| EvalError::invalid("the shape of a view is not known"))?;
                let dims = dims.iter().map(|it| {
                    let value = self.dim(*it)?;
                    u64::try_from(value).map_err(|_| EvalError::out_of_range(format!("{value} is no size")))
                });
                let dims = dims.collect::<EvalResult<Vec<u64>>>()?;
                let viewed = self.value(*value)?.tensor()?.reshaped(dims);
                vec![Value::Tensor(viewed.map_err(|it| EvalError::invalid(it.to_string()))?)]
            }
            Rhs::MatchCast { value, ty } => {
                let value = self.value(*value)?.clone();
                match_type(&self.module.shapes, &mut self.env, &value, ty)?;
                vec![value]
            }
            Rhs::Check { constraint, message } => {
                check_constraint(&self.module.shapes, &self.env, constraint, message)?;
                Vec::new()
            }
            Rhs::Tuple(items) => vec![Value::Tuple(self.values_of(items)?)],
            Rhs::Get { tuple, index } => match self.value(*tuple)? {
                Value::Tuple(items) => {
                    let item = items.get(*index as usize).cloned();
                    vec![item.ok_or_else(|| EvalError::invalid(format!("the tuple has no element {index}")))?]
                }
                _ => return Err(EvalError::invalid("only a tuple has elements to get")),
            },
            Rhs::If { cond, then_region, else_region } => {
                let taken = truth(self.value(*cond)?)?;
                self.region(if taken { *then_region } else { *else_region })?
            }
            Rhs::While { init, cond, body } => self.repeat(init, *cond, *body)?,
        })
    }

    fn repeat(&mut self, init: &[ValueId], cond: RegionId, body: RegionId) -> EvalResult<Vec<Value>> {
        let mut carried = self.values_of(init)?;
        for _ in 0..MAX_ITERATIONS {
            self.host.fuel.take(1)?;
            let results = self.with_params(cond, &carried)?;
            let [go_on] = &results[..] else {
                return Err(EvalError::invalid("a loop condition returns one value"));
            };
            if !truth(go_on)? {
                return Ok(carried);
            }
            carried = self.with_params(body, &carried)?;
        }
        Err(EvalError::out_of_range("a loop does not end"))
    }

    fn with_params(&mut self, region: RegionId, args: &[Value]) -> EvalResult<Vec<Value>> {
        let params = &self.function[region].params;
        if params.len() != args.len() {
            return Err(EvalError::invalid("a loop carries another number of values"));
        }
        let outside = self.env.clone();
        for (id, value) in params.iter().zip(args) {
            self.bind(*id, value.clone())?;
        }
        let results = self.region(region);
        self.env = outside;
        results
    }

    fn dim(&self, dim: Dim) -> EvalResult<i64> {
        eval_dim(&self.module.shapes, &self.env, dim)
    }
}

impl Value {
    pub(crate) fn tensor(&self) -> EvalResult<&TensorData> {
        self.as_tensor().ok_or_else(|| EvalError::invalid("another value stands where a tensor must be"))
    }
}

fn truth(value: &Value) -> EvalResult<bool> {
    let tensor = value.tensor()?;
    match (tensor.dtype(), tensor.len()) {
        (DType::Bool, 1) => Ok(tensor.get_i64(0) != 0),
        (dtype, n) => Err(EvalError::invalid(format!("a condition is {n} elements of {dtype}"))),
    }
}

/// Checks that a value has a type, and binds its symbols that have no value yet.
fn match_type(shapes: &ShapeCx, env: &mut Env, value: &Value, ty: &Type) -> EvalResult<()> {
    let mut pairs = Vec::new();
    collect(value, ty, &mut pairs)?;
    for (dim, found) in &mut pairs {
        let Some(sym) = shapes.as_sym(*dim) else { continue };
        *found = from_data(shapes, sym, *found);
        if env.get(sym).is_none() {
            env.set(sym, *found);
        }
    }
    for (dim, found) in pairs {
        let wanted = eval_dim(shapes, env, dim)?;
        if wanted != found {
            let text = format!("`{}` is {wanted} but the value has {found}", shapes.display(dim));
            return Err(EvalError::new(EvalErrorKind::CheckFailed, text));
        }
    }
    Ok(())
}

/// Pairs of an expression in the type and the number it stands for.
fn collect(value: &Value, ty: &Type, pairs: &mut Vec<(Dim, i64)>) -> EvalResult<()> {
    match (value, ty) {
        (Value::Tensor(x), Type::Tensor(ty)) => {
            if x.dtype() != ty.dtype {
                return Err(EvalError::invalid(format!(
                    "a value is {} but its type says {}",
                    x.dtype(),
                    ty.dtype
                )));
            }
            if ty.shape.rank().is_some_and(|it| it != x.dims().len()) {
                let text = format!("a value of rank {} has another rank in its type", x.dims().len());
                return Err(EvalError::new(EvalErrorKind::CheckFailed, text));
            }
            if let ShapeInfo::Known(dims) = &ty.shape {
                pairs.extend(dims.iter().copied().zip(x.dims().iter().map(|it| *it as i64)));
            }
            if let Some(elements) = &ty.elements {
                if elements.len() != x.len() {
                    return Err(EvalError::invalid("a type knows another number of elements"));
                }
                pairs.extend(elements.iter().enumerate().map(|(i, it)| (*it, x.get_i64(i))));
            }
            Ok(())
        }
        (Value::Tuple(items), Type::Tuple(types)) if items.len() == types.len() => {
            items.iter().zip(types).try_for_each(|(item, ty)| collect(item, ty, pairs))
        }
        (_, Type::Object) => Ok(()),
        (Value::Sequence(items), Type::Sequence(ty)) => {
            items.iter().try_for_each(|item| collect(item, ty, pairs))
        }
        (Value::Sequence(parts), Type::Map(keys, values)) if parts.len() == 2 => {
            collect(&parts[0], keys, pairs)?;
            collect(&parts[1], values, pairs)
        }
        (Value::None, Type::Optional(_)) | (Value::Str(_), Type::String) => Ok(()),
        (value, Type::Optional(ty)) => collect(value, ty, pairs),
        _ => Err(EvalError::unsupported("a value of this type has no reference evaluation")),
    }
}

mod structure;
#[cfg(test)]
mod tests;
