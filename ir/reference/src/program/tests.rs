use super::*;
use crate::error::EvalErrorKind;
use orogen_ir::diag::Diagnostic;
use orogen_ir::loops::{BinaryOp, CompareOp, ProgramBuilder, UnaryOp};

fn f32s(dims: &[u64], values: &[f32]) -> TensorData {
    TensorData::from_slice(DType::F32, dims, values)
}

fn matmul() -> Result<TensorProgram, Diagnostic> {
    let mut b = ProgramBuilder::new("matmul");
    let (n, k, m) = (b.size("n"), b.size("k"), b.size("m"));
    let x = b.input("x", DType::F32, &[n, k]);
    let w = b.input("w", DType::F32, &[k, m]);
    let y = b.output("y", DType::F32, &[n, m]);
    let (i, j, l) = (b.axis("i", n), b.axis("j", m), b.axis("l", k));
    let (vi, vj, vl) = (b.var(i), b.var(j), b.var(l));
    let (a, c) = (b.load(x, [vi, vl])?, b.load(w, [vl, vj])?);
    let product = b.binary(BinaryOp::Mul, a, c)?;
    b.reduce_stage(&[i, j], &[l], Combine::Sum, y, [vi, vj], product)?;
    Ok(b.into_program())
}

#[test]
fn matmul_by_hand() {
    let p = matmul().unwrap();
    let x = f32s(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let w = f32s(&[3, 1], &[1.0, 0.5, -1.0]);
    let y = eval_program(&p, &[2, 3, 1], &[x, w]).unwrap();
    assert_eq!(y, [f32s(&[2, 1], &[-1.0, 0.5])]);
}

#[test]
fn empty_reductions_give_the_identity_and_empty_outputs_are_fine() {
    let p = matmul().unwrap();
    let y = eval_program(&p, &[2, 0, 1], &[f32s(&[2, 0], &[]), f32s(&[0, 1], &[])]).unwrap();
    assert_eq!(y, [f32s(&[2, 1], &[0.0, 0.0])]);
    let y = eval_program(&p, &[0, 3, 1], &[f32s(&[0, 3], &[]), f32s(&[3, 1], &[0.0; 3])]).unwrap();
    assert_eq!(y, [f32s(&[0, 1], &[])]);
}

#[test]
fn wrong_arguments_are_errors() {
    let p = matmul().unwrap();
    let x = f32s(&[1, 1], &[1.0]);
    assert!(eval_program(&p, &[1, 1, 1], std::slice::from_ref(&x)).is_err());
    assert!(eval_program(&p, &[1, 1], &[x.clone(), x.clone()]).is_err());
    assert!(eval_program(&p, &[1, 1, -1], &[x.clone(), x.clone()]).is_err());
    assert!(eval_program(&p, &[1, 1, 2], &[x.clone(), x.clone()]).is_err());
    assert!(eval_program(&p, &[1, 1, 1], &[x.clone(), x.clone(), x]).is_err());
}

/// y[i] = x[i - 1], with or without a guard.
fn shift(guarded: bool) -> Result<TensorProgram, Diagnostic> {
    let mut b = ProgramBuilder::new("shift");
    let n = b.size("n");
    let x = b.input("x", DType::I8, &[n]);
    let y = b.output("y", DType::I8, &[n]);
    b.fill(y, |b, at| {
        let before = b.shapes().add_int(at[0], -1).unwrap();
        let padding = b.int(-7, DType::I8)?;
        if guarded { b.load_or(x, [before], padding) } else { b.load(x, [before]) }
    })?;
    Ok(b.into_program())
}

#[test]
fn loads_out_of_range_are_errors_unless_guarded() {
    let x = TensorData::from_slice(DType::I8, &[3], &[1_i8, 2, 3]);
    let y = eval_program(&shift(true).unwrap(), &[3], std::slice::from_ref(&x)).unwrap();
    assert_eq!(y[0].to_i64(), [-7, 1, 2]);
    let error = eval_program(&shift(false).unwrap(), &[3], &[x]).unwrap_err();
    assert_eq!(error.kind, EvalErrorKind::OutOfRange);
}

#[test]
fn unwritten_outputs_and_locals_are_errors() {
    let build = |whole: bool| -> Result<TensorProgram, Diagnostic> {
        let mut b = ProgramBuilder::new("part");
        let n = b.size("n");
        let y = b.output("y", DType::F32, &[n]);
        let count = if whole { n } else { b.shapes().add_int(n, -1).unwrap() };
        let i = b.axis("i", count);
        let at = b.var(i);
        let value = b.float(1.0, DType::F32)?;
        b.stage(&[i], y, [at], value)?;
        Ok(b.into_program())
    };
    assert!(eval_program(&build(true).unwrap(), &[4], &[]).is_ok());
    let error = eval_program(&build(false).unwrap(), &[4], &[]).unwrap_err();
    assert_eq!(error.kind, EvalErrorKind::Uninitialised);
}

#[test]
fn softmax_through_locals() {
    let softmax = || -> Result<TensorProgram, Diagnostic> {
        let mut b = ProgramBuilder::new("softmax");
        let (n, c) = (b.size("n"), b.size("c"));
        let x = b.input("x", DType::F64, &[n, c]);
        let y = b.output("y", DType::F64, &[n, c]);
        let (max, sum) = (b.local("max", DType::F64, &[n]), b.local("sum", DType::F64, &[n]));
        for (buffer, combine) in [(max, Combine::Max), (sum, Combine::Sum)] {
            let (i, j) = (b.axis("i", n), b.axis("j", c));
            let (vi, vj) = (b.var(i), b.var(j));
            let mut value = b.load(x, [vi, vj])?;
            if combine == Combine::Sum {
                let top = b.load(max, [vi])?;
                let difference = b.binary(BinaryOp::Sub, value, top)?;
                value = b.unary(UnaryOp::Exp, difference)?;
            }
            b.reduce_stage(&[i], &[j], combine, buffer, [vi], value)?;
        }
        b.fill(y, |b, at| {
            let (value, top, total) = (b.load(x, at.to_vec())?, b.load(max, [at[0]])?, b.load(sum, [at[0]])?);
            let difference = b.binary(BinaryOp::Sub, value, top)?;
            let power = b.unary(UnaryOp::Exp, difference)?;
            b.binary(BinaryOp::Div, power, total)
        })?;
        Ok(b.into_program())
    };
    let x = TensorData::from_slice(DType::F64, &[1, 2], &[0.0_f64, 3.0_f64.ln()]);
    let y = eval_program(&softmax().unwrap(), &[1, 2], &[x]).unwrap()[0].to_f64();
    assert!((y[0] - 0.25).abs() < 1e-15 && (y[1] - 0.75).abs() < 1e-15);
}

#[test]
fn loops_run_in_order_and_data_can_index() {
    // Scatter-add: y = 0; for t: y[at[t]] = y[at[t]] + 1.
    let scatter = || -> Result<TensorProgram, Diagnostic> {
        let mut b = ProgramBuilder::new("count");
        let (n, m) = (b.size("n"), b.size("m"));
        let at = b.input("at", DType::I64, &[n]);
        let y = b.output("y", DType::I32, &[m]);
        b.fill(y, |b, _| b.int(0, DType::I32))?;
        let t = b.axis("t", n);
        b.for_loop(t, |b| {
            let step = b.var(t);
            let place = b.load(at, [step])?;
            let (old, one) = (b.load(y, [place])?, b.int(1, DType::I32)?);
            let sum = b.binary(BinaryOp::Add, old, one)?;
            b.stage(&[], y, [place], sum)
        })?;
        Ok(b.into_program())
    };
    let p = scatter().unwrap();
    let y = eval_program(&p, &[4, 3], &[TensorData::ints(&[2, 0, 2, 2])]).unwrap();
    assert_eq!(y[0].to_i64(), [1, 0, 3]);
    let error = eval_program(&p, &[1, 3], &[TensorData::ints(&[3])]).unwrap_err();
    assert_eq!(error.kind, EvalErrorKind::OutOfRange);
}

#[test]
fn nan_infinity_and_casts() {
    let program = || -> Result<TensorProgram, Diagnostic> {
        let mut b = ProgramBuilder::new("clean");
        let n = b.size("n");
        let x = b.input("x", DType::F32, &[n]);
        let y = b.output("y", DType::U8, &[n]);
        b.fill(y, |b, at| {
            let value = b.load(x, at.to_vec())?;
            let limit = b.float(300.0, DType::F32)?;
            let (nan, big) = (b.unary(UnaryOp::IsNan, value)?, b.compare(CompareOp::Gt, value, limit)?);
            let bad = b.binary(BinaryOp::Or, nan, big)?;
            let cast = b.cast(DType::U8, value);
            let other = b.int(9, DType::U8)?;
            b.select(bad, other, cast)
        })?;
        Ok(b.into_program())
    };
    let x = f32s(&[4], &[f32::NAN, f32::INFINITY, 3.9, 255.0]);
    let y = eval_program(&program().unwrap(), &[4], &[x]).unwrap();
    assert_eq!(y[0].to_i64(), [9, 9, 3, 255]);
}
