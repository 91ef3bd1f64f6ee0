//! Where a part of a program comes from.

use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;

/// The source constructs that a part of a program comes from, for example ``node `conv1` (Conv)``: one for what a
/// frontend made, several for what was merged, none for what nothing in the source says.
///
/// # Laws
/// * **O1** No name is empty or there twice; they are in the order of the program.
/// * **O2** There are at most [`MAX_NAMES`](Self::MAX_NAMES), each of at most [`MAX_LENGTH`](Self::MAX_LENGTH)
///   characters; that some are left out is known. Those that may abort are the last to be left out.
/// * **O3** Some are marked only where others of the same source cannot be what aborted.
///
/// ```
/// use orogen_ir::types::Source;
///
/// let (gather, relu) = (Source::from("node `g` (Gather)"), Source::from("node `r` (Relu)"));
/// let merged = Source::merged((&gather, true), (&relu, false));
/// assert_eq!(merged.to_string(), "node `g` (Gather), node `r` (Relu)");
/// assert_eq!(merged.blame(), "node `g` (Gather)");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Source {
    names: SmallVec<[Name; 1]>,
    cut: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Name {
    text: Arc<str>,
    aborts: bool,
}

impl Source {
    /// Most names.
    pub const MAX_NAMES: usize = 8;
    /// Most characters of a name; a longer one ends with `…`.
    pub const MAX_LENGTH: usize = 200;
    /// Most names in the message of an error.
    const MAX_BLAMED: usize = 3;

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(|it| &*it.text)
    }

    /// Whether there are more than the names.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Each name with whether it is marked as what may abort.
    pub(crate) fn marked_names(&self) -> impl Iterator<Item = (&str, bool)> {
        self.names.iter().map(|it| (&*it.text, it.aborts))
    }

    /// Adds a name behind the others, for a parser.
    pub(crate) fn push(&mut self, name: &str, aborts: bool) {
        let text: Arc<str> = match name.char_indices().nth(Self::MAX_LENGTH) {
            None => name.into(),
            Some(_) => name.chars().take(Self::MAX_LENGTH - 1).chain(['…']).collect::<String>().into(),
        };
        self.insert(Name { text, aborts });
    }

    /// Notes that there are more, for a parser.
    pub(crate) fn cut(&mut self) {
        self.cut = true;
    }

    fn insert(&mut self, name: Name) {
        if name.text.is_empty() {
            return;
        }
        if let Some(known) = self.names.iter_mut().find(|it| it.text == name.text) {
            known.aborts |= name.aborts;
            return;
        }
        self.names.push(name);
        if self.names.len() > Self::MAX_NAMES {
            let dispensable = self.names.iter().rposition(|it| !it.aborts);
            self.names.remove(dispensable.unwrap_or(Self::MAX_NAMES));
            self.cut = true;
        }
    }

    /// Adds what another one names.
    pub fn add(&mut self, other: &Source) {
        other.names.iter().for_each(|it| self.insert(it.clone()));
        self.cut |= other.cut;
    }

    /// The source of what two parts were merged into, and of each whether it may abort.
    #[must_use]
    pub fn merged(first: (&Source, bool), second: (&Source, bool)) -> Source {
        let mut both = Source::default();
        for (source, aborts) in [first, second] {
            let mut source = source.clone();
            if aborts && source.names.iter().all(|it| !it.aborts) {
                source.names.iter_mut().for_each(|it| it.aborts = true);
            }
            both.add(&source);
        }
        both
    }

    /// What the message of an error names: those that may abort where they are known, all others otherwise; the first of
    /// them when they are many.
    pub fn blame(&self) -> String {
        let known = self.names.iter().any(|it| it.aborts);
        let blamed = self.names.iter().filter(|it| it.aborts || !known);
        let (first, more) = (blamed.clone().take(Self::MAX_BLAMED), blamed.count() > Self::MAX_BLAMED);
        joined(first.map(|it| &*it.text), more)
    }
}

fn joined<'a>(names: impl Iterator<Item = &'a str>, more: bool) -> String {
    names.chain(more.then_some("…")).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&joined(self.names(), self.cut))
    }
}

/// One name, or none for an empty text.
impl From<&str> for Source {
    fn from(name: &str) -> Self {
        let mut source = Source::default();
        source.push(name, false);
        source
    }
}

/// As it is displayed.
impl From<Source> for String {
    fn from(source: Source) -> Self {
        source.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::Source;

    fn of(names: &[&str]) -> Source {
        names.iter().fold(Source::default(), |mut all, it| {
            all.add(&Source::from(*it));
            all
        })
    }

    #[test]
    fn names_are_there_once_and_in_order() {
        let mut source = of(&["b", "", "a", "b"]);
        source.add(&of(&["c", "a"]));
        assert_eq!(source.names().collect::<Vec<_>>(), ["b", "a", "c"], "O1");
    }

    #[test]
    fn many_and_long_names_are_cut() {
        let names: Vec<String> = (0..20).map(|it| it.to_string()).collect();
        let source = of(&names.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(source.to_string(), "0, 1, 2, 3, 4, 5, 6, 7, …", "O2");
        assert_eq!(source.blame(), "0, 1, 2, …");
        let long = Source::from(&*"ü".repeat(1000));
        let name = long.names().next().unwrap().to_owned();
        assert_eq!(name.chars().count(), Source::MAX_LENGTH, "O2");
        assert_eq!(Source::from(&*name), long, "a name that was cut stays as it is");
    }

    #[test]
    fn what_may_abort_is_blamed_and_kept() {
        let many = of(&["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
        let merged = Source::merged((&many, false), (&Source::from("gather"), true));
        assert_eq!(merged.to_string(), "0, 1, 2, 3, 4, 5, 6, gather, …", "O2");
        assert_eq!(merged.blame(), "gather", "O3");
        let more = Source::merged((&merged, true), (&Source::from("relu"), false));
        assert_eq!(more.blame(), "gather", "marks stay");
        let none = Source::merged((&of(&["a"]), false), (&of(&["b"]), false));
        assert_eq!(none.blame(), "a, b");
    }
}
