//! Modules: functions are declared and edited, kernels defined and dropped.

use super::Editor;
use crate::diag::Diagnostic;
use crate::flow::declared::Declared;
use crate::flow::infer::region_effects;
use crate::flow::{Definition, Function, Module, Parameter, Region, Rhs, Scope, Value, ValueDef, ValueId};
use crate::kernel::Kernel;
use crate::ops::OpRegistry;
use crate::types::{ConstId, Effects, Type};
use indexmap::{IndexMap, IndexSet};
use la_arena::Arena;

impl Module {
    /// Adds a function without results that does nothing yet; an editor fills it.
    ///
    /// # Errors
    /// `B002`: two parameters of one name. `B003`: a name that is taken.
    pub fn declare(
        &mut self,
        name: &str,
        params: impl IntoIterator<Item = (String, Type, Option<ConstId>)>,
    ) -> Result<(), Diagnostic> {
        let function = self.declared(name, params)?;
        self.definitions.insert(name.to_owned(), Definition::Function(function));
        Ok(())
    }

    /// As [`declare`](Self::declare), in front of the function `before`, which may call it and stays where it is.
    ///
    /// # Errors
    /// Those of [`declare`](Self::declare).
    pub fn declare_before(
        &mut self,
        before: &str,
        name: &str,
        params: impl IntoIterator<Item = (String, Type, Option<ConstId>)>,
    ) -> Result<(), Diagnostic> {
        let function = self.declared(name, params)?;
        let at = self.definitions.get_index_of(before).unwrap_or(self.definitions.len());
        self.definitions.shift_insert(at, name.to_owned(), Definition::Function(function));
        Ok(())
    }

    /// Says whether only functions of the module may call the function of that name, where there is one.
    pub fn set_private(&mut self, name: &str, private: bool) {
        if let Some(Definition::Function(function)) = self.definitions.get_mut(name) {
            function.private = private;
        }
    }

    fn declared(
        &self,
        name: &str,
        params: impl IntoIterator<Item = (String, Type, Option<ConstId>)>,
    ) -> Result<Function, Diagnostic> {
        if self.definitions.contains_key(name) {
            return Err(Diagnostic::error("B003", format!("the module defines `@{name}` twice")));
        }
        let mut function = Function::empty();
        let mut names = IndexSet::new();
        for (i, (name, ty, default)) in (0..).zip(params) {
            if !names.insert(name.clone()) {
                return Err(Diagnostic::error("B002", format!("two inputs are called `{name}`")));
            }
            let (def, scope) = (ValueDef::Param(i), Scope::Region);
            let value = function.values.alloc(Value { ty, def, scope, name: Some(name.clone()) });
            function.params.push(Parameter { name, value, default });
        }
        Ok(function)
    }

    /// Edits every function, in order. While it is edited, something of the same type stands for it: it may call itself.
    ///
    /// # Errors
    /// The first error of `edit`; the module is whole then, but partly edited.
    pub fn edit<E>(
        &mut self,
        ops: &OpRegistry,
        mut edit: impl FnMut(&mut Editor<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (mut result, mut more) = (Ok(()), false);
        for at in 0..self.definitions.len() {
            result = self.edit_at(ops, at, &mut more, &mut edit);
            if result.is_err() {
                break;
            }
        }
        if more {
            self.declare_effects(ops);
        }
        result
    }

    /// Edits one function, as [`edit`](Self::edit) does each; nothing where there is none of that name.
    ///
    /// # Errors
    /// The error of `edit`.
    pub fn edit_function<E>(
        &mut self,
        ops: &OpRegistry,
        name: &str,
        edit: impl FnOnce(&mut Editor<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(at) = self.definitions.get_index_of(name) else { return Ok(()) };
        let mut more = false;
        let result = self.edit_at(ops, at, &mut more, edit);
        if more {
            self.declare_effects(ops);
        }
        result
    }

    /// Edits a definition that is a function; `more` is set when it declares more effects than it did.
    fn edit_at<E>(
        &mut self,
        ops: &OpRegistry,
        at: usize,
        more: &mut bool,
        edit: impl FnOnce(&mut Editor<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some((_, Definition::Function(function))) = self.definitions.get_index_mut(at) else {
            return Ok(());
        };
        let mut taken = std::mem::replace(function, Function::stand_in(function));
        let declared = Declared::of(ops, &self.definitions, &taken);
        let (shapes, constants) = (&mut self.shapes, &mut self.constants);
        let mut editor = Editor::new(ops, shapes, constants, &mut self.definitions, &mut taken);
        let result = edit(&mut editor);
        editor.finish();
        declared.settle(ops, &self.definitions, &mut taken);
        *more |= !declared.effects().contains(taken.effects);
        self.definitions[at] = Definition::Function(taken);
        result
    }

    /// Functions declare what those that they call declare.
    fn declare_effects(&mut self, ops: &OpRegistry) {
        for at in 0..self.definitions.len() {
            let Definition::Function(function) = &self.definitions[at] else { continue };
            let found = region_effects(ops, &self.definitions, function, function.body);
            if let Definition::Function(function) = &mut self.definitions[at] {
                function.effects = function.effects | found;
            }
        }
    }

    /// Adds a kernel that calls may name.
    ///
    /// # Errors
    /// `B003`: a name that is taken.
    pub fn define(&mut self, kernel: Kernel) -> Result<(), Diagnostic> {
        define(&mut self.definitions, kernel)
    }

    /// Drops the kernels that no function calls.
    pub fn drop_uncalled_kernels(&mut self) {
        let mut called: IndexSet<String> = IndexSet::new();
        for (_, function) in self.functions() {
            for id in function.live_bindings() {
                if let Rhs::Call { callee, .. } = &function[id].rhs {
                    called.insert(callee.clone());
                }
            }
        }
        self.definitions.retain(|name, it| !matches!(it, Definition::Kernel(_)) || called.contains(name));
    }

    /// Puts kernels before functions; either keep their order.
    pub fn kernels_first(&mut self) {
        let (kernels, functions): (Vec<_>, Vec<_>) = std::mem::take(&mut self.definitions)
            .into_iter()
            .partition(|(_, it)| matches!(it, Definition::Kernel(_)));
        self.definitions.extend(kernels);
        self.definitions.extend(functions);
    }
}

/// Adds a kernel under its name.
pub(super) fn define(
    definitions: &mut IndexMap<String, Definition>,
    kernel: Kernel,
) -> Result<(), Diagnostic> {
    if definitions.contains_key(kernel.name()) {
        return Err(Diagnostic::error("B003", format!("the module defines `@{}` twice", kernel.name())));
    }
    definitions.insert(kernel.name().to_owned(), Definition::Kernel(kernel));
    Ok(())
}

impl Function {
    /// A function without anything in it.
    pub(in crate::flow) fn empty() -> Function {
        let mut regions = Arena::new();
        let body = regions.alloc(Region::default());
        Function {
            params: Vec::new(),
            outputs: Vec::new(),
            effects: Effects::PURE,
            private: false,
            body,
            values: Arena::new(),
            bindings: Arena::new(),
            blocks: Arena::new(),
            regions,
        }
    }

    /// A function of the same type and effects without anything in it.
    pub(in crate::flow) fn stand_in(other: &Function) -> Function {
        let mut function = Function::empty();
        let mut copy = |value: ValueId| function.values.alloc(other.values[value].clone());
        function.params = other
            .params
            .iter()
            .map(|it| Parameter { name: it.name.clone(), value: copy(it.value), default: it.default })
            .collect();
        function.regions[function.body].results = other.results().iter().map(|it| copy(*it)).collect();
        function.outputs.clone_from(&other.outputs);
        function.effects = other.effects;
        function.private = other.private;
        function
    }
}
