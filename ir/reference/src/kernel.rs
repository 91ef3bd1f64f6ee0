//! Evaluation of kernels of every kind: programs, routines, functions of a host.

use crate::error::{EvalError, EvalResult};
use crate::fuel::Fuel;
use crate::memory::{Memory, Place};
use crate::program;
use crate::routines;
use crate::value::Value;
use indexmap::IndexMap;
use orogen_ir::kernel::{Kernel, ParamRef, ParamTypeRef};
use orogen_ir::shape::{Dim, Env, ShapeCx};
use orogen_ir::types::{Attrs, DType, TensorData};
use std::fmt;

/// What a function of the host computes: operands (what the kernel reads, in order) and attributes to results (what it
/// writes or makes, in order), or why there is none.
type Function<'h> = Box<dyn Fn(&[Value], &Attrs) -> Result<Vec<Value>, String> + 'h>;

/// What an evaluation gets from outside: functions that externs name, and how many steps it may take.
#[derive(Default)]
pub struct Host<'h> {
    functions: IndexMap<String, Function<'h>>,
    pub(crate) fuel: Fuel,
}

impl<'h> Host<'h> {
    /// Without any function.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more function, of tensors alone.
    #[must_use]
    pub fn with(
        self,
        symbol: &str,
        function: impl Fn(&[TensorData], &Attrs) -> Result<Vec<TensorData>, String> + 'h,
    ) -> Self {
        self.with_values(symbol, move |values, attrs| {
            let tensors: Option<Vec<TensorData>> = values.iter().map(|it| it.as_tensor().cloned()).collect();
            let results = function(&tensors.ok_or("an operand is no tensor")?, attrs)?;
            Ok(results.into_iter().map(Value::Tensor).collect())
        })
    }

    /// The same with one more function, of values of any kind.
    #[must_use]
    pub fn with_values(
        mut self,
        symbol: &str,
        function: impl Fn(&[Value], &Attrs) -> Result<Vec<Value>, String> + 'h,
    ) -> Self {
        self.functions.insert(symbol.to_owned(), Box::new(function));
        self
    }

    /// The same with a limit: all evaluations with it together may take so many steps, each about an operation on an
    /// element. What takes more ends with [`EvalErrorKind::LimitReached`](crate::EvalErrorKind::LimitReached), so that a
    /// loop without end is an answer.
    #[must_use]
    pub fn with_limit(mut self, steps: u64) -> Self {
        self.fuel = Fuel::of(steps);
        self
    }

    /// How many steps are left.
    pub fn steps_left(&self) -> u64 {
        self.fuel.left()
    }
}

impl fmt::Debug for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.functions.keys()).finish()
    }
}

/// Evaluates a kernel. `sizes` are the values of its sizes, `operands` what it reads, in order; the result is what it
/// writes, in order.
///
/// # Errors
/// As [`eval_program`](crate::eval_program); a function that the host does not have, what it reports, and results that
/// do not have the types of the kernel.
pub fn eval_kernel(
    host: &Host<'_>,
    kernel: &Kernel,
    sizes: &[i64],
    operands: &[TensorData],
) -> Result<Vec<TensorData>, EvalError> {
    let operands: Vec<Value> = operands.iter().cloned().map(Value::Tensor).collect();
    let results = eval_kernel_values(host, kernel, sizes, &operands)?;
    let tensor = |it: Value| match it {
        Value::Tensor(it) => Ok(it),
        _ => Err(EvalError::invalid(format!("`{}` gives something that is no tensor", kernel.name()))),
    };
    results.into_iter().map(tensor).collect()
}

/// As [`eval_kernel`], with values of any kind.
///
/// # Errors
/// As there.
pub fn eval_kernel_values(
    host: &Host<'_>,
    kernel: &Kernel,
    sizes: &[i64],
    operands: &[Value],
) -> Result<Vec<Value>, EvalError> {
    let within = |it: EvalError| it.within(format!("kernel `{}`", kernel.name()));
    let tensors = || -> Result<Vec<TensorData>, EvalError> {
        let tensors: Option<Vec<TensorData>> = operands.iter().map(|it| it.as_tensor().cloned()).collect();
        tensors.ok_or_else(|| within(EvalError::invalid("an operand is no tensor")))
    };
    let values = |it: Vec<TensorData>| it.into_iter().map(Value::Tensor).collect::<Vec<_>>();
    if let Kernel::Program(program) = kernel {
        return program::eval_with(&host.fuel, program, sizes, &tensors()?).map(values);
    }
    let types = param_dims(kernel, sizes).map_err(within)?;
    let reads: Vec<_> = kernel.params().zip(&types).filter(|(it, _)| it.access.reads()).collect();
    if reads.len() != operands.len() {
        return Err(within(EvalError::invalid(format!("it does not read {} buffers", operands.len()))));
    }
    for ((param, dims), data) in reads.into_iter().zip(operands) {
        check(param, dims, data).map_err(within)?;
    }
    let writes: Vec<(ParamRef<'_>, &Vec<u64>)> =
        kernel.params().zip(&types).filter(|(it, _)| it.access.writes()).collect();
    let results = match kernel {
        Kernel::Extern(it) => match host.functions.get(&it.symbol) {
            Some(function) => function(operands, &it.attrs).map_err(EvalError::from_host),
            None => Err(EvalError::unsupported(format!("the host has no function `{}`", it.symbol))),
        },
        Kernel::Routine(it) => {
            let shapes: Vec<&[u64]> = writes.iter().map(|it| &it.1[..]).collect();
            routines::eval(&it.routine, &it.attrs, &tensors()?, &shapes).map(values)
        }
        Kernel::Program(_) => Ok(Vec::new()),
    };
    let results = results.map_err(within)?;
    if results.len() < writes.len() {
        let missing = writes[results.len()].0.name;
        return Err(within(EvalError::invalid(format!("result `%{missing}` is not written"))));
    }
    for ((param, dims), data) in writes.iter().zip(&results) {
        check(*param, dims, data).map_err(|it| match kernel {
            // What the host gives is the host's.
            Kernel::Extern(_) => within(EvalError::from_host(it.message)),
            _ => within(it),
        })?;
    }
    Ok(results)
}

/// As [`run`], and what the kernel writes does not depend on sharing memory: where a place that it writes meets another
/// one, the result is that of operands of their own.
pub(crate) fn run_shared(
    host: &Host<'_>,
    kernel: &Kernel,
    sizes: &[i64],
    memory: &mut Memory,
    places: &[Place],
) -> EvalResult<()> {
    let writes = |i: usize| kernel.param(i).access.writes();
    let count = places.len().min(kernel.param_count());
    let shared = (0..count).any(|i| writes(i) && (0..count).any(|j| j != i && places[i].meets(places[j])));
    if !shared {
        return run(host, kernel, sizes, memory, places);
    }
    let types = param_dims(kernel, sizes)?;
    let reads = kernel.params().zip(&types).zip(places).filter(|((param, _), _)| param.access.reads());
    let operands: EvalResult<Vec<TensorData>> =
        reads.map(|((param, dims), place)| memory.tensor(*place, dtype_of(param), dims)).collect();
    // An operand may be written in part, where no more of it is read.
    let wanted = operands.and_then(|it| eval_kernel(host, kernel, sizes, &it)).ok();
    run(host, kernel, sizes, memory, places)?;
    let written = kernel.params().zip(&types).zip(places).filter(|((param, _), _)| param.access.writes());
    for (((param, dims), place), wanted) in written.zip(wanted.into_iter().flatten()) {
        if memory.tensor(*place, dtype_of(param), dims)?.content() != wanted.content() {
            let message =
                format!("`%{}` is another one because it shares memory with an operand", param.name);
            return Err(EvalError::invalid(message).within(format!("kernel `{}`", kernel.name())));
        }
    }
    Ok(())
}

/// Evaluates a kernel on memory: one place for each parameter.
pub(crate) fn run(
    host: &Host<'_>,
    kernel: &Kernel,
    sizes: &[i64],
    memory: &mut Memory,
    places: &[Place],
) -> EvalResult<()> {
    if let Kernel::Program(program) = kernel {
        return program::run(&host.fuel, program, sizes, memory, places);
    }
    if places.len() != kernel.param_count() {
        return Err(EvalError::invalid(format!("`{}` has other parameters", kernel.name())));
    }
    let types = param_dims(kernel, sizes)?;
    let mut operands = Vec::new();
    for ((param, dims), place) in kernel.params().zip(&types).zip(places) {
        if param.access.reads() {
            operands.push(memory.tensor(*place, dtype_of(param), dims)?);
        }
    }
    host.fuel.take(operands.iter().fold(1, |sum, it| sum + it.len() as u64))?;
    let results = eval_kernel(host, kernel, sizes, &operands)?;
    let written = kernel.params().zip(places).filter(|(it, _)| it.access.writes());
    for ((_, place), data) in written.zip(results) {
        let bytes = memory.in_flight(&data);
        memory.write(*place, 0, bytes.len())?.copy_from_slice(&bytes);
    }
    Ok(())
}

/// The element type of a parameter of a kernel without objects.
fn dtype_of(param: ParamRef<'_>) -> DType {
    param.buffer().map_or(DType::U8, |it| it.0)
}

/// Whether the kernel takes or makes something that is no buffer.
pub(crate) fn has_objects(kernel: &Kernel) -> bool {
    kernel.params().any(|it| it.object().is_some())
}

pub(crate) fn param_dims(kernel: &Kernel, sizes: &[i64]) -> EvalResult<Vec<Vec<u64>>> {
    if sizes.len() != kernel.sizes().len() {
        return Err(EvalError::invalid(format!("it has {} sizes", kernel.sizes().len())));
    }
    let env: Env = kernel.sizes().iter().copied().zip(sizes.iter().copied()).collect();
    let extent = |dim| {
        let value = eval_dim(kernel.shapes(), &env, dim)?;
        u64::try_from(value).map_err(|_| EvalError::out_of_range(format!("{value} is no size")))
    };
    let dims =
        |it: ParamRef<'_>| it.buffer().map_or(&[][..], |it| it.1).iter().copied().map(extent).collect();
    kernel.params().map(dims).collect()
}

fn check(param: ParamRef<'_>, dims: &[u64], value: &Value) -> EvalResult<()> {
    let fits = match (param.ty, value) {
        (ParamTypeRef::Buffer(dtype, _), Value::Tensor(data)) => data.dtype() == dtype && data.dims() == dims,
        (ParamTypeRef::Object(ty), value) => value.is_of(ty),
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let given = match value {
        Value::Tensor(data) => format!("{}{:?}", data.dtype(), data.dims()),
        _ => "a value of another kind".to_owned(),
    };
    let wanted = match param.buffer() {
        Some((dtype, _)) => format!("{dtype}{dims:?}"),
        None => "an object of its type".to_owned(),
    };
    Err(EvalError::invalid(format!("`%{}` is {wanted} but {given} is given", param.name)))
}

/// The value of a dimension.
pub(crate) fn eval_dim(shapes: &ShapeCx, env: &Env, dim: Dim) -> EvalResult<i64> {
    shapes.eval(dim, env).ok_or_else(|| no_value(shapes, env, [dim], shapes.display(dim).to_string()))
}

/// Why an expression has no value: a symbol in it has none, or the sizes do not broadcast or are too large.
pub(crate) fn no_value(
    shapes: &ShapeCx,
    env: &Env,
    dims: impl IntoIterator<Item = Dim>,
    text: String,
) -> EvalError {
    let mut symbols = dims.into_iter().flat_map(|it| shapes.free_symbols(it));
    let message = format!("`{text}` has no value");
    match symbols.all(|it| env.get(it).is_some()) {
        true => EvalError::out_of_range(message),
        false => EvalError::invalid(message),
    }
}
