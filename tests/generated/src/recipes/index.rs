//! Elements that are found by others: gathers, scatters, orders.

use super::Table;
use super::movement::{axis, place};
use crate::attributes::{int, text};
use crate::draw::{Draft, Draw, Fill, Id};
use crate::value::{Extent, Rounding};
use orogen_ir::types::DType;

pub(super) const RECIPES: Table = &[
    ("Gather", gather),
    ("GatherElements", gather_elements),
    ("GatherND", gather_nd),
    ("ScatterElements", scatter_elements),
    ("Scatter", scatter_elements),
    ("ScatterND", scatter_nd),
    ("OneHot", one_hot),
    ("TopK", top_k),
    ("ArgMax", extreme),
    ("ArgMin", extreme),
    ("NonZero", non_zero),
    ("Compress", compress),
    ("Unique", unique),
    ("CumSum", running),
    ("CumProd", running),
];

/// An axis along which a tensor has elements in every setting, and how many it has at least.
fn along(draw: &mut Draw<'_>, x: Id) -> Option<(i64, u64)> {
    let dims = draw.dims_of(x);
    let axis = axis(draw, dims.len());
    let least = *dims[place(axis, dims.len())].iter().min()?;
    (least > 0).then_some((axis, least))
}

/// Indices of a type; negative ones stand for places from the end.
fn indices(draw: &mut Draw<'_>, dims: &[Extent], n: u64) -> Id {
    let dtype = draw.pick(&[DType::I64, DType::I64, DType::I32]);
    let fill = match draw.opset >= 11 && draw.once_in(3) {
        true => Fill::Between(-(n as f64), n as f64 - 1.0),
        false => Fill::Index(n),
    };
    draw.fresh(dtype, dims, fill)
}

fn gather(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.any(1..=4);
    let (axis, n) = along(draw, x)?;
    let rank = draw.pick(&[0, 0, 1, 1, 2]);
    let dims = draw.dims(rank);
    let at = indices(draw, &dims, n);
    Some(Draft::new(op, &[draw.name(x), draw.name(at)], Rounding::Exact).with(int("axis", axis)))
}

fn gather_elements(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.any(1..=4);
    let (axis, n) = along(draw, x)?;
    let mut dims = draw.dims_of(x);
    let at = place(axis, dims.len());
    dims[at] = draw.extent();
    let at = indices(draw, &dims, n);
    Some(Draft::new(op, &[draw.name(x), draw.name(at)], Rounding::Exact).with(int("axis", axis)))
}

fn gather_nd(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.any(1..=4);
    let dims = draw.dims_of(x);
    let used = 1 + draw.random.below(dims.len());
    let n = dims[..used].iter().flatten().copied().min().filter(|it| *it > 0)?;
    let mut shape = draw.dims(1);
    shape.push(draw.fixed(used as u64));
    let at = draw.fresh(DType::I64, &shape, Fill::Index(n));
    Some(Draft::new(op, &[draw.name(x), draw.name(at)], Rounding::Exact))
}

fn reduction(draw: &mut Draw<'_>, draft: Draft, since: [i64; 2]) -> Draft {
    let kinds: &[&str] = match draw.opset {
        it if it >= since[1] => &["none", "add", "mul", "max", "min"],
        it if it >= since[0] => &["none", "add", "mul"],
        _ => &["none"],
    };
    match draw.pick(kinds) {
        "none" => draft,
        kind => Draft { rounding: Rounding::Arithmetic, ..draft }.with(text("reduction", kind)),
    }
}

fn scatter_elements(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.numbers(1..=4);
    let dtype = draw.dtype_of(x);
    let mut dims = draw.dims_of(x);
    let axis = axis(draw, dims.len());
    let at = place(axis, dims.len());
    let extent = dims[at].clone();
    // Without a reduction an element that is written twice has no one value, so each place is named once.
    let n = *extent.iter().min()?;
    let count = draw.random.below(n as usize + 1) as u64;
    dims[at] = draw.fixed(count);
    let indices = distinct(draw, &dims, at, n)?;
    let updates = draw.fresh(dtype, &dims, Fill::Small);
    let draft = Draft::new(op, &[draw.name(x), draw.name(indices), draw.name(updates)], Rounding::Exact);
    let draft = if op == "Scatter" { draft } else { reduction(draw, draft, [16, 18]) };
    Some(draft.with(int("axis", axis)))
}

/// Constant indices along an axis that differ from each other.
fn distinct(draw: &mut Draw<'_>, dims: &[Extent], axis: usize, n: u64) -> Option<Id> {
    let sizes: Vec<u64> = dims.iter().map(|it| it[0]).collect();
    if !dims.iter().all(|it| crate::value::is_fixed(it)) {
        return None;
    }
    let shift = draw.random.below(n.max(1) as usize) as u64;
    let inner: u64 = sizes[axis + 1..].iter().product();
    let count = sizes.iter().product::<u64>();
    let index = |i: u64| ((i / inner.max(1) % sizes[axis].max(1)) + shift) % n.max(1);
    let data =
        orogen_ir::types::TensorData::from_f64(DType::I64, &sizes, (0..count).map(|i| index(i) as f64));
    Some(if draw.random.coin() { draw.constant(data) } else { draw.input(data) })
}

fn scatter_nd(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.numbers(1..=4);
    let (dtype, dims) = (draw.dtype_of(x), draw.dims_of(x));
    let n = *dims[0].iter().min()?;
    let count = draw.random.below(n as usize + 1) as u64;
    let mut places: Vec<i64> = (0..n.cast_signed()).collect();
    let by = draw.random.below(places.len());
    places.rotate_left(by);
    let elements = places[..count as usize].to_vec();
    let data = orogen_ir::types::TensorData::from_slice(DType::I64, &[count, 1], &elements);
    let indices = if draw.random.coin() { draw.constant(data) } else { draw.input(data) };
    let mut shape = vec![draw.fixed(count)];
    shape.extend_from_slice(&dims[1..]);
    let updates = draw.of(dtype, &shape, Fill::Small);
    let draft = Draft::new(op, &[draw.name(x), draw.name(indices), draw.name(updates)], Rounding::Exact);
    Some(reduction(draw, draft, [16, 18]))
}

fn one_hot(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let rank = draw.pick(&[0, 1, 2]);
    let dims = draw.dims(rank);
    let depth = draw.pick(&[1, 3, 4]);
    let indices = draw.fresh(DType::I64, &dims, Fill::Index(5));
    let dtype = draw.number_type();
    let values = draw.weight(dtype, &[2], Fill::Small);
    let depth = draw.int(depth);
    let axis = draw.pick(&[-1, 0]);
    Some(
        Draft::new(op, &[draw.name(indices), &depth, draw.name(values)], Rounding::Exact)
            .with(int("axis", axis)),
    )
}

fn top_k(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.numbers(1..=4);
    let (axis, n) = along(draw, x)?;
    let k = 1 + draw.random.below(n as usize) as i64;
    let draft = Draft::new(op, &[draw.name(x)], Rounding::Exact).giving(2).with(int("axis", axis));
    if draw.opset < 10 {
        return Some(draft.with(int("k", k)));
    }
    let mut draft = draft;
    let k = draw.ints(&[k]);
    draft.node.input.push(k);
    let (largest, sorted) = (draw.pick(&[0, 1]), 1);
    Some(if draw.opset >= 11 {
        draft.with(int("largest", largest)).with(int("sorted", sorted))
    } else {
        draft
    })
}

fn extreme(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.numbers(1..=4);
    let (axis, _) = along(draw, x)?;
    let keep = draw.pick(&[0, 1]);
    let draft =
        Draft::new(op, &[draw.name(x)], Rounding::Exact).with(int("axis", axis)).with(int("keepdims", keep));
    let last = draw.opset >= 12 && draw.random.coin();
    Some(if last { draft.with(int("select_last_index", 1)) } else { draft })
}

fn non_zero(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.any(1..=3);
    Some(Draft::new(op, &[draw.name(x)], Rounding::Exact))
}

fn compress(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.any(1..=3);
    let (axis, n) = along(draw, x)?;
    let which = draw.weight(DType::Bool, &[n], Fill::Small);
    let draft = Draft::new(op, &[draw.name(x), draw.name(which)], Rounding::Exact);
    Some(if draw.once_in(3) { draft } else { draft.with(int("axis", axis)) })
}

fn unique(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.numbers(1..=3);
    let results = 1 + draw.random.below(4);
    let sorted = draw.pick(&[0, 1]);
    let draft = Draft::new(op, &[draw.name(x)], Rounding::Exact).giving(results).with(int("sorted", sorted));
    if draw.random.coin() {
        return Some(draft);
    }
    let (axis, _) = along(draw, x)?;
    Some(draft.with(int("axis", axis)))
}

fn running(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.numbers(1..=4);
    let axis = axis(draw, draw.values[x].rank());
    let axis = draw.int(axis);
    let draft = Draft::new(op, &[draw.name(x), &axis], Rounding::Arithmetic);
    let (exclusive, reverse) = (draw.pick(&[0, 1]), draw.pick(&[0, 1]));
    Some(draft.with(int("exclusive", exclusive)).with(int("reverse", reverse)))
}
