//! Whether a kernel may write an output where an input lies.

use crate::loops::{BufferId, Expr, Index, Stmt, TensorProgram};

/// Whether the kernel gives the same result when `output` shares the memory of `input`: the buffers have one layout,
/// one stage stores the output, and it alone loads the input, only at the element it stores. However stages are put
/// into loops, an element is then read before it is written and never after.
pub(super) fn may_share(program: &TensorProgram, input: BufferId, output: BufferId) -> bool {
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
                    safe &= stores && *at == stage.at && stage.combine.is_none();
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
