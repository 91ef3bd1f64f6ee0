//! Tensor programs through the code generator, against the reference.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod harness;

use harness::{Random, check_inputs, check_sizes};
use orogen_ir::diag::Diagnostic;
use orogen_ir::loops::{BinaryOp, Combine, CompareOp, Index, ProgramBuilder, TensorProgram, UnaryOp};
use orogen_ir::types::{DType, TensorData};

type Built = Result<TensorProgram, Diagnostic>;

fn floats() -> impl Iterator<Item = DType> {
    DType::computed().filter(|it| it.is_float())
}

fn ints() -> impl Iterator<Item = DType> {
    DType::computed().filter(|it| it.is_int())
}

fn matmul(dtype: DType) -> Built {
    let mut b = ProgramBuilder::new("matmul");
    let (n, k, m) = (b.size("n"), b.size("k"), b.size("m"));
    let x = b.input("x", dtype, &[n, k]);
    let w = b.input("w", dtype, &[k, m]);
    let y = b.output("y", dtype, &[n, m]);
    let (i, j, l) = (b.axis("i", n), b.axis("j", m), b.axis("l", k));
    let (vi, vj, vl) = (b.var(i), b.var(j), b.var(l));
    let (a, c) = (b.load(x, [vi, vl])?, b.load(w, [vl, vj])?);
    let product = b.binary(BinaryOp::Mul, a, c)?;
    b.reduce_stage(&[i, j], &[l], Combine::Sum, y, [vi, vj], product)?;
    Ok(b.into_program())
}

#[test]
fn matrix_products_of_all_types_and_sizes() {
    for dtype in [DType::F32, DType::F64, DType::I32, DType::I64, DType::U8] {
        let program = matmul(dtype).unwrap();
        for sizes in [[3, 4, 5], [1, 1, 1], [2, 0, 3], [0, 2, 3], [17, 33, 9]] {
            check_sizes(&program, &sizes, 1);
        }
    }
}

/// Softmax over the last axis: four stages with row locals.
fn softmax(dtype: DType) -> Built {
    let mut b = ProgramBuilder::new("softmax");
    let (n, c) = (b.size("n"), b.size("c"));
    let x = b.input("x", dtype, &[n, c]);
    let y = b.output("y", dtype, &[n, c]);
    let (high, power, sum) =
        (b.local("high", dtype, &[n]), b.local("power", dtype, &[n, c]), b.local("sum", dtype, &[n]));
    let (i, j) = (b.axis("i", n), b.axis("j", c));
    let (vi, vj) = (b.var(i), b.var(j));
    let value = b.load(x, [vi, vj])?;
    b.reduce_stage(&[i], &[j], Combine::Max, high, [vi], value)?;
    b.fill(power, |b, at| {
        let (value, high) = (b.load(x, [at[0], at[1]])?, b.load(high, [at[0]])?);
        let less = b.binary(BinaryOp::Sub, value, high)?;
        b.unary(UnaryOp::Exp, less)
    })?;
    let (i, j) = (b.axis("i", n), b.axis("j", c));
    let (vi, vj) = (b.var(i), b.var(j));
    let value = b.load(power, [vi, vj])?;
    b.reduce_stage(&[i], &[j], Combine::Sum, sum, [vi], value)?;
    b.fill(y, |b, at| {
        let (value, sum) = (b.load(power, [at[0], at[1]])?, b.load(sum, [at[0]])?);
        b.binary(BinaryOp::Div, value, sum)
    })?;
    Ok(b.into_program())
}

#[test]
fn rows_with_locals() {
    for dtype in floats() {
        for sizes in [[3, 7], [1, 1], [0, 4], [5, 64], [3, 0]] {
            check_sizes(&softmax(dtype).unwrap(), &sizes, 2);
        }
    }
}

fn unary(op: UnaryOp, dtype: DType) -> Built {
    let mut b = ProgramBuilder::new(format!("{op:?}_{dtype}"));
    let n = b.size("n");
    let x = b.input("x", dtype, &[n]);
    let y = b.output("y", op.result(dtype), &[n]);
    b.fill(y, |b, at| {
        let x = b.load(x, [at[0]])?;
        b.unary(op, x)
    })?;
    Ok(b.into_program())
}

fn special_values(dtype: DType) -> Vec<f64> {
    let mut values = vec![
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        -0.5,
        1.5,
        2.5,
        -2.5,
        0.25,
        3.0,
        -3.0,
        10.0,
        -10.0,
        20.0,
        -20.0,
        88.0,
        -88.0,
        89.5,
        -104.0,
        1e-3,
        -1e-3,
        1e-7,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        0.999,
        -0.999,
        1e4,
        -1e4,
        6.5,
        700.0,
    ];
    if dtype == DType::F64 {
        values.extend([1e-300, -1e-310, 709.7, 710.2, -745.0, 1e-17]);
    }
    let mut random = Random(7);
    values.extend((0..200).map(|_| 6.0 * random.float()));
    values
}

#[test]
fn float_functions_of_all_types() {
    for dtype in floats() {
        let values = special_values(dtype);
        let x = TensorData::from_f64(dtype, &[values.len() as u64], values.clone());
        for op in UnaryOp::ALL.iter().filter(|it| it.admits(dtype)) {
            check_inputs(&unary(*op, dtype).unwrap(), &[values.len() as i64], std::slice::from_ref(&x));
        }
    }
}

#[test]
fn integer_functions_of_all_types() {
    for dtype in ints() {
        let mut values = vec![0.0, 1.0, 2.0, 127.0];
        if dtype.is_signed_int() {
            values.extend([-1.0, -128.0, -5.0]);
        }
        let x = TensorData::from_f64(dtype, &[values.len() as u64], values.clone());
        for op in UnaryOp::ALL.iter().filter(|it| it.admits(dtype)) {
            check_inputs(&unary(*op, dtype).unwrap(), &[values.len() as i64], std::slice::from_ref(&x));
        }
    }
}

fn binary(op: BinaryOp, dtype: DType) -> Built {
    let mut b = ProgramBuilder::new(format!("{op:?}_{dtype}"));
    let n = b.size("n");
    let x = b.input("x", dtype, &[n]);
    let z = b.input("z", dtype, &[n]);
    let y = b.output("y", dtype, &[n, n]);
    b.fill(y, |b, at| {
        let (x, z) = (b.load(x, [at[0]])?, b.load(z, [at[1]])?);
        b.binary(op, x, z)
    })?;
    Ok(b.into_program())
}

#[test]
fn operations_of_two_operands() {
    use BinaryOp::{Add, And, Div, Fmod, Max, Min, Mod, Mul, Or, Pow, Shl, Shr, Sub, Xor};
    for dtype in floats() {
        let mut values = vec![
            0.0,
            -0.0,
            1.0,
            -1.0,
            2.0,
            -2.0,
            0.5,
            -0.5,
            3.0,
            -3.0,
            7.5,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            100.0,
            -0.3,
        ];
        if dtype == DType::F64 {
            values.extend([1e300, 1e-310, 1e17]);
        }
        let x = TensorData::from_f64(dtype, &[values.len() as u64], values.clone());
        for op in [Add, Sub, Mul, Div, Mod, Fmod, Pow, Max, Min] {
            check_inputs(&binary(op, dtype).unwrap(), &[values.len() as i64], &[x.clone(), x.clone()]);
        }
    }
    for dtype in ints() {
        let mut values: Vec<i64> = vec![0, 1, 2, 3, 7, 100, 127];
        if dtype.is_signed_int() {
            values.extend([-1, -2, -7, i64::MIN >> (64 - 8 * dtype.size())]);
        }
        let bytes: Vec<u8> = values.iter().flat_map(|it| it.to_le_bytes()[..dtype.size()].to_vec()).collect();
        let x = TensorData::from_unpacked(dtype, vec![values.len() as u64], bytes.into()).unwrap();
        for op in [Add, Sub, Mul, Div, Mod, Fmod, Pow, Max, Min, And, Or, Xor, Shl, Shr] {
            check_inputs(&binary(op, dtype).unwrap(), &[values.len() as i64], &[x.clone(), x.clone()]);
        }
    }
}

#[test]
fn comparisons_selections_and_casts() {
    let ops = [CompareOp::Eq, CompareOp::Ne, CompareOp::Lt, CompareOp::Le, CompareOp::Gt, CompareOp::Ge];
    let numbers: Vec<DType> = DType::ALL.into_iter().filter(|it| !it.is_only_moved()).collect();
    for dtype in numbers.iter().copied() {
        for op in ops {
            let mut b = ProgramBuilder::new(format!("{op:?}_{dtype}"));
            let n = b.size("n");
            let (x, z) = (b.input("x", dtype, &[n]), b.input("z", dtype, &[n]));
            let (y, c) = (b.output("y", dtype, &[n]), b.output("c", DType::Bool, &[n]));
            b.fill(y, |b, at| {
                let (x, z) = (b.load(x, [at[0]])?, b.load(z, [at[0]])?);
                let holds = b.compare(op, x, z)?;
                b.select(holds, x, z)
            })
            .unwrap();
            b.fill(c, |b, at| {
                let (x, z) = (b.load(x, [at[0]])?, b.load(z, [at[0]])?);
                b.compare(op, x, z)
            })
            .unwrap();
            check_sizes(&b.into_program(), &[50], 3);
        }
        for to in numbers.iter().copied() {
            let mut b = ProgramBuilder::new(format!("{dtype}_to_{to}"));
            let n = b.size("n");
            let x = b.input("x", dtype, &[n]);
            let y = b.output("y", to, &[n]);
            b.fill(y, |b, at| {
                let x = b.load(x, [at[0]])?;
                Ok(b.cast(to, x))
            })
            .unwrap();
            let program = b.into_program();
            let values: Vec<f64> = (0..40).map(|i| f64::from(i) * 0.75).collect();
            check_inputs(&program, &[40], &[TensorData::from_f64(dtype, &[40], values)]);
        }
    }
}

#[test]
fn reductions_of_all_types() {
    for combine in [Combine::Sum, Combine::Product, Combine::Max, Combine::Min] {
        for dtype in DType::ALL.into_iter().filter(|it| !it.is_only_moved()) {
            let mut b = ProgramBuilder::new(format!("{combine:?}_{dtype}"));
            let (n, c, d) = (b.size("n"), b.size("c"), b.size("d"));
            let x = b.input("x", dtype, &[n, c, d]);
            let y = b.output("y", dtype, &[c]);
            let (i, j, k) = (b.axis("i", c), b.axis("j", n), b.axis("k", d));
            let (vi, vj, vk) = (b.var(i), b.var(j), b.var(k));
            let value = b.load(x, [vj, vi, vk]).unwrap();
            b.reduce_stage(&[i], &[j, k], combine, y, [vi], value).unwrap();
            let program = b.into_program();
            for sizes in [[2, 3, 2], [1, 1, 1], [2, 3, 0]] {
                check_sizes(&program, &sizes, 4);
            }
        }
    }
}

#[test]
fn padding_gather_scatter_and_recurrences() {
    // y[i, j] = x[indices[i], j − 1], 9 outside, plus j / 3.
    let mut b = ProgramBuilder::new("gather");
    let (n, m, r) = (b.size("n"), b.size("m"), b.size("r"));
    let x = b.input("x", DType::F32, &[r, m]);
    let indices = b.input("indices", DType::I64, &[n]);
    let y = b.output("y", DType::F32, &[n, m]);
    b.fill(y, |b, at| {
        let index = b.load(indices, [at[0]])?;
        let before = b.shapes().add_int(at[1], -1).unwrap();
        let nine = b.float(9.0, DType::F32)?;
        let value = b.load_or(x, [Index::Value(index), Index::Dim(before)], nine)?;
        let third = b.shapes().floor_div(at[1], 3).unwrap();
        let third = b.dim(third, DType::I32)?;
        let third = b.cast(DType::F32, third);
        b.binary(BinaryOp::Add, value, third)
    })
    .unwrap();
    let program = b.into_program();
    let data =
        [Random(5).tensor(DType::F32, &[4, 5]), TensorData::ints(&[3, 0, -1, 4, 2, i64::MIN, i64::MAX])];
    check_inputs(&program, &[7, 5, 4], &data);

    // y = x; for each step t: y[i] = y[i] · 2 + t
    let mut b = ProgramBuilder::new("recurrence");
    let (n, t) = (b.size("n"), b.size("t"));
    let x = b.input("x", DType::F64, &[n]);
    let y = b.output("y", DType::F64, &[n]);
    b.fill(y, |b, at| b.load(x, [at[0]])).unwrap();
    let step = b.axis("t", t);
    let now = b.var(step);
    b.for_loop(step, |b| {
        b.fill(y, |b, at| {
            let (value, two) = (b.load(y, [at[0]])?, b.float(2.0, DType::F64)?);
            let double = b.binary(BinaryOp::Mul, value, two)?;
            let now = b.dim(now, DType::I64)?;
            let now = b.cast(DType::F64, now);
            b.binary(BinaryOp::Add, double, now)
        })
    })
    .unwrap();
    let program = b.into_program();
    for sizes in [[4, 3], [4, 0], [0, 3]] {
        check_sizes(&program, &sizes, 6);
    }

    // y = 0; y[indices[i]] = x[i]
    let mut b = ProgramBuilder::new("scatter");
    let (n, r) = (b.size("n"), b.size("r"));
    let x = b.input("x", DType::I16, &[n]);
    let indices = b.input("indices", DType::I32, &[n]);
    let y = b.output("y", DType::I16, &[r]);
    b.fill(y, |b, _| b.int(0, DType::I16)).unwrap();
    let i = b.axis("i", n);
    let vi = b.var(i);
    let (index, value) = (b.load(indices, [vi]).unwrap(), b.load(x, [vi]).unwrap());
    b.stage(&[i], y, [Index::Checked(index)], value).unwrap();
    let program = b.into_program();
    let inputs = [
        TensorData::from_slice(DType::I16, &[3], &[5i16, -6, 7]),
        TensorData::from_slice(DType::I32, &[3], &[4i32, 0, 2]),
    ];
    check_inputs(&program, &[3, 5], &inputs);
}

/// `x[i + 1] < y[i]`: one of the operands of a comparison is not aligned, whatever the other is.
#[test]
fn comparisons_read_memory_at_any_element() {
    for dtype in [DType::F32, DType::F64] {
        let mut b = ProgramBuilder::new("shifted");
        let n = b.size("n");
        let longer = b.shapes().add_int(n, 1).unwrap();
        let (x, y) = (b.input("x", dtype, &[longer]), b.input("y", dtype, &[n]));
        let z = b.output("z", dtype, &[n]);
        b.fill(z, |b, at| {
            let next = b.shapes().add_int(at[0], 1).unwrap();
            let (left, right) = (b.load(x, [next])?, b.load(y, [at[0]])?);
            let less = b.compare(CompareOp::Lt, left, right)?;
            let (one, two) = (b.float(1.0, dtype)?, b.float(2.0, dtype)?);
            b.select(less, one, two)
        })
        .unwrap();
        let program = b.into_program();
        for n in [1, 4, 5, 17, 64] {
            check_sizes(&program, &[n], 9);
        }
    }
}
