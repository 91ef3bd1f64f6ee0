//! Tensor programs as functions.
//!
//! A kernel is one function or several, its phases ([`crate::select::parts`]), which are called one after the other:
//! `fn(buffers: *const *mut u8, sizes: *const i64, scratch: *mut u8, begin: i64, end: i64)`: its parameters in order, the
//! values of its size parameters, memory of the thread, and the range of the phase that this call computes. A kernel that
//! may abort has one more buffer, its [`Failure`](super::lowering::Failure): when an index is out of range, it says so there and returns at once, and
//! no later phase runs. One whose phases hand memory on has it as the last buffer.

use cranelift_codegen::ir::{InstBuilder, Type, types};
use indexmap::IndexMap;
use orogen_ir::loops::{BufferId, TensorProgram};
use orogen_ir::plan::ALIGNMENT;
use orogen_ir::shape::{Dim, Overflow, ShapeCx};
use orogen_ir::types::Effects;

use super::lowering::{Lowering, Memory};
use super::unit::{Target, Unit, Visibility, build};
use crate::select::forms::ParamForm;
use crate::select::parts::WORK;
use crate::select::routine::Routines;
use crate::select::way::Way;
use crate::select::{Node, Phase, Schedule, in_partials, phases, schedule, work};

/// Parameters of every kernel.
pub(crate) const PARAMS: [Type; 5] = [types::I64; 5];

/// A kernel ready to be compiled, and what its callers must know.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// Its functions in order; there is at least one.
    pub(crate) phases: Vec<KernelPhase>,
    /// Where sizes live: the program's context and what was added.
    pub(crate) shapes: ShapeCx,
    /// Bytes that the phases share, over the size parameters; a thread that runs all of them needs `memory`.
    pub(crate) shared: Dim,
    pub(crate) memory: Dim,
    /// Whether it takes a [`Failure`](super::lowering::Failure) after its parameters.
    pub(crate) aborts: bool,
    /// How it wants its parameters, by place.
    pub(crate) forms: Vec<ParamForm>,
    /// Routines that it calls.
    pub(crate) routines: Routines,
    /// What was chosen for each part, for reports.
    pub(crate) strategy: Vec<String>,
}

/// A function of a kernel. Sizes are over the size parameters.
#[derive(Clone, Debug)]
pub(crate) struct KernelPhase {
    /// The code.
    pub(crate) unit: Unit,
    /// Bytes of scratch that a call needs.
    pub(crate) scratch: Dim,
    /// What `begin..end` are ranges of; 1 where calls compute all of it.
    pub(crate) extent: Dim,
    /// Whether `begin..end` is used.
    pub(crate) divided: bool,
    /// Element operations of the whole phase, roughly.
    pub(crate) work: Dim,
}

impl Kernel {
    /// The symbol of its first phase, with which those of the others begin.
    pub(crate) fn symbol(&self) -> &str {
        &self.phases[0].unit.name
    }
}

/// The symbol of a phase of the kernel `name`.
fn phase_symbol(name: &str, number: usize) -> String {
    if number == 0 { name.to_owned() } else { format!("{name}.phase{}", number + 1) }
}

/// Builds the kernel of a program in some way; see [`schedule`] for `constant`.
pub(crate) fn kernel(
    target: Target,
    name: &str,
    program: &TensorProgram,
    way: Way,
    constant: &[bool],
) -> Result<Kernel, Overflow> {
    let divided = in_partials(program);
    let program = divided.as_ref().unwrap_or(program);
    let mut sized = program.shapes.clone();
    let all = work(&mut sized, &program.body)?;
    let divide = way.divide && sized.as_int(all).is_none_or(|it| it >= WORK);
    let mut schedule = schedule(program, Way { divide, ..way }, constant);
    let mut shapes = std::mem::take(&mut schedule.shapes);
    let phases = phases(&mut shapes, program, &schedule.parts, (constant, divide))?;
    let (shared, memory) = place_locals(program, &schedule, &phases, &mut shapes)?;
    let aborts = program.effects().contains(Effects::ABORT);
    let mut built = Vec::new();
    let mut parts = &schedule.parts[..];
    for (number, (phase, memory)) in phases.iter().zip(memory).enumerate() {
        let (own, after) = parts.split_at(phase.parts);
        parts = after;
        let mut failure = Ok(());
        let symbol = phase_symbol(name, number);
        let unit = build(target, &symbol, Visibility::Local, &PARAMS, &[], |cx, args| {
            let mut lowering = Lowering::new(program, &schedule, shapes.clone(), args);
            failure = lowering.run(cx, args, (own, phase.divided), &memory, aborts);
            cx.b.ins().return_(&[]);
            lowering.finish_abort(cx, args[0]);
        });
        failure?;
        let Phase { divided, extent, work, .. } = *phase;
        built.push(KernelPhase { unit, scratch: memory.bytes, extent, divided, work });
    }
    let scratch: Vec<Dim> = built.iter().map(|it| it.scratch).collect();
    let most = shapes.max(&scratch)?;
    let memory = shapes.add(shared, most)?;
    let Schedule { forms, routines, strategy, .. } = schedule;
    Ok(Kernel { phases: built, shapes, shared, memory, aborts, forms, routines, strategy })
}

/// The bytes that phases share, and the memory of each: what only one of them touches is its own.
fn place_locals(
    program: &TensorProgram,
    schedule: &Schedule,
    phases: &[Phase],
    shapes: &mut ShapeCx,
) -> Result<(Dim, Vec<Memory>), Overflow> {
    let zero = shapes.int(0);
    let mut memory = Vec::new();
    let mut touched: Vec<Vec<BufferId>> = Vec::new();
    let mut parts = &schedule.parts[..];
    for phase in phases {
        let (own, after) = parts.split_at(phase.parts);
        parts = after;
        let nodes: Vec<&Node> = own.iter().flat_map(|it| &it.body).collect();
        let mut workspaces = vec![zero];
        nodes.iter().for_each(|it| it.calls(&mut |call| workspaces.push(call.workspace)));
        let touches = |id: &&BufferId| nodes.iter().any(|it| it.touches(program, **id));
        touched.push(schedule.kept.keys().filter(touches).copied().collect());
        let bytes = shapes.max(&workspaces)?;
        memory.push(Memory { shared: IndexMap::new(), own: IndexMap::new(), workspace: zero, bytes });
    }
    let mut shared = zero;
    for (id, kept) in &schedule.kept {
        let buffer = &program.buffers[*id];
        let dims: Vec<Dim> = buffer.dims.iter().zip(kept).filter(|it| *it.1).map(|it| *it.0).collect();
        let elements = shapes.product(&dims)?;
        let size = shapes.scale(elements, buffer.dtype.size() as i64)?;
        let size = shapes.round_up(size, ALIGNMENT.cast_signed())?;
        let users: Vec<usize> = (0..phases.len()).filter(|it| touched[*it].contains(id)).collect();
        if let [only] = users[..] {
            let Memory { own, workspace, .. } = &mut memory[only];
            own.insert(*id, *workspace);
            *workspace = shapes.add(*workspace, size)?;
            continue;
        }
        for user in users {
            memory[user].shared.insert(*id, shared);
        }
        shared = shapes.add(shared, size)?;
    }
    for Memory { workspace, bytes, .. } in &mut memory {
        *bytes = shapes.add(*workspace, *bytes)?;
        *bytes = shapes.round_up(*bytes, ALIGNMENT.cast_signed())?;
    }
    Ok((shared, memory))
}
