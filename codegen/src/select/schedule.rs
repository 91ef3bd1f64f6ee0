//! The loop structure of a kernel.
//!
//! Consecutive stages that share leading axes run inside one loop over them, so that what one stage makes is used
//! while it is in the cache, and a local buffer needs room for one iteration only.

use indexmap::{IndexMap, IndexSet};
use orogen_ir::loops::{BufferId, BufferRole, Expr, ExprId, Index, Stage, Stmt, TensorProgram};
use orogen_ir::shape::{Dim, Sym};

/// A part of a kernel.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// A loop whose iterations run in order; each symbol has the value of the loop variable.
    Loop {
        /// Number of iterations.
        extent: Dim,
        /// What the loop variable is called in the stages inside.
        vars: Vec<Sym>,
        /// What is repeated.
        body: Vec<Node>,
    },
    /// A stage, of which the first `bound` axes are loops around it.
    Stage {
        /// The stage.
        stage: Stage,
        /// How many of its axes are already bound.
        bound: usize,
    },
}

/// How a kernel runs.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// The parts in order.
    pub(crate) body: Vec<Node>,
    /// Whether `body` is one loop whose iterations are independent.
    pub(crate) parallel: bool,
    /// For each local buffer, which of its dimensions are stored; the others hold one iteration at a time.
    pub(crate) kept: IndexMap<BufferId, Vec<bool>>,
}

/// Chooses the loop structure of a program.
pub(crate) fn schedule(program: &TensorProgram) -> Schedule {
    let mut kept = IndexMap::new();
    for (id, buffer) in program.buffers.iter() {
        if buffer.role == BufferRole::Local {
            kept.insert(id, vec![true; buffer.dims.len()]);
        }
    }
    let body = statements(program, &program.body, &mut kept);
    let parallel = match &body[..] {
        [Node::Loop { body, vars, .. }] => independent(body, vars),
        _ => false,
    };
    Schedule { body, parallel, kept }
}

fn statements(program: &TensorProgram, body: &[Stmt], kept: &mut IndexMap<BufferId, Vec<bool>>) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut run: Vec<&Stage> = Vec::new();
    for statement in body {
        match statement {
            Stmt::Stage(stage) => {
                if !run.is_empty() && shared_axes(program, &run, stage) == 0 {
                    nodes.extend(group(program, &std::mem::take(&mut run), kept));
                }
                run.push(stage);
            }
            Stmt::For { axis, body } => {
                nodes.extend(group(program, &std::mem::take(&mut run), kept));
                let body = statements(program, body, kept);
                nodes.push(Node::Loop { extent: axis.extent, vars: vec![axis.var], body });
            }
        }
    }
    nodes.extend(group(program, &run, kept));
    nodes
}

/// The nodes of consecutive stages that share at least their first axis.
fn group(program: &TensorProgram, run: &[&Stage], kept: &mut IndexMap<BufferId, Vec<bool>>) -> Vec<Node> {
    let Some(first) = run.first() else { return Vec::new() };
    let mut depth = first.axes.len();
    for at in 1..run.len() {
        depth = depth.min(shared_axes(program, &run[..at], run[at]));
    }
    shrink(program, run, depth, kept);
    let mut nodes: Vec<Node> =
        run.iter().map(|it| Node::Stage { stage: (*it).clone(), bound: depth }).collect();
    for level in (0..depth).rev() {
        let vars = run.iter().map(|it| it.axes[level].var).collect();
        nodes = vec![Node::Loop { extent: first.axes[level].extent, vars, body: nodes }];
    }
    nodes
}

/// How many leading axes `next` can share with the stages before it.
fn shared_axes(program: &TensorProgram, run: &[&Stage], next: &Stage) -> usize {
    let most = run.iter().map(|it| it.axes.len()).min().unwrap_or(0).min(next.axes.len());
    let equal = |level: usize| run.iter().all(|it| it.axes[level].extent == next.axes[level].extent);
    let most = (0..most).take_while(|level| equal(*level)).count();
    let mut stages = run.to_vec();
    stages.push(next);
    // What a stage of the group writes, every stage must touch in the same iteration only.
    let legal = |depth: &usize| {
        let written: IndexSet<BufferId> = stages.iter().map(|it| it.buffer).collect();
        written.iter().all(|buffer| {
            let mut uses = 0;
            stages.iter().for_each(|it| uses += usize::from(accesses(program, it, *buffer).next().is_some()));
            uses <= 1 || (0..*depth).all(|level| !own_dims(program, &stages, level, *buffer).is_empty())
        })
    };
    (0..=most).rev().find(legal).unwrap_or(0)
}

/// The dimensions of a buffer that every access of every stage indexes with just the axis at `level`.
fn own_dims(program: &TensorProgram, stages: &[&Stage], level: usize, buffer: BufferId) -> Vec<usize> {
    let rank = program.buffers[buffer].dims.len();
    let mut shapes = None;
    (0..rank)
        .filter(|dim| {
            stages.iter().all(|stage| {
                let var = stage.axes[level].var;
                accesses(program, stage, buffer).all(|at| match &at[*dim] {
                    Index::Dim(index) => {
                        let shapes = shapes.get_or_insert_with(|| program.shapes.clone());
                        shapes.as_sym(*index) == Some(var)
                    }
                    Index::Value(_) => false,
                })
            })
        })
        .collect()
}

/// Drops the dimensions of locals that only ever hold one iteration of the shared loops.
fn shrink(program: &TensorProgram, run: &[&Stage], depth: usize, kept: &mut IndexMap<BufferId, Vec<bool>>) {
    for (buffer, mask) in kept.iter_mut() {
        let inside = run.iter().map(|it| count(program, &Stmt::Stage((*it).clone()), *buffer)).sum::<usize>();
        let total = program.body.iter().map(|it| count(program, it, *buffer)).sum::<usize>();
        if inside == 0 || inside != total {
            continue;
        }
        for level in 0..depth {
            for dim in own_dims(program, run, level, *buffer) {
                mask[dim] = false;
            }
        }
    }
}

fn count(program: &TensorProgram, statement: &Stmt, buffer: BufferId) -> usize {
    match statement {
        Stmt::Stage(stage) => accesses(program, stage, buffer).count(),
        Stmt::For { body, .. } => body.iter().map(|it| count(program, it, buffer)).sum(),
    }
}

/// Whether the iterations of a loop over `nodes` may run at the same time.
fn independent(nodes: &[Node], vars: &[Sym]) -> bool {
    let mut stages = Vec::new();
    collect(nodes, &mut stages);
    // A loop of the program (recurrence) has one variable for all stages inside.
    let own = |stage: &Stage| stage.axes.first().is_some_and(|axis| vars.contains(&axis.var));
    let scatters = |stage: &Stage| stage.at.iter().any(|it| matches!(it, Index::Value(_)));
    !stages.is_empty() && stages.iter().all(|it| own(it) && !scatters(it))
}

fn collect(nodes: &[Node], stages: &mut Vec<Stage>) {
    for node in nodes {
        match node {
            Node::Loop { body, .. } => collect(body, stages),
            Node::Stage { stage, .. } => stages.push(stage.clone()),
        }
    }
}

/// The index lists with which a stage touches a buffer, its store included.
pub(crate) fn accesses<'a>(
    program: &'a TensorProgram,
    stage: &'a Stage,
    buffer: BufferId,
) -> impl Iterator<Item = &'a [Index]> {
    let mut found: Vec<&'a [Index]> = Vec::new();
    if stage.buffer == buffer {
        found.push(&stage.at);
    }
    for id in expressions(program, stage) {
        if let Expr::Load { buffer: from, at, .. } = &program.exprs[id]
            && *from == buffer
        {
            found.push(at);
        }
    }
    found.into_iter()
}

/// All expressions that a stage evaluates, each once.
pub(crate) fn expressions(program: &TensorProgram, stage: &Stage) -> IndexSet<ExprId> {
    let mut seen = IndexSet::new();
    let mut stack = vec![stage.value];
    let values = |at: &[Index]| {
        at.iter()
            .filter_map(|it| if let Index::Value(id) = it { Some(*id) } else { None })
            .collect::<Vec<_>>()
    };
    stack.extend(values(&stage.at));
    while let Some(id) = stack.pop() {
        if !seen.insert(id) {
            continue;
        }
        match &program.exprs[id] {
            Expr::Dim(..) | Expr::Float(..) | Expr::Int(..) => {}
            Expr::Load { at, otherwise, .. } => {
                stack.extend(values(at));
                stack.extend(*otherwise);
            }
            Expr::Unary(_, a) | Expr::Cast(_, a) => stack.push(*a),
            Expr::Binary(_, a, b) | Expr::Compare(_, a, b) => stack.extend([*a, *b]),
            Expr::Select(a, b, c) => stack.extend([*a, *b, *c]),
        }
    }
    seen
}
