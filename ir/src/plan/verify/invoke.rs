//! P8: calls of functions of the module.

use super::super::text::{buffer_text, object_type_text};
use super::objects::fits;
use super::sizes::Question;
use super::{State, Verifier};
use crate::plan::{
    Arg, BufferRef, CallPlan, FunctionId, InputKind, ObjectId, OutputKind, ResultBinding, TensorInput, View,
    byte_size,
};
use crate::types::Type;
use indexmap::IndexSet;

impl Verifier<'_> {
    /// A call of a function: what it reads is valid, and its results are new objects.
    pub(super) fn invoke(
        &mut self,
        function: FunctionId,
        args: &[Arg],
        results: &[ObjectId],
        bindings: &[ResultBinding],
        state: &mut State,
    ) {
        let functions = self.functions;
        let Some(callee) = functions.get(function.0 as usize) else {
            self.report("P008", format!("P8: there is no function {}", function.0));
            return;
        };
        if args.len() != callee.inputs.len() || results.len() != callee.outputs.len() {
            let message = format!(
                "P8: `@{}` takes {} buffers and gives {}, but the call has {} and {}",
                callee.name,
                callee.inputs.len(),
                callee.outputs.len(),
                args.len(),
                results.len()
            );
            self.report("P008", message);
            return;
        }
        let over = callee.outputs.iter().find_map(|it| callee.inputs.get(it.over()? as usize));
        if let Some(input) = over {
            let message = format!("P8: input `{}` of `@{}` is state", input.name, callee.name);
            self.report("P008", message);
        }
        for (arg, input) in args.iter().zip(&callee.inputs) {
            match (arg, &input.kind) {
                (Arg::View(view), InputKind::Tensor(wanted)) => {
                    self.argument(callee, &input.name, wanted, view, state);
                }
                (Arg::Object(id), InputKind::Object(wanted)) => {
                    let wanted = callee.objects.get(wanted.0 as usize).map(|it| &it.ty);
                    self.object_fits(
                        *id,
                        wanted,
                        &format!("input `{}` of `@{}`", input.name, callee.name),
                        state,
                    );
                }
                _ => {
                    let message =
                        format!("P8: input `{}` of `@{}` is another kind of value", input.name, callee.name);
                    self.report("P008", message);
                }
            }
        }
        // What the objects held before is given back first.
        for it in results {
            state.valid.remove(&BufferRef::Object(*it));
            state.fresh.shift_remove(it);
        }
        self.bindings(callee, results, bindings, state);
        let mut seen = IndexSet::new();
        for (id, output) in results.iter().zip(&callee.outputs) {
            let place = BufferRef::Object(*id);
            let name = buffer_text(place);
            let Some(object) = self.plan.objects.get(id.0 as usize) else {
                self.report("P008", format!("P8: there is no object {name}"));
                continue;
            };
            if !seen.insert(*id) {
                self.report("P008", format!("P8: {name} is two results of one call"));
            }
            let given = match &output.kind {
                OutputKind::Tensor(it) => Some(Type::tensor(it.dtype, it.dims.iter().copied())),
                OutputKind::Object(id) => callee.objects.get(id.0 as usize).map(|it| it.ty.clone()),
            };
            if let Some(given) = given.filter(|it| !fits(it, &object.ty)) {
                let found = object_type_text(&self.plan.shapes, &object.ty);
                let given = object_type_text(&callee.shapes, &given);
                let message = format!(
                    "P8: {name} is {found} but result `{}` of `@{}` is {given}",
                    output.name, callee.name
                );
                self.report("P008", message);
            }
            let dims = object.dims().unwrap_or_default();
            dims.iter().for_each(|it| self.check_p1_bound(state, *it));
            state.valid.insert(place, None);
        }
    }

    /// An argument fits the input: element type, rank, and as many bytes as its place has.
    fn argument(&mut self, callee: &CallPlan, name: &str, input: &TensorInput, arg: &View, state: &State) {
        arg.dims.iter().for_each(|it| self.check_p1_bound(state, *it));
        let Some(dtype) = self.read(arg.place, state) else { return };
        let place = buffer_text(arg.place);
        if dtype != input.dtype || arg.dims.len() != input.dims.len() {
            let message = format!(
                "P8: {place} is {dtype} of rank {} but input `{name}` of `@{}` is {} of rank {}",
                arg.dims.len(),
                callee.name,
                input.dtype,
                input.dims.len()
            );
            self.report("P008", message);
        }
        let Some(bytes) = self.bytes_of(arg.place) else { return };
        let Ok(wanted) = byte_size(&mut self.sizes.shapes, dtype, &arg.dims) else {
            self.report("P008", format!("P8: the size of a view of {place} overflows"));
            return;
        };
        let question = match arg.place {
            // Its dimensions are never negative, those of the view may be where a later check refuses the sizes.
            BufferRef::Slot(_) => Question::AtMost(wanted, bytes),
            _ => Question::Equal(wanted, bytes),
        };
        let (text, spot) = (self.sizes.shapes.display(wanted).to_string(), self.spot());
        self.ask("P8", spot, question, &state.established, || {
            format!("{place} has the `{text}` bytes of its view")
        });
    }

    /// Symbols are whole dimensions of results.
    fn bindings(
        &mut self,
        callee: &CallPlan,
        results: &[ObjectId],
        bindings: &[ResultBinding],
        state: &mut State,
    ) {
        for it in bindings {
            let object = results.get(it.result as usize).and_then(|id| self.plan.objects.get(id.0 as usize));
            let dim = object.and_then(|object| object.dims()?.get(it.axis as usize));
            if dim.and_then(|dim| self.plan.shapes.as_sym(*dim)) != Some(it.symbol) {
                let name = self.plan.shapes.name(it.symbol);
                let message = format!(
                    "P8: dimension {} of result {} of `@{}` is not `{name}`",
                    it.axis, it.result, callee.name
                );
                self.report("P008", message);
            }
            self.redefine(it.symbol, state);
            state.established.define(&self.sizes.shapes, &self.sizes.samples, it.symbol, None);
            state.bound.insert(it.symbol);
        }
    }
}
