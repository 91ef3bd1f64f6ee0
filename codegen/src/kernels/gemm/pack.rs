//! Packing of operands into panels of whole lanes, one step of the sum in each.

use super::factor::{
    Arithmetic, Blocks, Columns, Packing, Side, centred, remainder, repeated, scales, step, unit,
};
use super::micro::column_zeros;
use super::{Factor, Zero};
use crate::kernels::element::Element;
use crate::kernels::narrow;
use crate::vector::{
    Addr, BinaryOp, Builder, IReg, Inst, IntCompare, IntOp, Interleave, Isa, MReg, Program, Size, Storage,
    VReg,
};
use orogen_ir::types::DType;

/// A program that copies columns of a row-major matrix into a panel `[⌈k / terms⌉][width]`.
///
/// Parameters: `source` (first element of the panel's columns), `panel`, `k` (rows), `stride` (of a source row, in
/// bytes), `columns` (valid ones; the rest of the panel counts for nothing), and the first zero point if there are any.
pub fn pack_rows(width: Size, isa: Isa, factor: &Factor, arithmetic: Arithmetic) -> Program {
    let mut b = Builder::of_width("pack_rows", arithmetic.width());
    let [source, panel, k, stride, columns] = b.params();
    let (element, zeros) = factor.term(arithmetic);
    let zero = factor.zero.filter(|_| zeros).map(|each| (each, b.param()));
    let terms = arithmetic.terms();
    let (lane, lanes) = (arithmetic.lane(), isa.lanes_of(arithmetic.width()));
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
        let mask = |j: i64| loaded.map(|m| m[j as usize]);
        let zeros: Option<Vec<VReg>> = zero.map(|(each, p)| match each {
            Zero::One => vec![element.load_splat(b, p); count as usize],
            Zero::Each => (0..count)
                .map(|j| element.load(b, Addr::new(p).offset(element.vectors(j)), mask(j)))
                .collect(),
        });
        let term = |b: &mut Builder, row: Addr, j: i64| {
            let value = element.load(b, row.offset(element.vectors(j)), mask(j));
            let value = match &zeros {
                Some(zeros) => b.binary(BinaryOp::IntSub, value, zeros[j as usize]),
                None => value,
            };
            arithmetic.converted(b, element, value)
        };
        let put = |b: &mut Builder, value: VReg, j: i64| {
            b.store(value, Addr::new(panel).offset(lane.vectors(j)), stored.as_ref().map(|m| m[j as usize]));
        };
        // Rows of a step: two from here, two from further on.
        let beyond = (terms > 2).then(|| {
            let two = b.int_op(IntOp::ShiftLeft, stride, 1);
            b.int_add(source, two)
        });
        let row = |i: i64| {
            let base = Addr::new(beyond.filter(|_| i >= 2).unwrap_or(source));
            if i % 2 == 1 { base.indexed(stride, 1) } else { base }
        };
        let rows = |b: &mut Builder, n: i64| {
            for j in 0..count {
                let values: Vec<VReg> = (0..n).map(|i| term(b, row(i), j)).collect();
                let value = step(b, arithmetic, &values);
                let value = factor.unsigned(b, arithmetic, value);
                put(b, value, j);
            }
        };
        let whole = match terms {
            1 => k,
            _ => b.int_op(IntOp::ShiftRight, k, i64::from(terms.trailing_zeros())),
        };
        b.repeat(whole, |b| {
            rows(b, terms);
            for _ in 0..terms {
                b.bump(source, stride);
                if let Some(beyond) = beyond {
                    b.bump(beyond, stride);
                }
            }
            let bytes = lane.bytes();
            b.bump(panel, Size { fixed: bytes * width.fixed, per_lane: bytes * width.per_lane });
        });
        remainder(b, k, terms, rows);
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

/// A program that transposes rows of a row-major matrix into a panel `[⌈k / terms⌉][width]`.
///
/// Rows are `[k][apart]`: terms of a step are that many elements from each other, and a panel is
/// `[⌈k / terms⌉][apart][width]`.
///
/// Parameters: `source` (first row), `panel`, `k`, `stride` (of a source row, in bytes), `rows` (valid ones, at least 1;
/// the last of them is repeated up to `width`), and the first zero point if there are any. It may write up to 12 bytes
/// after the panel.
///
/// Rows are taken as many at a time as fit in 128 bits, as small transpositions. The last group comes first: where `width`
/// is no multiple of them it also writes the start of the next panel row, which the first group overwrites.
pub fn pack_transposed(width: Size, factor: &Factor, arithmetic: Arithmetic, apart: i64) -> Program {
    let mut b = Builder::of_width("pack_transposed", arithmetic.width());
    let [source, panel, k, stride, rows] = b.params();
    let (element, zeros) = factor.term(arithmetic);
    let zero = factor.zero.filter(|_| zeros).map(|_| b.param());
    let unit = unit(factor.element, arithmetic);
    let terms = arithmetic.terms();
    let lane = arithmetic.lane().bytes();
    let group = 16 / lane;
    let row_bytes = Size { fixed: lane * width.fixed, per_lane: lane * width.per_lane };
    let times = |n: i64| Size { fixed: n * row_bytes.fixed, per_lane: n * row_bytes.per_lane };
    // The first row of the last group: widths that depend on VL are multiples of its size.
    let last_group = if width.per_lane == 0 {
        Size::fixed((width.fixed - 1) / group * group)
    } else {
        Size { fixed: width.fixed - group, ..width }
    };
    let row = b.int_const(last_group);
    let groups = b.int_op(IntOp::ShiftRight, row, i64::from(group.trailing_zeros()));
    let groups = b.int_add(groups, 1);
    let last_row = b.int_add(rows, -1);
    let steps = match terms {
        1 => k,
        _ => b.int_op(IntOp::ShiftRight, k, i64::from(terms.trailing_zeros())),
    };
    b.repeat(groups, |b| {
        let numbers: Vec<IReg> = (0..group)
            .map(|i| {
                let r = b.int_add(row, i);
                b.int_op(IntOp::Min, r, last_row)
            })
            .collect();
        let from: Vec<IReg> = numbers
            .iter()
            .map(|r| {
                let offset = b.int_op(IntOp::Mul, *r, stride);
                b.int_add(source, offset)
            })
            .collect();
        // The zero points of the rows, as steps of 1, 2, … terms.
        let zeros: Option<Vec<Vec<VReg>>> = zero.map(|p| {
            let read = |r: &IReg| {
                let at = b.int_mul(*r, factor.zero_step());
                let at = b.int_add(at, p);
                let value = element.load_splat(b, at);
                let value = arithmetic.converted(b, element, value);
                (1..=terms).map(|n| step(b, arithmetic, &vec![value; n as usize])).collect()
            };
            numbers.iter().map(read).collect()
        });
        let zero_steps = |i: usize, n: i64| zeros.as_ref().map(|it| it[i][n as usize - 1]);
        let bytes = b.int_op(IntOp::ShiftLeft, row, i64::from(lane.trailing_zeros()));
        let to = b.int_add(panel, bytes);
        // Steps of `n` terms, which are units where they lie beside each other.
        let quads = |b: &mut Builder, n: i64| {
            let rows: Vec<VReg> = (0..group as usize)
                .map(|i| {
                    let quad = if apart == 1 {
                        let quad = unit.load_quad(b, from[i]);
                        arithmetic.converted(b, unit, quad)
                    } else {
                        let at = |term| Addr::new(from[i]).offset(element.bytes() * apart * term);
                        let terms: Vec<VReg> = (0..n).map(|term| element.load_quad(b, at(term))).collect();
                        step(b, arithmetic, &terms)
                    };
                    let quad = factor.unsigned(b, arithmetic, quad);
                    centred(b, arithmetic, quad, zero_steps(i, n))
                })
                .collect();
            let columns = transposed(b, &rows);
            for (i, &column) in columns.iter().enumerate() {
                b.store_quad(column, Addr::new(to).offset(times(i as i64)));
            }
        };
        let singles = |b: &mut Builder, n: i64| {
            for (i, &p) in from.iter().enumerate() {
                let v = if apart == 1 && n == terms {
                    let v = unit.load_splat(b, p);
                    arithmetic.converted(b, unit, v)
                } else {
                    let at = |term| Addr::new(p).offset(element.bytes() * apart * term);
                    let terms: Vec<VReg> = (0..n).map(|term| element.load_splat(b, at(term))).collect();
                    step(b, arithmetic, &terms)
                };
                let v = factor.unsigned(b, arithmetic, v);
                let v = centred(b, arithmetic, v, zero_steps(i, n));
                b.store_lane(v, Addr::new(to).offset(lane * i as i64));
            }
        };
        let advance = |b: &mut Builder, bytes: i64| from.iter().for_each(|p| b.bump(*p, bytes));
        if apart == 1 {
            let blocks = b.int_op(IntOp::ShiftRight, steps, i64::from(group.trailing_zeros()));
            b.repeat(blocks, |b| {
                quads(b, terms);
                advance(b, group * unit.bytes());
                b.bump(to, times(group));
            });
            let rest = b.int_op(IntOp::And, steps, group - 1);
            b.repeat(rest, |b| {
                singles(b, terms);
                advance(b, unit.bytes());
                b.bump(to, row_bytes);
            });
            remainder(b, k, terms, singles);
        } else {
            let size = element.bytes();
            let all = |b: &mut Builder, n: i64| {
                let blocks = b.int_const(apart / group);
                b.repeat(blocks, |b| {
                    quads(b, n);
                    advance(b, group * size);
                    b.bump(to, times(group));
                });
                let rest = b.int_const(apart % group);
                b.repeat(rest, |b| {
                    singles(b, n);
                    advance(b, size);
                    b.bump(to, row_bytes);
                });
                advance(b, (n - 1) * apart * size);
            };
            b.repeat(steps, |b| all(b, terms));
            remainder(b, k, terms, all);
        }
        b.emit(Inst::Int { op: IntOp::Add, dst: row, a: row, b: (-group).into() });
    });
    b.finish()
}

/// The columns of as many rows as 128 bits have lanes.
fn transposed(b: &mut Builder, rows: &[VReg]) -> Vec<VReg> {
    let halves = |b: &mut Builder, x: VReg, y: VReg| {
        [b.interleave(Interleave::Low64, x, y), b.interleave(Interleave::High64, x, y)]
    };
    let &[r0, r1, r2, r3] = rows else { return halves(b, rows[0], rows[1]).into() };
    let lo01 = b.interleave(Interleave::Low32, r0, r1);
    let hi01 = b.interleave(Interleave::High32, r0, r1);
    let lo23 = b.interleave(Interleave::Low32, r2, r3);
    let hi23 = b.interleave(Interleave::High32, r2, r3);
    [halves(b, lo01, lo23), halves(b, hi01, hi23)].concat()
}

/// A program that makes whole lanes of the steps of a constant panel of `rows`, and copies the sums that follow it.
///
/// Parameters: `source`, `panel`, `count` (steps), and the zero point if there is one.
pub(super) fn widen_panel(unit: Element, arithmetic: Arithmetic, factor: &Factor, rows: i64) -> Program {
    let mut b = Builder::of_width("widen_panel", arithmetic.width());
    let [source, panel, count] = b.params();
    let zero = factor.zero.map(|_| {
        let p = b.param();
        let value = factor.element.load_splat(&mut b, p);
        let value = arithmetic.converted(&mut b, factor.element, value);
        repeated(&mut b, arithmetic, value)
    });
    if let Some(shared) = unit.shared(factor.packing) {
        let in_a_byte = factor.packing.in_a_byte;
        widen_shared(&mut b, shared, in_a_byte, [source, panel, count], |b, steps| {
            let steps = arithmetic.converted(b, unit, steps);
            centred(b, arithmetic, steps, zero)
        });
        return b.finish();
    }
    let whole = b.div_lanes(count);
    b.repeat(whole, |b| {
        let steps = unit.load(b, source, None);
        let steps = arithmetic.converted(b, unit, steps);
        let steps = centred(b, arithmetic, steps, zero);
        b.store(steps, panel, None);
        b.bump(source, unit.vectors(1));
        b.bump(panel, arithmetic.lane().vectors(1));
    });
    let rest = b.int_op(IntOp::And, count, Size { fixed: -1, per_lane: 1 });
    b.repeat(rest, |b| {
        let steps = unit.load_splat(b, source);
        let steps = arithmetic.converted(b, unit, steps);
        let steps = centred(b, arithmetic, steps, zero);
        b.store_lane(steps, panel);
        b.bump(source, unit.bytes());
        b.bump(panel, arithmetic.lane().bytes());
    });
    // Within a panel they are no sums, and nobody reads them.
    if arithmetic.sum_bytes(Side::A) > 0 {
        b.repeat(rows, |b| {
            let sum = b.load_splat(source);
            b.store_lane_to(Storage::Bits32, sum, panel);
            b.bump(source, 4);
            b.bump(panel, 4);
        });
    }
    b.finish()
}

/// The same where steps share bytes. The last byte is written whole.
fn widen_shared(
    b: &mut Builder,
    (dtype, terms): (DType, u8),
    in_a_byte: i64,
    [source, panel, count]: [IReg; 3],
    finish: impl Fn(&mut Builder, VReg) -> VReg,
) {
    let storage = narrow::storage_of_steps(dtype, terms);
    let parts = |b: &mut Builder, bytes: VReg| -> Vec<VReg> {
        let mut part = |i: i64| {
            let steps = narrow::step(b, dtype, terms, bytes, i as u32);
            finish(b, steps)
        };
        (0..in_a_byte).map(&mut part).collect()
    };
    // Four bytes at a time, whose steps are interleaved.
    let shift = i64::from(in_a_byte.trailing_zeros());
    let bytes = b.int_add(count, in_a_byte - 1);
    let bytes = b.int_op(IntOp::ShiftRight, bytes, shift);
    let quads = b.int_op(IntOp::ShiftRight, bytes, 2);
    b.repeat(quads, |b| {
        let quad = b.load_quad_from(storage, source);
        let parts = parts(b, quad);
        let steps = match parts[..] {
            [low, high] => {
                [Interleave::Low32, Interleave::High32].map(|op| b.interleave(op, low, high)).to_vec()
            }
            _ => transposed(b, &parts),
        };
        for (i, steps) in steps.into_iter().enumerate() {
            b.store_quad(steps, Addr::new(panel).offset(16 * i as i64));
        }
        b.bump(source, 4);
        b.bump(panel, 16 * in_a_byte);
    });
    let rest = b.int_op(IntOp::And, bytes, 3);
    b.repeat(rest, |b| {
        let byte = b.load_splat_from(storage, source);
        for (i, steps) in parts(b, byte).into_iter().enumerate() {
            b.store_lane(steps, Addr::new(panel).offset(4 * i as i64));
        }
        b.bump(source, 1);
        b.bump(panel, 4 * in_a_byte);
    });
}

/// A program that makes whole lanes of a constant panel of columns, `vectors` wide, and copies the sums that follow it.
///
/// Parameters: `source`, `panel`, `steps` (blocks of them where it is scaled in blocks), `columns` (valid ones), the first
/// zero point if there are any, and the first scale and zero point of blocks.
pub(super) fn widen_columns(vectors: u32, arithmetic: Arithmetic, factor: &Factor) -> Program {
    let mut b = Builder::of_width("widen_columns", arithmetic.width());
    let [source, panel, steps, columns] = b.params();
    let (unit, vectors) = (factor.unit(arithmetic), i64::from(vectors));
    let Packing { in_a_byte, blocks } = factor.packing;
    let zeros = factor.zero.map(|each| {
        let p = b.param();
        column_zeros(&mut b, arithmetic, (each, factor.element), p, columns, vectors as usize)
    });
    let at: Vec<IReg> = (0..blocks.map_or(0, Blocks::params)).map(|_| b.param()).collect();
    let lane = arithmetic.lane();
    // Four steps, or those that are left of them.
    let some = |b: &mut Builder, count: i64, scales: Option<&[(VReg, Option<VReg>)]>| {
        let of = Columns { arithmetic, unit, packing: factor.packing, zeros: zeros.as_deref(), scales };
        let rows = (count + in_a_byte - 1) / in_a_byte;
        for (row, j) in (0..rows).flat_map(|row| (0..vectors).map(move |j| (row, j))) {
            let loaded = of.load(b, Addr::new(source).offset(of.bytes(row * vectors + j)), None);
            for u in row * in_a_byte..((row + 1) * in_a_byte).min(count) {
                let value = of.step(b, loaded, u, j as usize);
                b.store(value, Addr::new(panel).offset(lane.vectors(u * vectors + j)), None);
            }
        }
        b.bump(source, of.bytes(rows * vectors));
        b.bump(panel, lane.vectors(count * vectors));
    };
    if let Some(blocks) = blocks.filter(|it| it.joined) {
        // As many blocks as end with a whole byte, or those that are left of them.
        let place = blocks.first_place(&mut b);
        let joined = |b: &mut Builder, count: i64| {
            let mut loaded = Vec::new();
            for block in 0..count {
                let scales = scales(b, blocks, (&at, place), vectors);
                let of =
                    Columns { arithmetic, unit, packing: factor.packing, zeros: None, scales: Some(&scales) };
                for u in block * blocks.length..(block + 1) * blocks.length {
                    if u % in_a_byte == 0 {
                        let at = |j| Addr::new(source).offset(of.bytes(u / in_a_byte * vectors + j));
                        loaded = (0..vectors).map(|j| of.load(b, at(j), None)).collect();
                    }
                    for (j, loaded) in loaded.iter().enumerate() {
                        let value = of.step(b, *loaded, u, j);
                        b.store(value, Addr::new(panel).offset(lane.vectors(u * vectors + j as i64)), None);
                    }
                }
            }
            let steps = count * blocks.length;
            b.bump(source, unit.vectors((steps + in_a_byte - 1) / in_a_byte * vectors));
            b.bump(panel, lane.vectors(steps * vectors));
        };
        let whole = b.int_op(IntOp::ShiftRight, steps, i64::from(in_a_byte.trailing_zeros()));
        b.repeat(whole, |b| joined(b, in_a_byte));
        let rest = b.int_op(IntOp::And, steps, in_a_byte - 1);
        remainder(&mut b, rest, in_a_byte, joined);
        return b.finish();
    }
    if let Some(blocks) = blocks {
        let place = blocks.first_place(&mut b);
        b.repeat(steps, |b| {
            let scales = scales(b, blocks, (&at, place), vectors);
            blocks.each(b, 4, |b, count| some(b, count, Some(&scales)));
        });
        return b.finish();
    }
    let whole = b.int_op(IntOp::ShiftRight, steps, 2);
    b.repeat(whole, |b| some(b, 4, None));
    let rest = b.int_op(IntOp::And, steps, 3);
    match in_a_byte {
        1 => b.repeat(rest, |b| some(b, 1, None)),
        _ => remainder(&mut b, rest, 4, |b, n| some(b, n, None)),
    }
    // Within a panel they are no sums, and nobody reads them.
    if arithmetic.sum_bytes(Side::B) > 0 {
        for j in 0..vectors {
            let sums = b.load(Addr::new(source).offset(Size::vectors(j)), None);
            b.store(sums, Addr::new(panel).offset(Size::vectors(j)), None);
        }
    }
    b.finish()
}
