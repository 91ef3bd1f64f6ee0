//! Every square on a thousand programs and on the models of the repository.

mod support;

use orogen::{Compiler, Step};
use orogen_ir::graph::NodeKind;
use orogen_ir::types::DType;
use orogen_passes::bridge::{LEDGER, Port};
use orogen_passes::manager::Changed;
use orogen_squares::{Harness, SQUARES, Subject, check};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use support::findings;

/// Seeds of each test run; `cargo run --release -p orogen-squares` takes those after them, without end.
const SEEDS: u64 = 1000;

#[test]
fn squares_commute_on_generated_programs() {
    let found = findings(Harness::default, SEEDS);
    let text = found.iter().map(|(square, it)| {
        format!("square `{square}`, {} seeds:\n  {}", it.len(), it[..it.len().min(6)].join("\n  "))
    });
    assert!(found.is_empty(), "{}", text.collect::<Vec<_>>().join("\n"));
}

/// The models that the legacy graph holds, with sizes for what is dynamic.
const MODELS: &[(&str, &[(&str, u64)])] = &[
    ("blocks", &[("rows", 3)]),
    (
        "broadcast",
        &[("N", 2), ("S", 3), ("M", 1), ("T", 3), ("K", 1), ("P", 0), ("Q", 1), ("D", 4), ("F", 1)],
    ),
    ("cache", &[("n", 6), ("k", 4)]),
    ("fused", &[("N", 2), ("H", 8), ("L", 41)]),
    ("microsoft", &[("N", 2), ("S", 5), ("P", 4), ("T", 5)]),
    ("magika_v3_3", &[("unk__214", 1)]),
    ("ppocr_cls_mobile_v2", &[("x_dim0", 1), ("x_dim2", 48), ("x_dim3", 192)]),
    ("qoperator", &[("H", 8), ("N", 7)]),
    ("quantized", &[("N", 13), ("H", 8), ("T", 7), ("B", 2)]),
    ("silero_vad_16k_sequence", &[("sequence_length", 32)]),
];

#[test]
fn squares_commute_on_models() {
    let harness = Harness::default();
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    for (name, dims) in MODELS {
        let model = harness.compiler.open(models.join(name).join("model.onnx")).expect("a model");
        let dims: Vec<(String, u64)> = dims.iter().map(|(name, size)| ((*name).to_owned(), *size)).collect();
        let subject = Subject::model(&harness.compiler, &model, &dims);
        let subject = subject.unwrap_or_else(|it| panic!("{name}: {it:#}"));
        if let Err(found) = check(&harness, &subject) {
            panic!("{name}: {found:?}");
        }
    }
}

/// What generated programs are too small for: attention that becomes one kernel.
#[test]
fn squares_commute_on_texts() {
    let harness = Harness::default();
    let texts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../filetests/passes");
    for name in ["fuse_attention.graph", "fuse_attention_lines.graph"] {
        let text = std::fs::read_to_string(texts.join(name)).expect("a text");
        let end = text.find("// -----").unwrap_or(text.len());
        let model = harness.compiler.decode(name, text.as_bytes()[..end].to_vec()).expect("a program");
        let subject = Subject::model(&harness.compiler, &model, &[]);
        let subject = subject.unwrap_or_else(|it| panic!("{name}: {it:#}"));
        if let Err(found) = check(&harness, &subject) {
            panic!("{name}: {found:?}");
        }
    }
}

#[test]
fn every_ported_step_names_its_square() {
    for entry in LEDGER {
        let named = match entry.port {
            Port::Ported { square } => Some(square),
            Port::LegacyOnly | Port::Shared => None,
        };
        let there = SQUARES.iter().find(|it| it.step == entry.step).map(|it| it.name);
        assert!(
            named.is_none() || named == there,
            "step `{}` names {named:?}, there is {there:?}",
            entry.step
        );
    }
}

#[test]
fn generated_programs_hold_what_rules_go_wrong_on() {
    let compiler = Compiler::standard();
    let ops = compiler.ops();
    let subjects: Vec<Subject> =
        (0..SEEDS).map(|seed| Subject::generated(&compiler, seed).expect("legal")).collect();
    let inputs = || subjects.iter().flat_map(|it| it.inputs.iter().flatten());
    let ranks: BTreeSet<usize> = inputs().map(|it| it.dims().len()).collect();
    assert_eq!(ranks.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6]);
    let types: BTreeSet<DType> = inputs().map(|it| it.dtype()).collect();
    assert_eq!(types.len(), DType::ALL.len(), "{types:?}");
    for extent in [0, 1] {
        assert!(inputs().filter(|it| it.dims().contains(&extent)).count() > 100, "extent {extent}");
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for subject in &subjects {
        for id in subject.graph.order() {
            if let NodeKind::Op { op, .. } = subject.graph[*id].kind {
                *counts.entry(ops.def(op).name).or_default() += 1;
            }
        }
    }
    for (op, least) in
        [("conv", 100), ("matmul", 100), ("transpose", 100), ("quantize", 50), ("max_pool", 10)]
    {
        assert!(counts.get(op).is_some_and(|it| *it >= least), "{op}: {counts:?}");
    }
    assert!(counts.len() > 65, "{} operators: {counts:?}", counts.len());
    let loops = subjects.iter().filter(|it| it.module.functions().any(|(_, it)| has_loop(it))).count();
    assert!(loops > 20, "{loops} programs with loops");
    let tame = subjects.iter().filter(|it| it.is_tame).count();
    assert!(tame > SEEDS as usize / 4, "{tame} programs are compared with what they mean");
}

fn has_loop(function: &orogen_ir::flow::Function) -> bool {
    let is_loop = |it: &orogen_ir::flow::Rhs| matches!(it, orogen_ir::flow::Rhs::While { .. });
    function.live_bindings().iter().any(|it| is_loop(&function[*it].rhs))
}

/// A square says nothing of a step that has nothing to do.
#[test]
fn every_step_has_something_to_do() {
    let compiler = Compiler::standard();
    let mut changed: BTreeMap<Step, usize> = BTreeMap::new();
    let seeds = SEEDS / 4;
    for seed in 0..seeds {
        let mut graph = Subject::generated(&compiler, seed).expect("legal").graph;
        for square in SQUARES {
            let Ok(report) = compiler.graph_step(&mut graph, square.step) else { break };
            let did = report.passes.iter().any(|it| it.changed == Changed::Yes);
            *changed.entry(square.step).or_default() += usize::from(did);
        }
    }
    let steps = [Step::Canonicalize, Step::FoldConstants, Step::Simplify, Step::Layout];
    for step in steps.into_iter().chain([Step::Legalize, Step::Fuse]) {
        assert!(
            changed[&step] > seeds as usize / 20,
            "step `{step}` in {} of {seeds} programs",
            changed[&step]
        );
    }
}
