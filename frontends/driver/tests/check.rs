//! Passes that keep values are held to it, and faults in them are found.

use orogen::check::{CheckValues, Checked, keeps_values};
use orogen::ir::graph::text;
use orogen::ir::loops::Expr;
use orogen::passes::{IrRef, Pass, PassCx};
use orogen::prelude::*;
use orogen::rules::ApplyRules;

/// Transposes that move, around what is merged.
const PROGRAM: &str = "graph @g(%x: f32[3, 4], %w: f32[4, 5]) {
  %0 = transpose(%x) {perm = [1, 0]} : f32[4, 3]
  %1 = exp(%0) : f32[4, 3]
  %2 = transpose(%1) {perm = [1, 0]} : f32[3, 4]
  %3 = matmul(%2, %w) : f32[3, 5]
  %4 = relu(%3) : f32[3, 5]
  %5 = tanh(%4) : f32[3, 5]
  %6 = reduce_sum(%5) {axes = [1], keepdims = false} : f32[3]
  return y = %5, z = %6
}
";

fn graph(compiler: &Compiler, steps: &[Step]) -> Graph {
    let mut graph = text::parse(PROGRAM, compiler.ops()).unwrap_or_else(|it| panic!("{it}"));
    for step in steps {
        compiler.graph_step(&mut graph, *step).expect("it is lawful");
    }
    graph
}

/// A program before and after a change.
fn compared(compiler: &Compiler, before: &Graph, after: &Graph) -> Result<Checked, Diagnostics> {
    keeps_values(compiler.ops(), IrRef::Graph(before), IrRef::Graph(after))
}

#[test]
fn what_ships_keeps_values_on_both_paths() {
    let compiler = Compiler::standard();
    let model = compiler.decode("g.graph", PROGRAM.into()).expect("it is a text");
    for opt_in in [OptIn::Legacy, OptIn::DataflowIr] {
        let options = CompileOptions { opt_in, verify: true, ..CompileOptions::default() };
        let (_, report) =
            compiler.lower(&model, &options, Step::PlanMemory).unwrap_or_else(|it| panic!("{it}"));
        let checked = report.instrument::<CheckValues>().expect("it was asked for").checked;
        assert!(checked.same >= 2 && checked.skipped == 0, "{opt_in:?}: {checked:?}");
    }
}

#[test]
fn a_fault_in_fusion_is_found() {
    let compiler = Compiler::standard();
    let above = [Step::Canonicalize, Step::FoldConstants, Step::Simplify, Step::Layout, Step::Legalize];
    let before = graph(&compiler, &above);
    let mut after = before.clone();
    compiler.graph_step(&mut after, Step::Fuse).expect("it is lawful");
    let checked = compared(&compiler, &before, &after).unwrap_or_else(|it| panic!("{it}"));
    assert!(checked.same > 0 && checked.skipped == 0, "{checked:?}");
    // In each merged kernel in turn, as if merging had taken the wrong operand or function.
    let merged: Vec<String> =
        after.kernels().keys().filter(|it| !before.kernels().contains_key(*it)).cloned().collect();
    assert!(!merged.is_empty());
    for name in merged {
        let wrong = with_kernel(compiler.ops(), &after, &name);
        let found = compared(&compiler, &before, &wrong).expect_err("another function is computed");
        assert!(found.iter().all(|it| it.code == "V002"), "{found}");
    }
}

/// The graph where the kernel of that name computes something else.
fn with_kernel(ops: &OpRegistry, graph: &Graph, name: &str) -> Graph {
    let mut kernel = graph.kernels()[name].clone();
    let orogen::ir::kernel::Kernel::Program(program) = &mut kernel else {
        panic!("merged kernels are programs")
    };
    let mut changed = false;
    for (_, expr) in program.exprs.iter_mut() {
        match expr {
            Expr::Unary(op, _) if [UnaryOp::Tanh, UnaryOp::Exp].contains(op) => {
                (*op, changed) = (UnaryOp::Neg, true);
            }
            Expr::Binary(op, ..) if *op == BinaryOp::Max => (*op, changed) = (BinaryOp::Min, true),
            _ => {}
        }
    }
    assert!(changed, "there is something to change in `{name}`");
    program.name = "wrong".to_owned();
    let mut graph = graph.clone();
    graph
        .edit(ops, |editor| -> Result<(), Diagnostics> {
            editor.define(kernel)?;
            for id in editor.order() {
                let node = editor.node(id);
                if matches!(&node.kind, orogen::ir::graph::NodeKind::Kernel { kernel } if kernel == name) {
                    let inputs = node.inputs.clone();
                    editor.set_kernel(id, "wrong".to_owned(), inputs);
                }
            }
            Ok(())
        })
        .expect("the name is free");
    graph
}

/// A sum of 16 bits that is taken apart again has no digits left; merged, it has them all. Which of both is right no program
/// says.
#[test]
fn what_roundings_decide_is_no_fault() {
    let program = "graph @g(%x: bf16[16]) {
  %n = const bf16[] [1000] : bf16[]
  %0 = add(%x, %n) : bf16[16]
  %1 = sub(%0, %n) : bf16[16]
  return y = %1
}
";
    let compiler = Compiler::standard();
    let mut before = text::parse(program, compiler.ops()).unwrap_or_else(|it| panic!("{it}"));
    compiler.graph_step(&mut before, Step::Legalize).expect("it is lawful");
    let mut after = before.clone();
    compiler.graph_step(&mut after, Step::Fuse).expect("it is lawful");
    assert!(after.kernels().len() < before.kernels().len(), "both are merged");
    let checked = compared(&compiler, &before, &after).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!((checked.same, checked.skipped), (0, 1));
}

#[test]
fn a_fault_in_layout_is_found() {
    let text = "graph @g(%x: f32[4, 4]) {
  %0 = transpose(%x) {perm = [1, 0]} : f32[4, 4]
  %1 = exp(%0) : f32[4, 4]
  %2 = transpose(%1) {perm = [1, 0]} : f32[4, 4]
  %3 = softmax(%2) {axis = 1} : f32[4, 4]
  return y = %3
}
";
    let compiler = Compiler::standard();
    let ops = compiler.ops();
    let before = text::parse(text, ops).unwrap_or_else(|it| panic!("{it}"));
    let laid_out = |rule: &str| {
        let mut layout = ApplyRules::layout(ops);
        layout.rules_mut().insert_text(ops, rule).unwrap_or_else(|it| panic!("{it}"));
        let mut graph = before.clone();
        let mut cx = PassCx::new(ops);
        Pass::<Graph>::run(&layout, &mut graph, &mut cx).unwrap_or_else(|it| panic!("{it}"));
        graph
    };
    let right = laid_out("rule same bitwise\n  transpose(x) {perm = p} => x\n  where identity(p)");
    assert!(!text::print(&right, ops).contains("transpose"), "both of them go");
    let checked = compared(&compiler, &before, &right).unwrap_or_else(|it| panic!("{it}"));
    assert!(checked.same > 0, "{checked:?}");
    // A transpose forgotten, which no type shows.
    let wrong = laid_out("rule forget bitwise\n  exp(transpose(x) {perm = p}) => exp(x)");
    let found = compared(&compiler, &before, &wrong).expect_err("the transpose is needed");
    assert!(found.iter().any(|it| it.code == "V002"), "{found}");
}

/// Where a pass reads `%x` in place of `%0`, and both are there before and after: they are not two independent values.
#[test]
fn values_that_are_made_of_one_another_are_no_fault() {
    let text = "graph @g(%x: f32[2, 4, 3, 8]) {
  %0 = transpose(%x) {perm = [0, 2, 1, 3]} : f32[2, 3, 4, 8]
  %1 = tanh(%0) : f32[2, 3, 4, 8]
  %2 = transpose(%0) {perm = [0, 1, 3, 2]} : f32[2, 3, 8, 4]
  %3 = matmul(%1, %2) : f32[2, 3, 4, 4]
  %4 = matmul(%3, %0) : f32[2, 3, 4, 8]
  return y = %4
}
";
    let compiler = Compiler::standard();
    let before = text::parse(text, compiler.ops()).unwrap_or_else(|it| panic!("{it}"));
    let mut after = before.clone();
    compiler.graph_step(&mut after, Step::Layout).expect("it is lawful");
    assert!(text::print(&after, compiler.ops()).contains("[0, 2, 3, 1]"), "two transposes are one");
    let checked = compared(&compiler, &before, &after).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!((checked.same, checked.skipped), (1, 0));
}

/// What is merged is rounded less often, and an integer made of it may be another one: where that follows from rounding alone
/// it is no fault, and where it does not it is one.
#[test]
fn integers_of_floats_turn_on_the_last_bit() {
    let compiler = Compiler::standard();
    let program = |function: &str| {
        format!(
            "graph @g(%x: f16[9, 9], %y: f16[9, 9]) {{
  %0 = div(%x, %y) : f16[9, 9]
  %1 = {function}(%0) : f16[9, 9]
  %2 = cast(%1) {{to = u16}} : u16[9, 9]
  return y = %2
}}
"
        )
    };
    let model = compiler.decode("g.graph", program("tanh").into()).expect("it is a text");
    for opt_in in [OptIn::Legacy, OptIn::DataflowIr] {
        let options = CompileOptions { opt_in, verify: true, ..CompileOptions::default() };
        let lowered = compiler.lower(&model, &options, Step::PlanMemory);
        let (_, report) = lowered.unwrap_or_else(|it| panic!("{it}"));
        let checked = report.instrument::<CheckValues>().expect("it was asked for").checked;
        assert_eq!((checked.same, checked.skipped), (0, 1), "{opt_in:?}");
    }
    let [before, after] =
        ["tanh", "abs"].map(|it| text::parse(&program(it), compiler.ops()).expect("a program"));
    compared(&compiler, &before, &after).expect_err("that is no rounding");
}
