//! P17: the sizes of a call keep what its kernel requires of them.

use super::proof::Asked;
use super::sizes::{Answer, Question};
use super::{State, Verifier};
use crate::kernel::Kernel;
use crate::plan::KernelId;
use crate::shape::{Constraint, Dim, Overflow, ShapeCx};

impl Verifier<'_> {
    pub(super) fn check_p17_requirements(
        &mut self,
        id: KernelId,
        kernel: &Kernel,
        sizes: &[Dim],
        state: &State,
    ) {
        let Some(requirements) = self.requirements.get(id.0 as usize) else { return };
        for (i, required) in requirements.list.iter().enumerate() {
            let mut here =
                |dim: Dim| kernel.import_at(&requirements.shapes, dim, sizes, &mut self.sizes.shapes);
            let within = required.within.iter().map(|it| here(*it)).collect::<Result<Vec<Dim>, Overflow>>();
            let (Ok(within), Ok(constraint)) = (within, required.constraint.map(&mut here)) else {
                self.report("P017", format!("P17: a size that `@{}` requires overflows", kernel.name()));
                continue;
            };
            let (spot, asked) = (self.spot(), Asked::Required(i));
            let text = || format!("the sizes of `@{}` are such that {}", kernel.name(), required.reason);
            let check = as_check(&mut self.sizes.shapes, constraint, &within).ok();
            let mut answer = self.sizes.ask_within(Question::Holds(constraint), &within, &state.established);
            // Behind its check it holds.
            if let (Answer::Open, Some(check)) = (&answer, check) {
                answer = self.sizes.ask(Question::Holds(check), &state.established);
            }
            // A check refuses the sizes here that another one would refuse later.
            let early = required.assumed && self.step.is_some() && !self.is_fixed(constraint);
            match answer {
                Answer::Proven => self.questions.proven("P17", spot, asked),
                Answer::Refuted(found) if !early => {
                    let message = format!("P17: it is not so that {}{found}", text());
                    self.report("P017", message);
                }
                Answer::Open | Answer::Refuted(_) => {
                    if let (Some(step), Some(check)) = (self.step, check) {
                        self.questions.guard(step, check, &text());
                    }
                    self.questions.open("P17", spot, asked, text());
                }
            }
        }
    }

    fn is_fixed(&self, constraint: Constraint) -> bool {
        constraint.dims().all(|it| self.sizes.shapes.as_int(it).is_some())
    }
}

/// A check of a relation that is required only where all extents are at least 1.
fn as_check(shapes: &mut ShapeCx, constraint: Constraint, within: &[Dim]) -> Result<Constraint, Overflow> {
    match constraint {
        // An extent is below 1, or `least − value` is.
        Constraint::AtLeast(value, least) if !within.is_empty() => {
            let missing = shapes.scale(value, -1)?;
            let missing = shapes.add_int(missing, least)?;
            let list: Vec<Dim> = within.iter().copied().chain([missing]).collect();
            Ok(Constraint::AtMost(shapes.min(&list)?, 0))
        }
        other => Ok(other),
    }
}
