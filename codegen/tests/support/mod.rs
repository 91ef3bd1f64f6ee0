//! Builds small objects with Cranelift for the tests of the linkers.

#![allow(dead_code, reason = "each test file uses a part")]

use std::sync::Arc;

use cranelift_codegen::ir::{
    AbiParam, Function, InstBuilder, MemFlagsData, Signature, UserFuncName, Value, types,
};
use cranelift_codegen::isa::{CallConv, TargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::{Context, ir};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_module::{DataDescription, DataId, FuncId, Linkage, Module};
use cranelift_object::{ObjectBuilder, ObjectModule};

pub(crate) const I64: ir::Type = types::I64;

pub(crate) struct Objects {
    pub(crate) module: ObjectModule,
    context: FunctionBuilderContext,
}

pub(crate) fn isa(triple: &str) -> Arc<dyn TargetIsa> {
    let mut flags = settings::builder();
    flags.set("is_pic", "true").unwrap();
    flags.set("opt_level", "speed").unwrap();
    let triple: target_lexicon::Triple = triple.parse().unwrap();
    cranelift_codegen::isa::lookup(triple).unwrap().finish(settings::Flags::new(flags)).unwrap()
}

impl Objects {
    pub(crate) fn new() -> Self {
        Self::for_target("x86_64-unknown-linux-gnu", false)
    }

    pub(crate) fn for_target(triple: &str, section_per_function: bool) -> Self {
        let names = cranelift_module::default_libcall_names();
        let mut builder = ObjectBuilder::new(isa(triple), "test", names).unwrap();
        builder.per_function_section(section_per_function);
        Objects { module: ObjectModule::new(builder), context: FunctionBuilderContext::new() }
    }

    pub(crate) fn signature(params: &[ir::Type], returns: &[ir::Type]) -> Signature {
        let mut signature = Signature::new(CallConv::SystemV);
        signature.params.extend(params.iter().map(|&it| AbiParam::new(it)));
        signature.returns.extend(returns.iter().map(|&it| AbiParam::new(it)));
        signature
    }

    pub(crate) fn declare(&mut self, name: &str, linkage: Linkage, params: usize) -> FuncId {
        let signature = Self::signature(&vec![I64; params], &[I64]);
        self.module.declare_function(name, linkage, &signature).unwrap()
    }

    /// Defines a function of 64-bit integers that returns one.
    pub(crate) fn define(
        &mut self,
        name: &str,
        linkage: Linkage,
        params: usize,
        body: impl FnOnce(&mut ObjectModule, &mut FunctionBuilder<'_>, &[Value]) -> Value,
    ) -> FuncId {
        let signature = Self::signature(&vec![I64; params], &[I64]);
        self.define_as(name, linkage, signature, body)
    }

    pub(crate) fn define_as(
        &mut self,
        name: &str,
        linkage: Linkage,
        signature: Signature,
        body: impl FnOnce(&mut ObjectModule, &mut FunctionBuilder<'_>, &[Value]) -> Value,
    ) -> FuncId {
        let id = self.module.declare_function(name, linkage, &signature).unwrap();
        let name = UserFuncName::user(0, id.as_u32());
        let mut context = Context::for_function(Function::with_name_signature(name, signature));
        let mut builder = FunctionBuilder::new(&mut context.func, &mut self.context);
        let entry = builder.create_block();
        builder.append_block_params_for_function_params(entry);
        builder.switch_to_block(entry);
        let params = builder.block_params(entry).to_vec();
        let value = body(&mut self.module, &mut builder, &params);
        builder.ins().return_(&[value]);
        builder.seal_all_blocks();
        builder.finalize(self.module.isa().frontend_config());
        self.module.define_function(id, &mut context).unwrap();
        id
    }

    pub(crate) fn data(&mut self, name: &str, linkage: Linkage, writable: bool, bytes: Vec<u8>) -> DataId {
        let id = self.module.declare_data(name, linkage, writable, false).unwrap();
        let mut data = DataDescription::new();
        data.define(bytes.into());
        data.set_align(8);
        self.module.define_data(id, &data).unwrap();
        id
    }

    pub(crate) fn zeros(&mut self, name: &str, linkage: Linkage, size: usize) -> DataId {
        let id = self.module.declare_data(name, linkage, true, false).unwrap();
        let mut data = DataDescription::new();
        data.define_zeroinit(size);
        data.set_align(8);
        self.module.define_data(id, &data).unwrap();
        id
    }

    pub(crate) fn import_data(&mut self, name: &str) -> DataId {
        self.module.declare_data(name, Linkage::Import, false, false).unwrap()
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.module.finish().emit().unwrap()
    }
}

/// The address of a datum.
pub(crate) fn address(module: &mut ObjectModule, builder: &mut FunctionBuilder<'_>, data: DataId) -> Value {
    let global = module.declare_data_in_func(data, builder.func);
    builder.ins().symbol_value(I64, global)
}

pub(crate) fn load(builder: &mut FunctionBuilder<'_>, from: Value, offset: i32) -> Value {
    builder.ins().load(I64, MemFlagsData::new(), from, offset)
}

pub(crate) fn store(builder: &mut FunctionBuilder<'_>, value: Value, to: Value, offset: i32) {
    builder.ins().store(MemFlagsData::new(), value, to, offset);
}

/// Calls a function that returns one value.
pub(crate) fn call(
    module: &mut ObjectModule,
    builder: &mut FunctionBuilder<'_>,
    callee: FuncId,
    args: &[Value],
) -> Value {
    let callee = module.declare_func_in_func(callee, builder.func);
    let call = builder.ins().call(callee, args);
    builder.inst_results(call)[0]
}

/// Calls through a pointer.
pub(crate) fn call_pointer(
    builder: &mut FunctionBuilder<'_>,
    signature: Signature,
    callee: Value,
    args: &[Value],
) -> Option<Value> {
    let signature = builder.import_signature(signature);
    let call = builder.ins().call_indirect(signature, callee, args);
    builder.inst_results(call).first().copied()
}
