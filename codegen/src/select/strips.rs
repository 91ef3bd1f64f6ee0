//! Elementwise stages, and reductions over a few elements, whose loads are guarded, or which treat neighbouring
//! elements of a row differently: padding, upsampling by a factor, transposed convolution.
//!
//! Where a guard is linear in the innermost axis, a row falls into a part in which all loads are in range and the
//! edges around it; only the edges look at the guards. Where an index divides the innermost axis by a factor, the
//! axis is taken apart into groups of so many elements, and each element of a group gets its own expression, in which
//! the index is linear and the conditions on it are decided. Reduction axes are written out.

use indexmap::IndexMap;
use orogen_ir::loops::{BinaryOp, BufferId, CompareOp, Expr, ExprId, Index, Stage, UnaryOp};
use orogen_ir::shape::{Dim, Sym};
use orogen_ir::types::DType;

use super::expression::{Leaves, Node, VectorExpr, fills_lane};
use super::routine::Routine;
use super::schedule::Node as Tree;
use super::selector::{Arg, Call, Match, Selector};
use super::strip_program::{Source, StripProgram, accumulate};

/// Sizes of groups that are tried.
const GROUPS: [i64; 4] = [1, 2, 4, 8];
/// Most terms of a reduction that is written out.
const MOST_TERMS: i64 = 25;

/// A stage in strips.
pub(crate) fn strips(s: &mut Selector<'_>, run: &[&Stage]) -> Option<Match> {
    let stage = *run.first()?;
    let terms = terms(s, stage)?;
    let dtype = s.program.buffers[stage.buffer].dtype;
    let fits = dtype == DType::F32 || (stage.combine.is_none() && fills_lane(dtype));
    if !fits || stage.at.iter().any(|it| it.dim().is_none()) {
        return None;
    }
    GROUPS.iter().find_map(|group| Strips::new(s, stage, &terms, *group)?.emit(s))
}

/// The points of the reduction, in order; one without axes if there is none.
fn terms(s: &Selector<'_>, stage: &Stage) -> Option<Vec<Vec<(Sym, i64)>>> {
    let mut points = vec![Vec::new()];
    for axis in &stage.reduce {
        let extent = s.shapes.as_int(axis.extent).filter(|it| (1..=MOST_TERMS).contains(it))?;
        points = points
            .into_iter()
            .flat_map(|point| {
                (0..extent).map(move |at| point.iter().copied().chain([(axis.var, at)]).collect())
            })
            .collect();
    }
    (points.len() as i64 <= MOST_TERMS).then_some(points)
}

/// `low ≤ index < high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    low: Dim,
    high: Dim,
}

/// When a load is in range.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Guard {
    /// Bits of the value elsewhere.
    otherwise: u32,
    /// Of groups in a row.
    inner: Range,
    /// Of indices over the other axes.
    outer: Vec<Range>,
}

/// A load: where it is in a row, in elements from the start of the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Load {
    buffer: BufferId,
    offset: Dim,
    moves: bool,
    guard: Option<Guard>,
}

struct Strips {
    /// Axes around the rows, outermost first.
    outer: Vec<(Sym, Dim)>,
    /// Groups of a row.
    n: Dim,
    loads: Vec<Load>,
    target: (BufferId, Dim),
    program: StripProgram,
    what: String,
}

impl Strips {
    fn new(s: &mut Selector<'_>, stage: &Stage, terms: &[Vec<(Sym, i64)>], group: i64) -> Option<Strips> {
        let zero = s.shapes.int(0);
        let mut values: IndexMap<Sym, Dim> = IndexMap::new();
        let mut outer = Vec::new();
        for axis in &stage.axes {
            if s.shapes.as_int(axis.extent) == Some(1) {
                values.insert(axis.var, zero);
            } else {
                outer.push((axis.var, axis.extent));
            }
        }
        let (inner, extent) = outer.pop()?;
        if !s.shapes.divides(group, extent).is_always() {
            return None;
        }
        let n = s.shapes.floor_div(extent, group).ok()?;
        let q = if group == 1 { s.shapes.sym_dim(inner) } else { s.shapes.fresh_index("group", n) };
        let row = s.shapes.as_sym(q)?;
        let mut parts = Parts { s, stage, row, n, values, loads: Vec::new(), sources: Vec::new() };
        let mut expr = VectorExpr::default();
        let (mut results, mut target) = (Vec::new(), None);
        for part in 0..group {
            let at = parts.s.shapes.scale(q, group).ok()?;
            let at = parts.s.shapes.add_int(at, part).ok()?;
            parts.values.insert(inner, at);
            let store: Vec<Dim> = stage.at.iter().map(|it| parts.index(it)).collect::<Option<_>>()?;
            let (coefficient, offset) = parts.position(stage.buffer, &store)?;
            if parts.s.shapes.as_int(coefficient) != Some(group) {
                return None;
            }
            let offset = parts.s.shapes.add_int(offset, -part).ok()?;
            if *target.get_or_insert(offset) != offset {
                return None;
            }
            let mut value = None;
            for term in terms {
                for (axis, at) in term {
                    let at = parts.s.shapes.int(*at);
                    parts.values.insert(*axis, at);
                }
                let program = parts.s.program;
                let node = expr.add_with(program, stage.value, &mut parts)?;
                value = Some(match stage.combine {
                    Some(combine) => accumulate(&mut expr, combine, value, node),
                    None => node,
                });
            }
            results.push(value?);
        }
        let (loads, sources) = (parts.loads, parts.sources);
        let guards = sources.iter().filter(|it| matches!(it, Source::Guarded(_))).count();
        let what = format!(
            "strips of {} ({group} by {group}, {} loads, {guards} guarded)",
            s.shapes.display(extent),
            loads.len()
        );
        let program = StripProgram { sources, expr, results };
        Some(Strips { outer, n, loads, target: (stage.buffer, target?), program, what })
    }

    fn emit(mut self, s: &mut Selector<'_>) -> Option<Match> {
        let one = s.shapes.int(1);
        let rows = self.outer.last().copied();
        let linear = rows.and_then(|(var, _)| self.rows(s, var));
        let (extent, linear) = match linear {
            Some(linear) => {
                let (_, extent) = self.outer.pop()?;
                (extent, linear)
            }
            None => (one, self.single(s)?),
        };
        let use_range = s.ranged && self.outer.is_empty() && s.shapes.as_int(extent) != Some(1);
        let (first, last, units) =
            if use_range { s.range(1, extent)? } else { (s.shapes.int(0), extent, one) };
        let count = s.shapes.sub(last, first).ok()?;
        let mut args = Vec::new();
        let mut strides = Vec::new();
        let buffers = self.loads.iter().map(|it| it.buffer).chain([self.target.0]);
        for (buffer, (stride, offset)) in buffers.zip(&linear.positions) {
            let skip = s.shapes.mul(first, *stride).ok()?;
            let elements = s.shapes.add(*offset, skip).ok()?;
            args.push(Arg::Pointer(buffer, s.shapes.scale(elements, 4).ok()?));
            strides.push(Arg::Size(s.shapes.scale(*stride, 4).ok()?));
        }
        args.extend([Arg::Size(self.n), Arg::Size(count)]);
        args.extend(strides);
        let inner = self.loads.iter().filter_map(|it| it.guard.as_ref()).map(|it| it.inner);
        for (inner, row) in inner.zip(&linear.guards) {
            let row = [row.low, row.high].map(|it| s.shapes.sub(it, first).ok());
            args.extend([inner.low, inner.high, row[0]?, row[1]?].map(Arg::Size));
        }
        let (program, isa) = (self.program, s.isa);
        let symbol =
            s.routine("strips", &program.key(), || Routine::Program(Box::new(program.build(isa)), isa));
        let workspace = s.shapes.int(0);
        let node = Tree::Call(Box::new(Call { symbol, args, workspace, what: self.what }));
        let node = s.wrap(&self.outer, node);
        Some(Match { node, stages: 1, units: use_range.then_some(units) })
    }

    /// Everything as linear functions of an axis.
    fn rows(&self, s: &mut Selector<'_>, axis: Sym) -> Option<Linear> {
        let mut linear = Linear::default();
        for offset in self.loads.iter().map(|it| it.offset).chain([self.target.1]) {
            linear.positions.push(s.shapes.affine_in(offset, axis)?);
        }
        for guard in self.loads.iter().filter_map(|it| it.guard.as_ref()) {
            if [guard.inner.low, guard.inner.high].iter().any(|it| s.shapes.mentions(*it, axis)) {
                return None;
            }
            let (mut own, mut others) = (Vec::new(), Vec::new());
            for range in &guard.outer {
                // The range of the axis, where its part of the index is the axis itself.
                match (s.shapes.affine_in(range.low, axis)?, s.shapes.affine_in(range.high, axis)?) {
                    ((low, _), (high, _)) if s.shapes.as_int(low) == Some(0) && low == high => {
                        others.push(*range);
                    }
                    ((low, rest), (high, rest_high)) if s.shapes.as_int(low) == Some(-1) && low == high => {
                        own.push(Range { low: rest, high: rest_high });
                    }
                    _ => return None,
                }
            }
            linear.guards.push(combined(s, &own, &others)?);
        }
        Some(linear)
    }

    /// One row at a time.
    fn single(&self, s: &mut Selector<'_>) -> Option<Linear> {
        let zero = s.shapes.int(0);
        let offsets = self.loads.iter().map(|it| it.offset).chain([self.target.1]);
        let mut linear = Linear { positions: offsets.map(|it| (zero, it)).collect(), guards: Vec::new() };
        for guard in self.loads.iter().filter_map(|it| it.guard.as_ref()) {
            linear.guards.push(combined(s, &[], &guard.outer)?);
        }
        Some(linear)
    }
}

/// How a strip moves from row to row.
#[derive(Default)]
struct Linear {
    /// Of each load and of the store: elements from row to row, and where the first row starts.
    positions: Vec<(Dim, Dim)>,
    /// Of each guard: the rows that are in range.
    guards: Vec<Range>,
}

/// The rows in all of `own`, none where 0 is not in all of `others`.
fn combined(s: &mut Selector<'_>, own: &[Range], others: &[Range]) -> Option<Range> {
    let (zero, one) = (s.shapes.int(0), s.shapes.int(1));
    let lows: Vec<Dim> = own.iter().map(|it| it.low).collect();
    let highs: Vec<Dim> = own.iter().map(|it| it.high).collect();
    let low = if lows.is_empty() { zero } else { s.shapes.max(&lows).ok()? };
    let most = s.shapes.int(1 << 40);
    let mut high = if highs.is_empty() { most } else { s.shapes.min(&highs).ok()? };
    for range in others {
        // 1 where low ≤ 0 < high, else 0.
        let below = s.shapes.sub(one, range.low).ok()?;
        for room in [below, range.high] {
            let room = s.shapes.max(&[room, zero]).ok()?;
            let flag = s.shapes.min(&[room, one]).ok()?;
            high = s.shapes.mul(high, flag).ok()?;
        }
    }
    Some(Range { low, high })
}

/// Takes the expressions of a stage apart for given values of some of its axes.
struct Parts<'a, 'p> {
    s: &'a mut Selector<'p>,
    stage: &'a Stage,
    /// The axis that counts groups.
    row: Sym,
    n: Dim,
    values: IndexMap<Sym, Dim>,
    loads: Vec<Load>,
    sources: Vec<Source>,
}

impl Parts<'_, '_> {
    fn index(&mut self, index: &Index) -> Option<Dim> {
        self.s.shapes.substitute(index.dim()?, &self.values).ok()
    }

    /// Elements per group, and from the start of the buffer to the first one.
    fn position(&mut self, buffer: BufferId, at: &[Dim]) -> Option<(Dim, Dim)> {
        let shapes = &mut self.s.shapes;
        let (mut stride, mut offset) = (shapes.int(1), shapes.int(0));
        for (index, dim) in at.iter().zip(&self.s.program.buffers[buffer].dims).rev() {
            let part = shapes.mul(*index, stride).ok()?;
            offset = shapes.add(offset, part).ok()?;
            stride = shapes.mul(stride, *dim).ok()?;
        }
        shapes.affine_in(offset, self.row)
    }

    fn load(&mut self, id: ExprId) -> Option<usize> {
        let program = self.s.program;
        let Expr::Load { buffer, at, otherwise } = &program.exprs[id] else { return None };
        let at: Vec<Dim> = at.iter().map(|it| self.index(it)).collect::<Option<_>>()?;
        let (coefficient, offset) = self.position(*buffer, &at)?;
        let moves = match self.s.shapes.as_int(coefficient)? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let guard = match otherwise {
            Some(otherwise) => self.guard(*buffer, &at, *otherwise)?,
            None => None,
        };
        if guard.is_some() && !moves {
            return None;
        }
        let load = Load { buffer: *buffer, offset, moves, guard };
        if let Some(known) = self.loads.iter().position(|it| *it == load) {
            return Some(known);
        }
        // What the stage writes may lie over what it reads only at the same place.
        if load.buffer == self.stage.buffer {
            return None;
        }
        self.sources.push(match &load.guard {
            Some(guard) => Source::Guarded(guard.otherwise),
            None if moves => Source::Row,
            None => Source::Scalar,
        });
        self.loads.push(load);
        Some(self.loads.len() - 1)
    }

    /// The guard of a load; `Some(None)` where it always holds.
    fn guard(&mut self, buffer: BufferId, at: &[Dim], otherwise: ExprId) -> Option<Option<Guard>> {
        let otherwise = match self.s.program.exprs[otherwise] {
            Expr::Float(value, DType::F32) => (value as f32).to_bits(),
            Expr::Int(value, DType::F32) => (value as f32).to_bits(),
            Expr::Float(value, DType::I32) => (value as i32).cast_unsigned(),
            Expr::Int(value, DType::I32) => (value as i32).cast_unsigned(),
            _ => return None,
        };
        let row = self.row;
        let shapes = &mut self.s.shapes;
        let zero = shapes.int(0);
        let (mut lows, mut highs, mut outer) = (vec![zero], vec![self.n], Vec::new());
        let mut always = true;
        for (index, extent) in at.iter().zip(self.s.program.buffers[buffer].dims.clone()) {
            if shapes.prove_ge(*index, zero).is_always() && shapes.prove_lt(*index, extent).is_always() {
                continue;
            }
            always = false;
            let (coefficient, rest) = shapes.affine_in(*index, row)?;
            let (low, high) = (shapes.neg(rest).ok()?, shapes.sub(extent, rest).ok()?);
            match shapes.as_int(coefficient)? {
                0 => outer.push(Range { low, high }),
                1 => {
                    lows.push(low);
                    highs.push(high);
                }
                _ => return None,
            }
        }
        if always {
            return Some(None);
        }
        let inner = Range { low: shapes.max(&lows).ok()?, high: shapes.min(&highs).ok()? };
        Some(Some(Guard { otherwise, inner, outer }))
    }

    /// An integer that depends on no data.
    fn integer(&mut self, id: ExprId) -> Option<Dim> {
        let program = self.s.program;
        match &program.exprs[id] {
            Expr::Dim(dim, DType::I64) => self.s.shapes.substitute(*dim, &self.values).ok(),
            Expr::Int(value, DType::I64) => Some(self.s.shapes.int(*value)),
            Expr::Float(value, DType::I64) => Some(self.s.shapes.int(*value as i64)),
            Expr::Binary(op @ (BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul), x, y) => {
                let (x, y) = (self.integer(*x)?, self.integer(*y)?);
                let shapes = &mut self.s.shapes;
                match op {
                    BinaryOp::Add => shapes.add(x, y),
                    BinaryOp::Sub => shapes.sub(x, y),
                    _ => shapes.mul(x, y),
                }
                .ok()
            }
            _ => None,
        }
    }
}

impl Leaves for Parts<'_, '_> {
    fn leaf(&mut self, expr: &mut VectorExpr, id: ExprId) -> Option<Node> {
        Some(expr.leaf(self.load(id)?))
    }

    fn decide(&mut self, condition: ExprId) -> Option<bool> {
        let program = self.s.program;
        match &program.exprs[condition] {
            Expr::Compare(op, x, y) => {
                let (x, y) = (self.integer(*x)?, self.integer(*y)?);
                let shapes = &self.s.shapes;
                let truth = match op {
                    CompareOp::Eq | CompareOp::Ne => shapes.prove_eq(x, y),
                    CompareOp::Lt => shapes.prove_lt(x, y),
                    CompareOp::Le => shapes.prove_le(x, y),
                    CompareOp::Gt => shapes.prove_gt(x, y),
                    CompareOp::Ge => shapes.prove_ge(x, y),
                };
                let known = truth.is_always() || truth.is_never();
                known.then(|| truth.is_always() != (*op == CompareOp::Ne))
            }
            Expr::Binary(op @ (BinaryOp::And | BinaryOp::Or), x, y) => {
                let absorbing = *op == BinaryOp::Or;
                match (self.decide(*x), self.decide(*y)) {
                    (Some(x), Some(y)) => Some(if absorbing { x || y } else { x && y }),
                    (Some(known), None) | (None, Some(known)) if known == absorbing => Some(known),
                    _ => None,
                }
            }
            Expr::Unary(UnaryOp::Not, x) => Some(!self.decide(*x)?),
            _ => None,
        }
    }
}
