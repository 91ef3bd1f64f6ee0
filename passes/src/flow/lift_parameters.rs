//! What is computed from parameters alone moves to a function of its own, which runs once.
//!
//! What: of a function that others call, operations that follow from chosen parameters and constants become a function
//! `NAME_parameters` of these parameters; the function takes its results as parameters in their place.
//! When: weights come from outside at run time and are transposed, converted, scaled or joined before they are used.
//! Constants need no such function: they fold at compile time.
//! Laws: only what is pure, has constant sizes and lies outside of branches and loops moves; what the function computes
//! from its other parameters is as it was. Its interface changes: that is what it is for. Class: bitwise.

use super::outline::{self, Part};
use crate::manager::{Changed, Facts, Pass, PassCx};
use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::{BindingId, Function, Module, Rhs, ValueId};
use orogen_ir::ops::OpRegistry;
use orogen_ir::shape::ShapeCx;
use orogen_ir::types::Effects;

/// Moves what is computed from some parameters to a function of its own.
#[derive(Clone, Debug, Default)]
pub struct LiftParameters {
    names: Vec<String>,
}

impl LiftParameters {
    /// Of these parameters.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        LiftParameters { names: names.into_iter().map(Into::into).collect() }
    }
}

impl Pass<Module> for LiftParameters {
    fn name(&self) -> &'static str {
        "lift-parameters"
    }

    fn facts(&self) -> Facts {
        Facts::OVER_OPERATORS
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let Some((name, function)) = module.entry() else { return Ok(Changed::No) };
        let name = name.to_owned();
        let chosen = self.chosen(function)?;
        let part = lifted(function, &module.shapes, cx.ops, &chosen);
        if part.results.is_empty() {
            return Ok(Changed::No);
        }
        let made = format!("{name}_parameters");
        if module.definitions().contains_key(&made) {
            let message = format!("the module defines `@{made}`, which parameters would be computed by");
            return Err(Diagnostic::error("N034", message).help("give the function another name").into());
        }
        let Some(outlined) = outline::read(module, cx.ops, &name, &part) else { return Ok(Changed::No) };
        let typed = outlined.define(module, cx.ops, &name, &made)?;
        if !typed {
            module.drop_uncalled_functions();
            return Ok(Changed::No);
        }
        module.set_private(&made, false);
        let mut values = Vec::new();
        for (output, value) in outlined.outputs() {
            let function = module.function(&name).expect("it is edited alone");
            let taken: IndexSet<&str> = function.params().iter().map(|it| it.name.as_str()).collect();
            let mut own = output.to_owned();
            while taken.contains(own.as_str()) {
                own.push('_');
            }
            let ty = function[value].ty.clone();
            values.push((value, module.add_param(&name, &own, ty)?));
        }
        module.edit_function(cx.ops, &name, |editor| -> Result<(), Diagnostic> {
            values.into_iter().for_each(|(old, new)| editor.replace(old, new));
            Ok(())
        })?;
        module.remove_dead_code(cx.ops);
        if let Some(function) = module.function(&name) {
            let needed = function.needed_params(&module.shapes);
            let asked = function.params().iter().map(|it| self.names.contains(&it.name));
            let keep: Vec<bool> =
                needed.into_iter().zip(asked).map(|(needed, asked)| needed || !asked).collect();
            module.retain_params(&IndexMap::from([(name, keep)]));
        }
        Ok(Changed::Yes)
    }
}

impl LiftParameters {
    fn chosen(&self, function: &Function) -> Result<IndexSet<ValueId>, Diagnostics> {
        let find = |name: &String| match function.params().iter().find(|it| it.name == *name) {
            Some(param) => Ok(param.value),
            None => {
                let names: Vec<&str> = function.params().iter().map(|it| it.name.as_str()).collect();
                let message = format!("there is no parameter `{name}`, from which to lift");
                Err(Diagnostic::error("N034", message)
                    .help(format!("its parameters are: {}", names.join(", "))))
            }
        };
        Ok(self.names.iter().map(find).collect::<Result<_, _>>()?)
    }
}

/// What follows from these parameters alone, and which of it anything else reads.
fn lifted(function: &Function, shapes: &ShapeCx, ops: &OpRegistry, chosen: &IndexSet<ValueId>) -> Part {
    let is_static = |value: &ValueId| {
        function[*value]
            .ty
            .as_tensor()
            .is_some_and(|it| it.static_dims(shapes).is_some() && it.elements.is_none())
    };
    let mut derived: IndexSet<ValueId> = chosen.iter().copied().filter(is_static).collect();
    let mut constants: IndexSet<ValueId> = IndexSet::new();
    let mut moved: IndexSet<BindingId> = IndexSet::new();
    let body = &function[function.body()];
    for id in body.blocks.iter().flat_map(|it| &function[*it].order) {
        let binding = &function[*id];
        if matches!(binding.rhs, Rhs::Constant(_)) {
            constants.extend(binding.results.iter().copied());
            continue;
        }
        let Rhs::Op { op, args, .. } = &binding.rhs else { continue };
        let [result] = binding.results[..] else { continue };
        let pure = ops.def(*op).effects == Effects::PURE && function.binds(shapes, *id).is_empty();
        let follows = args.iter().all(|it| derived.contains(it) || constants.contains(it))
            && args.iter().any(|it| derived.contains(it));
        if pure && follows && is_static(&result) {
            derived.insert(result);
            moved.insert(*id);
        }
    }
    // What is read by what stays; a constant that is needed here and there is in both.
    let mut read: IndexSet<ValueId> = IndexSet::new();
    function.visit_regions(&mut |it| read.extend(function[it].results.iter().copied()));
    for id in function.live_bindings().into_iter().filter(|it| !moved.contains(it)) {
        read.extend(function[id].rhs.operands());
    }
    let results: Vec<ValueId> =
        moved.iter().map(|it| function[*it].results[0]).filter(|it| read.contains(it)).collect();
    // No more than these need.
    let mut needed: IndexSet<ValueId> = results.iter().copied().collect();
    let mut bindings: Vec<BindingId> = Vec::new();
    let order: Vec<BindingId> =
        body.blocks.iter().flat_map(|it| function[*it].order.iter().copied()).collect();
    for id in order.into_iter().rev() {
        let binding = &function[id];
        let is_constant = matches!(binding.rhs, Rhs::Constant(_));
        if (is_constant || moved.contains(&id)) && binding.results.iter().any(|it| needed.contains(it)) {
            needed.extend(binding.rhs.operands());
            bindings.push(id);
        }
    }
    bindings.reverse();
    Part::of(function, bindings, results)
}
