//! The table of passes, and pipelines of them.

use super::definition::{Parts, PassClass, PassDef, When};
use super::named::NAMED;
use super::settings::{OptionDef, Settings};
use super::standard::STANDARD;
use crate::manager::{
    Accuracy, Fact, Facts, Held, Ir, ListEdit, Pass, PassCall, PassInfo, PassList, Pipeline, Place, Step,
    check_order, nearest,
};
use crate::rewrite::AnyRule;
use crate::rules::apply::ApplyRules;
use crate::rules::explored::ExploredRules;
use crate::rules::legalize::LegalizeTable;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::Module;
use orogen_ir::graph::Graph;
use orogen_ir::ops::OpRegistry;
use std::sync::Arc;

/// A step that turns a program of one IR into another one: no pass, but it has a name where passes are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Its name.
    pub name: &'static str,
    /// What it does: one sentence, without a full stop.
    pub about: &'static str,
    /// Its step; for a translation that step above which it takes place.
    pub step: Step,
    /// What it says of facts.
    pub facts: Facts,
}

impl Turn {
    /// As passes are seen.
    pub fn info(&self) -> PassInfo {
        PassInfo { name: self.name, step: self.step, facts: self.facts }
    }
}

/// From the legacy graph to the dataflow IR.
pub const TRANSLATE: Turn = Turn {
    name: "translate",
    about: "takes a legacy graph to the dataflow IR, operation by operation",
    step: Step::Import,
    facts: Facts::KEEPS_ALL,
};

/// From either IR to a plan.
pub const PLAN_MEMORY: Turn = Turn {
    name: "plan-memory",
    about: "gives every buffer memory, and ends with a plan of calls",
    step: Step::PlanMemory,
    facts: Facts { requires: &[Fact::Legalized], ..Facts::KEEPS_ALL },
};

/// Both.
pub const TURNS: [Turn; 2] = [TRANSLATE, PLAN_MEMORY];

/// The code of a pass that is of the other path.
pub const OTHER_PATH: &str = "N021";

/// A path that passes are on.
pub trait Path: Ir + Sized + 'static {
    /// The pass of a definition on this path; `None` where it has none.
    fn make(
        def: &PassDef,
        parts: &Parts<'_>,
        settings: &Settings,
    ) -> Option<Result<Arc<dyn Pass<Self>>, Diagnostic>>;

    /// The path as messages say it.
    const ON: &'static str;

    /// The other one.
    const OTHER: &'static str;

    /// All passes of the path, in the order of the table.
    fn all(passes: &Passes) -> &Pipeline<Self>;

    /// Whether the other path has a pass of that name.
    fn is_on_other(passes: &Passes, name: &str) -> bool;
}

impl Path for Graph {
    const ON: &'static str = "the legacy path";
    const OTHER: &'static str = "the dataflow path";

    fn make(
        def: &PassDef,
        parts: &Parts<'_>,
        settings: &Settings,
    ) -> Option<Result<Arc<dyn Pass<Self>>, Diagnostic>> {
        Some(def.graph?(parts, settings))
    }

    fn all(passes: &Passes) -> &Pipeline<Self> {
        &passes.graph
    }

    fn is_on_other(passes: &Passes, name: &str) -> bool {
        passes.flow.get(name).is_some()
    }
}

impl Path for Module {
    const ON: &'static str = "the dataflow path";
    const OTHER: &'static str = "the legacy path";

    fn make(
        def: &PassDef,
        parts: &Parts<'_>,
        settings: &Settings,
    ) -> Option<Result<Arc<dyn Pass<Self>>, Diagnostic>> {
        Some(def.flow?(parts, settings))
    }

    fn all(passes: &Passes) -> &Pipeline<Self> {
        &passes.flow
    }

    fn is_on_other(passes: &Passes, name: &str) -> bool {
        passes.graph.get(name).is_some()
    }
}

/// The passes of a compiler while it is put together: those that ship and what is added.
#[derive(Default)]
pub struct PassTable {
    defs: Vec<(Option<Place>, PassDef)>,
    graph: Vec<(Place, Arc<dyn Pass<Graph>>)>,
    flow: Vec<(Place, Arc<dyn Pass<Module>>)>,
}

impl PassTable {
    /// Those that ship.
    pub fn standard() -> PassTable {
        let defs = STANDARD.iter().map(|it| (None, *it)).collect();
        PassTable { defs, ..PassTable::default() }
    }

    /// Adds a pass that can be named, with options, at a place. Its step becomes that of the place.
    pub fn define(&mut self, place: Place, def: PassDef) {
        self.defs.push((Some(place), def));
    }

    /// Adds a pass over the legacy graph. It is on.
    pub fn graph_pass(&mut self, place: Place, pass: Arc<dyn Pass<Graph>>) {
        self.graph.push((place, pass));
    }

    /// Adds a pass over the dataflow IR. It is on.
    pub fn flow_pass(&mut self, place: Place, pass: Arc<dyn Pass<Module>>) {
        self.flow.push((place, pass));
    }

    /// Names of the passes that were added.
    pub fn added(&self) -> impl Iterator<Item = &'static str> {
        let defs = self.defs.iter().filter(|it| it.0.is_some()).map(|it| it.1.name);
        let own = self.graph.iter().map(|it| it.1.name()).chain(self.flow.iter().map(|it| it.1.name()));
        defs.chain(own)
    }

    /// Makes all passes, each with what its options are by default.
    ///
    /// # Errors
    /// Places that are not there, names that are taken, and what a pass says when it is made.
    pub fn build(
        self,
        ops: &OpRegistry,
        table: LegalizeTable,
        simplify: ApplyRules,
        layout: ApplyRules,
        explored: ExploredRules,
    ) -> Result<Passes, Diagnostics> {
        let parts = Parts { ops, table: &table, simplify: &simplify, layout: &layout, explored: &explored };
        let mut found = Diagnostics::new();
        let graph = all(&self.defs, &parts, self.graph, &mut found);
        // A build without the dataflow IR has no passes over it, and so no places among them.
        let flow = match orogen_ir::flow::available() {
            Ok(()) => all(&self.defs, &parts, self.flow, &mut found),
            Err(_) => Pipeline::default(),
        };
        for (_, def) in self.defs.iter().filter(|it| it.0.is_some()) {
            if is_pipeline(def.name) {
                found.push(taken(def.name));
            }
        }
        // What is wrong on both paths is said once.
        let mut once = Diagnostics::new();
        for it in found.0 {
            if !once.0.contains(&it) {
                once.push(it);
            }
        }
        let defs = self.defs.into_iter().map(|it| it.1).collect();
        once.into_result(Passes { defs, graph, flow, table, simplify, layout, explored })
    }
}

fn taken(name: &str) -> Diagnostic {
    Diagnostic::error("N002", format!("`{name}` is a pipeline, and cannot be a pass too"))
        .help("give the pass another name")
}

fn is_pipeline(name: &str) -> bool {
    NAMED.iter().any(|it| it.name == name) || TURNS.iter().any(|it| it.name == name)
}

/// All passes of a path, in order, whether they are on or not.
fn all<I: Path>(
    defs: &[(Option<Place>, PassDef)],
    parts: &Parts<'_>,
    own: Vec<(Place, Arc<dyn Pass<I>>)>,
    found: &mut Diagnostics,
) -> Pipeline<I> {
    let mut pipeline = Pipeline::default();
    for (place, def) in defs {
        let settings = Settings::of(def.name, def.options, &[]);
        let made = settings.and_then(|it| I::make(def, parts, &it).transpose());
        let outcome = match (made, place) {
            (Ok(None), _) => Ok(()),
            (Err(it), _) => Err(it),
            (Ok(Some(pass)), _) if pass.name() != def.name => {
                let message = format!("definition `{}` makes pass `{}`", def.name, pass.name());
                Err(Diagnostic::error("N002", message).help("give both one name"))
            }
            (Ok(Some(pass)), Some(place)) => pipeline.insert_shared(place.clone(), pass),
            (Ok(Some(pass)), None) => {
                pipeline.push(def.step, pass);
                Ok(())
            }
        };
        found.0.extend(outcome.err());
    }
    for (place, pass) in own {
        if is_pipeline(pass.name()) {
            found.push(taken(pass.name()));
        }
        found.0.extend(pipeline.insert_shared(place, pass).err());
    }
    pipeline
}

/// The passes of a compiler, by name.
#[derive(Debug)]
pub struct Passes {
    defs: Vec<PassDef>,
    /// All of each path, in order.
    graph: Pipeline<Graph>,
    flow: Pipeline<Module>,
    table: LegalizeTable,
    simplify: ApplyRules,
    layout: ApplyRules,
    explored: ExploredRules,
}

/// What is known of a pass.
#[derive(Clone, Debug, PartialEq)]
pub struct PassRow {
    /// Its name.
    pub name: &'static str,
    /// Its step.
    pub step: Step,
    /// Whether it is on the legacy path.
    pub on_graph: bool,
    /// Whether it is on the dataflow path.
    pub on_flow: bool,
    /// What it says of facts.
    pub facts: Facts,
    /// How exact it is; nobody knows of a pass that was added without a definition.
    pub class: Option<PassClass>,
    /// When it runs.
    pub when: When,
    /// What it does; empty for a pass that was added without a definition.
    pub about: &'static str,
    /// What can be set.
    pub options: &'static [OptionDef],
}

impl Passes {
    /// Every pass, in order; those of one place alone on the legacy path after those of the dataflow path.
    pub fn rows(&self) -> Vec<PassRow> {
        let mut rows: Vec<PassRow> = Vec::new();
        let row = |it: PassInfo| {
            let def = self.def(it.name);
            PassRow {
                name: it.name,
                step: it.step,
                on_graph: self.graph.get(it.name).is_some(),
                on_flow: self.flow.get(it.name).is_some(),
                facts: it.facts,
                class: def.map(|it| it.class),
                when: def.map_or(When::Admitted, |it| it.when),
                about: def.map_or("", |it| it.about),
                options: def.map_or(&[], |it| it.options),
            }
        };
        rows.extend(self.flow.passes().map(row));
        for it in self.graph.passes() {
            if rows.iter().all(|row| row.name != it.name) {
                let at = rows.iter().rposition(|row| row.step <= it.step).map_or(0, |it| it + 1);
                rows.insert(at, row(it));
            }
        }
        rows
    }

    /// What a pass of the legacy path says of itself.
    pub fn graph_info(&self, name: &str) -> Option<PassInfo> {
        self.graph.passes().find(|it| it.name == name)
    }

    /// What a pass of the dataflow path says of itself.
    pub fn flow_info(&self, name: &str) -> Option<PassInfo> {
        self.flow.passes().find(|it| it.name == name)
    }

    /// The definition of a pass; none of one that was added without.
    pub fn def(&self, name: &str) -> Option<&PassDef> {
        self.defs.iter().find(|it| it.name == name)
    }

    /// The rules in the order they are tried, each with the pass that applies it: `simplify`, `layout` or `explore`, which
    /// applies those of the others too.
    ///
    /// # Panics
    /// When `ops` lacks a standard operator.
    pub fn rules(&self, ops: &OpRegistry) -> impl Iterator<Item = (&'static str, &AnyRule)> {
        let simplify = self.simplify.rules().rules().map(|it| ("simplify", it));
        let layout = self.layout.rules().rules().map(|it| ("layout", it));
        simplify.chain(layout).chain(self.explored.rules(ops).map(|it| ("explore", it)))
    }

    /// How operators are lowered.
    pub fn table(&self) -> &LegalizeTable {
        &self.table
    }

    /// The pipeline of a path: that of a list, or the one that runs by default with this accuracy. Of a list those passes
    /// alone whose steps `steps` holds for, so that a path needs what it runs and no more.
    ///
    /// # Errors
    /// `N020`: a name that is none. `N021`: a pass of the other path. `N024`: what is wrong with options. `N027`: a pass
    /// that the accuracy does not admit.
    pub fn pipeline<I: Path>(
        &self,
        ops: &OpRegistry,
        accuracy: Accuracy,
        list: Option<&PassList>,
        steps: impl Fn(Step) -> bool,
    ) -> Result<Pipeline<I>, Diagnostics> {
        let parts = Parts {
            ops,
            table: &self.table,
            simplify: &self.simplify,
            layout: &self.layout,
            explored: &self.explored,
        };
        let all = I::all(self);
        let defaults = |it: PassInfo| match self.def(it.name) {
            Some(def) => def.when == When::Admitted && def.class.is_admitted(accuracy),
            None => true,
        };
        let Some(list) = list else { return Ok(all.filter(|it| defaults(it) && steps(it.step))) };
        let mut found = Diagnostics::new();
        // The whole list is put together first: where a pass stands in it says which step it belongs to.
        let mut chosen: Vec<(Step, PassCall)> = Vec::new();
        let append_defaults = |chosen: &mut Vec<(Step, PassCall)>| {
            let names = all.passes().filter(|it| defaults(*it));
            chosen.extend(
                names.flat_map(|it| PassList::of([it.name]).0.into_iter().map(move |call| (it.step, call))),
            );
        };
        if list.is_change() {
            append_defaults(&mut chosen);
        }
        for call in self.spelt_out(&list.0, &mut found) {
            let step = self.step_of(&call.name);
            match call.edit {
                ListEdit::Append if call.name == "default" => append_defaults(&mut chosen),
                ListEdit::Append => chosen.push((step, call)),
                ListEdit::Put => {
                    chosen.retain(|it| it.1.name != call.name);
                    let order = |(step, call): &(Step, PassCall)| {
                        (*step, all.passes().position(|it| it.name == call.name).unwrap_or(usize::MAX))
                    };
                    let own = (step, call);
                    let at = chosen.iter().rposition(|it| order(it) < order(&own));
                    chosen.insert(at.map_or(0, |it| it + 1), own);
                }
                ListEdit::Drop => {
                    let before = chosen.len();
                    chosen.retain(|it| it.1.name != call.name);
                    if before == chosen.len() && all.get(&call.name).is_some() {
                        found.push(nothing_to_drop(&call.name, &chosen));
                    }
                }
            }
        }
        let mut pipeline = Pipeline::default();
        let mut last = Step::Import;
        for (step, call) in chosen {
            last = last.max(step);
            if steps(last) {
                match self.called::<I>(&call, &parts, accuracy) {
                    Ok(pass) => pipeline.push(last, pass),
                    Err(it) => found.push(it),
                }
            }
        }
        found.into_result(pipeline)
    }

    /// A pass of a list.
    fn called<I: Path>(
        &self,
        call: &PassCall,
        parts: &Parts<'_>,
        accuracy: Accuracy,
    ) -> Result<Arc<dyn Pass<I>>, Diagnostic> {
        let name = call.name.as_str();
        let Some((_, shared)) = I::all(self).get(name) else {
            let message = format!("there is no pass `{name}` on {}", I::ON);
            return Err(Diagnostic::error(OTHER_PATH, message)
                .note(format!("it is one of {}", I::OTHER))
                .help(match I::ON == Graph::ON {
                    true => "opt in to the dataflow IR: `--opt-in dataflow-ir`, or leave the pass out",
                    false => "leave it out, or take the opt-in back: `--opt-in legacy`",
                }));
        };
        let options: &[OptionDef] = self.def(name).map_or(&[], |it| it.options);
        let settings = Settings::of(name, options, &call.options)?;
        let Some(def) = self.def(name) else { return Ok(shared.clone()) };
        if !def.class.is_admitted(accuracy) {
            let message = format!(
                "pass `{name}` {}, which accuracy `{}` does not admit",
                says(def.class),
                accuracy.name()
            );
            let admits =
                Accuracy::ALL.into_iter().find(|it| def.class.is_admitted(*it)).unwrap_or(Accuracy::Fast);
            return Err(
                Diagnostic::error("N027", message).help(format!("`--accuracy {}` does", admits.name()))
            );
        }
        match call.options.is_empty() {
            true => Ok(shared.clone()),
            false => I::make(def, parts, &settings).unwrap_or_else(|| Ok(shared.clone())),
        }
    }

    /// The step of a pass on whichever path has it.
    fn step_of(&self, name: &str) -> Step {
        let on_flow = self.flow.get(name).map(|it| it.0);
        on_flow.or_else(|| self.graph.get(name).map(|it| it.0)).unwrap_or(Step::Import)
    }

    /// The items with names of pipelines spelt out, and without the planning of memory, which ends every compilation.
    /// Names that are none are noted.
    fn spelt_out(&self, calls: &[PassCall], found: &mut Diagnostics) -> Vec<PassCall> {
        let mut list = Vec::new();
        for (i, call) in calls.iter().enumerate() {
            let name = call.name.as_str();
            let named = NAMED.iter().find(|it| it.name == name);
            if let Some(named) = named.filter(|_| call.edit == ListEdit::Append) {
                if !call.options.is_empty() {
                    found.push(
                        Diagnostic::error("N024", format!("pipeline `{name}` has no options"))
                            .help("give options to its passes, one by one"),
                    );
                }
                match named.passes {
                    None => list.push(call.clone()),
                    Some(text) => list.extend(PassList::of(text.split(',')).0),
                }
            } else if name == PLAN_MEMORY.name && call.edit == ListEdit::Append && i + 1 == calls.len() {
                // It is what follows.
            } else if self.is_known(name) {
                list.push(call.clone());
            } else {
                found.push(self.unknown(name));
            }
        }
        list
    }

    fn is_known(&self, name: &str) -> bool {
        self.graph.get(name).is_some() || self.flow.get(name).is_some()
    }

    /// The error of a name that is no pass: where it may have come from, and the nearest ones.
    pub fn unknown(&self, name: &str) -> Diagnostic {
        if let Some(turn) = TURNS.iter().find(|it| it.name == name) {
            let message = format!("`{name}` cannot stand here: it {}", turn.about);
            return Diagnostic::error("N020", message)
                .help("a compilation does it by itself where it is due; `orogen opt` takes it by name");
        }
        let rows = self.rows();
        let names: Vec<&str> = rows.iter().map(|it| it.name).chain(NAMED.iter().map(|it| it.name)).collect();
        let near = nearest(name, names.iter().copied());
        let found = Diagnostic::error("N020", format!("there is no pass `{name}`"));
        match near {
            Some(near) => found.help(format!("`{near}` is one; `orogen passes` lists all")),
            None => found.help(format!("passes are: {}", names.join(", "))),
        }
    }

    /// Whether passes fit together in this order, on a program of which `held` holds.
    ///
    /// # Errors
    /// See [`check_order`].
    pub fn check_order(
        &self,
        passes: impl IntoIterator<Item = PassInfo>,
        held: Held,
    ) -> Result<(), Diagnostics> {
        let known: Vec<PassInfo> = self.flow.passes().chain(self.graph.passes()).collect();
        let mut once: Vec<PassInfo> = Vec::new();
        for it in known {
            if once.iter().all(|seen| seen.name != it.name) {
                once.push(it);
            }
        }
        check_order(passes, held, &once)
    }
}

/// The error of taking out what is not there.
fn nothing_to_drop(name: &str, chosen: &[(Step, PassCall)]) -> Diagnostic {
    let names: Vec<&str> = chosen.iter().map(|it| it.1.name.as_str()).collect();
    let found = Diagnostic::error("N020", format!("there is no pass `{name}` to take out"));
    match names.is_empty() {
        true => found.help("nothing stands before it"),
        false => found.help(format!("those before it are: {}", names.join(", "))),
    }
}

/// What a class is, as a clause.
fn says(class: PassClass) -> String {
    match class {
        PassClass::Of(class) => match class {
            crate::rewrite::RuleClass::Bitwise => "keeps every bit".to_owned(),
            it => it.to_string(),
        },
        PassClass::OfRules => "is as exact as its rules".to_owned(),
    }
}
