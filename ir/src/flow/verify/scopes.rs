//! F1 and F3: where values may be used.

use super::walk::{Visit, walk};
use super::{At, Check};
use crate::flow::{BindingId, BlockId, RegionId, Scope, ValueId};
use indexmap::IndexSet;
use la_arena::ArenaMap;

/// F1: a value is defined before it is used: earlier in its block, in an earlier block of the same or an enclosing
/// region, as a parameter of an enclosing region or of the function.
pub(super) fn check_f1_defined_before_use(check: &mut Check<'_>) {
    let visible = check.function.params.iter().map(|it| it.value).collect();
    let function = check.function;
    walk(function, &mut DefinedBeforeUse { check, visible, marks: Vec::new() });
}

struct DefinedBeforeUse<'c, 'm> {
    check: &'c mut Check<'m>,
    /// In order of definition; a region's own definitions are a suffix.
    visible: IndexSet<ValueId>,
    marks: Vec<usize>,
}

impl DefinedBeforeUse<'_, '_> {
    fn using(&mut self, at: At, value: ValueId) {
        if !self.visible.contains(&value) {
            let message = format!("`{}` is not defined before its use", self.check.name(value));
            self.check.report(at, "F001", message);
        }
    }
}

impl Visit for DefinedBeforeUse<'_, '_> {
    fn enter_region(&mut self, region: RegionId) {
        self.marks.push(self.visible.len());
        self.visible.extend(&self.check.function.regions[region].params);
    }

    fn leave_region(&mut self, region: RegionId) {
        for value in &self.check.function.regions[region].results {
            self.using(At::Return(region), *value);
        }
        self.visible.truncate(self.marks.pop().unwrap_or(0));
    }

    fn before(&mut self, binding: BindingId) {
        let function = self.check.function;
        function.bindings[binding].rhs.visit_operands(&mut |it| self.using(At::Binding(binding), it));
    }

    fn after(&mut self, binding: BindingId) {
        self.visible.extend(&self.check.function.bindings[binding].results);
    }
}

/// F3: a value of scope `BlockLocal` is used only in the block that defines it, nested regions included.
pub(super) fn check_f3_local_values(check: &mut Check<'_>) {
    let function = check.function;
    walk(function, &mut LocalValues { check, open: Vec::new(), home: ArenaMap::default() });
}

struct LocalValues<'c, 'm> {
    check: &'c mut Check<'m>,
    open: Vec<BlockId>,
    home: ArenaMap<ValueId, BlockId>,
}

impl LocalValues<'_, '_> {
    fn using(&mut self, at: At, value: ValueId) {
        if self.check.function.values[value].scope == Scope::BlockLocal
            && let Some(home) = self.home.get(value)
            && !self.open.contains(home)
        {
            let message =
                format!("`{}` is local to its block but used outside of it", self.check.name(value));
            self.check.report(at, "F003", message);
        }
    }
}

impl Visit for LocalValues<'_, '_> {
    fn enter_block(&mut self, block: BlockId) {
        self.open.push(block);
    }

    fn leave_block(&mut self, _block: BlockId) {
        self.open.pop();
    }

    fn leave_region(&mut self, region: RegionId) {
        for value in &self.check.function.regions[region].results {
            self.using(At::Return(region), *value);
        }
    }

    fn before(&mut self, binding: BindingId) {
        let function = self.check.function;
        function.bindings[binding].rhs.visit_operands(&mut |it| self.using(At::Binding(binding), it));
    }

    fn after(&mut self, binding: BindingId) {
        let Some(block) = self.open.last() else { return };
        for value in &self.check.function.bindings[binding].results {
            self.home.insert(*value, *block);
        }
    }
}
