//! Convolutions, pools, interpolation, and what networks of them are normalised by.

use super::protos::{float, int, ints, text};
use super::{check, check_on, check_open, distinct, floats, list, node};
use anyhow::Result;
use orogen_differential::Way;
use orogen_onnx::proto::{AttributeProto, NodeProto};

fn square() -> NodeProto {
    node("Mul", &["t", "t"], "y", Vec::new())
}

/// Sizes of the operand and of the weights, and attributes.
type Form = (&'static [i64], &'static [i64], Vec<AttributeProto>);

fn convolutions() -> Vec<Form> {
    let group = |it| int("group", it);
    let (strides, dilations) = (|it: &[i64]| ints("strides", it), |it: &[i64]| ints("dilations", it));
    let pads = |it: &[i64]| ints("pads", it);
    vec![
        (&[2, 3, 7], &[4, 3, 3], vec![]),
        (&[1, 2, 8], &[3, 2, 3], vec![strides(&[2]), pads(&[1, 1])]),
        (&[1, 2, 9], &[2, 2, 2], vec![strides(&[3]), dilations(&[2]), pads(&[0, 1])]),
        (&[2, 4, 5, 4], &[6, 2, 3, 2], vec![group(2), pads(&[1, 0, 1, 1])]),
        (&[1, 3, 6, 5], &[3, 1, 2, 3], vec![group(3), strides(&[2, 2]), dilations(&[2, 1])]),
        (&[1, 2, 4, 3, 4], &[2, 2, 2, 1, 3], vec![strides(&[1, 2, 1]), pads(&[0, 0, 1, 1, 0, 1])]),
        (&[1, 2, 7, 6], &[2, 2, 3, 3], vec![strides(&[2, 2]), text("auto_pad", "SAME_UPPER")]),
    ]
}

#[test]
fn convolutions_of_every_form() -> Result<()> {
    for (x, w, attributes) in convolutions() {
        let nodes = [node("Conv", &["a", "w", "b"], "t", attributes), square()];
        let operands = [("a", floats(x, -0.3)), ("w", floats(w, -0.4)), ("b", floats(&w[..1], 0.2))];
        check("Conv", &nodes, &operands, &["a", "w", "b"])?;
    }
    Ok(())
}

#[test]
fn transposed_convolutions_of_every_form() -> Result<()> {
    let extra = |it: &[i64]| ints("output_padding", it);
    let mut forms = convolutions();
    forms.truncate(6);
    // Weights are [operand channels, channels of a group, …].
    forms[0].1 = &[3, 2, 3];
    forms[1].1 = &[2, 3, 3];
    forms[1].2.push(extra(&[1]));
    forms[3].1 = &[4, 3, 3, 2];
    forms[4].2.push(extra(&[1, 0]));
    for (x, w, attributes) in forms {
        let group = attributes.iter().find(|it| it.name == "group").map_or(1, |it| it.i);
        let nodes = [node("ConvTranspose", &["a", "w", "b"], "t", attributes), square()];
        let operands = [("a", floats(x, -0.3)), ("w", floats(w, -0.4)), ("b", floats(&[w[1] * group], 0.2))];
        check("ConvTranspose", &nodes, &operands, &["a", "w", "b"])?;
    }
    Ok(())
}

#[test]
fn sizes_that_are_not_known() -> Result<()> {
    let open = |size| match size {
        5 => Some("batch"),
        8 => Some("length"),
        _ => None,
    };
    let operands = [("a", distinct(&[5, 2, 8], -0.3)), ("w", floats(&[3, 2, 3], -0.4))];
    for stride in [1, 2] {
        let attributes = vec![ints("strides", &[stride]), ints("pads", &[1, 1])];
        let nodes = [node("Conv", &["a", "w"], "t", attributes), square()];
        check_open(&open, "Conv", &nodes, &operands, &["a", "w"])?;
    }
    for op in ["MaxPool", "AveragePool"] {
        let attributes = vec![ints("kernel_shape", &[3]), ints("strides", &[2]), ints("pads", &[1, 1])];
        let nodes = [node(op, &["a"], "t", attributes), square()];
        check_open(&open, op, &nodes, &operands[..1], &["a"])?;
    }
    let nodes = [node("Softmax", &["a"], "t", Vec::new()), square()];
    check_open(&open, "Softmax", &nodes, &operands[..1], &["a"])
}

#[test]
fn pools() -> Result<()> {
    let forms: [Form; 6] = [
        (&[2, 3, 8], &[3], vec![]),
        (&[1, 2, 7, 6], &[3, 2], vec![ints("strides", &[2, 3]), ints("pads", &[1, 0, 1, 1])]),
        (&[1, 2, 7, 6], &[3, 2], vec![ints("strides", &[2, 2]), int("ceil_mode", 1)]),
        (&[1, 1, 7, 5], &[2, 2], vec![ints("dilations", &[2, 3]), ints("pads", &[1, 1, 1, 1])]),
        (&[1, 2, 4, 3, 4], &[2, 2, 2], vec![ints("pads", &[1, 0, 0, 0, 1, 1])]),
        (&[1, 2, 5, 5], &[2, 2], vec![ints("strides", &[2, 2]), text("auto_pad", "SAME_LOWER")]),
    ];
    for (x, kernel, attributes) in forms {
        for op in ["MaxPool", "AveragePool", "mean with padding", "LpPool"] {
            let mut attributes = attributes.clone();
            attributes.push(ints("kernel_shape", kernel));
            let name = if op == "mean with padding" {
                attributes.push(int("count_include_pad", 1));
                "AveragePool"
            } else {
                op
            };
            let nodes = [node(name, &["a"], "t", attributes), square()];
            check(op, &nodes, &[("a", distinct(x, 0.1))], &["a"])?;
        }
    }
    for op in ["GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool"] {
        check(
            op,
            &[node(op, &["a"], "t", Vec::new()), square()],
            &[("a", distinct(&[2, 3, 4], 0.1))],
            &["a"],
        )?;
    }
    Ok(())
}

#[test]
fn interpolation() -> Result<()> {
    let a = [("a", floats(&[1, 2, 4, 5], 0.1))];
    for mode in ["nearest", "linear", "cubic"] {
        for coordinates in ["half_pixel", "asymmetric", "align_corners"] {
            let attributes = vec![text("mode", mode), text("coordinate_transformation_mode", coordinates)];
            let nodes =
                [list("s", &[1, 2, 7, 3]), node("Resize", &["a", "", "", "s"], "t", attributes), square()];
            check_on(&[Way::Native], mode, &nodes, &a, &["a"])?;
        }
    }
    Ok(())
}

#[test]
fn statistics_of_channels() -> Result<()> {
    let operands = [
        ("a", floats(&[3, 2, 4], 0.1)),
        ("s", floats(&[2], 0.3)),
        ("b", floats(&[2], 0.7)),
        ("m", floats(&[2], 0.2)),
        ("v", floats(&[2], 0.5)),
    ];
    let nodes = [node("BatchNormalization", &["a", "s", "b", "m", "v"], "t", Vec::new()), square()];
    check("BatchNormalization", &nodes, &operands, &["a", "s", "b", "m", "v"])?;
    let mut trained =
        node("BatchNormalization", &["a", "s", "b", "m", "v"], "t", vec![int("training_mode", 1)]);
    trained.output.extend(["rm".to_string(), "rv".to_string()]);
    let nodes = [trained, node("Tanh", &["t"], "y", Vec::new())];
    check("training", &nodes, &operands, &["a", "s", "b"])?;
    let operands = [("a", floats(&[2, 4, 3], 0.1)), ("s", floats(&[4], 0.3)), ("b", floats(&[4], 0.7))];
    let nodes = [node("GroupNormalization", &["a", "s", "b"], "t", vec![int("num_groups", 2)]), square()];
    check("GroupNormalization", &nodes, &operands, &["a", "s", "b"])?;
    let operands = [("a", floats(&[2, 4, 3], 0.1)), ("s", floats(&[3], 0.3))];
    let nodes = [node("RMSNormalization", &["a", "s"], "t", Vec::new()), square()];
    check("RMSNormalization", &nodes, &operands, &["a", "s"])?;
    for (op, attributes) in [
        ("LpNormalization", vec![int("p", 2)]),
        ("LRN", vec![int("size", 3), float("alpha", 0.5)]),
        ("MeanVarianceNormalization", vec![ints("axes", &[0, 2])]),
    ] {
        let nodes = [node(op, &["a"], "t", attributes), node("Exp", &["t"], "y", Vec::new())];
        check(op, &nodes, &operands[..1], &["a"])?;
    }
    Ok(())
}
