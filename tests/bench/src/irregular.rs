//! Kernels whose places are not linear, or which depend on positions.

use anyhow::Result;
use orogen::ir::flow::ValueId;
use orogen::ir::scalar::FloatKeys;
use orogen::ir::types::{DType, TensorData};

use crate::model::{Build, plane};

pub(crate) fn reflecting_pad(b: &mut Build<'_>, t: DType) -> Result<(ValueId, i64)> {
    let [rows, columns] = plane(b);
    let x = b.input(t, &[rows, columns])?;
    let pads = b.integers(&[1, 1, 1, 1]);
    Ok((b.op("pad", &[("mode", "reflect".into())], &[x, pads])?, (rows + 2) * (columns + 2)))
}

pub(crate) fn tile(b: &mut Build<'_>, t: DType) -> Result<(ValueId, i64)> {
    let [rows, columns] = plane(b);
    let x = b.input(t, &[rows, columns / 4])?;
    let repeats = b.integers(&[1, 4]);
    Ok((b.op("tile", &[], &[x, repeats])?, rows * (columns / 4) * 4))
}

/// The lower triangle.
pub(crate) fn triangle(b: &mut Build<'_>, t: DType) -> Result<(ValueId, i64)> {
    let dims = plane(b);
    let x = b.input(t, &dims)?;
    Ok((b.op("trilu", &[("upper", false.into())], &[x])?, dims[0] * dims[1]))
}

pub(crate) fn one_hot(b: &mut Build<'_>, t: DType) -> Result<(ValueId, i64)> {
    let [rows, columns] = plane(b);
    let at = b.positions(rows, columns)?;
    let (depth, values) = (b.integers(&[columns]), b.constant(t, &[2]));
    Ok((b.op("one_hot", &[("axis", 1.into())], &[at, depth, values])?, rows * columns))
}

/// Elements by both of their indices.
pub(crate) fn gather_points(b: &mut Build<'_>, t: DType) -> Result<(ValueId, i64)> {
    let [rows, columns] = plane(b);
    let x = b.input(t, &[rows, columns])?;
    let count = rows * columns / 2;
    let mut at = [b.positions(count, rows)?, b.positions(count, columns)?];
    for it in &mut at {
        *it = b.op("unsqueeze", &[("axes", vec![1].into())], &[*it])?;
    }
    let at = b.op("concat", &[("axis", 1.into())], &at)?;
    Ok((b.op("gather_nd", &[], &[x, at])?, count))
}

pub(crate) fn average_pool(b: &mut Build<'_>, t: DType) -> Result<(ValueId, i64)> {
    let dims = [1, b.size(32), b.size(64), b.size(64)];
    let x = b.input(t, &dims)?;
    let attrs = [("kernel", vec![3, 3].into()), ("pads", vec![1; 4].into())];
    Ok((b.op("avg_pool", &attrs, &[x])?, dims.iter().product()))
}

/// Windows beside each other.
pub(crate) fn average_pool_apart(b: &mut Build<'_>, t: DType) -> Result<(ValueId, i64)> {
    let extent = 8 * b.size(16);
    let dims = [1, b.size(16), extent, extent];
    let x = b.input(t, &dims)?;
    let attrs = [("kernel", vec![8, 8].into()), ("strides", vec![8, 8].into())];
    Ok((b.op("avg_pool", &attrs, &[x])?, dims.iter().product()))
}

/// One and a half times the extents.
pub(crate) fn resize(b: &mut Build<'_>, t: DType, mode: &str) -> Result<(ValueId, i64)> {
    let (channels, extent) = (b.size(32), b.size(64));
    let x = b.input(t, &[1, channels, extent, extent])?;
    let larger = extent * 3 / 2;
    let sizes = b.integers(&[1, channels, larger, larger]);
    Ok((b.op("resize", &[("mode", mode.into())], &[x, sizes])?, channels * larger * larger))
}

/// Steps of a hundred trees of six levels, of rows of thirty features.
pub(crate) fn trees(b: &mut Build<'_>, t: DType) -> Result<(ValueId, i64)> {
    const LEVELS: u32 = 6;
    const BITS: u32 = 5;
    let (rows, count) = (b.size(512), b.size(100));
    let x = b.input(t, &[rows, 30])?;
    let (inner, all) = ((1i64 << LEVELS) - 1, (2i64 << LEVELS) - 1);
    let (keys, node) = match t {
        DType::F64 => (FloatKeys::Double, DType::I64),
        _ => (FloatKeys::Single, DType::I32),
    };
    let words = (0..count * all).flat_map(|at| {
        let (tree, place) = (at / all, at % all);
        let word = |key: i64, next: i64, feature: i64| [key, (tree * all + next) << BITS | feature];
        match place < inner {
            true => word(keys.of(0.5 + (at * 7919 % 1021) as f64 / 1024.0), 2 * place + 1, at * 13 % 30),
            false => word(at % 64, place, 31),
        }
    });
    let bytes: Vec<u8> = match t {
        DType::F64 => words.flat_map(i64::to_le_bytes).collect(),
        _ => words.flat_map(|it| (it as i32).to_le_bytes()).collect(),
    };
    let nodes = b.known(TensorData::new(node, vec![(count * all) as u64, 2], bytes.into())?);
    let levels = f64::from(LEVELS);
    let table = (0..count).flat_map(|tree| [(tree * all) as f64, levels, levels]);
    let table = b.known(TensorData::from_f64(DType::I32, &[count as u64, 3], table));
    let weights = b.constant(DType::F32, &[64, 1]);
    let attrs = [("feature_bits", i64::from(BITS).into())];
    Ok((b.op("tree_ensemble", &attrs, &[x, nodes, table, weights])?, rows * count * i64::from(LEVELS)))
}
