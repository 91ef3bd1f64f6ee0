//! Forms that operators had before operator set 7. ONNX Runtime computes few of them; expected values are its own where it
//! does, else what the specification of that version says.

mod common;

use common::*;
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::*;

/// Inputs `x`, `b`, `c`, … of one node; its first result.
fn node_of(
    opset: i64,
    op: &str,
    attributes: Vec<AttributeProto>,
    args: &[TensorData],
) -> Result<TensorData, String> {
    let names = &["x", "b", "c", "d", "e"][..args.len()];
    let input = |(name, data): (&&str, &TensorData)| {
        let dims: Vec<D> = data.dims().iter().map(|it| D::N(*it as i64)).collect();
        let dtype = match data.dtype() {
            DType::Bool => data_type::BOOL,
            _ => data_type::FLOAT,
        };
        value(name, dtype, &dims)
    };
    let inputs = names.iter().zip(args).map(input).collect();
    let proto = model(opset, graph(inputs, vec![], vec![node(op, names, &["y"], attributes)], &["y"]));
    Ok(eval(proto, args)?.remove(0))
}

fn f32s(dims: &[u64], list: &[f64]) -> TensorData {
    TensorData::from_f64(DType::F32, dims, list.iter().copied())
}

/// −8, −7, … of shape [1, 2, 3, 4].
fn image() -> TensorData {
    f32s(&[1, 2, 3, 4], &(-8..16).map(f64::from).collect::<Vec<_>>())
}

#[track_caller]
fn same(found: Result<TensorData, String>, dims: &[u64], expected: &[f64]) {
    let found = found.unwrap();
    assert_eq!(found.dims(), dims);
    let close = |(a, b): (f64, &f64)| (a - b).abs() <= 1e-5 * b.abs().max(1.0);
    assert!(
        found.to_f64().into_iter().zip(expected).all(close),
        "{:?}, expected {expected:?}",
        found.to_f64()
    );
}

#[test]
fn the_second_operand_lies_where_the_axis_says() {
    let (x, pair) = (f32s(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), f32s(&[2], &[10.0, 20.0]));
    let placed = |axis| vec![int("broadcast", 1), int("axis", axis)];
    let rows = [11.0, 12.0, 13.0, 24.0, 25.0, 26.0];
    for axis in [0, -2] {
        same(node_of(6, "Add", placed(axis), &[x.clone(), pair.clone()]), &[2, 3], &rows);
    }
    let three = f32s(&[3], &[1.0, 0.0, 2.0]);
    for attributes in [placed(1), placed(-1), vec![int("broadcast", 1)]] {
        let difference = node_of(1, "Sub", attributes, &[x.clone(), three.clone()]);
        same(difference, &[2, 3], &[0.0, 2.0, 1.0, 3.0, 5.0, 4.0]);
    }
    for op in ["Add", "Sub", "Mul", "Div", "Pow"] {
        let error = node_of(6, op, vec![], &[x.clone(), pair.clone()]).unwrap_err();
        assert!(error.contains("`broadcast` is not 1"), "{error}");
        let error = node_of(6, op, placed(2), &[x.clone(), pair.clone()]).unwrap_err();
        assert!(error.contains("axis 2 is out of range"), "{error}");
        let error = node_of(6, op, placed(1), &[x.clone(), x.clone()]).unwrap_err();
        assert!(error.contains("from axis 1 on"), "{error}");
        let error = node_of(6, op, placed(0), &[pair.clone(), x.clone()]).unwrap_err();
        assert!(error.contains("does not fit into 1"), "{error}");
    }
    // From operator set 7 on the attributes are none, and dimensions are aligned at the end.
    node_of(7, "Add", placed(0), &[x, pair]).unwrap_err();
}

#[test]
fn comparisons_and_logic_are_placed_too() {
    let x = f32s(&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let limits = f32s(&[2], &[1.0, 4.0]);
    let rows = vec![int("broadcast", 1), int("axis", 0)];
    same(node_of(1, "Greater", rows.clone(), &[x.clone(), limits.clone()]), &[2, 2], &[0.0, 1.0, 0.0, 0.0]);
    same(node_of(1, "Less", rows.clone(), &[x, limits]), &[2, 2], &[0.0, 0.0, 1.0, 0.0]);
    let bools = |dims: &[u64], list: &[f64]| TensorData::from_f64(DType::Bool, dims, list.iter().copied());
    let (table, column) = (bools(&[2, 2], &[0.0, 1.0, 0.0, 1.0]), bools(&[2], &[0.0, 1.0]));
    for (op, expected) in
        [("And", [0.0, 0.0, 0.0, 1.0]), ("Or", [0.0, 1.0, 1.0, 1.0]), ("Xor", [0.0, 1.0, 1.0, 0.0])]
    {
        same(node_of(1, op, rows.clone(), &[table.clone(), column.clone()]), &[2, 2], &expected);
    }
    same(node_of(1, "Equal", rows, &[table, column]), &[2, 2], &[1.0, 0.0, 0.0, 1.0]);
}

#[test]
fn slopes_are_of_channels() {
    let x = f32s(&[1, 2, 2], &[-1.0, -2.0, -3.0, 4.0]);
    let slopes = f32s(&[2], &[0.5, 2.0]);
    same(node_of(6, "PRelu", vec![], &[x.clone(), slopes.clone()]), &[1, 2, 2], &[-0.5, -1.0, -6.0, 4.0]);
    same(node_of(7, "PRelu", vec![], &[x.clone(), slopes]), &[1, 2, 2], &[-0.5, -4.0, -1.5, 4.0]);
    same(node_of(1, "PRelu", vec![], &[x, f32s(&[1], &[3.0])]), &[1, 2, 2], &[-3.0, -6.0, -9.0, 4.0]);
}

#[test]
fn shapes_and_pads_were_attributes() {
    let x = f32s(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let list = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    same(node_of(1, "Reshape", vec![ints("shape", &[-1, 2])], std::slice::from_ref(&x)), &[3, 2], &list);
    same(node_of(4, "Reshape", vec![ints("shape", &[0, -1])], std::slice::from_ref(&x)), &[2, 3], &list);
    assert!(
        node_of(4, "Reshape", vec![], std::slice::from_ref(&x))
            .unwrap_err()
            .contains("attribute `shape` is missing")
    );
    let padded = [0.0, 1.0, 2.0, 3.0, 0.0, 4.0, 5.0, 6.0];
    same(
        node_of(1, "Pad", vec![ints("paddings", &[0, 1, 0, 0])], std::slice::from_ref(&x)),
        &[2, 4],
        &padded,
    );
    same(node_of(2, "Pad", vec![ints("pads", &[0, 1, 0, 0])], std::slice::from_ref(&x)), &[2, 4], &padded);
    same(
        node_of(1, "Concat", vec![], &[x.clone(), f32s(&[2, 1], &[7.0, 8.0])]),
        &[2, 4],
        &[1.0, 2.0, 3.0, 7.0, 4.0, 5.0, 6.0, 8.0],
    );
    assert!(node_of(4, "Concat", vec![], &[x]).unwrap_err().contains("attribute `axis` is missing"));
}

#[test]
fn tiles_are_of_one_axis() {
    let x = f32s(&[1, 2], &[1.0, 2.0]);
    let (tiles, axis) = (f32s(&[1], &[3.0]), |it| f32s(&[1], &[it]));
    same(
        node_of(1, "Tile", vec![], &[x.clone(), tiles.clone(), axis(0.0)]),
        &[3, 2],
        &[1.0, 2.0, 1.0, 2.0, 1.0, 2.0],
    );
    same(node_of(1, "Tile", vec![], &[x, tiles, axis(-1.0)]), &[1, 6], &[1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
    let constants = vec![f32_tensor("t", &[], &[2.0]), f32_tensor("a", &[], &[1.0])];
    let tile = node("Tile", &["x", "t", "a"], &["y"], vec![]);
    let proto = model(5, graph(vec![f32_input("x", &[1, 2])], constants, vec![tile], &["y"]));
    same(Ok(eval(proto, &[f32s(&[1, 2], &[5.0, 6.0])]).unwrap().remove(0)), &[1, 4], &[5.0, 6.0, 5.0, 6.0]);
}

#[test]
fn a_cast_names_its_type() {
    let x = f32s(&[2], &[1.7, -2.2]);
    for (name, dtype) in [("INT32", DType::I32), ("DOUBLE", DType::F64), ("BOOL", DType::Bool)] {
        let found = node_of(5, "Cast", vec![text("to", name)], std::slice::from_ref(&x)).unwrap();
        assert_eq!(found.dtype(), dtype);
    }
    let error = node_of(5, "Cast", vec![text("to", "int32")], std::slice::from_ref(&x)).unwrap_err();
    assert!(error.contains("names no element type"), "{error}");
    node_of(6, "Cast", vec![text("to", "INT32")], &[x]).unwrap_err();
}

#[test]
fn defaults_and_norms_are_those_of_their_version() {
    let x = f32s(&[1], &[-1.0]);
    let unit = |gamma: f64, alpha: f64| gamma * alpha * (-1f64).exp_m1();
    same(node_of(1, "Selu", vec![], std::slice::from_ref(&x)), &[1], &[unit(1.0507, 1.6732)]);
    assert_ne!(
        node_of(6, "Selu", vec![], std::slice::from_ref(&x)).unwrap(),
        node_of(1, "Selu", vec![], &[x]).unwrap()
    );
    let x = f32s(&[1, 1, 2, 2], &[1.0, -4.0, 9.0, 16.0]);
    let root = (1.0f64 + 8.0 + 27.0 + 64.0).powf(1.0 / 1.5);
    same(node_of(1, "GlobalLpPool", vec![float("p", 1.5)], std::slice::from_ref(&x)), &[1, 1, 1, 1], &[root]);
    same(node_of(1, "GlobalLpPool", vec![], std::slice::from_ref(&x)), &[1, 1, 1, 1], &[354f64.sqrt()]);
    let window = vec![ints("kernel_shape", &[2, 2]), float("p", 1.5)];
    same(node_of(1, "LpPool", window, std::slice::from_ref(&x)), &[1, 1, 1, 1], &[root]);
    for p in [0, -1] {
        let error = node_of(2, "GlobalLpPool", vec![int("p", p)], std::slice::from_ref(&x)).unwrap_err();
        assert!(error.contains("must be positive"), "{error}");
    }
}

#[test]
fn nothing_is_dropped_in_use() {
    let x = f32s(&[2], &[1.0, 2.0]);
    same(node_of(1, "Dropout", vec![int("is_test", 1)], std::slice::from_ref(&x)), &[2], &[1.0, 2.0]);
    same(node_of(6, "Dropout", vec![float("ratio", 0.0)], std::slice::from_ref(&x)), &[2], &[1.0, 2.0]);
    assert!(node_of(6, "Dropout", vec![], std::slice::from_ref(&x)).unwrap_err().contains("at random"));
    same(node_of(7, "Dropout", vec![], &[x]), &[2], &[1.0, 2.0]);
}

#[test]
fn normalisation_may_be_of_each_place() {
    let x = f32s(&[1, 1, 2], &[3.0, 8.0]);
    let of = |list: &[f64]| f32s(&[1, 2], list);
    let args = [x.clone(), of(&[1.0, 2.0]), of(&[0.5, 1.0]), of(&[1.0, 2.0]), of(&[4.0, 9.0])];
    for opset in [1, 6, 8] {
        let attributes = vec![int("spatial", 0), float("epsilon", 0.0), int("is_test", 1)];
        same(node_of(opset, "BatchNormalization", attributes, &args), &[1, 1, 2], &[1.5, 5.0]);
    }
    let one = |it: f64| f32s(&[1], &[it]);
    let args = [x, one(1.0), one(0.5), one(1.0), one(4.0)];
    let attributes = vec![float("epsilon", 0.0), ints("consumed_inputs", &[0, 0, 0, 1, 1])];
    same(node_of(1, "BatchNormalization", attributes, &args), &[1, 1, 2], &[1.5, 4.0]);
}

#[test]
fn images_were_scaled_by_two_numbers() {
    let x = f32s(&[1, 1, 1, 2], &[1.0, 2.0]);
    let by = |height, width| vec![float("height_scale", height), float("width_scale", width)];
    same(
        node_of(1, "Upsample", by(2.0, 1.5), std::slice::from_ref(&x)),
        &[1, 1, 2, 3],
        &[1.0, 1.0, 2.0, 1.0, 1.0, 2.0],
    );
    assert!(
        node_of(1, "Upsample", by(1.0, 0.5), std::slice::from_ref(&x))
            .unwrap_err()
            .contains("must be 1 or more")
    );
    assert!(node_of(1, "Upsample", vec![], &[x]).unwrap_err().contains("`height_scale` is missing"));
}

/// What shrinks takes the element after a position, as ONNX Runtime does and as the example of the specification.
#[test]
fn the_first_resize_rounds_by_direction() {
    let x = f32s(&[1, 1, 2, 4], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    let resize = node("Resize", &["x", "s"], &["y"], vec![text("mode", "nearest")]);
    let scales = [1.0, 1.0, 0.6, 0.6];
    let known = graph(
        vec![f32_input("x", &[1, 1, 2, 4])],
        vec![f32_tensor("s", &[4], &scales)],
        vec![resize],
        &["y"],
    );
    same(Ok(eval(model(10, known), std::slice::from_ref(&x)).unwrap().remove(0)), &[1, 1, 1, 2], &[1.0, 3.0]);
    // Both directions, the scales given at run time.
    let scales = f32s(&[4], &[1.0, 1.0, 2.0, 0.5]);
    let expected = [1.0, 3.0, 1.0, 3.0, 5.0, 7.0, 5.0, 7.0];
    same(node_of(10, "Resize", vec![text("mode", "nearest")], &[x, scales]), &[1, 1, 4, 2], &expected);
}

#[test]
fn experiments_of_the_first_versions_are_read() {
    let x = f32s(&[2], &[-1.0, 2.0]);
    let two = |alpha, beta| vec![float("alpha", alpha), float("beta", beta)];
    same(node_of(1, "Affine", two(2.0, 1.0), std::slice::from_ref(&x)), &[2], &[-1.0, 5.0]);
    same(node_of(1, "Scale", vec![float("scale", 3.0)], std::slice::from_ref(&x)), &[2], &[-3.0, 6.0]);
    let curve = |f: fn(f64) -> f64| [2.0 * f(-0.5), 2.0 * f(1.0)];
    same(node_of(1, "ScaledTanh", two(2.0, 0.5), std::slice::from_ref(&x)), &[2], &curve(f64::tanh));
    let softplus = |it: f64| it.exp().ln_1p();
    same(node_of(1, "ParametricSoftplus", two(2.0, 0.5), std::slice::from_ref(&x)), &[2], &curve(softplus));
    let bias = floats("bias", &[1.0, 2.0]);
    let scaled: Vec<f64> = (-8..16).map(|it| 2.0 * f64::from(it) + if it < 4 { 1.0 } else { 2.0 }).collect();
    same(node_of(1, "ImageScaler", vec![float("scale", 2.0), bias], &[image()]), &[1, 2, 3, 4], &scaled);
    let middle = [-7.0, -6.0, -3.0, -2.0, 5.0, 6.0, 9.0, 10.0];
    same(node_of(1, "Crop", vec![ints("border", &[1, 0, 1, 1])], &[image()]), &[1, 2, 2, 2], &middle);
    let corner = [-3.0, -2.0, 1.0, 2.0, 9.0, 10.0, 13.0, 14.0];
    let sized = vec![ints("border", &[1, 1, 0, 0]), ints("scale", &[2, 2])];
    same(node_of(1, "Crop", sized, &[image()]), &[1, 2, 2, 2], &corner);
    assert!(node_of(1, "Crop", vec![ints("border", &[1])], &[image()]).unwrap_err().contains("4 numbers"));
    node_of(10, "Affine", two(2.0, 1.0), &[x]).unwrap_err();
}

/// Files of the first two versions of the format name no operator set: it is the first.
#[test]
fn the_earliest_files_are_of_the_first_operator_set() {
    let concat = node("Concat", &["x", "x"], &["y"], vec![]);
    let mut proto = model(1, graph(vec![f32_input("x", &[1, 2])], vec![], vec![concat], &["y"]));
    proto.opset_import.clear();
    proto.ir_version = 2;
    same(
        Ok(eval(proto.clone(), &[f32s(&[1, 2], &[1.0, 2.0])]).unwrap().remove(0)),
        &[1, 4],
        &[1.0, 2.0, 1.0, 2.0],
    );
    proto.ir_version = 3;
    assert!(eval(proto.clone(), &[]).unwrap_err().contains("does not say which version"));
    proto.opset_import = vec![OperatorSetIdProto { domain: String::new(), version: 0 }];
    assert!(eval(proto, &[]).unwrap_err().contains("older than the oldest supported, 1"));
}
