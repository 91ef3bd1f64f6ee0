//! Equality saturation of dataflow blocks.

use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::{Module, random_module, text};
use orogen_ir::generate::Random;
use orogen_ir::ops::OpRegistry;
use orogen_ir::shape::Env;
use orogen_ir::types::{Attrs, DType, TensorData, Type};
use orogen_passes::flow::egraph::{Explore, ExploreBudget, ExploreReport, RULES, Stop};
use orogen_passes::flow::{Fuse, Legalize};
use orogen_passes::manager::{Accuracy, Changed, Pass, PassCx};
use orogen_passes::rewrite::{
    AnyRule, OpCall, Rewriter, Rule, RuleClass, RuleSet, Value, parse_explored, print,
};
use orogen_passes::rules::apply::ApplyRules;
use orogen_passes::rules::legalize::LegalizeTable;
use orogen_reference::{EvalErrorKind, eval_function};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

const CASES: &str = include_str!("explore_cases.txt");

/// Inputs that each program of a rule gets; the first are small numbers alone.
const SEEDS: u64 = 6;
/// Random programs that are explored.
const PROGRAMS: u64 = 150;

/// Rules of a text that may go in circles.
fn rules(ops: &OpRegistry, source: &str) -> RuleSet {
    let mut set = RuleSet::default();
    for rule in parse_explored(source, ops).unwrap_or_else(|it| panic!("{it}")) {
        set.insert_rewrite(ops, Arc::new(rule)).expect("distinct names");
    }
    set
}

fn parse(ops: &OpRegistry, source: &str) -> Module {
    let module = text::parse(source, ops).unwrap_or_else(|it| panic!("{it}\n{source}"));
    module.verify(ops).unwrap_or_else(|it| panic!("{it}\n{source}"));
    module
}

fn explore(ops: &OpRegistry, source: &str, rules: RuleSet) -> Result<(String, ExploreReport), String> {
    let mut module = parse(ops, source);
    let explore = Explore::new(rules, ExploreBudget::default());
    let report = explore.explore(&mut module, &PassCx::new(ops)).map_err(|it| it.to_string())?;
    module.verify(ops).unwrap_or_else(|it| panic!("{it}"));
    Ok((text::print(&module, ops), report))
}

/// A module of one function whose result is `%y`.
fn module_of(params: &str, body: &str) -> String {
    format!(
        "module @m {{\n  fn @main({params}) -> (y) !abort {{\n    dataflow {{\n{body}\n      yield %y\n    }}\n    return %y\n  }}\n}}\n"
    )
}

/// Numbers of a tensor: small ones, and where `special` the values that bitwise rules must keep.
fn numbers(random: &mut Random, dtype: DType, dims: &[u64], special: bool) -> TensorData {
    const SPECIAL: [f64; 6] = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e-40];
    let mut number = || match dtype {
        DType::Bool => f64::from(u8::from(random.coin())),
        _ if special && random.below(5) == 0 => random.pick(&SPECIAL),
        _ => random.small_float() + 0.0625,
    };
    let count: u64 = dims.iter().product();
    TensorData::from_f64(dtype, dims, (0..count).map(|_| number()))
}

/// Constants without numbers get some.
fn filled(random: &mut Random, line: &str) -> String {
    let Some((head, ty)) = line.split_once(" = const ") else { return line.to_string() };
    let (dtype, rest) = ty.split_once('[').expect("a shape");
    let (dims, rest) = rest.split_once(']').expect("a shape");
    if !rest.trim().is_empty() {
        return line.to_string();
    }
    assert_eq!(dtype, "f32");
    let extents = dims.split(',').map(str::trim).filter(|it| !it.is_empty());
    let count: usize = extents.map(|it| it.parse::<usize>().expect("a number")).product();
    let list: Vec<String> = (0..count).map(|_| format!("{:?}", random.small_float() + 0.0625)).collect();
    format!("{head} = const {dtype}[{dims}] [{}]", list.join(", "))
}

fn inputs(random: &mut Random, module: &Module, special: bool) -> Vec<TensorData> {
    let (_, function) = module.entry().expect("a function");
    let mut input = |ty: Type| {
        let tensor = ty.as_tensor().expect("a tensor");
        let dims = tensor.static_dims(&module.shapes).expect("static sizes");
        numbers(random, tensor.dtype, &dims, special)
    };
    function.signature().params.into_iter().map(&mut input).collect()
}

fn run(ops: &OpRegistry, module: &Module, inputs: &[TensorData]) -> Vec<TensorData> {
    let args: Vec<_> = inputs.iter().map(|it| orogen_reference::Value::Tensor(it.clone())).collect();
    let results = eval_function(ops, module, "main", &args).unwrap_or_else(|it| panic!("{it:?}"));
    results.iter().filter_map(|it| it.as_tensor().cloned()).collect()
}

fn assert_same(before: &[TensorData], after: &[TensorData], exact: bool, what: &str) {
    assert_eq!(before.len(), after.len(), "{what}");
    for (a, b) in before.iter().zip(after) {
        assert_eq!((a.dtype(), a.dims()), (b.dtype(), b.dims()), "{what}");
        for (i, (x, y)) in a.to_f64().into_iter().zip(b.to_f64()).enumerate() {
            let same = x.to_bits() == y.to_bits() || x.is_nan() && y.is_nan();
            let near = (x - y).abs() <= 1e-4 * x.abs().max(y.abs()).max(1.0);
            assert!(
                if exact { same } else { same || near || !x.is_finite() },
                "{what}: element {i} is {x:e}, then {y:e}"
            );
        }
    }
}

/// Cases: the rule, the parameters, the bindings.
fn cases() -> Vec<(&'static str, &'static str, Vec<&'static str>)> {
    let mut cases = Vec::new();
    for block in CASES.split("\n\n") {
        let mut lines = block.lines().filter(|it| !it.starts_with("//") && !it.trim().is_empty());
        let Some(rule) = lines.next() else { continue };
        let rule = rule.strip_prefix("rule ").expect("a case begins with its rule");
        cases.push((rule, lines.next().expect("parameters"), lines.collect()));
    }
    cases
}

#[test]
fn every_rule_holds_on_its_programs() {
    let ops = OpRegistry::standard();
    let (all, explore) = (rules(&ops, RULES), Explore::standard(&ops));
    let cases = cases();
    for rule in all.rules() {
        assert!(cases.iter().any(|it| it.0 == rule.name()), "rule `{}` has no case", rule.name());
    }
    let mut wrong = Vec::new();
    for (name, params, body) in cases {
        let found = catch_unwind(AssertUnwindSafe(|| check_case(&ops, &all, &explore, name, params, &body)));
        if found.is_err() {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

fn check_case(ops: &OpRegistry, all: &RuleSet, explore: &Explore, name: &str, params: &str, body: &[&str]) {
    let rule = all.rules().find(|it| it.name() == name).unwrap_or_else(|| panic!("no rule `{name}`"));
    let AnyRule::Text(rewrite) = rule else { panic!("rule `{name}` is no data") };
    let exact = rule.class() == RuleClass::Bitwise;
    for seed in 0..SEEDS {
        let mut random = Random::new(seed);
        let body: Vec<String> = body.iter().map(|it| format!("      {}", filled(&mut random, it))).collect();
        let source = module_of(params, &body.join("\n"));
        let before = parse(ops, &source);
        let inputs = inputs(&mut random, &before, exact && seed > 0);
        let expected = run(ops, &before, &inputs);
        // The rule alone; of one root, since passes replace one operation at a time.
        let mut set = RuleSet::default();
        set.insert_rewrite(ops, rewrite.clone()).expect("a new name");
        let mut after = before.clone();
        let pass = ApplyRules::new("one", set);
        let changed = pass.run(&mut after, &mut PassCx::new(ops)).unwrap_or_else(|it| panic!("{name}: {it}"));
        assert_eq!(changed == Changed::Yes, rewrite.others.is_empty(), "rule `{name}` applies\n{source}");
        after.verify(ops).unwrap_or_else(|it| panic!("{name}: {it}"));
        assert_same(&expected, &run(ops, &after, &inputs), exact, name);
        if seed > 1 {
            continue;
        }
        // All that are as exact, through the e-graph.
        let mut after = before.clone();
        let cx = PassCx::new(ops).with_accuracy(if exact { Accuracy::Strict } else { Accuracy::Default });
        let report = explore.explore(&mut after, &cx).unwrap_or_else(|it| panic!("{name}: {it}"));
        assert!(report.fired.contains_key(name), "rule `{name}` fires\n{report}\n{source}");
        after.verify(ops).unwrap_or_else(|it| panic!("{name}: {it}"));
        assert_same(&expected, &run(ops, &after, &inputs), exact, name);
    }
}

const FACTOR: &str = "rule factor reassociates\n  add(mul(x, c), mul(y, c)) => mul(add(x, y), c)";
const CHAIN: &str = "rule chain reassociates\n  matmul(matmul(a, b), c) => matmul(a, matmul(b, c))";

#[test]
fn shared_factors_are_taken_out_and_keep_sources() {
    let ops = OpRegistry::standard();
    let source = module_of(
        "%a: Tensor<f32, [8, 16]>, %b: Tensor<f32, [8, 16]>, %c: Tensor<f32, [8, 16]>",
        "%1 = mul(%a, %c) loc(\"left\")\n%2 = mul(%c, %b) loc(\"right\")\n%y = add(%1, %2) loc(\"sum\")",
    );
    let (text, report) = explore(&ops, &source, rules(&ops, FACTOR)).expect("it explores");
    assert_eq!((text.matches("mul(").count(), text.matches("loc(\"sum\")").count()), (1, 2), "{text}");
    assert!(report.after.cost() < report.before.cost(), "{report}");
    assert_eq!(report.stops.keys().collect::<Vec<_>>(), [&Stop::Saturated]);
}

#[test]
fn x2_what_is_shared_counts_once() {
    // Taking out the factor makes one product of two, unless both products are needed anyway.
    let ops = OpRegistry::standard();
    let source = "module @m {
  fn @main(%a: Tensor<f32, [8, 16]>, %b: Tensor<f32, [8, 16]>, %c: Tensor<f32, [8, 16]>) -> (y, p, q) {
    dataflow {
      %1 = mul(%a, %c)
      %2 = mul(%b, %c)
      %y = add(%1, %2)
      yield %y, %1, %2
    }
    return %y, %1, %2
  }
}
";
    let (text, report) = explore(&ops, source, rules(&ops, FACTOR)).expect("it explores");
    assert_eq!(report.fired.values().sum::<usize>(), 1, "{report}");
    assert_eq!((report.changed, text.matches("mul(").count()), (0, 2), "{text}");
}

#[test]
fn products_of_one_operand_become_one() {
    let ops = OpRegistry::standard();
    let numbers = |of: &str| vec![of; 4096].join(", ");
    let source = format!(
        "module @m {{
  fn @main(%x: Tensor<f32, [48, 256]>) -> (y) {{
    dataflow {{
      %u = const f32[256, 16] [{}]
      %v = const f32[256, 16] [{}]
      %w = const f32[256, 16] [{}]
      %p = matmul(%x, %u)
      %q = matmul(%x, %v)
      %r = matmul(%x, %w)
      %a = mul(%p, %q)
      %y = sub(%a, %r)
      yield %y
    }}
    return %y
  }}
}}
",
        numbers("1.5"),
        numbers("-0.5"),
        numbers("0.25")
    );
    let lowering: [Arc<dyn Pass<Module>>; 2] =
        [Arc::new(Legalize::new(LegalizeTable::standard(&ops))), Arc::new(Fuse)];
    let explore = Explore::standard(&ops).judged_by(lowering);
    let before = parse(&ops, &source);
    let mut after = before.clone();
    let report = explore.explore(&mut after, &PassCx::new(&ops)).unwrap_or_else(|it| panic!("{it}"));
    after.verify(&ops).unwrap_or_else(|it| panic!("{it}"));
    let text = text::print(&after, &ops);
    assert_eq!((text.matches("matmul(").count(), text.matches("slice(").count()), (1, 3), "{report}\n{text}");
    assert!(report.fired.contains_key("three-products-become-one"), "{report}");
    let inputs = inputs(&mut Random::new(7), &before, true);
    assert_same(&run(&ops, &before, &inputs), &run(&ops, &after, &inputs), true, "products");
}

#[test]
fn several_roots_are_for_exploration_and_each_has_a_result() {
    let ops = OpRegistry::standard();
    let twice = "rule twice bitwise\n  neg(x), exp(x) => neg(x), exp(x)";
    let found = |text: &str, explore: bool| {
        let parsed =
            if explore { parse_explored(text, &ops) } else { orogen_passes::rewrite::parse(text, &ops) };
        parsed.map(|it| it.len()).map_err(|it| it.to_string())
    };
    assert_eq!(found(twice, true), Ok(1));
    let wrong = [
        (found(twice, false), "only rules of exploration"),
        (found("rule a bitwise\n  neg(x), exp(x) => neg(x)", true), "2 on the left and 1 on the right"),
        (found("rule a bitwise\n  neg(x), exp(y) => neg(x), exp(y)", true), "reads no value"),
    ];
    for (found, why) in wrong {
        assert!(found.as_ref().is_err_and(|it| it.contains(why)), "{found:?}");
    }
    let printed = print(&parse_explored(twice, &ops).expect("a rule")[0]);
    assert_eq!(printed.trim(), twice);
}

#[test]
fn chains_of_products_get_their_order_from_sizes() {
    let ops = OpRegistry::standard();
    let source = module_of(
        "%a: Tensor<f32, [512, 8]>, %b: Tensor<f32, [8, 512]>, %c: Tensor<f32, [512, 8]>, %d: Tensor<f32, [8, 1]>",
        "%1 = matmul(%a, %b)\n%2 = matmul(%1, %c)\n%y = matmul(%2, %d)",
    );
    let (text, report) = explore(&ops, &source, rules(&ops, CHAIN)).expect("it explores");
    assert!(text.contains("Tensor<f32, [8, 1]>"), "{text}");
    assert_eq!(report.after.flops, 2 * (512 * 8 + 8 * 512 + 512 * 8));
}

#[test]
fn q2_a_rule_that_contradicts_types_is_named() {
    const PLANTED: Rule = Rule {
        name: "planted",
        root: "relu",
        class: RuleClass::Bitwise,
        reason: "a test",
        apply: |cx: &mut dyn Rewriter, call: &OpCall| -> Option<Value> {
            cx.emit("transpose", Attrs::none().with("perm", vec![1, 0]), &call.args)
        },
    };
    let ops = OpRegistry::standard();
    let set = RuleSet::new(&ops, [PLANTED]).expect("a rule");
    let found =
        explore(&ops, &module_of("%x: Tensor<f32, [8, 16]>", "%y = relu(%x)"), set).expect_err("refused");
    assert!(found.contains("N005") && found.contains("`planted`") && found.contains("[16, 8]"), "{found}");
}

#[test]
fn q5_budgets_are_counts_and_results_are_the_same_each_time() {
    let ops = OpRegistry::standard();
    let chain = "%a: Tensor<f32, [8, 8]>";
    let mut body = String::from("%0 = matmul(%a, %a)\n");
    for i in 1..14 {
        body += &format!("%{i} = matmul(%{}, %a)\n", i - 1);
    }
    let source = module_of(chain, &(body + "%y = relu(%13)"));
    let both = "rule right reassociates matmul(matmul(a, b), c) => matmul(a, matmul(b, c))
        rule left reassociates matmul(a, matmul(b, c)) => matmul(matmul(a, b), c)";
    let mut texts = Vec::new();
    for budget in [
        ExploreBudget::default(),
        ExploreBudget::default(),
        ExploreBudget { nodes: 40, ..ExploreBudget::default() },
        ExploreBudget { iterations: 1, ..ExploreBudget::default() },
        ExploreBudget { matches: 10, ..ExploreBudget::default() },
        ExploreBudget { programs: 3, ..ExploreBudget::default() },
        ExploreBudget { region: 4, ..ExploreBudget::default() },
    ] {
        let mut module = parse(&ops, &source);
        let explore = Explore::new(rules(&ops, both), budget);
        let report = explore.explore(&mut module, &PassCx::new(&ops)).expect("it explores");
        module.verify(&ops).unwrap_or_else(|it| panic!("{it}"));
        assert!(report.after.cost() <= report.before.cost(), "law X2");
        texts.push((report.to_string(), text::print(&module, &ops)));
    }
    assert_eq!(texts[0], texts[1]);
    for (i, stop) in [(2, "nodes"), (3, "iterations"), (4, "matches")] {
        assert!(texts[i].0.contains(&format!("(1 {stop})")), "{}", texts[i].0);
    }
    // The fifteenth power takes five products at least; one class after the other finds six.
    assert_eq!(texts[0].1.matches("matmul(").count(), 6, "{}\n{}", texts[0].0, texts[0].1);
}

/// Steps that lower what holds a transpose, and refuse all else.
#[derive(Debug)]
struct RefusesOthers;

impl Pass<Module> for RefusesOthers {
    fn name(&self) -> &'static str {
        "refuses-others"
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        match text::print(module, cx.ops).contains("transpose(") {
            true => Ok(Changed::No),
            false => Err(Diagnostic::error("N000", "it has no transpose").into()),
        }
    }
}

#[test]
fn q4_kernels_decide_where_lowering_is_known() {
    let ops = OpRegistry::standard();
    let source = module_of(
        "%x: Tensor<f32, [64, 48]>",
        "%a = transpose(%x) {perm = [1, 0]}\n%b = softmax(%a) {axis = 0}\n%y = transpose(%b) {perm = [1, 0]}",
    );
    let lowering = || -> [Arc<dyn Pass<Module>>; 2] {
        [Arc::new(Legalize::new(LegalizeTable::standard(&ops))), Arc::new(Fuse)]
    };
    let explored = |explore: Explore| {
        let mut module = parse(&ops, &source);
        let report = explore.explore(&mut module, &PassCx::new(&ops)).expect("it explores");
        module.verify(&ops).unwrap_or_else(|it| panic!("{it}"));
        (text::print(&module, &ops), report)
    };
    let judged = explored(Explore::standard(&ops).judged_by(lowering()));
    assert!(!judged.0.contains("transpose("), "{}", judged.0);
    assert_eq!((judged.1.before.launches, judged.1.after.launches), (3, 1), "{}", judged.1);
    assert_eq!(judged, explored(Explore::standard(&ops).judged_by(lowering())), "law Q5");
    // A proposal that lowering refuses, or for which no lowering is left, is not taken.
    let picky: [Arc<dyn Pass<Module>>; 1] = [Arc::new(RefusesOthers)];
    let none = ExploreBudget { lowerings: 0, ..ExploreBudget::default() };
    for explore in [
        Explore::standard(&ops).judged_by(picky),
        Explore::standard(&ops).with_budget(none).judged_by(lowering()),
    ] {
        let (left, report) = explored(explore);
        assert_eq!((left.matches("transpose(").count(), report.changed), (2, 0), "{report}");
    }
}

/// Random programs with dynamic sizes: `f` before is `f` after, and the laws hold.
#[test]
fn random_programs_compute_the_same_after_exploration() {
    let ops = OpRegistry::standard();
    let explore = Explore::standard(&ops);
    let (mut changed, mut compared) = (0, 0);
    for seed in 0..PROGRAMS {
        let before = random_module(&ops, seed);
        let mut after = before.clone();
        let cx =
            PassCx::new(&ops).with_accuracy(if seed % 2 == 0 { Accuracy::Strict } else { Accuracy::Default });
        let report = explore.explore(&mut after, &cx).unwrap_or_else(|it| panic!("seed {seed}: {it}"));
        after.verify(&ops).unwrap_or_else(|it| panic!("seed {seed}: {it}\n{}", text::print(&after, &ops)));
        assert!(report.after.cost() <= report.before.cost(), "law Q4, seed {seed}: {report}");
        changed += report.changed;
        let (Some(Some(x)), Some(y)) = (outcome(&ops, &before), outcome(&ops, &after)) else { continue };
        let y = y.unwrap_or_else(|| panic!("seed {seed}: it is refused after exploration"));
        compared += 1;
        assert_same(&x, &y, false, &format!("seed {seed}"));
    }
    assert!(changed > 2 && compared > 40, "{changed} changed, {compared} compared");
}

/// What a function computes with every size at 3, or that it refuses the inputs; nothing where it cannot be run.
fn outcome(ops: &OpRegistry, module: &Module) -> Option<Option<Vec<TensorData>>> {
    let (_, function) = module.entry()?;
    let env: Env = module.shapes.symbols().map(|it| (it, 3)).collect();
    let mut random = Random::new(7);
    let inputs = function.signature().params.into_iter().map(|ty| {
        let tensor = ty.as_tensor()?.clone();
        let extents = tensor.dims()?.iter().map(|it| u64::try_from(module.shapes.eval(*it, &env)?).ok());
        let dims = extents.collect::<Option<Vec<u64>>>()?;
        Some(orogen_reference::Value::Tensor(numbers(&mut random, tensor.dtype, &dims, false)))
    });
    match eval_function(ops, module, "main", &inputs.collect::<Option<Vec<_>>>()?) {
        Ok(results) => Some(Some(results.iter().filter_map(|it| it.as_tensor().cloned()).collect())),
        Err(it) if it.kind == EvalErrorKind::CheckFailed => Some(None),
        Err(_) => None,
    }
}

/// Regions keep the time linear: a chain of thousands of operations takes its budget part by part.
#[test]
fn long_blocks_are_explored_part_by_part() {
    let ops = OpRegistry::standard();
    let mut body = String::from("%0 = transpose(%x) {perm = [1, 0]}\n");
    for i in 1..1500 {
        body += &match i % 3 {
            0 => format!("%{i} = relu(%{})\n", i - 1),
            1 => format!("%{i} = transpose(%{}) {{perm = [1, 0]}}\n", i - 1),
            _ => format!("%{i} = neg(%{})\n", i - 1),
        };
    }
    let source = module_of("%x: Tensor<f32, [40, 50]>", &(body + "%y = tanh(%1499)"));
    let mut module = parse(&ops, &source);
    let budget = ExploreBudget { region: 100, nodes: 1500, matches: 30_000, ..ExploreBudget::default() };
    let explore = Explore::standard(&ops).with_budget(budget);
    let report = explore.explore(&mut module, &PassCx::new(&ops)).expect("it explores");
    module.verify(&ops).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(report.regions, 1501_usize.div_ceil(budget.region));
    assert!(report.nodes <= report.regions * (budget.nodes + 100), "{report}");
    // One transpose at most is left where two parts meet.
    let left = text::print(&module, &ops).matches("transpose(").count();
    assert!(left <= report.regions + 1, "{left} transposes are left\n{report}");
}

/// What is built of operands that fit for the sake of a check stands behind it.
#[test]
fn what_fits_by_a_check_stays_behind_it() {
    let ops = OpRegistry::standard();
    let source = "module @m {
  sym n, m
  fact n ~ m
  fn @main(%x: Tensor<f32, [n, 2]>, %z: Tensor<f32, [m, 2]>) -> (y) !abort {
    dataflow {
      %a = transpose(%x) {perm = [1, 0]}
      %b = transpose(%z) {perm = [1, 0]}
      check n ~ m, \"operand 1, broadcast along dimension 1\"
      %c = sub(%a, %b)
      %d = transpose(%c) {perm = [1, 0]}
      yield %d
    }
    return %d
  }
}
";
    let (text, report) = explore(&ops, source, rules(&ops, RULES)).expect("it explores");
    let at = |word: &str| text.find(word).unwrap_or_else(|| panic!("no {word}\n{text}"));
    assert!(at("check ") < at("sub("), "{text}");
    assert!(report.changed == 1 && text.contains("sub(%x, %z)"), "{report}\n{text}");
}

/// So does what fits for the sake of several checks, whose sizes are others than those of the operands.
#[test]
fn what_fits_by_checks_of_parts_of_sizes_stays_behind_them() {
    let ops = OpRegistry::standard();
    let source = "module @m {
  sym n, m, k
  fact n == k
  fact 2*k == 2*m
  fn @main(%n: Tensor<f32, [n, m, k]>, %x: Tensor<f32, [n + 1, 2]>, %z: Tensor<f32, [m + 1, 2]>) -> (y, n) !abort {
    dataflow {
      %a = transpose(%x) {perm = [1, 0]}
      %b = transpose(%z) {perm = [1, 0]}
      check n == k, \"a check\"
      check 2*k == 2*m, \"another check\"
      %c = sub(%a, %b)
      %d = transpose(%c) {perm = [1, 0]}
      yield %d
    }
    return %d, %n
  }
}
";
    let (text, report) = explore(&ops, source, rules(&ops, RULES)).expect("it explores");
    let at = |word: &str| text.rfind(word).unwrap_or_else(|| panic!("no {word}\n{text}"));
    assert!(at("check ") < at("sub("), "{text}");
    assert!(report.changed == 1 && text.contains("sub(%x, %z)"), "{report}\n{text}");
}
