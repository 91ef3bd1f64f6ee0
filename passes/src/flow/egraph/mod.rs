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
//!   `match_cast` are not looked into, and what has a symbol that they say something of stays behind them, unless it
//!   fits by shapes alone.
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
use crate::rewrite::{AnyRule, RuleSet};
use crate::rules::apply::ApplyRules;
use crate::rules::explored::ExploredRules;
pub use crate::rules::explored::RULES;
use cost::Moves;
use extract::Extraction;
use lowered::{Judge, Lowering};
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::{BindingId, BlockKind, Editor, Module};
use orogen_ir::ops::OpRegistry;
use region::{Choices, Region, Replaced};
use std::sync::{Arc, OnceLock};

/// Replaces parts of dataflow blocks by the cheapest programs that rules show to be the same.
#[derive(Clone, Debug)]
pub struct Explore {
    /// Read when they are needed first.
    rules: OnceLock<RuleSet>,
    sources: Option<Box<Sources>>,
    budget: ExploreBudget,
    /// What lowers and fuses, where programs are compared by what is left then.
    lowering: Option<Lowering>,
}

/// Where rules come from: those that are data of the steps that apply rules, and those for equality saturation alone.
#[derive(Clone, Debug)]
struct Sources {
    steps: [ApplyRules; 2],
    explored: ExploredRules,
}

impl Sources {
    /// All of them.
    ///
    /// # Panics
    /// When `ops` lacks a standard operator, and when two rules have one name.
    fn rules(&self, ops: &OpRegistry) -> RuleSet {
        let mut set = RuleSet::default();
        let data = self.steps.iter().flat_map(|it| it.rules().rules()).chain(self.explored.rules(ops));
        for rule in data {
            let AnyRule::Text(rule) = rule else { continue };
            set.insert_rewrite(ops, rule.clone())
                .unwrap_or_else(|found| panic!("rules of a compiler have names of their own: {found}"));
        }
        set
    }
}

impl Explore {
    /// With the rules that ship: those of [`RULES`], and those that are data of the steps `simplify` and `layout`.
    ///
    /// # Panics
    /// When `ops` lacks a standard operator.
    pub fn standard(ops: &OpRegistry) -> Self {
        let steps = [ApplyRules::simplify(ops), ApplyRules::layout(ops)];
        Self::of_steps(steps, ExploredRules::default(), ExploreBudget::default())
    }

    /// With the rules that are data of these steps, and those for equality saturation alone. It reads them when it runs first.
    /// No two rules have one name.
    pub fn of_steps(steps: [ApplyRules; 2], explored: ExploredRules, budget: ExploreBudget) -> Self {
        let sources = Some(Box::new(Sources { steps, explored }));
        Explore { rules: OnceLock::new(), sources, budget, lowering: None }
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
        self.rules.get_or_init(|| self.sources.as_ref().map_or_else(RuleSet::default, |it| it.rules(ops)))
    }

    /// With these rules.
    pub fn new(rules: RuleSet, budget: ExploreBudget) -> Self {
        Explore { rules: OnceLock::from(rules), sources: None, budget, lowering: None }
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
        let mut parts: Vec<Part<'_>> = Vec::new();
        for (function, bindings) in self.parts(module, cx.ops) {
            let mut found = None;
            module.edit_function(cx.ops, &function, |editor| -> Result<(), Diagnostics> {
                found = self.part(editor, bindings, cx, &mut report)?;
                Ok(())
            })?;
            parts.extend(found.map(|(region, proposals)| Part { function, region, proposals }));
        }
        match &mut judge {
            Some(judge) => report.changed = judged(module, &parts, judge, cx)?,
            None => {
                let first: Vec<Option<&Proposal>> = parts.iter().map(|it| it.cheaper(0)).collect();
                let extractions = parts.iter().filter_map(|it| Some((&it.proposals.first()?.extraction, it)));
                for (Extraction { before, after }, part) in extractions {
                    report.before = report.before + before.work;
                    report.after =
                        report.after + if part.cheaper(0).is_some() { after.work } else { before.work };
                }
                report.changed = write(module, &parts, &first, &mut Replaced::default(), cx.ops)?;
            }
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
    ) -> Result<Option<(Region<'a>, Vec<Proposal>)>, Diagnostics> {
        let mut region = Region::read(editor, cx.ops, bindings);
        if region.is_empty() {
            region.give_back(editor);
            return Ok(None);
        }
        let rules = (self.rules(cx.ops), cx.accuracy);
        let saturation = saturate::saturate(&mut region.graph, &cx.folding, rules, &self.budget);
        let mut proposals: Vec<Proposal> = Vec::new();
        if let Ok(found) = &saturation {
            for moves in [Moves::Apart, Moves::Fused] {
                let choices = region.choices(moves, &found.together);
                let found = extract::extract(&choices.problem, self.budget.programs);
                let known = |it: &Extraction| proposals.iter().any(|of| of.is_same(it));
                if let Some(extraction) = found.filter(|it| !known(it)) {
                    proposals.push(Proposal { choices, extraction });
                }
            }
        }
        let nodes = region.graph.total_size();
        region.give_back(editor);
        report.add(&saturation?, nodes);
        Ok(Some((region, proposals)))
    }
}

/// A part of a block with what may replace it.
struct Part<'a> {
    function: String,
    region: Region<'a>,
    /// One for each view of what becomes of moves, or one that is the same in both.
    proposals: Vec<Proposal>,
}

impl Part<'_> {
    /// What a view proposes, where it is cheaper.
    fn cheaper(&self, view: usize) -> Option<&Proposal> {
        self.proposals.get(view).or(self.proposals.last()).filter(|it| it.is_cheaper())
    }
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

    /// Whether the same is chosen: choices of one region have the same numbers.
    fn is_same(&self, other: &Extraction) -> bool {
        self.extraction.after.order == other.after.order
    }
}

/// Writes what is lowered to the cheapest kernels; how many parts changed. Each view is tried on all parts at once, which is
/// lowered once; where neither is cheaper, part by part.
fn judged(
    module: &mut Module,
    parts: &[Part<'_>],
    judge: &mut Judge,
    cx: &PassCx<'_>,
) -> Result<usize, Diagnostics> {
    let before = module.clone();
    let mut changed = 0;
    let mut trial =
        |chosen: &[Option<&Proposal>], on: &mut (Module, Replaced)| -> Result<usize, Diagnostics> {
            let (mut trial, mut replaced) = on.clone();
            let written = write(&mut trial, parts, chosen, &mut replaced, cx.ops)?;
            let better = written > 0 && judge.prefers(&trial, cx);
            if better {
                *on = (trial, replaced);
            }
            Ok(if better { written } else { 0 })
        };
    let differ = parts.iter().any(|it| it.proposals.len() > 1);
    for view in 0..if differ { 2 } else { 1 } {
        let chosen: Vec<Option<&Proposal>> = parts.iter().map(|it| it.cheaper(view)).collect();
        let mut on = (before.clone(), Replaced::default());
        match trial(&chosen, &mut on)? {
            0 => {}
            written => (*module, changed) = (on.0, written),
        }
    }
    if changed > 0 || parts.len() < 2 {
        return Ok(changed);
    }
    let mut on = (before, Replaced::default());
    for (i, part) in parts.iter().enumerate() {
        for view in 0..part.proposals.len() {
            let mut chosen = vec![None; parts.len()];
            chosen[i] = part.cheaper(view);
            let written = trial(&chosen, &mut on)?;
            changed += written;
            if written > 0 {
                break;
            }
        }
    }
    if changed > 0 {
        *module = on.0;
    }
    Ok(changed)
}

/// Writes proposals of parts; how many could be.
fn write(
    module: &mut Module,
    parts: &[Part<'_>],
    chosen: &[Option<&Proposal>],
    replaced: &mut Replaced,
    ops: &OpRegistry,
) -> Result<usize, Diagnostics> {
    let mut written = 0;
    for (part, proposal) in parts.iter().zip(chosen) {
        let Some(Proposal { choices, extraction }) = proposal else { continue };
        module.edit_function(ops, &part.function, |editor| {
            written += usize::from(part.region.write(editor, choices, &extraction.after, replaced));
            Ok::<(), Diagnostics>(())
        })?;
    }
    Ok(written)
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
