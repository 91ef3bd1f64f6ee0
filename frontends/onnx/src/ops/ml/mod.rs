//! Operators of the domain `ai.onnx.ml`: classical models and what prepares their features.
//!
//! A vector is a batch of one row. Where the specification is silent, results are those of ONNX Runtime, which exporters of
//! these models are tested with: which label belongs to a single score, and what becomes of that score.

mod features;
mod linear;
mod maps;
mod rows;
mod scores;
mod svm;
mod trees;

use crate::emit::i64_data;
use crate::node::{Node, NodeCx, bad};
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::{DType, TensorData};

/// The domain.
const DOMAIN: &str = "ai.onnx.ml";

type Single = Result<Value, Diagnostic>;

pub(super) fn register(table: &mut OpTable) {
    rows::register(table);
    features::register(table);
    linear::register(table);
    maps::register(table);
    svm::register(table);
    trees::register(table);
}

/// Operand 0 as rows; a vector is one row.
fn matrix(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    match cx.rank(x)? {
        1 => cx.unsqueeze(x, &[0]),
        2 => Ok(x),
        rank => Err(bad(format!("its operand has {rank} dimensions, but rows and columns are wanted"))),
    }
}

/// A constant of f32.
fn floats(cx: &mut NodeCx<'_, '_>, dims: &[u64], list: &[f32]) -> Result<Value, Diagnostic> {
    if dims.iter().try_fold(1u64, |n, it| n.checked_mul(*it)) != Some(list.len() as u64) {
        return Err(bad(format!("a list of {} numbers was expected to be one of {dims:?}", list.len())));
    }
    Ok(cx.constant(TensorData::from_slice(DType::F32, dims, list)))
}

/// The list of floats, empty where it is not given.
fn list<'m>(node: &Node<'m>, name: &str) -> &'m [f32] {
    node.floats(name).unwrap_or_default()
}

/// The names of classes, as the attributes of a node say them.
enum Labels<'m> {
    Ints(&'m [i64]),
    Texts(Vec<&'m str>),
}

impl<'m> Labels<'m> {
    /// `ints` is the name of the attribute of those that are integers; texts go first.
    fn of(node: &Node<'m>, ints: &str) -> Result<Labels<'m>, Diagnostic> {
        let texts = node.utf8("classlabels_strings")?.unwrap_or_default();
        if !texts.is_empty() {
            return Ok(Labels::Texts(texts));
        }
        match node.ints(ints) {
            Some(list) if !list.is_empty() => Ok(Labels::Ints(list)),
            _ => Err(bad(format!("neither `classlabels_strings` nor `{ints}` has a label"))),
        }
    }

    fn len(&self) -> usize {
        match self {
            Labels::Ints(list) => list.len(),
            Labels::Texts(list) => list.len(),
        }
    }

    /// All labels, a vector.
    fn table(&self) -> Result<TensorData, Diagnostic> {
        match self {
            Labels::Ints(list) => Ok(i64_data(vec![list.len() as u64], list)),
            Labels::Texts(list) => TensorData::strings(&[list.len() as u64], list)
                .map_err(|it| bad(format!("`classlabels_strings`: {it}"))),
        }
    }

    /// The places of different labels in rising order, of equal ones the last.
    fn rising(&self) -> Vec<usize> {
        let compare = |a: &usize, b: &usize| match self {
            Labels::Ints(list) => list[*a].cmp(&list[*b]),
            Labels::Texts(list) => list[*a].cmp(list[*b]),
        };
        let mut order: Vec<usize> = (0..self.len()).rev().collect();
        order.sort_by(compare);
        order.dedup_by(|next, kept| compare(next, kept).is_eq());
        order
    }

    /// The labels of a vector of classes.
    fn select(&self, cx: &mut NodeCx<'_, '_>, classes: Value) -> Single {
        let table = cx.constant(self.table()?);
        cx.emit("gather", crate::emit::attrs([("axis", 0.into())]), &[table, classes])
    }

    /// The labels where something is true and where it is not, for one score; without two labels, 1 and 0.
    fn of_score(&self, cx: &mut NodeCx<'_, '_>, positive: Value) -> Single {
        let class = cx.as_i64(positive)?;
        match self {
            _ if self.len() == 2 => self.select(cx, class),
            Labels::Ints(_) => Ok(class),
            Labels::Texts(_) => Labels::Texts(vec!["0", "1"]).select(cx, class),
        }
    }
}
