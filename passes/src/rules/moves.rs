//! Several copies that happen at once, one after the other: with as few copies and temporaries as there can be.

/// Where bytes are read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<B> {
    /// A buffer.
    Buffer(B),
    /// Memory as large as target `i`, which nothing else uses.
    Temporary(usize),
}

/// One copy of as many bytes as target `size` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move<B> {
    /// Source.
    pub from: Place<B>,
    /// Destination.
    pub to: Place<B>,
    /// Which target says how much.
    pub size: usize,
}

/// The copies after which each of `targets` has what `sources` had before, in order. A copy waits until nothing else is
/// read from where it goes; where all wait for each other, what one of them overwrites goes to a temporary.
pub fn in_turn<B: Copy + PartialEq>(sources: &[B], targets: &[B]) -> Vec<Move<B>> {
    let pairs = sources.iter().zip(targets).enumerate();
    let mut pending: Vec<(Place<B>, usize)> =
        pairs.filter(|(_, (from, to))| from != to).map(|(i, (from, _))| (Place::Buffer(*from), i)).collect();
    let mut moves = Vec::new();
    while let Some((_, first)) = pending.first().copied() {
        let is_read = |i: usize| pending.iter().any(|(from, _)| *from == Place::Buffer(targets[i]));
        match pending.iter().position(|(_, i)| !is_read(*i)) {
            Some(at) => {
                let (from, i) = pending.remove(at);
                moves.push(Move { from, to: Place::Buffer(targets[i]), size: i });
            }
            None => {
                let from = Place::Buffer(targets[first]);
                moves.push(Move { from, to: Place::Temporary(first), size: first });
                let readers = pending.iter_mut().filter(|it| it.0 == from);
                readers.for_each(|it| it.0 = Place::Temporary(first));
            }
        }
    }
    moves
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the copies on numbered buffers that hold their own numbers.
    fn run(sources: &[usize], targets: &[usize]) -> usize {
        let mut buffers: Vec<usize> = (0..8).collect();
        let mut temporaries = vec![None; targets.len()];
        let moves = in_turn(sources, targets);
        for it in &moves {
            let value = match it.from {
                Place::Buffer(b) => buffers[b],
                Place::Temporary(i) => temporaries[i].expect("written before"),
            };
            match it.to {
                Place::Buffer(b) => buffers[b] = value,
                Place::Temporary(i) => temporaries[i] = Some(value),
            }
        }
        for (from, to) in sources.iter().zip(targets) {
            assert_eq!(buffers[*to], *from, "{sources:?} to {targets:?}");
        }
        moves.len()
    }

    #[test]
    fn every_target_gets_what_its_source_had() {
        assert_eq!(run(&[0, 1], &[0, 1]), 0);
        assert_eq!(run(&[1, 0], &[0, 1]), 3);
        assert_eq!(run(&[1, 2, 3], &[0, 1, 2]), 3);
        assert_eq!(run(&[0, 1, 2], &[1, 2, 3]), 3);
        assert_eq!(run(&[1, 2, 0, 4, 3], &[0, 1, 2, 3, 4]), 7);
        assert_eq!(run(&[1, 1, 0], &[0, 2, 1]), 4);
        // Every choice of sources for four targets.
        for code in 0..6_usize.pow(4) {
            let sources: Vec<usize> = (0..4).map(|i| code / 6_usize.pow(i) % 6).collect();
            run(&sources, &[0, 1, 2, 3]);
        }
    }
}
