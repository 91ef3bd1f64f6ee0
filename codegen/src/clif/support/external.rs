//! Functions from outside: how they are found, and whether they wrote.
//!
//! A function is looked for, in this order, in the library's slot for it, which a host may fill after loading; with the
//! host; among the imports of the library's module in a tvm-ffi host; among the global functions of such a host.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    BlockArg, InstBuilder, MemFlagsData, StackSlotData, StackSlotKind, Type, Value, types,
};
use orogen_abi::symbol::{LIBRARY_CONTEXT, TVM_FFI_GET_GLOBAL, TVM_FFI_LOOKUP_IMPORT};
use orogen_abi::{ByteArray, ExternSlot, FunctionObject, HostTable};
use std::mem::offset_of;

use super::{Form, I, Support};
use crate::clif::unit::{FunctionCx, Symbol};

/// Parameters of a packed function.
const PACKED: [Type; 4] = [I, I, types::I32, I];

fn load(cx: &mut FunctionCx<'_>, base: Value, offset: usize) -> Value {
    cx.b.ins().load(I, MemFlagsData::new(), base, offset as i32)
}

/// Calls a packed function and returns its status. One that fails has set the error (law A1); another status than 0 and
/// −1 is an error itself.
fn call_packed(
    cx: &mut FunctionCx<'_>,
    function: Value,
    handle: Value,
    args: &[Value; 3],
    name: Value,
) -> Value {
    let signature = cx.target.signature(&PACKED, &[types::I32]);
    let signature = cx.b.import_signature(signature);
    let call = cx.b.ins().call_indirect(signature, function, &[handle, args[0], args[1], args[2]]);
    let status = cx.b.inst_results(call)[0];
    let (odd, done) = (cx.b.create_block(), cx.b.create_block());
    let result = cx.b.append_block_param(done, types::I32);
    let known = cx.b.ins().iadd_imm_s(status, 1);
    let known = cx.b.ins().icmp_imm_u(IntCC::UnsignedLessThanOrEqual, known, 1);
    cx.b.ins().brif(known, done, &[BlockArg::Value(status)], odd, &[]);
    cx.b.switch_to_block(odd);
    fail(cx, "a function of the host failed with a status that is neither 0 nor -1:", name);
    let status = cx.b.ins().iconst(types::I32, -1);
    cx.b.ins().jump(done, &[BlockArg::Value(status)]);
    cx.b.switch_to_block(done);
    result
}

fn fail(cx: &mut FunctionCx<'_>, message: &str, name: Value) {
    let kind = cx.text("RuntimeError");
    let message = cx.text(message);
    let form = cx.int(Form::Text as i64);
    let zero = cx.int(0);
    cx.support(Support::Fail, &[kind, message, form, zero, name]);
}

/// `(host, name, access, slot, args, count: i32, result) → i32`
pub(super) fn call_extern(cx: &mut FunctionCx<'_>, args: &[Value]) {
    let &[host, name, access, slot, first, count, result] = args else { unreachable!("seven parameters") };
    let packed = [first, count, result];

    let function = load(cx, slot, offset_of!(ExternSlot, function));
    let (some, none) = cx.branch(function);
    cx.b.switch_to_block(some);
    let handle = load(cx, slot, offset_of!(ExternSlot, handle));
    let status = call_packed(cx, function, handle, &packed, name);
    cx.b.ins().return_(&[status]);

    cx.b.switch_to_block(none);
    let (with, without) = cx.branch(host);
    cx.b.switch_to_block(with);
    let params = [I, I, I, types::I32, I];
    let field = offset_of!(HostTable, call_extern);
    let status = cx.host_call(host, field, &params, &[types::I32], &[name, access, first, count, result]);
    cx.b.ins().return_(&[status.expect("one result")]);

    cx.b.switch_to_block(without);
    let zero = cx.int(0);
    let found = cx.b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, 8, 3));
    let found_at = cx.b.ins().stack_addr(I, found, 0);
    cx.b.ins().stack_store(I, zero, found, 0);
    let context = cx.data_address(Symbol::Data(LIBRARY_CONTEXT.to_owned()));
    let context = cx.b.ins().load(I, MemFlagsData::new(), context, 0);
    let (module, global) = cx.branch(context);
    cx.b.switch_to_block(module);
    weak_call(cx, TVM_FFI_LOOKUP_IMPORT, &[context, name, found_at]);
    let object = cx.b.ins().stack_load(I, I, found, 0);
    let (imported, not_imported) = cx.branch(object);
    cx.b.switch_to_block(imported);
    // The module keeps its imports alive.
    let function = load(cx, object, offset_of!(FunctionObject, safe_call));
    let status = call_packed(cx, function, object, &packed, name);
    cx.b.ins().return_(&[status]);
    cx.b.switch_to_block(not_imported);
    cx.b.ins().jump(global, &[]);

    cx.b.switch_to_block(global);
    let length = length_of(cx, name);
    let text = cx.b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, 16, 3));
    cx.b.ins().stack_store(I, name, text, offset_of!(ByteArray, data) as i32);
    cx.b.ins().stack_store(I, length, text, offset_of!(ByteArray, size) as i32);
    let text = cx.b.ins().stack_addr(I, text, 0);
    cx.b.ins().stack_store(I, zero, found, 0);
    weak_call(cx, TVM_FFI_GET_GLOBAL, &[text, found_at]);
    let object = cx.b.ins().stack_load(I, I, found, 0);
    let (known, unknown) = cx.branch(object);
    cx.b.switch_to_block(known);
    let function = load(cx, object, offset_of!(FunctionObject, safe_call));
    let status = call_packed(cx, function, object, &packed, name);
    cx.support(Support::Release, &[object]);
    cx.b.ins().return_(&[status]);
    cx.b.switch_to_block(unknown);
    fail(cx, "the host has no function", name);
    let status = cx.b.ins().iconst(types::I32, -1);
    cx.b.ins().return_(&[status]);
}

/// Calls a function that the process may lack, of as many pointers; its status does not matter: what it finds does.
fn weak_call(cx: &mut FunctionCx<'_>, symbol: &str, args: &[Value]) {
    let params = vec![I; args.len()];
    let function = cx.function(Symbol::Weak(symbol.to_owned()), &params, &[types::I32]);
    let address = cx.b.ins().func_addr(I, function);
    let (some, done) = cx.branch(address);
    cx.b.switch_to_block(some);
    let signature = cx.target.signature(&params, &[types::I32]);
    let signature = cx.b.import_signature(signature);
    cx.b.ins().call_indirect(signature, address, args);
    cx.b.ins().jump(done, &[]);
    cx.b.switch_to_block(done);
}

/// Bytes before the NUL.
fn length_of(cx: &mut FunctionCx<'_>, text: Value) -> Value {
    let strlen = Symbol::Import("strlen".to_owned());
    cx.call(strlen, &[I], &[I], &[text]).expect("one result")
}

/// `(data, bytes, fill) → i8`: whether some byte is not `fill`. Of no bytes, none is missing.
pub(super) fn is_written(cx: &mut FunctionCx<'_>, args: &[Value]) {
    let &[data, bytes, fill] = args else { unreachable!("three parameters") };
    let (yes, no) = (cx.b.ins().iconst(types::I8, 1), cx.b.ins().iconst(types::I8, 0));
    let (some, empty) = cx.branch(bytes);
    cx.b.switch_to_block(empty);
    cx.b.ins().return_(&[yes]);
    cx.b.switch_to_block(some);
    let fill = cx.b.ins().ireduce(types::I8, fill);
    let (head, body, written, unwritten) =
        (cx.b.create_block(), cx.b.create_block(), cx.b.create_block(), cx.b.create_block());
    let at = cx.b.append_block_param(head, I);
    let end = cx.b.ins().iadd(data, bytes);
    cx.b.ins().jump(head, &[BlockArg::Value(data)]);
    cx.b.switch_to_block(head);
    let more = cx.b.ins().icmp(IntCC::UnsignedLessThan, at, end);
    cx.b.ins().brif(more, body, &[], unwritten, &[]);
    cx.b.switch_to_block(body);
    let byte = cx.b.ins().load(types::I8, MemFlagsData::new(), at, 0);
    let same = cx.b.ins().icmp(IntCC::Equal, byte, fill);
    let next = cx.b.ins().iadd_imm_s(at, 1);
    cx.b.ins().brif(same, head, &[BlockArg::Value(next)], written, &[]);
    cx.b.switch_to_block(written);
    cx.b.ins().return_(&[yes]);
    cx.b.switch_to_block(unwritten);
    cx.b.ins().return_(&[no]);
}
