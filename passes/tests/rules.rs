//! Rules from outside, on both graph IRs.

use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::FlowBuilder;
use orogen_ir::graph::GraphBuilder;
use orogen_ir::ops::{OpRegistry, OpSink};
use orogen_ir::types::{Attrs, DType, Type};
use orogen_passes::manager::{Ir, Pass, PassCx};
use orogen_passes::rewrite::{OpCall, Rewriter, Rule, RuleClass, RuleSet, Value};
use orogen_passes::rules::apply::ApplyRules;

/// `sqrt(x * x) = abs(x)`.
const ROOT_OF_SQUARE: Rule = Rule {
    name: "root-of-square",
    root: "sqrt",
    class: RuleClass::Reassociates,
    reason: "a test",
    apply: |cx, call| {
        let square = cx.definition_by(call.args[0], "mul").filter(|it| it.args[0] == it.args[1])?;
        cx.emit("abs", Attrs::none(), &square.args[..1])
    },
};

/// Wrong: the result has another element type.
const WRONG: Rule =
    Rule { name: "wrong", root: "sqrt", class: RuleClass::Bitwise, reason: "a test", apply: to_bool };

fn to_bool(cx: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    cx.emit("is_nan", Attrs::none(), &call.args)
}

fn square_root_of_square<S: OpSink>(sink: &mut S) {
    let dims = [2, 3].map(|it| sink.shapes().int(it));
    let x = sink.input("x", Type::tensor(DType::F32, dims)).expect("a static input");
    let (mul, sqrt) = (sink.ops().get("mul"), sink.ops().get("sqrt"));
    let square = sink.emit(mul, Attrs::none(), &[x, x]).expect("the operands are valid")[0];
    sink.set_source("node `root`");
    let root = sink.emit(sqrt, Attrs::none(), &[square]).expect("the operand is valid")[0];
    sink.set_source("");
    sink.output("y", root).expect("a new name");
}

/// Both IRs after the rules, printed.
fn after(ops: &OpRegistry, rules: &[Rule]) -> [Result<String, Diagnostics>; 2] {
    let pass = ApplyRules::new("custom", RuleSet::new(ops, rules.iter().copied()).expect("rules"));
    let mut builder = GraphBuilder::new(ops, "g");
    square_root_of_square(&mut builder);
    let mut graph = builder.finish().expect("a graph");
    let of_graph = pass.run(&mut graph, &mut PassCx::new(ops)).map(|_| {
        Ir::verify(&graph, ops).expect("the laws hold");
        Ir::print(&graph, ops)
    });
    let mut builder = FlowBuilder::new(ops, "f");
    square_root_of_square(&mut builder);
    let mut module = builder.finish().expect("a module");
    let of_flow = pass.run(&mut module, &mut PassCx::new(ops)).map(|_| {
        Ir::verify(&module, ops).expect("the laws hold");
        Ir::print(&module, ops)
    });
    [of_graph, of_flow]
}

#[test]
fn one_rule_serves_both_irs_and_keeps_the_source() {
    let ops = OpRegistry::standard();
    for text in after(&ops, &[ROOT_OF_SQUARE]) {
        let text = text.expect("it applies");
        assert!(text.contains("abs(%x)") && !text.contains("sqrt") && !text.contains("mul"), "{text}");
        assert!(text.contains("node `root`"), "{text}");
    }
}

#[test]
fn r1_a_rule_that_changes_a_type_is_named() {
    let ops = OpRegistry::standard();
    for error in after(&ops, &[WRONG]) {
        let text = error.expect_err("refused").to_string();
        assert!(
            text.contains("N005") && text.contains("`wrong`") && text.contains("Tensor<bool, [2, 3]>"),
            "{text}"
        );
    }
}

#[test]
fn r3_names_are_taken_once_and_roots_are_registered() {
    let ops = OpRegistry::standard();
    let twice = RuleSet::new(&ops, [WRONG, WRONG]).expect_err("refused");
    assert_eq!(twice.code, "N004");
    let absent = RuleSet::new(&ops, [Rule { root: "acme.swish", ..WRONG }]).expect_err("refused");
    assert_eq!(absent.code, "N003");
}
