//! What lies where an operand was: updates, elementwise results, carried values of loops, state. Plans are looked at and
//! run beside the interpreter of modules, which copies everything.

use orogen_ir::flow::{FlowBuilder, Module, ValueId, text};
use orogen_ir::generate::Random;
use orogen_ir::ops::{OpRegistry, OpSink};
use orogen_ir::plan::{BufferRef, CallPlan, Step, print_plan, verify};
use orogen_ir::types::{Attrs, DType, TensorData, Type};
use orogen_passes::flow::{Canonicalize, Fuse, Legalize, plan_memory};
use orogen_passes::manager::{Pass, PassCx};
use orogen_passes::rules::legalize::LegalizeTable;
use orogen_passes::rules::state::State;
use orogen_reference::{Value, eval_function, eval_plan};

fn module(text: &str) -> Module {
    let ops = OpRegistry::standard();
    let module = text::parse(text, &ops).unwrap_or_else(|it| panic!("{it}"));
    module.verify(&ops).unwrap_or_else(|it| panic!("{it}"));
    module
}

fn lowered(module: &Module, fuse: bool, states: &[State]) -> CallPlan {
    let ops = OpRegistry::standard();
    let mut module = module.clone();
    let mut cx = PassCx::new(&ops);
    Canonicalize.run(&mut module, &mut cx).unwrap_or_else(|it| panic!("{it}"));
    Legalize::new(LegalizeTable::standard(&ops))
        .run(&mut module, &mut cx)
        .unwrap_or_else(|it| panic!("{it}"));
    if fuse {
        Fuse.run(&mut module, &mut cx).unwrap_or_else(|it| panic!("{it}"));
    }
    let plans = plan_memory(&ops, &module, states).unwrap_or_else(|it| panic!("{it}"));
    let plan = plans.entry().expect("`main`").clone();
    let printed = print_plan(&plan).text;
    verify(&plan).unwrap_or_else(|it| panic!("{printed}\n{it}"));
    let again = orogen_ir::plan::parse_plan(&printed, &plan.constants).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(print_plan(&again).text, printed);
    plan
}

fn floats(dims: &[u64]) -> TensorData {
    let count: u64 = dims.iter().product();
    TensorData::from_f64(DType::F32, dims, (0..count).map(|i| i as f64 * 0.25 - 1.0))
}

fn ints(dims: &[u64], values: &[i64]) -> TensorData {
    TensorData::from_slice(DType::I64, dims, values)
}

fn eval(module: &Module, inputs: &[TensorData]) -> Vec<TensorData> {
    let args: Vec<Value> = inputs.iter().cloned().map(Value::Tensor).collect();
    let found = eval_function(&OpRegistry::standard(), module, "main", &args);
    let found = found.unwrap_or_else(|it| panic!("{it}"));
    found.iter().map(|it| it.as_tensor().expect("a tensor").clone()).collect()
}

/// The plan of a module without state, which gives what the module gives.
fn agrees(text: &str, inputs: &[TensorData]) -> CallPlan {
    let module = module(text);
    let plan = lowered(&module, false, &[]);
    let found = eval_plan(&plan, inputs).unwrap_or_else(|it| panic!("{}\n{it}", print_plan(&plan).text));
    assert_eq!(found, eval(&module, inputs), "{}", print_plan(&plan).text);
    plan
}

/// How many places the slots of a plan have.
fn places(plan: &CallPlan) -> usize {
    let mut places: Vec<_> = plan.slots.iter().map(|it| (it.arena, it.offset)).collect();
    places.sort_unstable();
    places.dedup();
    places.len()
}

/// Copies of a list of steps and of what it repeats: outside of loops, inside.
fn copies(steps: &[Step]) -> (Vec<(BufferRef, BufferRef)>, Vec<(BufferRef, BufferRef)>) {
    let (mut outside, mut inside) = (Vec::new(), Vec::new());
    for step in steps {
        match step {
            Step::Copy { from, to, .. } => outside.push((*from, *to)),
            Step::While { cond_steps, body, .. } => {
                for steps in [cond_steps, body] {
                    let (first, second) = copies(steps);
                    inside.extend(first.into_iter().chain(second));
                }
            }
            Step::If { then_steps, else_steps, .. } => {
                for steps in [then_steps, else_steps] {
                    let (first, second) = copies(steps);
                    outside.extend(first);
                    inside.extend(second);
                }
            }
            _ => {}
        }
    }
    (outside, inside)
}

#[test]
fn an_update_copies_its_operand_only_where_that_is_used_afterwards() {
    let text = |result: &str| {
        format!(
            "module @m {{
  sym n
  fn @main(%x: Tensor<f32, [n, 3]>, %at: Tensor<i64, [2, 1]>, %u: Tensor<f32, [2, 3]>) -> (y: Tensor<f32, [n, 3]>) !abort {{
    dataflow {{
      %a = exp(%x) : Tensor<f32, [n, 3]>
      %b = scatter_nd(%a, %at, %u) : Tensor<f32, [n, 3]>
      %c = scatter_nd(%b, %at, %u) {{reduction = \"add\"}} : Tensor<f32, [n, 3]>
      %d = {result} : Tensor<f32, [n, 3]>
      yield %d
    }}
    return %d
  }}
}}
"
        )
    };
    let inputs = [floats(&[4, 3]), ints(&[2, 1], &[1, -1]), floats(&[2, 3])];
    // Everything is made in the output.
    let plan = agrees(&text("relu(%c)"), &inputs);
    assert_eq!((places(&plan), copies(&plan.steps).0.len()), (0, 0), "{}", print_plan(&plan).text);
    let plan = agrees(&text("add(%c, %b)"), &inputs);
    assert_eq!((places(&plan), copies(&plan.steps).0.len()), (1, 1), "{}", print_plan(&plan).text);
    // Constants and inputs belong to others.
    let direct =
        text("relu(%c)").replace("      %a = exp(%x) : Tensor<f32, [n, 3]>\n", "").replace("%a", "%x");
    let plan = agrees(&direct, &inputs);
    assert_eq!(copies(&plan.steps).0, [(BufferRef::Input(0), BufferRef::Output(0))]);
}

/// A loop that writes one row a turn into a large buffer, and swaps two small values.
const ROWS: &str = "module @m {
  fn @main(%cache: Tensor<f32, [512, 256]>, %row: Tensor<f32, [1, 256]>, %n: Tensor<i64, []>, %a: Tensor<f32, [2]>, %b: Tensor<f32, [2]>) -> (y: Tensor<f32, [512, 256]>, p: Tensor<f32, [2]>) {
    dataflow {
      %zero = const i64[] [0] : Tensor<i64, [], [0]>
      %one = const i64[] [1] : Tensor<i64, [], [1]>
      %column = const i64[1] [0] : Tensor<i64, [1], [0]>
      %shape = const i64[1] [1] : Tensor<i64, [1], [1]>
      %c0 = exp(%cache) : Tensor<f32, [512, 256]>
      yield %zero, %one, %column, %shape, %c0
    }
    effect {
      %i, %y, %p, %q = while (%zero, %c0, %a, %b) cond (%k: Tensor<i64, []>, %c: Tensor<f32, [512, 256]>, %l: Tensor<f32, [2]>, %r: Tensor<f32, [2]>) {
        dataflow {
          %more = less(%k, %n) : Tensor<bool, []>
          yield %more
        }
        return %more
      } body (%k1: Tensor<i64, []>, %c1: Tensor<f32, [512, 256]>, %l1: Tensor<f32, [2]>, %r1: Tensor<f32, [2]>) {
        dataflow {
          %at = reshape(%k1, %shape) : Tensor<i64, [1]>
          %starts = concat(%at, %column) {axis = 0} : Tensor<i64, [2]>
          %new = update_slice(%c1, %row, %starts) : Tensor<f32, [512, 256]>
          %next = add(%k1, %one) : Tensor<i64, []>
          yield %new, %next
        }
        return %next, %new, %r1, %l1
      } : Tensor<i64, []>, Tensor<f32, [512, 256]>, Tensor<f32, [2]>, Tensor<f32, [2]>
    }
    return %y, %p
  }
}
";

#[test]
fn a_loop_that_writes_a_row_moves_a_row() {
    let n = TensorData::from_slice(DType::I64, &[], &[5i64]);
    let inputs = [
        floats(&[512, 256]),
        floats(&[1, 256]),
        n,
        floats(&[2]),
        TensorData::from_f64(DType::F32, &[2], [5.0, 6.0]),
    ];
    let plan = agrees(ROWS, &inputs);
    let printed = print_plan(&plan).text;
    let bytes = |buffer: BufferRef| {
        let mut shapes = plan.shapes.clone();
        let dims = plan.dims(buffer, &mut shapes).expect("a buffer of the plan");
        let bytes = orogen_ir::plan::byte_size(&mut shapes, plan.dtype(buffer).expect("typed"), &dims);
        shapes.as_int(bytes.expect("small")).expect("constant")
    };
    let (_, inside) = copies(&plan.steps);
    // Two that swap take three copies; nothing else is copied.
    let moved: i64 = inside.iter().map(|(_, to)| bytes(*to)).sum();
    assert_eq!((inside.len(), moved), (3, 3 * 8), "{printed}");
    // The buffer is the output from the beginning.
    assert!(plan.slots.iter().all(|it| it.dims.len() < 2), "{printed}");
}

/// A branch that writes a row, and one that keeps or writes another.
#[test]
fn a_carried_value_that_grows_is_copied_once_a_turn() {
    // Both grow by a row, the second one from what was the first; the third one keeps its size.
    let text = "module @m {
  sym c, m, n
  fn @main(%a: Tensor<f32, [n, 3]>, %row: Tensor<f32, [1, 3]>, %limit: Tensor<i64, []>) -> (y: Tensor<f32, [m, 3]>, z: Tensor<f32, [m, 3]>, s: Tensor<f32, [1, 3]>) {
    dataflow {
      %zero = const i64[] [0] : Tensor<i64, [], [0]>
      %one = const i64[] [1] : Tensor<i64, [], [1]>
      yield %zero, %one
    }
    effect {
      %i, %y, %z, %s = while (%zero, %a, %a, %row) cond (%i0: Tensor<i64, []>, %y0: Tensor<f32, [c, 3]>, %z0: Tensor<f32, [c, 3]>, %s0: Tensor<f32, [1, 3]>) {
        dataflow {
          %more = less(%i0, %limit) : Tensor<bool, []>
          yield %more
        }
        return %more
      } body (%i1: Tensor<i64, []>, %y1: Tensor<f32, [c, 3]>, %z1: Tensor<f32, [c, 3]>, %s1: Tensor<f32, [1, 3]>) {
        dataflow {
          %i2 = add(%i1, %one) : Tensor<i64, []>
          %longer = concat(%y1, %s1) {axis = 0} : Tensor<f32, [c + 1, 3]>
          %y2 = neg(%longer) : Tensor<f32, [c + 1, 3]>
          %z2 = concat(%row, %y1) {axis = 0} : Tensor<f32, [c + 1, 3]>
          %s2 = add(%s1, %row) : Tensor<f32, [1, 3]>
          yield %i2, %y2, %z2, %s2
        }
        return %i2, %y2, %z2, %s2
      } : Tensor<i64, []>, Tensor<f32, [m, 3]>, Tensor<f32, [m, 3]>, Tensor<f32, [1, 3]>
    }
    return %y, %z, %s
  }
}
";
    for (rows, turns) in [(2, 3), (0, 2), (1, 0)] {
        let plan = agrees(text, &[floats(&[rows, 3]), floats(&[1, 3]), ints(&[], &[turns])]);
        let (_, inside) = copies(&plan.steps);
        assert_eq!(inside.len(), 2, "{}", print_plan(&plan).text);
    }
}

fn branches(other: &str) -> String {
    format!(
        "module @m {{
  fn @main(%x: Tensor<f32, [64, 8]>, %row: Tensor<f32, [1, 8]>, %p: Tensor<bool, []>) -> (y: Tensor<f32, [64, 8]>) !abort {{
    dataflow {{
      %at = const i64[1, 1] [3] : Tensor<i64, [1, 1]>
      %a = exp(%x) : Tensor<f32, [64, 8]>
      yield %at, %a
    }}
    effect {{
      %r = if %p {{
        dataflow {{
          %b = scatter_nd(%a, %at, %row) : Tensor<f32, [64, 8]>
          yield %b
        }}
        return %b
      }} else {{
        {other}
      }} : Tensor<f32, [64, 8]>
    }}
    return %r
  }}
}}
"
    )
}

#[test]
fn a_branch_makes_its_result_where_the_other_one_does() {
    let keeps = branches("return %a");
    let writes = branches(
        "dataflow {
          %c = scatter_nd(%a, %at, %row) {reduction = \"add\"} : Tensor<f32, [64, 8]>
          yield %c
        }
        return %c",
    );
    for p in [false, true] {
        let p = TensorData::from_slice(DType::Bool, &[], &[p]);
        let inputs = [floats(&[64, 8]), floats(&[1, 8]), p];
        for text in [&keeps, &writes] {
            let plan = agrees(text, &inputs);
            let printed = print_plan(&plan).text;
            let (outside, inside) = copies(&plan.steps);
            assert_eq!((outside.len(), inside.len(), places(&plan)), (0, 0, 0), "{printed}");
        }
    }
}

fn state() -> [State; 1] {
    [State { input: "past".into(), output: "present".into() }]
}

const CACHE: &str = "module @m {
  sym n, t
  fn @main(%past: Tensor<f32, [n, 4]>, %row: Tensor<f32, [1, 4]>, %starts: Tensor<i64, [2]>) -> (y: Tensor<f32, [n]>, present: Tensor<f32, [n, 4]>) !abort {
    dataflow {
      check n - 1 >= 0, \"a row fits\"
      %present = update_slice(%past, %row, %starts) : Tensor<f32, [n, 4]>
      %y = reduce_sum(%present) {axes = [1], keepdims = false} : Tensor<f32, [n]>
      yield %y, %present
    }
    return %y, %present
  }
}
";

#[test]
fn state_is_updated_where_the_caller_keeps_it() {
    let module = module(CACHE);
    let plan = lowered(&module, true, &state());
    let printed = print_plan(&plan).text;
    assert_eq!(copies(&plan.steps).0, [], "{printed}");
    assert!(printed.contains("out present: f32[n, 4] over %in0"), "{printed}");
    assert!(plan.slots.is_empty(), "{printed}");
    let inputs = [floats(&[6, 4]), floats(&[1, 4]), ints(&[2], &[3, 0])];
    assert_eq!(eval_plan(&plan, &inputs).expect("it runs"), eval(&module, &inputs));
}

#[test]
fn state_whose_old_value_is_read_late_is_renewed_last() {
    let late = CACHE.replace("reduce_sum(%present)", "reduce_sum(%past)");
    let module = module(
        &late
            .replace(
                "      yield %y, %present",
                "      %z = add(%present, %past) : Tensor<f32, [n, 4]>\n      yield %y, %z",
            )
            .replace("return %y, %present", "return %y, %z"),
    );
    let plan = lowered(&module, false, &state());
    let inputs = [floats(&[6, 4]), floats(&[1, 4]), ints(&[2], &[3, 0])];
    assert_eq!(eval_plan(&plan, &inputs).expect("it runs"), eval(&module, &inputs));
    // The update is of a copy; the sum, which reads the state last, lies where that was.
    let found = copies(&plan.steps).0;
    assert!(matches!(found[..], [(BufferRef::Input(0), BufferRef::Slot(_))]), "{}", print_plan(&plan).text);
}

#[test]
fn states_may_change_places() {
    let text = "module @m {
  sym n
  fn @main(%a: Tensor<f32, [n]>, %b: Tensor<f32, [n]>) -> (c: Tensor<f32, [n]>, d: Tensor<f32, [n]>, y: Tensor<f32, [n]>) {
    dataflow {
      %y = add(%a, %b) : Tensor<f32, [n]>
      yield %y
    }
    return %b, %a, %y
  }
}
";
    let module = module(text);
    let pair = |input: &str, output: &str| State { input: input.into(), output: output.into() };
    let plan = lowered(&module, false, &[pair("a", "c"), pair("b", "d")]);
    let inputs = [floats(&[3]), TensorData::from_f64(DType::F32, &[3], [9.0, 8.0, 7.0])];
    let [c, d, y] = eval(&module, &inputs).try_into().expect("three");
    assert_eq!(eval_plan(&plan, &inputs).expect("it runs"), [c, d, y]);
    assert_eq!(copies(&plan.steps).0.len(), 3, "{}", print_plan(&plan).text);
}

#[test]
fn wrong_states_are_refused() {
    let ops = OpRegistry::standard();
    let mut legal = module(CACHE);
    Legalize::new(LegalizeTable::standard(&ops)).run(&mut legal, &mut PassCx::new(&ops)).expect("legal");
    let codes = |states: &[State]| -> Vec<&'static str> {
        plan_memory(&ops, &legal, states).expect_err("no plan").iter().map(|it| it.code).collect()
    };
    let pair = |input: &str, output: &str| State { input: input.into(), output: output.into() };
    assert_eq!(codes(&[pair("pest", "present")]), ["M021"]);
    assert_eq!(codes(&[pair("past", "z")]), ["M021"]);
    assert_eq!(codes(&[pair("past", "present"), pair("past", "y")]), ["M021"]);
    assert_eq!(codes(&[pair("past", "y")]), ["M022"]);
    assert_eq!(codes(&[pair("starts", "present")]), ["M022"]);
}

/// Random chains of updates, elementwise operations, branches and loops over values of one shape, which share places in
/// every way that there is.
#[test]
fn random_updates_agree_with_copies() {
    let ops = OpRegistry::standard();
    for seed in 0..100 {
        let mut random = Random::new(seed);
        let mut builder = FlowBuilder::new(&ops, "m");
        let ty = Type::tensor(DType::F32, [4, 3].map(|it| builder.shapes().int(it)));
        let mut values: Vec<ValueId> =
            (0..2).map(|i| builder.input(&format!("x{i}"), ty.clone()).expect("an input")).collect();
        grow(&mut builder, &mut random, &mut values, 6, 2);
        for i in 0..1 + random.below(3) {
            let value = values[values.len() - 1 - random.below(3)];
            builder.output(&format!("y{i}"), value).expect("an output");
        }
        let module = builder.finish().expect("a module");
        let inputs =
            [floats(&[4, 3]), TensorData::from_f64(DType::F32, &[4, 3], (0..12).map(|i| 2.0 - i as f64))];
        let wanted = eval(&module, &inputs);
        for fuse in [false, true] {
            let plan = lowered(&module, fuse, &[]);
            let found = eval_plan(&plan, &inputs)
                .unwrap_or_else(|it| panic!("seed {seed}: {it}\n{}", print_plan(&plan).text));
            assert_eq!(numbers(&found), numbers(&wanted), "seed {seed}\n{}", print_plan(&plan).text);
            let states: Vec<State> = (0..2)
                .filter(|i| plan.outputs.iter().any(|it| it.name == format!("y{i}")))
                .map(|i| State { input: format!("x{i}"), output: format!("y{i}") })
                .collect();
            let plan = lowered(&module, fuse, &states);
            let found = eval_plan(&plan, &inputs).expect("it runs");
            let printed = print_plan(&plan).text;
            assert_eq!(numbers(&found), numbers(&wanted), "seed {seed} with state\n{printed}");
        }
    }
}

/// Zeros of both signs are one number.
fn numbers(tensors: &[TensorData]) -> Vec<Vec<f64>> {
    tensors.iter().map(TensorData::to_f64).collect()
}

fn grow(
    builder: &mut FlowBuilder<'_>,
    random: &mut Random,
    values: &mut Vec<ValueId>,
    count: usize,
    depth: u32,
) {
    let ops = builder.registry();
    let emit = |builder: &mut FlowBuilder<'_>, op: &str, attrs: Attrs, args: &[ValueId]| {
        builder.emit(ops.get(op), attrs, args).expect("it fits")[0]
    };
    for _ in 0..count {
        let recent = |random: &mut Random, values: &[ValueId]| {
            values[values.len() - 1 - random.below(values.len().min(3))]
        };
        let (x, y) = (recent(random, values), recent(random, values));
        let made = match random.below(if depth == 0 { 5 } else { 7 }) {
            0 => emit(builder, random.pick(&["relu", "neg"]), Attrs::none(), &[x]),
            1 => emit(builder, random.pick(&["add", "max"]), Attrs::none(), &[x, y]),
            2 => {
                let at = builder.constant("", ints(&[2, 1], &[random.below(4) as i64, -1]));
                let rows = builder.constant("", floats(&[2, 3]));
                emit(builder, "scatter_nd", Attrs::none(), &[x, at, rows])
            }
            3 => {
                let starts = builder.constant("", ints(&[2], &[random.below(4) as i64, 1]));
                let part = builder.constant("", floats(&[2, 2]));
                emit(builder, "update_slice", Attrs::none(), &[x, part, starts])
            }
            4 => {
                let at = builder.constant("", ints(&[4, 1], &[3, 0, 1, 1]));
                emit(builder, "scatter_nd", Attrs::none().with("reduction", "add"), &[x, at, y])
            }
            5 => {
                let limit = builder.constant("", TensorData::from_f64(DType::F32, &[], [1.0]));
                let axes = Attrs::none().with("axes", vec![0, 1]).with("keepdims", false);
                let sum = emit(builder, "reduce_max", axes, &[x]);
                let cond = emit(builder, "less", Attrs::none(), &[sum, limit]);
                let seeds = [random.number(), random.number()];
                let outer = values.clone();
                let side = |seed: u64| {
                    let outer = outer.clone();
                    move |builder: &mut FlowBuilder<'_>| {
                        let (mut random, mut inner) = (Random::new(seed), outer.clone());
                        grow(builder, &mut random, &mut inner, 2, depth - 1);
                        Ok(vec![inner[inner.len() - 1], inner[inner.len() - 1 - random.below(2)]])
                    }
                };
                let results =
                    builder.if_else(cond, &mut side(seeds[0]), &mut side(seeds[1])).expect("branches");
                values.extend(&results);
                results[0]
            }
            _ => {
                let number = |it: i64| TensorData::from_slice(DType::I64, &[], &[it]);
                let zero = builder.constant("", number(0));
                let one = builder.constant("", number(1));
                let limit = builder.constant("", number(random.below(4) as i64));
                let (seed, outer) = (random.number(), values.clone());
                let next = |builder: &mut FlowBuilder<'_>, carried: &[ValueId]| {
                    let count = builder.emit(ops.get("add"), Attrs::none(), &[carried[0], one])?[0];
                    let mut random = Random::new(seed);
                    let mut inner = outer.clone();
                    inner.extend(&carried[1..]);
                    grow(builder, &mut random, &mut inner, 3, depth - 1);
                    let any = |random: &mut Random| inner[inner.len() - 1 - random.below(5)];
                    Ok(vec![count, any(&mut random), any(&mut random)])
                };
                let go_on = |builder: &mut FlowBuilder<'_>, carried: &[ValueId]| {
                    Ok(builder.emit(ops.get("less"), Attrs::none(), &[carried[0], limit])?[0])
                };
                let results =
                    builder.while_loop(&[zero, x, y], &mut { go_on }, &mut { next }).expect("a loop");
                values.extend(&results[1..]);
                results[1]
            }
        };
        values.push(made);
    }
}
