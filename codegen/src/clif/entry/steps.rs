//! The steps of a plan.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, StackSlotData, StackSlotKind, Value, types};
use orogen_abi::{Any, DLDataType, DLTensor, TensorObject, TypeIndex};
use orogen_ir::plan::{BufferRef, KernelId, ShapeCheck, Step};
use orogen_ir::shape::{Constraint, Dim, Sym, SymbolKind};
use orogen_ir::types::DType;
use std::mem::{offset_of, size_of};

use super::arguments::dlpack;
use super::{Entry, MAX_BYTES, MAX_EXTENT};
use crate::clif::kernel::{Failure, Kernel, PARAMS};
use crate::clif::size::{Scope, Sizes};
use crate::clif::support::{Form, Support};
use crate::clif::unit::Symbol;

/// Integers read from data that are no sizes are cut to this magnitude, so that sums of them do not wrap.
const MAX_INTEGER: i64 = 1 << 60;

/// Work, in element operations, below which a kernel is not worth a second thread.
const PARALLEL_WORK: i64 = 1 << 16;
/// Least work of one range of a parallel loop.
const GRAIN_WORK: i64 = 1 << 14;

impl Entry<'_, '_, '_> {
    pub(super) fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            self.step(step);
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::AllocArena(id) => {
                let bytes = self.input.plan.arenas[id.0 as usize].bytes;
                let bytes = self.checked_bytes(bytes);
                let memory = self.frame.arena(*id);
                let pointer = self.frame.reserve(self.cx, memory, bytes);
                self.require_made(pointer);
            }
            Step::AllocOutput(i) => self.alloc_output(*i as usize),
            Step::Kernel { kernel, args, sizes, source } => self.kernel(*kernel, args, sizes, source),
            Step::Extern { symbol, args, .. } => self.call_extern(symbol, args),
            Step::Copy { from, to, bytes } => {
                let (from, to) = (self.plain_buffer(*from), self.plain_buffer(*to));
                let bytes = self.size(*bytes);
                let symbol = Symbol::Import("memmove".to_owned());
                self.cx.call(symbol, &[types::I64; 3], &[types::I64], &[to, from, bytes]);
            }
            Step::Bind { symbol, from, dtype, element } => {
                let pointer = self.plain_buffer(*from);
                let offset = element.saturating_mul(dtype.size() as u64);
                let pointer = self.cx.b.ins().iadd_imm_s(pointer, offset.cast_signed());
                let value = self.cx.load_element(*dtype, pointer, 0);
                let value = self.cx.index_of_element(*dtype, value);
                self.bind(*symbol, value);
            }
            Step::Let { symbol, value } => {
                let value = self.size(*value);
                self.scope.assign(self.cx, *symbol, value);
            }
            Step::Check(check) => self.check(check),
            Step::If { cond, then_steps, else_steps } => {
                let condition = self.condition(*cond);
                let [yes, no, done] = std::array::from_fn(|_| self.cx.b.create_block());
                self.cx.b.ins().brif(condition, yes, &[], no, &[]);
                self.cx.b.switch_to_block(yes);
                self.steps(then_steps);
                self.cx.b.ins().jump(done, &[]);
                self.cx.b.switch_to_block(no);
                self.steps(else_steps);
                self.cx.b.ins().jump(done, &[]);
                self.cx.b.switch_to_block(done);
            }
            Step::While { cond_steps, cond, body } => {
                let [head, inside, done] = std::array::from_fn(|_| self.cx.b.create_block());
                self.cx.b.ins().jump(head, &[]);
                self.cx.b.switch_to_block(head);
                self.steps(cond_steps);
                let condition = self.condition(*cond);
                self.cx.b.ins().brif(condition, inside, &[], done, &[]);
                self.cx.b.switch_to_block(inside);
                self.steps(body);
                self.cx.b.ins().jump(head, &[]);
                self.cx.b.switch_to_block(done);
            }
        }
    }

    fn condition(&mut self, cond: BufferRef) -> Value {
        let pointer = self.plain_buffer(cond);
        self.cx.b.ins().load(types::I8, MemFlagsData::trusted(), pointer, 0)
    }

    /// A symbol whose value comes from data.
    fn bind(&mut self, symbol: Sym, value: Value) {
        let shapes = &self.input.plan.shapes;
        let value = match shapes.kind(symbol) {
            SymbolKind::Integer => {
                let (lo, hi) = (self.cx.int(-MAX_INTEGER), self.cx.int(MAX_INTEGER));
                let value = self.cx.b.ins().smax(value, lo);
                self.cx.b.ins().smin(value, hi)
            }
            SymbolKind::Size | SymbolKind::Index { .. } => {
                let ok = self.cx.b.ins().icmp_imm_u(IntCC::UnsignedLessThanOrEqual, value, MAX_EXTENT);
                let message =
                    format!("the size `{}` computed from data is out of range", shapes.name(symbol));
                let most = self.cx.int(MAX_EXTENT);
                self.require(ok, "ValueError", &message, Some((most, value)));
                value
            }
        };
        self.scope.assign(self.cx, symbol, value);
    }

    pub(super) fn check(&mut self, check: &ShapeCheck) {
        let (ok, expected, got) = match check.constraint {
            Constraint::AtLeast(dim, least) => {
                let value = self.size(dim);
                let ok = self.cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, value, least);
                (ok, self.cx.int(least), value)
            }
            Constraint::AtMost(dim, most) => {
                let value = self.size(dim);
                let ok = self.cx.b.ins().icmp_imm_s(IntCC::SignedLessThanOrEqual, value, most);
                (ok, self.cx.int(most), value)
            }
            Constraint::Eq(a, b) => {
                let (a, b) = (self.size(a), self.size(b));
                (self.cx.b.ins().icmp(IntCC::Equal, a, b), b, a)
            }
            Constraint::Multiple(dim, of) => {
                let value = self.size(dim);
                let of = self.cx.int(of);
                let rest = self.cx.binary(orogen_ir::loops::BinaryOp::Mod, DType::I64, value, of);
                (self.cx.b.ins().icmp_imm_s(IntCC::Equal, rest, 0), of, value)
            }
        };
        let how = match check.constraint {
            Constraint::AtLeast(..) => " (at least)",
            Constraint::AtMost(..) => " (at most)",
            Constraint::Eq(..) => "",
            Constraint::Multiple(..) => " (a multiple)",
        };
        self.require(ok, "ValueError", &format!("{}{how}", check.message), Some((expected, got)));
    }

    /// A number of bytes, in range (law E3).
    fn checked_bytes(&mut self, bytes: Dim) -> Value {
        if self.input.plan.shapes.as_int(bytes).is_none() {
            let approximate = self.approximate(bytes);
            self.check_bytes(approximate);
        }
        self.size(bytes)
    }

    fn check_bytes(&mut self, approximate: Value) {
        let limit = self.cx.b.ins().f64const(MAX_BYTES);
        let ok = self.cx.b.ins().fcmp(FloatCC::LessThanOrEqual, approximate, limit);
        self.require(ok, "ValueError", "these dimensions need more memory than can be addressed", None);
    }

    fn alloc_output(&mut self, output: usize) {
        let plan = self.input.plan;
        let it = &plan.outputs[output];
        let old = self.frame.output_object(self.cx, output);
        self.cx.support(Support::Release, &[old]);
        let zero = self.cx.int(0);
        self.frame.set_output(self.cx, output, zero, zero);
        let element = it.dtype.size();
        let mut bytes = self.cx.int(element as i64);
        let mut product = self.cx.b.ins().f64const(element as f64);
        for (axis, dim) in it.dims.iter().enumerate() {
            let extent = self.size(*dim);
            self.cx.b.ins().stack_store(types::I64, extent, self.call_sizes, axis as i32 * 8);
            bytes = self.cx.b.ins().imul(bytes, extent);
            if plan.shapes.as_int(*dim).is_none() {
                let ok = self.cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, extent, 0);
                let least = self.cx.int(0);
                let message = format!("output `{}`: dimension {axis} (at least)", it.name);
                self.require(ok, "ValueError", &message, Some((least, extent)));
            }
            let factor = self.approximate(*dim);
            product = self.cx.b.ins().fmul(product, factor);
        }
        if it.dims.iter().any(|dim| plan.shapes.as_int(*dim).is_none()) {
            self.check_bytes(product);
        }
        let dtype = self.cx.b.ins().iconst(types::I32, i64::from(dlpack(it.dtype).to_bits()));
        let rank = self.cx.b.ins().iconst(types::I32, it.dims.len() as i64);
        let shape = self.cx.b.ins().stack_addr(types::I64, self.call_sizes, 0);
        let object = self.cx.support(Support::NewTensor, &[dtype, rank, shape, bytes]).expect("one result");
        self.require_made(object);
        let offset = offset_of!(TensorObject, dl_tensor) + offset_of!(DLTensor, data);
        let data = self.cx.b.ins().load(types::I64, MemFlagsData::trusted(), object, offset as i32);
        self.frame.set_output(self.cx, output, object, data);
    }

    fn kernel(&mut self, id: KernelId, args: &[BufferRef], sizes: &[Dim], source: &str) {
        let kernels = self.input.kernels;
        let kernel = &kernels[id.0 as usize];
        for (i, arg) in args.iter().enumerate() {
            let pointer =
                self.buffer(*arg, |entry, constant| entry.input.constants.kernel_argument(id.0, i, constant));
            self.cx.b.ins().stack_store(types::I64, pointer, self.call_buffers, i as i32 * 8);
        }
        if kernel.aborts {
            let failure = self.cx.b.ins().stack_addr(types::I64, self.failure, 0);
            self.cx.b.ins().stack_store(types::I64, failure, self.call_buffers, args.len() as i32 * 8);
            let zero = self.cx.int(0);
            self.cx.b.ins().stack_store(types::I64, zero, self.failure, offset_of!(Failure, place) as i32);
        }
        let program = &self.input.plan.kernels[id.0 as usize];
        let mut scope = Scope::default();
        for (i, (size, symbol)) in sizes.iter().zip(&program.sizes).enumerate() {
            let value = self.size(*size);
            self.cx.b.ins().stack_store(types::I64, value, self.call_sizes, i as i32 * 8);
            scope.bind(*symbol, value, 0);
        }
        let inner = Sizes { shapes: &kernel.shapes, scope: &scope };
        let scratch = match kernel.shapes.as_int(kernel.scratch) {
            Some(bytes) => self.cx.int(bytes),
            None => {
                let approximate = inner.approximate(self.cx, kernel.scratch);
                self.check_bytes(approximate);
                inner.value(self.cx, kernel.scratch)
            }
        };
        let extent = inner.value(self.cx, kernel.extent);
        let work = match (self.input.parallel && kernel.parallel, kernel.shapes.as_int(kernel.work)) {
            (false, _) => None,
            (true, Some(work)) if work < PARALLEL_WORK => None,
            _ => Some(inner.value(self.cx, kernel.work)),
        };
        let name = Symbol::Local(kernel.unit.name.clone());
        let function =
            *self.kernels[id.0 as usize].get_or_insert_with(|| self.cx.function(name, &PARAMS, &[]));
        let buffers = self.cx.b.ins().stack_addr(types::I64, self.call_buffers, 0);
        let values = self.cx.b.ins().stack_addr(types::I64, self.call_sizes, 0);
        let done = self.cx.b.create_block();
        if let Some(work) = work {
            let (parallel, serial) = (self.cx.b.create_block(), self.cx.b.create_block());
            let host = self.cx.host();
            let has_host = self.cx.b.ins().icmp_imm_s(IntCC::NotEqual, host, 0);
            let large = self.cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, work, PARALLEL_WORK);
            let several = self.cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, extent, 1);
            let wanted = self.cx.b.ins().band(large, several);
            let wanted = self.cx.b.ins().band(wanted, has_host);
            self.cx.b.ins().brif(wanted, parallel, &[], serial, &[]);
            self.cx.b.switch_to_block(parallel);
            // Iterations that make up the least work of a range.
            let scaled = self.cx.b.ins().imul_imm_s(extent, GRAIN_WORK);
            let grain = self.cx.b.ins().sdiv(scaled, work);
            let one = self.cx.int(1);
            let grain = self.cx.b.ins().smax(grain, one);
            let address = self.cx.b.ins().func_addr(types::I64, function);
            let args = [address, buffers, values, scratch, extent, grain];
            let status = self.cx.support(Support::Parallel, &args).expect("one result");
            self.cx.b.ins().brif(status, self.fail, &[], done, &[]);
            self.cx.b.switch_to_block(serial);
        }
        let memory = match kernel.shapes.as_int(kernel.scratch) {
            Some(0) => self.cx.int(0),
            _ => {
                let memory = self.frame.scratch();
                let pointer = self.frame.reserve(self.cx, memory, scratch);
                self.require_made(pointer);
                pointer
            }
        };
        let zero = self.cx.int(0);
        self.cx.b.ins().call(function, &[buffers, values, memory, zero, extent]);
        self.cx.b.ins().jump(done, &[]);
        self.cx.b.switch_to_block(done);
        self.check_failure(kernel, if source.is_empty() { &program.name } else { source });
    }

    /// Ends the call when a kernel aborted.
    fn check_failure(&mut self, kernel: &Kernel, source: &str) {
        if !kernel.aborts {
            return;
        }
        let offset = offset_of!(Failure, place) as i32;
        let place = self.cx.b.ins().stack_load(types::I64, types::I64, self.failure, offset);
        let good = self.cx.b.ins().icmp_imm_s(IntCC::Equal, place, 0);
        let bad = self.unless(good);
        let next = self.cx.b.current_block();
        self.cx.b.switch_to_block(bad);
        let failure = self.cx.b.ins().stack_addr(types::I64, self.failure, 0);
        let zero = self.cx.int(0);
        self.raise("IndexError", source, Form::Index, zero, failure);
        self.cx.b.switch_to_block(next.expect("`unless` leaves a current block"));
    }

    /// Calls a function of the host with views of the buffers: inputs and outputs as they are, everything else as
    /// bytes.
    fn call_extern(&mut self, symbol: &str, args: &[BufferRef]) {
        let plan = self.input.plan;
        let any = size_of::<Any>();
        let room = |it: &mut Self, bytes: usize| {
            let bytes = u32::try_from(bytes.max(8)).unwrap_or(u32::MAX);
            it.cx.b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 4))
        };
        let list = room(self, any * (args.len() + 1));
        // A view and the extents of each constant and slot.
        let view_bytes = size_of::<DLTensor>();
        let views = room(self, args.len() * view_bytes);
        let rank = |it: &BufferRef| match it {
            BufferRef::Constant(id) => plan.constants.data(*id).dims().len(),
            BufferRef::Input(i) => plan.inputs[*i as usize].dims.len(),
            BufferRef::Slot(slot) => plan.slots[slot.0 as usize].dims.len(),
            BufferRef::Output(_) => 0,
        };
        let extents = room(self, args.iter().map(|it| 8 * rank(it)).sum());
        let mut used = 0;
        for (i, arg) in args.iter().enumerate() {
            let at = (i * any) as i32;
            let (index, payload) = if let BufferRef::Output(output) = arg {
                (TypeIndex::TENSOR, self.frame.output_object(self.cx, *output as usize))
            } else {
                let start = (i * view_bytes) as i32;
                let (dtype, dims) = self.view_type(*arg);
                let data = self.plain_buffer(*arg);
                let first = used;
                for dim in &dims {
                    self.cx.b.ins().stack_store(types::I64, *dim, extents, used);
                    used += 8;
                }
                let shape = self.cx.b.ins().stack_addr(types::I64, extents, first);
                let zero = self.cx.int(0);
                let device = self.cx.int(1);
                let rank = self.cx.b.ins().iconst(types::I32, dims.len() as i64);
                let dtype = self.cx.b.ins().iconst(types::I32, i64::from(dtype.to_bits()));
                let fields = [
                    (data, offset_of!(DLTensor, data)),
                    (device, offset_of!(DLTensor, device)),
                    (rank, offset_of!(DLTensor, ndim)),
                    (dtype, offset_of!(DLTensor, dtype)),
                    (shape, offset_of!(DLTensor, shape)),
                    (zero, offset_of!(DLTensor, strides)),
                    (zero, offset_of!(DLTensor, byte_offset)),
                ];
                for (value, offset) in fields {
                    self.cx.b.ins().stack_store(types::I64, value, views, start + offset as i32);
                }
                (TypeIndex::DL_TENSOR, self.cx.b.ins().stack_addr(types::I64, views, start))
            };
            let index = self.cx.int(i64::from(index));
            self.cx.b.ins().stack_store(types::I64, index, list, at);
            self.cx.b.ins().stack_store(types::I64, payload, list, at + offset_of!(Any, payload) as i32);
        }
        let result = (args.len() * any) as i32;
        let none = self.cx.int(0);
        self.cx.b.ins().stack_store(types::I64, none, list, result);
        self.cx.b.ins().stack_store(types::I64, none, list, result + 8);
        let name = self.cx.text(symbol);
        let first = self.cx.b.ins().stack_addr(types::I64, list, 0);
        let count = self.cx.b.ins().iconst(types::I32, args.len() as i64);
        let result_at = self.cx.b.ins().stack_addr(types::I64, list, result);
        let status = self.cx.support(Support::CallExtern, &[name, first, count, result_at]);
        let good = self.cx.b.create_block();
        self.cx.b.ins().brif(status.expect("one result"), self.fail, &[], good, &[]);
        self.cx.b.switch_to_block(good);
        // The result is not used; an object in it is given back.
        let index = self.cx.b.ins().stack_load(types::I64, types::I32, list, result);
        let object = self.cx.b.ins().stack_load(types::I64, types::I64, list, result + 8);
        let is_object =
            self.cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, index, i64::from(TypeIndex::OBJECT));
        let object = self.cx.b.ins().select(is_object, object, none);
        self.cx.support(Support::Release, &[object]);
    }

    fn view_type(&mut self, arg: BufferRef) -> (DLDataType, Vec<Value>) {
        let plan = self.input.plan;
        match arg {
            BufferRef::Input(i) => {
                let input = &plan.inputs[i as usize];
                (dlpack(input.dtype), input.dims.iter().map(|it| self.size(*it)).collect())
            }
            BufferRef::Constant(id) => {
                let data = plan.constants.data(id);
                (dlpack(data.dtype()), data.dims().iter().map(|it| self.cx.int(it.cast_signed())).collect())
            }
            BufferRef::Slot(slot) => {
                let slot = &plan.slots[slot.0 as usize];
                (dlpack(slot.dtype), slot.dims.iter().map(|it| self.size(*it)).collect())
            }
            BufferRef::Output(_) => (DLDataType::U8, Vec::new()),
        }
    }
}
