//! Linear models.

use super::scores::Transform;
use super::{DOMAIN, Labels, Single, floats, list, matrix};
use crate::emit::attrs;
use crate::node::{NodeCx, bad};
use crate::ops::single;
use crate::sink::Value;
use crate::table::{Converted, OpTable};
use orogen_ir::types::DType;

pub(super) fn register(table: &mut OpTable) {
    table.register(DOMAIN, "LinearRegressor", .., single(regressor));
    table.register(DOMAIN, "LinearClassifier", .., classifier);
}

/// A score for each row and each of `count` rows of coefficients.
fn scores(cx: &mut NodeCx<'_, '_>, count: usize) -> Single {
    let coefficients = list(cx, "coefficients");
    let columns = coefficients.len().checked_div(count).unwrap_or(0);
    if columns * count != coefficients.len() || count == 0 {
        let message = format!("`coefficients` has {} numbers, which are no {count} rows", coefficients.len());
        return Err(bad(message));
    }
    let x = matrix(cx)?;
    let x = cx.cast(x, DType::F32)?;
    // Columns, as a product takes them.
    let turned: Vec<f32> =
        (0..columns).flat_map(|i| (0..count).map(move |k| coefficients[k * columns + i])).collect();
    let turned = floats(cx, &[columns as u64, count as u64], &turned)?;
    let product = cx.binary("matmul", x, turned)?;
    let intercepts = list(cx, "intercepts");
    if intercepts.is_empty() {
        return Ok(product);
    }
    let intercepts = floats(cx, &[count as u64], intercepts)?;
    cx.binary("add", product, intercepts)
}

fn regressor(cx: &mut NodeCx<'_, '_>) -> Single {
    let transform = Transform::of(cx)?;
    let targets = usize::try_from(cx.int("targets").unwrap_or(1)).unwrap_or(0);
    let scores = scores(cx, targets)?;
    if targets == 1 { transform.of_column(cx, scores) } else { transform.of_rows(cx, scores) }
}

fn classifier(cx: &mut NodeCx<'_, '_>) -> Converted {
    let transform = Transform::of(cx)?;
    let labels = Labels::of(cx, "classlabels_ints")?;
    // A row of coefficients for each class; of two, one may do.
    let count = match list(cx, "intercepts").len() {
        0 => labels.len(),
        given => given,
    };
    let scores = scores(cx, count)?;
    if count == 1 {
        let score = cx.squeeze(scores, &[1])?;
        let positive = cx.with_number("greater", score, 0.0)?;
        let label = labels.of_score(cx, positive)?;
        let scores = match labels.len() {
            2 => transform.of_pair(cx, scores, true)?,
            _ => transform.of_column(cx, scores)?,
        };
        return Ok(vec![label, scores]);
    }
    if count > labels.len() {
        return Err(bad(format!("it has {count} rows of coefficients for {} labels", labels.len())));
    }
    let class = best(cx, scores)?;
    let label = labels.select(cx, class)?;
    Ok(vec![label, transform.of_rows(cx, scores)?])
}

/// The place of the largest score of each row.
pub(super) fn best(cx: &mut NodeCx<'_, '_>, scores: Value) -> Single {
    cx.emit("arg_max", attrs([("axis", 1.into()), ("keepdims", false.into())]), &[scores])
}
