//! Elementwise stages after a contraction, as steps of its epilogue.

use std::sync::Arc;

use orogen_ir::loops::{BufferId, BufferRole, Expr, ExprId, Index, Stage, TensorProgram};

use super::element::Class;
use super::expression::{Load, Node, VectorExpr};
use super::stages::accesses;
use crate::kernels::element::Element;
use crate::kernels::epilogue::{Fold, Operand, Step, Term};
use crate::vector::{BinaryOp, Builder, VReg, Width};

/// One step, before the operands are known.
#[derive(Clone, Debug)]
enum Part {
    /// With what is made of these leaves, as leaves 0, 1, …; none: with the only leaf itself.
    Combine(BinaryOp, Vec<usize>, Option<(VectorExpr, Node)>),
    /// A function of the value, which is leaf 0.
    Map(VectorExpr, Node),
}

/// Stages that continue a result, as a chain of steps.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    parts: Vec<Part>,
    /// How many stages it takes in.
    pub(crate) stages: usize,
    /// Where the final value goes.
    pub(crate) target: BufferId,
    /// Elements of the final value.
    pub(crate) element: Element,
    /// Loads of the operands, in the order of the steps, each with its stage.
    pub(crate) operands: Vec<(usize, ExprId)>,
}

/// Instructions of an epilogue that is repeated for every register of a tile, because what it stores is rounded.
pub(crate) const MOST_REPEATED: usize = 40;

/// How an operand is read.
pub(crate) type Kind = (Operand, Element);

/// The longest chain after stage 0 of `run` in lanes of a width: every stage is elementwise over the result before it.
/// `narrow` says whether the final value may be narrower than a lane, `admit` whether an operand can be read.
pub(crate) fn chain(
    program: &TensorProgram,
    run: &[&Stage],
    width: Width,
    narrow: bool,
    admit: &mut dyn FnMut(usize, ExprId) -> bool,
) -> Chain {
    let element = |stage: &Stage| Element::in_lanes(program.buffers[stage.buffer].dtype, width);
    (1..run.len())
        .rev()
        .filter(|last| narrow || element(run[*last]) == Some(Element::lane(width)))
        .filter(|last| dead_between(program, run, *last) && reads_own(program, run, *last))
        .find_map(|last| try_chain(program, &run[..=last], width, admit))
        .unwrap_or(Chain {
            parts: Vec::new(),
            stages: 0,
            target: run[0].buffer,
            element: element(run[0]).unwrap_or(Element::lane(width)),
            operands: Vec::new(),
        })
}

/// Whether nothing but stages 1 to `last` reads what stages before `last` store.
fn dead_between(program: &TensorProgram, run: &[&Stage], last: usize) -> bool {
    run[..last].iter().all(|stage| {
        let local = program.buffers[stage.buffer].role == BufferRole::Local;
        let count = |it: &&Stage| accesses(program, it, stage.buffer).count();
        let inside: usize = run[..=last].iter().map(count).sum();
        local && inside == super::stages::total_accesses(program, stage.buffer)
    })
}

/// Whether no tile reads what another one has stored: what stage `last` stores is not read by stage 0, and by the others at
/// their own element alone.
fn reads_own(program: &TensorProgram, run: &[&Stage], last: usize) -> bool {
    let target = run[last].buffer;
    accesses(program, run[0], target).next().is_none()
        && run[1..=last].iter().all(|stage| {
            accesses(program, stage, target).all(|at| same_element(program, target, at, &stage.at))
        })
}

fn try_chain(
    program: &TensorProgram,
    run: &[&Stage],
    width: Width,
    admit: &mut dyn FnMut(usize, ExprId) -> bool,
) -> Option<Chain> {
    let mut expr = VectorExpr::of_width(width);
    let mut values: Vec<(BufferId, Node)> = vec![(run[0].buffer, expr.leaf(0))];
    let mut leaves: Vec<(usize, ExprId)> = vec![(0, run[0].value)];
    for (at, stage) in run.iter().enumerate().skip(1) {
        if stage.combine.is_some() || !is_fill(program, stage) || !same_extents(program, run[0].buffer, stage)
        {
            return None;
        }
        Class::of(program.buffers[stage.buffer].dtype, width)?;
        let mut leaf = |expr: &mut VectorExpr, id: ExprId| {
            let Expr::Load { buffer, at: index, otherwise: None } = &program.exprs[id] else { return None };
            if let Some((_, node)) = values.iter().find(|it| it.0 == *buffer) {
                return same_element(program, *buffer, index, &stage.at).then_some(*node);
            }
            Element::in_lanes(program.buffers[*buffer].dtype, width).filter(|_| admit(at, id))?;
            leaves.push((at, id));
            Some(expr.leaf(leaves.len() - 1))
        };
        let node = if at + 1 == run.len() {
            expr.add_stored(program, stage, &mut Load(&mut leaf))?
        } else {
            expr.add(program, stage.value, &mut leaf)?
        };
        values.push((stage.buffer, node));
    }
    let (target, root) = *values.last()?;
    let mut parts = Vec::new();
    steps(&mut expr, root, &mut parts)?;
    let operands = parts
        .iter()
        .flat_map(|it| match it {
            Part::Combine(_, own, _) => &own[..],
            Part::Map(..) => &[],
        })
        .map(|leaf| leaves[*leaf])
        .collect();
    let element = Element::in_lanes(program.buffers[target].dtype, width)?;
    Some(Chain { parts, stages: run.len() - 1, target, element, operands })
}

/// Whether the stage stores at its axes, in order; dimensions of one element may be stored at 0.
pub(crate) fn is_fill(program: &TensorProgram, stage: &Stage) -> bool {
    let shapes = &program.shapes;
    let mut axes = stage.axes.iter().filter(|it| shapes.as_int(it.extent) != Some(1)).peekable();
    let dims = &program.buffers[stage.buffer].dims;
    for (index, dim) in stage.at.iter().zip(dims) {
        if shapes.as_int(*dim) == Some(1) {
            continue;
        }
        let Some(axis) = axes.next() else { return false };
        if axis.extent != *dim || index.dim().and_then(|it| shapes.as_sym(it)) != Some(axis.var) {
            return false;
        }
    }
    axes.next().is_none()
}

/// Whether two index lists name the same element of a buffer: a dimension of one element has one index.
fn same_element(program: &TensorProgram, buffer: BufferId, one: &[Index], other: &[Index]) -> bool {
    let dims = &program.buffers[buffer].dims;
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .zip(dims)
            .all(|((one, other), dim)| one == other || program.shapes.as_int(*dim) == Some(1))
}

fn same_extents(program: &TensorProgram, buffer: BufferId, stage: &Stage) -> bool {
    program.buffers[buffer].dims == program.buffers[stage.buffer].dims
}

/// Takes an expression apart into steps on leaf 0.
fn steps(expr: &mut VectorExpr, root: Node, parts: &mut Vec<Part>) -> Option<()> {
    if expr.as_leaf(root) == Some(0) {
        return Some(());
    }
    let leaves = expr.leaves_of(root);
    if !leaves.contains(&0) {
        return None;
    }
    let accumulator = expr.leaf(0);
    if leaves == [0] {
        let (map, result) = expr.between(root, accumulator);
        parts.push(Part::Map(map, result));
        return Some(());
    }
    if let Some((op, x, y)) = expr.as_binary(root) {
        let operand = |node: Node| Some(expr.leaves_of(node)).filter(|it| !it.is_empty() && !it.contains(&0));
        let combine = |op: BinaryOp, node: Node, leaves: Vec<usize>| {
            let value = expr.as_leaf(node).is_none().then(|| expr.part(node, &leaves));
            Part::Combine(op, leaves, value)
        };
        let commutes = matches!(op, BinaryOp::Add | BinaryOp::Mul | BinaryOp::IntAdd | BinaryOp::IntMul);
        if let Some(leaves) = operand(y) {
            let part = combine(op, y, leaves);
            steps(expr, x, parts)?;
            parts.push(part);
            return Some(());
        }
        if let Some(leaves) = operand(x) {
            if commutes {
                let part = combine(op, x, leaves);
                steps(expr, y, parts)?;
                parts.push(part);
                return Some(());
            }
            let negation = match op {
                BinaryOp::Sub => {
                    Some((BinaryOp::Add, VectorExpr::negate as fn(&mut VectorExpr, Node) -> Node))
                }
                BinaryOp::IntSub => Some((BinaryOp::IntAdd, VectorExpr::negate_int as _)),
                _ => None,
            };
            if let Some((sum, negation)) = negation {
                let part = combine(sum, x, leaves);
                steps(expr, y, parts)?;
                let mut negate = VectorExpr::of_width(expr.width());
                let value = negate.leaf(0);
                let result = negation(&mut negate, value);
                parts.push(Part::Map(negate, result));
                parts.push(part);
                return Some(());
            }
        }
    }
    // A value through which everything but constants passes.
    for cut in (0..root).rev() {
        if expr.leaves_without(root, cut).is_empty() && expr.leaves_of(cut).contains(&0) {
            steps(expr, cut, parts)?;
            let (map, result) = expr.between(root, cut);
            parts.push(Part::Map(map, result));
            return Some(());
        }
    }
    None
}

impl Chain {
    /// The steps, with how each operand is read.
    pub(crate) fn steps(&self, operands: &[Kind]) -> Vec<Step> {
        let mut operands = operands.iter();
        self.parts
            .iter()
            .map(|part| match part {
                Part::Combine(op, leaves, value) => {
                    let operands = operands.by_ref().take(leaves.len()).copied().collect();
                    let value = value.clone().map(|(expr, root)| {
                        let fold = move |b: &mut Builder, leaves: &[VReg]| expr.emit(b, leaves, &[root])[0];
                        Arc::new(fold) as Fold
                    });
                    Step::Combine(*op, Term { operands, value })
                }
                Part::Map(expr, root) => {
                    let (expr, root) = (expr.clone(), *root);
                    Step::map(move |b, value| expr.emit(b, &[value], &[root])[0])
                }
            })
            .collect()
    }

    /// A text that says everything about the steps and the final value.
    pub(crate) fn key(&self, operands: &[Kind]) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Combine(op, leaves, None) => format!("{op:?}/{}", leaves.len()),
            Part::Combine(op, leaves, Some((expr, root))) => {
                format!("{op:?}/{} {}@{root}", leaves.len(), expr.key())
            }
            Part::Map(expr, root) => format!("{}@{root}", expr.key()),
        });
        format!("{:?} {operands:?} {:?}", parts.collect::<Vec<_>>(), self.element)
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}
