//! Where patterns match, and what belongs to a match.

use super::super::apply_rules::{FlowRewriter, call, value_id};
use crate::rewrite::Matcher;
use indexmap::{IndexMap, IndexSet};
use orogen_ir::flow::{BindingId, BlockKind, Editor, Rhs, ValueDef, ValueId};

/// A match.
pub(super) struct Found {
    /// Which pattern.
    pub(super) pattern: usize,
    /// Its operations and constants, in program order; the root is the last.
    pub(super) bindings: Vec<BindingId>,
    /// What the pattern has names for and says no more of, in its order.
    pub(super) leaves: Vec<ValueId>,
    /// The value that it computes.
    pub(super) root: ValueId,
}

/// Matches of patterns in a function, the last ones of a block first.
pub(super) fn find(editor: &mut Editor<'_>, patterns: &[(String, Matcher)]) -> Vec<Found> {
    let mut found = Vec::new();
    for block in editor.blocks() {
        if editor.kind(block) != BlockKind::Dataflow {
            continue;
        }
        let order = editor.order(block);
        let places: IndexMap<BindingId, usize> = order.iter().enumerate().map(|(i, it)| (*it, i)).collect();
        let mut taken: IndexSet<BindingId> = IndexSet::new();
        for id in order.into_iter().rev() {
            let Some(root) = call(editor, id).filter(|_| !taken.contains(&id)) else { continue };
            for (i, (_, matcher)) in patterns.iter().enumerate() {
                let mut rewriter = FlowRewriter::new(editor, Some(block));
                let Some(matched) = matcher.find(&mut rewriter, &root) else { continue };
                let leaves: Vec<ValueId> = matched.leaves().into_iter().map(value_id).collect();
                let Some(mut bindings) = inside(editor, id, &leaves) else { continue };
                if bindings.iter().any(|it| taken.contains(it)) {
                    continue;
                }
                // Constants may be of other blocks.
                bindings.sort_by_key(|it| places.get(it).map_or(0, |it| it + 1));
                taken.extend(bindings.iter().copied().filter(|it| places.contains_key(it)));
                found.push(Found { pattern: i, bindings, leaves, root: editor.binding(id).results[0] });
                break;
            }
        }
    }
    found
}

/// The bindings of a match; `None` where something else reads what lies inside (law Y1).
fn inside(editor: &Editor<'_>, root: BindingId, leaves: &[ValueId]) -> Option<Vec<BindingId>> {
    let mut bindings: IndexSet<BindingId> = IndexSet::from([root]);
    let mut reads: IndexMap<ValueId, usize> = IndexMap::new();
    let mut next = 0;
    while let Some(id) = bindings.get_index(next).copied() {
        for operand in editor.binding(id).rhs.operands() {
            if leaves.contains(&operand) {
                continue;
            }
            let ValueDef::Result(of, _) = editor.value(operand).def else { return None };
            *reads.entry(operand).or_insert(0) += 1;
            bindings.insert(of);
        }
        next += 1;
    }
    let is_constant = |value: ValueId| matches!(editor.defining_rhs(value), Some(Rhs::Constant(_)));
    let alone = reads.into_iter().all(|(value, reads)| is_constant(value) || editor.uses(value) == reads);
    alone.then(|| bindings.into_iter().collect())
}
