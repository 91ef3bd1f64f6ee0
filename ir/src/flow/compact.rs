//! Rebuilding arenas without what is dead.

use super::{
    Binding, BindingId, Block, BlockId, Definition, Function, Module, Region, RegionId, Rhs, Value, ValueDef,
    ValueId,
};
use crate::types::{ConstId, ConstPool};
use indexmap::IndexMap;
use la_arena::{Arena, ArenaMap};
use smallvec::SmallVec;

impl Module {
    /// Rebuilds the arenas of all functions without what is dead, and the constant pool without what no function
    /// names. Ids from before mean nothing afterwards; the text is the same but for the numbers of constants.
    pub fn compact(&mut self) {
        let mut constants = ConstPool::default();
        let mut ids: IndexMap<ConstId, ConstId> = IndexMap::new();
        for definition in self.definitions.values_mut() {
            let Definition::Function(function) = definition else { continue };
            function.compact();
            let defaults = function.params.iter_mut().filter_map(|it| it.default.as_mut());
            let named = function.bindings.iter_mut().filter_map(|(_, it)| match &mut it.rhs {
                Rhs::Constant(id) => Some(id),
                _ => None,
            });
            for id in defaults.chain(named) {
                *id = *ids.entry(*id).or_insert_with(|| constants.adopt(&self.constants, *id));
            }
        }
        self.constants = constants;
    }
}

impl Function {
    /// Rebuilds the arenas without what is dead, in program order.
    pub fn compact(&mut self) {
        let mut compactor = Compactor {
            old: self,
            values: Arena::new(),
            bindings: Arena::new(),
            blocks: Arena::new(),
            regions: Arena::new(),
            map: ArenaMap::default(),
        };
        let params: Vec<ValueId> = compactor.old.params.iter().map(|it| it.value).collect::<Vec<_>>();
        let params: Vec<ValueId> =
            (0..).zip(params).map(|(i, it)| compactor.value(it, ValueDef::Param(i))).collect();
        let body = compactor.region(compactor.old.body);
        let Compactor { values, bindings, blocks, regions, .. } = compactor;
        for (param, value) in self.params.iter_mut().zip(params) {
            param.value = value;
        }
        (self.values, self.bindings, self.blocks, self.regions, self.body) =
            (values, bindings, blocks, regions, body);
    }
}

struct Compactor<'f> {
    old: &'f Function,
    values: Arena<Value>,
    bindings: Arena<Binding>,
    blocks: Arena<Block>,
    regions: Arena<Region>,
    map: ArenaMap<ValueId, ValueId>,
}

impl Compactor<'_> {
    fn value(&mut self, value: ValueId, def: ValueDef) -> ValueId {
        let new = self.values.alloc(Value { def, ..self.old.values[value].clone() });
        self.map.insert(value, new);
        new
    }

    /// The new id of a value; one that breaks law F1 gets an id too, so that the verifier can still report it.
    fn mapped(&mut self, value: ValueId) -> ValueId {
        match self.map.get(value) {
            Some(new) => *new,
            None => self.value(value, self.old.values[value].def),
        }
    }

    fn region(&mut self, id: RegionId) -> RegionId {
        let old = &self.old.regions[id];
        let new = self.regions.alloc(Region::default());
        let params =
            (0..).zip(&old.params).map(|(i, it)| self.value(*it, ValueDef::RegionParam(new, i))).collect();
        self.regions[new].params = params;
        let blocks = old.blocks.iter().map(|it| self.block(*it)).collect();
        let results = old.results.iter().map(|it| self.mapped(*it)).collect();
        self.regions[new].blocks = blocks;
        self.regions[new].results = results;
        new
    }

    fn block(&mut self, id: BlockId) -> BlockId {
        let old = &self.old.blocks[id];
        let order = old.order.iter().map(|it| self.binding(*it)).collect();
        self.blocks.alloc(Block { kind: old.kind, order })
    }

    fn binding(&mut self, id: BindingId) -> BindingId {
        let old = &self.old.bindings[id];
        let mut rhs = old.rhs.clone();
        rhs.map_operands(&mut |it| self.mapped(it));
        match &mut rhs {
            Rhs::If { then_region, else_region, .. } => {
                *then_region = self.region(*then_region);
                *else_region = self.region(*else_region);
            }
            Rhs::While { cond, body, .. } => {
                *cond = self.region(*cond);
                *body = self.region(*body);
            }
            _ => {}
        }
        let new = self.bindings.alloc(Binding { results: SmallVec::new(), rhs, source: old.source.clone() });
        let results =
            (0..).zip(&old.results).map(|(i, it)| self.value(*it, ValueDef::Result(new, i))).collect();
        self.bindings[new].results = results;
        new
    }
}
