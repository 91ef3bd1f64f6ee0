//! Questions about functions.

use super::{BindingId, BlockId, Definition, Function, Module, RegionId, Rhs, ValueDef, ValueId};
use crate::diag::Diagnostic;
use crate::kernel::Kernel;
use crate::types::Type;
use indexmap::IndexMap;
use smallvec::SmallVec;

impl Rhs {
    /// The operands in order; what nested regions use is not among them.
    pub fn operands_slice(&self) -> &[ValueId] {
        match self {
            Rhs::Op { args, .. }
            | Rhs::Call { args, .. }
            | Rhs::Tuple(args)
            | Rhs::While { init: args, .. } => args,
            Rhs::MatchCast { value, .. } | Rhs::View { value, .. } => std::slice::from_ref(value),
            Rhs::Get { tuple, .. } => std::slice::from_ref(tuple),
            Rhs::If { cond, .. } => std::slice::from_ref(cond),
            Rhs::Constant(_) | Rhs::Check { .. } => &[],
        }
    }

    /// The operands in order, to be replaced.
    pub fn operands_mut(&mut self) -> &mut [ValueId] {
        match self {
            Rhs::Op { args, .. }
            | Rhs::Call { args, .. }
            | Rhs::Tuple(args)
            | Rhs::While { init: args, .. } => args,
            Rhs::MatchCast { value, .. } | Rhs::View { value, .. } => std::slice::from_mut(value),
            Rhs::Get { tuple, .. } => std::slice::from_mut(tuple),
            Rhs::If { cond, .. } => std::slice::from_mut(cond),
            Rhs::Constant(_) | Rhs::Check { .. } => &mut [],
        }
    }

    /// Calls `visit` with every operand.
    pub fn visit_operands(&self, visit: &mut dyn FnMut(ValueId)) {
        self.operands_slice().iter().for_each(|it| visit(*it));
    }

    /// Replaces every operand.
    pub fn map_operands(&mut self, map: &mut dyn FnMut(ValueId) -> ValueId) {
        self.operands_mut().iter_mut().for_each(|it| *it = map(*it));
    }

    /// The operands in order.
    pub fn operands(&self) -> SmallVec<[ValueId; 3]> {
        self.operands_slice().into()
    }

    /// The nested regions in order.
    pub fn regions(&self) -> SmallVec<[RegionId; 2]> {
        match self {
            Rhs::If { then_region, else_region, .. } => SmallVec::from_buf([*then_region, *else_region]),
            Rhs::While { cond, body, .. } => SmallVec::from_buf([*cond, *body]),
            _ => SmallVec::new(),
        }
    }
}

/// Whether this build has the dataflow-block IR: it does. One without the feature `dataflow-ir` says `D040`.
///
/// # Errors
/// None.
pub fn available() -> Result<(), Diagnostic> {
    Ok(())
}

impl Module {
    /// What the [entry](Self::entry) function takes and returns: names and types.
    pub fn ports(&self) -> (Vec<(String, Type)>, Vec<(String, Type)>) {
        let Some((_, function)) = self.entry() else { return Default::default() };
        let ty = |value: ValueId| function[value].ty.clone();
        let inputs = function.params().iter().map(|it| (it.name.clone(), ty(it.value)));
        let outputs = function.outputs().iter().zip(&function[function.body()].results);
        (inputs.collect(), outputs.map(|(it, value)| (it.name.clone(), ty(*value))).collect())
    }

    /// Definitions by name, in order.
    pub fn definitions(&self) -> &IndexMap<String, Definition> {
        &self.definitions
    }

    /// The functions with their names, in order.
    pub fn functions(&self) -> impl DoubleEndedIterator<Item = (&str, &Function)> {
        self.definitions.iter().filter_map(|(name, definition)| match definition {
            Definition::Function(function) => Some((name.as_str(), function)),
            Definition::Kernel(_) => None,
        })
    }

    /// The kernels, in order.
    pub fn kernels(&self) -> impl Iterator<Item = &Kernel> {
        self.definitions.values().filter_map(|definition| match definition {
            Definition::Kernel(kernel) => Some(kernel),
            Definition::Function(_) => None,
        })
    }

    /// The function of that name.
    pub fn function(&self, name: &str) -> Option<&Function> {
        match self.definitions.get(name)? {
            Definition::Function(function) => Some(function),
            Definition::Kernel(_) => None,
        }
    }

    /// The function that a module is about, with its name: the last one, which may call those before it.
    pub fn entry(&self) -> Option<(&str, &Function)> {
        self.functions().next_back()
    }
}

impl Function {
    /// The right-hand side that defines a value; `None` for parameters.
    pub fn defining_rhs(&self, value: ValueId) -> Option<&Rhs> {
        match self.values[value].def {
            ValueDef::Result(binding, _) => Some(&self.bindings[binding].rhs),
            _ => None,
        }
    }

    /// Calls `visit` with every live region, outer ones before those nested in them.
    pub fn visit_regions(&self, visit: &mut dyn FnMut(RegionId)) {
        let mut stack = vec![self.body];
        while let Some(region) = stack.pop() {
            visit(region);
            for block in self.regions[region].blocks.iter().rev() {
                for binding in self.blocks[*block].order.iter().rev() {
                    stack.extend(self.bindings[*binding].rhs.regions().into_iter().rev());
                }
            }
        }
    }

    /// All live blocks with their regions in program order; a block comes before those nested in it.
    pub fn live_blocks(&self) -> Vec<(RegionId, BlockId)> {
        let mut list = Vec::new();
        let mut stack = vec![self.body];
        let mut blocks: Vec<(RegionId, BlockId)> = Vec::new();
        loop {
            while let Some(region) = stack.pop() {
                blocks.extend(self.regions[region].blocks.iter().rev().map(|block| (region, *block)));
            }
            let Some((region, block)) = blocks.pop() else { return list };
            list.push((region, block));
            // The last region is popped first, so that its blocks lie below those of the ones before it.
            let nested = self.blocks[block].order.iter().map(|it| self.bindings[*it].rhs.regions());
            stack.extend(nested.flatten());
        }
    }

    /// All live bindings; a block's bindings in order.
    pub fn live_bindings(&self) -> Vec<BindingId> {
        self.live_blocks()
            .into_iter()
            .flat_map(|(_, block)| self.blocks[block].order.iter().copied())
            .collect()
    }
}
