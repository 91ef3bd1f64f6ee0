//! Parts of a kernel, and the phases that they make.
//!
//! A part is what one routine, or one nest of loops, computes. Many parts can be divided among threads, each in a way of
//! its own, so all threads must be done with one before the next begins. A phase is a part that is divided, or several in a
//! row that are not; each phase is a function, and who calls the kernel calls one after the other.
//!
//! # Laws
//! * **D1** Parts compute the statements of the program, all of them, in order.
//! * **D2** What a call of a phase computes depends on its range alone, not on which other ranges there are: sums are never
//!   divided. So results have the same bits for every number of threads.
//! * **D3** What is not worth a second thread is not divided: parts of a known size of less than [`WORK`], and kernels of
//!   less than that altogether.

use orogen_ir::loops::{Axis, Stmt};
use orogen_ir::shape::{Dim, Overflow, ShapeCx, SymbolKind};

use super::tree::{Node, Parallel};

/// Work, in element operations, below which a phase is not worth a second thread.
pub(crate) const WORK: i64 = 1 << 16;
/// Least work of one range of a phase.
pub(crate) const GRAIN: i64 = 1 << 14;

/// What one routine, or one nest of loops, computes.
#[derive(Debug)]
pub(crate) struct Part {
    /// The code.
    pub(crate) body: Vec<Node>,
    /// How it is divided.
    pub(crate) parallel: Parallel,
    /// How many statements of the program it computes.
    pub(crate) statements: usize,
    /// How many element operations take the time of one.
    pub(crate) rate: i64,
}

/// Parts that are one function.
#[derive(Debug)]
pub(crate) struct Phase {
    /// How many of the parts that follow those of the phases before.
    pub(crate) parts: usize,
    /// Whether calls compute ranges of the only part.
    pub(crate) divided: bool,
    /// How many iterations or units there are to be divided; 1 where nothing is.
    pub(crate) extent: Dim,
    /// Element operations, roughly.
    pub(crate) work: Dim,
}

/// The phases of a program's parts.
pub(crate) fn phases(shapes: &mut ShapeCx, body: &[Stmt], parts: &[Part]) -> Result<Vec<Phase>, Overflow> {
    let mut phases: Vec<Phase> = Vec::new();
    let mut rest = body;
    for part in parts {
        let (own, after) = rest.split_at(part.statements);
        rest = after;
        let work = work(shapes, own)?;
        let work = shapes.floor_div(work, part.rate)?;
        let extent = match part.parallel {
            Parallel::Loop(extent) | Parallel::Range { units: extent, .. } => extent,
            Parallel::No => shapes.int(1),
        };
        let small = shapes.as_int(work).is_some_and(|it| it < WORK);
        let divided = !small && shapes.as_int(extent).is_none_or(|it| it > 1);
        match phases.last_mut() {
            Some(last) if !divided && !last.divided => {
                last.parts += 1;
                last.work = shapes.add(last.work, work)?;
            }
            _ => {
                let extent = if divided { extent } else { shapes.int(1) };
                phases.push(Phase { parts: 1, divided, extent, work });
            }
        }
    }
    if phases.is_empty() {
        let (extent, work) = (shapes.int(1), shapes.int(0));
        phases.push(Phase { parts: 0, divided: false, extent, work });
    }
    Ok(phases)
}

/// Iterations of all innermost loops; loops whose extent depends on other loops count as one.
pub(crate) fn work(shapes: &mut ShapeCx, body: &[Stmt]) -> Result<Dim, Overflow> {
    let mut total = shapes.int(0);
    for statement in body {
        let (axes, inner): (Vec<Axis>, Dim) = match statement {
            Stmt::Stage(stage) => {
                let axes = stage.axes.iter().chain(&stage.reduce).copied().collect();
                (axes, shapes.int(1))
            }
            Stmt::For { axis, body } => (vec![*axis], work(shapes, body)?),
        };
        let depends = |shapes: &ShapeCx, dim: Dim| {
            shapes.free_symbols(dim).into_iter().any(|it| matches!(shapes.kind(it), SymbolKind::Index { .. }))
        };
        let mut factors = vec![inner];
        factors.extend(axes.iter().map(|it| it.extent).filter(|it| !depends(shapes, *it)));
        let product = shapes.product(&factors)?;
        total = shapes.add(total, product)?;
    }
    Ok(total)
}
