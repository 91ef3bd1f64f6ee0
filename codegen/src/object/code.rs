//! Machine code of functions, before it is part of a module.

use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::{Context, FinalizedRelocTarget};
use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::Diagnostic;
use rayon::prelude::*;

use crate::clif::unit::{Symbol, Target, Unit};
use crate::clif::{math, support};
use crate::library::KernelCode;
use crate::select::routine::{Routine, Routines};

use super::record::{Code, Place, Recorder, Relocation};
use super::share::{rename, shared};

/// Compiles the functions and everything of the shared library that they call, in a fixed order.
pub(super) fn compile(
    isa: &dyn TargetIsa,
    units: &[Unit],
    routines: &Routines,
) -> Result<Vec<Code>, Diagnostic> {
    enum Job<'a> {
        Unit(&'a Unit),
        Routine(&'a str, &'a Routine),
    }
    let target = Target::of(isa);
    let support = shared_units(target, units);
    let mut jobs: Vec<Job<'_>> = routines.iter().map(|(name, it)| Job::Routine(name, it)).collect();
    jobs.extend(units.iter().chain(&support).map(Job::Unit));
    let run = |job: &Job<'_>| match job {
        Job::Unit(unit) => compile_unit(isa, unit).map(|it| vec![it]),
        Job::Routine(name, routine) => compile_routine(isa, name, routine),
    };
    let made: Vec<Result<Vec<Code>, Diagnostic>> = jobs.par_iter().map(run).collect();
    let mut made = made.into_iter().collect::<Result<Vec<_>, _>>()?;
    let units = made.split_off(routines.iter().count());
    let (mut code, renamed) = shared(made.into_iter().flatten());
    code.extend(units.into_iter().flatten().map(|mut it| {
        rename(&mut it, &renamed);
        it
    }));
    Ok(code)
}

/// How much code each function and the routines that it calls are.
pub(super) fn sizes(
    isa: &dyn TargetIsa,
    units: &[&Unit],
    routines: &Routines,
) -> Result<Vec<KernelCode>, Diagnostic> {
    let routines: Vec<(&str, &Routine)> = routines.iter().collect();
    let bytes = |code: &Code| code.bytes.len() as u64;
    let routines = routines.into_par_iter().map(|(name, it)| {
        let code = compile_routine(isa, name, it)?;
        Ok((name, code.iter().map(bytes).sum()))
    });
    let routines: IndexMap<&str, u64> =
        routines.collect::<Result<Vec<_>, Diagnostic>>()?.into_iter().collect();
    let sizes = units.par_iter().map(|unit| {
        let called = local_names(unit);
        let called = called.iter().filter_map(|it| routines.get(it.as_str()));
        Ok(KernelCode { own: bytes(&compile_unit(isa, unit)?), routines: called.sum() })
    });
    sizes.collect()
}

fn compile_routine(isa: &dyn TargetIsa, name: &str, routine: &Routine) -> Result<Vec<Code>, Diagnostic> {
    let mut recorder = Recorder::new(isa);
    routine.emit(&mut recorder, name).map_err(|error| {
        Diagnostic::error("C004", format!("cannot compile `{name}`: {error}"))
            .note("this is an error in the compiler")
    })?;
    Ok(recorder.finish())
}

/// Mathematical and support functions that are called, directly or by each other.
fn shared_units(target: Target, units: &[Unit]) -> Vec<Unit> {
    let mut made: IndexMap<String, Unit> = IndexMap::new();
    let mut waiting: IndexSet<String> = units.iter().flat_map(local_names).collect();
    while let Some(name) = waiting.pop() {
        if made.contains_key(&name) {
            continue;
        }
        if let Some(unit) = math::unit(target, &name).or_else(|| support::unit(target, &name)) {
            waiting.extend(local_names(&unit));
            made.insert(name, unit);
        }
    }
    made.sort_keys();
    made.into_values().collect()
}

fn local_names(unit: &Unit) -> Vec<String> {
    let local = |symbol: &Symbol| match symbol {
        Symbol::Local(name) => Some(name.clone()),
        _ => None,
    };
    unit.symbols.keys().filter_map(local).collect()
}

fn compile_unit(isa: &dyn TargetIsa, unit: &Unit) -> Result<Code, Diagnostic> {
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
