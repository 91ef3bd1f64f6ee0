//! What legalisation rows work with.

use super::Operation;
use super::lowering::{LowerStep, Lowering, Value};
use indexmap::IndexMap;
use orogen_ir::diag::Diagnostic;
use orogen_ir::kernel::{Extern, Kernel, Param, ParamRef, ParamType, Routine, Signature};
use orogen_ir::loops::{Axis, BufferId, BuildResult, Combine, ExprId, Index, ProgramBuilder, TensorProgram};
use orogen_ir::ops::Requirement;
use orogen_ir::shape::{Constraint, Dim, Overflow, ShapeCx};
use orogen_ir::types::{Attrs, DType, Dims, Effects, TensorType, Type};

/// One operation under legalisation: its types on one side, the kernel and the steps under construction on the other.
///
/// A row that is one kernel asks for [`input`](Self::input)s and [`output`](Self::output)s, writes stages, and
/// [`finish`](Self::finish)es. [`emit`](Self::emit) ends a kernel before, and begins the next one.
#[derive(Debug)]
pub struct Legalizer<'a> {
    /// The caller's dimensions.
    pub caller: &'a mut ShapeCx,
    /// Attributes of the operation.
    pub attrs: &'a Attrs,
    /// The kernel under construction.
    pub b: ProgramBuilder,
    name: &'a str,
    operation: Operation<'a>,
    inputs: IndexMap<Value, BufferId>,
    /// Types of the outputs of the kernel under construction, with the results that they are.
    outputs: Vec<(Type, Option<usize>)>,
    /// Values that it updates; what they become comes first in `outputs`.
    updated: Vec<Value>,
    steps: Vec<LowerStep>,
    /// Types of all values that steps made.
    made: Vec<Type>,
    results: Vec<Option<Value>>,
}

impl<'a> Legalizer<'a> {
    pub(super) fn new(name: &'a str, caller: &'a mut ShapeCx, operation: Operation<'a>) -> Self {
        Legalizer {
            caller,
            attrs: operation.attrs,
            b: ProgramBuilder::new(name),
            name,
            operation,
            inputs: IndexMap::new(),
            outputs: Vec::new(),
            updated: Vec::new(),
            steps: Vec::new(),
            made: Vec::new(),
            results: vec![None; operation.results.len()],
        }
    }

    /// Number of operands.
    pub fn operand_count(&self) -> usize {
        self.operation.args.len()
    }

    /// Whether operand `i` is given.
    pub fn has(&self, i: usize) -> bool {
        i < self.operation.args.len()
    }

    /// The type of operand `i`.
    pub fn arg(&self, i: usize) -> BuildResult<&'a TensorType> {
        let ty = self.operation.args.get(i).and_then(Type::as_tensor);
        ty.ok_or_else(|| Diagnostic::error("K002", format!("operand {i} is not a tensor")))
    }

    /// The type of result `i`.
    pub fn result(&self, i: usize) -> BuildResult<&'a TensorType> {
        let ty = self.operation.results.get(i).and_then(Type::as_tensor);
        ty.ok_or_else(|| Diagnostic::error("K002", format!("result {i} is not a tensor")))
    }

    /// The dimensions of operand `i`, in the caller's context.
    pub fn arg_dims(&self, i: usize) -> BuildResult<&'a [Dim]> {
        self.arg(i)?.dims().ok_or_else(|| unknown_shape("operand", i))
    }

    /// The dimensions of result `i`, in the caller's context.
    pub fn result_dims(&self, i: usize) -> BuildResult<&'a [Dim]> {
        self.result(i)?.dims().ok_or_else(|| unknown_shape("result", i))
    }

    /// The known elements of operand `i`, in the caller's context.
    pub fn elements(&self, i: usize) -> Option<&'a [Dim]> {
        self.operation.args.get(i)?.as_tensor()?.elements.as_deref()
    }

    /// The known elements of operand `i`, which the lowering cannot do without.
    pub fn require_elements(&self, i: usize) -> BuildResult<&'a [Dim]> {
        self.elements(i).ok_or_else(|| {
            Diagnostic::error("K003", format!("the elements of operand {i} are not known at compile time"))
                .help("bind them to symbols with `match_cast`")
        })
    }

    /// A dimension of the caller in the program; its symbols become size parameters.
    pub fn import(&mut self, dim: Dim) -> BuildResult<Dim> {
        self.b.import_dim(self.caller, dim)
    }

    /// The type of a value.
    pub fn type_of(&self, value: Value) -> BuildResult<&TensorType> {
        let ty = match value {
            Value::Operand(i) => return self.arg(i),
            Value::Made(i) => self.made.get(i).and_then(Type::as_tensor),
        };
        ty.ok_or_else(|| Diagnostic::error("K002", "a value in between is not a tensor"))
    }

    /// The buffer of a value; the kernel takes it as an input from now on.
    pub fn buffer(&mut self, value: Value) -> BuildResult<BufferId> {
        if let Some(buffer) = self.inputs.get(&value) {
            return Ok(*buffer);
        }
        let (name, dims) = match value {
            Value::Operand(i) => (format!("in{i}"), Dims::from(self.arg_dims(i)?)),
            Value::Made(i) => (
                format!("made{i}"),
                Dims::from(self.type_of(value)?.dims().ok_or_else(|| unknown_shape("value", i))?),
            ),
        };
        let dtype = self.type_of(value)?.dtype;
        let dims = self.b.import_dims(self.caller, &dims)?;
        let buffer = self.b.input(&name, dtype, &dims);
        self.inputs.insert(value, buffer);
        Ok(buffer)
    }

    /// The buffer of operand `i`; the kernel takes it as an input from now on.
    pub fn input(&mut self, i: usize) -> BuildResult<BufferId> {
        self.buffer(Value::Operand(i))
    }

    /// The same in whole bytes: a constant of integers narrower than that is unpacked first, which takes far less than
    /// reading it element by element.
    pub(super) fn input_in_bytes(&mut self, i: usize) -> BuildResult<BufferId> {
        let buffer = self.input(i)?;
        let dtype = self.b.buffer_dtype(buffer);
        let is_constant = self.operation.constants.get(i).is_some_and(Option::is_some);
        if !(is_constant && dtype.is_int() && dtype.in_a_byte() > 1) {
            return Ok(buffer);
        }
        let dims = self.b.buffer_dims(buffer);
        let bytes = self.b.local("bytes", dtype.compute(), &dims);
        self.b.fill(bytes, |b, at| {
            let packed = b.load(buffer, at.iter().copied())?;
            Ok(b.cast(dtype.compute(), packed))
        })?;
        Ok(bytes)
    }

    /// Operand `i` and its dimensions in the program.
    pub fn operand(&mut self, i: usize) -> BuildResult<(BufferId, Dims)> {
        let buffer = self.input(i)?;
        Ok((buffer, self.b.buffer_dims(buffer)))
    }

    /// A new buffer for result `i`; ask once for each.
    pub fn output(&mut self, i: usize) -> BuildResult<BufferId> {
        let ty = self.result(i)?.clone();
        let dims = self.b.import_dims(self.caller, self.result_dims(i)?)?;
        self.outputs.push((Type::Tensor(ty.clone()), Some(i)));
        Ok(self.b.output(&format!("out{i}"), ty.dtype, &dims))
    }

    /// The buffer of operand `i`, which the kernel updates; what it becomes is result `result`.
    pub fn updated(&mut self, i: usize, result: usize) -> BuildResult<BufferId> {
        let ty = self.result(result)?.clone();
        let dims = self.b.import_dims(self.caller, self.arg_dims(i)?)?;
        let dtype = ty.dtype;
        self.outputs.insert(self.updated.len(), (Type::Tensor(ty), Some(result)));
        self.updated.push(Value::Operand(i));
        Ok(self.b.in_out(&format!("out{result}"), dtype, &dims))
    }

    /// A new buffer for a value that is no result, with dimensions of the caller.
    pub fn between(&mut self, name: &str, dtype: DType, dims: &[Dim]) -> BuildResult<BufferId> {
        let inner = self.b.import_dims(self.caller, dims)?;
        self.outputs.push((Type::tensor(dtype, dims.iter().copied()), None));
        Ok(self.b.output(name, dtype, &inner))
    }

    fn make(&mut self, step: LowerStep) -> usize {
        let first = self.made.len();
        self.made.extend(step.types().iter().cloned());
        self.steps.push(step);
        first
    }

    /// Ends the kernel under construction and begins the next one. Returns the values of its outputs, those of what it
    /// updates first, each in the order in which they were asked for.
    pub fn emit(&mut self) -> Vec<Value> {
        let (program, sizes) = self.take_program();
        self.call(program.into(), sizes)
    }

    /// As [`emit`](Self::emit), with a function of the host in place of a tensor program: it is found under `symbol` when
    /// the model runs, reads the buffers of values that were asked for, and writes those that are outputs or updated.
    /// Attributes go to it after the buffers, in order of their names.
    pub fn emit_extern(&mut self, symbol: &str, attrs: Attrs) -> Vec<Value> {
        let (name, signature, sizes) = self.take_signature();
        let kernel = Extern { name, symbol: symbol.to_owned(), attrs, signature };
        self.call(kernel.into(), sizes)
    }

    /// As [`emit_extern`](Self::emit_extern), with a routine of code generation.
    pub fn emit_routine(&mut self, routine: &str, attrs: Attrs) -> Vec<Value> {
        let (name, signature, sizes) = self.take_signature();
        let kernel = Routine { name, routine: routine.to_owned(), attrs, signature };
        self.call(kernel.into(), sizes)
    }

    /// Name and parameters of the kernel under construction, which has no loops, and the values of its sizes.
    fn take_signature(&mut self) -> (String, Signature, Vec<Dim>) {
        let (program, sizes) = self.take_program();
        let program = Kernel::from(program);
        let own = |it: ParamRef<'_>| {
            let (dtype, dims) = it.buffer().expect("parameters of a tensor program are buffers");
            let ty = ParamType::Buffer { dtype, dims: dims.into() };
            Param { name: it.name.to_owned(), access: it.access, ty }
        };
        let signature = Signature {
            shapes: program.shapes().clone(),
            sizes: program.sizes().to_vec(),
            params: program.params().map(own).collect(),
            effects: Effects::PURE,
        };
        (program.name().to_owned(), signature, sizes)
    }

    fn take_program(&mut self) -> (TensorProgram, Vec<Dim>) {
        std::mem::replace(&mut self.b, ProgramBuilder::new(self.name)).finish()
    }

    fn call(&mut self, kernel: Kernel, sizes: Vec<Dim>) -> Vec<Value> {
        let updated = std::mem::take(&mut self.updated);
        let args = std::mem::take(&mut self.inputs).into_keys().chain(updated).collect();
        let (types, results): (Vec<Type>, Vec<_>) = std::mem::take(&mut self.outputs).into_iter().unzip();
        let first = self.make(LowerStep::Kernel { kernel: Box::new(kernel), args, sizes, types });
        let values: Vec<Value> = (first..self.made.len()).map(Value::Made).collect();
        for (value, result) in values.iter().zip(results) {
            if let Some(i) = result {
                self.results[i] = Some(*value);
            }
        }
        values
    }

    /// The bytes of a value under another shape.
    pub fn view(&mut self, value: Value, ty: Type) -> Value {
        Value::Made(self.make(LowerStep::View { value, ty }))
    }

    /// Binds the elements of a value to symbols that nothing binds yet, or asserts what is known of them.
    pub fn bind(&mut self, value: Value, elements: &[Dim]) -> BuildResult<Value> {
        let ty = Type::Tensor(self.type_of(value)?.clone().with_elements(elements.iter().copied()));
        Ok(Value::Made(self.make(LowerStep::MatchCast { value, ty })))
    }

    /// Requires a relation between dimensions of the caller at run time.
    pub fn check(&mut self, constraint: Constraint, message: impl Into<String>) {
        self.steps.push(LowerStep::Check(Requirement { constraint, message: message.into() }));
    }

    /// The finished lowering; what was asked for as [`output`](Self::output) are the results.
    pub fn finish(mut self) -> Result<Lowering, Diagnostic> {
        if !self.outputs.is_empty() {
            self.emit();
        }
        let results = self.results.into_iter().enumerate().map(|(i, it)| {
            it.ok_or_else(|| Diagnostic::error("K002", format!("nothing computes result {i}")))
        });
        Ok(Lowering { results: results.collect::<Result<_, _>>()?, steps: self.steps })
    }

    /// The one result is operand `i` under the shape of the result.
    pub fn finish_view(mut self, i: usize) -> Result<Lowering, Diagnostic> {
        let ty = Type::Tensor(self.result(0)?.clone());
        self.results[0] = Some(self.view(Value::Operand(i), ty));
        self.finish()
    }

    /// A kernel that stores elements known to inference.
    pub(super) fn store_elements(mut self, elements: &[Dim]) -> Result<Lowering, Diagnostic> {
        let out = self.output(0)?;
        let (dtype, dims) = (self.b.buffer_dtype(out), self.b.buffer_dims(out));
        let extents: Option<Vec<i64>> = dims.iter().map(|it| self.b.program().shapes.as_int(*it)).collect();
        let extents = extents.ok_or_else(|| unknown_shape("result", 0))?;
        if elements.is_empty() {
            self.store_nothing(out)?;
        }
        for (i, element) in elements.iter().enumerate() {
            let mut rest = i as i64;
            let mut at = Dims::from_elem(*element, extents.len());
            for (slot, extent) in at.iter_mut().zip(&extents).rev() {
                *slot = self.b.shapes().int(rest % extent);
                rest /= extent;
            }
            let value = self.import(*element)?;
            let value = self.dim_as(value, dtype)?;
            self.b.stage(&[], out, at, value)?;
        }
        self.finish()
    }

    /// A stage over an empty result: every output is stored to by some stage.
    pub(super) fn store_nothing(&mut self, out: BufferId) -> BuildResult<()> {
        let zero = self.b.number(0.0, self.b.buffer_dtype(out));
        self.b.fill(out, |_, _| Ok(zero))
    }

    /// An index expression as a value of any type.
    pub fn dim_as(&mut self, dim: Dim, dtype: DType) -> BuildResult<ExprId> {
        if let Some(value) = self.b.program().shapes.as_int(dim) {
            return match dtype.is_float() {
                true => self.b.float(value as f64, dtype),
                false => self.b.int(value, dtype),
            };
        }
        if dtype.is_int() {
            return self.b.dim(dim, dtype);
        }
        let value = self.b.dim(dim, DType::I64)?;
        Ok(self.b.cast(dtype, value))
    }

    /// The single element of operand `i`, when it is known: symbolically, or as a constant.
    pub fn known_scalar(&mut self, i: usize) -> BuildResult<Option<ExprId>> {
        let dtype = self.arg(i)?.dtype;
        if let Some([element]) = self.elements(i) {
            let value = self.import(*element)?;
            return self.dim_as(value, dtype).map(Some);
        }
        match self.operation.constants.get(i) {
            Some(Some(_)) if dtype.is_only_moved() => Ok(self.is_zero(i).then(|| self.b.number(0.0, dtype))),
            Some(Some(data)) if data.len() == 1 => Ok(Some(match dtype.is_float() {
                true => self.b.float(data.get_f64(0), dtype)?,
                false => self.b.int(data.get_i64(0), dtype)?,
            })),
            _ => Ok(None),
        }
    }

    /// Whether every element of operand `i` is known to be 0.
    pub fn is_zero(&self, i: usize) -> bool {
        if let Some(elements) = self.elements(i) {
            return elements.iter().all(|it| self.caller.as_int(*it) == Some(0));
        }
        let data = self.operation.constants.get(i).and_then(Option::as_ref);
        data.is_some_and(|it| it.bytes().iter().all(|it| *it == 0))
    }

    /// The single element of operand `i` as a value: known, else loaded.
    pub fn scalar(&mut self, i: usize) -> BuildResult<ExprId> {
        if let Some(known) = self.known_scalar(i)? {
            return Ok(known);
        }
        let (buffer, dims) = self.operand(i)?;
        let zero = self.b.shapes().int(0);
        self.b.load(buffer, dims.iter().map(|_| zero))
    }

    /// A load in the type that sums of it are computed in.
    pub fn load_wide(&mut self, buffer: BufferId, at: impl IntoIterator<Item = Dim>) -> BuildResult<ExprId> {
        let value = self.b.load(buffer, at)?;
        Ok(self.b.cast(wide(self.b.buffer_dtype(buffer)), value))
    }

    /// A reduction into `out` over a value in the type of the sums, whose low bits or nearest number are stored; where
    /// that is another type than `out` has, they go through a local.
    pub fn reduce_into(
        &mut self,
        axes: &[Axis],
        reduce: &[Axis],
        combine: Combine,
        out: BufferId,
        at: &[Dim],
        value: ExprId,
    ) -> BuildResult<()> {
        let target = self.target_of(self.b.dtype_of(value), out);
        self.b.reduce_stage(axes, reduce, combine, target, at.iter().copied(), value)?;
        self.narrow_into(target, out)
    }

    /// `out` itself when its type is its own wide type, else a local of the wide type.
    pub fn wide_target(&mut self, out: BufferId) -> BufferId {
        self.target_of(wide(self.b.buffer_dtype(out)), out)
    }

    /// `out` itself when it has a type, else a local of that type.
    fn target_of(&mut self, dtype: DType, out: BufferId) -> BufferId {
        if dtype == self.b.buffer_dtype(out) {
            return out;
        }
        let dims = self.b.buffer_dims(out);
        self.b.local("wide", dtype, &dims)
    }

    /// Converts a local, as from [`wide_target`](Self::wide_target), into `out`.
    pub fn narrow_into(&mut self, target: BufferId, out: BufferId) -> BuildResult<()> {
        if target == out {
            return Ok(());
        }
        let dtype = self.b.buffer_dtype(out);
        self.b.fill(out, |b, at| {
            let value = b.load(target, at.iter().copied())?;
            Ok(b.cast(dtype, value))
        })
    }

    /// A local of the wide type of result 0's element type.
    pub fn local(&mut self, name: &str, dims: &[Dim]) -> BuildResult<BufferId> {
        let dtype = wide(self.result(0)?.dtype);
        Ok(self.b.local(name, dtype, dims))
    }

    /// A load at indices that were clamped; where an indexed dimension may be empty, it is guarded as well.
    pub fn load_clamped(
        &mut self,
        buffer: BufferId,
        at: impl IntoIterator<Item = Index>,
    ) -> BuildResult<ExprId> {
        let at: Vec<Index> = at.into_iter().collect();
        let dims = self.b.buffer_dims(buffer);
        let maybe_empty = at.iter().zip(&dims).any(|(index, dim)| {
            index.value().is_some() && self.b.program().shapes.bounds(*dim).lo.is_none_or(|lo| lo < 1)
        });
        if !maybe_empty {
            return self.b.load(buffer, at);
        }
        let zero = self.b.number(0.0, self.b.buffer_dtype(buffer));
        self.b.load_or(buffer, at, zero)
    }

    /// `a + b`.
    pub fn add(&mut self, a: Dim, b: Dim) -> BuildResult<Dim> {
        self.b.shapes().add(a, b).map_err(overflow)
    }

    /// `a − b`.
    pub fn sub(&mut self, a: Dim, b: Dim) -> BuildResult<Dim> {
        self.b.shapes().sub(a, b).map_err(overflow)
    }

    /// `a · b`.
    pub fn mul(&mut self, a: Dim, b: Dim) -> BuildResult<Dim> {
        self.b.shapes().mul(a, b).map_err(overflow)
    }

    /// `k · a + c`.
    pub fn linear(&mut self, a: Dim, k: i64, c: i64) -> BuildResult<Dim> {
        let scaled = self.b.shapes().scale(a, k).map_err(overflow)?;
        self.b.shapes().add_int(scaled, c).map_err(overflow)
    }

    /// The product of dimensions.
    pub fn product(&mut self, dims: &[Dim]) -> BuildResult<Dim> {
        self.b.shapes().product(dims).map_err(overflow)
    }

    /// The constant value of a dimension of the program.
    pub fn as_int(&self, dim: Dim) -> Option<i64> {
        self.b.program().shapes.as_int(dim)
    }

    /// Whether a dimension of the program is the constant 1.
    pub fn is_one(&self, dim: Dim) -> bool {
        self.as_int(dim) == Some(1)
    }

    /// A boolean attribute, false when left out.
    pub fn flag(&self, name: &str) -> bool {
        self.attrs.bool(name).unwrap_or(false)
    }

    /// An integer attribute.
    pub fn int_attr(&self, name: &str) -> Option<i64> {
        self.attrs.int(name)
    }

    /// Attribute `axis`, which inference checked.
    pub fn axis_attr(&self) -> usize {
        self.attrs.int("axis").and_then(|it| usize::try_from(it).ok()).unwrap_or(0)
    }

    /// An attribute of axes, which inference checked.
    pub fn axes_attr(&self, name: &str) -> Vec<usize> {
        let list = self.attrs.ints(name).unwrap_or_default();
        list.iter().filter_map(|it| usize::try_from(*it).ok()).collect()
    }

    /// An attribute of `n` integers, `default` repeated when left out.
    pub fn ints_attr(&self, name: &str, n: usize, default: i64) -> Vec<i64> {
        self.attrs.ints(name).map_or_else(|| vec![default; n], <[i64]>::to_vec)
    }
}

/// The type in which sums of elements of `dtype` are computed.
pub(super) fn wide(dtype: DType) -> DType {
    dtype.compute()
}

pub(super) fn overflow(_: Overflow) -> Diagnostic {
    Diagnostic::error("S002", "an index expression overflows 64-bit integers")
}

fn unknown_shape(what: &str, i: usize) -> Diagnostic {
    Diagnostic::error("K002", format!("the shape of {what} {i} is not known at compile time"))
        .help("refine it with `match_cast`, or give the operand that names the shape known elements")
}

/// A copy of `list` with `at` replaced.
pub(super) fn with(list: &[Dim], at: usize, value: Dim) -> Dims {
    let mut list = Dims::from(list);
    list[at] = value;
    list
}
