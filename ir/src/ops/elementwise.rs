//! Elementwise operators: one result element for each element of the broadcast operands.

use super::support::{Class, decided, fit, larger, one, plain, pure, smaller};
use super::{Arity, AttrDef, AttrKind, InferCx, InferFn, InferResult, OpDef, OpRegistry};
use crate::diag::Diagnostic;
use crate::shape::{Dim, ShapeCx};
use crate::types::{DType, ShapeInfo};

/// Unary operators on floats without tracked elements.
const FLOAT_UNARY: [&str; 23] = [
    "exp",
    "log",
    "sqrt",
    "reciprocal",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "asinh",
    "acosh",
    "atanh",
    "tanh",
    "sigmoid",
    "erf",
    "expm1",
    "log1p",
    "floor",
    "ceil",
    "round",
];

const CAST: &[AttrDef] = &[AttrDef::required("to", AttrKind::DType)];
const MOD: &[AttrDef] = &[AttrDef::optional("fmod", AttrKind::Bool)];

/// An operator of this family.
fn operator(name: &'static str, arity: Arity, attrs: &'static [AttrDef], infer: InferFn) -> OpDef {
    pure(name, arity, attrs, infer).by_element()
}

pub(crate) fn register(ops: &mut OpRegistry) {
    for name in FLOAT_UNARY {
        ops.register(operator(name, Arity::exactly(1), &[], |cx| unary(cx, Class::Float, |_, _| None)));
    }
    ops.register(operator("abs", Arity::exactly(1), &[], |cx| unary(cx, Class::Number, abs)));
    ops.register(operator("neg", Arity::exactly(1), &[], |cx| {
        unary(cx, Class::Number, |shapes, a| shapes.neg(a).ok())
    }));
    ops.register(operator("sign", Arity::exactly(1), &[], |cx| unary(cx, Class::Number, sign)));
    ops.register(operator("relu", Arity::exactly(1), &[], |cx| {
        unary(cx, Class::Number, |shapes, a| {
            let zero = shapes.int(0);
            larger(shapes, a, zero)
        })
    }));
    ops.register(operator("not", Arity::exactly(1), &[], |cx| {
        unary(cx, Class::Bool, |shapes, a| {
            let one = shapes.int(1);
            shapes.sub(one, a).ok()
        })
    }));
    ops.register(operator("bit_not", Arity::exactly(1), &[], |cx| {
        unary(cx, Class::Int, |shapes, a| shapes.as_int(a).map(|it| shapes.int(!it)))
    }));
    for name in ["is_nan", "is_inf"] {
        ops.register(operator(name, Arity::exactly(1), &[], |cx| {
            let shape = cx.tensor_of(0, Class::Float)?.shape.clone();
            one(plain(DType::Bool, shape))
        }));
    }
    ops.register(operator("cast", Arity::exactly(1), CAST, cast));
    register_binary(ops);
    ops.register(operator("where", Arity::exactly(3), &[], where_));
}

fn register_binary(ops: &mut OpRegistry) {
    let two = Arity::exactly(2);
    ops.register(operator("add", two, &[], |cx| {
        binary(cx, Class::Number, |shapes, a, b| shapes.add(a, b).ok())
    }));
    ops.register(operator("sub", two, &[], |cx| {
        binary(cx, Class::Number, |shapes, a, b| shapes.sub(a, b).ok())
    }));
    ops.register(operator("mul", two, &[], |cx| {
        binary(cx, Class::Number, |shapes, a, b| shapes.mul(a, b).ok())
    }));
    ops.register(operator("div", two, &[], |cx| binary(cx, Class::Number, divide)));
    ops.register(operator("mod", two, MOD, |cx| {
        if cx.flag("fmod") {
            binary(cx, Class::Number, truncated_remainder)
        } else {
            binary(cx, Class::Number, floored_remainder)
        }
    }));
    ops.register(operator("pow", two, &[], |cx| binary(cx, Class::Number, power)));
    ops.register(operator("max", two, &[], |cx| binary(cx, Class::Number, larger)));
    ops.register(operator("min", two, &[], |cx| binary(cx, Class::Number, smaller)));
    ops.register(operator("and", two, &[], |cx| {
        binary(cx, Class::Bits, |shapes, a, b| fold(shapes, a, b, |a, b| a & b))
    }));
    ops.register(operator("or", two, &[], |cx| {
        binary(cx, Class::Bits, |shapes, a, b| fold(shapes, a, b, |a, b| a | b))
    }));
    ops.register(operator("xor", two, &[], |cx| {
        binary(cx, Class::Bits, |shapes, a, b| fold(shapes, a, b, |a, b| a ^ b))
    }));
    ops.register(operator("shift_left", two, &[], |cx| binary(cx, Class::Int, |_, _, _| None)));
    ops.register(operator("shift_right", two, &[], |cx| binary(cx, Class::Int, |_, _, _| None)));
    ops.register(operator("equal", two, &[], |cx| {
        compare(cx, Class::Any, |shapes, a, b| {
            let truth = shapes.prove_eq(a, b);
            decided(shapes, truth)
        })
    }));
    ops.register(operator("less", two, &[], |cx| {
        compare(cx, Class::Number, |shapes, a, b| {
            let truth = shapes.prove_lt(a, b);
            decided(shapes, truth)
        })
    }));
    ops.register(operator("less_equal", two, &[], |cx| {
        compare(cx, Class::Number, |shapes, a, b| {
            let truth = shapes.prove_le(a, b);
            decided(shapes, truth)
        })
    }));
    ops.register(operator("greater", two, &[], |cx| {
        compare(cx, Class::Number, |shapes, a, b| {
            let truth = shapes.prove_gt(a, b);
            decided(shapes, truth)
        })
    }));
    ops.register(operator("greater_equal", two, &[], |cx| {
        compare(cx, Class::Number, |shapes, a, b| {
            let truth = shapes.prove_ge(a, b);
            decided(shapes, truth)
        })
    }));
}

type Unary = fn(&mut ShapeCx, Dim) -> Option<Dim>;
type Binary = fn(&mut ShapeCx, Dim, Dim) -> Option<Dim>;

fn unary(cx: &mut InferCx<'_>, class: Class, element: Unary) -> InferResult {
    let ty = cx.tensor_of(0, class)?;
    map(cx, ty.dtype, ty.dtype, element)
}

/// One operand, elements mapped.
fn map(cx: &mut InferCx<'_>, from: DType, to: DType, element: Unary) -> InferResult {
    let ty = cx.tensor(0)?;
    debug_assert_eq!(ty.dtype, from);
    let (ShapeInfo::Known(dims), Some(known)) = (&ty.shape, cx.known(0)) else {
        return one(plain(to, ty.shape.clone()));
    };
    one(cx.tensor_with(to, dims.clone(), |shapes, at| {
        let value = element(shapes, known.at(at))?;
        fit(shapes, to, value)
    }))
}

fn cast(cx: &mut InferCx<'_>) -> InferResult {
    let from = cx.tensor(0)?.dtype;
    let to = cx.attrs.dtype("to").unwrap_or(from);
    if to == DType::Bool {
        return map(cx, from, to, |shapes, a| {
            let zero = shapes.int(0);
            let truth = !shapes.prove_eq(a, zero);
            decided(shapes, truth)
        });
    }
    map(cx, from, to, |_, a| Some(a))
}

fn binary(cx: &mut InferCx<'_>, class: Class, element: Binary) -> InferResult {
    cx.tensor_of(0, class)?;
    let dtype = cx.same_dtype(0, 1)?;
    broadcast_map(cx, dtype, element)
}

fn compare(cx: &mut InferCx<'_>, class: Class, element: Binary) -> InferResult {
    cx.tensor_of(0, class)?;
    cx.same_dtype(0, 1)?;
    broadcast_map(cx, DType::Bool, element)
}

fn broadcast_map(cx: &mut InferCx<'_>, to: DType, element: Binary) -> InferResult {
    let shape = cx.broadcast(&[&cx.tensor(0)?.shape, &cx.tensor(1)?.shape])?;
    match (shape, cx.known(0), cx.known(1)) {
        (ShapeInfo::Known(dims), Some(a), Some(b)) => one(cx.tensor_with(to, dims, |shapes, at| {
            let value = element(shapes, a.broadcast_at(at), b.broadcast_at(at))?;
            fit(shapes, to, value)
        })),
        (shape, ..) => one(plain(to, shape)),
    }
}

fn where_(cx: &mut InferCx<'_>) -> InferResult {
    if cx.tensor(0)?.dtype != DType::Bool {
        return Err(Diagnostic::error(
            "O013",
            format!("operand 0 is {} but must be bool", cx.tensor(0)?.dtype),
        ));
    }
    let dtype = cx.same_dtype(1, 2)?;
    let shape = cx.broadcast(&[&cx.tensor(0)?.shape, &cx.tensor(1)?.shape, &cx.tensor(2)?.shape])?;
    let ShapeInfo::Known(dims) = shape else { return one(plain(dtype, shape)) };
    let (cond, a, b) = (cx.known(0), cx.known(1), cx.known(2));
    one(cx.tensor_with(dtype, dims, |shapes, at| {
        let (a, b) = (a.as_ref().map(|it| it.broadcast_at(at)), b.as_ref().map(|it| it.broadcast_at(at)));
        match cond.as_ref().and_then(|it| shapes.as_int(it.broadcast_at(at))) {
            Some(0) => b,
            Some(_) => a,
            None => a.filter(|_| a == b),
        }
    }))
}

fn abs(shapes: &mut ShapeCx, a: Dim) -> Option<Dim> {
    let minus = shapes.neg(a).ok()?;
    larger(shapes, a, minus)
}

fn sign(shapes: &mut ShapeCx, a: Dim) -> Option<Dim> {
    let zero = shapes.int(0);
    if shapes.prove_gt(a, zero).is_always() {
        return Some(shapes.int(1));
    }
    if shapes.prove_lt(a, zero).is_always() {
        return Some(shapes.int(-1));
    }
    shapes.prove_eq(a, zero).is_always().then_some(zero)
}

fn fold(shapes: &mut ShapeCx, a: Dim, b: Dim, f: fn(i64, i64) -> i64) -> Option<Dim> {
    let value = f(shapes.as_int(a)?, shapes.as_int(b)?);
    Some(shapes.int(value))
}

/// Integer division truncates; the symbolic one floors, so the operands' signs must be known.
fn divide(shapes: &mut ShapeCx, a: Dim, b: Dim) -> Option<Dim> {
    if let (Some(x), Some(y)) = (shapes.as_int(a), shapes.as_int(b)) {
        let value = if y == 0 { 0 } else { x.checked_div(y)? };
        return Some(shapes.int(value));
    }
    // An exact quotient needs no rounding; a divisor that is 0 at run time has quotient 0 only when a is 0.
    positive_operands(shapes, a, b)?;
    shapes.floor_div_dim(a, b).ok()
}

fn positive_operands(shapes: &mut ShapeCx, a: Dim, b: Dim) -> Option<()> {
    let zero = shapes.int(0);
    (shapes.prove_ge(a, zero).is_always() && shapes.prove_gt(b, zero).is_always()).then_some(())
}

fn floored_remainder(shapes: &mut ShapeCx, a: Dim, b: Dim) -> Option<Dim> {
    if let (Some(x), Some(y)) = (shapes.as_int(a), shapes.as_int(b)) {
        let remainder = if y == 0 { 0 } else { x.checked_rem(y)? };
        let value = if remainder != 0 && (remainder < 0) != (y < 0) { remainder + y } else { remainder };
        return Some(shapes.int(value));
    }
    let zero = shapes.int(0);
    if !shapes.prove_gt(b, zero).is_always() {
        return None;
    }
    shapes.modulo_dim(a, b).ok()
}

fn truncated_remainder(shapes: &mut ShapeCx, a: Dim, b: Dim) -> Option<Dim> {
    if let (Some(x), Some(y)) = (shapes.as_int(a), shapes.as_int(b)) {
        let value = if y == 0 { 0 } else { x.checked_rem(y)? };
        return Some(shapes.int(value));
    }
    positive_operands(shapes, a, b)?;
    shapes.modulo_dim(a, b).ok()
}

fn power(shapes: &mut ShapeCx, a: Dim, b: Dim) -> Option<Dim> {
    let exponent = u32::try_from(shapes.as_int(b)?).ok()?;
    if let Some(base) = shapes.as_int(a) {
        let value = base.checked_pow(exponent)?;
        return Some(shapes.int(value));
    }
    if exponent > 4 {
        return None;
    }
    let factors = vec![a; exponent as usize];
    shapes.product(&factors).ok()
}
