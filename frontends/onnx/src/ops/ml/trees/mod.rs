//! Ensembles of decision trees.

mod attributes;
mod forest;

use super::linear::best;
use super::scores::Transform;
use super::{DOMAIN, Labels, Single, matrix};
use crate::emit::{Size, attrs};
use crate::node::{Node, NodeCx, bad, not_supported};
use crate::ops::single;
use crate::sink::Value;
use crate::table::{Converted, OpTable};
use attributes::{Parts, base_values, by_place, by_tree};
use forest::{Forest, Tree, lay_out};
use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::Diagnostic;
use orogen_ir::scalar::FloatKeys;
use orogen_ir::types::{DType, TensorData};

/// Most weights of all leaves together.
const MOST_WEIGHTS: usize = 1 << 28;

pub(super) fn register(table: &mut OpTable) {
    table.register(DOMAIN, "TreeEnsembleRegressor", .., single(regressor));
    table.register(DOMAIN, "TreeEnsembleClassifier", .., classifier);
    table.register(DOMAIN, "TreeEnsemble", 5.., single(ensemble));
}

/// How what the trees say is put together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Average,
    Min,
    Max,
}

impl Aggregate {
    fn named(node: &Node<'_>) -> Result<Aggregate, Diagnostic> {
        Ok(match node.text("aggregate_function").unwrap_or("SUM") {
            "SUM" => Aggregate::Sum,
            "AVERAGE" => Aggregate::Average,
            "MIN" => Aggregate::Min,
            "MAX" => Aggregate::Max,
            other => return Err(bad(format!("`aggregate_function` is no `{other}`"))),
        })
    }
}

/// Trees over the columns of an operand.
struct Ensemble {
    trees: Vec<Tree>,
    leaves: Vec<Vec<(usize, f64)>>,
    x: Value,
    columns: usize,
    keys: FloatKeys,
    targets: usize,
    /// The type of weights and sums.
    dtype: DType,
}

impl Ensemble {
    fn of(cx: &mut NodeCx<'_, '_>, mut parts: Parts, targets: usize) -> Result<Ensemble, Diagnostic> {
        let x = matrix(cx)?;
        let columns = cx.static_dim(x, 1).and_then(|it| usize::try_from(it).ok());
        let columns = columns.ok_or_else(|| not_supported("the number of columns must be known"))?;
        let dtype = cx.dtype(x)?;
        let wide = dtype == DType::F64 || parts.wide;
        let (keys, to) = if wide { (FloatKeys::Double, DType::F64) } else { (FloatKeys::Single, DType::F32) };
        let x = cx.cast(x, to)?;
        if let Some((target, _)) = parts.leaves.iter().flatten().find(|it| it.0 >= targets) {
            return Err(bad(format!("a leaf has a weight for target {target} of {targets}")));
        }
        // Of several weights of a leaf for the only target the first counts, as in ONNX Runtime: exporters of decision
        // paths repeat it for each class.
        if targets == 1 {
            parts.leaves.iter_mut().for_each(|it| it.truncate(1));
        }
        let mut forest = Forest::new(&parts.branches, columns, keys)?;
        let trees: Vec<Tree> = parts.roots.iter().map(|it| forest.tree(*it)).collect::<Result<_, _>>()?;
        if trees.is_empty() {
            return Err(bad("there are no trees"));
        }
        forest.all_are_reached()?;
        Ok(Ensemble { trees, leaves: parts.leaves, x, columns, keys, targets, dtype: to })
    }

    /// The targets that any leaf has a weight for.
    fn used(&self) -> IndexSet<usize> {
        self.trees.iter().flat_map(Tree::leaves).flat_map(|it| &self.leaves[it]).map(|it| it.0).collect()
    }

    /// The target that all leaves of a tree have a weight for, and no other.
    fn only_target(&self, tree: &Tree) -> Option<usize> {
        let mut found = None;
        for leaf in tree.leaves() {
            match (found, &self.leaves[leaf][..]) {
                (None, [(target, _)]) => found = Some(*target),
                (Some(known), [(target, _)]) if known == *target => {}
                _ => return None,
            }
        }
        found
    }

    /// What all trees say together of each row and target.
    fn emit(&self, cx: &mut NodeCx<'_, '_>, aggregate: Aggregate) -> Single {
        let groups: Option<Vec<usize>> = self.trees.iter().map(|it| self.only_target(it)).collect();
        let sum = match groups {
            Some(groups) => {
                // Trees of one target are an ensemble of their own, whose leaves have one weight.
                let mut columns = Vec::new();
                for target in 0..self.targets {
                    let own = groups.iter().zip(&self.trees).filter(|it| *it.0 == target);
                    let own: Vec<&Tree> = own.map(|it| it.1).collect();
                    columns.push(match own.is_empty() {
                        true => self.nothing(cx)?,
                        false => self.emit_trees(cx, &own, target..target + 1, aggregate)?,
                    });
                }
                cx.concat(&columns, 1)?
            }
            None => {
                let all: Vec<&Tree> = self.trees.iter().collect();
                self.emit_trees(cx, &all, 0..self.targets, aggregate)?
            }
        };
        match aggregate {
            Aggregate::Average => cx.with_number("div", sum, self.trees.len() as f64),
            _ => Ok(sum),
        }
    }

    /// A column of zeros.
    fn nothing(&self, cx: &mut NodeCx<'_, '_>) -> Single {
        let shape = cx.shape_vector(&[Size::Of(self.x, 0), Size::Const(1)])?;
        let zero = cx.number(self.dtype, 0.0);
        cx.full(shape, zero)
    }

    fn emit_trees(
        &self,
        cx: &mut NodeCx<'_, '_>,
        trees: &[&Tree],
        targets: std::ops::Range<usize>,
        aggregate: Aggregate,
    ) -> Single {
        let (name, absent) = match aggregate {
            Aggregate::Sum | Aggregate::Average => ("sum", 0.0),
            Aggregate::Min => ("min", f64::INFINITY),
            Aggregate::Max => ("max", f64::NEG_INFINITY),
        };
        let width = targets.len();
        // Leaves of the same weights share a row.
        let mut rows: IndexMap<Vec<u64>, ()> = IndexMap::new();
        let mut row_of_leaf: Vec<Option<usize>> = vec![None; self.leaves.len()];
        let mut partial = false;
        let mut row_of = |leaf: usize| {
            *row_of_leaf[leaf].get_or_insert_with(|| {
                let mut row: Vec<Option<f64>> = vec![None; width];
                for (target, weight) in &self.leaves[leaf] {
                    let place = &mut row[target - targets.start];
                    *place = Some(match (*place, aggregate) {
                        (None, _) => *weight,
                        (Some(before), Aggregate::Min) => before.min(*weight),
                        (Some(before), Aggregate::Max) => before.max(*weight),
                        (Some(before), _) => before + weight,
                    });
                }
                partial |= row.iter().any(Option::is_none);
                let bits = row.into_iter().map(|it| it.unwrap_or(absent).to_bits()).collect();
                rows.insert_full(bits, ()).0
            })
        };
        let laid = lay_out(trees, self.columns, self.keys, &mut row_of);
        // Where words are too narrow, wider ones hold the same.
        let (x, laid) = match laid {
            Some(laid) => (self.x, laid),
            None => {
                return Err(not_supported("its trees have more nodes than there are places in 32 bits"));
            }
        };
        if rows.len().saturating_mul(width) > MOST_WEIGHTS {
            return Err(not_supported(format!("its leaves have more than {MOST_WEIGHTS} weights")));
        }
        let dims = [rows.len() as u64, width as u64];
        let weights = rows.keys().flatten().map(|it| f64::from_bits(*it));
        let weights = TensorData::from_f64(self.dtype, &dims, weights);
        let args = [x, cx.constant(laid.nodes), cx.constant(laid.trees), cx.constant(weights)];
        let attrs = attrs([
            ("feature_bits", laid.feature_bits.into()),
            ("aggregate", name.into()),
            ("missing", laid.missing.into()),
        ]);
        let found = cx.emit("tree_ensemble", attrs, &args)?;
        if !partial || absent == 0.0 {
            return Ok(found);
        }
        // A target that no leaf had a weight for is 0.
        let none = cx.with_number("equal", found, absent)?;
        let zero = cx.number_like(found, 0.0)?;
        cx.select(none, zero, found)
    }

    /// Adds a number for each target, or none.
    fn add_base(&self, cx: &mut NodeCx<'_, '_>, scores: Value, base: &[f64]) -> Single {
        if base.iter().all(|it| *it == 0.0) {
            return Ok(scores);
        }
        let base = TensorData::from_f64(self.dtype, &[base.len() as u64], base.iter().copied());
        let base = cx.constant(base);
        cx.binary("add", scores, base)
    }
}

fn count(cx: &NodeCx<'_, '_>, default: i64) -> Result<usize, Diagnostic> {
    let given = cx.int("n_targets").unwrap_or(default);
    let count = usize::try_from(given).ok().filter(|it| (1..1 << 20).contains(it));
    count.ok_or_else(|| bad(format!("`n_targets` is {given}")))
}

fn transformed(cx: &mut NodeCx<'_, '_>, transform: Transform, scores: Value, targets: usize) -> Single {
    if targets == 1 { transform.of_column(cx, scores) } else { transform.of_rows(cx, scores) }
}

fn regressor(cx: &mut NodeCx<'_, '_>) -> Single {
    let transform = Transform::of(cx)?;
    let aggregate = Aggregate::named(cx)?;
    let targets = count(cx, 1)?;
    let base = base_values(cx)?;
    if !base.is_empty() && base.len() != targets {
        return Err(bad(format!("`base_values` has {} numbers for {targets} targets", base.len())));
    }
    let parts = by_tree(cx, "target")?;
    let ensemble = Ensemble::of(cx, parts, targets)?;
    let scores = ensemble.emit(cx, aggregate)?;
    let scores = ensemble.add_base(cx, scores, &base)?;
    let scores = transformed(cx, transform, scores, targets)?;
    cx.cast(scores, DType::F32)
}

fn ensemble(cx: &mut NodeCx<'_, '_>) -> Single {
    let transform = Transform::numbered(cx)?;
    let aggregate = match cx.int("aggregate_function").unwrap_or(1) {
        0 => Aggregate::Average,
        1 => Aggregate::Sum,
        2 => Aggregate::Min,
        3 => Aggregate::Max,
        other => return Err(bad(format!("`aggregate_function` is {other}"))),
    };
    let targets = count(cx, 1)?;
    let dtype = cx.dtype(cx.input(0)?)?;
    let parts = by_place(cx)?;
    let ensemble = Ensemble::of(cx, parts, targets)?;
    let scores = ensemble.emit(cx, aggregate)?;
    let scores = transformed(cx, transform, scores, targets)?;
    cx.cast(scores, dtype)
}

fn classifier(cx: &mut NodeCx<'_, '_>) -> Converted {
    let transform = Transform::of(cx)?;
    let labels = Labels::of(cx, "classlabels_int64s")?;
    let base = base_values(cx)?;
    let parts = by_tree(cx, "class")?;
    let classes = labels.len();
    if base.len() > classes {
        return Err(bad(format!("`base_values` has {} numbers for {classes} labels", base.len())));
    }
    let is_share = parts.leaves.iter().flatten().all(|it| it.1 >= 0.0);
    let ensemble = Ensemble::of(cx, parts, classes)?;
    let used = ensemble.used();
    let mut scores = ensemble.emit(cx, Aggregate::Sum)?;
    // A single score says one of two: as a share of all trees, or as a distance.
    let bound = if is_share && classes == 2 { 0.5 } else { 0.0 };
    // One score for two classes is that of the second.
    let single = classes <= 2 && used.iter().all(|it| *it == 0) && base.len() < 2;
    if single && classes == 2 {
        scores = cx.slice(scores, 1, 0, 1)?;
    }
    let mut base = base;
    if !single {
        base.resize(classes, 0.0);
    }
    let scores = if base.is_empty() { scores } else { ensemble.add_base(cx, scores, &base)? };
    if !single {
        let label = if classes == 2 && used.iter().all(|it| *it == 1) {
            let score = cx.slice(scores, 1, 1, 2)?;
            let score = cx.squeeze(score, &[1])?;
            let positive = cx.with_number("greater", score, bound)?;
            labels.of_score(cx, positive)?
        } else {
            let class = best(cx, scores)?;
            labels.select(cx, class)?
        };
        let scores = transform.of_rows(cx, scores)?;
        return Ok(vec![label, cx.cast(scores, DType::F32)?]);
    }
    let score = cx.squeeze(scores, &[1])?;
    let positive = cx.with_number("greater", score, bound)?;
    let label = labels.of_score(cx, positive)?;
    let scores = match classes {
        2 => transform.of_pair(cx, scores, is_share)?,
        _ => transform.of_column(cx, scores)?,
    };
    Ok(vec![label, cx.cast(scores, DType::F32)?])
}
