//! Parts of a kernel, and the phases that they make.
//!
//! A part is what one routine, or one nest of loops, computes. Many parts can be divided among threads, each in a way of
//! its own, so all threads must be done with one before the next begins. A phase is a part that is divided, or several in a
//! row that are not; or several that have nothing to do with each other, such as the directions of a recurrent layer,
//! of which each thread takes some. Each phase is a function, and who calls the kernel calls one after the other.
//!
//! # Laws
//! * **D1** Parts compute the statements of the program, all of them, in order.
//! * **D2** What a call of a phase computes depends on its range alone, not on which other ranges there are: sums are
//!   divided by extents alone (law P1 of [`super::partials`]). So results have the same bits for every number of threads.
//! * **D3** What is not worth a second thread is not divided: parts of a known size of less than [`WORK`], and kernels of
//!   less than that altogether.
//! * **D4** Parts beside each other touch nothing that another of them writes: no element of one buffer, and no two buffers
//!   that may be the same memory, as a result may be that of an input.

use orogen_ir::loops::{Axis, BufferId, BufferRole, Index, Stage, Stmt, TensorProgram};
use orogen_ir::shape::{Dim, Overflow, ShapeCx, SymbolKind};

use super::stages::accesses;
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
    /// Whether calls compute ranges: of the only part, or of parts beside each other.
    pub(crate) divided: bool,
    /// How many iterations or units there are to be divided; 1 where nothing is.
    pub(crate) extent: Dim,
    /// Element operations, roughly.
    pub(crate) work: Dim,
}

/// The phases of a program's parts; `constant` says which parameters are always constants.
pub(crate) fn phases(
    shapes: &mut ShapeCx,
    program: &TensorProgram,
    parts: &[Part],
    (constant, divide): (&[bool], bool),
) -> Result<Vec<Phase>, Overflow> {
    let mut phases: Vec<Phase> = Vec::new();
    let mut rest = &program.body[..];
    // The statements of each part of the last phase.
    let mut before: Vec<&[Stmt]> = Vec::new();
    for part in parts {
        let (own, after) = rest.split_at(part.statements);
        rest = after;
        let work = work(shapes, own)?;
        let work = shapes.floor_div(work, part.rate)?;
        let extent = match part.parallel {
            Parallel::Loop(extent) | Parallel::Range { units: extent, .. } => extent,
            Parallel::No => shapes.int(1),
        };
        let small = |shapes: &ShapeCx, work: Dim| shapes.as_int(work).is_some_and(|it| it < WORK);
        let divided = divide && !small(shapes, work) && shapes.as_int(extent).is_none_or(|it| it > 1);
        if let Some(last) = phases.last_mut().filter(|_| !divided) {
            let beside = !last.divided && last.parts == 1 || last.divided && last.parts > 1;
            let large = divide && !small(shapes, work);
            if beside
                && large
                && !small(shapes, last.work)
                && before.iter().all(|it| apart(program, constant, it, own))
            {
                *last = Phase {
                    parts: last.parts + 1,
                    divided: true,
                    extent: shapes.int(last.parts as i64 + 1),
                    work: shapes.add(last.work, work)?,
                };
                before.push(own);
                continue;
            }
            // What is large may have another one beside it.
            if !last.divided && !large {
                last.parts += 1;
                last.work = shapes.add(last.work, work)?;
                before.push(own);
                continue;
            }
        }
        let extent = if divided { extent } else { shapes.int(1) };
        phases.push(Phase { parts: 1, divided, extent, work });
        before = vec![own];
    }
    if phases.is_empty() {
        let (extent, work) = (shapes.int(1), shapes.int(0));
        phases.push(Phase { parts: 0, divided: false, extent, work });
    }
    Ok(phases)
}

/// Law D4 of two parts.
fn apart(program: &TensorProgram, constant: &[bool], one: &[Stmt], other: &[Stmt]) -> bool {
    let (one, other) = (stages_of(one), stages_of(other));
    let touches =
        |stages: &[&Stage], buffer| stages.iter().any(|it| accesses(program, it, buffer).next().is_some());
    let writes = |stages: &[&Stage], buffer| stages.iter().any(|it| it.buffer == buffer);
    let mut results = false;
    let mut inputs = false;
    for (id, buffer) in program.buffers.iter() {
        let is_touched = touches(&one, id) || touches(&other, id);
        let is_written = writes(&one, id) || writes(&other, id);
        let is_local = buffer.role == BufferRole::Local;
        let place = program.params.iter().position(|it| *it == id);
        let is_constant = place.and_then(|it| constant.get(it)).copied().unwrap_or(false);
        results |= is_written && !is_local;
        inputs |= is_touched && !is_written && !is_local && !is_constant;
        if is_written && !elements_apart(program, &one, &other, id) {
            return false;
        }
    }
    !(results && inputs)
}

/// Whether two parts touch different elements of a buffer: by one index or another they are at different constants.
fn elements_apart(program: &TensorProgram, one: &[&Stage], other: &[&Stage], buffer: BufferId) -> bool {
    let fixed = |index: &Index| index.dim().and_then(|it| program.shapes.as_int(it));
    let differ = |a: &[Index], b: &[Index]| {
        a.iter().zip(b).any(|(a, b)| matches!((fixed(a), fixed(b)), (Some(a), Some(b)) if a != b))
    };
    one.iter()
        .flat_map(|it| accesses(program, it, buffer))
        .all(|a| other.iter().flat_map(|it| accesses(program, it, buffer)).all(|b| differ(a, b)))
}

/// All stages, those in loops too.
pub(super) fn stages_of(body: &[Stmt]) -> Vec<&Stage> {
    body.iter()
        .flat_map(|it| match it {
            Stmt::Stage(stage) => vec![stage],
            Stmt::For { body, .. } => stages_of(body),
        })
        .collect()
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
