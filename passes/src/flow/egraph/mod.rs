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
//! * **Q4** What comes out costs less than what came in, or nothing changes: by operators (see `extract`), and where the
//!   steps that lower are known, by the kernels that are left (see `lowered`).
//! * **Q5** Budgets are counts, and the same module gives the same one.
//!
//! Whether a rule wants a value used once means nothing here: what else uses it is counted by the cost.
//!
//! Modules in reading order: `language`, `analysis`, `matching`, `saturate`, `cost`, `extract`, `region`, `lowered`, `report`.

mod analysis;
mod cost;
mod extract;
mod language;
mod lowered;
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
use cost::Moves;
use extract::Extraction;
use lowered::{Judge, Lowering};
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::{BindingId, BlockKind, Editor, Module};
use orogen_ir::ops::OpRegistry;
use region::{Choices, Region};
use std::sync::{Arc, OnceLock};

/// Replaces parts of dataflow blocks by the cheapest programs that rules show to be the same.
#[derive(Clone, Debug)]
pub struct Explore {
    /// Those that ship are read when they are needed first: that takes longer than most compilers live without them.
    rules: OnceLock<RuleSet>,
    budget: ExploreBudget,
    /// What lowers and fuses, where programs are compared by what is left then.
    lowering: Option<Lowering>,
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
        Explore { rules: OnceLock::new(), budget, lowering: None }
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
        Explore { rules: OnceLock::from(rules), budget, lowering: None }
    }

    /// The same, which keeps what costs less once these steps have lowered and fused it.
    #[must_use]
    pub fn judged_by(self, steps: impl IntoIterator<Item = Arc<dyn Pass<Module>>>) -> Self {
        Explore { lowering: Some(Lowering(steps.into_iter().collect())), ..self }
    }

    /// Explores a module.
    ///
    /// # Errors
    /// `N005`: a rule says that two values are one whose types are known to differ.
    pub fn explore(&self, module: &mut Module, cx: &PassCx<'_>) -> Result<ExploreReport, Diagnostics> {
        let mut report = ExploreReport::default();
        let mut judge =
            self.lowering.as_ref().and_then(|it| Judge::new(it, module, cx, self.budget.lowerings));
        if let Some(judge) = &judge {
            report.before = judge.best;
        }
        for (function, bindings) in self.parts(module, cx.ops) {
            let mut part = None;
            module.edit_function(cx.ops, &function, |editor| -> Result<(), Diagnostics> {
                part = self.part(editor, bindings, cx, &mut report)?;
                Ok(())
            })?;
            let Some(Part { region, proposals }) = part else { continue };
            let write = |module: &mut Module, proposal: &Proposal| {
                let mut written = false;
                let edited = module.edit_function(cx.ops, &function, |editor| {
                    written = region.write(editor, &proposal.choices, &proposal.extraction.after);
                    Ok::<(), Diagnostics>(())
                });
                edited.map(|()| written)
            };
            let mut changed = false;
            match &mut judge {
                Some(judge) => {
                    let before = module.clone();
                    for proposal in proposals.iter().filter(|it| it.is_cheaper()) {
                        let mut trial = before.clone();
                        if write(&mut trial, proposal)? && judge.prefers(&trial, cx) {
                            *module = trial;
                            changed = true;
                        }
                    }
                }
                None => {
                    let Some(proposal) = proposals.first() else { continue };
                    changed = proposal.is_cheaper() && write(module, proposal)?;
                    let Extraction { before, after } = &proposal.extraction;
                    report.before = report.before + before.work;
                    report.after = report.after + if changed { after.work } else { before.work };
                }
            }
            report.changed += usize::from(changed);
        }
        if let Some(judge) = judge {
            report.after = judge.best;
            report.lowerings = Some(judge.spent);
        }
        if report.changed > 0 {
            module.remove_dead_code(cx.ops);
        }
        Ok(report)
    }

    /// Parts of dataflow blocks, each with its function.
    fn parts(&self, module: &mut Module, ops: &OpRegistry) -> Vec<(String, Vec<BindingId>)> {
        let names: Vec<String> = module.functions().map(|(name, _)| name.to_owned()).collect();
        let mut parts = Vec::new();
        for name in names {
            let read = module.edit_function(ops, &name, |editor| {
                for block in editor.blocks() {
                    if editor.kind(block) == BlockKind::Dataflow {
                        let order = editor.order(block);
                        let each = order.chunks(self.budget.region.max(1));
                        parts.extend(each.map(|it| (name.clone(), it.to_vec())));
                    }
                }
                Ok::<(), std::convert::Infallible>(())
            });
            let Ok(()) = read;
        }
        parts
    }

    /// What is as good as a part or better, for each view of what becomes of moves.
    fn part<'a>(
        &self,
        editor: &mut Editor<'_>,
        bindings: Vec<BindingId>,
        cx: &PassCx<'a>,
        report: &mut ExploreReport,
    ) -> Result<Option<Part<'a>>, Diagnostics> {
        let mut region = Region::read(editor, cx.ops, bindings);
        if region.is_empty() {
            region.give_back(editor);
            return Ok(None);
        }
        let rules = (self.rules(cx.ops), cx.accuracy);
        let saturation = saturate::saturate(&mut region.graph, &cx.folding, rules, &self.budget);
        let mut proposals = Vec::new();
        if saturation.is_ok() {
            for moves in [Moves::Apart, Moves::Fused] {
                let choices = region.choices(moves);
                if let Some(extraction) = extract::extract(&choices.problem, self.budget.programs) {
                    proposals.push(Proposal { choices, extraction });
                }
            }
        }
        let nodes = region.graph.total_size();
        region.give_back(editor);
        report.add(&saturation?, nodes);
        Ok(Some(Part { region, proposals }))
    }
}

/// A part of a block with what may replace it.
struct Part<'a> {
    region: Region<'a>,
    proposals: Vec<Proposal>,
}

/// A program that is equal to a part.
struct Proposal {
    choices: Choices,
    extraction: Extraction,
}

impl Proposal {
    fn is_cheaper(&self) -> bool {
        self.extraction.after.work.cost() < self.extraction.before.work.cost()
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
