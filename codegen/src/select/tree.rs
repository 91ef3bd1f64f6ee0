//! What a kernel becomes: a tree of loops, stages and calls of routines.

use super::stages::{accesses, expressions_below};
use orogen_ir::loops::{BufferId, Expr, ExprId, Index, Stage, TensorProgram};
use orogen_ir::shape::{Dim, Sym};

/// A part of a kernel.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// A loop; each symbol has the value of the loop variable.
    Loop {
        /// Number of iterations.
        extent: Dim,
        /// What the loop variable is called in the stages inside.
        vars: Vec<Sym>,
        /// What is repeated.
        body: Vec<Node>,
        /// Whether iterations may run at the same time.
        independent: bool,
    },
    /// A stage as scalar loops, of which the first `bound` axes are loops around it.
    Stage {
        /// The stage.
        stage: Stage,
        /// How many of its axes are already bound.
        bound: usize,
    },
    /// A vector routine.
    Call(Box<Call>),
    /// Parts of a stage that say by a number other than 0 at the start of the workspace that an index is out of range:
    /// then what follows looks for it element by element.
    Checked {
        /// What runs.
        body: Vec<Node>,
        /// The stage, or its indices alone.
        again: Box<Node>,
    },
    /// The indices of a stage that are checked, as scalar loops: nothing is stored.
    Probe {
        /// The stage.
        stage: Stage,
    },
    /// Parts that change memory at places that data choose, after it is known that all of these are in range.
    Guarded {
        /// What finds an index that is not.
        checks: Vec<Node>,
        /// What runs then.
        body: Vec<Node>,
    },
    /// Parts that compute stages whose points may be none: they run only where there is a point to be stored, so that
    /// no loop turns around nothing.
    Some {
        /// For each stage, where it stores and the extents of its axes.
        spaces: Vec<(BufferId, Vec<Dim>)>,
        /// What runs.
        body: Vec<Node>,
    },
}

impl Node {
    /// Does something with each call of a routine, in order.
    pub(crate) fn calls(&self, each: &mut dyn FnMut(&Call)) {
        match self {
            Node::Loop { body, .. } | Node::Some { body, .. } | Node::Checked { body, .. } => {
                body.iter().for_each(|it| it.calls(each));
            }
            Node::Guarded { checks, body } => checks.iter().chain(body).for_each(|it| it.calls(each)),
            Node::Stage { .. } | Node::Probe { .. } => {}
            Node::Call(call) => each(call),
        }
    }

    /// Whether the memory of a buffer is read or written.
    pub(crate) fn touches(&self, program: &TensorProgram, buffer: BufferId) -> bool {
        let loads = |roots: Vec<ExprId>| {
            expressions_below(program, roots)
                .iter()
                .any(|it| matches!(&program.exprs[*it], Expr::Load { buffer: from, .. } if *from == buffer))
        };
        match self {
            Node::Loop { body, .. } | Node::Some { body, .. } => {
                body.iter().any(|it| it.touches(program, buffer))
            }
            Node::Checked { again, .. } => again.touches(program, buffer),
            Node::Guarded { checks, body } => checks.iter().chain(body).any(|it| it.touches(program, buffer)),
            Node::Probe { stage } | Node::Stage { stage, .. } => {
                accesses(program, stage, buffer).next().is_some()
            }
            Node::Call(call) => call.args.iter().any(|arg| match arg {
                Arg::Pointer(own, _) => *own == buffer,
                Arg::Element(own, at) => {
                    *own == buffer || loads(at.iter().filter_map(Index::value).collect())
                }
                Arg::Value(value, _) => loads(vec![*value]),
                Arg::Size(_) | Arg::Float(_) | Arg::Double(_) | Arg::Workspace(_) => false,
            }),
        }
    }
}

/// How the work of a part is divided among threads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Parallel {
    /// Not at all.
    No,
    /// It is a loop of so many iterations; a call runs a range of them.
    Loop(Dim),
    /// So many units; the symbols stand for the range that a call computes.
    Range {
        /// Number of units.
        units: Dim,
        /// First unit.
        begin: Sym,
        /// End.
        end: Sym,
    },
}

/// An argument of a routine.
#[derive(Clone, Debug)]
pub(crate) enum Arg {
    /// An address in a buffer, so many bytes from its start.
    Pointer(BufferId, Dim),
    /// The address of an element; indices may depend on data.
    Element(BufferId, Vec<Index>),
    /// A number.
    Size(Dim),
    /// An integer that data give, kept within ±2⁴¹, and a number more.
    Value(ExprId, Dim),
    /// The bits of the `f32` nearest to a number.
    Float(Dim),
    /// The bits of the `f64` nearest to a number.
    Double(Dim),
    /// An address in the workspace, so many bytes from its start.
    Workspace(Dim),
}

/// A call of a routine.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Symbol of the routine.
    pub(crate) symbol: String,
    /// Its arguments, over sizes, loop variables and the range of the part.
    pub(crate) args: Vec<Arg>,
    /// Bytes of workspace.
    pub(crate) workspace: Dim,
    /// What it is, for reports.
    pub(crate) what: String,
}
