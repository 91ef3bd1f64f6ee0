//! The verifier: one function per law of [`crate::flow`]. Law F1 has code F001, and so on.
//!
//! It reports all violations, each drawn under its line of the printed module. A function that breaks F8 (an id
//! names nothing, a block belongs to two regions) has no meaning that the other laws could be checked on, so for
//! such a function only F8 and F10 are reported.

mod control;
mod dataflow;
mod facts;
mod module;
mod names;
mod scopes;
mod structure;
mod symbols;
mod types;
mod walk;

#[cfg(test)]
mod tests;

use super::text::{print_with_places, value_name};
use super::{BindingId, BlockId, Definition, Function, Module, RegionId, ValueId};
use crate::diag::{Diagnostic, Diagnostics};
use crate::ops::OpRegistry;

/// Where a violation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// The first line of the function.
    Header,
    Binding(BindingId),
    Block(BlockId),
    Return(RegionId),
}

/// What a check reads, and where it notes what it finds.
struct Check<'m> {
    module: &'m Module,
    ops: &'m OpRegistry,
    function: &'m Function,
    found: Vec<(At, Diagnostic)>,
}

impl Check<'_> {
    fn report(&mut self, at: At, law: &'static str, message: String) {
        self.found.push((at, Diagnostic::error(law, message)));
    }

    fn name(&self, value: ValueId) -> String {
        value_name(self.function, value)
    }
}

impl Module {
    /// Checks all laws.
    ///
    /// # Errors
    /// Every violation, with the law as its code.
    pub fn verify(&self, ops: &OpRegistry) -> Result<(), Diagnostics> {
        let mut found = Vec::new();
        for (name, definition) in &self.definitions {
            if let Definition::Function(function) = definition {
                let list = verify_function(self, ops, function);
                found.extend(list.into_iter().map(|(at, diagnostic)| (name, at, diagnostic)));
            }
        }
        // A function that breaks F8 has no symbols to speak of.
        if found.is_empty() {
            module::check_f13_own_symbols(self, &mut found);
        }
        if found.is_empty() {
            return Ok(());
        }
        let printed = print_with_places(self, ops);
        let placed = found.into_iter().map(|(name, at, diagnostic)| {
            let Some(spans) = printed.functions.get(name) else { return diagnostic };
            let span = match at {
                At::Header => Some(&spans.header),
                At::Binding(it) => spans.bindings.get(it),
                At::Block(it) => spans.blocks.get(it),
                At::Return(it) => spans.returns.get(it),
            };
            diagnostic.at_place(printed.place(span.unwrap_or(&spans.header)))
        });
        Err(Diagnostics(placed.collect()))
    }
}

fn verify_function(module: &Module, ops: &OpRegistry, function: &Function) -> Vec<(At, Diagnostic)> {
    let mut check = Check { module, ops, function, found: Vec::new() };
    structure::check_f8_structure(&mut check);
    if !check.found.is_empty() {
        names::check_f10_unique_names(&mut check);
        return check.found;
    }
    scopes::check_f1_defined_before_use(&mut check);
    structure::check_f2_defined_once(&mut check);
    scopes::check_f3_local_values(&mut check);
    dataflow::check_f4_no_effects_in_dataflow(&mut check);
    dataflow::check_f5_no_control_flow_in_dataflow(&mut check);
    types::check_f6_types_follow(&mut check);
    symbols::check_f7_symbols_bound(&mut check);
    types::check_f9_kernel_calls(&mut check);
    names::check_f10_unique_names(&mut check);
    control::check_f11_region_results(&mut check);
    dataflow::check_f12_declared_effects(&mut check);
    types::check_f14_defaults(&mut check);
    check.found
}
