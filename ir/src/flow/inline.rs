//! Bodies of functions in the place of their calls.
//!
//! The symbols of a copy are what the call gives for them: sizes of its arguments, then symbols that its results bind in
//! the caller, and new ones for all others. What does not become the type that the call records is cast to it.

use super::dead::binds;
use super::declared::Declared;
use super::{
    Binding, BindingId, Block, BlockKind, Definition, Function, Module, Region, RegionId, Rhs, Scope, Value,
    ValueDef, ValueId,
};
use crate::diag::Diagnostic;
use crate::ops::OpRegistry;
use crate::shape::{Constraint, Dim, Overflow, ShapeCx, Sym};
use crate::text::MAX_NESTING;
use crate::types::{Type, bound_symbols, implies, map_dims, match_type, pair_dims};
use indexmap::{IndexMap, IndexSet};
use smallvec::SmallVec;

/// A function that has more bindings than that takes in no others: functions that call two functions each, and these
/// two, would be a program without end.
const MOST_BINDINGS: usize = 1 << 16;

impl Module {
    /// Puts bodies in the place of calls of those functions for which `wanted` holds. Functions that call themselves,
    /// directly or not, stay, and so do calls in functions that have become too large, or that would nest too deep. Returns
    /// how many calls went.
    ///
    /// # Errors
    /// `S002`: a size that overflows.
    pub fn inline(
        &mut self,
        ops: &OpRegistry,
        wanted: &dyn Fn(&str, &Function) -> bool,
    ) -> Result<usize, Diagnostic> {
        let (order, circular) = self.callees_first();
        let wanted: IndexSet<String> = self
            .functions()
            .filter(|(name, it)| !circular.contains(*name) && wanted(name, it))
            .map(|it| it.0.to_owned())
            .collect();
        let mut count = 0;
        for name in order.into_iter().chain(circular) {
            let Some(Definition::Function(function)) = self.definitions.get_mut(&name) else { continue };
            let mut taken = std::mem::replace(function, Function::stand_in(function));
            let declared = Declared::of(ops, &self.definitions, &taken);
            let definitions = &self.definitions;
            let mut inliner = Inliner {
                definitions,
                shapes: &mut self.shapes,
                wanted: &wanted,
                size: taken.live_bindings().len(),
                function: &mut taken,
                replaced: IndexMap::new(),
                count: 0,
            };
            let outcome = inliner.run();
            count += inliner.count;
            declared.settle(ops, &self.definitions, &mut taken);
            self.definitions.insert(name, Definition::Function(taken));
            outcome.map_err(|_| {
                Diagnostic::error("S002", "the size of a dimension overflows 64-bit integers")
            })?;
        }
        Ok(count)
    }

    /// The functions, each after those that it calls, and those that call each other in a circle or call one that does.
    fn callees_first(&self) -> (Vec<String>, IndexSet<String>) {
        let mut open: IndexMap<&str, usize> = IndexMap::new();
        let mut callers: IndexMap<&str, Vec<&str>> = IndexMap::new();
        for (name, function) in self.functions() {
            let mut callees: IndexSet<&str> = IndexSet::new();
            for id in function.live_bindings() {
                if let Rhs::Call { callee, .. } = &function.bindings[id].rhs
                    && self.function(callee).is_some()
                {
                    callees.insert(callee);
                }
            }
            callees.iter().for_each(|it| callers.entry(it).or_default().push(name));
            open.insert(name, callees.len());
        }
        let mut order: Vec<&str> = open.iter().filter(|it| *it.1 == 0).map(|it| *it.0).collect();
        let mut next = 0;
        while let Some(name) = order.get(next).copied() {
            for caller in callers.get(name).into_iter().flatten() {
                let left = open.entry(caller).or_default();
                *left -= 1;
                if *left == 0 {
                    order.push(caller);
                }
            }
            next += 1;
        }
        let done: IndexSet<&str> = order.iter().copied().collect();
        let circular = self.functions().map(|it| it.0).filter(|it| !done.contains(it));
        (order.iter().map(|it| (*it).to_owned()).collect(), circular.map(str::to_owned).collect())
    }
}

impl Function {
    /// How deep each live region is nested; the body is at 0.
    fn depths(&self) -> IndexMap<RegionId, u32> {
        let mut depths = IndexMap::from([(self.body, 0)]);
        let mut next = 0;
        while let Some((region, depth)) = depths.get_index(next).map(|(region, depth)| (*region, *depth)) {
            for block in &self.regions[region].blocks {
                for id in &self.blocks[*block].order {
                    depths.extend(self.bindings[*id].rhs.regions().into_iter().map(|it| (it, depth + 1)));
                }
            }
            next += 1;
        }
        depths
    }
}

/// Bindings of a copy, block by block.
type Parts = Vec<Block>;

/// One function that takes others in.
struct Inliner<'a> {
    definitions: &'a IndexMap<String, Definition>,
    shapes: &'a mut ShapeCx,
    wanted: &'a IndexSet<String>,
    function: &'a mut Function,
    /// Its bindings.
    size: usize,
    /// What stands for results of calls that went.
    replaced: IndexMap<ValueId, ValueId>,
    count: usize,
}

/// What values and symbols of a callee are in its caller.
struct Map {
    values: IndexMap<ValueId, ValueId>,
    symbols: IndexMap<Sym, Dim>,
    /// Symbols of the caller that stand for sizes which the callee binds.
    own: IndexSet<Sym>,
}

impl<'a> Inliner<'a> {
    fn run(&mut self) -> Result<(), Overflow> {
        for (region, depth) in self.function.depths() {
            let mut blocks = Vec::new();
            for block in std::mem::take(&mut self.function.regions[region].blocks) {
                let kind = self.function.blocks[block].kind;
                let mut parts: Parts = vec![Block { kind, order: Vec::new() }];
                for id in std::mem::take(&mut self.function.blocks[block].order) {
                    match self.callee(id, depth) {
                        Some(callee) => self.inline(callee, id, region, &mut parts)?,
                        None => put(&mut parts, kind, id),
                    }
                }
                let parts = parts.into_iter().filter(|it| !it.order.is_empty());
                blocks.extend(parts.map(|it| self.function.blocks.alloc(it)));
            }
            self.function.regions[region].blocks = blocks;
        }
        if self.count > 0 {
            self.replace();
            self.function.narrow_scopes();
        }
        Ok(())
    }

    /// The function that a binding calls, when it is to be inlined.
    fn callee(&self, id: BindingId, depth: u32) -> Option<&'a Function> {
        let Rhs::Call { callee, .. } = &self.function.bindings[id].rhs else { return None };
        if !self.wanted.contains(callee) || self.size > MOST_BINDINGS {
            return None;
        }
        let Some(Definition::Function(function)) = self.definitions.get(callee) else { return None };
        let deepest = function.depths().into_values().max().unwrap_or(0);
        (depth + deepest <= MAX_NESTING).then_some(function)
    }

    /// Puts a copy of a body in the place of a call.
    fn inline(
        &mut self,
        callee: &Function,
        call: BindingId,
        region: RegionId,
        parts: &mut Parts,
    ) -> Result<(), Overflow> {
        let binding = &self.function.bindings[call];
        let (results, source) = (binding.results.clone(), binding.source.clone());
        let args: Vec<ValueId> = binding.rhs.operands().into_iter().map(|it| self.now(it)).collect();
        let own = binds(self.shapes, self.function, binding);
        let mut map = self.map(callee, &args, &results, own);
        let outside = region == self.function.body;
        if outside {
            self.assume(&map);
        }
        let before = self.function.bindings.len();
        for block in &callee.regions[callee.body].blocks {
            let block = &callee.blocks[*block];
            for id in &block.order {
                let new = self.binding(callee, *id, &mut map)?;
                self.function.bindings[new].source.add(&source);
                if outside && let Rhs::Check { constraint, .. } = &self.function.bindings[new].rhs {
                    // What contradicts it is an error of the call, now as then.
                    let _ = self.shapes.assume(*constraint);
                }
                put(parts, block.kind, new);
            }
        }
        for (result, inner) in results.into_iter().zip(callee.results()) {
            let value = map.values.get(inner).copied().unwrap_or(*inner);
            let ty = &self.function.values[result].ty;
            let mut binds = IndexSet::new();
            bound_symbols(self.shapes, ty, &mut |it| {
                binds.insert(it);
            });
            let given: IndexSet<Sym> =
                map.symbols.values().filter_map(|it| self.shapes.as_sym(*it)).collect();
            let bound = binds.iter().all(|it| !map.own.contains(it) || given.contains(it));
            if bound && implies(self.shapes, &self.function.values[value].ty, ty) {
                if self.function.values[value].name.is_none() {
                    self.function.values[value].name = self.function.values[result].name.clone();
                }
                self.replaced.insert(result, value);
                continue;
            }
            let rhs = Rhs::MatchCast { value, ty: ty.clone() };
            let results = SmallVec::from_elem(result, 1);
            let cast = self.function.bindings.alloc(Binding { results, rhs, source: source.clone() });
            self.function.values[result].def = ValueDef::Result(cast, 0);
            put(parts, BlockKind::Dataflow, cast);
        }
        self.size += self.function.bindings.len() - before;
        self.count += 1;
        Ok(())
    }

    /// What parameters and symbols of a callee stand for.
    fn map(&mut self, callee: &Function, args: &[ValueId], results: &[ValueId], own: IndexSet<Sym>) -> Map {
        let mut map = Map { values: IndexMap::new(), symbols: IndexMap::new(), own };
        for (param, arg) in callee.params.iter().zip(args) {
            map.values.insert(param.value, *arg);
            let (formal, actual) = (&callee.values[param.value].ty, &self.function.values[*arg].ty);
            match_type(self.shapes, formal, actual, &mut map.symbols);
        }
        let mut pairs = Vec::new();
        for (inner, result) in callee.results().iter().zip(results) {
            let (from, to) = (&callee.values[*inner].ty, &self.function.values[*result].ty);
            pair_dims(from, to, &mut pairs);
        }
        let mut taken: IndexSet<Sym> = IndexSet::new();
        for (from, to) in pairs {
            if let (Some(from), Some(sym)) = (self.shapes.as_sym(from), self.shapes.as_sym(to))
                && !map.symbols.contains_key(&from)
                && map.own.contains(&sym)
                && taken.insert(sym)
            {
                map.symbols.insert(from, to);
            }
        }
        map
    }

    /// What is known of the sizes of a callee is known of what they are here.
    fn assume(&mut self, map: &Map) {
        let known: Vec<Constraint> = self.shapes.facts().copied().collect();
        for fact in known {
            let symbols: Vec<Sym> = fact.dims().flat_map(|it| self.shapes.free_symbols(it)).collect();
            if symbols.is_empty() || !symbols.iter().all(|it| map.symbols.contains_key(it)) {
                continue;
            }
            if let Ok(fact) = fact.map(&mut |dim| self.shapes.substitute(dim, &map.symbols)) {
                let _ = self.shapes.assume(fact);
            }
        }
    }

    /// What stands for a value by now.
    fn now(&self, value: ValueId) -> ValueId {
        self.replaced.get(&value).copied().unwrap_or(value)
    }

    fn dim(&mut self, dim: Dim, map: &mut Map) -> Result<Dim, Overflow> {
        for sym in self.shapes.free_symbols(dim) {
            if !map.symbols.contains_key(&sym) {
                let hint = self.shapes.name(sym).to_owned();
                let new = self.shapes.fresh_like(sym, &hint);
                map.symbols.insert(sym, new);
            }
        }
        self.shapes.substitute(dim, &map.symbols)
    }

    fn ty(&mut self, ty: &Type, map: &mut Map) -> Result<Type, Overflow> {
        map_dims(ty, &mut |dim| self.dim(dim, map))
    }

    fn value(
        &mut self,
        callee: &Function,
        value: ValueId,
        def: ValueDef,
        map: &mut Map,
    ) -> Result<ValueId, Overflow> {
        let old = &callee.values[value];
        let ty = self.ty(&old.ty, map)?;
        let new = self.function.values.alloc(Value { ty, def, scope: Scope::Region, name: old.name.clone() });
        map.values.insert(value, new);
        Ok(new)
    }

    fn binding(&mut self, callee: &Function, id: BindingId, map: &mut Map) -> Result<BindingId, Overflow> {
        let old = &callee.bindings[id];
        let mut rhs = old.rhs.clone();
        rhs.map_operands(&mut |it| map.values.get(&it).copied().unwrap_or(it));
        match &mut rhs {
            Rhs::Call { sizes, .. } => {
                for size in sizes {
                    *size = self.dim(*size, map)?;
                }
            }
            Rhs::MatchCast { ty, .. } | Rhs::View { ty, .. } => *ty = self.ty(&ty.clone(), map)?,
            Rhs::Check { constraint, .. } => {
                *constraint = constraint.map(&mut |dim| self.dim(dim, map))?;
            }
            Rhs::If { then_region, else_region, .. } => {
                *then_region = self.region(callee, *then_region, map)?;
                *else_region = self.region(callee, *else_region, map)?;
            }
            Rhs::While { cond, body, .. } => {
                *cond = self.region(callee, *cond, map)?;
                *body = self.region(callee, *body, map)?;
            }
            _ => {}
        }
        let binding = Binding { results: SmallVec::new(), rhs, source: old.source.clone() };
        let new = self.function.bindings.alloc(binding);
        for (i, value) in (0..).zip(&old.results) {
            let value = self.value(callee, *value, ValueDef::Result(new, i), map)?;
            self.function.bindings[new].results.push(value);
        }
        Ok(new)
    }

    fn region(&mut self, callee: &Function, id: RegionId, map: &mut Map) -> Result<RegionId, Overflow> {
        let old = &callee.regions[id];
        let new = self.function.regions.alloc(Region::default());
        for (i, value) in (0..).zip(&old.params) {
            let value = self.value(callee, *value, ValueDef::RegionParam(new, i), map)?;
            self.function.regions[new].params.push(value);
        }
        for block in &old.blocks {
            let block = &callee.blocks[*block];
            let mut order = Vec::new();
            for id in &block.order {
                order.push(self.binding(callee, *id, map)?);
            }
            let block = self.function.blocks.alloc(Block { kind: block.kind, order });
            self.function.regions[new].blocks.push(block);
        }
        let results = old.results.iter().map(|it| map.values.get(it).copied().unwrap_or(*it)).collect();
        self.function.regions[new].results = results;
        Ok(new)
    }

    /// Puts what stands for results of calls in their place.
    fn replace(&mut self) {
        let replaced = std::mem::take(&mut self.replaced);
        let now = |it: ValueId| replaced.get(&it).copied().unwrap_or(it);
        for (region, _) in self.function.depths() {
            self.function.regions[region].results.iter_mut().for_each(|it| *it = now(*it));
        }
        for id in self.function.live_bindings() {
            self.function.bindings[id].rhs.map_operands(&mut |it| now(it));
        }
    }
}

/// Adds a binding to the last part when that is of this kind, else to a new one.
fn put(parts: &mut Parts, kind: BlockKind, id: BindingId) {
    match parts.last_mut() {
        Some(part) if part.kind == kind => part.order.push(id),
        _ => parts.push(Block { kind, order: vec![id] }),
    }
}
