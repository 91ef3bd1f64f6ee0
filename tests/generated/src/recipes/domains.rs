//! Operators of other domains, and random numbers.

use super::Table;
use crate::attributes::{float, floats, int, ints, text};
use crate::draw::{Draft, Draw, Fill, Id};
use crate::value::{Rounding, is_fixed};
use orogen_ir::types::DType;

/// Of the standard domain.
pub(super) const RECIPES: Table = &[
    ("RandomUniform", random),
    ("RandomNormal", random),
    ("RandomUniformLike", random_like),
    ("RandomNormalLike", random_like),
    ("Bernoulli", random_like),
    ("Multinomial", multinomial),
];

/// Of `com.microsoft`.
pub(super) const MICROSOFT: Table = &[
    ("Gelu", activation),
    ("FastGelu", activation),
    ("QuickGelu", activation),
    ("BiasGelu", biased),
    ("Inverse", inverse),
    ("FusedMatMul", product),
    ("TransposeMatMul", product),
    ("FusedMatMulActivation", product),
    ("FusedGemm", gemm),
    ("GemmFastGelu", gemm),
    ("SkipLayerNormalization", skip),
    ("SkipSimplifiedLayerNormalization", skip),
    ("Trilu", triangle),
    ("Unique", unique),
];

/// Of `ai.onnx.ml`.
pub(super) const CLASSICAL: Table = &[
    ("Scaler", rows),
    ("Imputer", rows),
    ("Normalizer", rows),
    ("LinearRegressor", rows),
    ("OneHotEncoder", one_hot),
    ("FeatureVectorizer", features),
];

const MS: &str = "com.microsoft";
const ML: &str = "ai.onnx.ml";

fn draft(draw: &Draw<'_>, op: &str, ids: &[Id], rounding: Rounding) -> Draft {
    let names: Vec<&str> = ids.iter().map(|it| draw.name(*it)).collect();
    Draft::new(op, &names, rounding)
}

/// With a seed the numbers are the same in every program.
fn seeded(draw: &mut Draw<'_>, draft: Draft) -> Draft {
    let seed = draw.random.below(100) as f32;
    draft.with(float("seed", seed))
}

fn random(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let shape: Vec<i64> = (0..1 + draw.random.below(3)).map(|_| draw.pick(&[1, 2, 3, 5])).collect();
    let draft = Draft::new(op, &[], Rounding::Function).with(ints("shape", &shape));
    Some(seeded(draw, draft))
}

fn random_like(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.floats(0..=4);
    let (dtype, dims) = (draw.dtype_of(x), draw.dims_of(x));
    let x = if op == "Bernoulli" { draw.fresh(dtype, &dims, Fill::Between(0.0, 1.0)) } else { x };
    let draft = draft(draw, op, &[x], Rounding::Function);
    Some(seeded(draw, draft))
}

fn multinomial(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.floats(2..=2);
    let draft = draft(draw, op, &[x], Rounding::Function).with(int("sample_size", 4));
    Some(seeded(draw, draft))
}

fn activation(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.floats(1..=4);
    Some(draft(draw, op, &[x], Rounding::Function).of(MS))
}

fn biased(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.floats(1..=4);
    let (dtype, dims) = (draw.dtype_of(x), draw.dims_of(x));
    let bias = draw.of(dtype, &dims[dims.len() - 1..], Fill::Small);
    Some(draft(draw, op, &[x, bias], Rounding::Function).of(MS))
}

fn inverse(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let n = draw.pick(&[1, 2, 3]);
    let dims = [draw.extent(), draw.fixed(n), draw.fixed(n)];
    let dtype = draw.float_type();
    let x = draw.fresh(dtype, &dims, Fill::Between(-2.0, 2.0));
    Some(draft(draw, op, &[x], Rounding::Function).of(MS))
}

fn product(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let a = draw.floats(2..=3);
    let (dtype, dims) = (draw.dtype_of(a), draw.dims_of(a));
    let (left, right) = (draw.random.coin(), draw.random.coin());
    let inner = dims[dims.len() - if left { 2 } else { 1 }].clone();
    let other = draw.extent();
    let shape = if right { [other, inner] } else { [inner, other] };
    let b = draw.of(dtype, &shape, Fill::Small);
    let draft = draft(draw, op, &[a, b], Rounding::Function).of(MS);
    let draft = draft.with(int("transA", i64::from(left))).with(int("transB", i64::from(right)));
    let alpha = draw.pick(&[1.0f32, 0.5]);
    let activation = draw.pick(&["Relu", "Tanh", "Sigmoid"]);
    let draft = draft.with(float("alpha", alpha));
    Some(if op == "FusedMatMulActivation" { draft.with(text("activation", activation)) } else { draft })
}

fn gemm(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let a = draw.floats(2..=2);
    let (dtype, dims) = (draw.dtype_of(a), draw.dims_of(a));
    let n = draw.extent();
    let b = draw.of(dtype, &[dims[1].clone(), n.clone()], Fill::Small);
    let c = draw.of(dtype, &[n], Fill::Small);
    let draft = draft(draw, op, &[a, b, c], Rounding::Function).of(MS);
    let activation = draw.pick(&["Relu", "Tanh", "Sigmoid"]);
    Some(if op == "FusedGemm" { draft.with(text("activation", activation)) } else { draft })
}

fn skip(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.floats(2..=3);
    let (dtype, dims) = (draw.dtype_of(x), draw.dims_of(x));
    let other = draw.of(dtype, &dims, Fill::Small);
    let row = &dims[dims.len() - 1..];
    let mut ids = vec![x, other, draw.of(dtype, row, Fill::Small)];
    if op == "SkipLayerNormalization" {
        ids.push(draw.of(dtype, row, Fill::Small));
    }
    Some(draft(draw, op, &ids, Rounding::Function).of(MS).with(float("epsilon", 0.01)))
}

fn triangle(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.numbers(2..=4);
    let upper = draw.pick(&[0, 1]);
    Some(draft(draw, op, &[x], Rounding::Exact).of(MS).with(int("upper", upper)))
}

fn unique(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = draw.numbers(1..=1);
    Some(draft(draw, op, &[x], Rounding::Exact).of(MS).giving(3))
}

fn rows(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let x = match draw.found(|it, dtype| dtype == DType::F32 && it.rank() == 2) {
        Some(found) => found,
        None => draw.new_tensor(DType::F32, 2..=2),
    };
    let width = draw.dims_of(x)[1].clone();
    if !is_fixed(&width) {
        return None;
    }
    let n = width[0] as usize;
    let mut list =
        |low: i64| (0..n).map(|_| (low + draw.random.below(9) as i64) as f32 / 4.0).collect::<Vec<_>>();
    let (first, second) = (list(-4), list(1));
    let draft = draft(draw, op, &[x], Rounding::Function).of(ML);
    let norm = draw.pick(&["MAX", "L1", "L2"]);
    Some(match op {
        "Scaler" => draft.with(floats("offset", &first)).with(floats("scale", &second)),
        "Imputer" => {
            draft.with(floats("imputed_value_floats", &first)).with(float("replaced_value_float", 1.0))
        }
        "Normalizer" => draft.with(text("norm", norm)),
        _ => draft
            .with(floats("coefficients", &first))
            .with(floats("intercepts", &[0.5]))
            .with(int("targets", 1)),
    })
}

fn one_hot(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let rank = draw.pick(&[1, 2]);
    let dims = draw.dims(rank);
    let x = draw.fresh(DType::I64, &dims, Fill::Index(4));
    Some(
        draft(draw, op, &[x], Rounding::Exact)
            .of(ML)
            .with(ints("cats_int64s", &[0, 2, 3]))
            .with(int("zeros", 1)),
    )
}

fn features(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let (n, widths) = (draw.extent(), [draw.pick(&[1u64, 2]), draw.pick(&[1u64, 3])]);
    let of = |draw: &mut Draw<'_>, width: u64| {
        let dims = [n.clone(), draw.fixed(width)];
        draw.of(DType::F32, &dims, Fill::Small)
    };
    let ids = widths.map(|it| of(draw, it));
    let sizes = widths.map(|it| it.cast_signed());
    Some(draft(draw, op, &ids, Rounding::Exact).of(ML).with(ints("inputdimensions", &sizes)))
}
