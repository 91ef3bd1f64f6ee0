//! The editor: how a function changes once it is built.
//!
//! # Laws
//! * **E1** A dataflow block takes nothing with effects but the possibility to abort, and no control flow (laws F4, F5).
//! * **E2** What replaces a value is its operand everywhere; uses are counted exactly, at any time.
//! * **E3** A value that is used outside of the block that defines it is of scope `Region` (law F3).
//! * **E4** A function declares the effects of what is put into it (law F12). One that declared no more than it had declares
//!   no more than is left.
//! * **E5** A binding has types when it is there, and a check in front of it for each equality that they need (law F6).
//! * **E6** An edit takes as long as what it changes: an operand, a use, a result.

mod change;
mod emit;
mod module;

use super::dead::binds;
use super::{
    Binding, BindingId, BlockId, BlockKind, Definition, Function, Parameter, Region, RegionId, Rhs, Value,
    ValueId,
};
use crate::ops::OpRegistry;
use crate::order::Sequences;
use crate::shape::{ShapeCx, Sym};
use crate::types::{ConstPool, Source, TensorData, Type};
use change::{Use, User};
use emit::Point;
use indexmap::{IndexMap, IndexSet};
use la_arena::ArenaMap;

/// Edits one function; see [`Module::edit`](super::Module::edit).
///
/// New bindings go to the insertion point: [`before`](Self::before) or [`after`](Self::after) a binding, whose source
/// they have.
pub struct Editor<'m> {
    ops: &'m OpRegistry,
    /// Where dimensions live.
    pub shapes: &'m mut ShapeCx,
    constants: &'m mut ConstPool,
    /// What calls may name; something of the same type stands for the edited function.
    definitions: &'m mut IndexMap<String, Definition>,
    function: &'m mut Function,
    /// Live blocks with their regions in program order.
    blocks: Vec<(RegionId, BlockId)>,
    /// The region of each live block.
    regions: ArenaMap<BlockId, RegionId>,
    /// Regions that are not removed.
    live: IndexSet<RegionId>,
    /// Bindings in order, a sequence for each block; the blocks themselves hold none meanwhile.
    order: Sequences<Binding>,
    /// Uses of each value, and some that are none any more.
    users: ArenaMap<ValueId, Vec<Use>>,
    /// How many uses there are.
    counts: ArenaMap<ValueId, usize>,
    point: Option<Point>,
    source: Source,
}

impl<'m> Editor<'m> {
    fn new(
        ops: &'m OpRegistry,
        shapes: &'m mut ShapeCx,
        constants: &'m mut ConstPool,
        definitions: &'m mut IndexMap<String, Definition>,
        function: &'m mut Function,
    ) -> Self {
        let mut editor = Editor {
            ops,
            shapes,
            constants,
            definitions,
            blocks: function.live_blocks(),
            regions: ArenaMap::default(),
            live: IndexSet::new(),
            order: Sequences::new(function.blocks.len()),
            users: ArenaMap::default(),
            counts: ArenaMap::default(),
            point: None,
            source: Source::default(),
            function,
        };
        let live = &mut editor.live;
        editor.function.visit_regions(&mut |it| {
            live.insert(it);
        });
        for region in editor.live.clone() {
            for (place, value) in editor.function.regions[region].results.clone().into_iter().enumerate() {
                editor.add_use(value, Use { user: User::Region(region), place });
            }
        }
        for (region, block) in editor.blocks.clone() {
            editor.regions.insert(block, region);
            for id in std::mem::take(&mut editor.function.blocks[block].order) {
                editor.order.insert(id, None, number(block));
                editor.add_uses(id);
            }
        }
        editor
    }

    /// Puts the order back into the blocks.
    fn finish(self) {
        for (_, block) in &self.blocks {
            self.function.blocks[*block].order = self.order.iter(number(*block)).collect();
        }
    }

    /// The operator table.
    pub fn ops(&self) -> &'m OpRegistry {
        self.ops
    }

    /// The constants.
    pub fn constants(&self) -> &ConstPool {
        self.constants
    }

    /// What calls may name.
    pub fn definitions(&self) -> &IndexMap<String, Definition> {
        self.definitions
    }

    /// The body of the function.
    pub fn body(&self) -> RegionId {
        self.function.body
    }

    /// The parameters of the function.
    pub fn params(&self) -> &[Parameter] {
        &self.function.params
    }

    /// A region; its blocks hold their bindings when the editor is gone, see [`order`](Self::order).
    pub fn region(&self, id: RegionId) -> &Region {
        &self.function.regions[id]
    }

    /// The blocks in program order; a block comes before those nested in it.
    pub fn blocks(&self) -> Vec<BlockId> {
        self.blocks.iter().map(|(_, block)| *block).collect()
    }

    /// What a block admits.
    pub fn kind(&self, block: BlockId) -> BlockKind {
        self.function.blocks[block].kind
    }

    /// The bindings of a block in order, as they are now.
    pub fn order(&self, block: BlockId) -> Vec<BindingId> {
        self.order.iter(number(block)).collect()
    }

    /// All bindings, block by block, as they are now.
    pub fn bindings(&self) -> Vec<BindingId> {
        self.blocks.iter().flat_map(|(_, block)| self.order.iter(number(*block))).collect()
    }

    /// A binding.
    pub fn binding(&self, id: BindingId) -> &Binding {
        &self.function.bindings[id]
    }

    /// The block that a binding is in; none once it is removed.
    pub fn block_of(&self, id: BindingId) -> Option<BlockId> {
        self.order.of(id).map(|it| BlockId::from_raw(la_arena::RawIdx::from_u32(it as u32)))
    }

    /// A value.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.function.values[id]
    }

    /// The type of a value.
    pub fn type_of(&self, value: ValueId) -> &Type {
        &self.function.values[value].ty
    }

    /// The right-hand side that defines a value; `None` for parameters.
    pub fn defining_rhs(&self, value: ValueId) -> Option<&Rhs> {
        self.function.defining_rhs(value)
    }

    /// The data of a value that is bound to a constant.
    pub fn constant_data(&self, value: ValueId) -> Option<&TensorData> {
        match self.defining_rhs(value)? {
            Rhs::Constant(id) => Some(self.constants.data(*id)),
            _ => None,
        }
    }

    /// How often a value is used: operands and results of regions.
    pub fn uses(&self, value: ValueId) -> usize {
        self.counts.get(value).copied().unwrap_or(0)
    }

    /// Symbols that the results of a binding bind; see [`Function::binds`].
    pub fn binds(&self, id: BindingId) -> IndexSet<Sym> {
        binds(self.shapes, self.function, self.binding(id))
    }
}

fn number(block: BlockId) -> usize {
    block.into_raw().into_u32() as usize
}
