//! Questions about sizes: proven, refuted, or neither.
//!
//! A proof uses what the call itself makes sure of: the dimensions of inputs, the checks on entry, and the checks and
//! definitions on every path to the point in question. What a plan promises beyond that proves nothing. What is proven
//! is tried at sample sizes all the same: they share nothing with the prover, so a fault of it shows.

use super::facts::Established;
use super::samples::Samples;
use crate::shape::{Constraint, Dim, ShapeCx, Sym};
use indexmap::IndexMap;

/// What is asked, for all sizes that may occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Question {
    /// `a ≤ b`
    AtMost(Dim, Dim),
    /// `a = b`
    Equal(Dim, Dim),
    /// The number divides it.
    Divides(i64, Dim),
    /// Any relation.
    Holds(Constraint),
}

/// What is known of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Proven,
    /// With sizes for which it does not hold.
    Refuted(String),
    Open,
}

impl Question {
    pub(super) fn dims(self) -> impl Iterator<Item = Dim> {
        let (first, second) = match self {
            Question::AtMost(a, b) | Question::Equal(a, b) => (Some(a), Some(b)),
            Question::Divides(_, d) => (Some(d), None),
            Question::Holds(constraint) => {
                let mut dims = constraint.dims();
                (dims.next(), dims.next())
            }
        };
        first.into_iter().chain(second)
    }

    fn map(self, mut map: impl FnMut(Dim) -> Option<Dim>) -> Option<Self> {
        Some(match self {
            Question::AtMost(a, b) => Question::AtMost(map(a)?, map(b)?),
            Question::Equal(a, b) => Question::Equal(map(a)?, map(b)?),
            Question::Divides(k, d) => Question::Divides(k, map(d)?),
            Question::Holds(constraint) => Question::Holds(constraint.map(&mut |it| map(it).ok_or(())).ok()?),
        })
    }

    fn at(self, shapes: &ShapeCx, values: &dyn Fn(Sym) -> Option<i64>) -> Option<bool> {
        let value = |d: Dim| shapes.as_int(d).or_else(|| shapes.eval_with(d, values));
        Some(match self {
            Question::AtMost(a, b) => value(a)? <= value(b)?,
            Question::Equal(a, b) => value(a)? == value(b)?,
            Question::Divides(k, d) => value(d)?.checked_rem(k)? == 0,
            Question::Holds(constraint) => shapes.holds_with(&constraint, values)?,
        })
    }

    /// The same as a check; `None` where that overflows.
    pub(super) fn constraint(self, shapes: &mut ShapeCx) -> Option<Constraint> {
        Some(match self {
            Question::AtMost(a, b) => match (shapes.as_int(a), shapes.as_int(b)) {
                (Some(least), _) => Constraint::AtLeast(b, least),
                (_, Some(most)) => Constraint::AtMost(a, most),
                _ => Constraint::AtLeast(shapes.sub(b, a).ok()?, 0),
            },
            Question::Equal(a, b) => Constraint::Eq(a, b),
            Question::Divides(k, d) => Constraint::Multiple(d, k),
            Question::Holds(constraint) => constraint,
        })
    }

    fn proven(self, shapes: &ShapeCx) -> bool {
        match self {
            Question::AtMost(a, b) => shapes.is_le(a, b),
            Question::Equal(a, b) => shapes.prove_eq(a, b).is_always(),
            Question::Divides(k, d) => shapes.divides(k, d).is_always(),
            Question::Holds(constraint) => shapes.prove(constraint).is_always(),
        }
    }
}

/// What is known of sizes.
#[derive(Debug)]
pub(super) struct Sizes {
    /// A copy of the plan's context in which what holds on entry is known, and nothing else.
    pub(super) shapes: ShapeCx,
    pub(super) samples: Samples,
    /// Whether what holds on entry proves a question.
    on_entry: IndexMap<Question, bool>,
    /// Whether it does together with these facts.
    with: IndexMap<(Question, Vec<Constraint>), bool>,
}

impl Sizes {
    pub(super) fn new(shapes: ShapeCx, samples: Samples) -> Self {
        Sizes { shapes, samples, on_entry: IndexMap::new(), with: IndexMap::new() }
    }

    pub(super) fn ask(&mut self, question: Question, known: &Established) -> Answer {
        self.ask_within(question, &[], known)
    }

    /// The same where each of these extents is at least 1.
    pub(super) fn ask_within(&mut self, question: Question, within: &[Dim], known: &Established) -> Answer {
        if self.on_entry.get(&question) == Some(&true) {
            return Answer::Proven;
        }
        if question.dims().chain(within.iter().copied()).all(|it| self.shapes.as_int(it).is_some()) {
            let within = within.iter().all(|it| self.shapes.as_int(*it).is_some_and(|it| it >= 1));
            return match question.at(&self.shapes, &|_| None) {
                Some(false) | None if within => Answer::Refuted(String::new()),
                _ => Answer::Proven,
            };
        }
        let value = |run: usize, sym: Sym| known.runs.value(&self.samples, run, sym);
        let refutes = |run: &usize| {
            let at = |sym: Sym| value(*run, sym);
            let positive = |it: &Dim| {
                self.shapes.as_int(*it).or_else(|| self.shapes.eval_with(*it, &at)).is_some_and(|it| it >= 1)
            };
            within.iter().all(positive) && question.at(&self.shapes, &at) == Some(false)
        };
        if let Some(run) = known.runs.here(self.samples.count()).find(refutes) {
            return Answer::Refuted(self.witness(question, within, &|sym| value(run, sym)));
        }
        let proven = self.proven_on_entry(question)
            || self.proven_here(question, &[], known)
            || (!within.is_empty() && self.proven_here(question, within, known));
        match proven {
            true => Answer::Proven,
            false => Answer::Open,
        }
    }

    fn proven_on_entry(&mut self, question: Question) -> bool {
        if let Some(proven) = self.on_entry.get(&question) {
            return *proven;
        }
        let proven = question.proven(&self.shapes);
        self.on_entry.insert(question, proven);
        proven
    }

    /// With the definitions and checks before, where these extents are at least 1.
    fn proven_here(&mut self, question: Question, within: &[Dim], known: &Established) -> bool {
        let Some(question) = question.map(|it| known.resolve(&mut self.shapes, it)) else { return false };
        if self.proven_on_entry(question) {
            return true;
        }
        // Behind checks that contradict each other nothing ever runs.
        if known.unreachable {
            return true;
        }
        let within: Vec<Dim> = within.iter().filter_map(|it| known.resolve(&mut self.shapes, *it)).collect();
        let mut facts = known.about(&mut self.shapes, question.dims().chain(within.iter().copied()));
        facts.extend(within.into_iter().map(|it| Constraint::AtLeast(it, 1)));
        if facts.is_empty() {
            return false;
        }
        let key = (question, facts);
        if let Some(proven) = self.with.get(&key) {
            return *proven;
        }
        let saved = self.shapes.save_facts();
        // Behind checks that contradict each other nothing ever runs.
        let unreachable = key.1.iter().any(|it| self.shapes.assume(*it).is_err());
        let proven = unreachable || question.proven(&self.shapes);
        self.shapes.restore_facts(saved);
        self.with.insert(key, proven);
        proven
    }

    /// ` (n = 17, m = 3)`
    fn witness(&self, question: Question, within: &[Dim], value: &dyn Fn(Sym) -> Option<i64>) -> String {
        let mut found = Vec::new();
        let dims = question.dims().chain(within.iter().copied());
        for sym in dims.flat_map(|it| self.shapes.free_symbols(it)) {
            let text = format!("{} = {}", self.shapes.display_sym(sym), value(sym).unwrap_or_default());
            if !found.contains(&text) {
                found.push(text);
            }
        }
        if found.is_empty() { String::new() } else { format!(" ({})", found.join(", ")) }
    }
}
