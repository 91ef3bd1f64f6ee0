//! Elementwise stages, and reductions over a few elements, whose loads are guarded, or which treat neighbouring
//! elements of a row differently, or whose rows come from where data says: padding, upsampling by a factor,
//! transposed convolution, gathering of rows or of elements, strided and reversed rows, vectors that are stacked.
//!
//! Where a guard is linear in the innermost axis, a row falls into a part in which all loads are in range and the
//! edges around it; only the edges look at the guards. Where an index divides the innermost axis by a factor, the
//! axis is taken apart into groups of so many elements, and each element of a group gets its own expression, in which
//! the index is linear and the conditions on it are decided. Reduction axes are written out. Conditions that change
//! at a fixed place of the innermost axis cut it into pieces, and so do places at which an index bends (`bends`), or at
//! which it begins again and again (`periods`).
//! Else numbers are computed along the row, and elements gathered, or stored one by one (`strip_numbers`,
//! `strip_scatter`).

use indexmap::IndexMap;
use orogen_ir::loops::{Axis, BufferId, Expr, ExprId, Index, Stage, Stmt, TensorProgram};
use orogen_ir::shape::{Dim, Sym};

use super::access::count;
use super::bends::bends;
use super::element::{elements_in, moves};
use super::expression::VectorExpr;
use super::periods::{Piece, periods};
use super::reduction::Reduction;
use super::routine::Routine;
use super::selector::{Match, PLAIN, Selector};
use super::stages;
use super::strip_bounds::{Bounds, Linear, combined};
use super::strip_loads::{BEFORE, Gathered, Load, Parts, Range};
use super::strip_points::{cuts, terms};
use super::strip_program::{Source, StripCall, StripProgram};
use super::strip_scatter::PLACED_BYTES;
use super::tree::{Arg, Call, Node as Tree};
use crate::kernels::element::Element;
use crate::vector::Width;

/// Sizes of groups that are tried.
const GROUPS: [i64; 4] = [1, 2, 4, 8];
/// Bytes of the flag that says whether an index is out of range, with what lies before the next line of the cache.
const FLAG_BYTES: i64 = 64;

/// A stage in strips.
pub(crate) fn strips(s: &mut Selector<'_>, run: &[&Stage]) -> Option<Match> {
    let stage = *run.first()?;
    let terms = terms(s, stage)?;
    let dtype = s.program.buffers[stage.buffer].dtype;
    let single = |width: &Width| match stage.combine {
        None => elements_in(s.program, stage, dtype, *width).is_some(),
        Some(combine) => Reduction::new(combine, dtype, *width).is_some(),
    };
    let widths: Vec<Width> = stages::gathering_widths(s.program, stage).into_iter().filter(single).collect();
    let wide = Width::FLOATS.into_iter().filter(single).collect();
    // What is only moved need not be of a type that lanes hold: so many elements are lanes.
    if widths.is_empty() && !moves(s.program, stage) {
        return None;
    }
    let cuts = cuts(s, stage)?;
    let stage = Strip { stage, terms, widths, wide, ordered: false, joined: &[] };
    let found = match &cuts[..] {
        [] => stage.choose(s, None, false),
        cuts => stage.pieces(s, cuts),
    };
    let bent = |s: &mut Selector<'_>| {
        let cuts = bends(s, stage.stage, &cuts)?;
        stage.pieces(s, &cuts)
    };
    let repeated = |s: &mut Selector<'_>| {
        let pieces = periods(s, stage.stage);
        pieces.into_iter().find_map(|it| stage.choose(s, Some(it), false))
    };
    found.or_else(|| bent(s)).or_else(|| repeated(s)).or_else(|| stage.choose(s, None, true))
}

/// Nodes that touch different elements: one loop around them, where each is a loop over the same axis.
fn beside(s: &mut Selector<'_>, nodes: Vec<Tree>) -> Tree {
    let axis = |node: &Tree| match node {
        Tree::Loop { extent, vars, independent: true, .. } => Some((*extent, vars.clone())),
        _ => None,
    };
    let same =
        nodes.first().and_then(axis).filter(|it| nodes.iter().all(|node| axis(node).as_ref() == Some(it)));
    let Some((extent, vars)) = same else {
        let extent = s.shapes.int(1);
        return Tree::Loop { extent, vars: Vec::new(), body: nodes, independent: false };
    };
    let inside = nodes.into_iter().flat_map(|it| match it {
        Tree::Loop { body, .. } => body,
        other => vec![other],
    });
    Tree::Loop { extent, vars, body: inside.collect(), independent: true }
}

/// A stage whose rows are of two elements, or which reads every other element: vectors are put in turn, or taken apart.
pub(super) fn halves(s: &mut Selector<'_>, stage: &Stage, width: Width, pairs: bool) -> Option<Match> {
    let terms = vec![Vec::new()];
    let strip = Strip { stage, terms, widths: Vec::new(), wide: Vec::new(), ordered: false, joined: &[] };
    let group = if pairs { (2, true) } else { (1, false) };
    Strips::of_groups(s, &strip, group, None, Some(width), false)?.emit(s)
}

/// A reduction over fewer elements than a vector holds, in vectors of its results.
pub(super) fn written_out(s: &mut Selector<'_>, stage: &Stage) -> Option<Match> {
    let (combine, dtype) = (stage.combine?, s.program.buffers[stage.buffer].dtype);
    let terms = terms(s, stage)?;
    let widths = Width::FLOATS.into_iter().filter(|it| Reduction::new(combine, dtype, *it).is_some());
    let widths = widths.collect();
    let strip = Strip { stage, terms, widths, wide: Vec::new(), ordered: false, joined: &[] };
    strip.choose(s, None, false)
}

/// Stages over the same points whose elements lie in turn in one buffer, as those of vectors that are stacked do.
pub(crate) fn interleaved(s: &mut Selector<'_>, run: &[&Stage]) -> Option<Match> {
    GROUPS.into_iter().rev().filter(|it| *it > 1).find_map(|group| {
        let joined = run.get(..group as usize)?;
        let (first, others) = joined.split_first()?;
        let extents = |it: &Stage| it.axes.iter().map(|it| it.extent).collect::<Vec<_>>();
        let by_data = |it: &Stage| it.at.iter().any(|it| it.dim().is_none());
        let alike = others.iter().all(|it| {
            it.buffer == first.buffer
                && extents(it) == extents(first)
                && moves(s.program, it) == moves(s.program, first)
        });
        if !alike || joined.iter().any(|it| it.combine.is_some() || by_data(it)) {
            return None;
        }
        let strip = Strip {
            stage: first,
            terms: vec![Vec::new()],
            widths: Vec::new(),
            wide: Vec::new(),
            ordered: false,
            joined,
        };
        Width::FLOATS.into_iter().find_map(|width| {
            let found = Strips::new(s, &strip, group, None, Some(width), false)?.emit(s)?;
            Some(Match { stages: joined.len(), ..found })
        })
    })
}

/// A stage that moves rows of elements of another size than four bytes, which fill lanes.
pub(crate) fn packed(s: &mut Selector<'_>, run: &[&Stage]) -> Option<Match> {
    let stage = *run.first()?;
    if !packs(s, stage) {
        return None;
    }
    let terms = terms(s, stage)?;
    if !cuts(s, stage)?.is_empty() {
        return None;
    }
    let strip = Strip { stage, terms, widths: Vec::new(), wide: Vec::new(), ordered: false, joined: &[] };
    Strips::new(s, &strip, 1, None, None, false)?.emit(s)
}

/// A reduction over a few neighbours whose lanes are narrow, where all of them are rows or parts of lanes.
pub(crate) fn windows(s: &mut Selector<'_>, run: &[&Stage]) -> Option<Match> {
    let stage = *run.first()?;
    // Sums of whole columns take in the stages after them.
    if !stages::slides(s.program, stage) {
        return None;
    }
    let (combine, terms) = (stage.combine?, terms(s, stage)?);
    let dtype = s.program.buffers[stage.buffer].dtype;
    let strip = Strip { stage, terms, widths: Vec::new(), wide: Vec::new(), ordered: false, joined: &[] };
    [Width::W8, Width::W16].into_iter().find_map(|width| {
        Reduction::new(combine, dtype, width)?;
        let strips = Strips::new(s, &strip, 1, None, Some(width), false)?;
        let near = |it: &Source| matches!(it, Source::Row | Source::Spread { .. });
        let fills = s.fills(width, strips.n) && strips.program.sources.iter().all(near);
        fills.then(|| strips.emit(s))?
    })
}

/// A loop that stores an element at each step, at a place that data choose: what is stored may depend on what was there.
pub(crate) fn scatter(s: &mut Selector<'_>, statement: &Stmt) -> Option<Match> {
    let Stmt::For { axis, body } = statement else { return None };
    let [Stmt::Stage(stage)] = &body[..] else { return None };
    if !stage.axes.is_empty() || stage.combine.is_some() {
        return None;
    }
    let stage = &Stage { axes: [*axis].into_iter().collect(), ..stage.clone() };
    let terms = vec![Vec::new()];
    let strip = Strip { stage, terms, widths: Vec::new(), wide: Vec::new(), ordered: true, joined: &[] };
    let strips = Strips::new(s, &strip, 1, None, Some(Width::W64), true)?;
    strips.placed.is_some().then(|| strips.emit(s))?
}

/// Whether conditions of a stage compare places along an axis with what data give.
fn chooses_ranges(program: &TensorProgram, stage: &Stage, axis: Sym) -> bool {
    let place =
        |id: ExprId| stages::is_fixed(program, id) && stages::symbols_below(program, id).contains(&axis);
    stages::expressions(program, stage).iter().any(|it| match program.exprs[*it] {
        Expr::Compare(_, x, y) => {
            place(x) && !stages::is_fixed(program, y) || place(y) && !stages::is_fixed(program, x)
        }
        _ => false,
    })
}

/// Whether a stage moves elements, as they are, that do not fill a lane each.
fn packs(s: &Selector<'_>, stage: &Stage) -> bool {
    let dtype = s.program.buffers[stage.buffer].dtype;
    moves(s.program, stage) && dtype.size() != 4
}

/// A stage that may become strips.
struct Strip<'a> {
    stage: &'a Stage,
    /// The points of its reduction.
    terms: Vec<Vec<(Sym, i64)>>,
    /// The widths of lanes that hold one of its elements.
    widths: Vec<Width>,
    /// Those of lanes that hold numbers, too.
    wide: Vec<Width>,
    /// Whether its only axis runs in order.
    ordered: bool,
    /// Stages that store what lies between its elements, in order, itself first; else none.
    joined: &'a [&'a Stage],
}

impl Strip<'_> {
    /// The stage in pieces of its innermost axis.
    fn pieces(&self, s: &mut Selector<'_>, cuts: &[i64]) -> Option<Match> {
        let mark = s.routines.mark();
        let pieces = |s: &mut Selector<'_>| {
            let piece = |it: &[i64]| {
                let piece = Some(Piece::of(it));
                self.choose(s, piece, false).or_else(|| self.choose(s, piece, true))
            };
            cuts.windows(2).map(piece).collect::<Option<Vec<Match>>>()
        };
        let Some(mut found) = pieces(s) else {
            s.routines.since(mark);
            return None;
        };
        // Threads divide rows, of which all pieces have the same.
        let mut units = found[0].units;
        if found.iter().any(|it| it.units != units) {
            let ranged = std::mem::replace(&mut s.ranged, false);
            found = pieces(s)?;
            s.ranged = ranged;
            units = None;
        }
        let node = beside(s, found.into_iter().map(|it| it.node).collect());
        Some(Match { node, stages: 1, units, rate: PLAIN })
    }

    /// The stage, or a piece of its innermost axis, with numbers that are computed along it or without.
    fn choose(&self, s: &mut Selector<'_>, piece: Option<Piece>, numbers: bool) -> Option<Match> {
        // Four bytes at a time. Where a row is not cut, `packed` tried that before all else.
        if piece.is_some()
            && packs(s, self.stage)
            && let Some(found) = Strips::new(s, self, 1, piece, None, numbers).and_then(|it| it.emit(s))
        {
            return Some(found);
        }
        // Narrow lanes are not taken apart.
        let widths = if numbers { &self.wide } else { &self.widths };
        let ways = widths.iter().flat_map(|width| GROUPS.map(|group| (*width, group)));
        let ways = ways.filter(|(width, group)| width.has_floats() || *group == 1);
        // Rows of as few elements as a group has are no rows of vectors.
        let ways = [true, false].into_iter().flat_map(|pair| ways.clone().map(move |it| (it.0, it.1, pair)));
        { ways }.find_map(|(width, group, pair)| {
            Strips::of_groups(s, self, (group, pair), piece, Some(width), numbers)?.emit(s)
        })
    }
}

struct Strips<'a> {
    /// Axes around the rows, outermost first.
    outer: Vec<(Sym, Dim)>,
    /// Elements of a row.
    extent: Dim,
    /// Groups of a row, of lanes.
    n: Dim,
    /// Bytes of an element that is moved as lanes or as part of one; else 4.
    size: i64,
    loads: Vec<Load>,
    target: (BufferId, Dim),
    /// Elements in the target from group to group.
    step: Dim,
    /// The indices of the first element that is stored, where they depend on data.
    scatter: Option<Vec<Index>>,
    /// How the place of every element is chosen.
    placed: Option<Gathered>,
    program: StripProgram,
    what: String,
    stage: &'a Stage,
}

impl<'a> Strips<'a> {
    /// `piece` is the part of the innermost axis that is meant, if it is not all of it; without a width of lanes that hold
    /// an element each, elements are moved as lanes of four bytes, whatever they are.
    fn new(
        s: &mut Selector<'_>,
        strip: &Strip<'a>,
        group: i64,
        piece: Option<Piece>,
        width: Option<Width>,
        numbers: bool,
    ) -> Option<Strips<'a>> {
        Strips::of_groups(s, strip, (group, false), piece, width, numbers)
    }

    /// The same, where the elements of a group are an axis of their own, inside the one that counts groups, or not.
    fn of_groups(
        s: &mut Selector<'_>,
        strip: &Strip<'a>,
        (group, pair): (i64, bool),
        piece: Option<Piece>,
        width: Option<Width>,
        numbers: bool,
    ) -> Option<Strips<'a>> {
        let (stage, terms) = (strip.stage, &strip.terms);
        let packed = width.is_none();
        let width = width.unwrap_or_default();
        let zero = s.shapes.int(0);
        let mut values: IndexMap<Sym, Dim> = IndexMap::new();
        let by_data = |at: &[Index]| at.iter().any(|it| it.dim().is_none());
        let gathers = by_data(&stage.at)
            || stages::expressions(s.program, stage)
                .into_iter()
                .any(|id| matches!(&s.program.exprs[id], Expr::Load { at, .. } if by_data(at)));
        let single = |s: &Selector<'_>, axis: &Axis| s.shapes.as_int(axis.extent) == Some(1);
        let joined = strip.joined;
        let inner = stage.axes.iter().rposition(|it| !single(s, it))?;
        let place = inner;
        let counting = match pair {
            true if group == 1 || !joined.is_empty() || piece.is_some() || gathers || numbers => return None,
            true if s.shapes.as_int(stage.axes[inner].extent) != Some(group) => return None,
            true => Some(stage.axes[..inner].iter().rposition(|it| !single(s, it))?),
            false => None,
        };
        // As does a range of the row that data give.
        let gathers = gathers || chooses_ranges(s.program, stage, stage.axes[inner].var);
        let mut outer = Vec::new();
        for (i, axis) in stage.axes.iter().enumerate().filter(|it| it.0 != inner && Some(it.0) != counting) {
            // What depends on data names axes that have to be there.
            if single(s, axis) && !gathers {
                values.insert(axis.var, zero);
            } else if i < inner || gathers {
                outer.push((axis.var, axis.extent));
            }
        }
        outer.extend(piece.and_then(|it| it.turns));
        let Axis { var: inner, extent } = stage.axes[inner];
        let counted = counting.map(|it| stage.axes[it]);
        let (begin, extent) = match (piece, counted) {
            (Some(piece), _) => (piece.start(s)?, s.shapes.int(piece.end - piece.begin)),
            (None, Some(axis)) => (zero, s.shapes.scale(axis.extent, group).ok()?),
            (None, None) => (zero, extent),
        };
        let n = if joined.is_empty() { s.shapes.floor_div(extent, group).ok()? } else { extent };
        let extent = if joined.is_empty() { extent } else { s.shapes.scale(extent, group).ok()? };
        let whole = (group == 1 || !joined.is_empty()) && piece.is_none();
        let q = match counted {
            Some(axis) => s.shapes.sym_dim(axis.var),
            None if whole => s.shapes.sym_dim(inner),
            None => s.shapes.fresh_index("group", n),
        };
        let row = s.shapes.as_sym(q)?;
        let mut parts = Parts {
            s,
            stage,
            row,
            n,
            group,
            part: 0,
            term: 0,
            inner,
            values,
            loads: Vec::new(),
            sources: Vec::new(),
            spread: IndexMap::new(),
            width,
            packed,
            indexes: false,
            numbers,
            ordered: strip.ordered,
        };
        let mut expr = VectorExpr::of_width(width);
        let (mut results, mut target, mut scatter, mut step) = (Vec::new(), None, None, zero);
        let mut placed = None;
        for part in 0..group {
            let (at, stage) = match joined.get(part as usize) {
                Some(own) => (q, *own),
                None if counted.is_some() => (parts.s.shapes.int(part), stage),
                None => {
                    let at = parts.s.shapes.scale(q, group).ok()?;
                    let at = parts.s.shapes.add(at, begin).ok()?;
                    (parts.s.shapes.add_int(at, part).ok()?, stage)
                }
            };
            parts.part = part;
            parts.stage = stage;
            // Axes have the names of the first stage.
            for (own, first) in stage.axes.iter().zip(&strip.stage.axes).filter(|it| it.0.var != it.1.var) {
                let value = parts.values.get(&first.var).copied();
                let value = value.unwrap_or_else(|| parts.s.shapes.sym_dim(first.var));
                parts.values.insert(own.var, value);
            }
            parts.inner = stage.axes[place].var;
            parts.values.insert(parts.inner, at);
            placed = match stage.at.iter().filter_map(Index::value).any(|it| parts.varies(it)) {
                true => Some(parts.placed(&mut expr)?),
                false => None,
            };
            let places = placed.as_ref().map_or(&[][..], |it| &it.places);
            let (store, element) = parts.indices(&stage.at, places)?;
            if element.is_some() && group != 1 {
                return None;
            }
            scatter = element;
            let (coefficient, offset) = parts.position(stage.buffer, &store)?;
            step = coefficient;
            if placed.is_none() && group == 1 && numbers && width == Width::W64 {
                placed = parts.spaced(coefficient);
            }
            let offset = parts.s.shapes.add_int(offset, -part).ok()?;
            if *target.get_or_insert(offset) != offset {
                return None;
            }
            let mut value = None;
            for (number, term) in terms.iter().enumerate() {
                parts.term = number;
                for (axis, at) in term {
                    let at = parts.s.shapes.int(*at);
                    parts.values.insert(*axis, at);
                }
                let program = parts.s.program;
                let node = expr.add_stored(program, stage, &mut parts)?;
                value = Some(match stage.combine {
                    Some(combine) => {
                        let dtype = program.buffers[stage.buffer].dtype;
                        let before = match value {
                            Some(before) => before,
                            None => expr.identity(combine, dtype)?,
                        };
                        expr.accumulate(combine, dtype, before, node)
                    }
                    None => node,
                });
            }
            results.push(value?);
        }
        if parts.spread.values().any(|it| it.1 != group) {
            return None;
        }
        let (mut loads, sources) = (parts.loads, parts.sources);
        let size = if packed { s.program.buffers[stage.buffer].dtype.size() as i64 } else { 4 };
        let n = lanes(s, n, size)?;
        for load in &mut loads {
            if let Some(guard) = &mut load.guard {
                let Range { low, high } = guard.inner;
                guard.inner = Range { low: lanes(s, low, size)?, high: lanes(s, high, size)? };
            }
        }
        let guards = sources.iter().filter(|it| matches!(it, Source::Guarded(_) | Source::Within)).count();
        let what = format!(
            "strips of {} ({group} by {group}, {} loads, {guards} guarded){}",
            s.shapes.display(extent),
            loads.len(),
            stages::lanes(width)
        );
        let short = s.shapes.as_int(n).is_some_and(|it| it <= i64::from(s.isa.lanes_of(width)));
        let buffers = loads.iter().map(|it| (it.buffer, it.indexes)).chain([(Some(stage.buffer), false)]);
        let element = |(buffer, indexes): (Option<BufferId>, bool)| {
            match buffer.map(|it| s.program.buffers[it].dtype) {
                Some(dtype) if !packed => {
                    // An index counts by its value, even where elements are moved bit by bit.
                    if indexes {
                        Element::in_lanes(dtype, width)
                    } else {
                        elements_in(s.program, stage, dtype, width)
                    }
                }
                _ => Some(Element::lane(width)),
            }
        };
        let elements = buffers.map(element).collect::<Option<Vec<Element>>>()?;
        let target_element = *elements.last()?;
        results.iter_mut().for_each(|it| *it = expr.unwrapped(target_element, *it));
        let placed_by = match &placed {
            Some(it) => Some((it.indices.clone(), s.shapes.as_int(step)?)),
            None => None,
        };
        let combined = match &mut results[..] {
            [result] if strip.ordered => {
                let (combined, update) = expr.apart(*result, BEFORE)?;
                *result = update;
                combined
            }
            _ => None,
        };
        let program = StripProgram {
            width,
            sources,
            elements,
            expr,
            results,
            short,
            placed: placed_by,
            combined,
            probes: false,
        };
        if !program.has_an_end() {
            return None;
        }
        Some(Strips {
            outer,
            extent,
            n,
            size,
            loads,
            target: (stage.buffer, target?),
            step,
            scatter,
            placed,
            program,
            what,
            stage,
        })
    }

    fn emit(mut self, s: &mut Selector<'_>) -> Option<Match> {
        let one = s.shapes.int(1);
        let rows = self.outer.last().copied();
        let chosen = |it: &Load| it.guard.as_ref().is_some_and(|it| it.by.iter().any(Option::is_some));
        let gathers =
            self.scatter.is_some() || self.loads.iter().any(|it| it.element.is_some() || chosen(it));
        let linear = rows.filter(|_| !gathers).and_then(|(var, _)| self.rows(s, var));
        let (extent, linear) = match linear {
            Some(linear) => {
                let (_, extent) = self.outer.pop()?;
                (extent, linear)
            }
            None => (one, self.single(s)?),
        };
        // Axes of negative extents have no iterations.
        let [extent, n] = [extent, self.n].map(|it| count(&mut s.shapes, it));
        let (extent, n) = (extent?, n?);
        let call = self.call(s, n, extent);
        s.lawful(|shapes| self.program.laws(shapes, &call))?;
        let ordered = self.scatter.is_some() || self.placed.as_ref().is_some_and(|it| !it.places.is_empty());
        let use_range = s.ranged && !ordered && self.outer.is_empty() && s.shapes.as_int(extent) != Some(1);
        let (first, last, units) =
            if use_range { s.range(1, extent)? } else { (s.shapes.int(0), extent, one) };
        let rows = s.shapes.sub(last, first).ok()?;
        let mut args = Vec::new();
        let mut strides = Vec::new();
        let buffers = self.loads.iter().map(|it| (it.buffer, it.element.as_ref()));
        let buffers = buffers.chain([(Some(self.target.0), self.scatter.as_ref())]);
        for ((buffer, element), (stride, offset)) in buffers.zip(&linear.positions) {
            let Some(buffer) = buffer else {
                let skip = s.shapes.mul(first, *stride).ok()?;
                args.push(Arg::Size(s.shapes.add(*offset, skip).ok()?));
                strides.push(Arg::Size(*stride));
                continue;
            };
            let size = s.program.buffers[buffer].dtype.size() as i64;
            if let Some(element) = element {
                args.push(Arg::Element(buffer, element.clone()));
                strides.push(Arg::Size(*stride));
                continue;
            }
            let skip = s.shapes.mul(first, *stride).ok()?;
            let elements = s.shapes.add(*offset, skip).ok()?;
            args.push(Arg::Pointer(buffer, s.shapes.scale(elements, size).ok()?));
            strides.push(Arg::Size(s.shapes.scale(*stride, size).ok()?));
        }
        args.extend([Arg::Size(n), Arg::Size(rows)]);
        args.extend(strides);
        for bounds in &linear.guards {
            args.extend(bounds.args(s, first)?);
        }
        let gathered = self.loads.iter().filter_map(|it| it.gather.as_ref()).chain(&self.placed);
        let extents: Vec<Dim> = gathered.flat_map(|it| it.extents.clone()).collect();
        let checks = !extents.is_empty();
        if checks {
            args.extend(extents.into_iter().map(Arg::Size));
            args.push(Arg::Workspace(s.shapes.int(0)));
        }
        let bytes = match self.placed {
            Some(_) => {
                args.push(Arg::Workspace(s.shapes.int(FLAG_BYTES)));
                FLAG_BYTES + PLACED_BYTES
            }
            None if checks => FLAG_BYTES,
            None => 0,
        };
        let workspace = s.shapes.int(bytes);
        let node = |s: &mut Selector<'_>, program: &StripProgram, what: &str| {
            let isa = s.isa;
            let build = || Routine::Program(Box::new(program.build(isa)), isa);
            let (symbol, args) = (s.routine("strips", &program.key(), build), args.clone());
            let node = Tree::Call(Box::new(Call { symbol, args, workspace, what: what.to_owned() }));
            // Where data says where to store, rows stay in order.
            s.wrap(&self.outer, node, !ordered)
        };
        let mut made = node(s, &self.program, &self.what);
        let checked = |body: Tree, again: Tree| Tree::Checked { body: vec![body], again: Box::new(again) };
        let probe = Tree::Probe { stage: self.stage.clone() };
        if stages::changes_checked(s.program, self.stage) {
            let vectors = self.placed.is_some() && checks;
            let probing = StripProgram { probes: true, ..self.program.clone() };
            let probe = if vectors { checked(node(s, &probing, ""), probe) } else { probe };
            made = Tree::Guarded { checks: vec![probe], body: vec![made] };
        } else if checks {
            made = checked(made, Tree::Stage { stage: self.stage.clone(), bound: 0 });
        }
        Some(Match { node: made, stages: 1, units: use_range.then_some(units), rate: PLAIN })
    }

    /// What the laws speak of.
    fn call(&self, s: &mut Selector<'_>, groups: Dim, rows: Dim) -> StripCall {
        let steps = self.loads.iter().map(|it| s.shapes.int(it.step));
        let steps = steps.chain([self.step]).collect();
        // Positions of the lanes of one vector.
        let lanes = i64::from(s.isa.lanes_of(self.program.width));
        let reach = |it: &Load| s.shapes.add_int(it.gather.as_ref()?.reach, lanes * it.step.abs()).ok();
        let mut reach: Vec<Option<Dim>> = self.loads.iter().map(reach).collect();
        reach.push(self.placed.as_ref().map(|it| it.reach));
        StripCall { elements: self.extent, size: self.size, groups, rows, steps, reach }
    }

    /// Everything as linear functions of an axis.
    fn rows(&self, s: &mut Selector<'_>, axis: Sym) -> Option<Linear> {
        let mut linear = Linear::default();
        for offset in self.loads.iter().map(|it| it.offset).chain([self.target.1]) {
            linear.positions.push(s.shapes.affine_in(offset, axis)?);
        }
        for (load, source) in self.loads.iter().zip(&self.program.sources) {
            let Some(guard) = &load.guard else { continue };
            if *source == Source::Within {
                let bounds = [guard.inner.low, guard.inner.high];
                let [low, high] = bounds.map(|it| s.shapes.affine_in(it, axis));
                linear.guards.push(Bounds::Moving([low?, high?], guard.by));
                continue;
            }
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
            linear.guards.push(Bounds::Fixed(guard.inner, combined(s, &own, &others)?));
        }
        Some(linear)
    }

    /// One row at a time.
    fn single(&self, s: &mut Selector<'_>) -> Option<Linear> {
        let zero = s.shapes.int(0);
        let offsets = self.loads.iter().map(|it| it.offset).chain([self.target.1]);
        let mut linear = Linear { positions: offsets.map(|it| (zero, it)).collect(), guards: Vec::new() };
        for (load, source) in self.loads.iter().zip(&self.program.sources) {
            let Some(guard) = &load.guard else { continue };
            linear.guards.push(match source {
                Source::Within => {
                    Bounds::Moving([guard.inner.low, guard.inner.high].map(|it| (zero, it)), guard.by)
                }
                _ => Bounds::Fixed(guard.inner, combined(s, &[], &guard.outer)?),
            });
        }
        Some(linear)
    }
}

/// So many elements of `size` bytes in lanes of four, if they fill them.
fn lanes(s: &mut Selector<'_>, elements: Dim, size: i64) -> Option<Dim> {
    let bytes = s.shapes.scale(elements, size).ok()?;
    if !s.shapes.divides(4, bytes).is_always() {
        return None;
    }
    s.shapes.floor_div(bytes, 4).ok()
}
