//! Call plans as packed functions.
//!
//! The entry point checks its arguments, binds the symbols, checks the relations between dimensions, and then runs
//! the steps. Every way out with an error goes through one block that gives back what was acquired. Pointers to
//! acquired memory and to inputs live in one stack slot, the *frame*: in registers they would be alive from one end
//! of the function to the other, and allocating those takes the square of their number.
//!
//! # Laws
//! * **E1** A status of −1 is returned only after an error was set, as far as the process can take one.
//! * **E2** Sizes are between 0 and `MAX_EXTENT`, integers from data are in ±`MAX_INTEGER`, before anything is
//!   computed with them, whether they come from dimensions, from data or from formulas (law Z2 of `size`).
//! * **E3** No more than [`MAX_BYTES`] are ever asked for.
//! * **E4** Everything acquired is given back on every way out, but for the result.
//! * **E5** The host is looked up once, on entry: what it gave is given back to it, also when another one has come.
//! * **E6** A result that a function of the host did not write is an error.
//! * **E7** What is computed from sizes is exact (law Z1 of `size`); a call for which it is no 64-bit number ends with
//!   an error.

mod arguments;
mod borrowed;
mod defaults;
mod exact;
mod externs;
mod frame;
mod invoke;
mod kernels;
mod objects;
mod parts;
mod steps;
mod strings;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    Block, FuncRef, InstBuilder, MemFlagsData, StackSlot, StackSlotData, StackSlotKind, Value, types,
};
use indexmap::{IndexMap, IndexSet};
use orogen_abi::TypeIndex;
use orogen_ir::plan::{Arg, BufferRef, CallPlan, Condition, OutputKind, Step};
use orogen_ir::shape::Dim;
use orogen_ir::types::DType;

use self::exact::Exact;
pub(crate) use self::externs::slot_symbol;
use self::frame::Frame;
use self::objects::Held;
pub(crate) use self::strings::Strings;
use super::kernel::Kernel;
use super::lowering::Failure;
use super::size::{Checked, Scope, Sizes};
use super::support::{Form, Support};
use super::unit::{FunctionCx, Symbol, Target, Unit, Visibility, Words, build};

/// The most bytes that a call may ask for at once.
pub(crate) const MAX_BYTES: i64 = 1 << 46;

/// What an entry point is built from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryInput<'a> {
    /// The plan.
    pub(crate) plan: &'a CallPlan,
    /// The symbol of its code.
    pub(crate) name: &'a str,
    /// Whether the caller has called it by the name of another function, whose place it takes.
    pub(crate) stands_in: bool,
    /// Symbols of all functions of the module.
    pub(crate) functions: &'a [String],
    /// The code of its kernels, in the order of the plan; none for functions of the host.
    pub(crate) kernels: &'a [Option<Kernel>],
    /// For each kernel parameter, the blob form of each constant: the symbol of a buffer, when it is a constant.
    pub(crate) constants: &'a dyn ConstantSymbols,
    /// What it has to do with strings.
    pub(crate) strings: &'a Strings,
}

/// Where constants lie.
pub(crate) trait ConstantSymbols: std::fmt::Debug + Sync {
    /// The data symbol of a constant as parameter `param` of kernel `kernel` reads it.
    fn kernel_argument(&self, kernel: u32, param: usize, constant: orogen_ir::types::ConstId) -> String;
    /// The data symbol of a constant as it is.
    fn plain(&self, constant: orogen_ir::types::ConstId) -> String;
    /// The place of a symbol in the table of what lies outside of the library.
    fn outside(&self, symbol: &str) -> Option<usize>;
    /// Whether anything does.
    fn any_outside(&self) -> bool;
}

/// Parameters of a packed function: handle, arguments, their number, result.
const PACKED: [cranelift_codegen::ir::Type; 4] = [types::I64, types::I64, types::I32, types::I64];

/// An exported packed function that is a local one under another name.
pub(crate) fn door(target: Target, name: &str, local: &str) -> Unit {
    build(target, name, Visibility::Exported, &PACKED, &[types::I32], |cx, args| {
        let status = cx.call(Symbol::Local(local.to_owned()), &PACKED, &[types::I32], args);
        cx.b.ins().return_(&[status.expect("one result")]);
    })
}

/// Builds the packed function of a plan: the first of these, and the parts of it that are functions of their own.
pub(crate) fn entry(target: Target, input: EntryInput<'_>) -> Vec<Unit> {
    let exported = input.name.starts_with(orogen_abi::symbol::FUNCTION_PREFIX);
    let visibility = if exported { Visibility::Exported } else { Visibility::Local };
    let mut parts = Vec::new();
    let unit = build(target, input.name, visibility, &PACKED, &[types::I32], |cx, args| {
        let plan = input.plan;
        // Symbols that functions share lie in memory.
        let in_parts = parts::is_long(plan);
        let start = Frame::bytes(plan, input.strings.places());
        let frame = Words::Slot(room(cx, start + if in_parts { 8 * plan.shapes.symbols().len() } else { 0 }));
        let scope = if in_parts { Scope::in_memory(frame, start as i32) } else { Scope::default() };
        let host = cx.host();
        // Two more than the arguments: kernels that may abort take a failure, and there is the memory that phases share.
        let width = (widest_call(&plan.steps) + 2).max(widest_rank(plan));
        let mut entry =
            Entry::new(input, cx, Frame::new(plan, input.strings.places(), frame), host, args[1], width);
        entry.scope = scope;
        entry.run(args);
        parts = std::mem::take(&mut entry.parts);
    });
    std::iter::once(unit).chain(parts).collect()
}

/// Memory of a function.
fn room(cx: &mut FunctionCx<'_>, bytes: usize) -> StackSlot {
    let bytes = u32::try_from(bytes.max(8)).unwrap_or(u32::MAX);
    cx.b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 4))
}

/// The most arguments or sizes of any kernel.
fn widest_call(steps: &[Step]) -> usize {
    let width = |step: &Step| match step {
        Step::Kernel { args, sizes, .. } => args.len().max(sizes.len()),
        Step::If { then_steps, else_steps, .. } => widest_call(then_steps).max(widest_call(else_steps)),
        Step::While { cond_steps, body, .. } => widest_call(cond_steps).max(widest_call(body)),
        _ => 0,
    };
    steps.iter().map(width).max().unwrap_or(0)
}

fn widest_rank(plan: &CallPlan) -> usize {
    let outputs = plan.outputs.iter().map(|it| it.sizes().count());
    let objects = plan.objects.iter().map(|it| it.dims().map_or(0, <[_]>::len));
    outputs.chain(objects).max().unwrap_or(0)
}

struct Entry<'a, 'b, 'c> {
    input: EntryInput<'a>,
    cx: &'b mut FunctionCx<'c>,
    /// The host table, null without a host (law E7).
    host: Value,
    /// Those of the call, with defaults for those that are left out.
    arguments: Value,
    /// Words of the memory for arguments and sizes of a kernel.
    width: usize,
    scope: Scope,
    frame: Frame,
    /// Arguments of the kernel being called; shapes and objects of outputs before that.
    call_buffers: StackSlot,
    call_sizes: StackSlot,
    /// The [`Failure`] of the kernel being called.
    failure: StackSlot,
    /// Gives back what was acquired and returns −1.
    fail: Block,
    /// By the place that a step comes from: sets the error of law E7 and goes to `fail`; made when it is needed.
    overflow: IndexMap<String, Block>,
    /// Where the step comes from that is being built.
    place: String,
    /// Expressions that are known to be exact here.
    exact: Exact,
    /// Phases of kernels.
    kernels: IndexMap<(u32, usize), FuncRef>,
    /// Functions that are parts of this one.
    parts: Vec<Unit>,
    /// Whether this is one.
    is_part: bool,
}

impl<'a, 'b, 'c> Entry<'a, 'b, 'c> {
    fn new(
        input: EntryInput<'a>,
        cx: &'b mut FunctionCx<'c>,
        frame: Frame,
        host: Value,
        arguments: Value,
        width: usize,
    ) -> Entry<'a, 'b, 'c> {
        let fail = cx.b.create_block();
        cx.b.set_cold_block(fail);
        let [call_buffers, call_sizes] = [(); 2].map(|()| room(cx, width * 8));
        let failure = room(cx, size_of::<Failure>());
        Entry {
            input,
            cx,
            host,
            arguments,
            width,
            scope: Scope::default(),
            frame,
            call_buffers,
            call_sizes,
            failure,
            fail,
            overflow: IndexMap::new(),
            place: String::new(),
            exact: Exact::default(),
            kernels: IndexMap::new(),
            parts: Vec::new(),
            is_part: false,
        }
    }
}

impl Entry<'_, '_, '_> {
    fn run(&mut self, args: &[Value]) {
        self.frame.clear(self.cx);
        self.count(args[2]);
        self.at_defaults(args);
        self.strings();
        self.arguments(args);
        let plan = self.input.plan;
        if self.input.constants.any_outside() {
            let first = self.outside(0);
            self.require(first, "RuntimeError", "the parameters of the library are not given", None);
        }
        self.old_state();
        self.in_parts(plan.checks.len(), 1, &|entry, i| entry.check(&plan.checks[i]));
        self.steps(&plan.steps);
        self.finish(args[3]);
        self.overflowed();
        let fail = self.fail;
        self.cx.b.switch_to_block(fail);
        self.give_back();
        for output in 0..plan.outputs.len() {
            let object = self.frame.output_object(self.cx, output);
            self.cx.support(Support::Release, &[object]);
        }
        self.release_objects();
        self.release_strings();
        let status = self.cx.b.ins().iconst(types::I32, -1);
        self.cx.b.ins().return_(&[status]);
    }

    /// Where sizes overflowed, if any may.
    fn overflowed(&mut self) {
        for (place, overflow) in std::mem::take(&mut self.overflow) {
            self.place = place;
            self.cx.b.switch_to_block(overflow);
            let zero = self.cx.int(0);
            let message = "a size that is computed from these dimensions or data does not fit in 64 bits";
            self.raise("ValueError", message, Form::Plain, zero, zero);
        }
    }

    /// Hands the outputs over and returns 0.
    fn finish(&mut self, result: Value) {
        let outputs = &self.input.plan.outputs;
        self.new_state();
        // What lies over an input is the caller's already.
        let returned: Vec<usize> = (0..outputs.len()).filter(|it| outputs[*it].over().is_none()).collect();
        let value = match returned[..] {
            [] => Held { tag: self.cx.int(i64::from(TypeIndex::NONE)), payload: self.cx.int(0) },
            [output] => self.returned(output, &outputs[output].kind),
            _ => {
                let room = self.room(returned.len() * size_of::<orogen_abi::Any>());
                // One after the other: in registers all of them would be alive together.
                for (i, output) in returned.iter().enumerate() {
                    let held = self.returned(*output, &outputs[*output].kind);
                    self.store_any(room, i, held);
                }
                let list = self.cx.b.ins().stack_addr(types::I64, room, 0);
                let count = self.cx.int(returned.len() as i64);
                let array = self.cx.support(Support::NewArray, &[count, list]).expect("one result");
                // The array took the objects over, even if it could not be made.
                self.frame.forget_outputs(self.cx);
                self.require_made(array);
                Held { tag: self.cx.int(i64::from(TypeIndex::ARRAY)), payload: array }
            }
        };
        self.renew_state();
        self.give_back();
        self.release_objects();
        self.release_strings();
        let zero = self.cx.b.ins().iconst(types::I32, 0);
        self.cx.b.ins().store(MemFlagsData::trusted(), value.tag, result, 0);
        self.cx.b.ins().store(MemFlagsData::trusted(), value.payload, result, 8);
        self.cx.b.ins().return_(&[zero]);
    }

    /// What an output holds, with a reference for the caller.
    fn returned(&mut self, output: usize, kind: &OutputKind) -> Held {
        match kind {
            OutputKind::Tensor(it) => {
                let payload = self.frame.output_object(self.cx, output);
                if it.dtype == DType::Str {
                    self.cx.support(Support::KeepStrings, &[payload]);
                }
                Held { tag: self.cx.int(i64::from(TypeIndex::TENSOR)), payload }
            }
            OutputKind::Object(id) => {
                self.own_strings(*id);
                let held = self.held(*id);
                self.retain(held);
                held
            }
        }
    }

    fn give_back(&mut self) {
        for memory in self.frame.memories() {
            let pointer = self.frame.pointer(self.cx, memory);
            self.cx.support(Support::Free, &[self.host, pointer]);
        }
    }

    /// The value of an expression; the call ends if it is no 64-bit number (law E7).
    fn size(&mut self, dim: Dim) -> Value {
        let sizes = Sizes { shapes: &self.input.plan.shapes, scope: &self.scope };
        if self.exact.contains(&self.input.plan.shapes, dim) {
            return sizes.value(self.cx, dim);
        }
        let checked = sizes.checked(self.cx, dim);
        self.exact(checked);
        self.exact.insert(dim);
        checked.value
    }

    /// The same without an end: a question about the value is to be answered with no.
    fn measured(&mut self, dim: Dim) -> Checked {
        Sizes { shapes: &self.input.plan.shapes, scope: &self.scope }.checked(self.cx, dim)
    }

    /// Ends the call if there was an overflow.
    fn exact(&mut self, checked: Checked) {
        let Some(flag) = checked.overflow else { return };
        let overflow = match self.overflow.get(&self.place) {
            Some(block) => *block,
            None => {
                let block = self.cx.b.create_block();
                self.cx.b.set_cold_block(block);
                self.overflow.insert(self.place.clone(), block);
                block
            }
        };
        let good = self.cx.b.create_block();
        self.cx.b.ins().brif(flag, overflow, &[], good, &[]);
        self.cx.b.switch_to_block(good);
    }

    /// `ok`, and no overflow in any of the values that it is about.
    fn and_exact(&mut self, ok: Value, values: &[Checked]) -> Value {
        values.iter().filter_map(|it| it.overflow).fold(ok, |ok, overflow| {
            let fits = self.cx.b.ins().icmp_imm_s(IntCC::Equal, overflow, 0);
            self.cx.b.ins().band(ok, fits)
        })
    }

    /// Ends the call when `ok` is zero; `message` and the numbers make the error.
    fn require(&mut self, ok: Value, kind: &str, message: &str, numbers: Option<(Value, Value)>) {
        match numbers {
            Some((expected, got)) => self.require_that(ok, kind, message, "", [expected, got]),
            None => {
                let zero = self.cx.int(0);
                self.require_form(ok, kind, message, Form::Plain, [zero; 2]);
            }
        }
    }

    /// As [`Entry::require`]; `relation` is what the number that is there must be to the expected one: `at least`.
    fn require_that(&mut self, ok: Value, kind: &str, message: &str, relation: &str, numbers: [Value; 2]) {
        self.require_form(ok, kind, &expectation(message, relation), Form::Numbers, numbers);
    }

    fn require_form(&mut self, ok: Value, kind: &str, message: &str, form: Form, numbers: [Value; 2]) {
        let bad = self.unless(ok);
        let good = self.cx.b.current_block();
        self.cx.b.switch_to_block(bad);
        let [expected, got] = numbers;
        self.raise(kind, message, form, expected, got);
        self.cx.b.switch_to_block(good.expect("`unless` leaves a current block"));
    }

    /// A cold block for the case that `ok` is zero; building goes on in the other case.
    fn unless(&mut self, ok: Value) -> Block {
        let (good, bad) = (self.cx.b.create_block(), self.cx.b.create_block());
        self.cx.b.set_cold_block(bad);
        self.cx.b.ins().brif(ok, good, &[], bad, &[]);
        self.cx.b.switch_to_block(good);
        bad
    }

    /// Sets an error, with the place that the step comes from, and leaves; ends the current block.
    fn raise(&mut self, kind: &str, message: &str, form: Form, expected: Value, got: Value) {
        let kind = self.cx.text(kind);
        let message = match (&self.place[..], message) {
            ("", message) => message.to_owned(),
            (place, "") => place.to_owned(),
            (place, message) => format!("{place}: {message}"),
        };
        // The caller names the function that it called; this one may be another.
        let named = self.input.name.starts_with(orogen_abi::symbol::FUNCTION_PREFIX);
        let message = match named || self.input.stands_in {
            true => self.cx.text(&message),
            false => self.cx.text(&format!("in `{}`: {message}", self.input.plan.name)),
        };
        let form = self.cx.int(form as i64);
        self.cx.support(Support::Fail, &[kind, message, form, expected, got]);
        self.cx.b.ins().jump(self.fail, &[]);
    }

    /// Leaves when a call of a function failed, which has set the error: a host that can is told from where it was called.
    fn require_done(&mut self, status: Value) {
        let (good, bad) = (self.cx.b.create_block(), self.failed());
        self.cx.b.ins().brif(status, bad, &[], good, &[]);
        self.within(bad, good);
    }

    /// As [`Entry::require_done`] of what is null when it failed.
    fn require_made(&mut self, pointer: Value) {
        let (good, bad) = (self.cx.b.create_block(), self.failed());
        self.cx.b.ins().brif(pointer, good, &[], bad, &[]);
        self.within(bad, good);
    }

    /// Where to go with an error that is set already.
    fn failed(&mut self) -> Block {
        match self.place.is_empty() {
            true => self.fail,
            false => self.cx.b.create_block(),
        }
    }

    /// Fills `bad`, which [`Entry::failed`] gave, and goes on with `good`.
    fn within(&mut self, bad: Block, good: Block) {
        if bad != self.fail {
            self.cx.b.set_cold_block(bad);
            self.cx.b.switch_to_block(bad);
            let place = self.cx.text(&self.place);
            self.cx.support(Support::Within, &[place]);
            self.cx.b.ins().jump(self.fail, &[]);
        }
        self.cx.b.switch_to_block(good);
    }

    /// The address of a buffer.
    fn buffer(
        &mut self,
        buffer: BufferRef,
        constant: impl FnOnce(&Self, orogen_ir::types::ConstId) -> String,
    ) -> Value {
        match buffer {
            BufferRef::Input(i) => self.frame.input(self.cx, i as usize),
            BufferRef::Output(i) => self.frame.output_data(self.cx, i as usize),
            BufferRef::Object(id) => self.frame.object_data(self.cx, id),
            BufferRef::Slot(slot) => {
                let slot = &self.input.plan.slots[slot.0 as usize];
                let arena = self.frame.arena(slot.arena);
                let start = self.frame.pointer(self.cx, arena);
                let offset = self.size(slot.offset);
                self.cx.b.ins().iadd(start, offset)
            }
            BufferRef::Constant(id) => {
                if let Some(place) = self.input.strings.constants.get_index_of(&id) {
                    return self.frame.object_data(self.cx, self.string_place(place));
                }
                let symbol = constant(self, id);
                match self.input.constants.outside(&symbol) {
                    Some(place) => self.outside(place),
                    None => self.cx.data_address(Symbol::Data(symbol)),
                }
            }
        }
    }

    /// Data that lies outside of the library.
    fn outside(&mut self, place: usize) -> Value {
        let table = self.cx.data_address(Symbol::Data(orogen_abi::symbol::PARAMETERS.to_owned()));
        self.cx.b.ins().load(types::I64, MemFlagsData::trusted(), table, place as i32 * 8)
    }

    fn plain_buffer(&mut self, buffer: BufferRef) -> Value {
        self.buffer(buffer, |entry, id| entry.input.constants.plain(id))
    }
}

/// The message before the number that is expected.
fn expectation(message: &str, relation: &str) -> String {
    let space = if relation.is_empty() { "" } else { " " };
    format!("{message}: expected{space}{relation}")
}

/// Constants that some step reads as they are, in order.
pub(crate) fn plain_constants(steps: &[Step], found: &mut IndexSet<orogen_ir::types::ConstId>) {
    let mut add = |buffer: &BufferRef| {
        if let BufferRef::Constant(id) = buffer {
            found.insert(*id);
        }
    };
    for step in steps {
        match step {
            Step::Invoke { args, .. } => args.iter().for_each(|it| {
                if let Arg::View(it) = it {
                    add(&it.place);
                }
            }),
            Step::Copy { from, .. } => add(from),
            Step::Bind { from, .. } => add(from),
            Step::If { cond: Condition::Buffer(cond), .. } | Step::While { cond, .. } => add(cond),
            _ => {}
        }
    }
    for step in steps {
        match step {
            Step::If { then_steps, else_steps, .. } => {
                plain_constants(then_steps, found);
                plain_constants(else_steps, found);
            }
            Step::While { cond_steps, body, .. } => {
                plain_constants(cond_steps, found);
                plain_constants(body, found);
            }
            _ => {}
        }
    }
}
