//! The data of the dataflow-block IR.

use crate::kernel::Kernel;
use crate::ops::OpId;
use crate::shape::{Constraint, Dim, ShapeCx};
use crate::types::{Attrs, ConstId, ConstPool, Effects, Source, Type};
use indexmap::IndexMap;
use la_arena::{Arena, Idx};
use smallvec::SmallVec;
use std::ops::Index;

/// A value, printed `%7`.
pub type ValueId = Idx<Value>;
/// A binding.
pub type BindingId = Idx<Binding>;
/// A block, printed `^2`.
pub type BlockId = Idx<Block>;
/// A region.
pub type RegionId = Idx<Region>;

/// A module: functions and kernels that share one shape context and one constant pool.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// Name, not empty in printed modules.
    pub name: String,
    /// Where every dimension of every type lives.
    pub shapes: ShapeCx,
    /// Constants of all functions.
    pub constants: ConstPool,
    /// Definitions by name, in order.
    pub(super) definitions: IndexMap<String, Definition>,
}

/// What a module defines.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a module has few definitions and moves none of them often")]
pub enum Definition {
    /// A function of this IR.
    Function(Function),
    /// A kernel of any kind.
    Kernel(Kernel),
}

/// A parameter of a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Name the user sees.
    pub name: String,
    /// The value it defines.
    pub value: ValueId,
    /// What it is when a caller from outside leaves it out.
    pub default: Option<ConstId>,
}

/// A named result of a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Name the user sees.
    pub name: String,
    /// It is no output of its own but the rank, an integer of rank 0, of the one before it. That one has as many
    /// dimensions as the rank says; those that its type has after them are 1.
    pub gives_rank: bool,
}

impl Output {
    /// An output.
    pub fn new(name: impl Into<String>) -> Self {
        Output { name: name.into(), gives_rank: false }
    }
}

/// A function: parameters and a body region; its results are the body's results.
///
/// A builder, the parser or an [`Editor`](super::Editor) writes one; everybody else reads: `function[id]` is the value,
/// binding, block or region of that id.
#[derive(Clone, Debug)]
pub struct Function {
    pub(super) params: Vec<Parameter>,
    pub(super) outputs: Vec<Output>,
    pub(super) effects: Effects,
    pub(super) private: bool,
    pub(super) body: RegionId,
    /// All values, also dead ones.
    pub(super) values: Arena<Value>,
    /// All bindings, also dead ones.
    pub(super) bindings: Arena<Binding>,
    /// All blocks.
    pub(super) blocks: Arena<Block>,
    /// All regions.
    pub(super) regions: Arena<Region>,
}

impl Function {
    /// Parameters in order.
    pub fn params(&self) -> &[Parameter] {
        &self.params
    }

    /// Result names in order.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// What a call may do.
    pub fn effects(&self) -> Effects {
        self.effects
    }

    /// Whether only functions of its module may call it.
    pub fn is_private(&self) -> bool {
        self.private
    }

    /// The body.
    pub fn body(&self) -> RegionId {
        self.body
    }

    /// What the function returns.
    pub fn results(&self) -> &[ValueId] {
        &self.regions[self.body].results
    }
}

impl Index<ValueId> for Function {
    type Output = Value;

    fn index(&self, id: ValueId) -> &Value {
        &self.values[id]
    }
}

impl Index<BindingId> for Function {
    type Output = Binding;

    fn index(&self, id: BindingId) -> &Binding {
        &self.bindings[id]
    }
}

impl Index<BlockId> for Function {
    type Output = Block;

    fn index(&self, id: BlockId) -> &Block {
        &self.blocks[id]
    }
}

impl Index<RegionId> for Function {
    type Output = Region;

    fn index(&self, id: RegionId) -> &Region {
        &self.regions[id]
    }
}

/// Blocks in program order, with parameters (carried values of a loop) and results.
#[derive(Clone, Debug, Default)]
pub struct Region {
    /// Values defined on entry: the carried values of a `While`; empty elsewhere.
    pub params: Vec<ValueId>,
    /// Blocks in order.
    pub blocks: Vec<BlockId>,
    /// What the region returns.
    pub results: Vec<ValueId>,
}

/// What a block admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// Pure bindings (`ABORT` allowed), no control flow; order carries no meaning beyond definition before use.
    Dataflow,
    /// Anything; program order is meaning.
    Effect,
}

/// A block.
#[derive(Clone, Debug)]
pub struct Block {
    /// What it admits.
    pub kind: BlockKind,
    /// Its bindings in order. A binding that is in no order is dead.
    pub order: Vec<BindingId>,
}

/// Where a value may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Only in the dataflow block that defines it.
    BlockLocal,
    /// In its region and in regions nested in it.
    Region,
}

/// A value: one annotation, one definition.
#[derive(Clone, Debug)]
pub struct Value {
    /// The annotation.
    pub ty: Type,
    /// Where it comes from.
    pub def: ValueDef,
    /// Where it may be used.
    pub scope: Scope,
    /// Name in the source or text, without `%`; printed when it is an identifier and unique.
    pub name: Option<String>,
}

/// The definition of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueDef {
    /// Parameter of the function.
    Param(u32),
    /// Parameter of a region.
    RegionParam(RegionId, u32),
    /// Result of a binding.
    Result(BindingId, u32),
}

/// One or more values bound to a right-hand side.
#[derive(Clone, Debug)]
pub struct Binding {
    /// Values it defines.
    pub results: SmallVec<[ValueId; 1]>,
    /// What they are.
    pub rhs: Rhs,
    /// Where it comes from.
    pub source: Source,
}

/// A right-hand side.
#[derive(Clone, Debug)]
pub enum Rhs {
    /// An operator of the registry.
    Op {
        /// Operator.
        op: OpId,
        /// Attributes.
        attrs: Attrs,
        /// Operands.
        args: SmallVec<[ValueId; 3]>,
    },
    /// A constant of the module's pool.
    Constant(ConstId),
    /// A call of something that the module defines: a kernel, which gives a result for each buffer that it writes, or
    /// a function.
    Call {
        /// Name of a [`Definition`].
        callee: String,
        /// What it reads: one for each parameter of a function, or of a kernel that reads it.
        args: SmallVec<[ValueId; 3]>,
        /// Values of a kernel's sizes; a function has none.
        sizes: SmallVec<[Dim; 4]>,
    },
    /// The bytes of a value under another shape of the same size. What legalisation leaves of `reshape` and its
    /// kin: a change of type that moves nothing.
    View {
        /// Value.
        value: ValueId,
        /// Type of the result.
        ty: Type,
    },
    /// Checks that a value has a type, and binds the type's new symbols from its dimensions and elements.
    MatchCast {
        /// Value.
        value: ValueId,
        /// The asserted type; also the type of the result.
        ty: Type,
    },
    /// Checks a relation between dimensions; no results.
    Check {
        /// What must hold.
        constraint: Constraint,
        /// Clause for the error message.
        message: String,
    },
    /// A tuple.
    Tuple(SmallVec<[ValueId; 3]>),
    /// Element of a tuple.
    Get {
        /// The tuple.
        tuple: ValueId,
        /// Which element.
        index: u32,
    },
    /// A two-way branch on a boolean scalar. Symbols in result types that no earlier construct binds are bound
    /// here, from whichever branch runs.
    If {
        /// Condition: a boolean tensor of one element.
        cond: ValueId,
        /// Runs when true.
        then_region: RegionId,
        /// Runs when false.
        else_region: RegionId,
    },
    /// A loop. Both regions have the carried values as parameters; `cond` returns one boolean scalar, `body`
    /// the next carried values. Results are the last carried values.
    While {
        /// Initial carried values.
        init: SmallVec<[ValueId; 3]>,
        /// Decides whether to go on.
        cond: RegionId,
        /// One iteration.
        body: RegionId,
    },
}
