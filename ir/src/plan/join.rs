//! Two modules of plans as one.

use super::{
    Arg, BufferRef, CallPlan, Condition, FunctionId, InputKind, KernelId, PlanModule, Step, TensorInput,
};
use crate::kernel::{Kernel, print_kernel_text};
use crate::types::{ConstId, ConstPool, TensorData};
use std::collections::BTreeMap;
use std::sync::Arc;

impl PlanModule {
    /// Adds the functions of another module as private ones, the entry of which takes the place of the entry here when a
    /// call leaves all defaults as they are. Constants that are equal, down to their names, become one, and so do kernels
    /// that get constants for the same parameters: what they do with a constant is done when it is compiled.
    pub fn add_version_at_defaults(&mut self, version: PlanModule) {
        let (Some(of), Some(entry)) = (position_of_entry(self), position_of_entry(&version)) else { return };
        let mut constants = self.constants().cloned().unwrap_or_default();
        let mut kernels = self.kernels().to_vec();
        let moved = Moved {
            functions: self.functions.len() as u32,
            kernels: merge_kernels(&mut kernels, self.constant_params(), &version),
            constants: version.constants().map_or_else(Vec::new, |it| merge(&mut constants, it)),
        };
        self.functions[of].at_defaults = Some(FunctionId(moved.functions + entry as u32));
        for mut plan in version.functions {
            moved.plan(&mut plan);
            plan.private = true;
            plan.name.push_str(".defaults");
            while self.functions.iter().any(|it| it.name == plan.name) {
                plan.name.push('_');
            }
            self.functions.push(plan);
        }
        let (constants, kernels): (Arc<ConstPool>, Arc<Vec<Kernel>>) = (constants.into(), kernels.into());
        for plan in &mut self.functions {
            (plan.constants, plan.kernels) = (Arc::clone(&constants), Arc::clone(&kernels));
        }
    }
}

fn position_of_entry(module: &PlanModule) -> Option<usize> {
    let entry = module.entry()?;
    module.functions.iter().position(|it| std::ptr::eq(it, entry))
}

/// Adds constants to a pool, and says what each is there.
fn merge(pool: &mut ConstPool, others: &ConstPool) -> Vec<ConstId> {
    let key = |name: &str, data: &TensorData| (name.to_owned(), data.dtype(), data.dims().to_vec());
    let mut known: BTreeMap<_, Vec<ConstId>> = BTreeMap::new();
    for id in pool.ids() {
        known.entry(key(pool.name(id), pool.data(id))).or_default().push(id);
    }
    let place = |id: ConstId| {
        let (name, data) = (others.name(id), others.data(id));
        let candidates = known.get(&key(name, data)).map_or(&[][..], |it| &it[..]);
        match candidates.iter().find(|it| pool.data(**it) == data) {
            Some(same) => *same,
            None => pool.add(name, data.clone()),
        }
    };
    others.ids().map(place).collect()
}

/// Adds the kernels of a module to others, whose parameters are `constant` in every call, and says which each is there.
fn merge_kernels(kernels: &mut Vec<Kernel>, constant: Vec<Vec<bool>>, others: &PlanModule) -> Vec<KernelId> {
    let all = kernels.iter().map(print_kernel_text).zip(constant).zip(0..);
    let known: BTreeMap<(String, Vec<bool>), u32> = all.collect();
    let place = |(kernel, constant): (&Kernel, Vec<bool>)| {
        KernelId(known.get(&(print_kernel_text(kernel), constant)).copied().unwrap_or_else(|| {
            kernels.push(kernel.clone());
            kernels.len() as u32 - 1
        }))
    };
    others.kernels().iter().zip(others.constant_params()).map(place).collect()
}

/// How the numbers of a module change.
struct Moved {
    functions: u32,
    kernels: Vec<KernelId>,
    constants: Vec<ConstId>,
}

impl Moved {
    fn plan(&self, plan: &mut CallPlan) {
        for input in &mut plan.inputs {
            if let InputKind::Tensor(TensorInput { default: Some(id), .. }) = &mut input.kind {
                self.constant(id);
            }
        }
        plan.at_defaults.iter_mut().for_each(|it| self.function(it));
        self.steps(&mut plan.steps);
    }

    fn constant(&self, id: &mut ConstId) {
        *id = self.constants[id.0 as usize];
    }

    fn function(&self, id: &mut FunctionId) {
        id.0 += self.functions;
    }

    fn buffer(&self, buffer: &mut BufferRef) {
        if let BufferRef::Constant(id) = buffer {
            self.constant(id);
        }
    }

    fn steps(&self, steps: &mut [Step]) {
        for step in steps {
            match step {
                Step::Kernel { kernel, args, .. } => {
                    *kernel = self.kernels[kernel.0 as usize];
                    args.iter_mut().for_each(|it| self.buffer(it));
                }
                Step::Invoke { function, args, .. } => {
                    self.function(function);
                    for arg in args {
                        if let Arg::View(view) = arg {
                            self.buffer(&mut view.place);
                        }
                    }
                }
                Step::Move { from, to } | Step::Copy { from, to, .. } => {
                    self.buffer(from);
                    self.buffer(to);
                }
                Step::Bind { from, .. } => self.buffer(from),
                Step::If { cond, then_steps, else_steps } => {
                    if let Condition::Buffer(cond) = cond {
                        self.buffer(cond);
                    }
                    self.steps(then_steps);
                    self.steps(else_steps);
                }
                Step::While { cond_steps, cond, body } => {
                    self.steps(cond_steps);
                    self.buffer(cond);
                    self.steps(body);
                }
                Step::AllocArena(_)
                | Step::AllocOutput(_)
                | Step::Object { .. }
                | Step::Let { .. }
                | Step::Check(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{parse_plans, print_plans, verify_module};
    use super::*;

    fn module(inputs: &str, steps: &str) -> PlanModule {
        let text = format!(
            "module {{
  constant \"k\" f32[2] [10, 20]
  constant \"w\" f32[2] [1, 2]
  kernel @sum {{
    in %x: f32[2]
    in %k: f32[2]
    out %y: f32[2]
    for i < 2 {{ %y[i] = %x[i] + %k[i] }}
  }}
  kernel @product {{
    in %x: f32[2]
    in %w: f32[2]
    out %y: f32[2]
    for i < 2 {{ %y[i] = %x[i] * %w[i] }}
  }}
  plan @main {{
    in x: f32[2]
    {inputs}
    out y: f32[2]
    out z: f32[2]
    steps {{
      alloc %out0
      alloc %out1
      {steps}
    }}
  }}
}}
"
        );
        parse_plans(&text, &ConstPool::default()).unwrap_or_else(|it| panic!("{it}"))
    }

    #[test]
    fn kernels_that_get_the_same_constants_are_one() {
        // One gets `k` from the caller and a constant `w`, the version gets both as constants.
        let mut open = module(
            "in k: f32[2] = #0",
            "call 0 @sum(%in0, %in1, %out0)\n      call 1 @product(%in0, #1, %out1)",
        );
        let version = module("", "call 0 @sum(%in0, #0, %out0)\n      call 1 @product(%in0, #1, %out1)");
        open.add_version_at_defaults(version);
        let printed = print_plans(&open);
        verify_module(&open).unwrap_or_else(|it| panic!("{printed}\n{it}"));
        let names: Vec<&str> = open.kernels().iter().map(Kernel::name).collect();
        assert_eq!(names, ["sum", "product", "sum"], "{printed}");
        let constant = open.constant_params();
        assert_eq!([&constant[0], &constant[2]], [&[false, false, false], &[false, true, false]]);
    }
}
