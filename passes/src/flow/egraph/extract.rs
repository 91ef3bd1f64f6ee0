//! Choosing one node for each class, so that the whole costs least, what is shared counted once.
//!
//! # Laws
//! * **X1** What is chosen has no cycle, and each value is there before the first binding that reads it outside of the
//!   e-graph.
//! * **X2** It costs at most what the program did that came in.
//! * **X3** The same e-graph gives the same choice.
//!
//! Finding the best choice is NP-hard (it is a set cover). Two choices are starts: the program that came in, and a greedy
//! one that goes up from the leaves and knows for each class the set of what it needs, so that what two operands share is
//! counted once. From each of them one class after the other tries its other nodes and keeps what makes the whole
//! cheaper, and so does each set of classes that a rule of several roots found, until none finds any or the budget is
//! spent. The cheaper result is taken.

use super::cost::Work;

/// A class by its place.
pub(super) type At = usize;

/// A way to compute a class.
#[derive(Clone, Debug)]
pub(super) struct Way {
    /// Classes that are needed.
    pub(super) args: Vec<At>,
    pub(super) work: Work,
    /// Where it stands: behind which binding a leaf is there, or which binding of the program it is. A node that the
    /// program does not have stands behind the last of its operands.
    pub(super) place: Option<usize>,
    /// Behind which binding a node that the program does not have may stand at the earliest, besides its operands.
    pub(super) least: usize,
}

/// A problem: ways for each class, and what is wanted.
pub(super) struct Problem {
    pub(super) ways: Vec<Vec<Way>>,
    /// Classes that are needed, each before this binding.
    pub(super) roots: Vec<(At, usize)>,
    /// The way of the program that came in, for classes that it has.
    pub(super) original: Vec<Option<usize>>,
    /// Classes with ways that are worth choosing together: one alone needs what all of them share.
    pub(super) together: Vec<Vec<(At, usize)>>,
}

/// What a choice needs.
#[derive(Clone, Debug, Default)]
pub(super) struct Chosen {
    pub(super) work: Work,
    cost: u64,
    /// Classes that are needed, operands first, each with its way and the place where it is.
    pub(super) order: Vec<(At, usize, usize)>,
}

/// What was chosen, and what came in.
pub(super) struct Extraction {
    pub(super) before: Chosen,
    pub(super) after: Chosen,
}

/// Chooses; compares at most so many programs. `None` when the program that came in is none (which law X1 excludes).
pub(super) fn extract(problem: &Problem, mut programs: usize) -> Option<Extraction> {
    let greedy = greedy(problem);
    let start = |at: At| problem.original[at].or(greedy[at]);
    let original: Vec<Option<usize>> = (0..problem.ways.len()).map(start).collect();
    let before = evaluate(problem, &original)?;
    let mut after = before.clone();
    for start in [greedy, original] {
        let Some(found) = improve(problem, start, &mut programs) else { continue };
        if found.cost < after.cost {
            after = found;
        }
    }
    Some(Extraction { before, after })
}

/// Tries the other nodes of one class after the other.
fn improve(problem: &Problem, mut choice: Vec<Option<usize>>, programs: &mut usize) -> Option<Chosen> {
    let mut best = evaluate(problem, &choice)?;
    loop {
        let mut better = false;
        // Users before operands: what they choose decides what is needed.
        for (at, ..) in best.order.clone().into_iter().rev() {
            let kept = choice[at];
            for way in 0..problem.ways[at].len() {
                if choice[at] == Some(way) || kept == Some(way) {
                    continue;
                }
                if *programs == 0 {
                    return Some(best);
                }
                *programs -= 1;
                let earlier = choice[at].replace(way);
                match evaluate(problem, &choice).filter(|it| it.cost < best.cost) {
                    Some(found) => {
                        best = found;
                        better = true;
                    }
                    None => choice[at] = earlier,
                }
            }
        }
        for group in &problem.together {
            if *programs == 0 {
                return Some(best);
            }
            *programs -= 1;
            let earlier: Vec<Option<usize>> =
                group.iter().map(|(at, way)| choice[*at].replace(*way)).collect();
            match evaluate(problem, &choice).filter(|it| it.cost < best.cost) {
                Some(found) => {
                    best = found;
                    better = true;
                }
                None => group.iter().zip(earlier).rev().for_each(|((at, _), it)| choice[*at] = it),
            }
        }
        if !better {
            return Some(best);
        }
    }
}

/// What a choice needs and costs; `None` when it breaks law X1.
fn evaluate(problem: &Problem, choice: &[Option<usize>]) -> Option<Chosen> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done(usize),
    }
    let mut marks = vec![Mark::New; problem.ways.len()];
    let mut chosen = Chosen::default();
    // Classes with how many of their operands are done.
    let mut stack: Vec<(At, usize)> = Vec::new();
    for (root, before) in &problem.roots {
        if marks[*root] == Mark::New {
            marks[*root] = Mark::Open;
            stack.push((*root, 0));
        }
        while let Some((at, done)) = stack.pop() {
            let number = choice[at]?;
            let way = &problem.ways[at][number];
            if let Some(operand) = way.args.get(done) {
                stack.push((at, done + 1));
                match marks[*operand] {
                    Mark::New => {
                        marks[*operand] = Mark::Open;
                        stack.push((*operand, 0));
                    }
                    Mark::Open => return None,
                    Mark::Done(_) => {}
                }
                continue;
            }
            let operands = way.args.iter().map(|it| match marks[*it] {
                Mark::Done(place) => place,
                _ => 0,
            });
            let last = operands.max().unwrap_or(0);
            let place = way.place.filter(|it| way.args.is_empty() || *it > last);
            let place = place.unwrap_or(last.max(way.least));
            marks[at] = Mark::Done(place);
            chosen.work = chosen.work + way.work;
            chosen.order.push((at, number, place));
        }
        if !matches!(marks[*root], Mark::Done(place) if place < *before) {
            return None;
        }
    }
    chosen.cost = chosen.work.cost();
    Some(chosen)
}

/// What a class needs, sorted by class, with the cost of each, and the sum.
#[derive(Clone, Debug)]
struct Needs {
    classes: Vec<(At, u64)>,
    cost: u64,
    way: usize,
}

/// For each class the way that needs least, each class counted once among what it needs.
fn greedy(problem: &Problem) -> Vec<Option<usize>> {
    let mut users: Vec<Vec<At>> = vec![Vec::new(); problem.ways.len()];
    for (at, ways) in problem.ways.iter().enumerate() {
        for operand in ways.iter().flat_map(|it| &it.args) {
            if users[*operand].last() != Some(&at) {
                users[*operand].push(at);
            }
        }
    }
    let mut best: Vec<Option<Needs>> = vec![None; problem.ways.len()];
    let mut waits = vec![true; problem.ways.len()];
    let mut work: std::collections::VecDeque<At> = (0..problem.ways.len()).collect();
    while let Some(at) = work.pop_front() {
        waits[at] = false;
        let mut better = false;
        for (number, way) in problem.ways[at].iter().enumerate() {
            let Some(needs) = needs(&best, at, number, way) else { continue };
            if best[at].as_ref().is_none_or(|it| needs.cost < it.cost) {
                best[at] = Some(needs);
                better = true;
            }
        }
        if better {
            for user in &users[at] {
                if !waits[*user] {
                    waits[*user] = true;
                    work.push_back(*user);
                }
            }
        }
    }
    best.into_iter().map(|it| Some(it?.way)).collect()
}

/// What a way needs; `None` when it needs its own class, or what nothing is known to compute.
fn needs(best: &[Option<Needs>], at: At, number: usize, way: &Way) -> Option<Needs> {
    let own = way.work.cost();
    let mut classes: Vec<(At, u64)> = vec![(at, own)];
    for operand in &way.args {
        let below = best[*operand].as_ref()?;
        if below.classes.binary_search_by_key(&at, |it| it.0).is_ok() {
            return None;
        }
        classes.extend(&below.classes);
    }
    classes.sort_unstable();
    classes.dedup_by_key(|it| it.0);
    let cost = classes.iter().fold(0u64, |sum, it| sum.saturating_add(it.1));
    Some(Needs { classes, cost, way: number })
}
