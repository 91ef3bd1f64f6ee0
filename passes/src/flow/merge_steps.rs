//! Products of the steps of a sequence by one matrix become one product of the sequence.
//!
//! What an unrolled recurrent layer reads of its input is `x[t] · w` for each step `t`: each of these products reads the
//! whole matrix for a few rows. `x · w` reads it once, and its steps are what the products were.

use super::binding_of;
use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::Diagnostic;
use orogen_ir::flow::{BindingId, BlockId, Editor, Rhs, ValueId};
use orogen_ir::types::{Attrs, DType};

/// A product of a step, with the index of the step.
struct Step {
    product: BindingId,
    index: ValueId,
    attrs: Attrs,
}

/// Merges products of at least half of the steps of a sequence.
pub(super) fn merge_steps(
    editor: &mut Editor<'_>,
    block: BlockId,
    named: &[ValueId],
) -> Result<bool, Diagnostic> {
    let mut changed = false;
    for ((x, weights), steps) in steps(editor, block, named) {
        editor.before(steps[0].product);
        let matmul = editor.ops().get("matmul");
        let whole = editor.op(matmul, Attrs::none(), &[x, weights])?[0];
        let made = binding_of(editor, whole);
        for Step { product, index, attrs } in steps {
            editor.before(product);
            let gather = editor.ops().get("gather");
            let part = editor.op(gather, attrs, &[whole, index])?[0];
            let result = editor.binding(product).results[0];
            editor.add_source(made, product);
            editor.replace(result, part);
            editor.remove(product);
        }
        changed = true;
    }
    Ok(changed)
}

/// Products that are worth merging, by the sequence and the matrix, in program order.
fn steps(editor: &Editor<'_>, block: BlockId, named: &[ValueId]) -> IndexMap<(ValueId, ValueId), Vec<Step>> {
    let matmul = editor.ops().get("matmul");
    let mut groups: IndexMap<(ValueId, ValueId), Vec<Step>> = IndexMap::new();
    for id in editor.order(block) {
        let Rhs::Op { op, args, .. } = &editor.binding(id).rhs else { continue };
        if *op != matmul || matrix(editor, args[1], named).is_none() {
            continue;
        }
        if let Some((x, index, attrs)) = step(editor, args[0]) {
            groups.entry((x, args[1])).or_default().push(Step { product: id, index, attrs });
        }
    }
    groups.retain(|(x, _), steps| {
        let of = |it: &Step| editor.constant_data(it.index).map(|it| it.get_f64(0) as i64);
        let distinct: IndexSet<Option<i64>> = steps.iter().map(of).collect();
        let all = editor.type_of(*x).as_tensor().and_then(|it| editor.shapes.as_int(*it.dims()?.first()?));
        distinct.len() > 1 && all.is_some_and(|it| it <= 2 * distinct.len() as i64)
    });
    groups
}

/// The sequence of matrices that a value is a step of, and which: `gather(x, constant)` along the first of three or more
/// dimensions.
fn step(editor: &Editor<'_>, value: ValueId) -> Option<(ValueId, ValueId, Attrs)> {
    let Rhs::Op { op, attrs, args } = editor.defining_rhs(value)? else { return None };
    let x = args[0];
    let rank = editor.type_of(x).as_tensor()?.dims()?.len();
    let is_step = editor.ops().find("gather") == Some(*op) && attrs.int("axis") == Some(0) && rank >= 3;
    let index = *args.get(1).filter(|_| is_step)?;
    editor.constant_data(index).filter(|it| it.dims().is_empty())?;
    Some((x, index, attrs.clone()))
}

/// Rows and columns of a matrix that is a constant, or a parameter which is named.
pub(super) fn matrix(editor: &Editor<'_>, value: ValueId, named: &[ValueId]) -> Option<(DType, [u64; 2])> {
    if editor.constant_data(value).is_none() && !named.contains(&value) {
        return None;
    }
    let ty = editor.type_of(value).as_tensor().filter(|it| it.dtype.bits() >= 8)?;
    let dims = ty.static_dims(editor.shapes)?;
    Some((ty.dtype, dims[..].try_into().ok()?))
}
