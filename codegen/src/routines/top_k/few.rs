//! Rows of which few elements are wanted: these are kept in order, and each that comes before the last of them is put in
//! its place.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};

use super::{ENTRY, MORE, Row, address, load, repeat, store, word};
use crate::clif::unit::{FunctionCx, Symbol, Words};

/// Elements that are few.
pub(super) const FEW: i64 = 32;
/// Least elements that are compared in vectors.
const LEAST: i64 = 64;

/// The wanted ones of the `n` elements of a row, in a table, and how many there are. Where the elements are neighbours
/// `scan` may look for some; it writes their places into the other table.
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
    insert(cx, table, first.index, [key, first.index]);
    cx.close_loop(first, &[]);
    let last = cx.b.ins().iadd_imm_s(wanted, -1);
    let last_entry = address(cx, table, last, ENTRY as usize);
    let look = |cx: &mut FunctionCx<'_>, place: Value| {
        let key = row.key(cx, place);
        let bound = load(cx, last_entry, 0);
        let larger = cx.b.ins().icmp(IntCC::SignedGreaterThan, key, bound);
        let [put, done] = [(); 2].map(|()| cx.b.create_block());
        cx.b.ins().brif(larger, put, &[], done, &[]);
        cx.b.switch_to_block(put);
        insert(cx, table, last, [key, place]);
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
            let looked = repeat(cx, &[most], vectors, |cx, it| {
                let next = it[0];
                let left = cx.b.ins().isub(n, next);
                let (least, room) = (cx.int(LEAST), cx.int(MORE));
                // As many at once as were looked at before, within bounds: what is found is compared with the best of those.
                let length = cx.b.ins().smax(next, least);
                let length = cx.b.ins().smin(length, room);
                let length = cx.b.ins().smin(length, left);
                let bound_at = load(cx, last_entry, 8);
                let (at, than) = (row.at(cx, next), row.at(cx, bound_at));
                let slot: Words = word(cx);
                let counter = slot.address(cx);
                let to = cx.b.ins().iadd_imm_s(other, 8);
                let args = [at, than, next, to, counter, length];
                cx.call(Symbol::Local(symbol.to_owned()), &[types::I64; 6], &[], &args);
                let hits = slot.load(cx, 0);
                let found = cx.open_loop(zero, hits, &[]);
                let entry = address(cx, other, found.index, ENTRY as usize);
                let place = load(cx, entry, 8);
                look(cx, place);
                cx.close_loop(found, &[]);
                vec![cx.b.ins().iadd(next, length)]
            });
            looked[0]
        }
    };
    let rest = cx.open_loop(start, n, &[]);
    look(cx, rest.index);
    cx.close_loop(rest, &[]);
    most
}

/// Puts an entry behind those that are not less, of so many that are in order; what is last is moved one further.
fn insert(cx: &mut FunctionCx<'_>, table: Value, count: Value, [key, place]: [Value; 2]) {
    let start = address(cx, table, count, ENTRY as usize);
    let found = repeat(
        cx,
        &[start],
        |cx, it| {
            let before = cx.b.ins().iadd_imm_s(it[0], -ENTRY);
            let before = cx.b.ins().umax(before, table);
            let less = load(cx, before, 0);
            let less = cx.b.ins().icmp(IntCC::SignedGreaterThan, key, less);
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
