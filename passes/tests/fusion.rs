//! Fusion decisions on legalised operators.

use orogen_ir::loops::analysis::{FusionKind, fusion_kind, is_scattered};
use orogen_ir::loops::{Junction, TensorProgram};
use orogen_ir::ops::{InferCx, OpRegistry};
use orogen_ir::shape::ShapeCx;
use orogen_ir::types::{Attrs, DType, Type};
use orogen_passes::rules::fusion::merge;
use orogen_passes::rules::legalize::{LegalizeTable, Operation};

fn kernel(op: &str, attrs: Attrs, shapes: &[&[i64]]) -> TensorProgram {
    let ops = OpRegistry::standard();
    let mut cx = ShapeCx::new();
    let args: Vec<Type> = shapes
        .iter()
        .enumerate()
        .map(|(operand, dims)| {
            let dims: Vec<_> = dims.iter().map(|it| cx.int(*it)).collect();
            let indices = op == "gather" && operand == 1;
            Type::tensor(if indices { DType::I64 } else { DType::F32 }, dims)
        })
        .collect();
    let mut infer = InferCx::new(&mut cx, &attrs, &args);
    let results = ops.infer(ops.get(op), &mut infer).expect("the operands are valid");
    let table = LegalizeTable::standard(&ops);
    let operation =
        Operation { op: ops.get(op), attrs: &attrs, args: &args, results: &results, constants: &[] };
    let lowering = table.legalize(&ops, &mut cx, operation).expect("it has a row");
    lowering.single_kernel().unwrap_or_else(|| panic!("`{op}` is not one kernel")).clone()
}

fn conv() -> TensorProgram {
    let attrs = Attrs::none()
        .with("strides", vec![1, 1])
        .with("pads", vec![1, 1, 1, 1])
        .with("dilations", vec![1, 1])
        .with("group", 1);
    kernel("conv", attrs, &[&[1, 8, 6, 6], &[4, 8, 3, 3], &[4]])
}

fn fused(producer: &TensorProgram, consumer: &TensorProgram, input: usize) -> Option<TensorProgram> {
    let junction = Junction { links: vec![(producer.params.len() - 1, input)], ..Junction::default() };
    merge((producer, &[]), (consumer, &[]), &junction).map(|it| it.program)
}

#[test]
fn convolution_takes_residual_and_activation_as_epilogue() {
    let relu = kernel("relu", Attrs::none(), &[&[1, 4, 6, 6]]);
    assert_eq!(fusion_kind(&relu), FusionKind::Elementwise);
    let conv = conv();
    assert_eq!(fusion_kind(&conv), FusionKind::Contraction);
    let add = kernel("add", Attrs::none(), &[&[1, 4, 6, 6], &[1, 4, 6, 6]]);
    let with_residual = fused(&conv, &add, 0).expect("an elementwise consumer");
    let whole = fused(&with_residual, &relu, 0).expect("an elementwise consumer");
    assert_eq!(fusion_kind(&whole), FusionKind::Contraction);
    assert_eq!(whole.body.len(), 2, "the contraction and one epilogue stage");
}

#[test]
fn chains_of_elementwise_operators_become_one_stage() {
    let shape: &[i64] = &[2, 3, 5];
    let mut chain = kernel("add", Attrs::none(), &[shape, &[5]]);
    for op in ["erf", "neg", "relu"] {
        chain = fused(&chain, &kernel(op, Attrs::none(), &[shape]), 0).expect("elementwise");
    }
    assert_eq!(fusion_kind(&chain), FusionKind::Elementwise);
    assert_eq!(chain.body.len(), 1);
}

#[test]
fn rows_take_elementwise_work_on_either_side() {
    let shape: &[i64] = &[2, 3, 7];
    let softmax = kernel("softmax", Attrs::none().with("axis", 2), &[shape]);
    assert_eq!(fusion_kind(&softmax), FusionKind::Row);
    let scale = kernel("mul", Attrs::none(), &[shape, &[1]]);
    let before = fused(&scale, &softmax, 0).expect("same rows");
    assert_eq!(fusion_kind(&before), FusionKind::Row);
    let after = fused(&before, &kernel("relu", Attrs::none(), &[shape]), 0).expect("same rows");
    assert_eq!(fusion_kind(&after), FusionKind::Row);
}

#[test]
fn a_contraction_does_not_take_its_operands_producers() {
    let relu = kernel("relu", Attrs::none(), &[&[1, 8, 6, 6]]);
    assert!(fused(&relu, &conv(), 0).is_none());
}

#[test]
fn scattered_reads_go_into_no_other_loops() {
    let along = |axis: i64| kernel("gather", Attrs::none().with("axis", axis), &[&[8, 9], &[7]]);
    let (points, rows) = (along(1), along(0));
    assert!(is_scattered(&points) && !is_scattered(&rows));
    let exp = |dims: &[i64]| kernel("exp", Attrs::none(), &[dims]);
    assert!(fused(&points, &exp(&[8, 7]), 0).is_none(), "it would be computed point by point");
    assert!(fused(&rows, &exp(&[7, 9]), 0).is_some(), "rows that lie elsewhere are rows");
}
