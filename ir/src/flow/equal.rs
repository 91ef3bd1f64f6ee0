//! Equality of modules up to arena numbering and the names of values.

use super::text::constraint_texts;
use super::{Binding, Definition, Function, Module, RegionId, Rhs, ValueId};
use crate::kernel::kernel_text;
use crate::text::{constraint_text, dims_text, type_text};
use crate::types::{ConstId, TensorData, Type};
use indexmap::IndexMap;

/// Whether two modules are the same program, down to the order of bindings: they may differ in arena numbering, in
/// dead entries, in the names of values, and in the order in which shapes were interned.
pub fn same_structure(a: &Module, b: &Module) -> bool {
    difference(a, b).is_none()
}

/// The first difference that [`same_structure`] sees, in words.
pub fn difference(a: &Module, b: &Module) -> Option<String> {
    let mut compare = Compare { a, b, values: IndexMap::new() };
    compare.modules().err()
}

struct Compare<'m> {
    a: &'m Module,
    b: &'m Module,
    values: IndexMap<ValueId, ValueId>,
}

type Found = Result<(), String>;

fn same<T: PartialEq + std::fmt::Debug>(what: &str, a: T, b: T) -> Found {
    if a == b { Ok(()) } else { Err(format!("{what}: {a:?} and {b:?}")) }
}

fn constant(module: &Module, id: ConstId) -> (&str, &TensorData) {
    (module.constants.name(id), module.constants.data(id))
}

impl Compare<'_> {
    fn modules(&mut self) -> Found {
        let (a, b) = (self.a, self.b);
        same("module name", &a.name, &b.name)?;
        same("symbols and facts", constraint_texts(a), constraint_texts(b))?;
        let names = |it: &Module| it.definitions.keys().cloned().collect::<Vec<_>>();
        same("definitions", names(a), names(b))?;
        for (name, definition) in &a.definitions {
            let found = match (definition, &b.definitions[name]) {
                (Definition::Function(x), Definition::Function(y)) => self.functions(x, y),
                (Definition::Kernel(x), Definition::Kernel(y)) => {
                    same("kernel", kernel_text(name, x), kernel_text(name, y))
                }
                _ => Err("one is of another kind".to_owned()),
            };
            found.map_err(|it| format!("@{name}: {it}"))?;
        }
        Ok(())
    }

    fn types(&self, x: &Type, y: &Type) -> Found {
        same("type", type_text(&self.a.shapes, x), type_text(&self.b.shapes, y))
    }

    fn functions(&mut self, x: &Function, y: &Function) -> Found {
        self.values.clear();
        let names = |it: &Function| {
            let params = it.params.iter().map(|it| it.name.clone());
            (params.collect::<Vec<_>>(), it.outputs.clone(), it.effects, it.private)
        };
        same("parameters, outputs or effects", names(x), names(y))?;
        for (p, q) in x.params.iter().zip(&y.params) {
            let default = |id, module| Option::map(id, |id| constant(module, id));
            same("default", default(p.default, self.a), default(q.default, self.b))?;
            self.define(x, p.value, y, q.value)?;
        }
        self.regions(x, x.body, y, y.body)
    }

    fn define(&mut self, x: &Function, p: ValueId, y: &Function, q: ValueId) -> Found {
        self.types(&x.values[p].ty, &y.values[q].ty)?;
        same("scope", x.values[p].scope, y.values[q].scope)?;
        self.values.insert(p, q);
        Ok(())
    }

    fn uses(&self, p: &[ValueId], q: &[ValueId]) -> Found {
        let mapped: Vec<_> = p.iter().map(|it| self.values.get(it).copied()).collect();
        same("operands", mapped, q.iter().map(|it| Some(*it)).collect())
    }

    fn regions(&mut self, x: &Function, r: RegionId, y: &Function, s: RegionId) -> Found {
        let (r, s) = (&x.regions[r], &y.regions[s]);
        same("number of region parameters", r.params.len(), s.params.len())?;
        for (p, q) in r.params.iter().zip(&s.params) {
            self.define(x, *p, y, *q)?;
        }
        same("number of blocks", r.blocks.len(), s.blocks.len())?;
        for (c, d) in r.blocks.iter().zip(&s.blocks) {
            let (c, d) = (&x.blocks[*c], &y.blocks[*d]);
            same("kind of block", c.kind, d.kind)?;
            same("number of bindings", c.order.len(), d.order.len())?;
            for (e, f) in c.order.iter().zip(&d.order) {
                self.bindings(x, &x.bindings[*e], y, &y.bindings[*f])?;
            }
        }
        self.uses(&r.results, &s.results)
    }

    fn bindings(&mut self, x: &Function, e: &Binding, y: &Function, f: &Binding) -> Found {
        same("source", &e.source, &f.source)?;
        same("right-hand side", self.shallow(self.a, &e.rhs), self.shallow(self.b, &f.rhs))?;
        self.uses(&e.rhs.operands(), &f.rhs.operands())?;
        if let (Rhs::Constant(p), Rhs::Constant(q)) = (&e.rhs, &f.rhs) {
            same("constant", constant(self.a, *p), constant(self.b, *q))?;
        }
        for (r, s) in e.rhs.regions().into_iter().zip(f.rhs.regions()) {
            self.regions(x, r, y, s)?;
        }
        same("number of results", e.results.len(), f.results.len())?;
        for (p, q) in e.results.iter().zip(&f.results) {
            self.define(x, *p, y, *q)?;
        }
        Ok(())
    }

    /// A right-hand side without values, regions and handles.
    fn shallow(&self, module: &Module, rhs: &Rhs) -> (&'static str, String) {
        let shapes = &module.shapes;
        match rhs {
            Rhs::Op { op, attrs, .. } => ("op", format!("{op:?} {}", crate::text::attrs_text(attrs))),
            Rhs::Constant(_) => ("constant", String::new()),
            Rhs::Call { callee, sizes, .. } => ("call", format!("{callee} {}", dims_text(shapes, sizes))),
            Rhs::View { ty, .. } => ("view", type_text(shapes, ty)),
            Rhs::MatchCast { ty, .. } => ("match_cast", type_text(shapes, ty)),
            Rhs::Check { constraint, message } => {
                ("check", format!("{} {message}", constraint_text(shapes, constraint)))
            }
            Rhs::Tuple(_) => ("tuple", String::new()),
            Rhs::Get { index, .. } => ("get", index.to_string()),
            Rhs::If { .. } => ("if", String::new()),
            Rhs::While { .. } => ("while", String::new()),
        }
    }
}
