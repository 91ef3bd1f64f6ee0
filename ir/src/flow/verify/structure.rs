//! F8 and F2: what contains what, and what defines what.

use super::{At, Check};
use crate::flow::{BindingId, BlockId, RegionId, ValueDef, ValueId};
use crate::text::exists;
use indexmap::IndexSet;

/// F8: regions contain blocks, blocks contain bindings, and nothing belongs to two of them. Every id names
/// something.
pub(super) fn check_f8_structure(check: &mut Check<'_>) {
    let mut walk =
        Structure { check, regions: IndexSet::new(), blocks: IndexSet::new(), bindings: IndexSet::new() };
    let function = walk.check.function;
    for param in &function.params {
        walk.value(At::Header, param.value, "a parameter");
    }
    walk.region(At::Header, function.body);
}

struct Structure<'c, 'm> {
    check: &'c mut Check<'m>,
    regions: IndexSet<RegionId>,
    blocks: IndexSet<BlockId>,
    bindings: IndexSet<BindingId>,
}

impl Structure<'_, '_> {
    fn value(&mut self, at: At, value: ValueId, what: &str) {
        if exists(&self.check.function.values, value).is_none() {
            self.check.report(at, "F008", format!("{what} names a value that does not exist"));
        }
    }

    fn region(&mut self, at: At, id: RegionId) {
        let Some(region) = exists(&self.check.function.regions, id) else {
            return self.check.report(at, "F008", "a region does not exist".to_owned());
        };
        if !self.regions.insert(id) {
            return self.check.report(at, "F008", "a region belongs to two constructs".to_owned());
        }
        region.params.iter().for_each(|it| self.value(at, *it, "a parameter of a region"));
        region.results.iter().for_each(|it| self.value(At::Return(id), *it, "a result"));
        for block in &region.blocks {
            self.block(at, *block);
        }
    }

    fn block(&mut self, at: At, id: BlockId) {
        let Some(block) = exists(&self.check.function.blocks, id) else {
            return self.check.report(at, "F008", "a block does not exist".to_owned());
        };
        if !self.blocks.insert(id) {
            return self.check.report(At::Block(id), "F008", "a block belongs to two regions".to_owned());
        }
        for binding in &block.order {
            self.binding(At::Block(id), *binding);
        }
    }

    fn binding(&mut self, at: At, id: BindingId) {
        let Some(binding) = exists(&self.check.function.bindings, id) else {
            return self.check.report(at, "F008", "a binding does not exist".to_owned());
        };
        if !self.bindings.insert(id) {
            return self.check.report(At::Binding(id), "F008", "a binding is ordered twice".to_owned());
        }
        binding.results.iter().for_each(|it| self.value(At::Binding(id), *it, "a result"));
        binding.rhs.visit_operands(&mut |it| self.value(At::Binding(id), it, "an operand"));
        for region in binding.rhs.regions() {
            self.region(At::Binding(id), region);
        }
    }
}

/// F2: a value is defined exactly once, and says by what.
pub(super) fn check_f2_defined_once(check: &mut Check<'_>) {
    let function = check.function;
    let mut defined: IndexSet<ValueId> = IndexSet::new();
    let mut define = |check: &mut Check<'_>, at: At, value: ValueId, def: ValueDef| {
        if !defined.insert(value) {
            let message = format!("`{}` is defined twice", check.name(value));
            check.report(at, "F002", message);
        } else if function.values[value].def != def {
            let message = format!("`{}` does not record that it is defined here", check.name(value));
            check.report(at, "F002", message);
        }
    };
    for (i, param) in (0..).zip(&function.params) {
        define(check, At::Header, param.value, ValueDef::Param(i));
    }
    let mut regions = Vec::new();
    function.visit_regions(&mut |it| regions.push(it));
    for region in regions {
        for (i, value) in (0..).zip(&function.regions[region].params) {
            define(check, At::Return(region), *value, ValueDef::RegionParam(region, i));
        }
    }
    for binding in function.live_bindings() {
        for (i, value) in (0..).zip(&function.bindings[binding].results) {
            define(check, At::Binding(binding), *value, ValueDef::Result(binding, i));
        }
    }
}
