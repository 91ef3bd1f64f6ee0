//! The loops, stages and calls of a phase.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, BlockArg, InstBuilder, MemFlagsData, Value, types};
use indexmap::IndexMap;
use orogen_ir::loops::{Axis, BufferId, BufferRole, Expr, ExprId, Index, Stage, TensorProgram};
use orogen_ir::shape::{Dim, Overflow, ShapeCx, Sym};
use orogen_ir::types::DType;
use std::mem::offset_of;

use super::size::{Scope, Sizes};
use super::unit::{FunctionCx, Symbol};
use crate::select::forms::ParamForm;
use crate::select::{Arg, Call, Node, Parallel, Part, Schedule, checked_indices, symbols_below};

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

/// Where the locals of a phase are.
pub(super) struct Memory {
    /// In what phases share, bytes from its start.
    pub(super) shared: IndexMap<BufferId, Dim>,
    /// In the memory of the thread.
    pub(super) own: IndexMap<BufferId, Dim>,
    /// Where the workspace of routines begins there.
    pub(super) workspace: Dim,
    /// Bytes of the memory of the thread.
    pub(super) bytes: Dim,
}

/// A phase that is being built.
pub(super) struct Lowering<'p> {
    program: &'p TensorProgram,
    /// For each local in memory, which of its dimensions are stored.
    kept: &'p IndexMap<BufferId, Vec<bool>>,
    shapes: ShapeCx,
    /// How parameters lie in memory, by place.
    forms: &'p [ParamForm],
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

impl<'p> Lowering<'p> {
    /// With the parameters of the function.
    pub(super) fn new(
        program: &'p TensorProgram,
        schedule: &'p Schedule,
        shapes: ShapeCx,
        args: &[Value],
    ) -> Lowering<'p> {
        Lowering {
            program,
            kept: &schedule.kept,
            forms: &schedule.forms,
            shapes,
            scope: Scope::default(),
            depth: 0,
            pointers: IndexMap::new(),
            range: None,
            safe: args[0],
            workspace: args[2],
            values: IndexMap::new(),
            positions: IndexMap::new(),
            abort: None,
        }
    }
}

impl Lowering<'_> {
    /// The parts of a phase, which is divided if it says so.
    pub(super) fn run(
        &mut self,
        cx: &mut FunctionCx<'_>,
        args: &[Value],
        (parts, divided): (&[Part], bool),
        memory: &Memory,
        aborts: bool,
    ) -> Result<(), Overflow> {
        let &[buffers, sizes, scratch, begin, end] = args else {
            unreachable!("kernels have five parameters")
        };
        let fixed = MemFlagsData::trusted().with_readonly().with_can_move();
        for (i, sym) in self.program.sizes.iter().enumerate() {
            let value = cx.b.ins().load(types::I64, fixed, sizes, i as i32 * 8);
            self.scope.bind(*sym, value, 0);
        }
        let params = self.program.params.len();
        for (i, id) in self.program.params.iter().enumerate() {
            let pointer = cx.b.ins().load(types::I64, fixed, buffers, i as i32 * 8);
            self.pointers.insert(*id, pointer);
        }
        if !memory.shared.is_empty() {
            let last = params + usize::from(aborts);
            let shared = cx.b.ins().load(types::I64, fixed, buffers, last as i32 * 8);
            self.locals(cx, shared, &memory.shared);
        }
        self.locals(cx, scratch, &memory.own);
        let offset = self.size(cx, memory.workspace);
        self.workspace = cx.b.ins().iadd(scratch, offset);
        if divided && parts.len() > 1 {
            return self.beside(cx, parts, begin, end);
        }
        for part in parts {
            if !divided {
                self.undivided(cx, part)?;
                continue;
            }
            match part.parallel {
                Parallel::Range { begin: first, end: last, .. } => {
                    self.scope.bind(first, begin, 0);
                    self.scope.bind(last, end, 0);
                }
                Parallel::Loop(_) => self.range = Some((begin, end)),
                Parallel::No => {}
            }
            self.nodes(cx, &part.body)?;
        }
        Ok(())
    }

    /// Those of parts beside each other whose numbers are in a range.
    fn beside(
        &mut self,
        cx: &mut FunctionCx<'_>,
        parts: &[Part],
        begin: Value,
        end: Value,
    ) -> Result<(), Overflow> {
        for (number, part) in parts.iter().enumerate() {
            let (run, done) = (cx.b.create_block(), cx.b.create_block());
            let first = cx.b.ins().icmp_imm_s(IntCC::SignedLessThanOrEqual, begin, number as i64);
            let last = cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, end, number as i64);
            let here = cx.b.ins().band(first, last);
            cx.b.ins().brif(here, run, &[], done, &[]);
            cx.b.switch_to_block(run);
            self.undivided(cx, part)?;
            cx.b.ins().jump(done, &[]);
            cx.b.switch_to_block(done);
            self.forget();
        }
        Ok(())
    }

    /// All of a part.
    fn undivided(&mut self, cx: &mut FunctionCx<'_>, part: &Part) -> Result<(), Overflow> {
        if let Parallel::Range { units, begin, end } = part.parallel {
            let (zero, units) = (cx.int(0), self.size(cx, units));
            self.scope.bind(begin, zero, 0);
            self.scope.bind(end, units, 0);
        }
        self.nodes(cx, &part.body)
    }

    fn locals(&mut self, cx: &mut FunctionCx<'_>, start: Value, offsets: &IndexMap<BufferId, Dim>) {
        for (id, offset) in offsets {
            let offset = self.size(cx, *offset);
            let pointer = cx.b.ins().iadd(start, offset);
            self.pointers.insert(*id, pointer);
        }
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
                Node::Probe { stage } => self.probe(cx, stage)?,
                Node::Guarded { checks, body } => {
                    self.nodes(cx, checks)?;
                    self.nodes(cx, body)?;
                }
                Node::Checked { body, again: other } => {
                    let flags = MemFlagsData::trusted();
                    let good = cx.int(0);
                    cx.b.ins().store(flags, good, self.workspace, 0);
                    self.nodes(cx, body)?;
                    let bad = cx.b.ins().load(types::I64, flags, self.workspace, 0);
                    let (again, done) = (cx.b.create_block(), cx.b.create_block());
                    cx.b.set_cold_block(again);
                    cx.b.ins().brif(bad, again, &[], done, &[]);
                    cx.b.switch_to_block(again);
                    self.nodes(cx, std::slice::from_ref(other))?;
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
            if self.kept.get(buffer).is_some_and(|kept| !kept.iter().all(|it| *it)) {
                continue;
            }
            if self.program.buffers[*buffer].role == BufferRole::Local && !self.kept.contains_key(buffer) {
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
                Arg::Value(value, more) => {
                    let value = self.index_value(cx, *value)?;
                    let [least, most] = [-(1 << 41), 1 << 41].map(|it| cx.int(it));
                    let value = cx.b.ins().smax(value, least);
                    let value = cx.b.ins().smin(value, most);
                    let more = self.size(cx, *more);
                    cx.b.ins().iadd(value, more)
                }
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

    /// The checks of a stage's indices, over the axes that these name.
    fn probe(&mut self, cx: &mut FunctionCx<'_>, stage: &Stage) -> Result<(), Overflow> {
        let checked = checked_indices(self.program, stage);
        let roots = checked.iter().filter_map(|(_, at)| at.value()).collect::<Vec<_>>();
        let names: Vec<Sym> = roots.iter().flat_map(|it| symbols_below(self.program, *it)).collect();
        let all = stage.axes.iter().chain(&stage.reduce).copied();
        let (named, others): (Vec<Axis>, Vec<Axis>) = all.partition(|it| names.contains(&it.var));
        // Where the others have no iteration, nothing is indexed.
        let others: Vec<Dim> = others.iter().map(|it| it.extent).collect();
        let guard = self.all_turn(cx, &others).map(|any| {
            let (run, done) = (cx.b.create_block(), cx.b.create_block());
            cx.b.ins().brif(any, run, &[], done, &[]);
            cx.b.switch_to_block(run);
            done
        });
        let mut open = Vec::new();
        for axis in &named {
            open.push(self.open_axis(cx, axis, &[], &[]));
        }
        self.forget();
        for ((buffer, place), index) in checked {
            self.data_index(cx, buffer, place, &index)?;
        }
        while let Some(outer) = open.pop() {
            cx.close_loop(outer, &[]);
            self.depth -= 1;
        }
        self.forget();
        if let Some(done) = guard {
            cx.b.ins().jump(done, &[]);
            cx.b.switch_to_block(done);
        }
        Ok(())
    }

    /// Address of an element, as a value and a constant offset.
    fn address(
        &mut self,
        cx: &mut FunctionCx<'_>,
        buffer: BufferId,
        at: &[Index],
    ) -> Result<(Value, i32), Overflow> {
        let size = self.program.buffers[buffer].dtype.size() as i64;
        self.address_from(cx, (self.pointers[&buffer], size), buffer, at)
    }

    /// Whether elements of a buffer lie side by side in bytes.
    fn is_packed(&self, buffer: BufferId) -> bool {
        let place = self.program.params.iter().position(|it| *it == buffer);
        place.is_some_and(|it| self.forms[it] == ParamForm::Packed)
    }

    /// Number of an element.
    fn position(
        &mut self,
        cx: &mut FunctionCx<'_>,
        buffer: BufferId,
        at: &[Index],
    ) -> Result<Value, Overflow> {
        let start = cx.int(0);
        let (position, offset) = self.address_from(cx, (start, 1), buffer, at)?;
        Ok(cx.b.ins().iadd_imm_s(position, i64::from(offset)))
    }

    /// Address of an element of a size, from a start, as a value and a constant offset.
    fn address_from(
        &mut self,
        cx: &mut FunctionCx<'_>,
        (mut address, size): (Value, i64),
        buffer: BufferId,
        at: &[Index],
    ) -> Result<(Value, i32), Overflow> {
        let dims = &self.program.buffers[buffer].dims;
        let mut stride = self.shapes.int(size);
        let mut offset = self.shapes.int(0);
        let mut computed: Vec<(usize, Dim)> = Vec::new();
        let kept = self.kept.get(&buffer);
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
        let place = cx.text(&match &self.program.buffers[buffer].name[..] {
            "" => format!("dimension {i} of an inner value"),
            name => format!("dimension {i} of `{name}`"),
        });
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
    pub(super) fn finish_abort(&self, cx: &mut FunctionCx<'_>, buffers: Value) {
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
                if self.is_packed(*buffer) {
                    let position = self.position(cx, *buffer, at)?;
                    let (mut byte, shift) = cx.place_in_byte(dtype, self.pointers[buffer], position);
                    if let Some(inside) = inside {
                        byte = cx.b.ins().select(inside, byte, self.safe);
                    }
                    let mut value = cx.load_packed(dtype, byte, shift);
                    if let (Some(inside), Some(otherwise)) = (inside, otherwise) {
                        let otherwise = self.expr(cx, *otherwise)?;
                        value = cx.b.ins().select(inside, value, otherwise);
                    }
                    self.values.insert(id, value);
                    return Ok(value);
                }
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
