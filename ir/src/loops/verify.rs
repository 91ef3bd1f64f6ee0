//! Checks a tensor program against the laws of [`super`].
//!
//! | code | law | code | law |
//! |---|---|---|---|
//! | L001 | L1 symbols in scope | L006 | L6 independent iterations |
//! | L002 | L2 one index a dimension | L007 | L7 parameters |
//! | L003 | L3 inputs and outputs | L008 | L8 unique axes |
//! | L004 | L4 stored before loaded | L009 | L9 well-formed expressions and reductions |
//! | L005 | L5 types | L010 | L10 nesting of expressions |
//! | L011 | L11 accesses in range | L012 | L12 outputs written whole |

mod accesses;
mod bounds;
mod coverage;
mod requirements;
mod values;

#[cfg(test)]
mod tests;

use super::expr::{is_comparable, is_convertible, is_int_constant};
use super::text::{Printed, print_program};
use super::{Axis, Buffer, BufferId, BufferRole, Combine, Expr, ExprId, Index, Stage, Stmt, TensorProgram};
use crate::diag::{Diagnostic, Diagnostics, Place};
use crate::shape::{Constraint, Dim, Sym, SymbolKind};
use crate::types::DType;
use accesses::Accesses;
use indexmap::IndexSet;
use la_arena::ArenaMap;

pub use requirements::{Requirement, Requirements};

/// How deep expressions may nest. Fusion stays far below it.
pub const MAX_NESTING: u32 = 512;

/// Checks all laws; returns what of them depends on the sizes of a call.
///
/// # Errors
/// Every violation, each drawn under its line of the printed program.
pub fn verify(program: &TensorProgram) -> Result<Requirements, Diagnostics> {
    let mut verifier = Verifier {
        program,
        printed: None,
        statement: None,
        found: Diagnostics::new(),
        stored: IndexSet::new(),
        axes: IndexSet::new(),
    };
    // Everything else walks expressions and buffers, so these must exist and end, and soon.
    verifier.check_l9_expressions_end();
    if verifier.found.is_empty() {
        verifier.check_l10_nesting();
    }
    if verifier.found.is_empty() {
        verifier.check_l7_parameters();
        verifier.check_l1_buffer_shapes();
        let mut next = 0;
        let mut scope: Vec<Sym> = program.sizes.clone();
        verifier.body(&program.body, &mut scope, &mut next);
        verifier.statement = None;
        verifier.check_l3_outputs_are_stored();
    }
    let mut requirements = Requirements::default();
    // These take the other laws for granted.
    if verifier.found.is_empty() {
        let mut accesses = Accesses::new(program);
        accesses.body(&program.body, &mut 0);
        for (statement, code, message) in std::mem::take(&mut accesses.violations) {
            verifier.statement = Some(statement);
            verifier.report(code, message);
        }
        verifier.statement = None;
        for (buffer, message) in accesses.check_l12_whole() {
            verifier.report_buffer("L012", buffer, message);
        }
        requirements = accesses.finish();
    }
    verifier.found.into_result(requirements)
}

struct Verifier<'a> {
    program: &'a TensorProgram,
    /// Made when the first violation needs a place.
    printed: Option<Printed>,
    /// The statement that is being checked.
    statement: Option<usize>,
    found: Diagnostics,
    /// Buffers stored so far in program order.
    stored: IndexSet<BufferId>,
    /// Axes seen so far.
    axes: IndexSet<Sym>,
}

impl Verifier<'_> {
    fn report(&mut self, code: &'static str, message: String) {
        let printed = self.printed.get_or_insert_with(|| print_program(self.program));
        let place = match self.statement {
            Some(i) => printed.statement_place(i),
            None => printed.header_place(),
        };
        self.push(code, message, place);
    }

    fn report_buffer(&mut self, code: &'static str, buffer: BufferId, message: String) {
        let printed = self.printed.get_or_insert_with(|| print_program(self.program));
        let place = printed.buffer_place(buffer);
        self.push(code, message, place);
    }

    fn push(&mut self, code: &'static str, message: String, place: Place) {
        let kernel = format!("in kernel `@{}`", self.program.name);
        self.found.push(Diagnostic::error(code, message).at_place(place).note(kernel));
    }

    fn buffer(&self, id: BufferId) -> &Buffer {
        &self.program.buffers[id]
    }

    /// L9: ids are of this program and no expression contains itself.
    fn check_l9_expressions_end(&mut self) {
        let program = self.program;
        let known_expr = |id: ExprId| (id.into_raw().into_u32() as usize) < program.exprs.len();
        let known_buffer = |id: BufferId| (id.into_raw().into_u32() as usize) < program.buffers.len();
        let stages = program.stages();
        let mut ok = program.params.iter().all(|it| known_buffer(*it))
            && stages.iter().all(|it| known_buffer(it.buffer) && known_expr(it.value))
            && stages.iter().flat_map(|it| &it.at).filter_map(Index::value).all(known_expr);
        for (_, expr) in program.exprs.iter() {
            ok &= expr.operands().into_iter().all(known_expr);
            ok &= !matches!(expr, Expr::Load { buffer, .. } if !known_buffer(*buffer));
        }
        let known_sym = |sym: &Sym| program.shapes.symbols().any(|it| it == *sym);
        ok &= program.sizes.iter().all(known_sym);
        if !ok {
            let message = "L9: an expression or buffer of another program is used".to_owned();
            self.push("L009", message, Place::Entity(format!("kernel `@{}`", program.name)));
            return;
        }
        // Depth-first search: an expression met again on the way to itself is a cycle.
        let mut done: ArenaMap<ExprId, bool> = ArenaMap::default();
        for (root, _) in program.exprs.iter() {
            let mut pending = vec![(root, false)];
            while let Some((id, leaving)) = pending.pop() {
                match (leaving, done.get(id)) {
                    (true, _) => {
                        done.insert(id, true);
                    }
                    (false, None) => {
                        done.insert(id, false);
                        pending.push((id, true));
                        pending.extend(program.exprs[id].operands().into_iter().map(|it| (it, false)));
                    }
                    (false, Some(false)) => {
                        self.report("L009", "L9: an expression contains itself".to_owned());
                        return;
                    }
                    (false, Some(true)) => {}
                }
            }
        }
    }

    /// L10: no expression nests too deep.
    fn check_l10_nesting(&mut self) {
        let program = self.program;
        let mut depths: ArenaMap<ExprId, u32> = ArenaMap::default();
        let mut deepest = 0;
        for id in program.postorder(program.exprs.iter().map(|(id, _)| id)) {
            let below = program.exprs[id].operands().into_iter().filter_map(|it| depths.get(it).copied());
            let depth = below.max().unwrap_or(0) + 1;
            depths.insert(id, depth);
            deepest = deepest.max(depth);
        }
        if deepest > MAX_NESTING {
            let message = format!("L10: expressions nest {deepest} deep, and {MAX_NESTING} is the limit");
            let place = Place::Entity(format!("kernel `@{}`", program.name));
            let help = "store what is computed half-way in a local buffer";
            self.found.push(Diagnostic::error("L010", message).at_place(place).help(help));
        }
    }

    /// L7: inputs, then what is updated, then outputs, each once; locals are no parameters.
    fn check_l7_parameters(&mut self) {
        let program = self.program;
        let place = |role| BufferRole::PARAMS.iter().position(|it| *it == role);
        let mut last = None;
        let mut listed = IndexSet::new();
        for id in &program.params {
            let buffer = &program.buffers[*id];
            if !listed.insert(*id) {
                self.report_buffer(
                    "L007",
                    *id,
                    format!("L7: `%{}` is listed twice as a parameter", buffer.name),
                );
            }
            let place = place(buffer.role);
            if place.is_none() {
                let message = format!("L7: the local `%{}` is a parameter", buffer.name);
                self.report_buffer("L007", *id, message);
            } else if place < last {
                let message =
                    format!("L7: `%{}` is listed after a parameter that is written more", buffer.name);
                self.report_buffer("L007", *id, message);
            }
            last = last.max(place);
        }
        let mut names = IndexSet::new();
        for (id, buffer) in program.buffers.iter() {
            if buffer.role != BufferRole::Local && !listed.contains(&id) {
                let message = format!("L7: `%{}` is not listed as a parameter", buffer.name);
                self.report_buffer("L007", id, message);
            }
            if !names.insert(buffer.name.as_str()) {
                self.report_buffer("L007", id, format!("L7: two buffers are called `%{}`", buffer.name));
            }
        }
    }

    /// L1: shapes of buffers and what is assumed are over size parameters.
    fn check_l1_buffer_shapes(&mut self) {
        let program = self.program;
        for fact in program.shapes.facts() {
            if let Some(sym) = fact.dims().find_map(|it| self.out_of_scope(it, &program.sizes)) {
                let name = program.shapes.name(sym);
                self.report("L001", format!("L1: `{name}` is assumed about, and is no size parameter"));
            }
        }
        for (id, buffer) in program.buffers.iter() {
            for dim in &buffer.dims {
                if let Some(sym) = self.out_of_scope(*dim, &program.sizes) {
                    let message = format!("L1: `{}` is no size parameter", program.shapes.name(sym));
                    self.report_buffer("L001", id, message);
                }
            }
        }
    }

    /// L3: every output is stored to.
    fn check_l3_outputs_are_stored(&mut self) {
        let program = self.program;
        for (id, buffer) in program.buffers.iter() {
            if buffer.role == BufferRole::Output && !self.stored.contains(&id) {
                let message = format!("L3: the output `%{}` is never stored to", buffer.name);
                self.report_buffer("L003", id, message);
            }
        }
    }

    fn out_of_scope(&self, dim: Dim, scope: &[Sym]) -> Option<Sym> {
        self.program.shapes.free_symbols(dim).into_iter().find(|it| !scope.contains(it))
    }

    /// L1 for an index or extent of the present statement.
    fn check_l1_scope(&mut self, dim: Dim, scope: &[Sym], what: &str) {
        if let Some(sym) = self.out_of_scope(dim, scope) {
            let shapes = &self.program.shapes;
            let message =
                format!("L1: `{}` is not in scope in {what} `{}`", shapes.name(sym), shapes.display(dim));
            self.report("L001", message);
        }
    }

    fn check_l8_axis(&mut self, axis: &Axis) {
        let name = self.program.shapes.name(axis.var);
        if self.program.shapes.kind(axis.var) != (SymbolKind::Index { extent: axis.extent }) {
            self.report("L008", format!("L8: the axis `{name}` is no index below its extent"));
        }
        if self.program.sizes.contains(&axis.var) || !self.axes.insert(axis.var) {
            self.report("L008", format!("L8: the axis `{name}` is used elsewhere"));
        }
    }

    fn body(&mut self, body: &[Stmt], scope: &mut Vec<Sym>, next: &mut usize) {
        for stmt in body {
            self.statement = Some(*next);
            *next += 1;
            match stmt {
                Stmt::Stage(stage) => self.stage(stage, scope),
                Stmt::For { axis, body } => {
                    self.check_l1_scope(axis.extent, scope, "the extent");
                    self.check_l8_axis(axis);
                    scope.push(axis.var);
                    self.body(body, scope, next);
                    scope.pop();
                }
            }
        }
    }

    fn stage(&mut self, stage: &Stage, scope: &mut Vec<Sym>) {
        let outside = scope.len();
        for axis in stage.all_axes() {
            self.check_l1_scope(axis.extent, &scope[..outside], "the extent");
            self.check_l8_axis(axis);
            scope.push(axis.var);
        }
        let stores = outside + stage.axes.len();
        self.check_indices(stage.buffer, &stage.at, &scope[..stores]);
        for value in stage.at.iter().filter_map(Index::value) {
            self.expr(value, &scope[..stores]);
        }
        self.expr(stage.value, scope);
        scope.truncate(outside);
        self.check_l9_combination(stage);
        self.check_l3_store(stage);
        self.check_l5_store(stage);
        self.check_l6_independent(stage);
        self.stored.insert(stage.buffer);
    }

    /// L9: a combination and reduction axes come together.
    fn check_l9_combination(&mut self, stage: &Stage) {
        if stage.combine.is_some() == stage.reduce.is_empty() {
            self.report("L009", "L9: a combination needs reduction axes, and they need one".to_owned());
        }
    }

    fn check_l3_store(&mut self, stage: &Stage) {
        if self.buffer(stage.buffer).role == BufferRole::Input {
            let name = self.buffer(stage.buffer).name.clone();
            self.report("L003", format!("L3: the input `%{name}` is stored to"));
        }
    }

    fn check_l5_store(&mut self, stage: &Stage) {
        let (wanted, found) = (self.buffer(stage.buffer).dtype, self.program.dtype_of(stage.value));
        if wanted != found {
            let name = self.buffer(stage.buffer).name.clone();
            self.report(
                "L005",
                format!("L5: a value of type {found} is stored to `%{name}`, which is {wanted}"),
            );
        }
        if found == DType::Bool && matches!(stage.combine, Some(Combine::Sum | Combine::Product)) {
            self.report("L005", "L5: booleans have no sum and no product".to_owned());
        }
        if found.is_only_moved() && stage.combine.is_some() {
            self.report("L005", format!("L5: {found} is only moved and cannot be reduced"));
        }
    }

    /// L6: iterations of one stage do not see each other.
    fn check_l6_independent(&mut self, stage: &Stage) {
        let program = self.program;
        let name = &program.buffers[stage.buffer].name;
        // A stage of one iteration, or one that loads exactly the element it stores, is fine.
        let single = stage.axes.iter().all(|it| self.at_most_one(it.extent));
        if single {
            return;
        }
        let mut foreign = false;
        let roots = std::iter::once(stage.value).chain(stage.at.iter().filter_map(Index::value));
        for root in roots {
            program.walk(root, &mut |_, expr| {
                foreign |= matches!(expr, Expr::Load { buffer, at, .. }
                    if *buffer == stage.buffer && self.may_meet_another(stage, at));
            });
        }
        if foreign {
            self.report(
                "L006",
                format!("L6: an iteration loads an element of `%{name}` that another one stores"),
            );
        }
        // A data-dependent index is the author's promise.
        if stage.at.iter().any(|it| it.value().is_some()) {
            return;
        }
        for axis in stage.axes.iter().filter(|it| !self.at_most_one(it.extent)) {
            let used = stage.at.iter().filter_map(Index::dim);
            let used = used.into_iter().any(|it| program.shapes.free_symbols(it).contains(&axis.var));
            if !used {
                let axis = program.shapes.name(axis.var);
                self.report(
                    "L006",
                    format!("L6: all iterations of `{axis}` store to one element of `%{name}`"),
                );
                return;
            }
        }
    }

    /// Whether a load of the stored buffer at `at` may read what another iteration stores.
    fn may_meet_another(&self, stage: &Stage, at: &[Index]) -> bool {
        let shapes = &self.program.shapes;
        let pairs = || stage.at.iter().zip(at).filter_map(|(store, load)| store.dim().zip(load.dim()));
        let fixed =
            |d: Dim| !shapes.free_symbols(d).iter().any(|it| stage.all_axes().any(|axis| axis.var == *it));
        // Never the same element, whatever the iterations.
        if pairs().any(|(store, load)| fixed(store) && fixed(load) && shapes.prove_eq(store, load).is_never())
        {
            return false;
        }
        // The same element only in the same iteration.
        let mut axes = stage.axes.iter().filter(|it| !self.at_most_one(it.extent));
        *at != *stage.at
            && !axes.all(|axis| {
                pairs().any(|(store, load)| store == load && shapes.as_sym(store) == Some(axis.var))
            })
    }

    fn at_most_one(&self, extent: Dim) -> bool {
        self.program.shapes.prove(Constraint::AtMost(extent, 1)).is_always()
    }

    /// L1 and L2 for an index of `buffer`.
    fn check_indices(&mut self, buffer: BufferId, at: &[Index], scope: &[Sym]) {
        let (wanted, found) = (self.buffer(buffer).dims.len(), at.len());
        if wanted != found {
            let name = self.buffer(buffer).name.clone();
            self.report("L002", format!("L2: `%{name}` has {wanted} dimensions but is indexed by {found}"));
        }
        for dim in at.iter().filter_map(Index::dim) {
            self.check_l1_scope(dim, scope, "the index");
        }
        for value in at.iter().filter_map(Index::value) {
            let dtype = self.program.dtype_of(value);
            if !dtype.is_int() {
                self.report("L005", format!("L5: an index is {dtype}, not an integer"));
            }
        }
    }

    /// L1, L2, L4 and L5 for everything below `root`.
    fn expr(&mut self, root: ExprId, scope: &[Sym]) {
        let program = self.program;
        let mut below = Vec::new();
        program.walk(root, &mut |id, _| below.push(id));
        below.into_iter().for_each(|id| self.check_node(&program.exprs[id], scope));
    }

    fn check_node(&mut self, expr: &Expr, scope: &[Sym]) {
        let program = self.program;
        let dtype = |id: &ExprId| program.dtype_of(*id);
        let mut wrong = |message: String| self.report("L005", format!("L5: {message}"));
        match expr {
            Expr::Dim(dim, dtype) => {
                if !dtype.is_int() {
                    wrong(format!("an index expression is {dtype}, not an integer"));
                }
                self.check_l1_scope(*dim, scope, "the expression");
            }
            Expr::Float(_, dtype) if !dtype.is_float() => wrong(format!("a float constant is {dtype}")),
            Expr::Int(value, dtype) if !is_int_constant(*value, *dtype) => {
                wrong(format!("a constant {value} is {dtype}"));
            }
            Expr::Cast(to, a) if !is_convertible(dtype(a), *to) => {
                wrong(format!("{} is converted to {to}", dtype(a)));
            }
            Expr::Float(..) | Expr::Int(..) | Expr::Cast(..) => {}
            Expr::Load { buffer, at, otherwise } => {
                if let Some(value) = otherwise
                    && dtype(value) != program.buffers[*buffer].dtype
                {
                    wrong(format!(
                        "a load of {} is replaced by {}",
                        program.buffers[*buffer].dtype,
                        dtype(value)
                    ));
                }
                self.check_indices(*buffer, at, scope);
                self.check_l4_stored_before(*buffer);
            }
            Expr::Unary(op, a) => {
                if !op.admits(dtype(a)) {
                    wrong(format!("`{}` has no meaning on {}", op.name(), dtype(a)));
                }
            }
            Expr::Binary(op, a, b) => {
                if dtype(a) != dtype(b) {
                    wrong(format!("`{}` combines {} and {}", op.name(), dtype(a), dtype(b)));
                } else if !op.admits(dtype(a)) {
                    wrong(format!("`{}` has no meaning on {}", op.name(), dtype(a)));
                }
            }
            Expr::Compare(op, a, b) => {
                if dtype(a) != dtype(b) {
                    wrong(format!("`{}` compares {} and {}", op.name(), dtype(a), dtype(b)));
                } else if !is_comparable(*op, dtype(a)) {
                    wrong(format!("`{}` has no meaning on {}", op.name(), dtype(a)));
                }
            }
            Expr::Select(cond, a, b) => {
                if dtype(cond) != DType::Bool {
                    wrong(format!("a condition is {}", dtype(cond)));
                }
                if dtype(a) != dtype(b) {
                    wrong(format!("`select` chooses between {} and {}", dtype(a), dtype(b)));
                }
            }
        }
    }

    /// L4: a local is stored before it is loaded.
    fn check_l4_stored_before(&mut self, buffer: BufferId) {
        if self.buffer(buffer).role == BufferRole::Local && !self.stored.contains(&buffer) {
            let name = self.buffer(buffer).name.clone();
            self.report("L004", format!("L4: the local `%{name}` is loaded before it is stored"));
        }
    }
}
