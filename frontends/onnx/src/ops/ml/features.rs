//! Columns that are chosen, joined, and made of categories.

use super::{DOMAIN, Single};
use crate::emit::{Size, attrs, i64_data};
use crate::node::{NodeCx, bad};
use crate::ops::single;
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::types::{DType, TensorData};

pub(super) fn register(table: &mut OpTable) {
    table.register(DOMAIN, "ArrayFeatureExtractor", .., single(extractor));
    table.register(DOMAIN, "FeatureVectorizer", .., single(vectorizer));
    table.register(DOMAIN, "OneHotEncoder", .., single(one_hot));
}

/// Elements along the last axis; of a vector they are a row.
fn extractor(cx: &mut NodeCx<'_, '_>) -> Single {
    let (x, places) = (cx.input(0)?, cx.input(1)?);
    let places = cx.reshape_to(places, &[Size::Const(-1)])?;
    let rank = cx.rank(x)?;
    if rank == 0 {
        return Err(bad("its operand has no dimension"));
    }
    let x = if rank == 1 { cx.unsqueeze(x, &[0])? } else { x };
    let axis = rank.max(2) as i64 - 1;
    cx.emit("gather", attrs([("axis", axis.into())]), &[x, places])
}

/// Columns of all operands side by side, of each as many as `inputdimensions` says: what is missing is 0.
fn vectorizer(cx: &mut NodeCx<'_, '_>) -> Single {
    let wanted = cx.ints("inputdimensions").unwrap_or_default();
    let operands = cx.all_inputs()?;
    if wanted.len() != operands.len() || wanted.iter().any(|it| *it < 0) {
        return Err(bad("`inputdimensions` must have a size for each operand"));
    }
    let mut parts = Vec::new();
    for (x, wanted) in operands.into_iter().zip(wanted) {
        let x = match cx.rank(x)? {
            1 => cx.unsqueeze(x, &[0])?,
            _ => {
                let rows = Size::Of(x, 0);
                cx.reshape_to(x, &[rows, Size::Const(-1)])?
            }
        };
        let x = cx.cast(x, DType::F32)?;
        let columns = match cx.static_dim(x, 1) {
            Some(columns) => columns,
            // What the node says is what there is; another size is found when it runs.
            None => *wanted,
        };
        parts.push(match columns - wanted {
            0 => x,
            1.. => cx.slice(x, 1, 0, *wanted)?,
            missing => {
                let pads = cx.int_vector(&[0, 0, 0, -missing]);
                cx.emit("pad", attrs([]), &[x, pads])?
            }
        });
    }
    cx.concat(&parts, 1)
}

/// A new last axis with 1 at the place of the category; where it is none of them, all are 0, whatever `zeros` says.
fn one_hot(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let (x, table) = if cx.dtype(x)? == DType::Str {
        let texts = cx.utf8("cats_strings")?.unwrap_or_default();
        let table = TensorData::strings(&[texts.len() as u64], &texts)
            .map_err(|it| bad(format!("`cats_strings`: {it}")))?;
        (x, table)
    } else {
        let list = cx.ints("cats_int64s").unwrap_or_default();
        (cx.as_i64(x)?, i64_data(vec![list.len() as u64], list))
    };
    if table.is_empty() {
        return Err(bad("there are no categories of the type of its operand"));
    }
    let rank = cx.rank(x)? as i64;
    let table: Value = cx.constant(table);
    let x = cx.unsqueeze(x, &[rank])?;
    let hit = cx.binary("equal", x, table)?;
    cx.cast(hit, DType::F32)
}
