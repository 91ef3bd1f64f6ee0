//! Parts of a long plan as functions of their own.
//!
//! Compiling one function takes more than linear time in its length, and memory that is held all at once. Checks of
//! arguments and steps of a long plan are therefore cut into parts of a bounded length, each a local function that is
//! called in its place. They share the frame, in which the symbols of such a plan lie too. Short plans are one function.

use cranelift_codegen::ir::{InstBuilder, Type, types};
use orogen_ir::plan::{CallPlan, Step};

use super::Entry;
use crate::clif::unit::{Symbol, Visibility, Words, build};

/// The most that a part weighs; most steps weigh 1.
const PART: usize = 256;
/// What is too short for a part.
const SHORT: usize = 16;
/// A plan of this weight is cut.
const LONG: usize = 4 * PART;
/// What the checks of an input weigh.
pub(super) const INPUT_WEIGHT: usize = 8;

/// Parameters of a part: the frame, the host, the arguments of the call.
const PARAMS: [Type; 3] = [types::I64; 3];

/// Whether a plan is cut into parts.
pub(super) fn is_long(plan: &CallPlan) -> bool {
    weight_of(&plan.steps) + plan.checks.len() + INPUT_WEIGHT * plan.inputs.len() >= LONG
}

fn weight_of(steps: &[Step]) -> usize {
    steps.iter().map(weight).sum()
}

fn weight(step: &Step) -> usize {
    match step {
        Step::If { then_steps: first, else_steps: second, .. }
        | Step::While { cond_steps: first, body: second, .. } => 1 + weight_of(first) + weight_of(second),
        Step::Kernel { args, .. } => 1 + args.len() / 16,
        _ => 1,
    }
}

impl Entry<'_, '_, '_> {
    pub(super) fn steps(&mut self, steps: &[Step]) {
        if !self.is_cut() {
            steps.iter().for_each(|it| self.step(it));
            return;
        }
        let mut rest = steps;
        while let [first, others @ ..] = rest {
            let mut sum = 0;
            let fits = rest.iter().take_while(|it| {
                sum += weight(it);
                sum <= PART
            });
            let (part, after) = rest.split_at(fits.count());
            rest = after;
            match part {
                // What is inside of it is cut.
                [] => {
                    self.step(first);
                    rest = others;
                }
                part if weight_of(part) <= SHORT => part.iter().for_each(|it| self.step(it)),
                part => self.part(&|entry| part.iter().for_each(|it| entry.step(it))),
            }
        }
    }

    /// Does something with each number below `count`, in parts if the plan is cut.
    pub(super) fn in_parts(
        &mut self,
        count: usize,
        weight: usize,
        each: &dyn Fn(&mut Entry<'_, '_, '_>, usize),
    ) {
        let length = PART / weight;
        if !self.is_cut() || count <= length {
            (0..count).for_each(|it| each(self, it));
            return;
        }
        for first in (0..count).step_by(length) {
            self.part(&|entry| (first..count.min(first + length)).for_each(|it| each(entry, it)));
        }
    }

    /// Whether this function calls parts; they have none themselves.
    fn is_cut(&self) -> bool {
        self.scope.words().is_some() && !self.is_part
    }

    /// Makes a function of what `body` writes, and calls it. It fails as a whole: the error is set then.
    fn part(&mut self, body: &dyn Fn(&mut Entry<'_, '_, '_>)) {
        let name = format!("orogen.part{}.{}", self.parts.len(), self.input.name);
        let (input, frame, width) = (self.input, &self.frame, self.width);
        let (mut scope, mut exact) = (std::mem::take(&mut self.scope), std::mem::take(&mut self.exact));
        let (target, here) = (self.cx.target, scope.words());
        let unit = build(target, &name, Visibility::Local, &PARAMS, &[types::I32], |cx, args| {
            let words = Words::Behind(args[0]);
            let mut entry = Entry::new(input, cx, frame.elsewhere(words), args[1], args[2], width);
            entry.is_part = true;
            (entry.scope, entry.exact) = (std::mem::take(&mut scope), std::mem::take(&mut exact));
            entry.scope.move_to(words);
            body(&mut entry);
            let done = entry.cx.b.ins().iconst(types::I32, 0);
            entry.cx.b.ins().return_(&[done]);
            entry.overflowed();
            let fail = entry.fail;
            entry.cx.b.switch_to_block(fail);
            let failed = entry.cx.b.ins().iconst(types::I32, -1);
            entry.cx.b.ins().return_(&[failed]);
            (scope, exact) = (std::mem::take(&mut entry.scope), std::mem::take(&mut entry.exact));
        });
        here.into_iter().for_each(|it| scope.move_to(it));
        (self.scope, self.exact) = (scope, exact);
        self.parts.push(unit);
        let args = [self.frame.address(self.cx), self.host, self.arguments];
        let status = self.cx.call(Symbol::Local(name), &PARAMS, &[types::I32], &args);
        let good = self.cx.b.create_block();
        self.cx.b.ins().brif(status.expect("one result"), self.fail, &[], good, &[]);
        self.cx.b.switch_to_block(good);
    }
}
