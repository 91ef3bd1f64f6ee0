//! Random static programs, written into any sink: one seed gives both IRs the same program.
//!
//! A program is inputs, steps and outputs. A step draws from numbers of its own, so that one that a sink refuses
//! changes nothing of the others. What the legacy graph refuses because only a run can know it is left out of the
//! dataflow IR too; what is refused for another reason is refused by both, with the same code.

mod quantized;
mod steps;
mod windows;

use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::{FlowBuilder, Module};
use orogen_ir::generate::Random;
use orogen_ir::graph::{Graph, GraphBuilder};
use orogen_ir::ops::{Folding, OpRegistry, OpSink, SinkResult};
use orogen_ir::types::{Attrs, DType, TensorData, Type};

/// A graph and inputs for it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The seed.
    pub seed: u64,
    /// The graph.
    pub graph: Graph,
    /// One tensor for each input.
    pub inputs: Vec<TensorData>,
    /// What the sink said to each part of the program.
    pub events: Vec<String>,
    /// Whether rounding differently somewhere cannot make a result quite another one: the program computes in f32, f64 and
    /// integers, and nothing of it jumps.
    pub is_tame: bool,
    /// Steps that the graph refused because only a run can know something.
    refused: Vec<usize>,
}

/// What programs are mostly made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Theme {
    /// f32 of any rank.
    Floats,
    /// Convolutions and pools.
    Windows,
    /// Integers and booleans.
    Integers,
    /// Element types that are narrow, or rounded.
    Narrow,
    /// Every element type, mostly moved.
    Moves,
    /// Quantised values.
    Quantized,
}

/// Most elements of a value that is used further.
const MOST_ELEMENTS: u64 = 512;
/// Largest rank of a value that is used further.
const MOST_RANK: usize = 8;

/// The sample of a seed. With an evaluator the builder computes small constants, as users have it.
///
/// # Errors
/// What the builder says of inputs and outputs; a generator that makes illegal ones is wrong.
pub fn sample(seed: u64, ops: &OpRegistry, folding: Folding<'_>) -> Result<Sample, Diagnostics> {
    let mut builder = GraphBuilder::new(ops, "sample").with_folding(folding);
    let written = write(&mut builder, seed, &[])?;
    let mut graph = builder.finish()?;
    graph.prune();
    let Written { inputs, events, refused, is_tame } = written;
    Ok(Sample { seed, graph, inputs, events, refused, is_tame })
}

/// The same program in the dataflow IR, and what the sink said to each part.
///
/// # Errors
/// What the builder says of inputs and outputs.
pub(crate) fn module(
    sample: &Sample,
    ops: &OpRegistry,
    folding: Folding<'_>,
) -> Result<(Module, Vec<String>), Diagnostics> {
    let mut builder = FlowBuilder::new(ops, "sample").with_folding(folding);
    let written = write(&mut builder, sample.seed, &sample.refused)?;
    let mut module = builder.finish()?;
    module.remove_dead_code(ops);
    Ok((module, written.events))
}

struct Written {
    inputs: Vec<TensorData>,
    events: Vec<String>,
    refused: Vec<usize>,
    is_tame: bool,
}

/// A value and what is known of it.
#[derive(Clone, Debug)]
struct Known<V> {
    value: V,
    dtype: DType,
    dims: Vec<u64>,
}

impl<V> Known<V> {
    fn rank(&self) -> usize {
        self.dims.len()
    }

    fn len(&self) -> u64 {
        self.dims.iter().product()
    }
}

/// A program that is being written.
struct Writer<'s, S: OpSink> {
    sink: &'s mut S,
    theme: Theme,
    /// Extents of this program; few, so that operands fit each other often.
    sizes: [u64; 3],
    values: Vec<Known<S::Value>>,
    is_tame: bool,
}

fn write<S: OpSink>(sink: &mut S, seed: u64, refused: &[usize]) -> Result<Written, Diagnostic> {
    let mut random = Random::new(seed);
    let themes =
        [Theme::Floats, Theme::Windows, Theme::Integers, Theme::Narrow, Theme::Moves, Theme::Quantized];
    let theme = themes[random.below(themes.len())];
    let sizes = std::array::from_fn(|_| random.pick(&[0, 1, 2, 3, 5, 2, 3]));
    let mut writer = Writer { sink, theme, sizes, values: Vec::new(), is_tame: true };
    let inputs = writer.inputs(&mut random)?;
    let mut written = Written { inputs, events: Vec::new(), refused: Vec::new(), is_tame: true };
    for step in 0..2 + random.below(9) {
        let mut numbers = Random::new(random.number());
        if refused.contains(&step) {
            written.events.push(LATE.to_owned());
            continue;
        }
        writer.sink.set_source(&format!("node `{step}`"));
        let event = match writer.step(&mut numbers) {
            Ok(made) => writer.keep(made),
            Err(found) if found.code.starts_with('G') => {
                written.refused.push(step);
                LATE.to_owned()
            }
            Err(found) => format!("refused, {}", found.code),
        };
        written.events.push(event);
    }
    writer.sink.set_source("");
    writer.outputs(&mut random)?;
    written.is_tame = writer.is_tame;
    Ok(written)
}

/// What is said of a step that the graph refuses because only a run can know something.
const LATE: &str = "known at run time alone";

impl<S: OpSink> Writer<'_, S> {
    fn inputs(&mut self, random: &mut Random) -> Result<Vec<TensorData>, Diagnostic> {
        let mut tensors = Vec::new();
        for i in 0..1 + random.below(3) {
            let dtype = self.dtype(random);
            let rank = match self.theme {
                Theme::Windows => 3 + random.below(3),
                _ => random.pick(&[0, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6]),
            };
            let dims = self.dims(random, rank);
            let handles: Vec<_> = dims.iter().map(|it| self.sink.shapes().int(*it as i64)).collect();
            let value = self.sink.input(&format!("x{i}"), Type::tensor(dtype, handles))?;
            tensors.push(tensor(random, dtype, &dims));
            self.values.push(Known { value, dtype, dims });
        }
        Ok(tensors)
    }

    /// Extents for a tensor of that rank, of not too many elements.
    fn dims(&self, random: &mut Random, rank: usize) -> Vec<u64> {
        let mut dims: Vec<u64> = (0..rank).map(|_| random.pick(&self.sizes)).collect();
        if self.theme == Theme::Windows {
            // Room for windows; now and then none.
            let room = |it: &mut u64| *it = if random.below(12) == 0 { *it } else { 3 + *it % 4 };
            dims.iter_mut().skip(2).for_each(room);
            dims[0] = dims[0].min(2);
        }
        for i in (0..rank).rev() {
            if dims.iter().product::<u64>() > MOST_ELEMENTS / 2 {
                dims[i] = 1;
            }
        }
        dims
    }

    fn dtype(&self, random: &mut Random) -> DType {
        match self.theme {
            Theme::Floats => random.pick(&[DType::F32, DType::F32, DType::F32, DType::F64]),
            Theme::Windows | Theme::Quantized => DType::F32,
            Theme::Integers => random.pick(&[
                DType::I64,
                DType::I32,
                DType::I32,
                DType::U8,
                DType::I8,
                DType::I16,
                DType::U16,
                DType::U32,
                DType::U64,
                DType::Bool,
            ]),
            Theme::Narrow => random.pick(&[DType::F16, DType::BF16, DType::F16, DType::F32]),
            Theme::Moves => DType::ALL[random.below(DType::ALL.len())],
        }
    }

    /// Keeps the results of a step that are not too large, and says what they are.
    fn keep(&mut self, made: Vec<S::Value>) -> String {
        let mut event = String::new();
        for value in made {
            let known = self.known(value);
            let Some(known) = known else {
                event += " no static tensor";
                continue;
            };
            event += &format!(" {}{:?}", known.dtype, known.dims);
            if known.len() <= MOST_ELEMENTS && known.rank() <= MOST_RANK {
                self.values.push(known);
            }
        }
        event
    }

    fn known(&mut self, value: S::Value) -> Option<Known<S::Value>> {
        let ty = self.sink.type_of(value).as_tensor()?.clone();
        let dims = ty.static_dims(self.sink.shapes())?.to_vec();
        Some(Known { value, dtype: ty.dtype, dims })
    }

    fn emit(&mut self, op: &str, attrs: Attrs, args: &[S::Value]) -> SinkResult<S::Value> {
        let id = self.sink.ops().get(op);
        self.sink.emit(id, attrs, args)
    }

    fn one(&mut self, op: &str, attrs: Attrs, args: &[S::Value]) -> Result<S::Value, Diagnostic> {
        Ok(self.emit(op, attrs, args)?[0])
    }

    fn constant(&mut self, data: TensorData) -> S::Value {
        self.sink.constant("", data)
    }

    /// A constant of random numbers.
    fn weights(&mut self, random: &mut Random, dtype: DType, dims: &[u64]) -> S::Value {
        let data = tensor(random, dtype, dims);
        self.sink.constant(if random.coin() { "w" } else { "" }, data)
    }

    fn ints(&mut self, values: &[i64]) -> S::Value {
        self.constant(TensorData::ints(values))
    }

    /// A value; the last ones are likelier, so that chains grow.
    fn value(&self, random: &mut Random) -> Known<S::Value> {
        let n = self.values.len();
        self.values[n - 1 - random.below(n).min(random.below(n))].clone()
    }

    /// A value for which something holds, when there is one; the last ones are likelier.
    fn such(&self, random: &mut Random, holds: impl Fn(&Known<S::Value>) -> bool) -> Option<Known<S::Value>> {
        let fitting: Vec<_> = self.values.iter().filter(|it| holds(it)).collect();
        let n = fitting.len();
        (n > 0).then(|| fitting[n - 1 - random.below(n).min(random.below(n))].clone())
    }

    /// The last value, and sometimes others, which must then survive.
    fn outputs(&mut self, random: &mut Random) -> Result<(), Diagnostic> {
        let last = self.values.len() - 1;
        self.sink.output("y0", self.values[last].value)?;
        for i in 1..1 + random.below(3) {
            let value = self.value(random).value;
            self.sink.output(&format!("y{i}"), value)?;
        }
        Ok(())
    }
}

/// Small numbers that are exact in most types: multiples of 1/8, of 1 for integers.
fn tensor(random: &mut Random, dtype: DType, dims: &[u64]) -> TensorData {
    let count = dims.iter().product::<u64>();
    let number = |_| match dtype {
        DType::Bool => f64::from(u8::from(random.coin())),
        dtype if dtype.is_float() => random.small_float(),
        _ => random.below(17) as f64 - 8.0,
    };
    TensorData::from_f64(dtype, dims, (0..count).map(number).collect::<Vec<_>>())
}
