//! Tensor programs as functions.
//!
//! A kernel is `fn(buffers: *const *mut u8, sizes: *const i64, scratch: *mut u8, begin: i64, end: i64)`: its
//! parameters in order, the values of its size parameters, room for its local buffers, and the part of its parallel
//! loop that this call runs. A kernel that may abort has one more buffer, its [`Failure`]: when an index is out of
//! range, it says so there and returns at once.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, BlockArg, InstBuilder, MemFlagsData, Type, Value, types};
use indexmap::IndexMap;
use orogen_ir::loops::{Axis, BufferId, BufferRole, Expr, ExprId, Index, Stage, Stmt, TensorProgram};
use orogen_ir::plan::ALIGNMENT;
use orogen_ir::shape::{Dim, Overflow, ShapeCx, SymbolKind};
use orogen_ir::types::{DType, Effects};
use std::mem::offset_of;

use super::size::{Scope, Sizes};
use super::unit::{FunctionCx, Symbol, Target, Unit, Visibility, build};
use crate::select::forms::ParamForm;
use crate::select::routine::Routines;
use crate::select::{Arg, Call, Node, Parallel, Schedule, schedule};
use crate::vector::Isa;

/// Parameters of every kernel.
pub(crate) const PARAMS: [Type; 5] = [types::I64; 5];

/// What a kernel leaves where an index is out of range. Of several ranges that fail, one is told of.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Failure {
    /// What was indexed, a NUL-terminated text; null while all is well.
    pub(crate) place: *const u8,
    /// The index, as the data says it.
    pub(crate) index: i64,
    /// The extent of the dimension.
    pub(crate) extent: i64,
}

/// A kernel ready to be compiled, and what its callers must know.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// The code.
    pub(crate) unit: Unit,
    /// Where `scratch` and `extent` live: the program's context and what was added.
    pub(crate) shapes: ShapeCx,
    /// Bytes of scratch that a call needs, over the size parameters.
    pub(crate) scratch: Dim,
    /// Iterations of the parallel loop; 1 when there is none.
    pub(crate) extent: Dim,
    /// Whether `begin..end` is used.
    pub(crate) parallel: bool,
    /// Whether it takes a [`Failure`] after its parameters.
    pub(crate) aborts: bool,
    /// Element operations of a whole run, roughly.
    pub(crate) work: Dim,
    /// How it wants its parameters, by place.
    pub(crate) forms: Vec<ParamForm>,
    /// Routines that it calls.
    pub(crate) routines: Routines,
    /// What was chosen for each part, for reports.
    pub(crate) strategy: Vec<String>,
}

/// Builds the kernel of a program; see [`schedule`] for `isa` and `constant`.
pub(crate) fn kernel(
    target: Target,
    name: &str,
    program: &TensorProgram,
    isa: Isa,
    constant: &[bool],
) -> Result<Kernel, Overflow> {
    let mut schedule = schedule(program, isa, constant);
    let mut shapes = std::mem::take(&mut schedule.shapes);
    let locals = place_locals(program, &schedule, &mut shapes)?;
    let mut scratch = locals.bytes;
    if !schedule.workspaces.is_empty() {
        let most = shapes.max(&schedule.workspaces)?;
        scratch = shapes.add(scratch, most)?;
        scratch = shapes.round_up(scratch, ALIGNMENT.cast_signed())?;
    }
    let extent = match &schedule.parallel {
        Parallel::Loop(extent) => *extent,
        Parallel::Range { units, .. } => *units,
        Parallel::No => shapes.int(1),
    };
    let work = work(&mut shapes, &program.body)?;
    let mut failure = Ok(());
    let unit = build(target, name, Visibility::Local, &PARAMS, &[], |cx, args| {
        let mut lowering = Lowering {
            program,
            schedule: &schedule,
            shapes: shapes.clone(),
            scope: Scope::default(),
            depth: 0,
            pointers: IndexMap::new(),
            range: None,
            safe: args[0],
            workspace: args[2],
            values: IndexMap::new(),
            positions: IndexMap::new(),
            abort: None,
        };
        failure = lowering.run(cx, args, &locals);
        cx.b.ins().return_(&[]);
        lowering.finish_abort(cx, args[0]);
    });
    failure?;
    let aborts = program.effects().contains(Effects::ABORT);
    let parallel = !matches!(schedule.parallel, Parallel::No);
    let Schedule { forms, routines, strategy, .. } = schedule;
    Ok(Kernel { unit, shapes, scratch, extent, parallel, aborts, work, forms, routines, strategy })
}

/// Iterations of all innermost loops; loops whose extent depends on other loops count as one.
fn work(shapes: &mut ShapeCx, body: &[Stmt]) -> Result<Dim, Overflow> {
    let mut total = shapes.int(0);
    for statement in body {
        let (axes, inner): (Vec<Axis>, Dim) = match statement {
            Stmt::Stage(stage) => {
                let axes = stage.axes.iter().chain(&stage.reduce).copied().collect();
                (axes, shapes.int(1))
            }
            Stmt::For { axis, body } => (vec![*axis], work(shapes, body)?),
        };
        let depends = |shapes: &ShapeCx, dim: Dim| {
            shapes.free_symbols(dim).into_iter().any(|it| matches!(shapes.kind(it), SymbolKind::Index { .. }))
        };
        let mut factors = vec![inner];
        factors.extend(axes.iter().map(|it| it.extent).filter(|it| !depends(shapes, *it)));
        let product = shapes.product(&factors)?;
        total = shapes.add(total, product)?;
    }
    Ok(total)
}

struct Locals {
    offsets: IndexMap<BufferId, Dim>,
    bytes: Dim,
}

fn place_locals(
    program: &TensorProgram,
    schedule: &Schedule,
    shapes: &mut ShapeCx,
) -> Result<Locals, Overflow> {
    let mut offsets = IndexMap::new();
    let mut bytes = shapes.int(0);
    for (id, kept) in &schedule.kept {
        let buffer = &program.buffers[*id];
        let dims: Vec<Dim> = buffer.dims.iter().zip(kept).filter(|it| *it.1).map(|it| *it.0).collect();
        offsets.insert(*id, bytes);
        let elements = shapes.product(&dims)?;
        let size = shapes.scale(elements, buffer.dtype.size() as i64)?;
        let size = shapes.round_up(size, ALIGNMENT.cast_signed())?;
        bytes = shapes.add(bytes, size)?;
    }
    Ok(Locals { offsets, bytes })
}

struct Lowering<'p> {
    program: &'p TensorProgram,
    schedule: &'p Schedule,
    shapes: ShapeCx,
    scope: Scope,
    /// Number of loops around the current position.
    depth: u32,
    pointers: IndexMap<BufferId, Value>,
    /// The iterations of the outermost loop that this call runs, until it is built.
    range: Option<(Value, Value)>,
    /// An address that may always be read, for loads whose index is out of range.
    safe: Value,
    /// Memory of the routine that runs.
    workspace: Value,
    /// Values of expressions in the current innermost loop body.
    values: IndexMap<ExprId, Value>,
    /// Indices that are checked, as positions, likewise.
    positions: IndexMap<(ExprId, Dim), Value>,
    /// Where checks that fail go, with place, index and extent.
    abort: Option<Block>,
}

impl Lowering<'_> {
    fn run(&mut self, cx: &mut FunctionCx<'_>, args: &[Value], locals: &Locals) -> Result<(), Overflow> {
        let &[buffers, sizes, scratch, begin, end] = args else {
            unreachable!("kernels have five parameters")
        };
        let fixed = MemFlagsData::trusted().with_readonly().with_can_move();
        for (i, sym) in self.program.sizes.iter().enumerate() {
            let value = cx.b.ins().load(types::I64, fixed, sizes, i as i32 * 8);
            self.scope.bind(*sym, value, 0);
        }
        for (i, id) in self.program.params.iter().enumerate() {
            let pointer = cx.b.ins().load(types::I64, fixed, buffers, i as i32 * 8);
            self.pointers.insert(*id, pointer);
        }
        for (id, offset) in &locals.offsets {
            let offset = self.size(cx, *offset);
            let pointer = cx.b.ins().iadd(scratch, offset);
            self.pointers.insert(*id, pointer);
        }
        let offset = self.size(cx, locals.bytes);
        self.workspace = cx.b.ins().iadd(scratch, offset);
        let schedule = self.schedule;
        if let Parallel::Range { begin: first, end: last, .. } = schedule.parallel {
            self.scope.bind(first, begin, 0);
            self.scope.bind(last, end, 0);
        }
        if let Parallel::Loop(_) = schedule.parallel {
            self.range = Some((begin, end));
        }
        self.nodes(cx, &schedule.body)
    }

    /// What is known holds in one loop body only.
    fn forget(&mut self) {
        self.values.clear();
        self.positions.clear();
    }

    fn size(&self, cx: &mut FunctionCx<'_>, dim: Dim) -> Value {
        Sizes { shapes: &self.shapes, scope: &self.scope }.value(cx, dim)
    }

    fn nodes(&mut self, cx: &mut FunctionCx<'_>, nodes: &[Node]) -> Result<(), Overflow> {
        for node in nodes {
            match node {
                Node::Call(call) => self.call(cx, call)?,
                Node::Some { spaces, body } => {
                    let Some(any) = self.any_point(cx, spaces) else {
                        self.nodes(cx, body)?;
                        continue;
                    };
                    let (run, done) = (cx.b.create_block(), cx.b.create_block());
                    cx.b.ins().brif(any, run, &[], done, &[]);
                    cx.b.switch_to_block(run);
                    self.nodes(cx, body)?;
                    cx.b.ins().jump(done, &[]);
                    cx.b.switch_to_block(done);
                }
                Node::Checked { body, stage } => {
                    let flags = MemFlagsData::trusted();
                    let good = cx.int(0);
                    cx.b.ins().store(flags, good, self.workspace, 0);
                    self.nodes(cx, body)?;
                    let bad = cx.b.ins().load(types::I64, flags, self.workspace, 0);
                    let (again, done) = (cx.b.create_block(), cx.b.create_block());
                    cx.b.set_cold_block(again);
                    cx.b.ins().brif(bad, again, &[], done, &[]);
                    cx.b.switch_to_block(again);
                    self.stage(cx, stage, 0)?;
                    cx.b.ins().jump(done, &[]);
                    cx.b.switch_to_block(done);
                }
                Node::Loop { extent, vars, body, .. } => {
                    let (begin, end) = match self.range.take() {
                        Some(range) => range,
                        None => (cx.int(0), self.size(cx, *extent)),
                    };
                    let open = cx.open_loop(begin, end, &[]);
                    self.depth += 1;
                    for var in vars {
                        self.scope.bind(*var, open.index, self.depth);
                    }
                    self.nodes(cx, body)?;
                    self.depth -= 1;
                    cx.close_loop(open, &[]);
                }
                Node::Stage { stage, bound } => self.stage(cx, stage, *bound)?,
            }
        }
        Ok(())
    }

    /// Whether some stage has a point to store in memory; `None` if that is certain, or known only inside of loops.
    fn any_point(&self, cx: &mut FunctionCx<'_>, spaces: &[(BufferId, Vec<Dim>)]) -> Option<Value> {
        let mut any: Option<Value> = None;
        for (buffer, extents) in spaces {
            // What only holds an iteration of the loops around it is for the others.
            if self.schedule.kept.get(buffer).is_some_and(|kept| !kept.iter().all(|it| *it)) {
                continue;
            }
            if self.program.buffers[*buffer].role == BufferRole::Local
                && !self.schedule.kept.contains_key(buffer)
            {
                continue;
            }
            let all = self.all_turn(cx, extents)?;
            any = Some(match any {
                None => all,
                Some(any) => cx.b.ins().bor(any, all),
            });
        }
        any
    }

    /// Whether loops of these extents have an iteration; `None` if that is certain, or known only inside of them.
    fn all_turn(&self, cx: &mut FunctionCx<'_>, extents: &[Dim]) -> Option<Value> {
        let mut all: Option<Value> = None;
        for extent in extents {
            let known = self.shapes.free_symbols(*extent).iter().all(|it| self.scope.contains(*it));
            if !known || self.shapes.bounds(*extent).lo.is_some_and(|lo| lo >= 1) {
                continue;
            }
            let value = self.size(cx, *extent);
            let turns = cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, value, 0);
            all = Some(match all {
                None => turns,
                Some(all) => cx.b.ins().band(all, turns),
            });
        }
        all
    }

    fn call(&mut self, cx: &mut FunctionCx<'_>, call: &Call) -> Result<(), Overflow> {
        self.forget();
        let mut args = Vec::new();
        for arg in &call.args {
            args.push(match arg {
                Arg::Size(dim) => self.size(cx, *dim),
                Arg::Float(dim) => {
                    let value = self.size(cx, *dim);
                    let value = cx.element_of_index(DType::F32, value);
                    let bits = cx.b.ins().bitcast(types::I32, MemFlagsData::new(), value);
                    cx.b.ins().uextend(types::I64, bits)
                }
                Arg::Double(dim) => {
                    let value = self.size(cx, *dim);
                    let value = cx.element_of_index(DType::F64, value);
                    cx.b.ins().bitcast(types::I64, MemFlagsData::new(), value)
                }
                Arg::Pointer(buffer, bytes) => {
                    let bytes = self.size(cx, *bytes);
                    cx.b.ins().iadd(self.pointers[buffer], bytes)
                }
                Arg::Element(buffer, at) => {
                    let (address, offset) = self.address(cx, *buffer, at)?;
                    cx.b.ins().iadd_imm_s(address, i64::from(offset))
                }
                Arg::Workspace(bytes) => {
                    let bytes = self.size(cx, *bytes);
                    cx.b.ins().iadd(self.workspace, bytes)
                }
            });
        }
        let params = vec![types::I64; args.len()];
        cx.call(Symbol::Local(call.symbol.clone()), &params, &[], &args);
        self.forget();
        Ok(())
    }

    /// Starts the loop of an axis, which has no iteration where one of the loops `inside` it has none.
    fn open_axis(
        &mut self,
        cx: &mut FunctionCx<'_>,
        axis: &Axis,
        inside: &[Axis],
        carried: &[Value],
    ) -> super::nest::OpenLoop {
        let (begin, mut end) = (cx.int(0), self.size(cx, axis.extent));
        let inside: Vec<Dim> = inside.iter().map(|it| it.extent).collect();
        if let Some(all) = self.all_turn(cx, &inside) {
            end = cx.b.ins().select(all, end, begin);
        }
        let open = cx.open_loop(begin, end, carried);
        self.depth += 1;
        self.scope.bind(axis.var, open.index, self.depth);
        open
    }

    fn stage(&mut self, cx: &mut FunctionCx<'_>, stage: &Stage, bound: usize) -> Result<(), Overflow> {
        let axes = stage.axes.get(bound..).unwrap_or_default();
        let mut open = Vec::new();
        for (i, axis) in axes.iter().enumerate() {
            // Without loops around it, the stage has a point.
            let inside = if i == 0 && bound > 0 { &axes[1..] } else { &[] };
            open.push(self.open_axis(cx, axis, inside, &[]));
        }
        self.forget();
        let dtype = self.program.buffers[stage.buffer].dtype;
        let value = match stage.combine {
            None => self.expr(cx, stage.value)?,
            Some(combine) => {
                let mut carried = vec![cx.identity(combine, dtype)];
                let mut reduce = Vec::new();
                for (i, axis) in stage.reduce.iter().enumerate() {
                    let inside = if i == 0 { &stage.reduce[1..] } else { &[] };
                    let inner = self.open_axis(cx, axis, inside, &carried);
                    carried = inner.carried.clone();
                    reduce.push(inner);
                }
                self.forget();
                let value = self.expr(cx, stage.value)?;
                carried = vec![cx.combine(combine, dtype, carried[0], value)];
                while let Some(inner) = reduce.pop() {
                    carried = cx.close_loop(inner, &carried);
                    self.depth -= 1;
                }
                // What was computed inside the reduction is not known after it.
                self.forget();
                carried[0]
            }
        };
        let place = self.address(cx, stage.buffer, &stage.at)?;
        cx.store_element(dtype, value, place.0, place.1);
        while let Some(outer) = open.pop() {
            cx.close_loop(outer, &[]);
            self.depth -= 1;
        }
        self.forget();
        Ok(())
    }

    /// Address of an element, as a value and a constant offset.
    fn address(
        &mut self,
        cx: &mut FunctionCx<'_>,
        buffer: BufferId,
        at: &[Index],
    ) -> Result<(Value, i32), Overflow> {
        let (dims, size) =
            (&self.program.buffers[buffer].dims, self.program.buffers[buffer].dtype.size() as i64);
        let mut stride = self.shapes.int(size);
        let mut offset = self.shapes.int(0);
        let mut computed: Vec<(usize, Dim)> = Vec::new();
        let kept = self.schedule.kept.get(&buffer);
        for (i, index) in at.iter().enumerate().rev() {
            if kept.is_some_and(|it| !it[i]) {
                continue;
            }
            match index {
                Index::Dim(index) => {
                    let part = self.shapes.mul(*index, stride)?;
                    offset = self.shapes.add(offset, part)?;
                }
                Index::Value(_) | Index::Checked(_) => computed.push((i, stride)),
            }
            stride = self.shapes.mul(stride, dims[i])?;
        }
        // What may abort comes first, then no address is computed for nothing.
        let mut parts = Vec::new();
        for (i, stride) in computed {
            parts.push((self.data_index(cx, buffer, i, &at[i])?, stride));
        }
        let mut address = self.pointers[&buffer];
        let (value, constant) = Sizes { shapes: &self.shapes, scope: &self.scope }.split_constant(cx, offset);
        if let Some(value) = value {
            address = cx.b.ins().iadd(address, value);
        }
        for (index, stride) in parts {
            let stride = self.size(cx, stride);
            let part = cx.b.ins().imul(index, stride);
            address = cx.b.ins().iadd(address, part);
        }
        Ok(match i32::try_from(constant) {
            Ok(offset) => (address, offset),
            Err(_) => (cx.b.ins().iadd_imm_s(address, constant), 0),
        })
    }

    fn index_value(&mut self, cx: &mut FunctionCx<'_>, id: ExprId) -> Result<Value, Overflow> {
        let value = self.expr(cx, id)?;
        Ok(cx.index_of_element(self.program.dtype_of(id), value))
    }

    /// Index `i` of a buffer, which depends on data. The kernel returns where it is checked and out of range.
    fn data_index(
        &mut self,
        cx: &mut FunctionCx<'_>,
        buffer: BufferId,
        i: usize,
        index: &Index,
    ) -> Result<Value, Overflow> {
        let id = index.value().expect("an index that depends on data has a value");
        if !index.is_checked() {
            return self.index_value(cx, id);
        }
        let dim = self.program.buffers[buffer].dims[i];
        if let Some(known) = self.positions.get(&(id, dim)) {
            return Ok(*known);
        }
        let index = self.index_value(cx, id)?;
        let extent = self.size(cx, dim);
        let position = if self.program.dtype_of(id).is_signed_int() {
            let negative = cx.b.ins().sshr_imm_u(index, 63);
            let from_end = cx.b.ins().band(negative, extent);
            cx.b.ins().iadd(index, from_end)
        } else {
            index
        };
        // As an unsigned number, what is still negative is too large.
        let inside = cx.b.ins().icmp(IntCC::UnsignedLessThan, position, extent);
        let (good, bad) = (cx.b.create_block(), cx.b.create_block());
        cx.b.set_cold_block(bad);
        cx.b.ins().brif(inside, good, &[], bad, &[]);
        cx.b.switch_to_block(bad);
        let place = cx.text(&format!("dimension {i} of `{}`", self.program.buffers[buffer].name));
        let abort = *self.abort.get_or_insert_with(|| {
            let block = cx.b.create_block();
            cx.b.set_cold_block(block);
            (0..3).for_each(|_| {
                cx.b.append_block_param(block, types::I64);
            });
            block
        });
        cx.b.ins().jump(abort, &[place, index, extent].map(BlockArg::Value));
        cx.b.switch_to_block(good);
        self.positions.insert((id, dim), position);
        Ok(position)
    }

    /// Where checks that fail end: the first to fail fills in the failure.
    fn finish_abort(&self, cx: &mut FunctionCx<'_>, buffers: Value) {
        let Some(block) = self.abort else { return };
        let flags = MemFlagsData::trusted();
        cx.b.switch_to_block(block);
        let &[place, index, extent] = cx.b.block_params(block) else { unreachable!("three parameters") };
        let failure = cx.b.ins().load(types::I64, flags, buffers, self.program.params.len() as i32 * 8);
        let at = cx.b.ins().iadd_imm_s(failure, offset_of!(Failure, place) as i64);
        let null = cx.int(0);
        // Other ranges may be running.
        let before = cx.b.ins().atomic_cas(flags, at, null, place);
        let (first, out) = (cx.b.create_block(), cx.b.create_block());
        cx.b.ins().brif(before, out, &[], first, &[]);
        cx.b.switch_to_block(first);
        cx.b.ins().store(flags, index, failure, offset_of!(Failure, index) as i32);
        cx.b.ins().store(flags, extent, failure, offset_of!(Failure, extent) as i32);
        cx.b.ins().jump(out, &[]);
        cx.b.switch_to_block(out);
        cx.b.ins().return_(&[]);
    }

    /// Whether all indices are in range; `None` when that is certain.
    fn in_range(
        &mut self,
        cx: &mut FunctionCx<'_>,
        buffer: BufferId,
        at: &[Index],
    ) -> Result<Option<Value>, Overflow> {
        let mut all: Option<Value> = None;
        for (i, extent) in self.program.buffers[buffer].dims.clone().into_iter().enumerate() {
            let value = match &at[i] {
                Index::Dim(index) => {
                    let zero = self.shapes.int(0);
                    let low = self.shapes.prove_ge(*index, zero);
                    if low.is_always() && self.shapes.prove_lt(*index, extent).is_always() {
                        continue;
                    }
                    self.size(cx, *index)
                }
                Index::Value(id) => self.index_value(cx, *id)?,
                checked @ Index::Checked(_) => {
                    self.data_index(cx, buffer, i, checked)?;
                    continue;
                }
            };
            let extent = self.size(cx, extent);
            // As unsigned numbers, negative indices are too large.
            let inside = cx.b.ins().icmp(IntCC::UnsignedLessThan, value, extent);
            all = Some(match all {
                None => inside,
                Some(all) => cx.b.ins().band(all, inside),
            });
        }
        Ok(all)
    }

    fn expr(&mut self, cx: &mut FunctionCx<'_>, id: ExprId) -> Result<Value, Overflow> {
        if let Some(known) = self.values.get(&id) {
            return Ok(*known);
        }
        let program = self.program;
        let value = match &program.exprs[id] {
            Expr::Dim(dim, dtype) => {
                let value = self.size(cx, *dim);
                cx.element_of_index(*dtype, value)
            }
            Expr::Float(value, dtype) => cx.constant(*dtype, *value),
            Expr::Int(value, dtype) => cx.int_constant(*dtype, *value),
            Expr::Load { buffer, at, otherwise } => {
                let dtype = program.buffers[*buffer].dtype;
                let inside = match otherwise {
                    Some(_) => self.in_range(cx, *buffer, at)?,
                    None => None,
                };
                let (address, offset) = self.address(cx, *buffer, at)?;
                match (inside, otherwise) {
                    (Some(inside), Some(otherwise)) => {
                        let address = cx.b.ins().iadd_imm_s(address, i64::from(offset));
                        let address = cx.b.ins().select(inside, address, self.safe);
                        let value = cx.load_element(dtype, address, 0);
                        let otherwise = self.expr(cx, *otherwise)?;
                        cx.b.ins().select(inside, value, otherwise)
                    }
                    _ => cx.load_element(dtype, address, offset),
                }
            }
            Expr::Unary(op, x) => {
                let value = self.expr(cx, *x)?;
                cx.unary(*op, program.dtype_of(*x), value)
            }
            Expr::Binary(op, x, y) => {
                let dtype = program.dtype_of(*x);
                let (x, y) = (self.expr(cx, *x)?, self.expr(cx, *y)?);
                cx.binary(*op, dtype, x, y)
            }
            Expr::Compare(op, x, y) => {
                let dtype = program.dtype_of(*x);
                let (x, y) = (self.expr(cx, *x)?, self.expr(cx, *y)?);
                cx.compare(*op, dtype, x, y)
            }
            Expr::Select(condition, x, y) => {
                let condition = self.expr(cx, *condition)?;
                let (x, y) = (self.expr(cx, *x)?, self.expr(cx, *y)?);
                cx.b.ins().select(condition, x, y)
            }
            Expr::Cast(to, x) => {
                let value = self.expr(cx, *x)?;
                cx.cast(program.dtype_of(*x), *to, value)
            }
        };
        self.values.insert(id, value);
        Ok(value)
    }
}
