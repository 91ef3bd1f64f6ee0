//! Strings that a call borrows, and those of what leaves it (laws of `strings`).

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use orogen_abi::{ArrayObject, DLTensor, HOST_STRINGS, HostTable, TensorObject, TypeIndex};
use orogen_ir::plan::ObjectId;
use orogen_ir::types::DType;
use std::mem::offset_of;

use super::Entry;
use super::objects::Held;
use super::strings::are_strings;
use crate::clif::support::Support;
use crate::clif::unit::Symbol;

/// The elements of a tensor object that was made here.
const DATA: i32 = (offset_of!(TensorObject, dl_tensor) + offset_of!(DLTensor, data)) as i32;

/// References of a tensor that a function of the host writes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lent {
    /// The tensor that has them after the call.
    keeper: Value,
    /// Where the function writes.
    data: Value,
    bytes: Value,
}

impl Entry<'_, '_, '_> {
    /// A place behind those of objects.
    fn place_of_strings(&self, i: usize) -> ObjectId {
        ObjectId((self.input.plan.objects.len() + i) as u32)
    }

    /// The place of a constant.
    pub(super) fn string_place(&self, i: usize) -> ObjectId {
        self.place_of_strings(i)
    }

    /// The places of the old value of state, with its size in bytes, and of what is to hold that in its turn.
    fn state_places(&self, i: usize) -> [ObjectId; 2] {
        [0, 1].map(|it| self.place_of_strings(self.input.strings.constants.len() + 2 * i + it))
    }

    /// The place of the array of all that is kept.
    fn kept_place(&self) -> ObjectId {
        self.place_of_strings(self.input.strings.places() - 1)
    }

    /// Makes the constants, where the host can.
    pub(super) fn strings(&mut self) {
        let (plan, strings) = (self.input.plan, self.input.strings);
        if !strings.any {
            return;
        }
        let given = self.cx.b.ins().icmp_imm_s(IntCC::NotEqual, self.host, 0);
        let message = "tensors of strings need a host that knows them";
        self.require(given, "RuntimeError", message, None);
        let flags = MemFlagsData::trusted();
        let version = offset_of!(HostTable, version) as i32;
        let version = self.cx.b.ins().load(types::I32, flags, self.host, version);
        let least = i64::from(HOST_STRINGS);
        let knows = self.cx.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThanOrEqual, version, least);
        self.require(knows, "RuntimeError", message, None);
        for (i, id) in strings.constants.iter().enumerate() {
            let symbol = Symbol::Data(self.input.constants.plain(*id));
            let data = self.cx.data_address(symbol);
            let count = self.cx.int(plan.constants.data(*id).len() as i64);
            let tensor = self.cx.support(Support::NewStrings, &[data, count]).expect("one result");
            self.require_made(tensor);
            let data = self.cx.b.ins().load(types::I64, flags, tensor, DATA);
            self.frame.set_object(self.cx, self.string_place(i), tensor, data);
        }
        if strings.keeps {
            let capacity = self.cx.int(8);
            let array = self.cx.support(Support::EmptyArray, &[capacity]).expect("one result");
            self.require_made(array);
            self.frame.set_object(self.cx, self.kept_place(), array, array);
        }
    }

    /// Copies the state that the call renews: the references stay those of the state.
    pub(super) fn old_state(&mut self) {
        for (i, input) in self.input.strings.states.iter().enumerate() {
            let input = *input as usize;
            let (_, view) = self.tensor_at(self.arguments, input);
            let copy = self.cx.support(Support::OwnTensor, &[view]).expect("one result");
            self.require_made(copy);
            let mut bytes = self.cx.int(DType::Str.size() as i64);
            for dim in self.input.plan.inputs[input].dims() {
                let extent = self.size(*dim);
                bytes = self.cx.b.ins().imul(bytes, extent);
            }
            self.frame.set_object(self.cx, self.state_places(i)[0], copy, bytes);
        }
    }

    /// Copies the new value of state, when all steps are done.
    pub(super) fn new_state(&mut self) {
        for (i, input) in self.input.strings.states.iter().enumerate() {
            let (_, view) = self.tensor_at(self.arguments, *input as usize);
            let new = self.cx.support(Support::OwnTensor, &[view]).expect("one result");
            self.frame.set_object(self.cx, self.state_places(i)[1], new, new);
            self.require_made(new);
        }
    }

    /// Gives the new value of state its references, in exchange for those to the old one: what no longer fails.
    pub(super) fn renew_state(&mut self) {
        for i in 0..self.input.strings.states.len() {
            let places = self.state_places(i);
            let [old, new] = places.map(|it| self.frame.object(self.cx, it));
            let bytes = self.frame.object_data(self.cx, places[0]);
            self.cx.support(Support::KeepStrings, &[new]);
            // From here on the state has these, and with the copy the old ones end.
            let [from, to] = [old, new].map(|it| self.elements_of(it));
            self.copy(to, from, bytes);
            self.cx.support(Support::Release, &[old]);
            let zero = self.cx.int(0);
            self.frame.set_object(self.cx, places[0], zero, zero);
        }
    }

    /// State that is not renewed has its old value again.
    fn restore_state(&mut self) {
        for (i, input) in self.input.strings.states.iter().enumerate() {
            let place = self.state_places(i)[0];
            let old = self.frame.object(self.cx, place);
            let [there, done] = [(); 2].map(|()| self.cx.b.create_block());
            self.cx.b.ins().brif(old, there, &[], done, &[]);
            self.cx.b.switch_to_block(there);
            let bytes = self.frame.object_data(self.cx, place);
            let from = self.elements_of(old);
            let to = self.frame.input(self.cx, *input as usize);
            self.copy(to, from, bytes);
            self.cx.b.ins().jump(done, &[]);
            self.cx.b.switch_to_block(done);
        }
    }

    /// On every way out; what has not left the call is as it was.
    pub(super) fn release_strings(&mut self) {
        self.restore_state();
        for i in 0..self.input.strings.places() {
            let object = self.frame.object(self.cx, self.place_of_strings(i));
            self.cx.support(Support::Release, &[object]);
        }
    }

    /// Whether a place has a tensor of strings.
    fn has_strings(&self, id: ObjectId) -> bool {
        self.input.plan.objects[id.0 as usize].tensor().is_some_and(are_strings)
    }

    /// What is put into a place is borrowed from until the call ends.
    pub(super) fn keep_borrowed(&mut self, id: ObjectId, held: Held) {
        if self.has_strings(id) {
            self.retain(held);
            self.keep_object(held);
        }
    }

    /// Keeps a tensor until the call ends; takes over the reference.
    fn keep_object(&mut self, held: Held) {
        let place = self.kept_place();
        let array = self.frame.object(self.cx, place);
        let size = offset_of!(ArrayObject, size) as i32;
        let size = self.cx.b.ins().load(types::I64, MemFlagsData::trusted(), array, size);
        let args = [array, size, held.payload, held.tag];
        let array = self.cx.support(Support::InsertItem, &args).expect("one result");
        self.frame.set_object(self.cx, place, array, array);
        self.require_made(array);
    }

    /// The tensor in a place leaves the call, or becomes part of an object that may.
    pub(super) fn own_strings(&mut self, id: ObjectId) {
        if self.has_strings(id) {
            let tensor = self.frame.object(self.cx, id);
            self.cx.support(Support::KeepStrings, &[tensor]);
        }
    }

    /// Makes what keeps the elements of a view that a function of the host writes.
    pub(super) fn keeper(&mut self, view: Value, data: Value, bytes: Value) -> Lent {
        let keeper = self.cx.support(Support::OwnTensor, &[view]).expect("one result");
        self.require_made(keeper);
        let tag = self.cx.int(i64::from(TypeIndex::TENSOR));
        self.keep_object(Held { tag, payload: keeper });
        Lent { keeper, data, bytes }
    }

    /// Makes the elements references, which the function may replace.
    pub(super) fn lend_strings(&mut self, lent: &Lent) {
        self.cx.support(Support::KeepStrings, &[lent.keeper]);
        // They are those of the view until they come back.
        let (elements, zero) = (self.elements_of(lent.keeper), self.cx.int(0));
        let memset = Symbol::Import("memset".to_owned());
        self.cx.call(memset, &[types::I64; 3], &[types::I64], &[elements, zero, lent.bytes]);
    }

    /// Takes the references that the function left, whether it succeeded or not.
    pub(super) fn take_strings(&mut self, lent: &Lent) {
        let elements = self.elements_of(lent.keeper);
        self.copy(elements, lent.data, lent.bytes);
    }

    fn elements_of(&mut self, tensor: Value) -> Value {
        self.cx.b.ins().load(types::I64, MemFlagsData::trusted(), tensor, DATA)
    }

    fn copy(&mut self, to: Value, from: Value, bytes: Value) {
        let symbol = Symbol::Import("memmove".to_owned());
        self.cx.call(symbol, &[types::I64; 3], &[types::I64], &[to, from, bytes]);
    }
}
