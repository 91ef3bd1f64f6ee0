//! Proofs: pairs of functions that are equal are proven, pairs that are not are refused, each with its index and reason.
//!
//! Pairs stand in text files beside this one. A pair is a line `name: class`, parameters, bindings of the first
//! function, `=>`, and bindings of the second; each defines `%y`. `f32[n, m]` is a tensor type, `[n, 2*m]` that of a
//! parameter with these elements; a line `fact n >= 2` is a fact.

use orogen_ir::flow::{Module, text};
use orogen_ir::ops::OpRegistry;
use orogen_ir::types::TensorData;
use orogen_passes::proof::{Class, Prover, Verdict};
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
