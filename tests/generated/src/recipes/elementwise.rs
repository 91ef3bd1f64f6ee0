//! Element by element.

use super::Table;
use crate::attributes::{float, int, text};
use crate::draw::{Draft, Draw, Fill, Id};
use crate::value::{Extent, Rounding};
use orogen_ir::types::DType;

pub(super) const RECIPES: Table = &[
    ("Abs", exact),
    ("Neg", exact),
    ("Relu", exact),
    ("Floor", exact),
    ("Ceil", exact),
    ("Round", exact),
    ("Sign", exact),
    ("IsNaN", exact),
    ("IsInf", exact),
    ("Identity", moved),
    ("Not", logical),
    ("And", logical),
    ("Or", logical),
    ("Xor", logical),
    ("Acos", function),
    ("Acosh", function),
    ("Asin", function),
    ("Asinh", function),
    ("Atan", function),
    ("Atanh", function),
    ("Cos", function),
    ("Cosh", function),
    ("Erf", function),
    ("Exp", function),
    ("Log", function),
    ("Reciprocal", function),
    ("Sigmoid", function),
    ("Sin", function),
    ("Sinh", function),
    ("Sqrt", function),
    ("Tan", function),
    ("Tanh", function),
    ("Softplus", function),
    ("Softsign", function),
    ("Mish", function),
    ("HardSwish", function),
    ("Gelu", gelu),
    ("Elu", scaled),
    ("Celu", scaled),
    ("LeakyRelu", scaled),
    ("ThresholdedRelu", scaled),
    ("Swish", scaled),
    ("Selu", two_numbers),
    ("HardSigmoid", two_numbers),
    ("Shrink", shrink),
    ("ScaledTanh", two_numbers),
    ("ParametricSoftplus", two_numbers),
    ("Affine", two_numbers),
    ("Add", binary),
    ("Sub", binary),
    ("Mul", binary),
    ("Div", binary),
    ("Pow", power),
    ("Mod", modulo),
    ("Equal", comparison),
    ("Less", comparison),
    ("LessOrEqual", comparison),
    ("Greater", comparison),
    ("GreaterOrEqual", comparison),
    ("BitwiseAnd", bits),
    ("BitwiseOr", bits),
    ("BitwiseXor", bits),
    ("BitwiseNot", bits),
    ("BitShift", bits),
    ("Max", many),
    ("Min", many),
    ("Sum", many),
    ("Mean", many),
    ("Where", choose),
    ("Clip", clip),
    ("PRelu", slopes),
];

fn exact(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x =
        if matches!(op, "Abs" | "Neg" | "Sign" | "Relu") { draw.numbers(0..=5) } else { draw.floats(0..=5) };
    let draft = Draft::new(op, &[draw.name(x)], Rounding::Exact);
    Some(match op {
        "IsInf" if draw.random.coin() => {
            let side = draw.pick(&["detect_negative", "detect_positive"]);
            draft.with(int(side, 0))
        }
        _ => draft,
    })
}

fn moved(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.any(0..=5);
    Some(Draft::new(op, &[draw.name(x)], Rounding::Exact))
}

fn logical(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let a = match draw.found(|_, dtype| dtype == DType::Bool) {
        Some(found) => found,
        None => draw.new_tensor(DType::Bool, 0..=4),
    };
    if op == "Not" {
        return Some(Draft::new(op, &[draw.name(a)], Rounding::Exact));
    }
    let b = beside(draw, a);
    Some(Draft::new(op, &[draw.name(a), draw.name(b)], Rounding::Exact))
}

fn function(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let domain = match op {
        "Acos" | "Asin" => Some((-1.0, 1.0)),
        "Atanh" => Some((-0.875, 0.875)),
        "Acosh" => Some((1.0, 4.0)),
        "Log" | "Sqrt" => Some((0.125, 4.0)),
        "Reciprocal" => Some((0.5, 4.0)),
        _ => None,
    };
    let x = match domain {
        Some((low, high)) if draw.random.coin() => {
            let (dtype, rank) = (draw.float_type(), draw.rank());
            let dims = draw.dims(rank);
            draw.fresh(dtype, &dims, Fill::Between(low, high))
        }
        _ => draw.floats(0..=5),
    };
    Some(Draft::new(op, &[draw.name(x)], Rounding::Function))
}

fn gelu(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.floats(0..=5);
    let draft = Draft::new(op, &[draw.name(x)], Rounding::Function);
    Some(if draw.random.coin() { draft.with(text("approximate", "tanh")) } else { draft })
}

fn scaled(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.floats(0..=5);
    let draft = Draft::new(op, &[draw.name(x)], Rounding::Function);
    let alpha = draw.pick(&[0.5f32, 0.01, 1.5, 2.0, 1.0]);
    Some(if draw.random.coin() { draft.with(float("alpha", alpha)) } else { draft })
}

fn two_numbers(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.floats(0..=5);
    let names = if op == "Selu" { ("alpha", "gamma") } else { ("alpha", "beta") };
    let draft = Draft::new(op, &[draw.name(x)], Rounding::Function);
    let (a, b) = (draw.pick(&[0.5f32, 0.25, 1.5]), draw.pick(&[0.5f32, 1.0, 0.75]));
    Some(if draw.random.coin() { draft.with(float(names.0, a)).with(float(names.1, b)) } else { draft })
}

fn shrink(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.numbers(0..=5);
    let draft = Draft::new(op, &[draw.name(x)], Rounding::Function);
    let (bias, lambda) = (draw.pick(&[0.0f32, 1.0]), draw.pick(&[0.5f32, 1.5]));
    Some(draft.with(float("bias", bias)).with(float("lambd", lambda)))
}

/// A tensor of the same type that is broadcast with another.
pub(super) fn beside(draw: &mut Draw<'_>, x: Id) -> Id {
    let (dtype, dims) = (draw.dtype_of(x), draw.dims_of(x));
    let fits = |it: &[Extent]| {
        let mut pairs = it.iter().rev().zip(dims.iter().rev());
        let one = |it: &Extent| it.iter().all(|it| *it == 1);
        pairs.all(|(a, b)| a == b || one(a) || one(b))
    };
    if draw.random.below(3) > 0
        && let Some(found) = draw.found(|it, of| of == dtype && it.dims().is_some_and(|it| fits(&it)))
    {
        return found;
    }
    let kept = if draw.random.coin() { dims.len() } else { draw.random.below(dims.len() + 1) };
    let mut dims = dims[dims.len() - kept..].to_vec();
    for extent in &mut dims {
        if draw.once_in(4) {
            *extent = draw.fixed(1);
        }
    }
    draw.fresh(dtype, &dims, Fill::Small)
}

fn binary(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let a = draw.numbers(0..=5);
    let b = if op == "Div" && draw.random.coin() {
        let (dtype, dims) = (draw.dtype_of(a), draw.dims_of(a));
        draw.fresh(dtype, &dims, Fill::Between(1.0, 4.0))
    } else {
        beside(draw, a)
    };
    let (a, b) = if op != "Div" && draw.once_in(3) { (b, a) } else { (a, b) };
    let rounding = if op == "Div" { Rounding::Function } else { Rounding::Arithmetic };
    Some(Draft::new(op, &[draw.name(a), draw.name(b)], rounding))
}

fn power(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let dtype = draw.float_type();
    let (a, b) = match draw.random.below(3) {
        0 => {
            let rank = draw.rank();
            let dims = draw.dims(rank);
            let a = draw.fresh(dtype, &dims, Fill::Between(0.5, 3.0));
            (a, beside(draw, a))
        }
        _ => {
            let a = draw.floats(0..=5);
            let dtype = if draw.opset >= 12 && draw.once_in(4) { DType::I64 } else { draw.dtype_of(a) };
            (a, draw.weight(dtype, &[], Fill::Between(0.0, 3.0)))
        }
    };
    Some(Draft::new(op, &[draw.name(a), draw.name(b)], Rounding::Function))
}

fn modulo(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let a = draw.numbers(0..=5);
    let (dtype, dims) = (draw.dtype_of(a), draw.dims_of(a));
    let b = draw.fresh(dtype, &dims, Fill::Between(1.0, 5.0));
    let draft = Draft::new(op, &[draw.name(a), draw.name(b)], Rounding::Exact);
    Some(if dtype.is_float() || draw.random.coin() { draft.with(int("fmod", 1)) } else { draft })
}

fn comparison(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let a = draw.numbers(0..=5);
    let b = beside(draw, a);
    Some(Draft::new(op, &[draw.name(a), draw.name(b)], Rounding::Exact))
}

fn bits(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let unsigned = [DType::U8, DType::U16, DType::U32, DType::U64];
    let fits = move |dtype: DType| match op {
        "BitShift" => unsigned.contains(&dtype),
        _ => dtype.is_int_of(&[8, 16, 32, 64]),
    };
    let a = match draw.found(|_, dtype| fits(dtype)) {
        Some(found) => found,
        None => {
            let dtype = draw.pick(&unsigned);
            draw.new_tensor(dtype, 0..=4)
        }
    };
    if op == "BitwiseNot" {
        return Some(Draft::new(op, &[draw.name(a)], Rounding::Exact));
    }
    let b = beside(draw, a);
    let draft = Draft::new(op, &[draw.name(a), draw.name(b)], Rounding::Exact);
    let direction = draw.pick(&["LEFT", "RIGHT"]);
    Some(if op == "BitShift" { draft.with(text("direction", direction)) } else { draft })
}

fn many(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let a = if matches!(op, "Max" | "Min") { draw.numbers(0..=5) } else { draw.floats(0..=5) };
    let mut ids = vec![a];
    for _ in 0..draw.random.below(4) {
        ids.push(beside(draw, a));
    }
    let names: Vec<&str> = ids.iter().map(|it| draw.name(*it)).collect();
    let rounding = match op {
        "Max" | "Min" => Rounding::Exact,
        "Sum" => Rounding::Arithmetic,
        _ => Rounding::Function,
    };
    Some(Draft::new(op, &names, rounding))
}

fn choose(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let a = draw.any(0..=5);
    let dims = draw.dims_of(a);
    let condition = draw.of(DType::Bool, &dims, Fill::Small);
    let b = beside(draw, a);
    Some(Draft::new(op, &[draw.name(condition), draw.name(a), draw.name(b)], Rounding::Exact))
}

fn clip(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = if draw.opset >= 12 { draw.numbers(0..=5) } else { draw.floats(0..=5) };
    let (low, high) = (draw.pick(&[0.0f32, 1.0]), draw.pick(&[2.0f32, 3.0]));
    if draw.opset < 11 {
        let draft = Draft::new(op, &[draw.name(x)], Rounding::Exact);
        return Some(draft.with(float("min", low)).with(float("max", high)));
    }
    let dtype = draw.dtype_of(x);
    let mut names = vec![draw.name(x).to_owned()];
    for value in [low, high] {
        let value = f64::from(value);
        names.push(match draw.once_in(4) {
            true => String::new(),
            false => {
                let id = draw.weight(dtype, &[], Fill::Between(value, value));
                draw.name(id).to_owned()
            }
        });
    }
    Some(Draft::new(op, &names.iter().map(String::as_str).collect::<Vec<_>>(), Rounding::Exact))
}

fn slopes(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.floats(1..=5);
    let (dtype, dims) = (draw.dtype_of(x), draw.dims_of(x));
    let kept = draw.random.below(dims.len()) + 1;
    let slope = draw.fresh(dtype, &dims[dims.len() - kept..], Fill::Small);
    Some(Draft::new(op, &[draw.name(x), draw.name(slope)], Rounding::Arithmetic))
}
