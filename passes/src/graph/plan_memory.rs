//! Lowers a legalised graph to a call plan: kernels in order, buffers in one arena.

use crate::rules::abort;
use crate::rules::donation::{Donation, donations};
use crate::rules::memory::{Request, pack};
use crate::rules::moves::{Move, Place, in_turn};
use crate::rules::state::{self, State};
use indexmap::IndexMap;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::graph::{Edge, Graph, NodeId, NodeKind, StaticType};
use orogen_ir::kernel::{Access, Kernel};
use orogen_ir::plan::{
    Arena, ArenaId, BufferRef, CallPlan, KernelId, PlanInput, PlanOutput, Slot, SlotId, Step, byte_size,
};
use orogen_ir::shape::Dim;
use orogen_ir::types::Dims;
use std::sync::Arc;

/// Lowers a graph whose operators are all legalised: only kernels and views (which share the memory of their
/// operand) are left. What `states` name as outputs are none of the plan: they are left where the inputs are.
///
/// # Errors
/// When a kernel is missing, a buffer is larger than the address space, or a state and its new value differ in type.
pub fn plan_memory(graph: &Graph, name: &str, states: &[State]) -> Result<CallPlan, Diagnostics> {
    let inputs: Vec<&str> = graph
        .inputs
        .iter()
        .map(|id| match &graph.nodes[*id].kind {
            NodeKind::Input { name } => name.as_str(),
            _ => "",
        })
        .collect();
    let outputs: Vec<&str> = graph.outputs.iter().map(|it| it.0.as_str()).collect();
    let renewed = state::resolve(states, &inputs, &outputs).map_err(Diagnostics::from)?;
    for (i, input) in renewed.iter().enumerate().filter_map(|(i, it)| Some((i, (*it)?))) {
        let old = graph.ty(Edge { node: graph.inputs[input], output: 0 });
        let new = graph.ty(graph.outputs[i].1);
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
        direct: IndexMap::new(),
        donors: donors(graph, &renewed),
        renewed,
    };
    lowering.run()?;
    Ok(lowering.plan)
}

struct Lowering<'a> {
    graph: &'a Graph,
    plan: CallPlan,
    storage: IndexMap<Edge, BufferRef>,
    requests: Vec<Request>,
    /// Outputs whose memory a root value writes directly.
    direct: IndexMap<Edge, u32>,
    /// Operands whose place a result takes over.
    donors: IndexMap<Edge, Edge>,
    /// For each output of the graph, the input that it renews.
    renewed: Vec<Option<usize>>,
}

/// Through views to what has bytes of its own.
fn viewed(graph: &Graph, mut edge: Edge) -> Edge {
    while let NodeKind::View = graph.nodes[edge.node].kind {
        edge = graph.nodes[edge.node].inputs[0];
    }
    edge
}

/// Which results take over the place of an operand: a kernel made it or it is state, and nothing uses it afterwards.
fn donors(graph: &Graph, renewed: &[Option<usize>]) -> IndexMap<Edge, Edge> {
    let states: Vec<NodeId> = renewed.iter().flatten().map(|it| graph.inputs[*it]).collect();
    let mut last_use: IndexMap<Edge, usize> = IndexMap::new();
    for (position, id) in graph.order.iter().enumerate() {
        for edge in &graph.nodes[*id].inputs {
            last_use.insert(viewed(graph, *edge), position);
        }
    }
    last_use.extend(graph.outputs.iter().map(|(_, edge)| (viewed(graph, *edge), usize::MAX)));
    let mut allowed: IndexMap<&str, Vec<Donation>> = IndexMap::new();
    let mut donors: IndexMap<Edge, Edge> = IndexMap::new();
    for (position, id) in graph.order.iter().enumerate() {
        let node = &graph.nodes[*id];
        let NodeKind::Kernel { kernel } = &node.kind else { continue };
        let list =
            allowed.entry(kernel).or_insert_with(|| graph.kernels.get(kernel).map_or(vec![], donations));
        for Donation { operand, result } in list.iter() {
            let result = Edge { node: *id, output: *result as u32 };
            let Some(own) = node.inputs.get(*operand).map(|it| viewed(graph, *it)) else { continue };
            let once = node.inputs.iter().filter(|it| viewed(graph, **it) == own).count() == 1;
            let made =
                matches!(graph.nodes[own.node].kind, NodeKind::Kernel { .. }) || states.contains(&own.node);
            let dies = last_use.get(&own) == Some(&position);
            let (from, to) = (graph.ty(own), graph.ty(result));
            let same = from.dtype == to.dtype && count(&from.dims) == count(&to.dims);
            if once && made && dies && same && !donors.contains_key(&result) {
                donors.insert(result, own);
            }
        }
    }
    donors
}

fn count(dims: &[u64]) -> Option<u64> {
    dims.iter().try_fold(1u64, |product, dim| product.checked_mul(*dim))
}

impl Lowering<'_> {
    fn run(&mut self) -> Result<(), Diagnostic> {
        let graph = self.graph;
        for (i, node) in graph.inputs.iter().enumerate() {
            let edge = Edge { node: *node, output: 0 };
            let NodeKind::Input { name } = &graph.nodes[*node].kind else {
                return Err(Diagnostic::error("M020", "an entry of the input list is not an input"));
            };
            let dims = self.dims(graph.ty(edge))?;
            let becomes = self.renewed.iter().position(|it| *it == Some(i));
            let state = becomes.map(|it| graph.outputs[it].0.clone());
            self.plan.inputs.push(PlanInput { name: name.clone(), dtype: graph.ty(edge).dtype, dims, state });
            self.storage.insert(edge, BufferRef::Input(i as u32));
        }
        for (i, (name, edge)) in graph.outputs.iter().enumerate() {
            let ty = graph.ty(*edge);
            let dims = self.dims(ty)?;
            if self.renewed[i].is_some() {
                continue;
            }
            let number = self.plan.outputs.len() as u32;
            self.plan.outputs.push(PlanOutput { name: name.clone(), dtype: ty.dtype, dims });
            let root = self.root(*edge);
            if matches!(graph.nodes[root.node].kind, NodeKind::Kernel { .. }) {
                self.direct.entry(root).or_insert(number);
            }
        }
        let zero = self.plan.shapes.int(0);
        self.plan.arenas.push(Arena { bytes: zero });
        let mut steps = vec![Step::AllocArena(ArenaId(0))];
        steps.extend((0..self.plan.outputs.len()).map(|i| Step::AllocOutput(i as u32)));
        self.nodes(&mut steps)?;
        self.write_outputs(&mut steps)?;
        self.plan.steps = steps;
        let packing = pack(&mut self.plan.shapes, &self.requests).map_err(overflow)?;
        for (slot, offset) in self.plan.slots.iter_mut().zip(packing.offsets) {
            slot.offset = offset;
        }
        self.plan.arenas[0].bytes = packing.total;
        Ok(())
    }

    /// The edge whose place an edge has.
    fn root(&self, edge: Edge) -> Edge {
        let mut edge = viewed(self.graph, edge);
        while let Some(donor) = self.donors.get(&edge) {
            edge = *donor;
        }
        edge
    }

    fn nodes(&mut self, steps: &mut Vec<Step>) -> Result<(), Diagnostic> {
        let graph = self.graph;
        let mut kernels: IndexMap<&str, KernelId> = IndexMap::new();
        for id in &graph.order {
            let node = &graph.nodes[*id];
            let result = Edge { node: *id, output: 0 };
            match &node.kind {
                NodeKind::Input { .. } => {}
                NodeKind::Constant(constant) => {
                    self.storage.insert(result, BufferRef::Constant(*constant));
                }
                NodeKind::Op { op, .. } => {
                    return Err(Diagnostic::error("M013", format!("operator {op:?} is not legalised"))
                        .at(node.source.clone()));
                }
                NodeKind::View => {
                    let buffer = self.buffer(node.inputs[0])?;
                    self.storage.insert(result, buffer);
                }
                NodeKind::Kernel { kernel } => {
                    let Some(called) = graph.kernels.get(kernel) else {
                        return Err(Diagnostic::error("M004", format!("the graph has no kernel `{kernel}`"))
                            .at(node.source.clone()));
                    };
                    let next = KernelId(kernels.len() as u32);
                    let kernel = *kernels.entry(kernel).or_insert_with(|| {
                        Arc::make_mut(&mut self.plan.kernels).push(called.clone());
                        next
                    });
                    let args = self.arguments(called, *id, steps)?;
                    let source = abort::source_of(called, &node.source);
                    steps.push(Step::Kernel { kernel, args, sizes: Vec::new(), source });
                }
            }
        }
        Ok(())
    }

    /// A buffer for each parameter of a kernel. What the kernel changes is copied before: the operand keeps its value.
    fn arguments(
        &mut self,
        kernel: &Kernel,
        id: NodeId,
        steps: &mut Vec<Step>,
    ) -> Result<Vec<BufferRef>, Diagnostic> {
        let graph = self.graph;
        let (mut operands, mut results) = (graph.nodes[id].inputs.iter(), 0..);
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
            if from != args[at] {
                steps.push(Step::Copy { from, to: args[at], bytes });
            }
        }
        // The copies came before the call.
        args.iter().for_each(|it| self.touch(*it, steps.len()));
        Ok(args)
    }

    fn write_outputs(&mut self, steps: &mut Vec<Step>) -> Result<(), Diagnostic> {
        let (mut output, mut renewals) = (0, Vec::new());
        for (i, (_, edge)) in self.graph.outputs.iter().enumerate() {
            if let Some(input) = self.renewed[i] {
                renewals.push((*edge, BufferRef::Input(input as u32)));
                continue;
            }
            if self.direct.get(&self.root(*edge)) != Some(&output) {
                self.copy(*edge, BufferRef::Output(output), steps)?;
            }
            output += 1;
        }
        // What is left of the old state is read by now, but for new values that are the old one of another.
        let edges: Vec<Edge> = renewals.iter().map(|it| it.0).collect();
        let targets: Vec<BufferRef> = renewals.iter().map(|it| it.1).collect();
        let sources: Vec<BufferRef> = edges.iter().map(|it| self.buffer(*it)).collect::<Result<_, _>>()?;
        let mut temporaries: IndexMap<usize, BufferRef> = IndexMap::new();
        for Move { from, to, size } in in_turn(&sources, &targets) {
            let ty = self.graph.ty(edges[size]);
            if let Place::Temporary(i) = to {
                temporaries.insert(i, self.new_slot(ty, steps.len())?);
            }
            let [from, to] = [from, to].map(|it| match it {
                Place::Buffer(buffer) => buffer,
                Place::Temporary(i) => temporaries[&i],
            });
            let bytes = self.byte_size(ty)?;
            self.touch(from, steps.len());
            self.touch(to, steps.len());
            steps.push(Step::Copy { from, to, bytes });
        }
        Ok(())
    }

    fn copy(&mut self, edge: Edge, to: BufferRef, steps: &mut Vec<Step>) -> Result<(), Diagnostic> {
        let from = self.buffer(edge)?;
        if from == to {
            return Ok(());
        }
        let bytes = self.byte_size(self.graph.ty(edge))?;
        self.touch(from, steps.len());
        self.touch(to, steps.len());
        steps.push(Step::Copy { from, to, bytes });
        Ok(())
    }

    fn new_buffer(&mut self, edge: Edge, position: usize) -> Result<BufferRef, Diagnostic> {
        let buffer = match (self.donors.get(&edge), self.direct.get(&edge)) {
            (Some(donor), _) => self.buffer(*donor)?,
            (None, Some(output)) => BufferRef::Output(*output),
            (None, None) => self.new_slot(self.graph.ty(edge), position)?,
        };
        self.storage.insert(edge, buffer);
        Ok(buffer)
    }

    fn new_slot(&mut self, ty: &StaticType, position: usize) -> Result<BufferRef, Diagnostic> {
        let (dtype, dims, offset) = (ty.dtype, self.dims(ty)?, self.plan.shapes.int(0));
        let slot = Slot { dtype, dims, arena: ArenaId(0), offset };
        let bytes = slot.bytes(&mut self.plan.shapes).map_err(overflow)?;
        self.plan.slots.push(slot);
        self.requests.push(Request { bytes, first: position as u32, last: position as u32 });
        Ok(BufferRef::Slot(SlotId((self.plan.slots.len() - 1) as u32)))
    }

    fn touch(&mut self, buffer: BufferRef, position: usize) {
        if let BufferRef::Slot(slot) = buffer {
            let request = &mut self.requests[slot.0 as usize];
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
