//! Passes in order, each at its place.

use super::{Changed, Facts, Held, Instrument, Ir, Pass, PassCx, Step};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where a pass goes, by the name of a pass or of a step: [`Place::before`], [`Place::after`].
///
/// A name is that of a pass, else of a step. Before a step is before its first pass, after a step is after its last
/// one, also where the step has none. Several passes at one place run in the order in which they were given it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    side: Side,
    anchor: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

impl Place {
    /// Right before a pass or a step, such as `"fuse"`.
    pub fn before(name: impl Into<String>) -> Place {
        Place { side: Side::Before, anchor: name.into() }
    }

    /// Right after a pass or a step, such as `"import"`.
    pub fn after(name: impl Into<String>) -> Place {
        Place { side: Side::After, anchor: name.into() }
    }
}

/// The pass that an instrument is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassInfo {
    /// Its name.
    pub name: &'static str,
    /// Its step.
    pub step: Step,
    /// What it says of facts.
    pub facts: Facts,
}

/// One pass of a finished run.
#[derive(Clone, Debug)]
pub struct PassRecord {
    /// Name of the pass.
    pub name: &'static str,
    /// Its step.
    pub step: Step,
    /// Whether it changed the IR.
    pub changed: Changed,
    /// Time it took; reported only, nothing depends on it.
    pub time: Duration,
}

/// What a pipeline did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Passes that ran, in order.
    pub passes: Vec<PassRecord>,
}

struct Entry<I: Ir> {
    step: Step,
    pass: Arc<dyn Pass<I>>,
    /// The place it was inserted at, when it was.
    place: Option<Place>,
}

impl<I: Ir> Clone for Entry<I> {
    fn clone(&self) -> Self {
        Entry { step: self.step, pass: self.pass.clone(), place: self.place.clone() }
    }
}

impl<I: Ir> Entry<I> {
    fn info(&self) -> PassInfo {
        PassInfo { name: self.pass.name(), step: self.step, facts: self.pass.facts() }
    }

    fn run(
        &self,
        ir: &mut I,
        cx: &mut PassCx<'_>,
        instruments: &mut [Box<dyn Instrument>],
    ) -> Result<PassRecord, Diagnostics> {
        let info = self.info();
        cx.held.get_or_insert_with(|| Held::of(ir.as_ir(), cx.ops)).admit(info)?;
        for instrument in &mut *instruments {
            instrument.before(ir.as_ir(), info, cx.ops)?;
        }
        let start = Instant::now();
        let changed = self.pass.run(ir, cx)?;
        let record = PassRecord { name: info.name, step: info.step, changed, time: start.elapsed() };
        for instrument in &mut *instruments {
            instrument.after(ir.as_ir(), info, changed, cx.ops)?;
        }
        if let Some(held) = &mut cx.held {
            held.after((ir.as_ir(), cx.ops), info, changed, cx.verify)?;
        }
        Ok(record)
    }
}

/// Passes in order. A copy shares them.
pub struct Pipeline<I: Ir> {
    entries: Vec<Entry<I>>,
}

impl<I: Ir> Clone for Pipeline<I> {
    fn clone(&self) -> Self {
        Pipeline { entries: self.entries.clone() }
    }
}

impl<I: Ir> Default for Pipeline<I> {
    fn default() -> Self {
        Pipeline { entries: Vec::new() }
    }
}

impl<I: Ir> std::fmt::Debug for Pipeline<I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.passes()).finish()
    }
}

impl<I: Ir> Pipeline<I> {
    /// Adds a pass at the end of a step. For pipelines written in code.
    ///
    /// # Panics
    /// When the name is taken (law N2).
    #[must_use]
    pub fn pass(mut self, step: Step, pass: impl Pass<I> + 'static) -> Self {
        assert!(self.find(pass.name()).is_none(), "pass `{}` stands twice in a pipeline", pass.name());
        self.push(step, Arc::new(pass));
        self
    }

    /// Adds a pass at the end of a step. It may be there already (law N2).
    pub fn push(&mut self, step: Step, pass: Arc<dyn Pass<I>>) {
        let at = self.after_step(step);
        self.entries.insert(at, Entry { step, pass, place: Some(Place::after(step.name())) });
    }

    /// Those passes for which it holds, in the same order.
    #[must_use]
    pub fn filter(&self, keep: impl Fn(PassInfo) -> bool) -> Self {
        Pipeline { entries: self.entries.iter().filter(|it| keep(it.info())).cloned().collect() }
    }

    /// The pass of that name, with its step.
    pub fn get(&self, name: &str) -> Option<(Step, &Arc<dyn Pass<I>>)> {
        let entry = &self.entries[self.find(name)?];
        Some((entry.step, &entry.pass))
    }

    /// Adds a pass at a place.
    ///
    /// # Errors
    /// `N001`: a place that is not there. `N002`: a name that is taken (law N2).
    pub fn insert(&mut self, place: Place, pass: impl Pass<I> + 'static) -> Result<(), Diagnostic> {
        self.insert_shared(place, Arc::new(pass))
    }

    /// As [`insert`](Self::insert), for passes of which only the interface is known.
    ///
    /// # Errors
    /// See [`insert`](Self::insert).
    pub fn insert_shared(&mut self, place: Place, pass: Arc<dyn Pass<I>>) -> Result<(), Diagnostic> {
        let name = pass.name();
        if self.find(name).is_some() {
            return Err(Diagnostic::error("N002", format!("there are two passes `{name}` on one path"))
                .help("give one of them another name"));
        }
        let (at, step) = self.resolve(&place).map_err(|it| it.at(format!("pass `{name}`")))?;
        self.entries.insert(at, Entry { step, pass, place: Some(place) });
        Ok(())
    }

    /// The index at which a pass at that place goes, and the step it belongs to from then on (law N1).
    fn resolve(&self, place: &Place) -> Result<(usize, Step), Diagnostic> {
        if let Some(pass) = self.find(&place.anchor) {
            let step = self.entries[pass].step;
            return Ok(match place.side {
                Side::Before => (pass, step),
                Side::After => (self.past(pass + 1, place), step),
            });
        }
        let step = Step::from_name(&place.anchor).ok_or_else(|| {
            let passes: Vec<&str> = self.passes().map(|it| it.name).collect();
            let steps: Vec<&str> = Step::ALL.into_iter().map(Step::name).collect();
            Diagnostic::error("N001", format!("there is no pass and no step `{}`", place.anchor))
                .help(format!("passes here are: {}; steps are: {}", passes.join(", "), steps.join(", ")))
        })?;
        match place.side {
            // The IR is there from the end of the import to the beginning of memory planning.
            Side::Before if step == Step::Import || step > Step::PlanMemory => Err(no_ir(place)),
            Side::After if step >= Step::PlanMemory => Err(no_ir(place)),
            Side::Before => {
                let first = self.entries.iter().position(|it| it.step >= step).unwrap_or(self.entries.len());
                Ok((self.past(first, place), step))
            }
            Side::After => Ok((self.after_step(step), step)),
        }
    }

    /// The index behind the last pass of a step and of those above it.
    fn after_step(&self, step: Step) -> usize {
        self.entries.iter().rposition(|it| it.step <= step).map_or(0, |it| it + 1)
    }

    /// The first index from `at` on whose pass was not inserted at `place`.
    fn past(&self, at: usize, place: &Place) -> usize {
        at + self.entries[at..].iter().take_while(|it| it.place.as_ref() == Some(place)).count()
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|it| it.pass.name() == name)
    }

    /// The passes in order.
    pub fn passes(&self) -> impl Iterator<Item = PassInfo> {
        self.entries.iter().map(Entry::info)
    }

    /// Runs the passes of those steps for which `steps` holds, in order, with the instruments around each.
    ///
    /// # Errors
    /// The first error of a pass or of an instrument; a fact that a pass requires and that does not hold (law N3); where
    /// [`PassCx::verify`] is set, a fact of which a pass says what is not so (law N4).
    pub fn run(
        &self,
        ir: &mut I,
        cx: &mut PassCx<'_>,
        instruments: &mut [Box<dyn Instrument>],
        steps: impl Fn(Step) -> bool,
    ) -> Result<Report, Diagnostics> {
        let mut report = Report::default();
        for entry in &self.entries {
            let info = entry.info();
            // Every instrument is asked, so that one that counts passes sees them all.
            let asked = |runs, it: &mut Box<dyn Instrument>| it.should_run(info) && runs;
            if steps(entry.step) && instruments.iter_mut().fold(true, asked) {
                report.passes.push(entry.run(ir, cx, instruments)?);
            }
        }
        Ok(report)
    }
}

fn no_ir(place: &Place) -> Diagnostic {
    let side = if place.side == Side::Before { "before" } else { "after" };
    Diagnostic::error("N001", format!("there is no IR for a pass {side} step `{}`", place.anchor))
        .help("passes run from `after import` to `before plan-memory`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use orogen_ir::graph::Graph;
    use orogen_ir::ops::OpRegistry;

    struct Named(&'static str);

    impl Pass<Graph> for Named {
        fn name(&self) -> &'static str {
            self.0
        }

        fn run(&self, _: &mut Graph, _: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
            Ok(Changed::No)
        }
    }

    fn standard() -> Pipeline<Graph> {
        Pipeline::default()
            .pass(Step::Canonicalize, Named("canonicalize"))
            .pass(Step::Simplify, Named("algebra"))
            .pass(Step::Fuse, Named("fuse"))
    }

    fn inserted(places: &[(Place, &'static str)]) -> Result<String, Diagnostic> {
        let mut pipeline = standard();
        for (place, name) in places {
            pipeline.insert(place.clone(), Named(name))?;
        }
        let steps: Vec<Step> = pipeline.passes().map(|it| it.step).collect();
        assert!(steps.is_sorted(), "law N1: {steps:?}");
        Ok(pipeline.passes().map(|it| format!("{}@{}", it.name, it.step)).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn n1_a_pass_belongs_to_the_step_of_its_place() {
        let places = [
            (Place::after("import"), "first"),
            (Place::before("algebra"), "early"),
            (Place::after("algebra"), "late"),
            (Place::after("legalize"), "lowered"),
            (Place::before("layout"), "between"),
            (Place::before("plan-memory"), "last"),
        ];
        assert_eq!(
            inserted(&places).expect("every place is there"),
            "first@import canonicalize@canonicalize early@simplify algebra@simplify late@simplify \
             between@layout lowered@legalize fuse@fuse last@plan-memory"
        );
    }

    #[test]
    fn passes_at_one_place_keep_the_order_in_which_they_came() {
        for (place, expected) in [
            (Place::before("fuse"), "a@fuse b@fuse fuse@fuse"),
            (Place::after("fuse"), "fuse@fuse a@fuse b@fuse"),
            (Place::before("legalize"), "a@legalize b@legalize fuse@fuse"),
            (Place::after("legalize"), "a@legalize b@legalize fuse@fuse"),
        ] {
            let found = inserted(&[(place.clone(), "a"), (place.clone(), "b")]).expect("it is there");
            assert!(found.ends_with(expected), "{place:?}: {found}");
        }
    }

    #[test]
    fn n2_names_are_taken_once_and_places_must_exist() {
        let error = |place: Place, name| inserted(&[(place, name)]).expect_err("refused");
        assert_eq!(error(Place::after("fuse"), "algebra").code, "N002");
        let absent = error(Place::after("fusion"), "x");
        assert_eq!(absent.code, "N001");
        assert!(absent.help.expect("a way out").contains("canonicalize, algebra, fuse"));
        for place in [Place::before("import"), Place::after("plan-memory"), Place::before("codegen")] {
            assert_eq!(error(place, "x").code, "N001");
        }
    }

    struct Log(Vec<String>);

    impl Instrument for Log {
        fn should_run(&mut self, pass: PassInfo) -> bool {
            pass.name != "algebra"
        }

        fn before(
            &mut self,
            ir: super::super::IrRef<'_>,
            pass: PassInfo,
            _: &OpRegistry,
        ) -> Result<(), Diagnostics> {
            self.0.push(format!("{} before {}", ir.name(), pass.name));
            Ok(())
        }
    }

    #[test]
    fn instruments_are_asked_and_called_around_each_pass() {
        let ops = OpRegistry::standard();
        let mut instruments: Vec<Box<dyn Instrument>> = vec![Box::new(Log(Vec::new()))];
        let mut graph = Graph::default();
        let report = standard()
            .run(&mut graph, &mut PassCx::new(&ops), &mut instruments, |step| step <= Step::Simplify)
            .expect("they do nothing");
        assert_eq!(report.passes.len(), 1);
        let log: &dyn std::any::Any = &*instruments[0];
        let log = log.downcast_ref::<Log>().expect("it was given");
        assert_eq!(log.0, ["graph before canonicalize"]);
    }
}
