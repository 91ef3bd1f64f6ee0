//! Proofs: pairs of functions that are equal are proven, pairs that are not are refused, each with its index and reason.
//!
//! Pairs stand in text files beside this one. A pair is a line `name: class`, parameters, bindings of the first
//! function, `=>`, and bindings of the second; each defines `%y`. `f32[n, m]` is a tensor type, `[n, 2*m]` that of a
//! parameter with these elements; a line `fact n >= 2` is a fact.

use orogen_ir::flow::{Module, text};
use orogen_ir::ops::OpRegistry;
use orogen_ir::types::{DType, TensorData};
use orogen_passes::proof::{Class, Known, Prover, RuleProof, Verdict};
use orogen_passes::rewrite::{Rewrite, Rule, parse_explored};
use orogen_passes::rules::{
    activations, attention, chains, quantized, requantize, scales, simplify, transposed, weights,
};
use orogen_reference::{Value, eval_function};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

struct Pair {
    name: String,
    class: Class,
    sides: [String; 2],
}

/// The pairs of a file.
fn pairs(text: &str) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for block in text.split("\n\n").map(str::trim).filter(|it| !it.is_empty()) {
        let mut lines = block.lines().map(str::trim).filter(|it| !it.starts_with("//"));
        let head = lines.next().expect("a head");
        let (name, class) = head.split_once(": ").unwrap_or_else(|| panic!("`{head}` is no head"));
        let class = match class {
            "bitwise" => Class::Bitwise,
            "reassociates" => Class::Reassociates,
            other => panic!("`{other}` is no class"),
        };
        let params = lines.next().expect("parameters").to_owned();
        let (mut facts, mut sides, mut second) = (Vec::new(), [String::new(), String::new()], false);
        for line in lines {
            match line {
                "=>" => second = true,
                fact if fact.starts_with("fact ") => facts.push(fact.to_owned()),
                binding => {
                    sides[usize::from(second)].push_str(binding);
                    sides[usize::from(second)].push('\n');
                }
            }
        }
        let sides = sides.map(|body| module(&params, &facts, &body));
        pairs.push(Pair { name: name.to_owned(), class, sides });
    }
    pairs
}

/// The text of a module of one function.
fn module(params: &str, facts: &[String], body: &str) -> String {
    let mut symbols: Vec<String> = Vec::new();
    let mut declared = Vec::new();
    for param in params.split(';').map(str::trim) {
        let (value, ty) = param.split_once(": ").unwrap_or_else(|| panic!("`{param}` is no parameter"));
        let (dtype, list) = ty.split_once('[').expect("dimensions");
        let list = list.trim_end_matches(']');
        let words = list.split(|it: char| !it.is_alphanumeric() && it != '_');
        for word in words.filter(|it| it.starts_with(char::is_alphabetic) && *it != "floordiv") {
            if !symbols.iter().any(|it| it == word) {
                symbols.push(word.to_owned());
            }
        }
        let ty = match dtype {
            "" => format!("Tensor<i64, [{}], [{list}]>", list.split(", ").count()),
            dtype => format!("Tensor<{dtype}, [{list}]>"),
        };
        declared.push(format!("{value}: {ty}"));
    }
    let symbols = if symbols.is_empty() { String::new() } else { format!("sym {}\n", symbols.join(", ")) };
    let (facts, params) = (facts.join("\n"), declared.join(", "));
    format!(
        "module @m {{\n{symbols}{facts}\nfn @f({params}) -> (y) !abort {{\ndataflow {{\n{body}yield %y\n}}\nreturn %y\n}}\n}}"
    )
}

fn parse(ops: &OpRegistry, name: &str, text: &str) -> Module {
    text::parse(text, ops).unwrap_or_else(|found| panic!("{name}: {found}\n{text}"))
}

fn evaluate(
    ops: &OpRegistry,
    module: &Module,
    name: &str,
    args: &[TensorData],
) -> Result<Vec<TensorData>, String> {
    let args: Vec<Value> = args.iter().cloned().map(Value::Tensor).collect();
    let results = eval_function(ops, module, name, &args).map_err(|it| it.to_string())?;
    results.into_iter().map(|it| it.as_tensor().cloned().ok_or_else(|| "no tensor".to_owned())).collect()
}

/// The verdicts of a file.
fn verdicts(text: &str, check: impl Fn(&Verdict) -> bool) -> usize {
    let ops = OpRegistry::standard();
    let eval = |module: &Module, name: &str, args: &[TensorData]| evaluate(&ops, module, name, args);
    let prover = Prover::new(&ops).with_evaluator(&eval);
    let mut wrong = Vec::new();
    let mut count = 0;
    for pair in pairs(text) {
        let [before, after] = [0, 1].map(|it| parse(&ops, &pair.name, &pair.sides[it]));
        let verdict = prover.prove(&before, &after, pair.class);
        count += 1;
        // What is proven is not found different either.
        if let Some(found) =
            prover.difference(&before, &after, pair.class, &Known::default()).filter(|_| verdict.is_proven())
        {
            wrong.push(format!("{}: {found:?}", pair.name));
        }
        if !check(&verdict) {
            wrong.push(format!("{}: {verdict}", pair.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {count}\n{}", wrong.len(), wrong.join("\n"));
    count
}

#[test]
fn equal_functions_are_proven() {
    assert!(verdicts(include_str!("proven.txt"), Verdict::is_proven) >= 60);
}

#[test]
fn different_functions_are_refused_with_index_and_reason() {
    let refused = |verdict: &Verdict| match verdict {
        Verdict::Refuted { difference, .. } => !difference.reason.is_empty(),
        _ => false,
    };
    assert!(verdicts(include_str!("refused.txt"), refused) >= 30);
}

/// Proofs of rules, in their order, on all cores; `ONLY=name` looks at those whose name contains it.
fn proofs(rules: &[Rewrite]) -> Vec<RuleProof> {
    proofs_over(rules, |_| {})
}

/// The same, with the element types of instances in another order.
fn proofs_over(rules: &[Rewrite], order: fn(&mut Vec<DType>)) -> Vec<RuleProof> {
    let only = std::env::var("ONLY").unwrap_or_default();
    let rules: Vec<&Rewrite> = rules.iter().filter(|it| it.name.contains(&only)).collect();
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        let ops = OpRegistry::standard();
        let eval = |module: &Module, name: &str, args: &[TensorData]| evaluate(&ops, module, name, args);
        let prover = Prover::new(&ops).with_evaluator(&eval);
        let mut types = prover.types().to_vec();
        order(&mut types);
        let prover = prover.with_types(types);
        while let Some((i, rule)) = rules.iter().enumerate().nth(next.fetch_add(1, Ordering::Relaxed)) {
            let start = std::time::Instant::now();
            let proof = prover.prove_rule(rule);
            if !only.is_empty() || std::env::var("TIMES").is_ok() {
                eprintln!(
                    "{:>8.2} s {}: {} of {}",
                    start.elapsed().as_secs_f64(),
                    proof.name,
                    proof.proven,
                    proof.instances
                );
            }
            found.lock().expect("no thread has panicked").push((i, proof));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let mut found = found.into_inner().expect("no thread has panicked");
    found.sort_by_key(|it| it.0);
    found.into_iter().map(|it| it.1).collect()
}

/// The rules that ship and are text.
fn shipped() -> Vec<Rewrite> {
    let ops = OpRegistry::standard();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/rules");
    let files = std::fs::read_dir(folder).expect("the rules").map(|it| it.expect("a file").path());
    let mut files: Vec<_> = files.filter(|it| it.extension().is_some_and(|it| it == "rules")).collect();
    files.sort();
    let mut rules = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a text");
        rules.extend(parse_explored(&text, &ops).unwrap_or_else(|it| panic!("{}: {it}", file.display())));
    }
    rules
}

/// What is not proven, each with its first failure.
fn not_proven(proofs: &[RuleProof]) -> Vec<String> {
    let mut wrong = Vec::new();
    for proof in proofs {
        if !proof.is_proven() {
            let of = format!("{}: {} of {} instances", proof.name, proof.proven, proof.instances);
            wrong.push(match &proof.failure {
                Some(it) => format!("{of}: {}\n{}\n{}", it.0, it.1[0], it.1[1]),
                None => of,
            });
        }
    }
    wrong
}

/// Every rule that ships is proven.
#[test]
fn rules_that_ship_are_proven() {
    let proofs = proofs(&shipped());
    let wrong = not_proven(&proofs);
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), proofs.len(), wrong.join("\n"));
    let unproven = proofs.iter().filter(|it| it.unproven.is_some()).count();
    assert_eq!(unproven, 0, "every rule that ships is proven");
}

/// Which element type comes first decides which instances there are, and not whether they are proven. Rules over
/// convolutions have the most instances; at night all rules are looked at.
#[test]
fn proofs_do_not_depend_on_the_order_of_element_types() {
    let mut rules = shipped();
    if std::env::var_os("OROGEN_NIGHTLY").is_none() {
        rules.retain(|it| it.name.starts_with("scale-of-conv") || it.name.starts_with("shift-of-conv"));
        assert_eq!(rules.len(), 4);
    }
    type Order = fn(&mut Vec<DType>);
    let orders: [Order; 3] = [|it| it.rotate_left(1), |it| it.rotate_left(3), |it| it.reverse()];
    for order in orders {
        let wrong = not_proven(&proofs_over(&rules, order));
        assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
    }
}

/// What rules that are code look for, as left sides of rules of the same names; the right sides stand for nothing. Sums have
/// so many terms that `i32` holds them: with more than 33 025 terms of bytes around zero points it may not.
const CODE: &str = r#"
rule dequantize-after-transpose bitwise
  transpose(dequantize(x, s, z?)) {perm = p} => x

rule dequantize-after-gather bitwise
  gather(dequantize(x, s, z?), i) {axis = a} => x

rule multiply-narrow-weights reassociates
  matmul(a: f32[_.., 64], dequantize(w: [64, n], t: [], u?: [])) => a

rule convolve-narrow-weights reassociates
  conv(x: f32[n, 8, h, v], dequantize(w: [o, 8, 3, 3], t: [], u?: []), b?) {..a} => x

rule multiply-blocks reassociates
  matmul(a: f32[_.., 8], dequantize_blocks(w: [8, 6], s: [4, 6], z?: [4, 6]) {axis = 0, block = 2}) => a

rule multiply-integers reassociates
  matmul(dequantize(x: [_.., 64], s: [], z?: []), dequantize(w: [64, n], t: [], u?: [])) => x

rule convolve-integers reassociates
  conv(dequantize(x: [n, 8, h, v], s: [], z?: []), dequantize(w: [o, 8, 3, 3], t: [], u?: []), b?) {..a} => x
"#;

/// Rules that are code are proven the same way where what they look for has a left side without data of constants.
#[test]
fn rules_that_are_code_are_proven_on_instances() {
    let ops = OpRegistry::standard();
    let eval = |module: &Module, name: &str, args: &[TensorData]| evaluate(&ops, module, name, args);
    let prover = Prover::new(&ops).with_evaluator(&eval);
    let all = code();
    let mut wrong = Vec::new();
    for shapes in parse_explored(CODE, &ops).unwrap_or_else(|found| panic!("{found}")) {
        let rule = all.iter().find(|it| *it.name == *shapes.name).expect("a rule that is code");
        let proof = prover.prove_code(*rule, &shapes);
        // What has no proof is at least not refuted, and most of it has one.
        let holds = match &shapes.unproven {
            None => proof.is_proven(),
            Some(_) => !proof.is_proven() && !proof.is_refuted() && 2 * proof.proven > proof.instances,
        };
        if !holds {
            let failure = proof.failure.map(|it| format!("{}\n{}\n{}", it.0, it.1[0], it.1[1]));
            wrong.push(format!(
                "{}: {} of {}: {}",
                proof.name,
                proof.proven,
                proof.instances,
                failure.unwrap_or_default()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Rules that are code are proven on whole programs where no pattern says what they look for.
#[test]
fn rules_that_are_code_are_proven_on_programs() {
    let ops = OpRegistry::standard();
    let prover = Prover::new(&ops);
    let mut wrong = Vec::new();
    let mut count = 0;
    for Program { name, text } in programs(include_str!("code.txt")) {
        let rule = code().into_iter().find(|it| it.name == name).expect("a rule that is code");
        count += 1;
        match prover.prove_on(rule, &parse(&ops, &name, &text)) {
            Some(verdict) if verdict.is_proven() => {}
            Some(verdict) => wrong.push(format!("{name}: {verdict}\n{text}")),
            None => wrong.push(format!("{name} does not apply\n{text}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {count}\n{}", wrong.len(), wrong.join("\n"));
}

/// A program on which a rule is proven.
struct Program {
    name: String,
    text: String,
}

fn programs(text: &str) -> Vec<Program> {
    let blocks = text.split("\n\n").map(str::trim).filter(|it| !it.is_empty());
    let lines = |block: &str| -> Vec<String> {
        block.lines().map(str::trim).filter(|it| !it.starts_with("//")).map(str::to_owned).collect()
    };
    let programs = blocks.map(lines).filter(|it| !it.is_empty());
    let mut found: Vec<Program> = programs
        .map(|it| Program { name: it[0].clone(), text: module(&it[1], &[], &it[2..].join("\n")) })
        .collect();
    // So many operands that one concatenation is not enough, sizes of the first and the last symbolic.
    let params: Vec<String> =
        (0..34_usize).map(|i| format!("%p{i}: f32[{}, m]", ["n", "1", "k"][i.div_ceil(33)])).collect();
    let operands: Vec<String> = (0..34).map(|i| format!("%p{i}")).collect();
    let body = format!("%y = concat({}) {{axis = 0}}", operands.join(", "));
    found.push(Program { name: "split-concat".into(), text: module(&params.join("; "), &[], &body) });
    found
}

/// All rules that are code.
fn code() -> Vec<Rule> {
    [
        simplify::RULES,
        quantized::RULES,
        requantize::RULES,
        scales::RULES,
        transposed::RULES,
        weights::RULES,
        chains::RULES,
        attention::RULES,
        attention::kernel::RULES,
        activations::RULES,
    ]
    .concat()
}

/// Rules that are code and have no proof.
const UNPROVEN: [(&str, &str); 7] = [
    ("name-dequantize", "whether a zero point is a whole number is seen in its data"),
    ("widen-after-pad", "that 0 is the integer 0 is seen in the data of a scale and a zero point"),
    ("scale-terms-of-product", "whether a zero point can be taken off weights is seen in their data"),
    ("scale-terms-of-convolution", "whether a zero point can be taken off weights is seen in their data"),
    ("scale-transposed-convolution", "whether a zero point can be taken off weights is seen in their data"),
    ("divide-scales", "which scales keep their digits is seen in their data, in sums of any depth"),
    (
        "quantize-rows",
        "it rounds rows to bytes, which is no equality: how far it is off depends on what is in a row",
    ),
];

/// Each rule is proven or says why not, and those that are not are fewer than one in twenty.
#[test]
fn few_rules_have_no_proof() {
    let ops = OpRegistry::standard();
    let patterns = parse_explored(CODE, &ops).unwrap_or_else(|found| panic!("{found}"));
    let programs = programs(include_str!("code.txt"));
    let code = code();
    for rule in &code {
        let has_proof = patterns.iter().any(|it| *it.name == *rule.name && it.unproven.is_none())
            || programs.iter().any(|it| it.name == rule.name);
        assert_ne!(has_proof, UNPROVEN.iter().any(|it| it.0 == rule.name), "{}", rule.name);
    }
    assert!(20 * UNPROVEN.len() < shipped().len() + code.len());
}

/// Wrong rules, each with an instance that refutes it.
const WRONG: &str = r#"
rule drops-the-sign-of-zero bitwise
  add(x: float, 0) => x

rule drops-a-transpose bitwise
  transpose(exp(x)) {perm = p} => exp(transpose(x) {perm = inverse(p)})

rule composes-the-other-way bitwise
  transpose(transpose(x) {perm = p}) {perm = q} => transpose(x) {perm = q[p]}

rule swaps-a-difference reassociates
  sub(x, y) => neg(add(x, y))

rule regroups-bit-by-bit bitwise
  add(add(x: float, y), z) => add(x, add(y, z))

rule undoes-a-quotient-of-integers reassociates
  mul(div(x: int, y), y) => x

rule sums-another-axis reassociates
  reduce_sum(reduce_sum(x) {axes = [0]}) {axes = [0]} => reduce_sum(x) {axes = [0, 2]}

rule means-of-integers-distribute bitwise
  reduce_mean(neg(x: int)) {axes = a} => neg(reduce_mean(x) {axes = a})

rule swaps-parts bitwise
  concat(x, y) {axis = a} => concat(y, x) {axis = a}

rule forgets-a-minus reassociates
  reduce_max(neg(x: float)) {axes = a} => neg(reduce_max(x) {axes = a})

rule root-without-magnitude reassociates
  sqrt(mul(x, x)) => x

rule forgets-the-maximum reassociates
  relu(add(x: float, y)) => add(relu(x), relu(y))

rule narrows bitwise
  cast(cast(x: f32) {to = f16}) {to = f32} => x

rule products-commute reassociates
  matmul(x: [n, n], y: [n, n]) => matmul(y, x)

rule products-of-fewer-dimensions-commute reassociates
  matmul(x: float, y) => matmul(y, x)

rule scales-the-channels-that-come-in reassociates
  mul(conv(x, w: float[m, c, h, v]) {..a}, s: [n, 1, 1]) => conv(x, mul(w, s)) {..a}

rule forgets-the-scale-of-a-bias reassociates
  mul(conv(x, w: float[m, c, h, v], b) {..a}, s: [n, 1, 1])
    => conv(x, mul(w, unsqueeze(s) {axes = [3]}), b) {..a}

rule forgets-a-bias reassociates
  add(conv(x, w: float[m, c, h, v], b) {..a}, s: [n, 1, 1]) => conv(x, w, squeeze(s) {axes = [1, 2]}) {..a}

rule drops-axes-in-another-order reassociates
  f: {reduce_sum | reduce_max}(transpose(x) {perm = p}) {axes = a, keepdims = false} => f(x) {axes = sorted(p[a]), keepdims = false}

rule means-of-means-of-integers reassociates
  reduce_mean(reduce_mean(x: int) {axes = b, keepdims = true}) {axes = a, keepdims = true}
    => reduce_mean(x) {axes = sorted([a.., b..]), keepdims = true}
  where distinct([a.., b..])

rule adds-what-is-one-for-each-row bitwise
  f: elementwise(y, transpose(x) {perm = p}) => transpose(f(y, x)) {perm = p}
  where rank(y) < rank(x), rank(y) > 0

rule pads-with-ones bitwise
  conv(pad(x, p, 1), w) {pads = q, ..a}
    => conv(x, w) {pads = q + [part(elements(p), 2, rank(x)).., part(elements(p), rank(x) + 2, 2 * rank(x))..], ..a}
  where part(elements(p), 0, 2) = 0, part(elements(p), rank(x), rank(x) + 2) = 0

rule quantizes-again-by-another-scale bitwise
  quantize(dequantize(x: T, s: f32), t) {to = T} => x
  where within(s, 0.5, 2), within(t, 0.5, 2)

rule quantizes-again-beyond-the-largest-float bitwise
  quantize(dequantize(x: T, s: f32), s) {to = T} => x
  where within(s, 1e-30, 3e38)

rule quantizes-again-by-negative-scales-after-relu bitwise
  quantize(relu(dequantize(x: T, s: f32)), s) {to = T} => relu(x)
  where within(s, -2, -1)

rule forgets-a-zero-point-after-relu bitwise
  quantize(relu(dequantize(x: T, s: f32, z)), s, z) {to = T} => relu(x)
  where within(s, 1e-30, 1e30)

rule moves-negative-scales-out-of-a-maximum bitwise
  f: max_pool(dequantize(x, s: f32[])) {kernel = k, pads = p, dilations = d}
    => dequantize(f(x) {kernel = k, pads = p, dilations = d}, s)
  where p < [k.., k..], d = 1

rule moves-scales-out-of-windows-of-padding bitwise
  f: max_pool(dequantize(x, s: f32[])) {kernel = k, pads = p, dilations = d}
    => dequantize(f(x) {kernel = k, pads = p, dilations = d}, s)
  where within(s, 1e-30, 1e30), d = 1

rule scales-of-any-sign-leave-a-relu bitwise
  relu(mul(x: float, s)) => mul(relu(x), s)
  where made(s)

rule scales-below-zero-leave-a-relu reassociates
  relu(mul(x: float, s)) => mul(relu(x), s)
  where within(s, -4, -1)

rule scales-of-extremes-keep-the-sign-of-zero bitwise
  mul(f: {max | min}(x: float, y), s) => f(mul(x, s), mul(y, s))
  where positive(s)

rule scales-one-side-of-an-extreme reassociates
  mul(f: {max | min}(x: float, y), s) => f(mul(x, s), y)
  where positive(s)

rule scales-of-any-sign-leave-windows reassociates
  f: max_pool(mul(x: float[n, c, h, w], s: [k, 1, 1])) => mul(f(x), s)
  where made(s)

rule scales-the-wrong-part bitwise
  mul(concat(x: float[n, c, rest..], y) {axis = 1}, s: [k, 1, 1])
    => concat(mul(x, slice(s, [c], [k], [1]) {axes = [0]}), mul(y, slice(s, [0], [c], [1]) {axes = [0]})) {axis = 1}
  where made(s), k = c + dim(y, 1), c = dim(y, 1), rank(x) = 4

rule scales-of-any-sign-leave-a-magnitude bitwise
  abs(mul(x: float, s)) => mul(abs(x), s)
  where made(s)

rule takes-epsilon-out-of-a-root reassociates
  add(mul(div(d = sub(x: [_.., n], reduce_mean(x) {axes = [a], keepdims = true}),
              add(sqrt(reduce_mean(mul(d, d)) {axes = [a], keepdims = true}), e)), s: [n]), b: [n])
    => layer_norm(x, s, b) {axis = a, epsilon = scalar(e)}
  where a = rank(x) - 1, scalar(e) > 0

rule takes-another-epsilon reassociates
  add(mul(div(d = sub(x: [_.., n], reduce_mean(x) {axes = [a], keepdims = true}),
              sqrt(add(reduce_mean(mul(d, d)) {axes = [a], keepdims = true}, e))), s: [n]), b: [n])
    => layer_norm(x, s, b) {axis = a, epsilon = 2 * scalar(e)}
  where a = rank(x) - 1, scalar(e) > 0
"#;

#[test]
fn wrong_rules_are_refuted() {
    let ops = OpRegistry::standard();
    let rules = parse_explored(WRONG, &ops).unwrap_or_else(|found| panic!("{found}"));
    let wrong: Vec<String> = proofs(&rules)
        .iter()
        .filter(|it| !it.is_refuted())
        .map(|it| format!("{}: {} of {}: {:?}", it.name, it.proven, it.instances, it.failure))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
