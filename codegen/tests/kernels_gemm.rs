//! Matrix multiplication in every layout against three nested loops.
#![allow(unsafe_code, reason = "calling generated code")]

mod common;

use common::Random;
use orogen_codegen::jit_memory::Jit;
use orogen_codegen::kernels::epilogue::{Operand, Step};
use orogen_codegen::kernels::gemm::{Gemm, Layout};
use orogen_codegen::vector::{BinaryOp, Isa};

/// Multiples of 1/16, so that all sums are exact.
fn matrix(random: &mut Random, n: usize) -> Vec<f32> {
    (0..n).map(|_| (random.below(33) as f32 - 16.0) / 16.0).collect()
}

fn transpose(x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..rows * columns).map(|i| x[i % rows * columns + i / rows]).collect()
}

/// `[⌈rows / width⌉][columns][width]` of a row-major matrix, padded with zeros.
fn panels(x: &[f32], rows: usize, columns: usize, width: usize) -> Vec<f32> {
    let mut out = vec![0.0; rows.div_ceil(width) * width * columns];
    for r in 0..rows {
        for c in 0..columns {
            out[r / width * width * columns + c * width + r % width] = x[r * columns + c];
        }
    }
    out
}

/// Elements behind a workspace that must stay.
const BEHIND: usize = 8192;

struct Case {
    m: usize,
    n: usize,
    k: usize,
    known: bool,
    epilogue: Vec<Step>,
}

fn check(isa: Isa, a_layout: Layout, b_layout: Layout, case: &Case) {
    check_within(isa, a_layout, b_layout, case, [case.m, case.n, case.k]);
}

/// With a workspace for these extents.
fn check_within(isa: Isa, a_layout: Layout, b_layout: Layout, case: &Case, room: [usize; 3]) {
    let Case { m, n, k, .. } = *case;
    let mut random = Random(42);
    let (a, b) = (matrix(&mut random, m * k), matrix(&mut random, k * n));
    let (row, column) = (matrix(&mut random, m), matrix(&mut random, n));
    let full = matrix(&mut random, m * n);
    let gemm = Gemm {
        m: case.known.then_some(m as i64),
        epilogue: case.epilogue.clone(),
        ..Gemm::new(isa, a_layout, b_layout)
    };

    let mut expected = vec![0.0f32; m * n];
    for i in 0..m {
        for j in 0..n {
            let mut value: f32 = (0..k).map(|p| a[i * k + p] * b[p * n + j]).sum();
            for step in &case.epilogue {
                value = match step {
                    Step::Combine(op, term) => {
                        let x = match term.operands[0].0 {
                            Operand::Scalar => unreachable!("none in these cases"),
                            Operand::Row => row[i],
                            Operand::Column => column[j],
                            Operand::Full => full[i * n + j],
                        };
                        if *op == BinaryOp::Mul { value * x } else { value + x }
                    }
                    Step::Map(_) => value.max(0.0),
                };
            }
            expected[i * n + j] = value;
        }
    }

    let tile = gemm.tile;
    let stored_a = match a_layout {
        Layout::Packed => panels(&a, m, k, tile.rows as usize),
        Layout::Transposed => transpose(&a, m, k),
        _ => a,
    };
    let stored_b = match b_layout {
        Layout::Packed => panels(&transpose(&b, k, n), n, k, tile.columns(isa) as usize),
        Layout::Transposed => transpose(&b, k, n),
        _ => b,
    };
    let stride = |layout, row_major: usize, transposed: usize| {
        4 * if layout == Layout::Transposed { transposed } else { row_major } as i64
    };
    let [room_m, room_n, room_k] = room.map(|it| it as i64);
    let bytes = gemm.workspace(room_m, room_n, room_k).unwrap() as usize;
    let mut workspace = vec![f32::NAN; bytes / 4 + BEHIND];
    workspace[bytes / 4..].fill(5.0);
    let mut c = vec![9.0f32; m * n + 32];
    let mut args = vec![
        stored_a.as_ptr() as i64,
        stored_b.as_ptr() as i64,
        c.as_mut_ptr() as i64,
        m as i64,
        n as i64,
        k as i64,
        stride(a_layout, k, m),
        stride(b_layout, n, k),
        4 * n as i64,
        workspace.as_mut_ptr() as i64,
    ];
    for step in &case.epilogue {
        let Step::Combine(_, term) = step else { continue };
        match term.operands[0].0 {
            Operand::Scalar => unreachable!("none in these cases"),
            Operand::Row => args.push(row.as_ptr() as i64),
            Operand::Column => args.push(column.as_ptr() as i64),
            Operand::Full => args.extend([full.as_ptr() as i64, 4 * n as i64]),
        }
    }
    assert_eq!(args.len(), gemm.params());
    let mut jit = Jit::new().unwrap();
    let id = gemm.emit(jit.module(), "gemm").unwrap_or_else(|e| panic!("{e}"));
    let code = jit.finish().unwrap();
    // SAFETY: buffers of the sizes that the function documents.
    unsafe { code.call(id, &args) };
    let what = format!("{isa:?} {a_layout:?} {b_layout:?} {m}x{n}x{k}");
    assert_eq!(c[m * n..], [9.0; 32], "{what}: wrote behind C");
    assert_eq!(workspace[bytes / 4..], [5.0; BEHIND], "{what}: wrote behind the workspace");
    for (at, (found, expected)) in c.iter().zip(&expected).enumerate() {
        assert!((found - expected).abs() <= 1e-6 * expected.abs(), "{what} at {at}: {found}, not {expected}");
    }
}

/// A strip of fewer steps has more columns, so that it may be the larger one.
#[test]
fn a_workspace_holds_smaller_extents() {
    for isa in Isa::available() {
        for (n, k, room) in [(320, 204, 224), (1024, 186, 224), (704, 90, 96)] {
            let case = Case { m: 24, n, k, known: false, epilogue: Vec::new() };
            check_within(isa, Layout::Direct, Layout::RowMajor, &case, [64, n, room]);
        }
        let gemm = Gemm::new(isa, Layout::RowMajor, Layout::RowMajor);
        let bytes = |m, n, k| gemm.workspace(m, n, k).unwrap();
        for n in [1, 48, 320, 704, 1024] {
            let all: Vec<i64> = (1..400).map(|k| bytes(24, n, k)).collect();
            assert!(all.is_sorted(), "{isa:?} {n}: {all:?}");
        }
    }
}

const ALL: [Layout; 4] = [Layout::RowMajor, Layout::Transposed, Layout::Packed, Layout::Direct];

#[test]
fn every_pair_of_layouts() {
    let case = Case { m: 33, n: 45, k: 37, known: false, epilogue: Vec::new() };
    for isa in Isa::available() {
        for a in ALL {
            for b in ALL {
                check(isa, a, b, &case);
            }
        }
    }
}

#[test]
fn sizes_around_the_tile_and_the_blocks() {
    for isa in Isa::available() {
        for (m, n, k) in
            [(1, 1, 1), (0, 3, 3), (3, 0, 3), (5, 7, 0), (1, 100, 513), (200, 1, 3), (28, 64, 1025)]
        {
            for known in [false, true] {
                let case = Case { m, n, k, known, epilogue: Vec::new() };
                check(isa, Layout::RowMajor, Layout::RowMajor, &case);
                check(isa, Layout::Packed, Layout::Direct, &case);
            }
        }
        for m in 1..=14 {
            let case = Case { m, n: 37, k: 9, known: true, epilogue: Vec::new() };
            check(isa, Layout::Direct, Layout::Packed, &case);
        }
    }
}

#[test]
fn columns_in_strips() {
    let epilogue = vec![Step::add(Operand::Column), Step::add(Operand::Full)];
    for isa in Isa::available() {
        // Several strips, the last one ragged; a strip of one panel; more rows than a block has.
        for (m, n, k) in [(5, 200, 900), (15, 70, 3000), (340, 150, 600)] {
            for known in [false, true] {
                let case = Case { m, n, k, known, epilogue: epilogue.clone() };
                check(isa, Layout::RowMajor, Layout::Transposed, &case);
                check(isa, Layout::RowMajor, Layout::RowMajor, &case);
            }
        }
    }
}

#[test]
fn epilogues_light_and_heavy() {
    let light = vec![Step::add(Operand::Row), Step::relu()];
    let full = vec![
        Step::add(Operand::Column),
        Step::combine(BinaryOp::Mul, Operand::Row),
        Step::add(Operand::Full),
        Step::relu(),
        Step::relu(),
        Step::relu(),
        Step::relu(),
    ];
    for isa in Isa::available() {
        for epilogue in [&light, &full] {
            for (m, n, k) in [(29, 70, 5), (2, 3, 600)] {
                let case = Case { m, n, k, known: false, epilogue: epilogue.clone() };
                check(isa, Layout::RowMajor, Layout::Packed, &case);
                check(isa, Layout::Direct, Layout::Direct, &case);
            }
        }
    }
}
