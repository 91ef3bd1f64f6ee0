//! What exploration did.

use super::cost::Work;
use super::saturate::{Saturation, Stop};
use indexmap::IndexMap;
use std::fmt;
use std::sync::Arc;

/// How often a rule merged two classes.
pub type RuleCount = (Arc<str>, usize);

/// What exploration did to a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExploreReport {
    /// Parts of blocks that were explored.
    pub regions: usize,
    /// Parts that changed.
    pub changed: usize,
    /// How many parts ended for which reason.
    pub stops: IndexMap<Stop, usize>,
    /// Rounds of all parts.
    pub iterations: usize,
    /// Nodes of all e-graphs.
    pub nodes: usize,
    /// Rules that merged classes, in the order in which they first did.
    pub fired: IndexMap<Arc<str>, usize>,
    /// Programs that were lowered to be compared; `None` where costs are those of operators.
    pub lowerings: Option<usize>,
    /// What came in.
    pub before: Work,
    /// What came out.
    pub after: Work,
}

impl ExploreReport {
    pub(super) fn add(&mut self, saturation: &Saturation, nodes: usize) {
        self.regions += 1;
        self.iterations += saturation.iterations;
        self.nodes += nodes;
        *self.stops.entry(saturation.stop).or_insert(0) += 1;
        for (rule, count) in &saturation.fired {
            *self.fired.entry(rule.clone()).or_insert(0) += count;
        }
    }

    /// Rules that merged classes, the most frequent first.
    pub fn rules(&self) -> Vec<RuleCount> {
        let mut rules: Vec<RuleCount> =
            self.fired.iter().map(|(rule, count)| (rule.clone(), *count)).collect();
        rules.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        rules
    }
}

impl fmt::Display for ExploreReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stops: Vec<String> = self.stops.iter().map(|(stop, count)| format!("{count} {stop}")).collect();
        let rules: Vec<String> =
            self.rules().iter().map(|(rule, count)| format!("{rule} ({count})")).collect();
        let or_none = |list: Vec<String>| if list.is_empty() { "none".to_string() } else { list.join(", ") };
        writeln!(f, "parts: {} explored ({}), {} changed", self.regions, or_none(stops), self.changed)?;
        writeln!(f, "e-graphs: {} nodes in {} rounds", self.nodes, self.iterations)?;
        writeln!(f, "rules: {}", or_none(rules))?;
        if let Some(count) = self.lowerings {
            writeln!(f, "compared as kernels: {count} programs")?;
        }
        writeln!(f, "before: {}", self.before)?;
        write!(f, "after: {}", self.after)
    }
}
