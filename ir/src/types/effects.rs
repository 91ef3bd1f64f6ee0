//! What an operation may do besides computing its results.

use std::fmt;
use std::ops::BitOr;

/// A set of effects.
///
/// A dataflow block admits only sets for which [`Effects::allowed_in_dataflow`] holds. `ABORT` is allowed
/// there: a check may move or vanish where a diverging program stops diverging, never the reverse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Effects(u8);

impl Effects {
    /// No effect.
    pub const PURE: Effects = Effects(0);
    /// May end the call with an error.
    pub const ABORT: Effects = Effects(1);
    /// Reads state.
    pub const READ: Effects = Effects(2);
    /// Writes state.
    pub const WRITE: Effects = Effects(4);
    /// Draws random numbers.
    pub const RANDOM: Effects = Effects(8);
    /// Reads or writes the outside world.
    pub const IO: Effects = Effects(16);

    const NAMES: [(Effects, &'static str); 5] = [
        (Effects::ABORT, "abort"),
        (Effects::READ, "read"),
        (Effects::WRITE, "write"),
        (Effects::RANDOM, "random"),
        (Effects::IO, "io"),
    ];

    /// Whether every effect of `other` is in `self`.
    pub const fn contains(self, other: Effects) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the set is empty.
    pub const fn is_pure(self) -> bool {
        self.0 == 0
    }

    /// Whether a dataflow block may hold an operation with these effects.
    pub const fn allowed_in_dataflow(self) -> bool {
        self.0 & !Self::ABORT.0 == 0
    }

    /// The effect spelled `name` in the text format.
    pub fn from_name(name: &str) -> Option<Effects> {
        Self::NAMES.iter().find(|(_, it)| *it == name).map(|(effect, _)| *effect)
    }
}

impl BitOr for Effects {
    type Output = Effects;

    fn bitor(self, other: Effects) -> Effects {
        Effects(self.0 | other.0)
    }
}

impl fmt::Display for Effects {
    /// Prints `!abort !io`; nothing for the empty set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (effect, name) in Self::NAMES {
            if self.contains(effect) {
                write!(f, "{separator}!{name}")?;
                separator = " ";
            }
        }
        Ok(())
    }
}
