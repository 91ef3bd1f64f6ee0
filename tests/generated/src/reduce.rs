//! A model that shows a fault, made small.

use crate::attributes::named;
use crate::draw::close;
use crate::model::Drawn;
use crate::setup::Setup;
use crate::trial::{Finding, run};
use anyhow::{Context, Result};
use orogen_ir::types::{DType, TensorData};
use orogen_npz::{Array, Kind, Writer};
use orogen_onnx::proto::GraphProto;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The fewest nodes and outputs that still show a fault of the same kind on the same executor: one output alone, an earlier
/// one instead of it, values before it as inputs.
pub fn reduce(setup: &Setup, drawn: &Drawn, finding: &Finding) -> (Drawn, Finding) {
    let all: Vec<usize> = (0..drawn.settings.len()).collect();
    let mut found = finding.clone();
    let (small, _) = smallest(drawn, |part, _| match run(setup, part, finding.column, &all) {
        Err(it) if it.outcome == finding.outcome => {
            found = it;
            true
        }
        _ => false,
    });
    (small, found)
}

/// The smallest part of a model of which this holds, and the way to it: which of the parts of each that is in between.
pub fn smallest(drawn: &Drawn, mut shows: impl FnMut(&Drawn, &[usize]) -> bool) -> (Drawn, Vec<usize>) {
    let (mut best, mut way) = (drawn.clone(), Vec::new());
    loop {
        let smaller = best.parts().enumerate().find(|(at, part)| {
            way.push(*at);
            let holds = !part.settings.is_empty() && shows(part, &way);
            if !holds {
                way.pop();
            }
            holds
        });
        match smaller {
            Some((_, part)) => best = part,
            None => return (best, way),
        }
    }
}

impl Drawn {
    /// Models with less than that of this one, those with least first.
    pub fn parts(&self) -> impl Iterator<Item = Drawn> {
        parts(self).into_iter().map(|it| Drawn::of(self.seed, self.opset(), it, self.values.clone()))
    }
}

/// Graphs with less than that of a model, those with least first.
fn parts(drawn: &Drawn) -> Vec<GraphProto> {
    let graph = drawn.graph();
    let size = |it: &GraphProto| (it.node.len(), it.output.len());
    let mut found = Vec::new();
    let mut consider = |mut part: GraphProto| {
        close(&mut part, &drawn.values);
        if size(&part) < size(graph)
            && !part.node.is_empty()
            && part.input.iter().all(|it| it.r#type.is_some())
        {
            found.push(part);
        }
    };
    let tensor = |name: &str| drawn.values.iter().any(|it| it.name == name && it.dtype().is_some());
    let made: Vec<&String> = graph.node.iter().flat_map(|it| &it.output).filter(|it| tensor(it)).collect();
    for name in made {
        consider(GraphProto { output: vec![named(name)], ..graph.clone() });
    }
    for at in 0..graph.node.len() {
        // What the node makes is given instead, where it is something that can be.
        if graph.node[at].output.iter().all(|it| tensor(it)) {
            let mut part = graph.clone();
            let node = part.node.remove(at);
            part.output.retain(|it| !node.output.contains(&it.name));
            consider(part);
        }
    }
    found.sort_by_key(size);
    found
}

/// Writes a model that fails: `model.onnx`, the inputs and what is expected of each setting, and a text that says what is wrong
/// and how to see it again. Takes the place of what was written of the same model and executor before.
///
/// # Errors
/// Files that cannot be written.
pub fn write(folder: &Path, drawn: &Drawn, whole: &Drawn, finding: &Finding) -> Result<PathBuf> {
    let column = finding.column.to_string().replace('/', "-");
    let folder = folder.join(format!("{}-{column}", drawn.seed));
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    std::fs::write(folder.join("model.onnx"), drawn.proto.to_bytes())?;
    std::fs::write(folder.join("whole.onnx"), whole.proto.to_bytes())?;
    for (at, setting) in drawn.settings.iter().enumerate() {
        std::fs::write(folder.join(format!("setting{at}.npz")), arrays(setting)?)?;
    }
    // A larger model may have had more of them.
    let others = (drawn.settings.len()..).map(|at| folder.join(format!("setting{at}.npz")));
    others.take_while(|it| it.exists()).try_for_each(std::fs::remove_file)?;
    let mut text = String::new();
    writeln!(text, "{finding}\n")?;
    writeln!(
        text,
        "cargo xtask generated --seeds {0}..{1} --executor {2}\n",
        drawn.seed,
        drawn.seed + 1,
        finding.column
    )?;
    writeln!(text, "opset {}", drawn.opset())?;
    for setting in &drawn.settings {
        let inputs =
            setting.inputs.inputs.iter().map(|(name, it)| format!("{name}: {} {:?}", it.dtype(), it.dims()));
        writeln!(text, "{}: {}", setting.inputs.name, inputs.collect::<Vec<_>>().join(", "))?;
    }
    writeln!(text)?;
    print(&mut text, drawn.graph(), 0)?;
    std::fs::write(folder.join("report.txt"), text)?;
    Ok(folder)
}

/// Inputs and expected outputs as `run` and `bisect` of the tool take them.
pub(crate) fn arrays(setting: &crate::model::Setting) -> Result<Vec<u8>> {
    let mut writer = Writer::new();
    let inputs = setting.inputs.inputs.iter().map(|it| (format!("in:{}", it.0), it.1));
    let outputs =
        setting.outputs.iter().filter_map(|it| Some((format!("out:{}", it.0), it.1.plain.as_tensor()?)));
    for (name, data) in inputs.chain(outputs) {
        if let Some(array) = array(data) {
            writer.add(&name, &array)?;
        }
    }
    Ok(writer.finish()?)
}

/// An array; none for types that such files do not hold.
fn array(data: &TensorData) -> Option<Array> {
    let size = data.dtype().row().bits / 8;
    let kind = match data.dtype() {
        DType::Bool => Kind::Bool,
        it if it.row().npy.is_none() => return None,
        it if it.is_float() => Kind::Float(size),
        it if it.is_signed_int() => Kind::Signed(size),
        it if it.is_int() => Kind::Unsigned(size),
        _ => return None,
    };
    Some(Array { kind, shape: data.dims().to_vec(), bytes: data.unpacked().to_vec() })
}

/// The nodes of a graph as text, bodies under their nodes.
pub(crate) fn print(text: &mut String, graph: &GraphProto, depth: usize) -> Result<()> {
    let indent = "  ".repeat(depth);
    for node in &graph.node {
        let attributes: Vec<String> =
            node.attribute.iter().filter(|it| it.g.is_none()).map(attribute).collect();
        let (results, domain) = (node.output.join(", "), &node.domain);
        let dot = if domain.is_empty() { "" } else { "." };
        let (op, operands) = (&node.op_type, node.input.join(", "));
        writeln!(text, "{indent}{results} = {domain}{dot}{op}({operands}) {}", attributes.join(" "))?;
        for (name, body) in node.attribute.iter().filter_map(|it| Some((&it.name, it.g.as_deref()?))) {
            let names = |list: &[orogen_onnx::proto::ValueInfoProto]| {
                list.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", ")
            };
            writeln!(text, "{indent}  {name}({}) -> {}", names(&body.input), names(&body.output))?;
            print(text, body, depth + 2)?;
        }
    }
    Ok(())
}

fn attribute(it: &orogen_onnx::proto::AttributeProto) -> String {
    use orogen_onnx::proto::attribute_type as kind;
    let value = match it.kind {
        kind::INT => it.i.to_string(),
        kind::FLOAT => it.f.to_string(),
        kind::STRING => String::from_utf8_lossy(&it.s).into_owned(),
        kind::INTS => format!("{:?}", it.ints),
        kind::FLOATS => format!("{:?}", it.floats),
        _ => "…".to_owned(),
    };
    format!("{}={value}", it.name)
}
