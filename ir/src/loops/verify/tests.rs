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
  for i < n { %h[i] = %x[checked {%at[i]}] }
  for j < n { %y[j] = %h[j] * %x[n - 1 - j] }
  %s[] = sum k < n { %h[k] }
  loop t < n {
    for m < n { %h[m] = %h[m] + %x[t] }
    %y[checked {%at[t]}] = %h[t]
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
fn l5_what_is_only_moved_is_not_computed_with() {
    check(
        "kernel @p {
  size n
  in %x: c64[n]
  out %y: c64[n]
  out %b: bool[n]
  out %z: c64[]
  for i < n { %y[i] = select(cast<bool>(%x[i]), %x[i] + %x[i], c64(0)) }
  for j < n { %b[j] = %x[j] == c64(1) }
  %z[] = sum k < n { %x[k] }
}",
        &[("L005", 7), ("L005", 8), ("L005", 8), ("L005", 9)],
    );
    check(
        "kernel @p {
  size n
  in %x: c128[n]
  out %y: c128[n]
  out %z: f64[n]
  for i < n { %y[i] = %x[i - 1 | c128(0)] }
  for j < n { %z[j] = cast<f64>(%x[j]) }
}",
        &[("L005", 7)],
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

/// What a program requires of its sizes, as text: `n >= 1 where m >= 1`.
fn requirements(text: &str) -> Vec<String> {
    let program = parse_program(text).unwrap_or_else(|it| panic!("{it}"));
    let found = verify(&program).unwrap_or_else(|it| panic!("{it}"));
    let text = |it: &crate::loops::Requirement| {
        let within: Vec<String> =
            it.within.iter().map(|it| format!("{} >= 1", found.shapes.display(*it))).collect();
        let constraint = found.shapes.display_fact(&it.constraint);
        if within.is_empty() { constraint } else { format!("{constraint} where {}", within.join(", ")) }
    };
    found.list.iter().map(text).collect()
}

#[test]
fn l11_accesses_that_are_in_range() {
    let text = "kernel @p {
  size n
  size m
  in %x: f32[n, 2*m]
  in %at: i64[n]
  in %small: u8[n]
  in %table: f32[256]
  out %y: f32[n, m]
  local %place: i32[n]
  for i < n { %place[i] = min(max(cast<i32>(%at[i]), i32(0)), i32(255)) }
  for i1 < n, j1 < m { %y[i1, j1] = %x[n - 1 - i1, 2*j1 + 1] + %x[i1, m + floordiv(j1, 3)] }
  for i2 < n, j2 < m { %y[i2, j2] = %x[i2 + 1, j2 - 1 | f32(0.0)] + %x[i2, 0] }
}";
    assert_eq!(requirements(text), [""; 0]);
    // A clamp, a type, a table of clamped positions, a check.
    let values = "  for i4 < n, j4 < m {
    let t0 = %table[{%small[i4]}] + %table[{%place[i4]}]
    %y[i4, j4] = t0 + %table[{max(min(%at[i4], i64(255)), i64(0))}] + %table[checked {%at[i4]}]
  }
}";
    assert_eq!(requirements(&format!("{}{values}", text.strip_suffix('}').unwrap())), [""; 0]);
}

#[test]
fn l11_what_depends_on_sizes_is_required() {
    let text = |at: &str| {
        format!(
            "kernel @p {{\n  size n\n  size m\n  integer start\n  in %x: f32[n]\n  out %y: f32[m]\n  \
             for i < m {{ %y[i] = %x[{at}] }}\n}}"
        )
    };
    assert_eq!(
        requirements(&text("i + start")),
        ["start >= 0 where m >= 1", "-m + n - start >= 0 where m >= 1"]
    );
    assert_eq!(requirements(&text("n - 1")), ["n - 1 >= 0 where m >= 1"]);
    // What is read at 0 where it has one element.
    assert_eq!(requirements(&text("i*min(n - 1, 1)")), ["n >= 1 where m >= 1", "n ~ m where m >= 1"]);
    let broadcast = text("i*min(n - 1, 1)").replace("f32[m]", "f32[broadcast(m, n)]");
    assert_eq!(requirements(&broadcast.replace("i < m", "i < broadcast(m, n)")), ["n ~ m"]);
    // What is assumed is required, and then it follows.
    let assumed =
        text("i + start").replace("  in %x", "  assume start >= 0\n  assume n - m - start >= 0\n  in %x");
    assert_eq!(requirements(&assumed), ["start >= 0", "-m + n - start >= 0"]);
}

#[test]
fn l11_accesses_out_of_range() {
    check(
        "kernel @p {
  size n
  in %x: f32[n]
  in %at: i64[n]
  out %y: f32[n]
  for i < n { %y[i] = %x[i - 1] }
  for i1 < n { %y[i1] = %x[i1 + 1] }
  for i2 < n { %y[i2] = %x[{%at[i2]}] }
  for i3 < n { %y[{min(%at[i3], i64(0))}] = %x[i3] }
  for i4 < n { %y[i4] = %x[{max(%at[i4], i64(0)) + i64(1)}] }
  for i5 < n { %y[i5] = select(%at[i5] < i64(3), %x[i5 + 3], f32(0.0)) }
  loop t < n {
    for i6 < t { %y[i6] = %x[t - i6 + 1] }
  }
}",
        &[("L011", 6), ("L011", 7), ("L011", 8), ("L011", 9), ("L011", 10), ("L011", 11), ("L011", 13)],
    );
    let text =
        "kernel @p {\n  in %x: f32[4]\n  out %y: f32[2, 2]\n  for i < 2, j < 2 { %y[i, j] = %x[2*i + j] }\n}";
    check(text, &[]);
    check(&text.replace("2*i + j", "3*i + j"), &[("L011", 4)]);
}

#[test]
fn l1_and_l8_axes() {
    let text = "kernel @p {\n  size n\n  in %x: f32[n]\n  out %y: f32[n]\n  for i < n { %y[i] = %x[i] }\n  assume i <= 3\n}";
    let program = parse_program(text).unwrap();
    assert_eq!(code_of(&program), "L001");
    let mut program = parse_program(&text.replace("  assume i <= 3\n", "")).unwrap();
    let more = program.shapes.parse("n + 1").unwrap();
    let crate::loops::Stmt::Stage(stage) = &mut program.body[0] else { panic!("a stage") };
    stage.axes[0].extent = more;
    assert_eq!(code_of(&program), "L008");
}

#[test]
fn l12_outputs_that_are_written_whole() {
    let text = "kernel @p {
  size n
  size m
  in %x: f32[n]
  out %whole: f32[n]
  out %joined: f32[n + m + 2, 3]
  out %tiles: f32[4*n, 2]
  out %back: f32[n]
  out %elements: f32[2, 2]
  out %none: f32[n, 0]
  for i < n { %whole[i] = %x[i] }
  for i1 < n, j1 < 3 { %joined[m + i1, j1] = %x[i1] }
  for i2 < m, j2 < 3 { %joined[i2, j2] = f32(1.0) }
  for i3 < 2, j3 < 3 { %joined[n + m + i3, j3] = f32(1.0) }
  for i4 < n, j4 < 4, k4 < 2 { %tiles[4*i4 + j4, k4] = %x[i4] }
  loop t < n { %back[n - 1 - t] = %x[t] }
  %elements[0, 0] = f32(0.0)
  %elements[0, 1] = f32(0.0)
  %elements[1, 0] = f32(0.0)
  %elements[1, 1] = f32(0.0)
  for i5 < n, j5 < 0 { %none[i5, j5] = f32(0.0) }
}";
    assert_eq!(requirements(text), [""; 0]);
    // A loop that may not run, and a dimension that may be longer than what is written.
    let text = "kernel @p {
  size n
  size m
  size t
  in %x: f32[n]
  out %y: f32[m]
  out %z: f32[m]
  for i < n { %y[i] = %x[i] }
  loop s < t { for j < m { %z[j] = f32(0.0) } }
}";
    let wanted = ["m - n >= 0 where n >= 1", "-m + n >= 0 where m >= 1", "t - 1 >= 0 where m >= 1"];
    assert_eq!(requirements(text), wanted);
}

#[test]
fn l12_outputs_that_are_not() {
    check(
        "kernel @p {
  size n
  in %x: f32[n]
  in %at: i64[n]
  out %short: f32[n + 1]
  out %gap: f32[3*n]
  out %twice: f32[2*n]
  out %data: f32[n]
  for i < n { %short[i] = %x[i] }
  for i1 < n { %gap[i1] = %x[i1] }
  for i2 < n { %gap[2*n + i2] = %x[i2] }
  for i3 < n { %twice[2*i3] = %x[i3] }
  for i4 < n { %data[checked {%at[i4]}] = %x[i4] }
}",
        &[("L012", 5), ("L012", 6), ("L012", 7), ("L012", 8)],
    );
}
