//! Proofs: pairs of functions that are equal are proven, pairs that are not are refused, each with its index and reason.
//!
//! Pairs stand in text files beside this one. A pair is a line `name: class`, parameters, bindings of the first
//! function, `=>`, and bindings of the second; each defines `%y`. `f32[n, m]` is a tensor type, `[n, 2*m]` that of a
//! parameter with these elements; a line `fact n >= 2` is a fact.

use orogen_ir::flow::{Module, text};
use orogen_ir::ops::OpRegistry;
use orogen_ir::types::TensorData;
use orogen_passes::proof::{Class, Prover, Verdict};
use orogen_passes::rewrite::parse_explored;
use orogen_reference::{Value, eval_function};

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

/// The verdicts of a file; `ONLY=name` looks at the pairs whose name contains it.
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
        if let Some(found) = prover.difference(&before, &after, pair.class).filter(|_| verdict.is_proven()) {
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

/// Every rule that ships is proven, or says why it is not.
#[test]
fn rules_that_ship_are_proven_or_say_why_not() {
    let ops = OpRegistry::standard();
    let eval = |module: &Module, name: &str, args: &[TensorData]| evaluate(&ops, module, name, args);
    let prover = Prover::new(&ops).with_evaluator(&eval);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/rules");
    let files = std::fs::read_dir(folder).expect("the rules").map(|it| it.expect("a file").path());
    let mut files: Vec<_> = files.filter(|it| it.extension().is_some_and(|it| it == "rules")).collect();
    files.sort();
    let (mut wrong, mut count, mut unproven) = (Vec::new(), 0, 0);
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a text");
        for rule in parse_explored(&text, &ops).unwrap_or_else(|it| panic!("{}: {it}", file.display())) {
            let proof = prover.prove_rule(&rule);
            count += 1;
            unproven += usize::from(rule.unproven.is_some());
            if proof.is_proven() == rule.unproven.is_some() {
                let of = format!("{}: {} of {} instances", proof.name, proof.proven, proof.instances);
                wrong.push(match &proof.failure {
                    Some(it) => format!("{of}: {}\n{}\n{}", it.0, it.1[0], it.1[1]),
                    None => of,
                });
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count}\n{}", wrong.len(), wrong.join("\n"));
    // The goal is one in twenty.
    assert!(10 * unproven <= count, "{unproven} of {count} rules are unproven");
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
"#;

#[test]
fn wrong_rules_are_refuted() {
    let ops = OpRegistry::standard();
    let eval = |module: &Module, name: &str, args: &[TensorData]| evaluate(&ops, module, name, args);
    let prover = Prover::new(&ops).with_evaluator(&eval);
    let rules = parse_explored(WRONG, &ops).unwrap_or_else(|found| panic!("{found}"));
    for rule in rules {
        let proof = prover.prove_rule(&rule);
        assert!(
            proof.is_refuted(),
            "{}: {} of {}: {:?}",
            proof.name,
            proof.proven,
            proof.instances,
            proof.failure
        );
    }
}
