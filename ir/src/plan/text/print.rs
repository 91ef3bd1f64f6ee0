//! Printing of call plans. Any plan prints, also one that breaks the laws: the verifier draws under it.

use super::buffer_text;
use crate::diag::Place;
use crate::kernel::write_kernel;
use crate::plan::{BufferRef, CallPlan, Condition, ShapeCheck, SlotId, Step};
use crate::shape::{Constraint, Dim, Sym, SymbolKind};
use crate::text::{LineIndex, Span, TextWriter, constraint_text, dims_text, literal_text, name_text, quote};
use indexmap::IndexSet;

/// Text with the places of what it shows.
#[derive(Clone, Debug, Default)]
pub struct PrintedPlan {
    /// The text.
    pub text: String,
    header: Span,
    slots: Vec<Span>,
    steps: Vec<Span>,
}

impl PrintedPlan {
    /// The first line.
    pub fn header_place(&self) -> Place {
        self.place(&self.header)
    }

    /// The declaration of a slot.
    pub fn slot_place(&self, slot: SlotId) -> Place {
        self.place(self.slots.get(slot.0 as usize).unwrap_or(&self.header))
    }

    /// Step `i`, counting steps in the order of their first lines, those in branches and loops included.
    pub fn step_place(&self, i: usize) -> Place {
        self.place(self.steps.get(i).unwrap_or(&self.header))
    }

    fn place(&self, span: &Span) -> Place {
        LineIndex::new(&self.text).place(span.clone())
    }
}

/// A plan as text. Large constants are written as references into the plan's pool.
pub fn print_plan(plan: &CallPlan) -> PrintedPlan {
    let mut printer = Printer { plan, writer: TextWriter::new(), printed: PrintedPlan::default() };
    printer.plan();
    PrintedPlan { text: printer.writer.finish(), ..printer.printed }
}

struct Printer<'a> {
    plan: &'a CallPlan,
    writer: TextWriter,
    printed: PrintedPlan,
}

impl Printer<'_> {
    fn dim(&self, dim: Dim) -> String {
        self.plan.shapes.display(dim).to_string()
    }

    fn sym(&self, sym: Sym) -> String {
        self.plan.shapes.display_sym(sym)
    }

    fn plan(&mut self) {
        let plan = self.plan;
        self.printed.header = self.writer.open(&format!("plan @{} {{", name_text(&plan.name)));
        let mut found: Vec<Sym> = symbols_of(plan).into_iter().collect();
        found.sort_unstable();
        for sym in &found {
            let word = if plan.shapes.kind(*sym) == SymbolKind::Size { "size" } else { "integer" };
            let line = format!("{word} {}", self.sym(*sym));
            self.writer.line(&line);
        }
        let known = |d: Dim| plan.shapes.free_symbols(d).iter().all(|it| found.contains(it));
        for fact in plan.shapes.facts().filter(|it| it.dims().all(known)) {
            self.writer.line(&format!("assume {}", constraint_text(&plan.shapes, fact)));
        }
        for input in &plan.inputs {
            let dims = dims_text(&plan.shapes, &input.dims);
            let (name, dtype) = (name_text(&input.name), input.dtype);
            self.writer.line(&match &input.state {
                None => format!("in {name}: {dtype}{dims}"),
                Some(after) => format!("state {name}: {dtype}{dims} as {}", name_text(after)),
            });
        }
        for output in &plan.outputs {
            let dims = dims_text(&plan.shapes, &output.dims);
            self.writer.line(&format!("out {}: {}{dims}", name_text(&output.name), output.dtype));
        }
        for binding in &plan.bindings {
            let line = format!("from {} = %in{}[{}]", self.sym(binding.symbol), binding.input, binding.axis);
            self.writer.line(&line);
        }
        for check in &plan.checks {
            let line = self.check(check);
            self.writer.line(&format!("entry {line}"));
        }
        for id in plan.constants.ids() {
            let text = literal_text(id, plan.constants.name(id), plan.constants.data(id));
            self.writer.line(&format!("constant {text}"));
        }
        for arena in &plan.arenas {
            let line = format!("arena {}", self.dim(arena.bytes));
            self.writer.line(&line);
        }
        for (i, slot) in plan.slots.iter().enumerate() {
            let (dims, arena, offset) =
                (dims_text(&plan.shapes, &slot.dims), slot.arena.0, self.dim(slot.offset));
            let span = self.writer.line(&format!("slot %s{i}: {}{dims} = ^{arena}[{offset}]", slot.dtype));
            self.printed.slots.push(span);
        }
        for kernel in &plan.kernels {
            write_kernel(&mut self.writer, kernel.name(), kernel);
        }
        self.writer.open("steps {");
        self.steps(&plan.steps);
        self.writer.close("}");
        self.writer.close("}");
    }

    fn check(&self, check: &ShapeCheck) -> String {
        format!("check {} {}", constraint_text(&self.plan.shapes, &check.constraint), quote(&check.message))
    }

    fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            self.step(step);
        }
    }

    fn line(&mut self, text: &str) {
        let span = self.writer.line(text);
        self.printed.steps.push(span);
    }

    fn open(&mut self, text: &str) {
        let span = self.writer.open(text);
        self.printed.steps.push(span);
    }

    fn step(&mut self, step: &Step) {
        let list = |args: &[BufferRef]| args.iter().map(|it| buffer_text(*it)).collect::<Vec<_>>().join(", ");
        match step {
            Step::AllocArena(id) => self.line(&format!("alloc ^{}", id.0)),
            Step::AllocOutput(i) => self.line(&format!("alloc %out{i}")),
            Step::Kernel { kernel, args, sizes, source } => {
                let program = self.plan.kernels.get(kernel.0 as usize);
                let name = program.map_or(String::new(), |it| format!(" @{}", name_text(it.name())));
                let sizes = match sizes.is_empty() {
                    true => String::new(),
                    false => format!(" {}", dims_text(&self.plan.shapes, sizes)),
                };
                let source = if source.is_empty() { String::new() } else { format!(" {}", quote(source)) };
                self.line(&format!("call {}{name}({}){sizes}{source}", kernel.0, list(args)));
            }
            Step::Copy { from, to, bytes } => {
                let text =
                    format!("copy {} to {}; {}", buffer_text(*from), buffer_text(*to), self.dim(*bytes));
                self.line(&text);
            }
            Step::Bind { symbol, from, dtype, element } => {
                let text = format!("bind {} = {}[{element}]: {dtype}", self.sym(*symbol), buffer_text(*from));
                self.line(&text);
            }
            Step::Let { symbol, value } => {
                let text = format!("let {} = {}", self.sym(*symbol), self.dim(*value));
                self.line(&text);
            }
            Step::Check(check) => {
                let text = self.check(check);
                self.line(&text);
            }
            Step::If { cond, then_steps, else_steps } => {
                let cond = match cond {
                    Condition::Buffer(buffer) => buffer_text(*buffer),
                    Condition::Sizes(facts) => {
                        let facts: Vec<String> =
                            facts.iter().map(|it| constraint_text(&self.plan.shapes, it)).collect();
                        facts.join(" and ")
                    }
                };
                self.open(&format!("if {cond} {{"));
                self.steps(then_steps);
                if !else_steps.is_empty() {
                    self.writer.reopen("} else {");
                    self.steps(else_steps);
                }
                self.writer.close("}");
            }
            Step::While { cond_steps, cond, body } => {
                self.open("while {");
                self.steps(cond_steps);
                self.writer.reopen(&format!("}} {} {{", buffer_text(*cond)));
                self.steps(body);
                self.writer.close("}");
            }
        }
    }
}

/// All symbols that a plan mentions.
pub(crate) fn symbols_of(plan: &CallPlan) -> IndexSet<Sym> {
    let mut symbols = Symbols { plan, found: IndexSet::new() };
    symbols.plan();
    symbols.found
}

/// Collects symbols.
struct Symbols<'a> {
    plan: &'a CallPlan,
    found: IndexSet<Sym>,
}

impl Symbols<'_> {
    fn dims(&mut self, dims: impl IntoIterator<Item = Dim>) {
        for dim in dims {
            self.found.extend(self.plan.shapes.free_symbols(dim));
        }
    }

    fn plan(&mut self) {
        let plan = self.plan;
        plan.inputs.iter().for_each(|it| self.dims(it.dims.iter().copied()));
        plan.outputs.iter().for_each(|it| self.dims(it.dims.iter().copied()));
        self.found.extend(plan.bindings.iter().map(|it| it.symbol));
        plan.checks.iter().for_each(|it| self.dims(it.constraint.dims()));
        plan.arenas.iter().for_each(|it| self.dims([it.bytes]));
        plan.slots.iter().for_each(|it| self.dims(it.dims.iter().copied().chain([it.offset])));
        self.steps(&plan.steps);
    }

    fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::AllocArena(_) | Step::AllocOutput(_) => {}
                Step::Kernel { sizes, .. } => self.dims(sizes.iter().copied()),
                Step::Copy { bytes, .. } => self.dims([*bytes]),
                Step::Bind { symbol, .. } => {
                    self.found.insert(*symbol);
                }
                Step::Let { symbol, value } => {
                    self.found.insert(*symbol);
                    self.dims([*value]);
                }
                Step::Check(check) => self.dims(check.constraint.dims()),
                Step::If { cond, then_steps, else_steps } => {
                    if let Condition::Sizes(facts) = cond {
                        self.dims(facts.iter().flat_map(Constraint::dims));
                    }
                    self.steps(then_steps);
                    self.steps(else_steps);
                }
                Step::While { cond_steps, body, .. } => {
                    self.steps(cond_steps);
                    self.steps(body);
                }
            }
        }
    }
}
