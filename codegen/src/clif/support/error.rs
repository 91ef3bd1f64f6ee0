//! Error messages.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    BlockArg, InstBuilder, MemFlagsData, StackSlotData, StackSlotKind, Value, types,
};
use orogen_abi::HostTable;
use std::mem::offset_of;

use super::{I, Support};
use crate::clif::lowering::Failure;
use crate::clif::unit::{FunctionCx, Symbol};

/// Room for a message with its end.
const ROOM: u32 = 1024;
/// Longest text that is taken over; numbers and what stands between them need the rest.
const TEXT_ROOM: i64 = 900;

/// What follows the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Nothing.
    Plain = 0,
    /// A space and `3, got 4`; the message ends with what is expected of the first number.
    Numbers = 1,
    /// A space and the text at `got`.
    Text = 2,
    /// `: index 7 is out of range for dimension 0 of `x`, which has 5`, of the [`Failure`] at `got`.
    Index = 3,
}

/// `(kind, message, form, expected, got)`: formats the message and sets the error.
pub(super) fn fail(cx: &mut FunctionCx<'_>, args: &[Value]) {
    let &[kind, message, form, expected, got] = args else { unreachable!("five parameters") };
    let slot = cx.b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, ROOM, 4));
    let start = cx.b.ins().stack_addr(I, slot, 0);
    let limit = cx.b.ins().iadd_imm_s(start, TEXT_ROOM);
    let room = cx.b.ins().iadd_imm_s(start, i64::from(ROOM) - 1);
    let at = copy_text(cx, start, limit, message);
    let (numbers, text, done) = (cx.b.create_block(), cx.b.create_block(), cx.b.create_block());
    let end = cx.b.append_block_param(done, I);
    let not_numbers = cx.b.create_block();
    let is_numbers = cx.b.ins().icmp_imm_s(IntCC::Equal, form, Form::Numbers as i64);
    cx.b.ins().brif(is_numbers, numbers, &[], not_numbers, &[]);

    cx.b.switch_to_block(not_numbers);
    let not_text = cx.b.create_block();
    let is_text = cx.b.ins().icmp_imm_s(IntCC::Equal, form, Form::Text as i64);
    cx.b.ins().brif(is_text, text, &[], not_text, &[]);

    cx.b.switch_to_block(not_text);
    let index = cx.b.create_block();
    let is_index = cx.b.ins().icmp_imm_s(IntCC::Equal, form, Form::Index as i64);
    cx.b.ins().brif(is_index, index, &[], done, &[BlockArg::Value(at)]);

    cx.b.switch_to_block(index);
    let field = |cx: &mut FunctionCx<'_>, offset: usize| {
        cx.b.ins().load(I, MemFlagsData::trusted(), got, offset as i32)
    };
    let (place, number) = (field(cx, offset_of!(Failure, place)), field(cx, offset_of!(Failure, index)));
    let extent = field(cx, offset_of!(Failure, extent));
    let after = copy_literal(cx, at, room, ": index ");
    let after = write_number(cx, after, number);
    let after = copy_literal(cx, after, room, " is out of range for ");
    let after = copy_text(cx, after, limit, place);
    let after = copy_literal(cx, after, room, ", which has ");
    let after = write_number(cx, after, extent);
    cx.b.ins().jump(done, &[BlockArg::Value(after)]);

    cx.b.switch_to_block(text);
    let after = copy_literal(cx, at, room, " ");
    let after = copy_text(cx, after, limit, got);
    cx.b.ins().jump(done, &[BlockArg::Value(after)]);

    cx.b.switch_to_block(numbers);
    let after = copy_literal(cx, at, room, " ");
    let after = write_number(cx, after, expected);
    let after = copy_literal(cx, after, room, ", got ");
    let after = write_number(cx, after, got);
    cx.b.ins().jump(done, &[BlockArg::Value(after)]);

    cx.b.switch_to_block(done);
    let zero = cx.b.ins().iconst(types::I8, 0);
    cx.b.ins().store(MemFlagsData::trusted(), zero, end, 0);
    let host = cx.host();
    let (with, without) = cx.branch(host);
    cx.b.switch_to_block(with);
    cx.host_call(host, offset_of!(HostTable, error_set), &[I, I], &[], &[kind, start]);
    cx.b.ins().return_(&[]);
    cx.b.switch_to_block(without);
    let symbol = Symbol::Weak(orogen_abi::symbol::TVM_FFI_SET_ERROR.to_owned());
    let setter = cx.function(symbol, &[I, I], &[]);
    let address = cx.b.ins().func_addr(I, setter);
    let (some, none) = cx.branch(address);
    cx.b.switch_to_block(some);
    let signature = cx.target.signature(&[I, I], &[]);
    let signature = cx.b.import_signature(signature);
    cx.b.ins().call_indirect(signature, address, &[kind, start]);
    cx.b.ins().jump(none, &[]);
    cx.b.switch_to_block(none);
    cx.b.ins().return_(&[]);
}

/// `(place)`
pub(super) fn within(cx: &mut FunctionCx<'_>, args: &[Value]) {
    let host = cx.host();
    let (with, without) = cx.branch(host);
    cx.b.switch_to_block(with);
    cx.host_call(host, offset_of!(HostTable, error_within), &[I], &[], args);
    cx.b.ins().jump(without, &[]);
    cx.b.switch_to_block(without);
    cx.b.ins().return_(&[]);
}

fn copy_literal(cx: &mut FunctionCx<'_>, at: Value, limit: Value, text: &str) -> Value {
    let text = cx.text(text);
    copy_text(cx, at, limit, text)
}

fn copy_text(cx: &mut FunctionCx<'_>, at: Value, limit: Value, text: Value) -> Value {
    cx.support(Support::WriteText, &[at, limit, text]).expect("one result")
}

fn write_number(cx: &mut FunctionCx<'_>, at: Value, number: Value) -> Value {
    cx.support(Support::WriteNumber, &[at, number]).expect("one result")
}

/// `(start, limit, text) → end`: copies up to the NUL or the limit.
pub(super) fn write_text(cx: &mut FunctionCx<'_>, args: &[Value]) {
    let &[start, limit, text] = args else { unreachable!("three parameters") };
    let (head, body, done) = (cx.b.create_block(), cx.b.create_block(), cx.b.create_block());
    let to = cx.b.append_block_param(head, I);
    let from = cx.b.append_block_param(head, I);
    cx.b.ins().jump(head, &[BlockArg::Value(start), BlockArg::Value(text)]);
    cx.b.switch_to_block(head);
    let byte = cx.b.ins().load(types::I8, MemFlagsData::trusted(), from, 0);
    let more = cx.b.ins().icmp_imm_s(IntCC::NotEqual, byte, 0);
    let room = cx.b.ins().icmp(IntCC::UnsignedLessThan, to, limit);
    let more = cx.b.ins().band(more, room);
    cx.b.ins().brif(more, body, &[], done, &[]);
    cx.b.switch_to_block(body);
    cx.b.ins().store(MemFlagsData::trusted(), byte, to, 0);
    let next_to = cx.b.ins().iadd_imm_s(to, 1);
    let next_from = cx.b.ins().iadd_imm_s(from, 1);
    cx.b.ins().jump(head, &[BlockArg::Value(next_to), BlockArg::Value(next_from)]);
    cx.b.switch_to_block(done);
    cx.b.ins().return_(&[to]);
}

/// `(start, number) → end`: a signed decimal number.
pub(super) fn write_signed(cx: &mut FunctionCx<'_>, args: &[Value]) {
    let &[start, number] = args else { unreachable!("two parameters") };
    // A minus sign that is overwritten when there is none.
    let minus = cx.b.ins().iconst(types::I8, i64::from(b'-'));
    cx.b.ins().store(MemFlagsData::trusted(), minus, start, 0);
    let negative = cx.b.ins().icmp_imm_s(IntCC::SignedLessThan, number, 0);
    let sign = cx.b.ins().uextend(I, negative);
    let start = cx.b.ins().iadd(start, sign);
    // The magnitude of the least integer is right as an unsigned number.
    let magnitude = cx.b.ins().iabs(number);
    let ten = cx.int(10);
    let one = cx.int(1);
    // The greatest power of ten that is not above the number.
    let (head, grow, digits, done) =
        (cx.b.create_block(), cx.b.create_block(), cx.b.create_block(), cx.b.create_block());
    let power = cx.b.append_block_param(head, I);
    let at = cx.b.append_block_param(digits, I);
    let rest = cx.b.append_block_param(digits, I);
    let place = cx.b.append_block_param(digits, I);
    cx.b.ins().jump(head, &[BlockArg::Value(one)]);
    cx.b.switch_to_block(head);
    let quotient = cx.b.ins().udiv(magnitude, power);
    let larger = cx.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThanOrEqual, quotient, 10);
    let args = [start, magnitude, power].map(BlockArg::Value);
    cx.b.ins().brif(larger, grow, &[], digits, &args);
    cx.b.switch_to_block(grow);
    let next = cx.b.ins().imul(power, ten);
    cx.b.ins().jump(head, &[BlockArg::Value(next)]);

    cx.b.switch_to_block(digits);
    let digit = cx.b.ins().udiv(rest, place);
    let byte = cx.b.ins().ireduce(types::I8, digit);
    let byte = cx.b.ins().iadd_imm_s(byte, i64::from(b'0'));
    cx.b.ins().store(MemFlagsData::trusted(), byte, at, 0);
    let next_at = cx.b.ins().iadd_imm_s(at, 1);
    let taken = cx.b.ins().imul(digit, place);
    let next_rest = cx.b.ins().isub(rest, taken);
    let next_place = cx.b.ins().udiv(place, ten);
    let args = [next_at, next_rest, next_place].map(BlockArg::Value);
    cx.b.ins().brif(next_place, digits, &args, done, &[]);
    cx.b.switch_to_block(done);
    cx.b.ins().return_(&[next_at]);
}
