//! What programs compute, and how far results are apart.

use crate::subject::Subject;
use orogen_ir::flow::Module;
use orogen_ir::ops::OpRegistry;
use orogen_ir::types::TensorData;
use orogen_reference::{Value, eval_function};

/// What a module computes.
pub(crate) fn of_module(
    ops: &OpRegistry,
    module: &Module,
    inputs: &[TensorData],
) -> Result<Vec<TensorData>, String> {
    let name = module.entry().ok_or("the module has no function")?.0;
    let args: Vec<Value> = inputs.iter().cloned().map(Value::from).collect();
    let outputs = eval_function(ops, module, name, &args).map_err(|it| it.to_string())?;
    let tensor = |it: &Value| it.as_tensor().cloned().ok_or_else(|| "an output is no tensor".to_string());
    outputs.iter().map(tensor).collect()
}

/// What the program of a subject means, for one that is interpreted.
pub(crate) fn meant(ops: &OpRegistry, subject: &Subject) -> Option<Result<Vec<TensorData>, String>> {
    let inputs = subject.inputs.as_ref()?;
    Some(orogen_reference::eval_graph(ops, &subject.graph, inputs).map_err(|it| it.to_string()))
}

/// Fusion keeps intermediate values that were rounded before, so results may differ in the last bits.
pub(crate) fn same(got: &[TensorData], expected: &[TensorData]) -> Result<(), String> {
    if got.len() != expected.len() {
        return Err(format!("{} outputs instead of {}", got.len(), expected.len()));
    }
    for (i, (a, b)) in got.iter().zip(expected).enumerate() {
        if (a.dtype(), a.dims()) != (b.dtype(), b.dims()) {
            let text = |it: &TensorData| format!("{}{:?}", it.dtype(), it.dims());
            return Err(format!("output {i} is {} instead of {}", text(a), text(b)));
        }
        if a.dtype().is_float() {
            floats(a, b).map_err(|it| format!("output {i}: {it}"))?;
        } else if a != b {
            return Err(format!("output {i} differs"));
        }
    }
    Ok(())
}

fn floats(a: &TensorData, b: &TensorData) -> Result<(), String> {
    const TOLERANCE: f64 = 1e-5;
    let magnitude = b.to_f64().into_iter().filter(|it| it.is_finite()).fold(1.0f64, |m, it| m.max(it.abs()));
    for (j, (x, y)) in a.to_f64().into_iter().zip(b.to_f64()).enumerate() {
        let equal = x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= TOLERANCE * magnitude;
        if !equal {
            return Err(format!("element {j} is {x} instead of {y}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use orogen_ir::types::DType;

    #[test]
    fn a_wrong_number_a_wrong_shape_a_wrong_type_and_a_missing_output_are_noticed() {
        let of =
            |dims: &[u64], values: &[f64]| TensorData::from_f64(DType::F32, dims, values.iter().copied());
        let right = [of(&[2], &[1.0, 2.0])];
        assert_eq!(same(&right, &right), Ok(()));
        assert!(same(&[of(&[2], &[1.0, 2.1])], &right).is_err());
        assert!(same(&[of(&[2, 1], &[1.0, 2.0])], &right).is_err());
        assert!(same(&[of(&[2], &[1.0, f64::NAN])], &right).is_err());
        assert!(same(&[TensorData::from_f64(DType::F64, &[2], [1.0, 2.0])], &right).is_err());
        assert!(same(&[], &right).is_err());
        let integers = |it: &[i64]| [TensorData::ints(it)];
        assert!(same(&integers(&[1 << 60, 1]), &integers(&[(1 << 60) + 1, 1])).is_err());
    }
}
