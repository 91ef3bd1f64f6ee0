//! The innermost tile: `rows` by `vectors` accumulators over all of `k`.

use super::factor::{Arithmetic, Blocks, Columns, Packing, Side, Zero, remainder, repeated, scales};
use super::{Source, Tile};
use crate::kernels::element::Element;
use crate::kernels::epilogue::{self, Bound, Step};
use crate::vector::{
    Addr, BinaryOp, Builder, CacheLevel, IReg, IntCompare, IntOp, Isa, MReg, Program, Size, UnaryOp, VReg,
};

/// Steps of `k` in one iteration of the loop.
const UNROLL: i64 = 4;

/// How far ahead packed panels are fetched: the time from the third-level cache, and a few steps more.
const AHEAD: i64 = 2048;

/// Bytes of a cache line.
const LINE: i64 = 64;

/// Accumulators that keep two FMA units busy: latency 4 times 2.
const IN_FLIGHT: u32 = 8;

/// A tile kernel to be generated.
///
/// Its parameters, all 64-bit:
///
/// | name | meaning |
/// |---|---|
/// | `a` | first element of the tile's rows of A |
/// | `b` | first element of the tile's columns of B |
/// | `c` | first element of the tile of C |
/// | `k` | steps of the sum, at least 0; blocks of them where B is scaled in blocks |
/// | `ldc` | row stride of C in bytes |
/// | `columns` | valid columns, 1 to `vectors * VL`; the others are not stored |
/// | `accumulate` | not 0: add to what C holds; 0 where C is narrower than a lane |
/// | `last` | not 0: apply the epilogue |
/// | `ahead` | what later tiles read: [`Micro::AHEAD_PER_STEP`] bytes from here for each step of `k` are fetched, unless B is direct |
/// | `lda` | only if A is direct: its row stride in bytes |
/// | `ldb` | only if B is direct: its row stride in bytes |
/// | `zero` | only if panels of B have zero points: the first of them; or, in products of bytes, that of the operand which is not constant, if there is one |
/// | `scale`, `block_zero` | only if B is scaled in blocks: the first of its scales, and of its zero points if there are any |
/// | … | operands of the epilogue: [`epilogue::params`] |
#[derive(Debug, Clone)]
pub struct Micro {
    /// The instruction set.
    pub isa: Isa,
    /// The full tile.
    pub tile: Tile,
    /// Rows computed: 1 to those of the full tile. Packed panels of A have the columns of the full tile whatever this is.
    pub rows: u32,
    /// How terms are multiplied.
    pub arithmetic: Arithmetic,
    /// Whether sums of integers become floats before they are added to what C holds.
    pub floats: bool,
    /// Where A comes from.
    pub a: Source,
    /// A step of A in memory; whole lanes in a panel.
    pub a_step: Element,
    /// Where B comes from.
    pub b: Source,
    /// A step of B in memory.
    pub b_step: Element,
    /// Zero points that are still to be subtracted from panels of B, elements of the second kind.
    pub b_zero: Option<(Zero, Element)>,
    /// How panels of B are held.
    pub b_packing: Packing,
    /// In products of bytes, what the operand that is not constant was moved by.
    pub offset: Offset,
    /// Elements of C.
    pub c: Element,
    /// What happens to the result.
    pub epilogue: Vec<Step>,
}

/// What unsigned bytes are too large by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offset {
    /// Their zero point, as it lies in memory.
    pub zero: Option<Element>,
    /// A constant: 128 where signed bytes were made unsigned.
    pub constant: i32,
}

impl Micro {
    /// Bytes of what later tiles read that one step of `k` fetches.
    pub const AHEAD_PER_STEP: i64 = LINE / 2;

    /// Bytes of a lane.
    pub(super) fn lane(&self) -> i64 {
        self.arithmetic.lane().bytes()
    }

    /// The number of parameters of the program.
    pub fn params(&self) -> usize {
        9 + usize::from(self.a == Source::Direct)
            + usize::from(self.b == Source::Direct)
            + usize::from(self.b_zero.is_some() || self.offset.zero.is_some())
            + self.b_packing.blocks.map_or(0, Blocks::params)
            + epilogue::params(&self.epilogue)
    }

    /// The program.
    pub fn program(&self) -> Program {
        let name = format!("gemm_{}x{}", self.rows, self.tile.vectors);
        let mut b = Builder::of_width(name, self.arithmetic.width());
        let [pa, pb, pc, k, ldc, columns, accumulate, last, ahead] = b.params();
        let lda = (self.a == Source::Direct).then(|| b.param());
        let ldb = (self.b == Source::Direct).then(|| b.param());
        let zero = self.b_zero.map(|(each, element)| (each, element, b.param()));
        let offset_zero = self.offset.zero.map(|element| (element, b.param()));
        let blocks = self.b_packing.blocks;
        let scales_at: Vec<IReg> = (0..blocks.map_or(0, Blocks::params)).map(|_| b.param()).collect();
        let bound = epilogue::bind(&mut b, &self.epilogue);
        let (rows, vectors) = (self.rows as usize, self.tile.vectors as usize);

        // With few accumulators, steps of k alternate between several sets of them.
        let sets = (IN_FLIGHT / (self.rows * self.tile.vectors)).clamp(1, UNROLL as u32) as usize;
        let sets = if sets == 3 { 2 } else { sets };
        let acc: Vec<Vec<Vec<VReg>>> = (0..sets)
            .map(|_| (0..rows).map(|_| (0..vectors).map(|_| b.splat(0.0)).collect()).collect())
            .collect();

        let zeros = zero.map(|(each, element, p)| {
            column_zeros(&mut b, self.arithmetic, (each, element), p, columns, vectors)
        });

        // The old result is needed only at the end.
        b.when(IntCompare::Ne, accumulate, 0, |b| {
            let row = b.int_move(pc);
            for _ in 0..self.rows {
                for j in 0..vectors {
                    b.prefetch(CacheLevel::First, Addr::new(row).offset(self.c.vectors(j as i64)));
                }
                b.bump(row, ldc);
            }
        });
        let tile =
            Operands { micro: self, a: self.row_pointers(&mut b, pa, lda), lda, b: pb, ldb, zeros, ahead };
        let full = Size::lanes(vectors as i64);
        // The last tile of a row may need only its first vectors: the others are then left out.
        let loop_over_k = |b: &mut Builder, width: usize, masks: Option<&[MReg]>| {
            if self.crosses() {
                return self.crossed(b, [pa, pb, k], width, &acc[0]);
            }
            let several = |b: &mut Builder, count: i64, scales: Option<&[(VReg, Option<VReg>)]>| {
                tile.steps(b, count, width, &acc, masks, scales);
                tile.fetch_ahead(b);
                tile.advance(b, count);
            };
            if let Some(blocks) = blocks {
                let place = blocks.first_place(b);
                b.repeat(k, |b| {
                    let scales = scales(b, blocks, (&scales_at, place), vectors as i64);
                    let by_step = !blocks.single || blocks.zero.is_some();
                    let each = by_step.then_some(&scales[..]);
                    blocks.each(b, UNROLL, |b, count| several(b, count, each));
                    // The scale of a whole sum is a factor of it.
                    for row in acc.iter().flatten().filter(|_| !by_step) {
                        for (acc, (scale, _)) in row.iter().zip(&scales) {
                            b.binary_into(BinaryOp::Mul, *acc, *acc, *scale);
                        }
                    }
                });
                return;
            }
            let whole = b.int_op(IntOp::ShiftRight, k, UNROLL.ilog2() as i64);
            b.repeat(whole, |b| several(b, UNROLL, None));
            let rest = b.int_op(IntOp::And, k, UNROLL - 1);
            if self.b_packing.in_a_byte == 1 {
                b.repeat(rest, |b| {
                    tile.steps(b, 1, width, &acc, masks, None);
                    tile.advance(b, 1);
                });
            } else {
                remainder(b, rest, UNROLL, |b, n| tile.steps(b, n, width, &acc, masks, None));
            }
        };
        let narrow_or_wide = |b: &mut Builder, masks: Option<&[MReg]>| {
            if vectors == 1 {
                return loop_over_k(b, 1, masks);
            }
            let narrow = Size::lanes(vectors as i64 - 1);
            b.when_else(
                IntCompare::Le,
                columns,
                narrow,
                |b| loop_over_k(b, vectors - 1, masks),
                |b| loop_over_k(b, vectors, masks),
            );
        };
        if self.b == Source::Direct {
            b.when_else(
                IntCompare::Eq,
                columns,
                full,
                |b| loop_over_k(b, vectors, None),
                |b| {
                    let masks = column_masks(b, columns, vectors);
                    narrow_or_wide(b, Some(&masks));
                },
            );
        } else {
            narrow_or_wide(&mut b, None);
        }
        if let Some((first, others)) = acc.split_first() {
            for set in others {
                for (&sum, &part) in first.iter().flatten().zip(set.iter().flatten()) {
                    b.binary_into(self.arithmetic.sum(), sum, sum, part);
                }
            }
        }

        self.make_good(&mut b, &tile, &acc[0], last, offset_zero);
        if self.floats {
            for &sum in acc[0].iter().flatten() {
                let float = b.unary(UnaryOp::FromInt, sum);
                b.assign(sum, float);
            }
        }
        let result = Result { micro: self, acc: &acc[0], c: pc, ldc, accumulate, last, bound: &bound };
        let short = epilogue::is_light(&self.epilogue, self.arithmetic.width());
        let light = result.is_rounded() || short;
        let masked = |b: &mut Builder| {
            let masks = column_masks(b, columns, vectors);
            result.finish(b, Some(&masks), light);
        };
        let long = self.arithmetic.terms() > 1 || light && !short;
        if long && self.isa.is_avx512() {
            // Masks cost next to nothing there: what is long beside the sum is written once.
            masked(&mut b);
        } else {
            b.when_else(IntCompare::Eq, columns, full, |b| result.finish(b, None, light), masked);
        }
        if !light {
            b.when(IntCompare::Ne, last, 0, |b| {
                let masks = column_masks(b, columns, vectors);
                b.repeat(self.rows as i64, |b| {
                    for (j, &mask) in masks.iter().enumerate() {
                        let at = Addr::new(pc).offset(self.c.vectors(j as i64));
                        let value = b.load(at, Some(mask));
                        let value = epilogue::apply(b, &self.epilogue, &bound, value, j as i64, Some(mask));
                        b.store(value, at, Some(mask));
                    }
                    b.bump(pc, ldc);
                    epilogue::next_row(b, &bound);
                });
            });
        }
        b.finish()
    }

    /// Takes away what unsigned bytes are too large by, times the sums of the constant operand: they follow its panel.
    fn make_good(
        &self,
        b: &mut Builder,
        tile: &Operands<'_>,
        acc: &[Vec<VReg>],
        last: IReg,
        zero: Option<(Element, IReg)>,
    ) {
        let Arithmetic::Quads(side) = self.arithmetic else { return };
        if self.offset == Offset::default() {
            return;
        }
        b.when(IntCompare::Ne, last, 0, |b| {
            let mut by = b.constant_int(self.offset.constant);
            if let Some((element, p)) = zero {
                let zero = element.load_splat(b, p);
                by = b.binary(BinaryOp::IntAdd, zero, by);
            }
            let take = |b: &mut Builder, sums: VReg, from: &mut dyn Iterator<Item = VReg>| {
                let excess = b.binary(BinaryOp::IntMul, sums, by);
                for acc in from {
                    b.binary_into(BinaryOp::IntSub, acc, acc, excess);
                }
            };
            match side {
                Side::A => {
                    for (r, row) in acc.iter().enumerate() {
                        let sums = b.load_splat(Addr::new(tile.a[0]).offset(4 * r as i64));
                        take(b, sums, &mut row.iter().copied());
                    }
                }
                Side::B => {
                    for j in 0..self.tile.vectors as usize {
                        let sums = b.load(Addr::new(tile.b).offset(Size::vectors(j as i64)), None);
                        take(b, sums, &mut acc.iter().map(|row| row[j]));
                    }
                }
            }
        });
    }

    /// For direct rows: a pointer to every third row, from which two more are reached by an index.
    fn row_pointers(&self, b: &mut Builder, a: IReg, lda: Option<IReg>) -> Vec<IReg> {
        let mut pointers = vec![a];
        if let Some(lda) = lda {
            for _ in 1..self.rows.div_ceil(3) {
                let last = pointers[pointers.len() - 1];
                let two = b.int_op(IntOp::ShiftLeft, lda, 1);
                let three = b.int_add(two, lda);
                pointers.push(b.int_add(last, three));
            }
        }
        pointers
    }
}

/// What is subtracted from each vector of columns: the zero points at `p`, of which so many columns have one.
pub(super) fn column_zeros(
    b: &mut Builder,
    arithmetic: Arithmetic,
    (each, element): (Zero, Element),
    p: IReg,
    columns: IReg,
    vectors: usize,
) -> Vec<VReg> {
    let finish = |b: &mut Builder, value: VReg| {
        let value = arithmetic.converted(b, element, value);
        repeated(b, arithmetic, value)
    };
    match each {
        Zero::One => {
            let value = element.load_splat(b, p);
            vec![finish(b, value); vectors]
        }
        Zero::Each => (0..)
            .zip(column_masks(b, columns, vectors))
            .map(|(j, mask)| {
                let value = element.load(b, Addr::new(p).offset(element.vectors(j)), Some(mask));
                finish(b, value)
            })
            .collect(),
    }
}

/// A mask for each vector of the tile's columns.
fn column_masks(b: &mut Builder, columns: IReg, vectors: usize) -> Vec<MReg> {
    (0..vectors)
        .map(|j| {
            let left = b.int_op(IntOp::Sub, columns, Size::lanes(j as i64));
            b.first(left)
        })
        .collect()
}

/// Where the steps of `k` read.
struct Operands<'m> {
    micro: &'m Micro,
    a: Vec<IReg>,
    lda: Option<IReg>,
    b: IReg,
    ldb: Option<IReg>,
    /// What is subtracted from each vector of columns.
    zeros: Option<Vec<VReg>>,
    ahead: IReg,
}

impl Operands<'_> {
    /// Some steps of `k` after the pointers, on the first `width` vectors of columns, into sets of accumulators in turn.
    fn steps(
        &self,
        b: &mut Builder,
        count: i64,
        width: usize,
        acc: &[Vec<Vec<VReg>>],
        masks: Option<&[MReg]>,
        scales: Option<&[(VReg, Option<VReg>)]>,
    ) {
        let Micro { arithmetic, b_step: unit, b_packing: packing, .. } = *self.micro;
        let columns = Columns { arithmetic, unit, packing, zeros: self.zeros.as_deref(), scales };
        let vectors = i64::from(self.micro.tile.vectors);
        let mut loaded: Vec<VReg> = Vec::new();
        for u in 0..count {
            if u % packing.in_a_byte == 0 {
                let row = match self.ldb {
                    None => Addr::new(self.b).offset(columns.bytes(u / packing.in_a_byte * vectors)),
                    Some(_) => Addr::new(self.b),
                };
                let load =
                    |j: usize| columns.load(b, row.offset(columns.bytes(j as i64)), masks.map(|m| m[j]));
                // To convert two vectors at once costs little more than one.
                let pair = masks.is_none() && width == 2 && unit.is_in_pairs(arithmetic.width());
                loaded = match self.micro.isa {
                    Isa::Clif128 if pair => unit.load_two(b, row).to_vec(),
                    _ => (0..width).map(load).collect(),
                };
            }
            let here: Vec<VReg> = (0..width).map(|j| columns.step(b, loaded[j], u, j)).collect();
            self.step(b, u, &here, &acc[u as usize % acc.len()]);
        }
    }

    /// One step of `k`, `u` steps after the pointers, with its columns.
    fn step(&self, b: &mut Builder, u: i64, columns: &[VReg], acc: &[Vec<VReg>]) {
        self.prefetch(b, u);
        if let Some(ldb) = self.ldb {
            b.bump(self.b, ldb);
        }
        for (r, acc) in acc.iter().enumerate() {
            let at = match self.lda {
                None => Addr::new(self.a[0])
                    .offset(self.micro.lane() * (u * i64::from(self.micro.tile.rows) + r as i64)),
                Some(lda) => {
                    let base = Addr::new(self.a[r / 3]).offset(self.micro.a_step.bytes() * u);
                    match r % 3 {
                        0 => base,
                        1 => base.indexed(lda, 1),
                        _ => base.indexed(lda, 2),
                    }
                }
            };
            let element = self.micro.a_step.load_splat(b, at);
            let element = self.micro.arithmetic.converted(b, self.micro.a_step, element);
            for (&acc, &column) in acc.iter().zip(columns) {
                self.micro.arithmetic.multiply(b, acc, element, column);
            }
        }
    }

    /// Fetches the lines that step `u` reaches, some time before they are used: each panel is read for the first time
    /// from an outer cache, and hardware stops at the end of every page.
    fn prefetch(&self, b: &mut Builder, u: i64) {
        let tile = self.micro.tile;
        let panel = |b: &mut Builder, from: IReg, width: i64| {
            let lines = |step: i64| (width * step + LINE - 1) / LINE;
            for line in lines(u)..lines(u + 1) {
                b.prefetch(CacheLevel::First, Addr::new(from).offset(AHEAD + LINE * line));
            }
        };
        if self.lda.is_none() {
            panel(b, self.a[0], self.micro.lane() * i64::from(tile.rows));
        }
        if self.ldb.is_none() {
            let columns = i64::from(tile.columns_of(self.micro.isa, self.micro.arithmetic.width()));
            panel(b, self.b, self.micro.b_step.bytes() * columns / self.micro.b_packing.in_a_byte);
        }
    }

    /// Fetches what later tiles read, spread over the steps of `k`.
    fn fetch_ahead(&self, b: &mut Builder) {
        if self.ldb.is_some() {
            return;
        }
        let bytes = UNROLL * Micro::AHEAD_PER_STEP;
        for line in 0..bytes / LINE {
            b.prefetch(CacheLevel::Second, Addr::new(self.ahead).offset(LINE * line));
        }
        b.bump(self.ahead, bytes);
    }

    /// Moves the pointers by `steps` of `k`.
    fn advance(&self, b: &mut Builder, steps: i64) {
        let step = match self.lda {
            Some(_) => self.micro.a_step.bytes(),
            None => self.micro.lane() * i64::from(self.micro.tile.rows),
        };
        for &p in &self.a {
            b.bump(p, step * steps);
        }
        if self.ldb.is_none() {
            let rows = self.micro.b_packing.rows_of(steps);
            b.bump(self.b, self.micro.b_step.vectors(rows * i64::from(self.micro.tile.vectors)));
        }
    }
}

/// What happens after the loop over `k`.
struct Result<'m> {
    micro: &'m Micro,
    acc: &'m [Vec<VReg>],
    c: IReg,
    ldc: IReg,
    accumulate: IReg,
    last: IReg,
    bound: &'m [Bound],
}

impl Result<'_> {
    /// Runs `body` on every register of the tile with its address.
    fn each(
        &self,
        b: &mut Builder,
        masks: Option<&[MReg]>,
        operands: bool,
        mut body: impl FnMut(&mut Builder, VReg, Addr, i64, Option<MReg>),
    ) {
        let c = b.int_move(self.c);
        for (r, row) in self.acc.iter().enumerate() {
            for (j, &value) in row.iter().enumerate() {
                let at = Addr::new(c).offset(self.micro.c.vectors(j as i64));
                body(b, value, at, j as i64, masks.map(|m| m[j]));
            }
            if r + 1 < self.acc.len() {
                b.bump(c, self.ldc);
                if operands {
                    epilogue::next_row(b, self.bound);
                }
            }
        }
    }

    /// Whether C does not hold sums exactly: they are whole then, and C is not read back.
    fn is_rounded(&self) -> bool {
        self.micro.c != self.micro.arithmetic.lane()
    }

    fn finish(&self, b: &mut Builder, masks: Option<&[MReg]>, light: bool) {
        if !self.is_rounded() {
            b.when(IntCompare::Ne, self.accumulate, 0, |b| {
                self.each(b, masks, false, |b, value, at, _, mask| {
                    let old = b.load(at, mask);
                    let sum = if self.micro.floats { BinaryOp::Add } else { self.micro.arithmetic.sum() };
                    b.binary_into(sum, value, value, old);
                });
            });
        }
        if light && !self.micro.epilogue.is_empty() {
            b.when(IntCompare::Ne, self.last, 0, |b| {
                self.each(b, masks, true, |b, value, _, j, mask| {
                    let done = epilogue::apply(b, &self.micro.epilogue, self.bound, value, j, mask);
                    b.assign(value, done);
                });
            });
        }
        self.each(b, masks, false, |b, value, at, _, mask| self.micro.c.store(b, value, at, mask));
    }
}
