//! Structured control flow and address arithmetic on a Cranelift function builder.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{
    FuncRef, InstBuilder, MemFlagsData, SigRef, StackSlotData, StackSlotKind, Value,
};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_module::{FuncId, Module};

use crate::vector::encode::{self, DefineError};

/// A function builder with the few words that drivers are written in. All values are 64-bit integers.
pub(crate) struct Flow<'a, 'f> {
    pub(crate) b: &'a mut FunctionBuilder<'f>,
}

impl Flow<'_, '_> {
    pub(crate) fn int(&mut self, n: i64) -> Value {
        self.b.ins().iconst(I64, n)
    }

    pub(crate) fn add(&mut self, a: Value, b: Value) -> Value {
        self.b.ins().iadd(a, b)
    }

    pub(crate) fn sub(&mut self, a: Value, b: Value) -> Value {
        self.b.ins().isub(a, b)
    }

    pub(crate) fn mul(&mut self, a: Value, b: Value) -> Value {
        self.b.ins().imul(a, b)
    }

    pub(crate) fn product(&mut self, factors: &[Value]) -> Value {
        let Some((first, others)) = factors.split_first() else { return self.int(1) };
        others.iter().fold(*first, |product, it| self.mul(product, *it))
    }

    pub(crate) fn scale(&mut self, a: Value, by: i64) -> Value {
        let by = self.int(by);
        self.mul(a, by)
    }

    pub(crate) fn offset(&mut self, a: Value, by: i64) -> Value {
        self.b.ins().iadd_imm_s(a, by)
    }

    /// `base + a * by`.
    pub(crate) fn at(&mut self, base: Value, a: Value, by: Value) -> Value {
        let offset = self.mul(a, by);
        self.add(base, offset)
    }

    /// `base + a * by` for a constant factor.
    pub(crate) fn at_scaled(&mut self, base: Value, a: Value, by: i64) -> Value {
        let offset = self.scale(a, by);
        self.add(base, offset)
    }

    pub(crate) fn min(&mut self, a: Value, b: Value) -> Value {
        self.pick(IntCC::SignedLessThan, a, b)
    }

    pub(crate) fn max(&mut self, a: Value, b: Value) -> Value {
        self.pick(IntCC::SignedGreaterThan, a, b)
    }

    fn pick(&mut self, condition: IntCC, a: Value, b: Value) -> Value {
        self.select(condition, [a, b], [a, b])
    }

    /// The first value if the comparison of the operands holds, else the second.
    pub(crate) fn select(
        &mut self,
        condition: IntCC,
        [a, b]: [Value; 2],
        [then, other]: [Value; 2],
    ) -> Value {
        let holds = self.b.ins().icmp(condition, a, b);
        self.b.ins().select(holds, then, other)
    }

    /// 1 if the comparison holds, else 0.
    pub(crate) fn flag(&mut self, condition: IntCC, a: Value, b: Value) -> Value {
        let holds = self.b.ins().icmp(condition, a, b);
        self.b.ins().uextend(I64, holds)
    }

    /// `⌊a / by⌋` for `a >= 0`, `by > 0`.
    pub(crate) fn div(&mut self, a: Value, by: Value) -> Value {
        self.b.ins().udiv(a, by)
    }

    /// `a mod by` for `a >= 0`, `by > 0`.
    pub(crate) fn rem(&mut self, a: Value, by: Value) -> Value {
        let whole = self.div(a, by);
        let before = self.mul(whole, by);
        self.sub(a, before)
    }

    /// `⌊a * times / by⌋` for `a >= 0`.
    pub(crate) fn scaled_div(&mut self, a: Value, times: i64, by: i64) -> Value {
        let a = self.scale(a, times);
        let by = self.int(by);
        self.div(a, by)
    }

    /// Bytes of so many elements of which a byte holds some: `⌈a / in_a_byte⌉`.
    pub(crate) fn shared(&mut self, a: Value, in_a_byte: i64) -> Value {
        if in_a_byte == 1 {
            return a;
        }
        let whole = self.round_up(a, in_a_byte);
        self.scaled_div(whole, 1, in_a_byte)
    }

    /// `⌈a / by⌉ * by` for `a >= 0`.
    pub(crate) fn round_up(&mut self, a: Value, by: i64) -> Value {
        let more = self.offset(a, by - 1);
        let by = self.int(by);
        let whole = self.div(more, by);
        self.mul(whole, by)
    }

    /// The size of a block: `total` in equal parts of at most `most`, in multiples of `unit`; at least one unit.
    pub(crate) fn balanced(&mut self, total: Value, most: i64, unit: i64) -> Value {
        let most = self.int(most);
        self.balanced_by(total, most, unit)
    }

    /// The same with a limit known at run time.
    pub(crate) fn balanced_by(&mut self, total: Value, most: Value, unit: i64) -> Value {
        let one = self.int(1);
        let parts = self.ceil_div(total, most);
        let parts = self.max(parts, one);
        let part = self.ceil_div(total, parts);
        let least = self.int(unit);
        let part = self.max(part, least);
        self.round_up(part, unit)
    }

    /// `⌈a / by⌉` for `a >= 0`, `by > 0`.
    pub(crate) fn ceil_div(&mut self, a: Value, by: Value) -> Value {
        let more = self.add(a, by);
        let more = self.offset(more, -1);
        self.div(more, by)
    }

    /// `for i in (start..end).step_by(step)`.
    pub(crate) fn range(
        &mut self,
        start: Value,
        end: Value,
        step: i64,
        body: impl FnOnce(&mut Flow<'_, '_>, Value),
    ) {
        let step = self.int(step);
        self.iterate(start, end, step, false, body);
    }

    /// The same with a step known at run time.
    pub(crate) fn range_by(
        &mut self,
        start: Value,
        end: Value,
        step: Value,
        body: impl FnOnce(&mut Flow<'_, '_>, Value),
    ) {
        self.iterate(start, end, step, false, body);
    }

    /// The same, but the body runs at least once.
    pub(crate) fn range_once(
        &mut self,
        start: Value,
        end: Value,
        step: Value,
        body: impl FnOnce(&mut Flow<'_, '_>, Value),
    ) {
        self.iterate(start, end, step, true, body);
    }

    fn iterate(
        &mut self,
        start: Value,
        end: Value,
        step: Value,
        once: bool,
        body: impl FnOnce(&mut Flow<'_, '_>, Value),
    ) {
        let i = self.b.declare_var(I64);
        self.b.def_var(i, start);
        let (top, done) = (self.b.create_block(), self.b.create_block());
        if once {
            self.b.ins().jump(top, &[]);
        } else {
            let any = self.b.ins().icmp(IntCC::SignedLessThan, start, end);
            self.b.ins().brif(any, top, &[], done, &[]);
        }
        self.b.switch_to_block(top);
        let now = self.b.use_var(i);
        body(&mut Flow { b: self.b }, now);
        let next = self.b.use_var(i);
        let next = self.b.ins().iadd(next, step);
        self.b.def_var(i, next);
        let more = self.b.ins().icmp(IntCC::SignedLessThan, next, end);
        self.b.ins().brif(more, top, &[], done, &[]);
        self.b.switch_to_block(done);
    }

    /// The address of numbers of so many bytes each, which are written to the frame of the function.
    pub(crate) fn frame(&mut self, numbers: &[u64], bytes: u32) -> Value {
        let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, bytes * numbers.len() as u32, 3);
        let slot = self.b.create_sized_stack_slot(slot);
        let ty = if bytes == 8 { I64 } else { I32 };
        for (i, number) in numbers.iter().enumerate() {
            let value = self.b.ins().iconst(ty, number.cast_signed());
            self.b.ins().stack_store(I64, value, slot, bytes.cast_signed() * i as i32);
        }
        self.b.ins().stack_addr(I64, slot, 0)
    }

    /// The addresses of functions for numbers from 1 to `most`, which are written to the frame of the function; those of
    /// other numbers are not said.
    pub(crate) fn table(&mut self, functions: &[(u32, FuncRef)], most: u32) -> Value {
        let bytes = most * ADDRESS.cast_unsigned();
        let slot = self.b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 3));
        for (number, function) in functions {
            let address = self.b.ins().func_addr(I64, *function);
            self.b.ins().stack_store(I64, address, slot, ADDRESS * (number.cast_signed() - 1));
        }
        self.b.ins().stack_addr(I64, slot, 0)
    }

    pub(crate) fn call(&mut self, function: FuncRef, args: &[Value]) {
        self.b.ins().call(function, args);
    }
}

/// Bytes of an address.
const ADDRESS: i32 = 8;

/// A function among several, chosen at run time.
#[derive(Clone, Copy)]
pub(crate) struct Choice {
    pub(crate) signature: SigRef,
    /// Where the addresses of the functions for 1, 2, … rows lie ([`Flow::table`]).
    pub(crate) table: Value,
}

impl Choice {
    /// The address of the function for `n` rows, of which there is one.
    pub(crate) fn address(&self, flow: &mut Flow<'_, '_>, n: Value) -> Value {
        let place = flow.at_scaled(self.table, n, ADDRESS.into());
        flow.b.ins().load(I64, MemFlagsData::trusted(), place, -ADDRESS)
    }

    pub(crate) fn call(&self, flow: &mut Flow<'_, '_>, address: Value, args: &[Value]) {
        flow.b.ins().call_indirect(self.signature, address, args);
    }
}

/// Declares and defines a local function of 64-bit parameters without a result.
///
/// `import` makes references to other functions of the module before the body is built.
pub(crate) fn define<T>(
    module: &mut dyn Module,
    name: &str,
    params: usize,
    import: impl FnOnce(&mut dyn Module, &mut cranelift_codegen::ir::Function) -> T,
    body: impl FnOnce(&mut Flow<'_, '_>, &[Value], T),
) -> Result<FuncId, DefineError> {
    let id = encode::declare(module, name, params)?;
    let mut context = module.make_context();
    context.func.signature = encode::clif::signature(params, encode::call_conv(module));
    let imported = import(module, &mut context.func);
    let mut storage = FunctionBuilderContext::new();
    let mut builder = FunctionBuilder::new(&mut context.func, &mut storage);
    let entry = builder.create_block();
    builder.append_block_params_for_function_params(entry);
    builder.switch_to_block(entry);
    let args = builder.block_params(entry).to_vec();
    body(&mut Flow { b: &mut builder }, &args, imported);
    builder.ins().return_(&[]);
    builder.seal_all_blocks();
    builder.finalize(module.isa().frontend_config());
    module.define_function(id, &mut context)?;
    Ok(id)
}
