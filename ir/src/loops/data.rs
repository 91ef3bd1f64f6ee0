//! The data of tensor programs.

use crate::scalar::{BinaryOp, CompareOp, UnaryOp};
use crate::shape::{Dim, ShapeCx, Sym};
use crate::types::{DType, Dims};
use la_arena::{Arena, Idx};
use smallvec::SmallVec;

/// A buffer, printed `%name`.
pub type BufferId = Idx<Buffer>;
/// An expression node.
pub type ExprId = Idx<Expr>;

/// Who owns a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BufferRole {
    /// Read-only parameter.
    Input,
    /// Parameter that the program updates: it reads what is there, and elements that it does not store stay.
    InOut,
    /// Parameter that the program fills.
    Output,
    /// Scratch of one run of the program.
    Local,
}

impl BufferRole {
    /// Roles of parameters, in the order in which they are listed (law L7).
    pub const PARAMS: [BufferRole; 3] = [BufferRole::Input, BufferRole::InOut, BufferRole::Output];

    /// Whether a caller gives its contents.
    pub fn is_given(self) -> bool {
        matches!(self, BufferRole::Input | BufferRole::InOut)
    }

    /// Whether a caller gets its contents.
    pub fn is_result(self) -> bool {
        matches!(self, BufferRole::InOut | BufferRole::Output)
    }
}

/// A dense, row-major buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    /// Name, unique in the program.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Dimensions over the size parameters.
    pub dims: Dims,
    /// Who owns it.
    pub role: BufferRole,
}

/// One dimension of an index.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Index {
    /// An expression over axes, loop variables and sizes.
    Dim(Dim),
    /// An integer computed from data, which is clamped into the dimension, or in a load with a guard (law L11).
    Value(ExprId),
    /// An integer from data that is checked: of `n` elements −n to n − 1 are in range, and negative ones count from
    /// the end. Any other ends the program with an error before the access, guarded or not.
    Checked(ExprId),
}

/// A scalar expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// An index expression as a value of an integer type.
    Dim(Dim, DType),
    /// A constant; integers are exact up to 2^53, larger ones are `Int`.
    Float(f64, DType),
    /// An integer or boolean (0 or 1) constant.
    Int(i64, DType),
    /// An element of a buffer. With `otherwise`, an index out of range gives that value instead (padding).
    Load {
        /// Buffer.
        buffer: BufferId,
        /// One index a dimension.
        at: SmallVec<[Index; 4]>,
        /// Value when any index is out of range; without it, indices are in range.
        otherwise: Option<ExprId>,
    },
    /// One operand.
    Unary(UnaryOp, ExprId),
    /// Two operands of one type.
    Binary(BinaryOp, ExprId, ExprId),
    /// A comparison of two operands of one type; a boolean.
    Compare(CompareOp, ExprId, ExprId),
    /// `if cond { a } else { b }`; both sides may be evaluated.
    Select(ExprId, ExprId, ExprId),
    /// Conversion, the same everywhere: in scalar and vector code, in the interpreter, when folded.
    /// Float to integer truncates towards zero and saturates at the ends of the type; NaN becomes 0.
    /// Integer to integer keeps the low bits. To float: the nearest value, ties to even, rounded once;
    /// a number beyond the largest of 8 bits becomes that one. To bool: `!= 0`.
    Cast(DType, ExprId),
}

/// One loop of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Its symbol, running from 0 to `extent` − 1.
    pub var: Sym,
    /// Number of iterations, over size parameters and enclosing loop variables.
    pub extent: Dim,
}

/// How a reduction combines values, with its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Combine {
    /// Identity 0.
    Sum,
    /// Identity 1.
    Product,
    /// Identity −∞ (lowest integer, false); NaN wins.
    Max,
    /// Identity +∞ (highest integer, true); NaN wins.
    Min,
}

/// For every point of `axes`: `buffer[at] = combine over reduce of value`, or `= value` without a reduction.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Axes whose iterations are independent.
    pub axes: SmallVec<[Axis; 4]>,
    /// Reduction axes; empty exactly when `combine` is `None`.
    pub reduce: SmallVec<[Axis; 3]>,
    /// How the reduction combines.
    pub combine: Option<Combine>,
    /// Where the result goes.
    pub buffer: BufferId,
    /// Where in the buffer, over `axes`, loop variables and sizes (and data, for scatter).
    pub at: SmallVec<[Index; 4]>,
    /// The element, or the summand.
    pub value: ExprId,
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Stmt {
    /// A stage.
    Stage(Stage),
    /// Statements repeated in order for `axis.var` = 0, 1, …
    For {
        /// The loop.
        axis: Axis,
        /// Its body.
        body: Vec<Stmt>,
    },
}

/// A kernel.
#[derive(Clone, Debug, Default)]
pub struct TensorProgram {
    /// Name.
    pub name: String,
    /// Where all dimensions of this program live.
    pub shapes: ShapeCx,
    /// Size parameters; callers pass their values in this order.
    pub sizes: Vec<Sym>,
    /// Parameters: inputs, then those that are updated, then outputs.
    pub params: Vec<BufferId>,
    /// All buffers.
    pub buffers: Arena<Buffer>,
    /// All expressions.
    pub exprs: Arena<Expr>,
    /// The program.
    pub body: Vec<Stmt>,
}
