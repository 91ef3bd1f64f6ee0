//! Nodes that are known to be right: the operator cases of the importer. An operator of which there is one is drawn from
//! it, with other operands of the same types and dimensions, so that a new operator is drawn as soon as it has a case.

use crate::attributes::tensor_data;
use crate::draw::{Draft, Draw};
use crate::value::Rounding;
use orogen_ir::types::TensorData;
use orogen_onnx::proto::*;
use std::path::{Path, PathBuf};

/// A node and elements for its operands.
#[derive(Clone, Debug)]
struct Case {
    node: NodeProto,
    /// The operands that the case has as constants, and those that it has as inputs.
    operands: Vec<(String, TensorData, bool)>,
}

/// All cases.
#[derive(Debug)]
pub(crate) struct Cases(Vec<Case>);

impl Cases {
    /// Reads the folder of the importer's tests.
    pub(crate) fn read() -> Cases {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../frontends/onnx/tests/node");
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        let mut files: Vec<PathBuf> = entries.filter_map(|it| Some(it.ok()?.path())).collect();
        files.retain(|it| it.extension().is_some_and(|it| it == "onnx"));
        files.sort();
        Cases(files.iter().filter_map(|it| case(it)).collect())
    }

    /// The cases of an operator, by number.
    pub(crate) fn of(&self, domain: &str, name: &str) -> Vec<usize> {
        let of = |it: &Case| it.node.domain == domain && it.node.op_type == name;
        (0..self.0.len()).filter(|at| of(&self.0[*at])).collect()
    }
}

fn case(file: &Path) -> Option<Case> {
    let proto = ModelProto::from_bytes(&std::fs::read(file).ok()?)?;
    let graph = proto.graph?;
    let [node] = &graph.node[..] else { return None };
    let mut operands = Vec::new();
    for tensor in &graph.initializer {
        if tensor.name.starts_with("out:") {
            continue;
        }
        let data = tensor_data(tensor)?;
        let (name, constant) = match tensor.name.strip_prefix("in:") {
            Some(name) => (name, false),
            None => (tensor.name.as_str(), true),
        };
        operands.push((name.to_owned(), data, constant));
    }
    Some(Case { node: node.clone(), operands })
}

/// A node like one that is known to be right: a float operand is a value of the model of that type and these dimensions where
/// there is one.
pub(crate) fn like_case(draw: &mut Draw<'_>, domain: &str, name: &str) -> Option<Draft> {
    let all = draw.setup.cases.of(domain, name);
    if all.is_empty() {
        return None;
    }
    let at = draw.pick(&all);
    let case = draw.setup.cases.0[at].clone();
    let mut node = case.node;
    for input in node.input.iter_mut().filter(|it| !it.is_empty()) {
        let (_, data, constant) = case.operands.iter().find(|it| it.0 == *input)?.clone();
        let dims: Vec<_> = data.dims().iter().map(|it| draw.fixed(*it)).collect();
        let there = match data.dtype().is_float() && !constant {
            true => draw.found(|it, dtype| dtype == data.dtype() && it.dims().as_deref() == Some(&dims)),
            false => None,
        };
        let id = there.unwrap_or_else(|| match constant {
            true => draw.constant(data),
            false => draw.input(data),
        });
        *input = draw.name(id).to_owned();
    }
    Some(Draft { node, rounding: Rounding::Function })
}
