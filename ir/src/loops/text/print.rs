//! Printing of tensor programs. Any program prints, also one that breaks the laws: the verifier draws under it.

use super::expr_key;
use crate::diag::Place;
use crate::loops::{Axis, Buffer, BufferId, BufferRole, Expr, ExprId, Index, Stage, Stmt, TensorProgram};
use crate::shape::{Constraint, SymbolKind};
use crate::text::{LineIndex, Span, TextWriter, constraint_text, dims_text, float_text, name_text};
use indexmap::IndexMap;
use la_arena::ArenaMap;

/// A stage is written on one line when that is not longer than this.
const LINE: usize = 96;
/// Expressions nested deeper than this are split by `let`.
const DEPTH: u32 = 12;

/// Text with the places of what it shows.
#[derive(Clone, Debug, Default)]
pub struct Printed {
    /// The text.
    pub text: String,
    header: Span,
    buffers: ArenaMap<BufferId, Span>,
    statements: Vec<Span>,
}

impl Printed {
    /// The first line.
    pub fn header_place(&self) -> Place {
        self.place(&self.header)
    }

    /// The declaration of a buffer.
    pub fn buffer_place(&self, buffer: BufferId) -> Place {
        self.place(self.buffers.get(buffer).unwrap_or(&self.header))
    }

    /// Statement `i`, counting stages and loops in the order of their first lines.
    pub fn statement_place(&self, i: usize) -> Place {
        self.place(self.statements.get(i).unwrap_or(&self.header))
    }

    fn place(&self, span: &Span) -> Place {
        LineIndex::new(&self.text).place(span.clone())
    }
}

/// A program as text.
pub fn print_program(program: &TensorProgram) -> Printed {
    let mut writer = TextWriter::new();
    let mut printed = print_kernel(program, &mut writer);
    printed.text = writer.finish();
    printed
}

/// Writes a program as a part of a larger text; places are in that text, once it is filled in.
pub fn print_kernel(program: &TensorProgram, writer: &mut TextWriter) -> Printed {
    let mut printer = Printer { program, writer, printed: Printed::default() };
    printer.kernel();
    printer.printed
}

struct Printer<'a> {
    program: &'a TensorProgram,
    writer: &'a mut TextWriter,
    printed: Printed,
}

impl Printer<'_> {
    fn kernel(&mut self) {
        let program = self.program;
        self.printed.header = self.writer.open(&format!("kernel @{} {{", name_text(&program.name)));
        for sym in &program.sizes {
            let word = if program.shapes.kind(*sym) == SymbolKind::Size { "size" } else { "integer" };
            self.writer.line(&format!("{word} {}", program.shapes.display_sym(*sym)));
        }
        let facts: Vec<&Constraint> = program.shapes.facts().filter(|it| self.over_sizes(it)).collect();
        for fact in facts {
            self.writer.line(&format!("assume {}", constraint_text(&program.shapes, fact)));
        }
        let listed = program.params.iter().copied();
        let locals = program.buffers.iter().filter(|(_, it)| it.role == BufferRole::Local).map(|it| it.0);
        let others = program.buffers.iter().map(|it| it.0);
        for id in listed.chain(locals).chain(others) {
            if self.printed.buffers.get(id).is_none() {
                let line = self.buffer(&program.buffers[id]);
                let span = self.writer.line(&line);
                self.printed.buffers.insert(id, span);
            }
        }
        self.body(&program.body);
        self.writer.close("}");
    }

    fn over_sizes(&self, fact: &Constraint) -> bool {
        let shapes = &self.program.shapes;
        let mut symbols = fact.dims().flat_map(|dim| shapes.free_symbols(dim));
        symbols.all(|it| self.program.sizes.contains(&it))
    }

    fn buffer(&self, buffer: &Buffer) -> String {
        let role = match buffer.role {
            BufferRole::Input => "in",
            BufferRole::InOut => "inout",
            BufferRole::Output => "out",
            BufferRole::Local => "local",
        };
        let dims = dims_text(&self.program.shapes, &buffer.dims);
        format!("{role} %{}: {}{dims}", name_text(&buffer.name), buffer.dtype)
    }

    fn body(&mut self, body: &[Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::Stage(stage) => self.stage(stage),
                Stmt::For { axis, body } => {
                    let span =
                        self.writer.open(&format!("loop {} {{", self.axes(std::slice::from_ref(axis))));
                    self.printed.statements.push(span);
                    self.body(body);
                    self.writer.close("}");
                }
            }
        }
    }

    fn axes(&self, axes: &[Axis]) -> String {
        let shapes = &self.program.shapes;
        let list =
            axes.iter().map(|it| format!("{} < {}", shapes.display_sym(it.var), shapes.display(it.extent)));
        list.collect::<Vec<_>>().join(", ")
    }

    fn stage(&mut self, stage: &Stage) {
        let indices = stage.at.iter().filter_map(Index::value);
        // What a reduction computes may use its axes, so its names live inside of it.
        let (at, value, outer, inner) = match stage.combine {
            Some(_) => {
                let mut of_index = Exprs::new(self.program, &indices.collect::<Vec<_>>(), 0);
                let mut of_value = Exprs::new(self.program, &[stage.value], of_index.lets.len());
                let (at, value) = (of_index.indices(&stage.at), of_value.text(stage.value, 0));
                (at, value, of_index.lets, of_value.lets)
            }
            None => {
                let roots: Vec<ExprId> = std::iter::once(stage.value).chain(indices).collect();
                let mut exprs = Exprs::new(self.program, &roots, 0);
                let value = exprs.text(stage.value, 0);
                (exprs.indices(&stage.at), value, exprs.lets, Vec::new())
            }
        };
        let buffer = name_text(&self.program.buffers[stage.buffer].name);
        let target = format!("%{buffer}[{at}] =");
        let reduce = stage.combine.map(|it| format!("{} {}", it.name(), self.axes(&stage.reduce)));
        let whole = match &reduce {
            Some(reduce) => format!("{target} {reduce} {{ {value} }}"),
            None => format!("{target} {value}"),
        };
        let header = (!stage.axes.is_empty()).then(|| format!("for {} {{", self.axes(&stage.axes)));
        let one_line = match &header {
            Some(header) => format!("{header} {whole} }}"),
            None => whole.clone(),
        };
        if outer.is_empty() && inner.is_empty() && one_line.len() <= LINE {
            let span = self.writer.line(&one_line);
            self.printed.statements.push(span);
            return;
        }
        // A stage without axes needs braces only for its names.
        let braces = header.is_some() || !outer.is_empty();
        let first = braces.then(|| self.writer.open(header.as_deref().unwrap_or("for {")));
        for line in &outer {
            self.writer.line(line);
        }
        let span = match reduce {
            Some(reduce) if !inner.is_empty() || whole.len() > LINE => {
                let span = self.writer.open(&format!("{target} {reduce} {{"));
                for line in inner.iter().chain([&value]) {
                    self.writer.line(line);
                }
                self.writer.close("}");
                span
            }
            _ => self.writer.line(&whole),
        };
        self.printed.statements.push(first.unwrap_or(span));
        if braces {
            self.writer.close("}");
        }
    }
}

/// The expressions of a stage or of a part of it: equal ones are one, and what is used twice or nests too deep gets a name.
struct Exprs<'a> {
    program: &'a TensorProgram,
    /// The first expression that is equal to an expression.
    same: ArenaMap<ExprId, ExprId>,
    named: ArenaMap<ExprId, String>,
    lets: Vec<String>,
}

impl<'a> Exprs<'a> {
    /// The expressions below `roots`; names count from `first_name`.
    fn new(program: &'a TensorProgram, roots: &[ExprId], first_name: usize) -> Self {
        let mut exprs =
            Exprs { program, same: ArenaMap::default(), named: ArenaMap::default(), lets: Vec::new() };
        let mut firsts: IndexMap<String, ExprId> = IndexMap::new();
        let order = exprs.reachable(roots);
        let mut uses: ArenaMap<ExprId, u32> = ArenaMap::default();
        let mut depth: ArenaMap<ExprId, u32> = ArenaMap::default();
        for id in &order {
            let key = exprs.key(*id);
            let first = *firsts.entry(key).or_insert(*id);
            exprs.same.insert(*id, first);
        }
        let users = order.iter().filter(|it| exprs.same.get(**it) == Some(*it));
        for id in users {
            for operand in program.exprs[*id].operands() {
                *uses.entry(exprs.first(operand)).or_insert(0) += 1;
            }
        }
        for root in roots {
            *uses.entry(exprs.first(*root)).or_insert(0) += 1;
        }
        for id in order {
            if exprs.first(id) != id {
                continue;
            }
            let below =
                program.exprs[id].operands().into_iter().map(|it| depth.get(exprs.first(it)).copied());
            let deep = below.flatten().max().unwrap_or(0) + 1;
            if exprs.named.get(id).is_some() {
                continue;
            }
            let shared = uses.get(id).copied().unwrap_or(0) > 1 && !exprs.is_leaf(id);
            if (shared || deep >= DEPTH) && !exprs.is_leaf(id) {
                let text = exprs.text(id, 0);
                let name = format!("t{}", first_name + exprs.lets.len());
                exprs.lets.push(format!("let {name} = {text}"));
                exprs.named.insert(id, name);
                depth.insert(id, 0);
            } else {
                depth.insert(id, deep);
            }
        }
        exprs
    }

    /// Everything below the roots, operands before users; an expression that contains itself is cut.
    fn reachable(&mut self, roots: &[ExprId]) -> Vec<ExprId> {
        let mut state: ArenaMap<ExprId, bool> = ArenaMap::default();
        let mut order = Vec::new();
        let mut pending: Vec<(ExprId, bool)> = roots.iter().rev().map(|it| (*it, false)).collect();
        while let Some((id, done)) = pending.pop() {
            if done {
                if state.insert(id, true) != Some(true) {
                    order.push(id);
                }
                continue;
            }
            match state.get(id) {
                None => {
                    state.insert(id, false);
                    pending.push((id, true));
                    let operands = self.program.exprs[id].operands();
                    pending.extend(operands.into_iter().rev().map(|it| (it, false)));
                }
                Some(false) => {
                    self.named.insert(id, "cycle".to_owned());
                }
                Some(true) => {}
            }
        }
        order
    }

    fn first(&self, id: ExprId) -> ExprId {
        self.same.get(id).copied().unwrap_or(id)
    }

    fn key(&self, id: ExprId) -> String {
        let mut expr = self.program.exprs[id].clone();
        expr.for_each_operand_mut(&mut |operand| *operand = self.first(*operand));
        expr_key(&expr)
    }

    /// Whether naming it would not make the text shorter.
    fn is_leaf(&self, id: ExprId) -> bool {
        match &self.program.exprs[id] {
            Expr::Dim(..) | Expr::Float(..) | Expr::Int(..) => true,
            Expr::Load { at, otherwise, .. } => {
                otherwise.is_none() && at.iter().all(|it| it.value().is_none())
            }
            _ => false,
        }
    }

    fn indices(&mut self, at: &[Index]) -> String {
        let list: Vec<String> = at
            .iter()
            .map(|it| match it {
                Index::Dim(dim) => self.program.shapes.display(*dim).to_string(),
                Index::Value(value) => format!("{{{}}}", self.text(*value, 0)),
                Index::Checked(value) => format!("checked {{{}}}", self.text(*value, 0)),
            })
            .collect();
        list.join(", ")
    }

    /// The text of an expression, in parentheses when it binds less tightly than `level`.
    fn text(&mut self, id: ExprId, level: u8) -> String {
        let id = self.first(id);
        if let Some(name) = self.named.get(id) {
            return name.clone();
        }
        let program = self.program;
        match &program.exprs[id] {
            Expr::Dim(dim, dtype) => format!("dim<{dtype}>({})", program.shapes.display(*dim)),
            Expr::Float(value, dtype) => format!("{dtype}({})", float_text(*value)),
            Expr::Int(value, dtype) => format!("{dtype}({value})"),
            Expr::Load { buffer, at, otherwise } => {
                let name = name_text(&program.buffers[*buffer].name);
                let at = self.indices(at);
                match otherwise {
                    Some(value) => format!("%{name}[{at} | {}]", self.text(*value, 0)),
                    None => format!("%{name}[{at}]"),
                }
            }
            Expr::Unary(op, a) => format!("{}({})", op.name(), self.text(*a, 0)),
            Expr::Binary(op, a, b) => match op.precedence() {
                Some(own) => {
                    let text = format!("{} {} {}", self.text(*a, own), op.name(), self.text(*b, own + 1));
                    if own < level { format!("({text})") } else { text }
                }
                None => format!("{}({}, {})", op.name(), self.text(*a, 0), self.text(*b, 0)),
            },
            Expr::Compare(op, a, b) => {
                let text = format!("{} {} {}", self.text(*a, 1), op.name(), self.text(*b, 1));
                if level > 0 { format!("({text})") } else { text }
            }
            Expr::Select(cond, a, b) => {
                format!("select({}, {}, {})", self.text(*cond, 0), self.text(*a, 0), self.text(*b, 0))
            }
            Expr::Cast(dtype, a) => format!("cast<{dtype}>({})", self.text(*a, 0)),
        }
    }
}
