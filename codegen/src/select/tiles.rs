//! Elementwise stages that read across what they write: transpositions, alone or with arithmetic around them.
//!
//! Some axis other than the innermost of the store is the innermost of a load. The two span a matrix, which is
//! computed in small tiles, so that both memories are touched by whole vectors.

use indexmap::IndexMap;
use orogen_ir::loops::{BufferId, Expr, Stage};
use orogen_ir::shape::{Dim, Sym};

use super::access::{Access, Collapsed, collapse};
use super::element::elements_in;
use super::expression::{Load, VectorExpr};
use super::routine::Routine;
use super::selector::{Match, PLAIN, Selector, pairs, single_axes, symbols};
use super::stages;
use super::strips::halves;
use super::tile_program::{Source, TileCall, TileProgram};
use super::tree::{Arg, Call, Node as Tree};
use crate::kernels::element::Element;
use crate::vector::Width;

/// Rows in one unit of parallel work.
const UNIT: i64 = 16;

/// A stage in tiles.
pub(crate) fn tiles(s: &mut Selector<'_>, run: &[&Stage]) -> Option<Match> {
    let stage = *run.first()?;
    stages::widths(s.program, &[stage]).iter().find_map(|width| tiles_of(s, stage, *width))
}

fn tiles_of(s: &mut Selector<'_>, stage: &Stage, width: Width) -> Option<Match> {
    let program = s.program;
    let element_of = |buffer: BufferId| elements_in(program, stage, program.buffers[buffer].dtype, width);
    if stage.combine.is_some() || element_of(stage.buffer).is_none() {
        return None;
    }
    let (vars, single) = (symbols(stage), single_axes(&s.shapes, stage));
    let mut store = Access::new(program, &mut s.shapes, stage.buffer, &stage.at, &vars)?;
    store.drop_axes(&single);
    let mut loads = IndexMap::new();
    for id in stages::expressions(program, stage) {
        if let Expr::Load { buffer, at, otherwise } = &program.exprs[id] {
            if otherwise.is_some() || element_of(*buffer).is_none() || *buffer == stage.buffer {
                return None;
            }
            let mut access = Access::new(program, &mut s.shapes, *buffer, at, &vars)?;
            access.drop_axes(&single);
            loads.insert(id, access);
        }
    }
    let all: Vec<&Access> = loads.values().chain([&store]).collect();
    let mut axes = collapse(&mut s.shapes, &pairs(&stage.axes), &all)?;
    let unit = |s: &Selector<'_>, access: &Access, axis: Sym| {
        access.of(axis).is_some_and(|it| s.shapes.as_int(it) == Some(1))
    };
    let inner = axes.pop()?;
    // The axis along which the loads lie that do not lie along the innermost one.
    let crossed = loads.values().find(|it| it.uses(inner.inner) && !unit(s, it, inner.inner))?;
    let at = axes.iter().position(|it| unit(s, crossed, it.inner))?;
    let row: Collapsed = axes.remove(at);
    // Of two rows or columns, whole vectors are put in turn or taken apart.
    let [pairs, other] = [&inner, &row].map(|it| s.shapes.as_int(it.extent) == Some(2));
    if (pairs || other)
        && width.has_floats()
        && let Some(found) = halves(s, stage, width, pairs)
    {
        return Some(found);
    }
    // Tiles of narrow lanes are large.
    let side = i64::from(16 / width.bytes());
    let small = |extent: Dim| s.shapes.as_int(extent).is_some_and(|it| it < side);
    if !width.has_floats() && (small(inner.extent) || small(row.extent)) {
        return None;
    }
    if !unit(s, &store, inner.inner) {
        return None;
    }

    let (mut sources, mut pointers) = (Vec::new(), Vec::new());
    let mut expr = VectorExpr::of_width(width);
    let mut places: IndexMap<_, usize> = IndexMap::new();
    for (id, access) in &loads {
        let source = match access.of(inner.inner) {
            None => Source::Scalar,
            Some(_) if unit(s, access, inner.inner) => Source::Along,
            Some(_) if unit(s, access, row.inner) => Source::Across,
            Some(_) => return None,
        };
        let place = pointers.iter().position(|it| *it == access).unwrap_or_else(|| {
            sources.push(source);
            pointers.push(access);
            pointers.len() - 1
        });
        places.insert(*id, place);
    }
    let mut leaf = |expr: &mut VectorExpr, id| Some(expr.leaf(*places.get(&id)?));
    let result = expr.add_stored(program, stage, &mut Load(&mut leaf))?;
    pointers.push(&store);

    let outer: Vec<(Sym, Dim)> = axes.iter().map(|it| (it.inner, it.extent)).collect();
    let loops: Vec<Sym> = outer.iter().map(|it| it.0).collect();
    let use_range = s.ranged && outer.is_empty();
    let (zero, one) = (s.shapes.int(0), s.shapes.int(1));
    let elements: Option<Vec<Element>> = pointers.iter().map(|it| element_of(it.buffer)).collect();
    let program = TileProgram { width, sources, elements: elements?, expr, result };
    let steps = pointers.iter().map(|it| [row.inner, inner.inner].map(|axis| it.of(axis).unwrap_or(zero)));
    let call = TileCall { n: inner.count, rows: row.count, steps: steps.collect() };
    s.lawful(|shapes| Ok(program.laws(shapes, &call)))?;
    let (first, last, units) = if use_range { s.range(UNIT, row.count)? } else { (zero, row.count, one) };
    let count = s.shapes.sub(last, first).ok()?;
    let (mut args, mut strides) = (Vec::new(), Vec::new());
    for (i, (access, [down, along])) in pointers.iter().zip(call.steps).enumerate() {
        let size = program.elements[i].bytes();
        let start = access.bytes_at(&mut s.shapes, &loops, size)?;
        let skip = s.shapes.mul(first, down).ok()?;
        let skip = s.shapes.scale(skip, size).ok()?;
        args.push(Arg::Pointer(access.buffer, s.shapes.add(start, skip).ok()?));
        let stride = if program.sources.get(i) == Some(&Source::Across) { along } else { down };
        strides.push(Arg::Size(s.shapes.scale(stride, size).ok()?));
    }
    args.extend([Arg::Size(inner.count), Arg::Size(count)]);
    args.extend(strides);
    let what = format!(
        "tiles of {} by {} ({} loads){}",
        s.shapes.display(row.extent),
        s.shapes.display(inner.extent),
        program.sources.len(),
        stages::lanes(width)
    );
    let isa = s.isa;
    let symbol = s.routine("tiles", &program.key(), || Routine::Program(Box::new(program.build()), isa));
    let workspace = s.shapes.int(0);
    let node = Tree::Call(Box::new(Call { symbol, args, workspace, what }));
    let node = s.wrap(&outer, node, true);
    Some(Match { node, stages: 1, units: use_range.then_some(units), rate: PLAIN })
}
