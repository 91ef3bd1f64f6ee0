//! The data of a call plan.

use super::object::{Object, ObjectId, ObjectOp};
use crate::kernel::Kernel;
use crate::shape::{Constraint, Dim, Overflow, ShapeCx, Sym};
use crate::types::{ConstId, ConstPool, DType, Dims, Source};
use indexmap::IndexMap;
use std::sync::Arc;

/// Alignment of slots, outputs and constants, in bytes.
pub const ALIGNMENT: u64 = 64;

/// A kernel of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KernelId(pub u32);

/// An arena of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArenaId(pub u32);

/// A slot of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(pub u32);

/// A function of the module that the plan belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionId(pub u32);

/// A model input.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanInput {
    /// Name the user sees.
    pub name: String,
    /// What it is.
    pub kind: InputKind,
}

/// What an input is.
#[derive(Clone, Debug, PartialEq)]
pub enum InputKind {
    /// A tensor.
    Tensor(TensorInput),
    /// The object that is in this place from entry on; its kind is checked on entry.
    Object(ObjectId),
}

/// An input that is a tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInput {
    /// Element type.
    pub dtype: DType,
    /// Dimensions; checked on entry.
    pub dims: Dims,
    /// What the input is when the caller leaves it out, or gives nothing for it.
    pub default: Option<ConstId>,
}

impl PlanInput {
    /// A tensor.
    pub fn new(name: impl Into<String>, dtype: DType, dims: Dims) -> Self {
        PlanInput { name: name.into(), kind: InputKind::Tensor(TensorInput { dtype, dims, default: None }) }
    }

    /// The same tensor with this default.
    #[must_use]
    pub fn with_default(mut self, default: Option<ConstId>) -> Self {
        if let InputKind::Tensor(it) = &mut self.kind {
            it.default = default;
        }
        self
    }

    /// The tensor, if it is one.
    pub fn tensor(&self) -> Option<&TensorInput> {
        match &self.kind {
            InputKind::Tensor(it) => Some(it),
            InputKind::Object(_) => None,
        }
    }

    /// The default of a tensor.
    pub fn default_value(&self) -> Option<ConstId> {
        self.tensor()?.default
    }

    /// Dimensions of a tensor; an object has none.
    pub fn dims(&self) -> &[Dim] {
        self.tensor().map_or(&[], |it| &it.dims)
    }
}

/// A model output.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanOutput {
    /// Name the user sees.
    pub name: String,
    /// What it is.
    pub kind: OutputKind,
}

/// What an output is.
#[derive(Clone, Debug, PartialEq)]
pub enum OutputKind {
    /// A tensor.
    Tensor(TensorOutput),
    /// The object that is in this place at the end.
    Object(ObjectId),
}

impl PlanOutput {
    /// A new tensor.
    pub fn new(name: impl Into<String>, dtype: DType, dims: Dims) -> Self {
        let kind = OutputKind::Tensor(TensorOutput { dtype, dims, over: None, rank: None });
        PlanOutput { name: name.into(), kind }
    }

    /// The tensor, if it is one.
    pub fn tensor(&self) -> Option<&TensorOutput> {
        match &self.kind {
            OutputKind::Tensor(it) => Some(it),
            OutputKind::Object(_) => None,
        }
    }

    /// The input that it lies over.
    pub fn over(&self) -> Option<u32> {
        self.tensor()?.over
    }

    /// The sizes that must be known when it is made: dimensions and rank of a tensor.
    pub fn sizes(&self) -> impl Iterator<Item = Dim> + '_ {
        self.tensor().into_iter().flat_map(|it| it.dims.iter().copied().chain(it.rank))
    }
}

/// An output that is a tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorOutput {
    /// Element type.
    pub dtype: DType,
    /// Dimensions, over symbols that are bound when [`Step::AllocOutput`] runs.
    pub dims: Dims,
    /// For the new value of state, the input in whose memory it lies: the caller's is written in place, and nothing is
    /// returned.
    pub over: Option<u32>,
    /// How many of them the output has, when that is decided by the call; the others are 1.
    pub rank: Option<Dim>,
}

/// `symbol = dimension `axis` of input `input``.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeBinding {
    /// The symbol.
    pub symbol: Sym,
    /// Which input.
    pub input: u32,
    /// Which of its dimensions.
    pub axis: u32,
}

/// A relation between dimensions that must hold at run time.
#[derive(Clone, Debug, PartialEq)]
pub struct ShapeCheck {
    /// What must hold.
    pub constraint: Constraint,
    /// Sentence for the user, without actual values.
    pub message: String,
    /// Where the check comes from.
    pub source: Source,
}

impl ShapeCheck {
    /// What an error says: the first of what the check comes from, and the message.
    pub fn sentence(&self) -> String {
        match self.source.names().next() {
            None => self.message.clone(),
            Some(source) => format!("{source}: {}", self.message),
        }
    }
}

/// A block of memory that lives from its [`Step::AllocArena`] to the end of the call.
#[derive(Clone, Debug, PartialEq)]
pub struct Arena {
    /// Size in bytes, a multiple of [`ALIGNMENT`].
    pub bytes: Dim,
    /// The sizes of the parts that it is made of, in order. A slot that starts where a part starts, and is no larger, is
    /// apart from what lies in other parts: this is how whoever laid out the memory says why. May be empty.
    pub parts: Vec<Dim>,
}

/// A part of an arena that holds one tensor; its size follows from the type of that.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// Element type.
    pub dtype: DType,
    /// Dimensions, over symbols that are bound when the arena is allocated. None is negative, at any sizes.
    pub dims: Dims,
    /// Where it lies.
    pub arena: ArenaId,
    /// Offset in bytes.
    pub offset: Dim,
}

impl Slot {
    /// Size in bytes.
    ///
    /// # Errors
    /// A size beyond 64 bits.
    pub fn bytes(&self, shapes: &mut ShapeCx) -> Result<Dim, Overflow> {
        byte_size(shapes, self.dtype, &self.dims)
    }
}

/// Bytes of a tensor.
///
/// # Errors
/// A size beyond 64 bits.
pub fn byte_size(shapes: &mut ShapeCx, dtype: DType, dims: &[Dim]) -> Result<Dim, Overflow> {
    let elements = shapes.product(dims)?;
    shapes.scale(elements, dtype.size() as i64)
}

/// What a function is called with.
#[derive(Clone, Debug, PartialEq)]
pub enum Arg {
    /// A tensor.
    View(View),
    /// An object.
    Object(ObjectId),
}

/// A buffer seen under a shape.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The buffer.
    pub place: BufferRef,
    /// Its dimensions for the function; as many bytes as the buffer has.
    pub dims: Dims,
}

/// `symbol = dimension `axis` of result `result`` of a call of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResultBinding {
    /// The symbol.
    pub symbol: Sym,
    /// Which result.
    pub result: u32,
    /// Which of its dimensions.
    pub axis: u32,
}

/// Memory that a step reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BufferRef {
    /// Data of a model input.
    Input(u32),
    /// Data of a model output.
    Output(u32),
    /// A slot.
    Slot(SlotId),
    /// A constant.
    Constant(ConstId),
    /// Data of a tensor object.
    Object(ObjectId),
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Gets the memory of an arena. Its size is known here. May run again in a later iteration of a loop: the
    /// memory is then reused or replaced.
    AllocArena(ArenaId),
    /// Makes output `i`; its dimensions are known here.
    AllocOutput(u32),
    /// Runs a kernel: a program, a routine, or a function of the host.
    Kernel {
        /// Kernel.
        kernel: KernelId,
        /// A buffer for each of its parameters.
        args: Vec<BufferRef>,
        /// Values of its sizes.
        sizes: Vec<Dim>,
        /// Where the call comes from; the error of a kernel that aborts says so.
        source: Source,
    },
    /// Calls a function of the module, which checks its arguments as for any caller. It has memory of its own, and
    /// its results are objects.
    Invoke {
        /// Function.
        function: FunctionId,
        /// One for each of its inputs.
        args: Vec<Arg>,
        /// One for each of its outputs.
        results: Vec<ObjectId>,
        /// Symbols that the dimensions of results bind. All other dimensions are checked.
        bindings: Vec<ResultBinding>,
        /// Where the call comes from.
        source: Source,
    },
    /// Makes, reads or changes objects.
    Object {
        /// What is done.
        op: ObjectOp,
        /// Where it comes from.
        source: Source,
    },
    /// What is in one buffer is from now on in another one that lies at the same place. Costs nothing.
    Move {
        /// What is no more.
        from: BufferRef,
        /// What holds its bytes.
        to: BufferRef,
    },
    /// Copies bytes between buffers that do not overlap.
    Copy {
        /// Source.
        from: BufferRef,
        /// Destination.
        to: BufferRef,
        /// How many.
        bytes: Dim,
    },
    /// `symbol = element `element` of `from``, an integer or boolean buffer.
    Bind {
        /// The symbol.
        symbol: Sym,
        /// Buffer.
        from: BufferRef,
        /// Its element type.
        dtype: DType,
        /// Which element, row-major.
        element: u64,
        /// Where it comes from.
        source: Source,
    },
    /// `symbol = value`.
    Let {
        /// The symbol.
        symbol: Sym,
        /// Its value.
        value: Dim,
        /// Where it comes from.
        source: Source,
    },
    /// Ends the call with an error when it does not hold.
    Check(ShapeCheck),
    /// A branch.
    If {
        /// What decides.
        cond: Condition,
        /// Steps when true.
        then_steps: Vec<Step>,
        /// Steps when false.
        else_steps: Vec<Step>,
    },
    /// Repeats: `cond_steps`, leave when the boolean `cond` is false, `body`.
    While {
        /// Steps that compute the condition.
        cond_steps: Vec<Step>,
        /// A boolean buffer of one element.
        cond: BufferRef,
        /// One iteration.
        body: Vec<Step>,
    },
}

impl Step {
    /// Where it comes from; that of a step of memory, which its plan makes lawful, is not known.
    pub fn source(&self) -> Option<&Source> {
        match self {
            Step::Kernel { source, .. }
            | Step::Invoke { source, .. }
            | Step::Object { source, .. }
            | Step::Bind { source, .. }
            | Step::Let { source, .. } => Some(source),
            Step::Check(check) => Some(&check.source),
            Step::AllocArena(_)
            | Step::AllocOutput(_)
            | Step::Move { .. }
            | Step::Copy { .. }
            | Step::If { .. }
            | Step::While { .. } => None,
        }
    }
}

/// What a branch is decided by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// A boolean buffer of one element.
    Buffer(BufferRef),
    /// Whether all of these hold of the sizes at that point. A version of a kernel that is right for some sizes alone
    /// is chosen by it.
    Sizes(Vec<Constraint>),
}

/// One function.
#[derive(Clone, Debug, Default)]
pub struct CallPlan {
    /// Name; the exported symbol is derived from it.
    pub name: String,
    /// Whether only functions of its module may call it.
    pub private: bool,
    /// Where all dimensions of the plan live. Its facts hold on entry: they are promises about the inputs, or checked
    /// by [`CallPlan::checks`].
    pub shapes: ShapeCx,
    /// Inputs in order; those with a default come last.
    pub inputs: Vec<PlanInput>,
    /// The function that takes the place of this one in a call that leaves all defaults as they are: it has the other
    /// inputs alone, and was made with the defaults as constants.
    pub at_defaults: Option<FunctionId>,
    /// Outputs in order.
    pub outputs: Vec<PlanOutput>,
    /// Symbols bound by input dimensions.
    pub bindings: Vec<SizeBinding>,
    /// Checked on entry, after the inputs themselves, before anything else.
    pub checks: Vec<ShapeCheck>,
    /// Constants, those of all functions of the module.
    pub constants: Arc<ConstPool>,
    /// Kernels, those of all functions of the module.
    pub kernels: Arc<Vec<Kernel>>,
    /// Arenas.
    pub arenas: Vec<Arena>,
    /// Slots.
    pub slots: Vec<Slot>,
    /// Objects.
    pub objects: Vec<Object>,
    /// The program.
    pub steps: Vec<Step>,
}

impl CallPlan {
    /// How many inputs a caller must give.
    pub fn required(&self) -> usize {
        self.inputs.iter().take_while(|it| it.default_value().is_none()).count()
    }

    /// Inputs that are state, each with the output that lies over it.
    pub fn renewals(&self) -> IndexMap<u32, u32> {
        let mut renewals = IndexMap::new();
        for (output, input) in (0..).zip(&self.outputs).filter_map(|(i, it)| Some((i, it.over()?))) {
            // More than one breaks law P12.
            renewals.entry(input).or_insert(output);
        }
        renewals
    }

    /// Whether two buffers begin at one address, by how they are declared. Two ways to write one offset are not seen
    /// as the same.
    pub fn same_place(&self, a: BufferRef, b: BufferRef) -> bool {
        let place = |it: BufferRef| match it {
            BufferRef::Output(i) => match self.outputs.get(i as usize).and_then(|it| it.over()) {
                Some(input) => (BufferRef::Input(input), None),
                None => (it, None),
            },
            BufferRef::Slot(id) => match self.slots.get(id.0 as usize) {
                Some(slot) => (it, Some((slot.arena, slot.offset))),
                None => (it, None),
            },
            BufferRef::Input(_) | BufferRef::Constant(_) | BufferRef::Object(_) => (it, None),
        };
        match (place(a), place(b)) {
            ((_, Some(a)), (_, Some(b))) => a == b,
            ((a, _), (b, _)) => a == b,
        }
    }

    /// The element type of a place; `None` for one that is not there or holds no tensor.
    pub fn dtype(&self, place: BufferRef) -> Option<DType> {
        Some(match place {
            BufferRef::Input(i) => self.inputs.get(i as usize)?.tensor()?.dtype,
            BufferRef::Output(i) => self.outputs.get(i as usize)?.tensor()?.dtype,
            BufferRef::Slot(id) => self.slots.get(id.0 as usize)?.dtype,
            BufferRef::Constant(id) => {
                self.constants.contains(id).then(|| self.constants.data(id).dtype())?
            }
            BufferRef::Object(id) => self.objects.get(id.0 as usize)?.tensor()?.dtype,
        })
    }

    /// The dimensions of a place, those of a constant interned in `shapes`, a copy of the plan's context; `None` for
    /// one that is not there or holds no tensor of known dimensions.
    pub fn dims(&self, place: BufferRef, shapes: &mut ShapeCx) -> Option<Dims> {
        Some(match place {
            BufferRef::Input(i) => self.inputs.get(i as usize)?.tensor()?.dims.clone(),
            BufferRef::Output(i) => self.outputs.get(i as usize)?.tensor()?.dims.clone(),
            BufferRef::Slot(id) => self.slots.get(id.0 as usize)?.dims.clone(),
            BufferRef::Object(id) => self.objects.get(id.0 as usize)?.dims()?.into(),
            BufferRef::Constant(id) => {
                let data = self.constants.contains(id).then(|| self.constants.data(id))?;
                let dims = data.dims().iter().map(|it| Some(shapes.int(i64::try_from(*it).ok()?)));
                dims.collect::<Option<Dims>>()?
            }
        })
    }
}
