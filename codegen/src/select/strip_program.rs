//! The vector program behind [`super::strips`].
//!
//! # Laws
//! What selection proves before it calls ([`StripProgram::laws`]):
//!
//! * **U1** The number of groups of a row, and that of rows, is at least 0.
//! * **U2** Groups are whole: their size is a power of two that divides the elements of a row.
//! * **U3** Neighbours in a row are neighbours in the target, and in what is read as a row or guarded; groups follow each
//!   other where groups are read; what is strided, counted, gathered or placed moves by its step, what is one element for
//!   the row, or a range of it, does not move.
//! * **U4** The positions of elements that data choose fit in a lane.
//! * **U5** Where other elements than of four bytes are moved, they fill lanes, and only rows of them are moved.

use super::expression::{Node, VectorExpr};
use super::strip_lanes::{Check, in_range, inside, interleave, load_near, near, pick, positions};
use super::strip_scatter::scatter;
use crate::kernels::element::Element;
use crate::kernels::laws::Law;
use crate::vector::{
    Addr, BinaryOp, Builder, IReg, Inst, IntCompare, IntOp, Isa, MReg, Program, Size, VReg, Width,
};
use orogen_ir::shape::{Dim, Overflow, ShapeCx};

/// An index that an expression gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) index: Node,
    /// Elements from one index to the next, an integer.
    pub(crate) scale: Node,
    /// Whether it may be out of range, or negative, which counts from the end.
    pub(crate) checked: bool,
}

/// A value that an expression reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Whole numbers, from group to group so much apart.
    Count(i64),
    /// One element for the whole row.
    Scalar,
    /// One element for each element of the row.
    Row,
    /// One element for each element of the row, so many elements apart, in either direction.
    Strided(i64),
    /// As `Strided`, forwards, where units of so many elements, of which each is at this place, may be read whole.
    Spread { step: i64, place: i64 },
    /// A group of elements for each group of the row, of which this is the place of the one that is meant.
    Group(i64),
    /// The element at indices that the expression gives, from a place that moves by so many elements from group to group.
    Gather { indices: Vec<Chosen>, step: i64 },
    /// As `Row` inside a range of the row; these bits elsewhere.
    Guarded(u64),
    /// All bits of a lane inside a range of the row, which may move from row to row; none elsewhere.
    Within,
}

/// Where in a row its ranges are met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    /// Inside all of them.
    Inside,
    /// Outside of the only one there is.
    Outside,
    /// Each lane has to be looked at.
    Mixed,
}

/// The registers of a range: its bounds in the first row, then those of the rows that have it, or by how much the bounds
/// grow from row to row.
#[derive(Clone, Copy)]
struct Bounds {
    source: usize,
    moves: bool,
    range: [IReg; 2],
    rows: [IReg; 2],
}

/// The extents of a call, all rows of it.
#[derive(Clone, Debug)]
pub(crate) struct StripCall {
    /// Elements of a row.
    pub(crate) elements: Dim,
    /// Bytes of an element that is moved as part of a lane, or as one; else 4.
    pub(crate) size: i64,
    pub(crate) groups: Dim,
    pub(crate) rows: Dim,
    /// For each source and the target, the elements in memory from one group to the next.
    pub(crate) steps: Vec<Dim>,
    /// For each source, over how many elements data may choose one.
    pub(crate) reach: Vec<Option<Dim>>,
}

/// Rows of `n` groups of neighbouring elements, each element of a group with an expression of its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct StripProgram {
    /// The width of lanes.
    pub(crate) width: Width,
    /// What is read, a pointer each.
    pub(crate) sources: Vec<Source>,
    /// The elements of each source and of the target.
    pub(crate) elements: Vec<Element>,
    /// The expressions, over the sources.
    pub(crate) expr: VectorExpr,
    /// The elements of a group, in order; their number is a power of two.
    pub(crate) results: Vec<Node>,
    /// Whether rows fill a vector at most: then they are not taken apart.
    pub(crate) short: bool,
    /// The indices by which elements are stored, and by how many elements their places move without from one to the next;
    /// groups are of one element then.
    pub(crate) placed: Option<(Vec<Chosen>, i64)>,
    /// What is stored where elements are placed, over what was there and the result; else it is the result.
    pub(crate) combined: Option<(VectorExpr, Node)>,
    /// Whether indices are checked alone, and nothing is stored.
    pub(crate) probes: bool,
}

/// Registers that the parts of a program share.
pub(super) struct Registers {
    pub(super) sources: Vec<IReg>,
    pub(super) target: IReg,
    /// Memory for a vector of elements and their places.
    pub(super) scratch: Option<IReg>,
    /// Of sources that are one element its value, of others that step the positions of a vector of elements.
    pub(super) scalars: Vec<Option<VReg>>,
    /// The places of a vector of elements without the indices by which they are stored.
    pub(super) placed: Option<VReg>,
    /// For each source that is guarded, its range in the current row.
    pub(super) ranges: Vec<Option<(IReg, IReg)>>,
    /// For each source, by what those of its indices are checked that are.
    pub(super) checks: Vec<Vec<Check>>,
}

impl StripProgram {
    /// A text that two programs share exactly when they are equal.
    pub(crate) fn key(&self) -> String {
        format!(
            "{:?} {:?} {:?} {} {:?} {} {:?} {:?} {}",
            self.width,
            self.sources,
            self.elements,
            self.expr.key(),
            self.results,
            self.short,
            self.placed,
            self.combined.as_ref().map(|(expr, root)| (expr.key(), *root)),
            self.probes
        )
    }

    /// The laws of a call.
    ///
    /// # Errors
    /// [`Overflow`] if a row has more bytes than can be counted.
    pub(crate) fn laws(&self, shapes: &mut ShapeCx, call: &StripCall) -> Result<Vec<Law>, Overflow> {
        let mut laws = vec![Law::at_least("U1", call.groups, 0), Law::at_least("U1", call.rows, 0)];
        let group = self.results.len() as i64;
        let bits = shapes.int(i64::from(group.count_ones()));
        laws.extend([Law::equal("U2", bits, shapes.int(1)), Law::multiple("U2", call.elements, group)]);
        for (i, step) in call.steps.iter().enumerate() {
            let wanted = match self.sources.get(i) {
                Some(Source::Scalar | Source::Within) => 0,
                Some(Source::Row | Source::Guarded(_)) => 1,
                Some(
                    Source::Strided(step)
                    | Source::Spread { step, .. }
                    | Source::Count(step)
                    | Source::Gather { step, .. },
                ) => *step,
                None if let Some((_, step)) = &self.placed => *step,
                Some(Source::Group(_)) | None => group,
            };
            laws.push(Law::equal("U3", *step, shapes.int(wanted)));
            // Only rows are moved as other elements than they are of.
            if call.size != 4 {
                laws.push(Law::equal("U5", *step, shapes.int(1)));
            }
        }
        for reach in call.reach.iter().flatten() {
            laws.push(Law::at_least("U4", *reach, 0));
            // All positions fit in 64 bits.
            if self.width == Width::W32 {
                laws.push(Law::at_most("U4", *reach, i32::MAX.into()));
            }
        }
        let bytes = shapes.scale(call.elements, call.size)?;
        laws.push(Law::multiple("U5", bytes, 4));
        Ok(laws)
    }

    pub(super) fn element_of_target(&self) -> Element {
        // It comes last.
        self.elements[self.sources.len()]
    }

    /// Places of the sources that are guarded, or are ranges.
    pub(crate) fn guarded(&self) -> impl Iterator<Item = usize> {
        (0..self.sources.len()).filter(|it| matches!(self.sources[*it], Source::Guarded(_) | Source::Within))
    }

    /// For each index that is checked the place of its source; that of the target is behind them.
    fn checked(&self) -> impl Iterator<Item = usize> {
        let indices = |it: &Source| match it {
            Source::Gather { indices, .. } => indices.clone(),
            _ => Vec::new(),
        };
        let target = self.placed.iter().map(|it| it.0.clone());
        let all = self.sources.iter().map(indices).chain(target).enumerate();
        all.flat_map(|(place, it)| it.into_iter().filter(|it| it.checked).map(move |_| place))
    }

    /// The program. Parameters: a pointer for each source and the target, the first number for one that counts; `n` (groups
    /// of a row), `rows`; a row stride in bytes for each source and the target, or by what the first number grows; for each
    /// guarded source the range of groups, then of rows, in which it is read, each as begin and end, which may lie outside of
    /// the row, and for each range that moves its begin and end in the first row, and by how much these grow; for each index that is checked the extent that it is checked against, then, if there are any, a pointer to 64
    /// bits, which become 1 where an index is out of range; where elements are placed a pointer to
    /// [`PLACED_BYTES`](super::strip_scatter::PLACED_BYTES).
    pub(crate) fn build(&self, isa: Isa) -> Program {
        let mut b = Builder::of_width("strips", self.width);
        let sources: Vec<IReg> = self.sources.iter().map(|_| b.param()).collect();
        let target = b.param();
        let [n, rows] = b.params();
        let strides: Vec<IReg> = (0..=sources.len()).map(|_| b.param()).collect();
        let bounds = |source: usize| {
            let [low, high, first, last] = b.params();
            let moves = self.sources[source] == Source::Within;
            Bounds { source, moves, range: [low, high], rows: [first, last] }
        };
        let guards: Vec<Bounds> = self.guarded().map(bounds).collect();
        let checked: Vec<(usize, IReg)> = self.checked().map(|it| (it, b.param())).collect();
        let mut checks = vec![Vec::new(); sources.len() + 1];
        if checked.is_empty() {
            let scratch = self.placed.as_ref().map(|_| b.param());
            let registers = (&sources[..], target, scratch);
            self.rows(&mut b, isa, registers, (n, rows), &strides, &guards, checks);
            return b.finish();
        }
        let flag = b.param();
        let scratch = self.placed.as_ref().map(|_| b.param());
        let ones = self.width.ones();
        let good = b.splat_lane(ones);
        let sign = b.constant_lane(self.width.sign());
        let mut least = checked[0].1;
        for (source, extent) in &checked {
            least = b.int_op(IntOp::Min, least, *extent);
            let extent = b.splat_int(*extent);
            let limit = b.binary(BinaryOp::Xor, extent, sign);
            checks[*source].push(Check { extent, limit, good });
        }
        // Where there are no elements, all indices are out of range.
        b.when_else(
            IntCompare::Gt,
            least,
            0,
            |b| self.rows(b, isa, (&sources, target, scratch), (n, rows), &strides, &guards, checks),
            |b| b.emit(Inst::Splat { dst: good, bits: 0 }),
        );
        let ones = b.constant_lane(ones);
        let bad = b.binary(BinaryOp::Xor, good, ones);
        let any = b.sign_bits(bad);
        b.when(IntCompare::Ne, any, 0, |b| {
            let one = b.int_const(1);
            b.emit(Inst::IntStore { src: one, addr: Addr::new(flag) });
        });
        b.finish()
    }

    #[allow(clippy::too_many_arguments, reason = "the parameters of the program, in order")]
    fn rows(
        &self,
        b: &mut Builder,
        isa: Isa,
        (sources, target, scratch): (&[IReg], IReg, Option<IReg>),
        (n, rows): (IReg, IReg),
        strides: &[IReg],
        guards: &[Bounds],
        checks: Vec<Vec<Check>>,
    ) {
        b.repeat(rows, |b| {
            let zero = b.int_const(0);
            let (mut first, mut last) = (b.int_move(zero), b.int_move(n));
            let mut ranges = vec![None; sources.len()];
            for it in guards {
                let [low, high] = it.range.map(|bound| b.int_move(bound));
                if it.moves {
                    for (bound, by) in it.range.into_iter().zip(it.rows) {
                        b.bump(bound, by);
                    }
                } else {
                    for (op, bound) in [(IntCompare::Gt, it.rows[0]), (IntCompare::Le, it.rows[1])] {
                        b.when(op, bound, 0, |b| {
                            b.int_move_into(low, zero);
                            b.int_move_into(high, zero);
                        });
                        b.bump(bound, -1);
                    }
                }
                first = b.int_op(IntOp::Max, first, low);
                last = b.int_op(IntOp::Min, last, high);
                ranges[it.source] = Some((low, high));
            }
            let scalars = self.sources.iter().zip(&self.elements).zip(sources);
            let scalars = scalars.map(|((it, element), p)| match it {
                Source::Scalar => Some(element.load_splat(b, *p)),
                Source::Count(0) => Some(b.splat_int(*p)),
                Source::Strided(step) if self.width.has_floats() => Some(positions(b, *step)),
                Source::Count(step) => Some(positions(b, *step)),
                Source::Gather { step, .. } if *step != 0 => Some(positions(b, *step)),
                _ => None,
            });
            let scalars = scalars.collect();
            let placed = self.placed.as_ref().filter(|it| it.1 != 0).map(|it| positions(b, it.1));
            let (sources, checks) = (sources.to_vec(), checks.clone());
            let registers = Registers { sources, target, scratch, scalars, placed, ranges, checks };
            if guards.is_empty() || self.short {
                let zone = if self.short { Zone::Mixed } else { Zone::Inside };
                self.segment(b, isa, &registers, zero, n, zone);
            } else {
                // Every guarded source is in range between `first` and `last`.
                let first = b.int_op(IntOp::Min, first, n);
                let last = b.int_op(IntOp::Max, last, first);
                let middle = b.int_op(IntOp::Sub, last, first);
                let rest = b.int_op(IntOp::Sub, n, last);
                let edge = if guards.len() == 1 { Zone::Outside } else { Zone::Mixed };
                self.segment(b, isa, &registers, zero, first, edge);
                self.segment(b, isa, &registers, first, middle, Zone::Inside);
                self.segment(b, isa, &registers, last, rest, edge);
            }
            for (pointer, stride) in registers.sources.iter().chain([&target]).zip(strides) {
                b.bump(*pointer, *stride);
            }
        });
    }

    /// `count` groups from `from` on.
    fn segment(&self, b: &mut Builder, isa: Isa, r: &Registers, from: IReg, count: IReg, zone: Zone) {
        b.when(IntCompare::Gt, count, 0, |b| {
            let group = self.results.len() as i64;
            // Where the groups start, for each number of bytes in one.
            let mut offsets: Vec<(i64, IReg)> = Vec::new();
            let mut skip = |b: &mut Builder, pointer: IReg, element: Element, group: i64| {
                let bytes = element.bytes() * group;
                let known = offsets.iter().find(|it| it.0 == bytes).map(|it| it.1);
                let by = known.unwrap_or_else(|| {
                    let by = b.int_op(IntOp::ShiftLeft, from, i64::from(bytes.ilog2()));
                    offsets.push((bytes, by));
                    by
                });
                (b.int_add(pointer, by), element.vectors(group))
            };
            let (target, step) = match &self.placed {
                Some((_, step)) => {
                    let bytes = self.element_of_target().bytes() * step;
                    let by = b.int_mul(from, bytes);
                    (b.int_add(r.target, by), Size::lanes(bytes))
                }
                None => skip(b, r.target, self.element_of_target(), group),
            };
            let mut moving: Vec<(IReg, Size)> = vec![(target, step)];
            let mut cursors = Vec::new();
            for ((source, element), pointer) in self.sources.iter().zip(&self.elements).zip(&r.sources) {
                let group = match source {
                    Source::Scalar | Source::Within | Source::Gather { step: 0, .. } | Source::Count(0) => {
                        cursors.push(*pointer);
                        continue;
                    }
                    Source::Count(step) => {
                        let by = b.int_mul(from, *step);
                        let cursor = b.int_add(*pointer, by);
                        cursors.push(cursor);
                        moving.push((cursor, Size::lanes(*step)));
                        continue;
                    }
                    Source::Strided(step) | Source::Spread { step, .. } | Source::Gather { step, .. } => {
                        let bytes = element.bytes() * step;
                        let by = b.int_mul(from, bytes);
                        let cursor = b.int_add(*pointer, by);
                        cursors.push(cursor);
                        moving.push((cursor, Size::lanes(bytes)));
                        continue;
                    }
                    Source::Group(_) => group,
                    Source::Row | Source::Guarded(_) => 1,
                };
                let (cursor, step) = skip(b, *pointer, *element, group);
                cursors.push(cursor);
                moving.push((cursor, step));
            }
            // Ranges relative to the cursor.
            let ranges: Vec<Option<(IReg, IReg)>> = r
                .ranges
                .iter()
                .map(|it| {
                    let (low, high) = (*it).filter(|_| zone == Zone::Mixed)?;
                    let relative = [low, high].map(|it| b.int_op(IntOp::Sub, it, from));
                    moving.extend(relative.map(|it| (it, Size::lanes(-1))));
                    Some((relative[0], relative[1]))
                })
                .collect();
            // Where what lies between elements is read too, some element is left for the end.
            let between = self.sources.iter().any(|it| matches!(it, Source::Strided(step) if near(*step)));
            let others = if between { b.int_add(count, -1) } else { count };
            let whole = b.div_lanes(others);
            let mut single = whole;
            if self.in_pairs(isa, zone) {
                let pairs = b.int_op(IntOp::ShiftRight, whole, 1);
                b.repeat(pairs, |b| {
                    self.step_two(b, &cursors, target, r, zone);
                    for (register, step) in &moving {
                        b.bump(*register, Size { fixed: 2 * step.fixed, per_lane: 2 * step.per_lane });
                    }
                });
                single = b.int_op(IntOp::And, whole, 1);
            }
            b.repeat(single, |b| {
                self.step(b, isa, &cursors, target, r, (zone, &ranges), None);
                for (register, step) in &moving {
                    b.bump(*register, *step);
                }
            });
            let rest = if between {
                let covered = b.int_mul(whole, Size::lanes(1));
                b.int_op(IntOp::Sub, count, covered)
            } else {
                b.int_op(IntOp::And, count, Size { fixed: -1, per_lane: 1 })
            };
            if self.ends_one_by_one() {
                b.repeat(rest, |b| {
                    self.single(b, &cursors, target, r);
                    for (register, step) in &moving {
                        b.bump(*register, Size::fixed(step.per_lane));
                    }
                });
                return;
            }
            b.when(IntCompare::Gt, rest, 0, |b| {
                self.step(b, isa, &cursors, target, r, (zone, &ranges), Some(rest));
            });
        });
    }

    /// A vector of groups, of which the first `rest` are there.
    #[allow(clippy::too_many_arguments, reason = "the registers of a segment, by kind")]
    fn step(
        &self,
        b: &mut Builder,
        isa: Isa,
        cursors: &[IReg],
        target: IReg,
        r: &Registers,
        (zone, ranges): (Zone, &[Option<(IReg, IReg)>]),
        rest: Option<IReg>,
    ) {
        let needed = self.needed(zone);
        let mask = rest.map(|it| b.first(it));
        let group = self.results.len();
        // What is left of each of the vectors that hold whole groups.
        let masks: Vec<Option<MReg>> = match rest {
            None => vec![None; group],
            Some(_) if group == 1 => vec![mask],
            Some(rest) => {
                let elements = b.int_op(IntOp::ShiftLeft, rest, i64::from(group.ilog2()));
                let count = |b: &mut Builder, i: usize| b.int_op(IntOp::Sub, elements, Size::lanes(i as i64));
                (0..group)
                    .map(|i| {
                        let count = count(b, i);
                        Some(b.first(count))
                    })
                    .collect()
            }
        };
        let mut leaves = Vec::new();
        for (i, source) in self.sources.iter().enumerate() {
            let element = self.elements[i];
            if !needed[i] {
                if let Source::Gather { indices, .. } = source
                    && indices.iter().any(|it| it.checked)
                {
                    self.position(b, &leaves, indices, &r.checks[i], r.scalars[i]);
                }
                leaves.push(b.constant_int(0));
                continue;
            }
            leaves.push(match (source, r.scalars[i], ranges[i]) {
                (Source::Within, ..) if zone == Zone::Inside => b.constant_lane(self.width.ones()),
                (Source::Within, ..) if zone == Zone::Outside => b.constant_lane(0),
                (Source::Guarded(otherwise), ..) if zone == Zone::Outside => b.constant_lane(*otherwise),
                (Source::Within, _, Some(range)) => {
                    let inside = inside(b, range, rest);
                    b.mask_lanes(inside)
                }
                (Source::Gather { indices, .. }, positions, _) => {
                    let position = self.position(b, &leaves, indices, &r.checks[i], positions);
                    element.gather(b, cursors[i], position, mask)
                }
                (Source::Count(step), Some(positions), _) if *step != 0 => {
                    let first = b.splat_int(cursors[i]);
                    b.binary(BinaryOp::IntAdd, first, positions)
                }
                (Source::Strided(step), ..) if rest.is_none() && near(*step) => {
                    load_near(b, element, cursors[i], *step)
                }
                (Source::Spread { step, place }, ..) => {
                    let units = element.load_every(b, (*step, *place), cursors[i], mask);
                    units.expect("selection asks whether lanes hold units")
                }
                (Source::Strided(_), Some(positions), _) => element.gather(b, cursors[i], positions, mask),
                (_, Some(scalar), _) => scalar,
                (Source::Guarded(otherwise), None, Some(range)) => {
                    let inside = inside(b, range, rest);
                    let value = element.load(b, Addr::new(cursors[i]), Some(inside));
                    if *otherwise == 0 {
                        value
                    } else {
                        let lanes = b.mask_lanes(inside);
                        let otherwise = b.constant_lane(*otherwise);
                        b.blend(lanes, value, otherwise)
                    }
                }
                (Source::Group(part), ..) if element.divides_lanes(self.width, group) => {
                    let lanes = b.load(Addr::new(cursors[i]), mask);
                    element.part_of_lanes(b, lanes, group as i64, *part)
                }
                (Source::Group(part), ..) => {
                    let load = |(j, mask): (usize, &Option<MReg>)| {
                        element.load(b, Addr::new(cursors[i]).offset(element.vectors(j as i64)), *mask)
                    };
                    let vectors: Vec<VReg> = masks.iter().enumerate().map(load).collect();
                    pick(b, vectors, *part)
                }
                _ => element.load(b, Addr::new(cursors[i]), mask),
            });
        }
        let placed = self.placed.as_ref().map(|(indices, _)| {
            let checks = &r.checks[self.sources.len()];
            self.position(b, &leaves, indices, checks, r.placed)
        });
        if self.probes {
            return;
        }
        let values = self.expr.emit(b, &leaves, &self.results);
        let element = self.element_of_target();
        if let (Some(position), Some(scratch)) = (placed, r.scratch) {
            return scatter(
                b,
                isa,
                scratch,
                (element, self.combined.as_ref()),
                (values[0], position),
                target,
                rest,
            );
        }
        if group > 1 && element.divides_lanes(self.width, group) {
            let zeros =
                |node: Node| self.expr.as_leaf(node).is_some_and(|it| self.elements[it].has_no_sign());
            let parts = values.iter().zip(&self.results).map(|(value, node)| (*value, zeros(*node)));
            let lanes = element.lanes_of_parts(b, &parts.collect::<Vec<_>>());
            return b.store(lanes, Addr::new(target), mask);
        }
        let vectors = interleave(b, isa, &values);
        for (i, (value, mask)) in vectors.into_iter().zip(masks).enumerate() {
            element.store(b, value, Addr::new(target).offset(element.vectors(i as i64)), mask);
        }
    }

    /// The positions of elements that indices choose, from those that they have without; `checks` are for the indices that
    /// are checked, in order.
    fn position(
        &self,
        b: &mut Builder,
        leaves: &[VReg],
        indices: &[Chosen],
        checks: &[Check],
        positions: Option<VReg>,
    ) -> VReg {
        let (mut sum, mut checks) = (positions, checks.iter());
        for it in indices {
            let values = self.expr.emit(b, leaves, &[it.index, it.scale]);
            let check = if it.checked { checks.next() } else { None };
            let index = check.map_or(values[0], |check| in_range(b, values[0], check));
            let one = self.expr.as_constant(it.scale) == Some(1);
            let part = if one { index } else { b.binary(BinaryOp::IntMul, index, values[1]) };
            sum = Some(match sum {
                Some(sum) => b.binary(BinaryOp::IntAdd, sum, part),
                None => part,
            });
        }
        sum.expect("an index chooses")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::laws::unproven;

    /// Groups of two; a scalar, a row, groups and what data choose.
    fn program(group: usize) -> StripProgram {
        let sources = vec![
            Source::Scalar,
            Source::Row,
            Source::Group(0),
            Source::Gather { indices: Vec::new(), step: 0 },
        ];
        StripProgram {
            elements: vec![Element::LANE; 5],
            sources,
            results: vec![0; group],
            ..StripProgram::default()
        }
    }

    #[test]
    fn laws_u1_to_u5_are_asked() {
        let mut shapes = ShapeCx::new();
        let [n, rows] = ["n", "rows"].map(|it| shapes.sym(it));
        let [zero, one, two] = [0, 1, 2].map(|it| shapes.int(it));
        let elements = shapes.scale(n, 2).unwrap();
        let windows = shapes.add_int(n, -1).unwrap();
        let good = StripCall {
            elements,
            size: 4,
            groups: n,
            rows,
            steps: vec![zero, one, two, zero, two],
            reach: vec![None, None, None, Some(shapes.int(i64::from(i32::MAX)))],
        };
        let step = |at: usize, step: Dim| {
            let mut call = good.clone();
            call.steps[at] = step;
            call
        };
        let beyond = shapes.int(i64::from(i32::MAX) + 1);
        let cases = [
            (2, good.clone(), None),
            (2, StripCall { groups: windows, ..good.clone() }, Some("U1")),
            (2, StripCall { rows: windows, ..good.clone() }, Some("U1")),
            (2, StripCall { elements: n, ..good.clone() }, Some("U2")),
            (3, good.clone(), Some("U2")),
            (2, step(0, one), Some("U3")),
            (2, step(1, two), Some("U3")),
            (2, step(2, one), Some("U3")),
            (2, step(4, one), Some("U3")),
            (2, StripCall { reach: vec![Some(beyond)], ..good.clone() }, Some("U4")),
            (2, StripCall { reach: vec![Some(n)], ..good.clone() }, Some("U4")),
            (2, StripCall { size: 2, ..good.clone() }, Some("U5")),
        ];
        for (i, (group, call, wanted)) in cases.into_iter().enumerate() {
            let laws = program(group).laws(&mut shapes, &call).unwrap();
            assert_eq!(unproven(&shapes, &laws), wanted, "case {i}");
        }
        // What data place moves by its own step.
        let placed = StripProgram { placed: Some((Vec::new(), 3)), ..program(1) };
        let [single, three] = [n, shapes.int(3)];
        for (target, wanted) in [(three, None), (one, Some("U3"))] {
            let steps = vec![zero, one, one, zero, target];
            let call = StripCall { elements: single, steps, ..good.clone() };
            let laws = placed.laws(&mut shapes, &call).unwrap();
            assert_eq!(unproven(&shapes, &laws), wanted);
        }
        // Bytes fill lanes, or they do not.
        let mut bytes = StripProgram { sources: vec![Source::Row], ..program(1) };
        bytes.results.truncate(1);
        for (elements, wanted) in [(7, Some("U5")), (8, None), (9, Some("U5"))] {
            let [elements, groups] = [elements, elements / 4].map(|it| shapes.int(it));
            let call =
                StripCall { elements, size: 1, groups, rows, steps: vec![one, one], reach: Vec::new() };
            let laws = bytes.laws(&mut shapes, &call).unwrap();
            assert_eq!(unproven(&shapes, &laws), wanted);
        }
    }
}
