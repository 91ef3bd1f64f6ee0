//! What was shown of a plan.

use super::sizes::Question;
use crate::diag::{Diagnostic, Place};
use crate::loops::Requirements;
use crate::plan::{BufferRef, ShapeCheck, SlotId};
use crate::shape::{Constraint, ShapeCx};
use crate::types::Source;
use indexmap::IndexMap;
use std::collections::BTreeMap;
use std::fmt;

/// What a plan without violations was shown to keep.
///
/// Most laws can be decided. Where one depends on sizes, it asks questions that are proven for all sizes that may occur,
/// or refuted by some, which is a violation, or neither.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    /// By law.
    pub laws: BTreeMap<&'static str, Count>,
    /// What was neither proven nor refuted, as remarks under the lines of the printed plan.
    pub open: Vec<Diagnostic>,
    /// Checks that would answer it at run time.
    pub(super) guards: Vec<Guards>,
    /// What checks answer at run time that [`prove_module`](super::prove_module) put into the plan, as [`open`](Self::open)
    /// would tell it.
    pub checked: Vec<Diagnostic>,
}

/// Checks that answer questions when a plan runs.
#[derive(Clone, Debug)]
pub(super) struct Guards {
    /// The function, by its place in the module.
    pub(super) function: usize,
    /// Where the sizes of the checks live: the plan's own context and what was added.
    pub(super) shapes: ShapeCx,
    /// Each with the step before which it stands, counted as steps are printed.
    pub(super) checks: Vec<(usize, ShapeCheck)>,
}

/// Questions about sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How many there are.
    pub asked: usize,
    /// How many of them are proven.
    pub proven: usize,
}

impl Proof {
    /// All laws together.
    pub fn count(&self) -> Count {
        self.laws.values().fold(Count::default(), |sum, it| Count {
            asked: sum.asked + it.asked,
            proven: sum.proven + it.proven,
        })
    }

    /// The answers for the bodies of kernels.
    pub(super) fn add_kernels(&mut self, kernels: &[Requirements]) {
        for (law, proven) in kernels.iter().flat_map(|it| &it.proven) {
            let count = self.laws.entry(law).or_default();
            count.asked += proven;
            count.proven += proven;
        }
    }

    /// The answers for one plan of a module.
    pub(super) fn add(
        &mut self,
        function: usize,
        questions: Questions,
        shapes: &ShapeCx,
        mut place: impl FnMut(Spot) -> Place,
    ) {
        if !questions.guards.is_empty() {
            let checks = questions.guards.into_iter();
            let checks = checks.map(|((step, constraint), message)| {
                (step, ShapeCheck { constraint, message, source: Source::default() })
            });
            self.guards.push(Guards { function, shapes: shapes.clone(), checks: checks.collect() });
        }
        for ((law, spot, _), open) in questions.answers {
            let count = self.laws.entry(law).or_default();
            count.asked += 1;
            match open {
                None => count.proven += 1,
                Some(message) => {
                    let message =
                        format!("{law}: neither proven for all sizes nor refuted by any tried: {message}");
                    self.open.push(Diagnostic::remark("P013", message).at_place(place(spot)));
                }
            }
        }
    }

    /// Whether everything is proven.
    pub fn is_whole(&self) -> bool {
        self.open.is_empty()
    }
}

/// `412 of 412 questions about sizes are proven (P3 120, P4 80, P5 212)`
impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Count { asked, proven } = self.count();
        write!(f, "{proven} of {asked} questions about sizes are proven")?;
        let laws: Vec<String> = self.laws.iter().map(|(law, it)| format!("{law} {}", it.proven)).collect();
        if !laws.is_empty() {
            write!(f, " ({})", laws.join(", "))?;
        }
        match self.checked.len() {
            0 => Ok(()),
            n => write!(f, ", {n} of them by checks at run time"),
        }
    }
}

/// Where a law asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Spot {
    Plan,
    Slot(SlotId),
    Step(usize),
}

/// What is asked of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    Size(Question),
    /// Whether a buffer still holds what was written to it.
    Intact(BufferRef),
    /// Whether two buffers share no memory.
    Apart(BufferRef, BufferRef),
    /// A requirement of the kernel of a step, by its place among them.
    Required(usize),
}

/// The questions so far.
#[derive(Debug, Default)]
pub(super) struct Questions {
    /// Each once however often its step is walked, with what is said of it when it is open.
    answers: IndexMap<(&'static str, Spot, Asked), Option<String>>,
    /// What would answer the open ones at run time, by step, with what is said when it does not hold.
    guards: IndexMap<(usize, Constraint), String>,
}

impl Questions {
    /// A proof; it does not make up for a round of a loop in which there was none.
    pub(super) fn proven(&mut self, law: &'static str, spot: Spot, asked: Asked) {
        self.answers.entry((law, spot, asked)).or_insert(None);
    }

    /// A check in front of a step that would prove what is open.
    pub(super) fn guard(&mut self, step: usize, constraint: Constraint, message: &str) {
        self.guards
            .entry((step, constraint))
            .or_insert_with(|| format!("it is compiled for other sizes: it is not so that {message}"));
    }

    pub(super) fn open(&mut self, law: &'static str, spot: Spot, asked: Asked, message: String) {
        self.answers.insert((law, spot, asked), Some(message));
    }
}
