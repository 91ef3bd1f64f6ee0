//! Choices that are legal either way.
//!
//! A compiler makes many: in which order independent operations stand, what is merged, where buffers lie, how a kernel is
//! computed. What is compiled must be right whichever are made, and a fault that only some choices show hides for long.
//! Chaos mode takes other choices than the usual ones, at random from a seed, as long as there is fuel. When a seed shows a
//! fault, the least fuel that still does names the choice: [`first_failure`].
//!
//! # Laws
//! * **H1** Without a seed every choice is the usual one, and nothing is computed for it.
//! * **H2** With fuel for `n` other choices they are the first `n` of those with more fuel.
//!
//! ```
//! use orogen_ir::choices::{Choices, first_failure};
//!
//! let order = |mut choices: Choices| {
//!     let mut items = [0, 1, 2, 3];
//!     choices.shuffle(&mut items, |it| format!("item {it} comes early"));
//!     (items, choices)
//! };
//! assert_eq!(order(Choices::usual()).0, [0, 1, 2, 3]);
//! let wrong = |choices: Choices| {
//!     let (items, choices) = order(choices);
//!     Ok::<_, std::convert::Infallible>((items[0] != 0, choices))
//! };
//! let seed = (0..).find(|seed| wrong(Choices::random(*seed, u64::MAX)).is_ok_and(|it| it.0)).unwrap_or(0);
//! let found = first_failure(seed, wrong)?.expect("it fails");
//! assert!(found.choice.contains("comes early"));
//! # Ok::<(), std::convert::Infallible>(())
//! ```

/// What is chosen, and what was.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    state: u64,
    fuel: u64,
    taken: Vec<String>,
}

impl Choices {
    /// The usual choices.
    pub fn usual() -> Self {
        Self::default()
    }

    /// Others, from a seed, as many as there is fuel for; the usual ones from then on.
    pub fn random(seed: u64, fuel: u64) -> Self {
        Choices { state: seed, fuel, taken: Vec::new() }
    }

    /// Whether only the usual choices are left.
    pub fn is_usual(&self) -> bool {
        self.fuel == 0
    }

    /// One of `n` ways, of which 0 is the usual one. `what` says of another one what it is.
    pub fn pick(&mut self, n: usize, what: impl FnOnce(usize) -> String) -> usize {
        if self.fuel == 0 || n < 2 {
            return 0;
        }
        let way = (self.next() % n as u64) as usize;
        if way > 0 {
            self.fuel -= 1;
            self.taken.push(what(way));
        }
        way
    }

    /// Whether to do other than usual, which is as likely as not.
    pub fn differs(&mut self, what: impl FnOnce() -> String) -> bool {
        self.pick(2, |_| what()) > 0
    }

    /// Brings items into another order; `what` says of one that it comes earlier than usual.
    pub fn shuffle<T>(&mut self, items: &mut [T], what: impl Fn(&T) -> String) {
        for i in 0..items.len() {
            let from = i + self.pick(items.len() - i, |way| what(&items[i + way]));
            items[i..=from].rotate_right(1);
        }
    }

    /// The choices that were not the usual ones, in the order in which they were made.
    pub fn taken(&self) -> &[String] {
        &self.taken
    }

    /// SplitMix64 (Steele, Lea and Flood, *Fast Splittable Pseudorandom Number Generators*, 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The choice that a fault needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Culprit {
    /// The least fuel with which the fault shows.
    pub fuel: u64,
    /// The last choice that it pays for; empty where the fault shows with the usual choices.
    pub choice: String,
}

/// Finds the choice of a seed that shows a fault, by halves: with the choices before it the fault does not show, with it
/// it does. `fails` says whether it shows with these choices, and returns them as they are afterwards. `None` when it
/// does not show with all of them.
///
/// # Errors
/// What `fails` says.
pub fn first_failure<E>(
    seed: u64,
    mut fails: impl FnMut(Choices) -> Result<(bool, Choices), E>,
) -> Result<Option<Culprit>, E> {
    let (shows, all) = fails(Choices::random(seed, u64::MAX))?;
    if !shows {
        return Ok(None);
    }
    let (mut low, mut high) = (0, all.taken.len() as u64);
    let mut choice = all.taken.last().cloned().unwrap_or_default();
    while low < high {
        let fuel = low + (high - low) / 2;
        match fails(Choices::random(seed, fuel))? {
            (true, it) => (high, choice) = (fuel, it.taken.last().cloned().unwrap_or_default()),
            (false, _) => low = fuel + 1,
        }
    }
    Ok(Some(Culprit { fuel: high, choice }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thirty choices among three ways.
    fn thirty(choices: &mut Choices) -> Vec<usize> {
        (0..30).map(|i| choices.pick(3, |way| format!("choice {i} is {way}"))).collect()
    }

    #[test]
    fn h1_the_usual_choices_say_nothing() {
        let mut choices = Choices::usual();
        assert_eq!(thirty(&mut choices), [0; 30]);
        assert!(choices.taken().is_empty() && choices.is_usual());
    }

    #[test]
    fn h2_less_fuel_makes_fewer_of_the_same_choices() {
        let mut whole = Choices::random(7, u64::MAX);
        let all = thirty(&mut whole);
        assert!(whole.taken().len() > 10);
        for fuel in 0..=whole.taken().len() as u64 {
            let mut part = Choices::random(7, fuel);
            let some = thirty(&mut part);
            assert_eq!(part.taken(), &whole.taken()[..fuel as usize]);
            let same = some.iter().zip(&all).take_while(|(a, b)| a == b).count();
            assert!(some[same..].iter().all(|it| *it == 0));
        }
    }

    #[test]
    fn a_fault_that_two_choices_need_is_named_by_the_second() {
        let fails = |mut choices: Choices| {
            let ways = thirty(&mut choices);
            Ok::<_, ()>((ways[4] > 0 && ways[21] == 2, choices))
        };
        let seeds: Vec<u64> =
            (0..100).filter(|it| fails(Choices::random(*it, u64::MAX)).is_ok_and(|it| it.0)).collect();
        assert!(seeds.len() > 5);
        for seed in seeds {
            let found = first_failure(seed, fails).expect("no errors").expect("it fails");
            assert_eq!(found.choice, "choice 21 is 2");
        }
        assert_eq!(first_failure(0, |it| Ok::<_, ()>((false, it))), Ok(None));
        let always = first_failure(0, |it| Ok::<_, ()>((true, it))).expect("no errors");
        assert_eq!(always, Some(Culprit { fuel: 0, choice: String::new() }));
    }
}
