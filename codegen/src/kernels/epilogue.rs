//! What happens to a result before it is stored: bias, residual, scaling, activation, in any order.

use std::fmt;
use std::sync::Arc;

use super::element::Element;
use crate::vector::{Addr, BinaryOp, Builder, IReg, IntOp, MReg, VReg, Width};

/// How a tensor operand of an epilogue meets the rows and columns of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operand {
    /// One element for all. One parameter: the pointer to it.
    Scalar,
    /// One element for each row. One parameter: the pointer to the element of the first row.
    Row,
    /// One element for each column. One parameter: the pointer to the element of the first column.
    Column,
    /// One element for each element. Two parameters: the pointer to the first, and the row stride in bytes.
    Full,
}

/// A function that appends vector instructions.
pub type Map = Arc<dyn Fn(&mut Builder, VReg) -> VReg + Send + Sync>;

/// A function of several values.
pub type Fold = Arc<dyn Fn(&mut Builder, &[VReg]) -> VReg + Send + Sync>;

/// What the value of a step is combined with.
#[derive(Clone)]
pub struct Term {
    /// The tensors that it is made of, and how their elements lie in memory.
    pub operands: Vec<(Operand, Element)>,
    /// The term, from the elements; none: the only element itself.
    pub value: Option<Fold>,
}

impl From<Operand> for Term {
    fn from(operand: Operand) -> Term {
        Term { operands: vec![(operand, Element::LANE)], value: None }
    }
}

/// One step of an epilogue.
#[derive(Clone)]
pub enum Step {
    /// `value = value op term`.
    Combine(BinaryOp, Term),
    /// `value = f(value)`.
    Map(Map),
}

impl Step {
    /// `value = f(value)`.
    pub fn map(f: impl Fn(&mut Builder, VReg) -> VReg + Send + Sync + 'static) -> Step {
        Step::Map(Arc::new(f))
    }

    /// `value = value op operand`, whose elements are lanes.
    pub fn combine(op: BinaryOp, operand: Operand) -> Step {
        Step::Combine(op, operand.into())
    }

    /// `value = value + operand`.
    pub fn add(operand: Operand) -> Step {
        Step::combine(BinaryOp::Add, operand)
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
            Step::Combine(op, term) => write!(f, "{op:?}({:?})", term.operands),
            Step::Map(_) => f.write_str("Map"),
        }
    }
}

/// The steps of an epilogue; empty for none.
pub type Epilogue = Vec<Step>;

/// The operands of all steps, in order, and how their elements lie in memory.
pub fn operands(epilogue: &[Step]) -> impl Iterator<Item = (Operand, Element)> + '_ {
    epilogue
        .iter()
        .flat_map(|step| match step {
            Step::Combine(_, term) => &term.operands[..],
            Step::Map(_) => &[],
        })
        .copied()
}

/// The number of parameters that the operands of an epilogue take.
pub fn params(epilogue: &[Step]) -> usize {
    operands(epilogue).map(|(operand, _)| if operand == Operand::Full { 2 } else { 1 }).sum()
}

/// The registers of an operand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    operand: Operand,
    element: Element,
    at: IReg,
    stride: Option<IReg>,
}

/// Adds the parameters of the operands to a program.
pub(super) fn bind(b: &mut Builder, epilogue: &[Step]) -> Vec<Bound> {
    operands(epilogue)
        .map(|(operand, element)| {
            let at = b.param();
            let stride = (operand == Operand::Full).then(|| b.param());
            Bound { operand, element, at, stride }
        })
        .collect()
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
    let mut rest = bound;
    for step in epilogue {
        value = match step {
            Step::Map(f) => f(b, value),
            Step::Combine(op, term) => {
                let (own, others) = rest.split_at(term.operands.len());
                rest = others;
                let load = |b: &mut Builder, it: &Bound| match it.operand {
                    Operand::Scalar | Operand::Row => it.element.load_splat(b, it.at),
                    Operand::Column | Operand::Full => {
                        it.element.load(b, Addr::new(it.at).offset(it.element.vectors(column)), mask)
                    }
                };
                let values: Vec<VReg> = own.iter().map(|it| load(b, it)).collect();
                let operand = match &term.value {
                    Some(f) => f(b, &values),
                    None => values[0],
                };
                b.binary(*op, value, operand)
            }
        };
    }
    value
}

/// Moves the operand pointers to the next row.
pub(super) fn next_row(b: &mut Builder, bound: &[Bound]) {
    for it in bound {
        match (it.operand, it.stride) {
            (Operand::Row, _) => b.bump(it.at, it.element.bytes()),
            (Operand::Full, Some(stride)) => b.bump(it.at, stride),
            _ => {}
        }
    }
}

/// Adds a pointer for each operand to a program over one plane, whose rows follow each other.
pub(super) fn bind_planes(b: &mut Builder, epilogue: &[Step]) -> Vec<Bound> {
    operands(epilogue)
        .map(|(operand, element)| Bound { operand, element, at: b.param(), stride: None })
        .collect()
}

/// Moves the operand pointers by a number of columns.
pub(super) fn next_columns(b: &mut Builder, bound: &[Bound], count: IReg) {
    for it in bound {
        if matches!(it.operand, Operand::Column | Operand::Full) {
            let bytes = b.int_op(IntOp::ShiftLeft, count, i64::from(it.element.bytes().trailing_zeros()));
            b.bump(it.at, bytes);
        }
    }
}

/// How many instructions the steps are for one register.
pub(crate) fn length(epilogue: &[Step], width: Width) -> usize {
    let mut b = Builder::of_width("probe", width);
    let bound = bind(&mut b, epilogue);
    let value = b.vector();
    apply(&mut b, epilogue, &bound, value, 0, None);
    b.finish().body.len()
}

/// Whether the steps are so short that repeating them for each register of a tile is cheaper than a second pass.
pub(super) fn is_light(epilogue: &[Step], width: Width) -> bool {
    length(epilogue, width) <= 8
}
