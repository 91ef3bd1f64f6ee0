//! Models of `ai.onnx.ml` that are tables of attributes, and rare operators of the standard domain.

use super::Table;
use super::microsoft::call;
use crate::attributes::{float, floats, int, ints, text, texts};
use crate::draw::{Draft, Draw, Fill, Id};
use crate::value::{Rounding, is_fixed};
use orogen_ir::types::{DType, TensorData};

/// Of `ai.onnx.ml`.
pub(super) const CLASSICAL: Table = &[
    ("LinearClassifier", linear),
    ("SVMRegressor", machine),
    ("SVMClassifier", machine),
    ("TreeEnsembleRegressor", trees),
    ("TreeEnsembleClassifier", trees),
];

/// Of the standard domain.
pub(super) const RECIPES: Table = &[
    ("Crop", crop),
    ("ImageScaler", scaler),
    ("Scale", scale),
    ("MaxRoiPool", regions),
    ("MaxUnpool", unpool),
    ("NonMaxSuppression", suppression),
    ("TensorScatter", scatter),
];

const ML: &str = "ai.onnx.ml";

/// Rows of floats of a known width.
fn rows(draw: &mut Draw<'_>) -> Option<(Id, usize)> {
    let x = match draw.found(|it, dtype| dtype == DType::F32 && it.rank() == 2) {
        Some(found) => found,
        None => draw.new_tensor(DType::F32, 2..=2),
    };
    let width = draw.dims_of(x)[1].clone();
    (is_fixed(&width) && width[0] > 0).then_some((x, width[0] as usize))
}

fn numbers(draw: &mut Draw<'_>, count: usize) -> Vec<f32> {
    (0..count).map(|_| draw.random.below(17) as f32 / 4.0 - 2.0).collect()
}

fn of(draw: &Draw<'_>, op: &str, ids: &[Id]) -> Draft {
    let ids: Vec<Option<Id>> = ids.iter().map(|it| Some(*it)).collect();
    call(draw, op, &ids, Rounding::Function)
}

fn linear(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let (x, n) = rows(draw)?;
    let classes = draw.pick(&[2usize, 3]);
    let (coefficients, intercepts) = (numbers(draw, classes * n), numbers(draw, classes));
    let after = draw.pick(&["NONE", "SOFTMAX", "LOGISTIC"]);
    let labels: Vec<i64> = (0..classes as i64).map(|it| 2 * it + 1).collect();
    let draft = of(draw, op, &[x]).of(ML).giving(2).with(floats("coefficients", &coefficients));
    let draft = draft.with(floats("intercepts", &intercepts)).with(text("post_transform", after));
    Some(draft.with(ints("classlabels_ints", &labels)))
}

fn machine(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let (x, n) = rows(draw)?;
    let kernel = draw.pick(&["LINEAR", "POLY", "RBF", "SIGMOID"]);
    let vectors = numbers(draw, 3 * n);
    let draft = of(draw, op, &[x]).of(ML).with(text("kernel_type", kernel));
    let draft =
        draft.with(floats("kernel_params", &[0.25, 0.5, 2.0])).with(floats("support_vectors", &vectors));
    let coefficients = numbers(draw, 3);
    let draft = draft.with(floats("coefficients", &coefficients)).with(floats("rho", &[0.5]));
    Some(match op {
        "SVMRegressor" => draft.with(int("n_supports", 3)),
        _ => draft.giving(2).with(ints("vectors_per_class", &[1, 2])).with(ints("classlabels_ints", &[4, 7])),
    })
}

/// Trees of two decisions each.
fn trees(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let (x, n) = rows(draw)?;
    let count = draw.pick(&[1i64, 3]);
    let classes = draw.pick(&[1i64, 3]);
    // 0: then 1, else 2; 1: then 3, else 4; the others are leaves.
    let each = |values: [i64; 5]| (0..count).flat_map(|_| values).collect::<Vec<i64>>();
    let owners: Vec<i64> = (0..count).flat_map(|it| [it; 5]).collect();
    let features: Vec<i64> = owners.iter().map(|_| draw.random.below(n) as i64).collect();
    let borders = numbers(draw, owners.len());
    let mode = draw.pick(&["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GT", "BRANCH_GTE"]);
    let modes: Vec<&str> = (0..count).flat_map(|_| [mode, mode, "LEAF", "LEAF", "LEAF"]).collect();
    let leaves: Vec<i64> = (0..count).flat_map(|_| [2, 3, 4]).collect();
    let leaf_owners: Vec<i64> = (0..count).flat_map(|it| [it; 3]).collect();
    let targets: Vec<i64> = leaves.iter().map(|_| draw.random.below(classes as usize) as i64).collect();
    let weights = numbers(draw, leaves.len());
    let (kind, id) =
        if op == "TreeEnsembleRegressor" { ("target", "target_ids") } else { ("class", "class_ids") };
    let draft = call(draw, op, &[Some(x)], Rounding::Exact).of(ML);
    let draft =
        draft.with(ints("nodes_treeids", &owners)).with(ints("nodes_nodeids", &each([0, 1, 2, 3, 4])));
    let draft = draft.with(ints("nodes_featureids", &features)).with(floats("nodes_values", &borders));
    let draft = draft.with(ints("nodes_truenodeids", &each([1, 3, 0, 0, 0])));
    let draft =
        draft.with(ints("nodes_falsenodeids", &each([2, 4, 0, 0, 0]))).with(texts("nodes_modes", &modes));
    let draft = draft.with(ints(&format!("{kind}_treeids"), &leaf_owners));
    let draft = draft.with(ints(&format!("{kind}_nodeids"), &leaves)).with(ints(id, &targets));
    let draft = draft.with(floats(&format!("{kind}_weights"), &weights));
    let labels: Vec<i64> = (0..classes.max(2)).collect();
    Some(match op {
        "TreeEnsembleRegressor" => draft.with(int("n_targets", classes)),
        _ => draft.giving(2).with(ints("classlabels_int64s", &labels)),
    })
}

fn image(draw: &mut Draw<'_>) -> Id {
    let dims = [draw.extent(), draw.fixed(3), draw.fixed(5), draw.fixed(6)];
    draw.of(DType::F32, &dims, Fill::Small)
}

fn crop(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = image(draw);
    let border = [(); 4].map(|()| draw.pick(&[0, 1, 2]));
    let draft = call(draw, op, &[Some(x)], Rounding::Exact).with(ints("border", &border));
    Some(if draw.random.coin() { draft.with(ints("scale", &[2, 3])) } else { draft })
}

fn scaler(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = image(draw);
    let bias = numbers(draw, 3);
    Some(of(draw, op, &[x]).with(floats("bias", &bias)).with(float("scale", 0.5)))
}

fn scale(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.floats(0..=4);
    let by = draw.pick(&[0.5f32, -2.0, 0.3]);
    Some(of(draw, op, &[x]).with(float("scale", by)))
}

fn regions(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let images = draw.pick(&[1u64, 2]);
    let dims = [draw.fixed(images), draw.extent(), draw.fixed(5), draw.fixed(6)];
    let x = draw.of(DType::F32, &dims, Fill::Small);
    let other = (images - 1) as f64;
    let corners =
        TensorData::from_f64(DType::F32, &[2, 5], [0.0, 0.0, 1.0, 4.0, 3.0, other, 1.0, 0.0, 3.0, 4.0]);
    let corners = draw.constant(corners);
    let draft = call(draw, op, &[Some(x), Some(corners)], Rounding::Exact);
    Some(draft.with(ints("pooled_shape", &[2, 3])).with(float("spatial_scale", 1.0)))
}

fn unpool(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let dims = [draw.extent(), draw.extent(), draw.fixed(4), draw.fixed(6)];
    let x = draw.of(DType::F32, &dims, Fill::Small);
    let windows = |draft: Draft| draft.with(ints("kernel_shape", &[2, 2])).with(ints("strides", &[2, 2]));
    let pool = windows(call(draw, "MaxPool", &[Some(x)], Rounding::Exact).giving(2));
    let pooled = draw.add(pool)?;
    Some(windows(call(draw, op, &[Some(pooled[0]), Some(pooled[1])], Rounding::Exact)))
}

fn suppression(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let (images, classes, boxes) = (draw.extent(), draw.extent(), draw.extent());
    let four = draw.fixed(4);
    let edges = draw.fresh(DType::F32, &[images.clone(), boxes.clone(), four], Fill::Between(0.0, 4.0));
    let scores = draw.fresh(DType::F32, &[images, classes, boxes], Fill::Between(0.0, 1.0));
    let (most, center) = (draw.pick(&[0i64, 1, 3]), draw.pick(&[0, 1]));
    let most = draw.constant(TensorData::from_slice(DType::I64, &[], &[most]));
    let overlap = draw.constant(TensorData::from_f64(DType::F32, &[], [0.3]));
    let least = draw.constant(TensorData::from_f64(DType::F32, &[], [0.2]));
    let ids = [edges, scores, most, overlap, least].map(Some);
    // Which boxes are taken depends on comparisons of what is computed.
    Some(call(draw, op, &ids, Rounding::Function).with(int("center_point_box", center)))
}

fn scatter(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let dtype = draw.float_type();
    let (batch, width) = (draw.extent(), draw.extent());
    let (room, new) = (draw.pick(&[4u64, 6]), draw.pick(&[1u64, 2]));
    let past = [batch.clone(), draw.fixed(2), draw.fixed(room), width.clone()];
    let past = draw.of(dtype, &past, Fill::Small);
    let update = [batch.clone(), draw.fixed(2), draw.fixed(new), width];
    let update = draw.of(dtype, &update, Fill::Small);
    let starts = draw.fresh(DType::I64, &[batch], Fill::Index(room - new + 1));
    let mode = draw.pick(&["linear", "circular"]);
    Some(call(draw, op, &[past, update, starts].map(Some), Rounding::Exact).with(text("mode", mode)))
}
