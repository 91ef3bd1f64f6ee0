//! Texts of rules: what they print as, and what is wrong with them.

use super::shipped::{roots, split};
use super::{AnyRule, Ops, PatternKind, RuleSet, parse, parse_explored, print};
use orogen_ir::generate::Random;
use orogen_ir::ops::OpRegistry;

const SHIPPED: [&str; 3] = [
    include_str!("../../rules/simplify.rules"),
    include_str!("../../rules/quantized.rules"),
    include_str!("../../rules/layout.rules"),
];

#[test]
fn rules_for_saturation_are_read_again_too() {
    let ops = OpRegistry::standard();
    let text = include_str!("../../rules/explore.rules");
    for rule in parse(text, &ops).unwrap_or_else(|found| panic!("{found}")) {
        let printed = print(&rule);
        let again = parse(&printed, &ops).unwrap_or_else(|found| panic!("{printed}\n{found}"));
        assert_eq!(print(&again[0]), printed);
    }
}

/// What is read of a rule before it is tried: the same names, and the operators that it begins with.
#[test]
fn rules_that_ship_are_read_one_by_one_as_they_are_together() {
    let ops = OpRegistry::standard();
    for text in SHIPPED.into_iter().chain([include_str!("../../rules/explore.rules")]) {
        let all = parse(text, &ops).unwrap_or_else(|found| panic!("{found}"));
        let parts: Vec<&str> = split(text).collect();
        assert_eq!(parts.len(), all.len());
        let mut set = RuleSet::default();
        set.insert_shipped(&ops, text).unwrap_or_else(|found| panic!("{found}"));
        for ((rule, part), found) in all.iter().zip(parts).zip(set.rules()) {
            let PatternKind::Op(op) = &rule.left.kind else {
                panic!("{} begins with no operator", rule.name)
            };
            let names: Vec<&str> = match &op.ops {
                Ops::Named(names) => names.iter().map(|it| &**it).collect(),
                Ops::Elementwise => vec!["elementwise"],
            };
            assert_eq!(roots(part).collect::<Vec<_>>(), names, "{part}");
            let AnyRule::Text(found) = found else { panic!("a text is a rule that is data") };
            assert_eq!(print(found), print(rule));
        }
    }
}

#[test]
fn r7_what_is_printed_is_read_again() {
    let ops = OpRegistry::standard();
    for text in SHIPPED {
        for rule in parse(text, &ops).unwrap_or_else(|found| panic!("{found}")) {
            let printed = print(&rule);
            let again = parse(&printed, &ops).unwrap_or_else(|found| panic!("{printed}\n{found}"));
            assert_eq!(print(&again[0]), printed);
        }
    }
}

/// Wrong texts, each with its code and what the line under its place is.
const WRONG: &[(&str, &str, &str)] = &[
    ("rule a bitwise\n  softmx(x) {axis = 0} => x", "N006", "there is no operator `softmx`"),
    ("rule a bitwise\n  relu(x) => gelu(x)", "N006", "there is no operator `gelu`"),
    ("rule a bitwise\n  relu(x) => x where rang(x) = 2", "N006", "there is no function `rang`"),
    ("rule a bitwise\n  relu(x) {axis = 1} => x", "N007", "`relu` has no attribute `axis`"),
    ("rule a bitwise\n  relu(x) => softmax(x)", "N007", "`softmax` needs attribute `axis`"),
    ("rule a bitwise\n  relu(x) => softmax(x) {axes = 1}", "N007", "`softmax` has no attribute `axes`"),
    ("rule a bitwise\n  transpose(p) {perm = p} => p", "N008", "`p` is a list of integers and a value"),
    ("rule a bitwise\n  relu(x) => abs(x) let x = neg(x)", "N008", "`x` is bound twice"),
    ("rule a bitwise\n  relu(x) => abs(y)", "N009", "nothing on the left says what `y` is"),
    ("rule a bitwise\n  relu(x) => x where rank(y) = 1", "N009", "nothing on the left says what `y` is"),
    ("rule a bitwise\n  relu(x, y) => x", "N010", "`relu` takes 1 operand but has 2"),
    ("rule a bitwise\n  relu(x) => add(x)", "N010", "`add` takes 2 operands but has 1"),
    ("rule a bitwise\n  relu(x) => x where dim(x) = 1", "N010", "`dim` takes 2 arguments but has 1"),
    ("rule a exact\n  relu(x) => x", "N011", "there is no class `exact` of rules"),
    ("rule a\n  relu(x) => x", "N011", "there is no class `relu` of rules"),
    ("rule a approximates\n  relu(x) => x", "N011", "`approximates` states no error"),
    ("rule a bitwise\n  add(x, y) => add(y, x)", "N012", "rule `a` applies to what it makes"),
    ("rule a bitwise\n  relu(x) => relu(relu(x))", "N012", "rule `a` applies to what it makes"),
    ("rule a bitwise\n  relu(x) => x\nrule a bitwise\n  abs(x) => x", "N004", "there are two rules `a`"),
    ("rule a bitwise\n  x => x", "N008", "the left side is no operation"),
    ("rule a bitwise\n  concat(xs..) {axis = a} => xs", "N008", "`xs` is several operands"),
    ("rule a bitwise\n  concat(xs.., ys..) {axis = a} => x", "N008", "two operands stand for any number"),
    ("rule a bitwise\n  relu(x) => 0", "N008", "nothing says of which type this number is"),
    ("rule a bitwise\n  relu(x) => x where x", "T010", "expected a relation"),
    ("rule a bitwise\n  relu(x)", "T010", "expected `=>`"),
    ("rule a bitwise\n  relu(x => x", "T010", "expected `,` or `)`"),
    ("relu(x) => x", "T010", "expected `rule`"),
];

#[test]
fn wrong_rules_have_a_code_and_a_place() {
    let ops = OpRegistry::standard();
    for (text, code, message) in WRONG {
        let found = parse(text, &ops).expect_err(text);
        let fits = found.iter().find(|it| it.code == *code && it.message.contains(message));
        let first = fits.unwrap_or_else(|| panic!("{text}\n{found}"));
        assert!(matches!(first.place, Some(orogen_ir::diag::Place::Text { .. })), "{text}\n{first}");
        assert!(first.help.is_some() || !matches!(*code, "N011" | "N012" | "N004"), "{first}");
    }
}

#[test]
fn each_wrong_rule_of_a_text_is_found() {
    let ops = OpRegistry::standard();
    let text = "rule a bitwise\n  rleu(x) => x\nrule b bitwise relu(x) =>\nrule c bitwise\n  abs(x) => y\n";
    let found = parse(text, &ops).expect_err("three errors");
    let codes: Vec<&str> = found.iter().map(|it| it.code).collect();
    assert_eq!(codes, ["N006", "T010", "N009"], "{found}");
    assert!(found.0[0].help.as_deref().is_some_and(|it| it.contains("`relu`")), "{found}");
}

#[test]
fn rules_for_saturation_may_go_in_circles() {
    let ops = OpRegistry::standard();
    let turned = "rule a bitwise explored\n  add(x, y) => add(y, x)\n";
    assert!(parse_explored(&turned.replace(" explored", ""), &ops).is_ok());
    let marked = parse(turned, &ops).unwrap_or_else(|found| panic!("{found}"));
    assert!(marked[0].explored && print(&marked[0]) == turned);
    let found = RuleSet::parse(&ops, turned).expect_err("it would go on");
    assert_eq!(found.0[0].code, "N008");
    assert_eq!(
        found.0[0].message,
        "rule `a` is for exploration alone, and this set is applied until none applies"
    );
}

#[test]
fn r6_no_text_makes_the_parser_panic() {
    let ops = OpRegistry::standard();
    let words = [
        "rule",
        "a",
        "bitwise",
        "=>",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "..",
        "x",
        "x..",
        "relu",
        "concat",
        "where",
        "let",
        "=",
        "1",
        "-",
        "!",
        "?",
        ":",
        "f32",
        "T",
        ",",
        "|",
        "not",
        "or",
        "rank",
        "axis",
        "\"",
        "\n",
        "elementwise",
    ];
    let mut random = Random::new(5);
    for _ in 0..3000 {
        let mut text = String::from("rule a bitwise ");
        for _ in 0..random.below(30) {
            text.push_str(random.pick(&words));
            text.push(' ');
        }
        let _ = parse(&text, &ops);
    }
    for deep in ["relu(", "[", "-", "{relu |", "not ", "a[", "(", "add(x, "] {
        let text = format!("rule a bitwise {}", deep.repeat(20_000));
        assert!(parse(&text, &ops).is_err());
        let text = format!("rule a bitwise relu(x) => {}", deep.repeat(20_000));
        assert!(parse(&text, &ops).is_err());
        let text = format!("rule a bitwise relu(x) => x where {}", deep.repeat(20_000));
        assert!(parse(&text, &ops).is_err());
    }
}

#[test]
fn r6_mutated_rules_do_not_make_the_parser_panic() {
    let ops = OpRegistry::standard();
    let mut random = Random::new(6);
    for _ in 0..600 {
        let mut text: Vec<char> = random.pick(&SHIPPED).chars().collect();
        for _ in 0..1 + random.below(4) {
            let at = random.below(text.len());
            match random.below(3) {
                0 => drop(text.remove(at)),
                1 => text.insert(at, random.pick(&['(', ')', '[', '{', '.', ':', '=', '1', 'x', '"', '\n'])),
                _ => text.truncate(at.max(1)),
            }
        }
        let _ = parse(&text.into_iter().collect::<String>(), &ops);
    }
}
