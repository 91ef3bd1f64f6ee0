//! Exploring programs that are equal: an e-graph of one part of a dataflow block, and the cheapest program in it.
//!
//! The only place that names the crate `egg`, of which the e-graph itself is used: classes, congruence, analyses. Rules,
//! matching, budgets and extraction are here.
//!
//! # Laws
//! * **Q1** Only operations of a dataflow block that do no more than abort, have one result and bind no sizes are
//!   looked into. Everything else stays where it is, and reads what it read.
//! * **Q2** What is merged has one element type and one shape, proven. A rule that merges values whose types are known to
//!   differ is refused by name.
//! * **Q3** An operation that may abort may go when nothing needs its result, as everywhere in a dataflow block; none comes
//!   in of an operator that the left side of the rule does not have. What holds of sizes stays checked: `check` and
//!   `match_cast` are not looked into.
//! * **Q4** What comes out costs less than what came in, or nothing changes (see `extract`).
//! * **Q5** Budgets are counts, and the same module gives the same one.
//!
//! Whether a rule wants a value used once means nothing here: what else uses it is counted by the cost.
//!
//! Modules in reading order: `language`, `analysis`, `matching`, `saturate`, `cost`, `extract`, `region`, `report`.

mod analysis;
mod cost;
mod extract;
mod language;
mod matching;
mod region;
mod report;
mod saturate;

pub use cost::Work;
pub use report::{ExploreReport, RuleCount};
pub use saturate::{ExploreBudget, Stop};

use crate::manager::{Changed, Facts, Pass, PassCx};
use crate::rewrite::{AnyRule, RuleSet, parse_explored};
use crate::rules::apply::ApplyRules;
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::{BindingId, BlockKind, Editor, Module};
use orogen_ir::ops::OpRegistry;
use region::Region;
use std::sync::{Arc, OnceLock};

/// Replaces parts of dataflow blocks by the cheapest programs that rules show to be the same.
#[derive(Clone, Debug)]
pub struct Explore {
    /// Those that ship are read when they are needed first: that takes longer than most compilers live without them.
    rules: OnceLock<RuleSet>,
    budget: ExploreBudget,
}

/// The rules that ship, which may go in circles.
pub const RULES: &str = include_str!("../../../rules/explore.rules");

impl Explore {
    /// With the rules that ship: those of [`RULES`], and those that are data of the steps `simplify` and `layout`.
    ///
    /// # Panics
    /// When `ops` lacks a standard operator.
    pub fn standard(ops: &OpRegistry) -> Self {
        Self::new(standard_rules(ops), ExploreBudget::default())
    }

    /// The same, which reads the rules when it runs first.
    pub fn when_run(budget: ExploreBudget) -> Self {
        Explore { rules: OnceLock::new(), budget }
    }

    /// The same within another budget.
    #[must_use]
    pub fn with_budget(self, budget: ExploreBudget) -> Self {
        Explore { budget, ..self }
    }

    /// The rules.
    ///
    /// # Panics
    /// When `ops` lacks a standard operator, of one that reads the rules that ship.
    pub fn rules(&self, ops: &OpRegistry) -> &RuleSet {
        self.rules.get_or_init(|| standard_rules(ops))
    }

    /// With these rules.
    pub fn new(rules: RuleSet, budget: ExploreBudget) -> Self {
        Explore { rules: OnceLock::from(rules), budget }
    }

    /// Explores a module.
    ///
    /// # Errors
    /// `N005`: a rule says that two values are one whose types are known to differ.
    pub fn explore(&self, module: &mut Module, cx: &PassCx<'_>) -> Result<ExploreReport, Diagnostics> {
        let mut report = ExploreReport::default();
        module.edit(cx.ops, |editor| -> Result<(), Diagnostics> {
            for block in editor.blocks() {
                if editor.kind(block) != BlockKind::Dataflow {
                    continue;
                }
                for part in editor.order(block).chunks(self.budget.region.max(1)) {
                    self.region(editor, part.to_vec(), cx, &mut report)?;
                }
            }
            Ok(())
        })?;
        if report.changed > 0 {
            module.remove_dead_code(cx.ops);
        }
        Ok(report)
    }

    fn region(
        &self,
        editor: &mut Editor<'_>,
        bindings: Vec<BindingId>,
        cx: &PassCx<'_>,
        report: &mut ExploreReport,
    ) -> Result<(), Diagnostics> {
        let mut region = Region::read(editor, cx.ops, bindings);
        let outcome = match region.is_empty() {
            true => Ok(None),
            false => saturate::saturate(
                &mut region.graph,
                &cx.folding,
                (self.rules(cx.ops), cx.accuracy),
                &self.budget,
            )
            .map(|it| {
                let choices = region.choices();
                let extraction = extract::extract(&choices.problem, self.budget.programs);
                Some((it, choices, extraction))
            }),
        };
        let nodes = region.graph.total_size();
        region.give_back(editor);
        let Some((saturation, choices, extraction)) = outcome? else { return Ok(()) };
        report.add(&saturation, nodes);
        let Some(extraction) = extraction else { return Ok(()) };
        let is_cheaper = extraction.after.work.cost() < extraction.before.work.cost();
        let written = is_cheaper && region.write(editor, &choices, &extraction.after);
        report.changed += usize::from(written);
        report.before = report.before + extraction.before.work;
        report.after = report.after + if written { extraction.after.work } else { extraction.before.work };
        Ok(())
    }
}

/// The rules that ship.
fn standard_rules(ops: &OpRegistry) -> RuleSet {
    let mut set = RuleSet::default();
    let steps = [ApplyRules::simplify(ops), ApplyRules::layout(ops)];
    let data = steps.iter().flat_map(|it| it.rules().rules()).filter_map(|it| match it {
        AnyRule::Text(it) => Some(it.clone()),
        AnyRule::Code(_) => None,
    });
    let own =
        parse_explored(RULES, ops).unwrap_or_else(|found| panic!("rules over standard operators:\n{found}"));
    for rule in data.chain(own.into_iter().map(Arc::new)) {
        set.insert_rewrite(ops, rule)
            .unwrap_or_else(|found| panic!("rules over standard operators: {found}"));
    }
    set
}

impl Pass<Module> for Explore {
    fn name(&self) -> &'static str {
        "explore"
    }

    fn facts(&self) -> Facts {
        Facts::OVER_OPERATORS
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let report = self.explore(module, cx)?;
        let changed = report.changed > 0;
        cx.notes.push(("explore", report.to_string()));
        Ok(changed.into())
    }
}
