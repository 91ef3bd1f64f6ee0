//! The builder as what importers write into.

use super::{FlowBuilder, Output, Parameter, Rhs, Scope, Value, ValueDef, ValueId};
use crate::diag::Diagnostic;
use crate::ops::{OnConstants, OpId, OpRegistry, OpSink, Requirement, SinkResult, StructureOp, emit_decided};
use crate::shape::{Constraint, ShapeCx, Truth};
use crate::text::type_text;
use crate::types::{Attrs, TensorData, Type, implies, pair_dims, visit_dims};

impl OpSink for FlowBuilder<'_> {
    type Value = ValueId;

    fn ops(&self) -> &OpRegistry {
        self.ops
    }

    fn shapes(&mut self) -> &mut ShapeCx {
        &mut self.module.shapes
    }

    fn set_source(&mut self, source: &str) {
        self.source = source.into();
    }

    fn input(&mut self, name: &str, ty: Type) -> Result<ValueId, Diagnostic> {
        if self.frames.len() > 1 {
            let message = format!("input `{name}` is declared inside a branch or a loop");
            return Err(self.located(Diagnostic::error("B004", message)));
        }
        if !self.inputs.insert(name.to_owned()) {
            return Err(self.located(Diagnostic::error("B002", format!("two inputs are called `{name}`"))));
        }
        self.bind_symbols(&ty);
        let def = ValueDef::Param(self.function.params.len() as u32);
        let value =
            self.function.values.alloc(Value { ty, def, scope: Scope::Region, name: Some(name.to_owned()) });
        self.function.params.push(Parameter { name: name.to_owned(), value, default: None });
        Ok(value)
    }

    fn optional_input(&mut self, name: &str, ty: Type, default: TensorData) -> Result<ValueId, Diagnostic> {
        let value = self.input(name, ty)?;
        let default = self.module.constants.add(name, default);
        self.function.params.last_mut().expect("it was just added").default = Some(default);
        Ok(value)
    }

    fn constant(&mut self, name: &str, data: TensorData) -> ValueId {
        self.add_constant(name, data)
    }

    fn emit(&mut self, op: OpId, attrs: Attrs, args: &[ValueId]) -> SinkResult<ValueId> {
        if let Some(decided) = emit_decided(self, op, args, &Self::structure_of) {
            return decided;
        }
        let args = self.read_operands(op, args)?;
        self.push(Rhs::Op { op, attrs, args })
    }

    fn fold(&self, call: &OnConstants<'_>) -> Option<Vec<TensorData>> {
        self.folding.fold_small(self.ops, call, &self.source)
    }

    fn type_of(&self, value: ValueId) -> &Type {
        self.type_at(value)
    }

    fn constant_data(&self, value: ValueId) -> Option<&TensorData> {
        self.data_of(value)
    }

    fn match_cast(&mut self, value: ValueId, ty: Type) -> Result<ValueId, Diagnostic> {
        let from = self.type_at(value).clone();
        let mut pairs = Vec::new();
        if !pair_dims(&from, &ty, &mut pairs) {
            return Err(self.located(self.mismatch(&from, &ty)));
        }
        let mut dims = Vec::new();
        visit_dims(&ty, &mut |dim| dims.push(dim));
        let news = dims.iter().any(|dim| !self.is_bound(*dim));
        if !news && implies(&self.module.shapes, &from, &ty) {
            return Ok(value);
        }
        if pairs.iter().any(|(a, b)| self.module.shapes.prove_eq(*a, *b) == Truth::Never) {
            return Err(self.located(self.mismatch(&from, &ty)));
        }
        self.bind_symbols(&ty);
        if let Some(dim) = dims.iter().find(|dim| !self.is_bound(**dim)) {
            let message = format!("no value binds all symbols of `{}`", self.module.shapes.display(*dim));
            return Err(self.located(
                Diagnostic::error("B015", message)
                    .help("a symbol is bound by a dimension or an element that is the symbol itself"),
            ));
        }
        let result = self.append(Rhs::MatchCast { value, ty: ty.clone() }, [ty])[0];
        for (a, b) in pairs {
            if let Err(contradiction) = self.module.shapes.assume(Constraint::Eq(a, b)) {
                let diagnostic = Diagnostic::error("S001", "the asserted type contradicts what is known");
                return Err(self.located(diagnostic.note(contradiction.to_string())));
            }
        }
        Ok(result)
    }

    fn known_sizes(&mut self, value: ValueId) -> Result<ValueId, Diagnostic> {
        self.read_sizes(value)
    }

    fn check(&mut self, fact: Constraint, message: &str) -> Result<(), Diagnostic> {
        self.require(Requirement { constraint: fact, message: message.to_owned() })
    }

    fn if_else(
        &mut self,
        cond: ValueId,
        then_branch: &mut dyn FnMut(&mut Self) -> SinkResult<ValueId>,
        else_branch: &mut dyn FnMut(&mut Self) -> SinkResult<ValueId>,
    ) -> SinkResult<ValueId> {
        self.build_if(cond, then_branch, else_branch)
    }

    fn while_loop(
        &mut self,
        init: &[ValueId],
        cond: &mut dyn FnMut(&mut Self, &[ValueId]) -> Result<ValueId, Diagnostic>,
        body: &mut dyn FnMut(&mut Self, &[ValueId]) -> SinkResult<ValueId>,
    ) -> SinkResult<ValueId> {
        self.build_while(init, cond, body)
    }

    fn output(&mut self, name: &str, value: ValueId) -> Result<(), Diagnostic> {
        if self.frames.len() > 1 {
            let message = format!("output `{name}` is declared inside a branch or a loop");
            return Err(self.located(Diagnostic::error("B004", message)));
        }
        if !self.outputs.insert(name.to_owned()) {
            return Err(self.located(Diagnostic::error("B002", format!("two outputs are called `{name}`"))));
        }
        self.touch(value, None);
        self.function.outputs.push(Output::new(name));
        let body = self.function.body;
        self.function.regions[body].results.push(value);
        Ok(())
    }

    fn output_of_rank(&mut self, name: &str, value: ValueId, rank: ValueId) -> Result<(), Diagnostic> {
        let single = self.type_at(rank).as_tensor().is_some_and(|it| it.shape.rank() == Some(0));
        if !single {
            let message = format!("the rank of output `{name}` is not a single integer");
            return Err(self.located(Diagnostic::error("B029", message)));
        }
        self.output(name, value)?;
        self.output(&format!("rank of {name}"), rank)?;
        if let Some(last) = self.function.outputs.last_mut() {
            last.gives_rank = true;
        }
        Ok(())
    }
}

impl FlowBuilder<'_> {
    /// The operation on sequences or optionals that makes a value.
    fn structure_of(&self, value: ValueId) -> Option<(StructureOp, Vec<ValueId>)> {
        match self.function.defining_rhs(value)? {
            Rhs::Op { op, args, .. } => Some((StructureOp::of(self.ops.def(*op))?, args.to_vec())),
            _ => None,
        }
    }

    fn mismatch(&self, from: &Type, to: &Type) -> Diagnostic {
        let (from, to) = (type_text(&self.module.shapes, from), type_text(&self.module.shapes, to));
        Diagnostic::error("B016", format!("a value of type `{from}` is never a `{to}`"))
    }
}
