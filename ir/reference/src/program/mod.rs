//! Evaluation of tensor programs: every point of every stage, in order.

mod code;
mod index;

use crate::error::{EvalError, EvalResult};
use crate::fuel::Fuel;
use crate::memory::{Memory, Place};
use crate::scalar;
use code::{At, Code, Compiler, Value};
use orogen_ir::loops::{Axis, BufferRole, Combine, Stage, Stmt, TensorProgram};
use orogen_ir::shape::{Env, Sym};
use orogen_ir::types::{DType, TensorData};

/// Evaluates a kernel. `sizes` are the values of its size parameters, `inputs` its input buffers in order, those that
/// it updates included; the result is its output buffers in order, likewise.
///
/// Every expression is computed in f64 or in integers that wrap at their width, and rounded to the element
/// type when it is stored or cast. A load out of range, a load of memory that nothing stored, and an output
/// element that is never stored are errors.
pub fn eval_program(
    program: &TensorProgram,
    sizes: &[i64],
    inputs: &[TensorData],
) -> Result<Vec<TensorData>, EvalError> {
    eval_with(&Fuel::default(), program, sizes, inputs)
}

/// [`eval_program`] within a limit.
pub(crate) fn eval_with(
    fuel: &Fuel,
    program: &TensorProgram,
    sizes: &[i64],
    inputs: &[TensorData],
) -> EvalResult<Vec<TensorData>> {
    let mut memory = Memory::default();
    let mut params = Vec::new();
    let mut outputs = Vec::new();
    let mut inputs = inputs.iter();
    let env = environment(program, sizes)?;
    for id in &program.params {
        let buffer = &program.buffers[*id];
        let dims = dims_of(program, &env, &buffer.dims)?;
        if buffer.role.is_given() {
            let data = inputs
                .next()
                .ok_or_else(|| EvalError::invalid(format!("`%{}` is not given", buffer.name)))?;
            if data.dtype() != buffer.dtype || data.dims() != dims {
                return Err(EvalError::invalid(format!(
                    "`%{}` is {}{dims:?} but {}{:?} is given",
                    buffer.name,
                    buffer.dtype,
                    data.dtype(),
                    data.dims()
                )));
            }
            params.push(memory.hold(data));
            if buffer.role == BufferRole::InOut {
                outputs.push((*params.last().expect("pushed above"), buffer.dtype, dims, &buffer.name));
            }
        } else {
            let bytes = TensorData::unpacked_count(buffer.dtype, &dims).ok_or_else(EvalError::too_large)?;
            let place = memory.allocate(bytes)?;
            outputs.push((place, buffer.dtype, dims, &buffer.name));
            params.push(place);
        }
    }
    if inputs.next().is_some() {
        return Err(EvalError::invalid("more inputs are given than the kernel has"));
    }
    run(fuel, program, sizes, &mut memory, &params)?;
    let result = outputs.iter().map(|(place, dtype, dims, name)| {
        memory.tensor(*place, *dtype, dims).map_err(|it| it.within(format!("output `%{name}`")))
    });
    result.collect()
}

/// Evaluates a kernel on memory: one place for each parameter.
pub(crate) fn run(
    fuel: &Fuel,
    program: &TensorProgram,
    sizes: &[i64],
    memory: &mut Memory,
    params: &[Place],
) -> EvalResult<()> {
    if params.len() != program.params.len() {
        return Err(EvalError::invalid(format!(
            "`{}` has {} parameters",
            program.name,
            program.params.len()
        )));
    }
    let env = environment(program, sizes)?;
    let blocks = memory.len();
    let mut buffers = Vec::new();
    for (id, buffer) in program.buffers.iter() {
        let dims = dims_of(program, &env, &buffer.dims)?;
        let bytes = TensorData::unpacked_count(buffer.dtype, &dims).ok_or_else(EvalError::too_large)?;
        let place = match program.params.iter().position(|it| *it == id) {
            Some(at) => params[at],
            None => memory.allocate(bytes)?,
        };
        if place.bytes < bytes {
            return Err(EvalError::invalid(format!(
                "`%{}` needs {bytes} bytes but has {}",
                buffer.name, place.bytes
            )));
        }
        buffers.push(Bound { name: buffer.name.clone(), place, dtype: buffer.dtype, dims });
    }
    let mut machine = Machine { fuel, program, env, buffers, memory };
    let result = machine.body(&program.body);
    memory.truncate(blocks);
    result.map_err(|it| it.within(format!("kernel `{}`", program.name)))
}

fn environment(program: &TensorProgram, sizes: &[i64]) -> EvalResult<Env> {
    if sizes.len() != program.sizes.len() {
        return Err(EvalError::invalid(format!("`{}` has {} sizes", program.name, program.sizes.len())));
    }
    Ok(program.sizes.iter().copied().zip(sizes.iter().copied()).collect())
}

fn dims_of(program: &TensorProgram, env: &Env, dims: &[orogen_ir::shape::Dim]) -> EvalResult<Vec<u64>> {
    let dims = dims.iter().map(|it| {
        let value = program.shapes.eval(*it, env).and_then(|it| u64::try_from(it).ok());
        value.ok_or_else(|| EvalError::out_of_range(format!("`{}` is no size", program.shapes.display(*it))))
    });
    dims.collect()
}

/// A buffer at run time.
#[derive(Clone, Debug)]
struct Bound {
    name: String,
    place: Place,
    dtype: DType,
    dims: Vec<u64>,
}

/// The row-major position of an index; `None` when it is out of range and not checked.
fn linear(buffer: &Bound, at: &[At], axes: &[i64], regs: &[Value]) -> EvalResult<Option<usize>> {
    let mut position = Some(0_u64);
    for (axis, (index, dim)) in at.iter().zip(&buffer.dims).enumerate() {
        let index = match index {
            At::Fn(function) => function.value(axes)?,
            At::Reg(reg) => regs[*reg].int,
            At::Checked(reg, signed) => {
                let index = regs[*reg].int;
                let from_end = if *signed && index < 0 { index.saturating_add_unsigned(*dim) } else { index };
                if !u64::try_from(from_end).is_ok_and(|it| it < *dim) {
                    let name = &buffer.name;
                    let message = format!(
                        "index {index} is out of range for dimension {axis} of `%{name}`, of extent {dim}"
                    );
                    return Err(EvalError::out_of_range(message));
                }
                from_end
            }
        };
        position = match (position, u64::try_from(index)) {
            (Some(position), Ok(index)) if index < *dim => Some(position * dim + index),
            _ => None,
        };
    }
    Ok(position.map(|it| it as usize))
}

struct Machine<'a> {
    fuel: &'a Fuel,
    program: &'a TensorProgram,
    env: Env,
    buffers: Vec<Bound>,
    memory: &'a mut Memory,
}

impl Machine<'_> {
    fn body(&mut self, body: &[Stmt]) -> EvalResult<()> {
        for stmt in body {
            match stmt {
                Stmt::Stage(stage) => self.stage(stage).map_err(|it| {
                    let name = &self.program.buffers[stage.buffer].name;
                    it.within(format!("the stage of `%{name}`"))
                })?,
                Stmt::For { axis, body } => {
                    for i in 0..self.extent(axis)? {
                        self.fuel.take(1)?;
                        self.env.set(axis.var, i);
                        self.body(body)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn extent(&self, axis: &Axis) -> EvalResult<i64> {
        let extent = self.program.shapes.eval(axis.extent, &self.env);
        extent.ok_or_else(|| {
            let text = self.program.shapes.display(axis.extent);
            EvalError::invalid(format!("the extent `{text}` has no value"))
        })
    }

    fn stage(&mut self, stage: &Stage) -> EvalResult<()> {
        if stage.combine.is_some() == stage.reduce.is_empty() {
            return Err(EvalError::invalid("a stage has reduction axes exactly when it combines"));
        }
        let axes: Vec<Sym> = stage.all_axes().map(|it| it.var).collect();
        let outer: Vec<i64> = stage.axes.iter().map(|it| self.extent(it)).collect::<EvalResult<_>>()?;
        let inner: Vec<i64> = stage.reduce.iter().map(|it| self.extent(it)).collect::<EvalResult<_>>()?;
        let target = self.buffers[stage.buffer.into_raw().into_u32() as usize].clone();
        if self.program.dtype_of(stage.value) != target.dtype {
            return Err(EvalError::invalid(format!("the value is not {}", target.dtype)));
        }
        if outer.iter().any(|it| *it <= 0) {
            return Ok(());
        }
        // Nothing is loaded where the reduction is empty, so its extents count as 1 there.
        let extents: Vec<i64> = outer.iter().chain(&inner).map(|it| (*it).max(1)).collect();
        let mut compiler = Compiler::new(self.program, &self.buffers, &axes, &extents, &self.env);
        let root = compiler.expr(stage.value)?;
        let value = compiler.finish(root);
        // The index is compiled apart: it does not depend on the reduction.
        let own = (&axes[..outer.len()], &extents[..outer.len()]);
        let mut compiler = Compiler::new(self.program, &self.buffers, own.0, own.1, &self.env);
        let at = compiler.index(&self.program.buffers[stage.buffer], &stage.at)?;
        let index = compiler.finish(0);
        let (mut value_regs, mut index_regs) = (value.registers(), index.registers());
        let points = extents.iter().fold(1u64, |n, it| n.saturating_mul(it.unsigned_abs()));
        self.fuel.take(points.saturating_mul((value_regs.len() + index_regs.len()).max(1) as u64))?;
        let mut point = vec![0; axes.len()];
        let mut cursor = Odometer::new(&outer);
        while cursor.next(&mut point[..outer.len()]) {
            let result = match stage.combine {
                None => value.run(&point, &self.buffers, self.memory, &mut value_regs)?,
                Some(combine) => {
                    self.reduce(combine, &value, target.dtype, &inner, &mut point, &mut value_regs)?
                }
            };
            if !index_regs.is_empty() {
                index.run(&point, &self.buffers, self.memory, &mut index_regs)?;
            }
            let element = linear(&target, &at, &point, &index_regs)?;
            let element = element.ok_or_else(|| EvalError::out_of_range("it is stored to out of range"))?;
            let size = target.dtype.size();
            let bytes = self.memory.write(target.place, element * size, size)?;
            result.write(bytes, target.dtype);
        }
        Ok(())
    }

    fn reduce(
        &self,
        combine: Combine,
        code: &Code,
        dtype: DType,
        extents: &[i64],
        point: &mut [i64],
        regs: &mut [Value],
    ) -> EvalResult<Value> {
        if dtype.is_only_moved() {
            return Err(EvalError::invalid(format!("{dtype} cannot be reduced")));
        }
        let op = scalar::combine_op(combine);
        let float = dtype.is_float();
        let mut total = match float {
            true => code::float(scalar::identity_float(combine)),
            false => code::int(scalar::identity_int(combine, dtype)),
        };
        let outer = point.len() - extents.len();
        let mut cursor = Odometer::new(extents);
        while cursor.next(&mut point[outer..]) {
            let value = code.run(point, &self.buffers, self.memory, regs)?;
            match float {
                true => total.float = op.row().meaning.float(total.float, value.float),
                false => total.int = scalar::binary_int(op, total.int, value.int, dtype),
            }
        }
        Ok(total)
    }
}

/// Walks all points of a box, the last dimension fastest.
struct Odometer<'a> {
    extents: &'a [i64],
    started: bool,
}

impl<'a> Odometer<'a> {
    fn new(extents: &'a [i64]) -> Self {
        Odometer { extents, started: false }
    }

    /// Moves to the first or the next point; false when there is none.
    fn next(&mut self, point: &mut [i64]) -> bool {
        if !self.started {
            self.started = true;
            point.fill(0);
            return self.extents.iter().all(|it| *it > 0);
        }
        for (index, extent) in point.iter_mut().zip(self.extents).rev() {
            *index += 1;
            if *index < *extent {
                return true;
            }
            *index = 0;
        }
        false
    }
}

#[cfg(test)]
mod tests;
