//! Functions that every entry point shares: memory, errors, tensors and parallel loops.
//!
//! Each asks the host table when there is one. Without a host (law A6 of the binary interface) memory comes from
//! `malloc`, tensors are built here, and errors go to the tvm-ffi runtime of the process, if it has one.
//! They are made when something calls them.

mod array;
mod error;
mod external;
mod names;
mod object;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, MemFlagsData, Type, Value, types};
use orogen_abi::HostTable;
use std::mem::offset_of;

use super::unit::{FunctionCx, Symbol, Target, Unit, Visibility, build};
use names::Table;

const PREFIX: &str = "orogen.support.";

const I: Type = types::I64;

/// Alignment of everything that is allocated.
const ALIGN: i64 = 64;

/// One of the shared functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Support {
    /// `(host, bytes) → pointer`, null after an error was set.
    Alloc,
    /// `(host, pointer)`, with the host that it came from; null is allowed.
    Free,
    /// `(dtype: i32, rank: i32, shape, bytes) → tensor object`, null after an error was set.
    NewTensor,
    /// `(view: DLTensor) → tensor object` with its elements, null after an error was set.
    OwnTensor,
    /// `(data, count) → tensor object` of strings, null after an error was set; the host must know them.
    NewStrings,
    /// `(tensor object)`: takes references to its strings; the host must know them.
    KeepStrings,
    /// `(string, string) → i32`: whether they are equal; the host must know them.
    EqualStrings,
    /// `(object)`; null is allowed.
    Release,
    /// `(object or other payload, tag)`: gives up the reference of an `Any`, if it has one.
    ReleaseAny,
    /// `(payload, tag)`: one more reference to an `Any`, if it is an object.
    RetainAny,
    /// `(tag) → text`: what an `Any` is, in words.
    KindName,
    /// `(capacity) → array object` without items, null after an error was set.
    EmptyArray,
    /// `(count, anys) → array object`, null after an error was set; takes over what is in them.
    NewArray,
    /// `(array, at, payload, tag) → array object`, null after an error was set; takes over array and item.
    InsertItem,
    /// `(array, at) → array object`, null after an error was set; takes over the array.
    EraseItem,
    /// `(the four bytes of an element type) → text`: its name.
    ElementName,
    /// `(kind, message, form, expected, got)`; see [`error::Form`].
    Fail,
    /// `(start, limit, text) → end`: copies a text for a message.
    WriteText,
    /// `(start, number) → end`: writes a number for a message.
    WriteNumber,
    /// `(place)`: says where the error came about that was set, if the host can.
    Within,
    /// `(kernel, buffers, sizes, scratch bytes, extent, grain) → i32`: 0, or −1 after an error was set.
    Parallel,
    /// `(host, name, access, slot, args, count: i32, result) → i32`: 0, or −1 after an error was set.
    CallExtern,
    /// `(data, bytes, fill) → i8`: whether some byte is not `fill`.
    IsWritten,
    /// `(object, flags: i32)`: deleter of tensors made here.
    DeleteTensor,
    /// `(object, flags: i32)`: deleter of arrays made here.
    DeleteArray,
    /// `(context, begin, end)`: a range of a parallel loop.
    ParallelBody,
}

pub(crate) use error::Form;
pub(crate) use names::dlpack;

const ALL: [(Support, &str, &[Type], &[Type]); 26] = [
    (Support::Alloc, "alloc", &[I, I], &[I]),
    (Support::Free, "free", &[I, I], &[]),
    (Support::NewTensor, "new_tensor", &[types::I32, types::I32, I, I], &[I]),
    (Support::OwnTensor, "own_tensor", &[I], &[I]),
    (Support::NewStrings, "new_strings", &[I, I], &[I]),
    (Support::KeepStrings, "keep_strings", &[I], &[]),
    (Support::EqualStrings, "equal_strings", &[I, I], &[types::I32]),
    (Support::Release, "release", &[I], &[]),
    (Support::ReleaseAny, "release_any", &[I, I], &[]),
    (Support::RetainAny, "retain_any", &[I, I], &[]),
    (Support::KindName, "kind_name", &[I], &[I]),
    (Support::EmptyArray, "empty_array", &[I], &[I]),
    (Support::NewArray, "new_array", &[I, I], &[I]),
    (Support::InsertItem, "insert_item", &[I, I, I, I], &[I]),
    (Support::EraseItem, "erase_item", &[I, I], &[I]),
    (Support::ElementName, "element_name", &[I], &[I]),
    (Support::Fail, "fail", &[I, I, I, I, I], &[]),
    (Support::WriteText, "write_text", &[I, I, I], &[I]),
    (Support::WriteNumber, "write_number", &[I, I], &[I]),
    (Support::Within, "within", &[I], &[]),
    (Support::Parallel, "parallel", &[I, I, I, I, I, I], &[types::I32]),
    (Support::CallExtern, "call_extern", &[I, I, I, I, I, types::I32, I], &[types::I32]),
    (Support::IsWritten, "is_written", &[I, I, I], &[types::I8]),
    (Support::DeleteTensor, "delete_tensor", &[I, types::I32], &[]),
    (Support::DeleteArray, "delete_array", &[I, types::I32], &[]),
    (Support::ParallelBody, "parallel_body", &[I, I, I], &[]),
];

fn entry(function: Support) -> (Symbol, &'static [Type], &'static [Type]) {
    let (_, name, params, returns) = ALL[function as usize];
    debug_assert_eq!(ALL[function as usize].0, function);
    (Symbol::Local(format!("{PREFIX}{name}")), params, returns)
}

impl FunctionCx<'_> {
    /// Calls a shared function.
    pub(crate) fn support(&mut self, function: Support, args: &[Value]) -> Option<Value> {
        let (symbol, params, returns) = entry(function);
        self.call(symbol, params, returns, args)
    }

    /// The address of a shared function.
    fn support_address(&mut self, function: Support) -> Value {
        let (symbol, params, returns) = entry(function);
        let function = self.function(symbol, params, returns);
        self.b.ins().func_addr(I, function)
    }

    /// The host table, null when there is none.
    pub(crate) fn host(&mut self) -> Value {
        let slot = self.data_address(Symbol::Data(orogen_abi::symbol::HOST.to_owned()));
        self.b.ins().load(I, MemFlagsData::trusted(), slot, 0)
    }

    /// Calls a function of the host table.
    fn host_call(
        &mut self,
        host: Value,
        field: usize,
        params: &[Type],
        returns: &[Type],
        args: &[Value],
    ) -> Option<Value> {
        let function = self.b.ins().load(I, MemFlagsData::trusted(), host, field as i32);
        let signature = self.target.signature(params, returns);
        let signature = self.b.import_signature(signature);
        let call = self.b.ins().call_indirect(signature, function, args);
        self.b.inst_results(call).first().copied()
    }

    /// Two blocks; control goes to the first when `value` is not zero.
    fn branch(&mut self, value: Value) -> (cranelift_codegen::ir::Block, cranelift_codegen::ir::Block) {
        let (yes, no) = (self.b.create_block(), self.b.create_block());
        self.b.ins().brif(value, yes, &[], no, &[]);
        (yes, no)
    }

    /// Sets an "out of memory" error.
    fn out_of_memory(&mut self) {
        let kind = self.text("RuntimeError");
        let message = self.text("out of memory");
        let zero = self.int(0);
        let form = self.int(Form::Plain as i64);
        self.support(Support::Fail, &[kind, message, form, zero, zero]);
    }

    /// The address of a NUL-terminated text.
    pub(crate) fn text(&mut self, text: &str) -> Value {
        let symbol = Symbol::LocalData(format!("{TEXT_PREFIX}{text}"));
        self.data_address(symbol)
    }
}

const TEXT_PREFIX: &str = "orogen.text.";

/// The bytes behind a symbol of this library: a text with its NUL, or a table of names.
pub(crate) fn data_of(symbol: &Symbol) -> Option<Vec<u8>> {
    let Symbol::LocalData(name) = symbol else { return None };
    let Some(text) = name.strip_prefix(TEXT_PREFIX) else { return names::table(name) };
    Some(text.bytes().filter(|it| *it != 0).chain([0]).collect())
}

/// The function behind a symbol that [`FunctionCx::support`] made.
pub(crate) fn unit(target: Target, symbol: &str) -> Option<Unit> {
    let name = symbol.strip_prefix(PREFIX)?;
    let &(function, _, params, returns) = ALL.iter().find(|it| it.1 == name)?;
    Some(build(target, symbol, Visibility::Local, params, returns, |cx, args| match function {
        Support::Alloc => alloc(cx, args),
        Support::Free => free(cx, args),
        Support::NewTensor => object::new_tensor(cx, args),
        Support::OwnTensor => object::own_tensor(cx, args),
        Support::NewStrings | Support::KeepStrings | Support::EqualStrings => strings(cx, function, args),
        Support::Release => object::release(cx, args),
        Support::ReleaseAny => object::release_any(cx, args),
        Support::RetainAny => object::retain_any(cx, args),
        Support::KindName => names::look_up(cx, Table::Kinds, args),
        Support::ElementName => names::look_up(cx, Table::ElementTypes, args),
        Support::EmptyArray => array::empty_array(cx, args),
        Support::NewArray => array::new_array(cx, args),
        Support::InsertItem => array::insert_item(cx, args),
        Support::EraseItem => array::erase_item(cx, args),
        Support::Fail => error::fail(cx, args),
        Support::WriteText => error::write_text(cx, args),
        Support::WriteNumber => error::write_signed(cx, args),
        Support::Within => error::within(cx, args),
        Support::Parallel => parallel(cx, args),
        Support::CallExtern => external::call_extern(cx, args),
        Support::IsWritten => external::is_written(cx, args),
        Support::DeleteTensor => object::delete_tensor(cx, args),
        Support::DeleteArray => array::delete_array(cx, args),
        Support::ParallelBody => parallel_body(cx, args),
    }))
}

/// Aligned memory from `malloc`, the original pointer in the first word and the memory [`ALIGN`] bytes later.
/// Returns from the function when there is none.
fn raw_alloc(cx: &mut FunctionCx<'_>, bytes: Value) -> Value {
    let room = cx.b.ins().iadd_imm_s(bytes, 2 * ALIGN);
    let raw = cx.call(Symbol::Import("malloc".to_owned()), &[I], &[I], &[room]).expect("one result");
    let (some, none) = cx.branch(raw);
    cx.b.switch_to_block(none);
    cx.out_of_memory();
    let null = cx.int(0);
    cx.b.ins().return_(&[null]);
    cx.b.switch_to_block(some);
    let start = cx.b.ins().iadd_imm_s(raw, ALIGN - 1);
    let start = cx.b.ins().band_imm_s(start, -ALIGN);
    cx.b.ins().store(MemFlagsData::trusted(), raw, start, 0);
    cx.b.ins().iadd_imm_s(start, ALIGN)
}

/// Frees what [`raw_alloc`] returned.
fn raw_free(cx: &mut FunctionCx<'_>, pointer: Value) {
    let raw = cx.b.ins().load(I, MemFlagsData::trusted(), pointer, -ALIGN as i32);
    cx.call(Symbol::Import("free".to_owned()), &[I], &[], &[raw]);
}

/// What the host does with strings.
fn strings(cx: &mut FunctionCx<'_>, function: Support, args: &[Value]) {
    let field = match function {
        Support::NewStrings => offset_of!(HostTable, strings_new),
        Support::KeepStrings => offset_of!(HostTable, strings_keep),
        _ => offset_of!(HostTable, strings_equal),
    };
    let (_, params, returns) = entry(function);
    let host = cx.host();
    let result = cx.host_call(host, field, params, returns, args);
    cx.b.ins().return_(&Vec::from_iter(result));
}

fn alloc(cx: &mut FunctionCx<'_>, args: &[Value]) {
    let (host, bytes) = (args[0], args[1]);
    let (with, without) = cx.branch(host);
    cx.b.switch_to_block(with);
    let memory = cx.host_call(host, offset_of!(HostTable, workspace_acquire), &[I], &[I], &[bytes]);
    cx.b.ins().return_(&[memory.expect("one result")]);
    cx.b.switch_to_block(without);
    let memory = raw_alloc(cx, bytes);
    cx.b.ins().return_(&[memory]);
}

fn free(cx: &mut FunctionCx<'_>, args: &[Value]) {
    let (host, memory) = (args[0], args[1]);
    let (some, none) = cx.branch(memory);
    cx.b.switch_to_block(some);
    let (with, without) = cx.branch(host);
    cx.b.switch_to_block(with);
    cx.host_call(host, offset_of!(HostTable, workspace_release), &[I], &[], &[memory]);
    cx.b.ins().jump(none, &[]);
    cx.b.switch_to_block(without);
    raw_free(cx, memory);
    cx.b.ins().jump(none, &[]);
    cx.b.switch_to_block(none);
    cx.b.ins().return_(&[]);
}

/// Fields of the context of a parallel loop, in bytes.
mod context {
    pub(super) const KERNEL: i32 = 0;
    pub(super) const BUFFERS: i32 = 8;
    pub(super) const SIZES: i32 = 16;
    pub(super) const SCRATCH: i32 = 24;
    pub(super) const FAILED: i32 = 32;
    pub(super) const BYTES: u32 = 40;
}

/// The host is there: callers check that first.
fn parallel(cx: &mut FunctionCx<'_>, args: &[Value]) {
    use cranelift_codegen::ir::{StackSlotData, StackSlotKind};
    let &[kernel, buffers, sizes, scratch, extent, grain] = args else { unreachable!("six parameters") };
    let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, context::BYTES, 3);
    let slot = cx.b.create_sized_stack_slot(slot);
    let base = cx.b.ins().stack_addr(I, slot, 0);
    let zero = cx.int(0);
    let fields = [
        (kernel, context::KERNEL),
        (buffers, context::BUFFERS),
        (sizes, context::SIZES),
        (scratch, context::SCRATCH),
        (zero, context::FAILED),
    ];
    for (value, offset) in fields {
        cx.b.ins().store(MemFlagsData::trusted(), value, base, offset);
    }
    let body = cx.support_address(Support::ParallelBody);
    let host = cx.host();
    let field = offset_of!(HostTable, parallel_for);
    cx.host_call(host, field, &[I, I, I, I], &[], &[body, base, extent, grain]);
    let failed = cx.b.ins().load(I, MemFlagsData::new(), base, context::FAILED);
    let (bad, good) = cx.branch(failed);
    cx.b.switch_to_block(bad);
    cx.out_of_memory();
    let status = cx.b.ins().iconst(types::I32, -1);
    cx.b.ins().return_(&[status]);
    cx.b.switch_to_block(good);
    let status = cx.b.ins().iconst(types::I32, 0);
    cx.b.ins().return_(&[status]);
}

fn parallel_body(cx: &mut FunctionCx<'_>, args: &[Value]) {
    let &[base, begin, end] = args else { unreachable!("three parameters") };
    let load = |cx: &mut FunctionCx<'_>, offset| cx.b.ins().load(I, MemFlagsData::trusted(), base, offset);
    let kernel = load(cx, context::KERNEL);
    let buffers = load(cx, context::BUFFERS);
    let sizes = load(cx, context::SIZES);
    let bytes = load(cx, context::SCRATCH);
    let host = cx.host();
    let (ready, out) = (cx.b.create_block(), cx.b.create_block());
    let scratch = cx.b.append_block_param(ready, I);
    let zero = cx.int(0);
    let (some, none) = cx.branch(bytes);
    cx.b.switch_to_block(none);
    cx.b.ins().jump(ready, &[BlockArg::Value(zero)]);
    cx.b.switch_to_block(some);
    let memory = cx.support(Support::Alloc, &[host, bytes]).expect("one result");
    let failed = cx.b.ins().icmp_imm_s(IntCC::Equal, memory, 0);
    let bad = cx.b.create_block();
    cx.b.ins().brif(failed, bad, &[], ready, &[BlockArg::Value(memory)]);
    cx.b.switch_to_block(bad);
    // Several ranges may write this; all write the same.
    let one = cx.int(1);
    cx.b.ins().store(MemFlagsData::new(), one, base, context::FAILED);
    cx.b.ins().jump(out, &[]);
    cx.b.switch_to_block(ready);
    let signature = cx.target.signature(&super::kernel::PARAMS, &[]);
    let signature = cx.b.import_signature(signature);
    cx.b.ins().call_indirect(signature, kernel, &[buffers, sizes, scratch, begin, end]);
    cx.support(Support::Free, &[host, scratch]);
    cx.b.ins().jump(out, &[]);
    cx.b.switch_to_block(out);
    cx.b.ins().return_(&[]);
}
