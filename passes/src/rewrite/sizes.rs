//! Sizes as operands.
//!
//! A list of sizes that are all constant is a constant. Otherwise it is put together: each symbol in it is a dimension of a
//! value that was matched, which `shape_of` reads.

use super::rewriter::{Rewriter, Value};
use orogen_ir::shape::{Atom, Dim};
use orogen_ir::types::{Attrs, TensorData};

/// A one-dimensional tensor of these integers.
pub(super) fn emit_sizes(rewriter: &mut dyn Rewriter, sizes: &[Dim], sources: &[Value]) -> Option<Value> {
    let known: Option<Vec<i64>> = sizes.iter().map(|it| rewriter.shapes().as_int(*it)).collect();
    if let Some(known) = known {
        return Some(rewriter.emit_constant(TensorData::ints(&known)));
    }
    let mut parts: Vec<Part> = Vec::new();
    for size in sizes {
        if let Some(int) = rewriter.shapes().as_int(*size) {
            match parts.last_mut() {
                Some(Part::Known(list)) => list.push(int),
                _ => parts.push(Part::Known(vec![int])),
            }
            continue;
        }
        match find(rewriter, sources, *size) {
            Some((value, axis)) => match parts.last_mut() {
                Some(Part::Of(known, _, end)) if *known == value && *end == axis => *end += 1,
                _ => parts.push(Part::Of(value, axis, axis + 1)),
            },
            None => parts.push(Part::Made(*size)),
        }
    }
    let mut values = Vec::new();
    for part in parts {
        values.push(match part {
            Part::Known(list) => rewriter.emit_constant(TensorData::ints(&list)),
            Part::Of(value, start, end) => shape_of(rewriter, value, start, end)?,
            Part::Made(size) => made(rewriter, size, sources)?,
        });
    }
    match values[..] {
        [one] => Some(one),
        _ => rewriter.emit("concat", Attrs::none().with("axis", 0), &values),
    }
}

enum Part {
    Known(Vec<i64>),
    /// Dimensions of a value from one axis to another one.
    Of(Value, i64, i64),
    Made(Dim),
}

fn shape_of(rewriter: &mut dyn Rewriter, value: Value, start: i64, end: i64) -> Option<Value> {
    rewriter.emit("shape_of", Attrs::none().with("start", start).with("end", end), &[value])
}

/// A value that has this dimension, and where.
fn find(rewriter: &mut dyn Rewriter, sources: &[Value], size: Dim) -> Option<(Value, i64)> {
    for value in sources {
        let ty = rewriter.ty(*value);
        let dims = ty.as_tensor().and_then(|it| it.dims());
        if let Some(axis) = dims.and_then(|dims| dims.iter().position(|it| *it == size)) {
            return Some((*value, i64::try_from(axis).ok()?));
        }
    }
    None
}

/// A size by arithmetic on symbols, as a tensor of one element.
fn made(rewriter: &mut dyn Rewriter, size: Dim, sources: &[Value]) -> Option<Value> {
    let poly = rewriter.shapes().poly(size);
    let constant = poly.constant();
    let terms: Vec<(Vec<(Dim, u32)>, i64)> = {
        let shapes = rewriter.shapes();
        let symbol = |id| match shapes.atom(id) {
            Atom::Sym(sym) => shapes.find_sym_dim(*sym),
            _ => None,
        };
        let factors = |list: &[(_, u32)]| -> Option<Vec<(Dim, u32)>> {
            list.iter().map(|(id, power)| Some((symbol(*id)?, *power))).collect()
        };
        poly.terms().map(|(list, times)| Some((factors(list)?, times))).collect::<Option<_>>()?
    };
    let mut sum = None;
    for (factors, times) in terms {
        let mut product = None;
        for (symbol, power) in factors {
            let (value, axis) = find(rewriter, sources, symbol)?;
            for _ in 0..power {
                let size = shape_of(rewriter, value, axis, axis + 1)?;
                product = Some(joined(rewriter, "mul", product, size)?);
            }
        }
        if times != 1 {
            let times = rewriter.emit_constant(TensorData::ints(&[times]));
            product = Some(joined(rewriter, "mul", product, times)?);
        }
        sum = Some(joined(rewriter, "add", sum, product?)?);
    }
    if constant != 0 {
        let constant = rewriter.emit_constant(TensorData::ints(&[constant]));
        sum = Some(joined(rewriter, "add", sum, constant)?);
    }
    sum
}

fn joined(rewriter: &mut dyn Rewriter, op: &str, left: Option<Value>, right: Value) -> Option<Value> {
    match left {
        Some(left) => rewriter.emit(op, Attrs::none(), &[left, right]),
        None => Some(right),
    }
}
