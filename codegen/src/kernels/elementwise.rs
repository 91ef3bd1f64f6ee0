//! Elementwise loops from a graph of scalar operations.
//!
//! ```
//! use orogen_codegen::kernels::elementwise::{Access, Elementwise, Function};
//! use orogen_codegen::vector::BinaryOp;
//!
//! // out = tanh(x) * scale
//! let mut e = Elementwise::new();
//! let x = e.input(Access::Contiguous);
//! let scale = e.input(Access::Scalar);
//! let t = e.function(Function::Tanh, x);
//! let y = e.binary(BinaryOp::Mul, t, scale);
//! e.output(y);
//! let program = e.program();
//! // Parameters: x, scale, out, n, rows, and the row strides of x, scale and out in bytes.
//! assert_eq!(program.params.len(), 8);
//! ```

use crate::vector::{
    Addr, BinaryOp, Builder, Compare, FmaOp, IReg, Inst, MReg, Program, ShiftOp, Size, UnaryOp, VReg, math,
};

/// How an input is read along the inner dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// One element for each element of the output.
    Contiguous,
    /// One element for the whole row.
    Scalar,
}

/// A node of the graph, by its place in the order of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(u32);

/// A function of one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    /// `-x`
    Neg,
    /// `|x|`
    Abs,
    /// `√x`
    Sqrt,
    /// `1/x`
    Reciprocal,
    /// Toward −∞.
    Floor,
    /// Toward +∞.
    Ceil,
    /// To nearest, ties to even.
    Round,
    /// Toward zero.
    Trunc,
    /// [`math::exp`]
    Exp,
    /// [`math::log`]
    Log,
    /// [`math::expm1`]
    Expm1,
    /// [`math::log1p`]
    Log1p,
    /// [`math::tanh`]
    Tanh,
    /// [`math::sigmoid`]
    Sigmoid,
    /// [`math::erf`]
    Erf,
    /// [`math::sin`]
    Sin,
    /// [`math::cos`]
    Cos,
    /// −1, 0 or 1; NaN for NaN.
    Sign,
    /// `i32` bits of the truncated value, saturated; 0 for NaN.
    ToInt,
    /// The `f32` nearest to `i32` bits.
    FromInt,
}

impl Function {
    /// Appends the function to a program.
    pub fn emit(self, b: &mut Builder, x: VReg) -> VReg {
        match self {
            Function::Neg => b.unary(UnaryOp::Neg, x),
            Function::Abs => b.unary(UnaryOp::Abs, x),
            Function::Sqrt => b.unary(UnaryOp::Sqrt, x),
            Function::Floor => b.unary(UnaryOp::Floor, x),
            Function::Ceil => b.unary(UnaryOp::Ceil, x),
            Function::Round => b.unary(UnaryOp::Nearest, x),
            Function::Trunc => b.unary(UnaryOp::Trunc, x),
            Function::ToInt => {
                // What is out of range gives the least integer, which is right below.
                let value = b.unary(UnaryOp::ToInt, x);
                let (limit, most) = (b.constant(2_147_483_648.0), b.constant_int(i32::MAX));
                let value = b.select(Compare::Ge, x, limit, most, value);
                let zero = b.constant_int(0);
                b.select(Compare::Unordered, x, x, zero, value)
            }
            Function::FromInt => b.unary(UnaryOp::FromInt, x),
            Function::Reciprocal => {
                let one = b.constant(1.0);
                b.div(one, x)
            }
            Function::Exp => math::exp(b, x),
            Function::Log => math::log(b, x),
            Function::Expm1 => math::expm1(b, x),
            Function::Log1p => math::log1p(b, x),
            Function::Tanh => math::tanh(b, x),
            Function::Sigmoid => math::sigmoid(b, x),
            Function::Erf => math::erf(b, x),
            Function::Sin => math::sin(b, x),
            Function::Cos => math::cos(b, x),
            Function::Sign => {
                let (zero, one, minus) = (b.constant(0.0), b.constant(1.0), b.constant(-1.0));
                let below = b.select(Compare::Lt, x, zero, minus, x);
                b.select(Compare::Gt, x, zero, one, below)
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Node {
    Input(u32),
    Constant(u32),
    Function(Function, NodeId),
    Binary(BinaryOp, NodeId, NodeId),
    /// The larger or smaller operand, NaN if either is NaN.
    Extremum(bool, NodeId, NodeId),
    Fma(NodeId, NodeId, NodeId),
    Select(Compare, [NodeId; 4]),
    Blend(NodeId, NodeId, NodeId),
    Compare(Compare, NodeId, NodeId),
    Shift(ShiftOp, NodeId, u8),
}

/// A graph of scalar operations and the inputs and outputs around it.
#[derive(Debug, Clone, Default)]
pub struct Elementwise {
    inputs: Vec<Access>,
    nodes: Vec<Node>,
    outputs: Vec<NodeId>,
}

impl Elementwise {
    /// An empty graph.
    pub fn new() -> Elementwise {
        Elementwise::default()
    }

    fn node(&mut self, node: Node) -> NodeId {
        // Equal nodes are one node.
        let at = self.nodes.iter().position(|n| *n == node).unwrap_or_else(|| {
            self.nodes.push(node);
            self.nodes.len() - 1
        });
        NodeId(at as u32)
    }

    /// Adds an input.
    pub fn input(&mut self, access: Access) -> NodeId {
        self.inputs.push(access);
        self.node(Node::Input(self.inputs.len() as u32 - 1))
    }

    /// A constant.
    pub fn constant(&mut self, value: f32) -> NodeId {
        self.node(Node::Constant(value.to_bits()))
    }

    /// A constant given by its bits.
    pub fn constant_bits(&mut self, bits: u32) -> NodeId {
        self.node(Node::Constant(bits))
    }

    /// A function of one operand.
    pub fn function(&mut self, f: Function, x: NodeId) -> NodeId {
        self.node(Node::Function(f, x))
    }

    /// An operation of two operands. [`BinaryOp::Min`] and [`BinaryOp::Max`] drop NaN of the first operand; see
    /// [`Elementwise::min`] and [`Elementwise::max`].
    pub fn binary(&mut self, op: BinaryOp, a: NodeId, b: NodeId) -> NodeId {
        self.node(Node::Binary(op, a, b))
    }

    /// The larger operand; NaN if either is NaN.
    pub fn max(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.node(Node::Extremum(true, a, b))
    }

    /// The smaller operand; NaN if either is NaN.
    pub fn min(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.node(Node::Extremum(false, a, b))
    }

    /// `a * b + c`, rounded once where the target can.
    pub fn fma(&mut self, a: NodeId, b: NodeId, c: NodeId) -> NodeId {
        self.node(Node::Fma(a, b, c))
    }

    /// `yes` where the comparison of `a` and `b` holds, else `no`.
    pub fn select(&mut self, op: Compare, a: NodeId, b: NodeId, yes: NodeId, no: NodeId) -> NodeId {
        self.node(Node::Select(op, [a, b, yes, no]))
    }

    /// `yes` where the sign bit of `mask` is set, else `no`; the mask is what [`Elementwise::compare`] gives.
    pub fn blend(&mut self, mask: NodeId, yes: NodeId, no: NodeId) -> NodeId {
        self.node(Node::Blend(mask, yes, no))
    }

    /// All bits one where the comparison holds, else zero. Masks are combined by [`BinaryOp::And`] and the like.
    pub fn compare(&mut self, op: Compare, a: NodeId, b: NodeId) -> NodeId {
        self.node(Node::Compare(op, a, b))
    }

    /// A shift of `i32` bits.
    pub fn shift(&mut self, op: ShiftOp, a: NodeId, by: u8) -> NodeId {
        self.node(Node::Shift(op, a, by))
    }

    /// Marks a node as the next output.
    pub fn output(&mut self, node: NodeId) {
        self.outputs.push(node);
    }

    /// The number of parameters of the program.
    pub fn params(&self) -> usize {
        2 * (self.inputs.len() + self.outputs.len()) + 2
    }

    /// The program. Parameters: a pointer for each input, then for each output; `n` (elements in a row), `rows`; a row
    /// stride in bytes for each input, then for each output. Inputs and outputs are 4-byte elements. An output may be
    /// the same memory as an input that is read in the same order, and must not overlap another one otherwise.
    pub fn program(&self) -> Program {
        let mut b = Builder::new("elementwise");
        let inputs: Vec<IReg> = self.inputs.iter().map(|_| b.param()).collect();
        let outputs: Vec<IReg> = self.outputs.iter().map(|_| b.param()).collect();
        let [n, rows] = b.params();
        let strides: Vec<IReg> = inputs.iter().chain(&outputs).map(|_| b.param()).collect();
        b.repeat(rows, |b| {
            let mut scalars = vec![None; self.inputs.len()];
            let mut cursors = Vec::new();
            let mut pointers = Vec::new();
            for (i, (&p, access)) in inputs.iter().zip(&self.inputs).enumerate() {
                match access {
                    Access::Scalar => {
                        scalars[i] = Some(b.load_splat(p));
                        pointers.push(p);
                    }
                    Access::Contiguous => {
                        let p = b.int_move(p);
                        cursors.push((p, Size::vectors(1)));
                        pointers.push(p);
                    }
                }
            }
            let targets: Vec<IReg> = outputs.iter().map(|&p| b.int_move(p)).collect();
            cursors.extend(targets.iter().map(|&p| (p, Size::vectors(1))));
            b.for_lanes(n, &cursors, |b, mask| {
                let values = self.values(b, &pointers, &scalars, mask);
                for (&output, &target) in self.outputs.iter().zip(&targets) {
                    b.store(values[output.0 as usize], Addr::new(target), mask);
                }
            });
            for (&p, &stride) in inputs.iter().chain(&outputs).zip(&strides) {
                b.bump(p, stride);
            }
        });
        b.finish()
    }

    fn values(
        &self,
        b: &mut Builder,
        pointers: &[IReg],
        scalars: &[Option<VReg>],
        mask: Option<MReg>,
    ) -> Vec<VReg> {
        let mut values: Vec<VReg> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let v = |id: NodeId| values[id.0 as usize];
            let value = match *node {
                Node::Input(i) => match scalars[i as usize] {
                    Some(scalar) => scalar,
                    None => b.load(pointers[i as usize], mask),
                },
                Node::Constant(bits) => b.constant_bits(bits),
                Node::Function(f, x) => f.emit(b, v(x)),
                Node::Binary(op, x, y) => b.binary(op, v(x), v(y)),
                Node::Extremum(true, x, y) => b.max(v(x), v(y)),
                Node::Extremum(false, x, y) => b.min(v(x), v(y)),
                Node::Fma(x, y, z) => {
                    let dst = b.vector();
                    b.emit(Inst::Fma { op: FmaOp::MulAdd, dst, a: v(x), b: v(y), c: v(z) });
                    dst
                }
                Node::Select(op, [x, y, yes, no]) => b.select(op, v(x), v(y), v(yes), v(no)),
                Node::Blend(mask, yes, no) => b.blend(v(mask), v(yes), v(no)),
                Node::Compare(op, x, y) => b.compare(op, v(x), v(y)),
                Node::Shift(op, x, by) => b.shift(op, v(x), by),
            };
            values.push(value);
        }
        values
    }
}
