//! Attributes of the tree operators: nodes by tree and number up to version 4, by place from version 5 on.

use super::forest::{Branch, Target, Test};
use crate::node::{NodeCx, bad};
use indexmap::IndexMap;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::DType;

/// What the attributes say.
pub(super) struct Parts {
    pub(super) branches: Vec<Option<Branch>>,
    pub(super) roots: Vec<Target>,
    /// Targets and weights of each leaf.
    pub(super) leaves: Vec<Vec<(usize, f64)>>,
    /// Whether thresholds or weights are no f32.
    pub(super) wide: bool,
}

/// Numbers of a list, or of a tensor that takes its place, and whether they are f64.
fn numbers(cx: &NodeCx<'_, '_>, name: &str) -> Result<(Vec<f64>, bool), Diagnostic> {
    let tensor = format!("{name}_as_tensor");
    match cx.tensor(&tensor)?.or(cx.tensor(name)?) {
        Some(data) if data.dtype().is_float() => Ok((data.to_f64(), data.dtype() == DType::F64)),
        Some(data) => Err(bad(format!("attribute `{name}` holds {}, which are no floats", data.dtype()))),
        None => Ok((cx.floats(name).unwrap_or_default().iter().map(|it| f64::from(*it)).collect(), false)),
    }
}

/// The numbers of an attribute that says nothing where it is left out.
pub(super) fn base_values(cx: &NodeCx<'_, '_>) -> Result<Vec<f64>, Diagnostic> {
    Ok(numbers(cx, "base_values")?.0)
}

fn ints<'m>(cx: &NodeCx<'_, 'm>, name: &str, count: usize) -> Result<&'m [i64], Diagnostic> {
    let list = cx.ints(name).unwrap_or_default();
    if list.len() == count { Ok(list) } else { Err(wrong_count(name, list.len(), count)) }
}

fn wrong_count(name: &str, found: usize, wanted: usize) -> Diagnostic {
    bad(format!("attribute `{name}` has {found} entries, not {wanted}"))
}

fn index(number: i64, what: &str) -> Result<usize, Diagnostic> {
    usize::try_from(number).map_err(|_| bad(format!("{number} is no {what}")))
}

/// Whether NaN passes, of each node; nothing said is no.
fn tracks(cx: &NodeCx<'_, '_>, count: usize) -> Result<Vec<bool>, Diagnostic> {
    let name = "nodes_missing_value_tracks_true";
    match cx.ints(name) {
        None | Some([]) => Ok(vec![false; count]),
        Some(_) => Ok(ints(cx, name, count)?.iter().map(|it| *it != 0).collect()),
    }
}

/// The comparisons with a threshold, in the order of their numbers from version 5 on.
const COMPARISONS: [(&str, fn(f64) -> Test); 6] = [
    ("BRANCH_LEQ", Test::LessOrEqual),
    ("BRANCH_LT", Test::Less),
    ("BRANCH_GTE", Test::GreaterOrEqual),
    ("BRANCH_GT", Test::Greater),
    ("BRANCH_EQ", Test::Equal),
    ("BRANCH_NEQ", Test::NotEqual),
];

/// What nodes say of the number that they test, in every version.
struct Tested<'m> {
    features: &'m [i64],
    missing: Vec<bool>,
}

impl Tested<'_> {
    /// Node `i`, which leads to `yes` or to `no`.
    fn branch(&self, i: usize, test: Test, [yes, no]: [Target; 2]) -> Result<Option<Branch>, Diagnostic> {
        let feature = index(self.features[i], "feature")?;
        Ok(Some(Branch { feature, test, yes, no, missing: self.missing[i] }))
    }
}

/// Up to version 4. `leaves` is how the attributes of leaves begin: `target` or `class`.
pub(super) fn by_tree(cx: &NodeCx<'_, '_>, leaves: &str) -> Result<Parts, Diagnostic> {
    let tree_ids = cx.ints("nodes_treeids").unwrap_or_default();
    let count = tree_ids.len();
    let [node_ids, features, yes, no] =
        ["nodes_nodeids", "nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids"]
            .map(|name| ints(cx, name, count));
    let (node_ids, features, yes, no) = (node_ids?, features?, yes?, no?);
    let (values, wide) = numbers(cx, "nodes_values")?;
    let modes = cx.utf8("nodes_modes")?.unwrap_or_default();
    for (name, length) in [("nodes_values", values.len()), ("nodes_modes", modes.len())] {
        if length != count {
            return Err(wrong_count(name, length, count));
        }
    }
    let tested = Tested { features, missing: tracks(cx, count)? };
    let mut places: IndexMap<(i64, i64), usize> = IndexMap::with_capacity(count);
    for (i, key) in tree_ids.iter().zip(node_ids).enumerate() {
        if places.insert((*key.0, *key.1), i).is_some() {
            return Err(bad(format!("node {} of tree {} is there twice", key.1, key.0)));
        }
    }
    let find = |tree: i64, node: i64| {
        places.get(&(tree, node)).copied().ok_or_else(|| bad(format!("tree {tree} has no node {node}")))
    };
    let is_leaf: Vec<bool> = modes.iter().map(|it| *it == "LEAF").collect();
    let target = |place: usize| if is_leaf[place] { Target::Leaf(place) } else { Target::Node(place) };
    let mut branches = Vec::with_capacity(count);
    let mut led_to = vec![false; count];
    for i in 0..count {
        if is_leaf[i] {
            branches.push(None);
            continue;
        }
        let [yes, no] = [find(tree_ids[i], yes[i])?, find(tree_ids[i], no[i])?];
        (led_to[yes], led_to[no]) = (true, true);
        let named = COMPARISONS.iter().find(|it| it.0 == modes[i]);
        let named = named.ok_or_else(|| bad(format!("a node has the mode `{}`", modes[i])))?;
        branches.push(tested.branch(i, named.1(values[i]), [target(yes), target(no)])?);
    }
    // The first node of each tree that none leads to.
    let mut roots: IndexMap<i64, Option<usize>> = IndexMap::new();
    for (i, tree) in tree_ids.iter().enumerate() {
        let root = roots.entry(*tree).or_default();
        if root.is_none() && !led_to[i] {
            *root = Some(i);
        }
    }
    let roots = roots
        .into_iter()
        .map(|(tree, root)| root.map(target).ok_or_else(|| bad(format!("tree {tree} has no root"))))
        .collect::<Result<_, _>>()?;
    let name = |part: &str| format!("{leaves}_{part}");
    let (weights, heavy) = numbers(cx, &name("weights"))?;
    let [trees, nodes, ids] = ["treeids", "nodeids", "ids"].map(|part| ints(cx, &name(part), weights.len()));
    let mut found = vec![Vec::new(); count];
    for (((tree, node), id), weight) in trees?.iter().zip(nodes?).zip(ids?).zip(weights) {
        found[find(*tree, *node)?].push((index(*id, "target")?, weight));
    }
    Ok(Parts { branches, roots, leaves: found, wide: wide || heavy })
}

/// From version 5 on.
pub(super) fn by_place(cx: &NodeCx<'_, '_>) -> Result<Parts, Diagnostic> {
    let features = cx.ints("nodes_featureids").unwrap_or_default();
    let count = features.len();
    let modes = match cx.tensor("nodes_modes")? {
        Some(modes) if modes.dtype().is_integral() => modes.to_i64(),
        _ => return Err(bad("attribute `nodes_modes` is no tensor of integers")),
    };
    let (splits, wide) = numbers(cx, "nodes_splits")?;
    for (name, length) in [("nodes_modes", modes.len()), ("nodes_splits", splits.len())] {
        if length != count {
            return Err(wrong_count(name, length, count));
        }
    }
    let [yes, yes_leaf, no, no_leaf] =
        ["nodes_truenodeids", "nodes_trueleafs", "nodes_falsenodeids", "nodes_falseleafs"]
            .map(|name| ints(cx, name, count));
    let (yes, yes_leaf, no, no_leaf) = (yes?, yes_leaf?, no?, no_leaf?);
    let tested = Tested { features, missing: tracks(cx, count)? };
    let (weights, heavy) = numbers(cx, "leaf_weights")?;
    let ids = ints(cx, "leaf_targetids", weights.len())?;
    let leaves: Vec<Vec<(usize, f64)>> = ids
        .iter()
        .zip(weights)
        .map(|(id, weight)| Ok(vec![(index(*id, "target")?, weight)]))
        .collect::<Result<_, Diagnostic>>()?;
    let target = |number: i64, is_leaf: i64| {
        let number = index(number, "node")?;
        match is_leaf != 0 {
            false => Ok(Target::Node(number)),
            true if number < leaves.len() => Ok(Target::Leaf(number)),
            true => Err(bad(format!("a node leads to leaf {number} of {}", leaves.len()))),
        }
    };
    // Members of sets, one set after the other, each ended by NaN.
    let members = match cx.tensor("membership_values")? {
        Some(data) if data.dtype().is_float() => data.to_f64(),
        Some(_) => return Err(bad("attribute `membership_values` holds no floats")),
        None => Vec::new(),
    };
    let mut sets = members.split(|it| it.is_nan());
    let mut branches = Vec::with_capacity(count);
    for i in 0..count {
        let test = match usize::try_from(modes[i]).ok() {
            Some(mode) if mode < COMPARISONS.len() => COMPARISONS[mode].1(splits[i]),
            Some(mode) if mode == COMPARISONS.len() => {
                let set = sets.next().filter(|it| !it.is_empty());
                Test::Member(set.ok_or_else(|| bad("`membership_values` has too few sets"))?.to_vec())
            }
            _ => return Err(bad(format!("a node has the mode {}", modes[i]))),
        };
        let ways = [target(yes[i], yes_leaf[i])?, target(no[i], no_leaf[i])?];
        branches.push(tested.branch(i, test, ways)?);
    }
    let roots = cx.ints("tree_roots").unwrap_or_default().iter();
    let roots = roots.map(|it| index(*it, "node").map(Target::Node)).collect::<Result<_, _>>()?;
    Ok(Parts { branches, roots, leaves, wide: wide || heavy })
}
