//! Axes that are known only at run time: one boolean for each dimension.
//!
//! What computes is built in versions behind branches, each with an axis that is a constant ([`along_axis`], [`folded`]); what
//! gives sizes, bounds and pads is arithmetic on vectors with an element for each dimension. That every axis is one of the
//! operand's and named once is checked in the call.

use crate::emit::i64_data;
use crate::node::{NodeCx, bad, impossible, not_supported};
use crate::probe::Probe;
use crate::sink::{MAX_RANK, Ranked, Value, first_element};
use orogen_ir::diag::Diagnostic;
use orogen_ir::shape::{Constraint, Dim};
use orogen_ir::types::{Attrs, DType, TensorType, Type};

type Single = Result<Value, Diagnostic>;

/// Builds the version for an axis that is a constant.
pub(super) type Version<'v> = dyn for<'a, 'm> Fn(&mut NodeCx<'a, 'm>, usize) -> Single + 'v;

/// Axes of a node.
pub(super) enum Axes {
    /// Numbers, counted from the start or the end.
    Known(Vec<i64>),
    /// A vector, or an integer of rank 0, that is not known.
    Open(Value),
}

impl Axes {
    /// From the attribute of old versions or from operand `i` of new ones.
    pub(super) fn of(cx: &mut NodeCx<'_, '_>, i: usize) -> Result<Option<Axes>, Diagnostic> {
        match cx.ints("axes") {
            Some(axes) => Ok(Some(Axes::Known(axes.to_vec()))),
            None => Axes::operand(cx, i),
        }
    }

    /// From operand `i`.
    pub(super) fn operand(cx: &mut NodeCx<'_, '_>, i: usize) -> Result<Option<Axes>, Diagnostic> {
        let Some(value) = cx.optional(i) else { return Ok(None) };
        if let Some(list) = cx.const_ints(value) {
            return Ok(Some(Axes::Known(list)));
        }
        Ok(Some(match cx.rank(value)? {
            1 if cx.static_dim(value, 0) == Some(0) => Axes::Known(Vec::new()),
            0 | 1 => Axes::Open(value),
            rank => return Err(bad(format!("operand {i} (axes) has {rank} dimensions"))),
        }))
    }
}

/// Axes that are known only at run time, of a value of so many dimensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenAxes {
    /// Whether axis `j` of the operand is dimension `i`: `[rank, length]`.
    hits: Value,
    /// Whether dimension `i` is one of them: `[rank]`.
    pub(super) mask: Value,
    /// How many they are: a vector of one integer.
    count: Value,
    /// The same, if it is known.
    pub(super) length: Option<usize>,
    pub(super) rank: usize,
}

impl OpenAxes {
    /// Reads them, with a check that each is in range and named once.
    pub(super) fn read(cx: &mut NodeCx<'_, '_>, axes: Value, rank: usize) -> Result<Self, Diagnostic> {
        let mut axes = cx.as_i64(axes)?;
        if cx.rank(axes)? == 0 {
            axes = cx.unsqueeze(axes, &[0])?;
        }
        let length = cx.static_dim(axes, 0).and_then(|it| usize::try_from(it).ok());
        all_between(cx, axes, [-(rank as i64), rank as i64 - 1], "its axes")?;
        if let Some(length) = length.filter(|it| *it > rank) {
            return Err(bad(format!("it names {length} axes of {rank}")));
        }
        let hits = cx.axis_hits(axes, rank)?;
        let mask = cx.reduce("reduce_max", hits, &[1], false)?;
        let ones = cx.as_i64(mask)?;
        let found = cx.reduce("reduce_sum", ones, &[0], true)?;
        let found = cx.known_sizes(found)?;
        let found = cx.tensor_type(found)?.elements.as_ref().and_then(|it| it.first().copied());
        let named = cx.dims(axes).and_then(|it| it.first().copied());
        let what = "how many different axes it names";
        let (Some(found), Some(named)) = (found, named) else {
            return only_in_call(cx, what).and(Err(not_supported("the shape of its axes is not known")));
        };
        cx.sink.check(Constraint::Eq(found, named), what)?;
        let count = cx.shape_of(axes)?;
        Ok(OpenAxes { hits, mask, count, length, rank })
    }

    /// With all dimensions where none is named.
    pub(super) fn or_all(mut self, cx: &mut NodeCx<'_, '_>) -> Result<Self, Diagnostic> {
        if self.length.is_none() {
            let none = cx.with_number("equal", self.count, 0.0)?;
            self.mask = cx.binary("or", self.mask, none)?;
        }
        Ok(self)
    }

    /// The mask of the other dimensions.
    pub(super) fn others(self, cx: &mut NodeCx<'_, '_>) -> Single {
        cx.unary("not", self.mask)
    }

    /// Whether a dimension is one of them: a boolean of rank 0.
    fn flag(self, cx: &mut NodeCx<'_, '_>, axis: usize) -> Single {
        let part = cx.slice(self.mask, 0, axis as i64, axis as i64 + 1)?;
        cx.squeeze(part, &[0])
    }

    /// Numbers of the last dimension of `values`, one for each axis, as numbers for each dimension; `default` elsewhere.
    pub(super) fn placed(self, cx: &mut NodeCx<'_, '_>, values: Value, default: i64) -> Single {
        let values = cx.as_i64(values)?;
        let (zero, default) = (cx.int_scalar(0), cx.int_scalar(default));
        let at = cx.select(self.hits, values, zero)?;
        let sums = cx.reduce("reduce_sum", at, &[1], false)?;
        cx.select(self.mask, sums, default)
    }

    /// Sizes of dimensions, 1 where `other` says so.
    pub(super) fn sizes_or_one(cx: &mut NodeCx<'_, '_>, x: Value, other: Value) -> Single {
        let (shape, one) = (cx.shape_of(x)?, cx.int_scalar(1));
        cx.select(other, one, shape)
    }

    /// A value whose dimensions that are named have size 1, without them.
    pub(super) fn dropped(self, cx: &mut NodeCx<'_, '_>, x: Value) -> Single {
        let (shape, kept) = (cx.shape_of(x)?, self.others(cx)?);
        if let Some(length) = self.length {
            let sizes = packed(cx, shape, kept, self.rank - length)?;
            return cx.reshape(x, sizes);
        }
        packed_in_front(cx, x, kept, self.rank)
    }
}

/// A value without the dimensions that `kept` does not name, which are 1 and at most so many. Those that stay lie in front.
pub(super) fn packed_in_front(cx: &mut NodeCx<'_, '_>, x: Value, kept: Value, removed: usize) -> Single {
    let own = cx.rank(x)?;
    if own > MAX_RANK {
        let message = "how many axes it removes is not known, of more dimensions than";
        return Err(not_supported(format!("{message} {MAX_RANK}")));
    }
    let shape = cx.shape_of(x)?;
    let sizes = packed(cx, shape, kept, own)?;
    let value = cx.reshape(x, sizes)?;
    let kept = cx.as_i64(kept)?;
    let rank = cx.reduce("reduce_sum", kept, &[0], false)?;
    cx.around.note_ranked(value, Ranked { rank, ranks: (own.saturating_sub(removed)..=own).collect() });
    Ok(value)
}

/// Those of `sizes` for which `kept` holds, in order, and 1 behind them: `count` numbers.
fn packed(cx: &mut NodeCx<'_, '_>, sizes: Value, kept: Value, count: usize) -> Single {
    if count == 0 {
        return Ok(cx.int_vector(&[]));
    }
    let turns = cx.as_i64(kept)?;
    let turns = cx.emit("cum_sum", Attrs::none().with("axis", 0), &[turns])?;
    let numbers = cx.constant(i64_data(vec![count as u64, 1], &(1..=count as i64).collect::<Vec<_>>()));
    let own = cx.binary("equal", numbers, turns)?;
    let at = cx.binary("and", own, kept)?;
    let (zero, one) = (cx.int_scalar(0), cx.int_scalar(1));
    let chosen = cx.select(at, sizes, zero)?;
    let chosen = cx.reduce("reduce_sum", chosen, &[1], false)?;
    let any = cx.reduce("reduce_max", at, &[1], false)?;
    cx.select(any, chosen, one)
}

/// A step for each axis that is named, one after the other.
pub(super) fn folded(cx: &mut NodeCx<'_, '_>, axes: OpenAxes, x: Value, step: &StepFn<'_>) -> Single {
    let mut x = x;
    for axis in 0..axes.rank {
        let named = axes.flag(cx, axis)?;
        x = cx.choose(named, &mut |cx, taken| if taken { step(cx, x, axis) } else { Ok(x) })?;
    }
    Ok(x)
}

/// What is done along one axis.
pub(super) type StepFn<'s> = dyn for<'a, 'm> Fn(&mut NodeCx<'a, 'm>, Value, usize) -> Single + 's;

/// What is done along the one axis of `x` that operand `i` names, or along `default`.
pub(super) fn along_axis(
    cx: &mut NodeCx<'_, '_>,
    i: usize,
    x: Value,
    default: Option<i64>,
    version: &Version<'_>,
) -> Single {
    match (Axes::operand(cx, i)?, default) {
        (Some(Axes::Known(list)), _) => match list[..] {
            [axis] => version(cx, cx.axis(x, axis)?),
            _ => Err(bad(format!("operand {i} must be one axis"))),
        },
        (Some(Axes::Open(axes)), _) => {
            let axes = OpenAxes::read(cx, axes, cx.rank(x)?)?;
            match axes.length {
                Some(1) => by_axis(cx, axes, version),
                _ => Err(bad(format!("operand {i} must be one axis"))),
            }
        }
        (None, Some(axis)) => version(cx, cx.axis(x, axis)?),
        (None, None) => Err(bad(format!("operand {i} is missing"))),
    }
}

/// The version for the one axis that is named. One that cannot be built is impossible in a call.
fn by_axis(cx: &mut NodeCx<'_, '_>, axes: OpenAxes, version: &Version<'_>) -> Single {
    let mut live = Vec::new();
    let mut failed = None;
    for axis in 0..axes.rank {
        let (node, inputs) = (cx.bare(), cx.operands().to_vec());
        let mut probe = Probe::over(cx.sink);
        let mut tried = NodeCx::new(node, inputs, &mut probe, &mut *cx.around);
        match version(&mut tried, axis) {
            Ok(_) => live.push(axis),
            Err(error) if impossible(&error) => {
                failed.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    for axis in (0..axes.rank).filter(|it| !live.contains(it)) {
        let flag = axes.flag(cx, axis)?;
        let flag = cx.unsqueeze(flag, &[0])?;
        none_true(cx, flag, &format!("its axis, which cannot be {axis}"))?;
    }
    match live.split_last() {
        Some((last, others)) => one_of(cx, axes, others, *last, version),
        None => Err(failed.unwrap_or_else(|| bad("its operand has no axes"))),
    }
}

fn one_of(
    cx: &mut NodeCx<'_, '_>,
    axes: OpenAxes,
    first: &[usize],
    last: usize,
    version: &Version<'_>,
) -> Single {
    let Some((axis, others)) = first.split_first() else { return version(cx, last) };
    let named = axes.flag(cx, *axis)?;
    cx.choose(named, &mut |cx, taken| match taken {
        true => version(cx, *axis),
        false => one_of(cx, axes, others, last, version),
    })
}

/// A check of numbers that no type can follow: refused where nothing is checked at run time.
fn only_in_call(cx: &mut NodeCx<'_, '_>, what: &str) -> Result<(), Diagnostic> {
    let shapes = cx.sink.shapes();
    let (number, zero) = (shapes.fresh_integer("number"), shapes.int(0));
    cx.sink.check(Constraint::Eq(number, zero), what)
}

/// Checks that a boolean, or each element of a vector of them, is true.
pub(super) fn all_true(cx: &mut NodeCx<'_, '_>, right: Value, what: &str) -> Result<(), Diagnostic> {
    let wrong = cx.unary("not", right)?;
    let wrong = if cx.rank(wrong)? == 0 { cx.unsqueeze(wrong, &[0])? } else { wrong };
    none_true(cx, wrong, what)
}

/// Checks that all elements of a vector of integers lie between two numbers.
pub(super) fn all_between(
    cx: &mut NodeCx<'_, '_>,
    values: Value,
    [least, most]: [i64; 2],
    what: &str,
) -> Result<(), Diagnostic> {
    let one = cx.static_dim(values, 0) == Some(1);
    let extreme = |cx: &mut NodeCx<'_, '_>, reduction: &str| {
        let value = if one { values } else { cx.reduce(reduction, values, &[0], true)? };
        if let Some(known) = first_element(cx.sink, value) {
            return Ok::<Dim, Diagnostic>(known);
        }
        let shapes = cx.sink.shapes();
        let (number, length) = (shapes.fresh_integer("number"), shapes.int(1));
        let ty = TensorType::new(DType::I64, [length]).with_elements([number]);
        cx.sink.match_cast(value, Type::Tensor(ty))?;
        Ok(number)
    };
    let low = extreme(cx, "reduce_min")?;
    cx.sink.check(Constraint::AtLeast(low, least), what)?;
    let high = if one { low } else { extreme(cx, "reduce_max")? };
    cx.sink.check(Constraint::AtMost(high, most), what)
}

/// Checks that no element of a vector of booleans is true, which say what is wrong.
pub(super) fn none_true(cx: &mut NodeCx<'_, '_>, wrong: Value, what: &str) -> Result<(), Diagnostic> {
    let what = &format!("{what}: how many are not so");
    let ones = cx.as_i64(wrong)?;
    let count = cx.reduce("reduce_sum", ones, &[0], true)?;
    let count = cx.known_sizes(count)?;
    match cx.tensor_type(count)?.elements.as_deref() {
        Some([count]) => {
            let (count, zero) = (*count, cx.sink.shapes().int(0));
            cx.sink.check(Constraint::Eq(count, zero), what)
        }
        _ => only_in_call(cx, what),
    }
}
