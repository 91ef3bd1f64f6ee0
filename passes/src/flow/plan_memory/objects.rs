//! Sequences, maps, optionals and what else is held by reference: operators on them are steps of the plan.
//!
//! A value of such a type has a place for an object, which values that are never in use at once share (`in_place`): a
//! sequence that a loop appends to stays in one place, so that it is changed there while nobody else holds it. An item
//! is a reference to a tensor of its own; what is only computed to become one is made there.

use super::Lowering;
use super::values::{Storage, known_dims};
use crate::rules::moves::{Move, Place, in_turn};
use indexmap::IndexSet;
use orogen_ir::diag::Diagnostic;
use orogen_ir::flow::{BindingId, Definition, Function, Module, Rhs, ValueDef, ValueId};
use orogen_ir::ops::{OpRegistry, StructureOp};
use orogen_ir::plan::{AxisBinding, BufferRef, Object, ObjectId, ObjectOp, Step};
use orogen_ir::shape::{Constraint, Dim, ShapeCx, Sym, SymbolKind};
use orogen_ir::types::{Type, forget_items, join_items};

/// Results of kernels that become items as they are.
pub(super) fn made_as_items(ops: &OpRegistry, module: &Module, function: &Function) -> IndexSet<ValueId> {
    let kernel = |value: &ValueId| match function[*value].def {
        ValueDef::Result(binding, _) => match &function[binding].rhs {
            Rhs::Call { callee, .. } => {
                matches!(module.definitions().get(callee), Some(Definition::Kernel(_)))
            }
            _ => false,
        },
        _ => false,
    };
    let mut found = IndexSet::new();
    for id in function.live_bindings() {
        let Rhs::Op { op, args, .. } = &function[id].rhs else { continue };
        let items = match StructureOp::of(ops.def(*op)) {
            Some(StructureOp::Construct | StructureOp::Map | StructureOp::Some) => &args[..],
            Some(StructureOp::Insert) => args.get(1..2).unwrap_or_default(),
            _ => &[],
        };
        found.extend(items.iter().filter(|it| kernel(it)).copied());
    }
    found
}

/// The type of a place: what is known of items at compile time alone.
pub(super) fn place_type(shapes: &ShapeCx, ty: &Type) -> Type {
    forget_items(shapes, ty, &is_number)
}

fn is_number(shapes: &ShapeCx, dim: Dim) -> bool {
    shapes.as_int(dim).is_some()
}

impl Lowering<'_> {
    pub(super) fn is_object(&self, value: ValueId) -> bool {
        self.function[value].ty.is_object()
    }

    /// A place for an object.
    pub(super) fn new_object(&mut self, ty: Type) -> ObjectId {
        self.plan.objects.push(Object { ty });
        ObjectId(self.plan.objects.len() as u32 - 1)
    }

    /// The place where a value is put.
    pub(super) fn object_place(&mut self, value: ValueId) -> ObjectId {
        let ty = place_type(&self.plan.shapes, &self.function[value].ty);
        let place = self.places.place(self.function, value);
        let id = match place.and_then(|it| self.object_homes.get(&it).copied()) {
            Some(id) => {
                let shared = &mut self.plan.objects[id.0 as usize].ty;
                let joined = join_items(&self.plan.shapes, shared, &ty, &is_number);
                *shared = joined.unwrap_or(Type::Object);
                id
            }
            None => {
                let id = self.new_object(ty);
                self.object_homes.extend(place.map(|it| (it, id)));
                id
            }
        };
        self.storage.insert(value, Storage::Object(id));
        id
    }

    /// The place where a value is.
    pub(super) fn object_of(&self, value: ValueId) -> Result<ObjectId, Diagnostic> {
        match self.storage_of(value)? {
            Storage::Object(id) => Ok(id),
            _ => Err(Diagnostic::error("M025", "a tensor or a tuple is used where an object is needed")),
        }
    }

    /// A place that holds a value as an item.
    fn item(&mut self, value: ValueId, steps: &mut Vec<Step>) -> Result<ObjectId, Diagnostic> {
        let from = match self.storage_of(value)? {
            Storage::Object(id) => return Ok(id),
            _ => self.buffer_of(value)?,
        };
        let ty = self.tensor(value)?;
        let dims = known_dims(ty)?;
        if let BufferRef::Object(id) = from
            && self.plan.objects[id.0 as usize].dims() == Some(&dims[..])
        {
            return Ok(id);
        }
        let id = self.new_tensor(Type::tensor(ty.dtype, dims), steps)?;
        self.copy(value, BufferRef::Object(id), steps)?;
        Ok(id)
    }

    /// A new tensor, to be written.
    fn new_tensor(&mut self, ty: Type, steps: &mut Vec<Step>) -> Result<ObjectId, Diagnostic> {
        let dims = ty.as_tensor().and_then(|it| it.dims()).unwrap_or_default();
        dims.iter().try_for_each(|it| self.require_bound(*it))?;
        let id = self.new_object(ty);
        self.object_step(ObjectOp::Tensor(id), steps)?;
        Ok(id)
    }

    /// A tensor for a value that becomes an item; `None` for any other value.
    pub(super) fn buffer_as_item(
        &mut self,
        value: ValueId,
        steps: &mut Vec<Step>,
    ) -> Result<Option<BufferRef>, Diagnostic> {
        if !self.items.contains(&value) {
            return Ok(None);
        }
        let ty = self.tensor(value)?;
        let ty = Type::tensor(ty.dtype, known_dims(ty)?);
        self.new_tensor(ty, steps).map(|it| Some(BufferRef::Object(it)))
    }

    pub(super) fn object_step(&mut self, op: ObjectOp, steps: &mut Vec<Step>) -> Result<(), Diagnostic> {
        let source = self.source.clone();
        self.emit(steps, Step::Object { op, source })
    }

    /// An operator on sequences or optionals.
    pub(super) fn structure(
        &mut self,
        id: BindingId,
        op: StructureOp,
        args: &[ValueId],
        steps: &mut Vec<Step>,
    ) -> Result<(), Diagnostic> {
        let result = self.function[id].results[0];
        let missing = || Diagnostic::error("M026", "an operator on objects has too few operands");
        let arg = |i: usize| args.get(i).copied().ok_or_else(missing);
        match op {
            StructureOp::Empty | StructureOp::Construct | StructureOp::Map => {
                let items = args.iter().map(|it| self.item(*it, steps)).collect::<Result<Vec<_>, _>>()?;
                // What holds nothing may begin several sequences, of items of different types: it has a place of its own.
                let to = match items.is_empty() {
                    true => self.new_object(place_type(&self.plan.shapes, &self.function[result].ty)),
                    false => self.object_place(result),
                };
                self.storage.insert(result, Storage::Object(to));
                self.object_step(ObjectOp::Sequence { to, items }, steps)
            }
            StructureOp::Insert => {
                let (of, item) = (self.object_of(arg(0)?)?, self.item(arg(1)?, steps)?);
                let at = args.get(2).map(|it| self.position(*it, steps)).transpose()?;
                let to = self.object_place(result);
                self.object_step(ObjectOp::Insert { to, of, at, item }, steps)
            }
            StructureOp::Erase => {
                let of = self.object_of(arg(0)?)?;
                let at = args.get(1).map(|it| self.position(*it, steps)).transpose()?;
                let to = self.object_place(result);
                self.object_step(ObjectOp::Erase { to, of, at }, steps)
            }
            StructureOp::At | StructureOp::Item => {
                let of = self.object_of(arg(0)?)?;
                let at = self.position(arg(1)?, steps)?;
                let (to, bindings) = self.taken(result)?;
                self.object_step(ObjectOp::Item { to, of, at, bindings }, steps)
            }
            // A map is held as a sequence of its two vectors.
            StructureOp::Keys | StructureOp::Values => {
                let of = self.object_of(arg(0)?)?;
                let at = self.plan.shapes.int(i64::from(op == StructureOp::Values));
                let (to, bindings) = self.taken(result)?;
                self.object_step(ObjectOp::Item { to, of, at, bindings }, steps)
            }
            StructureOp::Some => {
                let from = self.item(arg(0)?, steps)?;
                let to = self.object_place(result);
                self.object_step(ObjectOp::Share { to, from, bindings: Vec::new() }, steps)
            }
            StructureOp::None => {
                let to = self.object_place(result);
                self.object_step(ObjectOp::None { to }, steps)
            }
            StructureOp::Get => {
                let from = self.object_of(arg(0)?)?;
                let (to, bindings) = self.taken(result)?;
                self.object_step(ObjectOp::Share { to, from, bindings }, steps)
            }
            StructureOp::Length => {
                let of = self.object_of(arg(0)?)?;
                self.counted(result, steps, |symbol| ObjectOp::Length { symbol, of })
            }
            StructureOp::Rank => {
                let of = self.object_of(arg(0)?)?;
                self.counted(result, steps, |symbol| ObjectOp::Rank { symbol, of })
            }
            StructureOp::Has => {
                let of = self.object_of(arg(0)?)?;
                self.counted(result, steps, |symbol| ObjectOp::IsSome { symbol, of })
            }
        }
    }

    /// A place for what is taken out of an object, and the symbols that it binds.
    fn taken(&mut self, result: ValueId) -> Result<(ObjectId, Vec<AxisBinding>), Diagnostic> {
        if self.is_object(result) {
            return Ok((self.object_place(result), Vec::new()));
        }
        let ty = self.tensor(result)?;
        let dims = known_dims(ty)?;
        let mut bindings = Vec::new();
        for (axis, dim) in (0..).zip(&dims) {
            if let Some(symbol) = self.plan.shapes.as_sym(*dim).filter(|it| !self.bound.contains(it)) {
                self.bound.insert(symbol);
                bindings.push(AxisBinding { symbol, axis });
            }
        }
        dims.iter().try_for_each(|it| self.require_bound(*it))?;
        let id = self.new_object(Type::tensor(ty.dtype, dims));
        self.storage.insert(result, Storage::Buffer(BufferRef::Object(id)));
        Ok((id, bindings))
    }

    /// Binds the element of a result that says how many there are. The result itself was stored by a kernel, where
    /// anything reads it.
    fn counted(
        &mut self,
        result: ValueId,
        steps: &mut Vec<Step>,
        op: impl FnOnce(Sym) -> ObjectOp,
    ) -> Result<(), Diagnostic> {
        let element = self.tensor(result)?.elements.as_ref().and_then(|it| it.first().copied());
        let fresh = element.and_then(|it| self.plan.shapes.as_sym(it)).filter(|it| !self.bound.contains(it));
        let symbol = fresh.unwrap_or_else(|| {
            let temporary = self.plan.shapes.fresh("count");
            self.plan.shapes.as_sym(temporary).expect("a fresh symbol is a symbol")
        });
        self.object_step(op(symbol), steps)?;
        self.bound.insert(symbol);
        match element {
            Some(element) if fresh.is_none() => {
                let found = self.plan.shapes.sym_dim(symbol);
                self.check(Constraint::Eq(found, element), "a count must be as asserted".to_owned(), steps)
            }
            _ => Ok(()),
        }
    }

    /// A position in a sequence, read from a tensor of one integer.
    fn position(&mut self, value: ValueId, steps: &mut Vec<Step>) -> Result<Dim, Diagnostic> {
        let ty = self.tensor(value)?;
        if let Some(element) = ty.elements.as_ref().and_then(|it| it.first().copied())
            && self.require_bound(element).is_ok()
        {
            return Ok(element);
        }
        let from = self.buffer_of(value)?;
        let position = self.plan.shapes.fresh_integer("position");
        let symbol = self.plan.shapes.as_sym(position).expect("a fresh symbol is a symbol");
        debug_assert_eq!(self.plan.shapes.kind(symbol), SymbolKind::Integer);
        self.touch(from);
        self.emit(
            steps,
            Step::Bind { symbol, from, dtype: ty.dtype, element: 0, source: self.source.clone() },
        )?;
        self.bound.insert(symbol);
        Ok(position)
    }

    /// Brings objects where others shall be, all at once. Places from `since` on end with the path: what they hold is
    /// given back, so that nobody else holds it.
    pub(super) fn carry_objects(
        &mut self,
        values: &[(ValueId, ObjectId)],
        since: usize,
        steps: &mut Vec<Step>,
    ) -> Result<(), Diagnostic> {
        let from = values.iter().map(|it| self.object_of(it.0)).collect::<Result<Vec<_>, _>>()?;
        let to: Vec<ObjectId> = values.iter().map(|it| it.1).collect();
        let mut temporaries: Vec<(usize, ObjectId)> = Vec::new();
        let mut over: IndexSet<ObjectId> = IndexSet::new();
        for Move { from: source, to: target, size } in in_turn(&from, &to) {
            if let Place::Temporary(i) = target {
                let ty = self.plan.objects[to[size].0 as usize].ty.clone();
                temporaries.push((i, self.new_object(ty)));
            }
            let place = |it: Place<ObjectId>| match it {
                Place::Buffer(id) => Some(id),
                Place::Temporary(i) => temporaries.iter().rev().find(|it| it.0 == i).map(|it| it.1),
            };
            let lost = || Diagnostic::error("M026", "an object has no place to wait in");
            let (source, target) = (place(source).ok_or_else(lost)?, place(target).ok_or_else(lost)?);
            self.object_step(ObjectOp::Share { to: target, from: source, bindings: Vec::new() }, steps)?;
            if source.0 as usize >= since && !to.contains(&source) {
                over.insert(source);
            }
        }
        over.into_iter().try_for_each(|it| self.object_step(ObjectOp::Drop(it), steps))
    }
}
