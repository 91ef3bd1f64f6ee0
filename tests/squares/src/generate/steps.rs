//! Steps of programs: arithmetic, reductions, products, movement, control flow.

use super::{Known, Theme, Writer};
use orogen_ir::generate::Random;
use orogen_ir::ops::{OpSink, SinkResult};
use orogen_ir::types::{Attrs, DType, TensorData};

const SMOOTH: [&str; 12] =
    ["relu", "neg", "abs", "tanh", "sigmoid", "erf", "sin", "cos", "exp", "softplus", "atan", "sqrt"];
/// What jumps: a difference in the last bit of an operand may be one of the result.
const JUMPS: [&str; 5] = ["floor", "ceil", "round", "sign", "trunc"];
const OF_INTEGERS: [&str; 5] = ["relu", "neg", "abs", "bit_not", "sign"];
const BINARY: [&str; 6] = ["add", "sub", "mul", "max", "min", "div"];
const BITS: [&str; 5] = ["and", "or", "xor", "mod", "mul"];
const COMPARE: [&str; 5] = ["less", "greater", "equal", "less_equal", "greater_equal"];
const REDUCE: [&str; 5] = ["reduce_sum", "reduce_max", "reduce_mean", "reduce_min", "reduce_prod"];

/// Types that arithmetic is done in.
fn counts(dtype: DType) -> bool {
    (dtype.is_float() && dtype.size() > 1) || (dtype.is_int() && !dtype.is_only_stored())
}

impl<S: OpSink> Writer<'_, S> {
    /// One step.
    pub(super) fn step(&mut self, random: &mut Random) -> SinkResult<S::Value> {
        match (self.theme, random.below(20)) {
            (Theme::Windows, 0..=9) => self.window(random),
            (Theme::Quantized, 0..=9) => self.quantized(random),
            (Theme::Moves, 0..=11) => self.movement(random),
            (_, 0..=2) => self.unary(random),
            (_, 3..=5) => self.binary(random),
            (_, 6) => self.choice(random),
            (_, 7) => self.cast(random),
            (_, 8 | 9) => self.reduction(random),
            (_, 10) => self.normalisation(random),
            (_, 11 | 12) => self.product(random),
            (_, 13) if random.coin() => self.again(random),
            (_, 13) => self.constants(random),
            (_, 14) if random.coin() => self.constants(random),
            (_, 14) => self.undone(random),
            (_, 15) => self.control(random),
            _ => self.movement(random),
        }
    }

    /// Notes what a result depends on: whether rounding shows in it.
    fn rounds(&mut self, dtype: DType) {
        let exact = matches!(dtype, DType::F32 | DType::F64) || !dtype.is_float();
        self.is_tame &= exact;
    }

    fn unary(&mut self, random: &mut Random) -> SinkResult<S::Value> {
        let Some(x) = self.such(random, |it| counts(it.dtype) || it.dtype == DType::Bool) else {
            return self.movement(random);
        };
        let op = match x.dtype {
            DType::Bool => "not",
            dtype if dtype.is_int() => random.pick(&OF_INTEGERS),
            _ if random.below(6) == 0 => {
                self.is_tame = false;
                random.pick(&JUMPS)
            }
            _ => random.pick(&SMOOTH),
        };
        self.rounds(x.dtype);
        self.emit(op, Attrs::none(), &[x.value])
    }

    fn binary(&mut self, random: &mut Random) -> SinkResult<S::Value> {
        let Some(x) = self.such(random, |it| counts(it.dtype)) else { return self.movement(random) };
        let y = self.partner(random, &x);
        let op = match x.dtype.is_int() && random.coin() {
            true => random.pick(&BITS),
            false => random.pick(&BINARY),
        };
        self.rounds(x.dtype);
        let args = if random.coin() { [x.value, y] } else { [y, x.value] };
        self.emit(op, Attrs::none(), &args)
    }

    /// Something that broadcasts with `x`: a value of the same type, a constant of some of its dimensions, a number.
    fn partner(&mut self, random: &mut Random, x: &Known<S::Value>) -> S::Value {
        if random.below(3) > 0
            && let Some(y) = self.such(random, |it| it.dtype == x.dtype && fits(&it.dims, &x.dims))
        {
            return y.value;
        }
        if random.below(4) == 0 {
            // What algebra has rules for.
            let number = random.pick(&[0.0, 1.0, 2.0, -1.0]);
            return self.constant(TensorData::from_f64(x.dtype, &[], [number]));
        }
        let kept = random.below(x.rank() + 1);
        let dims: Vec<u64> = x.dims[x.rank() - kept..].iter().map(|it| random.pick(&[*it, 1])).collect();
        self.weights(random, x.dtype, &dims)
    }

    fn choice(&mut self, random: &mut Random) -> SinkResult<S::Value> {
        let Some(x) = self.such(random, |it| counts(it.dtype)) else { return self.movement(random) };
        let (y, z) = (self.partner(random, &x), self.partner(random, &x));
        let op = random.pick(&COMPARE);
        self.is_tame &= !x.dtype.is_float();
        let condition = self.one(op, Attrs::none(), &[x.value, y])?;
        if random.below(3) == 0 {
            return Ok(vec![condition]);
        }
        self.emit("where", Attrs::none(), &[condition, x.value, z])
    }

    fn cast(&mut self, random: &mut Random) -> SinkResult<S::Value> {
        let x = self.value(random);
        let to = DType::ALL[random.below(DType::ALL.len())];
        self.is_tame &= !x.dtype.is_float() && !to.is_float();
        self.emit("cast", Attrs::none().with("to", to), &[x.value])
    }

    fn reduction(&mut self, random: &mut Random) -> SinkResult<S::Value> {
        let Some(x) = self.such(random, |it| counts(it.dtype) && it.rank() > 0) else {
            return self.unary(random);
        };
        self.rounds(x.dtype);
        let axis = random.below(x.rank()) as i64;
        match random.below(8) {
            0 => {
                self.is_tame = false;
                let op = random.pick(&["arg_max", "arg_min"]);
                self.emit(op, Attrs::none().with("axis", axis).with("keepdims", random.coin()), &[x.value])
            }
            1 => {
                let attrs = Attrs::none().with("axis", axis).with("reverse", random.coin());
                self.emit("cum_sum", attrs, &[x.value])
            }
            _ => {
                let op = random.pick(&REDUCE);
                let mut axes = vec![axis];
                axes.extend((0..x.rank() as i64).filter(|it| *it != axis && random.below(3) == 0));
                axes.sort_unstable();
                self.emit(op, Attrs::none().with("axes", axes).with("keepdims", random.coin()), &[x.value])
            }
        }
    }

    fn normalisation(&mut self, random: &mut Random) -> SinkResult<S::Value> {
        let Some(x) = self.such(random, |it| it.dtype.is_float() && counts(it.dtype) && it.rank() > 0) else {
            return self.unary(random);
        };
        self.rounds(x.dtype);
        let axis = random.below(x.rank());
        match random.below(3) {
            0 => self.emit("log_softmax", Attrs::none().with("axis", axis as i64), &[x.value]),
            1 => {
                let dims = x.dims[axis..].to_vec();
                let scale = self.weights(random, x.dtype, &dims);
                self.emit("layer_norm", Attrs::none().with("axis", axis as i64), &[x.value, scale])
            }
            _ => self.emit("softmax", Attrs::none().with("axis", axis as i64), &[x.value]),
        }
    }

    fn product(&mut self, random: &mut Random) -> SinkResult<S::Value> {
        let Some(x) = self.such(random, |it| counts(it.dtype) && it.rank() > 0) else {
            return self.unary(random);
        };
        self.rounds(x.dtype);
        let inner = *x.dims.last().expect("the rank is not 0");
        let other = self.such(random, |it| {
            let rank = it.rank();
            rank > 0 && it.dtype == x.dtype && it.dims[rank.saturating_sub(2)] == inner
        });
        let y = match other {
            Some(y) if random.coin() => y.value,
            _ => {
                let columns = random.pick(&[1, 2, 4]);
                self.weights(random, x.dtype, &[inner, columns])
            }
        };
        let made = self.emit("matmul", Attrs::none(), &[x.value, y])?;
        if !random.coin() {
            return Ok(made);
        }
        let Some(product) = self.known(made[0]) else { return Ok(made) };
        let columns = product.dims.last().copied();
        let bias = self.weights(random, x.dtype, columns.as_slice());
        self.emit("add", Attrs::none(), &[product.value, bias])
    }

    /// Something computed from constants alone, with a value or as one.
    fn constants(&mut self, random: &mut Random) -> SinkResult<S::Value> {
        let Some(x) = self.such(random, |it| counts(it.dtype)) else { return self.movement(random) };
        self.rounds(x.dtype);
        let rank = x.rank();
        let back = permutation(random, rank);
        let dims: Vec<u64> = back.iter().map(|it| x.dims[*it as usize]).collect();
        let mut perm = vec![0; rank];
        back.iter().enumerate().for_each(|(i, it)| perm[*it as usize] = i as i64);
        let table = self.weights(random, x.dtype, &dims);
        let table = self.one("transpose", Attrs::none().with("perm", perm), &[table])?;
        let table = self.one("abs", Attrs::none(), &[table])?;
        match random.below(3) {
            0 => Ok(vec![table]),
            _ => self.emit(random.pick(&["add", "mul"]), Attrs::none(), &[x.value, table]),
        }
    }

    /// What was computed already.
    fn again(&mut self, random: &mut Random) -> SinkResult<S::Value> {
        let Some(x) = self.such(random, |it| counts(it.dtype)) else { return self.movement(random) };
        self.rounds(x.dtype);
        let op = if x.dtype.is_int() { "abs" } else { "tanh" };
        let first = self.one(op, Attrs::none(), &[x.value])?;
        let second = self.one(op, Attrs::none(), &[x.value])?;
        self.emit("sub", Attrs::none(), &[first, second])
    }

    /// Something that another operator takes back.
    fn undone(&mut self, random: &mut Random) -> SinkResult<S::Value> {
        let x = self.value(random);
        match random.below(3) {
            0 => {
                let perm = permutation(random, x.rank());
                let mut back = vec![0; x.rank()];
                perm.iter().enumerate().for_each(|(i, it)| back[*it as usize] = i as i64);
                let there = self.one("transpose", Attrs::none().with("perm", perm), &[x.value])?;
                self.emit("transpose", Attrs::none().with("perm", back), &[there])
            }
            1 => {
                let flat = self.ints(&[x.len() as i64]);
                let shape = self.ints(&x.dims.iter().map(|it| *it as i64).collect::<Vec<_>>());
                let keep = Attrs::none().with("allow_zero", true);
                let there = self.one("reshape", keep.clone(), &[x.value, flat])?;
                self.emit("reshape", keep, &[there, shape])
            }
            _ if counts(x.dtype) => {
                self.rounds(x.dtype);
                let there = self.one("neg", Attrs::none(), &[x.value])?;
                self.emit("neg", Attrs::none(), &[there])
            }
            _ => self.emit("cast", Attrs::none().with("to", x.dtype), &[x.value]),
        }
    }

    /// Branches whose condition is known, and loops whose turns are.
    fn control(&mut self, random: &mut Random) -> SinkResult<S::Value> {
        let Some(x) = self.such(random, |it| counts(it.dtype)) else { return self.movement(random) };
        self.rounds(x.dtype);
        let decision = random.coin();
        if random.coin() {
            let condition =
                self.constant(TensorData::from_f64(DType::Bool, &[], [f64::from(u8::from(decision))]));
            let op = |sink: &mut S, name: &str| {
                let id = sink.ops().get(name);
                sink.emit(id, Attrs::none(), &[x.value])
            };
            return self.sink.if_else(condition, &mut |it| op(it, "abs"), &mut |it| op(it, "neg"));
        }
        let turns = random.below(3) as i64;
        let zero = self.ints(&[0]);
        let limit = self.ints(&[turns]);
        let one = self.ints(&[1]);
        let carried = self.sink.while_loop(
            &[zero, x.value],
            &mut |it, carried| {
                let id = it.ops().get("less");
                Ok(it.emit(id, Attrs::none(), &[carried[0], limit])?[0])
            },
            &mut |it, carried| {
                let (add, step) = (it.ops().get("add"), it.ops().get("neg"));
                let next = it.emit(add, Attrs::none(), &[carried[0], one])?[0];
                Ok(vec![next, it.emit(step, Attrs::none(), &[carried[1]])?[0]])
            },
        )?;
        Ok(vec![carried[1]])
    }

    fn movement(&mut self, random: &mut Random) -> SinkResult<S::Value> {
        let x = self.value(random);
        let rank = x.rank();
        let axis = random.below(rank) as i64;
        let along = Attrs::none().with("axis", axis);
        match random.below(17) {
            0 | 1 => {
                let perm = permutation(random, rank);
                self.emit("transpose", Attrs::none().with("perm", perm), &[x.value])
            }
            2 => {
                // Shape arithmetic as exporters write it: flatten behind the first dimension.
                if rank == 0 {
                    return self.emit("shape_of", Attrs::none(), &[x.value]);
                }
                let shape = self.one("shape_of", Attrs::none(), &[x.value])?;
                let zero = self.ints(&[0]);
                let first = self.one("gather", Attrs::none().with("axis", 0), &[shape, zero])?;
                let rest = self.ints(&[-1]);
                let target = self.one("concat", Attrs::none().with("axis", 0), &[first, rest])?;
                self.emit("reshape", Attrs::none(), &[x.value, target])
            }
            3 => {
                let at = random.below(rank + 1);
                self.emit("unsqueeze", Attrs::none().with("axes", vec![at as i64]), &[x.value])
            }
            4 => {
                let ones: Vec<i64> = (0..rank).filter(|i| x.dims[*i] == 1).map(|i| i as i64).collect();
                self.emit("squeeze", Attrs::none().with("axes", ones), &[x.value])
            }
            5 => {
                let outer = random.pick(&[1, 2]);
                let dims: Vec<i64> = [outer].into_iter().chain(x.dims.iter().map(|it| *it as i64)).collect();
                let shape = self.ints(&dims);
                self.emit("expand", Attrs::none(), &[x.value, shape])
            }
            6 if rank > 0 => {
                let y = self.such(random, |it| {
                    let fits = |(i, (a, b)): (usize, (&u64, &u64))| i as i64 == axis || a == b;
                    it.dtype == x.dtype
                        && it.rank() == rank
                        && it.dims.iter().zip(&x.dims).enumerate().all(fits)
                });
                let y = y.map_or(x.value, |it| it.value);
                self.emit("concat", along, &[x.value, y])
            }
            7 | 8 if rank > 0 => {
                let (start, end) = (self.ints(&[random.below(3) as i64 - 1]), self.ints(&[i64::MAX]));
                let step = self.ints(&[random.pick(&[1, 1, 2, -1])]);
                let attrs = Attrs::none().with("axes", vec![axis]);
                self.emit("slice", attrs, &[x.value, start, end, step])
            }
            9 if rank > 0 && counts(x.dtype) => {
                let pads: Vec<i64> = (0..2 * rank).map(|_| random.pick(&[0, 0, 1, -1])).collect();
                let pads = self.ints(&pads);
                self.emit("pad", Attrs::none(), &[x.value, pads])
            }
            10 if rank > 0 && x.dims[axis as usize] > 0 => {
                let extent = x.dims[axis as usize] as usize;
                let at: Vec<i64> = (0..1 + random.below(3)).map(|_| random.below(extent) as i64).collect();
                let at = self.ints(&at);
                self.emit("gather", along, &[x.value, at])
            }
            11 if rank > 0 => {
                let repeats: Vec<i64> = (0..rank).map(|_| random.pick(&[1, 1, 2, 0])).collect();
                let repeats = self.ints(&repeats);
                self.emit("tile", Attrs::none(), &[x.value, repeats])
            }
            12 if rank > 1 && counts(x.dtype) => {
                self.emit("trilu", Attrs::none().with("upper", random.coin()), &[x.value])
            }
            13 if rank > 0 && x.dims.iter().all(|it| *it > 0) => {
                let at: Vec<i64> = (0..x.len()).map(|_| 0).collect();
                let at = TensorData::ints(&at).reshaped(x.dims.clone()).expect("as many elements");
                let at = self.constant(at);
                self.emit("gather_elements", along, &[x.value, at])
            }
            14 if rank > 0 && x.dims.iter().all(|it| *it > 0) => {
                let at = TensorData::ints(&vec![0; x.len() as usize]).reshaped(x.dims.clone());
                let at = self.constant(at.expect("as many elements"));
                let updates = self.weights(random, x.dtype, &x.dims);
                self.emit("scatter_elements", along, &[x.value, at, updates])
            }
            15 if x.dtype.is_int() && !x.dtype.is_only_stored() => {
                let depth = self.ints(&[3]);
                let values = self.weights(random, DType::F32, &[2]);
                self.emit("one_hot", Attrs::none().with("axis", -1), &[x.value, depth, values])
            }
            _ => {
                let shape = self.ints(&[x.len() as i64]);
                self.emit("reshape", Attrs::none().with("allow_zero", true), &[x.value, shape])
            }
        }
    }
}

/// Whether a tensor of dimensions `a` broadcasts with one of `b`.
fn fits(a: &[u64], b: &[u64]) -> bool {
    a.iter().rev().zip(b.iter().rev()).all(|(a, b)| a == b || *a == 1 || *b == 1)
}

fn permutation(random: &mut Random, rank: usize) -> Vec<i64> {
    let mut perm: Vec<i64> = (0..rank as i64).collect();
    for i in 1..rank {
        perm.swap(i, random.below(i + 1));
    }
    perm
}
