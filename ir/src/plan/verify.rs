//! Checks a call plan against the laws of [`super`].
//!
//! The check of memory recomputes from scratch which slot holds what: it runs the plan once on all paths with, for
//! each slot, the knowledge whether its contents are valid. A write makes its slot valid and every slot that may
//! overlap it invalid; a read of an invalid slot is a violation. Branches keep what is valid on both sides, loops
//! what is valid on entry and after each iteration. Nothing of the planner is used.
//!
//! What depends on sizes is asked for all sizes that may occur: `sizes` proves, or refutes with sample sizes, or does
//! neither. What is refuted is a violation; what is neither is told in the [`Proof`], and
//! [`prove_module`] makes it a check of the plan, so that nothing runs that is not known to hold.
//!
//! | code | law | code | law |
//! |---|---|---|---|
//! | P001 | P1 symbols are bound | P005 | P5 kernels match |
//! | P002 | P2 written before read | P006 | P6 read-only memory |
//! | P003 | P3 overlapping slots | P007 | P7 outputs are written |
//! | P004 | P4 slots in arenas | P008 | P8 calls of functions |
//! | P012 | P12 state is renewed last | P009 to P011, P015 | laws of modules |
//! | P013 | neither proven nor refuted | P014 | P14 defaults fit |
//! | P016 | P16 steps on objects | P017 | P17 requirements of kernels |
//! | L…, K… | laws of kernels | | |

mod facts;
mod guards;
mod in_place;
mod invoke;
mod kernels;
mod module;
mod objects;
mod proof;
mod requirements;
mod runs;
mod samples;
mod sizes;
mod slots;
mod state;

#[cfg(test)]
mod module_tests;
#[cfg(test)]
mod tests;

use super::text::{PrintedPlan, buffer_text, print_plan, symbols_of};
use super::{
    ArenaId, BufferRef, CallPlan, Condition, OutputKind, PlanInput, PlanOutput, ShapeCheck, SlotId, Step,
};
use crate::diag::{Diagnostic, Diagnostics, Place};
use crate::kernel::Kernel;
use crate::loops::Requirements;
use crate::shape::{Constraint, Dim, ShapeCx, Sym, SymbolKind};
use crate::types::DType;
use facts::Established;
use indexmap::{IndexMap, IndexSet};
use proof::{Asked, Questions, Spot};
use samples::Samples;
use sizes::{Answer, Question, Sizes};
use slots::Layout;
use state::{Lost, State};

pub use guards::prove_module;
pub use module::verify_module;
pub use proof::{Count, Proof};

/// Checks all laws, those of the kernels included, and says what is proven.
///
/// A plan that calls other functions is verified with its module: [`verify_module`].
///
/// # Errors
/// Every violation, each drawn under its line of the printed plan.
pub fn verify(plan: &CallPlan) -> Result<Proof, Diagnostics> {
    let mut proof = Proof::default();
    let (required, mut found) = verify_kernels(&plan.kernels, &mut proof);
    verify_plan(0, plan, &required, &[], &mut found, &mut proof);
    found.into_result(proof)
}

/// What each kernel requires of the sizes of its calls; nothing of one that breaks its laws.
fn verify_kernels(kernels: &[Kernel], proof: &mut Proof) -> (Vec<Requirements>, Diagnostics) {
    let mut found = Diagnostics::new();
    let verified = kernels.iter().map(|it| {
        crate::kernel::verify(it).unwrap_or_else(|mut problems| {
            found.0.append(&mut problems.0);
            Requirements::default()
        })
    });
    let required: Vec<Requirements> = verified.collect();
    proof.add_kernels(&required);
    (required, found)
}

/// All laws of one plan but those of its kernels. `functions` are those of its module, in which it is at `number`.
fn verify_plan(
    number: usize,
    plan: &CallPlan,
    requirements: &[Requirements],
    functions: &[CallPlan],
    found: &mut Diagnostics,
    proof: &mut Proof,
) {
    let shapes = on_entry(plan);
    let samples = Samples::new(&shapes, &symbols_of(plan), &single_lets(plan), &top_checks(plan));
    let mut sizes = Sizes::new(shapes, samples);
    let layout = Layout::new(plan, &mut sizes);
    let mut slots_of = vec![Vec::new(); plan.arenas.len()];
    let mut verifier = Verifier {
        plan,
        requirements,
        functions,
        sizes,
        layout,
        renewals: plan.renewals(),
        questions: Questions::default(),
        slots_of: Vec::new(),
        late: IndexSet::new(),
        destroyed: IndexMap::new(),
        lost: IndexMap::new(),
        printed: None,
        step: None,
        next: 0,
        found: Diagnostics::new(),
        reported: IndexSet::new(),
    };
    for (i, slot) in plan.slots.iter().enumerate() {
        let id = SlotId(i as u32);
        match slots_of.get_mut(slot.arena.0 as usize) {
            Some(slots) => slots.push(id),
            None => {
                let message = format!("P4: there is no arena ^{}", slot.arena.0);
                verifier.report_at("P004", message, Spot::Slot(id));
            }
        }
    }
    verifier.slots_of = slots_of;
    verifier.check_p12_renewals();
    verifier.check_p14_defaults();
    let mut state = State::default();
    verifier.entry(&mut state);
    verifier.steps(&plan.steps, &mut state);
    verifier.step = None;
    verifier.check_p7_outputs(&state);
    let questions = std::mem::take(&mut verifier.questions);
    let shapes = std::mem::take(&mut verifier.sizes.shapes);
    proof.add(number, questions, &shapes, |spot| verifier.place_of(spot));
    found.0.append(&mut verifier.found.0);
}

/// The plan's context with what the call itself makes sure of before the first step, and nothing else.
fn on_entry(plan: &CallPlan) -> ShapeCx {
    let mut shapes = plan.shapes.clone();
    shapes.keep_facts(|_, _| false);
    let dims = plan.inputs.iter().flat_map(|it| it.dims().iter().map(|dim| Constraint::AtLeast(*dim, 0)));
    let checks = plan.checks.iter().map(|it| it.constraint);
    for fact in dims.chain(checks) {
        // Behind checks that contradict each other nothing ever runs.
        let _ = shapes.assume(fact);
    }
    shapes
}

/// Symbols that exactly one step defines, a `Let`, with its value; in program order.
fn single_lets(plan: &CallPlan) -> IndexMap<Sym, Dim> {
    fn collect(steps: &[Step], defined: &mut IndexMap<Sym, Option<Dim>>) {
        for step in steps {
            match step {
                Step::Let { symbol, value, .. } => {
                    defined.entry(*symbol).and_modify(|it| *it = None).or_insert(Some(*value));
                }
                Step::Bind { symbol, .. } => {
                    defined.insert(*symbol, None);
                }
                Step::Object { op, .. } => defined.extend(op.defines().into_iter().map(|it| (it, None))),
                Step::Invoke { bindings, .. } => {
                    defined.extend(bindings.iter().map(|it| (it.symbol, None)));
                }
                Step::If { then_steps: first, else_steps: second, .. }
                | Step::While { cond_steps: first, body: second, .. } => {
                    collect(first, defined);
                    collect(second, defined);
                }
                _ => {}
            }
        }
    }
    let mut defined: IndexMap<Sym, Option<Dim>> = IndexMap::new();
    defined.extend(plan.bindings.iter().map(|it| (it.symbol, None)));
    collect(&plan.steps, &mut defined);
    defined.into_iter().filter_map(|(sym, value)| Some((sym, value?))).collect()
}

/// What the checks outside of branches and loops establish.
fn top_checks(plan: &CallPlan) -> Vec<Constraint> {
    let checks = plan.steps.iter().filter_map(|step| match step {
        Step::Check(check) => Some(check.constraint),
        _ => None,
    });
    checks.collect()
}

struct Verifier<'a> {
    plan: &'a CallPlan,
    /// Those of the kernels.
    requirements: &'a [Requirements],
    /// Those of the module.
    functions: &'a [CallPlan],
    sizes: Sizes,
    layout: Layout,
    /// [`CallPlan::renewals`]
    renewals: IndexMap<u32, u32>,
    questions: Questions,
    /// The slots of each arena.
    slots_of: Vec<Vec<SlotId>>,
    /// Slots over symbols that are bound only behind the allocation of their arena.
    late: IndexSet<SlotId>,
    /// Who last destroyed a slot that was valid.
    destroyed: IndexMap<SlotId, SlotId>,
    /// What does not hold at the head of a loop although it does on entry, by the number of its step. It follows from
    /// the body alone, so a loop inside another one is not settled anew in every round of that one.
    lost: IndexMap<usize, Lost>,
    printed: Option<PrintedPlan>,
    /// The step that is being checked and the number of the next one.
    step: Option<usize>,
    next: usize,
    found: Diagnostics,
    /// Loops are walked more than once, violations are reported once.
    reported: IndexSet<(Spot, String)>,
}

impl Verifier<'_> {
    fn spot(&self) -> Spot {
        self.step.map_or(Spot::Plan, Spot::Step)
    }

    fn place_of(&mut self, spot: Spot) -> Place {
        let printed = self.printed.get_or_insert_with(|| print_plan(self.plan));
        match spot {
            Spot::Plan => printed.header_place(),
            Spot::Slot(slot) => printed.slot_place(slot),
            Spot::Step(step) => printed.step_place(step),
        }
    }

    fn report(&mut self, code: &'static str, message: String) {
        self.report_at(code, message, self.spot());
    }

    fn report_at(&mut self, code: &'static str, message: String, spot: Spot) {
        if !self.reported.insert((spot, message.clone())) {
            return;
        }
        let place = self.place_of(spot);
        let plan = format!("in plan `@{}`", self.plan.name);
        self.found.push(Diagnostic::error(code, message).at_place(place).note(plan));
    }

    /// A question of a law: what is refuted is a violation. `text` says what is asked.
    fn ask(
        &mut self,
        law: &'static str,
        spot: Spot,
        question: Question,
        known: &Established,
        text: impl FnOnce() -> String,
    ) {
        match self.sizes.ask(question, known) {
            Answer::Proven => self.questions.proven(law, spot, Asked::Size(question)),
            Answer::Open => {
                let text = text();
                if let (Some(step), Some(check)) = (self.step, question.constraint(&mut self.sizes.shapes)) {
                    self.questions.guard(step, check, &text);
                }
                self.questions.open(law, spot, Asked::Size(question), text);
            }
            Answer::Refuted(sizes) => {
                let message = format!("{law}: it is not so that {}{sizes}", text());
                self.report_at(code_of(law), message, spot);
            }
        }
    }

    fn entry(&mut self, state: &mut State) {
        let plan = self.plan;
        for binding in &plan.bindings {
            let input = plan.inputs.get(binding.input as usize);
            let (name, axis) = (plan.shapes.name(binding.symbol), binding.axis);
            match input.and_then(|it| it.dims().get(axis as usize)) {
                None => {
                    let message = format!("P1: input {} has no dimension {axis}", binding.input);
                    self.report("P001", message);
                }
                Some(dim) if plan.shapes.as_sym(*dim) != Some(binding.symbol) => {
                    let text = plan.shapes.display(*dim);
                    let message =
                        format!("P1: `{name}` is bound to %in{}[{axis}], which is `{text}`", binding.input);
                    self.report("P001", message);
                }
                Some(_) => {}
            }
            state.bound.insert(binding.symbol);
        }
        for input in &plan.inputs {
            input.dims().iter().for_each(|it| self.check_p1_bound(state, *it));
        }
        self.object_inputs(state);
        for check in &plan.checks {
            self.check(state, check);
        }
        let renewed = plan.outputs.iter().filter_map(PlanOutput::over);
        renewed.for_each(|it| state.valid.insert(BufferRef::Input(it), None));
    }

    /// P12: an output over an input has the type of that, which has no other.
    fn check_p12_renewals(&mut self) {
        let plan = self.plan;
        let mut taken: IndexSet<u32> = IndexSet::new();
        for (i, output) in plan.outputs.iter().enumerate() {
            let Some((output, over)) = output.tensor().and_then(|it| Some((it, it.over?))) else { continue };
            let Some(input) = plan.inputs.get(over as usize).and_then(PlanInput::tensor) else {
                self.report("P012", format!("P12: %out{i} lies over input {over}, which there is not"));
                continue;
            };
            if !taken.insert(over) {
                self.report("P012", format!("P12: %out{i} lies over %in{over}, and so does another output"));
            }
            if (output.dtype, &output.dims) != (input.dtype, &input.dims) {
                self.report("P012", format!("P12: %out{i} lies over %in{over} but has another type"));
            }
        }
    }

    /// P14: defaults come last, are constants of their type, and no state.
    fn check_p14_defaults(&mut self) {
        let plan = self.plan;
        let required = plan.required();
        for (i, input) in plan.inputs.iter().enumerate() {
            let name = &input.name;
            let Some((tensor, default)) = input.tensor().and_then(|it| Some((it, it.default?))) else {
                if i > required {
                    let message = format!("P14: `{name}` has no default but comes after one that has");
                    self.report("P014", message);
                }
                continue;
            };
            if self.renewals.contains_key(&(i as u32)) {
                self.report("P014", format!("P14: `{name}` is state and has a default"));
            }
            if !plan.constants.contains(default) {
                self.report("P014", format!("P14: there is no constant {default}, the default of `{name}`"));
                continue;
            }
            let data = plan.constants.data(default);
            let fits = |(dim, size): (&Dim, &u64)| match plan.shapes.as_int(*dim) {
                Some(dim) => u64::try_from(dim) == Ok(*size),
                None => true,
            };
            let dims_fit =
                tensor.dims.len() == data.dims().len() && tensor.dims.iter().zip(data.dims()).all(fits);
            if data.dtype() != tensor.dtype || !dims_fit {
                self.report("P014", format!("P14: `{name}` and its default {default} differ in type"));
            }
        }
    }

    /// P1: every symbol of an expression is bound.
    fn check_p1_bound(&mut self, state: &State, dim: Dim) {
        let free = self.plan.shapes.free_symbols(dim);
        if let Some(sym) = free.into_iter().find(|it| !state.bound.contains(it)) {
            let shapes = &self.plan.shapes;
            let message = format!("P1: `{}` is not bound in `{}`", shapes.name(sym), shapes.display(dim));
            self.report("P001", message);
        }
    }

    /// P1: a size is given a value that is not negative.
    fn check_p1_size(&mut self, symbol: Sym, value: Dim, state: &State) {
        let question = Question::AtMost(self.sizes.shapes.int(0), value);
        let plan = self.plan;
        self.ask("P1", self.spot(), question, &state.established, || {
            let (name, text) = (plan.shapes.name(symbol), plan.shapes.display(value));
            format!("`{text}`, the value of the size `{name}`, is at least 0")
        });
    }

    /// P1 and P4: the size of an arena is known where it is allocated; so is that of most slots.
    fn alloc_arena(&mut self, id: ArenaId, bytes: Dim, state: &State) {
        self.check_p1_bound(state, bytes);
        let plan = self.plan;
        let slots = std::mem::take(&mut self.slots_of[id.0 as usize]);
        let bound = |dim: &Dim| plan.shapes.free_symbols(*dim).iter().all(|it| state.bound.contains(it));
        let (known, late): (Vec<SlotId>, Vec<SlotId>) = slots.iter().partition(|it| {
            let slot = &plan.slots[it.0 as usize];
            slot.dims.iter().chain([&slot.offset]).all(bound)
        });
        self.check_p4_arena(id, &known, &state.established);
        self.late.extend(late);
        self.slots_of[id.0 as usize] = slots;
    }

    fn check(&mut self, state: &State, check: &ShapeCheck) {
        check.constraint.dims().for_each(|it| self.check_p1_bound(state, it));
    }

    /// P7: every output is written at the end.
    fn check_p7_outputs(&mut self, state: &State) {
        for (i, output) in self.plan.outputs.iter().enumerate() {
            let place = match output.kind {
                OutputKind::Tensor(_) => BufferRef::Output(i as u32),
                OutputKind::Object(id) => BufferRef::Object(id),
            };
            if !state.valid.contains(&place) {
                self.report("P007", format!("P7: output `{}` is not written on every path", output.name));
            }
        }
    }

    fn steps(&mut self, steps: &[Step], state: &mut State) {
        for step in steps {
            self.step = Some(self.next);
            self.next += 1;
            self.one_step(step, state);
        }
    }

    fn one_step(&mut self, step: &Step, state: &mut State) {
        let plan = self.plan;
        if !matches!(step, Step::Bind { .. } | Step::Check(_)) {
            for symbol in std::mem::take(&mut state.unchecked) {
                let name = plan.shapes.name(symbol).to_owned();
                self.report("P001", format!("P1: `{name}` is a size but may be negative: no check follows"));
            }
        }
        match step {
            Step::AllocArena(id) => {
                match plan.arenas.get(id.0 as usize) {
                    Some(arena) => self.alloc_arena(*id, arena.bytes, state),
                    None => self.report("P002", format!("P2: there is no arena ^{}", id.0)),
                }
                // Its memory is new or reused: nothing in it is valid.
                let in_arena =
                    |slot: &SlotId| plan.slots.get(slot.0 as usize).is_some_and(|it| it.arena == *id);
                state.valid.retain(|it| !matches!(it, BufferRef::Slot(slot) if in_arena(slot)));
                state.arenas.insert(*id);
            }
            Step::AllocOutput(i) => {
                match plan.outputs.get(*i as usize).filter(|it| it.tensor().is_some()) {
                    Some(output) => output.sizes().for_each(|it| self.check_p1_bound(state, it)),
                    None => self.report("P002", format!("P2: there is no output {i}")),
                }
                state.outputs.insert(*i);
                state.valid.remove(&BufferRef::Output(*i));
            }
            Step::Kernel { kernel, args, sizes, .. } => {
                sizes.iter().for_each(|it| self.check_p1_bound(state, *it));
                match plan.kernels.get(kernel.0 as usize) {
                    Some(it) => self.kernel(*kernel, it, args, sizes, state),
                    None => self.report("P005", format!("P5: there is no kernel {}", kernel.0)),
                }
            }
            Step::Invoke { function, args, results, bindings, .. } => {
                self.invoke(*function, args, results, bindings, state);
            }
            Step::Object { op, .. } => self.object(op, state),
            Step::Move { from, to } => {
                self.read(*from, state);
                self.check_p3_move(*from, *to, state);
                self.check_p6_writable(*to, state);
                if self.check_p2_exists(*to, state) {
                    self.write(*to, state);
                }
            }
            Step::Copy { from, to, bytes } => {
                self.check_p1_bound(state, *bytes);
                let dtype = self.read(*from, state);
                if dtype.is_some_and(|it| plan.dtype(*to).is_some_and(|to| to != it)) {
                    let (from, to) = (buffer_text(*from), buffer_text(*to));
                    self.report("P005", format!("P5: {from} and {to} do not hold the same element type"));
                }
                self.check_p3_apart(*from, *to, state, || {
                    let (from, to) = (buffer_text(*from), buffer_text(*to));
                    format!("P3: {from} is copied to {to}, which overlaps it")
                });
                self.check_p6_writable(*to, state);
                self.check_p5_copy(*from, *to, *bytes, state);
                if self.check_p2_exists(*to, state) {
                    self.write(*to, state);
                }
            }
            Step::Bind { symbol, from, dtype, element, .. } => {
                let found = self.read(*from, state);
                if !dtype.is_integral() || found.is_some_and(|it| it != *dtype) {
                    let from = buffer_text(*from);
                    self.report("P005", format!("P5: a symbol is bound to {dtype} in {from}"));
                }
                if found.is_some() {
                    self.check_p5_element(*from, *dtype, *element, state);
                }
                self.redefine(*symbol, state);
                state.established.define(&self.sizes.shapes, &self.sizes.samples, *symbol, None);
                state.bound.insert(*symbol);
                if self.plan.shapes.kind(*symbol) == SymbolKind::Size {
                    state.unchecked.insert(*symbol);
                }
            }
            Step::Let { symbol, value, .. } => {
                self.check_p1_bound(state, *value);
                if self.plan.shapes.kind(*symbol) == SymbolKind::Size {
                    self.check_p1_size(*symbol, *value, state);
                }
                self.redefine(*symbol, state);
                state.established.define(&self.sizes.shapes, &self.sizes.samples, *symbol, Some(*value));
                state.bound.insert(*symbol);
            }
            Step::Check(check) => {
                self.check(state, check);
                state.established.check(&mut self.sizes.shapes, &self.sizes.samples, check.constraint);
                if let Constraint::AtLeast(dim, 0..) = check.constraint {
                    let symbol = self.sizes.shapes.as_sym(dim);
                    state.unchecked.retain(|it| Some(*it) != symbol);
                }
            }
            Step::If { cond, then_steps, else_steps } => {
                let mut other = state.clone();
                match cond {
                    Condition::Buffer(buffer) => {
                        self.read_condition(*buffer, state);
                        other = state.clone();
                    }
                    Condition::Sizes(facts) => {
                        for fact in facts {
                            fact.dims().for_each(|it| self.check_p1_bound(state, it));
                            state.established.check(&mut self.sizes.shapes, &self.sizes.samples, *fact);
                        }
                    }
                }
                self.steps(then_steps, state);
                self.steps(else_steps, &mut other);
                state.meet(&self.sizes.shapes, &other);
            }
            Step::While { cond_steps, cond, body } => self.repeat(cond_steps, *cond, body, state),
        }
    }

    /// A loop: walked until what is valid at its head no longer shrinks.
    fn repeat(&mut self, cond_steps: &[Step], cond: BufferRef, body: &[Step], state: &mut State) {
        let (step, first) = (self.step, self.next);
        let mut head = state.clone();
        if let Some(lost) = self.lost.get(&first) {
            head.lose(&self.sizes.shapes, lost);
        }
        loop {
            self.next = first;
            let mut round = head.clone();
            self.steps(cond_steps, &mut round);
            self.step = step;
            self.read_condition(cond, &mut round);
            let leaving = round.clone();
            self.steps(body, &mut round);
            let mut next = head.clone();
            next.meet(&self.sizes.shapes, &round);
            if next == head {
                self.lost.insert(first, state.lost(&head));
                *state = leaving;
                return;
            }
            head = next;
        }
    }

    fn read_condition(&mut self, cond: BufferRef, state: &mut State) {
        let dtype = self.read(cond, state);
        if dtype.is_some_and(|it| it != DType::Bool) {
            let cond = buffer_text(cond);
            self.report("P005", format!("P5: the condition {cond} is no boolean"));
        } else if dtype.is_some() {
            self.check_p5_element(cond, DType::Bool, 0, state);
        }
    }

    /// P2: a buffer exists and its memory was got.
    fn check_p2_exists(&mut self, buffer: BufferRef, state: &State) -> bool {
        let plan = self.plan;
        let problem = match buffer {
            BufferRef::Input(i) if plan.inputs.get(i as usize).and_then(PlanInput::tensor).is_none() => {
                Some("there is no such input")
            }
            BufferRef::Output(i) if plan.outputs.get(i as usize).and_then(PlanOutput::tensor).is_none() => {
                Some("there is no such output")
            }
            BufferRef::Constant(id) if !plan.constants.contains(id) => Some("there is no such constant"),
            BufferRef::Object(id) => match plan.objects.get(id.0 as usize) {
                None => Some("there is no such object"),
                Some(it) => it.dims().is_none().then_some("it is no tensor of known dimensions"),
            },
            BufferRef::Output(i) if !state.outputs.contains(&i) => Some("its memory is not allocated"),
            BufferRef::Slot(id) => match plan.slots.get(id.0 as usize) {
                None => Some("there is no such slot"),
                Some(slot) => {
                    self.check_p1_bound(state, slot.offset);
                    slot.dims.iter().for_each(|it| self.check_p1_bound(state, *it));
                    (!state.arenas.contains(&slot.arena)).then_some("its memory is not allocated")
                }
            },
            _ => None,
        };
        if let Some(problem) = problem {
            self.report("P002", format!("P2: {} is used but {problem}", buffer_text(buffer)));
        }
        problem.is_none()
    }

    /// P2 and P3: a buffer that is read is valid. Returns its element type, if it is.
    fn read(&mut self, buffer: BufferRef, state: &State) -> Option<DType> {
        if !self.check_p2_exists(buffer, state) {
            return None;
        }
        let renewal = match buffer {
            BufferRef::Input(i) => self.renewals.get(&i).copied(),
            _ => None,
        };
        let always = matches!(buffer, BufferRef::Input(_) | BufferRef::Constant(_)) && renewal.is_none();
        if always || state.valid.contains(&buffer) {
            if let BufferRef::Slot(id) = buffer {
                let asked = Asked::Intact(buffer);
                match state.doubtful.get(&id) {
                    None => self.questions.proven("P3", self.spot(), asked),
                    Some(by) => {
                        let text = format!("%s{} is as it was before %s{} was written", id.0, by.slot.0);
                        self.guard_apart(by.step, id, by.slot, &text);
                        self.questions.open("P3", self.spot(), asked, text);
                    }
                }
            }
            return self.plan.dtype(buffer);
        }
        let name = buffer_text(buffer);
        if let Some(renewal) = renewal {
            self.report(
                "P012",
                format!("P12: {name} is read after %out{renewal}, its new value, was written"),
            );
            return None;
        }
        let destroyer = match buffer {
            BufferRef::Slot(id) => self.destroyed.get(&id),
            _ => None,
        };
        match destroyer {
            Some(by) => {
                let message = format!("P3: {name} is read after %s{}, which overlaps it, was written", by.0);
                self.report("P003", message);
            }
            None => self.report("P002", format!("P2: {name} is read before it is written")),
        }
        None
    }

    /// P6: inputs and constants are not written, nor is a tensor that others may hold.
    fn check_p6_writable(&mut self, buffer: BufferRef, state: &State) {
        let name = buffer_text(buffer);
        match buffer {
            _ if is_read_only(buffer) => {
                self.report("P006", format!("P6: {name} is written but read-only"));
            }
            BufferRef::Object(id) if !state.fresh.contains(&id) => {
                let message = format!("P6: {name} is written but was not made for that, or is shared since");
                self.report("P006", message);
            }
            _ => {}
        }
    }
}

fn is_read_only(buffer: BufferRef) -> bool {
    matches!(buffer, BufferRef::Input(_) | BufferRef::Constant(_))
}

/// The code of a violation of a law.
fn code_of(law: &str) -> &'static str {
    match law {
        "P1" => "P001",
        "P3" => "P003",
        "P4" => "P004",
        "P8" => "P008",
        _ => "P005",
    }
}
