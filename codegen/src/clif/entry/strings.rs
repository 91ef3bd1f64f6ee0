//! Strings: constants are made at the start of a call, and given back at its end.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, types};
use orogen_abi::{DLTensor, HOST_STRINGS, HostTable, TensorObject};
use orogen_ir::plan::ObjectId;
use orogen_ir::types::DType;
use std::mem::offset_of;

use super::Entry;
use crate::clif::support::Support;
use crate::clif::unit::Symbol;

impl Entry<'_, '_, '_> {
    /// The place of a constant, behind those of objects.
    pub(super) fn string_place(&self, i: usize) -> ObjectId {
        ObjectId((self.input.plan.objects.len() + i) as u32)
    }

    /// Makes the constants, where the host can.
    pub(super) fn strings(&mut self) {
        let plan = self.input.plan;
        let returns = plan.outputs.iter().any(|it| it.tensor().is_some_and(|it| it.dtype == DType::Str));
        let takes = plan.inputs.iter().any(|it| it.tensor().is_some_and(|it| it.dtype == DType::Str));
        if !returns && !takes && self.input.strings.is_empty() {
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
        for (i, id) in self.input.strings.iter().enumerate() {
            let symbol = Symbol::Data(self.input.constants.plain(*id));
            let data = self.cx.data_address(symbol);
            let count = self.cx.int(plan.constants.data(*id).len() as i64);
            let tensor = self.cx.support(Support::NewStrings, &[data, count]).expect("one result");
            self.require_made(tensor);
            let offset = offset_of!(TensorObject, dl_tensor) + offset_of!(DLTensor, data);
            let data = self.cx.b.ins().load(types::I64, flags, tensor, offset as i32);
            self.frame.set_object(self.cx, self.string_place(i), tensor, data);
        }
    }

    pub(super) fn release_strings(&mut self) {
        for i in 0..self.input.strings.len() {
            let tensor = self.frame.object(self.cx, self.string_place(i));
            self.cx.support(Support::Release, &[tensor]);
        }
    }
}
