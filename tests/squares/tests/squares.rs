//! Every square on 200 graphs. A failure names its seed.

use orogen_ir::ops::OpRegistry;
use orogen_passes::bridge::{LEDGER, Port};
use orogen_passes::manager::Ir;
use orogen_squares::{SQUARES, sample};

const SEEDS: u64 = 200;

fn check(name: &str) {
    let ops = OpRegistry::standard();
    let square = SQUARES.iter().find(|it| it.name == name).expect("a square of that name");
    for seed in 0..SEEDS {
        let sample = sample(seed, &ops).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        if let Err(error) = (square.check)(&ops, &sample) {
            panic!("square `{name}`, seed {seed}: {error}\n{}", sample.graph.print(&ops));
        }
    }
}

#[test]
fn fuse() {
    check("fuse");
}

#[test]
fn plan_memory() {
    check("plan_memory");
}

#[test]
fn every_ported_step_names_a_square() {
    for entry in LEDGER {
        if let Port::Ported { square } = entry.port {
            assert!(SQUARES.iter().any(|it| it.name == square), "there is no square `{square}`");
        }
    }
}

#[test]
fn generated_graphs_hold_the_edge_cases() {
    let ops = OpRegistry::standard();
    let samples: Vec<_> = (0..SEEDS).map(|seed| sample(seed, &ops).expect("legal")).collect();
    let empty = |it: &orogen_squares::Sample| it.inputs.iter().any(|it| it.is_empty());
    assert!(samples.iter().any(empty), "no graph has an empty input");
    assert!(!samples.iter().all(empty), "every graph has an empty input");
    assert!(samples.iter().any(|it| it.graph.outputs().len() > 1), "no graph has two outputs");
}
