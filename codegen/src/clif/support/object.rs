//! Tensors made without a host, and counting of references.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{AtomicRmwOp, Block, BlockArg, InstBuilder, MemFlagsData, Value, types};
use orogen_abi::{AllocHeader, DLTensor, HostTable, Object, TensorObject, TypeIndex};
use std::mem::{offset_of, size_of};

use super::{ALIGN, Form, I, Support, raw_alloc, raw_free};
use crate::clif::size::MAX_EXTENT;
use crate::clif::unit::{FunctionCx, Symbol};

/// Bytes between the start of an allocation and the object in it: the allocation header lies just before the
/// object (law A5), and the object is aligned.
const BEFORE: i64 = ALIGN;
const _: () = assert!(size_of::<AllocHeader>() as i64 <= BEFORE);

pub(super) fn store(cx: &mut FunctionCx<'_>, value: Value, base: Value, offset: usize) {
    cx.b.ins().store(MemFlagsData::trusted(), value, base, offset as i32);
}

pub(super) fn store_int(
    cx: &mut FunctionCx<'_>,
    ty: cranelift_codegen::ir::Type,
    value: i64,
    base: Value,
    offset: usize,
) {
    let value = cx.b.ins().iconst(ty, value);
    store(cx, value, base, offset);
}

/// An object with its header, and `bytes` behind the header. Returns from the function when there is no memory.
pub(super) fn new_object(cx: &mut FunctionCx<'_>, bytes: Value, type_index: i32, deleter: Support) -> Value {
    let room = cx.b.ins().iadd_imm_s(bytes, BEFORE);
    let start = raw_alloc(cx, room);
    let object = cx.b.ins().iadd_imm_s(start, BEFORE);
    let zero = cx.int(0);
    let space = offset_of!(AllocHeader, delete_space) as i32 - size_of::<AllocHeader>() as i32;
    cx.b.ins().store(MemFlagsData::trusted(), zero, object, space);
    store_int(cx, I, Object::COUNTS_ONE.cast_signed(), object, offset_of!(Object, counts));
    store_int(cx, types::I32, i64::from(type_index), object, offset_of!(Object, type_index));
    store_int(cx, types::I32, 0, object, offset_of!(Object, padding));
    let deleter = cx.support_address(deleter);
    store(cx, deleter, object, offset_of!(Object, deleter));
    object
}

/// `(dtype, rank, shape, bytes) → object`
pub(super) fn new_tensor(cx: &mut FunctionCx<'_>, args: &[Value]) {
    let &[dtype, rank, shape, bytes] = args else { unreachable!("four parameters") };
    let host = cx.host();
    let (with, without) = cx.branch(host);
    cx.b.switch_to_block(with);
    let params = [types::I32, types::I32, I];
    let field = offset_of!(HostTable, tensor_new);
    let object = cx.host_call(host, field, &params, &[I], &[dtype, rank, shape]);
    cx.b.ins().return_(&[object.expect("one result")]);

    cx.b.switch_to_block(without);
    let wide = cx.b.ins().uextend(I, rank);
    let dims = cx.b.ins().imul_imm_s(wide, 16);
    let dims = cx.b.ins().iadd_imm_s(dims, size_of::<TensorObject>() as i64);
    let data_offset = cx.b.ins().iadd_imm_s(dims, ALIGN - 1);
    let data_offset = cx.b.ins().band_imm_s(data_offset, -ALIGN);
    let total = cx.b.ins().iadd(data_offset, bytes);
    let object = new_object(cx, total, TypeIndex::TENSOR, Support::DeleteTensor);
    let tensor = offset_of!(TensorObject, dl_tensor);
    let data = cx.b.ins().iadd(object, data_offset);
    store(cx, data, object, tensor + offset_of!(DLTensor, data));
    // Device: type 1 (CPU), number 0.
    store_int(cx, I, 1, object, tensor + offset_of!(DLTensor, device));
    store(cx, rank, object, tensor + offset_of!(DLTensor, ndim));
    store(cx, dtype, object, tensor + offset_of!(DLTensor, dtype));
    store_int(cx, I, 0, object, tensor + offset_of!(DLTensor, byte_offset));
    let own_shape = cx.b.ins().iadd_imm_s(object, size_of::<TensorObject>() as i64);
    let row = cx.b.ins().imul_imm_s(wide, 8);
    let strides = cx.b.ins().iadd(own_shape, row);
    store(cx, own_shape, object, tensor + offset_of!(DLTensor, shape));
    store(cx, strides, object, tensor + offset_of!(DLTensor, strides));
    // From the last dimension to the first.
    let (zero, one) = (cx.int(0), cx.int(1));
    let open = cx.open_loop(zero, wide, &[one]);
    let place = cx.b.ins().isub(wide, open.index);
    let place = cx.b.ins().imul_imm_s(place, 8);
    let place = cx.b.ins().iadd_imm_s(place, -8);
    let from = cx.b.ins().iadd(shape, place);
    let extent = cx.b.ins().load(I, MemFlagsData::trusted(), from, 0);
    let to = cx.b.ins().iadd(own_shape, place);
    cx.b.ins().store(MemFlagsData::trusted(), extent, to, 0);
    let to = cx.b.ins().iadd(strides, place);
    let stride = open.carried[0];
    cx.b.ins().store(MemFlagsData::trusted(), stride, to, 0);
    let next = cx.b.ins().imul(stride, extent);
    cx.close_loop(open, &[next]);
    cx.b.ins().return_(&[object]);
}

/// `(view) → object`: a copy of a borrowed tensor, which must be row-major in host memory.
pub(super) fn own_tensor(cx: &mut FunctionCx<'_>, args: &[Value]) {
    let view = args[0];
    let flags = MemFlagsData::trusted();
    let field = |cx: &mut FunctionCx<'_>, ty, offset: usize| cx.b.ins().load(ty, flags, view, offset as i32);
    let rank = field(cx, types::I32, offset_of!(DLTensor, ndim));
    let shape = field(cx, I, offset_of!(DLTensor, shape));
    let strides = field(cx, I, offset_of!(DLTensor, strides));
    let dtype = field(cx, types::I32, offset_of!(DLTensor, dtype));
    let device = field(cx, types::I32, offset_of!(DLTensor, device));
    let (zero, one) = (cx.int(0), cx.int(1));
    let wide = cx.b.ins().sextend(I, rank);
    // Elements of the dimensions from the last one on, and whether all strides are what that makes them.
    let good = cx.b.ins().icmp_imm_s(IntCC::Equal, device, 1);
    let open = cx.open_loop(zero, wide, &[one, good]);
    let (elements, good) = (open.carried[0], open.carried[1]);
    let axis = cx.b.ins().isub(wide, open.index);
    let at = cx.b.ins().iadd_imm_s(axis, -1);
    let at = cx.b.ins().imul_imm_s(at, 8);
    let extent = cx.b.ins().iadd(shape, at);
    let extent = cx.b.ins().load(I, flags, extent, 0);
    let (given, next) = (cx.b.create_block(), cx.b.create_block());
    let stride = cx.b.append_block_param(next, I);
    cx.b.ins().brif(strides, given, &[], next, &[BlockArg::Value(elements)]);
    cx.b.switch_to_block(given);
    let place = cx.b.ins().iadd(strides, at);
    let found = cx.b.ins().load(I, flags, place, 0);
    cx.b.ins().jump(next, &[BlockArg::Value(found)]);
    cx.b.switch_to_block(next);
    let same = cx.b.ins().icmp(IntCC::Equal, stride, elements);
    let single = cx.b.ins().icmp_imm_s(IntCC::SignedLessThanOrEqual, extent, 1);
    let fine = cx.b.ins().bor(same, single);
    let small = cx.b.ins().icmp_imm_u(IntCC::UnsignedLessThanOrEqual, extent, MAX_EXTENT);
    let fine = cx.b.ins().band(fine, small);
    let good = cx.b.ins().band(good, fine);
    let (low, high) = (cx.b.ins().imul(elements, extent), cx.b.ins().umulhi(elements, extent));
    let fits = cx.b.ins().icmp_imm_s(IntCC::Equal, high, 0);
    let bounded = cx.b.ins().icmp_imm_u(IntCC::UnsignedLessThanOrEqual, low, MAX_EXTENT);
    let fits = cx.b.ins().band(fits, bounded);
    let good = cx.b.ins().band(good, fits);
    let [elements, good] = cx.close_loop(open, &[low, good])[..] else { unreachable!("two carried values") };
    let (whole, bad) = cx.branch(good);
    cx.b.switch_to_block(bad);
    let kind = cx.text("ValueError");
    let message = cx.text("a tensor that is kept must be row-major in host memory");
    let form = cx.int(Form::Plain as i64);
    cx.support(Support::Fail, &[kind, message, form, zero, zero]);
    cx.b.ins().return_(&[zero]);
    cx.b.switch_to_block(whole);
    // Bits of an element, times lanes; both are small.
    let packed = cx.b.ins().uextend(I, dtype);
    let bits = cx.b.ins().ushr_imm_u(packed, 8);
    let bits = cx.b.ins().band_imm_u(bits, 0xff);
    let lanes = cx.b.ins().ushr_imm_u(packed, 16);
    let bits = cx.b.ins().imul(bits, lanes);
    let bits = cx.b.ins().iadd_imm_s(bits, 7);
    let size = cx.b.ins().ushr_imm_u(bits, 3);
    let bytes = cx.b.ins().imul(elements, size);
    let object = cx.support(Support::NewTensor, &[dtype, rank, shape, bytes]).expect("one result");
    let (made, failed) = cx.branch(object);
    cx.b.switch_to_block(failed);
    cx.b.ins().return_(&[zero]);
    cx.b.switch_to_block(made);
    let inside = offset_of!(TensorObject, dl_tensor) + offset_of!(DLTensor, data);
    let to = cx.b.ins().load(I, flags, object, inside as i32);
    let from = field(cx, I, offset_of!(DLTensor, data));
    let offset = field(cx, I, offset_of!(DLTensor, byte_offset));
    let from = cx.b.ins().iadd(from, offset);
    cx.call(Symbol::Import("memmove".to_owned()), &[I; 3], &[I], &[to, from, bytes]);
    cx.b.ins().return_(&[object]);
}

/// `(object)`: gives up one strong reference.
pub(super) fn release(cx: &mut FunctionCx<'_>, args: &[Value]) {
    let object = args[0];
    let (some, out) = cx.branch(object);
    cx.b.switch_to_block(some);
    let host = cx.host();
    let (with, without) = cx.branch(host);
    cx.b.switch_to_block(with);
    cx.host_call(host, offset_of!(HostTable, object_release), &[I], &[], args);
    cx.b.ins().jump(out, &[]);

    cx.b.switch_to_block(without);
    let one = cx.int(Object::STRONG_ONE.cast_signed());
    let before = subtract(cx, object, one);
    let strong = cx.b.ins().band_imm_u(before, 0xffff_ffff);
    let last = cx.b.ins().icmp_imm_s(IntCC::Equal, strong, 1);
    let dying = cx.b.create_block();
    cx.b.ins().brif(last, dying, &[], out, &[]);
    cx.b.switch_to_block(dying);
    let only = cx.b.ins().icmp_imm_s(IntCC::Equal, before, Object::COUNTS_ONE.cast_signed());
    let (both, separately) = cx.branch(only);
    cx.b.switch_to_block(both);
    call_deleter(cx, object, Object::DELETE_BOTH);
    cx.b.ins().jump(out, &[]);
    cx.b.switch_to_block(separately);
    call_deleter(cx, object, Object::DELETE_STRONG);
    let weak = cx.int(Object::WEAK_ONE.cast_signed());
    let before = subtract(cx, object, weak);
    let weak = cx.b.ins().ushr_imm_u(before, 32);
    let last = cx.b.ins().icmp_imm_s(IntCC::Equal, weak, 1);
    let storage = cx.b.create_block();
    cx.b.ins().brif(last, storage, &[], out, &[]);
    cx.b.switch_to_block(storage);
    call_deleter(cx, object, Object::DELETE_WEAK);
    cx.b.ins().jump(out, &[]);
    cx.b.switch_to_block(out);
    cx.b.ins().return_(&[]);
}

/// `(payload, tag)`: gives up the reference of an `Any`, if it has one.
pub(super) fn release_any(cx: &mut FunctionCx<'_>, args: &[Value]) {
    let (object, other) = if_object(cx, args[1]);
    cx.b.switch_to_block(object);
    cx.support(Support::Release, &[args[0]]);
    cx.b.ins().jump(other, &[]);
    cx.b.switch_to_block(other);
    cx.b.ins().return_(&[]);
}

/// `(payload, tag)`: one more reference to an `Any`, if it is an object.
pub(super) fn retain_any(cx: &mut FunctionCx<'_>, args: &[Value]) {
    const _: () = assert!(offset_of!(Object, counts) == 0);
    let (object, other) = if_object(cx, args[1]);
    cx.b.switch_to_block(object);
    let one = cx.int(Object::STRONG_ONE.cast_signed());
    cx.b.ins().atomic_rmw(I, MemFlagsData::trusted(), AtomicRmwOp::Add, args[0], one);
    cx.b.ins().jump(other, &[]);
    cx.b.switch_to_block(other);
    cx.b.ins().return_(&[]);
}

/// Two blocks; control goes to the first when an `Any` of this tag is an object.
fn if_object(cx: &mut FunctionCx<'_>, tag: Value) -> (Block, Block) {
    let index = cx.b.ins().ireduce(types::I32, tag);
    let object = i64::from(TypeIndex::OBJECT);
    let is_object = cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, index, object);
    cx.branch(is_object)
}

fn subtract(cx: &mut FunctionCx<'_>, object: Value, by: Value) -> Value {
    const _: () = assert!(offset_of!(Object, counts) == 0);
    cx.b.ins().atomic_rmw(I, MemFlagsData::trusted(), AtomicRmwOp::Sub, object, by)
}

fn call_deleter(cx: &mut FunctionCx<'_>, object: Value, flags: i32) {
    let offset = offset_of!(Object, deleter) as i32;
    let deleter = cx.b.ins().load(I, MemFlagsData::trusted(), object, offset);
    let (some, none) = cx.branch(deleter);
    cx.b.switch_to_block(some);
    let signature = cx.target.signature(&[I, types::I32], &[]);
    let signature = cx.b.import_signature(signature);
    let flags = cx.b.ins().iconst(types::I32, i64::from(flags));
    cx.b.ins().call_indirect(signature, deleter, &[object, flags]);
    cx.b.ins().jump(none, &[]);
    cx.b.switch_to_block(none);
}

/// `(object, flags)`
pub(super) fn delete_tensor(cx: &mut FunctionCx<'_>, args: &[Value]) {
    free_storage(cx, args);
    cx.b.ins().return_(&[]);
}

pub(super) fn free_storage(cx: &mut FunctionCx<'_>, args: &[Value]) {
    let weak = cx.b.ins().band_imm_u(args[1], i64::from(Object::DELETE_WEAK));
    let (storage, none) = cx.branch(weak);
    cx.b.switch_to_block(storage);
    let start = cx.b.ins().iadd_imm_s(args[0], -BEFORE);
    raw_free(cx, start);
    cx.b.ins().jump(none, &[]);
    cx.b.switch_to_block(none);
}
