//! Calls of kernels: phase after phase, each on the threads of the host where that is worth it.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, FuncRef, InstBuilder, Value, types};
use orogen_ir::kernel::Kernel as Called;
use orogen_ir::plan::{BufferRef, KernelId};
use orogen_ir::shape::Dim;
use std::mem::offset_of;

use super::Entry;
use crate::clif::kernel::{Kernel, KernelPhase, PARAMS};
use crate::clif::lowering::Failure;
use crate::clif::size::{Scope, Sizes};
use crate::clif::support::{Form, Support};
use crate::clif::unit::Symbol;
use crate::select::parts::{GRAIN, WORK};

/// A kernel that is being called.
struct Call<'a> {
    kernel: &'a Kernel,
    /// Values of its size parameters.
    scope: Scope,
    /// Where its arguments and sizes are.
    buffers: Value,
    sizes: Value,
    /// Bytes of [`Kernel::memory`].
    bytes: Value,
    /// What phases share, and the memory of this thread behind it; none if they share nothing.
    memory: Option<Value>,
}

impl Entry<'_, '_, '_> {
    pub(super) fn kernel(&mut self, id: KernelId, called: &Called, args: &[BufferRef], sizes: &[Dim]) {
        let kernels = self.input.kernels;
        let kernel =
            kernels[id.0 as usize].as_ref().expect("all kernels but functions of the host have code");
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
        let mut scope = Scope::default();
        for (i, (size, symbol)) in sizes.iter().zip(called.sizes()).enumerate() {
            let checked = self.measured(*size);
            if !self.exact.contains(&self.input.plan.shapes, *size) {
                self.exact(checked);
                self.exact.insert(*size);
            }
            let shapes = called.shapes();
            self.in_range(checked, shapes.kind(*symbol), shapes.name(*symbol));
            self.cx.b.ins().stack_store(types::I64, checked.value, self.call_sizes, i as i32 * 8);
            scope.bind(*symbol, checked.value, 0);
        }
        let inner = Sizes { shapes: &kernel.shapes, scope: &scope };
        let bytes = inner.checked(self.cx, kernel.memory);
        self.check_bytes(bytes);
        let bytes = bytes.value;
        let memory = (kernel.shapes.as_int(kernel.shared) != Some(0)).then(|| self.memory(bytes));
        if let Some(memory) = memory {
            let place = args.len() + usize::from(kernel.aborts);
            self.cx.b.ins().stack_store(types::I64, memory, self.call_buffers, place as i32 * 8);
        }
        let buffers = self.cx.b.ins().stack_addr(types::I64, self.call_buffers, 0);
        let sizes = self.cx.b.ins().stack_addr(types::I64, self.call_sizes, 0);
        let call = Call { kernel, scope, buffers, sizes, bytes, memory };
        let done = self.cx.b.create_block();
        let last = kernel.phases.len() - 1;
        for (number, phase) in kernel.phases.iter().enumerate() {
            let name = Symbol::Local(phase.unit.name.clone());
            let function = self.kernels.entry((id.0, number));
            let function = *function.or_insert_with(|| self.cx.function(name, &PARAMS, &[]));
            let after = if number == last { done } else { self.cx.b.create_block() };
            self.phase(&call, phase, function, after);
            self.cx.b.switch_to_block(after);
            if kernel.aborts && number != last {
                let good = self.is_good();
                let next = self.cx.b.create_block();
                self.cx.b.ins().brif(good, next, &[], done, &[]);
                self.cx.b.switch_to_block(next);
            }
        }
        if kernel.aborts {
            self.check_failure(if self.place.is_empty() { called.name() } else { "" });
        }
    }

    /// Runs a phase and goes on at `after`.
    fn phase(&mut self, call: &Call<'_>, phase: &KernelPhase, function: FuncRef, after: Block) {
        let zero = self.cx.int(0);
        let inner = Sizes { shapes: &call.kernel.shapes, scope: &call.scope };
        let mut extent = zero;
        if phase.divided {
            let checked = inner.checked(self.cx, phase.extent);
            let scratch = inner.value(self.cx, phase.scratch);
            let work = inner.checked(self.cx, phase.work);
            self.exact(checked);
            extent = checked.value;
            let most = self.cx.int(i64::MAX);
            let work = match work.overflow {
                Some(overflow) => self.cx.b.ins().select(overflow, most, work.value),
                None => work.value,
            };
            let (parallel, serial) = (self.cx.b.create_block(), self.cx.b.create_block());
            let has_host = self.cx.b.ins().icmp_imm_s(IntCC::NotEqual, self.host, 0);
            let large = self.cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, work, WORK);
            let several = self.cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, extent, 1);
            let wanted = self.cx.b.ins().band(large, several);
            let wanted = self.cx.b.ins().band(wanted, has_host);
            self.cx.b.ins().brif(wanted, parallel, &[], serial, &[]);
            self.cx.b.switch_to_block(parallel);
            // Iterations that make up the least work of a range.
            let scaled = self.cx.b.ins().imul_imm_s(extent, GRAIN);
            let grain = self.cx.b.ins().sdiv(scaled, work);
            let one = self.cx.int(1);
            let grain = self.cx.b.ins().smax(grain, one);
            let address = self.cx.b.ins().func_addr(types::I64, function);
            let args = [address, call.buffers, call.sizes, scratch, extent, grain];
            let status = self.cx.support(Support::Parallel, &args).expect("one result");
            self.cx.b.ins().brif(status, self.fail, &[], after, &[]);
            self.cx.b.switch_to_block(serial);
        }
        let memory = match (call.memory, call.kernel.shapes.as_int(phase.scratch)) {
            (_, Some(0)) => zero,
            (Some(memory), _) => {
                let shared = Sizes { shapes: &call.kernel.shapes, scope: &call.scope };
                let shared = shared.value(self.cx, call.kernel.shared);
                self.cx.b.ins().iadd(memory, shared)
            }
            (None, _) => self.memory(call.bytes),
        };
        self.cx.b.ins().call(function, &[call.buffers, call.sizes, memory, zero, extent]);
        self.cx.b.ins().jump(after, &[]);
    }

    /// Memory for the kernel being called.
    fn memory(&mut self, bytes: Value) -> Value {
        let memory = self.frame.scratch();
        let pointer = self.frame.reserve(self.cx, self.host, memory, bytes);
        self.require_made(pointer);
        pointer
    }

    /// Whether the kernel has not aborted.
    fn is_good(&mut self) -> Value {
        let offset = offset_of!(Failure, place) as i32;
        let place = self.cx.b.ins().stack_load(types::I64, types::I64, self.failure, offset);
        self.cx.b.ins().icmp_imm_s(IntCC::Equal, place, 0)
    }

    /// Ends the call when a kernel aborted.
    fn check_failure(&mut self, what: &str) {
        let good = self.is_good();
        let bad = self.unless(good);
        let next = self.cx.b.current_block();
        self.cx.b.switch_to_block(bad);
        let failure = self.cx.b.ins().stack_addr(types::I64, self.failure, 0);
        let zero = self.cx.int(0);
        self.raise("IndexError", what, Form::Index, zero, failure);
        self.cx.b.switch_to_block(next.expect("`unless` leaves a current block"));
    }
}
