//! Elementwise operators.

use super::tensor::{
    Elements, broadcast, broadcast_positions, dims_of, elements, floats, from_elements, from_ints, ints,
};
use super::{FamilyResult, OpCx};
use crate::error::{EvalError, EvalResult};
use crate::scalar;
use orogen_ir::scalar::{BinaryOp, CompareOp, ScalarFn, UnaryMeaning, UnaryOp};
use orogen_ir::types::{DType, TensorData};

pub(super) fn eval(cx: &OpCx<'_>) -> FamilyResult {
    match ScalarFn::named(cx.name) {
        Some(ScalarFn::Unary(op)) => return Some(unary(cx, op)),
        Some(ScalarFn::Binary(op)) => return Some(binary(cx, op)),
        Some(ScalarFn::Compare(op)) => return Some(compare(cx, op)),
        None => {}
    }
    match cx.name {
        "mod" => Some(binary(cx, if cx.flag("fmod") { BinaryOp::Fmod } else { BinaryOp::Mod })),
        "relu" => Some(relu(cx)),
        "cast" => Some(cast(cx)),
        "bit_cast" => Some(bit_cast(cx)),
        "where" => Some(choose(cx)),
        _ => None,
    }
}

fn meaningless(cx: &OpCx<'_>, dtype: DType) -> EvalError {
    EvalError::invalid(format!("`{}` has no meaning on {dtype}", cx.name))
}

fn unary(cx: &OpCx<'_>, op: UnaryOp) -> EvalResult<Vec<TensorData>> {
    let x = cx.arg(0)?;
    let (dtype, dims, meaning) = (x.dtype(), dims_of(x), op.row().meaning);
    if !op.admits(dtype) {
        return Err(meaningless(cx, dtype));
    }
    if let UnaryMeaning::Test(test) = meaning {
        let tests: Vec<i64> = floats(x).iter().map(|it| i64::from(test(*it))).collect();
        return Ok(vec![from_ints(DType::Bool, &dims, &tests)?]);
    }
    let mut values = elements(x);
    match &mut values {
        Elements::Float(list) => list.iter_mut().for_each(|it| *it = meaning.float(*it)),
        Elements::Int(list) => list.iter_mut().for_each(|it| *it = scalar::unary_int(op, *it, dtype)),
    }
    Ok(vec![from_elements(dtype, &dims, &values)?])
}

fn relu(cx: &OpCx<'_>) -> EvalResult<Vec<TensorData>> {
    let x = cx.arg(0)?;
    if x.dtype() == DType::Bool {
        return Err(meaningless(cx, x.dtype()));
    }
    let mut values = elements(x);
    match &mut values {
        // NaN stays NaN.
        Elements::Float(list) => list.iter_mut().filter(|it| **it < 0.0).for_each(|it| *it = 0.0),
        Elements::Int(list) if x.dtype().is_signed_int() => list.iter_mut().for_each(|it| *it = (*it).max(0)),
        Elements::Int(_) => {}
    }
    Ok(vec![from_elements(x.dtype(), &dims_of(x), &values)?])
}

fn bit_cast(cx: &OpCx<'_>) -> EvalResult<Vec<TensorData>> {
    let to = cx.attrs.dtype("to").ok_or_else(|| EvalError::invalid("attribute `to` is missing"))?;
    Ok(vec![with_bits(cx.arg(0)?, to)?])
}

/// The bits of each element as an element of another type; as a boolean, whether one of them is set.
pub(crate) fn with_bits(x: &TensorData, to: DType) -> EvalResult<TensorData> {
    if x.dtype() == to {
        return Ok(x.clone());
    }
    if x.dtype().width() != to.width() || x.dtype() == DType::Str || to == DType::Str {
        return Err(EvalError::invalid(format!("the bits of {} are none of {to}", x.dtype())));
    }
    let mut bytes = x.bytes().to_vec();
    if to == DType::Bool {
        bytes.iter_mut().for_each(|it| *it = u8::from(*it != 0));
    }
    TensorData::new(to, x.dims().to_vec(), bytes.into()).map_err(|it| EvalError::invalid(it.to_string()))
}

fn cast(cx: &OpCx<'_>) -> EvalResult<Vec<TensorData>> {
    let x = cx.arg(0)?;
    let from = x.dtype();
    let to = cx.attrs.dtype("to").ok_or_else(|| EvalError::invalid("attribute `to` is missing"))?;
    if from == to {
        return Ok(vec![x.clone()]);
    }
    if from.is_only_moved() || to.is_only_moved() {
        return Err(EvalError::invalid(format!("{from} cannot be made {to}")));
    }
    let values = match (elements(x), to.is_float()) {
        (Elements::Float(list), true) => Elements::Float(list),
        (Elements::Float(list), false) => {
            Elements::Int(list.iter().map(|it| scalar::float_to_int(*it, to)).collect())
        }
        (Elements::Int(list), true) => {
            Elements::Float(list.iter().map(|it| scalar::int_to_float(*it, from, to)).collect())
        }
        (Elements::Int(list), false) => Elements::Int(list.iter().map(|it| scalar::wrap(*it, to)).collect()),
    };
    Ok(vec![from_elements(to, &dims_of(x), &values)?])
}

/// Both operands as the result sees them.
enum Pair {
    Float(Vec<f64>, Vec<f64>),
    Int(Vec<i64>, Vec<i64>),
}

fn spread<T: Copy>(values: Vec<T>, from: &[usize], to: &[usize]) -> Vec<T> {
    match from == to {
        true => values,
        false => broadcast_positions(from, to).iter().map(|it| values[*it]).collect(),
    }
}

fn pair(cx: &OpCx<'_>) -> EvalResult<(DType, Vec<usize>, Pair)> {
    let dtype = cx.same_dtype(0..2)?;
    let (a, b) = (cx.arg(0)?, cx.arg(1)?);
    let (from_a, from_b) = (dims_of(a), dims_of(b));
    let dims = broadcast(&[&from_a, &from_b])?;
    let pair = match dtype.is_float() {
        true => Pair::Float(spread(floats(a), &from_a, &dims), spread(floats(b), &from_b, &dims)),
        false => Pair::Int(spread(ints(a), &from_a, &dims), spread(ints(b), &from_b, &dims)),
    };
    Ok((dtype, dims, pair))
}

fn binary(cx: &OpCx<'_>, op: BinaryOp) -> EvalResult<Vec<TensorData>> {
    let (dtype, dims, pair) = pair(cx)?;
    if !op.admits(dtype) {
        return Err(meaningless(cx, dtype));
    }
    let values = match pair {
        Pair::Float(a, b) => {
            Elements::Float(a.iter().zip(&b).map(|(a, b)| op.row().meaning.float(*a, *b)).collect())
        }
        Pair::Int(a, b) => {
            Elements::Int(a.iter().zip(&b).map(|(a, b)| scalar::binary_int(op, *a, *b, dtype)).collect())
        }
    };
    Ok(vec![from_elements(dtype, &dims, &values)?])
}

fn compare(cx: &OpCx<'_>, op: CompareOp) -> EvalResult<Vec<TensorData>> {
    let (dtype, dims, pair) = pair(cx)?;
    if !op.row().operands.admits(dtype) {
        return Err(meaningless(cx, dtype));
    }
    let test = |order| i64::from(op.holds(order));
    let values: Vec<i64> = match pair {
        Pair::Float(a, b) => a.iter().zip(&b).map(|(a, b)| test(a.partial_cmp(b))).collect(),
        Pair::Int(a, b) => {
            a.iter().zip(&b).map(|(a, b)| test(Some(CompareOp::order(*a, *b, dtype)))).collect()
        }
    };
    Ok(vec![from_ints(DType::Bool, &dims, &values)?])
}

fn choose(cx: &OpCx<'_>) -> EvalResult<Vec<TensorData>> {
    let (cond, a, b) = (cx.arg(0)?, cx.arg(1)?, cx.arg(2)?);
    if cond.dtype() != DType::Bool {
        return Err(EvalError::invalid(format!("the condition is {}", cond.dtype())));
    }
    let dtype = cx.same_dtype(1..3)?;
    let (from_cond, from_a, from_b) = (dims_of(cond), dims_of(a), dims_of(b));
    let dims = broadcast(&[&from_cond, &from_a, &from_b])?;
    let cond = spread(ints(cond), &from_cond, &dims);
    let (at_a, at_b) = (broadcast_positions(&from_a, &dims), broadcast_positions(&from_b, &dims));
    let size = dtype.size();
    let (a, b) = (a.unpacked(), b.unpacked());
    let mut bytes = Vec::with_capacity(cond.len() * size);
    for (i, cond) in cond.iter().enumerate() {
        let (from, at) = if *cond != 0 { (&a, at_a[i]) } else { (&b, at_b[i]) };
        bytes.extend_from_slice(&from[at * size..(at + 1) * size]);
    }
    Ok(vec![super::tensor::from_bytes(dtype, &dims, bytes)?])
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, eval, f32s, i64s, none, run};
    use orogen_ir::types::{Attrs, DType, TensorData};

    #[test]
    fn unary_functions_have_their_values() {
        let x = f32s(&[2], &[0.5, -0.25]);
        let cases: [(&str, [f64; 2]); 16] = [
            ("abs", [0.5, 0.25]),
            ("neg", [-0.5, 0.25]),
            ("sign", [1.0, -1.0]),
            ("exp", [1.648_721_270_7, 0.778_800_783_1]),
            ("reciprocal", [2.0, -4.0]),
            ("sin", [0.479_425_538_6, -0.247_403_959_3]),
            ("tanh", [0.462_117_157_3, -0.244_918_662_4]),
            ("atanh", [0.549_306_144_3, -0.255_412_811_9]),
            ("sigmoid", [0.622_459_331_2, 0.437_823_499_1]),
            ("erf", [0.520_499_877_8, -0.276_326_390_2]),
            ("expm1", [0.648_721_270_7, -0.221_199_216_9]),
            ("log1p", [0.405_465_108_1, -0.287_682_072_5]),
            ("floor", [0.0, -1.0]),
            ("ceil", [1.0, 0.0]),
            ("round", [0.0, 0.0]),
            ("relu", [0.5, 0.0]),
        ];
        for (name, wanted) in cases {
            assert_close(&run(name, none(), std::slice::from_ref(&x)).1, &wanted, 1e-7);
        }
        assert!(run("log", none(), &[f32s(&[1], &[-1.0])]).1[0].is_nan());
        assert!(run("relu", none(), &[f32s(&[1], &[f32::NAN])]).1[0].is_nan());
        assert_eq!(run("sqrt", none(), &[f32s(&[0, 3], &[])]).0, [0, 3]);
    }

    #[test]
    fn binary_functions_broadcast() {
        let (x, y) = (f32s(&[2, 1], &[1.0, 2.0]), f32s(&[3], &[1.0, 2.0, 4.0]));
        let (dims, values) = run("div", none(), &[x, y]);
        assert_eq!((dims, values), (vec![2, 3], vec![1.0, 0.5, 0.25, 2.0, 1.0, 0.5]));
        let (dims, values) = run("add", none(), &[i64s(&[], &[5]), i64s(&[2], &[1, i64::MAX])]);
        assert_eq!((dims, values[0]), (vec![2], 6.0));
        assert_eq!(run("mul", none(), &[f32s(&[0], &[]), f32s(&[1], &[2.0])]).0, [0]);
        assert!(eval("add", none(), &[f32s(&[1], &[1.0]), i64s(&[1], &[1])]).is_err());
        assert!(eval("add", none(), &[f32s(&[2], &[1.0; 2]), f32s(&[3], &[1.0; 3])]).is_err());
    }

    #[test]
    fn remainders_and_integers() {
        let (x, y) = (i64s(&[4], &[7, -7, 7, -7]), i64s(&[4], &[3, 3, -3, 0]));
        assert_eq!(run("mod", none(), &[x.clone(), y.clone()]).1, [1.0, 2.0, -2.0, 0.0]);
        assert_eq!(run("mod", none().with("fmod", true), &[x.clone(), y.clone()]).1, [1.0, -1.0, 1.0, 0.0]);
        assert_eq!(run("div", none(), &[x, y]).1, [2.0, -2.0, -2.0, 0.0]);
        let bytes = TensorData::from_slice(DType::U8, &[2], &[200_u8, 3]);
        assert_eq!(run("add", none(), &[bytes.clone(), bytes.clone()]).1, [144.0, 6.0]);
        assert_eq!(run("shift_right", none(), &[bytes.clone(), bytes]).1, [200.0, 0.0]);
    }

    #[test]
    fn comparisons_choice_and_casts() {
        let x = f32s(&[3], &[1.0, f32::NAN, -2.0]);
        let zero = f32s(&[], &[0.0]);
        let positive = eval("greater", none(), &[x.clone(), zero.clone()]).unwrap();
        assert_eq!((positive.dtype(), positive.to_i64()), (DType::Bool, vec![1, 0, 0]));
        assert_eq!(run("equal", none(), &[x.clone(), x.clone()]).1, [1.0, 0.0, 1.0]);
        assert_eq!(run("where", none(), &[positive, x.clone(), zero]).1, [1.0, 0.0, 0.0]);
        let to = |dtype: DType| Attrs::none().with("to", dtype);
        assert_eq!(run("cast", to(DType::I32), std::slice::from_ref(&x)).1, [1.0, 0.0, -2.0]);
        assert_eq!(run("cast", to(DType::Bool), &[x]).1, [1.0, 1.0, 1.0]);
        assert_eq!(run("cast", to(DType::I8), &[i64s(&[1], &[300])]).1, [44.0]);
        let bits = run("bit_cast", to(DType::I32), &[f32s(&[2], &[1.0, -0.0])]).1;
        assert_eq!(bits, [f64::from(0x3f80_0000), f64::from(i32::MIN)]);
        assert!(eval("bit_cast", to(DType::I64), &[f32s(&[1], &[1.0])]).is_err());
        assert_eq!(run("cast", to(DType::F16), &[f32s(&[1], &[65520.0])]).1, [f64::INFINITY]);
        assert_eq!(run("cast", to(DType::BF16), &[f32s(&[1], &[1.003_906_3])]).1, [1.0]);
        let bools = TensorData::from_slice(DType::Bool, &[2], &[1_u8, 0]);
        assert_eq!(run("not", none(), std::slice::from_ref(&bools)).1, [0.0, 1.0]);
        assert_eq!(run("xor", none(), &[bools.clone(), bools.clone()]).1, [0.0, 0.0]);
        assert!(eval("add", none(), &[bools.clone(), bools]).is_err());
    }
}
