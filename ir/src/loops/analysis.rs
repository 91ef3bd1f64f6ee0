//! What a tensor program is, computed from its loops.
//!
//! Nothing here is declared by whoever wrote the program, so kernels of users fuse and compile like built-in ones.

use super::broadcast::is_broadcast_of;
use super::{Axis, BinaryOp, BufferId, BufferRole, Combine, Expr, ExprId, Index, Stage, Stmt, TensorProgram};
use crate::shape::{Atom, Dim, Factor, Sym};
use indexmap::IndexMap;

/// How a program may take part in fusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FusionKind {
    /// One stage without a reduction, each output element from one element of every input of that shape.
    Elementwise,
    /// One stage without a reduction, any indexing.
    Injective,
    /// Stages over common leading axes whose buffers between them are one row long: softmax, normalisation,
    /// reductions over the innermost axis.
    Row,
    /// A reduction of products of two loads (matrix product, convolution), with elementwise stages after it.
    Contraction,
    /// One other reduction, with elementwise stages after it.
    Reduction,
    /// Anything else.
    Opaque,
}

/// Classifies a program.
pub fn fusion_kind(program: &TensorProgram) -> FusionKind {
    let Some(stages) = flat_stages(program) else { return FusionKind::Opaque };
    let reductions: Vec<&&Stage> = stages.iter().filter(|it| it.combine.is_some()).collect();
    match (reductions.as_slice(), stages.as_slice()) {
        ([], [stage]) => {
            if loads_at_own_index(program, stage) {
                FusionKind::Elementwise
            } else {
                FusionKind::Injective
            }
        }
        ([], _) => match row_form(program) {
            Some(_) => FusionKind::Row,
            None => FusionKind::Opaque,
        },
        ([reduction], [first, ..]) if is_contraction(program, reduction) => {
            if std::ptr::eq(**reduction, *first) && followed_elementwise(program, &stages) {
                FusionKind::Contraction
            } else {
                FusionKind::Opaque
            }
        }
        ([reduction], [first, ..])
            if row_form(program).is_none()
                && std::ptr::eq(**reduction, *first)
                && followed_elementwise(program, &stages) =>
        {
            FusionKind::Reduction
        }
        _ if reductions.iter().any(|it| is_contraction(program, it)) => FusionKind::Opaque,
        _ => match row_form(program) {
            Some(_) => FusionKind::Row,
            None => FusionKind::Opaque,
        },
    }
}

/// The stages of a program without sequential loops.
pub fn flat_stages(program: &TensorProgram) -> Option<Vec<&Stage>> {
    program
        .body
        .iter()
        .map(|stmt| match stmt {
            Stmt::Stage(stage) => Some(stage),
            Stmt::For { .. } => None,
        })
        .collect()
}

/// Whether a stage sums products of two loads over its reduction axes, other than squares. Each may be converted; from one that is converted
/// to i32 another such load may be subtracted, the zero point of a quantised value. Products of integers may be added as floats.
pub fn is_contraction(program: &TensorProgram, stage: &Stage) -> bool {
    if stage.combine != Some(Combine::Sum) {
        return false;
    }
    let value = match program.exprs[stage.value] {
        Expr::Cast(to, inner) if to.is_float() && program.dtype_of(inner).is_int() => inner,
        _ => stage.value,
    };
    let Expr::Binary(BinaryOp::Mul, a, b) = &program.exprs[value] else { return false };
    let is_load = |id: ExprId| match program.exprs[id] {
        Expr::Cast(_, inner) => matches!(program.exprs[inner], Expr::Load { .. }),
        Expr::Load { .. } => true,
        _ => false,
    };
    let is_widened =
        |id: ExprId| matches!(program.exprs[id], Expr::Cast(to, _) if to.bits() == 32) && is_load(id);
    let is_factor = |id: ExprId| match program.exprs[id] {
        Expr::Binary(BinaryOp::Sub, x, zero) => is_widened(x) && is_widened(zero),
        _ => is_load(id),
    };
    is_factor(*a) && is_factor(*b) && !is_square(program, *a, *b)
}

/// Whether both factors are the same element: a sum of squares reads each of them once, whatever it is added to.
fn is_square(program: &TensorProgram, a: ExprId, b: ExprId) -> bool {
    match (&program.exprs[a], &program.exprs[b]) {
        (Expr::Cast(to, a), Expr::Cast(other, b)) => to == other && is_square(program, *a, *b),
        (a @ Expr::Load { .. }, b @ Expr::Load { .. }) => a == b,
        _ => a == b,
    }
}

/// Whether a program copies elements of one buffer to other places: a transposition, a slice.
pub fn moves_elements(program: &TensorProgram) -> bool {
    let Some(stages) = flat_stages(program) else { return false };
    let [stage] = &stages[..] else { return false };
    let fixed = |at: &[Index]| at.iter().all(|it| it.dim().is_some());
    stage.combine.is_none()
        && fixed(&stage.at)
        && matches!(&program.exprs[stage.value], Expr::Load { at, otherwise: None, .. } if fixed(at))
}

/// Whether a program begins with products of matrices that lie along the sum, or along their rows or columns: neighbours
/// in a factor are neighbours of the sum, or of the last axis of the result that the factor has.
pub fn is_matrix_product(program: &TensorProgram) -> bool {
    let Some(stages) = flat_stages(program) else { return false };
    let Some(stage) = stages.first().filter(|it| is_contraction(program, it)) else { return false };
    let [sum] = &stage.reduce[..] else { return false };
    let mut holds = true;
    for_each_load(program, stage.value, &mut |buffer, at, otherwise| {
        // Zero points of quantised values are read by the side.
        if program.buffers[buffer].dims.is_empty() {
            return;
        }
        let single = |dim: Dim| program.shapes.as_int(dim) == Some(1);
        let places = |axis: &Axis| -> Vec<usize> {
            (0..at.len())
                .filter(|i| at[*i].dim().is_some_and(|it| program.shapes.mentions(it, axis.var)))
                .collect()
        };
        let axes: Vec<(Sym, usize)> = stage
            .axes
            .iter()
            .chain([sum])
            .filter(|it| !single(it.extent))
            .flat_map(|axis| places(axis).into_iter().map(|place| (axis.var, place)))
            .collect();
        let alone = axes.iter().all(|(axis, place)| {
            axes.iter().filter(|it| it.0 == *axis || it.1 == *place).count() == 1
                && at[*place].dim().is_some_and(|dim| is_shifted(program, dim, *axis))
        });
        let dense = |place: &usize| program.buffers[buffer].dims[place + 1..].iter().all(|it| single(*it));
        let along_sum = axes.iter().find(|it| it.0 == sum.var);
        let last = axes.iter().rfind(|it| it.0 != sum.var);
        holds &= !otherwise
            && at.iter().all(|it| it.dim().is_some())
            && alone
            && [along_sum, last].into_iter().flatten().any(|it| dense(&it.1));
    });
    holds
}

/// Whether an index is an axis, or so much after it.
fn is_shifted(program: &TensorProgram, dim: Dim, axis: Sym) -> bool {
    let shapes = &program.shapes;
    let is_axis = |id| *shapes.atom(id) == Atom::Sym(axis);
    let poly = shapes.poly(dim);
    let own = |(factors, by): (&[Factor], i64)| by == 1 && matches!(factors, [(id, 1)] if is_axis(*id));
    let plain = |id| matches!(shapes.atom(id), Atom::Sym(_));
    poly.terms().filter(|it| own(*it)).count() == 1
        && poly.terms().all(|it| own(it) || it.0.iter().all(|factor| plain(factor.0) && !is_axis(factor.0)))
}

/// Whether a stage stores at its axes, and every load is at the stored index or a broadcast of it: a load of a buffer
/// of the stored rank has the stored index or 0 in every dimension, and one of a lower rank has axes or 0. Sizes may
/// decide which of the two it is.
pub fn loads_at_own_index(program: &TensorProgram, stage: &Stage) -> bool {
    let Some(own) = stage.at.iter().map(Index::dim).collect::<Option<Vec<Dim>>>() else { return false };
    let is_axis =
        |dim: Dim| program.shapes.as_sym(dim).is_some_and(|it| stage.axes.iter().any(|axis| axis.var == it));
    let is_zero = |dim: Dim| program.shapes.as_int(dim) == Some(0);
    if !own.iter().all(|it| is_axis(*it) || is_zero(*it)) {
        return false;
    }
    let mut holds = true;
    for_each_load(program, stage.value, &mut |_, at, otherwise| {
        if otherwise || !holds {
            holds = false;
            return;
        }
        // A load of full rank is at the stored index, zeros for broadcasts; one of lower rank (a bias, a factor for
        // each channel) may leave indices out.
        let mut rest = own.iter();
        holds = match at.len() == own.len() {
            true => at.iter().zip(&own).all(|(it, own)| {
                it.dim().is_some_and(|it| is_zero(it) || is_broadcast_of(&program.shapes, it, *own))
            }),
            false => at.iter().all(|it| {
                it.dim().is_some_and(|it| {
                    is_zero(it) || rest.any(|own| is_broadcast_of(&program.shapes, it, *own))
                })
            }),
        };
    });
    holds
}

/// The common leading axes of a row program: how many there are.
///
/// Every stage begins with axes of the same extents, has at most one axis more, reduces over at most one, and
/// every local buffer is stored and loaded with these leading axes as its leading indices. So one row of every
/// local is alive at a time.
pub fn row_form(program: &TensorProgram) -> Option<usize> {
    let stages = flat_stages(program)?;
    let prefix = stages.iter().map(|it| it.axes.len()).min()?;
    (0..=prefix).rev().find(|prefix| has_row_prefix(program, &stages, *prefix))
}

fn has_row_prefix(program: &TensorProgram, stages: &[&Stage], prefix: usize) -> bool {
    let extents: Vec<Dim> = stages[0].axes[..prefix].iter().map(|it| it.extent).collect();
    stages.iter().all(|stage| {
        let leading = &stage.axes[..prefix];
        let inner = stage.axes.len() - prefix + stage.reduce.len();
        let rest_is_row = stage.axes[prefix..].iter().all(|it| program.shapes.as_int(it.extent) == Some(1))
            || (stage.combine.is_none() && stage.axes.len() - prefix == 1);
        if inner > 1 && !rest_is_row || stage.reduce.len() > 1 {
            return false;
        }
        if leading.iter().zip(&extents).any(|(axis, extent)| axis.extent != *extent) {
            return false;
        }
        let leads = |at: &[Index]| {
            at.len() >= prefix
                && at.iter().zip(leading).all(|(index, axis)| {
                    index.dim().is_some_and(|it| {
                        program.shapes.as_sym(it) == Some(axis.var)
                            || (program.shapes.as_int(it) == Some(0)
                                && program.shapes.as_int(axis.extent) == Some(1))
                    })
                })
        };
        let is_local = |id: BufferId| program.buffers[id].role == BufferRole::Local;
        let mut holds = !is_local(stage.buffer) || leads(&stage.at);
        for_each_load(program, stage.value, &mut |buffer, at, _| {
            holds &= !is_local(buffer) || leads(at);
        });
        // The output is stored by row as well, so rows can run in parallel.
        holds && leads(&stage.at)
    })
}

/// Whether every stage after the first is elementwise over the first one's result.
fn followed_elementwise(program: &TensorProgram, stages: &[&Stage]) -> bool {
    stages[1..].iter().all(|stage| stage.combine.is_none() && loads_at_own_index(program, stage))
}

/// Whether every load of `buffer` is at the index where its stage stores; a dimension of 1 may be read at 0.
pub fn reads_at_own_index(program: &TensorProgram, buffer: BufferId) -> bool {
    let Some(stages) = flat_stages(program) else { return false };
    let dims = &program.buffers[buffer].dims;
    let is = |dim: Dim, value: i64| program.shapes.as_int(dim) == Some(value);
    stages.iter().all(|stage| {
        let mut holds = true;
        for_each_load(program, stage.value, &mut |it, at, otherwise| {
            if it == buffer {
                holds &= !otherwise
                    && at.len() == stage.at.len()
                    && at.iter().zip(&stage.at).zip(dims).all(|((index, own), dim)| {
                        index == own || (is(*dim, 1) && index.dim().is_some_and(|it| is(it, 0)))
                    });
            }
        });
        holds
    })
}

/// Loads by buffer over the whole program, each expression once.
pub fn load_counts(program: &TensorProgram) -> IndexMap<BufferId, usize> {
    fn visit(program: &TensorProgram, body: &[Stmt], counts: &mut IndexMap<BufferId, usize>) {
        for stmt in body {
            match stmt {
                Stmt::Stage(stage) => {
                    let roots = std::iter::once(stage.value).chain(stage.at.iter().filter_map(Index::value));
                    for root in roots {
                        for_each_load(program, root, &mut |buffer, _, _| {
                            *counts.entry(buffer).or_insert(0) += 1
                        });
                    }
                }
                Stmt::For { body, .. } => visit(program, body, counts),
            }
        }
    }
    let mut counts = IndexMap::new();
    visit(program, &program.body, &mut counts);
    counts
}

/// Whether a stage reads or writes single elements at places from data: along its innermost axis every point has a
/// place of its own, so points are computed one after the other. Whole rows at places from data are not meant.
pub fn is_scattered(program: &TensorProgram) -> bool {
    program.stages().into_iter().any(|stage| {
        let innermost = |axes: &[Axis]| {
            axes.iter().rfind(|it| program.shapes.as_int(it.extent) != Some(1)).map(|it| it.var)
        };
        let innermost = [innermost(&stage.axes), innermost(&stage.reduce)];
        let varies = |dim: Dim| innermost.iter().flatten().any(|axis| program.shapes.mentions(dim, *axis));
        let scattered = |at: &[Index]| {
            let mut found = false;
            for place in at.iter().filter_map(Index::value) {
                program.walk(place, &mut |_, expr| {
                    found |= match expr {
                        Expr::Dim(dim, _) => varies(*dim),
                        Expr::Load { at, .. } => at.iter().filter_map(Index::dim).any(varies),
                        _ => false,
                    };
                });
            }
            found
        };
        let mut found = scattered(&stage.at);
        for_each_load(program, stage.value, &mut |_, at, _| found |= scattered(at));
        found
    })
}

/// Calls `f(buffer, index, whether it is guarded)` for every load below `root`, shared ones once.
pub fn for_each_load(program: &TensorProgram, root: ExprId, f: &mut impl FnMut(BufferId, &[Index], bool)) {
    let mut seen = indexmap::IndexSet::new();
    let mut pending = vec![root];
    while let Some(id) = pending.pop() {
        if !seen.insert(id) {
            continue;
        }
        if let Expr::Load { buffer, at, otherwise } = &program.exprs[id] {
            f(*buffer, at, otherwise.is_some());
        }
        pending.extend(program.exprs[id].operands());
    }
}
