//! L11: every access stays within its buffer.
//!
//! An index is proven to lie in its dimension for all iterations of the axes around it. What cannot be proven is asked
//! of the least and the greatest iteration, which leaves a relation between sizes alone: where that does not hold for
//! all sizes either, it becomes a requirement.

use super::requirements::{Requirement, Requirements};
use crate::loops::broadcast::{BroadcastTerm, broadcast_terms};
use crate::loops::{Axis, BufferId, Expr, ExprId, Index, Stage, Stmt, TensorProgram};
use crate::shape::{Atom, Constraint, Dim, End, SavedFacts, ShapeCx, Sym, SymbolKind};
use indexmap::{IndexMap, IndexSet};
use smallvec::SmallVec;

use super::bounds::Bounds;

/// A violation: the statement, counted as statements are printed, and what is wrong.
pub(super) type Violation = (usize, &'static str, String);

/// Walks a program whose other laws hold.
pub(super) struct Accesses<'a> {
    pub(super) program: &'a TensorProgram,
    /// The context of the program, with what holds in the present scope.
    pub(super) shapes: ShapeCx,
    /// What holds everywhere.
    pub(super) everywhere: SavedFacts,
    /// Axes in scope, outermost first.
    axes: Vec<Axis>,
    /// What is in local buffers of integers, where that is known.
    pub(super) contents: IndexMap<BufferId, Bounds>,
    /// Indices that stand for what broadcasts read.
    read_below: IndexMap<Dim, Dim>,
    /// Questions of the present stage that were asked.
    asked: IndexSet<(Dim, Dim)>,
    statement: usize,
    /// Whether the present question left a requirement.
    pub(super) open: bool,
    pub(super) violations: Vec<Violation>,
    pub(super) required: Requirements,
}

impl<'a> Accesses<'a> {
    pub(super) fn new(program: &'a TensorProgram) -> Self {
        let mut accesses = Accesses {
            program,
            shapes: program.shapes.clone(),
            everywhere: program.shapes.save_facts(),
            axes: Vec::new(),
            contents: IndexMap::new(),
            read_below: IndexMap::new(),
            asked: IndexSet::new(),
            statement: 0,
            open: false,
            violations: Vec::new(),
            required: Requirements::default(),
        };
        // What a program assumes of its sizes, its callers have to keep.
        for fact in program.shapes.facts() {
            let reason = format!("{}, which `@{}` assumes", program.shapes.display_fact(fact), program.name);
            let requirement =
                Requirement { within: SmallVec::new(), constraint: *fact, reason, assumed: true };
            accesses.required.list.insert(requirement);
        }
        accesses
    }

    pub(super) fn body(&mut self, body: &[Stmt], next: &mut usize) {
        for stmt in body {
            self.statement = *next;
            *next += 1;
            match stmt {
                Stmt::Stage(stage) => self.stage(stage),
                Stmt::For { axis, body } => {
                    let saved = self.shapes.save_facts();
                    if self.enter(std::slice::from_ref(axis)) {
                        self.body(body, next);
                    } else {
                        *next += count(body);
                    }
                    self.leave(1, saved);
                }
            }
        }
    }

    /// What is left for the callers.
    pub(super) fn finish(self) -> Requirements {
        let shapes = if self.required.list.is_empty() { ShapeCx::default() } else { self.shapes };
        Requirements { shapes, ..self.required }
    }

    fn stage(&mut self, stage: &Stage) {
        let saved = self.shapes.save_facts();
        self.asked.clear();
        if self.enter(&stage.axes) {
            self.access(stage.buffer, &stage.at, false);
            for value in stage.at.iter().filter_map(Index::value) {
                self.loads(value);
            }
            let outside = self.shapes.save_facts();
            if self.enter(&stage.reduce) {
                self.loads(stage.value);
            }
            self.leave(stage.reduce.len(), outside);
        }
        self.leave(stage.axes.len(), saved);
    }

    /// Inside loops, each of which runs. Whether that may be.
    fn enter(&mut self, axes: &[Axis]) -> bool {
        self.axes.extend_from_slice(axes);
        axes.iter().all(|axis| match self.shapes.as_int(axis.extent) {
            Some(extent) => extent >= 1,
            None => self.shapes.assume(Constraint::AtLeast(axis.extent, 1)).is_ok(),
        })
    }

    fn leave(&mut self, count: usize, facts: SavedFacts) {
        self.axes.truncate(self.axes.len() - count);
        self.shapes.restore_facts(facts);
    }

    fn loads(&mut self, root: ExprId) {
        let program = self.program;
        program.walk(root, &mut |_, expr| {
            if let Expr::Load { buffer, at, otherwise } = expr {
                self.access(*buffer, at, otherwise.is_some());
            }
        });
    }

    fn access(&mut self, buffer: BufferId, at: &[Index], guarded: bool) {
        // A check comes before the access; a guard before the load.
        if guarded {
            return;
        }
        let program = self.program;
        for (i, (index, dim)) in at.iter().zip(&program.buffers[buffer].dims).enumerate() {
            match index {
                Index::Checked(_) => {}
                Index::Dim(index) => self.check_l11_index(*index, *dim, buffer, i),
                Index::Value(value) => self.check_l11_value(*value, *dim, buffer, i),
            }
        }
    }

    /// L11: 0 ≤ index < dim.
    fn check_l11_index(&mut self, index: Dim, dim: Dim, buffer: BufferId, axis: usize) {
        if !self.asked.insert((index, dim)) {
            return;
        }
        if self.shapes.as_sym(index).is_some_and(|it| self.extent(it) == Some(dim)) {
            return self.answered("L11");
        }
        let Some(index) = self.without_broadcasts(index, buffer, axis) else {
            return self.violation(index, buffer, axis);
        };
        let Ok(last) = self.shapes.sub(dim, index).and_then(|it| self.shapes.add_int(it, -1)) else {
            return self.violation(index, buffer, axis);
        };
        let found = self.at_least_zero(index, buffer, axis) && self.at_least_zero(last, buffer, axis);
        match found {
            true => self.answered("L11"),
            false => self.violation(index, buffer, axis),
        }
    }

    /// An index in which `i·min(n − 1, 1)`, where the extent `n` is 1 or that of `i`, is an index below `n`.
    fn without_broadcasts(&mut self, index: Dim, buffer: BufferId, axis: usize) -> Option<Dim> {
        let mut whole = index;
        for BroadcastTerm { axis: sym, parts, term, times } in
            broadcast_terms(&mut self.shapes, index).ok()?
        {
            let Some(extent) = self.extent(sym) else { continue };
            for part in &parts {
                if self.shapes.is_broadcast_part(*part, extent) {
                    continue;
                }
                for fact in [Constraint::AtLeast(*part, 1), Constraint::Broadcast(*part, extent)] {
                    if !self.shapes.prove(fact).is_always() {
                        let (within, reason) = (self.within(), self.reason(index, buffer, axis));
                        self.require(within, fact, reason);
                    }
                }
            }
            self.has_value(extent);
            let below = match self.read_below.get(&term) {
                Some(below) => *below,
                None => {
                    let list: SmallVec<[Dim; 4]> = parts.iter().copied().chain([extent]).collect();
                    let least = self.shapes.min(&list).ok()?;
                    self.shapes.fresh_index("read", least)
                }
            };
            self.read_below.insert(term, below);
            let difference = self.shapes.sub(below, term).and_then(|it| self.shapes.scale(it, times)).ok()?;
            whole = self.shapes.add(whole, difference).ok()?;
        }
        Some(whole)
    }

    /// Extents of which one is the broadcast must broadcast.
    fn has_value(&mut self, extent: Dim) {
        let Some(Atom::Broadcast(list)) =
            self.shapes.poly(extent).as_atom().map(|it| self.shapes.atom(it).clone())
        else {
            return;
        };
        for (i, a) in list.iter().enumerate() {
            for b in &list[i + 1..] {
                let fact = Constraint::Broadcast(*a, *b);
                let reason = format!("{}, which broadcast", self.shapes.display_fact(&fact));
                self.require(SmallVec::new(), fact, reason);
            }
        }
    }

    /// L11 for an index from data: it has a known range.
    fn check_l11_value(&mut self, value: ExprId, dim: Dim, buffer: BufferId, axis: usize) {
        let bounds = self.bounds(value);
        let mut room: SmallVec<[Dim; 4]> = SmallVec::new();
        for most in bounds.most {
            room.extend(self.shapes.sub(dim, most).and_then(|it| self.shapes.add_int(it, -1)).ok());
        }
        if !(self.one_at_least_zero(&bounds.least, buffer, axis)
            && self.one_at_least_zero(&room, buffer, axis))
        {
            let name = &self.program.buffers[buffer].name;
            let message = format!(
                "L11: the index of `%{name}` in dimension {axis} comes from data and may be anything: clamp it, let \
                 the access check it (`checked`), or guard the load"
            );
            self.open = false;
            self.violations.push((self.statement, "L011", message));
        } else {
            self.answered("L11");
        }
    }

    /// Whether one of several values is at least 0, perhaps by a requirement.
    fn one_at_least_zero(&mut self, values: &[Dim], buffer: BufferId, axis: usize) -> bool {
        let zero = self.shapes.int(0);
        values.iter().any(|it| self.shapes.is_le(zero, *it))
            || values.iter().any(|it| self.at_least_zero(*it, buffer, axis))
    }

    /// Whether a value is at least 0, perhaps by a requirement; the value is that of an index, or what is left behind it.
    fn at_least_zero(&mut self, value: Dim, buffer: BufferId, axis: usize) -> bool {
        let zero = self.shapes.int(0);
        if self.shapes.is_le(zero, value) {
            return true;
        }
        let Some(least) = self.shapes.without_indices(value, End::Least) else { return false };
        let within = self.within();
        for part in self.shapes.each_at_least_zero(least) {
            if self.shapes.is_le(zero, part)
                || self.shapes.either_at_least_zero(part).into_iter().any(|it| {
                    self.shapes.each_at_least_zero(it).into_iter().all(|it| self.shapes.is_le(zero, it))
                })
            {
                continue;
            }
            if self.shapes.as_int(part).is_some() {
                return false;
            }
            let reason = self.reason(value, buffer, axis);
            self.require(within.clone(), Constraint::AtLeast(part, 0), reason);
        }
        true
    }

    /// Extents of the loops around that may be 0, as far as sizes alone say it.
    fn within(&self) -> SmallVec<[Dim; 4]> {
        let of_sizes =
            |it: &Dim| self.shapes.free_symbols(*it).into_iter().all(|sym| self.extent(sym).is_none());
        let extents = self.axes.iter().map(|it| it.extent);
        let mut within: SmallVec<[Dim; 4]> =
            extents.filter(|it| self.shapes.as_int(*it).is_none() && of_sizes(it)).collect();
        within.sort_unstable();
        within.dedup();
        within
    }

    fn extent(&self, sym: Sym) -> Option<Dim> {
        match self.shapes.kind(sym) {
            SymbolKind::Index { extent } => Some(extent),
            _ => None,
        }
    }

    pub(super) fn require(&mut self, within: SmallVec<[Dim; 4]>, constraint: Constraint, reason: String) {
        self.open = true;
        self.required.list.insert(Requirement { within, constraint, reason, assumed: false });
    }

    /// Behind a question that is no violation.
    pub(super) fn answered(&mut self, law: &'static str) {
        if !std::mem::take(&mut self.open) {
            *self.required.proven.entry(law).or_default() += 1;
        }
    }

    fn reason(&self, value: Dim, buffer: BufferId, axis: usize) -> String {
        let name = &self.program.buffers[buffer].name;
        let value = self.shapes.display(value);
        format!("`{value}` is never negative, so that `%{name}` is indexed within dimension {axis}")
    }

    fn violation(&mut self, index: Dim, buffer: BufferId, axis: usize) {
        self.open = false;
        let data = &self.program.buffers[buffer];
        let message = format!(
            "L11: the index `{}` of `%{}` is not shown to lie within dimension {axis}, which is `{}`",
            self.shapes.display(index),
            data.name,
            self.shapes.display(data.dims[axis])
        );
        self.violations.push((self.statement, "L011", message));
    }
}

/// Statements of a body, those in loops included.
fn count(body: &[Stmt]) -> usize {
    body.iter()
        .map(|stmt| match stmt {
            Stmt::Stage(_) => 1,
            Stmt::For { body, .. } => 1 + count(body),
        })
        .sum()
}
