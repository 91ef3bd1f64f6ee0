use super::*;
use crate::diag::{Diagnostics, Place};
use crate::graph::{Graph, difference, same_structure};
use crate::ops::OpRegistry;
use crate::text::mutate::mutations;

const FULL: &str = r#"graph @"a \"hostile\" name"(%x: f32[2, 3], %0 as "input 1": i64[2], %input.2: f32[3]) {
  kernel @double {
    in %a: f32[2, 3]
    out %b: f32[2, 3]
    for i < 2, j < 3 { %b[i, j] = %a[i, j] + %a[i, j] }
  }
  %w = const "w" f32[3] [1, -2.5, inf]
  %1 = const f32[100] splat 0
  %2 = add(%x, %w) : f32[2, 3] loc("node `add 1` (Add)")
  %3 = kernel @double(%2) : f32[2, 3]
  %4 = view(%3) : f32[3, 2]
  %5 = reduce_sum(%4) {axes = [0], keepdims = false} : f32[2]
  %6 = const i64[2] [3, 2]
  %7 = reshape(%3, %6) {allow_zero = false} : f32[3, 2]
  return y = %5, "out 1" = %7, z = %input.2
}
"#;

fn read(text: &str) -> Graph {
    parse(text, &OpRegistry::standard()).unwrap_or_else(|it| panic!("{it}"))
}

fn codes(found: &Diagnostics) -> Vec<(u32, &'static str)> {
    found
        .iter()
        .map(|it| match &it.place {
            Some(Place::Text { line, .. }) => (*line, it.code),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn t1_and_t2() {
    let ops = OpRegistry::standard();
    let graph = read(FULL);
    assert_eq!(print(&graph, &ops), FULL);
    graph.verify(&ops).unwrap_or_else(|it| panic!("{it}"));
    let again = read(&print(&graph, &ops));
    assert_eq!(difference(&graph, &again), None);
    for (from, to) in [
        ("f32[3] [1,", "f32[3] [2,"),
        ("add(%x, %w)", "sub(%x, %w)"),
        ("add(%x, %w)", "add(%w, %x)"),
        ("y = %5", "z = %5"),
        ("y = %5", "y = %7"),
        ("(Add)", "(Sub)"),
        ("%a[i, j] + ", "%a[i, j] * "),
        ("axes = [0]", "axes = [1]"),
    ] {
        let text = FULL.replacen(from, to, 1);
        assert_ne!(text, FULL, "{from}");
        if let Ok(other) = parse(&text, &ops) {
            assert!(!same_structure(&graph, &other), "{from} to {to}");
        }
    }
}

#[test]
fn outputs_of_a_node_have_numbers_and_types_may_be_left_out() {
    let ops = OpRegistry::standard();
    let text = "graph @g(%x: f32[1, 2, 4], %w: f32[1, 12, 4], %r: f32[1, 12, 3]) {
  %b = const f32[1, 24] [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
  %h = const f32[1, 2, 3] [0, 0, 0, 0, 0, 0]
  %l = lstm(%x, %w, %r, %b, %h, %h) {direction = \"forward\"}
  %y = add(%l.1, %l.2)
  return y = %y, all = %l, last = %l.2
}";
    let graph = read(text);
    graph.verify(&ops).unwrap_or_else(|it| panic!("{it}"));
    let printed = print(&graph, &ops);
    assert_eq!(difference(&graph, &read(&printed)), None);
    assert!(printed.contains(".1") && printed.contains(".2"), "{printed}");
}

#[test]
fn errors_are_collected() {
    let text = "graph @g(%x: f32[2]) {
  %0 = foo(%x)
  %1 = add(%0, %x)
  %2 = add(%x, %9)
  %3 = add(%x)
  %x = add(%x, %x)
  %4 = add(%x.1, %x)
  %5 = view(%x)
  return y = %5, z = %nowhere
}";
    let found = parse(text, &OpRegistry::standard()).expect_err("errors");
    let expected =
        [(2, "T106"), (4, "T102"), (5, "O001"), (6, "T101"), (7, "T131"), (8, "T108"), (9, "T102")];
    // `%5` is broken, so the `return` line reports nothing before it reaches `%nowhere`.
    let list = codes(&found);
    assert_eq!(list[..6], expected[..6], "{found}");
}

#[test]
fn every_law_has_a_violation_that_is_found() {
    let ops = OpRegistry::standard();
    let broken = |edit: &dyn Fn(&mut Graph)| {
        let mut graph = read(FULL);
        edit(&mut graph);
        codes(&graph.verify(&ops).expect_err("a violation"))
    };
    // Lines: the header is 1, the kernel 2 to 6, nodes from 7 on.
    assert_eq!(broken(&|it| it.order.swap(5, 6)), [(9, "G011")]);
    assert_eq!(broken(&|it| it.order.push(it.order[5])), [(15, "G011")]);
    assert_eq!(broken(&|it| it.outputs[0].1.output = 1), [(15, "G012")]);
    assert_eq!(broken(&|it| it.inputs.truncate(2)), [(7, "G012")]);
    assert_eq!(broken(&|it| it.nodes[it.order[5]].outputs[0].dims[0] = 7)[0], (9, "G014"));
    assert_eq!(broken(&|it| it.kernels.clear()), [(5, "G015")]);
    assert_eq!(broken(&|it| it.outputs[1].0 = "y".to_owned()), [(15, "G016")]);
}

#[test]
fn g7_defaults_of_inputs() {
    let ops = OpRegistry::standard();
    let text =
        |params: &str| format!("graph @g({params}) {{\n  %0 = add(%x, %k) : f32[2]\n  return y = %0\n}}\n");
    let good = text("%x: f32[2], %k: f32[2] = \"k\" f32[2] [1, 2]");
    let mut graph = read(&good);
    graph.verify(&ops).unwrap_or_else(|it| panic!("{it}"));
    graph.compact();
    assert_eq!(print(&graph, &ops), good);
    assert_eq!(difference(&graph, &read(&good)), None);
    assert!(difference(&graph, &read(&good.replace("[1, 2]", "[1, 3]"))).is_some());
    assert!(difference(&graph, &read(&good.replace(" = \"k\" f32[2] [1, 2]", ""))).is_some());
    for bad in [
        "%x: f32[2] = f32[2] [1, 2], %k: f32[2]",
        "%x: f32[2], %k: f32[2] = f32[1] [1]",
        "%x: f32[2], %k: f32[2] = i32[2] [1, 2]",
    ] {
        assert_eq!(codes(&read(&text(bad)).verify(&ops).expect_err(bad)), [(1, "G017")]);
    }
}

#[test]
fn broken_text_is_an_error_and_never_a_panic() {
    let ops = OpRegistry::standard();
    for text in mutations(FULL, "{}()\"%,\n:-9é@.=", 1500) {
        if let Ok(graph) = parse(&text, &ops) {
            let printed = print(&graph, &ops);
            let again = parse(&printed, &ops).unwrap_or_else(|it| panic!("{it}\n{printed}"));
            assert_eq!(difference(&graph, &again), None, "{printed}");
            drop(graph.verify(&ops));
        }
    }
}

#[test]
fn edits_keep_the_laws() {
    let ops = OpRegistry::standard();
    let mut graph = read(FULL);
    let edge = |graph: &Graph, i: usize| crate::graph::Edge { node: graph.order[i], output: 0 };
    // The second output reads the view instead of the reshape: the reshape and two constants die.
    let (reshaped, view) = (edge(&graph, 10), edge(&graph, 7));
    graph
        .edit(&ops, |editor| {
            assert_eq!((editor.uses(reshaped), editor.uses(view)), (1, 1));
            editor.replace(reshaped, view);
            assert_eq!((editor.uses(reshaped), editor.uses(view)), (0, 2));
            Ok::<(), crate::diag::Diagnostic>(())
        })
        .expect("edited");
    assert_eq!(graph.prune(), 3);
    graph.verify(&ops).unwrap_or_else(|it| panic!("{it}"));
    let before = print(&graph, &ops);
    let dead = graph.clone();
    graph.compact();
    assert_eq!(graph.nodes.len(), graph.order.len());
    assert_eq!(graph.constants.len(), 1);
    assert_eq!(difference(&graph, &dead), None);
    assert_eq!(print(&graph, &ops), before);
}

#[test]
fn the_example_of_the_grammar_is_what_the_printer_writes() {
    let ops = OpRegistry::standard();
    let page = include_str!("grammar.md");
    let example = page.rsplit("```text\n").next().and_then(|it| it.split("```").next()).expect("an example");
    let graph = read(example);
    graph.verify(&ops).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(print(&graph, &ops), example);
}
