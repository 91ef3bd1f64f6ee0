//! Preconditions of routines.
//!
//! What a generator takes for granted stands as numbered laws in the doc of its module, and as code: constraints over
//! the extents of a call. A routine is called only where every law is proven for all sizes that may occur. `Unknown` is
//! a no: another form is taken, whose laws hold.

use orogen_ir::shape::{Constraint, Dim, Overflow, ShapeCx};

/// A precondition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Law {
    /// Its number in the doc of the module that states it.
    pub number: &'static str,
    /// What must hold for all sizes.
    pub constraint: Constraint,
}

impl Law {
    /// `least ≤ dim`.
    pub fn at_least(number: &'static str, dim: Dim, least: i64) -> Law {
        Law { number, constraint: Constraint::AtLeast(dim, least) }
    }

    /// `dim ≤ most`.
    pub fn at_most(number: &'static str, dim: Dim, most: i64) -> Law {
        Law { number, constraint: Constraint::AtMost(dim, most) }
    }

    /// `a = b`.
    pub fn equal(number: &'static str, a: Dim, b: Dim) -> Law {
        Law { number, constraint: Constraint::Eq(a, b) }
    }

    /// A multiple of a number.
    pub fn multiple(number: &'static str, dim: Dim, of: i64) -> Law {
        Law { number, constraint: Constraint::Multiple(dim, of) }
    }

    /// `a ≤ b`.
    pub fn no_more(number: &'static str, shapes: &mut ShapeCx, a: Dim, b: Dim) -> Result<Law, Overflow> {
        Ok(Law::at_least(number, shapes.sub(b, a)?, 0))
    }

    /// `low ≤ value ≤ high` for a constant of the code.
    pub fn constant(
        number: &'static str,
        shapes: &mut ShapeCx,
        value: i64,
        range: std::ops::RangeInclusive<i64>,
    ) -> [Law; 2] {
        let value = shapes.int(value);
        [Law::at_least(number, value, *range.start()), Law::at_most(number, value, *range.end())]
    }
}

/// The number of the first law that is not proven.
pub fn unproven(shapes: &ShapeCx, laws: &[Law]) -> Option<&'static str> {
    laws.iter().find(|it| !shapes.prove(it.constraint).is_always()).map(|it| it.number)
}
