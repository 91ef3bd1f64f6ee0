//! Elements that change place.

use super::Table;
use crate::attributes::{int, ints, text};
use crate::draw::{Draft, Draw, Fill, Id};
use crate::value::{Extent, Rounding, is_fixed};
use orogen_ir::types::DType;
use orogen_onnx::proto::AttributeProto;

pub(super) const RECIPES: Table = &[
    ("Transpose", transpose),
    ("Reshape", reshape),
    ("Flatten", flatten),
    ("Squeeze", squeeze),
    ("Unsqueeze", unsqueeze),
    ("Concat", concat),
    ("Split", split),
    ("Slice", slice),
    ("Pad", pad),
    ("Expand", expand),
    ("Tile", tile),
    ("DepthToSpace", blocks),
    ("SpaceToDepth", blocks),
    ("Trilu", triangle),
    ("Shape", shape),
    ("Size", size),
    ("ReverseSequence", reverse),
    ("ConstantOfShape", filled),
    ("EyeLike", eye),
    ("Range", range),
];

/// An axis, counted from either end.
pub(super) fn axis(draw: &mut Draw<'_>, rank: usize) -> i64 {
    let axis = draw.random.below(rank) as i64;
    // Negative axes came with version 11.
    if draw.opset >= 11 && draw.once_in(3) { axis - rank as i64 } else { axis }
}

/// The place of an axis.
pub(super) fn place(axis: i64, rank: usize) -> usize {
    (if axis < 0 { axis + rank as i64 } else { axis }) as usize
}

/// A list that is an attribute in old versions, and an operand since `version`.
pub(super) fn list(draw: &mut Draw<'_>, draft: Draft, version: i64, name: &str, values: &[i64]) -> Draft {
    if draw.opset < version {
        return draft.with(ints(name, values));
    }
    let mut draft = draft;
    let name = draw.ints(values);
    draft.node.input.push(name);
    draft
}

fn transpose(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.any(1..=5);
    let rank = draw.values[x].rank();
    let mut perm: Vec<i64> = (0..rank as i64).collect();
    for i in 1..rank {
        let j = draw.random.below(i + 1);
        perm.swap(i, j);
    }
    let draft = Draft::new(op, &[draw.name(x)], Rounding::Exact);
    Some(if draw.once_in(6) { draft } else { draft.with(ints("perm", &perm)) })
}

/// The product of extents, setting by setting.
fn product(extents: &[Extent]) -> Extent {
    let mut all = extents.iter();
    let first = all.next().cloned().unwrap_or_default();
    all.fold(first, |a, b| a.iter().zip(b).map(|(a, b)| a * b).collect())
}

fn reshape(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.any(0..=5);
    let dims = draw.dims_of(x);
    let rank = dims.len();
    let mut target: Vec<i64> = Vec::new();
    let mut rest = false;
    // Runs of dimensions are merged; one product that is not known is -1.
    let mut at = 0;
    while at < rank {
        let run = 1 + draw.random.below(rank - at).min(draw.random.below(3));
        let extent = product(&dims[at..at + run]);
        target.push(match is_fixed(&extent) {
            true => extent[0].cast_signed(),
            false if run == 1 && at == target.len() && draw.random.coin() => 0,
            false if !rest => {
                rest = true;
                -1
            }
            false if run == 1 && at == target.len() => 0,
            false => return None,
        });
        at += run;
    }
    if draw.random.coin() {
        // One that is known is split.
        let split = target.iter().position(|it| *it > 3 && it % 2 == 0);
        if let Some(at) = split.filter(|at| target[at + 1..].iter().all(|it| *it != 0)) {
            target[at] /= 2;
            target.insert(at, 2);
        }
    }
    if target.is_empty() || draw.once_in(8) && target.iter().all(|it| *it != 0) {
        target.insert(0, 1);
    }
    if !rest && !target.contains(&0) && draw.random.coin() {
        let at = draw.random.below(target.len());
        target[at] = -1;
    }
    let target = draw.ints(&target);
    Some(Draft::new(op, &[draw.name(x), &target], Rounding::Exact))
}

fn flatten(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.any(1..=5);
    let axis = axis(draw, draw.values[x].rank());
    Some(Draft::new(op, &[draw.name(x)], Rounding::Exact).with(int("axis", axis)))
}

fn squeeze(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let one = |it: &Extent| it.iter().all(|it| *it == 1);
    let x = draw.found(|it, _| it.dims().is_some_and(|it| it.iter().any(one)));
    let x = x.unwrap_or_else(|| {
        let mut dims = draw.dims(2);
        let (at, one) = (draw.random.below(3), draw.fixed(1));
        dims.insert(at, one);
        let dtype = draw.number_type();
        draw.fresh(dtype, &dims, Fill::Small)
    });
    let dims = draw.dims_of(x);
    let rank = dims.len() as i64;
    let mut axes: Vec<i64> = (0..rank).filter(|it| one(&dims[*it as usize])).collect();
    let draft = Draft::new(op, &[draw.name(x)], Rounding::Exact);
    if draw.once_in(5) && dims.iter().all(is_fixed_extent) {
        return Some(draft);
    }
    axes.retain(|_| draw.random.below(3) > 0);
    if axes.is_empty() {
        return None;
    }
    if draw.opset >= 11 && draw.once_in(3) {
        axes[0] -= rank;
    }
    Some(list(draw, draft, 13, "axes", &axes))
}

fn is_fixed_extent(extent: &Extent) -> bool {
    is_fixed(extent)
}

fn unsqueeze(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.any(0..=4);
    let rank = draw.values[x].rank() + 1;
    let axis = axis(draw, rank);
    let draft = Draft::new(op, &[draw.name(x)], Rounding::Exact);
    Some(list(draw, draft, 13, "axes", &[axis]))
}

/// A tensor of the type of another whose dimensions are the same but for one.
fn same_but(draw: &mut Draw<'_>, x: Id, axis: usize) -> Id {
    let (dtype, mut dims) = (draw.dtype_of(x), draw.dims_of(x));
    let others =
        |it: &[Extent]| it.len() == dims.len() && (0..it.len()).all(|i| i == axis || it[i] == dims[i]);
    if let Some(found) = draw.found(|it, of| of == dtype && it.dims().is_some_and(|it| others(&it))) {
        return found;
    }
    dims[axis] = draw.extent();
    draw.fresh(dtype, &dims, Fill::Small)
}

fn concat(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.any(1..=5);
    let rank = draw.values[x].rank();
    let axis = axis(draw, rank);
    let mut ids = vec![x];
    for _ in 0..1 + draw.random.below(3) {
        ids.push(same_but(draw, x, place(axis, rank)));
    }
    let by = draw.random.below(ids.len());
    ids.rotate_left(by);
    let names: Vec<&str> = ids.iter().map(|it| draw.name(*it)).collect();
    Some(Draft::new(op, &names, Rounding::Exact).with(int("axis", axis)))
}

fn split(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.any(1..=5);
    let (dims, rank) = (draw.dims_of(x), draw.values[x].rank());
    let axis = axis(draw, rank);
    let extent = &dims[place(axis, rank)];
    let least = *extent.iter().min()?;
    let parts = 1 + draw.random.below(3);
    let draft = Draft::new(op, &[draw.name(x)], Rounding::Exact).giving(parts).with(int("axis", axis));
    if is_fixed(extent) && draw.random.coin() {
        let mut sizes: Vec<i64> = vec![0; parts];
        for _ in 0..least {
            sizes[draw.random.below(parts)] += 1;
        }
        return Some(list(draw, draft, 13, "split", &sizes));
    }
    Some(if draw.opset >= 18 { draft.with(int("num_outputs", parts as i64)) } else { draft })
}

fn slice(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.any(1..=5);
    let rank = draw.values[x].rank();
    let axis = axis(draw, rank);
    let start = draw.pick(&[0, 0, 1, 2, -1, -2, -3, -100]);
    let end = draw.pick(&[1, 2, 3, i64::MAX, i64::MAX, -1, i64::from(i32::MAX)]);
    let draft = Draft::new(op, &[draw.name(x)], Rounding::Exact);
    if draw.opset < 10 {
        return Some(
            draft.with(ints("starts", &[start])).with(ints("ends", &[end])).with(ints("axes", &[axis])),
        );
    }
    let step = draw.pick(&[1, 1, 1, 2, 3, -1, -2]);
    let (start, end) = match step < 0 {
        true => (draw.pick(&[-1, i64::MAX, 2]), draw.pick(&[0, i64::MIN, -4])),
        false => (start, end),
    };
    let names = [
        draw.name(x).to_owned(),
        draw.ints(&[start]),
        draw.ints(&[end]),
        draw.ints(&[axis]),
        draw.ints(&[step]),
    ];
    let kept = if step == 1 && draw.random.coin() { 4 } else { 5 };
    let names: Vec<&str> = names[..kept].iter().map(String::as_str).collect();
    Some(Draft::new(op, &names, Rounding::Exact))
}

fn pad(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.numbers(1..=4);
    let rank = draw.values[x].rank();
    let mode = draw.pick(&["constant", "constant", "reflect", "edge", "wrap"]);
    let pads: Vec<i64> = (0..2 * rank).map(|_| draw.pick(&[0, 0, 1, 1, 2, -1])).collect();
    let draft = Draft::new(op, &[draw.name(x)], Rounding::Exact).with(text("mode", mode));
    let mut draft = list(draw, draft, 11, "pads", &pads);
    if draw.opset >= 11 && mode == "constant" && draw.random.coin() {
        let dtype = draw.dtype_of(x);
        let value = draw.weight(dtype, &[], Fill::Small);
        draft.node.input.push(draw.name(value).to_owned());
    }
    Some(draft)
}

fn expand(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.any(0..=4);
    let dims = draw.dims_of(x);
    let mut target: Vec<i64> = dims
        .iter()
        .map(|it| match it.iter().all(|it| *it == 1) {
            true => draw.pick(&[1, 2, 3]),
            false if is_fixed(it) && draw.random.coin() => it[0].cast_signed(),
            false => 1,
        })
        .collect();
    if target.is_empty() || draw.random.coin() {
        let more = draw.pick(&[1, 2, 3]);
        target.insert(0, more);
    }
    let target = draw.ints(&target);
    Some(Draft::new(op, &[draw.name(x), &target], Rounding::Exact))
}

fn tile(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.any(1..=4);
    let repeats: Vec<i64> = (0..draw.values[x].rank()).map(|_| draw.pick(&[1, 1, 2, 3, 0])).collect();
    let repeats = draw.ints(&repeats);
    Some(Draft::new(op, &[draw.name(x), &repeats], Rounding::Exact))
}

fn blocks(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let (n, c, h, w) = (draw.extent(), draw.pick(&[1, 2]), draw.pick(&[1, 2]), draw.pick(&[1, 3]));
    let sizes = if op == "DepthToSpace" { [4 * c, h, w] } else { [c, 2 * h, 2 * w] };
    let mut dims = vec![n];
    dims.extend(sizes.map(|it| draw.fixed(it)));
    let dtype = draw.number_type();
    let x = draw.of(dtype, &dims, Fill::Small);
    let draft = Draft::new(op, &[draw.name(x)], Rounding::Exact).with(int("blocksize", 2));
    let crd = op == "DepthToSpace" && draw.opset >= 11 && draw.random.coin();
    Some(if crd { draft.with(text("mode", "CRD")) } else { draft })
}

fn triangle(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.numbers(2..=4);
    let mut draft = Draft::new(op, &[draw.name(x)], Rounding::Exact);
    if draw.random.coin() {
        let k = draw.pick(&[-2, -1, 0, 1, 2]);
        let k = draw.int(k);
        draft.node.input.push(k);
    }
    let upper = draw.pick(&[0, 1]);
    Some(draft.with(int("upper", upper)))
}

fn shape(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.any(0..=5);
    let draft = Draft::new(op, &[draw.name(x)], Rounding::Exact);
    let bounds: [(&str, i64); 2] = [("start", draw.pick(&[0, 1, -1])), ("end", draw.pick(&[1, 2, -1]))];
    let part = |draft: Draft, it: (&str, i64)| draft.with(int(it.0, it.1));
    Some(if draw.opset >= 15 && draw.random.coin() { bounds.into_iter().fold(draft, part) } else { draft })
}

fn size(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.any(0..=5);
    Some(Draft::new(op, &[draw.name(x)], Rounding::Exact))
}

fn reverse(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let (time, batch) = (draw.pick(&[2u64, 3, 5]), draw.pick(&[1u64, 2, 4]));
    let first = draw.random.coin();
    let mut dims = vec![draw.fixed(time), draw.fixed(batch), draw.extent()];
    if !first {
        dims.swap(0, 1);
    }
    let dtype = draw.number_type();
    let x = draw.of(dtype, &dims, Fill::Small);
    let lengths = draw.weight(DType::I64, &[batch], Fill::Between(1.0, time as f64));
    let axes: [AttributeProto; 2] = match first {
        true => [int("time_axis", 0), int("batch_axis", 1)],
        false => [int("time_axis", 1), int("batch_axis", 0)],
    };
    let draft = Draft::new(op, &[draw.name(x), draw.name(lengths)], Rounding::Exact);
    Some(axes.into_iter().fold(draft, Draft::with))
}

/// A shape: that of a value, or numbers.
fn shape_operand(draw: &mut Draw<'_>) -> Option<String> {
    let ids = draw.candidates(|it| {
        let small =
            |data: &orogen_ir::types::TensorData| (0..data.len()).all(|i| (0..8).contains(&data.get_i64(i)));
        it.dtype() == Some(DType::I64) && it.rank() == 1 && it.data().is_some_and(small)
    });
    match draw.recent(&ids) {
        Some(id) if draw.random.coin() => Some(draw.name(id).to_owned()),
        _ => {
            let dims: Vec<i64> = (0..draw.random.below(4)).map(|_| draw.pick(&[1, 2, 3, 0])).collect();
            Some(draw.ints(&dims))
        }
    }
}

fn filled(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let shape = shape_operand(draw)?;
    let draft = Draft::new(op, &[&shape], Rounding::Exact);
    let dtype = draw.number_type();
    let value = draw.elements(dtype, &[1], Fill::Small);
    Some(if draw.random.coin() { draft.with(crate::attributes::tensor("value", &value)) } else { draft })
}

fn eye(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.numbers(2..=2);
    let k = draw.pick(&[-1, 0, 1]);
    Some(Draft::new(op, &[draw.name(x)], Rounding::Exact).with(int("k", k)))
}

fn range(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let dtype = draw.pick(&[DType::I64, DType::I32, DType::F32, DType::F64]);
    let mut scalar = |low: f64, high: f64| draw.weight(dtype, &[], Fill::Between(low, high));
    let ids = [scalar(0.0, 2.0), scalar(3.0, 8.0), scalar(1.0, 3.0)];
    let names: Vec<&str> = ids.iter().map(|it| draw.name(*it)).collect();
    Some(Draft::new(op, &names, Rounding::Arithmetic))
}
