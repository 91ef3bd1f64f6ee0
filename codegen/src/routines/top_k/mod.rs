//! The largest or smallest elements along an axis, in order, and where they are: of equal ones the first, and NaN is larger
//! than every number.
//!
//! An element is a signed 64-bit number that is larger where it comes earlier. A few more than are wanted are collected,
//! sorted by merging, which keeps equal ones in order, and cut; from then on only what is larger than the last one that was
//! kept is collected, and sorted and merged when there are enough of it. A row whose elements are neighbours is compared in
//! vectors, in stretches no longer than what went before, so that what is collected is compared with the best of half of
//! all before it: of `n` elements in no order about `k log(n / k)` are collected. A few that are wanted are kept in order.

mod few;
mod scan;
mod sort;

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{
    BlockArg, InstBuilder, MemFlagsData, StackSlotData, StackSlotKind, Type, Value, types,
};
use orogen_ir::kernel::{Access, Routine};
use orogen_ir::scalar::Class;
use orogen_ir::shape::{Dim, ShapeCx};
use orogen_ir::types::DType;

use super::{one_phase, symbols, table_word};
use crate::clif::kernel::{Kernel, KernelPhase, PARAMS};
use crate::clif::size::Sizes;
use crate::clif::unit::{FunctionCx, Symbol, Target, Visibility, Words, build as function};
use crate::select::routine::{Routine as Code, Routines};
use crate::vector::Isa;
use few::{FEW, few};
use scan::Scan;
use sort::{sort, sort_more};

/// Bytes of what is collected: the number of an element, then its place.
const ENTRY: i64 = 16;
/// Elements that are collected beyond twice as many as are wanted.
const MORE: i64 = 1024;
/// Elements that are collected at first beyond those that are wanted.
const FIRST: i64 = 16;
/// New ones are sorted before the row ends when there are so many, and a part of those that are wanted: that shifted right.
const NEW: (i64, i64) = (32, 2);

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

pub(super) fn build(target: Target, isa: Isa, name: &str, routine: &Routine, _: &[bool]) -> Kernel {
    let mut routines = Routines::default();
    let scan = Scan::of(buffer(routine, 0).0, is_smallest(routine)).map(|it| {
        let key = format!("{} {isa:?}", it.key());
        routines.add("scan", &key, || Code::Program(Box::new(it.program()), isa))
    });
    let unit = function(target, name, Visibility::Local, &PARAMS, &[], |cx, args| {
        code(cx, args, routine, scan.as_deref());
    });
    let axis = axis(routine).expect("`fits` looked");
    let Layout { shapes, rows, scratch, work } = layout(routine, axis).expect("`fits` looked");
    let phase = KernelPhase { unit, scratch, extent: rows, divided: true, work };
    let strategy = "routine top_k: compared in vectors, collected and sorted row by row";
    one_phase(routine, shapes, phase, routines, strategy.to_owned())
}

fn is_smallest(routine: &Routine) -> bool {
    routine.attrs.bool("smallest").unwrap_or(false)
}

fn code(cx: &mut FunctionCx<'_>, args: &[Value], routine: &Routine, scan: Option<&str>) {
    let &[buffers, sizes, scratch, begin, end] = args else { unreachable!("five parameters") };
    let signature = &routine.signature;
    let axis = axis(routine).expect("`fits` looked");
    let smallest = is_smallest(routine);
    let scope = symbols(cx, routine, sizes);
    let inside = Sizes { shapes: &signature.shapes, scope: &scope };
    let [x, values, places] = [0, 1, 2].map(|it| table_word(cx, buffers, it));
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
    let zero = cx.int(0);
    let row = Row { dtype, smallest, from, step };
    let neighbours = cx.b.ins().icmp(IntCC::Equal, inner, one);
    let all = Many { tables: [scratch, second], wanted, n, room, scan, neighbours };
    let known = signature.shapes.as_int(found[axis]).map(|it| it <= FEW);
    let ranked = cx.b.create_block();
    let [count, sorted] = [(); 2].map(|()| cx.b.append_block_param(ranked, types::I64));
    let of_few = |cx: &mut FunctionCx<'_>| {
        let scan = scan.map(|it| (it, neighbours));
        let count = few(cx, row, [scratch, second], [wanted, n], scan);
        cx.b.ins().jump(ranked, &[count, scratch].map(BlockArg::Value));
    };
    let of_many = |cx: &mut FunctionCx<'_>| {
        let found = all.emit(cx, row);
        cx.b.ins().jump(ranked, &found.map(BlockArg::Value));
    };
    match known {
        Some(true) => of_few(cx),
        Some(false) => of_many(cx),
        None => {
            let [are_few, are_many] = [(); 2].map(|()| cx.b.create_block());
            let is_few = cx.b.ins().icmp_imm_s(IntCC::SignedLessThanOrEqual, wanted, FEW);
            cx.b.ins().brif(is_few, are_few, &[], are_many, &[]);
            cx.b.switch_to_block(are_few);
            of_few(cx);
            cx.b.switch_to_block(are_many);
            of_many(cx);
        }
    }
    cx.b.switch_to_block(ranked);
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

/// Rows of which many elements are wanted.
struct Many<'a> {
    tables: [Value; 2],
    wanted: Value,
    n: Value,
    /// Entries of a table.
    room: Value,
    scan: Option<&'a str>,
    /// Whether the elements of a row are.
    neighbours: Value,
}

impl Many<'_> {
    /// How many elements a row gave, and the table that has them in order.
    fn emit(&self, cx: &mut FunctionCx<'_>, row: Row) -> [Value; 2] {
        let Many { tables: [scratch, second], wanted, n, room, scan, neighbours } = *self;
        let zero = cx.int(0);
        // A place for the first one, and it; the rest is collected when some are sorted.
        let most = cx.b.ins().iadd_imm_s(wanted, FIRST);
        let most = cx.b.ins().smin(most, n);
        let filled = repeat(
            cx,
            &[zero],
            |cx, it| cx.b.ins().icmp(IntCC::SignedLessThan, it[0], most),
            |cx, it| {
                let entry = address(cx, scratch, it[0], ENTRY as usize);
                row.collect(cx, it[0], entry);
                vec![cx.b.ins().iadd_imm_s(it[0], 1)]
            },
        );
        let [sorted, other] = sort(cx, scratch, second, filled[0]);
        let count = cx.b.ins().smin(filled[0], wanted);
        let enough = cx.b.ins().ushr_imm_u(wanted, NEW.1);
        let fewest = cx.int(NEW.0);
        let enough = cx.b.ins().smax(enough, fewest);
        // Next element, how many are collected, where, where not. As many as are wanted are sorted, or the row is at its end.
        let start = [filled[0], count, sorted, other];
        let state = repeat(
            cx,
            &start,
            |cx, state| cx.b.ins().icmp(IntCC::SignedLessThan, state[0], n),
            |cx, state| {
                let &[next, count, kept, free] = state else { unreachable!("four values") };
                let last = cx.b.ins().iadd_imm_s(wanted, -1);
                let last = address(cx, kept, last, ENTRY as usize);
                let (bound, bound_at) = (load(cx, last, 0), load(cx, last, 8));
                let left = cx.b.ins().isub(room, count);
                let length = cx.b.ins().isub(n, next);
                let length = cx.b.ins().smin(length, left);
                let length = cx.b.ins().smin(length, next);
                let end = cx.b.ins().iadd(next, length);
                let [vectors, singles, taken] = [(); 3].map(|()| cx.b.create_block());
                let found = cx.b.append_block_param(taken, types::I64);
                match scan {
                    Some(_) => cx.b.ins().brif(neighbours, vectors, &[], singles, &[]),
                    None => cx.b.ins().jump(singles, &[]),
                };
                cx.b.switch_to_block(vectors);
                let entries = address(cx, kept, count, ENTRY as usize);
                if let Some(symbol) = scan {
                    let hits = row.scan(cx, symbol, [next, length], bound_at, entries);
                    let looked = cx.open_loop(zero, hits, &[count]);
                    let entry = address(cx, entries, looked.index, ENTRY as usize);
                    let place = load(cx, entry, 8);
                    let more = row.take(cx, place, [kept, looked.carried[0]], bound);
                    let found = cx.close_loop(looked, &[more])[0];
                    cx.b.ins().jump(taken, &[BlockArg::Value(found)]);
                } else {
                    cx.b.ins().jump(taken, &[BlockArg::Value(count)]);
                }
                cx.b.switch_to_block(singles);
                let looked = cx.open_loop(next, end, &[count]);
                let more = row.take(cx, looked.index, [kept, looked.carried[0]], bound);
                let single = cx.close_loop(looked, &[more])[0];
                cx.b.ins().jump(taken, &[BlockArg::Value(single)]);
                cx.b.switch_to_block(taken);
                // Sorted where there are enough new ones, and at the end.
                let new = cx.b.ins().isub(found, wanted);
                let many = cx.b.ins().icmp(IntCC::SignedGreaterThanOrEqual, new, enough);
                let any = cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, new, 0);
                let ends = cx.b.ins().icmp(IntCC::Equal, end, n);
                let ends = cx.b.ins().band(ends, any);
                let sorts = cx.b.ins().bor(many, ends);
                let [some, done] = [(); 2].map(|()| cx.b.create_block());
                let after: Vec<Value> = (0..3).map(|_| cx.b.append_block_param(done, types::I64)).collect();
                let as_is = [found, kept, free].map(BlockArg::Value);
                cx.b.ins().brif(sorts, some, &[], done, &as_is);
                cx.b.switch_to_block(some);
                let [sorted, other] = sort_more(cx, [kept, free], wanted, found);
                let cut = [wanted, sorted, other].map(BlockArg::Value);
                cx.b.ins().jump(done, &cut);
                cx.b.switch_to_block(done);
                vec![end, after[0], after[1], after[2]]
            },
        );
        [state[1], state[2]]
    }
}

/// A row along the axis.
#[derive(Clone, Copy)]
struct Row {
    dtype: DType,
    smallest: bool,
    from: Value,
    /// Bytes from an element to the next.
    step: Value,
}

impl Row {
    fn at(&self, cx: &mut FunctionCx<'_>, place: Value) -> Value {
        let at = cx.b.ins().imul(place, self.step);
        cx.b.ins().iadd(self.from, at)
    }

    /// Calls the program that looks at so many elements from one on for those that may come before another one: their
    /// places are written to the entries of a table. Gives how many there are.
    fn scan(
        &self,
        cx: &mut FunctionCx<'_>,
        symbol: &str,
        [next, length]: [Value; 2],
        bound: Value,
        entries: Value,
    ) -> Value {
        let (at, than) = (self.at(cx, next), self.at(cx, bound));
        let slot =
            Words::Slot(cx.b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, 8, 3)));
        let counter = slot.address(cx);
        let to = cx.b.ins().iadd_imm_s(entries, 8);
        let args = [at, than, next, to, counter, length];
        cx.call(Symbol::Local(symbol.to_owned()), &[types::I64; 6], &[], &args);
        slot.load(cx, 0)
    }

    /// The number of an element.
    fn key(&self, cx: &mut FunctionCx<'_>, place: Value) -> Value {
        let at = self.at(cx, place);
        let element = cx.load_element(self.dtype, at, 0);
        key(cx, self.dtype, element, self.smallest)
    }

    /// Writes the entry of an element, and gives its number.
    fn collect(&self, cx: &mut FunctionCx<'_>, place: Value, entry: Value) -> Value {
        let key = self.key(cx, place);
        store(cx, key, entry, 0);
        store(cx, place, entry, 8);
        key
    }

    /// Writes the entry of an element behind others of a table; it stays where it comes before a number. Gives how many
    /// there are.
    fn take(&self, cx: &mut FunctionCx<'_>, place: Value, [table, count]: [Value; 2], bound: Value) -> Value {
        let entry = address(cx, table, count, ENTRY as usize);
        let key = self.collect(cx, place, entry);
        let larger = cx.b.ins().icmp(IntCC::SignedGreaterThan, key, bound);
        let larger = cx.b.ins().uextend(types::I64, larger);
        cx.b.ins().iadd(count, larger)
    }
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
