//! What the stages of a kernel store.

use super::{Composer, MAX_DEPTH};
use crate::proof::cases::{Step, Stop};
use crate::proof::term::{Bound, Term, TermId};
use indexmap::IndexMap;
use orogen_ir::flow::ValueId;
use orogen_ir::loops::{Axis, BufferId, BufferRole, CompareOp, Expr, ExprId, Index, Stage, TensorProgram};
use orogen_ir::shape::{Dim, Sym};
use orogen_ir::types::DType;

/// One call of a kernel: what its size symbols are, and its operands.
pub(super) struct Frame<'p> {
    pub(super) side: usize,
    pub(super) program: &'p TensorProgram,
    pub(super) sizes: IndexMap<Sym, Dim>,
    pub(super) args: Vec<ValueId>,
    pub(super) stages: Vec<&'p Stage>,
}

/// One iteration of a stage: its number, and what its symbols are.
pub(super) struct Point<'f, 'p> {
    pub(super) frame: &'f Frame<'p>,
    pub(super) stage: usize,
    pub(super) symbols: IndexMap<Sym, Dim>,
}

impl Composer<'_> {
    /// The element of a buffer after the first `until` stages.
    pub(super) fn stored(
        &mut self,
        frame: &Frame<'_>,
        buffer: BufferId,
        at: &[Dim],
        until: usize,
    ) -> Step<TermId> {
        let last = (0..until).rev().find(|it| frame.stages[*it].buffer == buffer);
        let Some(number) = last else {
            let data = &frame.program.buffers[buffer];
            if !matches!(data.role, BufferRole::Input | BufferRole::InOut) {
                return Ok(self.terms.add(Term::Undefined(data.dtype)));
            }
            let operand = frame.program.inputs().position(|(it, _)| it == buffer);
            let operand = operand.and_then(|it| frame.args.get(it).copied());
            let operand = operand.ok_or_else(|| Stop::unknown("a kernel without that operand"))?;
            return self.element(frame.side, operand, at);
        };
        let stage = frame.stages[number];
        let (symbols, mut conditions) = self.invert(frame, stage, at)?;
        if writes_all(frame, number) {
            conditions.clear();
        }
        let point = Point { frame, stage: number, symbols };
        self.choose(conditions, &mut |cx| cx.stage_value(&point), &mut |cx| {
            cx.stored(frame, buffer, at, number)
        })
    }

    /// A dimension of a program, with values for its symbols.
    pub(super) fn local(&mut self, frame: &Frame<'_>, symbols: &IndexMap<Sym, Dim>, d: Dim) -> Step<Dim> {
        let shapes = &frame.program.shapes;
        let mut missing = None;
        let result = self.indices.cx.import_with(shapes, d, &mut |cx, sym| match symbols.get(&sym) {
            Some(value) => *value,
            None => {
                missing = Some(sym);
                cx.int(0)
            }
        })?;
        match missing {
            Some(sym) => Err(Stop::unknown(format!("the symbol `{}` of a kernel", shapes.name(sym)))),
            None => Ok(result),
        }
    }

    pub(super) fn stage_value(&mut self, point: &Point<'_, '_>) -> Step<TermId> {
        let stage = point.frame.stages[point.stage];
        let Some(combine) = stage.combine else { return self.expr(point, stage.value) };
        let mut symbols = point.symbols.clone();
        let mut bounds = Vec::new();
        for Axis { var, extent } in &stage.reduce {
            let extent = self.local(point.frame, &symbols, *extent)?;
            let extent = self.indices.cx.simplify(extent);
            let (sym, index) = self.indices.bound_index(extent);
            symbols.insert(*var, index);
            bounds.push(Bound { var: sym, extent });
        }
        let inner = Point { frame: point.frame, stage: point.stage, symbols };
        let value = self.expr(&inner, stage.value)?;
        Ok(self.terms.add(Term::Reduce(combine, bounds, value)))
    }

    pub(super) fn expr(&mut self, point: &Point<'_, '_>, id: ExprId) -> Step<TermId> {
        self.depth += 1;
        if self.depth >= MAX_DEPTH {
            return Err(Stop::unknown("the composed expression is too large"));
        }
        let term = match &point.frame.program.exprs[id] {
            Expr::Dim(d, dtype) => {
                let d = self.local(point.frame, &point.symbols, *d)?;
                Term::Index(self.indices.simplify(d)?, *dtype)
            }
            Expr::Float(value, dtype) if dtype.is_float() => {
                Term::Float(dtype.round(*value).to_bits(), *dtype)
            }
            Expr::Float(value, dtype) => Term::Int(dtype.wrap(*value as i64), *dtype),
            Expr::Int(value, dtype) => Term::Int(dtype.wrap(*value), *dtype),
            Expr::Unary(op, a) => Term::Unary(*op, self.expr(point, *a)?),
            Expr::Binary(op, a, b) => Term::Binary(*op, self.expr(point, *a)?, self.expr(point, *b)?),
            Expr::Compare(op, a, b) => Term::Compare(*op, self.expr(point, *a)?, self.expr(point, *b)?),
            Expr::Cast(dtype, a) => Term::Cast(*dtype, self.expr(point, *a)?),
            Expr::Select(cond, a, b) => {
                let (cond, a, b) = (self.expr(point, *cond)?, self.expr(point, *a)?, self.expr(point, *b)?);
                self.depth -= 1;
                return self.select(cond, a, b);
            }
            Expr::Load { buffer, at, otherwise } => {
                let term = self.load(point, *buffer, at, *otherwise);
                self.depth -= 1;
                return term;
            }
        };
        self.depth -= 1;
        Ok(self.terms.add(term))
    }

    /// A choice by a comparison of indices is one by conditions.
    pub(super) fn select(&mut self, cond: TermId, a: TermId, b: TermId) -> Step<TermId> {
        let Term::Compare(op, x, y) = *self.terms.get(cond) else {
            return Ok(self.terms.add(Term::Select(cond, a, b)));
        };
        let (Some(x), Some(y)) = (self.as_index(x), self.as_index(y)) else {
            return Ok(self.terms.add(Term::Select(cond, a, b)));
        };
        let (up, down) = (self.indices.cx.sub(y, x)?, self.indices.cx.sub(x, y)?);
        let (conditions, a, b) = match op {
            CompareOp::Eq => (vec![up, down], a, b),
            CompareOp::Ne => (vec![up, down], b, a),
            CompareOp::Le => (vec![up], a, b),
            CompareOp::Ge => (vec![down], a, b),
            CompareOp::Lt => (vec![down], b, a),
            CompareOp::Gt => (vec![up], b, a),
        };
        self.choose(conditions, &mut |_| Ok(a), &mut |_| Ok(b))
    }

    /// The index expression that a 64-bit integer is.
    pub(super) fn as_index(&mut self, term: TermId) -> Option<Dim> {
        match *self.terms.get(term) {
            Term::Index(d, DType::I64) => Some(d),
            Term::Int(value, DType::I64) => Some(self.indices.cx.int(value)),
            _ => None,
        }
    }
}

/// Whether a stage writes every element of its buffer: it is the only one, and the buffer is an output, which is written
/// whole (law L12 of tensor programs), or the stage's axes are its dimensions.
fn writes_all(frame: &Frame<'_>, number: usize) -> bool {
    let stage = frame.stages[number];
    if frame.stages.iter().filter(|it| it.buffer == stage.buffer).count() > 1 {
        return false;
    }
    let (buffer, shapes) = (&frame.program.buffers[stage.buffer], &frame.program.shapes);
    let own = |(index, dim): (&Index, &Dim)| {
        let var = index.dim().and_then(|it| shapes.as_sym(it));
        stage.axes.iter().any(|axis| Some(axis.var) == var && axis.extent == *dim)
    };
    match buffer.role {
        BufferRole::Output => true,
        BufferRole::Local => stage.at.iter().zip(&buffer.dims).all(own),
        BufferRole::Input | BufferRole::InOut => false,
    }
}
