//! Constants narrower than a byte as bytes.
//!
//! Elements lie in both memories in the same order, so lanes of 32 bits take in four of them and are stored as they are.
//!
//! # Laws
//! By construction: extents are numbers, and nothing is read or written behind the last byte.

use orogen_ir::loops::{Expr, Stage};
use orogen_ir::types::DType;

use super::access::{Access, collapse};
use super::routine::Routine;
use super::selector::{Match, PLAIN, Selector, pairs, single_axes, symbols};
use super::tree::{Arg, Call, Node};
use crate::kernels::element::Element;
use crate::vector::{Addr, Builder, IntCompare, IntOp, Program, ShiftOp, Size, Storage};

/// Elements in one unit of parallel work.
const UNIT: i64 = 1 << 14;

/// Elements of a lane.
const TERMS: u8 = 4;

/// A stage that makes bytes of a packed constant.
pub(crate) fn unpacking(s: &mut Selector<'_>, run: &[&Stage]) -> Option<Match> {
    let (stage, program) = (*run.first()?, s.program);
    let to = program.buffers[stage.buffer].dtype;
    let Expr::Cast(_, load) = &program.exprs[stage.value] else { return None };
    let Expr::Load { buffer, at, otherwise: None } = &program.exprs[*load] else { return None };
    let from = program.buffers[*buffer].dtype;
    let bytes = from.is_int() && to.is_int() && to.bits() == 8 && to.in_a_byte() == 1;
    if stage.combine.is_some() || !s.is_packed(*buffer) || !bytes {
        return None;
    }
    let (vars, single) = (symbols(stage), single_axes(&s.shapes, stage));
    let mut source = Access::new(program, &mut s.shapes, *buffer, at, &vars)?;
    let mut target = Access::new(program, &mut s.shapes, stage.buffer, &stage.at, &vars)?;
    source.drop_axes(&single);
    target.drop_axes(&single);
    let axes = collapse(&mut s.shapes, &pairs(&stage.axes), &[&source, &target])?;
    let [all] = &axes[..] else { return None };
    for access in [&source, &target] {
        let step = access.of(all.inner).and_then(|it| s.shapes.as_int(it));
        if step != Some(1) || s.shapes.as_int(access.rest) != Some(0) {
            return None;
        }
    }
    s.shapes.as_int(all.count)?;
    let (first, last, units) = s.range(UNIT, all.count)?;
    let count = s.shapes.sub(last, first).ok()?;
    let skip = s.shapes.floor_div(first, from.in_a_byte() as i64).ok()?;
    let args = vec![Arg::Pointer(*buffer, skip), Arg::Pointer(stage.buffer, first), Arg::Size(count)];
    let isa = s.isa;
    let symbol = s.routine("unpack", &format!("{from:?}"), || Routine::Program(Box::new(unpack(from)), isa));
    let what = format!("unpacking of {} elements", s.shapes.display(all.count));
    let node = Node::Call(Box::new(Call { symbol, args, workspace: s.shapes.int(0), what }));
    Some(Match { node, stages: 1, units: s.ranged.then_some(units), rate: PLAIN })
}

/// The program. Parameters: the first byte of the constant, that of the result, and the number of elements.
fn unpack(from: DType) -> Program {
    let mut b = Builder::new("unpack");
    let [source, target, count] = b.params();
    let (unit, in_a_byte) = (Element::Nibbles(from, TERMS), from.in_a_byte() as i64);
    let lanes = b.int_op(IntOp::ShiftRight, count, i64::from(TERMS.ilog2()));
    let whole = b.div_lanes(lanes);
    b.repeat(whole, |b| {
        let bytes = unit.load(b, source, None);
        b.store(bytes, target, None);
        b.bump(source, unit.vectors(1));
        b.bump(target, Size::vectors(1));
    });
    let rest = b.int_op(IntOp::And, lanes, Size { fixed: -1, per_lane: 1 });
    b.repeat(rest, |b| {
        let bytes = unit.load_splat(b, source);
        b.store_lane(bytes, target);
        b.bump(source, unit.bytes());
        b.bump(target, i64::from(TERMS));
    });
    // What is left is less than a lane: byte by byte of the constant.
    let left = b.int_op(IntOp::And, count, i64::from(TERMS) - 1);
    let part = Element::Nibbles(from, 2);
    for i in 0..i64::from(TERMS) - 1 {
        b.when(IntCompare::Gt, left, i, |b| {
            let byte = b.load_splat_from(Storage::U8, Addr::new(source).offset(i / in_a_byte));
            let shift = (i % in_a_byte) as u8 * from.width() as u8;
            let byte = if shift == 0 { byte } else { b.shift(ShiftOp::RightLogical, byte, shift) };
            let element = part.widened(b, byte);
            b.store_lane_to(Storage::U8, element, Addr::new(target).offset(i));
        });
    }
    b.finish()
}
