//! Printing of call plans. Any plan prints, also one that breaks the laws: the verifier draws under it.

use super::buffer_text;
use super::object::{object_text, object_type_text};
use crate::diag::Place;
use crate::kernel::write_kernel;
use crate::plan::{
    Arg, BufferRef, CallPlan, Condition, FunctionId, InputKind, ObjectId, OutputKind, ResultBinding,
    ShapeCheck, SlotId, Step,
};
use crate::shape::{Constraint, Dim, Sym, SymbolKind};
use crate::text::{
    LineIndex, Span, TextWriter, constant_text, constraint_text, dims_text, name_text, quote, source_text,
};
use crate::types::{ConstPool, visit_dims};
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
    let writer = TextWriter::new();
    let mut printer = Printer { plan, names: None, writer, printed: PrintedPlan::default() };
    printer.plan();
    PrintedPlan { text: printer.writer.finish(), ..printer.printed }
}

/// A function of a module, without what all of them share. `names` are those of the functions.
pub(super) fn print_member(plan: &CallPlan, names: &[&str], writer: &mut TextWriter) {
    let names = Some(names);
    let mut printer =
        Printer { plan, names, writer: std::mem::take(writer), printed: PrintedPlan::default() };
    printer.plan();
    *writer = printer.writer;
}

/// Constants of a plan or a module.
pub(super) fn print_constants(constants: &ConstPool, writer: &mut TextWriter) {
    for id in constants.ids() {
        writer.line(&format!("constant {}", constant_text(constants, id)));
    }
}

struct Printer<'a> {
    plan: &'a CallPlan,
    /// Names of the functions of the module, for one of several.
    names: Option<&'a [&'a str]>,
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
        let private = if plan.private { "private " } else { "" };
        self.printed.header = self.writer.open(&format!("{private}plan @{} {{", name_text(&plan.name)));
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
            let what = match &input.kind {
                InputKind::Tensor(it) => {
                    let default = it.default.map_or(String::new(), |it| format!(" = {it}"));
                    format!("{}{}{default}", it.dtype, dims_text(&plan.shapes, &it.dims))
                }
                InputKind::Object(id) => buffer_text(BufferRef::Object(*id)),
            };
            self.writer.line(&format!("in {}: {what}", name_text(&input.name)));
        }
        if let Some(function) = plan.at_defaults {
            let text = format!("defaults {}", self.function(function));
            self.writer.line(&text);
        }
        for output in &plan.outputs {
            let what = match &output.kind {
                OutputKind::Tensor(it) => {
                    let dims = dims_text(&plan.shapes, &it.dims);
                    let over = it.over.map_or(String::new(), |it| format!(" over %in{it}"));
                    let rank =
                        it.rank.map_or(String::new(), |it| format!(" rank {}", plan.shapes.display(it)));
                    format!("{}{dims}{over}{rank}", it.dtype)
                }
                OutputKind::Object(id) => buffer_text(BufferRef::Object(*id)),
            };
            self.writer.line(&format!("out {}: {what}", name_text(&output.name)));
        }
        for binding in &plan.bindings {
            let line = format!("from {} = %in{}[{}]", self.sym(binding.symbol), binding.input, binding.axis);
            self.writer.line(&line);
        }
        for check in &plan.checks {
            let line = self.check(check);
            self.writer.line(&format!("entry {line}"));
        }
        if self.names.is_none() {
            print_constants(&plan.constants, &mut self.writer);
        }
        for arena in &plan.arenas {
            let parts: Vec<String> = arena.parts.iter().map(|it| self.dim(*it).to_string()).collect();
            let parts = if parts.is_empty() { String::new() } else { format!(" of {}", parts.join(", ")) };
            let line = format!("arena {}{parts}", self.dim(arena.bytes));
            self.writer.line(&line);
        }
        for (i, slot) in plan.slots.iter().enumerate() {
            let (dims, arena, offset) =
                (dims_text(&plan.shapes, &slot.dims), slot.arena.0, self.dim(slot.offset));
            let span = self.writer.line(&format!("slot %s{i}: {}{dims} = ^{arena}[{offset}]", slot.dtype));
            self.printed.slots.push(span);
        }
        for (i, object) in plan.objects.iter().enumerate() {
            let ty = object_type_text(&plan.shapes, &object.ty);
            self.writer.line(&format!("object %o{i}: {ty}"));
        }
        for kernel in plan.kernels.iter().filter(|_| self.names.is_none()) {
            write_kernel(&mut self.writer, kernel.name(), kernel);
        }
        self.writer.open("steps {");
        self.steps(&plan.steps);
        self.writer.close("}");
        self.writer.close("}");
    }

    fn check(&self, check: &ShapeCheck) -> String {
        let (constraint, message) =
            (constraint_text(&self.plan.shapes, &check.constraint), quote(&check.message));
        format!("check {constraint} {message}{}", source_text(&check.source))
    }

    /// `invoke 1 @f(%in0[n, 4]) to (%o0) from m = 0[1]`
    fn invoke(
        &self,
        function: FunctionId,
        args: &[Arg],
        results: &[ObjectId],
        bindings: &[ResultBinding],
    ) -> String {
        let arg = |it: &Arg| match it {
            Arg::View(it) => format!("{}{}", buffer_text(it.place), dims_text(&self.plan.shapes, &it.dims)),
            Arg::Object(id) => buffer_text(BufferRef::Object(*id)),
        };
        let args = args.iter().map(arg).collect::<Vec<_>>().join(", ");
        let objects = results.iter().map(|it| buffer_text(BufferRef::Object(*it)));
        let objects = objects.collect::<Vec<_>>().join(", ");
        let binds = bindings.iter().map(|it| format!("{} = {}[{}]", self.sym(it.symbol), it.result, it.axis));
        let binds = binds.collect::<Vec<_>>().join(", ");
        let from = if binds.is_empty() { String::new() } else { format!(" from {binds}") };
        format!("invoke {}({args}) to ({objects}){from}", self.function(function))
    }

    /// `1 @f`
    fn function(&self, function: FunctionId) -> String {
        let name = self.names.and_then(|it| it.get(function.0 as usize));
        let name = name.map_or(String::new(), |it| format!(" @{}", name_text(it)));
        format!("{}{name}", function.0)
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
                let source = source_text(source);
                self.line(&format!("call {}{name}({}){sizes}{source}", kernel.0, list(args)));
            }
            Step::Invoke { function, args, results, bindings, source } => {
                let text = self.invoke(*function, args, results, bindings);
                self.line(&format!("{text}{}", source_text(source)));
            }
            Step::Object { op, source } => {
                let text = object_text(&self.plan.shapes, op);
                self.line(&format!("{text}{}", source_text(source)));
            }
            Step::Move { from, to } => {
                let text = format!("move {} to {}", buffer_text(*from), buffer_text(*to));
                self.line(&text);
            }
            Step::Copy { from, to, bytes } => {
                let text =
                    format!("copy {} to {}; {}", buffer_text(*from), buffer_text(*to), self.dim(*bytes));
                self.line(&text);
            }
            Step::Bind { symbol, from, dtype, element, source } => {
                let text = format!("bind {} = {}[{element}]: {dtype}", self.sym(*symbol), buffer_text(*from));
                self.line(&format!("{text}{}", source_text(source)));
            }
            Step::Let { symbol, value, source } => {
                let text = format!("let {} = {}", self.sym(*symbol), self.dim(*value));
                self.line(&format!("{text}{}", source_text(source)));
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
        plan.inputs.iter().for_each(|it| self.dims(it.dims().iter().copied()));
        plan.outputs.iter().for_each(|it| self.dims(it.sizes()));
        self.found.extend(plan.bindings.iter().map(|it| it.symbol));
        plan.checks.iter().for_each(|it| self.dims(it.constraint.dims()));
        plan.arenas.iter().for_each(|it| self.dims(it.parts.iter().copied().chain([it.bytes])));
        plan.slots.iter().for_each(|it| self.dims(it.dims.iter().copied().chain([it.offset])));
        plan.objects.iter().for_each(|it| visit_dims(&it.ty, &mut |dim| self.dims([dim])));
        self.steps(&plan.steps);
    }

    fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::AllocArena(_) | Step::AllocOutput(_) | Step::Move { .. } => {}
                Step::Kernel { sizes, .. } => self.dims(sizes.iter().copied()),
                Step::Invoke { args, bindings, .. } => {
                    for arg in args {
                        if let Arg::View(it) = arg {
                            self.dims(it.dims.iter().copied());
                        }
                    }
                    self.found.extend(bindings.iter().map(|it| it.symbol));
                }
                Step::Object { op, .. } => {
                    self.dims(op.sizes());
                    self.found.extend(op.defines());
                }
                Step::Copy { bytes, .. } => self.dims([*bytes]),
                Step::Bind { symbol, .. } => {
                    self.found.insert(*symbol);
                }
                Step::Let { symbol, value, .. } => {
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
