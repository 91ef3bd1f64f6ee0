//! Trees of every kind as nodes of the operator `tree_ensemble`, which know one test: whether a key is at most another.
//!
//! Keys are integers in the order of numbers, so that `x < t` is `key(x) ≤ key(t) − 1`. What a test says of NaN decides which of
//! the two columns it reads: in the first NaN is greater than all, in the second less. Membership in a set is a search
//! among the bounds of its members. Nodes are laid out level by level, both that follow a node side by side.

use crate::node::{bad, not_supported};
use orogen_ir::diag::Diagnostic;
use orogen_ir::scalar::FloatKeys;
use orogen_ir::types::{DType, TensorData};
use std::collections::VecDeque;

/// Most nodes of all trees together.
const MOST_NODES: usize = 1 << 27;
/// Most columns: each may count twice.
const MOST_COLUMNS: usize = 1 << 18;

/// How a number is tested.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    LessOrEqual(f64),
    Less(f64),
    GreaterOrEqual(f64),
    Greater(f64),
    Equal(f64),
    NotEqual(f64),
    Member(Vec<f64>),
}

/// Where a branch leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Target {
    /// To a node of the file.
    Node(usize),
    /// To a row of weights.
    Leaf(usize),
}

/// A branch of the file.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    pub(super) feature: usize,
    pub(super) test: Test,
    pub(super) yes: Target,
    pub(super) no: Target,
    /// Whether NaN passes the test, if it would not anyway.
    pub(super) missing: bool,
}

/// A node with one kind of test.
#[derive(Clone, Copy, Debug)]
enum Step {
    Test { feature: u64, key: i64, first: usize, second: usize },
    Leaf(usize),
}

/// How far a branch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No tree has it yet.
    Apart,
    /// It is being built: what leads to it again is a circle.
    Begun,
    /// It is this step of a tree.
    Built { tree: u32, step: u32 },
}

/// What trees are built from.
pub(super) struct Forest<'b> {
    branches: &'b [Option<Branch>],
    columns: usize,
    keys: FloatKeys,
    /// What became of branches.
    states: Vec<State>,
    /// The number of the tree that is built, from 1 on.
    tree: u32,
    /// How many steps all trees have.
    count: usize,
}

/// A tree whose nodes have no places yet: what leads to others comes after them.
pub(super) struct Tree {
    steps: Vec<Step>,
    root: usize,
    /// Whether some test reads the second column of a feature.
    missing: bool,
}

impl<'b> Forest<'b> {
    /// Of branches by their numbers in the file; other numbers there are none.
    ///
    /// # Errors
    /// Too many columns.
    pub(super) fn new(
        branches: &'b [Option<Branch>],
        columns: usize,
        keys: FloatKeys,
    ) -> Result<Forest<'b>, Diagnostic> {
        if columns > MOST_COLUMNS {
            return Err(not_supported(format!("it has {columns} columns; {MOST_COLUMNS} can be told apart")));
        }
        Ok(Forest { branches, columns, keys, states: vec![State::Apart; branches.len()], tree: 0, count: 0 })
    }

    /// The tree that begins at a node.
    ///
    /// # Errors
    /// Nodes that lead back to themselves, features that are no columns, and too many nodes.
    pub(super) fn tree(&mut self, root: Target) -> Result<Tree, Diagnostic> {
        self.tree += 1;
        let mut tree = Tree { steps: Vec::new(), root: 0, missing: false };
        tree.root = tree.build(self, root)?;
        self.count += tree.steps.len();
        if self.count > MOST_NODES {
            return Err(not_supported(format!("its trees have more than {MOST_NODES} nodes")));
        }
        Ok(tree)
    }

    /// # Errors
    /// Branches that are in no tree: what leads to itself alone hides among them.
    pub(super) fn all_are_reached(&self) -> Result<(), Diagnostic> {
        let hidden = |it: &usize| self.branches[*it].is_some() && self.states[*it] == State::Apart;
        match (0..self.branches.len()).find(hidden) {
            Some(number) => Err(bad(format!("no root leads to node {number}"))),
            None => Ok(()),
        }
    }
}

/// Operands of `tree_ensemble`.
pub(super) struct Laid {
    pub(super) nodes: TensorData,
    pub(super) trees: TensorData,
    pub(super) feature_bits: i64,
    pub(super) missing: bool,
}

/// Gives the nodes of trees their places, level by level; `row_of` says which row of weights a leaf has. `None` where words
/// are too narrow for places.
pub(super) fn lay_out(
    trees: &[&Tree],
    columns: usize,
    keys: FloatKeys,
    row_of: &mut dyn FnMut(usize) -> usize,
) -> Option<Laid> {
    let missing = trees.iter().any(|it| it.missing);
    let used = columns as u64 * if missing { 2 } else { 1 };
    // The last number is that of leaves.
    let bits = (1..32).find(|bits| used < 1 << bits)?;
    let mut words: Vec<(i64, u64)> = Vec::new();
    let mut table: Vec<i32> = Vec::new();
    for tree in trees {
        let begin = words.len();
        let (sure, most) = tree.levels();
        table.extend([begin, sure, most].map(|it| it as i32));
        // The first of the two places that follow a node.
        let mut pairs: Vec<usize> = vec![0; tree.steps.len()];
        let mut queue = VecDeque::from([tree.root]);
        let mut next = begin + 1;
        while let Some(number) = queue.pop_front() {
            let (key, place, feature) = match tree.steps[number] {
                Step::Leaf(leaf) => (row_of(leaf) as i64, words.len(), (1 << bits) - 1),
                Step::Test { feature, key, first, second } => {
                    if pairs[number] == 0 {
                        pairs[number] = next;
                        next += 2;
                        queue.extend([first, second]);
                    }
                    (key, pairs[number], feature)
                }
            };
            words.push((key, (place as u64) << bits | feature));
        }
    }
    let dims = [words.len() as u64, 2];
    let pairs = words.iter().flat_map(|(key, link)| [*key, link.cast_signed()]);
    let nodes = match keys {
        FloatKeys::Single if words.len() as u64 > 1 << (32 - bits) => return None,
        FloatKeys::Single => {
            TensorData::from_slice(DType::I32, &dims, &pairs.map(|it| it as i32).collect::<Vec<_>>())
        }
        FloatKeys::Double => TensorData::from_slice(DType::I64, &dims, &pairs.collect::<Vec<_>>()),
    };
    let trees = TensorData::from_slice(DType::I32, &[trees.len() as u64, 3], &table);
    Some(Laid { nodes, trees, feature_bits: i64::from(bits), missing })
}

/// What a test reads.
#[derive(Clone, Copy)]
struct Column {
    feature: usize,
    /// How many there are.
    of: usize,
    keys: FloatKeys,
}

impl Tree {
    /// The leaves, some perhaps several times.
    pub(super) fn leaves(&self) -> impl Iterator<Item = usize> {
        self.steps.iter().filter_map(|it| match it {
            Step::Leaf(leaf) => Some(*leaf),
            Step::Test { .. } => None,
        })
    }

    /// How many steps rows take that go either way equally often, and the most that any takes.
    fn levels(&self) -> (usize, usize) {
        let mut heights = vec![(0.0f64, 0usize); self.steps.len()];
        for (i, step) in self.steps.iter().enumerate() {
            if let Step::Test { first, second, .. } = *step {
                let (a, b) = (heights[first], heights[second]);
                heights[i] = (1.0 + (a.0 + b.0) / 2.0, 1 + a.1.max(b.1));
            }
        }
        let (mean, most) = heights[self.root];
        (mean as usize, most)
    }

    fn push(&mut self, step: Step) -> usize {
        self.steps.push(step);
        self.steps.len() - 1
    }

    /// The number of a step that a target becomes: targets are built before those that lead to them.
    fn build(&mut self, forest: &mut Forest<'_>, root: Target) -> Result<usize, Diagnostic> {
        let mut built: Vec<usize> = Vec::new();
        // A target to be built, or a branch whose targets were: the last two of `built`.
        let mut work = vec![(root, false)];
        while let Some((target, ready)) = work.pop() {
            let number = match target {
                Target::Leaf(row) => {
                    let step = self.push(Step::Leaf(row));
                    built.push(step);
                    continue;
                }
                Target::Node(number) => number,
            };
            let Some(Some(branch)) = forest.branches.get(number) else {
                return Err(bad(format!("a node leads to node {number}, which is not there")));
            };
            if ready {
                let (no, yes) = (built.pop(), built.pop());
                let (Some(yes), Some(no)) = (yes, no) else { return Err(bad("a branch leads nowhere")) };
                let step = self.branch(forest, branch, yes, no)?;
                forest.states[number] = State::Built { tree: forest.tree, step: step as u32 };
                built.push(step);
                continue;
            }
            match forest.states[number] {
                State::Begun => return Err(bad(format!("node {number} leads back to itself"))),
                // Several nodes may lead to one.
                State::Built { tree, step } if tree == forest.tree => {
                    built.push(step as usize);
                    continue;
                }
                _ => forest.states[number] = State::Begun,
            }
            if self.steps.len() > MOST_NODES {
                return Err(not_supported(format!("its trees have more than {MOST_NODES} nodes")));
            }
            work.push((target, true));
            work.push((branch.no, false));
            work.push((branch.yes, false));
        }
        built.pop().ok_or_else(|| bad("a tree has no node"))
    }

    /// A test that leads to one step where a key is at most another, else to a second, NaN to one of them.
    fn test(&mut self, column: Column, key: i64, steps: [usize; 2], nan_is_least: bool) -> usize {
        self.missing |= nan_is_least;
        let feature = if nan_is_least { column.feature + column.of } else { column.feature };
        self.push(Step::Test { feature: feature as u64, key, first: steps[0], second: steps[1] })
    }

    fn branch(
        &mut self,
        forest: &Forest<'_>,
        branch: &Branch,
        yes: usize,
        no: usize,
    ) -> Result<usize, Diagnostic> {
        let (keys, columns) = (forest.keys, forest.columns);
        let at = Column { feature: branch.feature, of: columns, keys };
        if at.feature >= columns {
            return Err(bad(format!("a node asks for feature {} of {columns}", at.feature)));
        }
        // No number is at most the first, and every number at most the last.
        let (none, every) = (keys.least(), keys.nan() - 1);
        let at_most = |t: f64| if t.is_nan() { none } else { keys.of(t) };
        let below = |t: f64| if t.is_nan() { none } else { keys.of(t) - 1 };
        let not_above = |t: f64| if t.is_nan() { every } else { keys.of(t) };
        let not_from = |t: f64| if t.is_nan() { every } else { keys.of(t) - 1 };
        Ok(match &branch.test {
            Test::LessOrEqual(t) => self.test(at, at_most(*t), [yes, no], branch.missing),
            Test::Less(t) => self.test(at, below(*t), [yes, no], branch.missing),
            Test::GreaterOrEqual(t) => self.test(at, not_from(*t), [no, yes], !branch.missing),
            Test::Greater(t) => self.test(at, not_above(*t), [no, yes], !branch.missing),
            Test::Equal(t) => self.members(at, &[*t], yes, no, branch.missing),
            // NaN is not equal to anything.
            Test::NotEqual(t) => self.members(at, &[*t], no, yes, false),
            Test::Member(list) => self.members(at, list, yes, no, branch.missing),
        })
    }

    /// Whether a number is one of some.
    fn members(&mut self, at: Column, list: &[f64], yes: usize, no: usize, missing: bool) -> usize {
        let keys = at.keys;
        let mut members: Vec<i64> = list.iter().filter(|it| !it.is_nan()).map(|it| keys.of(*it)).collect();
        members.sort_unstable();
        members.dedup();
        // Where a member begins behind what is none, and ends before it.
        let mut bounds: Vec<i64> = Vec::new();
        for key in members {
            match bounds.last() {
                Some(last) if *last == key - 1 => {
                    bounds.pop();
                }
                _ => bounds.push(key - 1),
            }
            bounds.push(key);
        }
        let search = self.search(at, &bounds, 0, [no, yes]);
        // NaN is beyond all bounds, which is no member.
        if missing { self.test(at, keys.least(), [yes, search], true) } else { search }
    }

    /// Which of the parts between bounds a number is in: those at even places, counted from `first`, lead to the first step.
    fn search(&mut self, at: Column, bounds: &[i64], first: usize, steps: [usize; 2]) -> usize {
        if bounds.is_empty() {
            return steps[first % 2];
        }
        let middle = bounds.len() / 2;
        let below = self.search(at, &bounds[..middle], first, steps);
        let above = self.search(at, &bounds[middle + 1..], first + middle + 1, steps);
        self.test(at, bounds[middle], [below, above], false)
    }
}
