//! What a compilation may spend on work that a model asks for beyond its own size: computing constants, building
//! functions and bodies again, trying branches, unrolling loops.
//!
//! # Laws
//! * **U1** A budget is counts of bytes, operations and nodes, never time: what a compilation gives does not depend on
//!   the machine.
//! * **U2** What something costs is taken from the budget before it is done.
//! * **U3** What does not fit costs nothing: whatever fits later is still done.

use crate::diag::Diagnostic;
use indexmap::IndexMap;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// How much a compilation may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of constants that are computed, and of the memory that computing one of them takes meanwhile.
    pub bytes: u64,
    /// Operations on single elements.
    pub operations: u64,
    /// Nodes that are built again: bodies of functions, branches and loops.
    pub nodes: u64,
}

impl Default for Limits {
    /// [`Limits::USUAL`].
    fn default() -> Self {
        Self::USUAL
    }
}

impl Limits {
    /// More than models need that are meant to be compiled: a few seconds of work, at most two gigabytes.
    pub const USUAL: Limits = Limits { bytes: 2 << 30, operations: 2 << 30, nodes: 1 << 18 };

    /// This many times as much.
    #[must_use]
    pub fn times(self, factor: u32) -> Self {
        let times = |it: u64| it.saturating_mul(u64::from(factor));
        Limits { bytes: times(self.bytes), operations: times(self.operations), nodes: times(self.nodes) }
    }
}

/// What computing constants costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Bytes of the results.
    pub bytes: u64,
    /// Bytes that are needed besides while it is computed.
    pub scratch: u64,
    /// Operations on single elements.
    pub operations: u64,
}

/// What is left of the [`Limits`] of one compilation. Clones share it.
///
/// ```
/// use orogen_ir::ops::{Budget, Cost, Limits};
/// let budget = Budget::new(Limits { bytes: 100, operations: 10, nodes: 2 });
/// let cost = Cost { bytes: 60, scratch: 0, operations: 1 };
/// assert!(budget.compute(cost, "a"));
/// assert!(!budget.compute(cost, "b"), "120 bytes are more than 100");
/// assert!(budget.remark().is_some_and(|it| it.message.contains("1 constant")));
/// budget.build(2, "function `f`")?;
/// assert!(budget.build(1, "function `f`").is_err());
/// # Ok::<(), orogen_ir::diag::Diagnostic>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Budget(Rc<State>);

#[derive(Debug, Default)]
struct State {
    limits: Cell<Limits>,
    bytes: Cell<u64>,
    operations: Cell<u64>,
    nodes: Cell<u64>,
    /// Nodes by what they were built for.
    users: RefCell<IndexMap<String, u64>>,
    refused: RefCell<Refused>,
}

/// Constants that were not computed.
#[derive(Debug, Default)]
struct Refused {
    count: u64,
    first: Option<(String, Cost)>,
}

const HELP: &str = "`--budget N` allows N times as much";

impl Budget {
    /// Code of the error of [`build`](Self::build).
    pub const SPENT: &str = "O030";

    /// A budget of which nothing is spent.
    pub fn new(limits: Limits) -> Self {
        Budget(Rc::new(State { limits: Cell::new(limits), ..State::default() }))
    }

    /// Allows this much more.
    pub fn raise(&self, by: Limits) {
        let Limits { bytes, operations, nodes } = self.0.limits.get();
        self.0.limits.set(Limits {
            bytes: bytes.saturating_add(by.bytes),
            operations: operations.saturating_add(by.operations),
            nodes: nodes.saturating_add(by.nodes),
        });
    }

    /// Takes what computing results of `what` costs; `false` when it does not fit, and it should be left to run time.
    pub fn compute(&self, cost: Cost, what: &str) -> bool {
        let (state, limits) = (&*self.0, self.0.limits.get());
        let bytes = state.bytes.get().saturating_add(cost.bytes);
        let operations = state.operations.get().saturating_add(cost.operations);
        if bytes.saturating_add(cost.scratch) > limits.bytes || operations > limits.operations {
            let mut refused = state.refused.borrow_mut();
            refused.count += 1;
            refused.first.get_or_insert_with(|| (what.to_owned(), cost));
            return false;
        }
        state.bytes.set(bytes);
        state.operations.set(operations);
        true
    }

    /// Takes nodes that are built once more, for `what`.
    ///
    /// # Errors
    /// When more would be built than the budget allows; the error says what took how many.
    pub fn build(&self, count: u64, what: &str) -> Result<(), Diagnostic> {
        let mut users = self.0.users.borrow_mut();
        let total = self.0.nodes.get().saturating_add(count);
        if total <= self.0.limits.get().nodes {
            self.0.nodes.set(total);
            match users.get_mut(what) {
                Some(spent) => *spent += count,
                None => {
                    users.insert(what.to_owned(), count);
                }
            }
            return Ok(());
        }
        let message = format!("more than {} nodes are built for {what}", self.0.limits.get().nodes);
        let mut users: Vec<(&String, &u64)> = users.iter().collect();
        users.sort_by(|a, b| b.1.cmp(a.1));
        let notes = users.iter().take(3).map(|(what, spent)| format!("{what} took {spent} nodes"));
        Err(notes.fold(Diagnostic::error(Self::SPENT, message), Diagnostic::note).help(HELP))
    }

    /// What was left to run time because the budget does not allow it.
    pub fn remark(&self) -> Option<Diagnostic> {
        let refused = self.0.refused.borrow();
        let (what, cost) = refused.first.as_ref()?;
        let constants = if refused.count == 1 { "constant is" } else { "constants are" };
        let message = format!(
            "{} {constants} computed at run time: computing more would exceed the budget of the compilation",
            refused.count
        );
        let Limits { bytes, operations, .. } = self.0.limits.get();
        let remark = Diagnostic::remark("O031", message)
            .note(format!(
                "the first is {what}: {} operations, {} bytes and {} meanwhile",
                cost.operations, cost.bytes, cost.scratch
            ))
            .note(format!(
                "of {operations} operations {} are spent, of {bytes} bytes {}",
                self.0.operations.get(),
                self.0.bytes.get()
            ))
            .help(HELP);
        Some(remark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Severity;

    #[test]
    fn what_does_not_fit_costs_nothing() {
        let budget = Budget::new(Limits { bytes: 100, operations: 100, nodes: 0 });
        let cost = |bytes, scratch, operations| Cost { bytes, scratch, operations };
        assert!(!budget.compute(cost(0, 101, 0), "scratch"));
        assert!(!budget.compute(cost(0, 0, 101), "operations"));
        assert!(!budget.compute(cost(u64::MAX, u64::MAX, 0), "overflow"));
        assert!(budget.compute(cost(50, 50, 100), "all"), "U3");
        assert!(budget.compute(cost(50, 0, 0), "scratch is given back"));
        assert!(!budget.compute(cost(1, 0, 0), "spent"));
        let remark = budget.remark().expect("something was refused");
        assert_eq!(remark.severity, Severity::Remark);
        let text = remark.to_string();
        assert!(text.contains("4 constants") && text.contains("the first is scratch"), "{text}");
        assert!(Budget::default().remark().is_none());
    }

    #[test]
    fn an_error_says_what_took_the_nodes() {
        let budget = Budget::new(Limits { nodes: 5, ..Limits::default() }.times(2));
        for (count, what) in [(3, "function `f`"), (4, "the loop `l`"), (2, "function `f`")] {
            budget.build(count, what).expect("10 are allowed");
        }
        let error = budget.clone().build(2, "branches").expect_err("11 are not").to_string();
        for part in
            ["more than 10 nodes", "for branches", "function `f` took 5", "loop `l` took 4", "--budget"]
        {
            assert!(error.contains(part), "{part} in {error}");
        }
        budget.build(1, "the last").expect("U3");
    }
}
