//! The largest or smallest elements along an axis, in order, and where they are: of equal ones the first, and NaN is larger
//! than every number.
//!
//! An element is a signed 64-bit number that is larger where it comes earlier. As many as are wanted, and as many again,
//! are collected, sorted by merging, which keeps equal ones in order, and cut; from then on only what is larger than the
//! last one that was kept is collected. So `n` elements of which `k` are wanted take a pass over them, and a sort of `2 k`
//! for every `k` that were collected.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{BlockArg, InstBuilder, MemFlagsData, Type, Value, types};
use orogen_ir::kernel::{Access, Routine};
use orogen_ir::scalar::Class;
use orogen_ir::shape::{Dim, ShapeCx};
use orogen_ir::types::DType;

use crate::clif::kernel::{Kernel, KernelPhase, PARAMS};
use crate::clif::size::{Scope, Sizes};
use crate::clif::unit::{FunctionCx, Target, Visibility, build as function};
use crate::select::forms::ParamForm;
use crate::select::routine::Routines;

/// Bytes of what is collected: the number of an element, then its place.
const ENTRY: i64 = 16;
/// Elements that are collected beyond twice as many as are wanted.
const MORE: i64 = 64;

/// What is computed from the sizes.
struct Layout {
    shapes: ShapeCx,
    /// How many rows along the axis there are.
    rows: Dim,
    /// Bytes of memory that a row needs.
    scratch: Dim,
    /// Elements.
    work: Dim,
}

pub(super) fn fits(routine: &Routine) -> bool {
    let [x, values, places] = &routine.signature.params[..] else { return false };
    let (Some((of, from)), Some((dtype, to)), Some((place, at))) =
        (x.buffer(), values.buffer(), places.buffer())
    else {
        return false;
    };
    let Some(axis) = axis(routine).filter(|it| *it < from.len()) else { return false };
    let same = from.len() == to.len() && (0..from.len()).all(|it| it == axis || from[it] == to[it]);
    (x.access, values.access, places.access) == (Access::In, Access::Out, Access::Out)
        && (dtype, place) == (of, DType::I64)
        && Class::Number.admits(of)
        && same
        && to == at
        && layout(routine, axis).is_some()
}

fn axis(routine: &Routine) -> Option<usize> {
    routine.attrs.int("axis").and_then(|it| usize::try_from(it).ok())
}

fn layout(routine: &Routine, axis: usize) -> Option<Layout> {
    let mut shapes = routine.signature.shapes.clone();
    let ((_, from), (_, to)) = (buffer(routine, 0), buffer(routine, 1));
    let others: Vec<Dim> = (0..from.len()).filter(|it| *it != axis).map(|it| from[it]).collect();
    let rows = shapes.product(&others).ok()?;
    let work = shapes.product(from).ok()?;
    // Two tables, each with a place behind its end that is read and not used.
    let wanted = shapes.scale(to[axis], 4 * ENTRY).ok()?;
    let more = shapes.int(2 * ENTRY * (MORE + 1));
    let scratch = shapes.add(wanted, more).ok()?;
    Some(Layout { shapes, rows, scratch, work })
}

fn buffer(routine: &Routine, i: usize) -> (DType, &[Dim]) {
    routine.signature.params[i].buffer().expect("`fits` looked")
}

pub(super) fn build(target: Target, name: &str, routine: &Routine) -> Kernel {
    let unit = function(target, name, Visibility::Local, &PARAMS, &[], |cx, args| code(cx, args, routine));
    let axis = axis(routine).expect("`fits` looked");
    let Layout { mut shapes, rows, scratch, work } = layout(routine, axis).expect("`fits` looked");
    let zero = shapes.int(0);
    Kernel {
        phases: vec![KernelPhase { unit, scratch, extent: rows, divided: true, work }],
        shapes,
        shared: zero,
        memory: scratch,
        aborts: false,
        forms: vec![ParamForm::Plain; routine.signature.params.len()],
        routines: Routines::default(),
        strategy: vec!["routine top_k: collected and sorted row by row".to_owned()],
    }
}

fn code(cx: &mut FunctionCx<'_>, args: &[Value], routine: &Routine) {
    let &[buffers, sizes, scratch, begin, end] = args else { unreachable!("five parameters") };
    let signature = &routine.signature;
    let axis = axis(routine).expect("`fits` looked");
    let smallest = routine.attrs.bool("smallest").unwrap_or(false);
    let mut scope = Scope::default();
    for (i, symbol) in signature.sizes.iter().enumerate() {
        let value = load(cx, sizes, i as i32 * 8);
        scope.bind(*symbol, value, 0);
    }
    let inside = Sizes { shapes: &signature.shapes, scope: &scope };
    let [x, values, places] = [0, 1, 2].map(|it| load(cx, buffers, it * 8));
    let ((dtype, dims), (_, found)) = (buffer(routine, 0), buffer(routine, 1));
    let (n, wanted) = (inside.value(cx, dims[axis]), inside.value(cx, found[axis]));
    let one = cx.int(1);
    let inner: Vec<Value> = dims[axis + 1..].iter().map(|it| inside.value(cx, *it)).collect();
    let inner = inner.into_iter().fold(one, |product, it| cx.b.ins().imul(product, it));
    let twice = cx.b.ins().imul_imm_s(wanted, 2);
    let room = cx.b.ins().iadd_imm_s(twice, MORE);
    let table = cx.b.ins().iadd_imm_s(room, 1);
    let table = cx.b.ins().imul_imm_s(table, ENTRY);
    let second = cx.b.ins().iadd(scratch, table);
    // Of nothing that is wanted there are no rows.
    let any = cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, wanted, 0);
    let end = cx.b.ins().select(any, end, begin);

    let rows = cx.open_loop(begin, end, &[]);
    let outer = cx.b.ins().udiv(rows.index, inner);
    let column = cx.b.ins().urem(rows.index, inner);
    let first = |cx: &mut FunctionCx<'_>, length: Value| {
        let at = cx.b.ins().imul(outer, length);
        let at = cx.b.ins().imul(at, inner);
        cx.b.ins().iadd(at, column)
    };
    let from = first(cx, n);
    let from = address(cx, x, from, dtype.size());
    let step = cx.b.ins().imul_imm_s(inner, dtype.size() as i64);
    let (zero, least) = (cx.int(0), cx.int(i64::MIN));
    // Next element, how many are collected, where, where not, the last that was kept, whether as many as are wanted were.
    let start = [zero, zero, scratch, second, least, zero];
    let state = repeat(
        cx,
        &start,
        |cx, state| cx.b.ins().icmp(IntCC::SignedLessThan, state[0], n),
        |cx, state| {
            let &[next, count, kept, free, least_kept, full] = state else { unreachable!("six values") };
            let collected = repeat(
                cx,
                &[next, count],
                |cx, it| {
                    let more = cx.b.ins().icmp(IntCC::SignedLessThan, it[0], n);
                    let fits = cx.b.ins().icmp(IntCC::SignedLessThan, it[1], room);
                    cx.b.ins().band(more, fits)
                },
                |cx, it| {
                    let at = cx.b.ins().imul(it[0], step);
                    let at = cx.b.ins().iadd(from, at);
                    let element = cx.load_element(dtype, at, 0);
                    let key = key(cx, dtype, element, smallest);
                    let entry = address(cx, kept, it[1], ENTRY as usize);
                    store(cx, key, entry, 0);
                    store(cx, it[0], entry, 8);
                    let larger = cx.b.ins().icmp(IntCC::SignedGreaterThan, key, least_kept);
                    let all = cx.b.ins().icmp_imm_s(IntCC::Equal, full, 0);
                    let takes = cx.b.ins().bor(larger, all);
                    let takes = cx.b.ins().uextend(types::I64, takes);
                    vec![cx.b.ins().iadd_imm_s(it[0], 1), cx.b.ins().iadd(it[1], takes)]
                },
            );
            let count = collected[1];
            let [sorted, other] = sort(cx, kept, free, count);
            let count = cx.b.ins().smin(count, wanted);
            let full = cx.b.ins().icmp(IntCC::Equal, count, wanted);
            let last = cx.b.ins().iadd_imm_s(count, -1);
            let last = cx.b.ins().smax(last, zero);
            let last = address(cx, sorted, last, ENTRY as usize);
            let last = load(cx, last, 0);
            let last = cx.b.ins().select(full, last, least);
            let full = cx.b.ins().uextend(types::I64, full);
            vec![collected[0], count, sorted, other, last, full]
        },
    );
    let (count, sorted) = (state[1], state[2]);
    let to = first(cx, wanted);
    let ranks = cx.open_loop(zero, wanted, &[]);
    let element = cx.b.ins().imul(ranks.index, inner);
    let element = cx.b.ins().iadd(to, element);
    let (value_at, place_at) = (address(cx, values, element, dtype.size()), address(cx, places, element, 8));
    let whole = Type::int(dtype.bits() as u16).expect("a number of 8 to 64 bits");
    // Law N1: there are fewer where more are wanted than there are.
    let has = cx.b.ins().icmp(IntCC::SignedLessThan, ranks.index, count);
    let [there, missing, done] = [(); 3].map(|()| cx.b.create_block());
    let (value, place) = (cx.b.append_block_param(done, whole), cx.b.append_block_param(done, types::I64));
    cx.b.ins().brif(has, there, &[], missing, &[]);
    cx.b.switch_to_block(there);
    let entry = address(cx, sorted, ranks.index, ENTRY as usize);
    let found = load(cx, entry, 8);
    let at = cx.b.ins().imul(found, step);
    let at = cx.b.ins().iadd(from, at);
    let bits = cx.b.ins().load(whole, MemFlagsData::trusted(), at, 0);
    cx.b.ins().jump(done, &[BlockArg::Value(bits), BlockArg::Value(found)]);
    cx.b.switch_to_block(missing);
    let nothing = cx.b.ins().iconst(whole, 0);
    cx.b.ins().jump(done, &[BlockArg::Value(nothing), BlockArg::Value(zero)]);
    cx.b.switch_to_block(done);
    store(cx, value, value_at, 0);
    store(cx, place, place_at, 0);
    cx.close_loop(ranks, &[]);
    cx.close_loop(rows, &[]);
    cx.b.ins().return_(&[]);
}

/// Sorts entries by falling numbers; equal ones stay in order. Gives the table that has them, and the other one.
fn sort(cx: &mut FunctionCx<'_>, table: Value, other: Value, count: Value) -> [Value; 2] {
    let one = cx.int(1);
    let sorted = repeat(
        cx,
        &[one, table, other],
        |cx, it| cx.b.ins().icmp(IntCC::SignedLessThan, it[0], count),
        |cx, it| {
            let &[width, from, to] = it else { unreachable!("three values") };
            let zero = cx.int(0);
            repeat(
                cx,
                &[zero],
                |cx, it| cx.b.ins().icmp(IntCC::SignedLessThan, it[0], count),
                |cx, it| {
                    let middle = cx.b.ins().iadd(it[0], width);
                    let middle = cx.b.ins().smin(middle, count);
                    let end = cx.b.ins().iadd(middle, width);
                    let end = cx.b.ins().smin(end, count);
                    merge(cx, [from, to], [it[0], middle, end]);
                    vec![end]
                },
            );
            vec![cx.b.ins().imul_imm_s(width, 2), to, from]
        },
    );
    [sorted[1], sorted[2]]
}

/// Merges two sorted neighbours into another table.
fn merge(cx: &mut FunctionCx<'_>, [from, to]: [Value; 2], [begin, middle, end]: [Value; 3]) {
    let merged = cx.open_loop(begin, end, &[begin, middle]);
    let (left, right) = (merged.carried[0], merged.carried[1]);
    let [at_left, at_right] = [left, right].map(|it| address(cx, from, it, ENTRY as usize));
    let [first, second] = [at_left, at_right].map(|it| load(cx, it, 0));
    let has_left = cx.b.ins().icmp(IntCC::SignedLessThan, left, middle);
    let no_right = cx.b.ins().icmp(IntCC::SignedGreaterThanOrEqual, right, end);
    let not_less = cx.b.ins().icmp(IntCC::SignedGreaterThanOrEqual, first, second);
    let takes = cx.b.ins().bor(no_right, not_less);
    let takes = cx.b.ins().band(takes, has_left);
    let key = cx.b.ins().select(takes, first, second);
    let source = cx.b.ins().select(takes, at_left, at_right);
    let place = load(cx, source, 8);
    let target = address(cx, to, merged.index, ENTRY as usize);
    store(cx, key, target, 0);
    store(cx, place, target, 8);
    let takes = cx.b.ins().uextend(types::I64, takes);
    let next_left = cx.b.ins().iadd(left, takes);
    let next_right = cx.b.ins().iadd_imm_s(right, 1);
    let next_right = cx.b.ins().isub(next_right, takes);
    cx.close_loop(merged, &[next_left, next_right]);
}

/// An element as a number that is larger where it comes earlier.
fn key(cx: &mut FunctionCx<'_>, dtype: DType, element: Value, smallest: bool) -> Value {
    let rising = if dtype.is_float() {
        let wide = cx.cast(dtype, DType::F64, element);
        // A negative zero is no less than the other one.
        let zero = cx.b.ins().f64const(0.0);
        let number = cx.b.ins().fadd(wide, zero);
        let bits = cx.b.ins().bitcast(types::I64, MemFlagsData::new(), number);
        let sign = cx.b.ins().sshr_imm_u(bits, 63);
        let magnitude = cx.b.ins().ushr_imm_u(sign, 1);
        let ordered = cx.b.ins().bxor(bits, magnitude);
        let nan = cx.b.ins().fcmp(FloatCC::Unordered, wide, wide);
        let most = cx.int(i64::MAX);
        cx.b.ins().select(nan, most, ordered)
    } else {
        let wide = cx.cast(dtype, DType::I64, element);
        let wraps = !dtype.is_signed_int() && dtype.bits() == 64;
        let sign = cx.int(if wraps { i64::MIN } else { 0 });
        cx.b.ins().bxor(wide, sign)
    };
    if smallest { cx.b.ins().bnot(rising) } else { rising }
}

/// A loop over values while something holds of them.
fn repeat(
    cx: &mut FunctionCx<'_>,
    start: &[Value],
    more: impl FnOnce(&mut FunctionCx<'_>, &[Value]) -> Value,
    body: impl FnOnce(&mut FunctionCx<'_>, &[Value]) -> Vec<Value>,
) -> Vec<Value> {
    let [head, inside, done] = [(); 3].map(|()| cx.b.create_block());
    let values: Vec<Value> = start.iter().map(|_| cx.b.append_block_param(head, types::I64)).collect();
    let jump = |cx: &mut FunctionCx<'_>, values: &[Value]| {
        let values: Vec<BlockArg> = values.iter().map(|it| BlockArg::Value(*it)).collect();
        cx.b.ins().jump(head, &values);
    };
    jump(cx, start);
    cx.b.switch_to_block(head);
    let goes_on = more(cx, &values);
    cx.b.ins().brif(goes_on, inside, &[], done, &[]);
    cx.b.switch_to_block(inside);
    let next = body(cx, &values);
    jump(cx, &next);
    cx.b.switch_to_block(done);
    values
}

fn address(cx: &mut FunctionCx<'_>, base: Value, i: Value, size: usize) -> Value {
    let offset = cx.b.ins().imul_imm_s(i, size as i64);
    cx.b.ins().iadd(base, offset)
}

fn load(cx: &mut FunctionCx<'_>, from: Value, offset: i32) -> Value {
    cx.b.ins().load(types::I64, MemFlagsData::trusted(), from, offset)
}

fn store(cx: &mut FunctionCx<'_>, value: Value, to: Value, offset: i32) {
    cx.b.ins().store(MemFlagsData::trusted(), value, to, offset);
}
