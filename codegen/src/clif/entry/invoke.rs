//! Calls of functions of the module: packed calls of local symbols.
//!
//! The function gets a view of each buffer and checks it as it does for any caller. The tensors that it returns are kept in
//! object places until the call ends or the step runs again; nothing is copied.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{AtomicRmwOp, InstBuilder, MemFlagsData, Value, types};
use indexmap::IndexSet;
use orogen_abi::{Any, ArrayObject, DLTensor, Object, TensorObject, TypeIndex};
use orogen_ir::plan::{FunctionId, ObjectId, ResultBinding, View};
use std::mem::{offset_of, size_of};

use super::{Entry, PACKED};
use crate::clif::support::Support;
use crate::clif::unit::Symbol;

impl Entry<'_, '_, '_> {
    pub(super) fn invoke(
        &mut self,
        function: FunctionId,
        args: &[View],
        results: &[ObjectId],
        bindings: &[ResultBinding],
    ) {
        let plan = self.input.plan;
        let any = size_of::<Any>();
        let list = self.room(any * (args.len() + 1));
        for (i, arg) in args.iter().enumerate() {
            let dtype = plan.dtype(arg.place).expect("the place is there (law P8)");
            let data = self.plain_buffer(arg.place);
            let extents: Vec<Value> = arg.dims.iter().map(|it| self.size(*it)).collect();
            let (view, _) = self.tensor_view(dtype, &extents, data);
            self.set_any(list, i, TypeIndex::DL_TENSOR, view);
        }
        let none = self.cx.int(0);
        self.set_any(list, args.len(), TypeIndex::NONE, none);
        results.iter().for_each(|it| self.release_object(*it));
        let first = self.cx.b.ins().stack_addr(types::I64, list, 0);
        let count = self.cx.b.ins().iconst(types::I32, args.len() as i64);
        let result_at = (args.len() * any) as i32;
        let result = self.cx.b.ins().stack_addr(types::I64, list, result_at);
        let name = Symbol::Local(self.input.functions[function.0 as usize].clone());
        let status = self.cx.call(name, &PACKED, &[types::I32], &[none, first, count, result]);
        let good = self.cx.b.create_block();
        self.cx.b.ins().brif(status.expect("one result"), self.fail, &[], good, &[]);
        self.cx.b.switch_to_block(good);
        let payload = offset_of!(Any, payload) as i32;
        let returned = self.cx.b.ins().stack_load(types::I64, types::I64, list, result_at + payload);
        match results {
            [] => {}
            [id] => self.keep(*id, returned),
            _ => self.unpack(results, returned),
        }
        self.dimensions(results, bindings);
    }

    /// Takes a reference to each tensor of an array, and gives the array back.
    fn unpack(&mut self, results: &[ObjectId], array: Value) {
        let flags = MemFlagsData::trusted();
        let items = self.cx.b.ins().load(types::I64, flags, array, offset_of!(ArrayObject, data) as i32);
        for (i, id) in results.iter().enumerate() {
            let at = (i * size_of::<Any>() + offset_of!(Any, payload)) as i32;
            let object = self.cx.b.ins().load(types::I64, flags, items, at);
            const _: () = assert!(offset_of!(Object, counts) == 0);
            let one = self.cx.int(Object::STRONG_ONE.cast_signed());
            self.cx.b.ins().atomic_rmw(types::I64, flags, AtomicRmwOp::Add, object, one);
            self.keep(*id, object);
        }
        self.cx.support(Support::Release, &[array]);
    }

    /// Puts a tensor in its place, which takes over the reference.
    fn keep(&mut self, id: ObjectId, object: Value) {
        let offset = offset_of!(TensorObject, dl_tensor) + offset_of!(DLTensor, data);
        let data = self.cx.b.ins().load(types::I64, MemFlagsData::trusted(), object, offset as i32);
        self.frame.set_object(self.cx, id, object, data);
    }

    /// Binds symbols to dimensions of results; all other dimensions are as the plan says.
    fn dimensions(&mut self, results: &[ObjectId], bindings: &[ResultBinding]) {
        let plan = self.input.plan;
        let bound: IndexSet<(u32, u32)> = bindings.iter().map(|it| (it.result, it.axis)).collect();
        for it in bindings {
            let extent = self.extent(results[it.result as usize], it.axis);
            self.bind(it.symbol, extent);
        }
        for (result, id) in (0..).zip(results) {
            for (axis, dim) in (0..).zip(&plan.objects[id.0 as usize].dims) {
                if bound.contains(&(result, axis)) {
                    continue;
                }
                let got = self.extent(*id, axis);
                let expected = self.measured(*dim);
                let ok = self.cx.b.ins().icmp(IntCC::Equal, expected.value, got);
                let ok = self.and_exact(ok, &[expected]);
                let message = format!("result {result} of a function: dimension {axis}");
                self.require(ok, "ValueError", &message, Some((expected.value, got)));
            }
        }
    }

    fn extent(&mut self, id: ObjectId, axis: u32) -> Value {
        let object = self.frame.object(self.cx, id);
        let shape = offset_of!(TensorObject, dl_tensor) + offset_of!(DLTensor, shape);
        let shape = self.cx.b.ins().load(types::I64, MemFlagsData::trusted(), object, shape as i32);
        self.cx.b.ins().load(types::I64, MemFlagsData::trusted(), shape, axis as i32 * 8)
    }

    fn release_object(&mut self, id: ObjectId) {
        let object = self.frame.object(self.cx, id);
        self.cx.support(Support::Release, &[object]);
        let zero = self.cx.int(0);
        self.frame.set_object(self.cx, id, zero, zero);
    }

    pub(super) fn release_objects(&mut self) {
        for id in 0..self.input.plan.objects.len() as u32 {
            let object = self.frame.object(self.cx, ObjectId(id));
            self.cx.support(Support::Release, &[object]);
        }
    }
}
