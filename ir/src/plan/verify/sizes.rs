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
    fn dims(self) -> impl Iterator<Item = Dim> {
        let (first, second) = match self {
            Question::AtMost(a, b) | Question::Equal(a, b) => (a, Some(b)),
            Question::Divides(_, d) => (d, None),
        };
        std::iter::once(first).chain(second)
    }

    fn map(self, mut map: impl FnMut(Dim) -> Option<Dim>) -> Option<Self> {
        Some(match self {
            Question::AtMost(a, b) => Question::AtMost(map(a)?, map(b)?),
            Question::Equal(a, b) => Question::Equal(map(a)?, map(b)?),
            Question::Divides(k, d) => Question::Divides(k, map(d)?),
        })
    }

    fn at(self, shapes: &ShapeCx, values: &dyn Fn(Sym) -> Option<i64>) -> Option<bool> {
        let value = |d: Dim| shapes.as_int(d).or_else(|| shapes.eval_with(d, values));
        Some(match self {
            Question::AtMost(a, b) => value(a)? <= value(b)?,
            Question::Equal(a, b) => value(a)? == value(b)?,
            Question::Divides(k, d) => value(d)?.checked_rem(k)? == 0,
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
        })
    }

    fn proven(self, shapes: &ShapeCx) -> bool {
        match self {
            Question::AtMost(a, b) => shapes.is_le(a, b),
            Question::Equal(a, b) => shapes.prove_eq(a, b).is_always(),
            Question::Divides(k, d) => shapes.divides(k, d).is_always(),
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
        if self.on_entry.get(&question) == Some(&true) {
            return Answer::Proven;
        }
        if question.dims().all(|it| self.shapes.as_int(it).is_some()) {
            return match question.at(&self.shapes, &|_| None) {
                Some(true) => Answer::Proven,
                _ => Answer::Refuted(String::new()),
            };
        }
        let value = |run: usize, sym: Sym| known.runs.value(&self.samples, run, sym);
        let refutes = |run: &usize| question.at(&self.shapes, &|sym| value(*run, sym)) == Some(false);
        if let Some(run) = known.runs.here(self.samples.count()).find(refutes) {
            return Answer::Refuted(self.witness(question, &|sym| value(run, sym)));
        }
        match self.proven_on_entry(question) || self.proven_here(question, known) {
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

    /// With the definitions and checks before.
    fn proven_here(&mut self, question: Question, known: &Established) -> bool {
        let Some(question) = question.map(|it| known.resolve(&mut self.shapes, it)) else { return false };
        if self.proven_on_entry(question) {
            return true;
        }
        // Behind checks that contradict each other nothing ever runs.
        if known.unreachable {
            return true;
        }
        let facts = known.about(&mut self.shapes, question.dims());
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
    fn witness(&self, question: Question, value: &dyn Fn(Sym) -> Option<i64>) -> String {
        let mut found = Vec::new();
        for sym in question.dims().flat_map(|it| self.shapes.free_symbols(it)) {
            let text = format!("{} = {}", self.shapes.display_sym(sym), value(sym).unwrap_or_default());
            if !found.contains(&text) {
                found.push(text);
            }
        }
        if found.is_empty() { String::new() } else { format!(" ({})", found.join(", ")) }
    }
}
