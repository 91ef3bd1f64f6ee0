//! What happens to a result before it is stored: bias, residual, scaling, activation, in any order.

use std::fmt;
use std::sync::Arc;

use crate::vector::{Addr, BinaryOp, Builder, IReg, MReg, Size, VReg};

/// How a tensor operand of an epilogue meets the rows and columns of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operand {
    /// One element for each row. One parameter: the pointer to the element of the first row.
    Row,
    /// One element for each column. One parameter: the pointer to the element of the first column.
    Column,
    /// One element for each element. Two parameters: the pointer to the first, and the row stride in bytes.
    Full,
}

/// A function that appends vector instructions.
pub type Map = Arc<dyn Fn(&mut Builder, VReg) -> VReg + Send + Sync>;

/// One step of an epilogue.
#[derive(Clone)]
pub enum Step {
    /// `value = value op operand`.
    Combine(BinaryOp, Operand),
    /// `value = f(value)`.
    Map(Map),
}

impl Step {
    /// `value = f(value)`.
    pub fn map(f: impl Fn(&mut Builder, VReg) -> VReg + Send + Sync + 'static) -> Step {
        Step::Map(Arc::new(f))
    }

    /// `value = value + operand`.
    pub fn add(operand: Operand) -> Step {
        Step::Combine(BinaryOp::Add, operand)
    }

    /// `max(value, 0)`, NaN if the value is NaN.
    pub fn relu() -> Step {
        Step::map(|b, x| {
            let zero = b.constant(0.0);
            b.max(zero, x)
        })
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Combine(op, operand) => write!(f, "{op:?}({operand:?})"),
            Step::Map(_) => f.write_str("Map"),
        }
    }
}

/// The steps of an epilogue; empty for none.
pub type Epilogue = Vec<Step>;

/// The number of parameters that the operands of an epilogue take.
pub fn params(epilogue: &[Step]) -> usize {
    epilogue
        .iter()
        .map(|step| match step {
            Step::Combine(_, Operand::Row | Operand::Column) => 1,
            Step::Combine(_, Operand::Full) => 2,
            Step::Map(_) => 0,
        })
        .sum()
}

/// The registers of the operands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bound {
    Row(IReg),
    Column(IReg),
    Full(IReg, IReg),
}

/// Adds the parameters of the operands to a program.
pub(super) fn bind(b: &mut Builder, epilogue: &[Step]) -> Vec<Bound> {
    let mut bound = Vec::new();
    for step in epilogue {
        if let Step::Combine(_, operand) = step {
            bound.push(match operand {
                Operand::Row => Bound::Row(b.param()),
                Operand::Column => Bound::Column(b.param()),
                Operand::Full => Bound::Full(b.param(), b.param()),
            });
        }
    }
    bound
}

/// Applies the steps to vector `column` (counted in vectors) of the current row.
pub(super) fn apply(
    b: &mut Builder,
    epilogue: &[Step],
    bound: &[Bound],
    mut value: VReg,
    column: i64,
    mask: Option<MReg>,
) -> VReg {
    let mut operands = bound.iter();
    for step in epilogue {
        value = match step {
            Step::Map(f) => f(b, value),
            Step::Combine(op, _) => {
                let at = Size::vectors(column);
                let operand = match *operands.next().expect("bind made one for each operand") {
                    Bound::Row(p) => b.load_splat(p),
                    Bound::Column(p) | Bound::Full(p, _) => b.load(Addr::new(p).offset(at), mask),
                };
                b.binary(*op, value, operand)
            }
        };
    }
    value
}

/// Moves the operand pointers to the next row.
pub(super) fn next_row(b: &mut Builder, bound: &[Bound]) {
    for operand in bound {
        match *operand {
            Bound::Row(p) => b.bump(p, 4),
            Bound::Column(_) => {}
            Bound::Full(p, stride) => b.bump(p, stride),
        }
    }
}

/// Whether the steps are so short that repeating them for each register of a tile is cheaper than a second pass.
pub(super) fn is_light(epilogue: &[Step]) -> bool {
    let mut b = Builder::new("probe");
    let bound = bind(&mut b, epilogue);
    let value = b.vector();
    apply(&mut b, epilogue, &bound, value, 0, None);
    b.finish().body.len() <= 8
}
