//! Scalar expressions of tensor programs as vector code.

use indexmap::{IndexMap, IndexSet};
use orogen_ir::loops::{BinaryOp, CompareOp, Expr, ExprId, Stage, TensorProgram, UnaryOp};
use orogen_ir::types::DType;

use super::element::{Class, moves};
use crate::kernels::element::round_bf16;
use crate::vector::{self, Builder, Compare, ShiftOp, VReg, math};

/// A node of a vector expression, by its place.
pub(crate) type Node = usize;

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Operation {
    /// The value of leaf `i`.
    Leaf(usize),
    /// An `f32` by its bits.
    Constant(u32),
    /// One that has vector code.
    Function(UnaryOp, Node),
    /// An `f32` as an `i32`, truncated and saturated.
    ToInt(Node),
    /// An `i32` as an `f32`.
    FromInt(Node),
    Binary(vector::BinaryOp, Node, Node),
    Max(Node, Node),
    Min(Node, Node),
    /// A mask: all bits of a lane set or none.
    Compare(Compare, Node, Node),
    /// By mask.
    Blend(Node, Node, Node),
    /// A lane shifted by so many bits.
    Shift(ShiftOp, Node, u8),
    /// An `f32` rounded to what the type holds.
    Round(Half, Node),
}

/// Floats of 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Half {
    F16,
    BF16,
}

/// What the operands of an expression become.
pub(crate) trait Leaves {
    /// The node of a load, or of a size as a number; `None` gives up.
    fn leaf(&mut self, expr: &mut VectorExpr, id: ExprId) -> Option<Node>;

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

/// An expression over leaves (loads, mostly), as a graph; equal nodes are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct VectorExpr {
    operations: IndexSet<Operation>,
}

impl PartialEq for VectorExpr {
    fn eq(&self, other: &Self) -> bool {
        // Operands are places, so the order counts.
        self.operations.as_slice() == other.operations.as_slice()
    }
}

impl VectorExpr {
    fn push(&mut self, operation: Operation) -> Node {
        // Constants are compared by bits, so NaN does not matter here.
        self.operations.insert_full(operation).0
    }

    /// The value of leaf `i`.
    pub(crate) fn leaf(&mut self, i: usize) -> Node {
        self.push(Operation::Leaf(i))
    }

    /// A constant.
    pub(crate) fn constant(&mut self, value: f32) -> Node {
        self.push(Operation::Constant(value.to_bits()))
    }

    /// A text that two expressions share exactly when they are equal.
    pub(crate) fn key(&self) -> String {
        format!("{:?}", self.operations.as_slice())
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
                Operation::Constant(bits) => b.constant_bits(bits),
                Operation::Function(function, x) => {
                    math::code(function).expect("only functions with vector code are added")(b, v(x))
                }
                Operation::ToInt(x) => math::to_int(b, v(x)),
                Operation::FromInt(x) => math::from_int(b, v(x)),
                Operation::Binary(op, x, y) => b.binary(op, v(x), v(y)),
                Operation::Max(x, y) => b.max(v(x), v(y)),
                Operation::Min(x, y) => b.min(v(x), v(y)),
                Operation::Compare(op, x, y) => b.compare(op, v(x), v(y)),
                Operation::Blend(mask, yes, no) => b.blend(v(mask), v(yes), v(no)),
                Operation::Shift(op, x, by) => b.shift(op, v(x), by),
                Operation::Round(Half::F16, x) => b.unary(vector::UnaryOp::ToHalf, v(x)),
                Operation::Round(Half::BF16, x) => round_bf16(b, v(x)),
            });
        }
        results.iter().map(|it| values[*it].expect("results are needed")).collect()
    }

    fn operands(&self, node: Node) -> Vec<Node> {
        match self.operations[node] {
            Operation::Leaf(_) | Operation::Constant(_) => Vec::new(),
            Operation::Function(_, x)
            | Operation::ToInt(x)
            | Operation::FromInt(x)
            | Operation::Shift(_, x, _)
            | Operation::Round(_, x) => vec![x],
            Operation::Binary(_, x, y)
            | Operation::Max(x, y)
            | Operation::Min(x, y)
            | Operation::Compare(_, x, y) => vec![x, y],
            Operation::Blend(x, y, z) => vec![x, y, z],
        }
    }

    /// The leaves that a node depends on.
    pub(crate) fn leaves_of(&self, root: Node) -> Vec<usize> {
        self.leaves_without(root, usize::MAX)
    }

    /// The leaves that a node depends on other than through `cut`.
    pub(crate) fn leaves_without(&self, root: Node, cut: Node) -> Vec<usize> {
        let mut seen = vec![false; self.operations.len()];
        let mut stack = vec![root];
        let mut leaves = Vec::new();
        while let Some(node) = stack.pop() {
            if node == cut || std::mem::replace(&mut seen[node], true) {
                continue;
            }
            if let Operation::Leaf(i) = self.operations[node] {
                leaves.push(i);
            }
            stack.extend(self.operands(node));
        }
        leaves.sort_unstable();
        leaves.dedup();
        leaves
    }

    /// The leaf that a node is.
    pub(crate) fn as_leaf(&self, node: Node) -> Option<usize> {
        match self.operations[node] {
            Operation::Leaf(i) => Some(i),
            _ => None,
        }
    }

    /// The operation and operands of a binary node.
    pub(crate) fn as_binary(&self, node: Node) -> Option<(vector::BinaryOp, Node, Node)> {
        match self.operations[node] {
            Operation::Binary(op, x, y) => Some((op, x, y)),
            _ => None,
        }
    }

    /// The part of the graph between `root` and `cut`, with `cut` as leaf 0; it must depend on nothing else.
    pub(crate) fn between(&self, root: Node, cut: Node) -> (VectorExpr, Node) {
        let mut copy = VectorExpr::default();
        let zero = copy.leaf(0);
        self.copied(root, copy, IndexMap::from_iter([(cut, zero)]))
    }

    /// The part of the graph under `root`, which depends on these leaves: leaf `leaves[i]` becomes leaf `i`.
    pub(crate) fn part(&self, root: Node, leaves: &[usize]) -> (VectorExpr, Node) {
        let mut copy = VectorExpr::default();
        let mut map = IndexMap::new();
        for (i, leaf) in leaves.iter().enumerate() {
            let new = copy.leaf(i);
            map.extend(self.operations.get_index_of(&Operation::Leaf(*leaf)).map(|old| (old, new)));
        }
        self.copied(root, copy, map)
    }

    /// Adds to `copy` what `root` needs beyond the nodes that `map` has.
    fn copied(&self, root: Node, mut copy: VectorExpr, mut map: IndexMap<Node, Node>) -> (VectorExpr, Node) {
        for node in 0..=root {
            if map.contains_key(&node) || self.operands(node).iter().any(|it| !map.contains_key(it)) {
                continue;
            }
            let m = |node: Node| map[&node];
            let operation = match self.operations[node] {
                Operation::Leaf(_) => continue,
                Operation::Constant(bits) => Operation::Constant(bits),
                Operation::Function(f, x) => Operation::Function(f, m(x)),
                Operation::ToInt(x) => Operation::ToInt(m(x)),
                Operation::FromInt(x) => Operation::FromInt(m(x)),
                Operation::Binary(op, x, y) => Operation::Binary(op, m(x), m(y)),
                Operation::Max(x, y) => Operation::Max(m(x), m(y)),
                Operation::Min(x, y) => Operation::Min(m(x), m(y)),
                Operation::Compare(op, x, y) => Operation::Compare(op, m(x), m(y)),
                Operation::Blend(x, y, z) => Operation::Blend(m(x), m(y), m(z)),
                Operation::Shift(op, x, by) => Operation::Shift(op, m(x), by),
                Operation::Round(half, x) => Operation::Round(half, m(x)),
            };
            let made = copy.push(operation);
            map.insert(node, made);
        }
        let result = map[&root];
        (copy, result)
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
        let root = match &program.exprs[root] {
            Expr::Cast(_, x)
                if program.dtype_of(*x) == DType::F32 && matches!(dtype, DType::F16 | DType::BF16) =>
            {
                *x
            }
            _ => root,
        };
        let value = self.add_with(program, root, leaves)?;
        if Class::of(dtype)? != Class::Mask {
            return Some(value);
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
        let class = Class::of(dtype);
        let class_of = |id: ExprId| Class::of(program.dtype_of(id));
        let node = match &program.exprs[id] {
            Expr::Float(value, _) => self.number(class?, *value)?,
            Expr::Int(value, _) if class == Some(Class::Float) => self.constant(*value as f32),
            Expr::Int(value, _) => self.number(class?, *value as f64)?,
            Expr::Load { .. } => {
                let leaf = leaves.leaf(self, id)?;
                if class? == Class::Mask { self.not_zero(leaf) } else { leaf }
            }
            // To an integer and back, as quantisation does.
            Expr::Cast(DType::F32, x) if integer_source(program, *x).is_some() => {
                let (source, to) = integer_source(program, *x)?;
                let x = self.convert(program, source, leaves, known)?;
                self.through_integer(to, x)?
            }
            // A size as a number.
            Expr::Dim(_, DType::F32) => leaves.leaf(self, id)?,
            Expr::Cast(DType::F32, x) if matches!(program.exprs[*x], Expr::Dim(_, DType::I64)) => {
                leaves.leaf(self, *x)?
            }
            Expr::Dim(..) => return None,
            Expr::Cast(to, x) => {
                let from = program.dtype_of(*x);
                class.zip(Class::of(from))?;
                let x = self.convert(program, *x, leaves, known)?;
                self.cast(from, *to, x)?
            }
            Expr::Unary(UnaryOp::Not, x) if class == Some(Class::Mask) => {
                let mask = self.convert(program, *x, leaves, known)?;
                self.not(mask)
            }
            Expr::Unary(op, x) => {
                let operand = class_of(*x)?;
                let x = self.convert(program, *x, leaves, known)?;
                match operand {
                    Class::Float => self.unary(*op, x)?,
                    Class::Int => self.unary_ints(*op, dtype, x)?,
                    Class::Mask => return None,
                }
            }
            Expr::Binary(op, x, y) => {
                let operands = class_of(*x)?;
                let x = self.convert(program, *x, leaves, known)?;
                let y = self.convert(program, *y, leaves, known)?;
                match operands {
                    Class::Float => self.binary(*op, x, y)?,
                    Class::Int => self.binary_ints(*op, dtype, x, y)?,
                    Class::Mask => self.logical(*op, x, y)?,
                }
            }
            Expr::Compare(op, x, y) => {
                let operands = class_of(*x)?;
                let x = self.convert(program, *x, leaves, known)?;
                let y = self.convert(program, *y, leaves, known)?;
                match (operands, op) {
                    (Class::Float, _) => self.compare_floats(*op, x, y),
                    // A mask is −1 or 0.
                    (Class::Int, _) | (Class::Mask, CompareOp::Eq | CompareOp::Ne) => {
                        self.compare_ints(*op, x, y)
                    }
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

    /// A constant of a class.
    fn number(&mut self, class: Class, value: f64) -> Option<Node> {
        Some(match class {
            Class::Float => self.constant(value as f32),
            Class::Int => self.bits(value as i32),
            Class::Mask => self.bits(if value == 0.0 { 0 } else { -1 }),
        })
    }

    fn not(&mut self, mask: Node) -> Node {
        let ones = self.push(Operation::Constant(u32::MAX));
        self.push(Operation::Binary(vector::BinaryOp::Xor, mask, ones))
    }

    /// The mask of the `i32` lanes that are not 0.
    fn not_zero(&mut self, x: Node) -> Node {
        let zero = self.bits(0);
        self.compare_ints(CompareOp::Ne, x, zero)
    }

    /// A value as a lane of another type. Floats saturate to integers, NaN to 0; integers wrap.
    fn cast(&mut self, from: DType, to: DType, x: Node) -> Option<Node> {
        if from == to {
            return Some(x);
        }
        let node = match (Class::of(from)?, Class::of(to)?) {
            (Class::Float, Class::Float) => x,
            (Class::Int, Class::Float) => {
                // What f32 does not hold would be rounded twice.
                if from == DType::I32 && to == DType::BF16 {
                    return None;
                }
                self.push(Operation::FromInt(x))
            }
            // A condition as a number, and back.
            (Class::Mask, Class::Float) => {
                let one = self.constant(1.0);
                return Some(self.push(Operation::Binary(vector::BinaryOp::And, x, one)));
            }
            (Class::Mask, Class::Int) => {
                let one = self.bits(1);
                return Some(self.push(Operation::Binary(vector::BinaryOp::And, x, one)));
            }
            (Class::Float, Class::Mask) => {
                let zero = self.constant(0.0);
                return Some(self.push(Operation::Compare(Compare::Ne, x, zero)));
            }
            (Class::Int, Class::Mask) => return Some(self.not_zero(x)),
            (Class::Float, Class::Int) => {
                let x = if to == DType::I32 { x } else { self.through_integer(to, x)? };
                return Some(self.push(Operation::ToInt(x)));
            }
            (Class::Int, Class::Int) => {
                let holds = from.size() < to.size() && (to.is_signed_int() || !from.is_signed_int());
                return Some(if holds { x } else { self.wrap(to, x) });
            }
            (Class::Mask, Class::Mask) => return Some(x),
        };
        Some(self.rounded(to, node))
    }

    /// An `f32` rounded to what a float type holds.
    fn rounded(&mut self, to: DType, x: Node) -> Node {
        match to {
            DType::F16 => self.push(Operation::Round(Half::F16, x)),
            DType::BF16 => self.push(Operation::Round(Half::BF16, x)),
            _ => x,
        }
    }

    /// An `i32` as the integer that its low bits are in a type.
    fn wrap(&mut self, to: DType, x: Node) -> Node {
        let bits = 8 * to.size();
        if bits >= 32 {
            return x;
        }
        if !to.is_signed_int() {
            let mask = self.bits((1 << bits) - 1);
            return self.push(Operation::Binary(vector::BinaryOp::And, x, mask));
        }
        let by = 32 - bits as u8;
        let upper = self.push(Operation::Shift(ShiftOp::Left, x, by));
        self.push(Operation::Shift(ShiftOp::RightArithmetic, upper, by))
    }

    /// What a cast to an integer type and back makes of a value: saturated, NaN 0, no negative zero.
    fn through_integer(&mut self, to: DType, x: Node) -> Option<Node> {
        let (least, most) = match to {
            DType::I8 => (f32::from(i8::MIN), f32::from(i8::MAX)),
            DType::I16 => (f32::from(i16::MIN), f32::from(i16::MAX)),
            DType::U8 => (0.0, f32::from(u8::MAX)),
            DType::U16 => (0.0, f32::from(u16::MAX)),
            // The greatest integers of the others are no f32; the nearest f32 is what they become.
            DType::I32 => (-(2f32.powi(31)), 2f32.powi(31)),
            DType::I64 => (-(2f32.powi(63)), 2f32.powi(63)),
            DType::U32 => (0.0, 2f32.powi(32)),
            DType::U64 => (0.0, 2f32.powi(64)),
            _ => return None,
        };
        let (low, high) = (self.constant(least), self.constant(most));
        let mut value = x;
        if least < 0.0 {
            let (nan, zero) = (self.push(Operation::Compare(Compare::Unordered, x, x)), self.constant(0.0));
            value = self.push(Operation::Blend(nan, zero, x));
        }
        // The second operand stands for NaN, and for a negative zero where `low` is 0.
        value = self.push(Operation::Binary(vector::BinaryOp::Max, value, low));
        value = self.push(Operation::Binary(vector::BinaryOp::Min, value, high));
        value = self.push(Operation::Function(UnaryOp::Trunc, value));
        if least < 0.0 {
            let zero = self.constant(0.0);
            value = self.push(Operation::Binary(vector::BinaryOp::Add, value, zero));
        }
        Some(value)
    }

    fn unary(&mut self, op: UnaryOp, x: Node) -> Option<Node> {
        if op == UnaryOp::IsNan {
            return Some(self.push(Operation::Compare(Compare::Unordered, x, x)));
        }
        math::code(op)?;
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
            BinaryOp::Pow => return self.power(x, y),
            _ => return None,
        };
        Some(self.push(Operation::Binary(op, x, y)))
    }

    /// An `i32` constant.
    fn bits(&mut self, value: i32) -> Node {
        self.push(Operation::Constant(value.cast_unsigned()))
    }

    /// Operations on one integer that vectors have.
    fn unary_ints(&mut self, op: UnaryOp, dtype: DType, x: Node) -> Option<Node> {
        let zero = self.bits(0);
        let negated = self.push(Operation::Binary(vector::BinaryOp::IntSub, zero, x));
        let value = match op {
            UnaryOp::Neg => negated,
            UnaryOp::Abs => self.push(Operation::Binary(vector::BinaryOp::IntMax, x, negated)),
            UnaryOp::BitNot => self.not(x),
            _ => return None,
        };
        Some(self.wrap(dtype, value))
    }

    /// Operations on integers that vectors have.
    fn binary_ints(&mut self, op: BinaryOp, dtype: DType, x: Node, y: Node) -> Option<Node> {
        let wraps = matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul);
        let op = match op {
            BinaryOp::Add => vector::BinaryOp::IntAdd,
            BinaryOp::Sub => vector::BinaryOp::IntSub,
            BinaryOp::Mul => vector::BinaryOp::IntMul,
            BinaryOp::Max => vector::BinaryOp::IntMax,
            BinaryOp::Min => vector::BinaryOp::IntMin,
            _ => return self.logical(op, x, y),
        };
        let value = self.push(Operation::Binary(op, x, y));
        Some(if wraps { self.wrap(dtype, value) } else { value })
    }

    /// A comparison of `f32`, as a mask.
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

    /// A comparison of `i32`, as a mask.
    fn compare_ints(&mut self, op: CompareOp, x: Node, y: Node) -> Node {
        let (op, x, y, negated) = match op {
            CompareOp::Eq => (vector::BinaryOp::IntEq, x, y, false),
            CompareOp::Ne => (vector::BinaryOp::IntEq, x, y, true),
            CompareOp::Gt => (vector::BinaryOp::IntGt, x, y, false),
            CompareOp::Le => (vector::BinaryOp::IntGt, x, y, true),
            CompareOp::Lt => (vector::BinaryOp::IntGt, y, x, false),
            CompareOp::Ge => (vector::BinaryOp::IntGt, y, x, true),
        };
        let mask = self.push(Operation::Binary(op, x, y));
        if negated { self.not(mask) } else { mask }
    }

    /// Small constant exponents; others are left to scalar code.
    fn power(&mut self, x: Node, y: Node) -> Option<Node> {
        let Operation::Constant(bits) = self.operations[y] else { return None };
        let mul = |e: &mut Self, a, b| e.push(Operation::Binary(vector::BinaryOp::Mul, a, b));
        let exponent = f32::from_bits(bits);
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

    fn logical(&mut self, op: BinaryOp, x: Node, y: Node) -> Option<Node> {
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

/// The f32 under casts to integers that only widen after the first, and the type of the first.
fn integer_source(program: &TensorProgram, id: ExprId) -> Option<(ExprId, DType)> {
    let Expr::Cast(to, inner) = &program.exprs[id] else { return None };
    let from = program.dtype_of(*inner);
    if !to.is_int() {
        return None;
    }
    if from == DType::F32 {
        return Some((*inner, *to));
    }
    let widens = from.is_int()
        && (from.size() < to.size() || from == *to)
        && (to.is_signed_int() || !from.is_signed_int());
    if widens { integer_source(program, *inner) } else { None }
}
