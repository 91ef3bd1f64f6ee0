//! How many steps an evaluation may take.

use crate::error::{EvalError, EvalErrorKind, EvalResult};
use std::cell::Cell;

/// Steps that are left. A step is about one operation on one element; a turn of a loop and a step of a plan are one too.
#[derive(Debug)]
pub(crate) struct Fuel {
    limit: u64,
    left: Cell<u64>,
}

impl Default for Fuel {
    fn default() -> Self {
        Fuel::of(u64::MAX)
    }
}

impl Fuel {
    pub(crate) fn of(limit: u64) -> Fuel {
        Fuel { limit, left: Cell::new(limit) }
    }

    pub(crate) fn left(&self) -> u64 {
        self.left.get()
    }

    /// Takes steps before they are done.
    pub(crate) fn take(&self, steps: u64) -> EvalResult<()> {
        match self.left.get().checked_sub(steps) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                let message = format!("the evaluation takes more than the {} steps that it may", self.limit);
                Err(EvalError::new(EvalErrorKind::LimitReached, message))
            }
        }
    }
}
