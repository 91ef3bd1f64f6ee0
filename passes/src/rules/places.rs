//! Which values lie at one place: no two of them are in use at the same time.
//!
//! Values are joined pair by pair, as out-of-SSA translation joins variables (Boissinot et al., *Revisiting Out-of-SSA
//! Translation for Correctness, Code Quality, and Efficiency*, 2009): where what a kernel, a branch or a turn of a loop
//! makes lies where its source was, nothing is copied.
//!
//! Time is counted in ticks. A value is in use in spans of ticks, both ends included; between them it is not needed, as
//! in the other branch of an `If`. A kernel reads its operands and makes its results in one tick: an operand that ends
//! there meets a result that begins there, which only a kernel that may write over it allows.

use std::collections::{BTreeMap, BTreeSet};

/// Values by number, each at a place of its own at first.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The value that stands for the place, or one nearer to it.
    parent: Vec<usize>,
    /// For the value that stands for a place: first tick of each span of its values, with the last tick and the value.
    spans: Vec<BTreeMap<u32, (u32, usize)>>,
    /// Results that may lie over an operand: tick, operand, result.
    meetings: BTreeSet<(u32, usize, usize)>,
}

impl Places {
    /// A value that is in use in these spans, and its number.
    pub fn add(&mut self, mut spans: Vec<(u32, u32)>) -> usize {
        let value = self.parent.len();
        spans.sort_unstable();
        let mut merged: BTreeMap<u32, (u32, usize)> = BTreeMap::new();
        for (first, last) in spans {
            match merged.last_entry() {
                Some(mut before) if first <= before.get().0.saturating_add(1) => {
                    let before = before.get_mut();
                    before.0 = before.0.max(last);
                }
                _ => {
                    merged.insert(first, (last, value));
                }
            }
        }
        self.parent.push(value);
        self.spans.push(merged);
        value
    }

    /// At `tick`, `result` may be made where `operand` lies.
    pub fn may_meet(&mut self, tick: u32, operand: usize, result: usize) {
        self.meetings.insert((tick, operand, result));
    }

    /// The value that stands for the place of a value.
    pub fn of(&self, mut value: usize) -> usize {
        while self.parent[value] != value {
            value = self.parent[value];
        }
        value
    }

    /// Makes the places of two values one, unless a value at one of them is in use together with one at the other.
    pub fn join(&mut self, a: usize, b: usize) -> bool {
        let (a, b) = (self.of(a), self.of(b));
        if a == b {
            return true;
        }
        let (few, many) = if self.spans[a].len() < self.spans[b].len() { (a, b) } else { (b, a) };
        if !self.spans[few].iter().all(|(first, (last, value))| self.fits(many, *first, *last, *value)) {
            return false;
        }
        let moved = std::mem::take(&mut self.spans[few]);
        self.spans[many].extend(moved);
        self.parent[few] = many;
        true
    }

    /// Whether a span is apart from all of a place.
    fn fits(&self, place: usize, first: u32, last: u32, value: usize) -> bool {
        // Spans of one place are in the order of their ends too.
        let near = self.spans[place].range(..=last).rev().take_while(|(_, (end, _))| *end >= first);
        near.into_iter().all(|(start, (end, other))| {
            let (begin, finish) = (first.max(*start), last.min(*end));
            let after = (begin, *other, value);
            let before = (begin, value, *other);
            begin == finish
                && ((*end == begin && first == begin && self.meetings.contains(&after))
                    || (last == begin && *start == begin && self.meetings.contains(&before)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_use_at_once_stay_apart() {
        let mut places = Places::default();
        let [a, b, c] = [(0, 4), (4, 6), (5, 9)].map(|it| places.add(vec![it]));
        assert!(!places.join(a, b), "they meet");
        places.may_meet(4, a, b);
        assert!(places.join(a, b));
        assert!(!places.join(c, a), "b is in use");
        assert_eq!(places.of(a), places.of(b));
        assert_ne!(places.of(a), places.of(c));
    }

    #[test]
    fn a_value_is_not_in_use_between_its_spans() {
        let mut places = Places::default();
        let outer = places.add(vec![(0, 2), (8, 10), (9, 11)]);
        let inner = places.add(vec![(4, 6)]);
        let late = places.add(vec![(5, 8)]);
        assert!(places.join(outer, inner));
        assert!(!places.join(late, outer));
    }

    #[test]
    fn what_is_joined_by_others_still_needs_leave_to_meet() {
        // a → b → c, where the last result has the place already.
        let mut places = Places::default();
        let [a, b, c] = [(0, 4), (4, 8), (8, 9)].map(|it| places.add(vec![it]));
        assert!(places.join(a, c));
        places.may_meet(4, a, b);
        assert!(!places.join(b, a), "c may not lie over b");
        places.may_meet(8, b, c);
        assert!(places.join(b, a));
    }

    /// All spans of all places, beside a table of ticks.
    #[test]
    fn random_joins_agree_with_a_table() {
        let mut random = orogen_ir::generate::Random::new(7);
        for _ in 0..200 {
            let mut places = Places::default();
            let mut ticks: Vec<BTreeSet<u32>> = Vec::new();
            for _ in 0..12 {
                let spans: Vec<(u32, u32)> = (0..1 + random.below(3))
                    .map(|_| {
                        let first = random.below(40) as u32;
                        (first, first + random.below(6) as u32)
                    })
                    .collect();
                ticks.push(spans.iter().flat_map(|(first, last)| *first..=*last).collect());
                places.add(spans);
            }
            for _ in 0..30 {
                let (a, b) = (random.below(12), random.below(12));
                let of = |places: &Places, value: usize| -> BTreeSet<u32> {
                    let same = |it: &usize| places.of(*it) == places.of(value);
                    (0..12).filter(same).flat_map(|it| ticks[it].clone()).collect()
                };
                let same = places.of(a) == places.of(b);
                let apart = of(&places, a).is_disjoint(&of(&places, b));
                assert_eq!(places.join(a, b), same || apart);
            }
        }
    }
}
