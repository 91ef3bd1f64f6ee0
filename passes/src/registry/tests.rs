//! Pipelines from the table, and what is wrong with lists.

use super::*;
use crate::manager::*;
use crate::rules::apply::ApplyRules;
use crate::rules::explored::ExploredRules;
use crate::rules::legalize::LegalizeTable;
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::Module;
use orogen_ir::graph::Graph;
use orogen_ir::ops::OpRegistry;
use std::sync::Arc;

fn built(ops: &OpRegistry, table: PassTable) -> Result<Passes, Diagnostics> {
    let (simplify, layout) = (ApplyRules::simplify(ops), ApplyRules::layout(ops));
    table.build(ops, LegalizeTable::standard(ops), simplify, layout, ExploredRules::default())
}

fn names<I: Ir>(pipeline: &Pipeline<I>) -> String {
    let steps: Vec<Step> = pipeline.passes().map(|it| it.step).collect();
    assert!(steps.is_sorted(), "law N1: {steps:?}");
    pipeline.passes().map(|it| it.name).collect::<Vec<_>>().join(",")
}

const DEFAULT: &str =
    "canonicalize,fold-constants,simplify,fuse-attention,layout,fold-rest,merge-rest,legalize,fuse";

#[test]
fn lists_are_pipelines() {
    let ops = OpRegistry::standard();
    let passes = built(&ops, PassTable::standard()).expect("what ships fits together");
    let flow = |text: &str| {
        let list = PassList::parse(text).expect("a list");
        passes.pipeline::<Module>(&ops, Accuracy::Default, Some(&list), |_| true).map(|it| names(&it))
    };
    let graph = passes.pipeline::<Graph>(&ops, Accuracy::Default, None, |_| true).expect("it is there");
    assert_eq!(names(&graph), DEFAULT);
    for (text, expected) in [
        ("default", DEFAULT.to_owned()),
        ("default,plan-memory", DEFAULT.to_owned()),
        (
            "-layout,-fold-rest",
            "canonicalize,fold-constants,simplify,fuse-attention,merge-rest,legalize,fuse".to_owned(),
        ),
        ("+explore{nodes=10}", DEFAULT.replace("fuse-attention", "explore,fuse-attention")),
        ("quick,canonicalize", "canonicalize,fold-constants,legalize,fuse,canonicalize".to_owned()),
        ("legalize,+canonicalize", "canonicalize,legalize".to_owned()),
        ("", String::new()),
    ] {
        assert_eq!(flow(text).expect(text), expected, "{text}");
    }
    // A pass further down belongs to the step that it stands in, and is below a line there.
    let list = PassList::parse("legalize,canonicalize,fuse").expect("a list");
    let cut = |steps: &dyn Fn(Step) -> bool| {
        let flow = passes.pipeline::<Module>(&ops, Accuracy::Default, Some(&list), steps);
        names(&flow.expect("it is there"))
    };
    assert_eq!(cut(&|it| it >= Step::Fuse), "fuse");
    assert_eq!(cut(&|it| it >= Step::Legalize), "legalize,canonicalize,fuse");
    assert_eq!(cut(&|it| it < Step::Legalize), "");
    assert_eq!(cut(&|it| it < Step::Fuse), "legalize,canonicalize");
}

#[test]
fn what_a_list_cannot_mean_is_said() {
    let ops = OpRegistry::standard();
    let passes = built(&ops, PassTable::standard()).expect("what ships fits together");
    let list = |text: &str| PassList::parse(text).expect("a list");
    let graph = |text: &str| passes.pipeline::<Graph>(&ops, Accuracy::Strict, Some(&list(text)), |_| true);
    for (text, code, help) in [
        ("simplfy", "N020", "`simplify` is one"),
        ("vectorise", "N020", "passes are: canonicalize, "),
        ("plan-memory,fuse", "N020", "by itself"),
        ("translate", "N020", "by itself"),
        ("legalize,-layout", "N020", "those before it are: legalize"),
        ("explore", "N021", "--opt-in dataflow-ir"),
        ("fuse{most=1}", "N024", "it has none"),
        ("simplify{rounds=no}", "N024", "a number from 1 on"),
        ("quick{x=1}", "N024", "one by one"),
    ] {
        let found = graph(text).expect_err(text);
        assert_eq!(found.0[0].code, code, "{text}: {found}");
        assert!(found.0[0].help.as_ref().is_some_and(|it| it.contains(help)), "{text}: {found}");
    }
    // What is not run on a path need not be there.
    let above =
        passes.pipeline::<Graph>(&ops, Accuracy::Default, Some(&list("canonicalize,explore")), |it| {
            it < Step::Simplify
        });
    assert_eq!(names(&above.expect("it is there")), "canonicalize");
}

#[test]
fn n3_orders_that_do_not_fit_name_the_pass_and_the_fact() {
    let ops = OpRegistry::standard();
    let passes = built(&ops, PassTable::standard()).expect("what ships fits together");
    let order = |text: &str, held: Held| {
        let list = PassList::parse(text).expect("a list");
        let pipeline = passes.pipeline::<Module>(&ops, Accuracy::Fast, Some(&list), |_| true).expect(text);
        passes.check_order(pipeline.passes().chain([PLAN_MEMORY.info()]), held)
    };
    order("default", Held::default()).expect("it runs on anything");
    order("fuse", Held::all()).expect("it runs on a program that is legalized");
    let found = order("canonicalize,fuse", Held::default()).expect_err("nothing is legalized").to_string();
    for part in ["N022", "`fuse` requires `legalized`", "`legalize` establishes it", "`plan-memory` requires"]
    {
        assert!(found.contains(part), "{part}: {found}");
    }
    let found = order("legalize,simplify", Held::all()).expect_err("too late").to_string();
    assert!(found.contains("N023") && found.contains("put `simplify` before `legalize`"), "{found}");
}

/// A pass that says something of facts and leaves an operator.
#[derive(Clone, Copy)]
struct Says(Facts);

impl Pass<Graph> for Says {
    fn name(&self) -> &'static str {
        "says"
    }

    fn facts(&self) -> Facts {
        self.0
    }

    fn run(&self, graph: &mut Graph, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        use orogen_ir::graph::NodeKind;
        use orogen_ir::types::Attrs;
        graph.edit(cx.ops, |editor| -> Result<(), Diagnostics> {
            let Some(last) = editor.order().last().copied() else { return Ok(()) };
            let edge = editor.edges(last).next().expect("it has a result");
            let ty = editor.ty(edge).clone();
            let kind = NodeKind::Op { op: cx.ops.get("neg"), attrs: Attrs::none() };
            editor.emit(kind, [edge].into_iter().collect(), [ty].into_iter().collect())?;
            Ok(())
        })?;
        Ok(Changed::Yes)
    }
}

#[test]
fn n4_a_pass_that_says_what_is_not_so_is_named() {
    let ops = OpRegistry::standard();
    let text = "graph @g(%x: f32[2]) { %0 = relu(%x) return y = %0 }";
    let run = |facts: Facts, verify: bool| {
        let mut table = PassTable::standard();
        table.graph_pass(Place::after("legalize"), Arc::new(Says(facts)));
        let passes = built(&ops, table).expect("it has a place");
        let pipeline = passes.pipeline::<Graph>(&ops, Accuracy::Default, None, |_| true)?;
        let mut graph = orogen_ir::graph::text::parse(text, &ops).expect("a graph");
        pipeline.run(&mut graph, &mut PassCx::new(&ops).verifying(verify), &mut [], |_| true)
    };
    let lies = run(Facts::KEEPS_ALL, true).expect_err("it keeps nothing").to_string();
    for part in ["N026", "`says` says that it keeps `legalized`", "`neg`", "`live`", "a defect of the pass"] {
        assert!(lies.contains(part), "{part}: {lies}");
    }
    let establishes = Facts { establishes: &[Fact::Legalized], ..Facts::KEEPS_ALL };
    assert!(
        run(establishes, true).expect_err("it does not").to_string().contains("it establishes `legalized`")
    );
    // A pass that says nothing is looked at, also where nobody asks for it.
    for verify in [false, true] {
        let found = run(Facts::UNSAID, verify).expect_err("`fuse` needs what it destroys").to_string();
        assert!(found.contains("N022") && found.contains("pass `says` destroys it"), "{found}");
    }
    let honest = Facts { destroys: Some(&[Fact::Legalized, Fact::Live]), ..Facts::UNSAID };
    assert!(run(honest, true).expect_err("`fuse` needs it").to_string().contains("pass `says` destroys it"));
}

/// A pass with an option, of a class that is not always admitted.
const HALVE: PassDef = PassDef {
    name: "halve",
    about: "does nothing",
    details: "",
    laws: &[],
    step: Step::Simplify,
    class: PassClass::Of(crate::rewrite::RuleClass::Approximates(2.0)),
    when: When::Admitted,
    options: &[OptionDef {
        name: "type",
        kind: OptionKind::Word(&["f16", "bf16"]),
        default: "f16",
        about: "",
    }],
    graph: None,
    flow: Some(|_, it| match it.word("type") {
        "f16" => Ok(Arc::new(Halve)),
        _ => Err(orogen_ir::diag::Diagnostic::error("N024", "not yet")),
    }),
};

struct Halve;

impl Pass<Module> for Halve {
    fn name(&self) -> &'static str {
        "halve"
    }

    fn run(&self, _: &mut Module, _: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        Ok(Changed::No)
    }
}

#[test]
fn y3_what_is_not_admitted_does_not_run() {
    let ops = OpRegistry::standard();
    let mut table = PassTable::standard();
    table.define(Place::before("layout"), HALVE);
    let passes = built(&ops, table).expect("it has a place");
    let flow = |accuracy, list: Option<&PassList>| passes.pipeline::<Module>(&ops, accuracy, list, |_| true);
    assert_eq!(names(&flow(Accuracy::Default, None).expect("there")), DEFAULT);
    let fast = DEFAULT.replace("layout", "halve,layout");
    assert_eq!(names(&flow(Accuracy::Fast, None).expect("there")), fast);
    let list = PassList::parse("halve,legalize").expect("a list");
    let found = flow(Accuracy::Default, Some(&list)).expect_err("it approximates");
    assert_eq!(found.0[0].code, "N027", "{found}");
    assert!(found.to_string().contains("--accuracy fast"), "{found}");
    let list = PassList::parse("+halve{type=bf16}").expect("a list");
    assert!(flow(Accuracy::Fast, Some(&list)).expect_err("not yet").to_string().contains("not yet"));
}

#[test]
fn y1_names_are_taken_once() {
    let ops = OpRegistry::standard();
    let mut table = PassTable::standard();
    table.define(Place::before("layout"), PassDef { name: "quick", ..HALVE });
    table.define(Place::before("nowhere"), HALVE);
    let found = built(&ops, table).expect_err("neither fits").to_string();
    for part in
        ["`quick` is a pipeline", "definition `quick` makes pass `halve`", "no pass and no step `nowhere`"]
    {
        assert!(found.contains(part), "{part}: {found}");
    }
}

#[test]
fn every_definition_is_whole() {
    let ops = OpRegistry::standard();
    let passes = built(&ops, PassTable::standard()).expect("what ships fits together");
    for def in STANDARD {
        assert!(def.graph.is_some() || def.flow.is_some(), "{}", def.name);
        assert!(!def.about.is_empty() && !def.about.ends_with('.'), "{}", def.name);
        assert!(!def.laws.is_empty(), "{}", def.name);
        let facts = |it: Option<PassInfo>| it.map(|it| it.facts);
        let on_graph = passes.graph_info(def.name);
        let on_flow = passes.flow_info(def.name);
        if let (Some(a), Some(b)) = (facts(on_graph), facts(on_flow)) {
            assert_eq!(a, b, "pass `{}` says one thing of both IRs", def.name);
        }
        for it in [on_graph, on_flow].into_iter().flatten().filter(|_| def.when == When::Admitted) {
            assert!(it.facts.destroys.is_some(), "pass `{}` says what it destroys", def.name);
        }
    }
    for it in NAMED {
        let list = PassList::parse(it.passes.unwrap_or_default()).expect("a list");
        assert!(list.0.iter().all(|it| passes.def(&it.name).is_some()), "{}", it.name);
    }
}
