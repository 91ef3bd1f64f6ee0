//! The same models in every run of the tests, each on an executor that its seed chooses; at night on all.

mod support;

use orogen_generated::{Column, Setup, draw};
use orogen_onnx::proto::{GraphProto, attribute_type};
use std::collections::{BTreeMap, BTreeSet};
use support::findings;

/// Models of each run; `cargo xtask generated` takes the seeds after them, without end.
const MODELS: u64 = 2000;

/// How many of a hundred runs may be of models that the legacy graph cannot hold.
const MOST_REFUSED: usize = 3;

fn night() -> bool {
    std::env::var_os("OROGEN_NIGHTLY").is_some()
}

#[test]
fn executors_compute_what_the_reference_computes_of_every_node() {
    let columns = Column::all();
    let each = if night() { columns.len() } else { 1 };
    let found = findings(Setup::default, 0..MODELS, |seed| Column::some(&columns, seed, each));
    let text: Vec<String> = found.wrong.iter().map(|(seed, it)| format!("seed {seed}: {it}")).collect();
    assert!(text.is_empty(), "{} of {MODELS}: {}", text.len(), text[..text.len().min(10)].join("\n"));
    // Nothing that the legacy graph refuses counts as compared.
    let (compared, refused) = (found.compared, found.refused);
    assert!(refused * 100 <= MOST_REFUSED * (compared + refused), "{refused} refused, {compared} compared");
}

/// Operators that no recipe and no case draws, by domain, and why.
const UNDRAWN: &[(&str, &str, &[&str])] = &[
    ("", "no recipe yet: a body for each item", &["SequenceMap"]),
    ("ai.onnx.ml", "maps, which no model takes or gives", &["CastMap", "ZipMap"]),
    ("ai.onnx.preview", "no recipe yet: bodies that score", &["FlexAttention"]),
    ("ai.onnx.preview.training", "no recipe yet: it names values of the whole graph", &["Gradient"]),
    (
        "com.microsoft",
        "no recipe yet: tables of weights of many forms",
        &["DynamicQuantizeLSTM", "MatMulBnb4", "QMoE"],
    ),
    (
        "com.microsoft",
        "floats that integers on the last bit were made of, which are off by more than any rounding",
        &["DynamicQuantizeMatMul", "QAttention"],
    ),
];

#[test]
fn every_operator_of_the_importer_is_drawn_or_listed() {
    let setup = Setup::default();
    let listed: BTreeSet<(&str, &str)> =
        UNDRAWN.iter().flat_map(|(domain, _, names)| names.iter().map(|it| (*domain, *it))).collect();
    let undrawn = setup.operators.iter().filter(|it| !setup.is_drawn(it));
    let undrawn: BTreeSet<(&str, &str)> = undrawn.map(|it| (it.domain.as_str(), it.name.as_str())).collect();
    let missing: Vec<_> = undrawn.difference(&listed).collect();
    assert!(missing.is_empty(), "not drawn and not listed: {missing:?}");
    let drawn: Vec<_> = listed.difference(&undrawn).collect();
    assert!(drawn.is_empty(), "drawn, or no operators: take them off the list: {drawn:?}");
}

#[test]
fn a_seed_is_one_model() {
    let (a, b) = (Setup::default(), Setup::default());
    for seed in 0..20 {
        assert_eq!(draw(&a, seed).proto, draw(&b, seed).proto, "seed {seed}");
    }
}

/// Counts operators, those of bodies too.
fn count(graph: &GraphProto, counts: &mut BTreeMap<String, usize>) {
    for node in &graph.node {
        *counts.entry(node.op_type.clone()).or_default() += 1;
        for body in node.attribute.iter().filter(|it| it.kind == attribute_type::GRAPH) {
            count(body.g.as_deref().expect("a body"), counts);
        }
    }
}

#[test]
fn models_hold_what_compilers_go_wrong_on() {
    let setup = Setup::default();
    let models: Vec<_> = (0..400).map(|seed| draw(&setup, seed)).collect();
    let share = |what: &str, least: usize, holds: &dyn Fn(&orogen_generated::Drawn) -> bool| {
        let count = models.iter().filter(|it| holds(it)).count();
        assert!(count * 100 >= least * models.len(), "{what}: {count} of {}", models.len());
    };
    let inputs = |it: &orogen_generated::Drawn| -> Vec<orogen_ir::types::TensorData> {
        it.settings.iter().flat_map(|it| it.inputs.inputs.values().cloned()).collect()
    };
    share("an output", 90, &|it| !it.settings.is_empty());
    share("sizes that are open", 30, &|it| it.settings.first().is_some_and(|it| !it.sizes.is_empty()));
    share("an extent of 0", 2, &|it| inputs(it).iter().any(|it| it.dims().contains(&0)));
    share("an extent of 1", 20, &|it| inputs(it).iter().any(|it| it.dims().contains(&1)));
    share("a scalar", 10, &|it| inputs(it).iter().any(|it| it.dims().is_empty()));
    share("no number", 2, &|it| inputs(it).iter().any(|it| it.to_f64().iter().any(|it| it.is_nan())));
    share("old operators", 10, &|it| it.opset() < 13);
    share("new operators", 15, &|it| it.opset() > 20);
    share("five nodes", 30, &|it| it.graph().node.len() >= 5);
    let types: BTreeSet<_> = models.iter().flat_map(inputs).map(|it| it.dtype()).collect();
    assert!(types.len() >= 13, "{types:?}");
    let mut counts = BTreeMap::new();
    models.iter().for_each(|it| count(it.graph(), &mut counts));
    for op in ["If", "Loop", "Scan", "Conv", "MatMul", "SequenceAt", "QuantizeLinear"] {
        assert!(counts.contains_key(op), "{op}: {counts:?}");
    }
    assert!(counts.len() > 150, "{} operators: {counts:?}", counts.len());
}
