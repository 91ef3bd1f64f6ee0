//! Changes of bytes and of the structure of ONNX models.

use orogen_ir::generate::Random;
use orogen_onnx::proto::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto,
};

/// Numbers at which arithmetic on sizes and indices goes wrong.
const EDGES: [i64; 18] = [
    0,
    1,
    2,
    3,
    -1,
    -2,
    7,
    64,
    255,
    65536,
    1 << 31,
    -(1 << 31),
    1 << 32,
    1 << 40,
    1 << 62,
    i64::MAX,
    i64::MIN,
    i64::MIN + 1,
];

/// One to four changes of bytes.
pub(crate) fn bytes(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len());
        match random.below(8) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.number() as u8,
            2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            3 => bytes.insert(at, random.number() as u8),
            4 => drop(bytes.remove(at)),
            5 => bytes.truncate(at),
            6 => {
                let end = (at + 1 + random.below(16)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, piece);
            }
            _ => {
                let end = (at + 8).min(bytes.len());
                let edge = random.pick(&EDGES).to_le_bytes();
                bytes[at..end].copy_from_slice(&edge[..end - at]);
            }
        }
    }
}

/// One to three changes of the structure.
pub(crate) fn model(random: &mut Random, model: &mut ModelProto) {
    for _ in 0..=random.below(3) {
        if random.below(24) == 0
            && let Some(import) = model.opset_import.first_mut()
        {
            import.version = 1 + random.below(28) as i64;
        }
        if let Some(graph) = &mut model.graph {
            change_graph(random, graph);
        }
    }
}

fn change_graph(random: &mut Random, graph: &mut GraphProto) {
    match random.below(10) {
        0..6 if !graph.node.is_empty() => {
            let at = random.below(graph.node.len());
            let names = names(graph);
            change_node(random, &mut graph.node[at], &names);
        }
        6 if !graph.node.is_empty() => {
            // The same operation again, on what it made: chains and repeated names.
            let at = random.below(graph.node.len());
            let mut copy = graph.node[at].clone();
            let (Some(input), Some(output)) = (copy.input.first_mut(), copy.output.first_mut()) else {
                return;
            };
            std::mem::swap(input, output);
            let made = format!("{output}_again");
            *output = made.clone();
            graph.node.push(copy);
            if let Some(result) = graph.output.first_mut() {
                result.name = made;
            }
        }
        7 if !graph.initializer.is_empty() => {
            let at = random.below(graph.initializer.len());
            change_tensor(random, &mut graph.initializer[at]);
        }
        8 if !graph.input.is_empty() => {
            let at = random.below(graph.input.len());
            change_info(random, &mut graph.input[at]);
        }
        _ if !graph.output.is_empty() => {
            let at = random.below(graph.output.len());
            let names = names(graph);
            match random.below(3) {
                0 => change_info(random, &mut graph.output[at]),
                1 => graph.output[at].name = names[random.below(names.len())].clone(),
                _ => drop(graph.output.remove(at)),
            }
        }
        _ => {}
    }
}

/// Names of values, and one that nothing defines.
fn names(graph: &GraphProto) -> Vec<String> {
    let mut names = vec!["nothing".to_string(), String::new()];
    names.extend(graph.input.iter().map(|it| it.name.clone()));
    names.extend(graph.initializer.iter().map(|it| it.name.clone()));
    names.extend(graph.node.iter().flat_map(|it| it.output.iter().cloned()));
    names
}

fn change_node(random: &mut Random, node: &mut NodeProto, names: &[String]) {
    let name = |random: &mut Random| names[random.below(names.len())].clone();
    match random.below(12) {
        0..5 if !node.attribute.is_empty() => {
            let at = random.below(node.attribute.len());
            change_attribute(random, &mut node.attribute[at]);
        }
        5 if !node.attribute.is_empty() => {
            drop(node.attribute.remove(random.below(node.attribute.len())));
        }
        6 | 7 if !node.input.is_empty() => {
            let at = random.below(node.input.len());
            node.input[at] = name(random);
        }
        8 => node.input.push(name(random)),
        9 if !node.input.is_empty() => drop(node.input.remove(random.below(node.input.len()))),
        10 => {
            let at = node.output.len();
            node.output.push(format!("more_{at}"));
        }
        _ => {
            let kinds = [
                "Add",
                "Concat",
                "MatMul",
                "Reshape",
                "Gather",
                "Slice",
                "Relu",
                "Softmax",
                "Squeeze",
                "Transpose",
                "ReduceSum",
                "Expand",
                "Conv",
                "Where",
                "Cast",
                "Split",
                "Pad",
                "Resize",
                "Range",
                "Identity",
            ];
            node.op_type = random.pick(&kinds).to_string();
        }
    }
}

fn change_attribute(random: &mut Random, attribute: &mut AttributeProto) {
    match random.below(6) {
        0 | 1 if !attribute.ints.is_empty() => {
            let at = random.below(attribute.ints.len());
            attribute.ints[at] = random.pick(&EDGES);
        }
        2 if !attribute.ints.is_empty() => {
            let at = random.below(attribute.ints.len());
            attribute.ints.remove(at);
        }
        3 => attribute.ints.push(random.pick(&EDGES)),
        _ => match &mut attribute.g {
            Some(graph) => change_graph(random, graph),
            None => match &mut attribute.t {
                Some(tensor) => change_tensor(random, tensor),
                None => {
                    attribute.i = random.pick(&EDGES);
                    attribute.f =
                        random.pick(&[0.0, -0.0, 1.0, -1.0, 1e-38, 3e38, f32::NAN, f32::INFINITY, 0.5]);
                }
            },
        },
    }
}

fn change_tensor(random: &mut Random, tensor: &mut TensorProto) {
    match random.below(5) {
        0 if !tensor.dims.is_empty() => {
            let at = random.below(tensor.dims.len());
            tensor.dims[at] = random.pick(&EDGES);
        }
        1 => tensor.data_type = random.below(24) as i32,
        2 if !tensor.int64_data.is_empty() => {
            let at = random.below(tensor.int64_data.len());
            tensor.int64_data[at] = random.pick(&EDGES);
        }
        _ => match &mut tensor.raw_data {
            Some(raw) if raw.len() >= 8 => {
                let mut bytes = raw.to_vec();
                let at = 8 * random.below(bytes.len() / 8);
                bytes[at..at + 8].copy_from_slice(&random.pick(&EDGES).to_le_bytes());
                *raw = bytes.into();
            }
            _ => tensor.dims.push(random.pick(&EDGES)),
        },
    }
}

fn change_info(random: &mut Random, info: &mut ValueInfoProto) {
    let Some(tensor) = info.r#type.as_mut().and_then(|it| it.tensor_type.as_mut()) else { return };
    let named = ["n", "m", "batch", "n"];
    match (random.below(5), &mut tensor.shape) {
        (0, _) => tensor.elem_type = random.below(24) as i32,
        (1, shape) => *shape = None,
        (2, Some(shape)) if !shape.dim.is_empty() => drop(shape.dim.remove(random.below(shape.dim.len()))),
        (3, Some(shape)) if !shape.dim.is_empty() => {
            let at = random.below(shape.dim.len());
            let value = random.pick(&[0, 1, 2, 3, 5, 8, 17, -1, 1 << 40, i64::MAX]);
            shape.dim[at] = DimensionProto { dim_value: Some(value), ..DimensionProto::default() };
        }
        (_, Some(shape)) => {
            let dim = DimensionProto {
                dim_param: Some(random.pick(&named).to_string()),
                ..DimensionProto::default()
            };
            let at = random.below(shape.dim.len() + 1);
            match shape.dim.get_mut(at) {
                Some(old) => *old = dim,
                None => shape.dim.push(dim),
            }
        }
        (_, None) => {}
    }
}
