//! Packing buffers into an arena.
//!
//! Sizes that are all constant are packed by offset: largest first, each at the lowest offset that is free during
//! its life (greedy by size, as in Pisarchyk and Lee, *Efficient Memory Management for Deep Neural Net
//! Inference*, 2020). That compares every buffer with every other one, so beyond `MAX_COMPARED` buffers are placed
//! in the order of their first steps instead, each into the smallest gap that holds it (best fit). Symbolic sizes are
//! packed into tokens: a buffer takes over a free token whose size is provably enough, or provably smaller (which
//! then grows), or opens a new one. Either way the total is a formula known at compile time.

use indexmap::IndexMap;
use orogen_ir::choices::Choices;
use orogen_ir::plan::ALIGNMENT;
use orogen_ir::shape::{Dim, Overflow, ShapeCx};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// The most buffers that are compared with each other. The largest models of today have a few thousand kernels.
const MAX_COMPARED: usize = 4096;
/// The most free tokens that a symbolic size is compared with, where none has the very same size.
const MAX_PROOFS: usize = 32;

/// A buffer that needs memory from step `first` to step `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Size in bytes.
    pub bytes: Dim,
    /// First step that writes it.
    pub first: u32,
    /// Last step that uses it.
    pub last: u32,
}

impl Request {
    fn overlaps(&self, other: &Request) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Where the buffers lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Offset of each request in bytes, a multiple of [`ALIGNMENT`].
    pub offsets: Vec<Dim>,
    /// Bytes in all.
    pub total: Dim,
    /// Sizes of the parts that these are made of, each of which holds whole requests; empty where all is numbers.
    pub parts: Vec<Dim>,
}

/// Packs `requests` so that requests alive at the same step do not overlap.
///
/// # Errors
/// When a size overflows 64-bit arithmetic.
pub fn pack(shapes: &mut ShapeCx, requests: &[Request], choices: &mut Choices) -> Result<Packing, Overflow> {
    let rounded: Vec<Dim> =
        requests.iter().map(|it| shapes.round_up(it.bytes, ALIGNMENT as i64)).collect::<Result<_, _>>()?;
    match rounded.iter().map(|it| shapes.as_int(*it)).collect::<Option<Vec<_>>>() {
        Some(sizes) => pack_constant(shapes, requests, &sizes, choices),
        None => pack_symbolic(shapes, requests, &rounded, choices),
    }
}

fn pack_constant(
    shapes: &mut ShapeCx,
    requests: &[Request],
    sizes: &[i64],
    choices: &mut Choices,
) -> Result<Packing, Overflow> {
    let offsets = match requests.len() {
        0..=MAX_COMPARED => largest_first(requests, sizes, choices)?,
        _ => in_order(requests, sizes)?,
    };
    let ends = offsets.iter().zip(sizes).map(|(offset, size)| offset + size);
    let total = ends.max().unwrap_or(0);
    Ok(Packing {
        offsets: offsets.into_iter().map(|it| shapes.int(it)).collect(),
        total: shapes.int(total),
        parts: Vec::new(),
    })
}

/// Offsets by size, largest first, though any order would do; `n²` in the number of requests.
fn largest_first(requests: &[Request], sizes: &[i64], choices: &mut Choices) -> Result<Vec<i64>, Overflow> {
    let mut by_size: Vec<usize> = (0..requests.len()).collect();
    by_size.sort_by_key(|i| (Reverse(sizes[*i]), *i));
    choices.shuffle(&mut by_size, |i| format!("buffer {i} is placed early"));
    let mut offsets = vec![0i64; requests.len()];
    // In the order of their offsets, so that one walk finds the lowest gap.
    let mut placed: Vec<usize> = Vec::with_capacity(requests.len());
    for i in by_size {
        let mut offset = 0i64;
        for j in placed.iter().filter(|j| requests[**j].overlaps(&requests[i])) {
            if offset.checked_add(sizes[i]).ok_or(Overflow)? <= offsets[*j] {
                break;
            }
            offset = offset.max(offsets[*j] + sizes[*j]);
        }
        offset.checked_add(sizes[i]).ok_or(Overflow)?;
        offsets[i] = offset;
        placed.insert(placed.partition_point(|j| offsets[*j] <= offset), i);
    }
    Ok(offsets)
}

/// Offsets in the order of the first steps, each in the smallest gap of what lies there; `n log n`.
fn in_order(requests: &[Request], sizes: &[i64]) -> Result<Vec<i64>, Overflow> {
    let mut by_start: Vec<usize> = (0..requests.len()).collect();
    by_start.sort_by_key(|i| (requests[*i].first, *i));
    let mut gaps = Gaps::default();
    let mut ends: BinaryHeap<Reverse<(u32, usize)>> = BinaryHeap::new();
    let mut offsets = vec![0i64; requests.len()];
    for i in by_start {
        while let Some(Reverse((_, j))) = pop_before(&mut ends, requests[i].first) {
            gaps.give(offsets[j], sizes[j]);
        }
        offsets[i] = gaps.take(sizes[i])?;
        ends.push(Reverse((requests[i].last, i)));
    }
    Ok(offsets)
}

/// Free memory below `end`, by place and by size.
#[derive(Debug, Default)]
struct Gaps {
    /// Size of each gap by its offset.
    by_offset: BTreeMap<i64, i64>,
    /// `(size, offset)`
    by_size: BTreeSet<(i64, i64)>,
    end: i64,
}

impl Gaps {
    fn take(&mut self, size: i64) -> Result<i64, Overflow> {
        if let Some((gap, offset)) = self.by_size.range((size, 0)..).next().copied() {
            self.remove(offset, gap);
            self.add(offset + size, gap - size);
            return Ok(offset);
        }
        // What is free at the end grows.
        let last = self.by_offset.last_key_value().map(|(offset, size)| (*offset, *size));
        let offset = match last.filter(|(offset, size)| offset + size == self.end) {
            Some((offset, gap)) => {
                self.remove(offset, gap);
                offset
            }
            None => self.end,
        };
        self.end = offset.checked_add(size).ok_or(Overflow)?;
        Ok(offset)
    }

    /// Memory is free again, together with its free neighbours.
    fn give(&mut self, mut offset: i64, mut size: i64) {
        if let Some((before, gap)) = self.by_offset.range(..offset).next_back().map(|(a, b)| (*a, *b))
            && before + gap == offset
        {
            self.remove(before, gap);
            (offset, size) = (before, gap + size);
        }
        if let Some(gap) = self.by_offset.get(&(offset + size)).copied() {
            self.remove(offset + size, gap);
            size += gap;
        }
        self.add(offset, size);
    }

    fn add(&mut self, offset: i64, size: i64) {
        if size > 0 {
            self.by_offset.insert(offset, size);
            self.by_size.insert((size, offset));
        }
    }

    fn remove(&mut self, offset: i64, size: i64) {
        self.by_offset.remove(&offset);
        self.by_size.remove(&(size, offset));
    }
}

/// Memory that buffers take one after the other.
#[derive(Clone, Copy, Debug)]
struct Token {
    /// What the largest of them needs,
    bytes: Dim,
    /// and that rounded up.
    size: Dim,
}

impl Token {
    /// Whether one is proven to be no larger than another. Rounding keeps the order, and sizes that are not rounded are
    /// compared with far less work.
    fn is_le(self, other: Token, shapes: &ShapeCx) -> bool {
        shapes.is_le(self.bytes, other.bytes) || shapes.is_le(self.size, other.size)
    }
}

fn pack_symbolic(
    shapes: &mut ShapeCx,
    requests: &[Request],
    sizes: &[Dim],
    choices: &mut Choices,
) -> Result<Packing, Overflow> {
    let mut by_start: Vec<usize> = (0..requests.len()).collect();
    by_start.sort_by_key(|i| (requests[*i].first, *i));
    let mut tokens: Vec<Token> = Vec::new();
    let mut token_of = vec![0usize; requests.len()];
    let mut busy: BinaryHeap<Reverse<(u32, usize)>> = BinaryHeap::new();
    // Free tokens, and those of one size.
    let mut free: BTreeSet<usize> = BTreeSet::new();
    let mut free_of: IndexMap<Dim, BTreeSet<usize>> = IndexMap::new();
    for i in by_start {
        let request = requests[i];
        let new = Token { bytes: request.bytes, size: sizes[i] };
        while let Some(Reverse((_, token))) = pop_before(&mut busy, request.first) {
            free.insert(token);
            free_of.entry(tokens[token].size).or_default().insert(token);
        }
        let same = free_of.get(&new.size).and_then(|it| it.first().copied());
        let find = |holds: &dyn Fn(Token) -> bool| {
            free.iter().take(MAX_PROOFS).copied().find(|it| holds(tokens[*it]))
        };
        let fits = || find(&|token| new.is_le(token, shapes));
        let grows = || find(&|token| token.is_le(new, shapes));
        let token = match same.or_else(fits) {
            Some(_) if choices.differs(|| format!("buffer {i} gets memory of its own")) => {
                tokens.push(new);
                tokens.len() - 1
            }
            Some(token) => take(&mut free, &mut free_of, token, tokens[token].size),
            None => match grows() {
                Some(token) => {
                    take(&mut free, &mut free_of, token, tokens[token].size);
                    tokens[token] = new;
                    token
                }
                None => {
                    tokens.push(new);
                    tokens.len() - 1
                }
            },
        };
        busy.push(Reverse((request.last, token)));
        token_of[i] = token;
    }
    let parts: Vec<Dim> = tokens.into_iter().map(|it| it.size).collect();
    let mut starts = Vec::with_capacity(parts.len());
    let mut total = shapes.int(0);
    for part in &parts {
        starts.push(total);
        total = shapes.add(total, *part)?;
    }
    Ok(Packing { offsets: token_of.into_iter().map(|it| starts[it]).collect(), total, parts })
}

fn take(
    free: &mut BTreeSet<usize>,
    free_of: &mut IndexMap<Dim, BTreeSet<usize>>,
    token: usize,
    size: Dim,
) -> usize {
    free.remove(&token);
    if let Some(same) = free_of.get_mut(&size) {
        same.remove(&token);
    }
    token
}

/// The first entry, when it ends before `step`.
fn pop_before(busy: &mut BinaryHeap<Reverse<(u32, usize)>>, step: u32) -> Option<Reverse<(u32, usize)>> {
    busy.peek().is_some_and(|it| it.0.0 < step).then(|| busy.pop()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_sizes_share_memory_when_their_lives_are_apart() {
        let mut shapes = ShapeCx::new();
        let (a, b) = (shapes.int(100), shapes.int(64));
        let requests = [
            Request { bytes: a, first: 0, last: 1 },
            Request { bytes: b, first: 1, last: 2 },
            Request { bytes: a, first: 2, last: 3 },
        ];
        let packing = pack(&mut shapes, &requests, &mut Choices::usual()).expect("small sizes");
        assert_eq!(packing.offsets[0], packing.offsets[2]);
        assert_eq!(shapes.as_int(packing.offsets[1]), Some(128));
        assert_eq!(shapes.as_int(packing.total), Some(192));
    }

    #[test]
    fn symbolic_sizes_reuse_what_is_provably_large_enough() {
        let mut shapes = ShapeCx::new();
        let n = shapes.sym("n");
        let small = shapes.scale(n, 64).expect("small");
        let large = shapes.scale(n, 256).expect("small");
        let m = shapes.sym("m");
        let other = shapes.scale(m, 64).expect("small");
        let requests = [
            Request { bytes: small, first: 0, last: 0 },
            Request { bytes: large, first: 1, last: 1 },
            Request { bytes: small, first: 2, last: 2 },
            Request { bytes: other, first: 2, last: 3 },
        ];
        let packing = pack(&mut shapes, &requests, &mut Choices::usual()).expect("small sizes");
        assert_eq!(packing.offsets[0], packing.offsets[1]);
        assert_eq!(packing.offsets[1], packing.offsets[2]);
        assert_ne!(packing.offsets[3], packing.offsets[2]);
        let want = shapes.add(large, other).expect("small");
        assert_eq!(packing.total, want);
    }

    /// A pseudo-random sequence, the same in every run.
    fn numbers() -> impl FnMut(u64) -> u64 {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        move |below| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        }
    }

    #[test]
    fn neither_way_of_packing_overlaps_what_is_alive_together() {
        let mut number = numbers();
        let mut shapes = ShapeCx::new();
        let bytes = shapes.int(0);
        for round in 0..40 {
            let requests: Vec<Request> = (0..10 + round * 5)
                .map(|_| {
                    let first = number(60) as u32;
                    Request { bytes, first, last: first + number(12) as u32 }
                })
                .collect();
            let sizes: Vec<i64> = requests.iter().map(|_| 64 * number(9) as i64).collect();
            let first = |mut choices: Choices| largest_first(&requests, &sizes, &mut choices);
            let chaos = (0..4).map(|seed| first(Choices::random(seed, u64::MAX)));
            for offsets in chaos.chain([first(Choices::usual()), in_order(&requests, &sizes)]) {
                let offsets = offsets.expect("small sizes");
                for i in 0..requests.len() {
                    for j in 0..i {
                        let apart =
                            offsets[i] + sizes[i] <= offsets[j] || offsets[j] + sizes[j] <= offsets[i];
                        let empty = sizes[i] == 0 || sizes[j] == 0;
                        assert!(apart || empty || !requests[i].overlaps(&requests[j]), "{i} and {j}");
                    }
                }
            }
        }
    }

    #[test]
    fn in_order_needs_no_more_than_what_is_alive_at_once_when_sizes_are_equal() {
        let mut shapes = ShapeCx::new();
        let bytes = shapes.int(64);
        let requests: Vec<Request> = (0..100).map(|i| Request { bytes, first: i, last: i + 3 }).collect();
        let offsets = in_order(&requests, &[64; 100]).expect("small sizes");
        assert_eq!(offsets.iter().max(), Some(&192));
    }
}
