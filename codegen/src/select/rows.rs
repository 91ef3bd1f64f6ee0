//! Elementwise stages, reductions over the innermost axis, and chains of both over common outer axes (softmax,
//! normalisation): one vector program that works row by row.

use indexmap::IndexMap;
use orogen_ir::loops::{Axis, BufferId, BufferRole, Expr, Stage};
use orogen_ir::shape::{Dim, Sym};

use super::access::{Access, collapse};
use super::element::elements_in;
use super::expression::{LoadOrCount, Node, VectorExpr};
use super::reduction::Reduction;
use super::routine::Routine;
use super::row_program::{Leaf, Pointer, RowCall, RowProgram, RowStage, Target, Work};
use super::selector::{Match, PLAIN, Selector, pairs, single_axes};
use super::stages;
use super::strips::written_out;
use super::tree::{Arg, Call, Node as Tree};
use crate::kernels::element::Element;
use crate::vector::Width;

/// Most elements of a reduction that is computed for a vector of results at a time, and least results of it.
const MOST_SHORT: i64 = 4;
const MANY: i64 = 64;
/// Elements in one unit of parallel work of a flat loop: whole vectors, so that rows of whole vectors stay such rows.
const FLAT_UNIT: i64 = 4096;

/// The longest prefix of `run` that can be computed row by row.
pub(crate) fn rows(s: &mut Selector<'_>, run: &[&Stage]) -> Option<Match> {
    let most = (1..=run.len()).find(|len| !plausible(s, run[*len - 1])).map_or(run.len(), |it| it - 1);
    let mark = s.routines.mark();
    let found = (1..=most).rev().find_map(|len| prefix(s, &run[..len]))?;
    if found.stages == 1 && is_short(s, run[0]) {
        let own = s.routines.since(mark);
        if let Some(short) = written_out(s, run[0]) {
            return Some(short);
        }
        s.routines.since(mark);
        s.routines.put_back(own);
    }
    Some(found)
}

/// Whether a stage reduces a few neighbours for each of many results, which are neighbours too.
fn is_short(s: &Selector<'_>, stage: &Stage) -> bool {
    let [few] = &stage.reduce[..] else { return false };
    let along = |it: &Axis| s.shapes.as_int(it.extent);
    let results = stage.axes.iter().filter_map(along).fold(1i64, i64::saturating_mul);
    along(few).is_some_and(|it| (2..=MOST_SHORT).contains(&it)) && results >= MANY
}

/// Stages as rows, all of them if they can be, in the narrowest lanes that do.
fn prefix(s: &mut Selector<'_>, stages: &[&Stage]) -> Option<Match> {
    Width::ALL.into_iter().find_map(|width| in_lanes(s, stages, width))
}

/// Stages as rows in lanes of a width. What is computed once for a row and does not fit them is left to what comes after:
/// all others would be wider for it.
fn in_lanes(s: &mut Selector<'_>, stages: &[&Stage], width: Width) -> Option<Match> {
    let most = stages::shared_depth(s.program, stages)?;
    if stages::widths(s.program, stages).contains(&width)
        && let Some(found) = (0..=most).find_map(|depth| Group::new(s, stages, depth, width)?.emit(s))
    {
        return Some(found);
    }
    match stages {
        [before @ .., last] if !before.is_empty() && last.combine.is_none() && last.axes.len() == most => {
            in_lanes(s, before, width)
        }
        _ => None,
    }
}

/// Cheap reasons against a stage.
fn plausible(s: &Selector<'_>, stage: &Stage) -> bool {
    let dtype = s.program.buffers[stage.buffer].dtype;
    let held = |width: Width| match stage.combine {
        None => elements_in(s.program, stage, dtype, width).is_some(),
        Some(combine) => Reduction::new(combine, dtype, width).is_some(),
    };
    Width::ALL.into_iter().any(held) && stage.at.iter().all(|it| it.dim().is_some())
}

/// A position: outer axes are those of the first stage.
#[derive(Clone, Debug, PartialEq)]
struct Position {
    outer: Access,
    element: Element,
    /// Elements from one element of the row to the next: 0 or 1.
    along: Dim,
    contiguous: bool,
}

struct Group<'r> {
    stages: &'r [&'r Stage],
    /// Outer axes, named as in the first stage.
    outer: Vec<(Sym, Dim)>,
    /// Elements of a row.
    n: Dim,
    program: RowProgram,
    /// Where each pointer of the program starts; `None` for a row of workspace.
    positions: Vec<Option<Position>>,
    /// Sizes that are read as numbers, and whether as integers.
    sizes: Vec<(Dim, bool)>,
}

impl<'r> Group<'r> {
    fn new(s: &mut Selector<'_>, stages: &'r [&'r Stage], depth: usize, width: Width) -> Option<Group<'r>> {
        let outer = pairs(&stages[0].axes[..depth]);
        let one = s.shapes.int(1);
        let mut group = Group {
            stages,
            outer,
            n: one,
            program: RowProgram::of(width, Vec::new()),
            positions: Vec::new(),
            sizes: Vec::new(),
        };
        let mut extent: Option<Dim> = None;
        let mut made: IndexMap<BufferId, (Position, Leaf)> = IndexMap::new();
        for stage in stages {
            group.stage(s, stage, depth, &mut extent, &mut made)?;
        }
        group.n = extent?;
        Some(group)
    }

    fn stage(
        &mut self,
        s: &mut Selector<'_>,
        stage: &Stage,
        depth: usize,
        extent: &mut Option<Dim>,
        made: &mut IndexMap<BufferId, (Position, Leaf)>,
    ) -> Option<()> {
        let (program, width) = (s.program, self.program.width);
        let vars: Vec<Sym> = super::selector::symbols(stage);
        let single = single_axes(&s.shapes, stage);
        let mut inner = pairs(&stage.axes[depth..]);
        inner.extend(pairs(&stage.reduce));
        let maps = stage.axes[depth..].iter().any(|it| s.shapes.as_int(it.extent) != Some(1));
        if maps && stage.combine.is_some() {
            return None;
        }
        // All loads of the stage, to see which axes are one.
        let mut loads = IndexMap::new();
        for id in stages::expressions(program, stage) {
            if let Expr::Load { buffer, at, otherwise } = &program.exprs[id] {
                if otherwise.is_some()
                    || elements_in(program, stage, program.buffers[*buffer].dtype, width).is_none()
                {
                    return None;
                }
                let mut access = Access::new(program, &mut s.shapes, *buffer, at, &vars)?;
                access.drop_axes(&single);
                loads.insert(id, access);
            }
        }
        let mut store = Access::new(program, &mut s.shapes, stage.buffer, &stage.at, &vars)?;
        store.drop_axes(&single);
        let mut all: Vec<&Access> = loads.values().collect();
        if maps {
            all.push(&store);
        }
        let joined = collapse(&mut s.shapes, &inner, &all)?;
        let inner_axis = match &joined[..] {
            [] => None,
            // An axis of a negative extent has no iterations.
            [only] => Some((only.inner, only.count)),
            _ => return None,
        };
        if let Some((_, n)) = inner_axis {
            if extent.is_some_and(|it| it != n) {
                return None;
            }
            *extent = Some(n);
        }
        let names: IndexMap<Sym, Sym> =
            stage.axes[..depth].iter().zip(&self.outer).map(|(own, first)| (own.var, first.0)).collect();
        let inner_vars: Vec<Sym> = inner.iter().map(|it| it.0).collect();
        let zero = s.shapes.int(0);
        let place = |s: &Selector<'_>, access: &Access| -> Option<Position> {
            let (along, contiguous) = match inner_axis.and_then(|it| access.of(it.0)) {
                None => (zero, false),
                Some(coefficient) if s.shapes.as_int(coefficient) == Some(1) => (coefficient, true),
                Some(_) => return None,
            };
            let mut outer = access.renamed(&names);
            outer.coefficients.retain(|sym, _| !inner_vars.contains(sym));
            let element = elements_in(program, stage, program.buffers[access.buffer].dtype, width)?;
            Some(Position { outer, element, along, contiguous })
        };
        let mut leaves: Vec<Leaf> = Vec::new();
        let mut expr = VectorExpr::of_width(width);
        let mut positions = IndexMap::new();
        for (id, access) in &loads {
            positions.insert(*id, place(s, access)?);
        }
        // The single axis of a reduction counts its elements.
        let counted = match &joined[..] {
            [only] if only.axes.len() == 1 && stage.combine.is_some() => Some(only.inner),
            _ => None,
        };
        let mut leaf = |expr: &mut VectorExpr, id, whole: bool| {
            let leaf = if let Expr::Dim(dim, _) = &program.exprs[id]
                && whole
                && counted.is_some()
                && s.shapes.as_sym(*dim) == counted
            {
                Leaf::Position
            } else if let Expr::Dim(dim, _) = &program.exprs[id] {
                let fixed = s.shapes.free_symbols(*dim).iter().all(|it| program.sizes.contains(it));
                Leaf::Size(self.size(*dim, whole).filter(|_| fixed)?)
            } else {
                let position = positions.get(&id)?;
                self.leaf(position, made)?
            };
            let at = leaves.iter().position(|it| *it == leaf).unwrap_or_else(|| {
                leaves.push(leaf);
                leaves.len() - 1
            });
            Some(expr.leaf(at))
        };
        let root: Node = expr.add_stored(program, stage, &mut LoadOrCount(&mut leaf))?;
        let target = place(s, &store)?;
        if maps != target.contiguous && (maps || target.contiguous) {
            return None;
        }
        if made.contains_key(&stage.buffer) {
            return None;
        }
        let here: usize =
            self.stages.iter().map(|it| stages::accesses(program, it, stage.buffer).count()).sum();
        let local = program.buffers[stage.buffer].role == BufferRole::Local
            && here == stages::total_accesses(program, stage.buffer);
        let number = self.program.stages.len();
        let (pointer, leaf) = match (local, maps) {
            (true, true) => {
                let row = self.pointer(None);
                (Some(row), Leaf::Row(number, row))
            }
            (false, true) => {
                let row = self.pointer(Some(target.clone()));
                (Some(row), Leaf::Row(number, row))
            }
            (true, false) => (None, Leaf::Value(number)),
            (false, false) => (Some(self.pointer(Some(target.clone()))), Leaf::Value(number)),
        };
        let work = match (stage.combine, maps) {
            (Some(combine), _) => {
                Work::Reduce(Reduction::new(combine, program.buffers[stage.buffer].dtype, width)?)
            }
            (None, true) => Work::Map,
            (None, false) => Work::Scalar,
        };
        // A reduction over a single element is a plain value.
        let work = if stage.combine.is_some() && inner_axis.is_none() { Work::Scalar } else { work };
        self.program.stages.push(RowStage { work, expr, root, leaves, pointer, temporary: local });
        made.insert(stage.buffer, (target, leaf));
        Some(())
    }

    /// How a load is read.
    fn leaf(&mut self, position: &Position, made: &IndexMap<BufferId, (Position, Leaf)>) -> Option<Leaf> {
        match made.get(&position.outer.buffer) {
            Some((written, leaf)) if written == position => Some(leaf.clone()),
            // What this group writes is read elsewhere too: rows would see each other.
            Some(_) => None,
            None => Some(Leaf::Memory(self.pointer(Some(position.clone())))),
        }
    }

    /// The place of a size that is read as a number.
    fn size(&mut self, dim: Dim, whole: bool) -> Option<usize> {
        let at = self.sizes.iter().position(|it| *it == (dim, whole)).unwrap_or_else(|| {
            self.sizes.push((dim, whole));
            self.sizes.len() - 1
        });
        self.program.sizes = self.sizes.len();
        Some(at)
    }

    /// The pointer for a position; rows of workspace are all different.
    fn pointer(&mut self, position: Option<Position>) -> Pointer {
        if let Some(wanted) = &position
            && let Some(at) = self.positions.iter().position(|it| it.as_ref() == Some(wanted))
        {
            return at;
        }
        // Workspace holds lanes.
        let (contiguous, element) = position
            .as_ref()
            .map_or((true, Element::lane(self.program.width)), |it| (it.contiguous, it.element));
        self.program.targets.push(Target { contiguous, element });
        self.positions.push(position);
        self.positions.len() - 1
    }

    fn emit(mut self, s: &mut Selector<'_>) -> Option<Match> {
        let vectors = self.program.stages.iter().any(|it| it.work != Work::Scalar);
        if !vectors || !s.fills(self.program.width, self.n) {
            return None;
        }
        self.program.plan();
        let lanes = i64::from(s.isa.lanes_of(self.program.width));
        self.program.whole =
            self.program.is_long() && s.shapes.as_int(self.n).is_some_and(|it| it % lanes == 0);
        let zero = s.shapes.int(0);
        let row_bytes = s.shapes.scale(self.n, self.program.width.bytes().into()).ok()?;
        let row_bytes = s.shapes.round_up(row_bytes, 64).ok()?;
        let accesses: Vec<Access> = self.positions.iter().flatten().map(|it| it.outer.clone()).collect();
        let joined = collapse(&mut s.shapes, &self.outer, &accesses.iter().collect::<Vec<_>>())?;
        let (loops, row_axis) = match &joined[..] {
            [] => (&[][..], None),
            [loops @ .., last] => (loops, Some(last.clone())),
        };
        // Axes that were joined run as one loop under the name of the innermost.
        let loops: Vec<(Sym, Dim)> = loops.iter().map(|it| (it.inner, it.extent)).collect();
        let loop_vars: Vec<Sym> = loops.iter().map(|it| it.0).collect();
        let flat = row_axis.is_none() && self.program.stages.iter().all(|it| it.work == Work::Map);
        let all_rows = row_axis.as_ref().map_or_else(|| s.shapes.int(1), |it| it.count);
        let one = s.shapes.int(1);
        // What is not given is workspace.
        let along = self.positions.iter().map(|it| it.as_ref().map_or(one, |it| it.along)).collect();
        let call = RowCall { n: self.n, rows: all_rows, along };
        s.lawful(|shapes| Ok(self.program.laws(shapes, &call)))?;
        let use_range = s.ranged && loops.is_empty();
        let ((first, last, units), flat) = match (use_range, flat) {
            (true, true) => (s.range(FLAT_UNIT, self.n)?, true),
            (true, false) => (s.range(1, all_rows)?, false),
            (false, _) => ((zero, all_rows, one), false),
        };
        let count = s.shapes.sub(last, first).ok()?;
        let (n, rows) = if flat { (count, one) } else { (self.n, count) };

        let mut args = Vec::new();
        let mut strides = Vec::new();
        let mut workspace = zero;
        for position in &self.positions {
            let Some(position) = position else {
                args.push(Arg::Workspace(workspace));
                workspace = s.shapes.add(workspace, row_bytes).ok()?;
                strides.push(zero);
                continue;
            };
            let access = &position.outer;
            let size = position.element.bytes();
            let stride = match row_axis.as_ref().and_then(|it| access.of(it.inner)) {
                Some(elements) => s.shapes.scale(elements, size).ok()?,
                None => zero,
            };
            let mut bytes = access.bytes_at(&mut s.shapes, &loop_vars, size)?;
            let step = match (flat, position.contiguous) {
                (true, true) => s.shapes.int(size),
                (true, false) => zero,
                (false, _) => stride,
            };
            let skip = s.shapes.mul(first, step).ok()?;
            bytes = s.shapes.add(bytes, skip).ok()?;
            args.push(Arg::Pointer(access.buffer, bytes));
            strides.push(stride);
        }
        args.extend([Arg::Size(n), Arg::Size(rows)]);
        args.extend(strides.into_iter().map(Arg::Size));
        // Lanes without floats read no sizes.
        args.extend(self.sizes.iter().map(|(size, whole)| match self.program.width {
            _ if *whole => Arg::Size(*size),
            Width::W64 => Arg::Double(*size),
            _ => Arg::Float(*size),
        }));
        let key = self.program.key();
        let isa = s.isa;
        let program = &self.program;
        let symbol = s.routine("rows", &key, || Routine::Program(Box::new(program.build(isa)), isa));
        let what = format!(
            "rows of {} ({} in {} passes){}",
            s.shapes.display(self.n),
            self.program.describe(),
            self.program.passes(),
            stages::lanes(self.program.width)
        );
        let node = Tree::Call(Box::new(Call { symbol, args, workspace, what }));
        let node = s.wrap(&loops, node, true);
        Some(Match { node, stages: self.stages.len(), units: use_range.then_some(units), rate: PLAIN })
    }
}
