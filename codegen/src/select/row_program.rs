//! The vector program behind [`super::rows`] and [`super::columns`].
//!
//! # Laws
//! What selection proves before it calls ([`RowProgram::laws`]):
//!
//! * **R1** `n` and the number of rows are at least 0: the tail of a row is what whole vectors leave of `n`, so that a
//!   negative one would have a tail. Where the code for a vector is long, and rows are known to be whole vectors, there is
//!   no tail.
//! * **R2** Neighbours in a row are neighbours in memory; a pointer to one element does not move along the row.
//!
//! What holds by construction: a row that one stage makes is read by later ones at the same place alone, and rows of
//! workspace have room for `n` elements each.

use super::expression::{Node, VectorExpr};
use super::reduction::Reduction;
use crate::kernels::element::Element;
use crate::kernels::laws::Law;
use crate::vector::{BinaryOp, Builder, IReg, IntCompare, IntOp, Isa, MReg, Program, Size, VReg, Width};
use orogen_ir::shape::{Dim, ShapeCx};

/// Vectors that a reduction takes in at a time.
const ACCUMULATORS: usize = 4;

/// A pointer parameter, by its place.
pub(crate) type Pointer = usize;

/// What a pointer points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Whether it is a row; else it is one element.
    pub(crate) contiguous: bool,
    pub(crate) element: Element,
}

/// A value that a stage reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Leaf {
    /// Memory: a row of elements or one for the whole row, as the pointer is.
    Memory(Pointer),
    /// The row that a stage made; it is in memory at the pointer after the pass that makes it.
    Row(usize, Pointer),
    /// The single value that a stage made.
    Value(usize),
    /// A parameter that is the bits of a number.
    Size(usize),
    /// The number of the element in the row, an integer.
    Position,
}

/// What a stage does with its expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Stores it for every element.
    Map,
    /// Reduces it over the row.
    Reduce(Reduction),
    /// Computes it once for the row.
    Scalar,
}

/// One stage.
#[derive(Clone, Debug)]
pub(crate) struct RowStage {
    pub(crate) work: Work,
    pub(crate) expr: VectorExpr,
    pub(crate) root: Node,
    pub(crate) leaves: Vec<Leaf>,
    /// Where the result goes, if it goes to memory.
    pub(crate) pointer: Option<Pointer>,
    /// Whether only later stages read the result.
    pub(crate) temporary: bool,
}

/// The extents of a call, all rows of it.
#[derive(Clone, Debug)]
pub(crate) struct RowCall {
    /// Elements of a row.
    pub(crate) n: Dim,
    pub(crate) rows: Dim,
    /// For each pointer, the elements in memory from one element of the row to the next.
    pub(crate) along: Vec<Dim>,
}

/// Stages that run one after the other on each row.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowProgram {
    /// The width of lanes.
    pub(crate) width: Width,
    /// What each pointer points at.
    pub(crate) targets: Vec<Target>,
    /// How many numbers are read.
    pub(crate) sizes: usize,
    /// The stages.
    pub(crate) stages: Vec<RowStage>,
    /// Whether rows are whole vectors.
    pub(crate) whole: bool,
    /// Stages of each pass over the row; a scalar stage is a pass of its own.
    segments: Vec<Vec<usize>>,
    /// Whether the row that a stage makes must be in memory.
    stored: Vec<bool>,
}

impl RowProgram {
    /// No stages yet, over these pointers.
    pub(crate) fn of(width: Width, targets: Vec<Target>) -> RowProgram {
        RowProgram { width, targets, ..RowProgram::default() }
    }

    /// Divides the stages into passes: a stage joins the pass before it unless it needs a value which that computes.
    pub(crate) fn plan(&mut self) {
        self.segments.clear();
        for (number, stage) in self.stages.iter().enumerate() {
            let scalar = |it: usize| self.stages[it].work == Work::Scalar;
            let joins = self.segments.last().is_some_and(|last| {
                let needs = stage.leaves.iter().any(|leaf| match leaf {
                    Leaf::Value(of) => last.contains(of),
                    _ => false,
                });
                stage.work != Work::Scalar && !needs && !last.iter().any(|it| scalar(*it))
            });
            match (joins, self.segments.last_mut()) {
                (true, Some(last)) => last.push(number),
                _ => self.segments.push(vec![number]),
            }
        }
        // What nobody reads but memory keeps its low bits there.
        for number in 0..self.stages.len() {
            let read = self
                .stages
                .iter()
                .any(|it| it.leaves.iter().any(|leaf| matches!(leaf, Leaf::Row(of, _) if *of == number)));
            let stage = &mut self.stages[number];
            if let (Work::Map, Some(pointer), false) = (stage.work, stage.pointer, read) {
                stage.root = stage.expr.unwrapped(self.targets[pointer].element, stage.root);
            }
        }
        self.stored = (0..self.stages.len())
            .map(|number| {
                let pass = |of: usize| self.segments.iter().position(|it| it.contains(&of));
                let later = self.stages.iter().enumerate().any(|(reader, stage)| {
                    let reads =
                        stage.leaves.iter().any(|leaf| matches!(leaf, Leaf::Row(of, _) if *of == number));
                    reads && pass(reader) != pass(number)
                });
                !self.stages[number].temporary || later
            })
            .collect();
    }

    /// Whether the code for a vector is long.
    pub(crate) fn is_long(&self) -> bool {
        self.stages.iter().any(|it| !it.expr.is_light())
    }

    /// The laws of a call.
    pub(crate) fn laws(&self, shapes: &mut ShapeCx, call: &RowCall) -> Vec<Law> {
        let mut laws = vec![Law::at_least("R1", call.n, 0), Law::at_least("R1", call.rows, 0)];
        for (target, along) in self.targets.iter().zip(&call.along) {
            let step = shapes.int(i64::from(target.contiguous));
            laws.push(Law::equal("R2", *along, step));
        }
        laws
    }

    /// Number of passes over a row.
    pub(crate) fn passes(&self) -> usize {
        self.segments.iter().filter(|it| it.iter().any(|it| self.stages[*it].work != Work::Scalar)).count()
    }

    /// What the stages do, in words.
    pub(crate) fn describe(&self) -> String {
        let words = self.stages.iter().map(|it| match it.work {
            Work::Map => "map",
            Work::Reduce(reduction) => reduction.name(),
            Work::Scalar => "scalar",
        });
        words.collect::<Vec<_>>().join(", ")
    }

    /// A text that two programs share exactly when they are equal.
    pub(crate) fn key(&self) -> String {
        let stages = self.stages.iter().map(|it| {
            format!(
                "{:?} {}@{} {:?} {:?} {}",
                it.work,
                it.expr.key(),
                it.root,
                it.leaves,
                it.pointer,
                it.temporary
            )
        });
        let whole = if self.whole { " whole" } else { "" };
        format!("{:?} {:?} {} {:?}{whole}", self.width, self.targets, self.sizes, stages.collect::<Vec<_>>())
    }

    /// The program. Parameters: the pointers, `n` (elements of a row), `rows`, and a row stride in bytes for each
    /// pointer; then the bits of the numbers.
    pub(crate) fn build(&self, isa: Isa) -> Program {
        let many = self.at_a_time(isa);
        let mut b = Builder::of_width("rows", self.width);
        let pointers: Vec<IReg> = self.targets.iter().map(|_| b.param()).collect();
        let [n, rows] = b.params();
        let strides: Vec<IReg> = self.targets.iter().map(|_| b.param()).collect();
        let sizes: Vec<IReg> = (0..self.sizes).map(|_| b.param()).collect();
        let sizes: Vec<VReg> = sizes.into_iter().map(|it| b.splat_int(it)).collect();
        b.repeat(rows, |b| {
            let mut values: Vec<Option<VReg>> = vec![None; self.stages.len()];
            for segment in &self.segments {
                if let [only] = segment[..]
                    && self.stages[only].work == Work::Scalar
                {
                    self.scalar(b, only, &pointers, &sizes, &mut values);
                } else {
                    let (many, accumulators) =
                        if self.waits(segment) { (ACCUMULATORS, ACCUMULATORS) } else { (many, 1) };
                    Pass {
                        program: self,
                        segment,
                        pointers: &pointers,
                        sizes: &sizes,
                        n,
                        many,
                        accumulators,
                    }
                    .build(b, &mut values);
                }
            }
            for (pointer, stride) in pointers.iter().zip(&strides) {
                b.bump(*pointer, *stride);
            }
        });
        b.finish()
    }

    /// How many vectors are taken in at a time: two where a register holds two of what lies in memory, and to convert
    /// both costs little more than one; four where all rows are of bytes, which are parts of lanes then.
    fn at_a_time(&self, isa: Isa) -> usize {
        let rows = || self.targets.iter().filter(|it| it.contiguous).map(|it| it.element);
        let maps = |it: &RowStage| it.work != Work::Map || it.leaves.contains(&Leaf::Position);
        let bytes = self.width == Width::W32 && rows().all(|it| it.divides_lanes(self.width, 4));
        match isa {
            Isa::Clif128 | Isa::Avx2 if bytes && !self.stages.iter().any(maps) => 4,
            Isa::Clif128 if rows().any(|it| it.is_in_pairs(self.width)) => 2,
            _ => 1,
        }
    }

    /// Whether a pass does little but wait for its accumulator: each vector that is taken in has one of its own then.
    fn waits(&self, segment: &[usize]) -> bool {
        let [only] = segment else { return false };
        let stage = &self.stages[*only];
        let plain = |leaf: &Leaf| match leaf {
            Leaf::Memory(p) | Leaf::Row(_, p) => {
                !self.targets[*p].element.divides_lanes(self.width, ACCUMULATORS)
            }
            Leaf::Value(_) | Leaf::Size(_) => true,
            Leaf::Position => false,
        };
        matches!(stage.work, Work::Reduce(_)) && stage.expr.is_light() && stage.leaves.iter().all(plain)
    }

    fn scalar(
        &self,
        b: &mut Builder,
        number: usize,
        pointers: &[IReg],
        sizes: &[VReg],
        values: &mut [Option<VReg>],
    ) {
        let stage = &self.stages[number];
        let leaves: Vec<VReg> = stage
            .leaves
            .iter()
            .map(|leaf| match leaf {
                Leaf::Memory(p) | Leaf::Row(_, p) => self.targets[*p].element.load_splat(b, pointers[*p]),
                Leaf::Value(of) => values[*of].expect("stages before this one are built"),
                Leaf::Size(i) => sizes[*i],
                Leaf::Position => b.constant_int(0),
            })
            .collect();
        let value = stage.expr.emit(b, &leaves, &[stage.root])[0];
        if let Some(pointer) = stage.pointer {
            self.targets[pointer].element.store_lane(b, value, pointers[pointer]);
        }
        values[number] = Some(value);
    }
}

/// One pass over a row.
struct Pass<'a> {
    program: &'a RowProgram,
    segment: &'a [usize],
    pointers: &'a [IReg],
    sizes: &'a [VReg],
    n: IReg,
    /// How many vectors are taken in at a time, as long as there are as many; a power of two.
    many: usize,
    /// How many accumulators a reduction has: one, or one for each of these vectors.
    accumulators: usize,
}

/// What is left of a stage for each vector of a row.
struct Hoisted {
    /// Over the leaves of the stage, and after them what is the same for the whole row.
    expr: VectorExpr,
    root: Node,
    values: Vec<VReg>,
}

/// The vectors of elements that a step takes in.
type Vectors = Vec<VReg>;

/// What a step takes in.
#[derive(Clone, Copy)]
enum Take {
    Many,
    One,
    /// What whole vectors leave: their mask, and the same as lanes.
    Tail(MReg, VReg),
}

impl Pass<'_> {
    fn element(&self, pointer: Pointer) -> Element {
        self.program.targets[pointer].element
    }

    fn build(&self, b: &mut Builder, values: &mut [Option<VReg>]) {
        let stages = &self.program.stages;
        // Single elements are loaded once, rows have a cursor.
        let mut splats: Vec<Option<VReg>> = vec![None; self.pointers.len()];
        let mut cursors: Vec<Option<IReg>> = vec![None; self.pointers.len()];
        for &number in self.segment {
            let stage = &stages[number];
            for leaf in &stage.leaves {
                match leaf {
                    Leaf::Memory(p) if !self.program.targets[*p].contiguous => {
                        if splats[*p].is_none() {
                            splats[*p] = Some(self.element(*p).load_splat(b, self.pointers[*p]));
                        }
                    }
                    Leaf::Row(of, _) if self.segment.contains(of) => {}
                    Leaf::Memory(p) | Leaf::Row(_, p) => {
                        cursors[*p].get_or_insert_with(|| b.int_move(self.pointers[*p]));
                    }
                    Leaf::Value(_) | Leaf::Size(_) | Leaf::Position => {}
                }
            }
            if let (Work::Map, Some(p), true) = (stage.work, stage.pointer, self.program.stored[number]) {
                cursors[p].get_or_insert_with(|| b.int_move(self.pointers[p]));
            }
        }
        // What of each stage is the same for the whole row is computed before it.
        let hoisted: Vec<Hoisted> = self
            .segment
            .iter()
            .map(|number| {
                let stage = &stages[*number];
                let fixed = |i: usize| match &stage.leaves[i] {
                    Leaf::Memory(p) => splats[*p].is_some(),
                    Leaf::Value(_) | Leaf::Size(_) => true,
                    Leaf::Row(..) | Leaf::Position => false,
                };
                let (parts, expr, root) = stage.expr.hoisted(stage.root, &fixed, stage.leaves.len());
                if parts.is_empty() {
                    return Hoisted { expr: stage.expr.clone(), root: stage.root, values: Vec::new() };
                }
                let nothing = b.constant_int(0);
                let leaves: Vec<VReg> = stage
                    .leaves
                    .iter()
                    .map(|leaf| match leaf {
                        Leaf::Memory(p) => splats[*p].unwrap_or(nothing),
                        Leaf::Value(of) => values[*of].expect("passes before this one are built"),
                        Leaf::Size(i) => self.sizes[*i],
                        Leaf::Row(..) | Leaf::Position => nothing,
                    })
                    .collect();
                Hoisted { values: stage.expr.emit(b, &leaves, &parts), expr, root }
            })
            .collect();
        let accumulators: Vec<Vectors> = self
            .segment
            .iter()
            .map(|number| match stages[*number].work {
                Work::Reduce(reduction) => (0..self.accumulators).map(|_| reduction.start(b)).collect(),
                Work::Map | Work::Scalar => Vec::new(),
            })
            .collect();
        let moving =
            cursors.iter().enumerate().filter_map(|(p, it)| Some(((*it)?, self.element(p).vectors(1))));
        let moving: Vec<(IReg, Size)> = moving.collect();
        let counts = self.segment.iter().any(|it| stages[*it].leaves.contains(&Leaf::Position));
        let position = counts.then(|| {
            let step = b.int_const(Size::lanes(1));
            (b.iota(), b.splat_int(step))
        });
        let places = position.map(|it| vec![it.0]);
        let whole = b.div_lanes(self.n);
        let mut single = whole;
        if self.many > 1 {
            let count = self.many as i64;
            let steps = b.int_op(IntOp::ShiftRight, whole, i64::from(count.ilog2()));
            b.repeat(steps, |b| {
                let places =
                    position.map(|(first, step)| vec![first, b.binary(BinaryOp::IntAdd, first, step)]);
                self.step(b, &splats, &cursors, &hoisted, &accumulators, values, places, Take::Many);
                if let Some((places, step)) = position {
                    b.binary_into(BinaryOp::IntAdd, places, places, step);
                    b.binary_into(BinaryOp::IntAdd, places, places, step);
                }
                for (cursor, step) in &moving {
                    b.bump(*cursor, Size { fixed: count * step.fixed, per_lane: count * step.per_lane });
                }
            });
            single = b.int_op(IntOp::And, whole, count - 1);
            if self.accumulators > 1 {
                b.when(IntCompare::Gt, steps, 0, |b| self.join(b, &accumulators));
            }
        }
        b.repeat(single, |b| {
            self.step(b, &splats, &cursors, &hoisted, &accumulators, values, places.clone(), Take::One);
            if let Some((places, step)) = position {
                b.binary_into(BinaryOp::IntAdd, places, places, step);
            }
            for (cursor, step) in &moving {
                b.bump(*cursor, *step);
            }
        });
        let tail = |b: &mut Builder, left: IReg| {
            let mask = b.first(left);
            let count = b.splat_int(left);
            let lanes = b.iota();
            let active = b.binary(BinaryOp::IntGt, count, lanes);
            self.step(
                b,
                &splats,
                &cursors,
                &hoisted,
                &accumulators,
                values,
                places,
                Take::Tail(mask, active),
            );
        };
        if !self.program.whole {
            let covered = b.int_mul(whole, Size::lanes(1));
            let left = b.int_op(IntOp::Sub, self.n, covered);
            b.when(IntCompare::Gt, left, 0, |b| tail(b, left));
        }
        for (number, accumulator) in self.segment.iter().zip(&accumulators) {
            let (Some(accumulator), Work::Reduce(reduction)) = (accumulator.first(), stages[*number].work)
            else {
                continue;
            };
            let value = reduction.finish(b, *accumulator);
            if let Some(pointer) = stages[*number].pointer {
                self.element(pointer).store_lane(b, value, self.pointers[pointer]);
            }
            values[*number] = Some(value);
        }
    }

    /// Leaves in the first accumulator of each stage what all of them hold.
    fn join(&self, b: &mut Builder, accumulators: &[Vectors]) {
        for (number, accumulators) in self.segment.iter().zip(accumulators) {
            let Work::Reduce(reduction) = self.program.stages[*number].work else { continue };
            let mut apart = accumulators.len();
            while apart > 1 {
                apart = apart.div_ceil(2);
                for (into, from) in accumulators.iter().zip(&accumulators[apart..]).take(apart) {
                    let all = reduction.join(b, *into, *from);
                    b.assign(*into, all);
                }
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the registers of a pass, by kind")]
    fn step(
        &self,
        b: &mut Builder,
        splats: &[Option<VReg>],
        cursors: &[Option<IReg>],
        hoisted: &[Hoisted],
        accumulators: &[Vectors],
        values: &[Option<VReg>],
        places: Option<Vectors>,
        take: Take,
    ) {
        let count = if matches!(take, Take::Many) { self.many } else { 1 };
        let mask = if let Take::Tail(mask, _) = take { Some(mask) } else { None };
        let mut loaded: Vec<Option<Vectors>> = vec![None; cursors.len()];
        let mut made: Vec<(usize, Vectors)> = Vec::new();
        for ((&number, accumulator), hoisted) in self.segment.iter().zip(accumulators).zip(hoisted) {
            let stage = &self.program.stages[number];
            let mut leaves = Vec::new();
            for leaf in &stage.leaves {
                let mut load = |b: &mut Builder, p: Pointer| {
                    let cursor = cursors[p].expect("a cursor for each row");
                    let element = self.element(p);
                    loaded[p]
                        .get_or_insert_with(|| match take {
                            Take::Many => element.load_many(b, cursor, count),
                            Take::One | Take::Tail(..) => vec![element.load(b, cursor, mask)],
                        })
                        .clone()
                };
                // What is the same for the whole row is so for each vector of it.
                leaves.push(match leaf {
                    Leaf::Value(of) => vec![values[*of].expect("passes before this one are built"); count],
                    Leaf::Size(i) => vec![self.sizes[*i]; count],
                    Leaf::Position => places.clone().expect("places are counted where they are read"),
                    Leaf::Memory(p) => match splats[*p] {
                        Some(value) => vec![value; count],
                        None => load(b, *p),
                    },
                    Leaf::Row(of, p) => match made.iter().find(|it| it.0 == *of) {
                        Some((_, value)) => value.clone(),
                        None => load(b, *p),
                    },
                });
            }
            let value: Vectors = (0..count)
                .map(|i| {
                    let leaves = leaves.iter().map(|it| it[i]).chain(hoisted.values.iter().copied());
                    hoisted.expr.emit(b, &leaves.collect::<Vec<_>>(), &[hoisted.root])[0]
                })
                .collect();
            made.push((number, value.clone()));
            match (stage.work, accumulator.first()) {
                (Work::Map, _) => {
                    if let (Some(p), true) = (stage.pointer, self.program.stored[number]) {
                        let cursor = cursors[p].expect("a cursor for each row");
                        match take {
                            Take::Many => self.element(p).store_many(b, &value, cursor),
                            _ => self.element(p).store(b, value[0], cursor, mask),
                        }
                        // A later load of the same place in this pass would be of the old value.
                        loaded[p] = None;
                    }
                }
                (Work::Reduce(reduction), Some(_)) => {
                    for (value, accumulator) in value.into_iter().zip(accumulator.iter().cycle()) {
                        let value = match take {
                            Take::Many | Take::One => value,
                            Take::Tail(_, active) => {
                                let nothing = b.constant_lane(reduction.nothing(self.program.width));
                                b.blend(active, value, nothing)
                            }
                        };
                        let sum = reduction.accumulate(b, *accumulator, value);
                        b.assign(*accumulator, sum);
                    }
                }
                (Work::Scalar, _) | (_, None) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::laws::unproven;

    #[test]
    fn laws_r1_r2_are_asked() {
        let mut shapes = ShapeCx::new();
        let [n, rows] = ["n", "rows"].map(|it| shapes.sym(it));
        let [zero, one, two] = [0, 1, 2].map(|it| shapes.int(it));
        let windows = shapes.add_int(n, -1).unwrap();
        let program = RowProgram::of(
            Width::W32,
            [true, false].map(|contiguous| Target { contiguous, element: Element::LANE }).to_vec(),
        );
        for (n, rows, along, wanted) in [
            (n, rows, [one, zero], None),
            (windows, rows, [one, zero], Some("R1")),
            (n, windows, [one, zero], Some("R1")),
            (n, rows, [two, zero], Some("R2")),
            (n, rows, [zero, zero], Some("R2")),
            (n, rows, [one, one], Some("R2")),
            (n, rows, [n, zero], Some("R2")),
        ] {
            let laws = program.laws(&mut shapes, &RowCall { n, rows, along: along.to_vec() });
            assert_eq!(unproven(&shapes, &laws), wanted);
        }
        // At the bound, and below it.
        for (n, wanted) in [(0, None), (1, None), (-1, Some("R1"))] {
            let call = RowCall { n: shapes.int(n), rows, along: vec![one, zero] };
            let laws = program.laws(&mut shapes, &call);
            assert_eq!(unproven(&shapes, &laws), wanted, "{n}");
        }
    }
}
