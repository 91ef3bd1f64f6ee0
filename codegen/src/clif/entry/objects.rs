//! Objects: what is in their places, and the steps on them.
//!
//! A place holds an `Any` with a reference to it, given back when something else is put there and on every way out. That
//! of a tensor has the address of its elements in the second word, as its tag is known; others have their tag there.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, StackSlot, Value, types};
use orogen_abi::{Any, ArrayObject, DLTensor, TensorObject, TypeIndex};
use orogen_ir::plan::{AxisBinding, ObjectId, ObjectOp};
use orogen_ir::shape::Dim;
use orogen_ir::types::{DType, TensorType, Type};
use std::mem::{offset_of, size_of};

use super::Entry;
use crate::clif::lowering::Failure;
use crate::clif::support::{Form, Support};

/// Items that are written to the stack at once for a new array.
const ITEMS_AT_ONCE: usize = 64;

/// Tag word and payload of an `Any`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) tag: Value,
    pub(super) payload: Value,
}

const PAYLOAD: i32 = offset_of!(Any, payload) as i32;

impl Entry<'_, '_, '_> {
    fn is_tensor(&self, id: ObjectId) -> bool {
        self.input.plan.objects[id.0 as usize].tensor().is_some()
    }

    /// What is in a place, without a reference of its own.
    pub(super) fn held(&mut self, id: ObjectId) -> Held {
        let payload = self.frame.object(self.cx, id);
        let tag = match self.is_tensor(id) {
            true => self.cx.int(i64::from(TypeIndex::TENSOR)),
            false => self.frame.object_data(self.cx, id),
        };
        Held { tag, payload }
    }

    pub(super) fn load_any(&mut self, at: Value) -> Held {
        let flags = MemFlagsData::trusted();
        let tag = self.cx.b.ins().load(types::I64, flags, at, 0);
        Held { tag, payload: self.cx.b.ins().load(types::I64, flags, at, PAYLOAD) }
    }

    pub(super) fn store_any(&mut self, list: StackSlot, i: usize, held: Held) {
        let at = (i * size_of::<Any>()) as i32;
        self.cx.b.ins().stack_store(types::I64, held.tag, list, at);
        self.cx.b.ins().stack_store(types::I64, held.payload, list, at + PAYLOAD);
    }

    pub(super) fn retain(&mut self, held: Held) {
        self.cx.support(Support::RetainAny, &[held.payload, held.tag]);
    }

    /// Puts something in a place, which takes over the reference; what was there is given back.
    pub(super) fn put(&mut self, id: ObjectId, held: Held) {
        self.release_object(id);
        let second = match self.is_tensor(id) {
            true => {
                let inside = offset_of!(TensorObject, dl_tensor) as i64;
                let tensor = self.cx.b.ins().iadd_imm_s(held.payload, inside);
                self.elements(tensor)
            }
            false => held.tag,
        };
        self.frame.set_object(self.cx, id, held.payload, second);
        self.keep_borrowed(id, held);
    }

    /// Nothing is in a place any more; whoever reads it finds nothing to give back.
    fn empty(&mut self, id: ObjectId) {
        const _: () = assert!(TypeIndex::NONE == 0);
        let zero = self.cx.int(0);
        self.frame.set_object(self.cx, id, zero, zero);
    }

    fn release_object(&mut self, id: ObjectId) {
        let payload = self.frame.object(self.cx, id);
        if self.is_tensor(id) {
            self.cx.support(Support::Release, &[payload]);
        } else {
            let tag = self.frame.object_data(self.cx, id);
            self.cx.support(Support::ReleaseAny, &[payload, tag]);
        }
    }

    pub(super) fn release_objects(&mut self) {
        for id in 0..self.input.plan.objects.len() as u32 {
            self.release_object(ObjectId(id));
        }
    }

    /// The extent of a tensor in a place.
    pub(super) fn extent(&mut self, id: ObjectId, axis: u32) -> Value {
        let object = self.frame.object(self.cx, id);
        let shape = offset_of!(TensorObject, dl_tensor) + offset_of!(DLTensor, shape);
        let shape = self.cx.b.ins().load(types::I64, MemFlagsData::trusted(), object, shape as i32);
        self.cx.b.ins().load(types::I64, MemFlagsData::trusted(), shape, axis as i32 * 8)
    }

    /// An argument that is an object.
    pub(super) fn object_argument(&mut self, arguments: Value, i: usize, id: ObjectId, what: &str) {
        let at = self.cx.b.ins().iadd_imm_s(arguments, (i * size_of::<Any>()) as i64);
        let held = self.load_any(at);
        let ty = &self.input.plan.objects[id.0 as usize].ty;
        if !admitted(ty).is_none_or(|it| it.contains(&TypeIndex::TENSOR)) {
            return self.keep(id, held, what);
        }
        // A view is the lender's; what is kept is a copy.
        let index = self.cx.b.ins().ireduce(types::I32, held.tag);
        let is_view = self.cx.b.ins().icmp_imm_s(IntCC::Equal, index, i64::from(TypeIndex::DL_TENSOR));
        let [lent, owned, done] = [(); 3].map(|()| self.cx.b.create_block());
        self.cx.b.ins().brif(is_view, lent, &[], owned, &[]);
        self.cx.b.switch_to_block(lent);
        let copy = self.cx.support(Support::OwnTensor, &[held.payload]).expect("one result");
        self.require_made(copy);
        let tag = self.cx.int(i64::from(TypeIndex::TENSOR));
        self.put(id, Held { tag, payload: copy });
        self.cx.b.ins().jump(done, &[]);
        self.cx.b.switch_to_block(owned);
        self.keep(id, held, what);
        self.cx.b.ins().jump(done, &[]);
        self.cx.b.switch_to_block(done);
    }

    /// Puts what somebody else holds into a place, if it is of the kind.
    fn keep(&mut self, id: ObjectId, held: Held, what: &str) {
        self.kind(&self.input.plan.objects[id.0 as usize].ty, held, what);
        self.retain(held);
        self.put(id, held);
    }

    /// Whether there is a value of a type, as far as its tag says; what is borrowed is none, since it cannot be kept.
    pub(super) fn kind(&mut self, ty: &Type, held: Held, what: &str) {
        let index = self.cx.b.ins().ireduce(types::I32, held.tag);
        let is =
            |it: &mut Self, wanted: i32| it.cx.b.ins().icmp_imm_s(IntCC::Equal, index, i64::from(wanted));
        let ok = match admitted(ty) {
            Some(wanted) => {
                let mut ok = self.cx.b.ins().iconst(types::I8, 0);
                for wanted in wanted {
                    let this = is(self, wanted);
                    ok = self.cx.b.ins().bor(ok, this);
                }
                ok
            }
            None => {
                let object = i64::from(TypeIndex::OBJECT);
                let mut ok = self.cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, index, object);
                let plain = i64::from(TypeIndex::DL_TENSOR);
                let plain = self.cx.b.ins().icmp_imm_s(IntCC::SignedLessThan, index, plain);
                for other in [TypeIndex::SMALL_STR, TypeIndex::SMALL_BYTES] {
                    let this = is(self, other);
                    ok = self.cx.b.ins().bor(ok, this);
                }
                self.cx.b.ins().bor(ok, plain)
            }
        };
        self.require_kind(ok, what, &words(ty), held.tag);
    }

    /// An error that names the kind that is wanted and the one that there is.
    pub(super) fn require_kind(&mut self, ok: Value, what: &str, wanted: &str, tag: Value) {
        let bad = self.unless(ok);
        let good = self.cx.b.current_block();
        self.cx.b.switch_to_block(bad);
        let got = self.cx.support(Support::KindName, &[tag]).expect("one result");
        let zero = self.cx.int(0);
        self.raise("TypeError", &format!("{what} is not {wanted}, but"), Form::Text, zero, got);
        self.cx.b.switch_to_block(good.expect("`unless` leaves a current block"));
    }

    /// What is to be put into a place is of its type; symbols are bound by its dimensions.
    fn admit(&mut self, id: ObjectId, held: Held, bindings: &[AxisBinding], what: &str) {
        let ty = &self.input.plan.objects[id.0 as usize].ty;
        self.kind(ty, held, what);
        let Type::Tensor(TensorType { dtype, .. }) = ty else { return };
        let dims = ty.as_tensor().and_then(TensorType::dims).unwrap_or_default();
        let inside = offset_of!(TensorObject, dl_tensor) as i64;
        let tensor = self.cx.b.ins().iadd_imm_s(held.payload, inside);
        self.tensor_kind(what, *dtype, dims.len(), tensor);
        let extents = self.extents(what, dims.len(), tensor);
        self.contiguous(what, tensor, &extents);
        for it in bindings {
            self.bind(it.symbol, extents[it.axis as usize], &format!("dimension {} of {what}", it.axis));
        }
        for (axis, dim) in dims.iter().enumerate() {
            if !bindings.iter().any(|it| it.axis as usize == axis) {
                self.dimension(what, axis, *dim, extents[axis]);
            }
        }
    }

    fn array_field(&mut self, array: Value, offset: usize) -> Value {
        self.cx.b.ins().load(types::I64, MemFlagsData::trusted(), array, offset as i32)
    }

    /// A position among `count` places, where a negative one counts from the end of `size` items.
    fn position(&mut self, at: Dim, size: Value, count: Value) -> Value {
        let given = self.size(at);
        let from_end = self.cx.b.ins().iadd(given, size);
        let negative = self.cx.b.ins().icmp_imm_s(IntCC::SignedLessThan, given, 0);
        let at = self.cx.b.ins().select(negative, from_end, given);
        let ok = self.cx.b.ins().icmp(IntCC::UnsignedLessThan, at, count);
        self.in_sequence(ok, given, size);
        at
    }

    fn in_sequence(&mut self, ok: Value, given: Value, size: Value) {
        let bad = self.unless(ok);
        let good = self.cx.b.current_block();
        self.cx.b.switch_to_block(bad);
        let place = self.cx.text("the sequence");
        let fields = [
            (place, offset_of!(Failure, place)),
            (given, offset_of!(Failure, index)),
            (size, offset_of!(Failure, extent)),
        ];
        for (value, offset) in fields {
            self.cx.b.ins().stack_store(types::I64, value, self.failure, offset as i32);
        }
        let failure = self.cx.b.ins().stack_addr(types::I64, self.failure, 0);
        let zero = self.cx.int(0);
        let what = if self.place.is_empty() { "an element of a sequence" } else { "" };
        self.raise("IndexError", what, Form::Index, zero, failure);
        self.cx.b.switch_to_block(good.expect("`unless` leaves a current block"));
    }

    /// The array of a sequence, with a reference that the caller gives on: that of the place, if the result goes there.
    fn taken(&mut self, of: ObjectId, to: ObjectId) -> Value {
        let held = self.held(of);
        match of == to {
            true => self.empty(of),
            false => self.retain(held),
        }
        held.payload
    }

    fn put_array(&mut self, to: ObjectId, array: Value) {
        self.require_made(array);
        let tag = self.cx.int(i64::from(TypeIndex::ARRAY));
        self.put(to, Held { tag, payload: array });
    }

    pub(super) fn object(&mut self, op: &ObjectOp) {
        let what = "an element of a sequence";
        match op {
            ObjectOp::Tensor(to) => self.make_tensor(*to),
            ObjectOp::Sequence { to, items } => self.make_sequence(*to, items),
            ObjectOp::Length { symbol, of } => {
                let array = self.held(*of).payload;
                let size = self.array_field(array, offset_of!(ArrayObject, size));
                self.bind(*symbol, size, "the length of a sequence");
            }
            ObjectOp::Item { to, of, at, bindings } => {
                let array = self.held(*of).payload;
                let size = self.array_field(array, offset_of!(ArrayObject, size));
                let at = self.position(*at, size, size);
                let data = self.array_field(array, offset_of!(ArrayObject, data));
                let offset = self.cx.b.ins().imul_imm_s(at, size_of::<Any>() as i64);
                let place = self.cx.b.ins().iadd(data, offset);
                let held = self.load_any(place);
                self.admit(*to, held, bindings, what);
                self.retain(held);
                self.put(*to, held);
            }
            ObjectOp::Insert { to, of, at, item } => {
                let array = self.held(*of).payload;
                let size = self.array_field(array, offset_of!(ArrayObject, size));
                let at = match at {
                    Some(at) => {
                        let count = self.cx.b.ins().iadd_imm_s(size, 1);
                        self.position(*at, size, count)
                    }
                    None => size,
                };
                self.own_strings(*item);
                let item = self.held(*item);
                self.retain(item);
                let array = self.taken(*of, *to);
                let args = [array, at, item.payload, item.tag];
                let array = self.cx.support(Support::InsertItem, &args).expect("one result");
                self.put_array(*to, array);
            }
            ObjectOp::Erase { to, of, at } => {
                let array = self.held(*of).payload;
                let size = self.array_field(array, offset_of!(ArrayObject, size));
                let at = match at {
                    Some(at) => self.position(*at, size, size),
                    None => {
                        let last = self.cx.b.ins().iadd_imm_s(size, -1);
                        let ok = self.cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, size, 0);
                        self.in_sequence(ok, last, size);
                        last
                    }
                };
                let array = self.taken(*of, *to);
                let array = self.cx.support(Support::EraseItem, &[array, at]).expect("one result");
                self.put_array(*to, array);
            }
            ObjectOp::None { to } => {
                self.release_object(*to);
                self.empty(*to);
            }
            ObjectOp::IsSome { symbol, of } => {
                let tag = self.held(*of).tag;
                let index = self.cx.b.ins().ireduce(types::I32, tag);
                let some = self.cx.b.ins().icmp_imm_s(IntCC::NotEqual, index, i64::from(TypeIndex::NONE));
                let some = self.cx.b.ins().uextend(types::I64, some);
                self.bind(*symbol, some, "whether an optional holds a value");
            }
            ObjectOp::Rank { symbol, of } => {
                let held = self.held(*of);
                self.kind(&Type::Tensor(TensorType::unknown(DType::U8)), held, "the value of an optional");
                let at = offset_of!(TensorObject, dl_tensor) + offset_of!(DLTensor, ndim);
                let rank = self.cx.b.ins().load(types::I32, MemFlagsData::trusted(), held.payload, at as i32);
                let rank = self.cx.b.ins().sextend(types::I64, rank);
                self.bind(*symbol, rank, "the rank of the value of an optional");
            }
            ObjectOp::Share { to, from, bindings } => {
                self.own_strings(*from);
                let held = self.held(*from);
                self.admit(*to, held, bindings, "the value of an optional");
                self.retain(held);
                self.put(*to, held);
            }
            ObjectOp::Drop(id) => {
                self.release_object(*id);
                self.empty(*id);
            }
        }
    }

    fn make_tensor(&mut self, to: ObjectId) {
        let object = &self.input.plan.objects[to.0 as usize];
        let tensor = object.tensor().expect("the place is one of a tensor (law P16)");
        let dims = object.dims().unwrap_or_default();
        let extents = self.new_extents(dims, " of its result");
        let rank = self.cx.b.ins().iconst(types::I32, dims.len() as i64);
        let (payload, _) = self.new_tensor(tensor.dtype, rank, &extents);
        let tag = self.cx.int(i64::from(TypeIndex::TENSOR));
        self.put(to, Held { tag, payload });
    }

    fn make_sequence(&mut self, to: ObjectId, items: &[ObjectId]) {
        let (first, rest) = items.split_at(items.len().min(ITEMS_AT_ONCE));
        let list = self.room(first.len() * size_of::<Any>());
        for (i, id) in first.iter().enumerate() {
            self.own_strings(*id);
            let held = self.held(*id);
            self.retain(held);
            self.store_any(list, i, held);
        }
        let address = self.cx.b.ins().stack_addr(types::I64, list, 0);
        let count = self.cx.int(first.len() as i64);
        let array = self.cx.support(Support::NewArray, &[count, address]).expect("one result");
        self.put_array(to, array);
        for item in rest {
            self.object(&ObjectOp::Insert { to, of: to, at: None, item: *item });
        }
    }
}

/// Type indices of the values of a type; `None`: whatever can be kept.
fn admitted(ty: &Type) -> Option<Vec<i32>> {
    match ty {
        Type::Tensor(_) => Some(vec![TypeIndex::TENSOR]),
        // A map is an array of its keys and its values.
        Type::Sequence(_) | Type::Map(..) => Some(vec![TypeIndex::ARRAY]),
        Type::String => Some(vec![TypeIndex::SMALL_STR, TypeIndex::STR]),
        Type::Optional(value) => {
            let mut all = vec![TypeIndex::NONE];
            all.extend(admitted(value)?);
            Some(all)
        }
        _ => None,
    }
}

fn words(ty: &Type) -> String {
    match ty {
        Type::Tensor(_) => "a tensor".to_owned(),
        Type::Sequence(_) => "an array".to_owned(),
        Type::Map(..) => "the array of keys and values that is a map".to_owned(),
        Type::String => "a string that can be kept".to_owned(),
        Type::Optional(value) => format!("{} or nothing", words(value)),
        _ => "an object that can be kept".to_owned(),
    }
}
