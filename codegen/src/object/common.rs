//! Functions that libraries have in common: those of the elementary functions and of the support code.
//!
//! Law: such a function is decided by its name and the target alone, so a process compiles each of them once for a target,
//! and a small model does not wait for what the one before it waited for already.

use cranelift_codegen::isa::TargetIsa;
use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::Diagnostic;
use rayon::prelude::*;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use target_lexicon::Triple;

use super::record::Code;
use super::unit::{compile_unit, local_names};
use crate::clif::unit::{Target, Unit};
use crate::clif::{math, support};
use crate::options::{CodegenOptions, Cpu};

/// What the code of a common function depends on besides its name: a target, instructions, and whether the code is
/// position-independent.
type Key = (Triple, Cpu, bool);

/// The functions of one target by name.
type Table = IndexMap<String, Arc<Common>>;

static MADE: LazyLock<Mutex<IndexMap<Key, Table>>> = LazyLock::new(Mutex::default);

/// A compiled function, and which others of this kind it calls.
struct Common {
    calls: Vec<String>,
    code: Code,
}

fn made() -> MutexGuard<'static, IndexMap<Key, Table>> {
    // Tables are whole between any two changes of them.
    MADE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The common functions that these functions call, directly or by each other, in the order of their names; and the work of
/// compiling those that are new.
pub(super) struct Wanted {
    key: Key,
    there: IndexMap<String, Arc<Common>>,
    new: IndexMap<String, Unit>,
}

impl Wanted {
    pub(super) fn by(options: &CodegenOptions, isa: &dyn TargetIsa, units: &[Unit]) -> Wanted {
        let key = (options.triple.clone(), options.cpu, isa.flags().is_pic());
        let known = made().get(&key).cloned().unwrap_or_default();
        let target = Target::of(isa);
        let mut wanted = Wanted { key, there: IndexMap::new(), new: IndexMap::new() };
        let mut waiting: IndexSet<String> = units.iter().flat_map(local_names).collect();
        while let Some(name) = waiting.pop() {
            if wanted.there.contains_key(&name) || wanted.new.contains_key(&name) {
                continue;
            }
            if let Some(common) = known.get(&name) {
                waiting.extend(common.calls.iter().cloned());
                wanted.there.insert(name, common.clone());
            } else if let Some(unit) = math::unit(target, &name).or_else(|| support::unit(target, &name)) {
                waiting.extend(local_names(&unit));
                wanted.new.insert(name, unit);
            }
        }
        wanted
    }

    /// The code.
    pub(super) fn compiled(mut self, isa: &dyn TargetIsa) -> Result<Vec<Code>, Diagnostic> {
        let new: Vec<Unit> = std::mem::take(&mut self.new).into_values().collect();
        let compile = |unit: &Unit| {
            let code = compile_unit(isa, unit)?;
            Ok(Arc::new(Common { calls: local_names(unit).collect(), code }))
        };
        let new: Vec<Arc<Common>> = new.par_iter().map(compile).collect::<Result<_, Diagnostic>>()?;
        let mut all = self.there;
        all.extend(new.iter().map(|it| (it.code.name.clone(), it.clone())));
        if !new.is_empty() {
            let mut made = made();
            let table = made.entry(self.key).or_default();
            table.extend(new.into_iter().map(|it| (it.code.name.clone(), it)));
        }
        all.sort_keys();
        Ok(all.into_values().map(|it| it.code.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Metadata, compile};
    use orogen_ir::plan::CallPlan;

    #[test]
    fn what_was_compiled_for_a_target_is_there_for_the_next_library() {
        let compiled = |cpu| {
            let options = CodegenOptions { cpu, ..CodegenOptions::default() };
            let plan = CallPlan { name: "main".into(), ..CallPlan::default() };
            compile(&plan.into(), &Metadata::default(), &options).expect("a plan without steps")
        };
        for cpu in [Cpu::Host, Cpu::Baseline] {
            let library = compiled(cpu);
            let first = library.object().expect("an object");
            let isa = library.isa(true).expect("a target");
            let wanted = Wanted::by(&library.options, &*isa, &library.units);
            assert!(wanted.new.is_empty() && !wanted.there.is_empty(), "{cpu}");
            assert_eq!(first.bytes, compiled(cpu).object().expect("an object").bytes, "{cpu}");
        }
    }
}
