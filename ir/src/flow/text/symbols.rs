//! Which symbols and facts a printed module declares.

use crate::flow::{Definition, Function, Module, RegionId, Rhs};
use crate::shape::{Constraint, Dim, ShapeCx, Sym, SymbolKind};
use crate::text::exists;
use crate::types::{FunctionType, Type, visit_dims};
use indexmap::IndexSet;

/// Declarations, in an order that depends on names alone.
pub(super) struct Declarations {
    /// `n`, `k: integer`.
    pub(super) symbols: Vec<String>,
    /// Facts in the order in which they were assumed.
    pub(super) facts: Vec<Constraint>,
}

impl Declarations {
    /// The symbols that the module mentions, and all facts that speak of them or of symbols in such facts.
    pub(super) fn of(module: &Module) -> Self {
        let shapes = &module.shapes;
        let mut used = Used { shapes, symbols: IndexSet::new() };
        for definition in module.definitions.values() {
            match definition {
                Definition::Function(it) => used.function(it),
                // A kernel has symbols of its own.
                Definition::Kernel(_) => {}
            }
        }
        let mut chosen: IndexSet<Constraint> = IndexSet::new();
        loop {
            let before = chosen.len();
            for fact in shapes.facts() {
                let symbols = constraint_symbols(shapes, fact);
                if symbols.iter().any(|it| used.symbols.contains(it)) {
                    chosen.insert(*fact);
                    used.symbols.extend(symbols);
                }
            }
            if chosen.len() == before {
                break;
            }
        }
        let mut symbols: Vec<Sym> = used.symbols.into_iter().collect();
        symbols.sort_by(|a, b| shapes.name(*a).cmp(shapes.name(*b)));
        let declare = |sym: Sym| match shapes.kind(sym) {
            SymbolKind::Integer => format!("{}: integer", shapes.display_sym(sym)),
            _ => shapes.display_sym(sym),
        };
        Declarations {
            symbols: symbols.into_iter().map(declare).collect(),
            facts: shapes.facts().copied().filter(|it| chosen.contains(it)).collect(),
        }
    }
}

/// Declared symbols and facts as text.
pub(crate) fn constraint_texts(module: &Module) -> (Vec<String>, Vec<String>) {
    let Declarations { symbols, facts } = Declarations::of(module);
    (symbols, facts.iter().map(|it| crate::text::constraint_text(&module.shapes, it)).collect())
}

fn constraint_symbols(shapes: &ShapeCx, constraint: &Constraint) -> Vec<Sym> {
    constraint.dims().flat_map(|it| shapes.free_symbols(it)).collect()
}

struct Used<'m> {
    shapes: &'m ShapeCx,
    symbols: IndexSet<Sym>,
}

impl Used<'_> {
    fn dim(&mut self, dim: Dim) {
        self.symbols.extend(self.shapes.free_symbols(dim));
    }

    fn ty(&mut self, ty: &Type) {
        match ty {
            Type::Function(it) => self.function_type(it),
            Type::Tuple(items) => items.iter().for_each(|it| self.ty(it)),
            Type::Sequence(it) | Type::Optional(it) | Type::State(it) => self.ty(it),
            Type::Map(key, value) => {
                self.ty(key);
                self.ty(value);
            }
            _ => visit_dims(ty, &mut |dim| self.dim(dim)),
        }
    }

    fn function_type(&mut self, ty: &FunctionType) {
        ty.params.iter().chain(&ty.results).for_each(|it| self.ty(it));
    }

    fn function(&mut self, function: &Function) {
        let mut stack = vec![function.body];
        let mut seen: IndexSet<RegionId> = IndexSet::new();
        let value = |it| exists(&function.values, it).map(|it| &it.ty);
        function.params.iter().filter_map(|it| value(it.value)).for_each(|it| self.ty(it));
        while let Some(id) = stack.pop() {
            let Some(region) = exists(&function.regions, id).filter(|_| seen.insert(id)) else { continue };
            let ends = region.params.iter().chain(&region.results);
            ends.filter_map(|it| value(*it)).for_each(|it| self.ty(it));
            let blocks = region.blocks.iter().filter_map(|it| exists(&function.blocks, *it));
            for binding in blocks.flat_map(|it| &it.order).filter_map(|it| exists(&function.bindings, *it)) {
                binding.results.iter().filter_map(|it| value(*it)).for_each(|it| self.ty(it));
                match &binding.rhs {
                    Rhs::MatchCast { ty, .. } | Rhs::View { ty, .. } => self.ty(ty),
                    Rhs::Check { constraint, .. } => {
                        constraint.dims().for_each(|it| self.dim(it));
                    }
                    Rhs::Call { sizes, .. } => sizes.iter().for_each(|it| self.dim(*it)),
                    _ => {}
                }
                stack.extend(binding.rhs.regions());
            }
        }
    }
}
