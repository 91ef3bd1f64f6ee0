//! Transposed convolutions as convolutions, written once for both graph IRs.
//!
//! Element `o` of a result takes in tap `k` of position `i` where `o + pad = stride·i + dilation·k`. With a stride of one
//! that is a convolution with the taps in reverse. With a longer one, elements whose `o + pad` have the same remainder (a
//! *phase*) meet the taps of that remainder alone: each phase is a convolution with a part of the taps, and the phases of
//! all axes are so many channels of one, whose results are then put beside each other.
//!
//! Dilated taps reach the elements alone whose `o + pad` divides what stride and dilation have in common: that much less of
//! both gives these elements, and zeros are put between them. Where nothing is in common, each phase has the taps of some
//! remainder, but a position of its own where it starts, so that it is a convolution of its own.
//!
//! * **TC1** Each element of the result is the sum of the products that it was: no tap is added, so that what is not finite
//!   goes no further than it did. Where the taps are no multiple of the stride, phases that have one more tap are a
//!   convolution of their own, and where they are fewer than the stride, phases without a tap are zeros.
//! * **TC2** Where the taps of a position are a tile of the result that no other one reaches, each phase is a convolution
//!   with a kernel of one element, a product of matrices, and the tiles are put together as other phases are.
//! * **TC3** A convolution multiplies taps beyond the image by its zeros, which is nothing where they are finite. Where weights
//!   are not known to be, each tap is multiplied with what is there alone, and the products are moved to where they belong
//!   and added.

use super::constants::is_known_finite;
use super::quantized::{cast, dtype_of};
use crate::rewrite::{OpCall, Rewriter, Rule, RuleClass, Value};
use orogen_ir::shape::{Dim, gcd};
use orogen_ir::types::{Attrs, DType, TensorData};

/// The rules of the step.
pub const RULES: &[Rule] = &[Rule {
    name: "convolve-phases",
    root: "conv_transpose",
    class: RuleClass::Reassociates,
    reason: "how many convolutions there are depends on strides and taps",
    apply: convolve_phases,
}];

/// The most convolutions that one operation becomes.
const MOST_PARTS: usize = 16;

/// The most taps whose products are moved one by one.
const MOST_TAPS: i64 = 32;

/// How many operations on weights are looked through.
const DEPTH: usize = 8;

/// One axis of images.
#[derive(Clone, Copy, Debug)]
struct Axis {
    taps: i64,
    stride: i64,
    dilation: i64,
    /// Padding of the convolution with the most taps.
    begin: i64,
    end: i64,
    /// What is cut off the phases that were put together.
    cut: [i64; 2],
    spread: Spread,
}

/// Zeros that are put between elements.
#[derive(Clone, Copy, Debug)]
struct Spread {
    /// From one element to the next.
    by: i64,
    /// What is cut off afterwards.
    cut: [i64; 2],
}

impl Spread {
    const NONE: Spread = Spread { by: 1, cut: [0; 2] };
}

/// Phases of an axis that have as many taps.
#[derive(Clone, Copy, Debug)]
struct Phases {
    /// The remainders of their taps.
    first: i64,
    end: i64,
    taps: i64,
    /// Padding of their convolution.
    begin: i64,
    behind: i64,
}

impl Axis {
    fn new(taps: i64, [stride, dilation, begin, end, extra]: [i64; 5]) -> Option<Axis> {
        if [begin, end].iter().any(|it| *it < 0) || taps < 1 {
            return None;
        }
        if stride == 1 {
            let reach = dilation.checked_mul(taps - 1)?;
            let (begin, end) = (reach.checked_sub(begin)?, reach.checked_sub(end)?.checked_add(extra)?);
            let axis = Axis { taps, stride, dilation, begin, end, cut: [0; 2], spread: Spread::NONE };
            return (begin >= 0 && end >= 0).then_some(axis);
        }
        if dilation != 1 && taps > 1 {
            return Axis::dilated(taps, [stride, dilation, begin, end, extra]);
        }
        let most = (taps + stride - 1) / stride;
        // Phases of one tap less start one position later.
        let uneven = i64::from(taps > stride && taps % stride != 0);
        // Whole positions that the padding takes away, as far as taps reach, and what else is cut off.
        let skipped = (begin / stride).min(most - 1 - uneven);
        let cut = begin - stride * skipped;
        // The result is that much longer than the positions, before its end is cut.
        let longer =
            (taps - stride).checked_add(extra)?.checked_sub(begin)?.checked_sub(end)?.checked_add(cut)?;
        let begin = most - 1 - skipped;
        let more = longer.div_euclid(stride) + i64::from(longer.rem_euclid(stride) > 0);
        let more = more.max(-skipped);
        let end = more + skipped;
        let behind = more.checked_mul(stride)?.checked_sub(longer)?;
        Some(Axis { taps, stride, dilation: 1, begin, end, cut: [cut, behind], spread: Spread::NONE })
    }

    /// Of dilated taps that are further apart than positions.
    fn dilated(taps: i64, [stride, dilation, begin, end, extra]: [i64; 5]) -> Option<Axis> {
        let by = i64::try_from(gcd(stride.unsigned_abs(), dilation.unsigned_abs())).ok()?;
        if by > 1 {
            let axis = Axis::new(taps, [stride / by, dilation / by, 0, 0, 0])?;
            // Zeros follow the last element, too.
            let behind = end.checked_sub(extra)?.checked_add(by - 1)?;
            return Some(Axis { spread: Spread { by, cut: [begin, behind] }, ..axis });
        }
        // Each phase has a tap, and starts where its first one does.
        if taps < stride {
            return None;
        }
        let reach = dilation.checked_mul(taps - 1)?;
        let axis = Axis { taps, stride, dilation, begin: 0, end: 0, cut: [0; 2], spread: Spread::NONE };
        let (starts, reaches): (Vec<i64>, Vec<i64>) =
            (0..stride).map(|phase| (axis.start(phase), axis.dilation * (axis.taps_of(phase) - 1))).unzip();
        let before = starts.iter().zip(&reaches).map(|(start, reach)| start + reach).min()?;
        let skipped = (begin / stride).min(before);
        let cut = begin - stride * skipped;
        let longer =
            reach.checked_add(1 - stride)?.checked_add(extra)?.checked_sub(begin)?.checked_sub(end)?;
        let longer = longer.checked_add(cut)?;
        let more = longer.div_euclid(stride) + i64::from(longer.rem_euclid(stride) > 0);
        let more = more.max(starts.into_iter().max()? - skipped);
        let behind = more.checked_mul(stride)?.checked_sub(longer)?;
        Some(Axis { begin: -skipped, end: more + skipped, cut: [cut, behind], ..axis })
    }

    /// Whether phases start at positions of their own.
    fn is_dilated(&self) -> bool {
        self.stride > 1 && self.dilation > 1
    }

    /// The first tap of a phase of dilated taps.
    fn first_tap(&self, phase: i64) -> i64 {
        (0..self.stride).find(|tap| (tap * self.dilation - phase) % self.stride == 0).unwrap_or(0)
    }

    /// How many positions the first tap of a phase of dilated taps lies back.
    fn start(&self, phase: i64) -> i64 {
        (self.dilation * self.first_tap(phase) - phase) / self.stride
    }

    /// The number of taps of a phase of dilated taps.
    fn taps_of(&self, phase: i64) -> i64 {
        (self.taps - self.first_tap(phase) + self.stride - 1) / self.stride
    }

    /// Whether some elements of the result take nothing in.
    fn has_zeros(&self) -> bool {
        self.present() < self.stride || self.spread.by > 1
    }

    /// Phases that have a tap.
    fn present(&self) -> i64 {
        self.stride.min(self.taps)
    }

    /// Whether these differ in their number of taps, or in where they start.
    fn is_uneven(&self) -> bool {
        self.is_dilated() || self.taps > self.stride && self.taps % self.stride != 0
    }

    /// The taps of the phases that have the most.
    fn most(&self) -> i64 {
        (self.taps + self.stride - 1) / self.stride
    }

    /// The phases that have a tap, in order: those with as many together, or single ones.
    fn phases(&self, single: bool) -> Vec<Phases> {
        if self.is_dilated() {
            let phase = |it: i64| {
                let (first, taps, start) = (self.first_tap(it), self.taps_of(it), self.start(it));
                let begin = self.begin + start + self.dilation * (taps - 1);
                Phases { first, end: first + 1, taps, begin, behind: self.end - start }
            };
            return (0..self.stride).map(phase).collect();
        }
        let (end, most) = (self.present(), self.most());
        let long = if self.is_uneven() { self.taps % self.stride } else { end };
        let with = |first: i64, end: i64, taps: i64| Phases {
            first,
            end,
            taps,
            begin: self.begin - (most - taps),
            behind: self.end,
        };
        let all = [with(0, long, most), with(long, end, most - 1)];
        let all = all.into_iter().filter(|it| it.first < it.end);
        let split = |it: Phases| (it.first..it.end).map(move |i| Phases { first: i, end: i + 1, ..it });
        if single { all.flat_map(split).collect() } else { all.collect() }
    }
}

/// How many phases of all axes are in a part.
fn count(part: &[Phases]) -> i64 {
    part.iter().map(|it| it.end - it.first).product()
}

/// Whether a part needs zeros around the image.
fn is_padded(part: &[Phases]) -> bool {
    part.iter().any(|it| it.begin > 0 || it.behind > 0)
}

/// The operation that is rewritten.
struct Transposed {
    axes: Vec<Axis>,
    groups: i64,
    /// Input and output channels of a group.
    c: i64,
    m: i64,
}

fn convolve_phases(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let of = Transposed::new(rewriter, call)?;
    // All phases of inner axes follow each one of an outer axis.
    let last = of.axes.iter().rposition(Axis::is_uneven);
    let mut parts: Vec<Vec<Phases>> = vec![Vec::new()];
    for (i, axis) in of.axes.iter().enumerate() {
        let phases = axis.phases(last.is_some_and(|last| i < last));
        parts =
            parts.iter().flat_map(|it| phases.iter().map(|phase| [&it[..], &[*phase]].concat())).collect();
        if parts.len() > MOST_PARTS {
            return None;
        }
    }
    // Only where a convolution pads does it matter whether weights are finite (law TC3).
    let finite = !parts.iter().any(|it| is_padded(it)) || is_known_finite(rewriter, call.args[1], DEPTH);
    let inside = |part: &[Phases]| !finite && is_padded(part);
    if parts.iter().any(|it| inside(it) && it.iter().map(|it| it.taps).product::<i64>() > MOST_TAPS) {
        return None;
    }
    // Taps in reverse, with the groups apart.
    let spatial: Vec<i64> = (2..2 + of.axes.len() as i64).collect();
    let weights = reversed(rewriter, call.args[1], &spatial)?;
    // Where phases without a tap are zeros, the bias is still to be added.
    let (bias, late) = match call.args.get(2) {
        Some(bias) if of.axes.iter().any(Axis::has_zeros) => (None, Some(*bias)),
        bias => (bias.copied(), None),
    };
    let mut results = Vec::new();
    for part in &parts {
        let args = of.operands(rewriter, call.args[0], weights, bias, part)?;
        let result = match inside(part) {
            true => of.convolve_inside(rewriter, &args, part)?,
            false => of.convolve(rewriter, &args, part)?,
        };
        results.push(of.apart(rewriter, result, part)?);
    }
    let joined = match &results[..] {
        [one] => *one,
        _ => rewriter.emit("concat", Attrs::none().with("axis", 2), &results)?,
    };
    let result = of.interleave(rewriter, joined)?;
    let result = of.spread(rewriter, result)?;
    let Some(bias) = late else { return Some(result) };
    let trailing: Vec<i64> = (1..1 + of.axes.len() as i64).collect();
    let bias = rewriter.emit("unsqueeze", Attrs::none().with("axes", trailing), &[bias])?;
    rewriter.emit("add", Attrs::none(), &[result, bias])
}

impl Transposed {
    fn new(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Transposed> {
        let mut extents = |value: Value| -> Option<Vec<Dim>> {
            let ty = rewriter.ty(value);
            Some(ty.as_tensor()?.dims()?.to_vec())
        };
        let (x, w) = (extents(call.args[0])?, extents(call.args[1])?);
        let rank = w.len().checked_sub(2).filter(|it| *it > 0)?;
        let shapes = rewriter.shapes();
        let w: Vec<i64> = w.iter().map(|it| shapes.as_int(*it)).collect::<Option<_>>()?;
        let list = |name: &str, count: usize, default: i64| match call.attrs.ints(name) {
            Some(list) => (list.len() == count).then(|| list.to_vec()),
            None => Some(vec![default; count]),
        };
        let (strides, dilations) = (list("strides", rank, 1)?, list("dilations", rank, 1)?);
        let (pads, extra) = (list("pads", 2 * rank, 0)?, list("output_padding", rank, 0)?);
        if x.len() != rank + 2 {
            return None;
        }
        let groups = call.attrs.int("group").unwrap_or(1);
        let axis =
            |i: usize| Axis::new(w[2 + i], [strides[i], dilations[i], pads[i], pads[rank + i], extra[i]]);
        let axes = (0..rank).map(axis).collect::<Option<Vec<Axis>>>()?;
        let sane = groups >= 1 && w[..2].iter().all(|it| *it >= 1);
        sane.then(|| Transposed { axes, groups, c: w[0] / groups, m: w[1] })
    }

    /// Operands of the convolution of some phases, whose channels are `[groups][phases][m]`.
    fn operands(
        &self,
        rewriter: &mut dyn Rewriter,
        x: Value,
        weights: Value,
        bias: Option<Value>,
        part: &[Phases],
    ) -> Option<Vec<Value>> {
        let weights = self.weights_of(rewriter, weights, part)?;
        let count = count(part);
        let mut args = vec![x, weights];
        if let Some(bias) = bias {
            let shape = |dims: [i64; 3]| TensorData::ints(&dims);
            let apart = rewriter.emit_constant(shape([self.groups, 1, self.m]));
            let bias = rewriter.emit("reshape", Attrs::none(), &[bias, apart])?;
            let each = rewriter.emit_constant(shape([self.groups, count, self.m]));
            let bias = rewriter.emit("expand", Attrs::none(), &[bias, each])?;
            let flat = rewriter.emit_constant(TensorData::ints(&[self.groups * count * self.m]));
            args.push(rewriter.emit("reshape", Attrs::none(), &[bias, flat])?);
        }
        Some(args)
    }

    /// That convolution.
    fn convolve(&self, rewriter: &mut dyn Rewriter, args: &[Value], part: &[Phases]) -> Option<Value> {
        let pads: Vec<i64> = part.iter().map(|it| it.begin).chain(part.iter().map(|it| it.behind)).collect();
        let dilations: Vec<i64> = self.axes.iter().map(|it| it.dilation).collect();
        let attrs = Attrs::none().with("pads", pads).with("dilations", dilations).with("group", self.groups);
        rewriter.emit("conv", attrs, args)
    }

    /// The same of taps that lie in the image: convolutions with one of them each, which are moved and added. What has 16 bits
    /// is rounded once.
    fn convolve_inside(&self, rewriter: &mut dyn Rewriter, args: &[Value], part: &[Phases]) -> Option<Value> {
        let taps: Vec<i64> = part.iter().map(|it| it.taps).collect();
        let (all, rank) = (taps.iter().product::<i64>(), self.axes.len());
        let to = dtype_of(rewriter, args[0])?;
        let wide = if to.bits() == 16 { DType::F32 } else { to };
        let [x, w] = [cast(rewriter, args[0], wide)?, cast(rewriter, args[1], wide)?];
        let channels = count(part) * self.m;
        // Taps are channels: `[groups][taps][channels]`.
        let apart = [&[self.groups, channels, self.c][..], &taps].concat();
        let w = reshape(rewriter, w, &[Size::Known(apart)])?;
        let perm: Vec<i64> = [0].into_iter().chain(3..3 + rank as i64).chain([1, 2]).collect();
        let w = rewriter.emit("transpose", Attrs::none().with("perm", perm), &[w])?;
        let flat = [&[self.groups * all * channels, self.c][..], &vec![1; rank]].concat();
        let w = reshape(rewriter, w, &[Size::Known(flat)])?;
        let products = rewriter.emit("conv", Attrs::none().with("group", self.groups), &[x, w])?;
        let spatial = (0..rank).map(|i| Size::Of(products, 2 + i, 1));
        let parts = [Size::Of(products, 0, 1), Size::Known(vec![self.groups, all, channels])];
        let parts: Vec<Size> = parts.into_iter().chain(spatial.clone()).collect();
        let apart = reshape(rewriter, products, &parts)?;
        let joined = [Size::Of(products, 0, 1), Size::Known(vec![self.groups * channels])];
        let joined: Vec<Size> = joined.into_iter().chain(spatial).collect();
        let mut sum = None;
        for tap in 0..all {
            let bounds = [tap, tap + 1, 1].map(|it| rewriter.emit_constant(TensorData::ints(&[it])));
            let operands = [&[apart][..], &bounds].concat();
            let own = rewriter.emit("slice", Attrs::none().with("axes", vec![2]), &operands)?;
            let own = reshape(rewriter, own, &joined)?;
            let mut left = tap;
            let mut around = vec![[0; 2]; rank];
            for i in (0..rank).rev() {
                let (own, phase) = (left % taps[i], &part[i]);
                left /= taps[i];
                let before = self.axes[i].dilation * own;
                let reach = self.axes[i].dilation * (taps[i] - 1);
                around[i] = [phase.begin - before, phase.behind - reach + before];
            }
            let moved = padded(rewriter, own, &around)?;
            sum = Some(match sum {
                None => moved,
                Some(sum) => rewriter.emit("add", Attrs::none(), &[sum, moved])?,
            });
        }
        let mut value = sum?;
        if let Some(bias) = args.get(2) {
            let bias = cast(rewriter, *bias, wide)?;
            let trailing: Vec<i64> = (1..=rank as i64).collect();
            let bias = rewriter.emit("unsqueeze", Attrs::none().with("axes", trailing), &[bias])?;
            value = rewriter.emit("add", Attrs::none(), &[value, bias])?;
        }
        cast(rewriter, value, to)
    }

    /// `[groups · phases · m, c, taps…]` of reversed weights `[groups · c, m, all taps…]`.
    fn weights_of(&self, rewriter: &mut dyn Rewriter, weights: Value, part: &[Phases]) -> Option<Value> {
        let rank = self.axes.len();
        // From the last tap on, every stride-th one is of one phase.
        let mut shape = vec![self.groups, self.c, self.m];
        let mut value = weights;
        let mut perm: Vec<i64> = vec![0];
        let mut taps: Vec<i64> = Vec::new();
        let (mut starts, mut ends, mut sliced) = (Vec::new(), Vec::new(), Vec::new());
        let mut before = Vec::new();
        for (axis, phases) in self.axes.iter().zip(part) {
            // Whole strides of taps, for which zeros stand before them that no phase of this part has.
            before.push([phases.taps * axis.stride - axis.taps, 0]);
            let at = shape.len() as i64;
            shape.extend([phases.taps, axis.stride]);
            taps.push(at);
            perm.push(at + 1);
            sliced.push(at + 1);
            // In reverse, phase 0 is the last one.
            starts.push(axis.stride - 1 - phases.first);
            ends.push(axis.stride - 1 - phases.end);
        }
        value = padded(rewriter, value, &before)?;
        let shape = rewriter.emit_constant(TensorData::ints(&shape));
        value = rewriter.emit("reshape", Attrs::none(), &[value, shape])?;
        if self.axes.iter().any(|it| it.stride > 1) {
            // An end before the first element counts from the back unless it is far before it.
            let ends: Vec<i64> = ends.iter().map(|it| if *it < 0 { i64::MIN + 1 } else { *it }).collect();
            let steps = vec![-1; rank];
            let bounds = [&starts, &ends, &steps].map(|it| rewriter.emit_constant(TensorData::ints(it)));
            let args = [&[value][..], &bounds].concat();
            value = rewriter.emit("slice", Attrs::none().with("axes", sliced), &args)?;
        }
        perm.extend([2, 1]);
        perm.extend(taps);
        value = rewriter.emit("transpose", Attrs::none().with("perm", perm), &[value])?;
        let count = count(part);
        let mut shape = vec![self.groups * count * self.m, self.c];
        shape.extend(part.iter().map(|it| it.taps));
        let shape = rewriter.emit_constant(TensorData::ints(&shape));
        rewriter.emit("reshape", Attrs::none(), &[value, shape])
    }

    /// `[n, groups, phases · m, …]` of `[n, groups · phases · m, …]`.
    fn apart(&self, rewriter: &mut dyn Rewriter, value: Value, part: &[Phases]) -> Option<Value> {
        let mut parts = vec![Size::Of(value, 0, 1), Size::Known(vec![self.groups, count(part) * self.m])];
        parts.extend((2..2 + self.axes.len()).map(|i| Size::Of(value, i, 1)));
        reshape(rewriter, value, &parts)
    }

    /// `[n, groups · m, …]` of phases `[n, groups, phases · m, …]`, without what is cut off.
    fn interleave(&self, rewriter: &mut dyn Rewriter, phases: Value) -> Option<Value> {
        let rank = self.axes.len();
        let batch = Size::Of(phases, 0, 1);
        let mut parts = vec![batch.clone(), Size::Known(vec![self.groups])];
        parts.push(Size::Known(self.axes.iter().map(Axis::present).collect()));
        parts.push(Size::Known(vec![self.m]));
        parts.extend((0..rank).map(|i| Size::Of(phases, 3 + i, 1)));
        let mut value = reshape(rewriter, phases, &parts)?;
        let absent: Vec<[i64; 2]> = self.axes.iter().map(|it| [0, it.stride - it.present()]).collect();
        value = padded(rewriter, value, &absent)?;
        let mut perm = vec![0, 1, 2 + rank as i64];
        let mut parts = vec![batch, Size::Known(vec![self.groups * self.m])];
        for (i, axis) in self.axes.iter().enumerate() {
            perm.extend([(3 + rank + i) as i64, (2 + i) as i64]);
            parts.push(Size::Of(phases, 3 + i, axis.stride));
        }
        value = rewriter.emit("transpose", Attrs::none().with("perm", perm), &[value])?;
        value = reshape(rewriter, value, &parts)?;
        let cut: Vec<[i64; 2]> = self.axes.iter().map(|it| it.cut.map(|it| -it)).collect();
        padded(rewriter, value, &cut)
    }
}

impl Transposed {
    /// Zeros between elements, where there are any, without what is cut off then.
    fn spread(&self, rewriter: &mut dyn Rewriter, value: Value) -> Option<Value> {
        if self.axes.iter().all(|it| it.spread.by == 1) {
            return Some(value);
        }
        let mut apart = vec![Size::Of(value, 0, 1), Size::Of(value, 1, 1)];
        let mut joined = apart.clone();
        let (mut behind, mut cut) = (Vec::new(), Vec::new());
        for (i, axis) in self.axes.iter().enumerate() {
            let Spread { by, cut: ends } = axis.spread;
            apart.extend([Size::Of(value, 2 + i, 1), Size::Known(vec![1])]);
            joined.push(Size::Of(value, 2 + i, by));
            behind.extend([[0, 0], [0, by - 1]]);
            cut.push(ends.map(|it| -it));
        }
        let value = reshape(rewriter, value, &apart)?;
        let value = padded(rewriter, value, &behind)?;
        let value = reshape(rewriter, value, &joined)?;
        padded(rewriter, value, &cut)
    }
}

/// A value with zeros before and behind its dimensions from the third one on, or with fewer elements where there are less
/// than none.
fn padded(rewriter: &mut dyn Rewriter, value: Value, around: &[[i64; 2]]) -> Option<Value> {
    if around.iter().all(|it| *it == [0; 2]) {
        return Some(value);
    }
    let ty = rewriter.ty(value);
    let rank = ty.as_tensor()?.dims()?.len();
    let mut sides = vec![0; 2 * rank];
    for (i, [before, behind]) in around.iter().enumerate() {
        sides[2 + i] = *before;
        sides[rank + 2 + i] = *behind;
    }
    let sides = rewriter.emit_constant(TensorData::ints(&sides));
    rewriter.emit("pad", Attrs::none().with("mode", "constant"), &[value, sides])
}

/// Neighbouring sizes of a shape.
#[derive(Clone)]
enum Size {
    Known(Vec<i64>),
    /// So many times a dimension of a value.
    Of(Value, usize, i64),
}

fn reshape(rewriter: &mut dyn Rewriter, value: Value, sizes: &[Size]) -> Option<Value> {
    let mut parts = Vec::new();
    let mut known = Some(Vec::new());
    for size in sizes {
        let part = match size {
            Size::Known(list) => {
                known = known.map(|it: Vec<i64>| [&it[..], list].concat());
                rewriter.emit_constant(TensorData::ints(list))
            }
            Size::Of(of, axis, times) => {
                let ty = rewriter.ty(*of);
                let dim = *ty.as_tensor()?.dims()?.get(*axis)?;
                let int = rewriter.shapes().as_int(dim).and_then(|it| it.checked_mul(*times));
                known = known.zip(int).map(|(it, int)| [&it[..], &[int]].concat());
                let axis = *axis as i64;
                let attrs = Attrs::none().with("start", axis).with("end", axis + 1);
                let size = rewriter.emit("shape_of", attrs, &[*of])?;
                let times = rewriter.emit_constant(TensorData::ints(&[*times]));
                rewriter.emit("mul", Attrs::none(), &[size, times])?
            }
        };
        parts.push(part);
    }
    let shape = match known {
        Some(known) => rewriter.emit_constant(TensorData::ints(&known)),
        None => rewriter.emit("concat", Attrs::none().with("axis", 0), &parts)?,
    };
    // A size of 0 is no copy of another one.
    rewriter.emit("reshape", Attrs::none().with("allow_zero", true), &[value, shape])
}

/// A value with some axes in reverse.
fn reversed(rewriter: &mut dyn Rewriter, value: Value, axes: &[i64]) -> Option<Value> {
    let bounds = [-1, i64::MIN + 1, -1].map(|it| vec![it; axes.len()]);
    let bounds = bounds.map(|it| rewriter.emit_constant(TensorData::ints(&it)));
    let args = [&[value][..], &bounds].concat();
    rewriter.emit("slice", Attrs::none().with("axes", axes.to_vec()), &args)
}
