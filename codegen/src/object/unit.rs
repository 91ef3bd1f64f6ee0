//! Machine code of one function.

use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::{Context, FinalizedRelocTarget};
use orogen_ir::diag::Diagnostic;

use crate::clif::unit::{Symbol, Unit};

use super::record::{Code, Place, Relocation};

/// The functions of the library that a function calls.
pub(super) fn local_names(unit: &Unit) -> impl Iterator<Item = String> {
    let local = |symbol: &Symbol| match symbol {
        Symbol::Local(name) => Some(name.clone()),
        _ => None,
    };
    unit.symbols.keys().filter_map(local)
}

/// Its machine code.
///
/// # Errors
/// Code that the target cannot express.
pub(super) fn compile_unit(isa: &dyn TargetIsa, unit: &Unit) -> Result<Code, Diagnostic> {
    let fail = |message: String| {
        Diagnostic::error("C004", format!("cannot compile `{}`: {message}", unit.name))
            .note("this is an error in the compiler")
    };
    let mut context = Context::for_function(unit.function.clone());
    let code =
        context.compile(isa, &mut Default::default()).map_err(|error| fail(format!("{:?}", error.inner)))?;
    let mut relocations = Vec::new();
    for relocation in code.buffer.relocs() {
        let place = match &relocation.target {
            FinalizedRelocTarget::Func(offset) => Place::Inside(*offset),
            FinalizedRelocTarget::ExternalName(name) => match name {
                cranelift_codegen::ir::ExternalName::LibCall(call) => Place::LibCall(*call),
                name => {
                    let (symbol, signature) =
                        unit.symbol(name).ok_or_else(|| fail(format!("unknown name {name:?}")))?;
                    Place::Symbol(symbol.clone(), signature.cloned())
                }
            },
        };
        let (offset, kind, addend) = (relocation.offset, relocation.kind, relocation.addend);
        relocations.push(Relocation { offset, kind, place, addend });
    }
    Ok(Code {
        name: unit.name.clone(),
        visibility: unit.visibility,
        signature: unit.function.signature.clone(),
        alignment: u64::from(code.buffer.alignment.max(1 << isa.flags().log2_min_function_alignment())),
        bytes: code.buffer.data().to_vec(),
        relocations,
    })
}
