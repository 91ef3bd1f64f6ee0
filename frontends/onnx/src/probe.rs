//! A sink that infers types and keeps nothing: to find out whether a part of a model can be built.

use crate::node::bad;
use crate::sink::{BranchFn, LoopFn, LoopPart, Mark, Probing, Sink, Value};
use orogen_ir::diag::Diagnostic;
use orogen_ir::ops::{
    InferCx, Join, JoinElements, OnConstants, OpId, OpRegistry, Outline, Read, SettledLoops,
};
use orogen_ir::shape::{Constraint, ShapeCx};
use orogen_ir::types::{Attrs, TensorData, TensorType, Type};

/// Types on top of those of another sink, which is left as it is.
pub(crate) struct Probe<'a> {
    base: &'a dyn Sink,
    first: u32,
    shapes: ShapeCx,
    values: Vec<(Type, Option<TensorData>)>,
    loops: SettledLoops,
}

impl<'a> Probe<'a> {
    pub(crate) fn over(sink: &'a mut dyn Sink) -> Self {
        let (shapes, first) = (sink.shapes().clone(), sink.next_value());
        Probe { base: sink, first, shapes, values: Vec::new(), loops: SettledLoops::default() }
    }

    /// Another probe that knows what this one does.
    pub(crate) fn beside(&self) -> Self {
        Probe {
            base: self.base,
            first: self.first,
            shapes: self.shapes.clone(),
            values: self.values.clone(),
            loops: self.loops.clone(),
        }
    }

    fn push(&mut self, ty: Type, data: Option<TensorData>) -> Value {
        self.values.push((ty, data));
        Value::from_index(self.first + self.values.len() as u32 - 1)
    }

    fn assume(&mut self, constraint: Constraint, message: String) -> Result<(), Diagnostic> {
        self.shapes
            .assume(constraint)
            .map_err(|contradiction| Diagnostic::error("S001", message).note(contradiction.to_string()))
    }

    /// A list of integers with known elements, as far as its length is known.
    fn with_elements(&mut self, value: Value, read: Read) -> Value {
        let Type::Tensor(ty) = self.type_of(value).clone() else { return value };
        let count = ty.static_dims(&self.shapes).map(|dims| dims.iter().product::<u64>());
        let known = ty.elements.is_some() || self.constant_data(value).is_some();
        let Some(count) = count.filter(|it| *it <= TensorType::MAX_ELEMENTS as u64) else { return value };
        if known || !ty.dtype.is_int() || ty.shape.rank().is_none_or(|it| it > 1) {
            return value;
        }
        let elements: Vec<_> = (0..count)
            .map(|_| match read {
                Read::Sizes(_) => self.shapes.fresh("size"),
                Read::Integers(_) => self.shapes.fresh_integer("bound"),
            })
            .collect();
        self.push(Type::Tensor(ty.with_elements(elements)), None)
    }

    /// A value of which the type alone is known.
    pub(crate) fn value(&mut self, ty: Type) -> Value {
        self.push(ty, None)
    }

    /// The truth of a condition when it is known.
    pub(crate) fn decided(&self, cond: Value) -> Option<bool> {
        if let Some(data) = self.constant_data(cond).filter(|it| it.len() == 1) {
            return Some(data.get_i64(0) != 0);
        }
        let element = *self.type_of(cond).as_tensor()?.elements.as_ref()?.first()?;
        Some(self.shapes.as_int(element)? != 0)
    }

    fn types(&self, values: &[Value]) -> Vec<Type> {
        values.iter().map(|it| self.type_of(*it).clone()).collect()
    }

    fn join(&mut self, a: &[Type], b: &[Type], elements: JoinElements) -> Result<Vec<Type>, Diagnostic> {
        if a.len() != b.len() {
            return Err(bad(format!("{} values on one way and {} on the other", a.len(), b.len())));
        }
        let mut join = Join { shapes: &mut self.shapes, bound: &|_| true, hint: "probe", elements };
        a.iter().zip(b).map(|(a, b)| join.types(a, b)).collect()
    }
}

impl Probing for Probe<'_> {
    fn mark(&mut self) -> Mark {
        Mark { values: self.values.len(), facts: self.shapes.save_facts() }
    }

    fn rewind(&mut self, mark: Mark) {
        self.values.truncate(mark.values);
        self.shapes.restore_facts(mark.facts);
    }

    fn join_values(&mut self, a: &[Value], b: &[Value]) -> Result<Vec<Value>, Diagnostic> {
        let joined = self.join(&self.types(a), &self.types(b), JoinElements::Fresh)?;
        Ok(joined.into_iter().map(|ty| self.push(ty, None)).collect())
    }
}

impl Sink for Probe<'_> {
    fn as_probe(&mut self) -> Option<&mut dyn Probing> {
        Some(self)
    }

    fn next_value(&self) -> u32 {
        self.first + self.values.len() as u32
    }

    fn ops(&self) -> &OpRegistry {
        self.base.ops()
    }

    fn shapes(&mut self) -> &mut ShapeCx {
        &mut self.shapes
    }

    fn set_source(&mut self, _source: &str) {}

    fn input(&mut self, name: &str, _ty: Type) -> Result<Value, Diagnostic> {
        Err(bad(format!("input `{name}` is declared inside a branch")))
    }

    fn optional_input(&mut self, name: &str, ty: Type, _default: TensorData) -> Result<Value, Diagnostic> {
        self.input(name, ty)
    }

    fn constant(&mut self, _name: &str, data: TensorData) -> Value {
        let ty = TensorType::of_constant(&mut self.shapes, &data);
        self.push(Type::Tensor(ty), Some(data))
    }

    fn emit(&mut self, op: OpId, attrs: Attrs, args: &[Value]) -> Result<Vec<Value>, Diagnostic> {
        let mut args = args.to_vec();
        for read in self.base.ops().def(op).reads {
            let (Read::Sizes(i) | Read::Integers(i)) = *read;
            if let Some(arg) = args.get_mut(i) {
                *arg = self.with_elements(*arg, *read);
            }
        }
        let types = self.types(&args);
        let mut cx = InferCx::new(&mut self.shapes, &attrs, &types);
        let results = self.base.ops().infer(op, &mut cx)?;
        let (requirements, facts) = (cx.requirements, cx.facts);
        let known: Option<Vec<TensorData>> = args.iter().map(|it| self.constant_data(*it).cloned()).collect();
        if let (Some(known), Some(outlines)) = (known, Outline::all(&self.shapes, &results))
            && let Some(data) =
                self.base.fold(&OnConstants { op, attrs: &attrs, args: &known, results: &outlines })
        {
            return Ok(data.into_iter().map(|it| self.constant("", it)).collect());
        }
        for fact in facts {
            let _ = self.shapes.assume(fact);
        }
        for requirement in requirements {
            self.assume(requirement.constraint, requirement.message)?;
        }
        let pure = self.base.ops().def(op).effects.allowed_in_dataflow();
        Ok(results
            .into_iter()
            .map(|ty| {
                let data = ty.as_tensor().filter(|_| pure).and_then(|it| it.constant_data(&self.shapes));
                self.push(ty, data)
            })
            .collect())
    }

    fn fold(&self, call: &OnConstants<'_>) -> Option<Vec<TensorData>> {
        self.base.fold(call)
    }

    fn type_of(&self, value: Value) -> &Type {
        match value.index().checked_sub(self.first) {
            Some(i) => &self.values[i as usize].0,
            None => self.base.type_of(value),
        }
    }

    fn constant_data(&self, value: Value) -> Option<&TensorData> {
        match value.index().checked_sub(self.first) {
            Some(i) => self.values[i as usize].1.as_ref(),
            None => self.base.constant_data(value),
        }
    }

    fn needed_data(&self, value: Value) -> Option<&TensorData> {
        match value.index().checked_sub(self.first) {
            Some(i) => self.values[i as usize].1.as_ref(),
            None => self.base.needed_data(value),
        }
    }

    fn match_cast(&mut self, value: Value, ty: Type) -> Result<Value, Diagnostic> {
        if let (Type::Tensor(from), Type::Tensor(to)) = (self.type_of(value).clone(), &ty) {
            let dims = from.dims().zip(to.dims());
            let elements = from.elements.as_deref().zip(to.elements.as_deref());
            for (a, b) in [dims, elements].into_iter().flatten().flat_map(|(a, b)| a.iter().zip(b)) {
                self.assume(Constraint::Eq(*a, *b), "the asserted type contradicts what is known".into())?;
            }
        }
        Ok(self.push(ty, None))
    }

    fn known_sizes(&mut self, value: Value) -> Result<Value, Diagnostic> {
        Ok(self.with_elements(value, Read::Sizes(0)))
    }

    fn check(&mut self, fact: Constraint, message: &str) -> Result<(), Diagnostic> {
        self.assume(fact, message.to_owned())
    }

    fn if_else(&mut self, cond: Value, branch: &mut BranchFn<'_>) -> Result<Vec<Value>, Diagnostic> {
        if let Some(taken) = self.decided(cond) {
            return branch(self, taken);
        }
        let mut sides = Vec::new();
        for taken in [true, false] {
            let facts = self.shapes.save_facts();
            let results = branch(self, taken);
            self.shapes.restore_facts(facts);
            sides.push(results?);
        }
        self.join_values(&sides[0], &sides[1])
    }

    fn while_loop(&mut self, init: &[Value], part: &mut LoopFn<'_>) -> Result<Vec<Value>, Diagnostic> {
        let mut types = self.types(init);
        // Carried types settle quickly; a loop whose types do not is refused when it is built.
        let number = self.loops.begin(&mut types);
        for _ in 0..3 {
            self.loops.attempt(number);
            let facts = self.shapes.save_facts();
            let carried: Vec<Value> = types.iter().map(|ty| self.push(ty.clone(), None)).collect();
            let next =
                part(self, LoopPart::Condition, &carried).and_then(|_| part(self, LoopPart::Body, &carried));
            self.shapes.restore_facts(facts);
            let next = self.types(&next?);
            let joined = self.join(&types, &next, JoinElements::Forget)?;
            if joined == types {
                break;
            }
            types = joined;
        }
        self.loops.settle(number, &types);
        Ok(types.into_iter().map(|ty| self.push(ty, None)).collect())
    }

    fn output(&mut self, name: &str, _value: Value, _rank: Option<Value>) -> Result<(), Diagnostic> {
        Err(bad(format!("output `{name}` is declared inside a branch")))
    }
}
