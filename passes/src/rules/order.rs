//! Other orders of operations.

use orogen_ir::choices::Choices;

/// Where a pass that changes the order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shuffle {
    /// Among operators.
    Operators,
    /// Among calls of kernels.
    Kernels,
}

impl Shuffle {
    /// Name of the pass.
    pub(crate) const fn pass_name(self) -> &'static str {
        match self {
            Shuffle::Operators => "shuffle-operators",
            Shuffle::Kernels => "shuffle-kernels",
        }
    }
}

/// Another order of `needs.len()` operations, of which each stands after those that it needs. Of those that may come next
/// the first is the usual one.
pub(crate) fn reordered(
    needs: &[Vec<usize>],
    choices: &mut Choices,
    name: impl Fn(usize) -> String,
) -> Vec<usize> {
    let mut missing: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); needs.len()];
    for (i, needed) in needs.iter().enumerate() {
        needed.iter().for_each(|it| users[*it].push(i));
    }
    let mut ready: Vec<usize> = (0..needs.len()).filter(|it| missing[*it] == 0).collect();
    let mut order = Vec::with_capacity(needs.len());
    while !ready.is_empty() {
        let way = choices.pick(ready.len(), |way| format!("{} comes early", name(ready[way])));
        let next = ready.remove(way);
        order.push(next);
        for user in &users[next] {
            missing[*user] -= 1;
            if missing[*user] == 0 {
                ready.insert(ready.partition_point(|it| it < user), *user);
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_after_what_it_needs() {
        let needs = [vec![], vec![], vec![0, 1], vec![1, 1], vec![2], vec![]];
        assert_eq!(reordered(&needs, &mut Choices::usual(), |_| String::new()), [0, 1, 2, 3, 4, 5]);
        for seed in 0..50 {
            let order = reordered(&needs, &mut Choices::random(seed, u64::MAX), |_| String::new());
            assert_eq!(order.len(), needs.len());
            let place = |it: usize| order.iter().position(|other| *other == it);
            for (i, needed) in needs.iter().enumerate() {
                assert!(needed.iter().all(|it| place(*it) < place(i)), "{order:?}");
            }
        }
    }
}
