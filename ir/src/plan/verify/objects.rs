//! P16: steps on objects.

use super::super::text::buffer_text;
use super::{State, Verifier};
use crate::plan::{AxisBinding, BufferRef, InputKind, ObjectId, ObjectOp};
use crate::shape::Dim;
use crate::text::type_text;
use crate::types::Type;

/// Whether what one type says may be held by a place of another one; its dimensions, and what is known of the one type
/// alone, are checked when the plan runs.
pub(super) fn fits(from: &Type, to: &Type) -> bool {
    match (from, to) {
        (Type::Object, _) | (_, Type::Object) => true,
        (Type::Tensor(from), Type::Tensor(to)) => {
            let ranks = from.shape.rank().zip(to.shape.rank());
            from.dtype == to.dtype && ranks.is_none_or(|(from, to)| from == to)
        }
        (Type::Sequence(from), Type::Sequence(to)) | (Type::Optional(from), Type::Optional(to)) => {
            fits(from, to)
        }
        (Type::Map(k, v), Type::Map(l, w)) => fits(k, l) && fits(v, w),
        // A value is an optional that has it; what an optional has is its value.
        (Type::Optional(from), to) => fits(from, to),
        (from, Type::Optional(to)) => fits(from, to),
        (from, to) => std::mem::discriminant(from) == std::mem::discriminant(to),
    }
}

impl Verifier<'_> {
    /// Object inputs are in their places.
    pub(super) fn object_inputs(&mut self, state: &mut State) {
        for input in &self.plan.inputs {
            let InputKind::Object(id) = input.kind else { continue };
            let ty = self.plan.objects.get(id.0 as usize).map(|it| &it.ty);
            if ty.is_none_or(|it| matches!(it, Type::Tensor(_))) {
                let message = format!("P16: input `{}` is no object, or a tensor, in its place", input.name);
                self.report("P016", message);
            }
            state.valid.insert(BufferRef::Object(id), None);
        }
    }

    /// The type of a place that holds something.
    fn held(&mut self, id: ObjectId, state: &State) -> Option<&Type> {
        let name = buffer_text(BufferRef::Object(id));
        let Some(object) = self.plan.objects.get(id.0 as usize) else {
            self.report("P002", format!("P2: {name} is used but there is no such object"));
            return None;
        };
        if !state.valid.contains(&BufferRef::Object(id)) {
            self.report("P002", format!("P2: {name} is read before something is put there"));
            return None;
        }
        Some(&object.ty)
    }

    /// P8, P16: what is in a place may be held as `wanted`.
    pub(super) fn object_fits(&mut self, id: ObjectId, wanted: Option<&Type>, what: &str, state: &State) {
        let Some(found) = self.held(id, state).cloned() else { return };
        if wanted.is_none_or(|it| !fits(&found, it)) {
            let (name, found) = (buffer_text(BufferRef::Object(id)), type_text(&self.plan.shapes, &found));
            self.report("P016", format!("P16: {name}, a {found}, is none for {what}"));
        }
    }

    /// The type of the elements of a sequence, or of the one at a position of a map.
    fn element_type(&mut self, id: ObjectId, at: Option<Dim>, state: &State) -> Option<Type> {
        let found = self.held(id, state)?.clone();
        match (found, at.and_then(|it| self.plan.shapes.as_int(it))) {
            (Type::Sequence(item), _) => Some(*item),
            (Type::Map(keys, _), Some(0)) => Some(*keys),
            (Type::Map(_, values), Some(1)) => Some(*values),
            (Type::Object, _) => Some(Type::Object),
            (other, _) => {
                let (name, found) =
                    (buffer_text(BufferRef::Object(id)), type_text(&self.plan.shapes, &other));
                self.report("P016", format!("P16: {name}, a {found}, is no sequence"));
                None
            }
        }
    }

    pub(super) fn object(&mut self, op: &ObjectOp, state: &mut State) {
        let plan = self.plan;
        op.sizes().into_iter().for_each(|it| self.check_p1_bound(state, it));
        let ty = |id: ObjectId| plan.objects.get(id.0 as usize).map(|it| &it.ty);
        let wanted = |id: ObjectId| format!("place {}", buffer_text(BufferRef::Object(id)));
        match op {
            ObjectOp::Tensor(to) => {
                if plan.objects.get(to.0 as usize).is_none_or(|it| it.dims().is_none()) {
                    let name = buffer_text(BufferRef::Object(*to));
                    self.report("P016", format!("P16: {name} is no place for a tensor of known dimensions"));
                }
            }
            ObjectOp::Sequence { to, items } => {
                let elements: Option<Vec<&Type>> = match ty(*to) {
                    Some(Type::Sequence(item)) => Some(vec![&**item; items.len()]),
                    Some(Type::Map(keys, values)) if items.len() == 2 => Some(vec![&**keys, &**values]),
                    Some(object @ Type::Object) => Some(vec![object; items.len()]),
                    _ => None,
                };
                if elements.is_none() {
                    self.report("P016", format!("P16: {} holds no sequence of {}", wanted(*to), items.len()));
                }
                for (item, element) in items.iter().zip(elements.into_iter().flatten()) {
                    self.object_fits(*item, Some(element), "an element", state);
                }
            }
            ObjectOp::Length { of, .. } => {
                self.element_type(*of, None, state);
            }
            ObjectOp::Item { to, of, at, .. } => {
                let element = self.element_type(*of, Some(*at), state);
                if element.is_some_and(|it| ty(*to).is_none_or(|to| !fits(&it, to))) {
                    let message = format!("P16: an element of {} is none for {}", wanted(*of), wanted(*to));
                    self.report("P016", message);
                }
            }
            ObjectOp::Insert { to, of, item, .. } => {
                let element = self.element_type(*of, None, state);
                self.object_fits(*item, element.as_ref(), "an element", state);
                self.object_fits(*of, ty(*to), &wanted(*to), state);
            }
            ObjectOp::Erase { to, of, .. } => {
                self.element_type(*of, None, state);
                self.object_fits(*of, ty(*to), &wanted(*to), state);
            }
            ObjectOp::None { to } => {
                if !ty(*to).is_some_and(|it| matches!(it, Type::Optional(_) | Type::Object)) {
                    self.report("P016", format!("P16: {} holds no optional", wanted(*to)));
                }
            }
            ObjectOp::IsSome { of, .. } => {
                let found = self.held(*of, state);
                if found.is_some_and(|it| !matches!(it, Type::Optional(_) | Type::Object)) {
                    self.report("P016", format!("P16: {} holds no optional", wanted(*of)));
                }
            }
            ObjectOp::Rank { of, .. } => {
                let tensor = |it: &Type| match it {
                    Type::Optional(content) => content.as_tensor().is_some() || **content == Type::Object,
                    other => *other == Type::Object,
                };
                let found = self.held(*of, state);
                if found.is_some_and(|it| !tensor(it)) {
                    self.report("P016", format!("P16: {} holds no tensor that may be there", wanted(*of)));
                }
            }
            ObjectOp::Share { to, from, .. } => self.object_fits(*from, ty(*to), &wanted(*to), state),
            ObjectOp::Drop(id) => {
                state.valid.remove(&BufferRef::Object(*id));
                state.fresh.shift_remove(id);
            }
        }
        // What others hold is not written any more.
        op.operands().iter().for_each(|it| {
            state.fresh.shift_remove(it);
        });
        if let ObjectOp::Item { to, bindings, .. } | ObjectOp::Share { to, bindings, .. } = op {
            self.check_p16_bindings(*to, bindings);
        }
        for symbol in op.defines() {
            self.redefine(symbol, state);
            state.established.define(&self.sizes.shapes, &self.sizes.samples, symbol, None);
            state.bound.insert(symbol);
        }
        let Some(to) = op.result() else { return };
        let dims = plan.objects.get(to.0 as usize).and_then(|it| it.dims()).unwrap_or_default();
        dims.iter().for_each(|it| self.check_p1_bound(state, *it));
        if let ObjectOp::Tensor(_) = op {
            state.valid.remove(&BufferRef::Object(to));
            state.fresh.insert(to);
        } else {
            state.fresh.shift_remove(&to);
            state.valid.insert(BufferRef::Object(to), None);
        }
    }

    /// P16: symbols are whole dimensions of what is put there.
    fn check_p16_bindings(&mut self, to: ObjectId, bindings: &[AxisBinding]) {
        for it in bindings {
            let dims = self.plan.objects.get(to.0 as usize).and_then(|object| object.dims());
            let dim = dims.and_then(|dims| dims.get(it.axis as usize));
            if dim.and_then(|dim| self.plan.shapes.as_sym(*dim)) != Some(it.symbol) {
                let (name, place) = (self.plan.shapes.name(it.symbol), buffer_text(BufferRef::Object(to)));
                self.report("P016", format!("P16: dimension {} of {place} is not `{name}`", it.axis));
            }
        }
    }
}
