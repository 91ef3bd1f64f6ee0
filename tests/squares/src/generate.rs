//! Random legal graphs.

use crate::Random;
use orogen_ir::diag::Diagnostics;
use orogen_ir::graph::{Edge, Graph, GraphBuilder};
use orogen_ir::ops::{OpRegistry, OpSink};
use orogen_ir::types::{Attrs, DType, TensorData, Type};

/// A graph and inputs for it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The graph.
    pub graph: Graph,
    /// One tensor for each input.
    pub inputs: Vec<TensorData>,
}

/// Sizes of dimensions; 0 and 1 are where rules go wrong.
const SIZES: [u64; 5] = [0, 1, 2, 3, 5];
/// Operators that keep a shape and are defined and tame on all of the generated numbers.
const UNARY: [&str; 8] = ["relu", "neg", "abs", "tanh", "sigmoid", "erf", "sin", "floor"];
const BINARY: [&str; 5] = ["add", "sub", "mul", "max", "min"];
const REDUCE: [&str; 4] = ["reduce_sum", "reduce_max", "reduce_mean", "reduce_min"];

/// The graph of a seed.
///
/// # Errors
/// What the builder says; a generator that makes illegal graphs is wrong.
pub fn sample(seed: u64, ops: &OpRegistry) -> Result<Sample, Diagnostics> {
    let mut random = Random::new(seed);
    let mut generator =
        Generator { builder: GraphBuilder::new(ops, "sample"), random: &mut random, values: Vec::new() };
    let inputs = generator.inputs()?;
    let steps = 2 + generator.random.below(9);
    for _ in 0..steps {
        generator.step()?;
    }
    generator.outputs()?;
    Ok(Sample { graph: generator.builder.finish()?, inputs })
}

struct Generator<'r, 'o> {
    builder: GraphBuilder<'o>,
    random: &'r mut Random,
    values: Vec<(Edge, Vec<u64>)>,
}

impl Generator<'_, '_> {
    fn inputs(&mut self) -> Result<Vec<TensorData>, Diagnostics> {
        // Few sizes in one graph, so that operands fit each other often.
        let sizes: Vec<u64> = (0..3).map(|_| *self.random.pick(&SIZES)).collect();
        let mut tensors = Vec::new();
        for i in 0..1 + self.random.below(3) {
            let rank = 1 + self.random.below(3);
            let dims: Vec<u64> = (0..rank).map(|_| *self.random.pick(&sizes)).collect();
            let handles: Vec<_> = dims.iter().map(|it| self.builder.shapes().int(*it as i64)).collect();
            let edge = self.builder.input(&format!("x{i}"), Type::tensor(DType::F32, handles))?;
            tensors.push(self.tensor(&dims));
            self.values.push((edge, dims));
        }
        Ok(tensors)
    }

    fn tensor(&mut self, dims: &[u64]) -> TensorData {
        let count = dims.iter().product::<u64>();
        let values: Vec<f64> = (0..count).map(|_| self.random.float()).collect();
        TensorData::from_f64(DType::F32, dims, values)
    }

    fn emit(&mut self, op: &str, attrs: Attrs, args: &[Edge]) -> Result<(), Diagnostics> {
        let id = self.builder.ops().find(op).expect("a standard operator");
        for edge in self.builder.emit(id, attrs, args)? {
            let ty = self.builder.type_of(edge).as_tensor().expect("operators here return tensors").clone();
            let dims = ty.static_dims(self.builder.shapes()).expect("the graph is static");
            self.values.push((edge, dims.to_vec()));
        }
        Ok(())
    }

    /// A value; the last ones are likelier, so that chains grow.
    fn value(&mut self) -> (Edge, Vec<u64>) {
        let last = self.values.len() - 1;
        let back = self.random.below(self.values.len()).min(self.random.below(self.values.len()));
        self.values[last - back].clone()
    }

    fn step(&mut self) -> Result<(), Diagnostics> {
        let (x, dims) = self.value();
        let rank = dims.len();
        match self.random.below(10) {
            0..=2 => {
                let op = *self.random.pick(&UNARY);
                self.emit(op, Attrs::none(), &[x])
            }
            3 | 4 => {
                let op = *self.random.pick(&BINARY);
                let other = self.partner(&dims);
                self.emit(op, Attrs::none(), &[x, other])
            }
            5 => {
                let columns = *self.random.pick(&[1u64, 2, 4]);
                let Some(inner) = dims.last() else { return Ok(()) };
                let weights = self.tensor(&[*inner, columns]);
                let weights = self.builder.constant("w", weights);
                self.emit("matmul", Attrs::none(), &[x, weights])
            }
            6 if rank > 0 => {
                let op = *self.random.pick(&REDUCE);
                // The largest of nothing is not a number that both ways must agree on.
                let axis = self.random.below(rank);
                let op = if dims[axis] == 0 { "reduce_sum" } else { op };
                let keep = self.random.below(2) == 0;
                let attrs = Attrs::none().with("axes", vec![axis as i64]).with("keepdims", keep);
                self.emit(op, attrs, &[x])
            }
            7 if rank > 0 => {
                let attrs = Attrs::none().with("axis", (rank - 1) as i64);
                self.emit("softmax", attrs, &[x])
            }
            8 => {
                let mut perm: Vec<i64> = (0..rank as i64).collect();
                perm.reverse();
                self.emit("transpose", Attrs::none().with("perm", perm), &[x])
            }
            9 => {
                let count = dims.iter().product::<u64>() as i64;
                let shape = self.builder.constant("", TensorData::ints(&[count]));
                self.emit("reshape", Attrs::none().with("allow_zero", true), &[x, shape])
            }
            _ => Ok(()),
        }
    }

    /// Something of the same shape if there is, a constant row or a number otherwise.
    fn partner(&mut self, dims: &[u64]) -> Edge {
        let same: Vec<Edge> = self.values.iter().filter(|it| it.1 == dims).map(|it| it.0).collect();
        if self.random.below(3) > 0 {
            return *self.random.pick(&same);
        }
        let row: Vec<u64> = dims.last().filter(|_| self.random.below(2) == 0).copied().into_iter().collect();
        let data = self.tensor(&row);
        self.builder.constant("c", data)
    }

    /// The last value, and sometimes one from the middle, which must then survive.
    fn outputs(&mut self) -> Result<(), Diagnostics> {
        let last = self.values.len() - 1;
        self.builder.output("y0", self.values[last].0)?;
        if self.random.below(3) == 0 {
            let (edge, _) = self.value();
            if edge != self.values[last].0 {
                self.builder.output("y1", edge)?;
            }
        }
        Ok(())
    }
}
