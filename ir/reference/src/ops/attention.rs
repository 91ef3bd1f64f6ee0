//! Attention, from the operators that it is made of: what lies between is rounded as they round it.

use super::{FamilyResult, OpCx, eval_named};
use crate::error::{EvalError, EvalResult};
use orogen_ir::ops::ATTENTION_PERMS;
use orogen_ir::types::{Attrs, DType, TensorData};

pub(super) fn eval(cx: &OpCx<'_>) -> FamilyResult {
    (cx.name == "attention").then(|| attention(cx))
}

/// `softmax(q · kᵀ · scale, masked) · v`, of transposed operands, and transposed.
fn attention(cx: &OpCx<'_>) -> EvalResult<Vec<TensorData>> {
    let dtype = cx.same_dtype(0..3)?;
    let operand = |i: usize| match cx.float_arg(i)? {
        it if it.dims().len() >= 2 => transposed(cx, it, ATTENTION_PERMS[i]),
        it => Err(EvalError::invalid(format!("operand {i} has rank {}", it.dims().len()))),
    };
    let [q, k, v] = [operand(0)?, operand(1)?, operand(2)?];
    let rank = k.dims().len();
    let scale = cx.attrs.float("scale").ok_or_else(|| EvalError::invalid("attribute `scale` is missing"))?;
    let number = |it: f64| TensorData::from_f64(dtype, &[], [it]);
    let mut perm: Vec<i64> = (0..rank as i64).collect();
    perm.swap(rank - 2, rank - 1);
    let keys = one("transpose", Attrs::none().with("perm", perm), &[k])?;
    let products = one("matmul", Attrs::none(), &[q, keys])?;
    let mut scores = one("mul", Attrs::none(), &[products, number(scale)])?;
    if let Some(mask) = cx.args.get(3) {
        scores = match mask.dtype() {
            DType::Bool => {
                let hidden = number(cx.attrs.float("hidden").unwrap_or(f64::NEG_INFINITY));
                one("where", Attrs::none(), &[mask.clone(), scores, hidden])?
            }
            _ => one("add", Attrs::none(), &[scores, mask.clone()])?,
        };
    }
    let axis = scores.dims().len() as i64 - 1;
    let mut weights = one("softmax", Attrs::none().with("axis", axis), &[scores])?;
    if cx.flag("safe") {
        let nothing = one("is_nan", Attrs::none(), &[weights.clone()])?;
        weights = one("where", Attrs::none(), &[nothing, number(0.0), weights])?;
    }
    let result = one("matmul", Attrs::none(), &[weights, v])?;
    transposed(cx, &result, "out_perm").map(|it| vec![it])
}

/// A value transposed by an attribute, if there is one.
fn transposed(cx: &OpCx<'_>, x: &TensorData, perm: &str) -> EvalResult<TensorData> {
    match cx.attrs.ints(perm) {
        None => Ok(x.clone()),
        Some(perm) => one("transpose", Attrs::none().with("perm", perm.to_vec()), std::slice::from_ref(x)),
    }
}

fn one(name: &str, attrs: Attrs, args: &[TensorData]) -> EvalResult<TensorData> {
    let result = eval_named(name, &attrs, args)?.pop();
    result.ok_or_else(|| EvalError::invalid(format!("`{name}` has no result")))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, eval, f32s, none, run};
    use orogen_ir::types::{DType, TensorData};

    #[test]
    fn means_by_hand() {
        let q = f32s(&[1, 2], &[1.0, 0.0]);
        let k = f32s(&[2, 2], &[0.0, 5.0, 0.0, -3.0]);
        let v = f32s(&[2, 1], &[1.0, 3.0]);
        let attrs = none().with("scale", 0.5);
        let args = [q, k, v];
        assert_eq!(run("attention", attrs.clone(), &args).1, [2.0]);
        let added = f32s(&[1, 2], &[f32::NEG_INFINITY, 0.0]);
        assert_eq!(run("attention", attrs.clone(), &[&args[..], &[added]].concat()).1, [3.0]);
        let shown = TensorData::from_f64(DType::Bool, &[1, 2], [1.0, 0.0]);
        let args = [&args[..], &[shown]].concat();
        assert_eq!(run("attention", attrs.clone(), &args).1, [1.0]);
        let near = attrs.with("hidden", f64::from(-(3.0_f32.ln())));
        assert_close(&run("attention", near, &args).1, &[1.5], 1e-6);
        assert!(eval("attention", none(), &args).is_err());
        let hidden = TensorData::from_f64(DType::Bool, &[1, 2], [0.0, 0.0]);
        let blind = [&args[..3], &[hidden]].concat();
        assert!(run("attention", none().with("scale", 0.5), &blind).1[0].is_nan());
        assert_eq!(run("attention", none().with("scale", 0.5).with("safe", true), &blind).1, [0.0]);
    }

    #[test]
    fn operands_and_results_are_transposed() {
        let numbers = |dims: &[u64]| {
            let count = dims.iter().product::<u64>();
            TensorData::from_f64(DType::F32, dims, (0..count).map(|i| (i * 5 % 7) as f64 / 4.0 - 0.5))
        };
        let (q, k, v) = (numbers(&[3, 2, 4]), numbers(&[2, 4, 5]), numbers(&[5, 6, 2]));
        let perms = [("q_perm", vec![1, 0, 2]), ("k_perm", vec![0, 2, 1]), ("v_perm", vec![2, 0, 1])];
        let attrs = none().with("scale", 0.5);
        let turned = |x: &TensorData, perm: &[i64]| {
            eval("transpose", none().with("perm", perm.to_vec()), std::slice::from_ref(x)).unwrap()
        };
        let args = [turned(&q, &perms[0].1), turned(&k, &perms[1].1), turned(&v, &perms[2].1)];
        let wanted = turned(&eval("attention", attrs.clone(), &args).unwrap(), &[2, 0, 1]);
        let attrs = perms.iter().fold(attrs, |attrs, (name, perm)| attrs.with(name, perm.clone()));
        let found = eval("attention", attrs.with("out_perm", vec![2, 0, 1]), &[q, k, v]).unwrap();
        assert_eq!(found, wanted);
    }

    #[test]
    fn leading_dimensions_broadcast() {
        let (q, k) = (f32s(&[3, 1, 1, 2], &[1.0; 6]), f32s(&[4, 5, 2], &[1.0; 40]));
        let v = f32s(&[5, 6], &[2.0; 30]);
        let found = run("attention", none().with("scale", 1.0), &[q, k, v]);
        assert_eq!(found.0, [3, 4, 1, 6]);
        assert_close(&found.1, &[2.0; 72], 1e-6);
    }
}
