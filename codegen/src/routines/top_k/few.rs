//! Rows of which few elements are wanted: these are kept in order, and each that comes before the last of them is put in
//! its place.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value};

use super::{ENTRY, MORE, Row, address, load, repeat, store};
use crate::clif::unit::FunctionCx;

/// Elements that are few.
pub(super) const FEW: i64 = 32;
/// Least elements that are compared in vectors.
const LEAST: i64 = 64;
/// Of elements in no order there are fewer hits than so many times those that are wanted, but in the first stretches.
const MANY_HITS: i64 = 8;

/// The wanted ones of the `n` elements of a row, in a table, and how many there are. Where the elements are neighbours
/// `scan` may look for some; it writes their places into the other table.
///
/// Where it finds many, as in a row that rises, they are put in their places from the last one on: few are put there twice.
pub(super) fn few(
    cx: &mut FunctionCx<'_>,
    row: Row,
    [table, other]: [Value; 2],
    [wanted, n]: [Value; 2],
    scan: Option<(&str, Value)>,
) -> Value {
    let zero = cx.int(0);
    let most = cx.b.ins().smin(wanted, n);
    let first = cx.open_loop(zero, most, &[]);
    let key = row.key(cx, first.index);
    insert(cx, table, first.index, [key, first.index], larger);
    cx.close_loop(first, &[]);
    let last = cx.b.ins().iadd_imm_s(wanted, -1);
    let last_entry = address(cx, table, last, ENTRY as usize);
    let look = |cx: &mut FunctionCx<'_>, place: Value, before: Before| {
        let key = row.key(cx, place);
        let is_before = before(cx, [key, place], last_entry);
        let [put, done] = [(); 2].map(|()| cx.b.create_block());
        cx.b.ins().brif(is_before, put, &[], done, &[]);
        cx.b.switch_to_block(put);
        insert(cx, table, last, [key, place], before);
        cx.b.ins().jump(done, &[]);
        cx.b.switch_to_block(done);
    };
    let start = match scan {
        None => most,
        Some((symbol, neighbours)) => {
            let vectors = |cx: &mut FunctionCx<'_>, it: &[Value]| {
                let left = cx.b.ins().isub(n, it[0]);
                let many = cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, left, LEAST);
                cx.b.ins().band(many, neighbours)
            };
            let most_hits = cx.b.ins().imul_imm_s(wanted, MANY_HITS);
            let looked = repeat(cx, &[most], vectors, |cx, it| {
                let next = it[0];
                let left = cx.b.ins().isub(n, next);
                let (least, room) = (cx.int(LEAST), cx.int(MORE));
                // As many at once as were looked at before, within bounds: what is found is compared with the best of those.
                let length = cx.b.ins().smax(next, least);
                let length = cx.b.ins().smin(length, room);
                let length = cx.b.ins().smin(length, left);
                let bound_at = load(cx, last_entry, 8);
                let hits = row.scan(cx, symbol, [next, length], bound_at, other);
                let place_of = |cx: &mut FunctionCx<'_>, hit: Value| {
                    let entry = address(cx, other, hit, ENTRY as usize);
                    load(cx, entry, 8)
                };
                let many = cx.b.ins().icmp(IntCC::SignedGreaterThan, hits, most_hits);
                let [rising, as_found, done] = [(); 3].map(|()| cx.b.create_block());
                cx.b.ins().brif(many, rising, &[], as_found, &[]);
                cx.b.switch_to_block(rising);
                let found = cx.open_loop(zero, hits, &[]);
                let hit = cx.b.ins().isub(hits, found.index);
                let hit = cx.b.ins().iadd_imm_s(hit, -1);
                let place = place_of(cx, hit);
                look(cx, place, larger_or_first);
                cx.close_loop(found, &[]);
                cx.b.ins().jump(done, &[]);
                cx.b.switch_to_block(as_found);
                let found = cx.open_loop(zero, hits, &[]);
                let place = place_of(cx, found.index);
                look(cx, place, larger);
                cx.close_loop(found, &[]);
                cx.b.ins().jump(done, &[]);
                cx.b.switch_to_block(done);
                vec![cx.b.ins().iadd(next, length)]
            });
            looked[0]
        }
    };
    let rest = cx.open_loop(start, n, &[]);
    look(cx, rest.index, larger);
    cx.close_loop(rest, &[]);
    most
}

/// Whether an element, by its number and place, comes before that of an entry.
type Before = fn(&mut FunctionCx<'_>, [Value; 2], Value) -> Value;

/// Of equal ones the entry comes first.
fn larger(cx: &mut FunctionCx<'_>, [key, _]: [Value; 2], entry: Value) -> Value {
    let other = load(cx, entry, 0);
    cx.b.ins().icmp(IntCC::SignedGreaterThan, key, other)
}

/// Of equal ones that with the first place does.
fn larger_or_first(cx: &mut FunctionCx<'_>, [key, place]: [Value; 2], entry: Value) -> Value {
    let (other, at) = (load(cx, entry, 0), load(cx, entry, 8));
    let larger = cx.b.ins().icmp(IntCC::SignedGreaterThan, key, other);
    let equal = cx.b.ins().icmp(IntCC::Equal, key, other);
    let first = cx.b.ins().icmp(IntCC::SignedLessThan, place, at);
    let first = cx.b.ins().band(equal, first);
    cx.b.ins().bor(larger, first)
}

/// Puts an entry behind those that come before it, of so many that are in order; what is last is moved one further.
fn insert(cx: &mut FunctionCx<'_>, table: Value, count: Value, [key, place]: [Value; 2], is_before: Before) {
    let start = address(cx, table, count, ENTRY as usize);
    let found = repeat(
        cx,
        &[start],
        |cx, it| {
            let before = cx.b.ins().iadd_imm_s(it[0], -ENTRY);
            let before = cx.b.ins().umax(before, table);
            let less = is_before(cx, [key, place], before);
            let any = cx.b.ins().icmp(IntCC::UnsignedGreaterThan, it[0], table);
            cx.b.ins().band(less, any)
        },
        |cx, it| {
            let before = cx.b.ins().iadd_imm_s(it[0], -ENTRY);
            for offset in [0, 8] {
                let moved = load(cx, before, offset);
                store(cx, moved, it[0], offset);
            }
            vec![before]
        },
    );
    store(cx, key, found[0], 0);
    store(cx, place, found[0], 8);
}
