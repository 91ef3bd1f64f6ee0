//! Sequences that change anywhere at constant cost: what an editor keeps a program in while it is edited.

use la_arena::{ArenaMap, Idx};

/// Disjoint sequences of ids, by number.
#[derive(Debug)]
pub(crate) struct Sequences<T> {
    ends: Vec<Ends<T>>,
    links: ArenaMap<Idx<T>, Link<T>>,
}

#[derive(Debug)]
struct Ends<T> {
    first: Option<Idx<T>>,
    last: Option<Idx<T>>,
}

#[derive(Debug)]
struct Link<T> {
    sequence: usize,
    before: Option<Idx<T>>,
    after: Option<Idx<T>>,
}

impl<T> Sequences<T> {
    /// `count` empty sequences.
    pub(crate) fn new(count: usize) -> Self {
        let mut sequences = Sequences { ends: Vec::new(), links: ArenaMap::default() };
        sequences.grow(count);
        sequences
    }

    /// Adds empty sequences until there are `count`.
    pub(crate) fn grow(&mut self, count: usize) {
        self.ends.resize_with(count.max(self.ends.len()), || Ends { first: None, last: None });
    }

    /// The id behind one.
    pub(crate) fn after(&self, id: Idx<T>) -> Option<Idx<T>> {
        self.links.get(id)?.after
    }

    /// The sequence that an id is in.
    pub(crate) fn of(&self, id: Idx<T>) -> Option<usize> {
        self.links.get(id).map(|it| it.sequence)
    }

    /// A sequence from its first id on.
    pub(crate) fn iter(&self, sequence: usize) -> impl Iterator<Item = Idx<T>> {
        let first = self.ends.get(sequence).and_then(|it| it.first);
        std::iter::successors(first, |it| self.links.get(*it).and_then(|it| it.after))
    }

    /// Adds an id that is in no sequence: in front of `before` where that is in one, else at the end of `sequence`.
    pub(crate) fn insert(&mut self, id: Idx<T>, before: Option<Idx<T>>, sequence: usize) {
        debug_assert!(self.of(id).is_none(), "an id is in one sequence at most");
        let next = before.and_then(|it| Some((it, self.links.get(it)?)));
        let link = match next {
            Some((next, link)) => Link { sequence: link.sequence, before: link.before, after: Some(next) },
            None => Link { sequence, before: self.ends[sequence].last, after: None },
        };
        self.join(link.sequence, link.before, Some(id));
        self.join(link.sequence, Some(id), link.after);
        self.links.insert(id, link);
    }

    /// Takes an id out of its sequence; whether it was in one.
    pub(crate) fn remove(&mut self, id: Idx<T>) -> bool {
        let Some(link) = self.links.remove(id) else { return false };
        self.join(link.sequence, link.before, link.after);
        true
    }

    /// Makes two ids neighbours; nothing stands for an end.
    fn join(&mut self, sequence: usize, left: Option<Idx<T>>, right: Option<Idx<T>>) {
        match left {
            None => self.ends[sequence].first = right,
            Some(left) => {
                if let Some(link) = self.links.get_mut(left) {
                    link.after = right;
                }
            }
        }
        match right {
            None => self.ends[sequence].last = left,
            Some(right) => {
                if let Some(link) = self.links.get_mut(right) {
                    link.before = left;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use la_arena::Arena;

    #[test]
    fn sequences_are_those_of_vectors() {
        let mut arena = Arena::new();
        let ids: Vec<Idx<usize>> = (0..400).map(|it| arena.alloc(it)).collect();
        let mut vectors = [Vec::new(), Vec::new(), Vec::new()];
        let mut sequences = Sequences::new(vectors.len());
        let mut seed = 1_u64;
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        for id in ids {
            let list = random(vectors.len());
            let before = (random(3) > 0 && !vectors[list].is_empty()).then(|| random(vectors[list].len()));
            sequences.insert(id, before.map(|it| vectors[list][it]), list);
            let at = before.unwrap_or(vectors[list].len());
            vectors[list].insert(at, id);
            let list = random(vectors.len());
            if random(3) == 0 && !vectors[list].is_empty() {
                let at = random(vectors[list].len());
                let gone = vectors[list].remove(at);
                assert!(sequences.remove(gone) && !sequences.remove(gone));
            }
            for (list, vector) in vectors.iter().enumerate() {
                assert_eq!(sequences.iter(list).collect::<Vec<_>>(), *vector);
                assert!(vector.iter().all(|it| sequences.of(*it) == Some(list)));
            }
        }
    }
}
