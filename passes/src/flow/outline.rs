//! Parts of functions become functions of their own.
//!
//! A part is a set of operations of one dataflow block. The sizes of what it reads are symbols of the new function: one for
//! each that is a whole dimension, and for each expression that does not follow from those. What cannot be typed without a
//! check at run time stays where it is.

use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::Diagnostic;
use orogen_ir::flow::{BindingId, Editor, Function, Module, Rhs, ValueId};
use orogen_ir::ops::OpRegistry;
use orogen_ir::shape::{Constraint, Dim, ShapeCx, Sym};
use orogen_ir::text::{attrs_text, type_text};
use orogen_ir::types::{ConstId, Source, Type, implies, map_dims, visit_dims};
use std::fmt::Write as _;

/// A part of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Operations of one result, and constants, in program order.
    pub(super) bindings: Vec<BindingId>,
    /// What they read from outside.
    pub(super) inputs: Vec<ValueId>,
    /// What is read outside of them.
    pub(super) results: Vec<ValueId>,
}

impl Part {
    /// The part that these bindings are, with what they read and give.
    pub(super) fn of(function: &Function, bindings: Vec<BindingId>, results: Vec<ValueId>) -> Part {
        let own: IndexSet<ValueId> =
            bindings.iter().flat_map(|it| function[*it].results.iter().copied()).collect();
        let read = bindings.iter().flat_map(|it| function[*it].rhs.operands());
        let inputs: IndexSet<ValueId> = read.filter(|it| !own.contains(it)).collect();
        Part { bindings, inputs: inputs.into_iter().collect(), results }
    }

    /// Whether all are operations that may be put into another function.
    pub(super) fn is_movable(&self, function: &Function, shapes: &ShapeCx) -> bool {
        self.bindings.iter().all(|id| match &function[*id].rhs {
            Rhs::Op { .. } => function[*id].results.len() == 1 && function.binds(shapes, *id).is_empty(),
            Rhs::Constant(_) => true,
            _ => false,
        })
    }
}

/// A part as a function that does not exist yet: two of the same text compute the same.
#[derive(Clone, Debug)]
pub(super) struct Outlined {
    params: Vec<(String, Type, Option<ConstId>)>,
    body: Vec<(Rhs, ValueId, Source)>,
    inputs: Vec<ValueId>,
    results: Vec<ValueId>,
    names: Vec<String>,
    facts: Vec<Constraint>,
    /// What makes it the same as another one.
    pub(super) text: String,
}

/// Reads a part.
pub(super) fn read(module: &mut Module, ops: &OpRegistry, caller: &str, part: &Part) -> Option<Outlined> {
    let function = module.function(caller)?;
    let types: Vec<Type> = part.inputs.iter().map(|it| function[*it].ty.clone()).collect();
    let named = |value: ValueId, i: usize, prefix: &str| {
        let name = function[value].name.clone();
        name.unwrap_or_else(|| format!("{prefix}{i}"))
    };
    let mut taken = IndexSet::new();
    let mut names = |value: ValueId, i: usize, prefix: &str| {
        let mut name = named(value, i, prefix);
        while !taken.insert(name.clone()) {
            name.push('_');
        }
        name
    };
    let inputs: Vec<String> = part.inputs.iter().enumerate().map(|(i, it)| names(*it, i, "x")).collect();
    let results: Vec<String> = part.results.iter().enumerate().map(|(i, it)| names(*it, i, "y")).collect();
    let mut body = Vec::new();
    let mut places: IndexMap<ValueId, String> = IndexMap::new();
    places.extend(part.inputs.iter().enumerate().map(|(i, it)| (*it, format!("in{i}"))));
    let mut text = String::new();
    for (i, id) in part.bindings.iter().enumerate() {
        let binding = &function[*id];
        let (rhs, result) = (binding.rhs.clone(), binding.results[0]);
        let operands: Vec<&str> =
            rhs.operands().iter().map(|it| places.get(it).map_or("?", String::as_str)).collect();
        let what = match &rhs {
            Rhs::Op { op, attrs, .. } => format!("{}{}", ops.def(*op).name, attrs_text(attrs)),
            Rhs::Constant(id) => id.to_string(),
            _ => return None,
        };
        writeln!(text, "{what}({})", operands.join(",")).ok()?;
        places.insert(result, format!("it{i}"));
        body.push((rhs, result, binding.source.clone()));
    }
    for result in &part.results {
        writeln!(text, "{}", places.get(result)?).ok()?;
    }
    let mut sizes = Sizes::default();
    types.iter().for_each(|it| sizes.symbols(&mut module.shapes, it));
    let types: Vec<Type> =
        types.iter().map(|it| sizes.rest(&mut module.shapes, it)).collect::<Option<_>>()?;
    let facts = sizes.facts(&mut module.shapes);
    sizes.describe(&mut module.shapes, &types, &mut text)?;
    let params = inputs.into_iter().zip(types).map(|(name, ty)| (name, ty, None)).collect();
    Some(Outlined {
        params,
        body,
        inputs: part.inputs.clone(),
        results: part.results.clone(),
        names: results,
        facts,
        text,
    })
}

/// Sizes of a caller as sizes of a new function.
#[derive(Default)]
struct Sizes {
    symbols: IndexMap<Sym, Dim>,
    others: IndexMap<Dim, Dim>,
}

impl Sizes {
    /// New symbols for those that are whole dimensions.
    fn symbols(&mut self, shapes: &mut ShapeCx, ty: &Type) {
        let mut whole = Vec::new();
        visit_dims(ty, &mut |dim| whole.extend(shapes.as_sym(dim)));
        for sym in whole {
            if !self.symbols.contains_key(&sym) {
                let hint = shapes.name(sym).to_owned();
                let new = shapes.fresh_like(sym, &hint);
                self.symbols.insert(sym, new);
            }
        }
    }

    /// The type in these, and in new ones for what they do not give.
    fn rest(&mut self, shapes: &mut ShapeCx, ty: &Type) -> Option<Type> {
        map_dims(ty, &mut |dim| {
            let known = shapes.free_symbols(dim).iter().all(|it| self.symbols.contains_key(it));
            if known {
                return shapes.substitute(dim, &self.symbols);
            }
            Ok(*self.others.entry(dim).or_insert_with(|| shapes.fresh_integer("size")))
        })
        .ok()
    }

    /// What is known of the sizes of the caller is known of these.
    fn facts(&self, shapes: &mut ShapeCx) -> Vec<Constraint> {
        let known: Vec<Constraint> = shapes.facts().copied().collect();
        let ours = known.into_iter().filter(|fact| {
            let mut symbols = fact.dims().flat_map(|it| shapes.free_symbols(it)).peekable();
            symbols.peek().is_some() && symbols.all(|it| self.symbols.contains_key(&it))
        });
        let ours: Vec<Constraint> = ours.collect();
        ours.into_iter()
            .filter_map(|it| it.map(&mut |dim| shapes.substitute(dim, &self.symbols)).ok())
            .collect()
    }

    /// The types, with names for symbols that two functions of one form share.
    fn describe(&self, shapes: &mut ShapeCx, types: &[Type], text: &mut String) -> Option<()> {
        let new = self.symbols.values().chain(self.others.values());
        let new: Vec<Sym> = new.filter_map(|it| shapes.as_sym(*it)).collect();
        let mut map = IndexMap::new();
        for (i, sym) in new.into_iter().enumerate() {
            map.insert(sym, shapes.integer(&format!("size{i}")));
        }
        for ty in types {
            let ty = map_dims(ty, &mut |dim| shapes.substitute(dim, &map)).ok()?;
            writeln!(text, "{}", type_text(shapes, &ty)).ok()?;
        }
        Some(())
    }
}

impl Outlined {
    /// The names of its results, with the values that they were.
    pub(super) fn outputs(&self) -> impl Iterator<Item = (&str, ValueId)> {
        self.names.iter().map(String::as_str).zip(self.results.iter().copied())
    }

    /// Declares and fills the function, private and in front of its caller. Whether it was typed; what was not is left there,
    /// uncalled.
    pub(super) fn define(
        &self,
        module: &mut Module,
        ops: &OpRegistry,
        caller: &str,
        name: &str,
    ) -> Result<bool, Diagnostic> {
        module.declare_before(caller, name, self.params.iter().cloned())?;
        module.set_private(name, true);
        for fact in &self.facts {
            // They are what is known already, of other names.
            let _ = module.shapes.assume(*fact);
        }
        let mut typed = true;
        module.edit_function(ops, name, |editor| -> Result<(), Diagnostic> {
            let given = editor.params().iter().map(|it| it.value);
            let mut map: IndexMap<ValueId, ValueId> = self.inputs.iter().copied().zip(given).collect();
            for (rhs, result, source) in &self.body {
                editor.at_end(source);
                let value = match rhs {
                    Rhs::Op { op, attrs, args } => {
                        let args: Option<Vec<ValueId>> = args.iter().map(|it| map.get(it).copied()).collect();
                        args.and_then(|it| editor.op_without_checks(*op, attrs.clone(), &it))
                    }
                    Rhs::Constant(_) => editor.emit(rhs.clone())?.first().copied(),
                    _ => None,
                };
                let Some(value) = value else {
                    typed = false;
                    return Ok(());
                };
                map.insert(*result, value);
            }
            for (name, result) in self.names.iter().zip(&self.results) {
                let Some(value) = map.get(result) else {
                    typed = false;
                    return Ok(());
                };
                editor.add_output(name, *value);
            }
            Ok(())
        })?;
        Ok(typed)
    }
}

/// Puts a call of a function in the place of a part whose operations end with `last`.
pub(super) fn call(
    editor: &mut Editor<'_>,
    callee: &str,
    part: &Part,
    last: BindingId,
) -> Result<(), Diagnostic> {
    editor.before(last);
    let rhs = Rhs::Call {
        callee: callee.to_owned(),
        args: part.inputs.as_slice().into(),
        sizes: Default::default(),
    };
    let values = editor.emit(rhs)?;
    for (old, mut new) in part.results.iter().zip(values) {
        let ty = editor.type_of(*old).clone();
        if !implies(editor.shapes, editor.type_of(new), &ty) {
            new = editor.emit_as(Rhs::MatchCast { value: new, ty: ty.clone() }, [ty])?[0];
        }
        editor.replace(*old, new);
    }
    for id in part.bindings.iter().rev() {
        let unused = editor.binding(*id).results.iter().all(|it| editor.uses(*it) == 0);
        if unused && editor.block_of(*id).is_some() {
            editor.remove(*id);
        }
    }
    Ok(())
}
