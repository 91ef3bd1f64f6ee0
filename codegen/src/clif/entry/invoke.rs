//! Calls of functions of the module: packed calls of local symbols.
//!
//! The function gets a view of each buffer and checks it as it does for any caller. What it returns is kept in object
//! places until the call ends or the step runs again; nothing is copied.

use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use indexmap::IndexSet;
use orogen_abi::{Any, ArrayObject, TypeIndex};
use orogen_ir::plan::{Arg, FunctionId, ObjectId, ResultBinding};
use std::mem::{offset_of, size_of};

use super::objects::Held;
use super::{Entry, PACKED};
use crate::clif::support::Support;
use crate::clif::unit::Symbol;

impl Entry<'_, '_, '_> {
    pub(super) fn invoke(
        &mut self,
        function: FunctionId,
        args: &[Arg],
        results: &[ObjectId],
        bindings: &[ResultBinding],
    ) {
        let plan = self.input.plan;
        let any = size_of::<Any>();
        let list = self.room(any * (args.len() + 1));
        for (i, arg) in args.iter().enumerate() {
            match arg {
                Arg::View(arg) => {
                    let dtype = plan.dtype(arg.place).expect("the place is there (law P8)");
                    let data = self.plain_buffer(arg.place);
                    let extents: Vec<Value> = arg.dims.iter().map(|it| self.size(*it)).collect();
                    let (view, _) = self.tensor_view(dtype, &extents, data);
                    self.set_any(list, i, TypeIndex::DL_TENSOR, view);
                }
                Arg::Object(id) => {
                    let held = self.held(*id);
                    self.store_any(list, i, held);
                }
            }
        }
        let none = self.cx.int(0);
        self.set_any(list, args.len(), TypeIndex::NONE, none);
        let first = self.cx.b.ins().stack_addr(types::I64, list, 0);
        let count = self.cx.b.ins().iconst(types::I32, args.len() as i64);
        let result_at = (args.len() * any) as i32;
        let result = self.cx.b.ins().stack_addr(types::I64, list, result_at);
        let name = Symbol::Local(self.input.functions[function.0 as usize].clone());
        let status = self.cx.call(name, &PACKED, &[types::I32], &[none, first, count, result]);
        self.require_done(status.expect("one result"));
        let returned = self.load_any(result);
        match results {
            [] => {}
            [id] => self.put(*id, returned),
            _ => self.unpack(results, returned.payload),
        }
        self.results(results, bindings);
    }

    /// Takes a reference to each item of an array, and gives the array back.
    pub(super) fn unpack(&mut self, results: &[ObjectId], array: Value) {
        let flags = MemFlagsData::trusted();
        let items = self.cx.b.ins().load(types::I64, flags, array, offset_of!(ArrayObject, data) as i32);
        for (i, id) in results.iter().enumerate() {
            let at = self.cx.b.ins().iadd_imm_s(items, (i * size_of::<Any>()) as i64);
            let item: Held = self.load_any(at);
            self.retain(item);
            self.put(*id, item);
        }
        self.cx.support(Support::Release, &[array]);
    }

    /// Binds symbols to dimensions of results; all other dimensions are as the plan says.
    fn results(&mut self, results: &[ObjectId], bindings: &[ResultBinding]) {
        let bound: IndexSet<(u32, u32)> = bindings.iter().map(|it| (it.result, it.axis)).collect();
        for it in bindings {
            let extent = self.extent(results[it.result as usize], it.axis);
            self.bind(
                it.symbol,
                extent,
                &format!("dimension {} of result {} of a function", it.axis, it.result),
            );
        }
        for (result, id) in (0..).zip(results) {
            let dims = self.input.plan.objects[id.0 as usize].dims().unwrap_or_default();
            for (axis, dim) in (0..).zip(dims).filter(|(axis, _)| !bound.contains(&(result, *axis))) {
                let got = self.extent(*id, axis);
                self.dimension(&format!("result {result} of a function"), axis as usize, *dim, got);
            }
        }
    }
}
