//! Lowers a legalised graph to a call plan: kernels in order, buffers in one arena.

use crate::rules::abort;
use crate::rules::memory::{Request, pack};
use indexmap::IndexMap;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::graph::{Edge, Graph, NodeId, NodeKind, StaticType};
use orogen_ir::kernel::{Access, Kernel};
use orogen_ir::plan::{
    Arena, ArenaId, BufferRef, CallPlan, KernelId, PlanInput, PlanOutput, Slot, SlotId, Step, byte_size,
};
use orogen_ir::shape::Dim;
use orogen_ir::types::Dims;

/// Lowers a graph whose operators are all legalised: only kernels and views (which share the memory of their
/// operand) are left.
///
/// # Errors
/// When a kernel is missing, or a buffer is larger than the address space.
pub fn plan_memory(graph: &Graph, name: &str) -> Result<CallPlan, Diagnostics> {
    let mut lowering = Lowering {
        graph,
        plan: CallPlan { name: name.to_string(), constants: graph.constants.clone(), ..CallPlan::default() },
        storage: IndexMap::new(),
        requests: Vec::new(),
        direct: IndexMap::new(),
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
            self.plan.inputs.push(PlanInput { name: name.clone(), dtype: graph.ty(edge).dtype, dims });
            self.storage.insert(edge, BufferRef::Input(i as u32));
        }
        for (i, (name, edge)) in graph.outputs.iter().enumerate() {
            let ty = graph.ty(*edge);
            let dims = self.dims(ty)?;
            self.plan.outputs.push(PlanOutput { name: name.clone(), dtype: ty.dtype, dims });
            let root = self.root(*edge);
            if matches!(graph.nodes[root.node].kind, NodeKind::Kernel { .. }) {
                self.direct.entry(root).or_insert(i as u32);
            }
        }
        let zero = self.plan.shapes.int(0);
        self.plan.arenas.push(Arena { bytes: zero });
        let mut steps = vec![Step::AllocArena(ArenaId(0))];
        steps.extend((0..graph.outputs.len()).map(|i| Step::AllocOutput(i as u32)));
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

    fn root(&self, mut edge: Edge) -> Edge {
        while let NodeKind::View = self.graph.nodes[edge.node].kind {
            edge = self.graph.nodes[edge.node].inputs[0];
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
                        self.plan.kernels.push(called.clone());
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
            steps.push(Step::Copy { from, to: args[at], bytes });
        }
        // The copies came before the call.
        args.iter().for_each(|it| self.touch(*it, steps.len()));
        Ok(args)
    }

    fn write_outputs(&mut self, steps: &mut Vec<Step>) -> Result<(), Diagnostic> {
        for (i, (_, edge)) in self.graph.outputs.iter().enumerate() {
            let output = i as u32;
            if self.direct.get(&self.root(*edge)) == Some(&output) {
                continue;
            }
            let from = self.buffer(*edge)?;
            let bytes = self.byte_size(self.graph.ty(*edge))?;
            self.touch(from, steps.len());
            steps.push(Step::Copy { from, to: BufferRef::Output(output), bytes });
        }
        Ok(())
    }

    fn new_buffer(&mut self, edge: Edge, position: usize) -> Result<BufferRef, Diagnostic> {
        let buffer = match self.direct.get(&edge) {
            Some(output) => BufferRef::Output(*output),
            None => {
                let ty = self.graph.ty(edge);
                let (dtype, dims, offset) = (ty.dtype, self.dims(ty)?, self.plan.shapes.int(0));
                let slot = Slot { dtype, dims, arena: ArenaId(0), offset };
                let bytes = slot.bytes(&mut self.plan.shapes).map_err(overflow)?;
                self.plan.slots.push(slot);
                self.requests.push(Request { bytes, first: position as u32, last: position as u32 });
                BufferRef::Slot(SlotId((self.plan.slots.len() - 1) as u32))
            }
        };
        self.storage.insert(edge, buffer);
        Ok(buffer)
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
