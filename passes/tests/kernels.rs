//! Kernels that are no programs, through both drivers: functions of the host keep their place and their name, and what
//! they change is copied before.

use orogen_ir::flow::{self, Module};
use orogen_ir::graph;
use orogen_ir::ops::OpRegistry;
use orogen_ir::plan::{CallPlan, Step, print_plan, verify};
use orogen_ir::types::{Attrs, DType, TensorData};
use orogen_passes::bridge::translate;
use orogen_passes::flow::{Fuse, Legalize, plan_memory};
use orogen_passes::manager::{Ir, Pass, PassCx};
use orogen_passes::rules::legalize::LegalizeTable;
use orogen_reference::{Host, Value, eval_function_with, eval_plan_with};

/// `y = by · x`, and `count + 1`.
fn host() -> Host<'static> {
    Host::new().with("acme.scale", |args: &[TensorData], attrs: &Attrs| {
        let by = attrs.float("by").ok_or("no factor")?;
        let y = args[0].to_f64().into_iter().map(|it| by * it);
        let y = TensorData::from_f64(DType::F32, args[0].dims(), y);
        Ok(vec![TensorData::ints(&[args[1].get_i64(0) + 1]), y])
    })
}

fn floats(dims: &[u64]) -> TensorData {
    let count: u64 = dims.iter().product();
    TensorData::from_f64(DType::F32, dims, (0..count).map(|i| i as f64 * 0.25 - 1.0))
}

fn planned(module: &mut Module) -> CallPlan {
    let ops = OpRegistry::standard();
    let mut cx = PassCx::new(&ops);
    let legalize = Legalize::new(LegalizeTable::standard(&ops));
    legalize.run(module, &mut cx).unwrap_or_else(|it| panic!("{it}"));
    Fuse.run(module, &mut cx).unwrap_or_else(|it| panic!("{it}"));
    Ir::verify(module, &ops).unwrap_or_else(|it| panic!("{it}"));
    let plans = plan_memory(&ops, module, &[]).unwrap_or_else(|it| panic!("{it}"));
    let plan = plans.entry().expect("`main`").clone();
    verify(&plan).unwrap_or_else(|it| panic!("{}\n{it}", print_plan(&plan).text));
    plan
}

/// The kernel called `exp` is the user's: the one of the operator gets another name.
const FLOW: &str = "module @m {
  sym n
  extern @exp = \"acme.scale\" with {by = 0.5} {
    size rows
    in %x: f32[rows, 4]
    inout %count: i64[1]
    out %y: f32[rows, 4]
  }
  fn @main(%x: Tensor<f32, [n, 4]>, %c: Tensor<i64, [1]>) -> (y: Tensor<f32, [4*n]>, c: Tensor<i64, [1]>, d: Tensor<i64, [1]>) !abort {
    dataflow {
      %a = exp(%x) : Tensor<f32, [n, 4]>
      %b = relu(%a) : Tensor<f32, [n, 4]>
      %d, %e = call @exp(%b, %c) [n] : Tensor<i64, [1]>, Tensor<f32, [n, 4]>
      %f = exp(%e) : Tensor<f32, [n, 4]>
      %g = view(%f) : Tensor<f32, [4*n]>
      %h = add(%c, %d) : Tensor<i64, [1]>
      yield %d, %g, %h
    }
    return %g, %d, %h
  }
}
";

#[test]
fn externs_go_through_the_dataflow_driver() {
    let ops = OpRegistry::standard();
    let mut module = flow::text::parse(FLOW, &ops).unwrap_or_else(|it| panic!("{it}"));
    module.verify(&ops).unwrap_or_else(|it| panic!("{it}"));
    let before = module.clone();
    let plan = planned(&mut module);
    let names: Vec<&str> = plan.kernels.iter().map(|it| it.name()).collect();
    assert!(names.contains(&"exp") && names.len() == 4, "{names:?}");
    for n in [0, 1, 5] {
        let inputs = [floats(&[n, 4]), TensorData::ints(&[7])];
        let args: Vec<Value> = inputs.iter().cloned().map(Value::Tensor).collect();
        let wanted = eval_function_with(&host(), &ops, &before, "main", &args).unwrap();
        let wanted: Vec<&TensorData> = wanted.iter().filter_map(Value::as_tensor).collect();
        let found = eval_plan_with(&host(), &plan, &inputs).unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{}", print_plan(&plan).text);
        // The operand of what is changed keeps its value: it is added afterwards.
        assert_eq!(found[2], TensorData::ints(&[15]));
    }
}

#[test]
fn externs_go_through_the_graph_driver_and_the_bridge() {
    let text = "graph @m(%x: f32[2, 4], %c: i64[1]) {
  extern @scale = \"acme.scale\" with {by = 0.5} {
    in %x: f32[2, 4]
    inout %count: i64[1]
    out %y: f32[2, 4]
  }
  %0 = kernel @scale(%x, %c) : i64[1], f32[2, 4]
  return c = %0, y = %0.1
}
";
    let ops = OpRegistry::standard();
    let graph = graph::text::parse(text, &ops).unwrap_or_else(|it| panic!("{it}"));
    Ir::verify(&graph, &ops).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(graph::text::print(&graph, &ops), text);
    let old = orogen_passes::graph::plan_memory(&graph, "main", &[]).unwrap_or_else(|it| panic!("{it}"));
    verify(&old).unwrap_or_else(|it| panic!("{}\n{it}", print_plan(&old).text));
    let mut module = translate(&graph, &ops).unwrap_or_else(|it| panic!("{it}"));
    let new = planned(&mut module);
    let x = floats(&[2, 4]);
    let y = TensorData::from_f64(DType::F32, &[2, 4], x.to_f64().into_iter().map(|it| it * 0.5));
    for plan in [&old, &new] {
        let found = eval_plan_with(&host(), plan, &[x.clone(), TensorData::ints(&[7])]).unwrap();
        assert_eq!(found, [TensorData::ints(&[8]), y.clone()], "{}", print_plan(plan).text);
        assert!(plan.steps.iter().any(|it| matches!(it, Step::Copy { .. })), "the operand is copied");
    }
    let effects = text.replace("{by = 0.5} {", "{by = 0.5} !io {");
    let graph = graph::text::parse(&effects, &ops).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(Ir::verify(&graph, &ops).unwrap_err().0[0].code, "G015", "a graph has no order");
}
