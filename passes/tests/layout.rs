//! The layout step and operators from outside, on both graph IRs.

use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::FlowBuilder;
use orogen_ir::graph::GraphBuilder;
use orogen_ir::ops::{Arity, OpDef, OpRegistry, OpSink};
use orogen_ir::types::{Attrs, DType, Type};
use orogen_passes::manager::{Ir, Pass, PassCx};

/// `transpose(op(transpose(x, first)), second)` over a tensor of three dimensions.
fn around<S: OpSink>(sink: &mut S, op: &str, first: &[i64], second: &[i64]) {
    let dims = [2, 3, 5].map(|it| sink.shapes().int(it));
    let emit = |op: &str, attrs: Attrs, arg: S::Value, sink: &mut S| {
        let op = sink.ops().get(op);
        sink.emit(op, attrs, &[arg]).expect("the operand is valid")[0]
    };
    let x = sink.input("x", Type::tensor(DType::F32, dims)).expect("a static input");
    let a = emit("transpose", Attrs::none().with("perm", first), x, sink);
    let b = emit(op, Attrs::none(), a, sink);
    let c = emit("transpose", Attrs::none().with("perm", second), b, sink);
    sink.output("y", c).expect("a new name");
}

fn count(text: &str, op: &str) -> usize {
    text.matches(&format!("{op}(")).count()
}

/// An operator from outside.
const OPERATOR: OpDef =
    OpDef::pure("acme.gate", Arity::exactly(1), &[], |cx| Ok([cx.args[0].clone()].into_iter().collect()));

/// The printed graph and flow module after the step.
fn after(op: &str, first: &[i64], second: &[i64]) -> Result<[String; 2], Diagnostics> {
    let mut ops = OpRegistry::standard();
    ops.register(OPERATOR.by_element());
    ops.register(OpDef { name: "acme.sort", ..OPERATOR });
    let mut cx = PassCx::new(&ops);
    let mut builder = GraphBuilder::new(&ops, "g");
    around(&mut builder, op, first, second);
    let mut graph = builder.finish()?;
    orogen_passes::graph::ApplyRules::layout(&ops).run(&mut graph, &mut cx)?;
    Ir::verify(&graph, &ops)?;
    let mut builder = FlowBuilder::new(&ops, "f");
    around(&mut builder, op, first, second);
    let mut module = builder.finish()?;
    orogen_passes::flow::ApplyRules::layout(&ops).run(&mut module, &mut cx)?;
    Ir::verify(&module, &ops)?;
    Ok([Ir::print(&graph, &ops), Ir::print(&module, &ops)])
}

#[test]
fn transposes_move_through_elementwise_operators_from_outside_alone() {
    for text in after("acme.gate", &[0, 2, 1], &[0, 2, 1]).expect("a valid program") {
        assert_eq!((count(&text, "transpose"), count(&text, "acme.gate")), (0, 1), "{text}");
    }
    for text in after("acme.sort", &[0, 2, 1], &[0, 2, 1]).expect("a valid program") {
        assert_eq!((count(&text, "transpose"), count(&text, "acme.sort")), (2, 1), "{text}");
    }
}

#[test]
fn elementwise_operators_are_those_of_their_family() {
    let ops = OpRegistry::standard();
    let elementwise = |name: &str| ops.def(ops.get(name)).elementwise;
    for name in ["exp", "round", "abs", "relu", "not", "bit_not", "is_inf", "cast", "add", "where", "less"] {
        assert!(elementwise(name), "{name}");
    }
    for name in ["softmax", "cum_sum", "reshape", "matmul", "gather", "concat", "trilu", "size"] {
        assert!(!elementwise(name), "{name}");
    }
}
