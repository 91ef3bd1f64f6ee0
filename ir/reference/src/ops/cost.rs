//! What evaluating an operator costs, from the sizes of its operands and results.
//!
//! The evaluation holds elements in 8 bytes, and places of elements in up to 16.

use orogen_ir::ops::{ATTENTION_PERMS, Cost, Outline};
use orogen_ir::types::{Attrs, TensorData};

/// The most that [`eval_named`](super::eval_named) takes on these operands; `None` when the size of a result cannot be
/// said. `results` are those that inference knows.
pub fn eval_cost(name: &str, attrs: &Attrs, args: &[TensorData], results: &[Outline]) -> Option<Cost> {
    let mut bytes = 0u64;
    let mut result = 0u64;
    for known in results {
        let count = match &known.dims {
            Some(dims) => elements(dims),
            None if name == "range" => range_length(args)?,
            // The place of every element, or every element.
            None if name == "non_zero" => {
                elements(args.first()?.dims()).saturating_mul(args[0].dims().len().max(1) as u64)
            }
            None if name == "compress" => elements(args.first()?.dims()),
            None => return None,
        };
        bytes = bytes.saturating_add(count.saturating_mul(known.dtype.size() as u64));
        result = result.saturating_add(count);
    }
    let operands = args.iter().fold(0u64, |sum, it| sum.saturating_add(elements(it.dims())));
    let dim =
        |i: usize, axis: usize| args.get(i).and_then(|it| it.dims().get(axis)).map_or(1, |it| (*it).max(1));
    // Operations an element of a result takes beyond one.
    let each = match name {
        "matmul" | "matmul_integer" | "matmul_mixed" | "matmul_blocks" => {
            args.first().and_then(|it| it.dims().last()).map_or(1, |it| (*it).max(1))
        }
        "conv" | "conv_integer" | "conv_mixed" => {
            args.get(1).map_or(1, |it| elements(it.dims().get(1..).unwrap_or_default()))
        }
        "max_pool" | "avg_pool" => {
            let kernel = attrs.ints("kernel").unwrap_or_default();
            kernel.iter().fold(1u64, |n, it| n.saturating_mul(it.unsigned_abs().max(1)))
        }
        "resize" => 4u64.saturating_pow(args.first().map_or(0, |it| it.dims().len() as u32)),
        _ => 1,
    };
    let whole = match name {
        // Every operand element meets the kernel.
        "conv_transpose" => {
            let kernel = args.get(1).map_or(1, |it| elements(it.dims().get(1..).unwrap_or_default()));
            elements(args.first()?.dims()).saturating_mul(kernel)
        }
        // Every step of every batch row meets all weights.
        "lstm" | "lstm_integer" | "gru" | "rnn" => {
            let weights = [1, 2].map(|i| args.get(i).map_or(0, |it| elements(it.dims())));
            dim(0, 0).saturating_mul(dim(0, 1)).saturating_mul(weights[0].saturating_add(weights[1]))
        }
        "attention" => scores(args, attrs, result)
            .saturating_mul(read(args, attrs, 0, 0).saturating_add(read(args, attrs, 2, 0))),
        _ => 0,
    };
    let operations = result.saturating_mul(each).saturating_add(operands).saturating_add(whole);
    let (bytes, scratch) = match name {
        // The bytes are those of the operand.
        "reshape" | "squeeze" | "unsqueeze" => (0, 0),
        "full" => (bytes, 0),
        _ => {
            let between =
                if name == "attention" { scores(args, attrs, result).saturating_mul(64) } else { 0 };
            let spread =
                between.saturating_add(result.saturating_mul(8).saturating_mul(args.len().max(1) as u64));
            (
                bytes,
                spread.saturating_add(result.saturating_mul(8)).saturating_add(operands.saturating_mul(16)),
            )
        }
    };
    Some(Cost { bytes, scratch, operations })
}

/// How many scores attention computes: one of each key for each row of the result.
fn scores(args: &[TensorData], attrs: &Attrs, result: u64) -> u64 {
    (result / read(args, attrs, 2, 0).max(1)).saturating_mul(read(args, attrs, 1, 1).max(1))
}

/// A dimension, from the end, of an operand of attention as it is read.
fn read(args: &[TensorData], attrs: &Attrs, i: usize, from_end: usize) -> u64 {
    let dims = args.get(i).map_or(&[][..], TensorData::dims);
    let at = dims.len().checked_sub(from_end + 1);
    let perm = attrs.ints(ATTENTION_PERMS[i]);
    let own = at.and_then(|at| perm.map_or(Some(at), |it| usize::try_from(*it.get(at)?).ok()));
    own.and_then(|it| dims.get(it)).map_or(1, |it| (*it).max(1))
}

/// Number of elements, extents of 0 taken as 1: loops over an empty tensor still run over its other dimensions.
fn elements(dims: &[u64]) -> u64 {
    dims.iter().fold(1u64, |n, it| n.saturating_mul((*it).max(1)))
}

fn range_length(args: &[TensorData]) -> Option<u64> {
    let [start, limit, delta] = [0, 1, 2].map(|i| args.get(i).filter(|it| it.len() == 1));
    let [start, limit, delta] = [start?, limit?, delta?].map(|it| it.get_f64(0));
    let count = ((limit - start) / delta).ceil();
    // Saturates; NaN gives 0, and then the evaluation refuses.
    Some((count as u64).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use orogen_ir::types::DType;

    fn zeros(dims: &[u64]) -> TensorData {
        TensorData::from_f64(DType::F32, dims, (0..dims.iter().product()).map(|_| 0.0))
    }

    fn known(dims: &[u64]) -> [Outline; 1] {
        [Outline { dtype: DType::F32, dims: Some(dims.into()) }]
    }

    #[test]
    fn contractions_count_their_products() {
        let cost = |name: &str, args: &[TensorData], result: &[u64]| {
            eval_cost(name, &Attrs::none(), args, &known(result)).expect("known sizes")
        };
        let matmul = cost("matmul", &[zeros(&[4, 8]), zeros(&[8, 16])], &[4, 16]);
        assert_eq!((matmul.bytes, matmul.operations), (4 * 64, 64 * 8 + 32 + 128));
        let conv = cost("conv", &[zeros(&[1, 2, 5]), zeros(&[4, 2, 3])], &[1, 4, 3]);
        assert_eq!(conv.operations, 12 * 6 + 10 + 24);
        let add = cost("add", &[zeros(&[2]), zeros(&[2])], &[2]);
        assert_eq!(add, Cost { bytes: 8, scratch: 2 * 8 * 2 + 16 + 4 * 16, operations: 6 });
        assert_eq!(cost("reshape", &[zeros(&[6]), zeros(&[2])], &[2, 3]).bytes, 0, "shares its bytes");
        assert!(cost("add", &[zeros(&[0, 3])], &[0, u64::MAX]).operations == u64::MAX, "saturates");
    }

    #[test]
    fn ranges_are_counted_before_they_are_made() {
        let unknown = Outline { dtype: DType::F32, dims: None };
        let of = |a: f64, b: f64, c: f64| {
            let args = [a, b, c].map(|it| TensorData::from_f64(DType::F32, &[], [it]));
            eval_cost("range", &Attrs::none(), &args, std::slice::from_ref(&unknown))
        };
        assert!(of(0.0, 5.0, 0.5).is_some_and(|it| (10..=12).contains(&(it.bytes / 4))));
        assert!(of(0.0, 1e30, 1.0).is_some_and(|it| it.bytes == u64::MAX));
        assert!(of(0.0, 1.0, 0.0).is_some_and(|it| it.bytes == u64::MAX));
        assert!(eval_cost("unknown", &Attrs::none(), &[], std::slice::from_ref(&unknown)).is_none());
    }
}
