//! Arrays: made here without a host, filled and changed here always.
//!
//! An array is changed in place only by whoever holds its one reference; room behind its items makes appending one cheap.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value};
use orogen_abi::{Any, ArrayObject, HostTable, Object, TypeIndex};
use std::mem::{offset_of, size_of};

use super::object::{free_storage, new_object, store, store_int};
use super::{I, Support};
use crate::clif::unit::{FunctionCx, Symbol};

const ITEM: i64 = size_of::<Any>() as i64;

/// Room of an array that one item is put into, beyond twice what it had.
const LEAST_ROOM: i64 = 4;

fn load(cx: &mut FunctionCx<'_>, base: Value, offset: usize) -> Value {
    cx.b.ins().load(I, MemFlagsData::trusted(), base, offset as i32)
}

/// The address of an item.
fn item_at(cx: &mut FunctionCx<'_>, data: Value, at: Value) -> Value {
    let offset = cx.b.ins().imul_imm_s(at, ITEM);
    cx.b.ins().iadd(data, offset)
}

fn put(cx: &mut FunctionCx<'_>, at: Value, payload: Value, tag: Value) {
    const _: () = assert!(offset_of!(Any, type_index) == 0 && offset_of!(Any, small_len) == 4);
    store(cx, tag, at, 0);
    store(cx, payload, at, offset_of!(Any, payload));
}

/// Copies items `begin..end` of `from` to `to`, there `shift` places on, each with a reference more.
fn share(cx: &mut FunctionCx<'_>, [from, to]: [Value; 2], [begin, end]: [Value; 2], shift: i64) {
    let open = cx.open_loop(begin, end, &[]);
    let source = item_at(cx, from, open.index);
    let (tag, payload) = (load(cx, source, 0), load(cx, source, offset_of!(Any, payload)));
    cx.support(Support::RetainAny, &[payload, tag]);
    let target = cx.b.ins().iadd_imm_s(open.index, shift);
    let target = item_at(cx, to, target);
    put(cx, target, payload, tag);
    cx.close_loop(open, &[]);
}

/// Gives up the references of the first `count` items.
fn release_items(cx: &mut FunctionCx<'_>, items: Value, count: Value) {
    let zero = cx.int(0);
    let open = cx.open_loop(zero, count, &[]);
    let item = item_at(cx, items, open.index);
    let (tag, payload) = (load(cx, item, 0), load(cx, item, offset_of!(Any, payload)));
    cx.support(Support::ReleaseAny, &[payload, tag]);
    cx.close_loop(open, &[]);
}

/// Whether there is one strong reference and no weak one but that of it. What others wrote before they gave theirs up is
/// seen behind this.
fn is_unique(cx: &mut FunctionCx<'_>, object: Value) -> Value {
    const _: () = assert!(offset_of!(Object, counts) == 0);
    let counts = cx.b.ins().atomic_load(I, MemFlagsData::trusted(), object);
    cx.b.ins().icmp_imm_s(IntCC::Equal, counts, Object::COUNTS_ONE.cast_signed())
}

fn memmove(cx: &mut FunctionCx<'_>, to: Value, from: Value, bytes: Value) {
    cx.call(Symbol::Import("memmove".to_owned()), &[I; 3], &[I], &[to, from, bytes]);
}

/// `(capacity) → array object` without items.
pub(super) fn empty_array(cx: &mut FunctionCx<'_>, args: &[Value]) {
    let capacity = args[0];
    let host = cx.host();
    let (with, without) = cx.branch(host);
    cx.b.switch_to_block(with);
    let object = cx.host_call(host, offset_of!(HostTable, array_new), &[I], &[I], args);
    cx.b.ins().return_(&[object.expect("one result")]);

    cx.b.switch_to_block(without);
    let header = (size_of::<ArrayObject>() as i64 + 15) & !15;
    let bytes = cx.b.ins().imul_imm_s(capacity, ITEM);
    let bytes = cx.b.ins().iadd_imm_s(bytes, header);
    let object = new_object(cx, bytes, TypeIndex::ARRAY, Support::DeleteArray);
    let data = cx.b.ins().iadd_imm_s(object, header);
    store(cx, data, object, offset_of!(ArrayObject, data));
    store_int(cx, I, 0, object, offset_of!(ArrayObject, size));
    store(cx, capacity, object, offset_of!(ArrayObject, capacity));
    store_int(cx, I, 0, object, offset_of!(ArrayObject, data_deleter));
    cx.b.ins().return_(&[object]);
}

/// An array without items and where they go. Without memory the function returns null, after `give_back`.
fn room_for(
    cx: &mut FunctionCx<'_>,
    capacity: Value,
    give_back: impl FnOnce(&mut FunctionCx<'_>),
) -> (Value, Value) {
    let new = cx.support(Support::EmptyArray, &[capacity]).expect("one result");
    let (made, failed) = cx.branch(new);
    cx.b.switch_to_block(failed);
    give_back(cx);
    let null = cx.int(0);
    cx.b.ins().return_(&[null]);
    cx.b.switch_to_block(made);
    let data = load(cx, new, offset_of!(ArrayObject, data));
    (new, data)
}

/// `(count, anys) → array object`; takes over what is in them, also on failure.
pub(super) fn new_array(cx: &mut FunctionCx<'_>, args: &[Value]) {
    let &[count, items] = args else { unreachable!("two parameters") };
    let (array, data) = room_for(cx, count, |cx| release_items(cx, items, count));
    let bytes = cx.b.ins().imul_imm_s(count, ITEM);
    memmove(cx, data, items, bytes);
    store(cx, count, array, offset_of!(ArrayObject, size));
    cx.b.ins().return_(&[array]);
}

/// `(array, at, payload, tag) → array object`; takes over array and item, also on failure.
pub(super) fn insert_item(cx: &mut FunctionCx<'_>, args: &[Value]) {
    let &[array, at, payload, tag] = args else { unreachable!("four parameters") };
    let size = load(cx, array, offset_of!(ArrayObject, size));
    let capacity = load(cx, array, offset_of!(ArrayObject, capacity));
    let data = load(cx, array, offset_of!(ArrayObject, data));
    let grown = cx.b.ins().iadd_imm_s(size, 1);
    let unique = is_unique(cx, array);
    let room = cx.b.ins().icmp(IntCC::SignedLessThan, size, capacity);
    let in_place = cx.b.ins().band(unique, room);
    let (here, elsewhere) = cx.branch(in_place);

    cx.b.switch_to_block(here);
    let place = item_at(cx, data, at);
    let next = cx.b.ins().iadd_imm_s(place, ITEM);
    let behind = cx.b.ins().isub(size, at);
    let bytes = cx.b.ins().imul_imm_s(behind, ITEM);
    memmove(cx, next, place, bytes);
    put(cx, place, payload, tag);
    store(cx, grown, array, offset_of!(ArrayObject, size));
    cx.b.ins().return_(&[array]);

    cx.b.switch_to_block(elsewhere);
    let double = cx.b.ins().imul_imm_s(size, 2);
    let capacity = cx.b.ins().iadd_imm_s(double, LEAST_ROOM);
    let (new, to) = room_for(cx, capacity, |cx| {
        cx.support(Support::Release, &[array]);
        cx.support(Support::ReleaseAny, &[payload, tag]);
    });
    let zero = cx.int(0);
    share(cx, [data, to], [zero, at], 0);
    share(cx, [data, to], [at, size], 1);
    let place = item_at(cx, to, at);
    put(cx, place, payload, tag);
    store(cx, grown, new, offset_of!(ArrayObject, size));
    cx.support(Support::Release, &[array]);
    cx.b.ins().return_(&[new]);
}

/// `(array, at) → array object`; takes over the array, also on failure.
pub(super) fn erase_item(cx: &mut FunctionCx<'_>, args: &[Value]) {
    let &[array, at] = args else { unreachable!("two parameters") };
    let size = load(cx, array, offset_of!(ArrayObject, size));
    let data = load(cx, array, offset_of!(ArrayObject, data));
    let less = cx.b.ins().iadd_imm_s(size, -1);
    let after = cx.b.ins().iadd_imm_s(at, 1);
    let unique = is_unique(cx, array);
    let (here, elsewhere) = cx.branch(unique);

    cx.b.switch_to_block(here);
    let place = item_at(cx, data, at);
    let (tag, payload) = (load(cx, place, 0), load(cx, place, offset_of!(Any, payload)));
    let next = item_at(cx, data, after);
    let behind = cx.b.ins().isub(size, after);
    let bytes = cx.b.ins().imul_imm_s(behind, ITEM);
    memmove(cx, place, next, bytes);
    store(cx, less, array, offset_of!(ArrayObject, size));
    cx.support(Support::ReleaseAny, &[payload, tag]);
    cx.b.ins().return_(&[array]);

    cx.b.switch_to_block(elsewhere);
    let (new, to) = room_for(cx, less, |cx| {
        cx.support(Support::Release, &[array]);
    });
    let zero = cx.int(0);
    share(cx, [data, to], [zero, at], 0);
    share(cx, [data, to], [after, size], -1);
    store(cx, less, new, offset_of!(ArrayObject, size));
    cx.support(Support::Release, &[array]);
    cx.b.ins().return_(&[new]);
}

/// `(object, flags)`
pub(super) fn delete_array(cx: &mut FunctionCx<'_>, args: &[Value]) {
    let (object, flags) = (args[0], args[1]);
    let strong = cx.b.ins().band_imm_u(flags, i64::from(Object::DELETE_STRONG));
    let (items, rest) = cx.branch(strong);
    cx.b.switch_to_block(items);
    let data = load(cx, object, offset_of!(ArrayObject, data));
    let count = load(cx, object, offset_of!(ArrayObject, size));
    release_items(cx, data, count);
    cx.b.ins().jump(rest, &[]);
    cx.b.switch_to_block(rest);
    free_storage(cx, args);
    cx.b.ins().return_(&[]);
}
