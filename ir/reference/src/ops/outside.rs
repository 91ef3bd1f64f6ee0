//! Operators from outside, evaluated by their registration and checked against their inference.

use crate::error::{EvalError, EvalResult};
use orogen_ir::ops::{EvaluateFn, InferCx, OpId, OpRegistry};
use orogen_ir::shape::ShapeCx;
use orogen_ir::types::{Attrs, TensorData, TensorType, Type};

pub(super) fn eval(
    ops: &OpRegistry,
    op: OpId,
    evaluate: EvaluateFn,
    attrs: &Attrs,
    args: &[TensorData],
) -> EvalResult<Vec<TensorData>> {
    let name = ops.def(op).name;
    let invalid = |message: String| EvalError::invalid(message).within(format!("operator `{name}`"));
    let mut shapes = ShapeCx::new();
    let types: Vec<Type> =
        args.iter().map(|it| Type::Tensor(TensorType::of_constant(&mut shapes, it))).collect();
    let promised =
        ops.infer(op, &mut InferCx::new(&mut shapes, attrs, &types)).map_err(|it| invalid(it.message))?;
    let results = evaluate(attrs, args).map_err(invalid)?;
    if results.len() != promised.len() {
        return Err(invalid(format!(
            "{} results where inference promises {}",
            results.len(),
            promised.len()
        )));
    }
    for (i, (result, ty)) in results.iter().zip(&promised).enumerate() {
        let fits = ty.as_tensor().is_some_and(|it| {
            let dims = it.static_dims(&shapes);
            it.dtype == result.dtype() && dims.is_none_or(|dims| dims[..] == *result.dims())
        });
        if !fits {
            let ty = orogen_ir::text::type_text(&shapes, ty);
            let message = format!(
                "result {i} is {}{:?} where inference promises `{ty}`",
                result.dtype(),
                result.dims()
            );
            return Err(invalid(message));
        }
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::super::eval_op;
    use orogen_ir::ops::{Arity, OpDef, OpRegistry};
    use orogen_ir::types::{Attrs, DType, TensorData};
    use smallvec::smallvec;

    #[test]
    fn results_are_what_inference_promises() {
        let mut ops = OpRegistry::standard();
        let op = ops.register(
            OpDef::pure("acme.half", Arity::exactly(1), &[], |cx| Ok(smallvec![cx.args[0].clone()]))
                .by_element(),
        );
        let x = TensorData::from_f64(DType::F32, &[2], [1.0, 3.0]);
        let eval = |ops: &OpRegistry| eval_op(ops, op, &Attrs::none(), std::slice::from_ref(&x));
        assert!(eval(&ops).is_err(), "nothing says how");
        ops.set_evaluation(op, |_, args| {
            Ok(vec![TensorData::from_f64(
                DType::F32,
                args[0].dims(),
                args[0].to_f64().iter().map(|it| it / 2.0),
            )])
        });
        assert_eq!(eval(&ops).expect("it has a value")[0].to_f64(), [0.5, 1.5]);
        ops.set_evaluation(op, |_, _| Ok(vec![TensorData::from_f64(DType::F32, &[1], [0.0])]));
        assert!(eval(&ops).expect_err("a wrong shape").to_string().contains("where inference promises"));
        ops.set_evaluation(op, |_, _| Ok(vec![]));
        assert!(eval(&ops).is_err());
        ops.set_evaluation(op, |_, _| Err("no".to_string()));
        assert!(eval(&ops).is_err());
    }
}
