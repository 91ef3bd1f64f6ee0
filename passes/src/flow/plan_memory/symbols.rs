//! Symbols: what binds them at run time, and the checks between them.
//!
//! A symbol is bound where its value is first known: by an input dimension on entry, by a `match_cast`, by the branch
//! of an `If` that runs, by the initial values of a `While`, and again at the end of each of its turns where carried
//! sizes change. What cannot be bound is refused where it is needed.

use super::Lowering;
use super::values::{Storage, known_dims, overflow};
use indexmap::map::Entry;
use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::Diagnostic;
use orogen_ir::flow::ValueId;
use orogen_ir::plan::{ShapeCheck, Step};
use orogen_ir::shape::{Constraint, Dim, Sym, SymbolKind};
use orogen_ir::types::{Type, implies};

/// A dimension or element that is known, and what it is called in a type.
struct Pair {
    from: Dim,
    to: Dim,
    what: String,
}

impl Lowering<'_> {
    /// Refuses a size that is not known at this point of the plan.
    pub(super) fn require_bound(&self, dim: Dim) -> Result<(), Diagnostic> {
        let free = self.plan.shapes.free_symbols(dim);
        match free.into_iter().find(|it| !self.bound.contains(it)) {
            None => Ok(()),
            Some(symbol) => Err(self.unbound(symbol)),
        }
    }

    pub(super) fn unbound(&self, symbol: Sym) -> Diagnostic {
        let name = self.plan.shapes.name(symbol);
        Diagnostic::error("M008", format!("a size depends on `{name}`, which is not known here"))
            .help("assert the size before: bind it with a match_cast")
    }

    /// A check over input dimensions alone runs on entry, before the first kernel.
    pub(super) fn check(
        &mut self,
        constraint: Constraint,
        message: String,
        steps: &mut Vec<Step>,
    ) -> Result<(), Diagnostic> {
        let on_entry = self.open.first().is_some_and(|entry| {
            constraint
                .dims()
                .flat_map(|dim| self.plan.shapes.free_symbols(dim))
                .all(|symbol| self.bound_in(entry, symbol))
        });
        let check = ShapeCheck { constraint, message, source: self.source.clone() };
        // Inside a branch or loop the check belongs to that path alone.
        if on_entry && self.depth == 0 {
            let known = self.checked.entry((check.constraint, check.message.clone()));
            match known {
                Entry::Occupied(at) => self.plan.checks[*at.get()].source.add(&check.source),
                Entry::Vacant(place) => {
                    place.insert(self.plan.checks.len());
                    self.plan.checks.push(check);
                }
            }
            return Ok(());
        }
        self.emit(steps, Step::Check(check))
    }

    pub(super) fn match_cast(
        &mut self,
        value: ValueId,
        ty: &Type,
        result: ValueId,
        steps: &mut Vec<Step>,
    ) -> Result<(), Diagnostic> {
        let storage = self.storage_of(value)?;
        self.storage.insert(result, storage.clone());
        if self.is_object(value) && !implies(&self.plan.shapes, &self.function[value].ty, ty) {
            let message = "match_cast of an object to a type that says more of what it holds";
            return Err(Diagnostic::error("M027", message).help("cast the items when they are taken out"));
        }
        let (Type::Tensor(wanted), Storage::Buffer(buffer)) = (ty, storage) else { return Ok(()) };
        let have = self.tensor(value)?;
        let (Some(have_dims), Some(wanted_dims)) = (have.dims(), wanted.dims()) else {
            return Err(Diagnostic::error("M006", "match_cast of a value whose dimensions are not known"));
        };
        let dims = have_dims.iter().zip(wanted_dims).enumerate();
        let pairs = dims.map(|(i, (from, to))| Pair { from: *from, to: *to, what: format!("dimension {i}") });
        self.bind_pairs(pairs.collect(), steps)?;
        let Some(elements) = &wanted.elements else { return Ok(()) };
        let mut read = Vec::new();
        for (i, element) in elements.iter().enumerate() {
            if have.elements.as_ref().is_some_and(|it| it[i] == *element) {
                continue;
            }
            let fresh = self.plan.shapes.as_sym(*element).filter(|it| !self.bound.contains(it));
            let symbol = fresh.unwrap_or_else(|| {
                let temporary = self.plan.shapes.fresh_integer("element");
                self.plan.shapes.as_sym(temporary).expect("a fresh symbol is a symbol")
            });
            self.touch(buffer);
            self.bound.insert(symbol);
            self.emit(
                steps,
                Step::Bind {
                    symbol,
                    from: buffer,
                    dtype: have.dtype,
                    element: i as u64,
                    source: self.source.clone(),
                },
            )?;
            read.push((i, *element, symbol, fresh.is_some()));
        }
        // An element may be an expression over symbols that a later one binds.
        for (i, element, symbol, fresh) in read {
            let bound = self.plan.shapes.sym_dim(symbol);
            if !fresh {
                let message = format!("element {i} must be as asserted");
                self.check(Constraint::Eq(bound, element), message, steps)?;
            } else if self.plan.shapes.kind(symbol) == SymbolKind::Size {
                let message = format!("element {i} of a shape must not be negative");
                self.check(Constraint::AtLeast(bound, 0), message, steps)?;
            }
        }
        Ok(())
    }

    /// Binds the symbols of the types of the second values that are not bound yet to what stands in the types of the
    /// first; what else differs is checked. This is how values that come over different ways get one type.
    pub(super) fn bind_types(
        &mut self,
        values: impl IntoIterator<Item = (ValueId, ValueId)>,
        of: &str,
        steps: &mut Vec<Step>,
    ) -> Result<(), Diagnostic> {
        self.bind_types_as(values, &IndexMap::new(), of, steps)
    }

    /// The same, with other symbols in the place of some of those of the second values.
    pub(super) fn bind_types_as(
        &mut self,
        values: impl IntoIterator<Item = (ValueId, ValueId)>,
        other: &IndexMap<Sym, Dim>,
        of: &str,
        steps: &mut Vec<Step>,
    ) -> Result<(), Diagnostic> {
        let mut pairs = Vec::new();
        for (from, to) in values {
            // What objects hold binds no symbol.
            if self.is_object(to) {
                continue;
            }
            let (from, to) = (self.tensor(from)?, self.tensor(to)?);
            let (from_dims, to_dims) = (known_dims(from)?, known_dims(to)?);
            let (from_elements, to_elements) =
                (from.elements.as_deref().unwrap_or_default(), to.elements.as_deref().unwrap_or_default());
            let elements = to_elements.is_empty() || from_elements.len() == to_elements.len();
            if from_dims.len() != to_dims.len() || !elements {
                return Err(Diagnostic::error("M007", format!("the types of {of} do not agree (law F11)")));
            }
            let dims = from_dims.iter().zip(&to_dims).enumerate();
            pairs.extend(dims.map(|(i, (from, to))| Pair {
                from: *from,
                to: *to,
                what: format!("dimension {i} of {of}"),
            }));
            let elements = from_elements.iter().zip(to_elements).enumerate();
            pairs.extend(elements.map(|(i, (from, to))| Pair {
                from: *from,
                to: *to,
                what: format!("element {i} of {of}"),
            }));
        }
        for pair in &mut pairs {
            pair.to = self.plan.shapes.substitute(pair.to, other).map_err(overflow)?;
        }
        self.bind_pairs(pairs, steps)
    }

    /// First all symbols, then all checks: a dimension may be an expression over a symbol that a later one binds.
    fn bind_pairs(&mut self, pairs: Vec<Pair>, steps: &mut Vec<Step>) -> Result<(), Diagnostic> {
        let mut checked = Vec::new();
        for pair in pairs {
            if pair.from == pair.to {
                continue;
            }
            match self.plan.shapes.as_sym(pair.to) {
                Some(symbol) if !self.bound.contains(&symbol) => {
                    self.emit(steps, Step::Let { symbol, value: pair.from, source: self.source.clone() })?;
                    self.bound.insert(symbol);
                }
                _ => checked.push(pair),
            }
        }
        checked.into_iter().try_for_each(|Pair { from, to, what }| {
            self.check(Constraint::Eq(from, to), format!("{what} must be as asserted"), steps)
        })
    }

    /// Symbols in the types of `values` that are not bound here.
    pub(super) fn unbound_in(&self, values: &[ValueId]) -> Result<IndexSet<Sym>, Diagnostic> {
        let mut unbound = IndexSet::new();
        for value in values.iter().filter(|it| !self.is_object(**it)) {
            let ty = self.tensor(*value)?;
            let dims = known_dims(ty)?;
            let elements = ty.elements.as_deref().unwrap_or_default();
            for dim in dims.iter().chain(elements) {
                let free = self.plan.shapes.free_symbols(*dim);
                unbound.extend(free.into_iter().filter(|it| !self.bound.contains(it)));
            }
        }
        Ok(unbound)
    }
}
