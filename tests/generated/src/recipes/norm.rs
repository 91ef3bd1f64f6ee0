//! Normalisations.

use super::Table;
use super::movement::{axis, place};
use crate::attributes::{float, int, ints};
use crate::draw::{Draft, Draw, Fill};
use crate::value::{Extent, Rounding};

pub(super) const RECIPES: Table = &[
    ("BatchNormalization", batch),
    ("InstanceNormalization", instance),
    ("GroupNormalization", group),
    ("LayerNormalization", layer),
    ("RMSNormalization", layer),
    ("SimplifiedLayerNormalization", layer),
    ("LpNormalization", lp),
    ("MeanVarianceNormalization", variance),
    ("LRN", response),
];

fn draft(draw: &Draw<'_>, op: &str, ids: &[usize]) -> Draft {
    let names: Vec<&str> = ids.iter().map(|it| draw.name(*it)).collect();
    Draft::new(op, &names, Rounding::Function)
}

fn batch(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.floats(2..=5);
    let (dtype, dims) = (draw.dtype_of(x), draw.dims_of(x));
    let channel = [dims[1].clone()];
    let [scale, shift, mean] = [(); 3].map(|()| draw.of(dtype, &channel, Fill::Small));
    let spread = draw.fresh(dtype, &channel, Fill::Between(0.5, 3.0));
    let epsilon = draw.pick(&[1e-5f32, 1e-2]);
    Some(draft(draw, op, &[x, scale, shift, mean, spread]).with(float("epsilon", epsilon)))
}

fn instance(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.floats(3..=5);
    let (dtype, dims) = (draw.dtype_of(x), draw.dims_of(x));
    let channel = [dims[1].clone()];
    let [scale, shift] = [(); 2].map(|()| draw.of(dtype, &channel, Fill::Small));
    Some(draft(draw, op, &[x, scale, shift]).with(float("epsilon", 0.01)))
}

fn group(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.floats(3..=5);
    let (dtype, dims) = (draw.dtype_of(x), draw.dims_of(x));
    let channels = dims[1][0];
    let groups = draw.pick(&[1, 2, 3, channels.max(1)]);
    let each = if draw.opset >= 21 { dims[1].clone() } else { draw.fixed(groups) };
    let [scale, shift] = [(); 2].map(|()| draw.of(dtype, std::slice::from_ref(&each), Fill::Small));
    let draft = draft(draw, op, &[x, scale, shift]).with(float("epsilon", 0.01));
    Some(draft.with(int("num_groups", groups.cast_signed())))
}

fn layer(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.floats(1..=4);
    let (dtype, dims) = (draw.dtype_of(x), draw.dims_of(x));
    let axis = axis(draw, dims.len());
    let rest: Vec<Extent> = dims[place(axis, dims.len())..].to_vec();
    let mut ids = vec![x, draw.of(dtype, &rest, Fill::Small)];
    if op == "LayerNormalization" && draw.random.coin() {
        ids.push(draw.of(dtype, &rest, Fill::Small));
    }
    let draft = draft(draw, op, &ids).with(float("epsilon", 0.01)).with(int("axis", axis));
    let all = op == "LayerNormalization" && draw.once_in(4);
    Some(if all { draft.giving(3) } else { draft })
}

fn lp(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.floats(1..=4);
    let axis = axis(draw, draw.values[x].rank());
    let p = draw.pick(&[1, 2]);
    Some(draft(draw, op, &[x]).with(int("axis", axis)).with(int("p", p)))
}

fn variance(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.floats(2..=4);
    let axis = draw.random.below(draw.values[x].rank()) as i64;
    Some(draft(draw, op, &[x]).with(ints("axes", &[0, axis][usize::from(axis == 0)..])))
}

fn response(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.floats(3..=4);
    let size = draw.pick(&[1, 2, 3, 5]);
    Some(draft(draw, op, &[x]).with(int("size", size)).with(float("alpha", 0.5)))
}
