//! F6 and F9: recorded types follow from right-hand sides; calls match their callees.

use super::facts::{Known, operand_symbols};
use super::symbols::Bound;
use super::walk::{Visit, walk};
use super::{At, Check};
use crate::diag::Diagnostic;
use crate::flow::infer::{InferEnv, calls_function, infer};
use crate::flow::{BindingId, Definition, RegionId, Rhs};
use crate::shape::{Dim, Overflow, ShapeCx, Sym};
use crate::text::{constraint_text, type_text};
use crate::types::{Type, implies, map_dims, match_type, pair_dims};
use indexmap::{IndexMap, IndexSet};

/// F6: the recorded type of a result follows from its right-hand side: it equals the inferred type or is implied by
/// it. What inference requires is known or checked before. A size that inference leaves open is recorded as a symbol of
/// its own, bound by that result.
pub(super) fn check_f6_types_follow(check: &mut Check<'_>) {
    let definitions = &check.module.definitions;
    run(check, "F006", &|rhs| !calls_kernel(definitions, rhs));
}

/// F9: a call of a kernel matches it: operand count, buffer types and size arguments.
pub(super) fn check_f9_kernel_calls(check: &mut Check<'_>) {
    let definitions = &check.module.definitions;
    run(check, "F009", &|rhs| calls_kernel(definitions, rhs));
}

fn calls_kernel(definitions: &IndexMap<String, Definition>, rhs: &Rhs) -> bool {
    matches!(rhs, Rhs::Call { .. }) && !calls_function(definitions, rhs)
}

fn run(check: &mut Check<'_>, law: &'static str, wanted: &dyn Fn(&Rhs) -> bool) {
    let function = check.function;
    if function.live_bindings().iter().any(|it| wanted(&function.bindings[*it].rhs)) {
        let (known, bound) = (Known::of(check), Bound::of(check.module, function));
        walk(function, &mut Follow { check, law, wanted, known, bound });
    }
}

struct Follow<'c, 'm> {
    check: &'c mut Check<'m>,
    law: &'static str,
    wanted: &'c dyn Fn(&Rhs) -> bool,
    known: Known<'m>,
    bound: Bound<'m>,
}

impl Visit for Follow<'_, '_> {
    fn enter_region(&mut self, region: RegionId) {
        self.known.enter_region();
        self.bound.enter_region(region);
    }

    fn leave_region(&mut self, _region: RegionId) {
        self.known.leave_region();
        self.bound.leave_region();
    }

    fn before(&mut self, binding: BindingId) {
        if !self.known.unreachable && (self.wanted)(&self.check.function.bindings[binding].rhs) {
            self.compare(binding);
        }
        self.known.establish(binding);
    }

    fn after(&mut self, binding: BindingId) {
        self.bound.after(binding);
    }
}

impl Follow<'_, '_> {
    fn compare(&mut self, id: BindingId) {
        let function = self.check.function;
        let binding = &function.bindings[id];
        let env = InferEnv {
            ops: self.check.ops,
            constants: &self.check.module.constants,
            signatures: &self.check.module.definitions,
        };
        let type_of = |value: crate::flow::ValueId| function.values[value].ty.clone();
        let inferred = match infer(env, &mut self.known.shapes, &binding.rhs, &type_of) {
            Ok(Some(inferred)) => inferred,
            Ok(None) => return,
            Err(Diagnostic { message, notes, help, code, .. }) => {
                let mut diagnostic =
                    Diagnostic::error(self.law, message).note(format!("inference reports {code}"));
                diagnostic.notes.extend(notes);
                diagnostic.help = help;
                return self.check.found.push((At::Binding(id), diagnostic));
            }
        };
        for requirement in &inferred.requirements {
            if !self.known.shapes.prove(requirement.constraint).is_always() {
                let fact = constraint_text(&self.known.shapes, &requirement.constraint);
                let message = format!("{}: nothing before establishes `{fact}`", requirement.message);
                let diagnostic =
                    Diagnostic::error(self.law, message).help(format!("write `check {fact}, …` before"));
                self.check.found.push((At::Binding(id), diagnostic));
            }
        }
        if inferred.results.len() != binding.results.len() {
            let (n, m) = (inferred.results.len(), binding.results.len());
            return self.check.report(
                At::Binding(id),
                self.law,
                format!("{m} results are recorded but there are {n}"),
            );
        }
        // Symbols that an operator or a callee leaves open stand for any dimension, the same one in all results.
        let mut open = operand_symbols(&mut self.known.shapes, function, binding);
        let given = open.len();
        let opens = !calls_kernel(&self.check.module.definitions, &binding.rhs) && binding.rhs.may_bind();
        for (value, ty) in binding.results.iter().zip(&inferred.results) {
            let recorded = &function.values[*value].ty;
            let follows = implies(&self.known.shapes, ty, recorded)
                || implies_simplified(&mut self.known.shapes, ty, recorded)
                || opens && match_type(&mut self.known.shapes, ty, recorded, &mut open);
            if !follows {
                let (recorded, ty) =
                    (type_text(&self.known.shapes, recorded), type_text(&self.known.shapes, ty));
                let name = self.check.name(*value);
                let message = format!("`{name}` is recorded as `{recorded}` but is `{ty}`");
                self.check.report(At::Binding(id), self.law, message);
            }
        }
        if matches!(binding.rhs, Rhs::Op { .. }) {
            self.own_symbols(id, open.into_iter().skip(given).map(|(_, dim)| dim));
        }
    }

    /// What stands for sizes that an operator leaves open: anything but new symbols would be a claim about data.
    fn own_symbols(&mut self, id: BindingId, dims: impl Iterator<Item = Dim>) {
        let shapes = &self.known.shapes;
        let mut own: IndexSet<Sym> = IndexSet::new();
        for dim in dims {
            let new = shapes.as_sym(dim).is_some_and(|it| !self.bound.contains(it) && own.insert(it));
            if !new {
                let dim = shapes.display(dim);
                let message = format!("`{dim}` is recorded for a size that only data decide");
                let help = "record a symbol that nothing binds before";
                self.check.found.push((At::Binding(id), Diagnostic::error(self.law, message).help(help)));
            }
        }
    }
}

/// As [`implies`], once the facts known here simplified both: inference knew less when the type was recorded.
fn implies_simplified(shapes: &mut ShapeCx, from: &Type, to: &Type) -> bool {
    let mut pairs = Vec::new();
    if !pair_dims(from, to, &mut pairs) {
        return false;
    }
    // A broadcast that is decided by now.
    pairs.retain(|(now, recorded)| shapes.decides_broadcast(*now, *recorded));
    let decided: IndexMap<Dim, Dim> = pairs.into_iter().map(|(now, recorded)| (recorded, now)).collect();
    let known = &mut |dim: Dim| Ok::<Dim, Overflow>(decided.get(&dim).copied().unwrap_or(dim));
    let Ok(to) = map_dims(to, known) else { return false };
    if implies(shapes, from, &to) {
        return true;
    }
    let mut simple = |ty: &Type| map_dims(ty, &mut |dim| Ok::<Dim, Overflow>(shapes.simplify(dim)));
    let (Ok(from), Ok(to)) = (simple(from), simple(&to)) else { return false };
    implies(shapes, &from, &to)
}

/// F14: defaults of parameters are constants of their type, and come last.
pub(super) fn check_f14_defaults(check: &mut Check<'_>) {
    let (module, function) = (check.module, check.function);
    let mut optional = false;
    for param in &function.params {
        let name = &param.name;
        let Some(default) = param.default else {
            if optional {
                let message = format!("parameter `{name}` has no default but comes after one that has");
                check.report(At::Header, "F014", message);
            }
            continue;
        };
        optional = true;
        let fits = module.constants.contains(default)
            && function[param.value].ty.as_tensor().is_some_and(|ty| {
                let data = module.constants.data(default);
                let same = |(dim, size): (&Dim, &u64)| match module.shapes.as_int(*dim) {
                    Some(dim) => u64::try_from(dim) == Ok(*size),
                    None => true,
                };
                let dims = |it: &[Dim]| it.len() == data.dims().len() && it.iter().zip(data.dims()).all(same);
                ty.dtype == data.dtype() && ty.elements.is_none() && ty.dims().is_some_and(dims)
            });
        if !fits {
            let message = format!("the default of parameter `{name}` is no constant of its type");
            check.report(At::Header, "F014", message);
        }
    }
}
