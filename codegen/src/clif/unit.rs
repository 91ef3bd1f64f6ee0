//! One function on its way to machine code.
//!
//! Functions are built and compiled in parallel, before any module exists. A function therefore names what it
//! refers to by [`Symbol`], not by module id; the module resolves the names when the finished code is added.

use cranelift_codegen::entity::EntityRef;
use cranelift_codegen::ir::{
    AbiParam, ExtFuncData, ExternalName, FuncRef, Function, GlobalValue, GlobalValueData, InstBuilder,
    MemFlagsData, Signature, StackSlot, Type, UserExternalName, UserFuncName, Value, immediates::Imm64,
    types,
};
use cranelift_codegen::isa::{CallConv, TargetFrontendConfig, TargetIsa};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use indexmap::IndexMap;

/// Something that a function refers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Symbol {
    /// A function of this library.
    Local(String),
    /// A function of the process that loads the library.
    Import(String),
    /// As [`Symbol::Import`], null when the process has none.
    Weak(String),
    /// Data whose address comes from the linker: exported, or outside this object.
    Data(String),
    /// Data of this object.
    LocalData(String),
}

impl Symbol {
    /// The linker's name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Symbol::Local(name)
            | Symbol::Import(name)
            | Symbol::Weak(name)
            | Symbol::Data(name)
            | Symbol::LocalData(name) => name,
        }
    }
}

/// Whether others may call a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Visibility {
    /// Only functions of this library.
    Local,
    /// Anyone.
    Exported,
}

/// A built function and what it refers to.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    /// The linker's name.
    pub(crate) name: String,
    /// Who may call it.
    pub(crate) visibility: Visibility,
    /// The function; its external names index `symbols`.
    pub(crate) function: Function,
    /// What it refers to, with the signature of functions.
    pub(crate) symbols: IndexMap<Symbol, Option<Signature>>,
}

/// What every function of one library agrees on.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    /// Calling convention of everything.
    pub(crate) call_conv: CallConv,
    /// Whether `fma` is one instruction.
    pub(crate) fma: bool,
    /// What the front end must know.
    pub(crate) config: TargetFrontendConfig,
}

impl Target {
    /// The facts of a Cranelift target.
    pub(crate) fn of(isa: &dyn TargetIsa) -> Target {
        let flag =
            |name: &str| isa.isa_flags().iter().any(|it| it.name == name && it.as_bool() == Some(true));
        let fma = match isa.triple().architecture {
            target_lexicon::Architecture::X86_64 => flag("has_fma"),
            _ => true,
        };
        Target { call_conv: isa.default_call_conv(), fma, config: isa.frontend_config() }
    }

    /// A signature of this target's calling convention.
    pub(crate) fn signature(&self, params: &[Type], returns: &[Type]) -> Signature {
        let mut signature = Signature::new(self.call_conv);
        signature.params.extend(params.iter().map(|it| AbiParam::new(*it)));
        signature.returns.extend(returns.iter().map(|it| AbiParam::new(*it)));
        signature
    }
}

/// A function being built.
pub(crate) struct FunctionCx<'a> {
    /// The Cranelift builder.
    pub(crate) b: FunctionBuilder<'a>,
    /// The target.
    pub(crate) target: Target,
    symbols: IndexMap<Symbol, Option<Signature>>,
    functions: IndexMap<Symbol, FuncRef>,
    data: IndexMap<Symbol, GlobalValue>,
}

impl FunctionCx<'_> {
    /// The 64-bit integer `value`.
    pub(crate) fn int(&mut self, value: i64) -> Value {
        self.b.ins().iconst(types::I64, value)
    }

    fn external(&mut self, symbol: &Symbol, signature: Option<&Signature>) -> ExternalName {
        let entry = self.symbols.entry(symbol.clone());
        let index = u32::try_from(entry.index()).expect("fewer than 2^32 symbols");
        entry.or_insert_with(|| signature.cloned());
        let name = UserExternalName { namespace: 0, index };
        ExternalName::user(self.b.func.declare_imported_user_function(name))
    }

    /// A function that this one calls.
    pub(crate) fn function(&mut self, symbol: Symbol, params: &[Type], returns: &[Type]) -> FuncRef {
        if let Some(known) = self.functions.get(&symbol) {
            return *known;
        }
        let signature = self.target.signature(params, returns);
        let name = self.external(&symbol, Some(&signature));
        let signature = self.b.import_signature(signature);
        let colocated = matches!(symbol, Symbol::Local(_));
        let data = ExtFuncData { name, signature, colocated, patchable: false };
        let reference = self.b.import_function(data);
        self.functions.insert(symbol, reference);
        reference
    }

    /// The address of a data symbol.
    pub(crate) fn data_address(&mut self, symbol: Symbol) -> Value {
        let global = match self.data.get(&symbol) {
            Some(known) => *known,
            None => {
                let name = self.external(&symbol, None);
                let offset = Imm64::new(0);
                let colocated = matches!(symbol, Symbol::LocalData(_));
                let data = GlobalValueData::Symbol { name, offset, colocated, tls: false };
                let global = self.b.create_global_value(data);
                self.data.insert(symbol, global);
                global
            }
        };
        self.b.ins().symbol_value(types::I64, global)
    }

    /// Calls a function without results or with one.
    pub(crate) fn call(
        &mut self,
        symbol: Symbol,
        params: &[Type],
        returns: &[Type],
        args: &[Value],
    ) -> Option<Value> {
        let function = self.function(symbol, params, returns);
        let call = self.b.ins().call(function, args);
        self.b.inst_results(call).first().copied()
    }
}

/// Words of memory: of this function, or where a pointer says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Words {
    /// In a stack slot.
    Slot(StackSlot),
    /// Behind a pointer.
    Behind(Value),
}

impl Words {
    /// The word `offset` bytes from the start.
    pub(crate) fn load(self, cx: &mut FunctionCx<'_>, offset: i32) -> Value {
        match self {
            Words::Slot(slot) => cx.b.ins().stack_load(types::I64, types::I64, slot, offset),
            Words::Behind(base) => cx.b.ins().load(types::I64, MemFlagsData::trusted(), base, offset),
        }
    }

    /// Sets the word `offset` bytes from the start.
    pub(crate) fn store(self, cx: &mut FunctionCx<'_>, value: Value, offset: i32) {
        match self {
            Words::Slot(slot) => {
                cx.b.ins().stack_store(types::I64, value, slot, offset);
            }
            Words::Behind(base) => {
                cx.b.ins().store(MemFlagsData::trusted(), value, base, offset);
            }
        }
    }

    /// The address of the first one.
    pub(crate) fn address(self, cx: &mut FunctionCx<'_>) -> Value {
        match self {
            Words::Slot(slot) => cx.b.ins().stack_addr(types::I64, slot, 0),
            Words::Behind(base) => base,
        }
    }
}

/// Builds a function: `body` gets the builder, positioned in the entry block, and the parameters.
pub(crate) fn build(
    target: Target,
    name: &str,
    visibility: Visibility,
    params: &[Type],
    returns: &[Type],
    body: impl FnOnce(&mut FunctionCx<'_>, &[Value]),
) -> Unit {
    let signature = target.signature(params, returns);
    let mut function = Function::with_name_signature(UserFuncName::user(0, 0), signature);
    let mut context = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut function, &mut context);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let values = b.block_params(entry).to_vec();
    let mut cx =
        FunctionCx { b, target, symbols: IndexMap::new(), functions: IndexMap::new(), data: IndexMap::new() };
    body(&mut cx, &values);
    let FunctionCx { mut b, symbols, .. } = cx;
    b.seal_all_blocks();
    b.finalize(target.config);
    Unit { name: name.to_owned(), visibility, function, symbols }
}

impl Unit {
    /// The same, where local functions that it calls have other names.
    pub(crate) fn renamed(mut self, names: &IndexMap<String, String>) -> Unit {
        if names.is_empty() {
            return self;
        }
        let renamed = |symbol: Symbol| match symbol {
            Symbol::Local(name) => Symbol::Local(names.get(&name).cloned().unwrap_or(name)),
            other => other,
        };
        // External names are places in the list.
        self.symbols =
            std::mem::take(&mut self.symbols).into_iter().map(|it| (renamed(it.0), it.1)).collect();
        self
    }

    /// The symbol behind an external name of this function.
    pub(crate) fn symbol(&self, name: &ExternalName) -> Option<(&Symbol, Option<&Signature>)> {
        let ExternalName::User(reference) = name else { return None };
        let name = self.function.params.user_named_funcs().get(*reference)?;
        let (symbol, signature) = self.symbols.get_index(name.index as usize)?;
        debug_assert!(reference.index() < self.function.params.user_named_funcs().len());
        Some((symbol, signature.as_ref()))
    }
}
