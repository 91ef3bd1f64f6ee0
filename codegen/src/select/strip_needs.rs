//! Which sources a program of [`super::strips`] reads.

use super::strip_program::{Chosen, Source, StripProgram, Zone};

impl StripProgram {
    /// The sources that indices depend on which are checked.
    fn needed_by_checks(&self) -> Vec<bool> {
        let mut needed = vec![false; self.sources.len()];
        let mark = |needed: &mut Vec<bool>, indices: &[Chosen], all: bool| {
            for it in indices.iter().filter(|it| all || it.checked) {
                for node in [it.index, it.scale] {
                    self.expr.leaves_of(node).into_iter().for_each(|leaf| needed[leaf] = true);
                }
            }
        };
        if let Some((indices, _)) = &self.placed {
            mark(&mut needed, indices, true);
        }
        // An index may be read at a place that data choose; what it depends on comes before it.
        for i in (0..self.sources.len()).rev() {
            if let Source::Gather { indices, .. } = &self.sources[i] {
                let checked = indices.iter().any(|it| it.checked);
                let own = needed[i] || checked;
                mark(&mut needed, indices, own);
            }
        }
        needed
    }

    /// Which sources are read where ranges are met so: not those that only the other branch of a selection needs.
    pub(super) fn needed(&self, zone: Zone) -> Vec<bool> {
        if self.probes {
            return self.needed_by_checks();
        }
        let holds = match zone {
            Zone::Inside => Some(true),
            Zone::Outside => Some(false),
            Zone::Mixed => None,
        };
        let known = |leaf: usize| holds.filter(|_| self.sources[leaf] == Source::Within);
        let leaves = self.expr.leaves_where(&self.results, &known);
        let row = |it: &Source| {
            matches!(it, Source::Row | Source::Spread { .. } | Source::Group(_) | Source::Guarded(_))
        };
        // Indices are needed in any case.
        let indexed =
            self.placed.is_some() || self.sources.iter().any(|it| matches!(it, Source::Gather { .. }));
        (0..self.sources.len()).map(|it| indexed || !row(&self.sources[it]) || leaves.contains(&it)).collect()
    }
}
