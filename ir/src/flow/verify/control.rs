//! F11: branches and loops return what is declared.

use super::facts::Known;
use super::symbols::Bound;
use super::walk::{Visit, walk};
use super::{At, Check};
use crate::flow::{BindingId, RegionId, Rhs, ValueId};
use crate::shape::{Dim, ShapeCx, Sym};
use crate::text::type_text;
use crate::types::{DType, Type, implies, match_type, visit_dims};
use indexmap::{IndexMap, IndexSet};

/// F11: branches of an `If` and the body of a `While` return values that match the declared results; conditions are
/// booleans of one element.
pub(super) fn check_f11_region_results(check: &mut Check<'_>) {
    let function = check.function;
    let bound = Bound::of(check.module, function);
    let known = Known::of(check);
    walk(function, &mut Results { check, bound, known });
}

struct Results<'c, 'm> {
    check: &'c mut Check<'m>,
    bound: Bound<'m>,
    known: Known<'m>,
}

impl Visit for Results<'_, '_> {
    fn enter_region(&mut self, region: RegionId) {
        self.bound.enter_region(region);
        self.known.enter_region();
    }

    fn leave_region(&mut self, _region: RegionId) {
        self.bound.leave_region();
        self.known.leave_region();
    }

    fn after(&mut self, id: BindingId) {
        let check = &mut *self.check;
        if check.function.bindings[id].rhs.regions().is_empty() {
            self.known.establish(id);
            return self.bound.after(id);
        }
        if self.known.unreachable {
            return self.bound.after(id);
        }
        // Symbols that are bound before mean what they mean; the others are bound by the construct.
        let shapes = &mut self.known.shapes;
        let rigid: Open = self.bound.iter().map(|sym| (sym, shapes.sym_dim(sym))).collect();
        match &check.function.bindings[id].rhs {
            Rhs::If { cond, then_region, else_region } => {
                condition(check, At::Binding(id), *cond);
                returns_results(check, shapes, &rigid, id, *then_region);
                returns_results(check, shapes, &rigid, id, *else_region);
            }
            Rhs::While { init, cond, body } => {
                loop_types(check, shapes, &rigid, id, init, *cond, *body);
            }
            _ => {}
        }
        self.bound.after(id);
    }
}

type Open = IndexMap<Sym, Dim>;

fn ty<'m>(check: &Check<'m>, value: ValueId) -> &'m Type {
    &check.function.values[value].ty
}

fn condition(check: &mut Check<'_>, at: At, value: ValueId) {
    let shapes = &check.module.shapes;
    let fits = match ty(check, value).as_tensor() {
        Some(ty) if ty.dtype == DType::Bool => {
            ty.dims().is_none_or(|dims| dims.iter().all(|it| shapes.as_int(*it).is_none_or(|it| it == 1)))
        }
        _ => false,
    };
    if !fits {
        let (name, ty) = (check.name(value), type_text(shapes, ty(check, value)));
        check.report(at, "F011", format!("the condition `{name}` is `{ty}`, not a boolean of one element"));
    }
}

/// A branch returns what the binding declares; the declared symbols that are bound by it stand for what it returns.
fn returns_results(
    check: &mut Check<'_>,
    shapes: &mut ShapeCx,
    rigid: &Open,
    id: BindingId,
    region: RegionId,
) {
    let function = check.function;
    if !function.regions[region].params.is_empty() {
        check.report(At::Binding(id), "F011", "the branch of an `if` has parameters".to_owned());
    }
    let (declared, returned) = (&function.bindings[id].results, &function.regions[region].results);
    if declared.len() != returned.len() {
        let message = format!("the branch returns {} values for {} results", returned.len(), declared.len());
        return check.report(At::Return(region), "F011", message);
    }
    let mut open = rigid.clone();
    for (declared, returned) in declared.iter().zip(returned) {
        if implies(shapes, ty(check, *returned), ty(check, *declared)) {
            continue;
        }
        if !match_type(shapes, ty(check, *declared), ty(check, *returned), &mut open) {
            let (name, found) = (check.name(*returned), type_text(shapes, ty(check, *returned)));
            let message =
                format!("`{name}` is `{found}` but must be `{}`", type_text(shapes, ty(check, *declared)));
            check.report(At::Return(region), "F011", message);
        }
    }
}

fn loop_types(
    check: &mut Check<'_>,
    shapes: &mut ShapeCx,
    rigid: &Open,
    id: BindingId,
    init: &[ValueId],
    cond: RegionId,
    body: RegionId,
) {
    let function = check.function;
    let results = &function.bindings[id].results;
    for region in [cond, body] {
        let params = &function.regions[region].params;
        if params.len() != init.len() || params.len() != results.len() {
            let message = format!(
                "the loop starts with {} values, has {} results, and a region with {} parameters",
                init.len(),
                results.len(),
                params.len()
            );
            return check.report(At::Binding(id), "F011", message);
        }
    }
    match function.regions[cond].results[..] {
        [decision] => condition(check, At::Return(cond), decision),
        _ => check.report(At::Return(cond), "F011", "the condition of a loop returns one value".to_owned()),
    }
    let next = &function.regions[body].results;
    if next.len() != init.len() {
        let message = format!("the body returns {} values but the loop carries {}", next.len(), init.len());
        return check.report(At::Return(body), "F011", message);
    }
    // A symbol that the loop binds stands for one size on entry, one in each turn, and one at the end.
    let carried: Vec<&Type> = function.regions[body].params.iter().map(|it| ty(check, *it)).collect();
    let (mut start, mut turn, mut end) = (rigid.clone(), rigid.clone(), rigid.clone());
    for (i, carried) in carried.iter().enumerate() {
        let param = function.regions[cond].params[i];
        let name = |it: ValueId| (check.name(it), type_text(&check.module.shapes, ty(check, it)));
        let wanted = type_text(shapes, carried);
        let mut found = Vec::new();
        if ty(check, param) != *carried {
            let (name, found_ty) = name(param);
            found
                .push((At::Binding(id), format!("`{name}` is `{found_ty}` but the loop carries `{wanted}`")));
        }
        if !match_type(shapes, carried, ty(check, init[i]), &mut start) {
            let (name, found_ty) = name(init[i]);
            let message = format!("the loop starts with `{name}`: `{found_ty}` but carries `{wanted}`");
            found.push((At::Binding(id), message));
        }
        if !match_type(shapes, carried, ty(check, next[i]), &mut turn) {
            let (name, found_ty) = name(next[i]);
            let message = format!("the body returns `{name}`: `{found_ty}` but the loop carries `{wanted}`");
            found.push((At::Return(body), message));
        }
        if !match_type(shapes, ty(check, results[i]), carried, &mut end) {
            let (name, found_ty) = name(results[i]);
            let message = format!("the result `{name}` is `{found_ty}` but the loop carries `{wanted}`");
            found.push((At::Binding(id), message));
        }
        found.into_iter().for_each(|(at, message)| check.report(at, "F011", message));
    }
    // What holds behind the loop of a symbol that changes does not hold in it.
    let changes = |sym: Sym| turn.get(&sym).is_some_and(|it| shapes.as_sym(*it) != Some(sym));
    let mut behind: IndexSet<Sym> = IndexSet::new();
    for result in results {
        visit_dims(ty(check, *result), &mut |dim| behind.extend(shapes.free_symbols(dim)));
    }
    if let Some(sym) = behind.into_iter().find(|it| changes(*it)) {
        let message = format!(
            "`{}` changes from turn to turn, so a result cannot speak of it",
            shapes.display_sym(sym)
        );
        check.report(At::Binding(id), "F011", message);
    }
}
