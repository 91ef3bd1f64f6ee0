//! Branches and loops.

use super::{FlowBuilder, Frame};
use crate::diag::Diagnostic;
use crate::flow::{Region, RegionId, Rhs, Scope, Value, ValueDef, ValueId};
use crate::ops::{Join, JoinElements, SinkResult};
use crate::shape::{Dim, SavedFacts, Sym};
use crate::text::{MAX_NESTING, type_text};
use crate::types::{DType, Type, implies, map_dims, match_type};
use indexmap::IndexMap;
use smallvec::SmallVec;

/// How often a loop's body is inferred again with more general carried types before that is an error. Each
/// attempt forgets elements or replaces a dimension, so a body that settles does so quickly.
const MAX_ATTEMPTS: usize = 4;

/// What ends with a region.
struct Saved {
    facts: SavedFacts,
    bound: usize,
}

impl FlowBuilder<'_> {
    fn save(&self) -> Saved {
        Saved { facts: self.module.shapes.save_facts(), bound: self.bound.len() }
    }

    fn restore(&mut self, saved: Saved) {
        self.module.shapes.restore_facts(saved.facts);
        self.bound.truncate(saved.bound);
    }

    /// Builds a region with parameters of these types; what it establishes ends with it.
    fn region(
        &mut self,
        types: &[Type],
        build: &mut dyn FnMut(&mut Self, &[ValueId]) -> SinkResult<ValueId>,
    ) -> Result<(RegionId, Vec<ValueId>), Diagnostic> {
        if self.frames.len() > MAX_NESTING as usize {
            let message = format!("branches and loops nest deeper than {MAX_NESTING} levels");
            return Err(self.located(Diagnostic::error("B018", message)));
        }
        let saved = self.save();
        let region = self.function.regions.alloc(Region::default());
        let params: Vec<ValueId> = (0_u32..)
            .zip(types)
            .map(|(i, ty)| {
                let def = ValueDef::RegionParam(region, i);
                self.function.values.alloc(Value { ty: ty.clone(), def, scope: Scope::Region, name: None })
            })
            .collect();
        self.function.regions[region].params.clone_from(&params);
        self.frames.push(Frame::new(region));
        let built = build(self, &params);
        self.frames.pop();
        self.restore(saved);
        let results = built?;
        results.iter().for_each(|it| self.touch(*it, None));
        self.function.regions[region].results.clone_from(&results);
        Ok((region, results))
    }

    /// The truth of a condition when it is known, after checking that it is one.
    fn condition(&self, cond: ValueId, of: &str) -> Result<Option<bool>, Diagnostic> {
        let found = match self.type_at(cond) {
            Type::Tensor(ty) if ty.dtype == DType::Bool => ty,
            other => {
                let ty = type_text(&self.module.shapes, other);
                let message =
                    format!("the condition of `{of}` is `{ty}`, not a boolean tensor of one element");
                return Err(self.located(Diagnostic::error("B011", message)));
            }
        };
        let shapes = &self.module.shapes;
        let single = match found.dims() {
            Some(dims) => dims.iter().all(|it| shapes.as_int(*it).is_none_or(|it| it == 1)),
            None => true,
        };
        if !single {
            let ty = type_text(shapes, self.type_at(cond));
            let message = format!("the condition of `{of}` is `{ty}`, which has not exactly one element");
            return Err(self.located(Diagnostic::error("B011", message)));
        }
        if let Some(data) = self.data_of(cond).filter(|it| it.len() == 1) {
            return Ok(Some(data.get_i64(0) != 0));
        }
        let element = found.elements.as_ref().and_then(|it| it.first()).and_then(|it| shapes.as_int(*it));
        Ok(element.map(|it| it != 0))
    }

    pub(super) fn build_if(
        &mut self,
        cond: ValueId,
        then_branch: &mut dyn FnMut(&mut Self) -> SinkResult<ValueId>,
        else_branch: &mut dyn FnMut(&mut Self) -> SinkResult<ValueId>,
    ) -> SinkResult<ValueId> {
        match self.condition(cond, "if")? {
            Some(true) => return then_branch(self),
            Some(false) => return else_branch(self),
            None => {}
        }
        let source = self.source.clone();
        let (then_region, then_results) = self.region(&[], &mut |it, _| then_branch(it))?;
        self.source.clone_from(&source);
        let (else_region, else_results) = self.region(&[], &mut |it, _| else_branch(it))?;
        self.source = source;
        if then_results.len() != else_results.len() {
            let message = format!(
                "the branches of an `if` return {} and {} values",
                then_results.len(),
                else_results.len()
            );
            return Err(self.located(Diagnostic::error("B012", message)));
        }
        let mut types = Vec::with_capacity(then_results.len());
        for (i, (a, b)) in then_results.into_iter().zip(else_results).enumerate() {
            let (a, b) = (self.type_at(a).clone(), self.type_at(b).clone());
            let joined = self.join(&a, &b, "joined", JoinElements::Fresh).map_err(|it| {
                self.located(it.note(format!("these are the types of result {i} of the branches of an `if`")))
            })?;
            types.push(joined);
        }
        types.iter().for_each(|ty| self.bind_symbols(ty));
        Ok(self.append(Rhs::If { cond, then_region, else_region }, types).into_vec())
    }

    fn join(&mut self, a: &Type, b: &Type, hint: &str, elements: JoinElements) -> Result<Type, Diagnostic> {
        let bound = &self.bound;
        Join { shapes: &mut self.module.shapes, bound: &|sym| bound.contains(&sym), hint, elements }
            .types(a, b)
    }

    pub(super) fn build_while(
        &mut self,
        init: &[ValueId],
        cond: &mut dyn FnMut(&mut Self, &[ValueId]) -> Result<ValueId, Diagnostic>,
        body: &mut dyn FnMut(&mut Self, &[ValueId]) -> SinkResult<ValueId>,
    ) -> SinkResult<ValueId> {
        let source = self.source.clone();
        let saved = self.save();
        let mut types: Vec<Type> = init.iter().map(|it| self.type_at(*it).clone()).collect();
        let number = self.loops.begin(&mut types);
        for _ in 0..MAX_ATTEMPTS {
            self.loops.attempt(number);
            self.source.clone_from(&source);
            types.iter().for_each(|ty| self.bind_symbols(ty));
            let (cond_region, decision) =
                self.region(&types, &mut |it, params| Ok(vec![cond(it, params)?]))?;
            self.source.clone_from(&source);
            if self.condition(decision[0], "while")? == Some(false) {
                self.restore(saved);
                return Ok(init.to_vec());
            }
            let (body_region, next) = self.region(&types, &mut |it, params| body(it, params))?;
            self.source.clone_from(&source);
            if next.len() != init.len() {
                let message =
                    format!("the loop carries {} values but its body returns {}", init.len(), next.len());
                return Err(self.located(Diagnostic::error("B013", message)));
            }
            let next: Vec<Type> = next.into_iter().map(|it| self.type_at(it).clone()).collect();
            if let Some(changing) = self.goes_on(&types, &next, saved.bound) {
                self.loops.settle(number, &types);
                // A symbol that changes from turn to turn is another one behind the loop, where it is the last.
                let shapes = &mut self.module.shapes;
                let mut last = IndexMap::new();
                for sym in changing {
                    let name = shapes.name(sym).to_owned();
                    last.insert(sym, shapes.fresh_like(sym, &name));
                }
                let results = types.iter().map(|ty| map_dims(ty, &mut |dim| shapes.substitute(dim, &last)));
                let results = results.collect::<Result<Vec<_>, _>>().map_err(|_| {
                    Diagnostic::error("S002", "the size of a dimension overflows 64-bit integers")
                })?;
                self.bound.truncate(saved.bound);
                results.iter().for_each(|ty| self.bind_symbols(ty));
                let init: SmallVec<[ValueId; 3]> = init.into();
                let rhs = Rhs::While { init, cond: cond_region, body: body_region };
                return Ok(self.append(rhs, results).into_vec());
            }
            // What the body returns may speak of symbols that are bound in it: they mean nothing here.
            self.bound.truncate(saved.bound);
            types = self.generalise(&types, &next)?;
        }
        let message = "the types of the carried values of a loop change from one iteration to the next";
        let list = |types: &[Type]| {
            types.iter().map(|it| type_text(&self.module.shapes, it)).collect::<Vec<_>>().join(", ")
        };
        Err(self.located(
            Diagnostic::error("B014", message)
                .note(format!("after {MAX_ATTEMPTS} attempts the carried types are: {}", list(&types)))
                .help("carry values whose numbers of dimensions do not change"),
        ))
    }

    /// Carried types that both the initial values and what the body returned have.
    fn generalise(&mut self, carried: &[Type], next: &[Type]) -> Result<Vec<Type>, Diagnostic> {
        let mut types = Vec::with_capacity(carried.len());
        for (i, (carried, next)) in carried.iter().zip(next).enumerate() {
            if implies(&self.module.shapes, next, carried) {
                types.push(carried.clone());
                continue;
            }
            let joined = self.join(carried, next, "carried", JoinElements::Forget).map_err(|it| {
                self.located(it.note(format!("these are the types of carried value {i} of a loop")))
            })?;
            types.push(joined);
        }
        Ok(types)
    }

    /// Whether what the body returns has the carried types, where a symbol that the loop binds stands for another size in
    /// each turn. Returns those that change. `before` symbols are bound outside of the loop.
    fn goes_on(&mut self, carried: &[Type], next: &[Type], before: usize) -> Option<Vec<Sym>> {
        let shapes = &mut self.module.shapes;
        let mut map: IndexMap<Sym, Dim> =
            self.bound.iter().take(before).map(|it| (*it, shapes.sym_dim(*it))).collect();
        let fits =
            carried.iter().zip(next).all(|(carried, next)| match_type(shapes, carried, next, &mut map));
        let changes = |(sym, dim): (Sym, Dim)| (shapes.as_sym(dim) != Some(sym)).then_some(sym);
        fits.then(|| map.into_iter().skip(before).filter_map(changes).collect())
    }
}
