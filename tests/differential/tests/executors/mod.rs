//! A module of the dataflow IR on every executor of that path.

#![allow(dead_code, unreachable_pub, reason = "each suite uses its part")]

use orogen::{CompileOptions, Compiler, Entry, Lowered, Model, OptIn, State, Step};
use orogen_differential::{chaos, tensors};
use orogen_reference::{EvalErrorKind, Host, Value, eval_function_with, eval_plan_values};
use orogen_runtime::Value as Passed;
use std::path::Path;

pub fn passed(value: &Value) -> Passed {
    match value {
        Value::Tensor(it) => Passed::Tensor(tensors::to_runtime(it).expect("a tensor")),
        Value::Sequence(items) => Passed::Array(items.iter().map(passed).collect()),
        Value::None => Passed::None,
        other => panic!("{other:?} is not passed"),
    }
}

pub fn received(value: Passed) -> Value {
    match value {
        Passed::Tensor(it) => Value::Tensor(tensors::from_runtime(&it).expect("a tensor")),
        Passed::Array(items) => Value::Sequence(items.into_iter().map(received).collect()),
        Passed::None => Value::None,
        other => panic!("{} is not received", other.kind()),
    }
}

/// The module on every executor.
pub struct Executors {
    compiler: Compiler,
    lowered: Vec<(Step, Lowered)>,
    /// The compiled module.
    pub library: orogen::Library,
}

impl Executors {
    /// A module of the folder `objects`.
    pub fn of(name: &str, states: Vec<State>) -> Self {
        let model = Model::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/objects").join(name));
        let model = model.unwrap_or_else(|it| panic!("{it}"));
        let options = CompileOptions {
            opt_in: OptIn::DataflowIr,
            entry: Entry::Ledger,
            verify: true,
            states,
            ..CompileOptions::default()
        };
        let compiler = chaos::compiler().unwrap_or_else(|it| panic!("{it}"));
        let steps = [Step::Import, Step::Simplify, Step::Legalize, Step::Fuse, Step::PlanMemory];
        let lower =
            |step| compiler.lower(&model, &options, step).unwrap_or_else(|it| panic!("{step}: {it}")).0;
        let lowered = steps.into_iter().map(|step| (step, lower(step))).collect();
        let artifact = compiler.compile(&model, &options).unwrap_or_else(|it| panic!("{it}"));
        chaos::note(&artifact);
        Executors { library: artifact.load().expect("it loads"), compiler, lowered }
    }

    /// What the code says; a function of several outputs gives them as one array.
    fn call(&self, function: &str, args: &[Value], outputs: Option<usize>) -> Result<Vec<Value>, String> {
        let function = self.library.function(function).expect("a function");
        let args: Vec<Passed> = args.iter().map(passed).collect();
        match function.call(&args).map_err(|it| it.to_string())? {
            Passed::Array(results) if outputs != Some(1) => Ok(results.into_iter().map(received).collect()),
            one => Ok(vec![received(one)]),
        }
    }

    /// What every executor says, which is one thing.
    pub fn agree(&self, function: &str, args: &[Value]) -> Result<Vec<Value>, EvalErrorKind> {
        let host = Host::new();
        let mut first = None;
        for (step, lowered) in &self.lowered {
            let found = match lowered {
                Lowered::Flow(module) => {
                    eval_function_with(&host, self.compiler.ops(), module, function, args)
                }
                Lowered::Plan(plans) => eval_plan_values(&host, plans, function, args),
                Lowered::Graph(_) => panic!("a module stays on the dataflow path"),
            };
            let found = found.map_err(|it| it.kind);
            let expected = first.get_or_insert_with(|| found.clone());
            assert_eq!(&found, expected, "{function}/{step}");
        }
        let expected = first.expect("an executor");
        let found = self.call(function, args, expected.as_ref().ok().map(Vec::len));
        match (&expected, found) {
            (Ok(expected), Ok(found)) => assert_eq!(&found, expected, "{function}/code"),
            (Err(EvalErrorKind::OutOfRange), Err(found)) => {
                assert!(found.contains("out of range"), "{function}/code: {found}");
            }
            (Err(_), Err(_)) => {}
            (expected, found) => panic!("{function}/code: {found:?} instead of {expected:?}"),
        }
        expected
    }
}
