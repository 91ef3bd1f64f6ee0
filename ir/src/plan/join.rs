//! Two modules of plans as one.

use super::{
    Arg, BufferRef, CallPlan, Condition, FunctionId, InputKind, KernelId, PlanModule, Step, TensorInput,
};
use crate::kernel::Kernel;
use crate::types::{ConstId, ConstPool, TensorData};
use std::collections::BTreeMap;
use std::sync::Arc;

impl PlanModule {
    /// Adds the functions of another module as private ones, the entry of which takes the place of the entry here when a
    /// call leaves all defaults as they are. Constants that are equal, down to their names, become one.
    pub fn add_version_at_defaults(&mut self, version: PlanModule) {
        let (Some(of), Some(entry)) = (position_of_entry(self), position_of_entry(&version)) else { return };
        let mut constants = self.constants().cloned().unwrap_or_default();
        let mut kernels = self.kernels().to_vec();
        let moved = Moved {
            functions: self.functions.len() as u32,
            kernels: kernels.len() as u32,
            constants: version.constants().map_or_else(Vec::new, |it| merge(&mut constants, it)),
        };
        kernels.extend_from_slice(version.kernels());
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

/// How the numbers of a module change.
struct Moved {
    functions: u32,
    kernels: u32,
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
                Step::Kernel { kernel: KernelId(kernel), args, .. } => {
                    *kernel += self.kernels;
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
