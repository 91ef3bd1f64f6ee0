use super::verify;
use crate::diag::{Diagnostics, Place};
use crate::loops::{BinaryOp, Combine, Expr, Index, ProgramBuilder, TensorProgram, UnaryOp, parse_program};
use crate::types::DType;

/// Reads a program and asserts the codes and lines of its violations.
fn check(text: &str, wanted: &[(&str, u32)]) {
    let program = parse_program(text).unwrap_or_else(|it| panic!("{it}"));
    let found = verify(&program).err().unwrap_or_default();
    assert_eq!(codes(&found), wanted, "{found}");
}

fn codes(found: &Diagnostics) -> Vec<(&'static str, u32)> {
    found
        .iter()
        .map(|it| match it.place {
            Some(Place::Text { line, .. }) => (it.code, line),
            _ => (it.code, 0),
        })
        .collect()
}

fn code_of(program: &TensorProgram) -> &'static str {
    verify(program).expect_err("a law is broken").0[0].code
}

#[test]
fn good_programs_pass() {
    check(
        "kernel @ok {
  size n
  in %x: f32[n]
  in %at: i32[n]
  out %y: f32[n]
  out %s: f32[]
  local %h: f32[n]
  for i < n { %h[i] = %x[{%at[i]}] }
  for j < n { %y[j] = %h[j] * %x[n - 1 - j] }
  %s[] = sum k < n { %h[k] }
  loop t < n {
    for m < n { %h[m] = %h[m] + %x[t] }
    %y[{%at[t]}] = %h[t]
  }
}",
        &[],
    );
}

#[test]
fn l1_scope() {
    check(
        "kernel @p {
  size n
  in %x: f32[n]
  out %y: f32[n]
  for i < n { %y[i] = %x[i] }
  for j < n { %y[i] = %x[j] + %x[i] }
  for k < n, l < k { %y[k] = %x[l] }
}",
        &[("L001", 6), ("L001", 6), ("L006", 6), ("L001", 7), ("L006", 7)],
    );
    // A reduction axis is not in scope where the result goes.
    let text = "kernel @p {\n  size n\n  in %x: f32[n]\n  out %y: f32[n]\n  %y[0] = sum i < n { %x[i] }\n}\n";
    let mut program = parse_program(text).unwrap();
    let i = program.shapes.find_sym("i").unwrap();
    let i = program.shapes.sym_dim(i);
    let crate::loops::Stmt::Stage(stage) = &mut program.body[0] else { panic!("a stage") };
    stage.at[0] = Index::Dim(i);
    assert_eq!(code_of(&program), "L001");
}

#[test]
fn l2_l3_l4_and_l5() {
    check(
        "kernel @p {
  size n
  in %x: f32[n]
  in %b: bool[n]
  out %y: f32[n]
  out %unused: f32[n]
  local %h: f32[n]
  for i < n { %x[i] = %h[i, i] }
  for j < n { %y[j] = %b[j] + %b[j] }
  for k < n { %y[k] = select(%x[k], f32(1.0), i8(1)) }
  for l < n { %y[l] = cast<f32>(sum_of(%x[l])) }
}"
        .replace("cast<f32>(sum_of(%x[l]))", "bit_not(%x[l])")
        .as_str(),
        &[
            ("L002", 8),
            ("L004", 8),
            ("L003", 8),
            ("L005", 9),
            ("L005", 9),
            ("L005", 10),
            ("L005", 10),
            ("L005", 11),
            ("L003", 6),
        ],
    );
    check(
        "kernel @p {
  size n
  in %b: bool[n]
  out %y: bool[]
  %y[] = sum i < n { %b[i] }
}",
        &[("L005", 5)],
    );
}

#[test]
fn l6_iterations_are_independent() {
    check(
        "kernel @p {
  size n
  in %x: f32[n]
  out %y: f32[n]
  for i < n { %y[i] = %x[i] }
  for j < n { %y[j] = %y[j] + f32(1.0) }
  for k < n { %y[k] = %y[n - 1 - k] }
  for l < n { %y[0] = %x[l] }
  for m < 1 { %y[0] = %y[1] }
  loop t < n { %y[t] = %y[t + 1 | f32(0.0)] }
  out %z: f32[n, n]
  loop u < n { for o < n { %z[u, o] = %z[u - 1, o | f32(0.0)] + %z[u - 1, 0 | f32(0.0)] } }
  for p < n { %z[p, 0] = %z[p, 1] }
  loop v < n { for q < n { %z[v, q] = %z[v, q - 1 | f32(0.0)] } }
}",
        &[("L006", 8), ("L006", 9), ("L006", 19)],
    );
}

fn sample() -> TensorProgram {
    let mut b = ProgramBuilder::new("p");
    let n = b.size("n");
    let (x, y) = (b.input("x", DType::F32, &[n]), b.output("y", DType::F32, &[n]));
    b.fill(y, |b, at| b.load(x, at.to_vec())).unwrap();
    b.into_program()
}

#[test]
fn l7_parameters() {
    let mut program = sample();
    program.params.swap(0, 1);
    assert_eq!(code_of(&program), "L007");
    program.params.swap(0, 1);
    program.params.push(program.params[0]);
    assert_eq!(code_of(&program), "L007");
    program.params.truncate(1);
    assert_eq!(code_of(&program), "L007");
}

#[test]
fn l8_axes_are_unique() {
    let mut program = sample();
    let stmt = program.body[0].clone();
    program.body.push(stmt);
    assert_eq!(code_of(&program), "L008");
}

#[test]
fn l9_expressions_end_and_combinations_have_axes() {
    let mut program = sample();
    let value = program.stages()[0].value;
    let around = program.exprs.alloc(Expr::Unary(UnaryOp::Exp, value));
    program.exprs[value] = Expr::Binary(BinaryOp::Add, around, around);
    let crate::loops::Stmt::Stage(stage) = &mut program.body[0] else { panic!("a stage") };
    stage.value = around;
    assert_eq!(code_of(&program), "L009");

    let mut program = sample();
    let crate::loops::Stmt::Stage(stage) = &mut program.body[0] else { panic!("a stage") };
    stage.combine = Some(Combine::Sum);
    assert_eq!(code_of(&program), "L009");

    let mut program = sample();
    let crate::loops::Stmt::Stage(stage) = &mut program.body[0] else { panic!("a stage") };
    stage.at[0] = Index::Value(la_arena::Idx::from_raw(la_arena::RawIdx::from_u32(99)));
    assert_eq!(code_of(&program), "L009");
}

#[test]
fn l10_expressions_nest_to_a_limit() {
    let nested = |times: u32| {
        let mut program = sample();
        let mut value = program.stages()[0].value;
        for _ in 0..times {
            value = program.exprs.alloc(Expr::Cast(program.dtype_of(value), value));
        }
        let crate::loops::Stmt::Stage(stage) = &mut program.body[0] else { panic!("a stage") };
        stage.value = value;
        program
    };
    assert!(verify(&nested(crate::loops::MAX_NESTING / 2)).is_ok());
    assert_eq!(code_of(&nested(60_000)), "L010");
}
