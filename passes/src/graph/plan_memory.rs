//! Lowers a legalised graph to a call plan: kernels in order, buffers in one arena.

use crate::rules::donation::{Donation, donations};
use crate::rules::memory::{Request, pack};
use crate::rules::moves::{Move, Place, in_turn};
use crate::rules::places::Places;
use crate::rules::state::{self, State};
use indexmap::IndexMap;
use orogen_ir::choices::Choices;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::graph::{Edge, Graph, NodeId, NodeKind, StaticType};
use orogen_ir::kernel::{Access, Kernel};
use orogen_ir::plan::{
    Arena, ArenaId, BufferRef, CallPlan, KernelId, OutputKind, PlanInput, PlanOutput, Slot, SlotId, Step,
    TensorOutput, byte_size,
};
use orogen_ir::shape::Dim;
use orogen_ir::types::{DType, Dims};
use std::sync::Arc;

/// Lowers a graph whose operators are all legalised: only kernels and views (which share the memory of their
/// operand) are left. What `states` name as outputs are none of the plan: they are left where the inputs are.
///
/// # Errors
/// When a kernel is missing, a buffer is larger than the address space, or a state and its new value differ in type.
pub fn plan_memory(graph: &Graph, name: &str, states: &[State]) -> Result<CallPlan, Diagnostics> {
    plan_memory_with(graph, name, states, &mut Choices::usual())
}

/// [`plan_memory`] with other choices of what lies where.
///
/// # Errors
/// See [`plan_memory`].
pub fn plan_memory_with(
    graph: &Graph,
    name: &str,
    states: &[State],
    choices: &mut Choices,
) -> Result<CallPlan, Diagnostics> {
    let inputs: Vec<&str> = graph
        .inputs()
        .iter()
        .map(|id| match &graph[*id].kind {
            NodeKind::Input { name, .. } => name.as_str(),
            _ => "",
        })
        .collect();
    let outputs: Vec<&str> = graph.outputs().iter().map(|it| it.0.as_str()).collect();
    let renewed = state::resolve(states, &inputs, &outputs).map_err(Diagnostics::from)?;
    for (i, input) in renewed.iter().enumerate().filter_map(|(i, it)| Some((i, (*it)?))) {
        let old = graph.ty(Edge { node: graph.inputs()[input], output: 0 });
        let new = graph.ty(graph.outputs()[i].1);
        if old != new {
            let state = State { input: inputs[input].to_owned(), output: outputs[i].to_owned() };
            let text = |it: &StaticType| format!("{}{:?}", it.dtype, it.dims);
            return Err(state::misfit(&state, &text(old), &text(new)).into());
        }
    }
    let mut lowering = Lowering {
        graph,
        plan: CallPlan {
            name: name.to_string(),
            constants: Arc::new(graph.constants.clone()),
            ..CallPlan::default()
        },
        storage: IndexMap::new(),
        requests: Vec::new(),
        slot_requests: Vec::new(),
        direct: IndexMap::new(),
        homes: IndexMap::new(),
        in_place: InPlace::of(graph, &renewed, choices),
        renewed,
        renewals: IndexMap::new(),
        choices,
    };
    lowering.run()?;
    Ok(lowering.plan)
}

struct Lowering<'a> {
    graph: &'a Graph,
    plan: CallPlan,
    storage: IndexMap<Edge, BufferRef>,
    requests: Vec<Request>,
    /// Which of them each slot is of.
    slot_requests: Vec<usize>,
    in_place: InPlace,
    /// The output that is made at a place.
    direct: IndexMap<usize, u32>,
    /// The request for a place.
    homes: IndexMap<usize, usize>,
    /// For each output of the graph, the input that it renews.
    renewed: Vec<Option<usize>>,
    /// The inputs among them, with their outputs.
    renewals: IndexMap<u32, u32>,
    choices: &'a mut Choices,
}

/// Through views to what has bytes of its own.
fn viewed(graph: &Graph, mut edge: Edge) -> Edge {
    while let NodeKind::View = graph[edge.node].kind {
        edge = graph[edge.node].inputs[0];
    }
    edge
}

/// Which values lie at one place.
#[derive(Debug, Default)]
struct InPlace {
    numbers: IndexMap<Edge, usize>,
    places: Places,
}

impl InPlace {
    fn of(graph: &Graph, renewed: &[Option<usize>], choices: &mut Choices) -> InPlace {
        // Everything is made in the tick of its node; results of the graph are in use until the end.
        let mut spans: IndexMap<Edge, (u32, u32)> = IndexMap::new();
        let mut wishes: Vec<(u32, Edge, Edge)> = Vec::new();
        let mut allowed: IndexMap<&str, Vec<Donation>> = IndexMap::new();
        for (tick, id) in (2..).step_by(2).zip(graph.order()) {
            let node = &graph[*id];
            for edge in &node.inputs {
                if let Some(span) = spans.get_mut(&viewed(graph, *edge)) {
                    span.1 = tick;
                }
            }
            // Also what nothing uses is written.
            let made = |i| (Edge { node: *id, output: i }, (tick, tick + 1));
            spans.extend((0..node.outputs.len() as u32).map(made));
            let NodeKind::Kernel { kernel } = &node.kind else { continue };
            let list = allowed
                .entry(kernel)
                .or_insert_with(|| graph.kernels().get(kernel).map_or(vec![], donations));
            for Donation { operand, result } in list.iter() {
                let result = Edge { node: *id, output: *result as u32 };
                let Some(own) = node.inputs.get(*operand).map(|it| viewed(graph, *it)) else { continue };
                if node.inputs.iter().filter(|it| viewed(graph, **it) == own).count() == 1 {
                    wishes.push((tick, own, result));
                }
            }
        }
        for (_, edge) in graph.outputs() {
            spans.entry(viewed(graph, *edge)).and_modify(|it| it.1 = u32::MAX);
        }
        let mut found = InPlace::default();
        for (edge, span) in spans {
            found.numbers.insert(edge, found.places.add(vec![span]));
        }
        let same_bytes = |a: Edge, b: Edge| {
            let (a, b) = (graph.ty(a), graph.ty(b));
            a.dtype == b.dtype && count(&a.dims) == count(&b.dims)
        };
        wishes.retain(|(_, operand, result)| same_bytes(*operand, *result));
        for (tick, operand, result) in &wishes {
            if let (Some(a), Some(b)) = (found.numbers.get(operand), found.numbers.get(result)) {
                found.places.may_meet(*tick, *a, *b);
            }
        }
        let mut states: Vec<NodeId> = Vec::new();
        for (output, input) in renewed.iter().enumerate().filter_map(|(i, it)| Some((i, (*it)?))) {
            let node = graph.inputs()[input];
            let new = viewed(graph, graph.outputs()[output].1);
            let made = new.node == node || matches!(graph[new.node].kind, NodeKind::Kernel { .. });
            if made && found.join(Edge { node, output: 0 }, new) {
                states.push(node);
            }
        }
        // Constants and inputs belong to others.
        let own = |it: Edge| match graph[it.node].kind {
            NodeKind::Kernel { .. } => true,
            _ => states.contains(&it.node),
        };
        for (tick, operand, result) in wishes.iter().filter(|it| own(it.1)) {
            if choices.differs(|| format!("the result of step {} lies apart from its operand", tick / 2)) {
                continue;
            }
            found.join(*operand, *result);
        }
        found
    }

    /// The number of the place where an edge lies that has bytes of its own.
    fn place(&self, edge: Edge) -> Option<usize> {
        self.numbers.get(&edge).map(|it| self.places.of(*it))
    }

    fn join(&mut self, a: Edge, b: Edge) -> bool {
        match (self.numbers.get(&a), self.numbers.get(&b)) {
            (Some(a), Some(b)) => self.places.join(*a, *b),
            _ => false,
        }
    }
}

fn count(dims: &[u64]) -> Option<u64> {
    dims.iter().try_fold(1u64, |product, dim| product.checked_mul(*dim))
}

impl Lowering<'_> {
    fn run(&mut self) -> Result<(), Diagnostic> {
        let graph = self.graph;
        for (i, node) in graph.inputs().iter().enumerate() {
            let edge = Edge { node: *node, output: 0 };
            let NodeKind::Input { name, default } = &graph[*node].kind else {
                return Err(Diagnostic::error("M020", "an entry of the input list is not an input"));
            };
            let (dims, default) = (self.dims(graph.ty(edge))?, *default);
            if default.is_some() && self.renewed.contains(&Some(i)) {
                return Err(state::constant(name));
            }
            let input = PlanInput::new(name.clone(), graph.ty(edge).dtype, dims);
            self.plan.inputs.push(input.with_default(default));
            self.storage.insert(edge, BufferRef::Input(i as u32));
        }
        for (i, (name, edge)) in graph.outputs().iter().enumerate() {
            let ty = graph.ty(*edge);
            let (dims, over) = (self.dims(ty)?, self.renewed[i].map(|it| it as u32));
            let kind = OutputKind::Tensor(TensorOutput { dtype: ty.dtype, dims, over, rank: None });
            self.plan.outputs.push(PlanOutput { name: name.clone(), kind });
            let Some(place) = self.in_place.place(viewed(graph, *edge)) else { continue };
            match self.renewed[i].map(|it| Edge { node: graph.inputs()[it], output: 0 }) {
                None => {
                    self.direct.entry(place).or_insert(i as u32);
                }
                Some(state) if self.in_place.place(state) == Some(place) => {
                    self.direct.insert(place, i as u32);
                }
                Some(_) => {}
            }
        }
        self.renewals = self.plan.renewals();
        let zero = self.plan.shapes.int(0);
        self.plan.arenas.push(Arena { bytes: zero, parts: Vec::new() });
        let mut steps = vec![Step::AllocArena(ArenaId(0))];
        steps.extend((0..self.plan.outputs.len()).map(|i| Step::AllocOutput(i as u32)));
        self.nodes(&mut steps)?;
        self.write_outputs(&mut steps)?;
        self.plan.steps = steps;
        let packing = pack(&mut self.plan.shapes, &self.requests, self.choices).map_err(overflow)?;
        for (slot, request) in self.plan.slots.iter_mut().zip(&self.slot_requests) {
            slot.offset = packing.offsets[*request];
        }
        self.plan.arenas[0].bytes = packing.total;
        Ok(())
    }

    fn nodes(&mut self, steps: &mut Vec<Step>) -> Result<(), Diagnostic> {
        let graph = self.graph;
        let mut kernels: IndexMap<&str, KernelId> = IndexMap::new();
        for id in graph.order() {
            let node = &graph[*id];
            let result = Edge { node: *id, output: 0 };
            match &node.kind {
                NodeKind::Input { .. } => {}
                NodeKind::Constant(constant) => {
                    self.storage.insert(result, BufferRef::Constant(*constant));
                }
                NodeKind::Op { .. } => {
                    let problem = Diagnostic::error("M013", "an operator of the graph is not legalised");
                    return Err(problem.at(node.source.clone()));
                }
                NodeKind::View => {
                    let buffer = self.buffer(node.inputs[0])?;
                    self.storage.insert(result, buffer);
                }
                NodeKind::Kernel { kernel } => {
                    let Some(called) = graph.kernels().get(kernel) else {
                        return Err(Diagnostic::error("M004", format!("the graph has no kernel `{kernel}`"))
                            .at(node.source.clone()));
                    };
                    let next = KernelId(kernels.len() as u32);
                    let kernel = *kernels.entry(kernel).or_insert_with(|| {
                        Arc::make_mut(&mut self.plan.kernels).push(called.clone());
                        next
                    });
                    let args = self.arguments(called, *id, steps)?;
                    let source = node.source.clone();
                    steps.push(Step::Kernel { kernel, args, sizes: Vec::new(), source });
                }
            }
        }
        Ok(())
    }

    /// A buffer for each parameter of a kernel. What the kernel changes is copied before, unless the operand lies there
    /// and is needed no more.
    fn arguments(
        &mut self,
        kernel: &Kernel,
        id: NodeId,
        steps: &mut Vec<Step>,
    ) -> Result<Vec<BufferRef>, Diagnostic> {
        let graph = self.graph;
        let (mut operands, mut results) = (graph[id].inputs.iter(), 0..);
        let mut args = Vec::with_capacity(kernel.param_count());
        let mut changed = Vec::new();
        for param in kernel.params() {
            let operand = if param.access.reads() { operands.next() } else { None };
            let from = match operand {
                Some(operand) => Some((self.buffer(*operand)?, graph.ty(*operand))),
                None => None,
            };
            if let Some((buffer, ty)) = from {
                self.touch(buffer, steps.len());
                if param.access == Access::In {
                    args.push(buffer);
                    continue;
                }
                changed.push((args.len(), buffer, self.byte_size(ty)?));
            }
            let result = Edge { node: id, output: results.next().unwrap_or(0) };
            args.push(self.new_buffer(result, steps.len())?);
        }
        for (at, from, bytes) in changed {
            self.transfer(from, args[at], bytes, steps);
        }
        // The copies came before the call.
        args.iter().for_each(|it| self.touch(*it, steps.len()));
        Ok(args)
    }

    fn write_outputs(&mut self, steps: &mut Vec<Step>) -> Result<(), Diagnostic> {
        let (mut edges, mut sources, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for (i, (_, edge)) in self.graph.outputs().iter().enumerate() {
            let (from, to) = (self.buffer(*edge)?, BufferRef::Output(i as u32));
            if self.renewed[i].is_none() {
                let bytes = self.byte_size(self.graph.ty(*edge))?;
                self.transfer(from, to, bytes, steps);
                continue;
            }
            edges.push(*edge);
            sources.push(from);
            targets.push(to);
        }
        // The old state is read by now, but for what becomes other state.
        let from: Vec<BufferRef> = sources.iter().map(|it| self.seat(*it)).collect();
        let mut temporaries: IndexMap<usize, BufferRef> = IndexMap::new();
        for Move { from: source, to, size } in in_turn(&from, &targets) {
            let ty = self.graph.ty(edges[size]);
            if let Place::Temporary(i) = to {
                temporaries.insert(i, self.new_slot(ty, steps.len())?);
            }
            let source = match source {
                Place::Buffer(seat) => sources[from.iter().position(|it| *it == seat).unwrap_or(size)],
                Place::Temporary(i) => temporaries[&i],
            };
            let to = match to {
                Place::Buffer(buffer) => buffer,
                Place::Temporary(i) => temporaries[&i],
            };
            let bytes = self.byte_size(ty)?;
            self.transfer(source, to, bytes, steps);
        }
        for (source, target) in sources.into_iter().zip(targets) {
            if self.seat(source) == target {
                let bytes = self.plan.shapes.int(0);
                self.transfer(source, target, bytes, steps);
            }
        }
        Ok(())
    }

    /// State and its new value are one memory.
    fn seat(&self, buffer: BufferRef) -> BufferRef {
        match buffer {
            BufferRef::Input(i) => self.renewals.get(&i).map_or(buffer, |it| BufferRef::Output(*it)),
            _ => buffer,
        }
    }

    /// Brings bytes from one buffer to another one, which costs nothing where both lie at one place.
    fn transfer(&mut self, from: BufferRef, to: BufferRef, bytes: Dim, steps: &mut Vec<Step>) {
        if from == to {
            return;
        }
        let request = |it: BufferRef| match it {
            BufferRef::Slot(slot) => self.slot_requests.get(slot.0 as usize),
            _ => None,
        };
        let same_slots = request(from).is_some() && request(from) == request(to);
        let same = same_slots || self.seat(from) == self.seat(to);
        self.touch(from, steps.len());
        self.touch(to, steps.len());
        steps.push(if same { Step::Move { from, to } } else { Step::Copy { from, to, bytes } });
    }

    fn new_buffer(&mut self, edge: Edge, position: usize) -> Result<BufferRef, Diagnostic> {
        let place = self.in_place.place(edge);
        let direct = place.and_then(|it| self.direct.get(&it).copied());
        let home = place.and_then(|it| self.homes.get(&it).copied());
        let buffer = match (direct, home) {
            (Some(output), _) => BufferRef::Output(output),
            (None, Some(request)) => {
                let (dtype, dims) = (self.graph.ty(edge).dtype, self.dims(self.graph.ty(edge))?);
                self.slot(request, dtype, dims)
            }
            (None, None) => {
                let buffer = self.new_slot(self.graph.ty(edge), position)?;
                self.homes.extend(place.map(|it| (it, self.requests.len() - 1)));
                buffer
            }
        };
        self.touch(buffer, position);
        self.storage.insert(edge, buffer);
        Ok(buffer)
    }

    fn new_slot(&mut self, ty: &StaticType, position: usize) -> Result<BufferRef, Diagnostic> {
        let (bytes, dims) = (self.byte_size(ty)?, self.dims(ty)?);
        self.requests.push(Request { bytes, first: position as u32, last: position as u32 });
        Ok(self.slot(self.requests.len() - 1, ty.dtype, dims))
    }

    /// One more slot in this memory.
    fn slot(&mut self, request: usize, dtype: DType, dims: Dims) -> BufferRef {
        let offset = self.plan.shapes.int(0);
        self.plan.slots.push(Slot { dtype, dims, arena: ArenaId(0), offset });
        self.slot_requests.push(request);
        BufferRef::Slot(SlotId(self.plan.slots.len() as u32 - 1))
    }

    fn touch(&mut self, buffer: BufferRef, position: usize) {
        if let BufferRef::Slot(slot) = buffer {
            let request = &mut self.requests[self.slot_requests[slot.0 as usize]];
            request.last = request.last.max(position as u32);
        }
    }

    fn buffer(&self, edge: Edge) -> Result<BufferRef, Diagnostic> {
        self.storage
            .get(&edge)
            .copied()
            .ok_or_else(|| Diagnostic::error("M010", "a value is used before it has memory (law G1)"))
    }

    fn dims(&mut self, ty: &StaticType) -> Result<Dims, Diagnostic> {
        ty.dims
            .iter()
            .map(|dim| i64::try_from(*dim).map(|it| self.plan.shapes.int(it)).map_err(|_| overflow(())))
            .collect()
    }

    fn byte_size(&mut self, ty: &StaticType) -> Result<Dim, Diagnostic> {
        let dims = self.dims(ty)?;
        byte_size(&mut self.plan.shapes, ty.dtype, &dims).map_err(overflow)
    }
}

fn overflow<E>(_: E) -> Diagnostic {
    Diagnostic::error("S002", "the size of a buffer overflows 64-bit integers")
}
