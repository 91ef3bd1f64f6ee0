//! Random graphs.

use super::{Graph, GraphBuilder};
use crate::generate::{Random, grow, inputs, outputs};
use crate::ops::{OpRegistry, OpSink};
use crate::types::{DType, TensorData};

/// A small lawful graph, the same for the same seed; extents include 0 and 1.
pub fn random_graph(ops: &OpRegistry, seed: u64) -> Graph {
    let mut random = Random::new(seed);
    let mut builder = GraphBuilder::new(ops, &format!("random {seed}"));
    let mut values = inputs(&mut builder, &mut random, &[]);
    if values.is_empty() {
        values.push(builder.constant("", TensorData::from_f64(DType::F32, &[2], [1.0, 2.0])));
    }
    let count = 1 + random.below(12);
    grow(&mut builder, &mut random, &mut values, count);
    outputs(&mut builder, &mut random, &values);
    builder.finish().expect("a graph with an output is finished")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{difference, text};

    #[test]
    fn random_graphs_are_lawful_and_survive_text_and_edits() {
        let ops = OpRegistry::standard();
        for seed in 0..400 {
            let mut graph = random_graph(&ops, seed);
            let printed = text::print(&graph, &ops);
            if let Err(problems) = graph.verify(&ops) {
                panic!("seed {seed}: {problems}\n{printed}");
            }
            let again = text::parse_with_constants(&printed, &ops, &graph.constants)
                .unwrap_or_else(|it| panic!("seed {seed}: {it}\n{printed}"));
            assert_eq!(difference(&graph, &again), None, "seed {seed}\n{printed}");
            assert_eq!(text::print(&again, &ops), printed, "seed {seed}");
            graph.prune();
            let before = graph.clone();
            graph.compact();
            assert_eq!(difference(&graph, &before), None, "seed {seed}");
            graph.verify(&ops).unwrap_or_else(|it| panic!("seed {seed}: {it}"));
            assert_eq!(graph.prune(), 0, "seed {seed}: nothing is left to remove");
        }
    }
}
