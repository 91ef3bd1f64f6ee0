//! F7: symbols are bound before they are used.

use super::walk::{Visit, walk};
use super::{At, Check};
use crate::flow::{BindingId, Function, Module, RegionId, Rhs, ValueId};
use crate::shape::{Dim, ShapeCx, Sym};
use crate::types::{Type, bound_symbols, visit_dims};
use indexmap::IndexSet;

/// F7: a symbol in a type is bound before: by a parameter of the function, or by a `match_cast`, operator, call of a
/// function, `If` or `While` result earlier in program order. Bound means that it is a whole dimension, element or scalar
/// there.
pub(super) fn check_f7_symbols_bound(check: &mut Check<'_>) {
    let function = check.function;
    let bound = Bound::of(check.module, function);
    let mut symbols = Symbols { check, bound };
    function.params.iter().for_each(|it| symbols.value(At::Header, it.value));
    walk(function, &mut symbols);
}

/// The symbols that are bound at a point of a walk.
pub(super) struct Bound<'m> {
    shapes: &'m ShapeCx,
    function: &'m Function,
    /// In order of binding; those of a region are a suffix.
    symbols: IndexSet<Sym>,
    marks: Vec<usize>,
}

impl<'m> Bound<'m> {
    /// What the parameters bind.
    pub(super) fn of(module: &'m Module, function: &'m Function) -> Self {
        let mut bound =
            Bound { shapes: &module.shapes, function, symbols: IndexSet::new(), marks: Vec::new() };
        function.params.iter().for_each(|it| bound.bind(it.value));
        bound
    }

    pub(super) fn contains(&self, sym: Sym) -> bool {
        self.symbols.contains(&sym)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Sym> {
        self.symbols.iter().copied()
    }

    fn bind(&mut self, value: ValueId) {
        bound_symbols(self.shapes, &self.function.values[value].ty, &mut |sym| {
            self.symbols.insert(sym);
        });
    }

    pub(super) fn enter_region(&mut self, region: RegionId) {
        self.marks.push(self.symbols.len());
        self.function.regions[region].params.iter().for_each(|it| self.bind(*it));
    }

    pub(super) fn leave_region(&mut self) {
        self.symbols.truncate(self.marks.pop().unwrap_or(0));
    }

    /// After a binding: constructs whose results may be of unforeseen size bind their symbols.
    pub(super) fn after(&mut self, binding: BindingId) {
        let binding = &self.function.bindings[binding];
        if binding.rhs.may_bind() || matches!(binding.rhs, Rhs::MatchCast { .. }) {
            binding.results.iter().for_each(|it| self.bind(*it));
        }
    }
}

struct Symbols<'c, 'm> {
    check: &'c mut Check<'m>,
    bound: Bound<'m>,
}

impl Symbols<'_, '_> {
    fn dims(&mut self, at: At, dims: impl IntoIterator<Item = Dim>, of: &dyn Fn(&Check<'_>) -> String) {
        let shapes = &self.check.module.shapes;
        let mut missing: IndexSet<Sym> = IndexSet::new();
        for dim in dims {
            missing.extend(shapes.free_symbols(dim).into_iter().filter(|it| !self.bound.contains(*it)));
        }
        for sym in missing {
            let message =
                format!("symbol `{}` in {} is not bound before", shapes.display_sym(sym), of(self.check));
            self.check.report(at, "F007", message);
        }
    }

    fn ty(&mut self, at: At, ty: &Type, of: &dyn Fn(&Check<'_>) -> String) {
        let mut dims = Vec::new();
        visit_dims(ty, &mut |dim| dims.push(dim));
        self.dims(at, dims, of);
    }

    fn value(&mut self, at: At, value: ValueId) {
        let function = self.check.function;
        let of = |check: &Check<'_>| format!("the type of `{}`", check.name(value));
        self.ty(at, &function.values[value].ty, &of);
    }
}

impl Visit for Symbols<'_, '_> {
    fn enter_region(&mut self, region: RegionId) {
        self.bound.enter_region(region);
    }

    fn leave_region(&mut self, _region: RegionId) {
        self.bound.leave_region();
    }

    fn before(&mut self, binding: BindingId) {
        let function = self.check.function;
        match &function.bindings[binding].rhs {
            Rhs::Check { constraint, .. } => {
                self.dims(At::Binding(binding), constraint.dims(), &|_| "a check".to_owned());
            }
            Rhs::Call { sizes, .. } => {
                self.dims(At::Binding(binding), sizes.iter().copied(), &|_| "a size argument".to_owned());
            }
            _ => {}
        }
    }

    fn after(&mut self, id: BindingId) {
        self.bound.after(id);
        let function = self.check.function;
        function.bindings[id].results.iter().for_each(|it| self.value(At::Binding(id), *it));
    }
}
