//! The simplify step on both graph IRs.

use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::FlowBuilder;
use orogen_ir::graph::GraphBuilder;
use orogen_ir::ops::{OpRegistry, OpSink};
use orogen_ir::types::{Attrs, DType, TensorData, Type};
use orogen_passes::manager::{Ir, Pass, PassCx};
use orogen_reference::eval_graph;

/// `conv(pad(x), w)` of an image of 5 by 6 elements; `around` are the pads, the dimensions of the batch first.
fn padded_convolution<S: OpSink>(sink: &mut S, around: &[i64], fill: f32, pads: &[i64]) {
    let dims = [1, 2, 5, 6].map(|it| sink.shapes().int(it));
    let x = sink.input("x", Type::tensor(DType::F32, dims)).expect("a static input");
    let around = sink.constant("around", TensorData::ints(around));
    let fill = sink.constant("fill", TensorData::from_slice(DType::F32, &[], &[fill]));
    let values: Vec<f32> = (0..36).map(|it| (it * 7 % 11) as f32 - 5.0).collect();
    let weights = sink.constant("w", TensorData::from_slice(DType::F32, &[2, 2, 3, 3], &values));
    let mut emit = |op: &str, attrs: Attrs, args: &[S::Value]| {
        let op = sink.ops().get(op);
        sink.emit(op, attrs, args).expect("the operands are valid")[0]
    };
    let padded = emit("pad", Attrs::none().with("mode", "constant"), &[x, around, fill]);
    let attrs = Attrs::none().with("pads", pads).with("strides", vec![2, 1]);
    let y = emit("conv", attrs, &[padded, weights]);
    sink.output("y", y).expect("a new name");
}

/// How many `pad` are left in the graph and in the flow module; both graphs compute the same.
fn pads_left(around: &[i64], fill: f32, pads: &[i64]) -> Result<[usize; 2], Diagnostics> {
    let ops = OpRegistry::standard();
    let mut cx = PassCx::new(&ops);
    let mut builder = GraphBuilder::new(&ops, "g");
    padded_convolution(&mut builder, around, fill, pads);
    let mut graph = builder.finish()?;
    let image = TensorData::from_f64(DType::F32, &[1, 2, 5, 6], (0..60).map(|it| f64::from(it * 13 % 17)));
    let before = eval_graph(&ops, &graph, std::slice::from_ref(&image)).expect("a valid graph");
    orogen_passes::graph::ApplyRules::simplify(&ops).run(&mut graph, &mut cx)?;
    Ir::verify(&graph, &ops)?;
    let after = eval_graph(&ops, &graph, &[image]).expect("a valid graph");
    assert_eq!(before[0].dims(), after[0].dims());
    assert_eq!(before[0].bytes()[..], after[0].bytes()[..]);
    let mut builder = FlowBuilder::new(&ops, "f");
    padded_convolution(&mut builder, around, fill, pads);
    let mut module = builder.finish()?;
    orogen_passes::flow::ApplyRules::simplify(&ops).run(&mut module, &mut cx)?;
    Ir::verify(&module, &ops)?;
    Ok([Ir::print(&graph, &ops), Ir::print(&module, &ops)].map(|it| it.matches("pad(").count()))
}

#[test]
fn zeros_around_an_image_become_pads_of_the_convolution() {
    for (around, pads) in [
        ([0, 0, 1, 2, 0, 0, 3, 0], [0, 0, 0, 0]),
        ([0, 0, 0, 0, 0, 0, 1, 1], [1, 1, 1, 1]),
        ([0, 0, 4, 0, 0, 0, 0, 0], [0, 2, 0, 1]),
    ] {
        assert_eq!(pads_left(&around, 0.0, &pads).expect("a valid program"), [0, 0], "{around:?} {pads:?}");
    }
}

#[test]
fn other_paddings_stay() {
    let plain = [0, 0, 1, 1, 0, 0, 1, 1];
    for (around, fill, pads) in [
        (plain, 1.0, [0, 0, 0, 0]),
        (plain, -0.0, [0, 0, 0, 0]),
        (plain, 0.0, [0, 0, -1, 0]),
        ([1, 0, 0, 0, 0, 0, 0, 0], 0.0, [0, 0, 0, 0]),
        ([0, 0, -1, 0, 0, 0, 0, 0], 0.0, [1, 1, 1, 1]),
    ] {
        assert_eq!(pads_left(&around, fill, &pads).expect("a valid program"), [1, 1], "{around:?} {fill}");
    }
}
