//! Ensembles of decision trees, row by row and step by step.

use super::tensor::{dims_of, floats, from_floats, ints};
use super::{FamilyResult, OpCx};
use crate::error::{EvalError, EvalResult};
use orogen_ir::scalar::FloatKeys;
use orogen_ir::types::{Attrs, DType, TensorData};

pub(super) fn eval(cx: &OpCx<'_>) -> FamilyResult {
    (cx.name == "tree_ensemble").then(|| Ok(vec![tree_ensemble(cx.attrs, cx.args)?]))
}

/// The weights of the leaves that rows reach, put together.
pub(crate) fn tree_ensemble(attrs: &Attrs, args: &[TensorData]) -> EvalResult<TensorData> {
    let [x, nodes, trees, weights] = args else { return Err(EvalError::invalid("four operands are wanted")) };
    let keys = FloatKeys::for_type(x.dtype()).filter(|it| it.integer() == nodes.dtype());
    let Some(keys) = keys.filter(|_| trees.dtype() == DType::I32) else {
        return Err(EvalError::invalid("nodes are integers of the width of x, and trees of 32 bits"));
    };
    let shapes = args.iter().map(dims_of).map(|it| <[usize; 2]>::try_from(it).ok()).collect::<Vec<_>>();
    let [Some([rows, columns]), Some([count, 2]), Some([_, 3]), Some([leaves, targets])] = shapes[..] else {
        return Err(EvalError::invalid("the operands of trees are matrices of 2 and 3 columns"));
    };
    let bits = attrs.int("feature_bits").filter(|it| (1..=20).contains(it));
    let bits = bits.ok_or_else(|| EvalError::invalid("`feature_bits` is out of range"))?;
    if count == 0 || leaves == 0 {
        return Err(EvalError::invalid("there is no node, or no leaf"));
    }
    if FloatKeys::for_type(weights.dtype()).is_none() {
        return Err(EvalError::invalid("weights are f32 or f64"));
    }
    let missing = attrs.bool("missing").unwrap_or(false);
    let (start, join): (f64, fn(f64, f64) -> f64) = match attrs.str("aggregate").unwrap_or("sum") {
        "sum" => (0.0, |a, b| a + b),
        "min" => (f64::INFINITY, |a, b| if b < a { b } else { a }),
        "max" => (f64::NEG_INFINITY, |a, b| if b > a { b } else { a }),
        other => return Err(EvalError::invalid(format!("trees are not put together by `{other}`"))),
    };
    let (x, nodes, trees, table) = (floats(x), ints(nodes), ints(trees), floats(weights));
    let width = if keys == FloatKeys::Single { 32 } else { 64 };
    let unsigned = |it: i64| if width == 32 { u64::from(it as u32) } else { it as u64 };
    let clamped = |at: u64, count: usize| usize::try_from(at).unwrap_or(count).min(count - 1);
    let mut out = vec![start; rows * targets];
    for row in 0..rows {
        let key = |feature: usize| match x[row * columns..][..columns].get(feature) {
            Some(it) => keys.of(*it),
            None if !missing || feature >= 2 * columns => keys.least(),
            None => match x[row * columns + feature - columns] {
                it if it.is_nan() => keys.least(),
                it => keys.of(it),
            },
        };
        for tree in trees.chunks_exact(3) {
            let mut at = clamped(tree[0] as u32 as u64, count);
            for _ in 0..tree[2].max(0) {
                let link = unsigned(nodes[2 * at + 1]);
                let feature = link as usize & ((1 << bits) - 1);
                let next = link >> bits;
                let goes_on = key(feature) > nodes[2 * at];
                let next = clamped(next.saturating_add(u64::from(goes_on)), count);
                // No step from here on changes anything.
                if next == at {
                    break;
                }
                at = next;
            }
            let leaf = clamped(unsigned(nodes[2 * at]), leaves);
            for (sum, weight) in out[row * targets..].iter_mut().zip(&table[leaf * targets..][..targets]) {
                *sum = join(*sum, *weight);
            }
        }
    }
    from_floats(weights.dtype(), &[rows, targets], &out)
}
