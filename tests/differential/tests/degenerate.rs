//! Degenerate forms of every operator that the importer knows, on both paths: operands and results that are missing,
//! unnamed, repeated or too many, extents of 0 and 1, rank 0, attributes that are missing, empty or extreme.
//!
//! A form is made from a node that is right: one of the operator cases of the importer, or one of a few made here. It
//! ends in a diagnostic, or every executor computes what the reference interpreter computes from the imported model.
//! A panic or the end of the process is a failure; the trial of an operator names the form.

mod protos;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use orogen::{Model, Step};
use orogen_differential::{Executor, Expected, Reference, Way, compare};
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::*;
use orogen_onnx::{OpTable, dtype_of};
use protos::{data_for, model, plain_node, shape, value};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Largest error, relative to the largest magnitude of an output.
const TOLERANCE: f64 = 5e-3;

fn main() {
    let arguments = Arguments::from_args();
    let cases = cases();
    let table = OpTable::standard();
    let trials = table.iter().map(|(domain, op, _)| {
        let node = |it: &Form| {
            let node = it.node();
            (node.domain.as_str(), node.op_type.as_str()) == (domain, op)
        };
        let base = cases.iter().find(|it| node(it)).cloned();
        let (domain, op) = (domain.to_string(), op.to_string());
        Trial::test(format!("{domain}{}{op}", if domain.is_empty() { "" } else { "." }), move || {
            let mut forms: Vec<Form> = base.iter().flat_map(degenerate).collect();
            forms.extend(base);
            forms.extend(arities(&domain, &op));
            check(&forms).map_err(|error| Failed::from(format!("{error:#}")))
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// A model of one node with data for its inputs.
#[derive(Clone)]
struct Form {
    name: String,
    proto: ModelProto,
    inputs: Expected,
}

impl Form {
    fn graph(&self) -> &GraphProto {
        self.proto.graph.as_deref().expect("a form has a graph")
    }

    fn node(&self) -> &NodeProto {
        &self.graph().node[0]
    }

    /// The same form, changed.
    fn changed(&self, name: String, change: impl FnOnce(&mut GraphProto)) -> Form {
        let mut form = self.clone();
        form.name = name;
        let graph = form.proto.graph.as_deref_mut().expect("a form has a graph");
        change(graph);
        // Every result that has a name is an output; a model without any returns something else.
        graph.node.truncate(1);
        let mut outputs: Vec<String> =
            graph.node[0].output.iter().filter(|it| !it.is_empty()).cloned().collect();
        if outputs.is_empty() {
            graph.initializer.push(TensorProto { raw_data: Some(vec![0; 4].into()), ..f32_tensor("other") });
            graph.node.push(plain_node("", "Identity", &["other"], &["same"]));
            outputs.push("same".into());
        }
        graph.output =
            outputs.into_iter().map(|name| ValueInfoProto { name, ..ValueInfoProto::default() }).collect();
        form
    }

    /// The same form with other dimensions of the operand called `operand`.
    fn with_dims(&self, name: String, operand: &str, dims: &[i64]) -> Form {
        let mut form = self.changed(name, |graph| {
            for tensor in graph.initializer.iter_mut().filter(|it| it.name == operand) {
                let data = data_for(dtype_of(tensor.data_type).unwrap_or(DType::F32), dims);
                *tensor = TensorProto {
                    name: tensor.name.clone(),
                    data_type: tensor.data_type,
                    dims: dims.to_vec(),
                    raw_data: Some(data.bytes().to_vec().into()),
                    ..TensorProto::default()
                };
            }
            for input in graph.input.iter_mut().filter(|it| it.name == operand) {
                if let Some(tensor) = input.r#type.as_mut().and_then(|it| it.tensor_type.as_mut()) {
                    tensor.shape = Some(shape(dims));
                }
            }
        });
        if let Some(data) = form.inputs.get_mut(operand) {
            *data = data_for(data.dtype(), dims);
        }
        form
    }

    /// Dimensions of an operand.
    fn dims_of(&self, operand: &str) -> Option<Vec<i64>> {
        let of_constant = self.graph().initializer.iter().find(|it| it.name == operand);
        let of_input = self.inputs.get(operand).map(|it| it.dims().iter().map(|it| *it as i64).collect());
        of_constant.map(|it| it.dims.clone()).or(of_input)
    }
}

fn f32_tensor(name: &str) -> TensorProto {
    TensorProto { name: name.into(), data_type: data_type::FLOAT, ..TensorProto::default() }
}

/// The operator cases of the importer; a file holds its operands as initializers `in:NAME`.
fn cases() -> Vec<Form> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../frontends/onnx/tests/node");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder of cases")
        .map(|it| it.expect("an entry").path())
        .filter(|it| it.extension().is_some_and(|it| it == "onnx"))
        .collect();
    files.sort();
    let mut cases: Vec<Form> = files.iter().filter_map(|it| case(it)).collect();
    assert!(cases.len() > 200, "{} cases", cases.len());
    cases.push(counted_loop());
    cases
}

fn case(file: &Path) -> Option<Form> {
    let mut proto = ModelProto::from_bytes(&std::fs::read(file).ok()?)?;
    let graph = proto.graph.as_deref_mut()?;
    let mut inputs = Expected::new();
    for tensor in &graph.initializer {
        let Some(name) = tensor.name.strip_prefix("in:") else { continue };
        let dims = tensor.dims.iter().map(|it| it.unsigned_abs()).collect();
        let bytes = tensor.raw_data.clone()?.to_vec();
        inputs
            .insert(name.into(), TensorData::new(dtype_of(tensor.data_type).ok()?, dims, bytes.into()).ok()?);
    }
    graph.initializer.retain(|it| !it.name.contains(':'));
    graph.input.retain(|input| graph.initializer.iter().all(|it| it.name != input.name));
    let name = file.file_stem()?.to_str()?.to_string();
    Some(Form { name, proto, inputs })
}

/// A loop of two turns that carries a value and collects another.
fn counted_loop() -> Form {
    let named = |name: &str| ValueInfoProto { name: name.into(), r#type: None };
    let body = GraphProto {
        node: vec![
            plain_node("", "Identity", &["on"], &["go"]),
            plain_node("", "Add", &["a", "a"], &["b"]),
            plain_node("", "Identity", &["b"], &["c"]),
        ],
        name: "body".into(),
        input: vec![
            value("turn", data_type::INT64, &[]),
            value("on", data_type::BOOL, &[]),
            value("a", data_type::FLOAT, &[2]),
        ],
        output: vec![named("go"), named("b"), named("c")],
        ..GraphProto::default()
    };
    let mut node = plain_node("", "Loop", &["limit", "start", "x"], &["last", "all"]);
    node.attribute.push(attribute::graph("body", body));
    let constant = |name: &str, data_type: i32, bytes: Vec<u8>| TensorProto {
        name: name.into(),
        data_type,
        raw_data: Some(bytes.into()),
        ..TensorProto::default()
    };
    let graph = GraphProto {
        node: vec![node],
        name: "g".into(),
        initializer: vec![
            constant("limit", data_type::INT64, 2i64.to_le_bytes().to_vec()),
            constant("start", data_type::BOOL, vec![1]),
        ],
        input: vec![value("x", data_type::FLOAT, &[2])],
        output: vec![named("last"), named("all")],
        ..GraphProto::default()
    };
    Form {
        name: "loop".into(),
        proto: model("", graph),
        inputs: [("x".to_string(), data_for(DType::F32, &[2]))].into_iter().collect(),
    }
}

/// A node without attributes with 0 to 4 operands of one type, constants or not, and 0 to 3 results.
fn arities(domain: &str, op: &str) -> Vec<Form> {
    let mut forms = Vec::new();
    let kinds =
        [(data_type::FLOAT, DType::F32, [1, 2, 4, 4].as_slice()), (data_type::INT64, DType::I64, &[2])];
    for (number, dtype, dims) in kinds {
        for (operands, results) in [(0, 1), (1, 0), (1, 1), (1, 3), (2, 1), (3, 1), (4, 1)] {
            let name = format!("{operands} operands of {dtype}, {results} results");
            let names: Vec<String> = (0..operands).map(|i| format!("x{i}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let outputs = ["y0", "y1", "y2"];
            let graph = GraphProto {
                node: vec![plain_node(domain, op, &names, &outputs[..results])],
                name: "g".into(),
                input: names.iter().map(|it| value(it, number, dims)).collect(),
                ..GraphProto::default()
            };
            let inputs = names.iter().map(|it| ((*it).to_string(), data_for(dtype, dims))).collect();
            let form = Form { name: name.clone(), proto: model(domain, graph), inputs };
            forms.push(form.changed(name, |_| {}));
        }
    }
    forms
}

/// All degenerate forms of a node that is right.
fn degenerate(base: &Form) -> Vec<Form> {
    let (node, case) = (base.node(), &base.name);
    let (operands, results) = (node.input.len(), node.output.len());
    let mut forms = Vec::new();
    let mut of_node = |what: String, change: &dyn Fn(&mut NodeProto)| {
        forms.push(base.changed(format!("{case}, {what}"), |graph| change(&mut graph.node[0])));
    };
    for i in 0..operands {
        of_node(format!("{i} operands"), &|node| node.input.truncate(i));
        of_node(format!("operand {i} unnamed"), &|node| node.input[i].clear());
    }
    if operands > 0 {
        of_node("one operand more".into(), &|node| node.input.push(node.input[0].clone()));
        of_node("the first operand everywhere".into(), &|node| {
            let first = node.input[0].clone();
            node.input.fill(first);
        });
    }
    for i in 0..results {
        of_node(format!("{i} results"), &|node| node.output.truncate(i));
        of_node(format!("result {i} unnamed"), &|node| node.output[i].clear());
    }
    of_node("one result more".into(), &|node| node.output.push("more".into()));
    of_node("two results more, one unnamed".into(), &|node| {
        node.output.extend([String::new(), "more".to_string()]);
    });
    for i in 0..node.attribute.len() {
        let attribute = &node.attribute[i];
        let name = &attribute.name;
        let kind = attribute.kind;
        of_node(format!("no `{name}`"), &|node| {
            node.attribute.remove(i);
        });
        match kind {
            attribute_type::INT => {
                for number in [0, -1, i64::MAX, i64::MIN] {
                    of_node(format!("`{name}` = {number}"), &|node| node.attribute[i].i = number);
                }
            }
            attribute_type::FLOAT => {
                for number in [0.0, -1.0, f32::INFINITY] {
                    of_node(format!("`{name}` = {number}"), &|node| node.attribute[i].f = number);
                }
            }
            attribute_type::INTS => {
                of_node(format!("`{name}` empty"), &|node| node.attribute[i].ints.clear());
                of_node(format!("`{name}` longer"), &|node| node.attribute[i].ints.push(1));
                for number in [0, -1, i64::MAX, i64::MIN] {
                    of_node(format!("`{name}` all {number}"), &|node| node.attribute[i].ints.fill(number));
                }
            }
            attribute_type::STRING => {
                of_node(format!("`{name}` empty"), &|node| node.attribute[i].s = Vec::new().into());
            }
            _ => {}
        }
    }
    for operand in node.input.iter().filter(|it| !it.is_empty()) {
        let Some(dims) = base.dims_of(operand) else { continue };
        let mut with = |what: String, dims: &[i64]| {
            forms.push(base.with_dims(format!("{case}, `{operand}` {what}"), operand, dims));
        };
        for axis in 0..dims.len() {
            let mut one = dims.clone();
            one[axis] = 0;
            with(format!("with dimension {axis} of size 0"), &one);
            one[axis] = 1;
            with(format!("with dimension {axis} of size 1"), &one);
        }
        with("of rank 0".into(), &[]);
        with("of rank 0 but for one dimension".into(), &[1]);
        with("with all dimensions 0".into(), &vec![0; dims.len()]);
    }
    forms
}

/// Whether a form runs without end, as it says: a loop without a limit, whose condition stays true.
fn endless(form: &Form) -> bool {
    let node = form.node();
    node.op_type == "Loop" && node.input.first().is_none_or(String::is_empty)
}

/// Checks forms in a folder of their own.
fn check(forms: &[Form]) -> Result<()> {
    ensure!(!forms.is_empty(), "there is no form");
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("model.onnx");
    let mut failures = Vec::new();
    for form in forms.iter().filter(|it| !endless(it)) {
        std::fs::write(&file, form.proto.to_bytes())?;
        let found = catch_unwind(AssertUnwindSafe(|| agrees(form, &file)));
        let error = match found {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => format!("{error:#}"),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                format!("panic: {}", text.or(panic.downcast_ref::<&str>().copied()).unwrap_or_default())
            }
        };
        failures.push(format!("{}: {error}", form.name));
    }
    match failures.is_empty() {
        true => Ok(()),
        false => bail!("{} of {} forms\n{}", failures.len(), forms.len(), failures.join("\n")),
    }
}

/// Every executor ends in an error or computes what the imported model says.
fn agrees(form: &Form, file: &Path) -> Result<()> {
    let Ok(model) = Model::open(file) else { return Ok(()) };
    let reference =
        Reference { name: form.name.clone(), inputs: form.inputs.clone(), outputs: Expected::new() };
    let run = |executor: Executor| executor.run_model(&model, std::slice::from_ref(&reference));
    let expected = run(Executor::Reference(Way::Native, Step::Import));
    for executor in [
        Executor::Reference(Way::Legacy, Step::Import),
        Executor::Reference(Way::Native, Step::PlanMemory),
        Executor::Reference(Way::Legacy, Step::PlanMemory),
        Executor::Jit(Way::Native),
        Executor::Jit(Way::Legacy),
    ] {
        let found = match run(executor) {
            Ok(found) => found,
            // What a pass broke is a defect, not a diagnostic for the user.
            Err(error) if format!("{error:#}").contains("error[V001]") => bail!("{executor}: {error:#}"),
            Err(error) if expected.is_ok() && error.to_string().starts_with("running ") => {
                bail!("{executor} fails where the reference does not: {error:#}")
            }
            Err(_) => continue,
        };
        let Ok(expected) = &expected else { continue };
        let worst = compare(&found[0], &expected[0]).with_context(|| executor.to_string())?;
        ensure!(
            worst.error <= TOLERANCE,
            "{executor}: the error of `{}` is {:.2e}",
            worst.output,
            worst.error
        );
    }
    Ok(())
}
