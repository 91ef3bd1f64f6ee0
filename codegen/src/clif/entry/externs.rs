//! Calls of functions of the host.
//!
//! A function gets a view of each buffer with its element type and dimensions, in the order of the parameters: what is
//! read, then what is filled. Attributes follow in name order. It writes its results where the views lie, so nothing is
//! copied. Objects that it reads are lent to it where they stand among the parameters; those that it makes it returns.
//! Before the call what shall be filled is set to bytes that are no plausible result; afterwards a result that
//! still holds nothing else was not written, unless the function says how many results it wrote.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, StackSlot, Value, types};
use orogen_abi::{Any, ArrayObject, DLTensor, TypeIndex};
use orogen_ir::kernel::{Access, Extern, ParamType, Signature};
use orogen_ir::plan::{BufferRef, ObjectId};
use orogen_ir::shape::Dim;
use orogen_ir::types::{Attr, DType};
use std::mem::{offset_of, size_of};

use super::objects::Held;
use super::{Entry, room};
use crate::clif::size::{Scope, Sizes};
use crate::clif::support::{Form, Support, dlpack};
use crate::clif::unit::Symbol;

/// What unwritten floats are filled with: not a number, of a pattern that no arithmetic gives.
const UNWRITTEN_FLOAT: i64 = 0xff;
/// What other unwritten elements are filled with: no truth value, no small integer.
const UNWRITTEN: i64 = 0xa5;
/// What unwritten strings are filled with: there are references, or none.
const UNWRITTEN_STRING: i64 = 0;

/// The name of the slot in which a host may put a function (see [`orogen_abi::symbol::EXTERN_PREFIX`]).
pub(crate) fn slot_symbol(external: &Extern) -> String {
    [orogen_abi::symbol::EXTERN_PREFIX, &external.symbol].concat()
}

/// A result and where it lies.
struct Written<'a> {
    name: &'a str,
    data: Value,
    bytes: Value,
    fill: Value,
}

impl Entry<'_, '_, '_> {
    pub(super) fn call_extern(&mut self, external: &Extern, args: &[BufferRef], sizes: &[Dim]) {
        let signature = &external.signature;
        let mut scope = Scope::default();
        for (size, symbol) in sizes.iter().zip(&signature.sizes) {
            let value = self.size(*size);
            scope.bind(*symbol, value, 0);
        }
        let any = size_of::<Any>();
        let list = self.room(any * (args.len() + external.attrs.iter().count() + 1));
        let (mut written, mut made, mut lent) = (Vec::new(), Vec::new(), Vec::new());
        let mut access = String::new();
        for (param, arg) in signature.params.iter().zip(args) {
            let i = access.len();
            let ParamType::Buffer { dtype, dims } = &param.ty else {
                let BufferRef::Object(id) = *arg else { unreachable!("an object (law P16)") };
                if param.access.writes() {
                    made.push((&*param.name, id));
                    continue;
                }
                self.own_strings(id);
                let held = self.held(id);
                self.store_any(list, i, held);
                access.push(orogen_abi::host::ACCESS_OBJECT);
                continue;
            };
            let data = self.plain_buffer(*arg);
            let (view, bytes) = self.view(signature, (&param.name, *dtype, dims), data, &scope);
            self.set_any(list, i, TypeIndex::DL_TENSOR, view);
            access.push(match param.access {
                Access::In => orogen_abi::host::ACCESS_READ,
                Access::Out => orogen_abi::host::ACCESS_WRITE,
                Access::InOut => orogen_abi::host::ACCESS_UPDATE,
            });
            if param.access == Access::Out {
                let fill = match *dtype {
                    DType::Str => UNWRITTEN_STRING,
                    dtype if dtype.is_float() => UNWRITTEN_FLOAT,
                    _ => UNWRITTEN,
                };
                let fill = self.cx.int(fill);
                let memset = Symbol::Import("memset".to_owned());
                self.cx.call(memset, &[types::I64; 3], &[types::I64], &[data, fill, bytes]);
                written.push(Written { name: &param.name, data, bytes, fill });
            }
            if param.access.writes() && *dtype == DType::Str {
                lent.push(self.keeper(view, data, bytes));
            }
        }
        for (_, attr) in external.attrs.iter() {
            let (index, value) = self.attribute(attr);
            self.set_any(list, access.len(), index, value);
            access.push(orogen_abi::host::ACCESS_ATTRIBUTE);
        }
        let count = access.len();
        access.extend(made.iter().map(|_| orogen_abi::host::ACCESS_RETURN));
        let none = self.cx.int(0);
        self.set_any(list, count, TypeIndex::NONE, none);
        let name = self.cx.text(&external.symbol);
        let access = self.cx.text(&access);
        let slot = self.cx.data_address(Symbol::Data(slot_symbol(external)));
        let first = self.cx.b.ins().stack_addr(types::I64, list, 0);
        let number = self.cx.b.ins().iconst(types::I32, count as i64);
        let result = (count * any) as i32;
        let result_at = self.cx.b.ins().stack_addr(types::I64, list, result);
        let host = self.host;
        lent.iter().for_each(|it| self.lend_strings(it));
        let call = [host, name, access, slot, first, number, result_at];
        let status = self.cx.support(Support::CallExtern, &call).expect("one result");
        lent.iter().for_each(|it| self.take_strings(it));
        self.require_done(status);

        let number = match made.is_empty() {
            true => self.number_written(list, result),
            // How many results it wrote it cannot say besides.
            false => {
                let returned = self.load_any(result_at);
                self.returned_objects(external, &made, returned);
                none
            }
        };
        for (i, it) in written.into_iter().enumerate() {
            let said = self.cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, number, i as i64);
            let touched = self.cx.support(Support::IsWritten, &[it.data, it.bytes, it.fill]);
            let ok = self.cx.b.ins().bor(said, touched.expect("one result"));
            let message =
                format!("the function `{}` left its result `{}` unwritten", external.symbol, it.name);
            self.require(ok, "RuntimeError", &message, None);
        }
    }

    /// The number of results that a function says it wrote.
    fn number_written(&mut self, list: StackSlot, result: i32) -> Value {
        let none = self.cx.int(0);
        let index = self.cx.b.ins().stack_load(types::I64, types::I32, list, result);
        let payload = self.cx.b.ins().stack_load(types::I64, types::I64, list, result + 8);
        // An object is of no use here and given back.
        let is_object =
            self.cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, index, i64::from(TypeIndex::OBJECT));
        let object = self.cx.b.ins().select(is_object, payload, none);
        self.cx.support(Support::Release, &[object]);
        let is_number = self.cx.b.ins().icmp_imm_s(IntCC::Equal, index, i64::from(TypeIndex::INT));
        self.cx.b.ins().select(is_number, payload, none)
    }

    /// Takes the objects over that a function returns. All are in their places before any is looked at, so that whatever
    /// is wrong they are given back.
    fn returned_objects(&mut self, external: &Extern, made: &[(&str, ObjectId)], returned: Held) {
        let what = |name: &str| format!("the result `{name}` of the function `{}`", external.symbol);
        if let [(_, id)] = made {
            self.put(*id, returned);
        } else {
            let index = self.cx.b.ins().ireduce(types::I32, returned.tag);
            let is_array = self.cx.b.ins().icmp_imm_s(IntCC::Equal, index, i64::from(TypeIndex::ARRAY));
            let [array, other, counted, wrong] = [(); 4].map(|()| self.cx.b.create_block());
            self.cx.b.ins().brif(is_array, array, &[], other, &[]);
            self.cx.b.switch_to_block(other);
            self.cx.b.ins().jump(wrong, &[]);
            self.cx.b.switch_to_block(array);
            let flags = MemFlagsData::trusted();
            let size = offset_of!(ArrayObject, size) as i32;
            let size = self.cx.b.ins().load(types::I64, flags, returned.payload, size);
            let all = self.cx.b.ins().icmp_imm_s(IntCC::Equal, size, made.len() as i64);
            self.cx.b.ins().brif(all, counted, &[], wrong, &[]);
            self.cx.b.switch_to_block(wrong);
            self.cx.support(Support::ReleaseAny, &[returned.payload, returned.tag]);
            let zero = self.cx.int(0);
            let message = format!("the function `{}` must return {} objects", external.symbol, made.len());
            self.raise("TypeError", &message, Form::Plain, zero, zero);
            self.cx.b.switch_to_block(counted);
            let places: Vec<ObjectId> = made.iter().map(|it| it.1).collect();
            self.unpack(&places, returned.payload);
        }
        for (name, id) in made {
            let held = self.held(*id);
            let ty = self.input.plan.objects[id.0 as usize].ty.clone();
            self.kind(&ty, held, &what(name));
        }
    }

    pub(super) fn room(&mut self, bytes: usize) -> StackSlot {
        room(self.cx, bytes)
    }

    pub(super) fn set_any(&mut self, list: StackSlot, i: usize, index: i32, value: Value) {
        let at = (i * size_of::<Any>()) as i32;
        // The four bytes behind the tag are zero.
        let index = self.cx.int(i64::from(index));
        self.cx.b.ins().stack_store(types::I64, index, list, at);
        self.cx.b.ins().stack_store(types::I64, value, list, at + offset_of!(Any, payload) as i32);
    }

    /// A view of a buffer for a parameter, with its size in bytes.
    fn view(
        &mut self,
        signature: &Signature,
        (name, dtype, dims): (&str, DType, &[Dim]),
        data: Value,
        scope: &Scope,
    ) -> (Value, Value) {
        let mut extents = Vec::with_capacity(dims.len());
        for (axis, dim) in dims.iter().enumerate() {
            let extent = Sizes { shapes: &signature.shapes, scope }.value(self.cx, *dim);
            if signature.shapes.as_int(*dim).is_none() {
                let ok = self.cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, extent, 0);
                let least = self.cx.int(0);
                let message = format!("dimension {axis} of `{name}` (at least)");
                self.require(ok, "ValueError", &message, Some((least, extent)));
            }
            extents.push(extent);
        }
        let (view, elements) = self.tensor_view(dtype, &extents, data);
        (view, self.cx.b.ins().imul_imm_s(elements, dtype.size() as i64))
    }

    /// A `DLTensor` over row-major memory of the host, with its number of elements.
    pub(super) fn tensor_view(&mut self, dtype: DType, extents: &[Value], data: Value) -> (Value, Value) {
        let rank = extents.len();
        let slot = self.room(size_of::<DLTensor>() + 16 * rank);
        let shape = size_of::<DLTensor>() as i32;
        let strides = shape + 8 * rank as i32;
        let mut elements = self.cx.int(1);
        for (axis, extent) in extents.iter().enumerate().rev() {
            self.cx.b.ins().stack_store(types::I64, *extent, slot, shape + 8 * axis as i32);
            self.cx.b.ins().stack_store(types::I64, elements, slot, strides + 8 * axis as i32);
            elements = self.cx.b.ins().imul(elements, *extent);
        }
        let zero = self.cx.int(0);
        // Device: type 1 (CPU), number 0.
        let device = self.cx.int(1);
        let dtype = self.cx.b.ins().iconst(types::I32, i64::from(dlpack(dtype).to_bits()));
        let ndim = self.cx.b.ins().iconst(types::I32, rank as i64);
        let shape = self.cx.b.ins().stack_addr(types::I64, slot, shape);
        let strides = self.cx.b.ins().stack_addr(types::I64, slot, strides);
        let fields = [
            (data, offset_of!(DLTensor, data)),
            (device, offset_of!(DLTensor, device)),
            (ndim, offset_of!(DLTensor, ndim)),
            (dtype, offset_of!(DLTensor, dtype)),
            (shape, offset_of!(DLTensor, shape)),
            (strides, offset_of!(DLTensor, strides)),
            (zero, offset_of!(DLTensor, byte_offset)),
        ];
        for (value, offset) in fields {
            self.cx.b.ins().stack_store(types::I64, value, slot, offset as i32);
        }
        (self.cx.b.ins().stack_addr(types::I64, slot, 0), elements)
    }

    /// Tag and payload of an attribute (law K4).
    fn attribute(&mut self, attr: &Attr) -> (i32, Value) {
        match attr {
            Attr::Int(it) => (TypeIndex::INT, self.cx.int(*it)),
            Attr::Bool(it) => (TypeIndex::BOOL, self.cx.int(i64::from(*it))),
            Attr::Float(it) => {
                let value = self.cx.b.ins().f64const(*it);
                let value = self.cx.b.ins().bitcast(types::I64, MemFlagsData::new(), value);
                (TypeIndex::FLOAT, value)
            }
            Attr::Str(it) => (TypeIndex::RAW_STR, self.cx.text(it)),
            Attr::Ints(_) | Attr::Floats(_) | Attr::DType(_) => (TypeIndex::NONE, self.cx.int(0)),
        }
    }
}
