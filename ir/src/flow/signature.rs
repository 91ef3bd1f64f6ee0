//! Parameters and results of functions that others call, changed together with the calls.

use super::{
    BindingId, Definition, Function, Module, Output, Parameter, Rhs, Scope, Value, ValueDef, ValueId,
};
use crate::diag::Diagnostic;
use crate::shape::{Constraint, Dim, Overflow, ShapeCx, Sym};
use crate::types::{Type, bound_symbols, map_dims, visit_dims};
use indexmap::{IndexMap, IndexSet};

impl Function {
    /// Of each parameter, whether the body uses its value, or a size that no other parameter which stays gives it.
    pub fn needed_params(&self, shapes: &ShapeCx) -> Vec<bool> {
        let mut used: IndexSet<ValueId> = IndexSet::new();
        let mut sizes: IndexSet<Sym> = IndexSet::new();
        let mut mention = |dim: Dim| sizes.extend(shapes.free_symbols(dim));
        self.visit_regions(&mut |region| {
            let region = &self.regions[region];
            used.extend(region.results.iter().copied());
            region.params.iter().for_each(|it| visit_dims(&self.values[*it].ty, &mut mention));
        });
        for id in self.live_bindings() {
            let binding = &self.bindings[id];
            used.extend(binding.rhs.operands());
            binding.results.iter().for_each(|it| visit_dims(&self.values[*it].ty, &mut mention));
            binding.rhs.visit_dims(&mut mention);
        }
        let mut needed: Vec<bool> = self.params.iter().map(|it| used.contains(&it.value)).collect();
        let mut bound: IndexSet<Sym> = IndexSet::new();
        for (param, needed) in self.params.iter().zip(&needed) {
            if *needed {
                let ty = &self.values[param.value].ty;
                visit_dims(ty, &mut |dim| sizes.extend(shapes.free_symbols(dim)));
                bound.extend(symbols(shapes, ty));
            }
        }
        // What gives a size may mention another one.
        let mut grows = true;
        while grows {
            grows = false;
            for (param, needed) in self.params.iter().zip(&mut needed) {
                let ty = &self.values[param.value].ty;
                if !*needed && symbols(shapes, ty).iter().any(|it| sizes.contains(it) && !bound.contains(it))
                {
                    *needed = true;
                    grows = true;
                    visit_dims(ty, &mut |dim| sizes.extend(shapes.free_symbols(dim)));
                    bound.extend(symbols(shapes, ty));
                }
            }
        }
        needed
    }

    /// Replaces every dimension in types and right-hand sides.
    fn map_dims(&mut self, map: &mut dyn FnMut(Dim) -> Result<Dim, Overflow>) -> Result<(), Overflow> {
        for (_, value) in self.values.iter_mut() {
            value.ty = map_dims(&value.ty, map)?;
        }
        for (_, binding) in self.bindings.iter_mut() {
            match &mut binding.rhs {
                Rhs::Check { constraint, .. } => *constraint = constraint.map(map)?,
                Rhs::Call { sizes, .. } => {
                    sizes.iter_mut().try_for_each(|it| map(*it).map(|new| *it = new))?
                }
                Rhs::MatchCast { ty, .. } | Rhs::View { ty, .. } => *ty = map_dims(ty, map)?,
                _ => {}
            }
        }
        Ok(())
    }
}

fn symbols(shapes: &ShapeCx, ty: &Type) -> IndexSet<Sym> {
    let mut found = IndexSet::new();
    bound_symbols(shapes, ty, &mut |it| {
        found.insert(it);
    });
    found
}

impl Rhs {
    /// Calls `visit` with every dimension that stands in it; those of operands and results are in their types.
    pub fn visit_dims(&self, visit: &mut dyn FnMut(Dim)) {
        match self {
            Rhs::Check { constraint, .. } => constraint.dims().for_each(visit),
            Rhs::Call { sizes, .. } => sizes.iter().copied().for_each(visit),
            Rhs::MatchCast { ty, .. } | Rhs::View { ty, .. } => visit_dims(ty, visit),
            _ => {}
        }
    }
}

impl Module {
    /// Of each result of each private function, whether any call in the module uses it, or a size that it alone gives the
    /// caller. The rank of a result belongs to it. Where nothing uses any the first one stays.
    pub fn needed_results(&self) -> IndexMap<String, Vec<bool>> {
        let private = self.functions().filter(|it| it.1.private);
        let mut all: IndexMap<String, Vec<bool>> =
            private.map(|(name, it)| (name.to_owned(), vec![false; it.results().len()])).collect();
        for (_, function) in self.functions() {
            let mut used: IndexSet<ValueId> = IndexSet::new();
            let mut calls = Vec::new();
            function.visit_regions(&mut |it| used.extend(function.regions[it].results.iter().copied()));
            for id in function.live_bindings() {
                let rhs = &function.bindings[id].rhs;
                used.extend(rhs.operands());
                if let Rhs::Call { callee, .. } = rhs {
                    calls.extend(all.get_index_of(callee).map(|it| (id, it)));
                }
            }
            for (id, callee) in calls {
                let binds = function.binds(&self.shapes, id);
                let results = &function.bindings[id].results;
                for (result, needed) in results.iter().zip(all[callee].iter_mut()) {
                    let ty = &function.values[*result].ty;
                    let gives = symbols(&self.shapes, ty).iter().any(|it| binds.contains(it));
                    *needed |= gives || used.contains(result);
                }
            }
        }
        for (name, needed) in &mut all {
            let Some(callee) = self.function(name) else { continue };
            for (i, output) in callee.outputs.iter().enumerate().skip(1) {
                if output.gives_rank && (needed[i] || needed[i - 1]) {
                    (needed[i - 1], needed[i]) = (true, true);
                }
            }
            if !needed.contains(&true) {
                let rank = callee.outputs.get(1).is_some_and(|it| it.gives_rank);
                needed.iter_mut().take(1 + usize::from(rank)).for_each(|it| *it = true);
            }
        }
        all
    }

    /// Takes those parameters of functions away for which `keep` is false, and what calls in the module give for them.
    /// Nothing may use their values or the sizes that they alone bind: see [`Function::needed_params`].
    pub fn retain_params(&mut self, keep: &IndexMap<String, Vec<bool>>) {
        for (name, keep) in keep {
            let Some(Definition::Function(function)) = self.definitions.get_mut(name) else { continue };
            let params: Vec<Parameter> = std::mem::take(&mut function.params);
            function.params = kept(params, keep);
            for (i, param) in (0..).zip(&function.params) {
                function.values[param.value].def = ValueDef::Param(i);
            }
        }
        self.calls(|function, call, callee| {
            if let (Rhs::Call { args, .. }, Some(keep)) = (&mut function.bindings[call].rhs, keep.get(callee))
            {
                *args = kept(args.iter().copied(), keep);
            }
        });
    }

    /// Takes those results of functions away for which `keep` is false, from calls in the module too, where nothing may use
    /// them: see [`needed_results`](Self::needed_results).
    pub fn retain_results(&mut self, keep: &IndexMap<String, Vec<bool>>) {
        for (name, keep) in keep {
            let Some(Definition::Function(function)) = self.definitions.get_mut(name) else { continue };
            let outputs: Vec<Output> = std::mem::take(&mut function.outputs);
            function.outputs = kept(outputs, keep);
            let body = function.body;
            let results = std::mem::take(&mut function.regions[body].results);
            function.regions[body].results = kept(results, keep);
        }
        self.calls(|function, call, callee| {
            let Some(keep) = keep.get(callee) else { return };
            let results = std::mem::take(&mut function.bindings[call].results);
            function.bindings[call].results = kept(results, keep);
            for (i, value) in (0..).zip(function.bindings[call].results.clone()) {
                function.values[value].def = ValueDef::Result(call, i);
            }
        });
    }

    /// Puts sizes in the place of symbols, everywhere: in the types of parameters too, so that a call must have them.
    ///
    /// # Errors
    /// `S001`: a size that contradicts what is known of the symbol. `S002`: one that overflows.
    pub fn bind_sizes(&mut self, sizes: &IndexMap<Sym, Dim>) -> Result<(), Diagnostic> {
        for (sym, size) in sizes {
            let dim = self.shapes.sym_dim(*sym);
            // Nothing has the symbol afterwards, so nothing needs to know.
            let saved = self.shapes.save_facts();
            let assumed = self.shapes.assume(Constraint::Eq(dim, *size));
            self.shapes.restore_facts(saved);
            if let Err(contradiction) = assumed {
                let message = format!("`{}` cannot have this size", self.shapes.display_sym(*sym));
                return Err(Diagnostic::error("S001", message).note(contradiction.to_string()));
            }
        }
        let shapes = &mut self.shapes;
        let mut bind = |dim: Dim| shapes.substitute(dim, sizes);
        for definition in self.definitions.values_mut() {
            let Definition::Function(function) = definition else { continue };
            function.map_dims(&mut bind).map_err(|_| {
                Diagnostic::error("S002", "the size of a dimension overflows 64-bit integers")
            })?;
        }
        Ok(())
    }

    /// Adds a parameter without a default to a function that nothing in the module calls, in front of those with one.
    ///
    /// # Errors
    /// `B002`: a name that is taken. `B030`: a function that is not there, or is called.
    pub fn add_param(&mut self, function: &str, name: &str, ty: Type) -> Result<ValueId, Diagnostic> {
        let mut called = false;
        self.calls(|_, _, callee| called |= callee == function);
        let Some(Definition::Function(to)) = self.definitions.get_mut(function).filter(|_| !called) else {
            let message = format!("`@{function}` gets no parameter: it is not there, or called");
            return Err(Diagnostic::error("B030", message));
        };
        if to.params.iter().any(|it| it.name == name) {
            return Err(Diagnostic::error("B002", format!("two inputs are called `{name}`")));
        }
        let at = to.params.iter().position(|it| it.default.is_some()).unwrap_or(to.params.len());
        let (def, scope) = (ValueDef::Param(0), Scope::Region);
        let value = to.values.alloc(Value { ty, def, scope, name: Some(name.to_owned()) });
        to.params.insert(at, Parameter { name: name.to_owned(), value, default: None });
        for (i, param) in (0..).zip(&to.params) {
            to.values[param.value].def = ValueDef::Param(i);
        }
        Ok(value)
    }

    /// Drops private functions that no function which stays calls. Returns how many; none where all are private.
    pub fn drop_uncalled_functions(&mut self) -> usize {
        let before = self.definitions.len();
        let mut called: IndexSet<String> =
            self.functions().filter(|it| !it.1.private).map(|it| it.0.to_owned()).collect();
        if called.is_empty() {
            return 0;
        }
        let mut next = 0;
        while let Some(function) = called.get_index(next).and_then(|it| self.function(it)) {
            let mut more = Vec::new();
            for id in function.live_bindings() {
                if let Rhs::Call { callee, .. } = &function.bindings[id].rhs
                    && self.function(callee).is_some()
                {
                    more.push(callee.clone());
                }
            }
            called.extend(more);
            next += 1;
        }
        self.definitions.retain(|name, it| matches!(it, Definition::Kernel(_)) || called.contains(name));
        before - self.definitions.len()
    }

    /// Calls `change` with every call, and the name of what it calls.
    fn calls(&mut self, mut change: impl FnMut(&mut Function, BindingId, &str)) {
        for definition in self.definitions.values_mut() {
            let Definition::Function(function) = definition else { continue };
            for id in function.live_bindings() {
                if let Rhs::Call { callee, .. } = &function.bindings[id].rhs {
                    let callee = callee.clone();
                    change(function, id, &callee);
                }
            }
        }
    }
}

/// Those members of a list for which `keep` holds.
fn kept<T, C: FromIterator<T>>(list: impl IntoIterator<Item = T>, keep: &[bool]) -> C {
    list.into_iter().zip(keep).filter(|it| *it.1).map(|it| it.0).collect()
}
