//! How exact a rule is, and what a user admits.

use crate::manager::Accuracy;
use std::fmt;

/// How the two sides of a rule differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RuleClass {
    /// Not at all, for any input: infinities and the sign of zeros are kept, and NaN stays NaN. All NaNs are one value.
    Bitwise,
    /// They are equal over the reals: the result differs in how intermediate values are rounded.
    Reassociates,
    /// By at most so many units in the last place of the result.
    Approximates(f64),
}

impl RuleClass {
    /// Whether a user who asked for this accuracy gets rules of the class.
    pub fn is_admitted(self, accuracy: Accuracy) -> bool {
        match self {
            RuleClass::Bitwise => true,
            RuleClass::Reassociates => accuracy != Accuracy::Strict,
            RuleClass::Approximates(_) => accuracy == Accuracy::Fast,
        }
    }
}

impl fmt::Display for RuleClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RuleClass::Bitwise => f.write_str("bitwise"),
            RuleClass::Reassociates => f.write_str("reassociates"),
            RuleClass::Approximates(ulp) => write!(f, "approximates {ulp} ulp"),
        }
    }
}
