//! Whether a kernel may write an output where an input lies.

use crate::loops::{BufferId, Expr, Index, Stage, Stmt, TensorProgram};
use crate::shape::Dim;
use crate::types::Effects;

/// Whether the kernel gives the same result when `output` shares the memory of `input`: the buffers have one layout,
/// one stage stores the output, and it alone loads the input, only at the element it stores. However stages are put
/// into loops, an element is then read before it is written and never after. A kernel that may abort reads operands again
/// to say at which index.
pub(super) fn may_share(program: &TensorProgram, input: BufferId, output: BufferId) -> bool {
    if program.effects().contains(Effects::ABORT) {
        return false;
    }
    let (from, to) = (&program.buffers[input], &program.buffers[output]);
    if from.dtype.size() != to.dtype.size() || from.dims != to.dims {
        return false;
    }
    let mut stored = false;
    for stmt in &program.body {
        let Stmt::Stage(stage) = stmt else {
            // Loops repeat: an input that lives through one must not change.
            return false;
        };
        let stores = stage.buffer == output;
        if stored && stores {
            return false;
        }
        let mut safe = true;
        let roots = std::iter::once(stage.value).chain(stage.at.iter().filter_map(Index::value));
        for root in roots {
            program.walk(root, &mut |_, expr| {
                if let Expr::Load { buffer, at, .. } = expr
                    && *buffer == input
                {
                    safe &= stores && stage.combine.is_none() && same_element(program, at, stage, &from.dims);
                }
            });
        }
        if !safe {
            return false;
        }
        stored |= stores;
    }
    stored
}

/// Whether what is read at `at` is the element that the stage stores: of a dimension of 1 there is one.
fn same_element(program: &TensorProgram, at: &[Index], stage: &Stage, dims: &[Dim]) -> bool {
    let first = |index: &Index| index.dim().and_then(|it| program.shapes.as_int(it)) == Some(0);
    at.len() == dims.len()
        && stage.at.len() == dims.len()
        && (0..dims.len())
            .all(|i| at[i] == stage.at[i] || (program.shapes.as_int(dims[i]) == Some(1) && first(&at[i])))
}
