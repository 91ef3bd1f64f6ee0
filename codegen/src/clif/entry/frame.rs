//! The stack slot that holds pointers to acquired memory and to inputs, and where the plan is in parts, symbols.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use orogen_ir::plan::{ArenaId, CallPlan, ObjectId};

use crate::clif::support::Support;
use crate::clif::unit::{FunctionCx, Words};

/// Memory that grows on demand: the offset of its pointer in the frame; its size follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory(i32);

/// Layout of the frame: pointer and size of each arena, of the scratch memory of kernels; then object and data
/// of each output and of each object place, all null at first (what lies over an input has no object); then data of
/// each input; then symbols.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    words: Words,
    arenas: usize,
    outputs: usize,
    objects: usize,
}

impl Frame {
    /// Bytes that the frame of a plan needs; as many places for strings follow those of objects.
    pub(super) fn bytes(plan: &CallPlan, strings: usize) -> usize {
        16 * (plan.arenas.len() + 1 + plan.outputs.len() + plan.objects.len() + strings)
            + 8 * plan.inputs.len()
    }

    pub(super) fn new(plan: &CallPlan, strings: usize, words: Words) -> Frame {
        let (arenas, outputs) = (plan.arenas.len(), plan.outputs.len());
        let objects = plan.objects.len() + strings;
        Frame { words, arenas, outputs, objects }
    }

    /// The same for a function that reaches it there.
    pub(super) fn elsewhere(&self, words: Words) -> Frame {
        Frame { words, ..*self }
    }

    /// Where it lies, for another function.
    pub(super) fn address(&self, cx: &mut FunctionCx<'_>) -> Value {
        self.words.address(cx)
    }

    /// Sets what may be acquired to null.
    pub(super) fn clear(&self, cx: &mut FunctionCx<'_>) {
        let zero = cx.int(0);
        for word in 0..2 * (self.arenas + 1 + self.outputs + self.objects) {
            self.words.store(cx, zero, word as i32 * 8);
        }
    }

    pub(super) fn arena(&self, id: ArenaId) -> Memory {
        Memory(id.0 as i32 * 16)
    }

    pub(super) fn scratch(&self) -> Memory {
        Memory(self.arenas as i32 * 16)
    }

    /// All memories.
    pub(super) fn memories(&self) -> Vec<Memory> {
        (0..=self.arenas as i32).map(|it| Memory(it * 16)).collect()
    }

    pub(super) fn pointer(&self, cx: &mut FunctionCx<'_>, memory: Memory) -> Value {
        self.words.load(cx, memory.0)
    }

    /// Makes a memory at least `bytes` large; its content may be lost. Null when there is none, with the error set.
    pub(super) fn reserve(
        &self,
        cx: &mut FunctionCx<'_>,
        host: Value,
        memory: Memory,
        bytes: Value,
    ) -> Value {
        use cranelift_codegen::ir::BlockArg;
        let (grow, done) = (cx.b.create_block(), cx.b.create_block());
        let result = cx.b.append_block_param(done, types::I64);
        let old = self.pointer(cx, memory);
        let size = self.words.load(cx, memory.0 + 8);
        // A size of zero is no memory, whatever is asked for.
        let one = cx.int(1);
        let bytes = cx.b.ins().smax(bytes, one);
        let enough = cx.b.ins().icmp(IntCC::SignedLessThanOrEqual, bytes, size);
        cx.b.ins().brif(enough, done, &[BlockArg::Value(old)], grow, &[]);
        cx.b.switch_to_block(grow);
        cx.support(Support::Free, &[host, old]);
        let zero = cx.int(0);
        self.words.store(cx, zero, memory.0);
        self.words.store(cx, zero, memory.0 + 8);
        let new = cx.support(Support::Alloc, &[host, bytes]).expect("one result");
        self.words.store(cx, new, memory.0);
        // Without memory the size stays zero.
        let made = cx.b.ins().icmp_imm_s(IntCC::NotEqual, new, 0);
        let size = cx.b.ins().select(made, bytes, zero);
        self.words.store(cx, size, memory.0 + 8);
        cx.b.ins().jump(done, &[BlockArg::Value(new)]);
        cx.b.switch_to_block(done);
        result
    }

    fn output(&self, output: usize) -> i32 {
        (self.arenas + 1 + output) as i32 * 16
    }

    pub(super) fn output_object(&self, cx: &mut FunctionCx<'_>, output: usize) -> Value {
        self.words.load(cx, self.output(output))
    }

    pub(super) fn output_data(&self, cx: &mut FunctionCx<'_>, output: usize) -> Value {
        self.words.load(cx, self.output(output) + 8)
    }

    pub(super) fn set_output(&self, cx: &mut FunctionCx<'_>, output: usize, object: Value, data: Value) {
        self.words.store(cx, object, self.output(output));
        self.words.store(cx, data, self.output(output) + 8);
    }

    /// The object of an object place, null at first, with its data behind.
    pub(super) fn object(&self, cx: &mut FunctionCx<'_>, id: ObjectId) -> Value {
        self.output_object(cx, self.outputs + id.0 as usize)
    }

    pub(super) fn object_data(&self, cx: &mut FunctionCx<'_>, id: ObjectId) -> Value {
        self.output_data(cx, self.outputs + id.0 as usize)
    }

    pub(super) fn set_object(&self, cx: &mut FunctionCx<'_>, id: ObjectId, object: Value, data: Value) {
        self.set_output(cx, self.outputs + id.0 as usize, object, data);
    }

    fn input_at(&self, input: usize) -> i32 {
        self.output(self.outputs + self.objects) + input as i32 * 8
    }

    /// The data of an input.
    pub(super) fn input(&self, cx: &mut FunctionCx<'_>, input: usize) -> Value {
        self.words.load(cx, self.input_at(input))
    }

    pub(super) fn set_input(&self, cx: &mut FunctionCx<'_>, input: usize, data: Value) {
        self.words.store(cx, data, self.input_at(input));
    }

    /// The outputs belong to someone else now.
    pub(super) fn forget_outputs(&self, cx: &mut FunctionCx<'_>) {
        let zero = cx.int(0);
        for output in 0..self.outputs {
            self.set_output(cx, output, zero, zero);
        }
    }
}
