//! Machine code of functions, before it is part of a module.

use cranelift_codegen::isa::TargetIsa;
use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::Diagnostic;
use rayon::prelude::*;

use crate::clif::unit::{Symbol, Unit};
use crate::library::{Compiled, KernelCode, KernelInfo, LibraryCode};
use crate::select::routine::Routine;

use super::common::Wanted;
use super::record::{Code, Place, Recorder};
use super::share::{rename, shared};
use super::unit::compile_unit;

/// Compiles the functions and everything of the shared library that they call, in a fixed order.
pub(super) fn compile(compiled: &Compiled, isa: &dyn TargetIsa) -> Result<Vec<Code>, Diagnostic> {
    enum Job<'a> {
        Unit(&'a Unit),
        Routine(&'a str, &'a Routine),
    }
    let (units, routines) = (&compiled.units, &compiled.routines);
    let common = Wanted::by(&compiled.options, isa, units);
    let mut jobs: Vec<Job<'_>> = routines.iter().map(|(name, it)| Job::Routine(name, it)).collect();
    jobs.extend(units.iter().map(Job::Unit));
    let run = |job: &Job<'_>| match job {
        Job::Unit(unit) => compile_unit(isa, unit).map(|it| vec![it]),
        Job::Routine(name, routine) => compile_routine(isa, name, routine),
    };
    let own = || jobs.par_iter().map(run).collect::<Result<Vec<Vec<Code>>, Diagnostic>>();
    let (made, common) = rayon::join(own, || common.compiled(isa));
    let mut made = made?;
    let units = made.split_off(routines.iter().count());
    let (mut code, renamed) = shared(made.into_iter().flatten());
    code.extend(units.into_iter().flatten().map(|mut it| {
        rename(&mut it, &renamed);
        it
    }));
    code.extend(common?);
    Ok(code)
}

/// How much of the code belongs to kernels.
pub(super) fn sizes(code: &[Code], kernels: &[KernelInfo]) -> LibraryCode {
    let named: IndexMap<&str, &Code> = code.iter().map(|it| (&it.name[..], it)).collect();
    let bytes = |name: &str| named.get(name).map_or(0, |it| it.bytes.len() as u64);
    let own: IndexSet<&str> = kernels.iter().flat_map(|it| &it.phases).map(|it| &it.symbol[..]).collect();
    let mut called_by_any: IndexSet<&str> = IndexSet::new();
    let mut sizes = Vec::new();
    for kernel in kernels {
        let mut waiting: Vec<&str> = kernel.phases.iter().map(|it| &it.symbol[..]).collect();
        let mut called: IndexSet<&str> = IndexSet::new();
        while let Some(code) = waiting.pop().and_then(|it| named.get(it)) {
            for it in &code.relocations {
                if let Place::Symbol(Symbol::Local(name), _) = &it.place
                    && !own.contains(&name[..])
                    && called.insert(name)
                {
                    waiting.push(name);
                }
            }
        }
        sizes.push(KernelCode {
            own: kernel.phases.iter().map(|it| bytes(&it.symbol)).sum(),
            routines: called.iter().map(|it| bytes(it)).sum(),
        });
        called_by_any.extend(called);
    }
    let routines = called_by_any.iter().map(|it| bytes(it)).sum();
    let all: u64 = code.iter().map(|it| it.bytes.len() as u64).sum();
    let rest = all - routines - sizes.iter().map(|it| it.own).sum::<u64>();
    LibraryCode { kernels: sizes, routines, rest }
}

fn compile_routine(isa: &dyn TargetIsa, name: &str, routine: &Routine) -> Result<Vec<Code>, Diagnostic> {
    let mut recorder = Recorder::new(isa);
    routine.emit(&mut recorder, name).map_err(|error| {
        Diagnostic::error("C004", format!("cannot compile `{name}`: {error}"))
            .note("this is an error in the compiler")
    })?;
    Ok(recorder.finish())
}
