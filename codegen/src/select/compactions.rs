//! Selection by data: a loop that stores the number of each step at the place that a counter says, and counts the steps
//! whose element is selected. So the numbers of those are in the end at the front, in order.

use indexmap::IndexMap;
use orogen_ir::loops::{Axis, BinaryOp, BufferId, Expr, ExprId, Index, Stage, Stmt, TensorProgram};
use orogen_ir::types::DType;

use super::access::{Access, count};
use super::compaction_program::{CompactionCall, CompactionProgram};
use super::expression::VectorExpr;
use super::routine::Routine;
use super::row_program::Target;
use super::selector::{Match, PLAIN, Selector};
use super::stages;
use super::tree::{Arg, Call, Node as Tree};
use crate::kernels::element::Element;
use crate::vector::Width;

/// A loop as vectors of elements, whose selected ones are found by their bits.
pub(crate) fn compaction(s: &mut Selector<'_>, statement: &Stmt) -> Option<Match> {
    let found = Compaction::of(s.program, statement)?;
    Width::FLOATS.into_iter().find_map(|width| found.select(s, width))
}

struct Compaction {
    axis: Axis,
    /// Where the numbers go.
    places: BufferId,
    counter: BufferId,
    /// Whether an element is selected.
    selects: ExprId,
}

impl Compaction {
    fn of(program: &TensorProgram, statement: &Stmt) -> Option<Compaction> {
        let Stmt::For { axis, body } = statement else { return None };
        let [Stmt::Stage(publish), Stmt::Stage(update)] = &body[..] else { return None };
        let (places, counter) = (publish.buffer, update.buffer);
        let plain = |it: &Stage| it.axes.is_empty() && it.combine.is_none();
        let whole = |it: BufferId| program.buffers[it].dtype == DType::I64;
        if places == counter || ![publish, update].into_iter().all(plain) || !whole(places) || !whole(counter)
        {
            return None;
        }
        let is_counter = |id: ExprId| match &program.exprs[id] {
            Expr::Load { buffer, at, otherwise: None } => *buffer == counter && *at == update.at,
            _ => false,
        };
        let is_step = |id: ExprId| matches!(program.exprs[id], Expr::Dim(dim, DType::I64) if program.shapes.as_sym(dim) == Some(axis.var));
        // Between 0 and the number of the step, which it is anyway where it starts at 0.
        let [Index::Value(place)] = publish.at[..] else { return None };
        let Expr::Binary(BinaryOp::Min, least, most) = program.exprs[place] else { return None };
        let Expr::Binary(BinaryOp::Max, found, zero) = program.exprs[least] else { return None };
        let clamped = is_counter(found) && matches!(program.exprs[zero], Expr::Int(0, _)) && is_step(most);
        let fixed = update.at.iter().all(|it| it.dim().is_some_and(|it| program.shapes.as_int(it).is_some()));
        if !clamped || !fixed || !is_step(publish.value) || !starts_at_zero(program, statement, update) {
            return None;
        }
        let Expr::Binary(BinaryOp::Add, before, more) = program.exprs[update.value] else { return None };
        let Expr::Cast(DType::I64, selects) = program.exprs[more] else { return None };
        let is_flag = is_counter(before) && program.dtype_of(selects) == DType::Bool;
        is_flag.then_some(Compaction { axis: *axis, places, counter, selects })
    }

    fn select(&self, s: &mut Selector<'_>, width: Width) -> Option<Match> {
        let program = s.program;
        let zero = s.shapes.int(0);
        let (mut pointers, mut targets): (Vec<Access>, Vec<Target>) = (Vec::new(), Vec::new());
        let mut known = IndexMap::new();
        for id in stages::expressions_below(program, vec![self.selects]) {
            let Expr::Load { buffer, at, otherwise } = &program.exprs[id] else { continue };
            if otherwise.is_some() || [self.places, self.counter].contains(buffer) {
                return None;
            }
            let access = Access::new(program, &mut s.shapes, *buffer, at, &[self.axis.var])?;
            let element = Element::in_lanes(program.buffers[*buffer].dtype, width)?;
            let place = pointers.iter().position(|it| *it == access).unwrap_or(pointers.len());
            if place == pointers.len() {
                targets.push(Target { contiguous: access.uses(self.axis.var), element });
                pointers.push(access);
            }
            known.insert(id, place);
        }
        let mut selects = VectorExpr::of_width(width);
        let root = selects.add(program, self.selects, &mut |expr, id| Some(expr.leaf(*known.get(&id)?)))?;
        let n = count(&mut s.shapes, self.axis.extent)?;
        let along = pointers.iter().map(|it| it.of(self.axis.var).unwrap_or(zero)).collect();
        let compaction = CompactionProgram { width, targets, selects: (selects, root) };
        s.lawful(|shapes| Ok(compaction.laws(shapes, &CompactionCall { n, along })))?;
        let mut args = Vec::new();
        for (access, target) in pointers.iter().zip(&compaction.targets) {
            let start = access.bytes_at(&mut s.shapes, &[], target.element.bytes())?;
            args.push(Arg::Pointer(access.buffer, start));
        }
        args.push(Arg::Pointer(self.places, zero));
        args.extend([Arg::Pointer(self.counter, zero), Arg::Size(n)]);
        let what = format!("compaction of {}", s.shapes.display(self.axis.extent));
        let isa = s.isa;
        let symbol = s
            .routine("compaction", &compaction.key(), || Routine::Program(Box::new(compaction.build()), isa));
        let node = Tree::Call(Box::new(Call { symbol, args, workspace: zero, what }));
        Some(Match { node, stages: 1, units: None, rate: PLAIN })
    }
}

/// Whether a counter that a loop updates is one number, stored to twice: as 0 before the loop, and in it.
fn starts_at_zero(program: &TensorProgram, statement: &Stmt, update: &Stage) -> bool {
    let at = program.body.iter().position(|it| std::ptr::eq(it, statement));
    let stores = |body: &[Stmt]| {
        let direct = body.iter().filter_map(|it| match it {
            Stmt::Stage(stage) if stage.buffer == update.buffer => Some(stage.clone()),
            _ => None,
        });
        direct.collect::<Vec<Stage>>()
    };
    let Some(before) = at.and_then(|at| program.body.get(..at)) else { return false };
    let is_zero = |stage: &Stage| {
        stage.axes.is_empty()
            && stage.combine.is_none()
            && stage.at == update.at
            && matches!(program.exprs[stage.value], Expr::Int(0, _))
    };
    let single = program.buffers[update.buffer].dims.iter().all(|it| program.shapes.as_int(*it) == Some(1));
    let in_loops = before.iter().any(|it| match it {
        Stmt::For { .. } => stages::count(program, it, update.buffer) > 0,
        Stmt::Stage(_) => false,
    });
    single && !in_loops && matches!(&stores(before)[..], [only] if is_zero(only))
}
