//! Random programs for property tests: library code, so that fuzzers and the tests of other crates share it.
//!
//! Everything is a function of a seed. [`grow`] writes into any [`OpSink`], so one seed gives the same model to both
//! graph IRs; [`flow::generate`](crate::flow::random_module) adds what only the dataflow-block IR has.

use crate::ops::{OpSink, SinkResult};
use crate::types::{Attr, Attrs, DType, TensorData, Type};

/// A sequence of numbers that look random (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.number() % n.max(1) as u64) as usize
    }

    /// One of a list.
    ///
    /// # Panics
    /// When the list is empty.
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// Whether a coin shows heads.
    pub fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    /// A small number with a short decimal expansion.
    pub fn small_float(&mut self) -> f64 {
        (self.below(65) as f64 - 32.0) / 8.0
    }
}

const UNARY: [&str; 10] = ["abs", "neg", "relu", "tanh", "sigmoid", "floor", "sign", "sqrt", "erf", "exp"];
const BINARY: [&str; 6] = ["add", "sub", "mul", "max", "min", "div"];
const REDUCE: [&str; 4] = ["reduce_sum", "reduce_max", "reduce_min", "reduce_mean"];

/// Adds up to `count` operations on random members of `values`, which gets the results; what the sink refuses (two
/// shapes that do not fit, a dynamic shape in a static graph) is left out.
pub fn grow<S: OpSink>(sink: &mut S, random: &mut Random, values: &mut Vec<S::Value>, count: usize) {
    for i in 0..count {
        sink.set_source(&format!("node `{i}`"));
        if let Ok(results) = operation(sink, random, values) {
            values.extend(results);
        }
    }
    sink.set_source("");
}

/// A value of that element type, preferring recent ones; a new constant when there is none.
pub fn value_of<S: OpSink>(sink: &mut S, random: &mut Random, values: &[S::Value], dtype: DType) -> S::Value {
    let fitting: Vec<S::Value> = values
        .iter()
        .copied()
        .filter(|it| sink.type_of(*it).as_tensor().is_some_and(|it| it.dtype == dtype))
        .collect();
    match fitting.len() {
        0 => constant(sink, random, dtype),
        n => fitting[if random.coin() { n - 1 - random.below(n.min(3)) } else { random.below(n) }],
    }
}

fn constant<S: OpSink>(sink: &mut S, random: &mut Random, dtype: DType) -> S::Value {
    let dims: Vec<u64> = (0..random.below(3)).map(|_| random.pick(&[0, 1, 2, 3, 4])).collect();
    let count = dims.iter().product::<u64>() as usize;
    let data = TensorData::from_f64(dtype, &dims, (0..count).map(|_| random.small_float()));
    sink.constant(if random.coin() { "w" } else { "" }, data)
}

/// A boolean of one element that depends on data.
pub fn condition<S: OpSink>(sink: &mut S, random: &mut Random, values: &[S::Value]) -> Option<S::Value> {
    let x = value_of(sink, random, values, DType::F32);
    let axes: Vec<i64> = (0..rank(sink, x)? as i64).collect();
    let sum =
        emit(sink, "reduce_max", Attrs::none().with("axes", axes).with("keepdims", false), &[x]).ok()?[0];
    let limit = sink.constant("", TensorData::from_f64(DType::F32, &[], [random.small_float()]));
    Some(emit(sink, "less", Attrs::none(), &[sum, limit]).ok()?[0])
}

fn rank<S: OpSink>(sink: &S, value: S::Value) -> Option<usize> {
    sink.type_of(value).as_tensor()?.shape.rank()
}

fn emit<S: OpSink>(sink: &mut S, op: &str, attrs: Attrs, args: &[S::Value]) -> SinkResult<S::Value> {
    let op = sink.ops().get(op);
    sink.emit(op, attrs, args)
}

fn operation<S: OpSink>(sink: &mut S, random: &mut Random, values: &[S::Value]) -> SinkResult<S::Value> {
    let x = value_of(sink, random, values, DType::F32);
    let rank = rank(sink, x).unwrap_or(0);
    let axis = random.below(rank) as i64;
    let one = |name: &str, value: Attr| Attrs::none().with(name, value);
    match random.below(12) {
        0 | 1 => emit(sink, random.pick(&UNARY), Attrs::none(), &[x]),
        2..=4 => {
            let y = value_of(sink, random, values, DType::F32);
            emit(sink, random.pick(&BINARY), Attrs::none(), &[x, y])
        }
        5 => {
            let attrs = one("axes", Attr::from(vec![axis])).with("keepdims", random.coin());
            if rank == 0 { Ok(Vec::new()) } else { emit(sink, random.pick(&REDUCE), attrs, &[x]) }
        }
        6 => {
            let mut perm: Vec<i64> = (0..rank as i64).collect();
            for i in 1..rank {
                perm.swap(i, random.below(i + 1));
            }
            emit(sink, "transpose", one("perm", perm.into()), &[x])
        }
        7 => {
            let y = value_of(sink, random, values, DType::F32);
            emit(sink, "matmul", Attrs::none(), &[x, y])
        }
        8 => {
            let y = value_of(sink, random, values, DType::F32);
            emit(sink, "concat", one("axis", axis.into()), &[x, y])
        }
        9 => {
            // Flatten behind the first dimension: shape arithmetic as exporters write it.
            let shape = emit(sink, "shape_of", Attrs::none(), &[x])?[0];
            let zero = sink.constant("", TensorData::ints(&[0]));
            let first = emit(sink, "gather", one("axis", 0.into()), &[shape, zero])?[0];
            let rest = sink.constant("", TensorData::ints(&[-1]));
            let target = emit(sink, "concat", one("axis", 0.into()), &[first, rest])?[0];
            emit(sink, "reshape", Attrs::none(), &[x, target])
        }
        10 => {
            let y = value_of(sink, random, values, DType::F32);
            let cond = emit(sink, "less", Attrs::none(), &[x, y])?[0];
            emit(sink, "where", Attrs::none(), &[cond, x, y])
        }
        _ if rank > 0 => emit(sink, "softmax", one("axis", axis.into()), &[x]),
        _ => Ok(vec![constant(sink, random, DType::F32)]),
    }
}

/// Adds inputs of random types over these dimensions; each extent is one of `names` or a small number.
pub fn inputs<S: OpSink>(sink: &mut S, random: &mut Random, names: &[&str]) -> Vec<S::Value> {
    let mut values = Vec::new();
    for i in 0..1 + random.below(3) {
        let dims: Vec<_> = (0..random.below(4))
            .map(|_| match names {
                [_, ..] if random.coin() => sink.shapes().sym(random.pick(names)),
                _ => sink.shapes().int(random.pick(&[0, 1, 2, 3, 4])),
            })
            .collect();
        let dtype = random.pick(&[DType::F32, DType::F32, DType::F32, DType::I64, DType::Bool]);
        let name = random.pick(&["x", "input.", "hostile name ", "in"]).to_string() + &i.to_string();
        if let Ok(value) = sink.input(&name, Type::tensor(dtype, dims)) {
            values.push(value);
        }
    }
    values
}

/// Declares one to three of the last values as outputs.
pub fn outputs<S: OpSink>(sink: &mut S, random: &mut Random, values: &[S::Value]) {
    for (i, value) in values.iter().rev().take(1 + random.below(3)).enumerate() {
        // Names are made distinct, so nothing is refused.
        drop(sink.output(&format!("out{i}"), *value));
    }
}
