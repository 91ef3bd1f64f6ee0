//! Recurrent networks: one contraction for the inputs of all time steps, then a loop over time.

use super::context::wide;
use super::contraction::product;
use super::quantized::Scales;
use super::{LegalizeFn, Legalizer, Lowering};
use orogen_ir::diag::Diagnostic;
use orogen_ir::loops::{
    Axis, BinaryOp, BufferId, BuildResult, Combine, CompareOp, ExprId, ProgramBuilder, UnaryOp,
};
use orogen_ir::ops::{
    Activation, GRU_ACTIVATIONS, LSTM_ACTIVATIONS, RNN_ACTIVATIONS, ScaledActivation, activations,
};
use orogen_ir::shape::Dim;
use orogen_ir::types::DType;

pub(super) const ROWS: &[(&str, LegalizeFn)] =
    &[("lstm", lstm), ("lstm_integer", lstm_integer), ("gru", gru), ("rnn", rnn)];

/// Buffers and sizes of a recurrent network.
struct Net {
    x: BufferId,
    w: BufferId,
    r: BufferId,
    bias: BufferId,
    time: Dim,
    batch: Dim,
    input: Dim,
    hidden: Dim,
    /// Columns of all gates: gates · hidden.
    columns: Dim,
    dtype: DType,
    directions: Vec<bool>,
    /// How the integers of w and of r are quantised.
    quantized: Option<[Scales; 2]>,
    /// Activations, direction by direction, and how many there are for each.
    functions: Vec<ScaledActivation>,
    each: usize,
    /// Between −this and this lies what activations of gates see.
    clip: Option<f64>,
    /// Lengths of sequences, when they are given.
    lengths: Option<BufferId>,
}

impl Net {
    /// `lengths` is the operand that may hold lengths.
    fn new(
        cx: &mut Legalizer<'_>,
        gates: i64,
        default: &[Activation],
        quantized: bool,
        lengths: Option<usize>,
    ) -> BuildResult<Self> {
        let ((x, x_dims), w, (r, r_dims), bias) =
            (cx.operand(0)?, cx.input(1)?, cx.operand(2)?, cx.input(3)?);
        let directions = match cx.attrs.str("direction").unwrap_or("forward") {
            "reverse" => vec![true],
            "bidirectional" => vec![false, true],
            _ => vec![false],
        };
        let quantized = match quantized {
            true => Some([Scales::new(cx, 6)?, Scales::new(cx, 7)?]),
            false => None,
        };
        let lengths = match lengths.filter(|it| cx.has(*it)) {
            Some(i) => Some(cx.input(i)?),
            None => None,
        };
        Ok(Net {
            quantized,
            functions: activations(cx.attrs, default, directions.len())?,
            each: default.len(),
            clip: cx.attrs.float("clip"),
            lengths,
            x,
            w,
            r,
            bias,
            time: x_dims[0],
            batch: x_dims[1],
            input: x_dims[2],
            hidden: r_dims[2],
            columns: cx.linear(r_dims[2], gates, 0)?,
            dtype: wide(cx.b.buffer_dtype(x)),
            directions,
        })
    }

    /// `projected[t, b, j] = Σ x[t, b, i] · w[d, j, i]`, plus the input bias and, where `recurrent_bias` says so, the
    /// recurrent bias of column `j`.
    fn project_inputs(
        &self,
        cx: &mut Legalizer<'_>,
        direction: Dim,
        recurrent_bias: impl FnOnce(&mut Legalizer<'_>, Dim, ExprId, ExprId) -> BuildResult<ExprId>,
    ) -> BuildResult<BufferId> {
        let dims = [self.time, self.batch, self.columns];
        let sum = cx.b.local("sum", self.dtype, &dims);
        let projected = cx.b.local("projected", self.dtype, &dims);
        if let Some([scales, _]) = &self.quantized {
            scales.product(&mut cx.b, self.x, self.w, sum, direction)?;
        } else {
            let axes = cx.b.axes("i", &dims);
            let at = cx.b.vars(&axes);
            let term = cx.b.axis("k", self.input);
            let k = cx.b.var(term);
            let (x, w) = (cx.b.load(self.x, [at[0], at[1], k])?, cx.b.load(self.w, [direction, at[2], k])?);
            let value = product(cx, x, w)?;
            cx.b.reduce_stage(&axes, &[term], Combine::Sum, sum, at, value)?;
        }
        let axes = cx.b.axes("i", &dims);
        let at = cx.b.vars(&axes);
        let second = cx.add(at[2], self.columns)?;
        let (first, second) = ([direction, at[2]], [direction, second]);
        let (input_bias, other) = (cx.load_wide(self.bias, first)?, cx.load_wide(self.bias, second)?);
        let addend = recurrent_bias(cx, at[2], input_bias, other)?;
        let total = cx.b.load(sum, at.iter().copied())?;
        let value = cx.b.binary(BinaryOp::Add, total, addend)?;
        cx.b.stage(&axes, projected, at, value)?;
        Ok(projected)
    }

    /// A buffer of one step: `[batch, columns]`.
    fn step_buffer(&self, cx: &mut Legalizer<'_>, name: &str, columns: Dim) -> BufferId {
        cx.b.local(name, self.dtype, &[self.batch, columns])
    }

    /// Copies a state operand `[directions, batch, hidden]` into a local of one direction.
    fn load_state(
        &self,
        cx: &mut Legalizer<'_>,
        name: &str,
        state: BufferId,
        direction: Dim,
    ) -> BuildResult<BufferId> {
        let local = self.step_buffer(cx, name, self.hidden);
        let dtype = self.dtype;
        cx.b.fill(local, |b, at| {
            let value = b.load(state, [direction, at[0], at[1]])?;
            Ok(b.cast(dtype, value))
        })?;
        Ok(local)
    }

    /// Activation `i` of a gate.
    fn gate(&self, b: &mut ProgramBuilder, d: usize, i: usize, sum: ExprId) -> BuildResult<ExprId> {
        let Some(clip) = self.clip else { return self.activate(b, d, i, sum) };
        let [least, most] = [-clip, clip].map(|it| b.number(it, self.dtype));
        let raised = b.binary(BinaryOp::Max, sum, least)?;
        let clipped = b.binary(BinaryOp::Min, raised, most)?;
        self.activate(b, d, i, clipped)
    }

    /// Activation `i` of direction `d`.
    fn activate(&self, b: &mut ProgramBuilder, d: usize, i: usize, x: ExprId) -> BuildResult<ExprId> {
        let ScaledActivation { function, alpha, beta } = self.functions[d * self.each + i];
        let [zero, one, alpha, beta] = [0.0, 1.0, alpha, beta].map(|it| b.number(it, self.dtype));
        let below = |b: &mut ProgramBuilder, otherwise: ExprId| {
            let negative = b.compare(CompareOp::Lt, x, zero)?;
            b.select(negative, otherwise, x)
        };
        match function {
            Activation::Tanh => b.unary(UnaryOp::Tanh, x),
            Activation::Sigmoid => b.unary(UnaryOp::Sigmoid, x),
            Activation::Softplus => b.unary(UnaryOp::Softplus, x),
            Activation::Relu => b.binary(BinaryOp::Max, x, zero),
            Activation::LeakyRelu => {
                let scaled = b.binary(BinaryOp::Mul, alpha, x)?;
                below(b, scaled)
            }
            Activation::Elu => {
                let power = b.unary(UnaryOp::Expm1, x)?;
                let scaled = b.binary(BinaryOp::Mul, alpha, power)?;
                below(b, scaled)
            }
            Activation::ThresholdedRelu => {
                let above = b.compare(CompareOp::Lt, alpha, x)?;
                b.select(above, x, zero)
            }
            Activation::ScaledTanh => {
                let scaled = b.binary(BinaryOp::Mul, beta, x)?;
                let bent = b.unary(UnaryOp::Tanh, scaled)?;
                b.binary(BinaryOp::Mul, alpha, bent)
            }
            Activation::Affine | Activation::HardSigmoid => {
                let scaled = b.binary(BinaryOp::Mul, alpha, x)?;
                let moved = b.binary(BinaryOp::Add, scaled, beta)?;
                if function == Activation::Affine {
                    return Ok(moved);
                }
                let raised = b.binary(BinaryOp::Max, moved, zero)?;
                b.binary(BinaryOp::Min, raised, one)
            }
            Activation::Softsign => {
                let magnitude = b.unary(UnaryOp::Abs, x)?;
                let divisor = b.binary(BinaryOp::Add, one, magnitude)?;
                b.binary(BinaryOp::Div, x, divisor)
            }
        }
    }

    /// `value` where the sequence of a row reaches beyond `position`, else `other`.
    fn within(
        &self,
        b: &mut ProgramBuilder,
        [row, position]: [Dim; 2],
        value: ExprId,
        other: impl FnOnce(&mut ProgramBuilder) -> BuildResult<ExprId>,
    ) -> BuildResult<ExprId> {
        let Some(lengths) = self.lengths else { return Ok(value) };
        let position = b.dim(position, DType::I64)?;
        let length = b.load(lengths, [row])?;
        let length = b.cast(DType::I64, length);
        let inside = b.compare(CompareOp::Lt, position, length)?;
        let other = other(b)?;
        b.select(inside, value, other)
    }

    /// Copies a local state into a result `[directions, batch, hidden]`.
    fn store_state(
        &self,
        cx: &mut Legalizer<'_>,
        local: BufferId,
        out: BufferId,
        direction: Dim,
    ) -> BuildResult<()> {
        let axes = cx.b.axes("i", &[self.batch, self.hidden]);
        let at = cx.b.vars(&axes);
        let value = cx.b.load(local, at.iter().copied())?;
        let (first, one) = (cx.b.shapes().int(0), cx.b.shapes().int(1));
        let zero = cx.b.number(0.0, self.dtype);
        let mut value = self.within(&mut cx.b, [at[0], first], value, |_| Ok(zero))?;
        if !cx.b.shapes().prove_ge(self.time, one).is_always() {
            let (time, none) = (cx.b.dim(self.time, DType::I64)?, cx.b.dim(first, DType::I64)?);
            let any = cx.b.compare(CompareOp::Lt, none, time)?;
            value = cx.b.select(any, value, zero)?;
        }
        let value = cx.b.cast(cx.b.buffer_dtype(out), value);
        cx.b.stage(&axes, out, [direction, at[0], at[1]], value)
    }

    /// The time loop of a direction and the position it works on.
    fn time_loop(&self, cx: &mut Legalizer<'_>, reverse: bool) -> BuildResult<(Axis, Dim)> {
        let axis = cx.b.axis("t", self.time);
        let step = cx.b.var(axis);
        if !reverse {
            return Ok((axis, step));
        }
        let last = cx.linear(self.time, 1, -1)?;
        Ok((axis, cx.sub(last, step)?))
    }

    /// `out[b, j] = Σ h[b, k] · r[d, j, k]` for all columns.
    fn recur(&self, b: &mut ProgramBuilder, h: BufferId, out: BufferId, direction: Dim) -> BuildResult<()> {
        if let Some([_, scales]) = &self.quantized {
            return scales.product(b, h, self.r, out, direction);
        }
        let zero = b.shapes().int(0);
        self.recur_into(b, h, (out, zero), direction, [zero, self.columns])
    }

    /// The same for one gate, into the columns of `out` from `to` on. A network that does not multiply all at once multiplies
    /// each gate for itself: then all products read the weights in one form.
    fn recur_gate(
        &self,
        b: &mut ProgramBuilder,
        h: BufferId,
        (out, to): (BufferId, i64),
        direction: Dim,
        gate: i64,
    ) -> BuildResult<()> {
        let [to, first] = [to, gate].map(|it| b.shapes().scale(self.hidden, it));
        let (to, first) = (to.map_err(super::context::overflow)?, first.map_err(super::context::overflow)?);
        self.recur_into(b, h, (out, to), direction, [first, self.hidden])
    }

    fn recur_into(
        &self,
        b: &mut ProgramBuilder,
        h: BufferId,
        (out, to): (BufferId, Dim),
        direction: Dim,
        [first, count]: [Dim; 2],
    ) -> BuildResult<()> {
        let axes = b.axes("i", &[self.batch, count]);
        let at = b.vars(&axes);
        let term = b.axis("k", self.hidden);
        let k = b.var(term);
        let [row, column] = [first, to].map(|it| b.shapes().add(it, at[1]));
        let (row, column) =
            (row.map_err(super::context::overflow)?, column.map_err(super::context::overflow)?);
        let (h, r) = (b.load(h, [at[0], k])?, b.load(self.r, [direction, row, k])?);
        let r = b.cast(self.dtype, r);
        let value = b.binary(BinaryOp::Mul, h, r)?;
        b.reduce_stage(&axes, &[term], Combine::Sum, out, [at[0], column], value)
    }
}

/// One direction of a network.
struct Direction {
    /// Its number, and as an index.
    number: usize,
    index: Dim,
    reverse: bool,
    /// What inputs give the gates of every step.
    projected: BufferId,
    /// What it carries, in the order of the operands.
    states: Vec<BufferId>,
    /// Where its states `h` go.
    y: BufferId,
}

impl Net {
    /// What all networks are made of: projections of the inputs and states of each direction, its loop over time, and its
    /// last states. States are operands 4, 5, … with the results 1, 2, … of the same names.
    ///
    /// Loops over time follow each other: they have nothing to do with each other, so threads may share them.
    fn run(
        &self,
        mut cx: Legalizer<'_>,
        names: &[&str],
        recurrent_bias: impl Fn(&mut Legalizer<'_>, Dim, ExprId, ExprId) -> BuildResult<ExprId>,
        step: impl Fn(&mut Legalizer<'_>, &Direction) -> BuildResult<()>,
    ) -> Result<Lowering, Diagnostic> {
        let given: Vec<BufferId> = (0..names.len()).map(|i| cx.input(4 + i)).collect::<Result<_, _>>()?;
        let y = cx.output(0)?;
        let last: Vec<BufferId> = (0..names.len()).map(|i| cx.output(1 + i)).collect::<Result<_, _>>()?;
        let mut directions = Vec::new();
        for (number, reverse) in self.directions.iter().copied().enumerate() {
            let index = cx.b.shapes().int(number as i64);
            let projected = self.project_inputs(&mut cx, index, &recurrent_bias)?;
            let states = names.iter().zip(&given);
            let states = states.map(|(name, it)| self.load_state(&mut cx, name, *it, index));
            let states = states.collect::<Result<_, _>>()?;
            directions.push(Direction { number, index, reverse, projected, states, y });
        }
        directions.iter().try_for_each(|it| step(&mut cx, it))?;
        for direction in directions {
            for (state, last) in direction.states.into_iter().zip(&last) {
                self.store_state(&mut cx, state, *last, direction.index)?;
            }
        }
        cx.finish()
    }
}

/// Both biases of a gate.
fn sum_of_biases(cx: &mut Legalizer<'_>, _: Dim, first: ExprId, second: ExprId) -> BuildResult<ExprId> {
    cx.b.binary(BinaryOp::Add, first, second)
}

/// Where the gates of one step are: the projected inputs at a time position and the recurrent sums.
#[derive(Clone, Copy)]
struct Gates {
    projected: BufferId,
    recurrent: BufferId,
    position: Dim,
}

impl Gates {
    /// `projected[position, b, column] + recurrent[b, column]`.
    fn sum(self, b: &mut ProgramBuilder, batch: Dim, column: Dim) -> BuildResult<ExprId> {
        let first = b.load(self.projected, [self.position, batch, column])?;
        let second = b.load(self.recurrent, [batch, column])?;
        b.binary(BinaryOp::Add, first, second)
    }
}

/// Writes the new state to `y[position, direction, b, j]` and keeps it in `h`, the first state.
fn publish(
    b: &mut ProgramBuilder,
    net: &Net,
    next: BufferId,
    position: Dim,
    direction: &Direction,
) -> BuildResult<()> {
    b.fill(direction.states[0], |b, at| b.load(next, at.iter().copied()))?;
    let axes = b.axes("i", &[net.batch, net.hidden]);
    let at = b.vars(&axes);
    let value = b.load(next, at.iter().copied())?;
    let zero = b.number(0.0, net.dtype);
    let value = net.within(b, [at[0], position], value, |_| Ok(zero))?;
    let value = b.cast(b.buffer_dtype(direction.y), value);
    b.stage(&axes, direction.y, [position, direction.index, at[0], at[1]], value)
}

/// Columns `index · hidden + j`.
fn column(b: &mut ProgramBuilder, net: &Net, index: i64, j: Dim) -> BuildResult<Dim> {
    let first = b.shapes().scale(net.hidden, index).map_err(super::context::overflow)?;
    b.shapes().add(first, j).map_err(super::context::overflow)
}

fn lstm(cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    lstm_of(cx, false)
}

fn lstm_integer(cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    lstm_of(cx, true)
}

/// Gates in the order input, output, forget, cell; of numbers, or with integers for the weights.
fn lstm_of(mut cx: Legalizer<'_>, quantized: bool) -> Result<Lowering, Diagnostic> {
    let place = if quantized { 10 } else { 6 };
    let net = Net::new(&mut cx, 4, LSTM_ACTIVATIONS, quantized, Some(place + 1))?;
    let peepholes = match cx.has(place) && !cx.is_zero(place) {
        true => Some(cx.input(place)?),
        false => None,
    };
    let coupled = cx.flag("input_forget");
    net.run(cx, &["h", "c"], sum_of_biases, |cx, it| {
        let &Direction { number: d, index: direction, reverse, projected, .. } = it;
        let (h, c) = (it.states[0], it.states[1]);
        let recurrent = net.step_buffer(cx, "recurrent", net.columns);
        let next = net.step_buffer(cx, "next", net.hidden);
        let (axis, position) = net.time_loop(cx, reverse)?;
        cx.b.for_loop(axis, |b| {
            net.recur(b, h, recurrent, direction)?;
            let gates = Gates { projected, recurrent, position };
            // A gate: its sums, and what it sees of the cell.
            let gate = |b: &mut ProgramBuilder, at: &[Dim], index: i64, function: usize| {
                let place = column(b, &net, index, at[1])?;
                let mut sum = gates.sum(b, at[0], place)?;
                if let Some(peepholes) = peepholes.filter(|_| index < 3) {
                    let weight = b.load(peepholes, [direction, place])?;
                    let weight = b.cast(net.dtype, weight);
                    let cell = b.load(c, at.iter().copied())?;
                    let seen = b.binary(BinaryOp::Mul, weight, cell)?;
                    sum = b.binary(BinaryOp::Add, sum, seen)?;
                }
                net.gate(b, d, function, sum)
            };
            b.fill(c, |b, at| {
                let input = gate(b, at, 0, 0)?;
                let forget = if coupled {
                    let one = b.number(1.0, net.dtype);
                    b.binary(BinaryOp::Sub, one, input)?
                } else {
                    gate(b, at, 2, 0)?
                };
                let cell = gate(b, at, 3, 1)?;
                let before = b.load(c, at.iter().copied())?;
                let kept = b.binary(BinaryOp::Mul, forget, before)?;
                let added = b.binary(BinaryOp::Mul, input, cell)?;
                let value = b.binary(BinaryOp::Add, kept, added)?;
                net.within(b, [at[0], position], value, |_| Ok(before))
            })?;
            b.fill(next, |b, at| {
                let output = gate(b, at, 1, 0)?;
                let cell = b.load(c, at.iter().copied())?;
                let cell = net.activate(b, d, 2, cell)?;
                let value = b.binary(BinaryOp::Mul, output, cell)?;
                net.within(b, [at[0], position], value, |b| b.load(h, at.iter().copied()))
            })?;
            publish(b, &net, next, position, it)
        })
    })
}

/// Gates in the order update, reset, hidden.
fn gru(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let net = Net::new(&mut cx, 3, GRU_ACTIVATIONS, false, Some(5))?;
    let linear = cx.flag("linear_before_reset");
    let candidate = cx.linear(net.hidden, 2, 0)?;
    let recurrent_bias = |cx: &mut Legalizer<'_>, column: Dim, first: ExprId, second: ExprId| {
        let both = cx.b.binary(BinaryOp::Add, first, second)?;
        if !linear {
            return Ok(both);
        }
        // The candidate's recurrent bias is inside the product with the reset gate.
        let (column, limit) = (cx.b.dim(column, DType::I64)?, cx.dim_as(candidate, DType::I64)?);
        let gate = cx.b.compare(CompareOp::Lt, column, limit)?;
        cx.b.select(gate, both, first)
    };
    net.run(cx, &["h"], recurrent_bias, |cx, it| {
        let &Direction { number: d, index: direction, reverse, projected, .. } = it;
        let h = it.states[0];
        let columns = if linear { net.columns } else { candidate };
        let recurrent = net.step_buffer(cx, "recurrent", columns);
        let [update, inner, next] =
            ["update", "inner", "next"].map(|name| net.step_buffer(cx, name, net.hidden));
        // The state behind the reset gate; without a product of its own it needs no buffer.
        let gated = if linear { inner } else { net.step_buffer(cx, "gated", net.hidden) };
        let (axis, position) = net.time_loop(cx, reverse)?;
        let bias = net.bias;
        cx.b.for_loop(axis, |b| {
            if linear {
                net.recur(b, h, recurrent, direction)?;
            } else {
                (0..2).try_for_each(|gate| net.recur_gate(b, h, (recurrent, gate), direction, gate))?;
            }
            let gates = Gates { projected, recurrent, position };
            let gate = |b: &mut ProgramBuilder, at: &[Dim], index: i64| {
                let column = column(b, &net, index, at[1])?;
                let sum = gates.sum(b, at[0], column)?;
                net.gate(b, d, 0, sum)
            };
            b.fill(update, |b, at| gate(b, at, 0))?;
            if linear {
                b.fill(inner, |b, at| {
                    let reset = gate(b, at, 1)?;
                    let column = column(b, &net, 2, at[1])?;
                    let sum = b.load(recurrent, [at[0], column])?;
                    let second = b.shapes().add(column, net.columns).map_err(super::context::overflow)?;
                    let addend = b.load(bias, [direction, second])?;
                    let addend = b.cast(net.dtype, addend);
                    let sum = b.binary(BinaryOp::Add, sum, addend)?;
                    b.binary(BinaryOp::Mul, reset, sum)
                })?;
            } else {
                b.fill(gated, |b, at| {
                    let reset = gate(b, at, 1)?;
                    let before = b.load(h, at.iter().copied())?;
                    b.binary(BinaryOp::Mul, reset, before)
                })?;
                net.recur_gate(b, gated, (inner, 0), direction, 2)?;
            }
            b.fill(next, |b, at| {
                let column = column(b, &net, 2, at[1])?;
                let first = b.load(projected, [position, at[0], column])?;
                let second = b.load(inner, at.iter().copied())?;
                let sum = b.binary(BinaryOp::Add, first, second)?;
                let fresh = net.gate(b, d, 1, sum)?;
                let (z, before) = (b.load(update, at.iter().copied())?, b.load(h, at.iter().copied())?);
                let change = b.binary(BinaryOp::Sub, before, fresh)?;
                let kept = b.binary(BinaryOp::Mul, z, change)?;
                let value = b.binary(BinaryOp::Add, fresh, kept)?;
                net.within(b, [at[0], position], value, |_| Ok(before))
            })?;
            publish(b, &net, next, position, it)
        })
    })
}

/// `h = f(w · x + r · h + bias)`.
fn rnn(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let net = Net::new(&mut cx, 1, RNN_ACTIVATIONS, false, Some(5))?;
    net.run(cx, &["h"], sum_of_biases, |cx, it| {
        let &Direction { number: d, index: direction, reverse, projected, .. } = it;
        let h = it.states[0];
        let recurrent = net.step_buffer(cx, "recurrent", net.columns);
        let next = net.step_buffer(cx, "next", net.hidden);
        let (axis, position) = net.time_loop(cx, reverse)?;
        cx.b.for_loop(axis, |b| {
            net.recur(b, h, recurrent, direction)?;
            let gates = Gates { projected, recurrent, position };
            b.fill(next, |b, at| {
                let sum = gates.sum(b, at[0], at[1])?;
                let value = net.gate(b, d, 0, sum)?;
                net.within(b, [at[0], position], value, |b| b.load(h, at.iter().copied()))
            })?;
            publish(b, &net, next, position, it)
        })
    })
}
