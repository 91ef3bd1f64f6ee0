//! Expressions and conditions.

use super::ast::{Arithmetic, Compare, Condition, DTypePattern, Expr, Item, Name};
use super::env::{Bound, Env};
use super::function::{Function, Predicate};
use super::rewriter::{Rewriter, Value};
use orogen_ir::shape::{Dim, Truth};
use orogen_ir::types::DType;

/// The longest list that an expression makes.
const MOST_MEMBERS: usize = 4096;
/// How many operations are looked at to see whether a value follows from constants.
const MOST_MADE: usize = 64;

/// What an expression is, when that is known.
pub(super) fn eval(rewriter: &mut dyn Rewriter, env: &Env, expr: &Expr) -> Option<Bound> {
    Some(match expr {
        Expr::Name(name) => env.get(*name)?.clone(),
        Expr::Int(it) => Bound::Number(rewriter.shapes_mut().int(*it)),
        Expr::Float(it) => Bound::Float(*it),
        Expr::Bool(it) => Bound::Truth(*it),
        Expr::Text(it) => Bound::Text(it.clone()),
        Expr::DType(it) => Bound::DType(*it),
        Expr::List(items) => Bound::List(list_of(rewriter, env, items)?),
        Expr::Neg(inner) => {
            let zero = Bound::Number(rewriter.shapes_mut().int(0));
            match eval(rewriter, env, inner)? {
                Bound::Float(it) => Bound::Float(-it),
                inner => arithmetic(rewriter, Arithmetic::Sub, zero, inner)?,
            }
        }
        Expr::Binary(sign, a, b) => {
            let (a, b) = (eval(rewriter, env, a)?, eval(rewriter, env, b)?);
            arithmetic(rewriter, *sign, a, b)?
        }
        Expr::Index(list, at) => {
            let list = members(rewriter, env, list)?;
            match eval(rewriter, env, at)? {
                Bound::Number(at) => Bound::Number(*list.get(place(rewriter, at)?)?),
                Bound::List(places) => Bound::List(
                    places
                        .into_iter()
                        .map(|at| list.get(place(rewriter, at)?).copied())
                        .collect::<Option<_>>()?,
                ),
                _ => return None,
            }
        }
        Expr::Call(function, args) => call(rewriter, env, *function, args)?,
    })
}

/// The members of a list that is written out.
pub(super) fn list_of(rewriter: &mut dyn Rewriter, env: &Env, items: &[Item]) -> Option<Vec<Dim>> {
    let mut list = Vec::new();
    for item in items {
        match eval(rewriter, env, &item.expr)? {
            Bound::Number(it) if !item.spread => list.push(it),
            Bound::List(it) if item.spread => list.extend(it),
            _ => return None,
        }
    }
    (list.len() <= MOST_MEMBERS).then_some(list)
}

fn members(rewriter: &mut dyn Rewriter, env: &Env, expr: &Expr) -> Option<Vec<Dim>> {
    match eval(rewriter, env, expr)? {
        Bound::List(list) => Some(list),
        _ => None,
    }
}

fn number(rewriter: &mut dyn Rewriter, env: &Env, expr: &Expr) -> Option<Dim> {
    match eval(rewriter, env, expr)? {
        Bound::Number(it) => Some(it),
        _ => None,
    }
}

fn place(rewriter: &dyn Rewriter, at: Dim) -> Option<usize> {
    usize::try_from(rewriter.shapes().as_int(at)?).ok()
}

/// A list of places.
fn places(rewriter: &mut dyn Rewriter, env: &Env, expr: &Expr) -> Option<Vec<usize>> {
    let list = members(rewriter, env, expr)?;
    list.into_iter().map(|it| place(rewriter, it)).collect()
}

fn arithmetic(rewriter: &mut dyn Rewriter, sign: Arithmetic, a: Bound, b: Bound) -> Option<Bound> {
    let shapes = rewriter.shapes_mut();
    let mut one = |a: Dim, b: Dim| match sign {
        Arithmetic::Add => shapes.add(a, b).ok(),
        Arithmetic::Sub => shapes.sub(a, b).ok(),
        Arithmetic::Mul => shapes.mul(a, b).ok(),
        Arithmetic::Div => {
            let one = shapes.int(1);
            if !shapes.prove_ge(b, one).is_always() {
                return None;
            }
            shapes.floor_div_dim(a, b).ok()
        }
    };
    let float = |it: &Bound, shapes: &orogen_ir::shape::ShapeCx| match it {
        Bound::Float(it) => Some(*it),
        Bound::Number(it) => shapes.as_int(*it).map(|it| it as f64),
        _ => None,
    };
    Some(match (a, b) {
        (Bound::Number(a), Bound::Number(b)) => Bound::Number(one(a, b)?),
        (Bound::List(a), Bound::Number(b)) => {
            Bound::List(a.into_iter().map(|a| one(a, b)).collect::<Option<_>>()?)
        }
        (Bound::Number(a), Bound::List(b)) => {
            Bound::List(b.into_iter().map(|b| one(a, b)).collect::<Option<_>>()?)
        }
        (Bound::List(a), Bound::List(b)) if a.len() == b.len() => {
            Bound::List(a.into_iter().zip(b).map(|(a, b)| one(a, b)).collect::<Option<_>>()?)
        }
        (a, b) => {
            let shapes = rewriter.shapes();
            let (a, b) = (float(&a, shapes)?, float(&b, shapes)?);
            Bound::Float(match sign {
                Arithmetic::Add => a + b,
                Arithmetic::Sub => a - b,
                Arithmetic::Mul => a * b,
                Arithmetic::Div => a / b,
            })
        }
    })
}

/// The value that an argument names.
fn operand(env: &Env, expr: &Expr) -> Option<Value> {
    let Expr::Name(name) = expr else { return None };
    match env.get(*name)? {
        Bound::Value(value) => Some(*value),
        _ => None,
    }
}

fn dims_of(rewriter: &mut dyn Rewriter, value: Value) -> Option<Vec<Dim>> {
    Some(rewriter.ty(value).as_tensor()?.dims()?.to_vec())
}

fn call(rewriter: &mut dyn Rewriter, env: &Env, function: Function, args: &[Expr]) -> Option<Bound> {
    let int = |rewriter: &mut dyn Rewriter, it: usize| {
        Some(Bound::Number(rewriter.shapes_mut().int(i64::try_from(it).ok()?)))
    };
    match function {
        Function::Rank => {
            let ty = rewriter.ty(operand(env, &args[0])?);
            let rank = ty.as_tensor()?.shape.rank()?;
            int(rewriter, rank)
        }
        Function::Dim => {
            let dims = dims_of(rewriter, operand(env, &args[0])?)?;
            let at = number(rewriter, env, &args[1])?;
            Some(Bound::Number(*dims.get(place(rewriter, at)?)?))
        }
        Function::Shape => Some(Bound::List(dims_of(rewriter, operand(env, &args[0])?)?)),
        Function::Elements => {
            let ty = rewriter.ty(operand(env, &args[0])?);
            Some(Bound::List(ty.as_tensor()?.elements.as_ref()?.to_vec()))
        }
        Function::Uses => {
            let uses = rewriter.uses(operand(env, &args[0])?);
            int(rewriter, uses)
        }
        Function::Type => Some(Bound::DType(rewriter.ty(operand(env, &args[0])?).as_tensor()?.dtype)),
        Function::Scalar => {
            let data = rewriter.constant(operand(env, &args[0])?)?;
            (data.len() == 1 && !data.dtype().is_only_moved()).then(|| Bound::Float(data.get_f64(0)))
        }
        Function::Bits => match eval(rewriter, env, &args[0])? {
            Bound::DType(it) => int(rewriter, it.bits() as usize),
            _ => None,
        },
        Function::Largest => match eval(rewriter, env, &args[0])? {
            Bound::DType(it) if it.is_float() => {
                let format = it.float_format()?;
                Some(Bound::Float(format.decode(format.most())))
            }
            _ => None,
        },
        Function::Len => match eval(rewriter, env, &args[0])? {
            Bound::List(it) => int(rewriter, it.len()),
            Bound::Values(it) => int(rewriter, it.len()),
            Bound::Floats(it) => int(rewriter, it.len()),
            _ => None,
        },
        Function::Inverse => {
            let places = places(rewriter, env, &args[0])?;
            let mut inverse = vec![None; places.len()];
            for (i, at) in places.iter().enumerate() {
                let slot = inverse.get_mut(*at)?;
                if slot.replace(i).is_some() {
                    return None;
                }
            }
            let shapes = rewriter.shapes_mut();
            let list = inverse.into_iter().map(|it| Some(shapes.int(i64::try_from(it?).ok()?)));
            Some(Bound::List(list.collect::<Option<_>>()?))
        }
        Function::Sorted => {
            let mut places = places(rewriter, env, &args[0])?;
            places.sort_unstable();
            let shapes = rewriter.shapes_mut();
            Some(Bound::List(places.into_iter().map(|it| shapes.int(it as i64)).collect()))
        }
        Function::UpTo => {
            let (from, to) = (number(rewriter, env, &args[0])?, number(rewriter, env, &args[1])?);
            let (from, to) = (rewriter.shapes().as_int(from)?, rewriter.shapes().as_int(to)?);
            let short = to.checked_sub(from)? <= MOST_MEMBERS as i64;
            let shapes = rewriter.shapes_mut();
            short.then(|| Bound::List((from..to).map(|it| shapes.int(it)).collect()))
        }
        Function::Times => {
            let (count, each) = (number(rewriter, env, &args[0])?, number(rewriter, env, &args[1])?);
            let count = place(rewriter, count).filter(|it| *it <= MOST_MEMBERS)?;
            Some(Bound::List(vec![each; count]))
        }
        Function::Part => {
            let list = members(rewriter, env, &args[0])?;
            let (from, to) = (number(rewriter, env, &args[1])?, number(rewriter, env, &args[2])?);
            let (from, to) = (place(rewriter, from)?, place(rewriter, to)?);
            Some(Bound::List(list.get(from..to)?.to_vec()))
        }
        Function::Without => {
            let list = members(rewriter, env, &args[0])?;
            let out = places(rewriter, env, &args[1])?;
            let kept = list.into_iter().enumerate().filter(|(i, _)| !out.contains(i)).map(|it| it.1);
            Some(Bound::List(kept.collect()))
        }
        Function::Widened => {
            let mut list = members(rewriter, env, &args[0])?.into_iter();
            let ones = places(rewriter, env, &args[1])?;
            let one = rewriter.shapes_mut().int(1);
            let rank = list.len() + ones.len();
            let wide: Vec<Dim> = (0..rank)
                .map(|i| if ones.contains(&i) { Some(one) } else { list.next() })
                .collect::<Option<_>>()?;
            Some(Bound::List(wide))
        }
        Function::Find => {
            let list = members(rewriter, env, &args[0])?;
            let wanted = number(rewriter, env, &args[1])?;
            let at = list.iter().position(|it| rewriter.shapes().prove_eq(*it, wanted).is_always())?;
            int(rewriter, at)
        }
        Function::Sum => {
            let list = members(rewriter, env, &args[0])?;
            rewriter.shapes_mut().sum(&list).ok().map(Bound::Number)
        }
        Function::Product => {
            let list = members(rewriter, env, &args[0])?;
            rewriter.shapes_mut().product(&list).ok().map(Bound::Number)
        }
        Function::Larger | Function::Smaller => {
            let (a, b) = (number(rewriter, env, &args[0])?, number(rewriter, env, &args[1])?);
            let shapes = rewriter.shapes_mut();
            let result = match function {
                Function::Larger => shapes.max(&[a, b]),
                _ => shapes.min(&[a, b]),
            };
            result.ok().map(Bound::Number)
        }
    }
}

/// Whether a condition holds.
pub(super) fn holds(rewriter: &mut dyn Rewriter, env: &Env, condition: &Condition) -> Truth {
    let truth = |it: bool| if it { Truth::Always } else { Truth::Never };
    match condition {
        Condition::Compare(compare, a, b) => {
            let sides = eval(rewriter, env, a).zip(eval(rewriter, env, b));
            sides.map_or(Truth::Unknown, |(a, b)| related(rewriter, *compare, &a, &b))
        }
        Condition::Type(name, types) => match env.get(*name) {
            Some(Bound::DType(dtype)) => truth(types.iter().any(|it| admits(env, it, *dtype))),
            _ => Truth::Unknown,
        },
        Condition::Is(predicate, args) => is(rewriter, env, *predicate, args).unwrap_or(Truth::Unknown),
        Condition::Not(inner) => !holds(rewriter, env, inner),
        Condition::Or(list) => {
            let mut all = Truth::Never;
            for it in list {
                match holds(rewriter, env, it) {
                    Truth::Always => return Truth::Always,
                    Truth::Unknown => all = Truth::Unknown,
                    Truth::Never => {}
                }
            }
            all
        }
    }
}

/// Whether an element type is the one of a pattern; a name must stand for it.
pub(super) fn admits(env: &Env, pattern: &DTypePattern, dtype: DType) -> bool {
    match pattern {
        DTypePattern::Exact(it) => *it == dtype,
        DTypePattern::Class(class) => class.admits(dtype),
        DTypePattern::Name(name) => env.get(*name) == Some(&Bound::DType(dtype)),
    }
}

/// How two things are related.
pub(super) fn related(rewriter: &dyn Rewriter, compare: Compare, a: &Bound, b: &Bound) -> Truth {
    let shapes = rewriter.shapes();
    let truth = |it: bool| if it { Truth::Always } else { Truth::Never };
    let one = |a: Dim, b: Dim| match compare {
        Compare::Eq => shapes.prove_eq(a, b),
        Compare::Ne => !shapes.prove_eq(a, b),
        Compare::Lt => shapes.prove_lt(a, b),
        Compare::Le => shapes.prove_le(a, b),
        Compare::Gt => shapes.prove_gt(a, b),
        Compare::Ge => shapes.prove_ge(a, b),
    };
    // Lists differ where some members do; every other relation is one of all members.
    let all = |pairs: &mut dyn Iterator<Item = (Dim, Dim)>| {
        let (mut every, mut some) = (Truth::Always, Truth::Never);
        for (a, b) in pairs {
            let it = one(a, b);
            every = if every == Truth::Never || it == Truth::Never {
                Truth::Never
            } else if every.is_always() && it.is_always() {
                Truth::Always
            } else {
                Truth::Unknown
            };
            some = if some.is_always() || it.is_always() {
                Truth::Always
            } else if some == Truth::Never && it == Truth::Never {
                Truth::Never
            } else {
                Truth::Unknown
            };
        }
        if compare == Compare::Ne { some } else { every }
    };
    let equal = |same: bool| match compare {
        Compare::Eq => truth(same),
        Compare::Ne => truth(!same),
        _ => Truth::Unknown,
    };
    let float = |it: &Bound| match it {
        Bound::Float(it) => Some(*it),
        Bound::Number(it) => shapes.as_int(*it).map(|it| it as f64),
        _ => None,
    };
    match (a, b) {
        (Bound::Number(a), Bound::Number(b)) => one(*a, *b),
        (Bound::List(a), Bound::List(b)) if a.len() == b.len() => {
            all(&mut a.iter().copied().zip(b.iter().copied()))
        }
        (Bound::List(_), Bound::List(_)) => equal(false),
        (Bound::List(a), Bound::Number(b)) => all(&mut a.iter().map(|a| (*a, *b))),
        (Bound::Number(a), Bound::List(b)) => all(&mut b.iter().map(|b| (*a, *b))),
        (Bound::Truth(a), Bound::Truth(b)) => equal(a == b),
        (Bound::Text(a), Bound::Text(b)) => equal(a == b),
        (Bound::DType(a), Bound::DType(b)) => equal(a == b),
        (Bound::Floats(a), Bound::Floats(b)) => equal(a == b),
        (Bound::Op(a, x), Bound::Op(b, y)) => equal(a == b && x == y),
        (Bound::Attrs(a), Bound::Attrs(b)) => equal(a == b),
        (Bound::Value(a), Bound::Value(b)) => match same(rewriter, *a, *b) {
            true => equal(true),
            false => Truth::Unknown,
        },
        (a, b) => match float(a).zip(float(b)) {
            Some((a, b)) => truth(match compare {
                Compare::Eq => a == b,
                Compare::Ne => a != b,
                Compare::Lt => a < b,
                Compare::Le => a <= b,
                Compare::Gt => a > b,
                Compare::Ge => a >= b,
            }),
            None => Truth::Unknown,
        },
    }
}

/// Whether two values are the same: one value, or constants of the same data.
pub(super) fn same(rewriter: &dyn Rewriter, a: Value, b: Value) -> bool {
    a == b || rewriter.constant(a).is_some_and(|a| rewriter.constant(b).is_some_and(|b| a == b))
}

fn is(rewriter: &mut dyn Rewriter, env: &Env, predicate: Predicate, args: &[Expr]) -> Option<Truth> {
    let truth = |it: bool| if it { Truth::Always } else { Truth::Never };
    Some(match predicate {
        Predicate::Const | Predicate::Made | Predicate::Present => {
            let Expr::Name(name) = &args[0] else { return None };
            let known = |rewriter: &dyn Rewriter, value: &Value| match predicate {
                Predicate::Const => rewriter.constant(*value).is_some(),
                _ => is_made(rewriter, *value, &mut { MOST_MADE }),
            };
            match (predicate, env.get(*name)?) {
                (Predicate::Present, bound) => truth(*bound != Bound::Absent),
                // Of what is not there, everything holds.
                (_, Bound::Absent) => Truth::Always,
                (_, Bound::Value(value)) if known(rewriter, value) => Truth::Always,
                (_, Bound::Values(list)) if list.iter().all(|it| known(rewriter, it)) => Truth::Always,
                _ => Truth::Unknown,
            }
        }
        Predicate::Within => {
            let mut bound = |expr: &Expr| match eval(rewriter, env, expr)? {
                Bound::Float(it) => Some(it),
                Bound::Number(it) => rewriter.shapes().as_int(it).map(|it| it as f64),
                _ => None,
            };
            let (low, high) = (bound(&args[1])?, bound(&args[2])?);
            let data = rewriter.constant(operand(env, &args[0])?)?;
            truth((0..data.len()).all(|i| (low..=high).contains(&data.get_f64(i))))
        }
        Predicate::Positive => {
            let data = rewriter.constant(operand(env, &args[0])?)?;
            truth((0..data.len()).map(|i| data.get_f64(i)).all(|it| it > 0.0 && it.is_finite()))
        }
        Predicate::Identity => {
            let places = places(rewriter, env, &args[0])?;
            truth(places.iter().enumerate().all(|(i, at)| i == *at))
        }
        Predicate::Distinct => {
            let mut places = places(rewriter, env, &args[0])?;
            places.sort_unstable();
            truth(places.windows(2).all(|it| it[0] != it[1]))
        }
        Predicate::Increasing => {
            let places = places(rewriter, env, &args[0])?;
            truth(places.is_sorted_by(|a, b| a < b))
        }
        Predicate::Member => {
            let wanted = number(rewriter, env, &args[0])?;
            let list = members(rewriter, env, &args[1])?;
            let mut all = Truth::Never;
            for it in list {
                match rewriter.shapes().prove_eq(it, wanted) {
                    Truth::Always => return Some(Truth::Always),
                    Truth::Unknown => all = Truth::Unknown,
                    Truth::Never => {}
                }
            }
            all
        }
        Predicate::Covers => {
            let (whole, part) = (members(rewriter, env, &args[0])?, members(rewriter, env, &args[1])?);
            let Some(skip) = whole.len().checked_sub(part.len()) else { return Some(Truth::Never) };
            let shapes = rewriter.shapes_mut();
            let one = shapes.int(1);
            let fits = part.iter().zip(&whole[skip..]).all(|(it, whole)| {
                it == whole
                    || shapes.prove_eq(*it, *whole).is_always()
                    || shapes.prove_eq(*it, one).is_always()
                    || shapes.is_broadcast_part(*it, *whole)
            });
            if fits { Truth::Always } else { Truth::Unknown }
        }
    })
}

/// Whether a value follows from constants alone, as far as so many operations say.
fn is_made(rewriter: &dyn Rewriter, value: Value, left: &mut usize) -> bool {
    if let Some(known) = rewriter.is_made(value) {
        return known;
    }
    if rewriter.constant(value).is_some() {
        return true;
    }
    if *left == 0 {
        return false;
    }
    *left -= 1;
    let Some(call) = rewriter.definition(value) else { return false };
    let effects = rewriter.ops().def(call.op).effects;
    effects.allowed_in_dataflow() && call.args.iter().all(|it| is_made(rewriter, *it, left))
}

/// A name in the place of an element type.
pub(super) fn bind_dtype(env: &mut Env, name: Name, dtype: DType) -> bool {
    match env.get(name) {
        Some(bound) => *bound == Bound::DType(dtype),
        None => {
            env.set(name, Bound::DType(dtype));
            true
        }
    }
}
