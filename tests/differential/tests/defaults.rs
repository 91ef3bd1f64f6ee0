//! Initializers that the model lists as inputs too: inputs with a default, at no cost to who leaves it as it is.

mod protos;

use orogen::{CompileOptions, Compiler, LowerReport, Lowered, Model, OptIn, State, Step};
use orogen_differential::tensors;
use orogen_ir::diag::Diagnostics;
use orogen_ir::ops::OpRegistry;
use orogen_ir::plan::{BufferRef, CallPlan, PlanModule, Step as PlanStep};
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::*;
use orogen_reference::{Value, eval_function, eval_graph, eval_plans};
use orogen_runtime::{RunOptions, Tensor, Value as Given};
use protos::{model, plain_node, value};

fn floats(name: &str, dims: &[i64], list: &[f32]) -> TensorProto {
    let (dims, float_data) = (dims.to_vec(), list.to_vec());
    TensorProto { name: name.into(), dims, data_type: data_type::FLOAT, float_data, ..TensorProto::default() }
}

fn ints(name: &str, list: &[i64]) -> TensorProto {
    let (dims, int64_data) = (vec![list.len() as i64], list.to_vec());
    TensorProto { name: name.into(), dims, data_type: data_type::INT64, int64_data, ..TensorProto::default() }
}

fn numbers(name: &str, dims: &[i64]) -> ValueInfoProto {
    value(name, data_type::FLOAT, dims)
}

/// A model with outputs named `y`, `z`, as far as there are nodes that give them.
fn graph(input: Vec<ValueInfoProto>, initializer: Vec<TensorProto>, node: Vec<NodeProto>) -> ModelProto {
    let given = |name: &&str| node.iter().any(|it| it.output.iter().any(|it| it == name));
    let output = ["y", "z"].into_iter().filter(given);
    let output = output.map(|it| ValueInfoProto { name: it.into(), r#type: None }).collect();
    model("", GraphProto { node, name: "g".into(), initializer, input, output, ..GraphProto::default() })
}

fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    plain_node("", op, inputs, &[output])
}

/// `y = x + k`, where `k` is [1, 2] unless a caller says otherwise. The file lists it first.
fn sum() -> ModelProto {
    graph(
        vec![numbers("k", &[2]), numbers("x", &[2])],
        vec![floats("k", &[2], &[1.0, 2.0])],
        vec![node("Add", &["x", "k"], "y")],
    )
}

fn opened<T>(proto: &ModelProto, check: impl FnOnce(&Model) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, proto.to_bytes()).unwrap();
    check(&Model::open(&file).unwrap_or_else(|it| panic!("{it}")))
}

fn lowered(
    proto: &ModelProto,
    options: &CompileOptions,
    last: Step,
) -> Result<(Lowered, LowerReport), Diagnostics> {
    opened(proto, |model| Compiler::standard().lower(model, options, last))
}

fn plans(proto: &ModelProto, options: &CompileOptions) -> Result<(PlanModule, Vec<String>), Diagnostics> {
    match lowered(proto, options, Step::PlanMemory)? {
        (Lowered::Plan(plans), report) => {
            Ok((plans, report.remarks.iter().map(ToString::to_string).collect()))
        }
        _ => panic!("lowering ended before the plan"),
    }
}

fn options(opt_in: OptIn, overridden: &[&str]) -> CompileOptions {
    let overridden = overridden.iter().map(|it| (*it).to_owned()).collect();
    CompileOptions { opt_in, overridden, verify: true, ..CompileOptions::default() }
}

const PATHS: [OptIn; 2] = [OptIn::Legacy, OptIn::DataflowIr];

fn names(plan: &CallPlan) -> Vec<(&str, bool)> {
    plan.inputs.iter().map(|it| (it.name.as_str(), it.default_value().is_some())).collect()
}

/// What generated code gives for these inputs, which are those of the signature in order.
fn run(
    proto: &ModelProto,
    options: &CompileOptions,
    given: &[&[Option<&[f32]>]],
) -> Vec<Result<Vec<f32>, String>> {
    let artifact = opened(proto, |model| Compiler::standard().compile(model, options));
    let library = artifact.unwrap_or_else(|it| panic!("{it}")).load().unwrap_or_else(|it| panic!("{it}"));
    let once = |given: &&[Option<&[f32]>]| {
        let tensor = |it: &[f32]| Tensor::from_slice(&[it.len() as i64], it).unwrap();
        let value = |it: &Option<&[f32]>| it.map_or(Given::None, |it| tensor(it).into());
        let mut given: Vec<Given> = given.iter().map(value).collect();
        let outputs = library.call_values("main", &mut given, RunOptions::default());
        let output = outputs.map_err(|it| it.to_string())?.remove(0).into_tensor().unwrap();
        Ok(tensors::from_runtime(&output).unwrap().to_f64().into_iter().map(|it| it as f32).collect())
    };
    given.iter().map(once).collect()
}

#[test]
fn what_nobody_overrides_is_a_constant() {
    for path in PATHS {
        let (module, remarks) = plans(&sum(), &options(path, &[])).expect("compiled");
        let [open, fixed] = &module.functions[..] else { panic!("two versions") };
        assert_eq!((names(open), names(fixed)), (vec![("x", false), ("k", true)], vec![("x", false)]));
        assert!(open.at_defaults.is_some_and(|it| it.0 == 1) && fixed.private);
        assert!(remarks.is_empty(), "{remarks:?}");
        let reads = |plan: &CallPlan, buffer: &dyn Fn(&BufferRef) -> bool| {
            plan.steps.iter().any(|it| matches!(it, PlanStep::Kernel { args, .. } if args.iter().any(buffer)))
        };
        assert!(reads(fixed, &|it| matches!(it, BufferRef::Constant(_))), "a constant, which can be packed");
        assert!(!reads(open, &|it| matches!(it, BufferRef::Constant(_))));
        assert_eq!(module.constants().map(|it| it.len()), Some(1), "both versions read the same one");

        let (x, k): (&[f32], &[f32]) = (&[5.0, 6.0], &[100.0, 200.0]);
        let results = run(&sum(), &options(path, &[]), &[&[Some(x)], &[Some(x), None], &[Some(x), Some(k)]]);
        assert_eq!(results, [Ok(vec![6.0, 8.0]), Ok(vec![6.0, 8.0]), Ok(vec![105.0, 206.0])]);
    }
}

/// At every level the interpreters take the default for what is left out.
#[test]
fn interpreters_take_defaults() {
    let ops = OpRegistry::standard();
    let data = |list: [f64; 2]| TensorData::from_f64(DType::F32, &[2], list);
    for path in PATHS {
        for step in [Step::Import, Step::FoldConstants, Step::Fuse, Step::PlanMemory] {
            let (lowered, _) = lowered(&sum(), &options(path, &[]), step).expect("lowered");
            for (given, expected) in
                [(vec![data([5.0, 6.0])], [6.0, 8.0]), (vec![data([5.0, 6.0]), data([1.0, 0.5])], [6.0, 6.5])]
            {
                let outputs = match &lowered {
                    Lowered::Graph(graph) => eval_graph(&ops, graph, &given).unwrap(),
                    Lowered::Flow(module) => {
                        let given: Vec<Value> = given.into_iter().map(Value::from).collect();
                        let outputs = eval_function(&ops, module, "main", &given).unwrap();
                        outputs.iter().map(|it| it.as_tensor().unwrap().clone()).collect()
                    }
                    Lowered::Plan(plans) => eval_plans(plans, "main", &given).unwrap(),
                };
                assert_eq!(outputs[0].to_f64(), expected, "{path:?} {step:?}");
            }
        }
    }
}

/// Before version 4 every initializer had to be listed.
#[test]
fn old_files_mean_nothing_by_it() {
    for path in PATHS {
        let old = ModelProto { ir_version: 3, ..sum() };
        let (module, remarks) = plans(&old, &options(path, &[])).expect("compiled");
        assert_eq!((module.functions.len(), names(&module.functions[0])), (1, vec![("x", false)]));
        assert!(remarks.is_empty(), "{remarks:?}");
        let (module, _) = plans(&old, &options(path, &["k"])).expect("compiled");
        assert_eq!(names(&module.functions[0]), [("x", false), ("k", true)]);
        let error = plans(&old, &options(path, &["x"])).expect_err("x has no default").to_string();
        assert!(error.contains("X013") && error.contains("`k`"), "{error}");
    }
}

/// A sum and a reshaped one: `to` decides a shape.
fn reshaped() -> ModelProto {
    graph(
        vec![numbers("x", &[4]), numbers("k", &[4]), value("to", data_type::INT64, &[1])],
        vec![floats("k", &[4], &[1.0; 4]), ints("to", &[-1])],
        vec![node("Add", &["x", "k"], "s"), node("Reshape", &["s", "to"], "y")],
    )
}

#[test]
fn what_decides_a_shape_stays_unless_it_is_named() {
    for path in PATHS {
        let (module, remarks) = plans(&reshaped(), &options(path, &[])).expect("compiled");
        assert_eq!(names(&module.functions[0]), [("x", false), ("k", true)]);
        assert!(remarks.iter().any(|it| it.contains("D015") && it.contains("--override to")), "{remarks:?}");
    }
    let refused = plans(&reshaped(), &options(OptIn::Legacy, &["to"])).expect_err("static").to_string();
    assert!(refused.contains("G002"), "{refused}");
    let open = options(OptIn::DataflowIr, &["to"]);
    let (module, _) = plans(&reshaped(), &open).expect("compiled");
    assert_eq!(names(&module.functions[0]), [("x", false), ("k", true), ("to", true)]);
    let results =
        run(&reshaped(), &open, &[&[Some(&[1.0, 2.0, 3.0, 4.0])], &[Some(&[1.0; 4]), Some(&[2.0; 4])]]);
    assert_eq!(results, [Ok(vec![2.0, 3.0, 4.0, 5.0]), Ok(vec![3.0; 4])]);
}

/// A megabyte and more of weights would be in the library twice.
#[test]
fn large_initializers_stay_unless_they_are_named() {
    let n = 520;
    let weights = vec![0.5; n * n];
    let proto = graph(
        vec![numbers("x", &[1, n as i64]), numbers("w", &[n as i64, n as i64]), numbers("b", &[n as i64])],
        vec![floats("w", &[n as i64, n as i64], &weights), floats("b", &[n as i64], &vec![0.0; n])],
        vec![node("MatMul", &["x", "w"], "m"), node("Add", &["m", "b"], "y")],
    );
    for path in PATHS {
        let (module, remarks) = plans(&proto, &options(path, &[])).expect("compiled");
        assert_eq!((module.functions.len(), names(&module.functions[0])), (1, vec![("x", false)]));
        assert!(remarks.iter().any(|it| it.contains("2 inputs") && it.contains("D015")), "{remarks:?}");
        // Who names one of them has not asked for the other.
        let (module, remarks) = plans(&proto, &options(path, &["w"])).expect("compiled");
        assert_eq!(names(&module.functions[0]), [("x", false), ("w", true), ("b", true)]);
        assert!(remarks.is_empty(), "{remarks:?}");
    }
}

/// A branch that the default decides, and another value decides otherwise.
#[test]
fn a_default_may_decide_a_branch() {
    let branch = |op: &str| GraphProto {
        node: vec![node(op, &["x"], "r")],
        name: op.into(),
        output: vec![numbers("r", &[2])],
        ..GraphProto::default()
    };
    let attribute = |name: &str, op| attribute::graph(name, branch(op));
    let mut decide = node("If", &["c"], "y");
    decide.attribute = vec![attribute("then_branch", "Neg"), attribute("else_branch", "Relu")];
    let yes = TensorProto {
        name: "c".into(),
        data_type: data_type::BOOL,
        int32_data: vec![1],
        ..TensorProto::default()
    };
    let proto = graph(vec![numbers("x", &[2]), value("c", data_type::BOOL, &[])], vec![yes], vec![decide]);
    let (module, remarks) = plans(&proto, &options(OptIn::DataflowIr, &[])).expect("compiled");
    assert_eq!(names(&module.functions[0]), [("x", false), ("c", true)], "{remarks:?}");
    let data = |list: [f64; 2]| TensorData::from_f64(DType::F32, &[2], list);
    let no = TensorData::from_f64(DType::Bool, &[], [0.0]);
    let at_default = eval_plans(&module, "main", &[data([1.0, -2.0])]).unwrap();
    let otherwise = eval_plans(&module, "main", &[data([1.0, -2.0]), no]).unwrap();
    assert_eq!((at_default[0].to_f64(), otherwise[0].to_f64()), (vec![-1.0, 2.0], vec![1.0, 0.0]));
    // The static graph has no branches: it keeps the value, and says why.
    let (module, remarks) = plans(&proto, &options(OptIn::Legacy, &[])).expect("compiled");
    assert_eq!(names(&module.functions[0]), [("x", false)]);
    assert!(
        remarks.iter().any(|it| it.contains("D015") && it.contains("with inputs in their place")),
        "{remarks:?}"
    );
}

/// State is memory of the caller, which is given or there is none.
#[test]
fn state_has_no_default() {
    for path in PATHS {
        let state = State { input: "k".into(), output: "y".into() };
        let options = CompileOptions { states: vec![state], ..options(path, &[]) };
        let (module, _) = plans(&sum(), &options).expect("compiled");
        assert_eq!(
            (module.functions.len(), names(&module.functions[0])),
            (1, vec![("k", false), ("x", false)])
        );
    }
}
