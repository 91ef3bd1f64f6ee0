//! The layout step on both graph IRs.

use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::FlowBuilder;
use orogen_ir::graph::GraphBuilder;
use orogen_ir::ops::{OpRegistry, OpSink};
use orogen_ir::types::{Attrs, DType, Type};
use orogen_passes::manager::{Ir, Pass, PassCx};

/// `transpose(relu(transpose(x, first)), second)` over a tensor of three dimensions.
fn around<S: OpSink>(sink: &mut S, first: &[i64], second: &[i64]) {
    let dims = [2, 3, 5].map(|it| sink.shapes().int(it));
    let emit = |op: &str, attrs: Attrs, arg: S::Value, sink: &mut S| {
        let op = sink.ops().get(op);
        sink.emit(op, attrs, &[arg]).expect("the operand is valid")[0]
    };
    let x = sink.input("x", Type::tensor(DType::F32, dims)).expect("a static input");
    let a = emit("transpose", Attrs::none().with("perm", first), x, sink);
    let b = emit("relu", Attrs::none(), a, sink);
    let c = emit("transpose", Attrs::none().with("perm", second), b, sink);
    sink.output("y", c).expect("a new name");
}

fn count(text: &str, op: &str) -> usize {
    text.matches(&format!("{op}(")).count()
}

/// The printed graph and flow module after the step.
fn after(first: &[i64], second: &[i64]) -> Result<[String; 2], Diagnostics> {
    let ops = OpRegistry::standard();
    let mut cx = PassCx::new(&ops);
    let mut builder = GraphBuilder::new(&ops, "g");
    around(&mut builder, first, second);
    let mut graph = builder.finish()?;
    orogen_passes::graph::ApplyRules::layout(&ops).run(&mut graph, &mut cx)?;
    Ir::verify(&graph, &ops)?;
    let mut builder = FlowBuilder::new(&ops, "f");
    around(&mut builder, first, second);
    let mut module = builder.finish()?;
    orogen_passes::flow::ApplyRules::layout(&ops).run(&mut module, &mut cx)?;
    Ir::verify(&module, &ops)?;
    Ok([Ir::print(&graph, &ops), Ir::print(&module, &ops)])
}

#[test]
fn transposes_around_an_elementwise_operator_cancel() {
    for text in after(&[0, 2, 1], &[0, 2, 1]).expect("a valid program") {
        assert_eq!((count(&text, "transpose"), count(&text, "relu")), (0, 1), "{text}");
    }
}

#[test]
fn transposes_that_do_not_cancel_become_one() {
    for text in after(&[1, 2, 0], &[1, 2, 0]).expect("a valid program") {
        assert_eq!((count(&text, "transpose"), count(&text, "relu")), (1, 1), "{text}");
    }
}
