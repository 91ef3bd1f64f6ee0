//! Which values lie where an operand of theirs did.
//!
//! A kernel's result takes over the place of an operand, and the result of a loop that of its initial value, when
//! nothing uses the operand afterwards: on this path, in later iterations, or as a result. Places of constants and
//! inputs belong to others, but for state, and what the condition of a loop sees is the loop's.

use crate::rules::donation::{Donation, donations};
use indexmap::{IndexMap, IndexSet};
use la_arena::ArenaMap;
use orogen_ir::flow::{BindingId, Definition, Function, Module, RegionId, Rhs, ValueDef, ValueId};
use orogen_ir::shape::{Dim, ShapeCx};
use orogen_ir::types::DType;

/// Who took over whose place, and how long values are in use. Positions count bindings and ends of regions in program
/// order.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// The operand whose place a value took over.
    pub(super) donors: ArenaMap<ValueId, ValueId>,
    /// Whose place was taken over.
    taken: ArenaMap<ValueId, ()>,
    last_use: ArenaMap<ValueId, u32>,
    defined: ArenaMap<ValueId, u32>,
}

/// The value whose bytes `value` has by its definition: views, casts and elements of tuples are none of their own.
pub(super) fn viewed(function: &Function, mut value: ValueId) -> ValueId {
    loop {
        let ValueDef::Result(binding, _) = function.values[value].def else { return value };
        match &function.bindings[binding].rhs {
            Rhs::View { value: inner, .. } | Rhs::MatchCast { value: inner, .. } => value = *inner,
            Rhs::Get { tuple, index } => match function.defining_rhs(*tuple) {
                Some(Rhs::Tuple(elements)) => value = elements[*index as usize],
                _ => return value,
            },
            _ => return value,
        }
    }
}

impl Places {
    /// The value whose place `value` has.
    pub(super) fn root(&self, function: &Function, value: ValueId) -> ValueId {
        let mut value = viewed(function, value);
        while let Some(donor) = self.donors.get(value) {
            value = viewed(function, *donor);
        }
        value
    }

    /// Whether a carried value is out of use before `next` is made: that can be made in its place then.
    pub(super) fn ends_before(&self, param: ValueId, next: ValueId) -> bool {
        let last = self.last_use.get(param).copied().unwrap_or(0);
        !self.taken.contains_idx(param) && self.defined.get(next).is_some_and(|made| last < *made)
    }

    /// Places of all values of a function.
    pub(super) fn of(module: &Module, function: &Function, states: &[ValueId]) -> Places {
        let mut walk = Walk {
            function,
            places: Places::default(),
            frames: ArenaMap::default(),
            loops: Vec::new(),
            position: 0,
            calls: Vec::new(),
            bodies: IndexSet::new(),
        };
        walk.region(function.body);
        for value in &function.regions[function.body].results {
            walk.places.last_use.insert(viewed(function, *value), u32::MAX);
        }
        let Walk { mut places, frames, calls, bodies, .. } = walk;
        let mut kernels: IndexMap<&str, Vec<Donation>> = IndexMap::new();
        let mut shapes = module.shapes.clone();
        for Call { binding, frame, position } in calls {
            let it = &function.bindings[binding];
            let (args, wanted) = match &it.rhs {
                Rhs::Call { callee, args, .. } => {
                    let wanted =
                        kernels.entry(callee).or_insert_with(|| match module.definitions.get(callee) {
                            Some(Definition::Kernel(kernel)) => donations(kernel),
                            _ => Vec::new(),
                        });
                    (args, wanted.clone())
                }
                Rhs::While { init, .. } => {
                    let same = |i| Donation { operand: i, result: i };
                    (init, (0..init.len()).map(same).collect())
                }
                _ => continue,
            };
            for Donation { operand, result } in wanted {
                let (Some(arg), Some(result)) = (args.get(operand), it.results.get(result)) else { continue };
                let own = viewed(function, *arg);
                let once = args.iter().filter(|it| viewed(function, **it) == own).count() == 1;
                // Parameters of the function are in no loop.
                let here = frames.get(own).copied().unwrap_or(0) == frame;
                let dies = here && places.last_use.get(own) == Some(&position);
                let root = places.root(function, own);
                if places.donors.contains_idx(*result)
                    || !(once && dies && may_be_overwritten(function, root, &bodies, states))
                    || !same_bytes(&mut shapes, function, root, *result)
                {
                    continue;
                }
                places.donors.insert(*result, own);
                places.taken.insert(own, ());
            }
        }
        places
    }
}

/// Whether the place of a root value is the function's to write.
fn may_be_overwritten(
    function: &Function,
    root: ValueId,
    bodies: &IndexSet<RegionId>,
    states: &[ValueId],
) -> bool {
    match function.values[root].def {
        ValueDef::Param(_) => states.contains(&root),
        // Conditions see the carried values; bodies own them.
        ValueDef::RegionParam(region, _) => bodies.contains(&region),
        ValueDef::Result(binding, _) => {
            matches!(function.bindings[binding].rhs, Rhs::Call { .. } | Rhs::If { .. } | Rhs::While { .. })
        }
    }
}

fn same_bytes(shapes: &mut ShapeCx, function: &Function, a: ValueId, b: ValueId) -> bool {
    let mut size = |value: ValueId| -> Option<(DType, Dim)> {
        let ty = function.values[value].ty.as_tensor()?;
        Some((ty.dtype, shapes.product(ty.dims()?).ok()?))
    };
    size(a).is_some_and(|it| Some(it) == size(b))
}

/// A binding that may take over places.
struct Call {
    binding: BindingId,
    frame: u32,
    position: u32,
}

/// A loop that is being walked.
struct Loop {
    frame: u32,
    /// What it uses that is defined before it.
    outer: Vec<ValueId>,
}

/// Finds the last uses.
struct Walk<'f> {
    function: &'f Function,
    places: Places,
    /// The innermost loop around each definition, 0 if none; conditions and bodies are one.
    frames: ArenaMap<ValueId, u32>,
    loops: Vec<Loop>,
    position: u32,
    calls: Vec<Call>,
    /// Bodies of loops.
    bodies: IndexSet<RegionId>,
}

impl Walk<'_> {
    fn frame(&self) -> u32 {
        self.loops.last().map_or(0, |it| it.frame)
    }

    fn region(&mut self, region: RegionId) {
        let function = self.function;
        for block in &function.regions[region].blocks {
            for binding in &function.blocks[*block].order {
                self.binding(*binding);
            }
        }
        self.position += 1;
        function.regions[region].results.iter().for_each(|it| self.used(*it));
    }

    fn binding(&mut self, id: BindingId) {
        let binding = &self.function.bindings[id];
        self.position += 1;
        let position = self.position;
        binding.rhs.visit_operands(&mut |it| self.used(it));
        self.calls.push(Call { binding: id, frame: self.frame(), position });
        if let Rhs::If { then_region, else_region, .. } = binding.rhs {
            self.region(then_region);
            self.region(else_region);
        }
        if let Rhs::While { cond, body, .. } = binding.rhs {
            self.loops.push(Loop { frame: position, outer: Vec::new() });
            self.bodies.insert(body);
            for region in [cond, body] {
                self.function.regions[region].params.iter().for_each(|it| self.made(*it));
                self.region(region);
            }
            // What is used in one iteration is used in the next one too.
            self.position += 1;
            let outer = self.loops.pop().map(|it| it.outer).unwrap_or_default();
            outer.into_iter().for_each(|it| self.used(it));
        }
        binding.results.iter().for_each(|it| self.made(*it));
    }

    fn made(&mut self, value: ValueId) {
        self.frames.insert(value, self.frame());
        self.places.defined.insert(value, self.position);
    }

    fn used(&mut self, value: ValueId) {
        let value = viewed(self.function, value);
        self.places.last_use.insert(value, self.position);
        // Parameters of the function are in no loop.
        let frame = self.frames.get(value).copied().unwrap_or(0);
        if let Some(inner) = self.loops.last_mut().filter(|it| it.frame != frame) {
            inner.outer.push(value);
        }
    }
}
