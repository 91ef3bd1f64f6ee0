//! What vector expressions are made of: the leaves that nodes depend on, and parts of a graph as graphs of their own.

use indexmap::{IndexMap, IndexSet};

use super::expression::{Node, Operation, VectorExpr};
use crate::vector;

impl VectorExpr {
    /// The leaves that nodes depend on, where some are known to be masks of all bits, or of none.
    pub(crate) fn leaves_where(&self, roots: &[Node], known: &dyn Fn(usize) -> Option<bool>) -> Vec<usize> {
        let mut seen = vec![false; self.operations.len()];
        let mut stack = roots.to_vec();
        let mut leaves = Vec::new();
        while let Some(node) = stack.pop() {
            if std::mem::replace(&mut seen[node], true) {
                continue;
            }
            if let Operation::Leaf(i) = self.operations[node] {
                leaves.push(i);
            }
            let chosen = match self.operations[node] {
                Operation::Blend(mask, yes, no) => {
                    self.as_leaf(mask).and_then(known).map(|holds| if holds { yes } else { no })
                }
                _ => None,
            };
            match chosen {
                Some(one) => stack.push(one),
                None => stack.extend(self.operands(node)),
            }
        }
        leaves
    }

    /// The leaves that a node depends on.
    pub(crate) fn leaves_of(&self, root: Node) -> Vec<usize> {
        self.leaves_without(root, usize::MAX)
    }

    /// The leaves that a node depends on other than through `cut`.
    pub(crate) fn leaves_without(&self, root: Node, cut: Node) -> Vec<usize> {
        let mut seen = vec![false; self.operations.len()];
        let mut stack = vec![root];
        let mut leaves = Vec::new();
        while let Some(node) = stack.pop() {
            if node == cut || std::mem::replace(&mut seen[node], true) {
                continue;
            }
            if let Operation::Leaf(i) = self.operations[node] {
                leaves.push(i);
            }
            stack.extend(self.operands(node));
        }
        leaves.sort_unstable();
        leaves.dedup();
        leaves
    }

    /// The largest parts of `root` that depend on leaves of `fixed` alone and are more than a leaf or a constant, and the
    /// graph in which leaf `first + i` stands for part `i`.
    pub(crate) fn hoisted(
        &self,
        root: Node,
        fixed: &dyn Fn(usize) -> bool,
        first: usize,
    ) -> (Vec<Node>, VectorExpr, Node) {
        let mut is_fixed = vec![false; self.operations.len()];
        for node in 0..=root {
            is_fixed[node] = match self.operations[node] {
                Operation::Leaf(i) => fixed(i),
                _ => self.operands(node).into_iter().all(|it| is_fixed[it]),
            };
        }
        let mut parts = Vec::new();
        let mut seen = vec![false; self.operations.len()];
        let mut stack = vec![root];
        while let Some(node) = stack.pop() {
            if std::mem::replace(&mut seen[node], true) {
                continue;
            }
            let trivial = matches!(self.operations[node], Operation::Leaf(_) | Operation::Constant(_));
            match is_fixed[node] {
                true if trivial || self.leaves_of(node).is_empty() => {}
                true => parts.push(node),
                false => stack.extend(self.operands(node)),
            }
        }
        parts.sort_unstable();
        let mut copy = VectorExpr::of_width(self.width());
        let map = parts.iter().enumerate().map(|(i, part)| (*part, copy.leaf(first + i))).collect();
        let (copy, root) = self.copied_with(root, copy, map);
        (parts, copy, root)
    }

    /// The bits of the lanes that a node always has.
    pub(crate) fn as_constant(&self, node: Node) -> Option<u64> {
        match self.operations[node] {
            Operation::Constant(bits) => Some(bits),
            _ => None,
        }
    }

    /// The leaf that a node is.
    pub(crate) fn as_leaf(&self, node: Node) -> Option<usize> {
        match self.operations[node] {
            Operation::Leaf(i) => Some(i),
            _ => None,
        }
    }

    /// The operation and operands of a binary node.
    pub(crate) fn as_binary(&self, node: Node) -> Option<(vector::BinaryOp, Node, Node)> {
        match self.operations[node] {
            Operation::Binary(op, x, y) => Some((op, x, y)),
            _ => None,
        }
    }

    /// The part of the graph between `root` and `cut`, with `cut` as leaf 0; it must depend on nothing else.
    pub(crate) fn between(&self, root: Node, cut: Node) -> (VectorExpr, Node) {
        let mut copy = VectorExpr::of_width(self.width());
        let zero = copy.leaf(0);
        self.copied(root, copy, IndexMap::from_iter([(cut, zero)]))
    }

    /// What `root` makes of leaf `before` and of one other node, as an expression over both as leaves 0 and 1, and that
    /// node; no expression, and `root`, where it does not depend on the leaf. `None` if it depends on more.
    pub(crate) fn apart(&mut self, root: Node, before: usize) -> Option<(Option<(VectorExpr, Node)>, Node)> {
        let Some(before) = self.operations.get_index_of(&Operation::Leaf(before)) else {
            return Some((None, root));
        };
        let mut depends = vec![false; self.operations.len()];
        let mut others = IndexSet::new();
        for node in 0..=root {
            let operands = self.operands(node);
            depends[node] = node == before || operands.iter().any(|it| depends[*it]);
            if depends[node] {
                others.extend(
                    operands.into_iter().filter(|it| !depends[*it] && self.as_constant(*it).is_none()),
                );
            }
        }
        if !depends[root] {
            return Some((None, root));
        }
        let other = match others.len() {
            0 => self.bits(0),
            1 => others[0],
            _ => return None,
        };
        let mut copy = VectorExpr::of_width(self.width());
        let leaves = [copy.leaf(0), copy.leaf(1)];
        let map = IndexMap::from_iter([(before, leaves[0]), (other, leaves[1])]);
        Some((Some(self.copied(root, copy, map)), other))
    }

    /// The part of the graph under `root`, which depends on these leaves: leaf `leaves[i]` becomes leaf `i`.
    pub(crate) fn part(&self, root: Node, leaves: &[usize]) -> (VectorExpr, Node) {
        let mut copy = VectorExpr::of_width(self.width());
        let mut map = IndexMap::new();
        for (i, leaf) in leaves.iter().enumerate() {
            let new = copy.leaf(i);
            map.extend(self.operations.get_index_of(&Operation::Leaf(*leaf)).map(|old| (old, new)));
        }
        self.copied(root, copy, map)
    }

    /// As [`copied`](Self::copied), with leaves as they are.
    fn copied_with(
        &self,
        root: Node,
        mut copy: VectorExpr,
        mut map: IndexMap<Node, Node>,
    ) -> (VectorExpr, Node) {
        for (node, operation) in self.operations.iter().enumerate().take(root + 1) {
            if let Operation::Leaf(i) = operation {
                map.entry(node).or_insert_with(|| copy.leaf(*i));
            }
        }
        self.copied(root, copy, map)
    }

    /// Adds to `copy` what `root` needs beyond the nodes that `map` has.
    fn copied(&self, root: Node, mut copy: VectorExpr, mut map: IndexMap<Node, Node>) -> (VectorExpr, Node) {
        for node in 0..=root {
            if map.contains_key(&node) || self.operands(node).iter().any(|it| !map.contains_key(it)) {
                continue;
            }
            let m = |node: Node| map[&node];
            let operation = match self.operations[node] {
                Operation::Leaf(_) => continue,
                Operation::Constant(bits) => Operation::Constant(bits),
                Operation::Function(f, x) => Operation::Function(f, m(x)),
                Operation::ToInt(x) => Operation::ToInt(m(x)),
                Operation::FromInt(x) => Operation::FromInt(m(x)),
                Operation::Binary(op, x, y) => Operation::Binary(op, m(x), m(y)),
                Operation::BinaryFunction(function, x, y) => Operation::BinaryFunction(function, m(x), m(y)),
                Operation::Max(x, y) => Operation::Max(m(x), m(y)),
                Operation::Min(x, y) => Operation::Min(m(x), m(y)),
                Operation::Compare(op, x, y) => Operation::Compare(op, m(x), m(y)),
                Operation::Blend(x, y, z) => Operation::Blend(m(x), m(y), m(z)),
                Operation::Shift(op, x, by) => Operation::Shift(op, m(x), by),
                Operation::Unary(op, x) => Operation::Unary(op, m(x)),
                Operation::Rounded(dtype, x) => Operation::Rounded(dtype, m(x)),
                Operation::Wide(op, x, y) => Operation::Wide(op, m(x), m(y)),
            };
            let made = copy.push(operation);
            map.insert(node, made);
        }
        let result = map[&root];
        (copy, result)
    }
}
