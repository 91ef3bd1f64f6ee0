//! Attributes of nodes, each with the kind that its value has.

use super::{AttributeProto, GraphProto, TensorProto, attribute_type};

fn named(name: &str, kind: i32) -> AttributeProto {
    AttributeProto { name: name.into(), kind, ..AttributeProto::default() }
}

/// An integer.
pub fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { i, ..named(name, attribute_type::INT) }
}

/// A number.
pub fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { f, ..named(name, attribute_type::FLOAT) }
}

/// Integers.
pub fn ints(name: &str, list: &[i64]) -> AttributeProto {
    AttributeProto { ints: list.to_vec(), ..named(name, attribute_type::INTS) }
}

/// Numbers.
pub fn floats(name: &str, list: &[f32]) -> AttributeProto {
    AttributeProto { floats: list.to_vec(), ..named(name, attribute_type::FLOATS) }
}

/// A text.
pub fn text(name: &str, it: &str) -> AttributeProto {
    AttributeProto { s: it.as_bytes().to_vec().into(), ..named(name, attribute_type::STRING) }
}

/// Texts.
pub fn texts(name: &str, list: &[&str]) -> AttributeProto {
    let strings = list.iter().map(|it| it.as_bytes().to_vec().into()).collect();
    AttributeProto { strings, ..named(name, attribute_type::STRINGS) }
}

/// A graph.
pub fn graph(name: &str, graph: GraphProto) -> AttributeProto {
    AttributeProto { g: Some(Box::new(graph)), ..named(name, attribute_type::GRAPH) }
}

/// A tensor.
pub fn tensor(name: &str, tensor: TensorProto) -> AttributeProto {
    AttributeProto { t: Some(tensor), ..named(name, attribute_type::TENSOR) }
}
