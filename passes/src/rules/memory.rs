//! Packing buffers into an arena.
//!
//! Sizes that are all constant are packed by offset: largest first, each at the lowest offset that is free during
//! its life (greedy by size, as in Pisarchyk and Lee, *Efficient Memory Management for Deep Neural Net
//! Inference*, 2020). Symbolic sizes are packed into tokens: a buffer takes over a free token whose size is
//! provably enough, or provably smaller (which then grows), or opens a new one. Either way the total is a formula
//! known at compile time.

use orogen_ir::plan::ALIGNMENT;
use orogen_ir::shape::{Dim, Overflow, ShapeCx, Truth};

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
}

/// Packs `requests` so that requests alive at the same step do not overlap.
///
/// # Errors
/// When a size overflows 64-bit arithmetic.
pub fn pack(shapes: &mut ShapeCx, requests: &[Request]) -> Result<Packing, Overflow> {
    let rounded: Vec<Dim> =
        requests.iter().map(|it| shapes.round_up(it.bytes, ALIGNMENT as i64)).collect::<Result<_, _>>()?;
    match rounded.iter().map(|it| shapes.as_int(*it)).collect::<Option<Vec<_>>>() {
        Some(sizes) => pack_constant(shapes, requests, &sizes),
        None => pack_symbolic(shapes, requests, &rounded),
    }
}

fn pack_constant(shapes: &mut ShapeCx, requests: &[Request], sizes: &[i64]) -> Result<Packing, Overflow> {
    let mut by_size: Vec<usize> = (0..requests.len()).collect();
    by_size.sort_by_key(|i| (std::cmp::Reverse(sizes[*i]), *i));
    let mut offsets = vec![0i64; requests.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut total = 0i64;
    for i in by_size {
        let mut busy: Vec<(i64, i64)> = placed
            .iter()
            .filter(|j| requests[**j].overlaps(&requests[i]))
            .map(|j| (offsets[*j], offsets[*j] + sizes[*j]))
            .collect();
        busy.sort_unstable();
        let mut offset = 0i64;
        for (start, end) in busy {
            if offset + sizes[i] <= start {
                break;
            }
            offset = offset.max(end);
        }
        offsets[i] = offset;
        total = total.max(offset.checked_add(sizes[i]).ok_or(Overflow)?);
        placed.push(i);
    }
    Ok(Packing { offsets: offsets.into_iter().map(|it| shapes.int(it)).collect(), total: shapes.int(total) })
}

struct Token {
    size: Dim,
    last: u32,
}

fn pack_symbolic(shapes: &mut ShapeCx, requests: &[Request], sizes: &[Dim]) -> Result<Packing, Overflow> {
    let mut by_start: Vec<usize> = (0..requests.len()).collect();
    by_start.sort_by_key(|i| (requests[*i].first, *i));
    let mut tokens: Vec<Token> = Vec::new();
    let mut token_of = vec![0usize; requests.len()];
    for i in by_start {
        let (size, request) = (sizes[i], requests[i]);
        let free = |token: &Token| token.last < request.first;
        let same = tokens.iter().position(|it| free(it) && it.size == size);
        let fits =
            || tokens.iter().position(|it| free(it) && shapes.prove_le(size, it.size) == Truth::Always);
        let grows =
            || tokens.iter().position(|it| free(it) && shapes.prove_le(it.size, size) == Truth::Always);
        let (token, new_size) = match same.or_else(fits) {
            Some(token) => (token, tokens[token].size),
            None => match grows() {
                Some(token) => (token, size),
                None => {
                    tokens.push(Token { size, last: 0 });
                    (tokens.len() - 1, size)
                }
            },
        };
        tokens[token] = Token { size: new_size, last: request.last };
        token_of[i] = token;
    }
    let mut starts = Vec::with_capacity(tokens.len());
    let mut total = shapes.int(0);
    for token in &tokens {
        starts.push(total);
        total = shapes.add(total, token.size)?;
    }
    Ok(Packing { offsets: token_of.into_iter().map(|it| starts[it]).collect(), total })
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
        let packing = pack(&mut shapes, &requests).expect("small sizes");
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
        let packing = pack(&mut shapes, &requests).expect("small sizes");
        assert_eq!(packing.offsets[0], packing.offsets[1]);
        assert_eq!(packing.offsets[1], packing.offsets[2]);
        assert_ne!(packing.offsets[3], packing.offsets[2]);
        let want = shapes.add(large, other).expect("small");
        assert_eq!(packing.total, want);
    }
}
