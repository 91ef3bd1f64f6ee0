//! Laws between the functions of a module.

use super::At;
use crate::diag::Diagnostic;
use crate::flow::{Function, Module, Rhs};
use crate::shape::{Dim, ShapeCx, Sym};
use crate::types::{bound_symbols, visit_dims};
use indexmap::{IndexMap, IndexSet};

/// F13: what a body binds is its own.
pub(super) fn check_f13_own_symbols<'m>(module: &'m Module, found: &mut Vec<(&'m String, At, Diagnostic)>) {
    if module.functions().nth(1).is_none() {
        return;
    }
    let shapes = &module.shapes;
    // Which function mentions a symbol, the first one, and whether its body binds it.
    let mut seen: IndexMap<Sym, (&str, bool)> = IndexMap::new();
    for (name, definition) in &module.definitions {
        let crate::flow::Definition::Function(function) = definition else { continue };
        let given = given(shapes, function);
        for symbol in mentioned(shapes, function) {
            let own = !given.contains(&symbol);
            match seen.get(&symbol) {
                Some((other, others)) if own || *others => {
                    let message = format!(
                        "`{}` is bound inside of a function and mentioned in two, `@{other}` and `@{name}`",
                        shapes.name(symbol)
                    );
                    let help =
                        "what is known of a symbol is known in all functions: give one of them another name";
                    found.push((name, At::Header, Diagnostic::error("F013", message).help(help)));
                }
                Some(_) => {}
                None => {
                    seen.insert(symbol, (name, own));
                }
            }
        }
    }
}

/// Symbols that the caller gives.
fn given(shapes: &ShapeCx, function: &Function) -> IndexSet<Sym> {
    let mut given = IndexSet::new();
    for param in &function.params {
        bound_symbols(shapes, &function.values[param.value].ty, &mut |it| {
            given.insert(it);
        });
    }
    given
}

/// All symbols of a function.
fn mentioned(shapes: &ShapeCx, function: &Function) -> IndexSet<Sym> {
    let mut symbols = IndexSet::new();
    let mut add = |dim: Dim| symbols.extend(shapes.free_symbols(dim));
    function.params.iter().for_each(|it| visit_dims(&function.values[it.value].ty, &mut add));
    function.visit_regions(&mut |region| {
        let params = &function.regions[region].params;
        params.iter().for_each(|it| visit_dims(&function.values[*it].ty, &mut add));
    });
    for id in function.live_bindings() {
        let binding = &function.bindings[id];
        binding.results.iter().for_each(|it| visit_dims(&function.values[*it].ty, &mut add));
        match &binding.rhs {
            Rhs::Check { constraint, .. } => constraint.dims().for_each(&mut add),
            Rhs::Call { sizes, .. } => sizes.iter().copied().for_each(&mut add),
            Rhs::MatchCast { ty, .. } | Rhs::View { ty, .. } => visit_dims(ty, &mut add),
            _ => {}
        }
    }
    symbols
}
