//! A module that keeps finished code instead of putting it anywhere.
//!
//! Kernel generators write into a [`Module`]. With one recorder each they run in parallel, and what they made is
//! added to the real module afterwards, in order.

use std::hash::{Hash, Hasher};

use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::{LibCall, Signature};
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::{CodegenError, Context};
use cranelift_module::{
    DataDescription, DataId, FuncId, Linkage, Module, ModuleDeclarations, ModuleError, ModuleReloc,
    ModuleRelocTarget, ModuleResult,
};

use crate::clif::unit::{Symbol, Visibility};

/// What a relocation points at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// A symbol, with its signature when it is a function.
    Symbol(Symbol, Option<Signature>),
    /// A function of the C runtime that Cranelift asked for.
    LibCall(LibCall),
    /// An offset in the function itself.
    Inside(u32),
}

/// A place in the code that holds an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Relocation {
    pub(super) offset: u32,
    pub(super) kind: Reloc,
    pub(super) place: Place,
    pub(super) addend: i64,
}

impl Hash for Relocation {
    /// Kinds have no hash; they follow from the place but for few.
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.offset, &self.place, self.addend).hash(state);
    }
}

/// A compiled function.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Code {
    pub(super) name: String,
    pub(super) visibility: Visibility,
    pub(super) signature: Signature,
    pub(super) alignment: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) relocations: Vec<Relocation>,
}

/// See the module documentation.
pub(super) struct Recorder<'a> {
    isa: &'a dyn TargetIsa,
    declarations: ModuleDeclarations,
    code: Vec<Code>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(isa: &'a dyn TargetIsa) -> Recorder<'a> {
        Recorder { isa, declarations: ModuleDeclarations::default(), code: Vec::new() }
    }

    /// What was defined, in order.
    pub(super) fn finish(self) -> Vec<Code> {
        self.code
    }

    fn unsupported(what: &str) -> ModuleError {
        ModuleError::Backend(std::io::Error::other(format!("a kernel generator asked for {what}")).into())
    }

    fn record(
        &mut self,
        id: FuncId,
        alignment: u64,
        bytes: &[u8],
        relocations: &[ModuleReloc],
    ) -> ModuleResult<()> {
        let mut made = Vec::new();
        for it in relocations {
            let place = match &it.name {
                ModuleRelocTarget::LibCall(call) => Place::LibCall(*call),
                ModuleRelocTarget::FunctionOffset(_, offset) => Place::Inside(*offset),
                name @ ModuleRelocTarget::User { .. } if ModuleDeclarations::is_function(name) => {
                    let callee = FuncId::from_name(name);
                    let declaration = self.declarations.get_function_decl(callee);
                    let name = declaration.linkage_name(callee).into_owned();
                    Place::Symbol(Symbol::Local(name), Some(declaration.signature.clone()))
                }
                ModuleRelocTarget::User { .. } | ModuleRelocTarget::KnownSymbol(_) => {
                    return Err(Self::unsupported("data"));
                }
            };
            made.push(Relocation { offset: it.offset, kind: it.kind, place, addend: it.addend });
        }
        let declaration = self.declarations.get_function_decl(id);
        self.code.push(Code {
            name: declaration.linkage_name(id).into_owned(),
            visibility: Visibility::Local,
            signature: declaration.signature.clone(),
            alignment,
            bytes: bytes.to_vec(),
            relocations: made,
        });
        Ok(())
    }
}

impl Module for Recorder<'_> {
    fn isa(&self) -> &dyn TargetIsa {
        self.isa
    }

    fn declarations(&self) -> &ModuleDeclarations {
        &self.declarations
    }

    fn declare_function(
        &mut self,
        name: &str,
        linkage: Linkage,
        signature: &Signature,
    ) -> ModuleResult<FuncId> {
        Ok(self.declarations.declare_function(name, linkage, signature)?.0)
    }

    fn declare_anonymous_function(&mut self, _: &Signature) -> ModuleResult<FuncId> {
        Err(Self::unsupported("an anonymous function"))
    }

    fn declare_data(&mut self, _: &str, _: Linkage, _: bool, _: bool) -> ModuleResult<DataId> {
        Err(Self::unsupported("data"))
    }

    fn declare_anonymous_data(&mut self, _: bool, _: bool) -> ModuleResult<DataId> {
        Err(Self::unsupported("data"))
    }

    fn define_function_with_control_plane(
        &mut self,
        id: FuncId,
        context: &mut Context,
        control: &mut ControlPlane,
    ) -> ModuleResult<()> {
        context.compile(self.isa, control).map_err(|error| ModuleError::Compilation(error.inner))?;
        let Some(code) = context.compiled_code() else {
            return Err(ModuleError::Compilation(CodegenError::CodeTooLarge));
        };
        let relocations: Vec<ModuleReloc> = code
            .buffer
            .relocs()
            .iter()
            .map(|it| ModuleReloc::from_mach_reloc(it, &context.func, id))
            .collect();
        let alignment = u64::from(code.buffer.alignment.max(32));
        let bytes = code.buffer.data().to_vec();
        self.record(id, alignment, &bytes, &relocations)
    }

    fn define_function_bytes(
        &mut self,
        id: FuncId,
        alignment: u64,
        bytes: &[u8],
        relocations: &[ModuleReloc],
    ) -> ModuleResult<()> {
        self.record(id, alignment, bytes, relocations)
    }

    fn define_data(&mut self, _: DataId, _: &DataDescription) -> ModuleResult<()> {
        Err(Self::unsupported("data"))
    }
}
