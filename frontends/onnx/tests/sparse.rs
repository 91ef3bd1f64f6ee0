//! Sparse constants: initializers and `Constant` nodes, in every form of their places, and what is wrong with others.

mod common;

use common::*;
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::Options;
use orogen_onnx::proto::*;

fn sparse(values: TensorProto, indices: Option<TensorProto>, dims: &[i64]) -> SparseTensorProto {
    SparseTensorProto { values: Some(values), indices, dims: dims.to_vec() }
}

/// `y = Identity(w)` of an initializer.
fn of_initializer(tensor: SparseTensorProto) -> ModelProto {
    let mut graph = graph(vec![], vec![], vec![node("Identity", &["w"], &["y"], vec![])], &["y"]);
    graph.sparse_initializer.push(tensor);
    model(18, graph)
}

/// The same of a node.
fn of_node(tensor: SparseTensorProto) -> ModelProto {
    let attribute = AttributeProto {
        name: "sparse_value".into(),
        sparse_tensor: Some(tensor),
        ..AttributeProto::default()
    };
    model(18, graph(vec![], vec![], vec![node("Constant", &[], &["y"], vec![attribute])], &["y"]))
}

fn both(tensor: &SparseTensorProto) -> TensorData {
    let [a, b] = [of_initializer(tensor.clone()), of_node(tensor.clone())].map(|it| {
        let [y] = &eval(it, &[]).expect("a model")[..] else { panic!("one result") };
        y.clone()
    });
    assert_eq!(a, b);
    a
}

fn refused(tensor: &SparseTensorProto, text: &str) {
    for model in [of_initializer(tensor.clone()), of_node(tensor.clone())] {
        let error = eval(model, &[]).expect_err("the model is refused");
        assert!(error.contains("X006") && error.contains(text), "`{text}` is not in: {error}");
    }
}

#[test]
fn places_are_numbers_or_coordinates() {
    let values = f32_tensor("w", &[3], &[1.0, 2.0, -3.0]);
    let expected = TensorData::from_f64(DType::F32, &[2, 3], [0.0, 1.0, 0.0, 2.0, 0.0, -3.0]);
    let flat = sparse(values.clone(), Some(i64_tensor("", &[3], &[1, 3, 5])), &[2, 3]);
    let rows = sparse(values, Some(i64_tensor("", &[3, 2], &[0, 1, 1, 0, 1, 2])), &[2, 3]);
    assert_eq!(both(&flat), expected);
    assert_eq!(both(&rows), expected);
    let empty = sparse(f32_tensor("w", &[0], &[]), Some(i64_tensor("", &[0, 2], &[])), &[1, 2]);
    assert_eq!(both(&empty).to_f64(), [0.0, 0.0]);
    let none = sparse(f32_tensor("w", &[0], &[]), None, &[0, 2]);
    assert_eq!(both(&none).dims(), [0, 2]);
}

#[test]
fn elements_are_of_every_type() {
    for dtype in DType::ALL {
        let Some(number) = dtype.row().onnx else { continue };
        let given = TensorData::from_f64(dtype, &[2], [1.0, 1.0]);
        let mut values = TensorProto {
            name: "w".into(),
            data_type: number,
            dims: vec![2],
            raw_data: Some(given.bytes().to_vec().into()),
            ..TensorProto::default()
        };
        let mut expected = TensorData::from_f64(dtype, &[5], [0.0, 1.0, 0.0, 0.0, 1.0]);
        if dtype == DType::Str {
            values.raw_data = None;
            values.string_data = ["b", "a"].map(|it| it.as_bytes().to_vec().into()).to_vec();
            expected = TensorData::strings(&[5], ["", "b", "", "", "a"]).expect("five strings");
        }
        let found = both(&sparse(values, Some(i64_tensor("", &[2], &[1, 4])), &[5]));
        // Zero has no bits in a type of powers of two, whose smallest number stands for it.
        assert_eq!(found, expected, "{dtype}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let two = || f32_tensor("w", &[2], &[1.0, 2.0]);
    let places = |list: &[i64]| Some(i64_tensor("", &[list.len() as i64], list));
    let rows = |dims: &[i64], list: &[i64]| Some(i64_tensor("", dims, list));
    let nothing = of_node(SparseTensorProto { values: None, ..sparse(two(), None, &[2]) });
    assert!(eval(nothing, &[]).expect_err("the model is refused").contains("it has no values"));
    refused(&sparse(two(), None, &[4]), "it has no indices");
    refused(&sparse(two(), places(&[0, 4]), &[4]), "value 1: index 4 is not from 0 to 3");
    refused(&sparse(two(), places(&[-1, 2]), &[4]), "value 0: index -1 is not from 0 to 3");
    refused(&sparse(two(), places(&[2, 1]), &[4]), "value 1 does not stand after the one before it");
    refused(&sparse(two(), places(&[1, 1]), &[4]), "value 1 does not stand after the one before it");
    refused(&sparse(two(), rows(&[2, 2], &[0, 0, 1, 3]), &[2, 3]), "value 1: index 3 is not from 0 to 2");
    refused(&sparse(two(), rows(&[2, 3], &[0; 6]), &[2, 3]), "must be of shape [2] or [2, 2]");
    refused(&sparse(two(), places(&[1]), &[4]), "must be of shape [2] or [2, 1], but are of shape [1]");
    refused(&sparse(two(), Some(f32_tensor("", &[2], &[0.0, 1.0])), &[4]), "its indices are f32");
    refused(
        &sparse(f32_tensor("w", &[1, 2], &[1.0, 2.0]), places(&[0, 1]), &[4]),
        "its values must be a vector",
    );
    refused(&sparse(two(), places(&[0, 1]), &[-4]), "dimension -4 is negative");
    refused(&sparse(two(), places(&[0, 1]), &[0, 1 << 40, 1 << 40]), "2 values for 0 elements");
    refused(&sparse(two(), places(&[0, 1]), &[1 << 40, 1 << 40]), "larger than the address space");
    refused(&sparse(two(), places(&[0, 1]), &[1 << 40]), "is beyond the budget");
}

#[test]
fn a_listed_one_is_a_default() {
    let tensor = sparse(f32_tensor("w", &[1], &[7.0]), Some(i64_tensor("", &[1], &[1])), &[2]);
    let mut proto = of_initializer(tensor);
    proto.graph.as_mut().expect("a graph").input.push(f32_input("w", &[2]));
    let given = TensorData::from_f64(DType::F32, &[2], [1.0, 2.0]);
    let mut options = Options::default();
    options.defaults.others_optional = true;
    let (report, results) =
        eval_with(proto.clone(), &options, std::slice::from_ref(&given)).expect("a model");
    assert_eq!((report.optional, results), (vec!["w".to_owned()], vec![given]));
    assert_eq!(eval(proto, &[]).expect("a model")[0].to_f64(), [0.0, 7.0]);
}
