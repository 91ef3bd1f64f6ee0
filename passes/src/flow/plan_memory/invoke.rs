//! Calls of functions of the module. Results are objects that the function makes; their dimensions and elements bind the
//! symbols of the call's result types that nothing before binds (law F7).

use super::Lowering;
use super::values::{Storage, known_dims};
use orogen_ir::diag::Diagnostic;
use orogen_ir::flow::{BindingId, ValueId};
use orogen_ir::plan::{Arg, BufferRef, FunctionId, Object, ObjectId, ResultBinding, Step, View};
use orogen_ir::shape::{Constraint, SymbolKind};
use orogen_ir::types::Type;

impl Lowering<'_> {
    pub(super) fn invoke(
        &mut self,
        id: BindingId,
        callee: &str,
        args: &[ValueId],
        steps: &mut Vec<Step>,
    ) -> Result<(), Diagnostic> {
        let Some(function) = self.shared.functions.get_index_of(callee) else {
            return Err(Diagnostic::error("M003", format!("the module has no function `@{callee}`")));
        };
        let function = FunctionId(function as u32);
        let view = |it: &ValueId| {
            if self.is_object(*it) {
                return Ok(Arg::Object(self.object_of(*it)?));
            }
            Ok(Arg::View(View { place: self.buffer_of(*it)?, dims: known_dims(self.tensor(*it)?)? }))
        };
        let args = args.iter().map(view).collect::<Result<Vec<_>, Diagnostic>>()?;
        let values = &self.function[id].results;
        let (mut results, mut bindings) = (Vec::new(), Vec::new());
        for (result, value) in (0..).zip(values) {
            if self.is_object(*value) {
                let id = self.object_place(*value);
                results.push(id);
                continue;
            }
            let ty = self.tensor(*value)?;
            let dims = known_dims(ty)?;
            for (axis, dim) in (0..).zip(&dims) {
                if let Some(symbol) = self.plan.shapes.as_sym(*dim).filter(|it| !self.bound.contains(it)) {
                    self.bound.insert(symbol);
                    bindings.push(ResultBinding { symbol, result, axis });
                }
            }
            let object = ObjectId(self.plan.objects.len() as u32);
            self.plan.objects.push(Object { ty: Type::tensor(ty.dtype, dims) });
            self.storage.insert(*value, Storage::Buffer(BufferRef::Object(object)));
            results.push(object);
        }
        for object in &results {
            let dims = self.plan.objects[object.0 as usize].dims().unwrap_or_default().to_vec();
            dims.iter().try_for_each(|it| self.require_bound(*it))?;
        }
        let source = self.source.clone();
        self.emit(steps, Step::Invoke { function, args, results: results.clone(), bindings, source })?;
        results.iter().zip(values).try_for_each(|(object, value)| self.elements(*object, *value, steps))
    }

    /// Binds symbols that are elements of a result. What else its type says of elements is the function's word.
    fn elements(
        &mut self,
        object: ObjectId,
        value: ValueId,
        steps: &mut Vec<Step>,
    ) -> Result<(), Diagnostic> {
        if self.is_object(value) {
            return Ok(());
        }
        let ty = self.tensor(value)?;
        for (element, dim) in (0..).zip(ty.elements.iter().flatten()) {
            let Some(symbol) = self.plan.shapes.as_sym(*dim).filter(|it| !self.bound.contains(it)) else {
                continue;
            };
            self.bound.insert(symbol);
            let from = BufferRef::Object(object);
            self.emit(
                steps,
                Step::Bind { symbol, from, dtype: ty.dtype, element, source: self.source.clone() },
            )?;
            if self.plan.shapes.kind(symbol) == SymbolKind::Size {
                let message = format!("element {element} of a result must not be negative");
                self.check(Constraint::AtLeast(*dim, 0), message, steps)?;
            }
        }
        Ok(())
    }
}
