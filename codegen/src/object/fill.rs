//! Finished code and data into a module.

use cranelift_module::{
    DataDescription, DataId, FuncId, Linkage, Module, ModuleError, ModuleReloc, ModuleRelocTarget,
};
use indexmap::IndexMap;
use orogen_ir::diag::Diagnostic;

use super::record::{Code, Place};
use crate::clif::support::data_of;
use crate::clif::unit::{Symbol, Visibility};
use crate::library::{Compiled, library_data};

/// Adds everything to a module. Blobs stay imported.
pub(super) fn fill(module: &mut dyn Module, compiled: &Compiled, code: &[Code]) -> Result<(), Diagnostic> {
    add(module, compiled, code).map_err(|error| {
        Diagnostic::error("C005", format!("cannot put code together: {error}"))
            .note("this is an error in the compiler")
    })
}

fn add(module: &mut dyn Module, compiled: &Compiled, code: &[Code]) -> Result<(), ModuleError> {
    // Not zero-initialised: what the loader fills in shall have a place in the file.
    let host = (orogen_abi::symbol::HOST, 8);
    // Only a library that calls the host looks for its functions.
    let context = (!compiled.slots.is_empty()).then_some((orogen_abi::symbol::LIBRARY_CONTEXT, 8));
    let slots = compiled.slots.iter().map(|it| (it.as_str(), size_of::<orogen_abi::ExternSlot>()));
    let table = 8 * compiled.outside.len();
    let table = (table > 0).then_some((orogen_abi::symbol::PARAMETERS, table));
    for (name, bytes) in [host].into_iter().chain(slots).chain(context).chain(table) {
        let id = module.declare_data(name, Linkage::Export, true, false)?;
        define(module, id, vec![0; bytes], 8)?;
    }
    for (name, bytes) in library_data(compiled) {
        let id = module.declare_data(name, Linkage::Export, false, false)?;
        define(module, id, bytes, 8)?;
    }
    let mut ids = Vec::new();
    for function in code {
        let linkage = match function.visibility {
            Visibility::Local => Linkage::Local,
            Visibility::Exported => Linkage::Export,
        };
        ids.push(module.declare_function(&function.name, linkage, &function.signature)?);
    }
    let mut names = Names { known: IndexMap::new() };
    for (function, id) in code.iter().zip(ids) {
        let mut relocations = Vec::new();
        for it in &function.relocations {
            let name = match &it.place {
                Place::LibCall(call) => ModuleRelocTarget::LibCall(*call),
                Place::Inside(offset) => ModuleRelocTarget::FunctionOffset(id, *offset),
                Place::Symbol(symbol, signature) => match signature {
                    Some(signature) => function_id(module, symbol, signature)?.into(),
                    None => names.data(module, symbol)?.into(),
                },
            };
            relocations.push(ModuleReloc { offset: it.offset, kind: it.kind, name, addend: it.addend });
        }
        module.define_function_bytes(id, function.alignment, &function.bytes, &relocations)?;
    }
    Ok(())
}

fn define(module: &mut dyn Module, id: DataId, bytes: Vec<u8>, alignment: u64) -> Result<(), ModuleError> {
    let mut data = DataDescription::new();
    data.define(bytes.into_boxed_slice());
    data.set_align(alignment);
    module.define_data(id, &data)
}

fn function_id(
    module: &mut dyn Module,
    symbol: &Symbol,
    signature: &cranelift_codegen::ir::Signature,
) -> Result<FuncId, ModuleError> {
    let linkage = match symbol {
        Symbol::Import(_) => Linkage::Import,
        // Not defined anywhere: null when the process has none.
        Symbol::Weak(_) => Linkage::Preemptible,
        Symbol::Local(_) | Symbol::Data(_) | Symbol::LocalData(_) => Linkage::Local,
    };
    module.declare_function(symbol.name(), linkage, signature)
}

struct Names {
    /// Data of this library by symbol.
    known: IndexMap<String, DataId>,
}

impl Names {
    fn data(&mut self, module: &mut dyn Module, symbol: &Symbol) -> Result<DataId, ModuleError> {
        if let Some(known) = self.known.get(symbol.name()) {
            return Ok(*known);
        }
        let Some(bytes) = data_of(symbol) else {
            return module.declare_data(symbol.name(), Linkage::Import, false, false);
        };
        let name = format!("orogen.text{}", self.known.len());
        let id = module.declare_data(&name, Linkage::Local, false, false)?;
        // Rows of tables begin with a number.
        define(module, id, bytes, 4)?;
        self.known.insert(symbol.name().to_owned(), id);
        Ok(id)
    }
}
