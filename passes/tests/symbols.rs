//! Sizes that are known only on the way: what binds them in a plan, and what is refused. Each module is lowered, its
//! plan verified, and run at several sizes beside the interpreter of modules.

use orogen_ir::flow::{Module, text};
use orogen_ir::ops::OpRegistry;
use orogen_ir::plan::{CallPlan, Step, print_plan, verify};
use orogen_ir::types::{DType, TensorData};
use orogen_passes::flow::{Legalize, plan_memory};
use orogen_passes::manager::{Pass, PassCx};
use orogen_passes::rules::legalize::LegalizeTable;
use orogen_reference::{Value, eval_function, eval_plan};

fn module(text: &str) -> Module {
    let ops = OpRegistry::standard();
    let module = text::parse(text, &ops).unwrap_or_else(|it| panic!("{it}"));
    module.verify(&ops).unwrap_or_else(|it| panic!("{it}"));
    module
}

fn legalized(text: &str) -> Module {
    let ops = OpRegistry::standard();
    let mut module = module(text);
    let pass = Legalize::new(LegalizeTable::standard(&ops));
    pass.run(&mut module, &mut PassCx::new(&ops)).unwrap_or_else(|it| panic!("{it}"));
    module
}

fn floats(dims: &[u64]) -> TensorData {
    let count: u64 = dims.iter().product();
    TensorData::from_f64(DType::F32, dims, (0..count).map(|i| i as f64 * 0.25 - 1.0))
}

fn planned(text: &str) -> CallPlan {
    let plans =
        plan_memory(&OpRegistry::standard(), &legalized(text), &[]).unwrap_or_else(|it| panic!("{it}"));
    plans.entry().expect("`main`").clone()
}

/// Lowers a module and runs it on each list of inputs; returns the plan.
fn agrees(text: &str, runs: &[Vec<TensorData>]) -> CallPlan {
    let ops = OpRegistry::standard();
    let before = module(text);
    let plan = planned(text);
    let printed = print_plan(&plan).text;
    verify(&plan).unwrap_or_else(|it| panic!("{printed}\n{it}"));
    for inputs in runs {
        let args: Vec<Value> = inputs.iter().cloned().map(Value::Tensor).collect();
        let wanted = eval_function(&ops, &before, "main", &args).unwrap_or_else(|it| panic!("{it}"));
        let wanted: Vec<&TensorData> = wanted.iter().filter_map(Value::as_tensor).collect();
        let found = eval_plan(&plan, inputs).unwrap_or_else(|it| panic!("{printed}\n{it}"));
        assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{printed}");
    }
    plan
}

fn refused(text: &str) -> String {
    // The laws refuse it already.
    let module = text::parse(text, &OpRegistry::standard()).unwrap_or_else(|it| panic!("{it}"));
    assert!(module.verify(&OpRegistry::standard()).unwrap_err().iter().any(|it| it.code == "F007"));
    let problem = plan_memory(&OpRegistry::standard(), &module, &[]).expect_err("this has no plan");
    assert_eq!(problem.iter().map(|it| it.code).collect::<Vec<_>>(), ["M008"], "{problem}");
    problem.to_string()
}

#[test]
fn a_loop_binds_the_sizes_that_it_carries() {
    let text = "module @m {
  sym c, d, n
  fn @main(%x: Tensor<f32, [n, 3]>, %limit: Tensor<i64, []>) -> (y: Tensor<f32, [c, d]>, z: Tensor<f32, [2*c, d]>) {
    dataflow {
      %zero = const i64[] [0] : Tensor<i64, [], [0]>
      %one = const i64[] [1] : Tensor<i64, [], [1]>
      yield %zero, %one
    }
    effect {
      %count, %last = while (%zero, %x) cond (%i: Tensor<i64, []>, %a: Tensor<f32, [c, d]>) {
        dataflow {
          %more = less(%i, %limit) : Tensor<bool, []>
          yield %more
        }
        return %more
      } body (%j: Tensor<i64, []>, %b: Tensor<f32, [c, d]>) {
        dataflow {
          %next = add(%j, %one) : Tensor<i64, []>
          %doubled = add(%b, %b) : Tensor<f32, [c, d]>
          yield %next, %doubled
        }
        return %next, %doubled
      } : Tensor<i64, []>, Tensor<f32, [c, d]>
    }
    dataflow {
      %both = concat(%last, %last) {axis = 0} : Tensor<f32, [2*c, d]>
      yield %both
    }
    return %last, %both
  }
}
";
    let runs: Vec<Vec<TensorData>> = [(4, 2), (1, 0), (0, 3), (3, 1)]
        .into_iter()
        .map(|(n, limit)| {
            vec![floats(&[n, 3]), TensorData::ints(&[limit]).reshaped(vec![]).expect("a scalar")]
        })
        .collect();
    let plan = agrees(text, &runs);
    let lets = plan.steps.iter().filter(|it| matches!(it, Step::Let { .. })).count();
    assert_eq!(lets, 2, "before the loop:\n{}", print_plan(&plan).text);
}

#[test]
fn a_loop_in_a_loop_binds_sizes_again() {
    let text = "module @m {
  sym c, d, n
  fn @main(%x: Tensor<f32, [n]>, %go: Tensor<bool, []>) -> (y: Tensor<f32, [c]>) {
    dataflow {
      %no = const bool[] [false] : Tensor<bool, []>
      yield %no
    }
    effect {
      %g, %y = while (%go, %x) cond (%g0: Tensor<bool, []>, %x0: Tensor<f32, [c]>) {
        return %g0
      } body (%g1: Tensor<bool, []>, %x1: Tensor<f32, [c]>) {
        dataflow {
          %pair = concat(%x1, %x1) {axis = 0} : Tensor<f32, [2*c]>
          yield %pair
        }
        effect {
          %h, %z = while (%g1, %pair) cond (%h0: Tensor<bool, []>, %z0: Tensor<f32, [d]>) {
            return %h0
          } body (%h1: Tensor<bool, []>, %z1: Tensor<f32, [d]>) {
            dataflow {
              %sum = add(%z1, %z1) : Tensor<f32, [d]>
              yield %sum
            }
            return %no, %sum
          } : Tensor<bool, []>, Tensor<f32, [d]>
        }
        dataflow {
          %total = reduce_sum(%z) {axes = [0], keepdims = true} : Tensor<f32, [1]>
          %next = add(%x1, %total) : Tensor<f32, [c]>
          yield %next
        }
        return %no, %next
      } : Tensor<bool, []>, Tensor<f32, [c]>
    }
    return %y
  }
}
";
    let flag = |it: f64| TensorData::from_f64(DType::Bool, &[], [it]);
    let runs = [vec![floats(&[3]), flag(1.0)], vec![floats(&[0]), flag(1.0)], vec![floats(&[5]), flag(0.0)]];
    agrees(text, &runs);
}

#[test]
fn a_branch_binds_the_elements_that_it_returns() {
    let text = "module @m {
  sym joined, n
  fn @main(%x: Tensor<f32, [n, 4]>, %go: Tensor<bool, []>) -> (y: Tensor<f32, [4, joined]>) !abort {
    effect {
      %shape = if %go {
        dataflow {
          %a = shape_of(%x) : Tensor<i64, [2], [n, 4]>
          %zero = const i64[1] [0] : Tensor<i64, [1], [0]>
          %rows = gather(%a, %zero) {axis = 0} : Tensor<i64, [1], [n]>
          yield %rows
        }
        return %rows
      } else {
        dataflow {
          %two = const i64[1] [2] : Tensor<i64, [1], [2]>
          yield %two
        }
        return %two
      } : Tensor<i64, [1], [joined]>
    }
    dataflow {
      %four = const i64[1] [4] : Tensor<i64, [1], [4]>
      %target = concat(%four, %shape) {axis = 0} : Tensor<i64, [2], [4, joined]>
      check 4*n == 4*joined, \"the elements of a reshape\"
      %y = reshape(%x, %target) {allow_zero = true} : Tensor<f32, [4, joined]>
      yield %y
    }
    return %y
  }
}
";
    let flag = |it: f64| TensorData::from_f64(DType::Bool, &[], [it]);
    agrees(text, &[vec![floats(&[3, 4]), flag(1.0)], vec![floats(&[2, 4]), flag(0.0)]]);
    let plan = planned(text);
    let wrong = eval_plan(&plan, &[floats(&[3, 4]), flag(0.0)]).expect_err("3 rows are not 2");
    assert!(wrong.to_string().contains("the elements of a reshape"), "{wrong}");
}

#[test]
fn an_expression_may_stand_before_the_symbol_that_it_needs() {
    let text = "module @m {
  sym k, n, m
  fn @main(%x: Tensor<f32, [n, m]>) -> (y: Tensor<f32, [2*k, k]>) !abort {
    dataflow {
      %a = match_cast(%x) : Tensor<f32, [2*k, k]>
      %y = exp(%a) : Tensor<f32, [2*k, k]>
      yield %y
    }
    return %y
  }
}
";
    let plan = agrees(text, &[vec![floats(&[6, 3])], vec![floats(&[0, 0])]]);
    assert!(eval_plan(&plan, &[floats(&[3, 3])]).is_err(), "3 is not twice 3");
}

#[test]
fn what_nothing_binds_is_refused_where_it_is_needed() {
    let text = "module @m {
  sym s
  extern @make = \"make\" !io {
    size s
    out %x: f32[s]
  }
  fn @main() -> (y: Tensor<f32, [s]>) !abort !io {
    effect {
      %x = call @make() [s] : Tensor<f32, [s]>
    }
    return %x
  }
}
";
    let message = refused(text);
    assert!(message.contains("a size depends on `s`, which is not known here"), "{message}");
    // Not even where no memory is needed for it.
    let empty = text.replace("[s]>", "[s, 0]>").replace("f32[s]", "f32[s, 0]");
    assert!(refused(&empty).contains("`s`"));
}

/// Sizes at which a formula is negative come to no kernel, but memory is taken before that is seen.
#[test]
fn a_size_that_may_be_negative_takes_no_memory_from_others() {
    let text = "module @m {
  sym n
  fn @main(%x: Tensor<f32, [1, 1, n]>, %w: Tensor<f32, [1, 1, 3]>) -> (y: Tensor<f32, [1, 1, n - 2]>) !abort {
    dataflow {
      %a = relu(%x) : Tensor<f32, [1, 1, n]>
      check n - 2 >= 0, \"the window must fit\"
      %b = conv(%a, %w) {strides = [1], pads = [0, 0], dilations = [1], group = 1} : Tensor<f32, [1, 1, n - 2]>
      %c = relu(%b) : Tensor<f32, [1, 1, n - 2]>
      yield %c
    }
    return %c
  }
}
";
    let runs: Vec<Vec<TensorData>> =
        [3, 8, 40].into_iter().map(|n| vec![floats(&[1, 1, n]), floats(&[1, 1, 3])]).collect();
    let plan = agrees(text, &runs);
    let zero = plan.shapes.clone().int(0);
    let mut dims = plan.slots.iter().flat_map(|it| &it.dims);
    assert!(dims.all(|it| plan.shapes.prove_le(zero, *it).is_always()));
}
