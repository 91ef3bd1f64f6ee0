//! Packing of operands into panels.

use crate::vector::{Addr, Builder, IReg, Inst, IntCompare, IntOp, Interleave, Isa, MReg, Program, Size};

/// A program that copies columns of a row-major matrix into a panel `[k][width]`.
///
/// Parameters: `source` (first element of the panel's columns), `panel`, `k` (rows), `stride` (of a source row, in
/// bytes), `columns` (valid ones; the rest of the panel is filled with zeros).
pub fn pack_rows(width: Size, isa: Isa) -> Program {
    let mut b = Builder::new("pack_rows");
    let [source, panel, k, stride, columns] = b.params();
    let lanes = isa.lanes();
    let count = width.at(lanes).cast_unsigned().div_ceil(u64::from(lanes)).cast_signed();
    let ragged = width.at(lanes) % i64::from(lanes) != 0;
    let masks = |b: &mut Builder, n: IReg| -> Vec<MReg> {
        (0..count)
            .map(|j| {
                let left = b.int_op(IntOp::Sub, n, Size::lanes(j));
                b.first(left)
            })
            .collect()
    };
    let all = b.int_const(width);
    let stored = if ragged { Some(masks(&mut b, all)) } else { None };
    let copy = |b: &mut Builder, loaded: Option<&[MReg]>| {
        b.repeat(k, |b| {
            for j in 0..count {
                let at = |p: IReg| Addr::new(p).offset(Size::vectors(j));
                let v = b.load(at(source), loaded.map(|m| m[j as usize]));
                b.store(v, at(panel), stored.as_ref().map(|m| m[j as usize]));
            }
            b.bump(source, stride);
            b.bump(panel, Size { fixed: 4 * width.fixed, per_lane: 4 * width.per_lane });
        });
    };
    b.when_else(
        IntCompare::Eq,
        columns,
        width,
        |b| copy(b, stored.as_deref()),
        |b| {
            let masks = masks(b, columns);
            copy(b, Some(&masks));
        },
    );
    b.finish()
}

/// A program that transposes rows of a row-major matrix into a panel `[k][width]`.
///
/// Parameters: `source` (first row), `panel`, `k` (elements of each row), `stride` (of a source row, in bytes), `rows`
/// (valid ones, at least 1; the last of them is repeated up to `width`).
/// It may write up to 12 bytes after the panel.
///
/// Rows are taken four at a time, as 4×4 transpositions. The last group comes first: where `width` is no multiple of
/// four it also writes the start of the next panel row, which the first group overwrites.
pub fn pack_transposed(width: Size) -> Program {
    let mut b = Builder::new("pack_transposed");
    let [source, panel, k, stride, rows] = b.params();
    let row_bytes = Size { fixed: 4 * width.fixed, per_lane: 4 * width.per_lane };
    let times = |n: i64| Size { fixed: n * row_bytes.fixed, per_lane: n * row_bytes.per_lane };
    // The first row of the last group: widths that depend on VL are multiples of four.
    let last_group = if width.per_lane == 0 {
        Size::fixed((width.fixed - 1) / 4 * 4)
    } else {
        Size { fixed: width.fixed - 4, ..width }
    };
    let row = b.int_const(last_group);
    let groups = b.int_op(IntOp::ShiftRight, row, 2);
    let groups = b.int_add(groups, 1);
    let last_row = b.int_add(rows, -1);
    b.repeat(groups, |b| {
        let from: [_; 4] = std::array::from_fn(|i| {
            let r = b.int_add(row, i as i64);
            let r = b.int_op(IntOp::Min, r, last_row);
            let offset = b.int_op(IntOp::Mul, r, stride);
            b.int_add(source, offset)
        });
        let bytes = b.int_op(IntOp::ShiftLeft, row, 2);
        let to = b.int_add(panel, bytes);
        let blocks = b.int_op(IntOp::ShiftRight, k, 2);
        b.repeat(blocks, |b| {
            let [r0, r1, r2, r3] = from.map(|p| b.load_quad(p));
            let lo01 = b.interleave(Interleave::Low32, r0, r1);
            let hi01 = b.interleave(Interleave::High32, r0, r1);
            let lo23 = b.interleave(Interleave::Low32, r2, r3);
            let hi23 = b.interleave(Interleave::High32, r2, r3);
            let columns = [
                b.interleave(Interleave::Low64, lo01, lo23),
                b.interleave(Interleave::High64, lo01, lo23),
                b.interleave(Interleave::Low64, hi01, hi23),
                b.interleave(Interleave::High64, hi01, hi23),
            ];
            for (i, &column) in columns.iter().enumerate() {
                b.store_quad(column, Addr::new(to).offset(times(i as i64)));
            }
            for p in from {
                b.bump(p, 16);
            }
            b.bump(to, times(4));
        });
        let rest = b.int_op(IntOp::And, k, 3);
        b.repeat(rest, |b| {
            for (i, p) in from.into_iter().enumerate() {
                let v = b.load_splat(p);
                b.store_lane(v, Addr::new(to).offset(4 * i as i64));
                b.bump(p, 4);
            }
            b.bump(to, row_bytes);
        });
        b.emit(Inst::Int { op: IntOp::Add, dst: row, a: row, b: (-4).into() });
    });
    b.finish()
}
