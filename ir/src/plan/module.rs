//! Several functions: a module of plans.

use super::{BufferRef, CallPlan, FunctionId, Step};
use crate::kernel::Kernel;
use crate::types::{ConstPool, Source};

/// The longest chain of calls. Each call has a frame on the stack.
pub const MAX_CALLS: usize = 64;

/// Functions that may call each other, with the same constants and kernels.
///
/// A plan alone is a module of one function: `PlanModule::from(plan)`.
#[derive(Clone, Debug, Default)]
pub struct PlanModule {
    /// In order; a [`FunctionId`] is a place in it.
    pub functions: Vec<CallPlan>,
}

impl From<CallPlan> for PlanModule {
    fn from(plan: CallPlan) -> Self {
        PlanModule { functions: vec![plan] }
    }
}

impl PlanModule {
    /// The function of that name.
    pub fn function(&self, name: &str) -> Option<&CallPlan> {
        self.functions.iter().find(|it| it.name == name)
    }

    /// The functions that a caller from outside may name.
    pub fn exported(&self) -> impl Iterator<Item = &CallPlan> {
        self.functions.iter().filter(|it| !it.private)
    }

    /// The function that the module is about: `main`, or else the last one that may be called from outside.
    pub fn entry(&self) -> Option<&CallPlan> {
        let main = self.exported().find(|it| it.name == "main");
        main.or_else(|| self.exported().last())
    }

    /// Constants of all functions (law P11).
    pub fn constants(&self) -> Option<&ConstPool> {
        self.functions.first().map(|it| &*it.constants)
    }

    /// Kernels of all functions (law P11).
    pub fn kernels(&self) -> &[Kernel] {
        self.functions.first().map_or(&[], |it| &it.kernels)
    }

    /// For each kernel, which parameters are constants in every call.
    pub fn constant_params(&self) -> Vec<Vec<bool>> {
        let mut constant: Vec<Vec<bool>> =
            self.kernels().iter().map(|it| vec![true; it.param_count()]).collect();
        for plan in &self.functions {
            for_each_kernel(&plan.steps, &mut |kernel, args, _| {
                for (known, arg) in constant[kernel as usize].iter_mut().zip(args) {
                    *known &= matches!(arg, BufferRef::Constant(_));
                }
            });
        }
        constant
    }
}

/// Calls `visit` with the kernel, the arguments and the source of every step that runs one, those in branches and loops
/// included.
pub fn for_each_kernel(steps: &[Step], visit: &mut dyn FnMut(u32, &[BufferRef], &Source)) {
    for step in steps {
        match step {
            Step::Kernel { kernel, args, source, .. } => visit(kernel.0, args, source),
            Step::If { then_steps, else_steps, .. } => {
                for_each_kernel(then_steps, visit);
                for_each_kernel(else_steps, visit);
            }
            Step::While { cond_steps, body, .. } => {
                for_each_kernel(cond_steps, visit);
                for_each_kernel(body, visit);
            }
            _ => {}
        }
    }
}

impl CallPlan {
    /// Calls `visit` with every function that a step invokes, those in branches and loops included, and with the one that
    /// takes its place.
    pub fn visit_invoked(&self, visit: &mut dyn FnMut(FunctionId)) {
        self.at_defaults.iter().for_each(|it| visit(*it));
        visit_invoked(&self.steps, visit);
    }
}

fn visit_invoked(steps: &[Step], visit: &mut dyn FnMut(FunctionId)) {
    for step in steps {
        match step {
            Step::Invoke { function, .. } => visit(*function),
            Step::If { then_steps: first, else_steps: second, .. }
            | Step::While { cond_steps: first, body: second, .. } => {
                visit_invoked(first, visit);
                visit_invoked(second, visit);
            }
            _ => {}
        }
    }
}

/// What calls among functions look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOrder {
    /// Every function comes behind all that it calls, directly or not.
    Order(Vec<usize>),
    /// These call each other in a circle, each the next one.
    Circle(Vec<usize>),
    /// A chain of calls that is longer than [`MAX_CALLS`] begins with this one.
    TooDeep(usize),
}

/// Orders functions by who calls whom; entry `i` of `calls` lists what function `i` calls. Takes linear time and a stack of
/// its own: chains may be of any length here.
pub fn call_order(calls: &[Vec<usize>]) -> CallOrder {
    let mut order = Vec::new();
    // Length of the longest chain from each function that is done.
    let mut depth: Vec<Option<usize>> = vec![None; calls.len()];
    let mut open = vec![false; calls.len()];
    for root in 0..calls.len() {
        // Functions on the way with the number of calls that are looked at.
        let mut way: Vec<(usize, usize)> = Vec::new();
        if depth[root].is_none() {
            way.push((root, 0));
            open[root] = true;
        }
        while let Some((function, next)) = way.last_mut() {
            let function = *function;
            match calls[function].get(*next).copied() {
                Some(callee) => {
                    *next += 1;
                    if open.get(callee).copied().unwrap_or(false) {
                        let start = way.iter().position(|it| it.0 == callee).unwrap_or(0);
                        return CallOrder::Circle(way[start..].iter().map(|it| it.0).collect());
                    }
                    if depth.get(callee).is_some_and(Option::is_none) {
                        open[callee] = true;
                        way.push((callee, 0));
                    }
                }
                None => {
                    let below = calls[function].iter().filter_map(|it| depth.get(*it).copied().flatten());
                    let own = below.max().map_or(0, |it| it + 1);
                    if own > MAX_CALLS {
                        return CallOrder::TooDeep(function);
                    }
                    depth[function] = Some(own);
                    open[function] = false;
                    order.push(function);
                    way.pop();
                }
            }
        }
    }
    CallOrder::Order(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callees_come_first() {
        assert_eq!(call_order(&[vec![2, 1], vec![2], vec![]]), CallOrder::Order(vec![2, 1, 0]));
        assert_eq!(call_order(&[]), CallOrder::Order(vec![]));
    }

    #[test]
    fn circles_are_named() {
        assert_eq!(call_order(&[vec![1], vec![2], vec![1]]), CallOrder::Circle(vec![1, 2]));
        assert_eq!(call_order(&[vec![0]]), CallOrder::Circle(vec![0]));
    }

    #[test]
    fn chains_have_a_limit_and_take_no_stack() {
        let chain = |n: usize| -> Vec<Vec<usize>> {
            (0..n).map(|it| if it + 1 < n { vec![it + 1] } else { vec![] }).collect()
        };
        assert!(matches!(call_order(&chain(MAX_CALLS + 1)), CallOrder::Order(_)));
        assert!(matches!(call_order(&chain(MAX_CALLS + 2)), CallOrder::TooDeep(_)));
        assert!(matches!(call_order(&chain(100_000)), CallOrder::TooDeep(_)));
    }
}
