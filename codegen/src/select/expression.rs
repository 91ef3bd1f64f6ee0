//! Scalar expressions of tensor programs as vector code.

use indexmap::{IndexMap, IndexSet};
use orogen_ir::loops::{BinaryOp, Combine, CompareOp, Expr, ExprId, Stage, TensorProgram, UnaryOp};
use orogen_ir::types::DType;

use super::element::{Class, identity, integer_source, moves};
use crate::kernels::element::rounded;
use crate::vector::math::{self, BinaryFunction};
use crate::vector::{self, Builder, Compare, ShiftOp, VReg, Width};

/// A node of a vector expression, by its place.
pub(crate) type Node = usize;

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    /// The value of leaf `i`.
    Leaf(usize),
    /// A lane by its bits.
    Constant(u64),
    /// One that has vector code.
    Function(UnaryOp, Node),
    /// A float as an integer, truncated and saturated.
    ToInt(Node),
    /// An integer as a float.
    FromInt(Node),
    Binary(vector::BinaryOp, Node, Node),
    /// One of two operands that has vector code.
    BinaryFunction(BinaryFunction, Node, Node),
    Max(Node, Node),
    Min(Node, Node),
    /// A mask: all bits of a lane set or none.
    Compare(Compare, Node, Node),
    /// By mask.
    Blend(Node, Node, Node),
    /// A lane shifted by so many bits.
    Shift(ShiftOp, Node, u8),
    /// An instruction on each lane.
    Unary(vector::UnaryOp, Node),
    /// An `f32` rounded to what a narrower float holds.
    Rounded(DType, Node),
    /// One on 64-bit integers that is short where they are small.
    Wide(Wide, Node, Node),
}

/// An operation on 64-bit integers that is short where they are small (`wide`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wide {
    /// A quotient or remainder; what is divided by 0 gives anything.
    Divide(BinaryOp, DType),
    /// An integer as a float, rounded once if it is then rounded to a float type.
    FromInt(DType, DType),
    /// A float as an integer, truncated and saturated.
    ToInt,
}

/// The float that lanes of a width hold.
fn float_of(width: Width) -> Option<DType> {
    match width {
        Width::W8 | Width::W16 => None,
        Width::W32 => Some(DType::F32),
        Width::W64 => Some(DType::F64),
    }
}

/// Operations of a light expression.
const LIGHT: usize = 8;

/// Whether a function of a float gives one of the same type without rounding.
fn exact(op: UnaryOp) -> bool {
    use UnaryOp::{Abs, Ceil, Floor, IsInf, IsNan, Neg, Round, Sign, Trunc};
    matches!(op, Neg | Abs | Floor | Ceil | Round | Trunc | Sign | IsNan | IsInf)
}

/// What the operands of an expression become.
pub(crate) trait Leaves {
    /// The node of a load, or of a size as a number; `None` gives up.
    fn leaf(&mut self, expr: &mut VectorExpr, id: ExprId) -> Option<Node>;

    /// The node of a whole number that is made of sizes and axes, as an integer; `None` gives up.
    fn whole(&mut self, _expr: &mut VectorExpr, _id: ExprId) -> Option<Node> {
        None
    }

    /// The mask of a comparison of whole numbers that are made of sizes and axes; `None` if they are not, or do not fit.
    fn compare(&mut self, _expr: &mut VectorExpr, _op: CompareOp, _x: ExprId, _y: ExprId) -> Option<Node> {
        None
    }

    /// Whether a condition holds, where that is known.
    fn decide(&mut self, _condition: ExprId) -> Option<bool> {
        None
    }
}

/// Leaves by a function, nothing decided.
pub(crate) struct Load<'f>(pub(crate) &'f mut dyn FnMut(&mut VectorExpr, ExprId) -> Option<Node>);

impl Leaves for Load<'_> {
    fn leaf(&mut self, expr: &mut VectorExpr, id: ExprId) -> Option<Node> {
        (self.0)(expr, id)
    }
}

/// As [`Load`], of whole numbers too, which the last argument says.
pub(crate) struct LoadOrCount<'f>(
    pub(crate) &'f mut dyn FnMut(&mut VectorExpr, ExprId, bool) -> Option<Node>,
);

impl Leaves for LoadOrCount<'_> {
    fn leaf(&mut self, expr: &mut VectorExpr, id: ExprId) -> Option<Node> {
        (self.0)(expr, id, false)
    }

    fn whole(&mut self, expr: &mut VectorExpr, id: ExprId) -> Option<Node> {
        (self.0)(expr, id, true)
    }
}

/// An expression over leaves (loads, mostly), as a graph; equal nodes are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct VectorExpr {
    /// The width of the lanes.
    width: Width,
    pub(super) operations: IndexSet<Operation>,
}

impl PartialEq for VectorExpr {
    fn eq(&self, other: &Self) -> bool {
        // Operands are places, so the order counts.
        self.width == other.width && self.operations.as_slice() == other.operations.as_slice()
    }
}

impl VectorExpr {
    /// An empty expression over lanes of a width.
    pub(crate) fn of_width(width: Width) -> VectorExpr {
        VectorExpr { width, ..VectorExpr::default() }
    }

    pub(super) fn width(&self) -> Width {
        self.width
    }

    pub(super) fn push(&mut self, operation: Operation) -> Node {
        // Constants are compared by bits, so NaN does not matter here.
        self.operations.insert_full(operation).0
    }

    /// The value of leaf `i`.
    pub(crate) fn leaf(&mut self, i: usize) -> Node {
        self.push(Operation::Leaf(i))
    }

    /// A float.
    pub(crate) fn constant(&mut self, value: f64) -> Node {
        self.push(Operation::Constant(self.width.float(value)))
    }

    /// An integer.
    pub(super) fn bits(&mut self, value: i64) -> Node {
        self.push(Operation::Constant(self.width.int(value)))
    }

    /// A text that two expressions share exactly when they are equal.
    pub(crate) fn key(&self) -> String {
        format!("{:?} {:?}", self.width, self.operations.as_slice())
    }

    /// Whether it takes a few instructions.
    pub(crate) fn is_light(&self) -> bool {
        let heavy = |it: &Operation| match it {
            Operation::Function(function, _) => !exact(*function),
            Operation::BinaryFunction(..) | Operation::Wide(..) => true,
            _ => false,
        };
        self.operations.len() <= LIGHT && !self.operations.iter().any(heavy)
    }

    /// Appends code for `results`; `leaves` are the values of the leaves.
    pub(crate) fn emit(&self, b: &mut Builder, leaves: &[VReg], results: &[Node]) -> Vec<VReg> {
        let mut needed = vec![false; self.operations.len()];
        let mut stack = results.to_vec();
        while let Some(node) = stack.pop() {
            if !std::mem::replace(&mut needed[node], true) {
                stack.extend(self.operands(node));
            }
        }
        let mut values: Vec<Option<VReg>> = vec![None; self.operations.len()];
        for (node, operation) in self.operations.iter().enumerate() {
            if !needed[node] {
                continue;
            }
            let v = |node: Node| values[node].expect("operands come first");
            values[node] = Some(match *operation {
                Operation::Leaf(i) => leaves[i],
                Operation::Constant(bits) => b.constant_lane(bits),
                Operation::Function(function, x) => {
                    let code = math::code(function, self.width);
                    code.expect("only functions with vector code are added")(b, v(x))
                }
                Operation::ToInt(x) => math::to_int(b, v(x)),
                Operation::FromInt(x) => math::from_int(b, v(x)),
                Operation::Binary(op, x, y) => b.binary(op, v(x), v(y)),
                Operation::BinaryFunction(function, x, y) => function.emit(b, v(x), v(y)),
                Operation::Max(x, y) => b.max(v(x), v(y)),
                Operation::Min(x, y) => b.min(v(x), v(y)),
                Operation::Compare(op, x, y) => b.compare(op, v(x), v(y)),
                Operation::Blend(mask, yes, no) => match b.bits_of(v(mask)) {
                    Some(bits) => v(if bits & self.width.sign() != 0 { yes } else { no }),
                    None => b.blend(v(mask), v(yes), v(no)),
                },
                Operation::Shift(op, x, by) => b.shift(op, v(x), by),
                Operation::Unary(op, x) => b.unary(op, v(x)),
                Operation::Rounded(dtype, x) => rounded(b, dtype, v(x)),
                Operation::Wide(op, x, y) => op.emit(b, v(x), v(y)),
            });
        }
        results.iter().map(|it| values[*it].expect("results are needed")).collect()
    }

    pub(super) fn operands(&self, node: Node) -> Vec<Node> {
        match self.operations[node] {
            Operation::Leaf(_) | Operation::Constant(_) => Vec::new(),
            Operation::Function(_, x)
            | Operation::ToInt(x)
            | Operation::FromInt(x)
            | Operation::Shift(_, x, _)
            | Operation::Unary(_, x)
            | Operation::Rounded(_, x) => vec![x],
            Operation::Binary(_, x, y)
            | Operation::BinaryFunction(_, x, y)
            | Operation::Wide(_, x, y)
            | Operation::Max(x, y)
            | Operation::Min(x, y)
            | Operation::Compare(_, x, y) => vec![x, y],
            Operation::Blend(x, y, z) => vec![x, y, z],
        }
    }

    /// Adds an expression of a program; loads become what `load` says, `None` gives up.
    pub(crate) fn add(
        &mut self,
        program: &TensorProgram,
        root: ExprId,
        load: &mut dyn FnMut(&mut VectorExpr, ExprId) -> Option<Node>,
    ) -> Option<Node> {
        self.add_with(program, root, &mut Load(load))
    }

    /// Adds what a stage stores: what is moved as it is, a boolean as 0 or 1, and what the store rounds is not rounded
    /// before.
    pub(crate) fn add_stored(
        &mut self,
        program: &TensorProgram,
        stage: &Stage,
        leaves: &mut dyn Leaves,
    ) -> Option<Node> {
        let root = stage.value;
        if moves(program, stage) {
            return leaves.leaf(self, root);
        }
        let dtype = program.dtype_of(root);
        let mut short = false;
        let root = match &program.exprs[root] {
            Expr::Cast(_, x)
                if program.dtype_of(*x) == DType::F32 && dtype.is_float() && dtype.size() < 4 =>
            {
                short = true;
                *x
            }
            _ => root,
        };
        let value = match short {
            true => self.convert_short(program, root, leaves, &mut IndexMap::new())?,
            false => self.add_with(program, root, leaves)?,
        };
        if Class::of(dtype, self.width)? != Class::Mask {
            return Some(match self.operations[value] {
                Operation::Unary(vector::UnaryOp::ToSingle, exact) if dtype == DType::F32 => exact,
                _ => value,
            });
        }
        let one = self.bits(1);
        Some(self.push(Operation::Binary(vector::BinaryOp::And, value, one)))
    }

    /// As [`VectorExpr::add`], with the branches that are taken where conditions are decided.
    pub(crate) fn add_with(
        &mut self,
        program: &TensorProgram,
        root: ExprId,
        leaves: &mut dyn Leaves,
    ) -> Option<Node> {
        let mut known = IndexMap::new();
        self.convert(program, root, leaves, &mut known)
    }

    fn convert(
        &mut self,
        program: &TensorProgram,
        id: ExprId,
        leaves: &mut dyn Leaves,
        known: &mut IndexMap<ExprId, Node>,
    ) -> Option<Node> {
        if let Some(node) = known.get(&id) {
            return Some(*node);
        }
        let dtype = program.dtype_of(id);
        let width = self.width;
        let class = Class::of(dtype, width);
        let class_of = |id: ExprId| Class::of(program.dtype_of(id), width);
        let node = match &program.exprs[id] {
            Expr::Float(value, _) => self.number(dtype, *value)?,
            Expr::Int(value, _) if class == Some(Class::Int) => self.bits(*value),
            Expr::Int(value, _) => self.number(dtype, *value as f64)?,
            Expr::Load { .. } => {
                let leaf = leaves.leaf(self, id)?;
                if class? == Class::Mask { self.not_zero(leaf) } else { leaf }
            }
            // To an integer and back, as quantisation does.
            Expr::Cast(DType::F32, x) if width == Width::W32 && integer_source(program, *x).is_some() => {
                let (source, to) = integer_source(program, *x)?;
                let x = self.convert(program, source, leaves, known)?;
                self.through_integer(to, x)?
            }
            // A size as a number.
            Expr::Dim(..) if Some(dtype) == float_of(width) => leaves.leaf(self, id)?,
            Expr::Cast(to, x)
                if Some(*to) == float_of(width) && matches!(program.exprs[*x], Expr::Dim(_, DType::I64)) =>
            {
                leaves.leaf(self, *x)?
            }
            Expr::Dim(_, to) if class == Some(Class::Int) && to.bits() <= width.bits() => {
                let (whole, lane) = (leaves.whole(self, id)?, DType::int_of(width.bits(), true)?);
                // Integers of whole lanes wrap as these do.
                if to.bits() == width.bits() { whole } else { self.cast(lane, *to, whole)? }
            }
            Expr::Dim(..) => return None,
            // Not a matter of bits.
            Expr::Cast(_, x) | Expr::Compare(_, x, _) if program.dtype_of(*x).is_only_moved() => return None,
            Expr::Cast(to, x) => {
                let from = program.dtype_of(*x);
                class.zip(Class::of(from, width))?;
                let x = match to.is_float() && to.size() == 2 {
                    true => self.convert_short(program, *x, leaves, known)?,
                    false => self.convert(program, *x, leaves, known)?,
                };
                self.cast(from, *to, x)?
            }
            Expr::Unary(UnaryOp::Not, x) if class == Some(Class::Mask) => {
                let mask = self.convert(program, *x, leaves, known)?;
                self.not(mask)
            }
            Expr::Unary(op, x) => {
                let (operand, of) = (class_of(*x)?, program.dtype_of(*x));
                let x = self.convert(program, *x, leaves, known)?;
                match operand {
                    Class::Float => {
                        let value = self.unary(*op, x)?;
                        if exact(*op) { value } else { self.rounded_to_single(dtype, value) }
                    }
                    Class::Int => self.unary_ints(*op, program.dtype_of(id), x)?,
                    Class::Half => self.unary_halves(*op, of, x)?,
                    Class::Mask => return None,
                }
            }
            Expr::Binary(op, x, y) => {
                let operands = class_of(*x)?;
                let x = self.convert(program, *x, leaves, known)?;
                let y = self.convert(program, *y, leaves, known)?;
                match operands {
                    Class::Float if *op == BinaryOp::Pow => {
                        let value = self.power(x, y, dtype)?;
                        self.rounded_to_single(dtype, value)
                    }
                    // Exact.
                    Class::Float if *op == BinaryOp::Fmod && dtype != DType::F64 => {
                        self.binary_function(BinaryFunction::Remainder, x, y)?
                    }
                    Class::Float => {
                        let value = self.binary(*op, x, y)?;
                        let exact = matches!(op, BinaryOp::Max | BinaryOp::Min);
                        if exact { value } else { self.rounded_to_single(dtype, value) }
                    }
                    Class::Int => self.binary_ints(*op, dtype, x, y)?,
                    Class::Half => self.binary_halves(*op, dtype, x, y)?,
                    Class::Mask => self.logical(*op, x, y)?,
                }
            }
            Expr::Compare(op, x, y) if let Some(mask) = leaves.compare(self, *op, *x, *y) => mask,
            Expr::Compare(op, of, y) => {
                let operands = class_of(*of)?;
                let x = self.convert(program, *of, leaves, known)?;
                let y = self.convert(program, *y, leaves, known)?;
                match (operands, op) {
                    (Class::Float, _) => self.compare_floats(*op, x, y),
                    (Class::Half, _) => self.compare_halves(*op, program.dtype_of(*of), x, y),
                    (Class::Int, CompareOp::Eq | CompareOp::Ne) => self.compare_ints(*op, x, y),
                    (Class::Int, _) => {
                        let of = program.dtype_of(*of);
                        let [x, y] = [x, y].map(|it| self.ordered(of, it));
                        self.compare_ints(*op, x, y)
                    }
                    // A mask is −1 or 0.
                    (Class::Mask, CompareOp::Eq | CompareOp::Ne) => self.compare_ints(*op, x, y),
                    (Class::Mask, _) => self.compare_ints(*op, y, x),
                }
            }
            Expr::Select(condition, x, y) => {
                class?;
                if let Some(holds) = leaves.decide(*condition) {
                    return self.convert(program, if holds { *x } else { *y }, leaves, known);
                }
                let mask = self.convert(program, *condition, leaves, known)?;
                let x = self.convert(program, *x, leaves, known)?;
                let y = self.convert(program, *y, leaves, known)?;
                self.push(Operation::Blend(mask, x, y))
            }
        };
        known.insert(id, node);
        Some(node)
    }

    /// A value of which 16 bits are kept: a power need not be more precise than that. It is not known to others.
    fn convert_short(
        &mut self,
        program: &TensorProgram,
        id: ExprId,
        leaves: &mut dyn Leaves,
        known: &mut IndexMap<ExprId, Node>,
    ) -> Option<Node> {
        let Expr::Binary(BinaryOp::Pow, x, y) = &program.exprs[id] else {
            return self.convert(program, id, leaves, known);
        };
        Class::of(program.dtype_of(id), self.width).filter(|it| *it == Class::Float)?;
        let x = self.convert(program, *x, leaves, known)?;
        let y = self.convert(program, *y, leaves, known)?;
        self.power(x, y, DType::F16)
    }

    fn unary(&mut self, op: UnaryOp, x: Node) -> Option<Node> {
        match op {
            UnaryOp::IsNan => return Some(self.push(Operation::Compare(Compare::Unordered, x, x))),
            UnaryOp::IsInf => {
                let magnitude = self.push(Operation::Function(UnaryOp::Abs, x));
                let infinity = self.constant(f64::INFINITY);
                return Some(self.push(Operation::Compare(Compare::Eq, magnitude, infinity)));
            }
            _ => {}
        }
        math::code(op, self.width)?;
        Some(self.push(Operation::Function(op, x)))
    }

    fn binary(&mut self, op: BinaryOp, x: Node, y: Node) -> Option<Node> {
        let op = match op {
            BinaryOp::Add => vector::BinaryOp::Add,
            BinaryOp::Sub => vector::BinaryOp::Sub,
            BinaryOp::Mul => vector::BinaryOp::Mul,
            BinaryOp::Div => vector::BinaryOp::Div,
            BinaryOp::Max => return Some(self.push(Operation::Max(x, y))),
            BinaryOp::Min => return Some(self.push(Operation::Min(x, y))),
            _ => return None,
        };
        Some(self.push(Operation::Binary(op, x, y)))
    }

    /// The larger (or smaller) value of a type; NaN if either is.
    pub(super) fn extremum_of(&mut self, max: bool, dtype: DType, x: Node, y: Node) -> Node {
        if dtype.is_float() && !self.width.has_floats() {
            return self.extremum_of_halves(max, dtype, x, y);
        }
        if dtype.is_float() {
            return self.extremum(max, x, y);
        }
        let unsigned = dtype.is_int() && !dtype.is_signed_int();
        let op = match (max, unsigned) {
            (true, false) => vector::BinaryOp::IntMax,
            (false, false) => vector::BinaryOp::IntMin,
            (true, true) => vector::BinaryOp::UintMax,
            (false, true) => vector::BinaryOp::UintMin,
        };
        self.combine(op, x, y)
    }

    /// One step of a reduction of what stages store. Integers are not wrapped: they are where they are stored.
    pub(crate) fn accumulate(&mut self, combine: Combine, dtype: DType, x: Node, y: Node) -> Node {
        let float = dtype.is_float();
        let op = match combine {
            Combine::Max => return self.extremum_of(true, dtype, x, y),
            Combine::Min => return self.extremum_of(false, dtype, x, y),
            // Booleans are 0 or 1.
            Combine::Sum if dtype == DType::Bool => vector::BinaryOp::Or,
            Combine::Product if dtype == DType::Bool => vector::BinaryOp::And,
            Combine::Sum if float => vector::BinaryOp::Add,
            Combine::Product if float => vector::BinaryOp::Mul,
            Combine::Sum => vector::BinaryOp::IntAdd,
            Combine::Product => vector::BinaryOp::IntMul,
        };
        self.combine(op, x, y)
    }

    /// The value of an empty reduction.
    pub(crate) fn identity(&mut self, combine: Combine, dtype: DType) -> Option<Node> {
        let lane = identity(combine, dtype, self.width)?;
        Some(self.push(Operation::Constant(lane)))
    }

    /// A comparison of floats, as a mask.
    fn compare_floats(&mut self, op: CompareOp, x: Node, y: Node) -> Node {
        let op = match op {
            CompareOp::Eq => Compare::Eq,
            CompareOp::Ne => Compare::Ne,
            CompareOp::Lt => Compare::Lt,
            CompareOp::Le => Compare::Le,
            CompareOp::Gt => Compare::Gt,
            CompareOp::Ge => Compare::Ge,
        };
        self.push(Operation::Compare(op, x, y))
    }

    /// A power as precise as those of a type have to be.
    fn power(&mut self, x: Node, y: Node, dtype: DType) -> Option<Node> {
        if let Some(simple) = self.simple_power(x, y) {
            return Some(simple);
        }
        let shorter = 2 * 8 * dtype.size() <= self.width.bits() as usize;
        self.binary_function(BinaryFunction::Power { shorter }, x, y)
    }

    pub(super) fn binary_function(&mut self, function: BinaryFunction, x: Node, y: Node) -> Option<Node> {
        function.exists(self.width).then(|| self.push(Operation::BinaryFunction(function, x, y)))
    }

    /// Small constant exponents.
    fn simple_power(&mut self, x: Node, y: Node) -> Option<Node> {
        let Operation::Constant(bits) = self.operations[y] else { return None };
        let mul = |e: &mut Self, a, b| e.push(Operation::Binary(vector::BinaryOp::Mul, a, b));
        let exponent = match self.width {
            Width::W8 | Width::W16 => return None,
            Width::W32 => f64::from(f32::from_bits(bits as u32)),
            Width::W64 => f64::from_bits(bits),
        };
        match exponent {
            1.0 => Some(x),
            2.0 => Some(mul(self, x, x)),
            3.0 => {
                let square = mul(self, x, x);
                Some(mul(self, square, x))
            }
            4.0 => {
                let square = mul(self, x, x);
                Some(mul(self, square, square))
            }
            -1.0 => Some(self.push(Operation::Function(UnaryOp::Reciprocal, x))),
            _ => None,
        }
    }

    pub(super) fn logical(&mut self, op: BinaryOp, x: Node, y: Node) -> Option<Node> {
        let op = match op {
            BinaryOp::And => vector::BinaryOp::And,
            BinaryOp::Or => vector::BinaryOp::Or,
            BinaryOp::Xor => vector::BinaryOp::Xor,
            _ => return None,
        };
        Some(self.push(Operation::Binary(op, x, y)))
    }

    /// The larger (or smaller) value, NaN if either is.
    pub(crate) fn extremum(&mut self, max: bool, x: Node, y: Node) -> Node {
        self.push(if max { Operation::Max(x, y) } else { Operation::Min(x, y) })
    }

    /// An operation of two operands.
    pub(crate) fn combine(&mut self, op: vector::BinaryOp, x: Node, y: Node) -> Node {
        self.push(Operation::Binary(op, x, y))
    }

    /// Negation.
    pub(crate) fn negate(&mut self, x: Node) -> Node {
        self.push(Operation::Function(UnaryOp::Neg, x))
    }

    /// Negation of an `i32`.
    pub(crate) fn negate_int(&mut self, x: Node) -> Node {
        let zero = self.bits(0);
        self.push(Operation::Binary(vector::BinaryOp::IntSub, zero, x))
    }
}
