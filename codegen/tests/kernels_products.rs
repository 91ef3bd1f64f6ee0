//! Matrix products of narrow elements, with zero points, in every layout against three nested loops.
#![allow(unsafe_code, reason = "calling generated code")]

mod common;

use common::Random;
use half::{bf16, f16};
use orogen_codegen::jit_memory::Jit;
use orogen_codegen::kernels::element::Element;
use orogen_codegen::kernels::gemm::{Arithmetic, Factor, Gemm, Layout, Packing, Side, Zero};
use orogen_codegen::vector::{Isa, Storage};

const I8: Element = Element::Stored(Storage::I8);
const U8: Element = Element::Stored(Storage::U8);
const I16: Element = Element::Stored(Storage::I16);
const U16: Element = Element::Stored(Storage::U16);
const F64: Element = Element::Stored(Storage::Bits64);
const F16: Element = Element::Stored(Storage::F16);

/// The bytes of a number, which the element holds exactly.
fn bytes(element: Element, arithmetic: Arithmetic, value: i32) -> Vec<u8> {
    match (element, arithmetic) {
        (F16, _) => f16::from_f32(value as f32 / 16.0).to_le_bytes().to_vec(),
        (Element::BF16, _) => bf16::from_f32(value as f32 / 16.0).to_le_bytes().to_vec(),
        (F64, Arithmetic::Double) => (f64::from(value) / 16.0).to_le_bytes().to_vec(),
        (Element::LANE, Arithmetic::Float) => (value as f32 / 16.0).to_le_bytes().to_vec(),
        _ => value.to_le_bytes()[..element.bytes() as usize].to_vec(),
    }
}

/// Numbers at the ends of what an element holds, and any in between.
fn numbers(random: &mut Random, element: Element, arithmetic: Arithmetic, n: usize) -> Vec<i32> {
    let (low, high) = match (element, arithmetic) {
        (I8, _) => (-128, 127),
        (U8, _) => (0, 255),
        (I16, _) => (-32768, 32767),
        (U16, _) => (0, 65535),
        (_, Arithmetic::Float | Arithmetic::Double) => (-16, 16),
        _ => (i32::MIN / 2, i32::MAX / 2),
    };
    (0..n)
        .map(|_| match random.below(4) {
            0 => low,
            1 => high,
            _ => low + random.below((i64::from(high) - i64::from(low) + 1) as u64) as i32,
        })
        .collect()
}

struct Operand {
    /// Row-major `[rows][depth]`: columns of B are rows here.
    values: Vec<i32>,
    zeros: Vec<i32>,
    factor: Factor,
}

impl Operand {
    fn new(
        random: &mut Random,
        factor: Factor,
        arithmetic: Arithmetic,
        rows: usize,
        depth: usize,
    ) -> Operand {
        let values = numbers(random, factor.element, arithmetic, rows * depth);
        let count = match factor.zero {
            None => 0,
            Some(Zero::One) => 1,
            Some(Zero::Each) => rows,
        };
        Operand { values, zeros: numbers(random, factor.element, arithmetic, count), factor }
    }

    fn at(&self, row: usize, k: usize, depth: usize) -> i32 {
        let zero = match self.factor.zero {
            None => 0,
            Some(Zero::One) => self.zeros[0],
            Some(Zero::Each) => self.zeros[row],
        };
        self.values[row * depth + k].wrapping_sub(zero)
    }

    /// As it lies in memory, with the row stride.
    fn stored(
        &self,
        arithmetic: Arithmetic,
        rows: usize,
        depth: usize,
        width: usize,
        side: Side,
    ) -> (Vec<u8>, i64) {
        let along = (self.factor.layout == Layout::Transposed) == (side == Side::B);
        let element = self.factor.element;
        let put = |value: i32| bytes(element, arithmetic, value);
        if self.factor.layout == Layout::Packed {
            let terms = arithmetic.terms() as usize;
            let mut out = Vec::new();
            for first in (0..rows).step_by(width) {
                for k in (0..depth).step_by(terms) {
                    for (row, k) in
                        (first..first + width).flat_map(|row| (k..k + terms).map(move |k| (row, k)))
                    {
                        let inside = row < rows && k < depth;
                        out.extend(put(if inside { self.values[row * depth + k] } else { 0 }));
                    }
                }
                for row in (first..first + width).filter(|_| arithmetic.sum_bytes(side) > 0) {
                    let sum: i32 =
                        self.values.iter().skip(row * depth).take(if row < rows { depth } else { 0 }).sum();
                    out.extend(sum.to_le_bytes());
                }
            }
            return (out, 0);
        }
        let size = element.bytes();
        if along {
            (self.values.iter().flat_map(|it| put(*it)).collect(), size * depth as i64)
        } else {
            let turned = (0..rows * depth).map(|i| self.values[i % rows * depth + i / rows]);
            (turned.flat_map(put).collect(), size * rows as i64)
        }
    }
}

fn check(isa: Isa, arithmetic: Arithmetic, a: Factor, b: Factor, c: Element, [m, n, k]: [usize; 3]) {
    let mut random = Random(7 + (m * n * k) as u64);
    let gemm = Gemm { arithmetic, a, b, c, ..Gemm::new(isa, a.layout, b.layout) };
    let a = Operand::new(&mut random, a, arithmetic, m, k);
    let b = Operand::new(&mut random, b, arithmetic, n, k);
    let tile = gemm.tile;
    let (a_bytes, lda) = a.stored(arithmetic, m, k, tile.rows as usize, Side::A);
    let columns = gemm.columns() as usize;
    let (b_bytes, ldb) = b.stored(arithmetic, n, k, columns, Side::B);
    let zeros = |it: &Operand| -> Vec<u8> {
        it.zeros.iter().flat_map(|zero| bytes(it.factor.element, arithmetic, *zero)).collect()
    };
    let (a_zeros, b_zeros) = (zeros(&a), zeros(&b));
    let size = c.bytes() as usize;
    let mut out = vec![0x55u8; m * n * size + 64];
    let room = gemm.workspace(m as i64, n as i64, k as i64).unwrap() as usize;
    let mut workspace = vec![0xABu8; room + 64];
    let mut args = vec![
        a_bytes.as_ptr() as i64,
        b_bytes.as_ptr() as i64,
        out.as_mut_ptr() as i64,
        m as i64,
        n as i64,
        k as i64,
        lda,
        ldb,
        (n * size) as i64,
        workspace.as_mut_ptr() as i64,
    ];
    args.extend(a.factor.zero.map(|_| a_zeros.as_ptr() as i64));
    args.extend(b.factor.zero.map(|_| b_zeros.as_ptr() as i64));
    assert_eq!(args.len(), gemm.params());
    let mut jit = Jit::new().unwrap();
    let id = gemm.emit(jit.module(), "gemm").unwrap_or_else(|e| panic!("{e}"));
    let code = jit.finish().unwrap();
    // SAFETY: buffers of the sizes that the function documents.
    unsafe { code.call(id, &args) };
    let what = format!("{isa:?} {arithmetic:?} {:?} {:?} {c:?} {m}x{n}x{k}", a.factor, b.factor);
    assert_eq!(out[m * n * size..], [0x55; 64], "{what}: wrote behind C");
    assert_eq!(workspace[room..], [0xAB; 64], "{what}: wrote behind the workspace");
    for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
        let found = &out[(i * n + j) * size..][..size];
        let terms = (0..k).map(|p| (a.at(i, p, k), b.at(j, p, k)));
        let expected = match arithmetic {
            Arithmetic::Float => {
                // Small multiples of a power of two: every order gives the same sum.
                let sum = terms.fold(0.0f32, |sum, (x, y)| sum + (x * y) as f32 / 256.0);
                match c {
                    F16 => f16::from_f32(sum).to_le_bytes().to_vec(),
                    Element::BF16 => bf16::from_f32(sum).to_le_bytes().to_vec(),
                    _ => sum.to_le_bytes().to_vec(),
                }
            }
            Arithmetic::Double => {
                let sum = terms.fold(0.0f64, |sum, (x, y)| sum + f64::from(x * y) / 256.0);
                sum.to_le_bytes().to_vec()
            }
            _ => {
                let sum = terms.fold(0i32, |sum, (x, y)| sum.wrapping_add(x.wrapping_mul(y)));
                sum.to_le_bytes()[..size].to_vec()
            }
        };
        assert_eq!(found, expected, "{what} at {i}, {j}");
    }
}

const SIZES: [[usize; 3]; 2] = [[15, 45, 37], [3, 7, 0]];

fn factor(layout: Layout, element: Element, zero: Option<Zero>) -> Factor {
    Factor { layout, element, zero, packing: Packing::NONE }
}

#[test]
fn floats_of_16_bits_are_computed_as_f32_and_rounded_once() {
    use Layout::*;
    for isa in Isa::available() {
        for (a, b, c) in [
            (F16, F16, F16),
            (Element::BF16, Element::BF16, Element::BF16),
            (Element::LANE, F16, Element::LANE),
        ] {
            for (first, second) in [
                (RowMajor, Packed),
                (RowMajor, RowMajor),
                (Transposed, Transposed),
                (Packed, RowMajor),
                (Direct, Direct),
                (Direct, Packed),
            ] {
                for size in SIZES {
                    check(isa, Arithmetic::Float, factor(first, a, None), factor(second, b, None), c, size);
                }
            }
        }
    }
}

#[test]
fn doubles() {
    use Layout::*;
    for isa in Isa::available() {
        for (a, b) in [(RowMajor, Packed), (Transposed, RowMajor), (Packed, Transposed), (Direct, Direct)] {
            for size in [[15, 45, 37], [3, 7, 0], [30, 41, 1031]] {
                check(isa, Arithmetic::Double, factor(a, F64, None), factor(b, F64, None), F64, size);
            }
        }
    }
}

#[test]
fn bytes_are_multiplied_in_pairs_exactly() {
    use Layout::*;
    let zeros = [None, Some(Zero::One), Some(Zero::Each)];
    for isa in Isa::available() {
        for (a, b) in [(U8, I8), (I8, U8)] {
            for (first, second) in
                [(RowMajor, Packed), (RowMajor, RowMajor), (Transposed, Transposed), (Packed, RowMajor)]
            {
                for zero in zeros {
                    // A constant panel of A has one zero point at most.
                    let own =
                        if first == Packed && zero == Some(Zero::Each) { Some(Zero::One) } else { zero };
                    for size in SIZES {
                        let (a, b) = (factor(first, a, own), factor(second, b, zero));
                        check(isa, Arithmetic::Pairs, a, b, Element::LANE, size);
                    }
                }
            }
        }
    }
}

#[test]
fn bytes_are_multiplied_as_they_are_exactly() {
    use Layout::*;
    let arithmetic = Arithmetic::Quads(Side::B);
    for isa in Isa::available().into_iter().filter(|it| *it == Isa::Clif128 || it.has_byte_dot()) {
        for element in [U8, I8] {
            for layout in [RowMajor, Transposed] {
                for zero in [None, Some(Zero::One)] {
                    for size in [[15, 45, 37], [3, 7, 0], [29, 33, 16], [2, 2, 1], [1, 5, 3], [30, 70, 5003]]
                    {
                        let (a, b) = (factor(layout, element, zero), factor(Packed, I8, None));
                        check(isa, arithmetic, a, b, Element::LANE, size);
                    }
                }
            }
        }
    }
}

#[test]
fn wider_integers_wrap() {
    use Layout::*;
    for isa in Isa::available() {
        for size in SIZES {
            let pairs = |first, second| {
                let (a, b) = (factor(first, I16, None), factor(second, I16, None));
                check(isa, Arithmetic::Pairs, a, b, Element::LANE, size);
            };
            pairs(RowMajor, Packed);
            pairs(Transposed, RowMajor);
            for (a, b) in [(Element::LANE, Element::LANE), (U16, I8), (I16, U16)] {
                for (first, second) in
                    [(RowMajor, RowMajor), (Direct, Packed), (Packed, Transposed), (Direct, Direct)]
                {
                    let zero = (first == RowMajor).then_some(Zero::Each);
                    let (a, b) = (factor(first, a, zero), factor(second, b, None));
                    check(isa, Arithmetic::Int, a, b, Element::LANE, size);
                }
            }
        }
    }
}

/// More steps than one block of the depth, and more rows and columns than one block of each.
#[test]
fn several_blocks() {
    for isa in Isa::available() {
        let a = factor(Layout::RowMajor, U8, Some(Zero::One));
        for b in [Layout::Packed, Layout::RowMajor] {
            let b = factor(b, I8, Some(Zero::Each));
            check(isa, Arithmetic::Pairs, a, b, Element::LANE, [30, 70, 2061]);
        }
        let (a, b) = (factor(Layout::Packed, F16, None), factor(Layout::RowMajor, F16, None));
        check(isa, Arithmetic::Float, a, b, Element::LANE, [30, 40, 1031]);
        check(isa, Arithmetic::Float, a, b, F16, [30, 40, 1031]);
    }
}
