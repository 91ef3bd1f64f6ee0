//! Elementwise operators: one result element for each element of the broadcast operands.

use super::support::{Class, decided, fit, larger, one, plain, smaller};
use super::{Arity, AttrDef, AttrKind, InferCx, InferFn, InferResult, OpDef, OpRegistry};
use crate::diag::Diagnostic;
use crate::scalar::{BinaryOp, CompareOp, ScalarFn, UnaryOp};
use crate::shape::{Dim, ShapeCx};
use crate::types::{DType, ShapeInfo};

const CAST: &[AttrDef] = &[AttrDef::required("to", AttrKind::DType)];
const MOD: &[AttrDef] = &[AttrDef::optional("fmod", AttrKind::Bool)];

/// An operator of this family.
fn operator(name: &'static str, arity: Arity, attrs: &'static [AttrDef], infer: InferFn) -> OpDef {
    OpDef::pure(name, arity, attrs, infer).by_element()
}

/// The operator over one function.
fn of_function(name: &'static str, function: ScalarFn) -> OpDef {
    let operator = operator(name, Arity::exactly(function.arity()), &[], apply);
    OpDef { function: Some(function), ..operator }
}

pub(crate) fn register(ops: &mut OpRegistry) {
    for function in ScalarFn::all() {
        if let Some(name) = function.operator() {
            ops.register(of_function(name, function));
        }
    }
    ops.register(operator("relu", Arity::exactly(1), &[], |cx| {
        unary(cx, Class::Number, |shapes, a| {
            let zero = shapes.int(0);
            larger(shapes, a, zero)
        })
    }));
    ops.register(operator("cast", Arity::exactly(1), CAST, cast));
    ops.register(OpDef::pure("bit_cast", Arity::exactly(1), CAST, bit_cast));
    ops.register(operator("mod", Arity::exactly(2), MOD, |cx| {
        if cx.flag("fmod") {
            binary(cx, Class::Number, truncated_remainder)
        } else {
            binary(cx, Class::Number, floored_remainder)
        }
    }));
    ops.register(operator("where", Arity::exactly(3), &[], where_));
}

/// Inference of an operator over one function.
fn apply(cx: &mut InferCx<'_>) -> InferResult {
    match cx.function.expect("this is the inference of operators over a function") {
        ScalarFn::Unary(op) => {
            let ty = cx.tensor_of(0, op.row().meaning.operand())?;
            map(cx, ty.dtype, op.result(ty.dtype), |shapes, a| element(shapes, op, a))
        }
        ScalarFn::Binary(op) => {
            binary(cx, op.row().meaning.operands(), |shapes, a, b| element_of_two(shapes, op, a, b))
        }
        ScalarFn::Compare(op) => {
            cx.tensor_of(0, op.row().operands)?;
            cx.same_dtype(0, 1)?;
            broadcast_map(cx, DType::Bool, |shapes, a, b| truth(shapes, op, a, b))
        }
    }
}

/// A function of a tracked element, where it is followed.
fn element(shapes: &mut ShapeCx, op: UnaryOp, a: Dim) -> Option<Dim> {
    match op {
        UnaryOp::Neg => shapes.neg(a).ok(),
        UnaryOp::Abs => {
            let minus = shapes.neg(a).ok()?;
            larger(shapes, a, minus)
        }
        UnaryOp::Sign => sign(shapes, a),
        UnaryOp::Not => {
            let one = shapes.int(1);
            shapes.sub(one, a).ok()
        }
        UnaryOp::BitNot => shapes.as_int(a).map(|it| shapes.int(!it)),
        _ => None,
    }
}

/// A function of two tracked elements, where it is followed.
fn element_of_two(shapes: &mut ShapeCx, op: BinaryOp, a: Dim, b: Dim) -> Option<Dim> {
    match op {
        BinaryOp::Add => shapes.add(a, b).ok(),
        BinaryOp::Sub => shapes.sub(a, b).ok(),
        BinaryOp::Mul => shapes.mul(a, b).ok(),
        BinaryOp::Div => divide(shapes, a, b),
        BinaryOp::Mod => floored_remainder(shapes, a, b),
        BinaryOp::Fmod => truncated_remainder(shapes, a, b),
        BinaryOp::Pow => power(shapes, a, b),
        BinaryOp::Max => larger(shapes, a, b),
        BinaryOp::Min => smaller(shapes, a, b),
        BinaryOp::And => fold(shapes, a, b, |a, b| a & b),
        BinaryOp::Or => fold(shapes, a, b, |a, b| a | b),
        BinaryOp::Xor => fold(shapes, a, b, |a, b| a ^ b),
        BinaryOp::Shl | BinaryOp::Shr => None,
    }
}

/// A comparison of tracked elements, where it is decided.
fn truth(shapes: &mut ShapeCx, op: CompareOp, a: Dim, b: Dim) -> Option<Dim> {
    let truth = match op {
        CompareOp::Eq => shapes.prove_eq(a, b),
        CompareOp::Ne => !shapes.prove_eq(a, b),
        CompareOp::Lt => shapes.prove_lt(a, b),
        CompareOp::Le => shapes.prove_le(a, b),
        CompareOp::Gt => shapes.prove_gt(a, b),
        CompareOp::Ge => shapes.prove_ge(a, b),
    };
    decided(shapes, truth)
}

fn unary(
    cx: &mut InferCx<'_>,
    class: Class,
    element: impl Fn(&mut ShapeCx, Dim) -> Option<Dim>,
) -> InferResult {
    let ty = cx.tensor_of(0, class)?;
    map(cx, ty.dtype, ty.dtype, element)
}

/// One operand, elements mapped.
fn map(
    cx: &mut InferCx<'_>,
    from: DType,
    to: DType,
    element: impl Fn(&mut ShapeCx, Dim) -> Option<Dim>,
) -> InferResult {
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
    if from != to {
        cx.tensor_of(0, Class::Ordered)?;
    }
    if to.is_only_moved() && from != to {
        return Err(Diagnostic::error("O013", format!("{from} cannot be made {to}"))
            .note(format!("{to} is only moved: nothing computes with it")));
    }
    if to == DType::Bool {
        return map(cx, from, to, |shapes, a| {
            let zero = shapes.int(0);
            let truth = !shapes.prove_eq(a, zero);
            decided(shapes, truth)
        });
    }
    map(cx, from, to, |_, a| Some(a))
}

fn bit_cast(cx: &mut InferCx<'_>) -> InferResult {
    let ty = cx.tensor(0)?;
    let to = cx.attrs.dtype("to").unwrap_or(ty.dtype);
    let are_strings = ty.dtype == DType::Str || to == DType::Str;
    if ty.dtype != to && (are_strings || ty.dtype.width() != to.width()) {
        let why = match are_strings {
            true => "strings are held by reference".to_owned(),
            false => format!("{} has {} bits, {to} has {}", ty.dtype, ty.dtype.width(), to.width()),
        };
        let message = format!("the bits of {} are none of {to}", ty.dtype);
        return Err(Diagnostic::error("O013", message).note(why));
    }
    one(plain(to, ty.shape.clone()))
}

fn binary(
    cx: &mut InferCx<'_>,
    class: Class,
    element: impl Fn(&mut ShapeCx, Dim, Dim) -> Option<Dim>,
) -> InferResult {
    cx.tensor_of(0, class)?;
    let dtype = cx.same_dtype(0, 1)?;
    broadcast_map(cx, dtype, element)
}

fn broadcast_map(
    cx: &mut InferCx<'_>,
    to: DType,
    element: impl Fn(&mut ShapeCx, Dim, Dim) -> Option<Dim>,
) -> InferResult {
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
