//! Running sums and products along an axis that is innermost in memory: a loop that combines a term with a local
//! value at every step, and stores that value before or after.

use indexmap::IndexMap;
use orogen_ir::loops::{
    Axis, BinaryOp, BufferId, BufferRole, Combine, Expr, ExprId, Index, Stage, Stmt, TensorProgram,
};
use orogen_ir::shape::{Dim, Sym};
use orogen_ir::types::DType;

use super::access::{Access, collapse, count};
use super::element::{lane_of, moves};
use super::expression::{Load, VectorExpr};
use super::reduction::Reduction;
use super::routine::Routine;
use super::row_program::Target;
use super::scan_program::{ScanCall, ScanProgram};
use super::selector::{Match, PLAIN, Selector, pairs};
use super::stages::{self, total_accesses};
use super::tree::{Arg, Call, Node as Tree};
use crate::kernels::element::Element;
use crate::vector::Width;

/// How many statements are a scan: the first value, and the loop.
pub(crate) const STATEMENTS: usize = 2;

/// The first statements of a program as running values of rows.
pub(crate) fn scan(s: &mut Selector<'_>, body: &[Stmt]) -> Option<Match> {
    let scan = Scan::of(s.program, body)?;
    let widths = stages::widths(s.program, &[scan.update, scan.publish]);
    widths.iter().find_map(|width| scan.select(s, *width))
}

/// A loop over `time`.
struct Scan<'a> {
    time: Axis,
    /// The value before the first step.
    start: f64,
    update: &'a Stage,
    /// What the running value is combined with.
    term: ExprId,
    combine: Combine,
    publish: &'a Stage,
    /// Whether the value before a step is stored.
    exclusive: bool,
}

impl<'a> Scan<'a> {
    fn of(program: &'a TensorProgram, body: &'a [Stmt]) -> Option<Scan<'a>> {
        let [Stmt::Stage(init), Stmt::For { axis, body }, ..] = body else { return None };
        let [Stmt::Stage(first), Stmt::Stage(second)] = &body[..] else { return None };
        let running = init.buffer;
        let exclusive = second.buffer == running;
        let (update, publish) = if exclusive { (second, first) } else { (first, second) };
        let local = program.buffers[running].role == BufferRole::Local;
        let plain = [init, update, publish].iter().all(|it| it.combine.is_none());
        // Stored by the first and by the update, read by the update and by what is stored.
        if !local || !plain || update.buffer != running || total_accesses(program, running) != 4 {
            return None;
        }
        let start = match program.exprs[init.value] {
            Expr::Float(value, _) => value,
            Expr::Int(value, _) if value.unsigned_abs() < 1 << 53 => value as f64,
            _ => return None,
        };
        let Expr::Binary(op, x, y) = program.exprs[update.value] else { return None };
        let combine = match op {
            BinaryOp::Add => Combine::Sum,
            BinaryOp::Mul => Combine::Product,
            _ => return None,
        };
        let is_running =
            |id: ExprId| matches!(program.exprs[id], Expr::Load { buffer, .. } if buffer == running);
        let term = match (is_running(x), is_running(y)) {
            (true, false) => y,
            (false, true) => x,
            _ => return None,
        };
        let own = [init, update, publish].iter().all(|stage| {
            stages::accesses(program, stage, running).all(|at| is_own(program, stage, running, at))
        });
        let extents = |stage: &Stage| stage.axes.iter().map(|it| it.extent).collect::<Vec<_>>();
        let same = extents(init) == extents(update) && extents(init) == extents(publish);
        (own && same).then_some(Scan { time: *axis, start, update, term, combine, publish, exclusive })
    }

    fn select(&self, s: &mut Selector<'_>, width: Width) -> Option<Match> {
        let program = s.program;
        let dtype = program.buffers[self.update.buffer].dtype;
        if dtype == DType::Bool || !s.fills(width, self.time.extent) {
            return None;
        }
        let reduction = Reduction::new(self.combine, dtype, width)?;
        let element_of = |buffer: BufferId| Element::in_lanes(program.buffers[buffer].dtype, width);
        let time = self.time.var;
        let with_time = |stage: &Stage| stage.axes.iter().map(|it| it.var).chain([time]).collect::<Vec<_>>();
        let names: IndexMap<Sym, Sym> =
            self.publish.axes.iter().zip(&self.update.axes).map(|(own, it)| (own.var, it.var)).collect();
        let store = Access::new(
            program,
            &mut s.shapes,
            self.publish.buffer,
            &self.publish.at,
            &with_time(self.publish),
        )?;
        let store = store.renamed(&names);
        let reverse = match s.shapes.as_int(store.of(time)?)? {
            1 => false,
            -1 => true,
            _ => return None,
        };

        // What is read: a pointer for each place.
        let mut pointers: Vec<Access> = Vec::new();
        let mut targets = Vec::new();
        let mut places = IndexMap::new();
        for id in stages::expressions(program, self.update) {
            let Expr::Load { buffer, at, otherwise } = &program.exprs[id] else { continue };
            if *buffer == self.update.buffer {
                continue;
            }
            // What the loop stores may lie over what it reads only at the same place.
            if otherwise.is_some() || *buffer == store.buffer {
                return None;
            }
            let access = Access::new(program, &mut s.shapes, *buffer, at, &with_time(self.update))?;
            let place = pointers.iter().position(|it| *it == access).unwrap_or(pointers.len());
            if place == pointers.len() {
                targets.push(Target { contiguous: access.uses(time), element: element_of(*buffer)? });
                pointers.push(access);
            }
            places.insert(id, place);
        }
        targets.push(Target { contiguous: true, element: element_of(store.buffer)? });
        pointers.push(store);

        let mut leaf = |expr: &mut VectorExpr, id| Some(expr.leaf(*places.get(&id)?));
        let mut term = VectorExpr::of_width(width);
        let term_root = term.add(program, self.term, &mut leaf)?;
        let mut result = VectorExpr::of_width(width);
        let running = |id: ExprId| matches!(program.exprs[id], Expr::Load { buffer, .. } if buffer == self.update.buffer);
        let mut leaf = |expr: &mut VectorExpr, id| running(id).then(|| expr.leaf(0));
        let result_root = match moves(program, self.publish) {
            true => result.leaf(0),
            false => result.add_stored(program, self.publish, &mut Load(&mut leaf))?,
        };
        let scan = ScanProgram {
            width,
            reduction,
            start: lane_of(dtype, width, self.start)?,
            reverse,
            exclusive: self.exclusive,
            targets,
            term: (term, term_root),
            result: (result, result_root),
        };
        self.emit(s, scan, &pointers)
    }

    fn emit(&self, s: &mut Selector<'_>, scan: ScanProgram, pointers: &[Access]) -> Option<Match> {
        let joined =
            collapse(&mut s.shapes, &pairs(&self.update.axes), &pointers.iter().collect::<Vec<_>>())?;
        let (loops, row) = match &joined[..] {
            [] => (&[][..], None),
            [loops @ .., last] => (loops, Some(last)),
        };
        let loops: Vec<(Sym, Dim)> = loops.iter().map(|it| (it.inner, it.extent)).collect();
        let (zero, one) = (s.shapes.int(0), s.shapes.int(1));
        let n = count(&mut s.shapes, self.time.extent)?;
        let rows = row.map_or(one, |it| it.count);
        let along = pointers.iter().map(|it| it.of(self.time.var).unwrap_or(zero)).collect();
        let call = ScanCall { n, rows, along };
        s.lawful(|shapes| Ok(scan.laws(shapes, &call)))?;
        let use_range = s.ranged && loops.is_empty();
        let (first, last, units) = if use_range { s.range(1, rows)? } else { (zero, rows, one) };
        let vars: Vec<Sym> = loops.iter().map(|it| it.0).collect();
        let (mut args, mut strides) = (Vec::new(), Vec::new());
        for (access, target) in pointers.iter().zip(&scan.targets) {
            let size = target.element.bytes();
            let stride = row.and_then(|it| access.of(it.inner)).unwrap_or(zero);
            let stride = s.shapes.scale(stride, size).ok()?;
            let start = access.bytes_at(&mut s.shapes, &vars, size)?;
            let skip = s.shapes.mul(first, stride).ok()?;
            args.push(Arg::Pointer(access.buffer, s.shapes.add(start, skip).ok()?));
            strides.push(Arg::Size(stride));
        }
        args.extend([n, s.shapes.sub(last, first).ok()?].map(Arg::Size));
        args.extend(strides);
        let what = format!(
            "scan of {} ({}){}",
            s.shapes.display(self.time.extent),
            scan.reduction.name(),
            stages::lanes(scan.width)
        );
        let isa = s.isa;
        let symbol = s.routine("scan", &scan.key(), || Routine::Program(Box::new(scan.build(isa)), isa));
        let node = Tree::Call(Box::new(Call { symbol, args, workspace: zero, what }));
        let node = s.wrap(&loops, node, true);
        Some(Match { node, stages: STATEMENTS, units: use_range.then_some(units), rate: PLAIN })
    }
}

/// Whether a stage touches a buffer at its own axes, in order; a dimension of 1 may be touched at 0.
fn is_own(program: &TensorProgram, stage: &Stage, buffer: BufferId, at: &[Index]) -> bool {
    let dims = &program.buffers[buffer].dims;
    at.len() == stage.axes.len()
        && at.iter().zip(&stage.axes).zip(dims).all(|((index, axis), dim)| {
            let shapes = &program.shapes;
            let single = shapes.as_int(*dim) == Some(1);
            index.dim().is_some_and(|it| {
                axis.extent == *dim
                    && (shapes.as_sym(it) == Some(axis.var) || (single && shapes.as_int(it) == Some(0)))
            })
        })
}
