//! Reductions over axes that are not the innermost: rows are combined element by element.

use indexmap::IndexMap;
use orogen_ir::loops::{BufferId, Expr, Stage};
use orogen_ir::shape::{Dim, Sym};

use super::access::{Access, Collapsed, collapse};
use super::expression::{LoadOrCount, VectorExpr};
use super::reduction::Reduction;
use super::routine::Routine;
use super::row_program::{Leaf, RowCall, RowProgram, RowStage, Target, Work};
use super::selector::{Match, PLAIN, Selector, pairs, symbols};
use super::stages;
use super::tree::{Arg, Call, Node};
use crate::kernels::element::Element;
use crate::vector::Width;

/// Rows shorter than this are left to scalar loops.
const SHORT: i64 = 4;
/// Elements of a row in one unit of parallel work, where there is one row alone.
const UNIT: i64 = 128;

/// A reduction whose result is contiguous along its innermost axis.
pub(crate) fn columns(s: &mut Selector<'_>, run: &[&Stage]) -> Option<Match> {
    let stage = *run.first()?;
    stages::widths(s.program, &[stage]).iter().find_map(|width| columns_of(s, stage, *width))
}

fn columns_of(s: &mut Selector<'_>, stage: &Stage, width: Width) -> Option<Match> {
    let program = s.program;
    let dtype = program.buffers[stage.buffer].dtype;
    let Reduction { combine, .. } = Reduction::new(stage.combine?, dtype, width)?;
    let element_of = |buffer: BufferId| Element::in_lanes(program.buffers[buffer].dtype, width);
    let vars = symbols(stage);
    let store = Access::new(program, &mut s.shapes, stage.buffer, &stage.at, &vars)?;
    let mut loads = IndexMap::new();
    for id in stages::expressions(program, stage) {
        if let Expr::Load { buffer, at, otherwise } = &program.exprs[id] {
            if otherwise.is_some() || element_of(*buffer).is_none() {
                return None;
            }
            loads.insert(id, Access::new(program, &mut s.shapes, *buffer, at, &vars)?);
        }
    }
    let mut all: Vec<&Access> = loads.values().collect();
    let reduce = collapse(&mut s.shapes, &pairs(&stage.reduce), &all)?;
    all.push(&store);
    let axes = collapse(&mut s.shapes, &pairs(&stage.axes), &all)?;
    let (row, outer) = axes.split_last()?;
    let contiguous = |s: &Selector<'_>, access: &Access| match access.of(row.inner) {
        None => Some(false),
        Some(it) if s.shapes.as_int(it) == Some(1) => Some(true),
        Some(_) => None,
    };
    let short = s.shapes.as_int(row.extent).is_some_and(|it| it < SHORT);
    let fills = s.fills(width, row.count);
    if short || !fills || contiguous(s, &store) != Some(true) {
        return None;
    }

    let (mut expr, mut pointers) = (VectorExpr::of_width(width), vec![store.clone()]);
    let result = Target { contiguous: true, element: element_of(stage.buffer)? };
    let mut body = RowProgram::of(width, vec![result]);
    let old = expr.leaf(0);
    let mut places = IndexMap::new();
    for (id, access) in &loads {
        let at = match pointers.iter().skip(1).position(|it| it == access) {
            Some(at) => at + 1,
            None => {
                let element = element_of(access.buffer)?;
                body.targets.push(Target { contiguous: contiguous(s, access)?, element });
                pointers.push(access.clone());
                pointers.len() - 1
            }
        };
        places.insert(*id, at);
    }
    // Axes that run as loops of their own are numbers there.
    let alone: Vec<Sym> =
        outer.iter().chain(&reduce).filter(|it| it.axes.len() == 1).map(|it| it.inner).collect();
    let (mut counts, first) = (Vec::new(), pointers.len());
    let mut leaf = |expr: &mut VectorExpr, id, whole: bool| match &program.exprs[id] {
        Expr::Dim(dim, _) => {
            let known = |it: &Sym| program.sizes.contains(it) || alone.contains(it);
            if !whole || !s.shapes.free_symbols(*dim).iter().all(known) {
                return None;
            }
            let at = counts.iter().position(|it| it == dim).unwrap_or(counts.len());
            if at == counts.len() {
                counts.push(*dim);
            }
            Some(expr.leaf(first + at))
        }
        _ => Some(expr.leaf(*places.get(&id)?)),
    };
    let new = expr.add_stored(program, stage, &mut LoadOrCount(&mut leaf))?;
    let root = expr.accumulate(combine, dtype, old, new);
    let leaves = (0..first).map(Leaf::Memory).chain((0..counts.len()).map(Leaf::Size)).collect();
    body.sizes = counts.len();
    body.stages.push(map(expr, root, leaves));
    let mut constant = VectorExpr::of_width(width);
    let value = constant.identity(combine, dtype)?;
    let mut start = RowProgram::of(width, vec![result]);
    start.stages.push(map(constant, value, Vec::new()));

    let outer: Vec<(Sym, Dim)> = outer.iter().map(|it| (it.inner, it.extent)).collect();
    let reduce: Vec<(Sym, Dim)> = reduce.iter().map(|it| (it.inner, it.extent)).collect();
    let loops: Vec<Sym> = outer.iter().chain(&reduce).map(|it| it.0).collect();
    let what = format!("columns of {}{}", s.shapes.display(row.extent), stages::lanes(width));
    let use_range = s.ranged && outer.is_empty();
    let zero = s.shapes.int(0);
    let (first, last, units) = if use_range { s.range(UNIT, row.count)? } else { (zero, row.count, zero) };
    let part = Segment { row, first, count: s.shapes.sub(last, first).ok()? };
    let start = call(s, start, (&pointers[..1], &[]), &loops, &part, String::new())?;
    let step = call(s, body, (&pointers, &counts), &loops, &part, what)?;
    let steps = reduce.iter().rev().fold(step, |node, (var, extent)| Node::Loop {
        extent: *extent,
        vars: vec![*var],
        body: vec![node],
        independent: false,
    });
    let node = match &outer[..] {
        [] => {
            let once = s.shapes.int(1);
            Node::Loop { extent: once, vars: Vec::new(), body: vec![start, steps], independent: false }
        }
        [loops @ .., (var, extent)] => {
            let inner =
                Node::Loop { extent: *extent, vars: vec![*var], body: vec![start, steps], independent: true };
            s.wrap(loops, inner, true)
        }
    };
    Some(Match { node, stages: 1, units: use_range.then_some(units), rate: PLAIN })
}

fn map(expr: VectorExpr, root: usize, leaves: Vec<Leaf>) -> RowStage {
    RowStage { work: Work::Map, expr, root, leaves, pointer: Some(0), temporary: false }
}

/// A part of a row.
struct Segment<'a> {
    row: &'a Collapsed,
    first: Dim,
    count: Dim,
}

/// A call for a part of one row.
fn call(
    s: &mut Selector<'_>,
    mut program: RowProgram,
    (pointers, counts): (&[Access], &[Dim]),
    loops: &[Sym],
    part: &Segment<'_>,
    what: String,
) -> Option<Node> {
    program.plan();
    let (zero, one) = (s.shapes.int(0), s.shapes.int(1));
    let row = part.row;
    let along: Vec<Dim> = pointers.iter().map(|it| it.of(row.inner).unwrap_or(zero)).collect();
    let extents = RowCall { n: row.count, rows: one, along: along.clone() };
    s.lawful(|shapes| Ok(program.laws(shapes, &extents)))?;
    let mut args = Vec::new();
    for ((access, target), along) in pointers.iter().zip(&program.targets).zip(along) {
        let size = target.element.bytes();
        let start = access.bytes_at(&mut s.shapes, loops, size)?;
        let skip = s.shapes.mul(part.first, along).ok()?;
        let skip = s.shapes.scale(skip, size).ok()?;
        args.push(Arg::Pointer(access.buffer, s.shapes.add(start, skip).ok()?));
    }
    args.extend([Arg::Size(part.count), Arg::Size(one)]);
    args.extend(pointers.iter().map(|_| Arg::Size(zero)));
    args.extend(counts.iter().copied().map(Arg::Size));
    let (key, isa) = (program.key(), s.isa);
    let symbol = s.routine("rows", &key, || Routine::Program(Box::new(program.build(isa)), isa));
    Some(Node::Call(Box::new(Call { symbol, args, workspace: zero, what })))
}
