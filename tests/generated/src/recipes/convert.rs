//! Other element types: casts and quantisation.

use super::Table;
use super::movement::{axis, place};
use crate::attributes::{int, number};
use crate::draw::{Draft, Draw, Fill};
use crate::value::Rounding;
use orogen_ir::types::DType;

pub(super) const RECIPES: Table = &[
    ("Cast", cast),
    ("CastLike", cast_like),
    ("QuantizeLinear", quantize),
    ("DequantizeLinear", dequantize),
    ("DynamicQuantizeLinear", dynamic),
    ("MatMulInteger", matmul_integer),
    ("BitCast", bit_cast),
];

const TARGETS: [DType; 14] = [
    DType::F32,
    DType::F32,
    DType::F64,
    DType::F16,
    DType::BF16,
    DType::I64,
    DType::I32,
    DType::I16,
    DType::I8,
    DType::U8,
    DType::U16,
    DType::U32,
    DType::U64,
    DType::Bool,
];

fn cast(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.any(0..=5);
    let mut to = draw.pick(&TARGETS);
    if draw.opset >= 23 && draw.once_in(8) {
        to = draw.pick(&[DType::F8E4M3FN, DType::F8E5M2, DType::I4, DType::U4, DType::F4E2M1FN]);
    }
    let from = draw.dtype_of(x);
    let narrows = from.is_float() && to.is_float() && to.row().bits < from.row().bits;
    let rounding = if narrows { Rounding::Function } else { Rounding::Exact };
    let draft = Draft::new(op, &[draw.name(x)], rounding).with(int("to", i64::from(number(to))));
    Some(draft)
}

fn cast_like(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.numbers(0..=5);
    let to = draw.pick(&TARGETS);
    let like = draw.weight(to, &[1], Fill::Small);
    Some(Draft::new(op, &[draw.name(x), draw.name(like)], Rounding::Exact))
}

/// Scales of a tensor and zeros of a type: one, or one for each place along an axis.
fn scales(draw: &mut Draw<'_>, x: usize, of: DType, zero: DType) -> Option<(Vec<String>, Option<i64>)> {
    let dims = draw.dims_of(x);
    let by_axis = draw.opset >= 13 && !dims.is_empty() && draw.once_in(3);
    let axis = by_axis.then(|| axis(draw, dims.len()));
    let shape: Vec<_> = axis.iter().map(|it| dims[place(*it, dims.len())].clone()).collect();
    let scale = draw.fresh(of, &shape, Fill::Between(0.125, 1.0));
    let mut names = vec![draw.name(scale).to_owned()];
    let fill = if zero.is_signed_int() { Fill::Between(-2.0, 2.0) } else { Fill::Between(0.0, 4.0) };
    if zero != DType::U8 || draw.random.coin() {
        let zero = draw.fresh(zero, &shape, fill);
        names.push(draw.name(zero).to_owned());
    }
    Some((names, axis))
}

fn quantize(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.floats(0..=4);
    let of = if draw.opset >= 19 { draw.dtype_of(x) } else { DType::F32 };
    let to = match draw.opset >= 21 && draw.random.coin() {
        true => draw.pick(&[DType::I16, DType::U16, DType::I4, DType::U4]),
        false => draw.pick(&[DType::U8, DType::I8]),
    };
    let (names, axis) = scales(draw, x, of, to)?;
    let mut draft = Draft::new(op, &[draw.name(x)], Rounding::Function);
    draft.node.input.extend(names);
    Some(match axis {
        Some(axis) => draft.with(int("axis", axis)),
        None => draft,
    })
}

fn dequantize(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let kinds = [DType::U8, DType::I8];
    let x = match draw.found(|_, dtype| kinds.contains(&dtype)) {
        Some(found) => found,
        None => {
            let dtype = draw.pick(&kinds);
            draw.new_tensor(dtype, 0..=4)
        }
    };
    let of = if draw.opset >= 19 && draw.once_in(4) { DType::F16 } else { DType::F32 };
    let dtype = draw.dtype_of(x);
    let (names, axis) = scales(draw, x, of, dtype)?;
    let mut draft = Draft::new(op, &[draw.name(x)], Rounding::Arithmetic);
    draft.node.input.extend(names);
    Some(match axis {
        Some(axis) => draft.with(int("axis", axis)),
        None => draft,
    })
}

fn dynamic(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.floats(0..=4);
    Some(Draft::new(op, &[draw.name(x)], Rounding::Function).giving(3))
}

fn matmul_integer(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let kinds = [DType::U8, DType::I8];
    let a = match draw.found(|it, dtype| kinds.contains(&dtype) && it.rank() > 1) {
        Some(found) => found,
        None => {
            let dtype = draw.pick(&kinds);
            draw.new_tensor(dtype, 2..=3)
        }
    };
    let dims = draw.dims_of(a);
    let shape = [dims[dims.len() - 1].clone(), draw.extent()];
    let dtype = draw.pick(&kinds);
    let b = draw.fresh(dtype, &shape, Fill::Small);
    let mut names = vec![draw.name(a).to_owned(), draw.name(b).to_owned()];
    for of in [a, b].into_iter().take(draw.random.below(3)) {
        let dtype = draw.dtype_of(of);
        let zero = draw.weight(dtype, &[], Fill::Between(0.0, 3.0));
        names.push(draw.name(zero).to_owned());
    }
    Some(Draft::new(op, &names.iter().map(String::as_str).collect::<Vec<_>>(), Rounding::Exact))
}

fn bit_cast(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let kinds =
        [DType::I32, DType::U32, DType::I16, DType::U16, DType::I8, DType::U8, DType::I64, DType::U64];
    let x = draw.found(|_, dtype| kinds.contains(&dtype))?;
    let bits = draw.dtype_of(x).row().bits;
    let same: Vec<DType> = kinds.into_iter().filter(|it| it.row().bits == bits).collect();
    let to = draw.pick(&same);
    Some(Draft::new(op, &[draw.name(x)], Rounding::Exact).with(int("to", i64::from(number(to)))))
}
