//! Shadow comparison: what is returned is of the legacy path, and faults of the dataflow path are said.

use orogen::Builder;
use orogen::compare::Limits;
use orogen::ir::flow::Rhs;
use orogen::prelude::*;
use orogen::runtime::{RunOptions, Value};
use orogen::shadow::{Seen, ShadowDifference};
use orogen::tensors::{to_data, to_tensor};

const MODEL: &str = "graph @g(%x: f32[4], %n: i32[4]) {
  %0 = exp(%x)
  %1 = sub(%0, %x)
  %2 = add(%n, %n)
  return y = %1, m = %2
}
";

/// One operator of the dataflow IR becomes another one.
struct Mistakes(&'static str, &'static str);

impl Pass<Module> for Mistakes {
    fn name(&self) -> &'static str {
        "planted"
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let (from, to) = (cx.ops.get(self.0), cx.ops.get(self.1));
        module.edit(cx.ops, |editor| -> Result<(), Diagnostic> {
            for id in editor.bindings() {
                let Rhs::Op { op, args, attrs } = editor.binding(id).rhs.clone() else { continue };
                if op == from {
                    editor.set_rhs(id, Rhs::Op { op: to, attrs, args })?;
                }
            }
            Ok(())
        })?;
        Ok(Changed::Yes)
    }
}

/// Refuses every module.
struct Refuses;

impl Pass<Module> for Refuses {
    fn name(&self) -> &'static str {
        "refuses"
    }

    fn run(&self, _: &mut Module, _: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        Err(Diagnostic::error("X001", "it is planted").into())
    }
}

/// Adds a pass to the dataflow path alone.
fn planted(pass: impl Pass<Module> + 'static) -> impl FnOnce(&mut Builder) {
    |builder| {
        builder.flow_pass(Place::after("canonicalize"), pass);
    }
}

fn called(plant: impl FnOnce(&mut Builder), x: [f64; 4]) -> Seen {
    let mut builder = Compiler::builder();
    plant(&mut builder);
    let compiler = builder.build().unwrap_or_else(|it| panic!("{it}"));
    let model = compiler.decode("g.graph", MODEL.into()).expect("it is a text");
    let shadow = compiler.shadow(&model, &CompileOptions::default(), Limits::default());
    let shadow = shadow.unwrap_or_else(|it| panic!("{it}"));
    let tensor = |dtype, list: [f64; 4]| {
        Value::Tensor(to_tensor(&TensorData::from_f64(dtype, &[4], list)).expect("a small tensor"))
    };
    let mut inputs = [tensor(DType::F32, x), tensor(DType::I32, [1.0, 2.0, 3.0, 4.0])];
    let seen = shadow.call("main", &mut inputs, RunOptions::default());
    // Whatever the dataflow path does, the result is that of the legacy path.
    let results = seen.result.as_ref().unwrap_or_else(|it| panic!("{it}"));
    let Value::Tensor(m) = &results[1] else { panic!("{results:?}") };
    assert_eq!(to_data(m).expect("integers").to_f64(), [2.0, 4.0, 6.0, 8.0]);
    let Value::Tensor(y) = &results[0] else { panic!("{results:?}") };
    let y = to_data(y).expect("floats").to_f64();
    assert!(y.iter().zip(x).all(|(y, x)| (y - (x.exp() - x)).abs() < 1e-5), "{y:?}");
    seen
}

#[test]
fn paths_that_agree_differ_in_nothing() {
    assert!(called(|_| {}, [0.0, 1.0, -1.0, 2.0]).differences.is_empty());
}

#[test]
fn a_fault_of_the_dataflow_path_is_said_and_not_returned() {
    let x = [0.5, 1.0, -1.0, 2.0];
    for (from, to, output) in [("sub", "add", "y"), ("exp", "tanh", "y")] {
        let seen = called(planted(Mistakes(from, to)), x);
        let names: Vec<&str> = seen
            .differences
            .iter()
            .map(|it| if let ShadowDifference::Output { name, .. } = it { name.as_str() } else { "" })
            .collect();
        assert_eq!(names, [output], "{:?}", seen.differences);
        let warning = seen.differences[0].diagnostic();
        assert_eq!(warning.code, "D043");
        assert!(warning.message.contains("output `y`: max error"), "{warning}");
        assert!(warning.help.is_some_and(|it| it.contains("bisect")));
    }
    // Integers too: they are equal or not.
    let seen = called(planted(Mistakes("add", "mul")), x);
    assert!(matches!(&seen.differences[..], [ShadowDifference::Output { name, .. }] if name == "m"));
    // A fault that these inputs do not show is none that can be said.
    let seen = called(planted(Mistakes("sub", "add")), [0.0; 4]);
    assert!(seen.differences.is_empty(), "{:?}", seen.differences);
}

#[test]
fn what_the_dataflow_path_refuses_runs_and_is_said() {
    let seen = called(planted(Refuses), [0.0; 4]);
    assert!(matches!(&seen.differences[..], [ShadowDifference::Refused(_)]), "{:?}", seen.differences);
    let said = seen.differences[0].to_string();
    assert!(said.contains("refuses the model: X001: it is planted"), "{said}");
}

#[test]
fn what_the_legacy_path_refuses_is_its_error() {
    let compiler = Compiler::standard();
    let text = "module @m { sym n fn @main(%x: Tensor<f32, [n]>) -> (y) { dataflow { %y = exp(%x) yield %y } return %y } }";
    let model = compiler.decode("m.flow", text.into()).expect("it is a text");
    let refused = compiler.shadow(&model, &CompileOptions::default(), Limits::default());
    assert!(refused.is_err_and(|it| it.0[0].code == "D019"));
}
