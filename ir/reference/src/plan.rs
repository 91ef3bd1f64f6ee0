//! Evaluation of call plans, on real memory: a wrong offset or two slots that overlap give wrong results here too.

use crate::checks::{check_constraint, constraint_holds, from_data, of_rank};
use crate::error::{EvalError, EvalErrorKind, EvalResult};
use crate::kernel::eval_dim;
use crate::kernel::{self, Host};
use crate::memory::{Memory, Place};
use crate::scalar;
use crate::value::Value;
use indexmap::IndexMap;
use objects::Held;
use orogen_ir::plan::{
    Arg, BufferRef, CallPlan, Condition, FunctionId, InputKind, MAX_CALLS, ObjectId, OutputKind, PlanInput,
    PlanModule, PlanOutput, ResultBinding, Step,
};
use orogen_ir::shape::{Dim, Env};
use orogen_ir::types::{ConstId, DType, TensorData};

/// The most iterations of one loop, so that one that never ends is an error.
const MAX_ITERATIONS: u64 = 1 << 24;

/// Runs a call plan: one tensor for each of its inputs, in order; the result is one for each output.
///
/// Steps run one after the other on byte buffers. Reading memory that no step wrote is an error; so is a write to
/// an input or a constant. There is no function of a host.
pub fn eval_plan(plan: &CallPlan, inputs: &[TensorData]) -> Result<Vec<TensorData>, EvalError> {
    eval_plan_with(&Host::new(), plan, inputs)
}

/// [`eval_plan`] with functions of a host.
///
/// # Errors
/// As [`eval_plan`], and what the host reports.
pub fn eval_plan_with(
    host: &Host<'_>,
    plan: &CallPlan,
    inputs: &[TensorData],
) -> Result<Vec<TensorData>, EvalError> {
    tensors(run(host, &[], plan, &values(inputs), 0)?)
}

/// Runs the function `name` of a module of plans: as [`eval_plan`], and functions may call each other.
///
/// # Errors
/// As [`eval_plan`], and when there is no such function.
pub fn eval_plans(
    module: &PlanModule,
    name: &str,
    inputs: &[TensorData],
) -> Result<Vec<TensorData>, EvalError> {
    eval_plans_with(&Host::new(), module, name, inputs)
}

/// [`eval_plans`] with functions of a host.
///
/// # Errors
/// As [`eval_plans`], and what the host reports.
pub fn eval_plans_with(
    host: &Host<'_>,
    module: &PlanModule,
    name: &str,
    inputs: &[TensorData],
) -> Result<Vec<TensorData>, EvalError> {
    let plan = module.function(name);
    let plan = plan.ok_or_else(|| EvalError::invalid(format!("function `{name}` does not exist")))?;
    tensors(run(host, &module.functions, plan, &values(inputs), 0)?)
}

/// Runs the function `name` of a module of plans on values of any kind.
///
/// # Errors
/// As [`eval_plans_with`].
pub fn eval_plan_values(
    host: &Host<'_>,
    module: &PlanModule,
    name: &str,
    inputs: &[Value],
) -> Result<Vec<Value>, EvalError> {
    let plan = module.function(name);
    let plan = plan.ok_or_else(|| EvalError::invalid(format!("function `{name}` does not exist")))?;
    run(host, &module.functions, plan, inputs, 0)
}

fn values(tensors: &[TensorData]) -> Vec<Value> {
    tensors.iter().cloned().map(Value::Tensor).collect()
}

fn tensors(values: Vec<Value>) -> EvalResult<Vec<TensorData>> {
    let tensor = |it| match it {
        Value::Tensor(it) => Ok(it),
        _ => Err(EvalError::invalid("an output is no tensor: ask for values")),
    };
    values.into_iter().map(tensor).collect()
}

/// One call; `depth` calls are around it.
fn run(
    host: &Host<'_>,
    functions: &[CallPlan],
    plan: &CallPlan,
    inputs: &[Value],
    depth: usize,
) -> Result<Vec<Value>, EvalError> {
    if depth > MAX_CALLS {
        return Err(EvalError::invalid("functions call each other without end"));
    }
    let mut machine = Machine {
        plan,
        functions,
        depth,
        objects: vec![None; plan.objects.len()],
        host,
        env: Env::new(),
        memory: Memory::default(),
        inputs: Vec::new(),
        constants: IndexMap::new(),
        arenas: vec![None; plan.arenas.len()],
        outputs: vec![None; plan.outputs.len()],
    };
    let place = |it: EvalError| it.within(format!("plan `{}`", plan.name));
    machine.enter(inputs).map_err(place)?;
    machine.steps(&plan.steps).map_err(place)?;
    let outputs = (0..).zip(&plan.outputs).map(|(i, output)| {
        let result = machine.output(i, output);
        result.map_err(|it| it.within(format!("output `{}`", output.name)))
    });
    outputs.collect()
}

struct Machine<'a> {
    plan: &'a CallPlan,
    functions: &'a [CallPlan],
    depth: usize,
    /// What is in object places.
    objects: Vec<Option<Held>>,
    host: &'a Host<'a>,
    env: Env,
    memory: Memory,
    inputs: Vec<Option<Place>>,
    constants: IndexMap<ConstId, Place>,
    arenas: Vec<Option<Place>>,
    /// Memory, dimensions and rank of the outputs that exist.
    outputs: Vec<Option<(Place, Vec<u64>, Option<i64>)>>,
}

impl Machine<'_> {
    /// Holds the inputs, binds their symbols, and runs the entry checks.
    fn enter(&mut self, inputs: &[Value]) -> EvalResult<()> {
        let plan = self.plan;
        if inputs.len() < plan.required() || inputs.len() > plan.inputs.len() {
            return Err(EvalError::invalid(format!("{} inputs are expected", plan.inputs.len())));
        }
        // What is left out at the end takes its default.
        let left_out = plan.inputs.iter().skip(inputs.len()).filter_map(PlanInput::default_value);
        let defaults = left_out.map(|it| match plan.constants.contains(it) {
            true => Ok(Value::Tensor(plan.constants.data(it).clone())),
            false => Err(missing("constant")),
        });
        let inputs: Vec<Value> = inputs.iter().cloned().map(Ok).chain(defaults).collect::<EvalResult<_>>()?;
        let inputs = &inputs[..];
        for (wanted, found) in plan.inputs.iter().zip(inputs) {
            let place = match (&wanted.kind, found) {
                (InputKind::Tensor(kind), Value::Tensor(found))
                    if kind.dtype == found.dtype() && kind.dims.len() == found.dims().len() =>
                {
                    Some(self.memory.hold(found))
                }
                (InputKind::Object(id), value) => {
                    self.put(*id, value.clone(), &[]).map_err(|it| it.within(wanted.name.clone()))?;
                    None
                }
                _ => return Err(wrong_input(wanted, found)),
            };
            self.inputs.push(place);
        }
        for binding in &plan.bindings {
            let input = inputs.get(binding.input as usize).and_then(Value::as_tensor);
            let dim = input.and_then(|it| it.dims().get(binding.axis as usize));
            let dim =
                dim.ok_or_else(|| EvalError::invalid("a size is bound to a dimension that does not exist"))?;
            self.env.set(binding.symbol, *dim as i64);
        }
        for (wanted, found) in plan.inputs.iter().zip(inputs) {
            let dims = found.as_tensor().map_or(&[][..], TensorData::dims);
            for (wanted_dim, dim) in wanted.dims().iter().zip(dims) {
                if self.dim(*wanted_dim)? != *dim as i64 {
                    return Err(wrong_input(wanted, found));
                }
            }
        }
        for check in &plan.checks {
            check_constraint(&plan.shapes, &self.env, &check.constraint, &check.sentence())?;
        }
        Ok(())
    }

    fn dim(&self, dim: Dim) -> EvalResult<i64> {
        eval_dim(&self.plan.shapes, &self.env, dim)
    }

    fn sizes(&self, dims: &[Dim]) -> EvalResult<Vec<u64>> {
        let size = |it: &Dim| {
            let value = self.dim(*it)?;
            u64::try_from(value).map_err(|_| EvalError::out_of_range(format!("{value} is no size")))
        };
        dims.iter().map(size).collect()
    }

    fn bytes(&self, dim: Dim) -> EvalResult<usize> {
        let value = self.dim(dim)?;
        usize::try_from(value).map_err(|_| EvalError::out_of_range(format!("{value} is no size in bytes")))
    }

    fn place(&mut self, buffer: BufferRef) -> EvalResult<Place> {
        match buffer {
            BufferRef::Input(i) => {
                self.inputs.get(i as usize).copied().flatten().ok_or_else(|| missing("input"))
            }
            BufferRef::Output(i) => {
                let made = self.outputs.get(i as usize).and_then(|it| it.as_ref());
                made.map(|it| it.0).ok_or_else(|| missing("output"))
            }
            BufferRef::Object(id) => match self.objects.get(id.0 as usize) {
                Some(Some(Held::Tensor { place, .. })) => Ok(*place),
                _ => Err(missing("tensor object")),
            },
            BufferRef::Constant(id) => {
                if !self.plan.constants.contains(id) {
                    return Err(missing("constant"));
                }
                let memory = &mut self.memory;
                let data = self.plan.constants.data(id);
                Ok(*self.constants.entry(id).or_insert_with(|| memory.hold(data)))
            }
            BufferRef::Slot(id) => {
                let slot = self.plan.slots.get(id.0 as usize).ok_or_else(|| missing("slot"))?;
                let arena = self.arenas.get(slot.arena.0 as usize).copied().flatten();
                let arena = arena.ok_or_else(|| missing("arena"))?;
                let offset = self.bytes(slot.offset)?;
                let bytes = TensorData::unpacked_count(slot.dtype, &self.sizes(&slot.dims)?);
                let bytes = bytes.ok_or_else(EvalError::too_large)?;
                match offset.checked_add(bytes) {
                    Some(end) if end <= arena.bytes => {
                        Ok(Place { block: arena.block, offset: arena.offset + offset, bytes })
                    }
                    _ => Err(EvalError::invalid(format!("slot {} does not lie in its arena", id.0))),
                }
            }
        }
    }

    fn output(&self, i: usize, output: &PlanOutput) -> EvalResult<Value> {
        let tensor = match &output.kind {
            OutputKind::Tensor(it) => it,
            OutputKind::Object(id) => return self.object_value(*id),
        };
        let Some(Some((place, dims, rank))) = self.outputs.get(i) else {
            return Err(EvalError::invalid("it is never made"));
        };
        let made = self.memory.tensor(*place, tensor.dtype, dims)?;
        Ok(Value::Tensor(match rank {
            Some(rank) => of_rank(&made, *rank)?,
            None => made,
        }))
    }

    fn target(&mut self, buffer: BufferRef) -> EvalResult<Place> {
        match buffer {
            BufferRef::Input(_) | BufferRef::Constant(_) => {
                Err(EvalError::invalid(format!("{buffer:?} is written")))
            }
            _ => self.place(buffer),
        }
    }

    fn steps(&mut self, steps: &[Step]) -> EvalResult<()> {
        steps.iter().try_for_each(|step| {
            self.step(step).map_err(|error| match step.source() {
                // The sentence of a check says it.
                Some(source) if !source.is_empty() && !matches!(step, Step::Check(_)) => {
                    error.within(source.blame())
                }
                _ => error,
            })
        })
    }

    fn step(&mut self, step: &Step) -> EvalResult<()> {
        let plan = self.plan;
        self.host.fuel.take(1)?;
        match step {
            Step::AllocArena(id) => {
                let arena = plan.arenas.get(id.0 as usize).ok_or_else(|| missing("arena"))?;
                let bytes = self.bytes(arena.bytes)?;
                let held = self.arenas[id.0 as usize];
                self.arenas[id.0 as usize] = Some(match held {
                    Some(place) if place.bytes == bytes => {
                        self.memory.forget(place);
                        place
                    }
                    _ => self.memory.allocate(bytes)?,
                });
            }
            Step::AllocOutput(i) => {
                let output = plan.outputs.get(*i as usize).and_then(PlanOutput::tensor);
                let output = output.ok_or_else(|| missing("output"))?;
                let dims = self.sizes(&output.dims)?;
                let bytes =
                    TensorData::unpacked_count(output.dtype, &dims).ok_or_else(EvalError::too_large)?;
                let rank = output.rank.map(|it| self.dim(it)).transpose()?;
                let place = match output.over {
                    Some(input) => self.place(BufferRef::Input(input))?,
                    None => self.memory.allocate(bytes)?,
                };
                self.outputs[*i as usize] = Some((place, dims, rank));
            }
            Step::Kernel { kernel, args, sizes, .. } => {
                let called = plan.kernels.get(kernel.0 as usize).ok_or_else(|| missing("kernel"))?;
                let sizes: Vec<i64> = sizes.iter().map(|it| self.dim(*it)).collect::<EvalResult<_>>()?;
                if kernel::has_objects(called) {
                    return self.call_with_objects(called, &sizes, args);
                }
                let mut places = Vec::with_capacity(args.len());
                for (param, arg) in called.params().zip(args) {
                    places.push(if param.access.writes() { self.target(*arg)? } else { self.place(*arg)? });
                }
                kernel::run_shared(self.host, called, &sizes, &mut self.memory, &places)?;
            }
            Step::Invoke { function, args, results, bindings, .. } => {
                self.invoke(*function, args, results, bindings)?;
            }
            Step::Object { op, .. } => self.object(op)?,
            Step::Move { from, to } => {
                if self.place(*from)? != self.target(*to)? {
                    return Err(EvalError::invalid("a move goes to another place"));
                }
            }
            Step::Copy { from, to, bytes } => {
                let (from, to, bytes) = (self.place(*from)?, self.target(*to)?, self.bytes(*bytes)?);
                self.host.fuel.take(bytes as u64 / 8)?;
                if (Place { bytes, ..from }).meets(Place { bytes, ..to }) {
                    return Err(EvalError::invalid("a copy overlaps itself"));
                }
                let data = self.memory.read(from, 0, bytes)?.to_vec();
                self.memory.write(to, 0, bytes)?.copy_from_slice(&data);
            }
            Step::Bind { symbol, from, dtype, element, .. } => {
                if !dtype.is_integral() {
                    return Err(EvalError::invalid(format!("a symbol is bound to {dtype}")));
                }
                let place = self.place(*from)?;
                let offset = usize::try_from(*element).ok().and_then(|it| it.checked_mul(dtype.size()));
                let offset = offset.ok_or_else(EvalError::too_large)?;
                let value = scalar::read_int(self.memory.read(place, offset, dtype.size())?, *dtype);
                self.env.set(*symbol, from_data(&plan.shapes, *symbol, value));
            }
            Step::Let { symbol, value, .. } => {
                let value = self.dim(*value)?;
                self.env.set(*symbol, value);
            }
            Step::Check(check) => {
                check_constraint(&plan.shapes, &self.env, &check.constraint, &check.sentence())?;
            }
            Step::If { cond, then_steps, else_steps } => {
                let taken = match cond {
                    Condition::Buffer(buffer) => self.truth(*buffer)?,
                    Condition::Sizes(facts) => facts.iter().try_fold(true, |all, fact| {
                        Ok(constraint_holds(&plan.shapes, &self.env, fact)? && all)
                    })?,
                };
                self.steps(if taken { then_steps } else { else_steps })?;
            }
            Step::While { cond_steps, cond, body } => {
                for round in 0.. {
                    self.host.fuel.take(1)?;
                    self.steps(cond_steps)?;
                    if !self.truth(*cond)? {
                        break;
                    }
                    if round == MAX_ITERATIONS {
                        return Err(EvalError::out_of_range("a loop does not end"));
                    }
                    self.steps(body)?;
                }
            }
        }
        Ok(())
    }

    fn invoke(
        &mut self,
        function: FunctionId,
        args: &[Arg],
        results: &[ObjectId],
        bindings: &[ResultBinding],
    ) -> EvalResult<()> {
        let functions = self.functions;
        let callee = functions.get(function.0 as usize).ok_or_else(|| missing("function"))?;
        let mut inputs = Vec::with_capacity(args.len());
        for arg in args {
            inputs.push(match arg {
                Arg::Object(id) => self.object_value(*id)?,
                Arg::View(arg) => {
                    let (place, dims) = (self.place(arg.place)?, self.sizes(&arg.dims)?);
                    let dtype = self.plan.dtype(arg.place).ok_or_else(|| missing("place"))?;
                    Value::Tensor(self.memory.tensor(place, dtype, &dims)?)
                }
            });
        }
        let outputs = run(self.host, functions, callee, &inputs, self.depth + 1)?;
        for it in bindings {
            let tensor = outputs.get(it.result as usize).and_then(Value::as_tensor);
            let size = tensor.and_then(|tensor| tensor.dims().get(it.axis as usize));
            self.env.set(it.symbol, *size.ok_or_else(|| missing("result"))? as i64);
        }
        let within = |it: EvalError| it.within(format!("a result of `{}`", callee.name));
        results.iter().zip(outputs).try_for_each(|(id, output)| self.put(*id, output, &[]).map_err(within))
    }

    fn truth(&mut self, cond: BufferRef) -> EvalResult<bool> {
        let place = self.place(cond)?;
        Ok(scalar::read_int(self.memory.read(place, 0, 1)?, DType::Bool) != 0)
    }
}

fn missing(what: &str) -> EvalError {
    EvalError::invalid(format!("there is no such {what}, or not yet"))
}

fn wrong_input(wanted: &PlanInput, found: &Value) -> EvalError {
    let found = match found {
        Value::Tensor(it) => format!("{}{:?}", it.dtype(), it.dims()),
        _ => "no tensor".to_owned(),
    };
    let message = format!("input `{}` is {found}, which does not fit its type", wanted.name);
    EvalError::new(EvalErrorKind::CheckFailed, message)
}

mod objects;
#[cfg(test)]
mod tests;
