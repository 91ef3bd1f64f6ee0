//! Arguments that a caller leaves out, or gives as nothing: their defaults.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, MemFlagsData, Value, types};
use orogen_abi::{Any, TypeIndex};
use orogen_ir::plan::{BufferRef, FunctionId};
use std::mem::{offset_of, size_of};

use super::{Entry, PACKED};
use crate::clif::unit::Symbol;

impl Entry<'_, '_, '_> {
    /// Where a call overrides no default, the version for that case runs instead, if there is one.
    pub(super) fn at_defaults(&mut self, args: &[Value]) {
        if let Some(version) = self.input.plan.at_defaults {
            self.unless_given(version, args);
        }
    }

    /// The arguments of a call, `args` being those of the packed function. A default that the call does not override is a
    /// view of its constant.
    pub(super) fn with_defaults(&mut self, args: &[Value]) -> Value {
        let plan = self.input.plan;
        let (arguments, count) = (args[1], args[2]);
        let required = plan.required();
        if required == plan.inputs.len() {
            return arguments;
        }
        let list = self.room(size_of::<Any>() * plan.inputs.len());
        for (i, input) in plan.inputs.iter().enumerate() {
            let Some((tensor, default)) = input.tensor().and_then(|it| Some((it, it.default?))) else {
                self.copy_argument(arguments, i, list);
                continue;
            };
            let given = self.is_given(arguments, count, i);
            let [take, fill, done] = [(); 3].map(|()| self.cx.b.create_block());
            self.cx.b.ins().brif(given, take, &[], fill, &[]);
            self.cx.b.switch_to_block(take);
            self.copy_argument(arguments, i, list);
            self.cx.b.ins().jump(done, &[]);
            self.cx.b.switch_to_block(fill);
            let data = self.plain_buffer(BufferRef::Constant(default));
            let dims = plan.constants.data(default).dims();
            let extents: Vec<Value> = dims.iter().map(|it| self.cx.int(it.cast_signed())).collect();
            let (view, _) = self.tensor_view(tensor.dtype, &extents, data);
            self.set_any(list, i, TypeIndex::DL_TENSOR, view);
            self.cx.b.ins().jump(done, &[]);
            self.cx.b.switch_to_block(done);
        }
        self.cx.b.ins().stack_addr(types::I64, list, 0)
    }

    /// Ends the call with the version for defaults, unless one of them is overridden.
    fn unless_given(&mut self, version: FunctionId, args: &[Value]) {
        let plan = self.input.plan;
        let general = self.cx.b.create_block();
        for i in plan.required()..plan.inputs.len() {
            let given = self.is_given(args[1], args[2], i);
            let next = self.cx.b.create_block();
            self.cx.b.ins().brif(given, general, &[], next, &[]);
            self.cx.b.switch_to_block(next);
        }
        let required = self.cx.b.ins().iconst(types::I32, plan.required() as i64);
        let name = Symbol::Local(self.input.functions[version.0 as usize].clone());
        let args = [args[0], args[1], required, args[3]];
        let status = self.cx.call(name, &PACKED, &[types::I32], &args);
        self.cx.b.ins().return_(&[status.expect("one result")]);
        self.cx.b.switch_to_block(general);
    }

    /// Whether the caller gives argument `i`, and not nothing.
    fn is_given(&mut self, arguments: Value, count: Value, i: usize) -> Value {
        let [look, done] = [(); 2].map(|()| self.cx.b.create_block());
        let given = self.cx.b.append_block_param(done, types::I8);
        let there = self.cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, count, i as i64);
        self.cx.b.ins().brif(there, look, &[], done, &[BlockArg::Value(there)]);
        self.cx.b.switch_to_block(look);
        let at = (i * size_of::<Any>() + offset_of!(Any, type_index)) as i32;
        let index = self.cx.b.ins().load(types::I32, MemFlagsData::trusted(), arguments, at);
        let something = self.cx.b.ins().icmp_imm_s(IntCC::NotEqual, index, i64::from(TypeIndex::NONE));
        self.cx.b.ins().jump(done, &[BlockArg::Value(something)]);
        self.cx.b.switch_to_block(done);
        given
    }

    fn copy_argument(&mut self, arguments: Value, i: usize, list: cranelift_codegen::ir::StackSlot) {
        let at = (i * size_of::<Any>()) as i32;
        for offset in [at, at + 8] {
            let word = self.cx.b.ins().load(types::I64, MemFlagsData::trusted(), arguments, offset);
            self.cx.b.ins().stack_store(types::I64, word, list, offset);
        }
    }
}
