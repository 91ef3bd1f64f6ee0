//! Sorting of entries, by merging.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};

use super::{ENTRY, address, load, repeat, store};
use crate::clif::unit::FunctionCx;

/// Sorts entries by falling numbers; equal ones stay in order. Gives the table that has them, and the other one.
pub(super) fn sort(cx: &mut FunctionCx<'_>, table: Value, other: Value, count: Value) -> [Value; 2] {
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
pub(super) fn merge(cx: &mut FunctionCx<'_>, [from, to]: [Value; 2], [begin, middle, end]: [Value; 3]) {
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

/// Sorts the entries behind those that are sorted already, and both together; equal ones stay in order. Gives the table
/// that has them, and the other one.
pub(super) fn sort_more(
    cx: &mut FunctionCx<'_>,
    tables: [Value; 2],
    sorted: Value,
    count: Value,
) -> [Value; 2] {
    let [table, other] = tables;
    let [new, free] = tables.map(|it| address(cx, it, sorted, ENTRY as usize));
    let more = cx.b.ins().isub(count, sorted);
    let [found, _] = sort(cx, new, free, more);
    // What was sorted into the other table comes back.
    let is_there = cx.b.ins().icmp(IntCC::Equal, found, new);
    let none = cx.int(0);
    let moved = cx.b.ins().select(is_there, none, more);
    let copy = cx.open_loop(none, moved, &[]);
    let [from, to] = [found, new].map(|it| address(cx, it, copy.index, ENTRY as usize));
    for offset in [0, 8] {
        let word = load(cx, from, offset);
        store(cx, word, to, offset);
    }
    cx.close_loop(copy, &[]);
    merge(cx, tables, [none, sorted, count]);
    [other, table]
}
