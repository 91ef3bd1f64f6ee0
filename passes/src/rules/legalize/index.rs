//! Gathers and generators: one stage each.

use super::context::overflow;
use super::movement::moved;
use super::{LegalizeFn, Legalizer, Lowering};
use orogen_ir::diag::Diagnostic;
use orogen_ir::loops::{BinaryOp, BuildResult, CompareOp, ExprId, Index, ProgramBuilder};
use orogen_ir::shape::Dim;
use orogen_ir::types::DType;

pub(super) const ROWS: &[(&str, LegalizeFn)] = &[
    ("gather", gather),
    ("gather_elements", gather_elements),
    ("gather_nd", gather_nd),
    ("one_hot", one_hot),
    ("range", range),
    ("full", full),
    ("mersenne_twister", mersenne_twister),
    ("trilu", trilu),
];

fn gather(cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let axis = cx.axis_attr();
    let index_rank = cx.arg_dims(1)?.len();
    moved(cx, |cx, vars, dims| {
        let index = match fixed_index(cx, dims[axis])? {
            Some(fixed) => fixed,
            None => {
                let indices = cx.input(1)?;
                Index::Checked(cx.b.load(indices, vars[axis..axis + index_rank].iter().copied())?)
            }
        };
        let mut at: Vec<Index> = vars[..axis].iter().map(|it| (*it).into()).collect();
        at.push(index);
        at.extend(vars[axis + index_rank..].iter().map(|it| Index::from(*it)));
        Ok(at)
    })
}

/// A single index that inference knows and that is in range.
fn fixed_index(cx: &mut Legalizer<'_>, extent: Dim) -> BuildResult<Option<Index>> {
    let Some([element]) = cx.elements(1) else { return Ok(None) };
    let index = cx.import(*element)?;
    let zero = cx.b.shapes().int(0);
    let from_end = cx.add(index, extent)?;
    let shapes = cx.b.shapes();
    let position = if shapes.prove_ge(index, zero).is_always() {
        index
    } else if shapes.prove_lt(index, zero).is_always() && shapes.prove_ge(from_end, zero).is_always() {
        from_end
    } else {
        return Ok(None);
    };
    Ok(shapes.prove_lt(position, extent).is_always().then_some(position.into()))
}

fn gather_elements(cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let axis = cx.axis_attr();
    moved(cx, |cx, vars, _| {
        let indices = cx.input(1)?;
        let mut at: Vec<Index> = vars.iter().map(|it| (*it).into()).collect();
        at[axis] = Index::Checked(cx.b.load(indices, vars.iter().copied())?);
        Ok(at)
    })
}

fn gather_nd(cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let batch = cx.attrs.int("batch_dims").and_then(|it| usize::try_from(it).ok()).unwrap_or(0);
    moved(cx, |cx, vars, _| {
        let (indices, index_dims) = cx.operand(1)?;
        let (outer, depth) = (index_dims.len() - 1, index_depth(cx, &index_dims)?);
        let mut at: Vec<Index> = vars[..batch].iter().map(|it| (*it).into()).collect();
        for j in 0..depth {
            let coordinate = cx.b.shapes().int(j as i64);
            let point = vars[..outer].iter().copied().chain([coordinate]);
            at.push(Index::Checked(cx.b.load(indices, point)?));
        }
        at.extend(vars[outer..].iter().map(|it| Index::from(*it)));
        Ok(at)
    })
}

/// How many coordinates an index of operand 1 has.
pub(super) fn index_depth(cx: &Legalizer<'_>, index_dims: &[Dim]) -> BuildResult<usize> {
    let depth = index_dims.last().and_then(|it| cx.as_int(*it)).and_then(|it| usize::try_from(it).ok());
    depth
        .ok_or_else(|| Diagnostic::error("K003", "the last dimension of operand 1 (indices) is not constant"))
}

fn one_hot(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let axis = cx.axis_attr();
    let (indices, values) = (cx.input(0)?, cx.input(2)?);
    let out = cx.output(0)?;
    let out_dims = cx.b.buffer_dims(out);
    let axes = cx.b.axes("i", &out_dims);
    let vars = cx.b.vars(&axes);
    let mut at = vars.clone();
    at.remove(axis);
    let index = cx.b.load(indices, at)?;
    let index = cx.b.cast(DType::I64, index);
    let (zero, depth) = (cx.b.int(0, DType::I64)?, cx.dim_as(out_dims[axis], DType::I64)?);
    let from_end = cx.b.binary(BinaryOp::Add, index, depth)?;
    let negative = cx.b.compare(CompareOp::Lt, index, zero)?;
    let index = cx.b.select(negative, from_end, index)?;
    let here = cx.b.dim(vars[axis], DType::I64)?;
    let hit = cx.b.compare(CompareOp::Eq, index, here)?;
    let (first, second) = (cx.b.shapes().int(0), cx.b.shapes().int(1));
    let (off, on) = (cx.b.load(values, [first])?, cx.b.load(values, [second])?);
    let value = cx.b.select(hit, on, off)?;
    cx.b.stage(&axes, out, vars, value)?;
    cx.finish()
}

fn range(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let (start, delta) = (cx.scalar(0)?, cx.scalar(2)?);
    let out = cx.output(0)?;
    let dtype = cx.b.buffer_dtype(out);
    let dims = cx.b.buffer_dims(out);
    let axis = cx.b.axis("i", dims[0]);
    let at = cx.b.var(axis);
    let steps = cx.dim_as(at, dtype)?;
    let distance = cx.b.binary(BinaryOp::Mul, steps, delta)?;
    let value = cx.b.binary(BinaryOp::Add, start, distance)?;
    cx.b.stage(&[axis], out, [at], value)?;
    cx.finish()
}

fn full(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let value = cx.scalar(1)?;
    let out = cx.output(0)?;
    cx.b.fill(out, |_, _| Ok(value))?;
    cx.finish()
}

/// States of 32 bits, of which the twister makes one from three others.
const STATES: i64 = 624;
/// How far apart two of them are.
const APART: i64 = 397;

/// A loop that makes a state in place for each number and tempers it (`mt19937ar.c` of the authors makes all 624 at once).
fn mersenne_twister(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let seed = cx.int_attr("seed").unwrap_or(0);
    let out = cx.output(0)?;
    let count = cx.b.buffer_dims(out)[0];
    let states = cx.b.shapes().int(STATES);
    let state = cx.b.local("state", DType::U32, &[states]);
    let word = |b: &mut ProgramBuilder, value: i64| b.int(value, DType::U32);
    let (seed, zero) = (word(&mut cx.b, seed)?, cx.b.shapes().int(0));
    cx.b.stage(&[], state, [zero], seed)?;
    let rest = cx.b.shapes().int(STATES - 1);
    let axis = cx.b.axis("i", rest);
    let before = cx.b.var(axis);
    let here = cx.linear(before, 1, 1)?;
    cx.b.for_loop(axis, |b| {
        let value = b.load(state, [before])?;
        let value = mixed(b, value, BinaryOp::Shr, 30, None)?;
        let factor = word(b, 1_812_433_253)?;
        let value = b.binary(BinaryOp::Mul, value, factor)?;
        let number = b.dim(here, DType::U32)?;
        let value = b.binary(BinaryOp::Add, value, number)?;
        b.stage(&[], state, [here], value)
    })?;

    let axis = cx.b.axis("t", count);
    let turn = cx.b.var(axis);
    let places = [0, 1, APART].map(|it| {
        let place = cx.linear(turn, 1, it)?;
        cx.b.shapes().modulo(place, STATES).map_err(overflow)
    });
    let [here, next, far] = places;
    let (here, next, far) = (here?, next?, far?);
    cx.b.for_loop(axis, |b| {
        let (value, next, far) = (b.load(state, [here])?, b.load(state, [next])?, b.load(state, [far])?);
        let (high, low) = (word(b, 0x8000_0000)?, word(b, 0x7fff_ffff)?);
        let value = b.binary(BinaryOp::And, value, high)?;
        let next = b.binary(BinaryOp::And, next, low)?;
        let joined = b.binary(BinaryOp::Or, value, next)?;
        let (one, zero, factor) = (word(b, 1)?, word(b, 0)?, word(b, 0x9908_b0df)?);
        let odd = b.binary(BinaryOp::And, joined, one)?;
        let odd = b.compare(CompareOp::Ne, odd, zero)?;
        let factor = b.select(odd, factor, zero)?;
        let half = b.binary(BinaryOp::Shr, joined, one)?;
        let value = b.binary(BinaryOp::Xor, far, half)?;
        let value = b.binary(BinaryOp::Xor, value, factor)?;
        b.stage(&[], state, [here], value)?;
        let value = b.load(state, [here])?;
        let value = mixed(b, value, BinaryOp::Shr, 11, None)?;
        let value = mixed(b, value, BinaryOp::Shl, 7, Some(0x9d2c_5680))?;
        let value = mixed(b, value, BinaryOp::Shl, 15, Some(0xefc6_0000))?;
        let value = mixed(b, value, BinaryOp::Shr, 18, None)?;
        b.stage(&[], out, [turn], value)
    })?;
    cx.finish()
}

/// A number of 32 bits and itself shifted, of which a mask may leave some, without carry.
fn mixed(
    b: &mut ProgramBuilder,
    value: ExprId,
    shift: BinaryOp,
    by: i64,
    mask: Option<i64>,
) -> BuildResult<ExprId> {
    let by = b.int(by, DType::U32)?;
    let mut moved = b.binary(shift, value, by)?;
    if let Some(mask) = mask {
        let mask = b.int(mask, DType::U32)?;
        moved = b.binary(BinaryOp::And, moved, mask)?;
    }
    b.binary(BinaryOp::Xor, value, moved)
}

fn trilu(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let x = cx.input(0)?;
    let offset = if cx.has(1) { Some(cx.scalar(1)?) } else { None };
    let upper = cx.flag("upper");
    let out = cx.output(0)?;
    let dims = cx.b.buffer_dims(out);
    let axes = cx.b.axes("i", &dims);
    let vars = cx.b.vars(&axes);
    let (row, column) = (vars[vars.len() - 2], vars[vars.len() - 1]);
    let distance = cx.sub(column, row)?;
    let distance = cx.b.dim(distance, DType::I64)?;
    let bound: ExprId = match offset {
        Some(offset) => cx.b.cast(DType::I64, offset),
        None => cx.b.int(0, DType::I64)?,
    };
    let op = if upper { CompareOp::Ge } else { CompareOp::Le };
    let kept = cx.b.compare(op, distance, bound)?;
    let (value, nothing) = (cx.b.load(x, vars.iter().copied())?, cx.b.number(0.0, cx.b.buffer_dtype(x)));
    let value = cx.b.select(kept, value, nothing)?;
    cx.b.stage(&axes, out, vars, value)?;
    cx.finish()
}
